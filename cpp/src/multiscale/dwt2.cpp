// Several levels along two axes. A level goes through a plane once: a few rows are filtered along the columns
// into a block that stays in cache, and that block along its rows straight into the bands. Small planes take
// all their levels one after the other while they are in cache. Large ones are cut into strips, which the
// threads share; within a strip the levels run one behind the other, each keeping only the last rows of what
// it hands on, so that memory is read once and written once.
#include <array>
#include <functional>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <map>
#include <memory>

#include "../kernels/table.hpp"
#include "boundary.hpp"
#include "stream.hpp"

namespace lapwing::multiscale {

namespace {

constexpr std::ptrdiff_t small_plane = 1 << 15;  // entries; its levels stay in the second-level cache
constexpr std::ptrdiff_t cached_plane = 1
                                        << 18;  // so small that its levels need not run one behind the other
constexpr std::ptrdiff_t task_entries = 1 << 16;
constexpr std::ptrdiff_t least_work = 1 << 22;  // entries times taps (and two) that are worth another thread
constexpr std::ptrdiff_t block_bytes = 1 << 14, most_rows = 32;  // at least two: kernels make them in pairs
constexpr std::ptrdiff_t step16 = 16;                            // numbers to which phases are padded
constexpr std::ptrdiff_t piece = 512;                            // numbers that go past the caches at a time

// One plane of an array.
template <class T>
struct plane {
  T* data = nullptr;
  std::ptrdiff_t stride = 0, step = 1;  // from row to row, from entry to entry
  T* row(std::ptrdiff_t r) const { return data + r * stride; }
};

template <class T>
struct taps_of {
  std::vector<T> lo, hi;
};

// The planes of arrays of one shape, but for the two axes.
struct batch {
  std::vector<std::size_t> axes;
  std::vector<std::ptrdiff_t> extent;
  std::ptrdiff_t first, second, count = 1;
  batch(const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t first, std::ptrdiff_t second)
      : first(first), second(second) {
    for (std::size_t a = shape.size(); a-- > 0;) {
      if (a == at(first) || a == at(second) || shape[a] == 1) continue;
      axes.push_back(a);
      extent.push_back(shape[a]);
      count *= shape[a];
    }
  }
  // Where a plane stands along each of the axes; once for all arrays, because divisions are slow.
  void place(std::ptrdiff_t number, std::vector<std::ptrdiff_t>& index) const {
    index.resize(axes.size());
    each_index(extent, number, [&](std::size_t a, std::ptrdiff_t i) { index[a] = i; });
  }
  template <class T>
  plane<T> of(const array_view<T>& v, const std::vector<std::ptrdiff_t>& index) const {
    plane<T> p{v.data, v.strides[at(first)], v.strides[at(second)]};
    for (std::size_t a = 0; a < axes.size(); ++a) p.data += index[a] * v.strides[axes[a]];
    return p;
  }
};

// The bands of a level in the order aa, da, ad, dd.
template <class T>
using four = std::array<plane<T>, 4>;

// Calls rows of so many numbers into the cache in some steps, between other things: memory would wait for
// arithmetic, and then arithmetic for memory. Rows that are null are none.
template <class T>
class calls {
 public:
  calls(const T* const* rows, std::ptrdiff_t count, std::ptrdiff_t width, std::ptrdiff_t steps)
      : rows_(rows),
        count_(count),
        width_(width),
        share_(round_up(width / std::max<std::ptrdiff_t>(steps, 1) + 1, line)) {}
  void some() {
    const std::ptrdiff_t until = std::min(width_, done_ + share_);
    for (std::ptrdiff_t r = 0; r < count_; ++r)
      if (rows_[r])
        for (std::ptrdiff_t i = done_; i < until; i += line) __builtin_prefetch(rows_[r] + i, 0, 2);
    done_ = until;
  }

 private:
  static constexpr std::ptrdiff_t line = 64 / static_cast<std::ptrdiff_t>(sizeof(T));
  const T* const* rows_;
  std::ptrdiff_t count_, width_, share_, done_ = 0;
};

// So many small planes are taken at a time: all of them where threads would cost more than they do.
inline std::ptrdiff_t small_grain(std::ptrdiff_t planes, std::ptrdiff_t entries, std::ptrdiff_t taps) {
  if (planes * entries * (taps + 2) < least_work) return std::max<std::ptrdiff_t>(1, planes);
  return std::max<std::ptrdiff_t>(1, task_entries / std::max<std::ptrdiff_t>(1, entries));
}

// The next lead of a row for which its entry `at` stands at the beginning of a cache line.
std::ptrdiff_t aligned(std::ptrdiff_t lead, std::ptrdiff_t at) { return round_up(lead + at, step16) - at; }

// ---------------------------------------------------------------------------------------------- analysis

template <class T>
struct analysis {
  const kernels::table<T>* k;
  analysis_plan down, along;
  const taps_of<T>*down_taps, *along_taps;
  bool stream;                      // details go past the caches
  std::ptrdiff_t lead, half, rows;  // entries before sample 0 in a phase, length of a phase, rows of a block
  std::vector<std::ptrdiff_t> where;    // places in the block of the samples beyond the ends of a row
  std::vector<std::vector<term>> what;  // and what they are made of, by place

