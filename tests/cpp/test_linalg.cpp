// Singular triplets against matrices whose triplets are known by construction, and against a one-sided Jacobi
// method in long double; products of blocks; small dense problems.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "linalg/block.hpp"
#include "linalg/small.hpp"
#include "naive_ot.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

const context& one_thread() {
  static const context ctx({.threads = 1});
  return ctx;
}

real dot(const std::vector<real>& x, const std::vector<real>& y) {
  real s = 0;
  for (std::size_t k = 0; k < x.size(); ++k) s += x[k] * y[k];
  return s;
}

// k orthonormal vectors of length n.
std::vector<std::vector<real>> orthonormal(numbers& random, ptrdiff_t k, ptrdiff_t n) {
  std::vector<std::vector<real>> q;
  while (static_cast<ptrdiff_t>(q.size()) < k) {
    std::vector<real> x(at(n));
    for (real& v : x) v = random.normal();
    for (int twice = 0; twice < 2; ++twice) {
      for (const auto& other : q) {
        const real c = dot(other, x);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] -= c * other[i];
      }
    }
    const real length = std::sqrt(dot(x, x));
    for (real& v : x) v /= length;
    q.push_back(x);
  }
  return q;
}

// A dense matrix as an operator that counts what is asked of it.
class dense_operator final : public linear_operator {
 public:
  explicit dense_operator(dense a) : a_(std::move(a)) {
    for (real& x : a_.values) x = static_cast<double>(x);
  }
  // sum_k s_k u_k v_k^T
  dense_operator(ptrdiff_t n, ptrdiff_t m, const std::vector<double>& s, std::uint64_t seed) : a_(n, m) {
    numbers random(seed);
    const ptrdiff_t k = static_cast<ptrdiff_t>(s.size());
    u = orthonormal(random, k, n);
    v = orthonormal(random, k, m);
    for (ptrdiff_t c = 0; c < k; ++c) {
      for (ptrdiff_t i = 0; i < n; ++i) {
        for (ptrdiff_t j = 0; j < m; ++j) a_(i, j) += s[at(c)] * u[at(c)][at(i)] * v[at(c)][at(j)];
      }
    }
    for (real& x : a_.values) x = static_cast<double>(x);
  }

  ptrdiff_t rows() const override { return a_.n; }
  ptrdiff_t cols() const override { return a_.m; }
  void apply(const context&, matrix_view<const double> x, matrix_view<double> out) const override {
    ++applied;
    CHECK(x.cols == a_.m && out.cols == a_.n && x.rows == out.rows);
    for (ptrdiff_t c = 0; c < x.rows; ++c) {
      for (ptrdiff_t i = 0; i < a_.n; ++i) {
        double s = 0;
        for (ptrdiff_t j = 0; j < a_.m; ++j) s += static_cast<double>(a_(i, j)) * x(c, j);
        out(c, i) = s;
      }
    }
  }
  void apply_transposed(const context&, matrix_view<const double> x, matrix_view<double> out) const override {
    ++applied;
    CHECK(x.cols == a_.n && out.cols == a_.m && x.rows == out.rows);
    for (ptrdiff_t c = 0; c < x.rows; ++c) {
      for (ptrdiff_t j = 0; j < a_.m; ++j) out(c, j) = 0;
      for (ptrdiff_t i = 0; i < a_.n; ++i) {
        for (ptrdiff_t j = 0; j < a_.m; ++j) out(c, j) += static_cast<double>(a_(i, j)) * x(c, i);
      }
    }
  }
  void normal(const context& ctx, matrix_view<const double> x, matrix_view<double> out) const override {
    ++normals;
    --applied;
    --applied;
    std::vector<double> middle(at(x.rows * a_.n));
    const matrix_view<double> z(middle.data(), x.rows, a_.n);
    apply(ctx, x, z);
    apply_transposed(ctx, z, out);
  }

