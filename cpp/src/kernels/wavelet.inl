// Two-channel filter banks: along columns, where a step is one multiply-add of whole rows, and along rows,
// whose samples stand by turns in two phases (even and odd). Every number sums its taps in one order,
// whichever way it is reached: sums start from 0, because of two products that are added up the compiler may
// fuse either with the addition.

// sum += a x. Of a scalar spelled out: GCC puts the two chains of a scalar strip into one vector, and then
// rounds the product.
template <class V, class T>
LAPWING_INLINE void add_product(V& sum, T a, V x) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  if constexpr (sizeof(V) == sizeof(float)) {
    sum = __builtin_fmaf(a, x, sum);
    return;
  } else if constexpr (sizeof(V) == sizeof(double)) {
    sum = __builtin_fma(a, x, sum);
    return;
  }
#endif
  sum += a * x;
}

// Shuffles of two vectors, entry I of the result being at(I) of both in a row.
template <long... I>
struct places {};
template <long N, long... I>
struct places_below : places_below<N - 1, N - 1, I...> {};
template <long... I>
struct places_below<0, I...> {
  typedef places<I...> type;
};
template <class V>
using places_of = typename places_below<sizeof(V) / sizeof(V{}[0])>::type;
// The even (odd) entries of a and b in a row; a and b entry by entry, the first or the second half of that;
// and entries k, k + 1 ... of a and b in a row.
template <class V, long... I>
LAPWING_INLINE V evens(V a, V b, places<I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...);
}
template <class V, long... I>
LAPWING_INLINE V odds(V a, V b, places<I...>) {
  return __builtin_shufflevector(a, b, (2 * I + 1)...);
}
template <class V, long... I>
LAPWING_INLINE V zip_first(V a, V b, places<I...>) {
  constexpr long W = sizeof...(I);
  return __builtin_shufflevector(a, b, (I / 2 + I % 2 * W)...);
}
template <class V, long... I>
LAPWING_INLINE V zip_second(V a, V b, places<I...>) {
  constexpr long W = sizeof...(I);
  return __builtin_shufflevector(a, b, (W / 2 + I / 2 + I % 2 * W)...);
}
template <long k, class V, long... I>
LAPWING_INLINE V moved(V a, V b, places<I...>) {
  return __builtin_shufflevector(a, b, (I + k)...);
}
template <class V>
LAPWING_INLINE V evens(V a, V b) {
  return evens(a, b, places_of<V>{});
}
template <class V>
LAPWING_INLINE V odds(V a, V b) {
  return odds(a, b, places_of<V>{});
}
template <class V>
LAPWING_INLINE V zip_first(V a, V b) {
  return zip_first(a, b, places_of<V>{});
}
template <class V>
LAPWING_INLINE V zip_second(V a, V b) {
  return zip_second(a, b, places_of<V>{});
}
template <long k, class V>
LAPWING_INLINE V moved(V a, V b) {
  return moved<k>(a, b, places_of<V>{});
}
// 2 W numbers from (to) memory by turns into (from) two vectors of W; W may be 1.
template <class V, class T>
LAPWING_INLINE void store_split(T* even, T* odd, V a, V b) {
  if constexpr (sizeof(V) == sizeof(T)) {
    *even = a;
    *odd = b;
  } else {
    store_as(even, evens(a, b));
    store_as(odd, odds(a, b));
  }
}
template <class V, class T>
LAPWING_INLINE void store_zipped(T* y, V even, V odd) {
  if constexpr (sizeof(V) == sizeof(T)) {
    y[0] = even;
    y[1] = odd;
  } else {
    store_as(y, zip_first(even, odd));
    store_as(y + sizeof(V) / sizeof(T), zip_second(even, odd));
  }
}

