// Entropic transport the slow way, in long double, for the tests: problems with their costs as a matrix,
// dense plans, and an executor for ot/driver.hpp, so that the very same driver runs on textbook loops.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <lapwing/ot.hpp>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "check.hpp"

namespace lapwing::test {

using std::ptrdiff_t;
using real = long double;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr real log2_e = 1.44269504088896340735992468100189214L,
               ln_2 = 0.693147180559945309417232121458176568L;

// Long double is slow under the emulator, which is there to show that the kernels run on an older processor.
inline bool too_slow() {
  if (emulated()) std::printf("     left out under the emulator\n");
  return emulated();
}

inline std::size_t at(ptrdiff_t i) { return static_cast<std::size_t>(i); }

// Uniform numbers whose sequence is fixed by the C++ standard (that of std::uniform_real_distribution is
// not).
class numbers {
 public:
  explicit numbers(std::uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * (static_cast<double>(engine_() >> 11) * 0x1p-53);
  }
  ptrdiff_t below(ptrdiff_t n) { return static_cast<ptrdiff_t>(engine_() % static_cast<std::uint64_t>(n)); }
  double normal() {  // near enough: the sum of twelve
    double s = -6;
    for (int k = 0; k < 12; ++k) s += uniform(0, 1);
    return s;
  }

 private:
  std::mt19937_64 engine_;
};

// Matrix in long double.
struct dense {
  ptrdiff_t n = 0, m = 0;
  std::vector<real> values;
  dense() = default;
  dense(ptrdiff_t n, ptrdiff_t m) : n(n), m(m), values(at(n * m)) {}
  real& operator()(ptrdiff_t i, ptrdiff_t j) { return values[at(i * m + j)]; }
  real operator()(ptrdiff_t i, ptrdiff_t j) const { return values[at(i * m + j)]; }
};

enum class kind { dense, sqeuclidean, euclidean, cosine, dot };
constexpr kind all_kinds[] = {kind::dense, kind::sqeuclidean, kind::euclidean, kind::cosine, kind::dot};

// A geometry with its memory. `gap` elements lie between the rows, filled with NaN.
template <class T>
class problem {
 public:
  problem(kind what, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, std::uint64_t seed, ptrdiff_t gap = 0) {
    numbers random(seed);
    const auto fill = [&](std::vector<T>& to, ptrdiff_t rows, ptrdiff_t cols, auto&& value) {
      to.assign(at(rows * (cols + gap)), std::numeric_limits<T>::quiet_NaN());
      for (ptrdiff_t i = 0; i < rows; ++i) {
        for (ptrdiff_t j = 0; j < cols; ++j) to[at(i * (cols + gap) + j)] = static_cast<T>(value());
      }
      return matrix_view<const T>(to.data(), rows, cols, cols + gap);
    };
    if (what == kind::dense) {
      geo = ot::geometry<T>::dense(fill(first_, n, m, [&] { return random.uniform(0, 1); }));
    } else {
      const double size = 1 / std::sqrt(static_cast<double>(d));
      const auto x = fill(first_, n, d, [&] { return random.normal() * size; });
      const auto y = fill(second_, m, d, [&] { return random.normal() * size + 0.1; });
      constexpr ot::metric metrics[] = {ot::metric::sqeuclidean, ot::metric::euclidean, ot::metric::cosine,
                                        ot::metric::dot};
      geo = ot::geometry<T>::points(x, y, metrics[static_cast<int>(what) - 1]);
    }
  }
  problem(const problem&) = delete;
  problem& operator=(const problem&) = delete;

  ot::geometry<T> geo;
  T& entry(ptrdiff_t i, ptrdiff_t j) { return first_[at(i * geo.cost.stride + j)]; }  // of a dense cost

