// The balanced solver: closed forms, invariances, the same driver on a long double executor, certificates
// recomputed in long double, hard starts, weights and costs, threads, bad input.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <memory>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"
#include "ot/driver.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

using weights = std::vector<double>;

weights uniform(ptrdiff_t n) { return weights(at(n), 1.0 / static_cast<double>(n)); }
weights random_weights(numbers& random, ptrdiff_t n) {
  weights w(at(n));
  for (double& x : w) x = random.uniform(0.2, 1);
  const double sum = std::accumulate(w.begin(), w.end(), 0.0);
  for (double& x : w) x /= sum;
  return w;
}
// Two vectors of equal sums.
struct sides {
  weights a, b;
  sides(ptrdiff_t n, ptrdiff_t m, std::uint64_t seed) {
    numbers random(seed);
    a = random_weights(random, n);
    b = random_weights(random, m);
  }
};

struct solution {
  ot::result r;
  std::vector<double> f, g;
};
template <class T>
solution solve(const context& ctx, const ot::geometry<T>& geo, const weights& a, const weights& b,
               const ot::options& o) {
  solution s{{}, std::vector<double>(a.size()), std::vector<double>(b.size())};
  s.r = ot::solve<T>(ctx, geo, a, b, o, s.f, s.g);
  return s;
}
const context& one_thread() {
  static const context ctx({.threads = 1});
  return ctx;
}
// Factors of 4 from `high` to reg, as the Python layer has it.
std::vector<double> schedule(double high, double reg) {
  std::vector<double> s;
  for (double e = high; e > reg; e /= 4) s.push_back(e);
  s.push_back(reg);
  return s;
}

// What the solver says of the potentials that it returns must be true of them. `error` bounds the rounding of
// the row and column sums as the working type sees them.
bool certified(const dense& cost, double reg, const weights& a, const weights& b, const solution& s,
               double error) {
  const real truth = marginal_error(dense_plan(cost, reg, a, b, s.f, s.g), a, b);
  if (std::fabs(truth - s.r.marginal_error) <= error) return true;
  std::printf("     reported error %.6g, recomputed %.6Lg\n", s.r.marginal_error, truth);
  return false;
}
bool centred(const weights& a, const weights& b, const solution& s, double slack) {
  double left = 0, right = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) left += a[i] * s.f[i];
  for (std::size_t j = 0; j < b.size(); ++j) right += b[j] * s.g[j];
  for (std::size_t i = 0; i < a.size(); ++i) size += a[i] * std::fabs(s.f[i]);
  for (std::size_t j = 0; j < b.size(); ++j) size += b[j] * std::fabs(s.g[j]);
  return std::fabs(left - right) <= slack * size;
}
template <class T>
constexpr double unit = std::numeric_limits<T>::epsilon() / 2;

// The driver of the library on textbook loops.
solution solve_naively(const dense& cost, const weights& a, const weights& b, ot::options o) {
  naive_executor ex(cost, a, b);
  std::vector<double> phi(ex.log_a().begin(), ex.log_a().end()), gamma(ex.log_b().begin(), ex.log_b().end());
  o.init = true;
  ot::driver<naive_executor> driver(one_thread(), ex, o);
  solution s;
  s.r = driver.run(phi, gamma);
  const double kappa = std::numbers::log2e / o.schedule.back();
  for (std::size_t i = 0; i < a.size(); ++i) s.f.push_back((phi[i] - ex.log_a()[i]) / kappa);
  for (std::size_t j = 0; j < b.size(); ++j) s.g.push_back((gamma[j] - ex.log_b()[j]) / kappa);
  return s;
}

// Alternating updates in long double and nothing else, to the error given: shares no line with the library.
dense alternate(const dense& cost, double reg, const weights& a, const weights& b, real tolerance) {
  const ptrdiff_t n = cost.n, m = cost.m;
  std::vector<real> f(at(n)), g(at(m));
  dense p(n, m);
  for (int iteration = 0; iteration < 100000; ++iteration) {
    for (ptrdiff_t i = 0; i < n; ++i) {
      real top = -infinity, sum = 0;
      for (ptrdiff_t j = 0; j < m; ++j) top = std::max(top, (g[at(j)] - cost(i, j)) / reg);
      for (ptrdiff_t j = 0; j < m; ++j) sum += b[at(j)] * std::exp((g[at(j)] - cost(i, j)) / reg - top);
      f[at(i)] = -reg * (top + std::log(sum));
    }
    real error = 0;
    for (ptrdiff_t j = 0; j < m; ++j) {
      real top = -infinity, sum = 0;
      for (ptrdiff_t i = 0; i < n; ++i) top = std::max(top, (f[at(i)] - cost(i, j)) / reg);
      for (ptrdiff_t i = 0; i < n; ++i) sum += a[at(i)] * std::exp((f[at(i)] - cost(i, j)) / reg - top);
      const real next = -reg * (top + std::log(sum));
      error += b[at(j)] * std::fabs(std::expm1((g[at(j)] - next) / reg));
      g[at(j)] = next;
    }
    if (error <= tolerance) break;
  }
  for (ptrdiff_t i = 0; i < n; ++i) {
    for (ptrdiff_t j = 0; j < m; ++j)
      p(i, j) = real(a[at(i)]) * b[at(j)] * std::exp((f[at(i)] + g[at(j)] - cost(i, j)) / reg);
  }
  return p;
}

constexpr ot::acceleration accelerations[] = {ot::acceleration::none, ot::acceleration::anderson,
                                              ot::acceleration::sor};

template <class F>
void for_each_type(F&& f) {
  f(float());
  f(double());
}

}  // namespace

// ---- closed forms ----

TEST(two_by_two) {
  for_each_type([](auto t) {
    using T = decltype(t);
    problem<T> data(kind::dense, 2, 2, 0, 1);
    const weights half{0.5, 0.5};
    for (const double ratio : {1e-6, 0.1, 1.0, 5.0, 30.0, 300.0}) {  // c / reg
      for (const double reg : {1e-3, 1.0, 1e4}) {
        data.entry(0, 0) = data.entry(1, 1) = 0;
        data.entry(0, 1) = data.entry(1, 0) = static_cast<T>(ratio * reg);
        const double c = data.entry(0, 1);
        for (const auto accelerate : accelerations) {
          const solution s = solve<T>(one_thread(), data.geo, half, half,
                                      {.schedule = {reg}, .tol = 1e-6, .accelerate = accelerate});
          CHECK(s.r.converged && s.r.status == "converged");
          const real p = dense_plan(costs(data.geo).cost, reg, half, half, s.f, s.g)(0, 0);
          const real exact = 1 / (2 * (1 + std::exp(real(-c) / reg)));
          CHECK(std::fabs(p - exact) <= (4 + 2 * ratio) * unit<T> + (sizeof(T) == 4 ? 1e-6 : 1e-15));
        }
      }
    }
  });
}

TEST(equal_costs_give_the_product_in_one_sweep) {
  for_each_type([](auto t) {
    using T = decltype(t);
    for (const auto& [n, m] : {std::pair<ptrdiff_t, ptrdiff_t>{1, 1}, {1, 9}, {9, 1}, {33, 70}}) {
      problem<T> data(kind::dense, n, m, 0, 1);
      for (ptrdiff_t i = 0; i < n; ++i) {
        for (ptrdiff_t j = 0; j < m; ++j) data.entry(i, j) = T(0.75);
      }
      const sides w(n, m, 2);
      const solution s = solve<T>(one_thread(), data.geo, w.a, w.b, {.schedule = {0.1}, .tol = 1e-6});
      CHECK(s.r.converged && s.r.sweeps == 1 && s.r.history.size() == 1);
      for (const double f : s.f) CHECK(std::fabs(f - 0.375) <= 8 * unit<T>);
      for (const double g : s.g) CHECK(std::fabs(g - 0.375) <= 8 * unit<T>);
    }
  });
}

TEST(one_row_or_one_column_needs_no_iteration) {
  for_each_type([](auto t) {
    using T = decltype(t);
    for (const auto& [n, m] : {std::pair<ptrdiff_t, ptrdiff_t>{1, 1}, {1, 40}, {40, 1}}) {
      const problem<T> data(kind::sqeuclidean, n, m, 3, 5);
      const sides w(n, m, 2);
      const double reg = sizeof(T) == 4 ? 1.0 : 0.05;  // potentials rounded to float miss by 6e-8 cost / reg
      const solution s = solve<T>(one_thread(), data.geo, w.a, w.b,
                                  {.schedule = {reg}, .tol = sizeof(T) == 4 ? 1e-5 : 1e-12});
      CHECK(s.r.converged && s.r.sweeps <= 2);
      const dense p = dense_plan(costs(data.geo).cost, reg, w.a, w.b, s.f, s.g);
      for (ptrdiff_t i = 0; i < n; ++i) {
        for (ptrdiff_t j = 0; j < m; ++j) {
          const double exact = w.a[at(i)] * w.b[at(j)];
          CHECK(std::fabs(p(i, j) - exact) <= exact * (sizeof(T) == 4 ? 1e-5 : 1e-12));
        }
      }
    }
  });
}

