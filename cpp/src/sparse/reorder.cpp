#include <algorithm>
#include <lapwing/error.hpp>
#include <lapwing/sparse.hpp>
#include <vector>

namespace lapwing::sparse {

namespace {

// Breadth-first search over one component; appends its nodes to `order` level by level and returns where the
// last level starts. Neighbours come by rising degree (ties: by number) when `sorted`.
class search {
 public:
  search(std::span<const std::int64_t> offsets, std::span<const std::int32_t> indices)
      : offsets_(offsets), indices_(indices), seen_(offsets.size() - 1, 0) {}

  std::int64_t degree(std::int32_t i) const {
    return offsets_[static_cast<std::size_t>(i) + 1] - offsets_[static_cast<std::size_t>(i)];
  }

  struct levels {
    std::size_t last, count;
  };
  levels run(std::int32_t start, bool sorted, std::vector<std::int32_t>& order) {
    ++stamp_;
    std::size_t level = order.size(), next = level + 1;
    order.push_back(start);
    seen_[static_cast<std::size_t>(start)] = stamp_;
    levels l{level, 1};
    for (std::size_t k = level; k < order.size(); ++k) {
      if (k == next) {
        l.last = next;
        ++l.count;
        next = order.size();
      }
      const std::size_t i = static_cast<std::size_t>(order[k]), first = order.size();
      for (std::int64_t q = offsets_[i]; q < offsets_[i + 1]; ++q) {
        const std::int32_t j = indices_[static_cast<std::size_t>(q)];
        if (seen_[static_cast<std::size_t>(j)] == stamp_) continue;
        seen_[static_cast<std::size_t>(j)] = stamp_;
        order.push_back(j);
      }
      if (sorted)
        std::sort(order.begin() + static_cast<std::ptrdiff_t>(first), order.end(),
                  [&](std::int32_t x, std::int32_t y) {
                    return degree(x) != degree(y) ? degree(x) < degree(y) : x < y;
                  });
    }
    return l;
  }

 private:
  std::span<const std::int64_t> offsets_;
  std::span<const std::int32_t> indices_;
  std::vector<std::int32_t> seen_;
  std::int32_t stamp_ = 0;
};

}  // namespace

std::vector<std::int32_t> reverse_cuthill_mckee(csr_view<const double> w) {
  check(w.rows() == w.cols, "w must be square, got ", w.rows(), " x ", w.cols);
  const std::size_t n = static_cast<std::size_t>(w.rows());
  // Several searches follow: they run on the graph numbered by a first one, where neighbours are close in
  // memory.
  std::vector<std::int32_t> given, number(n, -1);
  given.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (number[i] >= 0) continue;
    number[i] = static_cast<std::int32_t>(given.size());
    given.push_back(static_cast<std::int32_t>(i));
    for (std::size_t k = given.size() - 1; k < given.size(); ++k)
      for (std::int64_t q = w.offsets[static_cast<std::size_t>(given[k])];
           q < w.offsets[static_cast<std::size_t>(given[k]) + 1]; ++q) {
        const std::int32_t j = w.indices[static_cast<std::size_t>(q)];
        if (number[static_cast<std::size_t>(j)] >= 0) continue;
        number[static_cast<std::size_t>(j)] = static_cast<std::int32_t>(given.size());
        given.push_back(j);
      }
  }
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> indices;
  offsets.reserve(n + 1);
  indices.reserve(w.indices.size());
  for (const std::int32_t i : given) {
    for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
         q < w.offsets[static_cast<std::size_t>(i) + 1]; ++q)
      indices.push_back(number[static_cast<std::size_t>(w.indices[static_cast<std::size_t>(q)])]);
    offsets.push_back(static_cast<std::int64_t>(indices.size()));
  }
  search s(offsets, indices);
  std::vector<std::int32_t> order, trial;
  order.reserve(n);
  std::vector<char> done(n, 0);
  for (std::size_t i = n; i-- > 0;) {
    if (done[i]) continue;
    // i came last in its component: far from the first. Then on to the last level from there, as long as that
    // is farther, whichever node has the least degree there.
    std::int32_t start = static_cast<std::int32_t>(i);
    std::size_t depth = 0;
    for (int round = 0; round < 3; ++round) {
      trial.clear();
      const auto l = s.run(start, false, trial);
      if (l.count <= depth) break;
      depth = l.count;
      start = *std::min_element(trial.begin() + static_cast<std::ptrdiff_t>(l.last), trial.end(),
                                [&](std::int32_t x, std::int32_t y) {
                                  return s.degree(x) != s.degree(y) ? s.degree(x) < s.degree(y) : x < y;
                                });
    }
    const std::size_t first = order.size();
    s.run(start, true, order);
    for (std::size_t k = first; k < order.size(); ++k) done[static_cast<std::size_t>(order[k])] = 1;
  }
  std::reverse(order.begin(), order.end());
  for (std::int32_t& i : order) i = given[static_cast<std::size_t>(i)];
  return order;
}

}  // namespace lapwing::sparse
