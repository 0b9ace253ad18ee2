// Top-down recovery: cutting leaves in two by the Fiedler vector of their similarities, finding the edges at
// which two subtrees are joined, and least squares lengths. (Aizenbud et al., "Spectral Top-Down Recovery of
// Latent Tree Models", 2021.)
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "../linalg/small.hpp"
#include "counts.hpp"
#include "dense_block.hpp"

namespace lapwing::phylo {
namespace {

constexpr std::ptrdiff_t small = 64;  // leaves up to which all eigenpairs are computed
// up to here they are where iterations do not get there in so many products a leaf, which take as long
constexpr std::ptrdiff_t moderate = 1024, patience = 4;
constexpr std::size_t some(std::ptrdiff_t n) { return static_cast<std::size_t>(n); }

// diag(scale) (diag(degree) - S) diag(scale)
class laplacian final : public linear_operator {
 public:
  laplacian(const dense_block& s, const std::vector<double>& degree, const std::vector<double>& scale)
      : s_(s), degree_(degree), scale_(scale) {}
  std::ptrdiff_t rows() const override { return s_.rows(); }
  std::ptrdiff_t cols() const override { return s_.rows(); }
  void apply(const context& ctx, matrix_view<const double> v, matrix_view<double> out) const override {
    const std::ptrdiff_t n = rows();
    buffer<double> in(ctx, v.rows * n);
    for (std::ptrdiff_t c = 0; c < v.rows; ++c)
      for (std::ptrdiff_t i = 0; i < n; ++i) in[c * n + i] = v(c, i) * scale_[some(i)];
    s_.apply(ctx, {in.data(), v.rows, n}, out);
    for (std::ptrdiff_t c = 0; c < v.rows; ++c)
      for (std::ptrdiff_t i = 0; i < n; ++i)
        out(c, i) = (degree_[some(i)] * in[c * n + i] - out(c, i)) * scale_[some(i)];
  }
  void apply_transposed(const context& ctx, matrix_view<const double> v,
                        matrix_view<double> out) const override {
    apply(ctx, v, out);
  }
  void normal(const context& ctx, matrix_view<const double> v, matrix_view<double> out) const override {
    buffer<double> image(ctx, v.rows * rows());
    apply(ctx, v, {image.data(), v.rows, rows()});
    apply(ctx, {image.data(), v.rows, rows()}, out);
  }

 private:
  const dense_block& s_;
  const std::vector<double>&degree_, &scale_;
};

struct fiedler_pair {
  double lambda2 = 0, lambda3 = 0, residual = 0, norm = 1;
  std::vector<double> v2, v3;
  std::ptrdiff_t products = 0;
  bool converged = true;
};
void fix_sign(std::vector<double>& v) {
  double top = 0;
  for (const double x : v) top = std::max(top, std::abs(x));
  for (const double x : v)
    if (std::abs(x) >= top * (1 - 1e-6)) {
      if (x < 0)
        for (double& y : v) y = -y;
      return;
    }
}

// The eigenvectors of the two least eigenvalues of the Laplacian beyond the constant one.
fiedler_pair fiedler(const context& ctx, const dense_block& s, const cut_options& o) {
  const std::ptrdiff_t n = s.rows();
  std::vector<double> degree(some(n)), scale(some(n), 1.0), known(some(n));
  ctx.parallel_for(n, 16, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      double d = 0;
      for (std::ptrdiff_t j = 0; j < n; ++j) d += j != i ? s(i, j) : 0;
      degree[some(i)] = d;
    }
  });
  double most = 0, total = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    most = std::max(most, degree[some(i)]);
    degree[some(i)] += s(i, i);  // a loop cancels in D - S
    if (o.random_walk) scale[some(i)] = 1 / std::sqrt(degree[some(i)]);
    known[some(i)] = 1 / scale[some(i)];
    total += known[some(i)] * known[some(i)];
  }
  for (double& x : known) x /= std::sqrt(total);
  const laplacian l(s, degree, scale);
  fiedler_pair f;
  f.norm = o.random_walk ? 2 : 2 * most;
  const auto column = [&](const double* from, std::ptrdiff_t stride) {
    std::vector<double> v(some(n));
    for (std::ptrdiff_t i = 0; i < n; ++i) v[some(i)] = from[i * stride] * scale[some(i)];
    fix_sign(v);
    return v;
  };
  const auto from_all_pairs = [&] {
    std::vector<double> a(some(n * n));
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j < n; ++j)
        a[some(i * n + j)] =
            ((i == j ? degree[some(i)] : 0) - s(i, j)) * scale[some(i)] * scale[some(j)] +
            2 * f.norm * known[some(i)] * known[some(j)];  // the constant vector out of the way
    const linalg::symmetric_eigenpairs e = linalg::symmetric_eigen(a, n);
    f.lambda2 = std::max(0.0, e.values[0]);
    f.lambda3 = n > 2 ? std::max(0.0, e.values[1]) : f.norm;
    f.v2 = column(e.vectors.data(), n);
    if (n > 2) f.v3 = column(e.vectors.data() + 1, n);
    f.residual = 16 * std::numeric_limits<double>::epsilon();
    return f;
  };
  if (n <= small) return from_all_pairs();
  std::vector<double> vectors(some(2 * n));
  const linalg::eigs_result r = linalg::eigs(ctx, l, {known.data(), n, 1}, 2,
                                             {.tol = o.tol,
                                              .norm = f.norm,
                                              .width = 4,
                                              .max_products = n <= moderate ? patience * n : 20000,
                                              .verify = false},
                                             {vectors.data(), n, 2});
  check(r.values.size() == 2, "the eigensolver found no pair");
  f.products = r.products;
  if (n <= moderate && !(r.residuals[0] <= o.tol)) return from_all_pairs();
  f.lambda2 = r.values[0];
  f.lambda3 = r.values[1];
  f.residual = r.residuals[0];
  f.converged = r.residuals[0] <= o.tol;
  f.v2 = column(vectors.data(), 2);
  f.v3 = column(vectors.data() + 1, 2);
  return f;
}

// The same of the block between the leaves of the two sides.
two_values singular_values(const context& ctx, const dense_block& s, const std::vector<std::uint8_t>& side) {
  std::vector<std::int32_t> rows, cols;
  for (std::size_t i = 0; i < side.size(); ++i)
    (side[i] ? rows : cols).push_back(static_cast<std::int32_t>(i));
  if (rows.size() > cols.size()) rows.swap(cols);
  return largest_two(ctx, dense_block(ctx, s, rows, cols));
}

