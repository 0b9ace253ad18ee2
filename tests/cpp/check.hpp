// A test harness of one header. A program's tests all run, in the order of the file; the exit status is the
// verdict.
//
//   TEST(sums_do_not_depend_on_threads) { CHECK(a == b); CHECK_THROWS(std::invalid_argument, f(-1), "must be
//   > 0"); }
#pragma once
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <lapwing/context.hpp>
#include <string>
#include <vector>

namespace lapwing::test {

struct entry {
  const char* name;
  void (*function)();
};
inline std::vector<entry>& entries() {
  static std::vector<entry> all;
  return all;
}
struct enter {
  enter(const char* name, void (*function)()) { entries().push_back({name, function}); }
};
inline int failures = 0;

// Set by CMakeLists.txt for runs under qemu-user, which dies when a child of fork() starts a thread.
inline bool emulated() { return std::getenv("LAPWING_TEST_EMULATED") != nullptr; }

inline void fail(const char* file, int line, const std::string& what) {
  std::printf("%s:%d: %s\n", file, line, what.c_str());
  ++failures;
}

template <class Expected, class F>
void throws(const char* file, int line, const char* expression, const char* part, F&& f) {
  try {
    f();
  } catch (const Expected& e) {
    if (std::string(e.what()).find(part) == std::string::npos) {
      fail(file, line,
           std::string(expression) + " threw '" + e.what() + "', which does not say '" + part + "'");
    }
    return;
  } catch (const std::exception& e) {
    return fail(file, line, std::string(expression) + " threw another exception: " + e.what());
  }
  fail(file, line, std::string(expression) + " threw nothing");
}

// Runs everything at the level that LAPWING_ISA names; 77 (CTest: skipped) where this processor does not have
// it.
inline int run_all() {
  isa wanted{};
  const char* text = std::getenv("LAPWING_ISA");
  if (text != nullptr && parse(text, wanted) && !available(wanted)) {
    std::printf("skipped: this processor or build has no %s\n", text);
    return 77;
  }
  if (entries().empty()) fail(__FILE__, __LINE__, "no test was registered");
  for (const entry& t : entries()) {
    const int before = failures;
    try {
      t.function();
    } catch (const std::exception& e) {
      fail(t.name, 0, std::string("threw ") + e.what());
    } catch (...) {
      fail(t.name, 0, "threw something that is no std::exception");
    }
    std::printf("%s %s\n", failures == before ? "ok  " : "FAIL", t.name);
  }
  std::printf("%zu tests at level %s, %d failures\n", entries().size(), name(best_isa()), failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace lapwing::test

#define TEST(name)                                               \
  static void name();                                            \
  static const ::lapwing::test::enter enter_##name{#name, name}; \
  static void name()
#define CHECK(...)                                                               \
  do {                                                                           \
    if (!(__VA_ARGS__)) ::lapwing::test::fail(__FILE__, __LINE__, #__VA_ARGS__); \
  } while (false)
#define CHECK_THROWS(type, expression, part) \
  ::lapwing::test::throws<type>(__FILE__, __LINE__, #expression, part, [&] { (void)(expression); })
#define TEST_MAIN \
  int main() { return ::lapwing::test::run_all(); }
