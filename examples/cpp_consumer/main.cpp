// Optimal transport between two sets of points through lapwing's C++ interface: costs are computed on the
// fly, the plan is never stored. Prints the transport cost and the leading singular values of the plan.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <lapwing/lapwing.hpp>
#include <numbers>
#include <span>
#include <vector>

namespace {

// n points on a circle around the origin
std::vector<double> circle(std::ptrdiff_t n, double radius) {
  std::vector<double> xy;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n);
    xy.insert(xy.end(), {radius * std::cos(angle), radius * std::sin(angle)});
  }
  return xy;
}

using view = lapwing::matrix_view<const double>;

// What is made of several solves; x and y as points of weights a and b.
bool variants(const lapwing::context& ctx, view x, view y, const std::vector<double>& a,
              const std::vector<double>& b, double reg) {
  namespace ot = lapwing::ot;
  const std::size_t n = a.size(), m = b.size();
  const ot::options options{.schedule = {1.0, 0.2, reg}, .tol = 1e-9};
  std::vector<double> f(n), g(m), own_x(n), own_y(m), back(n);
  const auto apart =
      ot::divergence<double>(ctx, x, y, ot::metric::sqeuclidean, a, b, options, f, g, own_x, own_y);
  std::printf("divergence %.6f\n", apart.value);

  // Where the plan takes points on the x axis, and what turning the inner circle by a quarter wastes.
  const std::vector<double> points{0.9, 0.0, 2.0, 0.0};
  std::vector<double> coordinates(2 * m), images(4), turned(2 * n);
  for (std::size_t j = 0; j < m; ++j) {
    coordinates[j] = y(static_cast<std::ptrdiff_t>(j), 0);
    coordinates[m + j] = y(static_cast<std::ptrdiff_t>(j), 1);
  }
  ot::entropic_map<double>(ctx,
                           ot::geometry<double>::points({points.data(), 2, 2}, y, ot::metric::sqeuclidean), g,
                           b, reg, {coordinates.data(), 2, y.rows}, {images.data(), 2, 2});
  for (std::size_t i = 0; i < n; ++i) {
    turned[2 * i] = -x(static_cast<std::ptrdiff_t>(i), 1);
    turned[2 * i + 1] = x(static_cast<std::ptrdiff_t>(i), 0);
  }
  const auto gap =
      ot::monge_gap<double>(ctx, x, {turned.data(), x.rows, 2}, ot::metric::sqeuclidean, a, options, f, back);
  std::printf("image of (0.9, 0) %.6f\nMonge gap %.6f\n", images[0], gap.linear);

  // Thirty points between the circles, and images between two images.
  std::vector<double> between(x.data, x.data + 60), small(30, 1.0 / 30);
  const std::vector<ot::cloud<double>> clouds{{x, a, 1.0}, {y, b, 1.0}};
  const auto middle = ot::barycenter_free_support<double>(ctx, clouds, small, {.plans = options, .tol = 1e-6},
                                                          {between.data(), 30, 2});
  std::printf("free barycentre %.6f\n", middle.value);
  std::vector<double> axis(16), pictures(2 * 256), log_p(256);
  for (std::size_t i = 0; i < 16; ++i) axis[i] = static_cast<double>(i) / 15;
  for (std::size_t k = 0; k < 2; ++k)
    for (std::size_t i = 0; i < 256; ++i) pictures[256 * k + i] = (i / 16 / 8 == k && i % 16 / 8 == k) / 64.0;
  const std::vector<std::span<const double>> axes{axis, axis};
  const auto picture = ot::barycenter(ctx, axes, {pictures.data(), 2, 256}, std::vector{1.0, 1.0}, false,
                                      {.schedule = {0.1, 0.01}, .tol = 1e-8}, log_p);
  std::printf("barycentre of pictures: in the middle %.6f\n", std::exp(log_p[8 * 16 + 8]));

  // Half of the inner circle labelled with the nearest of three corners; one entry a point for the rest.
  std::vector<double> cost(3 * n), labels(3 * n), gradient(3), entries(n);
  const double corners[3][2] = {{1, 0}, {-1, 1}, {-1, -1}};
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < 3; ++k)
      cost[3 * i + k] = std::pow(x(static_cast<std::ptrdiff_t>(i), 0) - corners[k][0], 2) +
                        std::pow(x(static_cast<std::ptrdiff_t>(i), 1) - corners[k][1], 2);
  const auto half =
      ot::progressive_partial(ctx, {cost.data(), x.rows, 3}, 0.5, 1.0, {}, {}, 0,
                              {.solve = {.schedule = {0.1}, .tol = 1e-9}}, {labels.data(), x.rows, 3});
  std::vector<std::int64_t> chosen(n);
  const double dual = ot::sparse_semi_dual<double>(
      ctx, ot::geometry<double>::dense({cost.data(), x.rows, 3}), std::vector(3, 1.0 / 3), a, 1.0,
      std::vector(3, 0.0), gradient, {chosen.data(), x.rows, 1}, {entries.data(), x.rows, 1}, true);
  std::printf("progressive objective %.6f\nsemi-dual %.6f\n", half.objective, dual);
  return apart.converged && gap.converged && middle.converged && picture.converged && half.converged;
}

