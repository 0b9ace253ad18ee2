// The plan as an operator: every function makes rows of exponentials, uses them while they are in cache and
// forgets them.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <vector>

#include "batch.hpp"
#include "cost_rows.hpp"

namespace lapwing::ot {

template class cost_rows<float>;
template class cost_rows<double>;
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

// Log-scalings in bits.
buffer<double> bits(const context& ctx, std::span<const double> u) {
  buffer<double> out(ctx, static_cast<std::ptrdiff_t>(u.size()));
  for (std::ptrdiff_t i = 0; i < out.size(); ++i) out[i] = u[static_cast<std::size_t>(i)] * log2e;
  return out;
}

template <class T>
void check_plan(const plan<T>& p) {
  check(p.reg > 0 && p.reg <= std::numeric_limits<double>::max(), "reg must be > 0 and finite, got ", p.reg);
  check(static_cast<std::ptrdiff_t>(p.u.size()) == p.costs.rows() &&
            static_cast<std::ptrdiff_t>(p.v.size()) == p.costs.cols(),
        "u and v must have lengths ", p.costs.rows(), " and ", p.costs.cols(), ", got ", p.u.size(), " and ",
        p.v.size());
  check(p.power >= -4 && p.power <= 4, "power must be between -4 and 4, got ", p.power);
  if (p.left.data == nullptr && p.right.data == nullptr) return;
  check(p.left.rows == p.costs.rows() && p.right.rows == p.costs.cols() && p.left.cols == p.right.cols,
        "left and right must be ", p.costs.rows(), " x p and ", p.costs.cols(), " x p, got ", p.left.rows,
        " x ", p.left.cols, " and ", p.right.rows, " x ", p.right.cols);
}
template <class T>
void check_plain(const plan<T>& p) {
  check_plan(p);
  check(p.power == 0 && p.left.data == nullptr, "factors of the entries are for apply, normal and both");
}
void check_block(matrix_view<const double> x, std::ptrdiff_t rows, std::ptrdiff_t cols, const char* what) {
  check(x.rows == rows && x.cols == cols, what, " must be ", rows, " x ", cols, ", got ", x.rows, " x ",
        x.cols);
}

// One sweep over P in tiles that stay in the second-level cache: `sub` rows by `tile_` columns of
// exponentials, used at once for Z = P V and for P^T U. Where U depends on Z (or both are asked for) the
// tiles of a band of rows are kept until Z of the band is complete. The tiles and the order of the sums
// depend on the problem alone.
template <class T>
class plan_sweep {
 public:
  plan_sweep(const context& ctx, const plan<T>& p)
      : ctx_(ctx),
        kappa_(log2e / p.reg),
        c_(ctx, p.costs, kappa_, false),
        phi_(bits(ctx, p.u)),
        g_(ctx, c_.stride()),
        power_(p.power),
        factors_(p.left.cols) {
    c_.columns(kappa_, bits(ctx, p.v), g_.data());
    if (power_ != 0) {
      zero_ = buffer<T>(ctx, c_.stride());
      c_.columns(1.0, {}, zero_.data());
    }
    if (factors_ > 0) {  // factors as rows: a tile of left right^T is then a product like that of P^T U
      left_ = buffer<T>(ctx, factors_ * c_.rows());
      right_ = buffer<T>(ctx, factors_ * c_.stride(), T(0));
      for (std::ptrdiff_t q = 0; q < factors_; ++q) {
        for (std::ptrdiff_t i = 0; i < c_.rows(); ++i)
          left_[q * c_.rows() + i] = static_cast<T>(p.left(i, q));
        for (std::ptrdiff_t j = 0; j < c_.cols(); ++j)
          right_[q * c_.stride() + j] = static_cast<T>(p.right(j, q));
      }
    }
    // Rows of a tile start in different sets of the first-level cache.
    constexpr std::ptrdiff_t widest = sizeof(T) == 4 ? 480 : 288;
    tile_ = std::min(round_up((c_.stride() + 15) / 16, kernels::column_padding), widest);
    tiles_ = (c_.stride() + tile_ - 1) / tile_;
    for (int k = 0; k < ctx.threads(); ++k)
      workers_.push_back({buffer<T>(ctx, sub * tile_), c_.scratch(ctx),
                          buffer<T>(ctx, power_ != 0 ? sub * tile_ : 0),
                          buffer<double>(ctx, factors_ > 0 ? sub * tile_ : 0)});
  }

