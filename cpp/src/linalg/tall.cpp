#include "tall.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace lapwing::linalg {
namespace {
constexpr std::ptrdiff_t chunk =
    8192;  // entries of a vector: a few vectors of it stay in the second-level cache
}

void gram(const context& ctx, const tall& x, std::ptrdiff_t x0, std::ptrdiff_t p, const tall& y,
          std::ptrdiff_t y0, std::ptrdiff_t q, double* out, std::ptrdiff_t ld) {
  if (p == 0 || q == 0) return;
  const auto& k = kernels::get<double>(ctx.level());
  const std::ptrdiff_t chunks = (x.stride() + chunk - 1) / chunk,
                       padded = round_up(p, kernels::rows_per_block);
  buffer<double> part(ctx, chunks * padded * q, 0.0);
  ctx.parallel_for(x.stride(), chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    double* z = part.data() + lo / chunk * padded * q;
    std::vector<double> last;
    for (std::ptrdiff_t i = 0; i < p; i += kernels::rows_per_block) {
      const double* rows = x.row(x0 + i) + lo;
      std::ptrdiff_t stride = x.stride();
      if (i + kernels::rows_per_block > p) {  // the kernel takes four rows: copy what is left beside zeros
        const std::ptrdiff_t n = hi - lo;
        last.assign(static_cast<std::size_t>(kernels::rows_per_block * n), 0.0);
        for (std::ptrdiff_t r = 0; i + r < p; ++r)
          std::copy_n(x.row(x0 + i + r) + lo, n, last.data() + r * n);
        rows = last.data();
        stride = n;
      }
      k.dot_rows(rows, stride, y.row(y0) + lo, y.stride(), q, hi - lo, z + i * q, q);
    }
  });
  for (std::ptrdiff_t i = 0; i < p; ++i)
    for (std::ptrdiff_t j = 0; j < q; ++j) {
      double s = 0;
      for (std::ptrdiff_t c = 0; c < chunks; ++c) s += part[(c * padded + i) * q + j];
      out[i + j * ld] = s;
    }
}

void combine(const context& ctx, const tall& x, std::ptrdiff_t x0, std::ptrdiff_t p, const double* s,
             std::ptrdiff_t ld, std::ptrdiff_t q, tall& out, std::ptrdiff_t out0, bool add) {
  const auto& k = kernels::get<double>(ctx.level());
  std::vector<double> z(static_cast<std::size_t>(p * q));  // row-major for the kernel
  for (std::ptrdiff_t r = 0; r < p; ++r)
    for (std::ptrdiff_t c = 0; c < q; ++c) z[static_cast<std::size_t>(r * q + c)] = s[r + c * ld];
  ctx.parallel_for(x.stride(), chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    if (!add)
      for (std::ptrdiff_t c = 0; c < q; ++c)
        std::memset(out.row(out0 + c) + lo, 0, static_cast<std::size_t>(hi - lo) * sizeof(double));
    if (p > 0 && q > 0)
      k.outer_rows(x.row(x0), x.stride(), p, z.data(), q, q, lo, hi, out.row(out0), out.stride());
  });
}

}  // namespace lapwing::linalg
