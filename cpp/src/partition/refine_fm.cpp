// Refinement by moves of single nodes. C. M. Fiduccia, R. M. Mattheyses, "A Linear-Time Heuristic for
// Improving Network Partitions", 1982; searches that start from one node each: P. Sanders, C. Schulz,
// "Engineering Multilevel Graph Partitioning Algorithms", 2011.
#include <cmath>

#include "level.hpp"

namespace lapwing::partition {

namespace {

constexpr double none = -std::numeric_limits<double>::infinity();

// The largest key first; of equal keys the one that came last, so that a search stays where it is.
class queue {
 public:
  explicit queue(std::vector<std::int32_t>& place) : place_(place) {}
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  node_t top() const { return heap_[0].node; }
  double key() const { return heap_.empty() ? none : heap_[0].key; }
  bool holds(node_t i) const { return place_[at(i)] >= 0; }
  double key(node_t i) const { return heap_[at(place_[at(i)])].key; }
  void put(node_t i, double key) {
    const item x{key, stamp_++, i};
    std::size_t p;
    if (holds(i)) {
      p = at(place_[at(i)]);
      if (above(x, heap_[p]))
        rise(p, x);
      else
        sink(p, x);
      return;
    }
    p = heap_.size();
    heap_.push_back(x);
    rise(p, x);
  }
  void remove(node_t i) {
    const std::size_t p = at(place_[at(i)]);
    place_[at(i)] = -1;
    const item last = heap_.back();
    heap_.pop_back();
    if (p == heap_.size()) return;
    if (above(last, heap_[p]))  // heap_[p] still is the item that goes
      rise(p, last);
    else
      sink(p, last);
  }
  void clear() {
    for (const item& x : heap_) place_[at(x.node)] = -1;
    heap_.clear();
  }

 private:
  struct item {
    double key;
    std::uint32_t stamp;
    node_t node;
  };
  static bool above(const item& a, const item& b) {
    return a.key > b.key || (a.key == b.key && a.stamp > b.stamp);
  }
  void set(std::size_t p, const item& x) {
    heap_[p] = x;
    place_[at(x.node)] = static_cast<std::int32_t>(p);
  }
  void rise(std::size_t p, const item& x) {
    while (p > 0) {
      const std::size_t up = (p - 1) / 4;
      if (!above(x, heap_[up])) break;
      set(p, heap_[up]);
      p = up;
    }
    set(p, x);
  }
  void sink(std::size_t p, const item& x) {
    const std::size_t size = heap_.size();
    for (;;) {
      const std::size_t first = 4 * p + 1;
      if (first >= size) break;
      std::size_t best = first;
      for (std::size_t c = first + 1; c < std::min(first + 4, size); ++c)
        if (above(heap_[c], heap_[best])) best = c;
      if (!above(heap_[best], x)) break;
      set(p, heap_[best]);
      p = best;
    }
    set(p, x);
  }

  std::vector<item> heap_;
  std::vector<std::int32_t>& place_;  // of each node in its heap, or -1
  std::uint32_t stamp_ = 0;
};

// One state of a search: what is compared is how far it is beyond the limits, what it costs, how even it is.
struct score {
  double beyond = 0, value = 0, full = 0;
  bool better(const score& o, double tiny) const {
    if (beyond != o.beyond) return beyond < o.beyond;
    if (std::abs(value - o.value) > tiny) return value < o.value;
    return full < o.full * (1 - 1e-12);
  }
};

class two_sides {
 public:
  two_sides(const job& j, const weighted& g, const bounds& b, const effort& e, std::span<std::int32_t> side,
            objective goal, std::span<const double> volume)
      : j_(j),
        g_(g),
        b_(b),
        e_(e),
        side_(side),
        goal_(goal),
        volume_(volume),
        gain_(at(g.n)),
        cross_(at(g.n)),
        place_(at(g.n), -1),
        moved_(at(g.n), 0),
        queues_{queue(place_), queue(place_)} {
    double degree = 0;
    for (node_t i = 0; i < g_.n; ++i) {
      const double sum = measure(i);
      degree = std::max(degree, sum);
      weight_[side_[at(i)]] += g_.node[i];
      ++count_[side_[at(i)]];
      if (!volume_.empty()) vol_[side_[at(i)]] += volume_[at(i)];
      heaviest_ = std::max(heaviest_, g_.node[i]);
      lightest_ = std::min(lightest_, g_.node[i]);
    }
    cut_ /= 2;
    tiny_ = 1e-12 * degree;
  }