  // forward (nv x n) = P V for v of nv x m (or empty); backward (l x m) = P^T U. fill_u(i, z, u): z the nv
  // values of row i of P V, u the l values of row i of U.
  template <class Fill>
  void run(matrix_view<const double> v, matrix_view<double> forward, std::ptrdiff_t l, Fill&& fill_u,
           matrix_view<double> backward) {
    if (v.rows > 0)
      bands(v, forward, l, fill_u, backward);
    else if (l > 0)
      transposed(l, fill_u, backward);
  }

 private:
  static constexpr std::ptrdiff_t sub = 64;
  struct worker {
    buffer<T> e, scratch, cost;
    buffer<double> factor;
  };

  std::ptrdiff_t width(std::ptrdiff_t tile) const { return std::min(tile_, c_.stride() - tile * tile_); }

  // e (rows of the tile's width) = entries of the rows first ... last - 1, the last one repeated up to a
  // group.
  void entries(std::ptrdiff_t first, std::ptrdiff_t last, std::ptrdiff_t tile, T* e, worker& s) const {
    row_index index;
    double sum[kernels::most_rows];
    const std::ptrdiff_t w = width(tile), count = (last - first) * w;
    for (std::ptrdiff_t i = first; i < last; i += c_.group()) {
      const std::ptrdiff_t at = (i - first) * w;
      row_group(i, last, c_.group(), index);
      c_.exponentials(kappa_, index, phi_.data(), g_.data(), tile * tile_, w, e + at, sum, s.scratch.data());
      if (power_ != 0)
        c_.logits(1.0, index, nullptr, zero_.data(), tile * tile_, w, s.cost.data() + at, sum,
                  s.scratch.data());
    }
    for (int k = 0; k < power_; ++k)
      for (std::ptrdiff_t q = 0; q < count; ++q) e[q] = e[q] == T(0) ? T(0) : e[q] * -s.cost[q];
    for (int k = 0; k < -power_; ++k)
      for (std::ptrdiff_t q = 0; q < count; ++q) e[q] = s.cost[q] < 0 ? e[q] / -s.cost[q] : T(0);
    if (factors_ == 0) return;
    std::fill_n(s.factor.data(), count, 0.0);
    c_.table().outer_rows(right_.data() + tile * tile_, c_.stride(), factors_, left_.data() + first,
                          c_.rows(), last - first, 0, w, s.factor.data(), w);
    for (std::ptrdiff_t q = 0; q < count; ++q) e[q] *= static_cast<T>(s.factor[q]);
  }

