/// \file
/// Discrete wavelet transforms of arrays of any shape and strides.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
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
/// The transpose of dwt: x has the samples that low and high are the coefficients of.
template <class T>
void dwt_adjoint(const context&, const axis_view<const T>& low, const axis_view<const T>& high,
                 const filter_bank&, boundary, const axis_view<T>& x);
/// The transpose of idwt: low and high have the coefficients that give y.
template <class T>
void idwt_adjoint(const context&, const axis_view<const T>& y, const filter_bank&, boundary,
                  const axis_view<T>& low, const axis_view<T>& high);

/// One level of the stationary transform, periodic: every array has the shape of x, and taps are step samples
/// apart. The filters are multiplied by scale.
template <class T>
void swt(const context&, const axis_view<const T>& x, const filter_bank&, std::ptrdiff_t step, double scale,
         const axis_view<T>& low, const axis_view<T>& high);
/// One level back: the mean of what the even and what the odd coefficients reconstruct, filters multiplied by
/// scale.
template <class T>
void iswt(const context&, const axis_view<const T>& low, const axis_view<const T>& high, const filter_bank&,
          std::ptrdiff_t step, double scale, const axis_view<T>& y);

/// Reversible integer schemes, for any length: s (Haar), 5/3 and 9/7-M by lifting with whole-sample symmetry,
/// 2/6 with its means repeated at the ends.
enum class lifting { s, legall53, cdf26, m97 };
/// Which axes a step transforms: that of the views, the one across, or across first and then that of the
/// views.
enum class lifted_axes { along, across, both };

/// Of numbers that were looked at; none: the least one is above the largest.
struct value_range {
  std::int64_t least = std::numeric_limits<std::int64_t>::max(),
               largest = std::numeric_limits<std::int64_t>::min();
  void add(std::int64_t a, std::int64_t b) {
    least = a < least ? a : least;
    largest = b > largest ? b : largest;
  }
};

/// One level of integer lifting of x - shift, T being std::int16_t, std::int32_t or std::int64_t, x of the
/// same or std::uint8_t. The bands are low and high (along or across), or low-low, low-high, high-low and
/// high-high, the first word for the axis of the views; low has (n + 1) / 2 entries, high n / 2. Sums wrap
/// round. Bands have unit stride across. Returns the range of x, if that is of T.
template <class X, class T>
value_range lift(const context&, const axis_view<const X>& x, std::ptrdiff_t across, lifted_axes, lifting,
                 T shift, const std::vector<axis_view<T>>& bands);
/// Undoes lift: x has unit stride across. Returns the ranges of the bands.
template <class T>
std::vector<value_range> unlift(const context&, const std::vector<axis_view<const T>>& bands,
                                std::ptrdiff_t across, lifted_axes, lifting, T shift, const axis_view<T>& x);

/// Lifting with floating point numbers, periodic, without the scaling of its last step: a product of shears.
enum class shears { haar, legall53, cdf97, db2, bior13 };
/// low and high have half as many entries as x, whose length is even. Transposed: the transpose of unshear.
template <class T>
void shear(const context&, const axis_view<const T>& x, shears, const axis_view<T>& low,
           const axis_view<T>& high, bool transposed = false);
/// Undoes shear; so transposed it is the transpose of shear.
template <class T>
void unshear(const context&, const axis_view<const T>& low, const axis_view<const T>& high, shears,
             const axis_view<T>& x, bool transposed = false);

/// Images: batch x rows x columns x channels, the last two dense. Strides in elements, possibly negative.
template <class T>
struct image_view {
  T* data = nullptr;
  std::ptrdiff_t planes = 0, rows = 0, columns = 0, channels = 1;
  std::ptrdiff_t plane_stride = 0, row_stride = 0;
};
/// How a pyramid's coarser image goes on beyond its ends when it is enlarged: opencv mirrors it about its
/// first sample and repeats its last one; symmetric repeats both.
enum class pyramid_border { opencv, symmetric };
/// Differences of two T, without loss.
template <class T>
struct pyramid_difference {
  using type = std::conditional_t<std::is_floating_point_v<T>, T,
                                  std::conditional_t<sizeof(T) == 1, std::int16_t, std::int32_t>>;
};

/// Every second row and column of the image smoothed with (1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2), mirrored about
/// its end samples. T is float, double, or one of std::uint8_t, uint16_t and int16_t with a = 3/8; down has
/// (n + 1) / 2 rows and columns.
template <class T>
void pyramid_down(const context&, const image_view<const T>& x, double a, const image_view<T>& down);
/// An image of 2 n - 1 or 2 n rows and columns from one of n.
template <class T>
void pyramid_up(const context&, const image_view<const T>& x, pyramid_border, const image_view<T>& up);
/// down = pyramid_down(x) and detail = x - pyramid_up(down), in one pass.
template <class T>
void pyramid_split(const context&, const image_view<const T>& x, double a, pyramid_border,
                   const image_view<T>& down, const image_view<typename pyramid_difference<T>::type>& detail);
/// x = detail + pyramid_up(down), cut to the range of T.
template <class T>
void pyramid_join(const context&, const image_view<const T>& down,
                  const image_view<const typename pyramid_difference<T>::type>& detail, pyramid_border,
                  const image_view<T>& x);

}  // namespace lapwing::multiscale
