#include "krylov.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "small.hpp"

namespace lapwing::linalg {

krylov_result krylov(const context& ctx, std::ptrdiff_t n, const block_operator& apply,
                     const projector& project, matrix_view<const double> locked, const krylov_options& o) {
  const std::ptrdiff_t fixed = locked.cols, p = o.width, capacity = std::max(o.basis, o.k + 2 * p);
  krylov_result r;
  block v(ctx, n, fixed + capacity + p);
  if (fixed > 0) copy(ctx, locked, v.view(0, fixed));
  const auto basis = [&](std::ptrdiff_t count) { return std::as_const(v).view(0, fixed + count); };
  const auto column = [&](std::ptrdiff_t first, std::ptrdiff_t count) {
    return v.view(fixed + first, count);
  };
  std::uint64_t seed = o.seed;
  fill_normal(ctx, column(0, p), seed++);
  std::ptrdiff_t fresh = orthonormalise(ctx, nullptr, project, basis(0), column(0, p)), size = fresh;
  small_matrix t(static_cast<std::size_t>((capacity + p) * (capacity + p)), 0.0);
  const std::ptrdiff_t ld = capacity + p;
  const auto at = [&](std::ptrdiff_t i, std::ptrdiff_t j) -> double& {
    return t[static_cast<std::size_t>(i * ld + j)];
  };
  symmetric_eigenpairs e;
  bool exhausted = false;
  const auto pick = [&](std::ptrdiff_t c) { return o.largest ? size - 1 - c : c; };  // best first
  for (int step = 1;; ++step) {
    // y = A (last block), its products with the basis, and what is left of it
    const matrix_view<double> y = column(size, fresh);
    apply(ctx, std::as_const(v).view(fixed + size - fresh, fresh), y);
    r.products += fresh;
    project(ctx, y);
    for (int pass = 0; pass < 2; ++pass) {
      small_matrix c = gram(ctx, basis(size), y, nullptr);
      for (std::ptrdiff_t i = 0; i < size; ++i)
        for (std::ptrdiff_t j = 0; j < fresh; ++j) {
          const double x = c[static_cast<std::size_t>((fixed + i) * fresh + j)];
          if (pass == 0) at(i, size - fresh + j) = 0;
          at(i, size - fresh + j) += x;
        }
      for (double& x : c) x = -x;
      combine(ctx, basis(size), c, y, true);
      project(ctx, y);
    }
    for (std::ptrdiff_t i = 0; i < size; ++i)
      for (std::ptrdiff_t j = size - fresh; j < size; ++j) {
        if (i < size - fresh) {
          at(j, i) = at(i, j);
        } else if (i < j) {
          at(i, j) = at(j, i) = (at(i, j) + at(j, i)) / 2;
        }
      }
    const small_matrix rest = gram(ctx, y, y, nullptr);
    const bool full = size + fresh > capacity;
    const bool look = full || step % 4 == 0 || exhausted || r.products >= o.max_products;
    std::ptrdiff_t good = 0;
    double worst = 0;
    if (look) {
      small_matrix h(static_cast<std::size_t>(size * size));
      for (std::ptrdiff_t i = 0; i < size; ++i)
        for (std::ptrdiff_t j = 0; j < size; ++j) h[static_cast<std::size_t>(i * size + j)] = at(i, j);
      e = symmetric_eigen(h, size);
      for (std::ptrdiff_t c = 0; c < std::min(o.k, size); ++c) {
        // |A u - theta u| = |y (last rows of the eigenvector)|
        double square = 0;
        for (std::ptrdiff_t i = 0; i < fresh; ++i)
          for (std::ptrdiff_t j = 0; j < fresh; ++j)
            square += e.vectors[static_cast<std::size_t>((size - fresh + i) * size + pick(c))] *
                      rest[static_cast<std::size_t>(i * fresh + j)] *
                      e.vectors[static_cast<std::size_t>((size - fresh + j) * size + pick(c))];
        double error = std::sqrt(std::max(square, 0.0));
        if (o.relative) error /= std::abs(e.values[static_cast<std::size_t>(pick(c))]);
        worst = std::max(worst, error);
        good += error <= o.tol;
      }
      r.stopped = ctx.report("eigenvectors", r.products, worst) || r.stopped;
    } else {
      ctx.poll();
    }
    if (look && (good == o.k || r.stopped || exhausted || r.products >= o.max_products)) {
      const std::ptrdiff_t back = std::min(o.k + o.more, size);
      small_matrix s(static_cast<std::size_t>(size * back));
      for (std::ptrdiff_t c = 0; c < back; ++c) {
        r.values.push_back(e.values[static_cast<std::size_t>(pick(c))]);
        for (std::ptrdiff_t i = 0; i < size; ++i)
          s[static_cast<std::size_t>(i * back + c)] = e.vectors[static_cast<std::size_t>(i * size + pick(c))];
      }
      r.vectors = block(ctx, n, back);
      combine(ctx, std::as_const(v).view(fixed, size), s, r.vectors.view(0, back));
      r.converged = good;
      return r;
    }
    // The next block: y made orthonormal (it is orthogonal to the basis already).
    std::ptrdiff_t kept = 0;
    double smallest = 0;
    const std::ptrdiff_t last = fresh;
    double scale = 0;  // of the operator: what is left of y below its rounding is nothing
    for (std::ptrdiff_t i = 0; i < size; ++i) scale = std::max(scale, std::abs(at(i, i)));
    rotate(ctx, y, whiten(rest, fresh, 1e-28 * scale * scale, 1e-26, kept, &smallest), kept);
    fresh = kept;
    if (kept > 0 && smallest < 1e-8)  // scaling has brought rounding errors up
      fresh = orthonormalise(ctx, nullptr, project, basis(size), column(size, kept));
    else if (kept > 0)
      rotate(ctx, column(size, kept),
             whiten(gram(ctx, column(size, kept), column(size, kept), nullptr), kept, 0.0, 1e-13, fresh),
             fresh);
    if (fresh == 0) {  // an invariant subspace: go on with something random
      fill_normal(ctx, column(size, last), seed++);
      fresh = orthonormalise(ctx, nullptr, project, basis(size), column(size, last));
      exhausted = fresh == 0;  // there is nothing else: what T holds is exact
    }
    if (full) {
      const std::ptrdiff_t keep = std::min(o.k + (capacity - o.k) / 3, size - 1);
      small_matrix s(static_cast<std::size_t>(size * keep));
      for (std::ptrdiff_t c = 0; c < keep; ++c)
        for (std::ptrdiff_t i = 0; i < size; ++i)
          s[static_cast<std::size_t>(i * keep + c)] = e.vectors[static_cast<std::size_t>(i * size + pick(c))];
      rotate(ctx, column(0, size), s, keep);
      copy(ctx, std::as_const(v).view(fixed + size, fresh), column(keep, fresh));
      for (std::ptrdiff_t i = 0; i < keep; ++i)
        for (std::ptrdiff_t j = 0; j < keep; ++j)
          at(i, j) = i == j ? e.values[static_cast<std::size_t>(pick(i))] : 0;
      size = keep;
    }
    size += fresh;
  }
}

}  // namespace lapwing::linalg
