#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/partition.hpp>
#include <lapwing/sparse.hpp>
#include <numeric>

#include "../buffer.hpp"
#include "level.hpp"

namespace lapwing::partition {

namespace {

// Neumaier's sum: prefix sums of millions of differences end at 0, not at what rounding left over.
struct exact_sum {
  double sum = 0, rest = 0;
  void add(double x) {
    const double t = sum + x;
    rest += std::abs(sum) >= std::abs(x) ? (sum - t) + x : (x - t) + sum;
    sum = t;
  }
  double value() const { return sum + rest; }
};

double cost(objective goal, double cut, double w, double total_w, double vol, double total_vol) {
  switch (goal) {
    case objective::cut:
      return cut;
    case objective::ratio:
      return cut / w + cut / (total_w - w);
    case objective::normalized:
      return cut / vol + cut / (total_vol - vol);
    case objective::conductance:
      break;
  }
  return cut / std::min(vol, total_vol - vol);
}

constexpr std::ptrdiff_t grain = 4096;

}  // namespace

sweep_result sweep(const context& ctx, csr_view<const double> w, std::span<const double> v,
                   std::span<const double> node, std::span<const double> volume, const sweep_options& o,
                   std::span<std::int32_t> order, std::span<double> profile) {
  const std::ptrdiff_t n = w.rows();
  sparse::check_structure(w, "w");
  check(w.cols == n, "w must be square, got ", n, " x ", w.cols);
  check(n >= 2, "w must have at least 2 nodes, got ", n);
  for (const std::size_t length : {v.size(), node.size(), volume.size(), order.size(), profile.size() + 1})
    check(length == at(n), "v, node, volume and order must have ", n, " entries and profile one less, got ",
          length);
  double largest = 0;
  for (const double x : v) {
    check(std::isfinite(x), "v must be finite");
    largest = std::max(largest, std::abs(x));
  }
  // Whole multiples of the width of a tie, so that "equal" is transitive.
  buffer<double> key(ctx, n);
  const double unit = o.tie * largest;
  for (std::ptrdiff_t i = 0; i < n; ++i) key[i] = unit > 0 ? std::nearbyint(v[at(i)] / unit) : v[at(i)];
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](node_t a, node_t b) { return key[a] != key[b] ? key[a] < key[b] : a < b; });
  buffer<std::int32_t> place(ctx, n);
  for (std::ptrdiff_t p = 0; p < n; ++p) place[order[at(p)]] = static_cast<std::int32_t>(p);
  // What the cut gains when a node crosses over: edges to later nodes less edges to earlier ones.
  buffer<double> change(ctx, n), rest(ctx, n);  // and what rounding left out of it
  ctx.parallel_for(n, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      exact_sum s;
      for (std::int64_t q = w.offsets[at(i)]; q < w.offsets[at(i + 1)]; ++q) {
        const std::int32_t j = w.indices[at(q)];
        if (j != i) s.add(place[j] > place[i] ? w.values[at(q)] : -w.values[at(q)]);
      }
      change[place[i]] = s.sum;
      rest[place[i]] = s.rest;
    }
  });
  exact_sum all_w, all_vol;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    all_w.add(node[at(i)]);
    all_vol.add(volume[at(i)]);
  }
  const double total_w = all_w.value(), total_vol = all_vol.value();
  exact_sum cut, weight, vol;
  // Best of three kinds of prefixes: at the end of a block and within the bounds; within the bounds; any.
  struct found {
    std::ptrdiff_t size = 0;
    double value = std::numeric_limits<double>::infinity(), cut = 0, skew = 0, beyond = 0;
  };
  found best[3];
  const double slack = 1e-12 * total_w;
  for (std::ptrdiff_t p = 0; p + 1 < n; ++p) {
    cut.add(change[p]);
    cut.add(rest[p]);
    weight.add(node[at(order[at(p)])]);
    vol.add(volume[at(order[at(p)])]);
    const double c = std::max(cut.value(), 0.0), x = weight.value();
    double value = cost(o.goal, c, x, total_w, vol.value(), total_vol);
    if (!(value >= 0)) value = std::numeric_limits<double>::infinity();  // 0 / 0: an empty side
    profile[at(p)] = value;
    const double beyond = std::max({o.low - x, x - o.high, 0.0});
    const bool inside = beyond <= slack, end = key[order[at(p)]] != key[order[at(p + 1)]];
    const found here{p + 1, value, c, std::abs(2 * x - total_w), inside ? 0.0 : beyond};
    const auto better = [&](const found& b) {
      if (b.size == 0) return true;
      if (here.beyond != b.beyond) return here.beyond < b.beyond;
      const double near = 1e-12 * std::max(here.value, b.value);
      if (std::abs(here.value - b.value) > near || std::isinf(b.value) != std::isinf(here.value))
        return here.value < b.value;
      return here.skew < b.skew - slack;
    };
    if (inside && end && better(best[0])) best[0] = here;
    if (inside && better(best[1])) best[1] = here;
    if (better(best[2])) best[2] = here;
  }
  int which = 0;
  while (which < 2 && best[which].size == 0) ++which;
  return {best[which].size, best[which].value, best[which].cut, which < 2};
}

}  // namespace lapwing::partition
