// Approximate Cholesky factorisation of a graph Laplacian by sampling the cliques of eliminated vertices:
// Kyng and Sachdeva, Approximate Gaussian elimination for Laplacians (2016); Gao, Kyng and Spielman, Robust
// and practical solution of Laplacian equations by approximate elimination (2023).
#include <algorithm>
#include <atomic>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/sparse.hpp>
#include <limits>
#include <memory>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "../random.hpp"
#include "block.hpp"

namespace lapwing::linalg {

namespace {

// Vertices by degree, in doubly linked lists; high degrees share lists. First in, last out within a list.
class degree_queue {
 public:
  degree_queue(std::size_t n) : head_(lists, -1), next_(n), last_(n), list_(n) {}
  void insert(std::int32_t v, std::int32_t degree) {
    const std::int32_t l = list_of(degree);
    const std::size_t i = static_cast<std::size_t>(v), at = static_cast<std::size_t>(l);
    list_[i] = l;
    last_[i] = -1;
    next_[i] = head_[at];
    if (head_[at] >= 0) last_[static_cast<std::size_t>(head_[at])] = v;
    head_[at] = v;
    least_ = std::min(least_, l);
  }
  void remove(std::int32_t v) {
    const std::size_t i = static_cast<std::size_t>(v);
    if (last_[i] >= 0)
      next_[static_cast<std::size_t>(last_[i])] = next_[i];
    else
      head_[static_cast<std::size_t>(list_[i])] = next_[i];
    if (next_[i] >= 0) last_[static_cast<std::size_t>(next_[i])] = last_[i];
  }
  void change(std::int32_t v, std::int32_t degree) {
    if (list_of(degree) == list_[static_cast<std::size_t>(v)]) return;
    remove(v);
    insert(v, degree);
  }
  std::int32_t pop() {
    while (head_[static_cast<std::size_t>(least_)] < 0) ++least_;
    const std::int32_t v = head_[static_cast<std::size_t>(least_)];
    remove(v);
    return v;
  }

 private:
  static constexpr std::int32_t exact = 512, lists = exact + 1 + 8 * 24;
  static std::int32_t list_of(std::int32_t degree) {
    if (degree <= exact) return degree;
    return exact + static_cast<std::int32_t>(8 * std::log2(static_cast<double>(degree) / exact));
  }
  std::vector<std::int32_t> head_, next_, last_, list_;
  std::int32_t least_ = 0;
};

struct half_edge {
  std::int32_t to, reverse, next, count;  // to < 0: deleted. count: how many parallel edges it stands for
  double weight;
};

struct edge {
  std::int32_t u, v, count;
  double weight;
};

// The columns of the factor that belong to a set of vertices eliminated one after the other.
struct columns {
  std::vector<std::int32_t> order;  // vertices by step, numbered as the caller did
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;  // a later step, or for a vertex that stays its number
  std::vector<double> l, pivot;       // pivot: inverses, 0 for the last vertex of a component
};

// Eliminates the vertices 0 ... last - 1 of a graph with n vertices and hands back the edges that are left
// between the others. stream(v) seeds the draws of vertex v.
template <class Stream>
columns eliminate(const context& ctx, int worker, std::ptrdiff_t n, std::ptrdiff_t last,
                  const std::vector<edge>& edges, int split, Stream&& stream, std::vector<edge>& left) {
  const std::size_t size = static_cast<std::size_t>(n), steps = static_cast<std::size_t>(last);
  std::vector<half_edge> e;
  e.reserve(edges.size() * 2 + edges.size() / 2 + 16);
  std::vector<std::int32_t> head(size, -1), degree(size, 0), place(size, -1), unused;
  const auto link = [&](std::int32_t at, std::int32_t from, std::int32_t to, std::int32_t reverse,
                        std::int32_t count, double weight) {
    std::int32_t& first = head[static_cast<std::size_t>(from)];
    e[static_cast<std::size_t>(at)] = {to, reverse, first, count, weight};
    first = at;
  };
  const auto fresh = [&] {  // a record: one that nobody links to any more, or a new one
    if (!unused.empty()) {
      const std::int32_t at = unused.back();
      unused.pop_back();
      return at;
    }
    check(e.size() < static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) - 2,
          "w has too many edges for the approximate factorisation");
    e.push_back({});
    return static_cast<std::int32_t>(e.size()) - 1;
  };
  for (const edge& x : edges) {
    const std::int32_t at = fresh(), back = fresh();
    link(at, x.u, x.v, back, x.count, x.weight);
    link(back, x.v, x.u, at, x.count, x.weight);
    ++degree[static_cast<std::size_t>(x.u)];
    ++degree[static_cast<std::size_t>(x.v)];
  }
  degree_queue queue(steps);
  for (std::ptrdiff_t v = last - 1; v >= 0; --v)
    queue.insert(static_cast<std::int32_t>(v), degree[static_cast<std::size_t>(v)]);
  const auto change = [&](std::int32_t v, std::int32_t by) {
    const std::int32_t d = degree[static_cast<std::size_t>(v)] += by;
    if (v < last) queue.change(v, d);
  };