// As do_strips, in a few sizes only: there are many kernels here, and their rows are long.
template <class T, class F>
LAPWING_INLINE void do_runs(long b, F&& f) {
  constexpr long W = lanes<T>, Q = 16 / static_cast<long>(sizeof(T));
  long c = 0;
  for (; c + 4 * W <= b; c += 4 * W) f(strip<vec<T>, 4>{}, c);
  for (; c + W <= b; c += W) f(strip<vec<T>, 1>{}, c);
  if constexpr (W > 2 * Q)
    for (; c + 2 * Q <= b; c += 2 * Q) f(strip<typename lanes_32<T>::value, 1>{}, c);
  if constexpr (W > Q)
    for (; c + Q <= b; c += Q) f(strip<typename lanes_16<T>::value, 1>{}, c);
  for (; c < b; ++c) f(strip<T, 1>{}, c);
}

// low_(r, c) = sum_j lo_j x_(2r + j)[c], and high with hi.
template <class T>
void columns_down(const T* const* x, const T* lo, const T* hi, long taps, long n, long rows, T* low, long ldl,
                  T* high, long ldh) {
  for (long r = 0; r < rows; ++r, x += 2, low += ldl, high += ldh)
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      V s[N], d[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) { s[v] = d[v] = V{}; }
      for (long j = 0; j < taps; ++j) {
        const T* row = x[j] + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          const V xi = load_as<V>(row + v * W);
          add_product(s[v], lo[j], xi);
          add_product(d[v], hi[j], xi);
        }
      }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        store_as(low + c + v * W, s[v]);
        store_as(high + c + v * W, d[v]);
      }
    });
}

// The same for 2 n columns, those with an even number going to the front of a row of low (high), the others
// `half` further on. Four more rows follow the last that is looked at: those that will be looked at next,
// which are called into the cache (any address will do). Two rows of low and high are made from what is
// loaded once.
template <class T, class V, long N, long R>
LAPWING_INLINE void columns_split(const T* const* x, const T* lo, const T* hi, long taps, long c, T* low,
                                  T* high, long ld, long half) {
  constexpr long W = sizeof(V) / sizeof(T);
  const long at = 2 * c;
  V s[R][2 * N], d[R][2 * N];
  LAPWING_UNROLL for (long r = 0; r < R; ++r) LAPWING_UNROLL for (long v = 0; v < 2 * N; ++v) s[r][v] =
      d[r][v] = V{};
  LAPWING_UNROLL for (long v = 0; v < 2 * N; ++v) {
    __builtin_prefetch(x[taps + 2 * R - 2] + at + v * W);
    __builtin_prefetch(x[taps + 2 * R - 1] + at + v * W);
  }
  const auto add = [&]<long from, long to>(long j) __attribute__((always_inline)) {
    V xi[2 * N];
    LAPWING_UNROLL for (long v = 0; v < 2 * N; ++v) xi[v] = load_as<V>(x[j] + at + v * W);
    LAPWING_UNROLL for (long r = from; r < to; ++r) LAPWING_UNROLL for (long v = 0; v < 2 * N; ++v) {
      add_product(s[r][v], lo[j - 2 * r], xi[v]);
      add_product(d[r][v], hi[j - 2 * r], xi[v]);
    }
  };
  if constexpr (R == 2) {
    add.template operator()<0, 1>(0);
    add.template operator()<0, 1>(1);
    for (long j = 2; j < taps; ++j) add.template operator()<0, 2>(j);
    add.template operator()<1, 2>(taps);
    add.template operator()<1, 2>(taps + 1);
  } else {
    for (long j = 0; j < taps; ++j) add.template operator()<0, 1>(j);
  }
  LAPWING_UNROLL for (long r = 0; r < R; ++r) LAPWING_UNROLL for (long v = 0; v < N; ++v) {
    const long to = r * ld + c + v * W;
    store_split(low + to, low + half + to, s[r][2 * v], s[r][2 * v + 1]);
    store_split(high + to, high + half + to, d[r][2 * v], d[r][2 * v + 1]);
  }
}
template <class T>
void columns_down_split(const T* const* x, const T* lo, const T* hi, long taps, long n, long rows, T* low,
                        T* high, long ld, long half) {
  const auto some = [&]<long R>() __attribute__((always_inline)) {
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      // as many sums side by side as there are registers for
      constexpr long P = N % 2 == 0 && LAPWING_VECTOR_BYTES == 64 ? 2 : 1;
      LAPWING_UNROLL for (long p = 0; p < N; p += P)
          columns_split<T, V, P, R>(x, lo, hi, taps, c + p * W, low, high, ld, half);
    });
    x += 2 * R;
    low += R * ld;
    high += R * ld;
  };
  long r = 0;
  for (; r + 2 <= rows; r += 2) some.template operator()<2>();
  if (r < rows) some.template operator()<1>();
}

