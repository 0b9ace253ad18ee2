#include "davidson.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "small.hpp"

namespace lapwing::linalg {

namespace {

small_matrix multiply(const small_matrix& a, const small_matrix& b, std::ptrdiff_t n, std::ptrdiff_t m,
                      std::ptrdiff_t p, bool transposed) {  // A (n x m) B (m x p); transposed: A is m x n
  small_matrix c(static_cast<std::size_t>(n * p), 0.0);
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t k = 0; k < m; ++k) {
      const double x = a[static_cast<std::size_t>(transposed ? k * n + i : i * m + k)];
      for (std::ptrdiff_t j = 0; j < p; ++j)
        c[static_cast<std::size_t>(i * p + j)] += x * b[static_cast<std::size_t>(k * p + j)];
    }
  return c;
}

constexpr double copy_width = 1e-6;  // values this close, relative to the smallest, are taken for one

// Moves the columns `keep` to the front.
void pack(const context& ctx, matrix_view<double> x, const std::vector<std::ptrdiff_t>& keep) {
  if (static_cast<std::ptrdiff_t>(keep.size()) == x.cols) return;
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::size_t c = 0; c < keep.size(); ++c) x(i, static_cast<std::ptrdiff_t>(c)) = x(i, keep[c]);
  });
}

}  // namespace

std::vector<double> residual(const context& ctx, const pencil& a, matrix_view<const double> x,
                             matrix_view<const double> ax, const std::vector<double>& theta,
                             matrix_view<double> r) {
  const std::ptrdiff_t b = r.cols;
  const double* m = a.mass();
  const double* t = theta.data();
  small_matrix norm = summed(ctx, x.rows, block_chunk, b,
                             [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* __restrict sum) {
                               for (std::ptrdiff_t i = lo; i < lo + count; ++i) {
                                 const double mi = m ? m[i] : 1.0, inverse = 1 / mi;
                                 const double* xi = &x(i, 0);
                                 const double* axi = &ax(i, 0);
                                 double* ri = &r(i, 0);  // may be axi
                                 for (std::ptrdiff_t c = 0; c < b; ++c) {
                                   const double v = axi[c] - mi * t[c] * xi[c];
                                   ri[c] = v;
                                   sum[c] += v * v * inverse;
                                 }
                               }
                             });
  for (double& v : norm) v = std::sqrt(v);
  return norm;
}

