// Entropic barycentres on a fixed support of any shape.
#include "barycenter.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "anderson.hpp"
#include "cpu_executor.hpp"

namespace lapwing::ot {

namespace {

// Vectors for `anderson`, in the norm of how much their entries matter.
struct weighted_space {
  using vector = buffer<double>;
  const context& ctx;
  std::ptrdiff_t size;
  buffer<double>& weights;
  std::ptrdiff_t cols() const { return size; }
  std::span<const double> b() const { return weights; }
  vector make_cols() const { return vector(ctx, size); }
};

// The kernel 2^(-kappa C) that measures on the same points share, kept: a pass over it serves all of them.
template <class T>
class shared_kernel {
 public:
  static bool fits(std::span<const measure<T>> measures, const geometry<T>* own) {
    const auto same = [&](const geometry<T>& g) {
      const geometry<T>& first = measures.front().costs;
      const auto equal = [](const matrix_view<const T>& x, const matrix_view<const T>& y) {
        return x.data == y.data && x.rows == y.rows && x.cols == y.cols && x.stride == y.stride;
      };
      return equal(g.cost, first.cost) && equal(g.x, first.x) && equal(g.y, first.y) &&
             g.kind == first.kind && g.hollow == first.hollow;
    };
    bool all = !own || same(*own);
    for (const measure<T>& k : measures) all = all && same(k.costs);
    const double bytes = static_cast<double>(measures.front().costs.rows()) *
                         static_cast<double>(measures.front().costs.cols()) * sizeof(T);
    return all && bytes <= 0x1p28;
  }

  shared_kernel(const context& ctx, std::span<const measure<T>> measures, bool own, double kappa)
      : ctx_(ctx),
        costs_(ctx, measures.front().costs, kappa, false),
        n_(costs_.rows()),
        m_(costs_.cols()),
        stride_(costs_.stride()),
        count_(std::ssize(measures)),
        vectors_(count_ + own),
        entries_(ctx, round_up(n_, costs_.group()) * stride_),
        factors_(ctx, vectors_ * stride_),
        weights_(ctx, n_ * count_),
        image_(ctx, n_),
        sums_(ctx, count_ * m_),
        ones_(ctx, m_, 1.0),
        workers_(make_workers(ctx, costs_)) {
    const interval r = range(ctx, measures.front().costs);
    lowest_ = r.low;
    spread_ = r.high - r.low;
    for (std::ptrdiff_t k = 0; k < count_; ++k)
      for (std::ptrdiff_t i = 0; i < n_; ++i)
        weights_[i * count_ + k] = measures[static_cast<std::size_t>(k)].weights[static_cast<std::size_t>(i)];
    rows_per_chunk_ = round_up((n_ + most_chunks - 1) / most_chunks, round_up(some, costs_.group()));
    chunks_ = (n_ + rows_per_chunk_ - 1) / rows_per_chunk_;
    partial_ = buffer<double>(ctx, chunks_ * count_ * stride_);
    const std::ptrdiff_t room = some * vectors_;
    for (int w = 0; w < ctx.threads(); ++w) {
      dots_.emplace_back(ctx, room);
      quotients_.emplace_back(ctx, room);
    }
  }

