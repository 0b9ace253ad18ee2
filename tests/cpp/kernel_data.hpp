// One set of inputs and outputs that serves every kernel: for the tests beside the long double reference, and
// for the micro-benchmark. run_<kernel> calls a kernel on it and count_<kernel> says how many elements that
// is; both are looked up for every line of kernels/list.hpp, so that a kernel without them does not compile.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <random>
#include <type_traits>
#include <vector>

#include "kernels/list.hpp"

namespace lapwing::test {

constexpr long rows_per_block = kernels::rows_per_block;
constexpr long canaries = 8;  // entries after every output that nobody may touch

template <class T>
struct cache_aligned {
  using value_type = T;
  cache_aligned() = default;
  template <class U>
  cache_aligned(const cache_aligned<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t{64}); }
  friend bool operator==(cache_aligned, cache_aligned) { return true; }
};

// An array that starts `skew` elements after a cache line: kernels take any alignment.
template <class T>
class array {
 public:
  array() = default;
  array(long n, long skew) : skew_(skew), all_(static_cast<std::size_t>(n + skew + canaries), T(-7)) {}
  template <class U>
  explicit array(const array<U>& o)
      : skew_(o.skew()), all_(o.data() - o.skew(), o.data() + o.size() + canaries) {}
  T* data() { return all_.data() + skew_; }
  const T* data() const { return all_.data() + skew_; }
  long skew() const { return skew_; }
  long size() const { return static_cast<long>(all_.size()) - skew_ - canaries; }
  T& operator[](long i) { return data()[i]; }
  const T& operator[](long i) const { return data()[i]; }

 private:
  long skew_ = 0;
  std::vector<T, cache_aligned<T>> all_;
};

struct shape {
  long m = 100;    // columns, before padding
  long d = 3;      // coordinates
  long k = 5;      // vectors
  long rows = 9;   // rows of outer_rows
  long block = 4;  // rows of the point kernels: 4, 8 or 16
  long skew = 0;   // misalignment in elements
};

template <class T>
struct kernel_data {
  shape s;
  long stride = 0;  // columns with padding
  T scale{}, shift{};
  array<T> cost, x, y, f, g;  // 4 x m, block x d, stride x d, block, stride (-inf in the padding)
  array<T> q, v, weight;      // 4, k x stride, rows x k
  array<double> a, b;         // m, positive

  array<T> e, packed, t, z, power;  // rows x stride (at least block rows), -, stride, stride, m
  array<double> result, products, out, log, sums;  // block, 4 x k, k x stride, m, stride
  double moment = 0, total = 0;

  // A directed graph on m nodes and a lower triangular pattern, at most 3 entries a row; blocks of k vectors
  // as the rows of m x k matrices, ld apart.
  long ld = 0;
  std::vector<std::int64_t> offsets, lower_offsets;
  std::vector<std::int32_t> indices, lower_indices, front_rows;  // front_rows: the nodes from front_width on
  long front_width = 0;
  array<T> front;                                      // m x front_width
  array<std::int32_t> hits;                            // stride
  array<T> edge, lower, node, vectors, others, small;  // entries, entries, m, m x ld (twice), k x k
  array<T> images, forward, backward, combined;        // m x ld
  array<T> down, detail, up;                           // m x ld
  array<double> quadratic, inner;                      // k x k

  // Aligned sequences in bit planes: `block` rows of d planes and one for the sites in use, padded to 8
  // words.
  long words = 0;
  std::vector<std::uint64_t> bits;
  array<std::int32_t> unlike, changes;  // block x 2, block x 4