  struct neighbour {
    std::int32_t vertex, edge, count;
    double weight;
  };
  std::vector<neighbour> nb;
  std::vector<double> tail;  // tail[t]: weight of nb[t], nb[t + 1], ...
  columns out;
  out.order.resize(steps);
  out.pivot.resize(steps);
  out.offsets.reserve(steps + 1);
  out.indices.reserve(edges.size());
  out.l.reserve(edges.size());
  for (std::size_t step = 0; step < steps; ++step) {
    if (step % 4096 == 0 && ctx.checkpoint(worker)) return out;
    const std::int32_t v = queue.pop();
    out.order[step] = v;
    nb.clear();
    for (std::int32_t q = head[static_cast<std::size_t>(v)]; q >= 0;) {
      const half_edge& h = e[static_cast<std::size_t>(q)];
      const std::int32_t following = h.next;
      if (h.to < 0) {
        unused.push_back(q);
      } else if (std::int32_t& at = place[static_cast<std::size_t>(h.to)]; at < 0) {
        at = static_cast<std::int32_t>(nb.size());
        nb.push_back({h.to, q, h.count, h.weight});
      } else {  // a parallel edge: joined with the first
        neighbour& x = nb[static_cast<std::size_t>(at)];
        x.weight += h.weight;
        x.count = std::min(x.count + h.count, split);
        e[static_cast<std::size_t>(h.reverse)].to = -1;
        change(h.to, -1);
        unused.push_back(q);
      }
      q = following;
    }
    for (const neighbour& x : nb) place[static_cast<std::size_t>(x.vertex)] = -1;
    const std::size_t k = nb.size();
    if (k == 0) {
      out.pivot[step] = 0;
      out.offsets.push_back(static_cast<std::int64_t>(out.indices.size()));
      continue;
    }
    std::sort(nb.begin(), nb.end(), [](const neighbour& x, const neighbour& y) {
      return x.weight != y.weight ? x.weight < y.weight : x.vertex < y.vertex;
    });
    tail.resize(k + 1);
    tail[k] = 0;
    for (std::size_t t = k; t-- > 0;) tail[t] = tail[t + 1] + nb[t].weight;
    const double total = tail[0];
    out.pivot[step] = 1 / total;
    for (const neighbour& x : nb) {
      out.indices.push_back(x.vertex);
      out.l.push_back(x.weight / total);
    }
    out.offsets.push_back(static_cast<std::int64_t>(out.indices.size()));
    const std::uint64_t draws = stream(v);
    for (std::size_t t = 0; t + 1 < k; ++t) {
      const neighbour& x = nb[t];
      const double weight = x.weight * (tail[t + 1] / total) / x.count;
      // own is v's record: it leaves v's list, which nobody reads again. mirror stays in the list of x.
      const std::int32_t own = x.edge, mirror = e[static_cast<std::size_t>(own)].reverse;
      std::int32_t before = -1, record = -1;
      for (std::int32_t draw = 0; draw < x.count; ++draw) {
        const double u =
            uniform_at(draws, static_cast<std::uint64_t>(t) * 8 + static_cast<std::uint64_t>(draw)) *
            tail[t + 1];
        std::size_t lo = t + 1, hi = k - 1;  // the last s among them with tail[s] > u
        while (lo < hi) {
          const std::size_t middle = (lo + hi + 1) / 2;
          if (tail[middle] > u)
            lo = middle;
          else
            hi = middle - 1;
        }
        const std::int32_t partner = nb[lo].vertex;
        if (partner == before) {
          for (const std::int32_t at : {record, e[static_cast<std::size_t>(record)].reverse}) {
            e[static_cast<std::size_t>(at)].weight += weight;
            ++e[static_cast<std::size_t>(at)].count;
          }
          continue;
        }
        std::int32_t there = own;  // the record in the partner's list
        if (draw == 0) {
          half_edge& h = e[static_cast<std::size_t>(mirror)];  // x - v becomes x - partner
          h = {partner, there, h.next, 1, weight};
          record = mirror;
        } else {
          record = fresh();
          there = fresh();
          link(record, x.vertex, partner, there, 1, weight);
          change(x.vertex, 1);
        }
        link(there, partner, x.vertex, record, 1, weight);
        change(partner, 1);
        before = partner;
      }
    }
    const neighbour& heaviest = nb[k - 1];
    e[static_cast<std::size_t>(e[static_cast<std::size_t>(heaviest.edge)].reverse)].to = -1;
    unused.push_back(heaviest.edge);
    change(heaviest.vertex, -1);
  }
  std::vector<std::int32_t> position(steps);
  for (std::size_t s = 0; s < steps; ++s)
    position[static_cast<std::size_t>(out.order[s])] = static_cast<std::int32_t>(s);
  for (std::int32_t& i : out.indices)
    if (i < last) i = position[static_cast<std::size_t>(i)];
  for (std::size_t v = steps; v < size; ++v)
    for (std::int32_t q = head[v]; q >= 0; q = e[static_cast<std::size_t>(q)].next) {
      const half_edge& h = e[static_cast<std::size_t>(q)];
      if (h.to > static_cast<std::int32_t>(v))
        left.push_back({static_cast<std::int32_t>(v), h.to, h.count, h.weight});
    }
  return out;
}

}  // namespace

