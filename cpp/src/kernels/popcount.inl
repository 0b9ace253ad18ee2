// Counts over aligned sequences in bit planes: 64 sites a word, plane after plane. The sites that are in use
// (neither missing nor beyond the end) are the last plane.

typedef vec_bits<double> words;
constexpr long words_at_once = lanes<double>;
LAPWING_INLINE words load_words(const std::uint64_t* p) {
  typedef unsigned long long memory __attribute__((vector_size(LAPWING_VECTOR_BYTES), aligned(8), may_alias));
  return *reinterpret_cast<const memory*>(p);
}
LAPWING_INLINE long sum_words(words v) {
  unsigned long long s = 0;
  LAPWING_UNROLL for (long k = 0; k < words_at_once; ++k) s += v[k];
  return static_cast<long>(s);
}
// The number of bits of every word.
LAPWING_INLINE words count_bits(words v) {
  v = v - ((v >> 1) & 0x5555555555555555ull);
  v = (v & 0x3333333333333333ull) + ((v >> 2) & 0x3333333333333333ull);
  v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
  v = v + (v >> 8);
  v = v + (v >> 16);
  return (v + (v >> 32)) & 0x7full;
}
// high, low <- the two bits of a + b + c in every place
LAPWING_INLINE void add_bits(words& high, words& low, words a, words b, words c) {
  const words u = a ^ b;
  high = (a & b) | (u & c);
  low = u ^ c;
}
// Bits of N streams of words at once: at(k, out) gives vector k of each. Eight vectors are added in every
// place before bits are counted, which is a quarter of the work (the method of Harley and Seal).
template <long N, class F>
LAPWING_INLINE void count_streams(long n, F&& at, long (&total)[N]) {
  words ones[N], twos[N], fours[N], sum[N];
  LAPWING_UNROLL for (long s = 0; s < N; ++s) ones[s] = twos[s] = fours[s] = sum[s] = words{};
  const long vectors = n / words_at_once;
  long k = 0;
  for (; k + 8 <= vectors; k += 8) {
    words a[N], b[N], two[N], four[N], eight;
    const auto pair = [&](long from, words* high) __attribute__((always_inline)) {
      at(from * words_at_once, a);
      at((from + 1) * words_at_once, b);
      LAPWING_UNROLL for (long s = 0; s < N; ++s) add_bits(high[s], ones[s], ones[s], a[s], b[s]);
    };
    words other[N], half[N];
    pair(k, two);
    pair(k + 2, other);
    LAPWING_UNROLL for (long s = 0; s < N; ++s) add_bits(four[s], twos[s], twos[s], two[s], other[s]);
    pair(k + 4, two);
    pair(k + 6, other);
    LAPWING_UNROLL for (long s = 0; s < N; ++s) {
      add_bits(half[s], twos[s], twos[s], two[s], other[s]);
      add_bits(eight, fours[s], fours[s], four[s], half[s]);
      sum[s] += count_bits(eight);
    }
  }
  LAPWING_UNROLL for (long s = 0; s < N; ++s) sum[s] =
      8 * sum[s] + 4 * count_bits(fours[s]) + 2 * count_bits(twos[s]) + count_bits(ones[s]);
  for (; k < vectors; ++k) {
    words a[N];
    at(k * words_at_once, a);
    LAPWING_UNROLL for (long s = 0; s < N; ++s) sum[s] += count_bits(a[s]);
  }
  LAPWING_UNROLL for (long s = 0; s < N; ++s) total[s] = sum_words(sum[s]);
}

