// What every binding file shares: array arguments, views of them, and the context of one call.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <exception>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/view.hpp>
#include <memory_resource>
#include <utility>

namespace nb = nanobind;

namespace lapwing::python {

// Use with .noconvert(): nanobind would otherwise copy other types and layouts without a word.
template <class T>
using mat_in = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using vec_in = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using mat_out = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using vec_out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
matrix_view<const T> view(const mat_in<T>& a) {
  return {a.data(), static_cast<std::ptrdiff_t>(a.shape(0)), static_cast<std::ptrdiff_t>(a.shape(1))};
}
template <class T>
vector_view<const T> view(const vec_in<T>& a) {
  return {a.data(), a.shape(0)};
}
template <class T>
  requires(!std::is_const_v<T>)
matrix_view<T> view(const mat_out<T>& a) {
  return {a.data(), static_cast<std::ptrdiff_t>(a.shape(0)), static_cast<std::ptrdiff_t>(a.shape(1))};
}
template <class T>
  requires(!std::is_const_v<T>)
vector_view<T> view(const vec_out<T>& a) {
  return {a.data(), a.shape(0)};
}

// The matrix of three arrays.
inline csr_view<const double> csr(const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
                                  const vec_in<double>& values, std::ptrdiff_t cols) {
  return {view<std::int64_t>(offsets), view<std::int32_t>(indices), view<double>(values), cols};
}

// The process-wide settings of the Python layer (module.cpp).
int default_threads();
isa level();
// Where scratch memory of calls of this thread is counted; null: nowhere.
std::pmr::memory_resource* counted_memory();

// Calls f(context) without the GIL. threads = 0: the process's default. should_stop looks for signals;
// progress calls callback(stage, iteration, error), whose true answer stops gracefully. What a signal handler
// or the callback raises comes out as it was.
template <class F>
auto run(int threads, nb::object callback, F&& f) {
  std::exception_ptr raised;
  context::options o;
  o.threads = threads == 0 ? default_threads() : threads;
  o.level = level();
  o.memory = counted_memory();
  o.should_stop = [&raised] {
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return false;
    raised = std::make_exception_ptr(
        nb::python_error());  // takes the error off the thread, to be raised at the end
    return true;
  };
  if (!callback.is_none()) {
    o.progress = [&callback](const progress_info& p) {
      const nb::gil_scoped_acquire gil;
      const nb::object answer = callback(p.stage, p.iteration, p.error);
      const int truth = PyObject_IsTrue(answer.ptr());
      if (truth < 0) throw nb::python_error();
      return truth != 0;
    };
  }
  try {
    const nb::gil_scoped_release nogil;
    const context ctx(std::move(o));
    return std::forward<F>(f)(ctx);
  } catch (const cancelled&) {
    if (raised) std::rethrow_exception(raised);
    throw;
  }
}

}  // namespace lapwing::python