davidson_result davidson(const context& ctx, const pencil& a, const corrector& correct, std::ptrdiff_t k,
                         const davidson_options& o) {
  const std::ptrdiff_t n = a.size(), b = k + o.guard;
  davidson_result r;
  // The basis: Ritz vectors, previous directions, corrections. A times them is not kept: H follows the basis,
  // and a product costs less than carrying its rows along. res holds residuals, fix their corrections where
  // both are needed at once.
  block x(ctx, n, b), p(ctx, n, b), w(ctx, n, b), image(ctx, n, b), res(ctx, n, b),
      fix(ctx, o.tol_vec > 0 || o.tol_angle > 0 ? n : 0, b);
  const bool look_through = o.tol_vec > 0 || o.tol_angle > 0;  // at residuals through the corrector
  std::uint64_t seed = o.seed;
  const panels null = a.null();
  const projector project = [&](const context& c, matrix_view<double> z) {
    if (null.empty()) a.project(c, z);
  };
  std::ptrdiff_t ritz = 0, directions = 0;  // columns in use of x and p
  // The first `count` columns of w become part of the basis; returns how many are left of them.
  const auto accept = [&](std::ptrdiff_t count) {
    panels basis = null;
    basis.push_back(x.view(0, ritz));
    basis.push_back(p.view(0, directions));
    const std::ptrdiff_t fresh = orthonormalise(ctx, a.mass(), project, basis, w.view(0, count));
    if (fresh > 0) a.multiply(ctx, w.view(0, fresh), image.view(0, fresh));
    r.products += fresh;
    return fresh;
  };
  if (!o.start || o.start->cols() < b) {
    fill_normal(ctx, w.view(0, b), seed++);
    a.project_dual(ctx, w.view(0, b));
    correct(ctx, std::as_const(w).view(0, b), res.view(0, b));  // the low end comes to the front at once
    r.corrections += b;
    copy(ctx, std::as_const(res).view(0, b), w.view(0, b));
  }
  if (o.start)
    for (std::ptrdiff_t i = 0; i < n; ++i)
      std::copy_n(o.start->row(i), std::min(b, o.start->cols()), w.row(i));
  std::ptrdiff_t fresh = accept(b);
  small_matrix h = bordered({}, 0, gram(ctx, w.view(0, fresh), image.view(0, fresh), nullptr), fresh);
  std::ptrdiff_t size = fresh;  // of the whole basis
  bool exhausted = false;
  std::vector<std::ptrdiff_t> active;
  std::vector<double> corrected(static_cast<std::size_t>(b), std::numeric_limits<double>::infinity());

  for (;;) {
    const symmetric_eigenpairs e = symmetric_eigen(h, size);
    const std::ptrdiff_t nb = std::min(b, size);

    // The new basis: Ritz vectors y, then of the previous ones what is orthogonal to them (active columns).
    std::ptrdiff_t kept = 0;
    small_matrix rest_basis;
    if (ritz > 0 && size > nb) {
      std::vector<std::ptrdiff_t> old;
      for (const std::ptrdiff_t c : active)
        if (c < ritz) old.push_back(c);
      const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(old.size());
      // In the eigenbasis of H the complement of y is the rest of the coordinates: no projection is needed.
      const std::ptrdiff_t rest = size - nb;
      small_matrix s(static_cast<std::size_t>(rest * count));
      for (std::ptrdiff_t i = 0; i < rest; ++i)
        for (std::ptrdiff_t c = 0; c < count; ++c)
          s[static_cast<std::size_t>(i * count + c)] =
              e.vectors[static_cast<std::size_t>(old[static_cast<std::size_t>(c)] * size + nb + i)];
      const small_matrix t = whiten(multiply(s, s, count, rest, count, true), count, 1e-24, 1e-12, kept);
      rest_basis = multiply(s, t, rest, count, kept, false);  // rest x kept, orthonormal
    }
    const std::ptrdiff_t next = nb + kept;
    small_matrix basis(static_cast<std::size_t>(size * next), 0.0);
    for (std::ptrdiff_t i = 0; i < size; ++i) {
      std::copy_n(e.vectors.data() + i * size, nb, basis.data() + i * next);
      for (std::ptrdiff_t j = 0; j < size - nb; ++j)
        for (std::ptrdiff_t c = 0; c < kept; ++c)
          basis[static_cast<std::size_t>(i * next + nb + c)] +=
              e.vectors[static_cast<std::size_t>(i * size + nb + j)] *
              rest_basis[static_cast<std::size_t>(j * kept + c)];
    }
    rotate(ctx, {x.view(0, ritz), p.view(0, directions), w.view(0, fresh)}, basis,
           {x.view(0, nb), p.view(0, kept)});
    h.assign(static_cast<std::size_t>(next * next), 0.0);
    for (std::ptrdiff_t i = 0; i < nb; ++i)
      h[static_cast<std::size_t>(i * next + i)] = e.values[static_cast<std::size_t>(i)];
    for (std::ptrdiff_t i = 0; i < kept; ++i)
      for (std::ptrdiff_t j = 0; j < kept; ++j) {
        double sum = 0;
        for (std::ptrdiff_t l = 0; l < size - nb; ++l)
          sum += rest_basis[static_cast<std::size_t>(l * kept + i)] *
                 e.values[static_cast<std::size_t>(nb + l)] *
                 rest_basis[static_cast<std::size_t>(l * kept + j)];
        h[static_cast<std::size_t>((nb + i) * next + nb + j)] = sum;
      }
    size = next;
    ritz = nb;
    directions = kept;

    a.multiply(ctx, x.view(0, nb), image.view(0, nb));
    r.products += nb;
    std::vector<double> norm = residual(ctx, a, std::as_const(x).view(0, nb),
                                        std::as_const(image).view(0, nb), e.values, res.view(0, nb));
    for (double& length : norm) length /= o.norm;
    std::ptrdiff_t wanted = 0;
    double worst = 0;
    active.clear();
    const auto value = [&](std::ptrdiff_t c) { return e.values[static_cast<std::size_t>(c)]; };
    const auto copies = [&](std::ptrdiff_t c, std::ptrdiff_t d) {
      return std::abs(value(c) - value(d)) <= copy_width * std::abs(value(0));
    };
    // What is left of the error, to first order. The other Ritz vectors are orthogonal to a residual, but
    // their own errors are not; beyond them an eigenvalue is no smaller than the last of theirs.
    small_matrix coupling;
    const auto angle = [&](std::ptrdiff_t c) {
      double outside = corrected[static_cast<std::size_t>(c)], square = 0;
      if (!copies(c, nb - 1)) outside *= value(nb - 1) / std::abs(value(nb - 1) - value(c));
      for (std::ptrdiff_t j = 0; j < nb; ++j) {
        if (copies(c, j)) continue;
        const double part = coupling[static_cast<std::size_t>(j * nb + c)] / (value(j) - value(c));
        square += part * part;
      }
      return std::min(1.0, std::sqrt(outside * outside + square));
    };
    const auto good = [&](std::ptrdiff_t c) {
      const std::size_t at = static_cast<std::size_t>(c);
      if (norm[at] > o.tol) return false;
      if (!look_through) return true;
      // The rounding of the vector itself, seen through the inverse, is about this long.
      const double floor = 8 * std::numeric_limits<double>::epsilon() * o.norm / std::abs(e.values[at]);
      if (corrected[at] <= floor) return true;
      if (o.tol_vec > 0 && corrected[at] > o.tol_vec) return false;
      if (o.tol_angle == 0 || (c >= o.accurate && !copies(o.accurate - 1, c))) return true;
      return angle(c) <= o.tol_angle;
    };
    if (look_through) {  // all corrections are needed to decide
      a.project_dual(ctx, res.view(0, nb));
      correct(ctx, std::as_const(res).view(0, nb), fix.view(0, nb));
      a.project(ctx, fix.view(0, nb));
      r.corrections += nb;
      const small_matrix g = gram(ctx, fix.view(0, nb), fix.view(0, nb), a.mass());
      for (std::ptrdiff_t c = 0; c < nb; ++c)
        corrected[static_cast<std::size_t>(c)] = std::sqrt(g[static_cast<std::size_t>(c * nb + c)]);
      coupling = gram(ctx, fix.view(0, nb), res.view(0, nb), nullptr);
    }
    for (std::ptrdiff_t c = 0; c < nb; ++c) {
      if (c < k) worst = std::max(worst, norm[static_cast<std::size_t>(c)]);
      if (c < k && good(c)) ++wanted;
      if (!good(c)) active.push_back(c);
    }
    ++r.outer;
    r.stopped = ctx.report("eigenvectors", r.outer, worst) || r.stopped;
    r.converged = wanted == k;
    if (r.converged || r.stopped || r.outer >= o.max_outer || exhausted) {
      r.wanted_converged = wanted;
      r.values.assign(e.values.begin(), e.values.begin() + nb);
      for (std::ptrdiff_t c = 0; look_through && c < nb; ++c) r.angles.push_back(angle(c));
      r.vectors = block(ctx, n, nb);
      copy(ctx, std::as_const(x).view(0, nb), r.vectors.view(0, nb));
      return r;
    }

    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(active.size());
    const matrix_view<double> to = w.view(0, count);
    if (look_through) {
      pack(ctx, fix.view(0, nb), active);
      copy(ctx, std::as_const(fix).view(0, count), to);
    } else {
      pack(ctx, res.view(0, nb), active);
      if (null.empty()) a.project_dual(ctx, res.view(0, count));
      correct(ctx, std::as_const(res).view(0, count), to);
      r.corrections += count;
    }
    fresh = accept(count);
    if (fresh == 0) {  // nothing new came out: something random will
      fill_normal(ctx, to, seed++);
      fresh = accept(count);
    }
    exhausted = fresh == 0;  // the basis is the whole space: the next look is the last
    if (exhausted) continue;
    h = bordered(
        h, size,
        gram(ctx, {x.view(0, ritz), p.view(0, directions), w.view(0, fresh)}, image.view(0, fresh), nullptr),
        fresh);
    size += fresh;
  }
}

}  // namespace lapwing::linalg
