// Pyramids. Rows are added up first, as they lie, and the sums are then taken along the row: so strides
// between rows do not matter, nothing but one row of sums is kept, and threads take strips of rows. A level
// of a Laplacian pyramid makes its coarser image strip by strip and takes it away, enlarged, while both are
// in cache.
#include <algorithm>
#include <array>
#include <lapwing/multiscale.hpp>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "lines.hpp"
#include "stream.hpp"

namespace lapwing::multiscale {

namespace {

constexpr std::ptrdiff_t strip = 32;              // rows of the coarser image
constexpr std::ptrdiff_t task_numbers = 1 << 16;  // fewer are not worth a thread
constexpr std::ptrdiff_t margin = 64;             // entries before a row of sums

template <class T>
using sum_of = typename kernels::pyramid_sum<T>::type;
template <class T>
using detail_of = typename pyramid_difference<T>::type;

std::ptrdiff_t coarser(std::ptrdiff_t n) { return (n + 1) / 2; }

std::ptrdiff_t mirrored(std::ptrdiff_t i, std::ptrdiff_t n) {
  if (n == 1) return 0;
  const std::ptrdiff_t j = remainder(i, 2 * n - 2);
  return j < n ? j : 2 * n - 2 - j;
}
// Whether a whole image of U is best put past the caches; what another level looks at next only if no cache
// holds it.
template <class U, class X>
bool past_caches(const image_view<X>& x, std::ptrdiff_t bytes) {
  return x.rows * x.columns * static_cast<std::ptrdiff_t>(sizeof(U)) >= bytes;
}
// Beyond the ends of a coarser image that is enlarged.
std::ptrdiff_t enlarged(std::ptrdiff_t i, std::ptrdiff_t n, pyramid_border border) {
  if (i < 0) return border == pyramid_border::opencv ? std::min<std::ptrdiff_t>(1, n - 1) : 0;
  return std::min(i, n - 1);
}

template <class T>
std::array<sum_of<T>, 3> weights(double a) {
  if constexpr (std::is_floating_point_v<T>) {
    return {static_cast<T>(4 - 8 * a), T(4), static_cast<T>(16 * a)};
  } else {
    check(a == 0.375, "a must be 0.375 for integers, got ", a);
    return {1, 4, 6};
  }
}

template <class T>
T* row_of(const image_view<T>& v, std::ptrdiff_t plane, std::ptrdiff_t i) {
  return v.data + plane * v.plane_stride + i * v.row_stride;
}

template <class T>
struct worker {
  const kernels::pyramid_table<T>& k;
  std::ptrdiff_t fine, coarse, channels;  // columns
  sum_of<T>* sums;                        // of a row, with a margin on either side
  sum_of<T>* planar;                      // the same of one channel
  T* halo;                                // two rows of the coarser image
  T* one;                                 // a row of one channel
  const kernels::table<float>& f;

  static std::ptrdiff_t sums_needed(std::ptrdiff_t columns, std::ptrdiff_t channels) {
    return round_up(columns * channels, 64) + (channels > 1 ? round_up(columns, 64) : 0) + 4 * margin;
  }
  static std::ptrdiff_t rows_needed(std::ptrdiff_t columns, std::ptrdiff_t channels) {
    return 2 * round_up(coarser(columns) * channels, 64) + 2 * round_up(columns, 64);
  }
  worker(const kernels::pyramid_table<T>& k, const kernels::table<float>& f, std::ptrdiff_t fine,
         std::ptrdiff_t channels, sum_of<T>* s, T* rows)
      : k(k),
        fine(fine),
        coarse(coarser(fine)),
        channels(channels),
        sums(s + margin),
        planar(sums + round_up(fine * channels, 64) + 2 * margin),
        halo(rows),
        one(rows + 2 * round_up(coarse * channels, 64)),
        f(f) {}

  // Entries around n sums of a row: `beyond` on either side, from where `place` says.
  template <class F>
  static void surround(sum_of<T>* v, std::ptrdiff_t n, std::ptrdiff_t beyond, F&& place) {
    for (std::ptrdiff_t i = 1; i <= beyond; ++i) v[-i] = v[place(-i)];
    for (std::ptrdiff_t i = 0; i < beyond; ++i) v[n + i] = v[place(n + i)];
  }

