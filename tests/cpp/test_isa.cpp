#include <cmath>
#include <cstdlib>
#include <lapwing/context.hpp>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "kernels/table.hpp"

using namespace lapwing;

namespace {

constexpr isa all[] = {isa::baseline, isa::avx2, isa::avx512, isa::neon};

// The environment variable for one scope.
class variable {
 public:
  variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
      had_ = true;
    }
    ::setenv(name, value, 1);
  }
  ~variable() {
    if (had_) {
      ::setenv(name_, old_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

}  // namespace

TEST(names_are_parsed_back) {
  for (const isa level : all) {
    isa read = level == isa::baseline ? isa::neon : isa::baseline;
    CHECK(parse(name(level), read) && read == level);
  }
}

TEST(parse_refuses_what_is_no_name) {
  for (const char* text : {"", "AVX2", "avx", "avx2 ", "avx5122", "sse", "best"}) {
    isa level = isa::avx512;
    CHECK(!parse(text, level) && level == isa::avx512);
  }
}

TEST(built_levels_rise_and_the_best_is_one_of_them) {
  const auto built = built_isas();
  CHECK(!built.empty());
  for (std::size_t k = 1; k < built.size(); ++k) CHECK(built[k - 1] < built[k]);
  CHECK(available(built.front()));
  CHECK(available(best_isa()));
#if defined(__x86_64__)
  CHECK(available(isa::baseline) && !available(isa::neon) && built.size() == 3);
#elif defined(__aarch64__)
  CHECK(available(isa::neon) && !available(isa::baseline) && built.size() == 1);
#endif
}

TEST(the_environment_lowers_and_never_raises) {
  ::unsetenv("LAPWING_ISA");
  const isa best = best_isa();
  for (const isa level : all) {
    const variable v("LAPWING_ISA", name(level));
    CHECK(best_isa() == (available(level) && level < best ? level : best));
  }
  for (const char* junk : {"", "fast", "avx-512"}) {
    const variable v("LAPWING_ISA", junk);
    CHECK(best_isa() == best);
  }
}

TEST(context_lowers_the_level_to_what_is_there) {
  for (const isa level : all) {
    const context ctx({.threads = 1, .level = level});
    CHECK(available(ctx.level()));
    CHECK(!available(level) || ctx.level() == level);
  }
}

TEST(every_built_level_has_its_own_table) {
  std::vector<const void*> seen;
  for (const isa level : built_isas()) {
    if (!available(level)) continue;
    const auto& f = kernels::get<float>(level);
    const auto& d = kernels::get<double>(level);
    CHECK(f.exp2_array != nullptr && d.exp2_array != nullptr);
    for (const void* other : seen) CHECK(other != &f && other != &d);
    seen.push_back(&f);
    seen.push_back(&d);
  }
}

// Worst error of exp2_array in units in the last place of T, over [low, 0], against long double.
template <class T>
double exp2_ulp(isa level, double low) {
  const long n = 20001;
  std::vector<T> x(n), y(n);
  for (long k = 0; k < n; ++k) x[k] = static_cast<T>(low * static_cast<double>(k) / (n - 1));
  kernels::get<T>(level).exp2_array(x.data(), y.data(), n);
  double worst = 0;
  for (long k = 0; k < n; ++k) {
    const long double exact = std::exp2(static_cast<long double>(x[k]));
    const long double ulp = std::ldexp(static_cast<long double>(std::numeric_limits<T>::epsilon()),
                                       static_cast<int>(std::floor(std::log2(exact))));
    worst = std::max(worst, static_cast<double>(std::fabs(static_cast<long double>(y[k]) - exact) / ulp));
  }
  std::printf("     %s: %.3f ulp (%zu bytes)\n", name(level), worst, sizeof(T));
  return worst;
}

TEST(exp2_is_right_to_the_last_places_at_every_level) {
  for (const isa level : built_isas()) {
    if (!available(level)) continue;
    // The polynomials are off by 1.1e-7 and 3.4e-17 of the value, at most 1.9 and 0.31 ulp; the last
    // operations round, and without fused multiply-add twice as often.
    CHECK(exp2_ulp<float>(level, -120) <= 2.5);
    CHECK(exp2_ulp<double>(level, -1000) <= 1.2);
  }
}

template <class T>
void exp2_edges(isa level) {
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  for (long n = 0; n <= 70; ++n) {  // every remainder of a vector loop; nothing outside [0, n) is written
    std::vector<T> x(static_cast<std::size_t>(n) + 1, T(-1)), y(static_cast<std::size_t>(n) + 1, T(7));
    kernels::get<T>(level).exp2_array(x.data(), y.data(), n);
    for (long k = 0; k < n; ++k) CHECK(y[static_cast<std::size_t>(k)] == T(0.5));
    CHECK(y[static_cast<std::size_t>(n)] == T(7));
  }
  const std::vector<T> x{0, -inf, nan, -5000};
  std::vector<T> y(4);
  kernels::get<T>(level).exp2_array(x.data(), y.data(), 4);
  CHECK(y[0] == 1 && y[1] == 0 && std::isnan(y[2]) && y[3] == 0);
}

TEST(exp2_is_exact_at_zero_and_keeps_nan) {
  for (const isa level : built_isas()) {
    if (!available(level)) continue;
    exp2_edges<float>(level);
    exp2_edges<double>(level);
  }
}

TEST_MAIN
