// Lifting. Integers: rows are split and lifted one by one, columns by whole rows while those are in cache, so
// that both directions are one pass; threads take strips of rows and make the few rows that they share twice.
// Floating point numbers: shears along one axis, in blocks of lines.
#include <algorithm>
#include <array>
#include <cmath>
#include <lapwing/multiscale.hpp>

#include "../kernels/table.hpp"
#include "lines.hpp"
#include "stream.hpp"

namespace lapwing::multiscale {

namespace {

constexpr std::ptrdiff_t strip = 64;              // rows of each band
constexpr std::ptrdiff_t slots = 8;               // rows that are kept: a step looks at seven
constexpr std::ptrdiff_t task_numbers = 1 << 16;  // fewer are not worth a thread

std::ptrdiff_t evens(std::ptrdiff_t n) { return (n + 1) / 2; }
std::ptrdiff_t odds(std::ptrdiff_t n) { return n / 2; }

// The entry that stands for one beyond the ends, among the even and among the odd samples of n > 1.
std::ptrdiff_t mirror_even(std::ptrdiff_t j, std::ptrdiff_t n) {
  while (j < 0 || 2 * j >= n) j = j < 0 ? -j : n - 1 - j;
  return j;
}
std::ptrdiff_t mirror_odd(std::ptrdiff_t j, std::ptrdiff_t n) {
  while (j < 0 || 2 * j + 1 >= n) j = j < 0 ? -j - 1 : n - 2 - j;
  return j;
}

bool with_slope(lifting how) { return how == lifting::cdf26; }
kernels::lifting_step first_step(lifting how) {
  return how == lifting::legall53 ? kernels::lift_mean
         : how == lifting::m97    ? kernels::lift_four
                                  : kernels::lift_difference;
}
kernels::lifting_step second_step(lifting how) {
  return how == lifting::legall53 || how == lifting::m97 ? kernels::lift_quarter : kernels::lift_half;
}

// Rows of a batch of planes: `along` numbers them, `across` runs along one.
template <class T>
struct rows_of {
  T* data;
  std::ptrdiff_t stride, step;  // from row to row, and within a row
  T* row(std::ptrdiff_t i) const { return data + i * stride; }
};

// The axes that are not transformed.
struct planes {
  std::vector<std::ptrdiff_t> extent, axes;
  std::ptrdiff_t count = 1;
  planes(const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t along, std::ptrdiff_t across) {
    for (std::ptrdiff_t a = static_cast<std::ptrdiff_t>(shape.size()) - 1; a >= 0; --a) {
      if (a == along || a == across) continue;
      axes.push_back(a);
      extent.push_back(shape[at(a)]);
      count *= shape[at(a)];
    }
  }
  template <class T>
  rows_of<T> rows(const axis_view<T>& v, std::ptrdiff_t across, std::ptrdiff_t plane) const {
    std::ptrdiff_t offset = 0;
    each_index(extent, plane, [&](std::size_t a, std::ptrdiff_t i) { offset += i * v.strides[at(axes[a])]; });
    return {v.data + offset, v.strides[at(v.axis)], v.strides[at(across)]};
  }
};

// Row i of something, in one of a few slots: made when it is asked for and not there.
template <class T>
struct ring {
  T* data = nullptr;
  std::ptrdiff_t stride = 0;
  std::array<std::ptrdiff_t, slots> held;
  void clear() { held.fill(-1); }
  bool holds(std::ptrdiff_t i) const { return held[at(i % slots)] == i; }
  T* place(std::ptrdiff_t i) const { return data + i % slots * stride; }
  void hold(std::ptrdiff_t i) { held[at(i % slots)] = i; }
  template <class F>
  T* get(std::ptrdiff_t i, F&& make) {
    T* const row = place(i);
    if (!holds(i)) {
      make(i, row);
      hold(i);
    }
    return row;
  }
};

struct plan {
  bool vertical, horizontal;
  std::ptrdiff_t rows, columns;                  // of a plane
  std::ptrdiff_t low_rows, low_columns, padded;  // of bands; where the right half of a row begins
  std::ptrdiff_t width, units, strips;           // of a row in a ring; of what strips are made; of them
  plan(lifted_axes how, std::ptrdiff_t rows, std::ptrdiff_t columns)
      : vertical(how != lifted_axes::across),
        horizontal(how != lifted_axes::along),
        rows(rows),
        columns(columns),
        low_rows(vertical ? evens(rows) : rows),
        low_columns(horizontal ? evens(columns) : columns),
        padded(round_up(low_columns, 32) + 32),  // rows a power of 2 apart would share places in caches
        width(round_up(padded + columns - low_columns, 32) + 32),
        units(low_rows),
        strips((units + strip - 1) / strip) {}
  // What a worker needs: a ring, rows beyond a strip or of bands that are gathered, and a line.
  std::ptrdiff_t ring() const { return vertical ? slots * width : 0; }
  std::ptrdiff_t rest() const { return (vertical ? 9 : 3) * width; }
  std::ptrdiff_t scratch() const { return ring() + rest() + round_up(columns, 32); }
  std::ptrdiff_t halves() const { return horizontal ? 2 : 1; }
  std::ptrdiff_t offset(std::ptrdiff_t half) const { return half ? padded : 0; }
  std::ptrdiff_t count(std::ptrdiff_t half) const { return half ? columns - low_columns : low_columns; }
};

template <class T, class F>
void each_strip(const context& ctx, const plan& p, std::ptrdiff_t planes_count, F&& body) {
  if (p.rows * p.columns * planes_count == 0) return;  // the details of single samples
  std::vector<buffer<T>> scratch;
  for (int w = 0; w < ctx.threads(); ++w) scratch.emplace_back(ctx, p.scratch());
  const std::ptrdiff_t tasks = planes_count * p.strips,
                       rows = p.strips > 1 ? (p.vertical ? 2 * strip : strip) : p.rows,
                       grain = std::max<std::ptrdiff_t>(1, task_numbers / (rows * p.columns));
  ctx.parallel_for(tasks, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    for (std::ptrdiff_t t = lo; t < hi; ++t) {
      if (ctx.checkpoint(id)) return;
      const std::ptrdiff_t k0 = t % p.strips * strip;
      body(t / p.strips, k0, std::min(p.units, k0 + strip), scratch[at(id)].data(), id);
    }
  });
}

template <class X, class T>
void check_bands(const axis_view<X>& x, std::ptrdiff_t across, lifted_axes how,
                 const std::vector<axis_view<T>>& bands) {
  const std::size_t count = how == lifted_axes::both ? 4 : 2;
  check(bands.size() == count, "there must be ", count, " bands, got ", bands.size());
  check(across >= 0 && at(across) < x.shape.size() && (across != x.axis || x.shape.size() == 1),
        "the axis across must be another one");
  const bool vertical = how != lifted_axes::across, horizontal = how != lifted_axes::along;
  for (std::size_t b = 0; b < count; ++b) {
    const axis_view<T>& v = bands[b];
    const bool high_along = vertical && (horizontal ? b / 2 : b) == 1, high_across = horizontal && b % 2 == 1;
    check(v.axis == x.axis && v.shape.size() == x.shape.size() && v.strides.size() == x.shape.size(),
          "bands must have the dimensions of x");
    for (std::size_t a = 0; a < x.shape.size(); ++a) {
      std::ptrdiff_t wanted = x.shape[a];
      if (vertical && static_cast<std::ptrdiff_t>(a) == x.axis)
        wanted = high_along ? odds(wanted) : evens(wanted);
      if (horizontal && static_cast<std::ptrdiff_t>(a) == across)
        wanted = high_across ? odds(wanted) : evens(wanted);
      check(v.shape[a] == wanted, "band ", b, " must have ", wanted, " entries along axis ", a, ", got ",
            v.shape[a]);
    }
  }
}

// Rows that a one-dimensional array has: one, all of it.
template <class T>
axis_view<T> with_rows(const axis_view<T>& v, std::ptrdiff_t across) {
  if (across != v.axis) return v;
  axis_view<T> w = v;
  w.shape.push_back(1);
  w.strides.push_back(0);
  w.axis = static_cast<std::ptrdiff_t>(v.shape.size());
  return w;
}

template <class T>
bool unit_stride(const axis_view<T>& v, std::ptrdiff_t axis) {
  const bool empty = std::find(v.shape.begin(), v.shape.end(), 0) != v.shape.end();
  return v.strides[at(axis)] == 1 || v.shape[at(axis)] <= 1 || empty;
}

template <class T>
bool large(const plan& p) {
  return p.rows * p.columns * static_cast<std::ptrdiff_t>(sizeof(T)) >= streamed_bytes;
}

template <class X, class T>
class lifter {  // one strip of one plane
 public:
  // the extent of what is looked at goes to `seen`
  lifter(const plan& p, const kernels::lifting_table<T>& k, const kernels::table<float>& f, lifting how,
         T shift, T* scratch, value_range& seen)
      : p_(p), k_(k), f_(f), how_(how), shift_(shift), stream_(large<T>(p)), seen_(seen) {
    ring_.data = scratch;
    ring_.stride = p.width;
    halo_ = scratch + p.ring();
    line_ = halo_ + p.rest();
  }
  void forward(const rows_of<const X>& x, const std::array<rows_of<T>, 4>& bands, std::ptrdiff_t k0,
               std::ptrdiff_t k1) {
    x_ = x;
    bands_ = bands;
    k0_ = k0;
    k1_ = k1;
    ring_.clear();
    if (!p_.vertical) {
      for (std::ptrdiff_t i = k0; i < k1; ++i) {
        split_row(i, out(0, 0, i), out(0, 1, i));
        finish(0, i);
      }
      if (stream_) f_.stream_fence();
      return;
    }
    if (p_.rows == 1) {
      for (std::ptrdiff_t h = 0; h < p_.halves(); ++h)
        std::copy_n(row(0) + p_.offset(h), p_.count(h), out(0, h, 0));
      finish(0, 0);
      if (stream_) f_.stream_fence();
      return;
    }
    const bool slope = with_slope(how_);
    const bool above = second_step(how_) == kernels::lift_quarter || slope;
    const std::ptrdiff_t from = above && k0 > 0 ? k0 - 1 : k0,
                         to = slope ? std::min(k1 + 1, p_.low_rows) : k1;
    for (std::ptrdiff_t k = from; k < to; ++k) {
      if (how_ == lifting::legall53 && k >= k0 && k < odds(p_.rows)) {
        both(k);
        continue;
      }
      if (k < odds(p_.rows)) first(k);
      if (k >= k0 || slope) second(k);
      if (slope && k > k0) third(k - 1);
      if (k >= k0 && k < k1) {
        finish(0, k);
        if (!slope) finish(1, k);
      }
      if (slope && k > k0) finish(1, k - 1);
    }
    if (slope && k1 == p_.low_rows) {
      third(k1 - 1);
      finish(1, k1 - 1);
    }
    if (stream_) f_.stream_fence();
  }

