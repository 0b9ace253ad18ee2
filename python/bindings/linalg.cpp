// lapwing::sparse and lapwing::linalg for Python.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <lapwing/linalg.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/sparse.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::csr, python::mat_in, python::mat_out, python::vec_in, python::run, python::view;

// The memory of a vector as an array: nothing is copied.
template <class T>
auto array(std::vector<T>&& v) {
  auto* kept = new std::vector<T>(std::move(v));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}
nb::tuple arrays(sparse::csr&& a) {
  return nb::make_tuple(array(std::move(a.offsets)), array(std::move(a.indices)), array(std::move(a.values)));
}

linalg::normalization normalization(const std::string& form) {
  check(form == "none" || form == "symmetric", "form must be 'none' or 'symmetric', got '", form, "'");
  return form == "none" ? linalg::normalization::none : linalg::normalization::symmetric;
}

// A Python object's products: functions of k x n arrays, vectors in rows.
class python_operator final : public linear_operator {
 public:
  python_operator(std::ptrdiff_t rows, std::ptrdiff_t cols, const nb::object& forward, const nb::object& back)
      : rows_(rows), cols_(cols), forward_(forward), back_(back) {}
  std::ptrdiff_t rows() const override { return rows_; }
  std::ptrdiff_t cols() const override { return cols_; }
  void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const override {
    call(forward_, v, out);
  }
  void apply_transposed(const context&, matrix_view<const double> v, matrix_view<double> out) const override {
    call(back_, v, out);
  }
  void normal(const context&, matrix_view<const double> v, matrix_view<double> out) const override {
    std::vector<double> image(static_cast<std::size_t>(v.rows * rows_));
    const matrix_view<double> between{image.data(), v.rows, rows_};
    call(forward_, v, between);
    call(back_, between, out);
  }

 private:
  static void call(const nb::object& f, matrix_view<const double> v, matrix_view<double> out) {
    const nb::gil_scoped_acquire gil;
    const std::size_t k = static_cast<std::size_t>(v.rows), n = static_cast<std::size_t>(v.cols);
    // A copy: the function may keep what it is given.
    auto* kept = new std::vector<double>(k * n);
    const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
    for (std::size_t i = 0; i < k; ++i)
      std::copy_n(&v(static_cast<std::ptrdiff_t>(i), 0), n, kept->data() + i * n);
    const auto answer =
        nb::cast<mat_in<double>>(f(nb::ndarray<nb::numpy, double, nb::ndim<2>>(kept->data(), {k, n}, owner)));
    check(static_cast<std::ptrdiff_t>(answer.shape(0)) == out.rows &&
              static_cast<std::ptrdiff_t>(answer.shape(1)) == out.cols,
          "the operator returned ", answer.shape(0), " x ", answer.shape(1), ", not ", out.rows, " x ",
          out.cols);
    for (std::ptrdiff_t i = 0; i < out.rows; ++i)
      std::copy_n(answer.data() + i * out.cols, out.cols, &out(i, 0));
  }

  std::ptrdiff_t rows_, cols_;
  nb::object forward_, back_;
};

}  // namespace

#define CSR "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert()

