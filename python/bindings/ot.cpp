// lapwing::ot for Python: arrays in, views out.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <lapwing/linalg.hpp>
#include <lapwing/ot.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::mat_in, python::mat_out, python::vec_in, python::vec_out, python::run, python::view;
using indices = nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using index_matrix = nb::ndarray<std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// (C, None, "dense") or (X, Y, metric)
template <class T>
ot::geometry<T> geometry(const mat_in<T>& x, const std::optional<mat_in<T>>& y, const std::string& metric) {
  if (metric == "dense") {
    check(!y, "a dense cost goes with Y = None");
    return ot::geometry<T>::dense(view<T>(x));
  }
  check(y.has_value(), "the metric ", metric, " needs Y");
  constexpr const char* names[] = {"sqeuclidean", "euclidean", "cosine", "dot"};
  for (int k = 0; k < 4; ++k)
    if (metric == names[k])
      return ot::geometry<T>::points(view<T>(x), view<T>(*y), static_cast<ot::metric>(k));
  check(false, "metric must be 'sqeuclidean', 'euclidean', 'cosine' or 'dot', got '", metric, "'");
  return {};
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
         std::ptrdiff_t max_iter, bool init, const std::string& acceleration, int threads,
         nb::object callback) {
        ot::options o{.schedule = schedule, .tol = tol, .max_iter = max_iter, .init = init};
        check(acceleration == "none" || acceleration == "anderson" || acceleration == "sor",
              "acceleration must be 'none', 'anderson' or 'sor', got '", acceleration, "'");
        o.accelerate = acceleration == "none"  ? ot::acceleration::none
                       : acceleration == "sor" ? ot::acceleration::sor
                                               : ot::acceleration::anderson;
        const auto r = run(threads, callback, [&](const context& ctx) {
          return ot::solve<T>(ctx, geometry<T>(x, y, metric), view<double>(a), view<double>(b), o,
                              view<double>(f), view<double>(g));
        });
        nb::list history;
        for (const auto& s : r.history) history.append(nb::make_tuple(s.reg, s.error, ot::name(s.kind)));
        nb::dict out;
        out["converged"] = r.converged;
        out["stopped"] = r.stopped;
        out["status"] = r.status;
        out["n_sweeps"] = r.sweeps;
        out["marginal_error"] = r.marginal_error;
        out["history"] = history;
        return out;
      },
      X, Y, "metric"_a, "a"_a.noconvert(), "b"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(),
      "schedule"_a, "tol"_a, "max_iter"_a, "init"_a, "acceleration"_a, "threads"_a, "callback"_a.none(),
      "Balanced entropic transport; f and g are written.");

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
}
