// Every kernel of kernels/list.hpp in float and double, at every level, against the long double reference.
// The bounds are worst-case forward error bounds in units u of the working type's roundoff: nothing in here
// can fail by bad luck.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <lapwing/context.hpp>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "check.hpp"
#include "kernel_data.hpp"
#include "kernels/table.hpp"
#include "reference.hpp"

using namespace lapwing;
using lapwing::test::array;
using lapwing::test::canaries;
using lapwing::test::kernel_data;
using lapwing::test::rows_per_block;
using lapwing::test::shape;
using reference::real;

namespace {

constexpr real ln2 = 0.693147180559945309417232121458176568L;
constexpr long sum_tile = 2048;  // entries that a kernel adds up in the working type before it goes to double

// The level that LAPWING_ISA names, or all there are. An emulated processor is slow and shows only whether
// the kernels run on it at all: its own level, fewer sizes.
std::vector<isa> levels() {
  if (std::getenv("LAPWING_ISA") != nullptr || test::emulated()) return {best_isa()};
  std::vector<isa> all;
  for (const isa level : built_isas()) {
    if (available(level)) all.push_back(level);
  }
  return all;
}
long vector_bytes(isa level) { return level == isa::avx512 ? 64 : level == isa::avx2 ? 32 : 16; }

template <class T>
struct precision {
  static constexpr bool single = sizeof(T) == 4;
  static constexpr real u = std::numeric_limits<T>::epsilon() / 2;
  static constexpr double exp2_ulp = single ? 2.1 : 1.0;       // what math.inl promises, and
  static constexpr double exp2_ulp_by_table = 0.1;             // how much more by its table, and
  static constexpr double exp2_ulp_without_fma = 0.3;          // how much more where products are rounded
  static constexpr real tiny = std::numeric_limits<T>::min();  // what is smaller may come out as 0
  static constexpr T highest = single ? 127 : 1023;
  explicit precision(isa level)
      : lanes(vector_bytes(level) / static_cast<long>(sizeof(T))),
        ulp(exp2_ulp + (level == isa::baseline ? exp2_ulp_without_fma : 0) +
            (level == isa::avx512 && !single ? exp2_ulp_by_table : 0)) {}
  long lanes;
  double ulp;
  // relative error of a sum of n terms of one sign over lanes and tiles
  real sum(long n, long tile) const {
    return u * static_cast<real>(std::min(n, tile) / lanes + 2) + 0x1p-53L * static_cast<real>(n / tile + 8);
  }
};

template <class T>
real exp2_bound(const precision<T>& p, real z, real error) {
  const real x = std::exp2(z);
  return x * (std::expm1(ln2 * error) + 2 * p.u * real(p.ulp)) + p.tiny;
}

enum class form { dense, sqeuclidean, euclidean, product };

// in: before the call; bounds: outputs all 0 on entry
template <class T>
void bound_exponents(form what, bool raw, const kernel_data<real>& in, kernel_data<real>& bounds,
                     const precision<T>& p) {
  const long d = in.s.d;
  for (long r = 0; r < (what == form::dense ? rows_per_block : in.s.block); ++r) {
    real all = 0, sum = std::fabs(real(in.result[r])), worst = 0;
    for (long j = 0; j < in.stride; ++j) {
      real cost = 0, error = 0;  // error in units of u
      if (what == form::dense) cost = j < in.s.m ? in.cost[r * in.s.m + j] : 0;
      for (long k = 0; what != form::dense && k < d; ++k) {
        const real x = in.x[r * d + k], y = in.y[j * d + k];
        cost += what == form::product ? x * y : (x - y) * (x - y);
        error += what == form::product ? std::fabs(x * y) : (x - y) * (x - y);
      }
      error *= what == form::dense ? 0 : static_cast<real>(d + (what == form::product ? 1 : 3));
      if (what == form::euclidean) {
        error = std::sqrt(cost) * (static_cast<real>(d + 3) / 2 + 1);
        cost = std::sqrt(cost);
      }
      const real shift = in.f[r] + in.g[j], z = cost * in.scale + shift;
      if (!std::isfinite(z)) continue;  // exact
      error = 1.01L * p.u *
              (std::fabs(shift) + error * std::fabs(in.scale) + std::fabs(cost * in.scale) + std::fabs(z));
      bounds.e[r * in.stride + j] = raw ? error : exp2_bound(p, z, error);
      worst = std::max(worst, error);
      sum += std::exp2(z);
      all += bounds.e[r * in.stride + j];
    }
    bounds.result[r] = static_cast<double>(raw ? worst : all + sum * p.sum(in.stride, sum_tile));
  }
}

#define LAPWING_BOUND_EXPONENTS(name)                                                                      \
  template <class T>                                                                                       \
  void bound_exp_##name(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {   \
    bound_exponents(form::name, false, in, bounds, p);                                                     \
  }                                                                                                        \
  template <class T>                                                                                       \
  void bound_logit_##name(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) { \
    bound_exponents(form::name, true, in, bounds, p);                                                      \
  }
