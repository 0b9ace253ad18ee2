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

}  // namespace lapwing::linalg
