// Products with graph Laplacians and triangular solves, for blocks of vectors stored as the rows of an n x b
// matrix (`ld` apart): one gathered row serves all columns.

// Columns are worked on in strips of N vectors V. do_strips calls f(tag, first column) with a tag that knows
// both. Every strip is a pass over the matrix, so few wide ones are wanted: 12 doubles are three vectors of
// 32 bytes rather than one of 64 and one of 32.
template <class V, long N>
struct strip {};
template <class T>
struct lanes_16;  // of 16 bytes, whatever the instruction set
template <>
struct lanes_16<float> {
  typedef float value __attribute__((vector_size(16)));
  typedef float memory __attribute__((vector_size(16), aligned(4), may_alias));
};
template <>
struct lanes_16<double> {
  typedef double value __attribute__((vector_size(16)));
  typedef double memory __attribute__((vector_size(16), aligned(8), may_alias));
};
template <class T>
struct lanes_32;
template <>
struct lanes_32<float> {
  typedef float value __attribute__((vector_size(32)));
  typedef float memory __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct lanes_32<double> {
  typedef double value __attribute__((vector_size(32)));
  typedef double memory __attribute__((vector_size(32), aligned(8), may_alias));
};
template <class V>
struct strip_memory {  // a scalar
  typedef V type;
};
template <>
struct strip_memory<lanes_16<float>::value> {
  typedef lanes_16<float>::memory type;
};
template <>
struct strip_memory<lanes_16<double>::value> {
  typedef lanes_16<double>::memory type;
};
#if LAPWING_VECTOR_BYTES > 16
template <>
struct strip_memory<lanes_32<float>::value> {
  typedef lanes_32<float>::memory type;
};
template <>
struct strip_memory<lanes_32<double>::value> {
  typedef lanes_32<double>::memory type;
};
#endif
#if LAPWING_VECTOR_BYTES > 32
template <>
struct strip_memory<vec<float>> {
  typedef lane_types<float>::memory type;
};
template <>
struct strip_memory<vec<double>> {
  typedef lane_types<double>::memory type;
};
#endif
template <class V, class T>
LAPWING_INLINE V load_as(const T* p) {
  return *reinterpret_cast<const typename strip_memory<V>::type*>(p);
}
template <class V, class T>
LAPWING_INLINE void store_as(T* p, V v) {
  *reinterpret_cast<typename strip_memory<V>::type*>(p) = v;
}
template <class T, class F>
LAPWING_INLINE void do_strips(long b, F&& f) {
  constexpr long W = lanes<T>, Q = 16 / static_cast<long>(sizeof(T)), H = W > 2 * Q ? 2 * Q : W;
  long c = 0;
  for (; c + 4 * W <= b; c += 4 * W) f(strip<vec<T>, 4>{}, c);
  // How many vectors of each width: those of one width for all that is left if three will do.
  const long left = b - c;
  long whole = 0, half = 0, quarter = 0;
  if (left % W == 0)
    whole = left / W;
  else if (left % H == 0 && left <= 3 * H)
    half = left / H;
  else if (left % Q == 0 && left <= 3 * Q)
    quarter = left / Q;
  else {
    whole = left / W;
    const long rest = left % W;
    half = W > H && rest != 3 * Q ? rest / H : 0;
    quarter = (rest - half * H) / Q;
  }
  const auto some = [&]<class V>(strip<V, 1>, long count) __attribute__((always_inline)) {
    if (count == 3) f(strip<V, 3>{}, c);
    if (count == 2) f(strip<V, 2>{}, c);
    if (count == 1) f(strip<V, 1>{}, c);
    c += count * static_cast<long>(sizeof(V) / sizeof(T));
  };
  some(strip<vec<T>, 1>{}, whole);
  if constexpr (W > H) some(strip<typename lanes_32<T>::value, 1>{}, half);
  if constexpr (W > Q) some(strip<typename lanes_16<T>::value, 1>{}, quarter);
  for (; c < b; ++c) f(strip<T, 1>{}, c);
}

// y_i = alpha scale_i sum_j w_ij (x_i - x_j) + beta x_i + gamma z_i for rows lo ... hi - 1. Without scale: 1.
// In this form nothing cancels: constants give exactly 0 and small differences keep their digits.
template <class T>
void graph_product(const std::int64_t* offsets, const std::int32_t* indices, const T* w, const T* scale,
                   T alpha, T beta, T gamma, const T* x, long ldx, const T* z, long ldz, T* y, long ldy,
                   long b, long lo, long hi) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long i = lo; i < hi; ++i) {
      V xi[N], s[N];
      LAPWING_UNROLL for (long k = 0; k < N; ++k) {
        xi[k] = load_as<V>(x + i * ldx + c + k * W);
        s[k] = V{};
      }
      for (std::int64_t q = offsets[i]; q < offsets[i + 1]; ++q) {
        const T* xj = x + indices[q] * ldx + c;
        const T wq = w[q];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) s[k] += wq * (xi[k] - load_as<V>(xj + k * W));
      }
      const T factor = scale ? alpha * scale[i] : alpha;
      LAPWING_UNROLL for (long k = 0; k < N; ++k) {
        V v = factor * s[k];
        if (beta != 0) v += beta * xi[k];
        if (gamma != 0) v += gamma * load_as<V>(z + i * ldz + c + k * W);
        store_as(y + i * ldy + c + k * W, v);
      }
    }
  });
}

