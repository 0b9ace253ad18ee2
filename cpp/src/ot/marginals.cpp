// The linear equations of the marginals of a plan, for implicit differentiation. Rows are eliminated: what is
// left, diag(columns) - P^T diag(1 / rows) P, is symmetric and positive semi-definite, and conjugate
// gradients take one pass over the pairs a step.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <span>
#include <vector>

namespace lapwing::ot {
namespace {

using vector = std::vector<double>;
std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }
matrix_view<const double> row_of(const vector& x) { return {x.data(), 1, std::ssize(x)}; }
matrix_view<double> row_of(vector& x) { return {x.data(), 1, std::ssize(x)}; }

// A plan, whatever it is made of; `unit`: the machine epsilon of its type.
class products {
 public:
  explicit products(double u) : unit(u) {}
  virtual ~products() = default;
  virtual std::ptrdiff_t rows() const = 0;
  virtual std::ptrdiff_t cols() const = 0;
  virtual void apply(const vector& x, vector& out, bool transposed) const = 0;
  // P^T diag(w) P x
  virtual void normal(std::span<const double> w, const vector& x, vector& out) const {
    vector image(at(rows()));
    apply(x, image, false);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] *= w[i];
    apply(image, out, true);
  }
  virtual void squares(const vector& x, vector& out) const = 0;  // sum_i P_ij^2 x_i
  const double unit;
};

template <class T>
class computed_plan final : public products {
 public:
  computed_plan(const context& c, const plan<T>& made, bool transposed)
      : products(std::numeric_limits<T>::epsilon()), ctx(c), p(made), flipped(transposed) {}
  std::ptrdiff_t rows() const override { return flipped ? p.costs.cols() : p.costs.rows(); }
  std::ptrdiff_t cols() const override { return flipped ? p.costs.rows() : p.costs.cols(); }
  void apply(const vector& x, vector& out, bool transposed) const override {
    ot::apply(ctx, p, row_of(x), row_of(out), transposed != flipped);
  }
  void normal(std::span<const double> w, const vector& x, vector& out) const override {
    if (flipped) return products::normal(w, x, out);
    ot::normal(ctx, p, w, row_of(x), row_of(out));  // in one sweep
  }
  // the plan of twice the potentials at half the regularisation
  void squares(const vector& x, vector& out) const override {
    vector u(p.u.begin(), p.u.end()), v(p.v.begin(), p.v.end());
    for (double& z : u) z *= 2;
    for (double& z : v) z *= 2;
    ot::apply(ctx, plan<T>{p.costs, p.reg / 2, u, v}, row_of(x), row_of(out), !flipped);
  }

 private:
  const context& ctx;
  const plan<T>& p;
  bool flipped;
};

class stored_plan final : public products {
 public:
  stored_plan(csr_view<const double> entries, double unit) : products(unit), p(entries) {}
  std::ptrdiff_t rows() const override { return p.rows(); }
  std::ptrdiff_t cols() const override { return p.cols; }
  void apply(const vector& x, vector& out, bool transposed) const override {
    std::ranges::fill(out, 0.0);
    if (transposed)
      each([&](std::size_t i, std::size_t j, double v) { out[j] += v * x[i]; });
    else
      each([&](std::size_t i, std::size_t j, double v) { out[i] += v * x[j]; });
  }
  void squares(const vector& x, vector& out) const override {
    std::ranges::fill(out, 0.0);
    each([&](std::size_t i, std::size_t j, double v) { out[j] += v * v * x[i]; });
  }

 private:
  template <class Body>
  void each(Body&& body) const {
    for (std::ptrdiff_t i = 0; i < rows(); ++i)
      for (std::int64_t q = p.offsets[at(i)]; q < p.offsets[at(i) + 1]; ++q) {
        const auto k = static_cast<std::size_t>(q);
        body(at(i), static_cast<std::size_t>(p.indices[k]), p.values[k]);
      }
  }

  csr_view<const double> p;
};

class system {
 public:
  system(const context& ctx, const products& p, const marginal_equations& e)
      : ctx_(ctx), p_(p), e_(e), inverse_(at(p.rows()), 0.0), whole_(at(p.cols())), image_(whole_.size()) {
    for (std::size_t i = 0; i < inverse_.size(); ++i)
      if (e.rows[i] > 0) inverse_[i] = 1 / e.rows[i];
    for (std::size_t j = 0; j < whole_.size(); ++j)
      if (e.columns[j] > 0 && (e.free.empty() || e.free[j])) free_.push_back(j);
    p.squares(inverse_, image_);
    for (const std::size_t j : free_)
      diagonal_.push_back(std::max(e.columns[j] - image_[j], 64 * p_.unit * e.columns[j]));
    double mass = 0;
    for (const double c : e.columns) mass += c;
    if (e.common) diagonal_.push_back(std::max(mass, std::numeric_limits<double>::min()));
  }

  marginal_result run(std::span<double> s, std::span<double> t) {
    vector scaled(inverse_.size()), moved(whole_.size()), right, scale;
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = e_.q[i] * inverse_[i];
    p_.apply(scaled, moved, true);
    double total = e_.total, total_size = std::abs(e_.total);
    for (std::size_t j = 0; j < moved.size(); ++j) {
      total -= moved[j];
      total_size += std::abs(moved[j]);
    }
    for (const std::size_t j : free_) {
      right.push_back(e_.w[j] - moved[j]);
      scale.push_back(std::abs(e_.w[j]) + std::abs(moved[j]));
    }
    if (e_.common) {
      right.push_back(total);
      scale.push_back(total_size);
    }
    marginal_result r;
    vector z(right.size(), 0.0);
    const double size = norm(right), noise = 64 * p_.unit * norm(scale);
    if (size > noise) {
      conjugate_gradients(right, e_.tol * size, z, r);
      vector rest(right.size());
      product(z, rest);
      for (std::size_t k = 0; k < rest.size(); ++k) rest[k] = right[k] - rest[k];
      r.residual = norm(rest) / size;
    }
    r.converged = r.residual <= 2 * e_.tol;
    if (e_.common) r.common = z.back();
    expand(z);
    std::copy(whole_.begin(), whole_.end(), t.begin());
    vector image(inverse_.size());
    p_.apply(whole_, image, false);
    for (std::size_t i = 0; i < image.size(); ++i) s[i] = (e_.q[i] - image[i]) * inverse_[i];
    return r;
  }

