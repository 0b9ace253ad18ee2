// The iteration behind entropic barycentres on a fixed support, in the log domain, for whatever applies the
// kernel. A pass over the pairs gives every measure its row update, and the column sums that the mean is
// taken of.
#pragma once
#include <functional>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <span>

namespace lapwing::ot {

// Where products with a kernel are as good as sums of logarithms. The kernel, relative to its largest entry,
// must not be lost to underflow, whatever it is multiplied with; of the products those are lost that are far
// below the rounding of a sum that is believed. In bits.
template <class T>
struct kernel_limits {
  static constexpr double spread = sizeof(T) == 4 ? 120 : 1000, bits = sizeof(T) == 4 ? 60 : 900;
  static bool believed(double sum) {
    return sum >= (sizeof(T) == 4 ? 0x1p-60 : 0x1p-900) && sum <= (sizeof(T) == 4 ? 0x1p60 : 0x1p900);
  }
};

// What a pass is asked for, all in log2: of every measure l_j = log2 sum_i K_ij a_i / (K 2^gamma)_i, one
// after the other as gamma is; with debias image_i = log2 (K 2^d)_i.
struct barycenter_step {
  double kappa;             // K = 2^(-kappa C)
  const double *gamma, *d;  // d: null without debias
  double *l, *image;
};

inline void check_options(const barycenter_options& o) {
  check(!o.schedule.empty(), "schedule must hold at least reg");
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
}

// share: of the measures, of sum 1; mass: theirs; pass does what it is asked for.
barycenter_result find_barycenter(const context&, std::span<const double> share, std::span<const double> mass,
                                  bool debias, const barycenter_options&, std::span<double> log_p,
                                  const std::function<void(const barycenter_step&)>& pass);

}  // namespace lapwing::ot
