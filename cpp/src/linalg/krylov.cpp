#include "krylov.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "small.hpp"

namespace lapwing::linalg {

krylov_result krylov(const context& ctx, std::ptrdiff_t n, const block_operator& apply,
                     const projector& project, const panels& locked, const krylov_options& o) {
  const std::ptrdiff_t fixed = locked.cols(), p = o.width,
                       capacity = round_up(std::max(o.basis, o.k + 2 * p), p);
  krylov_result r;
  // The basis in panels of at most p columns; behind it what A makes of the last one.
  std::vector<block> store;
  panels v = locked;     // and then the basis
  std::size_t used = 0;  // of store
  std::uint64_t seed = o.seed;
  const auto next_panel = [&](std::ptrdiff_t count) {
    if (used == store.size()) store.emplace_back(ctx, n, p);
    return store[used].view(0, count);
  };
  const auto basis = [&] { return panels(v.begin() + static_cast<std::ptrdiff_t>(locked.size()), v.end()); };
  fill_normal(ctx, next_panel(p), seed++);
  std::ptrdiff_t fresh = orthonormalise(ctx, nullptr, project, v, next_panel(p)), size = 0;
  const auto accept = [&] {  // the next panel's first `fresh` columns become part of the basis
    v.push_back(next_panel(fresh));
    ++used;
    size += fresh;
  };
  accept();
  small_matrix t(static_cast<std::size_t>((capacity + p) * (capacity + p)), 0.0);
  const std::ptrdiff_t ld = capacity + p;
  const auto at = [&](std::ptrdiff_t i, std::ptrdiff_t j) -> double& {
    return t[static_cast<std::size_t>(i * ld + j)];
  };
  symmetric_eigenpairs e;
  bool exhausted = false;
  bool arrow = false;  // the last panel may be coupled with all of the basis
  const auto pick = [&](std::ptrdiff_t c) { return o.largest ? size - 1 - c : c; };  // best first
  for (int step = 1;; ++step) {
    // y = A (last block), its products with the basis, and what is left of it
    const matrix_view<double> y = next_panel(fresh);
    small_matrix rest;  // Y^T Y
    if (fresh > 0) {
      apply(ctx, v.back(), y);
      r.products += fresh;
      project(ctx, y);
      // Only with the last two panels has y more in common than rounding errors, unless the basis is new:
      // they come first, and a pass over all of it mends the rest where there is need.
      std::size_t from = arrow || v.size() < locked.size() + 2 ? 0 : v.size() - 2;
      panels near(v.begin() + static_cast<std::ptrdiff_t>(from), v.end());
      small_matrix c = gram(ctx, near, y, nullptr);
      const std::ptrdiff_t before = size - fresh;
      for (std::ptrdiff_t i = 0; i < size; ++i)
        for (std::ptrdiff_t j = 0; j < fresh; ++j) at(i, before + j) = 0;
      for (int pass = 0; pass < 2; ++pass) {
        const std::ptrdiff_t absent = v.cols() - static_cast<std::ptrdiff_t>(c.size()) / fresh;
        for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(absent - fixed, 0); i < size; ++i)
          for (std::ptrdiff_t j = 0; j < fresh; ++j)
            at(i, before + j) += c[static_cast<std::size_t>((fixed + i - absent) * fresh + j)];
        const small_matrix g = deflate(ctx, v, c, y, nullptr, from);
        from = 0;
        const auto split = g.begin() + (fixed + size) * fresh;
        c.assign(g.begin(), split);
        rest.assign(split, g.end());
        bool clean = true;  // nothing of the basis is left beyond rounding
        for (std::ptrdiff_t j = 0; j < fresh; ++j) {
          const double length = std::sqrt(rest[static_cast<std::size_t>(j * fresh + j)]);
          for (std::ptrdiff_t i = 0; i < fixed + size; ++i)
            clean = clean && std::abs(c[static_cast<std::size_t>(i * fresh + j)]) <= 1e-14 * length;
        }
        if (clean) break;
      }
      project(ctx, y);
      arrow = false;
    }
    for (std::ptrdiff_t i = 0; i < size; ++i)
      for (std::ptrdiff_t j = size - fresh; j < size; ++j) {
        if (i < size - fresh) {
          at(j, i) = at(i, j);
        } else if (i < j) {
          at(i, j) = at(j, i) = (at(i, j) + at(j, i)) / 2;
        }
      }
    const bool full = size + fresh > capacity;
    const bool last_step = exhausted || r.products >= o.max_products || step >= o.max_steps;
    const bool look = full || p >= 8 || step % o.look == 0 || last_step;
    std::ptrdiff_t good = 0;
    double worst = 0;
    if (look) {
      small_matrix h(static_cast<std::size_t>(size * size));
      for (std::ptrdiff_t i = 0; i < size; ++i)
        for (std::ptrdiff_t j = 0; j < size; ++j) h[static_cast<std::size_t>(i * size + j)] = at(i, j);
      e = symmetric_eigen(h, size);
      for (std::ptrdiff_t c = 0; c < std::min(o.k, size); ++c) {
        // |A u - theta u| = |y (last rows of the eigenvector)|
        double square = 0;
        for (std::ptrdiff_t i = 0; i < fresh; ++i)
          for (std::ptrdiff_t j = 0; j < fresh; ++j)
            square += e.vectors[static_cast<std::size_t>((size - fresh + i) * size + pick(c))] *
                      rest[static_cast<std::size_t>(i * fresh + j)] *
                      e.vectors[static_cast<std::size_t>((size - fresh + j) * size + pick(c))];
        const double error =
            std::sqrt(std::max(square, 0.0)) /
            o.scale(e.values[static_cast<std::size_t>(pick(c))], e.values[static_cast<std::size_t>(pick(0))]);
        worst = std::max(worst, error);
        good += error <= o.tol;
      }
      r.stopped = ctx.report(o.stage, step, worst) || r.stopped;
    } else {
      ctx.poll();
    }
    if (look && (good == o.k || r.stopped || last_step)) {
      const std::ptrdiff_t back = std::min(o.k + o.more, size);
      small_matrix s(static_cast<std::size_t>(size * back));
      for (std::ptrdiff_t c = 0; c < back; ++c) {
        r.values.push_back(e.values[static_cast<std::size_t>(pick(c))]);
        for (std::ptrdiff_t i = 0; i < size; ++i)
          s[static_cast<std::size_t>(i * back + c)] = e.vectors[static_cast<std::size_t>(i * size + pick(c))];
      }
      r.vectors = block(ctx, n, back);
      combine(ctx, basis(), s, r.vectors.view(0, back));
      r.converged = good;
      r.steps = step;
      return r;
    }
    // The next block: y made orthonormal (it is orthogonal to the basis already).
    std::ptrdiff_t kept = 0;
    double smallest = 0;
    const std::ptrdiff_t last = fresh;
    double scale = 0;  // of the operator: what is left of y below its rounding is nothing
    for (std::ptrdiff_t i = 0; i < size; ++i) scale = std::max(scale, std::abs(at(i, i)));
    const double floor = 1e-28 * scale * scale;
    bool tiny = false;  // a column that is made some 1e8 times longer: not orthogonal to the basis then
    for (std::ptrdiff_t j = 0; j < fresh; ++j) {
      const double square = rest[static_cast<std::size_t>(j * fresh + j)];
      tiny = tiny || (square > floor && square < 1e-16 * scale * scale);
    }
    const small_matrix root = whiten(rest, fresh, floor, 1e-26, kept, &smallest);
    rotate(ctx, y, root, next_panel(kept));
    fresh = kept;
    if (kept > 0 && (tiny || smallest < 1e-8)) {  // scaling has brought rounding errors up
      fresh = orthonormalise(ctx, nullptr, project, v, next_panel(kept));
    } else if (kept > 0 && smallest < 0.1) {
      const small_matrix again =
          whiten(gram(ctx, next_panel(kept), next_panel(kept), nullptr), kept, 0.0, 1e-13, fresh);
      rotate(ctx, next_panel(kept), again, next_panel(fresh));
    }
    if (fresh == 0) {  // an invariant subspace: go on with something random
      fill_normal(ctx, next_panel(last), seed++);
      fresh = orthonormalise(ctx, nullptr, project, v, next_panel(last));
      exhausted = fresh == 0;  // there is nothing else: what T holds is exact
      arrow = true;
    }
    if (full) {
      const std::ptrdiff_t keep = std::min(o.k + (capacity - o.k) / 3, size - 1);
      small_matrix s(static_cast<std::size_t>(size * keep));
      for (std::ptrdiff_t c = 0; c < keep; ++c)
        for (std::ptrdiff_t i = 0; i < size; ++i)
          s[static_cast<std::size_t>(i * keep + c)] = e.vectors[static_cast<std::size_t>(i * size + pick(c))];
      panels front;
      std::size_t count = 0;
      for (std::ptrdiff_t first = 0; first < keep; first += p)
        front.push_back(store[count++].view(0, std::min(p, keep - first)));
      rotate(ctx, basis(), s, front);
      std::swap(store[count], store[used]);  // what comes next
      used = count;
      v = locked;
      v.insert(v.end(), front.begin(), front.end());
      for (std::ptrdiff_t i = 0; i < keep; ++i)
        for (std::ptrdiff_t j = 0; j < keep; ++j)
          at(i, j) = i == j ? e.values[static_cast<std::size_t>(pick(i))] : 0;
      size = keep;
      arrow = true;
    }
    if (!exhausted) accept();
  }
}

