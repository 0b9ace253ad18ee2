#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace lapwing::ot {

// Anderson acceleration of gamma <- gamma + rho in the norm weighted by b (type II, normal equations with a
// ridge). Exec offers make_cols(), cols() and b().
template <class Exec>
class anderson {
 public:
  using vector = typename Exec::vector;

  // gauge: a constant added to gamma changes nothing, and is left out of the residual
  explicit anderson(Exec& ex, bool gauge = true)
      : ex_(ex), gauge_(gauge), last_rho_(ex.make_cols()), last_next_(ex.make_cols()) {}

  void clear() {
    filled_ = position_ = 0;
    has_last_ = false;
  }

  // next = gamma + rho, extrapolated with what is remembered; returns whether it was.
  bool extrapolate(const vector& gamma, const vector& rho, vector& next) {
    const std::ptrdiff_t m = ex_.cols();
    const auto b = ex_.b();
    double mass = 0, mean = 0;
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      mass += b[j];
      mean += b[j] * rho[j];
    }
    mean = gauge_ ? mean / mass : 0.0;
    for (std::ptrdiff_t j = 0; j < m; ++j) next[j] = gamma[j] + rho[j];
    if (has_last_) remember(rho, mean, next);
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      last_rho_[j] = rho[j] - mean;
      last_next_[j] = next[j];
    }
    has_last_ = true;
    return filled_ > 0 && combine(next);
  }

 private:
  static constexpr int memory = 10;

  void remember(const vector& rho, double mean, const vector& next) {
    const std::ptrdiff_t m = ex_.cols();
    const int slot = position_;
    if (static_cast<int>(d_rho_.size()) <= slot) {
      d_rho_.push_back(ex_.make_cols());
      d_next_.push_back(ex_.make_cols());
    }
    auto &dr = d_rho_[static_cast<std::size_t>(slot)], &dn = d_next_[static_cast<std::size_t>(slot)];
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      dr[j] = rho[j] - mean - last_rho_[j];
      dn[j] = next[j] - last_next_[j];
    }
    position_ = (position_ + 1) % memory;
    filled_ = std::min(filled_ + 1, memory);
    for (int p = 0; p < filled_; ++p)
      gram_[slot][p] = gram_[p][slot] = dot(dr, d_rho_[static_cast<std::size_t>(p)]);
  }

  bool combine(vector& next) {
    const int k = filled_;
    auto s = gram_;
    std::array<double, memory> theta{};
    double trace = 0, size = 0;
    for (int p = 0; p < k; ++p) {
      theta[p] = dot(d_rho_[static_cast<std::size_t>(p)], last_rho_);
      trace += s[p][p];
    }
    for (int p = 0; p < k; ++p) s[p][p] += 1e-10 * trace;
    for (int p = 0; p < k; ++p) {  // Gaussian elimination: symmetric positive definite and tiny
      if (!(s[p][p] > 0)) return false;
      for (int r = p + 1; r < k; ++r) {
        const double factor = s[r][p] / s[p][p];
        for (int c = p; c < k; ++c) s[r][c] -= factor * s[p][c];
        theta[r] -= factor * theta[p];
      }
    }
    for (int p = k - 1; p >= 0; --p) {
      for (int c = p + 1; c < k; ++c) theta[p] -= s[p][c] * theta[c];
      theta[p] /= s[p][p];
      size += std::abs(theta[p]);
    }
    if (!(size <= 1e4)) return false;  // differences at the level of rounding
    for (int p = 0; p < k; ++p) {
      const auto& dn = d_next_[static_cast<std::size_t>(p)];
      for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) next[j] -= theta[p] * dn[j];
    }
    return true;
  }

  double dot(const vector& x, const vector& y) const {
    const auto b = ex_.b();
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < ex_.cols(); ++j) sum += b[j] * x[j] * y[j];
    return sum;
  }

  Exec& ex_;
  bool gauge_;
  std::vector<vector> d_rho_, d_next_;
  vector last_rho_, last_next_;
  std::array<std::array<double, memory>, memory> gram_{};
  int filled_ = 0, position_ = 0;
  bool has_last_ = false;
};

}  // namespace lapwing::ot