LAPWING_BOUND_EXPONENTS(dense)
LAPWING_BOUND_EXPONENTS(sqeuclidean)
LAPWING_BOUND_EXPONENTS(euclidean)
LAPWING_BOUND_EXPONENTS(product)
#undef LAPWING_BOUND_EXPONENTS

template <class T>
void bound_add_rows(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long j = 0; j < in.stride; ++j) {
    real size = std::fabs(in.t[j]);
    for (long r = 0; r < rows_per_block; ++r) size += std::fabs(in.q[r] * in.e[r * in.stride + j]);
    bounds.t[j] = 5 * p.u * size;
  }
}

template <class T>
void bound_exp_row(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  real sum = 0, size = 0;
  for (long j = 0; j < in.stride; ++j) {
    const real z = in.z[j], y = z - in.shift;
    if (!std::isfinite(y)) continue;
    bounds.z[j] = exp2_bound(p, y, p.u * std::fabs(y));
    bounds.total += static_cast<double>(bounds.z[j]);
    bounds.moment += static_cast<double>(bounds.z[j] * std::fabs(z));
    sum += std::exp2(y);
    size += std::exp2(y) * std::fabs(z);
  }
  bounds.total += static_cast<double>(sum * p.sum(in.stride, sum_tile));
  bounds.moment +=
      static_cast<double>(size * (p.sum(in.stride, sum_tile) + p.u) + 0x1p-53 * std::fabs(in.moment));
}

template <class T>
void bound_dot_rows(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long r = 0; r < rows_per_block; ++r) {
    for (long c = 0; c < in.s.k; ++c) {
      real size = std::fabs(real(in.products[r * in.s.k + c]));
      for (long j = 0; j < in.stride; ++j)
        size += std::fabs(in.e[r * in.stride + j] * in.v[c * in.stride + j]);
      bounds.products[r * in.s.k + c] = static_cast<double>(size * (p.sum(in.stride, sum_tile / 2) + p.u));
    }
  }
}

template <class T>
void bound_scale_rows(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  std::vector<real> size(static_cast<std::size_t>(in.stride));
  for (long j = 0; j < in.stride; ++j) size[static_cast<std::size_t>(j)] = std::fabs(in.t[j]);
  const real relative = p.sum(in.stride, sum_tile / 2) + p.u;
  for (long r = 0; r < in.s.block; ++r) {
    real sum = 0;  // of what is positive
    for (long j = 0; j < in.stride; ++j) sum += in.e[j] * in.e[r * in.stride + j];
    bounds.result[r] = static_cast<double>(sum * relative);
    for (long j = 0; j < in.stride; ++j) {
      const real part = in.sums[r] / sum * in.e[r * in.stride + j];
      size[static_cast<std::size_t>(j)] += part;
      bounds.t[j] += part * relative;
    }
  }
  for (long j = 0; j < in.stride; ++j)
    bounds.t[j] += size[static_cast<std::size_t>(j)] * p.u * static_cast<real>(in.s.block + 3);
}

template <class T>
void bound_factors(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long j = 0; j < in.s.m; ++j) {
    const real d = real(in.a[j]) - real(in.b[j]);
    bounds.power[j] = exp2_bound(p, d, p.u * std::fabs(d));
  }
  bounds.total = 0x1p-53;
}

template <class T>
void bound_outer_rows(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long c = 0; c < in.s.k; ++c) {
    for (long j = 0; j < in.stride; ++j) {
      real size = 0;
      for (long r = 0; r < in.s.rows; ++r)
        size += std::fabs(in.weight[r * in.s.k + c] * in.e[r * in.stride + j]);
      bounds.out[c * in.stride + j] =
          static_cast<double>(size * p.u * static_cast<real>(in.s.rows + 1) +
                              0x1p-52L * (size + std::fabs(real(in.out[c * in.stride + j]))));
    }
  }
}

template <class T>
void bound_log2_ratio(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>&) {
  for (long j = 0; j < in.s.m; ++j) {  // the quotient's rounding, and 3 ulp of the logarithm
    bounds.log[j] =
        static_cast<double>(0x1p-53L * (1.5L + 6 * std::fabs(std::log2(real(in.a[j]) / real(in.b[j])))));
  }
}

template <class T>
void bound_exp2_array(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long j = 0; j < in.s.m; ++j)
    bounds.power[j] = std::isfinite(in.power[j]) ? exp2_bound(p, in.power[j], 0) : 0;
}

template <class T>
void bound_flush(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>&) {
  for (long j = 0; j < in.stride; ++j) {
    bounds.sums[j] = 0x1p-53 * (std::fabs(in.sums[j]) + std::fabs(static_cast<double>(in.t[j])));
  }
}

template <class T>
void bound_select_above(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}  // exact

