// Refinement by minimum cuts in a band around the boundary of two parts. P. Sanders, C. Schulz, "Engineering
// Multilevel Graph Partitioning Algorithms", 2011; a cut that is not balanced is mended by growing its
// smaller side: M. Hamann, B. Strasser, "Graph Bisection with Pareto-Optimization", 2016.
#include <cmath>
#include <limits>
#include <memory>

#include "level.hpp"

namespace lapwing::partition {

namespace {

using flow_t = std::int64_t;

// Whole capacities from weights: exact where the weights are whole, else to a part in 2^40 of their sum.
double capacity_unit(const weighted& g) {
  if (g.integers) return 1;
  double sum = 0;
  for (std::int64_t q = 0; q < g.edges(); ++q) sum += g.weights[q];
  int e = 0;
  std::frexp(sum, &e);
  return std::ldexp(1.0, 50 - e);
}

// The band between two parts as a flow network, and its minimum cuts, one after the other.
class band {
 public:
  band(const weighted& g, const bounds& b, std::span<std::int32_t> labels, double unit)
      : g_(g), b_(b), labels_(labels), unit_(unit), local_(at(g.n), -1) {}

  // Improves the cut between parts s and t; `weight` are the weights of all parts. The weight by which the
  // cut fell; 0 with `changed`: equal, but more even.
  double run(const job& j, std::int32_t s, std::int32_t t, std::span<const node_t> of_s,
             std::span<const node_t> of_t, std::vector<double>& weight, const effort& e, bool& changed) {
    changed = false;
    j_ = &j;
    s_ = s;
    t_ = t;
    collect(of_s, of_t, weight, e.reach, e.depth);
    double fell = 0;
    if (count_[0] > 0 && count_[1] > 0) {
      build();
      if (search(weight)) fell = adopt(weight, changed);
    }
    for (const node_t i : nodes_) local_[at(i)] = -1;
    return fell;
  }

 private:
  static constexpr std::uint8_t in_source = 1, in_sink = 2;
  static constexpr std::int64_t patience = 100;  // arcs looked at by growing trees, for each arc there is

  // Other threads move nodes between two other parts meanwhile: which of them it is does not matter here.
  std::int32_t label_of(node_t i) const {
    return std::atomic_ref<std::int32_t>(labels_[at(i)]).load(std::memory_order_relaxed);
  }
  void relabel(node_t i, std::int32_t to) {
    std::atomic_ref<std::int32_t>(labels_[at(i)]).store(to, std::memory_order_relaxed);
  }

  // Breadth first from the boundary, as far as the balance lets nodes change sides (times `reach`).
  void collect(std::span<const node_t> of_s, std::span<const node_t> of_t, const std::vector<double>& weight,
               double reach, std::int32_t deepest) {
    nodes_.clear();
    depth_.clear();
    const double w[2] = {weight[at(s_)], weight[at(t_)]};
    const std::span<const node_t> start[2] = {of_s, of_t};
    const std::int32_t part[2] = {s_, t_};
    for (int side = 0; side < 2; ++side) {
      // Where hardly any room is allowed, growing a side mends the balance of a cut within a band all the
      // same.
      const double wanted = b_.targets[at(part[1 - side])], allowed = b_.limits[at(part[1 - side])];
      const double least = allowed - wanted < 0.01 * wanted ? 0.03 * wanted : 0;
      const double other_room = std::max(allowed - w[1 - side], least);
      const double most = std::min(reach * other_room, 0.8 * w[side]);
      double taken = 0;
      const std::size_t first = nodes_.size();
      const auto add = [&](node_t i, std::int32_t depth) {
        if (local_[at(i)] >= 0 || taken + g_.node[i] > most) return;
        local_[at(i)] = static_cast<std::int32_t>(nodes_.size());
        nodes_.push_back(i);
        depth_.push_back(side == 0 ? depth : -depth);
        taken += g_.node[i];
      };
      for (const node_t i : start[side]) add(i, 1);
      for (std::size_t p = first; p < nodes_.size(); ++p) {
        const node_t i = nodes_[p];
        const std::int32_t d = std::abs(depth_[p]) + 1;
        if (d > deepest) break;
        for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q)
          if (label_of(g_.targets[q]) == part[side]) add(g_.targets[q], d);
      }
      count_[side] = nodes_.size() - first;
      fixed_[side] = w[side] - taken;
    }
  }