  kernel_data(const shape& shape, std::uint64_t seed) : s(shape) {
    std::mt19937_64 random(
        seed);  // its numbers are fixed by the standard, those of the distributions are not
    const auto uniform = [&](double low, double high) {
      return low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53;
    };
    const auto fill = [&](auto& to, long n, double low, double high) {
      to = {n, s.skew};
      for (long i = 0; i < n; ++i)
        to[i] = static_cast<std::remove_reference_t<decltype(to[0])>>(uniform(low, high));
    };
    const long padding = kernels::column_padding;
    stride = (s.m + padding - 1) / padding * padding;
    const long most = std::max(s.rows, s.block);
    scale = static_cast<T>(-3.7);
    shift = static_cast<T>(1.25);
    fill(cost, rows_per_block * s.m, 0, 4);
    fill(x, s.block * s.d, -1, 1);
    fill(y, stride * s.d, -1, 1);
    fill(f, s.block, -3, 3);
    fill(g, stride, -9, 3);
    for (long j = s.m; j < stride; ++j) g[j] = static_cast<T>(-__builtin_huge_val());
    fill(q, rows_per_block, 0.1, 2);
    fill(v, s.k * stride, -1, 1);
    fill(weight, s.rows * s.k, -1, 1);
    fill(a, s.m, 0.001, 1);
    fill(b, s.m, 0.001, 1);
    fill(e, most * stride, 0, 1);
    fill(t, stride, 0, 1);
    fill(z, stride, -20, 1);
    fill(power, s.m, -30, 30);
    fill(result, s.block, -1, 0);
    fill(products, rows_per_block * s.k, -1, 1);
    fill(out, s.k * stride, -1, 1);
    fill(log, s.m, 0, 1);
    fill(sums, stride, 0, 1);
    pack();
    ld = s.k + s.skew;
    offsets = lower_offsets = {0};
    for (long i = 0; i < s.m; ++i) {
      for (long j = i % 3; j < s.m && static_cast<long>(indices.size()) < offsets.back() + i % 4;
           j += 1 + i % 31)
        indices.push_back(static_cast<std::int32_t>(j));
      offsets.push_back(static_cast<std::int64_t>(indices.size()));
      for (long j = i + 1 + i % 2;
           j < s.m && static_cast<long>(lower_indices.size()) < lower_offsets.back() + i % 4; j += 1 + i % 29)
        lower_indices.push_back(static_cast<std::int32_t>(j));
      lower_offsets.push_back(static_cast<std::int64_t>(lower_indices.size()));
    }
    front_width = std::min<long>(7, s.m);
    for (long i = s.m - 1; i >= front_width; --i) front_rows.push_back(static_cast<std::int32_t>(i));
    fill(hits, stride, 0, 1);
    fill(edge, offsets.back(), 0, 2);
    fill(lower, lower_offsets.back(), 0, 0.5);
    fill(front, s.m * front_width, 0, 0.5);
    fill(node, s.m, 0.5, 2);
    fill(small, s.k * s.k, -1, 1);
    for (auto* block : {&vectors, &others, &images, &forward, &backward, &combined, &down, &detail, &up})
      fill(*block, s.m * ld, -1, 1);
    fill(quadratic, s.k * s.k, -1, 1);
    fill(inner, s.k * s.k, -1, 1);
    words = (s.m + 7) / 8 * 8;
    for (long i = 0; i < s.block * (std::max(s.d, 2L) + 1) * words; ++i)
      bits.push_back(i % words < s.m ? random() : 0);
    fill(unlike, 2 * s.block, 0, 1);
    fill(changes, 4 * s.block, 0, 1);
  }
  long bit_stride() const { return (std::max(s.d, 2L) + 1) * words; }
  // The same numbers in a wider type.
  template <class U>
  explicit kernel_data(const kernel_data<U>& o)
      : s(o.s),
        stride(o.stride),
        scale(o.scale),
        shift(o.shift),
        cost(o.cost),
        x(o.x),
        y(o.y),
        f(o.f),
        g(o.g),
        q(o.q),
        v(o.v),
        weight(o.weight),
        a(o.a),
        b(o.b),
        e(o.e),
        t(o.t),
        z(o.z),
        power(o.power),
        result(o.result),
        products(o.products),
        out(o.out),
        log(o.log),
        sums(o.sums),
        moment(o.moment),
        total(o.total),
        ld(o.ld),
        offsets(o.offsets),
        lower_offsets(o.lower_offsets),
        indices(o.indices),
        lower_indices(o.lower_indices),
        front_rows(o.front_rows),
        front_width(o.front_width),
        front(o.front),
        hits(o.hits),
        edge(o.edge),
        lower(o.lower),
        node(o.node),
        vectors(o.vectors),
        others(o.others),
        small(o.small),
        images(o.images),
        forward(o.forward),
        backward(o.backward),
        combined(o.combined),
        down(o.down),
        detail(o.detail),
        up(o.up),
        quadratic(o.quadratic),
        inner(o.inner),
        words(o.words),
        bits(o.bits),
        unlike(o.unlike),
        changes(o.changes) {
    pack();
  }

  // y in the kernels' layout, which depends on the size of T
  void pack() {
    constexpr long group = kernels::column_group<T>;
    packed = {(stride + group) * s.d, s.skew};
    for (long j = 0; j < stride; ++j) {
      for (long k = 0; k < s.d; ++k) packed[j / group * group * s.d + k * group + j % group] = y[j * s.d + k];
    }
  }

