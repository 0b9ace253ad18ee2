"""Many small problems in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _backend, _caller, _threads, _validate
from lapwing._array import Array, Kind
from lapwing._progress import Progress
from lapwing.ot import _geometry, _gradients, _relaxed, _solve
from lapwing.ot._geometry import Vector
from lapwing.ot._relaxed import Relaxation
from lapwing.ot._result import OTResult, _plus_log
from lapwing.ot._solve import ACCELERATIONS, METHODS, Acceleration, Method, Penalty

__all__ = ["OTResultBatch", "solve_batch"]

GRADIENT_ENTRIES = 2**21  # of plans that are made together


class OTResultBatch:
    """Solutions of many problems; made by `solve_batch`. ``batch[k]`` is the k-th as an `OTResult`.

    Attributes
    ----------
    potentials : (f, g), arrays of shape (B, n) and (B, m)
        In units of the cost; NaN beyond the length of a problem.
    value, value_linear, gap : float64 arrays of shape (B,)
        ⟨C, P⟩ + ε KL(P ‖ a bᵀ) of each (of an unbalanced one with its penalties), ⟨C, P⟩ of each, and the
        difference of primal and dual value; see `OTResult`.
    marginal_error : float64 array of shape (B,)
    converged : bool array of shape (B,)
    n_sweeps, n_newton : int arrays of shape (B,)
    status : list of str
    reg : float
    marginal_a, marginal_b : arrays of shape (B, n) and (B, m)
        P1 and Pᵀ1, 0 beyond the length.
    plan : array of shape (B, n, m)
        All plans, 0 beyond the length of a problem; made on first access.
    grad_C : array of shape (B, n, m)
        Gradient of each `value` for its cost: the plan.
    grad_X, grad_Y : arrays of shape (B, n, d) and (B, m, d)
        Gradients of each `value` for its points, 0 beyond the length.
    grad_a, grad_b : arrays of shape (B, n) and (B, m)
        Gradients of each `value` for its weights, 0 beyond the length; see `OTResult.grad_a`.
    """

    def __init__(
        self, x: NDArray[Any], y: NDArray[Any] | None, metric: str, kind: Kind, a: Vector, b: Vector,
        f: Vector, g: Vector, lengths: NDArray[np.int64], reg: float, tol: float, reg_type: str,
        relaxed: Relaxation | None, reports: list[tuple[bool, str, int, int, float]], n_jobs: int | None,
    ) -> None:  # fmt: skip
        self._x, self._y, self._metric, self._kind = x, y, metric, kind
        self._a, self._b, self._f, self._g, self._lengths = a, b, f, g, lengths
        self.reg = reg
        self.tol = tol
        self.reg_type = reg_type
        self._relaxed = relaxed
        self._reports = reports  # the last number: the marginal error, or the shift of a relaxed problem
        self.n_jobs = n_jobs
        self.converged = np.array([r[0] for r in reports], dtype=bool)
        self.status = [r[1] for r in reports]
        self.n_sweeps = np.array([r[2] for r in reports], dtype=np.int64)
        self.n_newton = np.array([r[3] for r in reports], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._reports)

    def __iter__(self) -> Iterator[OTResult]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> OTResult:
        if not -len(self) <= k < len(self):
            raise IndexError(f"there are {len(self)} problems, got the index {k}")
        k = k % len(self)
        n, m = self._lengths[k]
        converged, status, sweeps, newton, number = self._reports[k]
        relaxed = None
        if self._relaxed is not None:
            rho = self._relaxed
            relaxed = replace(rho, rho_a=rho.rho_a[:n], rho_b=rho.rho_b[:m], shift=number)
        if self._y is None:
            geometry = _geometry.Geometry(np.ascontiguousarray(self._x[k, :n, :m]), None, "dense")
        else:
            geometry = _geometry.Geometry(self._x[k, :n], self._y[k, :m], self._metric)
        return OTResult(
            geometry=geometry,
            kind=self._kind,
            a=self._a[k, :n].copy(),
            b=self._b[k, :m].copy(),
            f=self._f[k, :n].copy(),
            g=self._g[k, :m].copy(),
            reg=self.reg,
            cost_scale=1.0,
            tol=self.tol,
            marginal_error=number,
            reg_type=self.reg_type,
            relaxed=relaxed,
            converged=converged,
            status=status,
            n_sweeps=sweeps,
            n_newton=newton,
            reason="one of a batch",
            history=[],
            n_jobs=self.n_jobs,
            max_plan_bytes=_solve.PLAN_BYTES,
        )

    def _each(self, of: Callable[[OTResult], Any]) -> Vector:
        return np.array([of(OTResultBatch.__getitem__(self, k)) for k in range(len(self))], dtype=np.float64)

    def _rows(self, of: Callable[[OTResult], Any], width: int) -> Array:
        out = np.zeros((len(self), width), dtype=self._x.dtype)
        for k in range(len(self)):
            row = of(OTResultBatch.__getitem__(self, k))
            out[k, : len(row)] = row
        return _array.wrap(out, self._kind)

    @cached_property
    def marginal_error(self) -> Vector:
        if self._relaxed is not None:
            return self._each(lambda result: result.marginal_error)
        return np.array([r[4] for r in self._reports])

    @property
    def potentials(self) -> tuple[Array, Array]:
        f, g = self._f, self._g
        if self.reg_type == "entropy":
            f, g = _plus_log(f, self._a, self.reg), _plus_log(g, self._b, self.reg)
        return (
            _array.wrap(f.astype(self._x.dtype), self._kind),
            _array.wrap(g.astype(self._x.dtype), self._kind),
        )

    @cached_property
    def value(self) -> Vector:
        if self._relaxed is not None or self.reg_type == "entropy":
            return self._each(lambda result: result.value)
        mass = self._a.sum(axis=1)
        dual = (self._a * np.nan_to_num(self._f)).sum(axis=1) + (self._b * np.nan_to_num(self._g)).sum(axis=1)
        out: Vector = dual + self.reg * (mass**2 - mass)
        return out

    @cached_property
    def value_linear(self) -> Vector:
        return self._each(lambda result: result.value_linear)

    @cached_property
    def gap(self) -> Vector:
        return self._each(lambda result: result.gap)

    @property
    def marginal_a(self) -> Array:
        return self._rows(lambda result: result._stats.rows, self._a.shape[1])

    @property
    def marginal_b(self) -> Array:
        return self._rows(lambda result: result._stats.columns, self._b.shape[1])

    @cached_property
    def plan(self) -> Array:
        count, n, m = len(self), self._a.shape[1], self._b.shape[1]
        _validate.check_memory(
            count * n * m * self._x.dtype.itemsize, "the plans", "take one at a time: batch[k].plan",
            _solve.PLAN_BYTES,
        )  # fmt: skip
        whole = bool((self._lengths == (n, m)).all())  # or what is beyond the lengths stays 0
        out = (np.empty if whole else np.zeros)((count, n, m), dtype=self._x.dtype)
        _backend.extension().ot_batch_plans(
            self._x, self._y, self._metric, self._a, self._b, self._f, self._g, *self._lengths.T.tolist(),
            self.reg, out, _threads.resolve(self.n_jobs),
        )  # fmt: skip
        return _array.wrap(out, self._kind)

    @property
    def grad_C(self) -> Array:
        return self.plan

    @property
    def grad_X(self) -> Array:
        return _array.wrap(self._grad_points[0], self._kind)

    @property
    def grad_Y(self) -> Array:
        return _array.wrap(self._grad_points[1], self._kind)

    @property
    def grad_a(self) -> Array:
        return self._grad_weights(self._f, 0)

    @property
    def grad_b(self) -> Array:
        return self._grad_weights(self._g, 1)

    def _grad_weights(self, potential: Vector, side: int) -> Array:
        if self._relaxed is not None or self.reg_type == "entropy":
            return self._rows(lambda one: _gradients.envelope_weights(one, side), potential.shape[1])
        out = potential + self.reg * (self._a.sum(axis=1, keepdims=True) - 1)
        out[np.isnan(potential)] = 0
        return _array.wrap(out.astype(self._x.dtype), self._kind)

    @cached_property
    def _grad_points(self) -> tuple[NDArray[Any], NDArray[Any]]:
        from threadpoolctl import threadpool_limits

        if self._y is None:
            raise ValueError("problems that were given by costs have no points; their gradient is grad_C")
        x_out, y_out = np.zeros(self._x.shape), np.zeros(self._y.shape)
        n, m = self._x.shape[1], self._y.shape[1]
        step = max(1, GRADIENT_ENTRIES // (n * m))
        with threadpool_limits(1, user_api="blas"):  # the same bits whatever the number of threads
            for start in range(0, len(self), step):
                part = slice(start, start + step)
                x_out[part], y_out[part] = self._grad_of_points(part)
        return x_out.astype(self._x.dtype), y_out.astype(self._x.dtype)

    def _grad_of_points(self, part: slice) -> tuple[Vector, Vector]:
        assert self._y is not None
        rows = np.arange(self._x.shape[1]) < self._lengths[part, :1]
        columns = np.arange(self._y.shape[1]) < self._lengths[part, 1:]
        x = np.where(rows[:, :, None], self._x[part].astype(np.float64), 0.0)
        y = np.where(columns[:, :, None], self._y[part].astype(np.float64), 0.0)
        distance = self._metric in ("sqeuclidean", "euclidean")
        lengths = [np.ones(1), np.ones(1)]
        if self._metric == "cosine":
            lengths = [np.linalg.norm(z, axis=2, keepdims=True) for z in (x, y)]
            lengths = [np.where(z > 0, z, 1.0) for z in lengths]
            x, y = x / lengths[0], y / lengths[1]
        cost = np.zeros((len(x), x.shape[1], y.shape[1]))
        if distance:
            for k in range(x.shape[2]):  # not by products: near points would lose their distance
                cost += (x[:, :, k, None] - y[:, None, :, k]) ** 2
            if self._metric == "euclidean":
                np.sqrt(cost, out=cost)
        else:
            cost = -(x @ y.transpose(0, 2, 1)) + (1.0 if self._metric == "cosine" else 0.0)
        f, g = np.nan_to_num(self._f[part]), np.nan_to_num(self._g[part])
        plan = np.exp((f[:, :, None] + g[:, None, :] - cost) / self.reg)
        plan *= self._a[part, :, None] * self._b[part, None, :]  # 0 beyond the lengths
        if self._metric == "euclidean":
            plan = np.divide(plan, cost, out=np.zeros_like(plan), where=cost > 0)
        x_grad, y_grad = -(plan @ y), -(plan.transpose(0, 2, 1) @ x)
        if distance:
            x_grad += x * plan.sum(axis=2)[:, :, None]
            y_grad += y * plan.sum(axis=1)[:, :, None]
        if self._metric == "sqeuclidean":
            x_grad, y_grad = 2 * x_grad, 2 * y_grad
        if self._metric == "cosine":
            x_grad = (x_grad - (x_grad * x).sum(axis=2, keepdims=True) * x) / lengths[0]
            y_grad = (y_grad - (y_grad * y).sum(axis=2, keepdims=True) * y) / lengths[1]
        return x_grad, y_grad


def solve_batch(
    C: Array | tuple[Array, Array],
    a: Array | None = None,
    b: Array | None = None,
    *,
    reg: float,
    metric: str = "sqeuclidean",
    lengths: Array | None = None,
    reg_type: Literal["kl", "entropy"] = "kl",
    unbalanced: Penalty | tuple[Penalty, Penalty] = None,
    unbalanced_type: Literal["kl", "tv"] = "kl",
    mass: float | None = None,
    method: Method = "auto",
    tol: float | None = None,
    max_iter: int = 10_000,
    init: OTResultBatch | tuple[Array, Array] | None = None,
    schedule: str | None = "auto",
    acceleration: Acceleration | None = "anderson",
    n_jobs: int | None = None,
) -> OTResultBatch:
    """Solve many small problems, each on one thread.

    Parameters
    ----------
    C : array of shape (B, n, m), or a pair of arrays of shape (B, n, d) and (B, m, d)
        Costs, or points of both sides. If all are float32 the computation is in float32, else in float64.
    a, b : arrays of shape (B, n) and (B, m), optional
        Positive weights, with the same total in each problem unless its marginals need not be met. None:
        uniform, of total 1.
    reg : float
        Regularisation ε > 0, in units of the cost; the same for all.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        Cost of two points; see `solve_sample`.
    lengths : int array of shape (B, 2), optional
        Rows and columns of each problem that count; what is beyond them in `C`, `a` and `b` is not looked
        at. None: all.
    reg_type, unbalanced, unbalanced_type, mass
        As for `solve`, the same for all: arrays of penalties are of shape (n,) and (m,), for the i-th point
        of every problem.
    method, tol, max_iter, acceleration, n_jobs
        As for `solve`.
    init : (f, g) or OTResultBatch, optional
        Potentials of shape (B, n) and (B, m) to start from, in units of the cost; no ε-scaling is done then.
        What is beyond the length of a problem is not looked at.
    schedule : {"auto", None}
        ε-scaling of each problem from the range of its own costs, or none.

    Returns
    -------
    OTResultBatch
        Where a tensor of PyTorch requires grad: a `lapwing.autograd.TensorOTResultBatch`, whose answers carry
        gradients.

    Raises
    ------
    ValueError, TypeError
        A shape, a number or an entry is not as described.

    Warns
    -----
    ConvergenceWarning
        Some problems did not reach `tol`; it says how many.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> C = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [2.0, 0.0]]])
    >>> np.round(ot.solve_batch(C, reg=1.0).plan[:, 0, 0], 6)
    array([0.365529, 0.440399])
    """
    threads = _threads.resolve(n_jobs)
    level = _validate.check_positive(reg, "reg")
    most = _validate.check_integer(max_iter, "max_iter", 1)
    _validate.check_choice(schedule, "schedule", ("auto", None))
    kind_of_sweep = _validate.check_choice(acceleration, "acceleration", ACCELERATIONS) or "none"
    solver = _validate.check_choice(method, "method", METHODS)
    clouds = isinstance(C, (tuple, list))
    if clouds and len(C) != 2:
        raise ValueError(f"C must be an array of costs or a pair of arrays of points, got {len(C)} arrays")
    names = ("C[0]", "C[1]") if clouds else ("C",)
    parts = [_stack(z, name) for z, name in zip(C if clouds else (C,), names, strict=True)]
    dtype = np.result_type(*parts)
    x = np.ascontiguousarray(parts[0], dtype=dtype)
    y = np.ascontiguousarray(parts[1], dtype=dtype) if clouds else None
    if y is not None:
        _validate.check_choice(metric, "metric", _geometry.METRICS)
        if y.shape[0] != x.shape[0] or y.shape[2] != x.shape[2]:
            raise ValueError(
                f"C[0] and C[1] must have as many problems and columns, got shapes {x.shape} and {y.shape}"
            )
    count, n = x.shape[:2]
    m = x.shape[2] if y is None else y.shape[1]
    sizes = _lengths(lengths, count, n, m)
    whole = bool((sizes == (n, m)).all())
    for side, (z, name) in enumerate(zip((x,) if y is None else (x, y), names, strict=True)):
        if not whole or _spoiled(z, threads):
            _check_entries(z, name, None if whole else sizes, side, cost=y is None)
    first, second = _weights(a, count, n, sizes[:, 0], "a"), _weights(b, count, m, sizes[:, 1], "b")
    relaxed = _relaxed.check(unbalanced, unbalanced_type, mass, reg_type, n, m)
    totals, others = first.sum(axis=1), second.sum(axis=1)
    if relaxed is None:
        apart = np.abs(totals - others) > (1e-4 if dtype == np.float32 else 1e-6) * totals
        if apart.any():
            k = int(np.argmax(apart))
            raise ValueError(
                f"a and b must have the same total, but those of problem {k} are {totals[k]:.9g} and "
                f"{others[k]:.9g}"
            )
        second *= (totals / others)[:, None]
    smaller = np.minimum(totals, others)
    if relaxed is not None and relaxed.mass > smaller.min() * (1 + 1e-12):
        k = int(np.argmin(smaller))
        raise ValueError(
            f"mass = {relaxed.mass:g} is above the smaller total of the weights of problem {k}, "
            f"{smaller[k]:g}"
        )
    tolerance = (
        _validate.check_positive(tol, "tol") if tol is not None else 1e-5 if dtype == np.float32 else 1e-6
    )
    inside = [np.arange(size) < sizes[:, [side]] for side, size in enumerate((n, m))]
    f, g = (_start(init, side, inside[side]) for side in (0, 1))
    if isinstance(init, (tuple, list)) and reg_type == "entropy":
        f, g = _plus_log(f, first, -level), _plus_log(g, second, -level)
    scaling, warm = schedule == "auto" and init is None, init is not None
    with Progress(None, 0, reg=level) as progress:
        reports: list[tuple[bool, str, int, int, float]]
        problems = (x, y, metric, first, second, f, g, sizes[:, 0].tolist(), sizes[:, 1].tolist())
        if relaxed is None:
            reports = _backend.extension().ot_solve_batch(
                *problems, level, scaling, tolerance, most, warm, kind_of_sweep, solver, _solve.ACTIVE_BYTES,
                threads, progress.hook,
            )  # fmt: skip
            worst = "marginal error", max(report[4] for report in reports)
        else:
            if not relaxed.product:  # in the core P_ij = exp((f_i + g_j - C_ij) / reg)
                f, g = _plus_log(f, first, level * warm), _plus_log(g, second, level * warm)
            none = np.empty(0)
            rho = (none, none) if relaxed.mass > 0 else (relaxed.rho_a, relaxed.rho_b)
            found = _backend.extension().ot_solve_relaxed_batch(
                *problems[:5], f, g, *problems[7:], *rho, relaxed.clip, relaxed.mass, relaxed.product, level,
                scaling, tolerance, most, warm, kind_of_sweep == "anderson", threads, progress.hook,
            )  # fmt: skip
            reports = [(done, status, sweeps, 0, shift) for done, status, sweeps, _, shift in found]
            worst = "relative change of the potentials", max(report[3] for report in found)
            if not relaxed.product:
                f, g = _plus_log(f, first, -level), _plus_log(g, second, -level)
    f[~inside[0]], g[~inside[1]] = np.nan, np.nan
    kind = _array.kind_of(*(C if clouds else (C,)))
    result = OTResultBatch(
        x, y, metric, kind, first, second, f, g, sizes, level, tolerance, reg_type, relaxed, reports, n_jobs
    )
    if not result.converged.all():
        from lapwing.exceptions import ConvergenceWarning

        missed = int((~result.converged).sum())
        warnings.warn(
            f"{missed} of {count} problems did not reach tol = {tolerance:g}: the largest {worst[0]} is "
            f"{worst[1]:.2e}",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return result


def _start(init: Any, side: int, inside: NDArray[np.bool_]) -> Vector:
    """A copy of the potentials of one side to start from, 0 beyond the lengths; zeros if there are none."""
    if init is None:
        return np.zeros(inside.shape)
    given: NDArray[Any]
    if isinstance(init, OTResultBatch):
        given = (init._f, init._g)[side]
    elif isinstance(init, (tuple, list)) and len(init) == 2:
        given = _array.real(init[side], f"init[{side}]")
    else:
        raise TypeError(f"init must be a pair (f, g) or an OTResultBatch, got {type(init).__name__}")
    if given.shape != inside.shape:
        raise ValueError(f"init[{side}] must have shape {inside.shape}, got {given.shape}")
    out: Vector = np.where(inside, given.astype(np.float64), 0.0)
    bad = ~np.isfinite(out)
    if bad.any():
        at = _validate.position(int(np.argmax(bad)), out.shape)
        raise ValueError(f"init[{side}] must be finite, but init[{side}]{at} is {out.flat[np.argmax(bad)]}")
    return out


def _stack(z: object, name: str) -> NDArray[Any]:
    array = _array.real(z, name)
    if array.ndim != 3:
        raise ValueError(f"{name} must be 3-D, one problem after the other, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return array


def _lengths(lengths: Any, count: int, n: int, m: int) -> NDArray[np.int64]:
    if lengths is None:
        return np.tile(np.array([n, m], dtype=np.int64), (count, 1))
    given = np.asarray(lengths)
    if given.shape != (count, 2) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(
            f"lengths must be integers of shape ({count}, 2), got {given.dtype} of shape {given.shape}"
        )
    wrong = (given < 1) | (given > (n, m))
    if wrong.any():
        k, side = np.argwhere(wrong)[0]
        raise ValueError(f"lengths[{k}, {side}] must be between 1 and {(n, m)[side]}, got {given[k, side]}")
    return given.astype(np.int64)


def _spoiled(z: NDArray[Any], threads: int) -> bool:
    _, _, infinite, bad = _backend.extension().ot_scan(z.reshape(-1, z.shape[2]), threads)
    return bool(infinite > 0 or bad >= 0)


def _check_entries(
    z: NDArray[Any], name: str, sizes: NDArray[np.int64] | None, side: int, *, cost: bool
) -> None:
    if sizes is None:
        inside = None
    elif cost:
        inside = (np.arange(z.shape[1])[:, None] < sizes[:, 0, None, None]) & (
            np.arange(z.shape[2]) < sizes[:, 1, None, None]
        )
    else:
        inside = np.broadcast_to((np.arange(z.shape[1]) < sizes[:, side, None])[:, :, None], z.shape)
    bad = ~np.isfinite(z)
    if inside is not None:
        bad &= inside
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be finite, but {name}{_validate.position(first, z.shape)} is {z.flat[first]}"
        )


def _weights(w: Any, count: int, n: int, lengths: NDArray[np.int64], name: str) -> Vector:
    inside = np.arange(n) < lengths[:, None]
    if w is None:
        return np.where(inside, 1.0 / lengths[:, None], 0.0)
    array = _array.real(w, name)
    if array.shape != (count, n):
        raise ValueError(f"{name} must have shape ({count}, {n}), got {array.shape}")
    out = np.where(inside, array.astype(np.float64), 0.0)
    bad = inside & ~((out > 0) & np.isfinite(out))
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be positive and finite, but {name}{_validate.position(first, out.shape)} is "
            f"{out.flat[first]}"
        )
    return out
