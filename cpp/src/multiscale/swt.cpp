// The stationary transform: filters whose taps are step samples apart, along every sample. Lines with unit
// stride are filtered as they lie, and so are lines side by side, a few rows of them at a time; others are
// gathered into blocks. All sum the taps in the same order.
#include <algorithm>
#include <array>
#include <lapwing/multiscale.hpp>

#include "../kernels/table.hpp"
#include "lines.hpp"

namespace lapwing::multiscale {

namespace {

constexpr std::ptrdiff_t columns_at_once = 1 << 13;  // of a long line, so that the taps find it in cache
constexpr std::ptrdiff_t tile_rows = 16, tile_columns = 256;  // of lines side by side

// Filters longer than the signal, in samples, meet the same samples again: taps that do are added up.
template <class T>
std::vector<T> folded(const std::vector<double>& f, bool reversed, double scale, std::ptrdiff_t most) {
  std::vector<double> sums(std::min(f.size(), at(most)), 0.0);
  for (std::size_t j = 0; j < f.size(); ++j)
    sums[j % sums.size()] += scale * f[reversed ? f.size() - 1 - j : j];
  return {sums.begin(), sums.end()};
}

struct swt_plan {
  std::ptrdiff_t n, taps, step;
  extended signal;  // sample k looks at k + offset + j step for j < taps
  swt_plan(std::ptrdiff_t n, std::ptrdiff_t filter, std::ptrdiff_t step, std::ptrdiff_t offset)
      : n(n),
        taps(std::min(filter, n / step)),
        step(step),
        signal(n, std::min<std::ptrdiff_t>(0, offset), std::max(n - 1, n - 1 + offset + (taps - 1) * step),
               boundary::periodic),
        offset(offset) {}
  std::ptrdiff_t offset;
  std::ptrdiff_t lead() const { return offset - signal.first; }
  // Whether all that these samples look at is there.
  bool inside(std::ptrdiff_t first, std::ptrdiff_t count) const {
    return first + offset >= 0 && first + count - 1 + offset + (taps - 1) * step < n;
  }
};

void check_step(std::ptrdiff_t n, std::ptrdiff_t step) {
  check(step >= 1 && n % (2 * step) == 0, "the length must be a multiple of ", 2 * step, ", got ", n);
}

template <class T>
void extend_line(const extended& e, const T* x, T* out) {
  std::copy_n(x, e.n, out - e.first);
  e.each([&](std::ptrdiff_t i, const std::vector<term>& terms) { out[i - e.first] = x[terms[0].sample]; });
}

// body(first, count) for pieces of a line of n
template <class F>
void each_piece(std::ptrdiff_t n, F&& body) {
  for (std::ptrdiff_t c = 0; c < n; c += columns_at_once) body(c, std::min(columns_at_once, n - c));
}

// body(line, scratch) for all lines, one after another where there is only one
template <class T, class F>
void each_line(const context& ctx, const lines& l, std::ptrdiff_t numbers, F&& body) {
  std::vector<buffer<T>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, numbers);
  const std::ptrdiff_t grain =
      std::max<std::ptrdiff_t>(1, block_numbers / std::max<std::ptrdiff_t>(numbers, 1));
  ctx.parallel_for(l.count, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t line = lo; line < hi; ++line) {
      if (ctx.checkpoint(id)) return;
      body(line, scratch[at(id)].data());
    }
  });
}

template <class T>
std::ptrdiff_t stride_of(const axis_view<T>& v) {
  return v.strides[at(v.axis)];
}

// Whether the lines of arrays lie side by side, with the same stride along them.
template <class A, class... B>
bool in_sheets(const lines& l, const A& first, const B&... others) {
  if (l.extent.empty() || l.extent[0] < tile_columns / 4) return false;
  for (const auto& s : l.strides)
    if (s[0] != 1) return false;
  return ((stride_of(others) == stride_of(first)) && ...);
}

