#include <algorithm>
#include <lapwing/error.hpp>
#include <lapwing/sparse.hpp>
#include <numeric>
#include <vector>

namespace lapwing::sparse {

components_result components(csr_view<const double> w) {
  check(w.rows() == w.cols, "w must be square, got ", w.rows(), " x ", w.cols);
  const std::size_t n = static_cast<std::size_t>(w.rows());
  std::vector<std::int32_t> parent(n);
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](std::int32_t i) {
    while (parent[static_cast<std::size_t>(i)] != i) {
      std::int32_t& p = parent[static_cast<std::size_t>(i)];
      p = parent[static_cast<std::size_t>(p)];  // halve the path
      i = p;
    }
    return i;
  };
  for (std::size_t i = 0; i < n; ++i)
    for (std::int64_t q = w.offsets[i]; q < w.offsets[i + 1]; ++q) {
      if (w.values[static_cast<std::size_t>(q)] == 0) continue;
      const std::int32_t x = root(static_cast<std::int32_t>(i)),
                         y = root(w.indices[static_cast<std::size_t>(q)]);
      if (x != y) parent[static_cast<std::size_t>(std::max(x, y))] = std::min(x, y);
    }
  // Roots are the first nodes of their components.
  std::vector<std::int64_t> size(n, 0);
  std::vector<std::int32_t> roots;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t r = root(static_cast<std::int32_t>(i));
    if (size[static_cast<std::size_t>(r)]++ == 0) roots.push_back(r);
  }
  std::stable_sort(roots.begin(), roots.end(), [&](std::int32_t x, std::int32_t y) {
    return size[static_cast<std::size_t>(x)] > size[static_cast<std::size_t>(y)];
  });
  components_result c;
  c.labels.resize(n);
  std::vector<std::int32_t> label(n, 0);
  for (std::size_t k = 0; k < roots.size(); ++k) {
    label[static_cast<std::size_t>(roots[k])] = static_cast<std::int32_t>(k);
    c.sizes.push_back(size[static_cast<std::size_t>(roots[k])]);
  }
  for (std::size_t i = 0; i < n; ++i)
    c.labels[i] = label[static_cast<std::size_t>(root(static_cast<std::int32_t>(i)))];
  return c;
}

}  // namespace lapwing::sparse
