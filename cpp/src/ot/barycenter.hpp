// The iteration behind entropic barycentres on a fixed support, in the log domain, for whatever applies the
// kernel. A pass over the pairs gives every measure its row update, and the column sums that the mean is
// taken of.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <span>
#include <utility>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "anderson.hpp"
#include "cost_rows.hpp"
#include "lanes.hpp"

namespace lapwing::ot {

// What a pass is asked for, all in log2: of every measure l_j = log2 sum_i K_ij a_i / (K 2^gamma)_i, one
// after the other as gamma is; with debias image_i = log2 (K 2^d)_i.
struct barycenter_step {
  double kappa;  // K = 2^(-kappa C)
  const double *gamma, *d;
  double *l, *image;
};

inline void check_options(const barycenter_options& o) {
  check(!o.schedule.empty(), "schedule must hold at least reg");
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
}

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

// share: of the measures, of sum 1; mass: theirs. pass(barycenter_step) does a pass.
template <class Pass>
barycenter_result find_barycenter(const context& ctx, std::span<const double> share,
                                  std::span<const double> mass, bool debias, const barycenter_options& o,
                                  std::span<double> log_p, Pass&& pass) {
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
    bool extrapolated = false, accelerated = false;
    double before = 0;
    for (std::ptrdiff_t iteration = 0; last || iteration < 20; ++iteration) {
      const double* const d = now.data() + count * m;
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
      // Not where d is found too: it deconvolves, and the modes that take longest get lost in the others.
      if (last && iteration >= 3 && !debias) {
        if (!accelerated)
          for (std::ptrdiff_t j = 0; j < size; ++j)
            importance[j] = share[static_cast<std::size_t>(j / m)] * weight[j % m];
        accelerated = true;
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

}  // namespace lapwing::ot
