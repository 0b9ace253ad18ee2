#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/sparse.hpp>
#include <utility>

namespace lapwing::sparse {

void check_structure(csr_view<const double> a, const std::string& what) {
  const std::ptrdiff_t n = a.rows(), size = a.size();
  check(!a.offsets.empty() && a.offsets[0] == 0 && a.offsets[static_cast<std::size_t>(n)] == size &&
            static_cast<std::ptrdiff_t>(a.indices.size()) == size,
        what, " has offsets that do not match its ", size, " entries");
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::int64_t lo = a.offsets[static_cast<std::size_t>(i)],
                       hi = a.offsets[static_cast<std::size_t>(i + 1)];
    check(lo <= hi && lo >= 0 && hi <= size, what, " has offsets that fall at row ", i);
    std::int32_t last = -1;
    for (std::int64_t q = lo; q < hi; ++q) {
      const std::int32_t j = a.indices[static_cast<std::size_t>(q)];
      check(j > last && j < a.cols, what, " has columns that do not rise within [0, ", a.cols, ") in row ",
            i);
      last = j;
    }
  }
}

namespace {

// The first entry without its mirror image, or (-1, -1).
std::pair<std::ptrdiff_t, std::ptrdiff_t> asymmetry(csr_view<const double> w) {
  // Walk all columns at once: entry (j, i) must be the next one of row j when row i arrives at (i, j).
  std::vector<std::int64_t> next(w.offsets.begin(), w.offsets.end() - 1);
  for (std::ptrdiff_t i = 0; i < w.rows(); ++i)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q) {
      const std::size_t j = static_cast<std::size_t>(w.indices[static_cast<std::size_t>(q)]);
      const std::size_t at = static_cast<std::size_t>(next[j]++);
      if (static_cast<std::int64_t>(at) >= w.offsets[j + 1] || w.indices[at] != i ||
          w.values[at] != w.values[static_cast<std::size_t>(q)])
        return {i, static_cast<std::ptrdiff_t>(j)};
    }
  return {-1, -1};
}

}  // namespace

void check_graph(csr_view<const double> w, const std::string& what) {
  check(w.rows() == w.cols, what, " must be square, got ", w.rows(), " x ", w.cols);
  check_structure(w, what);
  for (std::ptrdiff_t i = 0; i < w.rows(); ++i)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q) {
      const double v = w.values[static_cast<std::size_t>(q)];
      check(v >= 0 && v <= std::numeric_limits<double>::max(), what, " must be finite and >= 0, got ", v,
            " at (", i, ", ", w.indices[static_cast<std::size_t>(q)], ")");
    }
  const auto [i, j] = asymmetry(w);
  check(i < 0, what, " must be symmetric; it is not at (", i, ", ", j, ")");
}

bool is_symmetric(csr_view<const double> a) { return a.rows() == a.cols && asymmetry(a).first < 0; }

csr transpose(csr_view<const double> a) {
  csr t;
  t.cols = a.rows();
  t.offsets.assign(static_cast<std::size_t>(a.cols) + 1, 0);
  t.indices.resize(a.indices.size());
  t.values.resize(a.values.size());
  for (const std::int32_t j : a.indices) ++t.offsets[static_cast<std::size_t>(j) + 1];
  for (std::size_t j = 0; j < static_cast<std::size_t>(a.cols); ++j) t.offsets[j + 1] += t.offsets[j];
  std::vector<std::int64_t> next(t.offsets.begin(), t.offsets.end() - 1);
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.rows()); ++i)
    for (std::int64_t q = a.offsets[i]; q < a.offsets[i + 1]; ++q) {
      const std::size_t from = static_cast<std::size_t>(q),
                        to = static_cast<std::size_t>(next[static_cast<std::size_t>(a.indices[from])]++);
      t.indices[to] = static_cast<std::int32_t>(i);
      t.values[to] = a.values[from];
    }
  return t;
}

csr symmetrize(csr_view<const double> a, symmetry rule) {
  check(a.rows() == a.cols, "a must be square, got ", a.rows(), " x ", a.cols);
  const csr t = transpose(a);
  csr s;
  s.cols = a.cols;
  s.offsets.reserve(a.offsets.size());
  s.indices.reserve(2 * a.indices.size());
  s.values.reserve(2 * a.values.size());
  // Commutative to the last bit: what is computed for (i, j) is what is computed for (j, i).
  const auto join = [rule](double x, double y) {
    switch (rule) {
      case symmetry::maximum:
        return std::max(x, y);
      case symmetry::minimum:
        return std::min(x, y);
      case symmetry::mean:
        return x / 2 + y / 2;
      case symmetry::fuzzy:
        break;
    }
    return (x + y) - x * y;
  };
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.rows()); ++i) {
    std::int64_t p = a.offsets[i], q = t.offsets[i];
    while (p < a.offsets[i + 1] || q < t.offsets[i + 1]) {
      const std::int32_t end = static_cast<std::int32_t>(a.cols),
                         jp = p < a.offsets[i + 1] ? a.indices[static_cast<std::size_t>(p)] : end,
                         jq = q < t.offsets[i + 1] ? t.indices[static_cast<std::size_t>(q)] : end,
                         j = std::min(jp, jq);
      const double x = jp == j ? a.values[static_cast<std::size_t>(p++)] : 0.0,
                   y = jq == j ? t.values[static_cast<std::size_t>(q++)] : 0.0, v = join(x, y);
      if (v != 0) {
        s.indices.push_back(j);
        s.values.push_back(v);
      }
    }
    s.offsets.push_back(static_cast<std::int64_t>(s.indices.size()));
  }
  return s;
}

csr permute(csr_view<const double> a, std::span<const std::int32_t> order) {
  check(a.rows() == a.cols, "a must be square, got ", a.rows(), " x ", a.cols);
  std::vector<std::int32_t> position(static_cast<std::size_t>(a.cols), -1);
  for (std::size_t k = 0; k < order.size(); ++k) {
    check(order[k] >= 0 && order[k] < a.cols && position[static_cast<std::size_t>(order[k])] < 0,
          "order must name rows of a, none twice");
    position[static_cast<std::size_t>(order[k])] = static_cast<std::int32_t>(k);
  }
  csr p;
  p.cols = static_cast<std::ptrdiff_t>(order.size());
  p.offsets.reserve(order.size() + 1);
  if (order.size() == position.size()) {
    p.indices.reserve(a.indices.size());
    p.values.reserve(a.values.size());
  }
  std::vector<std::pair<std::int32_t, double>> row;
  for (const std::int32_t from : order) {
    const std::size_t i = static_cast<std::size_t>(from);
    row.clear();
    for (std::int64_t q = a.offsets[i]; q < a.offsets[i + 1]; ++q) {
      const std::int32_t j = position[static_cast<std::size_t>(a.indices[static_cast<std::size_t>(q)])];
      if (j >= 0) row.emplace_back(j, a.values[static_cast<std::size_t>(q)]);
    }
    std::sort(row.begin(), row.end());
    for (const auto& [j, v] : row) {
      p.indices.push_back(j);
      p.values.push_back(v);
    }
    p.offsets.push_back(static_cast<std::int64_t>(p.indices.size()));
  }
  return p;
}

}  // namespace lapwing::sparse
