// What is made of several solves: divergences, the Monge gap, maps of new points, barycentres whose points
// move, progressive partial transport.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "../buffer.hpp"
#include "pair_cost.hpp"

namespace lapwing::ot {

namespace {

using vector = std::vector<double>;

double sum(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0); }

double dot(std::span<const double> x, std::span<const double> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

// potential / reg + log weight, the form in which a plan takes it
vector log_scaling(std::span<const double> potential, std::span<const double> weight, double reg) {
  vector out(potential.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = potential[i] / reg + std::log(weight[i]);
  return out;
}

// <C, P> + reg KL(P | a b^T) of exact marginals
double balanced_value(std::span<const double> a, std::span<const double> b, std::span<const double> f,
                      std::span<const double> g, double reg) {
  const double mass = sum(a);
  return dot(a, f) + dot(b, g) + reg * (mass * mass - mass);
}

double penalties(std::span<const double> marginal, std::span<const double> weight,
                 std::span<const double> rho, penalty kind) {
  double total = 0;
  for (std::size_t i = 0; i < rho.size(); ++i) {
    if (std::isinf(rho[i])) continue;
    const double p = marginal[i], w = weight[i];
    total += rho[i] * (kind == penalty::total_variation ? std::abs(p - w)
                                                        : (p > 0 ? p * std::log(p / w) : 0.0) - p + w);
  }
  return total;
}

// The value of a plan by its definition.
template <class T>
double relaxed_value(const context& ctx, const geometry<T>& geo, std::span<const double> a,
                     std::span<const double> b, std::span<const double> f, std::span<const double> g,
                     const relaxed_options& o) {
  const double reg = o.schedule.back();
  vector u(f.size()), v(g.size()), rows(f.size()), columns(g.size());
  if (o.product_reference) {
    u = log_scaling(f, a, reg);
    v = log_scaling(g, b, reg);
  } else {
    for (std::size_t i = 0; i < u.size(); ++i) u[i] = f[i] / reg;
    for (std::size_t j = 0; j < v.size(); ++j) v[j] = g[j] / reg;
  }
  const moments s = stats<T>(ctx, {geo, reg, u, v}, rows, columns);
  double entropy = s.plogp - s.mass;
  if (o.product_reference) {
    for (std::size_t i = 0; i < a.size(); ++i) entropy -= rows[i] * std::log(a[i]);
    for (std::size_t j = 0; j < b.size(); ++j) entropy -= columns[j] * std::log(b[j]);
    entropy += sum(a) * sum(b);
  }
  return s.linear + reg * entropy + penalties(rows, a, o.rho_a, o.kind) +
         penalties(columns, b, o.rho_b, o.kind);
}

void check_divergence(bool init, std::span<const double> a, std::span<const double> b,
                      std::span<const double> own_x, std::span<const double> own_y) {
  check(!init, "a divergence takes no start");
  check(own_x.size() == a.size() && own_y.size() == b.size(), "own_x and own_y must have lengths ", a.size(),
        " and ", b.size(), ", got ", own_x.size(), " and ", own_y.size());
}

}  // namespace

template <class T>
divergence_result divergence(const context& ctx, matrix_view<const T> x, matrix_view<const T> y, metric kind,
                             std::span<const double> a, std::span<const double> b, const options& o,
                             std::span<double> f, std::span<double> g, std::span<double> own_x,
                             std::span<double> own_y) {
  check_divergence(o.init, a, b, own_x, own_y);
  vector second_x(own_x.size()), second_y(own_y.size());
  const result cross = solve(ctx, geometry<T>::points(x, y, kind), a, b, o, f, g),
               first = solve(ctx, geometry<T>::points(x, x, kind), a, a, o, own_x, second_x),
               second = solve(ctx, geometry<T>::points(y, y, kind), b, b, o, own_y, second_y);
  // one potential for both sides: their mean is as near to the solution as they are
  for (std::size_t i = 0; i < second_x.size(); ++i) own_x[i] = 0.5 * (own_x[i] + second_x[i]);
  for (std::size_t j = 0; j < second_y.size(); ++j) own_y[j] = 0.5 * (own_y[j] + second_y[j]);
  const double reg = o.schedule.back(), apart = sum(a) - sum(b);
  const double own = balanced_value(a, a, own_x, own_x, reg) + balanced_value(b, b, own_y, own_y, reg);
  return {balanced_value(a, b, f, g, reg) - 0.5 * own + 0.5 * reg * apart * apart,
          cross.converged && first.converged && second.converged};
}

template <class T>
divergence_result divergence(const context& ctx, matrix_view<const T> x, matrix_view<const T> y, metric kind,
                             std::span<const double> a, std::span<const double> b, const relaxed_options& o,
                             std::span<double> f, std::span<double> g, std::span<double> own_x,
                             std::span<double> own_y) {
  check_divergence(o.init, a, b, own_x, own_y);
  check(o.mass == 0 && o.product_reference, "a divergence has no mass and the product as reference");
  vector second_x(own_x.size()), second_y(own_y.size());
  relaxed_options left = o, right = o;
  left.rho_b = o.rho_a;
  right.rho_a = o.rho_b;
  const auto between = geometry<T>::points(x, y, kind), in_x = geometry<T>::points(x, x, kind),
             in_y = geometry<T>::points(y, y, kind);
  const relaxed_result cross = solve_relaxed(ctx, between, a, b, o, f, g),
                       first = solve_relaxed(ctx, in_x, a, a, left, own_x, second_x),
                       second = solve_relaxed(ctx, in_y, b, b, right, own_y, second_y);
  const double own = relaxed_value(ctx, in_x, a, a, own_x, second_x, left) +
                     relaxed_value(ctx, in_y, b, b, own_y, second_y, right);
  const double apart = sum(a) - sum(b);
  return {relaxed_value(ctx, between, a, b, f, g, o) - 0.5 * own + 0.5 * o.schedule.back() * apart * apart,
          cross.converged && first.converged && second.converged};
}

template <class T>
gap_result monge_gap(const context& ctx, matrix_view<const T> x, matrix_view<const T> images, metric kind,
                     std::span<const double> a, const options& o, std::span<double> f, std::span<double> g) {
  check(x.rows == images.rows && x.cols == images.cols, "x and images must have one shape, got ", x.rows,
        " x ", x.cols, " and ", images.rows, " x ", images.cols);
  const auto geo = geometry<T>::points(x, images, kind);
  const result r = solve(ctx, geo, a, a, o, f, g);
  double cost = 0;
  for (std::ptrdiff_t i = 0; i < x.rows; ++i) cost += a[static_cast<std::size_t>(i)] * pair_cost(geo, i, i);
  const double reg = o.schedule.back();
  const vector u = log_scaling(f, a, reg), v = log_scaling(g, a, reg);
  vector rows(u.size()), columns(v.size());
  const double linear = stats<T>(ctx, {geo, reg, u, v}, rows, columns).linear;
  return {cost - balanced_value(a, a, f, g, reg), cost - linear, cost, r.converged};
}

template <class T>
void entropic_map(const context& ctx, const geometry<T>& geo, std::span<const double> g,
                  std::span<const double> b, double reg, matrix_view<const double> values,
                  matrix_view<double> out) {
  check(g.size() == b.size(), "g and b must have one length, got ", g.size(), " and ", b.size());
  check(reg > 0 && std::isfinite(reg), "reg must be > 0 and finite, got ", reg);
  check(values.rows == out.rows, "values and out must have as many rows, got ", values.rows, " and ",
        out.rows);
  const vector v = log_scaling(g, b, reg);
  vector h(v.size()), u(static_cast<std::size_t>(geo.rows()));
  for (std::size_t j = 0; j < h.size(); ++j) h[j] = reg * v[j];
  softmin<T>(ctx, geo, h, reg, u, false);
  for (double& x : u) x /= reg;
  apply<T>(ctx, {geo, reg, u, v}, values, out, false);
}

template <class T>
free_barycenter_result barycenter_free_support(const context& ctx, std::span<const cloud<T>> clouds,
                                               std::span<const double> weights,
                                               const free_barycenter_options& o, matrix_view<T> points) {
  check(!clouds.empty(), "there must be at least one cloud");
  check(std::ssize(weights) == points.rows, "weights must have length ", points.rows, ", got ",
        weights.size());
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
  check(!o.plans.init && !o.plans.schedule.empty(), "the plans need a schedule and take no start");
  const std::ptrdiff_t m = points.rows, d = points.cols;
  check(m > 0 && d > 0, "points must not be empty, got ", m, " x ", d);
  double total = 0;
  for (const cloud<T>& c : clouds) {
    check(c.points.cols == d, "clouds must have ", d, " columns as points, got ", c.points.cols);
    check(c.share > 0 && std::isfinite(c.share), "share must be positive, got ", c.share);
    total += c.share;
  }
  struct potentials {
    vector f, g;
  };
  std::vector<potentials> start;
  for (const cloud<T>& c : clouds)
    start.push_back({vector(static_cast<std::size_t>(c.points.rows)), vector(static_cast<std::size_t>(m))});
  // how far the clouds reach around their means: the measure for a barycentre of one point
  double around = 0;
  for (const cloud<T>& c : clouds)
    for (std::ptrdiff_t q = 0; q < d; ++q) {
      double mean = 0, square = 0;
      for (std::ptrdiff_t i = 0; i < c.points.rows; ++i)
        mean += static_cast<double>(c.points(i, q)) / static_cast<double>(c.points.rows);
      for (std::ptrdiff_t i = 0; i < c.points.rows; ++i)
        square += std::pow(static_cast<double>(c.points(i, q)) - mean, 2);
      around += c.share / total * square / static_cast<double>(c.points.rows);
    }
  const double reg = o.plans.schedule.back(), mass = sum(weights);
  options plans = o.plans;
  buffer<double> target(ctx, m * d), image(ctx, m * (d + 1));
  free_barycenter_result r;
  while (!r.converged && !r.stopped && r.iterations < o.max_iter) {
    target.fill(0);
    r.value = 0;
    bool all = true;
    for (std::size_t k = 0; k < clouds.size(); ++k) {
      const cloud<T>& c = clouds[k];
      const double share = c.share / total;
      const auto geo = geometry<T>::points(c.points, points, metric::sqeuclidean);
      const result one = solve<T>(ctx, geo, c.weights, weights, plans, start[k].f, start[k].g);
      all = all && one.converged;
      r.value += share * balanced_value(c.weights, weights, start[k].f, start[k].g, reg);
      // the row of ones has the sums that divide: a mean of points to rounding, converged or not
      const std::ptrdiff_t n = c.points.rows;
      buffer<double> x(ctx, n * (d + 1), 1.0);
      for (std::ptrdiff_t i = 0; i < n; ++i)
        for (std::ptrdiff_t q = 0; q < d; ++q) x[q * n + i] = static_cast<double>(c.points(i, q));
      const vector u = log_scaling(start[k].f, c.weights, reg), v = log_scaling(start[k].g, weights, reg);
      apply<T>(ctx, {geo, reg, u, v}, {x.data(), d + 1, n}, {image.data(), d + 1, m}, true);
      for (std::ptrdiff_t j = 0; j < m; ++j)
        for (std::ptrdiff_t q = 0; q < d; ++q)
          target[j * d + q] += share * image[q * m + j] / image[d * m + j];
    }
    double moved = 0, spread = 0;
    for (std::ptrdiff_t q = 0; q < d; ++q) {
      double mean = 0;
      for (std::ptrdiff_t j = 0; j < m; ++j)
        mean += weights[static_cast<std::size_t>(j)] / mass * target[j * d + q];
      for (std::ptrdiff_t j = 0; j < m; ++j) {
        const double w = weights[static_cast<std::size_t>(j)] / mass, x = target[j * d + q];
        moved += w * (x - static_cast<double>(points(j, q))) * (x - static_cast<double>(points(j, q)));
        spread += w * (x - mean) * (x - mean);
        points(j, q) = static_cast<T>(x);
      }
    }
    if (!(spread > 0)) spread = around;
    r.displacement = spread > 0   ? std::sqrt(moved / spread)
                     : moved == 0 ? 0.0
                                  : std::numeric_limits<double>::infinity();
    ++r.iterations;
    r.stopped = ctx.report("free barycenter", r.iterations, r.displacement);
    r.converged = all && r.displacement <= o.tol;
    plans.init = true;  // from where the last turn ended, at the reg that was asked for
    plans.schedule = {reg};
  }
  return r;
}

progressive_result progressive_partial(const context& ctx, matrix_view<const double> cost, double share,
                                       double gamma, std::span<const double> sizes,
                                       csr_view<const double> affinity, double lambda,
                                       const progressive_options& o, matrix_view<double> labels) {
  const std::ptrdiff_t n = cost.rows, k = cost.cols;
  check(n > 0 && k > 0, "the cost must not be empty, got ", n, " x ", k);
  check(share > 0 && share <= 1, "share must be above 0 and at most 1, got ", share);
  check(gamma > 0 && std::isfinite(gamma), "gamma must be > 0 and finite, got ", gamma);
  check(sizes.empty() || std::ssize(sizes) == k, "sizes must have length ", k, ", got ", sizes.size());
  for (const double s : sizes) check(s > 0 && std::isfinite(s), "sizes must be positive, got ", s);
  check(labels.rows == n && labels.cols == k, "labels must be ", n, " x ", k);
  check(lambda >= 0 && std::isfinite(lambda), "lambda must be finite and not negative, got ", lambda);
  const bool semantic = lambda > 0 && !affinity.offsets.empty();
  if (semantic)
    check(affinity.rows() == n && affinity.cols == n, "the affinity must be ", n, " x ", n, ", got ",
          affinity.rows(), " x ", affinity.cols);
  check(o.max_outer >= 1, "max_outer must be >= 1, got ", o.max_outer);
  check(!o.solve.schedule.empty(), "schedule must hold at least reg");

  // a further column takes the rest of the mass at no cost
  const std::ptrdiff_t columns = k + (share < 1);
  const double reg = o.solve.schedule.back();
  const vector a(static_cast<std::size_t>(n), 1 / static_cast<double>(n));
  vector b(static_cast<std::size_t>(columns), 1 - share), rho(b.size(), gamma);
  const vector exact(a.size(), std::numeric_limits<double>::infinity());
  if (share < 1) rho.back() = std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t j = 0; j < k; ++j) b[static_cast<std::size_t>(j)] = share / static_cast<double>(k);
  relaxed_options part = o.solve;
  part.rho_a = exact;
  part.rho_b = rho;
  part.mass = 0;
  part.kind = penalty::kl;
  part.product_reference = false;
  vector f(a.size()), g(b.size()), linear(static_cast<std::size_t>(n * columns), 0.0);
  matrix_view<double> wide(linear.data(), n, columns), q = labels;
  progressive_result r;
  // labels <- the plan without its last column; returns its value
  const auto one = [&] {
    const auto geo = geometry<double>::dense(wide);
    r.converged = solve_relaxed(ctx, geo, a, b, part, f, g).converged;
    vector u(f.size()), v(g.size());
    for (std::size_t i = 0; i < u.size(); ++i) u[i] = f[i] / reg;
    for (std::size_t j = 0; j < v.size(); ++j) v[j] = g[j] / reg;
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j < k; ++j)
        q(i, j) =
            std::exp(u[static_cast<std::size_t>(i)] + v[static_cast<std::size_t>(j)] - wide(i, j) / reg);
    part.init = true;
    part.schedule = {reg};
    return relaxed_value(ctx, geo, a, b, f, g, part);
  };
  for (std::ptrdiff_t i = 0; i < n; ++i) std::copy_n(&cost(i, 0), k, &wide(i, 0));
  if (!sizes.empty() && k > 1) {  // the largest size goes to the column that gets most when all are equal
    one();
    vector mass(static_cast<std::size_t>(k), 0.0), sorted(sizes.begin(), sizes.end());
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j < k; ++j) mass[static_cast<std::size_t>(j)] += q(i, j);
    std::vector<std::size_t> order(mass.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, [&](std::size_t x, std::size_t y) { return mass[x] > mass[y]; });
    std::ranges::sort(sorted, std::greater());
    for (std::size_t j = 0; j < order.size(); ++j) b[order[j]] = share * sorted[j] / sum(sizes);
    part.init = false;
    part.schedule = o.solve.schedule;
  }
  r.objective = one();
  r.outer = 1;
  if (semantic) {
    // (S + S^T) Q, in the order of the entries
    vector product(static_cast<std::size_t>(n * k));
    const auto affinities = [&] {
      std::ranges::fill(product, 0.0);
      double quadratic = 0;
      for (std::ptrdiff_t i = 0; i < n; ++i)
        for (std::int64_t e = affinity.offsets[static_cast<std::size_t>(i)];
             e < affinity.offsets[static_cast<std::size_t>(i) + 1]; ++e) {
          const double s = affinity.values[static_cast<std::size_t>(e)];
          const std::ptrdiff_t other = affinity.indices[static_cast<std::size_t>(e)];
          for (std::ptrdiff_t j = 0; j < k; ++j) {
            product[static_cast<std::size_t>(i * k + j)] += s * q(other, j);
            product[static_cast<std::size_t>(other * k + j)] += s * q(i, j);
            quadratic += s * q(i, j) * q(other, j);
          }
        }
      return quadratic;
    };
    double quadratic = affinities();
    r.objective -= lambda * quadratic;
    bool settled = false;
    while (r.outer < o.max_outer && !settled) {
      const vector before = product;
      for (std::ptrdiff_t i = 0; i < n; ++i)
        for (std::ptrdiff_t j = 0; j < k; ++j)
          wide(i, j) = cost(i, j) - lambda * before[static_cast<std::size_t>(i * k + j)];
      double now = one();
      quadratic = affinities();
      for (std::ptrdiff_t i = 0; i < n; ++i)
        for (std::ptrdiff_t j = 0; j < k; ++j)
          now += lambda * before[static_cast<std::size_t>(i * k + j)] * q(i, j);
      now -= lambda * quadratic;
      settled = std::abs(now - r.objective) <= o.solve.tol * std::max(1.0, std::abs(now));
      r.objective = now;
      ++r.outer;
    }
    r.converged = r.converged && settled;
  }
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t j = 0; j < k; ++j) q(i, j) *= static_cast<double>(n);
  return r;
}