template <class T>
void bound_graph_product(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long i = 0; i < in.s.m; ++i)
    for (long c = 0; c < in.s.k; ++c) {
      real size = 0;
      const std::int64_t lo = in.offsets[static_cast<std::size_t>(i)],
                         hi = in.offsets[static_cast<std::size_t>(i + 1)];
      for (std::int64_t q = lo; q < hi; ++q)
        size += in.edge[q] * (std::fabs(in.vectors[i * in.ld + c]) +
                              std::fabs(in.vectors[in.indices[static_cast<std::size_t>(q)] * in.ld + c]));
      size = size * std::fabs(in.shift) * in.node[i] + std::fabs(in.scale * in.vectors[i * in.ld + c]) +
             std::fabs(in.shift * in.others[i * in.ld + c]);
      bounds.images[i * in.ld + c] = size * p.u * static_cast<real>(hi - lo + 8);
    }
}

template <class T>
void bound_edge_gram(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long r = 0; r < in.s.k; ++r)
    for (long c = 0; c < in.s.k; ++c) {
      real size = std::fabs(real(in.quadratic[r * in.s.k + c])) * 0x1p-53L, error = 0;
      for (long i = 0; i < in.s.m; ++i)
        for (std::int64_t q = in.offsets[static_cast<std::size_t>(i)];
             q < in.offsets[static_cast<std::size_t>(i + 1)]; ++q) {
          const long j = in.indices[static_cast<std::size_t>(q)];
          if (j <= i) continue;
          const auto wide = [&](long v) {
            return std::fabs(in.vectors[i * in.ld + v]) + std::fabs(in.vectors[j * in.ld + v]);
          };
          error += in.edge[q] * wide(r) * wide(c);
        }
      bounds.quadratic[r * in.s.k + c] =
          static_cast<double>(error * (4 * p.u + 0x1p-53L * static_cast<real>(in.offsets.back() + 4)) +
                              size * static_cast<real>(in.offsets.back() + 1));
    }
}

// Majorants of the values and of their errors go through the recurrence beside each other.
template <class T>
void bound_lower_solve(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long c = 0; c < in.s.k; ++c) {
    std::vector<real> size(static_cast<std::size_t>(in.s.m)), error(size);
    for (std::size_t i = 0; i < size.size(); ++i)
      size[i] = std::fabs(in.forward[static_cast<long>(i) * in.ld + c]);
    for (std::size_t j = 0; j < size.size(); ++j)
      for (std::int64_t q = in.lower_offsets[j]; q < in.lower_offsets[j + 1]; ++q) {
        const std::size_t i = static_cast<std::size_t>(in.lower_indices[static_cast<std::size_t>(q)]);
        size[i] += in.lower[q] * size[j];
        error[i] += in.lower[q] * error[j] + 2.1L * p.u * size[i];
      }
    for (std::size_t i = 0; i < size.size(); ++i)
      bounds.forward[static_cast<long>(i) * in.ld + c] = error[i] * 1.01L;
  }
}
template <class T>
void bound_upper_solve(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long c = 0; c < in.s.k; ++c) {
    std::vector<real> size(static_cast<std::size_t>(in.s.m)), error(size);
    for (std::size_t j = size.size(); j-- > 0;) {
      size[j] = std::fabs(in.backward[static_cast<long>(j) * in.ld + c]) * in.node[static_cast<long>(j)];
      error[j] = p.u * size[j];
      for (std::int64_t q = in.lower_offsets[j]; q < in.lower_offsets[j + 1]; ++q) {
        const std::size_t i = static_cast<std::size_t>(in.lower_indices[static_cast<std::size_t>(q)]);
        size[j] += in.lower[q] * size[i];
        error[j] += in.lower[q] * error[i] + 2.1L * p.u * size[j];
      }
    }
    for (std::size_t i = 0; i < size.size(); ++i)
      bounds.backward[static_cast<long>(i) * in.ld + c] = error[i] * 1.01L;
  }
}

