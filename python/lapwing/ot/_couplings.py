"""Pairs of points for training flows and diffusions, beside `OTResult.sample`."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from lapwing import _array, _validate
from lapwing._array import Array
from lapwing.ot import _geometry, _gradients
from lapwing.ot._geometry import METRICS, Geometry, Vector
from lapwing.ot._result import OTResult

__all__ = [
    "Assignment",
    "assign",
    "gibbs_weights",
    "gradients_of_pairs",
    "nearest_noise",
]

Norm = Literal["mean", "sum"]
NORMS = (None, "mean", "sum")


class Assignment(NamedTuple):
    """The cheapest way to pair points, each with at most one.

    Attributes
    ----------
    index : int64 array of shape (n,)
        The column of each row; -1 for the rows that stay alone, of which there are some if n > m only.
    cost : float
        Sum of the costs of the pairs.
    """

    index: Array
    cost: float


def assign(
    X: Array, Y: Array | None = None, *, metric: str = "sqeuclidean", max_memory: float | None = None
) -> Assignment:
    """Pair the rows with different columns at the least total cost: the unregularised plan of a small batch.

    Parameters
    ----------
    X : array of shape (n, d) or (n, m)
        Points of the first side; the cost matrix itself if `Y` is None. ``+inf`` in it forbids the pair.
    Y : array of shape (m, d), optional
        Points of the second side.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair of points; see `solve_sample`.
    max_memory : float, optional
        Bytes that the cost matrix may take; None: half of the machine's memory.

    Returns
    -------
    Assignment

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or the forbidden pairs leave no way to pair min(n, m) points.
    MemoryError
        The cost matrix does not fit into `max_memory`.

    Notes
    -----
    SciPy's exact algorithm, of order n³: for batches of up to a few thousand. Larger ones: `solve_sample`
    with a small `reg`, and ``sample`` or ``argmax`` of its result.

    References
    ----------
    D. F. Crouse, "On implementing 2D rectangular assignment algorithms", 2016.
    Y. Li, H. Jiang, A. Kodaira, M. Tomizuka, K. Keutzer, C. Xu, "Immiscible diffusion: accelerating diffusion
    training with noise assignment", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> found = ot.assign(np.array([[0.0], [1.0]]), np.array([[1.1], [0.2], [5.0]]))
    >>> found.index.tolist(), round(found.cost, 6)
    ([1, 0], 0.05)
    """
    from scipy.optimize import linear_sum_assignment

    kind = _array.kind_of(X)
    geometry = _geometry.dense(X, "X") if Y is None else _geometry.points(X, Y, metric)
    n, m = geometry.n, geometry.m
    _validate.check_memory(8.0 * n * m, f"the cost matrix ({n} x {m})", "assign in batches", max_memory)
    costs = geometry.costs()
    try:
        rows, columns = linear_sum_assignment(costs)
    except ValueError as error:
        raise ValueError(f"X forbids every way to pair {min(n, m)} points (+inf): {error}") from error
    index = np.full(n, -1, dtype=np.int64)
    index[rows] = columns
    return Assignment(_array.wrap(index, kind), float(costs[rows, columns].sum()))


def nearest_noise(X: Array, k: int = 4, *, random_state: int | None = 0) -> Array:
    """For each row the nearest of `k` draws from the standard normal distribution.

    Noise that is paired in this way crosses fewer paths when a diffusion model is trained. Its distribution
    is no longer exactly normal given the row; over all rows it nearly is.

    Parameters
    ----------
    X : array of shape (n, ...)
        Data, for example images; every row is one point.
    k : int
        Draws for each row. Memory does not grow with it.
    random_state : int, numpy generator or None
        Seed of the draws.

    Returns
    -------
    array of the shape of `X`
        Of its kind; float32 if `X` is, else float64.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Y. Li, F. Liang, D. Kondratyuk, M. Tomizuka, K. Keutzer, C. Xu, "Improved immiscible diffusion: accelerate
    diffusion training by reducing its miscibility", 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> X = np.full((1000, 2), 3.0)
    >>> bool(ot.nearest_noise(X, k=16).mean() > 1.0)  # nearer than the mean of all draws, which is 0
    True
    """
    count = _validate.check_integer(k, "k", 1)
    array = _array.real(X, "X")
    if array.ndim < 1 or array.size == 0:
        raise ValueError(f"X must have at least one row and one entry, got shape {array.shape}")
    _validate.check_finite(array, "X")
    rows = array.reshape(array.shape[0], -1)
    generator = np.random.default_rng(_validate.check_seed(random_state))
    best = generator.standard_normal(rows.shape, dtype=rows.dtype)
    least = _geometry.squares(best, rows)
    for _ in range(count - 1):
        noise = generator.standard_normal(rows.shape, dtype=rows.dtype)
        square = _geometry.squares(noise, rows)
        nearer = square < least
        best[nearer], least[nearer] = noise[nearer], square[nearer]
    return _array.wrap(best.reshape(array.shape), _array.kind_of(X))


def gibbs_weights(
    X: Array,
    Y: Array,
    *,
    reg: float | None = None,
    metric: str = "sqeuclidean",
    potentials: OTResult | None = None,
    normalize: Norm | None = "mean",
) -> Array:
    r"""Weights :math:`\exp(-c(x_i, y_i)/\varepsilon)` of pairs that were drawn independently.

    A loss over independent pairs with these weights is the loss over the pairs of an entropic plan, up to a
    tilt of the two marginals. With `potentials` the weights are :math:`\exp((f(x_i) + g(y_i) - c(x_i,
    y_i))/\varepsilon)`, and the tilt is gone.

    Parameters
    ----------
    X, Y : arrays of shape (n, d)
        The two points of each pair.
    reg : float, optional
        Regularisation ε > 0, in units of the cost. Needed without `potentials`, and taken from them
        otherwise.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost c; that of `potentials` if these are given.
    potentials : OTResult, optional
        Result of `solve_sample` for (a sample of) the points of the two sides; extended to these.
    normalize : {"mean", "sum", None}
        Divide by the mean of the weights, by their sum, or by nothing.

    Returns
    -------
    array of shape (n,)
        In the kind and float type of `X`.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    S. Calvo-Ordoñez, M. Meunier, A. Cartea, C. Reisinger, Y. Gal, J. M. Hernández-Lobato, "Weighted
    conditional flow matching", 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> ot.gibbs_weights(np.zeros((2, 1)), np.array([[0.0], [1.0]]), reg=1.0, normalize=None)
    array([1.        , 0.36787944])
    """
    _validate.check_choice(normalize, "normalize", NORMS)
    if potentials is None:
        if reg is None:
            raise ValueError("give reg, or potentials")
        level = _validate.check_positive(reg, "reg")
        name = metric
    else:
        if not isinstance(potentials, OTResult) or potentials.metric not in METRICS:
            raise TypeError("potentials must be the result of solve_sample")
        if reg is not None:
            raise ValueError("reg is that of potentials; leave it out")
        level, name = potentials.reg, potentials.metric
    geometry = _geometry.points(X, Y, name)
    if geometry.n != geometry.m:
        raise ValueError(f"X and Y must have as many rows, got {geometry.n} and {geometry.m}")
    logs = -geometry.costs_of_pairs(np.arange(geometry.n), np.arange(geometry.n)) / level
    if potentials is not None:
        logs += (potentials._f_at(potentials._new_rows(X, "X"))) / level
        logs += (potentials._g_at(potentials._new_columns(Y, "Y"))) / level
    if normalize is not None:
        logs -= logs.max()
    weights = np.exp(logs)
    if normalize is not None:
        weights /= weights.sum() if normalize == "sum" else weights.mean()
    return _array.wrap(weights.astype(geometry.dtype), _array.kind_of(X))


def gradients_of_pairs(geometry: Geometry) -> Vector:
    """Gradient of ``c(x_i, y_i)`` for y_i, in float64."""
    assert geometry.y is not None
    x, y = geometry.x.astype(np.float64), geometry.y.astype(np.float64)
    if geometry.metric == "dot":
        return np.asarray(-x)
    if geometry.metric == "cosine":
        return _gradients.off_direction(-x / _gradients.norms(x), y / _gradients.norms(y), y)
    if geometry.metric == "sqeuclidean":
        return np.asarray(2 * (y - x))
    distance = np.linalg.norm(y - x, axis=1, keepdims=True)
    return np.asarray((y - x) / np.where(distance > 0, distance, 1.0))
