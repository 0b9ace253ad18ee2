// The outer iteration of the eigensolvers: block Davidson with thick restart, the basis being that of LOBPCG
// (Ritz vectors, previous directions, corrections), on A z = lambda M z with M diagonal.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <string>
#include <vector>

#include "block.hpp"

namespace lapwing::linalg {

// A symmetric positive semi-definite A and the diagonal of M. Both may have a null space of A that is known:
// project removes it from vectors (in the inner product of M), project_dual from right-hand sides.
class pencil {
 public:
  virtual ~pencil() = default;
  virtual std::ptrdiff_t size() const = 0;
  virtual const double* mass() const = 0;  // null: ones
  virtual void multiply(const context&, matrix_view<const double> x, matrix_view<double> y) const = 0;
  // y = alpha M^-1 A x + beta x + gamma y + r diag(s), in single precision
  virtual void filter(const context&, float alpha, float beta, float gamma, matrix_view<const float> x,
                      matrix_view<const float> r, const float* s, matrix_view<float> y) const = 0;
  virtual void project(const context&, matrix_view<double> x) const = 0;
  // The null space as columns that are orthonormal in M, if they are few: removed along with a basis. Or
  // none.
  virtual panels null() const = 0;
  virtual void project_dual(const context&, matrix_view<double> r) const = 0;
};

// y = (something near A^+) r
using corrector = std::function<void(const context&, matrix_view<const double> r, matrix_view<double> y)>;

struct davidson_options {
  std::ptrdiff_t guard = 0;
  double norm = 1;     // of M^-1/2 A M^-1/2
  double tol = 1e-8;   // residual <= tol * norm
  double tol_vec = 0;  // > 0: the corrected residual must not be longer
  // > 0: the first `accurate` vectors, and copies of theirs, must be within such an angle of the eigenspace,
  // as estimated from the corrected residuals.
  double tol_angle = 0;
  std::ptrdiff_t accurate = 0;
  int max_outer = 200;
  std::uint64_t seed = 0;
  const block* start = nullptr;
};
struct davidson_result {
  std::vector<double> values;  // of all Ritz pairs kept, rising
  std::vector<double> angles;  // of the same, with tol_vec or tol_angle: estimated sines
  block vectors;               // n x as many, orthonormal in M
  std::ptrdiff_t wanted_converged = 0;
  int outer = 0;
  std::ptrdiff_t products = 0, corrections = 0;  // of single vectors
  bool converged = false, stopped = false;
};

// R = AX - M X theta, and the length of M^-1/2 R for each column.
std::vector<double> residual(const context&, const pencil&, matrix_view<const double> x,
                             matrix_view<const double> ax, const std::vector<double>& theta,
                             matrix_view<double> r);

// The k smallest eigenpairs on the complement of the null space.
davidson_result davidson(const context&, const pencil&, const corrector&, std::ptrdiff_t k,
                         const davidson_options&);

}  // namespace lapwing::linalg
