// The primitives of driver.hpp on the CPU.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <lapwing/context.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "cost_rows.hpp"
#include "newton.hpp"

namespace lapwing::ot {

// Potentials are kept in double as log-scalings in bits: P_ij = 2^(phi_i + gamma_j - kappa C_ij).
template <class T>
class cpu_executor {
 public:
  using vector = buffer<double>;
  static constexpr bool single_precision = sizeof(T) == 4;
  static constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2;

  // max_bytes: for entries of the plan that are kept
  cpu_executor(const context& ctx, const geometry<T>& geo, std::span<const double> a,
               std::span<const double> b, double kappa, double max_bytes)
      : ctx_(ctx),
        geo_(geo),
        kappa_(kappa),
        costs_(ctx, geo, kappa, false),
        a_(a),
        b_(b),
        n_(costs_.rows()),
        m_(costs_.cols()),
        log_a_(ctx, n_),
        log_b_(ctx, m_),
        row_sum_(ctx, n_),
        g_(ctx, costs_.stride()),
        column_sum_(ctx, m_) {
    for (std::ptrdiff_t i = 0; i < n_; ++i) log_a_[i] = std::log2(a[i]);
    for (std::ptrdiff_t j = 0; j < m_; ++j) log_b_[j] = std::log2(b[j]);
    rows_per_chunk_ = rows_per_chunk(n_, m_, costs_.group());
    chunks_ = (n_ + rows_per_chunk_ - 1) / rows_per_chunk_;
    partial_ = buffer<double>(ctx, chunks_ * costs_.stride());
    for (int w = 0; w < ctx.threads(); ++w) workers_.emplace_back(ctx, costs_);
    const double kept =
        static_cast<double>(round_up(n_, costs_.group())) * static_cast<double>(costs_.stride()) * sizeof(T);
    keeps_ = kept <= std::min(max_bytes, geo.is_dense() || geo.x.cols < 16 ? kept_bytes : wide_bytes);
  }

  std::ptrdiff_t rows() const { return n_; }
  std::ptrdiff_t cols() const { return m_; }
  vector make_rows() const { return vector(ctx_, n_, 0.0); }
  vector make_cols() const { return vector(ctx_, m_, 0.0); }
  std::span<const double> a() const { return a_; }
  std::span<const double> b() const { return b_; }
  std::span<const double> log_a() const { return log_a_; }
  std::span<const double> log_b() const { return log_b_; }

  struct sweep_result {
    double row_error, column_error;
  };
  // What phi_i becomes, from the phi_i that would make the sum of row i equal to a_i.
  using row_rule = std::function<double(std::ptrdiff_t, double)>;

  // K1, a full iteration from one exponential per pair. phi: updated by omega times the row update for the
  // given gamma; rho_j = log2(b_j / t_j) with t the column sums for the new phi, i.e. the column update.
  // Errors are those of (new phi, given gamma). exact: rows start from their maximum (K2), so that phi need
  // not be near the solution.
  sweep_result sweep(double kappa, double omega, bool exact, vector& phi, const vector& gamma, vector& rho) {
    if (omega == 1) return sweep(kappa, row_rule(), exact, phi, gamma, rho);
    const row_rule rule = [&](std::ptrdiff_t i, double full) { return phi[i] + omega * (full - phi[i]); };
    return sweep(kappa, rule, exact, phi, gamma, rho);
  }
  // The same with phi by a rule; an empty one makes the rows exact.
  sweep_result sweep(double kappa, const row_rule& rule, bool exact, vector& phi, const vector& gamma,
                     vector& rho) {
    pass(kappa, rule, exact, true, phi, gamma);
    double row_error = 0;
    if (rule)
      for (std::ptrdiff_t i = 0; i < n_; ++i) row_error += std::abs(row_sum_[i] - a_[i]);
    bool odd = false;
    const double lowest = std::exp2(single_precision ? -60 : -600);
    const auto unusable = [&](std::ptrdiff_t j) {
      return !(column_sum_[j] >= lowest * b_[j]) || column_sum_[j] > std::numeric_limits<double>::max();
    };
    const double column_error = lane_sum(m_, [&](std::ptrdiff_t j) {
      odd |= unusable(j);
      return std::abs(column_sum_[j] - b_[j]);
    });
    std::vector<std::ptrdiff_t> low;
    if (odd)
      for (std::ptrdiff_t j = 0; j < m_; ++j)
        if (unusable(j)) {
          low.push_back(j);
          column_sum_[j] = b_[j];
        }
    costs_.table().log2_ratio(b_.data(), column_sum_.data(), rho.data(), m_);
    redo_columns(kappa, low, phi, gamma, rho);
    return {row_error, column_error};
  }

