// Transport whose marginals are penalised or bounded instead of given, written once for every executor: each
// potential is what would make its side exact, then damped (Kullback-Leibler), clipped (total variation) or
// kept at most 0 (partial transport). One exponential per pair and iteration, as in driver.hpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lapwing/context.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "driver.hpp"

namespace lapwing::ot {

template <class Exec>
class relaxed_driver {
 public:
  using vector = typename Exec::vector;

  relaxed_driver(const context& ctx, Exec& ex, const relaxed_options& o)
      : ctx_(ctx),
        ex_(ex),
        o_(o),
        left_(ex.a(), ex.log_a(), o.rho_a, o),
        right_(ex.b(), ex.log_b(), o.rho_b, o),
        phi_(ex.make_rows()),
        gamma_(ex.make_cols()),
        rho_(ex.make_cols()),
        next_(ex.make_cols()),
        safe_(ex.make_cols()),
        anderson_(ex, false),
        f_(static_cast<std::size_t>(ex.rows())),
        g_(static_cast<std::size_t>(ex.cols())) {}

  relaxed_result run(std::span<double> f, std::span<double> g) {
    if (o_.init) {
      std::copy(f.begin(), f.end(), f_.begin());
      std::copy(g.begin(), g.end(), g_.begin());
      if (o_.mass >
          0) {  // both are at most 0 (and reach it where some weight is left): the rest is the multiplier
        const double top_f = *std::ranges::max_element(f_), top_g = *std::ranges::max_element(g_);
        for (double& v : f_) v -= top_f;
        for (double& v : g_) v -= top_g;
        lambda_ = top_f + top_g;
      }
    }
    for (std::size_t level = 0; level < o_.schedule.size() && r_.status.empty(); ++level) {
      reg_ = o_.schedule[level];
      kappa_ = std::numbers::log2e / reg_;
      const bool last = level + 1 == o_.schedule.size();
      iterate(last ? o_.tol : std::max(0.02, o_.tol), last ? o_.max_iter : 30, last);
      if (r_.stopped && !last) {  // what comes back belongs to the reg that was asked for
        reg_ = o_.schedule.back();
        kappa_ = std::numbers::log2e / reg_;
        sweep(true);
      }
    }
    for (std::size_t i = 0; i < f.size(); ++i) f[i] = f_[i];
    for (std::size_t j = 0; j < g.size(); ++j) g[j] = g_[j] + lambda_;
    r_.mass = mass_;
    r_.shift = lambda_;
    return std::move(r_);
  }

 private:
  struct side {
    std::span<const double> weight, log_weight, rho;
    bool partial, product, clip, hard = true;
    side(std::span<const double> w, std::span<const double> log_w, std::span<const double> r,
         const relaxed_options& o)
        : weight(w),
          log_weight(log_w),
          rho(r),
          partial(o.mass > 0),
          product(o.product_reference),
          clip(o.kind == penalty::total_variation) {
      for (const double x : r) hard = hard && x == std::numeric_limits<double>::infinity();
      if (hard) rho = {};
    }
    double reference(std::ptrdiff_t i) const { return product ? log_weight[i] : 0.0; }
    // the potential, from the one that makes the side exact
    double relax(std::ptrdiff_t i, double full, double reg) const {
      if (partial) return std::min(0.0, full);
      if (rho.empty()) return full;
      const double r = rho[static_cast<std::size_t>(i)];
      if (r == std::numeric_limits<double>::infinity()) return full;
      return clip ? std::clamp(full, -r, r) : r / (r + reg) * full;
    }
    // what this side adds to the dual
    double dual(std::ptrdiff_t i, double f) const {
      if (clip || rho.empty() || rho[static_cast<std::size_t>(i)] == std::numeric_limits<double>::infinity())
        return weight[i] * f;
      const double r = rho[static_cast<std::size_t>(i)];
      return -r * weight[i] * std::expm1(-f / r);
    }
  };

