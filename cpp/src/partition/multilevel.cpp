// The multilevel scheme. S. T. Barnard, H. D. Simon, "Fast Multilevel Implementation of Recursive Spectral
// Bisection", 1994; G. Karypis, V. Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning
// Irregular Graphs", 1998; cycles that keep the cut: C. Walshaw, "Multilevel Refinement for Combinatorial
// Optimisation Problems", 2004.
#include <cmath>

#include "../linalg/small.hpp"
#include "level.hpp"

namespace lapwing::partition {

namespace {

constexpr node_t coarsest = 120;       // nodes of the graph that is divided directly
constexpr node_t dense_nodes = 240;    // up to here eigenvectors are computed densely
constexpr double stall = 0.95;         // a contraction that leaves more than this is given up
constexpr double least_weight = 1e-9;  // of a node without weight, relative to the mean

}  // namespace

worth worth_of(const weighted& g, const bounds& b, std::span<const std::int32_t> labels) {
  const auto weights = part_weights(g, labels, b.parts());
  return {violation(weights, b), cut_of(g, labels), fullness(weights, b)};
}

void fill_by(const weighted& g, const bounds& b, std::span<const double> key,
             std::span<std::int32_t> labels) {
  std::vector<node_t> order(at(g.n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](node_t x, node_t y) { return key[at(x)] != key[at(y)] ? key[at(x)] < key[at(y)] : x < y; });
  double weight = 0;
  std::fill(labels.begin(), labels.end(), 1);
  for (const node_t i : order) {
    if (weight + g.node[i] / 2 > b.targets[0]) break;
    weight += g.node[i];
    labels[at(i)] = 0;
  }
}

void best_of(const job& j, const weighted& g, const bounds& b, std::ptrdiff_t count, std::uint64_t seed,
             std::span<std::int32_t> labels, const solver& solve) {
  std::vector<labels_t> runs(at(count), labels_t(at(g.n)));
  j.ctx.parallel_for(count, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    for (std::ptrdiff_t c = lo; c < hi; ++c)
      solve({j.ctx, worker}, c == 0 ? seed : mix(seed + 31 * static_cast<std::uint64_t>(c)), runs[at(c)]);
  });
  std::size_t best = 0;
  worth kept = worth_of(g, b, runs[0]);
  for (std::size_t c = 1; c < runs.size(); ++c) {
    const worth w = worth_of(g, b, runs[c]);
    if (!w.better(kept)) continue;
    kept = w;
    best = c;
  }
  std::copy(runs[best].begin(), runs[best].end(), labels.begin());
}

std::vector<node_t> match(const job& j, const weighted& g, double heaviest,
                          std::span<const std::int32_t> keep, std::uint64_t seed) {
  const node_t n = g.n;
  dice d(seed);
  std::vector<node_t> partner(at(n), -1), order(at(n));
  // At random, nodes of few neighbours first: they have the least choice.
  {
    constexpr std::int64_t classes = 64;
    std::vector<node_t> random(at(n)), first(at(classes) + 1, 0);
    std::iota(random.begin(), random.end(), 0);
    d.shuffle(random);
    const auto group = [&](node_t i) { return at(std::min(g.offsets[i + 1] - g.offsets[i], classes - 1)); };
    for (node_t i = 0; i < n; ++i) ++first[group(i) + 1];
    for (std::size_t c = 1; c < first.size(); ++c) first[c] += first[c - 1];
    for (const node_t i : random) order[at(first[group(i)]++)] = i;
  }
  const double floor = least_weight * std::max(g.total() / std::max<node_t>(n, 1), 1e-300);
  const auto together = [&](node_t a, node_t b) {
    return g.node[a] + g.node[b] <= heaviest && (keep.empty() || keep[at(a)] == keep[at(b)]);
  };
  std::ptrdiff_t left = 0;
  for (std::size_t p = 0; p < order.size(); ++p) {
    if (p % 65536 == 65535) j.breathe();
    const node_t i = order[p];
    if (partner[at(i)] >= 0) continue;
    node_t best = -1;
    double rating = 0;
    for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
      const node_t k = g.targets[q];
      if (partner[at(k)] >= 0 || !together(i, k)) continue;
      // (weight)^2 / (product of the node weights): the node's own weight is the same for all
      const double r = g.weights[q] * g.weights[q] / std::max(g.node[k], floor);
      if (r > rating) {
        rating = r;
        best = k;
      }
    }
    if (best < 0) {
      ++left;
      continue;
    }
    partner[at(i)] = best;
    partner[at(best)] = i;
  }
  // Leaves of the same hub, and nodes without any edge, pair with one another.
  if (left > n / 10) {
    std::vector<node_t> waiting(at(n), -1);
    node_t alone = -1;
    for (const node_t i : order) {
      if (partner[at(i)] >= 0) continue;
      node_t hub = -1;
      double rating = 0;
      for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q)
        if (g.weights[q] > rating) {
          rating = g.weights[q];
          hub = g.targets[q];
        }
      node_t& other = hub >= 0 ? waiting[at(hub)] : alone;
      if (other >= 0 && together(i, other)) {
        partner[at(i)] = other;
        partner[at(other)] = i;
        other = -1;
      } else {
        other = i;
      }
    }
  }
  for (node_t i = 0; i < n; ++i)
    if (partner[at(i)] < 0) partner[at(i)] = i;
  return partner;
}

