#include "isa.hpp"

#include <array>
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/table.hpp"

// The build defines LAPWING_LEVELS as X(baseline) X(avx2) ..., lowest first: one entry for every object that
// it made from kernels.cpp.
namespace lapwing {
namespace {

constexpr std::array names{"baseline", "avx2", "avx512", "neon"};

#define X(level) isa::level,
constexpr std::array built{LAPWING_LEVELS};
#undef X

// __builtin_cpu_supports answers 0 for everything with some compilers' run time, so the processor is asked
// directly.
isa detect() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  const auto bit = [](unsigned word, int k) { return (word >> k & 1u) != 0; };
  if (!__get_cpuid(1, &a, &b, &c, &d)) return isa::baseline;
  const bool osxsave = bit(c, 27), fma = bit(c, 12), f16c = bit(c, 29), avx = bit(c, 28);
  if (!(osxsave && fma && f16c && avx)) return isa::baseline;
  // Which registers the system saves.
  unsigned low = 0, high = 0;  // NOLINT(misc-const-correctness): the instruction writes them
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const bool ymm = (low & 0x06u) == 0x06u, zmm = (low & 0xe6u) == 0xe6u;
  unsigned extended = 0;
  const bool lzcnt = __get_cpuid(0x80000001u, &a, &b, &extended, &d) && bit(extended, 5);
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return isa::baseline;
  const bool bmi = bit(b, 3), avx2 = bit(b, 5), bmi2 = bit(b, 8);
  if (!(ymm && avx2 && bmi && bmi2 && lzcnt)) return isa::baseline;
  const bool f = bit(b, 16), dq = bit(b, 17), cd = bit(b, 28), bw = bit(b, 30), vl = bit(b, 31);
  return zmm && f && dq && cd && bw && vl ? isa::avx512 : isa::avx2;
#elif defined(__aarch64__)
  return isa::neon;
#else
  return isa::baseline;
#endif
}

isa processor() noexcept {
  static const isa found = detect();  // cpuid traps in virtual machines: ask once
  return found;
}

}  // namespace

const char* name(isa level) noexcept { return names[static_cast<std::size_t>(level)]; }

bool parse(std::string_view text, isa& level) noexcept {
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (text == names[k]) {
      level = static_cast<isa>(k);
      return true;
    }
  }
  return false;
}

bool available(isa level) noexcept {
  for (const isa b : built) {
    if (b == level) return level <= processor();  // neon is the highest, and the only one where it is built
  }
  return false;
}

std::span<const isa> built_isas() noexcept { return built; }

isa clamp(isa wanted) noexcept {
  isa best = built.front();
  for (const isa b : built) {
    if (b <= wanted && available(b)) best = b;
  }
  return best;
}

isa best_isa() noexcept {
  isa wanted = processor();
  isa named = wanted;
  // Only a program that changes its environment while it computes would race here.
  const char* text = std::getenv("LAPWING_ISA");  // NOLINT(concurrency-mt-unsafe)
  if (text != nullptr && parse(text, named) && named < wanted) {
    wanted = named;
  }
  return clamp(wanted);
}

namespace kernels {

namespace {

// All tables of a level.
struct tables {
  const table<float>& f32;
  const table<double>& f64;
  const lifting_table<std::int16_t>& lifting_i16;
  const lifting_table<std::int32_t>& lifting_i32;
  const lifting_table<std::int64_t>& lifting_i64;
  const pyramid_table<std::uint8_t>& pyramid_u8;
  const pyramid_table<std::uint16_t>& pyramid_u16;
  const pyramid_table<std::int16_t>& pyramid_i16;
  const pyramid_table<float>& pyramid_f32;
  const pyramid_table<double>& pyramid_f64;
};

}  // namespace

#define X(level)                                                 \
  extern const table<float> f32_##level;                         \
  extern const table<double> f64_##level;                        \
  extern const lifting_table<std::int16_t> lifting_i16_##level;  \
  extern const lifting_table<std::int32_t> lifting_i32_##level;  \
  extern const lifting_table<std::int64_t> lifting_i64_##level;  \
  extern const pyramid_table<std::uint8_t> pyramid_u8_##level;   \
  extern const pyramid_table<std::uint16_t> pyramid_u16_##level; \
  extern const pyramid_table<std::int16_t> pyramid_i16_##level;  \
  extern const pyramid_table<float> pyramid_f32_##level;         \
  extern const pyramid_table<double> pyramid_f64_##level;
LAPWING_LEVELS
#undef X

namespace {

#define X(level)                                                                            \
  tables{f32_##level,         f64_##level,        lifting_i16_##level, lifting_i32_##level, \
         lifting_i64_##level, pyramid_u8_##level, pyramid_u16_##level, pyramid_i16_##level, \
         pyramid_f32_##level, pyramid_f64_##level},
constexpr std::array<tables, built.size()> all{LAPWING_LEVELS};
#undef X

const tables& of(isa level) noexcept {
  const isa best = clamp(level);
  std::size_t k = 0;
  while (built[k] != best) ++k;  // clamp() returns a built level
  return all[k];
}

}  // namespace

template <>
const table<float>& get<float>(isa level) noexcept {
  return of(level).f32;
}
template <>
const table<double>& get<double>(isa level) noexcept {
  return of(level).f64;
}
template <>
const lifting_table<std::int16_t>& get_lifting<std::int16_t>(isa level) noexcept {
  return of(level).lifting_i16;
}
template <>
const lifting_table<std::int32_t>& get_lifting<std::int32_t>(isa level) noexcept {
  return of(level).lifting_i32;
}
template <>
const lifting_table<std::int64_t>& get_lifting<std::int64_t>(isa level) noexcept {
  return of(level).lifting_i64;
}
template <>
const pyramid_table<std::uint8_t>& get_pyramid<std::uint8_t>(isa level) noexcept {
  return of(level).pyramid_u8;
}
template <>
const pyramid_table<std::uint16_t>& get_pyramid<std::uint16_t>(isa level) noexcept {
  return of(level).pyramid_u16;
}
template <>
const pyramid_table<std::int16_t>& get_pyramid<std::int16_t>(isa level) noexcept {
  return of(level).pyramid_i16;
}
template <>
const pyramid_table<float>& get_pyramid<float>(isa level) noexcept {
  return of(level).pyramid_f32;
}
template <>
const pyramid_table<double>& get_pyramid<double>(isa level) noexcept {
  return of(level).pyramid_f64;
}

}  // namespace kernels
}  // namespace lapwing
