// lapwing::multiscale for Python.
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
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

template <class A>
auto along_all(const std::vector<A>& arrays, std::ptrdiff_t axis) {
  std::vector<multiscale::axis_view<typename A::Scalar>> views;
  for (const A& a : arrays) views.push_back(along<typename A::Scalar>(a, axis));
  return views;
}

// The number of a name, in the order of the enumeration.
template <class E>
E named(const std::string& name, std::initializer_list<const char*> names) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  check(found != names.end(), "unknown name '", name, "'");
  return static_cast<E>(found - names.begin());
}
multiscale::lifting scheme(const std::string& name) {
  return named<multiscale::lifting>(name, {"s", "legall53", "cdf26", "97m"});
}
multiscale::lifted_axes which(const std::string& name) {
  return named<multiscale::lifted_axes>(name, {"along", "across", "both"});
}
multiscale::shears shears(const std::string& name) {
  return named<multiscale::shears>(name, {"haar", "5/3", "9/7", "db2", "bior1.3"});
}
multiscale::pyramid_border border(const std::string& name) {
  return named<multiscale::pyramid_border>(name, {"opencv", "symmetric"});
}

template <class T>
void bind_more(nb::module_& m) {
  m.def(
      "dwt_adjoint",
      [](const array<const T>& low, const array<const T>& high, std::ptrdiff_t axis, filters f,
         const std::string& mode, const array<T>& x, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto how = boundary(mode);
        const auto a = along<const T>(low, axis), d = along<const T>(high, axis);
        const auto to = along<T>(x, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::dwt_adjoint<T>(ctx, a, d, b, how, to); });
      },
      "low"_a.noconvert(), "high"_a.noconvert(), "axis"_a, "filters"_a, "mode"_a, "x"_a.noconvert(),
      "threads"_a, "callback"_a.none());
  m.def(
      "idwt_adjoint",
      [](const array<const T>& y, std::ptrdiff_t axis, filters f, const std::string& mode,
         const array<T>& low, const array<T>& high, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto how = boundary(mode);
        const auto from = along<const T>(y, axis);
        const auto a = along<T>(low, axis), d = along<T>(high, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::idwt_adjoint<T>(ctx, from, b, how, a, d); });
      },
      "y"_a.noconvert(), "axis"_a, "filters"_a, "mode"_a, "low"_a.noconvert(), "high"_a.noconvert(),
      "threads"_a, "callback"_a.none());
  m.def(
      "swt",
      [](const array<const T>& x, std::ptrdiff_t axis, filters f, std::ptrdiff_t step, double scale,
         const array<T>& low, const array<T>& high, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto from = along<const T>(x, axis);
        const auto a = along<T>(low, axis), d = along<T>(high, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::swt<T>(ctx, from, b, step, scale, a, d); });
      },
      "x"_a.noconvert(), "axis"_a, "filters"_a, "step"_a, "scale"_a, "low"_a.noconvert(),
      "high"_a.noconvert(), "threads"_a, "callback"_a.none());
  m.def(
      "iswt",
      [](const array<const T>& low, const array<const T>& high, std::ptrdiff_t axis, filters f,
         std::ptrdiff_t step, double scale, const array<T>& y, int threads, const nb::object& callback) {
        const auto b = bank(std::move(f));
        const auto a = along<const T>(low, axis), d = along<const T>(high, axis);
        const auto to = along<T>(y, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::iswt<T>(ctx, a, d, b, step, scale, to); });
      },
      "low"_a.noconvert(), "high"_a.noconvert(), "axis"_a, "filters"_a, "step"_a, "scale"_a,
      "y"_a.noconvert(), "threads"_a, "callback"_a.none());
  m.def(
      "shear",
      [](const array<const T>& x, std::ptrdiff_t axis, const std::string& name, const array<T>& low,
         const array<T>& high, bool transposed, int threads, const nb::object& callback) {
        const auto how = shears(name);
        const auto from = along<const T>(x, axis);
        const auto a = along<T>(low, axis), d = along<T>(high, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::shear<T>(ctx, from, how, a, d, transposed); });
      },
      "x"_a.noconvert(), "axis"_a, "scheme"_a, "low"_a.noconvert(), "high"_a.noconvert(), "transposed"_a,
      "threads"_a, "callback"_a.none());
  m.def(
      "unshear",
      [](const array<const T>& low, const array<const T>& high, std::ptrdiff_t axis, const std::string& name,
         const array<T>& x, bool transposed, int threads, const nb::object& callback) {
        const auto how = shears(name);
        const auto a = along<const T>(low, axis), d = along<const T>(high, axis);
        const auto to = along<T>(x, axis);
        run(threads, callback,
            [&](const context& ctx) { multiscale::unshear<T>(ctx, a, d, how, to, transposed); });
      },
      "low"_a.noconvert(), "high"_a.noconvert(), "axis"_a, "scheme"_a, "x"_a.noconvert(), "transposed"_a,
      "threads"_a, "callback"_a.none());
}

