// Eigenpairs of graph Laplacians: the graph is put in order, its null space removed, and L z = lambda M z is
// solved in edge form (M = D for the normalised Laplacian, whose eigenvectors are D^1/2 z).
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/sparse.hpp>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "../kernels/table.hpp"
#include "chebyshev.hpp"
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
  const std::ptrdiff_t n = a.size(), b = z.cols();
  const auto w = a.weights();
  const auto& kernel = kernels::get<double>(ctx.level());
  const small_matrix h =
      summed(ctx, n, block_chunk, b * b, [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* sum) {
        kernel.edge_gram(w.offsets.data(), w.indices.data(), w.values.data(), z.row(0), z.ld(), b, lo,
                         lo + count, sum);
      });
  small_matrix leading(static_cast<std::size_t>(k * k));
  for (std::ptrdiff_t i = 0; i < k; ++i) std::copy_n(h.data() + i * b, k, leading.data() + i * k);
  symmetric_eigenpairs e = symmetric_eigen(leading, k);
  rotate(ctx, z.view(0, k), e.vectors, z.view(0, k));
  for (std::ptrdiff_t c = k; c < b; ++c) e.values.push_back(h[static_cast<std::size_t>(c * b + c)]);
  return e.values;
}

// Block Lanczos on A or on its pseudo-inverse, in symmetric coordinates.
block lanczos(const context& ctx, const graph_pencil& a, const grounded_cholesky* factor,
              std::ptrdiff_t components, std::ptrdiff_t k, std::ptrdiff_t more, const laplacian_options& o,
              laplacian_result& r) {
  const std::ptrdiff_t n = a.size();
  const bool inverse = factor != nullptr;
  krylov_options inner;
  inner.k = k;
  inner.more = more;
  // A solve with the factor costs hardly more for many vectors than for one; with as many as are wanted no
  // copy of an eigenvalue can be missed.
  inner.width =
      inverse ? std::min<std::ptrdiff_t>(round_up(k + std::min<std::ptrdiff_t>(more, 2), 4), 16) : 4;
  inner.basis = std::max(std::clamp<std::ptrdiff_t>(6 * k, 40, 200), std::max(3 * k, 6 * inner.width));
  inner.largest = inverse;
  inner.tol = o.tol / 2;
  if (inverse)  // |A v - lambda v| <= |A| times the residual of A^+ over its value
    inner.scale = [](double value, double) { return std::abs(value); };
  else
    inner.scale = [norm = r.norm](double, double) { return norm; };
  // On the pseudo-inverse it takes a dozen steps, or rounding hides what is small beside the largest value.
  inner.max_products = inverse ? std::min(o.max_products, 30 * inner.width) : o.max_products;
  inner.seed = o.seed;
  block t(ctx, n, inner.width);
  const block_operator apply = [&](const context& c, matrix_view<const double> x, matrix_view<double> y) {
    const matrix_view<double> scaled = t.view(0, x.cols);
    if (!inverse) return a.multiply_symmetric(c, x, scaled, y);
    graph_pencil::scale(c, a.root(), x, scaled);
    factor->solve(c, scaled, y);
    graph_pencil::scale(c, a.root(), y, y);
  };
  const projector project = [&a](const context& c, matrix_view<double> x) { a.project_symmetric(c, x); };
  krylov_result found = verified_krylov(ctx, n, n - components, apply, project, inner, o.verify, r.rounds);
  r.products = found.products;
  r.outer = found.steps;
  r.stopped = found.stopped;
  r.converged = found.converged == k;
  block v = std::move(found.vectors);
  graph_pencil::scale(ctx, a.inverse_root(), std::as_const(v).view(0, v.cols()), v.view(0, v.cols()));
  return v;
}

// What an automatic run uses. All of it follows from the graph, nothing from the clock or the threads.
struct choice {
  eigen_method method = eigen_method::approx_cholesky;
  std::string reason;
  std::unique_ptr<grounded_cholesky> factor;  // analysed
};
constexpr double flops_a_second = 4e9, bytes_a_second = 8e9;  // of one core, measured once

