// Products of tall blocks: vectors are stored as rows, padded with zeros to the kernels' multiple.
#pragma once
#include <cstddef>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>

#include "../buffer.hpp"
#include "../kernels/table.hpp"

namespace lapwing::linalg {

// k vectors of length n as rows; the stride is padded, the padding is zero.
class tall {
 public:
  tall() = default;
  tall(const context& ctx, std::ptrdiff_t k, std::ptrdiff_t n)
      : length_(n), stride_(round_up(n, kernels::column_padding)), rows_(k), data_(ctx, k * stride_, 0.0) {}
  std::ptrdiff_t rows() const { return rows_; }
  std::ptrdiff_t length() const { return length_; }
  std::ptrdiff_t stride() const { return stride_; }
  double* row(std::ptrdiff_t i) { return data_.data() + i * stride_; }
  const double* row(std::ptrdiff_t i) const { return data_.data() + i * stride_; }
  matrix_view<double> view(std::ptrdiff_t first, std::ptrdiff_t count) {
    return {row(first), count, length_, stride_};
  }
  matrix_view<const double> view(std::ptrdiff_t first, std::ptrdiff_t count) const {
    return {row(first), count, length_, stride_};
  }

 private:
  std::ptrdiff_t length_ = 0, stride_ = 0, rows_ = 0;
  buffer<double> data_;
};

// Column-major small matrix owned by the caller: out(i, j) = out[i + j * ld]
// out = X Y^T (p x q) for rows x0 ... x0+p of X and y0 ... y0+q of Y. Summed over fixed chunks in order.
void gram(const context&, const tall& x, std::ptrdiff_t x0, std::ptrdiff_t p, const tall& y,
          std::ptrdiff_t y0, std::ptrdiff_t q, double* out, std::ptrdiff_t ld);
// Rows out0 ... of `out` = S^T X: out_c = sum_s S(s, c) x_s; S is p x q, column-major with leading dimension
// ld. add: out += instead.
void combine(const context&, const tall& x, std::ptrdiff_t x0, std::ptrdiff_t p, const double* s,
             std::ptrdiff_t ld, std::ptrdiff_t q, tall& out, std::ptrdiff_t out0, bool add = false);

// small_eigen.cpp, the only other user of Eigen. Column-major.
void symmetric_eigen(std::ptrdiff_t n, const double* a, std::ptrdiff_t ld, double* values,
                     double* vectors);                                               // falling order
void small_svd(std::ptrdiff_t n, const double* a, double* u, double* s, double* v);  // n x n, falling order

}  // namespace lapwing::linalg