  analysis(const kernels::table<T>& k, std::ptrdiff_t h, std::ptrdiff_t w, const taps_of<T>& down_taps,
           const taps_of<T>& along_taps, boundary down_mode, boundary along_mode, bool stream)
      : k(&k),
        down(h, static_cast<std::ptrdiff_t>(down_taps.lo.size()), down_mode),
        along(w, static_cast<std::ptrdiff_t>(along_taps.lo.size()), along_mode),
        down_taps(&down_taps),
        along_taps(&along_taps),
        stream(stream),
        lead(aligned((1 - along.signal.first) / 2, along.base >> 1)),
        half(round_up(lead + along.signal.last / 2 + 2, step16)),
        rows(std::clamp<std::ptrdiff_t>(block_bytes / (4 * half * static_cast<std::ptrdiff_t>(sizeof(T))), 2,
                                        most_rows)) {
    along.signal.each([&](std::ptrdiff_t i, const std::vector<term>& terms) {
      where.push_back(place(i));
      auto& to = what.emplace_back();
      for (const term& t : terms) to.push_back({place(t.sample), t.weight});
    });
  }
  std::ptrdiff_t place(std::ptrdiff_t i) const { return (i & 1 ? half : 0) + lead + (i >> 1); }
  bool paired() const { return down.taps == 2 && along.taps == 2 && along.n % 2 == 0; }
  std::ptrdiff_t scratch() const { return 4 * std::max(half * rows, piece) + 2 * piece; }
};

template <class T>
struct analysis_worker {
  std::vector<row_source<T>> rows;  // of each level that is not fused with others
  std::vector<const T*> pointers, last_column;
  std::vector<std::ptrdiff_t> index;
  buffer<T> block;
};

template <class T>
using row_fetch = std::function<const T*(std::ptrdiff_t)>;

// Rows [first, last) of the bands; those without data are not wanted. Rows of x come from `fetch` if it is
// given.
template <class T>
void analyse(const analysis<T>& a, const plane<const T>& x, const four<T>& bands, std::ptrdiff_t first,
             std::ptrdiff_t last, row_source<T>& source, analysis_worker<T>& w,
             const row_fetch<T>* fetch = nullptr) {
  const auto& k = *a.k;
  const T *const lo = a.down_taps->lo.data(), *const hi = a.down_taps->hi.data(),
                 *const row_lo = a.along_taps->lo.data(), *const row_hi = a.along_taps->hi.data();
  const std::ptrdiff_t n = a.along.n, count = a.along.count, ld = 2 * a.half;
  T *const low = w.block.data(), *const high = low + ld * a.rows,
           *const spare = low + a.scratch() - 2 * piece;
  if (fetch)
    source.look_at(*fetch, n);
  else
    source.look_at(x.data, x.stride, x.step, n);
  // first entries of the two phases, from where the first coefficient starts
  const std::ptrdiff_t one = a.place(a.along.base), two = a.place(a.along.base + 1);
  // what is put past the caches, or is spread out, goes through `spare`, row by row
  std::array<bool, 4> direct;
  for (std::size_t b = 0; b < 4; ++b) direct[b] = bands[b].data && bands[b].step == 1 && !(a.stream && b > 0);
  const bool all_direct = direct[0] && direct[1] && direct[2] && direct[3];
  const auto put = [&](std::size_t b, std::ptrdiff_t r, std::ptrdiff_t c, std::ptrdiff_t some,
                       const T* from) {
    if (!bands[b].data) return;
    T* const to = bands[b].row(r) + c * bands[b].step;
    if (bands[b].step == 1)
      k.stream(from, some, to);
    else
      scatter(from, some, to, bands[b].step);
  };
  for (std::ptrdiff_t r = first; r < last; r += a.rows) {
    const std::ptrdiff_t rows = std::min(a.rows, last - r);
    w.pointers.clear();
    const std::ptrdiff_t end = 2 * (r + rows - 1) + a.down.base + a.down.taps;
    source.rows(2 * r + a.down.base, end, w.pointers);
    const std::ptrdiff_t soon = a.stream ? 2 * rows : 2;  // rows that come next
    for (std::ptrdiff_t i = end; i < end + soon; ++i) w.pointers.push_back(source.soon(i));
    if (a.paired()) {
      T* to[4];
      long lds[4];
      if (all_direct) {
        for (std::size_t b = 0; b < 4; ++b) {
          to[b] = bands[b].row(r);
          lds[b] = bands[b].stride;
        }
        k.pairs_down(w.pointers.data(), lo, hi, row_lo, row_hi, count, rows, to, lds);
        continue;
      }
      for (std::ptrdiff_t i = 0; i < rows; ++i)
        for (std::ptrdiff_t c = 0; c < count; c += piece) {
          const std::ptrdiff_t some = std::min(piece, count - c);
          const T* from[4];
          for (std::ptrdiff_t j = 0; j < 4; ++j) {
            const T* const p = w.pointers[at(2 * i + j)];
            from[j] = p ? p + 2 * c : nullptr;
          }
          for (std::size_t b = 0; b < 4; ++b) {
            to[b] = direct[b] ? bands[b].row(r + i) + c : low + static_cast<std::ptrdiff_t>(b) * piece;
            lds[b] = 0;
          }
          k.pairs_down(from, lo, hi, row_lo, row_hi, some, 1, to, lds);
          for (std::size_t b = 0; b < 4; ++b)
            if (!direct[b]) put(b, r + i, c, some, to[b]);
        }
      continue;
    }
    k.columns_down_split(w.pointers.data(), lo, hi, a.down.taps, n / 2, rows, low + a.lead, high + a.lead, ld,
                         a.half);
    if (n % 2) {
      w.last_column.clear();
      for (std::size_t i = 0; i + at(soon) < w.pointers.size(); ++i)
        w.last_column.push_back(w.pointers[i] + n - 1);
      k.columns_down(w.last_column.data(), lo, hi, a.down.taps, 1, rows, low + a.place(n - 1), ld,
                     high + a.place(n - 1), ld);
    }
    for (std::size_t e = 0; e < a.where.size(); ++e)
      for (T* row = low; row < low + rows * ld; row += ld) {
        T sum_low = 0, sum_high = 0;
        for (const term& t : a.what[e]) {
          sum_low += static_cast<T>(t.weight) * row[t.sample];
          sum_high += static_cast<T>(t.weight) * row[(high - low) + t.sample];
        }
        row[a.where[e]] = sum_low;
        row[(high - low) + a.where[e]] = sum_high;
      }
    // The first two of the rows that come next were called; the others are, between pieces of rows.
    calls<T> ahead(w.pointers.data() + (w.pointers.size() - at(soon) + 2), soon - 2, n,
                   2 * rows * ((count + piece - 1) / piece));
    // from low come aa and ad, from high da and dd
    for (std::size_t half = 0; half < 2; ++half) {
      const T* const from = half ? high : low;
      const plane<T>&to_low = bands[half], &to_high = bands[half + 2];
      if (direct[half] && direct[half + 2]) {
        k.rows_down(from + one, from + two, row_lo, row_hi, a.along.taps, count, rows, ld, to_low.row(r),
                    to_low.stride, to_high.row(r), to_high.stride);
        continue;
      }
      for (std::ptrdiff_t i = 0; i < rows; ++i)
        for (std::ptrdiff_t c = 0; c < count; c += piece) {
          const std::ptrdiff_t some = std::min(piece, count - c);
          const T* const row = from + i * ld + c;
          T *const l = direct[half] ? to_low.row(r + i) + c : spare, *const h = direct[half + 2]
                                                                                    ? to_high.row(r + i) + c
                                                                                    : spare + piece;
          ahead.some();
          k.rows_down(row + one, row + two, row_lo, row_hi, a.along.taps, some, 1, 0, l, 0, h, 0);
          if (!direct[half]) put(half, r + i, c, some, l);
          if (!direct[half + 2]) put(half + 2, r + i, c, some, h);
        }
    }
  }
  if (a.stream) k.stream_fence();
}

// Rows of what a level hands on, in a ring of the last `kept`; those asked for out of turn, because a signal
// goes on with its other end, are kept for good.
template <class T>
class kept_rows {
 public:
  kept_rows(const context& ctx, std::ptrdiff_t width, std::ptrdiff_t kept)
      : ctx_(&ctx), ld_(round_up(width, step16)), kept_(kept), ring_(ctx, kept * ld_) {}
  // A plane in which some rows from i on lie in the ring, up to its end; i + offset counts from 0.
  plane<T> from(std::ptrdiff_t i, std::ptrdiff_t offset) {
    return {ring_.data() + ((i + offset) % kept_ - i) * ld_, ld_, 1};
  }
  std::ptrdiff_t until_end(std::ptrdiff_t place) const { return kept_ - place % kept_; }
  std::ptrdiff_t kept() const { return kept_; }
  // Rows i ... of which `key` is the name, made by make(plane) when they are first asked for.
  template <class F>
  plane<T> apart(std::ptrdiff_t key, std::ptrdiff_t i, std::ptrdiff_t rows, F&& make) {
    const auto found = apart_.find(key);
    const bool there = found != apart_.end();
    buffer<T>& b = there ? found->second : apart_.emplace(key, buffer<T>(*ctx_, rows * ld_)).first->second;
    const plane<T> p{b.data() - i * ld_, ld_, 1};
    if (!there) make(p);
    return p;
  }

