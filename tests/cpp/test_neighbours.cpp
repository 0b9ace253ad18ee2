// Neighbours within a radius: the tree and all pairs against one another and against every distance in
// double, for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <lapwing/graph.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

struct rows {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> indices;
  std::vector<double> values;
  bool operator==(const rows&) const = default;
};

template <class T>
rows within(const std::vector<T>& x, std::ptrdiff_t n, std::ptrdiff_t d, double radius, graph::knn_options o,
            int threads) {
  const context ctx({.threads = threads});
  const matrix_view<const T> points{x.data(), n, d};
  rows r;
  std::vector<std::int64_t> counts(at(n));
  graph::radius_counts<T>(ctx, points, radius, o, counts);
  r.offsets.assign(at(n) + 1, 0);
  for (std::size_t i = 0; i < counts.size(); ++i) r.offsets[i + 1] = r.offsets[i] + counts[i];
  r.indices.resize(at(r.offsets.back()));
  r.values.resize(at(r.offsets.back()));
  graph::radius_fill<T>(ctx, points, radius, o, r.offsets, r.indices, r.values);
  return r;
}

template <class T>
std::vector<T> integers(std::ptrdiff_t n,
                        std::ptrdiff_t d) {  // distances without rounding: ties on the border
  numbers random(3);
  std::vector<T> x(at(n * d));
  for (auto& v : x) v = static_cast<T>(std::floor(random.uniform(-3, 4)));
  return x;
}

template <class T>
void compare(std::ptrdiff_t n, std::ptrdiff_t d, double radius) {
  const auto x = integers<T>(n, d);
  rows truth;
  truth.offsets = {0};
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      double s = 0;
      for (std::ptrdiff_t k = 0; k < d; ++k)
        s += std::pow(static_cast<double>(x[at(i * d + k)] - x[at(j * d + k)]), 2);
      if (i == j || std::sqrt(s) > radius) continue;
      truth.indices.push_back(static_cast<std::int32_t>(j));
      truth.values.push_back(std::sqrt(s));
    }
    truth.offsets.push_back(static_cast<std::int64_t>(truth.indices.size()));
  }
  for (const int threads : {1, 2, 7}) {
    CHECK(within<T>(x, n, d, radius, {.method = graph::search::all_pairs}, threads) == truth);
    CHECK(within<T>(x, n, d, radius, {}, threads) == truth);
    if (d <= 8) CHECK(within<T>(x, n, d, radius, {.method = graph::search::tree}, threads) == truth);
  }
}

}  // namespace

TEST(radius_rows_are_those_of_every_distance) {
  for (const double radius : {0.0, 1.0, std::sqrt(2.0), 3.0, 100.0}) {
    compare<float>(300, 3, radius);
    compare<double>(300, 3, radius);
    compare<float>(200, 11, 2 * radius);
    compare<double>(200, 11, 2 * radius);
  }
  compare<double>(1, 2, 1.0);
  compare<double>(700, 1, 1.0);
}

TEST(radius_refuses_bad_input) {
  const context ctx({.threads = 1});
  std::vector<double> x{0, 1, 2, 3};
  const matrix_view<const double> points{x.data(), 2, 2};
  std::vector<std::int64_t> counts(2), offsets{0, 1, 2}, wrong{0, 2, 2};
  std::vector<std::int32_t> indices(2);
  std::vector<double> values(2);
  CHECK_THROWS(std::invalid_argument, graph::radius_counts<double>(ctx, points, -1.0, {}, counts),
               "radius must be >= 0 and finite");
  CHECK_THROWS(std::invalid_argument, graph::radius_counts<double>(ctx, points, std::nan(""), {}, counts),
               "radius must be >= 0 and finite");
  counts.resize(3);
  CHECK_THROWS(std::invalid_argument, graph::radius_counts<double>(ctx, points, 1.0, {}, counts),
               "counts must have length 2");
  graph::radius_fill<double>(ctx, points, 3.0, {}, offsets, indices, values);
  CHECK(indices[0] == 1 && indices[1] == 0 && values[0] == values[1]);
  CHECK_THROWS(std::invalid_argument,
               graph::radius_fill<double>(ctx, points, 3.0, {}, wrong, indices, values), "row 0 has 1");
  CHECK_THROWS(std::invalid_argument, graph::radius_fill<double>(ctx, points, 3.0, {}, offsets, indices, {}),
               "offsets must have");
  x[0] = std::nan("");
  CHECK_THROWS(std::invalid_argument, graph::radius_counts<double>(ctx, points, 1.0, {}, counts),
               "points must be finite");
}

TEST_MAIN
