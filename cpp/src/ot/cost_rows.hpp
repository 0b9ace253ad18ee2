// Rows of exponents z_ij = phi_i + gamma_j - kappa C_ij, made four at a time by the kernels, for every kind
// of cost.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lapwing/context.hpp>
#include <lapwing/error.hpp>
#include <lapwing/ot.hpp>
#include <limits>
#include <span>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"
#include "lanes.hpp"

namespace lapwing::ot {

constexpr double log2e = 1.4426950408889634074, ln2 = 0.69314718055994530942;
constexpr std::ptrdiff_t block = kernels::rows_per_block;
// Row numbers of a group that is worked on together.
using row_index = std::ptrdiff_t[kernels::most_rows];

template <class T>
void check_geometry(const geometry<T>& geo) {
  check(geo.rows() > 0 && geo.cols() > 0, "the cost must have at least one row and one column, got ",
        geo.rows(), " x ", geo.cols());
  if (!geo.is_dense())
    check(geo.x.cols == geo.y.cols, "x and y must have as many columns, got ", geo.x.cols, " and ",
          geo.y.cols);
}

// The kappa of those who want the costs themselves: no product form, whose error is absolute. The distance of
// near neighbours far from the centre would drown in it.
template <class T>
constexpr double differences_only = std::numeric_limits<T>::max();

// A geometry made ready for the kernels: points centred or normalised, columns transposed and padded. Read
// only, shared by all threads.
template <class T>
class cost_rows {
 public:
  // kappa: the largest log2(e)/eps that will be asked for; it decides whether the product form is accurate
  // enough (spec 3.7).
  cost_rows(const context& ctx, const geometry<T>& geo, double kappa, bool transposed)
      : kernels_(kernels::get<T>(ctx.level())),
        rows_(transposed ? geo.cols() : geo.rows()),
        cols_(transposed ? geo.rows() : geo.cols()),
        stride_(padded(cols_)),
        hollow_(geo.hollow) {
    check_geometry(geo);
    check(kappa == 0 || (kappa >= std::numeric_limits<T>::min() && kappa <= std::numeric_limits<T>::max()),
          "reg is too ", kappa < 1 ? "large" : "small", " for the type of the cost, got ", log2e / kappa);
    if (geo.is_dense()) {
      cost_ = geo.cost;
      gathered_ = transposed;
    } else {
      if (geo.kind == metric::cosine) {
        check_directions(geo.x, "x");
        check_directions(geo.y, "y");
      }
      prepare_points(ctx, transposed ? geo.y : geo.x, transposed ? geo.x : geo.y, geo.kind, kappa);
    }
  }

  std::ptrdiff_t rows() const { return rows_; }
  std::ptrdiff_t cols() const { return cols_; }
  std::ptrdiff_t stride() const { return stride_; }  // length of a row of exponents, padding included
  const kernels::table<T>& table() const { return kernels_; }

  // Rows worked on together: with many coordinates more of them share a tile of columns, as many as keep
  // their exponentials in the second-level cache.
  std::ptrdiff_t group() const { return group_; }

  // Room that each thread must bring for `logits` and `exponentials`.
  buffer<T> scratch(const context& ctx) const { return buffer<T>(ctx, gathered_ ? group_ * cols_ : 0); }

  // Column terms for the kernels: gamma_j (none: 0) in the working type, product form included, -inf in the
  // padding.
  void columns(double kappa, std::span<const double> gamma, T* g) const {
    const bool shifted = !y_constant_.empty();
    for (std::ptrdiff_t j = 0; j < cols_; ++j)
      g[j] = static_cast<T>((gamma.empty() ? 0.0 : gamma[j]) - (shifted ? kappa * y_constant_[j] : 0.0));
    std::fill(g + cols_, g + stride_, -std::numeric_limits<T>::infinity());
  }