  // Into s: the entries of the plan of (phi, gamma) above `delta` times the even share of their row or of
  // their column, and those that s holds. false, and s as it was: they are more than `most`.
  bool extract(double kappa, const vector& phi, const vector& gamma, double delta, std::ptrdiff_t most,
               active_set& s) {
    const auto& k = costs_.table();
    const std::ptrdiff_t stride = costs_.stride();
    costs_.columns(kappa, gamma, g_.data());
    buffer<T> bound(ctx_, stride, std::numeric_limits<T>::infinity());
    for (std::ptrdiff_t j = 0; j < m_; ++j)
      bound[j] = static_cast<T>(std::log2(delta / static_cast<double>(n_)) + log_b_[j]);
    if (s.entries() == 0 && !may_fit(kappa, phi, bound, delta, most)) return false;
    struct part {
      std::vector<std::int32_t> columns;
      std::vector<double> costs;
    };
    std::vector<part> parts(static_cast<std::size_t>(chunks_));
    std::vector<std::int64_t> counts(static_cast<std::size_t>(n_));
    std::vector<double> row_rest(static_cast<std::size_t>(n_));
    std::vector<std::vector<std::int32_t>> hits(static_cast<std::size_t>(ctx_.threads()),
                                                std::vector<std::int32_t>(static_cast<std::size_t>(stride)));
    const buffer<T> ones(ctx_, stride, T(1));
    std::atomic<std::ptrdiff_t> total = 0;
    const bool whole = add_up(costs_.group(), [&](std::ptrdiff_t first, std::ptrdiff_t last, int w, T* t) {
      if (total > most) return false;
      worker& room = workers_[static_cast<std::size_t>(w)];
      std::int32_t* found = hits[static_cast<std::size_t>(w)].data();
      part& mine = parts[static_cast<std::size_t>(first / rows_per_chunk_)];
      std::vector<std::int32_t> both;
      row_index index;
      const std::ptrdiff_t real = row_group(first, last, costs_.group(), index);
      double top[kernels::most_rows];
      costs_.logits(kappa, index, phi.data(), g_.data(), room.e.data(), top, room.scratch.data());
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        const std::ptrdiff_t i = index[r];
        T* z = room.e.data() + r * stride;
        std::int32_t* const end =
            found + k.select_above(z, bound.data(), least_of_row(delta, i), stride, found);
        both.assign(found, end);
        if (s.entries() > 0) {
          both.clear();
          std::set_union(found, end, s.columns.begin() + s.offsets[static_cast<std::size_t>(i)],
                         s.columns.begin() + s.offsets[static_cast<std::size_t>(i) + 1],
                         std::back_inserter(both));
        }
        for (const std::int32_t j : both) mine.costs.push_back(phi[i] + gamma[j] - static_cast<double>(z[j]));
        double weighted = 0;
        k.exp_row(z, T(0), stride, &weighted);
        for (const std::int32_t j : both) z[j] = 0;  // what stays is the rest: no difference of sums
        mine.columns.insert(mine.columns.end(), both.begin(), both.end());
        counts[static_cast<std::size_t>(i)] = std::ssize(both);
        total += std::ssize(both);
      }
      double rest[kernels::most_rows] = {};
      T one[kernels::most_rows] = {};
      for (std::ptrdiff_t r = 0; r < real; ++r) one[r] = 1;
      for (std::ptrdiff_t r = 0; r < real; r += block) {
        const T* e = room.e.data() + r * stride;
        k.dot_rows(e, stride, 0, ones.data(), stride, 1, stride, rest + r, 1);
        k.add_rows(e, stride, one + r, t, stride);
      }
      for (std::ptrdiff_t r = 0; r < real; ++r) row_rest[static_cast<std::size_t>(index[r])] = rest[r];
      return true;
    });
    if (!whole || total > most) return false;
    s = {};
    s.row_rest = std::move(row_rest);
    s.column_rest.assign(column_sum_.data(), column_sum_.data() + m_);
    for (const std::int64_t c : counts) s.offsets.push_back(s.offsets.back() + c);
    for (const part& p : parts) {
      s.columns.insert(s.columns.end(), p.columns.begin(), p.columns.end());
      s.costs.insert(s.costs.end(), p.costs.begin(), p.costs.end());
    }
    return true;
  }

