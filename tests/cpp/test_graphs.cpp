// Sparse matrices and graphs; the approximate Cholesky factor and the eigenpairs of Laplacians against what
// is known in closed form.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/sparse.hpp>
#include <numbers>
#include <tuple>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"
#include "sample_graphs.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

sparse::csr random_tree(numbers& random, int n, double decades) {
  entries_t edges;
  for (int i = 1; i < n; ++i)
    edges.emplace_back(static_cast<int>(random.uniform(0, i)), i,
                       std::pow(10.0, random.uniform(-decades, decades)));
  return graph(n, edges);
}

double value_at(const sparse::csr& a, int i, int j) {
  for (std::int64_t q = a.offsets[at(i)]; q < a.offsets[at(i) + 1]; ++q)
    if (a.indices[at(q)] == j) return a.values[at(q)];
  return 0;
}

const context& one_thread() {
  static const context ctx({.threads = 1});
  return ctx;
}

// L x for one vector
std::vector<double> laplacian_times(const sparse::csr& w, const std::vector<double>& x) {
  std::vector<double> y(x.size(), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::int64_t q = w.offsets[i]; q < w.offsets[i + 1]; ++q)
      y[i] += w.values[at(q)] * (x[i] - x[at(w.indices[at(q)])]);
  return y;
}

}  // namespace

TEST(transpose_and_symmetrise) {
  const sparse::csr a = matrix(3, 3, {{0, 1, 2.0}, {1, 0, 0.5}, {1, 2, 3.0}, {2, 2, 1.0}});
  const sparse::csr t = sparse::transpose(a.view());
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) CHECK(value_at(t, j, i) == value_at(a, i, j));
  const sparse::csr wide = matrix(2, 4, {{0, 3, 1.0}, {1, 0, 2.0}});
  CHECK(sparse::transpose(wide.view()).rows() == 4 && sparse::transpose(wide.view()).cols == 2);
  using sparse::symmetry;
  const auto value = [&](symmetry rule, int i, int j) {
    return value_at(sparse::symmetrize(a.view(), rule), i, j);
  };
  CHECK(value(symmetry::maximum, 0, 1) == 2 && value(symmetry::maximum, 1, 0) == 2);
  CHECK(value(symmetry::minimum, 0, 1) == 0.5 && value(symmetry::minimum, 2, 1) == 0);
  CHECK(value(symmetry::mean, 1, 2) == 1.5 && value(symmetry::mean, 2, 2) == 1);
  CHECK(value(symmetry::fuzzy, 0, 1) == 2 + 0.5 - 1);
  CHECK(sparse::symmetrize(a.view(), symmetry::minimum).indices.size() == 3);  // zeros are dropped
  CHECK_THROWS(std::invalid_argument, sparse::symmetrize(wide.view(), symmetry::mean), "square");
}

TEST(bad_structure_is_named) {
  sparse::csr a = matrix(2, 2, {{0, 1, 1.0}, {1, 0, 1.0}});
  sparse::check_graph(a.view(), "w");
  a.values[1] = 2;
  CHECK_THROWS(std::invalid_argument, sparse::check_graph(a.view(), "w"),
               "w must be symmetric; it is not at (0, 1)");
  a.values[1] = -1;
  CHECK_THROWS(std::invalid_argument, sparse::check_graph(a.view(), "w"), ">= 0, got -1 at (1, 0)");
  a.indices[1] = 2;
  CHECK_THROWS(std::invalid_argument, sparse::check_structure(a.view(), "w"), "in row 1");
  a.offsets[1] = 5;
  CHECK_THROWS(std::invalid_argument, sparse::check_structure(a.view(), "w"), "at row 0");
  a.offsets.back() = 3;
  CHECK_THROWS(std::invalid_argument, sparse::check_structure(a.view(), "w"), "do not match");
}