// even_k = x_2k, odd_k = x_(2k + 1) for k < n.
template <class T>
void split(const T* x, long n, T* even, T* odd) {
  do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    LAPWING_UNROLL for (long v = 0; v < N; ++v) {
      const T* from = x + 2 * (c + v * W);
      store_split(even + c + v * W, odd + c + v * W, load_as<V>(from), load_as<V>(from + W));
    }
  });
}

// f(q, a, b) for q < count, a and b being N vectors from first[q] and second[q] on. What was loaded is
// shifted in registers where loads would all straddle lines of the cache.
template <class V, long N, class T, class F>
LAPWING_INLINE void sliding(const T* first, const T* second, long count, F&& f) {
  constexpr long W = sizeof(V) / sizeof(T);
  const auto direct = [=](const T* from, V(&to)[N]) __attribute__((always_inline)) {
    LAPWING_UNROLL for (long v = 0; v < N; ++v) to[v] = load_as<V>(from + v * W);
  };
  long q = 0;
  if constexpr (N > 1 && sizeof(V) == 64) {
    const auto group = [&]<long... I>(places<I...>) __attribute__((always_inline)) {
      V a[N], b[N];
      direct(first + q, a);
      direct(second + q, b);
      const auto step = [&]<long k>() __attribute__((always_inline)) {
        V c[N], d[N];
        LAPWING_UNROLL for (long v = 0; v + 1 < N; ++v) {
          c[v] = moved<k>(a[v], a[v + 1]);
          d[v] = moved<k>(b[v], b[v + 1]);
        }
        c[N - 1] = load_as<V>(first + q + k + (N - 1) * W);
        d[N - 1] = load_as<V>(second + q + k + (N - 1) * W);
        f(q + k, c, d);
      };
      f(q, a, b);
      (step.template operator()<I + 1>(), ...);
      q += 1 + static_cast<long>(sizeof...(I));
    };
    while (count - q > 5) group(places<0, 1, 2>{});
    if (count - q == 5) group(places<0, 1, 2, 3>{});
    if (count - q == 4) group(places<0, 1, 2>{});
    if (count - q == 3) group(places<0, 1>{});
    if (count - q == 2) group(places<0>{});
  }
  for (; q < count; ++q) {
    V a[N], b[N];
    direct(first + q, a);
    direct(second + q, b);
    f(q, a, b);
  }
}

// low_k = sum_j lo_j x_(2k + j) for k < n, x_2k being first[k] and x_(2k + 1) second[k]; and high with hi.
// For so many rows, ld apart.
template <class T>
void rows_down(const T* first, const T* second, const T* lo, const T* hi, long taps, long n, long rows,
               long ld, T* low, long ldl, T* high, long ldh) {
  for (long r = 0; r < rows; ++r, first += ld, second += ld, low += ldl, high += ldh)
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      V s[N], d[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) { s[v] = d[v] = V{}; }
      sliding<V, N>(first + c, second + c, taps / 2,
                    [&](long q, const V(&x0)[N], const V(&x1)[N]) __attribute__((always_inline)) {
                      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
                        add_product(s[v], lo[2 * q], x0[v]);
                        add_product(d[v], hi[2 * q], x0[v]);
                        add_product(s[v], lo[2 * q + 1], x1[v]);
                        add_product(d[v], hi[2 * q + 1], x1[v]);
                      }
                    });
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        store_as(low + c + v * W, s[v]);
        store_as(high + c + v * W, d[v]);
      }
    });
}

