// Small dense eigen and singular value problems, by Eigen, which is not seen anywhere else.
#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <cstddef>

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

void small_svd(std::ptrdiff_t n, const double* a, double* u, double* s, double* v) {
  const Eigen::JacobiSVD<matrix> solver(Eigen::Map<const matrix>(a, n, n), Eigen::ComputeFullU | Eigen::ComputeFullV);
  map(u, n, n) = solver.matrixU();
  map(s, n, 1) = solver.singularValues();
  map(v, n, n) = solver.matrixV();
}

}  // namespace lapwing::linalg
