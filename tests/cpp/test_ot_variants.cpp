// What is made of several solves, and the semi-dual of sparse plans: closed forms, identities, optimality
// against perturbed plans, differences.
#include <algorithm>
#include <cmath>
#include <functional>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

using vector = std::vector<double>;
using bad = std::invalid_argument;

const context& one_thread() {
  static const context ctx({.threads = 1});
  return ctx;
}
vector uniform(std::size_t n) { return vector(n, 1.0 / static_cast<double>(n)); }
vector cloud_of(std::size_t n, std::size_t d, std::uint64_t seed) {
  numbers random(seed);
  vector x(n * d);
  for (double& v : x) v = random.normal();
  return x;
}
matrix_view<const double> rows(const vector& x, ptrdiff_t d) {
  return {x.data(), static_cast<ptrdiff_t>(x.size()) / d, d};
}
bool near(double x, double y, double within) {
  if (std::fabs(x - y) <= within) return true;
  std::printf("     %.17g and %.17g\n", x, y);
  return false;
}

struct four {
  vector f, g, own_x, own_y;
  four(std::size_t n, std::size_t m) : f(n), g(m), own_x(n), own_y(m) {}
};

}  // namespace

// Moved by c, points are at the divergence |c|^2; from themselves at 0.
TEST(divergence_of_moved_points) {
  const vector x = cloud_of(40, 2, 1), a = uniform(40);
  vector y = x;
  for (std::size_t i = 0; i < 40; ++i) {
    y[2 * i] += 0.3;
    y[2 * i + 1] -= 0.4;
  }
  const ot::options o{.schedule = {0.5}, .tol = 1e-12};
  four p(40, 40);
  const auto moved = ot::divergence<double>(one_thread(), rows(x, 2), rows(y, 2), ot::metric::sqeuclidean, a,
                                            a, o, p.f, p.g, p.own_x, p.own_y);
  CHECK(moved.converged && near(moved.value, 0.25, 1e-10));
  const auto same = ot::divergence<double>(one_thread(), rows(x, 2), rows(x, 2), ot::metric::sqeuclidean, a,
                                           a, o, p.f, p.g, p.own_x, p.own_y);
  CHECK(near(same.value, 0, 1e-11));
  // exact marginals are penalties without bound, finite ones cost less
  const vector rho(40, std::numeric_limits<double>::infinity()), soft(40, 0.2);
  ot::relaxed_options r{.schedule = {0.5}, .tol = 1e-12, .rho_a = rho, .rho_b = rho};
  const auto hard = ot::divergence<double>(one_thread(), rows(x, 2), rows(y, 2), ot::metric::sqeuclidean, a,
                                           a, r, p.f, p.g, p.own_x, p.own_y);
  CHECK(near(hard.value, 0.25, 1e-9));
  r.rho_a = r.rho_b = soft;
  const auto less = ot::divergence<double>(one_thread(), rows(x, 2), rows(y, 2), ot::metric::sqeuclidean, a,
                                           a, r, p.f, p.g, p.own_x, p.own_y);
  CHECK(less.converged && less.value > 0 && less.value < 0.25);
  r.mass = 0.5;
  const auto run = [&] {
    ot::divergence<double>(one_thread(), rows(x, 2), rows(y, 2), ot::metric::sqeuclidean, a, a, r, p.f, p.g,
                           p.own_x, p.own_y);
  };
  CHECK_THROWS(bad, run(), "no mass");
  r.mass = 0;
  p.own_x.pop_back();
  CHECK_THROWS(bad, run(), "own_x and own_y must have lengths 40 and 40, got 39");
}

// One point a side: P minimises c P + reg KL(P | a b) + rho KL(P | a) + rho KL(P | b).
TEST(divergence_of_two_masses) {
  const vector x{0.0}, y{0.7}, a{1.5}, b{0.8}, rho_a{0.6}, rho_b{0.9};
  const double reg = 0.3;
  const auto kl = [](double p, double q) { return p * std::log(p / q) - p + q; };
  const auto least = [&](double c, double w, double v, double s, double t) {
    const double p =
        std::exp((-c + reg * std::log(w * v) + s * std::log(w) + t * std::log(v)) / (reg + s + t));
    return c * p + reg * kl(p, w * v) + s * kl(p, w) + t * kl(p, v);
  };
  const double expected = least(0.49, 1.5, 0.8, 0.6, 0.9) - 0.5 * least(0, 1.5, 1.5, 0.6, 0.6) -
                          0.5 * least(0, 0.8, 0.8, 0.9, 0.9) + 0.5 * reg * 0.49;
  four p(1, 1);
  const ot::relaxed_options o{.schedule = {reg}, .tol = 1e-14, .rho_a = rho_a, .rho_b = rho_b};
  const auto found = ot::divergence<double>(one_thread(), rows(x, 1), rows(y, 1), ot::metric::sqeuclidean, a,
                                            b, o, p.f, p.g, p.own_x, p.own_y);
  CHECK(near(found.value, expected, 1e-12));
}

