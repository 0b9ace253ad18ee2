// lapwing::graph for Python.
#include <nanobind/stl/string.h>

#include <lapwing/graph.hpp>
#include <string>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::mat_in, python::mat_out, python::run, python::vec_in, python::vec_out, python::view;

graph::knn_options options(const std::string& metric, const std::string& method) {
  check(metric == "euclidean" || metric == "cosine", "metric must be 'euclidean' or 'cosine', got '", metric,
        "'");
  constexpr const char* names[] = {"auto", "all_pairs", "tree"};
  int which = 0;
  while (which < 3 && method != names[which]) ++which;
  check(which < 3, "method must be 'auto', 'all_pairs' or 'tree', got '", method, "'");
  return {.metric = metric == "cosine" ? graph::distance::cosine : graph::distance::euclidean,
          .method = static_cast<graph::search>(which)};
}

template <class T>
void bind(nb::module_& m) {
  m.def(
      "knn",
      [](const mat_in<T>& queries, const mat_in<T>& points, bool same, const std::string& metric,
         const std::string& method, const mat_out<std::int32_t>& index, const mat_out<double>& value,
         int threads) {
        const graph::knn_options o = options(metric, method);
        run(threads, nb::none(), [&](const context& ctx) {
          graph::knn<T>(ctx, view<T>(queries), view<T>(points), same, o, view<std::int32_t>(index),
                        view<double>(value));
        });
      },
      "queries"_a.noconvert(), "points"_a.noconvert(), "same"_a, "metric"_a, "method"_a,
      "index"_a.noconvert(), "value"_a.noconvert(), "threads"_a,
      "Nearest neighbours of each query, exactly; fills `index` and `value`.");
  m.def(
      "radius_counts",
      [](const mat_in<T>& points, double radius, const std::string& metric, const std::string& method,
         const vec_out<std::int64_t>& counts, int threads) {
        const graph::knn_options o = options(metric, method);
        run(threads, nb::none(), [&](const context& ctx) {
          graph::radius_counts<T>(ctx, view<T>(points), radius, o, view<std::int64_t>(counts));
        });
      },
      "points"_a.noconvert(), "radius"_a, "metric"_a, "method"_a, "counts"_a.noconvert(), "threads"_a,
      "Number of other points within the radius of each; fills `counts`.");
  m.def(
      "radius_fill",
      [](const mat_in<T>& points, double radius, const std::string& metric, const std::string& method,
         const vec_in<std::int64_t>& offsets, const vec_out<std::int32_t>& indices,
         const vec_out<double>& values, int threads) {
        const graph::knn_options o = options(metric, method);
        run(threads, nb::none(), [&](const context& ctx) {
          graph::radius_fill<T>(ctx, view<T>(points), radius, o, view<std::int64_t>(offsets),
                                view<std::int32_t>(indices), view<double>(values));
        });
      },
      "points"_a.noconvert(), "radius"_a, "metric"_a, "method"_a, "offsets"_a.noconvert(),
      "indices"_a.noconvert(), "values"_a.noconvert(), "threads"_a,
      "Those points and their distances, by index; fills `indices` and `values`.");
}

}  // namespace

void bind_graph(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