template <class X, class T>
void bind_lifting(nb::module_& m) {
  m.def(
      "lift",
      [](const array<const X>& x, std::ptrdiff_t axis, std::ptrdiff_t across, const std::string& axes,
         const std::string& name, std::int64_t shift, const std::vector<array<T>>& bands, int threads,
         const nb::object& callback) {
        const auto how = scheme(name);
        const auto both = which(axes);
        const auto from = along<const X>(x, axis);
        const auto to = along_all(bands, axis);
        const auto seen = run(threads, callback, [&](const context& ctx) {
          return multiscale::lift<X, T>(ctx, from, across, both, how, static_cast<T>(shift), to);
        });
        return std::array<std::int64_t, 2>{seen.least, seen.largest};
      },
      "x"_a.noconvert(), "axis"_a, "across"_a, "axes"_a, "scheme"_a, "shift"_a, "bands"_a.noconvert(),
      "threads"_a, "callback"_a.none());
}

template <class T>
void bind_unlifting(nb::module_& m) {
  m.def(
      "unlift",
      [](const std::vector<array<const T>>& bands, std::ptrdiff_t axis, std::ptrdiff_t across,
         const std::string& axes, const std::string& name, std::int64_t shift, const array<T>& x, int threads,
         const nb::object& callback) {
        const auto how = scheme(name);
        const auto both = which(axes);
        const auto from = along_all(bands, axis);
        const auto to = along<T>(x, axis);
        const auto seen = run(threads, callback, [&](const context& ctx) {
          return multiscale::unlift<T>(ctx, from, across, both, how, static_cast<T>(shift), to);
        });
        std::vector<std::array<std::int64_t, 2>> all;
        for (const auto& r : seen) all.push_back({r.least, r.largest});
        return all;
      },
      "bands"_a.noconvert(), "axis"_a, "across"_a, "axes"_a, "scheme"_a, "shift"_a, "x"_a.noconvert(),
      "threads"_a, "callback"_a.none());
}

// planes x rows x columns x channels, the last two dense
template <class T, class A>
multiscale::image_view<T> image(const A& a) {
  check(a.ndim() == 4, "an image must have four dimensions, got ", a.ndim());
  const auto size = [&](std::size_t d) { return static_cast<std::ptrdiff_t>(a.shape(d)); };
  check((a.stride(3) == 1 || size(3) == 1) && (a.stride(2) == size(3) || size(2) == 1),
        "columns and channels must be dense");
  return {a.data(),
          size(0),
          size(1),
          size(2),
          size(3),
          static_cast<std::ptrdiff_t>(a.stride(0)),
          static_cast<std::ptrdiff_t>(a.stride(1))};
}

template <class T>
void bind_pyramids(nb::module_& m) {
  using D = typename multiscale::pyramid_difference<T>::type;
  m.def(
      "pyramid_down",
      [](const array<const T>& x, double a, const array<T>& down, int threads, const nb::object& callback) {
        const auto from = image<const T>(x);
        const auto to = image<T>(down);
        run(threads, callback, [&](const context& ctx) { multiscale::pyramid_down<T>(ctx, from, a, to); });
      },
      "x"_a.noconvert(), "a"_a, "down"_a.noconvert(), "threads"_a, "callback"_a.none());
  m.def(
      "pyramid_up",
      [](const array<const T>& x, const std::string& name, const array<T>& up, int threads,
         const nb::object& callback) {
        const auto how = border(name);
        const auto from = image<const T>(x);
        const auto to = image<T>(up);
        run(threads, callback, [&](const context& ctx) { multiscale::pyramid_up<T>(ctx, from, how, to); });
      },
      "x"_a.noconvert(), "border"_a, "up"_a.noconvert(), "threads"_a, "callback"_a.none());
  m.def(
      "pyramid_split",
      [](const array<const T>& x, double a, const std::string& name, const array<T>& down,
         const array<D>& detail, int threads, const nb::object& callback) {
        const auto how = border(name);
        const auto from = image<const T>(x);
        const auto low = image<T>(down);
        const auto high = image<D>(detail);
        run(threads, callback,
            [&](const context& ctx) { multiscale::pyramid_split<T>(ctx, from, a, how, low, high); });
      },
      "x"_a.noconvert(), "a"_a, "border"_a, "down"_a.noconvert(), "detail"_a.noconvert(), "threads"_a,
      "callback"_a.none());
  m.def(
      "pyramid_join",
      [](const array<const T>& down, const array<const D>& detail, const std::string& name, const array<T>& x,
         int threads, const nb::object& callback) {
        const auto how = border(name);
        const auto low = image<const T>(down);
        const auto high = image<const D>(detail);
        const auto to = image<T>(x);
        run(threads, callback,
            [&](const context& ctx) { multiscale::pyramid_join<T>(ctx, low, high, how, to); });
      },
      "down"_a.noconvert(), "detail"_a.noconvert(), "border"_a, "x"_a.noconvert(), "threads"_a,
      "callback"_a.none());
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
  bind_more<float>(m);
  bind_more<double>(m);
  bind_lifting<std::uint8_t, std::int16_t>(m);
  bind_lifting<std::uint8_t, std::int32_t>(m);
  bind_lifting<std::uint8_t, std::int64_t>(m);
  bind_lifting<std::int16_t, std::int16_t>(m);
  bind_lifting<std::int32_t, std::int32_t>(m);
  bind_lifting<std::int64_t, std::int64_t>(m);
  bind_unlifting<std::int16_t>(m);
  bind_unlifting<std::int32_t>(m);
  bind_unlifting<std::int64_t>(m);
  bind_pyramids<std::uint8_t>(m);
  bind_pyramids<std::uint16_t>(m);
  bind_pyramids<std::int16_t>(m);
  bind_pyramids<float>(m);
  bind_pyramids<double>(m);
}
