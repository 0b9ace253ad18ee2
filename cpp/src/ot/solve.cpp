#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>

#include "batch.hpp"
#include "cpu_executor.hpp"
#include "driver.hpp"
#include "relaxed.hpp"
#include "sparse_executor.hpp"

namespace lapwing::ot {

template class cpu_executor<float>;
template class cpu_executor<double>;

const char* name(step_kind k) noexcept {
  constexpr const char* names[] = {"sweep", "anderson", "sor", "rejected", "newton"};
  return names[static_cast<int>(k)];
}

namespace {

void check_weights(std::span<const double> w, std::ptrdiff_t n, const char* what) {
  check(static_cast<std::ptrdiff_t>(w.size()) == n, what, " must have length ", n, ", got ", w.size());
  for (std::size_t i = 0; i < w.size(); ++i)
    check(w[i] > 0 && w[i] <= std::numeric_limits<double>::max(), what, " must be positive and finite, got ",
          w[i], " at ", i);
}

void check_start(std::span<const double> f, const char* what) {
  for (std::size_t i = 0; i < f.size(); ++i)
    check(std::isfinite(f[i]), what, " must be finite to start from, got ", f[i], " at ", i);
}

template <class T>
void check_schedule(const std::vector<double>& schedule) {
  check(!schedule.empty(), "schedule must hold at least reg");
  for (std::size_t k = 0; k < schedule.size(); ++k) {
    check(schedule[k] > 0 && schedule[k] <= std::numeric_limits<double>::max(),
          "reg must be > 0 and finite, got ", schedule[k]);
    check(static_cast<T>(log2e / schedule[k]) >= std::numeric_limits<T>::min(),
          "reg is too large for the type of the cost, got ", schedule[k]);
    check(k == 0 || schedule[k] < schedule[k - 1], "schedule must decrease, got ", schedule[k - 1], " then ",
          schedule[k]);
  }
}

void check_rho(std::span<const double> rho, std::ptrdiff_t n, const char* what) {
  check(rho.empty() || std::ssize(rho) == n, what, " must be empty or of length ", n, ", got ", rho.size());
  for (std::size_t i = 0; i < rho.size(); ++i)
    check(rho[i] > 0, what, " must be > 0, got ", rho[i], " at ", i);
}

// Columns that rise within rows, finite costs, and no row or column without one.
template <class T>
void check_pairs(csr_view<const T> c) {
  check(c.rows() > 0 && c.cols > 0, "the cost must have at least one row and one column, got ", c.rows(),
        " x ", c.cols);
  check(c.indices.size() == c.values.size() && c.offsets.front() == 0 && c.offsets.back() == c.size(),
        "offsets must end at the number of entries, got ", c.offsets.back(), " for ", c.values.size());
  std::vector<char> seen(static_cast<std::size_t>(c.cols));
  for (std::ptrdiff_t i = 0; i < c.rows(); ++i) {
    const std::size_t row = static_cast<std::size_t>(i);
    check(c.offsets[row] < c.offsets[row + 1], "row ", i, " of the cost has no entry");
    for (std::int64_t q = c.offsets[row]; q < c.offsets[row + 1]; ++q) {
      const std::size_t at = static_cast<std::size_t>(q);
      const std::int32_t j = c.indices[at];
      check(j >= 0 && j < c.cols && (q == c.offsets[row] || j > c.indices[at - 1]),
            "columns must rise strictly within a row and be below ", c.cols, ", but row ", i, " has ", j);
      check(std::isfinite(c.values[at]), "costs must be finite, got ", c.values[at], " in row ", i);
      seen[static_cast<std::size_t>(j)] = 1;
    }
  }
  for (std::size_t j = 0; j < seen.size(); ++j) check(seen[j], "column ", j, " of the cost has no entry");
}

template <class T, class Make>
result balanced(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t m, std::span<const double> a,
                std::span<const double> b, const options& o, std::span<double> f, std::span<double> g,
                Make&& make) {
  check_weights(a, n, "a");
  check_weights(b, m, "b");
  check(static_cast<std::ptrdiff_t>(f.size()) == n && static_cast<std::ptrdiff_t>(g.size()) == m,
        "f and g must have lengths ", n, " and ", m, ", got ", f.size(), " and ", g.size());
  if (o.init) {
    check_start(f, "f");
    check_start(g, "g");
  }
  check_schedule<T>(o.schedule);
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
  check(o.max_bytes >= 0, "max_bytes must be >= 0, got ", o.max_bytes);
  double mass_a = 0, mass_b = 0;
  for (const double v : a) mass_a += v;
  for (const double v : b) mass_b += v;
  check(std::abs(mass_a - mass_b) <= 1e-6 * mass_a, "a and b must have equal sums, got ", mass_a, " and ",
        mass_b);
  buffer<double> scaled_b(ctx, m);  // exactly a's sum: no plan has marginals whose sums differ
  for (std::ptrdiff_t j = 0; j < m; ++j) scaled_b[j] = b[static_cast<std::size_t>(j)] * (mass_a / mass_b);

  const double kappa0 = log2e / o.schedule.front(), kappa = log2e / o.schedule.back();
  auto ex = make(scaled_b);
  buffer<double> phi = ex.make_rows(), gamma = ex.make_cols();
  if (o.init) {
    for (std::ptrdiff_t i = 0; i < n; ++i) phi[i] = ex.log_a()[i] + kappa0 * f[i];
    for (std::ptrdiff_t j = 0; j < m; ++j) gamma[j] = ex.log_b()[j] + kappa0 * g[j];
  } else {
    for (std::ptrdiff_t i = 0; i < n; ++i) phi[i] = ex.log_a()[i];
    for (std::ptrdiff_t j = 0; j < m; ++j) gamma[j] = ex.log_b()[j];
  }
  options with_start = o;
  with_start.init = true;  // rows start from their maxima: without a start nothing is known about them, and
                           // with one nothing is promised
  driver<decltype(ex)> d(ctx, ex, with_start);
  result r = d.run(phi, gamma);
  for (std::ptrdiff_t i = 0; i < n; ++i) f[i] = (phi[i] - ex.log_a()[i]) / kappa;
  for (std::ptrdiff_t j = 0; j < m; ++j) g[j] = (gamma[j] - ex.log_b()[j]) / kappa;
  return r;
}

template <class T, class Make>
relaxed_result relaxed(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t m, std::span<const double> a,
                       std::span<const double> b, const relaxed_options& o, std::span<double> f,
                       std::span<double> g, Make&& make) {
  check_weights(a, n, "a");
  check_weights(b, m, "b");
  check(std::ssize(f) == n && std::ssize(g) == m, "f and g must have lengths ", n, " and ", m, ", got ",
        f.size(), " and ", g.size());
  if (o.init) {
    check_start(f, "f");
    check_start(g, "g");
  }
  check_schedule<T>(o.schedule);
  check_rho(o.rho_a, n, "rho_a");
  check_rho(o.rho_b, m, "rho_b");
  check(o.tol > 0, "tol must be > 0, got ", o.tol);
  check(o.max_iter >= 1, "max_iter must be >= 1, got ", o.max_iter);
  double mass_a = 0, mass_b = 0;
  for (const double v : a) mass_a += v;
  for (const double v : b) mass_b += v;
  check(o.mass >= 0 && o.mass <= std::min(mass_a, mass_b) * (1 + 1e-12),
        "mass must be between 0 and the smaller of the sums of a and b, ", std::min(mass_a, mass_b), ", got ",
        o.mass);
  check(o.mass == 0 || (o.rho_a.empty() && o.rho_b.empty()), "mass and rho exclude each other");
  auto ex = make();
  return relaxed_driver<decltype(ex)>(ctx, ex, o).run(f, g);
}

}  // namespace

template <class T>
result solve(const context& ctx, const geometry<T>& geo, std::span<const double> a, std::span<const double> b,
             const options& o, std::span<double> f, std::span<double> g) {
  check_geometry(geo);
  return balanced<T>(ctx, geo.rows(), geo.cols(), a, b, o, f, g, [&](std::span<const double> scaled) {
    return cpu_executor<T>(ctx, geo, a, scaled, log2e / o.schedule.back(), o.max_bytes);
  });
}

template <class T>
result solve(const context& ctx, csr_view<const T> costs, std::span<const double> a,
             std::span<const double> b, const options& o, std::span<double> f, std::span<double> g) {
  check_pairs(costs);
  return balanced<T>(ctx, costs.rows(), costs.cols, a, b, o, f, g, [&](std::span<const double> scaled) {
    return sparse_executor<T>(ctx, costs, a, scaled);
  });
}

namespace {

// Every problem alone, at levels of its own.
template <class T, class Options, class Solve>
auto each(const context& ctx, std::span<const batch_item<T>> items, double reg, bool scaling,
          const Options& o, Solve&& solve_one) {
  check(reg > 0 && reg <= std::numeric_limits<double>::max(), "reg must be > 0 and finite, got ", reg);
  std::vector<decltype(solve_one(ctx, items[0], o))> out(items.size());
  for_each_alone(ctx, std::ssize(items), [&](std::size_t k, const context& mine) {
    const batch_item<T>& item = items[k];
    Options own = o;
    own.schedule = {reg};
    if (scaling) {
      const interval r = range(mine, item.costs);
      const double spread = r.high - r.low;  // negative: no cost is finite
      check(spread <= std::numeric_limits<double>::max(), "the costs of item ", k,
            " must be finite, they range from ", r.low, " to ", r.high);
      own.schedule = scaling_levels(spread, reg);
    }
    out[k] = solve_one(mine, item, own);
  });
  return out;
}

}  // namespace

// The way pays where reg is small. Where it is not, the sweeps on it are more than those that they save: over
// 16 families of problems, balanced, unbalanced and partial, a start at reg took a sixth to a half less of
// them up to a range of 100 reg, and as many or more from about 250 reg on (measured).
std::vector<double> scaling_levels(double spread, double reg) {
  constexpr double most = std::numeric_limits<double>::max();
  check(reg > 0 && reg <= most, "reg must be > 0 and finite, got ", reg);
  check(spread <= most, "the range of the costs must be finite, got ", spread);
  std::vector<double> levels;
  if (spread > 100 * reg)
    for (double level = spread; level > reg; level /= 4) levels.push_back(level);
  levels.push_back(reg);
  return levels;
}

template <class T>
std::vector<result> solve_batch(const context& ctx, std::span<const batch_item<T>> items, double reg,
                                bool scaling, const options& o) {
  return each<T>(ctx, items, reg, scaling, o,
                 [](const context& mine, const batch_item<T>& item, const options& own) {
                   return solve(mine, item.costs, item.a, item.b, own, item.f, item.g);
                 });
}

template <class T>
std::vector<relaxed_result> solve_relaxed_batch(const context& ctx, std::span<const batch_item<T>> items,
                                                double reg, bool scaling, const relaxed_options& o) {
  const auto first = [](std::span<const double> rho, std::size_t size, const char* name) {
    check(rho.empty() || rho.size() >= size, name, " must be as long as the longest problem, ", size,
          ", got ", rho.size());
    return rho.empty() ? rho : rho.first(size);
  };
  return each<T>(ctx, items, reg, scaling, o,
                 [&](const context& mine, const batch_item<T>& item, relaxed_options own) {
                   own.rho_a = first(own.rho_a, item.a.size(), "rho_a");
                   own.rho_b = first(own.rho_b, item.b.size(), "rho_b");
                   return solve_relaxed(mine, item.costs, item.a, item.b, own, item.f, item.g);
                 });
}

template <class T>
relaxed_result solve_relaxed(const context& ctx, const geometry<T>& geo, std::span<const double> a,
                             std::span<const double> b, const relaxed_options& o, std::span<double> f,
                             std::span<double> g) {
  check_geometry(geo);
  return relaxed<T>(ctx, geo.rows(), geo.cols(), a, b, o, f, g,
                    [&] { return cpu_executor<T>(ctx, geo, a, b, log2e / o.schedule.back(), 0); });
}

template <class T>
relaxed_result solve_relaxed(const context& ctx, csr_view<const T> costs, std::span<const double> a,
                             std::span<const double> b, const relaxed_options& o, std::span<double> f,
                             std::span<double> g) {
  check_pairs(costs);
  return relaxed<T>(ctx, costs.rows(), costs.cols, a, b, o, f, g,
                    [&] { return sparse_executor<T>(ctx, costs, a, b); });
}

template <class T>
scan_result scan(const context& ctx, matrix_view<const T> c) {
  constexpr std::ptrdiff_t grain = 16;
  const std::ptrdiff_t chunks = (c.rows + grain - 1) / grain;
  std::vector<scan_result> parts(static_cast<std::size_t>(chunks));
  ctx.parallel_for(c.rows, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    if (ctx.checkpoint(w)) return;
    scan_result s{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), 0, -1};
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      const T* row = c.data + i * c.stride;
      constexpr T inf = std::numeric_limits<T>::infinity();
      constexpr int width =
          16;  // independent lanes, so that the loop vectorises without reordering anything that matters
      T low[width], high[width];
      std::fill_n(low, width, inf);
      std::fill_n(high, width, -inf);
      T spoiled = 0;  // becomes NaN as soon as an entry is not finite
      std::ptrdiff_t j = 0;
      T zero[width] = {};
      for (; j + width <= c.cols; j += width)
        for (int k = 0; k < width; ++k) {
          const T v = row[j + k];
          low[k] = v < low[k] ? v : low[k];
          high[k] = v > high[k] ? v : high[k];
          zero[k] += v * T(0);
        }
      for (; j < c.cols; ++j) {
        low[0] = row[j] < low[0] ? row[j] : low[0];
        high[0] = row[j] > high[0] ? row[j] : high[0];
        zero[0] += row[j] * T(0);
      }
      for (int k = 0; k < width; ++k) spoiled += zero[k];
      if (spoiled == 0) {
        s.low = std::min(s.low, static_cast<double>(*std::min_element(low, low + width)));
        s.high = std::max(s.high, static_cast<double>(*std::max_element(high, high + width)));
        continue;
      }
      for (j = 0; j < c.cols; ++j) {
        const T v = row[j];
        if (v == inf) {
          ++s.infinite;
        } else if (!(v >= -std::numeric_limits<T>::max())) {
          if (s.bad < 0) s.bad = i * c.cols + j;
        } else {
          s.low = std::min(s.low, static_cast<double>(v));
          s.high = std::max(s.high, static_cast<double>(v));
        }
      }
    }
    parts[static_cast<std::size_t>(lo / grain)] = s;
  });
  scan_result total{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), 0, -1};
  for (const auto& p : parts) {
    total.low = std::min(total.low, p.low);
    total.high = std::max(total.high, p.high);
    total.infinite += p.infinite;
    if (total.bad < 0) total.bad = p.bad;
  }
  return total;
}

