// The cost of one pair, in double.
#pragma once
#include <cmath>
#include <cstddef>
#include <lapwing/ot.hpp>

namespace lapwing::ot {

template <class T>
double pair_cost(const geometry<T>& geo, std::ptrdiff_t i, std::ptrdiff_t j) {
  if (geo.is_dense()) return static_cast<double>(geo.cost(i, j));
  double product = 0, square = 0, xx = 0, yy = 0;
  for (std::ptrdiff_t k = 0; k < geo.x.cols; ++k) {
    const double x = static_cast<double>(geo.x(i, k)), y = static_cast<double>(geo.y(j, k));
    product += x * y;
    square += (x - y) * (x - y);
    xx += x * x;
    yy += y * y;
  }
  switch (geo.kind) {
    case metric::sqeuclidean:
      return square;
    case metric::euclidean:
      return std::sqrt(square);
    case metric::cosine:
      return 1 - product / std::sqrt(xx * yy);
    case metric::dot:
      return -product;
  }
  return 0;
}

}  // namespace lapwing::ot
