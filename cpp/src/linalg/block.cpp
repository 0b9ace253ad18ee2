#include "block.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../kernels/table.hpp"
#include "../random.hpp"
#include "small.hpp"

namespace lapwing::linalg {

namespace {

// Column scales that make G's diagonal 1; 0 where its square is not above `floor`, or not a number.
std::vector<double> unit_scales(const small_matrix& g, std::ptrdiff_t n, double floor) {
  std::vector<double> s(static_cast<std::size_t>(n));
  for (std::ptrdiff_t c = 0; c < n; ++c) {
    const double d = g[static_cast<std::size_t>(c * n + c)];
    s[static_cast<std::size_t>(c)] =
        d > floor && d <= std::numeric_limits<double>::max() ? 1 / std::sqrt(d) : 0;
  }
  return s;
}

// Rows that pass through all panels while they stay in the first-level cache.
std::ptrdiff_t tile_rows(std::ptrdiff_t cols) {
  return std::clamp<std::ptrdiff_t>(4096 / std::max<std::ptrdiff_t>(cols, 1) / 16 * 16, 32, 512);
}

// y (+)= X S for a tile of rows
void combine_tile(const kernels::table<double>& k, const panels& x, const double* s, std::ptrdiff_t lo,
                  std::ptrdiff_t count, double* y, std::ptrdiff_t ldy, std::ptrdiff_t cols, bool add) {
  for (const auto& p : x) {
    k.block_combine(p.data + lo * p.stride, p.stride, p.cols, s, cols, y, ldy, count, add);
    s += p.cols * cols;
    add = true;
  }
}
// out += X^T diag(m) Y for a tile of rows
void gram_tile(const kernels::table<double>& k, const panels& x, const matrix_view<double>& y,
               const double* m, std::ptrdiff_t lo, std::ptrdiff_t count, double* out) {
  for (const auto& p : x) {
    k.block_gram(p.data + lo * p.stride, p.stride, p.cols, y.data + lo * y.stride, y.stride, y.cols,
                 m ? m + lo : nullptr, count, out);
    out += p.cols * y.cols;
  }
}

}  // namespace

small_matrix gram(const context& ctx, const panels& x, matrix_view<double> y, const double* m) {
  const auto& k = kernels::get<double>(ctx.level());
  return summed(
      ctx, y.rows, tile_rows(x.cols() + y.cols), x.cols() * y.cols,
      [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* sum) { gram_tile(k, x, y, m, lo, count, sum); });
}

void combine(const context& ctx, const panels& x, const small_matrix& s, matrix_view<double> y, bool add) {
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t tile = tile_rows(x.cols() + y.cols);
  ctx.parallel_for(y.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; i += tile)
      combine_tile(k, x, s.data(), i, std::min(tile, hi - i), &y(i, 0), y.stride, y.cols, add);
  });
}

void rotate(const context& ctx, const panels& x, const small_matrix& s, const panels& y) {
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t cols = y.cols(), tile = tile_rows(x.cols() + cols);
  if (cols == 0) return;
  std::vector<buffer<double>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, tile * cols);
  ctx.parallel_for(x.rows(), block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    double* t = scratch[static_cast<std::size_t>(w)].data();
    for (std::ptrdiff_t i = lo; i < hi; i += tile) {
      const std::ptrdiff_t count = std::min(tile, hi - i);
      combine_tile(k, x, s.data(), i, count, t, cols, cols, false);
      std::ptrdiff_t first = 0;
      for (const auto& p : y) {
        for (std::ptrdiff_t r = 0; r < count; ++r)
          std::copy_n(t + r * cols + first, p.cols, p.data + (i + r) * p.stride);
        first += p.cols;
      }
    }
  });
}

small_matrix deflate(const context& ctx, const panels& v, const small_matrix& c, matrix_view<double> w,
                     const double* m, std::size_t from) {
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t size = v.cols() + w.cols;
  small_matrix s = c;
  for (double& e : s) e = -e;
  const panels some(v.begin() + static_cast<std::ptrdiff_t>(from), v.end());
  panels both = v;
  both.push_back(w);
  return summed(ctx, w.rows, tile_rows(size), size * w.cols,
                [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* sum) {
                  combine_tile(k, some, s.data(), lo, count, &w(lo, 0), w.stride, w.cols, true);
                  gram_tile(k, both, w, m, lo, count, sum);
                });
}

void copy(const context& ctx, matrix_view<const double> x, matrix_view<double> y) {
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) std::copy_n(&x(i, 0), x.cols, &y(i, 0));
  });
}

void transpose(const context& ctx, matrix_view<const double> x, matrix_view<double> y) {
  const bool tall = x.rows >= x.cols;
  ctx.parallel_for(std::max(x.rows, x.cols), block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    if (tall)
      for (std::ptrdiff_t i = lo; i < hi; ++i)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) y(c, i) = x(i, c);
    else
      for (std::ptrdiff_t i = lo; i < hi; ++i)
        for (std::ptrdiff_t c = 0; c < x.rows; ++c) y(i, c) = x(c, i);
  });
}

