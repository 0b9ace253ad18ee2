// The plan as an operator, soft minima, ranges and order statistics, against dense long double matrices.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <memory_resource>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

// A plan with its dense twin. Some of u and v are -inf.
template <class T>
struct fixture {
  problem<T> data;
  double reg;
  std::vector<double> u, v;
  exact_costs costs;
  dense p;
  real delta = 0;  // bound of the relative error of an entry: rounding of the exponent's parts, then of 2^x

  fixture(kind what, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, double reg, ptrdiff_t gap = 0)
      : data(what, n, m, d, static_cast<std::uint64_t>(n * 7919 + m * 31 + d), gap), reg(reg) {
    numbers random(5);
    for (ptrdiff_t i = 0; i < n; ++i) u.push_back(random.uniform(-3, 1));
    for (ptrdiff_t j = 0; j < m; ++j) v.push_back(random.uniform(-3, 1));
    if (n > 5) u[3] = -infinity;
    if (m > 5) v[4] = -infinity;
    finish();
  }
  void finish() {
    costs = test::costs(data.geo);
    p = dense_plan(costs.cost, reg, u, v);
    const auto largest = [](const std::vector<double>& x) {
      double s = 0;
      for (const double y : x) s = std::isfinite(y) ? std::max(s, std::fabs(y)) : s;
      return s;
    };
    const real u_t = std::numeric_limits<T>::epsilon() / 2;
    delta = u_t * (6 + ln_2 * log2_e * (2 * largest(u) + 2 * largest(v) + costs.size / reg));
  }
  ot::plan<T> plan() const { return {data.geo, reg, u, v}; }
  // relative error of a sum of n products of entries with something rounded
  real sum_error(ptrdiff_t n) const {
    return delta +
           std::numeric_limits<T>::epsilon() / 2 * (4 + static_cast<real>(std::min<ptrdiff_t>(n, 1024)));
  }
  static constexpr real tiny = std::numeric_limits<T>::min();
};

std::vector<double> block_of(numbers& random, ptrdiff_t k, ptrdiff_t n) {
  std::vector<double> x(at(k * n));
  for (double& value : x) value = random.uniform(-1, 1);
  return x;
}

// |got - want| <= bound for all; says where it is worst.
template <class Got, class Want, class Bound>
bool close(const char* what, ptrdiff_t n, Got&& got, Want&& want, Bound&& bound) {
  for (ptrdiff_t i = 0; i < n; ++i) {
    const real error = std::fabs(real(got(i)) - real(want(i)));
    if (error <= real(bound(i)) || real(got(i)) == real(want(i))) continue;
    std::printf("     %s[%td] = %.17Lg, expected %.17Lg within %.3Lg\n", what, i, real(got(i)), real(want(i)),
                real(bound(i)));
    return false;
  }
  return true;
}

// out (l x n) against P v or P^T v, with the sums of absolute values as scale
template <class T>
bool right_product(const char* what, const fixture<T>& o, bool transposed, ptrdiff_t k,
                   matrix_view<const double> v, matrix_view<const double> out) {
  const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
  std::vector<real> want(at(k * n)), size(at(k * n));
  for (ptrdiff_t c = 0; c < k; ++c) {
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) {
        const real term = (transposed ? o.p(j, i) : o.p(i, j)) * v(c, j);
        want[at(c * n + i)] += term;
        size[at(c * n + i)] += std::fabs(term) * o.sum_error(m) + o.tiny;
      }
    }
  }
  return close(
      what, k * n, [&](ptrdiff_t q) { return out(q / n, q % n); }, [&](ptrdiff_t q) { return want[at(q)]; },
      [&](ptrdiff_t q) { return size[at(q)]; });
}

// Calls f(fixture) for float and double, every metric, several shapes: more rows than one group, fewer than
// one, padding of every kind, the product form (d > 8) and groups of several blocks (d >= 16).
template <class F>
void for_each_plan(F&& f) {
  const auto all = [&](auto t) {
    using T = decltype(t);
    struct size {
      ptrdiff_t n, m, d;
    };
    std::vector<size> sizes{{1, 1, 1}, {1, 7, 2}, {7, 1, 2}, {33, 70, 3}, {70, 33, 12}, {45, 64, 40}};
    if (test::emulated()) sizes = {{1, 7, 2}, {20, 33, 20}};
    for (const kind what : all_kinds) {
      for (const size& s : sizes) f(fixture<T>(what, s.n, s.m, s.d, 0.3, s.n % 2 ? 0 : 5));
    }
  };
  all(float());
  all(double());
}

const context& one_thread() {
  static const context ctx({.threads = 1});
  return ctx;
}

}  // namespace

TEST(rows_are_the_plan) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    const ptrdiff_t n = o.p.n, m = o.p.m;
    for (const auto& [first, count] :
         {std::pair<ptrdiff_t, ptrdiff_t>{0, n}, {n / 2, n - n / 2}, {n - 1, 1}, {0, 0}}) {
      std::vector<T> out(at(count * (m + 2)), T(-7));
      ot::rows(one_thread(), o.plan(), first, matrix_view<T>(out.data(), count, m, m + 2));
      CHECK(close(
          "P", count * m, [&](ptrdiff_t q) { return out[at(q / m * (m + 2) + q % m)]; },
          [&](ptrdiff_t q) { return o.p(first + q / m, q % m); },
          [&](ptrdiff_t q) { return o.p(first + q / m, q % m) * o.delta + o.tiny; }));
      bool untouched = true;
      for (ptrdiff_t i = 0; i < count; ++i) {
        untouched = untouched && out[at(i * (m + 2) + m)] == -7 && out[at(i * (m + 2) + m + 1)] == -7;
      }
      CHECK(untouched);
    }
  });
}

TEST(apply_is_a_product_with_the_plan) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    numbers random(1);
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
      for (const ptrdiff_t k : {0, 1, 5}) {
        // rows of both blocks lie apart
        const std::vector<double> v = block_of(random, k, m + 3);
        std::vector<double> out(at(k * (n + 1)), -7);
        const matrix_view<const double> in(v.data(), k, m, m + 3);
        const matrix_view<double> result(out.data(), k, n, n + 1);
        ot::apply(one_thread(), o.plan(), in, result, transposed);
        CHECK(right_product("apply", o, transposed, k, in, result));
        for (ptrdiff_t c = 0; c < k; ++c) CHECK(out[at(c * (n + 1) + n)] == -7);
      }
    }
  });
}

