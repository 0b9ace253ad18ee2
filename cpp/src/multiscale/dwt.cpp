// One level along one axis. Where another axis has its entries next to each other, whole rows of them are
// filtered at a time; otherwise line by line, in two phases. Either way a number sums the same terms in the
// same order.
#include <algorithm>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "boundary.hpp"
#include "filters.hpp"

namespace lapwing::multiscale {

void check_bank(const filter_bank& f) {
  const std::size_t n = f.dec_lo.size();
  check(n >= 2 && n % 2 == 0 && f.dec_hi.size() == n && f.rec_lo.size() == n && f.rec_hi.size() == n,
        "the four filters must have one even length");
}

namespace {

constexpr std::ptrdiff_t least_run = 16;  // entries next to each other that make whole rows worth while
constexpr std::ptrdiff_t row_entries =
    2048;  // of a row at a time: as many rows as there are taps stay in cache
constexpr std::ptrdiff_t line_entries = 2048;  // coefficients of a line at a time
constexpr std::ptrdiff_t task_entries = 1 << 15;

// Three arrays seen as so many lines along an axis, in runs: entry r of a run is r further on in each array.
struct layout {
  std::ptrdiff_t run = 1, runs = 1;
  std::vector<std::ptrdiff_t> extent;  // of the other axes that are not in the run
  std::vector<std::ptrdiff_t> strides[3];
  layout(const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis,
         const std::vector<std::ptrdiff_t>* const (&of)[3]) {
    std::vector<char> used(shape.size(), 0);
    used[at(axis)] = 1;
    for (std::size_t a = 0; a < shape.size(); ++a)
      if (shape[a] == 1) used[a] = 1;
    for (bool grown = true; grown;) {
      grown = false;
      for (std::size_t a = 0; a < shape.size(); ++a)
        if (!used[a] && (*of[0])[a] == run && (*of[1])[a] == run && (*of[2])[a] == run) {
          used[a] = grown = 1;
          run *= shape[a];
        }
    }
    for (std::size_t a = shape.size(); a-- > 0;) {
      if (used[a]) continue;
      extent.push_back(shape[a]);
      runs *= shape[a];
      for (int i = 0; i < 3; ++i) strides[i].push_back((*of[i])[a]);
    }
  }
  std::ptrdiff_t offset(std::ptrdiff_t number, int array) const {
    std::ptrdiff_t sum = 0;
    each_index(extent, number, [&](std::size_t a, std::ptrdiff_t i) { sum += i * strides[array][a]; });
    return sum;
  }
};

// The runs' rows of output, cut into tiles.
struct tiles {
  std::ptrdiff_t run, runs, count, width, across, step, down;
  tiles(const layout& l, std::ptrdiff_t count)
      : run(l.run),
        runs(l.runs),
        count(count),
        width(std::min(l.run, row_entries)),
        across((l.run + width - 1) / width),
        step(std::min(count, std::max<std::ptrdiff_t>(4, task_entries / width))),
        down((count + step - 1) / step) {}
  // body(run, first entry of it, entries, first row, end of the rows, worker)
  template <class F>
  void each(const context& ctx, F&& body) const {
    const std::ptrdiff_t grain = std::max<std::ptrdiff_t>(1, task_entries / (width * step));
    ctx.parallel_for(runs * across * down, grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
      for (std::ptrdiff_t task = a; task < b; ++task) {
        if (ctx.checkpoint(id)) return;
        const std::ptrdiff_t lo = task % down * step, from = task / down % across * width;
        body(task / down / across, from, std::min(width, run - from), lo, std::min(count, lo + step), id);
      }
    });
  }
};

// Samples 2 k of a line, k from first / 2 on, in one phase and samples 2 k + 1 in the other; first is even.
template <class T>
void phases(const kernels::table<T>& k, const T* line, std::ptrdiff_t stride, const extended& signal,
            std::ptrdiff_t first, std::ptrdiff_t pairs, T* even, T* odd) {
  const auto sample = [&](std::ptrdiff_t i) {
    if (signal.inside(i)) return line[i * stride];
    T sum = 0;
    if (i >= signal.first && i <= signal.last)
      for (const term& t : signal.terms(i)) sum += static_cast<T>(t.weight) * line[t.sample * stride];
    return sum;
  };
  std::ptrdiff_t q = 0;
  for (; q < pairs && first + 2 * q < 0; ++q) {
    even[q] = sample(first + 2 * q);
    odd[q] = sample(first + 2 * q + 1);
  }
  const std::ptrdiff_t whole = std::clamp<std::ptrdiff_t>((signal.n - first) / 2, q, pairs);
  const T* from = line + (first + 2 * q) * stride;
  if (stride == 1) {
    k.split(from, whole - q, even + q, odd + q);
    q = whole;
  } else {
    for (; q < whole; ++q, from += 2 * stride) {
      even[q] = from[0];
      odd[q] = from[stride];
    }
  }
  for (; q < pairs; ++q) {
    even[q] = sample(first + 2 * q);
    odd[q] = sample(first + 2 * q + 1);
  }
}

// Entries [first, first + count) of a line that goes on: where they stand, or copied to `to`.
template <class T>
const T* entries(const T* line, std::ptrdiff_t stride, const extended& signal, std::ptrdiff_t first,
                 std::ptrdiff_t count, T* to) {
  const bool all = signal.inside(first) && signal.inside(first + count - 1);
  if (all && stride == 1) return line + first;
  if (all)
    for (std::ptrdiff_t i = 0; i < count; ++i) to[i] = line[(first + i) * stride];
  else
    for (std::ptrdiff_t i = first; i < first + count; ++i)
      to[i - first] = line[(signal.inside(i) ? i : signal.terms(i)[0].sample) * stride];
  return to;
}

}  // namespace

