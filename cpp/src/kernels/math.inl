// Elementary functions, branch-free. Included inside an anonymous namespace, once per instruction set.

// 2^r on [-1/2, 1/2]: minimax polynomials, relative error 1.6e-8 and 3.4e-17
static inline float exp2_polynomial(float r) {
  float p = 0x1.41f976p-13f;
  p = p * r + 0x1.5f3e3ep-10f;
  p = p * r + 0x1.3b2d50p-7f;
  p = p * r + 0x1.c6aee8p-5f;
  p = p * r + 0x1.ebfbdcp-3f;
  p = p * r + 0x1.62e430p-1f;
  return p * r + 1.0f;
}
static inline double exp2_polynomial(double r) {
  double p = 0x1.e7aa19da01508p-32;
  p = p * r + 0x1.e620fb5daac71p-28;
  p = p * r + 0x1.b526788439c1cp-24;
  p = p * r + 0x1.62bfc3c1d862dp-20;
  p = p * r + 0x1.ffcbfba7bc040p-17;
  p = p * r + 0x1.43091310bf643p-13;
  p = p * r + 0x1.5d87fe78cf261p-10;
  p = p * r + 0x1.3b2ab6fb9f413p-7;
  p = p * r + 0x1.c6b08d7049fd1p-5;
  p = p * r + 0x1.ebfbdff82c5adp-3;
  p = p * r + 0x1.62e42fefa39efp-1;
  return p * r + 1.0;
}
// The integer part of x lands in the low bits of x + 1.5 2^23 (2^52) and is added to the exponent. Below the
// smallest normal number the result is 0, above the range it is about 2^127 (2^1023); NaN stays NaN.
static inline float exp2_of(float x) {
  float c = x < -126.0f ? -126.0f : x;
  c = c > 127.0f ? 127.0f : c;
  const float t = c + 0x1.8p23f, p = exp2_polynomial(c - (t - 0x1.8p23f));
  const float y =
      __builtin_bit_cast(float, __builtin_bit_cast(unsigned, p) + (__builtin_bit_cast(unsigned, t) << 23));
  return x < -126.0f ? 0.0f : y;
}
static inline double exp2_of(double x) {
  typedef unsigned long long bits;
  double c = x < -1022.0 ? -1022.0 : x;
  c = c > 1023.0 ? 1023.0 : c;
  const double t = c + 0x1.8p52, p = exp2_polynomial(c - (t - 0x1.8p52));
  const double y =
      __builtin_bit_cast(double, __builtin_bit_cast(bits, p) + (__builtin_bit_cast(bits, t) << 52));
  return x < -1022.0 ? 0.0 : y;
}