// Two taps along columns and along rows at once: what columns_down_split and then rows_down come to. Two more
// rows follow, as there.
template <class T>
void pairs_down(const T* const* x, const T* lo, const T* hi, const T* row_lo, const T* row_hi, long n,
                long rows, T* const* y, const long* ldy) {
  for (long r = 0; r < rows; ++r, x += 2) {
    T *const aa = y[0] + r * ldy[0], *const da = y[1] + r * ldy[1], *const ad = y[2] + r * ldy[2],
             *const dd = y[3] + r * ldy[3];
    const T *const x0 = x[0], *const x1 = x[1], *const x2 = x[2], *const x3 = x[3];
    const T l0 = lo[0], l1 = lo[1], h0 = hi[0], h1 = hi[1], rl0 = row_lo[0], rl1 = row_lo[1], rh0 = row_hi[0],
            rh1 = row_hi[1];
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        const long to = c + v * W;
        __builtin_prefetch(x2 + 2 * to);
        __builtin_prefetch(x2 + 2 * to + W);
        __builtin_prefetch(x3 + 2 * to);
        __builtin_prefetch(x3 + 2 * to + W);
        const V a0 = load_as<V>(x0 + 2 * to), a1 = load_as<V>(x0 + 2 * to + W), b0 = load_as<V>(x1 + 2 * to),
                b1 = load_as<V>(x1 + 2 * to + W);
        V s0{}, s1{}, d0{}, d1{};
        add_product(s0, l0, a0);
        add_product(s1, l0, a1);
        add_product(d0, h0, a0);
        add_product(d1, h0, a1);
        add_product(s0, l1, b0);
        add_product(s1, l1, b1);
        add_product(d0, h1, b0);
        add_product(d1, h1, b1);
        V se = s0, so = s1, de = d0, odd = d1;
        if constexpr (W > 1) {
          se = evens(s0, s1);
          so = odds(s0, s1);
          de = evens(d0, d1);
          odd = odds(d0, d1);
        }
        V out{};
        add_product(out, rl0, se);
        add_product(out, rl1, so);
        store_as(aa + to, out);
        out = V{};
        add_product(out, rl0, de);
        add_product(out, rl1, odd);
        store_as(da + to, out);
        out = V{};
        add_product(out, rh0, se);
        add_product(out, rh1, so);
        store_as(ad + to, out);
        out = V{};
        add_product(out, rh0, de);
        add_product(out, rh1, odd);
        store_as(dd + to, out);
      }
    });
  }
}

// Rows 2p and 2p + 1 of y from rows p ... p + taps / 2 - 1 of the bands, for p < pairs:
// y_(2p + i)[c] = sum_q lo_(taps - 2 + i - 2q) low_(p + q)[c] + hi_(taps - 2 + i - 2q) high_(p + q)[c].
// Two more rows of each follow, which are called into the cache. Two pairs are made from what is loaded once.
template <class T, class V, long N, long R>
LAPWING_INLINE void columns_joined(const T* const* low, const T* const* high, const T* lo, const T* hi,
                                   long taps, long c, T* y, long ldy) {
  constexpr long W = sizeof(V) / sizeof(T);
  V s[R][N], t[R][N];
  const long last = taps / 2 - 1;
  LAPWING_UNROLL for (long v = 0; v < N; ++v) {
    LAPWING_UNROLL for (long r = 0; r < R; ++r) {
      __builtin_prefetch(low[last + R + r] + c + v * W);
      __builtin_prefetch(high[last + R + r] + c + v * W);
      s[r][v] = t[r][v] = V{};
    }
  }
  const auto add = [&]<long from, long to>(long q) __attribute__((always_inline)) {
    V a[N], d[N];
    LAPWING_UNROLL for (long v = 0; v < N; ++v) {
      a[v] = load_as<V>(low[q] + c + v * W);
      d[v] = load_as<V>(high[q] + c + v * W);
    }
    LAPWING_UNROLL for (long r = from; r < to; ++r) LAPWING_UNROLL for (long v = 0; v < N; ++v) {
      add_product(s[r][v], lo[taps - 2 - 2 * (q - r)], a[v]);
      add_product(t[r][v], lo[taps - 1 - 2 * (q - r)], a[v]);
      add_product(s[r][v], hi[taps - 2 - 2 * (q - r)], d[v]);
      add_product(t[r][v], hi[taps - 1 - 2 * (q - r)], d[v]);
    }
  };
  if constexpr (R == 2) {
    add.template operator()<0, 1>(0);
    for (long q = 1; q <= last; ++q) add.template operator()<0, 2>(q);
    add.template operator()<1, 2>(last + 1);
  } else {
    for (long q = 0; q <= last; ++q) add.template operator()<0, 1>(q);
  }
  LAPWING_UNROLL for (long r = 0; r < R; ++r) LAPWING_UNROLL for (long v = 0; v < N; ++v) {
    store_as(y + 2 * r * ldy + c + v * W, s[r][v]);
    store_as(y + (2 * r + 1) * ldy + c + v * W, t[r][v]);
  }
}
template <class T>
void columns_up(const T* const* low, const T* const* high, const T* lo, const T* hi, long taps, long n,
                long pairs, T* y, long ldy) {
  const auto some = [&]<long R>() __attribute__((always_inline)) {
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      constexpr long P = N % 2 == 0 && LAPWING_VECTOR_BYTES == 64 ? 4 : N % 2 == 0 ? 2 : 1;
      LAPWING_UNROLL for (long p = 0; p < N; p += P)
          columns_joined<T, V, P, R>(low, high, lo, hi, taps, c + p * W, y, ldy);
    });
    low += R;
    high += R;
    y += 2 * R * ldy;
  };
  long p = 0;
  for (; p + 2 <= pairs; p += 2) some.template operator()<2>();
  if (p < pairs) some.template operator()<1>();
}

