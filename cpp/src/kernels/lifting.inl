// Integer lifting. Sums wrap round (unsigned underneath), so that foreign coefficients cannot do harm; shifts
// go down. Every sum is cut to T at once: that keeps the loops at the width of T.
template <class T>
struct unsigned_of;
template <>
struct unsigned_of<std::int16_t> {
  typedef std::uint16_t type;
};
template <>
struct unsigned_of<std::int32_t> {
  typedef std::uint32_t type;
};
template <>
struct unsigned_of<std::int64_t> {
  typedef std::uint64_t type;
};
template <class T>
LAPWING_INLINE T plus(T a, T b) {
  typedef typename unsigned_of<T>::type U;
  return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
}
template <class T>
LAPWING_INLINE T minus(T a, T b) {
  typedef typename unsigned_of<T>::type U;
  return static_cast<T>(static_cast<U>(static_cast<U>(a) - static_cast<U>(b)));
}
// What a step adds to its target (takes away where it is undone).
template <class T, lifting_step step>
LAPWING_INLINE T lifted(T a, T b, T c, T e) {
  typedef typename unsigned_of<T>::type U;
  if constexpr (step == lift_difference) return minus(T(0), a);
  if constexpr (step == lift_half) return static_cast<T>(a >> 1);
  if constexpr (step == lift_mean) return minus(T(0), static_cast<T>(plus(a, b) >> 1));
  if constexpr (step == lift_quarter) return static_cast<T>(plus(plus(a, b), T(2)) >> 2);
  if constexpr (step == lift_slope) return static_cast<T>(plus(minus(a, b), T(2)) >> 2);
  const T nine = static_cast<T>(static_cast<U>(9u * static_cast<U>(plus(a, b))));
  return minus(T(0), static_cast<T>(plus(minus(nine, plus(c, e)), T(8)) >> 4));
}
template <class T, lifting_step step, bool undo>
LAPWING_INLINE void lift_loop(const T* t, const T* a, const T* b, const T* c, const T* e, long n, T* out) {
#pragma omp simd
  for (long j = 0; j < n; ++j) {
    const T v = lifted<T, step>(a[j], b[j], c[j], e[j]);
    out[j] = undo ? minus(t[j], v) : plus(t[j], v);
  }
}
template <class T, class F>
LAPWING_INLINE void for_step(lifting_step step, F&& f) {
  switch (step) {
    case lift_difference:
      return f.template operator()<lift_difference>();
    case lift_half:
      return f.template operator()<lift_half>();
    case lift_mean:
      return f.template operator()<lift_mean>();
    case lift_quarter:
      return f.template operator()<lift_quarter>();
    case lift_slope:
      return f.template operator()<lift_slope>();
    case lift_four:
      return f.template operator()<lift_four>();
  }
}

// out = t + step(a, b, c, e), entry by entry; undo: minus. out may be t.
template <class T>
void lift_rows(lifting_step step, bool undo, const T* t, const T* a, const T* b, const T* c, const T* e,
               long n, T* out) {
  for_step<T>(step, [=]<lifting_step s>() __attribute__((always_inline)) {
    if (undo)
      lift_loop<T, s, true>(t, a, b, c, e, n, out);
    else
      lift_loop<T, s, false>(t, a, b, c, e, n, out);
  });
}

