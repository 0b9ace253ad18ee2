// Neighbour joining, exact, without looking at most of the matrix.
//
// The pair that is joined has the least q_ij = d_ij - (u_i + u_j), u = r / (k - 2). A row (its part below the
// diagonal) that was searched at some time had the least value b_i = min_j (d_ij - u_j). Until now no u_j has
// risen by more than the sum, over the steps since, of the largest rise in each, so that b_i less that sum
// less u_i is a lower bound of the row. The best q of the pairs remembered for all rows is an upper bound of
// the minimum: only rows whose lower bound does not exceed it are searched again. The idea of keeping row
// minima is that of dynamic neighbour joining (Clausen 2023); this bound holds for any matrix.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <lapwing/error.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "../buffer.hpp"
#include "../kernels/table.hpp"

namespace lapwing::phylo {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::ptrdiff_t chunk = 1024;         // clusters of one step of an update
constexpr std::ptrdiff_t search_work = 32768;  // entries from which a search is worth more threads

// The part of a symmetric matrix below its diagonal. stride 0: row i holds i entries and rows follow one
// another.
struct triangle {
  double* data = nullptr;
  std::ptrdiff_t stride = 0;
  double* row(std::ptrdiff_t i) const { return data + (stride > 0 ? i * stride : i * (i - 1) / 2); }
  double& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const { return i > j ? row(i)[j] : row(j)[i]; }
};

struct candidate {
  double q = infinity;
  std::ptrdiff_t j = -1, i = -1;  // j < i
  bool operator<(const candidate& o) const { return std::tie(q, j, i) < std::tie(o.q, o.j, o.i); }
};

class joiner {
 public:
  joiner(const context& ctx, triangle d, triangle variance, std::ptrdiff_t m, bool clip)
      : ctx_(ctx),
        kernel_(kernels::get<double>(ctx.level())),
        d_(d),
        v_(variance),
        m_(m),
        size_(m),
        active_(m),
        clip_(clip) {
    const std::size_t n = static_cast<std::size_t>(m);
    r_.resize(n);
    u_.resize(n);
    entry_.resize(n);
    base_.assign(n, -infinity);
    near_.assign(n, -1);
    near_d_.assign(n, infinity);
    node_.resize(n);
    for (std::size_t i = 0; i < n; ++i) node_[i] = static_cast<std::int32_t>(i);
    tree_.parent.assign(static_cast<std::size_t>(2 * m - 2), -1);
    tree_.length.assign(tree_.parent.size(), 0.0);
  }

  joined_tree run() {
    sum_rows();
    set_criterion();
    std::int32_t next = static_cast<std::int32_t>(m_);
    for (; active_ > 3; ++next) {
      if (next % 16 == 0) ctx_.poll();
      const candidate best = search();
      merge(best.j, best.i, next);
      if (active_ * 4 <= size_ * 3) compact();
    }
    compact();
    finish(next);
    return std::move(tree_);
  }

 private:
  bool alive(std::ptrdiff_t i) const { return node_[at(i)] >= 0; }
  static std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