// Component of each leaf in the graph of s > 0; how many.
std::int32_t label_components(const dense_block& s, std::vector<std::int32_t>& label) {
  const std::ptrdiff_t n = s.rows();
  label.assign(some(n), -1);
  std::vector<std::int32_t> left(some(n)), queue;
  std::iota(left.begin(), left.end(), 0);
  std::int32_t count = 0;
  while (!left.empty()) {
    queue.assign(1, left.front());
    label[some(left.front())] = count;
    left.erase(left.begin());
    while (!queue.empty() && !left.empty()) {
      const std::int32_t i = queue.back();
      queue.pop_back();
      const auto end = std::remove_if(left.begin(), left.end(), [&](std::int32_t j) {
        if (s(i, j) <= 0) return false;
        label[some(j)] = count;
        queue.push_back(j);
        return true;
      });
      left.erase(end, left.end());
    }
    ++count;
  }
  return count;
}

struct candidate {
  std::vector<std::uint8_t> side;
  cut_kind kind;
  std::ptrdiff_t flips = 0;  // leaves on the other side than by the signs
  two_values sigma{};
};

// The cuts of one vector: by its signs and in its largest gaps. zero: entries up to this have no sign.
void add_cuts(const std::vector<double>& v, double zero, const cut_options& o, std::vector<candidate>& all) {
  const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(v.size());
  const auto add = [&](std::vector<std::uint8_t> side, cut_kind kind,
                       const std::vector<std::uint8_t>* signs) {
    const std::ptrdiff_t ones = std::accumulate(side.begin(), side.end(), std::ptrdiff_t{0});
    if (std::min(ones, n - ones) < o.least) return;
    if (side[0])
      for (auto& x : side) x = !x;  // the side of the first leaf is 0
    candidate c{std::move(side), kind};
    if (signs) {
      for (std::ptrdiff_t i = 0; i < n; ++i) c.flips += c.side[some(i)] != (*signs)[some(i)];
      c.flips = std::min(c.flips, n - c.flips);
    }
    for (const candidate& other : all)
      if (other.side == c.side) return;
    all.push_back(std::move(c));
  };
  std::vector<std::uint8_t> signs(some(n));
  std::ptrdiff_t above = 0, below = 0;
  for (const double x : v) {
    above += x > zero;
    below += x < -zero;
  }
  for (std::ptrdiff_t i = 0; i < n; ++i)
    signs[some(i)] = v[some(i)] > zero || (above < below && v[some(i)] >= -zero);
  add(signs, cut_kind::sign, nullptr);
  std::vector<double> sorted = v;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::ptrdiff_t> gaps;  // gap g: between entries g - 1 and g
  for (std::ptrdiff_t g = std::max<std::ptrdiff_t>(1, o.least); g <= n - std::max<std::ptrdiff_t>(1, o.least);
       ++g)
    if (sorted[some(g)] > sorted[some(g - 1)]) gaps.push_back(g);
  const std::ptrdiff_t wanted = std::min<std::ptrdiff_t>(o.gaps, static_cast<std::ptrdiff_t>(gaps.size()));
  std::partial_sort(gaps.begin(), gaps.begin() + wanted, gaps.end(), [&](std::ptrdiff_t a, std::ptrdiff_t b) {
    const double x = sorted[some(a)] - sorted[some(a - 1)], y = sorted[some(b)] - sorted[some(b - 1)];
    return x != y ? x > y : a < b;
  });
  for (std::ptrdiff_t g = 0; g < wanted; ++g) {
    const double threshold = sorted[some(gaps[some(g)] - 1)];
    std::vector<std::uint8_t> side(some(n));
    for (std::ptrdiff_t i = 0; i < n; ++i) side[some(i)] = v[some(i)] > threshold;
    add(std::move(side), cut_kind::gap, &signs);
  }
}

template <class T>
cut_result cut_of(const context& ctx, matrix_view<const T> s, std::span<const std::int32_t> part,
                  const cut_options& o, std::span<std::uint8_t> side, std::span<double> vector) {
  const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(part.size());
  check(s.rows == s.cols, "s must be square, got ", s.rows, " x ", s.cols);
  check(n >= 2, "part must have at least 2 leaves, got ", n);
  for (const std::int32_t i : part) check(i >= 0 && i < s.rows, "part names leaf ", i, " of ", s.rows);
  check(o.gaps >= 0, "gaps must be >= 0, got ", o.gaps);
  check(o.least >= 1 && 2 * o.least <= n, "least must be between 1 and ", n / 2, ", got ", o.least);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(side.size() == part.size() && (vector.empty() || vector.size() == part.size()),
        "side and vector must have ", n, " entries");
  const dense_block block(ctx, s, part, part);
  cut_result r;
  std::vector<std::int32_t> label;
  const std::int32_t parts = label_components(block, label);
  std::vector<candidate> all;
  if (parts > 1) {  // nothing tells where the parts belong: the largest against the rest
    std::vector<std::ptrdiff_t> sizes(some(parts), 0);
    for (const std::int32_t x : label) ++sizes[some(x)];
    const std::ptrdiff_t largest = std::max_element(sizes.begin(), sizes.end()) - sizes.begin();
    for (std::ptrdiff_t i = 0; i < n; ++i) side[some(i)] = label[some(i)] == largest;
    if (!vector.empty()) std::fill(vector.begin(), vector.end(), 0.0);
    r.kind = cut_kind::component;
    return r;
  }
  const fiedler_pair f = fiedler(ctx, block, o);
  r.lambda2 = f.lambda2;
  r.lambda3 = f.lambda3;
  r.residual = f.residual;
  r.products = f.products;
  r.converged = f.converged;
  if (!vector.empty()) std::copy(f.v2.begin(), f.v2.end(), vector.begin());
  const bool multiple = !f.v3.empty() && f.lambda3 - f.lambda2 < 1e-6 * f.lambda2;
  const auto zero = [&](const std::vector<double>& v, double gap) {
    double top = 0;
    for (const double x : v) top = std::max(top, std::abs(x));
    return std::max(64 * std::numeric_limits<double>::epsilon() * std::sqrt(static_cast<double>(n)),
                    gap > 0 ? std::min(1e-3, f.residual * f.norm / gap) : 1e-3) *
           top;
  };
  const double gap = f.lambda3 - f.lambda2;
  if (!multiple) {
    add_cuts(f.v2, zero(f.v2, gap), o, all);
  } else {  // any vector of the plane will do as well
    std::vector<double> sum(some(n)), difference(some(n));
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] = (f.v2[i] + f.v3[i]) * std::sqrt(0.5);
      difference[i] = (f.v2[i] - f.v3[i]) * std::sqrt(0.5);
    }
    for (const auto* v : {&f.v2, &f.v3, &std::as_const(sum), &std::as_const(difference)})
      add_cuts(*v, zero(*v, 1e30), o, all);
  }
  if (all.empty()) {  // the gap cut nearest to the middle; if all entries are equal, the middle itself
    std::vector<std::int32_t> order(some(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return f.v2[some(a)] < f.v2[some(b)]; });
    std::ptrdiff_t at = n / 2;
    for (std::ptrdiff_t away = 0; away <= n / 2 - o.least; ++away) {
      const auto is_gap = [&](std::ptrdiff_t g) {
        return g >= o.least && g <= n - o.least &&
               f.v2[some(order[some(g)])] > f.v2[some(order[some(g - 1)])];
      };
      if (is_gap(n / 2 - away) || is_gap(n / 2 + away)) {
        at = is_gap(n / 2 - away) ? n / 2 - away : n / 2 + away;
        break;
      }
    }
    candidate c{std::vector<std::uint8_t>(some(n)), cut_kind::median};
    for (std::ptrdiff_t i = at; i < n; ++i) c.side[some(order[some(i)])] = 1;
    all.push_back(std::move(c));
  }
  for (candidate& c : all) c.sigma = singular_values(ctx, block, c.side);
  const candidate& best =
      *std::min_element(all.begin(), all.end(), [](const candidate& a, const candidate& b) {
        if (a.sigma.second != b.sigma.second) return a.sigma.second < b.sigma.second;
        return a.flips != b.flips ? a.flips < b.flips : a.side < b.side;
      });
  std::copy(best.side.begin(), best.side.end(), side.begin());
  r.kind = best.kind;
  r.sigma1 = best.sigma.first;
  r.sigma2 = best.sigma.second;
  return r;
}

