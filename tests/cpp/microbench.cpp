// lapwing_microbench [columns] [coordinates] [vectors]: CPU time of every kernel of kernels/list.hpp, in
// nanoseconds per element (a pair, a multiply-add, an entry: count_<kernel> in kernel_data.hpp), at every
// level of this processor. The best of several runs of a few milliseconds; data in cache.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <lapwing/context.hpp>
#include <vector>

#include "kernel_data.hpp"
#include "kernels/table.hpp"

namespace {

using namespace lapwing;
using namespace lapwing::test;

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class T, class Run>
double nanoseconds(isa level, const kernel_data<T>& input, long elements, Run run) {
  const auto& kernel = kernels::get<T>(level);
  // outputs that are also inputs grow or shrink from call to call: start again from the same numbers
  kernel_data<T> data = input;
  const long calls = std::clamp(2'000'000 / std::max(elements, 1L), 1L, 100'000L);
  double best = 1e300;
  for (int repeat = 0; repeat < 7; ++repeat) {
    data = input;
    run(kernel, data);  // into cache
    const double start = cpu_seconds();
    for (long c = 0; c < calls; ++c) run(kernel, data);
    best = std::min(best, cpu_seconds() - start);
  }
  return best * 1e9 / static_cast<double>(calls * elements);
}

template <class T>
std::vector<double> column(isa level, const shape& s) {
  const kernel_data<T> input(s, 1);
  std::vector<double> all;
#define LAPWING_TIME(result, name, arguments) \
  all.push_back(nanoseconds(level, input, count_##name(input), run_##name<T>));
  LAPWING_KERNELS(LAPWING_TIME)
#undef LAPWING_TIME
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, long otherwise) {
    return i < argc ? std::max(1L, std::atol(argv[i])) : otherwise;
  };
  const shape s{.m = number(1, 1024), .d = number(2, 3), .k = number(3, 8), .rows = 32, .block = 16};
  std::printf("%ld columns, %ld coordinates, %ld vectors; ns per element of CPU time\n%-18s", s.m, s.d, s.k,
              "");
  std::vector<std::vector<double>> table;
  for (const isa level : built_isas()) {
    if (!available(level)) continue;
    std::printf("%12s f32%12s f64", name(level), name(level));
    table.push_back(column<float>(level, s));
    table.push_back(column<double>(level, s));
  }
  std::printf("\n");
  std::size_t row = 0;
#define LAPWING_PRINT(result, name, arguments)                       \
  std::printf("%-18s", #name);                                       \
  for (const auto& times : table) std::printf("%16.3f", times[row]); \
  std::printf("\n");                                                 \
  ++row;
  LAPWING_KERNELS(LAPWING_PRINT)
#undef LAPWING_PRINT
  return 0;
}
