// Entropic optimal transport: solver, and the plan as an operator. Nothing here stores an n x m array.
//
// Balanced problem with the product of the weights as reference (a, b > 0, equal sums):
//   minimise <C, P> + reg KL(P | a b^T)  subject to  P 1 = a,  P^T 1 = b;   P_ij = a_i b_j exp((f_i + g_j -
//   C_ij) / reg).
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/view.hpp>
#include <span>
#include <string>
#include <vector>

namespace lapwing::ot {

/// Cost of a pair of points. sqeuclidean: |x-y|^2; euclidean: |x-y|; cosine: 1 - x.y/(|x||y|); dot: -x.y.
enum class metric { sqeuclidean, euclidean, cosine, dot };

/// The costs C_ij of a problem: a matrix, or two sets of points from which they are computed on the fly.
/// Entries of a matrix may be +inf (forbidden pair), never NaN or -inf.
template <class T>
struct geometry {
  matrix_view<const T> cost;  ///< n x m; used when cost.data is not null
  matrix_view<const T> x, y;  ///< n x d, m x d
  metric kind = metric::sqeuclidean;

  static geometry dense(matrix_view<const T> c) { return {c, {}, {}, metric::sqeuclidean}; }
  static geometry points(matrix_view<const T> x, matrix_view<const T> y, metric kind) {
    return {{}, x, y, kind};
  }
  bool is_dense() const { return cost.data != nullptr; }
  std::ptrdiff_t rows() const { return is_dense() ? cost.rows : x.rows; }
  std::ptrdiff_t cols() const { return is_dense() ? cost.cols : y.rows; }
};

enum class acceleration { none, anderson, sor };

struct options {
  std::vector<double> schedule;     ///< decreasing values of reg, the last one is the problem's (eps-scaling)
  double tol = 1e-6;                ///< L1 marginal error, divided by the total mass
  std::ptrdiff_t max_iter = 10000;  ///< full sweeps over the pairs
  bool init = false;                ///< f and g hold a start (cost units)
  acceleration accelerate = acceleration::anderson;
};

enum class step_kind { sweep, anderson, sor, rejected };
const char* name(step_kind) noexcept;
struct step {
  double reg, error;
  step_kind kind;
};

struct result {
  bool converged = false;
  bool stopped = false;  ///< the progress callback asked for it
  std::string status;    ///< "converged", "max_iter", "stopped", "rounding floor ..."
  std::ptrdiff_t sweeps = 0;
  double marginal_error = 0;  ///< (|P1 - a|_1 + |P^T 1 - b|_1) / mass, of the returned potentials
  std::vector<step> history;
};

/// Solves the balanced problem. a (n) and b (m) must be positive with equal sums (a difference below 1e-6 of
/// them is removed by scaling b); f (n) and g (m) receive potentials in units of cost with <a, f> = <b, g>.
/// Throws std::invalid_argument on bad input before anything is written. T = float, double.
template <class T>
result solve(const context&, const geometry<T>&, std::span<const double> a, std::span<const double> b,
             const options&, std::span<double> f, std::span<double> g);

struct interval {
  double low, high;
};
/// Bounds of the finite costs: exact for a matrix, from the bounding boxes or the largest norms for points.
template <class T>
interval range(const context&, const geometry<T>&);

struct scan_result {
  double low, high;              ///< over the finite entries; low > high when there is none
  std::ptrdiff_t infinite, bad;  ///< number of +inf; flat index of the first NaN or -inf, -1 if there is none
};
/// One pass over a matrix that finds its range and what does not belong in it.
template <class T>
scan_result scan(const context&, matrix_view<const T>);

/// out_i = -reg log sum_j exp((h_j - C_ij) / reg); reg = 0: min_j (C_ij - h_j). transposed: over i for every
/// j.
template <class T>
void softmin(const context&, const geometry<T>&, std::span<const double> h, double reg, std::span<double> out,
             bool transposed);
/// The hard minimum (c-transform) with its position; the first one on ties.
template <class T>
void c_transform(const context&, const geometry<T>&, std::span<const double> h, std::span<double> out,
                 std::span<std::int64_t> index, bool transposed);

/// A plan (or any diagonal scaling of the kernel): P_ij = exp(u_i + v_j - C_ij / reg), u = f/reg + log a, v =
/// g/reg + log b.
template <class T>
struct plan {
  geometry<T> costs;
  double reg;
  std::span<const double> u, v;  ///< may hold -inf: an empty row or column
};

/// out = P v, blocks of vectors as rows: v (k x m), out (k x n); transposed: out = P^T v, v (k x n), out (k x
/// m).
template <class T>
void apply(const context&, const plan<T>&, matrix_view<const double> v, matrix_view<double> out,
           bool transposed);
/// out = P^T diag(w) P v in one sweep; v and out are k x m.
template <class T>
void normal(const context&, const plan<T>&, std::span<const double> w, matrix_view<const double> v,
            matrix_view<double> out);
/// forward = P v (v k x m, forward k x n) and backward = P^T u (u l x n, backward l x m) in one sweep.
template <class T>
void both(const context&, const plan<T>&, matrix_view<const double> v, matrix_view<double> forward,
          matrix_view<const double> u, matrix_view<double> backward);

struct moments {
  double mass, linear, plogp;  ///< sum P, <C, P>, sum P log P
};
/// Row and column sums and the moments of P in one sweep.
template <class T>
moments stats(const context&, const plan<T>&, std::span<double> row_sum, std::span<double> col_sum);
/// Rows first ... first + out.rows - 1 of P.
template <class T>
void rows(const context&, const plan<T>&, std::ptrdiff_t first, matrix_view<T> out);
/// The k largest entries of every row (transposed: column) in falling order, the first one on ties; index and
/// value are n x k.
template <class T>
void top_k(const context&, const plan<T>&, matrix_view<std::int64_t> index, matrix_view<double> value,
           bool transposed);

struct neighbours {
  double low, high, fraction;  ///< the quantile by linear interpolation is low + fraction (high - low)
};
/// Two neighbouring order statistics of the costs: those of rank floor(q (N-1)) and the next, N the number of
/// pairs (n_samples = 0: all of them, exactly) or of pairs drawn with replacement by a counter-based
/// generator.
template <class T>
neighbours order_statistics(const context&, const geometry<T>&, double q, std::ptrdiff_t n_samples,
                            std::uint64_t seed);

/// The plan as a linear operator for linalg.
template <class T>
class plan_operator final : public linear_operator {
 public:
  explicit plan_operator(plan<T> p) : plan_(p) {}
  std::ptrdiff_t rows() const override { return plan_.costs.rows(); }
  std::ptrdiff_t cols() const override { return plan_.costs.cols(); }
  void apply(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void apply_transposed(const context&, matrix_view<const double> v, matrix_view<double> out) const override;
  void normal(const context&, matrix_view<const double> v, matrix_view<double> out) const override;

 private:
  plan<T> plan_;
};

}  // namespace lapwing::ot