template <class T>
double leading_pair_of(const context& ctx, matrix_view<const T> s, std::span<const std::int32_t> rows,
                       std::span<const std::int32_t> cols, std::span<double> u, std::span<double> v) {
  const std::ptrdiff_t p = static_cast<std::ptrdiff_t>(rows.size()),
                       q = static_cast<std::ptrdiff_t>(cols.size());
  check(p >= 1 && q >= 1, "rows and cols must not be empty");
  for (const std::int32_t i : rows) check(i >= 0 && i < s.rows, "rows names ", i, " of ", s.rows);
  for (const std::int32_t j : cols) check(j >= 0 && j < s.cols, "cols names ", j, " of ", s.cols);
  check(u.size() == rows.size() && v.size() == cols.size(), "u and v must have ", p, " and ", q, " entries");
  const dense_block block(ctx, s, rows, cols);
  const auto normalise = [](std::span<double> x) {
    double top = 0, square = 0;
    for (const double y : x) top = std::max(top, y);
    if (top == 0) return 0.0;
    for (const double y : x) square += y / top * (y / top);
    const double norm = top * std::sqrt(square);
    for (double& y : x) y /= norm;
    return norm;
  };
  std::fill(v.begin(), v.end(), 1.0);
  double sigma = 0;
  for (int step = 0; step < 1000; ++step) {
    ctx.poll();
    block.apply(ctx, {v.data(), 1, q}, {u.data(), 1, p});
    if (normalise(u) == 0) {
      std::fill(v.begin(), v.end(), 0.0);
      return 0;
    }
    block.apply_transposed(ctx, {u.data(), 1, p}, {v.data(), 1, q});
    const double now = normalise(v);
    const bool done =
        std::abs(now - sigma) <= 1e-12 * now;  // the vectors are then right to 1e-6, the scores to 1e-12
    sigma = now;
    if (done && step >= 2) break;
  }
  block.apply(ctx, {v.data(), 1, q}, {u.data(), 1, p});
  normalise(u);
  return sigma;
}

struct intervals {
  std::vector<std::int32_t> first, last;  // leaves below a node: [first, last)
};
// Checks what every function on trees relies on.
intervals read_tree(std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                    std::ptrdiff_t rows) {
  const std::int32_t m = static_cast<std::int32_t>(leaves.size()),
                     n = static_cast<std::int32_t>(parent.size());
  check(m >= 1 && n > m - (m == 1), "a tree of ", m, " leaves cannot have ", n, " nodes");
  for (const std::int32_t i : leaves) check(i >= 0 && i < rows, "leaves names row ", i, " of ", rows);
  intervals t{std::vector<std::int32_t>(parent.size(), m), std::vector<std::int32_t>(parent.size(), 0)};
  std::vector<std::int32_t> size(parent.size(), 0);
  for (std::int32_t i = 0; i < n; ++i) {
    if (i < m) {
      t.first[some(i)] = i;
      t.last[some(i)] = i + 1;
      size[some(i)] = 1;
    }
    const std::int32_t p = parent[some(i)];
    check(i == n - 1 ? p == -1 : p > i && p < n && p >= m, "parent[", i, "] = ", p,
          " is not a later inner node");
    check(size[some(i)] > 0 && t.last[some(i)] - t.first[some(i)] == size[some(i)], "the leaves of node ", i,
          " do not follow one another");
    if (p < 0) break;
    t.first[some(p)] = std::min(t.first[some(p)], t.first[some(i)]);
    t.last[some(p)] = std::max(t.last[some(p)], t.last[some(i)]);
    size[some(p)] += size[some(i)];
  }
  return t;
}