TEST(large_reg_gives_the_product_of_the_weights) {
  const problem<double> data(kind::sqeuclidean, 30, 20, 2, 3);
  const sides w(30, 20, 4);
  const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, {.schedule = {1e9}, .tol = 1e-12});
  CHECK(s.r.converged);
  const dense p = dense_plan(costs(data.geo).cost, 1e9, w.a, w.b, s.f, s.g);
  for (ptrdiff_t i = 0; i < 30; ++i) {
    for (ptrdiff_t j = 0; j < 20; ++j) CHECK(std::fabs(p(i, j) / (w.a[at(i)] * w.b[at(j)]) - 1) <= 1e-7);
  }
}

// Janati, Muzellec, Peyre, Cuturi, "Entropic optimal transport between unbalanced Gaussian measures has a
// closed form" (2020): in one dimension, on a grid so fine that the difference is rounding.
TEST(gaussians_in_closed_form) {
  if (too_slow()) return;
  const ptrdiff_t n = 401;
  const double mean = 0.7, variance_x = 1.0, variance_y = 0.49, reg = 0.5;
  std::vector<double> x(at(n)), y(at(n)), a(at(n)), b(at(n));
  for (ptrdiff_t i = 0; i < n; ++i) {
    x[at(i)] = -10 + 20.0 * static_cast<double>(i) / static_cast<double>(n - 1);
    y[at(i)] = mean + 0.7 * x[at(i)];
    a[at(i)] = std::max(1e-40, std::exp(-x[at(i)] * x[at(i)] / 2));
    b[at(i)] = std::max(1e-40, std::exp(-(y[at(i)] - mean) * (y[at(i)] - mean) / (2 * variance_y)));
  }
  const double sum_a = std::accumulate(a.begin(), a.end(), 0.0),
               sum_b = std::accumulate(b.begin(), b.end(), 0.0);
  for (double& v : a) v /= sum_a;
  for (double& v : b) v /= sum_b;
  const auto geo = ot::geometry<double>::points({x.data(), n, 1}, {y.data(), n, 1}, ot::metric::sqeuclidean);
  const solution s = solve<double>(one_thread(), geo, a, b, {.schedule = {reg}, .tol = 1e-12});
  CHECK(s.r.converged);
  double value = 0;
  for (ptrdiff_t i = 0; i < n; ++i) value += a[at(i)] * s.f[at(i)] + b[at(i)] * s.g[at(i)];
  const double sigma2 = reg / 2, d = std::sqrt(4 * variance_x * variance_y + sigma2 * sigma2);
  const double exact = mean * mean + variance_x + variance_y - d + sigma2 * (1 - std::log(2 * sigma2)) +
                       sigma2 * std::log(d + sigma2);
  CHECK(std::fabs(value - exact) <= 1e-10);
}

// ---- against the same driver in long double, and against plain alternating updates ----

TEST(the_driver_on_the_naive_executor_takes_the_same_steps) {
  if (too_slow()) return;
  for (const kind what : all_kinds) {
    for (const auto accelerate : accelerations) {
      for (const double reg : {0.5, 0.05}) {
        const problem<double> data(what, 23, 37, 12, 11);
        const sides w(23, 37, 12);
        const dense cost = costs(data.geo).cost;
        const ot::options o{.schedule = schedule(1.0, reg),
                            .tol = 1e-9,
                            .max_iter = 400,
                            .accelerate = accelerate,
                            .solver = ot::method::sinkhorn};
        const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, o),
                       t = solve_naively(cost, w.a, w.b, o);
        CHECK(s.r.status == t.r.status && s.r.converged == t.r.converged && s.r.sweeps == t.r.sweeps);
        CHECK(s.r.history.size() == t.r.history.size() && s.r.history.size() == at(s.r.sweeps));
        bool same = true;
        for (std::size_t k = 0; k < std::min(s.r.history.size(), t.r.history.size()); ++k) {
          const auto &p = s.r.history[k], &q = t.r.history[k];
          // extrapolation amplifies rounding: 1e-5 of the error, or what rounding alone makes
          same = same && p.kind == q.kind && p.reg == q.reg &&
                 std::fabs(p.error - q.error) <= 1e-5 * q.error + 1e-12;
        }
        CHECK(same);
        for (std::size_t i = 0; i < 23; ++i) CHECK(std::fabs(s.f[i] - t.f[i]) <= 1e-9);
        for (std::size_t j = 0; j < 37; ++j) CHECK(std::fabs(s.g[j] - t.g[j]) <= 1e-9);
        CHECK(certified(cost, reg, w.a, w.b, s, 1e-12));
      }
    }
  }
}

TEST(the_plan_is_that_of_plain_alternating_updates) {
  if (too_slow()) return;
  const double reg = 0.1;
  for_each_type([&](auto t) {
    using T = decltype(t);
    const double tol = sizeof(T) == 4 ? 3e-6 : 1e-12;
    for (const kind what : all_kinds) {
      for (const auto& [n, d] : {std::pair<ptrdiff_t, ptrdiff_t>{17, 2}, {30, 12}, {30, 33}}) {
        const problem<T> data(what, n, 21, d, 21, 3);
        const sides w(n, 21, 22);
        const dense cost = costs(data.geo).cost, truth = alternate(cost, reg, w.a, w.b, 1e-15L);
        for (const auto accelerate : accelerations) {
          for (const bool scaled : {false, true}) {
            const solution s = solve<T>(one_thread(), data.geo, w.a, w.b,
                                        {.schedule = scaled ? schedule(2, reg) : std::vector<double>{reg},
                                         .tol = tol,
                                         .accelerate = accelerate});
            CHECK(s.r.converged && s.r.marginal_error <= tol);
            // the error of the plan is that of the marginals times at most 1 / (1 - sigma^2), here below 100
            CHECK(distance(dense_plan(cost, reg, w.a, w.b, s.f, s.g), truth) <= 100 * tol);
            CHECK(certified(cost, reg, w.a, w.b, s, sizeof(T) == 4 ? 3e-6 : 1e-13));
            CHECK(centred(w.a, w.b, s, sizeof(T) == 4 ? 1e-5 : 1e-12));
          }
        }
      }
    }
  });
}

TEST(float_potentials_are_floats) {
  const problem<float> data(kind::euclidean, 40, 30, 2, 31);
  const sides w(40, 30, 32);
  const solution s = solve<float>(one_thread(), data.geo, w.a, w.b, {.schedule = {0.1}, .tol = 1e-5});
  CHECK(s.r.converged);
  // what is certified survives the caller's conversion; the division by kappa costs the last bits of a double
  for (const double f : s.f) CHECK(std::fabs(f - static_cast<double>(static_cast<float>(f))) <= 1e-14);
  for (const double g : s.g) CHECK(std::fabs(g - static_cast<double>(static_cast<float>(g))) <= 1e-14);
}

// ---- invariances ----

TEST(invariances_of_the_plan) {
  if (too_slow()) return;
  const ptrdiff_t n = 26, m = 19;
  const double reg = 0.1;
  problem<double> data(kind::dense, n, m, 0, 41);
  const sides w(n, m, 42);
  const ot::options o{.schedule = {reg}, .tol = 1e-13};
  const dense cost = costs(data.geo).cost;
  const auto plan = [&](const ot::geometry<double>& geo, const weights& a, const weights& b, double e) {
    ot::options at_e = o;
    at_e.schedule = {e};
    const solution s = solve<double>(one_thread(), geo, a, b, at_e);
    CHECK(s.r.converged);
    return dense_plan(costs(geo).cost, e, a, b, s.f, s.g);
  };
  const dense p = plan(data.geo, w.a, w.b, reg);
  {  // C + u 1^T + 1 v^T
    problem<double> shifted(kind::dense, n, m, 0, 41);
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j)
        shifted.entry(i, j) += std::sin(static_cast<double>(i)) - 5.0 * std::cos(static_cast<double>(j));
    }
    CHECK(distance(plan(shifted.geo, w.a, w.b, reg), p) <= 1e-11);
  }
  for (const double scale : {1e-12, 1e-3, 1e7, 1e12}) {  // (s C, s reg)
    problem<double> scaled(kind::dense, n, m, 0, 41);
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) scaled.entry(i, j) *= scale;
    }
    CHECK(distance(plan(scaled.geo, w.a, w.b, scale * reg), p) <= 1e-11);
  }
  {  // mass: P is linear in (a, b)
    weights a = w.a, b = w.b;
    for (double& x : a) x *= 8;
    for (double& x : b) x *= 8;
    dense q = plan(data.geo, a, b, reg);
    for (real& x : q.values) x /= 8;
    CHECK(distance(q, p) <= 1e-11);
  }
  {  // rows in another order
    problem<double> turned(kind::dense, n, m, 0, 41);
    weights a(at(n));
    for (ptrdiff_t i = 0; i < n; ++i) {
      a[at(i)] = w.a[at((i * 7) % n)];
      for (ptrdiff_t j = 0; j < m; ++j) turned.entry(i, j) = static_cast<double>(cost((i * 7) % n, j));
    }
    const dense q = plan(turned.geo, a, w.b, reg);
    real difference = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) difference += std::fabs(q(i, j) - p((i * 7) % n, j));
    }
    CHECK(difference <= 1e-11);
  }
  {  // transposed
    problem<double> turned(kind::dense, m, n, 0, 1);
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) turned.entry(j, i) = static_cast<double>(cost(i, j));
    }
    const dense q = plan(turned.geo, w.b, w.a, reg);
    real difference = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) difference += std::fabs(q(j, i) - p(i, j));
    }
    CHECK(difference <= 1e-11);
  }
}