  const dense& matrix() const { return a_; }
  std::vector<std::vector<real>> u, v;  // as constructed
  mutable ptrdiff_t applied = 0, normals = 0;

 private:
  dense a_;
};

// Singular values, falling, by one-sided Jacobi rotations in long double.
std::vector<real> jacobi_values(dense a) {
  if (a.n < a.m) {
    dense t(a.m, a.n);
    for (ptrdiff_t i = 0; i < a.n; ++i) {
      for (ptrdiff_t j = 0; j < a.m; ++j) t(j, i) = a(i, j);
    }
    a = t;
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (ptrdiff_t p = 0; p + 1 < a.m; ++p) {
      for (ptrdiff_t q = p + 1; q < a.m; ++q) {
        real pp = 0, qq = 0, pq = 0;
        for (ptrdiff_t i = 0; i < a.n; ++i) {
          pp += a(i, p) * a(i, p);
          qq += a(i, q) * a(i, q);
          pq += a(i, p) * a(i, q);
        }
        if (std::fabs(pq) <= 1e-17L * std::sqrt(pp * qq)) continue;
        rotated = true;
        const real zeta = (qq - pp) / (2 * pq);
        const real t = (zeta < 0 ? -1 : 1) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
        const real c = 1 / std::sqrt(1 + t * t), s = c * t;
        for (ptrdiff_t i = 0; i < a.n; ++i) {
          const real x = a(i, p), y = a(i, q);
          a(i, p) = c * x - s * y;
          a(i, q) = s * x + c * y;
        }
      }
    }
    if (!rotated) break;
  }
  std::vector<real> values;
  for (ptrdiff_t j = 0; j < a.m; ++j) {
    real s = 0;
    for (ptrdiff_t i = 0; i < a.n; ++i) s += a(i, j) * a(i, j);
    values.push_back(std::sqrt(s));
  }
  std::sort(values.rbegin(), values.rend());
  return values;
}

struct triplets {
  linalg::svds_result r;
  std::vector<double> u, v;
  ptrdiff_t k, n, m;
  matrix_view<double> left() { return {u.data(), k, n, n + 2}; }
  matrix_view<double> right() { return {v.data(), k, m, m + 3}; }
};
triplets svds(const context& ctx, const linear_operator& a, ptrdiff_t k, const linalg::svds_options& o,
              const std::vector<double>& left = {}, const std::vector<double>& right = {}) {
  triplets t{{}, {}, {}, k, a.rows(), a.cols()};
  t.u.assign(at(k * (t.n + 2)), -7);
  t.v.assign(at(k * (t.m + 3)), -7);
  t.r = linalg::svds(ctx, a, left, right, k, o, t.left(), t.right());
  return t;
}
std::vector<double> rounded(const std::vector<real>& x) { return {x.begin(), x.end()}; }