template <class T>
void edge_scores_of(const context& ctx, matrix_view<const T> s, std::span<const std::int32_t> leaves,
                    std::span<const std::int32_t> parent, std::span<const double> u,
                    std::span<double> score) {
  check(s.rows == s.cols, "s must be square, got ", s.rows, " x ", s.cols);
  check(u.size() == leaves.size() && score.size() == parent.size(), "u and score must have ", leaves.size(),
        " and ", parent.size(), " entries");
  const intervals t = read_tree(leaves, parent, s.rows);
  const std::ptrdiff_t m = static_cast<std::ptrdiff_t>(leaves.size()),
                       n = static_cast<std::ptrdiff_t>(parent.size());
  const std::ptrdiff_t parts = std::clamp<std::ptrdiff_t>(m / 32, 1, 32);
  buffer<double> sums(ctx, parts * 2 * n, 0.0);
  ctx.parallel_for(parts, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    // sums over the columns before and from each place on: nothing is ever subtracted
    std::vector<double> before(some(2 * (m + 1))), after(some(2 * (m + 1)));
    for (std::ptrdiff_t p = lo; p < hi; ++p) {
      double* sum = sums.data() + p * 2 * n;
      for (std::ptrdiff_t i = p * m / parts; i < (p + 1) * m / parts; ++i) {
        if (ctx.checkpoint(worker)) return;
        const T* row = &s(leaves[some(i)], 0);
        double square = 0, product = 0;
        for (std::ptrdiff_t j = 0; j < m; ++j) {
          before[some(2 * j)] = square;
          before[some(2 * j + 1)] = product;
          const double x = static_cast<double>(row[leaves[some(j)]]);
          square += x * x;
          product += x * u[some(j)];
        }
        square = product = 0;
        for (std::ptrdiff_t j = m; j > 0; --j) {
          after[some(2 * j)] = square;
          after[some(2 * j + 1)] = product;
          const double x = static_cast<double>(row[leaves[some(j - 1)]]);
          square += x * x;
          product += x * u[some(j - 1)];
        }
        for (std::int32_t e = static_cast<std::int32_t>(i); parent[some(e)] >= 0; e = parent[some(e)]) {
          const std::size_t a = some(t.first[some(e)]), b = some(t.last[some(e)]);
          sum[2 * e] += before[2 * a] + after[2 * b];
          sum[2 * e + 1] += u[some(i)] * (before[2 * a + 1] + after[2 * b + 1]);
        }
      }
    }
  });
  std::vector<double> head(some(m + 1), 0.0), tail(some(m + 1), 0.0);
  for (std::ptrdiff_t i = 0; i < m; ++i) head[some(i + 1)] = head[some(i)] + u[some(i)] * u[some(i)];
  for (std::ptrdiff_t i = m; i > 0; --i) tail[some(i - 1)] = tail[some(i)] + u[some(i - 1)] * u[some(i - 1)];
  for (std::ptrdiff_t e = 0; e < n; ++e) {
    double f = 0, g = 0, inside = 0;
    for (std::ptrdiff_t p = 0; p < parts; ++p) {
      f += sums[p * 2 * n + 2 * e];
      g += sums[p * 2 * n + 2 * e + 1];
    }
    const std::size_t a = some(t.first[some(e)]), b = some(t.last[some(e)]);
    for (std::size_t i = a; i < b && b - a < 64; ++i) inside += u[i] * u[i];
    if (b - a >= 64) inside = head[b] - head[a];
    const double h = inside * (head[a] + tail[b]);
    score[some(e)] = f > 0 && h > 0 && parent[some(e)] >= 0 ? std::max(0.0, 1 - g / f * (g / h)) : 1;
  }
}

// The neighbours of every node of a tree without its root, and how to average over what lies behind one.
class unrooted_tree {
 public:
  unrooted_tree(std::span<const std::int32_t> parent, std::ptrdiff_t m)
      : m_(m), parent_(parent), neighbours_(parent.size()), below_(parent.size(), nowhere), beyond_(below_) {
    const std::int32_t n = static_cast<std::int32_t>(parent.size()), root = n - 1;
    std::vector<std::int32_t> top;
    for (std::int32_t i = 0; i < root; ++i) {
      const std::int32_t p = parent[some(i)];
      if (p == root) top.push_back(i);
      neighbours_[some(i)].push_back(p);
      neighbours_[some(p)].push_back(i);
    }
    if (top.size() == 2) {  // one edge
      for (int side = 0; side < 2; ++side)
        std::replace(neighbours_[some(top[some(side)])].begin(), neighbours_[some(top[some(side)])].end(),
                     root, top[some(1 - side)]);
      neighbours_[some(root)].clear();
    }
    // the leaf that is the fewest edges away, below each node and beyond it
    for (std::int32_t i = 0; i < n; ++i) {
      if (i < m) below_[some(i)] = {0, i};
      if (i < root)
        below_[some(parent[some(i)])] = std::min(below_[some(parent[some(i)])], step(below_[some(i)]));
    }
    std::vector<std::vector<std::int32_t>> children(some(n));
    for (std::int32_t i = 0; i < root; ++i) children[some(parent[some(i)])].push_back(i);
    for (std::int32_t p = root; p >= m; --p) {
      place first = nowhere, second = nowhere;  // the two nearest by way of p
      std::int32_t from = -1;
      const auto offer = [&](place x, std::int32_t who) {
        if (x < first) {
          second = first;
          first = x;
          from = who;
        } else {
          second = std::min(second, x);
        }
      };
      if (p != root) offer(beyond_[some(p)], -1);
      for (const std::int32_t c : children[some(p)]) offer(step(below_[some(c)]), c);
      for (const std::int32_t c : children[some(p)]) beyond_[some(c)] = step(c == from ? second : first);
    }
  }

  const std::vector<std::int32_t>& neighbours(std::int32_t v) const { return neighbours_[some(v)]; }

  struct weighted_leaf {
    std::int32_t leaf;
    double weight;
  };
  // Leaves behind the neighbour x of v, each node sharing its weight out equally to what lies behind it;
  // after `depth` nodes the nearest leaf stands for all.
  void average(std::int32_t v, std::int32_t x, std::vector<weighted_leaf>& out) const {
    out.clear();
    spread(v, x, 1.0, depth, out);
  }

 private:
  static constexpr int depth = 5;
  using place = std::pair<std::int32_t, std::int32_t>;  // edges away, leaf
  static constexpr place nowhere{std::numeric_limits<std::int32_t>::max() / 2, 0};
  static place step(place x) { return {x.first + 1, x.second}; }
  void spread(std::int32_t v, std::int32_t x, double weight, int left,
              std::vector<weighted_leaf>& out) const {
    if (x < m_ || left == 0) {
      const bool up = parent_[some(v)] == x;
      out.push_back({x < m_ ? x : up ? beyond_[some(v)].second : below_[some(x)].second, weight});
      return;
    }
    const auto& next = neighbours_[some(x)];
    for (const std::int32_t y : next)
      if (y != v) spread(x, y, weight / static_cast<double>(next.size() - 1), left - 1, out);
  }
  std::ptrdiff_t m_;
  std::span<const std::int32_t> parent_;
  std::vector<std::vector<std::int32_t>> neighbours_;
  std::vector<place> below_, beyond_;
};

