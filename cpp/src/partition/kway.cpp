// Any number of parts: recursive bisection on a small graph, refined on every level; and the entry points.
#include <cmath>
#include <lapwing/sparse.hpp>

#include "level.hpp"

namespace lapwing::partition {

namespace {

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
  if (g.n >= 2) bisect(j, g, two, e, seed, side);
  std::vector<node_t> place(at(g.n), -1);
  for (std::int32_t s = 0; s < 2; ++s) {
    std::vector<node_t> nodes;
    for (node_t i = 0; i < g.n; ++i)
      if (side[at(i)] == s) nodes.push_back(i);
    const level part = part_of(g, nodes, place);
    labels_t inner(nodes.size());
    recurse(j, part.view(), b, s == 0 ? first : first + half, s == 0 ? half : count - half, e,
            mix(seed + static_cast<std::uint64_t>(s) + 1), inner);
    for (std::size_t i = 0; i < nodes.size(); ++i) labels[at(nodes[i])] = inner[i];
  }
}

}  // namespace

namespace {

void divide_level(const job& j, const weighted& g, const bounds& wanted, const effort& e, std::uint64_t seed,
                  stage s, std::span<std::int32_t> labels) {
  j.breathe();
  const std::ptrdiff_t k = wanted.parts();
  const bounds b = s.finest ? wanted : loosened(g, wanted);
  const node_t enough = static_cast<node_t>(std::max<std::ptrdiff_t>(60 * k, 500));
  if (!s.branched && (g.n <= e.branch || g.n <= 2 * enough) && e.repeats > 1) {
    effort inner = e;
    inner.repeats = 1;
    best_of(j, g, b, e.repeats, seed, labels,
            [&](const job& here, std::uint64_t own, std::span<std::int32_t> run) {
              divide_level(here, g, wanted, inner, own, {s.finest, true}, run);
            });
    return;
  }
  if (g.n > enough) {
    std::vector<node_t> map;
    const double heaviest = 1.5 * g.total() / enough;
    const level c = contract(j, g, match(j, g, heaviest, {}, seed), map);
    if (static_cast<double>(c.view().n) < 0.95 * g.n) {
      labels_t coarse(c.node.size());
      divide_level(j, c.view(), wanted, e, mix(seed), {false, s.branched}, coarse);
      for (node_t i = 0; i < g.n; ++i) labels[at(i)] = coarse[at(map[at(i)])];
      improve(j, g, b, e, seed, labels);
      return;
    }
  }
  recurse(j, g, b, 0, k, e, seed, labels);
  improve(j, g, b, e, seed, labels);
}

}  // namespace

void divide(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
            std::span<std::int32_t> labels) {
  if (b.parts() == 2) return bisect(j, g, b, e, seed, labels);
  divide_level(j, g, b, e, seed, {}, labels);
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
  check(o.directions.data == nullptr || (o.directions.rows == n && k == 2), "directions must have ", n,
        " rows and go with two parts, got ", o.directions.rows, " and ", k);
  return {o.targets, o.limits};
}

// Measured on meshes and geometric graphs: below these figures cuts get worse, above them only time grows.
effort effort_of(refinement r, std::ptrdiff_t parts) {
  effort e;
  e.flow = r == refinement::flow || r == refinement::multilevel;
  e.branch = e.flow ? 12000 : 2500;
  e.repeats = e.flow && parts > 2 && parts <= 16 ? 4 : 3;  // of more a fourth betters the cut by 0.1 %
  if (parts > 2) e.depth = 8;  // parts have short borders: deeper bands take a third of the time for 0.2 %
  if (r == refinement::multilevel) e.repeats *= 2;
  e.work = e.flow ? 60 : 20;
  if (!e.flow) e.pull = 0.25;  // most of the others find nothing
  if (r == refinement::none) e.passes = 0;
  return e;
}

std::uint64_t cycles(refinement r) { return r == refinement::multilevel ? 3 : 0; }