  // r from the matrix, when no cluster in it is dead. Rows in parts fixed by the size, the sums of the parts
  // in order.
  void sum_rows() {
    const std::ptrdiff_t parts = std::clamp<std::ptrdiff_t>(size_ / 256, 1, 16);
    buffer<double> sums(ctx_, parts * size_, 0.0);
    ctx_.parallel_for(parts, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t p = lo; p < hi; ++p) {
        double* sum = sums.data() + p * size_;
        for (std::ptrdiff_t i = part_start(p, parts); i < part_start(p + 1, parts); ++i) {
          const double* row = d_.row(i);
          double s[8] = {};
          std::ptrdiff_t j = 0;
          for (; j + 8 <= i; j += 8)
            for (std::ptrdiff_t x = 0; x < 8; ++x) s[x] += row[j + x];
          for (; j < i; ++j) s[0] += row[j];
          sum[i] += ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
          for (j = 0; j < i; ++j) sum[j] += row[j];
        }
      }
    });
    for (std::ptrdiff_t i = 0; i < size_; ++i) {
      double s = 0;
      for (std::ptrdiff_t p = 0; p < parts; ++p) s += sums[p * size_ + i];
      r_[at(i)] = s;
    }
  }
  std::ptrdiff_t part_start(std::ptrdiff_t p, std::ptrdiff_t parts) const {  // parts of about as many entries
    return static_cast<std::ptrdiff_t>(static_cast<double>(size_) *
                                       std::sqrt(static_cast<double>(p) / static_cast<double>(parts)));
  }

  // u of the dead is -inf: their q is inf without a test
  void set_criterion() {
    const double scale = 1 / static_cast<double>(active_ - 2);
    largest_ = 0;
    for (std::ptrdiff_t i = 0; i < size_; ++i) {
      u_[at(i)] = alive(i) ? r_[at(i)] * scale : -infinity;
      if (alive(i)) largest_ = std::max(largest_, std::abs(u_[at(i)]));
    }
  }

  candidate search() {
    double best = infinity;
    for (std::ptrdiff_t i = 1; i < size_; ++i)  // the pairs that are remembered
      if (near_[at(i)] >= 0) best = std::min(best, near_d_[at(i)] - (u_[at(near_[at(i)])] + u_[at(i)]));
    // The sums behind a bound are rounded: m steps, each by less than an ulp of what is added.
    const double slack = 4e-16 * (static_cast<double>(m_) + 16) *
                         (largest_ + std::abs(risen_) + (std::isfinite(best) ? std::abs(best) : 0));
    rows_.clear();
    std::ptrdiff_t entries = 0;
    const double bar = best + slack + risen_;
    for (std::ptrdiff_t i = 1; i < size_; ++i) {
      if (base_[at(i)] - u_[at(i)] <= bar && alive(i)) {
        rows_.push_back(i);
        entries += i;
      }
    }
    tree_.scanned += static_cast<std::int64_t>(rows_.size());
    found_.assign(rows_.size(), candidate{});
    const auto look = [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t x = lo; x < hi; ++x) {
        const std::ptrdiff_t i = rows_[at(x)];
        double q = infinity;
        const double* row = d_.row(i);
        const std::ptrdiff_t j = kernel_.least_criterion(row, u_.data(), u_[at(i)], i, &q);
        near_[at(i)] = j;
        if (j < 0) {  // no living cluster before this one
          base_[at(i)] = infinity;
          near_d_[at(i)] = infinity;
          continue;
        }
        near_d_[at(i)] = row[j];
        base_[at(i)] = q + u_[at(i)] + risen_;
        found_[at(x)] = {q, j, i};
      }
    };
    const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(rows_.size());
    if (entries >= search_work)
      ctx_.parallel_for(count, std::max<std::ptrdiff_t>(1, 8192 / (entries / count + 1)), look);
    else
      look(0, count, 0);
    candidate least;
    for (const candidate& c : found_) least = std::min(least, c);
    check(least.j >= 0, "the distances are too large: their sums overflow");
    return least;
  }

  // b into a, a < b: a stands for the new cluster
  void merge(std::ptrdiff_t a, std::ptrdiff_t b, std::int32_t node) {
    const double dab = d_(b, a), k = static_cast<double>(active_);
    double la = dab / 2 + (r_[at(a)] - r_[at(b)]) / (2 * (k - 2)), lb = dab - la;
    double lambda = 0.5;
    if (v_.data) {
      const double vab = v_(b, a);
      if (vab > 0) {
        double sum = 0;
        for (std::ptrdiff_t c = 0; c < size_; ++c)
          if (c != a && c != b && alive(c)) sum += v_(b, c) - v_(a, c);
        lambda = std::clamp(0.5 + sum / (2 * (k - 2) * vab), 0.0, 1.0);
      }
      shift_[0] = -la;
      shift_[1] = -lb;
      reduced_variance_ = lambda * (1 - lambda) * vab;
    }
    weight_ = lambda;
    const bool bio = v_.data != nullptr;
    const std::ptrdiff_t chunks = (size_ + chunk - 1) / chunk;
    partial_.assign(at(2 * chunks), 0.0);
    const double scale = 1 / (k - 3);
    const std::int32_t dead = node_[at(b)];
    node_[at(b)] = -1;  // before the update: it is no cluster any more
    const auto update = [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t first = lo; first < hi; first += chunk) {
        double sum = 0, rise = -infinity;
        for (std::ptrdiff_t c = first; c < std::min(hi, first + chunk); ++c) {
          const std::ptrdiff_t ahead = c + 12;  // rows are far apart: memory is asked for early
          if (ahead < size_ && ahead > a) {
            __builtin_prefetch(d_.row(ahead) + a, 1);
            if (ahead > b) __builtin_prefetch(d_.row(ahead) + b);
          }
          if (c == a || !alive(c)) continue;
          double& ca = d_(c, a);
          const double cb = d_(c, b), before = ca;
          double now;
          if (bio) {
            now = weight_ * (before + shift_[0]) + (1 - weight_) * (cb + shift_[1]);
            double& va = v_(c, a);
            va = weight_ * va + (1 - weight_) * v_(c, b) - reduced_variance_;
          } else {
            now = (before + cb - dab) / 2;
          }
          ca = entry_[at(c)] = now;
          sum += now;
          r_[at(c)] += now - before - cb;
          rise = std::max(rise, r_[at(c)] * scale - u_[at(c)]);
        }
        partial_[at(2 * (first / chunk))] = sum;
        partial_[at(2 * (first / chunk) + 1)] = rise;
      }
    };
    if (size_ >= 4 * chunk)
      ctx_.parallel_for(size_, chunk, update);
    else
      update(0, size_, 0);
    --active_;
    double total = 0, rise = -infinity;
    for (std::ptrdiff_t x = 0; x < chunks; ++x) {
      total += partial_[at(2 * x)];
      rise = std::max(rise, partial_[at(2 * x + 1)]);
    }
    r_[at(a)] = total;
    set_criterion();
    risen_ += rise;
    base_[at(a)] = -infinity;
    near_[at(a)] = -1;
    const double shift = risen_ - u_[at(a)];
    for (std::ptrdiff_t c = a + 1; c < size_;
         ++c) {  // the new entry of the rows below; the dead do not matter
      base_[at(c)] = std::min(base_[at(c)], entry_[at(c)] + shift);
      if (near_[at(c)] == a) near_d_[at(c)] = entry_[at(c)];
    }
    if (clip_) clip(la, lb);
    record(node_[at(a)], la, node);
    record(dead, lb, node);
    node_[at(a)] = node;
  }

  static void clip(double& x, double& y) {
    if (x < 0) {
      y = std::max(0.0, y + x);
      x = 0;
    } else if (y < 0) {
      x = std::max(0.0, x + y);
      y = 0;
    }
  }

  void record(std::int32_t node, double length, std::int32_t parent) {
    tree_.parent[at(node)] = parent;
    tree_.length[at(node)] = length;
  }

  // Living clusters to the front, in their order. Their sums are made afresh: they drift by a rounding each
  // join.
  void compact() {
    std::vector<std::ptrdiff_t> kept, place(at(size_), -1);
    for (std::ptrdiff_t i = 0; i < size_; ++i)
      if (alive(i)) {
        place[at(i)] = static_cast<std::ptrdiff_t>(kept.size());
        kept.push_back(i);
      }
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(kept.size());
    for (const triangle& t : {d_, v_}) {
      if (!t.data) continue;
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        double* to = t.row(i);
        const double* from = t.row(kept[at(i)]);
        for (std::ptrdiff_t j = 0; j < i; ++j) to[j] = from[kept[at(j)]];
      }
    }
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::size_t x = at(i), y = at(kept[x]);
      r_[x] = r_[y];
      u_[x] = u_[y];
      base_[x] = base_[y];
      near_d_[x] = near_d_[y];
      near_[x] = near_[y] < 0 ? -1 : place[at(near_[y])];
      node_[x] = node_[y];
    }
    size_ = n;
    if (n < 4) return;
    sum_rows();
    double rise = 0;
    const double scale = 1 / static_cast<double>(active_ - 2);
    for (std::ptrdiff_t i = 0; i < n; ++i) rise = std::max(rise, r_[at(i)] * scale - u_[at(i)]);
    risen_ += rise;
    set_criterion();
  }

  void finish(std::int32_t root) {
    if (m_ == 2) {
      const double half = d_(1, 0) / 2;
      tree_.parent = {2, 2, -1};
      tree_.length = {half, half, 0};
      return;
    }
    const double x = d_(1, 0), y = d_(2, 0), z = d_(2, 1);
    const double length[3] = {(x + y - z) / 2, (x + z - y) / 2, (y + z - x) / 2};
    for (std::ptrdiff_t i = 0; i < 3; ++i)
      record(node_[at(i)], clip_ ? std::max(0.0, length[i]) : length[i], root);
  }

  const context& ctx_;
  const kernels::table<double>& kernel_;
  triangle d_, v_;
  std::ptrdiff_t m_, size_, active_;
  bool clip_;
  double largest_ = 0, risen_ = 0;  // largest |u|; the sum of the largest rises
  double weight_ = 0.5, reduced_variance_ = 0, shift_[2] = {};
  std::vector<double> r_, u_, base_, near_d_, partial_, entry_;
  std::vector<std::ptrdiff_t> near_, rows_;
  std::vector<candidate> found_;
  std::vector<std::int32_t> node_;
  joined_tree tree_;
};