void bind_linalg(nb::module_& m) {
  m.def(
      "components",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        auto r = run(1, nb::none(), [&](const context&) {
          sparse::check_structure(w, "w");
          return sparse::components(w);
        });
        return nb::make_tuple(array(std::move(r.labels)), array(std::move(r.sizes)));
      },
      CSR, "Component of each node, the largest first, and the sizes.");
  m.def(
      "is_symmetric",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        return run(1, nb::none(), [&](const context&) {
          sparse::check_structure(w, "w");
          return sparse::is_symmetric(w);
        });
      },
      CSR, "Whether pattern and values are symmetric to the last bit.");
  m.def(
      "symmetrize",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values, const std::string& rule) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        constexpr const char* names[] = {"max", "min", "mean", "fuzzy"};
        int which = 0;
        while (which < 4 && rule != names[which]) ++which;
        check(which < 4, "rule must be 'max', 'min', 'mean' or 'fuzzy', got '", rule, "'");
        return arrays(run(1, nb::none(), [&](const context&) {
          sparse::check_structure(w, "w");
          return sparse::symmetrize(w, static_cast<sparse::symmetry>(which));
        }));
      },
      CSR, "rule"_a, "A symmetric matrix, to the last bit.");
  nb::class_<linalg::laplacian_solver>(m, "LaplacianSolver", "Solves L x = b for the Laplacian of a graph.")
      .def(
          "__init__",
          [](linalg::laplacian_solver* self, const vec_in<std::int64_t>& offsets,
             const vec_in<std::int32_t>& indices, const vec_in<double>& values, int split, std::uint64_t seed,
             int threads) {
            const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
            auto made = run(threads, nb::none(), [&](const context& ctx) {
              return linalg::laplacian_solver(ctx, w, split, seed);
            });
            new (self) linalg::laplacian_solver(std::move(made));
          },
          CSR, "split"_a, "seed"_a, "threads"_a)
      .def_prop_ro("factor_nonzeros", &linalg::laplacian_solver::factor_nonzeros)
      .def(
          "apply",
          [](const linalg::laplacian_solver& self, const mat_in<double>& b) {
            const std::size_t n = b.shape(0), m = b.shape(1);
            std::vector<double> x(n * m);
            run(1, nb::none(), [&](const context& ctx) {
              self.apply(ctx, view<double>(b),
                         {x.data(), static_cast<std::ptrdiff_t>(n), static_cast<std::ptrdiff_t>(m)});
            });
            auto* kept = new std::vector<double>(std::move(x));
            const nb::capsule owner(kept,
                                    [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
            return nb::ndarray<nb::numpy, double, nb::ndim<2>>(kept->data(), {n, m}, owner);
          },
          "b"_a.noconvert(), "The preconditioner alone.")
      .def(
          "solve",
          [](const linalg::laplacian_solver& self, const mat_in<double>& b, double tol,
             std::ptrdiff_t max_iter, const mat_out<double>& x, int threads, const nb::object& callback) {
            auto r = run(threads, callback, [&](const context& ctx) {
              return self.solve(ctx, view<double>(b), view<double>(x), tol, max_iter);
            });
            return nb::make_tuple(array(std::move(r.residuals)), r.iterations, r.converged);
          },
          "b"_a.noconvert(), "tol"_a, "max_iter"_a, "x"_a.noconvert(), "threads"_a, "callback"_a.none(),
          "Fills `x`; returns the residuals, the number of iterations and whether all columns converged.");
  m.def(
      "count_below",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values, const std::string& form, double sigma, double max_memory,
         int threads) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        const auto r = run(threads, nb::none(), [&](const context& ctx) {
          return linalg::count_below(ctx, w, normalization(form), sigma, max_memory);
        });
        return nb::make_tuple(r.count, r.error);
      },
      CSR, "form"_a, "sigma"_a, "max_memory"_a, "threads"_a,
      "Eigenvalues of the Laplacian below sigma, and by how much the counted matrix may differ.");
  const auto dense = [&m]<class T>(T) {
    m.def(
        "dense_times",
        [](const mat_in<T>& a, const mat_in<double>& v, const mat_out<double>& out, int threads) {
          run(threads, nb::none(), [&](const context& ctx) {
            linalg::dense_times(ctx, view<T>(a), view<double>(v), view<double>(out));
          });
        },
        "a"_a.noconvert(), "v"_a.noconvert(), "out"_a.noconvert(), "threads"_a, "Fills `out` with v aᵀ.");
  };
  dense(double{});
  dense(float{});
  m.def(
      "eigs",
      [](const nb::object& apply, std::ptrdiff_t n, const std::optional<mat_in<double>>& known,
         std::ptrdiff_t k, bool largest, double tol, double norm, std::ptrdiff_t width,
         std::ptrdiff_t max_products, bool verify, std::uint64_t seed, const mat_out<double>& vectors,
         int threads, const nb::object& callback) {
        const python_operator a(n, n, apply, nb::none());
        auto r = run(threads, callback, [&](const context& ctx) {
          return linalg::eigs(ctx, a, known ? view<double>(*known) : matrix_view<const double>(), k,
                              {.largest = largest,
                               .tol = tol,
                               .norm = norm,
                               .width = width,
                               .max_products = max_products,
                               .verify = verify,
                               .seed = seed},
                              view<double>(vectors));
        });
        nb::dict d;
        d["values"] = array(std::move(r.values));
        d["residuals"] = array(std::move(r.residuals));
        d["norm"] = r.norm;
        d["products"] = r.products;
        d["rounds"] = r.rounds;
        d["converged"] = r.converged;
        d["stopped"] = r.stopped;
        return d;
      },
      "apply"_a, "n"_a, "known"_a.noconvert().none(), "k"_a, "largest"_a, "tol"_a, "norm"_a, "width"_a,
      "max_products"_a, "verify"_a, "seed"_a, "vectors"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "Eigenpairs at one end of the spectrum of a symmetric operator; fills `vectors`.");
  m.def(
      "svds",
      [](const nb::object& apply, const nb::object& transposed, std::ptrdiff_t rows, std::ptrdiff_t cols,
         std::ptrdiff_t k, double tol, std::ptrdiff_t max_apply, std::uint64_t seed, const mat_out<double>& u,
         const mat_out<double>& v, int threads, const nb::object& callback) {
        const python_operator a(rows, cols, apply, transposed);
        auto r = run(threads, callback, [&](const context& ctx) {
          return linalg::svds(ctx, a, {}, {}, k, {.tol = tol, .max_apply = max_apply, .seed = seed},
                              view<double>(u), view<double>(v));
        });
        return nb::make_tuple(array(std::move(r.values)), array(std::move(r.residuals)), r.applications,
                              r.converged);
      },
      "apply"_a, "transposed"_a, "rows"_a, "cols"_a, "k"_a, "tol"_a, "max_apply"_a, "seed"_a,
      "u"_a.noconvert(), "v"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "Leading singular triplets of an operator; fills `u` (k x rows) and `v` (k x cols).");
  m.def(
      "laplacian_eigs",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values, std::ptrdiff_t k, const std::string& method, const std::string& form,
         std::ptrdiff_t guard, double tol, double tol_vec, int split, int max_outer, double max_memory,
         bool verify, std::uint64_t seed, const mat_out<double>& vectors, int threads,
         const nb::object& callback, const std::optional<mat_in<double>>& start, double tol_angle,
         std::ptrdiff_t accurate) {
        constexpr const char* names[] = {"auto", "approxchol", "cholesky", "chebyshev", "lanczos"};
        int which = 0;
        while (which < 5 && method != names[which]) ++which;
        check(which < 5, "method must be 'auto', 'approxchol', 'cholesky', 'chebyshev' or 'lanczos', got '",
              method, "'");
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        auto r = run(threads, callback, [&](const context& ctx) {
          return linalg::laplacian_eigs(ctx, w, k,
                                        {.method = static_cast<linalg::eigen_method>(which),
                                         .form = normalization(form),
                                         .guard = guard,
                                         .tol = tol,
                                         .tol_vec = tol_vec,
                                         .tol_angle = tol_angle,
                                         .accurate = accurate,
                                         .split = split,
                                         .max_outer = max_outer,
                                         .max_memory = max_memory,
                                         .verify = verify,
                                         .seed = seed,
                                         .start = start ? view<double>(*start) : matrix_view<const double>()},
                                        view<double>(vectors));
        });
        nb::dict d;
        d["method"] = names[static_cast<int>(r.method)];
        d["reason"] = r.reason;
        d["values"] = array(std::move(r.values));
        d["residuals"] = array(std::move(r.residuals));
        d["angles"] = array(std::move(r.angles));
        d["labels"] = array(std::move(r.labels));
        d["component_sizes"] = array(std::move(r.component_sizes));
        d["norm"] = r.norm;
        d["outer"] = r.outer;
        d["products"] = r.products;
        d["corrections"] = r.corrections;
        d["rounds"] = r.rounds;
        d["factor_nonzeros"] = r.factor_nonzeros;
        d["converged"] = r.converged;
        d["stopped"] = r.stopped;
        return d;
      },
      CSR, "k"_a, "method"_a, "form"_a, "guard"_a, "tol"_a, "tol_vec"_a, "split"_a, "max_outer"_a,
      "max_memory"_a, "verify"_a, "seed"_a, "vectors"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "start"_a.noconvert().none(), "tol_angle"_a = 0.0, "accurate"_a = 0,
      "The k smallest eigenpairs of a graph Laplacian beyond its null space; fills `vectors`.");
}
