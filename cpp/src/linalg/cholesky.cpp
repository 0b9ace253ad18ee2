#include "cholesky.hpp"

#include <Eigen/OrderingMethods>
#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <limits>
#include <sstream>

#include "../kernels/table.hpp"

namespace lapwing::linalg {

namespace {

std::size_t z(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

// Approximate minimum degree order of the sub-graph `inside` (numbered in that order): Eigen's.
std::vector<std::int32_t> minimum_degree(csr_view<const double> w, const std::vector<std::int32_t>& inside,
                                         const std::vector<std::int32_t>& number) {
  const int n = static_cast<int>(inside.size());
  Eigen::SparseMatrix<char, Eigen::ColMajor, int> pattern(n, n);
  std::vector<int> sizes(inside.size(), 1);
  for (std::size_t i = 0; i < inside.size(); ++i)
    sizes[i] += static_cast<int>(w.offsets[z(inside[i]) + 1] - w.offsets[z(inside[i])]);
  pattern.reserve(sizes);
  for (int i = 0; i < n; ++i) {
    pattern.insert(i, i) = 1;
    for (std::int64_t q = w.offsets[z(inside[z(i)])]; q < w.offsets[z(inside[z(i)]) + 1]; ++q) {
      const std::int32_t j = number[z(w.indices[z(q)])];
      if (j >= 0 && j != i) pattern.insert(j, i) = 1;
    }
  }
  pattern.makeCompressed();
  Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> p;
  Eigen::AMDOrdering<int>()(pattern, p);
  return {p.indices().data(), p.indices().data() + n};  // the vertex at each step
}

// Elimination tree (Liu, The role of elimination trees in sparse factorization, 1990). lower[j]: neighbours
// of step j with a smaller step.
std::vector<std::int32_t> elimination_tree(const std::vector<std::vector<std::int32_t>>& lower) {
  std::vector<std::int32_t> parent(lower.size(), -1), ancestor(lower.size(), -1);
  for (std::size_t j = 0; j < lower.size(); ++j)
    for (std::int32_t i : lower[j])
      while (i >= 0 && i != static_cast<std::int32_t>(j)) {
        const std::int32_t next = ancestor[z(i)];
        ancestor[z(i)] = static_cast<std::int32_t>(j);
        if (next < 0) parent[z(i)] = static_cast<std::int32_t>(j);
        i = next;
      }
  return parent;
}

std::vector<std::int32_t> postorder(const std::vector<std::int32_t>& parent) {
  const std::size_t n = parent.size();
  std::vector<std::int32_t> child(n, -1), sibling(n, -1), order, stack;
  order.reserve(n);
  for (std::size_t j = n; j-- > 0;)
    if (parent[j] >= 0) {
      sibling[j] = child[z(parent[j])];
      child[z(parent[j])] = static_cast<std::int32_t>(j);
    }
  for (std::size_t root = 0; root < n; ++root) {
    if (parent[root] >= 0) continue;
    stack.push_back(static_cast<std::int32_t>(root));
    while (!stack.empty()) {
      const std::int32_t j = stack.back();
      if (child[z(j)] >= 0) {
        stack.push_back(child[z(j)]);
        child[z(j)] = -1;
        continue;
      }
      stack.pop_back();
      order.push_back(j);
      if (sibling[z(j)] >= 0) stack.push_back(sibling[z(j)]);
    }
  }
  return order;
}

}  // namespace

grounded_cholesky::grounded_cholesky(const context& ctx, csr_view<const double> w,
                                     const std::vector<std::int64_t>& ends, double limit)
    : w_(w) {
  const std::ptrdiff_t all = w.rows();
  // The vertex of largest degree of each component is grounded.
  std::vector<std::int32_t> number(z(all), 0), inside;
  std::int64_t lo = 0;
  for (const std::int64_t end : ends) {
    std::int64_t best = lo;
    double most = -1;
    for (std::int64_t i = lo; i < end; ++i) {
      double d = 0;
      for (std::int64_t q = w.offsets[z(i)]; q < w.offsets[z(i) + 1]; ++q) d += w.values[z(q)];
      if (d > most) {
        most = d;
        best = i;
      }
    }
    number[z(best)] = -1;
    lo = end;
  }
  for (std::ptrdiff_t i = 0; i < all; ++i)
    if (number[z(i)] == 0) {
      number[z(i)] = static_cast<std::int32_t>(inside.size());
      inside.push_back(static_cast<std::int32_t>(i));
    }
  n_ = static_cast<std::int32_t>(inside.size());
  std::vector<std::int32_t> order = minimum_degree(w, inside, number);
  ctx.poll();
  const auto neighbours = [&](const std::vector<std::int32_t>& by_step) {
    step_.assign(z(all), n_);
    for (std::int32_t s = 0; s < n_; ++s) step_[z(inside[z(by_step[z(s)])])] = s;
    std::vector<std::vector<std::int32_t>> lower(z(n_));
    for (std::int32_t s = 0; s < n_; ++s) {
      const std::int32_t v = inside[z(by_step[z(s)])];
      for (std::int64_t q = w.offsets[z(v)]; q < w.offsets[z(v) + 1]; ++q)
        if (step_[z(w.indices[z(q)])] < s) lower[z(s)].push_back(step_[z(w.indices[z(q)])]);
    }
    return lower;
  };
  // In postorder the columns of a supernode follow each other.
  const std::vector<std::int32_t> post = postorder(elimination_tree(neighbours(order)));
  std::vector<std::int32_t> sorted(z(n_));
  for (std::int32_t s = 0; s < n_; ++s) sorted[z(s)] = order[z(post[z(s)])];
  const auto lower = neighbours(sorted);
  order_.resize(z(n_));
  for (std::int32_t s = 0; s < n_; ++s) order_[z(s)] = inside[z(sorted[z(s)])];
  ctx.poll();
  symbolic(ctx, lower, limit);
}

void grounded_cholesky::symbolic(const context& ctx, const std::vector<std::vector<std::int32_t>>& lower,
                                 double limit) {
  const std::vector<std::int32_t> parent = elimination_tree(lower);
  // Entries below the diagonal of each column, the grounded row left out: row i reaches every column on the
  // way from its neighbours up to i.
  std::vector<std::int32_t> count(z(n_), 0), mark(z(n_), -1), children(z(n_), 0);
  for (std::int32_t i = 0; i < n_; ++i) {
    if (i % 1024 == 0) ctx.poll();
    mark[z(i)] = i;
    for (std::int32_t j : lower[z(i)])
      for (; mark[z(j)] != i; j = parent[z(j)]) {
        mark[z(j)] = i;
        ++count[z(j)];
      }
    if (parent[z(i)] >= 0) ++children[z(parent[z(i)])];
  }
  double least = 0;
  for (const std::int32_t c : count) least += 8.0 * c;
  // the factor, and what is passed from child to parent on the way, about half as much again
  if (!(1.5 * least <= limit)) {
    std::ostringstream text;
    text.precision(3);
    text << "the exact factorisation needs about " << 1.5e-9 * least << " GB, more than the limit of "
         << 1e-9 * limit << " GB; method='approxchol' needs a few blocks of vectors";
    throw memory_exceeded(text.str());
  }
  // Supernodes: runs of columns with the same rows, then merged with the run that follows where that brings
  // few zeros in.
  struct run {
    std::int32_t first, width, below;  // rows below the last column
    double zeros;
  };
  std::vector<run> runs;
  for (std::int32_t j = 0; j < n_; ++j) {
    if (j > 0 && parent[z(j - 1)] == j && count[z(j)] == count[z(j - 1)] - 1 && children[z(j)] == 1) {
      ++runs.back().width;
      runs.back().below = count[z(j)];
    } else {
      runs.push_back({j, 1, count[z(j)], 0});
    }
    while (runs.size() > 1) {  // the run before ends in a child of this one
      const run &a = runs[runs.size() - 2], &b = runs.back();
      if (parent[z(b.first - 1)] != b.first) break;
      // only when b is complete: its last column is j and the next one starts another run
      const bool closed = j + 1 == n_ || !(parent[z(j)] == j + 1 && count[z(j + 1)] == count[z(j)] - 1 &&
                                           children[z(j + 1)] == 1);
      if (!closed) break;
      const double width = a.width + b.width,
                   more = static_cast<double>(a.width) * (b.width + b.below - a.below),
                   zeros = a.zeros + b.zeros + more, size = width * (width + 1) / 2 + width * b.below;
      if (!(width <= 4 || (width <= 16 && zeros < 0.4 * size) || (width <= 48 && zeros < 0.1 * size) ||
            zeros < 0.05 * size))
        break;
      const run joined{a.first, a.width + b.width, b.below, zeros};
      runs.pop_back();
      runs.back() = joined;
    }
  }
  // Rows of each, from the graph and from the children.
  nodes_.reserve(runs.size());
  std::vector<std::int32_t> node_of(z(n_));
  for (std::size_t s = 0; s < runs.size(); ++s)
    for (std::int32_t j = 0; j < runs[s].width; ++j)
      node_of[z(runs[s].first + j)] = static_cast<std::int32_t>(s);
  kids_.assign(runs.size(), {});
  parent_.assign(runs.size(), -1);
  std::vector<std::int32_t> seen(z(n_) + 1, -1);
  std::ptrdiff_t at = 0;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    supernode node{runs[s].first, runs[s].width, {}, {}, at};
    const std::int32_t end = node.first + node.width;
    const auto add = [&](std::int32_t i) {
      if (i >= end && seen[z(i)] != static_cast<std::int32_t>(s)) {
        seen[z(i)] = static_cast<std::int32_t>(s);
        node.rows.push_back(i);
      }
    };
    add(n_);  // the grounded vertex is everybody's neighbour sooner or later
    for (std::int32_t j = node.first; j < end; ++j)
      for (std::int64_t q = w_.offsets[z(order_[z(j)])]; q < w_.offsets[z(order_[z(j)]) + 1]; ++q)
        add(step_[z(w_.indices[z(q)])]);
    for (const std::int32_t kid : kids_[s])
      for (const std::int32_t i : nodes_[z(kid)].rows) add(i);
    std::sort(node.rows.begin(), node.rows.end());
    if (node.rows.front() < n_) {
      parent_[s] = node_of[z(node.rows.front())];
      kids_[z(parent_[s])].push_back(static_cast<std::int32_t>(s));
    }
    const double width = node.width, rows = static_cast<double>(node.rows.size());
    entries_ += width * (width + rows);
    operations_ += width * (width + rows) * (width + rows) / 2;
    at += static_cast<std::ptrdiff_t>(node.width) *
          (node.width + static_cast<std::ptrdiff_t>(node.rows.size()));
    nodes_.push_back(std::move(node));
  }
}

// Subtrees of at most a thirty-second of the work each, so that threads are busy whatever their number.
void grounded_cholesky::divide() {
  const std::size_t count = nodes_.size();
  std::vector<double> work(count);
  std::vector<std::int32_t> first(count);  // of the subtree: a range, in postorder
  double all = 0;
  for (std::size_t s = 0; s < count; ++s) {
    const double w = nodes_[s].width, r = static_cast<double>(nodes_[s].rows.size());
    work[s] = w * (w + r) * (w + r) / 2 + 10 * (w + r);
    all += work[s];
    first[s] = static_cast<std::int32_t>(s);
    for (const std::int32_t kid : kids_[s]) {
      work[s] += work[z(kid)];
      first[s] = std::min(first[s], first[z(kid)]);
    }
  }
  part top;
  std::vector<std::int32_t> place(z(n_) + 1, -1);  // in the last part's block
  std::vector<char> below(count, 0);
  for (std::size_t s = count; s-- > 0;) {
    if (below[s]) continue;
    if (work[s] > all / 32 && !kids_[s].empty()) {
      top.nodes.push_back(static_cast<std::int32_t>(s));
      continue;
    }
    part p;
    for (std::size_t q = z(first[s]); q <= s; ++q) {
      below[q] = 1;
      p.nodes.push_back(static_cast<std::int32_t>(q));
      for (std::int32_t j = 0; j < nodes_[q].width; ++j) p.columns.push_back(nodes_[q].first + j);
    }
    p.border = nodes_[s].rows;  // whatever its subtree reaches
    std::ptrdiff_t height = 0;
    for (const std::int32_t q : p.nodes) {
      for (const std::int32_t kid : kids_[z(q)]) height -= nodes_[z(kid)].left();
      height += nodes_[z(q)].left();
      stack_ = std::max(stack_, height);
    }
    parts_.push_back(std::move(p));
  }
  std::reverse(parts_.begin(), parts_.end());
  std::reverse(top.nodes.begin(), top.nodes.end());
  for (const std::int32_t s : top.nodes)
    for (std::int32_t j = 0; j < nodes_[z(s)].width; ++j) {
      place[z(nodes_[z(s)].first + j)] = static_cast<std::int32_t>(top.columns.size());
      top.columns.push_back(nodes_[z(s)].first + j);
    }
  place[z(n_)] = static_cast<std::int32_t>(top.columns.size());
  for (part& p : parts_)
    for (std::int32_t& i : p.border) i = place[z(i)];
  parts_.push_back(std::move(top));
  std::ptrdiff_t at = 0;
  for (part& p : parts_) {
    p.at = at;
    at += p.rows();
  }
}

// Multifrontal: the front of a supernode holds the weights between its columns and rows, strictly below the
// diagonal, collected from the graph and from its children; what it leaves between its rows goes to its
// parent. Only weights are kept: a diagonal entry is the sum of its column when its turn comes.
struct grounded_cholesky::front {
  front(const context& ctx, std::size_t n, std::ptrdiff_t room) : place(n + 1, -1), stack(ctx, room) {}
  std::vector<std::int32_t> place, map;
  std::vector<double> f, scaled;
  // What supernodes of a part leave to their parents, the rows of strict lower triangles one after the other.
  // In postorder the children of the next one are on top.
  buffer<double> stack;
  std::ptrdiff_t top = 0;
};

void grounded_cholesky::factor_node(const context& ctx, std::size_t s, front& work, bool root, bool alone) {
  const auto& k = kernels::get<double>(ctx.level());
  auto& [place, map, f, scaled, stack, top] = work;
  const supernode& node = nodes_[s];
  const std::ptrdiff_t w = node.width, r = static_cast<std::ptrdiff_t>(node.rows.size()), size = w + r;
  f.assign(z(size * size), 0.0);
  for (std::ptrdiff_t i = 0; i < w; ++i) place[z(node.first + i)] = static_cast<std::int32_t>(i);
  for (std::ptrdiff_t i = 0; i < r; ++i) place[z(node.rows[z(i)])] = static_cast<std::int32_t>(w + i);
  for (std::ptrdiff_t j = 0; j < w; ++j) {
    const std::int32_t v = order_[z(node.first + j)];
    for (std::int64_t q = w_.offsets[z(v)]; q < w_.offsets[z(v) + 1]; ++q) {
      const std::int32_t i = step_[z(w_.indices[z(q)])];
      if (i > node.first + j) f[z(place[z(i)] * size + j)] += w_.values[z(q)];
    }
    if (ground_) f[z(place[z(n_)] * size + j)] += ground_[v];
  }
  if (!alone)
    for (const std::int32_t kid : kids_[s]) top -= nodes_[z(kid)].left();
  const double* u = stack.data() + top;
  for (const std::int32_t kid : kids_[s]) {
    const supernode& child = nodes_[z(kid)];
    const std::ptrdiff_t m = static_cast<std::ptrdiff_t>(child.rows.size());
    map.resize(z(m));
    for (std::ptrdiff_t i = 0; i < m; ++i) map[z(i)] = place[z(child.rows[z(i)])];
    if (alone) u = update_[z(kid)].data();
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      double* to = f.data() + map[z(i)] * size;
      for (std::ptrdiff_t j = 0; j < i; ++j) to[map[z(j)]] += *u++;
    }
    if (alone) update_[z(kid)] = {};
  }
  // Columns in panels of 32: factor the panel, then update what is right of it.
  constexpr std::ptrdiff_t panel = 32, tile = 64;
  for (std::ptrdiff_t p0 = 0; p0 < w; p0 += panel) {
    const std::ptrdiff_t p1 = std::min(p0 + panel, w), width = p1 - p0;
    for (std::ptrdiff_t j = p0; j < p1; ++j) {
      double sum = 0;
      for (std::ptrdiff_t i = j + 1; i < size; ++i) sum += f[z(i * size + j)];
      const double inverse = sum != 0 ? 1 / sum : 0;
      pivot_[z(node.first + j)] = inverse;
      for (std::ptrdiff_t i = j + 1; i < size; ++i) {
        double* row = f.data() + i * size;
        const double l = row[j] * inverse;  // w_ij / d_j
        if (l == 0) continue;
        for (std::ptrdiff_t c = j + 1; c < std::min(i, p1); ++c) row[c] += l * f[z(c * size + j)];
      }
      // the weights become multipliers only now: the loop above reads weights of rows c < i
      for (std::ptrdiff_t i = j + 1; i < size; ++i) f[z(i * size + j)] *= inverse;
    }
    if (p1 == size) continue;
    // W_ic += sum_j l_ij d_j l_cj for i > c >= p1
    const std::ptrdiff_t rest = size - p1;
    scaled.resize(z(width * rest));
    for (std::ptrdiff_t j = 0; j < width; ++j) {
      const double inverse = pivot_[z(node.first + p0 + j)], d = inverse != 0 ? 1 / inverse : 0;
      for (std::ptrdiff_t c = 0; c < rest; ++c) scaled[z(j * rest + c)] = d * f[z((p1 + c) * size + p0 + j)];
    }
    const auto strip = [&](std::ptrdiff_t c0) {
      const std::ptrdiff_t count = std::min(tile, rest - c0);
      double t[tile * panel];
      for (std::ptrdiff_t j = 0; j < width; ++j)
        std::copy_n(scaled.data() + j * rest + c0, count, t + j * count);
      k.block_combine(f.data() + (p1 + c0) * size + p0, size, width, t, count,
                      f.data() + (p1 + c0) * size + p1 + c0, size, rest - c0, true);
    };
    if (alone && rest > 4 * tile) {
      ctx.parallel_for((rest + tile - 1) / tile, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        for (std::ptrdiff_t q = lo; q < hi; ++q) strip(q * tile);
      });
    } else {
      for (std::ptrdiff_t c0 = 0; c0 < rest; c0 += tile) strip(c0);
    }
  }
  double* out = values_.data() + node.at;
  for (std::ptrdiff_t i = 0; i < size; ++i) std::copy_n(f.data() + i * size, w, out + i * w);
  if (parent_[s] >= 0) {
    if (root) update_[s] = buffer<double>(ctx, node.left());
    double* to = root ? update_[s].data() : stack.data() + top;
    for (std::ptrdiff_t i = 0; i < r; ++i) to = std::copy_n(f.data() + (w + i) * size + w, i, to);
    if (!root) top += node.left();
  }
}

