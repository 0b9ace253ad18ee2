// Threads that share out the chunks of one loop after another. No OpenMP run time: that one hangs the
// children of fork() and hides every race from the thread sanitizer.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace lapwing {

class pool {
 public:
  using body = std::function<void(std::ptrdiff_t, std::ptrdiff_t, int)>;

  // `cancel` ends a loop early; `poll` is called on the calling thread between its chunks and while it waits
  // for the others, at least every 20 ms, and sets `cancel` when the run is to stop.
  pool(int threads, std::atomic<bool>& cancel, std::function<void()> poll);
  ~pool();
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  // Calls f for the chunks of [0, n). The exception of the first chunk in order that threw comes out.
  void run(std::ptrdiff_t n, std::ptrdiff_t grain, const body& f);

  // Whether the calling thread is inside run() of this pool, and as which worker.
  bool inside(int& worker) const noexcept;

 private:
  struct crew;
  void forget_parent() noexcept;  // in a child of fork(): drops the threads that only the parent has
  void serial(std::ptrdiff_t n, std::ptrdiff_t grain, const body& f, int worker);

  int threads_;
  std::atomic<bool>& cancel_;
  std::function<void()> poll_;
  std::mutex turn_;  // one loop at a time
  std::unique_ptr<crew> crew_;
};

}  // namespace lapwing