 private:
  const context* ctx_;
  std::ptrdiff_t ld_, kept_;
  buffer<T> ring_;
  std::map<std::ptrdiff_t, buffer<T>> apart_;
};

// One level of a strip. The next one asks for the rows of its approximation, more or less in order.
template <class T>
class descent {
 public:
  // bands without aa; rows [own, own_end) of them are this strip's
  descent(const context& ctx, const analysis<T>& plan, const plane<const T>& x, descent* finer,
          const four<T>& bands, std::ptrdiff_t start, std::ptrdiff_t own, std::ptrdiff_t own_end,
          std::ptrdiff_t window)
      : plan_(plan),
        x_(x),
        bands_(bands),
        source_(ctx, plan.down.signal, plan.along.n, 2 * plan.rows + plan.down.taps),
        kept_(ctx, plan.along.count, 2 * window + plan.rows),
        start_(start),
        next_(start),
        own_(own),
        own_end_(own_end),
        window_(window) {
    worker_.block = buffer<T>(ctx, plan.scratch());
    if (finer) fetch_ = [finer](std::ptrdiff_t i) { return finer->row(i); };
  }
  const T* row(std::ptrdiff_t i) {
    if (i >= start_ && i < next_ + window_) {
      while (next_ <= i) {
        std::ptrdiff_t n = std::min({plan_.rows, plan_.down.count - next_, kept_.until_end(next_)});
        if (next_ < own_)
          n = std::min(n, own_ - next_);
        else if (next_ < own_end_)
          n = std::min(n, own_end_ - next_);
        make(next_, next_ + n, kept_.from(next_, 0), next_ >= own_ && next_ < own_end_);
        next_ += n;
      }
      if (i >= next_ - kept_.kept()) return kept_.from(i, 0).row(i);
    }
    return kept_.apart(i, i, 1, [&](const plane<T>& to) { make(i, i + 1, to, false); }).row(i);
  }
  void make(std::ptrdiff_t first, std::ptrdiff_t last, const plane<T>& aa, bool details) {
    four<T> bands = details ? bands_ : four<T>{};
    bands[0] = aa;
    analyse(plan_, x_, bands, first, last, source_, worker_, fetch_ ? &fetch_ : nullptr);
  }

 private:
  const analysis<T>& plan_;
  plane<const T> x_;
  four<T> bands_;
  row_fetch<T> fetch_;
  row_source<T> source_;
  analysis_worker<T> worker_;
  kept_rows<T> kept_;
  std::ptrdiff_t start_, next_, own_, own_end_, window_;
};

// --------------------------------------------------------------------------------------------- synthesis

template <class T>
struct synthesis {
  const kernels::table<T>* k;
  synthesis_plan down, along;
  const taps_of<T>*down_taps, *along_taps;
  bool stream;
  std::ptrdiff_t h, w;             // of what is wanted: as many samples as there are, or one less
  std::ptrdiff_t lead, ld, pairs;  // entries before coefficient 0, length of a row, pairs of rows of a block

