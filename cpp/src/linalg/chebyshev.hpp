// Chebyshev-Davidson: a basis that grows by polynomials of the operator applied to its Ritz vectors. Products
// only, and few of the dense operations that dominate Lanczos. (Zhou and Saad, A Chebyshev-Davidson algorithm
// for large symmetric eigenproblems, 2007; Zhou, A block Chebyshev-Davidson method with inner-outer restart
// for large eigenvalue problems, 2010.)
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <vector>

#include "davidson.hpp"

namespace lapwing::linalg {

struct chebyshev_options {
  std::ptrdiff_t guard = 2;  // pairs beyond the wanted ones
  std::ptrdiff_t basis = 0;  // most vectors kept; 0: three times k + guard
  double norm = 1;           // bound on M^-1/2 A M^-1/2
  double tol = 1e-8;         // residual <= tol * norm
  std::ptrdiff_t max_products = 200000;
  std::uint64_t seed = 0;
  const block* start = nullptr;
};

// The k smallest eigenpairs on the complement of the null space. All k + guard vectors are filtered, so that
// as many copies of an eigenvalue are seen.
davidson_result chebyshev(const context&, const pencil&, std::ptrdiff_t k, const chebyshev_options&);

}  // namespace lapwing::linalg