// Along a line the best map keeps the order: the gap of the one that turns it round is known.
TEST(monge_gap_along_a_line) {
  vector x(30), turned(30), a = uniform(30), f(30), g(30);
  for (std::size_t i = 0; i < 30; ++i)
    x[i] = 0.1 * static_cast<double>(i), turned[i] = 0.1 * static_cast<double>(29 - i);
  const ot::options o{.schedule = {1.0, 0.1, 1e-3, 1e-4}, .tol = 1e-11};
  double cost = 0;
  for (std::size_t i = 0; i < 30; ++i) cost += a[i] * std::pow(x[i] - turned[i], 2);
  const auto gap =
      ot::monge_gap<double>(one_thread(), rows(x, 1), rows(turned, 1), ot::metric::sqeuclidean, a, o, f, g);
  CHECK(gap.converged && near(gap.cost, cost, 1e-12) && near(gap.linear, cost, 1e-6));
  CHECK(near(gap.linear - gap.value, 1e-4 * std::log(30.0), 1e-7));  // reg KL of a permutation
  const auto none =
      ot::monge_gap<double>(one_thread(), rows(x, 1), rows(x, 1), ot::metric::sqeuclidean, a, o, f, g);
  CHECK(near(none.linear, 0, 1e-6));
  const vector shorter(29);
  CHECK_THROWS(
      bad,
      ot::monge_gap<double>(one_thread(), rows(x, 1), rows(shorter, 1), ot::metric::sqeuclidean, a, o, f, g),
      "must have one shape, got 30 x 1 and 29 x 1");
}

// At the points of the problem the map is the projection of the plan.
TEST(map_of_the_points_themselves) {
  const vector x = cloud_of(25, 2, 3), y = cloud_of(18, 2, 4), a = uniform(25), b = uniform(18);
  const double reg = 0.4;
  const auto geo = ot::geometry<double>::points(rows(x, 2), rows(y, 2), ot::metric::sqeuclidean);
  vector f(25), g(18);
  CHECK(ot::solve<double>(one_thread(), geo, a, b, {.schedule = {reg}, .tol = 1e-13}, f, g).converged);
  vector values(36), out(50);
  for (std::size_t j = 0; j < 18; ++j) values[j] = y[2 * j], values[18 + j] = y[2 * j + 1];
  ot::entropic_map<double>(one_thread(), geo, g, b, reg, {values.data(), 2, 18}, {out.data(), 2, 25});
  for (std::size_t i = 0; i < 25; ++i)
    for (std::size_t q = 0; q < 2; ++q) {
      real mean = 0, total = 0;
      for (std::size_t j = 0; j < 18; ++j) {
        const real c =
            std::pow(real(x[2 * i] - y[2 * j]), 2) + std::pow(real(x[2 * i + 1] - y[2 * j + 1]), 2);
        const real w = b[j] * std::exp((f[i] + g[j] - c) / reg);
        mean += w * y[2 * j + q];
        total += w;
      }
      CHECK(near(out[q * 25 + i], static_cast<double>(mean / total), 1e-11));
    }
}

