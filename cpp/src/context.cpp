#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <memory_resource>
#include <string>
#include <thread>
#include <utility>
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#endif

#include "isa.hpp"
#include "pool.hpp"

namespace lapwing {
namespace {

constexpr std::chrono::milliseconds poll_interval{20};

#if defined(__linux__)
// Processors' worth of time that the control groups of this process allow, rounded up; INT_MAX without a
// limit.
int cgroup_quota() {
  int limit = INT_MAX;
  const auto lower = [&](double quota, double period) {
    if (quota > 0 && period > 0) {
      const double cpus = quota / period;
      if (cpus < limit) limit = std::max(1, static_cast<int>(cpus) + (cpus > static_cast<int>(cpus) ? 1 : 0));
    }
  };
  // A group's limit binds everything below it, so every level up to the root counts. Inside a container the
  // path may be the host's and not exist; the container's own group is then the root.
  const auto climb = [&](const std::string& root, std::string path, auto&& look) {
    for (;;) {
      look(root + path);
      const auto slash = path.rfind('/');
      if (path.empty() || slash == std::string::npos) return;
      path.resize(slash);
    }
  };
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      path = line.substr(second + 1);
    if (controllers.empty()) {  // version 2
      climb("/sys/fs/cgroup", path, [&](const std::string& directory) {
        std::ifstream file(directory + "/cpu.max");
        std::string quota;
        double period = 0;
        if (file >> quota >> period && quota != "max") lower(std::strtod(quota.c_str(), nullptr), period);
      });
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {  // version 1
      climb("/sys/fs/cgroup/cpu", path, [&](const std::string& directory) {
        std::ifstream quota_file(directory + "/cpu.cfs_quota_us"),
            period_file(directory + "/cpu.cfs_period_us");
        double quota = 0, period = 0;
        if (quota_file >> quota && period_file >> period) lower(quota, period);
      });
    }
  }
  return limit;
}
#endif

int usable_processors() {
  const int all = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#if defined(__linux__)
  static const int quota = cgroup_quota();
  // More processors than a cpu_set_t holds make the call fail; hardware_concurrency() then has to do.
  cpu_set_t set;
  const int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : all;
  return std::max(1, std::min(allowed, quota));
#else
  return all;
#endif
}

// new and delete, with large blocks on large pages where the system grants them: filling fresh blocks and
// gathering rows from them is a good part of the work on sparse matrices.
class large_pages final : public std::pmr::memory_resource {
  static constexpr std::size_t page = std::size_t{2} << 20, from = 2 * page;

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes < from) return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    void* const p = std::pmr::new_delete_resource()->allocate(bytes, std::max(alignment, page));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // Whole pages only; no harm where it is refused.
    static_cast<void>(madvise(p, bytes / page * page, MADV_HUGEPAGE));
#endif
    return p;
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(p, bytes,
                                                bytes < from ? alignment : std::max(alignment, page));
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return dynamic_cast<const large_pages*>(&other) != nullptr;
  }
};

// Never destroyed: what outlives a context may be freed at the very end of a program.
std::pmr::memory_resource* default_memory() {
  static auto* const resource = new large_pages;
  return resource;
}

}  // namespace

int context::default_threads() {
  // Only a program that changes its environment while it computes would race here.
  const char* text = std::getenv("OMP_NUM_THREADS");  // NOLINT(concurrency-mt-unsafe)
  if (text != nullptr) {                              // may be a list, one number for each level of nesting
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (end != text && value > 0 && value <= INT_MAX) return static_cast<int>(value);
  }
  return usable_processors();
}

struct context::state {
  std::atomic<bool> cancel{false};
  std::atomic<std::int64_t> last_poll{0};
  pool threads;

  state(int n, const options& o) : threads(n, cancel, [this, &o] { ask(o); }) {}

  // Asks should_stop unless that was done a moment ago.
  void ask(const options& o) {
    if (!o.should_stop) return;
    const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
    constexpr std::int64_t interval = std::chrono::steady_clock::duration(poll_interval).count();
    if (now - last_poll.load(std::memory_order_relaxed) < interval) return;
    if (o.should_stop()) cancel.store(true, std::memory_order_relaxed);
    last_poll.store(std::chrono::steady_clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }
};

context::context(options o) : options_(std::move(o)) {
  check(options_.threads >= 0, "threads must be >= 0, got ", options_.threads);
  if (options_.threads == 0) options_.threads = default_threads();
  if (options_.memory == nullptr) options_.memory = default_memory();
  options_.level = clamp(options_.level);
  state_ = std::make_unique<state>(options_.threads, options_);
}

context::~context() = default;

int context::threads() const noexcept { return options_.threads; }
isa context::level() const noexcept { return options_.level; }
std::pmr::memory_resource* context::memory() const noexcept { return options_.memory; }

void context::poll() const {
  int worker = 0;
  if (state_->threads.inside(worker)) {  // the flag stays up for the other workers
    if (options_.should_stop && options_.should_stop()) state_->cancel.store(true, std::memory_order_relaxed);
    if (state_->cancel.load(std::memory_order_relaxed)) throw cancelled();
  } else if (state_->cancel.exchange(false, std::memory_order_relaxed) ||
             (options_.should_stop && options_.should_stop())) {
    throw cancelled();
  }
}

bool context::report(const char* stage, std::ptrdiff_t iteration, double error) const {
  poll();
  return options_.progress && options_.progress({stage, iteration, error});
}

void context::parallel_for(std::ptrdiff_t n, std::ptrdiff_t grain,
                           const std::function<void(std::ptrdiff_t, std::ptrdiff_t, int)>& body) const {
  check(n >= 0, "parallel_for: n must be >= 0, got ", n);
  check(grain > 0, "parallel_for: grain must be > 0, got ", grain);
  if (n == 0) return;
  int worker = 0;
  const bool nested = state_->threads.inside(worker);
  // A loop that should_stop ended leaves the flag for its callers, up to the outermost one, which takes it
  // down.
  const auto stopped = [&] {
    return nested ? state_->cancel.load(std::memory_order_relaxed)
                  : state_->cancel.exchange(false, std::memory_order_relaxed);
  };
  try {
    state_->threads.run(n, grain, body);
  } catch (...) {
    if (!nested) state_->cancel.store(false, std::memory_order_relaxed);
    throw;
  }
  if (stopped()) throw cancelled();
}

bool context::checkpoint(int worker) const {
  if (worker == 0) state_->ask(options_);
  return state_->cancel.load(std::memory_order_relaxed);
}

}  // namespace lapwing