  // Arcs in both directions with their capacity; the last two nodes stand for what is outside the band.
  void build() {
    const std::size_t m = nodes_.size(), source = m, sink = m + 1;
    first_.assign(m + 3, 0);
    std::vector<std::pair<flow_t, flow_t>> outside(m, {0, 0});
    old_cut_ = 0;
    const auto whole = [this](double w) { return std::max<flow_t>(1, std::llround(w * unit_)); };
    for (std::size_t u = 0; u < m; ++u) {
      const node_t i = nodes_[u];
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
        const node_t k = g_.targets[q];
        const std::int32_t label = label_of(k);
        if ((label != s_ && label != t_) || g_.weights[q] <= 0) continue;
        const flow_t c = whole(g_.weights[q]);
        if (local_[at(k)] >= 0) {
          ++first_[u + 1];
          if (label != label_of(i) && k > i) old_cut_ += c;
        } else {
          (label == s_ ? outside[u].first : outside[u].second) += c;
          if (label != label_of(i)) old_cut_ += c;
        }
      }
      if (outside[u].first > 0) {
        ++first_[u + 1];
        ++first_[source + 1];
      }
      if (outside[u].second > 0) {
        ++first_[u + 1];
        ++first_[sink + 1];
      }
    }
    // Edges between the two outsides are cut for ever, and cost the same before and after: left out.
    for (std::size_t u = 0; u + 1 < first_.size(); ++u) first_[u + 1] += first_[u];
    const std::size_t arcs = at(first_.back());
    head_.resize(arcs);
    twin_.resize(arcs);
    room_.resize(arcs);
    std::vector<std::int32_t> next(first_.begin(), first_.end() - 1);
    const auto join = [&](std::size_t u, std::size_t v, flow_t c) {
      const std::int32_t a = next[u]++, z = next[v]++;
      head_[at(a)] = static_cast<std::int32_t>(v);
      head_[at(z)] = static_cast<std::int32_t>(u);
      twin_[at(a)] = z;
      twin_[at(z)] = a;
      room_[at(a)] = room_[at(z)] = c;
    };
    for (std::size_t u = 0; u < m; ++u) {
      const node_t i = nodes_[u];
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
        const node_t k = g_.targets[q];
        const std::int32_t v = local_[at(k)];
        if (v > static_cast<std::int32_t>(u) && g_.weights[q] > 0) join(u, at(v), whole(g_.weights[q]));
      }
      if (outside[u].first > 0) join(source, u, outside[u].first);
      if (outside[u].second > 0) join(u, sink, outside[u].second);
    }
    mark_.assign(m + 2, 0);
    base_.assign(m + 2, 0);
    seen_.assign(m + 2, 0);
    stamp_ = 0;
    distance_.resize(m + 2);
    arc_.resize(m + 2);
    mark_[source] = base_[source] = in_source;
    mark_[sink] = base_[sink] = in_sink;
  }

  double node_weight(std::size_t u) const {
    return u < nodes_.size() ? g_.node[nodes_[u]] : fixed_[u == nodes_.size() ? 0 : 1];
  }

  // Dinic's phases from `start` on one side to the settled nodes of the other: along the arcs from the source
  // side, against them from the sink side. The settled nodes of its own side are closed, no path returns
  // there. False: the flow has passed `bound`.
  bool augment(std::size_t start, std::uint8_t side, flow_t bound, bool& any) {
    const std::uint8_t goal_side = static_cast<std::uint8_t>(3 - side);
    const auto room = [&](std::int32_t a) -> flow_t& {
      return room_[at(side == in_source ? a : twin_[at(a)])];
    };
    const auto back = [&](std::int32_t a) -> flow_t& {
      return room_[at(side == in_source ? twin_[at(a)] : a)];
    };
    for (int round = 0;; ++round) {
      if (round % 16 == 15) j_->breathe();
      ++stamp_;
      line_.assign(1, static_cast<std::int32_t>(start));
      seen_[start] = stamp_;
      distance_[start] = 0;
      std::int32_t goal = -1;
      for (std::size_t p = 0; p < line_.size(); ++p) {
        const std::size_t u = at(line_[p]);
        if (goal >= 0 && distance_[u] + 1 >= goal) break;
        for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
          const std::size_t v = at(head_[at(a)]);
          if (seen_[v] == stamp_ || base_[v] == side || room(a) == 0) continue;
          seen_[v] = stamp_;
          distance_[v] = distance_[u] + 1;
          if (base_[v] == goal_side)
            goal = distance_[v];
          else
            line_.push_back(static_cast<std::int32_t>(v));
        }
      }
      if (goal < 0) return true;
      any = true;
      // Nodes as far away as the goal are of no use: seen from the last but one layer, all goals are marked.
      for (const std::int32_t u : line_) arc_[at(u)] = first_[at(u)];
      path_.clear();
      std::size_t u = start;
      for (;;) {
        if (base_[u] == goal_side) {
          flow_t most = std::numeric_limits<flow_t>::max();
          for (const std::int32_t a : path_) most = std::min(most, room(a));
          for (const std::int32_t a : path_) {
            room(a) -= most;
            back(a) += most;
          }
          flow_ += most;
          if (flow_ > bound) return false;
          std::size_t keep = 0;  // back to before the first arc that is full
          while (room(path_[keep]) > 0) ++keep;
          u = at(head_[at(twin_[at(path_[keep])])]);
          path_.resize(keep);
          continue;
        }
        bool forward = false;
        for (std::int32_t& a = arc_[u]; a < first_[u + 1]; ++a) {
          const std::size_t v = at(head_[at(a)]);
          const bool reached = base_[v] == goal_side;
          if (base_[v] == side || room(a) == 0) continue;
          if (reached ? distance_[u] + 1 == goal
                      : seen_[v] == stamp_ && distance_[v] == distance_[u] + 1 && distance_[v] < goal) {
            path_.push_back(a);
            u = v;
            forward = true;
            break;
          }
        }
        if (forward) continue;
        if (path_.empty()) break;
        distance_[u] = -1;  // a dead end
        u = at(head_[at(twin_[at(path_.back())])]);
        path_.pop_back();
      }
    }
  }

  // The maximum flow between the two outsides, by trees that grow from both and are mended after every path
  // (Boykov and Kolmogorov, 2004): on a mesh the paths are short and the trees hardly change. Where they do
  // not pay (expanders, hubs) Dinic's phases go on from the flow there is: paths are short, so there are few.
  // False: the flow has passed `bound`.
  bool first_flow(flow_t bound) {
    constexpr std::int32_t no_parent = -1, root = -2, orphan = -3;
    const std::size_t m = nodes_.size();
    tree_.assign(m + 2, 0);
    parent_.assign(m + 2, no_parent);
    time_.assign(m + 2, 0);
    active_.clear();
    queued_.assign(m + 2, 0);
    std::size_t next = 0;
    std::uint32_t now = 0;
    const auto activate = [&](std::size_t u) {
      if (queued_[u]) return;
      queued_[u] = 1;
      active_.push_back(static_cast<std::int32_t>(u));
    };
    for (const std::size_t u : {m, m + 1}) {
      tree_[u] = u == m ? in_source : in_sink;
      parent_[u] = root;
      distance_[u] = 0;
      activate(u);
    }
    // Room from the tree of `side` outwards along arc a, whose tail is in the tree.
    const auto outward = [&](std::int32_t a, std::uint8_t side) {
      return room_[at(side == in_source ? a : twin_[at(a)])];
    };
    const auto orphaned = [&](std::size_t u) {
      parent_[u] = orphan;
      orphans_.push_back(static_cast<std::int32_t>(u));
    };
    std::int64_t work = 0;
    const auto adopt = [&](std::size_t u) {
      const std::uint8_t side = tree_[u];
      work += first_[u + 1] - first_[u];
      std::int32_t best = -1, shortest = std::numeric_limits<std::int32_t>::max();
      for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
        std::size_t v = at(head_[at(a)]);
        if (tree_[v] != side || outward(twin_[at(a)], side) == 0) continue;
        // Does v hang on a root? Distances found on the way are kept for the next question.
        std::int32_t steps = 0;
        std::size_t w = v;
        bool rooted = false;
        for (;;) {
          if (time_[w] == now) {
            steps += distance_[w];
            rooted = true;
            break;
          }
          const std::int32_t p = parent_[w];
          if (p == root) {
            time_[w] = now;
            distance_[w] = 0;
            rooted = true;
            break;
          }
          if (p < 0) break;
          ++steps;
          ++work;
          w = at(head_[at(p)]);
        }
        if (!rooted) continue;
        if (steps < shortest) {
          shortest = steps;
          best = a;
        }
        for (w = v; time_[w] != now; w = at(head_[at(parent_[w])])) {
          time_[w] = now;
          distance_[w] = steps--;
        }
      }
      if (best >= 0) {
        parent_[u] = best;
        time_[u] = now;
        distance_[u] = shortest + 1;
        return;
      }
      for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
        const std::size_t v = at(head_[at(a)]);
        if (tree_[v] != side) continue;
        if (outward(twin_[at(a)], side) > 0) activate(v);
        if (parent_[v] >= 0 && at(head_[at(parent_[v])]) == u) orphaned(v);
      }
      tree_[u] = 0;
      parent_[u] = no_parent;
    };
    std::size_t paths = 0;
    const std::int64_t most_work = patience * static_cast<std::int64_t>(head_.size()) + 10000;
    while (next < active_.size()) {
      if (work > most_work) {
        bool any = false;
        return augment(m, in_source, bound, any);
      }
      const std::size_t u = at(active_[next]);
      const std::uint8_t side = tree_[u];
      std::int32_t bridge = -1;
      work += first_[u + 1] - first_[u];
      if (side != 0) {
        for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
          if (outward(a, side) == 0) continue;
          const std::size_t v = at(head_[at(a)]);
          if (tree_[v] == 0) {
            tree_[v] = side;
            parent_[v] = twin_[at(a)];
            time_[v] = time_[u];
            distance_[v] = distance_[u] + 1;
            activate(v);
          } else if (tree_[v] != side) {
            bridge = side == in_source ? a : twin_[at(a)];
            break;
          } else if (time_[v] <= time_[u] && distance_[v] > distance_[u] + 1 && parent_[v] >= 0) {
            parent_[v] = twin_[at(a)];  // a shorter way to the root
            time_[v] = time_[u];
            distance_[v] = distance_[u] + 1;
          }
        }
      }
      if (bridge < 0) {
        queued_[u] = 0;
        ++next;
        if (next > 65536 && 2 * next > active_.size()) {
          active_.erase(active_.begin(), active_.begin() + static_cast<std::ptrdiff_t>(next));
          next = 0;
        }
        continue;
      }
      if (++paths % 1024 == 0) j_->breathe();
      ++now;
      flow_t most = room_[at(bridge)];
      const std::size_t tail = at(head_[at(twin_[at(bridge)])]), tip = at(head_[at(bridge)]);
      for (std::size_t v = tail; parent_[v] != root; v = at(head_[at(parent_[v])]))
        most = std::min(most, room_[at(twin_[at(parent_[v])])]);
      for (std::size_t v = tip; parent_[v] != root; v = at(head_[at(parent_[v])]))
        most = std::min(most, room_[at(parent_[v])]);
      orphans_.clear();
      room_[at(bridge)] -= most;
      room_[at(twin_[at(bridge)])] += most;
      for (std::size_t v = tail; parent_[v] != root;) {
        const std::int32_t p = parent_[v], a = twin_[at(p)];
        room_[at(a)] -= most;
        room_[at(p)] += most;
        if (room_[at(a)] == 0) orphaned(v);
        v = at(head_[at(p)]);
      }
      for (std::size_t v = tip; parent_[v] != root;) {
        const std::int32_t p = parent_[v];
        room_[at(p)] -= most;
        room_[at(twin_[at(p)])] += most;
        if (room_[at(p)] == 0) orphaned(v);
        v = at(head_[at(p)]);
      }
      flow_ += most;
      if (flow_ > bound) return false;
      for (std::size_t o = 0; o < orphans_.size(); ++o) adopt(at(orphans_[o]));
    }
    return true;
  }

  // The nodes that `start` reaches (in_source) or that reach it (in_sink) by arcs with room.
  void spread(std::size_t start, std::uint8_t side) {
    line_.assign(1, static_cast<std::int32_t>(start));
    enter(start, side);
    for (std::size_t p = 0; p < line_.size(); ++p) {
      const std::size_t u = at(line_[p]);
      for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
        const std::size_t v = at(head_[at(a)]);
        if (mark_[v] & side) continue;
        if (room_[at(side == in_source ? a : twin_[at(a)])] == 0) continue;
        enter(v, side);
        line_.push_back(static_cast<std::int32_t>(v));
      }
    }
  }
  void enter(std::size_t v, std::uint8_t side) {
    mark_[v] |= side;
    members_[side - 1].push_back(static_cast<std::int32_t>(v));
    weight_[side - 1] += node_weight(v);
  }
  void forget(std::uint8_t side) {  // back to what is settled
    std::size_t keep = 0;
    for (const std::int32_t v : members_[side - 1]) {
      if (base_[at(v)] == side) {
        members_[side - 1][keep++] = v;
        continue;
      }
      mark_[at(v)] &= static_cast<std::uint8_t>(~side);
      weight_[side - 1] -= node_weight(at(v));
    }
    members_[side - 1].resize(keep);
  }
  // What `terminals` and all settled nodes of the side reach.
  void respread(std::uint8_t side) {
    forget(side);
    const std::size_t settled = members_[side - 1].size();
    for (std::size_t p = 0; p < settled; ++p) {
      const std::size_t u = at(members_[side - 1][p]);
      for (std::int32_t a = first_[u]; a < first_[u + 1]; ++a) {
        const std::size_t v = at(head_[at(a)]);
        if (!(mark_[v] & side) && room_[at(side == in_source ? a : twin_[at(a)])] > 0) spread(v, side);
      }
    }
  }

  // Whether a cut with parts of these weights may be taken: it is smaller, or as small and more even.
  bool acceptable(double ws, double wt, const std::vector<double>& weight) const {
    const double slack = 1e-12 * (ws + wt);
    const double old_beyond =
        std::max({weight[at(s_)] - b_.limits[at(s_)], weight[at(t_)] - b_.limits[at(t_)], 0.0});
    const double beyond = std::max({ws - b_.limits[at(s_)], wt - b_.limits[at(t_)], 0.0});
    if (beyond > slack && beyond > old_beyond) return false;
    if (flow_ < old_cut_) return true;
    const double old_full =
        std::max(weight[at(s_)] / b_.targets[at(s_)], weight[at(t_)] / b_.targets[at(t_)]);
    return std::max(ws / b_.targets[at(s_)], wt / b_.targets[at(t_)]) < old_full * (1 - 1e-9);
  }

  bool search(const std::vector<double>& weight) {
    const std::size_t m = nodes_.size();
    const double total = weight[at(s_)] + weight[at(t_)];
    flow_ = 0;
    weight_[0] = weight_[1] = 0;
    members_[0].clear();
    members_[1].clear();
    front_[0].clear();
    front_[1].clear();
    later_[0].clear();
    later_[1].clear();
    settled_[0] = settled_[1] = 0;
    bool any = false;
    if (!first_flow(old_cut_)) return false;
    spread(m, in_source);
    spread(m + 1, in_sink);
    for (std::size_t steps = 0;; ++steps) {
      if (steps % 1024 == 1023) j_->breathe();
      const double ws = weight_[0], wt = weight_[1];
      const bool a = acceptable(ws, total - ws, weight), z = acceptable(total - wt, wt, weight);
      if (a || z) {
        const auto full = [&](double x) {
          return std::max(x / b_.targets[at(s_)], (total - x) / b_.targets[at(t_)]);
        };
        by_source_ = a && (!z || full(ws) <= full(total - wt));
        return true;
      }
      // Grow the smaller side, in units of what it should weigh.
      const int side = ws / b_.targets[at(s_)] <= wt / b_.targets[at(t_)] ? 0 : 1;
      const std::uint8_t mine = static_cast<std::uint8_t>(side + 1);
      const std::int32_t part = side == 0 ? s_ : t_;
      if (weight_[side] > b_.limits[at(part)]) return false;
      for (; settled_[side] < members_[side].size(); ++settled_[side]) {
        const std::size_t u = at(members_[side][settled_[side]]);
        base_[u] = mine;
        for (std::int32_t q = first_[u]; q < first_[u + 1]; ++q) {
          const std::size_t v = at(head_[at(q)]);
          if (!(mark_[v] & mine) && v < m) push(side, static_cast<std::int32_t>(v));
        }
      }
      const std::ptrdiff_t pierced = pierce(side);
      if (pierced < 0) return false;
      const std::size_t p = at(pierced);
      any = false;
      if (!augment(p, mine, old_cut_, any)) return false;
      base_[p] = mine;
      spread(p, mine);
      if (any) {
        respread(static_cast<std::uint8_t>(3 - mine));
        for (int c = 0; c < 2; ++c) {  // what stood back may not meet the other side any more
          for (const std::int32_t v : later_[c]) push(c, v);
          later_[c].clear();
        }
      }
    }
  }

  // Candidates to grow a side by, the deepest in its own part first.
  void push(int side, std::int32_t v) {
    const std::int32_t d = depth_[at(v)];
    front_[side].emplace_back(side == 0 ? d : -d, v);
    std::push_heap(front_[side].begin(), front_[side].end());
  }
  std::ptrdiff_t pierce(int side) {
    const std::uint8_t mine = static_cast<std::uint8_t>(side + 1),
                       other = static_cast<std::uint8_t>(3 - mine);
    auto& heap = front_[side];
    while (!heap.empty()) {
      const std::int32_t v = heap.front().second;
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
      if ((mark_[at(v)] & mine) || base_[at(v)] != 0) continue;
      if (mark_[at(v)] & other) {  // would raise the flow: only if nothing else is left
        later_[side].push_back(v);
        continue;
      }
      return v;
    }
    std::ptrdiff_t best = -1;
    std::int32_t depth = std::numeric_limits<std::int32_t>::min();
    for (const std::int32_t v : later_[side]) {
      const std::int32_t d = side == 0 ? depth_[at(v)] : -depth_[at(v)];
      if ((mark_[at(v)] & mine) || base_[at(v)] != 0 || d <= depth) continue;
      depth = d;
      best = v;
    }
    return best;
  }

  double adopt(std::vector<double>& weight, bool& changed) {
    // The cut itself decides, not its whole capacities.
    double before = 0, after = 0;
    const auto side_of = [&](std::size_t u) {
      return by_source_ ? ((mark_[u] & in_source) ? s_ : t_) : ((mark_[u] & in_sink) ? t_ : s_);
    };
    for (std::size_t u = 0; u < nodes_.size(); ++u) {
      const node_t i = nodes_[u];
      const std::int32_t to = side_of(u);
      for (std::int64_t q = g_.offsets[i]; q < g_.offsets[i + 1]; ++q) {
        const node_t k = g_.targets[q];
        const std::int32_t label = label_of(k);
        if (label != s_ && label != t_) continue;
        const std::int32_t v = local_[at(k)];
        if (v >= 0 && k < i) continue;
        if (label != label_of(i)) before += g_.weights[q];
        if ((v >= 0 ? side_of(at(v)) : label) != to) after += g_.weights[q];
      }
    }
    if (after > before) return 0;
    double ws = fixed_[0], wt = fixed_[1];
    for (std::size_t u = 0; u < nodes_.size(); ++u) {
      const std::int32_t to = side_of(u);
      (to == s_ ? ws : wt) += g_.node[nodes_[u]];
      changed |= label_of(nodes_[u]) != to;
      relabel(nodes_[u], to);
    }
    weight[at(s_)] = ws;
    weight[at(t_)] = wt;
    return before - after;
  }

  const job* j_ = nullptr;
  weighted g_;
  const bounds& b_;
  std::span<std::int32_t> labels_;
  double unit_;
  std::vector<std::int32_t> local_;  // of a node in the band, or -1
  std::int32_t s_ = 0, t_ = 0;
  std::vector<node_t> nodes_;
  std::vector<std::int32_t> depth_;  // steps from the boundary: > 0 in s, < 0 in t
  std::size_t count_[2] = {0, 0};
  double fixed_[2] = {0, 0}, weight_[2] = {0, 0};
  std::vector<std::int32_t> first_, head_, twin_, distance_, arc_, line_, path_, parent_, active_, orphans_;
  std::vector<flow_t> room_;
  std::vector<std::uint8_t> tree_, queued_;
  std::vector<std::uint32_t> time_;
  std::vector<std::uint8_t> mark_, base_;  // reached by which sides; settled on which side
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
  std::vector<std::int32_t> members_[2], later_[2];
  std::vector<std::pair<std::int32_t, std::int32_t>> front_[2];
  std::size_t settled_[2] = {0, 0};
  flow_t flow_ = 0, old_cut_ = 0;
  bool by_source_ = true;
};

}  // namespace

