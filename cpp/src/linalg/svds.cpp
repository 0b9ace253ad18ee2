// Singular triplets of an operator: block Lanczos on A^T A for the right vectors, then the SVD of A between
// what it makes of them and what A^T makes of that.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>

#include "krylov.hpp"
#include "small.hpp"

namespace lapwing::linalg {

namespace {

block column(const context& ctx, std::span<const double> x) {
  block b(ctx, static_cast<std::ptrdiff_t>(x.size()), x.empty() ? 0 : 1);
  for (std::ptrdiff_t i = 0; i < b.rows(); ++i) b.row(i)[0] = x[static_cast<std::size_t>(i)];
  return b;
}

// Makes the columns of x orthonormal to each other and to a known vector, one after the other: the first,
// which are the largest, are not moved by what is rounding error in the last. Where nothing is left of a
// column something random comes in; there must be room for it.
void complete(const context& ctx, const projector& project, block& known, block& x, std::uint64_t seed) {
  for (std::ptrdiff_t c = 0; c < x.cols(); ++c) {
    panels before;
    if (known.cols() > 0) before.push_back(known.view(0, known.cols()));
    if (c > 0) before.push_back(x.view(0, c));
    while (orthonormalise(ctx, nullptr, project, before, x.view(c, 1)) == 0)
      fill_normal(ctx, x.view(c, 1), seed++);
  }
}

}  // namespace

svds_result svds(const context& ctx, const linear_operator& a, std::span<const double> left,
                 std::span<const double> right, std::ptrdiff_t k, const svds_options& o,
                 matrix_view<double> u, matrix_view<double> v) {
  const std::ptrdiff_t n = a.rows(), m = a.cols();
  check(left.empty() == right.empty(), "left and right must be given together");
  check(left.empty() ||
            (static_cast<std::ptrdiff_t>(left.size()) == n && static_cast<std::ptrdiff_t>(right.size()) == m),
        "left and right must have lengths ", n, " and ", m);
  const auto unit = [](std::span<const double> x, const char* what) {
    double s = 0;
    for (const double y : x) s += y * y;
    check(x.empty() || std::abs(s - 1) <= 1e-6, what, " must be a unit vector, its length is ", std::sqrt(s));
  };
  unit(left, "left");
  unit(right, "right");
  check(u.rows == k && u.cols == n && v.rows == k && v.cols == m, "u and v must be k x rows and k x cols");
  const std::ptrdiff_t known = left.empty() ? 0 : 1, room = std::min(n, m) - known;
  check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
  check(o.block >= 0, "block must be >= 0, got ", o.block);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_apply >= 1, "max_apply must be >= 1, got ", o.max_apply);
  // At least as wide as k: no copy of a value can be missed.
  const std::ptrdiff_t width =
      std::min(o.block > 0 ? std::max(o.block, k)
                           : std::max<std::ptrdiff_t>(std::min<std::ptrdiff_t>(k + 8, 32), k + 2),
               m - known);

  block known_left = column(ctx, left), known_right = column(ctx, right);
  svds_result r;
  const projector project = without(known_left.view(0, known)),
                  project_right = without(known_right.view(0, known));
  const by_rows call(ctx, std::max(n, m) * width);
  krylov_options inner;
  inner.k = k;
  inner.more = std::min(width, n - known) - k;
  inner.width = width;
  inner.basis = std::max<std::ptrdiff_t>(6 * width, 48);
  inner.stage = "singular vectors";
  inner.look = 1;
  inner.largest = true;
  inner.tol = o.tol / 2;
  // |A^T u - s v| = |A^T A v - s^2 v| / s. Where s itself is at the level of the tolerance nothing more can
  // be asked.
  inner.scale = [&o](double value, double best) {
    const double s = std::sqrt(std::max(value, 0.0)), largest = std::sqrt(std::max(best, 0.0));
    return largest * std::max(s, 0.1 * o.tol * largest);
  };
  inner.max_steps = o.max_apply;
  inner.seed = o.seed;
  krylov_result found = krylov(
      ctx, m,
      [&](const context& c, matrix_view<const double> x, matrix_view<double> y) {
        ++r.applications;
        call(c, [&](auto from, auto to) { a.normal(c, from, to); }, x, y);
      },
      project_right, {}, inner);

  // Q spans A V. What A^T makes of it, Z = P R, holds all that is wanted: A is Q Z^T on these spaces, and
  // from there small values have all their digits, which A^T A has lost beside the largest.
  const std::ptrdiff_t p = found.vectors.cols(), kept = std::min(k, p);
  const matrix_view<double> basis = found.vectors.view(0, p);
  block q(ctx, n, p), z(ctx, m, p), across(ctx, m, p);
  call(ctx, [&](auto from, auto to) { a.apply(ctx, from, to); }, basis, q.view(0, p));

  complete(ctx, project, known_left, q, ~o.seed);
  call(
      ctx, [&](auto from, auto to) { a.apply_transposed(ctx, from, to); }, std::as_const(q).view(0, p),
      z.view(0, p));
  project_right(ctx, z.view(0, p));
  copy(ctx, std::as_const(z).view(0, p), across.view(0, p));
  complete(ctx, project_right, known_right, across, ~o.seed + 1);
  const singular_triplets small = small_svd(gram(ctx, across.view(0, p), z.view(0, p), nullptr), p);
  const auto leading = [&](const small_matrix& s) {
    small_matrix first(static_cast<std::size_t>(p * kept));
    for (std::ptrdiff_t i = 0; i < p; ++i) std::copy_n(s.data() + i * p, kept, first.data() + i * kept);
    return first;
  };
  block uk(ctx, n, kept), vk(ctx, m, kept), image(ctx, n, kept), back(ctx, m, kept);
  combine(ctx, q.view(0, p), leading(small.right), uk.view(0, kept));
  combine(ctx, across.view(0, p), leading(small.left), vk.view(0, kept));
  combine(ctx, z.view(0, p), leading(small.right), back.view(0, kept));  // A^T u
  call(
      ctx, [&](auto from, auto to) { a.apply(ctx, from, to); }, std::as_const(vk).view(0, kept),
      image.view(0, kept));
  const auto squares = [&](const block& x,
                           const block& y) {  // of the lengths of the columns of X - Y diag(s)
    return summed(
        ctx, x.rows(), block_chunk, kept, [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* sum) {
          for (std::ptrdiff_t i = lo; i < lo + count; ++i)
            for (std::ptrdiff_t c = 0; c < kept; ++c) {
              const double d = x.row(i)[c] - small.values[static_cast<std::size_t>(c)] * y.row(i)[c];
              sum[c] += d * d;
            }
        });
  };
  const small_matrix forward = squares(image, uk), backward = squares(back, vk);
  r.values.assign(static_cast<std::size_t>(k), 0.0);
  r.residuals.assign(static_cast<std::size_t>(k), 0.0);
  r.converged = kept == k;
  for (std::ptrdiff_t c = 0; c < kept; ++c) {
    const std::size_t at = static_cast<std::size_t>(c);
    r.values[at] = small.values[at];
    r.residuals[at] = std::sqrt(std::max(forward[at], backward[at]));
    r.converged = r.converged && r.residuals[at] <= o.tol * small.values[0];  // a NaN is not
  }
  transpose(ctx, std::as_const(uk).view(0, kept), {u.data, kept, n, u.stride});
  transpose(ctx, std::as_const(vk).view(0, kept), {v.data, kept, m, v.stride});
  return r;
}

}  // namespace lapwing::linalg
