// Products with a block of a similarity matrix, and its singular values.
#include "dense_block.hpp"

#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/phylo.hpp>
#include <utility>

#include "../linalg/small.hpp"

namespace lapwing::phylo {
namespace {

constexpr std::ptrdiff_t rows_at_once = kernels::rows_per_block;
constexpr std::ptrdiff_t small = 64;  // sides up to which all singular values are computed
constexpr std::size_t some(std::ptrdiff_t n) { return static_cast<std::size_t>(n); }

}  // namespace

dense_block::dense_block(std::ptrdiff_t rows, std::ptrdiff_t cols)
    : rows_(rows), cols_(cols), stride_(round_up(cols, kernels::column_padding)) {}

dense_block::dense_block(const context& ctx, matrix_view<const double> s, std::span<const std::int32_t> rows,
                         std::span<const std::int32_t> cols)
    : dense_block(static_cast<std::ptrdiff_t>(rows.size()), static_cast<std::ptrdiff_t>(cols.size())) {
  take(ctx, s, rows, cols, data_);
}

dense_block::dense_block(const context& ctx, matrix_view<const float> s, std::span<const std::int32_t> rows,
                         std::span<const std::int32_t> cols)
    : dense_block(static_cast<std::ptrdiff_t>(rows.size()), static_cast<std::ptrdiff_t>(cols.size())) {
  take(ctx, s, rows, cols, single_);
}

dense_block::dense_block(const context& ctx, const dense_block& s, std::span<const std::int32_t> rows,
                         std::span<const std::int32_t> cols)
    : dense_block(static_cast<std::ptrdiff_t>(rows.size()), static_cast<std::ptrdiff_t>(cols.size())) {
  if (s.single_.empty())
    take(ctx, matrix_view<const double>{s.data_.data(), s.rows_, s.cols_, s.stride_}, rows, cols, data_);
  else
    take(ctx, matrix_view<const float>{s.single_.data(), s.rows_, s.cols_, s.stride_}, rows, cols, single_);
}

template <class T>
void dense_block::take(const context& ctx, matrix_view<const T> s, std::span<const std::int32_t> rows,
                       std::span<const std::int32_t> cols, buffer<T>& to) {
  to = buffer<T>(ctx, round_up(rows_, rows_at_once) * stride_);
  ctx.parallel_for(round_up(rows_, rows_at_once), 16, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      T* row = to.data() + i * stride_;
      std::ptrdiff_t j = 0;
      if (i < rows_) {
        const T* from = &s(rows[some(i)], 0);
        for (; j < cols_; ++j) row[j] = from[cols[some(j)]];
      }
      std::fill(row + j, row + stride_, T{0});
    }
  });
}

const double* dense_block::piece(std::ptrdiff_t row, std::ptrdiff_t count, std::ptrdiff_t column,
                                 std::ptrdiff_t width, std::vector<double>& scratch,
                                 std::ptrdiff_t& stride) const {
  if (single_.empty()) {
    stride = stride_;
    return data_.data() + row * stride_ + column;
  }
  stride = width;
  scratch.resize(some(count * width));
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const float* from = single_.data() + (row + i) * stride_ + column;
    double* to = scratch.data() + i * width;
    for (std::ptrdiff_t j = 0; j < width; ++j) to[j] = static_cast<double>(from[j]);
  }
  return scratch.data();
}

void dense_block::apply(const context& ctx, matrix_view<const double> v, matrix_view<double> out) const {
  constexpr std::ptrdiff_t panel = 4096;  // columns; the kernel's sums are shorter and end at its bounds
  const std::ptrdiff_t k = v.rows;
  buffer<double> in(ctx, k * stride_, 0.0);
  for (std::ptrdiff_t c = 0; c < k; ++c) std::copy_n(&v(c, 0), cols_, in.data() + c * stride_);
  const auto& kernel = kernels::get<double>(ctx.level());
  ctx.parallel_for(rows_, 64, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    std::vector<double> z(some(rows_at_once * k)), scratch;
    for (std::ptrdiff_t i = lo; i < hi; i += rows_at_once) {
      std::fill(z.begin(), z.end(), 0.0);
      for (std::ptrdiff_t j = 0; j < stride_; j += panel) {
        const std::ptrdiff_t width = std::min(panel, stride_ - j);
        std::ptrdiff_t stride = 0;
        const double* rows = piece(i, rows_at_once, j, width, scratch, stride);
        kernel.dot_rows(rows, stride, rows_at_once * stride, in.data() + j, stride_, k, width, z.data(), k);
      }
      for (std::ptrdiff_t r = 0; r < std::min(rows_at_once, hi - i); ++r)
        for (std::ptrdiff_t c = 0; c < k; ++c) out(c, i + r) = z[some(r * k + c)];
    }
  });
}

