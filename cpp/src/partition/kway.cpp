// Any number of parts: recursive bisection on a small graph, refined on every level; and the entry points.
#include <cmath>
#include <lapwing/sparse.hpp>

#include "level.hpp"

namespace lapwing::partition {

namespace {

// The nodes of one label as a graph of their own; `nodes` are their names.
level extract(const weighted& g, std::span<const std::int32_t> labels, std::int32_t which,
              std::vector<node_t>& nodes) {
  std::vector<node_t> place(at(g.n), -1);
  nodes.clear();
  for (node_t i = 0; i < g.n; ++i)
    if (labels[at(i)] == which) {
      place[at(i)] = static_cast<node_t>(nodes.size());
      nodes.push_back(i);
    }
  level c;
  c.integers = g.integers;
  c.offsets.push_back(0);
  for (const node_t i : nodes) {
    c.node.push_back(g.node[i]);
    for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
      const node_t k = place[at(g.targets[q])];
      if (k < 0) continue;
      c.targets.push_back(k);
      c.weights.push_back(g.weights[q]);
    }
    c.offsets.push_back(static_cast<std::int64_t>(c.targets.size()));
  }
  return c;
}

// Parts first .. first + count - 1 by bisection upon bisection. Each bisection may leave its sides so uneven
// that the parts made of them can still keep their limits (R. Andre et al., "Memetic Multilevel Hypergraph
// Partitioning", 2018).
void recurse(const job& j, const weighted& g, const bounds& b, std::ptrdiff_t first, std::ptrdiff_t count,
             const effort& e, std::uint64_t seed, std::span<std::int32_t> labels) {
  if (count == 1) {
    std::fill(labels.begin(), labels.end(), static_cast<std::int32_t>(first));
    return;
  }
  const std::ptrdiff_t half = (count + 1) / 2;
  const auto sum = [](std::span<const double> x, std::ptrdiff_t lo, std::ptrdiff_t hi) {
    return std::accumulate(x.begin() + lo, x.begin() + hi, 0.0);
  };
  const double total = g.total(), wanted = sum(b.targets, first, first + count),
               allowed = sum(b.limits, first, first + count);
  const double depth = std::ceil(std::log2(static_cast<double>(count)));
  const double room = std::pow(std::max(allowed / std::max(total, 1e-300), 1.0), 1 / depth);
  bounds two;
  for (int s = 0; s < 2; ++s) {
    const std::ptrdiff_t lo = s == 0 ? first : first + half, hi = s == 0 ? first + half : first + count;
    const double share = sum(b.targets, lo, hi) / wanted * total;
    two.targets.push_back(share);
    two.limits.push_back(std::min(share * room, sum(b.limits, lo, hi)));
  }
  labels_t side(at(g.n), 0);
  if (g.n >= 2)
    bisect(j, g, two, e, seed, side);
  for (std::int32_t s = 0; s < 2; ++s) {
    std::vector<node_t> nodes;
    const level part = extract(g, side, s, nodes);
    labels_t inner(nodes.size());
    recurse(j, part.view(), b, s == 0 ? first : first + half, s == 0 ? half : count - half, e,
            mix(seed + static_cast<std::uint64_t>(s) + 1), inner);
    for (std::size_t i = 0; i < nodes.size(); ++i) labels[at(nodes[i])] = inner[i];
  }
}

}  // namespace

void divide(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
            std::span<std::int32_t> labels) {
  j.breathe();
  const std::ptrdiff_t k = b.parts();
  if (k == 2) return bisect(j, g, b, e, seed, labels);
  const node_t enough = static_cast<node_t>(std::max<std::ptrdiff_t>(60 * k, 500));
  if (g.n > enough) {
    std::vector<node_t> map;
    const double heaviest = 1.5 * g.total() / enough;
    const level c = contract(j, g, match(j, g, heaviest, {}, seed), map);
    if (static_cast<double>(c.view().n) < 0.95 * g.n) {
      labels_t coarse(c.node.size());
      divide(j, c.view(), b, e, mix(seed), coarse);
      for (node_t i = 0; i < g.n; ++i) labels[at(i)] = coarse[at(map[at(i)])];
      improve(j, g, b, e, seed, labels);
      return;
    }
  }
  recurse(j, g, b, 0, k, e, seed, labels);
  improve(j, g, b, e, seed, labels);
}

namespace {

// The caller's matrix without its diagonal and zeros; a copy only if it has any.
struct input {
  level kept;
  weighted graph;

