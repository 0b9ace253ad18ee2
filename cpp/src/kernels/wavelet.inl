// Two-channel filter banks along the rows of blocks: row i holds sample i of b signals, rows are ld apart.
// Every coefficient sums its taps in one order.

// low_k = sum_j lo_j x_(2k + j), and high with hi, for k < count.
template <class T>
void filter_down(const T* x, const T* lo, const T* hi, long taps, long count, long ld, long b, T* low,
                 T* high) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long k = 0; k < count; ++k) {
      V s[N], d[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = d[v] = V{};
      for (long j = 0; j < taps; ++j) {
        const T* row = x + (2 * k + j) * ld + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          const V xi = load_as<V>(row + v * W);
          s[v] += lo[j] * xi;
          d[v] += hi[j] * xi;
        }
      }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        store_as(low + k * ld + c + v * W, s[v]);
        store_as(high + k * ld + c + v * W, d[v]);
      }
    }
  });
}

// y_t = sum_k low_k lo_(t - 2k + lead) + high_k hi_(t - 2k + lead) over the taps / 2 places k that there are,
// for t < count. Row 0 of the bands is k = first.
template <class T>
void filter_up(const T* low, const T* high, const T* lo, const T* hi, long taps, long lead, long first,
               long count, long ld, long b, T* y) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long t = 0; t < count; ++t) {
      const long k = (t + lead - taps + 2) >> 1;  // the first: 2k >= t + lead - (taps - 1)
      const T *a = low + (k - first) * ld + c, *d = high + (k - first) * ld + c;
      V s[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = V{};
      for (long q = 0, j = t - 2 * k + lead; q < taps / 2; ++q, j -= 2)
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          s[v] += lo[j] * load_as<V>(a + q * ld + v * W);
          s[v] += hi[j] * load_as<V>(d + q * ld + v * W);
        }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) store_as(y + t * ld + c + v * W, s[v]);
    }
  });
}

// low_k = sum_j lo_j x_(k + j step), and high with hi, for k < count. With ld = count = 1 the b columns are
// the samples of one line.
template <class T>
void dilated_down(const T* x, const T* lo, const T* hi, long taps, long step, long count, long ld, long b,
                  T* low, T* high) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long k = 0; k < count; ++k) {
      V s[N], d[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = d[v] = V{};
      for (long j = 0; j < taps; ++j) {
        const T* row = x + (k + j * step) * ld + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          const V xi = load_as<V>(row + v * W);
          s[v] += lo[j] * xi;
          d[v] += hi[j] * xi;
        }
      }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        store_as(low + k * ld + c + v * W, s[v]);
        store_as(high + k * ld + c + v * W, d[v]);
      }
    }
  });
}
// y_k = sum_j lo_j low_(k + j step) + hi_j high_(k + j step), for k < count.
template <class T>
void dilated_up(const T* low, const T* high, const T* lo, const T* hi, long taps, long step, long count,
                long ld, long b, T* y) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long k = 0; k < count; ++k) {
      V s[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = V{};
      for (long j = 0; j < taps; ++j) {
        const long row = (k + j * step) * ld + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          s[v] += lo[j] * load_as<V>(low + row + v * W);
          s[v] += hi[j] * load_as<V>(high + row + v * W);
        }
      }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) store_as(y + k * ld + c + v * W, s[v]);
    }
  });
}
// A step of lifting: out = t + wa a + wb b, entry by entry. out may be t.
template <class T>
void lift_linear(const T* t, const T* a, const T* b, T wa, T wb, long n, T* out) {
#pragma omp simd
  for (long j = 0; j < n; ++j) out[j] = t[j] + (wa * a[j] + wb * b[j]);
}