  template <class Fill>
  void bands(matrix_view<const double> v, matrix_view<double> forward, std::ptrdiff_t l, Fill& fill_u,
             matrix_view<double> backward) {
    const auto& k = c_.table();
    const std::ptrdiff_t stride = c_.stride(), n = c_.rows(), m = c_.cols(), nv = v.rows;
    const std::ptrdiff_t most =
        l > 0 ? std::max<std::ptrdiff_t>((std::ptrdiff_t{1} << 21) / stride, 128) : 256 * sub / tiles_;
    const std::ptrdiff_t band = std::min(round_up(n, sub), round_up(most, sub));
    buffer<T> vt(ctx_, nv * stride, T(0)), kept(ctx_, l > 0 ? band * stride : 0), u(ctx_, band * l, T(0));
    buffer<double> part(ctx_, tiles_ * band * nv), z(ctx_, band * nv), out(ctx_, l * stride, 0.0);
    for (std::ptrdiff_t c = 0; c < nv; ++c)
      for (std::ptrdiff_t j = 0; j < m; ++j) vt[c * stride + j] = static_cast<T>(v(c, j));
    for (std::ptrdiff_t first = 0; first < n; first += band) {
      const std::ptrdiff_t count = std::min(band, n - first), subs = (count + sub - 1) / sub;
      ctx_.parallel_for(subs * tiles_, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
        worker& s = workers_[static_cast<std::size_t>(id)];
        for (std::ptrdiff_t task = lo; task < hi; ++task) {
          if (ctx_.checkpoint(id)) return;
          const std::ptrdiff_t tile = task / subs, r0 = task % subs * sub, r1 = std::min(r0 + sub, count),
                               w = width(tile);
          T* e = l > 0 ? kept.data() + band * tile * tile_ + r0 * w : s.e.data();
          entries(first + r0, first + r1, tile, e, s);
          double* p = part.data() + (tile * band + r0) * nv;
          std::fill_n(p, sub * nv, 0.0);
          for (std::ptrdiff_t r = 0; r < r1 - r0; r += block)
            k.dot_rows(e + r * w, w, 0, vt.data() + tile * tile_, stride, nv, w, p + r * nv, nv);
        }
      });
      ctx_.parallel_for(count, sub, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        std::copy(part.data() + lo * nv, part.data() + hi * nv, z.data() + lo * nv);
        for (std::ptrdiff_t tile = 1; tile < tiles_; ++tile) {
          const double* p = part.data() + tile * band * nv;
          for (std::ptrdiff_t q = lo * nv; q < hi * nv; ++q) z[q] += p[q];
        }
        for (std::ptrdiff_t i = lo; i < hi; ++i) {
          if (forward.data)
            for (std::ptrdiff_t c = 0; c < nv; ++c) forward(c, first + i) = z[i * nv + c];
          if (l > 0) fill_u(first + i, z.data() + i * nv, u.data() + i * l);
        }
      });
      if (l == 0) continue;
      ctx_.parallel_for(tiles_, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
        for (std::ptrdiff_t tile = lo; tile < hi; ++tile) {
          if (ctx_.checkpoint(id)) return;
          const std::ptrdiff_t w = width(tile);
          const T* e = kept.data() + band * tile * tile_;
          for (std::ptrdiff_t r = 0; r < count; r += sub)
            k.outer_rows(e + r * w, w, std::min(sub, count - r), u.data() + r * l, l, l, 0, w,
                         out.data() + tile * tile_, stride);
        }
      });
    }
    for (std::ptrdiff_t c = 0; c < l; ++c) std::copy_n(out.data() + c * stride, m, &backward(c, 0));
  }

  // P^T U with U known beforehand: nothing is kept. Few tiles: the rows are cut as well.
  template <class Fill>
  void transposed(std::ptrdiff_t l, Fill& fill_u, matrix_view<double> backward) {
    const auto& k = c_.table();
    const std::ptrdiff_t stride = c_.stride(), n = c_.rows(), m = c_.cols();
    const std::ptrdiff_t wanted = std::clamp<std::ptrdiff_t>(16 / tiles_, 1, (n + 1023) / 1024);
    const std::ptrdiff_t rows = round_up((n + wanted - 1) / wanted, sub), chunks = (n + rows - 1) / rows;
    buffer<T> u(ctx_, n * l);
    buffer<double> out(ctx_, chunks * l * stride, 0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) fill_u(i, nullptr, u.data() + i * l);
    ctx_.parallel_for(chunks * tiles_, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int id) {
      worker& s = workers_[static_cast<std::size_t>(id)];
      for (std::ptrdiff_t task = lo; task < hi; ++task) {
        const std::ptrdiff_t tile = task % tiles_, chunk = task / tiles_, w = width(tile),
                             end = std::min(n, (chunk + 1) * rows);
        for (std::ptrdiff_t r0 = chunk * rows; r0 < end; r0 += sub) {
          if (ctx_.checkpoint(id)) return;
          const std::ptrdiff_t r1 = std::min(r0 + sub, end);
          entries(r0, r1, tile, s.e.data(), s);
          k.outer_rows(s.e.data(), w, r1 - r0, u.data() + r0 * l, l, l, 0, w,
                       out.data() + chunk * l * stride + tile * tile_, stride);
        }
      }
    });
    for (std::ptrdiff_t c = 0; c < l; ++c)
      for (std::ptrdiff_t j = 0; j < m; ++j) {
        double sum = 0;
        for (std::ptrdiff_t q = 0; q < chunks; ++q) sum += out[(q * l + c) * stride + j];
        backward(c, j) = sum;
      }
  }

  const context& ctx_;
  double kappa_;
  cost_rows<T> c_;
  buffer<double> phi_;
  buffer<T> g_;
  int power_;
  std::ptrdiff_t factors_;
  buffer<T> zero_, left_, right_;  // zero_: columns of costs alone
  std::ptrdiff_t tile_ = 0, tiles_ = 0;
  std::vector<worker> workers_;
};