  input(csr_view<const double> w, std::span<const double> node) {
    const std::ptrdiff_t n = w.rows();
    bool clean = true, whole = true;
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::int64_t q = w.offsets[at(i)]; q < w.offsets[at(i + 1)]; ++q) {
        const double x = w.values[at(q)];
        clean = clean && w.indices[at(q)] != i && x > 0;
        whole = whole && std::floor(x) == x;
        sum += x;
      }
    whole = whole && sum < 0x1p52;
    graph = {w.offsets.data(), w.indices.data(), w.values.data(), node.data(), static_cast<node_t>(n), whole};
    if (clean) return;
    kept.integers = whole;
    kept.node.assign(node.begin(), node.end());
    kept.offsets.push_back(0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::int64_t q = w.offsets[at(i)]; q < w.offsets[at(i + 1)]; ++q) {
        if (w.indices[at(q)] == i || w.values[at(q)] == 0) continue;
        kept.targets.push_back(w.indices[at(q)]);
        kept.weights.push_back(w.values[at(q)]);
      }
      kept.offsets.push_back(static_cast<std::int64_t>(kept.targets.size()));
    }
    graph = kept.view();
  }
};

bounds checked(csr_view<const double> w, std::span<const double> node, const options& o,
               std::span<std::int32_t> labels) {
  sparse::check_graph(w, "w");
  const std::ptrdiff_t n = w.rows(), k = static_cast<std::ptrdiff_t>(o.limits.size());
  check(static_cast<std::ptrdiff_t>(node.size()) == n && static_cast<std::ptrdiff_t>(labels.size()) == n,
        "node and labels must have ", n, " entries, got ", node.size(), " and ", labels.size());
  check(k >= 1 && k <= n, "limits must have between 1 and ", n, " entries, got ", k);
  check(o.targets.size() == o.limits.size(), "targets and limits must have the same length, got ",
        o.targets.size(), " and ", o.limits.size());
  for (std::size_t p = 0; p < o.limits.size(); ++p)
    check(o.targets[p] > 0 && o.limits[p] >= 0, "targets must be > 0 and limits >= 0, got ", o.targets[p],
          " and ", o.limits[p], " for part ", p);
  for (std::size_t i = 0; i < node.size(); ++i)
    check(std::isfinite(node[i]) && node[i] >= 0, "node must be finite and >= 0, got ", node[i], " at ", i);
  check(o.trials >= 1, "trials must be >= 1, got ", o.trials);
  const bool volumes = o.goal == objective::normalized || o.goal == objective::conductance;
  check(o.goal == objective::cut || k == 2, "an objective other than the cut takes two parts, got ", k);
  check(!volumes || o.volume.size() == node.size(), "volume must have ", n, " entries, got ",
        o.volume.size());
  check(o.directions.data == nullptr || (o.directions.rows == n && k == 2),
        "directions must have ", n, " rows and go with two parts, got ", o.directions.rows, " and ", k);
  return {o.targets, o.limits};
}

effort effort_of(refinement r) {
  effort e;
  e.flow = r == refinement::flow || r == refinement::multilevel;
  if (r == refinement::none) e.passes = 0;
  return e;
}

result report(const weighted& g, const bounds& b, std::span<const std::int32_t> labels) {
  result r;
  r.cut = cut_of(g, labels);
  r.feasible = violation(part_weights(g, labels, b.parts()), b) == 0;
  return r;
}

}  // namespace

result split(const context& ctx, csr_view<const double> w, std::span<const double> node, const options& o,
             std::span<std::int32_t> labels) {
  const bounds b = checked(w, node, o, labels);
  const input in(w, node);
  const weighted& g = in.graph;
  const job j{ctx};
  const effort e = effort_of(o.refine);
  if (b.parts() == 1) {
    std::fill(labels.begin(), labels.end(), 0);
    return report(g, b, labels);
  }
  divide(j, g, b, e, o.seed, labels);
  rebalance(j, g, b, labels);
  return report(g, b, labels);
}

result refine(const context& ctx, csr_view<const double> w, std::span<const double> node, const options& o,
              std::span<std::int32_t> labels) {
  const bounds b = checked(w, node, o, labels);
  for (std::size_t i = 0; i < labels.size(); ++i)
    check(labels[i] >= 0 && labels[i] < b.parts(), "labels must be between 0 and ", b.parts() - 1, ", got ",
          labels[i], " at ", i);
  const input in(w, node);
  const weighted& g = in.graph;
  const job j{ctx};
  const effort e = effort_of(o.refine);
  if (b.parts() == 1 || o.refine == refinement::none) return report(g, b, labels);
  if (o.goal != objective::cut) {
    refine_two(j, g, b, e, labels, o.goal, o.volume);
  } else {
    improve(j, g, b, e, o.seed, labels);
    if (o.refine == refinement::multilevel)
      for (std::uint64_t c = 0; c < 3; ++c) cycle(j, g, b, e, mix(o.seed + c), labels);
  }
  return report(g, b, labels);
}

}  // namespace lapwing::partition
