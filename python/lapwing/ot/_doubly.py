"""Symmetric scaling of a kernel to given row sums."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _graphs, _threads, _validate
from lapwing.exceptions import ConvergenceError, InfeasibleError
from lapwing.ot import _geometry
from lapwing.ot._geometry import Geometry

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DoublyStochasticResult", "doubly_stochastic"]

Floats = NDArray[np.float64]
#: Fixed-point steps before Newton's method takes over.
WARM_UP = 20
#: Iterations after which a scaling that still drifts is taken not to exist.
PATIENCE = 100


@dataclass(frozen=True)
class DoublyStochasticResult:
    """A symmetric scaling ``W = diag(d) K diag(d)``.

    Attributes
    ----------
    matrix : array, csr_array or scipy.sparse.linalg.LinearOperator of shape (n, n)
        W, of the kind of K: symmetric to the last bit, float64. For points (`reg` given) an operator, one
        pass over the pairs for each product with a block of vectors.
    log_scaling : float64 array of shape (n,)
        log d; d itself may overflow.
    error : float
        Largest relative error of a row sum, ``|(W 1)_i - r_i| / r_i``, of what is returned.
    n_iter : int
        Iterations: each one product with the matrix, or one Newton step of several.
    converged : bool
        Whether `error` reached the tolerance.
    """

    matrix: Any
    log_scaling: Floats
    error: float
    n_iter: int
    converged: bool

    @property
    def scaling(self) -> Floats:
        """d, of shape (n,)."""
        return np.exp(self.log_scaling)


def doubly_stochastic(
    K: Any,
    row_sums: Any = None,
    *,
    reg: float | None = None,
    metric: str = "sqeuclidean",
    zero_diagonal: bool = True,
    tol: float = 1e-8,
    max_iter: int = 1000,
    on_fail: str = "warn",
    n_jobs: int | None = None,
) -> DoublyStochasticResult:
    """Scale a symmetric kernel from both sides, ``diag(d) K diag(d)``, to row sums 1.

    Parameters
    ----------
    K : array or sparse matrix of shape (n, n), or array of shape (n, d)
        Symmetric, >= 0: for example a Gaussian kernel of points with themselves. With `reg`: the points,
        whose kernel ``exp(-c(x_i, x_j)/ε)`` is never stored.
    row_sums : array of shape (n,) or None, default=None
        The row sums r > 0; None: 1.
    reg : float, optional
        Bandwidth ε > 0 in units of the cost: `K` holds points then. For a Gaussian of width σ, 2σ².
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}, default="sqeuclidean"
        The cost c of two points, with `reg`.
    zero_diagonal : bool, default=True
        Leave the diagonal of K out. The scaled kernel is then insensitive to noise of different strength in
        different points.
    tol : float, default=1e-8
        Largest relative error of a row sum.
    max_iter : int, default=1000
        Most iterations.
    on_fail : {"warn", "raise"}, default="warn"
        What to do when the tolerance is not reached.
    n_jobs : int or None, default=None
        Number of threads, with `reg`; the result has the same bits for any.

    Returns
    -------
    DoublyStochasticResult

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    InfeasibleError
        No scaling exists: a row has no entries; one of `row_sums` is more than what its neighbours have
        together; or the positive entries have no total support (every one on a permutation within them), as
        for a star without its diagonal.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    ConvergenceWarning
        The tolerance was not reached.

    Notes
    -----
    ``δ ← (δ + log r - log K e^δ) / 2`` with δ = log d, then Newton's method on the convex function
    ``½ Σ K_ij e^(δ_i + δ_j) - Σ r_i δ_i``, whose gradient is the error of the row sums, by conjugate
    gradients. Everything is held in logarithms: kernels that span hundreds of decades do no harm. Where d is
    not unique (K is bipartite) the balanced one comes out.

    References
    ----------
    Boris Landa, Ronald Coifman, Yuval Kluger, "Doubly Stochastic Normalization of the Gaussian Kernel is
    Robust to Heteroskedastic Noise", 2021.

    Philip Knight, Daniel Ruiz, Bora Uçar, "A Symmetry Preserving Algorithm for Matrix Scaling", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.ot import doubly_stochastic
    >>> x = np.linspace(0, 1, 50)
    >>> result = doubly_stochastic(np.exp(-((x[:, None] - x) ** 2) / 0.1))
    >>> result.converged, bool(abs(result.matrix.sum(axis=1) - 1).max() < 1e-8)
    (True, True)
    """
    tol = _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_iter, "max_iter", 1)
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    kernel: _Stored | _Points
    if reg is None:
        kernel = _Stored(_read(K, zero_diagonal))
    else:
        level = _validate.check_positive(reg, "reg")
        points = np.ascontiguousarray(_validate.check_points(K, "K"), dtype=np.float64)
        geometry = _geometry.points(points, points, metric, names=("K", "K"))
        kernel = _Points(replace(geometry, hollow=zero_diagonal), level, _threads.resolve(n_jobs))
    n = kernel.n
    r = np.ones(n)
    if row_sums is not None:
        r = _validate.check_vector(row_sums, n, "row_sums")
        if not (r > 0).all():
            i = int(np.argmax(r <= 0))
            raise ValueError(f"row_sums must be > 0, but row_sums[{i}] is {r[i]:g}")
    kernel.check(r, row_sums is None)
    delta, steps, done, error = _solve(kernel, r, tol, most)
    if not done:
        message = (
            f"the scaling reached a relative error of {error:.1e} in {steps} iterations, not tol = {tol:g}"
        )
        if steps >= PATIENCE and np.ptp(delta) > 30.0 and error > 1e-3:
            raise InfeasibleError(
                f"no scaling seems to exist: after {steps} iterations the row sums are still off by "
                f"{error:.1e} and the factors drift apart (now {np.exp(min(np.ptp(delta), 700.0)):.1e} from "
                f"the smallest to the largest, row {int(np.argmax(delta))})"
            )
        if on_fail == "raise":
            raise ConvergenceError(message)
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    dense = isinstance(K, (list, tuple)) or hasattr(K, "__array__")
    return DoublyStochasticResult(kernel.matrix(delta, dense), delta, error, steps, done)


def _csr(values: Any, indices: Any, offsets: Any) -> csr_array:
    from scipy.sparse import csr_array

    return csr_array((values, indices, offsets), shape=(len(offsets) - 1, len(offsets) - 1))


def _read(K: Any, zero_diagonal: bool) -> csr_array:
    graph = _graphs.as_graph(K, "K")
    A = graph.matrix()
    if graph.loops is not None and not zero_diagonal:
        from scipy.sparse import diags_array

        A = (A + diags_array(graph.loops)).tocsr()
        A.eliminate_zeros()
        A.sort_indices()
    return A


class _Stored:
    """A kernel that is stored, by its positive entries."""

    def __init__(self, A: csr_array) -> None:
        self.A, self.n = A, int(A.shape[0])
        self.logs = np.log(A.data)
        self.rows = np.repeat(np.arange(self.n), np.diff(A.indptr))

    def check(self, r: Floats, ones: bool) -> None:
        counts = np.diff(self.A.indptr)
        if not counts.all():
            raise InfeasibleError(
                f"no scaling exists: row {int(np.argmin(counts))} of K has no positive entry (the diagonal "
                "counts with zero_diagonal=False only)"
            )
        _check_reach(r, _csr(np.ones(self.A.nnz), self.A.indices, self.A.indptr) @ r)
        if ones:
            _check_support(self.A)
        else:
            _check_sides(self.A, r)

    def tops(self) -> Floats:
        """Log of the largest entry of each row."""
        return np.asarray(np.maximum.reduceat(self.logs, self.A.indptr[:-1]))

    def log_sums(self, delta: Floats) -> Floats:
        """Log sum_j K_ij e^delta_j."""
        exponent = self.logs + delta[self.A.indices]
        height = np.maximum.reduceat(exponent, self.A.indptr[:-1])
        with np.errstate(under="ignore"):
            inner = np.add.reduceat(np.exp(exponent - height[self.rows]), self.A.indptr[:-1])
        return np.asarray(height + np.log(inner))

    def scaled(self, delta: Floats) -> csr_array:
        # The sum of the two first: it is the same number for (i, j) and (j, i).
        with np.errstate(under="ignore", over="ignore"):
            values = np.exp(self.logs + (delta[self.rows] + delta[self.A.indices]))
        return _csr(values, self.A.indices, self.A.indptr)

    def sums(self, delta: Floats) -> Floats:
        return np.asarray(self.scaled(delta).sum(axis=1)).ravel()

    def product(self, delta: Floats) -> Callable[[Floats], Floats]:
        W = self.scaled(delta)
        return lambda x: np.asarray(W @ x)

    def matrix(self, delta: Floats, dense: bool) -> Any:
        W = self.scaled(delta)
        return W.toarray() if dense else W


class _Points:
    """A kernel of points with themselves, made anew in every pass."""

    def __init__(self, geometry: Geometry, reg: float, threads: int) -> None:
        self.geometry, self.reg, self.threads = geometry, reg, threads
        self.n = geometry.n

    def check(self, r: Floats, ones: bool) -> None:
        if not self.geometry.hollow:
            return
        if self.n == 1:
            raise InfeasibleError("no scaling exists: one point has no partner (zero_diagonal=True)")
        _check_reach(r, r.sum() - r)

    def tops(self) -> Floats:
        return -self.geometry.softmin(np.zeros(self.n), 0.0, threads=self.threads) / self.reg

    def log_sums(self, delta: Floats) -> Floats:
        return -self.geometry.softmin(self.reg * delta, self.reg, threads=self.threads) / self.reg

    def sums(self, delta: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(delta + self.log_sums(delta)))

    def product(self, delta: Floats) -> Callable[[Floats], Floats]:
        return lambda x: self.geometry.apply(self.reg, delta, delta, x[:, None], threads=self.threads)[:, 0]

    def matrix(self, delta: Floats, dense: bool) -> Any:
        from scipy.sparse.linalg import LinearOperator

        def apply(x: Floats) -> Floats:
            block = np.ascontiguousarray(x.reshape(self.n, -1), dtype=np.float64)
            image = self.geometry.apply(self.reg, delta, delta, block, threads=self.threads)
            return np.asarray(image.reshape(x.shape))

        return LinearOperator(
            dtype=np.float64, shape=(self.n, self.n), matvec=apply, rmatvec=apply, matmat=apply, rmatmat=apply
        )


def _check_reach(r: Floats, reach: Floats) -> None:
    worst = int(np.argmax(r / reach))
    if r[worst] > reach[worst] * (1.0 + 1e-12):
        raise InfeasibleError(
            f"no scaling exists: row {worst} is to sum to {r[worst]:g}, its neighbours together to "
            f"{reach[worst]:g}"
        )


def _check_sides(A: csr_array, r: Floats) -> None:
    """The two sides of a bipartite component must have the same sum."""
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    n = len(r)
    labels = connected_components(block_array([[None, A], [A, None]]), directed=False)[1]
    sides = [
        np.bincount(labels[part], weights=r, minlength=labels.max() + 1)
        for part in (slice(n), slice(n, None))
    ]
    wrong = np.abs(sides[0] - sides[1]) > 1e-9 * (sides[0] + sides[1])
    if wrong.any():
        c = int(np.argmax(wrong))
        raise InfeasibleError(
            f"no scaling exists: row {int(np.argmax(labels[:n] == c))} is in a bipartite component of K "
            f"whose sides are to sum to {sides[0][c]:g} and {sides[1][c]:g}"
        )


def _check_support(A: csr_array) -> None:
    """A scaling to row sums 1 exists if and only if every positive entry lies on a permutation of them."""
    n = A.shape[0]
    if A.nnz - np.count_nonzero(A.diagonal()) == n * n - n and n > 2:
        return  # all pairs
    from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

    match = maximum_bipartite_matching(A, perm_type="column")
    if (match < 0).any():
        raise InfeasibleError(
            f"no scaling exists: the positive entries of K hold no permutation (row {int(np.argmin(match))} "
            "is left over); the row sums of some nodes exceed those of their neighbours, as in a star"
        )
    # Row i is matched to column match[i]; entry (i, j) lies on another permutation if and only if i and the
    # row matched to j are in one strongly connected component.
    owner = np.empty(n, dtype=np.intp)
    owner[match] = np.arange(n)
    shifted = _csr(np.ones(A.nnz, dtype=np.int8), owner[A.indices], A.indptr)
    labels = connected_components(shifted, connection="strong")[1]
    rows = np.repeat(np.arange(n), np.diff(A.indptr))
    lost = np.flatnonzero(labels[rows] != labels[owner[A.indices]])
    if lost.size:
        raise InfeasibleError(
            f"no scaling exists: the entry ({rows[lost[0]]}, {A.indices[lost[0]]}) of K lies on no "
            "permutation of its positive entries, so any scaling would have to make it 0"
        )


def _solve(kernel: _Stored | _Points, r: Floats, tol: float, most: int) -> tuple[Floats, int, bool, float]:
    # Every row sum 1 with d_i = d_j would do for a constant row maximum: a start within range.
    delta = 0.5 * (np.log(r) - kernel.tops())
    sums = kernel.sums(delta)
    steps = 0
    while True:
        bad = ~np.isfinite(sums) | (sums <= 0)
        error = np.inf if bad.any() else float(np.abs(sums / r - 1.0).max())
        if error <= tol or steps >= most:
            return delta, steps, error <= tol, error
        steps += 1
        if steps <= WARM_UP or bad.any() or error > 1.0:
            delta = 0.5 * (delta + np.log(r) - kernel.log_sums(delta))
            sums = kernel.sums(delta)
        else:
            delta, sums = _newton(kernel, sums, r, delta)


def _newton(kernel: _Stored | _Points, sums: Floats, r: Floats, delta: Floats) -> tuple[Floats, Floats]:
    """One step of Newton's method with conjugate gradients, shortened until the convex function falls."""
    gradient = sums - r
    scale = 1.0 / np.sqrt(sums)
    product = kernel.product(delta)

    def apply(x: Floats) -> Floats:  # D^-1/2 (diag(W 1) + W) D^-1/2
        return x + scale * product(scale * x)

    step = -scale * _conjugate_gradients(
        apply, scale * gradient, min(1e-2, float(np.abs(gradient / r).max()))
    )
    before, slope = 0.5 * sums.sum() - r @ delta, float(gradient @ step)
    length = min(1.0, 8.0 / max(float(np.abs(step).max()), 1e-300))
    for _ in range(40):
        found = np.asarray(delta + length * step)
        there = kernel.sums(found)
        value = 0.5 * there.sum() - r @ found
        # near the minimum the difference is lost in rounding: the step itself is then to be trusted
        if value <= before + 1e-4 * length * slope + 1e-14 * abs(before):
            return found, there
        length *= 0.5
    found = np.asarray(0.5 * (delta + delta - np.log(sums / r)))
    return found, kernel.sums(found)


def _conjugate_gradients(apply: Any, b: Floats, tol: float) -> Floats:
    x, residual = np.zeros_like(b), b.copy()
    direction, square = b.copy(), float(np.sum(b * b))
    goal = tol**2 * square
    for _ in range(500):
        if square <= goal or square == 0.0:
            break
        image = apply(direction)
        curvature = float(np.sum(direction * image))
        if curvature <= 1e-14 * float(np.sum(direction * direction)):  # the null space of a bipartite graph
            break
        a = square / curvature
        x = x + a * direction
        residual = residual - a * image
        before, square = square, float(np.sum(residual * residual))
        direction = residual + (square / before) * direction
    return x