  synthesis(const kernels::table<T>& k, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t h,
            std::ptrdiff_t w, const taps_of<T>& down_taps, const taps_of<T>& along_taps, boundary down_mode,
            boundary along_mode, bool stream)
      : k(&k),
        down(m, static_cast<std::ptrdiff_t>(down_taps.lo.size()), down_mode),
        along(n, static_cast<std::ptrdiff_t>(along_taps.lo.size()), along_mode),
        down_taps(&down_taps),
        along_taps(&along_taps),
        stream(stream),
        h(h),
        w(w),
        lead(aligned(-along.bands.first, along.first)),
        ld(round_up(lead + along.bands.last + 1, step16)),
        pairs(std::clamp<std::ptrdiff_t>(block_bytes / (4 * ld * static_cast<std::ptrdiff_t>(sizeof(T))), 2,
                                         most_rows)) {}
  std::ptrdiff_t row_pairs() const { return along.last - along.first + 1; }
  std::ptrdiff_t scratch() const {
    return 4 * ld * pairs + std::max(2 * pairs * round_up(2 * row_pairs(), step16), 4 * piece);
  }
};

template <class T>
struct synthesis_worker {
  std::vector<std::array<row_source<T>, 4>> rows;  // of each level
  std::array<std::vector<const T*>, 4> pointers;
  std::vector<std::ptrdiff_t> index;
  buffer<T> block;
};

// Pairs [first, last) of rows, counted from the first that there is. Rows of aa come from `fetch` if it is
// given.
template <class T>
void synthesise(const synthesis<T>& s, const four<const T>& bands, const plane<T>& y, std::ptrdiff_t first,
                std::ptrdiff_t last, std::array<row_source<T>, 4>& sources, synthesis_worker<T>& w,
                const row_fetch<T>* fetch = nullptr) {
  const auto& k = *s.k;
  const T *const lo = s.down_taps->lo.data(), *const hi = s.down_taps->hi.data(),
                 *const row_lo = s.along_taps->lo.data(), *const row_hi = s.along_taps->hi.data();
  // With an odd shift what is wanted begins with the second sample of a pair, and pairs of such are made.
  const bool between = 2 * s.along.first + s.along.shift == -1 && s.w == 2 * s.row_pairs() - 2;
  const auto rows_up = between ? k.rows_up_between : k.rows_up;
  const std::ptrdiff_t n = s.along.m, row_pairs = s.row_pairs() - (between ? 1 : 0);
  T *const low = w.block.data(), *const high = low + 2 * s.ld * s.pairs,
           *const out = high + 2 * s.ld * s.pairs;
  for (std::size_t b = 0; b < 4; ++b) sources[b].look_at(bands[b].data, bands[b].stride, bands[b].step, n);
  if (fetch) sources[0].look_at(*fetch, n);
  const std::ptrdiff_t left =
      between ? 0 : 2 * s.along.first + s.along.shift;  // the place of the first sample made
  const bool whole = left == 0 && 2 * row_pairs == s.w, direct = whole && y.step == 1 && !s.stream;
  const auto put = [&](std::ptrdiff_t t, std::ptrdiff_t c, std::ptrdiff_t some, const T* from) {
    T* const to = y.row(t) + c * y.step;
    if (s.stream && y.step == 1)
      k.stream(from, some, to);
    else
      scatter(from, some, to, y.step);
  };
  const bool paired = s.down.taps == 2 && s.along.taps == 2 && whole && s.down.shift == 0 &&
                      bands[0].step == 1 && bands[1].step == 1 && bands[2].step == 1 && bands[3].step == 1;
  for (std::ptrdiff_t p = first; p < last; p += s.pairs) {
    const std::ptrdiff_t pairs = std::min(s.pairs, last - p), t = 2 * (p + s.down.first) + s.down.shift,
                         begin = std::max<std::ptrdiff_t>(t, 0), end = std::min(t + 2 * pairs, s.h);
    if (paired) {
      for (std::ptrdiff_t i = 0; i < pairs; ++i) {
        const bool both = t + 2 * i + 1 < s.h;
        if (direct && both) {
          const T* from[4];
          long lds[4];
          for (std::size_t b = 0; b < 4; ++b) {
            from[b] = b == 0 && fetch ? (*fetch)(p + i) : bands[b].row(p + i);
            lds[b] = bands[b].stride;
          }
          // all rows of the block that are whole pairs
          const std::ptrdiff_t some = fetch ? 1 : (end - (t + 2 * i)) / 2;
          k.pairs_up(from, lds, lo, hi, row_lo, row_hi, row_pairs, some, y.row(t + 2 * i), y.stride);
          i += some - 1;
          continue;
        }
        const T* const approximation = fetch ? (*fetch)(p + i) : bands[0].row(p + i);
        for (std::ptrdiff_t c = 0; c < row_pairs; c += piece) {
          const std::ptrdiff_t some = std::min(piece, row_pairs - c);
          const T* from[4];
          const long lds[4] = {0, bands[1].stride, bands[2].stride, bands[3].stride};
          for (std::size_t b = 0; b < 4; ++b) from[b] = (b == 0 ? approximation : bands[b].row(p + i)) + c;
          k.pairs_up(from, lds, lo, hi, row_lo, row_hi, some, 1, out, 2 * piece);
          put(t + 2 * i, 2 * c, 2 * some, out);
          if (both) put(t + 2 * i + 1, 2 * c, 2 * some, out + 2 * piece);
        }
      }
      continue;
    }
    for (std::size_t b = 0; b < 4; ++b) {
      w.pointers[b].clear();
      const std::ptrdiff_t end = p + pairs + s.down.taps / 2 - 1 + s.down.first;
      sources[b].rows(p + s.down.first, end, w.pointers[b]);
      for (std::ptrdiff_t i = end; i < end + 2; ++i) w.pointers[b].push_back(sources[b].soon(i));
    }
    k.columns_up(w.pointers[0].data(), w.pointers[1].data(), lo, hi, s.down.taps, n, pairs, low + s.lead,
                 s.ld);
    k.columns_up(w.pointers[2].data(), w.pointers[3].data(), lo, hi, s.down.taps, n, pairs, high + s.lead,
                 s.ld);
    s.along.bands.each([&](std::ptrdiff_t i, const std::vector<term>& terms) {
      for (T* row = low + s.lead; row < low + 2 * pairs * s.ld; row += s.ld) {
        row[i] = row[terms[0].sample];
        row[(high - low) + i] = row[(high - low) + terms[0].sample];
      }
    });
    const T *const a = low + s.lead + s.along.first, *const d = high + s.lead + s.along.first;
    if (direct) {
      rows_up(a + (begin - t) * s.ld, d + (begin - t) * s.ld, row_lo, row_hi, s.along.taps, row_pairs,
              end - begin, s.ld, y.row(begin), y.stride);
      continue;
    }
    if (!s.stream) {  // all rows at once, then to their places
      const std::ptrdiff_t ldo = round_up(2 * row_pairs, step16), skip = left < 0 ? 1 : 0,
                           until = std::min(left + 2 * row_pairs, s.w);
      rows_up(a + (begin - t) * s.ld, d + (begin - t) * s.ld, row_lo, row_hi, s.along.taps, row_pairs,
              end - begin, s.ld, out, ldo);
      for (std::ptrdiff_t i = begin; i < end; ++i)
        scatter(out + (i - begin) * ldo + skip, until - left - skip, y.row(i), y.step);
      continue;
    }
    for (std::ptrdiff_t i = begin; i < end; ++i)
      for (std::ptrdiff_t c = 0; c < row_pairs; c += piece) {
        const std::ptrdiff_t some = std::min(piece, row_pairs - c), place = left + 2 * c,
                             skip = place < 0 ? 1 : 0, until = std::min(place + 2 * some, s.w);
        rows_up(a + (i - t) * s.ld + c, d + (i - t) * s.ld + c, row_lo, row_hi, s.along.taps, some, 1, 0, out,
                0);
        if (until > place + skip) put(i, place + skip, until - place - skip, out + skip);
      }
  }
  if (s.stream) k.stream_fence();
}

// One level of a strip, from the coarsest to the finest.
template <class T>
class ascent {
 public:
  ascent(const context& ctx, const synthesis<T>& plan, const four<const T>& bands, ascent* coarser,
         std::ptrdiff_t start, std::ptrdiff_t window)
      : plan_(plan),
        bands_(bands),
        sources_{source(ctx), source(ctx), source(ctx), source(ctx)},
        kept_(ctx, plan.w, 2 * (window + plan.pairs + 1)),
        start_(pair_of(start)),
        next_(start_),
        window_(window) {
    worker_.block = buffer<T>(ctx, plan.scratch());
    if (coarser) fetch_ = [coarser](std::ptrdiff_t i) { return coarser->row(i); };
  }
  const T* row(std::ptrdiff_t i) {
    const std::ptrdiff_t pair = pair_of(i), odd = plan_.down.shift & 1;
    if (pair >= start_ && pair < next_ + window_ / 2 + 1) {
      while (next_ <= pair) {
        const std::ptrdiff_t t = row_of(next_);
        const std::ptrdiff_t n = std::min(
            {plan_.pairs, plan_.down.last - plan_.down.first + 1 - next_, kept_.until_end(t + odd) / 2});
        make(next_, next_ + n, kept_.from(t, odd));
        next_ += n;
      }
      if (i >= row_of(next_) - kept_.kept()) return kept_.from(i, odd).row(i);
    }
    return kept_.apart(pair, row_of(pair), 2, [&](const plane<T>& to) { make(pair, pair + 1, to); }).row(i);
  }
  void make(std::ptrdiff_t first, std::ptrdiff_t last, const plane<T>& y) {
    synthesise(plan_, bands_, y, first, last, sources_, worker_, fetch_ ? &fetch_ : nullptr);
  }
  std::ptrdiff_t pair_of(std::ptrdiff_t i) const { return ((i - plan_.down.shift) >> 1) - plan_.down.first; }
  std::ptrdiff_t row_of(std::ptrdiff_t pair) const {
    return 2 * (pair + plan_.down.first) + plan_.down.shift;
  }