// What must be true of any answer, converged or not, recomputed in long double: orthonormal vectors
// (orthogonal to the known pair), residuals as reported, falling values, memory between the rows left alone.
bool consistent(const dense_operator& a, triplets& t, const std::vector<double>& left = {},
                const std::vector<double>& right = {}) {
  bool good = true;
  const auto expect = [&](bool condition, const char* what, real value) {
    if (!condition && good) std::printf("     %s: %.3Lg\n", what, value);
    good = good && condition;
  };
  const dense& matrix = a.matrix();
  expect(
      static_cast<ptrdiff_t>(t.r.values.size()) == t.k && static_cast<ptrdiff_t>(t.r.residuals.size()) == t.k,
      "sizes", 0);
  if (!good) return false;
  const real scale = std::max(t.r.values[0], 1e-300);
  const auto u = t.left(), v = t.right();
  for (ptrdiff_t c = 0; c < t.k; ++c) {
    const real s = t.r.values[at(c)];
    expect(s >= 0 && (c == 0 || s <= t.r.values[at(c - 1)]), "order of the values", s);
    for (ptrdiff_t other = 0; other <= c; ++other) {
      real uu = other == c ? -1 : 0, vv = uu;
      for (ptrdiff_t i = 0; i < t.n; ++i) uu += real(u(c, i)) * u(other, i);
      for (ptrdiff_t j = 0; j < t.m; ++j) vv += real(v(c, j)) * v(other, j);
      expect(std::fabs(uu) <= 1e-10L, "orthonormality of u", uu);
      expect(std::fabs(vv) <= 1e-10L, "orthonormality of v", vv);
    }
    real on_left = 0, on_right = 0;
    for (std::size_t i = 0; i < left.size(); ++i) on_left += real(left[i]) * u(c, static_cast<ptrdiff_t>(i));
    for (std::size_t j = 0; j < right.size(); ++j)
      on_right += real(right[j]) * v(c, static_cast<ptrdiff_t>(j));
    expect(std::fabs(on_left) <= 1e-10L, "u along the known vector", on_left);
    expect(std::fabs(on_right) <= 1e-10L, "v along the known vector", on_right);
    real forward = 0, backward = 0;
    for (ptrdiff_t i = 0; i < t.n; ++i) {
      real x = -s * u(c, i);
      for (ptrdiff_t j = 0; j < t.m; ++j) x += matrix(i, j) * v(c, j);
      forward += x * x;
    }
    for (ptrdiff_t j = 0; j < t.m; ++j) {
      real x = -s * v(c, j);
      for (ptrdiff_t i = 0; i < t.n; ++i) x += matrix(i, j) * u(c, i);
      backward += x * x;
    }
    const real residual = std::sqrt(std::max(forward, backward));
    expect(std::fabs(residual - t.r.residuals[at(c)]) <= 1e-12L * scale + 0.01L * residual, "residual",
           residual);
    expect(u.data[c * u.stride + t.n] == -7 && v.data[c * v.stride + t.m] == -7, "memory between rows", 0);
  }
  expect(t.r.applications == a.normals, "applications", static_cast<real>(a.normals));
  return good;
}
// The leading values of `truth`.
bool right_values(const triplets& t, const std::vector<real>& truth, real tolerance) {
  for (ptrdiff_t c = 0; c < t.k; ++c) {
    const real want = at(c) < truth.size() ? truth[at(c)] : 0;
    if (std::fabs(t.r.values[at(c)] - want) <= tolerance * truth[0]) continue;
    std::printf("     value %td is %.15g, expected %.15Lg\n", c, t.r.values[at(c)], want);
    return false;
  }
  return true;
}
std::vector<double> falling(ptrdiff_t k, double ratio, double first = 1) {
  std::vector<double> s;
  for (double x = first; static_cast<ptrdiff_t>(s.size()) < k; x /= ratio) s.push_back(x);
  return s;
}
std::vector<real> widened(const std::vector<double>& s) { return {s.begin(), s.end()}; }

struct size {
  ptrdiff_t n, m;
};
constexpr size sizes[] = {{60, 40}, {40, 60}, {33, 33}, {150, 20}, {20, 150}};

}  // namespace

TEST(spectra_that_fall_fast_and_slowly) {
  if (too_slow()) return;
  for (const auto& [n, m] : sizes) {
    for (const double ratio : {2.0, 1.1, 1.02}) {
      const auto s = falling(std::min(n, m), ratio);
      for (const double tol : {1e-4, 1e-9}) {
        const dense_operator a(n, m, s, 1);
        triplets t = svds(one_thread(), a, 5, {.tol = tol});
        CHECK(t.r.converged &&
              *std::max_element(t.r.residuals.begin(), t.r.residuals.end()) <= tol * t.r.values[0]);
        CHECK(consistent(a, t));
        CHECK(right_values(t, widened(s), tol));  // the error of a value is at most its residual
      }
    }
  }
}

