"""Entropic barycentres of histograms on a fixed support."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lapwing import _array, _backend, _caller, _threads, _validate
from lapwing._array import Array, Floats, Kind
from lapwing._progress import Callback, Progress
from lapwing.ot import _cost
from lapwing.ot._geometry import Vector
from lapwing.ot._grid import Grid

__all__ = ["Barycenter", "barycenter"]


class Barycenter(NamedTuple):
    """A barycentre and its certificate.

    Attributes
    ----------
    weights : array of shape (m,) or (n_1, ..., n_D)
        The barycentre.
    error : float
        Mean over the measures of ``‖Pₖᵀ1 - p‖₁``: how far the second marginals of the plans are from the
        barycentre (and from each other).
    converged : bool
    n_iter : int
        Iterations; each is one pass over the pairs of every measure.
    reg : float
    """

    weights: Array
    error: float
    converged: bool
    n_iter: int
    reg: float


def barycenter(
    A: Array,
    C: Array | None = None,
    Y: Array | None = None,
    *,
    grid: Sequence[Array] | None = None,
    weights: Array | None = None,
    reg: float,
    metric: str = "sqeuclidean",
    debias: bool = False,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> Barycenter:
    r"""The histogram with the least mean entropic transport cost to given ones.

    Minimises :math:`\sum_k w_k \mathrm{OT}_\varepsilon(a_k, p)` over p, with the entropy
    :math:`\sum P(\log P - 1)`.

    Parameters
    ----------
    A : array of shape (n, K)
        One histogram a column, at least 0, each of total 1. With `grid` of shape (n_1, ..., n_D, K): images.
    C : array of shape (n, m) or (n, d), optional
        Cost between the points of the histograms and the support of the barycentre; the points themselves if
        `Y` is given. Exactly one of `C` and `grid` must be given.
    Y : array of shape (m, d), optional
        Points of the support.
    grid : sequence of D arrays of shape (n_1,), ..., (n_D,), optional
        Coordinates along the axes of a grid, which holds both the histograms and the barycentre. The cost is
        the squared distance; an iteration takes n (n_1 + ... + n_D) operations instead of n². In float64.
    weights : array of shape (K,), optional
        Of the histograms in the mean, at least 0; made to sum to 1. None: equal.
    reg : float
        Regularisation ε > 0, in units of the cost.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        Cost of two points, with `Y`.
    debias : bool
        Take the entropic blur out (the barycentre for the Sinkhorn divergence). The cost must be between one
        set of points and itself (`C` square, `Y` equal to the points, or `grid`).
    tol : float
        Stop when the error of the certificate is at most this.
    max_iter : int
        Largest number of iterations.
    n_jobs : int or None
        Number of threads; the result has the same bits for any.
    callback, verbose
        As for `solve`.

    Returns
    -------
    Barycenter

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    ConvergenceWarning
        The error did not reach `tol`.

    Notes
    -----
    The kernel of the costs is kept while it is sought (up to 256 MiB; beyond, and where the costs range over
    more than about 700 `reg`, its exponentials are made anew in every iteration), and one pass over it serves
    all histograms. At the last of the regularisations that are passed through the iteration is accelerated by
    Anderson mixing. With `debias` it still converges slowly where the entropic blur hides much detail.

    References
    ----------
    J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna, G. Peyré, "Iterative Bregman projections for regularized
    transportation problems", 2015.
    H. Janati, M. Cuturi, A. Gramfort, "Debiased Sinkhorn barycenters", 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> t = np.linspace(0, 1, 5)
    >>> A = np.eye(5)[:, [1, 3]]  # two points; the mean of their positions is the middle
    >>> p = ot.barycenter(A, t[:, None], t[:, None], reg=0.005).weights
    >>> int(p.argmax())
    2
    """
    threads = _threads.resolve(n_jobs)
    level = _validate.check_positive(reg, "reg")
    tolerance = _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_iter, "max_iter", 1)
    if (C is None) == (grid is None):
        raise ValueError("give exactly one of C and grid")
    if grid is not None:
        if Y is not None:
            raise ValueError("grid holds the support; leave Y out")
        return _on_grid(
            A, Grid.check(grid), weights, level, debias, tolerance, most, threads, callback, verbose
        )
    geometry = _cost.geometry_of(C, Y, metric, threads)
    histograms = _histograms(_validate.check_matrix(A, "A"), geometry.n)
    shares = _shares(weights, histograms.shape[1])
    if debias and not _is_own(geometry.x, geometry.y, geometry.n, geometry.m):
        raise ValueError("debias needs the cost of one set of points with itself: C square, or Y equal to C")
    extent = geometry.extent(threads)
    if extent.forbidden:
        raise ValueError("the cost of a barycentre must be finite, but C has +inf")
    schedule = _schedule(level, extent.high - extent.low)
    if geometry.swapped:  # the core takes rows as measures
        geometry = _cost.geometry_of(np.ascontiguousarray(geometry.x.T), None, metric, threads)
    used = np.flatnonzero(shares)
    measures = [
        (geometry.x, geometry.y, np.ascontiguousarray(column / column.sum()))
        for column in histograms[:, used].T
    ]
    log_p: Vector = np.empty(geometry.m)
    with Progress(callback, verbose, unit=" iterations", reg=level) as progress:
        converged, stopped, iterations, error = _backend.extension().ot_barycenter(
            measures, geometry.metric, shares[used].tolist(), geometry.x if debias else None,
            geometry.y if debias else None, schedule, tolerance, most, log_p, threads, progress.hook,
        )  # fmt: skip
    out = np.exp(log_p).astype(geometry.dtype)
    return _finish(out, _array.kind_of(A), converged, stopped, iterations, error, level, tolerance)


def _histograms(A: Floats, n: int) -> Vector:
    """Check histograms in columns; return them in float64."""
    if A.shape[0] != n:
        raise ValueError(f"A must have {n} rows, one a point of the cost, got shape {A.shape}")
    out = np.asarray(A, dtype=np.float64)
    for k in range(out.shape[1]):
        column = _validate.check_weights(np.ascontiguousarray(out[:, k]), n, f"A[:, {k}]")
        if abs(column.sum() - 1) > 1e-4:
            raise ValueError(f"every column of A must sum to 1, but A[:, {k}] sums to {column.sum():.6g}")
    return out


def _shares(weights: Array | None, count: int) -> Vector:
    return np.ones(count) if weights is None else _validate.check_weights(weights, count, "weights")


def _schedule(reg: float, spread: float) -> list[float]:
    levels = [reg]
    while 4 * levels[0] < spread:
        levels.insert(0, 4 * levels[0])
    return levels


def _on_grid(
    A: Array, grid: Grid, weights: Array | None, reg: float, debias: bool, tol: float, most: int,
    threads: int, callback: Callback | None, verbose: int,
) -> Barycenter:  # fmt: skip
    images = _array.real(A, "A")
    if images.ndim != len(grid.shape) + 1 or images.shape[:-1] != grid.shape or images.shape[-1] == 0:
        raise ValueError(f"A must have shape {(*grid.shape, 'K')}, got {images.shape}".replace("'", ""))
    count = images.shape[-1]
    histograms = _histograms(images.reshape(-1, count), int(np.prod(grid.shape)))
    shares = _shares(weights, count)
    used = np.flatnonzero(shares)
    stack = np.ascontiguousarray(histograms.T[used])
    stack /= stack.sum(axis=1, keepdims=True)
    log_p: Vector = np.empty(stack.shape[1])
    with Progress(callback, verbose, unit=" iterations", reg=reg) as progress:
        converged, stopped, iterations, error = _backend.extension().ot_grid_barycenter(
            grid.axes, stack, shares[used], debias, _schedule(reg, grid.range), tol, most, log_p, threads,
            progress.hook,
        )  # fmt: skip
    out = np.exp(log_p).reshape(grid.shape).astype(images.dtype)
    return _finish(out, _array.kind_of(A), converged, stopped, iterations, error, reg, tol)


def _finish(
    p: Floats, kind: Kind, converged: bool, stopped: bool, iterations: int, error: float, reg: float,
    tol: float,
) -> Barycenter:  # fmt: skip
    if not converged and not stopped:
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(
            f"the marginals of the plans are {error:.2e} from the barycentre, above tol = {tol:g}, after "
            f"{iterations} iterations",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return Barycenter(_array.wrap(p / p.sum(), kind), error, converged, iterations, reg)


def _is_own(x: Any, y: Any, n: int, m: int) -> bool:
    if n != m:
        return False
    if y is not None:
        return bool(np.array_equal(x, y))
    # products of matrices give costs that are symmetric up to rounding
    return bool(np.abs(x - x.T).max() <= 64 * np.finfo(x.dtype).eps * np.abs(x).max())
