// Scratch memory of a run, from the context's memory resource; aligned for every vector width.
#pragma once
#include <cstddef>
#include <lapwing/context.hpp>
#include <memory_resource>
#include <span>
#include <type_traits>
#include <utility>

namespace lapwing {

template <class T>
class buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  buffer() = default;
  buffer(const context& ctx, std::ptrdiff_t n)
      : memory_(ctx.memory() ? ctx.memory() : std::pmr::new_delete_resource()),
        size_(n),
        data_(n > 0 ? static_cast<T*>(memory_->allocate(static_cast<std::size_t>(n) * sizeof(T), alignment))
                    : nullptr) {}
  buffer(const context& ctx, std::ptrdiff_t n, T value) : buffer(ctx, n) { fill(value); }
  buffer(buffer&& o) noexcept { swap(o); }
  buffer& operator=(buffer&& o) noexcept {
    buffer(std::move(o)).swap(*this);
    return *this;
  }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
  ~buffer() {
    if (data_) memory_->deallocate(data_, static_cast<std::size_t>(size_) * sizeof(T), alignment);
  }
  void swap(buffer& o) noexcept {
    std::swap(memory_, o.memory_);
    std::swap(size_, o.size_);
    std::swap(data_, o.data_);
  }
  void fill(T value) {
    for (std::ptrdiff_t i = 0; i < size_; ++i) data_[i] = value;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::ptrdiff_t size() const { return size_; }
  T& operator[](std::ptrdiff_t i) { return data_[i]; }
  const T& operator[](std::ptrdiff_t i) const { return data_[i]; }
  bool empty() const { return size_ == 0; }
  operator std::span<T>() { return {data_, static_cast<std::size_t>(size_)}; }
  operator std::span<const T>() const { return {data_, static_cast<std::size_t>(size_)}; }

 private:
  static constexpr std::size_t alignment = 64;
  std::pmr::memory_resource* memory_ = nullptr;
  std::ptrdiff_t size_ = 0;
  T* data_ = nullptr;
};

constexpr std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t step) {
  return (n + step - 1) / step * step;
}

}  // namespace lapwing