  // Row i of the coarser image of x. `ahead`: the rows that come next are called into the cache.
  void narrow(const image_view<const T>& x, std::ptrdiff_t plane, std::ptrdiff_t i,
              const std::array<sum_of<T>, 3>& w, T* out, bool ahead) {
    const T* rows[7];
    for (std::ptrdiff_t t = 0; t < 7; ++t) rows[t] = row_of(x, plane, mirrored(2 * i + t - 2, x.rows));
    if (!ahead) rows[5] = nullptr;
    if (channels == 1) {
      k.pyramid_narrow(rows, w.data(), fine, out);
      return;
    }
    k.pyramid_narrow_rows(rows, w.data(), fine * channels, sums);
    const auto place = [&](std::ptrdiff_t j) { return mirrored(j, fine); };
    for (std::ptrdiff_t c = 0; c < channels; ++c) {
      for (std::ptrdiff_t j = 0; j < fine; ++j) planar[j] = sums[j * channels + c];
      surround(planar, fine, 2, place);
      k.pyramid_narrow_line(planar, w.data(), fine, one);
      for (std::ptrdiff_t j = 0; j < coarse; ++j) out[j * channels + c] = one[j];
    }
  }

  // Row q of the image enlarged from rows that row(i) gives: single(rows, odd, what stands for entry -1)
  // takes it, or line(sums, channel) one channel of several.
  template <class R, class S, class F>
  void widen(std::ptrdiff_t q, std::ptrdiff_t count, pyramid_border border, R&& row, S&& single, F&& line) {
    const std::ptrdiff_t i = q / 2;
    const T* rows[3] = {row(enlarged(i - 1, count, border)), row(i), row(enlarged(i + 1, count, border))};
    if (channels == 1) {
      single(rows, q % 2 == 1, enlarged(-1, coarse, border));
      return;
    }
    k.pyramid_widen_rows(rows, q % 2 == 1, coarse * channels, sums);
    const auto place = [&](std::ptrdiff_t j) { return enlarged(j, coarse, border); };
    for (std::ptrdiff_t c = 0; c < channels; ++c) {
      for (std::ptrdiff_t j = 0; j < coarse; ++j) planar[j] = sums[j * channels + c];
      surround(planar, coarse, 1, place);
      line(planar, c);
    }
  }
};

// body(worker, plane, first and last row of the coarser image) for strips of all planes
template <class T, class F>
void each_strip(const context& ctx, std::ptrdiff_t planes, std::ptrdiff_t rows, std::ptrdiff_t columns,
                std::ptrdiff_t channels, F&& body) {
  const std::ptrdiff_t low = coarser(rows), strips = (low + strip - 1) / strip,
                       numbers = (strips > 1 ? 2 * strip : rows) * columns * channels,
                       grain =
                           std::max<std::ptrdiff_t>(1, task_numbers / std::max<std::ptrdiff_t>(1, numbers));
  std::vector<buffer<sum_of<T>>> sums;
  std::vector<buffer<T>> halos;
  for (int w = 0; w < ctx.threads(); ++w) {
    sums.emplace_back(ctx, worker<T>::sums_needed(columns, channels));
    halos.emplace_back(ctx, worker<T>::rows_needed(columns, channels));
  }
  const auto& k = kernels::get_pyramid<T>(ctx.level());
  const auto& f = kernels::get<float>(ctx.level());
  ctx.parallel_for(planes * strips, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
    worker<T> mine(k, f, columns, channels, sums[at(id)].data(), halos[at(id)].data());
    for (std::ptrdiff_t t = lo; t < hi; ++t) {
      if (ctx.checkpoint(id)) return;
      const std::ptrdiff_t i0 = t % strips * strip;
      body(mine, t / strips, i0, std::min(low, i0 + strip));
    }
  });
}

template <class X, class Y>
void check_coarser(const image_view<X>& fine, const image_view<Y>& coarse) {
  check(fine.rows >= 1 && fine.columns >= 1 && fine.channels >= 1, "the image must not be empty");
  check(coarse.planes == fine.planes && coarse.channels == fine.channels &&
            coarse.rows == coarser(fine.rows) && coarse.columns == coarser(fine.columns),
        "the coarser image must have ", coarser(fine.rows), " rows and ", coarser(fine.columns),
        " columns, got ", coarse.rows, " and ", coarse.columns);
}
template <class X, class Y>
void check_same(const image_view<X>& a, const image_view<Y>& b) {
  check(a.planes == b.planes && a.rows == b.rows && a.columns == b.columns && a.channels == b.channels,
        "the detail must have the shape of the image");
}

template <class T>
image_view<const T> constant(const image_view<T>& v) {
  return {v.data, v.planes, v.rows, v.columns, v.channels, v.plane_stride, v.row_stride};
}

}  // namespace

