#include "newton.hpp"

#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/view.hpp>
#include <limits>
#include <numeric>
#include <optional>

#include "../linalg/cholesky.hpp"

namespace lapwing::ot {
namespace {

constexpr double ln2 = 0.69314718055994530942;
constexpr std::ptrdiff_t chunk = 256;  // rows or columns, fixed: sums do not depend on the threads

std::size_t z(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

// sum of v[q] x[index[q]]; several sums at once, since a chain of additions would wait for each
double gathered(const float* v, const std::int32_t* index, std::int64_t n, const double* x) {
  double s[4] = {};
  std::int64_t q = 0;
  for (; q + 4 <= n; q += 4)
    for (int k = 0; k < 4; ++k) s[k] += static_cast<double>(v[q + k]) * x[index[q + k]];
  for (; q < n; ++q) s[0] += static_cast<double>(v[q]) * x[index[q]];
  return (s[0] + s[1]) + (s[2] + s[3]);
}

// sum over [0, n) of what body(lo, hi) returns for fixed chunks, in order
template <class Body>
double summed(const context& ctx, std::ptrdiff_t n, Body&& body) {
  std::vector<double> part(z((n + chunk - 1) / chunk));
  ctx.parallel_for(n, chunk,
                   [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) { part[z(lo / chunk)] = body(lo, hi); });
  return std::accumulate(part.begin(), part.end(), 0.0);
}

class restricted_dual {
 public:
  restricted_dual(const context& ctx, const active_set& s, std::span<const double> a,
                  std::span<const double> b, std::span<const double> phi, std::span<const double> gamma,
                  const newton_options& o)
      : ctx_(ctx),
        s_(s),
        o_(o),
        a_(a),
        b_(b),
        n_(s.rows()),
        m_(std::ssize(b)),
        mass_(std::accumulate(a.begin(), a.end(), 0.0)),
        row_term_(z(n_)),
        column_term_(z(m_)),
        value_(z(s.entries())),
        by_column_(z(s.entries())),
        row_rest_(z(n_)),
        column_rest_(z(m_)),
        column_sum_(z(m_)) {
    for (std::ptrdiff_t i = 0; i < n_; ++i) row_term_[z(i)] = std::log2(s.row_rest[z(i)]) - phi[z(i)];
    for (std::ptrdiff_t j = 0; j < m_; ++j) column_term_[z(j)] = std::log2(s.column_rest[z(j)]) - gamma[z(j)];
    transpose();
    find_components();
  }

  // phi, the entries and the column sums that belong to gamma; returns the dual over ln 2, up to a constant
  double evaluate(std::span<const double> gamma, std::span<double> phi) {
    const double rows = summed(ctx_, n_, [&](std::ptrdiff_t lo, std::ptrdiff_t hi) {
      double sum = 0;
      for (std::ptrdiff_t i = lo; i < hi; ++i) sum += a_[z(i)] * phi_of(i, gamma, phi);
      return sum;
    });
    const double columns = summed(ctx_, m_, [&](std::ptrdiff_t lo, std::ptrdiff_t hi) {
      double sum = 0;
      for (std::ptrdiff_t j = lo; j < hi; ++j) {
        double c = 0;
        for (std::int64_t q = starts_[z(j)]; q < starts_[z(j) + 1]; ++q)
          c += by_column_[z(q)] = value_[z(places_[z(q)])];
        column_rest_[z(j)] = std::exp2(column_term_[z(j)] + gamma[z(j)]);
        column_sum_[z(j)] = c + column_rest_[z(j)];
        sum += b_[z(j)] * gamma[z(j)] - column_rest_[z(j)] / ln2;
      }
      return sum;
    });
    return rows + columns;
  }

  // what the last direction was asked to remove
  double balanced() const { return balanced_; }
  double error() const {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < m_; ++j) sum += std::abs(b_[z(j)] - column_sum_[z(j)]);
    return sum / mass_;
  }

  // Moves the potentials of whole components, each by what makes its two sides equal: with t added to its
  // gamma, and taken from its phi, missing + rows (e^-t - 1) - columns (e^t - 1) = 0. Newton's quadratic
  // model would be off by any factor where little mass must grow into much. Returns whether any moved; t is
  // limited.
  bool shift(std::span<double> gamma) const {
    std::vector<double> rhs(z(m_));
    for (std::ptrdiff_t j = 0; j < m_; ++j) rhs[z(j)] = b_[z(j)] - column_sum_[z(j)];
    const std::vector<component> all = weigh(rhs);
    std::vector<double> move(all.size(), 0.0);
    bool any = false;
    for (std::size_t c = 0; c < all.size(); ++c) {
      const auto& [rows, columns, missing, total] = all[c];
      const double difference = missing - rows + columns,
                   root = std::sqrt(difference * difference + 4 * rows * columns);
      if (!(std::abs(missing) > 1e-12 * total) || !(root > 0)) continue;
      const double growth =
          difference > 0 ? (difference + root) / (2 * columns) : 2 * rows / (root - difference);
      const double t =
          std::clamp(std::log(growth), -600.0, 600.0);  // a growth of 0 or infinity: as far as that
      if (std::isnan(t) || std::abs(t) < 1) continue;
      move[c] = t / ln2;
      any = true;
    }
    if (any)
      for (std::ptrdiff_t j = 0; j < m_; ++j) gamma[z(j)] += move[z(label_[z(n_ + j)])];
    return any;
  }

  // x: about the Newton direction (in nats) to the relative residual `tol`; returns <b - c, x>. damping:
  // share of the column sums added to the diagonal, which shortens the parts of the step that little holds
  // back.
  double direction(double tol, double damping, std::vector<double>& x, newton_result& out) {
    damping_ = damping;
    std::vector<double> rhs(z(m_));
    for (std::ptrdiff_t j = 0; j < m_; ++j) rhs[z(j)] = b_[z(j)] - column_sum_[z(j)];
    balanced_ = balance(rhs);
    x.assign(z(m_), 0.0);
    bool done = false;
    if (!direct_tried_ && s_.entries() <= 40 * (n_ + m_))
      prepare_factor(1000.0 * static_cast<double>(s_.entries()));
    if (!factor_) {
      done = conjugate_gradients(tol, rhs, x, factor_possible_ ? 500 : o_.max_inner, out);
      if (!done && factor_possible_) prepare_factor(2e10);
    }
    if (!done && factor_) {
      solve_directly(rhs, x);
      out.direct = true;
    }
    centre(x);
    double slope = 0;
    for (std::ptrdiff_t j = 0; j < m_; ++j) slope += (b_[z(j)] - column_sum_[z(j)]) * x[z(j)];
    return slope;
  }

 private:
  double phi_of(std::ptrdiff_t i, std::span<const double> gamma, std::span<double> phi) {
    const std::int64_t lo = s_.offsets[z(i)], hi = s_.offsets[z(i) + 1];
    double top = row_term_[z(i)];
    for (std::int64_t q = lo; q < hi; ++q) {
      const double v = gamma[z(s_.columns[z(q)])] - s_.costs[z(q)];
      value_[z(q)] = v;
      top = std::max(top, v);
    }
    double sum = row_rest_[z(i)] = std::exp2(row_term_[z(i)] - top);
    for (std::int64_t q = lo; q < hi; ++q) sum += value_[z(q)] = std::exp2(value_[z(q)] - top);
    const double scale = a_[z(i)] / sum;
    for (std::int64_t q = lo; q < hi; ++q) value_[z(q)] *= scale;
    row_rest_[z(i)] *= scale;
    return phi[z(i)] = std::log2(scale) - top;
  }

  void transpose() {
    starts_.assign(z(m_) + 1, 0);
    for (const std::int32_t j : s_.columns) ++starts_[z(j) + 1];
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    rows_.resize(z(s_.entries()));
    places_.resize(z(s_.entries()));
    std::vector<std::int64_t> at(starts_.begin(), starts_.end() - 1);
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
      for (std::int64_t q = s_.offsets[z(i)]; q < s_.offsets[z(i) + 1]; ++q) {
        const std::int64_t to = at[z(s_.columns[z(q)])]++;
        rows_[z(to)] = static_cast<std::int32_t>(i);
        places_[z(to)] = q;
      }
    }
  }