void check_distances(matrix_view<const double> d) {
  check(d.rows == d.cols, "d must be square, got ", d.rows, " x ", d.cols);
  check(d.rows >= 2, "d must have at least 2 rows, got ", d.rows);
  for (std::ptrdiff_t i = 0; i < d.rows; ++i) {
    double nothing = 0;  // NaN if an entry is not finite
    for (std::ptrdiff_t j = 0; j < i; ++j) nothing += 0 * d(i, j);
    for (std::ptrdiff_t j = 0; nothing != 0 && j < i; ++j)
      check(std::isfinite(d(i, j)), "d must be finite, but d(", i, ", ", j, ") is ", d(i, j));
  }
}

// The columns of a large matrix touch a page for every entry: fewer and larger ones halve the time.
void ask_for_large_pages([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
  const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(p) + page - 1) / page * page,
                       last = (reinterpret_cast<std::uintptr_t>(p) + bytes) / page * page;
  if (last > first)
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);  // no matter if it fails
#endif
}

buffer<double> pack(const context& ctx, matrix_view<const double> d) {
  const std::ptrdiff_t m = d.rows;
  buffer<double> out(ctx, m * (m - 1) / 2);
  ask_for_large_pages(out.data(), static_cast<std::size_t>(out.size()) * sizeof(double));
  ctx.parallel_for(m, 64, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(lo, 1); i < hi; ++i)
      std::copy_n(&d(i, 0), i, out.data() + i * (i - 1) / 2);
  });
  return out;
}

}  // namespace

joined_tree join(const context& ctx, matrix_view<const double> d, joining kind, bool clip) {
  check_distances(d);
  buffer<double> distance = pack(ctx, d), variance;
  if (kind == joining::bionj) variance = pack(ctx, d);
  return joiner(ctx, {distance.data(), 0}, {variance.data(), 0}, d.rows, clip).run();
}

joined_tree join_in_place(const context& ctx, matrix_view<double> d, bool clip) {
  check_distances(d);
  return joiner(ctx, {d.data, d.stride}, {}, d.rows, clip).run();
}

}  // namespace lapwing::phylo
