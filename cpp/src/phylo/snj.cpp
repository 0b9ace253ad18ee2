// Spectral neighbour joining without wide decompositions (Jaffe et al., "Spectral neighbor joining for
// reconstruction of latent tree models", 2021).
//
// The score of a pair of clusters is the second singular value of s(A, rest), A their union. Every cluster C
// keeps a unit vector u near the leading left one of s(C, rest) and the row g = u^T s(C, .). The two rows of
// a pair, over the columns outside of it, are an orthonormal compression of s(A, rest): their second singular
// value is a lower bound of the score. Exact scores are computed only for the pair whose bound is the least
// of all, about once a join; they stay valid as long as both clusters live.
//
// A bound from above spares most of those of large clusters. With E_C = (1 - u u^T) s(C, rest) and the rows
// of a pair C, X rotated so that the second is as short as it can be, s(A, rest) less its part along the
// first has the square (as an operator) E_C^T E_C + E_X^T E_X + g g^T, g the second row, in the columns
// outside of A: its norm, and so the score, is at most (|E_C|^2 + |E_X|^2 + bound^2)^1/2. Where that is below
// all other bounds the pair is joined without its score.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "../linalg/small.hpp"
#include "dense_block.hpp"

namespace lapwing::phylo {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::ptrdiff_t small = 48;  // sides up to which the Gram matrix is decomposed

// Square of the second singular value of two rows with squares a, c and product b, less `noise` (a + c).
double second_square(double a, double b, double c, double noise) {
  const double half = (a - c) / 2, first = (a + c) / 2 + std::sqrt(half * half + b * b);
  return first > 0 ? std::max(0.0, (a * c - b * b) / first - noise * (a + c)) : 0;
}

class spectral_joiner {
 public:
  spectral_joiner(const context& ctx, matrix_view<const double> s, rank_one_criterion criterion)
      : ctx_(ctx),
        kernel_(kernels::get<double>(ctx.level())),
        s_(s),
        criterion_(criterion),
        m_(s.rows),
        size_(m_),
        active_(m_) {
    const std::size_t n = at(m_);
    stride_ = round_up(m_, kernels::column_padding);
    gram_ = buffer<double>(ctx, m_ * m_);
    gram(ctx, s, {gram_.data(), m_, m_});
    score_ = buffer<double>(ctx, m_ * m_);
    exact_ = buffer<std::uint8_t>(ctx, m_ * m_, 0);
    rows_ = buffer<double>(ctx, round_up(m_, kernels::rows_per_block) * stride_, 0.0);
    least_.assign(n, infinity);
    where_.assign(n, -1);
    node_.resize(n);
    leaves_.resize(n);
    u_.resize(n);
    square_.resize(n);
    rest_.assign(n, 0.0);
    for (std::ptrdiff_t i = 0; i < m_; ++i) {
      node_[at(i)] = static_cast<std::int32_t>(i);
      leaves_[at(i)] = {static_cast<std::int32_t>(i)};
      u_[at(i)] = {1.0};
      set_row(i);
    }
    tree_.parent.assign(at(2 * m_ - 2), -1);
    tree_.length.assign(tree_.parent.size(), 0.0);
  }

  joined_tree run() {
    if (active_ > 3) {
      ctx_.parallel_for(m_, 16, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        for (std::ptrdiff_t i = lo; i < hi; ++i) {
          for (std::ptrdiff_t j = 0; j < i; ++j) {
            const double x = s_(i, j), xx = x * x, si = s_(i, i), sj = s_(j, j);
            const double a = g(i, i) - si * si - xx, c = g(j, j) - sj * sj - xx,
                         b = g(i, j) - si * x - x * sj;
            score_[i * m_ + j] = of_two(a + c, second_square(a, b, c, 1e-13));
          }
          find_least(i);
        }
      });
    }
    std::int32_t next = static_cast<std::int32_t>(m_);
    for (; active_ > 3; ++next) {
      ctx_.poll();
      const auto [j, i] = search();
      merge(j, i, next);
      if (active_ * 4 <= size_ * 3) compact();
    }
    if (m_ == 2) {
      tree_.parent = {2, 2, -1};
      tree_.length = {0, 0, 0};
      return std::move(tree_);
    }
    for (std::ptrdiff_t i = 0; i < size_; ++i)
      if (alive(i)) tree_.parent[at(node_[at(i)])] = next;
    return std::move(tree_);
  }