 private:
  row_source<T> source(const context& ctx) const {
    return row_source<T>(ctx, plan_.down.bands, plan_.along.m, plan_.pairs + plan_.down.taps);
  }
  const synthesis<T>& plan_;
  four<const T> bands_;
  row_fetch<T> fetch_;
  std::array<row_source<T>, 4> sources_;
  synthesis_worker<T> worker_;
  kept_rows<T> kept_;
  std::ptrdiff_t start_, next_, window_;
};

// Levels whose planes are too large for the caches, of so many from the finest on.
inline std::size_t streamed_levels(std::size_t levels, std::ptrdiff_t entries) {
  std::size_t n = 1;
  while (n < levels && entries >> (2 * n) > cached_plane) ++n;
  return n;
}
// So many rows are cut into strips: a few for each thread, because not all run at the same speed.
inline std::ptrdiff_t strip_rows(const context& ctx, std::ptrdiff_t rows) {
  const std::ptrdiff_t strips = ctx.threads() == 1 ? 1 : 2 * ctx.threads();
  return std::max<std::ptrdiff_t>(8, (rows + strips - 1) / strips);
}

template <class T>
void check_shape(const array_view<T>& v, std::vector<std::ptrdiff_t> shape, std::ptrdiff_t first,
                 std::ptrdiff_t second, std::ptrdiff_t h, std::ptrdiff_t w, const char* what,
                 std::size_t level) {
  shape[at(first)] = h;
  shape[at(second)] = w;
  check(v.shape.size() == shape.size() && v.strides.size() == shape.size(), what, " of level ", level,
        " must have the dimensions of the other arrays");
  for (std::size_t a = 0; a < shape.size(); ++a)
    check(v.shape[a] == shape[a], what, " of level ", level, " must have ", shape[a], " entries along axis ",
          a, ", got ", v.shape[a]);
}

template <class T>
void check_axes(const array_view<T>& v, const std::array<axis_filter, 2>& axes) {
  const auto n = static_cast<std::ptrdiff_t>(v.shape.size());
  check(v.strides.size() == v.shape.size(), "there must be as many strides as axes");
  for (const axis_filter& a : axes) {
    check(a.axis >= 0 && a.axis < n, "axis must be below ", n, ", got ", a.axis);
    check(v.shape[at(a.axis)] >= 1, "there must be an entry along axis ", a.axis);
    check_bank(*a.bank);
  }
  check(axes[0].axis != axes[1].axis, "axes must differ from each other");
}

template <class T>
plane<T> within(buffer<T>& b, std::ptrdiff_t from, std::ptrdiff_t w) {
  return {b.data() + from, w, 1};
}

}  // namespace

template <class T>
void wavedec2(const context& ctx, const array_view<const T>& x, const std::array<axis_filter, 2>& axes,
              std::span<const details<T>> levels, const array_view<T>& approximation) {
  check_axes(x, axes);
  check(!levels.empty(), "there must be a level");
  const std::ptrdiff_t first = axes[0].axis, second = axes[1].axis;
  const auto& k = kernels::get<T>(ctx.level());
  std::array<taps_of<T>, 2> taps;
  for (std::size_t i = 0; i < 2; ++i)
    taps[i] = {cast<T>(axes[i].bank->dec_lo, true), cast<T>(axes[i].bank->dec_hi, true)};
  std::ptrdiff_t h = x.shape[at(first)], w = x.shape[at(second)];
  const bool small = h * w <= small_plane;
  std::vector<analysis<T>> plans;
  plans.reserve(levels.size());
  std::ptrdiff_t block = 0, approximations = 0, ahead = 0;
  for (std::size_t l = 0; l < levels.size(); ++l) {
    for (const axis_filter& a : axes)
      check((a.axis == first ? h : w) > 1 || (a.mode != boundary::reflect && a.mode != boundary::antireflect),
            "there must be at least two samples to be reflected along axis ", a.axis);
    const analysis<T>& p =
        plans.emplace_back(k, h, w, taps[0], taps[1], axes[0].mode, axes[1].mode,
                           h * w * static_cast<std::ptrdiff_t>(sizeof(T)) >= streamed_bytes);
    h = p.down.count;
    w = p.along.count;
    check_shape(levels[l].da, x.shape, first, second, h, w, "da", l + 1);
    check_shape(levels[l].ad, x.shape, first, second, h, w, "ad", l + 1);
    check_shape(levels[l].dd, x.shape, first, second, h, w, "dd", l + 1);
    if (l < 2) approximations += h * w;  // the two take turns
    if (l == 0) ahead = h * w;
  }
  // Levels that run one behind the other have buffers of their own.
  const std::size_t fused = small ? 0 : streamed_levels(levels.size(), plans[0].down.n * plans[0].along.n);
  for (std::size_t l = fused; l < plans.size(); ++l) block = std::max(block, plans[l].scratch());
  check_shape(approximation, x.shape, first, second, h, w, "the approximation", levels.size());
  auto all = workers<analysis_worker<T>>(ctx, [&] {
    analysis_worker<T> worker;
    for (std::size_t l = fused; l < plans.size(); ++l)
      worker.rows.emplace_back(ctx, plans[l].down.signal, plans[l].along.n,
                               2 * plans[l].rows + plans[l].down.taps);
    worker.block = buffer<T>(ctx, block);
    return worker;
  });
  const batch planes(x.shape, first, second);
  const auto bands_of = [&](std::size_t l, const std::vector<std::ptrdiff_t>& index, buffer<T>& between) {
    const plane<T> aa = l + 1 == levels.size() ? planes.of(approximation, index)
                                               : within(between, l % 2 ? ahead : 0, plans[l].along.count);
    return four<T>{aa, planes.of(levels[l].da, index), planes.of(levels[l].ad, index),
                   planes.of(levels[l].dd, index)};
  };
  const auto next = [](const plane<T>& aa) { return plane<const T>{aa.data, aa.stride, aa.step}; };
  if (small) {
    auto between = workers<buffer<T>>(ctx, [&] { return buffer<T>(ctx, approximations); });
    const std::ptrdiff_t grain =
        small_grain(planes.count, plans[0].down.n * plans[0].along.n, plans[0].along.taps);
    ctx.parallel_for(planes.count, grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
      auto& index = all[at(id)].index;
      for (std::ptrdiff_t number = a; number < b; ++number) {
        planes.place(number, index);
        plane<const T> from = planes.of(x, index);
        for (std::size_t l = 0; l < levels.size(); ++l) {
          const four<T> bands = bands_of(l, index, between[at(id)]);
          analyse(plans[l], from, bands, 0, plans[l].down.count, all[at(id)].rows[l], all[at(id)]);
          from = next(bands[0]);
        }
      }
      ctx.checkpoint(id);
    });
    return;
  }
  const auto& coarsest = plans[fused - 1];
  ahead = coarsest.down.count * coarsest.along.count;
  buffer<T> between(ctx, 2 * ahead);
  std::vector<std::ptrdiff_t> index;
  for (std::ptrdiff_t number = 0; number < planes.count; ++number) {
    planes.place(number, index);
    const auto aa_of = [&](std::size_t l) {  // the levels after the streamed ones take turns
      return l + 1 == levels.size() ? planes.of(approximation, index)
                                    : within(between, (l - fused) % 2 ? 0 : ahead, plans[l].along.count);
    };
    const plane<const T> whole = planes.of(x, index);
    const plane<T> aa = aa_of(fused - 1);
    const std::ptrdiff_t count = coarsest.down.count, strip = strip_rows(ctx, count);
    ctx.parallel_for((count + strip - 1) / strip, 1, [&](std::ptrdiff_t from, std::ptrdiff_t to, int id) {
      for (std::ptrdiff_t s = from; s < to; ++s) {
        const std::ptrdiff_t r0 = s * strip, r1 = std::min(count, r0 + strip);
        // what the strip needs of each level, from the coarsest to the finest
        std::vector<std::ptrdiff_t> start(fused, r0);
        for (std::size_t l = fused - 1; l-- > 0;)
          start[l] = std::max<std::ptrdiff_t>(0, 2 * start[l + 1] + plans[l + 1].down.base);
        std::vector<std::unique_ptr<descent<T>>> stages;
        for (std::size_t l = 0; l < fused; ++l) {
          const auto place = [&](std::ptrdiff_t r) {
            return r == count ? plans[l].down.count : std::min(plans[l].down.count, r << (fused - 1 - l));
          };
          const std::ptrdiff_t window =
              l + 1 < fused ? 2 * plans[l + 1].rows + plans[l + 1].down.taps : plans[l].rows;
          const four<T> bands{plane<T>{}, planes.of(levels[l].da, index), planes.of(levels[l].ad, index),
                              planes.of(levels[l].dd, index)};
          stages.push_back(std::make_unique<descent<T>>(ctx, plans[l], whole,
                                                        l ? stages[l - 1].get() : nullptr, bands, start[l],
                                                        place(r0), place(r1), window));
        }
        for (std::ptrdiff_t r = r0; r < r1; r += coarsest.rows) {
          if (ctx.checkpoint(id)) return;
          stages.back()->make(r, std::min(r1, r + coarsest.rows), aa, true);
        }
      }
    });
    plane<const T> from = next(aa);
    for (std::size_t l = fused; l < levels.size(); ++l) {
      const four<T> bands{aa_of(l), planes.of(levels[l].da, index), planes.of(levels[l].ad, index),
                          planes.of(levels[l].dd, index)};
      const std::ptrdiff_t grain = std::max(plans[l].rows, task_entries / (2 * plans[l].along.n));
      ctx.parallel_for(plans[l].down.count, grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
        if (ctx.checkpoint(id)) return;
        analyse(plans[l], from, bands, a, b, all[at(id)].rows[l - fused], all[at(id)]);
      });
      from = next(bands[0]);
    }
  }
}

