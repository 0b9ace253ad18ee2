// Entropic optimal transport: solver, and the plan as an operator. Nothing here stores an n x m array, but
// for small ones that it keeps while it works: up to 8 MiB, or 256 MiB for points of 16 coordinates and more
// and for barycentres.
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
  bool hollow =
      false;  ///< the pairs (i, i) are forbidden; `range` and `order_statistics` count them all the same

  static geometry dense(matrix_view<const T> c) { return {c, {}, {}, metric::sqeuclidean}; }
  static geometry points(matrix_view<const T> x, matrix_view<const T> y, metric kind) {
    return {{}, x, y, kind};
  }
  bool is_dense() const { return cost.data != nullptr; }
  std::ptrdiff_t rows() const { return is_dense() ? cost.rows : x.rows; }
  std::ptrdiff_t cols() const { return is_dense() ? cost.cols : y.rows; }
};

enum class acceleration { none, anderson, sor };
enum class method {
  automatic,  ///< sweeps, and Newton's method where they would be many and the plan is sparse
  sinkhorn,   ///< sweeps alone
  newton      ///< Newton's method on the entries that carry mass as soon as a level allows it
};

struct options {
  std::vector<double> schedule{};   ///< decreasing values of reg, the last one is the problem's (eps-scaling)
  double tol = 1e-6;                ///< L1 marginal error, divided by the total mass
  std::ptrdiff_t max_iter = 10000;  ///< full sweeps over the pairs
  bool init = false;                ///< f and g hold a start (cost units)
  acceleration accelerate = acceleration::anderson;
  method solver = method::automatic;
  double max_bytes =
      2e9;  ///< for entries of the plan that are kept, those of Newton's method, a factorisation
};

/// newton: Newton's steps on one set of entries; `error` is what they left on the set.
enum class step_kind { sweep, anderson, sor, rejected, newton };
const char* name(step_kind) noexcept;
struct step {
  double reg, error;
  step_kind kind;
};

struct result {
  bool converged = false;
  bool stopped = false;  ///< the progress callback asked for it
  /// "converged", "max_iter", "stopped", "rounding floor ...", "stalled (pattern probably infeasible)"
  std::string status;
  std::ptrdiff_t sweeps = 0;
  std::ptrdiff_t newton_steps = 0, inner_steps = 0;  ///< inner: of conjugate gradients
  std::string reason;                                ///< what was chosen at the last reg, and why
  double marginal_error = 0;  ///< (|P1 - a|_1 + |P^T 1 - b|_1) / mass, of the returned potentials
  std::vector<step> history;
};

/// Solves the balanced problem. a (n) and b (m) must be positive with equal sums (a difference below 1e-6 of
/// them is removed by scaling b); f (n) and g (m) receive potentials in units of cost with <a, f> = <b, g>.
/// Throws std::invalid_argument on bad input before anything is written. T = float, double.
template <class T>
result solve(const context&, const geometry<T>&, std::span<const double> a, std::span<const double> b,
             const options&, std::span<double> f, std::span<double> g);

/// The same over the stored pairs alone: what is not stored is forbidden, a stored 0 is a cost of 0. Every
/// row and column must have an entry, columns rise strictly within a row. Where no plan on the pattern has
/// these weights the potentials drift apart, and the run ends as "stalled (pattern probably infeasible)".
template <class T>
result solve(const context&, csr_view<const T> costs, std::span<const double> a, std::span<const double> b,
             const options&, std::span<double> f, std::span<double> g);

/// One of many small problems; f (n) and g (m) are written.
template <class T>
struct batch_item {
  geometry<T> costs;
  std::span<const double> a, b;
  std::span<double> f, g;
};
/// Values of reg to pass through (eps-scaling), for costs that range over `spread`: reg alone where that is
/// at most 100 reg, else from `spread` on by factors of 4. spread must not be +inf or NaN.
std::vector<double> scaling_levels(double spread, double reg);

/// `solve` for every item, one problem a thread at a time. reg takes the place of options::schedule: with
/// `scaling` each problem passes through the `scaling_levels` of its own costs.
template <class T>
std::vector<result> solve_batch(const context&, std::span<const batch_item<T>>, double reg, bool scaling,
                                const options&);