  // f from g, and in next_ the g from f, both in units of cost; returns the largest |next - g|.
  double sweep(bool exact) {
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j)
      gamma_[j] = right_.reference(j) + kappa_ * (g_[z(j)] + lambda_);
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) phi_[i] = left_.reference(i) + kappa_ * f_[z(i)];
    ex_.sweep(
        kappa_,
        [&](std::ptrdiff_t i, double full) {
          f_[z(i)] = left_.relax(i, (full - left_.reference(i)) / kappa_, reg_);
          return left_.reference(i) + kappa_ * f_[z(i)];
        },
        exact, phi_, gamma_, rho_);
    double change = 0, before = 0;
    mass_ = 0;
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) {
      const double g = right_.relax(j, g_[z(j)] + rho_[j] / kappa_, reg_),
                   sum = ex_.b()[j] * std::exp2(-rho_[j]);
      next_[j] = g;
      change = std::max(change, std::abs(g - g_[z(j)]));
      before += sum;
      mass_ += sum * std::exp2(kappa_ * (g - g_[z(j)]));
    }
    dual_ = -reg_ * before + (o_.mass > 0 ? lambda_ * o_.mass : 0.0);
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) dual_ += left_.dual(i, f_[z(i)]);
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) dual_ += right_.dual(j, g_[z(j)]);
    return change;
  }

  void iterate(double tol, std::ptrdiff_t most, bool last) {
    std::vector<double> changes;
    bool exact = true, extrapolated = false, mixing = false;
    double dual = 0;
    anderson_.clear();
    for (std::ptrdiff_t k = 0; k < most; ++k) {
      if (r_.sweeps >= o_.max_iter) {
        r_.status = "max_iter";
        return;
      }
      double change = sweep(exact);
      exact = false;
      ++r_.sweeps;
      double largest = 0;
      for (const double v : f_) largest = std::max(largest, std::abs(v));
      double shift = 0;
      if (o_.mass > 0) {
        shift = reg_ * std::log(o_.mass / mass_);
      } else if (!left_.clip && !(left_.hard && right_.hard)) {
        shift = translation();
      }
      r_.change = std::max(change, std::abs(shift)) / (reg_ + largest);
      r_.history.push_back({reg_, r_.change, extrapolated ? step_kind::anderson : step_kind::sweep});
      r_.stopped = ctx_.report("sinkhorn", r_.sweeps, r_.change) || r_.stopped;
      if (extrapolated && !(std::isfinite(r_.change) && dual_ >= dual - 1e-12 * std::abs(dual))) {
        r_.history.back().kind = step_kind::rejected;
        for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) g_[z(j)] = safe_[j];
        anderson_.clear();
        extrapolated = false;
        exact = true;
        if (!r_.stopped) continue;
      }
      dual = dual_;
      changes.push_back(r_.change);
      const bool done = r_.change <= tol;
      if (done || r_.stopped) {
        settle(shift);
        if (last || r_.stopped) {
          r_.converged = done && last;
          r_.status = r_.converged ? "converged" : "stopped";
        }
        return;
      }
      settle(shift);
      if (last && at_floor(changes, largest)) {
        r_.status = "rounding floor";
        return;
      }
      extrapolated = false;
      for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) safe_[j] = g_[z(j)];
      // Mixing sees g alone; with a mass that is fixed the shift belongs to the state, and plain sweeps stay.
      if (last && o_.accelerate && o_.mass == 0) {
        if (!mixing && changes.size() >= 4) {
          const double rate = std::sqrt(changes.back() / changes[changes.size() - 3]);
          mixing = !(rate < 1) || std::log(tol / changes.back()) / std::log(rate) > 12;
        }
        if (mixing) {
          vector now = ex_.make_cols(), residual = ex_.make_cols(), mixed = ex_.make_cols();
          for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) {
            now[j] = before_[z(j)];
            residual[j] = g_[z(j)] - before_[z(j)];
          }
          extrapolated = anderson_.extrapolate(now, residual, mixed);
          for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) g_[z(j)] = mixed[j];
        }
      }
    }
  }

  // The change has not fallen for a while, and rounding of the log-scalings explains it.
  bool at_floor(const std::vector<double>& changes, double largest) const {
    constexpr std::ptrdiff_t window = 20;
    if (std::ssize(changes) < 2 * window) return false;
    const double recent = *std::min_element(changes.end() - window, changes.end()),
                 before = *std::min_element(changes.begin(), changes.end() - window);
    if (recent < 0.9 * before) return false;
    double bits = 1;
    for (std::ptrdiff_t i = 0; i < ex_.rows(); ++i) bits = std::max(bits, std::abs(phi_[i]));
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) bits = std::max(bits, std::abs(gamma_[j]));
    return recent <= 8 * Exec::unit_roundoff * bits * reg_ / (reg_ + largest);
  }

  // g becomes next_, both sides are shifted; before_ keeps the g that the sweep started from.
  void settle(double shift) {
    before_ = g_;
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) g_[z(j)] = next_[j];
    if (o_.mass > 0) {
      lambda_ += shift;
      mass_ *= std::exp(shift / reg_);
    } else if (shift != 0) {
      for (double& v : f_) v += shift;
      for (double& v : g_) v -= shift;
    }
  }

  // The t that maximises the dual of (f + t, g - t) (Sejourne, Vialard, Peyre, "Faster unbalanced optimal
  // transport: translation invariant Sinkhorn and 1-D Frank-Wolfe", 2022): both sides then have the same
  // mass. Newton on the logarithm of the ratio of the masses, which is linear in t where rho is one number a
  // side.
  double translation() const {
    double t = 0;
    for (int k = 0; k < 50; ++k) {
      const auto [mass_a, slope_a] = shifted(left_, f_, nullptr, t);
      const auto [mass_b, slope_b] = shifted(right_, {}, &next_, -t);
      const double apart = std::log(mass_a / mass_b);
      if (std::abs(apart) <= 16 * std::numeric_limits<double>::epsilon()) break;  // rounding, times rho
      const double step = apart / (slope_a / mass_a + slope_b / mass_b);
      if (!std::isfinite(step)) return 0;
      t += step;
      if (std::abs(step) <= 1e-14 * (reg_ + std::abs(t))) break;
    }
    return t;
  }
  // sum w e^{-(f + t)/rho} and sum w e^{-(f + t)/rho} / rho
  std::pair<double, double> shifted(const side& s, const std::vector<double>& f, const vector* g,
                                    double t) const {
    double mass = 0, slope = 0;
    for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(s.weight.size()); ++i) {
      const double inverse = s.rho.empty() ? 0.0 : 1 / s.rho[z(i)],
                   w = s.weight[z(i)] * std::exp(-((g ? (*g)[i] : f[z(i)]) + t) * inverse);
      mass += w;
      slope += w * inverse;
    }
    return {mass, slope};
  }

  static std::size_t z(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

  const context& ctx_;
  Exec& ex_;
  const relaxed_options& o_;
  side left_, right_;
  vector phi_, gamma_, rho_, next_, safe_;
  anderson<Exec> anderson_;
  std::vector<double> f_, g_, before_;
  double reg_ = 0, kappa_ = 0, lambda_ = 0, mass_ = 0, dual_ = 0;
  relaxed_result r_;
};

}  // namespace lapwing::ot
