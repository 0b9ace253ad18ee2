// Symmetric scaling of a kernel to given row sums: fixed-point steps, then Newton's method with conjugate
// gradients on the convex function 1/2 sum K_ij e^(d_i + d_j) - <r, d>.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <span>
#include <vector>

#include "../buffer.hpp"
#include "cost_rows.hpp"

namespace lapwing::ot {
namespace {

using vector = std::vector<double>;
constexpr std::ptrdiff_t warm_up = 20;  // fixed-point steps before Newton's method
constexpr std::ptrdiff_t grain = 256;   // rows of a chunk

std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

class kernel {
 public:
  virtual ~kernel() = default;
  virtual std::ptrdiff_t size() const = 0;
  virtual void tops(vector& out) const = 0;                     // log of the largest entry of each row
  virtual void log_sums(const vector& delta, vector& out) = 0;  // log sum_j K_ij e^(delta_j)
  virtual void sums(const vector& delta, vector& out) = 0;      // of diag(e^delta) K diag(e^delta)
  virtual void fix(const vector& delta) = 0;                    // that matrix is W of `product`
  virtual void product(const vector& x, vector& out) const = 0;
};

// K by its positive entries, in logarithms: kernels that span hundreds of decades do no harm.
class stored_kernel final : public kernel {
 public:
  stored_kernel(const context& ctx, csr_view<const double> k)
      : ctx_(ctx), k_(k), table_(kernels::get<double>(ctx.level())), logs_(k.values.size()) {
    for (std::size_t q = 0; q < logs_.size(); ++q) logs_[q] = std::log(k.values[q]);
    for (int w = 0; w < ctx.threads(); ++w) rooms_.emplace_back();
  }
  std::ptrdiff_t size() const override { return k_.rows(); }

  void tops(vector& out) const override {
    for (std::ptrdiff_t i = 0; i < size(); ++i)
      out[at(i)] = *std::max_element(logs_.begin() + begin(i), logs_.begin() + begin(i + 1));
  }
  void log_sums(const vector& delta, vector& out) override {
    each_chunk([&](std::ptrdiff_t lo, std::ptrdiff_t hi, vector& z) {
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        double height = -std::numeric_limits<double>::infinity();
        for (std::ptrdiff_t q = begin(i); q < begin(i + 1); ++q)
          height = std::max(height, logs_[at(q)] + delta[column(q)]);
        for (std::ptrdiff_t q = begin(i); q < begin(i + 1); ++q)
          z[at(q - begin(lo))] = (logs_[at(q)] + delta[column(q)] - height) * log2e;
        out[at(i)] = height;
      }
      exponentials(lo, hi, z);
      for (std::ptrdiff_t i = lo; i < hi; ++i) out[at(i)] += std::log(row(i, lo, z));
    });
  }
  void sums(const vector& delta, vector& out) override {
    each_chunk([&](std::ptrdiff_t lo, std::ptrdiff_t hi, vector& z) {
      scale(delta, lo, hi, z);
      for (std::ptrdiff_t i = lo; i < hi; ++i) out[at(i)] = row(i, lo, z);
    });
  }
  void fix(const vector& delta) override {
    values_.resize(logs_.size());
    entries(delta, values_);
  }
  void product(const vector& x, vector& out) const override {
    ctx_.parallel_for(size(), grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        double sum = 0;
        for (std::ptrdiff_t q = begin(i); q < begin(i + 1); ++q) sum += values_[at(q)] * x[column(q)];
        out[at(i)] = sum;
      }
    });
  }
  void entries(const vector& delta, std::span<double> out) {
    each_chunk([&](std::ptrdiff_t lo, std::ptrdiff_t hi, vector& z) {
      scale(delta, lo, hi, z);
      std::copy_n(z.data(), begin(hi) - begin(lo), out.data() + begin(lo));
    });
  }

 private:
  std::ptrdiff_t begin(std::ptrdiff_t i) const { return static_cast<std::ptrdiff_t>(k_.offsets[at(i)]); }
  std::size_t column(std::ptrdiff_t q) const { return static_cast<std::size_t>(k_.indices[at(q)]); }

  template <class Body>
  void each_chunk(Body&& body) {
    ctx_.parallel_for(size(), grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      if (ctx_.checkpoint(w)) return;
      vector& z = rooms_[static_cast<std::size_t>(w)];
      z.resize(at(round_up(begin(hi) - begin(lo), kernels::column_padding)));
      body(lo, hi, z);
    });
  }
  // The sum of the two first: it is the same number for (i, j) and (j, i).
  void scale(const vector& delta, std::ptrdiff_t lo, std::ptrdiff_t hi, vector& z) const {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::ptrdiff_t q = begin(i); q < begin(i + 1); ++q)
        z[at(q - begin(lo))] = (logs_[at(q)] + (delta[at(i)] + delta[column(q)])) * log2e;
    exponentials(lo, hi, z);
  }
  void exponentials(std::ptrdiff_t lo, std::ptrdiff_t hi, vector& z) const {
    std::fill(z.begin() + (begin(hi) - begin(lo)), z.end(), -std::numeric_limits<double>::infinity());
    double unused = 0;
    table_.exp_row(z.data(), 0.0, std::ssize(z), &unused);
  }
  double row(std::ptrdiff_t i, std::ptrdiff_t lo, const vector& z) const {
    double sum = 0;
    for (std::ptrdiff_t q = begin(i); q < begin(i + 1); ++q) sum += z[at(q - begin(lo))];
    return sum;
  }

  const context& ctx_;
  csr_view<const double> k_;
  const kernels::table<double>& table_;
  vector logs_, values_;
  std::vector<vector> rooms_;
};