template <class T>
void bound_front_lower(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  const long w = in.front_width, m = in.s.m;
  // row i of the front stands at this node
  const auto place = [&](long i) { return i < w ? i : in.front_rows[static_cast<std::size_t>(i - w)]; };
  for (long c = 0; c < in.s.k; ++c) {
    std::vector<real> size(static_cast<std::size_t>(m)), error(size);
    for (long i = 0; i < m; ++i)
      size[static_cast<std::size_t>(i)] = std::fabs(in.forward[place(i) * in.ld + c]);
    for (long j = 0; j < w; ++j)
      for (long i = j + 1; i < m; ++i) {
        const std::size_t to = static_cast<std::size_t>(i), from = static_cast<std::size_t>(j);
        size[to] += in.front[i * w + j] * size[from];
        error[to] += in.front[i * w + j] * error[from] + 2.1L * p.u * size[to];
      }
    for (long i = 0; i < m; ++i)
      bounds.forward[place(i) * in.ld + c] = error[static_cast<std::size_t>(i)] * 1.01L;
  }
}
template <class T>
void bound_front_upper(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  const long w = in.front_width, m = in.s.m;
  const auto place = [&](long i) { return i < w ? i : in.front_rows[static_cast<std::size_t>(i - w)]; };
  for (long c = 0; c < in.s.k; ++c) {
    std::vector<real> size(static_cast<std::size_t>(m)), error(size);
    for (long i = 0; i < m; ++i)
      size[static_cast<std::size_t>(i)] = std::fabs(in.backward[place(i) * in.ld + c]);
    for (long j = w - 1; j >= 0; --j) {
      const std::size_t to = static_cast<std::size_t>(j);
      size[to] *= in.node[j];
      for (long i = j + 1; i < m; ++i) size[to] += in.front[i * w + j] * size[static_cast<std::size_t>(i)];
      // the terms come in any order: each addition may round all of them
      error[to] = p.u * size[to] * static_cast<real>(m + 2);
      for (long i = j + 1; i < m; ++i) error[to] += in.front[i * w + j] * error[static_cast<std::size_t>(i)];
      bounds.backward[place(j) * in.ld + c] = error[to] * 1.01L;
    }
  }
}
template <class T>
void bound_block_gram(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long r = 0; r < in.s.k; ++r)
    for (long c = 0; c < in.s.k; ++c) {
      real size = 0;
      for (long i = 0; i < in.s.m; ++i)
        size += std::fabs(in.node[i] * in.vectors[i * in.ld + r] * in.others[i * in.ld + c]);
      bounds.inner[r * in.s.k + c] =
          static_cast<double>(size * p.u * static_cast<real>(in.s.m + 2) +
                              0x1p-52L * (size + std::fabs(real(in.inner[r * in.s.k + c]))));
    }
}
template <class T>
void bound_block_combine(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long i = 0; i < in.s.m; ++i)
    for (long c = 0; c < in.s.k; ++c) {
      real size = std::fabs(in.combined[i * in.ld + c]);
      for (long a = 0; a < in.s.k; ++a)
        size += std::fabs(in.vectors[i * in.ld + a] * in.small[a * in.s.k + c]);
      bounds.combined[i * in.ld + c] = size * p.u * static_cast<real>(in.s.k + 2);
    }
}

// Sums of products: a few roundings of what the kernel comes to on the sizes of its inputs.
template <class T>
void bound_filters(void (*run)(const kernels::table<real>&, kernel_data<real>&), const kernel_data<real>& in,
                   kernel_data<real>& bounds, const precision<T>& p) {
  kernel_data<real> sizes(in);
  for (auto* a : {&sizes.others, &sizes.vectors, &sizes.q, &sizes.cost})
    for (long i = 0; i < a->size(); ++i) (*a)[i] = std::fabs((*a)[i]);
  using outputs = std::pair<array<real>*, array<real>*>;
  const outputs all[] = {{&sizes.down, &bounds.down},
                         {&sizes.detail, &bounds.detail},
                         {&sizes.images, &bounds.images},
                         {&sizes.combined, &bounds.combined},
                         {&sizes.up, &bounds.up}};
  for (const auto& [from, to] : all)
    for (long i = 0; i < from->size(); ++i) (*from)[i] = 0;
  run(reference::table(), sizes);
  for (const auto& [from, to] : all)
    for (long i = 0; i < from->size(); ++i) (*to)[i] = 10 * p.u * (*from)[i];
}
#define LAPWING_BOUND_FILTERS(name)                                                                  \
  template <class T>                                                                                 \
  void bound_##name(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) { \
    bound_filters<T>(test::run_##name<real>, in, bounds, p);                                         \
  }
LAPWING_BOUND_FILTERS(columns_down)
LAPWING_BOUND_FILTERS(columns_down_split)
LAPWING_BOUND_FILTERS(rows_down)
LAPWING_BOUND_FILTERS(pairs_down)
LAPWING_BOUND_FILTERS(columns_up)
LAPWING_BOUND_FILTERS(rows_up)
LAPWING_BOUND_FILTERS(rows_up_between)
LAPWING_BOUND_FILTERS(pairs_up)
#undef LAPWING_BOUND_FILTERS

// copies are exact
template <class T>
void bound_split(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}
template <class T>
void bound_stream(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}
template <class T>
void bound_stream_fence(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}

template <class T>
void bound_dilated_down(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long k = 0; k + 4 < in.s.m; ++k)
    for (long c = 0; c < in.s.k; ++c) {
      real low = 0, high = 0;
      for (long j = 0; j < 3; ++j) {
        low += std::fabs(in.q[j] * in.others[(k + 2 * j) * in.ld + c]);
        high += std::fabs(in.cost[j] * in.others[(k + 2 * j) * in.ld + c]);
      }
      bounds.down[k * in.ld + c] = 5 * p.u * low;
      bounds.detail[k * in.ld + c] = 5 * p.u * high;
    }
}
template <class T>
void bound_dilated_up(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long k = 0; k + 4 < in.s.m; ++k)
    for (long c = 0; c < in.s.k; ++c) {
      real size = 0;
      for (long j = 0; j < 3; ++j)
        size += std::fabs(in.q[j] * in.others[(k + 2 * j) * in.ld + c]) +
                std::fabs(in.cost[j] * in.vectors[(k + 2 * j) * in.ld + c]);
      bounds.up[k * in.ld + c] = 8 * p.u * size;
    }
}
template <class T>
void bound_lift_linear(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  for (long j = 0; j < (in.s.k > 0 ? in.s.m : 0); ++j)
    bounds.up[j] = 4 * p.u * (std::fabs(in.node[j]) + std::fabs(in.shift * in.z[j]) + std::fabs(in.t[j]));
}

