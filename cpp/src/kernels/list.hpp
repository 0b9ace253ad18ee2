// Every loop that is compiled once per instruction set, one line each: X(return type, name, (arguments)), T
// the scalar. From this list come the table, its filling (kernels.cpp), the tests and the micro-benchmark.
#pragma once
#include <cstdint>

#define LAPWING_KERNELS(X)                                                                                   \
  X(void, exp_dense,                                                                                         \
    (const T* const* c, const T* f, const T* g, T scale, long m, long ahead, T* e, long stride,              \
     double* sum))                                                                                           \
  X(void, logit_dense,                                                                                       \
    (const T* const* c, const T* f, const T* g, T scale, long m, long ahead, T* e, long stride,              \
     double* top))                                                                                           \
  X(void, exp_sqeuclidean,                                                                                   \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* sum))                                                                                           \
  X(void, logit_sqeuclidean,                                                                                 \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* top))                                                                                           \
  X(void, exp_euclidean,                                                                                     \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* sum))                                                                                           \
  X(void, logit_euclidean,                                                                                   \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* top))                                                                                           \
  X(void, exp_product,                                                                                       \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* sum))                                                                                           \
  X(void, logit_product,                                                                                     \
    (const T* const* x, long rows, const T* y, long d, const T* f, const T* g, T scale, T* e, long stride,   \
     double* top))                                                                                           \
  X(void, add_rows, (const T* e, long stride, const T* q, T* t, long n))                                     \
  X(double, exp_row, (T * z, T shift, long n, double* weighted))                                             \
  X(void, dot_rows,                                                                                          \
    (const T* e, long stride, long ahead, const T* v, long ldv, long k, long n, double* z, long ldz))        \
  X(void, scale_rows,                                                                                        \
    (const T* e, long stride, long rows, long ahead, const T* v, const double* a, double* dot, T* t,         \
     long n))                                                                                                \
  X(double, factors, (const double* now, const double* before, T* out, long n))                              \
  X(void, outer_rows,                                                                                        \
    (const T* e, long stride, long rows, const T* z, long ldz, long k, long j0, long j1, double* out,        \
     long ldo))                                                                                              \
  X(void, log2_ratio, (const double* a, const double* b, double* out, long n))                               \
  X(void, exp2_array, (const T* x, T* y, long n))                                                            \
  X(void, flush, (T * t, double* acc, long n))                                                               \
  X(long, select_above, (const T* z, const T* bound, T least, long n, std::int32_t* at))                     \
  X(void, graph_product,                                                                                     \
    (const std::int64_t* offsets, const std::int32_t* indices, const T* w, const T* scale, T alpha, T beta,  \
     T gamma, const T* x, long ldx, const T* z, long ldz, T* y, long ldy, long b, long lo, long hi))         \
  X(void, edge_gram,                                                                                         \
    (const std::int64_t* offsets, const std::int32_t* indices, const T* w, const T* x, long ld, long b,      \
     long lo, long hi, double* out))                                                                         \
  X(void, lower_solve,                                                                                       \
    (const std::int64_t* offsets, const std::int32_t* indices, const T* l, long lo, long hi, T* z, long ld,  \
     long b))                                                                                                \
  X(void, upper_solve,                                                                                       \
    (const std::int64_t* offsets, const std::int32_t* indices, const T* l, const T* pivot, long lo, long hi, \
     T* z, long ld, long b))                                                                                 \
  X(void, front_lower,                                                                                       \
    (const T* l, long w, const std::int32_t* rows, long r, T* top, T* z, long ld, long b))                   \
  X(void, front_upper,                                                                                       \
    (const T* l, const T* pivot, long w, const std::int32_t* rows, long r, T* top, const T* z, long ld,      \
     long b))                                                                                                \
  X(void, block_gram,                                                                                        \
    (const T* x, long ldx, long p, const T* y, long ldy, long q, const T* m, long n, double* out))           \
  X(void, block_combine,                                                                                     \
    (const T* x, long ldx, long p, const T* s, long q, T* y, long ldy, long n, bool add))                    \
  X(void, columns_down,                                                                                      \
    (const T* const* x, const T* lo, const T* hi, long taps, long n, long rows, T* low, long ldl, T* high,   \
     long ldh))                                                                                              \
  X(void, columns_down_split,                                                                                \
    (const T* const* x, const T* lo, const T* hi, long taps, long n, long rows, T* low, T* high, long ld,    \
     long half))                                                                                             \
  X(void, split, (const T* x, long n, T* even, T* odd))                                                      \
  X(void, rows_down,                                                                                         \
    (const T* first, const T* second, const T* lo, const T* hi, long taps, long n, long rows, long ld,       \
     T* low, long ldl, T* high, long ldh))                                                                   \
  X(void, pairs_down,                                                                                        \
    (const T* const* x, const T* lo, const T* hi, const T* row_lo, const T* row_hi, long n, long rows,       \
     T* const* y, const long* ldy))                                                                          \
  X(void, columns_up,                                                                                        \
    (const T* const* low, const T* const* high, const T* lo, const T* hi, long taps, long n, long pairs,     \
     T* y, long ldy))                                                                                        \
  X(void, rows_up,                                                                                           \
    (const T* low, const T* high, const T* lo, const T* hi, long taps, long n, long rows, long ld, T* y,     \
     long ldy))                                                                                              \
  X(void, rows_up_between,                                                                                   \
    (const T* low, const T* high, const T* lo, const T* hi, long taps, long n, long rows, long ld, T* y,     \
     long ldy))                                                                                              \
  X(void, pairs_up,                                                                                          \
    (const T* const* x, const long* ldx, const T* lo, const T* hi, const T* row_lo, const T* row_hi, long n, \
     long rows, T* y, long ldy))                                                                             \
  X(void, stream, (const T* x, long n, T* y))                                                                \
  X(void, stream_fence, ())                                                                                  \
  X(void, dilated_down,                                                                                      \
    (const T* x, const T* lo, const T* hi, long taps, long step, long count, long ld, long b, T* low,        \
     T* high))                                                                                               \
  X(void, dilated_up,                                                                                        \
    (const T* low, const T* high, const T* lo, const T* hi, long taps, long step, long count, long ld,       \
     long b, T* y))                                                                                          \
  X(void, lift_linear, (const T* t, const T* a, const T* b, T wa, T wb, long n, T* out))                     \
  X(void, count_differences,                                                                                 \
    (const std::uint64_t* a, const std::uint64_t* b, long stride, long rows, long planes, long n,            \
     std::int32_t* out))                                                                                     \
  X(void, count_changes,                                                                                     \
    (const std::uint64_t* a, const std::uint64_t* b, long stride, long rows, long n, std::int32_t* out))     \
  X(long, count_shared, (const std::uint64_t* a, const std::uint64_t* b, long n))                            \
  X(long, least_criterion, (const T* d, const T* u, T own, long n, T* least))