level contract(const job& j, const weighted& g, std::span<const node_t> partner, std::vector<node_t>& map) {
  map.assign(at(g.n), -1);
  node_t m = 0;
  for (node_t i = 0; i < g.n; ++i)
    if (partner[at(i)] >= i) map[at(i)] = map[at(partner[at(i)])] = m++;
  level c;
  c.integers = g.integers;
  c.node.resize(at(m));
  c.offsets.reserve(at(m) + 1);
  c.offsets.push_back(0);
  c.targets.resize(at(g.edges()));
  c.weights.resize(at(g.edges()));
  std::vector<std::int64_t> place(at(m), -1);  // of a coarse neighbour in the row being made
  std::int64_t size = 0;
  for (node_t i = 0; i < g.n; ++i) {
    if (partner[at(i)] < i) continue;
    const node_t me = map[at(i)];
    const std::int64_t first = size;
    const auto add = [&](node_t u) {
      c.node[at(me)] += g.node[u];
      for (std::int64_t q = g.offsets[u]; q < g.offsets[u + 1]; ++q) {
        const node_t to = map[at(g.targets[q])];
        if (to == me) continue;
        std::int64_t& p = place[at(to)];
        if (p < first) {
          p = size++;
          c.targets[at(p)] = to;
          c.weights[at(p)] = g.weights[q];
        } else {
          c.weights[at(p)] += g.weights[q];
        }
      }
    };
    add(i);
    if (partner[at(i)] != i) add(partner[at(i)]);
    c.offsets.push_back(size);
    if (me % 65536 == 65535) j.breathe();
  }
  c.targets.resize(at(size));
  c.weights.resize(at(size));
  return c;
}

namespace {

// Part 0 grows from one node, always by the node that costs least.
void grow(const weighted& g, const bounds& b, node_t start, dice& d, std::span<std::int32_t> labels) {
  std::fill(labels.begin(), labels.end(), 1);
  std::vector<double> gain(at(g.n), 0.0);
  std::vector<std::uint8_t> seen(at(g.n), 0);
  std::vector<node_t> front;
  double weight = 0;
  node_t next = start;
  std::vector<node_t> rest;
  while (weight < b.targets[0]) {
    if (next < 0) {  // a component is full: go on in another
      if (rest.empty()) {
        for (node_t i = 0; i < g.n; ++i)
          if (labels[at(i)] == 1) rest.push_back(i);
        if (rest.empty()) break;
        d.shuffle(rest);
      }
      while (!rest.empty() && labels[at(rest.back())] == 0) rest.pop_back();
      if (rest.empty()) break;
      next = rest.back();
    }
    const bool fits = weight + g.node[next] <= b.limits[0] ||
                      (weight + g.node[next]) - b.targets[0] < b.targets[0] - weight;
    if (!fits) break;
    labels[at(next)] = 0;
    weight += g.node[next];
    for (std::int64_t q = g.offsets[next]; q < g.offsets[next + 1]; ++q) {
      const node_t k = g.targets[q];
      if (labels[at(k)] == 0) continue;
      if (!seen[at(k)]) {
        seen[at(k)] = 1;
        front.push_back(k);
        for (std::int64_t r = g.offsets[k]; r < g.offsets[k + 1]; ++r) gain[at(k)] -= g.weights[r];
      }
      gain[at(k)] += 2 * g.weights[q];
    }
    next = -1;
    std::size_t keep = 0;
    for (const node_t k : front) {
      if (labels[at(k)] == 0) continue;
      front[keep++] = k;
      if (next < 0 || gain[at(k)] > gain[at(next)]) next = k;
    }
    front.resize(keep);
  }
}

// The smallest three eigenvectors of L x = lambda M x beyond the constant, M the node weights.
std::vector<std::vector<double>> modes(const weighted& g) {
  const std::size_t n = at(g.n);
  const double floor = 1e-6 * g.total() / static_cast<double>(n);
  std::vector<double> a(n * n, 0.0), scale(n);
  for (std::size_t i = 0; i < n; ++i) scale[i] = 1 / std::sqrt(std::max(g.node[i], floor));
  for (std::size_t i = 0; i < n; ++i)
    for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
      const std::size_t k = at(g.targets[q]);
      a[i * n + i] += g.weights[q] * scale[i] * scale[i];
      a[i * n + k] -= g.weights[q] * scale[i] * scale[k];
    }
  const auto e = linalg::symmetric_eigen(a, g.n);
  std::vector<std::vector<double>> found;
  for (std::size_t c = 1; c < std::min<std::size_t>(4, n); ++c) {
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = e.vectors[i * n + c] * scale[i];
    found.push_back(std::move(x));
  }
  return found;
}

