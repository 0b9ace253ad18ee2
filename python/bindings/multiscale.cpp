// lapwing::multiscale for Python.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <lapwing/multiscale.hpp>
#include <string>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::run;

// of any shape and strides
template <class T>
using array = nb::ndarray<T, nb::device::cpu>;
using filters = std::vector<std::vector<double>>;

template <class T, class A>
multiscale::axis_view<T> along(const A& a, std::ptrdiff_t axis) {
  multiscale::axis_view<T> v;
  v.data = a.data();
  v.axis = axis;
  for (std::size_t d = 0; d < a.ndim(); ++d) {
    v.shape.push_back(static_cast<std::ptrdiff_t>(a.shape(d)));
    v.strides.push_back(static_cast<std::ptrdiff_t>(a.stride(d)));
  }
  check(axis >= 0 && axis < static_cast<std::ptrdiff_t>(a.ndim()), "axis must be below ", a.ndim(), ", got ",
        axis);
  return v;
}

multiscale::filter_bank bank(filters f) {
  check(f.size() == 4, "there must be four filters, got ", f.size());
  return {std::move(f[0]), std::move(f[1]), std::move(f[2]), std::move(f[3])};
}

multiscale::boundary boundary(const std::string& mode) {
  const char* const names[] = {"zero",          "constant",    "symmetric", "reflect",      "periodic",
                               "antisymmetric", "antireflect", "smooth",    "periodization"};
  const auto* const found = std::find(std::begin(names), std::end(names), mode);
  check(found != std::end(names), "unknown mode '", mode, "'");
  return static_cast<multiscale::boundary>(found - std::begin(names));
}

template <class T>
void bind(nb::module_& m) {
  m.def(
      "dwt",
      [](const array<const T>& x, std::ptrdiff_t axis, filters f, const std::string& mode,
         const array<T>& low, const array<T>& high, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto how = boundary(mode);
        const auto from = along<const T>(x, axis);
        const auto a = along<T>(low, axis), d = along<T>(high, axis);
        run(threads, callback, [&](const context& ctx) { multiscale::dwt<T>(ctx, from, b, how, a, d); });
      },
      "x"_a.noconvert(), "axis"_a, "filters"_a, "mode"_a, "low"_a.noconvert(), "high"_a.noconvert(),
      "threads"_a, "callback"_a.none());
  m.def(
      "idwt",
      [](const array<const T>& low, const array<const T>& high, std::ptrdiff_t axis, filters f,
         const std::string& mode, const array<T>& y, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto how = boundary(mode);
        const auto a = along<const T>(low, axis), d = along<const T>(high, axis);
        const auto to = along<T>(y, axis);
        run(threads, callback, [&](const context& ctx) { multiscale::idwt<T>(ctx, a, d, b, how, to); });
      },
      "low"_a.noconvert(), "high"_a.noconvert(), "axis"_a, "filters"_a, "mode"_a, "y"_a.noconvert(),
      "threads"_a, "callback"_a.none());
}

}  // namespace

void bind_multiscale(nb::module_& m) {
  m.def("wavelet_names", &multiscale::bank_names);
  m.def("wavelet_filters", [](const std::string& name) {
    auto b = multiscale::named_bank(name);
    return filters{std::move(b.dec_lo), std::move(b.dec_hi), std::move(b.rec_lo), std::move(b.rec_hi)};
  });
  m.def("dwt_length", [](std::ptrdiff_t n, std::ptrdiff_t filter, const std::string& mode) {
    return multiscale::dwt_length(n, filter, boundary(mode));
  });
  bind<float>(m);
  bind<double>(m);
}
