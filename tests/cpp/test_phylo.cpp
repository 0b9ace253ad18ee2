// Trees from alignments and distances: small cases with known answers, the same bits for any number of
// threads, bad input.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <lapwing/error.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"

using namespace lapwing;

namespace {

context threads(int n) {
  context::options o;
  o.threads = n;
  return context(std::move(o));
}

// path lengths of a random binary tree with a root
struct random_tree {
  std::vector<std::int32_t> parent;
  std::vector<double> length;
  std::vector<double> paths;  // m x m
};
random_tree make_tree(std::int32_t m, unsigned seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  random_tree t;
  t.parent.assign(static_cast<std::size_t>(2 * m - 1), -1);
  t.length.assign(t.parent.size(), 0);
  std::vector<std::int32_t> open(static_cast<std::size_t>(m));
  std::iota(open.begin(), open.end(), 0);
  for (std::int32_t node = m; node < 2 * m - 1; ++node) {
    for (int side = 0; side < 2; ++side) {
      const std::size_t at = random() % open.size();
      t.parent[static_cast<std::size_t>(open[at])] = node;
      t.length[static_cast<std::size_t>(open[at])] = 0.05 + uniform();
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
    }
    open.push_back(node);
  }
  t.paths.assign(static_cast<std::size_t>(m * m), 0);
  for (std::int32_t i = 0; i < m; ++i) {
    std::vector<double> up(t.parent.size(), -1);
    double far = 0;
    for (std::int32_t x = i; x >= 0; x = t.parent[static_cast<std::size_t>(x)]) {
      up[static_cast<std::size_t>(x)] = far;
      far += t.length[static_cast<std::size_t>(x)];
    }
    for (std::int32_t j = 0; j < m; ++j) {
      double d = 0;
      std::int32_t x = j;
      for (; up[static_cast<std::size_t>(x)] < 0; x = t.parent[static_cast<std::size_t>(x)])
        d += t.length[static_cast<std::size_t>(x)];
      t.paths[static_cast<std::size_t>(i * m + j)] = d + up[static_cast<std::size_t>(x)];
    }
  }
  return t;
}
std::vector<double> paths_of(const phylo::joined_tree& t, std::int32_t m) {
  std::vector<double> out(static_cast<std::size_t>(m * m));
  for (std::int32_t i = 0; i < m; ++i) {
    std::vector<double> up(t.parent.size(), -1);
    double far = 0;
    for (std::int32_t x = i; x >= 0; x = t.parent[static_cast<std::size_t>(x)]) {
      up[static_cast<std::size_t>(x)] = far;
      far += t.length[static_cast<std::size_t>(x)];
    }
    for (std::int32_t j = 0; j < m; ++j) {
      double d = 0;
      std::int32_t x = j;
      for (; up[static_cast<std::size_t>(x)] < 0; x = t.parent[static_cast<std::size_t>(x)])
        d += t.length[static_cast<std::size_t>(x)];
      out[static_cast<std::size_t>(i * m + j)] = d + up[static_cast<std::size_t>(x)];
    }
  }
  return out;
}
double worst(const std::vector<double>& a, const std::vector<double>& b) {
  double w = 0;
  for (std::size_t i = 0; i < a.size(); ++i) w = std::max(w, std::abs(a[i] - b[i]));
  return w;
}

}  // namespace

TEST(joining_recovers_additive_matrices) {
  for (const std::int32_t m : {2, 3, 4, 9, 60, 200}) {
    const random_tree t = make_tree(m, static_cast<unsigned>(m));
    for (const auto kind : {phylo::joining::nj, phylo::joining::bionj}) {
      for (const int n : {1, 3}) {
        const context ctx = threads(n);
        CHECK(worst(paths_of(phylo::join(ctx, {t.paths.data(), m, m}, kind), m), t.paths) < 1e-10);
      }
    }
    std::vector<double> own = t.paths;
    CHECK(worst(paths_of(phylo::join_in_place(threads(2), {own.data(), m, m}), m), t.paths) < 1e-10);
  }
}

