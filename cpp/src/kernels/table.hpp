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

template <class T>
const lifting_table<T>& get_lifting(isa) noexcept;
template <>
const lifting_table<std::int16_t>& get_lifting<std::int16_t>(isa) noexcept;
template <>
const lifting_table<std::int32_t>& get_lifting<std::int32_t>(isa) noexcept;
template <>
const lifting_table<std::int64_t>& get_lifting<std::int64_t>(isa) noexcept;

template <class T>
const pyramid_table<T>& get_pyramid(isa) noexcept;
template <>
const pyramid_table<std::uint8_t>& get_pyramid<std::uint8_t>(isa) noexcept;
template <>
const pyramid_table<std::uint16_t>& get_pyramid<std::uint16_t>(isa) noexcept;
template <>
const pyramid_table<std::int16_t>& get_pyramid<std::int16_t>(isa) noexcept;
template <>
const pyramid_table<float>& get_pyramid<float>(isa) noexcept;
template <>
const pyramid_table<double>& get_pyramid<double>(isa) noexcept;
}  // namespace lapwing::kernels
