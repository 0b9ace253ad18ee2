// What the processor can do, and what this build contains.
#pragma once
#include <lapwing/context.hpp>

namespace lapwing {

// `wanted` if available, else the highest available level below it.
isa clamp(isa wanted) noexcept;

}  // namespace lapwing
