// Compiled once per instruction set, with LAPWING_ISA = baseline | avx2 | avx512 | neon. Everything in here
// has internal linkage; the only symbols that leave are the two tables. No header with inline functions may
// be included: the linker would keep one copy for every level.
#include "list.hpp"

namespace lapwing::kernels {
namespace {
#include "math.inl"

template <class T>
void exp2_array(const T* x, T* y, long n) {
#pragma omp simd
  for (long j = 0; j < n; ++j) y[j] = exp2_of(x[j]);
}
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
