// Anything that maps a block of vectors: what the eigensolvers and the singular value solver work on.
#pragma once
#include <cstddef>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>

namespace lapwing {

/// A real linear map A of rows() x cols(). Blocks of vectors are stored as the rows of a matrix view.
class linear_operator {
 public:
  virtual ~linear_operator() = default;
  virtual std::ptrdiff_t rows() const = 0;
  virtual std::ptrdiff_t cols() const = 0;
  /// out = A v: v is k x cols(), out k x rows().
  virtual void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const = 0;
  /// out = A^T v: v is k x rows(), out k x cols().
  virtual void apply_transposed(const context&, matrix_view<const double> v,
                                matrix_view<double> out) const = 0;
  /// out = A^T A v: v and out are k x cols().
  virtual void normal(const context&, matrix_view<const double> v, matrix_view<double> out) const = 0;
};

}  // namespace lapwing
