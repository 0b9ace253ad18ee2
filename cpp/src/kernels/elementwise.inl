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