void grounded_cholesky::factor(const context& ctx, const double* ground) {
  ground_ = ground;
  std::ptrdiff_t total = 0;
  for (const supernode& s : nodes_) total += s.width * (s.width + static_cast<std::ptrdiff_t>(s.rows.size()));
  if (values_.size() != total) values_ = buffer<double>(ctx, total);  // every entry is written
  pivot_.assign(z(n_), 0.0);
  update_ = std::vector<buffer<double>>(nodes_.size());
  if (parts_.empty()) divide();
  std::vector<front> work;
  for (int i = 0; i < ctx.threads(); ++i) work.emplace_back(ctx, z(n_), stack_);
  ctx.parallel_for(static_cast<std::ptrdiff_t>(parts_.size()) - 1, 1,
                   [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
                     for (std::ptrdiff_t p = lo; p < hi; ++p)
                       for (const std::int32_t s : parts_[z(p)].nodes) {
                         if (s % 64 == 0 && ctx.checkpoint(id)) return;
                         factor_node(ctx, z(s), work[z(id)], s == parts_[z(p)].nodes.back(), false);
                       }
                   });
  for (const std::int32_t s : parts_.back().nodes) {
    ctx.poll();
    factor_node(ctx, z(s), work[0], true, true);
  }
  update_.clear();
  std::vector<std::int32_t>& place = work[0].place;
  for (std::size_t p = parts_.size(); p-- > 0;) {
    part& mine = parts_[p];
    const std::int32_t inside = static_cast<std::int32_t>(mine.columns.size());
    if (p + 1 < parts_.size()) {
      const auto& border = nodes_[z(mine.nodes.back())].rows;
      for (std::size_t i = 0; i < border.size(); ++i)
        place[z(border[i])] = inside + static_cast<std::int32_t>(i);
    } else {
      place[z(n_)] = inside;
    }
    for (std::int32_t c = 0; c < inside; ++c) place[z(mine.columns[z(c)])] = c;
    for (const std::int32_t s : mine.nodes) {
      supernode& node = nodes_[z(s)];
      node.places.resize(node.rows.size());
      for (std::size_t i = 0; i < node.rows.size(); ++i) node.places[i] = place[z(node.rows[i])];
    }
  }
}

