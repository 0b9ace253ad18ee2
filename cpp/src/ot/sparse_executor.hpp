// The primitives of driver.hpp over the stored pairs of a sparse cost (spec 3.5): rows by the matrix, columns
// by its transposed structure, so that no two threads add to one sum.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <lapwing/view.hpp>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "cost_rows.hpp"
#include "newton.hpp"

namespace lapwing::ot {

template <class T>
class sparse_executor {
 public:
  using vector = buffer<double>;
  using row_rule = std::function<double(std::ptrdiff_t, double)>;
  static constexpr bool single_precision = sizeof(T) == 4, sparse_pattern = true;
  static constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2;
  struct sweep_result {
    double row_error, column_error;
  };

  sparse_executor(const context& ctx, csr_view<const T> costs, std::span<const double> a,
                  std::span<const double> b)
      : ctx_(ctx),
        kernels_(kernels::get<T>(ctx.level())),
        c_(costs),
        a_(a),
        b_(b),
        n_(costs.rows()),
        m_(costs.cols),
        log_a_(ctx, n_),
        log_b_(ctx, m_),
        row_sum_(ctx, n_),
        column_sum_(ctx, m_),
        entry_(ctx, costs.size()),
        starts_(ctx, m_ + 1, std::int64_t{0}),
        rows_(ctx, costs.size()),
        places_(ctx, costs.size()) {
    for (std::ptrdiff_t i = 0; i < n_; ++i) log_a_[i] = std::log2(a[z(i)]);
    for (std::ptrdiff_t j = 0; j < m_; ++j) log_b_[j] = std::log2(b[z(j)]);
    transpose();
    cut();
    for (int w = 0; w < ctx.threads(); ++w)
      rooms_.push_back({buffer<T>(ctx, room_), buffer<double>(ctx, room_), buffer<double>(ctx, most_rows)});
  }

  std::ptrdiff_t rows() const { return n_; }
  std::ptrdiff_t cols() const { return m_; }
  vector make_rows() const { return vector(ctx_, n_, 0.0); }
  vector make_cols() const { return vector(ctx_, m_, 0.0); }
  std::span<const double> a() const { return a_; }
  std::span<const double> b() const { return b_; }
  std::span<const double> log_a() const { return log_a_; }
  std::span<const double> log_b() const { return log_b_; }

  // As those of cpu_executor. Rows always start from their largest exponent: a second look at a row costs
  // little beside its random accesses.
  sweep_result sweep(double kappa, double omega, bool exact, vector& phi, const vector& gamma, vector& rho) {
    if (omega == 1) return sweep(kappa, row_rule(), exact, phi, gamma, rho);
    const row_rule rule = [&](std::ptrdiff_t i, double full) { return phi[i] + omega * (full - phi[i]); };
    return sweep(kappa, rule, exact, phi, gamma, rho);
  }
  sweep_result sweep(double kappa, const row_rule& rule, bool, vector& phi, const vector& gamma,
                     vector& rho) {
    row_pass(kappa, gamma, [&](std::ptrdiff_t i, double top, double sum) {
      const double full = log_a_[i] - top - std::log2(sum);
      phi[i] = rule ? rule(i, full) : full;
      const double weight = rule ? std::exp2(phi[i] + top) : a_[z(i)] / sum;
      row_sum_[i] = weight * sum;
      return weight;
    });
    column_pass();
    sweep_result out{0, 0};
    if (rule)
      for (std::ptrdiff_t i = 0; i < n_; ++i) out.row_error += std::abs(row_sum_[i] - a_[z(i)]);
    const double lowest = std::exp2(single_precision ? -60 : -600);
    std::vector<std::ptrdiff_t> low;
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      out.column_error += std::abs(column_sum_[j] - b_[z(j)]);
      if (!(column_sum_[j] >= lowest * b_[z(j)]) || column_sum_[j] > std::numeric_limits<double>::max()) {
        low.push_back(j);
        column_sum_[j] = b_[z(j)];
      }
    }
    kernels_.log2_ratio(b_.data(), column_sum_.data(), rho.data(), m_);
    for (const std::ptrdiff_t j : low) rho[j] = log_b_[j] - gamma[j] - column_sum(kappa, j, phi);
    return out;
  }