constexpr auto no_u = [](std::ptrdiff_t, const double*, auto*) {};

}  // namespace

template <class T>
void softmin(const context& ctx, const geometry<T>& geo, std::span<const double> h, double reg,
             std::span<double> out, bool transposed) {
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows(), m = transposed ? geo.rows() : geo.cols();
  check(reg >= 0 && reg <= std::numeric_limits<double>::max(), "reg must be >= 0 and finite, got ", reg);
  check(static_cast<std::ptrdiff_t>(h.size()) == m, "h must have length ", m, ", got ", h.size());
  check(static_cast<std::ptrdiff_t>(out.size()) == n, "out must have length ", n, ", got ", out.size());
  const double kappa = reg > 0 ? log2e / reg : 1.0;
  const cost_rows<T> c(ctx, geo, reg > 0 ? kappa : differences_only<T>, transposed);
  buffer<double> gamma(ctx, m);
  for (std::ptrdiff_t j = 0; j < m; ++j) gamma[j] = kappa * h[static_cast<std::size_t>(j)];
  for_each_group<T>(ctx, c, kappa, nullptr, gamma,
                    [&](std::ptrdiff_t real, const std::ptrdiff_t* index, T* z, const double* top, int) {
                      for (std::ptrdiff_t r = 0; r < real; ++r) {
                        double lse = top[r];
                        if (reg > 0 && lse > minus_infinity) {
                          double weighted = 0;
                          lse += std::log2(c.table().exp_row(z + r * c.stride(), static_cast<T>(top[r]),
                                                             c.stride(), &weighted));
                        }
                        out[static_cast<std::size_t>(index[r])] = -lse / kappa;
                      }
                    });
}

template <class T>
void softmin(const context& ctx, const geometry<T>& geo, matrix_view<const double> h, double reg,
             matrix_view<double> out, bool transposed) {
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows(), m = transposed ? geo.rows() : geo.cols();
  check(reg > 0 && reg <= std::numeric_limits<double>::max(), "reg must be > 0 and finite, got ", reg);
  check_block(h, h.rows, m, "h");
  check_block(out, h.rows, n, "out");
  const double kappa = log2e / reg;
  const cost_rows<T> c(ctx, geo, kappa, transposed);
  auto workers = make_workers(ctx, c);
  std::vector<buffer<T>> columns;
  std::vector<buffer<double>> gamma;
  for (int k = 0; k < ctx.threads(); ++k) {
    columns.emplace_back(ctx, c.stride());
    gamma.emplace_back(ctx, m);
  }
  ctx.parallel_for(h.rows, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    const auto id = static_cast<std::size_t>(w);
    auto& s = workers[id];
    for (std::ptrdiff_t line = lo; line < hi; ++line) {
      for (std::ptrdiff_t j = 0; j < m; ++j) gamma[id][j] = kappa * h(line, j);
      c.columns(kappa, gamma[id], columns[id].data());
      for (std::ptrdiff_t i = 0; i < n; i += c.group()) {
        if (ctx.checkpoint(w)) return;
        row_index index;
        const std::ptrdiff_t real = row_group(i, n, c.group(), index);
        double top[kernels::most_rows];
        c.logits(kappa, index, nullptr, columns[id].data(), s.e.data(), top, s.scratch.data());
        for (std::ptrdiff_t r = 0; r < real; ++r) {
          double lse = top[r], weighted = 0;
          if (lse > minus_infinity)
            lse += std::log2(c.table().exp_row(s.e.data() + r * c.stride(), static_cast<T>(top[r]),
                                               c.stride(), &weighted));
          out(line, i + r) = -lse / kappa;
        }
      }
    }
  });
}

