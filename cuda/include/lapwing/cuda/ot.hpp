/// \file
/// The GPU twins of lapwing/ot.hpp: the same names, options and meaning; every view and span is of device
/// memory.
#pragma once
#include <lapwing/cuda/context.hpp>
#include <lapwing/ot.hpp>
#include <span>

namespace lapwing::cuda::ot {

using lapwing::ot::geometry;
using lapwing::ot::metric;

/// out_i = -reg log sum_j exp((h_j - C_ij) / reg); reg = 0: min_j (C_ij - h_j). transposed: over i for every
/// j. A row without a finite term gives +inf. Costs are computed in T, the sums of threads are combined in
/// double in a fixed order: the same input gives the same bits. Throws std::invalid_argument for sizes that
/// do not fit, cuda::error when the launch fails. T = float, double.
template <class T>
void softmin(const context&, const geometry<T>&, std::span<const double> h, double reg, std::span<double> out,
             bool transposed);

extern template void softmin<float>(const context&, const geometry<float>&, std::span<const double>, double,
                                    std::span<double>, bool);
extern template void softmin<double>(const context&, const geometry<double>&, std::span<const double>, double,
                                     std::span<double>, bool);

}  // namespace lapwing::cuda::ot
