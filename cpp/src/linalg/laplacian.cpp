// Eigenpairs of graph Laplacians: the graph is put in order, its null space removed, and L z = lambda M z is
// solved in edge form (M = D for the normalised Laplacian, whose eigenvectors are D^1/2 z).
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/sparse.hpp>
#include <memory>
#include <utility>

#include "../kernels/table.hpp"
#include "cholesky.hpp"
#include "davidson.hpp"
#include "graph_pencil.hpp"
#include "krylov.hpp"
#include "small.hpp"

namespace lapwing::linalg {

namespace {

// Rayleigh-Ritz once more on the first k columns, with sums over edges: tiny eigenvalues keep their digits.
// The other columns, less accurate, would spoil them; they get their Rayleigh quotients.
std::vector<double> polish(const context& ctx, const graph_pencil& a, block& z, std::ptrdiff_t k) {
  const std::ptrdiff_t n = a.size(), b = z.cols(), chunks = (n + row_chunk - 1) / row_chunk;
  const auto w = a.weights();
  const auto& kernel = kernels::get<double>(ctx.level());
  buffer<double> part(ctx, chunks * b * b, 0.0);
  ctx.parallel_for(n, row_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    kernel.edge_gram(w.offsets.data(), w.indices.data(), w.values.data(), z.row(0), z.ld(), b, lo, hi,
                     part.data() + lo / row_chunk * b * b);
  });
  small_matrix h(static_cast<std::size_t>(b * b), 0.0);
  for (std::ptrdiff_t c = 0; c < chunks; ++c)
    for (std::ptrdiff_t e = 0; e < b * b; ++e) h[static_cast<std::size_t>(e)] += part[c * b * b + e];
  small_matrix leading(static_cast<std::size_t>(k * k));
  for (std::ptrdiff_t i = 0; i < k; ++i) std::copy_n(h.data() + i * b, k, leading.data() + i * k);
  symmetric_eigenpairs e = symmetric_eigen(leading, k);
  rotate(ctx, z.view(0, k), e.vectors, k);
  for (std::ptrdiff_t c = k; c < b; ++c) e.values.push_back(h[static_cast<std::size_t>(c * b + c)]);
  return e.values;
}

// Block Lanczos on A or on its pseudo-inverse, in symmetric coordinates. A narrow block may miss copies of an
// eigenvalue: what was found is deflated, and the best pair that is left must not be better than the worst
// found. A vector that was missed is dominant there, and a random start has a part in it.
block lanczos(const context& ctx, const graph_pencil& a, csr_view<const double> w,
              const std::vector<std::int64_t>& ends, std::ptrdiff_t k, std::ptrdiff_t more,
              const laplacian_options& o, laplacian_result& r) {
  const std::ptrdiff_t n = a.size();
  const bool inverse = o.method == eigen_method::cholesky;
  krylov_options inner;
  inner.k = k;
  inner.more = more;
  inner.width = n < 50000 ? 4 : 2;
  inner.basis = std::clamp<std::ptrdiff_t>(6 * k, 40, std::max<std::ptrdiff_t>(200, 3 * k));
  inner.largest = inverse;
  inner.relative = inverse;  // |A v - lambda v| <= |A| times the residual of A^+ over its value
  inner.tol = (inverse ? 1 : r.norm) * o.tol / 2;
  inner.max_products = o.max_products;
  inner.seed = o.seed;
  block t(ctx, n, inner.width);
  std::unique_ptr<grounded_cholesky> factor;
  if (inverse) {
    factor = std::make_unique<grounded_cholesky>(ctx, w, ends, o.max_memory);
    r.factor_nonzeros = static_cast<std::ptrdiff_t>(factor->entries());
    factor->factor(ctx);
  }
  const block_operator apply = [&](const context& c, matrix_view<const double> x, matrix_view<double> y) {
    const matrix_view<double> scaled = t.view(0, x.cols);
    if (!inverse) return a.multiply_symmetric(c, x, scaled, y);
    graph_pencil::scale(c, a.root(), x, scaled);
    factor->solve(c, scaled, y);
    graph_pencil::scale(c, a.root(), y, y);
  };
  const projector project = [&a](const context& c, matrix_view<double> x) { a.project_symmetric(c, x); };
  krylov_result found = krylov(ctx, n, apply, project, {}, inner);
  r.products = found.products;
  r.stopped = found.stopped;
  r.converged = found.converged == k;
  const auto value = [&](double theta) { return inverse ? 1 / theta : theta; };
  std::vector<double> values;
  for (const double theta : found.values) values.push_back(value(theta));
  block v = std::move(found.vectors);
  for (r.rounds = 0; o.verify && r.converged && !r.stopped && v.cols() >= k;) {
    if (n - static_cast<std::ptrdiff_t>(ends.size()) <= k) break;  // nothing is left to be missed
    krylov_options next = inner;
    next.k =
        std::min<std::ptrdiff_t>(r.rounds == 0 ? 1 : 2, n - static_cast<std::ptrdiff_t>(ends.size()) - k);
    next.more = 0;
    next.basis = 40;
    next.seed = o.seed + 1000 + static_cast<std::uint64_t>(r.rounds);
    block kept(ctx, n, k);
    copy(ctx, std::as_const(v).view(0, k), kept.view(0, k));
    orthonormalise(ctx, nullptr, project, {}, kept.view(0, k));
    krylov_result rest = krylov(ctx, n, apply, project, std::as_const(kept).view(0, k), next);
    ++r.rounds;
    r.products += rest.products;
    r.stopped = rest.stopped;
    r.converged = rest.converged == next.k;
    if (!r.converged) break;
    // the best k of both, by value
    std::vector<std::pair<double, std::ptrdiff_t>> all;
    for (std::ptrdiff_t c = 0; c < k; ++c) all.emplace_back(values[static_cast<std::size_t>(c)], c);
    const double worst = values[static_cast<std::size_t>(k - 1)];
    bool better = false;
    for (std::size_t c = 0; c < rest.values.size(); ++c) {
      all.emplace_back(value(rest.values[c]), k + static_cast<std::ptrdiff_t>(c));
      better = better || value(rest.values[c]) < worst * (1 - 1e-8);
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
    block merged(ctx, n, static_cast<std::ptrdiff_t>(all.size()));
    for (std::size_t c = 0; c < all.size(); ++c) {
      const std::ptrdiff_t from = all[c].second;
      const matrix_view<const double> source =
          from < k ? std::as_const(kept).view(from, 1) : std::as_const(rest.vectors).view(from - k, 1);
      copy(ctx, source, merged.view(static_cast<std::ptrdiff_t>(c), 1));
    }
    values.clear();
    for (const auto& x : all) values.push_back(x.first);
    v = std::move(merged);
    if (!better) break;
  }
  orthonormalise(ctx, nullptr, project, {}, v.view(0, v.cols()));
  graph_pencil::scale(ctx, a.inverse_root(), std::as_const(v).view(0, v.cols()), v.view(0, v.cols()));
  return v;
}

}  // namespace

laplacian_result laplacian_eigs(const context& ctx, csr_view<const double> given, std::ptrdiff_t k,
                                const laplacian_options& o, matrix_view<double> vectors) {
  const ordered_graph g(given);
  laplacian_result r;
  const std::ptrdiff_t n = given.rows(), room = n - static_cast<std::ptrdiff_t>(g.parts.sizes.size());
  r.labels = g.parts.labels;
  r.component_sizes = g.parts.sizes;
  check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.tol_vec >= 0, "tol_vec must be >= 0, got ", o.tol_vec);
  check(o.max_outer >= 1, "max_outer must be >= 1, got ", o.max_outer);
  check(vectors.rows == n && vectors.cols == k, "vectors must be ", n, " x ", k, ", got ", vectors.rows,
        " x ", vectors.cols);
  const auto& order = g.order;
  const auto& ends = g.ends;
  const sparse::csr& sorted = g.weights;
  const bool symmetric = o.form == normalization::symmetric;
  const graph_pencil a(ctx, sorted.view(), symmetric, ends);
  const double* d = a.degrees();
  if (symmetric) {
    r.norm = 2;
  } else {
    double largest = 0, edge = 0;
    for (std::ptrdiff_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, d[i]);
      for (std::int64_t q = sorted.offsets[static_cast<std::size_t>(i)];
           q < sorted.offsets[static_cast<std::size_t>(i + 1)]; ++q)
        edge = std::max(edge, d[i] + d[sorted.indices[static_cast<std::size_t>(q)]]);
    }
    r.norm = std::min(2 * largest, edge);
  }

  const std::ptrdiff_t guard =
      std::min(o.guard >= 0 ? o.guard : round_up(k + std::max<std::ptrdiff_t>(2, k / 4), 4) - k, room - k);
  block z;
  if (o.method == eigen_method::approx_cholesky) {
    const approx_cholesky m(ctx, sorted.view(), o.split, o.seed);
    r.factor_nonzeros = m.nonzeros();
    davidson_options inner;
    inner.guard = guard;
    inner.norm = r.norm;
    inner.tol = o.tol / 2;  // what comes out of the last rotation is checked against tol itself
    inner.tol_vec = o.tol_vec;
    inner.max_outer = o.max_outer;
    inner.seed = o.seed;
    const corrector correct = [&m](const context& c, matrix_view<const double> x, matrix_view<double> y) {
      m.apply(c, x, y);
    };
    davidson_result found = davidson(ctx, a, correct, k, inner);
    r.outer = found.outer;
    r.products = found.products;
    r.corrections = found.corrections;
    r.stopped = found.stopped;
    r.converged = found.converged;
    z = std::move(found.vectors);
  } else {
    z = lanczos(ctx, a, sorted.view(), ends, k, guard, o, r);
  }

  const std::ptrdiff_t b = z.cols();
  r.values = polish(ctx, a, z, std::min(k, b));
  block image(ctx, a.size(), b);
  a.multiply(ctx, std::as_const(z).view(0, b), image.view(0, b));
  std::vector<double> square(static_cast<std::size_t>(b), 0.0);
  for (std::ptrdiff_t i = 0; i < a.size(); ++i) {
    const double mi = symmetric ? d[i] : 1.0;
    for (std::ptrdiff_t c = 0; c < b; ++c) {
      const double v = image.row(i)[c] - mi * r.values[static_cast<std::size_t>(c)] * z.row(i)[c];
      square[static_cast<std::size_t>(c)] += v * v / mi;
    }
  }
  r.converged = r.converged && b >= k;
  for (std::ptrdiff_t c = 0; c < b; ++c) {
    r.residuals.push_back(std::sqrt(square[static_cast<std::size_t>(c)]) / r.norm);
    if (c < k) r.converged = r.converged && r.residuals.back() <= o.tol;
  }
  if (!symmetric) {
    for (double& v : r.values) v /= g.scale;
    r.norm /= g.scale;
  }
  for (std::ptrdiff_t i = 0; i < n; ++i) std::fill_n(&vectors(i, 0), k, 0.0);
  for (std::ptrdiff_t i = 0; i < a.size(); ++i) {
    const double scale = symmetric ? std::sqrt(d[i]) : 1.0;
    for (std::ptrdiff_t c = 0; c < std::min(k, b); ++c)
      vectors(order[static_cast<std::size_t>(i)], c) = scale * z.row(i)[c];
  }
  return r;
}

}  // namespace lapwing::linalg
