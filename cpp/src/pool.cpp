#include "pool.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <thread>
#include <utility>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lapwing {
namespace {

constexpr int spins =
    2000;  // pauses before a thread goes to sleep: about 30 us, longer than the gap between two loops
constexpr std::chrono::milliseconds patience{20};

void pause() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

long process_id() noexcept {
#if defined(__unix__) || defined(__APPLE__)
  return static_cast<long>(::getpid());
#else
  return 0;
#endif
}

// The loops that this thread is in, innermost first.
struct visit {
  visit(const pool* p, int w) : in(p), worker(w), outer(innermost) { innermost = this; }
  ~visit() { innermost = outer; }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

  const pool* in;
  int worker;
  const visit* outer;
  static thread_local const visit* innermost;
};
thread_local const visit* visit::innermost = nullptr;

}  // namespace

// The threads of a pool and the loop that they work on. After fork() the child has this object but not the
// threads; it then leaves the object alone for good (its mutex may be held by a thread that no longer exists)
// and makes a new one.
struct pool::crew {
  crew(const pool* owner, int threads, std::atomic<bool>& cancel) : owner(owner), cancel(cancel) {
    try {
      for (int w = 1; w < threads; ++w) workers.emplace_back([this, w] { work(w); });
    } catch (...) {
      dismiss();
      throw;
    }
  }
  ~crew() { dismiss(); }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;

  // The loop's number, whether it still takes workers, and how many are in it, in one word: a worker that
  // wakes up late cannot enter a loop that the caller has already closed, so the caller waits only for those
  // who are inside.
  static constexpr std::uint64_t one_loop = std::uint64_t{1} << 32, closed = std::uint64_t{1} << 31;
  static std::uint64_t number(std::uint64_t s) { return s >> 32; }
  static std::uint64_t inside(std::uint64_t s) { return s & (closed - 1); }

  void dismiss() noexcept {
    {
      const std::lock_guard lock(mutex);
      leave.store(true);
    }
    wake.notify_all();
    for (auto& t : workers) t.join();
    workers.clear();
  }

  void open(std::ptrdiff_t n, std::ptrdiff_t grain, const body& f) {
    loop = &f;
    size = n;
    step = grain;
    chunks = (n - 1) / grain + 1;
    next.store(0, std::memory_order_relaxed);
    failed.store(chunks, std::memory_order_relaxed);
    error = nullptr;
    // seq_cst here and where a worker falls asleep: either it sees the new loop, or it is counted in
    // `sleepers`.
    state.store((number(state.load(std::memory_order_relaxed)) + 1) * one_loop);
    if (sleepers.load() > 0) {
      {
        const std::lock_guard lock(mutex);
      }
      wake.notify_all();
    }
  }

  // Chunks are handed out in order, so every chunk before one that throws has been started and will end: the
  // first exception in chunk order is found whatever the timing. Chunks after it are dropped.
  template <class Between>
  void drain(int worker, Between&& between) {
    for (;;) {
      const std::ptrdiff_t k = next.fetch_add(1, std::memory_order_relaxed);
      if (k >= chunks || k > failed.load(std::memory_order_relaxed) || cancel.load(std::memory_order_relaxed))
        return;
      try {
        const std::ptrdiff_t low = k * step;
        (*loop)(low, low + std::min(step, size - low), worker);
        between();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (k < failed.load(std::memory_order_relaxed)) {
          failed.store(k, std::memory_order_relaxed);
          error = std::current_exception();
        }
      }
    }
  }

  // Caller: nobody enters any more; wait for those who are inside. `poll` may throw: not before they have
  // left.
  void close(const std::function<void()>& poll) {
    state.fetch_or(closed, std::memory_order_acq_rel);
    for (int i = 0; i < spins; ++i) {
      if (inside(state.load(std::memory_order_acquire)) == 0) return;
      pause();
    }
    waiting.store(true);
    for (;;) {
      {
        std::unique_lock lock(mutex);
        if (done.wait_for(lock, patience, [this] { return inside(state.load()) == 0; })) break;
      }
      try {
        poll();
      } catch (...) {
        cancel.store(true, std::memory_order_relaxed);
        const std::lock_guard lock(mutex);
        failed.store(-1, std::memory_order_relaxed);  // outranks every chunk
        error = std::current_exception();
      }
    }
    waiting.store(false);
  }

