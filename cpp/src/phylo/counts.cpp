// Similarities of aligned sequences: exact counts in bit planes, then a formula for each pair.
#include "counts.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/phylo.hpp>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "../buffer.hpp"
#include "../kernels/table.hpp"

namespace lapwing::phylo {
namespace {

constexpr std::ptrdiff_t tile = most_pairs;  // rows of a square of pairs
constexpr std::ptrdiff_t most_states = 64;
constexpr int plane_states = 6;  // joint counts: up to here a plane for each state, above by site

// Sequences as bit planes: `planes` of them, then the sites in use.
struct packed {
  std::ptrdiff_t planes = 0, words = 0, stride = 0;
  buffer<std::uint64_t> bits;
  const std::uint64_t* row(std::ptrdiff_t i) const { return bits.data() + i * stride; }
};

// plane_of(state) has bit p set if the state is in plane p
template <class F>
packed pack(const context& ctx, matrix_view<const std::uint8_t> codes, int planes, F&& plane_of) {
  packed p;
  p.planes = planes;
  p.words = round_up((codes.cols + 63) / 64, 8);
  p.stride = (planes + 1) * p.words;
  p.bits = buffer<std::uint64_t>(ctx, codes.rows * p.stride);
  ctx.parallel_for(codes.rows, 8, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      std::uint64_t* to = p.bits.data() + i * p.stride;
      std::fill_n(to, p.stride, 0);
      for (std::ptrdiff_t j = 0; j < codes.cols; ++j) {
        const std::uint8_t state = codes(i, j);
        if (state == missing) continue;
        const std::uint64_t bit = std::uint64_t{1} << (j % 64);
        for (std::uint64_t in = plane_of(state); in; in &= in - 1)
          to[std::countr_zero(in) * p.words + j / 64] |= bit;
        to[planes * p.words + j / 64] |= bit;
      }
    }
  });
  return p;
}

// What is too small for T is 0, never a number with fewer digits.
template <class T>
T narrow(double x) {
  return x < static_cast<double>(std::numeric_limits<T>::min()) ? T{0} : static_cast<T>(x);
}

// Calls pairs(i, first, last, out) for a row and the rows first to last - 1 < i of a square, which fills out.
// split > 0: only for the rows from there on, and those before it.
template <class T>
similarity_result fill(const context& ctx, std::ptrdiff_t m, std::ptrdiff_t split, matrix_view<T> s,
                       const pair_function& pairs) {
  const auto squares = [](std::ptrdiff_t rows) { return (rows + tile - 1) / tile; };
  const std::ptrdiff_t across_all = squares(split),
                       all = split > 0 ? squares(m - split) * across_all : squares(m) * (squares(m) + 1) / 2;
  std::vector<similarity_result> parts(static_cast<std::size_t>(all));
  ctx.parallel_for(all, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    std::vector<double> values(static_cast<std::size_t>(tile));
    for (std::ptrdiff_t q = lo; q < hi; ++q) {
      if (ctx.checkpoint(worker)) return;
      similarity_result& part = parts[static_cast<std::size_t>(q)];
      if (split > 0) {
        const std::ptrdiff_t top = split + q / across_all * tile, first = q % across_all * tile,
                             last = std::min(split, first + tile);
        for (std::ptrdiff_t i = top; i < std::min(m, top + tile); ++i) {
          pairs(i, first, last, values.data(), part);
          std::transform(values.data(), values.data() + (last - first), &s(i - split, first), narrow<T>);
        }
        continue;
      }
      // square q of the lower triangle, row after row
      std::ptrdiff_t down =
          static_cast<std::ptrdiff_t>((std::sqrt(8.0 * static_cast<double>(q) + 1) - 1) / 2);
      while (down * (down + 1) / 2 > q) --down;
      while ((down + 1) * (down + 2) / 2 <= q) ++down;
      const std::ptrdiff_t across = q - down * (down + 1) / 2;
      for (std::ptrdiff_t i = down * tile; i < std::min(m, (down + 1) * tile); ++i) {
        const std::ptrdiff_t first = across * tile, last = std::min(i, first + tile);
        if (last > first) pairs(i, first, last, values.data(), part);
        for (std::ptrdiff_t j = first; j < last; ++j)
          s(i, j) = s(j, i) = narrow<T>(values[static_cast<std::size_t>(j - first)]);
        if (across == down) s(i, i) = 1;
      }
    }
  });
  similarity_result r;
  for (const similarity_result& part : parts) {
    r.saturated += part.saturated;
    r.apart += part.apart;
    // the first in the order of (smaller row, larger row)
    if (part.first[0] >= 0 &&
        (r.first[0] < 0 || std::pair(part.first[0], part.first[1]) < std::pair(r.first[0], r.first[1])))
      std::copy_n(part.first, 2, r.first);
  }
  return r;
}

