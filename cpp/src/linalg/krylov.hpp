// Block Lanczos with full reorthogonalisation and thick restart, for one end of the spectrum of a symmetric
// operator.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <limits>
#include <vector>

#include "block.hpp"

namespace lapwing::linalg {

using block_operator =
    std::function<void(const context&, matrix_view<const double> x, matrix_view<double> y)>;

struct krylov_options {
  std::ptrdiff_t k = 1, more = 0;  // wanted pairs; others that come back as well, whatever their accuracy
  std::ptrdiff_t width = 2;        // vectors that the operator is applied to at once
  std::ptrdiff_t basis = 40;       // most vectors kept
  bool largest = false;
  double tol = 1e-8;  // of the residual over the scale: |A v - value v| <= tol scale(value, best value)
  std::function<double(double value, double best)> scale = [](double, double) { return 1.0; };
  std::ptrdiff_t max_products = 10000, max_steps = std::numeric_limits<std::ptrdiff_t>::max();
  std::ptrdiff_t look = 4;  // steps from one test of convergence to the next, for blocks narrower than 8
  const char* stage = "eigenvectors";
  std::uint64_t seed = 0;
};
struct krylov_result {
  std::vector<double> values;  // best first
  block vectors;               // n x as many
  std::ptrdiff_t products = 0, converged = 0;
  int steps = 0;
  bool stopped = false;
};

// Works on the complement of `locked` (orthonormal columns, possibly none) and of the null space that
// `project` removes.
krylov_result krylov(const context&, std::ptrdiff_t n, const block_operator&, const projector& project,
                     const panels& locked, const krylov_options&);

// The same, and then again on the complement of what was found, until the best pair there is not better than
// the worst found: a block narrower than k may miss copies of an eigenvalue, and one that was missed is
// dominant there, where a random start has a part in it. room: dimension of the space. The vectors are
// orthonormal.
krylov_result verified_krylov(const context&, std::ptrdiff_t n, std::ptrdiff_t room, const block_operator&,
                              const projector& project, const krylov_options&, bool verify, int& rounds);

}  // namespace lapwing::linalg
