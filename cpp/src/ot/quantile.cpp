// Order statistics of the costs without storing them. A sample brackets them; one sweep over all pairs counts
// what is below the bracket and keeps what is in it. Where the sample misled or the bracket holds too much
// (ties), histograms of the ordered bit patterns are refined: three sweeps for float, six for double at most.
#include <algorithm>
#include <bit>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "../random.hpp"
#include "cost_rows.hpp"
#include "pair_cost.hpp"

namespace lapwing::ot {
namespace {

constexpr std::size_t most_kept = std::size_t{1} << 22;  // by one thread, of the costs near the wanted one

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

template <class T>
std::vector<double> sample_costs(const context& ctx, const geometry<T>& geo, std::ptrdiff_t n,
                                 std::uint64_t seed) {
  std::vector<double> sample(static_cast<std::size_t>(n));
  ctx.parallel_for(n, 4096, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    if (ctx.checkpoint(w)) return;
    for (std::ptrdiff_t s = lo; s < hi; ++s) {
      const std::uint64_t r = mix(mix(seed) + static_cast<std::uint64_t>(s));
      const auto pick = [](std::uint64_t bits, std::ptrdiff_t size) {
        return static_cast<std::ptrdiff_t>(
            (static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(size)) >> 64);
      };
      sample[static_cast<std::size_t>(s)] = pair_cost(geo, pick(r, geo.rows()), pick(mix(r), geo.cols()));
    }
  });
  for (const double c : sample) check(!std::isnan(c), "a sampled cost is not a number");  // it has no order
  return sample;
}

// The numbers of rank k and, where there is one, k + 1 of `values`, which is reordered.
template <class T>
std::pair<double, double> two_ranks(std::vector<T>& values, std::size_t k) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(values.begin(), at, values.end());
  const auto next = std::min_element(at + 1, values.end());
  const T first = *at + T(0),
          second = next == values.end() ? first : *next + T(0);      // no minus sign on a zero:
  return {static_cast<double>(first), static_cast<double>(second)};  // which of equals comes first is chance
}

// Calls body(costs, length, worker) for every row, in parallel.
template <class T, class Body>
void for_each_cost_row(const context& ctx, const cost_rows<T>& c, bool non_negative, Body&& body) {
  // kappa = -1: the exponent is the cost
  for_each_group<T>(ctx, c, -1.0, nullptr, {},
                    [&](std::ptrdiff_t real, const std::ptrdiff_t*, T* z, const double*, int w) {
                      for (std::ptrdiff_t r = 0; r < real; ++r) {
                        T* row = z + r * c.stride();
                        if (non_negative)  // rounding of a product form
                          for (std::ptrdiff_t j = 0; j < c.cols(); ++j) row[j] = row[j] < 0 ? T(0) : row[j];
                        body(row, c.cols(), w);
                      }
                    });
}

