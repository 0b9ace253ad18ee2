// Small dense products of tall blocks: n x p matrices, stored by rows, `ld` apart.

// Out of line: within the tiles of block_gram these conversions were most of their code.
template <class T, long W>
__attribute__((noinline)) void add_lanes(const T* lane, double* out) {
  for (long t = 0; t < W; ++t) out[t] += static_cast<double>(lane[t]);
}

// out_ac += sum_i m_i x_ia y_ic over n rows; out is p x q. Without m: 1.
// Eight sums or more at a time, in registers: the latency of their additions is hidden.
template <class T>
void block_gram(const T* x, long ldx, long p, const T* y, long ldy, long q, const T* m, long n, double* out) {
  do_strips<T>(q, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    // P columns of x against the strip, rows in U separate sums
    const auto tile = [=]<long P, long U>(strip<T, P>, strip<T, U>, long a) __attribute__((always_inline)) {
      V acc[U][P][N];
      LAPWING_UNROLL for (long u = 0; u < U; ++u) LAPWING_UNROLL for (long r = 0; r < P; ++r)
          LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[u][r][k] = V{};
      const auto row = [&]<bool weighted>(long i, long u) __attribute__((always_inline)) {
        V yi[N];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) yi[k] = load_as<V>(y + i * ldy + c + k * W);
        if constexpr (weighted) {
          LAPWING_UNROLL for (long k = 0; k < N; ++k) yi[k] *= m[i];
        }
        LAPWING_UNROLL for (long r = 0; r < P; ++r) {
          const T xr = x[i * ldx + a + r];
          LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[u][r][k] += xr * yi[k];
        }
      };
      // Two loops: from one with a test, the compiler makes masked loads of m even where there is none.
      const auto rows = [&]<bool weighted>() __attribute__((always_inline)) {
        long i = 0;
        for (; i + U <= n; i += U)
          LAPWING_UNROLL for (long u = 0; u < U; ++u) row.template operator()<weighted>(i + u, u);
        for (; i < n; ++i) row.template operator()<weighted>(i, 0);
      };
      if (m)
        rows.template operator()<true>();
      else
        rows.template operator()<false>();
      LAPWING_UNROLL for (long r = 0; r < P; ++r) LAPWING_UNROLL for (long k = 0; k < N; ++k) {
        T lane[W];
        V sum = acc[0][r][k];
        LAPWING_UNROLL for (long u = 1; u < U; ++u) sum += acc[u][r][k];
        store_as(lane, sum);
        add_lanes<T, W>(lane, out + (a + r) * q + c + k * W);
      }
    };
    constexpr long most = N == 1 ? 8 : N == 4 ? 2 : 4;
    long a = 0;
    for (; a + most <= p; a += most) tile(strip<T, most>{}, strip<T, 1>{}, a);
    if constexpr (most > 4) {
      for (; a + 4 <= p; a += 4) tile(strip<T, 4>{}, strip<T, 2>{}, a);
    }
    for (; a < p; ++a) tile(strip<T, 1>{}, strip<T, N == 1 ? 8 : N == 2 ? 4 : 2>{}, a);
  });
}

// y_i (+)= sum_a x_ia s_ac over n rows; s is p x q, by rows, without gaps.
template <class T>
void block_combine(const T* x, long ldx, long p, const T* s, long q, T* y, long ldy, long n, bool add) {
  do_strips<T>(q, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    constexpr long most = N == 1 ? 8 : N == 4 ? 2 : 4;
    const auto tile = [=]<long R>(strip<T, R>, long i) __attribute__((always_inline)) {
      V acc[R][N];
      LAPWING_UNROLL for (long r = 0; r < R; ++r) LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[r][k] =
          add ? load_as<V>(y + (i + r) * ldy + c + k * W) : V{};
      for (long a = 0; a < p; ++a) {
        V sa[N];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) sa[k] = load_as<V>(s + a * q + c + k * W);
        LAPWING_UNROLL for (long r = 0; r < R; ++r) {
          const T xr = x[(i + r) * ldx + a];
          LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[r][k] += xr * sa[k];
        }
      }
      LAPWING_UNROLL for (long r = 0; r < R; ++r) LAPWING_UNROLL for (long k = 0; k < N; ++k)
          store_as(y + (i + r) * ldy + c + k * W, acc[r][k]);
    };
    long i = 0;
    for (; i + most <= n; i += most) tile(strip<T, most>{}, i);
    for (; i < n; ++i) tile(strip<T, 1>{}, i);
  });
}
