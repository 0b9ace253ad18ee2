/// \file
/// Views of memory that the caller owns: what crosses every border of the library. Sizes and strides are
/// counted in elements. A matrix_view means what std::mdspan with unit column stride means; C++23 will
/// replace it.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lapwing {

template <class T>
using vector_view = std::span<T>;

/// A view of mutable elements may be passed where a view of constant ones is expected, not the other way
/// round.
template <class From, class To>
concept adds_const = std::same_as<const From, To> && !std::same_as<From, To>;

/// Row-major matrix; consecutive rows start `stride` elements apart.
template <class T>
struct matrix_view {
  T* data = nullptr;
  std::ptrdiff_t rows = 0, cols = 0, stride = 0;

  constexpr matrix_view() = default;
  constexpr matrix_view(T* data, std::ptrdiff_t rows, std::ptrdiff_t cols)
      : matrix_view(data, rows, cols, cols) {}
  constexpr matrix_view(T* data, std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t stride)
      : data(data), rows(rows), cols(cols), stride(stride) {}
  template <adds_const<T> U>
  constexpr matrix_view(matrix_view<U> o) : matrix_view(o.data, o.rows, o.cols, o.stride) {}

  constexpr T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const { return data[i * stride + j]; }
  constexpr std::span<T> row(std::ptrdiff_t i) const {
    return {data + i * stride, static_cast<std::size_t>(cols)};
  }
  constexpr bool contiguous() const { return stride == cols || rows <= 1; }
};

/// Compressed sparse rows: row i holds values[k] at columns indices[k] for k in [offsets[i], offsets[i + 1]).
/// Columns are 32 bit (a billion of them is out of reach anyway), offsets 64 bit.
template <class T>
struct csr_view {
  std::span<const std::int64_t> offsets;  ///< rows + 1
  std::span<const std::int32_t> indices;
  std::span<T> values;
  std::ptrdiff_t cols = 0;

  constexpr csr_view() = default;
  constexpr csr_view(std::span<const std::int64_t> offsets, std::span<const std::int32_t> indices,
                     std::span<T> values, std::ptrdiff_t cols)
      : offsets(offsets), indices(indices), values(values), cols(cols) {}
  template <adds_const<T> U>
  constexpr csr_view(csr_view<U> o) : csr_view(o.offsets, o.indices, o.values, o.cols) {}

  constexpr std::ptrdiff_t rows() const {
    return offsets.empty() ? 0 : static_cast<std::ptrdiff_t>(offsets.size()) - 1;
  }
  constexpr std::ptrdiff_t size() const { return static_cast<std::ptrdiff_t>(values.size()); }
};

}  // namespace lapwing