 private:
  // Where row k of band (low or high along, half across) is made. What goes past the caches, and rows beyond
  // the strip, are made in rows of our own; the lowest band is looked at again, by the next level.
  T* out(std::ptrdiff_t high, std::ptrdiff_t half, std::ptrdiff_t k) const {
    if (stream_ && (high + half > 0 || k < k0_ || k >= k1_))
      return halo_ + (p_.vertical ? 4 * high + k % 4 : 0) * p_.width + p_.offset(half);

    if (k >= k0_ && k < k1_) return band_row(high, half, k);
    return halo_ + (2 * high + (k < k0_ ? 0 : 1)) * p_.width + p_.offset(half);
  }
  // Row k of both halves stays as it is.
  void finish(std::ptrdiff_t high, std::ptrdiff_t k) const {
    if (!stream_ || (high == 1 && k >= odds(p_.rows))) return;
    for (std::ptrdiff_t half = high == 0 ? 1 : 0; half < p_.halves(); ++half) {
      stream_row(f_, out(high, half, k), p_.count(half), band_row(high, half, k));
    }
  }
  T* band_row(std::ptrdiff_t high, std::ptrdiff_t half, std::ptrdiff_t k) const {
    return bands_[at(p_.vertical && p_.horizontal ? 2 * high + half : high + half)].row(k);
  }
  const T* samples(std::ptrdiff_t i) const {
    const X* from = x_.row(i);
    if constexpr (std::is_same_v<X, T>) {
      if (x_.step == 1) look(from);
      if (x_.step == 1 && shift_ == 0) return from;
      if (x_.step != 1)
        for (std::ptrdiff_t j = 0; j < p_.columns; ++j) seen_.add(from[j * x_.step], from[j * x_.step]);
    }
    const auto take = [&](std::ptrdiff_t step) {
      for (std::ptrdiff_t j = 0; j < p_.columns; ++j)
        line_[j] = static_cast<T>(static_cast<T>(from[j * step]) - shift_);
    };
    if (x_.step == 1)
      take(1);
    else
      take(x_.step);
    return line_;
  }
  void look(const T* row) const {
    T least = row[0], largest = row[0];
    k_.extent(row, p_.columns, &least, &largest);
    seen_.add(least, largest);
  }
  void split_row(std::ptrdiff_t i, T* s, T* d) const {
    if (how_ == lifting::legall53) {
      k_.split_legall53(samples(i), p_.columns, s, d);
      return;
    }
    k_.split_line(samples(i), p_.columns, s, d);
    k_.lift_split(static_cast<kernels::lifting_scheme>(how_), false, s, d, p_.columns);
  }
  const T* row(std::ptrdiff_t i) {
    if constexpr (std::is_same_v<X, T>) {
      if (!p_.horizontal && x_.step == 1 && shift_ == 0) {
        if (!ring_.holds(i)) look(x_.row(i));
        ring_.hold(i);
        return x_.row(i);
      }
    }
    return ring_.get(i, [&](std::ptrdiff_t r, T* to) {
      if (p_.horizontal)
        split_row(r, to, to + p_.padded);
      else
        std::copy_n(samples(r), p_.columns, to);
    });
  }
  const T* even(std::ptrdiff_t j) { return row(2 * mirror_even(j, p_.rows)); }
  // Both steps of 5/3 for a pair of rows of the strip; where they end.
  void both(std::ptrdiff_t k) {
    const T *odd = row(2 * k + 1), *a = even(k), *b = even(k + 1);
    const std::ptrdiff_t next = 2 * k + 3;  // rows that are split next, one with each half
    const long ahead =
        x_.step == 1 && next < p_.rows
            ? std::max<long>(1, p_.halves() * static_cast<long>(sizeof(X)) / static_cast<long>(sizeof(T)))
            : 0;
    for (std::ptrdiff_t h = 0, o = 0; h < p_.halves(); ++h, o = p_.padded)
      k_.lift_legall53(a + o, odd + o, b + o, k > 0 ? out(1, h, k - 1) : nullptr,
                       x_.row(ahead ? std::min(next + h, p_.rows - 1) : 0), ahead, p_.count(h), out(0, h, k),
                       out(1, h, k), stream_ && h == 1 ? band_row(0, h, k) : nullptr,
                       stream_ ? band_row(1, h, k) : nullptr);
  }
  void first(std::ptrdiff_t k) {
    const T *t = row(2 * k + 1), *a = even(k), *b = a, *c = a, *e = a;
    if (how_ == lifting::legall53 || how_ == lifting::m97) b = even(k + 1);
    if (how_ == lifting::m97) {
      c = even(k - 1);
      e = even(k + 2);
    }
    for (std::ptrdiff_t h = 0, o = 0; h < p_.halves(); ++h, o = p_.padded)
      k_.lift_rows(first_step(how_), false, t + o, a + o, b + o, c + o, e + o, p_.count(h), out(1, h, k));
  }
  void second(std::ptrdiff_t k) {
    const T* t = row(2 * k);
    const bool two = second_step(how_) == kernels::lift_quarter;
    for (std::ptrdiff_t h = 0, o = 0; h < p_.halves(); ++h, o = p_.padded) {
      T* const to = out(0, h, k);
      if (!two && k >= odds(p_.rows)) {  // the last row of an odd number has no detail
        std::copy_n(t + o, p_.count(h), to);
        continue;
      }
      const T *a = two ? out(1, h, mirror_odd(k - 1, p_.rows)) : out(1, h, k),
              *b = two ? out(1, h, mirror_odd(k, p_.rows)) : a;
      k_.lift_rows(second_step(how_), false, t + o, a, b, a, a, p_.count(h), to);
    }
  }
  void third(std::ptrdiff_t k) {
    if (k >= odds(p_.rows)) return;
    const std::ptrdiff_t before = std::max<std::ptrdiff_t>(k - 1, 0),
                         after = std::min(k + 1, p_.low_rows - 1);
    for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) {
      T* const d = out(1, h, k);
      const T *a = out(0, h, before), *b = out(0, h, after);
      k_.lift_rows(kernels::lift_slope, false, d, a, b, a, a, p_.count(h), d);
    }
  }