// A single point ends at the mean, whatever the regularisation; a cloud between a cloud and its copy in
// between.
TEST(free_points_in_the_middle) {
  const vector x = cloud_of(60, 2, 5), a = uniform(60), one{1.0}, b = uniform(12);
  vector y = x, mean(2, 0.0);
  for (double& v : y) v += 4;
  for (std::size_t i = 0; i < 60; ++i)
    for (std::size_t q = 0; q < 2; ++q) mean[q] += x[2 * i + q] / 60;
  const std::vector<ot::cloud<double>> single{{rows(x, 2), a, 1.0}},
      both{{rows(x, 2), a, 1.0}, {rows(y, 2), a, 3.0}};
  ot::free_barycenter_options o{.plans = {.schedule = {0.5}, .tol = 1e-10}, .tol = 1e-9, .max_iter = 1000};
  vector point{9.0, -9.0};
  const auto r = ot::barycenter_free_support<double>(one_thread(), single, one, o, {point.data(), 1, 2});
  CHECK(r.converged && near(point[0], mean[0], 1e-12) && near(point[1], mean[1], 1e-12));
  vector points(x.begin(), x.begin() + 24), again = points;
  const auto s = ot::barycenter_free_support<double>(one_thread(), both, b, o, {points.data(), 12, 2});
  CHECK(s.converged && s.iterations > 1);
  for (std::size_t q = 0; q < 2; ++q) {
    double middle = 0;
    for (std::size_t j = 0; j < 12; ++j) middle += points[2 * j + q] / 12;
    CHECK(near(middle, mean[q] + 3, 1e-8));
  }
  ot::barycenter_free_support<double>(context({.threads = 3}), both, b, o, {again.data(), 12, 2});
  CHECK(points == again);
  o.max_iter = 1;
  vector fresh(x.begin(), x.begin() + 24);
  CHECK(!ot::barycenter_free_support<double>(one_thread(), both, b, o, {fresh.data(), 12, 2}).converged);
  CHECK_THROWS(bad, ot::barycenter_free_support<double>(one_thread(), both, one, o, {again.data(), 12, 2}),
               "weights must have length 12, got 1");
}

// No admissible plan near the one that is found is better, and its numbers are those of the definition.
TEST(progressive_labels_are_optimal) {
  const std::size_t n = 20, k = 3;
  numbers random(6);
  vector cost(n * k), labels(n * k), sizes{0.5, 0.2, 0.3};
  for (double& c : cost) c = random.uniform(0, 2);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;
  vector affinity;
  for (std::size_t i = 0; i < n; ++i) {
    indices.insert(indices.end(), {static_cast<std::int32_t>(i), static_cast<std::int32_t>((i + 3) % n)});
    affinity.insert(affinity.end(), {0.2, random.uniform(0, 1)});
    offsets.push_back(static_cast<std::int64_t>(indices.size()));
  }
  const csr_view<const double> S(offsets, indices, affinity, static_cast<ptrdiff_t>(n));
  const double reg = 0.1, gamma = 0.7;
  for (const double share : {0.4, 1.0})
    for (const double lambda : {0.0, 0.5}) {
      const ot::progressive_options o{.solve = {.schedule = {reg}, .tol = 1e-12, .max_iter = 100000},
                                      .max_outer = 500};
      const auto r = ot::progressive_partial(one_thread(), {cost.data(), 20, 3}, share, gamma, sizes,
                                             lambda > 0 ? S : csr_view<const double>(), lambda, o,
                                             {labels.data(), 20, 3});
      CHECK(r.converged);
      vector q(n * k), columns(k, 0.0), wanted = sizes;
      double mass = 0;
      for (std::size_t e = 0; e < q.size(); ++e) {
        q[e] = labels[e] / static_cast<double>(n);
        columns[e % k] += q[e];
        mass += q[e];
      }
      CHECK(near(mass, share, 1e-9));
      for (std::size_t i = 0; i < n; ++i) CHECK(q[3 * i] + q[3 * i + 1] + q[3 * i + 2] <= 1.0 / 20 + 1e-10);
      // the largest size for the column that has most
      std::vector<std::size_t> order{0, 1, 2};
      std::sort(order.begin(), order.end(),
                [&](std::size_t x, std::size_t y) { return columns[x] > columns[y]; });
      std::sort(wanted.begin(), wanted.end(), std::greater());
      vector size(k);
      for (std::size_t j = 0; j < k; ++j) size[order[j]] = share * wanted[j];
      const auto objective = [&](const vector& p) {
        double total = 0;
        vector sum(k, 0.0), left(n, 1.0 / 20);
        for (std::size_t e = 0; e < p.size(); ++e) {
          total += cost[e] * p[e] + reg * p[e] * (std::log(p[e]) - 1);
          sum[e % k] += p[e];
          left[e / k] -= p[e];
        }
        for (std::size_t j = 0; j < k; ++j)
          total += gamma * (sum[j] * std::log(sum[j] / size[j]) - sum[j] + size[j]);
        if (share < 1)  // of the mass that stays, too
          for (const double x : left) total += reg * (x > 0 ? x * (std::log(x) - 1) : 0.0);
        for (std::size_t i = 0; i < n; ++i)
          for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e)
            for (std::size_t j = 0; j < k; ++j)
              total -= lambda * affinity[static_cast<std::size_t>(e)] * p[k * i + j] *
                       p[k * static_cast<std::size_t>(indices[static_cast<std::size_t>(e)]) + j];
        return total;
      };
      const double least = objective(q);
      CHECK(near(r.objective, least, 1e-8));
      for (int trial = 0; trial < 300;
           ++trial) {  // some mass to another label of the point, or between points
        vector p = q;
        const std::size_t i = at(random.below(20)), j = at(random.below(3)), to = at(random.below(3));
        const double part = random.uniform(0, 0.5) * p[3 * i + j];
        p[3 * i + j] -= part;
        p[3 * i + to] += part;
        CHECK(objective(p) >= least - 1e-10);
      }
    }
  CHECK_THROWS(bad,
               ot::progressive_partial(one_thread(), {cost.data(), 20, 3}, 1.5, gamma, {}, {}, 0,
                                       {.solve = {.schedule = {reg}}}, {labels.data(), 20, 3}),
               "share must be above 0 and at most 1, got 1.5");
}

