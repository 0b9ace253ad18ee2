// Wavelet transforms through the C++ interface: reconstruction, orthogonality, strides, bad input.
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.hpp"
#include "naive_ot.hpp"

using namespace lapwing;
using namespace lapwing::test;

namespace {

using multiscale::axis_view, multiscale::boundary;
constexpr boundary all[] = {boundary::zero,        boundary::constant, boundary::symmetric,
                            boundary::reflect,     boundary::periodic, boundary::antisymmetric,
                            boundary::antireflect, boundary::smooth,   boundary::periodization};

// n x b numbers by rows, seen along the rows' index
template <class T>
axis_view<T> columns(std::vector<std::remove_const_t<T>>& x, std::ptrdiff_t n, std::ptrdiff_t b) {
  return {x.data(), {n, b}, {b, 1}, 0};
}

}  // namespace

TEST(every_bank_reconstructs_in_every_mode) {
  const context ctx({.threads = 2});
  numbers random(1);
  for (const std::string& name : multiscale::bank_names()) {
    const auto bank = multiscale::named_bank(name);
    for (const boundary mode : all)
      for (const std::ptrdiff_t n : {2, 7, 16}) {
        const std::ptrdiff_t b = 3, m = multiscale::dwt_length(n, bank.length(), mode),
                             back = multiscale::idwt_length(m, bank.length(), mode);
        std::vector<double> x(static_cast<std::size_t>(n * b)), low(static_cast<std::size_t>(m * b)),
            high(low.size()), y(static_cast<std::size_t>(back * b));
        for (double& v : x) v = random.uniform(-1, 1);
        multiscale::dwt<double>(ctx, columns<const double>(x, n, b), bank, mode, columns<double>(low, m, b),
                                columns<double>(high, m, b));
        multiscale::idwt<double>(ctx, columns<const double>(low, m, b), columns<const double>(high, m, b),
                                 bank, mode, columns<double>(y, back, b));
        CHECK(back >= n && back <= n + 1);
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::fabs(x[i] - y[i]));
        CHECK(worst < 1e-10);
      }
  }
}

TEST(strides_do_not_change_a_bit) {
  const context ctx({.threads = 2});
  numbers random(2);
  const auto bank = multiscale::named_bank("db3");
  const std::ptrdiff_t n = 21, b = 40, m = multiscale::dwt_length(n, 6, boundary::symmetric);
  std::vector<double> x(static_cast<std::size_t>(n * b)), low(static_cast<std::size_t>(m * b)),
      high(low.size()), t(x.size()), low2(low.size()), high2(low.size());
  for (double& v : x) v = random.uniform(-1, 1);
  for (std::ptrdiff_t i = 0; i < n; ++i)  // transposed, and from the last line to the first
    for (std::ptrdiff_t c = 0; c < b; ++c)
      t[static_cast<std::size_t>((b - 1 - c) * n + i)] = x[static_cast<std::size_t>(i * b + c)];
  multiscale::dwt<double>(ctx, columns<const double>(x, n, b), bank, boundary::symmetric,
                          columns<double>(low, m, b), columns<double>(high, m, b));
  const axis_view<const double> turned{t.data() + (b - 1) * n, {n, b}, {1, -n}, 0};
  multiscale::dwt<double>(ctx, turned, bank, boundary::symmetric, columns<double>(low2, m, b),
                          columns<double>(high2, m, b));
  CHECK(low == low2);
  CHECK(high == high2);
}

TEST(bad_shapes_are_named) {
  const context ctx({.threads = 1});
  const auto bank = multiscale::named_bank("haar");
  CHECK(multiscale::named_bank("nothing").length() == 0);
  std::vector<double> x(8), low(3), high(4);
  std::string said;
  try {
    multiscale::dwt<double>(ctx, columns<const double>(x, 8, 1), bank, boundary::zero,
                            columns<double>(low, 3, 1), columns<double>(high, 4, 1));
  } catch (const std::invalid_argument& error) {
    said = error.what();
  }
  CHECK(said.find("low must have 4 entries along axis 0, got 3") != std::string::npos);
}

TEST_MAIN