template <class T>
void c_transform(const context& ctx, const geometry<T>& geo, std::span<const double> h, std::span<double> out,
                 std::span<std::int64_t> index, bool transposed) {
  const std::ptrdiff_t n = transposed ? geo.cols() : geo.rows(), m = transposed ? geo.rows() : geo.cols();
  check(static_cast<std::ptrdiff_t>(h.size()) == m, "h must have length ", m, ", got ", h.size());
  check(static_cast<std::ptrdiff_t>(out.size()) == n && index.size() == out.size(),
        "out and index must have length ", n);
  const cost_rows<T> c(ctx, geo, differences_only<T>, transposed);
  for_each_group<T>(ctx, c, 1.0, nullptr, h,
                    [&](std::ptrdiff_t real, const std::ptrdiff_t* rows, T* z, const double* top, int) {
                      for (std::ptrdiff_t r = 0; r < real; ++r) {
                        const T* p = z + r * c.stride();
                        const std::size_t i = static_cast<std::size_t>(rows[r]);
                        out[i] = -top[r];
                        index[i] = std::find(p, p + c.cols(), static_cast<T>(top[r])) - p;
                      }
                    });
}

template <class T>
void apply(const context& ctx, const plan<T>& p, matrix_view<const double> v, matrix_view<double> out,
           bool transposed) {
  check_plan(p);
  const std::ptrdiff_t n = p.costs.rows(), m = p.costs.cols();
  check_block(v, v.rows, transposed ? n : m, "v");
  check_block(out, v.rows, transposed ? m : n, "out");
  plan_sweep<T> sweep(ctx, p);
  if (!transposed) return sweep.run(v, out, 0, no_u, {});
  sweep.run(
      {}, {}, v.rows,
      [&](std::ptrdiff_t i, const double*, T* u) {
        for (std::ptrdiff_t c = 0; c < v.rows; ++c) u[c] = static_cast<T>(v(c, i));
      },
      out);
}

template <class T>
void normal(const context& ctx, const plan<T>& p, std::span<const double> w, matrix_view<const double> v,
            matrix_view<double> out) {
  check_plan(p);
  check(w.empty() || static_cast<std::ptrdiff_t>(w.size()) == p.costs.rows(), "w must have length ",
        p.costs.rows(), ", got ", w.size());
  check_block(v, v.rows, p.costs.cols(), "v");
  check_block(out, v.rows, p.costs.cols(), "out");
  plan_sweep<T>(ctx, p).run(
      v, {}, v.rows,
      [&](std::ptrdiff_t i, const double* z, T* u) {
        const double wi = w.empty() ? 1.0 : w[static_cast<std::size_t>(i)];
        for (std::ptrdiff_t c = 0; c < v.rows; ++c) u[c] = static_cast<T>(wi * z[c]);
      },
      out);
}

template <class T>
void both(const context& ctx, const plan<T>& p, matrix_view<const double> v, matrix_view<double> forward,
          matrix_view<const double> u, matrix_view<double> backward) {
  check_plan(p);
  const std::ptrdiff_t n = p.costs.rows(), m = p.costs.cols();
  check_block(v, v.rows, m, "v");
  check_block(forward, v.rows, n, "forward");
  check_block(u, u.rows, n, "u");
  check_block(backward, u.rows, m, "backward");
  plan_sweep<T>(ctx, p).run(
      v, forward, u.rows,
      [&](std::ptrdiff_t i, const double*, T* row) {
        for (std::ptrdiff_t c = 0; c < u.rows; ++c) row[c] = static_cast<T>(u(c, i));
      },
      backward);
}

