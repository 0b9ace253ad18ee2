#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <memory_resource>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "check.hpp"

using namespace lapwing;
using std::ptrdiff_t;

namespace {

constexpr int thread_counts[] = {1, 2, 3, 7};

void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

// Sum of 1/(i+1) with one partial sum for each chunk, added in chunk order.
double harmonic(const context& ctx, ptrdiff_t n, ptrdiff_t grain) {
  std::vector<double> part(static_cast<std::size_t>(n / grain + 1));
  ctx.parallel_for(n, grain, [&](ptrdiff_t low, ptrdiff_t high, int) {
    double s = 0;
    for (ptrdiff_t i = low; i < high; ++i) s += 1.0 / static_cast<double>(i + 1);
    part[static_cast<std::size_t>(low / grain)] = s;
  });
  double sum = 0;
  for (const double p : part) sum += p;
  return sum;
}

struct failure {
  ptrdiff_t where;
};

}  // namespace

TEST(chunks_depend_on_n_and_grain_alone) {
  for (const int threads : thread_counts) {
    const context ctx({.threads = threads});
    for (const ptrdiff_t n : {0, 1, 2, 63, 64, 65, 1000}) {
      for (const ptrdiff_t grain : {1, 7, 64, 5000}) {
        std::mutex mutex;
        std::multiset<std::pair<ptrdiff_t, ptrdiff_t>> seen, expected;
        std::vector<std::atomic<int>> busy(static_cast<std::size_t>(threads));
        std::atomic<int> wrong{0};
        ctx.parallel_for(n, grain, [&](ptrdiff_t low, ptrdiff_t high, int worker) {
          if (worker < 0 || worker >= threads) {
            ++wrong;
            return;
          }
          if (busy[static_cast<std::size_t>(worker)].fetch_add(1) != 0) ++wrong;
          {
            const std::lock_guard lock(mutex);
            seen.insert({low, high});
          }
          busy[static_cast<std::size_t>(worker)].fetch_sub(1);
        });
        for (ptrdiff_t low = 0; low < n; low += grain) expected.insert({low, std::min(n, low + grain)});
        CHECK(seen == expected);
        CHECK(wrong == 0);
      }
    }
  }
}

TEST(worker_zero_is_the_calling_thread_and_others_take_part) {
  const context ctx({.threads = 3});
  const auto caller = std::this_thread::get_id();
  std::atomic<int> wrong{0}, started{0};
  // Every chunk waits for the two others, so three threads must have one each.
  ctx.parallel_for(3, 1, [&](ptrdiff_t, ptrdiff_t, int worker) {
    if ((worker == 0) != (std::this_thread::get_id() == caller)) ++wrong;
    ++started;
    while (started < 3) std::this_thread::yield();
  });
  CHECK(wrong == 0 && started == 3);
}

TEST(sums_have_the_same_bits_for_any_number_of_threads) {
  const context one({.threads = 1});
  const double expected = harmonic(one, 100000, 1000);
  CHECK(std::fabs(expected - (std::log(100000.0) + 0.57721566490153286 + 0.5e-5)) < 1e-9);
  for (const int threads : thread_counts) {
    const context ctx({.threads = threads});
    for (int repeat = 0; repeat < 20; ++repeat) CHECK(harmonic(ctx, 100000, 1000) == expected);
  }
}

TEST(many_short_loops_with_sleeping_threads_in_between) {
  const context ctx({.threads = 4});
  for (int repeat = 0; repeat < 3000; ++repeat) {
    std::atomic<int> sum{0};
    ctx.parallel_for(16, 1, [&](ptrdiff_t low, ptrdiff_t, int) { sum += static_cast<int>(low); });
    CHECK(sum == 120);
    if (repeat % 300 == 0) wait_a_little();
  }
}

