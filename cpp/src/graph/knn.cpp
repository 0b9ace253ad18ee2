// Exact nearest neighbours. All pairs: distances in float by tiles, the best few candidates of each point
// kept, their distances computed again in double, and whatever float cannot decide searched again in double.
// Tiles of many points hold near ones, and two tiles that are too far apart need no look. Up to a few
// dimensions: a k-d tree.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/graph.hpp>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "boxes.hpp"

namespace lapwing::graph {

namespace {

using kernels::column_group;
using entry = std::pair<double, std::int32_t>;  // distance, index: compared in this order

// Squared Euclidean distance times unit^2 (a power of 2 that keeps squares in range), or 1 - cosine; in
// double, from the data as they came.
template <class T>
double exact_distance(distance metric, double unit, const T* x, const T* y, std::ptrdiff_t d) {
  if (metric == distance::euclidean) {
    double s = 0;
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      const double t = unit * static_cast<double>(x[k]) - unit * static_cast<double>(y[k]);
      s += t * t;
    }
    return s;
  }
  double xx = 0, yy = 0, xy = 0;
  for (std::ptrdiff_t k = 0; k < d; ++k) {
    const double u = unit * static_cast<double>(x[k]), v = unit * static_cast<double>(y[k]);
    xx += u * u;
    yy += v * v;
    xy += u * v;
  }
  return std::max(0.0, 1 - xy / std::sqrt(xx * yy));
}

// A power of 2 that brings the largest magnitude to about 1.
template <class T>
double power_of_two_below(matrix_view<const T> x, matrix_view<const T> y) {
  double most = 0;
  for (const auto& z : {x, y})
    for (std::ptrdiff_t i = 0; i < z.rows; ++i)
      for (std::ptrdiff_t k = 0; k < z.cols; ++k)
        most = std::max(most, std::abs(static_cast<double>(z(i, k))));
  return most > 0 ? std::exp2(-std::clamp(std::ilogb(most), -1000, 1000)) : 1.0;
}

// The k smallest entries, sorted.
class shortlist {
 public:
  shortlist(entry* at, std::ptrdiff_t k) : at_(at), k_(k) {}
  void clear() { count_ = 0; }
  bool full() const { return count_ == k_; }
  double bound() const { return full() ? at_[k_ - 1].first : std::numeric_limits<double>::infinity(); }
  void offer(entry e) {
    if (full() && !(e < at_[k_ - 1])) return;
    std::ptrdiff_t q = full() ? k_ - 1 : count_++;
    for (; q > 0 && e < at_[q - 1]; --q) at_[q] = at_[q - 1];
    at_[q] = e;
  }
  std::ptrdiff_t count() const { return count_; }

