// Transport whose columns have few entries: its semi-dual.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <numeric>
#include <span>
#include <vector>

#include "cost_rows.hpp"
#include "pair_cost.hpp"

namespace lapwing::ot {

template <class T>
double sparse_semi_dual(const context& ctx, const geometry<T>& geo, std::span<const double> a,
                        std::span<const double> b, double reg, std::span<const double> alpha,
                        std::span<double> gradient, matrix_view<std::int64_t> index,
                        matrix_view<double> entries, bool transposed) {
  check_geometry(geo);
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows(), m = transposed ? geo.rows() : geo.cols(),
                       k = index.cols;
  check(std::ssize(a) == n && std::ssize(alpha) == n && std::ssize(gradient) == n,
        "a, alpha and gradient must have length ", n, ", got ", a.size(), ", ", alpha.size(), " and ",
        gradient.size());
  check(std::ssize(b) == m, "b must have length ", m, ", got ", b.size());
  check(index.rows == m && entries.rows == m && entries.cols == k, "index and entries must be ", m, " x k");
  check(k >= 1 && k <= n, "k must be between 1 and ", n, ", got ", k);
  check(reg > 0 && std::isfinite(reg), "reg must be > 0 and finite, got ", reg);
  for (const double w : b) check(w >= 0 && std::isfinite(w), "b must be finite and not negative, got ", w);

  const cost_rows<T> c(ctx, geo, differences_only<T>, !transposed);
  std::vector<double> value(static_cast<std::size_t>(m));
  struct candidate {
    double x;
    std::int64_t row;
  };
  std::vector<std::vector<candidate>> rooms(static_cast<std::size_t>(ctx.threads()));
  const auto larger = [](const candidate& p, const candidate& q) {
    return p.x > q.x || (p.x == q.x && p.row < q.row);
  };
  for_each_group<T>(ctx, c, 1.0, nullptr, alpha,
                    [&](std::ptrdiff_t real, const std::ptrdiff_t* columns, T* z, const double*, int w) {
                      auto& best = rooms[static_cast<std::size_t>(w)];
                      for (std::ptrdiff_t r = 0; r < real; ++r) {
                        const T* const x = z + r * c.stride();
                        const std::ptrdiff_t j = columns[r];
                        // a heap whose front is the least of the k largest: almost every entry fails the
                        // first comparison
                        best.clear();
                        for (std::ptrdiff_t i = 0; i < n; ++i) {
                          const double here = static_cast<double>(x[i]);
                          if (std::ssize(best) == k) {
                            if (!(here > best.front().x)) continue;
                            std::pop_heap(best.begin(), best.end(), larger);
                            best.pop_back();
                          }
                          best.push_back({here, i});
                          std::push_heap(best.begin(), best.end(), larger);
                        }
                        for (candidate& p : best)
                          p.x = alpha[static_cast<std::size_t>(p.row)] -
                                (transposed ? pair_cost(geo, j, p.row) : pair_cost(geo, p.row, j));
                        std::sort(best.begin(), best.end(), larger);
                        // the projection of x / reg onto the entries of sum b_j
                        const double mass = b[static_cast<std::size_t>(j)];
                        double sum = 0, level = 0;
                        for (std::size_t q = 0; q < best.size(); ++q) {
                          sum += best[q].x;
                          const double above = (sum - reg * mass) / static_cast<double>(q + 1);
                          if (q == 0 || best[q].x > above) level = above;
                        }
                        double linear = 0, square = 0;
                        for (std::size_t q = 0; q < best.size(); ++q) {
                          const double e = std::max(best[q].x - level, 0.0) / reg;
                          index(j, static_cast<std::ptrdiff_t>(q)) = best[q].row;
                          entries(j, static_cast<std::ptrdiff_t>(q)) = e;
                          linear += e * best[q].x;
                          square += e * e;
                        }
                        value[static_cast<std::size_t>(j)] = linear - 0.5 * reg * square;
                      }
                    });
  std::copy(a.begin(), a.end(), gradient.begin());
  double total = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i)
    total += a[static_cast<std::size_t>(i)] * alpha[static_cast<std::size_t>(i)];
  for (std::ptrdiff_t j = 0; j < m; ++j) {
    total -= value[static_cast<std::size_t>(j)];
    for (std::ptrdiff_t q = 0; q < k; ++q) gradient[static_cast<std::size_t>(index(j, q))] -= entries(j, q);
  }
  return total;
}

template double sparse_semi_dual<float>(const context&, const geometry<float>&, std::span<const double>,
                                        std::span<const double>, double, std::span<const double>,
                                        std::span<double>, matrix_view<std::int64_t>, matrix_view<double>,
                                        bool);
template double sparse_semi_dual<double>(const context&, const geometry<double>&, std::span<const double>,
                                         std::span<const double>, double, std::span<const double>,
                                         std::span<double>, matrix_view<std::int64_t>, matrix_view<double>,
                                         bool);

}  // namespace lapwing::ot