using shares = std::vector<unrooted_tree::weighted_leaf>;
// The average of distance(i, j) over two sets of leaves.
template <class F>
double average_between(const F& distance, const shares& one, const shares& two) {
  double sum = 0;
  for (const auto& [i, weight] : one) {
    double part = 0;
    for (const auto& [j, share] : two) part += share * distance(i, j);
    sum += weight * part;
  }
  return sum;
}

template <class F>
void insertion(const context& ctx, const F& distance, std::span<const std::int32_t> parent,
               std::span<const double> delta, double cap, std::span<double> excess) {
  const std::int32_t m = static_cast<std::int32_t>(delta.size()),
                     n = static_cast<std::int32_t>(parent.size());
  std::fill(excess.begin(), excess.end(), 0.0);
  if (m < 3) return;
  const unrooted_tree tree(parent, m);
  // Around an inner node with q subtrees X, Y, ...: by how much the tree is longer if the new leaf hangs on
  // the edge to X, up to a constant: a quarter of delta_X + sum over pairs of the others of d_YZ / (q - 2).
  std::vector<std::vector<double>> around(some(n));
  ctx.parallel_for(n - m, 8, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    std::vector<shares> part;
    std::vector<double> to_leaf, sum;
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      if (ctx.checkpoint(worker)) return;
      const std::int32_t v = m + static_cast<std::int32_t>(i);
      const auto& next = tree.neighbours(v);
      const std::size_t q = next.size();
      if (q < 3) continue;
      part.resize(q);
      to_leaf.assign(q, 0.0);
      sum.assign(q, 0.0);
      double all = 0;
      for (std::size_t x = 0; x < q; ++x) {
        tree.average(v, next[x], part[x]);
        for (const auto& [leaf, weight] : part[x]) to_leaf[x] += weight * std::min(cap, delta[some(leaf)]);
        for (std::size_t y = 0; y < x; ++y) {
          const double between = average_between(distance, part[x], part[y]);
          sum[x] += between;
          sum[y] += between;
          all += between;
        }
      }
      for (std::size_t x = 0; x < q; ++x)
        around[some(v)].push_back(0.25 * (to_leaf[x] + (all - sum[x]) / static_cast<double>(q - 2)));
    }
  });
  // from edge to edge over the nodes between them; edges are named by the node below
  const auto edge = [&](std::int32_t v, std::int32_t x) { return parent[some(v)] == x ? v : x; };
  std::vector<std::int32_t> stack;  // nodes, with the neighbour they were reached from
  std::vector<std::int32_t> from(some(n), -1);
  stack.push_back(tree.neighbours(0)[0]);
  from[some(stack[0])] = 0;
  const std::vector<std::int32_t> top = [&] {
    std::vector<std::int32_t> found;
    for (std::int32_t i = 0; i < n - 1; ++i)
      if (parent[some(i)] == n - 1) found.push_back(i);
    return found;
  }();
  const auto set = [&](std::int32_t e, double value) {
    excess[some(e)] = value;
    if (top.size() == 2 && (e == top[0] || e == top[1])) excess[some(top[0])] = excess[some(top[1])] = value;
  };
  set(edge(0, stack[0]), 0.0);
  while (!stack.empty()) {
    const std::int32_t v = stack.back();
    stack.pop_back();
    const auto& next = tree.neighbours(v);
    if (v < m) continue;
    const std::size_t back = some(std::find(next.begin(), next.end(), from[some(v)]) - next.begin());
    const double here = excess[some(edge(v, next[back]))];
    for (std::size_t x = 0; x < next.size(); ++x) {
      if (x == back) continue;
      const bool branches = next.size() > 2;
      set(edge(v, next[x]), branches ? here + around[some(v)][x] - around[some(v)][back] : here);
      from[some(next[x])] = v;
      stack.push_back(next[x]);
    }
  }
  const double least = *std::min_element(excess.begin(), excess.end() - 1);
  for (std::int32_t e = 0; e + 1 < n; ++e) excess[some(e)] -= least;
}

void check_insertion(std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                     std::span<const double> delta, double cap, std::span<double> excess) {
  check(delta.size() == leaves.size() && excess.size() == parent.size(), "delta and excess must have ",
        leaves.size(), " and ", parent.size(), " entries");
  check(cap >= 0, "cap must be >= 0, got ", cap);
}

// Distances of the leaves of a tree, from sequences.
auto distances_between(const pair_function& pairs, std::span<const std::int32_t> leaves, double cap) {
  return [&pairs, leaves, cap](std::int32_t i, std::int32_t j) {
    double s = 0;
    similarity_result r;
    const std::ptrdiff_t column = leaves[some(j)];
    pairs(leaves[some(i)], column, column + 1, &s, r);
    return usable(s) ? std::min(cap, std::max(0.0, -std::log(s))) : cap;
  };
}

void check_parents(std::span<const std::int32_t> parent, std::ptrdiff_t m) {
  const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(parent.size());
  check(m >= 1 && n >= m && n < std::numeric_limits<std::int32_t>::max(), "a tree of ", m,
        " leaves cannot have ", n, " nodes");
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::int32_t p = parent[some(i)];
    check(i == n - 1 ? p == -1 : p > i && p < n && p >= m, "parent[", i, "] = ", p,
          " is not a later inner node");
  }
}