  // Calls visit(name, array) for everything that a kernel may write.
  template <class Visit>
  void outputs(Visit&& visit) {
    visit("e", e.data(), e.size() + canaries);
    visit("t", t.data(), t.size() + canaries);
    visit("z", z.data(), z.size() + canaries);
    visit("power", power.data(), power.size() + canaries);
    visit("result", result.data(), result.size() + canaries);
    visit("products", products.data(), products.size() + canaries);
    visit("out", out.data(), out.size() + canaries);
    visit("log", log.data(), log.size() + canaries);
    visit("sums", sums.data(), sums.size() + canaries);
    visit("moment", &moment, 1);
    visit("total", &total, 1);
    visit("hits", hits.data(), hits.size() + canaries);
    visit("images", images.data(), images.size() + canaries);
    visit("forward", forward.data(), forward.size() + canaries);
    visit("backward", backward.data(), backward.size() + canaries);
    visit("combined", combined.data(), combined.size() + canaries);
    visit("down", down.data(), down.size() + canaries);
    visit("detail", detail.data(), detail.size() + canaries);
    visit("up", up.data(), up.size() + canaries);
    visit("quadratic", quadratic.data(), quadratic.size() + canaries);
    visit("inner", inner.data(), inner.size() + canaries);
    visit("unlike", unlike.data(), unlike.size() + canaries);
    visit("changes", changes.data(), changes.size() + canaries);
  }
};

template <class T>
struct row_pointers {
  row_pointers(const array<T>& a, long rows, long length) {
    for (long r = 0; r < rows; ++r) p[r] = a.data() + r * length;
  }
  const T* p[kernels::most_rows];
};

#define LAPWING_RUN(name, elements, ...)                                \
  template <class T>                                                    \
  void run_##name(const kernels::table<T>& kernel, kernel_data<T>& o) { \
    [[maybe_unused]] const shape& s = o.s;                              \
    __VA_ARGS__;                                                        \
  }                                                                     \
  template <class T>                                                    \
  long count_##name(const kernel_data<T>& o) {                          \
    [[maybe_unused]] const shape& s = o.s;                              \
    return elements;                                                    \
  }
#define LAPWING_RUN_DENSE(name)                                                                            \
  LAPWING_RUN(name, 4 * o.stride,                                                                          \
              kernel.name(row_pointers<T>(o.cost, rows_per_block, s.m).p, o.f.data(), o.g.data(), o.scale, \
                          s.m, rows_per_block * s.m, o.e.data(), o.stride, o.result.data()))
#define LAPWING_RUN_POINTS(name)                                                                           \
  LAPWING_RUN(name, s.block* o.stride,                                                                     \
              kernel.name(row_pointers<T>(o.x, s.block, s.d).p, s.block, o.packed.data(), s.d, o.f.data(), \
                          o.g.data(), o.scale, o.e.data(), o.stride, o.result.data()))
LAPWING_RUN_DENSE(exp_dense)
LAPWING_RUN_DENSE(logit_dense)
LAPWING_RUN_POINTS(exp_sqeuclidean)
LAPWING_RUN_POINTS(logit_sqeuclidean)
LAPWING_RUN_POINTS(exp_euclidean)
LAPWING_RUN_POINTS(logit_euclidean)
LAPWING_RUN_POINTS(exp_product)
LAPWING_RUN_POINTS(logit_product)
LAPWING_RUN(add_rows, 4 * o.stride, kernel.add_rows(o.e.data(), o.stride, o.q.data(), o.t.data(), o.stride))
LAPWING_RUN(exp_row, o.stride, o.total = kernel.exp_row(o.z.data(), o.shift, o.stride, &o.moment))
LAPWING_RUN(dot_rows, 4 * o.stride * s.k,
            kernel.dot_rows(o.e.data(), o.stride, rows_per_block* o.stride, o.v.data(), o.stride, s.k,
                            o.stride, o.products.data(), s.k))
LAPWING_RUN(scale_rows, s.block* o.stride,
            kernel.scale_rows(o.e.data(), o.stride, s.block, rows_per_block* o.stride, o.e.data(),
                              o.sums.data(), o.result.data(), o.t.data(), o.stride))