TEST(both_is_two_products_in_one_sweep) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    numbers random(2);
    const ptrdiff_t n = o.p.n, m = o.p.m;
    const std::vector<double> v = block_of(random, 3, m), u = block_of(random, 2, n);
    std::vector<double> forward(at(3 * n)), backward(at(2 * m));
    const matrix_view<const double> in(v.data(), 3, m), other(u.data(), 2, n);
    const matrix_view<double> out(forward.data(), 3, n), out_other(backward.data(), 2, m);
    ot::both(one_thread(), o.plan(), in, out, other, out_other);
    CHECK(right_product("forward", o, false, 3, in, out));
    CHECK(right_product("backward", o, true, 2, other, out_other));
  });
}

// Entries times a power of their cost and a matrix of low rank: the same products with that matrix.
TEST(factors_of_the_entries) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    numbers random(7);
    const ptrdiff_t n = o.p.n, m = o.p.m;
    for (const int power : {-3, -1, 0, 1}) {
      // a power below 0 needs costs that are not small differences of large numbers
      if (power < 0 && !o.data.geo.is_dense() && o.data.geo.kind != ot::metric::euclidean) continue;
      for (const ptrdiff_t rank : {0, 1, 6}) {
        const std::vector<double> left = block_of(random, n, rank), right = block_of(random, m, rank);
        dense entry(n, m), size(n, m);  // and the terms it consists of
        real worst = 0;                 // rounding error of a cost over itself
        for (ptrdiff_t i = 0; i < n; ++i) {
          for (ptrdiff_t j = 0; j < m; ++j) {
            const real c = o.costs.cost(i, j);
            if (o.p(i, j) == 0 || (power != 0 && c == 0)) continue;
            real factor = rank == 0 ? 1 : 0;
            for (ptrdiff_t k = 0; k < rank; ++k)
              factor += real(left[at(i * rank + k)]) * right[at(j * rank + k)];
            size(i, j) = o.p(i, j) * std::pow(std::fabs(c), real(power));
            entry(i, j) = o.p(i, j) * std::pow(c, real(power)) * factor;
            if (power != 0) worst = std::max(worst, o.costs.size / std::fabs(c));
          }
        }
        const real slack = 1 + static_cast<real>(rank) + std::abs(power) * worst;
        ot::plan<T> p = o.plan();
        p.power = power;
        if (rank > 0) {
          p.left = {left.data(), n, rank};
          p.right = {right.data(), m, rank};
        }
        const std::vector<double> v = block_of(random, 3, m), u = block_of(random, 2, n);
        std::vector<double> forward(at(3 * n)), backward(at(2 * m)), alone(at(2 * m));
        const matrix_view<const double> in(v.data(), 3, m), other(u.data(), 2, n);
        ot::both(one_thread(), p, in, {forward.data(), 3, n}, other, {backward.data(), 2, m});
        // without the other product it goes through the tiles in another order
        ot::apply(one_thread(), p, other, {alone.data(), 2, m}, true);
        const auto right_sums = [&](const char* what, bool transposed, ptrdiff_t k,
                                    matrix_view<const double> x, const std::vector<double>& got) {
          const ptrdiff_t rows = transposed ? m : n, cols = transposed ? n : m;
          std::vector<real> want(got.size()), bound(got.size());
          for (ptrdiff_t c = 0; c < k; ++c) {
            for (ptrdiff_t i = 0; i < rows; ++i) {
              for (ptrdiff_t j = 0; j < cols; ++j) {
                want[at(c * rows + i)] += (transposed ? entry(j, i) : entry(i, j)) * x(c, j);
                bound[at(c * rows + i)] +=
                    (transposed ? size(j, i) : size(i, j)) * std::fabs(x(c, j)) * o.sum_error(cols) * slack +
                    o.tiny * slack;
              }
            }
          }
          return close(
              what, k * rows, [&](ptrdiff_t q) { return got[at(q)]; },
              [&](ptrdiff_t q) { return want[at(q)]; }, [&](ptrdiff_t q) { return bound[at(q)]; });
        };
        CHECK(right_sums("forward", false, 3, in, forward));
        CHECK(right_sums("backward", true, 2, other, backward));
        CHECK(right_sums("transposed", true, 2, other, alone));
      }
    }
  });
}

TEST(normal_is_the_weighted_normal_matrix) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    numbers random(3);
    const ptrdiff_t n = o.p.n, m = o.p.m, k = 4;
    const std::vector<double> v = block_of(random, k, m), w = block_of(random, 1, n);
    for (const bool weighted : {true, false}) {
      std::vector<double> out(at(k * m), -7);
      ot::normal(one_thread(), o.plan(), weighted ? std::span<const double>(w) : std::span<const double>(),
                 matrix_view<const double>(v.data(), k, m), matrix_view<double>(out.data(), k, m));
      std::vector<real> want(at(k * m)), size(at(k * m));
      for (ptrdiff_t c = 0; c < k; ++c) {
        for (ptrdiff_t i = 0; i < n; ++i) {
          real z = 0, absolute = 0;
          for (ptrdiff_t j = 0; j < m; ++j) {
            z += o.p(i, j) * v[at(c * m + j)];
            absolute += o.p(i, j) * std::fabs(real(v[at(c * m + j)]));
          }
          const real wi = weighted ? real(w[at(i)]) : 1;
          for (ptrdiff_t j = 0; j < m; ++j) {
            want[at(c * m + j)] += o.p(i, j) * wi * z;
            size[at(c * m + j)] += o.p(i, j) * std::fabs(wi) * absolute;
          }
        }
      }
      CHECK(close(
          "normal", k * m, [&](ptrdiff_t q) { return out[at(q)]; }, [&](ptrdiff_t q) { return want[at(q)]; },
          [&](ptrdiff_t q) { return size[at(q)] * (o.sum_error(m) + o.sum_error(n)) + 1e3L * o.tiny; }));
    }
  });
}