  // false, and nothing is written: the numbers leave the range where sums are believed.
  bool pass(const barycenter_step& step) {
    const double kappa = step.kappa;
    if (!(kappa * spread_ <= limits::spread)) return false;
    if (kappa != kappa_) fill(kappa);
    int odd = 0;
    buffer<double> power(ctx_, m_);
    for (std::ptrdiff_t k = 0; k < vectors_; ++k) {
      const double* const bits = k < count_ ? step.gamma + k * m_ : step.d;
      kernels::get<double>(ctx_.level()).exp2_array(bits, power.data(), m_);
      for (std::ptrdiff_t j = 0; j < m_; ++j) {
        odd |= !(std::abs(bits[j]) <= limits::bits);
        factors_[k * stride_ + j] = static_cast<T>(power[j]);
      }
      std::fill(factors_.data() + k * stride_ + m_, factors_.data() + (k + 1) * stride_, T(0));
    }
    if (odd) return false;
    const auto& kernel = costs_.table();
    std::atomic<bool> whole = true;
    ctx_.parallel_for(n_, rows_per_chunk_, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      double* const sum = partial_.data() + lo / rows_per_chunk_ * count_ * stride_;
      std::fill_n(sum, count_ * stride_, 0.0);
      double* const dot = dots_[static_cast<std::size_t>(w)].data();
      T* const q = quotients_[static_cast<std::size_t>(w)].data();
      for (std::ptrdiff_t i = lo; i < hi; i += some) {
        if (ctx_.checkpoint(w)) {
          whole = false;
          return;
        }
        const std::ptrdiff_t rows = std::min(some, hi - i);
        const T* const e = entries_.data() + i * stride_;
        std::fill_n(dot, round_up(rows, block) * vectors_, 0.0);
        for (std::ptrdiff_t r = 0; r < rows; r += block)
          kernel.dot_rows(e + r * stride_, stride_, block * stride_, factors_.data(), stride_, vectors_,
                          stride_, dot + r * vectors_, vectors_);
        int low = 0;
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
          const double* const z = dot + r * vectors_;
          for (std::ptrdiff_t k = 0; k < vectors_; ++k) low |= !limits::believed(z[k]);
          for (std::ptrdiff_t k = 0; k < count_; ++k)
            q[r * count_ + k] = static_cast<T>(weights_[(i + r) * count_ + k] / z[k]);
          if (vectors_ > count_) image_[i + r] = z[count_];
        }
        if (low) whole = false;
        kernel.outer_rows(e, stride_, rows, q, count_, count_, 0, stride_, sum, stride_);
      }
    });
    constexpr std::ptrdiff_t column_chunk = 512;
    if (whole)
      ctx_.parallel_for(m_, column_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        for (std::ptrdiff_t k = 0; k < count_; ++k) {
          double* const out = sums_.data() + k * m_;
          std::fill(out + lo, out + hi, 0.0);
          int low = 0;
          for (std::ptrdiff_t c = 0; c < chunks_; ++c) {
            const double* const p = partial_.data() + (c * count_ + k) * stride_;
            for (std::ptrdiff_t j = lo; j < hi; ++j) out[j] += p[j];
          }
          for (std::ptrdiff_t j = lo; j < hi; ++j) low |= !limits::believed(out[j]);
          if (low) whole = false;
        }
      });
    if (!whole) return false;
    for (std::ptrdiff_t k = 0; k < count_; ++k)
      kernel.log2_ratio(sums_.data() + k * m_, ones_.data(), step.l + k * m_, m_);
    if (vectors_ > count_) {
      kernel.log2_ratio(image_.data(), ones_.data(), step.image, m_);
      for (std::ptrdiff_t j = 0; j < m_; ++j) step.image[j] -= kappa * lowest_;
    }
    return true;
  }

 private:
  using limits = kernel_limits<T>;
  static constexpr std::ptrdiff_t most_chunks = 16, some = 8;  // rows that stay in the second-level cache
  void fill(double kappa) {
    kappa_ = kappa;
    buffer<T> g(ctx_, stride_);
    // relative to the least cost: l does not feel a factor of the kernel
    costs_.columns(kappa, buffer<double>(ctx_, m_, kappa * lowest_), g.data());
    all_exponentials<T>(ctx_, costs_, kappa, nullptr, g.data(), rows_per_chunk_, workers_, entries_.data());
  }

  const context& ctx_;
  cost_rows<T> costs_;
  std::ptrdiff_t n_, m_, stride_, count_, vectors_, rows_per_chunk_ = 0, chunks_ = 0;
  double kappa_ = 0, lowest_ = 0, spread_ = 0;
  buffer<T> entries_, factors_;
  buffer<double> weights_, image_, sums_, ones_, partial_;
  std::vector<rows_worker<T>> workers_;
  std::vector<buffer<double>> dots_;
  std::vector<buffer<T>> quotients_;
};

// The sweeps of every measure by itself, which bear any range of the costs.
template <class T>
class separate_sweeps {
 public:
  separate_sweeps(const context& ctx, std::span<const measure<T>> measures, const geometry<T>* own,
                  double kappa)
      : ctx_(ctx), own_(own) {
    const std::ptrdiff_t m = measures.front().costs.cols();
    ones_ = buffer<double>(ctx, m, 1.0);
    const double bytes = 2e9 / static_cast<double>(measures.size());
    for (const measure<T>& k : measures) {
      state s;
      std::ptrdiff_t used = 0;
      for (const double w : k.weights) used += w > 0;
      if (used == k.costs.rows()) {
        s.ex = std::make_unique<cpu_executor<T>>(ctx, k.costs, k.weights, ones_, kappa, bytes);
      } else {
        const matrix_view<const T> all = k.costs.is_dense() ? k.costs.cost : k.costs.x;
        s.rows = buffer<T>(ctx, used * all.cols);
        s.weights = buffer<double>(ctx, used);
        std::ptrdiff_t to = 0;
        for (std::ptrdiff_t i = 0; i < all.rows; ++i) {
          const double w = k.weights[static_cast<std::size_t>(i)];
          if (!(w > 0)) continue;
          std::copy_n(all.data + i * all.stride, all.cols, s.rows.data() + to * all.cols);
          s.weights[to++] = w;
        }
        geometry<T> part = k.costs;
        (k.costs.is_dense() ? part.cost : part.x) =
            matrix_view<const T>(s.rows.data(), used, all.cols, all.cols);
        s.ex = std::make_unique<cpu_executor<T>>(ctx, part, s.weights, ones_, kappa, bytes);
      }
      s.phi = s.ex->make_rows();
      s.gamma = s.ex->make_cols();
      s.rho = s.ex->make_cols();
      states_.push_back(std::move(s));
    }
  }

