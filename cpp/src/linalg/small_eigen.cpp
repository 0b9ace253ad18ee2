// Small dense eigen and singular value problems. The symmetric one is Eigen's, which is not seen anywhere
// else.
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "small.hpp"

namespace lapwing::linalg {
using matrix = Eigen::MatrixXd;
using rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

symmetric_eigenpairs symmetric_eigen(const std::vector<double>& a, std::ptrdiff_t n) {
  symmetric_eigenpairs e;
  if (n == 0) return e;
  const Eigen::SelfAdjointEigenSolver<matrix> solver(Eigen::Map<const matrix>(a.data(), n, n));
  e.values.assign(solver.eigenvalues().data(), solver.eigenvalues().data() + n);
  e.vectors.resize(static_cast<std::size_t>(n * n));
  Eigen::Map<rows>(e.vectors.data(), n, n) = solver.eigenvectors();
  return e;
}

// One-sided Jacobi (Hestenes): columns are rotated until all are orthogonal. Small singular values keep their
// relative accuracy, which a method that starts from A^T A would lose. (Eigen's JacobiSVD does the same, for
// 15 seconds more of every build.)
singular_triplets small_svd(const std::vector<double>& a, std::ptrdiff_t n) {
  matrix w = Eigen::Map<const rows>(a.data(), n, n), right = matrix::Identity(n, n);
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (std::ptrdiff_t p = 0; p + 1 < n; ++p)
      for (std::ptrdiff_t q = p + 1; q < n; ++q) {
        double pp = 0, qq = 0, pq = 0;
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          pp += w(i, p) * w(i, p);
          qq += w(i, q) * w(i, q);
          pq += w(i, p) * w(i, q);
        }
        if (!(std::abs(pq) > 1e-15 * std::sqrt(pp) * std::sqrt(qq))) continue;
        rotated = true;
        const double zeta = (qq - pp) / (2 * pq),
                     t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
        const double c = 1 / std::hypot(1.0, t), d = c * t;
        for (matrix* m : {&w, &right})
          for (std::ptrdiff_t i = 0; i < n; ++i) {
            const double x = (*m)(i, p), y = (*m)(i, q);
            (*m)(i, p) = c * x - d * y;
            (*m)(i, q) = d * x + c * y;
          }
      }
    if (!rotated) break;
  }
  std::vector<double> norm(static_cast<std::size_t>(n));
  for (std::ptrdiff_t c = 0; c < n; ++c) norm[static_cast<std::size_t>(c)] = w.col(c).stableNorm();
  std::vector<std::ptrdiff_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::ptrdiff_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto x, auto y) {
    return norm[static_cast<std::size_t>(x)] > norm[static_cast<std::size_t>(y)];
  });
  const std::size_t size = static_cast<std::size_t>(n * n);
  singular_triplets t{std::vector<double>(static_cast<std::size_t>(n)), std::vector<double>(size),
                      std::vector<double>(size)};
  Eigen::Map<rows> left(t.left.data(), n, n), out(t.right.data(), n, n);
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const std::ptrdiff_t c = order[static_cast<std::size_t>(k)];
    const double value = t.values[static_cast<std::size_t>(k)] = norm[static_cast<std::size_t>(c)];
    out.col(k) = right.col(c);
    if (value > 1e-300) {
      left.col(k) = w.col(c) / value;
      continue;
    }
    for (std::ptrdiff_t e = 0; e < n;
         ++e) {  // null space: the first unit vector that is not in the span so far
      left.col(k).setZero();
      left(e, k) = 1;
      for (int twice = 0; twice < 2; ++twice)
        for (std::ptrdiff_t q = 0; q < k; ++q) left.col(k) -= left.col(q).dot(left.col(k)) * left.col(q);
      const double length = left.col(k).norm();
      if (length < 0.5 / std::sqrt(static_cast<double>(n))) continue;
      left.col(k) /= length;
      break;
    }
  }
  return t;
}

}  // namespace lapwing::linalg