TEST(stats_are_marginals_and_moments) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    const ptrdiff_t n = o.p.n, m = o.p.m;
    std::vector<double> row(at(n), -7), column(at(m), -7);
    const ot::moments got = ot::stats(one_thread(), o.plan(), row, column);
    std::vector<real> rows(at(n)), columns(at(m));
    real mass = 0, linear = 0, plogp = 0, size = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < m; ++j) {
        const real p = o.p(i, j);
        rows[at(i)] += p;
        columns[at(j)] += p;
        mass += p;
        if (p == 0) continue;
        linear += p * o.costs.cost(i, j);
        plogp += p * std::log(p);
        size += p * (std::fabs(std::log(p)) + std::fabs(real(o.u[at(i)])) + std::fabs(real(o.v[at(j)])) + 1);
      }
    }
    CHECK(close(
        "row_sum", n, [&](ptrdiff_t i) { return row[at(i)]; }, [&](ptrdiff_t i) { return rows[at(i)]; },
        [&](ptrdiff_t i) { return rows[at(i)] * o.sum_error(m) + o.tiny; }));
    CHECK(close(
        "col_sum", m, [&](ptrdiff_t j) { return column[at(j)]; }, [&](ptrdiff_t j) { return columns[at(j)]; },
        [&](ptrdiff_t j) { return columns[at(j)] * o.sum_error(n) + o.tiny; }));
    const real error = o.sum_error(m) + o.sum_error(n) + o.delta;
    CHECK(std::fabs(got.mass - mass) <= mass * error);
    CHECK(std::fabs(got.plogp - plogp) <= size * error);
    CHECK(std::fabs(got.linear - linear) <= o.reg * size * error);
  });
}

TEST(top_k_are_the_largest_entries_in_order) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
      std::set<ptrdiff_t> sizes{1, std::min<ptrdiff_t>(m, 5), m};
      for (const ptrdiff_t k : sizes) {
        std::vector<std::int64_t> index(at(n * k), -7);
        std::vector<double> value(at(n * k), -7);
        ot::top_k(one_thread(), o.plan(), matrix_view<std::int64_t>(index.data(), n, k),
                  matrix_view<double>(value.data(), n, k), transposed);
        bool good = true;
        for (ptrdiff_t i = 0; i < n; ++i) {
          std::vector<real> sorted(at(m));
          const auto entry = [&](ptrdiff_t j) { return transposed ? o.p(j, i) : o.p(i, j); };
          for (ptrdiff_t j = 0; j < m; ++j) sorted[at(j)] = entry(j);
          std::sort(sorted.rbegin(), sorted.rend());
          std::set<std::int64_t> seen;
          for (ptrdiff_t q = 0; q < k; ++q) {
            const real v = value[at(i * k + q)], bound = 2 * o.delta * sorted[at(q)] + o.tiny;
            const std::int64_t j = index[at(i * k + q)];
            good = good && j >= 0 && j < m && seen.insert(j).second &&
                   std::fabs(v - sorted[at(q)]) <= bound && std::fabs(v - entry(j)) <= bound &&
                   (q == 0 || value[at(i * k + q - 1)] >= value[at(i * k + q)]);
          }
        }
        CHECK(good);
      }
    }
  });
}

TEST(top_k_takes_the_first_of_equal_entries) {
  problem<double> data(kind::dense, 9, 12, 0, 1);
  numbers random(4);
  for (ptrdiff_t i = 0; i < 9; ++i) {
    for (ptrdiff_t j = 0; j < 12; ++j) data.entry(i, j) = static_cast<double>(random.below(3));
  }
  const std::vector<double> u(9, 0.0), v(12, 0.0);
  const auto cost = costs(data.geo).cost;
  for (const bool transposed : {false, true}) {
    const ptrdiff_t n = transposed ? 12 : 9, m = 21 - n, k = 6;
    std::vector<std::int64_t> index(at(n * k));
    std::vector<double> value(at(n * k));
    ot::top_k<double>(one_thread(), {data.geo, 0.5, u, v}, matrix_view<std::int64_t>(index.data(), n, k),
                      matrix_view<double>(value.data(), n, k), transposed);
    for (ptrdiff_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> order(at(m));
      std::iota(order.begin(), order.end(), 0);
      const auto entry = [&](std::int64_t j) { return transposed ? cost(j, i) : cost(i, j); };
      std::stable_sort(order.begin(), order.end(), [&](auto p, auto q) { return entry(p) < entry(q); });
      for (ptrdiff_t q = 0; q < k; ++q) CHECK(index[at(i * k + q)] == order[at(q)]);
    }
  }
}

TEST(softmin_is_a_log_sum_of_exponentials) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
      numbers random(6);
      std::vector<double> h = block_of(random, 1, m), out(at(n));
      if (m > 5) h[1] = -infinity;
      const auto cost = [&](ptrdiff_t i, ptrdiff_t j) {
        return transposed ? o.costs.cost(j, i) : o.costs.cost(i, j);
      };
      for (const double reg : {0.0, 1e-3, 0.3, 50.0}) {
        ot::softmin(one_thread(), o.data.geo, h, reg, out, transposed);
        const real unit = std::numeric_limits<T>::epsilon() / 2;
        CHECK(close(
            "softmin", n, [&](ptrdiff_t i) { return out[at(i)]; },
            [&](ptrdiff_t i) {
              real top = -infinity, sum = 0;
              for (ptrdiff_t j = 0; j < m; ++j) top = std::max(top, h[at(j)] - cost(i, j));
              if (reg == 0) return -top;
              for (ptrdiff_t j = 0; j < m; ++j) sum += std::exp((h[at(j)] - cost(i, j) - top) / reg);
              return -top - reg * std::log(sum);
            },
            [&](ptrdiff_t) { return unit * (4 + 2 * o.costs.size + reg * (10 + static_cast<real>(m))); }));
      }
    }
  });
}

TEST(softmin_of_many_lines_is_one_by_one) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m, k = 7;
      numbers random(16);
      std::vector<double> h = block_of(random, k, m), out(at(k * n)), one(at(n));
      h[0] = -infinity;
      for (const int threads : {1, 3}) {
        const context ctx({.threads = threads});
        ot::softmin<T>(ctx, o.data.geo, matrix_view<const double>(h.data(), k, m), 0.3,
                       matrix_view<double>(out.data(), k, n), transposed);
        bool same = true;
        for (ptrdiff_t c = 0; c < k; ++c) {
          ot::softmin<T>(one_thread(), o.data.geo, std::span<const double>(h).subspan(at(c * m), at(m)), 0.3,
                         std::span<double>(one), transposed);
          same = same && std::equal(one.begin(), one.end(), out.begin() + c * n);
        }
        CHECK(same);
      }
    }
  });
}