int run() {
  constexpr std::ptrdiff_t n = 600, m = 400, k = 4;
  constexpr double reg = 0.05;
  const std::vector<double> x = circle(n, 1.0), y = circle(m, 1.5);
  const std::vector<double> a(n, 1.0 / n), b(m, 1.0 / m);

  const lapwing::context ctx({.progress = [](const lapwing::progress_info& p) {
    std::printf("  %s %td: %.1e\n", p.stage, p.iteration, p.error);
    return false;  // true would stop here and return what there is
  }});
  const auto geometry = lapwing::ot::geometry<double>::points({x.data(), n, 2}, {y.data(), m, 2},
                                                              lapwing::ot::metric::sqeuclidean);
  std::vector<double> f(n), g(m);
  const auto result =
      lapwing::ot::solve<double>(ctx, geometry, a, b, {.schedule = {1.0, 0.2, reg}, .tol = 1e-9}, f, g);
  if (!result.converged) {
    std::printf("not converged: %s\n", result.status.c_str());
    return 1;
  }

  // P_ij = exp(u_i + v_j - C_ij / reg)
  std::vector<double> u(n), v(m), row_sum(n), col_sum(m);
  std::ranges::transform(f, a, u.begin(), [](double fi, double ai) { return fi / reg + std::log(ai); });
  std::ranges::transform(g, b, v.begin(), [](double gj, double bj) { return gj / reg + std::log(bj); });
  const lapwing::ot::plan<double> plan{geometry, reg, u, v};
  const auto sums = lapwing::ot::stats<double>(ctx, plan, row_sum, col_sum);
  std::printf("%d threads, %s: transport cost %.6f, marginal error %.1e\n", ctx.threads(),
              lapwing::name(ctx.level()), sums.linear, result.marginal_error);

  // Weights are equal, so diag(a)^-1/2 P diag(b)^-1/2 is sqrt(nm) P, whose first pair is the constant one.
  const double scale = std::sqrt(static_cast<double>(n) * static_cast<double>(m));
  const std::vector<double> left(n, 1 / std::sqrt(static_cast<double>(n))),
      right(m, 1 / std::sqrt(static_cast<double>(m)));
  std::vector<double> left_vectors(k * n), right_vectors(k * m);
  const auto triplets = lapwing::linalg::svds(ctx, lapwing::ot::plan_operator<double>(plan), left, right, k,
                                              {}, {left_vectors.data(), k, n}, {right_vectors.data(), k, m});
  for (std::ptrdiff_t i = 0; i < k; ++i)
    std::printf("singular value %td: %.6f\n", i + 2, scale * triplets.values[i]);

  // The rest of the family, on quiet contexts of their own: partners drawn from the plan, half of the mass
  // alone, penalised marginals, and many small problems at once.
  const lapwing::context quiet;
  const std::vector<std::int64_t> rows{0, 150}, offsets{0, 2, 3};
  const std::vector<double> uniform{0.1, 0.9, 0.5};
  std::vector<std::int64_t> partners(uniform.size());
  lapwing::ot::sample<double>(quiet, plan, rows, offsets, uniform, partners, false);
  for (const std::int64_t j : partners) std::printf("drawn partner: %td\n", static_cast<std::ptrdiff_t>(j));

  std::vector<double> part_f(n), part_g(m);
  const std::vector<double> rho_a(n, 0.5), rho_b(m, 0.5);
  const auto part = lapwing::ot::solve_relaxed<double>(
      quiet, geometry, a, b, {.schedule = {1.0, 0.2, reg}, .tol = 1e-9, .mass = 0.5}, part_f, part_g);
  const auto soft = lapwing::ot::solve_relaxed<double>(
      quiet, geometry, a, b, {.schedule = {1.0, 0.2, reg}, .tol = 1e-9, .rho_a = rho_a, .rho_b = rho_b},
      part_f, part_g);
  std::printf("moved mass: %.6f of the half that was asked for, %.6f under penalties\n", part.mass,
              soft.mass);

  std::vector<lapwing::ot::batch_item<double>> items;
  std::vector<double> small_f(8 * 50), small_g(8 * 50);
  for (std::size_t q = 0; q < 8; ++q)  // eight arcs of the inner circle, each with one of the outer
    items.push_back(
        {lapwing::ot::geometry<double>::points({x.data() + q * 100, 50, 2}, {y.data() + q * 100, 50, 2},
                                               lapwing::ot::metric::sqeuclidean),
         std::span(a).first(50), std::span(a).first(50), std::span(small_f).subspan(q * 50, 50),
         std::span(small_g).subspan(q * 50, 50)});
  const auto small = lapwing::ot::solve_batch<double>(quiet, items, reg, true, {.tol = 1e-9});
  std::vector<double> entries(8 * 50 * 50);
  std::vector<lapwing::matrix_view<double>> plans;
  for (std::ptrdiff_t q = 0; q < 8; ++q) plans.push_back({entries.data() + q * 50 * 50, 50, 50});
  lapwing::ot::batch_plans<double>(quiet, items, reg, plans);
  std::printf("arcs: the first plan's largest entry is %.6f\n",
              *std::ranges::max_element(std::span(entries).first(50 * 50)));

  // How the potentials answer to the costs (here to the gradient of f_0), and a kernel scaled to row sums 1.
  std::vector<double> q(n), w(m), s(n), t(m), log_scaling(n);
  q[0] = reg;
  for (double& x : w) x = reg / m;
  const auto implicit = lapwing::ot::solve_marginals<double>(
      quiet, plan, {.rows = row_sum, .columns = col_sum, .q = q, .w = w}, s, t);
  auto own = lapwing::ot::geometry<double>::points({x.data(), n, 2}, {x.data(), n, 2},
                                                   lapwing::ot::metric::sqeuclidean);
  own.hollow = true;
  const std::vector<double> ones(n, 1.0);
  const auto scaling = lapwing::ot::doubly_stochastic<double>(quiet, own, reg, ones, {}, log_scaling);
  std::printf("implicit differentiation: %td steps; doubly stochastic: %td steps\n", implicit.iterations,
              scaling.iterations);

  const bool rest = variants(quiet, {x.data(), n, 2}, {y.data(), m, 2}, a, b, reg);
  const bool others = rest && implicit.converged && scaling.converged && part.converged &&
                      std::fabs(part.mass - 0.5) < 1e-6 && soft.converged && soft.mass < 1 &&
                      std::ranges::all_of(
                          partners, [](std::int64_t j) { return j >= 0 && j < m; }) &&
                      std::ranges::all_of(small, [](const auto& r) { return r.converged; });

  // On two circles the values come in pairs (a cosine and a sine of each frequency).
  const bool paired = std::fabs(triplets.values[0] - triplets.values[1]) < 1e-6 * triplets.values[0];
  const bool marginals = std::ranges::all_of(row_sum, [](double r) { return std::fabs(r - 1.0 / n) < 1e-9; });
  return triplets.converged && paired && marginals && others ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