// The gradient of the semi-dual is its slope; every column is the best choice of k entries.
TEST(sparse_semi_dual_is_its_definition) {
  const std::size_t n = 9, m = 6;
  numbers random(8);
  vector cost(n * m), flipped(n * m), alpha(n), a(n), b(m), gradient(n), unused(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < m; ++j) flipped[j * n + i] = cost[i * m + j] = random.uniform(0, 2);
  for (double& x : alpha) x = random.uniform(-1, 1);
  for (double& x : a) x = random.uniform(0.1, 1);
  for (double& x : b) x = random.uniform(0.1, 1);
  b[2] = 0;
  const double reg = 0.8;
  const auto geo = ot::geometry<double>::dense({cost.data(), 9, 6}),
             other = ot::geometry<double>::dense({flipped.data(), 6, 9});
  for (const std::size_t k : {std::size_t{1}, std::size_t{3}, n}) {
    std::vector<std::int64_t> index(m * k), second(m * k);
    vector entries(m * k), again(m * k);
    const matrix_view<std::int64_t> at_rows(index.data(), 6, static_cast<ptrdiff_t>(k)),
        at_second(second.data(), 6, static_cast<ptrdiff_t>(k));
    const matrix_view<double> of(entries.data(), 6, static_cast<ptrdiff_t>(k)),
        of_second(again.data(), 6, static_cast<ptrdiff_t>(k));
    const auto value = [&](const vector& x, vector& slope) {
      return ot::sparse_semi_dual<double>(one_thread(), geo, a, b, reg, x, slope, at_rows, of, false);
    };
    for (std::size_t i = 0; i < n; ++i) {
      vector up = alpha, down = alpha;
      up[i] += 1e-6;
      down[i] -= 1e-6;
      const double slope = (value(up, unused) - value(down, unused)) / 2e-6;
      value(alpha, gradient);
      CHECK(near(gradient[i], slope, 1e-8));
    }
    double total = std::inner_product(a.begin(), a.end(), alpha.begin(), 0.0);
    for (std::size_t j = 0; j < m; ++j) {
      double sum = 0, best = 0;
      vector x;
      for (std::size_t i = 0; i < n; ++i) x.push_back(alpha[i] - cost[i * m + j]);
      for (std::size_t q = 0; q < k; ++q) {
        const double e = entries[j * k + q];
        CHECK(e >= 0 && (q == 0 || e <= entries[j * k + q - 1]));
        sum += e;
        best += x[at(index[j * k + q])] * e - 0.5 * reg * e * e;
      }
      CHECK(near(sum, b[j], 1e-14));
      total -= best;
      std::sort(x.begin(), x.end(), std::greater());
      for (std::size_t q = 0; q < k; ++q)
        CHECK(x[q] == alpha[at(index[j * k + q])] - cost[at(index[j * k + q]) * m + j]);
    }
    const double here = value(alpha, gradient);
    CHECK(near(here, total, 1e-13));
    CHECK(here == ot::sparse_semi_dual<double>(context({.threads = 3}), other, a, b, reg, alpha, unused,
                                               at_second, of_second, true));
    CHECK(gradient == unused && index == second && entries == again);
  }
  std::vector<std::int64_t> index(m * 10);
  vector entries(m * 10);
  CHECK_THROWS(bad,
               ot::sparse_semi_dual<double>(one_thread(), geo, a, b, reg, alpha, gradient,
                                            {index.data(), 6, 10}, {entries.data(), 6, 10}, false),
               "k must be between 1 and 9, got 10");
}

TEST_MAIN