// Points far from the origin: the squared distance must not cancel.
TEST(translated_points_give_the_same_plan) {
  for (const ptrdiff_t d : {3, 20}) {
    const problem<double> data(kind::sqeuclidean, 25, 30, d, 51);
    const sides w(25, 30, 52);
    std::vector<double> x(at(25 * d)), y(at(30 * d));
    for (ptrdiff_t i = 0; i < 25 * d; ++i) x[at(i)] = data.geo.x.data[i] + 4096;
    for (ptrdiff_t j = 0; j < 30 * d; ++j) y[at(j)] = data.geo.y.data[j] + 4096;
    const auto moved =
        ot::geometry<double>::points({x.data(), 25, d}, {y.data(), 30, d}, ot::metric::sqeuclidean);
    const ot::options o{.schedule = {0.1}, .tol = 1e-11};
    const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, o),
                   t = solve<double>(one_thread(), moved, w.a, w.b, o);
    CHECK(s.r.converged && t.r.converged);
    const dense cost = costs(data.geo).cost;
    // coordinates of size 4096 are rounded to 2^-41
    CHECK(distance(dense_plan(cost, 0.1, w.a, w.b, s.f, s.g), dense_plan(cost, 0.1, w.a, w.b, t.f, t.g)) <=
          1e-9);
  }
}

TEST(strides_change_no_bit) {
  for_each_type([](auto t) {
    using T = decltype(t);
    for (const kind what : all_kinds) {
      const problem<T> tight(what, 20, 35, 9, 61, 0), loose(what, 20, 35, 9, 61, 6);
      const sides w(20, 35, 62);
      const ot::options o{.schedule = {0.2}, .tol = 1e-5};
      const solution s = solve<T>(one_thread(), tight.geo, w.a, w.b, o),
                     u = solve<T>(one_thread(), loose.geo, w.a, w.b, o);
      CHECK(s.f == u.f && s.g == u.g && s.r.sweeps == u.r.sweeps);
    }
  });
}

TEST(the_same_bits_for_any_number_of_threads) {
  for_each_type([](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = emulated() ? 300 : 800, m = emulated() ? 300 : 700;
    for (const auto& [what, d] :
         {std::pair<kind, ptrdiff_t>{kind::dense, 1}, {kind::sqeuclidean, 2}, {kind::euclidean, 20}}) {
      const problem<T> data(what, n, m, d, 71);
      const sides w(n, m, 72);
      for (const auto accelerate : accelerations) {
        solution first;
        for (const int threads : {1, 2, 3, 7}) {
          const context ctx({.threads = threads});
          const solution s = solve<T>(
              ctx, data.geo, w.a, w.b,
              {.schedule = schedule(0.5, 0.02), .tol = 1e-5, .max_iter = 12, .accelerate = accelerate});
          if (threads == 1) first = s;
          CHECK(s.f == first.f && s.g == first.g && s.r.sweeps == first.r.sweeps &&
                s.r.status == first.r.status);
          bool same = s.r.history.size() == first.r.history.size();
          for (std::size_t k = 0; same && k < s.r.history.size(); ++k)
            same = s.r.history[k].error == first.r.history[k].error;
          CHECK(same);
        }
      }
    }
  });
}

// ---- hard cases ----

TEST(potentials_far_off_are_a_start_like_any_other) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    const double reg = 0.1, tol = sizeof(T) == 4 ? 1e-5 : 1e-10;
    for (const kind what : {kind::dense, kind::sqeuclidean}) {
      const problem<T> data(what, 40, 30, 3, 81);
      const sides w(40, 30, 82);
      const dense cost = costs(data.geo).cost, truth = alternate(cost, reg, w.a, w.b, 1e-15L);
      for (const double size : {1.0, 1e3, 1e6}) {
        for (const double gauge : {0.0, 1e4, -1e8}) {
          numbers random(83);
          solution s{{}, std::vector<double>(40), std::vector<double>(30)};
          for (double& f : s.f) f = random.uniform(-1, 1) * size * reg + gauge;
          for (double& g : s.g) g = random.uniform(-1, 1) * size * reg - gauge;
          s.r = ot::solve<T>(one_thread(), data.geo, w.a, w.b, {.schedule = {reg}, .tol = tol, .init = true},
                             s.f, s.g);
          CHECK(s.r.converged);
          CHECK(distance(dense_plan(cost, reg, w.a, w.b, s.f, s.g), truth) <= 100 * tol);
          CHECK(centred(w.a, w.b, s, sizeof(T) == 4 ? 1e-5 : 1e-12));
        }
      }
    }
  });
}

TEST(a_solution_is_a_start_that_is_kept) {
  const problem<double> data(kind::sqeuclidean, 60, 50, 2, 91);
  const sides w(60, 50, 92);
  const ot::options o{.schedule = {0.02}, .tol = 1e-9};
  solution s = solve<double>(one_thread(), data.geo, w.a, w.b, o);
  CHECK(s.r.converged && s.r.sweeps > 5);
  ot::options again = o;
  again.init = true;
  const std::vector<double> f = s.f;
  s.r = ot::solve<double>(one_thread(), data.geo, w.a, w.b, again, s.f, s.g);
  CHECK(s.r.converged && s.r.sweeps == 1);
  for (std::size_t i = 0; i < 60; ++i) CHECK(std::fabs(s.f[i] - f[i]) <= 1e-9);
}

TEST(costs_over_twelve_orders_of_magnitude) {
  if (too_slow()) return;
  const ptrdiff_t n = 24, m = 31;
  problem<double> data(kind::dense, n, m, 0, 1);
  numbers random(101);
  for (ptrdiff_t i = 0; i < n; ++i) {
    for (ptrdiff_t j = 0; j < m; ++j) data.entry(i, j) = std::pow(10.0, random.uniform(-9, 3));
  }
  const sides w(n, m, 102);
  const dense cost = costs(data.geo).cost;
  for (const double reg : {1e3, 1.0, 1e-1, 1e-2}) {
    for (const bool scaled : {false, true}) {
      const solution s = solve<double>(one_thread(), data.geo, w.a, w.b,
                                       {.schedule = scaled ? schedule(1e3, reg) : std::vector<double>{reg},
                                        .tol = 1e-8,
                                        .max_iter = 20000});
      // a small reg may take more sweeps than that; what is said must be true either way
      CHECK(s.r.converged == (s.r.marginal_error <= 1e-8));
      CHECK(certified(cost, reg, w.a, w.b, s, 1e-11 + 1e-16 * 1e3 / reg));
      CHECK(s.r.converged || reg < 1);
      for (const double f : s.f) CHECK(std::isfinite(f));
    }
  }
}

TEST(weights_over_twelve_orders_of_magnitude) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = 50, m = 41;
    const problem<T> data(kind::sqeuclidean, n, m, 2, 111);
    sides w(n, m, 112);
    numbers random(113);
    for (double& x : w.a) x = std::pow(10.0, random.uniform(-12, 0));
    for (double& x : w.b) x = std::pow(10.0, random.uniform(-12, 0));
    w.a[0] = w.b[0] = 1;
    const double ratio =
        std::accumulate(w.a.begin(), w.a.end(), 0.0) / std::accumulate(w.b.begin(), w.b.end(), 0.0);
    for (double& x : w.b) x *= ratio;
    const double tol = sizeof(T) == 4 ? 1e-5 : 1e-10;
    const dense cost = costs(data.geo).cost;
    for (const double reg : {1.0, 0.1}) {
      const solution s =
          solve<T>(one_thread(), data.geo, w.a, w.b, {.schedule = schedule(4, reg), .tol = tol});
      CHECK(s.r.converged);
      CHECK(certified(cost, reg, w.a, w.b, s, sizeof(T) == 4 ? 3e-6 : 1e-13));
      CHECK(distance(dense_plan(cost, reg, w.a, w.b, s.f, s.g), alternate(cost, reg, w.a, w.b, 1e-15L)) <=
            1e3 * tol);
      // the smallest row is served too
      const std::size_t least =
          static_cast<std::size_t>(std::min_element(w.a.begin(), w.a.end()) - w.a.begin());
      real row = 0;
      const dense p = dense_plan(cost, reg, w.a, w.b, s.f, s.g);
      for (ptrdiff_t j = 0; j < m; ++j) row += p(static_cast<ptrdiff_t>(least), j);
      CHECK(std::fabs(row / w.a[least] - 1) <= 1e-3);
    }
  });
}

