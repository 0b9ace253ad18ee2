// A block of a similarity matrix, copied so that the kernels may run over its padding.
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
  std::ptrdiff_t rows() const override { return rows_; }
  std::ptrdiff_t cols() const override { return cols_; }
  double operator()(std::ptrdiff_t i, std::ptrdiff_t j) const { return data_[i * stride_ + j]; }
  matrix_view<const double> view() const { return {data_.data(), rows_, cols_, stride_}; }
  void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void apply_transposed(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void normal(const context&, matrix_view<const double> v, matrix_view<double> out) const override;

 private:
  std::ptrdiff_t rows_, cols_, stride_;
  buffer<double> data_;
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