  void run() {
    for (int pass = 1; pass <= e_.passes; ++pass) {
      j_.breathe();
      if (!once(pass)) break;
    }
  }

 private:
  // Gain, number of neighbours across, and the sum of the edges of a node; counts its share of the cut.
  double measure(node_t i) {
    double across = 0, inside = 0;
    std::int32_t count = 0;
    for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
      if (side_[at(g_.targets[q])] == side_[at(i)]) {
        inside += g_.weights[q];
      } else {
        across += g_.weights[q];
        ++count;
      }
    }
    gain_[at(i)] = across - inside;
    cross_[at(i)] = count;
    cut_ += across;
    return across + inside;
  }

  score now() const {
    const double slack = 1e-12 * (weight_[0] + weight_[1]);
    const double over0 = weight_[0] - b_.limits[0], over1 = weight_[1] - b_.limits[1];
    score s;
    s.beyond = std::max(0.0, std::max(over0, over1));
    if (s.beyond <= slack) s.beyond = 0;
    s.full = std::max(weight_[0] / b_.targets[0], weight_[1] / b_.targets[1]);
    switch (goal_) {
      case objective::cut:
        s.value = cut_;
        break;
      case objective::ratio:
        s.value = cut_ / weight_[0] + cut_ / weight_[1];
        break;
      case objective::normalized:
        s.value = cut_ / vol_[0] + cut_ / vol_[1];
        break;
      case objective::conductance:
        s.value = cut_ / std::min(vol_[0], vol_[1]);
        break;
    }
    if (!(s.value >= 0)) s.value = goal_ == objective::cut ? 0 : std::numeric_limits<double>::infinity();
    return s;
  }

  void move(node_t i, bool searching) {
    const std::int32_t from = side_[at(i)], to = 1 - from;
    cut_ -= gain_[at(i)];
    side_[at(i)] = to;
    --count_[from];
    ++count_[to];
    weight_[from] -= g_.node[i];
    weight_[to] += g_.node[i];
    if (!volume_.empty()) {
      vol_[from] -= volume_[at(i)];
      vol_[to] += volume_[at(i)];
    }
    gain_[at(i)] = -gain_[at(i)];
    cross_[at(i)] = static_cast<std::int32_t>(g_.offsets[i + 1] - g_.offsets[i]) - cross_[at(i)];
    for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
      const node_t k = g_.targets[q];
      const bool same = side_[at(k)] == to;
      gain_[at(k)] += same ? -2 * g_.weights[q] : 2 * g_.weights[q];
      cross_[at(k)] += same ? -1 : 1;
      if (!searching || moved_[at(k)] == pass_) continue;
      queue& mine = queues_[at(side_[at(k)])];
      if (cross_[at(k)] > 0)
        mine.put(k, gain_[at(k)]);
      else if (mine.holds(k))
        mine.remove(k);
    }
  }

  // The side to move from, or -1: the larger gain, then the heavier side. A target may be exceeded by one
  // node on the way, else two sides of equal weight could never change.
  int choose() {
    bool allowed[2];
    for (int s = 0; s < 2; ++s) {
      allowed[s] = false;
      if (count_[s] == 1) continue;
      const double over = weight_[s] - b_.limits[at(s)], other = weight_[1 - s] - b_.limits[at(1 - s)];
      const double room = heaviest_ - other;
      queue& mine = queues_[at(s)];
      while (!mine.empty()) {
        const node_t i = mine.top();
        allowed[s] = (over > 0 && over > other) || g_.node[i] <= room;
        if (allowed[s] || lightest_ > room) break;
        moved_[at(i)] = pass_;  // another one may fit
        mine.remove(i);
      }
    }
    if (!allowed[0] || !allowed[1]) return allowed[0] ? 0 : allowed[1] ? 1 : -1;
    const double a = queues_[0].key(), b = queues_[1].key();
    if (std::abs(a - b) > tiny_) return a > b ? 0 : 1;
    return weight_[0] / b_.targets[0] >= weight_[1] / b_.targets[1] ? 0 : 1;
  }