  const plan& p_;
  const kernels::lifting_table<T>& k_;
  const kernels::table<float>& f_;
  lifting how_;
  T shift_;
  bool stream_;
  value_range& seen_;
  ring<T> ring_;
  T *halo_, *line_;
  rows_of<const X> x_{};
  std::array<rows_of<T>, 4> bands_{};
  std::ptrdiff_t k0_ = 0, k1_ = 0;
};

template <class T>
class unlifter {
 public:
  // the extents of bands go to `seen`
  unlifter(const plan& p, const kernels::lifting_table<T>& k, const kernels::table<float>& f, lifting how,
           T shift, T* scratch, std::array<value_range, 4>& seen)
      : p_(p), k_(k), f_(f), how_(how), shift_(shift), stream_(large<T>(p)), seen_(seen) {
    ring_.data = scratch;
    ring_.stride = p.width;
    rest_ = scratch + p.ring();  // an odd row, a copy, rows of bands that are gathered, a detail
    line_ = rest_ + p.rest();
  }
  void backward(const std::array<rows_of<const T>, 4>& bands, const rows_of<T>& x, std::ptrdiff_t k0,
                std::ptrdiff_t k1) {
    bands_ = bands;
    x_ = x;
    ring_.clear();
    if (!p_.vertical) {
      for (std::ptrdiff_t i = k0; i < k1; ++i) {
        for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) {
          look(0, h, band(0, h, i, 0));
          std::copy_n(band(0, h, i, 0), p_.count(h), rest_ + p_.offset(h));
        }
        join_row(i, rest_);
      }
      if (stream_) f_.stream_fence();
      return;
    }
    for (std::ptrdiff_t i = 2 * k0; i < std::min(2 * k1, p_.rows); ++i)
      join_row(i, i % 2 ? odd(i / 2) : even(i / 2));
    if (stream_) f_.stream_fence();
  }

 private:
  std::size_t number(std::ptrdiff_t high, std::ptrdiff_t half) const {
    return at(p_.vertical && p_.horizontal ? 2 * high + half : high + half);
  }
  void look(std::ptrdiff_t high, std::ptrdiff_t half, const T* row) const {
    if (p_.count(half) == 0) return;
    T least = row[0], largest = row[0];
    k_.extent(row, p_.count(half), &least, &largest);
    seen_[number(high, half)].add(least, largest);
  }
  // Row k of a band, if there is one to be called into the cache.
  const T* soon(std::ptrdiff_t high, std::ptrdiff_t half, std::ptrdiff_t k) const {
    const auto& b = bands_[number(high, half)];
    return b.step == 1 && k < (high ? odds(p_.rows) : p_.low_rows) ? b.row(k) : nullptr;
  }
  // Row k of a band; gathered into slot `place` where it has strides.
  const T* band(std::ptrdiff_t high, std::ptrdiff_t half, std::ptrdiff_t k, std::ptrdiff_t place) const {
    const auto& b = bands_[number(high, half)];
    if (b.step == 1) return b.row(k);
    T* const to = rest_ + (2 + place) * p_.width + p_.offset(half);
    const T* from = b.row(k);
    for (std::ptrdiff_t j = 0; j < p_.count(half); ++j) to[j] = from[j * b.step];
    return to;
  }
  // The difference that a detail was before the slope was added: into row `to` for one half.
  const T* detail(std::ptrdiff_t k, std::ptrdiff_t half, T* to) const {
    if (!with_slope(how_)) return band(1, half, k, 0);
    const std::ptrdiff_t before = std::max<std::ptrdiff_t>(k - 1, 0),
                         after = std::min(k + 1, p_.low_rows - 1);
    const T *d = band(1, half, k, 0), *a = band(0, half, before, 1), *b = band(0, half, after, 2);
    k_.lift_rows(kernels::lift_slope, true, d, a, b, a, a, p_.count(half), to);
    return to;
  }
  const T* even(std::ptrdiff_t j) {
    return ring_.get(j, [&](std::ptrdiff_t k, T* to) {
      const bool two = second_step(how_) == kernels::lift_quarter;
      for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) {
        const std::ptrdiff_t o = p_.offset(h);
        const T* s = band(0, h, k, 3);
        look(0, h, s);
        if (p_.rows == 1 || (!two && k >= odds(p_.rows))) {
          std::copy_n(s, p_.count(h), to + o);
          continue;
        }
        const T *a = two ? band(1, h, mirror_odd(k - 1, p_.rows), 4) : detail(k, h, rest_ + 8 * p_.width + o),
                *b = two ? band(1, h, mirror_odd(k, p_.rows), 5) : a;
        k_.lift_rows(second_step(how_), true, s, a, b, a, a, p_.count(h), to + o);
      }
    });
  }
  const T* odd(std::ptrdiff_t k) {
    for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) look(1, h, band(1, h, k, 0));
    if (how_ == lifting::legall53 && k + 1 < p_.low_rows && !ring_.holds(k + 1)) return with_next_even(k);
    const T *a = even(k), *b = a, *c = a, *e = a;
    if (how_ == lifting::legall53 || how_ == lifting::m97) b = even(mirror_even(k + 1, p_.rows));
    if (how_ == lifting::m97) {
      c = even(mirror_even(k - 1, p_.rows));
      e = even(mirror_even(k + 2, p_.rows));
    }
    for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) {
      const std::ptrdiff_t o = p_.offset(h);
      k_.lift_rows(first_step(how_), true, detail(k, h, rest_ + 8 * p_.width + o), a + o, b + o, c + o, e + o,
                   p_.count(h), rest_ + o);
    }
    return rest_;
  }
  // The odd row of 5/3 together with the even one after it.
  const T* with_next_even(std::ptrdiff_t k) {
    const T* const a = even(k);
    T* const b = ring_.place(k + 1);
    for (std::ptrdiff_t h = 0; h < p_.halves(); ++h) {
      const std::ptrdiff_t o = p_.offset(h);
      const T* const s = band(0, h, k + 1, 3);
      look(0, h, s);
      k_.unlift_legall53(a + o, s, band(1, h, k, 4), band(1, h, mirror_odd(k + 1, p_.rows), 5),
                         soon(0, h, k + 2), soon(1, h, k + 2), p_.count(h), b + o, rest_ + o);
    }
    ring_.hold(k + 1);
    return rest_;
  }
  void join_row(std::ptrdiff_t i, const T* halves) {
    T* to = x_.row(i);
    const T* from = halves;
    if (p_.horizontal && how_ == lifting::legall53) {
      T* const whole = shift_ == 0 && !stream_ ? to : line_;
      k_.join_legall53(halves, halves + p_.padded, p_.columns, whole);
      if (shift_ == 0) {
        if (stream_) stream_row(f_, line_, p_.columns, to);
        return;
      }
      from = line_;
    } else if (p_.horizontal) {
      T* const copy = halves == rest_ ? rest_ : rest_ + p_.width;
      if (copy != halves) std::copy_n(halves, p_.padded + p_.columns - p_.low_columns, copy);
      k_.lift_split(static_cast<kernels::lifting_scheme>(how_), true, copy, copy + p_.padded, p_.columns);
      if (shift_ == 0) {
        k_.join_line(copy, copy + p_.padded, p_.columns, stream_ ? line_ : to);
        if (stream_) stream_row(f_, line_, p_.columns, to);
        return;
      }
      k_.join_line(copy, copy + p_.padded, p_.columns, line_);
      from = line_;
    }
    for (std::ptrdiff_t j = 0; j < p_.columns; ++j) to[j] = static_cast<T>(from[j] + shift_);
  }

  const plan& p_;
  const kernels::lifting_table<T>& k_;
  const kernels::table<float>& f_;
  lifting how_;
  T shift_;
  bool stream_;
  std::array<value_range, 4>& seen_;
  ring<T> ring_;
  T *rest_, *line_;
  std::array<rows_of<const T>, 4> bands_{};
  rows_of<T> x_{};
};

}  // namespace

