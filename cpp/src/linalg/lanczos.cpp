// Singular triplets by block Krylov iteration on A^T A with Rayleigh-Ritz on everything kept, expanded by the
// residuals of the wanted block (the same space as block Lanczos) and restarted with the best Ritz vectors.
// The images of the basis are kept, so that residuals are exact.
#include <algorithm>
#include <cmath>
#include <lapwing/error.hpp>
#include <lapwing/linalg.hpp>

#include "../random.hpp"
#include "tall.hpp"

namespace lapwing::linalg {
namespace {

using dense = std::vector<double>;  // small, column-major

class solver {
 public:
  solver(const context& ctx, const linear_operator& a, std::span<const double> left,
         std::span<const double> right, std::ptrdiff_t k, const svds_options& o)
      : ctx_(ctx),
        a_(a),
        o_(o),
        k_(k),
        n_(a.rows()),
        m_(a.cols()),
        left_(ctx, left.empty() ? 0 : 1, n_),
        right_(ctx, right.empty() ? 0 : 1, m_) {
    const std::ptrdiff_t room = std::min(n_, m_) - right_.rows();
    check(k >= 1 && k <= room, "k must be between 1 and ", room, ", got ", k);
    check(o.block >= 0, "block must be >= 0, got ", o.block);
    check(o.tol > 0, "tol must be > 0, got ", o.tol);
    check(o.max_apply >= 1, "max_apply must be >= 1, got ", o.max_apply);
    std::copy(left.begin(), left.end(), left_.rows() ? left_.row(0) : nullptr);
    std::copy(right.begin(), right.end(), right_.rows() ? right_.row(0) : nullptr);
    b_ = std::min(o.block > 0 ? std::max(o.block, k)
                              : std::max<std::ptrdiff_t>(std::min<std::ptrdiff_t>(k + 8, 32), k + 2),
                  m_ - right_.rows());
    capacity_ = std::min(std::max(6 * b_, std::ptrdiff_t{48}), m_ - right_.rows());
    q_ = tall(ctx, capacity_, m_);
    y_ = tall(ctx, capacity_, m_);
    next_ = tall(ctx, b_, m_);
  }

  svds_result run(matrix_view<double> u, matrix_view<double> v) {
    for (std::ptrdiff_t c = 0; c < b_; ++c)
      for (std::ptrdiff_t j = 0; j < m_; ++j)
        next_.row(c)[j] = normal_at(o_.seed, static_cast<std::uint64_t>(c * m_ + j));
    svds_result r;
    std::ptrdiff_t fresh = orthonormalise(next_, b_);
    for (;;) {
      expand(fresh);
      ++r.applications;
      rayleigh_ritz();
      const std::ptrdiff_t wanted = std::min(b_, size_);
      residuals(wanted);
      double worst = 0;
      const double largest = std::sqrt(std::max(theta_[0], 0.0));
      for (std::ptrdiff_t c = 0; c < std::min(k_, size_); ++c) {
        const double s = std::sqrt(std::max(theta_[static_cast<std::size_t>(c)], 0.0));
        // ||A^T u - s v|| = ||A^T A v - s^2 v|| / s; where s itself is at the level of the tolerance nothing
        // more can be asked
        worst = std::max(worst, norms_[static_cast<std::size_t>(c)] / std::max(s, 0.1 * o_.tol * largest));
      }
      const bool stop = ctx_.report("singular vectors", r.applications, largest > 0 ? worst / largest : 0.0);
      const bool enough = size_ >= k_ && worst <= 0.5 * o_.tol * largest;
      if (enough || stop || r.applications >= o_.max_apply) {
        finish(u, v, r);
        if (r.converged || stop || r.applications >= o_.max_apply || !enough) return r;
      }
      if (size_ + b_ > capacity_ && size_ > restart_size()) restart();
      fresh = orthonormalise(next_, std::min(wanted, capacity_ - size_));
      if (fresh == 0) {  // the space is exhausted: what it holds is exact
        finish(u, v, r);
        return r;
      }
    }
  }

 private:
  std::ptrdiff_t restart_size() const { return std::min(b_ + (b_ + 1) / 2, capacity_ - 1); }