// body(offsets in the arrays, first row, rows, columns, scratch) for tiles of all sheets of lines side by
// side
template <class T, std::size_t N, class F>
void each_tile(const context& ctx, const lines& l, std::ptrdiff_t n, std::ptrdiff_t numbers, F&& body) {
  const std::ptrdiff_t width = l.extent[0], down = (n + tile_rows - 1) / tile_rows,
                       across = (width + tile_columns - 1) / tile_columns;
  std::vector<buffer<T>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, numbers);
  ctx.parallel_for(l.count / width * across * down, 4, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t t = lo; t < hi; ++t) {
      if (ctx.checkpoint(id)) return;
      const std::ptrdiff_t row = t % down * tile_rows, column = t / down % across * tile_columns;
      std::array<std::ptrdiff_t, N> offset{};
      for (std::size_t a = 0; a < N; ++a) {
        l.place(t / down / across * width, a, offset[a]);
        offset[a] += column;
      }
      body(offset, row, std::min(tile_rows, n - row), std::min(tile_columns, width - column),
           scratch[at(id)].data());
    }
  });
}
// The rows that a tile looks at, tap by tap, where some of them are beyond the ends.
template <class T>
void gather_taps(const swt_plan& p, const T* x, std::ptrdiff_t ld, std::ptrdiff_t row, std::ptrdiff_t rows,
                 std::ptrdiff_t columns, T* out) {
  for (std::ptrdiff_t j = 0; j < p.taps; ++j)
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      std::copy_n(x + remainder(row + i + p.offset + j * p.step, p.n) * ld, columns,
                  out + (j * rows + i) * tile_columns);
}
template <class T>
void copy_rows(const T* from, std::ptrdiff_t rows, std::ptrdiff_t columns, T* to, std::ptrdiff_t ld) {
  for (std::ptrdiff_t i = 0; i < rows; ++i) std::copy_n(from + i * tile_columns, columns, to + i * ld);
}

}  // namespace