#define LAPWING_INSTANTIATE(T)                                                                            \
  template divergence_result divergence<T>(const context&, matrix_view<const T>, matrix_view<const T>,    \
                                           metric, std::span<const double>, std::span<const double>,      \
                                           const options&, std::span<double>, std::span<double>,          \
                                           std::span<double>, std::span<double>);                         \
  template divergence_result divergence<T>(const context&, matrix_view<const T>, matrix_view<const T>,    \
                                           metric, std::span<const double>, std::span<const double>,      \
                                           const relaxed_options&, std::span<double>, std::span<double>,  \
                                           std::span<double>, std::span<double>);                         \
  template gap_result monge_gap<T>(const context&, matrix_view<const T>, matrix_view<const T>, metric,    \
                                   std::span<const double>, const options&, std::span<double>,            \
                                   std::span<double>);                                                    \
  template void entropic_map<T>(const context&, const geometry<T>&, std::span<const double>,              \
                                std::span<const double>, double, matrix_view<const double>,               \
                                matrix_view<double>);                                                     \
  template free_barycenter_result barycenter_free_support<T>(                                             \
      const context&, std::span<const cloud<T>>, std::span<const double>, const free_barycenter_options&, \
      matrix_view<T>);
LAPWING_INSTANTIATE(float)
LAPWING_INSTANTIATE(double)

}  // namespace lapwing::ot