// Loops over other scalars: integer lifting for std::int16_t, int32_t and int64_t; pyramids for std::uint8_t,
// uint16_t, int16_t, float and double. One line each, as above.
#define LAPWING_LIFTING_KERNELS(X)                                                                       \
  X(void, lift_rows,                                                                                     \
    (lifting_step step, bool undo, const T* t, const T* a, const T* b, const T* c, const T* e, long n,   \
     T* out))                                                                                            \
  X(void, lift_split, (lifting_scheme scheme, bool undo, T* s, T* d, long n))                            \
  X(void, split_line, (const T* x, long n, T* s, T* d))                                                  \
  X(void, join_line, (const T* s, const T* d, long n, T* x))                                             \
  X(void, split_legall53, (const T* x, long n, T* s, T* d))                                              \
  X(void, join_legall53, (const T* s, const T* d, long n, T* x))                                         \
  X(void, extent, (const T* x, long n, T* least, T* largest))                                            \
  X(void, lift_legall53,                                                                                 \
    (const T* even, const T* odd, const T* after, const T* before, const void* soon, long ahead, long n, \
     T* s, T* d, T* far_s, T* far_d))                                                                    \
  X(void, unlift_legall53,                                                                               \
    (const T* even, const T* s, const T* d, const T* after, const T* soon_s, const T* soon_d, long n,    \
     T* next, T* odd))
