// Small dense problems (small_eigen.cpp, with Eigen inside). Matrices are stored by rows without gaps.
#pragma once
#include <cstddef>
#include <vector>

namespace lapwing::linalg {

struct symmetric_eigenpairs {
  std::vector<double> values;   // rising
  std::vector<double> vectors;  // n x n: column c belongs to values[c]
};
symmetric_eigenpairs symmetric_eigen(const std::vector<double>& a, std::ptrdiff_t n);

// A symmetric h (size x size) with `count` more rows and columns, the columns given ((size + count) x count).
inline std::vector<double> bordered(const std::vector<double>& h, std::ptrdiff_t size,
                                    const std::vector<double>& columns, std::ptrdiff_t count) {
  const std::ptrdiff_t larger = size + count;
  std::vector<double> grown(static_cast<std::size_t>(larger * larger));
  const auto at = [&](std::ptrdiff_t i, std::ptrdiff_t j) -> double& {
    return grown[static_cast<std::size_t>(i * larger + j)];
  };
  for (std::ptrdiff_t i = 0; i < size; ++i)
    for (std::ptrdiff_t j = 0; j < size; ++j) at(i, j) = h[static_cast<std::size_t>(i * size + j)];
  for (std::ptrdiff_t i = 0; i < larger; ++i)
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      const double value = columns[static_cast<std::size_t>(i * count + j)];
      // symmetric up to rounding: made so
      at(i, size + j) = at(size + j, i) = i > size + j ? (at(i, size + j) + value) / 2 : value;
    }
  return grown;
}

struct singular_triplets {
  std::vector<double> values;       // falling
  std::vector<double> left, right;  // n x n, orthogonal: column c belongs to values[c]
};
singular_triplets small_svd(const std::vector<double>& a, std::ptrdiff_t n);

}  // namespace lapwing::linalg