TEST(similarities_of_sequences) {
  const std::uint8_t x = phylo::missing;
  const std::vector<std::uint8_t> codes{0, 1, 2, 3, 0, 1, 2, 3,  //
                                        0, 1, 2, 3, 0, 1, 2, 0,  //
                                        x, x, 2, 3, 0, 1, 2, 1};
  std::vector<double> s(9);
  for (const int n : {1, 2}) {
    const auto r = phylo::similarity(threads(n), {codes.data(), 3, 8}, {}, {s.data(), 3, 3});
    CHECK(r.saturated == 0 && r.apart == 0);
    CHECK(s[0] == 1 && s[1] == s[3]);
    CHECK(std::abs(s[1] - std::pow(1 - 4.0 / 3 / 8, 3)) < 1e-15);
    CHECK(std::abs(s[2] - std::pow(1 - 4.0 / 3 / 6, 3)) < 1e-15);
  }
  std::vector<std::uint8_t> apart{0, x, x, 1};
  const auto r = phylo::similarity(threads(1), {apart.data(), 2, 2}, {}, {s.data(), 2, 2});
  CHECK(r.apart == 1 && r.first[0] == 0 && r.first[1] == 1 && s[1] == 0);
  apart[1] = 4;
  CHECK_THROWS(std::invalid_argument,
               phylo::similarity(threads(1), {apart.data(), 2, 2}, {}, {s.data(), 2, 2}), "codes(0, 1) is 4");
  CHECK_THROWS(std::invalid_argument,
               phylo::similarity(threads(1), {apart.data(), 2, 2}, {.alpha = 0}, {s.data(), 2, 2}),
               "alpha must be > 0");
}

TEST(exact_similarities_are_cut_at_an_edge_and_merged) {
  const std::int32_t m = 90;
  const random_tree t = make_tree(m, 7);
  std::vector<double> s(t.paths.size());
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = std::exp(-0.3 * t.paths[i]);
  const matrix_view<const double> view{s.data(), m, m};
  std::vector<std::int32_t> all(static_cast<std::size_t>(m));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::uint8_t> side(all.size()), again(all.size());
  const auto r = phylo::cut(threads(1), view, all, {.tol = 1e-9}, side);
  CHECK(r.sigma2 < 1e-7 * r.sigma1 && r.lambda2 > 0 && r.converged);
  phylo::cut(threads(3), view, all, {.tol = 1e-9}, again);
  CHECK(side == again);
  // four points across the cut: no similarity is mixed
  for (std::size_t a = 0; a < side.size(); a += 7)
    for (std::size_t b = 0; b < side.size(); b += 5)
      for (std::size_t c = 0; c < side.size(); c += 3) {
        if (side[a] != side[b] || side[a] == side[c]) continue;
        for (std::size_t d = 0; d < side.size(); d += 11) {
          if (side[d] != side[c]) continue;
          const auto at = [&](std::size_t i, std::size_t j) { return s[i * side.size() + j]; };
          CHECK(std::abs(at(a, c) * at(b, d) - at(a, d) * at(b, c)) < 1e-12);
        }
      }
  const auto joined = phylo::spectral_join(threads(2), view);
  CHECK(joined.parent.size() == static_cast<std::size_t>(2 * m - 2) && joined.parent.back() == -1);
}

TEST(a_leaf_belongs_where_the_tree_is_the_shortest) {
  // ((0, 1), 2, (3, 4)) with edges of length 1, and a leaf in the middle of the edge above each node
  const std::vector<std::int32_t> parent{5, 5, 7, 6, 6, 7, 7, -1}, leaves{4, 2, 0, 1, 3};
  const auto up = [&](std::int32_t x) {  // nodes above, itself first
    std::vector<std::int32_t> chain{x};
    while (parent[static_cast<std::size_t>(chain.back())] >= 0)
      chain.push_back(parent[static_cast<std::size_t>(chain.back())]);
    return chain;
  };
  const auto distance = [&](std::int32_t a, std::int32_t b) {
    const auto x = up(a), y = up(b);
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < y.size(); ++j)
        if (x[i] == y[j]) return static_cast<double>(i + j);
    return 0.0;
  };
  std::vector<double> d(25), delta(5), excess(8), again(8);
  for (std::int32_t i = 0; i < 5; ++i)
    for (std::int32_t j = 0; j < 5; ++j)
      d[static_cast<std::size_t>(5 * leaves[static_cast<std::size_t>(i)] +
                                 leaves[static_cast<std::size_t>(j)])] = distance(i, j);
  const matrix_view<const double> view{d.data(), 5, 5};
  const double no_cap = std::numeric_limits<double>::infinity();
  for (std::int32_t e = 0; e < 7; ++e) {
    for (std::int32_t i = 0; i < 5; ++i)
      delta[static_cast<std::size_t>(i)] =
          std::min(distance(i, e), distance(i, parent[static_cast<std::size_t>(e)])) + 3;
    phylo::insertion_lengths(threads(1), view, leaves, parent, delta, no_cap, excess);
    phylo::insertion_lengths(threads(3), view, leaves, parent, delta, no_cap, again);
    CHECK(excess == again);
    for (std::int32_t x = 0; x < 7; ++x)
      CHECK(x == e ? excess[static_cast<std::size_t>(x)] == 0 : excess[static_cast<std::size_t>(x)] >= 0.25);
  }
  CHECK_THROWS(std::invalid_argument,
               phylo::insertion_lengths(threads(1), view, leaves, parent, delta, -1, excess), "cap must be");
  CHECK_THROWS(std::invalid_argument,
               phylo::insertion_lengths(threads(1), view, leaves, parent, excess, no_cap, excess),
               "delta and excess");
}