  // Components of the bipartite graph of the set: labels of rows and of columns.
  void find_components() {
    std::vector<std::int32_t> parent(z(n_ + m_));
    std::iota(parent.begin(), parent.end(), 0);
    const auto root = [&](std::int32_t i) {
      while (parent[z(i)] != i) i = parent[z(i)] = parent[z(parent[z(i)])];
      return i;
    };
    for (std::ptrdiff_t i = 0; i < n_; ++i)
      for (std::int64_t q = s_.offsets[z(i)]; q < s_.offsets[z(i) + 1]; ++q) {
        const std::int32_t u = root(static_cast<std::int32_t>(i)),
                           v = root(static_cast<std::int32_t>(n_) + s_.columns[z(q)]);
        parent[z(std::max(u, v))] = std::min(u, v);
      }
    label_.resize(z(n_ + m_));
    for (std::ptrdiff_t i = 0; i < n_ + m_; ++i) {
      const std::int32_t r = root(static_cast<std::int32_t>(i));
      label_[z(i)] = r == i ? components_++ : label_[z(r)];
    }
  }

  struct component {
    double rows = 0, columns = 0;  // rest of its rows and of its columns
    double missing = 0;            // b less the column sums
    double total = 0;              // column sums
  };
  std::vector<component> weigh(const std::vector<double>& rhs) const {
    std::vector<component> all(z(components_));
    for (std::ptrdiff_t i = 0; i < n_; ++i) all[z(label_[z(i)])].rows += row_rest_[z(i)];
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      component& c = all[z(label_[z(n_ + j)])];
      c.columns += column_rest_[z(j)];
      c.missing += rhs[z(j)];
      c.total += column_sum_[z(j)];
    }
    return all;
  }

