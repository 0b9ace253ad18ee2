#include <lapwing/lapwing.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "check.hpp"

using namespace lapwing;

TEST(matrix_view_reads_rows_with_a_stride) {
  std::vector<double> memory{0, 1, 2, -1, 10, 11, 12, -1};
  const matrix_view<double> a(memory.data(), 2, 3, 4);
  CHECK(a(0, 2) == 2 && a(1, 0) == 10 && a(1, 2) == 12);
  CHECK(a.row(1).size() == 3 && a.row(1)[1] == 11);
  CHECK(!a.contiguous());
  a(1, 1) = 5;
  CHECK(memory[5] == 5);
}

TEST(matrix_view_without_stride_is_contiguous) {
  const std::vector<float> memory(6);
  const matrix_view<const float> a(memory.data(), 2, 3);
  CHECK(a.stride == 3 && a.contiguous());
  CHECK(matrix_view<const float>(memory.data(), 1, 2, 5).contiguous());  // one row: the stride is never used
  const matrix_view<float> empty;
  CHECK(empty.data == nullptr && empty.rows == 0 && empty.cols == 0);
}

TEST(views_gain_const_and_never_lose_it) {
  static_assert(std::is_convertible_v<matrix_view<double>, matrix_view<const double>>);
  static_assert(!std::is_convertible_v<matrix_view<const double>, matrix_view<double>>);
  static_assert(!std::is_convertible_v<matrix_view<float>, matrix_view<const double>>);
  static_assert(std::is_convertible_v<csr_view<double>, csr_view<const double>>);
  static_assert(!std::is_convertible_v<csr_view<const double>, csr_view<double>>);
  double x = 3;
  const matrix_view<const double> a = matrix_view<double>(&x, 1, 1);
  CHECK(a(0, 0) == 3);
}

TEST(csr_view_counts_rows_and_entries) {
  const std::vector<std::int64_t> offsets{0, 2, 2, 3};
  const std::vector<std::int32_t> indices{0, 3, 1};
  const std::vector<double> values{1, 2, 3};
  const csr_view<const double> a(offsets, indices, values, 4);
  CHECK(a.rows() == 3 && a.cols == 4 && a.size() == 3);
  CHECK(csr_view<double>().rows() == 0);
}

TEST(check_streams_its_parts_together) {
  check(true, "never seen");
  CHECK_THROWS(std::invalid_argument, check(false, "reg must be > 0, got ", -0.1),
               "reg must be > 0, got -0.1");
  CHECK_THROWS(std::invalid_argument,
               check(false, "a has ", 3, " entries, C has ", std::ptrdiff_t{1} << 40, " rows"),
               "a has 3 entries, C has 1099511627776 rows");
}

TEST(version_numbers_agree) {
  const std::string text = std::to_string(LAPWING_VERSION_MAJOR) + "." +
                           std::to_string(LAPWING_VERSION_MINOR) + "." +
                           std::to_string(LAPWING_VERSION_PATCH);
  CHECK(text == LAPWING_VERSION);
}

TEST_MAIN
