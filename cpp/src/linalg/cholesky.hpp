// Exact sparse Cholesky factorisation of a graph Laplacian whose components are each grounded at one vertex:
// the way to its pseudo-inverse, and with negative weights to the ground to the number of its eigenvalues
// below a value. Pivots are sums of weights, never differences: every entry of the factor is
// right to a few units in the last place, whatever the weights.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <vector>

#include "../buffer.hpp"

namespace lapwing::linalg {

class grounded_cholesky {
 public:
  // Orders the graph and finds the structure of the factor: cheap, and enough to say what the rest will cost.
  // ends: where each component of w ends (they stand one after the other); none: no vertex of w is grounded.
  // Throws memory_exceeded when the factor would take more than `limit` bytes.
  grounded_cholesky(const context&, csr_view<const double> w, const std::vector<std::int64_t>& ends,
                    double limit);

  double entries() const { return entries_; }        // of the factor, padding included
  double operations() const { return operations_; }  // multiply-adds of the factorisation

  // ground: weights, of any sign, of edges from every vertex to one more, which is grounded. May be called
  // again when the weights of w, or those, have changed.
  void factor(const context&, const double* ground = nullptr);
  // y = some x with (D - W) x = r, for r that sums to 0 over every component: 0 at the grounded vertices.
  void solve(const context&, matrix_view<const double> r, matrix_view<double> x) const;
  const std::vector<double>& inverse_pivots() const { return pivot_; }  // 0 where a pivot was 0

 private:
  struct supernode {
    std::int32_t first, width;         // columns, in elimination order
    std::vector<std::int32_t> rows;    // below them, rising; `n` stands for the grounded vertex
    std::vector<std::int32_t> places;  // of the rows, in the block of the part
    std::ptrdiff_t at = 0;             // of its (width + rows) x width block, by rows
    std::ptrdiff_t left() const {      // numbers that it leaves to its parent
      const std::ptrdiff_t r = static_cast<std::ptrdiff_t>(rows.size());
      return r * (r - 1) / 2;
    }
  };
  // Subtrees of the elimination tree, which threads can take, and last what is above them all.
  struct part {
    std::vector<std::int32_t> nodes, columns;  // supernodes and their columns, in order
    std::vector<std::int32_t> border;          // places in the last part's block that this one reaches
    std::ptrdiff_t at = 0;                     // first row of its block of the work space
    std::ptrdiff_t rows() const { return static_cast<std::ptrdiff_t>(columns.size() + border.size()); }
  };
  struct front;
  void symbolic(const context&, const std::vector<std::vector<std::int32_t>>& lower, double limit);
  void divide();
  // root: of its part; alone: of the last part, with all threads
  void factor_node(const context&, std::size_t s, front&, bool root, bool alone);

  csr_view<const double> w_;
  const double* ground_ = nullptr;    // during factor
  std::int32_t n_ = 0;                // vertices that are not grounded
  std::vector<std::int32_t> order_;   // order_[step]: vertex
  std::vector<std::int32_t> step_;    // of each vertex; n_ for the grounded ones
  std::vector<std::int32_t> parent_;  // of each supernode, or -1
  std::vector<supernode> nodes_;
  std::vector<part> parts_;
  std::vector<std::vector<std::int32_t>> kids_;  // of each supernode
  std::vector<buffer<double>> update_;           // what it leaves to its parent in the last part
  std::ptrdiff_t stack_ = 0;                     // numbers left to parents within a part, at most
  buffer<double> values_;
  std::vector<double> pivot_;    // inverses
  mutable buffer<double> work_;  // of solve; one thread at a time
  double entries_ = 0, operations_ = 0;
};

}  // namespace lapwing::linalg
