// The CPU extension: its process-wide settings, and the rooms (LAPWING_ROOMS is X(ot) X(linalg) ..., from the
// build).
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <atomic>
#include <lapwing/version.hpp>
#include <memory_resource>
#include <optional>
#include <string>
#include <utility>

#include "convert.hpp"

#define X(room) void bind_##room(nb::module_&);
LAPWING_ROOMS
#undef X

namespace {

std::atomic<int> threads_set{0};    // 0: not set
std::atomic<int> level_forced{-1};  // -1: not forced

// Plain memory that knows the most of it that there was at a time.
class counting_memory final : public std::pmr::memory_resource {
 public:
  std::size_t peak() const { return peak_.load(); }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    const std::size_t now = now_.fetch_add(bytes) + bytes;
    std::size_t most = peak_.load();
    while (now > most && !peak_.compare_exchange_weak(most, now)) {
    }
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    now_.fetch_sub(bytes);
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::atomic<std::size_t> now_{0}, peak_{0};
};

thread_local counting_memory* counting = nullptr;

}  // namespace

// By these two names threadpoolctl reads and sets the default number of threads.
extern "C" __attribute__((visibility("default"))) int lapwing_get_num_threads() {
  const int n = threads_set.load();
  return n > 0 ? n : lapwing::context::default_threads();
}
extern "C" __attribute__((visibility("default"))) void lapwing_set_num_threads(int n) {
  threads_set.store(n);
}

namespace lapwing::python {

int default_threads() { return lapwing_get_num_threads(); }

std::pmr::memory_resource* counted_memory() { return counting; }

isa level() {
  const int forced = level_forced.load();
  return forced < 0 ? best_isa() : static_cast<isa>(forced);
}

}  // namespace lapwing::python

namespace {

using namespace nb::literals;

std::string levels() {
  std::string all;
  for (const lapwing::isa l : lapwing::built_isas())
    all += (all.empty() ? "" : ", ") + std::string(lapwing::name(l));
  return all;
}

void set_isa(const std::optional<std::string>& text) {
  lapwing::isa level{};
  if (!text) {
    level_forced.store(-1);
    return;
  }
  lapwing::check(lapwing::parse(*text, level), "name must be one of ", levels(), " or None, got '", *text,
                 "'");
  lapwing::check(lapwing::available(level), "name must be an instruction set of this processor and build; '",
                 *text, "' is not (best: ", lapwing::name(lapwing::best_isa()), ", built: ", levels(), ")");
  level_forced.store(static_cast<int>(level));
}

std::size_t scratch_of(const nb::callable& call) {
  struct guard {
    counting_memory memory, *before = std::exchange(counting, &memory);
    guard() = default;
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { counting = before; }
  } g;
  call();
  return g.memory.peak();
}

nb::dict build_info() {
  nb::dict info;
  info["version"] = LAPWING_VERSION;
#if defined(__clang__)
  info["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
  info["compiler"] = "gcc " __VERSION__;
#endif
  info["eigen"] = LAPWING_EIGEN;
  nb::list isas;
  for (const lapwing::isa l : lapwing::built_isas()) isas.append(lapwing::name(l));
  info["isa"] = isas;
  info["cuda"] = false;
  return info;
}

}  // namespace

NB_MODULE(_core, m) {
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const lapwing::memory_exceeded& e) {
      PyErr_SetString(PyExc_MemoryError, e.what());
    }
  });
  m.attr("__version__") = LAPWING_VERSION;
  m.def("get_num_threads", &lapwing_get_num_threads, "Threads that a call uses unless told otherwise.");
  m.def(
      "set_num_threads",
      [](int n) {
        lapwing::check(n >= 0, "n must be >= 0 (0: automatic), got ", n);
        lapwing_set_num_threads(n);
      },
      "n"_a, "Set the default number of threads of this process; 0: automatic.");
  m.def("set_isa", &set_isa, "name"_a.none(),
        "Force an instruction set on this process; None: the best available.");
  m.def("get_isa", [] { return lapwing::name(lapwing::python::level()); }, "Instruction set that calls use.");
  m.def("best_isa", [] { return lapwing::name(lapwing::best_isa()); }, "Best instruction set available.");
  m.def("scratch_of", &scratch_of, "call"_a,
        "Most bytes of scratch memory that the calls of a function into this extension took at a time.");
  m.def("build_info", &build_info, "Version, compiler, Eigen, instruction sets built.");
#define X(room) bind_##room(m);
  LAPWING_ROOMS
#undef X
}