// counts are exact
template <class T>
void bound_count_differences(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}
template <class T>
void bound_count_changes(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}
template <class T>
void bound_count_shared(const kernel_data<real>&, kernel_data<real>&, const precision<T>&) {}
template <class T>
void bound_least_criterion(const kernel_data<real>& in, kernel_data<real>& bounds, const precision<T>& p) {
  real size = 0;  // where the least is, is exact: no two of these random numbers are as near as that
  for (long j = 0; j < in.s.m; ++j)
    size = std::max(size, std::fabs(in.z[j]) + std::fabs(in.t[j]) + std::fabs(in.shift));
  bounds.moment = static_cast<double>(3 * p.u * size);
}

std::map<std::string, double> worst_ratio;  // error divided by bound: how tight the bounds are

template <class T, class Run, class Reference, class Bound>
void compare(const char* kernel, isa level, const kernel_data<T>& input, Run run, Reference run_reference,
             Bound bound) {
  kernel_data<T> out = input;
  run(kernels::get<T>(level), out);
  const kernel_data<real> in(input);
  kernel_data<real> expected = in, bounds = in;
  run_reference(reference::table(), expected);
  bounds.outputs([](const char*, auto* p, long n) { std::fill_n(p, n, 0); });
  bound(in, bounds, precision<T>(level));

  std::vector<real> limit;
  bounds.outputs([&](const char*, auto* p, long n) { limit.insert(limit.end(), p, p + n); });
  std::vector<real> truth;
  expected.outputs([&](const char*, auto* p, long n) { truth.insert(truth.end(), p, p + n); });
  std::size_t at = 0;
  bool good = true;
  double& worst = worst_ratio[std::string(kernel) + (sizeof(T) == 4 ? " float" : " double")];
  out.outputs([&](const char* what, auto* p, long n) {
    for (long i = 0; i < n; ++i, ++at) {
      const real x = p[i], y = truth[at], error = std::fabs(x - y);
      // what a kernel did not write must be as it was; infinities and NaN are exact
      if ((std::isnan(x) && std::isnan(y)) || x == y) continue;
      if (error <= limit[at]) {
        worst = std::max(worst, static_cast<double>(error / limit[at]));
        continue;
      }
      if (good) {
        std::printf(
            "%s<%s> %s m=%ld d=%ld k=%ld rows=%ld block=%ld skew=%ld: %s[%ld] = %.17Lg, expected %.17Lg "
            "within %.3Lg\n",
            kernel, sizeof(T) == 4 ? "float" : "double", name(level), input.s.m, input.s.d, input.s.k,
            input.s.rows, input.s.block, input.s.skew, what, i, x, y, limit[at]);
      }
      good = false;
    }
  });
  CHECK(good);
}

// All kernels on one set of inputs.
template <class T>
void compare_all(isa level, const kernel_data<T>& input) {
#define LAPWING_COMPARE(result, name, arguments) \
  compare(#name, level, input, test::run_##name<T>, test::run_##name<real>, bound_##name<T>);
  LAPWING_KERNELS(LAPWING_COMPARE)
#undef LAPWING_COMPARE
}

template <class T>
std::uint64_t seed_of(const shape& s) {
  return static_cast<std::uint64_t>(s.m * 1009 + s.d * 101 + s.k * 11 + s.rows) + sizeof(T);
}

template <class F>
void for_each_type(F&& f) {
  for (const isa level : levels()) {
    f(float(), level);
    f(double(), level);
  }
}

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST(every_kernel_agrees_with_the_reference) {
  const bool quick = test::emulated();
  std::vector<long> columns{1,  2,  15, 16,  17,  31,   32,   33,   63,  64,
                            65, 95, 97, 127, 200, 2015, 2048, 2049, 4100};
  std::vector<long> coordinates{0, 5, 8, 16, 50, 129},
      vectors{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 17, 20, 24, 28, 31, 48, 63};
  if (quick) {
    columns = {1, 33, 100};
    coordinates = {0, 9};
    vectors = {1, 7};
  }
  for_each_type([&](auto t, isa level) {
    using T = decltype(t);
    std::vector<shape> shapes;
    for (const long m : columns) {
      shapes.push_back(
          {.m = m, .d = 1 + m % 4, .k = 1 + m % 9, .rows = 1 + m % 13, .block = 4 << m % 3, .skew = m % 3});
    }
    for (const long d : coordinates)
      shapes.push_back({.m = 77, .d = d, .k = d % 7, .rows = d % 5, .skew = d % 2});
    for (const long k : vectors) {
      for (const long rows : {0, 1, 4, 37})
        shapes.push_back({.m = 70, .d = 2, .k = k, .rows = rows, .skew = 1});
    }
    for (const shape& s : shapes) compare_all(level, kernel_data<T>(s, seed_of<T>(s)));
  });
  for (const auto& [kernel, ratio] : worst_ratio) {
    std::printf("     %-24s largest error %.2f of the bound\n", kernel.c_str(), ratio);
  }
}

TEST(empty_columns_and_forbidden_pairs_count_nothing) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    for (const long m : {1L, 40L, test::emulated() ? 90L : 2100L}) {
      const shape s{.m = m};
      kernel_data<T> in(s, seed_of<T>(s));
      for (long j = 0; j < m; j += 3) in.g[j] = static_cast<T>(-infinity);
      for (long j = 0; j < 4 * m; j += 5) in.cost[j] = static_cast<T>(infinity);
      for (long j = 0; j < m; ++j) in.cost[2 * m + j] = static_cast<T>(infinity);  // a whole row
      for (long j = 0; j < in.stride; j += 2) in.z[j] = static_cast<T>(-infinity);
      in.f[1] = static_cast<T>(-infinity);
      for (long r = 0; r < 4; ++r) in.result[r] = 0;
      compare_all(level, in);
      const auto& kernel = kernels::get<T>(level);
      test::run_exp_dense(kernel, in);
      CHECK(in.result[1] == 0 && in.result[2] == 0);
      for (long r = 0; r < 4; ++r) in.result[r] = -infinity;
      test::run_logit_dense(kernel, in);
      CHECK(in.result[1] == -infinity && in.result[2] == -infinity && std::isinf(in.result[0]) == (m == 1));
    }
  });
}

