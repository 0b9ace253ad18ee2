/// \file
/// Partitions of weighted graphs: sweep cuts of a vector, refinement by moves and by flows, and the
/// multilevel scheme around them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <limits>
#include <span>
#include <vector>

namespace lapwing::partition {

/// What a side A and its complement B cost. cut: the weight of the edges between them.
enum class objective {
  cut,         ///< cut
  ratio,       ///< cut / w(A) + cut / w(B), w the node weights
  normalized,  ///< cut / vol(A) + cut / vol(B), vol the sums of the degrees
  conductance  ///< cut / min(vol(A), vol(B))
};

struct sweep_options {
  objective goal = objective::conductance;
  double low = 0, high = std::numeric_limits<double>::infinity();  ///< bounds on the node weight of A
  double tie = 1e-12;  ///< values this close, relative to the largest magnitude, count as equal
};
struct sweep_result {
  std::ptrdiff_t size = 0;  ///< A holds the first `size` nodes of the order
  double value = 0, cut = 0;
  bool feasible = true;  ///< false: no prefix has a weight within the bounds; the nearest was taken
};

/// The best of the cuts that put the nodes with the smallest values on one side. Nodes of equal value stay
/// together unless the bounds on the weight leave no other cut. Ties of the objective: the most balanced cut,
/// then the smallest A. order: the n nodes by (v, node); profile: the objective of the n - 1 prefixes. node
/// and volume: n weights >= 0, not all 0. w: symmetric, columns rising.
sweep_result sweep(const context&, csr_view<const double> w, std::span<const double> v,
                   std::span<const double> node, std::span<const double> volume, const sweep_options&,
                   std::span<std::int32_t> order, std::span<double> profile);

/// How a partition is improved; each does what the one before it does.
enum class refinement {
  none,
  moves,      ///< moves of single nodes (Fiduccia and Mattheyses)
  flow,       ///< minimum cuts of a band around the boundary of each pair of parts
  multilevel  ///< the same on coarser graphs that keep the cut, several times over
};

struct options {
  std::vector<double> targets;  ///< wanted weight of each part
  std::vector<double> limits;   ///< largest weight of each part
  refinement refine = refinement::flow;
  objective goal = objective::cut;   ///< others: two parts, by moves alone
  std::span<const double> volume{};  ///< n degrees, for the normalised cut and conductance
  int trials = 1;                    ///< independent runs, of which the best is kept
  std::uint64_t seed = 0;
  matrix_view<const double> directions{};  ///< n x d or empty: two parts start from cuts along these vectors
};
struct result {
  double cut = 0;
  bool feasible = true;  ///< every part is within its limit
  bool stopped = false;
};

/// Splits the graph into limits.size() parts of small cut. node: n weights >= 0.
result split(const context&, csr_view<const double> w, std::span<const double> node, const options&,
             std::span<std::int32_t> labels);

/// Improves the partition in `labels`, of limits.size() parts. A cut that was feasible never gets worse.
result refine(const context&, csr_view<const double> w, std::span<const double> node, const options&,
              std::span<std::int32_t> labels);

struct measures {
  double cut = 0;
  std::vector<double> weights, volumes, leaving;  ///< of each part: nodes, degrees, edges to other parts
  std::vector<std::int64_t> pieces;               ///< connected pieces of each part
  std::int64_t boundary = 0;                      ///< nodes with a neighbour in another part
};
/// What the partition in `labels` (0 to k - 1) costs. node and volume: n each.
measures measure(const context&, csr_view<const double> w, std::span<const double> node,
                 std::span<const double> volume, std::span<const std::int32_t> labels, std::ptrdiff_t k);

}  // namespace lapwing::partition
