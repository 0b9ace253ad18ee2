// Kernels of entropic transport: exponents z = f_r + g_j - kappa C_rj of four rows at a time (kappa =
// log2(e)/eps), their exponentials and their sums. Columns are padded to a multiple of the tile with g =
// -inf, whose exponentials are exactly 0. Rows come in blocks of four: the caller repeats the last row and
// gives it weight 0.

constexpr long block_rows = 4;
// columns handled between two reductions of the lane sums to double: bounds the error of long float sums
constexpr long sum_tile = 2048;
// vectors of columns in one register tile: 4 x 4 accumulators fit 32 registers, 4 x 3 fit 16
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr long tile_vectors = 4;
#else
constexpr long tile_vectors = 3;
#endif

// out[r] += the sum of the lanes of v[r], with the bits of sum_lanes. Four at a time: one by one the sums
// take longer than the columns of a small problem.
#if LAPWING_VECTOR_BYTES >= 32
typedef double four_doubles __attribute__((vector_size(32)));
LAPWING_INLINE four_doubles fold_lanes(vec<double> v) {
#if LAPWING_VECTOR_BYTES == 64
  return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  return v;
#endif
}
LAPWING_INLINE four_doubles fold_lanes(vec<float> v) {
#if LAPWING_VECTOR_BYTES == 64
  return fold_lanes(
      __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), vec<double>) +
      __builtin_convertvector(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15), vec<double>));
#else
  return __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3), four_doubles) +
         __builtin_convertvector(__builtin_shufflevector(v, v, 4, 5, 6, 7), four_doubles);
#endif
}
template <class T>
LAPWING_INLINE void add_sums(const vec<T> (&v)[block_rows], double* out, long step = 1) {
  const four_doubles a = fold_lanes(v[0]), b = fold_lanes(v[1]), c = fold_lanes(v[2]), d = fold_lanes(v[3]);
  const four_doubles ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) +
                          __builtin_shufflevector(a, b, 2, 3, 6, 7),
                     cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) +
                          __builtin_shufflevector(c, d, 2, 3, 6, 7);
  const four_doubles sum =
      __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
  LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) out[r * step] += sum[r];
}
#else
template <class T>
LAPWING_INLINE void add_sums(const vec<T> (&v)[block_rows], double* out, long step = 1) {
  LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) out[r * step] += sum_lanes<T>(v[r]);
}
#endif

// Asks for what stands `ahead` elements beyond p, which need not exist. Rows of a matrix in memory are read
// four at a time between long computations; with the next four asked for meanwhile (ahead = 4 rows) a sweep
// takes half the time of one that leaves it to the processor to guess. Into the first-level cache, unlike
// call_soon, whose second-level one makes a sweep a seventh slower.
template <class T>
LAPWING_INLINE void fetch(const T* p, long ahead) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<unsigned long>(p) +
                                                   static_cast<unsigned long>(ahead) * sizeof(T)));
}

enum class cost_form { dense, sqeuclidean, euclidean, product };

template <class T>
struct exponentials {  // stores 2^z and sums it
  T* e;
  long stride;
  vec<T> s[block_rows];
  LAPWING_INLINE void start(exponentials& o) {
    for (long r = 0; r < block_rows; ++r) o.s[r] = vec<T>{};
  }
  LAPWING_INLINE void put(exponentials& o, long j, vec<T> (&z)[block_rows]) {
    exp2_lanes<T, block_rows>(z);
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) store(o.e + r * o.stride + j, z[r]);
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) o.s[r] += z[r];
  }
  LAPWING_INLINE void finish(exponentials& o, double* sum) { add_sums<T>(o.s, sum); }
};
template <class T>
struct logits {  // stores z and its maximum
  T* e;
  long stride;
  vec<T> s[block_rows];
  LAPWING_INLINE void start(logits& o) {
    for (long r = 0; r < block_rows; ++r) o.s[r] = splat(static_cast<T>(-__builtin_huge_val()));
  }
  LAPWING_INLINE void put(logits& o, long j, vec<T> (&z)[block_rows]) {
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
      store(o.e + r * o.stride + j, z[r]);
      o.s[r] = greater(z[r], o.s[r]);  // NaN in z is not greater: inputs are checked before
    }
  }
  LAPWING_INLINE void finish(logits& o, double* top) {
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
      const double m = static_cast<double>(max_lanes<T>(o.s[r]));
      top[r] = m > top[r] ? m : top[r];
    }
  }
};