  // next_ <- its part outside the basis and the known vector, orthonormal; returns how many directions are
  // left.
  std::ptrdiff_t orthonormalise(tall& x, std::ptrdiff_t count) {
    dense g(static_cast<std::size_t>(std::max(count, std::ptrdiff_t{1}) *
                                     std::max({count, size_, std::ptrdiff_t{1}}))),
        values(static_cast<std::size_t>(count)), vectors(static_cast<std::size_t>(count * count));
    for (int pass = 0; pass < 3 && count > 0; ++pass) {
      project(right_, 0, right_.rows(), x, count);
      project(q_, 0, size_, x, count);
      normalise_rows(x, count);
      gram(ctx_, x, 0, count, x, 0, count, g.data(), count);
      symmetric_eigen(count, g.data(), count, values.data(), vectors.data());
      std::ptrdiff_t kept = 0;
      while (kept < count && values[static_cast<std::size_t>(kept)] > 1e-10 * values[0] && values[0] > 0) {
        const double scale = 1 / std::sqrt(values[static_cast<std::size_t>(kept)]);
        for (std::ptrdiff_t i = 0; i < count; ++i)
          vectors[static_cast<std::size_t>(i + kept * count)] *= scale;
        ++kept;
      }
      tall out(ctx_, b_, x.length());
      combine(ctx_, x, 0, count, vectors.data(), count, kept, out, 0);
      std::swap(x, out);
      count = kept;
    }
    return count;
  }
  void normalise_rows(tall& x, std::ptrdiff_t count) const {
    for (std::ptrdiff_t c = 0; c < count; ++c) {
      double s = 0;
      for (std::ptrdiff_t j = 0; j < x.length(); ++j) s += x.row(c)[j] * x.row(c)[j];
      s = s > 0 ? 1 / std::sqrt(s) : 0;
      for (std::ptrdiff_t j = 0; j < x.length(); ++j) x.row(c)[j] *= s;
    }
  }
  // x <- x - Q Q^T x for rows q0 ... q0 + count of q
  void project(const tall& q, std::ptrdiff_t q0, std::ptrdiff_t count, tall& x, std::ptrdiff_t rows) const {
    if (count == 0 || rows == 0) return;
    dense g(static_cast<std::size_t>(count * rows));
    gram(ctx_, q, q0, count, x, 0, rows, g.data(), count);
    for (double& v : g) v = -v;
    combine(ctx_, q, q0, count, g.data(), count, rows, x, 0, true);
  }

  void expand(std::ptrdiff_t fresh) {
    for (std::ptrdiff_t c = 0; c < fresh; ++c) std::copy_n(next_.row(c), m_, q_.row(size_ + c));
    a_.normal(ctx_, std::as_const(q_).view(size_, fresh), y_.view(size_, fresh));
    // A's known pair is removed: only the complement counts
    if (right_.rows()) {
      dense g(static_cast<std::size_t>(fresh));
      gram(ctx_, right_, 0, 1, y_, size_, fresh, g.data(), 1);
      for (double& v : g) v = -v;
      combine(ctx_, right_, 0, 1, g.data(), 1, fresh, y_, size_, true);
    }
    const std::ptrdiff_t old = size_;
    size_ += fresh;
    dense t(static_cast<std::size_t>(size_ * size_)), part(static_cast<std::size_t>(size_ * fresh));
    for (std::ptrdiff_t j = 0; j < old; ++j) std::copy_n(t_.data() + j * old, old, t.data() + j * size_);
    gram(ctx_, q_, 0, size_, y_, old, fresh, part.data(), size_);
    for (std::ptrdiff_t j = 0; j < fresh; ++j)
      for (std::ptrdiff_t i = 0; i < size_; ++i)
        t[static_cast<std::size_t>(i + (old + j) * size_)] =
            t[static_cast<std::size_t>(old + j + i * size_)] = part[static_cast<std::size_t>(i + j * size_)];
    for (std::ptrdiff_t j = old; j < size_; ++j)  // symmetric up to rounding: make it so
      for (std::ptrdiff_t i = old; i < j; ++i) {
        const double mean = (part[static_cast<std::size_t>(i + (j - old) * size_)] +
                             part[static_cast<std::size_t>(j + (i - old) * size_)]) /
                            2;
        t[static_cast<std::size_t>(i + j * size_)] = t[static_cast<std::size_t>(j + i * size_)] = mean;
      }
    t_ = std::move(t);
  }