 private:
  entry* at_;
  std::ptrdiff_t k_, count_ = 0;
};

// The points as the kernels see them, before rounding: scaled and centred, or of length 1.
template <class T>
struct standard {
  matrix_view<const T> x;
  distance metric;
  double unit;
  std::vector<double> centre;
  void operator()(std::ptrdiff_t i, double* to) const {
    double scale = 1;
    if (metric == distance::cosine) {
      double square = 0;
      for (std::ptrdiff_t k = 0; k < x.cols; ++k)
        square += (unit * static_cast<double>(x(i, k))) * (unit * static_cast<double>(x(i, k)));
      scale = 1 / std::sqrt(square);
    }
    for (std::ptrdiff_t k = 0; k < x.cols; ++k)
      to[k] = (unit * static_cast<double>(x(i, k)) - centre[static_cast<std::size_t>(k)]) * scale;
  }
};

constexpr std::ptrdiff_t tile = 256, row_group = 16;  // points that share a box, as columns and as rows

// Points made ready for the kernels: in float, in an order in which near ones stand together.
struct prepared {
  std::ptrdiff_t n = 0, d = 0, padded = 0;
  std::vector<std::int32_t> order;  // where they stood
  boxes tiles, groups;
  buffer<float> rows, packed,
      half;            // half: minus half the squared length (0 for directions); -inf in the padding
  double longest = 0;  // squared length
};

// directions: d x axes, or empty: the points keep their order, and no pair is known to be far
template <class T>
prepared prepare(const context& ctx, const standard<T>& points, const std::vector<double>& directions) {
  prepared p;
  p.n = points.x.rows;
  p.d = points.x.cols;
  p.padded = round_up(p.n, tile);
  p.order.resize(static_cast<std::size_t>(p.n));
  std::iota(p.order.begin(), p.order.end(), 0);
  const std::ptrdiff_t r = std::ssize(directions) / p.d;
  {
    buffer<double> coordinates(ctx, p.n * r);
    if (r > 0)
      ctx.parallel_for(p.n, 1024, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        std::vector<double> x(static_cast<std::size_t>(p.d));
        for (std::ptrdiff_t i = lo; i < hi; ++i) {
          points(i, x.data());
          double* to = coordinates.data() + i * r;
          std::fill(to, to + r, 0.0);
          for (std::ptrdiff_t k = 0; k < p.d; ++k)
            for (std::ptrdiff_t c = 0; c < r; ++c)
              to[c] += x[static_cast<std::size_t>(k)] * directions[static_cast<std::size_t>(k * r + c)];
        }
      });
    if (r > 0) order_by_halves(p.order, coordinates.data(), r, tile, row_group);
    p.tiles = boxes(p.order, coordinates.data(), r, tile);
    p.groups = boxes(p.order, coordinates.data(), r, row_group);
  }
  p.rows = buffer<float>(ctx, p.n * p.d);
  p.packed = buffer<float>(ctx, p.d * p.padded, 0.0f);
  p.half = buffer<float>(ctx, p.padded, -std::numeric_limits<float>::infinity());
  constexpr std::ptrdiff_t group = column_group<float>, chunk = 1024;
  std::vector<double> longest(static_cast<std::size_t>((p.n + chunk - 1) / chunk), 0.0);
  ctx.parallel_for(p.n, chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    std::vector<double> x(static_cast<std::size_t>(p.d));
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      points(p.order[static_cast<std::size_t>(i)], x.data());
      double square = 0;
      for (std::ptrdiff_t k = 0; k < p.d; ++k) {
        const float v = static_cast<float>(x[static_cast<std::size_t>(k)]);
        p.rows[i * p.d + k] = v;
        p.packed[i / group * group * p.d + k * group + i % group] = v;
        square += static_cast<double>(v) * static_cast<double>(v);
      }
      p.half[i] = points.metric == distance::cosine ? 0.0f : static_cast<float>(-square / 2);
      double& most = longest[static_cast<std::size_t>(i / chunk)];
      most = std::max(most, square);
    }
  });
  for (const double v : longest) p.longest = std::max(p.longest, v);
  return p;
}

// Boxes cost a few passes over the points, nothing beside all pairs of many.
template <class T>
std::vector<double> directions_of(const standard<T>& points, std::ptrdiff_t queries) {
  const std::ptrdiff_t n = points.x.rows, d = points.x.cols;
  if (std::min(n, queries) < 8192) return {};
  return wide_directions(n, d, std::min<std::ptrdiff_t>(d, 16), std::min<std::ptrdiff_t>(n / 8, 2048),
                         points);
}

// Candidates of one thread: for every query the `keep` largest scores x.y - |x|^2/2 - |y|^2/2 (half the
// negative squared distance), ties to the lower index.
struct candidates {
  std::ptrdiff_t keep = 0;
  buffer<float> score;  // keep per query, falling
  buffer<std::int32_t> index;
  buffer<float> bound;  // the last of each: what a new one must exceed (or equal with a lower index)
  candidates() = default;
  candidates(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t padded, std::ptrdiff_t k)
      : keep(k),
        score(ctx, n * k, -std::numeric_limits<float>::infinity()),
        index(ctx, n * k, std::numeric_limits<std::int32_t>::max()),
        bound(ctx, padded, std::numeric_limits<float>::infinity()) {
    for (std::ptrdiff_t i = 0; i < n; ++i) bound[i] = -std::numeric_limits<float>::infinity();
  }
  void offer(std::ptrdiff_t i, float s, std::int32_t j) {
    float* v = score.data() + i * keep;
    std::int32_t* at = index.data() + i * keep;
    if (s < v[keep - 1] || (s == v[keep - 1] && j >= at[keep - 1])) return;
    std::ptrdiff_t q = keep - 1;
    for (; q > 0 && (s > v[q - 1] || (s == v[q - 1] && j < at[q - 1])); --q) {
      v[q] = v[q - 1];
      at[q] = at[q - 1];
    }
    v[q] = s;
    at[q] = j;
    // just below the last score: an equal one with a lower index must still be seen
    bound[i] = std::nextafter(v[keep - 1], -std::numeric_limits<float>::infinity());
  }
};

