// Large results go past the caches: whoever looks at them next finds them in memory, and they are not read
// before they are written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels/table.hpp"

namespace lapwing::multiscale {

constexpr std::ptrdiff_t streamed_bytes = std::ptrdiff_t(1) << 23;  // beyond any cache of one core

// n numbers of any type; k.stream_fence() comes after the last ones.
template <class T>
void stream_row(const kernels::table<float>& k, const T* from, std::ptrdiff_t n, T* to) {
  constexpr std::size_t word = sizeof(float);
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  if (reinterpret_cast<std::uintptr_t>(to) % word != 0) {
    std::memcpy(to, from, bytes);
    return;
  }
  k.stream(reinterpret_cast<const float*>(from), static_cast<long>(bytes / word),
           reinterpret_cast<float*>(to));
  const std::size_t done = bytes / word * word;
  std::memcpy(reinterpret_cast<char*>(to) + done, reinterpret_cast<const char*>(from) + done, bytes - done);
}

}  // namespace lapwing::multiscale
