// The iterations, written once for every executor (CPU, CUDA, and the long double one of the tests):
// eps-scaling, plain, Anderson and over-relaxed sweeps, stopping rule and certificate (spec 5.1, 5.2, 5.4).
//
// An executor offers: vector, make_rows(), make_cols(), rows(), cols(), a(), b(), log_a(), log_b(), sweep(),
// marginals(), single_precision, unit_roundoff; for Newton's method extract(); and sparse_pattern where most
// pairs are missing, so that there may be no plan.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <lapwing/context.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "anderson.hpp"
#include "lanes.hpp"
#include "newton.hpp"

namespace lapwing::ot {

template <class Exec>
class driver {
 public:
  using vector = typename Exec::vector;

  driver(const context& ctx, Exec& ex, const options& o)
      : ctx_(ctx),
        ex_(ex),
        o_(o),
        rho_(ex.make_cols()),
        next_(ex.make_cols()),
        safe_(ex.make_cols()),
        anderson_(ex) {
    for (std::ptrdiff_t i = 0; i < ex.rows(); ++i) mass_ += ex.a()[i];
  }

  // phi, gamma: log-scalings in bits at the first level of the schedule; on return those of the last.
  result run(vector& phi, vector& gamma) {
    kappa_ = std::numbers::log2e / o_.schedule.front();
    for (std::size_t level = 0; level < o_.schedule.size(); ++level) {
      const double reg = o_.schedule[level];
      rescale(phi, gamma, std::numbers::log2e / reg);
      const bool exact = level == 0 && o_.init;
      set_ = {};
      refused_ = false;
      futile_ = 0;
      delta_ = 1e-3;
      if (level + 1 < o_.schedule.size()) {
        if (!coarse(reg, exact, phi, gamma)) return std::move(r_);
      } else {
        fine(reg, exact, phi, gamma);
      }
    }
    return std::move(r_);
  }

 private:
  // A level on the way, until the error is 0.25: more than that is lost again at the next level (measured on
  // the eight benchmark problems; 0.1 costs up to 20 % more sweeps, 0.5 breaks some). Where the way is long
  // Newton's method ends it, and each level must leave it near the next one: 0.1 takes a fifth of its steps.
  bool coarse(double reg, bool exact, vector& phi, vector& gamma) {
    const double enough = newton_wanted() && o_.schedule.front() > 1000 * o_.schedule.back() ? 0.1 : 0.25;
    for (int k = 0; k < 30 && r_.sweeps + 1 < o_.max_iter; ++k) {
      const double error = sweep(reg, 1.0, exact && k == 0, step_kind::sweep, phi, gamma);
      centre(phi, gamma);
      if (r_.stopped) {  // one exact row update at the reg that was asked for: what comes back is a plan of
                         // the right problem
        rescale(phi, gamma, std::numbers::log2e / o_.schedule.back());
        sweep(o_.schedule.back(), 1.0, true, step_kind::sweep, phi, gamma);
        finish("stopped", phi, gamma);
        return false;
      }
      add(gamma, rho_, gamma);
      if (error <= enough) break;
      if (k >= 2 && (!cheap_sweeps || o_.solver == method::newton)) newton(reg, error, 1e-2, phi, gamma);
    }
    return true;
  }