bool refine_flows(const job& j, const weighted& g, const bounds& b, const effort& e, std::uint64_t seed,
                  std::span<std::int32_t> labels) {
  const std::ptrdiff_t k = b.parts();
  const double unit = capacity_unit(g);
  std::vector<double> weight = part_weights(g, labels, k);
  std::vector<std::uint8_t> active(at(k), 1);
  std::vector<std::unique_ptr<band>> bands(at(j.ctx.threads()));
  bool fell = false;
  struct border {
    std::int32_t s, t;
    std::vector<node_t> of_s{}, of_t{};
    std::size_t nodes = 0;
    double gain = 0;
    bool changed = false;
    // In an expander nearly all nodes are at the boundary: there is no band, and flows find nothing.
    bool hopeless() const { return nodes > 2000 && 2 * (of_s.size() + of_t.size()) > nodes; }
  };
  constexpr int rounds = 12;
  for (int round = 0; round < rounds; ++round) {
    // The borders that may have something left, in a random order that the seed gives.
    std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
    {
      std::vector<std::pair<std::int32_t, std::int32_t>> all;
      for (node_t i = 0; i < g.n; ++i)
        for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
          const std::int32_t s = labels[at(i)], t = labels[at(g.targets[q])];
          if (s < t && (active[at(s)] || active[at(t)]) && (all.empty() || all.back() != std::pair(s, t)))
            all.emplace_back(s, t);
        }
      std::sort(all.begin(), all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
      pairs = std::move(all);
      dice(mix(seed) + static_cast<std::uint64_t>(round)).shuffle(pairs);
    }
    if (pairs.empty()) break;
    std::vector<std::uint8_t> next(at(k), 0);
    while (!pairs.empty()) {
      // Borders that share no part, at the same time.
      std::vector<border> batch;
      std::vector<std::int32_t> busy(at(k), -1);
      std::size_t keep = 0;
      for (const auto& p : pairs) {
        if (busy[at(p.first)] >= 0 || busy[at(p.second)] >= 0) {
          pairs[keep++] = p;
          continue;
        }
        busy[at(p.first)] = busy[at(p.second)] = static_cast<std::int32_t>(batch.size());
        batch.push_back({p.first, p.second});
      }
      pairs.resize(keep);
      for (node_t i = 0; i < g.n; ++i) {
        const std::int32_t s = labels[at(i)], which = busy[at(s)];
        if (which < 0) continue;
        ++batch[at(which)].nodes;
        for (std::int64_t q = g.offsets[i]; q < g.offsets[i + 1]; ++q) {
          const std::int32_t t = labels[at(g.targets[q])];
          if (t == s || busy[at(t)] != which) continue;
          (batch[at(which)].s == s ? batch[at(which)].of_s : batch[at(which)].of_t).push_back(i);
          break;
        }
      }
      const auto solve = [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
        auto& mine = bands[at(worker)];
        const job here{j.ctx, worker};
        if (!mine) mine = std::make_unique<band>(g, b, labels, unit);
        for (std::ptrdiff_t c = lo; c < hi; ++c) {
          border& x = batch[at(c)];
          if (x.hopeless()) continue;
          x.gain = mine->run(here, x.s, x.t, x.of_s, x.of_t, weight, e, x.changed);
        }
      };
      j.ctx.parallel_for(static_cast<std::ptrdiff_t>(batch.size()), 1, solve);
      for (const border& x : batch) {
        if (!x.changed) continue;
        fell |= x.gain > 0;
        if (x.gain > 0) next[at(x.s)] = next[at(x.t)] = 1;
      }
    }
    active = next;
  }
  return fell;
}

}  // namespace lapwing::partition
