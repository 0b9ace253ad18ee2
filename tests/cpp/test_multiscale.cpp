// Wavelet transforms through the C++ interface: reconstruction, orthogonality, strides, bad input.
#include <array>
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

namespace {

using multiscale::array_view, multiscale::details;

// An array of its own, h x w with `step` between entries and `gap` after each row.
template <class T>
struct image {
  std::vector<T> numbers;
  array_view<T> view;
  image(std::ptrdiff_t h, std::ptrdiff_t w, std::ptrdiff_t step, std::ptrdiff_t gap)
      : numbers(static_cast<std::size_t>(h * (w * step + gap)), T(-7)),
        view{numbers.data(), {h, w}, {w * step + gap, step}} {}
  T& at(std::ptrdiff_t i, std::ptrdiff_t j) {
    return numbers[static_cast<std::size_t>(i * view.strides[0] + j * view.strides[1])];
  }
  array_view<const T> input() const { return {view.data, view.shape, view.strides}; }
  axis_view<T> along(std::ptrdiff_t axis) { return {view.data, view.shape, view.strides, axis}; }
  axis_view<const T> along_input(std::ptrdiff_t axis) const {
    return {view.data, view.shape, view.strides, axis};
  }
};

template <class T>
bool same(image<T>& a, image<T>& b) {
  for (std::ptrdiff_t i = 0; i < a.view.shape[0]; ++i)
    for (std::ptrdiff_t j = 0; j < a.view.shape[1]; ++j)
      if (a.at(i, j) != b.at(i, j)) return false;
  return true;
}

template <class T>
void two_levels(const context& ctx, const std::string& name, boundary mode, std::ptrdiff_t h,
                std::ptrdiff_t w, std::ptrdiff_t step) {
  const auto bank = multiscale::named_bank(name);
  const std::array<multiscale::axis_filter, 2> axes{{{0, &bank, mode}, {1, &bank, mode}}};
  numbers random(3);
  image<T> x(h, w, step, 3);
  for (std::ptrdiff_t i = 0; i < h; ++i)
    for (std::ptrdiff_t j = 0; j < w; ++j) x.at(i, j) = static_cast<T>(random.uniform(-1, 1));
  std::vector<std::array<image<T>, 4>> got, wanted;  // aa, da, ad, dd
  got.reserve(2);
  wanted.reserve(2);
  image<T>* from = &x;
  for (int level = 0; level < 2; ++level) {
    const std::ptrdiff_t m = multiscale::dwt_length(h, bank.length(), mode),
                         n = multiscale::dwt_length(w, bank.length(), mode);
    const auto bands = [&](std::ptrdiff_t s) {
      return std::array<image<T>, 4>{image<T>(m, n, s, 1), image<T>(m, n, s, 1), image<T>(m, n, s, 1),
                                     image<T>(m, n, s, 1)};
    };
    got.push_back(bands(step));
    wanted.push_back(bands(1));
    image<T> low(m, w, 1, 0), high(m, w, 1, 0);
    multiscale::dwt<T>(ctx, from->along_input(0), bank, mode, low.along(0), high.along(0));
    auto& to = wanted.back();
    multiscale::dwt<T>(ctx, low.along_input(1), bank, mode, to[0].along(1), to[2].along(1));
    multiscale::dwt<T>(ctx, high.along_input(1), bank, mode, to[1].along(1), to[3].along(1));
    from = &wanted.back()[0];
    h = m;
    w = n;
  }
  std::vector<details<T>> levels;
  std::vector<details<const T>> inputs;
  for (auto& bands : got) {
    levels.push_back({bands[1].view, bands[2].view, bands[3].view});
    inputs.push_back({bands[1].input(), bands[2].input(), bands[3].input()});
  }
  multiscale::wavedec2<T>(ctx, x.input(), axes, levels, got[1][0].view);
  CHECK(same(got[1][0], wanted[1][0]));
  for (std::size_t level = 0; level < 2; ++level)
    for (std::size_t b = 1; b < 4; ++b) CHECK(same(got[level][b], wanted[level][b]));
  image<T> back(x.view.shape[0], x.view.shape[1], step, 2);
  multiscale::waverec2<T>(ctx, got[1][0].input(), inputs, axes, back.view);
  double worst = 0;
  for (std::ptrdiff_t i = 0; i < x.view.shape[0]; ++i)
    for (std::ptrdiff_t j = 0; j < x.view.shape[1]; ++j)
      worst = std::max(worst, std::fabs(static_cast<double>(x.at(i, j) - back.at(i, j))));
  CHECK(worst < (sizeof(T) == 4 ? 1e-5 : 1e-10));
  for (const image<T>* im :
       {&back, &got[0][1], &got[0][2], &got[0][3], &got[1][0]})  // what lies between is left alone
    for (std::ptrdiff_t i = 0; i < im->view.shape[0]; ++i)
      for (std::ptrdiff_t j = im->view.shape[1] * step; j < im->view.strides[0]; ++j)
        CHECK(im->numbers[static_cast<std::size_t>(i * im->view.strides[0] + j)] == T(-7));
}

}  // namespace

TEST(two_axes_at_once_are_one_after_the_other) {
  const context ctx({.threads = 3});
  for (const char* name : {"haar", "db2", "db3", "bior4.4", "db8"})
    for (const boundary mode : all)
      for (const auto& [h, w] : {std::pair<int, int>{2, 3}, {8, 8}, {9, 30}, {34, 17}, {240, 200}}) {
        if (h == 2 && (mode == boundary::reflect || mode == boundary::antireflect)) continue;  // 1 is left
        two_levels<float>(ctx, name, mode, h, w, 1);
        two_levels<double>(ctx, name, mode, h, w, 2);
      }
}

TEST(bands_that_go_past_the_caches) {
  const context ctx({.threads = 2});
  for (const char* name : {"haar", "db2"}) two_levels<double>(ctx, name, boundary::symmetric, 1030, 1027, 1);
  two_levels<double>(ctx, "haar", boundary::periodization, 1030, 1028, 1);
}

TEST(bad_shapes_of_bands_are_named) {
  const context ctx({.threads = 1});
  const auto bank = multiscale::named_bank("haar");
  const std::array<multiscale::axis_filter, 2> axes{
      {{0, &bank, boundary::periodization}, {1, &bank, boundary::periodization}}};
  image<double> x(8, 8, 1, 0), right(4, 4, 1, 0), wrong(4, 3, 1, 0);
  const details<double> level{right.view, wrong.view, right.view};
  std::string said;
  try {
    multiscale::wavedec2<double>(ctx, x.input(), axes, {&level, 1}, right.view);
  } catch (const std::invalid_argument& e) {
    said = e.what();
  }
  CHECK(said == "ad of level 1 must have 4 entries along axis 1, got 3");
}

TEST_MAIN