template <class T>
moments stats(const context& ctx, const plan<T>& p, std::span<double> row_sum, std::span<double> col_sum) {
  check_plain(p);
  const std::ptrdiff_t n = p.costs.rows(), m = p.costs.cols();
  check(static_cast<std::ptrdiff_t>(row_sum.size()) == n && static_cast<std::ptrdiff_t>(col_sum.size()) == m,
        "row_sum and col_sum must have lengths ", n, " and ", m);
  const double kappa = log2e / p.reg;
  const cost_rows<T> c(ctx, p.costs, kappa, false);
  const buffer<double> phi = bits(ctx, p.u), gamma = bits(ctx, p.v);
  buffer<T> g(ctx, c.stride());
  c.columns(kappa, gamma, g.data());
  const std::ptrdiff_t stride = c.stride(), rows = rows_per_chunk(n, m, c.group());
  const std::ptrdiff_t chunks = (n + rows - 1) / rows;
  buffer<double> partial(ctx, chunks * stride, 0.0), weighted(ctx, n, 0.0);
  auto workers = make_workers(ctx, c);
  std::vector<buffer<T>> column_sums;  // flush leaves them 0
  for (int k = 0; k < ctx.threads(); ++k) column_sums.emplace_back(ctx, stride, T(0));
  ctx.parallel_for(n, rows, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    auto& s = workers[static_cast<std::size_t>(w)];
    auto& t = column_sums[static_cast<std::size_t>(w)];
    for (std::ptrdiff_t i = lo; i < hi; i += c.group()) {
      if (ctx.checkpoint(w)) return;
      row_index index;
      const std::ptrdiff_t real = row_group(i, hi, c.group(), index);
      double top[kernels::most_rows];
      T q[kernels::most_rows] = {};
      c.logits(kappa, index, phi.data(), g.data(), s.e.data(), top, s.scratch.data());
      for (std::ptrdiff_t r = 0; r < c.group(); ++r) {
        double moment = 0;
        const double sum = c.table().exp_row(s.e.data() + r * stride, T(0), stride, &moment);
        if (r >= real) continue;
        row_sum[static_cast<std::size_t>(index[r])] = sum;
        weighted[index[r]] = moment;
        q[r] = T(1);
      }
      for (std::ptrdiff_t r = 0; r < real; r += block)
        c.table().add_rows(s.e.data() + r * stride, stride, q + r, t.data(), stride);
      if ((i - lo) % rows_between_flushes == rows_between_flushes - c.group())
        c.table().flush(t.data(), partial.data() + lo / rows * stride, stride);
    }
    c.table().flush(t.data(), partial.data() + lo / rows * stride, stride);
  });
  moments r{0, 0, 0};
  double bits_sum = 0, potential = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double s = row_sum[static_cast<std::size_t>(i)];
    r.mass += s;
    bits_sum += weighted[i];
    if (s > 0) potential += s * phi[i];
  }
  for (std::ptrdiff_t j = 0; j < m; ++j) {
    double s = 0;
    for (std::ptrdiff_t k = 0; k < chunks; ++k) s += partial[k * stride + j];
    col_sum[static_cast<std::size_t>(j)] = s;
    if (s > 0) potential += s * gamma[j];
  }
  r.plogp = ln2 * bits_sum;
  r.linear = (potential - bits_sum) / kappa;
  return r;
}

template <class T>
void rows(const context& ctx, const plan<T>& p, std::ptrdiff_t first, matrix_view<T> out) {
  check_plain(p);
  check(first >= 0 && out.rows >= 0 && first + out.rows <= p.costs.rows(), "rows ", first, " ... ",
        first + out.rows, " are outside 0 ... ", p.costs.rows());
  check(out.cols == p.costs.cols(), "out must have ", p.costs.cols(), " columns, got ", out.cols);
  const double kappa = log2e / p.reg;
  const cost_rows<T> c(ctx, p.costs, kappa, false);
  const buffer<double> phi = bits(ctx, p.u);
  buffer<T> g(ctx, c.stride());
  c.columns(kappa, bits(ctx, p.v), g.data());
  auto workers = make_workers(ctx, c);
  ctx.parallel_for(out.rows, c.group(), [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    if (ctx.checkpoint(w)) return;
    auto& s = workers[static_cast<std::size_t>(w)];
    row_index index;
    const std::ptrdiff_t real = row_group(first + lo, first + hi, c.group(), index);
    double sum[kernels::most_rows];
    c.exponentials(kappa, index, phi.data(), g.data(), s.e.data(), sum, s.scratch.data());
    for (std::ptrdiff_t r = 0; r < real; ++r)
      std::copy_n(s.e.data() + r * c.stride(), out.cols, &out(lo + r, 0));
  });
}