// exp(-c(x_i, x_j) / reg) of points, made anew in every pass.
template <class T>
class points_kernel final : public kernel {
 public:
  points_kernel(const context& ctx, const geometry<T>& geo, double reg) : ctx_(ctx), geo_(geo), reg_(reg) {}
  std::ptrdiff_t size() const override { return geo_.rows(); }

  void tops(vector& out) const override {
    const vector zero(at(size()), 0.0);
    softmin(ctx_, geo_, zero, 0, out, false);
    for (double& v : out) v /= -reg_;
  }
  void log_sums(const vector& delta, vector& out) override {
    vector h(delta);
    for (double& v : h) v *= reg_;
    softmin(ctx_, geo_, h, reg_, out, false);
    for (double& v : out) v /= -reg_;
  }
  void sums(const vector& delta, vector& out) override {
    log_sums(delta, out);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::exp(delta[i] + out[i]);
  }
  void fix(const vector& delta) override { delta_ = delta; }
  void product(const vector& x, vector& out) const override {
    const std::ptrdiff_t n = size();
    apply(ctx_, plan<T>{geo_, reg_, delta_, delta_}, matrix_view<const double>{x.data(), 1, n},
          matrix_view<double>{out.data(), 1, n}, false);
  }

 private:
  const context& ctx_;
  geometry<T> geo_;
  double reg_;
  vector delta_;
};

double dot(const vector& x, const vector& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}
double largest(const vector& x) {
  double most = 0;
  for (const double v : x) most = std::max(most, std::abs(v));
  return most;
}

class scaler {
 public:
  scaler(const context& ctx, kernel& k, std::span<const double> r, const scaling_options& o)
      : ctx_(ctx), k_(k), r_(r.begin(), r.end()), o_(o), n_(at(k.size())), image_(n_), scaled_(n_) {}

  scaling_result run(std::span<double> log_scaling) {
    vector delta(n_), sums(n_), logs(n_);
    k_.tops(delta);
    // Every row sum 1 with d_i = d_j would do for a constant row maximum: a start within range.
    for (std::size_t i = 0; i < n_; ++i) delta[i] = 0.5 * (std::log(r_[i]) - delta[i]);
    k_.sums(delta, sums);
    scaling_result out;
    for (;;) {
      bool usable = true;
      out.error = 0;
      for (std::size_t i = 0; i < n_; ++i) {
        usable = usable && std::isfinite(sums[i]) && sums[i] > 0;
        out.error = std::max(out.error, std::abs(sums[i] / r_[i] - 1));
      }
      if (!usable) out.error = std::numeric_limits<double>::infinity();
      out.converged = out.error <= o_.tol;
      if (out.converged || out.iterations >= o_.max_iter || out.stopped) break;
      ++out.iterations;
      if (out.iterations <= warm_up || !usable || out.error > 1) {
        k_.log_sums(delta, logs);
        for (std::size_t i = 0; i < n_; ++i) delta[i] = 0.5 * (delta[i] + std::log(r_[i]) - logs[i]);
        k_.sums(delta, sums);
      } else {
        newton(delta, sums);
      }
      out.stopped = ctx_.report("doubly stochastic", out.iterations, out.error);
    }
    std::copy(delta.begin(), delta.end(), log_scaling.begin());
    return out;
  }

 private:
  double value(const vector& delta, const vector& sums) const {
    double mass = 0;
    for (const double s : sums) mass += s;
    return 0.5 * mass - dot(r_, delta);
  }