TEST(contexts_come_and_go) {
  for (int repeat = 0; repeat < 100; ++repeat) {
    const context ctx({.threads = 1 + repeat % 4});
    if (repeat % 3 != 0) CHECK(std::isfinite(harmonic(ctx, 1000, 10)));  // else the threads never start
  }
}

TEST(the_first_exception_in_chunk_order_comes_out) {
  for (const int threads : thread_counts) {
    const context ctx({.threads = threads});
    for (int repeat = 0; repeat < 50; ++repeat) {
      ptrdiff_t where = -1;
      try {
        ctx.parallel_for(1000, 10, [](ptrdiff_t low, ptrdiff_t, int) {
          if (low >= 300 && low % 20 == 0) throw failure{low};
        });
      } catch (const failure& f) {
        where = f.where;
      }
      CHECK(where == 300);
    }
    CHECK(std::isfinite(harmonic(ctx, 1000, 10)));  // and the context still works
  }
}

TEST(nested_loops_run_on_the_outer_worker) {
  for (const int threads : thread_counts) {
    const context ctx({.threads = threads});
    std::vector<int> hits(50 * 100);
    std::atomic<int> wrong{0};
    ctx.parallel_for(50, 1, [&](ptrdiff_t outer, ptrdiff_t, int worker) {
      const auto thread = std::this_thread::get_id();
      ctx.parallel_for(100, 7, [&](ptrdiff_t low, ptrdiff_t high, int inner) {
        if (inner != worker || std::this_thread::get_id() != thread) ++wrong;
        for (ptrdiff_t i = low; i < high; ++i) ++hits[static_cast<std::size_t>(outer * 100 + i)];
      });
    });
    CHECK(wrong == 0);
    CHECK(std::all_of(hits.begin(), hits.end(), [](int h) { return h == 1; }));
  }
}

TEST(a_loop_of_another_context_may_be_nested) {
  const context outer({.threads = 2}), inner({.threads = 2});
  std::atomic<int> sum{0};
  outer.parallel_for(8, 1, [&](ptrdiff_t, ptrdiff_t, int) {
    inner.parallel_for(8, 1, [&](ptrdiff_t, ptrdiff_t, int) { ++sum; });
  });
  CHECK(sum == 64);
}

TEST(an_exception_of_a_nested_loop_comes_out) {
  const context ctx({.threads = 3});
  ptrdiff_t where = -1;
  try {
    ctx.parallel_for(10, 1, [&](ptrdiff_t low, ptrdiff_t, int) {
      ctx.parallel_for(10, 1, [&](ptrdiff_t inner, ptrdiff_t, int) {
        if (low >= 4 && inner == 2) throw failure{low * 100 + inner};
      });
    });
  } catch (const failure& f) {
    where = f.where;
  }
  CHECK(where == 402);
}

TEST(two_callers_share_a_context_by_turns) {
  const context ctx({.threads = 3});
  std::vector<double> sums(4);
  std::vector<std::thread> callers;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    callers.emplace_back([&, k] {
      for (int repeat = 0; repeat < 50; ++repeat) sums[k] += harmonic(ctx, 10000, 100);
    });
  }
  for (auto& t : callers) t.join();
  for (const double s : sums) CHECK(s == sums[0]);
}

// should_stop turns true while bodies run that only end when checkpoint() tells them to: without cancellation
// this test does not return (CTest's time limit then fails it).
TEST(should_stop_cancels_long_bodies) {
  for (const int threads : thread_counts) {
    using clock = std::chrono::steady_clock;
    std::atomic<bool> stop{false};
    std::atomic<int> running{0}, elsewhere{0};
    clock::time_point raised;
    const auto caller = std::this_thread::get_id();
    const context ctx({.threads = threads, .should_stop = [&] {
                         if (std::this_thread::get_id() != caller) ++elsewhere;
                         return stop.load();
                       }});
    std::thread other([&] {
      while (running < threads) std::this_thread::yield();
      raised = clock::now();
      stop = true;
    });
    bool thrown = false;
    try {
      ctx.parallel_for(100, 1, [&](ptrdiff_t, ptrdiff_t, int worker) {
        ++running;
        while (!ctx.checkpoint(worker)) std::this_thread::yield();
      });
    } catch (const cancelled&) {
      thrown = true;
    }
    const double ms = std::chrono::duration<double, std::milli>(clock::now() - raised).count();
    other.join();
    std::printf("     %d threads: %.1f ms from should_stop to the exception\n", threads, ms);
    CHECK(thrown && elsewhere == 0);
    stop = false;
    CHECK(std::isfinite(harmonic(ctx, 1000, 10)));  // the flag went down with the exception
  }
}