template <class X, class T>
value_range lift(const context& ctx, const axis_view<const X>& given, std::ptrdiff_t given_across,
                 lifted_axes which, lifting how, T shift, const std::vector<axis_view<T>>& given_bands) {
  check_bands(given, given_across, which, given_bands);
  check(given_across != given.axis || which == lifted_axes::across, "one axis has none across");
  const auto x = with_rows(given, given_across);
  const std::ptrdiff_t across = given_across;
  std::vector<axis_view<T>> bands;
  for (const auto& b : given_bands) {
    bands.push_back(with_rows(b, given_across));
    check(unit_stride(bands.back(), across), "bands must have unit stride across");
  }
  const plan p(which, x.length(), x.shape[at(across)]);
  const planes batch(x.shape, x.axis, across);
  const auto& k = kernels::get_lifting<T>(ctx.level());
  const auto& f = kernels::get<float>(ctx.level());
  std::vector<value_range> seen(at(ctx.threads()));
  each_strip<T>(
      ctx, p, batch.count,
      [&](std::ptrdiff_t plane, std::ptrdiff_t k0, std::ptrdiff_t k1, T* scratch, int id) {
        std::array<rows_of<T>, 4> to{};
        for (std::size_t b = 0; b < bands.size(); ++b) to[b] = batch.rows(bands[b], across, plane);
        value_range here;
        lifter<X, T>(p, k, f, how, shift, scratch, here).forward(batch.rows(x, across, plane), to, k0, k1);
        seen[at(id)].add(here.least, here.largest);
      });
  for (const value_range& e : seen) seen[0].add(e.least, e.largest);
  return seen[0];
}