// The entry that stands for one beyond the ends, among even and among odd samples of n.
LAPWING_INLINE long mirror_even(long j, long n) {
  while (j < 0 || 2 * j >= n) j = j < 0 ? -j : n - 1 - j;
  return j;
}
LAPWING_INLINE long mirror_odd(long j, long n) {
  while (j < 0 || 2 * j + 1 >= n) j = j < 0 ? -j - 1 : n - 2 - j;
  return j;
}
// One step over a whole line: target k reads source entries k + o for o = first ... of a line of n samples,
// mirrored (or clamped) where there are none.
template <class T, lifting_step step, bool undo, bool odd_target>
LAPWING_INLINE void lift_line(T* target, const T* source, long n) {
  constexpr long before = step == lift_quarter || step == lift_four || step == lift_slope ? 1 : 0,
                 after = step == lift_mean || step == lift_slope ? 1
                         : step == lift_four                     ? 2
                                                                 : 0;
  const long evens = (n + 1) / 2, odds = n / 2, count = odd_target ? odds : evens,
             sources = odd_target ? evens : odds;
  const auto one = [=](long k) __attribute__((always_inline)) {
    const auto at = [=](long j) __attribute__((always_inline)) {
      if constexpr (step == lift_slope) return source[j < 0 ? 0 : j >= sources ? sources - 1 : j];
      return source[odd_target ? mirror_even(j, n) : mirror_odd(j, n)];
    };
    T v;
    if constexpr (step == lift_mean)
      v = lifted<T, step>(at(k), at(k + 1), T(0), T(0));
    else if constexpr (step == lift_quarter)
      v = lifted<T, step>(at(k - 1), at(k), T(0), T(0));
    else if constexpr (step == lift_slope)
      v = lifted<T, step>(at(k - 1), at(k + 1), T(0), T(0));
    else if constexpr (step == lift_four)
      v = lifted<T, step>(at(k), at(k + 1), at(k - 1), at(k + 2));
    else
      v = lifted<T, step>(at(k), T(0), T(0), T(0));
    target[k] = undo ? minus(target[k], v) : plus(target[k], v);
  };
  const long lo = before < count ? before : count, last = sources - after < count ? sources - after : count,
             hi = last < lo ? lo : last;
  for (long k = 0; k < lo; ++k) one(k);
  if constexpr (step == lift_mean)
    lift_loop<T, step, undo>(target + lo, source + lo, source + lo + 1, source, source, hi - lo, target + lo);
  else if constexpr (step == lift_quarter)
    lift_loop<T, step, undo>(target + lo, source + lo - 1, source + lo, source, source, hi - lo, target + lo);
  else if constexpr (step == lift_slope)
    lift_loop<T, step, undo>(target + lo, source + lo - 1, source + lo + 1, source, source, hi - lo,
                             target + lo);
  else if constexpr (step == lift_four)
    lift_loop<T, step, undo>(target + lo, source + lo, source + lo + 1, source + lo - 1, source + lo + 2,
                             hi - lo, target + lo);
  else
    lift_loop<T, step, undo>(target + lo, source + lo, source, source, source, hi - lo, target + lo);
  // The last sample of an odd line has no detail of its own in the schemes without a mirror.
  const long end = step == lift_half && 2 * count > n ? count - 1 : count;
  for (long k = hi; k < end; ++k) one(k);
}

// The samples of a line of n: s gets the (n + 1) / 2 even ones, d the others.
template <class T>
void split_line(const T* __restrict x, long n, T* __restrict s, T* __restrict d) {
  const long half = n / 2;
#pragma omp simd
  for (long k = 0; k < half; ++k) {
    s[k] = x[2 * k];
    d[k] = x[2 * k + 1];
  }
  if (n % 2) s[half] = x[n - 1];
}
template <class T>
void join_line(const T* __restrict s, const T* __restrict d, long n, T* __restrict x) {
  const long half = n / 2;
#pragma omp simd
  for (long k = 0; k < half; ++k) {
    x[2 * k] = s[k];
    x[2 * k + 1] = d[k];
  }
  if (n % 2) x[n - 1] = s[half];
}

// One level of a scheme over the split samples of a line of n, in place; undo: back.
template <class T>
void lift_split(lifting_scheme scheme, bool undo, T* s, T* d, long n) {
  if (n < 2) return;
  const auto run = [=]<bool back>() __attribute__((always_inline)) {
    switch (scheme) {
      case lifting_s:
      case lifting_cdf26:
        if (back && scheme == lifting_cdf26) lift_line<T, lift_slope, back, true>(d, s, n);
        if (!back) lift_line<T, lift_difference, back, true>(d, s, n);
        lift_line<T, lift_half, back, false>(s, d, n);
        if (back) lift_line<T, lift_difference, back, true>(d, s, n);
        if (!back && scheme == lifting_cdf26) lift_line<T, lift_slope, back, true>(d, s, n);
        return;
      case lifting_legall53:
        if (!back) lift_line<T, lift_mean, back, true>(d, s, n);
        lift_line<T, lift_quarter, back, false>(s, d, n);
        if (back) lift_line<T, lift_mean, back, true>(d, s, n);
        return;
      case lifting_97m:
        if (!back) lift_line<T, lift_four, back, true>(d, s, n);
        lift_line<T, lift_quarter, back, false>(s, d, n);
        if (back) lift_line<T, lift_four, back, true>(d, s, n);
        return;
    }
  };
  if (undo)
    run.template operator()<true>();
  else
    run.template operator()<false>();
}