TEST(large_offsets_keep_the_error_of_the_exponent) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    for (const double offset : {100.0, 3e3, 1e5}) {
      const shape s{.m = 90, .d = 4};
      kernel_data<T> in(s, seed_of<T>(s));
      for (long r = 0; r < 4; ++r) in.f[r] += static_cast<T>(offset);
      for (long j = 0; j < in.stride; ++j) in.g[j] -= static_cast<T>(offset);
      in.shift = static_cast<T>(-offset);
      for (long j = 0; j < in.stride; ++j) in.z[j] -= static_cast<T>(offset);
      compare_all(level, in);
    }
  });
}

TEST(nan_comes_out_as_nan) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const shape s{.m = 90, .d = 3, .k = 3, .rows = 6};
    const kernel_data<T> clean(s, seed_of<T>(s));
    const auto with = [&](auto&& spoil) {
      kernel_data<T> in = clean;
      spoil(in);
      compare_all(level, in);  // NaN where the reference has NaN, and only there
    };
    for (const long j : {0, 63, 89}) {
      with([&](auto& o) { o.cost[s.m + j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.g[j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.e[2 * o.stride + j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.z[j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.v[o.stride + j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.t[j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.power[j] = static_cast<T>(not_a_number); });
      with([&](auto& o) { o.a[j] = not_a_number; });
    }
    with([&](auto& o) { o.f[3] = static_cast<T>(not_a_number); });
    with([&](auto& o) { o.x[s.d] = static_cast<T>(not_a_number); });
    with([&](auto& o) {
      o.y[5 * s.d + 1] = static_cast<T>(not_a_number);
      o.pack();
    });
    with([&](auto& o) { o.q[0] = static_cast<T>(not_a_number); });
    with([&](auto& o) { o.weight[4] = static_cast<T>(not_a_number); });
  });
}

// Above the range of T an exponential is clamped: whoever adds it up sees a huge number, never a negative one
// or a NaN.
TEST(overflow_shows_as_a_huge_sum) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const auto& kernel = kernels::get<T>(level);
    const T top = precision<T>::highest;
    const real huge = std::exp2(real(top)) * (1 - 4 * precision<T>::u);
    for (const double over : {0.0, 0.4, 0.5, 0.6, 1.0, 1.5, 30.0, 1e4, 1e30, infinity}) {
      std::vector<T> x(67, static_cast<T>(top + over)), y(67);
      kernel.exp2_array(x.data(), y.data(), 67);
      for (const T v : y) CHECK(v >= huge && std::isfinite(v));
      if (over == infinity) continue;  // f is finite: with g = -inf it would make a NaN

      const shape s{.m = 70};
      kernel_data<T> in(s, 1);
      in.scale = 0;
      for (long r = 0; r < 4; ++r) in.result[r] = 0;
      for (long r = 0; r < 4; ++r) in.f[r] = r == 2 ? static_cast<T>(top + over) : T(0);
      for (long j = 0; j < s.m; ++j) in.g[j] = 0;
      test::run_exp_dense(kernel, in);
      CHECK(in.result[2] >= static_cast<double>(huge) && in.result[0] == 70 && in.result[1] == 70 &&
            in.result[3] == 70);
      for (long j = 0; j < s.m; ++j)
        CHECK(in.e[2 * in.stride + j] >= huge && std::isfinite(in.e[2 * in.stride + j]));

      in.shift = static_cast<T>(-top - over);
      for (long j = 0; j < in.stride; ++j) in.z[j] = 0;
      test::run_exp_row(kernel, in);
      CHECK(in.total >= static_cast<double>(huge));
    }
  });
}