#define LAPWING_PYRAMID_KERNELS(X)                                                                          \
  X(void, pyramid_narrow, (const T* const* rows, const typename pyramid_sum<T>::type* w, long n, T* out))   \
  X(void, pyramid_narrow_rows,                                                                              \
    (const T* const* rows, const typename pyramid_sum<T>::type* w, long n,                                  \
     typename pyramid_sum<T>::type* out))                                                                   \
  X(void, pyramid_narrow_line,                                                                              \
    (const typename pyramid_sum<T>::type* x, const typename pyramid_sum<T>::type* w, long n, T* out))       \
  X(void, pyramid_widen, (const T* const* rows, bool odd, long before, long n, T* out, bool past_caches))   \
  X(void, pyramid_detail_row,                                                                               \
    (const T* const* rows, bool odd, long before, const T* x, const T* soon, long n,                        \
     typename pyramid_detail<T>::type* out, bool past_caches))                                              \
  X(void, pyramid_whole_row,                                                                                \
    (const T* const* rows, bool odd, long before, const typename pyramid_detail<T>::type* detail,           \
     const typename pyramid_detail<T>::type* soon, long n, T* out, bool past_caches))                       \
  X(void, pyramid_widen_rows, (const T* const* rows, bool odd, long n, typename pyramid_sum<T>::type* out)) \
  X(void, pyramid_widen_line, (const typename pyramid_sum<T>::type* v, long n, T* out))                     \
  X(void, pyramid_whole_line,                                                                               \
    (const typename pyramid_sum<T>::type* v, const typename pyramid_detail<T>::type* detail, long n,        \
     T* out))

namespace lapwing::kernels {
// Rows per block of the ot kernels (the point kernels take up to eight blocks), and the multiple to which
// their columns are padded, for every instruction set.
constexpr long rows_per_block = 4, most_rows = 32;
constexpr long column_padding = 32;
// Columns whose coordinates stand together: one cache line of each coordinate.
template <class T>
constexpr long column_group = 64 / static_cast<long>(sizeof(T));

template <class T>
struct table {
#define LAPWING_ENTRY(result, name, arguments) result(*name) arguments;
  LAPWING_KERNELS(LAPWING_ENTRY)
#undef LAPWING_ENTRY
};

// What a step of integer lifting adds to its target, from neighbours a, b (and c, e beyond them):
// -a, floor(a / 2), -floor((a + b) / 2), floor((a + b + 2) / 4), floor((a - b + 2) / 4),
// -floor((9 (a + b) - (c + e) + 8) / 16).
enum lifting_step { lift_difference, lift_half, lift_mean, lift_quarter, lift_slope, lift_four };
enum lifting_scheme { lifting_s, lifting_legall53, lifting_cdf26, lifting_97m };
template <class T>
struct lifting_table {
#define LAPWING_ENTRY(result, name, arguments) result(*name) arguments;
  LAPWING_LIFTING_KERNELS(LAPWING_ENTRY)
#undef LAPWING_ENTRY
};

// What sums of a pyramid over T are kept in, and differences of two T.
template <class T>
struct pyramid_sum {
  typedef std::int32_t type;
};
template <>
struct pyramid_sum<std::uint8_t> {
  typedef std::uint16_t type;
};
template <>
struct pyramid_sum<float> {
  typedef float type;
};
template <>
struct pyramid_sum<double> {
  typedef double type;
};
template <class T>
struct pyramid_detail {
  typedef typename pyramid_sum<T>::type type;
};
template <>
struct pyramid_detail<std::uint8_t> {
  typedef std::int16_t type;
};
template <class T>
struct pyramid_table {
#define LAPWING_ENTRY(result, name, arguments) result(*name) arguments;
  LAPWING_PYRAMID_KERNELS(LAPWING_ENTRY)
#undef LAPWING_ENTRY
};
}  // namespace lapwing::kernels
