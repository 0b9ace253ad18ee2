"""Entropic barycentres whose points move."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lapwing import _array, _caller, _threads, _validate
from lapwing._array import Array, Floats
from lapwing._progress import Callback, Progress
from lapwing.ot._geometry import Vector
from lapwing.ot._result import OTResult
from lapwing.ot._solve import solve_sample

__all__ = ["FreeBarycenter", "barycenter_free_support"]


class FreeBarycenter(NamedTuple):
    """A cloud of points in the middle of others, and its certificate.

    Attributes
    ----------
    points : array of shape (m, d)
    weights : array of shape (m,)
        Their masses, as given.
    value : float
        Mean of the transport costs (with their entropy) to the clouds.
    displacement : float
        How far the points moved in the last iteration: root mean square, over that of the points around
        their mean (of the clouds, for a barycentre of one point).
    converged : bool
    n_iter : int
    results : list of OTResult
        The plan of each cloud to the barycentre.
    """

    points: Array
    weights: Array
    value: float
    displacement: float
    converged: bool
    n_iter: int
    results: list[OTResult]


def barycenter_free_support(
    clouds: Sequence[Array],
    masses: Sequence[Array | None] | None = None,
    *,
    support: int | Array,
    support_weights: Array | None = None,
    weights: Array | None = None,
    reg: float,
    tol: float = 1e-4,
    max_iter: int = 100,
    plan_tol: float | None = None,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> FreeBarycenter:
    r"""The cloud of m points with the least mean entropic transport cost to given clouds.

    Minimises :math:`\sum_k w_k \mathrm{OT}_\varepsilon(X_k, Y)` over the points Y, for the cost
    :math:`\|x - y\|^2`: the plans for the points, then the points for the plans,
    :math:`Y = \sum_k w_k \operatorname{diag}(1/b) P_k^\top X_k`, in turns.

    Parameters
    ----------
    clouds : sequence of K arrays of shape (n_k, d)
        The measures. If all are float32 the computation is in float32, else in float64.
    masses : sequence of K arrays of shape (n_k,) or None, optional
        Their weights, each made to sum to 1; None: uniform.
    support : int or array of shape (m, d)
        Where the points start; a number: so many drawn from the clouds.
    support_weights : array of shape (m,), optional
        Masses of the barycentre, made to sum to 1; they stay. None: uniform.
    weights : array of shape (K,), optional
        Of the clouds in the mean, at least 0; made to sum to 1. None: equal.
    reg : float
        Regularisation ε > 0, in units of the squared distance. It draws the points together: by about ε/2
        in variance.
    tol : float
        Stop when the points move by at most this; see `FreeBarycenter`.
    max_iter : int
        Largest number of turns.
    plan_tol : float, optional
        Marginal error of the plans; None: as in `solve`.
    random_state : int, numpy generator or None
        Chooses the points that the support starts from.
    n_jobs, callback, verbose
        As for `solve`; ``error`` is the displacement.

    Returns
    -------
    FreeBarycenter

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    ConvergenceWarning
        The points still move by more than `tol`, or a plan did not converge.

    References
    ----------
    M. Cuturi, A. Doucet, "Fast computation of Wasserstein barycenters", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> middle = ot.barycenter_free_support([X, X + 4.0], support=50, reg=0.05)
    >>> np.round(middle.points.mean(axis=0) - X.mean(axis=0), 3)
    array([2., 2.])
    """
    _threads.resolve(n_jobs)
    level = _validate.check_positive(reg, "reg")
    tolerance = _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_iter, "max_iter", 1)
    seed = _validate.check_seed(random_state)
    if not isinstance(clouds, (list, tuple)) or not clouds:
        raise ValueError("clouds must be a sequence of at least one array of points")
    points = [_validate.check_points(x, f"clouds[{k}]") for k, x in enumerate(clouds)]
    for k, x in enumerate(points):
        _validate.check_columns(points[0], x, "clouds[0]", f"clouds[{k}]")
    dtype = np.result_type(*points)
    points = [_array.contiguous(x, dtype) for x in points]
    count, d = len(points), points[0].shape[1]
    if masses is not None and len(masses) != count:
        raise ValueError(f"masses must have an entry for each of the {count} clouds, got {len(masses)}")
    own = [
        _shares(None if masses is None else masses[k], x.shape[0], f"masses[{k}]")
        for k, x in enumerate(points)
    ]
    share = _shares(weights, count, "weights")
    Y = _start(support, points, own, share, seed, dtype)
    if Y.shape[1] != d:
        raise ValueError(f"support must have {d} columns as the clouds have, got shape {Y.shape}")
    b = _shares(support_weights, Y.shape[0], "support_weights")
    if not b.all():
        raise ValueError(f"support_weights must be > 0, but support_weights[{int(np.argmin(b))}] is 0")
    kind = _array.kind_of(clouds[0])
    used = np.flatnonzero(share).tolist()
    around = float(np.sqrt(sum(share[k] * points[k].var(axis=0).sum() for k in used)))
    results: list[OTResult] = []
    displacement, turn, converged, stopped = np.inf, 0, False, False
    with Progress(callback, verbose, unit=" turns", reg=level) as progress:
        while turn < most and not converged and not stopped:
            results = [
                solve_sample(
                    points[k], Y, own[k], b, reg=level, tol=plan_tol, n_jobs=n_jobs,
                    init=results[at] if turn else None,
                )
                for at, k in enumerate(used)
            ]  # fmt: skip
            # the column of ones has the sums that divide: a mean of points to rounding, converged or not
            target = np.zeros(Y.shape)
            for at, k in enumerate(used):
                x = np.column_stack([points[k], np.ones(points[k].shape[0])]).astype(np.float64)
                image = np.asarray(results[at].apply_T(x))
                target += share[k] * image[:, :-1] / image[:, -1:]
            spread = float(np.sqrt(b @ np.square(target - b @ target).sum(axis=1)))
            moved = float(np.sqrt(b @ np.square(target - Y).sum(axis=1)))
            spread = spread or around  # a barycentre of one point
            displacement = moved / spread if spread > 0 else 0.0 if moved == 0 else np.inf
            Y = target.astype(dtype)
            turn += 1
            converged = displacement <= tolerance
            stopped = progress.hook is not None and progress.hook("barycenter", turn, displacement)
    if not converged and not stopped:
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(
            f"the points of the barycentre still move by {displacement:.2e} of their spread, above tol = "
            f"{tolerance:g}, after {turn} turns",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    value = float(sum(share[k] * results[at].value for at, k in enumerate(used)))
    return FreeBarycenter(
        _array.wrap(Y, kind), _array.wrap(b.astype(dtype), kind), value, displacement,
        converged and all(r.converged for r in results), turn, results,
    )  # fmt: skip


def _shares(given: Array | None, n: int, name: str) -> Vector:
    if given is None:
        return np.full(n, 1 / n)
    weights = _validate.check_weights(given, n, name)
    return np.asarray(weights / weights.sum())


def _start(
    support: int | Array,
    points: list[Floats],
    own: list[Vector],
    share: Vector,
    seed: int,
    dtype: np.dtype[Any],
) -> Floats:
    if np.ndim(support) != 0:
        given: Floats = _validate.check_points(support, "support").astype(dtype)
        return given
    m = _validate.check_integer(support, "support", 1)
    generator = np.random.default_rng(seed)
    whole = np.concatenate(points)
    chance = np.concatenate([s * w for s, w in zip(share, own, strict=True)])
    chosen = generator.choice(whole.shape[0], size=m, p=chance / chance.sum())
    out = whole[chosen]
    # one point drawn twice would stay one for good
    jitter = generator.standard_normal(out.shape) * (1e-3 * whole.std(axis=0))
    start: Floats = (out + jitter).astype(dtype)
    return start
