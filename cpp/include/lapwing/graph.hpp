/// \file
/// Graphs from data: nearest neighbours, and all neighbours within a radius.
#pragma once
#include <cstddef>
#include <cstdint>
#include <lapwing/context.hpp>
#include <lapwing/view.hpp>

namespace lapwing::graph {

enum class distance { euclidean, cosine };
enum class search {
  automatic,  ///< a tree up to 8 dimensions, all pairs above
  all_pairs,
  tree  ///< k-d tree; Euclidean distances only
};

struct knn_options {
  distance metric = distance::euclidean;
  search method = search::automatic;
};

/// The k nearest points of each query, exactly: ordered by (distance in double, index). index and value are
/// queries.rows x k. same: queries and points are the same array, and a point is not its own neighbour.
template <class T>
void knn(const context&, matrix_view<const T> queries, matrix_view<const T> points, bool same,
         const knn_options&, matrix_view<std::int32_t> index, matrix_view<double> value);

/// For every point the number of other points at a distance of at most `radius`.
template <class T>
void radius_counts(const context&, matrix_view<const T> points, double radius, const knn_options&,
                   vector_view<std::int64_t> counts);

/// Those points, by index, and their distances, into compressed rows. offsets: the sums of what radius_counts
/// found for the same arguments, 0 first. Distances of (i, j) and (j, i) are the same number.
template <class T>
void radius_fill(const context&, matrix_view<const T> points, double radius, const knn_options&,
                 vector_view<const std::int64_t> offsets, vector_view<std::int32_t> indices,
                 vector_view<double> values);

}  // namespace lapwing::graph