template <class T>
void swt(const context& ctx, const axis_view<const T>& x, const filter_bank& bank, std::ptrdiff_t step,
         double scale, const axis_view<T>& low, const axis_view<T>& high) {
  check_bank(bank);
  const std::ptrdiff_t n = x.length(), filter = bank.length();
  check_step(n, step);
  check_axis(low, x.shape, x.axis, n, "low");
  check_axis(high, x.shape, x.axis, n, "high");
  const swt_plan p(n, filter, step, step * (1 - filter / 2));
  const auto lo = folded<T>(bank.dec_lo, true, scale, n / step),
             hi = folded<T>(bank.dec_hi, true, scale, n / step);
  const auto l = lines_of(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  const std::ptrdiff_t rows = p.signal.count();
  if (stride_of(x) == 1 && stride_of(low) == 1 && stride_of(high) == 1) {
    each_line<T>(ctx, l, rows, [&](std::ptrdiff_t line, T* wide) {
      std::ptrdiff_t from = 0, to_low = 0, to_high = 0;
      l.place(line, 0, from);
      l.place(line, 1, to_low);
      l.place(line, 2, to_high);
      extend_line(p.signal, x.data + from, wide);
      each_piece(n, [&](std::ptrdiff_t c, std::ptrdiff_t count) {
        k.dilated_down(wide + p.lead() + c, lo.data(), hi.data(), p.taps, step, 1, 1, count,
                       low.data + to_low + c, high.data + to_high + c);
      });
    });
    return;
  }
  if (in_sheets(l, x, low, high)) {
    const std::ptrdiff_t ld = stride_of(x), tile = tile_rows * tile_columns;
    each_tile<T, 3>(
        ctx, l, n, (p.taps + 2) * tile,
        [&](const std::array<std::ptrdiff_t, 3>& offset, std::ptrdiff_t row, std::ptrdiff_t some,
            std::ptrdiff_t columns, T* wide) {
          const T* const from = x.data + offset[0];
          T *const a = low.data + offset[1] + row * ld, *const d = high.data + offset[2] + row * ld;
          if (p.inside(row, some)) {
            k.dilated_down(from + (row + p.offset) * ld, lo.data(), hi.data(), p.taps, step, some, ld,
                           columns, a, d);
            return;
          }
          T *const made = wide + p.taps * tile, *const second = made + tile;
          gather_taps(p, from, ld, row, some, columns, wide);
          k.dilated_down(wide, lo.data(), hi.data(), p.taps, some, some, tile_columns, columns, made, second);
          copy_rows(made, some, columns, a, ld);
          copy_rows(second, some, columns, d, ld);
        });
    return;
  }
  each_block<T>(
      ctx, l, rows + 2 * n, [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
        offsets_t offset;
        T *a = block + rows * width, *d = a + n * width;
        fill_offsets(l, from, count, 0, offset);
        gather(x.data, stride_of(x), offset, count, width, n, block - p.signal.first * width);
        extend(p.signal, block, width);
        k.dilated_down(block + p.lead() * width, lo.data(), hi.data(), p.taps, step, n, width, width, a, d);
        fill_offsets(l, from, count, 1, offset);
        scatter(a, width, n, offset, count, stride_of(low), low.data);
        fill_offsets(l, from, count, 2, offset);
        scatter(d, width, n, offset, count, stride_of(high), high.data);
      });
}

template <class T>
void iswt(const context& ctx, const axis_view<const T>& low, const axis_view<const T>& high,
          const filter_bank& bank, std::ptrdiff_t step, double scale, const axis_view<T>& y) {
  check_bank(bank);
  const std::ptrdiff_t n = low.length(), filter = bank.length();
  check_step(n, step);
  check_axis(high, low.shape, low.axis, n, "high");
  check_axis(y, low.shape, low.axis, n, "y");
  const swt_plan p(n, filter, step, -step * (filter / 2));
  const auto lo = folded<T>(bank.rec_lo, true, scale / 2, n / step),
             hi = folded<T>(bank.rec_hi, true, scale / 2, n / step);
  const auto l = lines_of(low.shape, low.axis, {&low.strides, &high.strides, &y.strides});
  const auto& k = kernels::get<T>(ctx.level());
  const std::ptrdiff_t rows = p.signal.count();
  if (stride_of(low) == 1 && stride_of(high) == 1 && stride_of(y) == 1) {
    each_line<T>(ctx, l, 2 * rows, [&](std::ptrdiff_t line, T* wide) {
      std::ptrdiff_t from_low = 0, from_high = 0, to = 0;
      l.place(line, 0, from_low);
      l.place(line, 1, from_high);
      l.place(line, 2, to);
      extend_line(p.signal, low.data + from_low, wide);
      extend_line(p.signal, high.data + from_high, wide + rows);
      each_piece(n, [&](std::ptrdiff_t c, std::ptrdiff_t count) {
        const std::ptrdiff_t first = p.lead() + c;
        k.dilated_up(wide + first, wide + rows + first, lo.data(), hi.data(), p.taps, step, 1, 1, count,
                     y.data + to + c);
      });
    });
    return;
  }
  if (in_sheets(l, low, high, y)) {
    const std::ptrdiff_t ld = stride_of(y), tile = tile_rows * tile_columns;
    each_tile<T, 3>(
        ctx, l, n, (2 * p.taps + 1) * tile,
        [&](const std::array<std::ptrdiff_t, 3>& offset, std::ptrdiff_t row, std::ptrdiff_t some,
            std::ptrdiff_t columns, T* wide) {
          const T *const a = low.data + offset[0], *const d = high.data + offset[1];
          T* const out = y.data + offset[2] + row * ld;
          if (p.inside(row, some)) {
            const std::ptrdiff_t first = (row + p.offset) * ld;
            k.dilated_up(a + first, d + first, lo.data(), hi.data(), p.taps, step, some, ld, columns, out);
            return;
          }
          T *const second = wide + p.taps * tile, *const made = second + p.taps * tile;
          gather_taps(p, a, ld, row, some, columns, wide);
          gather_taps(p, d, ld, row, some, columns, second);
          k.dilated_up(wide, second, lo.data(), hi.data(), p.taps, some, some, tile_columns, columns, made);
          copy_rows(made, some, columns, out, ld);
        });
    return;
  }
  each_block<T>(ctx, l, 2 * rows + n,
                [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
                  offsets_t offset;
                  T *d = block + rows * width, *out = d + rows * width;
                  fill_offsets(l, from, count, 0, offset);
                  gather(low.data, stride_of(low), offset, count, width, n, block - p.signal.first * width);
                  extend(p.signal, block, width);
                  fill_offsets(l, from, count, 1, offset);
                  gather(high.data, stride_of(high), offset, count, width, n, d - p.signal.first * width);
                  extend(p.signal, d, width);
                  k.dilated_up(block + p.lead() * width, d + p.lead() * width, lo.data(), hi.data(), p.taps,
                               step, n, width, width, out);
                  fill_offsets(l, from, count, 2, offset);
                  scatter(out, width, n, offset, count, stride_of(y), y.data);
                });
}

#define LAPWING_SWT(T)                                                                                \
  template void swt<T>(const context&, const axis_view<const T>&, const filter_bank&, std::ptrdiff_t, \
                       double, const axis_view<T>&, const axis_view<T>&);                             \
  template void iswt<T>(const context&, const axis_view<const T>&, const axis_view<const T>&,         \
                        const filter_bank&, std::ptrdiff_t, double, const axis_view<T>&);
LAPWING_SWT(float)
LAPWING_SWT(double)
#undef LAPWING_SWT

}  // namespace lapwing::multiscale