TEST(vectors_are_those_of_the_construction) {
  for (const auto& [n, m] : sizes) {
    const dense_operator a(n, m, falling(15, 1.3), 2);
    triplets t = svds(one_thread(), a, 6, {.tol = 1e-10});
    CHECK(t.r.converged && consistent(a, t));
    for (ptrdiff_t c = 0; c < 6; ++c) {
      real uu = 0, vv = 0;
      for (ptrdiff_t i = 0; i < n; ++i) uu += a.u[at(c)][at(i)] * t.left()(c, i);
      for (ptrdiff_t j = 0; j < m; ++j) vv += a.v[at(c)][at(j)] * t.right()(c, j);
      // the angle is at most the residual over the gap; and the two signs belong together
      CHECK(std::fabs(uu) >= 1 - 1e-12L && std::fabs(vv) >= 1 - 1e-12L && uu * vv > 0);
    }
  }
}

TEST(random_matrices_against_jacobi) {
  for (const auto& [n, m] : {size{45, 30}, {30, 45}, {1, 1}, {1, 9}, {9, 1}, {2, 2}, {3, 70}, {70, 3}}) {
    numbers random(3);
    dense values(n, m);
    for (real& x : values.values) x = random.normal();
    for (const ptrdiff_t k : {ptrdiff_t{1}, std::min<ptrdiff_t>(3, std::min(n, m)), std::min(n, m)}) {
      const dense_operator a(values);
      triplets t = svds(one_thread(), a, k, {.tol = 1e-9});
      CHECK(t.r.converged && consistent(a, t));
      CHECK(right_values(t, jacobi_values(a.matrix()), 1e-9L));
    }
  }
}

TEST(clustered_values) {
  if (too_slow()) return;
  std::vector<double> close = falling(12, 1.001), equal(8, 1.0);  // twelve within 1.1 %; eightfold
  for (double x = 0.9; close.size() < 40; x /= 1.05) close.push_back(x);
  for (double x = 0.5; equal.size() < 40; x /= 1.05) equal.push_back(x);
  for (const auto& [n, m] : {size{90, 70}, {70, 90}}) {
    for (const auto& s : {close, equal}) {
      for (const ptrdiff_t block : {0, 4, 6}) {
        for (const ptrdiff_t k : {4, 6}) {
          const dense_operator a(n, m, s, 4);
          triplets t = svds(one_thread(), a, k, {.block = block, .tol = 1e-8});
          CHECK(t.r.converged && consistent(a, t));
          CHECK(right_values(t, widened(s), 1e-8L));
        }
      }
    }
  }
}

TEST(rank_deficient) {
  if (too_slow()) return;
  for (const auto& [n, m] : {size{50, 35}, {35, 50}}) {
    for (const ptrdiff_t rank : {1, 4}) {
      const auto s = falling(rank, 1.5);
      for (const ptrdiff_t k : {1, 3, 7, 35}) {  // fewer than, about, and more than the rank; all there are
        const dense_operator a(n, m, s, 5);
        triplets t = svds(one_thread(), a, k, {.tol = 1e-8});
        CHECK(t.r.converged && consistent(a, t));
        CHECK(right_values(t, widened(s), 1e-8L));
      }
    }
  }
}

TEST(a_matrix_of_zeros) {
  const dense_operator a(dense(12, 9));
  triplets t = svds(one_thread(), a, 3, {});
  CHECK(t.r.converged && consistent(a, t));
  for (const double s : t.r.values) CHECK(s == 0);
}

// The eigenvalues of A^T A are the squares: of 1e-6 next to 1 they would keep four digits.
TEST(small_values_keep_their_digits) {
  const dense_operator a(40, 30, {1, 1e-2, 1e-4, 1e-6}, 6);
  triplets t = svds(one_thread(), a, 4, {.tol = 1e-13});
  CHECK(consistent(a, t));
  for (std::size_t c = 0; c < 4; ++c) {
    const double want = std::pow(10.0, -2.0 * static_cast<double>(c));
    CHECK(std::fabs(t.r.values[c] / want - 1) <= 1e-9);
  }
}

