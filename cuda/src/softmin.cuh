// Device code of softmin. It uses nothing but threads, shared memory and barriers, so that the C++ tests can
// also run it without a GPU. Exponents are z = kappa (h_j - C_ij) in base 2; kappa = log2(e) / reg, or 1
// where only the minimum is asked.
#pragma once
#include <cmath>
#include <cstddef>
#include <lapwing/ot.hpp>

namespace lapwing::cuda::ot {

using lapwing::ot::metric;

// (maximum, sum of 2^(z - maximum)) of the terms seen: partial results that can be merged. No term: (-inf,
// 0). A NaN stays in the sum.
template <class T>
struct partial {
  T top, sum;
};

template <class T>
__device__ inline partial<T> nothing() {
  return {static_cast<T>(-INFINITY), T(0)};
}

template <class T>
__device__ inline void add(partial<T>& p, T z, bool soft) {
  if (!soft) {
    p.sum = z != z || p.sum != p.sum ? static_cast<T>(NAN) : z > p.top ? T(1) : p.sum;
    p.top = z > p.top ? z : p.top;
  } else if (z > p.top) {
    p.sum = p.sum * exp2(p.top - z) + T(1);
    p.top = z;
  } else if (z != static_cast<T>(-INFINITY)) {
    p.sum += exp2(z - p.top);
  }
}

__device__ inline partial<double> merge(partial<double> a, partial<double> b) {
  if (a.sum == 0) return b;
  if (b.sum == 0) return a;
  const double top = a.top > b.top ? a.top : b.top;
  return {top, a.sum * exp2(a.top - top) + b.sum * exp2(b.top - top)};
}

__device__ inline double finish(partial<double> p, double kappa, bool soft) {
  if (p.sum != p.sum) return p.sum;
  if (p.sum == 0) return INFINITY;
  return -(soft ? p.top + log2(p.sum) : p.top) / kappa;
}

// Merges the partial results of the B threads of a block, always in the same order; the answer is thread 0's.
template <int B>
__device__ inline partial<double> merge_block(partial<double>* shared, partial<double> mine, int thread) {
  shared[thread] = mine;
  __syncthreads();
  for (int step = B / 2; step > 0; step /= 2) {
    if (thread < step) shared[thread] = merge(shared[thread], shared[thread + step]);
    __syncthreads();
  }
  const partial<double> all = shared[0];
  __syncthreads();  // before `shared` is used again
  return all;
}

// A block for each row of a stored cost; neighbouring threads read neighbouring columns.
template <class T, int B>
__global__ void __launch_bounds__(B)
    softmin_dense_rows(matrix_view<const T> c, const double* h, double kappa, bool soft, double* out) {
  __shared__ partial<double> shared[B];
  const int thread = static_cast<int>(threadIdx.x);
  const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(blockIdx.x);
  const T* row = c.data + i * c.stride;
  partial<T> p = nothing<T>();
  for (std::ptrdiff_t j = thread; j < c.cols; j += B)
    add(p, (static_cast<T>(h[j]) - row[j]) * static_cast<T>(kappa), soft);
  const partial<double> all = merge_block<B>(shared, {double(p.top), double(p.sum)}, thread);
  if (thread == 0) out[i] = finish(all, kappa, soft);
}

// A block for W neighbouring columns of a stored cost, G threads to each: reads stay within rows.
template <class T, int W, int G>
__global__ void __launch_bounds__(W* G)
    softmin_dense_columns(matrix_view<const T> c, const double* h, double kappa, bool soft, double* out) {
  __shared__ partial<double> shared[W * G];
  const int column = static_cast<int>(threadIdx.x) % W, group = static_cast<int>(threadIdx.x) / W;
  const std::ptrdiff_t j = static_cast<std::ptrdiff_t>(blockIdx.x) * W + column;
  partial<T> p = nothing<T>();
  if (j < c.cols) {
    for (std::ptrdiff_t i = group; i < c.rows; i += G) {
      add(p, (static_cast<T>(h[i]) - c.data[i * c.stride + j]) * static_cast<T>(kappa), soft);
    }
  }
  shared[threadIdx.x] = {double(p.top), double(p.sum)};
  __syncthreads();
  if (group == 0 && j < c.cols) {
    partial<double> all = shared[column];
    for (int g = 1; g < G; ++g) all = merge(all, shared[g * W + column]);
    out[j] = finish(all, kappa, soft);
  }
}

// A block for R points of x. It walks over y in tiles of B points and K coordinates, which come through
// shared memory; a thread holds the R sums of one point of y.
template <class T, metric kind, int B, int R, int K>
__global__ void __launch_bounds__(B) softmin_points(matrix_view<const T> x, matrix_view<const T> y,
                                                    const double* h, double kappa, bool soft, double* out) {
  __shared__ T xs[R][K];
  __shared__ T ys[K][B + 1];  // + 1: the K coordinates of a point go to different banks
  __shared__ partial<double> shared[B];
  const int thread = static_cast<int>(threadIdx.x);
  const std::ptrdiff_t i0 = static_cast<std::ptrdiff_t>(blockIdx.x) * R, d = x.cols;
  partial<T> p[R];
  for (int r = 0; r < R; ++r) p[r] = nothing<T>();
  for (std::ptrdiff_t j0 = 0; j0 < y.rows; j0 += B) {
    T sum[R], xx[R], yy = 0;  // xx and yy: squared norms, for the cosine
    for (int r = 0; r < R; ++r) sum[r] = xx[r] = 0;
    for (std::ptrdiff_t k0 = 0; k0 < d; k0 += K) {
      for (int e = thread; e < R * K; e += B) {
        const std::ptrdiff_t i = i0 + e / K, k = k0 + e % K;
        xs[e / K][e % K] = i < x.rows && k < d ? x.data[i * x.stride + k] : T(0);
      }
      for (int e = thread; e < B * K; e += B) {
        const std::ptrdiff_t j = j0 + e / K, k = k0 + e % K;
        ys[e % K][e / K] = j < y.rows && k < d ? y.data[j * y.stride + k] : T(0);
      }
      __syncthreads();
      for (int k = 0; k < K; ++k) {
        const T yk = ys[k][thread];
        if constexpr (kind == metric::cosine) yy += yk * yk;
        for (int r = 0; r < R; ++r) {
          const T xk = xs[r][k];
          if constexpr (kind == metric::cosine) xx[r] += xk * xk;
          if constexpr (kind == metric::cosine || kind == metric::dot) {
            sum[r] += xk * yk;
          } else {
            sum[r] += (xk - yk) * (xk - yk);
          }
        }
      }
      __syncthreads();
    }
    const std::ptrdiff_t j = j0 + thread;
    if (j < y.rows) {
      for (int r = 0; r < R; ++r) {
        T cost = sum[r];
        if constexpr (kind == metric::euclidean) cost = sqrt(cost);
        if constexpr (kind == metric::dot) cost = -cost;
        if constexpr (kind == metric::cosine)
          cost = T(1) - cost / (sqrt(xx[r]) * sqrt(yy));  // a zero row: NaN
        if (i0 + r < x.rows) add(p[r], (static_cast<T>(h[j]) - cost) * static_cast<T>(kappa), soft);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    const partial<double> all = merge_block<B>(shared, {double(p[r].top), double(p[r].sum)}, thread);
    if (thread == 0 && i0 + r < x.rows) out[i0 + r] = finish(all, kappa, soft);
  }
}

}  // namespace lapwing::cuda::ot