TEST(sequences_without_their_matrix) {
  const std::ptrdiff_t m = 90, n = 150, split = 31;
  std::mt19937_64 random(5);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(m * n));
  for (auto& c : codes) c = static_cast<std::uint8_t>(random() % 16 < 12 ? 0 : random() % 4);
  for (std::size_t i = 0; i < codes.size(); i += 17) codes[i] = phylo::missing;
  const matrix_view<const std::uint8_t> view{codes.data(), m, n};
  std::vector<double> s(static_cast<std::size_t>(m * m)), d(s.size()),
      block(static_cast<std::size_t>((m - split) * split));
  phylo::similarity(threads(2), view, {}, {s.data(), m, m});
  phylo::similarity(threads(3), view, {.split = split}, {block.data(), m - split, split});
  for (std::ptrdiff_t i = split; i < m; ++i)
    for (std::ptrdiff_t j = 0; j < split; ++j)
      CHECK(block[static_cast<std::size_t>((i - split) * split + j)] ==
            s[static_cast<std::size_t>(i * m + j)]);
  phylo::distances(threads(1), {s.data(), m, m}, {d.data(), m, m});
  // a caterpillar whose root has two children
  std::vector<std::int32_t> parent(static_cast<std::size_t>(2 * m - 1)), leaves(static_cast<std::size_t>(m));
  std::iota(leaves.begin(), leaves.end(), 0);
  for (std::int32_t k = 0; k < m; ++k)
    parent[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(m) + std::max(0, k - 1);
  for (std::int32_t k = 0; k + 1 < m; ++k)
    parent[static_cast<std::size_t>(m + k)] = k + 2 < m ? static_cast<std::int32_t>(m) + k + 1 : -1;
  std::vector<double> delta(static_cast<std::size_t>(m)), one(parent.size()), two(parent.size()),
      three(parent.size());
  for (double& x : delta) x = static_cast<double>(random() % 100) / 50;
  phylo::insertion_lengths(threads(1), {d.data(), m, m}, leaves, parent, delta, 1.5, one);
  phylo::insertion_lengths(threads(1), view, {}, leaves, parent, delta, 1.5, two);
  phylo::insertion_lengths(threads(3), view, {}, leaves, parent, delta, 1.5, three);
  CHECK(worst(one, two) < 1e-12 && two == three);
  phylo::balanced_lengths(threads(1), view, {}, leaves, parent, 1.5, two);
  phylo::balanced_lengths(threads(3), view, {}, leaves, parent, 1.5, three);
  CHECK(two == three && two[static_cast<std::size_t>(m - 1)] == two[static_cast<std::size_t>(2 * m - 3)]);
  for (const auto criterion : {phylo::rank_one_criterion::second, phylo::rank_one_criterion::residual,
                               phylo::rank_one_criterion::quartets}) {
    const auto joined = phylo::spectral_join(threads(1), {s.data(), m, m}, criterion);
    CHECK(joined.parent == phylo::spectral_join(threads(3), {s.data(), m, m}, criterion).parent);
    CHECK(joined.parent.size() == static_cast<std::size_t>(2 * m - 2) && joined.parent.back() == -1);
  }
  CHECK_THROWS(std::invalid_argument,
               phylo::similarity(threads(1), view, {.split = m}, {block.data(), m - split, split}),
               "split must be");
}