// The vertices are cut into slices of their order, each but for those that have a neighbour in a later slice;
// those are eliminated at the end. Slices do not see each other, so that threads can take them, and what a
// slice touches stays in cache.
struct approx_cholesky::factor {
  std::ptrdiff_t n = 0;
  struct part {
    columns c;                         // order: vertices of the graph
    std::vector<float> l32, pivot32;   // what is applied, unless the weights span too much for it
    std::vector<std::int32_t> border;  // vertices of the last part that this one updates: its positions there
    std::ptrdiff_t at = 0;             // first row of its block of the work space
    std::ptrdiff_t steps() const { return static_cast<std::ptrdiff_t>(c.order.size()); }
    std::ptrdiff_t rows() const { return steps() + static_cast<std::ptrdiff_t>(border.size()); }
  };
  std::vector<part> parts;  // the last one: what separates the others
  std::ptrdiff_t rows = 0;
  bool single = true;
  double scale = 1;
  mutable std::vector<double> kept;  // not from a context, which may end before
  mutable std::atomic<bool> taken{false};

  void build(const context& ctx, csr_view<const double> w, int split, std::uint64_t seed);
  template <class T>
  void apply(const context& ctx, matrix_view<const double> x, matrix_view<double> y) const;
  template <class T>
  static const T* values(const part& p) {
    if constexpr (sizeof(T) == 4)
      return p.l32.data();
    else
      return p.c.l.data();
  }
  template <class T>
  static const T* pivots(const part& p) {
    if constexpr (sizeof(T) == 4)
      return p.pivot32.data();
    else
      return p.c.pivot.data();
  }
};

