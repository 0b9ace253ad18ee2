// What the transforms along one axis share: signals beyond their ends, and blocks of lines. A block holds one
// sample of each of its lines in a row, so that whatever the strides were, a step is taken along rows.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <vector>

#include "../buffer.hpp"

namespace lapwing::multiscale {

constexpr std::ptrdiff_t most_lines = 32, block_numbers = 1 << 16;

inline std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

inline std::ptrdiff_t remainder(std::ptrdiff_t i, std::ptrdiff_t n) { return (i % n + n) % n; }

struct term {
  std::ptrdiff_t sample;
  double weight;
};

// The sample at any place i of a signal of n samples that goes on as the boundary says, in terms of those
// that there are.
inline std::vector<term> extension(std::ptrdiff_t i, std::ptrdiff_t n, boundary mode) {
  if (i >= 0 && i < n) return {{i, 1}};
  const std::ptrdiff_t twice = 2 * n, bounce = 2 * n - 2;
  switch (mode) {
    case boundary::zero:
      return {};
    case boundary::constant:
      return {{i < 0 ? 0 : n - 1, 1}};
    case boundary::symmetric:
    case boundary::antisymmetric: {
      const std::ptrdiff_t j = remainder(i, twice);
      const double sign = mode == boundary::symmetric ? 1 : -1;
      return {j < n ? term{j, 1} : term{twice - 1 - j, sign}};
    }
    case boundary::reflect: {
      const std::ptrdiff_t j = remainder(i, bounce);
      return {{j < n ? j : bounce - j, 1}};
    }
    case boundary::periodic:
      return {{remainder(i, n), 1}};
    case boundary::antireflect: {
      const std::ptrdiff_t j = remainder(i, bounce), rounds = (i - j) / bounce;
      const double far = 2 * static_cast<double>(rounds);
      if (j < n) return {{n - 1, far}, {0, -far}, {j, 1}};
      return {{n - 1, far + 2}, {0, -far}, {bounce - j, -1}};
    }
    case boundary::smooth: {
      if (n == 1) return {{0, 1}};
      const std::ptrdiff_t end = i < 0 ? 0 : n - 1, next = i < 0 ? 1 : n - 2;
      const double steps = static_cast<double>(i < 0 ? -i : i - end);
      return {{end, 1 + steps}, {next, -steps}};
    }
    case boundary::periodization: {
      const std::ptrdiff_t even = n + n % 2;
      return {{std::min(remainder(i, even), n - 1), 1}};
    }
  }
  return {};
}

// Rows [first, first + count) of the extended signal, and what those that are not samples are made of.
struct extended {
  std::ptrdiff_t n, first, count;
  std::vector<std::vector<term>> before, after;  // of rows first ... -1 and n ... first + count - 1
  extended(std::ptrdiff_t n, std::ptrdiff_t first, std::ptrdiff_t last, boundary mode)
      : n(n), first(first), count(last - first + 1) {
    for (std::ptrdiff_t i = first; i < std::min<std::ptrdiff_t>(0, last + 1); ++i)
      before.push_back(extension(i, n, mode));
    for (std::ptrdiff_t i = n; i <= last; ++i) after.push_back(extension(i, n, mode));
  }
  template <class F>
  void each(F&& f) const {  // f(row of the block, its terms)
    for (std::size_t r = 0; r < before.size(); ++r) f(static_cast<std::ptrdiff_t>(r), before[r]);
    for (std::size_t r = 0; r < after.size(); ++r) f(n - first + static_cast<std::ptrdiff_t>(r), after[r]);
  }
};

// What of the extended signal the analysis looks at: coefficient k sums f[j] X(2 k + shift - j).
struct analysis_plan {
  std::ptrdiff_t n, taps, count, shift;
  extended signal;
  analysis_plan(std::ptrdiff_t n, std::ptrdiff_t taps, boundary mode)
      : n(n),
        taps(taps),
        count(dwt_length(n, taps, mode)),
        shift(mode == boundary::periodization ? taps / 2 : 1),
        signal(n, std::min<std::ptrdiff_t>(0, shift - taps + 1), std::max(n - 1, 2 * (count - 1) + shift),
               mode) {}
};

// Sample t sums low[k] rec_lo[t - 2 k + lead] + high[k] rec_hi[t - 2 k + lead].
struct synthesis_plan {
  std::ptrdiff_t m, taps, count, lead;
  extended bands;  // wrapped round for periodization; otherwise nothing outside is looked at
  synthesis_plan(std::ptrdiff_t m, std::ptrdiff_t taps, boundary mode)
      : m(m),
        taps(taps),
        count(idwt_length(m, taps, mode)),
        lead(mode == boundary::periodization ? taps / 2 - 1 : taps - 2),
        bands(m, std::min<std::ptrdiff_t>(0, first_of(0)),
              std::max(m - 1, first_of(count - 1) + taps / 2 - 1), boundary::periodic) {}
  // the first of the taps / 2 coefficients that sample t looks at
  std::ptrdiff_t first_of(std::ptrdiff_t t) const {
    const std::ptrdiff_t x = t + lead - (taps - 1);  // 2 k >= x
    return x >= 0 ? (x + 1) / 2 : -((-x) / 2);
  }
};

// The lines of an array: all positions along its other axes, those with the smallest strides next to each
// other.
struct lines {
  std::vector<std::ptrdiff_t> extent;                // of the other axes, the fastest first
  std::vector<std::vector<std::ptrdiff_t>> strides;  // of each array, in the same order
  std::ptrdiff_t count = 1;
  void place(std::ptrdiff_t line, std::size_t array, std::ptrdiff_t& offset) const {
    offset = 0;
    for (std::size_t a = 0; a < extent.size(); ++a) {
      offset += line % extent[a] * strides[array][a];
      line /= extent[a];
    }
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

template <class T>
void gather(const T* data, std::ptrdiff_t stride, const offsets_t& offset, std::ptrdiff_t width,
            std::ptrdiff_t padded, std::ptrdiff_t n, T* block) {
  bool together = true;
  for (std::ptrdiff_t c = 1; c < width; ++c) together = together && offset[at(c)] == offset[0] + c;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    T* row = block + i * padded;
    const T* from = data + i * stride;
    if (together)
      std::copy_n(from + offset[0], width, row);
    else
      for (std::ptrdiff_t c = 0; c < width; ++c) row[c] = from[offset[at(c)]];
    std::fill_n(row + width, padded - width, T(0));
  }
}

template <class T>
void scatter(const T* block, std::ptrdiff_t padded, std::ptrdiff_t n, const offsets_t& offset,
             std::ptrdiff_t width, std::ptrdiff_t stride, T* data) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const T* row = block + i * padded;
    T* to = data + i * stride;
    for (std::ptrdiff_t c = 0; c < width; ++c) to[offset[at(c)]] = row[c];
  }
}