template <class T>
std::vector<value_range> unlift(const context& ctx, const std::vector<axis_view<const T>>& given_bands,
                                std::ptrdiff_t given_across, lifted_axes which, lifting how, T shift,
                                const axis_view<T>& given) {
  check_bands(given, given_across, which, given_bands);
  check(given_across != given.axis || which == lifted_axes::across, "one axis has none across");
  const auto x = with_rows(given, given_across);
  const std::ptrdiff_t across = given_across;
  check(unit_stride(x, across), "x must have unit stride across");
  std::vector<axis_view<const T>> bands;
  for (const auto& b : given_bands) bands.push_back(with_rows(b, given_across));
  const plan p(which, x.length(), x.shape[at(across)]);
  const planes batch(x.shape, x.axis, across);
  const auto& k = kernels::get_lifting<T>(ctx.level());
  const auto& f = kernels::get<float>(ctx.level());
  std::vector<std::array<value_range, 4>> seen(at(ctx.threads()));
  each_strip<T>(
      ctx, p, batch.count,
      [&](std::ptrdiff_t plane, std::ptrdiff_t k0, std::ptrdiff_t k1, T* scratch, int id) {
        std::array<rows_of<const T>, 4> from{};
        for (std::size_t b = 0; b < bands.size(); ++b) from[b] = batch.rows(bands[b], across, plane);
        std::array<value_range, 4> here;
        unlifter<T>(p, k, f, how, shift, scratch, here).backward(from, batch.rows(x, across, plane), k0, k1);
        for (std::size_t b = 0; b < 4; ++b) seen[at(id)][b].add(here[b].least, here[b].largest);
      });
  std::vector<value_range> all(bands.size());
  for (const auto& one : seen)
    for (std::size_t b = 0; b < all.size(); ++b) all[b].add(one[b].least, one[b].largest);
  return all;
}

