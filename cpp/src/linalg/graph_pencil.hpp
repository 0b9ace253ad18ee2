// A graph made ready for the solvers: nodes in an order that keeps neighbours and components together,
// isolated ones left out; its Laplacian L and the diagonal M of L z = lambda M z (the degrees, or ones).
#pragma once
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/sparse.hpp>
#include <utility>
#include <vector>

#include "../kernels/table.hpp"
#include "davidson.hpp"

namespace lapwing::linalg {

struct ordered_graph {
  sparse::components_result parts;  // of the graph as given
  std::vector<std::int32_t> order;  // order[i]: the node at position i
  std::vector<std::int64_t> ends;   // where each component ends
  sparse::csr weights;              // of the nodes in that order, no zeros, times scale
  double scale = 1;                 // a power of 2 that brings the largest weight to about 1

  ordered_graph(const context& ctx, csr_view<const double> w) {
    sparse::check_graph(w, "w");
    check(w.rows() > 0, "w must have at least one node");
    sparse::csr pruned;
    if (std::find(w.values.begin(), w.values.end(), 0.0) != w.values.end()) {
      pruned = sparse::symmetrize(w, sparse::symmetry::maximum);
      w = pruned.view();
    }
    parts = sparse::components(w);
    check(static_cast<std::ptrdiff_t>(parts.sizes.size()) < w.rows(),
          "w has no edges: every node is its own component");
    const auto label = [&](std::int32_t i) { return parts.labels[static_cast<std::size_t>(i)]; };
    for (const std::int32_t i : sparse::reverse_cuthill_mckee(w))
      if (parts.sizes[static_cast<std::size_t>(label(i))] > 1) order.push_back(i);
    for (std::size_t i = 0; i < order.size(); ++i)
      if (i + 1 == order.size() || label(order[i]) != label(order[i + 1]))
        ends.push_back(static_cast<std::int64_t>(i) + 1);
    weights = sparse::permute(ctx, w, order);
    scale = std::exp2(-std::ilogb(*std::max_element(weights.values.begin(), weights.values.end())));
    for (double& v : weights.values) v *= scale;
  }
};

constexpr std::ptrdiff_t row_chunk = 1024;

class graph_pencil final : public pencil {
 public:
  graph_pencil(const context& ctx, csr_view<const double> w, bool weighted,
               const std::vector<std::int64_t>& component_ends)
      : w_(w),
        degree_(ctx, w.rows()),
        root_(ctx, weighted ? w.rows() : 0),
        inverse_root_(ctx, weighted ? w.rows() : 0),
        inverse_(ctx, weighted ? w.rows() : 0),
        ones_(ctx, block_chunk, 1.0),
        weighted_(weighted) {
    for (std::ptrdiff_t i = 0; i < w.rows(); ++i) {
      double d = 0;
      for (std::int64_t q = w.offsets[static_cast<std::size_t>(i)];
           q < w.offsets[static_cast<std::size_t>(i + 1)]; ++q)
        if (w.indices[static_cast<std::size_t>(q)] != i) d += w.values[static_cast<std::size_t>(q)];
      degree_[i] = d;
      if (weighted) {
        root_[i] = std::sqrt(d);
        inverse_root_[i] = 1 / root_[i];
        inverse_[i] = 1 / d;
      }
    }
    std::int64_t lo = 0;
    for (const std::int64_t end : component_ends) {
      double total = 0;
      for (std::int64_t i = lo; i < end; ++i) total += weighted ? degree_[i] : 1.0;
      total_.push_back(total);
      first_.push_back(static_cast<std::ptrdiff_t>(pieces_.size()));
      for (std::int64_t i = lo; i < end; i += block_chunk)
        pieces_.push_back({i, std::min<std::int64_t>(i + block_chunk, end),
                           static_cast<std::ptrdiff_t>(total_.size()) - 1});
      lo = end;
    }
    first_.push_back(static_cast<std::ptrdiff_t>(pieces_.size()));
    if (total_.size() == 1) null_ = buffer<double>(ctx, w.rows(), 1 / std::sqrt(total_[0]));
  }

  std::ptrdiff_t size() const override { return w_.rows(); }
  panels null() const override {
    if (null_.empty()) return {};
    return matrix_view<double>(const_cast<double*>(null_.data()), size(), 1);  // nobody writes into a basis
  }
  const double* mass() const override { return weighted_ ? degree_.data() : nullptr; }
  const double* degrees() const { return degree_.data(); }
  // M^1/2 and its inverse; null: ones
  const double* root() const { return weighted_ ? root_.data() : nullptr; }
  const double* inverse_root() const { return weighted_ ? inverse_root_.data() : nullptr; }
  csr_view<const double> weights() const { return w_; }