TEST(hollow_plans_have_no_diagonal) {
  for_each_plan([]<class T>(fixture<T> o) {
    const ptrdiff_t n = o.p.n, m = o.p.m;
    if (std::min(n, m) < 2) return;
    // what is left out dwarfs the rest
    for (ptrdiff_t i = 0; i < std::min(n, m); i += 3) o.u[at(i)] += 5;
    o.finish();
    o.data.geo.hollow = true;
    for (ptrdiff_t i = 0; i < std::min(n, m); ++i) o.p(i, i) = 0;
    numbers random(17);
    const std::vector<double> v = block_of(random, 3, m), u = block_of(random, 3, n);
    std::vector<double> forward(at(3 * n)), backward(at(3 * m)), row(at(n)), column(at(m)), soft(at(n));
    ot::apply(one_thread(), o.plan(), matrix_view<const double>(v.data(), 3, m),
              matrix_view<double>(forward.data(), 3, n), false);
    CHECK(right_product("hollow", o, false, 3, {v.data(), 3, m}, {forward.data(), 3, n}));
    ot::apply(one_thread(), o.plan(), matrix_view<const double>(u.data(), 3, n),
              matrix_view<double>(backward.data(), 3, m), true);
    CHECK(right_product("hollow transposed", o, true, 3, {u.data(), 3, n}, {backward.data(), 3, m}));
    ot::stats(one_thread(), o.plan(), row, column);
    std::vector<T> entries(at(n * m));
    ot::rows(one_thread(), o.plan(), 0, matrix_view<T>(entries.data(), n, m));
    // far from the rest, the pair with itself has nearly all of a soft minimum
    std::vector<double> h(at(m), 0.0);
    ot::softmin(one_thread(), o.data.geo, std::span<const double>(h), 0.01, std::span<double>(soft), false);
    bool good = true;
    for (ptrdiff_t i = 0; i < n; ++i) {
      real sum = 0, least = infinity;
      for (ptrdiff_t j = 0; j < m; ++j) {
        sum += o.p(i, j);
        if (i != j) least = std::min(least, o.costs.cost(i, j));
        if (i == j) good = good && entries[at(i * m + j)] == 0;
      }
      good = good && std::fabs(row[at(i)] - sum) <= sum * o.sum_error(m) + o.tiny;
      const real unit = std::numeric_limits<T>::epsilon() / 2;
      good = good && soft[at(i)] <= least + unit * (8 + 4 * o.costs.size) &&
             soft[at(i)] >= least - 0.01L * std::log(real(m)) - unit * (8 + 4 * o.costs.size);
    }
    CHECK(good);
  });
}

TEST(samples_invert_the_sums_of_a_row) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
      constexpr ptrdiff_t draws = 9;
      std::vector<std::int64_t> rows, offsets{0}, columns;
      for (ptrdiff_t i = 0; i < n; i += 2) {
        rows.push_back(i);
        offsets.push_back(offsets.back() + draws);
      }
      std::vector<double> uniform;
      for (std::size_t k = 0; k < rows.size(); ++k)
        for (ptrdiff_t q = 0; q < draws; ++q)
          uniform.push_back(static_cast<double>(q) / (draws - 1) * (1 - 0x1p-53));
      columns.assign(uniform.size(), -7);
      ot::sample(one_thread(), o.plan(), rows, offsets, uniform, columns, transposed);
      bool good = true;
      for (std::size_t k = 0; k < rows.size(); ++k) {
        const auto entry = [&](ptrdiff_t j) { return transposed ? o.p(j, rows[k]) : o.p(rows[k], j); };
        real total = 0;
        for (ptrdiff_t j = 0; j < m; ++j) total += entry(j);
        for (ptrdiff_t q = 0; q < draws; ++q) {
          const std::int64_t j = columns[at(offsets[k] + q)];
          if (total == 0) {
            good = good && j == -1;
            continue;
          }
          good = good && j >= 0 && j < m && entry(j) > 0;
          if (!good) break;
          real below = 0;
          for (ptrdiff_t i = 0; i < j; ++i) below += entry(i);
          const real wanted = real(uniform[at(offsets[k] + q)]) * total, error = 4 * total * o.sum_error(m);
          good = good && below <= wanted + error && wanted <= below + entry(j) + error;
        }
      }
      CHECK(good);
    }
  });
  const std::vector<std::int64_t> rows{5}, offsets{0, 1};
  std::vector<std::int64_t> columns(1);
  const std::vector<double> uniform(1, 0.5);
  const fixture<double> o(kind::sqeuclidean, 3, 4, 2, 0.3);
  CHECK_THROWS(std::invalid_argument,
               ot::sample(one_thread(), o.plan(), rows, offsets, uniform, columns, false), "rows[0]");
}

TEST(c_transform_finds_the_minimum_and_its_place) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    for (const bool transposed : {false, true}) {
      const ptrdiff_t n = transposed ? o.p.m : o.p.n, m = transposed ? o.p.n : o.p.m;
      numbers random(7);
      const std::vector<double> h = block_of(random, 1, m);
      std::vector<double> out(at(n));
      std::vector<std::int64_t> index(at(n), -7);
      ot::c_transform(one_thread(), o.data.geo, h, out, index, transposed);
      const auto entry = [&](ptrdiff_t i, ptrdiff_t j) {
        return (transposed ? o.costs.cost(j, i) : o.costs.cost(i, j)) - h[at(j)];
      };
      const real bound = std::numeric_limits<T>::epsilon() * (4 + o.costs.size);
      bool good = true;
      for (ptrdiff_t i = 0; i < n; ++i) {
        real least = infinity;
        for (ptrdiff_t j = 0; j < m; ++j) least = std::min(least, entry(i, j));
        const std::int64_t j = index[at(i)];
        good = good && j >= 0 && j < m && std::fabs(out[at(i)] - least) <= bound &&
               entry(i, j) <= least + 2 * bound;
      }
      CHECK(good);
    }
  });
}

// Pairs of neighbours far from each other: |x|^2 + |y|^2 - 2 x.y would lose their distance altogether.
TEST(near_neighbours_far_from_the_centre) {
  const auto all = [](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = 20, d = 24;
    const double step = sizeof(T) == 4 ? 0.25 : 0x1p-20, far = sizeof(T) == 4 ? 1024 : 0x1p20;  // exact in T
    std::vector<T> x(at(n * d)), y(at(n * d));
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t k = 0; k < d; ++k) {
        x[at(i * d + k)] = static_cast<T>(far * static_cast<double>((i * 7 + k * k) % 11));
        y[at(i * d + k)] = x[at(i * d + k)] + static_cast<T>(k == i ? step : 0);
      }
    }
    const auto geo = ot::geometry<T>::points({x.data(), n, d}, {y.data(), n, d}, ot::metric::sqeuclidean);
    const std::vector<double> zero(at(n), 0.0);
    std::vector<double> out(at(n));
    std::vector<std::int64_t> index(at(n));
    ot::c_transform<T>(one_thread(), geo, zero, out, index, false);
    for (ptrdiff_t i = 0; i < n; ++i) {
      real least = infinity;  // the pattern repeats after 11 rows
      const auto cost = costs(geo).cost;
      for (ptrdiff_t j = 0; j < n; ++j) least = std::min(least, cost(i, j));
      CHECK(out[at(i)] == least && cost(i, index[at(i)]) == least);
    }
    ot::softmin<T>(one_thread(), geo, zero, 0.0, out, true);
    for (const double v : out) CHECK(v == step * step);
    const auto q = ot::order_statistics(one_thread(), geo, 0.0, 0, 0);
    CHECK(q.low == step * step);
  };
  all(float());
  all(double());
}

