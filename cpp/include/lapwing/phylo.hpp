/// \file
/// Trees from alignments and from distances: similarities of sequences, neighbour joining and its relatives,
/// spectral cuts and merges, branch lengths.
///
/// Trees are arrays `parent`: leaves are 0 to m - 1, every node comes before its parent, the root is last and
/// has parent -1.
///
/// Where a function exists for matrices of doubles and of floats, it calculates in double either way.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>
#include <span>
#include <vector>

namespace lapwing::phylo {

constexpr std::uint8_t missing = 255;  ///< the code of a site that was not observed

enum class substitution_model {
  jc,     ///< equal rates between all states (Jukes and Cantor; Neyman)
  tn93,   ///< four states A, C, G, T: Tamura and Nei
  logdet  ///< paralinear distance: no assumption on rates or composition
};
struct similarity_options {
  substitution_model model = substitution_model::jc;
  int states = 4;          ///< 2 to 64; 4 for tn93
  double alpha = 1;        ///< the similarity is raised to this power
  double gamma = 0;        ///< shape of the rates of the sites (mean 1); 0: all sites alike. Not for logdet
  bool pooled = false;     ///< tn93: one composition for the alignment, not one for each pair
  double pseudocount = 0;  ///< logdet: added to every joint count
  std::ptrdiff_t overlap = 1;  ///< joint sites that a pair needs
  std::ptrdiff_t split = 0;    ///< > 0: only between the rows from this one on and those before it
};
struct similarity_result {
  std::ptrdiff_t saturated = 0;        ///< pairs whose estimate is 0 as far as the counts can tell: s = 0
  std::ptrdiff_t apart = 0;            ///< pairs with too few joint sites: s = 0
  std::ptrdiff_t first[2] = {-1, -1};  ///< the first of those
};
/// s_ij of rows i and j of `codes` (m x n, states 0 to k - 1 or `missing`) over the sites that both have;
/// symmetric, the diagonal 1. With a split, (m - split) x split: row split + i and row j.
similarity_result similarity(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&,
                             matrix_view<double> s);
similarity_result similarity(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&,
                             matrix_view<float> s);

/// What is worth knowing of a square matrix before it is used. Places are i * cols + j; -1: nowhere.
struct matrix_facts {
  std::ptrdiff_t bad = 0, first_bad = -1;  ///< entries that are not finite; nothing else is then filled in
  double asymmetry = 0;                    ///< largest |x_ij - x_ji|
  std::ptrdiff_t where_asymmetric = -1;
  double low = 0, high = 0;  ///< least and largest entry
  std::ptrdiff_t where_low = -1, where_high = -1;
  std::ptrdiff_t negative = 0;  ///< entries below 0
};
matrix_facts inspect(const context&, matrix_view<const double> x);
matrix_facts inspect(const context&, matrix_view<const float> x);

/// out = x x^T for rows of x, m x m.
void gram(const context&, matrix_view<const double> x, matrix_view<double> out);

/// d = -log s, cut off at the largest finite value of all (s = 0 has none); returns that value, and 0 if
/// there is none.
double distances(const context&, matrix_view<const double> s, matrix_view<double> d);
double distances(const context&, matrix_view<const float> s, matrix_view<float> d);

struct joined_tree {
  std::vector<std::int32_t> parent;  ///< 2m - 2 nodes, an unrooted tree: the root joins three (two for m = 2)
  std::vector<double> length;        ///< of the edge to the parent; 0 at the root
  std::int64_t scanned = 0;          ///< rows of the matrix that were searched
};
enum class joining {
  nj,    ///< Saitou and Nei
  bionj  ///< Gascuel
};
/// Joins the pair of least (k - 2) d_ij - r_i - r_j until three clusters are left; of equal pairs the one
/// with the smallest leaf, then the smallest leaf of the other. Only the part of d below the diagonal is
/// read. Lengths below 0 stay unless `clip`, which makes them 0 and moves the surplus to the sibling.
joined_tree join(const context&, matrix_view<const double> d, joining = joining::nj, bool clip = true);
/// The same (nj) with the memory of d as its scratch: nothing of its size is allocated.
joined_tree join_in_place(const context&, matrix_view<double> d, bool clip = true);

/// What spectral neighbour joining makes small, of the singular values x_1 >= x_2 >= ... of s(A, rest).
enum class rank_one_criterion {
  second,    ///< x_2
  residual,  ///< (x_2^2 + x_3^2 + ...)^1/2
  quartets   ///< 2 sum over i < j of x_i^2 x_j^2, over the sum of all x_i^2
};
/// Spectral neighbour joining: joins the two clusters whose union A has the least criterion of s(A, rest),
/// until three are left; of equal pairs the one with the smallest leaf, then the smallest leaf of the other.
/// s >= 0 with diagonal 1. Lengths are not given (0); scanned counts the scores that were computed.
joined_tree spectral_join(const context&, matrix_view<const double> s,
                          rank_one_criterion = rank_one_criterion::second);

constexpr std::ptrdiff_t most_quartet_leaves = 16;
/// Of all binary trees on 2 to 16 leaves the one with the best sum over its quartets: of ab | cd it counts by
/// how much s_ab s_cd is above the larger of s_ac s_bd and s_ad s_bc. Of equal trees the one found first.
/// Lengths are not given (0). Time and memory grow as 3^m and 2^m m^2.
joined_tree quartet_tree(const context&, matrix_view<const double> s);

enum class cut_kind { sign, gap, component, median };
struct cut_options {
  int gaps = 1;              ///< largest gaps of the sorted Fiedler vector that are tried beside its signs
  std::ptrdiff_t least = 1;  ///< leaves on a side
  bool random_walk = false;  ///< the eigenvector of D^-1 S, not of D - S
  double tol = 1e-6;         ///< residual of the eigenvector, relative to the norm
};
struct cut_result {
  cut_kind kind = cut_kind::sign;
  double lambda2 = 0, lambda3 = 0;
  double sigma1 = 0, sigma2 = 0;  ///< of the block between the sides
  double residual = 0;
  std::ptrdiff_t products = 0;
  bool converged = true;
};
/// Cuts the leaves `part` of s in two: side (1 or 0 for each of them) by the Fiedler vector of their
/// similarities, the candidate whose block between the sides has the least second singular value. vector (or
/// empty) gets the Fiedler vector.
cut_result cut(const context&, matrix_view<const double> s, std::span<const std::int32_t> part,
               const cut_options&, std::span<std::uint8_t> side, std::span<double> vector = {});
cut_result cut(const context&, matrix_view<const float> s, std::span<const std::int32_t> part,
               const cut_options&, std::span<std::uint8_t> side, std::span<double> vector = {});

/// Leading singular triplet of the block s(rows, cols) by power iteration from its row sums; u and v >= 0. 0
/// and u = v = 0 for a block of zeros.
double leading_pair(const context&, matrix_view<const double> s, std::span<const std::int32_t> rows,
                    std::span<const std::int32_t> cols, std::span<double> u, std::span<double> v);
double leading_pair(const context&, matrix_view<const float> s, std::span<const std::int32_t> rows,
                    std::span<const std::int32_t> cols, std::span<double> u, std::span<double> v);

/// score_e = 1 - g^2 / (F h) for the edge above every node of a tree on `leaves` (leaf i is row leaves[i] of
/// s), numbered in depth-first order: F = |s(A, B)|^2, g = u_A^T s(A, B) u_B, h = |u_A|^2 |u_B|^2 for the
/// sides A and B of the edge. 1 where F h = 0, and at the root.
void edge_scores(const context&, matrix_view<const double> s, std::span<const std::int32_t> leaves,
                 std::span<const std::int32_t> parent, std::span<const double> u, std::span<double> score);
void edge_scores(const context&, matrix_view<const float> s, std::span<const std::int32_t> leaves,
                 std::span<const std::int32_t> parent, std::span<const double> u, std::span<double> score);

/// Where a new leaf at distances delta (up to a constant) from the leaves of a tree belongs: for the edge
/// above every node, by how much the tree becomes longer than with the best edge, in the sense of balanced
/// minimum evolution (Desper and Gascuel). Distances between subtrees are averages in which every node shares
/// its weight out equally, five nodes deep; what lies deeper is represented by its nearest leaf. What is
/// above cap in d or delta counts as cap. Tree and leaves as in edge_scores; the root counts only if it has
/// three children or more.
void insertion_lengths(const context&, matrix_view<const double> d, std::span<const std::int32_t> leaves,
                       std::span<const std::int32_t> parent, std::span<const double> delta, double cap,
                       std::span<double> excess);
void insertion_lengths(const context&, matrix_view<const float> d, std::span<const std::int32_t> leaves,
                       std::span<const std::int32_t> parent, std::span<const double> delta, double cap,
                       std::span<double> excess);

/// The same with the distances -log s of sequences, made as they are needed.
void insertion_lengths(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&,
                       std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent,
                       std::span<const double> delta, double cap, std::span<double> excess);

/// Makes a binary tree shorter, in the sense of balanced minimum evolution, by nearest neighbour interchanges
/// until there is none that does, but for at most so many sweeps over the tree: of the four subtrees around
/// an edge, two change places. Averages as in insertion_lengths; leaf i is row i of d. Returns how many there
/// were.
std::ptrdiff_t interchange(const context&, matrix_view<const double> d, double cap,
                           std::span<std::int32_t> parent, std::ptrdiff_t sweeps);
std::ptrdiff_t interchange(const context&, matrix_view<const float> d, double cap,
                           std::span<std::int32_t> parent, std::ptrdiff_t sweeps);
std::ptrdiff_t interchange(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&,
                           double cap, std::span<std::int32_t> parent, std::ptrdiff_t sweeps);

/// Lengths of a tree's edges for the distances -log s of sequences, from the same averages of what is near on
/// either side: no matrix is made. At a root with two children each gets half of their one edge.
void balanced_lengths(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&,
                      std::span<const std::int32_t> leaves, std::span<const std::int32_t> parent, double cap,
                      std::span<double> length);

/// Least squares lengths of a binary tree's edges for the distances d_ij, in O(m^2). Leaf i is row leaves[i]
/// of d, leaves are numbered in depth-first order. The root has three children, or two: their edges are one,
/// and each gets half of its length.
void least_squares_lengths(const context&, matrix_view<const double> d, std::span<const std::int32_t> leaves,
                           std::span<const std::int32_t> parent, std::span<double> length);
void least_squares_lengths(const context&, matrix_view<const float> d, std::span<const std::int32_t> leaves,
                           std::span<const std::int32_t> parent, std::span<double> length);

}  // namespace lapwing::phylo
