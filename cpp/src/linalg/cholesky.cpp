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
  std::vector<std::vector<std::int32_t>> kids(runs.size());
  parent_.assign(runs.size(), -1);
  std::vector<std::int32_t> seen(z(n_) + 1, -1);
  std::ptrdiff_t at = 0;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    supernode node{runs[s].first, runs[s].width, {}, at};
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
    for (const std::int32_t kid : kids[s])
      for (const std::int32_t i : nodes_[z(kid)].rows) add(i);
    std::sort(node.rows.begin(), node.rows.end());
    if (node.rows.front() < n_) {
      parent_[s] = node_of[z(node.rows.front())];
      kids[z(parent_[s])].push_back(static_cast<std::int32_t>(s));
    }
    const double width = node.width, rows = static_cast<double>(node.rows.size());
    entries_ += width * (width + rows);
    operations_ += width * (width + rows) * (width + rows) / 2;
    at += static_cast<std::ptrdiff_t>(node.width) *
          (node.width + static_cast<std::ptrdiff_t>(node.rows.size()));
    nodes_.push_back(std::move(node));
  }
}

// Multifrontal: the front of a supernode holds the weights between its columns and rows, strictly below the
// diagonal, collected from the graph and from its children; what it leaves between its rows goes to its
// parent. Only weights are kept: a diagonal entry is the sum of its column when its turn comes.
void grounded_cholesky::factor(const context& ctx) {
  const auto& k = kernels::get<double>(ctx.level());
  std::ptrdiff_t total = 0;
  for (const supernode& s : nodes_) total += s.width * (s.width + static_cast<std::ptrdiff_t>(s.rows.size()));
  values_.assign(z(total), 0.0);
  pivot_.assign(z(n_), 0.0);
  std::vector<std::vector<double>> update(nodes_.size());
  std::vector<std::vector<std::int32_t>> kids(nodes_.size());
  for (std::size_t s = 0; s < nodes_.size(); ++s)
    if (parent_[s] >= 0) kids[z(parent_[s])].push_back(static_cast<std::int32_t>(s));
  std::vector<std::int32_t> place(z(n_) + 1, -1);
  std::vector<double> front, scaled;
  std::vector<std::int32_t> map;
  for (std::size_t s = 0; s < nodes_.size(); ++s) {
    if (s % 64 == 0) ctx.poll();
    const supernode& node = nodes_[s];
    const std::ptrdiff_t w = node.width, r = static_cast<std::ptrdiff_t>(node.rows.size()), size = w + r;
    front.assign(z(size * size), 0.0);
    for (std::ptrdiff_t i = 0; i < w; ++i) place[z(node.first + i)] = static_cast<std::int32_t>(i);
    for (std::ptrdiff_t i = 0; i < r; ++i) place[z(node.rows[z(i)])] = static_cast<std::int32_t>(w + i);
    for (std::ptrdiff_t j = 0; j < w; ++j) {
      const std::int32_t v = order_[z(node.first + j)];
      for (std::int64_t q = w_.offsets[z(v)]; q < w_.offsets[z(v) + 1]; ++q) {
        const std::int32_t i = step_[z(w_.indices[z(q)])];
        if (i > node.first + j) front[z(place[z(i)] * size + j)] += w_.values[z(q)];
      }
    }
    for (const std::int32_t kid : kids[s]) {
      const supernode& child = nodes_[z(kid)];
      const std::ptrdiff_t m = static_cast<std::ptrdiff_t>(child.rows.size());
      map.resize(z(m));
      for (std::ptrdiff_t i = 0; i < m; ++i) map[z(i)] = place[z(child.rows[z(i)])];
      const double* u = update[z(kid)].data();
      for (std::ptrdiff_t i = 0; i < m; ++i) {
        double* to = front.data() + map[z(i)] * size;
        for (std::ptrdiff_t j = 0; j < i; ++j) to[map[z(j)]] += u[i * m + j];
      }
      update[z(kid)] = {};
    }
    // Columns in panels of 32: factor the panel, then update what is right of it.
    constexpr std::ptrdiff_t panel = 32;
    for (std::ptrdiff_t p0 = 0; p0 < w; p0 += panel) {
      const std::ptrdiff_t p1 = std::min(p0 + panel, w), width = p1 - p0;
      for (std::ptrdiff_t j = p0; j < p1; ++j) {
        double sum = 0;
        for (std::ptrdiff_t i = j + 1; i < size; ++i) sum += front[z(i * size + j)];
        const double inverse = sum > 0 ? 1 / sum : 0;
        pivot_[z(node.first + j)] = inverse;
        for (std::ptrdiff_t i = j + 1; i < size; ++i) {
          double* row = front.data() + i * size;
          const double l = row[j] * inverse;  // w_ij / d_j
          if (l == 0) continue;
          for (std::ptrdiff_t c = j + 1; c < std::min(i, p1); ++c) row[c] += l * front[z(c * size + j)];
        }
        // the weights become multipliers only now: the loop above reads weights of rows c < i
        for (std::ptrdiff_t i = j + 1; i < size; ++i) front[z(i * size + j)] *= inverse;
      }
      if (p1 == size) continue;
      // W_ic += sum_j l_ij d_j l_cj for i > c >= p1
      const std::ptrdiff_t rest = size - p1;
      scaled.resize(z(width * rest));
      for (std::ptrdiff_t j = 0; j < width; ++j) {
        const double inverse = pivot_[z(node.first + p0 + j)], d = inverse > 0 ? 1 / inverse : 0;
        for (std::ptrdiff_t c = 0; c < rest; ++c)
          scaled[z(j * rest + c)] = d * front[z((p1 + c) * size + p0 + j)];
      }
      constexpr std::ptrdiff_t tile = 64;
      for (std::ptrdiff_t c0 = 0; c0 < rest; c0 += tile) {
        const std::ptrdiff_t count = std::min(tile, rest - c0);
        double strip[tile * panel];
        for (std::ptrdiff_t j = 0; j < width; ++j)
          std::copy_n(scaled.data() + j * rest + c0, count, strip + j * count);
        k.block_combine(front.data() + (p1 + c0) * size + p0, size, width, strip, count,
                        front.data() + (p1 + c0) * size + p1 + c0, size, rest - c0, true);
      }
    }
    double* out = values_.data() + node.at;
    for (std::ptrdiff_t i = 0; i < size; ++i) std::copy_n(front.data() + i * size, w, out + i * w);
    if (parent_[s] >= 0) {
      update[s].resize(z(r * r));
      for (std::ptrdiff_t i = 0; i < r; ++i)
        std::copy_n(front.data() + (w + i) * size + w, i, update[s].data() + i * r);
    }
  }
}

