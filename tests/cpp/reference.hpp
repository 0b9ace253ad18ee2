// Every kernel of kernels/list.hpp again, naively and in long double. The table at the end is filled from
// that list: a kernel without a reference here does not compile. Results that a kernel returns in double are
// rounded to double.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/list.hpp"

namespace lapwing::reference {

using real = long double;
constexpr real infinity = std::numeric_limits<real>::infinity();

namespace detail {

// e_rj = 2^z or z, z = cost(r, j) scale + f_r + g_j; `result` += the sum, or becomes the maximum. A NaN is in
// no maximum.
template <class Cost>
void exponents(long rows, Cost&& cost, const real* f, const real* g, real scale, real* e, long stride,
               bool raw, double* result) {
  for (long r = 0; r < rows; ++r) {
    real sum = result[r], top = result[r];
    for (long j = 0; j < stride; ++j) {
      const real z = cost(r, j) * scale + (f[r] + g[j]);
      e[r * stride + j] = raw ? z : std::exp2(z);
      sum += e[r * stride + j];
      if (z > top) top = z;
    }
    result[r] = static_cast<double>(raw ? top : sum);
  }
}
inline auto dense(const real* const* c, long m) {
  return [=](long r, long j) { return j < m ? c[r][j] : real(0); };
}
// Coordinate k of column j, from the kernels' layout.
inline real coordinate(const real* y, long d, long j, long k) {
  constexpr long group = kernels::column_group<real>;
  return y[j / group * group * d + k * group + j % group];
}
inline auto squared_distance(const real* const* x, const real* y, long d) {
  return [=](long r, long j) {
    real s = 0;
    for (long k = 0; k < d; ++k) {
      const real t = x[r][k] - coordinate(y, d, j, k);
      s += t * t;
    }
    return s;
  };
}
inline auto distance(const real* const* x, const real* y, long d) {
  return [=](long r, long j) { return std::sqrt(squared_distance(x, y, d)(r, j)); };
}
inline auto product(const real* const* x, const real* y, long d) {
  return [=](long r, long j) {
    real s = 0;
    for (long k = 0; k < d; ++k) s += x[r][k] * coordinate(y, d, j, k);
    return s;
  };
}

}  // namespace detail

inline void exp_dense(const real* const* c, const real* f, const real* g, real scale, long m, long, real* e,
                      long stride, double* sum) {
  detail::exponents(kernels::rows_per_block, detail::dense(c, m), f, g, scale, e, stride, false, sum);
}
inline void logit_dense(const real* const* c, const real* f, const real* g, real scale, long m, long, real* e,
                        long stride, double* top) {
  detail::exponents(kernels::rows_per_block, detail::dense(c, m), f, g, scale, e, stride, true, top);
}
inline void exp_sqeuclidean(const real* const* x, long rows, const real* y, long d, const real* f,
                            const real* g, real scale, real* e, long stride, double* sum) {
  detail::exponents(rows, detail::squared_distance(x, y, d), f, g, scale, e, stride, false, sum);
}
inline void logit_sqeuclidean(const real* const* x, long rows, const real* y, long d, const real* f,
                              const real* g, real scale, real* e, long stride, double* top) {
  detail::exponents(rows, detail::squared_distance(x, y, d), f, g, scale, e, stride, true, top);
}
inline void exp_euclidean(const real* const* x, long rows, const real* y, long d, const real* f,
                          const real* g, real scale, real* e, long stride, double* sum) {
  detail::exponents(rows, detail::distance(x, y, d), f, g, scale, e, stride, false, sum);
}
inline void logit_euclidean(const real* const* x, long rows, const real* y, long d, const real* f,
                            const real* g, real scale, real* e, long stride, double* top) {
  detail::exponents(rows, detail::distance(x, y, d), f, g, scale, e, stride, true, top);
}
inline void exp_product(const real* const* x, long rows, const real* y, long d, const real* f, const real* g,
                        real scale, real* e, long stride, double* sum) {
  detail::exponents(rows, detail::product(x, y, d), f, g, scale, e, stride, false, sum);
}
inline void logit_product(const real* const* x, long rows, const real* y, long d, const real* f,
                          const real* g, real scale, real* e, long stride, double* top) {
  detail::exponents(rows, detail::product(x, y, d), f, g, scale, e, stride, true, top);
}

inline void add_rows(const real* e, long stride, const real* q, real* t, long n) {
  for (long j = 0; j < n; ++j) {
    for (long r = 0; r < kernels::rows_per_block; ++r) t[j] += q[r] * e[r * stride + j];
  }
}

inline double exp_row(real* z, real shift, long n, double* weighted) {
  real sum = 0, moment = *weighted;
  for (long j = 0; j < n; ++j) {
    const real x = std::exp2(z[j] - shift);
    sum += x;
    if (x != 0) moment += x * z[j];
    z[j] = x;
  }
  *weighted = static_cast<double>(moment);
  return static_cast<double>(sum);
}

inline void dot_rows(const real* e, long stride, long, const real* v, long ldv, long k, long n, double* z,
                     long ldz) {
  for (long r = 0; r < kernels::rows_per_block; ++r) {
    for (long c = 0; c < k; ++c) {
      real s = z[r * ldz + c];
      for (long j = 0; j < n; ++j) s += e[r * stride + j] * v[c * ldv + j];
      z[r * ldz + c] = static_cast<double>(s);
    }
  }
}

inline void scale_rows(const real* e, long stride, long rows, long, const real* v, const double* a,
                       double* dot, real* t, long n) {
  for (long r = 0; r < rows; ++r) {
    real s = 0;
    for (long j = 0; j < n; ++j) s += e[r * stride + j] * v[j];
    dot[r] = static_cast<double>(s);
    for (long j = 0; j < n; ++j) t[j] += a[r] / s * e[r * stride + j];
  }
}

inline double factors(const double* now, const double* before, real* out, long n) {
  real most = 0;
  for (long j = 0; j < n; ++j) {
    const real d = real(now[j]) - real(before[j]);
    most = std::max(most, std::fabs(d));
    out[j] = std::exp2(d);
  }
  return static_cast<double>(most);
}

inline void outer_rows(const real* e, long stride, long rows, const real* z, long ldz, long k, long j0,
                       long j1, double* out, long ldo) {
  for (long c = 0; c < k; ++c) {
    for (long j = j0; j < j1; ++j) {
      real s = out[c * ldo + j];
      for (long r = 0; r < rows; ++r) s += z[r * ldz + c] * e[r * stride + j];
      out[c * ldo + j] = static_cast<double>(s);
    }
  }
}

inline void log2_ratio(const double* a, const double* b, double* out, long n) {
  for (long j = 0; j < n; ++j) out[j] = static_cast<double>(std::log2(real(a[j]) / real(b[j])));
}

inline void exp2_array(const real* x, real* y, long n) {
  for (long j = 0; j < n; ++j) y[j] = std::exp2(x[j]);
}

inline void flush(real* t, double* acc, long n) {
  for (long j = 0; j < n; ++j) {
    acc[j] = static_cast<double>(acc[j] + t[j]);
    t[j] = 0;
  }
}

inline long select_above(const real* z, const real* bound, real least, long n, std::int32_t* at) {
  long count = 0;
  for (long j = 0; j < n; ++j)
    if (z[j] > least || z[j] > bound[j]) at[count++] = static_cast<std::int32_t>(j);
  return count;
}

inline void graph_product(const std::int64_t* offsets, const std::int32_t* indices, const real* w,
                          const real* scale, real alpha, real beta, real gamma, const real* x, long ldx,
                          const real* z, long ldz, real* y, long ldy, long b, long lo, long hi) {
  for (long i = lo; i < hi; ++i)
    for (long c = 0; c < b; ++c) {
      real s = 0;
      for (std::int64_t q = offsets[i]; q < offsets[i + 1]; ++q)
        s += w[q] * (x[i * ldx + c] - x[indices[q] * ldx + c]);
      y[i * ldy + c] = alpha * (scale ? scale[i] : 1) * s + beta * x[i * ldx + c] + gamma * z[i * ldz + c];
    }
}

inline void edge_gram(const std::int64_t* offsets, const std::int32_t* indices, const real* w, const real* x,
                      long ld, long b, long lo, long hi, double* out) {
  for (long p = 0; p < b; ++p)
    for (long r = 0; r < b; ++r) {
      real s = out[p * b + r];
      for (long i = lo; i < hi; ++i)
        for (std::int64_t q = offsets[i]; q < offsets[i + 1]; ++q)
          if (indices[q] > i)
            s += w[q] * (x[i * ld + p] - x[indices[q] * ld + p]) * (x[i * ld + r] - x[indices[q] * ld + r]);
      out[p * b + r] = static_cast<double>(s);
    }
}

inline void lower_solve(const std::int64_t* offsets, const std::int32_t* indices, const real* l, long lo,
                        long hi, real* z, long ld, long b) {
  for (long c = 0; c < b; ++c)
    for (long j = lo; j < hi; ++j)
      for (std::int64_t q = offsets[j]; q < offsets[j + 1]; ++q)
        z[indices[q] * ld + c] += l[q] * z[j * ld + c];
}

inline void upper_solve(const std::int64_t* offsets, const std::int32_t* indices, const real* l,
                        const real* pivot, long lo, long hi, real* z, long ld, long b) {
  for (long c = 0; c < b; ++c)
    for (long j = hi - 1; j >= lo; --j) {
      z[j * ld + c] *= pivot[j];
      for (std::int64_t q = offsets[j]; q < offsets[j + 1]; ++q)
        z[j * ld + c] += l[q] * z[indices[q] * ld + c];
    }
}

inline void front_lower(const real* l, long w, const std::int32_t* rows, long r, real* top, real* z, long ld,
                        long b) {
  for (long c = 0; c < b; ++c)
    for (long j = 0; j < w; ++j) {
      for (long i = j + 1; i < w; ++i) top[i * ld + c] += l[i * w + j] * top[j * ld + c];
      for (long i = 0; i < r; ++i) z[rows[i] * ld + c] += l[(w + i) * w + j] * top[j * ld + c];
    }
}

inline void front_upper(const real* l, const real* pivot, long w, const std::int32_t* rows, long r, real* top,
                        const real* z, long ld, long b) {
  for (long c = 0; c < b; ++c)
    for (long j = w - 1; j >= 0; --j) {
      top[j * ld + c] *= pivot[j];
      for (long i = j + 1; i < w; ++i) top[j * ld + c] += l[i * w + j] * top[i * ld + c];
      for (long i = 0; i < r; ++i) top[j * ld + c] += l[(w + i) * w + j] * z[rows[i] * ld + c];
    }
}

inline void block_gram(const real* x, long ldx, long p, const real* y, long ldy, long q, const real* m,
                       long n, double* out) {
  for (long a = 0; a < p; ++a)
    for (long c = 0; c < q; ++c) {
      real s = out[a * q + c];
      for (long i = 0; i < n; ++i) s += (m ? m[i] : 1) * x[i * ldx + a] * y[i * ldy + c];
      out[a * q + c] = static_cast<double>(s);
    }
}

inline void block_combine(const real* x, long ldx, long p, const real* s, long q, real* y, long ldy, long n,
                          bool add) {
  for (long i = 0; i < n; ++i)
    for (long c = 0; c < q; ++c) {
      real v = add ? y[i * ldy + c] : 0;
      for (long a = 0; a < p; ++a) v += x[i * ldx + a] * s[a * q + c];
      y[i * ldy + c] = v;
    }
}

inline void columns_down(const real* const* x, const real* lo, const real* hi, long taps, long n, long rows,
                         real* low, long ldl, real* high, long ldh) {
  for (long r = 0; r < rows; ++r)
    for (long c = 0; c < n; ++c) {
      low[r * ldl + c] = high[r * ldh + c] = 0;
      for (long j = 0; j < taps; ++j) {
        low[r * ldl + c] += lo[j] * x[2 * r + j][c];
        high[r * ldh + c] += hi[j] * x[2 * r + j][c];
      }
    }
}
inline void columns_down_split(const real* const* x, const real* lo, const real* hi, long taps, long n,
                               long rows, real* low, real* high, long ld, long half) {
  for (long r = 0; r < rows; ++r)
    for (long c = 0; c < 2 * n; ++c) {
      real sum = 0, difference = 0;
      for (long j = 0; j < taps; ++j) {
        sum += lo[j] * x[2 * r + j][c];
        difference += hi[j] * x[2 * r + j][c];
      }
      low[r * ld + c % 2 * half + c / 2] = sum;
      high[r * ld + c % 2 * half + c / 2] = difference;
    }
}
inline void split(const real* x, long n, real* even, real* odd) {
  for (long i = 0; i < n; ++i) {
    even[i] = x[2 * i];
    odd[i] = x[2 * i + 1];
  }
}
inline void rows_down(const real* first, const real* second, const real* lo, const real* hi, long taps,
                      long n, long rows, long ld, real* low, long ldl, real* high, long ldh) {
  for (long r = 0; r < rows; ++r)
    for (long k = 0; k < n; ++k) {
      real sum = 0, difference = 0;
      for (long j = 0; j < taps; ++j) {
        const real* const source = j % 2 ? second : first;  // gcc 12 sanitizes (c ? a : b)[i] wrongly
        const real x = source[r * ld + k + j / 2];
        sum += lo[j] * x;
        difference += hi[j] * x;
      }
      low[r * ldl + k] = sum;
      high[r * ldh + k] = difference;
    }
}
inline void pairs_down(const real* const* x, const real* lo, const real* hi, const real* row_lo,
                       const real* row_hi, long n, long rows, real* const* y, const long* ldy) {
  for (long r = 0; r < rows; ++r)
    for (long k = 0; k < n; ++k)
      for (int band = 0; band < 4; ++band) {  // aa, da, ad, dd
        const real *down = band % 2 ? hi : lo, *along = band / 2 ? row_hi : row_lo;
        real sum = 0;
        for (long j = 0; j < 2; ++j)
          sum += along[j] * (down[0] * x[2 * r][2 * k + j] + down[1] * x[2 * r + 1][2 * k + j]);
        y[band][r * ldy[band] + k] = sum;
      }
}
// What coefficient k adds to sample t is the tap t - 2k + taps - 2.
inline void columns_up(const real* const* low, const real* const* high, const real* lo, const real* hi,
                       long taps, long n, long pairs, real* y, long ldy) {
  for (long t = 0; t < 2 * pairs; ++t)
    for (long c = 0; c < n; ++c) {
      real sum = 0;
      for (long k = 0; k < pairs + taps; ++k) {
        const long j = t - 2 * k + taps - 2;
        if (j >= 0 && j < taps) sum += low[k][c] * lo[j] + high[k][c] * hi[j];
      }
      y[t * ldy + c] = sum;
    }
}
inline void rows_up(const real* low, const real* high, const real* lo, const real* hi, long taps, long n,
                    long rows, long ld, real* y, long ldy) {
  for (long r = 0; r < rows; ++r)
    for (long t = 0; t < 2 * n; ++t) {
      real sum = 0;
      for (long k = 0; k < n + taps; ++k) {
        const long j = t - 2 * k + taps - 2;
        if (j >= 0 && j < taps) sum += low[r * ld + k] * lo[j] + high[r * ld + k] * hi[j];
      }
      y[r * ldy + t] = sum;
    }
}
inline void rows_up_between(const real* low, const real* high, const real* lo, const real* hi, long taps,
                            long n, long rows, long ld, real* y, long ldy) {
  for (long r = 0; r < rows; ++r)
    for (long t = 0; t < 2 * n; ++t) {
      real sum = 0;
      for (long k = 0; k <= n + taps; ++k) {
        const long j = t + 1 - 2 * k + taps - 2;
        if (j >= 0 && j < taps) sum += low[r * ld + k] * lo[j] + high[r * ld + k] * hi[j];
      }
      y[r * ldy + t] = sum;
    }
}
inline void pairs_up(const real* const* x, const long* ldx, const real* lo, const real* hi,
                     const real* row_lo, const real* row_hi, long n, long rows, real* y, long ldy) {
  for (long t = 0; t < 2 * rows; ++t)
    for (long c = 0; c < 2 * n; ++c) {
      const auto down = [&](int band) { return x[band][t / 2 * ldx[band] + c / 2]; };
      const real sum = row_lo[c % 2] * (lo[t % 2] * down(0) + hi[t % 2] * down(1)) +
                       row_hi[c % 2] * (lo[t % 2] * down(2) + hi[t % 2] * down(3));
      y[t * ldy + c] = sum;
    }
}
inline void stream(const real* x, long n, real* y) {
  for (long i = 0; i < n; ++i) y[i] = x[i];
}
inline void stream_fence() {}

inline void dilated_down(const real* x, const real* lo, const real* hi, long taps, long step, long count,
                         long ld, long b, real* low, real* high) {
  for (long k = 0; k < count; ++k)
    for (long c = 0; c < b; ++c) {
      low[k * ld + c] = high[k * ld + c] = 0;
      for (long j = 0; j < taps; ++j) {
        low[k * ld + c] += lo[j] * x[(k + j * step) * ld + c];
        high[k * ld + c] += hi[j] * x[(k + j * step) * ld + c];
      }
    }
}
inline void dilated_up(const real* low, const real* high, const real* lo, const real* hi, long taps,
                       long step, long count, long ld, long b, real* y) {
  for (long k = 0; k < count; ++k)
    for (long c = 0; c < b; ++c) {
      y[k * ld + c] = 0;
      for (long j = 0; j < taps; ++j)
        y[k * ld + c] += lo[j] * low[(k + j * step) * ld + c] + hi[j] * high[(k + j * step) * ld + c];
    }
}
inline void lift_linear(const real* t, const real* a, const real* b, real wa, real wb, long n, real* out) {
  for (long j = 0; j < n; ++j) out[j] = t[j] + wa * a[j] + wb * b[j];
}

// Site by site.
inline void count_differences(const std::uint64_t* a, const std::uint64_t* b, long stride, long rows,
                              long planes, long n, std::int32_t* out) {
  for (long r = 0; r < rows; ++r) {
    out[2 * r] = out[2 * r + 1] = 0;
    for (long site = 0; site < 64 * n; ++site) {
      const auto bit = [&](const std::uint64_t* p, long plane) {
        return p[plane * n + site / 64] >> (site % 64) & 1;
      };
      const std::uint64_t* c = b + r * stride;
      if (!bit(a, planes) || !bit(c, planes)) continue;
      bool differ = false;
      for (long p = 0; p < planes; ++p) differ = differ || bit(a, p) != bit(c, p);
      ++out[2 * r];
      out[2 * r + 1] += differ;
    }
  }
}
inline void count_changes(const std::uint64_t* a, const std::uint64_t* b, long stride, long rows, long n,
                          std::int32_t* out) {
  for (long r = 0; r < rows; ++r) {
    for (long x = 0; x < 4; ++x) out[4 * r + x] = 0;
    for (long site = 0; site < 64 * n; ++site) {
      const auto bit = [&](const std::uint64_t* p, long plane) {
        return p[plane * n + site / 64] >> (site % 64) & 1;
      };
      const std::uint64_t* c = b + r * stride;
      if (!bit(a, 2) || !bit(c, 2)) continue;
      ++out[4 * r];
      if (bit(a, 0) != bit(c, 0))
        ++out[4 * r + 1];
      else if (bit(a, 1) != bit(c, 1))
        ++out[4 * r + 2 + static_cast<long>(bit(a, 0))];
    }
  }
}
inline long count_shared(const std::uint64_t* a, const std::uint64_t* b, long n) {
  long count = 0;
  for (long site = 0; site < 64 * n; ++site) count += (a[site / 64] & b[site / 64]) >> (site % 64) & 1;
  return count;
}
inline long least_criterion(const real* d, const real* u, real own, long n, real* least) {
  long best = -1;
  *least = infinity;
  for (long j = 0; j < n; ++j)
    if (d[j] - (u[j] + own) < *least) {
      *least = d[j] - (u[j] + own);
      best = j;
    }
  return best;
}

inline const kernels::table<real>& table() {
#define LAPWING_REFERENCE(result, name, arguments) name,
  static const kernels::table<real> all = {LAPWING_KERNELS(LAPWING_REFERENCE)};
#undef LAPWING_REFERENCE
  return all;
}

}  // namespace lapwing::reference