choice choose(const context& ctx, const ordered_graph& g, const laplacian_options& o, std::ptrdiff_t b) {
  // How far apart neighbours stand after reordering: about the square root of n for what is laid out in a
  // plane, a fixed share of n where there is nothing to be laid out.
  const auto w = g.weights.view();
  const double n = static_cast<double>(w.rows());
  double span = 0;
  for (std::ptrdiff_t i = 0; i < w.rows(); ++i)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q)
      span += static_cast<double>(std::abs(w.indices[static_cast<std::size_t>(q)] - i));
  span /= static_cast<double>(w.size());
  const auto [least, most] = std::minmax_element(w.values.begin(), w.values.end());
  choice c;
  std::ostringstream text;
  text.precision(2);
  text << "neighbours are " << span << " places apart after reordering, ";
  if (o.tol_angle > 0) {  // a few vectors, of a few digits
    const bool expander = span > 0.03 * n && *most <= 1e6 * *least;
    if (expander) c.method = eigen_method::chebyshev;
    text << (expander ? "as in an expander: products alone converge fast"
                      : "and few vectors do not pay for an exact factorisation");
  } else if (span <= 3 * std::sqrt(n)) {
    text << "as in a plane; ";
    try {
      c.factor = std::make_unique<grounded_cholesky>(ctx, w, g.ends, o.max_memory);
      const double columns = static_cast<double>(b),
                   direct = c.factor->operations() / flops_a_second +
                            12 * (16 * c.factor->entries() + 160 * columns * n) / bytes_a_second,
                   iterative = 28 * (320 * columns * n + 24 * static_cast<double>(w.size())) / bytes_a_second;
      text << "about " << direct << " s by factorisation, " << iterative << " s by preconditioned iteration";
      c.method = direct < iterative ? eigen_method::cholesky : eigen_method::approx_cholesky;
    } catch (const memory_exceeded&) {
      text << "a factorisation would take more memory than the limit";
    }
    if (c.method != eigen_method::cholesky) c.factor.reset();
  } else if (span > 0.03 * n && o.tol_vec == 0 && *most <= 1e6 * *least) {
    text << "as in an expander: products alone converge fast";
    c.method = eigen_method::chebyshev;
  } else {
    text << "too many for a factorisation";
  }
  c.reason = text.str();
  return c;
}

}  // namespace