// Nearest neighbour interchanges, the ones that save the most first, until none makes the tree shorter.
template <class F>
std::ptrdiff_t interchange(const context& ctx, const F& distance, double tiny, std::ptrdiff_t sweeps,
                           std::vector<std::int32_t>& parent, std::ptrdiff_t m) {
  const std::int32_t n = static_cast<std::int32_t>(parent.size()), first = static_cast<std::int32_t>(m);
  if (m < 4) return 0;
  struct exchange {
    double saved = 0;
    std::int32_t v = -1, x = -1, out = -1, in = -1;  // `out` leaves v for x, `in` comes from there
  };
  std::ptrdiff_t count = 0;
  std::vector<std::uint8_t> active(some(n), 1);
  for (std::ptrdiff_t sweep = 0; sweep < sweeps; ++sweep) {
    ctx.poll();
    const unrooted_tree tree(parent, m);
    std::vector<exchange> found(some(n));
    ctx.parallel_for(n - first, 8, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
      shares part[4];
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        if (ctx.checkpoint(worker)) return;
        const std::int32_t v = first + static_cast<std::int32_t>(i), x = parent[some(v)];
        if (x < 0 || !(active[some(v)] || active[some(x)])) continue;
        std::int32_t ends[4];  // two behind v, two behind x
        int k = 0;
        for (const std::int32_t y : tree.neighbours(v))
          if (y != x && k < 4) ends[k++] = y;
        const bool here = k == 2;
        for (const std::int32_t y : tree.neighbours(x))
          if (y != v && k < 4) ends[k++] = y;
        if (!here || k != 4 || tree.neighbours(x).size() != 3) continue;
        for (int a = 0; a < 4; ++a) tree.average(a < 2 ? v : x, ends[a], part[a]);
        const auto between = [&](int a, int b) { return average_between(distance, part[a], part[b]); };
        const double now = between(0, 1) + between(2, 3);
        // the second of v and one of x change places
        for (int other = 2; other < 4; ++other) {
          const double then = between(0, other) + between(1, 5 - other);
          if (now - then > std::max(found[some(v)].saved, tiny * now))
            found[some(v)] = {now - then, v, x, ends[1], ends[other]};
        }
      }
    });
    std::erase_if(found, [](const exchange& e) { return e.v < 0; });
    if (found.empty()) break;
    std::sort(found.begin(), found.end(), [](const exchange& a, const exchange& b) {
      return a.saved != b.saved ? a.saved > b.saved : a.v < b.v;
    });
    std::vector<std::vector<std::int32_t>> next(some(n));
    for (std::int32_t v = 0; v < n; ++v) next[some(v)] = tree.neighbours(v);
    std::vector<std::uint8_t> touched(some(n), 0);
    std::fill(active.begin(), active.end(), std::uint8_t{0});
    for (const exchange& e : found) {
      bool apart = true;  // from exchanges that were made
      for (const std::int32_t at : {e.v, e.x}) {
        apart = apart && !touched[some(at)];
        for (const std::int32_t y : next[some(at)]) apart = apart && !touched[some(y)];
      }
      if (!apart) {
        active[some(e.v)] = active[some(e.x)] = 1;
        continue;
      }
      const auto put = [&](std::int32_t at, std::int32_t old, std::int32_t fresh) {
        *std::find(next[some(at)].begin(), next[some(at)].end(), old) = fresh;
      };
      put(e.v, e.out, e.in);
      put(e.x, e.in, e.out);
      put(e.out, e.v, e.x);
      put(e.in, e.x, e.v);
      ++count;
      for (const std::int32_t at : {e.v, e.x}) {
        touched[some(at)] = active[some(at)] = 1;
        for (const std::int32_t y : next[some(at)]) {
          touched[some(y)] = active[some(y)] = 1;
          for (const std::int32_t z : next[some(y)]) active[some(z)] = 1;
        }
      }
    }
    // numbers in which every node comes before its parent, the root being what it was
    std::vector<std::int32_t> order{n - 1}, up(some(n), -1), number(some(n));
    for (std::size_t i = 0; i < order.size(); ++i)
      for (const std::int32_t y : next[some(order[i])])
        if (y != up[some(order[i])]) {
          up[some(y)] = order[i];
          order.push_back(y);
        }
    std::int32_t last = n;
    for (const std::int32_t v : order) number[some(v)] = v < first ? v : --last;
    std::vector<std::uint8_t> marks(some(n));
    for (std::int32_t v = 0; v < n; ++v) {
      parent[some(number[some(v)])] = up[some(v)] < 0 ? -1 : number[some(up[some(v)])];
      marks[some(number[some(v)])] = active[some(v)];
    }
    active.swap(marks);
  }
  return count;
}

template <class T>
std::ptrdiff_t interchange_of(const context& ctx, matrix_view<const T> d, double cap,
                              std::span<std::int32_t> parent, std::ptrdiff_t sweeps) {
  check(d.rows == d.cols, "d must be square, got ", d.rows, " x ", d.cols);
  check(cap >= 0, "cap must be >= 0, got ", cap);
  check_parents(parent, d.rows);
  const auto distance = [&](std::int32_t i, std::int32_t j) {
    return std::min(cap, static_cast<double>(d(i, j)));
  };
  std::vector<std::int32_t> up(parent.begin(), parent.end());
  const double tiny = sizeof(T) == sizeof(float) ? 1e-6 : 1e-9;  // rounding of the distances, and more
  const std::ptrdiff_t count = interchange(ctx, distance, tiny, sweeps, up, d.rows);
  std::copy(up.begin(), up.end(), parent.begin());
  return count;
}

template <class T>
void insertion_lengths_of(const context& ctx, matrix_view<const T> d, std::span<const std::int32_t> leaves,
                          std::span<const std::int32_t> parent, std::span<const double> delta, double cap,
                          std::span<double> excess) {
  check(d.rows == d.cols, "d must be square, got ", d.rows, " x ", d.cols);
  check_insertion(leaves, parent, delta, cap, excess);
  const auto distance = [&](std::int32_t i, std::int32_t j) {
    return std::min(cap, static_cast<double>(d(leaves[some(i)], leaves[some(j)])));
  };
  read_tree(leaves, parent, d.rows);
  insertion(ctx, distance, parent, delta, cap, excess);
}