  // Where what ties a component to the rest is too little for what its two sides differ by (`shift` brings
  // that about), the right side is made to sum to 0 there, and the tie is cut. Returns |rhs|_1 over the mass.
  double balance(std::vector<double>& rhs) {
    const std::vector<component> all = weigh(rhs);
    tied_.assign(z(components_), 1);
    for (std::size_t c = 0; c < tied_.size(); ++c) {
      const double ground = all[c].rows + all[c].columns;
      tied_[c] = ground > 1e-13 * all[c].total && std::abs(all[c].missing) <= 5 * ground;
    }
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      const component& c = all[z(label_[z(n_ + j)])];
      if (!tied_[z(label_[z(n_ + j)])]) rhs[z(j)] -= c.missing * (column_sum_[z(j)] / c.total);
      sum += std::abs(rhs[z(j)]);
    }
    return sum / mass_;
  }

  // A component whose tie is cut keeps its place.
  void centre(std::vector<double>& x) const {
    std::vector<double> mean(z(components_), 0.0), total(mean);
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      mean[z(label_[z(n_ + j)])] += column_sum_[z(j)] * x[z(j)];
      total[z(label_[z(n_ + j)])] += column_sum_[z(j)];
    }
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      const std::size_t c = z(label_[z(n_ + j)]);
      if (!tied_[c]) x[z(j)] -= mean[c] / total[c];
    }
  }

  // The entries in single precision, which halves what an inner step reads, times powers of two that bring
  // rows (columns) near 1 and do not round. The sums are those of the rounded entries, so that the matrix of
  // `multiply` is dominant by what the rests hold, however little that is.
  void round_entries() {
    rounded_rows_.entries.resize(value_.size());
    rounded_columns_.entries.resize(value_.size());
    rounded_rows_.sum.resize(z(n_));
    rounded_columns_.sum.resize(z(m_));
    rounded_columns_.unit.resize(z(m_));
    rounded_rows_.unit.resize(z(n_));
    const auto round = [](const double* values, std::int64_t n, double size, double rest, float* out,
                          double& unit, double& sum) {
      unit = size > 0 ? std::exp2(std::ilogb(size)) : 1.0;
      double s = rest / unit;
      for (std::int64_t q = 0; q < n; ++q)
        s += static_cast<double>(out[q] = static_cast<float>(values[q] / unit));
      sum = s;
    };
    ctx_.parallel_for(n_, chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        const std::int64_t first = s_.offsets[z(i)];
        round(value_.data() + first, s_.offsets[z(i) + 1] - first, a_[z(i)], row_rest_[z(i)],
              rounded_rows_.entries.data() + first, rounded_rows_.unit[z(i)], rounded_rows_.sum[z(i)]);
      }
    });
    ctx_.parallel_for(m_, chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t j = lo; j < hi; ++j) {
        const std::int64_t first = starts_[z(j)];
        round(by_column_.data() + first, starts_[z(j) + 1] - first, column_sum_[z(j)], column_rest_[z(j)],
              rounded_columns_.entries.data() + first, rounded_columns_.unit[z(j)],
              rounded_columns_.sum[z(j)]);
      }
    });
  }

  // y = c x - P^T (P x / a), where ties that were cut do not count
  void multiply(const std::vector<double>& x, std::vector<double>& mean, std::vector<double>& y) const {
    ctx_.parallel_for(n_, chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t i = lo; i < hi; ++i) {
        const std::int64_t first = s_.offsets[z(i)], count = s_.offsets[z(i) + 1] - first;
        mean[z(i)] =
            gathered(rounded_rows_.entries.data() + first, s_.columns.data() + first, count, x.data()) /
            rounded_rows_.sum[z(i)];
      }
    });
    ctx_.parallel_for(m_, chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t j = lo; j < hi; ++j) {
        const std::int64_t first = starts_[z(j)], count = starts_[z(j) + 1] - first;
        y[z(j)] = rounded_columns_.unit[z(j)] * ((1 + damping_) * rounded_columns_.sum[z(j)] * x[z(j)] -
                                                 gathered(rounded_columns_.entries.data() + first,
                                                          rows_.data() + first, count, mean.data()));
      }
    });
  }

  // Preconditioned by the diagonal; tol is relative in the norm of the preconditioner.
  bool conjugate_gradients(double tol, const std::vector<double>& rhs, std::vector<double>& x, int most,
                           newton_result& out) {
    round_entries();
    std::vector<double> r(rhs), p(z(m_), 0.0), q(z(m_)), mean(z(n_)), inverse(z(m_));
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      const double unit = rounded_columns_.unit[z(j)], sum = rounded_columns_.sum[z(j)];
      double diagonal = 0;
      for (std::int64_t e = starts_[z(j)]; e < starts_[z(j) + 1]; ++e) {
        const double entry = static_cast<double>(rounded_columns_.entries[z(e)]);
        const std::size_t i = z(rows_[z(e)]);
        diagonal += entry * (entry * (unit / rounded_rows_.unit[i]) / rounded_rows_.sum[i]);
      }
      inverse[z(j)] = 1 / (unit * std::max((1 + damping_) * sum - diagonal, 1e-14 * sum));
    }
    const auto dot = [&](const std::vector<double>& u, const std::vector<double>& v, bool weighted) {
      double s = 0;
      for (std::ptrdiff_t j = 0; j < m_; ++j) s += u[z(j)] * v[z(j)] * (weighted ? inverse[z(j)] : 1.0);
      return s;
    };
    double rz = dot(r, r, true);
    const double goal = tol * tol * rz;
    for (int k = 0; k < most && rz > goal; ++k) {
      const double last = k == 0 ? 0.0 : rz / before_;
      for (std::ptrdiff_t j = 0; j < m_; ++j) p[z(j)] = inverse[z(j)] * r[z(j)] + last * p[z(j)];
      multiply(p, mean, q);
      ++out.inner;
      if (k % 16 == 0) ctx_.poll();
      const double pq = dot(p, q, false);
      if (!(pq > 0)) return false;
      const double alpha = rz / pq;
      for (std::ptrdiff_t j = 0; j < m_; ++j) {
        x[z(j)] += alpha * p[z(j)];
        r[z(j)] -= alpha * q[z(j)];
      }
      before_ = rz;
      rz = dot(r, r, true);
    }
    return rz <= goal;
  }

  // The Schur complement of the bipartite graph with weights P, each vertex tied to the ground by its rest.
  void prepare_factor(double most_operations) {
    direct_tried_ = true;
    if (w_offsets_.empty()) {
      w_offsets_.assign(1, 0);
      for (std::ptrdiff_t i = 0; i < n_; ++i) {
        for (std::int64_t q = s_.offsets[z(i)]; q < s_.offsets[z(i) + 1]; ++q)
          w_indices_.push_back(static_cast<std::int32_t>(n_) + s_.columns[z(q)]);
        w_offsets_.push_back(std::ssize(w_indices_));
      }
      w_indices_.insert(w_indices_.end(), rows_.begin(), rows_.end());
      for (std::ptrdiff_t j = 0; j < m_; ++j) w_offsets_.push_back(s_.entries() + starts_[z(j) + 1]);
      w_values_.resize(w_indices_.size());
    }
    try {
      factor_.emplace(ctx_, csr_view<const double>{w_offsets_, w_indices_, w_values_, n_ + m_},
                      std::vector<std::int64_t>(), o_.max_bytes);
    } catch (const memory_exceeded&) {
      factor_possible_ = false;
      return;
    }
    if (factor_->operations() > 2e10) factor_possible_ = false;
    if (factor_->operations() > most_operations) factor_.reset();
  }

  void solve_directly(const std::vector<double>& rhs, std::vector<double>& x) {
    std::copy(value_.begin(), value_.end(), w_values_.begin());
    std::copy(by_column_.begin(), by_column_.end(), w_values_.begin() + s_.entries());
    std::vector<double> ground(z(n_ + m_)), right(z(n_ + m_), 0.0), solution(z(n_ + m_));
    for (std::ptrdiff_t i = 0; i < n_; ++i) ground[z(i)] = tied_[z(label_[z(i)])] ? row_rest_[z(i)] : 0.0;
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      ground[z(n_ + j)] =
          (tied_[z(label_[z(n_ + j)])] ? column_rest_[z(j)] : 0.0) + damping_ * column_sum_[z(j)];
      right[z(n_ + j)] = rhs[z(j)];
    }
    factor_->factor(ctx_, ground.data());
    factor_->solve(ctx_, {right.data(), n_ + m_, 1}, {solution.data(), n_ + m_, 1});
    std::copy(solution.begin() + n_, solution.end(), x.begin());
  }

  const context& ctx_;
  const active_set& s_;
  const newton_options& o_;
  std::span<const double> a_, b_;
  std::ptrdiff_t n_, m_;
  double mass_, before_ = 0, damping_ = 0, balanced_ = 0;
  std::vector<double> row_term_, column_term_;  // log2 of the rest over the scaling at which it was taken
  std::vector<double> value_, by_column_;       // P, by rows and by columns
  std::vector<double> row_rest_, column_rest_, column_sum_;
  struct rounded {  // P = unit * entries; sum: of a row (column) with its rest, over its unit
    std::vector<float> entries;
    std::vector<double> unit, sum;
  };
  rounded rounded_rows_, rounded_columns_;
  std::vector<std::int64_t> starts_, places_;  // by columns: where the entry stands by rows
  std::vector<std::int32_t> rows_, label_;
  std::int32_t components_ = 0;
  std::vector<char> tied_;  // of each component
  std::vector<std::int64_t> w_offsets_;
  std::vector<std::int32_t> w_indices_;
  std::vector<double> w_values_;
  std::optional<linalg::grounded_cholesky> factor_;
  bool direct_tried_ = false, factor_possible_ = true;
};

}  // namespace