// The same along rows: y_2k and y_(2k + 1) from entries k ... k + taps / 2 - 1 of the bands, for k < n.
template <class T>
void rows_up(const T* low, const T* high, const T* lo, const T* hi, long taps, long n, long rows, long ld,
             T* y, long ldy) {
  for (long r = 0; r < rows; ++r, low += ld, high += ld, y += ldy)
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      V s[N], t[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) { s[v] = t[v] = V{}; }
      sliding<V, N>(low + c, high + c, taps / 2,
                    [&](long q, const V(&a)[N], const V(&d)[N]) __attribute__((always_inline)) {
                      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
                        add_product(s[v], lo[taps - 2 - 2 * q], a[v]);
                        add_product(t[v], lo[taps - 1 - 2 * q], a[v]);
                        add_product(s[v], hi[taps - 2 - 2 * q], d[v]);
                        add_product(t[v], hi[taps - 1 - 2 * q], d[v]);
                      }
                    });
      LAPWING_UNROLL for (long v = 0; v < N; ++v) store_zipped(y + 2 * (c + v * W), s[v], t[v]);
    });
}

// The same from the second sample of the first pair on: y_2k is the second of pair k, and y_(2k + 1) the
// first of pair k + 1; entries k ... k + taps / 2 are looked at.
template <class T>
void rows_up_between(const T* low, const T* high, const T* lo, const T* hi, long taps, long n, long rows,
                     long ld, T* y, long ldy) {
  for (long r = 0; r < rows; ++r, low += ld, high += ld, y += ldy)
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      V s[N], t[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) { s[v] = t[v] = V{}; }
      if constexpr (N > 1) {
        const long last = taps / 2;
        sliding<V, N>(low + c, high + c, last + 1,
                      [&](long q, const V(&a)[N], const V(&d)[N]) __attribute__((always_inline)) {
                        if (q > 0) LAPWING_UNROLL for (long v = 0; v < N; ++v) {
                            add_product(s[v], lo[taps - 2 * q], a[v]);
                            add_product(s[v], hi[taps - 2 * q], d[v]);
                          }
                        if (q < last) LAPWING_UNROLL for (long v = 0; v < N; ++v) {
                            add_product(t[v], lo[taps - 1 - 2 * q], a[v]);
                            add_product(t[v], hi[taps - 1 - 2 * q], d[v]);
                          }
                      });
      } else {
        V a = load_as<V>(low + c), d = load_as<V>(high + c);
        for (long q = 0; q < taps / 2; ++q) {
          add_product(t[0], lo[taps - 1 - 2 * q], a);
          add_product(t[0], hi[taps - 1 - 2 * q], d);
          a = load_as<V>(low + c + q + 1);
          d = load_as<V>(high + c + q + 1);
          add_product(s[0], lo[taps - 2 - 2 * q], a);
          add_product(s[0], hi[taps - 2 - 2 * q], d);
        }
      }
      LAPWING_UNROLL for (long v = 0; v < N; ++v) store_zipped(y + 2 * (c + v * W), t[v], s[v]);
    });
}