template <class T, class Out>
LAPWING_INLINE void dense_block(const T* const* c, const T* f, const T* g, T scale, long m, long ahead, T* e,
                                long stride, double* result) {
  constexpr long W = lanes<T>;
  Out out{e, stride, {}};
  const T* row[block_rows];  // copies: the compiler cannot know that the stores to e leave c and f alone
  vec<T> fr[block_rows];
  LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
    row[r] = c[r];
    fr[r] = splat(f[r]);
  }
  const long full = m / W * W;
  for (long j0 = 0; j0 < full; j0 += sum_tile) {
    const long j1 = j0 + sum_tile < full ? j0 + sum_tile : full;
    Out::start(out);
    for (long j = j0; j < j1; j += W) {
      const vec<T> gj = load(g + j);
      vec<T> z[block_rows];
      LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) z[r] = load(row[r] + j) * scale + (gj + fr[r]);
      LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) fetch(row[r] + j, ahead);
      Out::put(out, j, z);
    }
    Out::finish(out, result);
  }
  // what is left of the row, then padding: costs 0 there, g decides
  Out::start(out);
  for (long j = full; j < stride; j += W) {
    const vec<T> gj = load(g + j);
    vec<T> z[block_rows];
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
      T cost[W];
      for (long k = 0; k < W; ++k) cost[k] = j + k < m ? row[r][j + k] : T(0);
      z[r] = load(cost) * scale + (gj + fr[r]);
    }
    Out::put(out, j, z);
  }
  Out::finish(out, result);
}

template <class T, cost_form form, class Out, long NB>
LAPWING_INLINE void points_tile(const T* const* x, const T* y, long d, const T* f, const T* g, T scale,
                                long j, Out& out) {
  constexpr long W = lanes<T>, G = column_group<T>;
  vec<T> acc[block_rows][NB];
  LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) LAPWING_UNROLL for (long q = 0; q < NB; ++q)
      acc[r][q] = vec<T>{};
  for (long k = 0; k < d; ++k) {
    vec<T> yk[NB];
    LAPWING_UNROLL for (long q = 0; q < NB; ++q) yk[q] =
        load(y + (j + q * W) / G * G * d + k * G + (j + q * W) % G);
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
      const vec<T> xk = splat(x[r][k]);
      LAPWING_UNROLL for (long q = 0; q < NB; ++q) {
        if constexpr (form == cost_form::product) {
          acc[r][q] = xk * yk[q] + acc[r][q];
        } else {
          const vec<T> difference = xk - yk[q];
          acc[r][q] = difference * difference + acc[r][q];
        }
      }
    }
  }
  LAPWING_UNROLL for (long q = 0; q < NB; ++q) {
    const vec<T> gj = load(g + j + q * W);
    vec<T> z[block_rows];
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) {
      vec<T> cost = acc[r][q];
      if constexpr (form == cost_form::euclidean) cost = sqrt_lanes(cost);
      z[r] = cost * scale + (gj + f[r]);
    }
    Out::put(out, j + q * W, z);
  }
}

