// Lanes and elementary functions. Everything here has internal linkage (kernels.cpp includes it inside an
// anonymous namespace) and uses compiler built-ins alone, so that no copy compiled for a newer processor can
// be linked elsewhere.
#if defined(__AVX512F__)
#define LAPWING_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define LAPWING_VECTOR_BYTES 32
#else
#define LAPWING_VECTOR_BYTES 16
#endif
#define LAPWING_UNROLL _Pragma("GCC unroll 16")
#define LAPWING_INLINE static inline __attribute__((always_inline))
#define LAPWING_MEMBER __attribute__((always_inline))

template <class T>
struct lane_types;
template <>
struct lane_types<float> {
  typedef float value __attribute__((vector_size(LAPWING_VECTOR_BYTES)));
  typedef float memory __attribute__((vector_size(LAPWING_VECTOR_BYTES), aligned(4), may_alias));
  typedef unsigned bits __attribute__((vector_size(LAPWING_VECTOR_BYTES)));
};
template <>
struct lane_types<double> {
  typedef double value __attribute__((vector_size(LAPWING_VECTOR_BYTES)));
  typedef double memory __attribute__((vector_size(LAPWING_VECTOR_BYTES), aligned(8), may_alias));
  typedef unsigned long long bits __attribute__((vector_size(LAPWING_VECTOR_BYTES)));
};
// GCC's vector extensions (clang has them too): one source for every width, no intrinsics. Plain loops were
// tried first: the compilers do not keep a rows x columns tile of accumulators in registers across them.
template <class T>
using vec = typename lane_types<T>::value;
// N numbers of any type.
template <class U, long N>
struct some_of {
  typedef U value __attribute__((vector_size(N * sizeof(U))));
  typedef U memory __attribute__((vector_size(N * sizeof(U)), aligned(sizeof(U)), may_alias));
};
template <class T>
using vec_bits = typename lane_types<T>::bits;
template <class T>
constexpr long lanes = LAPWING_VECTOR_BYTES / static_cast<long>(sizeof(T));

template <class T>
LAPWING_INLINE vec<T> load(const T* p) {
  return *reinterpret_cast<const typename lane_types<T>::memory*>(p);
}
template <class T>
LAPWING_INLINE void store(T* p, vec<T> v) {
  *reinterpret_cast<typename lane_types<T>::memory*>(p) = v;
}
template <class T>
LAPWING_INLINE vec<T> splat(T x) {
  return x - vec<T>{};
}  // x - 0 is x for every x; 0 + x is not (-0)

// b where a is NaN or not greater (less). Intrinsics because GCC makes a comparison and a blend of `a > b ? a
// : b`, 1.2 to 1.4 times the time of the whole exponential loop.
#if defined(__AVX512F__)
LAPWING_INLINE vec<float> greater(vec<float> a, vec<float> b) { return _mm512_max_ps(a, b); }
LAPWING_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return _mm512_min_ps(a, b); }
LAPWING_INLINE vec<double> greater(vec<double> a, vec<double> b) { return _mm512_max_pd(a, b); }
LAPWING_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return _mm512_min_pd(a, b); }
LAPWING_INLINE vec<float> sqrt_lanes(vec<float> a) { return _mm512_sqrt_ps(a); }
LAPWING_INLINE vec<double> sqrt_lanes(vec<double> a) { return _mm512_sqrt_pd(a); }
#elif defined(__AVX2__)
LAPWING_INLINE vec<float> greater(vec<float> a, vec<float> b) { return _mm256_max_ps(a, b); }
LAPWING_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return _mm256_min_ps(a, b); }
LAPWING_INLINE vec<double> greater(vec<double> a, vec<double> b) { return _mm256_max_pd(a, b); }
LAPWING_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return _mm256_min_pd(a, b); }
LAPWING_INLINE vec<float> sqrt_lanes(vec<float> a) { return _mm256_sqrt_ps(a); }
LAPWING_INLINE vec<double> sqrt_lanes(vec<double> a) { return _mm256_sqrt_pd(a); }
#elif defined(__SSE2__)
LAPWING_INLINE vec<float> greater(vec<float> a, vec<float> b) { return _mm_max_ps(a, b); }
LAPWING_INLINE vec<float> lesser(vec<float> a, vec<float> b) { return _mm_min_ps(a, b); }
LAPWING_INLINE vec<double> greater(vec<double> a, vec<double> b) { return _mm_max_pd(a, b); }
LAPWING_INLINE vec<double> lesser(vec<double> a, vec<double> b) { return _mm_min_pd(a, b); }
LAPWING_INLINE vec<float> sqrt_lanes(vec<float> a) { return _mm_sqrt_ps(a); }
LAPWING_INLINE vec<double> sqrt_lanes(vec<double> a) { return _mm_sqrt_pd(a); }
#else
template <class V>
LAPWING_INLINE V greater(V a, V b) {
  return a > b ? a : b;
}
template <class V>
LAPWING_INLINE V lesser(V a, V b) {
  return a < b ? a : b;
}
LAPWING_INLINE vec<float> sqrt_lanes(vec<float> x) {
  for (long k = 0; k < lanes<float>; ++k) x[k] = __builtin_sqrtf(x[k]);
  return x;
}
LAPWING_INLINE vec<double> sqrt_lanes(vec<double> x) {
  for (long k = 0; k < lanes<double>; ++k) x[k] = __builtin_sqrt(x[k]);
  return x;
}
#endif