namespace {

// Slices of the order that leave at most a seventh of the vertices to the last part; as many as keep a slice
// in cache. owner[v]: the slice of v, or -1 for the last part. Returns their number.
std::ptrdiff_t slice(csr_view<const double> w, std::vector<std::int32_t>& owner) {
  const std::ptrdiff_t n = w.rows();
  for (std::ptrdiff_t count = std::clamp<std::ptrdiff_t>(n / 16384, 1, 64);; count = count / 2) {
    const std::ptrdiff_t length = (n + count - 1) / count;
    std::ptrdiff_t separating = 0;
    owner.resize(static_cast<std::size_t>(n));
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::ptrdiff_t mine = i / length, end = std::min(n, (mine + 1) * length);
      bool later = false;
      for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
           q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q)
        later = later ||
                (w.indices[static_cast<std::size_t>(q)] >= end && w.values[static_cast<std::size_t>(q)] > 0);
      owner[static_cast<std::size_t>(i)] = later ? -1 : static_cast<std::int32_t>(mine);
      separating += later;
    }
    if (count == 1 || separating <= n / 7) return count;
  }
}

}  // namespace

void approx_cholesky::factor::build(const context& ctx, csr_view<const double> w, int split,
                                    std::uint64_t seed) {
  n = w.rows();
  const std::size_t size = static_cast<std::size_t>(n);
  std::vector<std::int32_t> owner;
  const std::ptrdiff_t count = slice(w, owner);
  const std::uint64_t key = mix(seed);
  // number of each vertex within its part
  std::vector<std::int32_t> number(size);
  std::vector<std::vector<std::int32_t>> members(static_cast<std::size_t>(count) + 1);
  for (std::size_t i = 0; i < size; ++i) {
    auto& m = members[owner[i] < 0 ? static_cast<std::size_t>(count) : static_cast<std::size_t>(owner[i])];
    number[i] = static_cast<std::int32_t>(m.size());
    m.push_back(static_cast<std::int32_t>(i));
  }
  parts.resize(static_cast<std::size_t>(count) + 1);
  std::vector<std::vector<edge>> left(static_cast<std::size_t>(count));
  ctx.parallel_for(count, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    std::vector<std::int32_t> slot(members.back().size(), -1);
    for (std::ptrdiff_t p = lo; p < hi; ++p) {
      const auto& inside = members[static_cast<std::size_t>(p)];
      part& mine = parts[static_cast<std::size_t>(p)];
      const std::int32_t first = static_cast<std::int32_t>(inside.size());
      std::vector<edge> edges;
      for (const std::int32_t v : inside)
        for (std::int64_t q = w.offsets[static_cast<std::size_t>(v)];
             q < w.offsets[static_cast<std::size_t>(v) + 1]; ++q) {
          const std::int32_t u = w.indices[static_cast<std::size_t>(q)];
          const double weight = w.values[static_cast<std::size_t>(q)];
          const std::int32_t nu = number[static_cast<std::size_t>(u)],
                             nv = number[static_cast<std::size_t>(v)];
          if (weight == 0 || u == v) continue;
          if (owner[static_cast<std::size_t>(u)] >= 0) {  // then it is the same slice
            if (u > v) edges.push_back({nv, nu, split, weight});
            continue;
          }
          std::int32_t& s = slot[static_cast<std::size_t>(nu)];
          if (s < 0) {
            s = static_cast<std::int32_t>(mine.border.size());
            mine.border.push_back(nu);
          }
          edges.push_back({nv, first + s, split, weight});
        }
      mine.c = eliminate(
          ctx, id, first + static_cast<std::ptrdiff_t>(mine.border.size()), first, edges, split,
          [&](std::int32_t v) {
            return mix(key ^ static_cast<std::uint64_t>(inside[static_cast<std::size_t>(v)]));
          },
          left[static_cast<std::size_t>(p)]);
      for (edge& x : left[static_cast<std::size_t>(p)]) {  // in the numbers of the last part
        x.u = mine.border[static_cast<std::size_t>(x.u - first)];
        x.v = mine.border[static_cast<std::size_t>(x.v - first)];
      }
      for (std::int32_t& v : mine.c.order) v = inside[static_cast<std::size_t>(v)];
      for (const std::int32_t s : mine.border) slot[static_cast<std::size_t>(s)] = -1;
    }
  });
  const auto& last = members.back();
  std::vector<edge> edges;
  for (const std::int32_t v : last)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(v)];
         q < w.offsets[static_cast<std::size_t>(v) + 1]; ++q) {
      const std::int32_t u = w.indices[static_cast<std::size_t>(q)];
      const double weight = w.values[static_cast<std::size_t>(q)];
      if (u > v && owner[static_cast<std::size_t>(u)] < 0 && weight != 0)
        edges.push_back(
            {number[static_cast<std::size_t>(v)], number[static_cast<std::size_t>(u)], split, weight});
    }
  for (const auto& more : left) edges.insert(edges.end(), more.begin(), more.end());
  left.clear();
  ctx.parallel_for(1, 1, [&](std::ptrdiff_t, std::ptrdiff_t, int id) {
    std::vector<edge> none;
    const std::ptrdiff_t all = static_cast<std::ptrdiff_t>(last.size());
    parts.back().c = eliminate(
        ctx, id, all, all, edges, split,
        [&](std::int32_t v) {
          return mix(key ^ static_cast<std::uint64_t>(last[static_cast<std::size_t>(v)]));
        },
        none);
  });
  // The borders name vertices of the last part: now by their steps.
  std::vector<std::int32_t> step(last.size());
  auto& order = parts.back().c.order;
  for (std::size_t s = 0; s < order.size(); ++s)
    step[static_cast<std::size_t>(order[s])] = static_cast<std::int32_t>(s);
  for (std::int32_t& v : order) v = last[static_cast<std::size_t>(v)];
  double most = 0;
  for (part& p : parts) {
    for (std::int32_t& s : p.border) s = step[static_cast<std::size_t>(s)];
    p.at = rows;
    rows += p.rows();
    for (const double x : p.c.pivot) most = std::max(most, x);
  }
  for (const part& p : parts)
    for (const double x : p.c.pivot) single = single && (x == 0 || x >= 1e-6 * most);
  if (!single || most == 0) return;
  scale = most;  // so that nothing leaves the range of float
  for (part& p : parts) {
    p.l32.assign(p.c.l.begin(), p.c.l.end());
    p.c.l = {};
    for (const double x : p.c.pivot) p.pivot32.push_back(static_cast<float>(x / most));
    p.c.pivot = {};
  }
}

