// lapwing::ot for Python: arrays in, views out.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <lapwing/linalg.hpp>
#include <lapwing/ot.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::mat_in, python::mat_out, python::vec_in, python::vec_out, python::run, python::view;
using indices = nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using index_matrix = nb::ndarray<std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

ot::metric metric_of(const std::string& name) {
  constexpr const char* names[] = {"sqeuclidean", "euclidean", "cosine", "dot"};
  for (int k = 0; k < 4; ++k)
    if (name == names[k]) return static_cast<ot::metric>(k);
  check(false, "metric must be 'sqeuclidean', 'euclidean', 'cosine' or 'dot', got '", name, "'");
  return {};
}

// (C, None, "dense") or (X, Y, metric); "hollow " before the last word: without the pairs (i, i)
template <class T>
ot::geometry<T> geometry(const mat_in<T>& x, const std::optional<mat_in<T>>& y, const std::string& metric) {
  if (const std::string word = "hollow "; metric.starts_with(word)) {
    auto whole = geometry<T>(x, y, metric.substr(word.size()));
    whole.hollow = true;
    return whole;
  }
  if (metric == "dense") {
    check(!y, "a dense cost goes with Y = None");
    return ot::geometry<T>::dense(view<T>(x));
  }
  check(y.has_value(), "the metric ", metric, " needs Y");
  return ot::geometry<T>::points(view<T>(x), view<T>(*y), metric_of(metric));
}

template <class T>
csr_view<const T> pairs(const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
                        const vec_in<T>& values, std::size_t cols) {
  return {view<std::int64_t>(offsets), view<std::int32_t>(indices), view<T>(values),
          static_cast<std::ptrdiff_t>(cols)};
}

void read(const std::string& acceleration, const std::string& method, ot::options& o) {
  check(acceleration == "none" || acceleration == "anderson" || acceleration == "sor",
        "acceleration must be 'none', 'anderson' or 'sor', got '", acceleration, "'");
  o.accelerate = acceleration == "none"  ? ot::acceleration::none
                 : acceleration == "sor" ? ot::acceleration::sor
                                         : ot::acceleration::anderson;
  check(method == "auto" || method == "sinkhorn" || method == "newton",
        "method must be 'auto', 'sinkhorn' or 'newton', got '", method, "'");
  o.solver = method == "auto"     ? ot::method::automatic
             : method == "newton" ? ot::method::newton
                                  : ot::method::sinkhorn;
}

ot::relaxed_options relaxed(const std::vector<double>& schedule, const vec_in<double>& rho_a,
                            const vec_in<double>& rho_b, bool clip, double mass, bool product, double tol,
                            std::ptrdiff_t max_iter, bool init, bool accelerate) {
  return {.schedule = schedule,
          .tol = tol,
          .max_iter = max_iter,
          .init = init,
          .accelerate = accelerate,
          .kind = clip ? ot::penalty::total_variation : ot::penalty::kl,
          .rho_a = view<double>(rho_a),
          .rho_b = view<double>(rho_b),
          .mass = mass,
          .product_reference = product};
}

nb::list steps(const std::vector<ot::step>& history) {
  nb::list out;
  for (const auto& s : history) out.append(nb::make_tuple(s.reg, s.error, ot::name(s.kind)));
  return out;
}

// What every kind of result says.
template <class R>
nb::dict common(const R& r) {
  nb::dict out;
  out["converged"] = r.converged;
  out["stopped"] = r.stopped;
  out["status"] = r.status;
  out["n_sweeps"] = r.sweeps;
  out["history"] = steps(r.history);
  return out;
}
nb::dict report(const ot::result& r) {
  nb::dict out = common(r);
  out["n_newton"] = r.newton_steps;
  out["n_inner"] = r.inner_steps;
  out["reason"] = r.reason;
  out["marginal_error"] = r.marginal_error;
  return out;
}
nb::tuple report(const ot::barycenter_result& r) {
  return nb::make_tuple(r.converged, r.stopped, r.iterations, r.error);
}
nb::tuple report(const ot::scaling_result& r) { return nb::make_tuple(r.converged, r.iterations, r.error); }
nb::tuple report(const ot::marginal_result& r) {
  return nb::make_tuple(r.converged, r.iterations, r.residual, r.common);
}

