// Wavelet transforms through the C++ interface: reconstruction, orthogonality, strides, bad input.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
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

namespace {

std::ptrdiff_t mirrored(std::ptrdiff_t i, std::ptrdiff_t n) {
  const std::ptrdiff_t bounce = 2 * n - 2, j = (i % bounce + bounce) % bounce;
  return j < n ? j : bounce - j;
}
std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// One line, as the schemes define it: the details go to the odd places.
void lift_line(std::vector<std::int64_t>& x, multiscale::lifting how) {
  const auto n = static_cast<std::ptrdiff_t>(x.size());
  if (n < 2) return;
  const auto at = [&](std::ptrdiff_t i) { return x[static_cast<std::size_t>(mirrored(i, n))]; };
  const bool haar = how == multiscale::lifting::s || how == multiscale::lifting::cdf26;
  for (std::ptrdiff_t i = 1; i < n; i += 2) {
    const std::int64_t near = at(i - 1) + at(i + 1), far = at(i - 3) + at(i + 3);
    x[static_cast<std::size_t>(i)] -= haar ? x[static_cast<std::size_t>(i - 1)]
                                      : how == multiscale::lifting::legall53
                                          ? floor_div(near, 2)
                                          : floor_div(9 * near - far + 8, 16);
  }
  for (std::ptrdiff_t i = 0; i < n; i += 2) {
    if (haar && i + 1 >= n) break;
    x[static_cast<std::size_t>(i)] +=
        haar ? floor_div(at(i + 1), 2) : floor_div(at(i - 1) + at(i + 1) + 2, 4);
  }
  if (how != multiscale::lifting::cdf26) return;
  const std::ptrdiff_t last = (n - 1) / 2 * 2;
  for (std::ptrdiff_t i = 1; i < n; i += 2)
    x[static_cast<std::size_t>(i)] +=
        floor_div(x[static_cast<std::size_t>(std::max<std::ptrdiff_t>(i - 3, 0))] -
                      x[static_cast<std::size_t>(std::min(i + 1, last))] + 2,
                  4);
}

template <class T>
void check_lifting(multiscale::lifting how, std::ptrdiff_t rows, std::ptrdiff_t columns) {
  numbers random(7);
  std::vector<std::int64_t> right(static_cast<std::size_t>(rows * columns));
  for (auto& v : right) v = static_cast<std::int64_t>(random.uniform(-300, 300));
  std::vector<T> x(right.begin(), right.end()), bands[4], back(x.size());
  std::vector<std::int64_t> line;
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    line.assign(right.begin() + i * columns, right.begin() + (i + 1) * columns);
    lift_line(line, how);
    std::copy(line.begin(), line.end(), right.begin() + i * columns);
  }
  for (std::ptrdiff_t j = 0; j < columns; ++j) {
    line.clear();
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      line.push_back(right[static_cast<std::size_t>(i * columns + j)]);
    lift_line(line, how);
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      right[static_cast<std::size_t>(i * columns + j)] = line[static_cast<std::size_t>(i)];
  }
  const std::ptrdiff_t h[] = {(rows + 1) / 2, rows / 2}, w[] = {(columns + 1) / 2, columns / 2};
  for (const int threads : {1, 3}) {
    const context ctx({.threads = threads});
    std::vector<axis_view<T>> to;
    std::vector<axis_view<const T>> from;
    for (std::size_t b = 0; b < 4; ++b) {
      bands[b].assign(static_cast<std::size_t>(h[b / 2] * w[b % 2]), T(0));
      to.push_back({bands[b].data(), {h[b / 2], w[b % 2]}, {w[b % 2], 1}, 0});
      from.push_back({bands[b].data(), {h[b / 2], w[b % 2]}, {w[b % 2], 1}, 0});
    }
    multiscale::lift<T, T>(ctx, {x.data(), {rows, columns}, {columns, 1}, 0}, 1,
                           multiscale::lifted_axes::both, how, T(0), to);
    bool same = true;
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      for (std::ptrdiff_t j = 0; j < columns; ++j)
        same = same && right[static_cast<std::size_t>(i * columns + j)] ==
                           bands[static_cast<std::size_t>(2 * (i % 2) + j % 2)]
                                [static_cast<std::size_t>(i / 2 * w[j % 2] + j / 2)];
    CHECK(same);
    multiscale::unlift<T>(ctx, from, 1, multiscale::lifted_axes::both, how, T(0),
                          {back.data(), {rows, columns}, {columns, 1}, 0});
    CHECK(back == x);
  }
}

}  // namespace