TEST(components_come_by_size) {
  const sparse::csr w = graph(8, {{0, 4, 1.0}, {1, 2, 1.0}, {2, 3, 1.0}, {5, 6, 0.0}});
  const auto c = sparse::components(w.view());
  CHECK((c.sizes == std::vector<std::int64_t>{3, 2, 1, 1, 1}));
  CHECK((c.labels == std::vector<std::int32_t>{1, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(reordering_is_a_permutation_with_a_narrow_band) {
  numbers random(1);
  const int n = 30, m = 20;
  const sparse::csr w = grid(n, m);
  std::vector<std::int32_t> shuffle(at(n * m));
  for (std::size_t i = 0; i < shuffle.size(); ++i) shuffle[i] = static_cast<std::int32_t>(i);
  for (std::size_t i = shuffle.size(); i > 1; --i)
    std::swap(shuffle[i - 1],
              shuffle[at(static_cast<std::int64_t>(random.uniform(0, static_cast<double>(i))))]);
  const sparse::csr mixed = sparse::permute(context(), w.view(), shuffle);
  sparse::check_graph(mixed.view(), "w");
  auto order = sparse::reverse_cuthill_mckee(mixed.view());
  const sparse::csr sorted = sparse::permute(context(), mixed.view(), order);
  sparse::check_graph(sorted.view(), "w");
  int band = 0;
  for (std::size_t i = 0; i < at(n * m); ++i)
    for (std::int64_t q = sorted.offsets[i]; q < sorted.offsets[i + 1]; ++q)
      band = std::max(band, std::abs(static_cast<int>(i) - sorted.indices[at(q)]));
  CHECK(band <= 2 * m);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<std::int32_t>(i));
  const std::vector<std::int32_t> some{4, 2};
  CHECK(sparse::permute(context(), w.view(), some).rows() == 2);
  const std::vector<std::int32_t> twice{4, 4};
  CHECK_THROWS(std::invalid_argument, sparse::permute(context(), w.view(), twice), "none twice");
}

// On a tree nothing is sampled, so the factor is exact up to its own rounding, for weights of any spread.
TEST(approximate_cholesky_is_exact_on_trees) {
  numbers random(2);
  for (const double decades : {0.0, 2.0, 9.0}) {
    const int n = 2000;
    const sparse::csr w = random_tree(random, n, decades);
    const linalg::approx_cholesky m(one_thread(), w.view());
    CHECK(m.nonzeros() == n - 1);
    std::vector<double> x(at(n));
    for (double& v : x) v = random.normal();
    const std::vector<double> r = laplacian_times(w, x);
    std::vector<double> y(at(n));
    m.apply(one_thread(), {r.data(), n, 1}, {y.data(), n, 1});
    const std::vector<double> back = laplacian_times(w, y);
    double error = 0, size = 0;  // in the energy norm
    for (std::size_t i = 0; i < at(n); ++i) {
      error += (back[i] - r[i]) * (y[i] - x[i]);
      size += r[i] * x[i];
    }
    CHECK(std::abs(error) <= (decades > 3 ? 1e-14 : 1e-8) * size);
  }
}

// The mean of the factors over seeds is the Laplacian itself.
TEST(approximate_cholesky_is_unbiased) {
  const int n = 5, seeds = 4000;
  entries_t edges;
  for (int i = 0; i < n; ++i)
    for (int j = i + 1; j < n; ++j) edges.emplace_back(i, j, 1.0 + i + 2 * j);
  const sparse::csr w = graph(n, edges);
  // M^-1 cannot be averaged; x^T M x >= x^T L^+ x on average by convexity, and equal where nothing is
  // sampled.
  std::vector<double> x{1, -1, 2, -3, 1};
  double mean = 0;
  for (int s = 0; s < seeds; ++s) {
    const linalg::approx_cholesky m(one_thread(), w.view(), 2, static_cast<std::uint64_t>(s));
    std::vector<double> y(at(n));
    m.apply(one_thread(), {x.data(), n, 1}, {y.data(), n, 1});
    double form = 0;
    for (std::size_t i = 0; i < at(n); ++i) form += x[i] * y[i];
    mean += form / seeds;
  }
  // the exact x^T L^+ x, by conjugate gradients in double
  std::vector<double> u(at(n), 0.0), r = x, p = x;
  for (int k = 0; k < 20; ++k) {
    const auto q = laplacian_times(w, p);
    double rr = 0, pq = 0, next = 0;
    for (std::size_t i = 0; i < at(n); ++i) {
      rr += r[i] * r[i];
      pq += p[i] * q[i];
    }
    if (rr < 1e-28) break;
    for (std::size_t i = 0; i < at(n); ++i) {
      u[i] += rr / pq * p[i];
      r[i] -= rr / pq * q[i];
      next += r[i] * r[i];
    }
    for (std::size_t i = 0; i < at(n); ++i) p[i] = r[i] + next / rr * p[i];
  }
  double exact = 0;
  for (std::size_t i = 0; i < at(n); ++i) exact += u[i] * x[i];
  CHECK(mean >= 0.98 * exact && mean <= 1.3 * exact);
}

TEST(approximate_cholesky_does_not_depend_on_threads_or_columns) {
  const sparse::csr w = grid(200, 260);  // several slices
  const context many({.threads = 3});
  const linalg::approx_cholesky one(one_thread(), w.view(), 2, 7), other(many, w.view(), 2, 7);
  CHECK(one.nonzeros() == other.nonzeros());
  numbers random(3);
  const int n = 200 * 260, b = 5;
  std::vector<double> x(at(n * b)), y(at(n * b)), z(at(n * b)), single(at(n)), out(at(n));
  for (double& v : x) v = random.normal();
  one.apply(one_thread(), {x.data(), n, b}, {y.data(), n, b});
  other.apply(many, {x.data(), n, b}, {z.data(), n, b});
  CHECK(y == z);
  for (int i = 0; i < n; ++i) single[at(i)] = x[at(i * b + 3)];
  one.apply(one_thread(), {single.data(), n, 1}, {out.data(), n, 1});
  for (int i = 0; i < n; ++i)
    CHECK(std::abs(out[at(i)] - y[at(i * b + 3)]) <= 1e-3 * (1 + std::abs(out[at(i)])));
}

TEST(laplacian_eigenvalues_of_a_grid) {
  const int n = 40, m = 30, k = 9;
  std::vector<double> exact;
  const auto wave = [](int j, int size) {
    const double s = std::sin(std::numbers::pi * j / (2.0 * size));
    return 4 * s * s;
  };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) exact.push_back(wave(i, n) + wave(j, m));
  std::sort(exact.begin(), exact.end());
  using linalg::eigen_method;
  for (const auto method : {eigen_method::automatic, eigen_method::approx_cholesky, eigen_method::cholesky,
                            eigen_method::chebyshev, eigen_method::lanczos}) {
    std::vector<double> first;
    for (const int threads : {1, 2, 4}) {
      const context ctx({.threads = threads});
      std::vector<double> v(at(n * m * k));
      const auto r = linalg::laplacian_eigs(ctx, grid(n, m).view(), k,
                                            {.method = method, .form = linalg::normalization::none},
                                            {v.data(), n * m, k});
      CHECK(r.converged && r.component_sizes.size() == 1);
      CHECK(method == eigen_method::automatic ? !r.reason.empty() : r.method == method);
      for (int c = 0; c < k; ++c) {
        CHECK(std::abs(r.values[at(c)] - exact[at(c + 1)]) <= 1e-11);
        CHECK(r.residuals[at(c)] <= 1e-8);
      }
      if (threads == 1) first = v;
      CHECK(v == first);
    }
  }
}

class diagonal final : public linear_operator {
 public:
  explicit diagonal(std::vector<double> d) : d_(std::move(d)) {}
  std::ptrdiff_t rows() const override { return static_cast<std::ptrdiff_t>(d_.size()); }
  std::ptrdiff_t cols() const override { return rows(); }
  void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const override {
    for (std::ptrdiff_t k = 0; k < v.rows; ++k)
      for (std::ptrdiff_t i = 0; i < v.cols; ++i) out(k, i) = d_[static_cast<std::size_t>(i)] * v(k, i);
  }
  void apply_transposed(const context& ctx, matrix_view<const double> v,
                        matrix_view<double> out) const override {
    apply(ctx, v, out);
  }
  void normal(const context&, matrix_view<const double>, matrix_view<double>) const override { CHECK(false); }

 private:
  std::vector<double> d_;
};

TEST(eigenvalues_of_an_operator_at_either_end) {
  const int n = 500, k = 8;
  std::vector<double> d(at(n));
  for (int i = 0; i < n; ++i) d[at(i)] = i < 7 ? -2.0 : i * 0.01;  // seven copies, the block sees four
  for (const bool largest : {false, true}) {
    std::vector<double> v(at(n * k));
    const auto r = linalg::eigs(one_thread(), diagonal(d), {}, k, {.largest = largest}, {v.data(), n, k});
    CHECK(r.converged && r.rounds > 0);
    for (int c = 0; c < k; ++c) {
      const double exact = largest ? 0.01 * (n - 1 - c) : c < 7 ? -2.0 : 0.07;
      CHECK(std::abs(r.values[at(c)] - exact) <= 1e-7);
    }
  }
  // the first vector is known
  std::vector<double> known(at(n)), v(at(n * 2));
  known[at(n - 1)] = 1;
  const auto r = linalg::eigs(one_thread(), diagonal(d), {known.data(), n, 1}, 2,
                              {.largest = true, .norm = 5}, {v.data(), n, 2});
  CHECK(r.converged && std::abs(r.values[0] - 0.01 * (n - 2)) <= 1e-7);
}

TEST_MAIN
