// One level along one axis: lines are gathered by the dozen into a block that holds one sample of each of
// them in a row, goes on beyond its ends, and is filtered along its rows. So every stride, dtype and boundary
// takes the same steps.
#include <algorithm>
#include <lapwing/multiscale.hpp>

#include "../kernels/table.hpp"
#include "filters.hpp"
#include "lines.hpp"

namespace lapwing::multiscale {

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
  check_bank(bank);
  check(x.length() >= 1, "x must have at least one sample along its axis");
  check(x.length() > 1 || (mode != boundary::reflect && mode != boundary::antireflect),
        "x must have at least two samples to be reflected");
  const analysis_plan p(x.length(), bank.length(), mode);
  check_axis(low, x.shape, x.axis, p.count, "low");
  check_axis(high, x.shape, x.axis, p.count, "high");
  const auto lo = cast<T>(bank.dec_lo, true), hi = cast<T>(bank.dec_hi, true);
  const auto l = lines_of(x.shape, x.axis, {&x.strides, &low.strides, &high.strides});
  const auto& k = kernels::get<T>(ctx.level());
  const std::ptrdiff_t rows = p.signal.count;
  each_block<T>(ctx, l, rows + 2 * p.count,
                [&](std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
                  offsets_t offset;
                  T *a = block + rows * width, *d = a + p.count * width;
                  fill_offsets(l, first, count, 0, offset);
                  gather(x.data, x.strides[at(x.axis)], offset, count, width, p.n,
                         block - p.signal.first * width);
                  extend(p.signal, block, width);
                  k.filter_down(block + (p.shift - p.taps + 1 - p.signal.first) * width, lo.data(), hi.data(),
                                p.taps, p.count, width, width, a, d);
                  fill_offsets(l, first, count, 1, offset);
                  scatter(a, width, p.count, offset, count, low.strides[at(low.axis)], low.data);
                  fill_offsets(l, first, count, 2, offset);
                  scatter(d, width, p.count, offset, count, high.strides[at(high.axis)], high.data);
                });
}

template <class T>
void idwt(const context& ctx, const axis_view<const T>& low, const axis_view<const T>& high,
          const filter_bank& bank, boundary mode, const axis_view<T>& y) {
  check_bank(bank);
  const std::ptrdiff_t m = low.length();
  check(m >= 1 && idwt_length(m, bank.length(), mode) >= 1, "low has too few coefficients for a filter of ",
        bank.length());
  check_axis(high, low.shape, low.axis, m, "high");
  const synthesis_plan p(m, bank.length(), mode);
  check_axis(y, low.shape, low.axis, p.count, "y");
  const auto lo = cast<T>(bank.rec_lo, false), hi = cast<T>(bank.rec_hi, false);
  const auto l = lines_of(low.shape, low.axis, {&low.strides, &high.strides, &y.strides});
  const auto& k = kernels::get<T>(ctx.level());
  const std::ptrdiff_t rows = p.bands.count;
  each_block<T>(
      ctx, l, 2 * rows + p.count,
      [&](std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t width, T* block) {
        offsets_t offset;
        T *d = block + rows * width, *out = d + rows * width;
        fill_offsets(l, first, count, 0, offset);
        gather(low.data, low.strides[at(low.axis)], offset, count, width, m, block - p.bands.first * width);
        extend(p.bands, block, width);
        fill_offsets(l, first, count, 1, offset);
        gather(high.data, high.strides[at(high.axis)], offset, count, width, m, d - p.bands.first * width);
        extend(p.bands, d, width);
        k.filter_up(block, d, lo.data(), hi.data(), p.taps, p.lead, p.bands.first, p.count, width, width,
                    out);
        fill_offsets(l, first, count, 2, offset);
        scatter(out, width, p.count, offset, count, y.strides[at(y.axis)], y.data);
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