TEST(should_stop_is_asked_while_the_caller_waits_for_others) {
  std::atomic<bool> stop{false};
  const context ctx({.threads = 2, .should_stop = [&] { return stop.load(); }});
  bool thrown = false;
  try {
    ctx.parallel_for(2, 1, [&](ptrdiff_t, ptrdiff_t, int worker) {
      static std::atomic<int> here{0};
      ++here;
      while (here < 2) std::this_thread::yield();  // one chunk each
      if (worker == 0) {
        stop = true;  // and the caller has nothing left to do
      } else {
        while (!ctx.checkpoint(worker)) std::this_thread::yield();
      }
    });
  } catch (const cancelled&) {
    thrown = true;
  }
  CHECK(thrown);
}

TEST(should_stop_is_asked_between_chunks) {
  for (const int threads : thread_counts) {
    std::atomic<int> done{0};
    const context ctx({.threads = threads, .should_stop = [] { return true; }});
    bool thrown = false;
    try {
      ctx.parallel_for(1'000'000, 1, [&](ptrdiff_t, ptrdiff_t, int) {
        ++done;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      });
    } catch (const cancelled&) {
      thrown = true;
    }
    CHECK(thrown && done < 1'000'000);
  }
}

TEST(what_should_stop_throws_comes_out) {
  for (const int threads : thread_counts) {
    const context ctx({.threads = threads, .should_stop = []() -> bool { throw failure{17}; }});
    ptrdiff_t where = -1;
    try {
      ctx.parallel_for(1000, 1, [&](ptrdiff_t, ptrdiff_t, int worker) {
        ctx.checkpoint(worker);
        wait_a_little();
      });
    } catch (const failure& f) {
      where = f.where;
    }
    CHECK(where == 17);
  }
}

TEST(cancelling_a_nested_loop_cancels_the_outer_one) {
  const context ctx({.threads = 2, .should_stop = [] { return true; }});
  std::atomic<int> after{0};
  const auto work = [&] {
    ctx.parallel_for(4, 1, [&](ptrdiff_t, ptrdiff_t, int) {
      ctx.parallel_for(4, 1, [&](ptrdiff_t, ptrdiff_t, int worker) {
        while (!ctx.checkpoint(worker)) std::this_thread::yield();
      });
      ++after;  // not reached: the inner loop has thrown
    });
  };
  CHECK_THROWS(cancelled, work(), "cancelled");
  CHECK(after == 0);
}

TEST(poll_and_checkpoint_outside_a_loop) {
  bool stop = false;
  const context ctx({.threads = 1, .should_stop = [&] { return stop; }});
  ctx.poll();
  CHECK(!ctx.checkpoint(0));
  stop = true;
  CHECK_THROWS(cancelled, ctx.poll(), "cancelled");
  while (!ctx.checkpoint(0)) wait_a_little();  // asks at most every 20 ms
  stop = false;
  CHECK_THROWS(cancelled, ctx.poll(), "cancelled");  // what checkpoint said is not lost
  ctx.poll();
}

