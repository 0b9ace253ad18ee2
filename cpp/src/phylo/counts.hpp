// Similarities of pairs of sequences, for those who do not want all of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lapwing/phylo.hpp>
#include <limits>

namespace lapwing::phylo {

constexpr std::ptrdiff_t most_pairs = 64;
// Fills out with the similarities of row i and the rows first to last - 1 (at most most_pairs), and counts
// what is special about them. Keeps what it needs of the codes, but for logdet, whose codes must stay.
using pair_function = std::function<void(std::ptrdiff_t i, std::ptrdiff_t first, std::ptrdiff_t last,
                                         double* out, similarity_result&)>;
pair_function pairs_of(const context&, matrix_view<const std::uint8_t> codes, const similarity_options&);

// What has a logarithm without loss of digits.
inline bool usable(double s) { return s >= std::numeric_limits<double>::min(); }

}  // namespace lapwing::phylo