template <class T>
void batch_plans(const context& ctx, std::span<const batch_item<T>> items, double reg,
                 std::span<const matrix_view<T>> out) {
  check(items.size() == out.size(), "items and out must have the same length, got ", items.size(), " and ",
        out.size());
  check(reg > 0 && reg <= std::numeric_limits<double>::max(), "reg must be > 0 and finite, got ", reg);
  for_each_alone(ctx, std::ssize(items), [&](std::size_t k, const context& mine) {
    const batch_item<T>& item = items[k];
    check(out[k].rows == item.costs.rows(), "out[", k, "] must have ", item.costs.rows(), " rows, got ",
          out[k].rows);
    const auto logs = [&](std::span<const double> potential, std::span<const double> weights) {
      check(potential.size() == weights.size(), "potentials and weights of item ", k, " differ in length");
      buffer<double> u(mine, std::ssize(potential));
      for (std::size_t i = 0; i < potential.size(); ++i)
        u[static_cast<std::ptrdiff_t>(i)] = potential[i] / reg + std::log(weights[i]);
      return u;
    };
    const buffer<double> u = logs(item.f, item.a), v = logs(item.g, item.b);
    rows(mine, plan<T>{item.costs, reg, u, v}, 0, out[k]);
  });
}

template <class T>
void top_k(const context& ctx, const plan<T>& p, matrix_view<std::int64_t> index, matrix_view<double> value,
           bool transposed) {
  check_plain(p);
  const std::ptrdiff_t n = transposed ? p.costs.cols() : p.costs.rows(),
                       m = transposed ? p.costs.rows() : p.costs.cols(), k = index.cols;
  check(index.rows == n && value.rows == n && value.cols == k, "index and value must be ", n, " x k");
  check(k >= 1 && k <= m, "k must be between 1 and ", m, ", got ", k);
  const double kappa = log2e / p.reg;
  const cost_rows<T> c(ctx, p.costs, kappa, transposed);
  const buffer<double> phi = bits(ctx, transposed ? p.v : p.u), gamma = bits(ctx, transposed ? p.u : p.v);
  for_each_group<T>(
      ctx, c, kappa, phi.data(), gamma,
      [&](std::ptrdiff_t real, const std::ptrdiff_t* rows, T* z, const double*, int) {
        for (std::ptrdiff_t r = 0; r < real; ++r) {
          const T* e = z + r * c.stride();
          const std::ptrdiff_t i = rows[r];
          std::ptrdiff_t filled =
              0;  // insertion into a short sorted list: almost every entry fails the first comparison
          std::int64_t* at = &index(i, 0);
          double* best = &value(i, 0);
          for (std::ptrdiff_t j = 0; j < m; ++j) {
            const double x = static_cast<double>(e[j]);
            if (filled == k && !(x > best[k - 1])) continue;
            std::ptrdiff_t q = filled < k ? filled++ : k - 1;
            for (; q > 0 && x > best[q - 1]; --q) {
              best[q] = best[q - 1];
              at[q] = at[q - 1];
            }
            best[q] = x;
            at[q] = j;
          }
          for (std::ptrdiff_t q = 0; q < k; ++q) best[q] = std::exp2(best[q]);
        }
      });
}