 private:
  // |x| in the norm of the preconditioner
  double norm(const vector& x) const {
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += x[k] * x[k] / diagonal_[k];
    return std::sqrt(sum);
  }
  void expand(const vector& z) {
    std::ranges::fill(whole_, e_.common ? z.back() : 0.0);
    for (std::size_t k = 0; k < free_.size(); ++k) whole_[free_[k]] += z[k];
  }
  void product(const vector& z, vector& out) {
    expand(z);
    p_.normal(inverse_, whole_, image_);
    double total = 0;
    for (std::size_t j = 0; j < whole_.size(); ++j) {
      image_[j] = e_.columns[j] * whole_[j] - image_[j];
      total += image_[j];
    }
    for (std::size_t k = 0; k < free_.size(); ++k) out[k] = image_[free_[k]];
    if (e_.common) out.back() = total;
  }

  // The best of what came by: where rounding takes over, the last is not.
  void conjugate_gradients(const vector& right, double target, vector& best, marginal_result& r) {
    const std::size_t n = right.size();
    vector z(n, 0.0), rest = right, direction(n), image(n);
    double rho = 0;
    for (std::size_t k = 0; k < n; ++k) {
      direction[k] = rest[k] / diagonal_[k];
      rho += rest[k] * direction[k];
    }
    double least = std::sqrt(rho);
    int since = 0;
    while (r.iterations < e_.max_iter && std::sqrt(rho) > target && !r.stopped) {
      ++r.iterations;
      product(direction, image);
      double curvature = 0;
      for (std::size_t k = 0; k < n; ++k) curvature += direction[k] * image[k];
      if (!(curvature > 0)) break;  // rounding has taken over
      const double before = rho, length = rho / curvature;
      rho = 0;
      for (std::size_t k = 0; k < n; ++k) {
        z[k] += length * direction[k];
        rest[k] -= length * image[k];
        rho += rest[k] * (rest[k] / diagonal_[k]);
      }
      if (const double now = std::sqrt(rho); now < least) {
        since = now > 0.99 * least ? since + 1 : 0;
        best = z;
        least = now;
      } else {
        ++since;
      }
      if (since == 200) break;  // no longer falling
      for (std::size_t k = 0; k < n; ++k) direction[k] = rest[k] / diagonal_[k] + rho / before * direction[k];
      r.stopped = ctx_.report("implicit differentiation", r.iterations, std::sqrt(rho));
    }
  }

  const context& ctx_;
  const products& p_;
  const marginal_equations& e_;
  vector inverse_, diagonal_, whole_, image_;
  std::vector<std::size_t> free_;
};

marginal_result solve(const context& ctx, const products& p, const marginal_equations& e, std::span<double> s,
                      std::span<double> t) {
  const std::size_t n = at(p.rows()), m = at(p.cols());
  check(e.rows.size() == n && e.q.size() == n && s.size() == n, "rows, q and s must have length ", n,
        ", got ", e.rows.size(), ", ", e.q.size(), " and ", s.size());
  check(e.columns.size() == m && e.w.size() == m && t.size() == m && (e.free.empty() || e.free.size() == m),
        "columns, w, t and free must have length ", m, ", got ", e.columns.size(), ", ", e.w.size(), ", ",
        t.size(), " and ", e.free.size());
  check(e.tol > 0, "tol must be > 0, got ", e.tol);
  check(e.max_iter >= 1, "max_iter must be >= 1, got ", e.max_iter);
  return system(ctx, p, e).run(s, t);
}

}  // namespace

template <class T>
marginal_result solve_marginals(const context& ctx, const plan<T>& p, const marginal_equations& e,
                                std::span<double> s, std::span<double> t) {
  return solve(ctx, computed_plan<T>(ctx, p, e.transposed), e, s, t);
}
template marginal_result solve_marginals<float>(const context&, const plan<float>&, const marginal_equations&,
                                                std::span<double>, std::span<double>);
template marginal_result solve_marginals<double>(const context&, const plan<double>&,
                                                 const marginal_equations&, std::span<double>,
                                                 std::span<double>);

marginal_result solve_marginals(const context& ctx, csr_view<const double> p, double unit,
                                const marginal_equations& e, std::span<double> s, std::span<double> t) {
  check(p.offsets.size() > 1 && p.offsets.front() == 0 && p.offsets.back() == p.size() &&
            p.indices.size() == p.values.size(),
        "offsets must rise from 0 to the number of entries, got ", p.values.size(), " entries");
  for (std::size_t i = 1; i < p.offsets.size(); ++i)
    check(p.offsets[i - 1] <= p.offsets[i], "offsets must rise, but do not at ", i);
  for (const std::int32_t j : p.indices)
    check(j >= 0 && j < p.cols, "a column of the plan is ", j, ", outside 0 ... ", p.cols - 1);
  return solve(ctx, stored_plan(p, unit), e, s, t);
}

}  // namespace lapwing::ot