/// What it costs that a marginal misses its weight.
enum class penalty {
  kl,              ///< rho KL(P 1 | a)
  total_variation  ///< rho |P 1 - a|_1
};
struct relaxed_options {
  std::vector<double> schedule{};  ///< as for `solve`
  double tol = 1e-6;               ///< largest change of g by a full iteration, over reg + max |f|
  std::ptrdiff_t max_iter = 10000;
  bool init = false;       ///< f and g hold a start
  bool accelerate = true;  ///< Anderson mixing where plain sweeps would be many
  penalty kind = penalty::kl;
  std::span<const double> rho_a{}, rho_b{};  ///< of every point; +inf, or none at all: the marginal is exact
  double mass = 0;                ///< > 0: partial transport of so much, marginals at most a and b; no rho
  bool product_reference = true;  ///< KL(P | a b^T); else sum P (log P - 1)
};
struct relaxed_result {
  bool converged = false, stopped = false;
  std::string status;  ///< "converged", "max_iter", "stopped", "rounding floor"
  std::ptrdiff_t sweeps = 0;
  double change = 0;  ///< what `tol` is about, in the last sweep
  double mass = 0;    ///< of the plan of the returned potentials
  double shift = 0;   ///< with a mass: the multiplier of sum P, which is part of the g that is returned
  std::vector<step> history;
};
/// Transport whose marginals need not be a and b (positive, of any sums):
///   minimise <C, P> + reg KL(P | a b^T) + penalty(P 1, a) + penalty(P^T 1, b),
/// or, with `mass`, subject to P 1 <= a, P^T 1 <= b, sum P = mass. The plan is that of `solve` in terms of f
/// and g, without the factor a_i b_j where the reference is not the product.
template <class T>
relaxed_result solve_relaxed(const context&, const geometry<T>&, std::span<const double> a,
                             std::span<const double> b, const relaxed_options&, std::span<double> f,
                             std::span<double> g);
/// The same over stored pairs, as for `solve`.
template <class T>
relaxed_result solve_relaxed(const context&, csr_view<const T> costs, std::span<const double> a,
                             std::span<const double> b, const relaxed_options&, std::span<double> f,
                             std::span<double> g);

/// `solve_relaxed` for every item, as `solve_batch`. rho_a and rho_b are those of the i-th point of every
/// problem, as long as the longest one.
template <class T>
std::vector<relaxed_result> solve_relaxed_batch(const context&, std::span<const batch_item<T>>, double reg,
                                                bool scaling, const relaxed_options&);

/// One of the measures that a barycentre is taken of.
template <class T>
struct measure {
  geometry<T> costs;                ///< from its points to the support
  std::span<const double> weights;  ///< not negative, of the same sum > 0 for all
  double share = 1;                 ///< in the mean
};
struct barycenter_options {
  std::vector<double> schedule{};  ///< as for `solve`
  double tol = 1e-6;               ///< on barycenter_result::error
  std::ptrdiff_t max_iter = 10000;
};
struct barycenter_result {
  bool converged = false, stopped = false;
  std::ptrdiff_t iterations = 0;  ///< one sweep of every measure each
  double error = 0;               ///< mean over the measures of |P_k^T 1 - p|_1 / mass_k
};
/// The p on a fixed support that minimises sum_k share_k OT_reg(weights_k, p), with the entropy
/// sum P (log P - 1): log p is written. own (null: not): the cost of the support with itself, for the
/// debiased barycentre. Measures that share their points (the same views, own too) share the work: one pass
/// over a kernel that is kept (up to 256 MiB) serves all of them.
template <class T>
barycenter_result barycenter(const context&, std::span<const measure<T>>, const geometry<T>* own,
                             const barycenter_options&, std::span<double> log_p);

/// The same for histograms on a product grid with the squared distance as cost, one axis at a time: n (n_1 +
/// ... + n_D) operations an iteration for n points. axes: coordinates along each; histograms: one a row, the
/// last axis fastest, as log_p is.
barycenter_result barycenter(const context&, std::span<const std::span<const double>> axes,
                             matrix_view<const double> histograms, std::span<const double> shares,
                             bool debias, const barycenter_options&, std::span<double> log_p);

struct scaling_options {
  double tol = 1e-8;  ///< largest relative error of a row sum
  std::ptrdiff_t max_iter = 1000;
};
struct scaling_result {
  bool converged = false, stopped = false;
  std::ptrdiff_t iterations = 0;  ///< each one product with the kernel, or one step of Newton's method
  double error = 0;               ///< what `tol` is about
};
/// The symmetric scaling diag(d) K diag(d) of a symmetric kernel whose rows have the given sums (> 0): log d
/// is written. Where none exists the run ends at max_iter, with factors that have drifted apart. K by its
/// positive entries, those of the scaled matrix are written, symmetric to the last bit:
scaling_result doubly_stochastic(const context&, csr_view<const double> kernel,
                                 std::span<const double> row_sums, const scaling_options&,
                                 std::span<double> log_scaling, std::span<double> entries);