TEST(quartets_of_exact_similarities) {
  for (const std::int32_t m : {2, 3, 4, 5, 9, 12}) {
    const random_tree t = make_tree(m, static_cast<unsigned>(100 + m));
    std::vector<double> s(t.paths.size());
    for (std::size_t i = 0; i < s.size(); ++i) s[i] = std::exp(-t.paths[i]);
    const auto found = phylo::quartet_tree(threads(1), {s.data(), m, m});
    CHECK(found.parent == phylo::quartet_tree(threads(3), {s.data(), m, m}).parent);
    // the splits of the true tree are those of the one found: least squares gives it the true lengths
    const auto joined = phylo::join(threads(1), {t.paths.data(), m, m});
    CHECK(found.parent.size() == joined.parent.size());
    if (m < 4) continue;
    const auto below = [&](const std::vector<std::int32_t>& parent) {
      std::vector<std::vector<std::int32_t>> sides(parent.size());
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(parent.size()); ++i) {
        if (i < m) sides[static_cast<std::size_t>(i)] = {i};
        std::sort(sides[static_cast<std::size_t>(i)].begin(), sides[static_cast<std::size_t>(i)].end());
        const std::int32_t p = parent[static_cast<std::size_t>(i)];
        if (p < 0) continue;
        auto& up = sides[static_cast<std::size_t>(p)];
        up.insert(up.end(), sides[static_cast<std::size_t>(i)].begin(),
                  sides[static_cast<std::size_t>(i)].end());
      }
      sides.pop_back();
      for (auto& side : sides)  // the side without leaf 0
        if (side[0] == 0) {
          std::vector<std::int32_t> all(static_cast<std::size_t>(m)), other;
          std::iota(all.begin(), all.end(), 0);
          std::set_difference(all.begin(), all.end(), side.begin(), side.end(), std::back_inserter(other));
          side = other;
        }
      std::sort(sides.begin(), sides.end());
      return sides;
    };
    CHECK(below(found.parent) == below(joined.parent));
  }
  const std::vector<double> many(17 * 17, 1.0);
  CHECK_THROWS(std::invalid_argument, phylo::quartet_tree(threads(1), {many.data(), 17, 17}),
               "s must have 2 to 16 rows");
}

TEST(floats_are_doubles_of_fewer_digits) {
  const std::int32_t m = 130;
  const random_tree t = make_tree(m, 3);
  std::vector<float> s(t.paths.size());
  for (std::size_t i = 0; i < s.size(); ++i) s[i] = static_cast<float>(std::exp(-0.2 * t.paths[i]));
  const std::vector<double> wide(s.begin(), s.end());
  std::vector<std::int32_t> all(static_cast<std::size_t>(m));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::uint8_t> one(all.size()), two(all.size());
  const auto a = phylo::cut(threads(1), {s.data(), m, m}, all, {}, one);
  const auto b = phylo::cut(threads(2), {wide.data(), m, m}, all, {}, two);
  CHECK(one == two && a.lambda2 == b.lambda2 && a.sigma2 == b.sigma2);
}

TEST(bad_input) {
  const context ctx;
  std::vector<double> d{0, 1, 1, 0};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(std::invalid_argument, phylo::join(ctx, {d.data(), 1, 1}), "at least 2 rows");
  CHECK_THROWS(std::invalid_argument, phylo::join(ctx, {d.data(), 2, 1}), "must be square");
  d[2] = nan;
  CHECK_THROWS(std::invalid_argument, phylo::join(ctx, {d.data(), 2, 2}), "must be finite");
  CHECK_THROWS(std::invalid_argument, phylo::spectral_join(ctx, {d.data(), 2, 2}), "must be finite");
  d[2] = 1;
  std::vector<std::int32_t> leaves{0, 1}, parent{2, 2, -1}, crossed{2, 0, -1};
  std::vector<double> u(2), score(3);
  CHECK_THROWS(std::invalid_argument, phylo::edge_scores(ctx, {d.data(), 2, 2}, leaves, crossed, u, score),
               "is not a later inner node");
  CHECK_THROWS(std::invalid_argument, phylo::edge_scores(ctx, {d.data(), 2, 2}, leaves, parent, score, score),
               "u and score");
  leaves[1] = 5;
  CHECK_THROWS(std::invalid_argument,
               phylo::least_squares_lengths(ctx, {d.data(), 2, 2}, leaves, parent, score),
               "leaves names row 5");
  std::vector<std::uint8_t> side(2);
  CHECK_THROWS(std::invalid_argument, phylo::cut(ctx, {d.data(), 2, 2}, leaves, {}, side),
               "part names leaf 5");
}

TEST(runs_can_be_cancelled) {
  context::options o;
  o.threads = 2;
  o.should_stop = [] { return true; };
  const context ctx(std::move(o));
  const random_tree t = make_tree(100, 1);
  CHECK_THROWS(cancelled, phylo::join(ctx, {t.paths.data(), 100, 100}), "cancelled");
}

TEST_MAIN