LAPWING_RUN(factors, s.m, o.total = kernel.factors(o.a.data(), o.b.data(), o.power.data(), s.m))
LAPWING_RUN(outer_rows, s.rows* o.stride* s.k,
            kernel.outer_rows(o.e.data(), o.stride, s.rows, o.weight.data(), s.k, s.k, 0, o.stride,
                              o.out.data(), o.stride))
LAPWING_RUN(log2_ratio, s.m, kernel.log2_ratio(o.a.data(), o.b.data(), o.log.data(), s.m))
LAPWING_RUN(exp2_array, s.m, kernel.exp2_array(o.power.data(), o.power.data(), s.m))
LAPWING_RUN(flush, o.stride, kernel.flush(o.t.data(), o.sums.data(), o.stride))
LAPWING_RUN(select_above, o.stride,
            o.total = static_cast<double>(kernel.select_above(o.z.data(), o.t.data(), o.shift, o.stride,
                                                              o.hits.data())))
LAPWING_RUN(graph_product, static_cast<long>(o.indices.size()) * s.k,
            kernel.graph_product(o.offsets.data(), o.indices.data(), o.edge.data(), o.node.data(), o.shift,
                                 o.scale, o.shift, o.vectors.data(), o.ld, o.others.data(), o.ld,
                                 o.images.data(), o.ld, s.k, 0, s.m))
LAPWING_RUN(edge_gram, static_cast<long>(o.indices.size()) * s.k * s.k,
            kernel.edge_gram(o.offsets.data(), o.indices.data(), o.edge.data(), o.vectors.data(), o.ld, s.k,
                             0, s.m, o.quadratic.data()))
LAPWING_RUN(lower_solve, static_cast<long>(o.lower_indices.size()) * s.k,
            kernel.lower_solve(o.lower_offsets.data(), o.lower_indices.data(), o.lower.data(), 0, s.m,
                               o.forward.data(), o.ld, s.k))
LAPWING_RUN(upper_solve, static_cast<long>(o.lower_indices.size()) * s.k,
            kernel.upper_solve(o.lower_offsets.data(), o.lower_indices.data(), o.lower.data(), o.node.data(),
                               0, s.m, o.backward.data(), o.ld, s.k))
LAPWING_RUN(front_lower, s.m* o.front_width* s.k,
            kernel.front_lower(o.front.data(), o.front_width, o.front_rows.data(),
                               static_cast<long>(o.front_rows.size()), o.forward.data(), o.forward.data(),
                               o.ld, s.k))
LAPWING_RUN(front_upper, s.m* o.front_width* s.k,
            kernel.front_upper(o.front.data(), o.node.data(), o.front_width, o.front_rows.data(),
                               static_cast<long>(o.front_rows.size()), o.backward.data(), o.backward.data(),
                               o.ld, s.k))
LAPWING_RUN(block_gram, s.m* s.k* s.k,
            kernel.block_gram(o.vectors.data(), o.ld, s.k, o.others.data(), o.ld, s.k, o.node.data(), s.m,
                              o.inner.data()))
LAPWING_RUN(block_combine, s.m* s.k* s.k,
            kernel.block_combine(o.vectors.data(), o.ld, s.k, o.small.data(), s.k, o.combined.data(), o.ld,
                                 s.m, true))
// Banks of four (two) taps on the rows of two matrices of k columns, as far as there are samples.
template <class T>
std::vector<const T*> rows_of(const array<T>& a, const kernel_data<T>& o) {
  std::vector<const T*> rows;
  for (long i = 0; i < o.s.m; ++i) rows.push_back(a.data() + i * o.ld);
  rows.insert(rows.end(), 4, nullptr);  // what comes next is at most called into the cache
  return rows;
}
inline long down_rows(const shape& s) { return s.m < 4 ? 0 : (s.m - 4) / 2 + 1; }
inline long up_rows(const shape& s) { return std::min(s.m / 2, s.m - 1); }
inline long row_entries(const shape& s) { return std::max(0L, std::min(s.k / 2, s.k - 1)); }
LAPWING_RUN(columns_down, 2 * s.m * s.k,
            kernel.columns_down(rows_of(o.others, o).data(), o.q.data(), o.cost.data(), 4, s.k, down_rows(s),
                                o.down.data(), o.ld, o.detail.data(), o.ld))
LAPWING_RUN(columns_down_split, 2 * s.m * s.k,
            kernel.columns_down_split(rows_of(o.others, o).data(), o.q.data(), o.cost.data(), 4, s.k / 2,
                                      down_rows(s), o.down.data(), o.detail.data(), o.ld, s.k / 2))