TEST(a_difference_of_the_masses_below_the_limit_is_removed) {
  const problem<double> data(kind::sqeuclidean, 30, 20, 2, 121);
  sides w(30, 20, 122);
  for (double& x : w.b) x *= 1 + 9e-7;
  const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, {.schedule = {0.1}, .tol = 1e-10});
  CHECK(s.r.converged && s.r.sweeps < 200);
}

TEST(forbidden_pairs_carry_nothing) {
  for_each_type([](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = 30, m = 30;
    problem<T> data(kind::dense, n, m, 0, 131);
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) {
        if ((i + 2 * j) % 3 == 1 && i != j) data.entry(i, j) = std::numeric_limits<T>::infinity();
      }
    }
    const sides w(n, m, 132);
    const dense cost = costs(data.geo).cost;
    const double tol = sizeof(T) == 4 ? 1e-5 : 1e-10;
    const solution s = solve<T>(one_thread(), data.geo, w.a, w.b, {.schedule = schedule(1, 0.1), .tol = tol});
    CHECK(s.r.converged);
    CHECK(certified(cost, 0.1, w.a, w.b, s, sizeof(T) == 4 ? 3e-6 : 1e-13));
  });
}

TEST(a_problem_without_a_plan_is_reported) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    constexpr T inf = std::numeric_limits<T>::infinity();
    const weights a = uniform(12), b = uniform(9);
    std::vector<double> f(12, -7), g(9, -7);
    const auto run = [&](const ot::geometry<T>& geo) {
      return ot::solve<T>(one_thread(), geo, a, b, {.schedule = {0.5, 0.1}}, f, g).sweeps;
    };
    problem<T> row(kind::dense, 12, 9, 0, 1), column(kind::dense, 12, 9, 0, 1);
    for (ptrdiff_t j = 0; j < 9; ++j) row.entry(7, j) = inf;
    for (ptrdiff_t i = 0; i < 12; ++i) column.entry(i, 4) = inf;
    CHECK_THROWS(std::invalid_argument, run(row.geo), "row 7 of the cost has no finite entry");
    CHECK_THROWS(std::invalid_argument, run(column.geo), "column 4 of the cost has no finite entry");
    for (const double x : f) CHECK(x == -7);
    for (const double x : g) CHECK(x == -7);

    // Every row and column has a finite entry, but eleven rows share one column: no plan. It must end,
    // unconverged.
    problem<T> infeasible(kind::dense, 12, 9, 0, 1);
    for (ptrdiff_t i = 0; i < 11; ++i) {
      for (ptrdiff_t j = 1; j < 9; ++j) infeasible.entry(i, j) = inf;
    }
    for (const auto accelerate : accelerations) {
      const ot::result r = ot::solve<T>(one_thread(), infeasible.geo, a, b,
                                        {.schedule = {0.1}, .max_iter = 300, .accelerate = accelerate}, f, g);
      CHECK(!r.converged && r.marginal_error > 1 && std::isfinite(r.marginal_error) && r.sweeps <= 301);
      for (const double x : f) CHECK(std::isfinite(x));
      for (const double x : g) CHECK(std::isfinite(x));
    }
  });
}

// ---- stopping ----

TEST(an_unmet_tolerance_is_said) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    const problem<T> data(kind::sqeuclidean, 60, 70, 2, 141);
    const sides w(60, 70, 142);
    const dense cost = costs(data.geo).cost;
    for (const auto accelerate : accelerations) {
      for (const ptrdiff_t most : {1, 2, 3, 7, 20}) {
        for (const bool scaled : {false, true}) {
          const solution s = solve<T>(one_thread(), data.geo, w.a, w.b,
                                      {.schedule = scaled ? schedule(4, 0.01) : std::vector<double>{0.01},
                                       .tol = sizeof(T) == 4 ? 1e-5 : 1e-9,
                                       .max_iter = most,
                                       .accelerate = accelerate,
                                       .solver = ot::method::sinkhorn});
          CHECK(!s.r.converged && s.r.status == "max_iter");
          CHECK(s.r.sweeps >= most && s.r.sweeps <= most + 1 && s.r.history.size() == at(s.r.sweeps));
          // the last sweep is at the last reg and leaves exact rows
          CHECK(s.r.marginal_error <= 2.0 + 1e-5);
          CHECK(certified(cost, 0.01, w.a, w.b, s, sizeof(T) == 4 ? 1e-4 : 1e-11));
        }
      }
    }
  });
}

TEST(the_rounding_floor_ends_the_run) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    const problem<T> data(kind::sqeuclidean, 50, 40, 2, 151);
    const sides w(50, 40, 152);
    for (const auto accelerate : accelerations) {
      const solution s = solve<T>(one_thread(), data.geo, w.a, w.b,
                                  {.schedule = {0.5}, .tol = 1e-20, .accelerate = accelerate});
      CHECK(!s.r.converged && s.r.sweeps < 1000);
      CHECK(s.r.status.rfind("rounding floor ", 0) == 0 || s.r.status == "max_iter");
      CHECK(s.r.marginal_error <= (sizeof(T) == 4 ? 1e-5 : 1e-14));
      std::printf("     %s: %s after %td sweeps\n", sizeof(T) == 4 ? "float" : "double", s.r.status.c_str(),
                  s.r.sweeps);
    }
  });
}

TEST(progress_can_stop_the_run_anywhere) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    const problem<T> data(kind::sqeuclidean, 50, 60, 2, 161);
    const sides w(50, 60, 162);
    const dense cost = costs(data.geo).cost;
    for (const auto accelerate : accelerations) {
      for (const ptrdiff_t when : {1, 2, 3, 6, 10}) {
        ptrdiff_t calls = 0, last = 0;
        const context ctx({.threads = 1, .progress = [&](const progress_info& p) {
                             ++calls;
                             last = p.iteration;
                             CHECK(std::string(p.stage) == "sinkhorn" && p.iteration == calls);
                             return p.iteration >= when;
                           }});
        const solution s = solve<T>(ctx, data.geo, w.a, w.b,
                                    {.schedule = schedule(8, 0.02), .tol = 1e-5, .accelerate = accelerate});
        CHECK(s.r.stopped && !s.r.converged && s.r.status == "stopped");
        CHECK(s.r.sweeps >= when && s.r.sweeps <= when + 1 && last == s.r.sweeps);
        CHECK(s.r.marginal_error <= 2.0 + 1e-5);  // rows are exact: a plan of the reg that was asked for
        CHECK(certified(cost, 0.02, w.a, w.b, s, sizeof(T) == 4 ? 1e-4 : 1e-11));
      }
    }
  });
}

TEST(cancelling_leaves_the_potentials_alone) {
  const problem<float> data(kind::sqeuclidean, 200, 200, 2, 171);
  const weights w = uniform(200);
  for (const int threads : {1, 3}) {
    std::vector<double> f(200, -7), g(200, -7);
    int asked = 0;
    const context ctx({.threads = threads, .should_stop = [&] { return ++asked > 5; }});
    CHECK_THROWS(cancelled, ot::solve<float>(ctx, data.geo, w, w, {.schedule = {1e-3}, .tol = 1e-12}, f, g),
                 "cancelled");
    for (const double x : f) CHECK(x == -7);
    for (const double x : g) CHECK(x == -7);
  }
}

// ---- bad input ----

