// Eigenpairs of symmetric operators that are known by their products alone.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <limits>

#include "block.hpp"
#include "krylov.hpp"

namespace lapwing::linalg {

eigs_result eigs(const context& ctx, const linear_operator& a, matrix_view<const double> known,
                 std::ptrdiff_t k, const eigs_options& o, matrix_view<double> vectors) {
  const std::ptrdiff_t n = a.rows(), fixed = known.cols, room = n - fixed;
  check(a.cols() == n, "the operator must be square, got ", n, " x ", a.cols());
  check(fixed == 0 || known.rows == n, "known must have ", n, " rows, got ", known.rows);
  check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.norm >= 0, "norm must be >= 0, got ", o.norm);
  check(o.width >= 1, "width must be >= 1, got ", o.width);
  check(vectors.rows == n && vectors.cols == k, "vectors must be ", n, " x ", k, ", got ", vectors.rows,
        " x ", vectors.cols);
  const std::ptrdiff_t width = std::min(round_up(o.width, 4), round_up(room, 4));
  block left(ctx, n, fixed);
  if (fixed > 0) {
    copy(ctx, known, left.view(0, fixed));
    const small_matrix g = gram(ctx, left.view(0, fixed), left.view(0, fixed), nullptr);
    double error = 0;
    for (std::ptrdiff_t i = 0; i < fixed; ++i)
      for (std::ptrdiff_t j = 0; j < fixed; ++j)
        error = std::max(error, std::abs(g[static_cast<std::size_t>(i * fixed + j)] - (i == j)));
    check(error <= 1e-8, "the columns of known must be orthonormal; they are off by ", error);
  }
  const projector project = without(left.view(0, fixed));
  eigs_result r;
  const by_rows call(ctx, n * width);
  const block_operator apply = [&](const context& c, matrix_view<const double> x, matrix_view<double> y) {
    call(c, [&](auto from, auto to) { a.apply(c, from, to); }, x, y);
  };
  krylov_options inner;
  inner.seed = o.seed;
  r.norm = o.norm;
  if (r.norm == 0) {  // both ends of a short run bound it well
    inner.k = 1;
    inner.width = 1;
    inner.basis = 24;
    inner.max_products = 12;
    inner.tol = 1e-3;
    inner.scale = [](double value, double) { return std::abs(value); };
    for (const bool largest : {false, true}) {
      inner.largest = largest;
      const krylov_result end = krylov(ctx, n, apply, project, {}, inner);
      r.products += end.products;
      r.norm = std::max(r.norm, std::abs(end.values.front()));
    }
    if (r.norm == 0) r.norm = std::numeric_limits<double>::min();
  }
  inner.k = k;
  inner.width = width;
  inner.basis = std::max<std::ptrdiff_t>(std::clamp<std::ptrdiff_t>(6 * k, 40, 200), 3 * k);
  inner.largest = o.largest;
  inner.tol = o.tol / 2;
  inner.scale = [norm = r.norm](double, double) { return norm; };
  inner.max_products = o.max_products;
  krylov_result found = verified_krylov(ctx, n, room, apply, project, inner, o.verify, r.rounds);
  r.products += found.products;
  r.stopped = found.stopped;
  r.converged = found.converged == k && found.vectors.cols() >= k;
  for (std::ptrdiff_t i = 0; i < n; ++i) std::fill_n(&vectors(i, 0), k, 0.0);
  block image(ctx, n, width);
  for (std::ptrdiff_t first = 0; first < std::min(k, found.vectors.cols()); first += width) {
    const std::ptrdiff_t count = std::min(width, std::min(k, found.vectors.cols()) - first);
    const matrix_view<double> v = found.vectors.view(first, count), av = image.view(0, count);
    apply(ctx, v, av);
    r.products += count;
    const small_matrix theta = gram(ctx, v, av, nullptr);
    std::vector<double> square(static_cast<std::size_t>(count), 0.0);
    for (std::ptrdiff_t c = 0; c < count; ++c)
      r.values.push_back(theta[static_cast<std::size_t>(c * count + c)]);
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t c = 0; c < count; ++c) {
        const double d = av(i, c) - r.values[static_cast<std::size_t>(first + c)] * v(i, c);
        square[static_cast<std::size_t>(c)] += d * d;
        vectors(i, first + c) = v(i, c);
      }
    for (const double s : square) {
      r.residuals.push_back(std::sqrt(s) / r.norm);
      r.converged = r.converged && r.residuals.back() <= o.tol;
    }
  }
  return r;
}

}  // namespace lapwing::linalg