// out_pq += sum over edges i < j of w_ij (x_ip - x_jp) (x_iq - x_jq), p, q < b, for rows lo ... hi - 1: the
// quadratic form of the Laplacian without cancellation. out is b x b.
template <class T>
void edge_gram(const std::int64_t* offsets, const std::int32_t* indices, const T* w, const T* x, long ld,
               long b, long lo, long hi, double* out) {
  for (long i = lo; i < hi; ++i) {
    const T* xi = x + i * ld;
    for (std::int64_t q = offsets[i]; q < offsets[i + 1]; ++q) {
      if (indices[q] <= i) continue;
      const T* xj = x + indices[q] * ld;
      for (long p = 0; p < b; ++p) {
        const double factor = static_cast<double>(w[q]) * static_cast<double>(xi[p] - xj[p]);
        for (long r = 0; r < b; ++r) out[p * b + r] += factor * static_cast<double>(xi[r] - xj[r]);
      }
    }
  }
}

// Columns lo ... hi - 1 of z <- G^-1 z for G unit lower triangular with -l_q at row indices[q] of column j, q
// in [offsets[j], offsets[j + 1]).
template <class T>
void lower_solve(const std::int64_t* offsets, const std::int32_t* indices, const T* l, long lo, long hi, T* z,
                 long ld, long b) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long j = lo; j < hi; ++j) {
      V zj[N];
      LAPWING_UNROLL for (long k = 0; k < N; ++k) zj[k] = load_as<V>(z + j * ld + c + k * W);
      for (std::int64_t q = offsets[j]; q < offsets[j + 1]; ++q) {
        T* zi = z + indices[q] * ld + c;
        const T lq = l[q];
        LAPWING_UNROLL for (long k = 0; k < N; ++k)
            store_as(zi + k * W, V(load_as<V>(zi + k * W) + lq * zj[k]));
      }
    }
  });
}
// The same for z <- G^-T D^+ z, from the last column to the first; pivot holds the inverses of D.
template <class T>
void upper_solve(const std::int64_t* offsets, const std::int32_t* indices, const T* l, const T* pivot,
                 long lo, long hi, T* z, long ld, long b) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    for (long j = hi - 1; j >= lo; --j) {
      V s[N];
      LAPWING_UNROLL for (long k = 0; k < N; ++k) s[k] = pivot[j] * load_as<V>(z + j * ld + c + k * W);
      for (std::int64_t q = offsets[j]; q < offsets[j + 1]; ++q) {
        const T* zi = z + indices[q] * ld + c;
        const T lq = l[q];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) s[k] += lq * load_as<V>(zi + k * W);
      }
      LAPWING_UNROLL for (long k = 0; k < N; ++k) store_as(z + j * ld + c + k * W, s[k]);
    }
  });
}

// The same for w columns with the same rows: l is (w + r) x w by rows, unit lower triangular above with -l
// below the diagonal, `top` their part of z, rows the places of the others in z.
template <class T>
void front_lower(const T* l, long w, const std::int32_t* rows, long r, T* top, T* z, long ld, long b) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    const auto add = [=](const T* li, long count, T* zi) __attribute__((always_inline)) {
      V s[N];
      LAPWING_UNROLL for (long k = 0; k < N; ++k) s[k] = load_as<V>(zi + k * W);
      for (long j = 0; j < count; ++j)
        LAPWING_UNROLL for (long k = 0; k < N; ++k) s[k] += li[j] * load_as<V>(top + j * ld + c + k * W);
      LAPWING_UNROLL for (long k = 0; k < N; ++k) store_as(zi + k * W, s[k]);
    };
    for (long i = 1; i < w; ++i) add(l + i * w, i, top + i * ld + c);
    for (long i = 0; i < r; ++i) add(l + (w + i) * w, w, z + rows[i] * ld + c);
  });
}
template <class T>
void front_upper(const T* l, const T* pivot, long w, const std::int32_t* rows, long r, T* top, const T* z,
                 long ld, long b) {
  do_strips<T>(b, [=]<class V, long N>(strip<V, N>, long c) __attribute__((always_inline)) {
    constexpr long W = sizeof(V) / sizeof(T);
    // P columns at once, from the last to the first
    const auto columns = [=]<long P>(strip<T, P>, long j) __attribute__((always_inline)) {
      V s[P][N];
      LAPWING_UNROLL for (long p = 0; p < P; ++p) LAPWING_UNROLL for (long k = 0; k < N; ++k) s[p][k] =
          pivot[j + p] * load_as<V>(top + (j + p) * ld + c + k * W);
      const auto add = [&](const T* li, const T* zi) __attribute__((always_inline)) {
        V v[N];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) v[k] = load_as<V>(zi + k * W);
        LAPWING_UNROLL for (long p = 0; p < P; ++p) LAPWING_UNROLL for (long k = 0; k < N; ++k) s[p][k] +=
            li[p] * v[k];
      };
      for (long i = 0; i < r; ++i) add(l + (w + i) * w + j, z + rows[i] * ld + c);
      for (long i = j + P; i < w; ++i) add(l + i * w + j, top + i * ld + c);
      LAPWING_UNROLL for (long p = P - 1; p >= 0; --p) {
        for (long q = p + 1; q < P; ++q)
          LAPWING_UNROLL for (long k = 0; k < N; ++k) s[p][k] += l[(j + q) * w + j + p] * s[q][k];
        LAPWING_UNROLL for (long k = 0; k < N; ++k) store_as(top + (j + p) * ld + c + k * W, s[p][k]);
      }
    };
    constexpr long most = N > 2 ? 2 : 4;
    long j = w;
    for (; j - most >= 0; j -= most) columns(strip<T, most>{}, j - most);
    for (; j > 0; --j) columns(strip<T, 1>{}, j - 1);
  });
}
