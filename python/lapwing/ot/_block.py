"""One sweep over some of the rows: the unit in which other programs spread a problem over machines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lapwing import _array, _threads, _validate
from lapwing._array import Array
from lapwing.exceptions import InfeasibleError
from lapwing.ot import _cost

__all__ = ["BlockSweep", "sweep_block"]


class BlockSweep(NamedTuple):
    """What a block of rows has to say after a sweep.

    Attributes
    ----------
    f : float64 array of shape (r,)
        New potentials of the rows of the block.
    g : float64 array of shape (m,)
        The potentials that the columns would have if there were no other rows; +inf without any.
    """

    f: Array
    g: Array


def sweep_block(
    X: Array,
    Y: Array | None,
    g: Array,
    a: Array,
    b: Array,
    *,
    reg: float,
    metric: str = "sqeuclidean",
    n_jobs: int | None = None,
) -> BlockSweep:
    r"""A Sinkhorn iteration of some of the rows, for problems that are spread over processes or machines.

    Every worker holds some rows and calls this with the same `g`; the answers are put together by

    .. math:: g_j \leftarrow -\varepsilon \log \sum_{\mathrm{blocks}} e^{-g^{\mathrm{block}}_j/\varepsilon},

    which is a sweep of the whole problem: ``-reg * np.logaddexp.reduce([-s.g / reg for s in answers])``. Only
    vectors of length m travel. No term overflows, whatever the start.

    Parameters
    ----------
    X : array of shape (r, d) or (r, m)
        Points of the block; their costs to all columns if `Y` is None. ``+inf`` in them forbids a pair.
    Y : array of shape (m, d) or None
        All points of the second side.
    g : array of shape (m,)
        Potentials of the second side in units of the cost; zeros to start with.
    a : array of shape (r,)
        Weights of the rows of the block, at least 0: their share of those of the whole problem.
    b : array of shape (m,)
        Weights of all columns, at least 0, with the total of the `a` of all blocks.
    reg : float
        Regularisation ε > 0, in units of the cost.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair of points; see `solve_sample`.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use.

    Returns
    -------
    BlockSweep
        ``.f`` of the rows, which meet their weights exactly together with the given `g`, and ``.g``.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    InfeasibleError
        A row of positive weight may use no pair.

    Notes
    -----
    With `old` and `new` the potentials before and after they were put together, the plan of the new f and the
    old g has exact rows and misses the columns by ``b @ np.abs(np.expm1((old - new) / reg))``: the marginal
    error times the mass. Solve at a few larger values of `reg` first, each from the potentials before it. A
    result with all that `OTResult` offers is made, where all rows are, by
    ``solve_sample(X, Y, a, b, reg=reg, init=(f, g))``.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(60, 2)), rng.normal(size=(50, 2))
    >>> a, b, g, reg = np.full(60, 1 / 60), np.full(50, 1 / 50), np.zeros(50), 0.5
    >>> blocks = np.array_split(np.arange(60), 4)
    >>> for _ in range(50):
    ...     answers = [ot.sweep_block(X[i], Y, g, a[i], b, reg=reg) for i in blocks]
    ...     g = -reg * np.logaddexp.reduce([-s.g / reg for s in answers])
    >>> f = np.concatenate([s.f for s in answers])
    >>> whole = ot.solve_sample(X, Y, a, b, reg=reg, init=(f, g))
    >>> whole.converged, whole.n_sweeps <= 2
    (True, True)
    """
    threads = _threads.resolve(n_jobs)
    level = _validate.check_positive(reg, "reg")
    geometry = _cost.geometry_of(X, Y, metric, threads)
    potential = _validate.check_vector(g, geometry.m, "g")
    rows = _validate.check_vector(a, geometry.n, "a")
    negative = np.flatnonzero(rows < 0)
    if negative.size:
        raise ValueError(f"a must be at least 0, but a[{int(negative[0])}] is {rows[negative[0]]:g}")
    columns = _validate.check_weights(b, geometry.m, "b")
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(rows), np.log(columns)
    f = geometry.softmin(potential + level * log_b, level, threads=threads)
    alone = np.flatnonzero(np.isposinf(f) & (rows > 0))
    if alone.size:
        raise InfeasibleError(
            f"row {int(alone[0])} of the block has positive weight, and every pair it could use is forbidden"
        )
    weighed = np.where(rows > 0, f, 0.0) + level * log_a
    own = geometry.softmin(weighed, level, transpose=True, threads=threads)
    kind = _array.kind_of(X)
    return BlockSweep(_array.wrap(f, kind), _array.wrap(own, kind))