TEST(bad_input_is_named_before_anything_is_written) {
  const problem<double> data(kind::sqeuclidean, 6, 4, 2, 1);
  const weights a = uniform(6), b = uniform(4);
  std::vector<double> f(6, -7), g(4, -7);
  const context& ctx = one_thread();
  using bad = std::invalid_argument;
  const auto run = [&](const weights& x, const weights& y, const ot::options& o) {
    return ot::solve<double>(ctx, data.geo, x, y, o, f, g).sweeps;
  };
  const ot::options good{.schedule = {0.1}};
  const auto with = [&](auto&& change) {
    ot::options o = good;
    change(o);
    return o;
  };
  CHECK_THROWS(bad, run(b, b, good), "a must have length 6, got 4");
  CHECK_THROWS(bad, run(a, a, good), "b must have length 4, got 6");
  for (const double x : {0.0, -0.1, infinity, std::nan("")}) {
    weights spoiled = a;
    spoiled[3] = x;
    CHECK_THROWS(bad, run(spoiled, b, good), "a must be positive and finite");
    CHECK_THROWS(bad, run(spoiled, b, good), "at 3");
    spoiled = b;
    spoiled[2] = x;
    CHECK_THROWS(bad, run(a, spoiled, good), "b must be positive and finite");
  }
  weights heavier = b;
  heavier[0] += 2e-6;
  CHECK_THROWS(bad, run(a, heavier, good), "a and b must have equal sums, got 1 and 1.000002");
  const weights huge(6, 1e308), huge_b(4, 1e308);  // their sums overflow
  CHECK_THROWS(bad, run(huge, huge_b, good), "equal sums");
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.schedule.clear(); })), "schedule must hold at least reg");
  for (const double reg : {0.0, -1.0, infinity, std::nan("")}) {
    CHECK_THROWS(bad, run(a, b, with([&](auto& o) { o.schedule = {reg}; })), "reg must be > 0 and finite");
  }
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.schedule = {0.1, 0.1}; })), "schedule must decrease");
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.schedule = {0.1, 0.2}; })), "schedule must decrease");
  for (const double tol : {0.0, -1e-6, std::nan("")}) {
    CHECK_THROWS(bad, run(a, b, with([&](auto& o) { o.tol = tol; })), "tol must be > 0");
  }
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.max_iter = 0; })), "max_iter must be >= 1, got 0");
  CHECK_THROWS(bad, ot::solve<double>(ctx, data.geo, a, b, good, g, g),
               "f and g must have lengths 6 and 4, got 4 and 4");
  ot::geometry<double> mixed = data.geo;
  mixed.y.cols = 1;
  CHECK_THROWS(bad, ot::solve<double>(ctx, mixed, a, b, good, f, g),
               "x and y must have as many columns, got 2 and 1");
  const ot::geometry<double> none = ot::geometry<double>::dense({a.data(), 0, 4});
  CHECK_THROWS(bad, ot::solve<double>(ctx, none, {}, b, good, std::span(f).first(0), g),
               "at least one row and one column");
  for (const double x : f) CHECK(x == -7);
  for (const double x : g) CHECK(x == -7);
  f[2] = std::nan("");
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.init = true; })),
               "f must be finite to start from, got nan at 2");
  f[2] = -7;
  g[1] = infinity;
  CHECK_THROWS(bad, run(a, b, with([](auto& o) { o.init = true; })),
               "g must be finite to start from, got inf at 1");
  // log2(e) / reg must be a normal number of the working type
  const problem<float> single(kind::sqeuclidean, 6, 4, 2, 1);
  for (const double reg : {1e-40, 1e40}) {
    CHECK_THROWS(bad,
                 ot::solve<float>(ctx, single.geo, a, b, with([&](auto& o) { o.schedule = {reg}; }), f, g),
                 "for the type of the cost");
  }
}

TEST(newton_reaches_small_regularisations) {
  if (too_slow()) return;
  for_each_type([](auto t) {
    using T = decltype(t);
    constexpr bool single = sizeof(T) == 4;
    const double reg = single ? 5e-3 : 1e-3, tol = single ? 1e-5 : 1e-10;
    for (const kind what : {kind::dense, kind::sqeuclidean, kind::euclidean}) {
      const problem<T> data(what, 70, 60, 3, 91);
      const sides w(70, 60, 92);
      ot::options o{.schedule = schedule(4, reg), .tol = tol};
      o.solver = ot::method::newton;
      const solution s = solve<T>(one_thread(), data.geo, w.a, w.b, o);
      CHECK(s.r.converged && s.r.newton_steps > 0 && s.r.sweeps < 100);
      CHECK(certified(costs(data.geo).cost, reg, w.a, w.b, s, single ? 2e-3 : 1e-9));
      CHECK(centred(w.a, w.b, s, 1e-6));
    }
  });
}

TEST(newton_without_memory_is_sweeps) {
  const problem<double> data(kind::sqeuclidean, 40, 40, 2, 93);
  const sides w(40, 40, 94);
  ot::options o{.schedule = schedule(4, 0.02), .tol = 1e-8};
  o.max_bytes = 0;
  const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, o);
  CHECK(s.r.converged && s.r.newton_steps == 0);
}

// At the optimum P 1 = a exp(-f / rho) and P^T 1 = b exp(-g / rho); with a mass, its sum and the bounds.
TEST(relaxed_marginals_follow_the_potentials) {
  const problem<double> data(kind::sqeuclidean, 30, 25, 3, 95);
  sides w(30, 25, 96);
  for (double& v : w.b) v *= 1.4;
  const dense cost = costs(data.geo).cost;
  const double reg = 0.1;
  std::vector<double> f(30), g(25), rho_a(30, 0.5), rho_b(25, 2.0);
  rho_b[3] = infinity;
  ot::relaxed_options o{.schedule = schedule(4, reg), .tol = 1e-13};
  o.rho_a = rho_a;
  o.rho_b = rho_b;
  const auto r = ot::solve_relaxed<double>(one_thread(), data.geo, w.a, w.b, o, f, g);
  CHECK(r.converged);
  dense p = dense_plan(cost, reg, w.a, w.b, f, g);
  for (ptrdiff_t i = 0; i < 30; ++i) {
    real sum = 0;
    for (ptrdiff_t j = 0; j < 25; ++j) sum += p(i, j);
    CHECK(std::fabs(sum - w.a[at(i)] * std::exp(-f[at(i)] / 0.5)) <= 1e-12);
  }
  for (ptrdiff_t j = 0; j < 25; ++j) {
    real sum = 0;
    for (ptrdiff_t i = 0; i < 30; ++i) sum += p(i, j);
    CHECK(std::fabs(sum - w.b[at(j)] * std::exp(-g[at(j)] / rho_b[at(j)])) <= 1e-12);
  }
  ot::relaxed_options partial{.schedule = schedule(4, reg), .tol = 1e-13};
  partial.mass = 0.6;
  CHECK(ot::solve_relaxed<double>(one_thread(), data.geo, w.a, w.b, partial, f, g).converged);
  p = dense_plan(cost, reg, w.a, w.b, f, g);
  real total = 0;
  for (ptrdiff_t i = 0; i < 30; ++i) {
    real sum = 0;
    for (ptrdiff_t j = 0; j < 25; ++j) sum += p(i, j);
    CHECK(sum <= w.a[at(i)] * (1 + 1e-10));
    total += sum;
  }
  CHECK(std::fabs(total - 0.6) <= 1e-10);
  partial.mass = 7;
  CHECK_THROWS(std::invalid_argument,
               ot::solve_relaxed<double>(one_thread(), data.geo, w.a, w.b, partial, f, g), "mass must be");
}

TEST(scaling_where_reg_is_small_alone) {
  using levels = std::vector<double>;
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(ot::scaling_levels(100, 1) == levels{1});
  CHECK(ot::scaling_levels(-infinity, 1) == levels{1});  // of costs that are all forbidden
  CHECK_THROWS(std::invalid_argument, ot::scaling_levels(infinity, 1),
               "the range of the costs must be finite");
  CHECK_THROWS(std::invalid_argument, ot::scaling_levels(std::nan(""), 1), "the range of the costs");
  CHECK_THROWS(std::invalid_argument, ot::scaling_levels(1, 0), "reg must be > 0");
  CHECK((ot::scaling_levels(160, 1) == levels{160, 40, 10, 2.5, 1}));
  problem<double> p(kind::sqeuclidean, 12, 9, 2, 3);
  const sides w(12, 9, 4);
  const ot::interval range = ot::range<double>(one_thread(), p.geo);
  for (const double reg : {range.high / 50, range.high / 150}) {
    std::vector<double> f(12), g(9);
    const std::vector<ot::batch_item<double>> items{{p.geo, w.a, w.b, f, g}};
    ot::solve_batch<double>(one_thread(), items, reg, true, {.tol = 1e-10});
    const solution s =
        solve<double>(one_thread(), p.geo, w.a, w.b,
                      {.schedule = ot::scaling_levels(range.high - range.low, reg), .tol = 1e-10});
    CHECK(s.f == f && s.g == g);
  }
}

TEST(a_batch_is_a_loop) {
  std::vector<std::unique_ptr<problem<float>>> data;
  std::vector<sides> w;
  std::vector<std::vector<double>> f, g;
  for (std::uint64_t k = 0; k < 5; ++k) {
    data.push_back(
        std::make_unique<problem<float>>(kind::sqeuclidean, 10 + static_cast<ptrdiff_t>(k), 12, 2, k));
    w.emplace_back(10 + static_cast<ptrdiff_t>(k), 12, 100 + k);
    f.emplace_back(10 + k);
    g.emplace_back(12);
  }
  std::vector<ot::batch_item<float>> items;
  for (std::size_t k = 0; k < 5; ++k) items.push_back({data[k]->geo, w[k].a, w[k].b, f[k], g[k]});
  const context two({.threads = 2});
  const auto results = ot::solve_batch<float>(two, items, 0.2, false, {.tol = 1e-5});
  for (std::size_t k = 0; k < 5; ++k) {
    const solution s =
        solve<float>(one_thread(), data[k]->geo, w[k].a, w[k].b, {.schedule = {0.2}, .tol = 1e-5});
    CHECK(results[k].converged && s.f == f[k] && s.g == g[k]);
  }
  std::vector<std::vector<float>> entries;
  std::vector<matrix_view<float>> plans;
  for (std::size_t k = 0; k < 5; ++k) {
    entries.emplace_back((10 + k) * 12);
    plans.push_back({entries[k].data(), 10 + static_cast<ptrdiff_t>(k), 12});
  }
  ot::batch_plans<float>(two, items, 0.2, plans);
  for (std::size_t k = 0; k < 5; ++k)
    for (ptrdiff_t i = 0; i < plans[k].rows; ++i) {
      double sum = 0;
      for (ptrdiff_t j = 0; j < 12; ++j) sum += static_cast<double>(plans[k](i, j));
      CHECK(std::abs(sum - w[k].a[static_cast<std::size_t>(i)]) < 2e-5);
    }
  CHECK_THROWS(std::invalid_argument, ot::batch_plans<float>(two, items, 0.0, plans), "reg must be");
  std::vector<float> far(4, std::numeric_limits<float>::infinity());
  items[3].costs.y = matrix_view<const float>{far.data(), 2, 2};
  const std::vector<double> two_points(2, std::accumulate(w[3].a.begin(), w[3].a.end(), 0.0) / 2);
  std::vector<double> two_potentials(2);
  items[3].b = two_points;
  items[3].g = two_potentials;
  CHECK_THROWS(std::invalid_argument, ot::solve_batch<float>(two, items, 0.2, true, {.tol = 1e-5}),
               "the costs of item 3 must be finite");
  std::swap(plans[0], plans[1]);
  CHECK_THROWS(std::invalid_argument, ot::batch_plans<float>(two, items, 0.2, plans),
               "out[0] must have 10 rows");
}

