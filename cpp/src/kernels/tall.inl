// Small dense products of tall blocks: n x p matrices, stored by rows, `ld` apart.

// out_ac += sum_i m_i x_ia y_ic over n rows; out is p x q. Without m: 1.
template <class T>
void block_gram(const T* x, long ldx, long p, const T* y, long ldy, long q, const T* m, long n, double* out) {
  do_strips<T>(q, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    constexpr long most = N > 2 ? 2 : 4;
    const auto tile = [=]<long P>(strip<T, P>, long a) __attribute__((always_inline)) {
      V acc[P][N];
      LAPWING_UNROLL for (long r = 0; r < P; ++r) LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[r][k] = V{};
      for (long i = 0; i < n; ++i) {
        V yi[N];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) yi[k] = load_as<V>(y + i * ldy + c + k * W);
        if (m) {
          LAPWING_UNROLL for (long k = 0; k < N; ++k) yi[k] *= m[i];
        }
        LAPWING_UNROLL for (long r = 0; r < P; ++r) {
          const T xr = x[i * ldx + a + r];
          LAPWING_UNROLL for (long k = 0; k < N; ++k) acc[r][k] += xr * yi[k];
        }
      }
      LAPWING_UNROLL for (long r = 0; r < P; ++r) LAPWING_UNROLL for (long k = 0; k < N; ++k) {
        T lane[W];
        store_as(lane, acc[r][k]);
        for (long t = 0; t < W; ++t) out[(a + r) * q + c + k * W + t] += static_cast<double>(lane[t]);
      }
    };
    long a = 0;
    for (; a + most <= p; a += most) tile(strip<T, most>{}, a);
    for (; a < p; ++a) tile(strip<T, 1>{}, a);
  });
}

// y_i (+)= sum_a x_ia s_ac over n rows; s is p x q, by rows, without gaps.
template <class T>
void block_combine(const T* x, long ldx, long p, const T* s, long q, T* y, long ldy, long n, bool add) {
  do_strips<T>(q, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    constexpr long most = N > 2 ? 2 : 4;
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
