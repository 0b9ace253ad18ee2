/// \file
/// Sparse matrices in compressed rows and the graphs they stand for: transpose, symmetrisation, components,
/// reordering. Columns rise strictly within a row everywhere.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <span>
#include <string>
#include <vector>

namespace lapwing::sparse {

/// A sparse matrix that owns its memory.
struct csr {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;
  std::vector<double> values;
  std::ptrdiff_t cols = 0;

  std::ptrdiff_t rows() const { return static_cast<std::ptrdiff_t>(offsets.size()) - 1; }
  csr_view<const double> view() const { return {offsets, indices, values, cols}; }
};

/// Throws std::invalid_argument unless the offsets rise from 0 to the number of entries and the columns of
/// every row rise strictly within [0, cols). `what` names the matrix.
void check_structure(csr_view<const double> a, const std::string& what);

/// Whether pattern and values are symmetric to the last bit, for a matrix of good structure.
bool is_symmetric(csr_view<const double> a);

/// Throws std::invalid_argument unless `w` holds the weights of an undirected graph: square, values finite
/// and >= 0, and values and pattern symmetric to the last bit.
void check_graph(csr_view<const double> w, const std::string& what);

csr transpose(csr_view<const double> a);

/// How w_ij and w_ji become one weight.
enum class symmetry {
  maximum,  ///< max(w_ij, w_ji): an edge where either is one
  minimum,  ///< min(w_ij, w_ji): an edge where both are
  mean,     ///< (w_ij + w_ji) / 2
  fuzzy     ///< w_ij + w_ji - w_ij w_ji, the probabilistic union
};
/// A symmetric matrix (to the last bit) from a square one. What comes out 0 is dropped.
csr symmetrize(csr_view<const double> a, symmetry rule);

/// Connected components over the entries that are not 0.
struct components_result {
  std::vector<std::int32_t> labels;  ///< of each node; 0 is the largest component, equal ones by first node
  std::vector<std::int64_t> sizes;   ///< falling
};
components_result components(csr_view<const double> w);

/// Reverse Cuthill-McKee order of the nodes of a symmetric matrix, one component after the other:
/// order[k] is the node at position k.
std::vector<std::int32_t> reverse_cuthill_mckee(csr_view<const double> w);

/// a(order, order) for a square matrix and a permutation of all its rows, or of some (the sub-graph).
csr permute(const context&, csr_view<const double> a, std::span<const std::int32_t> order);

}  // namespace lapwing::sparse
