/// \file
/// Eigenpairs of graph Laplacians, singular triplets of operators, and Laplacian systems.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/operator.hpp>
#include <lapwing/view.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lapwing::linalg {

/// Approximate Cholesky factorisation of the Laplacian D - W of a weighted graph: a preconditioner M with
/// M^-1 within a small factor of D - W, whatever the weights. It depends on the graph and the seed alone.
class approx_cholesky {
 public:
  /// w: symmetric weights >= 0 (sparse::check_graph); a diagonal has no effect. split: parallel edges that
  /// each edge is cut into, 1 to 8; more of them cost more and approximate better.
  approx_cholesky(const context&, csr_view<const double> w, int split = 2, std::uint64_t seed = 0);
  ~approx_cholesky();
  approx_cholesky(approx_cholesky&&) noexcept;
  approx_cholesky& operator=(approx_cholesky&&) noexcept;
  std::ptrdiff_t size() const;
  std::ptrdiff_t nonzeros() const;  ///< below the diagonal of the factor
  /// y = M x for n x b blocks. x must sum to 0 over every component; y is fixed up to a constant on each.
  void apply(const context&, matrix_view<const double> x, matrix_view<double> y) const;

 private:
  struct factor;
  std::unique_ptr<factor> factor_;
};

/// Solves L x = b for the Laplacian L = D - W of a graph, many right-hand sides at once: conjugate gradients
/// with the approximate Cholesky factor. Made once for a graph.
class laplacian_solver {
 public:
  explicit laplacian_solver(const context&, csr_view<const double> w, int split = 2, std::uint64_t seed = 0);
  ~laplacian_solver();
  laplacian_solver(laplacian_solver&&) noexcept;
  laplacian_solver& operator=(laplacian_solver&&) noexcept;
  std::ptrdiff_t size() const;
  std::ptrdiff_t factor_nonzeros() const;
  std::span<const std::int32_t> labels() const;  ///< component of each node, the largest first

  /// One application of the factor: x is near L^+ b.
  void apply(const context&, matrix_view<const double> b, matrix_view<double> x) const;