namespace {

// distance in units in the last place of T at the exact value
template <class T>
double ulps(T x, real exact) {
  int exponent = 0;
  std::frexp(exact, &exponent);
  return static_cast<double>(std::fabs(real(x) - exact) /
                             std::ldexp(real(std::numeric_limits<T>::epsilon()),
                                        std::max(exponent, std::numeric_limits<T>::min_exponent) - 1));
}

}  // namespace

// 2^x is the polynomial at the fraction, shifted: all fractions at one exponent, then all exponents at some
// fractions.
TEST(exp2_over_its_whole_range) {
  const long step = test::emulated() ? 97 : 1;
  for (const isa level : levels()) {
    double worst_float = 0, worst_double = 0;
    std::vector<float> x, y;
    const auto flush_float = [&] {
      y.resize(x.size());
      kernels::get<float>(level).exp2_array(x.data(), y.data(), static_cast<long>(x.size()));
      for (std::size_t k = 0; k < x.size(); ++k) {
        // a double is wide enough a reference here, and much faster
        worst_float = std::max(worst_float, ulps(y[k], real(std::exp2(static_cast<double>(x[k])))));
      }
      x.clear();
    };
    for (float v = 32; v < 48; v += 0x1p-18f * static_cast<float>(step)) x.push_back(v);  // every float there
    for (float v = 1; v < 2; v += 0x1p-20f * static_cast<float>(step)) x.push_back(v);
    for (int e = -126; e < 127; ++e) {
      for (float f = -0.5f; f < 0.5f; f += 0.03f) x.push_back(std::max(-126.0f, static_cast<float>(e) + f));
    }
    for (int e = -149; e < 7; ++e) {
      for (const float sign : {-1.0f, 1.0f}) x.push_back(sign * std::min(126.9f, std::ldexp(1.37f, e)));
    }
    flush_float();

    std::vector<double> p, q;
    for (double v = -1; v < 1; v += 0x1p-19 * static_cast<double>(step))
      p.push_back(v + 0x1.23456789abcdep-21);
    for (int e = -1022; e < 1023; ++e) {
      for (double f = -0.5; f < 0.5; f += 0.0413) p.push_back(std::max(-1022.0, e + f));
    }
    for (int e = -1070; e < 10; ++e) {
      for (const double sign : {-1.0, 1.0}) p.push_back(sign * std::min(1022.9, std::ldexp(1.37, e)));
    }
    q.resize(p.size());
    kernels::get<double>(level).exp2_array(p.data(), q.data(), static_cast<long>(p.size()));
    for (std::size_t k = 0; k < p.size(); ++k)
      worst_double = std::max(worst_double, ulps(q[k], std::exp2(real(p[k]))));
    std::printf("     %s: exp2 float %.3f ulp, double %.3f ulp\n", name(level), worst_float, worst_double);
    CHECK(worst_float <= precision<float>(level).ulp);
    CHECK(worst_double <= precision<double>(level).ulp);
  }
}

TEST(exp2_is_exact_at_integers_and_zero_below_the_range) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const int lowest = std::numeric_limits<T>::min_exponent - 1;
    std::vector<T> x, y;
    for (int e = lowest; e <= static_cast<int>(precision<T>::highest); ++e) x.push_back(static_cast<T>(e));
    const std::size_t integers = x.size();
    for (const double below : {1.0, 1.5, 20.0, 1e4, 1e30, infinity})
      x.push_back(static_cast<T>(lowest - below));
    y.resize(x.size());
    kernels::get<T>(level).exp2_array(x.data(), y.data(), static_cast<long>(x.size()));
    for (std::size_t k = 0; k < integers; ++k) CHECK(y[k] == std::ldexp(T(1), lowest + static_cast<int>(k)));
    for (std::size_t k = integers; k < x.size(); ++k) CHECK(y[k] == 0 && !std::signbit(y[k]));
  });
}

TEST(log2_of_every_size_of_ratio) {
  const long step = test::emulated() ? 97 : 1;
  for (const isa level : levels()) {
    std::vector<double> a, b;
    for (double v = 0.25; v < 4; v += 0x1p-16 * static_cast<double>(step))
      a.push_back(v + 0x1.23456789abcdep-18);
    for (int e = -52; e < 0; ++e) {  // near 1 the relative error must not grow
      for (const double sign : {-1.0, 1.0}) a.push_back(1 + sign * std::ldexp(1.0, e));
    }
    for (int e = -1022; e < 1024; ++e) {
      for (double f = 1; f < 2; f += 0.173) a.push_back(std::ldexp(f, e));
    }
    a.push_back(std::numeric_limits<double>::max());
    a.push_back(std::numeric_limits<double>::min());
    b.assign(a.size(), 1.0);
    std::vector<double> out(a.size());
    kernels::get<double>(level).log2_ratio(a.data(), b.data(), out.data(), static_cast<long>(a.size()));
    double worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, ulps(out[k], std::log2(real(a[k]))));
    std::printf("     %s: log2 %.3f ulp\n", name(level), worst);
    CHECK(worst <= 3.0);
    for (int e = -1022; e < 1024; ++e) {
      const double x = std::ldexp(1.0, e), one = 1;
      double y = 7;
      kernels::get<double>(level).log2_ratio(&x, &one, &y, 1);
      CHECK(y == e);
    }
  }
}