// Scores between a group of rows of q from r0 on and the columns c0 ... c0 + width - 1 of p: visit(row,
// scores).
template <class F>
void score_rows(const context& ctx, const prepared& q, std::ptrdiff_t r0, const prepared& p,
                std::ptrdiff_t c0, std::ptrdiff_t width, float* e, F&& visit) {
  const auto& k = kernels::get<float>(ctx.level());
  const float* x[kernels::most_rows];
  float f[kernels::most_rows];
  double top[kernels::most_rows];
  for (std::ptrdiff_t r = 0; r < row_group; ++r) {
    const std::ptrdiff_t row = std::min(r0 + r, q.n - 1);
    x[r] = q.rows.data() + row * q.d;
    f[r] = q.half[row];
    top[r] = -std::numeric_limits<double>::infinity();
  }
  k.logit_product(x, row_group, p.packed.data() + c0 * p.d, p.d, f, p.half.data() + c0, 1.0f, e, width, top);
  for (std::ptrdiff_t r = 0; r < std::min(row_group, q.n - r0); ++r) visit(r0 + r, e + r * width);
}

template <class T>
std::vector<double> centre_of(matrix_view<const T> points, distance metric, double unit) {
  std::vector<double> centre(static_cast<std::size_t>(points.cols), 0.0);
  if (metric == distance::euclidean)
    for (std::ptrdiff_t i = 0; i < points.rows; ++i)
      for (std::ptrdiff_t c = 0; c < points.cols; ++c)
        centre[static_cast<std::size_t>(c)] +=
            unit * static_cast<double>(points(i, c)) / static_cast<double>(points.rows);
  return centre;
}

// How far a score of row i, times 2 for Euclidean distances, may be from its exact value: the rounding of the
// points, of the sum and of the lengths.
double score_error(distance metric, double lengths, std::ptrdiff_t d) {
  const double u = std::numeric_limits<float>::epsilon() / 2;
  return u * (std::sqrt(static_cast<double>(d)) + 4) * 4 * (metric == distance::cosine ? 1.0 : lengths) +
         1e-30;
}
double score_error(distance metric, const prepared& q, const prepared& p, std::ptrdiff_t i) {
  return score_error(metric, p.longest - 2.0 * static_cast<double>(q.half[i]), p.d);
}

// Which boxes are so far apart that no score between them can be above a bound: those farther than
// reach(bound), squared, with room for all roundings.
class horizon {
 public:
  horizon(distance metric, const prepared& q, const prepared& p)
      : constant_((metric == distance::cosine ? 2.0 : 0.0) +
                  8 * score_error(metric, q.longest + p.longest, p.d)) {}
  double reach(const float* bound, std::ptrdiff_t n) const {  // of the lowest
    return constant_ - 2 * static_cast<double>(*std::min_element(bound, bound + n));
  }

 private:
  double constant_;
};

// Pairs of tiles of the same points, the first index not above the second: of each tile itself and those
// whose middles are nearest, so that bounds are close before the rest is looked at.
std::vector<std::pair<std::int32_t, std::int32_t>> near_tiles(const context& ctx, const prepared& p) {
  constexpr std::ptrdiff_t nearest = 6;
  const std::ptrdiff_t tiles = p.padded / tile, some = std::min(nearest, tiles - 1);
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs(static_cast<std::size_t>(tiles * (some + 1)));
  ctx.parallel_for(tiles, 8, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    std::vector<entry> room(static_cast<std::size_t>(some));
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      shortlist list(room.data(), some);
      for (std::ptrdiff_t j = 0; j < tiles; ++j)
        if (j != i && some > 0) list.offer({p.tiles.separation(i, p.tiles, j), static_cast<std::int32_t>(j)});
      auto* to = pairs.data() + i * (some + 1);
      to[some] = {static_cast<std::int32_t>(i), static_cast<std::int32_t>(i)};
      for (std::ptrdiff_t r = 0; r < some; ++r)
        to[r] = std::minmax(static_cast<std::int32_t>(i), room[static_cast<std::size_t>(r)].second);
    }
  });
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return pairs;
}