LAPWING_RUN(split, s.m* s.k,
            kernel.split(o.others.data(), s.m* s.k / 2, o.images.data(), o.images.data() + s.m * s.k / 2))
LAPWING_RUN(rows_down, 4 * s.m * s.k,
            kernel.rows_down(o.others.data(), o.vectors.data(), o.q.data(), o.cost.data(), 4,
                             std::max(0L, s.k - 1), s.m, o.ld, o.down.data(), o.ld, o.detail.data(), o.ld))
LAPWING_RUN(pairs_down, s.m* s.k, {
  T* const y[] = {o.down.data(), o.detail.data(), o.images.data(), o.combined.data()};
  const long ld[] = {o.ld, o.ld, o.ld, o.ld};
  kernel.pairs_down(rows_of(o.others, o).data(), o.q.data(), o.q.data() + 2, o.cost.data(), o.cost.data() + 2,
                    s.k / 2, s.m / 2, y, ld);
})
LAPWING_RUN(columns_up, 2 * s.m * s.k,
            kernel.columns_up(rows_of(o.others, o).data(), rows_of(o.vectors, o).data(), o.q.data(),
                              o.cost.data(), 4, s.k, up_rows(s), o.up.data(), o.ld))
LAPWING_RUN(rows_up, 2 * s.m * s.k,
            kernel.rows_up(o.others.data(), o.vectors.data(), o.q.data(), o.cost.data(), 4, row_entries(s),
                           s.m, o.ld, o.up.data(), o.ld))
LAPWING_RUN(rows_up_between, 2 * s.m * s.k,
            kernel.rows_up_between(o.others.data(), o.vectors.data(), o.q.data(), o.cost.data(), 4,
                                   std::max(0L, std::min(s.k / 2, s.k - 2)), s.m, o.ld, o.up.data(), o.ld))
LAPWING_RUN(pairs_up, s.m* s.k, {
  const T* const x[] = {o.others.data(), o.vectors.data(), o.vectors.data() + o.ld, o.others.data() + o.ld};
  const long ld[] = {o.ld, o.ld, o.ld, o.ld};
  kernel.pairs_up(x, ld, o.q.data(), o.q.data() + 2, o.cost.data(), o.cost.data() + 2, s.k / 2, up_rows(s),
                  o.up.data(), o.ld);
})
LAPWING_RUN(stream, s.m* o.ld, kernel.stream(o.others.data(), s.m* o.ld, o.images.data()))
LAPWING_RUN(stream_fence, 1, kernel.stream_fence())
// Three taps, every second row of them.
LAPWING_RUN(dilated_down, 2 * s.m * s.k,
            kernel.dilated_down(o.others.data(), o.q.data(), o.cost.data(), 3, 2, s.m < 4 ? 0 : s.m - 4, o.ld,
                                s.k, o.down.data(), o.detail.data()))
LAPWING_RUN(dilated_up, 2 * s.m * s.k,
            kernel.dilated_up(o.others.data(), o.vectors.data(), o.q.data(), o.cost.data(), 3, 2,
                              s.m < 4 ? 0 : s.m - 4, o.ld, s.k, o.up.data()))
LAPWING_RUN(lift_linear, s.m,
            kernel.lift_linear(o.node.data(), o.z.data(), o.t.data(), o.shift, T(0.25), s.k > 0 ? s.m : 0,
                               o.up.data()))
LAPWING_RUN(count_differences, s.block* s.d* o.words,
            kernel.count_differences(o.bits.data(), o.bits.data(), o.bit_stride(), s.block, s.d, o.words,
                                     o.unlike.data()))
LAPWING_RUN(count_changes, s.block * 2 * o.words,
            kernel.count_changes(o.bits.data(), o.bits.data(), o.bit_stride(), s.block, o.words,
                                 o.changes.data()))
LAPWING_RUN(count_shared, o.words,
            o.total = static_cast<double>(kernel.count_shared(o.bits.data(), o.bits.data() + o.words,
                                                              o.words)))
LAPWING_RUN(least_criterion, s.m, {
  T least{};
  o.total = static_cast<double>(kernel.least_criterion(o.z.data(), o.t.data(), o.shift, s.m, &least));
  o.moment = static_cast<double>(least);
})
#undef LAPWING_RUN_POINTS
#undef LAPWING_RUN_DENSE
#undef LAPWING_RUN

}  // namespace lapwing::test