// Rounding of equal terms has one sign: a sum that stays in float over a whole row would lose digits in
// proportion to its length.
TEST(long_sums_go_to_double) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const shape s{.m = test::emulated() ? 1 << 15 : 1 << 18, .d = 1, .k = 1, .rows = 1};
    kernel_data<T> in(s, 3);
    const precision<T> p(level);
    in.scale = 0;
    in.shift = 0;
    for (long r = 0; r < 4; ++r) {
      in.f[r] = static_cast<T>(-0.3);
      in.result[r] = 0;
      in.products[r] = 0;
    }
    for (long j = 0; j < in.stride; ++j) {
      in.g[j] = 0;
      in.z[j] = static_cast<T>(-0.3);
      in.v[j] = 1;
    }
    const auto& kernel = kernels::get<T>(level);
    const auto close = [&](double sum, T term, long tile) {
      const double exact = static_cast<double>(term) * static_cast<double>(s.m);
      CHECK(std::fabs(sum - exact) <= exact * static_cast<double>(p.sum(s.m, tile)));
    };
    test::run_exp_dense(kernel, in);
    const T term = in.e[0];
    close(in.result[3], term, sum_tile);
    in.result[0] = 0;
    test::run_exp_sqeuclidean(kernel, in);
    close(in.result[0], term, sum_tile);
    test::run_dot_rows(kernel, in);
    close(in.products[0], term, sum_tile / 2);
    in.moment = 0;
    test::run_exp_row(kernel, in);
    close(in.total, in.z[0], sum_tile);
    const double moment =
        static_cast<double>(in.z[0]) * static_cast<double>(static_cast<T>(-0.3)) * static_cast<double>(s.m);
    CHECK(std::fabs(in.moment - moment) <= std::fabs(moment) * static_cast<double>(p.sum(s.m, sum_tile)));
  });
}

TEST(nothing_is_written_for_length_zero) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const auto& kernel = kernels::get<T>(level);
    T t_[4] = {3, 3, 3, 3};
    const T one[4] = {1, 1, 1, 1};
    double d[4] = {5, 5, 5, 5};
    kernel.add_rows(one, 0, one, t_, 0);
    double weighted = 2;
    CHECK(kernel.exp_row(t_, T(0), 0, &weighted) == 0 && weighted == 2);
    kernel.dot_rows(one, 0, 0, one, 0, 1, 0, d, 1);
    kernel.dot_rows(one, 0, 0, one, 0, 0, 0, d, 1);
    kernel.outer_rows(one, 0, 1, one, 1, 1, 0, 0, d, 0);
    kernel.log2_ratio(d, d, d, 0);
    kernel.exp2_array(t_, t_, 0);
    kernel.flush(t_, d, 0);
    for (int k = 0; k < 4; ++k) CHECK(t_[k] == 3 && d[k] == 5);
  });
}

TEST(short_vectors_of_any_length) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const auto& kernel = kernels::get<T>(level);
    for (long n = 0; n <= 70; ++n) {
      const std::size_t size = static_cast<std::size_t>(n) + 1;
      std::vector<T> x(size, T(-1)), y(size, T(7)), part(size, T(0.5));
      std::vector<double> a(size, 8), b(size, 2), ratio(size, 7), sum(size, 1);
      kernel.exp2_array(x.data(), y.data(), n);
      kernel.log2_ratio(a.data(), b.data(), ratio.data(), n);
      kernel.flush(part.data(), sum.data(), n);
      bool good = y.back() == 7 && ratio.back() == 7 && part.back() == T(0.5) && sum.back() == 1;
      for (std::size_t k = 0; k + 1 < size; ++k) {
        good = good && y[k] == T(0.5) && ratio[k] == 2 && part[k] == 0 && sum[k] == 1.5;
      }
      CHECK(good);
    }
  });
}

// outer_rows is called for ranges of columns that threads share out: a range must not touch its neighbours,
// and the parts must add up to the same bits.
TEST(outer_rows_by_parts) {
  for_each_type([](auto t, isa level) {
    using T = decltype(t);
    const shape s{.m = 416, .k = 6, .rows = 11};
    kernel_data<T> whole(s, 9), parts(s, 9);
    const auto& kernel = kernels::get<T>(level);
    test::run_outer_rows(kernel, whole);
    for (const auto& [j0, j1] : {std::pair<long, long>{32, 96}, {0, 32}, {96, 384}, {384, 416}}) {
      const kernel_data<T> before = parts;
      kernel.outer_rows(parts.e.data(), parts.stride, s.rows, parts.weight.data(), s.k, s.k, j0, j1,
                        parts.out.data(), parts.stride);
      for (long c = 0; c < s.k; ++c) {
        for (long j = 0; j < parts.stride; ++j) {
          if (j < j0 || j >= j1) CHECK(parts.out[c * parts.stride + j] == before.out[c * parts.stride + j]);
        }
      }
    }
    for (long i = 0; i < s.k * whole.stride; ++i) CHECK(parts.out[i] == whole.out[i]);
  });
}

TEST_MAIN
