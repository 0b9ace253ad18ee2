// Every loop that is compiled once per instruction set, one line each: X(return type, name, (arguments)), T
// the scalar.
#pragma once
#define LAPWING_KERNELS(X) X(void, exp2_array, (const T* x, T* y, long n))

namespace lapwing::kernels {
template <class T>
struct table {
#define LAPWING_ENTRY(result, name, arguments) result(*name) arguments;
  LAPWING_KERNELS(LAPWING_ENTRY)
#undef LAPWING_ENTRY
};
}  // namespace lapwing::kernels