// Fills the rows beyond the ends of a block whose samples are there.
template <class T>
void extend(const extended& e, T* block, std::ptrdiff_t width) {
  T* const samples = block - e.first * width;
  e.each([&](std::ptrdiff_t r, const std::vector<term>& terms) {
    T* row = block + r * width;
    std::fill_n(row, width, T(0));
    for (const term& t : terms) {
      const T w = static_cast<T>(t.weight);
      const T* from = samples + t.sample * width;
      for (std::ptrdiff_t c = 0; c < width; ++c) row[c] += w * from[c];
    }
  });
}

template <class T>
std::vector<T> cast(const std::vector<double>& f, bool reversed) {
  std::vector<T> out(f.begin(), f.end());
  if (reversed) std::reverse(out.begin(), out.end());
  return out;
}

inline void check_bank(const filter_bank& f) {
  const std::size_t n = f.dec_lo.size();
  check(n >= 2 && n % 2 == 0 && f.dec_hi.size() == n && f.rec_lo.size() == n && f.rec_hi.size() == n,
        "the four filters must have one even length");
}

template <class T>
void check_axis(const axis_view<T>& v, const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis,
                std::ptrdiff_t length, const char* what) {
  check(v.axis == axis && v.shape.size() == shape.size() && v.strides.size() == shape.size(), what,
        " must have the dimensions of the other arrays");
  for (std::size_t a = 0; a < shape.size(); ++a) {
    const std::ptrdiff_t wanted = static_cast<std::ptrdiff_t>(a) == axis ? length : shape[a];
    check(v.shape[a] == wanted, what, " must have ", wanted, " entries along axis ", a, ", got ", v.shape[a]);
  }
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
