// The CUDA extension: functions of the same names as in _core, on arrays of device memory. Arrays are taken
// by the CUDA array interface, which says where the memory is without touching a stream.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <array>
#include <cstdint>
#include <lapwing/cuda/ot.hpp>
#include <lapwing/error.hpp>
#include <lapwing/version.hpp>
#include <string>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
constexpr const char* type_code = sizeof(T) == 4 ? "<f4" : "<f8";

std::string type_of(const nb::object& array, const char* name) {
  if (!nb::hasattr(array, "__cuda_array_interface__")) {
    throw nb::type_error((std::string(name) + " must be an array in GPU memory").c_str());
  }
  return nb::cast<std::string>(array.attr("__cuda_array_interface__")["typestr"]);
}

// Address and shape of a C-contiguous device array of the scalar type T.
template <class T, std::size_t rank>
struct device_array {
  T* data = nullptr;
  std::array<std::ptrdiff_t, rank> shape{};

  device_array(const nb::object& array, const char* name) {
    using value = std::remove_const_t<T>;
    const std::string found = type_of(array, name);
    if (found != type_code<value>) {
      throw nb::type_error(
          (std::string(name) + " must have type " + type_code<value> + ", got " + found).c_str());
    }
    const nb::object face = array.attr("__cuda_array_interface__");
    const nb::tuple sizes = nb::cast<nb::tuple>(face["shape"]), where = nb::cast<nb::tuple>(face["data"]);
    lapwing::check(sizes.size() == rank, name, " must have ", rank, " dimensions, got ", sizes.size());
    for (std::size_t k = 0; k < rank; ++k) shape[k] = nb::cast<std::ptrdiff_t>(sizes[k]);
    const nb::object strides = face.attr("get")("strides", nb::none());
    if (!strides.is_none()) {
      std::ptrdiff_t expected = sizeof(T);
      for (std::size_t k = rank; k-- > 0;) {
        lapwing::check(shape[k] <= 1 || nb::cast<std::ptrdiff_t>(strides[k]) == expected, name,
                       " must be C-contiguous");
        expected *= shape[k];
      }
    }
    lapwing::check(std::is_const_v<T> || !nb::cast<bool>(where[1]), name, " is read-only");
    data = reinterpret_cast<T*>(nb::cast<std::uintptr_t>(where[0]));
  }
};

lapwing::ot::metric parse_metric(const std::string& name) {
  using lapwing::ot::metric;
  if (name == "sqeuclidean") return metric::sqeuclidean;
  if (name == "euclidean") return metric::euclidean;
  if (name == "cosine") return metric::cosine;
  lapwing::check(name == "dot",
                 "metric must be 'dense', 'sqeuclidean', 'euclidean', 'cosine' or 'dot', got '", name, "'");
  return metric::dot;
}

template <class T>
void softmin(const nb::object& X, const nb::object& Y, const std::string& metric, const nb::object& h,
             double reg, const nb::object& out, bool transpose, std::uintptr_t stream) {
  using geometry = lapwing::ot::geometry<T>;
  const device_array<const T, 2> x(X, "X");
  geometry costs;
  if (metric == "dense") {
    lapwing::check(Y.is_none(), "Y must be None with metric 'dense'");
    costs = geometry::dense({x.data, x.shape[0], x.shape[1]});
  } else {
    const device_array<const T, 2> y(Y, "Y");
    costs = geometry::points({x.data, x.shape[0], x.shape[1]}, {y.data, y.shape[0], y.shape[1]},
                             parse_metric(metric));
  }
  const device_array<const double, 1> in(h, "h");
  const device_array<double, 1> result(out, "out");
  const nb::gil_scoped_release nogil;
  lapwing::cuda::ot::softmin<T>({reinterpret_cast<lapwing::cuda::stream_t>(stream)}, costs,
                                {in.data, static_cast<std::size_t>(in.shape[0])}, reg,
                                {result.data, static_cast<std::size_t>(result.shape[0])}, transpose);
}

}  // namespace

NB_MODULE(_cuda, m) {
  m.attr("__version__") = LAPWING_VERSION;
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const lapwing::cuda::error& e) {
      PyErr_SetString(nb::module_::import_("lapwing.exceptions").attr("CudaError").ptr(), e.what());
    }
  });
  m.def(
      "ot_softmin",
      [](const nb::object& X, const nb::object& Y, const std::string& metric, const nb::object& h, double reg,
         const nb::object& out, bool transpose, std::uintptr_t stream) {
        const std::string type = type_of(X, "X");
        const bool single = type == type_code<float>;
        if (!single && type != type_code<double>) {
          throw nb::type_error(("X must be float32 or float64, got " + type).c_str());
        }
        (single ? softmin<float> : softmin<double>)(X, Y, metric, h, reg, out, transpose, stream);
      },
      "X"_a, "Y"_a.none(), "metric"_a, "h"_a, "reg"_a, "out"_a, "transpose"_a, "stream"_a,
      "out_i = -reg log sum_j exp((h_j - C_ij) / reg), queued on the stream.");
}