TEST(ties_and_forbidden_pairs_in_minima) {
  problem<float> data(kind::dense, 3, 5, 0, 1);
  for (ptrdiff_t j = 0; j < 5; ++j) {
    data.entry(0, j) = 2;                                       // a tie
    data.entry(1, j) = std::numeric_limits<float>::infinity();  // nothing allowed
    data.entry(2, j) = j == 3 ? 1.0f : std::numeric_limits<float>::infinity();
  }
  const std::vector<double> h(5, 0.0);
  std::vector<double> out(3);
  std::vector<std::int64_t> index(3);
  ot::c_transform<float>(one_thread(), data.geo, h, out, index, false);
  CHECK(out[0] == 2 && index[0] == 0 && out[1] == infinity && out[2] == 1 && index[2] == 3);
  for (const double reg : {0.0, 0.25}) {
    ot::softmin<float>(one_thread(), data.geo, h, reg, out, false);
    CHECK(std::fabs(out[0] - (2 - reg * std::log(5.0))) < 1e-6 && out[1] == infinity &&
          std::fabs(out[2] - 1) < 1e-6);
  }
  const std::vector<double> none(5, -infinity);
  ot::softmin<float>(one_thread(), data.geo, none, 0.25, out, false);
  for (const double v : out) CHECK(v == infinity);
}

TEST(plan_operator_forwards) {
  const fixture<double> o(kind::sqeuclidean, 20, 31, 3, 0.3);
  const ot::plan_operator<double> a(o.plan());
  CHECK(a.rows() == 20 && a.cols() == 31);
  numbers random(8);
  const std::vector<double> v = block_of(random, 2, 31), u = block_of(random, 2, 20);
  std::vector<double> forward(40), backward(62), normal(62), expected(62);
  a.apply(one_thread(), {v.data(), 2, 31}, {forward.data(), 2, 20});
  CHECK(right_product("apply", o, false, 2, {v.data(), 2, 31}, {forward.data(), 2, 20}));
  a.apply_transposed(one_thread(), {u.data(), 2, 20}, {backward.data(), 2, 31});
  CHECK(right_product("apply_transposed", o, true, 2, {u.data(), 2, 20}, {backward.data(), 2, 31}));
  a.normal(one_thread(), {v.data(), 2, 31}, {normal.data(), 2, 31});
  a.apply_transposed(one_thread(), {forward.data(), 2, 20}, {expected.data(), 2, 31});
  for (std::size_t k = 0; k < 62; ++k) CHECK(std::fabs(normal[k] - expected[k]) <= 1e-13);
}

// Several super-blocks of rows, several chunks of columns.
TEST(large_plans) {
  const auto all = [](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = test::emulated() ? 150 : 1100, m = test::emulated() ? 600 : 1500;
    const fixture<T> o(kind::sqeuclidean, n, m, 20, 0.5);
    const context ctx({.threads = 2});
    numbers random(9);
    const std::vector<double> v = block_of(random, 2, m), u = block_of(random, 2, n);
    std::vector<double> forward(at(2 * n)), backward(at(2 * m)), row(at(n)), column(at(m));
    const matrix_view<const double> in(v.data(), 2, m), other(u.data(), 2, n);
    const matrix_view<double> out(forward.data(), 2, n), out_other(backward.data(), 2, m);
    ot::both(ctx, o.plan(), in, out, other, out_other);
    CHECK(right_product("forward", o, false, 2, in, out));
    CHECK(right_product("backward", o, true, 2, other, out_other));
    ot::stats(ctx, o.plan(), row, column);
    const std::vector<double> ones(at(std::max(n, m)), 1.0);
    CHECK(right_product("row_sum", o, false, 1, {ones.data(), 1, m}, {row.data(), 1, n}));
    CHECK(right_product("col_sum", o, true, 1, {ones.data(), 1, n}, {column.data(), 1, m}));
  };
  all(float());
  all(double());
}

TEST(the_same_bits_for_any_number_of_threads) {
  const auto all = [](auto t, kind what, ptrdiff_t d) {
    using T = decltype(t);
    const ptrdiff_t n = test::emulated() ? 130 : 700, m = test::emulated() ? 520 : 900, k = 3;
    const problem<T> data(what, n, m, d, 1);
    numbers random(10);
    const std::vector<double> u = block_of(random, 1, n), v = block_of(random, 1, m),
                              x = block_of(random, k, m), y = block_of(random, k, n);
    const ot::plan<T> p{data.geo, 0.3, u, v};
    std::vector<double> first;
    for (const int threads : {1, 2, 3, 7}) {
      const context ctx({.threads = threads});
      std::vector<double> all_;
      const auto keep = [&](const auto& more) { all_.insert(all_.end(), more.begin(), more.end()); };
      std::vector<double> on_rows(at(k * n)), on_columns(at(k * m)), row(at(n)), column(at(m));
      ot::both<T>(ctx, p, {x.data(), k, m}, {on_rows.data(), k, n}, {y.data(), k, n},
                  {on_columns.data(), k, m});
      keep(on_rows);
      keep(on_columns);
      ot::normal<T>(ctx, p, u, {x.data(), k, m}, {on_columns.data(), k, m});
      keep(on_columns);
      const ot::moments moments = ot::stats<T>(ctx, p, row, column);
      keep(row);
      keep(column);
      keep(std::vector{moments.mass, moments.linear, moments.plogp});
      for (const bool transposed : {false, true}) {
        ot::softmin<T>(ctx, data.geo, transposed ? u : v, 0.1, transposed ? column : row, transposed);
        keep(transposed ? column : row);
        const ptrdiff_t lines = transposed ? m : n;
        std::vector<std::int64_t> index(at(lines * 4));
        std::vector<double> value(at(lines * 4));
        ot::top_k<T>(ctx, p, {index.data(), lines, 4}, {value.data(), lines, 4}, transposed);
        keep(index);
        keep(value);
      }
      const auto range = ot::range(ctx, data.geo);
      const auto exact = ot::order_statistics(ctx, data.geo, 0.37, 0, 0);
      const auto sampled = ot::order_statistics(ctx, data.geo, 0.37, 10000, 3);
      keep(std::vector{range.low, range.high, exact.low, exact.high, sampled.low, sampled.high});
      if (first.empty()) first = all_;
      CHECK(all_ == first);
    }
  };
  for (const auto& [what, d] : {std::pair{kind::dense, 1}, {kind::sqeuclidean, 2}, {kind::sqeuclidean, 30}}) {
    all(float(), what, d);
    all(double(), what, d);
  }
}