template <class T>
void least_squares_of(const context& ctx, matrix_view<const T> d, std::span<const std::int32_t> leaves,
                      std::span<const std::int32_t> parent, std::span<double> length) {
  check(d.rows == d.cols, "d must be square, got ", d.rows, " x ", d.cols);
  check(length.size() == parent.size(), "length must have ", parent.size(), " entries");
  const intervals t = read_tree(leaves, parent, d.rows);
  const std::int32_t m = static_cast<std::int32_t>(leaves.size()),
                     n = static_cast<std::int32_t>(parent.size());
  std::vector<std::vector<std::int32_t>> children(some(n));
  for (std::int32_t i = 0; i + 1 < n; ++i) children[some(parent[some(i)])].push_back(i);
  for (std::int32_t i = m; i < n; ++i)
    check(children[some(i)].size() == 2 || (i == n - 1 && children[some(i)].size() == 3),
          "the tree must be binary, but node ", i, " has ", children[some(i)].size(), " children");
  std::fill(length.begin(), length.end(), 0.0);
  if (m == 1) return;
  const auto count = [&](std::int32_t x) { return static_cast<double>(t.last[some(x)] - t.first[some(x)]); };
  // what lies below a node: itself for a leaf, else its two children
  const auto split = [&](std::int32_t x, std::int32_t* to) {
    if (x < m) {
      to[0] = x;
      return 1;
    }
    to[0] = children[some(x)][0];
    to[1] = children[some(x)][1];
    return 2;
  };
  // Sums of d over pairs of leaves: between the children of a node and between each of them and the children
  // of the other. Every pair of leaves is read once, at its last common ancestor.
  struct block {
    double all = 0, part[2][2] = {};  // rows: children of the first, columns: children of the second
  };
  std::vector<block> between(some(n)),
      more(2);  // of the first two children; at the root also (0, 2) and (1, 2)
  const auto add = [&](std::int32_t x, std::int32_t y, block& b) {
    std::int32_t rows[2], cols[2];
    const int p = split(x, rows), q = split(y, cols);
    for (int a = 0; a < p; ++a)
      for (int c = 0; c < q; ++c) {
        double sum = 0;
        for (std::int32_t i = t.first[some(rows[a])]; i < t.last[some(rows[a])]; ++i) {
          const T* row = &d(leaves[some(i)], 0);
          double s = 0;
          for (std::int32_t j = t.first[some(cols[c])]; j < t.last[some(cols[c])]; ++j)
            s += static_cast<double>(row[leaves[some(j)]]);
          sum += s;
        }
        b.part[a][c] = sum;
        b.all += sum;
      }
  };
  ctx.parallel_for(n - m, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    for (std::ptrdiff_t x = lo; x < hi; ++x) {
      if (ctx.checkpoint(worker)) return;
      const std::int32_t node = n - 1 - static_cast<std::int32_t>(x);  // the large ones first
      const auto& c = children[some(node)];
      add(c[0], c[1], between[some(node)]);
      if (c.size() == 3) {
        add(c[0], c[2], more[0]);
        add(c[1], c[2], more[1]);
      }
    }
  });
  // from the leaves below a node to all others
  std::vector<double> out(some(n), 0.0);
  ctx.parallel_for(m, 16, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::int32_t j = 0; j < m; ++j)
        if (j != i) out[some(i)] += static_cast<double>(d(leaves[some(i)], leaves[some(j)]));
  });
  const std::int32_t root = n - 1;
  for (std::int32_t i = m; i < n; ++i) {
    double s = 0;
    for (const std::int32_t c : children[some(i)]) s += out[some(c)];
    out[some(i)] = i == root ? 0 : s - 2 * between[some(i)].all;
  }
  const double total = m;
  // the edge above x; s: the sibling; sx: sums of d between x and s, first index x's children; c, e: sizes of
  // the sets beyond the edge and the sums from the parts of x to them
  const auto edge = [&](std::int32_t x, double nc, double ne, const double* to_c, const double* to_e,
                        double ce) {
    std::int32_t part[2];
    if (split(x, part) == 1) return 0.5 * (to_c[0] / nc + to_e[0] / ne - ce / (nc * ne));
    const double na = count(part[0]), nb = count(part[1]);
    const double g = (na * ne + nb * nc) / ((na + nb) * (nc + ne));
    return 0.5 * (g * (to_c[0] / (na * nc) + to_e[1] / (nb * ne)) +
                  (1 - g) * (to_c[1] / (nb * nc) + to_e[0] / (na * ne)) - between[some(x)].all / (na * nb) -
                  ce / (nc * ne));
  };
  const auto row_sum = [](const block& b, int a) { return b.part[a][0] + b.part[a][1]; };
  const auto column_sum = [](const block& b, int a) { return b.part[0][a] + b.part[1][a]; };
  for (std::int32_t p = m; p < root; ++p) {
    for (int which = 0; which < 2; ++which) {
      const std::int32_t x = children[some(p)][some(which)], s = children[some(p)][some(1 - which)];
      const block& b = between[some(p)];
      std::int32_t part[2];
      const int pieces = split(x, part);
      double to_c[2] = {}, to_e[2] = {};
      for (int a = 0; a < pieces; ++a) {
        to_c[a] = which == 0 ? row_sum(b, a) : column_sum(b, a);
        to_e[a] = out[some(part[a])] - to_c[a] - (pieces == 2 ? between[some(x)].all : 0);
      }
      length[some(x)] = edge(x, count(s), total - count(p), to_c, to_e, out[some(s)] - b.all);
    }
  }
  const auto& top = children[some(root)];
  if (m == 2) {
    length[some(top[0])] = length[some(top[1])] = between[some(root)].all / 2;
  } else if (top.size() == 3) {
    const block* pair[3][3] = {{nullptr, &between[some(root)], &more[0]},
                               {&between[some(root)], nullptr, &more[1]},
                               {&more[0], &more[1], nullptr}};
    for (int x = 0; x < 3; ++x) {
      const int c = x == 0 ? 1 : 0, e = x == 2 ? 1 : 2;
      std::int32_t part[2];
      const int pieces = split(top[some(x)], part);
      double to_c[2] = {}, to_e[2] = {};
      for (int a = 0; a < pieces; ++a) {
        to_c[a] = x < c ? row_sum(*pair[x][c], a) : column_sum(*pair[x][c], a);
        to_e[a] = x < e ? row_sum(*pair[x][e], a) : column_sum(*pair[x][e], a);
      }
      length[some(top[some(x)])] =
          edge(top[some(x)], count(top[some(c)]), count(top[some(e)]), to_c, to_e, pair[c][e]->all);
    }
  } else {  // one edge between the two children of the root
    const std::int32_t x = top[0], y = top[1];
    const block& b = between[some(root)];
    double whole;
    if (x >= m && y >= m) {
      const double to_c[2] = {b.part[0][0], b.part[1][0]}, to_e[2] = {b.part[0][1], b.part[1][1]};
      whole =
          edge(x, count(children[some(y)][0]), count(children[some(y)][1]), to_c, to_e, between[some(y)].all);
    } else {
      const std::int32_t leaf = x < m ? x : y, inner = x < m ? y : x;
      const double to_c[2] = {x < m ? b.part[0][0] : b.part[0][0]},
                   to_e[2] = {x < m ? b.part[0][1] : b.part[1][0]};
      whole = edge(leaf, count(children[some(inner)][0]), count(children[some(inner)][1]), to_c, to_e,
                   between[some(inner)].all);
    }
    length[some(x)] = length[some(y)] = whole / 2;
  }
}

}  // namespace

cut_result cut(const context& ctx, matrix_view<const double> s, std::span<const std::int32_t> part,
               const cut_options& o, std::span<std::uint8_t> side, std::span<double> vector) {
  return cut_of(ctx, s, part, o, side, vector);
}
cut_result cut(const context& ctx, matrix_view<const float> s, std::span<const std::int32_t> part,
               const cut_options& o, std::span<std::uint8_t> side, std::span<double> vector) {
  return cut_of(ctx, s, part, o, side, vector);
}