TEST(lifting_is_as_defined) {
  for (const auto how : {multiscale::lifting::s, multiscale::lifting::legall53, multiscale::lifting::cdf26,
                         multiscale::lifting::m97})
    for (const auto& [rows, columns] : {std::pair<std::ptrdiff_t, std::ptrdiff_t>{1, 1},
                                        {1, 9},
                                        {8, 1},
                                        {2, 3},
                                        {5, 4},
                                        {7, 70},
                                        {131, 37},
                                        {150, 66},
                                        {260, 2}}) {
      check_lifting<std::int16_t>(how, rows, columns);
      check_lifting<std::int32_t>(how, rows, columns);
      check_lifting<std::int64_t>(how, rows, columns);
    }
}

namespace {

template <class T>
void check_pyramid(std::ptrdiff_t rows, std::ptrdiff_t columns) {
  using D = typename multiscale::pyramid_difference<T>::type;
  numbers random(3);
  const std::ptrdiff_t h = (rows + 1) / 2, w = (columns + 1) / 2;
  std::vector<T> x(static_cast<std::size_t>(rows * columns)), down(static_cast<std::size_t>(h * w)),
      back(x.size()), up(x.size()), low(down.size());
  std::vector<D> detail(x.size());
  for (auto& v : x) v = static_cast<T>(random.uniform(0, 255));
  const context ctx({.threads = 2});
  const multiscale::image_view<const T> image{x.data(), 1, rows, columns, 1, 0, columns};
  multiscale::pyramid_down<T>(ctx, image, 0.375, {down.data(), 1, h, w, 1, 0, w});
  constexpr double weight[] = {1, 4, 6, 4, 1};
  double worst = 0;
  for (std::ptrdiff_t i = 0; i < h; ++i)
    for (std::ptrdiff_t j = 0; j < w; ++j) {
      double sum = 0;
      for (std::ptrdiff_t s = 0; s < 5; ++s)
        for (std::ptrdiff_t t = 0; t < 5; ++t) {
          const std::ptrdiff_t r = rows == 1 ? 0 : mirrored(2 * i + s - 2, rows),
                               c = columns == 1 ? 0 : mirrored(2 * j + t - 2, columns);
          sum += weight[s] * weight[t] * static_cast<double>(x[static_cast<std::size_t>(r * columns + c)]);
        }
      const double right = std::is_integral_v<T> ? std::floor((sum + 128) / 256) : sum / 256;
      worst =
          std::max(worst, std::fabs(right - static_cast<double>(down[static_cast<std::size_t>(i * w + j)])));
    }
  CHECK(worst <= (std::is_integral_v<T> ? 0 : sizeof(T) == 4 ? 2e-4 : 1e-12));
  const multiscale::image_view<const T> coarse{down.data(), 1, h, w, 1, 0, w};
  for (const auto border : {multiscale::pyramid_border::opencv, multiscale::pyramid_border::symmetric}) {
    multiscale::pyramid_up<T>(ctx, coarse, border, {up.data(), 1, rows, columns, 1, 0, columns});
    multiscale::pyramid_split<T>(ctx, image, 0.375, border, {low.data(), 1, h, w, 1, 0, w},
                                 {detail.data(), 1, rows, columns, 1, 0, columns});
    CHECK(low == down);
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(x[i]) - static_cast<double>(up[i]) -
                                        static_cast<double>(detail[i])));
    CHECK(worst <= (std::is_integral_v<T> ? 0 : sizeof(T) == 4 ? 2e-4 : 1e-12));
    multiscale::pyramid_join<T>(ctx, coarse, {detail.data(), 1, rows, columns, 1, 0, columns}, border,
                                {back.data(), 1, rows, columns, 1, 0, columns});
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(x[i]) - static_cast<double>(back[i])));
    CHECK(worst <= (std::is_integral_v<T> ? 0 : sizeof(T) == 4 ? 2e-4 : 1e-12));
  }
}

}  // namespace