std::ptrdiff_t dwt_length(std::ptrdiff_t n, std::ptrdiff_t filter, boundary mode) {
  return mode == boundary::periodization ? (n + 1) / 2 : (n + filter - 1) / 2;
}
std::ptrdiff_t idwt_length(std::ptrdiff_t m, std::ptrdiff_t filter, boundary mode) {
  return mode == boundary::periodization ? 2 * m : 2 * m - filter + 2;
}

filter_bank named_bank(std::string_view name) {
  const bool reverse = name.starts_with("rbio");
  const std::string wanted =
      reverse ? "bior" + std::string(name.substr(4)) : std::string(name == "haar" ? "db1" : name);
  filter_bank bank;
  for (const stored_bank& s : stored_banks()) {
    if (wanted != s.name) continue;
    bank.dec_lo.assign(s.dec_lo, s.dec_lo + s.length);
    bank.rec_lo.assign(s.rec_lo, s.rec_lo + s.length);
    if (reverse) {
      std::swap(bank.dec_lo, bank.rec_lo);
      std::reverse(bank.dec_lo.begin(), bank.dec_lo.end());
      std::reverse(bank.rec_lo.begin(), bank.rec_lo.end());
    }
    for (int k = 0; k < s.length; ++k) {
      bank.dec_hi.push_back(k % 2 == 0 ? -bank.rec_lo[at(k)] : bank.rec_lo[at(k)]);
      bank.rec_hi.push_back(k % 2 == 0 ? bank.dec_lo[at(k)] : -bank.dec_lo[at(k)]);
    }
    break;
  }
  return bank;
}

std::vector<std::string> bank_names() {
  std::vector<std::string> names{"haar"};
  for (const stored_bank& s : stored_banks()) {
    names.emplace_back(s.name);
    if (names.back().starts_with("bior")) names.push_back("rbio" + names.back().substr(4));
  }
  return names;
}

