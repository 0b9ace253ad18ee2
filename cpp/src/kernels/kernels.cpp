// Compiled once per instruction set, with LAPWING_ISA = baseline | avx2 | avx512 | neon. Everything in here
// has internal linkage; the only symbols that leave are the two tables. No header with inline functions may
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
}  // namespace lapwing::kernels