TEST(pyramids_are_as_defined) {
  for (const auto& [rows, columns] :
       {std::pair<std::ptrdiff_t, std::ptrdiff_t>{1, 1}, {1, 8}, {9, 1}, {2, 2}, {33, 70}, {70, 131}}) {
    check_pyramid<std::uint8_t>(rows, columns);
    check_pyramid<std::uint16_t>(rows, columns);
    check_pyramid<std::int16_t>(rows, columns);
    check_pyramid<float>(rows, columns);
    check_pyramid<double>(rows, columns);
  }
}

TEST(stationary_transform_and_shears_go_back) {
  const context ctx({.threads = 2});
  numbers random(4);
  const std::ptrdiff_t n = 48, b = 21;
  std::vector<double> x(static_cast<std::size_t>(n * b)), low(x.size()), high(x.size()), y(x.size());
  for (double& v : x) v = random.uniform(-1, 1);
  const auto close = [&] {
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::fabs(x[i] - y[i]));
    return worst < 1e-12;
  };
  for (const char* name : {"haar", "db4", "bior4.4"})
    for (const std::ptrdiff_t step : {1, 2, 8}) {
      const auto bank = multiscale::named_bank(name);
      multiscale::swt<double>(ctx, columns<const double>(x, n, b), bank, step, 1, columns<double>(low, n, b),
                              columns<double>(high, n, b));
      multiscale::iswt<double>(ctx, columns<const double>(low, n, b), columns<const double>(high, n, b), bank,
                               step, 1, columns<double>(y, n, b));
      CHECK(close());
    }
  low.resize(x.size() / 2);
  high.resize(x.size() / 2);
  for (const auto how : {multiscale::shears::haar, multiscale::shears::legall53, multiscale::shears::cdf97,
                         multiscale::shears::db2, multiscale::shears::bior13}) {
    multiscale::shear<double>(ctx, columns<const double>(x, n, b), how, columns<double>(low, n / 2, b),
                              columns<double>(high, n / 2, b));
    multiscale::unshear<double>(ctx, columns<const double>(low, n / 2, b),
                                columns<const double>(high, n / 2, b), how, columns<double>(y, n, b));
    CHECK(close());
    // <shear x, (v, w)> = <x, transposed unshear (v, w)>
    std::vector<double> v(low.size()), w(low.size());
    for (double& e : v) e = random.uniform(-1, 1);
    for (double& e : w) e = random.uniform(-1, 1);
    multiscale::unshear<double>(ctx, columns<const double>(v, n / 2, b), columns<const double>(w, n / 2, b),
                                how, columns<double>(y, n, b), true);
    double there = 0, back = 0;
    for (std::size_t i = 0; i < low.size(); ++i) there += low[i] * v[i] + high[i] * w[i];
    for (std::size_t i = 0; i < x.size(); ++i) back += x[i] * y[i];
    CHECK(std::fabs(there - back) < 1e-10);
    multiscale::shear<double>(ctx, columns<const double>(y, n, b), how, columns<double>(low, n / 2, b),
                              columns<double>(high, n / 2, b), true);  // and that goes back as well
    double worst = 0;
    for (std::size_t i = 0; i < low.size(); ++i)
      worst = std::max({worst, std::fabs(low[i] - v[i]), std::fabs(high[i] - w[i])});
    CHECK(worst < 1e-12);
  }
}

TEST_MAIN