TEST(full_rank_is_all_there_is) {
  if (too_slow()) return;
  for (const auto& [n, m] : {size{24, 17}, {17, 24}, {20, 20}}) {
    const ptrdiff_t k = std::min(n, m);
    const auto s = falling(k, 1.2);
    const dense_operator a(n, m, s, 7);
    triplets t = svds(one_thread(), a, k, {.tol = 1e-10});
    CHECK(t.r.converged && consistent(a, t));
    CHECK(right_values(t, widened(s), 1e-10L));
    // with a known pair, one fewer
    const dense_operator b(n, m, s, 7);
    const auto left = rounded(b.u[0]), right = rounded(b.v[0]);
    triplets rest = svds(one_thread(), b, k - 1, {.tol = 1e-10}, left, right);
    CHECK(rest.r.converged && consistent(b, rest, left, right));
    CHECK(right_values(rest, {s.begin() + 1, s.end()}, 1e-10L));
  }
}

TEST(a_known_pair_is_left_out) {
  if (too_slow()) return;
  for (const auto& [n, m] : sizes) {
    for (const double first : {1.0, 1e6}) {  // also where it dwarfs the rest
      std::vector<double> s = falling(15, 1.1);
      s.insert(s.begin(), first * 1.0001);
      const dense_operator a(n, m, s, 8);
      const auto left = rounded(a.u[0]), right = rounded(a.v[0]);
      triplets t = svds(one_thread(), a, 5, {.tol = 1e-7}, left, right);
      CHECK(t.r.converged);
      if (first == 1) CHECK(consistent(a, t, left, right));
      CHECK(right_values(t, {s.begin() + 1, s.end()}, first == 1 ? 1e-7L : 1e-6L));
    }
  }
}

TEST(one_application_returns_an_honest_answer) {
  if (too_slow()) return;
  for (const auto& [n, m] : sizes) {
    const dense_operator a(n, m, falling(std::min(n, m), 1.01), 9);
    triplets t = svds(one_thread(), a, 5, {.tol = 1e-8, .max_apply = 1});
    CHECK(!t.r.converged && t.r.applications == 1 && a.normals == 1);
    CHECK(consistent(a, t));  // the residuals are true
    CHECK(*std::max_element(t.r.residuals.begin(), t.r.residuals.end()) > 1e-8 * t.r.values[0]);
    for (const ptrdiff_t most : {2, 3, 5}) {
      const dense_operator b(n, m, falling(std::min(n, m), 1.01), 9);
      triplets more = svds(one_thread(), b, 5, {.tol = 1e-14, .max_apply = most});
      CHECK(more.r.applications <= most && consistent(b, more));
    }
  }
}

TEST(restarts_lose_nothing) {
  if (too_slow()) return;
  // a basis of 48 vectors, 400 columns and a flat spectrum: many restarts
  std::vector<double> s = falling(200, 1.003);
  const dense_operator a(300, 400, s, 10);
  triplets t = svds(one_thread(), a, 4, {.block = 4, .tol = 1e-7, .max_apply = 2000});
  CHECK(t.r.converged && t.r.applications > 24);
  CHECK(consistent(a, t));
  CHECK(right_values(t, widened(s), 1e-7L));
  std::printf("     %td applications\n", t.r.applications);
}

TEST(another_seed_finds_the_same_values) {
  if (too_slow()) return;
  std::vector<double> first;
  for (const std::uint64_t seed : {0, 1, 2}) {
    const dense_operator a(50, 60, falling(50, 1.1), 11);
    triplets t = svds(one_thread(), a, 4, {.tol = 1e-10, .seed = seed});
    CHECK(t.r.converged && consistent(a, t));
    if (seed == 0) first = t.v;
    CHECK((t.v == first) == (seed == 0));  // other bits: the seed is used
    for (std::size_t c = 0; c < 4; ++c)
      CHECK(std::fabs(t.r.values[c] - std::pow(1.1, -static_cast<double>(c))) <= 1e-10);
  }
}