#define LAPWING_LIFT(X, T)                                                                                \
  template value_range lift<X, T>(const context&, const axis_view<const X>&, std::ptrdiff_t, lifted_axes, \
                                  lifting, T, const std::vector<axis_view<T>>&);
LAPWING_LIFT(std::uint8_t, std::int16_t)
LAPWING_LIFT(std::uint8_t, std::int32_t)
LAPWING_LIFT(std::uint8_t, std::int64_t)
LAPWING_LIFT(std::int16_t, std::int16_t)
LAPWING_LIFT(std::int32_t, std::int32_t)
LAPWING_LIFT(std::int64_t, std::int64_t)
#undef LAPWING_LIFT
#define LAPWING_UNLIFT(T)                                                                             \
  template std::vector<value_range> unlift<T>(const context&, const std::vector<axis_view<const T>>&, \
                                              std::ptrdiff_t, lifted_axes, lifting, T, const axis_view<T>&);
LAPWING_UNLIFT(std::int16_t)
LAPWING_UNLIFT(std::int32_t)
LAPWING_UNLIFT(std::int64_t)
#undef LAPWING_UNLIFT

// ---- shears
// ------------------------------------------------------------------------------------------------

namespace {

// target k += wa source_(k + a) + wb source_(k + b)
struct shear_step {
  bool odd;  // the target
  std::ptrdiff_t a, b;
  double wa, wb;
};

// The factors of 9/7: the roots of its bank, by the factorisation of Daubechies and Sweldens.
std::vector<shear_step> forward_steps(shears how) {
  const double root = std::sqrt(3.0);
  switch (how) {
    case shears::haar:
      return {{true, 0, 0, -1, 0}, {false, 0, 0, 0.5, 0}};
    case shears::legall53:
      return {{true, 0, 1, -0.5, -0.5}, {false, -1, 0, 0.25, 0.25}};
    case shears::cdf97: {
      constexpr double w[] = {-1.586134342059923558, -0.052980118572961414, 0.882911075530933296,
                              0.443506852043971152};
      return {{true, 0, 1, w[0], w[0]},
              {false, -1, 0, w[1], w[1]},
              {true, 0, 1, w[2], w[2]},
              {false, -1, 0, w[3], w[3]}};
    }
    case shears::db2:
      return {{false, -1, 0, 1 / root, 0},
              {true, 0, 1, -(6 - 3 * root) / 4, -root / 4},
              {false, 0, 0, 1.0 / 3, 0}};
    case shears::bior13:
      return {{true, 0, 0, -1, 0}, {false, 0, 0, 0.5, 0}, {false, -1, 1, 0.0625, -0.0625}};
  }
  return {};
}

// Transposed: of the inverse, each step in its place.
std::vector<shear_step> steps_of(shears how, bool transposed) {
  auto steps = forward_steps(how);
  if (transposed)
    for (shear_step& s : steps) s = {!s.odd, -s.a, -s.b, -s.wa, -s.wb};
  return steps;
}

// Rows 2 k and 2 k + 1 of a block of 2 m rows are the even and odd samples.
template <class T>
void take_step(const kernels::table<T>& k, const shear_step& s, bool undo, std::ptrdiff_t m,
               std::ptrdiff_t width, T* block) {
  const T sign = undo ? T(-1) : T(1), wa = sign * static_cast<T>(s.wa), wb = sign * static_cast<T>(s.wb);
  for (std::ptrdiff_t j = 0; j < m; ++j) {
    T* const target = block + (2 * j + (s.odd ? 1 : 0)) * width;
    const std::ptrdiff_t other = s.odd ? 0 : 1;
    k.lift_linear(target, block + (2 * remainder(j + s.a, m) + other) * width,
                  block + (2 * remainder(j + s.b, m) + other) * width, wa, wb, width, target);
  }
}

template <class T>
void check_even(const axis_view<T>& x) {
  check(x.length() >= 2 && x.length() % 2 == 0, "the length must be even, got ", x.length());
}

}  // namespace