template <class T>
void approx_cholesky::factor::apply(const context& ctx, matrix_view<const double> x,
                                    matrix_view<double> y) const {
  const auto& k = kernels::get<T>(ctx.level());
  const std::ptrdiff_t b = x.cols, slices = static_cast<std::ptrdiff_t>(parts.size()) - 1;
  // Memory of an earlier call, if nobody else is using it: fresh pages cost as much as the solve.
  const bool mine = !taken.exchange(true);
  buffer<T> fresh;
  struct release {
    std::atomic<bool>* flag;
    ~release() {
      if (flag) flag->store(false);
    }
  } const guard{mine ? &taken : nullptr};
  const std::size_t needed = static_cast<std::size_t>(rows * b) * sizeof(T) / sizeof(double) + 1;
  if (mine && kept.size() < needed) kept.resize(needed);
  if (!mine) fresh = buffer<T>(ctx, rows * b);
  T* const work = mine ? reinterpret_cast<T*>(kept.data()) : fresh.data();
  const auto gather = [&](const part& p, T* z) {
    for (std::ptrdiff_t s = 0; s < p.steps(); ++s) {
      const double* from = &x(p.c.order[static_cast<std::size_t>(s)], 0);
      for (std::ptrdiff_t c = 0; c < b; ++c) z[s * b + c] = static_cast<T>(from[c]);
    }
  };
  const auto scatter = [&](const part& p, const T* z) {
    for (std::ptrdiff_t s = 0; s < p.steps(); ++s) {
      double* to = &y(p.c.order[static_cast<std::size_t>(s)], 0);
      for (std::ptrdiff_t c = 0; c < b; ++c) to[c] = scale * static_cast<double>(z[s * b + c]);
    }
  };
  constexpr std::ptrdiff_t stretch = 1 << 15;
  const auto forward = [&](const part& p, T* z, int id) {
    for (std::ptrdiff_t s = 0; s < p.steps() && !ctx.checkpoint(id); s += stretch)
      k.lower_solve(p.c.offsets.data(), p.c.indices.data(), values<T>(p), s, std::min(s + stretch, p.steps()),
                    z, b, b);
  };
  const auto backward = [&](const part& p, T* z, int id) {
    for (std::ptrdiff_t s = round_up(p.steps(), stretch) - stretch; s >= 0 && !ctx.checkpoint(id);
         s -= stretch)
      k.upper_solve(p.c.offsets.data(), p.c.indices.data(), values<T>(p), pivots<T>(p), s,
                    std::min(s + stretch, p.steps()), z, b, b);
  };
  ctx.parallel_for(slices, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t q = lo; q < hi; ++q) {
      const part& p = parts[static_cast<std::size_t>(q)];
      T* z = work + p.at * b;
      gather(p, z);
      std::fill_n(z + p.steps() * b, static_cast<std::ptrdiff_t>(p.border.size()) * b, T(0));
      forward(p, z, id);
    }
  });
  ctx.parallel_for(1, 1, [&](std::ptrdiff_t, std::ptrdiff_t, int id) {
    const part& last = parts.back();
    T* z = work + last.at * b;
    gather(last, z);
    for (std::ptrdiff_t q = 0; q < slices; ++q) {
      const part& p = parts[static_cast<std::size_t>(q)];
      const T* from = work + (p.at + p.steps()) * b;
      for (std::size_t s = 0; s < p.border.size(); ++s)
        for (std::ptrdiff_t c = 0; c < b; ++c)
          z[p.border[s] * b + c] += from[static_cast<std::ptrdiff_t>(s) * b + c];
    }
    forward(last, z, id);
    backward(last, z, id);
    scatter(last, z);
  });
  ctx.parallel_for(slices, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    const T* outside = work + parts.back().at * b;
    for (std::ptrdiff_t q = lo; q < hi; ++q) {
      const part& p = parts[static_cast<std::size_t>(q)];
      T* z = work + p.at * b;
      for (std::size_t s = 0; s < p.border.size(); ++s)
        std::copy_n(outside + p.border[s] * b, b, z + (p.steps() + static_cast<std::ptrdiff_t>(s)) * b);
      backward(p, z, id);
      scatter(p, z);
    }
  });
}