  void fine(double reg, bool exact, vector& phi, vector& gamma) {
    std::vector<double> errors, lowest;  // of plain and accepted sweeps at this level; the least up to each
    double target = o_.tol, omega = 1, dual = 0;
    bool extrapolated = false, use_anderson = false;
    int verifications = 0;
    std::size_t patience = 0;  // accepted sweeps before over-relaxation may be tried again
    std::size_t probe = 2;     // accepted sweeps before a stalled error is looked at
    for (;;) {
      const step_kind kind = extrapolated ? step_kind::anderson
                             : omega != 1 ? step_kind::sor
                                          : step_kind::sweep;
      const double error = sweep(reg, omega, exact, kind, phi, gamma);
      exact = false;
      // The gauge of a start may be far off, and the first sweeps from it move it again: in single precision
      // that would raise the floor.
      const double value = use_anderson ? dual_value(phi, gamma) : centre(phi, gamma);
      if (kind != step_kind::sweep && !(error <= target) &&
          !accepted(kind, error, errors.back(), value, dual)) {
        r_.history.back().kind = step_kind::rejected;  // back to the plain step it replaced
        std::swap(gamma, safe_);
        anderson_.clear();
        extrapolated = false;
        omega = 1;
        patience = errors.size() + 10;
        exact = true;  // phi may be anywhere
        if (r_.sweeps < o_.max_iter && !r_.stopped) continue;
        sweep(reg, 1.0, true, step_kind::sweep, phi, gamma);
        r_.converged = r_.marginal_error <= o_.tol && verify(phi, gamma);
        return finish(r_.converged ? "converged" : r_.stopped ? "stopped" : "max_iter", phi, gamma);
      }
      dual = value;
      errors.push_back(error);
      lowest.push_back(std::min(lowest.empty() ? error : lowest.back(), error));
      // Just above the tolerance and stuck in single precision: the error of this sweep may be its own
      // rounding, and that of the rounded potentials below. Looked at rarely enough to cost nothing where
      // convergence is merely slow.
      const bool stalled = Exec::single_precision && errors.size() >= probe && error <= 2 * o_.tol &&
                           error > 0.7 * errors[errors.size() - 2];
      if ((error <= target || stalled) && verify(phi, gamma)) {
        r_.converged = true;
        return finish("converged", phi, gamma);
      }
      if (error <= target) {
        if (++verifications == 6) return finish("rounding floor", phi, gamma);
        target = std::min(target, error) / 2;
      } else if (stalled) {
        probe = 2 * errors.size();
      }
      if (r_.stopped) return finish("stopped", phi, gamma);
      if (r_.sweeps >= o_.max_iter) return finish("max_iter", phi, gamma);
      if (at_floor(errors, lowest, phi, gamma)) {
        r_.converged = verify(phi, gamma);
        return finish(r_.converged ? "converged" : "rounding floor", phi, gamma);
      }
      if (cheap_sweeps && drifting(errors, lowest, phi, gamma))
        return finish("stalled (pattern probably infeasible)", phi, gamma);
      // the next gamma; safe_ keeps the plain step in case that it is rejected
      extrapolated = false;
      add(gamma, rho_, safe_);
      if (newton_now(errors)) {
        std::copy_n(safe_.data(), ex_.cols(), next_.data());
        if (newton(reg, error, 0.02 * o_.tol, phi, next_)) {
          std::swap(gamma, next_);
          anderson_.clear();
          omega = 1;
          continue;
        }
      }
      if (o_.accelerate == acceleration::sor)
        omega = errors.size() < patience ? 1 : relaxation(errors, omega);
      if (o_.accelerate == acceleration::anderson && !use_anderson) use_anderson = slow(errors);
      if (use_anderson) {
        extrapolated = anderson_.extrapolate(gamma, rho_, next_);
        std::swap(gamma, next_);
      } else {
        for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) gamma[j] += omega * rho_[j];
      }
    }
  }

  bool newton_wanted() const {
    return o_.solver == method::newton ||
           (o_.solver == method::automatic && o_.accelerate == acceleration::anderson);
  }

  // At the last level: where sweeps would be many, at once with method::newton.
  bool newton_now(const std::vector<double>& errors) const {
    if (refused_ || !newton_wanted()) return false;
    if (set_.entries() > 0) return true;  // it goes on as it began
    if (o_.solver == method::newton) return errors.size() >= 3 || errors.back() <= 0.5;
    // A step of Newton's method takes hundreds of passes over its entries, which a sparse cost has no more
    // of.
    return cheap_sweeps ? errors.size() >= 40 && slow(errors, 10, 400) : slow(errors);
  }