// Rows of b, `stride` apart, against one sequence a; all have `planes` planes of n words (a multiple of 8)
// and the plane of the sites in use after them. out: for each row the joint sites and those that differ.
template <class T>
void count_differences(const std::uint64_t* a, const std::uint64_t* b, long stride, long rows, long planes,
                       long n, std::int32_t* out) {
  const auto run = [=]<long P>(strip<T, P>) __attribute__((always_inline)) {
    for (long r = 0; r < rows; ++r) {
      const std::uint64_t* c = b + r * stride;
      long total[2];
      count_streams<2>(
          n,
          [=](long w, words* v) __attribute__((always_inline)) {
            words unlike{};
            if constexpr (P > 0) {
              LAPWING_UNROLL for (long p = 0; p < P; ++p) unlike |=
                  load_words(a + p * n + w) ^ load_words(c + p * n + w);
            } else {
              for (long p = 0; p < planes; ++p)
                unlike |= load_words(a + p * n + w) ^ load_words(c + p * n + w);
            }
            v[0] = load_words(a + planes * n + w) & load_words(c + planes * n + w);
            v[1] = unlike & v[0];
          },
          total);
      out[2 * r] = static_cast<std::int32_t>(total[0]);
      out[2 * r + 1] = static_cast<std::int32_t>(total[1]);
    }
  };
  if (planes == 2)
    run(strip<T, 2>{});
  else
    run(strip<T, 0>{});
}
// The same for A, C, G, T in the planes (pyrimidine, which of the two). out: joint sites, transversions,
// changes A-G, changes C-T.
template <class T>
void count_changes(const std::uint64_t* a, const std::uint64_t* b, long stride, long rows, long n,
                   std::int32_t* out) {
  for (long r = 0; r < rows; ++r) {
    const std::uint64_t* c = b + r * stride;
    long total[4];
    count_streams<4>(
        n,
        [=](long w, words* v) __attribute__((always_inline)) {
          const words ring = load_words(a + w), other = ring ^ load_words(c + w);
          v[0] = load_words(a + 2 * n + w) & load_words(c + 2 * n + w);
          v[1] = other & v[0];
          const words transition = (load_words(a + n + w) ^ load_words(c + n + w)) & ~other & v[0];
          v[2] = transition & ~ring;
          v[3] = transition & ring;
        },
        total);
    LAPWING_UNROLL for (long s = 0; s < 4; ++s) out[4 * r + s] = static_cast<std::int32_t>(total[s]);
  }
}
// The bits that two planes share.
template <class T>
long count_shared(const std::uint64_t* a, const std::uint64_t* b, long n) {
  long total[1];
  count_streams<1>(
      n,
      [=](long w, words* v) __attribute__((always_inline)) { v[0] = load_words(a + w) & load_words(b + w); },
      total);
  return total[0];
}

// The least d_j - (u_j + own) for j < n, and the first j that has it (-1 for n = 0). No NaN.
template <class T>
long least_criterion(const T* d, const T* u, T own, long n, T* least) {
  constexpr long W = lanes<T>, block = 16 * W;
  T best = static_cast<T>(__builtin_huge_val());
  long where = -1, j = 0;
  for (; j + block <= n; j += block) {
    vec<T> m[4];
    LAPWING_UNROLL for (long k = 0; k < 4; ++k) m[k] = load(d + j + k * W) - (load(u + j + k * W) + own);
    LAPWING_UNROLL for (long k = 4; k < 16; ++k) m[k % 4] =
        lesser(load(d + j + k * W) - (load(u + j + k * W) + own), m[k % 4]);
    const vec<T> low = lesser(lesser(m[0], m[1]), lesser(m[2], m[3]));
    if (where >= 0 || j > 0) {  // most blocks hold nothing better
      const auto better = low < splat(best);
      if (!lane_bits(reinterpret_cast<vec_bits<T>>(better))) continue;
    }
    T least_here = low[0];
    LAPWING_UNROLL for (long k = 1; k < W; ++k) least_here = low[k] < least_here ? low[k] : least_here;
    if (least_here < best) {
      best = least_here;
      where = j;
    }
  }
  const long tail = j;
  for (; j < n; ++j) {
    const T q = d[j] - (u[j] + own);
    if (q < best) {
      best = q;
      where = j;
    }
  }
  if (where >= 0 && where < tail)  // the block is known
    for (long k = where; k < where + block; ++k)
      if (d[k] - (u[k] + own) == best) {
        where = k;
        break;
      }
  *least = best;
  return where;
}