// What lies in [low, high], and how much below it. Gives up (kept is then too short) beyond `room` numbers.
template <class T>
struct bracket {
  std::uint64_t below = 0, inside = 0;
  std::vector<T> kept;
};
template <class T>
bracket<T> collect(const context& ctx, const cost_rows<T>& c, bool non_negative, T low, T high,
                   std::size_t room) {
  struct alignas(64) part {
    std::uint64_t below = 0, up_to = 0;
    std::vector<T> kept;
  };
  std::vector<part> parts(static_cast<std::size_t>(ctx.threads()));
  for_each_cost_row<T>(ctx, c, non_negative, [&](const T* row, std::ptrdiff_t n, int w) {
    part& own = parts[static_cast<std::size_t>(w)];
    constexpr std::ptrdiff_t width = 16;
    std::ptrdiff_t j = 0;
    const auto keep = [&](T v) {
      if (v >= low && v <= high && own.kept.size() < room) own.kept.push_back(v);
    };
    std::uint64_t below = 0, up_to = 0;
    for (; j + width <= n; j += width) {
      std::int32_t b = 0, u = 0;
      for (std::ptrdiff_t k = 0; k < width; ++k) {
        b += row[j + k] < low;
        u += row[j + k] <= high;
      }
      if (b != u)
        for (std::ptrdiff_t k = 0; k < width; ++k) keep(row[j + k]);
      below += static_cast<std::uint64_t>(b);
      up_to += static_cast<std::uint64_t>(u);
    }
    for (; j < n; ++j) {
      keep(row[j]);
      below += row[j] < low;
      up_to += row[j] <= high;
    }
    own.below += below;
    own.up_to += up_to;
  });
  bracket<T> all;
  for (part& p : parts) {  // a set of numbers: their order does not matter
    all.below += p.below;
    all.inside += p.up_to - p.below;
    all.kept.insert(all.kept.end(), p.kept.begin(), p.kept.end());
    p.kept = {};
  }
  return all;
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
    for_each_cost_row<T>(ctx, c, non_negative, [&](const T* row, std::ptrdiff_t n, int w) {
      std::vector<std::uint64_t>& own = counts[static_cast<std::size_t>(w)];
      for (std::ptrdiff_t j = 0; j < n; ++j) {
        const K k = key(row[j]);
        if (high == bits_total || (k >> high) == (prefix >> high))
          ++own[static_cast<std::size_t>((k >> next) & (bins - 1))];
      }
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
  return unkey<T>(prefix) + T(0);
}

}  // namespace

template <class T>
neighbours order_statistics(const context& ctx, const geometry<T>& geo, double q, std::ptrdiff_t n_samples,
                            std::uint64_t seed) {
  check(q >= 0 && q <= 1, "q must be in [0, 1], got ", q);
  check(n_samples >= 0, "n_samples must be >= 0, got ", n_samples);
  check_geometry(geo);
  const auto position_of = [q](std::uint64_t count) { return q * static_cast<double>(count - 1); };
  if (n_samples > 0) {
    std::vector<double> sample = sample_costs(ctx, geo, n_samples, seed);
    const double position = position_of(sample.size());
    const auto [low, high] = two_ranks(sample, static_cast<std::size_t>(position));
    return {low, high, position - std::floor(position)};
  }
  const cost_rows<T> c(ctx, geo, differences_only<T>, false);
  const bool non_negative = !geo.is_dense() && geo.kind != metric::dot;
  const std::uint64_t count = static_cast<std::uint64_t>(geo.rows()) * static_cast<std::uint64_t>(geo.cols());
  const double position = position_of(count), fraction = position - std::floor(position);
  const std::uint64_t k = std::min(count - 1, static_cast<std::uint64_t>(position));
  const std::uint64_t last = std::min(count - 1, k + 1);

  // Five standard deviations of the sample's rank on either side. The sample grows with the square root of
  // the pairs: neither drawing it nor sorting what is kept then costs as much as the sweep.
  T low = -std::numeric_limits<T>::infinity(), high = std::numeric_limits<T>::infinity();
  if (count > most_kept / 64) {
    const auto n = static_cast<std::ptrdiff_t>(
        std::min(16 * std::sqrt(static_cast<double>(count)), static_cast<double>(std::size_t{1} << 20)));
    std::vector<double> sample = sample_costs(ctx, geo, n, seed);
    std::sort(sample.begin(), sample.end());
    const double middle = q * static_cast<double>(n),
                 margin = 5 * std::sqrt(static_cast<double>(n) * q * (1 - q)) + 5;
    if (middle - margin >= 0) low = static_cast<T>(sample[static_cast<std::size_t>(middle - margin)]);
    if (middle + margin < static_cast<double>(n))
      high = static_cast<T>(sample[static_cast<std::size_t>(middle + margin)]);
  }
  bracket<T> found = collect<T>(ctx, c, non_negative, low, high, most_kept);
  if (found.kept.size() == found.inside && k >= found.below && last < found.below + found.inside) {
    const auto [first, second] = two_ranks(found.kept, static_cast<std::size_t>(k - found.below));
    return {first, last > k ? second : first, fraction};
  }
  const T first = select<T>(ctx, c, non_negative, k);
  return {static_cast<double>(first),
          static_cast<double>(last > k ? select<T>(ctx, c, non_negative, last) : first), fraction};
}
template neighbours order_statistics<float>(const context&, const geometry<float>&, double, std::ptrdiff_t,
                                            std::uint64_t);
template neighbours order_statistics<double>(const context&, const geometry<double>&, double, std::ptrdiff_t,
                                             std::uint64_t);

}  // namespace lapwing::ot