template <class T>
void all_pairs(const context& ctx, matrix_view<const T> queries, matrix_view<const T> points, bool same,
               distance metric, matrix_view<std::int32_t> index, matrix_view<double> value) {
  const std::ptrdiff_t n = points.rows, m = queries.rows, d = points.cols, k = index.cols;
  const std::ptrdiff_t keep = std::min(k + 8, same ? n - 1 : n);
  const double unit = power_of_two_below(points, queries);
  const standard<T> from{points, metric, unit, centre_of(points, metric, unit)};
  const std::vector<double> directions = directions_of(from, m);
  const prepared p = prepare(ctx, from, directions);
  prepared other;
  if (!same) other = prepare(ctx, standard<T>{queries, metric, unit, from.centre}, directions);
  const prepared& q = same ? p : other;
  const horizon far(metric, q, p);
  const auto& kernel = kernels::get<float>(ctx.level());
  struct scratch {
    buffer<float> e, never;
    buffer<std::int32_t> hits;
    std::vector<double> reach;
    std::vector<entry> tiles;  // distance, index
  };
  // Every pair is looked at once where queries and points are the same: each thread keeps candidates for all
  // points then, and they are merged at the end. Which thread saw what does not matter: the order is total.
  std::vector<candidates> best;
  std::vector<scratch> room;
  const std::ptrdiff_t row_tiles = q.padded / tile, column_tiles = p.padded / tile;
  for (int w = 0; w < ctx.threads(); ++w) {
    if (same || w == 0) best.emplace_back(ctx, m, q.padded, keep);
    room.push_back({buffer<float>(ctx, row_group * tile),
                    buffer<float>(ctx, tile, std::numeric_limits<float>::infinity()),
                    buffer<std::int32_t>(ctx, tile),
                    std::vector<double>(static_cast<std::size_t>(column_tiles),
                                        same ? std::numeric_limits<double>::infinity()
                                             : -std::numeric_limits<double>::infinity()),
                    {}});
  }
  // Rows of tile i and columns of tile j, whose points have no use for pairs farther than `reach`.
  const auto look = [&](std::ptrdiff_t i, std::ptrdiff_t j, double reach, scratch& s, candidates& found) {
    const bool mirror = same && i != j;
    const std::ptrdiff_t c0 = j * tile;
    const float* columns = mirror ? found.bound.data() + c0 : s.never.data();
    for (std::ptrdiff_t r0 = i * tile; r0 < std::min((i + 1) * tile, m); r0 += row_group) {
      const double most = std::max(reach, far.reach(found.bound.data() + r0, row_group));
      if (q.groups.distance(r0 / row_group, p.tiles, j) > most) continue;
      score_rows(ctx, q, r0, p, c0, tile, s.e.data(), [&](std::ptrdiff_t row, const float* z) {
        const long count = kernel.select_above(z, columns, found.bound[row], tile, s.hits.data());
        for (long h = 0; h < count; ++h) {
          const std::ptrdiff_t column = c0 + s.hits[h];
          if (column >= n || (same && column == row)) continue;
          found.offer(row, z[s.hits[h]], static_cast<std::int32_t>(column));
          if (mirror) found.offer(column, z[s.hits[h]], static_cast<std::int32_t>(row));
        }
      });
    }
  };
  const auto near = same ? near_tiles(ctx, p) : std::vector<std::pair<std::int32_t, std::int32_t>>();
  ctx.parallel_for(std::ssize(near), 4, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    for (std::ptrdiff_t t = lo; t < hi; ++t) {
      if (ctx.checkpoint(w)) return;
      const auto [i, j] = near[static_cast<std::size_t>(t)];
      look(i, j, std::numeric_limits<double>::infinity(), room[static_cast<std::size_t>(w)],
           best[static_cast<std::size_t>(w)]);
    }
  });
  // a bound that one thread has found holds for all
  if (same)
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      float most = -std::numeric_limits<float>::infinity();
      for (const candidates& c : best) most = std::max(most, c.bound[i]);
      for (candidates& c : best) c.bound[i] = most;
    }
  ctx.parallel_for(row_tiles, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    scratch& s = room[static_cast<std::size_t>(w)];
    candidates& found = best[same ? static_cast<std::size_t>(w) : 0];
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      if (ctx.checkpoint(w)) return;
      const double reach = far.reach(found.bound.data() + i * tile, tile);
      s.tiles.clear();
      for (std::ptrdiff_t j = same ? i : 0; j < column_tiles; ++j) {
        double& other_reach = s.reach[static_cast<std::size_t>(j)];  // an old one is larger, and does
        const double between = q.tiles.distance(i, p.tiles, j);
        if (between > std::max(reach, other_reach)) continue;
        if (same) other_reach = far.reach(found.bound.data() + j * tile, tile);
        const std::pair<std::int32_t, std::int32_t> pair(i, j);
        if (between <= std::max(reach, other_reach) && !std::binary_search(near.begin(), near.end(), pair))
          s.tiles.emplace_back(between, static_cast<std::int32_t>(j));
      }
      std::sort(s.tiles.begin(), s.tiles.end());  // near ones make bounds close
      for (const auto& [between, j] : s.tiles) look(i, j, s.reach[static_cast<std::size_t>(j)], s, found);
    }
  });
  // Exact distances of the candidates; what float could not decide is searched again.
  ctx.parallel_for(m, 256, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    std::vector<entry> all(static_cast<std::size_t>(keep)), chosen(static_cast<std::size_t>(keep));
    for (std::ptrdiff_t row = lo; row < hi; ++row) {
      if (ctx.checkpoint(w)) return;
      shortlist merged(all.data(), keep);
      for (const candidates& c : best)
        for (std::ptrdiff_t r = 0; r < keep; ++r)
          if (c.index[row * keep + r] != std::numeric_limits<std::int32_t>::max())
            merged.offer({-static_cast<double>(c.score[row * keep + r]), c.index[row * keep + r]});
      shortlist list(chosen.data(), keep);
      const std::ptrdiff_t i = q.order[static_cast<std::size_t>(row)];
      for (std::ptrdiff_t r = 0; r < merged.count(); ++r) {
        const std::int32_t j = p.order[static_cast<std::size_t>(all[static_cast<std::size_t>(r)].second)];
        list.offer({exact_distance(metric, unit, &queries(i, 0), &points(j, 0), d), j});
      }
      const std::ptrdiff_t others = same ? n - 1 : n;
      bool decided = merged.count() == others;  // nobody was left out
      if (!decided) {
        const double error = score_error(metric, q, p, row);
        const double worst_kept = all[static_cast<std::size_t>(merged.count() - 1)].first;  // minus a score
        const double scale = metric == distance::cosine ? 1.0 : 2.0;
        const double shift = metric == distance::cosine ? 1.0 : 0.0;  // 1 - cosine from minus the cosine
        decided = scale * worst_kept + shift > chosen[static_cast<std::size_t>(k - 1)].first + 2 * error;
      }
      if (!decided) {
        list.clear();
        shortlist again(chosen.data(), k);
        for (std::ptrdiff_t j = 0; j < n; ++j)
          if (!(same && j == i))
            again.offer({exact_distance(metric, unit, &queries(i, 0), &points(j, 0), d),
                         static_cast<std::int32_t>(j)});
      }
      for (std::ptrdiff_t r = 0; r < k; ++r) {
        index(i, r) = chosen[static_cast<std::size_t>(r)].second;
        const double v = chosen[static_cast<std::size_t>(r)].first;
        value(i, r) = metric == distance::cosine ? v : std::sqrt(v) / unit;
      }
    }
  });
}