  void rayleigh_ritz() {
    theta_.resize(static_cast<std::size_t>(size_));
    s_.resize(static_cast<std::size_t>(size_ * size_));
    symmetric_eigen(size_, t_.data(), size_, theta_.data(), s_.data());
  }

  // next_ <- Y s - Q s theta for the leading Ritz vectors, and their norms
  void residuals(std::ptrdiff_t count) {
    combine(ctx_, y_, 0, size_, s_.data(), size_, count, next_, 0);
    dense scaled(s_.begin(), s_.begin() + size_ * count);
    for (std::ptrdiff_t c = 0; c < count; ++c)
      for (std::ptrdiff_t i = 0; i < size_; ++i)
        scaled[static_cast<std::size_t>(i + c * size_)] *= -theta_[static_cast<std::size_t>(c)];
    combine(ctx_, q_, 0, size_, scaled.data(), size_, count, next_, 0, true);
    norms_.resize(static_cast<std::size_t>(count));
    for (std::ptrdiff_t c = 0; c < count; ++c) {
      double s = 0;
      for (std::ptrdiff_t j = 0; j < m_; ++j) s += next_.row(c)[j] * next_.row(c)[j];
      norms_[static_cast<std::size_t>(c)] = std::sqrt(s);
    }
  }

  void restart() {
    const std::ptrdiff_t keep = restart_size();
    tall q(ctx_, capacity_, m_), y(ctx_, capacity_, m_);
    combine(ctx_, q_, 0, size_, s_.data(), size_, keep, q, 0);
    combine(ctx_, y_, 0, size_, s_.data(), size_, keep, y, 0);
    q_ = std::move(q);
    y_ = std::move(y);
    size_ = keep;
    t_.assign(static_cast<std::size_t>(keep * keep), 0.0);
    for (std::ptrdiff_t i = 0; i < keep; ++i)
      t_[static_cast<std::size_t>(i + i * keep)] = theta_[static_cast<std::size_t>(i)];
  }

  // u, s, v from Z = A V for the leading Ritz vectors: QR and the SVD of the small factor, so that small
  // values keep their digits and u is orthonormal.
  void finish(matrix_view<double> u, matrix_view<double> v, svds_result& r) {
    const std::ptrdiff_t p = std::min(b_, size_);
    tall vv(ctx_, p, m_), z(ctx_, p, n_);
    combine(ctx_, q_, 0, size_, s_.data(), size_, p, vv, 0);
    a_.apply(ctx_, std::as_const(vv).view(0, p), z.view(0, p));
    project(left_, 0, left_.rows(), z, p);
    // QR of z, whose rows are nearly orthogonal: scale, then twice by the eigenvectors of a Gram matrix close
    // to 1. R = Q^T z is recomputed.
    tall qz(ctx_, p, n_);
    for (std::ptrdiff_t c = 0; c < p; ++c) std::copy_n(z.row(c), n_, qz.row(c));
    dense g(static_cast<std::size_t>(p * p)), values(static_cast<std::size_t>(p)),
        vectors(static_cast<std::size_t>(p * p));
    for (int pass = 0; pass < 2; ++pass) {
      normalise_rows(qz, p);
      gram(ctx_, qz, 0, p, qz, 0, p, g.data(), p);
      symmetric_eigen(p, g.data(), p, values.data(), vectors.data());
      dense inverse_root(static_cast<std::size_t>(p * p), 0.0);  // symmetric: stays close to what is there
      for (std::ptrdiff_t c = 0; c < p; ++c) {
        const double w = values[static_cast<std::size_t>(c)] > 1e-14
                             ? 1 / std::sqrt(values[static_cast<std::size_t>(c)])
                             : 0.0;
        for (std::ptrdiff_t j = 0; j < p; ++j)
          for (std::ptrdiff_t i = 0; i < p; ++i)
            inverse_root[static_cast<std::size_t>(i + j * p)] +=
                w * vectors[static_cast<std::size_t>(i + c * p)] *
                vectors[static_cast<std::size_t>(j + c * p)];
      }
      tall out(ctx_, p, n_);
      combine(ctx_, qz, 0, p, inverse_root.data(), p, p, out, 0);
      std::swap(qz, out);
    }
    gram(ctx_, qz, 0, p, z, 0, p, g.data(), p);  // z = Q R
    dense left(static_cast<std::size_t>(p * p)), right(static_cast<std::size_t>(p * p));
    small_svd(p, g.data(), left.data(), values.data(), right.data());
    const std::ptrdiff_t k = std::min(k_, p);
    tall uk(ctx_, k, n_), vk(ctx_, k, m_), back(ctx_, k, m_);
    combine(ctx_, qz, 0, p, left.data(), p, k, uk, 0);
    complete(uk, k);
    combine(ctx_, vv, 0, p, right.data(), p, k, vk, 0);
    a_.apply_transposed(ctx_, std::as_const(uk).view(0, k), back.view(0, k));
    r.values.assign(static_cast<std::size_t>(k_), 0.0);
    r.residuals.assign(static_cast<std::size_t>(k_), 0.0);
    r.converged = k == k_;
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      const double s = values[static_cast<std::size_t>(c)];
      double e = 0;
      for (std::ptrdiff_t j = 0; j < m_; ++j) {
        const double d = back.row(c)[j] - s * vk.row(c)[j];
        e += d * d;
      }
      r.values[static_cast<std::size_t>(c)] = s;
      r.residuals[static_cast<std::size_t>(c)] = std::sqrt(e);
      r.converged = r.converged && std::sqrt(e) <= o_.tol * values[0];  // a NaN is not
      std::copy_n(uk.row(c), n_, &u(c, 0));
      std::copy_n(vk.row(c), m_, &v(c, 0));
    }
  }