// ---- scan, range, order statistics ----

TEST(scan_finds_the_range_and_what_does_not_belong) {
  const auto all = [](auto t) {
    using T = decltype(t);
    constexpr T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    for (const ptrdiff_t m : {1, 15, 16, 17, 40}) {
      for (const ptrdiff_t n : {1, 16, 35}) {
        problem<T> data(kind::dense, n, m, 0, static_cast<std::uint64_t>(m), 3);  // NaN between the rows
        const auto cost = costs(data.geo).cost;
        const auto [low, high] = std::minmax_element(cost.values.begin(), cost.values.end());
        const auto s = ot::scan<T>(one_thread(), data.geo.cost);
        CHECK(s.low == *low && s.high == *high && s.infinite == 0 && s.bad == -1);
        data.entry(n - 1, m - 1) = inf;
        data.entry(n / 2, 0) = inf;
        const auto with_inf = ot::scan<T>(one_thread(), data.geo.cost);
        CHECK(with_inf.infinite == (n * m == 1                   ? 1
                                    : n == 1 && m == 1           ? 1
                                    : (n / 2 == n - 1 && m == 1) ? 1
                                                                 : 2));
        CHECK(with_inf.bad == -1 && (with_inf.low > with_inf.high) == (n * m <= with_inf.infinite));
        for (const T spoiled : {nan, -inf}) {
          data.entry(n - 1, m - 1) = spoiled;
          CHECK(ot::scan<T>(one_thread(), data.geo.cost).bad == n * m - 1);
          data.entry(n / 2, m / 2) = spoiled;
          CHECK(ot::scan<T>(one_thread(), data.geo.cost).bad == n / 2 * m + m / 2);
          data.entry(n / 2, m / 2) = 1;
        }
      }
    }
    // the largest finite numbers are finite
    problem<T> data(kind::dense, 2, 20, 0, 1);
    data.entry(0, 3) = std::numeric_limits<T>::max();
    data.entry(1, 7) = -std::numeric_limits<T>::max();
    const auto s = ot::scan<T>(one_thread(), data.geo.cost);
    CHECK(s.bad == -1 && s.infinite == 0 && s.high == -s.low && s.high == std::numeric_limits<T>::max());
  };
  all(float());
  all(double());
}

TEST(range_bounds_the_costs) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    const auto r = ot::range(one_thread(), o.data.geo);
    const auto [low, high] = std::minmax_element(o.costs.cost.values.begin(), o.costs.cost.values.end());
    if (o.data.geo.is_dense()) CHECK(r.low == *low && r.high == *high);
    const real slack = 1e-15L * (1 + std::fabs(*high) + std::fabs(*low));
    CHECK(r.low <= *low + slack && r.high >= *high - slack);
    CHECK(r.high - r.low <= 30 * (1 + *high - *low));  // and is not absurdly wide
  });
}

TEST(order_statistics_of_all_costs) {
  for_each_plan([]<class T>(const fixture<T>& o) {
    std::vector<real> sorted = o.costs.cost.values;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t count = sorted.size();
    const real bound = o.data.geo.is_dense() ? 0 : std::numeric_limits<T>::epsilon() * (1 + o.costs.size);
    for (const double q : {0.0, 0.01, 0.25, 1.0 / 3, 0.5, 0.731, 0.999, 1.0}) {
      const auto r = ot::order_statistics(one_thread(), o.data.geo, q, 0, 0);
      const double position = q * static_cast<double>(count - 1);  // in double, as NumPy has it
      const std::size_t k = static_cast<std::size_t>(position);
      CHECK(std::fabs(r.low - sorted[k]) <= bound);
      CHECK(std::fabs(r.high - sorted[std::min(k + 1, count - 1)]) <= bound);
      CHECK(r.fraction == position - std::floor(position));
    }
  });
}

TEST(order_statistics_of_ties_signs_and_infinities) {
  const auto all = [](auto t) {
    using T = decltype(t);
    problem<T> data(kind::dense, 10, 10, 0, 1);
    for (ptrdiff_t i = 0; i < 10; ++i) {
      for (ptrdiff_t j = 0; j < 10; ++j) {
        const ptrdiff_t k = i * 10 + j;
        data.entry(i, j) = k < 50 ? T(-3.5) : k < 90 ? T(2) : std::numeric_limits<T>::infinity();
      }
    }
    const auto low = ot::order_statistics(one_thread(), data.geo, 0.2, 0, 0);
    CHECK(low.low == -3.5 && low.high == -3.5);
    const auto middle = ot::order_statistics(one_thread(), data.geo, 49.5 / 99, 0, 0);
    CHECK(middle.low == -3.5 && middle.high == 2);
    const auto end = ot::order_statistics(one_thread(), data.geo, 1.0, 0, 0);
    CHECK(end.low == infinity && end.high == infinity);
  };
  all(float());
  all(double());
}

// Enough pairs to be bracketed by a sample: smooth costs, many ties (the bracket holds them all), and a few
// values among equal ones, which the sample does not see.
TEST(order_statistics_of_many_costs) {
  const auto all = [](auto t) {
    using T = decltype(t);
    const ptrdiff_t n = 700, m = 410;
    problem<T> data(kind::dense, n, m, 0, 1);
    for (const int what : {0, 1, 2}) {
      std::vector<T> sorted;
      for (ptrdiff_t i = 0; i < n; ++i) {
        for (ptrdiff_t j = 0; j < m; ++j) {
          if (what == 1) data.entry(i, j) = (i * m + j) % 5 < 2 ? T(-0.0) : T(0.0);
          if (what == 2) data.entry(i, j) = i == 3 ? T(j) : T(100.5);
          sorted.push_back(data.entry(i, j));
        }
      }
      std::sort(sorted.begin(), sorted.end());
      for (const double q : {0.0, 1e-5, 2e-4, 0.5, 0.7777, 0.999999, 1.0}) {
        const auto r = ot::order_statistics(one_thread(), data.geo, q, 0, 0);
        const std::size_t k = static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1));
        CHECK(r.low == sorted[k] && r.high == sorted[std::min(k + 1, sorted.size() - 1)]);
        CHECK(what != 1 || (!std::signbit(r.low) && !std::signbit(r.high)));
        const auto three = ot::order_statistics(context({.threads = 3}), data.geo, q, 0, 0);
        CHECK(three.low == r.low && three.high == r.high && three.fraction == r.fraction);
      }
    }
  };
  all(float());
  all(double());
}