// Into [0, 1]; what is not above 0 in normal numbers is saturated.
double finish(double s, similarity_result& r) {
  if (!usable(s)) {
    ++r.saturated;
    return 0;
  }
  return std::min(s, 1.0);
}
double no_overlap(std::ptrdiff_t i, std::ptrdiff_t j, similarity_result& r) {
  ++r.apart;
  if (r.first[0] < 0 || std::pair(j, i) < std::pair(r.first[0], r.first[1])) {
    r.first[0] = j;
    r.first[1] = i;
  }
  return 0;
}

// -log x, averaged over rates of the sites
double depth(double x, double gamma) {
  return gamma > 0 ? gamma * (std::pow(x, -1 / gamma) - 1) : -std::log(x);
}

// What is taken the logarithm of falls by `step` for one more site that differs. What is left below this part
// of a step is 0 for all the data can tell: a logarithm of it would be an arbitrary, huge distance. (0.41: no
// whole number of k-ths.)
constexpr double resolved = 0.41;

struct jukes_cantor {
  double k, power, gamma;
  double operator()(std::int32_t valid, std::int32_t unlike) const {
    const double b = 1 - static_cast<double>(unlike) / static_cast<double>(valid) * k / (k - 1);
    if (unlike == 0) return 1;
    if (b * static_cast<double>(valid) < resolved * k / (k - 1)) return 0;
    return gamma > 0 ? std::exp(-power * depth(b, gamma)) : std::pow(b, power);
  }
};

pair_function pairs_jc(const context& ctx, matrix_view<const std::uint8_t> codes,
                       const similarity_options& o) {
  const int planes = std::bit_width(static_cast<unsigned>(o.states - 1));
  const auto p = std::make_shared<const packed>(
      pack(ctx, codes, planes, [](std::uint8_t state) { return static_cast<std::uint64_t>(state); }));
  const auto& kernel = kernels::get<double>(ctx.level());
  const double k = o.states;
  const jukes_cantor formula{k, (k - 1) * o.alpha, o.gamma};
  // Without gaps there are but n + 1 answers.
  const std::ptrdiff_t n = codes.cols, overlap = o.overlap;
  std::vector<double> table;
  for (std::ptrdiff_t x = 0; x <= n; ++x)
    table.push_back(formula(static_cast<std::int32_t>(n), static_cast<std::int32_t>(x)));
  return [=, &kernel, table = std::move(table)](std::ptrdiff_t i, std::ptrdiff_t first, std::ptrdiff_t last,
                                                double* out, similarity_result& r) {
    std::int32_t counts[2 * tile];
    kernel.count_differences(p->row(i), p->row(first), p->stride, last - first, planes, p->words, counts);
    for (std::ptrdiff_t j = first; j < last; ++j) {
      const std::int32_t valid = counts[2 * (j - first)], unlike = counts[2 * (j - first) + 1];
      if (valid < overlap)
        out[j - first] = no_overlap(i, j, r);
      else
        out[j - first] =
            finish(valid == n ? table[static_cast<std::size_t>(unlike)] : formula(valid, unlike), r);
    }
  };
}