  // Where A v is exactly 0 any u does that is orthogonal to the others.
  void complete(tall& u, std::ptrdiff_t k) const {
    const auto dot = [&](const double* x, const double* y) {
      double s = 0;
      for (std::ptrdiff_t i = 0; i < n_; ++i) s += x[i] * y[i];
      return s;
    };
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      double* x = u.row(c);
      if (dot(x, x) != 0) continue;
      for (std::ptrdiff_t i = 0; i < n_; ++i)
        x[i] = normal_at(~o_.seed, static_cast<std::uint64_t>(c * n_ + i));
      const auto remove = [&](const double* y) {
        const double along = dot(x, y);
        for (std::ptrdiff_t i = 0; i < n_; ++i) x[i] -= along * y[i];
      };
      for (int twice = 0; twice < 2; ++twice) {
        if (left_.rows() > 0) remove(left_.row(0));
        for (std::ptrdiff_t q = 0; q < k; ++q)
          if (q != c) remove(u.row(q));
      }
      const double scale = 1 / std::sqrt(dot(x, x));
      for (std::ptrdiff_t i = 0; i < n_; ++i) x[i] *= scale;
    }
  }

  const context& ctx_;
  const linear_operator& a_;
  svds_options o_;
  std::ptrdiff_t k_, n_, m_, b_ = 0, capacity_ = 0, size_ = 0;
  tall left_, right_, q_, y_, next_;
  dense t_, theta_, s_, norms_;
};

}  // namespace

svds_result svds(const context& ctx, const linear_operator& a, std::span<const double> left,
                 std::span<const double> right, std::ptrdiff_t k, const svds_options& o,
                 matrix_view<double> u, matrix_view<double> v) {
  check(left.empty() == right.empty(), "left and right must be given together");
  check(left.empty() || (static_cast<std::ptrdiff_t>(left.size()) == a.rows() &&
                         static_cast<std::ptrdiff_t>(right.size()) == a.cols()),
        "left and right must have lengths ", a.rows(), " and ", a.cols());
  const auto unit = [](std::span<const double> x, const char* what) {
    double s = 0;
    for (const double y : x) s += y * y;
    check(x.empty() || std::abs(s - 1) <= 1e-6, what, " must be a unit vector, its length is ", std::sqrt(s));
  };
  unit(left, "left");
  unit(right, "right");
  check(u.rows == k && u.cols == a.rows() && v.rows == k && v.cols == a.cols(),
        "u and v must be k x rows and k x cols");
  return solver(ctx, a, left, right, k, o).run(u, v);
}

}  // namespace lapwing::linalg
