/// \file
/// What the library throws, and the check that words it.
#pragma once
#include <sstream>
#include <stdexcept>
#include <utility>

namespace lapwing {

/// The run was cancelled by context::options::should_stop.
class cancelled : public std::runtime_error {
 public:
  cancelled() : std::runtime_error("cancelled by the caller") {}
};

/// The memory that a call would need is beyond the limit that it was given; nothing was allocated.
class memory_exceeded : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws std::invalid_argument with the parts streamed together unless `condition` holds:
/// `check(reg > 0, "reg must be > 0, got ", reg)`.
template <class... Parts>
void check(bool condition, Parts&&... parts) {
  if (condition) [[likely]]
    return;
  std::ostringstream text;
  text.precision(12);
  (text << ... << std::forward<Parts>(parts));
  throw std::invalid_argument(text.str());
}

}  // namespace lapwing
