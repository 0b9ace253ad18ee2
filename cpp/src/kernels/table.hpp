// The kernel table of an instruction set.
#pragma once
#include <lapwing/context.hpp>

#include "list.hpp"

namespace lapwing::kernels {
template <class T>
const table<T>& get(isa) noexcept;
template <>
const table<float>& get<float>(isa) noexcept;
template <>
const table<double>& get<double>(isa) noexcept;
}  // namespace lapwing::kernels