// A k-d tree over points copied in the order of its leaves.
template <class T>
class kd_tree {
 public:
  kd_tree(matrix_view<const T> x, double unit)
      : unit_(unit), n_(x.rows), d_(x.cols), order_(static_cast<std::size_t>(x.rows)) {
    std::iota(order_.begin(), order_.end(), 0);
    points_.resize(static_cast<std::size_t>(n_ * d_));
    build(x, 0, n_);
    for (std::ptrdiff_t i = 0; i < n_; ++i)
      for (std::ptrdiff_t k = 0; k < d_; ++k)
        points_[static_cast<std::size_t>(i * d_ + k)] =
            unit * static_cast<double>(x(order_[static_cast<std::size_t>(i)], k));
  }
  const std::vector<std::int32_t>& order() const { return order_; }

  // self: the index that is not a neighbour, or -1
  void query(const double* q, std::int32_t self, shortlist& list) const {
    double offset[8] = {};
    search(0, q, self, offset, 0, list);
  }

  // visit(index, squared distance) for every point whose squared distance is at most `limit`
  template <class F>
  void within(const double* q, double limit, F&& visit) const {
    double offset[8] = {};
    collect(0, q, offset, 0, limit, visit);
  }

 private:
  struct node {
    std::int32_t axis;           // -1: a leaf
    std::int32_t lo, hi, right;  // points of a leaf; the right child (the left one follows)
    double split;
  };
  static constexpr std::ptrdiff_t leaf = 12;