TEST(a_batch_of_relaxed_problems_is_a_loop) {
  std::vector<std::unique_ptr<problem<double>>> data;
  std::vector<sides> w;
  std::vector<std::vector<double>> f, g;
  for (std::uint64_t k = 0; k < 4; ++k) {
    data.push_back(
        std::make_unique<problem<double>>(kind::sqeuclidean, 10 + static_cast<ptrdiff_t>(k), 12, 2, k));
    w.emplace_back(10 + static_cast<ptrdiff_t>(k), 12, 100 + k);
    f.emplace_back(10 + k);
    g.emplace_back(12);
  }
  std::vector<ot::batch_item<double>> items;
  for (std::size_t k = 0; k < 4; ++k) items.push_back({data[k]->geo, w[k].a, w[k].b, f[k], g[k]});
  std::vector<double> rho_a(13), rho_b(12, std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < rho_a.size(); ++i) rho_a[i] = 0.3 + 0.1 * static_cast<double>(i);
  const context two({.threads = 2});
  ot::relaxed_options o{.tol = 1e-10, .rho_a = rho_a, .rho_b = rho_b};
  const auto results = ot::solve_relaxed_batch<double>(two, items, 0.2, false, o);
  for (std::size_t k = 0; k < 4; ++k) {
    ot::relaxed_options alone = o;
    alone.schedule = {0.2};
    alone.rho_a = std::span<const double>(rho_a).first(10 + k);
    std::vector<double> f1(10 + k), g1(12);
    const auto r = ot::solve_relaxed<double>(one_thread(), data[k]->geo, w[k].a, w[k].b, alone, f1, g1);
    CHECK(r.converged && results[k].converged && results[k].sweeps == r.sweeps && f1 == f[k] && g1 == g[k]);
  }
  o.rho_a = std::span<const double>(rho_a).first(12);
  CHECK_THROWS(std::invalid_argument, ot::solve_relaxed_batch<double>(two, items, 0.2, false, o),
               "rho_a must be as long as the longest problem, 13, got 12");
}

// Small problems keep the entries of the plan and only scale them. Weights that leave the range of those, and
// potentials that move far from a bad start, must lead to the same answer as exponentials do.
template <class T>
void kept_entries(double low) {
  const problem<T> data(kind::sqeuclidean, 40, 30, 2, 5);
  sides w(40, 30, 9);
  w.a[3] *= low;
  w.b[7] *= low;
  const double left = std::accumulate(w.a.begin(), w.a.end(), 0.0),
               right = std::accumulate(w.b.begin(), w.b.end(), 0.0);
  for (double& v : w.b) v *= left / right;
  const double tol = sizeof(T) == 4 ? 2e-6 : 1e-12;
  const ot::options plain{.schedule = {0.3}, .tol = tol};
  const solution found = solve<T>(one_thread(), data.geo, w.a, w.b, plain);
  CHECK(found.r.converged);
  ot::options warm = plain;
  warm.init = true;
  std::vector<double> f(40), g(30);
  for (std::size_t i = 0; i < 40; ++i) f[i] = i % 2 == 0 ? 30 : -30;
  for (std::size_t j = 0; j < 30; ++j) g[j] = j % 3 == 0 ? 40 : -20;
  CHECK(ot::solve<T>(one_thread(), data.geo, w.a, w.b, warm, f, g).converged);
  for (std::size_t i = 0; i < 40; ++i) CHECK(std::abs(f[i] - found.f[i]) < 20 * tol / std::min(low, 1e-3));
}
TEST(kept_entries_of_weights_far_apart) {
  kept_entries<float>(1);
  kept_entries<float>(1e-4);
  kept_entries<double>(1);
  kept_entries<double>(1e-6);
}
TEST(kept_entries_out_of_range) {  // the light point has the potential that its row asks for, all the same
  const problem<double> data(kind::sqeuclidean, 40, 30, 2, 5);
  sides w(40, 30, 9);
  w.a[3] = 1e-250;
  const double left = std::accumulate(w.a.begin(), w.a.end(), 0.0),
               right = std::accumulate(w.b.begin(), w.b.end(), 0.0);
  for (double& v : w.b) v *= left / right;
  const solution s = solve<double>(one_thread(), data.geo, w.a, w.b, {.schedule = {0.3}, .tol = 1e-12});
  CHECK(s.r.converged);
  std::vector<double> own(40);
  std::vector<double> h(30);
  for (std::size_t j = 0; j < 30; ++j) h[j] = s.g[j] + 0.3 * std::log(w.b[j]);
  ot::softmin<double>(one_thread(), data.geo, h, 0.3, own, false);
  CHECK(std::abs(s.f[3] - own[3]) < 1e-10);
}

TEST(doubly_stochastic_scaling) {
  const problem<double> data(kind::sqeuclidean, 60, 60, 3, 11);
  ot::geometry<double> own = ot::geometry<double>::points(data.geo.x, data.geo.x, ot::metric::sqeuclidean);
  own.hollow = true;
  std::vector<double> r(60), d(60), stored(60), entries(60 * 59), values;
  for (std::size_t i = 0; i < 60; ++i) r[i] = 0.5 + static_cast<double>(i % 3);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;
  for (ptrdiff_t i = 0; i < 60; ++i) {
    for (ptrdiff_t j = 0; j < 60; ++j) {
      if (i == j) continue;
      double c = 0;
      for (ptrdiff_t k = 0; k < own.x.cols; ++k)
        c += (own.x(i, k) - own.x(j, k)) * (own.x(i, k) - own.x(j, k));
      indices.push_back(static_cast<std::int32_t>(j));
      values.push_back(std::exp(-c / 0.4));
    }
    offsets.push_back(std::ssize(indices));
  }
  const csr_view<const double> kernel{offsets, indices, values, 60};
  const ot::scaling_options o{.tol = 1e-12};
  const ot::scaling_result p = ot::doubly_stochastic<double>(one_thread(), own, 0.4, r, o, d);
  const ot::scaling_result q = ot::doubly_stochastic(one_thread(), kernel, r, o, stored, entries);
  CHECK(p.converged && q.converged && p.error <= 1e-12 && q.error <= 1e-12);
  std::vector<double> sum(60);
  for (std::size_t i = 0; i < 60; ++i) {
    CHECK(std::abs(d[i] - stored[i]) < 1e-9);
    for (std::int64_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      const auto at = static_cast<std::size_t>(k), j = static_cast<std::size_t>(indices[at]);
      sum[i] += entries[at];
      CHECK(std::abs(entries[at] - values[at] * std::exp(stored[i] + stored[j])) <= 1e-13 * entries[at]);
      CHECK(entries[at] == entries[j * 59 + (i < j ? i : i - 1)]);
    }
    CHECK(std::abs(sum[i] - r[i]) < 1e-11 * r[i]);
  }
  const context three({.threads = 3});
  std::vector<double> again(60), more(entries.size());
  ot::doubly_stochastic(three, kernel, r, o, again, more);
  CHECK(again == stored && more == entries);
  ot::doubly_stochastic<double>(three, own, 0.4, r, o, again);
  CHECK(again == d);
  CHECK(!ot::doubly_stochastic(three, kernel, r, {.tol = 1e-12, .max_iter = 1}, again, more).converged);
  r[5] = 0;
  CHECK_THROWS(std::invalid_argument, ot::doubly_stochastic(three, kernel, r, o, again, more),
               "row_sums must be positive and finite, got 0 at 5");
  r[5] = 1;
  values[7] = -1;
  CHECK_THROWS(std::invalid_argument, ot::doubly_stochastic(three, kernel, r, o, again, more),
               "must be positive and finite, got -1");
}