krylov_result verified_krylov(const context& ctx, std::ptrdiff_t n, std::ptrdiff_t room,
                              const block_operator& apply, const projector& project, const krylov_options& o,
                              bool verify, int& rounds) {
  const std::ptrdiff_t k = o.k;
  krylov_result r = krylov(ctx, n, apply, project, {}, o);
  for (rounds = 0; verify && o.width < k && room > k && r.converged == k && !r.stopped;) {
    krylov_options next = o;
    next.k = std::min<std::ptrdiff_t>(rounds == 0 ? 1 : 2, room - k);
    next.more = 0;
    next.width = 4;
    next.basis = 40;
    next.seed = o.seed + 1000 + static_cast<std::uint64_t>(rounds);
    orthonormalise(ctx, nullptr, project, {}, r.vectors.view(0, k));
    const krylov_result rest = krylov(ctx, n, apply, project, r.vectors.view(0, k), next);
    ++rounds;
    r.products += rest.products;
    r.steps += rest.steps;
    r.stopped = rest.stopped;
    if (rest.converged < next.k) {
      r.converged = 0;
      break;
    }
    // the best of both
    std::vector<std::pair<double, std::ptrdiff_t>> all;
    for (std::ptrdiff_t c = 0; c < k; ++c) all.emplace_back(r.values[static_cast<std::size_t>(c)], c);
    const double worst = r.values[static_cast<std::size_t>(k - 1)];
    bool better = false;
    for (std::size_t c = 0; c < rest.values.size(); ++c) {
      all.emplace_back(rest.values[c], k + static_cast<std::ptrdiff_t>(c));
      better =
          better || (o.largest ? rest.values[c] - worst : worst - rest.values[c]) > 1e-8 * std::abs(worst);
    }
    std::stable_sort(all.begin(), all.end(), [&](const auto& x, const auto& y) {
      return o.largest ? x.first > y.first : x.first < y.first;
    });
    block merged(ctx, n, static_cast<std::ptrdiff_t>(all.size()));
    r.values.clear();
    for (std::size_t c = 0; c < all.size(); ++c) {
      const std::ptrdiff_t from = all[c].second;
      copy(ctx,
           from < k ? std::as_const(r.vectors).view(from, 1) : std::as_const(rest.vectors).view(from - k, 1),
           merged.view(static_cast<std::ptrdiff_t>(c), 1));
      r.values.push_back(all[c].first);
    }
    r.vectors = std::move(merged);
    if (!better) break;
  }
  orthonormalise(ctx, nullptr, project, {}, r.vectors.view(0, r.vectors.cols()));
  return r;
}

}  // namespace lapwing::linalg
