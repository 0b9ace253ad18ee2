#include <lapwing/cuda/ot.hpp>
#include <lapwing/error.hpp>
#include <limits>

#include "check.hpp"
#include "softmin.cuh"

namespace lapwing::cuda::ot {
namespace {

constexpr double log2e = 1.4426950408889634;

template <class... Parameters, class... Arguments>
void launch(const context& ctx, const char* name, std::ptrdiff_t blocks, int threads,
            void (*kernel)(Parameters...), Arguments... arguments) {
  lapwing::check(blocks <= std::numeric_limits<int>::max(), name, ": too many rows for one launch: ", blocks,
                 " blocks");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = static_cast<cudaStream_t>(ctx.stream);
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

template <class T, metric kind>
void points(const context& ctx, matrix_view<const T> x, matrix_view<const T> y, const double* h, double kappa,
            bool soft, double* out) {
  constexpr int threads = 128, rows = 4, coordinates = 16;
  launch(ctx, "softmin", (x.rows - 1) / rows + 1, threads,
         &softmin_points<T, kind, threads, rows, coordinates>, x, y, h, kappa, soft, out);
}

}  // namespace

template <class T>
void softmin(const context& ctx, const geometry<T>& geo, std::span<const double> h, double reg,
             std::span<double> out, bool transposed) {
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows(), m = transposed ? geo.rows() : geo.cols();
  lapwing::check(n > 0 && m > 0, "the cost must have at least one row and one column, got ", geo.rows(),
                 " x ", geo.cols());
  if (!geo.is_dense()) {
    lapwing::check(geo.x.cols == geo.y.cols, "x and y must have as many columns, got ", geo.x.cols, " and ",
                   geo.y.cols);
  }
  lapwing::check(reg >= 0 && reg <= std::numeric_limits<double>::max(), "reg must be >= 0 and finite, got ",
                 reg);
  lapwing::check(static_cast<std::ptrdiff_t>(h.size()) == m, "h must have length ", m, ", got ", h.size());
  lapwing::check(static_cast<std::ptrdiff_t>(out.size()) == n, "out must have length ", n, ", got ",
                 out.size());
  const bool soft = reg > 0;
  const double kappa = soft ? log2e / reg : 1.0;
  if (geo.is_dense()) {
    if (transposed) {
      constexpr int width = 32, groups = 8;
      launch(ctx, "softmin", (n - 1) / width + 1, width * groups, &softmin_dense_columns<T, width, groups>,
             geo.cost, h.data(), kappa, soft, out.data());
    } else {
      constexpr int threads = 256;
      launch(ctx, "softmin", n, threads, &softmin_dense_rows<T, threads>, geo.cost, h.data(), kappa, soft,
             out.data());
    }
    return;
  }
  const matrix_view<const T> x = transposed ? geo.y : geo.x,
                             y = transposed ? geo.x : geo.y;  // every metric is symmetric
  switch (geo.kind) {
    case metric::sqeuclidean:
      return points<T, metric::sqeuclidean>(ctx, x, y, h.data(), kappa, soft, out.data());
    case metric::euclidean:
      return points<T, metric::euclidean>(ctx, x, y, h.data(), kappa, soft, out.data());
    case metric::cosine:
      return points<T, metric::cosine>(ctx, x, y, h.data(), kappa, soft, out.data());
    case metric::dot:
      return points<T, metric::dot>(ctx, x, y, h.data(), kappa, soft, out.data());
  }
}

template void softmin<float>(const context&, const geometry<float>&, std::span<const double>, double,
                             std::span<double>, bool);
template void softmin<double>(const context&, const geometry<double>&, std::span<const double>, double,
                              std::span<double>, bool);

}  // namespace lapwing::cuda::ot