TEST(order_statistics_of_a_sample) {
  const problem<double> data(kind::sqeuclidean, 300, 200, 3, 1);
  std::vector<real> sorted = costs(data.geo).cost.values;
  std::sort(sorted.begin(), sorted.end());
  const ptrdiff_t samples = 20000;
  std::set<double> different;
  for (const std::uint64_t seed : {0, 1, 2}) {
    for (const double q : {0.0, 0.1, 0.5, 1.0}) {
      const auto r = ot::order_statistics(one_thread(), data.geo, q, samples, seed);
      const auto again = ot::order_statistics(one_thread(), data.geo, q, samples, seed);
      CHECK(r.low == again.low && r.high == again.high && r.low <= r.high);
      // where the sample's quantile stands among all costs: 6 standard deviations
      const double rank =
          static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), real(r.low) - 1e-12L) -
                              sorted.begin()) /
          static_cast<double>(sorted.size());
      CHECK(std::fabs(rank - q) <= 6 * std::sqrt((q * (1 - q) + 1e-4) / static_cast<double>(samples)));
      if (q == 0.5) different.insert(r.low);
    }
  }
  CHECK(different.size() == 3);
}

// ---- bad input ----

TEST(bad_input_is_named_before_anything_is_written) {
  const fixture<double> o(kind::sqeuclidean, 6, 9, 2, 0.3);
  const context& ctx = one_thread();
  std::vector<double> six(6, -7), nine(9, -7), eight(8, -7);
  const std::vector<double> v(9, 0.0), u(6, 0.0);
  std::vector<std::int64_t> index(9, -7);
  ot::plan<double> p = o.plan();
  const matrix_view<const double> in(v.data(), 1, 9), in_rows(u.data(), 1, 6);
  const matrix_view<double> out(six.data(), 1, 6), out_columns(nine.data(), 1, 9), wrong(eight.data(), 1, 8);
  using bad = std::invalid_argument;
  CHECK_THROWS(bad, ot::apply(ctx, p, in_rows, out, false), "v must be 1 x 9, got 1 x 6");
  CHECK_THROWS(bad, ot::apply(ctx, p, in, wrong, false), "out must be 1 x 6, got 1 x 8");
  CHECK_THROWS(bad, ot::apply(ctx, p, in, out, true), "v must be 1 x 6, got 1 x 9");
  CHECK_THROWS(bad, ot::normal(ctx, p, v, in, out_columns), "w must have length 6, got 9");
  CHECK_THROWS(bad, ot::normal(ctx, p, u, in, out), "out must be 1 x 9, got 1 x 6");
  CHECK_THROWS(bad, ot::both(ctx, p, in, out, in, out_columns), "u must be 1 x 6, got 1 x 9");
  CHECK_THROWS(bad, ot::both(ctx, p, in, out, in_rows, wrong), "backward must be 1 x 9, got 1 x 8");
  CHECK_THROWS(bad, ot::stats(ctx, p, nine, nine), "row_sum");
  p.power = 5;
  CHECK_THROWS(bad, ot::apply(ctx, p, in, out, false), "power must be between -4 and 4, got 5");
  p.power = 1;
  CHECK_THROWS(bad, ot::stats(ctx, p, six, nine), "factors of the entries are for apply, normal and both");
  p.power = 0;
  p.left = {u.data(), 6, 1};
  p.right = {v.data(), 8, 1};
  CHECK_THROWS(bad, ot::apply(ctx, p, in, out, false),
               "left and right must be 6 x p and 9 x p, got 6 x 1 and");
  p.left = p.right = {};
  CHECK_THROWS(bad, ot::rows(ctx, p, 5, matrix_view<double>(nine.data(), 2, 9)), "outside 0 ... 6");
  CHECK_THROWS(bad, ot::rows(ctx, p, -1, matrix_view<double>(nine.data(), 1, 9)), "outside 0 ... 6");
  CHECK_THROWS(bad, ot::rows(ctx, p, 0, matrix_view<double>(eight.data(), 1, 8)), "9 columns, got 8");
  const auto top = [&](ptrdiff_t n, ptrdiff_t k, ptrdiff_t values) {
    ot::top_k(ctx, p, matrix_view<std::int64_t>(index.data(), n, k),
              matrix_view<double>(nine.data(), n, values), false);
  };
  CHECK_THROWS(bad, top(5, 1, 1), "6 x k");
  CHECK_THROWS(bad, top(6, 1, 2), "6 x k");
  CHECK_THROWS(bad, top(6, 0, 0), "k must be between 1 and 9, got 0");
  CHECK_THROWS(bad, top(6, 10, 10), "k must be between 1 and 9, got 10");
  for (const double reg : {0.0, -1.0, infinity, std::nan("")}) {
    p.reg = reg;
    CHECK_THROWS(bad, ot::apply(ctx, p, in, out, false), "reg must be > 0");
    CHECK_THROWS(bad, ot::stats(ctx, p, six, nine), "reg must be > 0");
  }
  p.reg = 0.3;
  p.u = v;
  CHECK_THROWS(bad, ot::apply(ctx, p, in, out, false), "u and v must have lengths 6 and 9, got 9 and 9");
  CHECK_THROWS(bad, ot::softmin(ctx, o.data.geo, u, 0.3, six, false), "h must have length 9, got 6");
  CHECK_THROWS(bad, ot::softmin(ctx, o.data.geo, v, 0.3, nine, false), "out must have length 6, got 9");
  CHECK_THROWS(bad, ot::softmin(ctx, o.data.geo, v, -0.1, six, false), "reg must be >= 0");
  CHECK_THROWS(bad, ot::c_transform(ctx, o.data.geo, v, six, index, false),
               "out and index must have length 6");
  CHECK_THROWS(bad, ot::order_statistics(ctx, o.data.geo, 1.1, 0, 0), "q must be in [0, 1], got 1.1");
  CHECK_THROWS(bad, ot::order_statistics(ctx, o.data.geo, std::nan(""), 0, 0), "q must be in [0, 1]");
  CHECK_THROWS(bad, ot::order_statistics(ctx, o.data.geo, 0.5, -1, 0), "n_samples must be >= 0, got -1");
  // points of different dimension: reading on would leave the memory of y
  ot::geometry<double> mixed = o.data.geo;
  mixed.y.cols = 1;
  CHECK_THROWS(bad, ot::softmin(ctx, mixed, v, 0.3, six, false), "as many columns, got 2 and 1");
  CHECK_THROWS(bad, ot::c_transform(ctx, mixed, v, six, std::span(index).first(6), false), "as many columns");
  CHECK_THROWS(bad, ot::range(ctx, mixed), "as many columns");
  CHECK_THROWS(bad, ot::order_statistics(ctx, mixed, 0.5, 0, 0), "as many columns");
  CHECK_THROWS(bad, ot::order_statistics(ctx, mixed, 0.5, 10, 0), "as many columns");
  p.costs = mixed;
  p.u = u;
  CHECK_THROWS(bad, ot::apply(ctx, p, in, out, false), "as many columns, got 2 and 1");
  CHECK_THROWS(bad, ot::stats(ctx, p, six, nine), "as many columns");
  const ot::geometry<double> none = ot::geometry<double>::dense({v.data(), 0, 9});
  CHECK_THROWS(bad, ot::softmin(ctx, none, v, 0.3, std::span(six).first(0), false), "at least one row");
  for (const auto& x : {six, nine, eight}) {
    for (const double y : x) CHECK(y == -7);
  }
  for (const auto y : index) CHECK(y == -7);
}

