// Entropic barycentres on a fixed support, in the log domain: one sweep a measure and iteration gives its row
// update and the column sums that the mean is taken of.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <memory>

#include "cpu_executor.hpp"

namespace lapwing::ot {

template <class T>
barycenter_result barycenter(const context& ctx, std::span<const measure<T>> measures, const geometry<T>* own,
                             const barycenter_options& o, std::span<double> log_p) {
  check(!measures.empty(), "there must be at least one measure");
  const std::ptrdiff_t m = std::ssize(log_p);
  double total = 0;
  for (const measure<T>& k : measures) {
    check_geometry(k.costs);
    check(k.costs.cols() == m, "all costs must have as many columns as the support, ", m, ", got ",
          k.costs.cols());
    check(std::ssize(k.weights) == k.costs.rows(), "weights must have length ", k.costs.rows(), ", got ",
          k.weights.size());
    for (const double w : k.weights)
      check(w > 0 && w <= std::numeric_limits<double>::max(), "weights must be positive and finite, got ", w);
    check(k.share > 0 && k.share <= std::numeric_limits<double>::max(), "share must be positive, got ",
          k.share);
    total += k.share;
  }
  if (own) check(own->rows() == m && own->cols() == m, "the cost of the support must be ", m, " x ", m);
  check(!o.schedule.empty(), "schedule must hold at least reg");
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);

  const std::vector<double> ones(static_cast<std::size_t>(m), 1.0);
  struct state {
    std::unique_ptr<cpu_executor<T>> ex;
    buffer<double> phi, gamma, rho;
    double share, mass = 0;
  };
  std::vector<state> states;
  for (const measure<T>& k : measures) {
    auto ex = std::make_unique<cpu_executor<T>>(ctx, k.costs, k.weights, ones, log2e / o.schedule.back(),
                                                2e9 / static_cast<double>(measures.size()));
    state s{std::move(ex), {}, {}, {}, k.share / total};
    s.phi = s.ex->make_rows();
    s.gamma = s.ex->make_cols();  // 0 for all: any start must have a weighted mean of 0
    s.rho = s.ex->make_cols();
    for (const double w : k.weights) s.mass += w;
    states.push_back(std::move(s));
  }
  std::vector<double> d(static_cast<std::size_t>(m), 0.0), p(d), image(d);  // log2
  barycenter_result r;
  double kappa = log2e / o.schedule.front();
  for (std::size_t level = 0; level < o.schedule.size(); ++level) {
    const bool last = level + 1 == o.schedule.size();
    const double ratio = log2e / o.schedule[level] / kappa;
    kappa *= ratio;
    for (state& s : states)
      for (std::ptrdiff_t j = 0; j < m; ++j) s.gamma[j] *= ratio;
    bool exact = true;
    for (std::ptrdiff_t iteration = 0; last || iteration < 20; ++iteration) {
      std::ranges::fill(p, 0.0);
      for (state& s : states) {
        s.ex->sweep(kappa, 1.0, exact, s.phi, s.gamma, s.rho);
        for (std::ptrdiff_t j = 0; j < m; ++j)
          p[static_cast<std::size_t>(j)] -= s.share * (s.rho[j] + s.gamma[j]);
      }
      exact = false;
      if (own)
        for (std::size_t j = 0; j < p.size(); ++j) p[j] += d[j];
      // every plan has column sums 2^-rho; they agree with p, and with each other, at the fixed point
      r.error = 0;
      for (state& s : states) {
        double missed = 0;
        for (std::ptrdiff_t j = 0; j < m; ++j)
          missed += std::abs(std::exp2(-s.rho[j]) - std::exp2(p[static_cast<std::size_t>(j)]));
        r.error += s.share * missed / s.mass;
      }
      ++r.iterations;
      r.stopped = ctx.report("barycenter", r.iterations, r.error) || r.stopped;
      for (state& s : states)  // gamma <- log p - l, l = -rho - gamma
        for (std::ptrdiff_t j = 0; j < m; ++j) s.gamma[j] += p[static_cast<std::size_t>(j)] + s.rho[j];
      if (own) {
        for (std::size_t j = 0; j < d.size(); ++j) image[j] = d[j] / kappa;
        std::vector<double> softened(d.size());
        softmin(ctx, *own, image, o.schedule[level], softened, false);
        for (std::size_t j = 0; j < d.size(); ++j) d[j] = 0.5 * (d[j] + p[j] + kappa * softened[j]);
      }
      r.converged = last && r.error <= o.tol;
      if (r.converged || r.stopped || r.iterations >= o.max_iter) break;
      if (!last && r.error <= 0.05) break;
    }
    if (r.stopped || r.iterations >= o.max_iter) break;
  }
  for (std::ptrdiff_t j = 0; j < m; ++j)
    log_p[static_cast<std::size_t>(j)] = p[static_cast<std::size_t>(j)] * ln2;
  return r;
}

template barycenter_result barycenter<float>(const context&, std::span<const measure<float>>,
                                             const geometry<float>*, const barycenter_options&,
                                             std::span<double>);
template barycenter_result barycenter<double>(const context&, std::span<const measure<double>>,
                                              const geometry<double>*, const barycenter_options&,
                                              std::span<double>);

}  // namespace lapwing::ot