small_matrix whiten(const small_matrix& g, std::ptrdiff_t n, double floor, double drop, std::ptrdiff_t& kept,
                    double* smallest) {
  const std::vector<double> scale = unit_scales(g, n, floor);
  small_matrix scaled(g.size());
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      const double s = scale[static_cast<std::size_t>(i)] * scale[static_cast<std::size_t>(j)];
      scaled[static_cast<std::size_t>(i * n + j)] = s == 0 ? 0 : g[static_cast<std::size_t>(i * n + j)] * s;
    }
  const symmetric_eigenpairs e = symmetric_eigen(scaled, n);  // rising
  kept = 0;
  const double largest = e.values.empty() ? 0 : e.values.back();
  for (const double v : e.values) kept += largest > 0 && v > drop * largest;
  if (smallest) *smallest = kept > 0 ? e.values[static_cast<std::size_t>(n - kept)] / largest : 0;
  small_matrix t(static_cast<std::size_t>(n * kept), 0.0);
  // All of them independent: the symmetric root, which moves the columns least. Else the directions that are
  // left.
  const bool all = kept == n;
  for (std::ptrdiff_t q = 0; q < kept; ++q) {
    const std::ptrdiff_t from = n - 1 - q;
    const double f = 1 / std::sqrt(e.values[static_cast<std::size_t>(from)]);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const double x =
          scale[static_cast<std::size_t>(i)] * e.vectors[static_cast<std::size_t>(i * n + from)] * f;
      if (!all) {
        t[static_cast<std::size_t>(i * kept + q)] = x;
      } else {
        for (std::ptrdiff_t c = 0; c < n; ++c)
          t[static_cast<std::size_t>(i * n + c)] += x * e.vectors[static_cast<std::size_t>(c * n + from)];
      }
    }
  }
  return t;
}

projector without(matrix_view<double> known) {
  return [known](const context& ctx, matrix_view<double> x) {
    if (known.cols > 0) deflate(ctx, known, gram(ctx, known, x, nullptr), x, nullptr);
  };
}

std::ptrdiff_t orthonormalise(const context& ctx, const double* m, const projector& project, const panels& v,
                              matrix_view<double> w) {
  const std::ptrdiff_t p = v.cols();
  project(ctx, w);
  bool first = true;
  small_matrix c;  // V^T M w as far as it is known
  for (int pass = 0; pass < 4 && w.cols > 0; ++pass) {
    small_matrix g;
    std::vector<double> before(static_cast<std::size_t>(w.cols), 1.0);  // squared lengths
    if (first) {
      panels both = v;
      both.push_back(w);
      g = gram(ctx, both, w, m);
      for (std::ptrdiff_t j = 0; j < w.cols; ++j)
        before[static_cast<std::size_t>(j)] = g[static_cast<std::size_t>((p + j) * w.cols + j)];
      c.assign(g.begin(), g.begin() + p * w.cols);
    }
    if (p > 0 || !first) g = deflate(ctx, v, c, w, m);
    // Columns of which nothing but rounding errors are left go.
    small_matrix ww(g.begin() + p * w.cols, g.end());
    double lost = 1;
    for (std::ptrdiff_t j = 0; j < w.cols; ++j) {
      double& after = ww[static_cast<std::size_t>(j * w.cols + j)];
      const double ratio = after / before[static_cast<std::size_t>(j)];
      if (!(ratio > (first ? 1e-28 : 1e-2)))
        after = 0;
      else
        lost = std::min(lost, ratio);
    }
    std::ptrdiff_t kept = 0;
    double smallest = 0;
    const small_matrix t = whiten(ww, w.cols, 0.0, 1e-13, kept, &smallest);
    // what the next pass has to take away: V^T M (w T)
    small_matrix next(static_cast<std::size_t>(p * kept), 0.0);
    double error = 0;
    for (std::ptrdiff_t i = 0; i < p; ++i)
      for (std::ptrdiff_t j = 0; j < kept; ++j) {
        double sum = 0;
        for (std::ptrdiff_t q = 0; q < w.cols; ++q)
          sum += g[static_cast<std::size_t>(i * w.cols + q)] * t[static_cast<std::size_t>(q * kept + j)];
        next[static_cast<std::size_t>(i * kept + j)] = sum;
        error = std::max(error, std::abs(sum));
      }
    matrix_view<double> out = w;
    out.cols = kept;
    rotate(ctx, w, t, out);
    w = out;
    c = std::move(next);
    first = false;
    // Scaling what is nearly dependent brings its part in the null space up as well.
    if (lost < 1e-4 || smallest < 0.1) project(ctx, w);
    if (error >= 1e-14 || lost < 1e-4) continue;
    if (smallest < 0.1) {  // once more among themselves
      const small_matrix again = whiten(gram(ctx, w, w, m), w.cols, 0.1, 1e-13, kept);
      out.cols = kept;
      rotate(ctx, w, again, out);
      w = out;
    }
    break;
  }
  return w.cols;
}

void fill_normal(const context& ctx, matrix_view<double> x, std::uint64_t seed) {
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::ptrdiff_t c = 0; c < x.cols; ++c)
        x(i, c) = normal_at(seed, static_cast<std::uint64_t>(c * x.rows + i));
  });
}

}  // namespace lapwing::linalg