// x: rows of d coordinates, blocks of four; y: coordinates of all columns in groups of column_group:
// coordinate k of column j of a group stands at [k][j] within the group, so that a tile is read in one
// stream. Padded to `stride` columns. A tile of y serves all blocks of rows while it is in the first-level
// cache: with many coordinates the columns would otherwise be fetched again for every four rows.
template <class T, cost_form form, class Out, long most>
LAPWING_INLINE void points_blocks(const T* const* x, long blocks, const T* y, long d, const T* f, const T* g,
                                  T scale, T* e, long stride, double* result) {
  constexpr long W = lanes<T>, NB = tile_vectors;
  Out out[most];
  for (long b = 0; b < blocks; ++b) {
    out[b].e = e + b * block_rows * stride;
    out[b].stride = stride;
  }
  for (long j0 = 0; j0 < stride; j0 += sum_tile) {
    const long j1 = j0 + sum_tile < stride ? j0 + sum_tile : stride;
    for (long b = 0; b < blocks; ++b) Out::start(out[b]);
    long j = j0;
    for (; j + NB * W <= j1; j += NB * W)
      for (long b = 0; b < blocks; ++b)
        points_tile<T, form, Out, NB>(x + b * block_rows, y, d, f + b * block_rows, g, scale, j, out[b]);
    for (; j < j1; j += W)
      for (long b = 0; b < blocks; ++b)
        points_tile<T, form, Out, 1>(x + b * block_rows, y, d, f + b * block_rows, g, scale, j, out[b]);
    for (long b = 0; b < blocks; ++b) Out::finish(out[b], result + b * block_rows);
  }
}
template <class T, cost_form form, class Out>
LAPWING_INLINE void points_rows(const T* const* x, long rows, const T* y, long d, const T* f, const T* g,
                                T scale, T* e, long stride, double* result) {
  if (rows == block_rows)
    return points_blocks<T, form, Out, 1>(x, 1, y, d, f, g, scale, e, stride,
                                          result);  // sums stay in registers
  points_blocks<T, form, Out, most_rows / block_rows>(x, rows / block_rows, y, d, f, g, scale, e, stride,
                                                      result);
}

template <class T>
void exp_dense(const T* const* c, const T* f, const T* g, T scale, long m, long ahead, T* e, long stride,
               double* sum) {
  dense_block<T, exponentials<T>>(c, f, g, scale, m, ahead, e, stride, sum);
}
template <class T>
void logit_dense(const T* const* c, const T* f, const T* g, T scale, long m, long ahead, T* e, long stride,
                 double* top) {
  dense_block<T, logits<T>>(c, f, g, scale, m, ahead, e, stride, top);
}
#define LAPWING_POINTS(form)                                                                                 \
  template <class T>                                                                                         \
  void exp_##form(const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e,   \
                  long stride, double* sum) {                                                                \
    points_rows<T, cost_form::form, exponentials<T>>(x, rows, y, d, f, g, scale, e, stride, sum);            \
  }                                                                                                          \
  template <class T>                                                                                         \
  void logit_##form(const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, \
                    long stride, double* top) {                                                              \
    points_rows<T, cost_form::form, logits<T>>(x, rows, y, d, f, g, scale, e, stride, top);                  \
  }
LAPWING_POINTS(sqeuclidean)
LAPWING_POINTS(euclidean)
LAPWING_POINTS(product)
#undef LAPWING_POINTS

// t_j += sum_r q_r e_rj for the four rows of a block; n is a multiple of the lanes
template <class T>
void add_rows(const T* e, long stride, const T* q, T* t, long n) {
  constexpr long W = lanes<T>;
  const vec<T> q0 = splat(q[0]), q1 = splat(q[1]), q2 = splat(q[2]), q3 = splat(q[3]);
  const T *e0 = e, *e1 = e + stride, *e2 = e + 2 * stride, *e3 = e + 3 * stride;
  for (long j = 0; j < n; j += W) {
    vec<T> v = load(t + j);
    v = q0 * load(e0 + j) + v;
    v = q1 * load(e1 + j) + v;
    v = q2 * load(e2 + j) + v;
    v = q3 * load(e3 + j) + v;
    store(t + j, v);
  }
}