  // As that of cpu_executor: the even share of a row or column is over its stored pairs.
  bool extract(double kappa, const vector& phi, const vector& gamma, double delta, std::ptrdiff_t most,
               active_set& s) {
    const bool grows = s.entries() > 0;
    active_set out;
    out.row_rest.assign(z(n_), 0.0);
    out.column_rest.assign(z(m_), 0.0);
    std::vector<double> bound(z(m_));
    for (std::ptrdiff_t j = 0; j < m_; ++j)
      bound[z(j)] =
          std::log2(delta / static_cast<double>(std::max<std::int64_t>(1, count_of(j)))) + log_b_[j];
    std::vector<double> kept(z(c_.size()));  // exponents; -inf: in the set
    std::vector<std::int64_t> counts(z(n_));
    ctx_.parallel_for(n_, rows_at_once, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      if (ctx_.checkpoint(w)) return;
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        const std::int64_t first = c_.offsets[z(i)], last = c_.offsets[z(i) + 1];
        const double least = std::log2(delta / static_cast<double>(last - first)) + log_a_[i];
        std::int64_t old = grows ? s.offsets[z(i)] : 0;
        const std::int64_t old_end = grows ? s.offsets[z(i) + 1] : 0;
        for (std::int64_t q = first; q < last; ++q) {
          const std::int32_t j = c_.indices[z(q)];
          const double x = phi[i] + gamma[j] - kappa * static_cast<double>(c_.values[z(q)]);
          const bool was = old < old_end && s.columns[z(old)] == j;
          old += was;
          const bool in = was || x > least || x > bound[z(j)];
          counts[z(i)] += in;
          kept[z(q)] = in ? -std::numeric_limits<double>::infinity() : x;
          if (!in) out.row_rest[z(i)] += std::exp2(x);
        }
      }
    });
    std::int64_t total = 0;
    for (const std::int64_t c : counts) total += c;
    if (total > most) return false;
    ctx_.parallel_for(m_, rows_at_once, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t j = lo; j < hi; ++j)
        for (std::int64_t q = starts_[j]; q < starts_[j + 1]; ++q)
          out.column_rest[z(j)] += std::exp2(kept[z(places_[q])]);
    });
    out.columns.reserve(z(total));
    out.costs.reserve(z(total));
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
      for (std::int64_t q = c_.offsets[z(i)]; q < c_.offsets[z(i) + 1]; ++q)
        if (std::isinf(kept[z(q)])) {
          out.columns.push_back(c_.indices[z(q)]);
          out.costs.push_back(kappa * static_cast<double>(c_.values[z(q)]));
        }
      out.offsets.push_back(std::ssize(out.columns));
    }
    s = std::move(out);
    return true;
  }

  void marginals(double kappa, const vector& phi, const vector& gamma, std::span<double> row_sum,
                 std::span<double> column_sum) {
    row_pass(kappa, gamma, [&](std::ptrdiff_t i, double top, double sum) {
      const double weight = std::exp2(phi[i] + top);
      row_sum[z(i)] = weight * sum;
      return weight;
    });
    column_pass();
    std::copy_n(column_sum_.data(), m_, column_sum.data());
  }

 private:
  static constexpr std::ptrdiff_t most_rows = 512, most_entries = 4096, rows_at_once = 256;
  struct room {
    buffer<T> e;
    buffer<double> exponent, top;
  };
  static std::size_t z(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }
  std::int64_t count_of(std::ptrdiff_t j) const { return starts_[j + 1] - starts_[j]; }

  void transpose() {
    for (const std::int32_t j : c_.indices) ++starts_[j + 1];
    for (std::ptrdiff_t j = 0; j < m_; ++j) starts_[j + 1] += starts_[j];
    buffer<std::int64_t> at(ctx_, m_);
    std::copy_n(starts_.data(), m_, at.data());
    for (std::ptrdiff_t i = 0; i < n_; ++i)
      for (std::int64_t q = c_.offsets[z(i)]; q < c_.offsets[z(i) + 1]; ++q) {
        const std::int64_t to = at[c_.indices[z(q)]]++;
        rows_[to] = static_cast<std::int32_t>(i);
        places_[to] = q;
      }
  }

  // Rows are worked on in runs of few thousand entries (or one long row), by the matrix alone.
  void cut() {
    cuts_.assign(1, 0);
    std::ptrdiff_t longest = 1;
    for (std::ptrdiff_t i = 0; i < n_;) {
      std::ptrdiff_t end = i + 1;
      const std::int64_t first = c_.offsets[z(i)];
      while (end < n_ && end - i < most_rows && c_.offsets[z(end) + 1] - first <= most_entries) ++end;
      longest = std::max<std::ptrdiff_t>(longest, c_.offsets[z(end)] - first);
      cuts_.push_back(end);
      i = end;
    }
    room_ = round_up(longest, kernels::column_padding);
  }

  // entry = weight 2^(gamma_j - kappa C_ij - top_i), weight = scale(i, top, sum) by row
  template <class Scale>
  void row_pass(double kappa, const vector& gamma, Scale&& scale) {
    ctx_.parallel_for(std::ssize(cuts_) - 1, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      room& r = rooms_[z(w)];
      for (std::ptrdiff_t run = lo; run < hi; ++run) {
        if (ctx_.checkpoint(w)) return;
        const std::ptrdiff_t begin = cuts_[z(run)], end = cuts_[z(run) + 1];
        const std::int64_t base = c_.offsets[z(begin)], count = c_.offsets[z(end)] - base;
        for (std::ptrdiff_t i = begin; i < end; ++i) {
          const std::int64_t first = c_.offsets[z(i)], last = c_.offsets[z(i) + 1];
          double top = -std::numeric_limits<double>::infinity();
          for (std::int64_t q = first; q < last; ++q) {
            const double x = gamma[c_.indices[z(q)]] - kappa * static_cast<double>(c_.values[z(q)]);
            r.exponent[q - base] = x;
            top = std::max(top, x);
          }
          if (!(std::abs(top) <= std::numeric_limits<double>::max()))
            throw std::invalid_argument("row " + std::to_string(i) + " of the cost has no finite entry");
          for (std::int64_t q = first; q < last; ++q)
            r.e[q - base] = static_cast<T>(r.exponent[q - base] - top);
          r.top[i - begin] = top;
        }
        const std::ptrdiff_t padded = round_up(count, kernels::column_padding);
        std::fill(r.e.data() + count, r.e.data() + padded, -std::numeric_limits<T>::infinity());
        double moment = 0;
        kernels_.exp_row(r.e.data(), T(0), padded, &moment);
        for (std::ptrdiff_t i = begin; i < end; ++i) {
          const std::int64_t first = c_.offsets[z(i)], last = c_.offsets[z(i) + 1];
          double sum = 0;
          for (std::int64_t q = first; q < last; ++q) sum += static_cast<double>(r.e[q - base]);
          const double weight = scale(i, r.top[i - begin], sum);
          for (std::int64_t q = first; q < last; ++q)
            entry_[q] = static_cast<T>(weight * static_cast<double>(r.e[q - base]));
        }
      }
    });
  }

  void column_pass() {
    ctx_.parallel_for(m_, rows_at_once, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      if (ctx_.checkpoint(w)) return;
      for (std::ptrdiff_t j = lo; j < hi; ++j) {
        double sum = 0;
        for (std::int64_t q = starts_[j]; q < starts_[j + 1]; ++q)
          sum += static_cast<double>(entry_[places_[q]]);
        column_sum_[j] = sum;
      }
    });
  }

  // log2 of sum_i 2^(phi_i - kappa C_ij), from the largest exponent
  double column_sum(double kappa, std::ptrdiff_t j, const vector& phi) const {
    const auto exponent = [&](std::int64_t q) {
      return phi[rows_[q]] - kappa * static_cast<double>(c_.values[z(places_[q])]);
    };
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t q = starts_[j]; q < starts_[j + 1]; ++q) top = std::max(top, exponent(q));
    if (!(std::abs(top) <= std::numeric_limits<double>::max()))
      throw std::invalid_argument("column " + std::to_string(j) + " of the cost has no finite entry");
    for (std::int64_t q = starts_[j]; q < starts_[j + 1]; ++q) sum += std::exp2(exponent(q) - top);
    return top + std::log2(sum);
  }

  const context& ctx_;
  const kernels::table<T>& kernels_;
  csr_view<const T> c_;
  std::span<const double> a_, b_;
  std::ptrdiff_t n_, m_, room_ = 0;
  buffer<double> log_a_, log_b_, row_sum_, column_sum_;
  buffer<T> entry_;              // of the plan, by rows
  buffer<std::int64_t> starts_;  // by columns:
  buffer<std::int32_t> rows_;    // the row of each entry,
  buffer<std::int64_t> places_;  // and where it stands by rows
  std::vector<std::ptrdiff_t> cuts_;
  std::vector<room> rooms_;
};

}  // namespace lapwing::ot
