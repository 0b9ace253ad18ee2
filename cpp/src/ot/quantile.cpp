// Order statistics of the costs without storing them: histogram refinement over the ordered bit patterns,
// three sweeps for float, six for double at most; a sample is drawn by a counter-based generator and sorted.
#include <algorithm>
#include <bit>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <type_traits>
#include <vector>

#include "cost_rows.hpp"

namespace lapwing::ot {
namespace {

template <class T>
using key_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
// Unsigned integers in the order of the numbers.
template <class T>
key_of<T> key(T x) {
  using K = key_of<T>;
  const K b = std::bit_cast<K>(x), top = K{1} << (8 * sizeof(T) - 1);
  return b & top ? static_cast<K>(~b) : b | top;
}
template <class T>
T unkey(key_of<T> k) {
  using K = key_of<T>;
  const K top = K{1} << (8 * sizeof(T) - 1);
  return std::bit_cast<T>(k & top ? static_cast<K>(k & ~top) : static_cast<K>(~k));
}

std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

template <class T>
double pair_cost(const geometry<T>& geo, std::ptrdiff_t i, std::ptrdiff_t j) {
  if (geo.is_dense()) return static_cast<double>(geo.cost(i, j));
  double dot = 0, dist = 0, xx = 0, yy = 0;
  for (std::ptrdiff_t k = 0; k < geo.x.cols; ++k) {
    const double x = static_cast<double>(geo.x(i, k)), y = static_cast<double>(geo.y(j, k));
    dot += x * y;
    dist += (x - y) * (x - y);
    xx += x * x;
    yy += y * y;
  }
  switch (geo.kind) {
    case metric::sqeuclidean:
      return dist;
    case metric::euclidean:
      return std::sqrt(dist);
    case metric::cosine:
      return 1 - dot / std::sqrt(xx * yy);
    case metric::dot:
      break;
  }
  return -dot;
}

// Calls body(cost, worker) for every pair, in parallel.
template <class T, class Body>
void for_each_cost(const context& ctx, const cost_rows<T>& c, bool non_negative, Body&& body) {
  // kappa = -1: the exponent is the cost
  for_each_group<T>(ctx, c, -1.0, nullptr, {},
                    [&](std::ptrdiff_t real, const std::ptrdiff_t*, T* z, const double*, int w) {
                      for (std::ptrdiff_t r = 0; r < real; ++r)
                        for (std::ptrdiff_t j = 0; j < c.cols(); ++j) {
                          T v = z[r * c.stride() + j];
                          if (non_negative && v < 0) v = 0;  // rounding of the product form
                          body(v, w);
                        }
                    });
}

template <class T>
T select(const context& ctx, const cost_rows<T>& c, bool non_negative, std::uint64_t rank) {
  using K = key_of<T>;
  constexpr int digit = 11, bits_total = 8 * sizeof(T);
  K prefix = 0;
  int shift = bits_total;
  while (shift > 0) {
    const int width = std::min(digit, shift), next = shift - width;
    const std::size_t bins = std::size_t{1} << width;
    std::vector<std::vector<std::uint64_t>> counts(static_cast<std::size_t>(ctx.threads()),
                                                   std::vector<std::uint64_t>(bins));
    const int high = shift;
    for_each_cost<T>(
        ctx, c, non_negative, [&](T v, int w) {  // counts are integers: their order does not matter
          const K k = key(v);
          if (high == bits_total || (k >> high) == (prefix >> high))
            ++counts[static_cast<std::size_t>(w)][static_cast<std::size_t>((k >> next) & (bins - 1))];
        });
    for (std::size_t bin = 0; bin < bins; ++bin) {
      std::uint64_t total = 0;
      for (const auto& t : counts) total += t[bin];
      if (rank < total) {
        prefix |= static_cast<K>(bin) << next;
        break;
      }
      rank -= total;
    }
    shift = next;
  }
  return unkey<T>(prefix);
}

}  // namespace

template <class T>
neighbours order_statistics(const context& ctx, const geometry<T>& geo, double q, std::ptrdiff_t n_samples,
                            std::uint64_t seed) {
  check(q >= 0 && q <= 1, "q must be in [0, 1], got ", q);
  check(n_samples >= 0, "n_samples must be >= 0, got ", n_samples);
  check_geometry(geo);
  if (n_samples > 0) {
    std::vector<double> sample(static_cast<std::size_t>(n_samples));
    ctx.parallel_for(n_samples, 4096, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
      if (ctx.checkpoint(w)) return;
      for (std::ptrdiff_t s = lo; s < hi; ++s) {
        const std::uint64_t r = mix(mix(seed) + static_cast<std::uint64_t>(s));
        const auto pick = [](std::uint64_t bits, std::ptrdiff_t n) {
          return static_cast<std::ptrdiff_t>(
              (static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(n)) >> 64);
        };
        sample[static_cast<std::size_t>(s)] = pair_cost(geo, pick(r, geo.rows()), pick(mix(r), geo.cols()));
      }
    });
    for (const double c : sample) check(!std::isnan(c), "a sampled cost is not a number");  // it has no order
    std::sort(sample.begin(), sample.end());
    const double position = q * static_cast<double>(n_samples - 1);
    const std::size_t k = static_cast<std::size_t>(position);
    return {sample[k], sample[std::min(k + 1, sample.size() - 1)], position - std::floor(position)};
  }
  const cost_rows<T> c(ctx, geo, differences_only<T>, false);
  const bool non_negative = !geo.is_dense() && geo.kind != metric::dot;
  const std::uint64_t count = static_cast<std::uint64_t>(geo.rows()) * static_cast<std::uint64_t>(geo.cols());
  const double position = q * static_cast<double>(count - 1);
  const std::uint64_t k = std::min(count - 1, static_cast<std::uint64_t>(position));
  const T low = select<T>(ctx, c, non_negative, k);
  const T high = k + 1 < count ? select<T>(ctx, c, non_negative, k + 1) : low;
  return {static_cast<double>(low), static_cast<double>(high), position - std::floor(position)};
}
template neighbours order_statistics<float>(const context&, const geometry<float>&, double, std::ptrdiff_t,
                                            std::uint64_t);
template neighbours order_statistics<double>(const context&, const geometry<double>&, double, std::ptrdiff_t,
                                             std::uint64_t);

}  // namespace lapwing::ot