// One pair by Tamura and Nei; g: frequencies of A, C, G, T.
double tamura_nei(const double* g, double valid, double transversions, double purines, double pyrimidines,
                  double alpha, double gamma) {
  const double r = g[0] + g[2], y = g[1] + g[3];
  const double q = transversions / valid, p1 = purines / valid, p2 = pyrimidines / valid;
  const double ag = g[0] * g[2], ct = g[1] * g[3];
  double d = 0;
  const auto term = [&](double weight, double x, double step) {
    if (x * valid < resolved * step) return false;
    d += weight * depth(x, gamma);
    return true;
  };
  if (r == 0 || y == 0) {  // one class alone: changes within it
    const double product = r == 0 ? ct : ag;
    if (product == 0) return 1;
    return term(product, 1 - (p1 + p2) / (2 * product), 1 / (2 * product)) ? std::exp(-8 * alpha * d) : 0;
  }
  if (ag > 0 && !term(ag / r, 1 - r / (2 * ag) * p1 - q / (2 * r), std::max(r / (2 * ag), 1 / (2 * r))))
    return 0;
  if (ct > 0 && !term(ct / y, 1 - y / (2 * ct) * p2 - q / (2 * y), std::max(y / (2 * ct), 1 / (2 * y))))
    return 0;
  if (!term(r * y - ag * y / r - ct * r / y, 1 - q / (2 * r * y), 1 / (2 * r * y))) return 0;
  return std::exp(-8 * alpha * d);  // the distance is 2 d
}

pair_function pairs_tn93(const context& ctx, matrix_view<const std::uint8_t> codes,
                         const similarity_options& o) {
  const std::ptrdiff_t m = codes.rows;
  // A and G are purines (plane 0 clear); plane 1 tells the two of a class apart
  const auto p = std::make_shared<const packed>(pack(ctx, codes, 2, [](std::uint8_t state) {
    return static_cast<std::uint64_t>((state & 1) | (state >> 1) << 1);
  }));
  std::vector<double> frequency(static_cast<std::size_t>(4 * m));
  ctx.parallel_for(m, 8, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i) {
      std::int64_t count[4] = {};
      for (std::ptrdiff_t j = 0; j < codes.cols; ++j)
        if (codes(i, j) != missing) ++count[codes(i, j)];
      for (int x = 0; x < 4; ++x)
        frequency[static_cast<std::size_t>(4 * i + x)] = static_cast<double>(count[x]);
    }
  });
  std::array<double, 4> pooled{};
  double total = 0;
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    double* f = frequency.data() + 4 * i;
    const double sum = f[0] + f[1] + f[2] + f[3];
    for (int x = 0; x < 4; ++x) {
      pooled[x] += f[x];  // whole numbers: exact
      f[x] = sum > 0 ? f[x] / sum : 0;
    }
    total += sum;
  }
  for (double& x : pooled) x = total > 0 ? x / total : 0;
  const auto& kernel = kernels::get<double>(ctx.level());
  return [=, &kernel, frequency = std::move(frequency)](
             std::ptrdiff_t i, std::ptrdiff_t first, std::ptrdiff_t last, double* out, similarity_result& r) {
    std::int32_t counts[4 * tile];
    kernel.count_changes(p->row(i), p->row(first), p->stride, last - first, p->words, counts);
    for (std::ptrdiff_t j = first; j < last; ++j) {
      const std::int32_t* c = counts + 4 * (j - first);
      if (c[0] < o.overlap) {
        out[j - first] = no_overlap(i, j, r);
        continue;
      }
      if (c[1] + c[2] + c[3] == 0) {
        out[j - first] = 1;
        continue;
      }
      double g[4];
      for (std::size_t x = 0; x < 4; ++x)
        g[x] = o.pooled ? pooled[x]
                        : (frequency[4 * static_cast<std::size_t>(i) + x] +
                           frequency[4 * static_cast<std::size_t>(j) + x]) /
                              2;
      out[j - first] = finish(tamura_nei(g, c[0], c[1], c[2], c[3], o.alpha, o.gamma), r);
    }
  };
}

// Determinant by elimination with row exchanges; destroys a.
double determinant(double* a, int k) {
  double det = 1;
  for (int c = 0; c < k; ++c) {
    int pivot = c;
    for (int i = c + 1; i < k; ++i)
      if (std::abs(a[i * k + c]) > std::abs(a[pivot * k + c])) pivot = i;
    if (a[pivot * k + c] == 0) return 0;
    if (pivot != c) {
      std::swap_ranges(a + c * k, a + (c + 1) * k, a + pivot * k);
      det = -det;
    }
    det *= a[c * k + c];
    for (int i = c + 1; i < k; ++i) {
      const double factor = a[i * k + c] / a[c * k + c];
      for (int j = c; j < k; ++j) a[i * k + j] -= factor * a[c * k + j];
    }
  }
  return det;
}