  // Row and column sums of the plan of (phi, gamma), as the working type sees it.
  void marginals(double kappa, const vector& phi, const vector& gamma, std::span<double> row_sum,
                 std::span<double> column_sum) {
    vector copy = make_rows();
    std::copy_n(phi.data(), n_, copy.data());
    pass(kappa, row_rule(), false, false, copy, gamma);
    std::copy_n(row_sum_.data(), n_, row_sum.data());
    std::copy_n(column_sum_.data(), m_, column_sum.data());
  }

 private:
  // What an entry must have, in bits, to be `delta` times the even share of its row.
  T least_of_row(double delta, std::ptrdiff_t i) const {
    return static_cast<T>(std::log2(delta / static_cast<double>(m_)) + log_a_[i]);
  }
  // Whether some rows, evenly spaced, do not have more than twice the entries that there may be: else up to
  // `most` would be collected for nothing. For the g_ of the columns, and their bounds.
  bool may_fit(double kappa, const vector& phi, const buffer<T>& bound, double delta, std::ptrdiff_t most) {
    constexpr std::ptrdiff_t groups = 16;
    const std::ptrdiff_t group = costs_.group();
    if (n_ < 16 * groups * group) return true;
    worker& room = workers_.front();
    std::vector<std::int32_t> found(static_cast<std::size_t>(costs_.stride()));
    double entries = 0;
    for (std::ptrdiff_t k = 0; k < groups; ++k) {
      row_index index;
      row_group(k * n_ / groups, n_, group, index);
      double top[kernels::most_rows];
      costs_.logits(kappa, index, phi.data(), g_.data(), room.e.data(), top, room.scratch.data());
      for (std::ptrdiff_t r = 0; r < group; ++r)
        entries += static_cast<double>(
            costs_.table().select_above(room.e.data() + r * costs_.stride(), bound.data(),
                                        least_of_row(delta, index[r]), costs_.stride(), found.data()));
    }
    return entries / static_cast<double>(groups * group) * static_cast<double>(n_) <=
           2 * static_cast<double>(most);
  }

  struct worker {
    worker(const context& ctx, const cost_rows<T>& c)
        : e(ctx, c.group() * c.stride()),
          t(ctx, single_precision ? c.stride() : 0, T(0)),
          scratch(c.scratch(ctx)) {}
    buffer<T> e, t, scratch;
  };

  // Up to how many bytes the entries of the plan are kept, so that a sweep takes two multiplications for each
  // in place of an exponential: while they stay in the caches, and where an entry takes a product of many
  // coordinates, which costs more than to read it from memory.
  static constexpr double kept_bytes = 0x1p23, wide_bytes = 0x1p28;
  // How far, in bits, a potential may be from where the entries were made, and the sums that are believed
  // then: entries that were lost to underflow are below any rounding.
  static constexpr double most_moved = single_precision ? 16 : 100;
  static constexpr double least_sum = single_precision ? 0x1p-60 : 0x1p-600,
                          most_sum = single_precision ? 0x1p60 : 0x1p600;

