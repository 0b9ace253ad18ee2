"""The two doors of the balanced solver: a cost matrix, or two point clouds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lapwing import _array, _backend, _caller, _threads, _validate
from lapwing._array import Array, Kind
from lapwing._progress import Callback, Progress
from lapwing.exceptions import InfeasibleError
from lapwing.ot import _cost, _gaussian, _geometry, _relaxed, _sparse, _tiles
from lapwing.ot._geometry import Extent, Geometry, Vector
from lapwing.ot._relaxed import Relaxation
from lapwing.ot._result import HistoryEntry, OTResult, _plus_log

__all__ = ["solve", "solve_sample"]

SCALES = (None, "median", "mean", "max")
ACCELERATIONS = (None, "anderson", "sor")
METHODS = ("auto", "sinkhorn", "newton")
PRECISIONS = (None, "mixed")
SINGLE = 1e36  # well within float32, squares of sums included
LOOSE = 1e-5  # marginal error to which float32 is taken: ten times its floor
PLAN_BYTES = 2 * 2**30
ACTIVE_BYTES = 2e9

Scale = Literal["median", "mean", "max"]
Acceleration = Literal["anderson", "sor"]
Method = Literal["auto", "sinkhorn", "newton"]
Penalty = float | Array | None
Start = OTResult | tuple[Array, Array]


def solve(
    C: Array,
    a: Array | None = None,
    b: Array | None = None,
    *,
    reg: float,
    shape: tuple[int, int] | None = None,
    reg_scale: Scale | None = None,
    reg_type: Literal["kl", "entropy"] = "kl",
    unbalanced: Penalty | tuple[Penalty, Penalty] = None,
    unbalanced_type: Literal["kl", "tv"] = "kl",
    mass: float | None = None,
    method: Method = "auto",
    tol: float | None = None,
    max_iter: int = 10_000,
    init: Start | None = None,
    schedule: Literal["auto"] | Sequence[float] | None = "auto",
    acceleration: Acceleration | None = "anderson",
    precision: Literal["mixed"] | None = None,
    n_jobs: int | None = None,
    random_state: int | None = 0,
    callback: Callback | None = None,
    verbose: int = 0,
    max_memory: float | None = None,
    max_plan_bytes: int = PLAN_BYTES,
) -> OTResult:
    r"""Entropic optimal transport with a given cost matrix.

    Minimises :math:`\langle C, P\rangle + \varepsilon\,\mathrm{KL}(P \,\|\, a b^\top)` over plans with row
    sums a and column sums b, by Sinkhorn iterations that hold logarithms, so that any regularisation works.

    Parameters
    ----------
    C : array of shape (n, m), or callable
        Cost. float32 is computed in float32, everything else in float64. ``+inf`` forbids a pair. A matrix in
        Fortran order is used as it lies; other strides are copied once. The result keeps a reference to it.
        It may be a ``numpy.memmap`` of either float type, which is read row by row and never loaded as a
        whole (unless there are weights of 0). A callable ``C(i, j)`` returns the rows i to j - 1, of shape
        (j - i, m); it is asked for all of them once, in order, from one thread. They are kept in memory up
        to `max_memory`, and above it in a temporary file (in ``TMPDIR``).
        A matrix of scipy.sparse is handed to `solve_sparse`.
    a : array of shape (n,), optional
        Weights of the rows, at least 0, of any total. None: uniform, with the total of `b` (1 if both are
        None). Rows of weight 0 have no part in the plan; they get a potential all the same.
    b : array of shape (m,), optional
        Weights of the columns, with the total of `a`: a difference below 1e-6 of it (1e-4 if one of the
        arrays is float32) is removed by scaling `b`.
    reg : float
        Regularisation ε > 0, in units of the cost, or of what `reg_scale` names.
    shape : (int, int), optional
        (n, m) of a callable `C`.
    reg_scale : {None, "median", "mean", "max"}
        Multiply `reg` (and a given `schedule`) by this statistic of the finite costs. The median is exact
        when n m is at most 2^26, else estimated from 2^22 random pairs. ``result.reg`` is the product and
        ``result.cost_scale`` the statistic.
    reg_type : {"kl", "entropy"}
        What ε multiplies: ``KL(P | a bᵀ)``, or ``Σ P (log P - 1)``. The balanced plan is the same, the value
        and the potentials are not; unbalanced and partial plans differ.
    unbalanced : float, array or pair of them, optional
        Penalty ρ > 0 for missing the weights, for both sides or as ``(ρ_a, ρ_b)``; each a number, an array
        with one number a point, or None (or inf) for weights that are met exactly. The weights need not have
        the same total then.
    unbalanced_type : {"kl", "tv"}
        ``ρ KL(P1 | a)``, or total variation ``ρ ‖P1 - a‖₁``, under which mass that would travel further than
        about 2ρ is dropped.
    mass : float, optional
        Partial transport: move exactly this much, with ``P1 ≤ a`` and ``Pᵀ1 ≤ b``. At most the smaller total
        of the two. Not together with `unbalanced`.
    method : {"auto", "sinkhorn", "newton"}
        ``"sinkhorn"``: sweeps over all pairs alone. ``"newton"``: Newton's method on the entries of the plan
        that carry mass, as soon as a level of the regularisation allows it, between sweeps that measure the
        true error. ``"auto"``: sweeps, and Newton's method where they would be many and few entries carry the
        mass (small regularisations); only with ``acceleration="anderson"``. ``result.history`` and
        ``result.reason`` tell what ran.
    tol : float, optional
        Stop when ``(‖P1 - a‖₁ + ‖Pᵀ1 - b‖₁) / sum(a)`` is at most this. Default 1e-6; 1e-5 in float32, which
        can reach about 5e-7. Below what rounding permits, the run ends at the floor and says so.
    max_iter : int
        Largest number of sweeps; each updates both potentials.
    init : (f, g) or OTResult, optional
        Potentials to start from, in units of the cost. Unless `schedule` is a sequence, no ε-scaling is done
        then.
    schedule : "auto", None or sequence of float
        ε-scaling: regularisations to pass through. ``"auto"`` starts at `reg` where the cost ranges over
        at most 100 `reg`, else at its range, and divides by 4 until `reg`; None starts at `reg`; a sequence
        must decrease and end at `reg`.
    acceleration : {"anderson", "sor", None}
        Extrapolation of the sweeps: Anderson mixing, over-relaxation, or none.
    precision : {None, "mixed"}
        ``"mixed"``: what is in float64 is solved in float32 first, as far as that reaches, and from there in
        float64. Takes a float32 copy of the cost (of the points).
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result has the same bits for
        any.
    random_state : int, numpy generator or None
        Chooses the pairs of a sampled `reg_scale`; nothing else is random.
    callback : callable, optional
        Called after every sweep with an object that has ``stage``, ``iteration``, ``error``, ``elapsed``
        (seconds) and ``reg``. Returning True stops the run, which returns what it has.
    verbose : int
        Above 0: a progress bar, once the run has taken a second.
    max_memory : float, optional
        Bytes for entries of the plan that are kept while it is sought (up to 8 MiB), and that Newton's method
        may take for its own and for a factorisation; None: 2e9. Above it there are plain sweeps alone.
        Also of the costs of a callable `C`.
    max_plan_bytes : int
        Largest size of ``result.plan`` and ``result.sparse_plan``; above it they raise ``MemoryError``.

    Returns
    -------
    OTResult
        Potentials, value, certificate, and the plan as an operator. Where a tensor of PyTorch requires grad:
        a `lapwing.autograd.TensorOTResult`, whose answers carry gradients.

    Raises
    ------
    ValueError
        A shape, a number or an entry is not as described; the message names the argument and the first bad
        entry.
    InfeasibleError
        A row or column of positive weight has only ``+inf`` costs.
    TypeError
        An array is complex, a sparse tensor or not numeric, or an option is a tensor that requires grad.
    ImportError
        An array lives on a GPU.

    Warns
    -----
    ConvergenceWarning
        The marginal error did not reach `tol`.

    See Also
    --------
    solve_sparse : With a cost for some pairs alone.
    solve_sample : The same from two point clouds, without a cost matrix.
    c_transform : What the iteration becomes for a regularisation of 0.

    Notes
    -----
    The plan is :math:`P_{ij} = a_i b_j \exp((f_i + g_j - C_{ij})/\varepsilon)`, with potentials f, g in
    units of the cost and fixed by ``sum(a*f) == sum(b*g)``.

    **Convention.** The entropy is relative to the product :math:`a b^\top`, as in GeomLoss, OTT-JAX and POT's
    ``ot.solve``. POT's ``sinkhorn*`` functions and RegOT penalise :math:`\sum P(\log P - 1)` instead. The
    plan is the same; their value is ``value + ε (Σ a log a + Σ b log b - M²)`` with M the total mass, and
    their log-scalings are ``f/ε + log a`` and ``g/ε + log b``.

    References
    ----------
    M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", 2013.
    B. Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> result = ot.solve(np.array([[0.0, 1.0], [1.0, 0.0]]), reg=1.0)
    >>> np.round(result.plan, 6)
    array([[0.365529, 0.134471],
           [0.134471, 0.365529]])
    >>> result.converged
    True
    """
    options = _Options.check(
        reg, reg_scale, reg_type, unbalanced, unbalanced_type, mass, method, tol, max_iter, acceleration,
        schedule, precision, n_jobs, random_state, callback, verbose, max_memory, max_plan_bytes,
    )  # fmt: skip
    if callable(C) and not hasattr(C, "__array__"):
        C = _tiles.collect(C, shape, options.max_memory)
    elif shape is not None:
        raise ValueError("shape goes with a callable C")
    if _sparse.is_sparse(C):
        return _solve(_sparse.pairs(C), "numpy", a, b, init, options)
    geometry = _geometry.dense(C, threads=_threads.resolve(n_jobs))
    return _solve(geometry, _array.kind_of(C), a, b, init, options)


def solve_sample(
    X: Array,
    Y: Array,
    a: Array | None = None,
    b: Array | None = None,
    *,
    reg: float,
    metric: str = "sqeuclidean",
    reg_scale: Scale | None = None,
    reg_type: Literal["kl", "entropy"] = "kl",
    unbalanced: Penalty | tuple[Penalty, Penalty] = None,
    unbalanced_type: Literal["kl", "tv"] = "kl",
    mass: float | None = None,
    method: Method = "auto",
    tol: float | None = None,
    max_iter: int = 10_000,
    init: Start | Literal["gaussian"] | None = None,
    schedule: Literal["auto"] | Sequence[float] | None = "auto",
    acceleration: Acceleration | None = "anderson",
    precision: Literal["mixed"] | None = None,
    n_jobs: int | None = None,
    random_state: int | None = 0,
    callback: Callback | None = None,
    verbose: int = 0,
    max_memory: float | None = None,
    max_plan_bytes: int = PLAN_BYTES,
) -> OTResult:
    r"""Entropic optimal transport between two point clouds, without a cost matrix.

    The costs of a pair are computed where they are needed and forgotten: memory is O((n + m) d), and what
    `max_memory` says.

    Parameters
    ----------
    X : array of shape (n, d)
        Points of the first side, one a row. If both are float32 the computation is in float32, else in
        float64.
    Y : array of shape (m, d)
        Points of the second side.
    a, b : arrays of shape (n,) and (m,), optional
        Weights, at least 0, with the same total; see `solve`.
    reg : float
        Regularisation ε > 0, in units of the cost (for ``"sqeuclidean"``: of a squared distance), or of what
        `reg_scale` names.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost of a pair: ``|x - y|²``, ``|x - y|``, ``1 - x·y/(|x||y|)`` or ``-x·y``. Packages whose cost
        is ``|x - y|²/2`` with a blur (GeomLoss) compute the same plan for ``reg = 2 blur²``.
    reg_scale : {None, "median", "mean", "max"}
        Multiply `reg` (and a given `schedule`) by this statistic of the costs; see `solve`. The mean of
        ``"euclidean"`` is an estimate above 2^22 pairs.
    reg_type : {"kl", "entropy"}
        What ε multiplies: ``KL(P | a bᵀ)``, or ``Σ P (log P - 1)``. The balanced plan is the same, the value
        and the potentials are not; unbalanced and partial plans differ.
    unbalanced : float, array or pair of them, optional
        Penalty ρ > 0 for missing the weights, for both sides or as ``(ρ_a, ρ_b)``; each a number, an array
        with one number a point, or None (or inf) for weights that are met exactly. The weights need not have
        the same total then.
    unbalanced_type : {"kl", "tv"}
        ``ρ KL(P1 | a)``, or total variation ``ρ ‖P1 - a‖₁``, under which mass that would travel further than
        about 2ρ is dropped.
    mass : float, optional
        Partial transport: move exactly this much, with ``P1 ≤ a`` and ``Pᵀ1 ≤ b``. At most the smaller total
        of the two. Not together with `unbalanced`.
    method : {"auto", "sinkhorn", "newton"}
        ``"sinkhorn"``: sweeps over all pairs alone. ``"newton"``: Newton's method on the entries of the plan
        that carry mass, as soon as a level of the regularisation allows it, between sweeps that measure the
        true error. ``"auto"``: sweeps, and Newton's method where they would be many and few entries carry the
        mass (small regularisations); only with ``acceleration="anderson"``. ``result.history`` and
        ``result.reason`` tell what ran.
    tol : float, optional
        Stop when ``(‖P1 - a‖₁ + ‖Pᵀ1 - b‖₁) / sum(a)`` is at most this. Default 1e-6; 1e-5 in float32.
    max_iter : int
        Largest number of sweeps; each updates both potentials.
    init : (f, g), OTResult or "gaussian", optional
        Potentials to start from, in units of the cost. ``"gaussian"``: those of two normal distributions with
        the means and covariances of the points (``"sqeuclidean"`` only). The result for other points of the
        same spaces is extended to these points when the sizes differ.
    schedule : "auto", None or sequence of float
        ε-scaling, as for `solve`; ``"auto"`` goes by a bound of the range of the cost.
    acceleration : {"anderson", "sor", None}
        Extrapolation of the sweeps: Anderson mixing, over-relaxation, or none.
    precision : {None, "mixed"}
        ``"mixed"``: what is in float64 is solved in float32 first, as far as that reaches, and from there in
        float64. Takes a float32 copy of the cost (of the points).
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result has the same bits for
        any.
    random_state : int, numpy generator or None
        Chooses the pairs of a sampled `reg_scale`; nothing else is random.
    callback : callable, optional
        Called after every sweep; returning True stops. See `solve`.
    verbose : int
        Above 0: a progress bar, once the run has taken a second.
    max_memory : float, optional
        Bytes for entries of the plan that are kept while it is sought (up to 8 MiB, or 256 MiB for points of
        16 columns and more), and that Newton's method may take for its own and for a factorisation; None:
        2e9. Above it there are plain sweeps alone.
    max_plan_bytes : int
        Largest size of ``result.plan`` and ``result.sparse_plan``.

    Returns
    -------
    OTResult
        Potentials, value, certificate, and the plan as an operator. Where a tensor of PyTorch requires grad:
        a `lapwing.autograd.TensorOTResult`, whose answers carry gradients.

    Raises
    ------
    ValueError
        A shape, a number or an entry is not as described; the message names the argument and the first bad
        entry.
    TypeError
        An array is complex, sparse or not numeric, or an option is a tensor that requires grad.
    ImportError
        An array lives on a GPU.

    Warns
    -----
    ConvergenceWarning
        The marginal error did not reach `tol`.

    See Also
    --------
    solve : For a given cost matrix; its notes tell the convention and which other packages share it.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> X = np.array([[0.0], [1.0]])
    >>> result = ot.solve_sample(X, X + 3, reg=1.0)
    >>> np.round(result.plan, 6)  # a translation does not change the plan
    array([[0.365529, 0.134471],
           [0.134471, 0.365529]])
    """
    options = _Options.check(
        reg, reg_scale, reg_type, unbalanced, unbalanced_type, mass, method, tol, max_iter, acceleration,
        schedule, precision, n_jobs, random_state, callback, verbose, max_memory, max_plan_bytes,
    )  # fmt: skip
    geometry = _geometry.points(X, Y, metric)
    return _solve(geometry, _array.kind_of(X, Y), a, b, init, options)


@dataclass(frozen=True)
class _Options:
    """The checked options of both doors."""

    reg: float
    reg_scale: Scale | None
    reg_type: str
    unbalanced: Any
    unbalanced_type: str
    mass: Any
    method: str
    tol: float | None
    max_iter: int
    acceleration: str
    schedule: Vector | str | None
    precision: str | None
    n_jobs: int | None
    seed: int
    callback: Callback | None
    verbose: int
    max_memory: float
    max_plan_bytes: int

    @classmethod
    def check(
        cls, reg: Any, reg_scale: Any, reg_type: Any, unbalanced: Any, unbalanced_type: Any, mass: Any,
        method: Any, tol: Any, max_iter: Any, acceleration: Any, schedule: Any, precision: Any, n_jobs: Any,
        random_state: Any, callback: Any, verbose: Any, max_memory: Any, max_plan_bytes: Any,
    ) -> _Options:  # fmt: skip
        _threads.resolve(n_jobs)
        hint = "; for the limit 0 use lapwing.ot.c_transform or an exact solver" if _is_zero(reg) else ""
        Progress(callback, verbose)  # checks both
        return cls(
            reg=_validate.check_positive(reg, "reg", hint=hint),
            reg_scale=_validate.check_choice(reg_scale, "reg_scale", SCALES),
            reg_type=_validate.check_choice(reg_type, "reg_type", _relaxed.REFERENCES),
            unbalanced=unbalanced,
            unbalanced_type=_validate.check_choice(unbalanced_type, "unbalanced_type", _relaxed.PENALTIES),
            mass=mass,
            method=_validate.check_choice(method, "method", METHODS),
            tol=None if tol is None else _validate.check_positive(tol, "tol"),
            max_iter=_validate.check_integer(max_iter, "max_iter", 1),
            acceleration=_validate.check_choice(acceleration, "acceleration", ACCELERATIONS) or "none",
            schedule=_check_schedule(schedule),
            precision=_validate.check_choice(precision, "precision", PRECISIONS),
            n_jobs=n_jobs,
            seed=_validate.check_seed(random_state),
            callback=callback,
            verbose=int(verbose),
            max_memory=ACTIVE_BYTES
            if max_memory is None
            else (_validate.check_positive(max_memory, "max_memory", zero=True)),
            max_plan_bytes=int(_validate.check_positive(max_plan_bytes, "max_plan_bytes", zero=True)),
        )


def _is_zero(x: object) -> bool:
    return isinstance(x, (int, float, np.number)) and x == 0


def _check_schedule(schedule: Any) -> Vector | str | None:
    if schedule is None:
        return None
    if isinstance(schedule, str):
        _validate.check_choice(schedule, "schedule", ("auto", None))
        return schedule
    levels = _array.real(schedule, "schedule").astype(np.float64)
    if levels.ndim != 1 or levels.size == 0:
        raise ValueError(f"schedule must be a sequence of numbers, got shape {levels.shape}")
    _validate.check_finite(levels, "schedule")
    if not (levels > 0).all() or not (np.diff(levels) < 0).all():
        raise ValueError(f"schedule must be positive and decrease, got {levels.tolist()}")
    return levels


def _levels(options: _Options, reg: float, scale: float, extent: Extent, warm: bool) -> Vector:
    """The regularisations to pass through; the last one is `reg`."""
    if isinstance(options.schedule, np.ndarray):
        if not np.isclose(options.schedule[-1], options.reg, rtol=1e-9, atol=0):
            raise ValueError(
                f"schedule must end at reg = {options.reg:g}, got {float(options.schedule[-1]):g} as its end"
            )
        return np.append(options.schedule[:-1] * scale, reg)
    if options.schedule == "auto" and not warm:
        return np.asarray(_backend.extension().ot_scaling_levels(extent.high - extent.low, reg))
    return np.array([reg])


def _weights(a: object, b: object, geometry: Geometry, equal: bool) -> tuple[Vector, Vector]:
    """Check both weights, fill in the uniform ones, and with `equal` give b the total of a."""
    single = geometry.dtype == np.float32
    weights: list[Vector | None] = []
    for given, size, name in ((a, geometry.n, "a"), (b, geometry.m, "b")):
        if given is None:
            weights.append(None)
            continue
        array = _array.real(given, name)
        single = single or array.dtype == np.float32
        weights.append(_validate.check_weights(array, size, name))
    first, second = weights
    if first is None:
        total = 1.0 if second is None else float(second.sum())
        first = np.full(geometry.n, total / geometry.n)
    total = float(first.sum())
    if second is None:
        return first, np.full(geometry.m, total / geometry.m)
    if not equal:
        return first, second
    other = float(second.sum())
    if abs(total - other) > (1e-4 if single else 1e-6) * total:
        raise ValueError(
            f"a and b must have the same total, but sum(a) = {total:.9g} and sum(b) = {other:.9g}; "
            "normalise them, for example a / a.sum() and b / b.sum(), or see unbalanced and mass"
        )
    return first, second * (total / other)


def _regularisation(
    geometry: Geometry, options: _Options, extent: Extent, threads: int
) -> tuple[float, float]:
    """Return reg in units of the cost, and the statistic that it was multiplied by."""
    scale = 1.0
    if options.reg_scale is not None:
        scale = _cost.statistic(geometry, options.reg_scale, extent.forbidden, options.seed, threads)
        if not (0 < scale < np.inf):
            raise ValueError(
                f"reg_scale={options.reg_scale!r} needs a positive statistic, but the {options.reg_scale} of "
                f"the cost is {scale:g}; give reg in units of the cost and reg_scale=None"
            )
    reg = options.reg * scale
    largest = max(abs(extent.low), abs(extent.high))
    # The kernels hold 1/reg and cost/reg in the type of the cost.
    if not reg < 1 / float(np.finfo(geometry.dtype).tiny):
        raise ValueError(f"reg = {reg:g} is too large: its inverse underflows {geometry.dtype}")
    if not (reg > 0 and largest / reg < 0.1 * float(np.finfo(geometry.dtype).max)):
        raise ValueError(f"reg = {reg:g} is too small for costs up to {largest:g}: their ratio overflows")
    return reg, scale


def _check_start(init: Any, geometry: Geometry) -> tuple[Vector, Vector] | str | None:
    """Return copies of the potentials to start from, or how to make them."""
    if init is None:
        return None
    if isinstance(init, str):
        if geometry.metric != "sqeuclidean":
            raise ValueError(f"init={init!r} needs points and the metric 'sqeuclidean'")
        return str(_validate.check_choice(init, "init", ("gaussian",)))
    if isinstance(init, OTResult):
        return init._potentials_for(geometry)
    if not isinstance(init, (tuple, list)) or len(init) != 2:
        raise TypeError(f"init must be a pair (f, g) or an OTResult, got {type(init).__name__}")
    f = _validate.check_vector(init[0], geometry.n, "init[0]", finite=False)
    g = _validate.check_vector(init[1], geometry.m, "init[1]", finite=False)
    return f.copy(), g.copy()


def _subset(keep: Any, x: Vector) -> Vector:
    return x if keep is None else np.ascontiguousarray(x[keep])


def _solve(geometry: Any, kind: Kind, a: object, b: object, init: object, options: _Options) -> OTResult:
    threads = _threads.resolve(options.n_jobs)
    relaxed = _relaxed.check(
        options.unbalanced, options.unbalanced_type, options.mass, options.reg_type, geometry.n, geometry.m
    )
    a, b = _weights(a, b, geometry, equal=relaxed is None)
    given = _check_start(init, geometry)

    # The core sees positive weights only.
    rows = None if a.all() else np.flatnonzero(a)
    columns = None if b.all() else np.flatnonzero(b)
    part = geometry.take(rows, columns)
    extent = part.extent(threads)
    if extent.forbidden:
        rows, columns = _feasible(part, rows, columns, relaxed, threads)
        part = geometry.take(rows, columns)
    if geometry.metric == "sparse" and relaxed is None:
        _sparse.check_masses(part, _subset(rows, a), _subset(columns, b), rows)
    part_a, part_b = _subset(rows, a), _subset(columns, b)
    reg, scale = _regularisation(part, options, extent, threads)
    largest = max(abs(extent.low), abs(extent.high))
    if options.precision == "mixed" and not max(largest, largest / reg, 1 / reg) < SINGLE:
        raise ValueError(
            f"precision='mixed' needs numbers that float32 holds, but costs are up to {largest:g} and reg is "
            f"{reg:g}"
        )
    start = _gaussian.potentials(geometry, a, b, reg) if isinstance(given, str) else given
    warm = start is not None
    levels = _levels(options, reg, scale, extent, warm)
    tol = options.tol if options.tol is not None else 1e-5 if geometry.dtype == np.float32 else 1e-6

    if start is None:
        f, g = np.zeros(part.n), np.zeros(part.m)
    else:
        f, g = _subset(rows, start[0]), _subset(columns, start[1])
        for potential, name in ((f, "init[0]"), (g, "init[1]")):
            _validate.check_finite(potential, name)
        if options.reg_type == "entropy" and isinstance(init, (tuple, list)):
            f, g = _plus_log(f, part_a, -reg), _plus_log(g, part_b, -reg)

    if relaxed is not None:
        if relaxed.mass > min(a.sum(), b.sum()) * (1 + 1e-12):
            raise ValueError(
                f"mass = {relaxed.mass:g} is above the smaller total of the weights, "
                f"{min(a.sum(), b.sum()):g}"
            )
        none = np.empty(0)
        rho = (none, none) if relaxed.mass > 0 else relaxed.take(rows, columns)
        penalties = relaxed
        if not relaxed.product and warm:  # here P_ij = exp((f_i + g_j - C_ij) / reg)
            f, g = _plus_log(f, part_a, reg), _plus_log(g, part_b, reg)

        def run(
            part: Geometry, levels: Vector, tol: float, most: int, warm: bool, hook: Any
        ) -> dict[str, Any]:
            return part.solve_relaxed(
                part_a, part_b, f, g, *rho, penalties.clip, penalties.mass, penalties.product, levels, tol,
                most, warm, options.acceleration == "anderson", threads=threads, hook=hook,
            )  # fmt: skip

        report = _run(run, part, levels, tol, warm, reg, options)
        report |= {"n_newton": 0, "reason": "sweeps: the marginals are not fixed", "marginal_error": np.nan}
        relaxed = replace(relaxed, shift=float(report["shift"]))
        if not relaxed.product:  # from here on P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg)
            f -= reg * np.log(part_a)
            g -= reg * np.log(part_b)
    elif min(part.n, part.m) == 1:
        report = _closed_form(part, part_a, part_b, f, g, reg, tol, threads)
    else:

        def run(
            part: Geometry, levels: Vector, tol: float, most: int, warm: bool, hook: Any
        ) -> dict[str, Any]:
            return part.solve(
                part_a, part_b, f, g, levels, tol, most, warm, options.acceleration,
                options.method, options.max_memory, threads=threads, hook=hook,
            )  # fmt: skip

        report = _run(run, part, levels, tol, warm, reg, options)

    kind_of_result = _sparse.SparseOTResult if geometry.metric == "sparse" else OTResult
    result = kind_of_result(
        geometry=geometry,
        kind=kind,
        a=a,
        b=b,
        f=_fill(geometry, rows, columns, f, g, part_b, reg, threads, transpose=False),
        g=_fill(geometry, columns, rows, g, f, part_a, reg, threads, transpose=True),
        reg=reg,
        cost_scale=scale,
        tol=tol,
        marginal_error=float(report["marginal_error"]),
        reg_type=options.reg_type,
        relaxed=relaxed,
        converged=bool(report["converged"]),
        status=str(report["status"]),
        n_sweeps=int(report["n_sweeps"]),
        n_newton=int(report["n_newton"]),
        reason=str(report["reason"]),
        history=[HistoryEntry(float(r), float(e), str(k)) for r, e, k in report["history"]],
        n_jobs=options.n_jobs,
        max_plan_bytes=options.max_plan_bytes,
    )
    if not result.converged and not report["stopped"]:
        from lapwing.exceptions import ConvergenceWarning

        what = (
            f"marginal error {result.marginal_error:.2e}"
            if relaxed is None
            else f"relative change {report['change']:.2e} of the potentials"
        )
        warnings.warn(
            f"{what} is above tol = {tol:g} after {result.n_sweeps} sweeps at reg = {reg:g} "
            f"({result.status})",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return result


def _run(
    run: Callable[..., dict[str, Any]], part: Geometry, levels: Vector, tol: float, warm: bool, reg: float,
    options: _Options,
) -> dict[str, Any]:  # fmt: skip
    """Run the core, with ``precision="mixed"`` in float32 first. The potentials are written."""
    with Progress(options.callback, options.verbose, unit=" sweeps", reg=reg) as progress:
        if options.precision is None or part.dtype == np.float32:
            return run(part, levels, tol, options.max_iter, warm, progress.hook)
        first = run(part.single(), levels, max(tol, LOOSE), options.max_iter, warm, progress.hook)
        if first["stopped"]:
            return first
        left = max(1, options.max_iter - first["n_sweeps"])  # the last sweep measures the error in float64
        report = run(part, levels[-1:], tol, left, True, progress.hook)
    for counted in ("n_sweeps", "n_newton", "history"):
        if counted in report:
            report[counted] = first[counted] + report[counted]
    return report


def _feasible(
    part: Geometry, rows: Any, columns: Any, relaxed: Relaxation | None, threads: int
) -> tuple[Any, Any]:
    """Rows and columns that have a partner. One without, whose weight must be moved, is an error."""
    kept = []
    for transpose, keep, name in ((False, rows, "row"), (True, columns, "column")):
        size = part.m if transpose else part.n
        zeros = np.zeros(part.n if transpose else part.m)
        alone = np.isinf(part.softmin(zeros, 0.0, transpose=transpose, threads=threads))
        index = np.arange(size) if keep is None else keep
        if relaxed is None:
            must = alone
        elif relaxed.mass > 0:
            must = np.zeros_like(alone)
        else:
            must = alone & np.isinf((relaxed.rho_b if transpose else relaxed.rho_a)[index])
        if must.any():
            raise InfeasibleError(
                f"{name} {int(index[np.argmax(must)])} of the cost has positive weight, and every pair it "
                "could use is forbidden (+inf or not stored, or a partner of weight 0)"
            )
        kept.append(index[~alone] if alone.any() else keep)
    if any(k is not None and k.size == 0 for k in kept):
        raise InfeasibleError("every pair of the cost is forbidden")
    return kept[0], kept[1]


def _closed_form(
    part: Geometry, a: Vector, b: Vector, f: Vector, g: Vector, reg: float, tol: float, threads: int
) -> dict[str, Any]:
    """One point on a side: the plan is the other side's weights, whatever the cost."""
    mass = float(a.sum())
    if part.n == 1:  # the minimum over the only row is the cost itself
        total = part.softmin(np.zeros(1), 0.0, transpose=True, threads=threads) - reg * np.log(mass)
        f[:] = b @ total / (2 * mass)
        g[:] = total - f[0]
    else:
        total = part.softmin(np.zeros(1), 0.0, threads=threads) - reg * np.log(mass)
        g[:] = a @ total / (2 * mass)
        f[:] = total - g[0]
    stats = part.stats(reg, f / reg + np.log(a), g / reg + np.log(b), threads=threads)
    error = float(np.abs(stats.rows - a).sum() + np.abs(stats.columns - b).sum()) / mass
    converged = error <= tol
    status = "closed form" if converged else f"rounding floor {error:.1e}"
    return {
        "converged": converged, "stopped": False, "status": status, "n_sweeps": 0, "n_newton": 0,
        "reason": "one point on a side: closed form", "marginal_error": error, "history": [],
    }  # fmt: skip


def _fill(
    geometry: Geometry, kept: Any, others: Any, own: Vector, other: Vector, weights: Vector, reg: float,
    threads: int, *, transpose: bool,
) -> Vector:  # fmt: skip
    """Give points of weight 0 the potential that the softmin over the other side assigns to them."""
    if kept is None:
        return own
    out = np.empty(geometry.m if transpose else geometry.n)
    out[kept] = own
    zero = np.setdiff1d(np.arange(out.size), kept)
    part = geometry.take(others, zero) if transpose else geometry.take(zero, others)
    h = other + reg * np.log(weights)
    out[zero] = part.softmin(h, reg, transpose=transpose, threads=threads)
    return out