// z_j <- 2^(z_j - shift); returns the sum, and in *weighted the sum of 2^(z_j - shift) z_j over the entries
// that are not 0
template <class T>
double exp_row(T* z, T shift, long n, double* weighted) {
  constexpr long W = lanes<T>;
  const vec<T> floor = splat(static_cast<T>(
      shift - (sizeof(T) == 4 ? 150 : 1080)));  // 2^(z - shift) is 0 there: keeps 0 times -inf away
  double total = 0, moment = 0;
  for (long j0 = 0; j0 < n; j0 += sum_tile) {
    const long j1 = j0 + sum_tile < n ? j0 + sum_tile : n;
    vec<T> s{}, w{};
    for (long j = j0; j < j1; j += W) {
      const vec<T> v = load(z + j), x = exp2_lanes<T>(v - shift);
      store(z + j, x);
      s += x;
      w = x * greater(floor, v) + w;
    }
    total += sum_lanes<T>(s);
    moment += sum_lanes<T>(w);
  }
  *weighted += moment;
  return total;
}

// z[r, c] += sum_j e[r, j] v[c, j]; four rows, k vectors stored as rows of length ldv
template <class T, long C>
LAPWING_INLINE void dot_tile(const T* e, long stride, long ahead, const T* v, long ldv, long j0, long j1,
                             double* z, long ldz) {
  constexpr long W = lanes<T>;
  vec<T> acc[C][block_rows];
  LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) LAPWING_UNROLL for (long c = 0; c < C; ++c) acc[c][r] =
      vec<T>{};
  for (long j = j0; j < j1; j += W) {
    vec<T> ej[block_rows];
    LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) ej[r] = load(e + r * stride + j);
    if (ahead != 0) {
      LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) fetch(e + r * stride + j, ahead);
    }
    LAPWING_UNROLL for (long c = 0; c < C; ++c) {
      const vec<T> vj = load(v + c * ldv + j);
      LAPWING_UNROLL for (long r = 0; r < block_rows; ++r) acc[c][r] = ej[r] * vj + acc[c][r];
    }
  }
  LAPWING_UNROLL for (long c = 0; c < C; ++c) add_sums<T>(acc[c], z + c, ldz);
}
template <class T>
void dot_rows(const T* e, long stride, long ahead, const T* v, long ldv, long k, long n, double* z,
              long ldz) {
  for (long j0 = 0; j0 < n; j0 += sum_tile / 2) {
    const long j1 = j0 + sum_tile / 2 < n ? j0 + sum_tile / 2 : n;
    long c = 0;
    for (; c + 2 <= k; c += 2)
      dot_tile<T, 2>(e, stride, c == 0 ? ahead : 0, v + c * ldv, ldv, j0, j1, z + c, ldz);
    for (; c < k; ++c) dot_tile<T, 1>(e, stride, c == 0 ? ahead : 0, v + c * ldv, ldv, j0, j1, z + c, ldz);
  }
}

// A row update of Sinkhorn's iteration: dot_r = sum_j e_rj v_j, t_j += sum_r a_r / dot_r e_rj; rows are a
// multiple of the block. All sums of some rows come before the quotients and additions, which would wait for
// each of them, as long as the rows stay in the first-level cache.
template <class T>
void scale_rows(const T* e, long stride, long rows, long ahead, const T* v, const double* a, double* dot,
                T* t, long n) {
  const long fitting = 16384 / (static_cast<long>(sizeof(T)) * (n > 0 ? n : 1)) / block_rows * block_rows;
  const long some = fitting < block_rows ? block_rows : fitting < most_rows ? fitting : most_rows;
  for (long first = 0; first < rows; first += some) {
    const long here = rows - first < some ? rows - first : some;
    const T* const own = e + first * stride;
    double* const sum = dot + first;
    T q[most_rows];
    for (long r = 0; r < here; ++r) sum[r] = 0;
    for (long r = 0; r < here; r += block_rows)
      dot_rows<T>(own + r * stride, stride, ahead, v, stride, 1, n, sum + r, 1);
    for (long r = 0; r < here; ++r) q[r] = static_cast<T>(a[first + r] / sum[r]);
    for (long r = 0; r < here; r += block_rows) add_rows<T>(own + r * stride, stride, q + r, t, n);
  }
}