TEST(equations_of_marginals) {
  const problem<double> data(kind::sqeuclidean, 20, 15, 2, 3);
  const sides w(20, 15, 4);
  const solution found = solve<double>(one_thread(), data.geo, w.a, w.b, {.schedule = {0.3}, .tol = 1e-13});
  std::vector<double> u(20), v(15), entries(300), r(20), c(15), q(20), z(15), s(20), t(15);
  for (std::size_t i = 0; i < 20; ++i) u[i] = found.f[i] / 0.3 + std::log(w.a[i]);
  for (std::size_t j = 0; j < 15; ++j) v[j] = found.g[j] / 0.3 + std::log(w.b[j]);
  const ot::plan<double> p{data.geo, 0.3, u, v};
  ot::rows<double>(one_thread(), p, 0, {entries.data(), 20, 15});
  ot::stats<double>(one_thread(), p, r, c);
  numbers random(8);
  double left = 0, right = 0;
  for (double& x : q) left += x = random.normal();
  for (double& x : z) right += x = random.normal();
  for (double& x : z) x += (left - right) / 15;
  std::vector<char> free(15, 1);
  free[4] = 0;
  std::vector<double> stiff(r);
  stiff[7] = std::numeric_limits<double>::infinity();
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> indices;
  for (std::int64_t k = 0; k <= 300; k += 15) offsets.push_back(k);
  for (std::int32_t k = 0; k < 300; ++k) indices.push_back(k % 15);
  const csr_view<const double> stored{offsets, indices, entries, 15};

  // what is missed of every equation that counts
  const auto missed = [&](const std::vector<double>& rows, bool part, double common, double total) {
    double most = 0, sum = 0;
    for (std::size_t i = 0; i < 20; ++i) {
      double image = 0;
      for (std::size_t j = 0; j < 15; ++j) image += entries[i * 15 + j] * t[j];
      if (std::isfinite(rows[i]))
        most = std::max(most, std::abs(rows[i] * s[i] + image - q[i]));
      else
        CHECK(s[i] == 0);
    }
    for (std::size_t j = 0; j < 15; ++j) {
      double image = c[j] * t[j];
      for (std::size_t i = 0; i < 20; ++i) image += entries[i * 15 + j] * s[i];
      sum += image;
      if (!part || free[j])
        most = std::max(most, std::abs(image - z[j]));
      else
        CHECK(t[j] == common);
    }
    return std::max(most, part ? std::abs(sum - total) : 0.0);
  };
  ot::marginal_equations e{.rows = r, .columns = c, .q = q, .w = z, .tol = 1e-12};
  ot::marginal_result report = ot::solve_marginals<double>(one_thread(), p, e, s, t);
  CHECK(report.converged && report.common == 0 && missed(r, false, 0, 0) < 1e-9);
  const std::vector<double> first = s;
  const context three({.threads = 3});
  ot::solve_marginals<double>(three, p, e, s, t);
  CHECK(s == first);
  CHECK(ot::solve_marginals(one_thread(), stored, 1e-16, e, s, t).converged && missed(r, false, 0, 0) < 1e-9);

  e.rows = stiff;
  e.free = free;
  e.common = true;
  e.total = 0.7;
  report = ot::solve_marginals<double>(one_thread(), p, e, s, t);
  CHECK(report.converged && missed(stiff, true, report.common, 0.7) < 1e-9);
  const std::vector<double> second = t;
  CHECK(ot::solve_marginals(one_thread(), stored, 1e-16, e, s, t).converged);
  for (std::size_t j = 0; j < 15; ++j) CHECK(std::abs(t[j] - second[j]) < 1e-8);

  std::vector<double> flipped(300);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < 15; ++j)
      flipped[j * 20 + i] = 0.3 * (u[i] + v[j] - std::log(entries[i * 15 + j]));
  const ot::plan<double> other{ot::geometry<double>::dense({flipped.data(), 15, 20}), 0.3, v, u};
  e.transposed = true;
  CHECK(ot::solve_marginals<double>(one_thread(), other, e, s, t).converged);
  for (std::size_t j = 0; j < 15; ++j) CHECK(std::abs(t[j] - second[j]) < 1e-8);

  e.transposed = false;
  e.max_iter = 1;
  CHECK(!ot::solve_marginals<double>(one_thread(), p, e, s, t).converged);
  e.tol = 0;
  CHECK_THROWS(std::invalid_argument, ot::solve_marginals<double>(one_thread(), p, e, s, t), "tol must be");
  CHECK_THROWS(std::invalid_argument, ot::solve_marginals<double>(one_thread(), p, e, t, t),
               "rows, q and s must have length 20");
}

// The barycentre of one measure, with the entropy as it is, is the second marginal that its own kernel makes
// of it; of copies of one measure it is that of the measure.
TEST(barycentres_of_copies) {
  const problem<double> data(kind::sqeuclidean, 20, 20, 2, 97);
  const weights a = uniform(20);
  std::vector<double> one(20), three(20);
  const std::vector<ot::measure<double>> single = {{data.geo, a, 1.0}},
                                         copies = {
                                             {data.geo, a, 1.0}, {data.geo, a, 2.0}, {data.geo, a, 0.5}};
  const ot::barycenter_options o{.schedule = schedule(4, 0.1), .tol = 1e-12};
  CHECK(ot::barycenter<double>(one_thread(), single, nullptr, o, one).converged);
  const auto r = ot::barycenter<double>(one_thread(), copies, nullptr, o, three);
  CHECK(r.converged);
  double total = 0;
  for (std::size_t j = 0; j < 20; ++j) {
    CHECK(std::fabs(std::exp(one[j]) - std::exp(three[j])) <= 1e-12);
    total += std::exp(one[j]);
  }
  CHECK(std::fabs(total - 1) <= 1e-11);
}

// Measures on the same points share a pass over a kept kernel. The same measures on copies of the points, and
// those whose costs range too far for that, are swept one by one.
TEST(barycentres_on_shared_points) {
  for (const double reg : {0.05, 0.0002})
    for (const double offset : {0.0, 1e3 * reg})
      for (const bool debias : {false, true}) {
        const problem<double> data(kind::sqeuclidean, 37, 37, 2, 98);
        const auto x = [&](std::size_t i, std::size_t k) {
          return data.geo.x(static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(k));
        };
        std::vector<double> cost(37 * 37), second(cost.size());
        for (std::size_t i = 0; i < 37; ++i)
          for (std::size_t j = 0; j < 37; ++j)
            cost[i * 37 + j] = offset + std::pow(x(i, 0) - x(j, 0), 2) + std::pow(x(i, 1) - x(j, 1), 2);
        second = cost;
        const auto first = ot::geometry<double>::dense({cost.data(), 37, 37}),
                   copied = ot::geometry<double>::dense({second.data(), 37, 37});
        weights a = uniform(37), b(37);
        for (std::size_t i = 0; i < 37; ++i) b[i] = i % 3 == 0 ? 0.0 : static_cast<double>(i) / 432.0;
        const std::vector<ot::measure<double>> shared = {{first, a, 1.0}, {first, b, 3.0}},
                                               separate = {{first, a, 1.0}, {copied, b, 3.0}};
        // as many iterations as leave rounding small: the debiased barycentre is ill-posed
        const ot::barycenter_options o{.schedule = {64 * reg, 8 * reg, reg}, .tol = 1e-13, .max_iter = 40};
        std::vector<double> p(37), q(37), again(37);
        const auto* own = debias ? &first : nullptr;
        const auto r = ot::barycenter<double>(one_thread(), shared, own, o, p),
                   s = ot::barycenter<double>(one_thread(), separate, own, o, q);
        CHECK(r.iterations == s.iterations);
        CHECK(std::fabs(r.error - s.error) <= 1e-9);
        for (std::size_t j = 0; j < 37; ++j) CHECK(std::fabs(std::exp(p[j]) - std::exp(q[j])) <= 1e-9);
        ot::barycenter<double>(context({.threads = 3}), shared, own, o, again);
        CHECK(p == again);
      }
  const problem<double> data(kind::sqeuclidean, 5, 5, 2, 99);
  std::vector<double> p(5);
  const weights none(5, 0.0);
  const std::vector<ot::measure<double>> empty = {{data.geo, none, 1.0}};
  CHECK_THROWS(std::invalid_argument,
               ot::barycenter<double>(one_thread(), empty, nullptr, {.schedule = {1.0}}, p),
               "must have a positive weight");
}