// split_line and then lift_split of 5/3, in one pass.
template <class T>
void split_legall53(const T* __restrict x, long n, T* __restrict s, T* __restrict d) {
  if (n < 2) {
    if (n == 1) s[0] = x[0];
    return;
  }
  const auto detail = [=](long k) __attribute__((always_inline)) {
    return plus(x[2 * k + 1],
                lifted<T, lift_mean>(x[2 * k], x[2 * k + 2 < n ? 2 * k + 2 : 2 * k], T(0), T(0)));
  };
  const auto mean = [=](T sample, T before, T after) __attribute__((always_inline)) {
    return plus(sample, lifted<T, lift_quarter>(before, after, T(0), T(0)));
  };
  const long half = n / 2, inner = (n - 1) / 2;
  d[0] = detail(0);
  s[0] = mean(x[0], d[0], d[0]);
#pragma omp simd
  for (long k = 1; k < inner; ++k) {
    const T before = plus(x[2 * k - 1], lifted<T, lift_mean>(x[2 * k - 2], x[2 * k], T(0), T(0))),
            now = plus(x[2 * k + 1], lifted<T, lift_mean>(x[2 * k], x[2 * k + 2], T(0), T(0)));
    d[k] = now;
    s[k] = mean(x[2 * k], before, now);
  }
  for (long k = inner > 1 ? inner : 1; k < half; ++k) {
    d[k] = detail(k);
    s[k] = mean(x[2 * k], d[k - 1], d[k]);
  }
  if (n % 2) s[half] = mean(x[n - 1], d[half - 1], d[half - 1]);
}
// And back.
template <class T>
void join_legall53(const T* __restrict s, const T* __restrict d, long n, T* __restrict x) {
  if (n < 2) {
    if (n == 1) x[0] = s[0];
    return;
  }
  const long half = n / 2, inner = half - 1;
  const auto even = [=](long k) __attribute__((always_inline)) {
    return minus(s[k], lifted<T, lift_quarter>(d[k > 0 ? k - 1 : 0], d[k < half ? k : half - 1], T(0), T(0)));
  };
  const auto pair = [=](long k, T now, T after) __attribute__((always_inline)) {
    x[2 * k] = now;
    x[2 * k + 1] = minus(d[k], lifted<T, lift_mean>(now, after, T(0), T(0)));
  };
  const auto any = [=](long k) __attribute__((always_inline)) {
    const T now = even(k);
    pair(k, now, 2 * k + 2 < n ? even(k + 1) : now);
  };
  any(0);
#pragma omp simd
  for (long k = 1; k < inner; ++k) {
    const T now = minus(s[k], lifted<T, lift_quarter>(d[k - 1], d[k], T(0), T(0))),
            after = minus(s[k + 1], lifted<T, lift_quarter>(d[k], d[k + 1], T(0), T(0)));
    pair(k, now, after);
  }
  for (long k = inner > 1 ? inner : 1; k < half; ++k) any(k);
  if (n % 2) x[n - 1] = even(half);
}

// The least and the largest of n numbers and of what is there.
template <class T>
void extent(const T* x, long n, T* least, T* largest) {
  T low = *least, high = *largest;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (long j = 0; j < n; ++j) {
    low = x[j] < low ? x[j] : low;
    high = x[j] > high ? x[j] : high;
  }
  *least = low;
  *largest = high;
}

