"""What can be asked of a cost alone: its quantiles and the c-transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from lapwing import _array, _threads, _validate
from lapwing._array import Array, Floats
from lapwing.ot import _geometry
from lapwing.ot._geometry import METRICS, Geometry

__all__ = ["METRICS", "c_transform", "cost_quantile", "geometry_of", "statistic"]

EXACT_PAIRS = 2**26  # up to here a statistic of the cost looks at every pair
# Above, at that many random ones. The mean distance, which stores what it looks at, is exact up to here only.
SAMPLED_PAIRS = 2**22


def geometry_of(x: object, y: object | None, metric: str, threads: int) -> Geometry:
    """Points, or the cost matrix `x` itself when there is no `y`."""
    return _geometry.dense(x, "X", threads=threads) if y is None else _geometry.points(x, y, metric)


def cost_quantile(
    X: Array,
    Y: Array | None = None,
    q: float = 0.5,
    *,
    metric: str = "sqeuclidean",
    n_samples: int | None = None,
    random_state: int | None = 0,
    n_jobs: int | None = None,
) -> float:
    """Quantile of the costs of all pairs, without storing them.

    Parameters
    ----------
    X : array of shape (n, d) or (n, m)
        Points of the first side; the cost matrix itself if `Y` is None.
    Y : array of shape (m, d), optional
        Points of the second side.
    q : float
        Between 0 and 1; 0.5 is the median. Interpolated linearly between two costs, as ``numpy.quantile``
        does.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair of points; see `solve_sample`.
    n_samples : int or None
        0: exact. A positive number: the quantile of that many random pairs. None: exact when n m is at most
        2^26, else from 2^22 random pairs (an estimate; its rank is off by about 0.025 %).
    random_state : int, numpy generator or None
        Chooses the random pairs.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use.

    Returns
    -------
    float
        In units of the cost. Entries of ``+inf`` of a cost matrix count as larger than every other.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.ot import cost_quantile
    >>> cost_quantile(np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]]))
    2.5
    """
    threads = _threads.resolve(n_jobs)
    level = _validate.check_number(q, "q")
    if not 0 <= level <= 1:
        raise ValueError(f"q must be between 0 and 1, got {level:g}")
    seed = _validate.check_seed(random_state)
    samples = None if n_samples is None else _validate.check_integer(n_samples, "n_samples", 0)
    geometry = geometry_of(X, Y, metric, threads)
    if samples is None:
        samples = 0 if geometry.n * geometry.m <= EXACT_PAIRS else SAMPLED_PAIRS
    return geometry.quantile(level, samples, seed, threads=threads)


def c_transform(
    X: Array,
    Y: Array | None,
    psi: Array,
    *,
    metric: str = "sqeuclidean",
    n_jobs: int | None = None,
) -> tuple[Array, Array]:
    """c-transform of `psi`: ``min_j (c(x_i, y_j) - psi_j)`` for each i, and the index where it is taken.

    The limit of the entropic row update for a regularisation of 0.

    Parameters
    ----------
    X : array of shape (n, d) or (n, m)
        Points of the first side; the cost matrix itself if `Y` is None. ``+inf`` in it forbids the pair.
    Y : array of shape (m, d) or None
        Points of the second side.
    psi : array of shape (m,)
        Potential of the second side, in units of the cost.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair of points; see `solve_sample`.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use.

    Returns
    -------
    values : array of shape (n,)
        Of the caller's kind and float type; ``+inf`` where every pair is forbidden.
    argmin : array of int64, shape (n,)
        The first index of the minimum; -1 where every pair is forbidden.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.ot import c_transform
    >>> values, argmin = c_transform(np.array([[0.0, 2.0], [3.0, 1.0]]), None, np.zeros(2))
    >>> values.tolist(), argmin.tolist()
    ([0.0, 1.0], [0, 1])
    """
    threads = _threads.resolve(n_jobs)
    kind = _array.kind_of(X)
    geometry = geometry_of(X, Y, metric, threads)
    potential = _validate.check_vector(psi, geometry.m, "psi")
    values, index = geometry.c_transform(potential, threads=threads)
    index[np.isinf(values)] = -1
    values += 0.0  # no minus sign on a zero
    return _array.wrap(values.astype(geometry.dtype, copy=False), kind), _array.wrap(index, kind)


def statistic(geometry: Geometry, which: str, forbidden: bool, seed: int, threads: int) -> float:
    """Median, mean or maximum of the finite costs, the number that `reg_scale` names."""
    if geometry.metric == "sparse":
        stored: Any = geometry
        return float(stored.statistic(which))
    pairs = geometry.n * geometry.m
    finite = pairs
    if geometry.y is None and forbidden:
        finite = int(np.count_nonzero(np.isfinite(geometry.x)))
        if finite == 0:
            return np.nan
        if which == "mean":
            return _mean(geometry.x[np.isfinite(geometry.x)])
        if which == "max":
            return float(np.max(geometry.x, where=np.isfinite(geometry.x), initial=-np.inf))
    if which == "median":  # the infinite costs come last: the median of the others is a lower quantile of all
        level = 0.5 * (finite - 1) / max(pairs - 1, 1)
        samples = 0 if pairs <= EXACT_PAIRS else SAMPLED_PAIRS
        return geometry.quantile(level, samples, seed, threads=threads)
    if which == "max":
        return geometry.quantile(1.0, 0, seed, threads=threads)
    if geometry.y is None:
        return _mean(geometry.x)
    return _mean_of_points(geometry, seed)


def _mean(x: Floats) -> float:
    return float(np.mean(x, dtype=np.float64))


def _mean_of_points(geometry: Geometry, seed: int) -> float:
    assert geometry.y is not None
    x, y = geometry.x.astype(np.float64), geometry.y.astype(np.float64)
    if geometry.metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        return 1.0 - float(x.mean(axis=0) @ y.mean(axis=0))
    if geometry.metric == "dot":
        return -float(x.mean(axis=0) @ y.mean(axis=0))
    shift = x.mean(axis=0)
    x, y = x - shift, y - shift
    if geometry.metric == "sqeuclidean":  # x has mean 0 here, so the cross term is gone
        return float((x * x).sum(axis=1).mean() + (y * y).sum(axis=1).mean())
    if geometry.n * geometry.m <= SAMPLED_PAIRS:
        from scipy.spatial.distance import cdist

        return float(np.mean(cdist(x, y)))
    rng = np.random.default_rng(seed)
    total, blocks = 0.0, 64  # in blocks: the differences of all sampled pairs would take 8 d MB
    for _ in range(blocks):
        i = rng.integers(geometry.n, size=SAMPLED_PAIRS // blocks)
        j = rng.integers(geometry.m, size=SAMPLED_PAIRS // blocks)
        total += float(np.linalg.norm(x[i] - y[j], axis=1).sum())
    return total / SAMPLED_PAIRS