// The candidates of Hendrickson and Leland: each vector alone, then mixtures of the first two.
void along(const weighted& g, const bounds& b, matrix_view<const double> x, std::ptrdiff_t which,
           std::span<std::int32_t> labels) {
  std::vector<double> key(at(g.n));
  if (which < x.cols) {
    for (node_t i = 0; i < g.n; ++i) key[at(i)] = x(i, which);
  } else {
    constexpr double angle = 0.39269908169872414;  // pi / 8; the fourth of them is the second vector
    const std::ptrdiff_t t = which - x.cols + 1, turn = t < 4 ? t : t + 1;
    const double c = std::cos(angle * static_cast<double>(turn)),
                 s = std::sin(angle * static_cast<double>(turn));
    for (node_t i = 0; i < g.n; ++i) key[at(i)] = c * x(i, 0) + s * x(i, 1);
  }
  fill_by(g, b, key, labels);
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
  const effort e = effort_of(o.refine, b.parts());
  if (b.parts() == 1) {
    std::fill(labels.begin(), labels.end(), 0);
    return report(g, b, labels);
  }
  // Independent runs side by side; of equal ones the first is kept.
  std::vector<labels_t> runs;
  const auto all = [&](std::ptrdiff_t count, const auto& make) {
    runs.assign(at(count), labels_t(at(g.n)));
    ctx.parallel_for(count, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
      for (std::ptrdiff_t c = lo; c < hi; ++c) make(job{ctx, worker}, c, runs[at(c)]);
    });
    std::vector<std::pair<worth, std::size_t>> order;
    for (std::size_t c = 0; c < runs.size(); ++c) order.emplace_back(worth_of(g, b, runs[c]), c);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& x, const auto& y) { return x.first.better(y.first); });
    std::vector<labels_t> sorted;
    for (const auto& [w, c] : order) sorted.push_back(std::move(runs[c]));
    runs = std::move(sorted);
  };
  if (o.directions.data != nullptr) {
    const std::ptrdiff_t d = o.directions.cols, mixtures = d >= 2 ? 6 : 0;
    effort moves = e;
    moves.flow = false;
    all(d + mixtures, [&](const job& here, std::ptrdiff_t c, labels_t& run) {
      along(g, b, o.directions, c, run);
      improve(here, g, b, moves, o.seed, run);
      rebalance(here, g, b, run);
    });
    if (e.flow) {
      const std::vector<labels_t> start(runs.begin(),
                                        runs.begin() + std::min<std::ptrdiff_t>(4, d + mixtures));
      all(static_cast<std::ptrdiff_t>(start.size()), [&](const job& here, std::ptrdiff_t c, labels_t& run) {
        run = start[at(c)];
        improve(here, g, b, e, o.seed, run);
      });
    }
  } else {
    all(o.trials, [&](const job& here, std::ptrdiff_t c, labels_t& run) {
      divide(here, g, b, e, c == 0 ? o.seed : mix(o.seed + static_cast<std::uint64_t>(c)), run);
      rebalance(here, g, b, run);
    });
  }
  std::copy(runs[0].begin(), runs[0].end(), labels.begin());
  bool stopped = ctx.report("partition", 1, runs.empty() ? 0 : cut_of(g, labels));
  for (std::uint64_t c = 0; c < cycles(o.refine) && !stopped; ++c) {
    cycle(j, g, b, e, mix(o.seed + 7 * c + 1), labels);
    stopped = ctx.report("partition", static_cast<std::ptrdiff_t>(c) + 2, cut_of(g, labels));
  }
  result r = report(g, b, labels);
  r.stopped = stopped;
  return r;
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
  const effort e = effort_of(o.refine, b.parts());
  if (b.parts() == 1 || o.refine == refinement::none) return report(g, b, labels);
  rebalance(j, g, b, labels);
  if (o.goal != objective::cut) {
    refine_two(j, g, b, e, labels, o.goal, o.volume);
  } else {
    improve(j, g, b, e, o.seed, labels);
    if (o.refine == refinement::multilevel)
      for (std::uint64_t c = 0; c < cycles(o.refine); ++c) cycle(j, g, b, e, mix(o.seed + c), labels);
  }
  return report(g, b, labels);
}

measures measure(const context&, csr_view<const double> w, std::span<const double> node,
                 std::span<const double> volume, std::span<const std::int32_t> labels, std::ptrdiff_t k) {
  sparse::check_structure(w, "w");
  const std::ptrdiff_t n = w.rows();
  check(w.cols == n, "w must be square, got ", n, " x ", w.cols);
  for (const std::size_t length : {node.size(), volume.size(), labels.size()})
    check(length == at(n), "node, volume and labels must have ", n, " entries, got ", length);
  measures r;
  for (auto* list : {&r.weights, &r.volumes, &r.leaving}) list->assign(at(k), 0.0);
  r.pieces.assign(at(k), 0);
  std::vector<std::uint8_t> seen(at(n), 0);
  std::vector<node_t> stack;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::int32_t p = labels[at(i)];
    check(p >= 0 && p < k, "labels must be between 0 and ", k - 1, ", got ", p, " at ", i);
    r.weights[at(p)] += node[at(i)];
    r.volumes[at(p)] += volume[at(i)];
  }
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::int32_t p = labels[at(i)];
    double out = 0;
    for (std::int64_t q = w.offsets[at(i)]; q < w.offsets[at(i + 1)]; ++q)
      if (labels[at(w.indices[at(q)])] != p) out += w.values[at(q)];
    r.leaving[at(p)] += out;
    r.boundary += out > 0;
    if (seen[at(i)]) continue;
    ++r.pieces[at(p)];
    seen[at(i)] = 1;
    stack.assign(1, static_cast<node_t>(i));
    while (!stack.empty()) {
      const node_t u = stack.back();
      stack.pop_back();
      for (std::int64_t q = w.offsets[at(u)]; q < w.offsets[at(u + 1)]; ++q) {
        const node_t v = w.indices[at(q)];
        if (seen[at(v)] || labels[at(v)] != p || w.values[at(q)] == 0) continue;
        seen[at(v)] = 1;
        stack.push_back(v);
      }
    }
  }
  r.cut = std::accumulate(r.leaving.begin(), r.leaving.end(), 0.0) / 2;
  return r;
}

}  // namespace lapwing::partition