  // e[r, :] = 2^z for the rows `index`, sum[r] = their sums. phi (none: 0) is indexed by row.
  void exponentials(double kappa, const row_index& index, const double* phi, const T* g, T* e, double* sum,
                    T* scratch) const {
    exponentials(kappa, index, phi, g, 0, stride_, e, sum, scratch);
  }
  // The same for the columns first ... first + width - 1 alone, in rows of `width`: both multiples of the
  // padding.
  void exponentials(double kappa, const row_index& index, const double* phi, const T* g, std::ptrdiff_t first,
                    std::ptrdiff_t width, T* e, double* sum, T* scratch) const {
    std::fill_n(sum, group_, 0.0);
    run<false>(kappa, index, phi, g, first, width, e, sum, scratch);
  }
  // e[r, :] = z, top[r] = their maxima
  void logits(double kappa, const row_index& index, const double* phi, const T* g, T* e, double* top,
              T* scratch) const {
    logits(kappa, index, phi, g, 0, stride_, e, top, scratch);
  }
  void logits(double kappa, const row_index& index, const double* phi, const T* g, std::ptrdiff_t first,
              std::ptrdiff_t width, T* e, double* top, T* scratch) const {
    std::fill_n(top, group_, -std::numeric_limits<double>::infinity());
    run<true>(kappa, index, phi, g, first, width, e, top, scratch);
  }

 private:
  template <bool raw>
  void run(double kappa, const row_index& index, const double* phi, const T* g, std::ptrdiff_t first,
           std::ptrdiff_t width, T* e, double* result, T* scratch) const {
    const T* p[kernels::most_rows];
    T f[kernels::most_rows];
    for (std::ptrdiff_t r = 0; r < group_; ++r) {
      const std::ptrdiff_t i = index[r];
      f[r] = static_cast<T>((phi ? phi[i] : 0.0) - (x_constant_.empty() ? 0.0 : kappa * x_constant_[i]));
      p[r] = x_ + i * x_stride_;
    }
    const T scale = static_cast<T>(kappa * factor_);
    g += first;
    if (y_.size() == 0) {  // dense
      const std::ptrdiff_t real = std::clamp<std::ptrdiff_t>(cols_ - first, 0, width);
      if (gathered_) gather(index, first, real, scratch);
      for (std::ptrdiff_t r = 0; r < block; ++r)
        p[r] = gathered_ ? scratch + r * real : cost_.data + index[r] * cost_.stride + first;
      const std::ptrdiff_t ahead = gathered_ ? 0 : block * cost_.stride;
      (raw ? kernels_.logit_dense : kernels_.exp_dense)(p, f, g, scale, real, ahead, e, width, result);
      if (hollow_) clear_diagonal<raw>(index, first, width, e, result);
      return;
    }
    const auto call = [&](auto* kernel) {
      kernel(p, group_, y_.data() + first * d_, d_, f, g, scale, e, width, result);
    };
    switch (form_) {
      case form::sqeuclidean:
        call(raw ? kernels_.logit_sqeuclidean : kernels_.exp_sqeuclidean);
        break;
      case form::euclidean:
        call(raw ? kernels_.logit_euclidean : kernels_.exp_euclidean);
        break;
      case form::product:
        call(raw ? kernels_.logit_product : kernels_.exp_product);
        break;
    }
    if (hollow_) clear_diagonal<raw>(index, first, width, e, result);
  }

  // Takes the pairs (i, i) out again, from the maxima or sums as well. A sum that was mostly theirs is made
  // anew: the difference would be rounding.
  template <bool raw>
  void clear_diagonal(const row_index& index, std::ptrdiff_t first, std::ptrdiff_t width, T* e,
                      double* result) const {
    for (std::ptrdiff_t r = 0; r < group_; ++r) {
      const std::ptrdiff_t j = index[r] - first;
      if (j < 0 || j >= width) continue;
      T* row = e + r * width;
      const double own = static_cast<double>(row[j]);
      row[j] = raw ? -std::numeric_limits<T>::infinity() : T(0);
      if constexpr (raw) {
        if (own < result[r]) continue;
        result[r] = static_cast<double>(*std::max_element(row, row + width));
      } else {
        if (own < 0.5 * result[r]) {
          result[r] -= own;
          continue;
        }
        result[r] = lane_sum(width, [&](std::ptrdiff_t k) { return static_cast<double>(row[k]); });
      }
    }
  }

  // A multiple of the kernels' padding whose rows do not all start in the same set of the first-level cache.
  static std::ptrdiff_t padded(std::ptrdiff_t n) {
    const std::ptrdiff_t s = round_up(n, kernels::column_padding);
    return s * static_cast<std::ptrdiff_t>(sizeof(T)) % 2048 == 0 ? s + kernels::column_padding : s;
  }

  // columns of the matrix as rows, from `first` on
  void gather(const row_index& index, std::ptrdiff_t first, std::ptrdiff_t count, T* out) const {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const T* row = cost_.data + (first + i) * cost_.stride;
      for (std::ptrdiff_t r = 0; r < block; ++r) out[r * count + i] = row[index[r]];
    }
  }