approx_cholesky::approx_cholesky(const context& ctx, csr_view<const double> w, int split, std::uint64_t seed)
    : factor_(std::make_unique<factor>()) {
  check(split >= 1 && split <= 8, "split must be between 1 and 8, got ", split);
  factor_->build(ctx, w, split, seed);
}
approx_cholesky::~approx_cholesky() = default;
approx_cholesky::approx_cholesky(approx_cholesky&&) noexcept = default;
approx_cholesky& approx_cholesky::operator=(approx_cholesky&&) noexcept = default;
std::ptrdiff_t approx_cholesky::size() const { return factor_->n; }
std::ptrdiff_t approx_cholesky::nonzeros() const {
  std::size_t all = 0;
  for (const auto& p : factor_->parts) all += p.c.indices.size();
  return static_cast<std::ptrdiff_t>(all);
}
void approx_cholesky::apply(const context& ctx, matrix_view<const double> x, matrix_view<double> y) const {
  check(x.rows == size() && y.rows == size() && x.cols == y.cols, "x and y must be ", size(),
        " x as many, got ", x.rows, " x ", x.cols, " and ", y.rows, " x ", y.cols);
  if (factor_->single)
    factor_->apply<float>(ctx, x, y);
  else
    factor_->apply<double>(ctx, x, y);
}

}  // namespace lapwing::linalg
