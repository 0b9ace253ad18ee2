// The stationary transform: filters whose taps are step samples apart, along every sample. Lines with unit
// stride are filtered as they lie; others are gathered into blocks. Both sum the taps in the same order.
#include <algorithm>
#include <lapwing/multiscale.hpp>

#include "../kernels/table.hpp"
#include "lines.hpp"

namespace lapwing::multiscale {

namespace {

constexpr std::ptrdiff_t columns_at_once = 1 << 13;  // of a long line, so that the taps find it in cache

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