TEST(singular_triplets_of_a_plan) {
  if (too_slow()) return;
  // W = D_a^{-1/2} P D_b^{-1/2} of a converged plan: the first triplet is (1, sqrt a, sqrt b) and known
  const ptrdiff_t n = 300, m = 250, k = 5;
  const problem<double> data(kind::sqeuclidean, n, m, 3, 12);
  const std::vector<double> a(at(n), 1.0 / n), b(at(m), 1.0 / m);
  std::vector<double> f(at(n)), g(at(m)), u(at(n)), v(at(m));
  const double reg = 0.2;
  CHECK(ot::solve<double>(one_thread(), data.geo, a, b, {.schedule = {reg}, .tol = 1e-12}, f, g).converged);
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = f[i] / reg + std::log(a[i]) / 2;
  for (std::size_t j = 0; j < v.size(); ++j) v[j] = g[j] / reg + std::log(b[j]) / 2;
  const dense w = dense_plan(costs(data.geo).cost, reg, u, v);
  const std::vector<double> left(at(n), 1 / std::sqrt(static_cast<double>(n))),
      right(at(m), 1 / std::sqrt(static_cast<double>(m)));
  std::vector<double> first;
  for (const int threads : {1, 2, 3, 7}) {
    const context ctx({.threads = threads});
    const ot::plan_operator<double> op({data.geo, reg, u, v});
    triplets t = svds(ctx, op, k, {.tol = 1e-9}, left, right);
    CHECK(t.r.converged);
    std::vector<double> all = t.u;
    all.insert(all.end(), t.v.begin(), t.v.end());
    all.insert(all.end(), t.r.values.begin(), t.r.values.end());
    all.insert(all.end(), t.r.residuals.begin(), t.r.residuals.end());
    if (threads != 1) {
      CHECK(all == first);  // the same bits
      continue;
    }
    first = all;
    const dense_operator reference(w);
    reference.normals = t.r.applications;
    CHECK(consistent(reference, t, left, right));
    dense_operator direct(w);
    triplets d = svds(ctx, direct, k + 1, {.tol = 1e-11});
    CHECK(std::fabs(d.r.values[0] - 1) <= 1e-10);
    for (std::size_t c = 0; c < 5; ++c) CHECK(std::fabs(d.r.values[c + 1] - t.r.values[c]) <= 1e-9);
  }
}

TEST(progress_and_cancellation) {
  const auto s = falling(200, 1.003);
  for (const ptrdiff_t when : {1, 3}) {
    ptrdiff_t calls = 0;
    const context ctx({.threads = 1, .progress = [&](const progress_info& p) {
                         ++calls;
                         CHECK(std::string(p.stage) == "singular vectors" && p.iteration == calls &&
                               p.error > 0);
                         return p.iteration == when;
                       }});
    const dense_operator a(200, 220, s, 13);
    triplets t = svds(ctx, a, 4, {.block = 4, .tol = 1e-10});
    CHECK(!t.r.converged && t.r.applications == when && calls == when && consistent(a, t));
  }
  const context stopped({.threads = 1, .should_stop = [] { return true; }});
  const dense_operator a(200, 220, s, 13);
  CHECK_THROWS(cancelled, svds(stopped, a, 4, {}), "cancelled");
}