  // One step, shortened until the convex function falls.
  void newton(vector& delta, vector& sums) {
    vector gradient(n_), scale(n_), right(n_);
    double off = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      gradient[i] = sums[i] - r_[i];
      scale[i] = 1 / std::sqrt(sums[i]);
      right[i] = scale[i] * gradient[i];
      off = std::max(off, std::abs(gradient[i] / r_[i]));
    }
    k_.fix(delta);
    vector step = conjugate_gradients(scale, right, std::min(1e-2, off));
    for (std::size_t i = 0; i < n_; ++i) step[i] *= -scale[i];
    const double before = value(delta, sums), slope = dot(gradient, step);
    double length = std::min(1.0, 8 / std::max(largest(step), 1e-300));
    vector found(n_), there(n_);
    for (int tries = 0; tries < 40; ++tries, length *= 0.5) {
      for (std::size_t i = 0; i < n_; ++i) found[i] = delta[i] + length * step[i];
      k_.sums(found, there);
      // near the minimum the difference is lost in rounding: the step itself is then to be trusted
      if (value(found, there) <= before + 1e-4 * length * slope + 1e-14 * std::abs(before)) {
        delta.swap(found);
        sums.swap(there);
        return;
      }
    }
    for (std::size_t i = 0; i < n_; ++i) delta[i] -= 0.5 * std::log(sums[i] / r_[i]);
    k_.sums(delta, sums);
  }

  // D^-1/2 (D + W) D^-1/2 x = b, with D the row sums of W.
  vector conjugate_gradients(const vector& scale, const vector& b, double tol) {
    vector x(n_, 0.0), residual = b, direction = b;
    double square = dot(b, b);
    const double goal = tol * tol * square;
    for (int k = 0; k < 500 && square > goal && square > 0; ++k) {
      for (std::size_t i = 0; i < n_; ++i) scaled_[i] = scale[i] * direction[i];
      k_.product(scaled_, image_);
      for (std::size_t i = 0; i < n_; ++i) image_[i] = direction[i] + scale[i] * image_[i];
      const double curvature = dot(direction, image_);
      if (curvature <= 1e-14 * dot(direction, direction)) break;  // the null space of a bipartite graph
      const double a = square / curvature;
      for (std::size_t i = 0; i < n_; ++i) {
        x[i] += a * direction[i];
        residual[i] -= a * image_[i];
      }
      const double before = square;
      square = dot(residual, residual);
      for (std::size_t i = 0; i < n_; ++i) direction[i] = residual[i] + square / before * direction[i];
    }
    return x;
  }

  const context& ctx_;
  kernel& k_;
  vector r_;
  const scaling_options& o_;
  std::size_t n_;
  vector image_, scaled_;
};

void check_arguments(std::ptrdiff_t n, std::span<const double> row_sums, const scaling_options& o,
                     std::span<double> log_scaling) {
  check(std::ssize(row_sums) == n && std::ssize(log_scaling) == n,
        "row_sums and log_scaling must have length ", n, ", got ", row_sums.size(), " and ",
        log_scaling.size());
  for (std::size_t i = 0; i < row_sums.size(); ++i)
    check(row_sums[i] > 0 && row_sums[i] <= std::numeric_limits<double>::max(),
          "row_sums must be positive and finite, got ", row_sums[i], " at ", i);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
}

}  // namespace

scaling_result doubly_stochastic(const context& ctx, csr_view<const double> matrix,
                                 std::span<const double> row_sums, const scaling_options& o,
                                 std::span<double> log_scaling, std::span<double> entries) {
  check_arguments(matrix.rows(), row_sums, o, log_scaling);
  check(matrix.cols == matrix.rows() && matrix.rows() > 0, "the kernel must be square, got ", matrix.rows(),
        " x ", matrix.cols);
  check(matrix.indices.size() == matrix.values.size() && entries.size() == matrix.values.size(),
        "entries must have length ", matrix.values.size(), ", got ", entries.size());
  for (std::ptrdiff_t i = 0; i < matrix.rows(); ++i)
    check(matrix.offsets[at(i)] < matrix.offsets[at(i) + 1], "row ", i, " of the kernel has no entry");
  for (std::size_t q = 0; q < matrix.values.size(); ++q) {
    check(matrix.values[q] > 0 && matrix.values[q] <= std::numeric_limits<double>::max(),
          "the stored entries of the kernel must be positive and finite, got ", matrix.values[q]);
    check(matrix.indices[q] >= 0 && matrix.indices[q] < matrix.cols, "a column of the kernel is ",
          matrix.indices[q], ", outside 0 ... ", matrix.cols - 1);
  }
  stored_kernel k(ctx, matrix);
  const scaling_result r = scaler(ctx, k, row_sums, o).run(log_scaling);
  k.entries(vector(log_scaling.begin(), log_scaling.end()), entries);
  return r;
}

template <class T>
scaling_result doubly_stochastic(const context& ctx, const geometry<T>& geo, double reg,
                                 std::span<const double> row_sums, const scaling_options& o,
                                 std::span<double> log_scaling) {
  check_geometry(geo);
  check(geo.rows() == geo.cols(), "the kernel must be square, got ", geo.rows(), " x ", geo.cols());
  check(reg > 0 && reg <= std::numeric_limits<double>::max(), "reg must be > 0 and finite, got ", reg);
  check_arguments(geo.rows(), row_sums, o, log_scaling);
  points_kernel<T> k(ctx, geo, reg);
  return scaler(ctx, k, row_sums, o).run(log_scaling);
}
template scaling_result doubly_stochastic<float>(const context&, const geometry<float>&, double,
                                                 std::span<const double>, const scaling_options&,
                                                 std::span<double>);
template scaling_result doubly_stochastic<double>(const context&, const geometry<double>&, double,
                                                  std::span<const double>, const scaling_options&,
                                                  std::span<double>);

}  // namespace lapwing::ot