 private:
  static std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }
  bool alive(std::ptrdiff_t i) const { return node_[at(i)] >= 0; }
  // The criterion for squares of which there are two, from their sum and the smaller one. It grows with every
  // singular value, so that for a compression it is a lower bound.
  double of_two(double sum, double second) const {
    if (criterion_ != rank_one_criterion::quartets) return std::sqrt(second);
    return sum > 0 ? 2 * (sum - second) * second / sum : 0;
  }
  double g(std::ptrdiff_t i, std::ptrdiff_t j) const { return gram_[i * m_ + j]; }
  double* row(std::ptrdiff_t i) { return rows_.data() + i * stride_; }

  // u^T s(C, .), 0 in the columns of C, and its square
  void set_row(std::ptrdiff_t i) {
    double* to = row(i);
    std::fill_n(to, stride_, 0.0);
    const auto& in = leaves_[at(i)];
    for (std::size_t x = 0; x < in.size(); ++x) {
      const double* from = &s_(in[x], 0);
      const double factor = u_[at(i)][x];
      for (std::ptrdiff_t j = 0; j < m_; ++j) to[j] += factor * from[j];
    }
    clear_own(i);
  }
  void clear_own(std::ptrdiff_t i) {
    double* to = row(i);
    for (const std::int32_t leaf : leaves_[at(i)]) to[leaf] = 0;
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < m_; ++j) sum += to[j] * to[j];
    square_[at(i)] = sum;
  }

  void find_least(std::ptrdiff_t i) {
    double best = infinity;
    std::ptrdiff_t place = -1;
    const double* row = score_.data() + i * m_;
    for (std::ptrdiff_t j = 0; j < i; ++j)
      if (row[j] < best && alive(j)) {
        best = row[j];
        place = j;
      }
    least_[at(i)] = best;
    where_[at(i)] = place;
  }

  std::pair<std::ptrdiff_t, std::ptrdiff_t> search() {
    for (;;) {
      std::tuple<double, std::ptrdiff_t, std::ptrdiff_t> best{infinity, -1, -1};
      double others = infinity;  // the least of the rows but the best one's
      for (std::ptrdiff_t i = 0; i < size_; ++i)
        if (alive(i) && where_[at(i)] >= 0) {
          const auto here = std::tuple(least_[at(i)], where_[at(i)], i);
          others = std::min(others, std::get<0>(std::max(best, here)));
          best = std::min(best, here);
        }
      const auto [value, j, i] = best;
      check(i >= 0, "s has scores that are not finite");
      const std::ptrdiff_t place = i * m_ + j;
      if (exact_[place]) return {j, i};
      if (criterion_ != rank_one_criterion::quartets &&
          leaves_[at(i)].size() + leaves_[at(j)].size() > at(small)) {
        const double most = upper(i, j);
        for (std::ptrdiff_t k = 0; k < i; ++k)
          if (k != j && alive(k)) others = std::min(others, score_[i * m_ + k]);
        if (most < others) return {j, i};
      }
      exact_[place] = 1;
      score_[place] = std::max(value, exact(i, j));
      ++tree_.scanned;
      find_least(i);
    }
  }

  // The rows of a pair over the columns outside of it: their squares and product.
  struct pair_rows {
    double a = 0, b = 0, c = 0;
  };
  pair_rows compressed(std::ptrdiff_t i, std::ptrdiff_t j) {
    const double *x = row(i), *y = row(j);
    pair_rows r{square_[at(i)], 0, square_[at(j)]};
    for (std::ptrdiff_t k = 0; k < m_; ++k) r.b += x[k] * y[k];  // each is 0 in its own columns
    for (const std::int32_t leaf : leaves_[at(j)]) r.a -= x[leaf] * x[leaf];
    for (const std::int32_t leaf : leaves_[at(i)]) r.c -= y[leaf] * y[leaf];
    return r;
  }
  double noise() const { return 1e-13 * (1 + 1e-2 * static_cast<double>(m_)); }
  double upper(std::ptrdiff_t i, std::ptrdiff_t j) {
    const pair_rows r = compressed(i, j);
    const double square = second_square(r.a, r.b, r.c, -noise());
    return std::sqrt(square + rest_[at(i)] * rest_[at(i)] + rest_[at(j)] * rest_[at(j)]);
  }

  // The score of a pair. For more than two leaves the leading vector on them (those of j, then those of i)
  // is kept until one of the two is joined.
  double exact(std::ptrdiff_t i, std::ptrdiff_t j) {
    std::vector<std::int32_t> in = leaves_[at(j)];
    in.insert(in.end(), leaves_[at(i)].begin(), leaves_[at(i)].end());
    const std::ptrdiff_t p = static_cast<std::ptrdiff_t>(in.size());
    if (p == 2) {  // by the part of one row that is orthogonal to the other: no digits are lost
      const double *x = &s_(in[1], 0), *y = &s_(in[0], 0);
      double a = 0, b = 0;
      const auto inside = [&](std::ptrdiff_t k) { return k == in[0] || k == in[1]; };
      for (std::ptrdiff_t k = 0; k < m_; ++k) {
        if (inside(k)) continue;
        a += x[k] * x[k];
        b += x[k] * y[k];
      }
      if (a == 0) return 0;
      double c = 0, r = 0;
      for (std::ptrdiff_t k = 0; k < m_; ++k) {
        if (inside(k)) continue;
        const double z = y[k] - b / a * x[k];
        r += z * z;
        c += y[k] * y[k];
      }
      const double half = (a - c) / 2, first = (a + c) / 2 + std::sqrt(half * half + b * b);
      return of_two(a + c, a * r / first);  // a r = a c - b^2
    }
    std::vector<char> member(at(m_), 0);
    for (const std::int32_t leaf : in) member[at(leaf)] = 1;
    std::vector<std::int32_t> out;
    for (std::ptrdiff_t k = 0; k < m_; ++k)
      if (!member[at(k)]) out.push_back(static_cast<std::int32_t>(k));
    std::vector<double>& lead = leading_[{node_[at(j)], node_[at(i)]}];
    const bool swapped = out.size() < in.size();
    const auto& rows = swapped ? out : in;
    const auto& cols = swapped ? in : out;
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(rows.size());
    if (size > small) {
      two_vectors v;
      const dense_block block(ctx_, s_, rows, cols);
      const two_values values = largest_two(ctx_, block, &v);
      lead = std::move(swapped ? v.right : v.left);
      if (criterion_ == rank_one_criterion::second) return values.second;
      double all = 0, fourth = 0;
      for (std::ptrdiff_t x = 0; x < block.rows(); ++x)
        for (std::ptrdiff_t y = 0; y < block.cols(); ++y) all += block(x, y) * block(x, y);
      if (criterion_ == rank_one_criterion::residual)
        return std::sqrt(std::max(0.0, all - values.first * values.first));
      std::vector<double> products(at(size * size));
      block.squares(ctx_, {products.data(), size, size});
      for (const double x : products) fourth += x * x;
      return all > 0 ? std::max(0.0, all * all - fourth) / all : 0;
    }
    // s(A, rest) s(A, rest)^T = G(A, A) - s(A, A) s(A, A)
    std::vector<double> own(at(size * size)), gram(own.size());
    for (std::ptrdiff_t x = 0; x < size; ++x)
      for (std::ptrdiff_t y = 0; y < size; ++y) own[at(x * size + y)] = s_(rows[at(x)], rows[at(y)]);
    for (std::ptrdiff_t x = 0; x < size; ++x)
      for (std::ptrdiff_t y = 0; y <= x; ++y) {
        double sum = 0;
        for (std::ptrdiff_t z = 0; z < size; ++z) sum += own[at(x * size + z)] * own[at(y * size + z)];
        gram[at(x * size + y)] = gram[at(y * size + x)] = g(rows[at(x)], rows[at(y)]) - sum;
      }
    const linalg::symmetric_eigenpairs e = linalg::symmetric_eigen(gram, size);
    lead.assign(at(size), 0.0);
    for (std::ptrdiff_t x = 0; x < size; ++x) lead[at(x)] = e.vectors[at(x * size + size - 1)];
    if (swapped) {
      std::vector<double> across(at(p), 0.0);
      double norm = 0;
      for (std::ptrdiff_t y = 0; y < p; ++y) {
        for (std::ptrdiff_t x = 0; x < size; ++x) across[at(y)] += s_(in[at(y)], out[at(x)]) * lead[at(x)];
        norm += across[at(y)] * across[at(y)];
      }
      for (double& w : across) w = norm > 0 ? w / std::sqrt(norm) : 0;
      lead.swap(across);
      if (norm == 0) lead[0] = 1;
    }
    if (size == 1) return 0;
    if (criterion_ == rank_one_criterion::second) return std::sqrt(std::max(0.0, e.values[at(size - 2)]));
    double all = 0, rest = 0, fourth = 0;
    for (std::ptrdiff_t x = 0; x < size; ++x) {
      const double value = std::max(0.0, e.values[at(x)]);
      all += value;
      rest += x + 1 < size ? value : 0;
      fourth += value * value;
    }
    if (criterion_ == rank_one_criterion::residual) return std::sqrt(rest);
    return all > 0 ? std::max(0.0, all * all - fourth) / all : 0;
  }

  // i into j, j < i: j stands for the new cluster
  void merge(std::ptrdiff_t j, std::ptrdiff_t i, std::int32_t node) {
    const std::pair<std::int32_t, std::int32_t> key{node_[at(j)], node_[at(i)]};
    const auto known = leading_.find(key);
    const double score = score_[i * m_ + j], most = known == leading_.end() ? upper(i, j) : 0;
    tree_.parent[at(node_[at(j)])] = tree_.parent[at(node_[at(i)])] = node;
    node_[at(i)] = -1;
    node_[at(j)] = node;
    --active_;
    auto& in = leaves_[at(j)];
    const auto& more = leaves_[at(i)];
    if (known != leading_.end()) {
      in.insert(in.end(), more.begin(), more.end());
      u_[at(j)] = std::move(known->second);
      set_row(j);
      // what the vector lacks of the leading one, and the digits that the Gram matrix has lost
      rest_[at(j)] = std::sqrt(score * score + 1e-11 * square_[at(j)]);
    } else {  // the leading direction of the two compressed rows outside of both
      double *x = row(j), *y = row(i);
      for (const std::int32_t leaf : in) y[leaf] = 0;
      for (const std::int32_t leaf : more) x[leaf] = 0;
      double a = 0, b = 0, c = 0;
      for (std::ptrdiff_t k = 0; k < m_; ++k) {
        a += x[k] * x[k];
        b += x[k] * y[k];
        c += y[k] * y[k];
      }
      const double angle = 0.5 * std::atan2(2 * b, a - c), first = std::cos(angle), second = std::sin(angle);
      for (double& w : u_[at(j)]) w *= first;
      for (const double w : u_[at(i)]) u_[at(j)].push_back(w * second);
      in.insert(in.end(), more.begin(), more.end());
      for (std::ptrdiff_t k = 0; k < m_; ++k) x[k] = first * x[k] + second * y[k];
      clear_own(j);
      rest_[at(j)] = most;
    }
    std::erase_if(leading_, [&](const auto& entry) {
      const auto [p, q] = entry.first;
      return p == key.first || p == key.second || q == key.first || q == key.second;
    });
    leaves_[at(i)].clear();
    u_[at(i)].clear();
    std::fill_n(row(i), stride_, 0.0);
    bounds(j);
    if (j > 0) find_least(j);
    for (std::ptrdiff_t k = j + 1; k < size_; ++k) {
      if (!alive(k)) continue;
      if (where_[at(k)] == j || where_[at(k)] == i)
        find_least(k);
      else if (std::tuple(score_[k * m_ + j], j) < std::tuple(least_[at(k)], where_[at(k)])) {
        least_[at(k)] = score_[k * m_ + j];
        where_[at(k)] = j;
      }
    }
  }

  // Lower bounds of all pairs with a new cluster.
  void bounds(std::ptrdiff_t c) {
    constexpr std::ptrdiff_t block = kernels::rows_per_block;
    const double* own = row(c);
    const auto& mine = leaves_[at(c)];
    ctx_.parallel_for(size_, 16 * block, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      double dots[block];
      for (std::ptrdiff_t first = lo; first < hi; first += block) {
        std::fill_n(dots, block, 0.0);
        kernel_.dot_rows(row(first), stride_, block * stride_, own, stride_, 1, stride_, dots, 1);
        for (std::ptrdiff_t x = first; x < std::min(hi, first + block); ++x) {
          if (x == c || !alive(x)) continue;
          double a = 0, b = 0;
          for (const std::int32_t leaf : mine) b += row(x)[leaf] * row(x)[leaf];
          for (const std::int32_t leaf : leaves_[at(x)]) a += own[leaf] * own[leaf];
          const double bound =
              second_square(square_[at(c)] - a, dots[x - first], square_[at(x)] - b, noise());
          const std::ptrdiff_t place = std::max(x, c) * m_ + std::min(x, c);
          score_[place] = of_two(square_[at(c)] - a + square_[at(x)] - b, bound) * (1 - 1e-9);
          exact_[place] = 0;
        }
      }
    });
  }

  // Living clusters to the front, in their order.
  void compact() {
    std::vector<std::ptrdiff_t> kept, place(at(size_), -1);
    for (std::ptrdiff_t i = 0; i < size_; ++i)
      if (alive(i)) {
        place[at(i)] = static_cast<std::ptrdiff_t>(kept.size());
        kept.push_back(i);
      }
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(kept.size());
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::ptrdiff_t from = kept[at(i)];
      for (std::ptrdiff_t j = 0; j < i; ++j) {
        score_[i * m_ + j] = score_[from * m_ + kept[at(j)]];
        exact_[i * m_ + j] = exact_[from * m_ + kept[at(j)]];
      }
      if (from == i) continue;
      std::copy_n(row(from), stride_, row(i));
      std::fill_n(row(from), stride_, 0.0);
      least_[at(i)] = least_[at(from)];
      where_[at(i)] = where_[at(from)];
      node_[at(i)] = node_[at(from)];
      node_[at(from)] = -1;
      square_[at(i)] = square_[at(from)];
      rest_[at(i)] = rest_[at(from)];
      leaves_[at(i)].swap(leaves_[at(from)]);
      u_[at(i)].swap(u_[at(from)]);
    }
    for (std::ptrdiff_t i = 0; i < n; ++i)
      if (where_[at(i)] >= 0) where_[at(i)] = place[at(where_[at(i)])];
    size_ = n;
  }

  const context& ctx_;
  const kernels::table<double>& kernel_;
  matrix_view<const double> s_;
  rank_one_criterion criterion_;
  std::ptrdiff_t m_, size_, active_, stride_ = 0;
  buffer<double> gram_, score_, rows_;
  buffer<std::uint8_t> exact_;
  std::vector<double> least_, square_;
  std::vector<double> rest_;                                                      // not below |E_C|
  std::map<std::pair<std::int32_t, std::int32_t>, std::vector<double>> leading_;  // of scored pairs of nodes
  std::vector<std::ptrdiff_t> where_;
  std::vector<std::int32_t> node_;
  std::vector<std::vector<std::int32_t>> leaves_;
  std::vector<std::vector<double>> u_;
  joined_tree tree_;
};

}  // namespace

joined_tree spectral_join(const context& ctx, matrix_view<const double> s, rank_one_criterion criterion) {
  check(s.rows == s.cols, "s must be square, got ", s.rows, " x ", s.cols);
  check(s.rows >= 2, "s must have at least 2 rows, got ", s.rows);
  for (std::ptrdiff_t i = 0; i < s.rows; ++i)
    for (std::ptrdiff_t j = 0; j < s.cols; ++j)
      check(std::isfinite(s(i, j)), "s must be finite, but s(", i, ", ", j, ") is ", s(i, j));
  return spectral_joiner(ctx, s, criterion).run();
}

}  // namespace lapwing::phylo
