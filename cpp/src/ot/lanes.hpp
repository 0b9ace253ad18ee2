// Sums in lanes: one addition after the other waits for the one before it, which is a good part of a sweep
// over a small problem.
#pragma once
#include <cstddef>

namespace lapwing::ot {

// sum_i term(i) for i < n, in an order that depends on n alone.
template <class Term>
double lane_sum(std::ptrdiff_t n, Term&& term) {
  constexpr std::ptrdiff_t lanes = 8;
  double sum[lanes] = {};
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::ptrdiff_t k = 0; k < lanes; ++k) sum[k] += term(i + k);
  for (; i < n; ++i) sum[i % lanes] += term(i);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

}  // namespace lapwing::ot