  std::int32_t build(matrix_view<const T> x, std::ptrdiff_t lo, std::ptrdiff_t hi) {
    const std::int32_t me = static_cast<std::int32_t>(nodes_.size());
    nodes_.push_back({-1, static_cast<std::int32_t>(lo), static_cast<std::int32_t>(hi), -1, 0});
    if (hi - lo <= leaf) return me;
    std::ptrdiff_t axis = 0;
    double widest = -1;
    for (std::ptrdiff_t k = 0; k < d_; ++k) {
      double low = std::numeric_limits<double>::infinity(), high = -low;
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        const double v = static_cast<double>(x(order_[static_cast<std::size_t>(i)], k));
        low = std::min(low, v);
        high = std::max(high, v);
      }
      if (high - low > widest) {
        widest = high - low;
        axis = k;
      }
    }
    if (!(widest > 0)) return me;  // all points are equal
    const std::ptrdiff_t middle = (lo + hi) / 2;
    const auto before = [&](std::int32_t a, std::int32_t b) {
      return x(a, axis) != x(b, axis) ? x(a, axis) < x(b, axis) : a < b;
    };
    std::nth_element(order_.begin() + lo, order_.begin() + middle, order_.begin() + hi, before);
    const double split = unit_ * static_cast<double>(x(order_[static_cast<std::size_t>(middle)], axis));
    build(x, lo, middle);
    const std::int32_t right = build(x, middle, hi);
    nodes_[static_cast<std::size_t>(me)] = {static_cast<std::int32_t>(axis), static_cast<std::int32_t>(lo),
                                            static_cast<std::int32_t>(hi), right, split};
    return me;
  }

  // offset: distance from q to the cell along each axis; square: its squared length
  void search(std::int32_t at, const double* q, std::int32_t self, double* offset, double square,
              shortlist& list) const {
    const node& node = nodes_[static_cast<std::size_t>(at)];
    if (node.axis < 0) {
      for (std::int32_t i = node.lo; i < node.hi; ++i) {
        const double* p = points_.data() + i * d_;
        double s = 0;
        for (std::ptrdiff_t k = 0; k < d_; ++k) s += (p[k] - q[k]) * (p[k] - q[k]);
        const std::int32_t j = order_[static_cast<std::size_t>(i)];
        if (s <= list.bound() && j != self) list.offer({s, j});
      }
      return;
    }
    const double difference = q[node.axis] - node.split;
    const std::int32_t near = difference < 0 ? at + 1 : node.right,
                       far = difference < 0 ? node.right : at + 1;
    search(near, q, self, offset, square, list);
    const double before = offset[node.axis];
    const double further = square - before * before + difference * difference;
    // a little slack: `further` is a rounded sum, and ties on the border count
    if (further * (1 - 1e-12) <= list.bound()) {
      offset[node.axis] = difference;
      search(far, q, self, offset, further, list);
      offset[node.axis] = before;
    }
  }

  template <class F>
  void collect(std::int32_t at, const double* q, double* offset, double square, double limit,
               F&& visit) const {
    const node& node = nodes_[static_cast<std::size_t>(at)];
    if (node.axis < 0) {
      for (std::int32_t i = node.lo; i < node.hi; ++i) {
        const double* p = points_.data() + i * d_;
        double s = 0;
        for (std::ptrdiff_t k = 0; k < d_; ++k) s += (p[k] - q[k]) * (p[k] - q[k]);
        if (s <= limit) visit(order_[static_cast<std::size_t>(i)], s);
      }
      return;
    }
    const double difference = q[node.axis] - node.split;
    const std::int32_t near = difference < 0 ? at + 1 : node.right,
                       far = difference < 0 ? node.right : at + 1;
    collect(near, q, offset, square, limit, visit);
    const double before = offset[node.axis];
    const double further = square - before * before + difference * difference;
    if (further * (1 - 1e-12) <= limit) {
      offset[node.axis] = difference;
      collect(far, q, offset, further, limit, visit);
      offset[node.axis] = before;
    }
  }

  double unit_;
  std::ptrdiff_t n_, d_;
  std::vector<std::int32_t> order_;
  std::vector<node> nodes_;
  std::vector<double> points_;
};

template <class T>
void by_tree(const context& ctx, matrix_view<const T> queries, matrix_view<const T> points, bool same,
             matrix_view<std::int32_t> index, matrix_view<double> value) {
  const double unit = power_of_two_below(points, queries);
  const kd_tree<T> t(points, unit);
  const std::ptrdiff_t d = points.cols, k = index.cols;
  ctx.parallel_for(queries.rows, 512, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    if (ctx.checkpoint(w)) return;
    std::vector<entry> room(static_cast<std::size_t>(k));
    for (std::ptrdiff_t r = lo; r < hi; ++r) {
      const std::ptrdiff_t i = same ? t.order()[static_cast<std::size_t>(r)] : r;  // neighbours in turn
      double q[8];
      for (std::ptrdiff_t c = 0; c < d; ++c) q[c] = unit * static_cast<double>(queries(i, c));
      shortlist list(room.data(), k);
      t.query(q, same ? static_cast<std::int32_t>(i) : -1, list);
      for (std::ptrdiff_t c = 0; c < k; ++c) {
        index(i, c) = room[static_cast<std::size_t>(c)].second;
        value(i, c) = std::sqrt(room[static_cast<std::size_t>(c)].first) / unit;
      }
    }
  });
}

