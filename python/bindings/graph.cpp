// lapwing::graph for Python.
#include <nanobind/stl/string.h>

#include <lapwing/graph.hpp>
#include <string>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::mat_in, python::mat_out, python::run, python::view;

template <class T>
void bind(nb::module_& m) {
  m.def(
      "knn",
      [](const mat_in<T>& queries, const mat_in<T>& points, bool same, const std::string& metric,
         const std::string& method, const mat_out<std::int32_t>& index, const mat_out<double>& value,
         int threads) {
        check(metric == "euclidean" || metric == "cosine", "metric must be 'euclidean' or 'cosine', got '",
              metric, "'");
        constexpr const char* names[] = {"auto", "all_pairs", "tree"};
        int which = 0;
        while (which < 3 && method != names[which]) ++which;
        check(which < 3, "method must be 'auto', 'all_pairs' or 'tree', got '", method, "'");
        run(threads, nb::none(), [&](const context& ctx) {
          graph::knn<T>(ctx, view<T>(queries), view<T>(points), same,
                        {.metric = metric == "cosine" ? graph::distance::cosine : graph::distance::euclidean,
                         .method = static_cast<graph::search>(which)},
                        view<std::int32_t>(index), view<double>(value));
        });
      },
      "queries"_a.noconvert(), "points"_a.noconvert(), "same"_a, "metric"_a, "method"_a,
      "index"_a.noconvert(), "value"_a.noconvert(), "threads"_a,
      "Nearest neighbours of each query, exactly; fills `index` and `value`.");
}

}  // namespace

void bind_graph(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