template <class T>
void shear(const context& ctx, const axis_view<const T>& x, shears how, const axis_view<T>& low,
           const axis_view<T>& high, bool transposed) {
  check_even(x);
  const std::ptrdiff_t n = x.length(), m = n / 2;
  check_axis(low, x.shape, x.axis, m, "low");
  check_axis(high, x.shape, x.axis, m, "high");
  const auto steps = steps_of(how, transposed);
  const auto l = lines_of(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  each_block<T>(ctx, l, n, [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
    offsets_t offset{};
    fill_offsets(l, from, count, 0, offset);
    gather(x.data, x.strides[at(x.axis)], offset, count, width, n, block);
    for (const shear_step& s : steps) take_step(k, s, false, m, width, block);
    fill_offsets(l, from, count, 1, offset);
    scatter(block, 2 * width, m, offset, count, low.strides[at(low.axis)], low.data);
    fill_offsets(l, from, count, 2, offset);
    scatter(block + width, 2 * width, m, offset, count, high.strides[at(high.axis)], high.data);
  });
}

template <class T>
void unshear(const context& ctx, const axis_view<const T>& low, const axis_view<const T>& high, shears how,
             const axis_view<T>& x, bool transposed) {
  check_even(x);
  const std::ptrdiff_t n = x.length(), m = n / 2;
  check_axis(low, x.shape, x.axis, m, "low");
  check_axis(high, x.shape, x.axis, m, "high");
  auto steps = steps_of(how, transposed);
  std::reverse(steps.begin(), steps.end());
  const auto l = lines_of(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  each_block<T>(ctx, l, 2 * n,
                [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
                  offsets_t offset{};
                  T* const bands = block + n * width;
                  fill_offsets(l, from, count, 1, offset);
                  gather(low.data, low.strides[at(low.axis)], offset, count, width, m, bands);
                  fill_offsets(l, from, count, 2, offset);
                  gather(high.data, high.strides[at(high.axis)], offset, count, width, m, bands + m * width);
                  for (std::ptrdiff_t j = 0; j < m; ++j) {
                    std::copy_n(bands + j * width, width, block + 2 * j * width);
                    std::copy_n(bands + (m + j) * width, width, block + (2 * j + 1) * width);
                  }
                  for (const shear_step& s : steps) take_step(k, s, true, m, width, block);
                  fill_offsets(l, from, count, 0, offset);
                  scatter(block, width, n, offset, count, x.strides[at(x.axis)], x.data);
                });
}

#define LAPWING_SHEAR(T)                                                                                 \
  template void shear<T>(const context&, const axis_view<const T>&, shears, const axis_view<T>&,         \
                         const axis_view<T>&, bool);                                                     \
  template void unshear<T>(const context&, const axis_view<const T>&, const axis_view<const T>&, shears, \
                           const axis_view<T>&, bool);
LAPWING_SHEAR(float)
LAPWING_SHEAR(double)
#undef LAPWING_SHEAR

}  // namespace lapwing::multiscale