template <class T>
LAPWING_INLINE double sum_lanes(vec<T> v) {
  double s[lanes<T>];
  for (long k = 0; k < lanes<T>; ++k) s[k] = static_cast<double>(v[k]);
  for (long w = lanes<T> / 2; w > 0; w /= 2)
    for (long k = 0; k < w; ++k) s[k] += s[k + w];
  return s[0];
}
template <class T>
LAPWING_INLINE T max_lanes(vec<T> v) {
  T s = v[0];
  for (long k = 1; k < lanes<T>; ++k) s = v[k] > s ? v[k] : s;
  return s;
}

// 2^x. The integer part is shifted straight into the exponent of the polynomial's value. Clamping at -127
// (-1023), one below the smallest normal exponent, makes that value exactly 0: no second comparison is needed
// to flush small results. Above the range the result is clamped to about 2^127 (2^1023), so that an overflow
// is seen as a huge sum. NaN stays NaN. Error at most 2.1 ulp (float, degree 5) and 1 ulp (double, degree
// 11; 1.1 by the table below), 0.3 ulp more without fused multiply-add; 2^k is exact for an integer k;
// results below 2^-126 (2^-1022) are right to that absolute size only.
template <class T>
struct exp2_constants;
template <>
struct exp2_constants<float> {
  static constexpr int degree = 5, mantissa = 23;
  static constexpr float low = -127.0f, high = 127.0f, shift = 0x1.8p23f;
  static constexpr float p[degree + 1] = {0x1.5bba20p-10f, 0x1.3cea88p-7f, 0x1.c6b752p-5f,
                                          0x1.ebf9bcp-3f,  0x1.62e42ap-1f, 1.0f};
};
template <>
struct exp2_constants<double> {
  static constexpr int degree = 11, mantissa = 52;
  static constexpr double low = -1023.0, high = 1023.0, shift = 0x1.8p52;
  static constexpr double p[degree + 1] = {
      0x1.e7aa19da01508p-32, 0x1.e620fb5daac71p-28, 0x1.b526788439c1cp-24, 0x1.62bfc3c1d862dp-20,
      0x1.ffcbfba7bc040p-17, 0x1.43091310bf643p-13, 0x1.5d87fe78cf261p-10, 0x1.3b2ab6fb9f413p-7,
      0x1.c6b08d7049fd1p-5,  0x1.ebfbdff82c5adp-3,  0x1.62e42fefa39efp-1,  1.0};
};
// Keeps N chains side by side: an empty statement that "changes" all of them, so that no step of one is moved
// before the step of another that precedes it in the source. Without it GCC puts one whole chain after the
// other to save registers, and the loop waits for latencies.
#if defined(__AVX512F__)
#define LAPWING_VECTOR_REGISTER "+v"
#elif defined(__x86_64__)
#define LAPWING_VECTOR_REGISTER "+x"
#elif defined(__aarch64__)
#define LAPWING_VECTOR_REGISTER "+w"
#endif
template <class V, long N>
LAPWING_INLINE void side_by_side(V (&x)[N]) {
#ifdef LAPWING_VECTOR_REGISTER
  if constexpr (N == 4)
    asm volatile(""
                 : LAPWING_VECTOR_REGISTER(x[0]), LAPWING_VECTOR_REGISTER(x[1]),
                   LAPWING_VECTOR_REGISTER(x[2]), LAPWING_VECTOR_REGISTER(x[3]));
#else
  (void)x;
#endif
}