// joint: k x k counts of a pair, destroyed
double paralinear(double* joint, int k, double alpha) {
  int kept[most_states], size = 0;
  double row[most_states] = {}, column[most_states] = {};
  for (int x = 0; x < k; ++x)
    for (int y = 0; y < k; ++y) {
      row[x] += joint[x * k + y];
      column[y] += joint[x * k + y];
    }
  for (int x = 0; x < k; ++x)
    if (row[x] > 0 || column[x] > 0) kept[size++] = x;
  // rows scaled to sum 1, columns afterwards by their sums' square roots: a determinant of order 1
  double scale = 1;
  for (int a = 0; a < size; ++a) {
    if (row[kept[a]] == 0 || column[kept[a]] == 0) return 0;
    for (int b = 0; b < size; ++b) joint[a * size + b] = joint[kept[a] * k + kept[b]] / row[kept[a]];
    scale *= row[kept[a]] / column[kept[a]];
  }
  const double s = determinant(joint, size) * std::sqrt(scale);
  return s > 0 ? std::pow(s, alpha) : 0;
}

pair_function pairs_logdet(const context& ctx, matrix_view<const std::uint8_t> codes,
                           const similarity_options& o) {
  const int k = o.states;
  const bool planes = k <= plane_states;  // one for each state
  const auto p =
      std::make_shared<const packed>(pack(ctx, codes, planes ? k : 0, [planes](std::uint8_t state) {
        return planes ? std::uint64_t{1} << state : std::uint64_t{0};
      }));
  const auto& kernel = kernels::get<double>(ctx.level());
  return [=, &kernel](std::ptrdiff_t i, std::ptrdiff_t first, std::ptrdiff_t last, double* out,
                      similarity_result& r) {
    std::vector<std::int64_t> count(static_cast<std::size_t>(k * k));
    std::vector<double> joint(count.size());
    for (std::ptrdiff_t j = first; j < last; ++j) {
      if (planes) {
        for (int x = 0; x < k; ++x)
          for (int y = 0; y < k; ++y)
            count[static_cast<std::size_t>(x * k + y)] =
                kernel.count_shared(p->row(i) + x * p->words, p->row(j) + y * p->words, p->words);
      } else {
        std::fill(count.begin(), count.end(), 0);
        const std::uint8_t *a = &codes(i, 0), *b = &codes(j, 0);
        for (std::ptrdiff_t c = 0; c < codes.cols; ++c)
          if (a[c] != missing && b[c] != missing) ++count[static_cast<std::size_t>(a[c] * k + b[c])];
      }
      std::int64_t valid = 0, unlike = 0;
      for (int x = 0; x < k; ++x)
        for (int y = 0; y < k; ++y) {
          const std::size_t at = static_cast<std::size_t>(x * k + y);
          valid += count[at];
          unlike += x != y ? count[at] : 0;
          joint[at] = static_cast<double>(count[at]) + o.pseudocount;
        }
      if (valid < o.overlap)
        out[j - first] = no_overlap(i, j, r);
      else
        out[j - first] =
            unlike == 0 && o.pseudocount == 0 ? 1 : finish(paralinear(joint.data(), k, o.alpha), r);
    }
  };
}

}  // namespace