newton_result maximise(const context& ctx, const active_set& s, std::span<const double> a,
                       std::span<const double> b, const newton_options& o, std::span<double> phi,
                       std::span<double> gamma) {
  restricted_dual dual(ctx, s, a, b, phi, gamma, o);
  newton_result out;
  const std::size_t m = gamma.size();
  double value = dual.evaluate(gamma, phi);
  out.error = dual.error();
  constexpr double longest = 20;  // nats that a potential may move in a step
  double damping = 0;
  std::vector<double> x, trial(m);
  if (out.error > o.tol && dual.shift(gamma)) {
    value = dual.evaluate(gamma, phi);
    out.error = dual.error();
  }
  while (out.error > o.tol && out.steps < o.max_steps) {
    double slope = 0, largest = 0;
    for (int attempt = 0;; ++attempt) {
      slope = dual.direction(std::min(0.1, std::sqrt(out.error)), damping, x, out);
      largest = 0;
      for (const double v : x) largest = std::max(largest, std::abs(v));
      if (largest <= longest || attempt == 6) break;
      // groups of points that hardly anything ties to the rest: their masses differ, and a quadratic model of
      // what an exponential will do sends them anywhere
      damping = std::max(10 * damping, 1e-3 * out.error);
    }
    if (!std::isfinite(largest) || !(slope > 0) || dual.balanced() <= 0.5 * o.tol) break;
    bool accepted = false;
    for (double t = std::min(1.0, longest / largest); t >= 1e-7; t /= 2) {
      for (std::size_t j = 0; j < m; ++j) trial[j] = gamma[j] + t * x[j] / ln2;
      const double next = dual.evaluate(trial, phi);
      if (next - value >= 1e-4 * t * slope / ln2 - 1e-13 * std::abs(value)) {
        value = next;
        accepted = true;
        break;
      }
    }
    ++out.steps;
    if (!accepted) {
      dual.evaluate(gamma, phi);
      break;
    }
    std::copy(trial.begin(), trial.end(), gamma.begin());
    out.error = dual.error();
    damping = damping > 1e-12 ? damping / 10 : 0.0;
  }
  out.converged = out.error <= o.tol;
  return out;
}

}  // namespace lapwing::ot