// Two taps along columns and along rows at once: what columns_up and then rows_up come to. Bands in the order
// aa, da, ad, dd; the row that comes next in each is called into the cache.
template <class T>
void pairs_up(const T* const* x, const long* ldx, const T* lo, const T* hi, const T* row_lo, const T* row_hi,
              long n, long rows, T* y, long ldy) {
  for (long r = 0; r < rows; ++r, y += 2 * ldy) {
    const T *const aa = x[0] + r * ldx[0], *const da = x[1] + r * ldx[1], *const ad = x[2] + r * ldx[2],
                   *const dd = x[3] + r * ldx[3];
    const T l0 = lo[0], l1 = lo[1], h0 = hi[0], h1 = hi[1], rl0 = row_lo[0], rl1 = row_lo[1], rh0 = row_hi[0],
            rh1 = row_hi[1];
    do_runs<T>(n, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
      constexpr long W = sizeof(V) / sizeof(T);
      LAPWING_UNROLL for (long v = 0; v < N; ++v) {
        const long at = c + v * W;
        __builtin_prefetch(aa + ldx[0] + at);
        __builtin_prefetch(da + ldx[1] + at);
        __builtin_prefetch(ad + ldx[2] + at);
        __builtin_prefetch(dd + ldx[3] + at);
        const V vaa = load_as<V>(aa + at), vda = load_as<V>(da + at), vad = load_as<V>(ad + at),
                vdd = load_as<V>(dd + at);
        V a0{}, a1{}, d0{}, d1{};
        add_product(a0, l0, vaa);
        add_product(a1, l1, vaa);
        add_product(d0, l0, vad);
        add_product(d1, l1, vad);
        add_product(a0, h0, vda);
        add_product(a1, h1, vda);
        add_product(d0, h0, vdd);
        add_product(d1, h1, vdd);
        V e0{}, o0{}, e1{}, o1{};
        add_product(e0, rl0, a0);
        add_product(o0, rl1, a0);
        add_product(e1, rl0, a1);
        add_product(o1, rl1, a1);
        add_product(e0, rh0, d0);
        add_product(o0, rh1, d0);
        add_product(e1, rh0, d1);
        add_product(o1, rh1, d1);
        store_zipped(y + 2 * at, e0, o0);
        store_zipped(y + ldy + 2 * at, e1, o1);
      }
    });
  }
}

#if defined(__SSE2__)
// A vector of bytes past the caches, to where one begins.
LAPWING_INLINE void stream_vector(const void* from, void* to) {
  const vec<float> v = load(static_cast<const float*>(from));
#if defined(__AVX512F__)
  _mm512_stream_si512(static_cast<__m512i*>(to), reinterpret_cast<__m512i>(v));
#elif defined(__AVX2__)
  _mm256_stream_si256(static_cast<__m256i*>(to), reinterpret_cast<__m256i>(v));
#else
  _mm_stream_si128(static_cast<__m128i*>(to), reinterpret_cast<__m128i>(v));
#endif
}
#endif
// y = x past the caches, for what is not looked at again soon.
template <class T>
void stream(const T* x, long n, T* y) {
  long i = 0;
#if defined(__SSE2__)
  while (i < n && reinterpret_cast<__UINTPTR_TYPE__>(y + i) % LAPWING_VECTOR_BYTES != 0) {
    y[i] = x[i];
    ++i;
  }
  for (; i + lanes<T> <= n; i += lanes<T>) stream_vector(x + i, y + i);
#endif
  for (; i < n; ++i) y[i] = x[i];
}
// Puts every streamed store before the next stores of any other thread.
template <class T>
void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