// For every point i, in parallel and in any order: take(i, row) with the other points within `radius`, each
// with its distance, unordered.
template <class T, class F>
void each_ball(const context& ctx, matrix_view<const T> points, double radius, const knn_options& o,
               bool by_tree, F&& take) {
  const double unit = power_of_two_below(points, points);
  const std::ptrdiff_t n = points.rows, d = points.cols;
  const bool cosine = o.metric == distance::cosine;
  const double reach = cosine ? radius : unit * radius;
  // The last word is about the distance as it is returned; squares are compared with a little slack.
  const double limit = (cosine ? reach : reach * reach) * (1 + 1e-14);
  const auto distance_of = [&](double s) { return cosine ? s : std::sqrt(s) / unit; };
  using row_t = std::vector<std::pair<std::int32_t, double>>;
  if (by_tree) {
    const kd_tree<T> t(points, unit);
    ctx.parallel_for(n, 256, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      row_t row;
      for (std::ptrdiff_t r = lo; r < hi; ++r) {
        if (ctx.checkpoint(w)) return;
        const std::ptrdiff_t i = t.order()[static_cast<std::size_t>(r)];  // neighbours in turn
        double q[8];
        for (std::ptrdiff_t c = 0; c < d; ++c) q[c] = unit * static_cast<double>(points(i, c));
        row.clear();
        t.within(q, limit, [&](std::int32_t j, double s) {
          if (j != i && distance_of(s) <= radius) row.emplace_back(j, distance_of(s));
        });
        take(i, row);
      }
    });
    return;
  }
  const standard<T> from{points, o.metric, unit, centre_of(points, o.metric, unit)};
  const prepared p = prepare(ctx, from, directions_of(from, n));
  const horizon far(o.metric, p, p);
  const auto& k = kernels::get<float>(ctx.level());
  ctx.parallel_for(n, row_group, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    const buffer<float> never(ctx, tile, std::numeric_limits<float>::infinity());
    buffer<float> e(ctx, row_group * tile), bound(ctx, row_group, std::numeric_limits<float>::infinity());
    buffer<std::int32_t> hits(ctx, tile);
    std::vector<row_t> rows(static_cast<std::size_t>(hi - lo));
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      // scores are 1 less a distance of directions, or minus half a squared distance
      const double slack = 2 * score_error(o.metric, p, p, i);
      const double least = cosine ? 1 - limit - slack : -0.5 * (limit + slack);
      bound[i - lo] = std::nextafter(static_cast<float>(least), -std::numeric_limits<float>::infinity());
    }
    const double reach = far.reach(bound.data(), hi - lo);
    for (std::ptrdiff_t c0 = 0; c0 < p.padded; c0 += tile) {
      if (ctx.checkpoint(w)) return;
      if (p.groups.distance(lo / row_group, p.tiles, c0 / tile) > reach) continue;
      score_rows(ctx, p, lo, p, c0, tile, e.data(), [&](std::ptrdiff_t row, const float* z) {
        const long found = k.select_above(z, never.data(), bound[row - lo], tile, hits.data());
        const std::ptrdiff_t i = p.order[static_cast<std::size_t>(row)];
        for (long h = 0; h < found; ++h) {
          if (c0 + hits[h] >= n || c0 + hits[h] == row) continue;
          const std::int32_t j = p.order[static_cast<std::size_t>(c0 + hits[h])];
          const double v = distance_of(exact_distance(o.metric, unit, &points(i, 0), &points(j, 0), d));
          if (v <= radius) rows[static_cast<std::size_t>(row - lo)].emplace_back(j, v);
        }
      });
    }
    for (std::ptrdiff_t row = lo; row < hi; ++row)
      take(p.order[static_cast<std::size_t>(row)], rows[static_cast<std::size_t>(row - lo)]);
  });
}

template <class T>
void check_points(matrix_view<const T> x, const char* what, distance metric) {
  check(x.rows > 0 && x.cols > 0, what, " is empty: it is ", x.rows, " x ", x.cols);
  for (std::ptrdiff_t i = 0; i < x.rows; ++i) {
    bool zero = true;
    for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
      check(std::abs(x(i, c)) <= std::numeric_limits<T>::max(), what, " must be finite; it is not at (", i,
            ", ", c, ")");
      zero = zero && x(i, c) == 0;
    }
    check(metric != distance::cosine || !zero, "the cosine needs a direction, but row ", i, " of ", what,
          " is 0");
  }
}

}  // namespace