ot::marginal_equations equations(const vec_in<double>& rows, const vec_in<double>& columns,
                                 const vec_in<double>& q, const vec_in<double>& w, const vec_in<bool>& free,
                                 std::optional<double> total, bool transposed, double tol,
                                 std::ptrdiff_t max_iter) {
  static_assert(sizeof(bool) == sizeof(char));
  return {.rows = view<double>(rows),
          .columns = view<double>(columns),
          .q = view<double>(q),
          .w = view<double>(w),
          .free = {reinterpret_cast<const char*>(free.data()), free.size()},
          .common = total.has_value(),
          .total = total.value_or(0),
          .transposed = transposed,
          .tol = tol,
          .max_iter = max_iter};
}
nb::dict report(const ot::relaxed_result& r) {
  nb::dict out = common(r);
  out["change"] = r.change;
  out["mass"] = r.mass;
  out["shift"] = r.shift;
  return out;
}

// Blocks of vectors are columns in Python and rows in the core.
class block_in {
 public:
  explicit block_in(const mat_in<double>& a)
      : rows_(static_cast<std::ptrdiff_t>(a.shape(1))),
        cols_(static_cast<std::ptrdiff_t>(a.shape(0))),
        data_(a.size()) {
    for (std::ptrdiff_t j = 0; j < cols_; ++j)
      for (std::ptrdiff_t c = 0; c < rows_; ++c)
        data_[static_cast<std::size_t>(c * cols_ + j)] = a.data()[j * rows_ + c];
  }
  operator matrix_view<const double>() const { return {data_.data(), rows_, cols_}; }

 private:
  std::ptrdiff_t rows_, cols_;
  std::vector<double> data_;
};
class block_out {
 public:
  explicit block_out(const mat_out<double>& a) : target_(view<double>(a)), data_(a.size()) {}
  operator matrix_view<double>() { return {data_.data(), target_.cols, target_.rows}; }
  void write() const {
    for (std::ptrdiff_t i = 0; i < target_.rows; ++i)
      for (std::ptrdiff_t c = 0; c < target_.cols; ++c)
        target_(i, c) = data_[static_cast<std::size_t>(c * target_.rows + i)];
  }

 private:
  matrix_view<double> target_;
  std::vector<double> data_;
};

template <class T>
using stack_in = nb::ndarray<const T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// The problems of a batch, which lie in the corners of arrays of one size.
template <class T>
std::vector<ot::batch_item<T>> batch_items(const stack_in<T>& x, const std::optional<stack_in<T>>& y,
                                           const std::string& metric, const mat_in<double>& a,
                                           const mat_in<double>& b, const mat_out<double>& f,
                                           const mat_out<double>& g, const std::vector<std::ptrdiff_t>& rows,
                                           const std::vector<std::ptrdiff_t>& cols) {
  const std::size_t count = x.shape(0);
  check(rows.size() == count && cols.size() == count, "rows and cols must have length ", count);
  check(!y || (y->shape(0) == count && y->shape(2) == x.shape(2)),
        "X and Y must hold as many problems and columns");
  check(a.shape(0) == count && b.shape(0) == count && f.shape(0) == count && g.shape(0) == count,
        "a, b, f and g must have ", count, " rows");
  check(f.shape(1) == a.shape(1) && g.shape(1) == b.shape(1), "f and g must be as long as a and b");
  check(a.shape(1) == x.shape(1) && b.shape(1) == (y ? y->shape(1) : x.shape(2)),
        "a and b must be as long as the sides of the problems");
  std::vector<ot::batch_item<T>> items;
  const auto signed_of = [](std::size_t n) { return static_cast<std::ptrdiff_t>(n); };
  for (std::size_t k = 0; k < count; ++k) {
    const std::ptrdiff_t n = rows[k], m = cols[k];
    check(n >= 1 && n <= signed_of(a.shape(1)) && m >= 1 && m <= signed_of(b.shape(1)), "problem ", k,
          " has an impossible size, ", n, " x ", m);
    ot::geometry<T> geo;
    const T* first = x.data() + k * x.shape(1) * x.shape(2);
    if (!y) {
      geo = ot::geometry<T>::dense({first, n, m, signed_of(x.shape(2))});
    } else {
      const std::ptrdiff_t d = signed_of(x.shape(2));
      geo = ot::geometry<T>::points({first, n, d, d}, {y->data() + k * y->shape(1) * y->shape(2), m, d, d},
                                    metric_of(metric));
    }
    const auto row = [k](auto& z, std::ptrdiff_t size) {
      return std::span(z.data() + k * z.shape(1), static_cast<std::size_t>(size));
    };
    items.push_back({geo, row(a, n), row(b, m), row(f, n), row(g, m)});
  }
  return items;
}