pair_function pairs_of(const context& ctx, matrix_view<const std::uint8_t> codes,
                       const similarity_options& o) {
  check(codes.rows >= 1 && codes.cols >= 1, "codes must not be empty, got ", codes.rows, " x ", codes.cols);
  check(codes.cols < std::numeric_limits<std::int32_t>::max(), "codes has too many sites: ", codes.cols);
  check(o.states >= 2 && o.states <= most_states, "states must be between 2 and ", most_states, ", got ",
        o.states);
  check(o.model != substitution_model::tn93 || o.states == 4, "tn93 needs 4 states, got ", o.states);
  check(o.alpha > 0, "alpha must be > 0, got ", o.alpha);
  check(o.gamma >= 0, "gamma must be >= 0, got ", o.gamma);
  check(o.gamma == 0 || o.model != substitution_model::logdet, "logdet has no gamma");
  check(o.pseudocount >= 0, "pseudocount must be >= 0, got ", o.pseudocount);
  check(o.overlap >= 1, "overlap must be >= 1, got ", o.overlap);
  for (std::ptrdiff_t i = 0; i < codes.rows; ++i)
    for (std::ptrdiff_t j = 0; j < codes.cols; ++j)
      check(codes(i, j) < o.states || codes(i, j) == missing, "codes(", i, ", ", j, ") is ", int{codes(i, j)},
            ", but there are ", o.states, " states");
  switch (o.model) {
    case substitution_model::jc:
      return pairs_jc(ctx, codes, o);
    case substitution_model::tn93:
      return pairs_tn93(ctx, codes, o);
    case substitution_model::logdet:
      break;
  }
  return pairs_logdet(ctx, codes, o);
}

namespace {

template <class T>
similarity_result similarity_of(const context& ctx, matrix_view<const std::uint8_t> codes,
                                const similarity_options& o, matrix_view<T> s) {
  check(o.split >= 0 && o.split < std::max<std::ptrdiff_t>(1, codes.rows), "split must be between 0 and ",
        codes.rows - 1, ", got ", o.split);
  const std::ptrdiff_t rows = codes.rows - o.split, cols = o.split > 0 ? o.split : codes.rows;
  check(s.rows == rows && s.cols == cols, "s must be ", rows, " x ", cols, ", got ", s.rows, " x ", s.cols);
  return fill(ctx, codes.rows, o.split, s, pairs_of(ctx, codes, o));
}

// Whether a square of x and its mirror image are the same, finite, not negative, and within the bounds so
// far: most are, and this is told many entries at a time.
template <class T>
bool dull(matrix_view<const T> x, std::ptrdiff_t row, std::ptrdiff_t column, const matrix_facts& f) {
  constexpr std::ptrdiff_t lanes = 8;
  const std::ptrdiff_t first = row * tile, count = std::min(x.rows - first, tile);
  T mirror[tile * tile];
  for (std::ptrdiff_t j = 0; j < tile; ++j)
    for (std::ptrdiff_t i = 0; i < count; ++i) mirror[i * tile + j] = x(column * tile + j, first + i);
  T low[lanes], high[lanes];
  std::int64_t unlike = 0;
  std::fill_n(low, lanes, static_cast<T>(std::max(0.0, f.low)));
  std::fill_n(high, lanes, static_cast<T>(f.high));
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const T *a = &x(first + i, column * tile), *b = mirror + i * tile;
    for (std::ptrdiff_t j = 0; j < tile; j += lanes)
      for (std::ptrdiff_t k = 0; k < lanes; ++k) {
        unlike += !(a[j + k] == b[j + k]);  // NaN is not itself
        low[k] = a[j + k] < low[k] ? a[j + k] : low[k];
        high[k] = a[j + k] > high[k] ? a[j + k] : high[k];  // infinity is above
      }
  }
  bool same = unlike == 0;
  for (std::ptrdiff_t k = 0; k < lanes; ++k)
    same = same && static_cast<double>(low[k]) >= std::max(0.0, f.low) &&
           static_cast<double>(high[k]) <= f.high && std::isfinite(high[k]);
  return same;
}

