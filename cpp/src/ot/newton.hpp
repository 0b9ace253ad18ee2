// Newton's method on the entries of the plan that carry mass. Everything else of a row (column) is one term
// that scales with that row's (column's) potential; full sweeps measure the true error and renew both.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <memory>
#include <span>
#include <vector>

namespace lapwing::ot {

/// Entries of the plan P_ij = 2^(phi_i + gamma_j - cost_ij) by rows, and the mass of all others at (phi,
/// gamma).
struct active_set {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;          // rising within a row
  std::vector<double> costs;                  // kappa C_ij, in bits
  std::vector<double> row_rest, column_rest;  // >= 0
  std::ptrdiff_t rows() const { return std::ssize(offsets) - 1; }
  std::ptrdiff_t entries() const { return std::ssize(columns); }
};

struct newton_options {
  double tol = 1e-11;  // |b - column sums|_1 over the mass
  int max_steps = 60;
  int max_inner = 3000;    // conjugate gradient steps for one direction
  double max_bytes = 2e9;  // for a factorisation
};
struct newton_result {
  int steps = 0;
  std::ptrdiff_t inner = 0;  // conjugate gradient steps in all
  bool direct = false;       // a factorisation was used in the end
  bool converged = false;
  double error = 0;
};

// Maximises the dual restricted to the set: gamma is moved, phi follows so that rows are exact. a, b:
// weights; phi and gamma come in as those at which the set was taken.
newton_result maximise(const context&, const active_set&, std::span<const double> a,
                       std::span<const double> b, const newton_options&, std::span<double> phi,
                       std::span<double> gamma);

}  // namespace lapwing::ot