laplacian_result laplacian_eigs(const context& ctx, csr_view<const double> given, std::ptrdiff_t k,
                                const laplacian_options& o, matrix_view<double> vectors) {
  const ordered_graph g(ctx, given);
  laplacian_result r;
  const std::ptrdiff_t n = given.rows(), room = n - static_cast<std::ptrdiff_t>(g.parts.sizes.size());
  r.labels = g.parts.labels;
  r.component_sizes = g.parts.sizes;
  check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.tol_vec >= 0, "tol_vec must be >= 0, got ", o.tol_vec);
  check(o.tol_angle >= 0 && (o.tol_angle == 0 || (o.accurate >= 1 && o.accurate <= k)),
        "tol_angle must be >= 0 and go with accurate between 1 and ", k, ", got ", o.tol_angle, " and ",
        o.accurate);
  check((o.tol_vec == 0 && o.tol_angle == 0) ||
            (o.method != eigen_method::lanczos && o.method != eigen_method::chebyshev),
        "tol_vec and tol_angle need a method with a factorisation");
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
  choice how;
  how.method = o.method;
  if (o.method == eigen_method::automatic) how = choose(ctx, g, o, k + guard);
  r.method = how.method;
  block start;
  if (o.start.cols > 0) {
    check(o.start.rows == n, "start must have ", n, " rows, got ", o.start.rows);
    start = block(ctx, a.size(), o.start.cols);
    for (std::ptrdiff_t i = 0; i < a.size(); ++i)
      for (std::ptrdiff_t c = 0; c < o.start.cols; ++c)
        start.row(i)[c] =
            o.start(order[static_cast<std::size_t>(i)], c) * (symmetric ? a.inverse_root()[i] : 1.0);
  }
  const block* const from = start.cols() > 0 ? &start : nullptr;
  block z;
  const auto take = [&](davidson_result found) {
    r.outer = found.outer;
    r.products = found.products;
    r.corrections = found.corrections;
    r.stopped = found.stopped;
    r.converged = found.converged;
    r.angles = std::move(found.angles);
    z = std::move(found.vectors);
  };
  // Values and residuals of what z holds.
  bool finished = false;
  const auto finish = [&] {
    const std::ptrdiff_t b = z.cols();
    r.values = polish(ctx, a, z, std::min(k, b));
    block image(ctx, a.size(), b);
    a.multiply(ctx, std::as_const(z).view(0, b), image.view(0, b));
    r.residuals = residual(ctx, a, std::as_const(z).view(0, b), std::as_const(image).view(0, b), r.values,
                           image.view(0, b));
    for (double& x : r.residuals) x /= r.norm;
    finished = true;
  };
  const auto good = [&] {
    return std::all_of(r.residuals.begin(), r.residuals.begin() + std::min(k, z.cols()),
                       [&](double x) { return x <= o.tol; });
  };
  const double inner_tol = o.tol / 2;  // what comes out of the last rotation is checked against tol itself
  const auto iterate = [&](const corrector& correct, const block* first) {
    davidson_options inner;
    inner.guard = guard;
    inner.norm = r.norm;
    inner.tol = inner_tol;
    inner.tol_vec = o.tol_vec;
    inner.tol_angle = o.tol_angle;
    inner.accurate = o.accurate;
    inner.max_outer = o.max_outer;
    inner.seed = o.seed;
    inner.start = first;
    take(davidson(ctx, a, correct, k, inner));
  };
  const auto precondition = [&](const block* first) {
    const approx_cholesky m(ctx, sorted.view(), o.split, o.seed);
    r.factor_nonzeros = m.nonzeros();
    iterate([&](const context& c, matrix_view<const double> x, matrix_view<double> y) { m.apply(c, x, y); },
            first);
  };
  if (r.method == eigen_method::approx_cholesky) {
    precondition(from);
  } else if (r.method == eigen_method::chebyshev) {
    chebyshev_options inner;
    inner.guard = guard;
    inner.norm = r.norm;
    inner.tol = inner_tol;
    inner.max_products = o.max_products;
    // An expander needs some hundred products for each vector. If it was none, the other method goes on.
    if (o.method == eigen_method::automatic)
      inner.max_products = std::min<std::ptrdiff_t>(inner.max_products, 300 * (k + guard));
    inner.seed = o.seed;
    inner.start = from;
    take(chebyshev(ctx, a, k, inner));
    if (o.method == eigen_method::automatic && !r.converged && !r.stopped) {
      how.reason += "; they did not, and a preconditioned iteration went on";
      r.method = eigen_method::approx_cholesky;
      const std::ptrdiff_t products = r.products;
      const int steps = r.outer;
      const block reached = std::move(z);
      precondition(&reached);
      r.products += products;
      r.outer += steps;
    }
  } else {
    const auto components = static_cast<std::ptrdiff_t>(ends.size());
    if (r.method == eigen_method::lanczos) {
      z = lanczos(ctx, a, nullptr, components, k, guard, o, r);
    } else {
      if (!how.factor)
        how.factor = std::make_unique<grounded_cholesky>(ctx, sorted.view(), ends, o.max_memory);
      r.factor_nonzeros = static_cast<std::ptrdiff_t>(how.factor->entries());
      how.factor->factor(ctx);
      z = lanczos(ctx, a, how.factor.get(), components, k, guard, o, r);
      finish();
      // The residuals themselves tell whether rounding has left something to mend.
      if (!r.stopped && (!r.converged || !good() || o.tol_vec > 0)) {
        finished = false;
        const std::ptrdiff_t products = r.products;
        const int steps = r.outer;
        const block reached = std::move(z);
        iterate([&](const context& c, matrix_view<const double> x,
                    matrix_view<double> y) { how.factor->solve(c, x, y); },
                &reached);
        r.products += products;
        r.outer += steps;
      }
    }
  }

  r.reason = how.reason;
  if (!finished) finish();
  const std::ptrdiff_t b = z.cols();
  r.converged = r.converged && b >= k && good();
  if (!symmetric) {
    for (double& v : r.values) v /= g.scale;
    r.norm /= g.scale;
  }
  if (a.size() < n || b < k)
    for (std::ptrdiff_t i = 0; i < n; ++i) std::fill_n(&vectors(i, 0), k, 0.0);
  ctx.parallel_for(a.size(), block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      const double scale = symmetric ? a.root()[i] : 1.0;
      for (std::ptrdiff_t c = 0; c < std::min(k, b); ++c)
        vectors(order[static_cast<std::size_t>(i)], c) = scale * z.row(i)[c];
    }
  });
  return r;
}

}  // namespace lapwing::linalg