/// K_ij = exp(-C_ij / reg) of points with themselves (geometry::hollow: without the diagonal); the scaled
/// matrix is the plan with u = v = log d.
template <class T>
scaling_result doubly_stochastic(const context&, const geometry<T>&, double reg,
                                 std::span<const double> row_sums, const scaling_options&,
                                 std::span<double> log_scaling);

struct interval {
  double low, high;
};
/// Bounds of the finite costs: exact for a matrix, from a box or spheres around them for points.
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
/// The same for every row of h (k x m); out is k x n.
template <class T>
void softmin(const context&, const geometry<T>&, matrix_view<const double> h, double reg,
             matrix_view<double> out, bool transposed);
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
  // Factors of the entries, which `apply`, `normal` and `both` know:
  int power = 0;  ///< C_ij^power; 0 where P_ij is 0, and for power < 0 where C_ij is
  matrix_view<const double> left{}, right{};  ///< (left right^T)_ij, n x p and m x p; none: 1
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
/// The plans of a batch whose f and g `solve_batch` found: out[k] is n x m of items[k].
template <class T>
void batch_plans(const context&, std::span<const batch_item<T>> items, double reg,
                 std::span<const matrix_view<T>> out);
/// The k largest entries of every row (transposed: column) in falling order, the first one on ties; index and
/// value are n x k.
template <class T>
void top_k(const context&, const plan<T>&, matrix_view<std::int64_t> index, matrix_view<double> value,
           bool transposed);

/// Transport with the penalty reg/2 |P|^2 and at most k entries in each column, by its semi-dual
///   <a, alpha> - sum_j max <alpha - C_j, p> - reg/2 |p|^2  over p >= 0 of sum b_j with at most k entries,
/// a concave function of alpha (n) for any optimiser. Returned; its gradient a - P 1 is written, and for
/// every column the rows and entries that attain the maximum, falling: index and entries are m x k. Costs
/// must be finite. transposed: rows and columns change places.
template <class T>
double sparse_semi_dual(const context&, const geometry<T>&, std::span<const double> a,
                        std::span<const double> b, double reg, std::span<const double> alpha,
                        std::span<double> gradient, matrix_view<std::int64_t> index,
                        matrix_view<double> entries, bool transposed);

/// Draws a column from the distribution P_i. / sum_j P_ij of a row, as often as there are numbers for it:
/// those of the row rows[k] are offsets[k] ... offsets[k + 1] - 1 in `uniform` (in [0, 1)) and in `columns`.
/// -1 where the row is empty. transposed: rows and columns change places.
template <class T>
void sample(const context&, const plan<T>&, std::span<const std::int64_t> rows,
            std::span<const std::int64_t> offsets, std::span<const double> uniform,
            std::span<std::int64_t> columns, bool transposed);

/// The equations that implicit differentiation of a solution comes down to, in s (n) and t (m):
///   rows_i s_i + (P t)_i = q_i,   (P^T s)_j + columns_j t_j = w_j.
/// rows, columns: the marginals of the plan P, times 1 + reg / rho where they have a Kullback-Leibler
/// penalty. With f and g the gradients of a function for the potentials, q = reg f and w = reg g, a change dC
/// of the costs moves it by sum P_ij (s_i + t_j) dC_ij / reg. Exact marginals leave a constant of (s, -t)
/// free, and need q and w of the same sum.
struct marginal_equations {
  std::span<const double> rows, columns;  ///< rows_i = +inf or 0: s_i is 0
  std::span<const double> q, w;
  std::span<const char> free{};  ///< where it is 0 t_j is 0; empty: nowhere
  bool common = false;  ///< t has one number more, the same for all columns, and one equation, the sum of all
  double total = 0;     ///< its right-hand side
  bool transposed = false;  ///< P is the transpose of the plan that is given (not of a stored one)
  double tol = 1e-6;        ///< on the residual, in the norm of the preconditioner
  std::ptrdiff_t max_iter = 10000;
};
struct marginal_result {
  bool converged = false, stopped = false;
  std::ptrdiff_t iterations = 0;  ///< of conjugate gradients, each one pass over the pairs
  double residual = 0;            ///< what `tol` is about
  double common = 0;              ///< part of every t_j
};
template <class T>
marginal_result solve_marginals(const context&, const plan<T>&, const marginal_equations&,
                                std::span<double> s, std::span<double> t);