  bool once(int pass) {
    pass_ = pass;
    if (pass > 1 && !g_.integers) {  // sums of weights that are no integers drift
      cut_ = 0;
      for (node_t i = 0; i < g_.n; ++i) measure(i);
      cut_ /= 2;
    }
    for (node_t i = 0; i < g_.n; ++i)
      if (cross_[at(i)] > 0) queues_[at(side_[at(i)])].put(i, gain_[at(i)]);
    const score start = now();
    if (start.beyond > 0) {  // inner nodes may be needed to mend the balance
      const int heavy = weight_[0] - b_.limits[0] > weight_[1] - b_.limits[1] ? 0 : 1;
      for (node_t i = 0; i < g_.n; ++i)
        if (side_[at(i)] == heavy && cross_[at(i)] == 0) queues_[at(heavy)].put(i, gain_[at(i)]);
    }
    score best = start;
    moves_.clear();
    std::size_t kept = 0;
    // In an expander nearly all nodes are at the boundary: a few moves tell nothing there.
    const std::size_t patience =
        std::max(at(std::clamp(static_cast<std::ptrdiff_t>(e_.patience * g_.n),
                               static_cast<std::ptrdiff_t>(e_.least), static_cast<std::ptrdiff_t>(e_.most))),
                 (queues_[0].size() + queues_[1].size()) / 20);
    while (moves_.size() < kept + patience || now().beyond > 0) {
      const int s = choose();
      if (s < 0) break;
      const node_t i = queues_[at(s)].top();
      queues_[at(s)].remove(i);
      moved_[at(i)] = pass_;
      move(i, true);
      moves_.push_back(i);
      const score here = now();
      if (here.better(best, tiny_)) {
        best = here;
        kept = moves_.size();
      }
      if (moves_.size() % 4096 == 0) j_.breathe();
    }
    queues_[0].clear();
    queues_[1].clear();
    while (moves_.size() > kept) {
      move(moves_.back(), false);
      moves_.pop_back();
    }
    return best.beyond < start.beyond || best.value < start.value - tiny_;
  }

  const job& j_;
  weighted g_;
  const bounds& b_;
  const effort& e_;
  std::span<std::int32_t> side_;
  objective goal_;
  std::span<const double> volume_;
  std::vector<double> gain_;
  std::vector<std::int32_t> cross_, place_, moved_;
  std::array<queue, 2> queues_;
  std::vector<node_t> moves_;
  double weight_[2] = {0, 0}, vol_[2] = {0, 0};
  double cut_ = 0, tiny_ = 0, heaviest_ = 0, lightest_ = std::numeric_limits<double>::infinity();
  node_t count_[2] = {0, 0};
  int pass_ = 0;
};

