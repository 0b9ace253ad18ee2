// Pyramids of five taps. Sums of images of 8 bits fit 16: 16 * 16 * 255 + 128 < 2^16.
template <class T>
using sum_of = typename pyramid_sum<T>::type;

// The value that stands for a sum of weights 1 << bits.
template <class T, int bits>
LAPWING_INLINE T weighted_mean(sum_of<T> s) {
  if constexpr (static_cast<T>(0.5) != 0)
    return s * (T(1) / (1 << bits));
  else
    return static_cast<T>(static_cast<sum_of<T>>(s + (1 << (bits - 1))) >> bits);
}

// Across rows: 16 times the five-tap mean, w = 16 k of the outer, next and middle rows.
template <class T>
void pyramid_narrow_rows(const T* const* rows, const sum_of<T>* w, long n, sum_of<T>* out) {
  typedef sum_of<T> A;
  const T *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4];
  const A w0 = w[0], w1 = w[1], w2 = w[2];
#pragma omp simd
  for (long j = 0; j < n; ++j)
    out[j] = static_cast<A>(w2 * A(c[j]) + w1 * static_cast<A>(A(b[j]) + A(d[j])) +
                            w0 * static_cast<A>(A(a[j]) + A(e[j])));
}
// Along a row of such sums, of which two more are there on either side: every second of n.
template <class T>
void pyramid_narrow_line(const sum_of<T>* x, const sum_of<T>* w, long n, T* out) {
  typedef sum_of<T> A;
  const A w0 = w[0], w1 = w[1], w2 = w[2];
  const long count = (n + 1) / 2;
#pragma omp simd
  for (long i = 0; i < count; ++i)
    out[i] =
        weighted_mean<T, 8>(static_cast<A>(w2 * x[2 * i] + w1 * static_cast<A>(x[2 * i - 1] + x[2 * i + 1]) +
                                           w0 * static_cast<A>(x[2 * i - 2] + x[2 * i + 2])));
}

// Across rows: 8 times what stands at an even row (three of them) or at an odd one (the last two).
template <class T>
void pyramid_widen_rows(const T* const* rows, bool odd, long n, sum_of<T>* out) {
  typedef sum_of<T> A;
  const T *a = rows[0], *b = rows[1], *c = rows[2];
  if (odd) {
#pragma omp simd
    for (long j = 0; j < n; ++j) out[j] = static_cast<A>(4 * static_cast<A>(A(b[j]) + A(c[j])));
  } else {
#pragma omp simd
    for (long j = 0; j < n; ++j) out[j] = static_cast<A>(6 * A(b[j]) + static_cast<A>(A(a[j]) + A(c[j])));
  }
}
template <class T>
LAPWING_INLINE T saturated(typename pyramid_detail<T>::type x) {
  if constexpr (static_cast<T>(0.5) != 0) {
    return x;
  } else {
    constexpr typename pyramid_detail<T>::type low = T(-1) < T(0) ? -(1 << (8 * sizeof(T) - 1)) : 0,
                                               high = (1 << (8 * sizeof(T) - (T(-1) < T(0) ? 1 : 0))) - 1;
    return static_cast<T>(x < low ? low : x > high ? high : x);
  }
}
// Along a row of such sums, of which one more is there on either side: n of them (two for each), as they are,
// taken from x, or added to details.
template <class T, class F>
LAPWING_INLINE void widen_line(const sum_of<T>* v, long n, F&& put) {
  typedef sum_of<T> A;
  const long half = n / 2;
#pragma omp simd
  for (long i = 0; i < half; ++i) {
    const A even = static_cast<A>(6 * v[i] + static_cast<A>(v[i - 1] + v[i + 1]));
    const A odd = static_cast<A>(4 * static_cast<A>(v[i] + v[i + 1]));
    put(2 * i, weighted_mean<T, 6>(even));
    put(2 * i + 1, weighted_mean<T, 6>(odd));
  }
  if (n % 2)
    put(n - 1, weighted_mean<T, 6>(static_cast<A>(6 * v[half] + static_cast<A>(v[half - 1] + v[half + 1]))));
}
template <class T>
void pyramid_widen_line(const sum_of<T>* v, long n, T* out) {
  widen_line<T>(v, n, [=](long j, T up) __attribute__((always_inline)) { out[j] = up; });
}
template <class T>
void pyramid_detail_line(const sum_of<T>* v, const T* x, long n, typename pyramid_detail<T>::type* out) {
  typedef typename pyramid_detail<T>::type D;
  widen_line<T>(v, n, [=](long j, T up) __attribute__((always_inline)) {
    out[j] = static_cast<D>(static_cast<D>(x[j]) - static_cast<D>(up));
  });
}
template <class T>
void pyramid_whole_line(const sum_of<T>* v, const typename pyramid_detail<T>::type* detail, long n, T* out) {
  typedef typename pyramid_detail<T>::type D;
  widen_line<T>(v, n, [=](long j, T up) __attribute__((always_inline)) {
    out[j] = saturated<T>(static_cast<D>(detail[j] + static_cast<D>(up)));
  });
}
