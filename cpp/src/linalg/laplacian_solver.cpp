// Laplacian systems: preconditioned conjugate gradients for a block of right-hand sides, each with its own
// steps. The flexible formula for the direction, because the preconditioner works in float.
#include <algorithm>
#include <cmath>
#include <lapwing/linalg.hpp>
#include <utility>

#include "graph_pencil.hpp"

namespace lapwing::linalg {

struct laplacian_solver::state {
  ordered_graph graph;
  graph_pencil pencil;
  approx_cholesky factor;
  std::ptrdiff_t nodes;

  state(const context& ctx, csr_view<const double> w, int split, std::uint64_t seed)
      : graph(ctx, w),
        pencil(ctx, graph.weights.view(), false, graph.ends),
        factor(ctx, graph.weights.view(), split, seed),
        nodes(w.rows()) {}

  void gather(matrix_view<const double> x, block& y) const {
    for (std::ptrdiff_t i = 0; i < y.rows(); ++i)
      std::copy_n(&x(graph.order[static_cast<std::size_t>(i)], 0), x.cols, y.row(i));
  }
  void scatter(const block& y, matrix_view<double> x) const {  // isolated nodes: 0
    for (std::ptrdiff_t i = 0; i < x.rows; ++i) std::fill_n(&x(i, 0), x.cols, 0.0);
    for (std::ptrdiff_t i = 0; i < y.rows(); ++i)
      std::copy_n(y.row(i), x.cols, &x(graph.order[static_cast<std::size_t>(i)], 0));
  }
};

namespace {

// x_c . y_c for every column
std::vector<double> dots(const context& ctx, matrix_view<const double> x, matrix_view<const double> y) {
  return summed(ctx, x.rows, block_chunk, x.cols, [&](std::ptrdiff_t lo, std::ptrdiff_t count, double* sum) {
    for (std::ptrdiff_t i = lo; i < lo + count; ++i)
      for (std::ptrdiff_t c = 0; c < x.cols; ++c) sum[c] += x(i, c) * y(i, c);
  });
}

// y_c = x_c + s_c y_c (into_y) or y_c += s_c x_c
void update(const context& ctx, matrix_view<const double> x, const std::vector<double>& s,
            matrix_view<double> y, bool into_y) {
  ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::ptrdiff_t c = 0; c < x.cols; ++c) {
        const double f = s[static_cast<std::size_t>(c)];
        y(i, c) = into_y ? x(i, c) + f * y(i, c) : y(i, c) + f * x(i, c);
      }
  });
}

}  // namespace

laplacian_solver::laplacian_solver(const context& ctx, csr_view<const double> w, int split,
                                   std::uint64_t seed)
    : state_(std::make_unique<state>(ctx, w, split, seed)) {}
laplacian_solver::~laplacian_solver() = default;
laplacian_solver::laplacian_solver(laplacian_solver&&) noexcept = default;
laplacian_solver& laplacian_solver::operator=(laplacian_solver&&) noexcept = default;
std::ptrdiff_t laplacian_solver::size() const { return state_->nodes; }
std::ptrdiff_t laplacian_solver::factor_nonzeros() const { return state_->factor.nonzeros(); }
std::span<const std::int32_t> laplacian_solver::labels() const { return state_->graph.parts.labels; }

void laplacian_solver::apply(const context& ctx, matrix_view<const double> b, matrix_view<double> x) const {
  const state& s = *state_;
  check(b.rows == s.nodes && x.rows == s.nodes && b.cols == x.cols, "b and x must be ", s.nodes,
        " x as many, got ", b.rows, " x ", b.cols, " and ", x.rows, " x ", x.cols);
  block r(ctx, s.pencil.size(), b.cols);
  s.gather(b, r);
  s.pencil.project_dual(ctx, r.view(0, b.cols));
  s.factor.apply(ctx, std::as_const(r).view(0, b.cols), r.view(0, b.cols));
  s.pencil.project(ctx, r.view(0, b.cols));
  for (std::ptrdiff_t i = 0; i < r.rows(); ++i)
    for (std::ptrdiff_t c = 0; c < b.cols; ++c) r.row(i)[c] *= s.graph.scale;
  s.scatter(r, x);
}

