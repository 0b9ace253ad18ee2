// Blocks of lines: a block holds one sample of each of its lines in a row, so that whatever the strides were,
// a step is taken along rows.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <vector>

#include "../buffer.hpp"
#include "boundary.hpp"

namespace lapwing::multiscale {

constexpr std::ptrdiff_t most_lines = 32, block_numbers = 1 << 16;

// The lines of an array: all positions along its other axes, those with the smallest strides next to each
// other.
struct lines {
  std::vector<std::ptrdiff_t> extent;                // of the other axes, the fastest first
  std::vector<std::vector<std::ptrdiff_t>> strides;  // of each array, in the same order
  std::ptrdiff_t count = 1;
  void place(std::ptrdiff_t line, std::size_t array, std::ptrdiff_t& offset) const {
    offset = 0;
    each_index(extent, line, [&](std::size_t a, std::ptrdiff_t i) { offset += i * strides[array][a]; });
  }
};

inline lines lines_of(const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis,
                      const std::vector<const std::vector<std::ptrdiff_t>*>& strides) {
  lines l;
  std::vector<std::size_t> order;
  for (std::size_t a = 0; a < shape.size(); ++a)
    if (static_cast<std::ptrdiff_t>(a) != axis) order.push_back(a);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs((*strides[0])[a]) < std::abs((*strides[0])[b]);
  });
  l.strides.resize(strides.size());
  for (const std::size_t a : order) {
    l.extent.push_back(shape[a]);
    l.count *= shape[a];
    for (std::size_t s = 0; s < strides.size(); ++s) l.strides[s].push_back((*strides[s])[a]);
  }
  return l;
}

// Offsets of the lines of a block in one array.
using offsets_t = std::array<std::ptrdiff_t, most_lines>;

// Whether the lines lie side by side in memory.
inline bool together(const offsets_t& offset, std::ptrdiff_t width) {
  for (std::ptrdiff_t c = 1; c < width; ++c)
    if (offset[at(c)] != offset[0] + c) return false;
  return true;
}

template <class T>
void gather(const T* data, std::ptrdiff_t stride, const offsets_t& offset, std::ptrdiff_t width,
            std::ptrdiff_t padded, std::ptrdiff_t n, T* block) {
  const bool side_by_side = together(offset, width);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    T* row = block + i * padded;
    const T* from = data + i * stride;
    if (side_by_side)
      std::copy_n(from + offset[0], width, row);
    else
      for (std::ptrdiff_t c = 0; c < width; ++c) row[c] = from[offset[at(c)]];
    std::fill_n(row + width, padded - width, T(0));
  }
}

template <class T>
void scatter(const T* block, std::ptrdiff_t padded, std::ptrdiff_t n, const offsets_t& offset,
             std::ptrdiff_t width, std::ptrdiff_t stride, T* data) {
  const bool side_by_side = together(offset, width);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const T* row = block + i * padded;
    T* to = data + i * stride;
    if (side_by_side)
      std::copy_n(row, width, to + offset[0]);
    else
      for (std::ptrdiff_t c = 0; c < width; ++c) to[offset[at(c)]] = row[c];
  }
}

// Fills the rows beyond the ends of a block whose samples are there.
template <class T>
void extend(const extended& e, T* block, std::ptrdiff_t width) {
  T* const samples = block - e.first * width;
  e.each([&](std::ptrdiff_t i, const std::vector<term>& terms) {
    T* row = samples + i * width;
    std::fill_n(row, width, T(0));
    for (const term& t : terms) {
      const T w = static_cast<T>(t.weight);
      const T* from = samples + t.sample * width;
      for (std::ptrdiff_t c = 0; c < width; ++c) row[c] += w * from[c];
    }
  });
}

// body(lines of a block, number of them, padded number, scratch) for all lines.
template <class T, class F>
void each_block(const context& ctx, const lines& l, std::ptrdiff_t rows, F&& body) {
  constexpr std::ptrdiff_t step = 64 / static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t fit = std::clamp(block_numbers / std::max<std::ptrdiff_t>(rows, 1) / step * step, step,
                                        most_lines),
                       width = std::min(fit, round_up(std::max<std::ptrdiff_t>(l.count, 1), step)),
                       blocks = (l.count + width - 1) / width;
  std::vector<buffer<T>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, rows * width);
  ctx.parallel_for(blocks, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t b = lo; b < hi; ++b) {
      if (ctx.checkpoint(id)) return;
      body(b * width, std::min(width, l.count - b * width), width, scratch[at(id)].data());
    }
  });
}

inline void fill_offsets(const lines& l, std::ptrdiff_t first, std::ptrdiff_t count, std::size_t array,
                         offsets_t& out) {
  for (std::ptrdiff_t c = 0; c < count; ++c) l.place(first + c, array, out[at(c)]);
}

}  // namespace lapwing::multiscale
