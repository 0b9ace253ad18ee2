// A pybind11 extension that calls lapwing's C++ library directly; lapwing's own Python layer takes no part.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <lapwing/lapwing.hpp>
#include <stdexcept>
#include <vector>

namespace py = pybind11;

namespace {

template <class T>
using array = py::array_t<T, py::array::c_style>;

// Potentials of the transport between the equally weighted rows of x and y under squared distances.
template <class T>
py::tuple potentials(const array<T>& x, const array<T>& y, double reg, double tol, int threads) {
  if (x.ndim() != 2 || y.ndim() != 2 || x.shape(1) != y.shape(1)) {
    throw std::invalid_argument("x and y must be two-dimensional with the same number of columns");
  }
  const auto n = x.shape(0), m = y.shape(0);
  py::array_t<double> f(n), g(m);
  std::vector<double> a(static_cast<std::size_t>(n), 1.0 / static_cast<double>(n)),
      b(static_cast<std::size_t>(m), 1.0 / static_cast<double>(m));
  const lapwing::matrix_view<const T> xs(x.data(), n, x.shape(1)), ys(y.data(), m, y.shape(1));
  const std::span<double> fs(f.mutable_data(), a.size()), gs(g.mutable_data(), b.size());
  lapwing::ot::result result;
  {
    const py::gil_scoped_release nogil;
    const lapwing::context ctx({.threads = threads, .should_stop = [] {
                                  const py::gil_scoped_acquire gil;
                                  return PyErr_CheckSignals() != 0;
                                }});
    try {
      result = lapwing::ot::solve<T>(
          ctx, lapwing::ot::geometry<T>::points(xs, ys, lapwing::ot::metric::sqeuclidean), a, b,
          {.schedule = {16 * reg, 4 * reg, reg}, .tol = tol}, fs, gs);
    } catch (const lapwing::cancelled&) {
      const py::gil_scoped_acquire gil;
      throw py::error_already_set();  // what the signal handler raised
    }
  }
  return py::make_tuple(f, g, result.converged, result.marginal_error);
}

}  // namespace

PYBIND11_MODULE(pybind11_consumer, m) {
  m.def("potentials", &potentials<float>, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("reg"),
        py::arg("tol") = 1e-5, py::arg("threads") = 0);
  m.def("potentials", &potentials<double>, py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("reg"),
        py::arg("tol") = 1e-9, py::arg("threads") = 0);
  m.attr("isa") = lapwing::name(lapwing::best_isa());
}