template <class U, class V>
LAPWING_INLINE void store_some(U* p, V v) {
  *reinterpret_cast<typename some_of<U, sizeof(V) / sizeof(U)>::memory*>(p) = v;
}
// Where a row of U is put, W numbers at a time or one: straight to its place; or past the caches by way of a
// few lines of our own, so that what is sent off are whole lines wherever the row begins.
template <class U, long W>
struct straight {
  U* out;
  LAPWING_MEMBER void one(long j, U x) { out[j] = x; }
  LAPWING_MEMBER void many(long j, typename some_of<U, W>::value v) { store_some(out + j, v); }
  LAPWING_MEMBER void end(long) {}
};
template <class U, long W>
struct streamed {
  static constexpr long line = 64 / static_cast<long>(sizeof(U)), room = 16 * line;
  alignas(64) U kept[room + W];
  U* start;             // of the line in which the row begins
  long lead, sent = 0;  // of the row in that line; of lines
  LAPWING_MEMBER explicit streamed(U* to)
      : lead(static_cast<long>(reinterpret_cast<__UINTPTR_TYPE__>(to) % 64 / sizeof(U))) {
    start = to - lead;
  }
  LAPWING_MEMBER void one(long j, U x) {
    const long at = lead + j - sent;
    kept[at] = x;
    if (at + 1 == room) send(room);
  }
  LAPWING_MEMBER void many(long j, typename some_of<U, W>::value v) {
    const long at = lead + j - sent;
    store_some(kept + at, v);
    if (at + W < room) return;
    const typename some_of<U, W>::memory rest =
        *reinterpret_cast<const typename some_of<U, W>::memory*>(kept + room);
    send(room);
    store_some(kept, rest);
  }
  LAPWING_MEMBER void end(long n) { send(lead + n - sent); }
  LAPWING_MEMBER void send(long n) {
    send_lines(kept, start + sent, sent == 0 ? lead : 0, n);
    sent += n;
  }
  // n numbers, less those before the row. On its own, as many loops end with it.
  __attribute__((noinline)) static void send_lines(const U* kept, U* to, long lead, long n) {
    long i = lead;
    if (lead > 0)
      for (; i < line && i < n; ++i) to[i] = kept[i];
#if defined(__SSE2__)
    constexpr long some = LAPWING_VECTOR_BYTES / static_cast<long>(sizeof(U));
    for (; i + some <= n; i += some) stream_vector(kept + i, to + i);
#endif
    for (; i < n; ++i) to[i] = kept[i];
  }
};
template <long W, class U, class F>
LAPWING_INLINE void into(U* out, bool past_caches, F&& make) {
  if (past_caches)
    make(streamed<U, W>(out));
  else
    make(straight<U, W>{out});
}
// Calls what will be looked at into the second-level cache.
LAPWING_INLINE void call_soon(const void* p, long bytes) {
  for (long b = 0; b < bytes; b += 64) __builtin_prefetch(static_cast<const char*>(p) + b, 0, 2);
}

// low_k = sum_j lo_j x_(k + j step), and high with hi, for k < count. With ld = count = 1 the b columns are
// the samples of one line.
template <class T>
void dilated_down(const T* x, const T* lo, const T* hi, long taps, long step, long count, long ld, long b,
                  T* low, T* high) {
  do_runs<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long k = 0; k < count; ++k) {
      V s[N], d[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = d[v] = V{};
      for (long j = 0; j < taps; ++j) {
        const T* row = x + (k + j * step) * ld + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          const V xi = load_as<V>(row + v * W);
          add_product(s[v], lo[j], xi);
          add_product(d[v], hi[j], xi);
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
  do_runs<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long k = 0; k < count; ++k) {
      V s[N];
      LAPWING_UNROLL for (long v = 0; v < N; ++v) s[v] = V{};
      for (long j = 0; j < taps; ++j) {
        const long row = (k + j * step) * ld + c;
        LAPWING_UNROLL for (long v = 0; v < N; ++v) {
          add_product(s[v], lo[j], load_as<V>(low + row + v * W));
          add_product(s[v], hi[j], load_as<V>(high + row + v * W));
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