// Gains towards all parts, for any number of them.
class many_sides {
 public:
  many_sides(const job& j, const weighted& g, const bounds& b, std::span<std::int32_t> labels)
      : j_(j),
        g_(g),
        b_(b),
        labels_(labels),
        weight_(part_weights(g, labels, b.parts())),
        count_(at(b.parts()), 0),
        towards_(at(b.parts()), 0.0),
        place_(at(g.n), -1),
        queue_(place_) {
    double degree = 0, all = 0;
    for (node_t i = 0; i < g_.n; ++i) {
      double sum = 0;
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) sum += g_.weights[q];
      degree = std::max(degree, sum);
      all += sum;
      ++count_[at(labels_[at(i)])];
    }
    tiny_ = 1e-12 * degree;
    unit_ = all / static_cast<double>(std::max<std::int64_t>(g_.edges(), 1));
  }

  void run(const effort& e, std::uint64_t seed) {
    dice d(seed);
    for (auto* list : {&moved_, &tried_, &near_, &own_}) list->assign(at(g_.n), 0);
    std::vector<node_t> seeds, next;
    for (node_t i = 0; i < g_.n; ++i)
      if (at_boundary(i)) seeds.push_back(i);
    work_ = 0;
    const std::int64_t most_work = e.work * g_.edges() + 100000;
    for (int round = 1; round <= e.passes && !seeds.empty(); ++round) {
      j_.breathe();
      d.shuffle(seeds);
      round_ = round;
      changed_.clear();
      double gained = 0;
      std::size_t tried = 0;
      for (const node_t i : seeds) {
        if (moved_[at(i)] == round || tried_[at(i)] == round) continue;
        own_[at(i)] = round;
        gained += search(i, e);
        if (++tried % 64 == 0) j_.breathe();
        // Where everything is near everything, searches cost more than they bring.
        if (work_ > most_work) return;
      }
      if (gained <= tiny_) break;
      // Next: where something has changed, and what had no search of its own yet.
      next.clear();
      for (const node_t i : seeds)
        if (own_[at(i)] == 0 && near_[at(i)] != round && at_boundary(i)) next.push_back(i);
      for (const node_t i : changed_)
        if (at_boundary(i)) next.push_back(i);
      seeds.swap(next);
    }
  }

  // A node for each part that has none: one with little weight to its own part.
  void fill() {
    for (std::ptrdiff_t p = 0; p < b_.parts(); ++p) {
      if (count_[at(p)] > 0) continue;
      node_t best = -1;
      double least = std::numeric_limits<double>::infinity(), beyond = least;
      for (node_t i = 0; i < g_.n; ++i) {
        if (count_[at(labels_[at(i)])] < 2) continue;
        const double over = std::max(g_.node[i] - b_.limits[at(p)], 0.0);
        if (over > beyond) continue;
        const double inside = survey(i);
        for (const std::int32_t t : touched_) towards_[at(t)] = 0;
        if (over < beyond || inside < least) {
          beyond = over;
          least = inside;
          best = i;
        }
      }
      if (best >= 0) move(best, static_cast<std::int32_t>(p));
    }
  }

  // Out of the parts beyond their limits, least harm for the weight first.
  void rebalance() {
    const double slack = 1e-12 * std::accumulate(weight_.begin(), weight_.end(), 0.0);
    for (std::ptrdiff_t p = 0; p < b_.parts(); ++p) {
      if (weight_[at(p)] <= b_.limits[at(p)] + slack) continue;
      for (node_t i = 0; i < g_.n; ++i)
        if (labels_[at(i)] == p && g_.node[i] > 0) queue_.put(i, harm(i));
      while (!queue_.empty() && weight_[at(p)] > b_.limits[at(p)] + slack && count_[at(p)] > 1) {
        const node_t i = queue_.top();
        const double key = queue_.key(), fresh = harm(i);
        if (fresh < key - tiny_) {
          queue_.put(i, fresh);
          continue;
        }
        queue_.remove(i);
        if (fresh == none) break;
        move(i, target_);
        for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q)
          if (queue_.holds(g_.targets[q])) queue_.put(g_.targets[q], harm(g_.targets[q]));
      }
      queue_.clear();
    }
  }

 private:
  // A search neither reaches a node of so many neighbours nor goes on from one: it would look at all of them,
  // and at theirs, at every step. Such a node starts a search of its own.
  static constexpr std::int64_t hub = 128;
  std::int64_t neighbours(node_t i) const { return g_.offsets[i + 1] - g_.offsets[i]; }

  bool at_boundary(node_t i) const {
    for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q)
      if (labels_[at(g_.targets[q])] != labels_[at(i)]) return true;
    return false;
  }

  // Fills towards_ for the parts in touched_; returns the weight towards the own part.
  double survey(node_t i) {
    const std::int32_t own = labels_[at(i)];
    double inside = 0;
    touched_.clear();
    work_ += neighbours(i);
    for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
      const std::int32_t p = labels_[at(g_.targets[q])];
      if (p == own) {
        inside += g_.weights[q];
        continue;
      }
      if (towards_[at(p)] == 0) touched_.push_back(p);
      towards_[at(p)] += g_.weights[q];
    }
    return inside;
  }

  // Gain of the best move that keeps the balance, and its target; -inf: there is none.
  double gain(node_t i) {
    const double inside = survey(i);
    double best = none;
    target_ = -1;
    for (const std::int32_t p : touched_) {
      const double value = towards_[at(p)];
      towards_[at(p)] = 0;
      if (weight_[at(p)] + g_.node[i] > b_.limits[at(p)]) continue;
      const double fill = (weight_[at(p)] + g_.node[i]) / b_.targets[at(p)];
      if (target_ < 0 || value > best + tiny_ || (value > best - tiny_ && fill < fill_)) {
        best = value;
        fill_ = fill;
        target_ = p;
      }
    }
    inside_ = inside;
    if (target_ < 0 || count_[at(labels_[at(i)])] == 1) return none;
    return best - inside;
  }

  // For rebalancing: gain for the weight moved; into any part where the node fits, or else where it makes the
  // worst less bad.
  double harm(node_t i) {
    const double adjacent = gain(i);
    if (adjacent != none) return adjacent / g_.node[i];
    const double inside = survey(i);
    double towards = 0, best = std::numeric_limits<double>::infinity();
    target_ = -1;
    const std::int32_t own = labels_[at(i)];
    for (std::ptrdiff_t p = 0; p < b_.parts(); ++p) {
      const double beyond = weight_[at(p)] + g_.node[i] - b_.limits[at(p)];
      if (p == own || beyond >= weight_[at(own)] - b_.limits[at(own)]) continue;
      if (beyond < best) {
        best = beyond;
        target_ = static_cast<std::int32_t>(p);
      }
    }
    if (target_ >= 0) towards = towards_[at(target_)];
    for (const std::int32_t p : touched_) towards_[at(p)] = 0;
    return target_ < 0 ? none : (towards - inside) / g_.node[i];
  }

  void move(node_t i, std::int32_t to) {
    const std::int32_t from = labels_[at(i)];
    weight_[at(from)] -= g_.node[i];
    weight_[at(to)] += g_.node[i];
    --count_[at(from)];
    ++count_[at(to)];
    labels_[at(i)] = to;
  }

  // Moves spread from one node of the boundary; those after the best are taken back.
  double search(node_t start, const effort& e) {
    const double first = gain(start);
    if (first == none || first + inside_ < e.pull * inside_) return 0;
    queue_.put(start, first);
    moves_.clear();
    double sum = 0, best = 0, since = 0, squares = 0;
    std::size_t kept = 0;
    // Gains are taken for steps of a random walk: given up when it has drifted too far to come back (V.
    // Osipov, P. Sanders, "n-Level Graph Partitioning", 2010).
    const auto lost = [&](double steps) {
      const double drift = since / steps, variance = std::max(squares / steps - drift * drift, 0.0);
      return since < 0 && steps * drift * drift > 3 * variance + unit_ * unit_;
    };
    while (!queue_.empty() && moves_.size() < kept + at(e.local)) {
      if (moves_.size() > kept + 1 && lost(static_cast<double>(moves_.size() - kept))) break;
      const node_t i = queue_.top();
      const double key = queue_.key(), fresh = gain(i);
      if (fresh == none) {
        queue_.remove(i);
        continue;
      }
      if (fresh < key - tiny_) {
        queue_.put(i, fresh);
        continue;
      }
      queue_.remove(i);
      moves_.emplace_back(i, labels_[at(i)]);
      move(i, target_);
      moved_[at(i)] = round_;
      sum += fresh;
      if (sum > best + tiny_) {
        best = sum;
        kept = moves_.size();
        since = squares = 0;
      } else {
        since += fresh;
        squares += fresh * fresh;
      }
      if (neighbours(i) > hub) continue;
      const std::int32_t from = moves_.back().second, to = labels_[at(i)];
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
        const node_t k = g_.targets[q];
        if (moved_[at(k)] == round_ || neighbours(k) > hub) continue;
        if (queue_.holds(k)) {  // no gain is more than this; what it is shows when the node is first
          const std::int32_t own = labels_[at(k)];
          const double w = g_.weights[q], more = own == from ? 2 * w : own == to ? -w : w;
          queue_.put(k, queue_.key(k) + more);
          continue;
        }
        const double value = gain(k);
        if (value != none) queue_.put(k, value);
      }
    }
    queue_.clear();
    const auto change = [&](node_t i) {
      if (near_[at(i)] == round_) return;
      near_[at(i)] = round_;
      changed_.push_back(i);
    };
    for (std::size_t m = 0; m < kept; ++m) {
      const node_t i = moves_[m].first;
      change(i);
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) change(g_.targets[q]);
    }
    while (moves_.size() > kept) {
      const auto [i, from] = moves_.back();
      moves_.pop_back();
      move(i, from);
      moved_[at(i)] = 0;
      tried_[at(i)] = round_;  // it may move in another search, but does not start one
    }
    return best;
  }

  const job& j_;
  weighted g_;
  const bounds& b_;
  std::span<std::int32_t> labels_;
  std::vector<double> weight_;
  std::vector<node_t> count_;
  std::vector<double> towards_;
  std::vector<std::int32_t> place_, touched_;
  // Rounds in which a node moved, was in a search that failed, was near a move, began a search (0: never).
  std::vector<std::int32_t> moved_, tried_, near_, own_;
  std::vector<node_t> changed_;  // what this round has been near
  queue queue_;
  std::vector<std::pair<node_t, std::int32_t>> moves_;
  double tiny_ = 0, fill_ = 0, unit_ = 0;  // unit_: mean weight of an edge
  double inside_ = 0;                      // edges of the last node looked at to its own part
  std::int64_t work_ = 0;                  // neighbours looked at
  std::int32_t target_ = -1;
  int round_ = 0;
};

}  // namespace

