// A block of a similarity matrix, copied so that the kernels may run over its padding. It is kept in the
// precision that it comes in; products and sums are made in double.
#pragma once
#include <algorithm>
#include <cstdint>
#include <lapwing/operator.hpp>
#include <span>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"

namespace lapwing::phylo {

class dense_block final : public linear_operator {
 public:
  dense_block(const context& ctx, matrix_view<const double> s, std::span<const std::int32_t> rows,
              std::span<const std::int32_t> cols);
  dense_block(const context& ctx, matrix_view<const float> s, std::span<const std::int32_t> rows,
              std::span<const std::int32_t> cols);
  // a part of another block
  dense_block(const context& ctx, const dense_block& s, std::span<const std::int32_t> rows,
              std::span<const std::int32_t> cols);
  std::ptrdiff_t rows() const override { return rows_; }
  std::ptrdiff_t cols() const override { return cols_; }
  double operator()(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return single_.empty() ? data_[i * stride_ + j] : static_cast<double>(single_[i * stride_ + j]);
  }
  void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void apply_transposed(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void normal(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  // out = s s^T
  void squares(const context&, matrix_view<double> out) const;

 private:
  dense_block(std::ptrdiff_t rows, std::ptrdiff_t cols);
  template <class T>
  void take(const context& ctx, matrix_view<const T> s, std::span<const std::int32_t> rows,
            std::span<const std::int32_t> cols, buffer<T>& to);
  // `count` rows from a place on, `width` columns from `column` on; their distance is put into `stride`.
  const double* piece(std::ptrdiff_t row, std::ptrdiff_t count, std::ptrdiff_t column, std::ptrdiff_t width,
                      std::vector<double>& scratch, std::ptrdiff_t& stride) const;

  std::ptrdiff_t rows_, cols_, stride_;
  buffer<double> data_;
  buffer<float> single_;  // one of the two is empty
};

struct two_values {
  double first = 0, second = 0;
};
struct two_vectors {
  std::vector<double> left, right;
};
// The two largest singular values of a block; the vectors of the largest one, if wanted.
two_values largest_two(const context&, const dense_block&, two_vectors* = nullptr);

}  // namespace lapwing::phylo