  static void check_directions(matrix_view<const T> p, const char* what) {
    for (std::ptrdiff_t i = 0; i < p.rows; ++i) {
      bool zero = true;
      for (std::ptrdiff_t k = 0; k < p.cols; ++k) zero = zero && p(i, k) == 0;
      check(!zero, "the cosine needs a direction, but row ", i, " of ", what, " is 0");
    }
  }

  void prepare_points(const context& ctx, matrix_view<const T> x, matrix_view<const T> y, metric kind,
                      double kappa) {
    d_ = x.cols;
    x_ = x.data;
    x_stride_ = x.stride;
    buffer<double> centre(ctx, d_, 0.0);
    const auto centred = [&](matrix_view<const T> p, std::ptrdiff_t i, std::ptrdiff_t k) {
      return static_cast<double>(p(i, k)) - centre[k];
    };
    const auto norm2 = [&](matrix_view<const T> p, std::ptrdiff_t i) {
      double s = 0;
      for (std::ptrdiff_t k = 0; k < d_; ++k) s += centred(p, i, k) * centred(p, i, k);
      return s;
    };
    bool normalise = false;
    switch (kind) {
      case metric::sqeuclidean: {
        form_ = form::sqeuclidean;
        factor_ = -1;
        if (d_ <= 8) break;
        for (const auto& p : {x, y})
          for (std::ptrdiff_t i = 0; i < p.rows; ++i)
            for (std::ptrdiff_t k = 0; k < d_; ++k)
              centre[k] += static_cast<double>(p(i, k)) / static_cast<double>(rows_ + cols_);
        x_constant_ = buffer<double>(ctx, rows_);
        y_constant_ = buffer<double>(ctx, cols_);
        double rx = 0, ry = 0;
        for (std::ptrdiff_t i = 0; i < rows_; ++i) rx = std::max(rx, x_constant_[i] = norm2(x, i));
        for (std::ptrdiff_t j = 0; j < cols_; ++j) ry = std::max(ry, y_constant_[j] = norm2(y, j));
        const double error =
            kappa * std::numeric_limits<T>::epsilon() / 2 * std::sqrt(static_cast<double>(d_)) * (rx + ry);
        if (error <= (sizeof(T) == 4 ? 5e-4 : 1e-9)) {
          form_ = form::product;
          factor_ = 2;
        } else {
          x_constant_ = {};
          y_constant_ = {};
          centre.fill(0);
        }
        break;
      }
      case metric::euclidean:
        form_ = form::euclidean;
        factor_ = -1;
        break;
      case metric::cosine:
        normalise = true;
        form_ = form::product;
        factor_ = 1;
        x_constant_ = buffer<double>(ctx, rows_, 1.0);
        break;
      case metric::dot:
        form_ = form::product;
        factor_ = 1;
        break;
    }
    const bool copied = normalise || (form_ == form::product && kind == metric::sqeuclidean);
    if (copied) {
      copy_ = buffer<T>(ctx, rows_ * d_);
      for (std::ptrdiff_t i = 0; i < rows_; ++i) {
        const double s = normalise ? 1 / std::sqrt(norm2(x, i)) : 1.0;
        for (std::ptrdiff_t k = 0; k < d_; ++k) copy_[i * d_ + k] = static_cast<T>(centred(x, i, k) * s);
      }
      x_ = copy_.data();
      x_stride_ = d_;
    }
    // Beyond 8000 columns the exponentials of a group leave the second-level cache whatever its size.
    if (d_ >= 16) group_ = (sizeof(T) == 4 ? 16 : 8) * (stride_ > 8000 ? 2 : 1);
    constexpr std::ptrdiff_t group = kernels::column_group<T>;
    y_ = buffer<T>(ctx, std::max<std::ptrdiff_t>(d_, 1) * stride_);
    for (std::ptrdiff_t j = 0; j < stride_; ++j) {
      const double s = normalise && j < cols_ ? 1 / std::sqrt(norm2(y, j)) : 1.0;
      for (std::ptrdiff_t k = 0; k < d_; ++k)
        y_[j / group * group * d_ + k * group + j % group] =
            j < cols_ ? static_cast<T>(centred(y, j, k) * s) : T(0);
    }
  }