TEST(bad_input_is_named_before_anything_is_written) {
  const dense_operator a(8, 6, falling(6, 1.5), 14);
  const auto left = rounded(a.u[0]), right = rounded(a.v[0]);
  std::vector<double> u(8 * 6, -7), v(6 * 6, -7);
  const context& ctx = one_thread();
  using bad = std::invalid_argument;
  const auto run = [&](ptrdiff_t k, const linalg::svds_options& o, const std::vector<double>& l,
                       const std::vector<double>& r) {
    return linalg::svds(ctx, a, l, r, k, o, {u.data(), k, 8}, {v.data(), k, 6}).applications;
  };
  CHECK_THROWS(bad, run(0, {}, {}, {}), "k must be between 1 and 6, got 0");
  CHECK_THROWS(bad, run(7, {}, {}, {}), "k must be between 1 and 6, got 7");
  CHECK_THROWS(bad, run(6, {}, left, right), "k must be between 1 and 5, got 6");
  CHECK_THROWS(bad, run(2, {.block = -1}, {}, {}), "block must be >= 0, got -1");
  for (const double tol : {0.0, -1.0, std::nan("")})
    CHECK_THROWS(bad, run(2, {.tol = tol}, {}, {}), "tol must be > 0");
  CHECK_THROWS(bad, run(2, {.max_apply = 0}, {}, {}), "max_apply must be >= 1, got 0");
  CHECK_THROWS(bad, run(2, {}, left, {}), "left and right must be given together");
  CHECK_THROWS(bad, run(2, {}, right, right), "left and right must have lengths 8 and 6");
  std::vector<double> longer = left;
  for (double& x : longer) x *= 1.01;
  CHECK_THROWS(bad, run(2, {}, longer, right), "left must be a unit vector, its length is 1.01");
  longer = right;
  longer[1] = std::nan("");
  CHECK_THROWS(bad, run(2, {}, left, longer), "right must be a unit vector, its length is nan");
  CHECK_THROWS(bad, linalg::svds(ctx, a, {}, {}, 2, {}, {u.data(), 3, 8}, {v.data(), 2, 6}).converged,
               "u and v must be k x rows and k x cols");
  CHECK_THROWS(bad, linalg::svds(ctx, a, {}, {}, 2, {}, {u.data(), 2, 8}, {v.data(), 2, 8}).converged,
               "u and v must be k x rows and k x cols");
  for (const double x : u) CHECK(x == -7);
  for (const double x : v) CHECK(x == -7);
  CHECK(a.normals == 0 && a.applied == 0);
}

TEST(an_operator_that_is_not_finite_does_not_converge) {
  dense values(10, 9);
  numbers random(15);
  for (real& x : values.values) x = random.normal();
  values(3, 4) = std::numeric_limits<double>::quiet_NaN();
  const dense_operator a(values);
  triplets t = svds(one_thread(), a, 2, {.max_apply = 20});
  CHECK(!t.r.converged && t.r.applications <= 20);
}

TEST(gram_and_combine) {
  for (const ptrdiff_t n : {1, 31, 2048, 2049, 9000}) {
    for (const auto& [p, q] : {size{1, 1}, {3, 5}, {4, 4}, {9, 2}}) {
      numbers random(16);
      linalg::block x(one_thread(), n, p + 2), y(one_thread(), n, q + 1);
      for (linalg::block* b : {&x, &y})
        for (ptrdiff_t i = 0; i < n; ++i)
          for (ptrdiff_t c = 0; c < b->cols(); ++c) b->row(i)[c] = random.uniform(-1, 1);
      // p columns in two panels
      linalg::panels both{x.view(1, 1)};
      if (p > 1) both.push_back(x.view(3, p - 1));
      const auto column = [](ptrdiff_t c) { return c == 0 ? 1 : 2 + c; };
      const auto g = linalg::gram(one_thread(), both, y.view(1, q), nullptr);
      bool good = true;
      for (ptrdiff_t c = 0; c < p; ++c)
        for (ptrdiff_t d = 0; d < q; ++d) {
          real s = 0;
          for (ptrdiff_t i = 0; i < n; ++i) s += real(x.row(i)[column(c)]) * y.row(i)[1 + d];
          good = good && std::fabs(g[at(c * q + d)] - s) <= 1e-13L * static_cast<real>(n + 1);
        }
      CHECK(good);

      std::vector<double> s(at(p * q));
      for (double& z : s) z = random.uniform(-1, 1);
      for (const bool add : {false, true}) {
        linalg::block out(one_thread(), n, q + 1);
        linalg::copy(one_thread(), std::as_const(y).view(0, q + 1), out.view(0, q + 1));
        linalg::combine(one_thread(), both, s, out.view(1, q), add);
        for (ptrdiff_t i = 0; i < n; ++i) {
          good = good && out.row(i)[0] == y.row(i)[0];
          for (ptrdiff_t d = 0; d < q; ++d) {
            real want = add ? y.row(i)[1 + d] : 0;
            for (ptrdiff_t c = 0; c < p; ++c) want += real(s[at(c * q + d)]) * x.row(i)[column(c)];
            good = good && std::fabs(out.row(i)[1 + d] - want) <= 1e-14L * static_cast<real>(p + 2);
          }
        }
        CHECK(good);
      }
      std::vector<double> turned(at(q * n));
      linalg::transpose(one_thread(), std::as_const(y).view(1, q), {turned.data(), q, n});
      for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t d = 0; d < q; ++d) good = good && turned[at(d * n + i)] == y.row(i)[1 + d];
      linalg::block again(one_thread(), n, q);
      linalg::transpose(one_thread(), {turned.data(), q, n}, again.view(0, q));
      for (ptrdiff_t i = 0; i < n; ++i)
        for (ptrdiff_t d = 0; d < q; ++d) good = good && again.row(i)[d] == y.row(i)[1 + d];
      CHECK(good);
    }
  }
}

