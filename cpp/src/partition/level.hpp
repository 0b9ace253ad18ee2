// What the files of this room share: the graph of one level, the circumstances of one job, random numbers,
// and the interfaces of the steps.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/partition.hpp>
#include <lapwing/view.hpp>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "../random.hpp"

namespace lapwing::partition {

using node_t = std::int32_t;
using labels_t = std::vector<std::int32_t>;

inline std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

// A graph without a diagonal whose nodes have weights. Neighbours come in any order.
struct weighted {
  const std::int64_t* offsets = nullptr;
  const node_t* targets = nullptr;
  const double* weights = nullptr;
  const double* node = nullptr;
  node_t n = 0;
  bool integers = false;  // the edges have whole weights: sums of them are exact

  std::int64_t edges() const { return offsets[n]; }
  double total() const { return std::accumulate(node, node + n, 0.0); }
  double heaviest() const { return n == 0 ? 0.0 : *std::max_element(node, node + n); }
};

struct level {
  std::vector<std::int64_t> offsets;
  std::vector<node_t> targets;
  std::vector<double> weights, node;
  bool integers = false;

  weighted view() const {
    return {offsets.data(), targets.data(), weights.data(), node.data(), static_cast<node_t>(node.size()),
            integers};
  }
};

// Who asks for a stop, and on which worker this runs.
struct job {
  const context& ctx;
  int worker = 0;

  void breathe() const {
    if (ctx.checkpoint(worker)) throw cancelled();
  }
};

// Numbers that depend on the seed and on how many were drawn.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(mix(seed)) {}
  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15u); }
  node_t below(node_t n) {
    return static_cast<node_t>(((next() >> 32) * static_cast<std::uint64_t>(n)) >> 32);
  }
  template <class T>
  void shuffle(std::vector<T>& list) {
    for (std::size_t i = list.size(); i > 1; --i)
      std::swap(list[i - 1], list[static_cast<std::size_t>(below(static_cast<node_t>(i)))]);
  }

 private:
  std::uint64_t state_;
};

// Weights of the parts: what is wanted, what is allowed.
struct bounds {
  std::vector<double> targets, limits;
  std::ptrdiff_t parts() const { return static_cast<std::ptrdiff_t>(limits.size()); }
};

std::vector<double> part_weights(const weighted& g, std::span<const std::int32_t> labels, std::ptrdiff_t k);
double cut_of(const weighted& g, std::span<const std::int32_t> labels);
// By how much parts are beyond their limits, rounding aside.
double violation(std::span<const double> weights, const bounds& b);
// The largest weight of a part in units of its target.
double fullness(std::span<const double> weights, const bounds& b);

// How much work the steps may do.
struct effort {
  int passes = 10;         // of moves
  double patience = 0.01;  // moves without a gain before a pass ends, in units of n
  int least = 25, most = 100;
  int local = 25;          // the same of a search from one node
  double pull = 0;         // and how strongly another part must draw that node, compared with its own
  std::int64_t work = 60;  // of all of them on one level, in neighbours looked at for each edge
  int tries = 4;           // starts on the coarsest graph
  bool flow = false;
  double reach = 8;   // of the bands of the flows, in units of the room that the balance leaves
  node_t branch = 0;  // graphs of so many nodes are solved `repeats` times
  std::ptrdiff_t repeats = 1;
  std::int32_t depth = 24;  // and in steps from the boundary
};

// What a partition of one level is worth: first the balance, then the cut.
struct worth {
  double beyond = 0, cut = 0, full = 0;
  bool better(const worth& o) const {
    if (beyond != o.beyond) return beyond < o.beyond;
    if (std::abs(cut - o.cut) > 1e-12 * std::max(cut, o.cut)) return cut < o.cut;
    return full < o.full;
  }
};
worth worth_of(const weighted& g, const bounds& b, std::span<const std::int32_t> labels);
// Some nodes as a graph of their own. place: n entries of -1, and so again in the end.
level part_of(const weighted& g, std::span<const node_t> nodes, std::vector<node_t>& place);
// Several runs side by side, each with a seed of its own; of equal ones the first is kept.
using solver = std::function<void(const job&, std::uint64_t seed, std::span<std::int32_t> labels)>;
void best_of(const job&, const weighted& g, const bounds& b, std::ptrdiff_t count, std::uint64_t seed,
             std::span<std::int32_t> labels, const solver& solve);
// Where in the multilevel scheme a level stands: where it is small enough it is solved more than once, from
// different coarse graphs.
struct stage {
  bool finest = true, branched = false;
};
// Part 0: the nodes with the smallest keys, until it has its target.
void fill_by(const weighted& g, const bounds& b, std::span<const double> key, std::span<std::int32_t> labels);

// ---- multilevel.cpp ------------------------------------------------------------------------------------
// Pairs of nodes to be contracted, heavy edges first. `keep` (or empty): only nodes of the same label pair.
std::vector<node_t> match(const job&, const weighted& g, double heaviest, std::span<const std::int32_t> keep,
                          std::uint64_t seed);
// The graph of the pairs, and the coarse node of each node.
level contract(const job&, const weighted& g, std::span<const node_t> partner, std::vector<node_t>& map);
// On a coarse graph no balance finer than its nodes can be asked for: that is left to the finer ones.
bounds loosened(const weighted& g, const bounds& b);
// Two parts by the whole scheme.
void bisect(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
            std::span<std::int32_t> labels);
// One coarsening that keeps the cut, and refinement on the way back. Any number of parts.
void cycle(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
           std::span<std::int32_t> labels);
// All the steps of refinement on one level.
void improve(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
             std::span<std::int32_t> labels);

// ---- refine_fm.cpp -------------------------------------------------------------------------------------
// Fiduccia-Mattheyses passes on two parts.
void refine_two(const job&, const weighted& g, const bounds& b, const effort& e,
                std::span<std::int32_t> labels, objective goal = objective::cut,
                std::span<const double> volume = {});
// Localised searches on any number of parts.
void refine_many(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
                 std::span<std::int32_t> labels);
// Fiduccia-Mattheyses passes on every two neighbouring parts: they go on where no part has room for a node,
// and exchange nodes one by one.
void refine_pairs(const job&, const weighted& g, const bounds& b, const effort& e,
                  std::span<std::int32_t> labels);
// Moves nodes into parts that have none and out of those that are too heavy, at the least cost.
void rebalance(const job&, const weighted& g, const bounds& b, std::span<std::int32_t> labels);

// ---- refine_flow.cpp -----------------------------------------------------------------------------------
// Minimum cuts between pairs of parts until none helps; true if the cut fell.
bool refine_flows(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
                  std::span<std::int32_t> labels);

// ---- kway.cpp ------------------------------------------------------------------------------------------
// Any number of parts by the whole scheme.
void divide(const job&, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
            std::span<std::int32_t> labels);

}  // namespace lapwing::partition