template <class T>
matrix_facts inspect_any(const context& ctx, matrix_view<const T> x) {
  const std::ptrdiff_t m = x.rows, squares = (m + tile - 1) / tile;
  check(x.cols == m && m >= 1, "x must be square, got ", m, " x ", x.cols);
  std::vector<matrix_facts> parts(static_cast<std::size_t>(squares));
  // the first in the order of rows wins
  const auto note = [](bool better, bool equal, double value, std::ptrdiff_t place, double& best,
                       std::ptrdiff_t& where) {
    if (better || (equal && (where < 0 || place < where))) {
      best = value;
      where = place;
    }
  };
  ctx.parallel_for(squares, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    for (std::ptrdiff_t row = lo; row < hi; ++row) {
      if (ctx.checkpoint(worker)) return;
      matrix_facts& f = parts[static_cast<std::size_t>(row)];
      f.low = f.high = static_cast<double>(x(row * tile, row * tile));
      for (std::ptrdiff_t column = 0; column <= row; ++column) {
        if (column < row && dull(x, row, column, f)) continue;
        for (std::ptrdiff_t i = row * tile; i < std::min(m, (row + 1) * tile); ++i)
          for (std::ptrdiff_t j = column * tile; j < std::min(i + 1, (column + 1) * tile); ++j) {
            const double a = static_cast<double>(x(i, j)), b = static_cast<double>(x(j, i));
            const std::ptrdiff_t here = i * m + j, there = j * m + i;
            if (!std::isfinite(a) || !std::isfinite(b)) {
              const bool first = !std::isfinite(b);  // (j, i) comes before (i, j)
              f.bad += !std::isfinite(a) + (first && i != j);
              const std::ptrdiff_t place = first ? there : here;
              if (f.first_bad < 0 || place < f.first_bad) f.first_bad = place;
              continue;
            }
            const double off = std::abs(a - b);
            if (off > 0)
              note(off > f.asymmetry, off == f.asymmetry, off, there, f.asymmetry, f.where_asymmetric);
            const double least = std::min(a, b), most = std::max(a, b);
            if (least <= f.low || f.where_low < 0)
              note(least < f.low, least == f.low, least, b == least ? there : here, f.low, f.where_low);
            if (most >= f.high || f.where_high < 0)
              note(most > f.high, most == f.high, most, b == most ? there : here, f.high, f.where_high);
            f.negative += (a < 0) + (b < 0 && i != j);
          }
      }
    }
  });
  matrix_facts all = parts[0];
  for (std::size_t p = 1; p < parts.size(); ++p) {
    const matrix_facts& f = parts[p];
    all.bad += f.bad;
    all.negative += f.negative;
    if (f.first_bad >= 0 && (all.first_bad < 0 || f.first_bad < all.first_bad)) all.first_bad = f.first_bad;
    if (f.where_asymmetric >= 0)
      note(f.asymmetry > all.asymmetry, f.asymmetry == all.asymmetry, f.asymmetry, f.where_asymmetric,
           all.asymmetry, all.where_asymmetric);
    if (f.where_low >= 0) note(f.low < all.low, f.low == all.low, f.low, f.where_low, all.low, all.where_low);
    if (f.where_high >= 0)
      note(f.high > all.high, f.high == all.high, f.high, f.where_high, all.high, all.where_high);
  }
  return all;
}

template <class T>
double distances_of(const context& ctx, matrix_view<const T> s, matrix_view<T> d) {
  const std::ptrdiff_t m = s.rows;
  check(s.cols == m && d.rows == m && d.cols == m, "s and d must be square and alike, got ", s.rows, " x ",
        s.cols, " and ", d.rows, " x ", d.cols);
  const std::ptrdiff_t squares = (m + tile - 1) / tile;
  std::vector<double> top(static_cast<std::size_t>(squares), 0.0);
  const auto& kernel = kernels::get<double>(ctx.level());
  constexpr double ln2 = 0.693147180559945309417;
  // -1 marks the pairs without a distance until the largest is known
  ctx.parallel_for(squares, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int worker) {
    double value[tile], one[tile], exponent[tile];
    std::fill_n(one, tile, 1.0);
    for (std::ptrdiff_t row = lo; row < hi; ++row) {
      if (ctx.checkpoint(worker)) return;
      double& most = top[static_cast<std::size_t>(row)];
      for (std::ptrdiff_t column = 0; column <= row; ++column)
        for (std::ptrdiff_t i = row * tile; i < std::min(m, (row + 1) * tile); ++i) {
          const std::ptrdiff_t first = column * tile, last = std::min(i, first + tile);
          if (column == row) d(i, i) = 0;
          if (last <= first) continue;
          for (std::ptrdiff_t j = first; j < last; ++j) {
            const double x = static_cast<double>(s(i, j));
            value[j - first] = usable(x) ? x : 1;
          }
          kernel.log2_ratio(value, one, exponent, last - first);
          for (std::ptrdiff_t j = first; j < last; ++j) {
            const bool known = usable(static_cast<double>(s(i, j)));
            const T x = static_cast<T>(known ? std::max(0.0, -ln2 * exponent[j - first]) : -1.0);
            most = std::max(most, static_cast<double>(x));
            d(i, j) = d(j, i) = x;
          }
        }
    }
  });
  const double most = *std::max_element(top.begin(), top.end());
  ctx.parallel_for(m, 64, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
    for (std::ptrdiff_t i = lo; i < hi; ++i)
      for (std::ptrdiff_t j = 0; j < m; ++j) d(i, j) = d(i, j) < 0 ? static_cast<T>(most) : d(i, j);
  });
  return most;
}

}  // namespace

