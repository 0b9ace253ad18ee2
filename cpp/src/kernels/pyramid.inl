// Pyramids of five taps. Sums of images of 8 bits fit 16: 16 * 16 * 255 + 128 < 2^16. Every sum is added up
// in one order, whichever of the loops makes it.
template <class T>
using sum_of = typename pyramid_sum<T>::type;
template <class T>
using detail_of = typename pyramid_detail<T>::type;

// As many sums as a vector holds.
template <class T>
constexpr long pyramid_lanes = LAPWING_VECTOR_BYTES / static_cast<long>(sizeof(sum_of<T>));
template <class V>
constexpr long pyramid_lanes_of = sizeof(V) / sizeof(V{}[0]);
template <class T>
using sums_of = typename some_of<sum_of<T>, pyramid_lanes<T>>::value;

// Intrinsics because GCC converts halves and puts them together.
template <class T, class V, class U>
LAPWING_INLINE sums_of<T> widened(V v, const U*) {
#if defined(__AVX512BW__)
  if constexpr (sizeof(U) == 1)
    return reinterpret_cast<sums_of<T>>(_mm512_cvtepu8_epi16(reinterpret_cast<__m256i>(v)));
  else if constexpr (U(-1) < U(0))
    return reinterpret_cast<sums_of<T>>(_mm512_cvtepi16_epi32(reinterpret_cast<__m256i>(v)));
  else
    return reinterpret_cast<sums_of<T>>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(v)));
#elif defined(__AVX2__)
  if constexpr (sizeof(U) == 1)
    return reinterpret_cast<sums_of<T>>(_mm256_cvtepu8_epi16(reinterpret_cast<__m128i>(v)));
  else if constexpr (U(-1) < U(0))
    return reinterpret_cast<sums_of<T>>(_mm256_cvtepi16_epi32(reinterpret_cast<__m128i>(v)));
  else
    return reinterpret_cast<sums_of<T>>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(v)));
#else
  return __builtin_convertvector(v, sums_of<T>);
#endif
}
template <class T, class U>
LAPWING_INLINE sums_of<T> load_sums(const U* p) {
  const typename some_of<U, pyramid_lanes<T>>::value v =
      *reinterpret_cast<const typename some_of<U, pyramid_lanes<T>>::memory*>(p);
  if constexpr (sizeof(U) == sizeof(sum_of<T>))
    return reinterpret_cast<sums_of<T>>(v);
  else
    return widened<T>(v, p);
}
// In the type of what they are stored in.
template <class U, class V>
LAPWING_INLINE typename some_of<U, pyramid_lanes_of<V>>::value as_numbers(V v) {
  typedef typename some_of<U, pyramid_lanes_of<V>>::value N;
  if constexpr (sizeof(N) == sizeof(V))
    return reinterpret_cast<N>(v);
  else
    return __builtin_convertvector(v, N);
}

// weight x, and sum + weight x, of numbers or of vectors.
template <class T, class S>
LAPWING_INLINE S weighed(sum_of<T> w, S x) {
  if constexpr (static_cast<T>(0.5) != 0) {
    S s{};
    add_product(s, w, x);  // from 0: see wavelet.inl
    return s;
  } else {
    return static_cast<S>(w * x);
  }
}
template <class T, class S>
LAPWING_INLINE S weighed(S sum, sum_of<T> w, S x) {
  if constexpr (static_cast<T>(0.5) != 0)
    add_product(sum, w, x);
  else
    sum = static_cast<S>(sum + w * x);
  return sum;
}
// What stands for a sum of weights 1 << bits.
template <class T, int bits, class S>
LAPWING_INLINE S weighted_mean(S s) {
  if constexpr (static_cast<T>(0.5) != 0)
    return s * (T(1) / (1 << bits));
  else
    return static_cast<S>(static_cast<S>(s + sum_of<T>(1 << (bits - 1))) >> bits);
}
// Five neighbours; the nearest three and two of an image that is enlarged.
template <class T, class S>
LAPWING_INLINE S narrowed(const sum_of<T>* w, S a, S b, S c, S d, S e) {
  return weighed<T>(weighed<T>(weighed<T>(w[2], c), w[1], static_cast<S>(b + d)), w[0],
                    static_cast<S>(a + e));
}
template <class T, class S>
LAPWING_INLINE S widened_even(S a, S b, S c) {
  return weighed<T>(static_cast<S>(a + c), sum_of<T>(6), b);
}
template <class T, class S>
LAPWING_INLINE S widened_odd(S b, S c) {
  return static_cast<S>(sum_of<T>(4) * static_cast<S>(b + c));
}

