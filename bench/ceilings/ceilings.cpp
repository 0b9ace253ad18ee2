// What this machine can do at most: multiply-adds, exponentials and bytes read and copied per second, by 1..n
// threads.
// Built with -O3 -march=native at bench time; prints one JSON object. Usage: ceilings THREADS
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// Interleaves independent chains before registers are given out; without it an exponential is bound by its
// latency.
#pragma GCC optimize("schedule-insns", "sched-pressure")
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

template <class T>
struct traits;
template <>
struct traits<float> {
  typedef float vec __attribute__((vector_size(kBytes)));
  typedef std::int32_t bits __attribute__((vector_size(kBytes)));
  static constexpr float magic = 0x1.8p23F;
  static constexpr int shift = 23;
  static constexpr float lowest = -125.0F;
  // Degree 5 on [-1/2, 1/2], relative error 2e-7.
  static constexpr float coefficients[] = {1.0000000716546562F,   0.6931469670638639F,
                                           0.24022119723934088F,  0.05550713274961302F,
                                           0.009675541330673939F, 0.0013276471519468572F};
};
template <>
struct traits<double> {
  typedef double vec __attribute__((vector_size(kBytes)));
  typedef std::int64_t bits __attribute__((vector_size(kBytes)));
  static constexpr double magic = 0x1.8p52;
  static constexpr int shift = 52;
  static constexpr double lowest = -1021.0;
  // Degree 11, relative error 1e-16.
  static constexpr double coefficients[] = {1.0,
                                            0.693147180559951,
                                            0.2402265069591166,
                                            0.05550410866444533,
                                            0.00961812910690132,
                                            0.0013333558218351705,
                                            0.00015403531302189515,
                                            1.5252675174593955e-05,
                                            1.3215041616808622e-06,
                                            1.0199600032041999e-07,
                                            7.136466517932434e-09,
                                            1.529918563594124e-10};
};

template <class T>
constexpr int lanes = kBytes / static_cast<int>(sizeof(T));

template <class T>
double total(typename traits<T>::vec v) {
  double sum = 0;
  for (int i = 0; i < lanes<T>; ++i) sum += static_cast<double>(v[i]);
  return sum;
}

volatile double keep = 0;  // results go here, so that the work is not optimised away

constexpr int kChains = 4;  // exponentials in flight; more spill registers

template <class T>
[[gnu::always_inline]] inline void exp2(typename traits<T>::vec (&x)[kChains]) {
  using traits = traits<T>;
  using vec = typename traits::vec;
  using bits = typename traits::bits;
  constexpr int degree = static_cast<int>(sizeof(traits::coefficients) / sizeof(T)) - 1;
  const vec lowest = vec{} + traits::lowest, magic = vec{} + traits::magic;
  vec shifted[kChains], p[kChains];
  for (int c = 0; c < kChains; ++c) x[c] = x[c] < lowest ? lowest : x[c];
  for (int c = 0; c < kChains; ++c) shifted[c] = x[c] + magic;  // its low bits hold the nearest integer
  for (int c = 0; c < kChains; ++c) x[c] -= shifted[c] - magic;
  for (int c = 0; c < kChains; ++c) p[c] = vec{} + traits::coefficients[degree];
  for (int k = degree - 1; k >= 0; --k)
    for (int c = 0; c < kChains; ++c) p[c] = p[c] * x[c] + traits::coefficients[k];
  for (int c = 0; c < kChains; ++c) x[c] = (vec)((bits)p[c] + ((bits)shifted[c] << traits::shift));
}

// Operations per second of `body(thread)`, which does `work` of them: the best of several rounds, all threads
// at once.
double rate(int threads, double work, const std::function<double(int)>& body) {
  constexpr int rounds = 9;
  using clock = std::chrono::steady_clock;
  const auto count = static_cast<std::size_t>(threads);
  double best = 0;
  for (int r = 0; r < rounds; ++r) {
    std::atomic<int> waiting = threads;
    std::vector<clock::time_point> starts(count), ends(count);
    std::vector<double> sums(count);
    {
      std::vector<std::jthread> pool;
      for (std::size_t t = 0; t < count; ++t)
        pool.emplace_back([&, t] {
          waiting.fetch_sub(1);
          while (waiting.load() > 0) std::this_thread::yield();
          starts[t] = clock::now();
          sums[t] = body(static_cast<int>(t));
          ends[t] = clock::now();
        });
    }
    const std::chrono::duration<double> elapsed =
        *std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end());
    best = std::max(best, work * threads / elapsed.count());
    keep = sums[0];
  }
  return best;
}

template <class T>
double fma_rate(int threads) {
  constexpr int chains = 12, steps = 2'000'000;
  return rate(threads, double(steps) * chains * lanes<T>, [](int) {
    using vec = typename traits<T>::vec;
    vec a[chains], b = vec{} + T(0.999), c = vec{} + T(1e-4);
    for (int i = 0; i < chains; ++i) a[i] = vec{} + T(i);
    for (int s = 0; s < steps; ++s)
      for (int i = 0; i < chains; ++i) a[i] = a[i] * b + c;
    vec sum = a[0];
    for (int i = 1; i < chains; ++i) sum += a[i];
    return total<T>(sum);
  });
}

