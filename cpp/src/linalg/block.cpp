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

}  // namespace

small_matrix gram(const context& ctx, matrix_view<const double> x, matrix_view<const double> y,
                  const double* m) {
  const std::ptrdiff_t p = x.cols, q = y.cols, n = x.rows;
  small_matrix out(static_cast<std::size_t>(p * q), 0.0);
  if (out.empty() || n == 0) return out;
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t chunks = (n + block_chunk - 1) / block_chunk;
  buffer<double> part(ctx, chunks * p * q, 0.0);
  ctx.parallel_for(n, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    // Strips that stay in the first-level cache while all columns of x pass.
    double* to = part.data() + lo / block_chunk * p * q;
    for (std::ptrdiff_t i = lo; i < hi; i += 128)
      k.block_gram(&x(i, 0), x.stride, p, &y(i, 0), y.stride, q, m ? m + i : nullptr,
                   std::min<std::ptrdiff_t>(128, hi - i), to);
  });
  for (std::ptrdiff_t c = 0; c < chunks; ++c)
    for (std::ptrdiff_t e = 0; e < p * q; ++e) out[static_cast<std::size_t>(e)] += part[c * p * q + e];
  return out;
}

void combine(const context& ctx, matrix_view<const double> x, const small_matrix& s, matrix_view<double> y,
             bool add) {
  const auto& k = kernels::get<double>(ctx.level());
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    k.block_combine(&x(lo, 0), x.stride, x.cols, s.data(), y.cols, &y(lo, 0), y.stride, hi - lo, add);
  });
}

void rotate(const context& ctx, matrix_view<double> x, const small_matrix& s, std::ptrdiff_t cols) {
  const auto& k = kernels::get<double>(ctx.level());
  constexpr std::ptrdiff_t rows = 256;
  std::vector<buffer<double>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, rows * cols);
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    double* t = scratch[static_cast<std::size_t>(w)].data();
    for (std::ptrdiff_t i = lo; i < hi; i += rows) {
      const std::ptrdiff_t count = std::min(rows, hi - i);
      k.block_combine(&x(i, 0), x.stride, x.cols, s.data(), cols, t, cols, count, false);
      for (std::ptrdiff_t r = 0; r < count; ++r) std::copy_n(t + r * cols, cols, &x(i + r, 0));
    }
  });
}

void copy(const context& ctx, matrix_view<const double> x, matrix_view<double> y) {
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) std::copy_n(&x(i, 0), x.cols, &y(i, 0));
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

std::ptrdiff_t orthonormalise(const context& ctx, const double* m, const projector& project,
                              matrix_view<const double> v, matrix_view<double> w) {
  for (int pass = 0; pass < 2 && w.cols > 0; ++pass) {
    if (v.cols > 0) {
      small_matrix s = gram(ctx, v, w, m);
      for (double& e : s) e = -e;
      combine(ctx, v, s, w, true);
    }
    project(ctx, w);  // every time: scaling what is nearly dependent amplifies its part in the null space
    std::ptrdiff_t kept = 0;
    // What was orthonormal before the second pass and is much shorter after it was rounding errors alone.
    const small_matrix t = whiten(gram(ctx, w, w, m), w.cols, pass == 0 ? 0.0 : 0.1, 1e-13, kept);
    rotate(ctx, w, t, kept);
    w.cols = kept;
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