template <class T>
void dwt(const context& ctx, const axis_view<const T>& x, const filter_bank& bank, boundary mode,
         const axis_view<T>& low, const axis_view<T>& high) {
  const analysis_plan p = checked_analysis(x, bank, mode, low, high);
  const auto lo = cast<T>(bank.dec_lo, true), hi = cast<T>(bank.dec_hi, true);
  const auto& k = kernels::get<T>(ctx.level());
  const layout l(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const std::ptrdiff_t stride = x.strides[at(x.axis)], low_stride = low.strides[at(x.axis)],
                       high_stride = high.strides[at(x.axis)];
  if (l.run >= least_run) {
    const tiles t(l, p.count);
    auto rows = workers<row_source<T>>(
        ctx, [&] { return row_source<T>(ctx, p.signal, t.width, 2 * t.step + p.taps); });
    t.each(ctx, [&](std::ptrdiff_t run, std::ptrdiff_t from, std::ptrdiff_t width, std::ptrdiff_t first,
                    std::ptrdiff_t last, int id) {
      row_source<T>& source = rows[at(id)];
      source.look_at(x.data + l.offset(run, 0) + from, stride, 1, width);
      std::vector<const T*> pointers;
      source.rows(2 * first + p.base, 2 * (last - 1) + p.base + p.taps, pointers);
      k.columns_down(pointers.data(), lo.data(), hi.data(), p.taps, width, last - first,
                     low.data + l.offset(run, 1) + from + first * low_stride, low_stride,
                     high.data + l.offset(run, 2) + from + first * high_stride, high_stride);
    });
    return;
  }
  // A block of a line needs block + taps / 2 samples of each phase; pairs start at an even sample.
  const std::ptrdiff_t block = std::min(p.count, line_entries), blocks = (p.count + block - 1) / block,
                       phase = block + p.taps / 2 + 1, odd_base = p.base & 1;
  auto scratch = workers<buffer<T>>(ctx, [&] { return buffer<T>(ctx, 2 * phase + 2 * block); });
  const std::ptrdiff_t lines = l.runs * l.run,
                       grain = std::max<std::ptrdiff_t>(1, task_entries / (2 * block));
  ctx.parallel_for(lines * blocks, grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
    T *const even = scratch[at(id)].data(), *const odd = even + phase, *const s = odd + phase,
             *const d = s + block;
    for (std::ptrdiff_t task = a; task < b; ++task) {
      if (ctx.checkpoint(id)) return;
      const std::ptrdiff_t line = task / blocks, first = task % blocks * block,
                           count = std::min(block, p.count - first), run = line / l.run, in = line % l.run;
      phases(k, x.data + l.offset(run, 0) + in, stride, p.signal, 2 * first + p.base - odd_base,
             count + p.taps / 2 + odd_base - 1, even, odd);
      T *const to_low = low.data + l.offset(run, 1) + in + first * low_stride, *const to_high =
                                                                                   high.data +
                                                                                   l.offset(run, 2) + in +
                                                                                   first * high_stride;
      T *const at_low = low_stride == 1 ? to_low : s, *const at_high = high_stride == 1 ? to_high : d;
      k.rows_down(odd_base ? odd : even, odd_base ? even + 1 : odd, lo.data(), hi.data(), p.taps, count, 1, 0,
                  at_low, 0, at_high, 0);
      if (low_stride != 1) scatter(s, count, to_low, low_stride);
      if (high_stride != 1) scatter(d, count, to_high, high_stride);
    }
  });
}

