/// \file
/// Discrete wavelet transforms of arrays of any shape and strides.
#pragma once
#include <array>
#include <cstddef>
#include <lapwing/context.hpp>
#include <span>
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

/// An array. Strides are in elements and may be negative.
template <class T>
struct array_view {
  T* data = nullptr;
  std::vector<std::ptrdiff_t> shape, strides;
};
/// How an axis is transformed.
struct axis_filter {
  std::ptrdiff_t axis;
  const filter_bank* bank;
  boundary mode;
};
/// What a level splits off: high along the first axis, along the second, along both.
template <class T>
struct details {
  array_view<T> da, ad, dd;
};

/// Levels of a separable transform along two axes, the finest first: along the first of them, then along the
/// second. All arrays have the shape of x but for the two axes. The same numbers as from dwt, level by level,
/// in about the time that reading and writing the arrays takes.
template <class T>
void wavedec2(const context&, const array_view<const T>& x, const std::array<axis_filter, 2>& axes,
              std::span<const details<T>> levels, const array_view<T>& approximation);
/// Undoes wavedec2. Along each axis what a level comes to may be one longer than what the next one, or y, has
/// room for: its end is left out.
template <class T>
void waverec2(const context&, const array_view<const T>& approximation,
              std::span<const details<const T>> levels, const std::array<axis_filter, 2>& axes,
              const array_view<T>& y);

}  // namespace lapwing::multiscale
