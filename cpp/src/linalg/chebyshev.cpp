#include "chebyshev.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "small.hpp"

namespace lapwing::linalg {

namespace {

constexpr int bound_steps = 12;
constexpr double most_degree = 80;

// An upper bound on the spectrum: the largest Ritz value of some Lanczos steps and four times its residual.
// Should it be too low after all, a Ritz value above it shows that.
double upper_bound(const context& ctx, const pencil& a, const projector& project, const chebyshev_options& o,
                   std::ptrdiff_t& products) {
  const std::ptrdiff_t n = a.size();
  std::vector<block> q;
  panels basis;
  q.emplace_back(ctx, n, 1);
  fill_normal(ctx, q[0].view(0, 1), o.seed + 77);
  if (orthonormalise(ctx, a.mass(), project, {}, q[0].view(0, 1)) == 0) return o.norm;
  basis.push_back(q[0].view(0, 1));
  small_matrix h;
  double beta = 0;
  std::ptrdiff_t size = 1;
  for (int step = 0; step < bound_steps; ++step) {
    q.emplace_back(ctx, n, 1);
    const matrix_view<double> next = q.back().view(0, 1);
    a.multiply(ctx, basis.back(), next);
    ++products;
    if (const double* m = a.mass())
      for (std::ptrdiff_t i = 0; i < n; ++i) next(i, 0) /= m[i];
    project(ctx, next);
    const small_matrix c = gram(ctx, basis, next, a.mass());
    const small_matrix rest = deflate(ctx, basis, c, next, a.mass());
    h = bordered(h, size - 1, c, 1);
    beta = std::sqrt(std::max(0.0, rest.back()));
    if (!(beta > 1e-12 * o.norm) || step + 1 == bound_steps) break;
    rotate(ctx, next, {1 / beta}, next);
    basis.push_back(next);
    ++size;
  }
  const symmetric_eigenpairs e = symmetric_eigen(h, size);
  const double left = beta * std::abs(e.vectors[static_cast<std::size_t>(size * size - 1)]);
  return std::min(o.norm, e.values.back() + 4 * left);
}

// What a polynomial p of M^-1 A makes of Ritz vectors, less p(theta) times themselves: a polynomial of M^-1 A
// applied to their residuals. These are all that is new, and single precision is enough for them, however
// small they have become. p is the Chebyshev polynomial of [lo, hi] that is 1 at `target`.
void filter(const context& ctx, const pencil& a, int degree, double lo, double hi, double target,
            const std::vector<double>& theta, const std::vector<double>& norm,
            matrix_view<const double> residual, matrix_view<double> out) {
  const std::ptrdiff_t n = residual.rows, b = residual.cols;
  const double half = (hi - lo) / 2, centre = (hi + lo) / 2, start = half / (target - centre);
  const double* m = a.mass();
  const float one_step = static_cast<float>(start / half);
  std::vector<double> inverse(norm.begin(), norm.begin() + b);  // residuals are scaled to length 1
  for (double& x : inverse) x = x > 0 ? 1 / x : 0;
  buffer<float> r(ctx, n * b), first(ctx, n * b), second(ctx, n * b, 0.0f);
  matrix_view<float> now{first.data(), n, b}, before{second.data(), n, b};
  const matrix_view<float> right{r.data(), n, b};
  ctx.parallel_for(n, block_chunk, [&](std::ptrdiff_t lower, std::ptrdiff_t upper, int) {
    for (std::ptrdiff_t i = lower; i < upper; ++i) {
      const double f = m ? 1 / m[i] : 1.0;
      for (std::ptrdiff_t c = 0; c < b; ++c) {
        right(i, c) = static_cast<float>(residual(i, c) * inverse[static_cast<std::size_t>(c)] * f);
        now(i, c) = one_step * right(i, c);
      }
    }
  });
  // p_0 and p_1 at theta
  std::vector<double> previous(static_cast<std::size_t>(b), 1.0), value(static_cast<std::size_t>(b));
  for (std::size_t c = 0; c < value.size(); ++c) value[c] = (theta[c] - centre) * start / half;
  std::vector<float> s(static_cast<std::size_t>(b));
  double sigma = start;
  for (int q = 2; q <= degree; ++q) {
    const double following = 1 / (2 / start - sigma), f = 2 * following / half, g = sigma * following;
    for (std::size_t c = 0; c < value.size(); ++c) {
      s[c] = static_cast<float>(f * value[c]);
      previous[c] = f * (theta[c] - centre) * value[c] - g * previous[c];
      std::swap(previous[c], value[c]);
    }
    a.filter(ctx, static_cast<float>(f), static_cast<float>(-centre * f), static_cast<float>(-g), now, right,
             s.data(), before);
    std::swap(now, before);
    sigma = following;
  }
  ctx.parallel_for(n, block_chunk, [&](std::ptrdiff_t lower, std::ptrdiff_t upper, int) {
    for (std::ptrdiff_t i = lower; i < upper; ++i)
      for (std::ptrdiff_t c = 0; c < b; ++c) out(i, c) = now(i, c);
  });
}

}  // namespace

davidson_result chebyshev(const context& ctx, const pencil& a, std::ptrdiff_t k, const chebyshev_options& o) {
  const std::ptrdiff_t n = a.size(), b = k + o.guard,
                       capacity = std::max(o.basis > 0 ? o.basis : 3 * b, 2 * b + 4),
                       keep = b + (capacity - b) / 3, least = 4;
  const projector project = [&a](const context& c, matrix_view<double> x) { a.project(c, x); };
  davidson_result r;
  double hi = upper_bound(ctx, a, project, o, r.products);
  std::vector<block> store;
  panels v;
  const std::ptrdiff_t width = std::max(b, least);
  block x(ctx, n, width), y(ctx, n, width);
  std::uint64_t seed = o.seed;
  std::ptrdiff_t size = 0;
  small_matrix h;
  // The columns of w that are independent of the basis become part of it; returns how many.
  const auto accept = [&](matrix_view<double> w) {
    w.cols = orthonormalise(ctx, a.mass(), project, v, w);
    if (w.cols == 0) return false;
    store.emplace_back(ctx, n, w.cols);
    v.push_back(store.back().view(0, w.cols));
    copy(ctx, w, v.back());
    const matrix_view<double> aw = y.view(0, w.cols);
    a.multiply(ctx, v.back(), aw);
    r.products += w.cols;
    h = bordered(h, size, gram(ctx, v, aw, nullptr), w.cols);
    size += w.cols;
    return true;
  };
  fill_normal(ctx, x.view(0, b), seed++);
  if (o.start)
    for (std::ptrdiff_t i = 0; i < n; ++i)
      std::copy_n(o.start->row(i), std::min(b, o.start->cols()), x.row(i));
  bool exhausted = !accept(x.view(0, b));
  std::vector<double> done;  // values of the leading pairs that are good
  for (;;) {
    const symmetric_eigenpairs e = symmetric_eigen(h, size);
    const auto value = [&](std::ptrdiff_t c) { return e.values[static_cast<std::size_t>(c)]; };
    if (value(size - 1) > hi) hi = o.norm;
    const auto coefficients = [&](std::ptrdiff_t first, std::ptrdiff_t count) {
      small_matrix s(static_cast<std::size_t>(size * count));
      for (std::ptrdiff_t i = 0; i < size; ++i)
        std::copy_n(e.vectors.data() + i * size + first, count, s.data() + i * count);
      return s;
    };
    // Ritz pairs from the first that is not known to be good
    std::size_t same = 0;
    while (same < done.size() && static_cast<std::ptrdiff_t>(same) < size &&
           std::abs(value(static_cast<std::ptrdiff_t>(same)) - done[same]) <= o.tol * o.norm)
      ++same;
    done.resize(same);
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(same),
                         targets = std::min(std::max(b - first, least), size - first);
    const std::vector<double> theta(e.values.begin() + first, e.values.begin() + first + targets);
    combine(ctx, v, coefficients(first, targets), x.view(0, targets));
    a.multiply(ctx, x.view(0, targets), y.view(0, targets));
    r.products += targets;
    std::vector<double> norm =
        residual(ctx, a, x.view(0, targets), y.view(0, targets), theta, y.view(0, targets));
    std::ptrdiff_t good = 0;
    while (good < targets && norm[static_cast<std::size_t>(good)] <= o.tol * o.norm) ++good;
    done.insert(done.end(), theta.begin(), theta.begin() + good);
    const std::ptrdiff_t found = std::min<std::ptrdiff_t>(k, static_cast<std::ptrdiff_t>(done.size()));
    double worst = 0;
    for (std::ptrdiff_t c = 0; first + c < std::min(k, first + targets); ++c)
      worst = std::max(worst, norm[static_cast<std::size_t>(c)] / o.norm);
    ++r.outer;
    r.stopped = ctx.report("eigenvectors", r.outer, worst) || r.stopped;
    if (found == k || r.stopped || exhausted || r.products >= o.max_products) {
      const std::ptrdiff_t back = std::min(b, size);
      r.values.assign(e.values.begin(), e.values.begin() + back);
      r.vectors = block(ctx, n, back);
      combine(ctx, v, coefficients(0, back), r.vectors.view(0, back));
      r.wanted_converged = found;
      r.converged = found == k;
      return r;
    }

    // The next panel is a polynomial of A applied to them that damps [lo, hi] and grows below. What has
    // converged grows as well and is taken away afterwards: by a factor that leaves ten digits.
    std::ptrdiff_t edge = std::min(first + targets, size - 1);
    const double last = theta[static_cast<std::size_t>(std::min(k - 1 - first, targets - 1))];
    while (edge + 1 < size && value(edge) < 1.1 * last) ++edge;  // beyond a group that goes on
    const double lo = std::min(value(edge), 0.99 * hi), target = std::min(last, 0.9 * lo),
                 bottom = std::min(value(0), target), half = (hi - lo) / 2, centre = (hi + lo) / 2;
    const double wanted = 2 * std::sqrt((hi - lo) / (lo - target)),
                 most = std::log(1e6) / std::acosh((centre - bottom) / half);
    const int degree = static_cast<int>(std::clamp(std::round(std::min(wanted, most)), 2.0, most_degree));
    filter(ctx, a, degree, lo, hi, target, theta, norm, y.view(0, targets), x.view(0, targets));
    r.products += (degree - 1) * targets;
    if (size + targets > capacity) {  // thick restart
      const std::ptrdiff_t count = std::min(keep, size);
      panels front;  // the first panels of the basis, written over
      std::ptrdiff_t done_columns = 0;
      for (const auto& p : v) {
        if (done_columns == count) break;
        front.push_back(p);
        front.back().cols = std::min(p.cols, count - done_columns);
        done_columns += front.back().cols;
      }
      rotate(ctx, v, coefficients(0, count), front);
      store.resize(front.size());
      v = std::move(front);
      h.assign(static_cast<std::size_t>(count * count), 0.0);
      for (std::ptrdiff_t c = 0; c < count; ++c) h[static_cast<std::size_t>(c * count + c)] = value(c);
      size = count;
    }
    if (!accept(x.view(0, targets))) {
      fill_normal(ctx, x.view(0, least), seed++);
      exhausted = !accept(x.view(0, least));  // the basis is the whole space: the next look is the last
    }
  }
}

}  // namespace lapwing::linalg