// Vectors of T: sums that wrap round, and the two steps of 5/3.
template <class T>
struct lifting_vectors {
  static constexpr long W = LAPWING_VECTOR_BYTES / static_cast<long>(sizeof(T));
  typedef typename some_of<T, W>::value V;
  typedef typename some_of<typename unsigned_of<T>::type, W>::value U;
  LAPWING_INLINE V load(const T* p) { return *reinterpret_cast<const typename some_of<T, W>::memory*>(p); }
  LAPWING_INLINE V sum(V a, V b) {
    return reinterpret_cast<V>(reinterpret_cast<U>(a) + reinterpret_cast<U>(b));
  }
  LAPWING_INLINE V difference(V a, V b) {
    return reinterpret_cast<V>(reinterpret_cast<U>(a) - reinterpret_cast<U>(b));
  }
  LAPWING_INLINE V mean(V a, V b) { return sum(a, b) >> 1; }
  LAPWING_INLINE V quarter(V a, V b) { return sum(sum(a, b), V{} + T(2)) >> 2; }
};

// Both steps of 5/3 across rows: d = odd - mean(even, after), s = even + quarter(before, d), where `before`
// may be null and d stands for it. d also goes past the caches to far_d, and s goes to far_s alone, where
// these are not null. Meanwhile what begins at `soon`, for each byte of a row so many, is called into the
// cache.
template <class T>
void lift_legall53(const T* even, const T* odd, const T* after, const T* before, const void* soon, long ahead,
                   long n, T* s, T* d, T* far_s, T* far_d) {
  typedef lifting_vectors<T> L;
  typedef typename L::V V;
  constexpr long W = L::W;
  if (!before) before = d;  // which is made first
  const auto run = [=](auto to_s, auto to_d, auto too) __attribute__((always_inline)) {
    const char* next = static_cast<const char*>(soon);
    long j = 0;
    for (; j + W <= n; j += W, next += ahead * LAPWING_VECTOR_BYTES) {
      call_soon(next, ahead * LAPWING_VECTOR_BYTES);
      const V a = L::load(even + j), now = L::difference(L::load(odd + j), L::mean(a, L::load(after + j)));
      store_some(d + j, now);
      if constexpr (too()) to_d.many(j, now);
      to_s.many(j, L::sum(a, L::quarter(L::load(before + j), now)));
    }
    for (; j < n; ++j) {
      const T now = plus(odd[j], lifted<T, lift_mean>(even[j], after[j], T(0), T(0)));
      d[j] = now;
      if constexpr (too()) to_d.one(j, now);
      to_s.one(j, plus(even[j], lifted<T, lift_quarter>(before[j], now, T(0), T(0))));
    }
    to_s.end(n);
    if constexpr (too()) to_d.end(n);
  };
  const auto no = [] { return false; };
  const auto yes = [] { return true; };
  if (!far_d)
    run(straight<T, W>{s}, straight<T, W>{d}, no);
  else if (!far_s)
    run(straight<T, W>{s}, streamed<T, W>(far_d), yes);
  else
    run(streamed<T, W>(far_s), streamed<T, W>(far_d), yes);
}
// And back, for an even row that is there: next = s - quarter(d, after), odd = d + mean(even, next). Rows
// like s and d that come next are called into the cache where they are not null.
template <class T>
void unlift_legall53(const T* even, const T* s, const T* d, const T* after, const T* soon_s, const T* soon_d,
                     long n, T* next, T* odd) {
  typedef lifting_vectors<T> L;
  typedef typename L::V V;
  constexpr long W = L::W;
  long j = 0;
  for (; j + W <= n; j += W) {
    if (soon_s) call_soon(soon_s + j, LAPWING_VECTOR_BYTES);
    if (soon_d) call_soon(soon_d + j, LAPWING_VECTOR_BYTES);
    const V detail = L::load(d + j),
            below = L::difference(L::load(s + j), L::quarter(detail, L::load(after + j)));
    store_some(next + j, below);
    store_some(odd + j, L::sum(detail, L::mean(L::load(even + j), below)));
  }
  for (; j < n; ++j) {
    const T below = minus(s[j], lifted<T, lift_quarter>(d[j], after[j], T(0), T(0)));
    next[j] = below;
    odd[j] = minus(d[j], lifted<T, lift_mean>(even[j], below, T(0), T(0)));
  }
}