void grounded_cholesky::solve(const context& ctx, matrix_view<const double> rhs,
                              matrix_view<double> x) const {
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t b = rhs.cols;
  buffer<double> y(ctx, (n_ + 1) * b, 0.0);
  std::size_t most = 0;
  for (const supernode& s : nodes_) most = std::max(most, s.rows.size() + z(s.width));
  buffer<double> t(ctx, static_cast<std::ptrdiff_t>(most) * b);
  for (std::int32_t s = 0; s < n_; ++s)
    for (std::ptrdiff_t c = 0; c < b; ++c) y[s * b + c] = rhs(order_[z(s)], c);
  std::size_t since = 0;
  for (const supernode& s : nodes_) {
    if (since++ % 256 == 0) ctx.poll();
    const std::ptrdiff_t w = s.width, r = static_cast<std::ptrdiff_t>(s.rows.size());
    const double* l = values_.data() + s.at;
    double* top = y.data() + s.first * b;
    for (std::ptrdiff_t i = 1; i < w; ++i)
      for (std::ptrdiff_t j = 0; j < i; ++j)
        for (std::ptrdiff_t c = 0; c < b; ++c) top[i * b + c] += l[i * w + j] * top[j * b + c];
    k.block_combine(l + w * w, w, w, top, b, t.data(), b, r, false);
    for (std::ptrdiff_t i = 0; i < r; ++i) {
      double* to = y.data() + s.rows[z(i)] * b;
      for (std::ptrdiff_t c = 0; c < b; ++c) to[c] += t[i * b + c];
    }
  }
  for (std::ptrdiff_t c = 0; c < b; ++c) y[n_ * b + c] = 0;  // the grounded vertices
  for (std::size_t q = nodes_.size(); q-- > 0;) {
    if (since++ % 256 == 0) ctx.poll();
    const supernode& s = nodes_[q];
    const std::ptrdiff_t w = s.width, r = static_cast<std::ptrdiff_t>(s.rows.size());
    const double* l = values_.data() + s.at;
    double* top = y.data() + s.first * b;
    for (std::ptrdiff_t i = 0; i < r; ++i) std::copy_n(y.data() + s.rows[z(i)] * b, b, t.data() + i * b);
    for (std::ptrdiff_t j = 0; j < w; ++j)
      for (std::ptrdiff_t c = 0; c < b; ++c) top[j * b + c] *= pivot_[z(s.first + j)];
    k.block_gram(l + w * w, w, w, t.data(), b, b, nullptr, r, top);
    for (std::ptrdiff_t j = w - 1; j >= 0; --j)
      for (std::ptrdiff_t i = j + 1; i < w; ++i)
        for (std::ptrdiff_t c = 0; c < b; ++c) top[j * b + c] += l[i * w + j] * top[i * b + c];
  }
  for (std::ptrdiff_t v = 0; v < x.rows; ++v)
    for (std::ptrdiff_t c = 0; c < b; ++c) x(v, c) = y[step_[z(v)] * b + c];
}

}  // namespace lapwing::linalg
