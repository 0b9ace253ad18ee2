// The tree of few leaves that fits its quartets best, by dynamic programming over sets of leaves. (Ben-Dor,
// Chor, Graur, Ophir and Pelleg, "Constructing phylogenies from quartets", 1998.)
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <lapwing/error.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <vector>

namespace lapwing::phylo {
namespace {

using set = std::uint32_t;
constexpr std::size_t some(std::ptrdiff_t n) { return static_cast<std::size_t>(n); }

class quartets {
 public:
  quartets(const context& ctx, matrix_view<const double> s) : m_(s.rows), s_(s), sums_(some(m_ * m_)) {
    const set all = (set{1} << m_) - 1;
    ctx.parallel_for(m_, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t a = lo; a < hi; ++a)
        for (std::ptrdiff_t b = a + 1; b < m_; ++b) {
          // of a set: the sum of the set without its first leaf, and the pairs of that leaf with the others
          std::vector<double>& sum = sums_[some(a * m_ + b)];
          sum.assign(some(all) + 1, 0.0);
          const set ends = set{1} << a | set{1} << b;
          for (set c = 1; c <= all; ++c) {
            if (c & ends) continue;
            const set rest = c & (c - 1);
            double more = 0;
            for (set d = rest; d; d &= d - 1) more += weight(a, b, std::countr_zero(c), std::countr_zero(d));
            sum[c] = sum[rest] + more;
          }
        }
    });
  }

  // Of a node that joins three sets of leaves: the quartets that have two leaves in one of them and one in
  // each of the others. Every quartet of a tree is met at two of its nodes.
  double around(set a, set b, set c) const { return between(a, b, c) + between(a, c, b) + between(b, c, a); }

 private:
  double weight(std::ptrdiff_t a, std::ptrdiff_t b, std::ptrdiff_t c, std::ptrdiff_t d) const {
    return s_(a, b) * s_(c, d) - std::max(s_(a, c) * s_(b, d), s_(a, d) * s_(b, c));
  }
  double between(set one, set two, set pairs) const {
    double sum = 0;
    for (set a = one; a; a &= a - 1)
      for (set b = two; b; b &= b - 1) {
        const std::ptrdiff_t i = std::countr_zero(a), j = std::countr_zero(b);
        sum += sums_[some(std::min(i, j) * m_ + std::max(i, j))][pairs];
      }
    return sum;
  }

  std::ptrdiff_t m_;
  matrix_view<const double> s_;
  std::vector<std::vector<double>> sums_;  // of a pair ab: over all pairs cd of a set, the weight of ab | cd
};

}  // namespace

joined_tree quartet_tree(const context& ctx, matrix_view<const double> s) {
  const std::ptrdiff_t m = s.rows;
  check(s.cols == m, "s must be square, got ", m, " x ", s.cols);
  check(m >= 2 && m <= most_quartet_leaves, "s must have 2 to ", most_quartet_leaves, " rows, got ", m);
  for (std::ptrdiff_t i = 0; i < m; ++i)
    for (std::ptrdiff_t j = 0; j < m; ++j)
      check(std::isfinite(s(i, j)), "s must be finite, but s(", i, ", ", j, ") is ", s(i, j));
  joined_tree tree;
  tree.parent.assign(m == 2 ? 3 : some(2 * m - 2), static_cast<std::int32_t>(m));
  tree.length.assign(tree.parent.size(), 0.0);
  tree.parent.back() = -1;
  if (m <= 3) return tree;

  // As seen from leaf 0: the best way to divide each set of the other leaves.
  const quartets q(ctx, s);
  const set all = (set{1} << m) - 1;
  std::vector<double> best(some(all) + 1, 0.0);
  std::vector<set> half(best.size(), 0);
  std::vector<std::vector<set>> of_size(some(m));
  for (set x = 2; x <= all; x += 2) of_size[some(std::popcount(x))].push_back(x);
  for (std::ptrdiff_t size = 2; size < m; ++size) {
    const auto& list = of_size[some(size)];
    ctx.poll();
    ctx.parallel_for(static_cast<std::ptrdiff_t>(list.size()), 16,
                     [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
                       for (std::ptrdiff_t i = lo; i < hi; ++i) {
                         if (ctx.checkpoint(worker)) return;
                         const set x = list[some(i)], first = x & -x, rest = x ^ first;
                         double top = -std::numeric_limits<double>::infinity();
                         for (set b = rest; b; b = (b - 1) & rest) {
                           const set a = x ^ b;
                           const double value = best[a] + best[b] + q.around(a, b, all ^ x);
                           if (value > top) {
                             top = value;
                             half[x] = a;
                           }
                         }
                         best[x] = top;
                       }
                     });
  }
  // Inner nodes get their numbers after those below them.
  struct open {
    set leaves;
    bool done;
  };
  std::vector<open> work{{all ^ 1, false}};
  std::vector<std::int32_t> found;  // nodes that have no parent yet
  std::int32_t next = static_cast<std::int32_t>(m);
  while (!work.empty()) {
    const open at = work.back();
    work.pop_back();
    if (std::popcount(at.leaves) == 1) {
      found.push_back(std::countr_zero(at.leaves));
    } else if (!at.done) {
      work.push_back({at.leaves, true});
      work.push_back({at.leaves ^ half[at.leaves], false});
      work.push_back({half[at.leaves], false});
    } else {
      for (int side = 0; side < 2; ++side) {
        tree.parent[some(found.back())] = next;
        found.pop_back();
      }
      found.push_back(next++);
    }
  }
  tree.parent[0] = found.back();
  return tree;
}

}  // namespace lapwing::phylo