void start_two(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
               std::span<std::int32_t> labels) {
  dice d(seed);
  labels_t trial(at(g.n)), best;
  worth kept{};
  effort moves = e;
  moves.passes = std::max(e.passes, 6);
  const auto consider = [&] {
    refine_two(j, g, b, moves, trial);
    const worth w = worth_of(g, b, trial);
    if (best.empty() || w.better(kept)) {
      kept = w;
      best = trial;
    }
  };
  for (int t = 0; t < e.tries; ++t) {
    grow(g, b, d.below(g.n), d, trial);
    consider();
  }
  if (g.n <= dense_nodes && e.flow) {
    const auto x = modes(g);
    std::vector<double> key(at(g.n));
    for (const auto& v : x) {
      fill_by(g, b, v, trial);
      consider();
    }
    if (x.size() >= 2)
      for (int t = 1; t < 8; ++t) {
        if (t == 4) continue;  // the second alone
        const double c = std::cos(t * 0.39269908169872414), s = std::sin(t * 0.39269908169872414);
        for (std::size_t i = 0; i < key.size(); ++i) key[i] = c * x[0][i] + s * x[1][i];
        fill_by(g, b, key, trial);
        consider();
      }
  }
  std::copy(best.begin(), best.end(), labels.begin());
}

void project(std::span<const node_t> map, std::span<const std::int32_t> coarse,
             std::span<std::int32_t> labels) {
  for (std::size_t i = 0; i < map.size(); ++i) labels[i] = coarse[at(map[i])];
}

double heaviest_pair(const weighted& g, const bounds& b) {
  const double mean = g.total() / static_cast<double>(coarsest * b.parts() / 2);
  return 1.5 * std::max(mean, 0.0);
}

}  // namespace

void improve(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
             std::span<std::int32_t> labels) {
  if (b.parts() == 2) {
    refine_two(j, g, b, e, labels);
    if (e.flow && refine_flows(j, g, b, e, seed, labels)) refine_two(j, g, b, e, labels);
    return;
  }
  rebalance(j, g, b, labels);
  const double node = g.heaviest();
  bool tight = false;  // no room for a node where the parts are as heavy as they should be
  for (std::size_t p = 0; p < b.limits.size(); ++p) tight = tight || b.limits[p] - b.targets[p] < node;
  const auto moves = [&](std::uint64_t own) {
    refine_many(j, g, b, e, own, labels);
    if (tight) refine_pairs(j, g, b, e, labels);
  };
  moves(seed);
  if (e.flow && refine_flows(j, g, b, e, seed, labels)) moves(mix(seed));
}

namespace {

void bisect_level(const job& j, const weighted& g, const bounds& wanted, const effort& e, std::uint64_t seed,
                  stage s, std::span<std::int32_t> labels) {
  j.breathe();
  const bounds b = s.finest ? wanted : loosened(g, wanted);
  if (!s.branched && g.n <= e.branch && e.repeats > 1) {
    best_of(j, g, b, e.repeats, seed, labels,
            [&](const job& here, std::uint64_t own, std::span<std::int32_t> run) {
              bisect_level(here, g, wanted, e, own, {s.finest, true}, run);
            });
    return;
  }
  if (g.n > coarsest) {
    std::vector<node_t> map;
    const level c = contract(j, g, match(j, g, heaviest_pair(g, b), {}, seed), map);
    if (static_cast<double>(c.view().n) < stall * g.n) {
      labels_t coarse(c.node.size());
      bisect_level(j, c.view(), wanted, e, mix(seed), {false, s.branched}, coarse);
      project(map, coarse, labels);
      improve(j, g, b, e, seed, labels);
      return;
    }
  }
  start_two(j, g, b, e, seed, labels);
  improve(j, g, b, e, seed, labels);
}

}  // namespace

bounds loosened(const weighted& g, const bounds& b) {
  bounds loose = b;
  const double node = g.heaviest();
  for (std::size_t p = 0; p < b.limits.size(); ++p)
    loose.limits[p] = std::max(b.limits[p], b.targets[p] + node);
  return loose;
}

void bisect(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
            std::span<std::int32_t> labels) {
  bisect_level(j, g, b, e, seed, {}, labels);
}

void cycle(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
           std::span<std::int32_t> labels) {
  j.breathe();
  if (g.n > coarsest * b.parts() / 2) {
    std::vector<node_t> map;
    const level c = contract(j, g, match(j, g, heaviest_pair(g, b), labels, seed), map);
    if (static_cast<double>(c.view().n) < stall * g.n) {
      labels_t coarse(c.node.size());
      for (node_t i = 0; i < g.n; ++i) coarse[at(map[at(i)])] = labels[at(i)];
      cycle(j, c.view(), b, e, mix(seed), coarse);
      project(map, coarse, labels);
    }
  }
  improve(j, g, b, e, seed, labels);
}

}  // namespace lapwing::partition