similarity_result similarity(const context& ctx, matrix_view<const std::uint8_t> codes,
                             const similarity_options& o, matrix_view<double> s) {
  return similarity_of(ctx, codes, o, s);
}
similarity_result similarity(const context& ctx, matrix_view<const std::uint8_t> codes,
                             const similarity_options& o, matrix_view<float> s) {
  return similarity_of(ctx, codes, o, s);
}

matrix_facts inspect(const context& ctx, matrix_view<const double> x) { return inspect_any(ctx, x); }
matrix_facts inspect(const context& ctx, matrix_view<const float> x) { return inspect_any(ctx, x); }

void gram(const context& ctx, matrix_view<const double> x, matrix_view<double> out) {
  const std::ptrdiff_t m = x.rows, n = x.cols;
  check(out.rows == m && out.cols == m, "out must be ", m, " x ", m, ", got ", out.rows, " x ", out.cols);
  constexpr std::ptrdiff_t panel = 256;  // columns of x at a time
  const std::ptrdiff_t squares = (m + tile - 1) / tile, width = squares * tile;
  // the panel by columns: block_gram multiplies tall blocks
  buffer<double> tall(ctx, panel * width);
  const auto& kernel = kernels::get<double>(ctx.level());
  for (std::ptrdiff_t i = 0; i < m; ++i) std::fill_n(&out(i, 0), m, 0.0);
  for (std::ptrdiff_t from = 0; from < n; from += panel) {
    const std::ptrdiff_t count = std::min(panel, n - from);
    ctx.poll();
    ctx.parallel_for(squares, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      for (std::ptrdiff_t i = lo * tile; i < hi * tile; ++i)
        for (std::ptrdiff_t j = 0; j < count; ++j) tall[j * width + i] = i < m ? x(i, from + j) : 0;
    });
    ctx.parallel_for(squares * (squares + 1) / 2, 1, [&](std::ptrdiff_t lo, std::ptrdiff_t hi, int) {
      double part[tile * tile];
      for (std::ptrdiff_t q = lo; q < hi; ++q) {
        std::ptrdiff_t down = 0;
        while ((down + 1) * (down + 2) / 2 <= q) ++down;
        const std::ptrdiff_t across = q - down * (down + 1) / 2;
        std::fill_n(part, tile * tile, 0.0);
        kernel.block_gram(tall.data() + down * tile, width, tile, tall.data() + across * tile, width, tile,
                          nullptr, count, part);
        for (std::ptrdiff_t i = down * tile; i < std::min(m, (down + 1) * tile); ++i)
          for (std::ptrdiff_t j = across * tile; j < std::min(m, (across + 1) * tile); ++j)
            out(i, j) += part[(i - down * tile) * tile + j - across * tile];
      }
    });
  }
  for (std::ptrdiff_t i = 0; i < m; ++i)
    for (std::ptrdiff_t j = 0; j < i; ++j) out(j, i) = out(i, j);
}

double distances(const context& ctx, matrix_view<const double> s, matrix_view<double> d) {
  return distances_of(ctx, s, d);
}
double distances(const context& ctx, matrix_view<const float> s, matrix_view<float> d) {
  return distances_of(ctx, s, d);
}

}  // namespace lapwing::phylo