  bool refuse(const char* reason) {
    refused_ = true;
    set_ = {};
    r_.reason = reason;
    return false;
  }

  // One round of Newton's method from gamma, whose columns are exact; phi and gamma are moved. Two rounds
  // that do not lower the error of full sweeps, or a plan with too many entries that matter, end it for the
  // level.
  bool newton(double reg, double error, double tol, vector& phi, vector& gamma) {
    if constexpr (requires(active_set& s) { ex_.extract(kappa_, phi, gamma, 0.0, std::ptrdiff_t{}, s); }) {
      if (refused_ || !newton_wanted()) return false;
      const double pairs = static_cast<double>(ex_.rows()) * static_cast<double>(ex_.cols());
      const double share = o_.solver == method::newton || set_.entries() > 0 ? 0.4 : 0.1;
      const double most_entries = std::max(share * pairs, std::min(pairs, 0x1p16));  // all, of few
      const auto most = static_cast<std::ptrdiff_t>(std::min(most_entries, o_.max_bytes / 48));
      if (set_.entries() > 0) {
        // what is left out of the set is moved as one: where that says too little, the set must grow
        if (error > 0.02 * last_error_) delta_ = std::max(delta_ / 100, 1e-11);
        futile_ = error > 0.9 * best_error_ ? futile_ + 1 : 0;
      } else {
        best_error_ = error;
      }
      last_error_ = error;
      best_error_ = std::min(best_error_, error);
      if (futile_ == 8) return refuse("sweeps: Newton's method did not lower the error");
      bool fits = ex_.extract(kappa_, phi, gamma, delta_, most, set_);
      if (!fits && delta_ < 1e-3) {  // as before, then
        delta_ = 1e-3;
        fits = ex_.extract(kappa_, phi, gamma, delta_, most, set_);
      }
      if (!fits) return refuse("sweeps: the entries that matter are too many for Newton's method");
      const newton_options o{.tol = tol, .max_bytes = o_.max_bytes};
      vector phi_before = ex_.make_rows(), gamma_before = ex_.make_cols();
      std::copy_n(phi.data(), ex_.rows(), phi_before.data());
      std::copy_n(gamma.data(), ex_.cols(), gamma_before.data());
      const newton_result n = maximise(ctx_, set_, ex_.a(), ex_.b(), o,
                                       std::span<double>(phi.data(), static_cast<std::size_t>(ex_.rows())),
                                       std::span<double>(gamma.data(), static_cast<std::size_t>(ex_.cols())));
      bool finite = std::isfinite(n.error);
      for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) finite = finite && std::isfinite(phi[i]);
      for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) finite = finite && std::isfinite(gamma[j]);
      if (!finite) {  // a pattern of forbidden pairs that no plan fits drives the potentials apart
        std::swap(phi, phi_before);
        std::swap(gamma, gamma_before);
        return refuse("sweeps: Newton's method left the range of numbers");
      }
      r_.newton_steps += n.steps;
      r_.inner_steps += n.inner;
      r_.history.push_back({reg, n.error, step_kind::newton});
      r_.reason = "Newton's method: sweeps would be many, and " + std::to_string(set_.entries()) +
                  " entries carry the mass" +
                  (n.direct ? " (sparse factorisation)" : " (conjugate gradients)");
      return true;
    } else {
      return false;
    }
  }

  // An extrapolated step must not lower the semi-dual, an over-relaxed one (whose rows are not exact) must
  // not double the error.
  bool accepted(step_kind kind, double error, double before, double value, double dual) const {
    if (!std::isfinite(error)) return false;
    if (kind == step_kind::sor) return error <= 2 * before;
    return value >= dual - (Exec::single_precision ? 1e-6 : 1e-12) * std::abs(dual);
  }

  double sweep(double reg, double omega, bool exact, step_kind kind, vector& phi, vector& gamma) {
    const auto s = ex_.sweep(kappa_, omega, exact, phi, gamma, rho_);
    const double error = (s.row_error + s.column_error) / mass_;
    r_.marginal_error = error;
    r_.history.push_back({reg, error, kind});
    ++r_.sweeps;
    r_.stopped = ctx_.report("sinkhorn", r_.sweeps, error) || r_.stopped;
    return error;
  }

  // Is the iteration too slow from here? Predicted from the last few errors (spec 5.4).
  bool slow(const std::vector<double>& e, std::size_t back = 2, double most = 12) const {
    if (e.size() < back + 2) return false;
    const double rate = std::pow(e.back() / e[e.size() - 1 - back], 1.0 / static_cast<double>(back));
    return !(rate < 1) || std::log(o_.tol / e.back()) / std::log(rate) > most;
  }

  // Over-relaxation: omega from the observed rate of the plain part, back to 1 when the error grew twice
  // (spec 5.4).
  double relaxation(const std::vector<double>& e, double omega) const {
    const std::size_t n = e.size();
    if (n < 11) return 1;
    if (n > 2 && e[n - 1] > e[n - 2] && e[n - 2] > e[n - 3]) return 1;
    if (omega != 1 || n % 10 != 1) return omega;
    const double rate = std::pow(e[n - 1] / e[n - 6], 0.2);  // sigma_2^2
    return rate < 1 ? 2 / (1 + std::sqrt(1 - rate)) : omega;
  }

  // The rounding floor: a window of sweeps in which the error rose at least twice and its minimum gained less
  // than 10 %, at a level that rounding explains (exact potentials rounded to the working type leave 0.06 to
  // 0.6 of unit_roundoff times the largest log-scaling: measured).
  bool at_floor(const std::vector<double>& e, const std::vector<double>& lowest, const vector& phi,
                const vector& gamma) const {
    const std::size_t window = o_.accelerate == acceleration::none ? 10 : 20;
    if (e.size() < 2 * window) return false;
    const double recent = *std::min_element(e.end() - static_cast<std::ptrdiff_t>(window), e.end()),
                 before = lowest[e.size() - 1 - window], best = lowest.back();
    int rises = 0;
    for (std::size_t k = e.size() - window; k < e.size(); ++k) rises += e[k] > e[k - 1];
    if (rises < 2 || recent < 0.9 * before || e.back() > 1.5 * best) return false;
    double largest = 1;
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) largest = std::max(largest, std::abs(phi[i]));
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) largest = std::max(largest, std::abs(gamma[j]));
    return best <= Exec::unit_roundoff * largest;
  }

  // Where no plan has the marginals, the potentials move apart for ever while the error stays (spec 6.7):
  // twice in turn by more than 50 eps in 100 sweeps that lower it by less than a tenth.
  bool drifting(const std::vector<double>& e, const std::vector<double>& lowest, const vector& phi,
                const vector& gamma) {
    constexpr std::size_t window = 100;
    if (e.size() % window != 0) return false;
    double spread = 0;
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i)
      spread = std::max(spread, std::abs(phi[i] - ex_.log_a()[i]));
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j)
      spread = std::max(spread, std::abs(gamma[j] - ex_.log_b()[j]));
    const double grown = spread - spread_;
    spread_ = spread;
    const bool stays = e.size() > window && lowest.back() > 0.9 * lowest[e.size() - 1 - window];
    drifts_ = stays && grown > 50 * std::numbers::log2e ? drifts_ + 1 : 0;
    return drifts_ == 2;
  }

  // Single precision: what is returned is rounded, so the error of the rounded potentials decides, from one
  // more sweep. In double the rounding (about 1e-16 times the largest log-scaling) is far below any tolerance
  // that is accepted.
  bool verify(vector& phi, vector& gamma) {
    if constexpr (!Exec::single_precision) return r_.marginal_error <= o_.tol;
    vector p = ex_.make_rows(), g = ex_.make_cols();
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) p[i] = phi[i];
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) g[j] = gamma[j];
    centre(p, g);
    round_potentials(p, g);
    const double error = marginal_error(p, g);
    if (error > o_.tol) return false;
    r_.marginal_error = error;
    return true;
  }
  void round_potentials(vector& phi, vector& gamma) const {
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i)
      phi[i] = ex_.log_a()[i] +
               kappa_ * static_cast<double>(static_cast<float>((phi[i] - ex_.log_a()[i]) / kappa_));
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j)
      gamma[j] = ex_.log_b()[j] +
                 kappa_ * static_cast<double>(static_cast<float>((gamma[j] - ex_.log_b()[j]) / kappa_));
  }
  double marginal_error(const vector& phi, const vector& gamma) {
    vector r = ex_.make_rows(), c = ex_.make_cols();
    ex_.marginals(kappa_, phi, gamma, r, c);
    double error = 0;
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) error += std::abs(r[i] - ex_.a()[i]);
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) error += std::abs(c[j] - ex_.b()[j]);
    return error / mass_;
  }

  // Gauge <a, f> = <b, g>: both sides contribute equally to the value. Returns the dual value.
  double centre(vector& phi, vector& gamma) const {
    const double left = row_value(phi), right = column_value(gamma);
    const double shift = (right - left) / (2 * mass_);
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) phi[i] += shift;
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) gamma[j] -= shift;
    return left + right;
  }

  void finish(std::string status, vector& phi, vector& gamma) {
    centre(phi, gamma);
    if constexpr (Exec::single_precision) {
      round_potentials(phi, gamma);
      if (!r_.converged) r_.marginal_error = marginal_error(phi, gamma);
    }
    r_.status = std::move(status);
    if (r_.reason.empty()) r_.reason = "sweeps: few are enough";
    if (r_.status == "rounding floor") {
      char text[32];
      std::snprintf(text, sizeof text, " %.1e", r_.marginal_error);
      r_.status += text;
    }
  }

  double dual_value(const vector& phi, const vector& gamma) const {
    return row_value(phi) + column_value(gamma);
  }
  double row_value(const vector& phi) const { return value(ex_.a(), ex_.log_a(), phi, ex_.rows()); }
  double column_value(const vector& gamma) const { return value(ex_.b(), ex_.log_b(), gamma, ex_.cols()); }
  static double value(std::span<const double> weights, std::span<const double> logs, const vector& bits,
                      std::ptrdiff_t n) {
    return lane_sum(n, [&](std::ptrdiff_t i) { return weights[i] * (bits[i] - logs[i]); });
  }
  void add(const vector& x, const vector& y, vector& out) const {
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) out[j] = x[j] + y[j];
  }
  // Potentials in units of cost stay, log-scalings follow kappa.
  void rescale(vector& phi, vector& gamma, double kappa) {
    const double ratio = kappa / kappa_;
    if (ratio != 1) {
      for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i)
        phi[i] = ex_.log_a()[i] + (phi[i] - ex_.log_a()[i]) * ratio;
      for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j)
        gamma[j] = ex_.log_b()[j] + (gamma[j] - ex_.log_b()[j]) * ratio;
    }
    kappa_ = kappa;
  }

  static constexpr bool cheap_sweeps = requires { Exec::sparse_pattern; };
  const context& ctx_;
  Exec& ex_;
  const options& o_;
  double kappa_ = 0, mass_ = 0;
  vector rho_, next_, safe_;
  anderson<Exec> anderson_;
  active_set set_;        // of this level
  bool refused_ = false;  // Newton's method, at this level
  double spread_ = 0;     // largest potential in bits, and how often in turn it grew
  int drifts_ = 0;
  int futile_ = 0;  // its rounds in turn that did not halve the error
  double last_error_ = 0, best_error_ = 0, delta_ = 1e-3;
  result r_;
};

}  // namespace lapwing::ot