  void pass(const barycenter_step& step) {
    const double kappa = step.kappa;
    const bool exact = kappa != kappa_;  // a start: phi says nothing yet
    kappa_ = kappa;
    for (std::size_t k = 0; k < states_.size(); ++k) {
      state& s = states_[k];
      const std::ptrdiff_t m = s.gamma.size(), at = static_cast<std::ptrdiff_t>(k) * m;
      std::copy_n(step.gamma + at, m, s.gamma.data());
      s.ex->sweep(kappa, 1.0, exact, s.phi, s.gamma, s.rho);
      for (std::ptrdiff_t j = 0; j < m; ++j) step.l[at + j] = -s.rho[j] - s.gamma[j];
    }
    if (own_) {
      const std::ptrdiff_t m = own_->rows();
      buffer<double> h(ctx_, m);
      for (std::ptrdiff_t j = 0; j < m; ++j) h[j] = step.d[j] / kappa;
      softmin<T>(ctx_, *own_, h, log2e / kappa, std::span(step.image, static_cast<std::size_t>(m)), false);
      for (std::ptrdiff_t j = 0; j < m; ++j) step.image[j] *= -kappa;
    }
  }

 private:
  struct state {
    buffer<T> rows;  // those that have weight, where some have none
    buffer<double> weights;
    std::unique_ptr<cpu_executor<T>> ex;
    buffer<double> phi, gamma, rho;
  };
  const context& ctx_;
  const geometry<T>* own_;
  buffer<double> ones_;
  std::vector<state> states_;
  double kappa_ = 0;
};

}  // namespace

barycenter_result find_barycenter(const context& ctx, std::span<const double> share,
                                  std::span<const double> mass, bool debias, const barycenter_options& o,
                                  std::span<double> log_p,
                                  const std::function<void(const barycenter_step&)>& pass) {
  for (const double w : mass)  // else there is no p
    check(std::abs(w - mass[0]) <= 1e-6 * mass[0], "measures must have the same mass, got ", mass[0], " and ",
          w);
  const std::ptrdiff_t m = std::ssize(log_p), count = std::ssize(share), size = (count + debias) * m;
  // What is iterated: the gamma of every measure, then the d of the debiased barycentre. 0 for all: the mean
  // of the gammas must be d.
  buffer<double> now(ctx, size, 0.0), next(ctx, size), residual(ctx, size), mixed(ctx, size);
  buffer<double> l(ctx, count * m), p(ctx, m), weight(ctx, m), sum(ctx, m), image(ctx, m);
  buffer<double> importance(ctx, size);
  const auto& table = kernels::get<double>(ctx.level());
  weighted_space space{ctx, size, importance};
  anderson<weighted_space> acceleration(space, false);
  barycenter_result r;
  double kappa = log2e / o.schedule.front();
  for (std::size_t level = 0; level < o.schedule.size(); ++level) {
    const bool last = level + 1 == o.schedule.size();
    const double ratio = log2e / o.schedule[level] / kappa;
    kappa *= ratio;
    for (std::ptrdiff_t j = 0; j < count * m; ++j) now[j] *= ratio;
    bool extrapolated = false;
    double before = 0;
    for (std::ptrdiff_t iteration = 0; last || iteration < 20; ++iteration) {
      const double* const d = debias ? now.data() + count * m : nullptr;
      pass(barycenter_step{kappa, now.data(), d, l.data(), image.data()});
      for (std::ptrdiff_t j = 0; j < m; ++j) p[j] = debias ? d[j] : 0.0;
      for (std::ptrdiff_t k = 0; k < count; ++k)
        for (std::ptrdiff_t j = 0; j < m; ++j) p[j] += share[static_cast<std::size_t>(k)] * l[k * m + j];
      // every plan has column sums 2^(gamma + l); they agree with p, and with each other, at the fixed point
      table.exp2_array(p.data(), weight.data(), m);
      double error = 0;
      for (std::ptrdiff_t k = 0; k < count; ++k) {
        const double *const gamma = now.data() + k * m, *const lk = l.data() + k * m;
        double* const out = next.data() + k * m;
        for (std::ptrdiff_t j = 0; j < m; ++j) out[j] = gamma[j] + lk[j];
        table.exp2_array(out, sum.data(), m);
        const double missed = lane_sum(m, [&](std::ptrdiff_t j) { return std::abs(sum[j] - weight[j]); });
        error += share[static_cast<std::size_t>(k)] * missed / mass[static_cast<std::size_t>(k)];
        for (std::ptrdiff_t j = 0; j < m; ++j) out[j] = p[j] - lk[j];
      }
      ++r.iterations;
      if (extrapolated && !(error <= 2 * before) && r.iterations < o.max_iter) {
        std::swap(now, mixed);  // back to the plain step
        acceleration.clear();
        extrapolated = false;
        continue;
      }
      r.error = error;
      r.stopped = ctx.report("barycenter", r.iterations, r.error) || r.stopped;
      r.converged = last && r.error <= o.tol;
      if (r.converged || r.stopped || r.iterations >= o.max_iter) break;
      if (debias)
        for (std::ptrdiff_t j = 0; j < m; ++j) next[count * m + j] = 0.5 * (d[j] + p[j] - image[j]);
      if (last && iteration >= 3) {
        // How much entries matter changes on the way. Kept as it was at the start, it takes half as many
        // iterations again, and where d is found too more than without acceleration (measured).
        if (iteration == 3 || iteration % 40 == 0) {
          for (std::ptrdiff_t j = 0; j < size; ++j)
            importance[j] = (j / m < count ? share[static_cast<std::size_t>(j / m)] : 1.0) * weight[j % m];
          acceleration.clear();
        }
        for (std::ptrdiff_t j = 0; j < size; ++j) residual[j] = next[j] - now[j];
        extrapolated = acceleration.extrapolate(now, residual, mixed);
        std::swap(now, mixed);
        std::swap(mixed, next);  // kept in case that the step is rejected
      } else {
        std::swap(now, next);
      }
      if (!last && r.error <= 0.05) break;
      before = r.error;
    }
    if (r.stopped || r.iterations >= o.max_iter) break;
  }
  for (std::ptrdiff_t j = 0; j < m; ++j) log_p[static_cast<std::size_t>(j)] = p[j] * ln2;
  return r;
}

