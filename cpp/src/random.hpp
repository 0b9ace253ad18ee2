// Random numbers from (seed, position) alone, so that they do not depend on the order in which they are
// drawn.
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>

namespace lapwing {

inline std::uint64_t mix(std::uint64_t z) {  // SplitMix64's finaliser
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
// uniform in [0, 1)
inline double uniform_at(std::uint64_t seed, std::uint64_t position) {
  return static_cast<double>(mix(mix(seed) + position) >> 11) * 0x1p-53;
}
// standard normal: Box-Muller
inline double normal_at(std::uint64_t seed, std::uint64_t position) {
  const std::uint64_t base = mix(seed) + 2 * position;
  const double u = (static_cast<double>(mix(base) >> 11) + 1.0) * 0x1p-53,
               v = static_cast<double>(mix(base + 1) >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

}  // namespace lapwing
