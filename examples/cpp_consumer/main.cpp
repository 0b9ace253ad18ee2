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

  const bool others = implicit.converged && scaling.converged && part.converged &&
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