TEST(report_passes_the_figures_on_and_returns_the_answer) {
  std::string stage;
  ptrdiff_t iteration = 0;
  double error = 0;
  bool stop = false;
  const context ctx({.threads = 1,
                     .should_stop = [&] { return stop; },
                     .progress =
                         [&](const progress_info& p) {
                           stage = p.stage;
                           iteration = p.iteration;
                           error = p.error;
                           return p.iteration >= 3;
                         }});
  CHECK(!ctx.report("sinkhorn", 2, 0.25) && stage == "sinkhorn" && iteration == 2 && error == 0.25);
  CHECK(ctx.report("svds", 3, 0.125) && stage == "svds");
  stop = true;
  CHECK_THROWS(cancelled, ctx.report("svds", 4, 0.0), "cancelled");
  CHECK(iteration == 3);
  const context silent({.threads = 1});
  CHECK(!silent.report("sinkhorn", 1, 1.0));
}

// The child of a process whose threads sleep in a pool has none of them; the same context must work there.
TEST(a_forked_child_goes_on) {
  if (test::emulated()) {
    std::printf("     left out: the emulator cannot start threads in a forked child\n");
    return;
  }
  const context ctx({.threads = 3});
  const double expected = harmonic(ctx, 10000, 100);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // a child that hangs dies, and the parent sees it
    ::_exit(harmonic(ctx, 10000, 100) == expected ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && ::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(harmonic(ctx, 10000, 100) == expected);
}

TEST(default_threads_obey_the_environment) {
  for (const auto& [text, expected] : {std::pair{"3", 3}, {"5,2", 5}, {"1", 1}}) {
    ::setenv("OMP_NUM_THREADS", text, 1);
    CHECK(context::default_threads() == expected);
    CHECK(context().threads() == expected);
    CHECK(context({.threads = 2}).threads() == 2);  // the argument wins
  }
  ::unsetenv("OMP_NUM_THREADS");
  const int automatic = context::default_threads();
  CHECK(automatic >= 1);
  for (const char* junk : {"", "0", "-2", "many"}) {
    ::setenv("OMP_NUM_THREADS", junk, 1);
    CHECK(context::default_threads() == automatic);
  }
  ::unsetenv("OMP_NUM_THREADS");
#if defined(__linux__)
  cpu_set_t before, one;
  CHECK(::sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int k = 0; k < CPU_SETSIZE; ++k) {
    if (CPU_ISSET(k, &before)) {
      CPU_SET(k, &one);
      break;
    }
  }
  if (::sched_setaffinity(0, sizeof one, &one) == 0) {
    CHECK(context::default_threads() == 1);
    CHECK(::sched_setaffinity(0, sizeof before, &before) == 0);
  }
#endif
}

TEST(bad_arguments_are_named) {
  CHECK_THROWS(std::invalid_argument, context({.threads = -1}), "threads must be >= 0, got -1");
  const context ctx({.threads = 2});
  int calls = 0;
  const auto body = [&](ptrdiff_t, ptrdiff_t, int) { ++calls; };
  CHECK_THROWS(std::invalid_argument, ctx.parallel_for(-1, 1, body), "n must be >= 0, got -1");
  CHECK_THROWS(std::invalid_argument, ctx.parallel_for(5, 0, body), "grain must be > 0, got 0");
  CHECK(calls == 0);
}

TEST(scratch_memory_is_the_callers) {
  const context one({.threads = 1}), two({.threads = 2});
  CHECK(one.memory() != nullptr && one.memory()->is_equal(*two.memory()));
  for (const std::size_t bytes : {std::size_t{100}, std::size_t{5} << 20, (std::size_t{9} << 20) + 7}) {
    char* const p = static_cast<char*>(one.memory()->allocate(bytes, 64));
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    p[0] = p[bytes - 1] = 1;
    two.memory()->deallocate(p, bytes, 64);  // what one context took another may give back
  }
  std::pmr::monotonic_buffer_resource own;
  CHECK(context({.threads = 1, .memory = &own}).memory() == &own);
}

TEST_MAIN
