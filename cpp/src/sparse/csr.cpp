#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <lapwing/error.hpp>
#include <lapwing/sparse.hpp>
#include <utility>

#include "../random.hpp"

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

bool is_symmetric(csr_view<const double> w) {
  // Both halves of a symmetric matrix hold the same (i, j, value): sums of their hashes tell in one pass in
  // order of storage. Two sums of 64 bits do not agree by accident.
  std::uint64_t sum[2] = {0, 0};
  for (std::ptrdiff_t i = 0; i < w.rows(); ++i)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q) {
      const std::int32_t j = w.indices[static_cast<std::size_t>(q)];
      const std::uint64_t low = static_cast<std::uint64_t>(std::min<std::ptrdiff_t>(i, j)),
                          high = static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(i, j)),
                          value = std::bit_cast<std::uint64_t>(w.values[static_cast<std::size_t>(q)] + 0.0),
                          h = mix(mix(low << 32 | high) ^ value),
                          sign = j > i   ? 1
                                 : j < i ? ~std::uint64_t{0}
                                         : 0;
      sum[0] += sign * h;
      sum[1] += sign * mix(h ^ 0x9e3779b97f4a7c15u);
    }
  return w.rows() == w.cols && sum[0] == 0 && sum[1] == 0;
}

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
  if (is_symmetric(w)) return;
  // To say where: walk all columns at once. Entry (j, i) must be the next one of row j when row i arrives at
  // (i, j).
  std::vector<std::int64_t> next(w.offsets.begin(), w.offsets.end() - 1);
  for (std::ptrdiff_t i = 0; i < w.rows(); ++i)
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q) {
      const std::size_t j = static_cast<std::size_t>(w.indices[static_cast<std::size_t>(q)]);
      const std::size_t at = static_cast<std::size_t>(next[j]++);
      check(static_cast<std::int64_t>(at) < w.offsets[j + 1] && w.indices[at] == i &&
                w.values[at] == w.values[static_cast<std::size_t>(q)],
            what, " must be symmetric; it is not at (", i, ", ", j, ")");
    }
}

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

csr permute(const context& ctx, csr_view<const double> a, std::span<const std::int32_t> order) {
  check(a.rows() == a.cols, "a must be square, got ", a.rows(), " x ", a.cols);
  std::vector<std::int32_t> position(static_cast<std::size_t>(a.cols), -1);
  for (std::size_t k = 0; k < order.size(); ++k) {
    check(order[k] >= 0 && order[k] < a.cols && position[static_cast<std::size_t>(order[k])] < 0,
          "order must name rows of a, none twice");
    position[static_cast<std::size_t>(order[k])] = static_cast<std::int32_t>(k);
  }
  const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(order.size());
  const bool all = order.size() == position.size();
  // body(k, q, j): row k of the result gets entry q of a, in column j
  const auto each = [&](std::ptrdiff_t k, auto&& body) {
    const std::size_t i = static_cast<std::size_t>(order[static_cast<std::size_t>(k)]);
    for (std::int64_t q = a.offsets[i]; q < a.offsets[i + 1]; ++q) {
      const std::size_t at = static_cast<std::size_t>(q);
      const std::int32_t j = position[static_cast<std::size_t>(a.indices[at])];
      if (j >= 0) body(at, j);
    }
  };
  csr p;
  p.cols = n;
  p.offsets.assign(order.size() + 1, 0);
  constexpr std::ptrdiff_t grain = 4096;
  ctx.parallel_for(n, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t k = lo; k < hi; ++k) {
      const std::size_t i = static_cast<std::size_t>(order[static_cast<std::size_t>(k)]);
      std::int64_t& count = p.offsets[static_cast<std::size_t>(k) + 1];
      if (all)
        count = a.offsets[i + 1] - a.offsets[i];
      else
        each(k, [&](std::size_t, std::int32_t) { ++count; });
    }
  });
  for (std::size_t k = 0; k < order.size(); ++k) p.offsets[k + 1] += p.offsets[k];
  p.indices.resize(static_cast<std::size_t>(p.offsets.back()));
  p.values.resize(static_cast<std::size_t>(p.offsets.back()));
  ctx.parallel_for(n, grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    std::vector<std::pair<std::int32_t, double>> row;
    for (std::ptrdiff_t k = lo; k < hi; ++k) {
      row.clear();
      each(k, [&](std::size_t at, std::int32_t j) { row.emplace_back(j, a.values[at]); });
      std::sort(row.begin(), row.end());
      std::size_t to = static_cast<std::size_t>(p.offsets[static_cast<std::size_t>(k)]);
      for (const auto& [j, v] : row) {
        p.indices[to] = j;
        p.values[to++] = v;
      }
    }
  });
  return p;
}

}  // namespace lapwing::sparse
