// Barycentres on a product grid: its kernel is applied one axis at a time, n^(1 + 1/D) operations for n^2
// pairs.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <span>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "barycenter.hpp"
#include "cost_rows.hpp"

namespace lapwing::ot {

namespace {

// A step along an axis takes the first axis of an array and puts it last, as the rows of out = x^T K: after
// one step for each the axes stand as before, and every step is the same product.
class grid_kernel {
 public:
  // histograms: one a row, over the grid, the last axis fastest
  grid_kernel(const context& ctx, std::span<const std::span<const double>> axes,
              matrix_view<const double> histograms)
      : ctx_(ctx), count_(histograms.rows), axes_(axes), histograms_(histograms) {
    for (const auto& t : axes) {
      const auto size = std::ssize(t);
      const auto [low, high] = std::minmax_element(t.begin(), t.end());
      spread_ += (*high - *low) * (*high - *low);
      sizes_.push_back(size);
      padded_.push_back(padded(size));
      kernels_.emplace_back(ctx, size * padded_.back());
      n_ *= size;
      all_ *= padded_.back();
    }
    place_ = std::vector<std::ptrdiff_t>(static_cast<std::size_t>(n_));
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
      std::ptrdiff_t rest = i, at = 0, step = 1;
      for (std::size_t d = sizes_.size(); d-- > 0;) {
        at += rest % sizes_[d] * step;
        rest /= sizes_[d];
        step *= padded_[d];
      }
      place_[static_cast<std::size_t>(i)] = at;
    }
  }

  void pass(const barycenter_step& step) {
    const std::ptrdiff_t vectors = count_ + (step.d != nullptr);
    if (in_range_ && products(step, vectors)) return;
    in_range_ = false;
    buffer<double> x(ctx_, vectors * n_);
    for (std::ptrdiff_t k = 0; k < vectors; ++k)
      std::copy_n(k < count_ ? step.gamma + k * n_ : step.d, n_, x.data() + k * n_);
    for (std::ptrdiff_t k = 0; k < vectors; ++k) in_logarithms(step.kappa, x.data() + k * n_);
    for (std::ptrdiff_t k = 0; k < count_; ++k)
      for (std::ptrdiff_t i = 0; i < n_; ++i)
        step.l[k * n_ + i] = std::log2(histograms_(k, i)) - x[k * n_ + i];
    if (vectors > count_) std::copy_n(x.data() + count_ * n_, n_, step.image);
    for (std::ptrdiff_t k = 0; k < count_; ++k) in_logarithms(step.kappa, step.l + k * n_);
  }

 private:
  using limits = kernel_limits<double>;

  // Vectors of any width fill it, and rows do not all start in the same set of the first-level cache.
  static std::ptrdiff_t padded(std::ptrdiff_t n) {
    const std::ptrdiff_t s = round_up(n, 8);
    return s % 256 == 0 ? s + 8 : s;
  }

  bool products(const barycenter_step& step, std::ptrdiff_t vectors) {
    if (!(step.kappa * spread_ <= limits::spread)) return false;
    if (step.kappa != kappa_) fill(step.kappa);
    if (work_.empty()) {
      work_ = buffer<double>(ctx_, vectors * all_, 0.0);
      other_ = buffer<double>(ctx_, vectors * all_, 0.0);
    }
    const auto& table = kernels::get<double>(ctx_.level());
    buffer<double> power(ctx_, n_), ones(ctx_, n_, 1.0);
    int odd = 0;
    for (std::ptrdiff_t k = 0; k < vectors; ++k) {
      const double* const bits = k < count_ ? step.gamma + k * n_ : step.d;
      for (std::ptrdiff_t i = 0; i < n_; ++i) odd |= !(std::abs(bits[i]) <= limits::bits);
      table.exp2_array(bits, power.data(), n_);
      double* const x = work_.data() + k * all_;
      for (std::ptrdiff_t i = 0; i < n_; ++i) x[place_[static_cast<std::size_t>(i)]] = power[i];
    }
    if (odd) return false;
    apply(vectors);
    for (std::ptrdiff_t k = 0; k < count_; ++k) {
      double* const x = work_.data() + k * all_;
      for (std::ptrdiff_t i = 0; i < n_; ++i) {
        double& z = x[place_[static_cast<std::size_t>(i)]];
        odd |= !limits::believed(z);
        z = histograms_(k, i) / z;
      }
    }
    if (vectors > count_)
      odd |= !logarithms(work_.data() + count_ * all_, power.data(), ones.data(), step.image);
    if (odd) return false;
    apply(count_);
    for (std::ptrdiff_t k = 0; k < count_; ++k)
      odd |= !logarithms(work_.data() + k * all_, power.data(), ones.data(), step.l + k * n_);
    return !odd;
  }

  bool logarithms(const double* x, double* dense, const double* ones, double* out) const {
    int odd = 0;
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
      dense[i] = x[place_[static_cast<std::size_t>(i)]];
      odd |= !limits::believed(dense[i]);
    }
    if (!odd) kernels::get<double>(ctx_.level()).log2_ratio(dense, ones, out, n_);
    return !odd;
  }