#if defined(__AVX512F__)
// In double two registers hold 2^(j/16), and one instruction looks them up: 2^x = 2^(k/16) (1 + r q(r)) with
// |r| <= 1/32, for which a polynomial of degree 5 will do: eight instructions on the units that multiply in
// place of twelve. Less in each entry what the shift of k brings into the mantissa.
struct sixteenth_powers {
  alignas(64) unsigned long long bits[16];
};
constexpr sixteenth_powers make_sixteenth_powers() {
  constexpr double powers[16] = {
      0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
      0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
      0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
      0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
  sixteenth_powers t{};
  for (unsigned long long j = 0; j < 16; ++j)
    t.bits[j] = __builtin_bit_cast(unsigned long long, powers[j]) - (j << 48);
  return t;
}
constexpr sixteenth_powers sixteenths = make_sixteenth_powers();
constexpr double sixteenth_q[6] = {0x1.430a1d08ec681p-13, 0x1.5d897e525c216p-10, 0x1.3b2ab6fb41213p-7,
                                   0x1.c6b08d6f2a289p-5,  0x1.ebfbdff82c590p-3,  0x1.62e42fefa39f3p-1};
template <long N>
LAPWING_INLINE void exp2_by_table(vec<double> (&x)[N]) {
  const vec<double> low = splat(exp2_constants<double>::low), high = splat(exp2_constants<double>::high),
                    shift = splat(0x1.8p48);
  const __m512d first = reinterpret_cast<__m512d>(_mm512_load_si512(sixteenths.bits)),
                second = reinterpret_cast<__m512d>(_mm512_load_si512(sixteenths.bits + 8));
  vec<double> t[N], r[N], p[N];
  LAPWING_UNROLL for (long k = 0; k < N; ++k) x[k] = greater(low, x[k]);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) x[k] = lesser(high, x[k]);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) t[k] = x[k] + shift;
  side_by_side(t);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) r[k] = x[k] - (t[k] - shift);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) p[k] = r[k] * sixteenth_q[0] + sixteenth_q[1];
  side_by_side(p);
  LAPWING_UNROLL for (int c = 2; c < 6; ++c) {
    LAPWING_UNROLL for (long k = 0; k < N; ++k) p[k] = p[k] * r[k] + sixteenth_q[c];
    side_by_side(p);
  }
  LAPWING_UNROLL for (long k = 0; k < N; ++k) {
    const vec_bits<double> bits = reinterpret_cast<vec_bits<double>>(t[k]);
    const vec_bits<double> entry = reinterpret_cast<vec_bits<double>>(
        _mm512_permutex2var_pd(first, reinterpret_cast<__m512i>(bits), second));
    const vec<double> power = reinterpret_cast<vec<double>>(entry + (bits << 48));
    x[k] = power * r[k] * p[k] + power;
  }
}
#endif

// N vectors in lockstep: the chain of one is some 40 cycles long.
template <class T, long N>
LAPWING_INLINE void exp2_lanes(vec<T> (&x)[N]) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 8) return exp2_by_table(x);
#endif
  using K = exp2_constants<T>;
  const vec<T> low = splat(K::low), high = splat(K::high), shift = splat(K::shift);
  vec<T> t[N], r[N], p[N];
  LAPWING_UNROLL for (long k = 0; k < N; ++k) x[k] = greater(low, x[k]);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) x[k] = lesser(high, x[k]);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) t[k] = x[k] + shift;
  side_by_side(t);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) r[k] = x[k] - (t[k] - shift);
  LAPWING_UNROLL for (long k = 0; k < N; ++k) p[k] = r[k] * K::p[0] + K::p[1];
  side_by_side(p);
  LAPWING_UNROLL for (int c = 2; c <= K::degree; ++c) {
    LAPWING_UNROLL for (long k = 0; k < N; ++k) p[k] = p[k] * r[k] + K::p[c];
    side_by_side(p);
  }
  LAPWING_UNROLL for (long k = 0; k < N; ++k) x[k] = reinterpret_cast<vec<T>>(
      reinterpret_cast<vec_bits<T>>(p[k]) + (reinterpret_cast<vec_bits<T>>(t[k]) << K::mantissa));
}
template <class T>
LAPWING_INLINE vec<T> exp2_lanes(vec<T> x) {
  vec<T> one[1] = {x};
  exp2_lanes<T, 1>(one);
  return one[0];
}

// log2 of positive normal numbers: exponent plus atanh series of the mantissa in [sqrt(1/2), sqrt(2)). Error
// at most 3 ulp; powers of 2 are exact. NaN and infinity give NaN.
LAPWING_INLINE vec<double> log2_lanes(vec<double> x) {
  const vec_bits<double> b = reinterpret_cast<vec_bits<double>>(x);
  const vec_bits<double> offset =
      b -
      0x3fe6a09e667f3bcdull;  // bits of sqrt(1/2): the exponent field of the difference is the integer part
  const vec_bits<double> n = (offset + (2048ull << 52)) >> 52;  // + 2048 keeps it positive
  const vec<double> integer =
      reinterpret_cast<vec<double>>((n & 0xfffull) | 0x4330000000000000ull) - (0x1p52 + 2048.0);
  const vec<double> m = reinterpret_cast<vec<double>>(b - ((offset >> 52) << 52));
  const vec<double> s = (m - 1.0) / (m + 1.0), q = s * s;
  vec<double> p = splat(1.0 / 23);
  p = p * q + 1.0 / 21;
  p = p * q + 1.0 / 19;
  p = p * q + 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  const vec<double> correction = s * q * p;                            // atanh(s) - s
  return integer + (s + correction) * 0x1.71547652b82fep+1 + (x - x);  // 2 / ln 2; x - x is 0 or NaN
}
