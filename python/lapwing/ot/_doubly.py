"""Symmetric scaling of a kernel to given row sums."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _graphs, _threads, _validate
from lapwing.exceptions import ConvergenceError, InfeasibleError
from lapwing.ot import _geometry
from lapwing.ot._geometry import Geometry

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DoublyStochasticResult", "doubly_stochastic"]

Floats = NDArray[np.float64]
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
        Number of threads; the result has the same bits for any.

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
    threads = _threads.resolve(n_jobs)
    kernel: _Stored | _Points
    if reg is None:
        kernel = _Stored(_read(K, zero_diagonal), threads)
    else:
        level = _validate.check_positive(reg, "reg")
        points = np.ascontiguousarray(_validate.check_points(K, "K"), dtype=np.float64)
        geometry = _geometry.points(points, points, metric, names=("K", "K"))
        kernel = _Points(replace(geometry, hollow=zero_diagonal), level, threads)
    n = kernel.n
    r = np.ones(n)
    if row_sums is not None:
        r = _validate.check_vector(row_sums, n, "row_sums")
        if not (r > 0).all():
            i = int(np.argmax(r <= 0))
            raise ValueError(f"row_sums must be > 0, but row_sums[{i}] is {r[i]:g}")
    kernel.check(r, row_sums is None)
    delta = np.empty(n)
    done, steps, error = kernel.solve(r, tol, most, delta)
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

        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())
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

    def __init__(self, A: csr_array, threads: int) -> None:
        self.A, self.n, self.threads = A, int(A.shape[0]), threads
        self.entries = np.empty(A.nnz)

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

    def solve(self, r: Floats, tol: float, most: int, delta: Floats) -> tuple[bool, int, float]:
        out: tuple[bool, int, float] = _backend.extension().ot_doubly_stochastic_stored(
            self.A.indptr.astype(np.int64), self.A.indices.astype(np.int32),
            self.A.data.astype(np.float64), r, tol, most, delta, self.entries, self.threads,
        )  # fmt: skip
        return out

    def matrix(self, delta: Floats, dense: bool) -> Any:
        W = _csr(self.entries, self.A.indices, self.A.indptr)
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

    def solve(self, r: Floats, tol: float, most: int, delta: Floats) -> tuple[bool, int, float]:
        return self.geometry.doubly_stochastic(self.reg, r, tol, most, delta, threads=self.threads)

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