level part_of(const weighted& g, std::span<const node_t> nodes, std::vector<node_t>& place) {
  for (std::size_t i = 0; i < nodes.size(); ++i) place[at(nodes[i])] = static_cast<node_t>(i);
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
  for (const node_t i : nodes) place[at(i)] = -1;
  return c;
}

std::vector<double> part_weights(const weighted& g, std::span<const std::int32_t> labels, std::ptrdiff_t k) {
  std::vector<double> weights(at(k), 0.0);
  for (node_t i = 0; i < g.n; ++i) weights[at(labels[at(i)])] += g.node[i];
  return weights;
}

double cut_of(const weighted& g, std::span<const std::int32_t> labels) {
  double cut = 0;
  for (node_t i = 0; i < g.n; ++i)
    for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q)
      if (g.targets[q] > i && labels[at(g.targets[q])] != labels[at(i)]) cut += g.weights[q];
  return cut;
}

double violation(std::span<const double> weights, const bounds& b) {
  double most = 0, total = 0;
  for (std::size_t p = 0; p < weights.size(); ++p) {
    most = std::max(most, weights[p] - b.limits[p]);
    total += weights[p];
  }
  return most <= 1e-12 * total ? 0 : most;
}

double fullness(std::span<const double> weights, const bounds& b) {
  double most = 0;
  for (std::size_t p = 0; p < weights.size(); ++p) most = std::max(most, weights[p] / b.targets[p]);
  return most;
}

