// Small graphs for the tests.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lapwing/sparse.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace lapwing::test {

using entries_t = std::vector<std::tuple<int, int, double>>;

// From (row, column, value), each once.
inline sparse::csr matrix(int n, int m, entries_t list) {
  std::sort(list.begin(), list.end());
  sparse::csr a;
  a.cols = m;
  std::size_t at = 0;
  for (int i = 0; i < n; ++i) {
    for (; at < list.size() && std::get<0>(list[at]) == i; ++at) {
      a.indices.push_back(std::get<1>(list[at]));
      a.values.push_back(std::get<2>(list[at]));
    }
    a.offsets.push_back(static_cast<std::int64_t>(a.indices.size()));
  }
  return a;
}
inline sparse::csr graph(int n, const entries_t& edges) {
  entries_t all = edges;
  for (const auto& [i, j, w] : edges) all.emplace_back(j, i, w);
  return matrix(n, n, all);
}
inline sparse::csr grid(int n, int m) {
  entries_t edges;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) {
      if (j + 1 < m) edges.emplace_back(i * m + j, i * m + j + 1, 1.0);
      if (i + 1 < n) edges.emplace_back(i * m + j, (i + 1) * m + j, 1.0);
    }
  return graph(n * m, edges);
}

}  // namespace lapwing::test