  void multiply(const context& ctx, matrix_view<const double> x, matrix_view<double> y) const override {
    product(ctx, nullptr, x, y);
  }
  void filter(const context& ctx, float alpha, float beta, float gamma, matrix_view<const float> x,
              matrix_view<const float> r, const float* s, matrix_view<float> y) const override {
    const auto& k = kernels::get<float>(ctx.level());
    if (single_.empty()) {  // M^-1 W, whose rows sum to 1 or less than the largest degree
      single_ = buffer<float>(ctx, w_.size());
      ctx.parallel_for(size(), row_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
        for (std::ptrdiff_t i = lo; i < hi; ++i)
          for (std::int64_t q = w_.offsets[static_cast<std::size_t>(i)];
               q < w_.offsets[static_cast<std::size_t>(i + 1)]; ++q)
            single_[q] =
                static_cast<float>(w_.values[static_cast<std::size_t>(q)] * (weighted_ ? inverse_[i] : 1.0));
      });
    }
    ctx.parallel_for(size(), row_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      k.graph_product(w_.offsets.data(), w_.indices.data(), single_.data(), nullptr, alpha, beta, gamma,
                      x.data, x.stride, y.data, y.stride, y.data, y.stride, x.cols, lo, hi);
      for (std::ptrdiff_t i = lo; i < hi; ++i)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) y(i, c) += s[c] * r(i, c);
    });
  }
  // In symmetric coordinates v = M^1/2 z: y = M^-1/2 A M^-1/2 x. t: room of the size of x.
  void multiply_symmetric(const context& ctx, matrix_view<const double> x, matrix_view<double> t,
                          matrix_view<double> y) const {
    if (!weighted_) return product(ctx, nullptr, x, y);
    scale(ctx, inverse_root(), x, t);
    product(ctx, inverse_root(), t, y);
  }
  void project_symmetric(const context& ctx, matrix_view<double> x) const { remove(ctx, x, root(), root()); }
  // y = diag(s) x; without s: x
  static void scale(const context& ctx, const double* s, matrix_view<const double> x, matrix_view<double> y) {
    ctx.parallel_for(x.rows, block_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t i = lo; i < hi; ++i)
        for (std::ptrdiff_t c = 0; c < x.cols; ++c) y(i, c) = s ? s[i] * x(i, c) : x(i, c);
    });
  }
  // x -= its mean over each component, weighted by M
  void project(const context& ctx, matrix_view<double> x) const override { remove(ctx, x, mass(), nullptr); }
  // r -= M times its sum over each component, divided by that of M
  void project_dual(const context& ctx, matrix_view<double> r) const override {
    remove(ctx, r, nullptr, mass());
  }

 private:
  void product(const context& ctx, const double* scale, matrix_view<const double> x,
               matrix_view<double> y) const {
    const auto& k = kernels::get<double>(ctx.level());
    ctx.parallel_for(size(), row_chunk, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      k.graph_product(w_.offsets.data(), w_.indices.data(), w_.values.data(), scale, 1, 0, 0, x.data,
                      x.stride, nullptr, 0, y.data, y.stride, x.cols, lo, hi);
    });
  }
  struct piece {
    std::int64_t lo, hi;
    std::ptrdiff_t component;
  };
  // x -= (sum of `in` x) / total `out`
  void remove(const context& ctx, matrix_view<double> x, const double* in, const double* out) const {
    const std::ptrdiff_t b = x.cols, pieces = static_cast<std::ptrdiff_t>(pieces_.size());
    buffer<double> part(ctx, pieces * b, 0.0), mean(ctx, static_cast<std::ptrdiff_t>(total_.size()) * b, 0.0);
    const auto& k = kernels::get<double>(ctx.level());
    ctx.parallel_for(pieces, 1, [&](std::ptrdiff_t p0, std::ptrdiff_t p1, int) {
      for (std::ptrdiff_t p = p0; p < p1; ++p) {
        const piece& s = pieces_[static_cast<std::size_t>(p)];
        k.block_gram(in ? in + s.lo : ones_.data(), 1, 1, &x(s.lo, 0), x.stride, b, nullptr, s.hi - s.lo,
                     part.data() + p * b);
      }
    });
    for (std::size_t c = 0; c < total_.size(); ++c)
      for (std::ptrdiff_t p = first_[c]; p < first_[c + 1]; ++p)
        for (std::ptrdiff_t j = 0; j < b; ++j)
          mean[static_cast<std::ptrdiff_t>(c) * b + j] -= part[p * b + j] / total_[c];
    ctx.parallel_for(pieces, 1, [&](std::ptrdiff_t p0, std::ptrdiff_t p1, int) {
      for (std::ptrdiff_t p = p0; p < p1; ++p) {
        const piece& s = pieces_[static_cast<std::size_t>(p)];
        k.block_combine(out ? out + s.lo : ones_.data(), 1, 1, mean.data() + s.component * b, b, &x(s.lo, 0),
                        x.stride, s.hi - s.lo, true);
      }
    });
  }

  csr_view<const double> w_;
  buffer<double> degree_, root_, inverse_root_, inverse_, ones_;
  bool weighted_;
  mutable buffer<float> single_;  // for filter, from its first call on
  buffer<double> null_;
  std::vector<double> total_;
  std::vector<piece> pieces_;
  std::vector<std::ptrdiff_t> first_;
};

}  // namespace lapwing::linalg