/// The same for a plan by its entries, exact up to `unit` (the machine epsilon of the type that made them).
marginal_result solve_marginals(const context&, csr_view<const double> plan, double unit,
                                const marginal_equations&, std::span<double> s, std::span<double> t);

// What is made of several solves.

struct divergence_result {
  double value;
  bool converged;
};
/// The Sinkhorn divergence of weighted points, OT(x, y) - (OT(x, x) + OT(y, y)) / 2 + reg/2 (sum a - sum
/// b)^2, 0 exactly for equal ones. f, g: potentials of the first problem; own_x, own_y: those of each side
/// with itself, so that the gradient for a is f - own_x. Takes no start.
template <class T>
divergence_result divergence(const context&, matrix_view<const T> x, matrix_view<const T> y, metric,
                             std::span<const double> a, std::span<const double> b, const options&,
                             std::span<double> f, std::span<double> g, std::span<double> own_x,
                             std::span<double> own_y);
/// The same with penalised marginals; no mass.
template <class T>
divergence_result divergence(const context&, matrix_view<const T> x, matrix_view<const T> y, metric,
                             std::span<const double> a, std::span<const double> b, const relaxed_options&,
                             std::span<double> f, std::span<double> g, std::span<double> own_x,
                             std::span<double> own_y);

struct gap_result {
  double value;   ///< cost less the regularised value of the best transport
  double linear;  ///< cost less <C, P>
  double cost;    ///< sum a_i c(x_i, image_i)
  bool converged;
};
/// How much cheaper the images of a map could be reached than by the map. f, g: potentials of the transport
/// from the points to the images.
template <class T>
gap_result monge_gap(const context&, matrix_view<const T> x, matrix_view<const T> images, metric,
                     std::span<const double> a, const options&, std::span<double> f, std::span<double> g);

/// The means of values (p x m) for the conditional distributions of new points: rows of the geometry, whose
/// columns are those of a problem that was solved with weights b and potentials g. out: p x rows. With the
/// coordinates of the columns as values this is the entropic map.
template <class T>
void entropic_map(const context&, const geometry<T>&, std::span<const double> g, std::span<const double> b,
                  double reg, matrix_view<const double> values, matrix_view<double> out);

/// One of the measures that a barycentre whose points move is taken of.
template <class T>
struct cloud {
  matrix_view<const T> points;
  std::span<const double> weights;
  double share = 1;  ///< in the mean
};
struct free_barycenter_options {
  options plans{};    ///< of the first turn; those after it start where it ended
  double tol = 1e-4;  ///< on the displacement
  std::ptrdiff_t max_iter = 100;
};
struct free_barycenter_result {
  bool converged = false, stopped = false;
  std::ptrdiff_t iterations = 0;
  /// Of the last turn: root mean square, over that of the points around their mean (of the clouds, if the
  /// points are one).
  double displacement = 0;
  double value = 0;  ///< mean regularised cost to the clouds
};
/// Moves the points (a start on entry) to where their mean regularised squared-distance cost to the clouds is
/// least, with the weights that they have.
template <class T>
free_barycenter_result barycenter_free_support(const context&, std::span<const cloud<T>>,
                                               std::span<const double> weights,
                                               const free_barycenter_options&, matrix_view<T> points);

struct progressive_options {
  relaxed_options solve{};  ///< schedule, tol, max_iter; the rest is set
  std::ptrdiff_t max_outer = 100;
};
struct progressive_result {
  bool converged = false;
  double objective = 0;
  std::ptrdiff_t outer = 0;  ///< solves
};
/// Labels the share of n points with k clusters (costs n x k): minimises <C, Q> + gamma KL(Q^T 1 | share
/// sizes) - reg H(Q) - lambda <S, Q Q^T> over Q >= 0 with Q 1 <= 1/n and mass `share`. sizes (empty: equal)
/// belong to no particular column: the largest goes to the one that gets most without them. S: an affinity of
/// the points, or none. labels: n Q.
progressive_result progressive_partial(const context&, matrix_view<const double> cost, double share,
                                       double gamma, std::span<const double> sizes,
                                       csr_view<const double> affinity, double lambda,
                                       const progressive_options&, matrix_view<double> labels);

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