TEST(a_zero_row_has_no_cosine) {
  const auto all = [](auto t) {
    using T = decltype(t);
    const std::vector<T> x{1, 2, 0, 0, 3, 1}, y{1, 1, 2, 1};
    const auto geo = ot::geometry<T>::points({x.data(), 3, 2}, {y.data(), 2, 2}, ot::metric::cosine);
    const auto other = ot::geometry<T>::points({y.data(), 2, 2}, {x.data(), 3, 2}, ot::metric::cosine);
    std::vector<double> two(2, 0.0), three(3, -7);
    CHECK_THROWS(std::invalid_argument, ot::softmin<T>(one_thread(), geo, two, 0.1, three, false),
                 "row 1 of x is 0");
    CHECK_THROWS(std::invalid_argument, ot::softmin<T>(one_thread(), other, two, 0.1, three, true),
                 "row 1 of y is 0");
    CHECK(three[0] == -7 && three[1] == -7 && three[2] == -7);
  };
  all(float());
  all(double());
}

// ---- circumstances ----

TEST(a_cancelled_sweep_throws) {
  const problem<float> data(kind::sqeuclidean, 400, 400, 3, 1);
  const std::vector<double> u(400, 0.0), v(400, 0.0);
  const ot::plan<float> p{data.geo, 0.3, u, v};
  std::vector<double> row(400), column(400);
  for (const int threads : {1, 3}) {
    const auto stopped =
        [&](auto&& call) {  // should_stop is asked at once in a new context, later every 20 ms
          const context ctx({.threads = threads, .should_stop = [] { return true; }});
          CHECK_THROWS(cancelled, call(ctx), "cancelled");
        };
    stopped([&](const context& ctx) { return ot::stats<float>(ctx, p, row, column).mass; });
    stopped([&](const context& ctx) { return ot::softmin<float>(ctx, data.geo, v, 0.1, row, false), 0; });
    stopped([&](const context& ctx) { return ot::order_statistics<float>(ctx, data.geo, 0.5, 0, 0).low; });
    stopped([&](const context& ctx) { return ot::scan<float>(ctx, data.geo.x).low; });
  }
}

namespace {

// Memory that may be used by one thread at a time only; counts what is not given back.
class strict_memory : public std::pmr::memory_resource {
 public:
  bool clean() const { return !overlapped_ && live_ == 0 && total_ > 0; }

 private:
  struct user {
    explicit user(strict_memory& m) : memory(m) {
      if (memory.busy_.fetch_add(1) != 0) memory.overlapped_ = true;
      if (std::this_thread::get_id() != memory.owner_) memory.overlapped_ = true;
    }
    ~user() { memory.busy_.fetch_sub(1); }
    strict_memory& memory;
  };
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    const user here(*this);
    live_ += static_cast<std::ptrdiff_t>(bytes);
    total_ += static_cast<std::ptrdiff_t>(bytes);
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    const user here(*this);
    live_ -= static_cast<std::ptrdiff_t>(bytes);
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& o) const noexcept override { return this == &o; }

  const std::thread::id owner_ = std::this_thread::get_id();
  std::atomic<int> busy_{0};
  std::atomic<bool> overlapped_{false};
  std::atomic<std::ptrdiff_t> live_{0}, total_{0};
};

}  // namespace

// The memory resources of the standard are not thread safe: scratch is taken on the calling thread only.
TEST(scratch_is_taken_on_the_calling_thread_and_given_back) {
  strict_memory memory;
  {
    const context ctx({.threads = 3, .memory = &memory});
    const auto all = [&](auto t, kind what) {
      using T = decltype(t);
      const problem<T> data(what, 300, 260, 4, 1);
      std::vector<double> u(300, -1.0), v(260, -1.0), row(300), column(260), two(at(2 * 300)),
          two_columns(at(2 * 260));
      const ot::plan<T> p{data.geo, 0.3, u, v};
      ot::stats<T>(ctx, p, row, column);
      ot::softmin<T>(ctx, data.geo, v, 0.1, row, false);
      ot::softmin<T>(ctx, data.geo, u, 0.1, column, true);
      ot::normal<T>(ctx, p, {}, {two_columns.data(), 2, 260}, {two_columns.data(), 2, 260});
      ot::order_statistics<T>(ctx, data.geo, 0.5, 0, 0);
      // columns far out of balance: the solver does them again one by one
      std::vector<double> a(300, 1.0 / 300), b(260, 1.0 / 260), f(300, 0.0), g(260, 0.0);
      for (std::size_t j = 0; j < 260; j += 2) g[j] = -1e4;
      ot::solve<T>(ctx, data.geo, a, b, {.schedule = {0.3}, .max_iter = 5, .init = true}, f, g);
    };
    all(float(), kind::dense);
    all(double(), kind::sqeuclidean);
  }
  CHECK(memory.clean());
}

TEST_MAIN
