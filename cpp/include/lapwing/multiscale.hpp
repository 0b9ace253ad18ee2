/// \file
/// Discrete wavelet transforms along one axis of an array of any shape and strides.
#pragma once
#include <cstddef>
#include <lapwing/context.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lapwing::multiscale {

/// How a signal goes on beyond its ends.
enum class boundary {
  zero,
  constant,
  symmetric,  ///< half-sample: the end sample is repeated
  reflect,    ///< whole-sample
  periodic,
  antisymmetric,
  antireflect,
  smooth,        ///< along the straight line through the last two samples
  periodization  ///< periodic, with half as many coefficients as samples (rounded up) in each band
};

/// Filters of one even length F.
struct filter_bank {
  std::vector<double> dec_lo, dec_hi, rec_lo, rec_hi;
  std::ptrdiff_t length() const { return static_cast<std::ptrdiff_t>(dec_lo.size()); }
};

/// The bank of a wavelet (haar, db1 ... db38, sym2 ... sym20, coif1 ... coif5, bior and rbio); empty: there
/// is none of that name.
filter_bank named_bank(std::string_view name);
std::vector<std::string> bank_names();

/// An array seen along one of its axes. Strides are in elements and may be negative.
template <class T>
struct axis_view {
  T* data = nullptr;
  std::vector<std::ptrdiff_t> shape, strides;
  std::ptrdiff_t axis = 0;
  std::ptrdiff_t length() const { return shape[static_cast<std::size_t>(axis)]; }
};

/// Coefficients in each band that n >= 1 samples have.
std::ptrdiff_t dwt_length(std::ptrdiff_t n, std::ptrdiff_t filter, boundary);
/// Samples that m coefficients in each band give back.
std::ptrdiff_t idwt_length(std::ptrdiff_t m, std::ptrdiff_t filter, boundary);

/// One level of analysis: low and high have the shape of x but for the axis, where they have dwt_length.
/// Every coefficient sums its taps in one order, whatever the strides, the batch and the number of threads.
template <class T>
void dwt(const context&, const axis_view<const T>& x, const filter_bank&, boundary, const axis_view<T>& low,
         const axis_view<T>& high);
/// One level of synthesis: y has idwt_length samples along the axis.
template <class T>
void idwt(const context&, const axis_view<const T>& low, const axis_view<const T>& high, const filter_bank&,
          boundary, const axis_view<T>& y);

}  // namespace lapwing::multiscale
