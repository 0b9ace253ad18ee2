// Singular triplets of operators.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/view.hpp>
#include <span>
#include <vector>

namespace lapwing::linalg {

struct svds_options {
  std::ptrdiff_t block = 0;        ///< vectors applied at once; 0: min(k + 8, 32), but at least k + 1
  double tol = 1e-6;               ///< residual relative to the largest singular value found
  std::ptrdiff_t max_apply = 300;  ///< applications of the normal operator to a block
  std::uint64_t seed = 0;
};
struct svds_result {
  std::vector<double> values,
      residuals;  ///< k, falling; max(|A v - s u|, |A^T u - s v|), recomputed from the returned vectors
  std::ptrdiff_t applications = 0;
  bool converged = false;
};

/// Leading k singular triplets of A on the complement of a known pair (left, right: unit vectors, or empty).
/// u is k x rows(), v is k x cols(). Block Krylov with Rayleigh-Ritz on A^T A and thick restart; u and the
/// values come from A v itself, not from A^T A.
svds_result svds(const context&, const linear_operator&, std::span<const double> left,
                 std::span<const double> right, std::ptrdiff_t k, const svds_options&, matrix_view<double> u,
                 matrix_view<double> v);

}  // namespace lapwing::linalg
