// The transposes of one level of analysis and synthesis: samples beyond the ends give what they got back to
// the samples that they were made of.
#include <algorithm>
#include <lapwing/multiscale.hpp>

#include "../kernels/table.hpp"
#include "lines.hpp"

namespace lapwing::multiscale {

namespace {

template <class T>
std::vector<const T*> rows_in(const T* block, std::ptrdiff_t width, std::ptrdiff_t count) {
  std::vector<const T*> rows;
  for (std::ptrdiff_t i = 0; i < count; ++i) rows.push_back(block + i * width);
  return rows;
}

}  // namespace

template <class T>
void dwt_adjoint(const context& ctx, const axis_view<const T>& low, const axis_view<const T>& high,
                 const filter_bank& bank, boundary mode, const axis_view<T>& x) {
  const analysis_plan p = checked_analysis(x, bank, mode, low, high);
  const auto lo = cast<T>(bank.dec_lo, true), hi = cast<T>(bank.dec_hi, true);
  const auto l = lines_of(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  // Row t of the extended signal sums low_k lo[t - 2 k + lead] over the places k that there are; see
  // columns_up, whose first row is one before it if `skip`.
  const std::ptrdiff_t lead = p.signal.first - p.base, pair = (lead - p.taps + 2) >> 1,
                       skip = lead - p.taps + 2 - 2 * pair, rows = p.signal.count(),
                       pairs = (rows + skip + 1) / 2, first = std::min<std::ptrdiff_t>(0, pair),
                       last = std::max(p.count - 1, pair + pairs + p.taps / 2 - 2), bands = last - first + 1;
  each_block<T>(
      ctx, l, 2 * pairs + 2 * bands,
      [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
        offsets_t offset;
        T *a = block + 2 * pairs * width, *d = a + bands * width;
        std::fill_n(a, 2 * bands * width, T(0));
        fill_offsets(l, from, count, 1, offset);
        gather(low.data, low.strides[at(low.axis)], offset, count, width, p.count, a - first * width);
        fill_offsets(l, from, count, 2, offset);
        gather(high.data, high.strides[at(high.axis)], offset, count, width, p.count, d - first * width);
        const auto low_rows = rows_in(a + (pair - first) * width, width, pairs + p.taps / 2),
                   high_rows = rows_in(d + (pair - first) * width, width, pairs + p.taps / 2);
        k.columns_up(low_rows.data(), high_rows.data(), lo.data(), hi.data(), p.taps, width, pairs, block,
                     width);
        T* const samples = block + (skip - p.signal.first) * width;
        p.signal.each([&](std::ptrdiff_t i, const std::vector<term>& terms) {
          const T* row = samples + i * width;
          for (const term& t : terms) {
            const T w = static_cast<T>(t.weight);
            T* to = samples + t.sample * width;
            for (std::ptrdiff_t c = 0; c < width; ++c) to[c] += w * row[c];
          }
        });
        fill_offsets(l, from, count, 0, offset);
        scatter(samples, width, p.n, offset, count, x.strides[at(x.axis)], x.data);
      });
}

template <class T>
void idwt_adjoint(const context& ctx, const axis_view<const T>& y, const filter_bank& bank, boundary mode,
                  const axis_view<T>& low, const axis_view<T>& high) {
  const synthesis_plan p = checked_synthesis(low, high, bank, mode, y);
  const std::ptrdiff_t m = p.m;
  const auto lo = cast<T>(bank.rec_lo, false), hi = cast<T>(bank.rec_hi, false);
  const auto l = lines_of(y.shape, y.axis, {&y.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  // low_k sums rec_lo[j] y[2 k + base + j]
  const std::ptrdiff_t base = p.shift - p.taps + 2;
  const extended signal(p.count, base, 2 * (m - 1) + base + p.taps - 1,
                        mode == boundary::periodization ? boundary::periodic : boundary::zero);
  each_block<T>(
      ctx, l, signal.count() + 2 * m,
      [&](std::ptrdiff_t from, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
        offsets_t offset;
        T *a = block + signal.count() * width, *d = a + m * width;
        fill_offsets(l, from, count, 0, offset);
        gather(y.data, y.strides[at(y.axis)], offset, count, width, p.count, block - signal.first * width);
        extend(signal, block, width);
        const auto rows = rows_in(block + (base - signal.first) * width, width, 2 * (m - 1) + p.taps);
        k.columns_down(rows.data(), lo.data(), hi.data(), p.taps, width, m, a, width, d, width);
        fill_offsets(l, from, count, 1, offset);
        scatter(a, width, m, offset, count, low.strides[at(low.axis)], low.data);
        fill_offsets(l, from, count, 2, offset);
        scatter(d, width, m, offset, count, high.strides[at(high.axis)], high.data);
      });
}

#define LAPWING_ADJOINT(T)                                                                               \
  template void dwt_adjoint<T>(const context&, const axis_view<const T>&, const axis_view<const T>&,     \
                               const filter_bank&, boundary, const axis_view<T>&);                       \
  template void idwt_adjoint<T>(const context&, const axis_view<const T>&, const filter_bank&, boundary, \
                                const axis_view<T>&, const axis_view<T>&);
LAPWING_ADJOINT(float)
LAPWING_ADJOINT(double)
#undef LAPWING_ADJOINT

}  // namespace lapwing::multiscale