double leading_pair(const context& ctx, matrix_view<const double> s, std::span<const std::int32_t> rows,
                    std::span<const std::int32_t> cols, std::span<double> u, std::span<double> v) {
  return leading_pair_of(ctx, s, rows, cols, u, v);
}
double leading_pair(const context& ctx, matrix_view<const float> s, std::span<const std::int32_t> rows,
                    std::span<const std::int32_t> cols, std::span<double> u, std::span<double> v) {
  return leading_pair_of(ctx, s, rows, cols, u, v);
}

void edge_scores(const context& ctx, matrix_view<const double> s, std::span<const std::int32_t> leaves,
                 std::span<const std::int32_t> parent, std::span<const double> u, std::span<double> score) {
  edge_scores_of(ctx, s, leaves, parent, u, score);
}
void edge_scores(const context& ctx, matrix_view<const float> s, std::span<const std::int32_t> leaves,
                 std::span<const std::int32_t> parent, std::span<const double> u, std::span<double> score) {
  edge_scores_of(ctx, s, leaves, parent, u, score);
}

void insertion_lengths(const context& ctx, matrix_view<const double> d, std::span<const std::int32_t> leaves,
                       std::span<const std::int32_t> parent, std::span<const double> delta, double cap,
                       std::span<double> excess) {
  insertion_lengths_of(ctx, d, leaves, parent, delta, cap, excess);
}
void insertion_lengths(const context& ctx, matrix_view<const float> d, std::span<const std::int32_t> leaves,
                       std::span<const std::int32_t> parent, std::span<const double> delta, double cap,
                       std::span<double> excess) {
  insertion_lengths_of(ctx, d, leaves, parent, delta, cap, excess);
}

void insertion_lengths(const context& ctx, matrix_view<const std::uint8_t> codes, const similarity_options& o,
                       std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                       std::span<const double> delta, double cap, std::span<double> excess) {
  check_insertion(leaves, parent, delta, cap, excess);
  read_tree(leaves, parent, codes.rows);
  const pair_function pairs = pairs_of(ctx, codes, o);
  insertion(ctx, distances_between(pairs, leaves, cap), parent, delta, cap, excess);
}

std::ptrdiff_t interchange(const context& ctx, matrix_view<const double> d, double cap,
                           std::span<std::int32_t> parent, std::ptrdiff_t sweeps) {
  return interchange_of(ctx, d, cap, parent, sweeps);
}
std::ptrdiff_t interchange(const context& ctx, matrix_view<const float> d, double cap,
                           std::span<std::int32_t> parent, std::ptrdiff_t sweeps) {
  return interchange_of(ctx, d, cap, parent, sweeps);
}
std::ptrdiff_t interchange(const context& ctx, matrix_view<const std::uint8_t> codes,
                           const similarity_options& o, double cap, std::span<std::int32_t> parent,
                           std::ptrdiff_t sweeps) {
  check(cap >= 0, "cap must be >= 0, got ", cap);
  check_parents(parent, codes.rows);
  const pair_function pairs = pairs_of(ctx, codes, o);
  std::vector<std::int32_t> leaves(some(codes.rows)), up(parent.begin(), parent.end());
  std::iota(leaves.begin(), leaves.end(), 0);
  const std::ptrdiff_t count =
      interchange(ctx, distances_between(pairs, leaves, cap), 1e-9, sweeps, up, codes.rows);
  std::copy(up.begin(), up.end(), parent.begin());
  return count;
}

void balanced_lengths(const context& ctx, matrix_view<const std::uint8_t> codes, const similarity_options& o,
                      std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent, double cap,
                      std::span<double> length) {
  check(length.size() == parent.size(), "length must have ", parent.size(), " entries");
  check(cap >= 0, "cap must be >= 0, got ", cap);
  read_tree(leaves, parent, codes.rows);
  const std::int32_t m = static_cast<std::int32_t>(leaves.size()),
                     n = static_cast<std::int32_t>(parent.size());
  std::fill(length.begin(), length.end(), 0.0);
  if (m == 1) return;
  const pair_function pairs = pairs_of(ctx, codes, o);
  const auto distance = distances_between(pairs, leaves, cap);
  if (m == 2) {
    length[0] = length[1] = distance(0, 1) / 2;
    return;
  }
  const unrooted_tree tree(parent, m);
  // What lies behind v as seen from x, in its parts, and the mean of their distances from v.
  const auto look = [&](std::int32_t x, std::int32_t v, std::vector<shares>& part) {
    part.clear();
    if (v < m) {
      part.push_back({{v, 1.0}});
      return 0.0;
    }
    for (const std::int32_t y : tree.neighbours(v)) {
      if (y == x) continue;
      part.emplace_back();
      tree.average(v, y, part.back());
    }
    double all = 0;
    for (std::size_t a = 0; a < part.size(); ++a)
      for (std::size_t b = 0; b < a; ++b) all += average_between(distance, part[a], part[b]);
    const double k = static_cast<double>(part.size());
    return k > 1 ? all / (k * (k - 1)) : 0.0;
  };
  const bool two = std::count(parent.begin(), parent.end(), n - 1) == 2;
  ctx.parallel_for(n - 1, 16, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    std::vector<shares> here, there;
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      if (ctx.checkpoint(worker)) return;
      const std::int32_t x = static_cast<std::int32_t>(i);
      std::int32_t v = parent[some(x)];
      const bool half = two && v == n - 1;
      if (half)  // the two edges at the root are one
        v = *std::find_if(tree.neighbours(x).begin(), tree.neighbours(x).end(),
                          [&](std::int32_t y) { return y >= 0 && parent[some(y)] == n - 1; });
      const double own = look(v, x, here) + look(x, v, there);
      double across = 0;
      for (const shares& a : here)
        for (const shares& b : there) across += average_between(distance, a, b);
      across /= static_cast<double>(here.size() * there.size());
      length[some(x)] = (across - own) / (half ? 2 : 1);
    }
  });
}

void least_squares_lengths(const context& ctx, matrix_view<const double> d,
                           std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                           std::span<double> length) {
  least_squares_of(ctx, d, leaves, parent, length);
}
void least_squares_lengths(const context& ctx, matrix_view<const float> d,
                           std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                           std::span<double> length) {
  least_squares_of(ctx, d, leaves, parent, length);
}

}  // namespace lapwing::phylo
