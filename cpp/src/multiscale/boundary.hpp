// How signals go on beyond their ends, and what of them one level looks at.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <lapwing/error.hpp>
#include <lapwing/multiscale.hpp>
#include <vector>

#include "../buffer.hpp"

namespace lapwing::multiscale {

inline std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

inline std::ptrdiff_t remainder(std::ptrdiff_t i, std::ptrdiff_t n) { return (i % n + n) % n; }

// f(a, index along axis a) for all axes of the position of that number, the first axis being the fastest.
template <class F>
void each_index(const std::vector<std::ptrdiff_t>& extent, std::ptrdiff_t number, F&& f) {
  for (std::size_t a = 0; a < extent.size(); ++a) {
    f(a, number % extent[a]);
    number /= extent[a];
  }
}

struct term {
  std::ptrdiff_t sample;
  double weight;
};

// The sample at any place i of a signal of n samples that goes on as the boundary says, in terms of those
// that there are.
inline std::vector<term> extension(std::ptrdiff_t i, std::ptrdiff_t n, boundary mode) {
  if (i >= 0 && i < n) return {{i, 1}};
  const std::ptrdiff_t twice = 2 * n, bounce = 2 * n - 2;
  switch (mode) {
    case boundary::zero:
      return {};
    case boundary::constant:
      return {{i < 0 ? 0 : n - 1, 1}};
    case boundary::symmetric:
    case boundary::antisymmetric: {
      const std::ptrdiff_t j = remainder(i, twice);
      const double sign = mode == boundary::symmetric ? 1 : -1;
      return {j < n ? term{j, 1} : term{twice - 1 - j, sign}};
    }
    case boundary::reflect: {
      const std::ptrdiff_t j = remainder(i, bounce);
      return {{j < n ? j : bounce - j, 1}};
    }
    case boundary::periodic:
      return {{remainder(i, n), 1}};
    case boundary::antireflect: {
      const std::ptrdiff_t j = remainder(i, bounce), rounds = (i - j) / bounce;
      const double far = 2 * static_cast<double>(rounds);
      std::vector<term> all = j < n ? std::vector<term>{{n - 1, far}, {0, -far}, {j, 1}}
                                    : std::vector<term>{{n - 1, far + 2}, {0, -far}, {bounce - j, -1}};
      std::erase_if(all, [](const term& t) { return t.weight == 0; });  // zero times NaN is NaN
      return all;
    }
    case boundary::smooth: {
      if (n == 1) return {{0, 1}};
      const std::ptrdiff_t end = i < 0 ? 0 : n - 1, next = i < 0 ? 1 : n - 2;
      const double steps = static_cast<double>(i < 0 ? -i : i - end);
      return {{end, 1 + steps}, {next, -steps}};
    }
    case boundary::periodization: {
      const std::ptrdiff_t even = n + n % 2;
      return {{std::min(remainder(i, even), n - 1), 1}};
    }
  }
  return {};
}

// Samples first ... last of a signal that goes on beyond its ends, and what those that are not there are made
// of.
struct extended {
  std::ptrdiff_t n, first, last;
  std::vector<std::vector<term>> before, after;  // first ... -1 and n ... last
  extended(std::ptrdiff_t n, std::ptrdiff_t first, std::ptrdiff_t last, boundary mode)
      : n(n), first(std::min<std::ptrdiff_t>(first, 0)), last(std::max(last, n - 1)) {
    for (std::ptrdiff_t i = this->first; i < 0; ++i) before.push_back(extension(i, n, mode));
    for (std::ptrdiff_t i = n; i <= this->last; ++i) after.push_back(extension(i, n, mode));
  }
  std::ptrdiff_t count() const { return last - first + 1; }
  bool inside(std::ptrdiff_t i) const { return i >= 0 && i < n; }
  const std::vector<term>& terms(std::ptrdiff_t i) const {
    return i < 0 ? before[at(i - first)] : after[at(i - n)];
  }
  template <class F>
  void each(F&& f) const {  // f(place, its terms) of all that are not there
    for (std::ptrdiff_t i = first; i < 0; ++i) f(i, terms(i));
    for (std::ptrdiff_t i = n; i <= last; ++i) f(i, terms(i));
  }
};

// Analysis: coefficient k sums f[j] X(2 k + base + j), f being the reversed filter.
struct analysis_plan {
  std::ptrdiff_t n, taps, count, base;
  extended signal;
  analysis_plan(std::ptrdiff_t n, std::ptrdiff_t taps, boundary mode)
      : n(n),
        taps(taps),
        count(dwt_length(n, taps, mode)),
        base((mode == boundary::periodization ? taps / 2 : 1) - taps + 1),
        signal(n, base, 2 * (count - 1) + base + taps - 1, mode) {}
};

// Synthesis: samples 2 p + shift and 2 p + 1 + shift sum over the coefficients p ... p + taps / 2 - 1; see
// columns_up. For pairs first ... last; the first sample of the first pair and the second of the last one may
// lie outside.
struct synthesis_plan {
  std::ptrdiff_t m, taps, count, shift, first, last;
  extended bands;  // wrapped round for periodization; otherwise nothing outside is looked at
  synthesis_plan(std::ptrdiff_t m, std::ptrdiff_t taps, boundary mode)
      : m(m),
        taps(taps),
        count(idwt_length(m, taps, mode)),
        shift(mode == boundary::periodization ? taps / 2 - 1 : 0),
        first(-((shift + 1) / 2)),
        last((count - 1 - shift) >> 1),
        bands(m, first, last + taps / 2 - 1, boundary::periodic) {}
};

template <class T>
std::vector<T> cast(const std::vector<double>& f, bool reversed) {
  std::vector<T> out(f.begin(), f.end());
  if (reversed) std::reverse(out.begin(), out.end());
  return out;
}
void check_bank(const filter_bank&);

template <class T>
void check_axis(const axis_view<T>& v, const std::vector<std::ptrdiff_t>& shape, std::ptrdiff_t axis,
                std::ptrdiff_t length, const char* what) {
  check(v.axis == axis && v.shape.size() == shape.size() && v.strides.size() == shape.size(), what,
        " must have the dimensions of the other arrays");
  for (std::size_t a = 0; a < shape.size(); ++a) {
    const std::ptrdiff_t wanted = static_cast<std::ptrdiff_t>(a) == axis ? length : shape[a];
    check(v.shape[a] == wanted, what, " must have ", wanted, " entries along axis ", a, ", got ", v.shape[a]);
  }
}

// The plans of one level, the arrays that it is between checked.
template <class X, class Y>
analysis_plan checked_analysis(const axis_view<X>& x, const filter_bank& bank, boundary mode,
                               const axis_view<Y>& low, const axis_view<Y>& high) {
  check_bank(bank);
  check(x.length() >= 1, "x must have at least one sample along its axis");
  check(x.length() > 1 || (mode != boundary::reflect && mode != boundary::antireflect),
        "x must have at least two samples to be reflected");
  const analysis_plan p(x.length(), bank.length(), mode);
  check_axis(low, x.shape, x.axis, p.count, "low");
  check_axis(high, x.shape, x.axis, p.count, "high");
  return p;
}
template <class X, class Y>
synthesis_plan checked_synthesis(const axis_view<X>& low, const axis_view<X>& high, const filter_bank& bank,
                                 boundary mode, const axis_view<Y>& y) {
  check_bank(bank);
  const std::ptrdiff_t m = low.length();
  check(m >= 1 && idwt_length(m, bank.length(), mode) >= 1, "low has too few coefficients for a filter of ",
        bank.length());
  const synthesis_plan p(m, bank.length(), mode);
  check_axis(high, low.shape, low.axis, m, "high");
  check_axis(y, low.shape, low.axis, p.count, "y");
  return p;
}

template <class T>
void scatter(const T* from, std::ptrdiff_t n, T* to, std::ptrdiff_t stride) {
  if (stride == 1)
    std::copy_n(from, n, to);
  else
    for (std::ptrdiff_t i = 0; i < n; ++i) to[i * stride] = from[i];
}

// make() for each of the threads.
template <class T>
std::vector<T> workers(const context& ctx, auto&& make) {
  std::vector<T> all;
  for (int w = 0; w < ctx.threads(); ++w) all.push_back(make());
  return all;
}

// Rows of an array that goes on beyond its ends. Those that are not there, or whose entries are not next to
// each other, are made in a ring that keeps the last `ring` rows asked for.
template <class T>
class row_source {
 public:
  row_source(const context& ctx, const extended& signal, std::ptrdiff_t width, std::ptrdiff_t ring)
      : signal_(&signal), ld_(round_up(width, 16)), made_(ctx, ld_ * (ring + 1)), held_(at(ring)) {
    std::fill_n(made_.data(), ld_, T(0));
  }
  // `step` from one entry of a row to the next.
  void look_at(const T* data, std::ptrdiff_t stride, std::ptrdiff_t step, std::ptrdiff_t width) {
    data_ = data;
    stride_ = stride;
    step_ = step;
    width_ = width;
    fetch_ = nullptr;
    stale_ = true;
  }
  // Rows that are made as they are asked for, and stay for as long as a window of rows is looked at.
  void look_at(const std::function<const T*(std::ptrdiff_t)>& fetch, std::ptrdiff_t width) {
    look_at(nullptr, 0, 1, width);
    fetch_ = &fetch;
  }
  // A row that may be looked at soon, to be called into the cache; null if it is not there.
  const T* soon(std::ptrdiff_t i) const {
    return signal_->inside(i) && step_ == 1 && !fetch_ ? data_ + i * stride_ : nullptr;
  }
  const T* row(std::ptrdiff_t i) {
    const bool inside = signal_->inside(i);
    if (inside && step_ == 1) return sample(i);
    if (!inside) {
      const auto& terms = signal_->terms(i);
      if (terms.empty()) return made_.data();
      if (terms.size() == 1 && terms[0].weight == 1 && step_ == 1) return sample(terms[0].sample);
    }
    if (stale_) {
      std::fill(held_.begin(), held_.end(), signal_->first - 1);
      stale_ = false;
    }
    const auto slot = remainder(i, static_cast<std::ptrdiff_t>(held_.size()));
    T* const to = made_.data() + (slot + 1) * ld_;
    if (held_[at(slot)] == i) return to;
    held_[at(slot)] = i;
    if (inside) {
      const T* from = sample(i);
      for (std::ptrdiff_t c = 0; c < width_; ++c) to[c] = from[c * step_];
      return to;
    }
    std::fill_n(to, width_, T(0));
    for (const term& t : signal_->terms(i)) {
      const T* from = sample(t.sample);
      const T w = static_cast<T>(t.weight);
      for (std::ptrdiff_t c = 0; c < width_; ++c) to[c] += w * from[c * step_];
    }
    return to;
  }
  // Rows first ... end - 1 behind those that are there.
  void rows(std::ptrdiff_t first, std::ptrdiff_t end, std::vector<const T*>& to) {
    std::size_t at_end = to.size();
    to.resize(at_end + at(end - first));
    for (std::ptrdiff_t i = first; i < end;) {
      if (step_ != 1 || fetch_ || !signal_->inside(i)) {
        to[at_end++] = row(i++);
        continue;
      }
      // small planes are many: these would take longer one by one than what is done with them
      for (const std::ptrdiff_t until = std::min(end, signal_->n); i < until; ++i)
        to[at_end++] = data_ + i * stride_;
    }
  }

 private:
  const T* sample(std::ptrdiff_t i) const { return fetch_ ? (*fetch_)(i) : data_ + i * stride_; }
  const extended* signal_;
  const std::function<const T*(std::ptrdiff_t)>* fetch_ = nullptr;
  const T* data_ = nullptr;
  std::ptrdiff_t stride_ = 0, step_ = 1, width_ = 0, ld_;
  buffer<T> made_;  // a row of zeros, then the ring
  std::vector<std::ptrdiff_t> held_;
  bool stale_ = true;  // nothing in the ring is of what is looked at
};

}  // namespace lapwing::multiscale