  // The potentials as factors of the kept entries, which are made anew where the potentials have moved far.
  void keep(double kappa, const vector& phi, const vector& gamma) {
    const auto& k = costs_.table();
    const std::ptrdiff_t stride = costs_.stride(), all = round_up(n_, costs_.group());
    if (kept_.empty()) {
      kept_ = buffer<T>(ctx_, all * stride);
      kept_phi_ = buffer<double>(ctx_, n_);
      kept_gamma_ = buffer<double>(ctx_, m_);
      row_factor_ = buffer<T>(ctx_, n_);
      column_factor_ = buffer<T>(ctx_, stride, T(0));
      kept_a_ = buffer<double>(ctx_, all, 0.0);  // rows that repeat the last one add nothing
      kept_sum_ = buffer<double>(ctx_, all);
      std::copy_n(a_.data(), n_, kept_a_.data());
    }
    const auto moved = [&] {
      return std::max(k.factors(phi.data(), kept_phi_.data(), row_factor_.data(), n_),
                      k.factors(gamma.data(), kept_gamma_.data(), column_factor_.data(), m_));
    };
    if (kappa == kept_kappa_ && moved() <= most_moved) return;
    kept_kappa_ = kappa;
    std::copy_n(phi.data(), n_, kept_phi_.data());
    std::copy_n(gamma.data(), m_, kept_gamma_.data());
    costs_.columns(kappa, gamma, g_.data());
    all_exponentials(ctx_, costs_, kappa, phi.data(), g_.data(), rows_per_chunk_, workers_, kept_.data());
    moved();  // 0: the factors are 1
  }

  // A sweep over the kept entries; false, and nothing changed, where a sum is not to be believed.
  bool kept_pass(vector& phi) {
    const auto& k = costs_.table();
    const std::ptrdiff_t stride = costs_.stride();
    // what leaves the second-level cache between two sweeps is asked for ahead
    const std::ptrdiff_t ahead =
        n_ * stride * static_cast<std::ptrdiff_t>(sizeof(T)) > (1 << 19) ? block * stride : 0;
    constexpr std::ptrdiff_t some = kernels::most_rows;  // a multiple of every group
    add_up(some, [&](std::ptrdiff_t first, std::ptrdiff_t last, int, T* t) {
      k.scale_rows(kept_.data() + first * stride, stride, round_up(std::min(some, last - first), block),
                   ahead, column_factor_.data(), kept_a_.data() + first, kept_sum_.data() + first, t, stride);
      return true;
    });
    const auto believed = [](std::ptrdiff_t size, const double* sum, const T* factor, double* out) {
      int odd = 0;
      for (std::ptrdiff_t i = 0; i < size; ++i) {
        out[i] = sum[i] * static_cast<double>(factor[i]);
        odd |= !(out[i] >= least_sum && out[i] <= most_sum);
      }
      return odd == 0;
    };
    if (!believed(n_, kept_sum_.data(), row_factor_.data(), row_sum_.data()) ||
        !believed(m_, column_sum_.data(), column_factor_.data(), column_sum_.data()))
      return false;
    improve_rows(phi);
    return true;
  }

  // phi += log2(a / s), all at once: a scalar logarithm a row would cost as much as the pairs of a short row.
  void improve_rows(vector& phi) {
    double delta[256];
    for (std::ptrdiff_t i = 0; i < n_; i += 256) {
      const std::ptrdiff_t c = std::min<std::ptrdiff_t>(256, n_ - i);
      costs_.table().log2_ratio(a_.data() + i, row_sum_.data() + i, delta, c);
      for (std::ptrdiff_t r = 0; r < c; ++r) phi[i + r] += delta[r];
    }
  }