// A grid is its points, by products and where the costs range too far for them.
TEST(barycentres_on_a_grid_are_those_of_its_points) {
  const std::vector<double> s{0.0, 0.1, 0.35, 0.6, 1.0}, t{-0.3, 0.0, 0.2, 0.25, 0.5, 0.6, 0.9};
  const std::vector<std::span<const double>> axes{s, t};
  std::vector<double> points, histograms(70);
  for (const double x : s)
    for (const double y : t) points.insert(points.end(), {x, y});
  test::numbers random(7);
  for (std::size_t i = 0; i < 70; ++i) histograms[i] = i % 4 == 1 ? 0.0 : random.uniform(0, 1);
  for (const std::size_t first : {0u, 35u}) {
    double sum = 0;
    for (std::size_t i = first; i < first + 35; ++i) sum += histograms[i];
    for (std::size_t i = first; i < first + 35; ++i) histograms[i] /= sum;
  }
  const std::vector<double> shares{1.0, 2.0};
  const auto geo =
      ot::geometry<double>::points({points.data(), 35, 2}, {points.data(), 35, 2}, ot::metric::sqeuclidean);
  const std::span<const double> h(histograms);
  const std::vector<ot::measure<double>> measures{{geo, h.first(35), 1.0}, {geo, h.last(35), 2.0}};
  for (const double reg : {0.05, 0.0005})
    for (const bool debias : {false, true}) {
      const ot::barycenter_options o{.schedule = {16 * reg, 4 * reg, reg}, .tol = 1e-13, .max_iter = 50};
      std::vector<double> p(35), q(35), again(35);
      const auto r = ot::barycenter(one_thread(), axes, {histograms.data(), 2, 35}, shares, debias, o, p),
                 x = ot::barycenter<double>(one_thread(), measures, debias ? &geo : nullptr, o, q);
      CHECK(r.iterations == x.iterations);
      CHECK(std::fabs(r.error - x.error) <= 1e-8);
      for (std::size_t j = 0; j < 35; ++j) CHECK(std::fabs(std::exp(p[j]) - std::exp(q[j])) <= 1e-8);
      ot::barycenter(context({.threads = 3}), axes, {histograms.data(), 2, 35}, shares, debias, o, again);
      CHECK(p == again);
    }
  std::vector<double> p(35);
  const auto run = [&](std::span<const double> shares_, std::ptrdiff_t columns) {
    ot::barycenter(one_thread(), axes, {histograms.data(), 2, columns}, shares_, false, {.schedule = {1.0}},
                   p);
  };
  CHECK_THROWS(std::invalid_argument, run(shares, 34), "histograms must have 35 columns");
  CHECK_THROWS(std::invalid_argument, run(std::span(shares).first(1), 35), "shares must have length 2");
  histograms[3] += 0.1;
  CHECK_THROWS(std::invalid_argument, run(shares, 35), "same mass");
  histograms[3] = -1;
  CHECK_THROWS(std::invalid_argument, run(shares, 35), "not negative");
}

// ---- stored pairs ----

namespace {

// Some pairs of a matrix (all of rows and columns 0, so that there is a plan), and +inf in all others.
template <class T>
struct some_pairs {
  problem<T> data;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;
  std::vector<T> values;
  weights a, b;  // sums of a plan on these pairs
  some_pairs(ptrdiff_t n, ptrdiff_t m, double share, std::uint64_t seed)
      : data(kind::dense, n, m, 0, seed), a(at(n)), b(at(m)) {
    numbers random(seed);
    double total = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) {
        if (random.uniform(0, 1) > share && i % m != j && j % n != i) {
          data.entry(i, j) = std::numeric_limits<T>::infinity();
          continue;
        }
        indices.push_back(static_cast<std::int32_t>(j));
        values.push_back(data.entry(i, j));
        const double mass = random.uniform(0.05, 1);
        a[at(i)] += mass;
        b[at(j)] += mass;
        total += mass;
      }
      offsets.push_back(std::ssize(indices));
    }
    for (double& x : a) x /= total;
    for (double& x : b) x /= total;
  }
  csr_view<const T> view() const { return {offsets, indices, values, std::ssize(b)}; }
};

}  // namespace

TEST(stored_pairs_are_a_matrix_with_infinities) {
  for_each_type([](auto t) {
    using T = decltype(t);
    const some_pairs<T> s(60, 47, 0.2, 3);
    for (const ot::method how : {ot::method::sinkhorn, ot::method::newton, ot::method::automatic}) {
      for (const double reg : {0.5, 0.02}) {
        const ot::options o{.schedule = schedule(1, reg),
                            .tol = sizeof(T) == 4 ? 1e-5 : 1e-10,
                            .max_iter = 100000,
                            .solver = how};
        const solution full = solve<T>(one_thread(), s.data.geo, s.a, s.b, o);
        solution part{{}, weights(60), weights(47)};
        part.r = ot::solve<T>(one_thread(), s.view(), s.a, s.b, o, part.f, part.g);
        CHECK(full.r.converged && part.r.converged);
        CHECK(certified(costs(s.data.geo).cost, reg, s.a, s.b, part, sizeof(T) == 4 ? 3e-6 : 1e-13));
        CHECK(centred(s.a, s.b, part, sizeof(T) == 4 ? 1e-5 : 1e-11));
        const dense p = dense_plan(costs(s.data.geo).cost, reg, s.a, s.b, part.f, part.g),
                    q = dense_plan(costs(s.data.geo).cost, reg, s.a, s.b, full.f, full.g);
        real apart = 0;
        for (std::size_t k = 0; k < p.values.size(); ++k) apart += std::fabs(p.values[k] - q.values[k]);
        CHECK(apart <= (sizeof(T) == 4 ? 2e-3 : 1e-7));
        if (how == ot::method::newton) CHECK(part.r.newton_steps > 0);
      }
    }
    for (const double mass : {0.0, 0.6}) {
      const weights rho_a(60, 0.7), rho_b(47, 0.4);
      ot::relaxed_options o{.schedule = {0.1}, .tol = sizeof(T) == 4 ? 1e-5 : 1e-11, .max_iter = 100000};
      o.mass = mass;
      if (mass == 0) {
        o.rho_a = rho_a;
        o.rho_b = rho_b;
      }
      weights f(60), g(47), f_full(60), g_full(47);
      const auto part = ot::solve_relaxed<T>(one_thread(), s.view(), s.a, s.b, o, f, g);
      const auto full = ot::solve_relaxed<T>(one_thread(), s.data.geo, s.a, s.b, o, f_full, g_full);
      CHECK(part.converged && full.converged);
      CHECK(std::fabs(part.mass - full.mass) <= (sizeof(T) == 4 ? 1e-4 : 1e-9));
      for (std::size_t i = 0; i < f.size(); ++i)
        CHECK(std::fabs(f[i] - f_full[i]) <= (sizeof(T) == 4 ? 1e-3 : 1e-8));
    }
  });
}

TEST(stored_pairs_have_the_same_bits_for_any_number_of_threads) {
  const some_pairs<float> s(700, 900, 0.03, 5);
  std::vector<double> first;
  for (const int threads : {1, 2, 4}) {
    const context ctx({.threads = threads});
    solution part{{}, weights(700), weights(900)};
    part.r = ot::solve<float>(ctx, s.view(), s.a, s.b, {.schedule = schedule(1, 0.02), .tol = 1e-5}, part.f,
                              part.g);
    if (first.empty()) first = part.f;
    CHECK(first == part.f);
  }
}

TEST(a_pattern_without_a_plan_is_reported) {
  // two rows have one column alone, and it wants less than they have
  const std::vector<std::int64_t> offsets{0, 1, 2, 5};
  const std::vector<std::int32_t> indices{0, 0, 0, 1, 2};
  const std::vector<double> values(5, 0.5);
  const weights third = uniform(3);
  weights f(3), g(3);
  const ot::result r = ot::solve<double>(one_thread(), csr_view<const double>(offsets, indices, values, 3),
                                         third, third, {.schedule = {0.5}, .tol = 1e-6}, f, g);
  CHECK(!r.converged && r.status == "stalled (pattern probably infeasible)");
  CHECK(r.marginal_error > 0.1);
  for (const double x : f) CHECK(std::isfinite(x));
}

TEST(bad_pairs_are_named) {
  const weights half = uniform(2);
  weights f(2), g(2);
  const auto attempt = [&](std::vector<std::int64_t> offsets, std::vector<std::int32_t> indices,
                           std::vector<double> values) {
    ot::solve<double>(one_thread(), csr_view<const double>(offsets, indices, values, 2), half, half,
                      {.schedule = {0.5}}, f, g);
  };
  using bad = std::invalid_argument;
  CHECK_THROWS(bad, attempt({0, 0, 2}, {0, 1}, {1, 1}), "row 0 of the cost has no entry");
  CHECK_THROWS(bad, attempt({0, 1, 2}, {0, 0}, {1, 1}), "column 1 of the cost has no entry");
  CHECK_THROWS(bad, attempt({0, 2, 3}, {1, 0, 1}, {1, 1, 1}), "columns must rise strictly");
  CHECK_THROWS(bad, attempt({0, 2, 3}, {0, 2, 1}, {1, 1, 1}), "below 2, but row 0 has 2");
  CHECK_THROWS(bad, attempt({0, 1, 2}, {0, 1}, {1, infinity}), "costs must be finite, got inf in row 1");
  CHECK_THROWS(bad, attempt({0, 1, 3}, {0, 1}, {1, 1}), "offsets must end at the number of entries");
  for (const double x : f) CHECK(x == 0);
}

TEST_MAIN
