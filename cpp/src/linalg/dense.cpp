// Products with a dense matrix that stays where it is.
#include <algorithm>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"

namespace lapwing::linalg {
namespace {

template <class T>
void times(const context& ctx, matrix_view<const T> a, matrix_view<const double> v, matrix_view<double> out) {
  constexpr std::ptrdiff_t height = kernels::rows_per_block, panel = 4096;
  const std::ptrdiff_t k = v.rows, padded = round_up(a.cols, kernels::column_padding);
  check(v.cols == a.cols && out.rows == k && out.cols == a.rows, "v and out must be ", k, " x ", a.cols,
        " and ", k, " x ", a.rows, ", got ", v.rows, " x ", v.cols, " and ", out.rows, " x ", out.cols);
  buffer<double> in(ctx, k * padded, 0.0);
  for (std::ptrdiff_t c = 0; c < k; ++c) std::copy_n(&v(c, 0), a.cols, in.data() + c * padded);
  const auto& kernel = kernels::get<double>(ctx.level());
  ctx.poll();
  ctx.parallel_for(a.rows, 16 * height, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    // a few rows at a time, as doubles and with zeros up to what the kernel reads
    std::vector<double> rows(static_cast<std::size_t>(height * std::min(panel, padded))),
        sums(static_cast<std::size_t>(height * k));
    for (std::ptrdiff_t i = lo; i < hi; i += height) {
      const std::ptrdiff_t count = std::min(height, hi - i);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::ptrdiff_t j = 0; j < padded; j += panel) {
        const std::ptrdiff_t width = std::min(panel, padded - j), real = std::min(width, a.cols - j);
        std::fill(rows.begin(), rows.end(), 0.0);
        for (std::ptrdiff_t r = 0; r < count; ++r) {
          const T* from = &a(i + r, j);
          double* to = rows.data() + r * width;
          for (std::ptrdiff_t c = 0; c < real; ++c) to[c] = static_cast<double>(from[c]);
        }
        kernel.dot_rows(rows.data(), width, 0, in.data() + j, padded, k, width, sums.data(), k);
      }
      for (std::ptrdiff_t r = 0; r < count; ++r)
        for (std::ptrdiff_t c = 0; c < k; ++c) out(c, i + r) = sums[static_cast<std::size_t>(r * k + c)];
    }
  });
}

}  // namespace

void dense_times(const context& ctx, matrix_view<const double> a, matrix_view<const double> v,
                 matrix_view<double> out) {
  times(ctx, a, v, out);
}
void dense_times(const context& ctx, matrix_view<const float> a, matrix_view<const double> v,
                 matrix_view<double> out) {
  times(ctx, a, v, out);
}

}  // namespace lapwing::linalg
