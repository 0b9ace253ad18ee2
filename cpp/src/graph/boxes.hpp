// Points put in an order in which near ones stand together, and boxes around runs of them along a few
// orthonormal directions of large spread. The distance of two boxes is a lower bound of the distances between
// their points, whatever the directions are; the better the directions, the more pairs need no look.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "../random.hpp"

namespace lapwing::graph {

// d x r, columns orthonormal to rounding: subspace iteration on the rows that row(i, out) writes (d doubles
// each), of which at most `sample` are taken.
template <class Row>
std::vector<double> wide_directions(std::ptrdiff_t n, std::ptrdiff_t d, std::ptrdiff_t r,
                                    std::ptrdiff_t sample, Row&& row) {
  const std::ptrdiff_t s = std::min(n, sample);
  std::vector<double> x(static_cast<std::size_t>(s * d)), y(static_cast<std::size_t>(d * r)), next(y.size()),
      z(static_cast<std::size_t>(r));
  for (std::ptrdiff_t i = 0; i < s; ++i) row(i * n / s, x.data() + i * d);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = normal_at(0x6c617077696e67, i);
  const auto orthonormalise = [&](std::vector<double>& v) {
    for (std::ptrdiff_t c = 0; c < r; ++c) {
      const auto at = [&](std::ptrdiff_t k, std::ptrdiff_t column) -> double& {
        return v[static_cast<std::size_t>(k * r + column)];
      };
      const auto product = [&](std::ptrdiff_t e) {
        double sum = 0;
        for (std::ptrdiff_t k = 0; k < d; ++k) sum += at(k, c) * at(k, e);
        return sum;
      };
      double before = std::sqrt(product(c));
      for (int turn = 0; turn < 3; ++turn) {
        for (std::ptrdiff_t e = 0; e < c; ++e) {
          const double share = product(e);
          for (std::ptrdiff_t k = 0; k < d; ++k) at(k, c) -= share * at(k, e);
        }
        const double norm = std::sqrt(product(c));
        // what is rounding of the columns before is no direction
        const double scale = norm > 1e-10 * before && norm > 0 ? 1 / norm : 0.0;
        for (std::ptrdiff_t k = 0; k < d; ++k) at(k, c) *= scale;
        before = 1;
      }
    }
  };
  orthonormalise(y);
  for (int turn = 0; turn < 4; ++turn) {
    std::ranges::fill(next, 0.0);
    for (std::ptrdiff_t i = 0; i < s; ++i) {
      const double* xi = x.data() + i * d;
      std::ranges::fill(z, 0.0);
      for (std::ptrdiff_t k = 0; k < d; ++k)
        for (std::ptrdiff_t c = 0; c < r; ++c)
          z[static_cast<std::size_t>(c)] += xi[k] * y[static_cast<std::size_t>(k * r + c)];
      for (std::ptrdiff_t k = 0; k < d; ++k)
        for (std::ptrdiff_t c = 0; c < r; ++c)
          next[static_cast<std::size_t>(k * r + c)] += xi[k] * z[static_cast<std::size_t>(c)];
    }
    y.swap(next);
    orthonormalise(y);
  }
  return y;
}

// Sorts order[lo, hi) by halves along the axis of largest variance, until `least` are left; halves are whole
// numbers of `most`, as long as there are more than that, and of `least` below. coordinates: n x r, by point.
inline void order_by_halves(std::span<std::int32_t> order, const double* coordinates, std::ptrdiff_t r,
                            std::ptrdiff_t most, std::ptrdiff_t least) {
  const std::ptrdiff_t n = std::ssize(order);
  if (n <= least) return;
  std::ptrdiff_t axis = 0;
  double widest = -1;
  for (std::ptrdiff_t c = 0; c < r; ++c) {
    double sum = 0, square = 0;
    const double first = coordinates[order[0] * r + c];
    for (const std::int32_t i : order) {
      const double v = coordinates[i * r + c] - first;
      sum += v;
      square += v * v;
    }
    const double spread = square - sum * sum / static_cast<double>(n);
    if (spread > widest) {
      widest = spread;
      axis = c;
    }
  }
  const std::ptrdiff_t run = n > most ? most : least, half = (n / run + 1) / 2 * run;
  std::nth_element(order.begin(), order.begin() + half, order.end(), [&](std::int32_t a, std::int32_t b) {
    const double u = coordinates[a * r + axis], v = coordinates[b * r + axis];
    return u != v ? u < v : a < b;
  });
  order_by_halves(order.first(static_cast<std::size_t>(half)), coordinates, r, most, least);
  order_by_halves(order.subspan(static_cast<std::size_t>(half)), coordinates, r, most, least);
}

// Boxes around every `run` points in turn. Without axes all distances are 0.
class boxes {
 public:
  boxes() = default;
  boxes(std::span<const std::int32_t> order, const double* coordinates, std::ptrdiff_t r, std::ptrdiff_t run)
      : axes_(r),
        low_(static_cast<std::size_t>((std::ssize(order) + run - 1) / run * r)),
        high_(low_.size()) {
    if (r == 0) return;
    std::ranges::fill(low_, std::numeric_limits<double>::infinity());
    std::ranges::fill(high_, -std::numeric_limits<double>::infinity());
    for (std::ptrdiff_t i = 0; i < std::ssize(order); ++i)
      for (std::ptrdiff_t c = 0; c < r; ++c) {
        const double v = coordinates[order[static_cast<std::size_t>(i)] * r + c];
        double &low = low_[static_cast<std::size_t>(i / run * r + c)],
               &high = high_[static_cast<std::size_t>(i / run * r + c)];
        low = std::min(low, v);
        high = std::max(high, v);
      }
  }
  // squared, between box i and box j of another set
  double distance(std::ptrdiff_t i, const boxes& o, std::ptrdiff_t j) const {
    const double *a = low_.data() + i * axes_, *b = high_.data() + i * axes_, *u = o.low_.data() + j * axes_,
                 *v = o.high_.data() + j * axes_;
    double sum = 0;
    for (std::ptrdiff_t c = 0; c < axes_; ++c) {
      const double gap = std::max(std::max(u[c] - b[c], a[c] - v[c]), 0.0);
      sum += gap * gap;
    }
    return sum;
  }
  // squared, between the middles
  double separation(std::ptrdiff_t i, const boxes& o, std::ptrdiff_t j) const {
    const double *a = low_.data() + i * axes_, *b = high_.data() + i * axes_, *u = o.low_.data() + j * axes_,
                 *v = o.high_.data() + j * axes_;
    double sum = 0;
    for (std::ptrdiff_t c = 0; c < axes_; ++c) {
      const double gap = 0.5 * (a[c] + b[c] - u[c] - v[c]);
      sum += gap * gap;
    }
    return sum;
  }

 private:
  std::ptrdiff_t axes_ = 0;
  std::vector<double> low_, high_;  // by box
};

}  // namespace lapwing::graph