  struct result {
    std::vector<double> residuals;  ///< |b - L x| / |b| of each column, recomputed from x
    std::ptrdiff_t iterations = 0;
    bool converged = false;
  };
  /// b and x: n x as many. Only the part of b that sums to 0 over every component counts; x has mean 0 there.
  result solve(const context&, matrix_view<const double> b, matrix_view<double> x, double tol = 1e-8,
               std::ptrdiff_t max_iter = 500) const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

enum class normalization {
  none,      ///< D - W
  symmetric  ///< I - D^-1/2 W D^-1/2
};

enum class eigen_method {
  automatic,        ///< one of the others, by the structure of the graph and what each would cost
  approx_cholesky,  ///< block Davidson with the approximate Cholesky preconditioner
  cholesky,         ///< block Lanczos on the pseudo-inverse, from an exact factorisation
  chebyshev,        ///< block Davidson whose basis grows by Chebyshev polynomials of the Laplacian
  lanczos           ///< block Lanczos on the Laplacian itself
};

struct laplacian_options {
  eigen_method method = eigen_method::automatic;
  normalization form = normalization::symmetric;
  std::ptrdiff_t guard =
      -1;                ///< vectors beyond the wanted ones; -1: max(2, k / 4), up to a multiple of 4 in all
  double tol = 1e-8;     ///< residual relative to the norm of the Laplacian
  double tol_vec = 0;    ///< > 0: the residual times M must be no longer either (relative accuracy)
  double tol_angle = 0;  ///< > 0: estimated sine of the angle between a vector and its eigenspace
  std::ptrdiff_t accurate = 0;  ///< that this many vectors, and copies of theirs, must keep
  int split = 2;                ///< of the preconditioner
  int max_outer = 200;
  std::ptrdiff_t max_products = 100000;  ///< of lanczos, cholesky and chebyshev
  double max_memory = 8e9;               ///< bytes for an exact factorisation; beyond: memory_exceeded
  bool verify = true;  ///< Lanczos methods: look for copies of eigenvalues that a narrow block cannot see
  std::uint64_t seed = 0;
  matrix_view<const double> start{};  ///< n x any number, or empty; not for lanczos and cholesky
};
struct laplacian_result {
  eigen_method method = eigen_method::automatic;  ///< what was used
  std::string reason;                             ///< why, if it was chosen automatically
  std::vector<double> values;                     ///< k, rising, and the guards after them
  std::vector<double>
      residuals;               ///< of the same pairs, relative to norm, recomputed from the vectors returned
  std::vector<double> angles;  ///< of the same pairs, with tol_vec or tol_angle: estimated sines
  double norm = 0;             ///< bound on the norm of the Laplacian
  std::vector<std::int32_t> labels;  ///< component of each node, the largest first
  std::vector<std::int64_t> component_sizes;
  int outer = 0;
  std::ptrdiff_t products = 0, corrections = 0, factor_nonzeros = 0;
  int rounds = 0;  ///< of verification
  bool converged = false, stopped = false;
};

/// The k smallest eigenpairs of the Laplacian of the graph w beyond its null space, which is known exactly.
/// vectors: n x k, orthonormal (with form none also the eigenvectors of L z = lambda z; with symmetric those
/// of the symmetric normalised Laplacian).
laplacian_result laplacian_eigs(const context&, csr_view<const double> w, std::ptrdiff_t k,
                                const laplacian_options&, matrix_view<double> vectors);

struct count_result {
  std::ptrdiff_t count = 0;  ///< eigenvalues below sigma, the null space among them
  double error = 0;          ///< the count is that of a Laplacian that differs by about this much, in the
                             ///< unit of sigma; infinite if a pivot was 0
};
/// How many eigenvalues of the Laplacian of w lie below sigma > 0, by the signs of the pivots of
/// L - sigma M = G D G^T (Sylvester's law of inertia). Throws memory_exceeded when the factor would take more
/// than max_memory bytes.
count_result count_below(const context&, csr_view<const double> w, normalization, double sigma,
                         double max_memory);

/// out = v a^T: a times every row of v, which are k x cols and k x rows. Sums are made in double.
void dense_times(const context&, matrix_view<const double> a, matrix_view<const double> v,
                 matrix_view<double> out);
void dense_times(const context&, matrix_view<const float> a, matrix_view<const double> v,
                 matrix_view<double> out);

struct eigs_options {
  bool largest = false;      ///< the algebraically largest eigenvalues, not the smallest
  double tol = 1e-8;         ///< residual relative to the norm
  double norm = 0;           ///< a bound on the norm of A; 0: estimated
  std::ptrdiff_t width = 4;  ///< vectors that A is applied to at once
  std::ptrdiff_t max_products = 20000;
  bool verify = true;  ///< look for copies of eigenvalues that a block narrower than k cannot see
  std::uint64_t seed = 0;
};
struct eigs_result {
  std::vector<double> values;     ///< k: rising for the smallest, falling for the largest
  std::vector<double> residuals;  ///< |A v - lambda v| over norm, recomputed from the vectors returned
  double norm = 0;
  std::ptrdiff_t products = 0;
  int rounds = 0;  ///< of verification
  bool converged = false, stopped = false;
};

/// k eigenpairs at one end of the spectrum of a symmetric A (rows() = cols(); only apply is used) on the
/// complement of the columns of `known` (orthonormal eigenvectors, n x any number, or empty). vectors: n x k.
/// Block Lanczos with full reorthogonalisation and thick restart.
eigs_result eigs(const context&, const linear_operator&, matrix_view<const double> known, std::ptrdiff_t k,
                 const eigs_options&, matrix_view<double> vectors);

struct svds_options {
  std::ptrdiff_t block = 0;        ///< vectors applied at once; 0: min(k + 8, 32), but at least k + 1
  double tol = 1e-6;               ///< residual relative to the largest singular value found
  std::ptrdiff_t max_apply = 300;  ///< applications of the normal operator to a block
  std::uint64_t seed = 0;
};
struct svds_result {
  std::vector<double> values,
      residuals;  ///< k, falling; max(|A v - s u|, |A^T u - s v|), recomputed from the returned vectors
  std::ptrdiff_t applications = 0;
  bool converged = false;
};

/// Leading k singular triplets of A on the complement of a known pair (left, right: unit vectors, or empty).
/// u is k x rows(), v is k x cols(). Block Krylov with Rayleigh-Ritz on A^T A and thick restart; u and the
/// values come from A v itself, not from A^T A.
svds_result svds(const context&, const linear_operator&, std::span<const double> left,
                 std::span<const double> right, std::ptrdiff_t k, const svds_options&, matrix_view<double> u,
                 matrix_view<double> v);

}  // namespace lapwing::linalg