void dense_block::apply_transposed(const context& ctx, matrix_view<const double> v,
                                   matrix_view<double> out) const {
  constexpr std::ptrdiff_t width = 128, height = 256;  // a tile stays in cache for all vectors
  const std::ptrdiff_t k = v.rows, parts = (stride_ + width - 1) / width;
  buffer<double> in(ctx, rows_ * k), sums(ctx, k * stride_, 0.0);
  for (std::ptrdiff_t i = 0; i < rows_; ++i)
    for (std::ptrdiff_t c = 0; c < k; ++c) in[i * k + c] = v(c, i);
  const auto& kernel = kernels::get<double>(ctx.level());
  ctx.parallel_for(parts, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    std::vector<double> scratch;
    for (std::ptrdiff_t part = lo; part < hi; ++part) {
      const std::ptrdiff_t from = part * width, cols = std::min(width, stride_ - from);
      for (std::ptrdiff_t first = 0; first < rows_; first += height) {
        const std::ptrdiff_t count = std::min(height, rows_ - first);
        std::ptrdiff_t stride = 0;
        const double* rows = piece(first, count, from, cols, scratch, stride);
        kernel.outer_rows(rows, stride, count, in.data() + first * k, k, k, 0, cols, sums.data() + from,
                          stride_);
      }
    }
  });
  for (std::ptrdiff_t c = 0; c < k; ++c) std::copy_n(sums.data() + c * stride_, cols_, &out(c, 0));
}

void dense_block::squares(const context& ctx, matrix_view<double> out) const {
  if (single_.empty()) return gram(ctx, {data_.data(), rows_, cols_, stride_}, out);
  std::vector<double> scratch;
  std::ptrdiff_t stride = 0;
  const double* rows = piece(0, rows_, 0, stride_, scratch, stride);
  gram(ctx, {rows, rows_, cols_, stride}, out);
}

void dense_block::normal(const context& ctx, matrix_view<const double> v, matrix_view<double> out) const {
  buffer<double> image(ctx, v.rows * rows_);
  apply(ctx, v, {image.data(), v.rows, rows_});
  apply_transposed(ctx, {image.data(), v.rows, rows_}, out);
}

two_values largest_two(const context& ctx, const dense_block& s, two_vectors* vectors) {
  const std::ptrdiff_t p = s.rows(), q = s.cols();
  check(p <= q, "the block must not have more rows than columns, got ", p, " x ", q);
  // of the left vector, and the right one from it
  const auto give = [&](std::vector<double> left) {
    if (!vectors) return;
    vectors->left = std::move(left);
    vectors->right.assign(some(q), 0.0);
    s.apply_transposed(ctx, {vectors->left.data(), 1, p}, {vectors->right.data(), 1, q});
    double square = 0;
    for (const double x : vectors->right) square += x * x;
    for (double& x : vectors->right) x = square > 0 ? x / std::sqrt(square) : 0;
    if (square == 0) vectors->right[0] = 1;
  };
  if (p == 1) {
    double square = 0;
    for (std::ptrdiff_t j = 0; j < q; ++j) square += s(0, j) * s(0, j);
    give({1.0});
    return {std::sqrt(square), 0};
  }
  if (p <= small) {
    std::vector<double> g(some(p * p)), left(some(p));
    s.squares(ctx, {g.data(), p, p});
    const auto e = linalg::symmetric_eigen(g, p);
    for (std::ptrdiff_t i = 0; i < p; ++i) left[some(i)] = e.vectors[some(i * p + p - 1)];
    give(std::move(left));
    return {std::sqrt(std::max(0.0, e.values[some(p - 1)])), std::sqrt(std::max(0.0, e.values[some(p - 2)]))};
  }
  std::vector<double> u(some(2 * p)), v(some(2 * q));
  const auto r =
      linalg::svds(ctx, s, {}, {}, 2, {.block = 4, .tol = 1e-6}, {u.data(), 2, p}, {v.data(), 2, q});
  if (vectors) {
    vectors->left.assign(u.begin(), u.begin() + p);
    vectors->right.assign(v.begin(), v.begin() + q);
  }
  return {r.values[0], r.values[1]};
}

}  // namespace lapwing::phylo
