// Many small problems, one a thread at a time.
#pragma once
#include <cstddef>
#include <lapwing/context.hpp>
#include <memory>
#include <vector>

namespace lapwing::ot {

// Calls body(k, context of one thread) for every k < n. Progress and interruption are those of the batch.
template <class Body>
void for_each_alone(const context& ctx, std::ptrdiff_t n, Body&& body) {
  context::options one;
  one.threads = 1;
  one.level = ctx.level();
  one.memory = ctx.memory();
  std::vector<std::unique_ptr<context>> alone;
  for (int w = 0; w < ctx.threads(); ++w) alone.push_back(std::make_unique<context>(one));
  ctx.parallel_for(n, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    for (std::ptrdiff_t k = lo; k < hi; ++k) {
      if (ctx.checkpoint(w)) return;
      body(static_cast<std::size_t>(k), *alone[static_cast<std::size_t>(w)]);
    }
  });
}

}  // namespace lapwing::ot
