// The device code of cuda/src run without a GPU: a thread for each CUDA thread, a barrier for __syncthreads,
// the blocks one after another. Compared with the CPU's softmin. (On a GPU, tests/consumer/cuda makes the
// same comparison.)
#include <barrier>
#include <cmath>
#include <lapwing/ot.hpp>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "check.hpp"

namespace emulated {
struct index {
  unsigned x = 0;
};
thread_local index thread, block;
std::barrier<>* everybody = nullptr;
}  // namespace emulated

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define threadIdx emulated::thread
#define blockIdx emulated::block
#define __syncthreads() emulated::everybody->arrive_and_wait()
using std::exp2, std::log2, std::sqrt;
#include "../../cuda/src/softmin.cuh"

using namespace lapwing;

namespace {

template <class Kernel>
void launch(std::ptrdiff_t blocks, int threads, const Kernel& kernel) {
  std::barrier everybody(threads);
  emulated::everybody = &everybody;
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (std::ptrdiff_t b = 0; b < blocks; ++b) {
        emulated::thread.x = static_cast<unsigned>(t);
        emulated::block.x = static_cast<unsigned>(b);
        kernel();
        everybody.arrive_and_wait();  // the next block uses the same shared memory
      }
    });
  }
  for (auto& t : all) t.join();
}

template <class T>
std::vector<double> device(const ot::geometry<T>& geo, std::span<const double> h, double reg,
                           bool transposed) {
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows();
  const bool soft = reg > 0;
  const double kappa = soft ? 1.4426950408889634 / reg : 1.0;
  std::vector<double> out(static_cast<std::size_t>(n), -7.0);
  const double* in = h.data();
  if (geo.is_dense() && !transposed) {
    launch(n, 8, [&] { cuda::ot::softmin_dense_rows<T, 8>(geo.cost, in, kappa, soft, out.data()); });
  } else if (geo.is_dense()) {
    launch((n - 1) / 4 + 1, 8,
           [&] { cuda::ot::softmin_dense_columns<T, 4, 2>(geo.cost, in, kappa, soft, out.data()); });
  } else {
    const auto x = transposed ? geo.y : geo.x, y = transposed ? geo.x : geo.y;
    launch((n - 1) / 3 + 1, 8, [&] {
      using cuda::ot::metric, cuda::ot::softmin_points;
      if (geo.kind == metric::sqeuclidean)
        softmin_points<T, metric::sqeuclidean, 8, 3, 2>(x, y, in, kappa, soft, out.data());
      if (geo.kind == metric::euclidean)
        softmin_points<T, metric::euclidean, 8, 3, 2>(x, y, in, kappa, soft, out.data());
      if (geo.kind == metric::cosine)
        softmin_points<T, metric::cosine, 8, 3, 2>(x, y, in, kappa, soft, out.data());
      if (geo.kind == metric::dot) softmin_points<T, metric::dot, 8, 3, 2>(x, y, in, kappa, soft, out.data());
    });
  }
  return out;
}

// Both sides round each exponent to T once or twice; costs and potentials are of order 1.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-12;

template <class T>
void compare(const context& ctx, const ot::geometry<T>& geo, const std::vector<double>& rows,
             const std::vector<double>& cols) {
  for (const bool transposed : {false, true}) {
    const std::vector<double>& h = transposed ? rows : cols;
    for (const double reg : {0.0, 0.1, 3.0}) {
      std::vector<double> expected(static_cast<std::size_t>(transposed ? geo.cols() : geo.rows()));
      ot::softmin<T>(ctx, geo, h, reg, expected, transposed);
      const std::vector<double> found = device<T>(geo, h, reg, transposed);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(found[i] == expected[i] || std::fabs(found[i] - expected[i]) <= tolerance<T>);
      }
      CHECK(device<T>(geo, h, reg, transposed) == found);
    }
  }
}

template <class T>
std::vector<T> normal(std::mt19937& generator, std::ptrdiff_t n) {
  std::normal_distribution<double> distribution;
  std::vector<T> x(static_cast<std::size_t>(n));
  for (T& v : x) v = static_cast<T>(distribution(generator));
  return x;
}

template <class T>
void points() {
  const context ctx({.threads = 1});
  std::mt19937 generator(5);
  struct size {
    std::ptrdiff_t n, m, d;
  };
  for (const auto& [n, m, d] : {size{1, 1, 1}, {3, 8, 2}, {10, 21, 5}, {7, 17, 4}}) {
    const auto x = normal<T>(generator, n * d), y = normal<T>(generator, m * d);
    const auto rows = normal<double>(generator, n), cols = normal<double>(generator, m);
    for (const auto kind :
         {ot::metric::sqeuclidean, ot::metric::euclidean, ot::metric::cosine, ot::metric::dot}) {
      compare<T>(ctx, ot::geometry<T>::points({x.data(), n, d}, {y.data(), m, d}, kind), rows, cols);
    }
  }
}

template <class T>
void dense() {
  const context ctx({.threads = 1});
  const double inf = std::numeric_limits<double>::infinity();
  std::mt19937 generator(6);
  for (const auto& [n, m] : {std::pair<std::ptrdiff_t, std::ptrdiff_t>{1, 1}, {3, 8}, {11, 21}, {9, 4}}) {
    const std::ptrdiff_t stride = m + 3;
    auto c = normal<T>(generator, n * stride);
    auto rows = normal<double>(generator, n), cols = normal<double>(generator, m);
    const auto geo = ot::geometry<T>::dense({c.data(), n, m, stride});
    compare<T>(ctx, geo, rows, cols);
    c[0] = static_cast<T>(inf);  // a forbidden pair, a point without weight
    cols.back() = -inf;
    rows.back() = -inf;
    compare<T>(ctx, geo, rows, cols);
    for (T& v : c) v = static_cast<T>(inf);  // rows without a finite term
    compare<T>(ctx, geo, rows, cols);
    CHECK(device<T>(geo, cols, 0.5, false)[0] == inf);
  }
}

template <class T>
void keeps_nan() {
  std::vector<T> c(6, T(1));
  c[4] = std::numeric_limits<T>::quiet_NaN();
  const std::vector<double> h(3, 0.0);
  for (const double reg : {0.0, 0.5}) {
    const auto out = device<T>(ot::geometry<T>::dense({c.data(), 2, 3}), h, reg, false);
    CHECK(std::isfinite(out[0]) && std::isnan(out[1]));
  }
}

}  // namespace

TEST(points_agree_with_the_cpu) {
  points<float>();
  points<double>();
}
TEST(stored_costs_agree_with_the_cpu) {
  dense<float>();
  dense<double>();
}
TEST(nan_stays_nan) {
  keeps_nan<float>();
  keeps_nan<double>();
}

TEST_MAIN