template <class T>
interval range(const context& ctx, const geometry<T>& geo) {
  check_geometry(geo);
  if (geo.is_dense()) {
    const scan_result s = scan(ctx, geo.cost);
    return {s.low, s.high};
  }
  if (geo.kind == metric::cosine) return {0, 2};
  const std::ptrdiff_t d = geo.x.cols;
  const bool distance = geo.kind != metric::dot;
  // In few dimensions the box around all points says more, in many the spheres around either side.
  std::vector<double> centre(static_cast<std::size_t>(d), 0.0);
  double diameter2 = 0, longest[2] = {0, 0};
  for (std::ptrdiff_t k = 0; distance && k < d; ++k) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const auto& p : {geo.x, geo.y})
      for (std::ptrdiff_t i = 0; i < p.rows; ++i) {
        low = std::min(low, static_cast<double>(p(i, k)));
        high = std::max(high, static_cast<double>(p(i, k)));
      }
    diameter2 += (high - low) * (high - low);
    centre[static_cast<std::size_t>(k)] = low + (high - low) / 2;
  }
  int side = 0;
  for (const auto& p : {geo.x, geo.y}) {
    for (std::ptrdiff_t i = 0; i < p.rows; ++i) {
      double s = 0;
      for (std::ptrdiff_t k = 0; k < d; ++k) {
        const double v = static_cast<double>(p(i, k)) - centre[static_cast<std::size_t>(k)];
        s += v * v;
      }
      longest[side] = std::max(longest[side], s);
    }
    ++side;
  }
  if (distance) {
    const double radii = std::sqrt(longest[0]) + std::sqrt(longest[1]);
    const double farthest2 = std::isfinite(diameter2) ? std::min(diameter2, radii * radii) : diameter2;
    return {0, geo.kind == metric::sqeuclidean ? farthest2 : std::sqrt(farthest2)};
  }
  const double most = std::sqrt(longest[0] * longest[1]);
  return {-most, most};
}

