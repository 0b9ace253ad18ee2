// A plain C++ program that links lapwing::cuda. With a GPU it compares softmin with the CPU's. Without one
// the call must report why, as an exception that names the function.
#include <cuda_runtime_api.h>  // this program's own device memory; lapwing's headers need no CUDA

#include <array>
#include <cmath>
#include <cstdio>
#include <lapwing/cuda/ot.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void must(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

template <class T>
class device_memory {
 public:
  explicit device_memory(const std::vector<T>& host) : size_(host.size()) {
    must(cudaMalloc(reinterpret_cast<void**>(&data_), size_ * sizeof(T)));
    must(cudaMemcpy(data_, host.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~device_memory() { cudaFree(data_); }
  device_memory(const device_memory&) = delete;
  device_memory& operator=(const device_memory&) = delete;
  std::span<T> span() const { return {data_, size_}; }
  std::vector<T> host() const {
    std::vector<T> out(size_);
    must(cudaMemcpy(out.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return out;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

int without_gpu() {
  const double x[2]{};
  double out[2]{};
  try {
    lapwing::cuda::ot::softmin<double>({}, lapwing::ot::geometry<double>::dense({x, 1, 2}), x, 0.1, {out, 1},
                                       false);
  } catch (const lapwing::cuda::error& e) {
    std::printf("error: %s\n", e.what());
    return std::string(e.what()).starts_with("softmin: ") ? 0 : 1;
  }
  std::puts("a launch without a GPU went unnoticed");
  return 1;
}

// Largest difference from the CPU over all metrics and both directions.
template <class T>
double difference(const lapwing::cuda::context& ctx, std::ptrdiff_t n, std::ptrdiff_t m, std::ptrdiff_t d) {
  using lapwing::ot::geometry, lapwing::ot::metric;
  std::mt19937 generator(1);
  std::normal_distribution<double> normal;
  std::vector<T> x(n * d), y(m * d), c(n * m);
  std::vector<double> rows(n), cols(m);
  for (auto* v : {&x, &y, &c}) {
    for (T& e : *v) e = static_cast<T>(normal(generator));
  }
  for (auto* v : {&rows, &cols}) {
    for (double& e : *v) e = normal(generator);
  }
  const device_memory<T> xd(x), yd(y), cd(c);
  const device_memory<double> rows_d(rows), cols_d(cols);
  const lapwing::context host;
  double worst = 0;
  const auto compare = [&](const geometry<T>& on_host, const geometry<T>& on_device) {
    for (const bool transposed : {false, true}) {
      for (const double reg : {0.0, 0.1, 3.0}) {
        std::vector<double> expected(transposed ? m : n);
        const device_memory<double> out(expected);
        lapwing::ot::softmin<T>(host, on_host, transposed ? rows : cols, reg, expected, transposed);
        lapwing::cuda::ot::softmin<T>(ctx, on_device, (transposed ? rows_d : cols_d).span(), reg, out.span(),
                                      transposed);
        must(cudaStreamSynchronize(static_cast<cudaStream_t>(ctx.stream)));
        const auto found = out.host();
        for (std::size_t i = 0; i < found.size(); ++i) {
          const double error = std::fabs(found[i] - expected[i]);
          worst = std::isnan(error) ? INFINITY : std::fmax(worst, error);
        }
      }
    }
  };
  compare(geometry<T>::dense({c.data(), n, m}), geometry<T>::dense({cd.span().data(), n, m}));
  for (const metric kind : {metric::sqeuclidean, metric::euclidean, metric::cosine, metric::dot}) {
    compare(geometry<T>::points({x.data(), n, d}, {y.data(), m, d}, kind),
            geometry<T>::points({xd.span().data(), n, d}, {yd.span().data(), m, d}, kind));
  }
  return worst;
}

int with_gpu() {
  cudaStream_t stream = nullptr;
  must(cudaStreamCreate(&stream));
  double single = 0, twice = 0;
  for (const auto& [n, m, d] : {std::array<std::ptrdiff_t, 3>{1, 1, 1}, {130, 257, 17}, {1000, 700, 50}}) {
    single = std::fmax(single, difference<float>({stream}, n, m, d));
    twice = std::fmax(twice, difference<double>({stream}, n, m, d));
  }
  must(cudaStreamDestroy(stream));
  std::printf("largest difference from the CPU: float %.1e, double %.1e\n", single, twice);
  // costs of up to a few hundred, rounded a few times in T
  return single <= 2e-3 && twice <= 1e-11 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    int devices = 0;
    return cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0 ? with_gpu() : without_gpu();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