 private:
  std::vector<T> first_, second_;
};

// The costs themselves, and in `size` what their rounding errors in a working type are proportional to.
struct exact_costs {
  dense cost;
  real size = 0;
};
template <class T>
exact_costs costs(const ot::geometry<T>& g) {
  exact_costs out;
  out.cost = dense(g.rows(), g.cols());
  for (ptrdiff_t i = 0; i < g.rows(); ++i) {
    for (ptrdiff_t j = 0; j < g.cols(); ++j) {
      real& c = out.cost(i, j);
      if (g.is_dense()) {
        c = g.cost(i, j);
        if (std::isfinite(c)) out.size = std::max(out.size, 3 * std::fabs(c));
        continue;
      }
      real xx = 0, yy = 0, xy = 0, distance = 0;
      for (ptrdiff_t k = 0; k < g.x.cols; ++k) {
        const real x = g.x(i, k), y = g.y(j, k);
        xx += x * x;
        yy += y * y;
        xy += x * y;
        distance += (x - y) * (x - y);
      }
      const real terms = static_cast<real>(g.x.cols + 6);
      switch (g.kind) {
        case ot::metric::sqeuclidean:
          c = distance;
          out.size = std::max(out.size, terms * (xx + yy));
          break;
        case ot::metric::euclidean:
          c = std::sqrt(distance);
          out.size = std::max(out.size, terms * std::sqrt(distance));
          break;
        case ot::metric::cosine:
          c = 1 - xy / std::sqrt(xx * yy);
          out.size = std::max(out.size, 2 * terms);
          break;
        case ot::metric::dot:
          c = -xy;
          out.size = std::max(out.size, terms * std::sqrt(xx * yy));
          break;
      }
    }
  }
  return out;
}

// P_ij = exp(u_i + v_j - C_ij / reg)
inline dense dense_plan(const dense& cost, double reg, std::span<const double> u, std::span<const double> v) {
  dense p(cost.n, cost.m);
  for (ptrdiff_t i = 0; i < cost.n; ++i) {
    for (ptrdiff_t j = 0; j < cost.m; ++j) {
      const real z = real(u[at(i)]) + real(v[at(j)]) - cost(i, j) / reg;
      p(i, j) = u[at(i)] == -infinity || v[at(j)] == -infinity ? 0 : std::exp(z);
    }
  }
  return p;
}
// P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg)
inline dense dense_plan(const dense& cost, double reg, std::span<const double> a, std::span<const double> b,
                        std::span<const double> f, std::span<const double> g) {
  dense p(cost.n, cost.m);
  for (ptrdiff_t i = 0; i < cost.n; ++i) {
    for (ptrdiff_t j = 0; j < cost.m; ++j) {
      p(i, j) = real(a[at(i)]) * b[at(j)] * std::exp((real(f[at(i)]) + g[at(j)] - cost(i, j)) / reg);
    }
  }
  return p;
}
inline real distance(const dense& p, const dense& q) {  // L1
  real s = 0;
  for (std::size_t k = 0; k < p.values.size(); ++k) s += std::fabs(p.values[k] - q.values[k]);
  return s;
}
inline real marginal_error(const dense& p, std::span<const double> a, std::span<const double> b) {
  real error = 0, mass = 0;
  std::vector<real> column(at(p.m));
  for (ptrdiff_t i = 0; i < p.n; ++i) {
    real row = 0;
    for (ptrdiff_t j = 0; j < p.m; ++j) {
      row += p(i, j);
      column[at(j)] += p(i, j);
    }
    error += std::fabs(row - a[at(i)]);
    mass += a[at(i)];
  }
  for (ptrdiff_t j = 0; j < p.m; ++j) error += std::fabs(column[at(j)] - b[at(j)]);
  return error / mass;
}

// The primitives of ot/driver.hpp by textbook loops in long double over a stored matrix of costs. Only the
// log-scalings that pass between driver and executor are double.
class naive_executor {
 public:
  using vector = std::vector<double>;
  static constexpr bool single_precision = false;
  static constexpr double unit_roundoff = 0x1p-53;

  naive_executor(const dense& cost, std::span<const double> a, std::span<const double> b)
      : cost_(cost), a_(a.begin(), a.end()), b_(b.begin(), b.end()) {
    for (const double x : a) log_a_.push_back(std::log2(x));
    for (const double x : b) log_b_.push_back(std::log2(x));
  }
  ptrdiff_t rows() const { return cost_.n; }
  ptrdiff_t cols() const { return cost_.m; }
  vector make_rows() const { return vector(at(cost_.n)); }
  vector make_cols() const { return vector(at(cost_.m)); }
  std::span<const double> a() const { return a_; }
  std::span<const double> b() const { return b_; }
  std::span<const double> log_a() const { return log_a_; }
  std::span<const double> log_b() const { return log_b_; }

  struct sweep_result {
    double row_error, column_error;
  };
  // phi <- phi + omega (row update - phi); rho = column update - gamma for the new phi; errors of (new phi,
  // gamma). A long double holds every sum of exponentials here, so `exact` makes no difference.
  sweep_result sweep(double kappa, double omega, bool, vector& phi, const vector& gamma, vector& rho) {
    real row_error = 0, column_error = 0;
    for (ptrdiff_t i = 0; i < cost_.n; ++i) {
      const real full =
          log_a_[at(i)] - log_sum(cost_.m, [&](ptrdiff_t j) { return gamma[at(j)] - kappa * cost_(i, j); });
      const real next = omega == 1 ? full : phi[at(i)] + omega * (full - phi[at(i)]);
      row_error += omega == 1 ? 0 : std::fabs(a_[at(i)] * (std::exp2(next - full) - 1));
      phi[at(i)] = static_cast<double>(next);
    }
    for (ptrdiff_t j = 0; j < cost_.m; ++j) {
      const real sum =
          gamma[at(j)] + log_sum(cost_.n, [&](ptrdiff_t i) { return phi[at(i)] - kappa * cost_(i, j); });
      rho[at(j)] = static_cast<double>(log_b_[at(j)] - sum);
      column_error += std::fabs(std::exp2(sum) - b_[at(j)]);
    }
    return {static_cast<double>(row_error), static_cast<double>(column_error)};
  }
  void marginals(double kappa, const vector& phi, const vector& gamma, std::span<double> row_sum,
                 std::span<double> column_sum) {
    for (ptrdiff_t i = 0; i < cost_.n; ++i) {
      row_sum[at(i)] = static_cast<double>(std::exp2(
          phi[at(i)] + log_sum(cost_.m, [&](ptrdiff_t j) { return gamma[at(j)] - kappa * cost_(i, j); })));
    }
    for (ptrdiff_t j = 0; j < cost_.m; ++j) {
      column_sum[at(j)] = static_cast<double>(std::exp2(
          gamma[at(j)] + log_sum(cost_.n, [&](ptrdiff_t i) { return phi[at(i)] - kappa * cost_(i, j); })));
    }
  }

 private:
  template <class Term>
  static real log_sum(ptrdiff_t n, Term&& term) {  // log2 sum 2^term
    real top = -infinity, sum = 0;
    for (ptrdiff_t k = 0; k < n; ++k) top = std::max(top, real(term(k)));
    if (top == -infinity) return top;
    for (ptrdiff_t k = 0; k < n; ++k) sum += std::exp2(term(k) - top);
    return top + std::log2(sum);
  }

  dense cost_;
  vector a_, b_, log_a_, log_b_;
};

}  // namespace lapwing::test
