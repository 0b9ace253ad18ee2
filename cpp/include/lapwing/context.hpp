/// \file
/// The one object that carries the circumstances of a run: threads, instruction set, scratch memory,
/// cancellation, progress. The library keeps no state outside it.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>

namespace lapwing {

/// Instruction sets, in rising order on x86. baseline: SSE4.2 there, plain C++ elsewhere. neon: every arm64.
enum class isa { baseline, avx2, avx512, neon };

const char* name(isa) noexcept;
/// Reads a name as printed by name(); false, and `level` untouched, for anything else.
bool parse(std::string_view text, isa& level) noexcept;
/// Whether this processor runs the level and this build contains it.
bool available(isa) noexcept;
/// The levels that this build contains.
std::span<const isa> built_isas() noexcept;
/// The highest available level. The environment variable LAPWING_ISA lowers it, never raises it; a value that
/// names no level is ignored.
isa best_isa() noexcept;

struct progress_info {
  const char* stage;         ///< what is being done, for example "sinkhorn"
  std::ptrdiff_t iteration;  ///< counted from 1 within the stage
  double error;              ///< the number that the stage drives down
};

/// Threads start with the first parallel_for that has work for more than one, and end with the context. One
/// thread uses a context at a time: a second caller waits for the first at parallel_for. A child of fork()
/// may go on using it.
class context {
 public:
  struct options {
    int threads = 0;         ///< 0: default_threads(). Otherwise obeyed as given
    isa level = best_isa();  ///< lowered to what is available
    std::pmr::memory_resource* memory =
        nullptr;                        ///< for scratch; null: new and delete, on large pages if granted
    std::function<bool()> should_stop;  ///< polled on the calling thread; true cancels the run
    std::function<bool(const progress_info&)> progress;  ///< true: stop gracefully, return what there is
  };

  context() : context(options{}) {}
  explicit context(options);
  ~context();
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  /// OMP_NUM_THREADS if set; else the processors that this process may use, at most the container's CPU
  /// quota.
  static int default_threads();

  int threads() const noexcept;
  isa level() const noexcept;
  std::pmr::memory_resource* memory() const noexcept;

  /// Throws lapwing::cancelled if should_stop says so. For the calling thread, at least every 50 ms of work.
  void poll() const;

  /// Polls, then passes the figures to progress and returns its answer; false when there is no progress
  /// function.
  bool report(const char* stage, std::ptrdiff_t iteration, double error) const;

  /// Calls body(lo, hi, worker) for the chunks [k grain, min(n, (k + 1) grain)), which depend on n and grain
  /// alone. worker is in [0, threads()), 0 being the calling thread; two chunks at the same time never have
  /// the same one. If chunks throw, the exception of the first of them in order comes out here, whatever the
  /// number of threads. Called from inside a body it runs on that body's worker. Throws lapwing::cancelled
  /// when should_stop said so between chunks or in checkpoint().
  void parallel_for(std::ptrdiff_t n, std::ptrdiff_t grain,
                    const std::function<void(std::ptrdiff_t, std::ptrdiff_t, int)>& body) const;

  /// For long bodies, every few milliseconds: asks should_stop (worker 0, at most every 20 ms) and returns
  /// true when the body should leave; parallel_for then throws cancelled.
  bool checkpoint(int worker) const;

 private:
  struct state;
  options options_;
  std::unique_ptr<state> state_;
};

}  // namespace lapwing