// out = 2^(now - before); returns the largest |now - before|.
template <class T>
double factors(const double* now, const double* before, T* out, long n) {
  constexpr long W = lanes<T>, D = lanes<double>;
  double most = 0;
  vec<double> largest{};
  const auto some = [&](const double* p, const double* q, T* y) LAPWING_MEMBER {
    T x[W];
    for (long k = 0; k < W; k += D) {
      const vec<double> d = load(p + k) - load(q + k);
      largest = greater(greater(d, -d), largest);
      const auto narrow = __builtin_convertvector(d, typename some_of<T, D>::value);
      __builtin_memcpy(x + k, &narrow, sizeof narrow);
    }
    store(y, exp2_lanes<T>(load(x)));
  };
  long j = 0;
  for (; j + W <= n; j += W) some(now + j, before + j, out + j);
  if (j < n) {
    double p[W] = {}, q[W] = {};
    T y[W];
    for (long k = 0; j + k < n; ++k) {
      p[k] = now[j + k];
      q[k] = before[j + k];
    }
    some(p, q, y);
    for (long k = 0; j + k < n; ++k) out[j + k] = y[k];
  }
  for (long i = 0; i < D; ++i) most = largest[i] > most ? largest[i] : most;
  return most;
}

LAPWING_INLINE void add_to(double* p, vec<double> v) { store(p, load(p) + v); }
LAPWING_INLINE void add_to(double* p, vec<float> v) {
  typedef float half __attribute__((vector_size(LAPWING_VECTOR_BYTES / 2)));
  half h[2];
  __builtin_memcpy(h, &v, sizeof v);
  LAPWING_UNROLL for (long k = 0; k < 2; ++k) {
    double* q = p + k * lanes<double>;
    store(q, load(q) + __builtin_convertvector(h[k], vec<double>));
  }
}
// out[c, j] += sum_s z[s, c] e[s, j] for j in [j0, j1) (a multiple of the lanes apart); rows of z have length
// ldz
template <class T, long C, long NB>
LAPWING_INLINE void outer_tile(const T* e, long stride, long rows, const T* z, long ldz, long j, double* out,
                               long ldo) {
  constexpr long W = lanes<T>;
  vec<T> acc[C][NB];
  LAPWING_UNROLL for (long c = 0; c < C; ++c) LAPWING_UNROLL for (long q = 0; q < NB; ++q) acc[c][q] =
      vec<T>{};
  for (long s = 0; s < rows; ++s) {
    vec<T> ej[NB];
    LAPWING_UNROLL for (long q = 0; q < NB; ++q) ej[q] = load(e + s * stride + j + q * W);
    LAPWING_UNROLL for (long c = 0; c < C; ++c) {
      const vec<T> zc = splat(z[s * ldz + c]);
      LAPWING_UNROLL for (long q = 0; q < NB; ++q) acc[c][q] = zc * ej[q] + acc[c][q];
    }
  }
  LAPWING_UNROLL for (long c = 0; c < C; ++c) LAPWING_UNROLL for (long q = 0; q < NB; ++q)
      add_to(out + c * ldo + j + q * W, acc[c][q]);
}
template <class T>
void outer_rows(const T* e, long stride, long rows, const T* z, long ldz, long k, long j0, long j1,
                double* out, long ldo) {
  constexpr long W = lanes<T>;
  long j = j0;
  for (; j + 2 * W <= j1; j += 2 * W) {
    long c = 0;
    for (; c + 4 <= k; c += 4) outer_tile<T, 4, 2>(e, stride, rows, z + c, ldz, j, out + c * ldo, ldo);
    for (; c < k; ++c) outer_tile<T, 1, 2>(e, stride, rows, z + c, ldz, j, out + c * ldo, ldo);
  }
  for (; j < j1; j += W)
    for (long c = 0; c < k; ++c) outer_tile<T, 1, 1>(e, stride, rows, z + c, ldz, j, out + c * ldo, ldo);
}