template <class T>
void bind(nb::module_& m) {
  using cost = mat_in<T>;
  using optional_cost = std::optional<mat_in<T>>;
  const auto X = "X"_a.noconvert();
  const auto Y = "Y"_a.noconvert().none();

  m.def(
      "ot_scan",
      [](cost x, int threads) {
        const auto s =
            run(threads, nb::none(), [&](const context& ctx) { return ot::scan<T>(ctx, view<T>(x)); });
        return nb::make_tuple(s.low, s.high, s.infinite, s.bad);
      },
      X, "threads"_a, "Range of a matrix, number of +inf, flat index of the first NaN or -inf (-1: none).");

  m.def(
      "ot_range",
      [](cost x, optional_cost y, const std::string& metric, int threads) {
        const auto r = run(threads, nb::none(),
                           [&](const context& ctx) { return ot::range<T>(ctx, geometry<T>(x, y, metric)); });
        return nb::make_tuple(r.low, r.high);
      },
      X, Y, "metric"_a, "threads"_a, "Bounds of the finite costs.");

  m.def(
      "ot_solve",
      [](cost x, optional_cost y, const std::string& metric, vec_in<double> a, vec_in<double> b,
         vec_out<double> f, vec_out<double> g, const std::vector<double>& schedule, double tol,
         std::ptrdiff_t max_iter, bool init, const std::string& acceleration, const std::string& method,
         double max_bytes, int threads, nb::object callback) {
        ot::options o{
            .schedule = schedule, .tol = tol, .max_iter = max_iter, .init = init, .max_bytes = max_bytes};
        read(acceleration, method, o);
        const auto r = run(threads, callback, [&](const context& ctx) {
          return ot::solve<T>(ctx, geometry<T>(x, y, metric), view<double>(a), view<double>(b), o,
                              view<double>(f), view<double>(g));
        });
        return report(r);
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(),
      "schedule"_a, "tol"_a, "max_iter"_a, "init"_a, "acceleration"_a, "method"_a, "max_bytes"_a, "threads"_a,
      "callback"_a.none(), "Balanced entropic transport; f and g are written.");

  m.def(
      "ot_solve_sparse",
      [](vec_in<std::int64_t> offsets, vec_in<std::int32_t> indices, vec_in<T> values, vec_in<double> a,
         vec_in<double> b, vec_out<double> f, vec_out<double> g, const std::vector<double>& schedule,
         double tol, std::ptrdiff_t max_iter, bool init, const std::string& acceleration,
         const std::string& method, double max_bytes, int threads, nb::object callback) {
        ot::options o{
            .schedule = schedule, .tol = tol, .max_iter = max_iter, .init = init, .max_bytes = max_bytes};
        read(acceleration, method, o);
        return report(run(threads, callback, [&](const context& ctx) {
          return ot::solve<T>(ctx, pairs<T>(offsets, indices, values, b.size()), view<double>(a),
                              view<double>(b), o, view<double>(f), view<double>(g));
        }));
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "a"_a.noconvert(),
      "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "schedule"_a, "tol"_a, "max_iter"_a, "init"_a,
      "acceleration"_a, "method"_a, "max_bytes"_a, "threads"_a, "callback"_a.none(),
      "Balanced entropic transport over stored pairs; f and g are written.");

  m.def(
      "ot_solve_sparse_relaxed",
      [](vec_in<std::int64_t> offsets, vec_in<std::int32_t> indices, vec_in<T> values, vec_in<double> a,
         vec_in<double> b, vec_out<double> f, vec_out<double> g, vec_in<double> rho_a, vec_in<double> rho_b,
         bool clip, double mass, bool product, const std::vector<double>& schedule, double tol,
         std::ptrdiff_t max_iter, bool init, bool accelerate, int threads, nb::object callback) {
        const auto o = relaxed(schedule, rho_a, rho_b, clip, mass, product, tol, max_iter, init, accelerate);
        return report(run(threads, callback, [&](const context& ctx) {
          return ot::solve_relaxed<T>(ctx, pairs<T>(offsets, indices, values, b.size()), view<double>(a),
                                      view<double>(b), o, view<double>(f), view<double>(g));
        }));
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "a"_a.noconvert(),
      "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "rho_a"_a.noconvert(), "rho_b"_a.noconvert(),
      "clip"_a, "mass"_a, "product"_a, "schedule"_a, "tol"_a, "max_iter"_a, "init"_a, "accelerate"_a,
      "threads"_a, "callback"_a.none(),
      "Transport over stored pairs with penalised or bounded marginals; f and g are written.");

  m.def(
      "ot_solve_batch",
      [](stack_in<T> x, std::optional<stack_in<T>> y, const std::string& metric, mat_in<double> a,
         mat_in<double> b, mat_out<double> f, mat_out<double> g, const std::vector<std::ptrdiff_t>& rows,
         const std::vector<std::ptrdiff_t>& cols, double reg, bool scaling, double tol,
         std::ptrdiff_t max_iter, bool init, const std::string& acceleration, const std::string& method,
         double max_bytes, int threads, nb::object callback) {
        ot::options o{.schedule = {}, .tol = tol, .max_iter = max_iter, .init = init, .max_bytes = max_bytes};
        read(acceleration, method, o);
        const auto items = batch_items<T>(x, y, metric, a, b, f, g, rows, cols);
        const auto results = run(threads, callback, [&](const context& ctx) {
          return ot::solve_batch<T>(ctx, items, reg, scaling, o);
        });
        nb::list out;
        for (const auto& r : results)
          out.append(nb::make_tuple(r.converged, r.status, r.sweeps, r.newton_steps, r.marginal_error));
        return out;
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "rows"_a,
      "cols"_a, "reg"_a, "scaling"_a, "tol"_a, "max_iter"_a, "init"_a, "acceleration"_a, "method"_a,
      "max_bytes"_a, "threads"_a, "callback"_a.none(), "Many balanced problems; f and g are written.");

  m.def(
      "ot_solve_relaxed_batch",
      [](stack_in<T> x, std::optional<stack_in<T>> y, const std::string& metric, mat_in<double> a,
         mat_in<double> b, mat_out<double> f, mat_out<double> g, const std::vector<std::ptrdiff_t>& rows,
         const std::vector<std::ptrdiff_t>& cols, vec_in<double> rho_a, vec_in<double> rho_b, bool clip,
         double mass, bool product, double reg, bool scaling, double tol, std::ptrdiff_t max_iter, bool init,
         bool accelerate, int threads, nb::object callback) {
        const auto o = relaxed({}, rho_a, rho_b, clip, mass, product, tol, max_iter, init, accelerate);
        const auto items = batch_items<T>(x, y, metric, a, b, f, g, rows, cols);
        const auto results = run(threads, callback, [&](const context& ctx) {
          return ot::solve_relaxed_batch<T>(ctx, items, reg, scaling, o);
        });
        nb::list out;
        for (const auto& r : results)
          out.append(nb::make_tuple(r.converged, r.status, r.sweeps, r.change, r.shift));
        return out;
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "rows"_a,
      "cols"_a, "rho_a"_a.noconvert(), "rho_b"_a.noconvert(), "clip"_a, "mass"_a, "product"_a, "reg"_a,
      "scaling"_a, "tol"_a, "max_iter"_a, "init"_a, "accelerate"_a, "threads"_a, "callback"_a.none(),
      "Many problems with penalised or bounded marginals; f and g are written.");

  m.def(
      "ot_batch_plans",
      [](stack_in<T> x, std::optional<stack_in<T>> y, const std::string& metric, mat_in<double> a,
         mat_in<double> b, mat_out<double> f, mat_out<double> g, const std::vector<std::ptrdiff_t>& rows,
         const std::vector<std::ptrdiff_t>& cols, double reg,
         nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu> out, int threads) {
        const auto items = batch_items<T>(x, y, metric, a, b, f, g, rows, cols);
        const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(out.shape(1)),
                             m = static_cast<std::ptrdiff_t>(out.shape(2));
        check(out.shape(0) == items.size(), "out must hold ", items.size(), " plans, got ", out.shape(0));
        std::vector<matrix_view<T>> plans;
        for (std::size_t k = 0; k < items.size(); ++k) {
          check(rows[k] <= n && cols[k] <= m, "out is too small for plan ", k, ", which is ", rows[k], " x ",
                cols[k]);
          plans.push_back({out.data() + static_cast<std::ptrdiff_t>(k) * n * m, rows[k], cols[k], m});
        }
        run(threads, nb::none(), [&](const context& ctx) { ot::batch_plans<T>(ctx, items, reg, plans); });
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "rows"_a,
      "cols"_a, "reg"_a, "out"_a.noconvert(), "threads"_a,
      "The plans of ot_solve_batch; what is beyond the size of a problem is left as it is.");

  m.def(
      "ot_barycenter",
      [](const std::vector<std::tuple<cost, optional_cost, vec_in<double>>>& measures,
         const std::string& metric, const std::vector<double>& shares, optional_cost own_x,
         optional_cost own_y, const std::vector<double>& schedule, double tol, std::ptrdiff_t max_iter,
         vec_out<double> log_p, int threads, nb::object callback) {
        check(shares.size() == measures.size(), "shares must have length ", measures.size());
        std::vector<ot::measure<T>> parts;
        for (std::size_t k = 0; k < measures.size(); ++k) {
          const auto& [x, y, weights] = measures[k];
          parts.push_back({geometry<T>(x, y, metric), view<double>(weights), shares[k]});
        }
        std::optional<ot::geometry<T>> own;
        if (own_x) own = geometry<T>(*own_x, own_y, metric);
        const auto r = run(threads, callback, [&](const context& ctx) {
          return ot::barycenter<T>(ctx, parts, own ? &*own : nullptr,
                                   {.schedule = schedule, .tol = tol, .max_iter = max_iter},
                                   view<double>(log_p));
        });
        return report(r);
      },
      "measures"_a, "metric"_a, "shares"_a, "own_x"_a.none(), "own_y"_a.none(), "schedule"_a, "tol"_a,
      "max_iter"_a, "log_p"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "Entropic barycentre on a fixed support; log p is written.");

  m.def(
      "ot_doubly_stochastic",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> row_sums, double tol,
         std::ptrdiff_t max_iter, vec_out<double> log_scaling, int threads) {
        return report(run(threads, nb::none(), [&](const context& ctx) {
          return ot::doubly_stochastic<T>(ctx, geometry<T>(x, y, metric), reg, view<double>(row_sums),
                                          {.tol = tol, .max_iter = max_iter}, view<double>(log_scaling));
        }));
      },
      X, Y, "metric"_a, "reg"_a, "row_sums"_a.noconvert(), "tol"_a, "max_iter"_a, "log_scaling"_a.noconvert(),
      "threads"_a, "Symmetric scaling of a kernel of points; its logarithm is written.");

  m.def(
      "ot_solve_marginals",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         vec_in<double> rows, vec_in<double> columns, vec_in<double> q, vec_in<double> w, vec_in<bool> free,
         std::optional<double> total, bool transposed, double tol, std::ptrdiff_t max_iter, vec_out<double> s,
         vec_out<double> t, int threads) {
        const auto e = equations(rows, columns, q, w, free, total, transposed, tol, max_iter);
        return report(run(threads, nb::none(), [&](const context& ctx) {
          return ot::solve_marginals<T>(ctx,
                                        {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)}, e,
                                        view<double>(s), view<double>(t));
        }));
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "rows"_a.noconvert(),
      "columns"_a.noconvert(), "q"_a.noconvert(), "w"_a.noconvert(), "free"_a.noconvert(), "total"_a.none(),
      "transposed"_a, "tol"_a, "max_iter"_a, "s"_a.noconvert(), "t"_a.noconvert(), "threads"_a,
      "The equations of implicit differentiation; s and t are written.");

  m.def(
      "ot_solve_relaxed",
      [](cost x, optional_cost y, const std::string& metric, vec_in<double> a, vec_in<double> b,
         vec_out<double> f, vec_out<double> g, vec_in<double> rho_a, vec_in<double> rho_b, bool clip,
         double mass, bool product, const std::vector<double>& schedule, double tol, std::ptrdiff_t max_iter,
         bool init, bool accelerate, int threads, nb::object callback) {
        const auto o = relaxed(schedule, rho_a, rho_b, clip, mass, product, tol, max_iter, init, accelerate);
        const auto r = run(threads, callback, [&](const context& ctx) {
          return ot::solve_relaxed<T>(ctx, geometry<T>(x, y, metric), view<double>(a), view<double>(b), o,
                                      view<double>(f), view<double>(g));
        });
        return report(r);
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(),
      "rho_a"_a.noconvert(), "rho_b"_a.noconvert(), "clip"_a, "mass"_a, "product"_a, "schedule"_a, "tol"_a,
      "max_iter"_a, "init"_a, "accelerate"_a, "threads"_a, "callback"_a.none(),
      "Transport with penalised or bounded marginals; f and g are written.");

  m.def(
      "ot_softmin",
      [](cost x, optional_cost y, const std::string& metric, vec_in<double> h, double reg,
         vec_out<double> out, bool transpose, int threads, nb::object callback) {
        run(threads, callback, [&](const context& ctx) {
          ot::softmin<T>(ctx, geometry<T>(x, y, metric), view<double>(h), reg, view<double>(out), transpose);
        });
      },
      X, Y, "metric"_a, "h"_a.noconvert(), "reg"_a, "out"_a.noconvert(), "transpose"_a, "threads"_a,
      "callback"_a.none(), "out_i = -reg log sum_j exp((h_j - C_ij) / reg).");

  m.def(
      "ot_ctransform",
      [](cost x, optional_cost y, const std::string& metric, vec_in<double> h, vec_out<double> out,
         indices index, bool transpose, int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          ot::c_transform<T>(ctx, geometry<T>(x, y, metric), view<double>(h), view<double>(out),
                             {index.data(), index.size()}, transpose);
        });
      },
      X, Y, "metric"_a, "h"_a.noconvert(), "out"_a.noconvert(), "index"_a.noconvert(), "transpose"_a,
      "threads"_a, "out_i = min_j (C_ij - h_j) and its j.");

  m.def(
      "ot_apply",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         mat_in<double> V, mat_out<double> out, bool transpose, int threads, nb::object callback) {
        const block_in in(V);
        block_out result(out);
        run(threads, callback, [&](const context& ctx) {
          ot::apply<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)}, in, result,
                       transpose);
        });
        result.write();
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "V"_a.noconvert(), "out"_a.noconvert(),
      "transpose"_a, "threads"_a, "callback"_a.none(), "out = P V or P^T V.");

  m.def(
      "ot_normal",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         vec_in<double> w, mat_in<double> V, mat_out<double> out, int threads, nb::object callback) {
        const block_in in(V);
        block_out result(out);
        run(threads, callback, [&](const context& ctx) {
          ot::normal<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)},
                        view<double>(w), in, result);
        });
        result.write();
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "w"_a.noconvert(), "V"_a.noconvert(),
      "out"_a.noconvert(), "threads"_a, "callback"_a.none(), "out = P^T diag(w) P V in one sweep.");

  m.def(
      "ot_weighted",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         int power, std::optional<mat_in<double>> left, std::optional<mat_in<double>> right, mat_in<double> V,
         mat_in<double> U, mat_out<double> forward, mat_out<double> backward, int threads,
         nb::object callback) {
        const block_in first(V), second(U);
        block_out image(forward), back(backward);
        ot::plan<T> p{geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v), power, {}, {}};
        if (left) p.left = view<double>(*left);
        if (right) p.right = view<double>(*right);
        run(threads, callback, [&](const context& ctx) { ot::both<T>(ctx, p, first, image, second, back); });
        image.write();
        back.write();
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "power"_a, "left"_a.noconvert().none(),
      "right"_a.noconvert().none(), "V"_a.noconvert(), "U"_a.noconvert(), "forward"_a.noconvert(),
      "backward"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "forward = W V and backward = W^T U in one sweep, W_ij = P_ij C_ij^power (left right^T)_ij.");

  m.def(
      "ot_stats",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         vec_out<double> row_sum, vec_out<double> col_sum, int threads, nb::object callback) {
        const auto r = run(threads, callback, [&](const context& ctx) {
          return ot::stats<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)},
                              view<double>(row_sum), view<double>(col_sum));
        });
        return nb::make_tuple(r.mass, r.linear, r.plogp);
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "row_sum"_a.noconvert(),
      "col_sum"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "Marginals, and (sum P, <C, P>, sum P log P).");

  m.def(
      "ot_plan",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         std::ptrdiff_t i0, mat_out<T> out, int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          ot::rows<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)}, i0,
                      view<T>(out));
        });
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "i0"_a, "out"_a.noconvert(),
      "threads"_a, "Rows i0 ... of P.");

  const auto top = [](const cost& x, const optional_cost& y, const std::string& metric, double reg,
                      const vec_in<double>& u, const vec_in<double>& v, matrix_view<std::int64_t> index,
                      matrix_view<double> value, bool transpose, int threads) {
    run(threads, nb::none(), [&](const context& ctx) {
      ot::top_k<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)}, index, value,
                   transpose);
    });
  };
  m.def(
      "ot_sparse_semi_dual",
      [](cost x, optional_cost y, const std::string& metric, vec_in<double> a, vec_in<double> b, double reg,
         vec_in<double> alpha, vec_out<double> gradient, index_matrix index, mat_out<double> entries,
         bool transpose, int threads) {
        return run(threads, nb::none(), [&](const context& ctx) {
          return ot::sparse_semi_dual<T>(ctx, geometry<T>(x, y, metric), view<double>(a), view<double>(b),
                                         reg, view<double>(alpha), view<double>(gradient),
                                         {index.data(), static_cast<std::ptrdiff_t>(index.shape(0)),
                                          static_cast<std::ptrdiff_t>(index.shape(1))},
                                         view<double>(entries), transpose);
        });
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "reg"_a, "alpha"_a.noconvert(),
      "gradient"_a.noconvert(), "support"_a.noconvert(), "parts"_a.noconvert(), "transpose"_a, "threads"_a,
      "Semi-dual of transport with few entries in each column; its gradient and they are written.");

  m.def(
      "ot_topk",
      [top](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u,
            vec_in<double> v, std::ptrdiff_t k, index_matrix index, mat_out<double> value, bool transpose,
            int threads) {
        check(static_cast<std::ptrdiff_t>(index.shape(1)) == k, "index must have k = ", k, " columns, got ",
              index.shape(1));
        top(x, y, metric, reg, u, v, {index.data(), static_cast<std::ptrdiff_t>(index.shape(0)), k},
            view<double>(value), transpose, threads);
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "k"_a, "index"_a.noconvert(),
      "value"_a.noconvert(), "transpose"_a, "threads"_a, "The k largest entries of every row of P.");
  m.def(
      "ot_argmax",
      [top](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u,
            vec_in<double> v, indices index, vec_out<double> value, bool transpose, int threads) {
        top(x, y, metric, reg, u, v, {index.data(), static_cast<std::ptrdiff_t>(index.shape(0)), 1},
            {value.data(), static_cast<std::ptrdiff_t>(value.shape(0)), 1}, transpose, threads);
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "index"_a.noconvert(),
      "value"_a.noconvert(), "transpose"_a, "threads"_a, "The largest entry of every row of P.");

  m.def(
      "ot_sample",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         indices rows, indices offsets, vec_in<double> uniform, indices columns, bool transpose,
         int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          ot::sample<T>(ctx, {geometry<T>(x, y, metric), reg, view<double>(u), view<double>(v)},
                        {rows.data(), rows.size()}, {offsets.data(), offsets.size()}, view<double>(uniform),
                        {columns.data(), columns.size()}, transpose);
        });
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "rows"_a.noconvert(),
      "offsets"_a.noconvert(), "uniform"_a.noconvert(), "columns"_a.noconvert(), "transpose"_a, "threads"_a,
      "Draws columns from the rows of P.");

  m.def(
      "ot_quantile",
      [](cost x, optional_cost y, const std::string& metric, double q, std::ptrdiff_t n_samples,
         std::uint64_t seed, int threads) {
        const auto r = run(threads, nb::none(), [&](const context& ctx) {
          return ot::order_statistics<T>(ctx, geometry<T>(x, y, metric), q, n_samples, seed);
        });
        return r.fraction == 0 ? r.low : r.low + r.fraction * (r.high - r.low);
      },
      X, Y, "metric"_a, "q"_a, "n_samples"_a, "seed"_a, "threads"_a,
      "Quantile of the costs (n_samples = 0: exact), interpolated linearly.");

  m.def(
      "ot_svds",
      [](cost x, optional_cost y, const std::string& metric, double reg, vec_in<double> u, vec_in<double> v,
         vec_in<double> left, vec_in<double> right, std::ptrdiff_t k, std::ptrdiff_t block, double tol,
         std::ptrdiff_t max_apply, std::uint64_t seed, int threads, nb::object callback) {
        const auto geo = geometry<T>(x, y, metric);
        check(k >= 1, "k must be >= 1, got ", k);
        std::vector<double> left_block(static_cast<std::size_t>(k * geo.rows())),
            right_block(static_cast<std::size_t>(k * geo.cols()));
        const auto r = run(threads, callback, [&](const context& ctx) {
          return linalg::svds(ctx, ot::plan_operator<T>({geo, reg, view<double>(u), view<double>(v)}),
                              view<double>(left), view<double>(right), k,
                              {.block = block, .tol = tol, .max_apply = max_apply, .seed = seed},
                              {left_block.data(), k, geo.rows()}, {right_block.data(), k, geo.cols()});
        });
        const auto transposed = [k](const std::vector<double>& block, std::ptrdiff_t n) {
          double* out = new double[static_cast<std::size_t>(n * k)];
          for (std::ptrdiff_t i = 0; i < n; ++i)
            for (std::ptrdiff_t c = 0; c < k; ++c)
              out[i * k + c] = block[static_cast<std::size_t>(c * n + i)];
          const nb::capsule owner(out, [](void* p) noexcept { delete[] static_cast<double*>(p); });
          return nb::ndarray<nb::numpy, double, nb::ndim<2>>(
              out, {static_cast<std::size_t>(n), static_cast<std::size_t>(k)}, owner);
        };
        return nb::make_tuple(transposed(left_block, geo.rows()), r.values,
                              transposed(right_block, geo.cols()), r.residuals, r.applications, r.converged);
      },
      X, Y, "metric"_a, "reg"_a, "u"_a.noconvert(), "v"_a.noconvert(), "left"_a.noconvert(),
      "right"_a.noconvert(), "k"_a, "block"_a, "tol"_a, "max_apply"_a, "seed"_a, "threads"_a,
      "callback"_a.none(), "Leading singular triplets of the plan on the complement of (left, right).");
}

}  // namespace