  void work(int worker) {
    const visit v(owner, worker);
    std::uint64_t seen = 0;
    for (;;) {
      std::uint64_t s = state.load(std::memory_order_acquire);
      for (int i = 0; number(s) == seen && i < spins && !leave.load(std::memory_order_relaxed); ++i) {
        pause();
        s = state.load(std::memory_order_acquire);
      }
      if (number(s) == seen) {
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1);
        wake.wait(lock, [&] { return leave.load() || number(state.load()) != seen; });
        sleepers.fetch_sub(1);
        if (leave.load()) return;
        s = state.load(std::memory_order_acquire);
      }
      seen = number(s);
      bool entered = false;
      while (!entered && number(s) == seen && (s & closed) == 0) {
        entered = state.compare_exchange_weak(s, s + 1, std::memory_order_acq_rel, std::memory_order_acquire);
      }
      if (!entered) continue;  // closed, or a newer loop: look again
      drain(worker, [] {});
      if (inside(state.fetch_sub(1)) == 1 && waiting.load()) {
        {
          const std::lock_guard lock(mutex);
        }
        done.notify_all();
      }
    }
  }

  const pool* owner;
  std::atomic<bool>& cancel;
  const long process = process_id();
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake, done;
  std::atomic<std::uint64_t> state{closed};
  std::atomic<int> sleepers{0};
  std::atomic<bool> leave{false}, waiting{false};

  const body* loop = nullptr;
  std::ptrdiff_t size = 0, step = 1, chunks = 0;
  std::exception_ptr error;
  alignas(64) std::atomic<std::ptrdiff_t> next{0};
  alignas(64) std::atomic<std::ptrdiff_t> failed{0};
};

pool::pool(int threads, std::atomic<bool>& cancel, std::function<void()> poll)
    : threads_(threads), cancel_(cancel), poll_(std::move(poll)) {}

pool::~pool() { forget_parent(); }

void pool::forget_parent() noexcept {
  // NOLINTNEXTLINE(bugprone-unused-return-value): left behind on purpose, see crew
  if (crew_ && crew_->process != process_id()) (void)crew_.release();
}

bool pool::inside(int& worker) const noexcept {
  for (const visit* v = visit::innermost; v != nullptr; v = v->outer) {
    if (v->in == this) {
      worker = v->worker;
      return true;
    }
  }
  return false;
}

void pool::serial(std::ptrdiff_t n, std::ptrdiff_t grain, const body& f, int worker) {
  for (std::ptrdiff_t low = 0; low < n && !cancel_.load(std::memory_order_relaxed);) {
    const std::ptrdiff_t high = low + std::min(grain, n - low);
    f(low, high, worker);
    low = high;
    if (worker == 0 && low < n) poll_();
  }
}

void pool::run(std::ptrdiff_t n, std::ptrdiff_t grain, const body& f) {
  int worker = 0;
  if (inside(worker)) return serial(n, grain, f, worker);
  if (threads_ == 1 || n <= grain) {
    const visit v(this, 0);
    poll_();
    return serial(n, grain, f, 0);
  }
  const std::lock_guard turn(turn_);
  poll_();  // here for certain: the workers may finish a short loop before this thread has had a chunk
  forget_parent();
  if (!crew_) crew_ = std::make_unique<crew>(this, threads_, cancel_);
  const visit v(this, 0);
  crew_->open(n, grain, f);
  crew_->drain(0, poll_);
  crew_->close(poll_);
  if (crew_->error) std::rethrow_exception(std::exchange(crew_->error, nullptr));
}

}  // namespace lapwing