// Across rows: 16 times the five-tap mean, w = 16 k of the outer, next and middle rows.
template <class T>
void pyramid_narrow_rows(const T* const* rows, const sum_of<T>* w, long n, sum_of<T>* out) {
  typedef sum_of<T> A;
  const T *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4];
  const A v[3] = {w[0], w[1], w[2]};
#pragma omp simd
  for (long j = 0; j < n; ++j) out[j] = narrowed<T>(v, A(a[j]), A(b[j]), A(c[j]), A(d[j]), A(e[j]));
}
// Along a row of such sums, of which two more are there on either side: every second of n.
template <class T>
void pyramid_narrow_line(const sum_of<T>* x, const sum_of<T>* w, long n, T* out) {
  const sum_of<T> v[3] = {w[0], w[1], w[2]};
  const long count = (n + 1) / 2;
#pragma omp simd
  for (long i = 0; i < count; ++i)
    out[i] = static_cast<T>(weighted_mean<T, 8>(
        narrowed<T>(v, x[2 * i - 2], x[2 * i - 1], x[2 * i], x[2 * i + 1], x[2 * i + 2])));
}
// Both at once for a row of n that is mirrored about its ends. Two more rows follow, which will be looked at
// next and are called into the cache; or none, if the first of them is null.
template <class T>
void pyramid_narrow(const T* const* rows, const sum_of<T>* w, long n, T* out) {
  typedef sum_of<T> A;
  typedef sums_of<T> V;
  constexpr long W = pyramid_lanes<T>;
  const T *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4];
  const A v[3] = {w[0], w[1], w[2]};
  const auto sum = [=](long j) __attribute__((always_inline)) {
    return narrowed<T>(v, A(a[j]), A(b[j]), A(c[j]), A(d[j]), A(e[j]));
  };
  const auto sums = [=](long j) __attribute__((always_inline)) {
    return narrowed<T>(v, load_sums<T>(a + j), load_sums<T>(b + j), load_sums<T>(c + j), load_sums<T>(d + j),
                       load_sums<T>(e + j));
  };
  const bool soon = rows[5] != nullptr;
  long done = 0;  // entries made
  if (n >= 4 * W) {
    out[0] = static_cast<T>(weighted_mean<T, 8>(narrowed<T>(v, sum(2), sum(1), sum(0), sum(1), sum(2))));
    V first = sums(0), second = sums(W), even = evens(first, second), odd = odds(first, second);
    long j = 0;
    for (; j + 4 * W <= n; j += 2 * W) {
      if (soon) {
        call_soon(rows[5] + j, 2 * W * static_cast<long>(sizeof(T)));
        call_soon(rows[6] + j, 2 * W * static_cast<long>(sizeof(T)));
      }
      first = sums(j + 2 * W);
      second = sums(j + 3 * W);
      const V even_after = evens(first, second), odd_after = odds(first, second);
      store_some(out + j / 2 + 1, as_numbers<T>(weighted_mean<T, 8>(
                                      narrowed<T>(v, even, odd, moved<1>(even, even_after),
                                                  moved<1>(odd, odd_after), moved<2>(even, even_after)))));
      even = even_after;
      odd = odd_after;
    }
    done = j / 2 + 1;
  }
  // What is left, and rows that are short, by way of memory.
  A rest[6 * W + 4];
  const auto mirrored = [=](long j) __attribute__((always_inline)) {
    while (j < 0 || j >= n) j = n == 1 ? 0 : j < 0 ? -j : 2 * n - 2 - j;
    return j;
  };
  while (2 * done < n) {
    const long from = 2 * done, some = n - from < 6 * W ? n - from : 6 * W;
    for (long j = 0; j < 2; ++j) rest[j] = sum(mirrored(from - 2 + j));
    for (long j = 0; j < some; ++j) rest[j + 2] = sum(from + j);
    for (long j = 0; j < 2; ++j) rest[some + 2 + j] = sum(mirrored(from + some + j));
    pyramid_narrow_line<T>(rest + 2, v, some, out + done);
    done += (some + 1) / 2;
  }
}