  // The column sums. body(first row of a group, end of its chunk, worker, t) adds to t what its rows have; t
  // goes to double before it loses digits, and the chunks are put together in their order. false: the body
  // said so of a group, or the run was cancelled, and the sums are not whole.
  template <class Body>
  bool add_up(std::ptrdiff_t group, Body&& body) {
    const std::ptrdiff_t stride = costs_.stride(), every = groups_between_checks(group * stride);
    std::atomic<bool> whole = true;
    ctx_.parallel_for(n_, rows_per_chunk_, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      double* sum = partial_.data() + lo / rows_per_chunk_ * stride;
      std::fill_n(sum, stride, 0.0);
      T* t;
      if constexpr (single_precision)
        t = workers_[static_cast<std::size_t>(w)].t.data();
      else
        t = sum;
      std::ptrdiff_t pending = 0, groups = 0;
      for (std::ptrdiff_t i = lo; i < hi; i += group, ++groups) {
        if ((groups % every == 0 && ctx_.checkpoint(w)) || !body(i, hi, w, t)) {
          whole = false;
          std::fill(t, t + stride, T(0));
          return;
        }
        pending += group;
        if constexpr (single_precision)
          if (pending >= rows_between_flushes) {
            costs_.table().flush(t, sum, stride);
            pending = 0;
          }
      }
      if constexpr (single_precision) costs_.table().flush(t, sum, stride);
    });
    if (!whole) return false;
    constexpr std::ptrdiff_t column_chunk = 512;
    ctx_.parallel_for(m_, column_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      std::copy(partial_.data() + lo, partial_.data() + hi, column_sum_.data() + lo);
      for (std::ptrdiff_t c = 1; c < chunks_; ++c) {
        const double* p = partial_.data() + c * stride;
        for (std::ptrdiff_t j = lo; j < hi; ++j) column_sum_[j] += p[j];
      }
    });
    return true;
  }

  void pass(double kappa, const row_rule& rule, bool exact, bool update, vector& phi, const vector& gamma) {
    if (keeps_ && update && !rule && !exact) {  // what certifies is computed afresh
      keep(kappa, phi, gamma);
      if (kept_pass(phi)) return;
      keeps_ = false;
    }
    costs_.columns(kappa, gamma, g_.data());
    add_up(costs_.group(), [&](std::ptrdiff_t first, std::ptrdiff_t last, int w, T* t) {
      rows(kappa, rule, exact, update, first, last, phi, workers_[static_cast<std::size_t>(w)], t);
      return true;
    });
    if (update && !rule) improve_rows(phi);
  }

  // One group of rows: exponentials, row sums, update, and what the rows add to the column sums.
  void rows(double kappa, const row_rule& rule, bool exact, bool update, std::ptrdiff_t first,
            std::ptrdiff_t end, vector& phi, worker& s, T* t) {
    const auto& k = costs_.table();
    const std::ptrdiff_t stride = costs_.stride();
    row_index index;
    const std::ptrdiff_t real = row_group(first, end, costs_.group(), index);
    double sum[kernels::most_rows];
    T q[kernels::most_rows];
    for (std::ptrdiff_t r = 0; r < costs_.group(); ++r) q[r] = 0;
    bool usable = false;
    if (!exact) {
      costs_.exponentials(kappa, index, phi.data(), g_.data(), s.e.data(), sum, s.scratch.data());
      usable = true;
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        const double scale = std::max(a_[index[r]], 0x1p-60);
        const double high = single_precision ? 0x1p90 : 0x1p900, low = single_precision ? 0x1p-90 : 0x1p-900;
        usable = usable && sum[r] >= low * scale && sum[r] <= high * scale;
      }
    }
    if (!usable && update) {  // K2: start from the largest exponent of each row
      double top[kernels::most_rows];
      costs_.logits(kappa, index, nullptr, g_.data(), s.e.data(), top, s.scratch.data());
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        const std::ptrdiff_t i = index[r];
        if (!(std::abs(top[r]) <= std::numeric_limits<double>::max()))  // every cost +inf, or a NaN
          throw std::invalid_argument("row " + std::to_string(i) + " of the cost has no finite entry");
        double weighted = 0;
        sum[r] = k.exp_row(s.e.data() + r * stride, static_cast<T>(top[r]), stride, &weighted);
        if (!rule) {
          phi[i] = -top[r];  // log2(a / s) is added at the end
          row_sum_[i] = sum[r];
          q[r] = static_cast<T>(a_[i] / sum[r]);
        } else {
          phi[i] = rule(i, log_a_[i] - top[r] - std::log2(sum[r]));
          const double weight = std::exp2(phi[i] + top[r]);
          row_sum_[i] = weight * sum[r];
          q[r] = static_cast<T>(weight);
        }
      }
    } else {
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        const std::ptrdiff_t i = index[r];
        row_sum_[i] = sum[r];
        q[r] = T(1);
        if (update && !rule) q[r] = static_cast<T>(a_[i] / sum[r]);
        if (update && rule) {
          const double before = phi[i];
          phi[i] = rule(i, before + log_a_[i] - std::log2(sum[r]));
          const double weight = std::exp2(phi[i] - before);
          row_sum_[i] = weight * sum[r];
          q[r] = static_cast<T>(weight);
        }
      }
    }
    for (std::ptrdiff_t r = 0; r < real; r += block)
      k.add_rows(s.e.data() + r * stride, stride, q + r, t, stride);
  }

  // Columns whose sum is too small to be trusted get it from their largest exponent (K2 in the other
  // direction).
  void redo_columns(double kappa, const std::vector<std::ptrdiff_t>& list, const vector& phi,
                    const vector& gamma, vector& rho) {
    if (list.empty()) return;
    if (!transposed_) transposed_ = std::make_unique<cost_rows<T>>(ctx_, geo_, kappa_, true);
    const auto& c = *transposed_;
    const std::ptrdiff_t stride = c.stride();
    buffer<T> f(ctx_, stride);
    c.columns(kappa, phi, f.data());
    std::vector<worker> workers;  // memory is taken here: the caller's resource need not be thread safe
    for (int w = 0; w < ctx_.threads(); ++w) workers.emplace_back(ctx_, c);
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(list.size());
    ctx_.parallel_for(n, c.group(), [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      if (ctx_.checkpoint(w)) return;
      worker& s = workers[static_cast<std::size_t>(w)];
      row_index index;
      const std::ptrdiff_t real = row_group(lo, hi, c.group(), index);
      for (std::ptrdiff_t r = 0; r < c.group(); ++r) index[r] = list[static_cast<std::size_t>(index[r])];
      double top[kernels::most_rows];
      c.logits(kappa, index, nullptr, f.data(), s.e.data(), top, s.scratch.data());
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        const std::ptrdiff_t j = index[r];
        if (!(std::abs(top[r]) <= std::numeric_limits<double>::max()))
          throw std::invalid_argument("column " + std::to_string(j) + " of the cost has no finite entry");
        double weighted = 0;
        const double sum =
            c.table().exp_row(s.e.data() + r * stride, static_cast<T>(top[r]), stride, &weighted);
        rho[j] = log_b_[j] - gamma[j] - top[r] - std::log2(sum);
      }
    });
  }

  const context& ctx_;
  geometry<T> geo_;
  double kappa_;
  cost_rows<T> costs_;
  std::unique_ptr<cost_rows<T>> transposed_;
  std::span<const double> a_, b_;
  std::ptrdiff_t n_, m_, rows_per_chunk_ = 0, chunks_ = 0;
  buffer<double> log_a_, log_b_, row_sum_;
  buffer<T> g_;
  buffer<double> column_sum_, partial_;
  std::vector<worker> workers_;
  bool keeps_ = false;
  double kept_kappa_ = 0;  // 0: nothing is kept
  buffer<T> kept_, row_factor_, column_factor_;
  buffer<double> kept_phi_, kept_gamma_, kept_a_, kept_sum_;
};

// Made once, in solve.cpp.
extern template class cpu_executor<float>;
extern template class cpu_executor<double>;

}  // namespace lapwing::ot