  enum class form { sqeuclidean, euclidean, product };
  const kernels::table<T>& kernels_;
  std::ptrdiff_t rows_, cols_, stride_, group_ = block;
  bool hollow_;
  matrix_view<const T> cost_;
  bool gathered_ = false;
  // points: z = phi_i - kappa x_constant_i + gamma_j - kappa y_constant_j + kappa factor_ * (what the form
  // computes)
  form form_ = form::sqeuclidean;
  double factor_ = -1;
  const T* x_ = nullptr;
  std::ptrdiff_t x_stride_ = 0, d_ = 0;
  buffer<T> copy_, y_;
  buffer<double> x_constant_, y_constant_;
};

// Made once, in plan.cpp.
extern template class cost_rows<float>;
extern template class cost_rows<double>;

// The rows first, first + 1, ... as a group; the last one is repeated where the rows end. Returns how many
// are real.
inline std::ptrdiff_t row_group(std::ptrdiff_t first, std::ptrdiff_t end, std::ptrdiff_t group,
                                row_index& index) {
  for (std::ptrdiff_t r = 0; r < group; ++r) index[r] = std::min(first + r, end - 1);
  return std::min(group, end - first);
}

// Column sums are taken over chunks of rows that depend on the problem alone and are combined in order, so
// that they have the same bits for any number of threads.
inline std::ptrdiff_t rows_per_chunk(std::ptrdiff_t n, std::ptrdiff_t m, std::ptrdiff_t group) {
  const std::ptrdiff_t wanted = std::clamp<std::ptrdiff_t>((n * m) >> 15, 1, 64);
  return round_up((n + wanted - 1) / wanted, group);
}
// Within a chunk, sums in the working type go to double after so many rows (a multiple of every group): in
// float 1024 would leave an error of 1e-6.
constexpr std::ptrdiff_t rows_between_flushes = 128;

// How many groups of rows to do between two looks at the context.
inline std::ptrdiff_t groups_between_checks(std::ptrdiff_t elements) {
  return std::max<std::ptrdiff_t>(1, (std::ptrdiff_t{1} << 20) / elements);
}

// Scratch of one thread for a group of rows.
template <class T>
struct rows_worker {
  rows_worker(const context& ctx, const cost_rows<T>& c)
      : e(ctx, c.group() * c.stride()), scratch(c.scratch(ctx)) {}
  buffer<T> e, scratch;
};
template <class T>
std::vector<rows_worker<T>> make_workers(const context& ctx, const cost_rows<T>& c) {
  std::vector<rows_worker<T>> w;
  for (int k = 0; k < ctx.threads(); ++k) w.emplace_back(ctx, c);
  return w;
}

// out = 2^z of all rows (none for phi: 0), `stride` apart and in whole groups; `grain` is a multiple of
// these. workers[w].scratch is that of the costs.
template <class T, class Workers>
void all_exponentials(const context& ctx, const cost_rows<T>& c, double kappa, const double* phi, const T* g,
                      std::ptrdiff_t grain, Workers& workers, T* out) {
  ctx.parallel_for(c.rows(), grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    for (std::ptrdiff_t i = lo; i < hi; i += c.group()) {
      row_index index;
      double sum[kernels::most_rows];
      row_group(i, hi, c.group(), index);
      c.exponentials(kappa, index, phi, g, out + i * c.stride(), sum,
                     workers[static_cast<std::size_t>(w)].scratch.data());
    }
  });
}

// Calls body(rows in the group, index, z, top, worker) for every group of rows of exponents of `c`, in
// parallel.
template <class T, class Body>
void for_each_group(const context& ctx, const cost_rows<T>& c, double kappa, const double* phi,
                    std::span<const double> gamma, Body&& body) {
  buffer<T> g(ctx, c.stride());
  c.columns(kappa, gamma, g.data());
  auto workers = make_workers(ctx, c);
  const std::ptrdiff_t grain =
      round_up(std::max<std::ptrdiff_t>(1, (std::ptrdiff_t{1} << 16) / c.stride()), c.group());
  ctx.parallel_for(c.rows(), grain, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int w) {
    auto& s = workers[static_cast<std::size_t>(w)];
    for (std::ptrdiff_t i = lo; i < hi; i += c.group()) {
      if (ctx.checkpoint(w)) return;
      row_index index;
      const std::ptrdiff_t real = row_group(i, hi, c.group(), index);
      double top[kernels::most_rows];
      c.logits(kappa, index, phi, g.data(), s.e.data(), top, s.scratch.data());
      body(real, index, s.e.data(), top, w);
    }
  });
}

}  // namespace lapwing::ot