template <class T>
void waverec2(const context& ctx, const array_view<const T>& approximation,
              std::span<const details<const T>> levels, const std::array<axis_filter, 2>& axes,
              const array_view<T>& y) {
  check_axes(approximation, axes);
  check(!levels.empty(), "there must be a level");
  const std::ptrdiff_t first = axes[0].axis, second = axes[1].axis;
  const auto& k = kernels::get<T>(ctx.level());
  std::array<taps_of<T>, 2> taps;
  for (std::size_t i = 0; i < 2; ++i)
    taps[i] = {cast<T>(axes[i].bank->rec_lo, false), cast<T>(axes[i].bank->rec_hi, false)};
  check(y.shape.size() == approximation.shape.size() && y.strides.size() == y.shape.size(),
        "y must have the dimensions of the other arrays");
  const std::ptrdiff_t y_h = y.shape[at(first)], y_w = y.shape[at(second)];
  const bool small = y_h * y_w <= small_plane;
  std::vector<synthesis<T>> plans;
  plans.reserve(levels.size());
  std::ptrdiff_t block = 0, approximations = 0, ahead = 0;
  for (std::size_t l = levels.size(); l-- > 0;) {  // the finest level stands first
    const auto& d = levels[l];
    check(d.da.shape.size() == y.shape.size(), "da of level ", l + 1, " must have the dimensions of y");
    const std::ptrdiff_t m = d.da.shape[at(first)], n = d.da.shape[at(second)];
    check(m >= 1 && n >= 1 && idwt_length(m, axes[0].bank->length(), axes[0].mode) >= 1 &&
              idwt_length(n, axes[1].bank->length(), axes[1].mode) >= 1,
          "level ", l + 1, " has too few coefficients for the filters");
    check_shape(d.da, y.shape, first, second, m, n, "da", l + 1);
    check_shape(d.ad, y.shape, first, second, m, n, "ad", l + 1);
    check_shape(d.dd, y.shape, first, second, m, n, "dd", l + 1);
    if (l + 1 == levels.size())
      check_shape(approximation, y.shape, first, second, m, n, "the approximation", l + 1);
    const std::ptrdiff_t h = l ? levels[l - 1].da.shape[at(first)] : y_h,
                         w = l ? levels[l - 1].da.shape[at(second)] : y_w;
    const synthesis<T>& p =
        plans.emplace_back(k, m, n, h, w, taps[0], taps[1], axes[0].mode, axes[1].mode,
                           h * w * static_cast<std::ptrdiff_t>(sizeof(T)) >= streamed_bytes && l == 0);
    check((h == p.down.count || h + 1 == p.down.count) && (w == p.along.count || w + 1 == p.along.count),
          "what level ", l + 1, " comes to is ", p.down.count, " x ", p.along.count, ", and ", h, " x ", w,
          " is needed");
    if (l == 1) ahead = h * w;
    if (l == 1 || l == 2) approximations += h * w;
  }
  // Plans of the finest levels run one behind the other, after the others, with buffers of their own.
  const std::size_t fused = small ? 0 : streamed_levels(levels.size(), y_h * y_w),
                    before = levels.size() - fused;
  for (std::size_t i = 0; i < before; ++i) block = std::max(block, plans[i].scratch());
  auto all = workers<synthesis_worker<T>>(ctx, [&] {
    synthesis_worker<T> worker;
    for (std::size_t i = 0; i < before; ++i) {
      const auto& p = plans[i];
      const auto rows = [&] { return row_source<T>(ctx, p.down.bands, p.along.m, p.pairs + p.down.taps); };
      worker.rows.push_back({rows(), rows(), rows(), rows()});
    }
    worker.block = buffer<T>(ctx, block);
    return worker;
  });
  const batch planes(y.shape, first, second);
  const auto view = [&](const array_view<const T>& v, const std::vector<std::ptrdiff_t>& index) {
    return planes.of(v, index);
  };
  // Plan i is of level levels.size() - i; levels 2, 3 ... leave what they come to in one of two places.
  const auto to_of = [&](std::size_t i, const std::vector<std::ptrdiff_t>& index, buffer<T>& between) {
    const std::size_t l = levels.size() - 1 - i;
    return l == 0 ? planes.of(y, index) : within(between, l % 2 ? 0 : ahead, plans[i].w);
  };
  const auto bands_of = [&](std::size_t i, const plane<const T>& aa,
                            const std::vector<std::ptrdiff_t>& index) {
    const auto& d = levels[levels.size() - 1 - i];
    return four<const T>{aa, view(d.da, index), view(d.ad, index), view(d.dd, index)};
  };
  const auto pairs_of = [](const synthesis<T>& p) { return p.down.last - p.down.first + 1; };
  if (small) {
    auto between = workers<buffer<T>>(ctx, [&] { return buffer<T>(ctx, approximations); });
    const std::ptrdiff_t grain = small_grain(planes.count, y_h * y_w, plans[0].along.taps);
    ctx.parallel_for(planes.count, grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
      auto& index = all[at(id)].index;
      for (std::ptrdiff_t number = a; number < b; ++number) {
        planes.place(number, index);
        plane<const T> aa = view(approximation, index);
        for (std::size_t i = 0; i < plans.size(); ++i) {
          const plane<T> to = to_of(i, index, between[at(id)]);
          synthesise(plans[i], bands_of(i, aa, index), to, 0, pairs_of(plans[i]), all[at(id)].rows[i],
                     all[at(id)]);
          aa = {to.data, to.stride, to.step};
        }
      }
      ctx.checkpoint(id);
    });
    return;
  }
  std::ptrdiff_t room = 0;
  for (std::size_t i = 0; i < before; ++i) room = std::max(room, plans[i].h * plans[i].w);
  buffer<T> between(ctx, 2 * room);
  std::vector<std::ptrdiff_t> index;
  for (std::ptrdiff_t number = 0; number < planes.count; ++number) {
    planes.place(number, index);
    plane<const T> aa = view(approximation, index);
    for (std::size_t i = 0; i < before; ++i) {
      const plane<T> to = within(between, i % 2 ? room : 0, plans[i].w);
      const four<const T> bands = bands_of(i, aa, index);
      const std::ptrdiff_t grain = std::max(plans[i].pairs, task_entries / (4 * plans[i].along.m));
      ctx.parallel_for(pairs_of(plans[i]), grain, [&](std::ptrdiff_t a, std::ptrdiff_t b, int id) {
        if (ctx.checkpoint(id)) return;
        synthesise(plans[i], bands, to, a, b, all[at(id)].rows[i], all[at(id)]);
      });
      aa = {to.data, to.stride, to.step};
    }
    const plane<T> whole = planes.of(y, index);
    const auto& finest = plans.back();
    const std::ptrdiff_t count = pairs_of(finest), strip = strip_rows(ctx, count);
    ctx.parallel_for((count + strip - 1) / strip, 1, [&](std::ptrdiff_t from, std::ptrdiff_t to, int id) {
      for (std::ptrdiff_t s = from; s < to; ++s) {
        const std::ptrdiff_t p0 = s * strip, p1 = std::min(count, p0 + strip);
        // the first row that each level needs of the one before it, from the finest to the coarsest
        std::vector<std::ptrdiff_t> start(plans.size());
        std::ptrdiff_t pair = p0;
        for (std::size_t i = plans.size(); i-- > before;) {
          start[i] = std::max<std::ptrdiff_t>(0, pair + plans[i].down.first);
          if (i > before) pair = ((start[i] - plans[i - 1].down.shift) >> 1) - plans[i - 1].down.first;
        }
        std::vector<std::unique_ptr<ascent<T>>> stages;
        for (std::size_t i = before; i < plans.size(); ++i) {
          const bool last = i + 1 == plans.size();
          const std::ptrdiff_t window = last ? 0 : plans[i + 1].pairs + plans[i + 1].down.taps;
          stages.push_back(std::make_unique<ascent<T>>(ctx, plans[i], bands_of(i, aa, index),
                                                       stages.empty() ? nullptr : stages.back().get(),
                                                       last ? 0 : start[i + 1], window));
        }
        for (std::ptrdiff_t p = p0; p < p1; p += finest.pairs) {
          if (ctx.checkpoint(id)) return;
          stages.back()->make(p, std::min(p1, p + finest.pairs), whole);
        }
      }
    });
  }
}

#define LAPWING_MULTISCALE(T)                                                                              \
  template void wavedec2<T>(const context&, const array_view<const T>&, const std::array<axis_filter, 2>&, \
                            std::span<const details<T>>, const array_view<T>&);                            \
  template void waverec2<T>(const context&, const array_view<const T>&, std::span<const details<const T>>, \
                            const std::array<axis_filter, 2>&, const array_view<T>&);
LAPWING_MULTISCALE(float)
LAPWING_MULTISCALE(double)
#undef LAPWING_MULTISCALE

}  // namespace lapwing::multiscale
