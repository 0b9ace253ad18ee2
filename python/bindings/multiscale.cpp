// lapwing::multiscale for Python.
#include <nanobind/stl/array.h>
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
multiscale::array_view<T> all_of(const A& a) {
  multiscale::array_view<T> v;
  v.data = a.data();
  for (std::size_t d = 0; d < a.ndim(); ++d) {
    v.shape.push_back(static_cast<std::ptrdiff_t>(a.shape(d)));
    v.strides.push_back(static_cast<std::ptrdiff_t>(a.stride(d)));
  }
  return v;
}
template <class T, class A>
multiscale::axis_view<T> along(const A& a, std::ptrdiff_t axis) {
  auto whole = all_of<T>(a);
  multiscale::axis_view<T> v{whole.data, std::move(whole.shape), std::move(whole.strides), axis};
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

// Two axes with their filters and modes.
class both_axes {
 public:
  both_axes(std::array<std::ptrdiff_t, 2> axes, std::array<filters, 2> f,
            const std::array<std::string, 2>& modes)
      : banks_{bank(std::move(f[0])), bank(std::move(f[1]))} {
    for (std::size_t i = 0; i < 2; ++i) of[i] = {axes[i], &banks_[i], boundary(modes[i])};
  }
  both_axes(const both_axes&) = delete;
  both_axes& operator=(const both_axes&) = delete;
  std::array<multiscale::axis_filter, 2> of;

 private:
  std::array<multiscale::filter_bank, 2> banks_;
};
template <class T>
using triples = std::vector<std::array<array<T>, 3>>;
template <class T, class A>
std::vector<multiscale::details<T>> details_of(const std::vector<std::array<A, 3>>& levels) {
  std::vector<multiscale::details<T>> out;
  for (const auto& l : levels) out.push_back({all_of<T>(l[0]), all_of<T>(l[1]), all_of<T>(l[2])});
  return out;
}

template <class T>
void bind(nb::module_& m) {
  m.def(
      "wavedec2",
      [](const array<const T>& x, std::array<std::ptrdiff_t, 2> axes, std::array<filters, 2> f,
         const std::array<std::string, 2>& modes, const triples<T>& levels, const array<T>& approximation,
         int threads, const nb::object& callback) {
        const both_axes how(axes, std::move(f), modes);
        const auto from = all_of<const T>(x);
        const auto to = details_of<T>(levels);
        const auto last = all_of<T>(approximation);
        run(threads, callback,
            [&](const context& ctx) { multiscale::wavedec2<T>(ctx, from, how.of, to, last); });
      },
      "x"_a.noconvert(), "axes"_a, "filters"_a, "modes"_a, "levels"_a.noconvert(),
      "approximation"_a.noconvert(), "threads"_a, "callback"_a.none());
  m.def(
      "waverec2",
      [](const array<const T>& approximation, const triples<const T>& levels,
         std::array<std::ptrdiff_t, 2> axes, std::array<filters, 2> f,
         const std::array<std::string, 2>& modes, const array<T>& y, int threads,
         const nb::object& callback) {
        const both_axes how(axes, std::move(f), modes);
        const auto first = all_of<const T>(approximation);
        const auto from = details_of<const T>(levels);
        const auto to = all_of<T>(y);
        run(threads, callback,
            [&](const context& ctx) { multiscale::waverec2<T>(ctx, first, from, how.of, to); });
      },
      "approximation"_a.noconvert(), "levels"_a.noconvert(), "axes"_a, "filters"_a, "modes"_a,
      "y"_a.noconvert(), "threads"_a, "callback"_a.none());
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
  m.def("idwt_length", [](std::ptrdiff_t m, std::ptrdiff_t filter, const std::string& mode) {
    return multiscale::idwt_length(m, filter, boundary(mode));
  });
  bind<float>(m);
  bind<double>(m);
}