TEST(small_eigenproblems_and_singular_values) {
  for (const ptrdiff_t n : {1, 2, 7, 30}) {
    numbers random(17);
    std::vector<double> a(at(n * n));
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j <= i; ++j) a[at(i + j * n)] = a[at(j + i * n)] = random.uniform(-1, 1);
    }
    const auto [values, vectors] = linalg::symmetric_eigen(a, n);
    bool good = std::is_sorted(values.begin(), values.end());
    for (ptrdiff_t c = 0; c < n; ++c) {
      for (ptrdiff_t i = 0; i < n; ++i) {
        real s = -real(values[at(c)]) * vectors[at(i * n + c)];
        for (ptrdiff_t j = 0; j < n; ++j) s += real(a[at(i + j * n)]) * vectors[at(j * n + c)];
        good = good && std::fabs(s) <= 1e-13L;
      }
    }
    CHECK(good);
    // columns of very different size: the small values keep their digits
    dense graded(n, n);
    for (ptrdiff_t i = 0; i < n; ++i) {
      for (ptrdiff_t j = 0; j < n; ++j)
        graded(i, j) = a[at(i * n + j)] = random.uniform(-1, 1) * std::pow(10.0, -static_cast<double>(j) / 2);
    }
    const auto [singular, u, v] = linalg::small_svd(a, n);
    const auto truth = jacobi_values(graded);
    good = std::is_sorted(singular.rbegin(), singular.rend());
    for (ptrdiff_t c = 0; c < n; ++c)
      good = good && std::fabs(singular[at(c)] - truth[at(c)]) <= 1e-12L * truth[at(c)];
    for (ptrdiff_t c = 0; c < n; ++c) {
      for (ptrdiff_t i = 0; i < n; ++i) {
        real s = -real(singular[at(c)]) * u[at(i * n + c)];
        for (ptrdiff_t j = 0; j < n; ++j) s += graded(i, j) * v[at(j * n + c)];
        good = good && std::fabs(s) <= 1e-13L * truth[0];
      }
      for (ptrdiff_t other = 0; other <= c; ++other) {
        real uu = other == c ? -1 : 0, vv = uu;
        for (ptrdiff_t i = 0; i < n; ++i) {
          uu += real(u[at(i * n + c)]) * u[at(i * n + other)];
          vv += real(v[at(i * n + c)]) * v[at(i * n + other)];
        }
        good = good && std::fabs(uu) <= 1e-13L && std::fabs(vv) <= 1e-13L;
      }
    }
    CHECK(good);
  }
}

TEST_MAIN
