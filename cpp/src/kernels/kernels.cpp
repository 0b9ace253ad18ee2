// Compiled once per instruction set, with LAPWING_ISA = baseline | avx2 | avx512 | neon. Everything in here
// has internal linkage; the only symbols that leave are the tables. No header with inline functions may
// be included: the linker would keep one copy for every level.
#include "list.hpp"
#if defined(__x86_64__)
#include <immintrin.h>  // gnu_inline functions: they leave no symbol behind
#endif

namespace lapwing::kernels {
namespace {
// clang-format off: math.inl comes first, the others use it
#include "math.inl"
#include "elementwise.inl"
#include "ot.inl"
#include "sparse.inl"
#include "tall.inl"
#include "wavelet.inl"
#include "lifting.inl"
#include "pyramid.inl"
#include "popcount.inl"
// clang-format on
static_assert(block_rows == rows_per_block && column_padding % lanes<float> == 0);
}  // namespace

#define LAPWING_JOIN_(a, b) a##b
#define LAPWING_JOIN(a, b) LAPWING_JOIN_(a, b)
#define LAPWING_F32 LAPWING_JOIN(f32_, LAPWING_ISA)
#define LAPWING_F64 LAPWING_JOIN(f64_, LAPWING_ISA)
extern const table<float> LAPWING_F32;
extern const table<double> LAPWING_F64;
#define LAPWING_FILL(result, name, arguments) name<T>,
#define T float
const table<float> LAPWING_F32 = {LAPWING_KERNELS(LAPWING_FILL)};
#undef T
#define T double
const table<double> LAPWING_F64 = {LAPWING_KERNELS(LAPWING_FILL)};
#undef T

// One table for each scalar of integer lifting and of pyramids.
#define LAPWING_TABLE(kind, list, scalar, prefix)                      \
  extern const kind##_table<scalar> LAPWING_JOIN(prefix, LAPWING_ISA); \
  const kind##_table<scalar> LAPWING_JOIN(prefix, LAPWING_ISA) = {list(LAPWING_FILL)};
#define T std::int16_t
LAPWING_TABLE(lifting, LAPWING_LIFTING_KERNELS, std::int16_t, lifting_i16_)
LAPWING_TABLE(pyramid, LAPWING_PYRAMID_KERNELS, std::int16_t, pyramid_i16_)
#undef T
#define T std::int32_t
LAPWING_TABLE(lifting, LAPWING_LIFTING_KERNELS, std::int32_t, lifting_i32_)
#undef T
#define T std::int64_t
LAPWING_TABLE(lifting, LAPWING_LIFTING_KERNELS, std::int64_t, lifting_i64_)
#undef T
#define T std::uint8_t
LAPWING_TABLE(pyramid, LAPWING_PYRAMID_KERNELS, std::uint8_t, pyramid_u8_)
#undef T
#define T std::uint16_t
LAPWING_TABLE(pyramid, LAPWING_PYRAMID_KERNELS, std::uint16_t, pyramid_u16_)
#undef T
#define T float
LAPWING_TABLE(pyramid, LAPWING_PYRAMID_KERNELS, float, pyramid_f32_)
#undef T
#define T double
LAPWING_TABLE(pyramid, LAPWING_PYRAMID_KERNELS, double, pyramid_f64_)
#undef T
}  // namespace lapwing::kernels
