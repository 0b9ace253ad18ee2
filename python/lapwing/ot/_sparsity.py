"""Transport whose plan has at most k entries in each column."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _caller, _threads, _validate
from lapwing._array import Array, Kind
from lapwing._progress import Callback, Progress
from lapwing.exceptions import InfeasibleError
from lapwing.ot import _cost
from lapwing.ot._geometry import Geometry, Vector
from lapwing.ot._solve import _weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparsePlan", "sparsity_constrained"]

MEMORY = 10  # differences that L-BFGS keeps


class SparsePlan(NamedTuple):
    """A plan with few entries in each column, and its certificate.

    Attributes
    ----------
    plan : csr_array of shape (n, m)
        Columns sum to `b` exactly; rows to `a` up to `row_error`.
    potential : array of shape (n,)
        The dual variable of the rows, in units of the cost.
    value : float
        ``<C, P> + reg/2 ‖P‖²``.
    dual : float
        The value of the semi-dual: a lower bound of the least value.
    row_error : float
        ``‖P1 - a‖₁ / sum(a)``.
    converged : bool
        Whether `row_error` is at most `tol`.
    n_iter : int
        Iterations of L-BFGS.
    """

    plan: csr_array
    potential: Array
    value: float
    dual: float
    row_error: float
    converged: bool
    n_iter: int


def sparsity_constrained(
    C: Array,
    a: Array | None = None,
    b: Array | None = None,
    *,
    k: int,
    reg: float,
    Y: Array | None = None,
    metric: str = "sqeuclidean",
    round: bool = False,
    tol: float = 1e-6,
    max_iter: int = 1000,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> SparsePlan:
    r"""Transport with a quadratic penalty and at most `k` entries in each column.

    Minimises :math:`\langle C, P\rangle + \frac{\gamma}{2}\|P\|^2` over plans from a to b whose columns have
    at most k entries, by L-BFGS on the semi-dual. With :math:`k \ge n` it is quadratically regularised
    transport, with k = 1 the unregularised semi-dual.

    Parameters
    ----------
    C : array of shape (n, m) or (n, d)
        Cost; the points of the rows if `Y` is given.
    a, b : arrays of shape (n,) and (m,), optional
        Weights with the same total; None: uniform. Columns of weight 0 stay empty.
    k : int
        Largest number of entries in a column.
    reg : float
        γ > 0, in units of the cost over those of the weights.
    Y : array of shape (m, d), optional
        Points of the columns. No matrix of n m costs is made then.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair of points.
    round : bool
        Move the mass within the entries that were found until the rows sum to a, at the least cost, if they
        allow it (a linear program of k m variables). What they do not allow stays in `row_error`.
    tol : float
        Largest error of the row sums, over the mass.
    max_iter : int
        Most iterations of L-BFGS.
    n_jobs : int or None
        Number of threads; the result has the same bits for any.
    callback, verbose
        As for `solve`; ``error`` is the error of the row sums.

    Returns
    -------
    SparsePlan

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    InfeasibleError
        k m entries cannot reach all rows.

    Warns
    -----
    ConvergenceWarning
        The row sums are off by more than `tol`. With a small `k`, or with ties, the semi-dual is not smooth
        and its maximum leaves an error that no number of iterations removes; see `round`.

    References
    ----------
    T. Liu, J. Puigcerver, M. Blondel, "Sparsity-constrained optimal transport", 2022.

    Examples
    --------
    Tokens (rows) to experts (columns), at most two tokens an expert:

    >>> import numpy as np
    >>> from lapwing import ot
    >>> C = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [3.0, 0.5]])
    >>> found = ot.sparsity_constrained(C, k=2, reg=0.1)
    >>> found.plan.toarray()
    array([[0.25, 0.  ],
           [0.25, 0.  ],
           [0.  , 0.25],
           [0.  , 0.25]])
    """
    from scipy.optimize import minimize

    threads = _threads.resolve(n_jobs)
    level = _validate.check_positive(reg, "reg")
    most = _validate.check_integer(k, "k", 1)
    tolerance = _validate.check_positive(tol, "tol")
    limit = _validate.check_integer(max_iter, "max_iter", 1)
    kind = _array.kind_of(C)
    geometry = _cost.geometry_of(C, Y, metric, threads)
    n, m = geometry.n, geometry.m
    rows_a, columns_b = _weights(a, b, geometry, equal=True)
    extent = geometry.extent(threads)
    if extent.forbidden:
        raise ValueError("C must be finite, but it has +inf")
    most = min(most, n)
    used = np.flatnonzero(columns_b)
    if most * used.size < np.count_nonzero(rows_a):
        raise InfeasibleError(
            f"{np.count_nonzero(rows_a)} rows have positive weight, and {used.size} columns with k = {most} "
            "entries reach fewer"
        )
    part, weights = geometry.take(None, None if used.size == m else used), columns_b[used]
    problem = _SemiDual(part, rows_a, weights, most, level, threads)
    scale = float(rows_a.sum())
    with Progress(callback, verbose, unit=" steps", reg=level) as progress:

        def step(_: Any) -> None:
            problem.steps += 1
            hook = progress.hook
            if hook is not None and hook("semi-dual", problem.steps, problem.row_error):
                raise StopIteration

        minimize(
            problem, np.zeros(n), jac=True, method="L-BFGS-B", callback=step,
            options={
                "maxiter": limit, "maxcor": MEMORY, "maxfun": 20 * limit, "ftol": 0.0,
                "gtol": tolerance * scale / n,
            },
        )  # fmt: skip
    alpha = problem.best
    _, _, index, entries = problem.at(alpha)
    if round:
        entries = _rounded(part, rows_a, weights, index, entries)
    return _result(
        geometry,
        kind,
        rows_a,
        used,
        index,
        entries,
        alpha,
        level,
        -float(problem.least),
        tolerance,
        problem.steps,
    )


class _SemiDual:
    """Minus the semi-dual, with its gradient, and the best that was seen."""

    def __init__(self, geometry: Geometry, a: Vector, b: Vector, k: int, reg: float, threads: int) -> None:
        self.geometry, self.a, self.b, self.k, self.reg, self.threads = geometry, a, b, k, reg, threads
        self.least, self.best = np.inf, np.zeros(a.size)
        self.row_error, self.steps = np.inf, 0

    def at(self, alpha: Vector) -> tuple[float, Vector, NDArray[np.int64], Vector]:
        return self.geometry.sparse_semi_dual(
            self.a, self.b, self.k, self.reg, np.ascontiguousarray(alpha), threads=self.threads
        )

    def __call__(self, alpha: Vector) -> tuple[float, Vector]:
        dual, gradient, _, _ = self.at(alpha)
        if -dual < self.least:
            self.least, self.best = -dual, alpha.copy()
            self.row_error = float(np.abs(gradient).sum() / self.a.sum())
        return -dual, -gradient


def _rounded(geometry: Geometry, a: Vector, b: Vector, index: NDArray[np.int64], entries: Vector) -> Vector:
    """The cheapest plan on these entries with the column sums b and row sums as near to a as they allow."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    m, k = index.shape
    n, size = a.size, m * k
    column = np.repeat(np.arange(m), k)
    costs = geometry.costs_of_pairs(index.ravel(), column)
    one = np.ones(size)
    by_row = csr_array((one, (index.ravel(), np.arange(size))), shape=(n, size))
    by_column = csr_array((one, (column, np.arange(size))), shape=(m, size))
    # row sums + short - over = a; a unit that is missed costs more than any way to carry it
    missed = 2 * (m + n) * (float(np.ptp(costs)) + 1e-300) + 1.0
    matrix = vstack(
        [
            hstack([by_row, eye_array(n), -eye_array(n)]),
            hstack([by_column, csr_array((m, 2 * n))]),
        ]
    )
    scale = float(a.sum())
    found = linprog(
        np.concatenate([costs - costs.min(), np.full(2 * n, missed)]),
        A_eq=matrix, b_eq=np.concatenate([a, b]) / scale, bounds=(0, None), method="highs",
    )  # fmt: skip
    if found.x is None:
        return entries
    return np.asarray(np.maximum(found.x[:size], 0).reshape(m, k) * scale)


def _result(
    geometry: Geometry, kind: Kind, a: Vector, used: NDArray[np.intp], index: NDArray[np.int64],
    entries: Vector, alpha: Vector, reg: float, dual: float, tol: float, iterations: int,
) -> SparsePlan:  # fmt: skip
    from scipy.sparse import csr_array

    keep = entries > 0
    rows, columns = index[keep], np.broadcast_to(used[:, None], index.shape)[keep]
    values = entries[keep]
    linear = float(values @ geometry.costs_of_pairs(rows, columns))
    error = float(np.abs(np.bincount(rows, weights=values, minlength=a.size) - a).sum() / a.sum())
    plan = csr_array((values.astype(geometry.dtype), (rows, columns)), shape=(geometry.n, geometry.m))
    plan.sort_indices()
    if error > tol:
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(
            f"the row sums are off by {error:.2e} of the mass, above tol = {tol:g}, after {iterations} "
            "iterations; a larger k or reg, or round=True, brings them nearer",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return SparsePlan(
        plan, _array.wrap(alpha.astype(geometry.dtype), kind), linear + 0.5 * reg * float(values @ values),
        dual, error, error <= tol, iterations,
    )  # fmt: skip
