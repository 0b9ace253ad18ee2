// Small dense eigen and singular value problems. The symmetric one is Eigen's, which is not seen anywhere
// else.
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "small.hpp"
#include "tall.hpp"

namespace lapwing::linalg {
using matrix = Eigen::MatrixXd;
using map = Eigen::Map<matrix>;

void symmetric_eigen(std::ptrdiff_t n, const double* a, std::ptrdiff_t ld, double* values, double* vectors) {
  const Eigen::Map<const matrix, 0, Eigen::OuterStride<>> view(a, n, n, Eigen::OuterStride<>(ld));
  const Eigen::SelfAdjointEigenSolver<matrix> solver(view);
  map(values, n, 1) = solver.eigenvalues().reverse();
  map(vectors, n, n) = solver.eigenvectors().rowwise().reverse();
}

symmetric_eigenpairs symmetric_eigen(const std::vector<double>& a, std::ptrdiff_t n) {
  symmetric_eigenpairs e;
  if (n == 0) return e;
  const Eigen::SelfAdjointEigenSolver<matrix> solver(Eigen::Map<const matrix>(a.data(), n, n));
  e.values.assign(solver.eigenvalues().data(), solver.eigenvalues().data() + n);
  const matrix rows = solver.eigenvectors().transpose();  // Eigen stores columns
  e.vectors.assign(rows.data(), rows.data() + n * n);
  return e;
}

// One-sided Jacobi (Hestenes): columns are rotated until all are orthogonal. Small singular values keep their
// relative accuracy, which a method that starts from A^T A would lose. (Eigen's JacobiSVD does the same, for
// 15 seconds more of every build.)
void small_svd(std::ptrdiff_t n, const double* a, double* u, double* s, double* v) {
  matrix w = Eigen::Map<const matrix>(a, n, n), right = matrix::Identity(n, n);
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
  map left(u, n, n), out(v, n, n);
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const std::ptrdiff_t c = order[static_cast<std::size_t>(k)];
    s[k] = norm[static_cast<std::size_t>(c)];
    out.col(k) = right.col(c);
    if (s[k] > 0 && s[k] > 1e-300) {
      left.col(k) = w.col(c) / s[k];
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
}

}  // namespace lapwing::linalg
