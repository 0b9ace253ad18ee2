// Built with nothing but what pkg-config says. Transport between two pairs of points at distance c has the
// closed form P_11 = 1 / (2 (1 + exp(-c / reg))).
#include <cmath>
#include <cstdio>
#include <lapwing/lapwing.hpp>
#include <vector>

int main() {
  const double c = 1.0, reg = 0.3;
  const std::vector<double> cost{0, c, c, 0}, half(2, 0.5);
  std::vector<double> f(2), g(2);
  const lapwing::context ctx({.threads = 2});
  const auto geometry = lapwing::ot::geometry<double>::dense({cost.data(), 2, 2});
  const auto result =
      lapwing::ot::solve<double>(ctx, geometry, half, half, {.schedule = {reg}, .tol = 1e-12}, f, g);
  const double p = 0.25 * std::exp((f[0] + g[0]) / reg), exact = 0.5 / (1 + std::exp(-c / reg));
  std::printf("lapwing %s, %s: P_11 = %.12f, exact %.12f, error %.1e\n", LAPWING_VERSION,
              result.status.c_str(), p, exact, result.marginal_error);
  return result.converged && std::fabs(p - exact) < 1e-12 ? 0 : 1;
}