laplacian_solver::result laplacian_solver::solve(const context& ctx, matrix_view<const double> b,
                                                 matrix_view<double> x, double tol,
                                                 std::ptrdiff_t max_iter) const {
  const state& s = *state_;
  check(b.rows == s.nodes && x.rows == s.nodes && b.cols == x.cols, "b and x must be ", s.nodes,
        " x as many, got ", b.rows, " x ", b.cols, " and ", x.rows, " x ", x.cols);
  check(tol > 0, "tol must be > 0, got ", tol);
  check(max_iter >= 1, "max_iter must be >= 1, got ", max_iter);
  const std::ptrdiff_t n = s.pencil.size(), m = b.cols;
  block rhs(ctx, n, m), y(ctx, n, m), r(ctx, n, m), z(ctx, n, m), p(ctx, n, m), q(ctx, n, m), old(ctx, n, m);
  y.fill(0);
  p.fill(0);
  const auto all = [m](block& v) { return v.view(0, m); };
  const auto read = [m](const block& v) { return v.view(0, m); };
  s.gather(b, rhs);
  s.pencil.project_dual(ctx, all(rhs));
  std::vector<double> size = dots(ctx, read(rhs), read(rhs)), unit(size.size());
  for (std::size_t c = 0; c < size.size(); ++c) {
    unit[c] = size[c] > 0 ? std::sqrt(size[c]) : 0.0;
    size[c] = size[c] > 0 ? 1.0 : 0.0;
  }
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t c = 0; c < m; ++c)
      if (unit[static_cast<std::size_t>(c)] > 0) rhs.row(i)[c] /= unit[static_cast<std::size_t>(c)];
  copy(ctx, read(rhs), all(r));
  result out;
  std::vector<double> rz(static_cast<std::size_t>(m), 0.0);
  const auto residual = [&](const std::vector<double>& square) {
    double worst = 0;
    for (std::size_t c = 0; c < size.size(); ++c)
      if (size[c] > 0) worst = std::max(worst, std::sqrt(square[c]) / size[c]);
    return worst;
  };
  double worst = residual(dots(ctx, read(r), read(r)));
  while (out.iterations < max_iter && worst > tol / 2) {
    s.factor.apply(ctx, read(r), all(z));
    s.pencil.project(ctx, all(z));
    const std::vector<double> next = dots(ctx, read(r), read(z));
    std::vector<double> beta(rz.size(), 0.0);
    if (out.iterations > 0) {
      const std::vector<double> cross = dots(ctx, read(old), read(z));
      for (std::size_t c = 0; c < beta.size(); ++c) beta[c] = rz[c] > 0 ? (next[c] - cross[c]) / rz[c] : 0;
    }
    rz = next;
    update(ctx, read(z), beta, all(p), true);
    s.pencil.multiply(ctx, read(p), all(q));
    const std::vector<double> pq = dots(ctx, read(p), read(q));
    std::vector<double> alpha(rz.size());
    for (std::size_t c = 0; c < alpha.size(); ++c) alpha[c] = pq[c] > 0 ? rz[c] / pq[c] : 0;
    update(ctx, read(p), alpha, all(y), false);
    copy(ctx, read(r), all(old));
    for (double& v : alpha) v = -v;
    update(ctx, read(q), alpha, all(r), false);
    s.pencil.project_dual(ctx, all(r));
    worst = residual(dots(ctx, read(r), read(r)));
    ++out.iterations;
    if (ctx.report("laplacian system", out.iterations, worst)) break;
  }
  s.pencil.project(ctx, all(y));
  s.pencil.multiply(ctx, read(y), all(q));
  update(ctx, read(rhs), std::vector<double>(rz.size(), -1.0), all(q), true);  // b - L x
  const std::vector<double> square = dots(ctx, read(q), read(q));
  out.converged = true;
  for (std::size_t c = 0; c < square.size(); ++c) {
    out.residuals.push_back(size[c] > 0 ? std::sqrt(square[c]) / size[c] : 0);
    out.converged = out.converged && out.residuals.back() <= tol;
  }
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t c = 0; c < m; ++c) y.row(i)[c] *= unit[static_cast<std::size_t>(c)] * s.graph.scale;
  s.scatter(y, x);
  return out;
}

}  // namespace lapwing::linalg