// Across rows: 8 times what stands at an even row (three of them) or at an odd one (the last two).
template <class T>
void pyramid_widen_rows(const T* const* rows, bool odd, long n, sum_of<T>* out) {
  typedef sum_of<T> A;
  const T *a = rows[0], *b = rows[1], *c = rows[2];
  if (odd) {
#pragma omp simd
    for (long j = 0; j < n; ++j) out[j] = widened_odd<T>(A(b[j]), A(c[j]));
  } else {
#pragma omp simd
    for (long j = 0; j < n; ++j) out[j] = widened_even<T>(A(a[j]), A(b[j]), A(c[j]));
  }
}
// Along a row of such sums, of which one more is there on either side: put(j, value) for n of them, two each.
template <class T, class F>
LAPWING_INLINE void widen_line(const sum_of<T>* v, long n, F&& put) {
  const long half = n / 2;
#pragma omp simd
  for (long i = 0; i < half; ++i) {
    put(2 * i, weighted_mean<T, 6>(widened_even<T>(v[i - 1], v[i], v[i + 1])));
    put(2 * i + 1, weighted_mean<T, 6>(widened_odd<T>(v[i], v[i + 1])));
  }
  if (n % 2) put(n - 1, weighted_mean<T, 6>(widened_even<T>(v[half - 1], v[half], v[half + 1])));
}
template <class T>
void pyramid_widen_line(const sum_of<T>* v, long n, T* out) {
  widen_line<T>(v, n,
                [=](long j, sum_of<T> up) __attribute__((always_inline)) { out[j] = static_cast<T>(up); });
}
// `until` entries from 2 i on of rows that are enlarged, by way of memory. On its own, as many loops end with
// it.
template <class T>
__attribute__((noinline)) void widen_rest(const T* const* rows, bool odd_row, long before, long m, long i,
                                          long until, sum_of<T>* up) {
  typedef sum_of<T> A;
  const T *a = rows[0], *b = rows[1], *c = rows[2];
  A rest[4 * pyramid_lanes<T> + 2];
  const long some = (until + 1) / 2;
  const auto fill = [&](auto&& sum) __attribute__((always_inline)) {
    rest[0] = sum(i > 0 ? i - 1 : before);
    for (long j = 0; j < some; ++j) rest[j + 1] = sum(i + j);
    rest[some + 1] = sum(i + some < m ? i + some : m - 1);
  };
  if (odd_row)
    fill([=](long j) __attribute__((always_inline)) { return widened_odd<T>(A(b[j]), A(c[j])); });
  else
    fill([=](long j) __attribute__((always_inline)) { return widened_even<T>(A(a[j]), A(b[j]), A(c[j])); });
  widen_line<T>(rest + 1, until, [&](long j, A x) __attribute__((always_inline)) { up[j] = x; });
}
// Both at once for rows of (n + 1) / 2, entry -1 being the one at `before` and the last one standing for
// those after it: put(j, value) for each of n, or many(j, values) for as many as a vector holds.
template <class T, bool odd_row, class F, class G>
LAPWING_INLINE void widen_both(const T* const* rows, long before, long n, F&& put, G&& many) {
  typedef sum_of<T> A;
  typedef sums_of<T> V;
  constexpr long W = pyramid_lanes<T>;
  const T *a = rows[0], *b = rows[1], *c = rows[2];
  const long m = (n + 1) / 2;
  const auto sum = [=](long j) __attribute__((always_inline)) {
    return odd_row ? widened_odd<T>(A(b[j]), A(c[j])) : widened_even<T>(A(a[j]), A(b[j]), A(c[j]));
  };
  const auto sums = [=](long j) __attribute__((always_inline)) {
    const V middle = load_sums<T>(b + j), next = load_sums<T>(c + j);
    if constexpr (odd_row) return widened_odd<T>(middle, next);
    return widened_even<T>(load_sums<T>(a + j), middle, next);
  };
  long i = 0;
  if (m >= 2 * W) {
    V last = sum(before) - V{}, now = sums(0);
    for (; i + 2 * W <= m; i += W) {
      const V next = sums(i + W), after = moved<1>(now, next);
      const V even = weighted_mean<T, 6>(widened_even<T>(moved<W - 1>(last, now), now, after)),
              odd = weighted_mean<T, 6>(widened_odd<T>(now, after));
      many(2 * i, zip_first(even, odd));
      many(2 * i + W, zip_second(even, odd));
      last = now;
      now = next;
    }
  }
  A up[8 * W];
  for (; 2 * i < n; i += 4 * W) {
    const long from = 2 * i, until = n - from < 8 * W ? n - from : 8 * W;
    widen_rest<T>(rows, odd_row, before, m, i, until, up);
    for (long j = 0; j < until; ++j) put(from + j, up[j]);
  }
}
template <class T, class F, class G>
LAPWING_INLINE void widen_both(const T* const* rows, bool odd, long before, long n, F&& put, G&& many) {
  if (odd)
    widen_both<T, true>(rows, before, n, put, many);
  else
    widen_both<T, false>(rows, before, n, put, many);
}
template <class T>
void pyramid_widen(const T* const* rows, bool odd, long before, long n, T* out, bool past_caches) {
  into<pyramid_lanes<T>>(out, past_caches, [=](auto to) __attribute__((always_inline)) {
    widen_both<T>(
        rows, odd, before, n,
        [&](long j, sum_of<T> up) __attribute__((always_inline)) { to.one(j, static_cast<T>(up)); },
        [&](long j, sums_of<T> up) __attribute__((always_inline)) { to.many(j, as_numbers<T>(up)); });
    to.end(n);
  });
}
// What x has beyond that. `soon` is a row that will be looked at, which is called into the cache.
template <class T>
void pyramid_detail_row(const T* const* rows, bool odd, long before, const T* x, const T* soon, long n,
                        detail_of<T>* out, bool past_caches) {
  typedef detail_of<T> D;
  into<pyramid_lanes<T>>(out, past_caches, [=](auto to) __attribute__((always_inline)) {
    widen_both<T>(
        rows, odd, before, n,
        [&](long j, sum_of<T> up) __attribute__((always_inline)) {
          to.one(j, static_cast<D>(static_cast<D>(x[j]) - static_cast<D>(up)));
        },
        [&](long j, sums_of<T> up) __attribute__((always_inline)) {
          call_soon(soon + j, pyramid_lanes<T> * static_cast<long>(sizeof(T)));
          to.many(j, as_numbers<D>(load_sums<T>(x + j) - up));
        });
    to.end(n);
  });
}
template <class T, class S>
LAPWING_INLINE S saturated(S x) {
  if constexpr (static_cast<T>(0.5) != 0) {
    return x;
  } else {
    constexpr bool is_signed = T(-1) < T(0);
    constexpr detail_of<T> low = is_signed ? -(1 << (8 * sizeof(T) - 1)) : 0,
                           high = (1 << (8 * sizeof(T) - (is_signed ? 1 : 0))) - 1;
    const S least = static_cast<S>(S{} + low), most = static_cast<S>(S{} + high);
    x = x < least ? least : x;
    return x > most ? most : x;
  }
}
// That and details together, cut to the range of T.
template <class T>
void pyramid_whole_row(const T* const* rows, bool odd, long before, const detail_of<T>* detail,
                       const detail_of<T>* soon, long n, T* out, bool past_caches) {
  typedef detail_of<T> D;
  typedef typename some_of<D, pyramid_lanes<T>>::value V;
  into<pyramid_lanes<T>>(out, past_caches, [=](auto to) __attribute__((always_inline)) {
    widen_both<T>(
        rows, odd, before, n,
        [&](long j, sum_of<T> up) __attribute__((always_inline)) {
          to.one(j, static_cast<T>(saturated<T>(static_cast<D>(detail[j] + static_cast<D>(up)))));
        },
        [&](long j, sums_of<T> up) __attribute__((always_inline)) {
          call_soon(soon + j, pyramid_lanes<T> * static_cast<long>(sizeof(D)));
          const V whole = saturated<T>(reinterpret_cast<V>(load_sums<T>(detail + j) + up));
          to.many(j, as_numbers<T>(reinterpret_cast<sums_of<T>>(whole)));
        });
    to.end(n);
  });
}
template <class T>
void pyramid_whole_line(const sum_of<T>* v, const detail_of<T>* detail, long n, T* out) {
  typedef detail_of<T> D;
  widen_line<T>(v, n, [=](long j, sum_of<T> up) __attribute__((always_inline)) {
    out[j] = static_cast<T>(saturated<T>(static_cast<D>(detail[j] + static_cast<D>(up))));
  });
}