template <class T>
double exp_rate(int threads) {
  constexpr int size = 2048, repeats = 4000;
  return rate(threads, double(size) * repeats, [](int) {
    using vec = typename traits<T>::vec;
    constexpr int vectors = size / lanes<T>;
    vec x[vectors];
    for (int i = 0; i < size; ++i) x[i / lanes<T>][i % lanes<T>] = T(-0.01) * T(i);
    vec sum[kChains] = {};
    for (int r = 0; r < repeats; ++r) {
      const T offset = T(1e-3) * T(r);
      for (int i = 0; i < vectors; i += kChains) {
        vec v[kChains];
        for (int c = 0; c < kChains; ++c) v[c] = x[i + c] - offset;
        exp2<T>(v);
        for (int c = 0; c < kChains; ++c) sum[c] += v[c];
      }
    }
    return total<T>(sum[0] + sum[1] + sum[2] + sum[3]);
  });
}

// Each thread reads its own part of `megabytes`.
double read_rate(int threads, std::size_t megabytes) {
  using vec = traits<float>::vec;
  const std::size_t count = (megabytes << 20) / static_cast<std::size_t>(threads) / sizeof(float);
  const int repeats = std::max(1, static_cast<int>(256 / megabytes));
  std::vector<std::vector<float>> parts(static_cast<std::size_t>(threads));
  return rate(threads, double(count) * sizeof(float) * repeats, [&](int thread) {
    auto& part = parts[static_cast<std::size_t>(thread)];
    if (part.empty()) part.assign(count, 1.0F);  // touched by the thread that reads it
    constexpr std::size_t unroll = 8, step = unroll * static_cast<std::size_t>(lanes<float>);
    vec sum[unroll] = {};
    for (int r = 0; r < repeats; ++r) {
      for (std::size_t i = 0; i + step <= count; i += step)
        for (std::size_t u = 0; u < unroll; ++u) {
          vec v;
          std::memcpy(&v, part.data() + i + u * static_cast<std::size_t>(lanes<float>), kBytes);
          sum[u] += v;
        }
      __asm__ volatile("" ::: "memory");  // the next repeat reads again
    }
    vec all = sum[0];
    for (std::size_t u = 1; u < unroll; ++u) all += sum[u];
    return total<float>(all);
  });
}

// Bytes read and written per second by copies of 64 MB, each thread its own part: with stores that go past
// the caches, where there are such, and as memcpy does it.
double copy_rate(int threads, bool past_caches) {
  constexpr int repeats = 4;
  constexpr std::size_t bytes = std::size_t{64} << 20, page = 4096;
  const std::size_t part = bytes / static_cast<std::size_t>(threads) / page * page;
  struct release {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::vector<std::unique_ptr<char, release>> from(static_cast<std::size_t>(threads)), to(from.size());
  return rate(threads, 2.0 * double(part) * repeats, [&](int thread) {
    auto& source = from[static_cast<std::size_t>(thread)];
    auto& target = to[static_cast<std::size_t>(thread)];
    if (!source) {  // touched by the thread that copies
      source.reset(static_cast<char*>(std::aligned_alloc(page, part)));
      target.reset(static_cast<char*>(std::aligned_alloc(page, part)));
      std::memset(source.get(), 1, part);
      std::memset(target.get(), 2, part);
    }
    for (int r = 0; r < repeats; ++r) {
#if defined(__SSE2__)
      if (past_caches) {
        for (std::size_t i = 0; i < part; i += kBytes) {
          const char* x = source.get() + i;
          char* y = target.get() + i;
#if defined(__AVX512F__)
          _mm512_stream_si512(reinterpret_cast<__m512i*>(y), _mm512_load_si512(x));
#elif defined(__AVX__)
          _mm256_stream_si256(reinterpret_cast<__m256i*>(y),
                              _mm256_load_si256(reinterpret_cast<const __m256i*>(x)));
#else
          _mm_stream_si128(reinterpret_cast<__m128i*>(y), _mm_load_si128(reinterpret_cast<const __m128i*>(x)));
#endif
        }
        _mm_sfence();
        continue;
      }
#endif
      std::memcpy(target.get(), source.get(), part);
      __asm__ volatile("" ::: "memory");  // the next repeat copies again
    }
    return double(target.get()[part / 2]);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) {
    std::fprintf(stderr, "usage: ceilings THREADS\n");
    return 2;
  }
  std::printf("{\"threads\": %d, \"vector_bytes\": %d", threads, kBytes);
  std::printf(", \"fma_float32\": %.4g, \"fma_float64\": %.4g", fma_rate<float>(threads),
              fma_rate<double>(threads));
  std::printf(", \"exp2_float32\": %.4g, \"exp2_float64\": %.4g", exp_rate<float>(threads),
              exp_rate<double>(threads));
  for (const int megabytes : {4, 16, 64, 256})
    std::printf(", \"read_%d\": %.4g", megabytes, read_rate(threads, static_cast<std::size_t>(megabytes)));
  std::printf(", \"copy_past_caches\": %.4g, \"copy\": %.4g", copy_rate(threads, true),
              copy_rate(threads, false));
  std::printf("}\n");
  return 0;
}