void refine_two(const job& j, const weighted& g, const bounds& b, const effort& e,
                std::span<std::int32_t> labels, objective goal, std::span<const double> volume) {
  two_sides(j, g, b, e, labels, goal, volume).run();
}

void refine_many(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
                 std::span<std::int32_t> labels) {
  many_sides(j, g, b, labels).run(e, seed);
}

void refine_pairs(const job& j, const weighted& g, const bounds& b, const effort& e,
                  std::span<std::int32_t> labels) {
  const std::ptrdiff_t k = b.parts();
  std::vector<std::uint8_t> active(at(k), 1);
  std::vector<node_t> place(at(g.n), -1);
  for (int round = 0; round < e.passes; ++round) {
    std::vector<std::vector<node_t>> members(at(k));
    std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
    for (node_t i = 0; i < g.n; ++i) {
      const std::int32_t s = labels[at(i)];
      members[at(s)].push_back(i);
      for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
        const std::int32_t t = labels[at(g.targets[q])];
        if (s < t && (active[at(s)] || active[at(t)]) && (pairs.empty() || pairs.back() != std::pair(s, t)))
          pairs.emplace_back(s, t);
      }
    }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    std::vector<std::uint8_t> next(at(k), 0);
    bool any = false;
    for (const auto& [s, t] : pairs) {
      j.breathe();
      std::vector<node_t> nodes = members[at(s)];
      nodes.insert(nodes.end(), members[at(t)].begin(), members[at(t)].end());
      const level sub = part_of(g, nodes, place);
      labels_t side(nodes.size());
      for (std::size_t i = 0; i < nodes.size(); ++i) side[i] = labels[at(nodes[i])] == t;
      const bounds two{{b.targets[at(s)], b.targets[at(t)]}, {b.limits[at(s)], b.limits[at(t)]}};
      const double before = cut_of(sub.view(), side);
      refine_two(j, sub.view(), two, e, side);
      if (cut_of(sub.view(), side) < before) next[at(s)] = next[at(t)] = 1, any = true;
      for (const std::int32_t p : {s, t}) members[at(p)].clear();
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        labels[at(nodes[i])] = side[i] ? t : s;
        members[at(labels[at(nodes[i])])].push_back(nodes[i]);
      }
    }
    if (!any) break;
    active = next;
  }
}

void rebalance(const job& j, const weighted& g, const bounds& b, std::span<std::int32_t> labels) {
  std::vector<std::uint8_t> used(at(b.parts()), 0);
  for (const std::int32_t p : labels) used[at(p)] = 1;
  const bool empty = std::find(used.begin(), used.end(), 0) != used.end();
  if (!empty && violation(part_weights(g, labels, b.parts()), b) == 0) return;
  many_sides m(j, g, b, labels);
  m.fill();
  m.rebalance();
}

}  // namespace lapwing::partition