  void fill(double kappa) {
    kappa_ = kappa;
    const auto& table = kernels::get<double>(ctx_.level());
    for (std::size_t d = 0; d < axes_.size(); ++d) {
      const auto t = axes_[d];
      for (std::ptrdiff_t i = 0; i < sizes_[d]; ++i) {
        double* const row = kernels_[d].data() + i * padded_[d];
        for (std::ptrdiff_t j = 0; j < padded_[d]; ++j) {
          const double gap =
              j < sizes_[d] ? t[static_cast<std::size_t>(i)] - t[static_cast<std::size_t>(j)] : 0.0;
          row[j] = -kappa * gap * gap;
        }
        table.exp2_array(row, row, padded_[d]);
        std::fill(row + sizes_[d], row + padded_[d], 0.0);
      }
    }
  }

  // The first `vectors` arrays of work_, times the kernel of every axis.
  void apply(std::ptrdiff_t vectors) {
    constexpr std::ptrdiff_t some = 32;  // rows of a result that are made together
    const auto& table = kernels::get<double>(ctx_.level());
    for (std::size_t d = 0; d < axes_.size(); ++d) {
      const std::ptrdiff_t width = padded_[d], rest = all_ / width, parts = (rest + some - 1) / some;
      ctx_.parallel_for(vectors * parts, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
        for (std::ptrdiff_t part = lo; part < hi; ++part) {
          if (ctx_.checkpoint(w)) return;
          const std::ptrdiff_t first = part % parts * some, here = std::min(some, rest - first);
          const double* const x = work_.data() + part / parts * all_ + first;
          double* const y = other_.data() + part / parts * all_ + first * width;
          std::fill_n(y, here * width, 0.0);
          table.outer_rows(kernels_[d].data(), width, sizes_[d], x, rest, here, 0, width, y, width);
        }
      });
      work_.swap(other_);
    }
  }

  // log2 K 2^x in place of x, whatever the range of numbers
  void in_logarithms(double kappa, double* x) {
    buffer<double> lines(ctx_, n_), out(ctx_, n_);
    for (std::size_t d = 0; d < axes_.size(); ++d) {
      const std::ptrdiff_t size = sizes_[d], rest = n_ / size;
      for (std::ptrdiff_t i = 0; i < size; ++i)
        for (std::ptrdiff_t j = 0; j < rest; ++j) lines[j * size + i] = x[i * rest + j] / kappa;
      const matrix_view<const double> t(axes_[d].data(), size, 1);
      softmin<double>(ctx_, geometry<double>::points(t, t, metric::sqeuclidean),
                      matrix_view<const double>(lines.data(), rest, size), log2e / kappa,
                      matrix_view<double>(out.data(), rest, size), false);
      for (std::ptrdiff_t i = 0; i < n_; ++i) x[i] = -kappa * out[i];
    }
  }

  const context& ctx_;
  std::ptrdiff_t count_, n_ = 1, all_ = 1;  // points of the grid, without and with padding
  std::span<const std::span<const double>> axes_;
  matrix_view<const double> histograms_;
  std::vector<std::ptrdiff_t> sizes_, padded_, place_;
  std::vector<buffer<double>> kernels_;
  buffer<double> work_, other_;
  double spread_ = 0, kappa_ = 0;
  bool in_range_ = true;
};

}  // namespace

barycenter_result barycenter(const context& ctx, std::span<const std::span<const double>> axes,
                             matrix_view<const double> histograms, std::span<const double> shares,
                             bool debias, const barycenter_options& o, std::span<double> log_p) {
  check(!axes.empty(), "there must be at least one axis");
  std::ptrdiff_t n = 1;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    check(!axes[d].empty(), "axis ", d, " must not be empty");
    for (const double t : axes[d]) check(std::isfinite(t), "coordinates must be finite, got ", t);
    n *= std::ssize(axes[d]);
  }
  check(histograms.cols == n, "histograms must have ", n, " columns, got ", histograms.cols);
  check(histograms.rows > 0, "there must be at least one histogram");
  check(std::ssize(shares) == histograms.rows, "shares must have length ", histograms.rows, ", got ",
        shares.size());
  check(std::ssize(log_p) == n, "log_p must have length ", n, ", got ", log_p.size());
  check_options(o);
  double total = 0;
  for (const double s : shares) {
    check(s > 0 && s <= std::numeric_limits<double>::max(), "share must be positive, got ", s);
    total += s;
  }
  std::vector<double> share, mass;
  for (std::ptrdiff_t k = 0; k < histograms.rows; ++k) {
    double sum = 0;
    for (const double w : histograms.row(k)) {
      check(w >= 0 && w <= std::numeric_limits<double>::max(),
            "histograms must be finite and not negative, got ", w);
      sum += w;
    }
    check(sum > 0, "histogram ", k, " must have a positive entry");
    share.push_back(shares[static_cast<std::size_t>(k)] / total);
    mass.push_back(sum);
  }
  grid_kernel kernel(ctx, axes, histograms);
  return find_barycenter(ctx, share, mass, debias, o, log_p,
                         [&](const barycenter_step& step) { kernel.pass(step); });
}

}  // namespace lapwing::ot