template <class T>
void pyramid_down(const context& ctx, const image_view<const T>& x, double a, const image_view<T>& down) {
  check_coarser(x, down);
  const auto w = weights<T>(a);
  each_strip<T>(ctx, x.planes, x.rows, x.columns, x.channels,
                [&](worker<T>& mine, std::ptrdiff_t plane, std::ptrdiff_t i0, std::ptrdiff_t i1) {
                  for (std::ptrdiff_t i = i0; i < i1; ++i)
                    mine.narrow(x, plane, i, w, row_of(down, plane, i), true);
                });
}

template <class T>
void pyramid_up(const context& ctx, const image_view<const T>& x, pyramid_border border,
                const image_view<T>& up) {
  check_coarser(up, x);
  const bool past = past_caches<T>(up, 4 * streamed_bytes);
  each_strip<T>(ctx, up.planes, up.rows, up.columns, up.channels,
                [&](worker<T>& mine, std::ptrdiff_t plane, std::ptrdiff_t i0, std::ptrdiff_t i1) {
                  for (std::ptrdiff_t q = 2 * i0; q < std::min(2 * i1, up.rows); ++q) {
                    T* const out = row_of(up, plane, q);
                    mine.widen(
                        q, x.rows, border, [&](std::ptrdiff_t i) { return row_of(x, plane, i); },
                        [&](const T* const* rows, bool odd, std::ptrdiff_t before) {
                          mine.k.pyramid_widen(rows, odd, before, up.columns, out, past);
                        },
                        [&](const sum_of<T>* v, std::ptrdiff_t c) {
                          mine.k.pyramid_widen_line(v, up.columns, mine.one);
                          for (std::ptrdiff_t j = 0; j < up.columns; ++j)
                            out[j * mine.channels + c] = mine.one[j];
                        });
                  }
                  if (past) mine.f.stream_fence();
                });
}