void grounded_cholesky::solve(const context& ctx, matrix_view<const double> rhs,
                              matrix_view<double> x) const {
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t b = rhs.cols, trees = static_cast<std::ptrdiff_t>(parts_.size()) - 1;
  const part& top = parts_.back();
  if (work_.size() < (top.at + top.rows() + 1) * b)
    work_ = buffer<double>(ctx, (top.at + top.rows() + 1) * b);
  const auto forward = [&](const part& p, double* y, int id) {
    for (std::size_t s = 0; s < p.columns.size(); ++s)
      std::copy_n(&rhs(order_[z(p.columns[s])], 0), b, y + static_cast<std::ptrdiff_t>(s) * b);
    double* at = y;
    std::size_t since = 0;
    for (const std::int32_t s : p.nodes) {
      if (++since % 1024 == 0 && ctx.checkpoint(id)) return;
      const supernode& node = nodes_[z(s)];
      k.front_lower(values_.data() + node.at, node.width, node.places.data(),
                    static_cast<long>(node.rows.size()), at, y, b, b);
      at += node.width * b;
    }
  };
  const auto backward = [&](const part& p, double* y, int id) {
    double* at = y + static_cast<std::ptrdiff_t>(p.columns.size()) * b;
    std::size_t since = 0;
    for (std::size_t q = p.nodes.size(); q-- > 0;) {
      if (++since % 1024 == 0 && ctx.checkpoint(id)) return;
      const supernode& node = nodes_[z(p.nodes[q])];
      at -= node.width * b;
      k.front_upper(values_.data() + node.at, pivot_.data() + node.first, node.width, node.places.data(),
                    static_cast<long>(node.rows.size()), at, y, b, b);
    }
    for (std::size_t s = 0; s < p.columns.size(); ++s)
      std::copy_n(y + static_cast<std::ptrdiff_t>(s) * b, b, &x(order_[z(p.columns[s])], 0));
  };
  double* const all = work_.data();
  ctx.parallel_for(trees, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t q = lo; q < hi; ++q) {
      const part& p = parts_[z(q)];
      double* y = all + p.at * b;
      std::fill_n(y + static_cast<std::ptrdiff_t>(p.columns.size()) * b,
                  static_cast<std::ptrdiff_t>(p.border.size()) * b, 0.0);
      forward(p, y, id);
    }
  });
  ctx.parallel_for(1, 1, [&](std::ptrdiff_t, std::ptrdiff_t, int id) {
    double* y = all + top.at * b;
    // The columns of the last part start with what the subtrees give them, on top of the right-hand side.
    std::vector<double> given(z((top.rows() + 1) * b), 0.0);
    for (std::ptrdiff_t q = 0; q < trees; ++q) {
      const part& p = parts_[z(q)];
      const double* from = all + (p.at + static_cast<std::ptrdiff_t>(p.columns.size())) * b;
      for (const std::int32_t i : p.border)
        for (std::ptrdiff_t c = 0; c < b; ++c) given[z(i * b + c)] += *from++;
    }
    std::fill_n(y + top.rows() * b, b, 0.0);
    for (std::size_t s = 0; s < top.columns.size(); ++s)
      for (std::ptrdiff_t c = 0; c < b; ++c)
        y[static_cast<std::ptrdiff_t>(s) * b + c] =
            rhs(order_[z(top.columns[s])], c) + given[s * z(b) + z(c)];
    double* at = y;
    for (const std::int32_t s : top.nodes) {
      const supernode& node = nodes_[z(s)];
      k.front_lower(values_.data() + node.at, node.width, node.places.data(),
                    static_cast<long>(node.rows.size()), at, y, b, b);
      at += node.width * b;
    }
    std::fill_n(y + top.rows() * b, b, 0.0);  // the grounded vertices
    backward(top, y, id);
  });
  ctx.parallel_for(trees, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    const double* outside = all + top.at * b;
    for (std::ptrdiff_t q = lo; q < hi; ++q) {
      const part& p = parts_[z(q)];
      double* y = all + p.at * b;
      double* to = y + static_cast<std::ptrdiff_t>(p.columns.size()) * b;
      for (const std::int32_t i : p.border) {
        std::copy_n(outside + i * b, b, to);
        to += b;
      }
      backward(p, y, id);
    }
  });
  for (std::ptrdiff_t v = 0; v < x.rows; ++v)
    if (step_[z(v)] == n_) std::fill_n(&x(v, 0), b, 0.0);
}

}  // namespace lapwing::linalg