template <class T>
barycenter_result barycenter(const context& ctx, std::span<const measure<T>> measures, const geometry<T>* own,
                             const barycenter_options& o, std::span<double> log_p) {
  check(!measures.empty(), "there must be at least one measure");
  const std::ptrdiff_t m = std::ssize(log_p);
  double total = 0;
  std::vector<double> share, mass;
  for (const measure<T>& k : measures) {
    check_geometry(k.costs);
    check(k.costs.cols() == m, "all costs must have as many columns as the support, ", m, ", got ",
          k.costs.cols());
    check(std::ssize(k.weights) == k.costs.rows(), "weights must have length ", k.costs.rows(), ", got ",
          k.weights.size());
    double sum = 0;
    for (const double w : k.weights) {
      check(w >= 0 && w <= std::numeric_limits<double>::max(),
            "weights must be finite and not negative, got ", w);
      sum += w;
    }
    check(sum > 0, "a measure must have a positive weight");
    check(!k.costs.hollow, "the costs of a barycentre must be whole");
    check(k.share > 0 && k.share <= std::numeric_limits<double>::max(), "share must be positive, got ",
          k.share);
    total += k.share;
    share.push_back(k.share);
    mass.push_back(sum);
  }
  for (double& s : share) s /= total;
  if (own) check(own->rows() == m && own->cols() == m, "the cost of the support must be ", m, " x ", m);
  check_options(o);

  const double finest = log2e / o.schedule.back();
  std::unique_ptr<shared_kernel<T>> shared;
  std::unique_ptr<separate_sweeps<T>> separate;
  if (shared_kernel<T>::fits(measures, own))
    shared = std::make_unique<shared_kernel<T>>(ctx, measures, own != nullptr, finest);
  return find_barycenter(ctx, share, mass, own != nullptr, o, log_p, [&](const barycenter_step& step) {
    if (shared && !shared->pass(step)) shared.reset();
    if (shared) return;
    if (!separate) separate = std::make_unique<separate_sweeps<T>>(ctx, measures, own, finest);
    separate->pass(step);
  });
}

template barycenter_result barycenter<float>(const context&, std::span<const measure<float>>,
                                             const geometry<float>*, const barycenter_options&,
                                             std::span<double>);
template barycenter_result barycenter<double>(const context&, std::span<const measure<double>>,
                                              const geometry<double>*, const barycenter_options&,
                                              std::span<double>);

}  // namespace lapwing::ot
