// Counting the eigenvalues of a graph Laplacian below a value: L - sigma M is the Laplacian of the graph with
// one more vertex, tied to each of the others by an edge of weight -sigma M, and grounded there.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <limits>
#include <optional>

#include "cholesky.hpp"
#include "graph_pencil.hpp"

namespace lapwing::linalg {

count_result count_below(const context& ctx, csr_view<const double> w, normalization form, double sigma,
                         double max_memory) {
  check(sigma > 0 && sigma <= std::numeric_limits<double>::max(), "sigma must be finite and > 0, got ",
        sigma);
  const ordered_graph g(ctx, w);
  const bool weighted = form == normalization::symmetric;
  const graph_pencil a(ctx, g.weights.view(), weighted, g.ends);
  const double* mass = a.mass();
  const std::ptrdiff_t n = a.size();
  const double unit = weighted ? 1 : g.scale;
  buffer<double> ground(ctx, n);
  std::optional<grounded_cholesky> factor;
  count_result r;
  // A pivot that is 0 (at sigma = 1 the diagonal is) says nothing: then a little below, by the root of the
  // rounding unit, which small pivots lose.
  bool singular = true;
  for (int attempt = 0; singular && attempt < 3; ++attempt) {
    const double shift = sigma * (1 - 0x1p-26 * attempt);
    for (std::ptrdiff_t i = 0; i < n; ++i) ground[i] = -shift * unit * (mass ? mass[i] : 1.0);
    factor.emplace(ctx, g.weights.view(), std::vector<std::int64_t>(), max_memory);
    factor->factor(ctx, ground.data());
    r = {w.rows() - n, sigma - shift};  // isolated nodes count
    singular = false;
    for (const double pivot : factor->inverse_pivots()) {
      r.count += pivot < 0;
      singular = singular || pivot == 0 || !std::isfinite(pivot);
    }
  }
  if (singular) {
    r.error = std::numeric_limits<double>::infinity();
    return r;
  }
  // Nothing was pivoted: how well the factors stand for the matrix shows in a solution of a random system.
  // What is left of the right-hand side, over the solution, is the least change that would make it exact.
  block x(ctx, n, 4), image(ctx, n, 4), right(ctx, n, 4);
  fill_normal(ctx, right.view(0, 4), 0);
  factor->solve(ctx, std::as_const(right).view(0, 4), x.view(0, 4));
  a.multiply(ctx, std::as_const(x).view(0, 4), image.view(0, 4));
  for (std::ptrdiff_t c = 0; c < 4; ++c) {
    double rest = 0, size = 0;  // in the norms of M^-1 and M
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const double m = mass ? mass[i] : 1.0, v = x.row(i)[c],
                   d = image.row(i)[c] + ground[i] * v - right.row(i)[c];
      rest += d * d / m;
      size += m * v * v;
    }
    const double error = std::sqrt(rest / size) / unit;
    r.error = error <= r.error ? r.error : error;  // a NaN stays
  }
  return r;
}

}  // namespace lapwing::linalg