template <class T>
void sample(const context& ctx, const plan<T>& p, std::span<const std::int64_t> rows,
            std::span<const std::int64_t> offsets, std::span<const double> uniform,
            std::span<std::int64_t> columns, bool transposed) {
  check_plan(p);
  const std::ptrdiff_t n = transposed ? p.costs.cols() : p.costs.rows();
  const std::ptrdiff_t count = static_cast<std::ptrdiff_t>(rows.size());
  check(offsets.size() == rows.size() + 1, "offsets must have length ", count + 1, ", got ", offsets.size());
  check(uniform.size() == columns.size(), "uniform and columns must have one length");
  for (std::size_t k = 0; k < rows.size(); ++k) {
    check(rows[k] >= 0 && rows[k] < n, "rows[", k, "] is outside 0 ... ", n - 1);
    check(offsets[k] >= 0 && offsets[k] <= offsets[k + 1], "offsets must not fall");
  }
  check(static_cast<std::size_t>(offsets.back()) == uniform.size(),
        "offsets must end at the number of draws");
  const double kappa = log2e / p.reg;
  const cost_rows<T> c(ctx, p.costs, kappa, transposed);
  const buffer<double> phi = bits(ctx, transposed ? p.v : p.u), gamma = bits(ctx, transposed ? p.u : p.v);
  buffer<T> g(ctx, c.stride());
  c.columns(kappa, gamma, g.data());
  auto workers = make_workers(ctx, c);
  std::vector<buffer<double>> sums;
  for (int k = 0; k < ctx.threads(); ++k) sums.emplace_back(ctx, c.cols());
  ctx.parallel_for(count, c.group(), [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    auto& s = workers[static_cast<std::size_t>(w)];
    double* sum = sums[static_cast<std::size_t>(w)].data();
    for (std::ptrdiff_t k = lo; k < hi; k += c.group()) {
      if (ctx.checkpoint(w)) return;
      row_index index;
      const std::ptrdiff_t real = row_group(k, hi, c.group(), index);
      for (std::ptrdiff_t r = 0; r < c.group(); ++r) index[r] = rows[static_cast<std::size_t>(index[r])];
      double top[kernels::most_rows];
      c.logits(kappa, index, phi.data(), g.data(), s.e.data(), top, s.scratch.data());
      for (std::ptrdiff_t r = 0; r < real; ++r) {
        T* e = s.e.data() + r * c.stride();
        double weighted = 0, total = 0;
        const bool empty = !(top[r] > minus_infinity);
        if (!empty) c.table().exp_row(e, static_cast<T>(top[r]), c.stride(), &weighted);
        for (std::ptrdiff_t j = 0; j < c.cols(); ++j)
          sum[j] = total += empty ? 0.0 : static_cast<double>(e[j]);
        const auto first = static_cast<std::size_t>(offsets[static_cast<std::size_t>(k + r)]),
                   last = static_cast<std::size_t>(offsets[static_cast<std::size_t>(k + r + 1)]);
        for (std::size_t q = first; q < last; ++q) {
          // the first column whose sum is above: never one of mass 0. Rounding may make that none: the last
          // one.
          const double* at = std::upper_bound(sum, sum + c.cols(), uniform[q] * total);
          if (at == sum + c.cols()) at = std::lower_bound(sum, sum + c.cols(), total);
          columns[q] = empty ? -1 : at - sum;
        }
      }
    }
  });
}

template <class T>
void plan_operator<T>::apply(const context& ctx, matrix_view<const double> v, matrix_view<double> out) const {
  ot::apply(ctx, plan_, v, out, false);
}
template <class T>
void plan_operator<T>::apply_transposed(const context& ctx, matrix_view<const double> v,
                                        matrix_view<double> out) const {
  ot::apply(ctx, plan_, v, out, true);
}
template <class T>
void plan_operator<T>::normal(const context& ctx, matrix_view<const double> v,
                              matrix_view<double> out) const {
  ot::normal(ctx, plan_, {}, v, out);
}

#define LAPWING_INSTANTIATE(T)                                                                             \
  template void softmin<T>(const context&, const geometry<T>&, std::span<const double>, double,            \
                           std::span<double>, bool);                                                       \
  template void softmin<T>(const context&, const geometry<T>&, matrix_view<const double>, double,          \
                           matrix_view<double>, bool);                                                     \
  template void c_transform<T>(const context&, const geometry<T>&, std::span<const double>,                \
                               std::span<double>, std::span<std::int64_t>, bool);                          \
  template void apply<T>(const context&, const plan<T>&, matrix_view<const double>, matrix_view<double>,   \
                         bool);                                                                            \
  template void normal<T>(const context&, const plan<T>&, std::span<const double>,                         \
                          matrix_view<const double>, matrix_view<double>);                                 \
  template void both<T>(const context&, const plan<T>&, matrix_view<const double>, matrix_view<double>,    \
                        matrix_view<const double>, matrix_view<double>);                                   \
  template moments stats<T>(const context&, const plan<T>&, std::span<double>, std::span<double>);         \
  template void rows<T>(const context&, const plan<T>&, std::ptrdiff_t, matrix_view<T>);                   \
  template void batch_plans<T>(const context&, std::span<const batch_item<T>>, double,                     \
                               std::span<const matrix_view<T>>);                                           \
  template void top_k<T>(const context&, const plan<T>&, matrix_view<std::int64_t>, matrix_view<double>,   \
                         bool);                                                                            \
  template void sample<T>(const context&, const plan<T>&, std::span<const std::int64_t>,                   \
                          std::span<const std::int64_t>, std::span<const double>, std::span<std::int64_t>, \
                          bool);                                                                           \
  template class plan_operator<T>;
LAPWING_INSTANTIATE(float)
LAPWING_INSTANTIATE(double)
}  // namespace lapwing::ot