#define LAPWING_INSTANTIATE(T)                                                                              \
  template result solve<T>(const context&, const geometry<T>&, std::span<const double>,                     \
                           std::span<const double>, const options&, std::span<double>, std::span<double>);  \
  template std::vector<result> solve_batch<T>(const context&, std::span<const batch_item<T>>, double, bool, \
                                              const options&);                                              \
  template std::vector<relaxed_result> solve_relaxed_batch<T>(                                              \
      const context&, std::span<const batch_item<T>>, double, bool, const relaxed_options&);                \
  template result solve<T>(const context&, csr_view<const T>, std::span<const double>,                      \
                           std::span<const double>, const options&, std::span<double>, std::span<double>);  \
  template relaxed_result solve_relaxed<T>(const context&, csr_view<const T>, std::span<const double>,      \
                                           std::span<const double>, const relaxed_options&,                 \
                                           std::span<double>, std::span<double>);                           \
  template relaxed_result solve_relaxed<T>(const context&, const geometry<T>&, std::span<const double>,     \
                                           std::span<const double>, const relaxed_options&,                 \
                                           std::span<double>, std::span<double>);                           \
  template scan_result scan<T>(const context&, matrix_view<const T>);                                       \
  template interval range<T>(const context&, const geometry<T>&);
LAPWING_INSTANTIATE(float)
LAPWING_INSTANTIATE(double)
}  // namespace lapwing::ot
