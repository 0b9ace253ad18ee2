// Blocks of vectors as n x b matrices stored by rows (one gathered row of a sparse product serves all
// columns), and what the eigensolvers do with them. Every sum is taken over fixed chunks of rows, combined in
// order.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <vector>

#include "../buffer.hpp"

namespace lapwing::linalg {

constexpr std::ptrdiff_t block_chunk = 2048;  // rows

// Not initialised: whoever writes first, in parallel, gets the pages.
class block {
 public:
  block() = default;
  block(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t cols)
      : rows_(n), cols_(cols), ld_(round_up(cols, 4)), data_(ctx, n * round_up(cols, 4)) {}
  void fill(double value) { data_.fill(value); }
  std::ptrdiff_t rows() const { return rows_; }
  std::ptrdiff_t cols() const { return cols_; }
  std::ptrdiff_t ld() const { return ld_; }
  double* row(std::ptrdiff_t i) { return data_.data() + i * ld_; }
  const double* row(std::ptrdiff_t i) const { return data_.data() + i * ld_; }
  // columns first ... first + count - 1
  matrix_view<double> view(std::ptrdiff_t first, std::ptrdiff_t count) {
    return {data_.data() + first, rows_, count, ld_};
  }
  matrix_view<const double> view(std::ptrdiff_t first, std::ptrdiff_t count) const {
    return {data_.data() + first, rows_, count, ld_};
  }

 private:
  std::ptrdiff_t rows_ = 0, cols_ = 0, ld_ = 0;
  buffer<double> data_;
};

using small_matrix = std::vector<double>;  // by rows, without gaps
// A tall matrix in panels side by side, each stored on its own so that a pass over some columns reads these
// alone. One block converts to a matrix of one panel.
struct panels : std::vector<matrix_view<double>> {
  using std::vector<matrix_view<double>>::vector;
  panels(matrix_view<double> one) : vector{one} {}
  std::ptrdiff_t rows() const { return empty() ? 0 : front().rows; }
  std::ptrdiff_t cols() const {
    std::ptrdiff_t all = 0;
    for (const auto& p : *this) all += p.cols;
    return all;
  }
};

// body(lo, count, sum) for tiles of rows, with a sum of `size` numbers for each chunk; returns their total.
template <class F>
small_matrix summed(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t tile, std::ptrdiff_t size,
                    const F& body) {
  small_matrix out(static_cast<std::size_t>(size), 0.0);
  if (size == 0 || n == 0) return out;
  const std::ptrdiff_t chunks = (n + block_chunk - 1) / block_chunk;
  buffer<double> part(ctx, chunks * size, 0.0);
  ctx.parallel_for(n, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; i += tile)
      body(i, std::min(tile, hi - i), part.data() + lo / block_chunk * size);
  });
  for (std::ptrdiff_t c = 0; c < chunks; ++c)
    for (std::ptrdiff_t e = 0; e < size; ++e) out[static_cast<std::size_t>(e)] += part[c * size + e];
  return out;
}

// X^T diag(m) Y; without m: X^T Y
small_matrix gram(const context&, const panels& x, matrix_view<double> y, const double* m);
// Y = X S, or Y += X S
void combine(const context&, const panels& x, const small_matrix& s, matrix_view<double> y, bool add = false);
// Y = X S, where Y may lie over X, panels in any order
void rotate(const context&, const panels& x, const small_matrix& s, const panels& y);
// W -= V C, with the panels of V from number `from` on; returns [V W]^T diag(m) W, with all of V, for what is
// left of W, from the same pass over V
small_matrix deflate(const context&, const panels& v, const small_matrix& c, matrix_view<double> w,
                     const double* m, std::size_t from = 0);
void copy(const context&, matrix_view<const double> x, matrix_view<double> y);
// Y = X^T. Operators take vectors as rows.
void transpose(const context&, matrix_view<const double> x, matrix_view<double> y);
// T (n x kept) with T^T G T = 1 for a Gram matrix G. Columns whose square is not above `floor` are left out;
// the others are scaled to length 1, and directions below `drop` of the largest are left out as well.
// smallest: of what is kept, relative to the largest.
small_matrix whiten(const small_matrix& g, std::ptrdiff_t n, double floor, double drop, std::ptrdiff_t& kept,
                    double* smallest = nullptr);
// Removes a null space from the columns of a block.
using projector = std::function<void(const context&, matrix_view<double>)>;
// The projector that removes the span of orthonormal columns, possibly none.
projector without(matrix_view<double> known);
// Calls a product of an operator, which takes vectors as rows, with blocks of at most `size` numbers.
class by_rows {
 public:
  by_rows(const context& ctx, std::ptrdiff_t size) : in_(ctx, size), out_(ctx, size) {}
  template <class F>
  void operator()(const context& ctx, const F& product, matrix_view<const double> x,
                  matrix_view<double> y) const {
    const matrix_view<double> from{in_.data(), x.cols, x.rows}, to{out_.data(), y.cols, y.rows};
    transpose(ctx, x, from);
    product(from, to);
    transpose(ctx, to, y);
  }

 private:
  mutable buffer<double> in_, out_;
};
// Makes the columns of w orthonormal in diag(m) (none: 1) to those of v, which are that already, to the null
// space and to each other; returns how many independent ones are left (in front).
std::ptrdiff_t orthonormalise(const context&, const double* m, const projector&, const panels& v,
                              matrix_view<double> w);
// Standard normal numbers, from the seed and the position alone.
void fill_normal(const context&, matrix_view<double> x, std::uint64_t seed);

}  // namespace lapwing::linalg
