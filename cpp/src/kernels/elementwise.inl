// Short vectors: conversions, sums of partial results, logarithms. n need not be a multiple of anything.

// out = log2(a / b), a and b positive and normal
template <class T>
void log2_ratio(const double* a, const double* b, double* out, long n) {
  constexpr long W = lanes<double>;
  long j = 0;
  for (; j + W <= n; j += W) store(out + j, log2_lanes(load(a + j) / load(b + j)));
  if (j < n) {
    double x[W], y[W];
    for (long k = 0; k < W; ++k) x[k] = j + k < n ? a[j + k] / b[j + k] : 1.0;
    store(y, log2_lanes(load(x)));
    for (long k = 0; j + k < n; ++k) out[j + k] = y[k];
  }
}
// y = 2^x
template <class T>
void exp2_array(const T* x, T* y, long n) {
  constexpr long W = lanes<T>;
  long j = 0;
  for (; j + W <= n; j += W) store(y + j, exp2_lanes<T>(load(x + j)));
  if (j < n) {
    T u[W], v[W];
    for (long k = 0; k < W; ++k) u[k] = j + k < n ? x[j + k] : T(0);
    store(v, exp2_lanes<T>(load(u)));
    for (long k = 0; j + k < n; ++k) y[j + k] = v[k];
  }
}
// acc += t, t = 0
template <class T>
void flush(T* __restrict t, double* __restrict acc, long n) {
  for (long j = 0; j < n; ++j) {
    acc[j] += static_cast<double>(t[j]);
    t[j] = 0;
  }
}
// Bit k: the highest bit of lane k.
#if defined(__AVX512F__)
LAPWING_INLINE unsigned lane_bits(vec_bits<float> v) {
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(v));
}
LAPWING_INLINE unsigned lane_bits(vec_bits<double> v) {
  return _mm512_movepi64_mask(reinterpret_cast<__m512i>(v));
}
#elif defined(__AVX2__)
LAPWING_INLINE unsigned lane_bits(vec_bits<float> v) {
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(v)));
}
LAPWING_INLINE unsigned lane_bits(vec_bits<double> v) {
  return static_cast<unsigned>(_mm256_movemask_pd(reinterpret_cast<__m256d>(v)));
}
#elif defined(__SSE2__)
LAPWING_INLINE unsigned lane_bits(vec_bits<float> v) {
  return static_cast<unsigned>(_mm_movemask_ps(reinterpret_cast<__m128>(v)));
}
LAPWING_INLINE unsigned lane_bits(vec_bits<double> v) {
  return static_cast<unsigned>(_mm_movemask_pd(reinterpret_cast<__m128d>(v)));
}
#else
template <class V>
LAPWING_INLINE unsigned lane_bits(V v) {
  unsigned bits = 0;
  for (unsigned k = 0; k < sizeof(V) / sizeof(v[0]); ++k)
    bits |= static_cast<unsigned>(v[k] >> (sizeof(v[0]) * 8 - 1)) << k;
  return bits;
}
#endif
// Positions j < n with z_j > least or z_j > bound_j; n is a multiple of the column padding. Returns how many.
template <class T>
long select_above(const T* z, const T* bound, T least, long n, std::int32_t* at) {
  constexpr long W = lanes<T>;
  long count = 0;
  for (long j = 0; j < n; j += W) {
    const vec<T> v = load(z + j);
    const auto above = (v > splat(least)) | (v > load(bound + j));
    unsigned bits = lane_bits(reinterpret_cast<vec_bits<T>>(above));
    while (bits) {
      at[count++] = static_cast<std::int32_t>(j + __builtin_ctz(bits));
      bits &= bits - 1;
    }
  }
  return count;
}