void bind_ot(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);

  m.def(
      "ot_grid_barycenter",
      [](const std::vector<vec_in<double>>& axes, mat_in<double> histograms, vec_in<double> shares,
         bool debias, const std::vector<double>& schedule, double tol, std::ptrdiff_t max_iter,
         vec_out<double> log_p, int threads, nb::object callback) {
        std::vector<std::span<const double>> coordinates;
        for (const auto& t : axes) coordinates.push_back(view<double>(t));
        return report(run(threads, callback, [&](const context& ctx) {
          return ot::barycenter(ctx, coordinates, view<double>(histograms), view<double>(shares), debias,
                                {.schedule = schedule, .tol = tol, .max_iter = max_iter},
                                view<double>(log_p));
        }));
      },
      "axes"_a, "histograms"_a.noconvert(), "shares"_a.noconvert(), "debias"_a, "schedule"_a, "tol"_a,
      "max_iter"_a, "log_p"_a.noconvert(), "threads"_a, "callback"_a.none(),
      "Entropic barycentre on a product grid; log p is written.");
  m.def("ot_scaling_levels", &ot::scaling_levels, "spread"_a, "reg"_a,
        "Values of reg to pass through, for costs that range over `spread`.");

  m.def(
      "ot_solve_marginals_stored",
      [](vec_in<std::int64_t> offsets, vec_in<std::int32_t> indices, vec_in<double> values, double unit,
         vec_in<double> rows, vec_in<double> columns, vec_in<double> q, vec_in<double> w, vec_in<bool> free,
         std::optional<double> total, double tol, std::ptrdiff_t max_iter, vec_out<double> s,
         vec_out<double> t) {
        const auto e = equations(rows, columns, q, w, free, total, false, tol, max_iter);
        return report(run(1, nb::none(), [&](const context& ctx) {
          return ot::solve_marginals(ctx, pairs<double>(offsets, indices, values, columns.size()), unit, e,
                                     view<double>(s), view<double>(t));
        }));
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "unit"_a,
      "rows"_a.noconvert(), "columns"_a.noconvert(), "q"_a.noconvert(), "w"_a.noconvert(),
      "free"_a.noconvert(), "total"_a.none(), "tol"_a, "max_iter"_a, "s"_a.noconvert(), "t"_a.noconvert(),
      "ot_solve_marginals for a stored plan.");

  m.def(
      "ot_doubly_stochastic_stored",
      [](vec_in<std::int64_t> offsets, vec_in<std::int32_t> indices, vec_in<double> values,
         vec_in<double> row_sums, double tol, std::ptrdiff_t max_iter, vec_out<double> log_scaling,
         vec_out<double> entries, int threads) {
        return report(run(threads, nb::none(), [&](const context& ctx) {
          return ot::doubly_stochastic(ctx, pairs<double>(offsets, indices, values, row_sums.size()),
                                       view<double>(row_sums), {.tol = tol, .max_iter = max_iter},
                                       view<double>(log_scaling), view<double>(entries));
        }));
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "row_sums"_a.noconvert(),
      "tol"_a, "max_iter"_a, "log_scaling"_a.noconvert(), "entries"_a.noconvert(), "threads"_a,
      "Symmetric scaling of a kernel that is stored; its logarithm and the scaled entries are written.");
}