template <class T>
void knn(const context& ctx, matrix_view<const T> queries, matrix_view<const T> points, bool same,
         const knn_options& o, matrix_view<std::int32_t> index, matrix_view<double> value) {
  check_points(points, "points", o.metric);
  if (!same) check_points(queries, "queries", o.metric);
  check(queries.cols == points.cols, "queries and points must have as many columns, got ", queries.cols,
        " and ", points.cols);
  const std::ptrdiff_t room = same ? points.rows - 1 : points.rows, k = index.cols;
  check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
  check(index.rows == queries.rows && value.rows == queries.rows && value.cols == k,
        "index and value must be ", queries.rows, " x ", k);
  const bool low = points.cols <= 8 && o.metric == distance::euclidean;
  check(o.method != search::tree || low, "the tree takes Euclidean distances in up to 8 dimensions, got ",
        points.cols);
  if (o.method == search::tree || (o.method == search::automatic && low && points.rows >= 2000))
    return by_tree(ctx, queries, points, same, index, value);
  all_pairs(ctx, queries, points, same, o.metric, index, value);
}
template void knn<float>(const context&, matrix_view<const float>, matrix_view<const float>, bool,
                         const knn_options&, matrix_view<std::int32_t>, matrix_view<double>);
template void knn<double>(const context&, matrix_view<const double>, matrix_view<const double>, bool,
                          const knn_options&, matrix_view<std::int32_t>, matrix_view<double>);

namespace {

template <class T>
bool check_radius(matrix_view<const T> points, double radius, const knn_options& o) {
  check_points(points, "points", o.metric);
  check(radius >= 0 && radius <= std::numeric_limits<double>::max(), "radius must be >= 0 and finite, got ",
        radius);
  const bool low = points.cols <= 8 && o.metric == distance::euclidean;
  check(o.method != search::tree || low, "the tree takes Euclidean distances in up to 8 dimensions, got ",
        points.cols);
  return o.method == search::tree || (o.method == search::automatic && low && points.rows >= 500);
}

}  // namespace

template <class T>
void radius_counts(const context& ctx, matrix_view<const T> points, double radius, const knn_options& o,
                   vector_view<std::int64_t> counts) {
  const bool tree = check_radius(points, radius, o);
  check(std::ssize(counts) == points.rows, "counts must have length ", points.rows, ", got ", counts.size());
  each_ball(ctx, points, radius, o, tree, [&](std::ptrdiff_t i, const auto& row) {
    counts[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(row.size());
  });
}
template void radius_counts<float>(const context&, matrix_view<const float>, double, const knn_options&,
                                   vector_view<std::int64_t>);
template void radius_counts<double>(const context&, matrix_view<const double>, double, const knn_options&,
                                    vector_view<std::int64_t>);

template <class T>
void radius_fill(const context& ctx, matrix_view<const T> points, double radius, const knn_options& o,
                 vector_view<const std::int64_t> offsets, vector_view<std::int32_t> indices,
                 vector_view<double> values) {
  const bool tree = check_radius(points, radius, o);
  check(std::ssize(offsets) == points.rows + 1 && offsets.front() == 0 &&
            offsets.back() == std::ssize(indices) && indices.size() == values.size(),
        "offsets must have length ", points.rows + 1, " and end at the length of indices and values");
  each_ball(ctx, points, radius, o, tree, [&](std::ptrdiff_t i, auto& row) {
    const std::int64_t at = offsets[static_cast<std::size_t>(i)];
    check(offsets[static_cast<std::size_t>(i) + 1] - at == std::ssize(row), "row ", i, " has ", row.size(),
          " neighbours within the radius, but offsets leave room for ",
          offsets[static_cast<std::size_t>(i) + 1] - at);
    std::sort(row.begin(), row.end());  // by index
    for (std::size_t h = 0; h < row.size(); ++h) {
      indices[static_cast<std::size_t>(at) + h] = row[h].first;
      values[static_cast<std::size_t>(at) + h] = row[h].second;
    }
  });
}
template void radius_fill<float>(const context&, matrix_view<const float>, double, const knn_options&,
                                 vector_view<const std::int64_t>, vector_view<std::int32_t>,
                                 vector_view<double>);
template void radius_fill<double>(const context&, matrix_view<const double>, double, const knn_options&,
                                  vector_view<const std::int64_t>, vector_view<std::int32_t>,
                                  vector_view<double>);

}  // namespace lapwing::graph