template <class T>
void pyramid_split(const context& ctx, const image_view<const T>& x, double a, pyramid_border border,
                   const image_view<T>& down, const image_view<detail_of<T>>& detail) {
  check_coarser(x, down);
  check_same(x, detail);
  const auto w = weights<T>(a);
  const bool past = past_caches<detail_of<T>>(x, streamed_bytes);
  each_strip<T>(
      ctx, x.planes, x.rows, x.columns, x.channels,
      [&](worker<T>& mine, std::ptrdiff_t plane, std::ptrdiff_t i0, std::ptrdiff_t i1) {
        // Rows of neighbouring strips that these details look at are made here as well.
        const std::ptrdiff_t width = round_up(mine.coarse * mine.channels, 64);
        const auto coarse = [&](std::ptrdiff_t i) {
          if (i < i0) return static_cast<const T*>(mine.halo);
          return i < i1 ? static_cast<const T*>(row_of(down, plane, i)) : mine.halo + width;
        };
        const auto make = [&](std::ptrdiff_t i) {
          T* const to = i < i0 ? mine.halo : i < i1 ? row_of(down, plane, i) : mine.halo + width;
          if (i < down.rows) mine.narrow(x, plane, i, w, to, false);
        };
        if (i0 > 0) make(i0 - 1);
        make(i0);
        for (std::ptrdiff_t q = 2 * i0; q < std::min(2 * i1, x.rows); ++q) {
          if (q % 2 == 0) make(q / 2 + 1);  // the last row that the next two look at
          const T* const from = row_of(x, plane, q);
          detail_of<T>* const out = row_of(detail, plane, q);
          const auto single = [&](const T* const* rows, bool odd, std::ptrdiff_t before) {
            // those that are needed for the row after the next of the coarser image
            const T* const soon = row_of(x, plane, std::min(q + 5, x.rows - 1));
            mine.k.pyramid_detail_row(rows, odd, before, from, soon, x.columns, out, past);
          };
          mine.widen(q, down.rows, border, coarse, single, [&](const sum_of<T>* v, std::ptrdiff_t c) {
            mine.k.pyramid_widen_line(v, x.columns, mine.one);
            for (std::ptrdiff_t j = 0; j < x.columns; ++j)
              out[j * mine.channels + c] =
                  static_cast<detail_of<T>>(static_cast<detail_of<T>>(from[j * mine.channels + c]) -
                                            static_cast<detail_of<T>>(mine.one[j]));
          });
        }
        if (past) mine.f.stream_fence();
      });
}

template <class T>
void pyramid_join(const context& ctx, const image_view<const T>& down,
                  const image_view<const detail_of<T>>& detail, pyramid_border border,
                  const image_view<T>& x) {
  check_coarser(x, down);
  check_same(x, detail);
  const bool past = past_caches<T>(x, 4 * streamed_bytes);
  each_strip<T>(ctx, x.planes, x.rows, x.columns, x.channels,
                [&](worker<T>& mine, std::ptrdiff_t plane, std::ptrdiff_t i0, std::ptrdiff_t i1) {
                  std::vector<detail_of<T>> planar(mine.channels > 1 ? at(x.columns) : 0);
                  for (std::ptrdiff_t q = 2 * i0; q < std::min(2 * i1, x.rows); ++q) {
                    const detail_of<T>* const from = row_of(detail, plane, q);
                    T* const out = row_of(x, plane, q);
                    mine.widen(
                        q, down.rows, border, [&](std::ptrdiff_t i) { return row_of(down, plane, i); },
                        [&](const T* const* rows, bool odd, std::ptrdiff_t before) {
                          const auto* const soon = row_of(detail, plane, std::min(q + 1, x.rows - 1));
                          mine.k.pyramid_whole_row(rows, odd, before, from, soon, x.columns, out, past);
                        },
                        [&](const sum_of<T>* v, std::ptrdiff_t c) {
                          for (std::ptrdiff_t j = 0; j < x.columns; ++j)
                            planar[at(j)] = from[j * mine.channels + c];
                          mine.k.pyramid_whole_line(v, planar.data(), x.columns, mine.one);
                          for (std::ptrdiff_t j = 0; j < x.columns; ++j)
                            out[j * mine.channels + c] = mine.one[j];
                        });
                  }
                  if (past) mine.f.stream_fence();
                });
}

#define LAPWING_PYRAMID(T)                                                                                 \
  template void pyramid_down<T>(const context&, const image_view<const T>&, double, const image_view<T>&); \
  template void pyramid_up<T>(const context&, const image_view<const T>&, pyramid_border,                  \
                              const image_view<T>&);                                                       \
  template void pyramid_split<T>(const context&, const image_view<const T>&, double, pyramid_border,       \
                                 const image_view<T>&, const image_view<detail_of<T>>&);                   \
  template void pyramid_join<T>(const context&, const image_view<const T>&,                                \
                                const image_view<const detail_of<T>>&, pyramid_border,                     \
                                const image_view<T>&);
LAPWING_PYRAMID(std::uint8_t)
LAPWING_PYRAMID(std::uint16_t)
LAPWING_PYRAMID(std::int16_t)
LAPWING_PYRAMID(float)
LAPWING_PYRAMID(double)
#undef LAPWING_PYRAMID

}  // namespace lapwing::multiscale