template <class T>
void idwt(const context& ctx, const axis_view<const T>& low, const axis_view<const T>& high,
          const filter_bank& bank, boundary mode, const axis_view<T>& y) {
  const synthesis_plan p = checked_synthesis(low, high, bank, mode, y);
  const auto lo = cast<T>(bank.rec_lo, false), hi = cast<T>(bank.rec_hi, false);
  const auto& k = kernels::get<T>(ctx.level());
  const layout l(low.shape, low.axis, {&low.strides, &high.strides, &y.strides});
  const std::ptrdiff_t low_stride = low.strides[at(low.axis)], high_stride = high.strides[at(low.axis)],
                       stride = y.strides[at(low.axis)], pairs = p.last - p.first + 1;
  if (l.run >= least_run) {
    const tiles all(l, pairs);
    const std::ptrdiff_t most = all.width, ring = all.step + p.taps / 2;
    struct source {
      row_source<T> low, high;
      buffer<T> spare;  // of a sample outside
    };
    auto sources = workers<source>(ctx, [&] {
      return source{row_source<T>(ctx, p.bands, most, ring), row_source<T>(ctx, p.bands, most, ring),
                    buffer<T>(ctx, 2 * most)};
    });
    all.each(ctx, [&](std::ptrdiff_t run, std::ptrdiff_t from, std::ptrdiff_t width, std::ptrdiff_t first,
                      std::ptrdiff_t last, int id) {
      source& s = sources[at(id)];
      s.low.look_at(low.data + l.offset(run, 0) + from, low_stride, 1, width);
      s.high.look_at(high.data + l.offset(run, 1) + from, high_stride, 1, width);
      T* const to = y.data + l.offset(run, 2) + from;
      const std::ptrdiff_t origin = first;
      std::vector<const T*> a, d;
      const std::ptrdiff_t end = last + p.first + p.taps / 2 - 1;
      s.low.rows(first + p.first, end, a);
      s.high.rows(first + p.first, end, d);
      for (std::ptrdiff_t i = end; i < end + 2; ++i) {
        a.push_back(s.low.soon(i));
        d.push_back(s.high.soon(i));
      }
      const auto some = [&](std::ptrdiff_t pair, std::ptrdiff_t count, T* out, std::ptrdiff_t ld) {
        k.columns_up(a.data() + (pair - origin), d.data() + (pair - origin), lo.data(), hi.data(), p.taps,
                     width, count, out, ld);
      };
      const auto place = [&](std::ptrdiff_t pair) { return 2 * (pair + p.first) + p.shift; };
      if (place(first) < 0) {
        some(first, 1, s.spare.data(), most);
        std::copy_n(s.spare.data() + most, width, to);
        ++first;
      }
      const bool cut = last > first && place(last - 1) + 1 >= p.count;
      if (cut) --last;
      if (last > first) some(first, last - first, to + place(first) * stride, stride);
      if (cut) {
        some(last, 1, s.spare.data(), most);
        std::copy_n(s.spare.data(), width, to + place(last) * stride);
      }
    });
    return;
  }
  const std::ptrdiff_t block = std::min(pairs, line_entries), blocks = (pairs + block - 1) / block,
                       band = block + p.taps / 2 - 1;
  auto scratch = workers<buffer<T>>(ctx, [&] { return buffer<T>(ctx, 2 * band + 2 * block); });
  const std::ptrdiff_t lines = l.runs * l.run,
                       grain = std::max<std::ptrdiff_t>(1, task_entries / (2 * block));
  ctx.parallel_for(lines * blocks, grain, [&](std::ptrdiff_t from, std::ptrdiff_t to, int id) {
    T *const a = scratch[at(id)].data(), *const d = a + band, *const out = d + band;
    for (std::ptrdiff_t task = from; task < to; ++task) {
      if (ctx.checkpoint(id)) return;
      const std::ptrdiff_t line = task / blocks, first = task % blocks * block,
                           count = std::min(block, pairs - first), run = line / l.run, in = line % l.run,
                           needed = count + p.taps / 2 - 1, t = 2 * (first + p.first) + p.shift;
      k.rows_up(entries(low.data + l.offset(run, 0) + in, low_stride, p.bands, first + p.first, needed, a),
                entries(high.data + l.offset(run, 1) + in, high_stride, p.bands, first + p.first, needed, d),
                lo.data(), hi.data(), p.taps, count, 1, 0, out, 0);
      const std::ptrdiff_t skip = t < 0 ? 1 : 0, end = std::min(t + 2 * count, p.count);
      scatter(out + skip, end - t - skip, y.data + l.offset(run, 2) + in + (t + skip) * stride, stride);
    }
  });
}

#define LAPWING_MULTISCALE(T)                                                                   \
  template void dwt<T>(const context&, const axis_view<const T>&, const filter_bank&, boundary, \
                       const axis_view<T>&, const axis_view<T>&);                               \
  template void idwt<T>(const context&, const axis_view<const T>&, const axis_view<const T>&,   \
                        const filter_bank&, boundary, const axis_view<T>&);
LAPWING_MULTISCALE(float)
LAPWING_MULTISCALE(double)
#undef LAPWING_MULTISCALE

}  // namespace lapwing::multiscale
