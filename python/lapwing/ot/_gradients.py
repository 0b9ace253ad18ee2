"""Derivatives of a solution: of its value by the envelope theorem, of all else by implicit differentiation.

Nothing here has n m entries unless the caller's own arrays have: what stands between the pairs is kept as
factors (`Field`), and each use of it is one pass over the pairs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _caller, _validate
from lapwing._array import Array
from lapwing.ot._geometry import Vector
from lapwing.ot._relaxed import Relaxation

if TYPE_CHECKING:
    from lapwing.ot._result import OTResult

__all__ = [
    "OTGradients", "envelope_points", "envelope_reg", "envelope_weights", "norms", "off_direction", "second",
    "vjp",
]  # fmt: skip

BLOCK_ENTRIES = 2**20  # of the plan that are looked at together where a factor is dense


# ---- matrices beside the plan ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A matrix: ``sum_k C_ij^k (left_k @ right_k.T)_ij``, by the power k, and a dense part."""

    factors: dict[int, tuple[Vector, Vector]] = field(default_factory=dict)
    dense: Vector | None = None

    @classmethod
    def product(cls, left: Vector, right: Vector, power: int = 0) -> Field:
        return cls({power: (_columns(left), _columns(right))})

    def __add__(self, other: Field) -> Field:
        factors = dict(self.factors)
        for power, (left, right) in other.factors.items():
            if power in factors:
                mine = factors[power]
                left, right = np.hstack([mine[0], left]), np.hstack([mine[1], right])
            factors[power] = left, right
        if self.dense is None or other.dense is None:
            return Field(factors, self.dense if other.dense is None else other.dense)
        return Field(factors, self.dense + other.dense)

    def scaled(self, by: float) -> Field:
        dense = None if self.dense is None else by * self.dense
        return Field({k: (by * left, right) for k, (left, right) in self.factors.items()}, dense)

    def masked(self, rows: NDArray[Any], columns: NDArray[Any]) -> Field:
        """The same with 0 outside `rows` and `columns`. A dense part is masked where it is used."""
        pairs = self.factors.items()
        return Field(
            {k: (left * rows[:, None], right * columns[:, None]) for k, (left, right) in pairs}, self.dense
        )


def _columns(x: Vector) -> Vector:
    return x[:, None] if x.ndim == 1 else x


class Plan:
    """The plan of a result, times a field, as derivatives see it.

    Points of weight 0 have the distribution over the other side that they would have: every field must be
    masked where that is not meant.
    """

    def __init__(self, result: OTResult) -> None:
        self.geometry = result._geometry
        self.reg = result.reg
        self.u, self.v = result._u_conditional, result._v_conditional
        self.rows = (result._a > 0) & np.isfinite(result._f)
        self.columns = (result._b > 0) & np.isfinite(result._g)
        self.threads = result._threads

    def seeing(self, rows: NDArray[Any], columns: NDArray[Any]) -> Plan:
        """The same with other points to which a dense field is confined."""
        other = copy(self)
        other.rows, other.columns = rows, columns
        return other

    def ones(self) -> Field:
        """1 between points that have a weight."""
        return Field.product(self.rows.astype(np.float64), self.columns.astype(np.float64))

    def apply(self, f: Field, V: Vector, U: Vector, shift: int = 0) -> tuple[Vector, Vector]:
        """W @ V and W.T @ U, W_ij = P_ij C_ij^shift F_ij."""
        forward = np.zeros((self.geometry.n, V.shape[1]))
        backward = np.zeros((self.geometry.m, U.shape[1]))
        for power, (left, right) in f.factors.items():
            one, two = self.geometry.weighted(
                self.reg, self.u, self.v, power + shift, left, right, V, U, threads=self.threads
            )
            forward += one
            backward += two
        if f.dense is not None:
            one, two = self._apply_dense(f.dense, V, U, shift)
            forward += one
            backward += two
        return forward, backward

    def _apply_dense(self, dense: Vector, V: Vector, U: Vector, shift: int) -> tuple[Vector, Vector]:
        rows, columns = self.rows, self.columns
        if self.geometry.metric == "sparse":
            g: Any = self.geometry
            weights = g.entries(self.reg, self.u, self.v) * dense * rows[g.rows] * columns[g.indices]
            sums: tuple[Vector, Vector] = g.apply_weights(g.times_costs(weights, shift), V, U)
            return sums
        from threadpoolctl import threadpool_limits

        if self.geometry.swapped:
            dense, V, U, rows, columns = dense.T, U, V, columns, rows
        forward, backward = np.zeros((dense.shape[0], V.shape[1])), np.zeros((dense.shape[1], U.shape[1]))
        with threadpool_limits(1, user_api="blas"):  # the same bits whatever the number of threads
            for start, stop, block in self._blocks():
                weights = block * dense[start:stop] * rows[start:stop, None] * columns
                if shift:
                    weights = _times(weights, self._costs(start, stop), shift)
                forward[start:stop] = weights @ V
                backward += weights.T @ U[start:stop]
        return (backward, forward) if self.geometry.swapped else (forward, backward)

    def _blocks(self) -> Iterator[tuple[int, int, Vector]]:
        """Rows of the plan as it lies: of its transpose where the cost is in Fortran order."""
        g = self.geometry
        rows, columns = (g.m, g.n) if g.swapped else (g.n, g.m)
        step = max(1, BLOCK_ENTRIES // columns)
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            block = g.plan(self.reg, self.u, self.v, start, stop, threads=self.threads)
            yield start, stop, block.astype(np.float64)

    def _costs(self, start: int, stop: int) -> Vector:
        """Costs of the rows that `_blocks` gives."""
        block = slice(start, stop)
        g = self.geometry
        return g.costs(columns=block).T if g.swapped else g.costs(block)

    def matrix(self, f: Field) -> Any:
        """P_ij F_ij, all of it; on the pattern of a sparse cost."""
        g: Any = self.geometry
        if g.metric == "sparse":
            plan = g.entries(self.reg, self.u, self.v)
            values = np.zeros_like(plan)
            for power, (left, right) in f.factors.items():
                values += g.times_costs(plan * g.products(left, right), power)
            if f.dense is not None:
                values += plan * f.dense * self.rows[g.rows] * self.columns[g.indices]
            return g.matrix(values, copy=True)
        out = np.empty((g.n, g.m))
        target = out.T if g.swapped else out
        rows, columns = (self.columns, self.rows) if g.swapped else (self.rows, self.columns)
        for start, stop, block in self._blocks():
            total = np.zeros_like(block)
            for power, (left, right) in f.factors.items():
                first, second = (right, left) if g.swapped else (left, right)
                part = block * (first[start:stop] @ second.T)
                total += _times(part, self._costs(start, stop), power) if power else part
            if f.dense is not None:
                dense = f.dense.T if g.swapped else f.dense
                total += block * dense[start:stop] * rows[start:stop, None] * columns
            target[start:stop] = total
        return out

    @cached_property
    def features(self) -> tuple[Vector, Vector]:
        """The points, shifted to where rounding is least; of length 1 for the cosine."""
        g = self.geometry
        assert g.y is not None
        x, y = g.x.astype(np.float64), g.y.astype(np.float64)
        if g.metric == "cosine":
            return x / norms(x), y / norms(y)
        if g.metric == "dot":
            return x, y
        centre = (x.sum(axis=0) + y.sum(axis=0)) / (len(x) + len(y))
        return x - centre, y - centre

    def to_points(self, h: Field, x: bool, y: bool, *, unit: bool = False) -> tuple[Any, Any]:
        """Gradients for the points of a function whose gradient for the cost is P_ij H_ij.

        `unit`: with the cosine, for the vectors of length 1.
        """
        first, second = self.features
        distance = self.geometry.metric in ("sqeuclidean", "euclidean")
        V = np.hstack([np.ones((len(second), 1)), second]) if x else np.empty((len(second), 0))
        U = np.hstack([np.ones((len(first), 1)), first]) if y else np.empty((len(first), 0))
        forward, backward = self.apply(h, V, U, -1 if self.geometry.metric == "euclidean" else 0)
        out: list[Any] = []
        for wanted, own, sums, points in (
            (x, first, forward, self.geometry.x), (y, second, backward, self.geometry.y),
        ):  # fmt: skip
            if not wanted:
                out.append(None)
                continue
            gradient = (own * sums[:, :1] if distance else 0.0) - sums[:, 1:]
            if self.geometry.metric == "sqeuclidean":
                gradient = 2 * gradient
            if self.geometry.metric == "cosine" and not unit:
                gradient = off_direction(gradient, own, points)
            out.append(gradient)
        return out[0], out[1]


def norms(x: Vector) -> Vector:
    out: Vector = np.linalg.norm(x, axis=1, keepdims=True)
    return out


def off_direction(gradient: Vector, unit: Vector, points: Any) -> Vector:
    """From the gradient for x/|x| that for x."""
    along = (gradient * unit).sum(axis=1, keepdims=True)
    out: Vector = (gradient - along * unit) / norms(points.astype(np.float64))
    return out


def _times(weights: Vector, costs: Vector, power: int) -> Vector:
    keep = weights != 0
    if power < 0:
        keep &= costs > 0
    factor = np.zeros_like(costs)
    np.power(costs, float(power), out=factor, where=keep)
    return weights * factor


# ---- the value: envelope -----------------------------------------------------------------------------------


def envelope_points(
    result: OTResult, x: bool = True, y: bool = True, *, unit: bool = False
) -> tuple[Any, Any]:
    """Gradients of the value for the points, in float64."""
    if result._geometry.y is None:
        raise ValueError("a result of solve(C) has no points; its gradient is grad_C")
    plan = Plan(result)
    return plan.to_points(plan.ones(), x, y, unit=unit)


def envelope_weights(result: OTResult, side: int) -> Vector:
    """Gradient of the value for the weights of one side."""
    own = _Side(result, side)
    reg, other = result.reg, float((result._b if side == 0 else result._a).sum())
    if own.relaxed is None:
        if result.reg_type == "kl":
            return own.potential + reg * (other - 1)
        with np.errstate(divide="ignore"):  # x log x falls infinitely fast from 0
            return own.potential + reg * np.log(own.weight)
    gradient: Vector = own.level.copy()
    soft = own.soft
    with np.errstate(over="ignore"):
        gradient[soft] = -own.rho[soft] * np.expm1(-own.level[soft] / own.rho[soft])
    if own.relaxed.product:
        gradient += reg * (other - own.ratio)
    return gradient


def envelope_reg(result: OTResult) -> float:
    """Derivative of the value for the regularisation: the entropy of the plan."""
    stats, a, b = result._stats, result._a, result._b
    relaxed = result._relaxed or replace(Relaxation.none(*result.shape), product=result.reg_type == "kl")
    return relaxed.entropy(stats, a, b)


class _Side:
    """One side of a problem: its potential, and what its marginal must satisfy.

    `potential` has the product of the weights as reference, `level` the reference of the problem; `fixed`:
    points whose potential is at a bound, so that their marginal is free; `soft`: Kullback-Leibler penalties.
    """

    def __init__(self, result: OTResult, side: int) -> None:
        self.relaxed = result._relaxed
        self.reg = result.reg
        self.weight = result._a if side == 0 else result._b
        self.marginal = result._stats.rows if side == 0 else result._stats.columns
        self.stored = result._f if side == 0 else result._g
        n = self.weight.size
        self.rho = np.full(n, np.inf)
        self.fixed, self.soft = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        positive = self.weight > 0
        self.shift = 0.0
        self.potential = self.stored
        self.ratio = np.ones(n)  # what the marginal is of the weight
        if self.relaxed is None:
            self.level = self.stored
            return
        self.rho = self.relaxed.rho_a if side == 0 else self.relaxed.rho_b
        self.shift = self.relaxed.shift if side == 1 else 0.0
        level = self.stored - self.shift
        if not self.relaxed.product:
            with np.errstate(divide="ignore"):
                level = level + self.reg * np.log(self.weight)
        finite = np.isfinite(self.rho)
        slack = 1e-12 * (self.reg + float(np.max(np.abs(level[positive & np.isfinite(level)]), initial=0)))
        partial = self.relaxed.mass > 0
        # Points of weight 0 hold the potential that would make them exact.
        exact, level = level, level.copy()
        if partial:
            level = np.minimum(level, 0)
            self.fixed = level >= -slack
        elif self.relaxed.clip:
            level[finite] = np.clip(level[finite], -self.rho[finite], self.rho[finite])
            self.fixed = finite & (np.abs(level) >= self.rho - slack)
        else:
            self.soft = finite
            zero = finite & ~positive
            level[zero] *= self.rho[zero] / (self.rho[zero] + self.reg)
        self.fixed &= positive
        self.level = level
        self.potential = self.stored - self.shift
        with np.errstate(over="ignore", invalid="ignore"):
            if self.relaxed.product:
                self.ratio[~positive] = np.exp((level - exact)[~positive] / self.reg)
            self.ratio[positive] = self.marginal[positive] / self.weight[positive]
        self.ratio[~np.isfinite(self.stored)] = 0.0

    @property
    def free(self) -> NDArray[np.bool_]:
        """Points whose marginal is an equation for their potential."""
        return (self.weight > 0) & np.isfinite(self.stored) & ~self.fixed

    @property
    def stiffness(self) -> Vector:
        """Derivative of the equation of each point for its own log-scaling."""
        out: Vector = self.marginal.copy()
        out[self.soft] *= 1 + self.reg / self.rho[self.soft]
        return out


# ---- implicit differentiation ------------------------------------------------------------------------------


@dataclass
class Cotangents:
    """A function of a solution, by its derivatives.

    `plan`: for the entries of the plan, where both points have a weight. `rows`: the same where rows of
    weight 0 have a distribution too. `f`, `g`: for the potentials as they are stored; `shifted`: g includes
    the multiplier of the mass. The others are what the function depends on beside the solution.
    """

    plan: Field = field(default_factory=Field)
    rows: Field = field(default_factory=Field)
    f: Vector | None = None
    g: Vector | None = None
    shifted: bool = True
    cost: Field = field(default_factory=Field)  # times P_ij
    x: Any = None  # with the cosine for vectors of length 1
    y: Any = None
    own_y: Any = None  # for the points as they are
    a: Any = 0.0
    b: Any = 0.0
    reg: float = 0.0


class OTGradients:
    """Gradients of a function of a solution for all that the solution was made from; made by `vjp`.

    Each is computed when it is first asked for; `X`, `Y` and `reg` take a pass over the pairs.

    Attributes
    ----------
    X, Y : arrays of shape (n, d) and (m, d)
        For the points. Not for a result of `solve`.
    C : array of shape (n, m)
        For the cost. Of two point clouds, what it would be for their costs.
    a, b : arrays of shape (n,) and (m,)
        For the weights. Those of a balanced problem have one total, so that a constant may be added to the
        one and taken from the other; it is chosen such that both have the same mean under the weights. At a
        weight of 0: of the first mass there; NaN where that has an infinite slope (an unbalanced or partial
        problem with ``reg_type="entropy"``).
    reg : float
        For ε, in units of the cost.
    mass : float
        For the mass of a partial problem.
    V, U : arrays or None
        For what `apply` and `apply_T` were given (`V` for `projection`, too).
    residual : float
        Of the linear system behind them, relative to its right side; measured at the end.
    n_iter : int
        Iterations of conjugate gradients, each one pass over the pairs.
    converged : bool
        Whether `residual` reached the tolerance.
    """

    def __init__(
        self, result: OTResult, plan: Plan, h: Field, implicit: Field, given: Cotangents, solved: _Solved,
        a: Vector, b: Vector, reg: float,
    ) -> None:  # fmt: skip
        self._result, self._plan, self._h, self._implicit, self._given = result, plan, h, implicit, given
        self._a, self._b, self._reg = a, b, reg
        self.residual = solved.residual
        self.n_iter = solved.n_iter
        self.converged = solved.converged
        self.mass = solved.level
        self.V: Array | None = None
        self.U: Array | None = None

    def __repr__(self) -> str:
        return f"OTGradients(converged={self.converged}, residual={self.residual:.2e}, n_iter={self.n_iter})"

    @cached_property
    def X(self) -> Array:
        return self._result._out(self.points(True, False)[0])

    @cached_property
    def Y(self) -> Array:
        return self._result._out(self.points(False, True)[1])

    def points(self, x: bool, y: bool, *, unit: bool = False) -> tuple[Any, Any]:
        """Both in one pass, in float64; `unit`: with the cosine, for the vectors of length 1."""
        if self._plan.geometry.y is None:
            raise ValueError("a result of solve(C) has no points; its gradient is that of C")
        cosine = self._plan.geometry.metric == "cosine"
        found = list(self._plan.to_points(self._h, x, y, unit=True))
        ends = (self._plan.geometry.x, self._plan.geometry.y)
        for side, (wanted, direct) in enumerate(((x, self._given.x), (y, self._given.y))):
            if not wanted:
                continue
            if direct is not None:
                found[side] = found[side] + direct
            if cosine and not unit:
                found[side] = off_direction(found[side], self._plan.features[side], ends[side])
        if y and self._given.own_y is not None:
            found[1] = found[1] + self._given.own_y
        return found[0], found[1]

    @cached_property
    def C(self) -> Array:
        n, m = self._result.shape
        if self._plan.geometry.metric != "sparse":
            self._result._check_bytes(n * m * 8, f"the gradient for the cost ({n} x {m})")
        return self._result._out(self._plan.matrix(self._h))

    @property
    def a(self) -> Array:
        return self._result._out(self._a)

    @property
    def b(self) -> Array:
        return self._result._out(self._b)

    @cached_property
    def reg(self) -> float:
        n, m = self._result.shape
        sums, _ = self._plan.apply(self._implicit, np.ones((m, 1)), np.empty((n, 0)), 1)
        return float(self._reg - sums.sum() / self._result.reg)


@dataclass(frozen=True)
class _Solved:
    """Multipliers of the equations: of rows and columns (s, t), of the mass, and of potentials at a bound."""

    s: Vector
    t: Vector
    level: float
    bound_a: Vector
    bound_b: Vector
    residual: float
    n_iter: int
    converged: bool


def _solve(
    result: OTResult, left: _Side, right: _Side, q1: Vector, q2: Vector, du: Vector, dv: Vector, level: float,
    tol: float, max_iter: int,
) -> _Solved:  # fmt: skip
    """Solve the transposed equations of the marginals, for the log-scalings of rows and columns."""
    r = result
    partial = left.relaxed is not None and left.relaxed.mass > 0
    rows = np.where(left.free, left.stiffness, np.inf)
    free = right.free & (right.marginal > 0)
    # the multiplier of the mass moves the plan alone, not what is asked of its potentials
    total = float(q2.sum()) + level if partial else None
    s, t = np.empty(q1.size), np.empty(q2.size)
    converged, n_iter, residual, common = r._geometry.solve_marginals(
        r.reg, r._u, r._v, (rows, right.stiffness, q1 + du, q2 + dv, free, total), tol, max_iter, s, t,
        threads=r._threads,
    )  # fmt: skip
    bound_a, bound_b = np.zeros_like(s), np.zeros_like(t)
    if left.fixed.any():
        bound_a = np.where(left.fixed, q1 + du - _product(r, t), 0.0)
    if right.fixed.any():
        back = _product(r, s, transpose=True) + right.marginal * common
        bound_b = np.where(right.fixed, q2 + dv - back, 0.0)
    return _Solved(s, t, common, bound_a, bound_b, residual, n_iter, converged)


def _product(r: OTResult, x: Vector, *, transpose: bool = False) -> Vector:
    out = r._geometry.apply(r.reg, r._u, r._v, x[:, None], transpose=transpose, threads=r._threads)
    return out[:, 0]


def differentiate(result: OTResult, given: Cotangents, tol: float | None, max_iter: int) -> OTGradients:
    """Gradients of a function of the solution, from its derivatives."""
    if tol is None:
        tol = 1e-4 if result._geometry.dtype == np.float32 else 1e-6
    plan, reg = Plan(result), result.reg
    left, right = _Side(result, 0), _Side(result, 1)
    n, m = result.shape
    rows, columns = plan.rows, plan.columns
    f = np.zeros(n) if given.f is None else np.where(np.isfinite(result._f), given.f, 0.0)
    g = np.zeros(m) if given.g is None else np.where(np.isfinite(result._g), given.g, 0.0)
    a, b = np.zeros(n) + given.a, np.zeros(m) + given.b
    if result._relaxed is None and (f.any() or g.any()):
        # what is returned has <a, f> = <b, g>
        lean = (f.sum() - g.sum()) / (2 * float(result._a.sum()))
        a[rows] -= lean * result._f[rows]
        b[columns] += lean * result._g[columns]
        f, g = f - lean * result._a, g + lean * result._b
    elif result._relaxed is not None and (f.any() or g.any()):
        held = left.soft.any() or right.soft.any() or left.fixed.any() or right.fixed.any()
        if not held:
            raise ValueError(
                "the potentials of this problem are not unique, since no mass is given up; they have no "
                "gradient (the plan has)"
            )
    explicit = given.reg + (_dot(f, result._f) + _dot(g, result._g)) / reg
    if not given.shifted:
        explicit -= float(g.sum()) * right.shift / reg
    a[rows] -= reg * f[rows] / result._a[rows]
    b[columns] -= reg * g[columns] / result._b[columns]

    G = given.plan.masked(rows, columns) + given.rows.masked(np.ones(n, bool), columns)
    if f[~rows].any():
        G = G + Field.product(np.where(rows, 0.0, -reg * f), columns.astype(np.float64))
    if g[~columns].any():
        G = G + Field.product(rows.astype(np.float64), np.where(columns, 0.0, -reg * g))
    q1, q2 = (z[:, 0] for z in plan.apply(G, np.ones((m, 1)), np.ones((n, 1))))
    q1, q2 = np.where(rows, q1, 0.0), np.where(columns, q2, 0.0)
    du, dv = np.where(rows, reg * f, 0.0), np.where(columns, reg * g, 0.0)
    level = float(dv.sum()) if given.shifted else 0.0

    solved = _solve(result, left, right, q1, q2, du, dv, level, tol, max_iter)
    s, t = solved.s, solved.t
    if result._relaxed is None:  # of all that solve the equations
        total = float(result._a.sum())
        lean = (float(right.marginal @ t) - float(left.marginal @ s)) / (2 * total)
        s, t = np.where(left.free, s + lean, s), np.where(right.free, t - lean, t)
    implicit = G.scaled(-1 / reg) + Field.product(
        np.column_stack([s, rows]) / reg, np.column_stack([columns, np.where(columns, t, 0.0)])
    )

    own = (s, np.where(right.free, t - solved.level, 0.0))
    for side, multiplier, bound, out in (
        (left, own[0], solved.bound_a, a), (right, own[1], solved.bound_b, b),
    ):  # fmt: skip
        explicit -= _to_weights(side, multiplier, bound, out)
    _at_zero(plan, given.plan, s, t, solved.level, left, right, a, b)
    if not solved.converged:
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(
            f"implicit differentiation: residual {solved.residual:.2e} is above tol = {tol:g} after "
            f"{solved.n_iter} iterations",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return OTGradients(result, plan, implicit + given.cost, implicit, given, solved, a, b, explicit)


def _to_weights(side: _Side, multiplier: Vector, bound: Vector, out: Vector) -> float:
    """Add to `out` what the equations of a side give its weights; return what they take from reg."""
    reg, free = side.reg, side.free
    soft, hard = free & side.soft, free & ~side.soft
    product = side.relaxed is None or side.relaxed.product
    out[hard] += multiplier[hard]
    taken = 0.0
    if soft.any():
        slope = side.ratio[soft] * (1 + reg / side.rho[soft] if product else 1.0)
        out[soft] += multiplier[soft] * slope
        share = side.marginal[soft] / side.rho[soft]
        taken += float((multiplier[soft] * share) @ side.level[soft]) / reg
    fixed = side.fixed
    if fixed.any():
        if product:
            out[fixed] += bound[fixed] / side.weight[fixed]
        taken += float(bound[fixed] @ side.level[fixed]) / reg**2
    return taken


def _at_zero(
    plan: Plan, G: Field, s: Vector, t: Vector, level: float, left: _Side, right: _Side, a: Vector, b: Vector
) -> None:  # fmt: skip
    """Weights of 0: what the first mass there would do, P_ij / a_i being known."""
    n, m = left.weight.size, right.weight.size
    for side, others, through, out in (
        (left, plan.columns, t, a), (right, plan.rows, s + level, b),
    ):  # fmt: skip
        zero = np.flatnonzero((side.weight == 0) & np.isfinite(side.stored))
        if zero.size == 0:
            continue
        if side.relaxed is not None and not side.relaxed.product:
            out[zero] = np.nan  # the first mass has an infinite slope
            continue
        only = np.zeros(side.weight.size)
        only[zero] = 1
        there = others.astype(np.float64)
        masks = (only, there) if side is left else (there, only)
        factors = (only, -through * there) if side is left else (-through * there, only)
        first = plan.seeing(masks[0] > 0, masks[1] > 0)  # a dense part is masked by what a plan sees
        sums = first.apply(G.masked(*masks) + Field.product(*factors), np.ones((m, 1)), np.ones((n, 1)))
        ratio = side.ratio[zero] if side.relaxed is not None else 1.0
        out[zero] += ratio * sums[0 if side is left else 1][zero, 0]


def _dot(x: Vector, y: Vector) -> float:
    finite = np.isfinite(y)
    return float(x[finite] @ y[finite])


# ---- what users hand in ------------------------------------------------------------------------------------


def vjp(
    result: OTResult, G: Any, potentials: Any, apply: Any, apply_T: Any, projection: Any, value_linear: Any,
    tol: Any, max_iter: Any,
) -> OTGradients:  # fmt: skip
    """`OTResult.vjp`: check the cotangents and join them."""
    n, m = result.shape
    given = Cotangents()
    tolerance = None if tol is None else _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_iter, "max_iter", 1)
    if all(z is None for z in (G, potentials, apply, apply_T, projection, value_linear)):
        raise ValueError("give at least one of G, potentials, apply, apply_T, projection and value_linear")
    if G is not None and result._geometry.metric == "sparse":
        stored: Any = result._geometry
        given.plan = given.plan + Field(dense=stored.aligned(G, "G"))
    elif G is not None:
        dense = _validate.check_points(G, "G").astype(np.float64)
        if dense.shape != (n, m):
            raise ValueError(f"G must have the shape of the plan, {(n, m)}, got {dense.shape}")
        given.plan = given.plan + Field(dense=dense)
    V = U = None
    if apply is not None:
        values, W = _pair(apply, "apply", m, n)
        given.plan = given.plan + Field.product(W, values)
        V = _like(result, result._geometry.apply(
            result.reg, result._u, result._v, W, transpose=True, threads=result._threads
        ), apply[0])  # fmt: skip
    if apply_T is not None:
        values, W = _pair(apply_T, "apply_T", n, m)
        given.plan = given.plan + Field.product(values, W)
        U = _like(result, result._geometry.apply(
            result.reg, result._u, result._v, W, threads=result._threads
        ), apply_T[0])  # fmt: skip
    if projection is not None:
        V = _project(result, projection, given, V)
    if potentials is not None:
        if not isinstance(potentials, (tuple, list)) or len(potentials) != 2:
            raise TypeError("potentials must be a pair, of the derivatives for f and for g (or None)")
        f, g = (
            None if q is None else _validate.check_vector(q, size, f"potentials[{k}]")
            for k, (q, size) in enumerate(zip(potentials, (n, m), strict=True))
        )
        given.f, given.g = f, g
        if result.reg_type == "entropy":
            for q, weight, name in ((f, result._a, "a"), (g, result._b, "b")):
                if q is None:
                    continue
                if q[weight == 0].any():
                    raise ValueError(f"the potential of a point of weight 0 is -inf with entropy ({name})")
                positive = weight > 0
                given.reg += float(q[positive] @ np.log(weight[positive]))
                extra = np.zeros_like(q)
                extra[positive] = result.reg * q[positive] / weight[positive]
                if name == "a":
                    given.a = given.a + extra
                else:
                    given.b = given.b + extra
    if value_linear is not None:
        share = _validate.check_number(value_linear, "value_linear")
        given.plan = given.plan + Field.product(np.full((n, 1), share), np.ones((m, 1)), 1)
        given.cost = given.cost + Plan(result).ones().scaled(share)
    out = differentiate(result, given, tolerance, most)
    out.V, out.U = V, U
    return out


def _pair(given: Any, name: str, inner: int, outer: int) -> tuple[Vector, Vector]:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{name} must be a pair: what was applied to, and the derivatives for the product")
    first, second = (_array.real(z, f"{name}[{k}]") for k, z in enumerate(given))
    for z, k, size in ((first, 0, inner), (second, 1, outer)):
        if z.ndim not in (1, 2) or z.shape[0] != size:
            raise ValueError(f"{name}[{k}] must have shape ({size},) or ({size}, k), got {z.shape}")
        _validate.check_finite(z, f"{name}[{k}]")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"{name}[0] and {name}[1] must have as many columns, got {first.shape} and {second.shape}"
        )
    return _columns(first.astype(np.float64)), _columns(second.astype(np.float64))


def _like(result: OTResult, gradient: Vector, x: Any) -> Array:
    shape = _array.real(x, "V").shape
    return result._out(np.ascontiguousarray(gradient.reshape(shape)))


def _project(result: OTResult, projection: Any, given: Cotangents, V: Any) -> Any:
    """Add the cotangent of `barycentric_projection`."""
    geometry = result._geometry
    n, m = result.shape
    own = not isinstance(projection, (tuple, list))
    if own:
        if geometry.y is None:
            raise ValueError("a result of solve(C) has no points of its own; give projection=(Y, W)")
        W = _array.real(projection, "projection").astype(np.float64)
        values = geometry.y.astype(np.float64)
        if W.shape != (n, values.shape[1]):
            raise ValueError(f"projection must have shape {(n, values.shape[1])}, got {W.shape}")
        _validate.check_finite(W, "projection")
    else:
        values, W = _pair(projection, "projection", m, n)
    centre = values.mean(axis=0)
    u = result._u_conditional
    block = np.column_stack([values - centre, np.ones(m)])
    sums = geometry.apply(result.reg, u, result._v, block, threads=result._threads)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, W = sums[:, :-1] / sums[:, -1:], W / sums[:, -1:]
    lost = ~np.isfinite(u)
    mean[lost] = W[lost] = 0
    along = -(W * mean).sum(axis=1, keepdims=True)
    given.rows = given.rows + Field.product(np.hstack([W, along]), block)
    back = geometry.apply(result.reg, u, result._v, W, transpose=True, threads=result._threads)
    if own:
        given.own_y = back
        return V
    like = _like(result, back, projection[0])
    return like if V is None else V + like


# ---- the gradient of a gradient ----------------------------------------------------------------------------


def second(
    result: OTResult, wx: Any, wy: Any, wc: Any, wa: Any, wb: Any, tol: float | None, max_iter: int
) -> OTGradients:
    """Gradients of ⟨wx, dX⟩ + ⟨wy, dY⟩ + ⟨wc, dC⟩ + ⟨wa, da⟩ + ⟨wb, db⟩ with those of the value.

    With the cosine, `wx`, `wy` and the answer are for vectors of length 1.
    """
    given = Cotangents(shifted=False)
    plan = Plan(result)
    if wc is not None:
        given.plan = Field(dense=np.asarray(wc, dtype=np.float64))
    if wx is not None or wy is not None:
        _second_points(plan, given, wx, wy)
    for side, w in ((0, wa), (1, wb)):
        if w is not None:
            _second_weights(result, given, side, np.asarray(w, dtype=np.float64))
    return differentiate(result, given, tol, max_iter)


def _second_points(plan: Plan, given: Cotangents, wx: Any, wy: Any) -> None:
    x, y = plan.features
    wx = np.zeros_like(x) if wx is None else np.asarray(wx, dtype=np.float64)
    wy = np.zeros_like(y) if wy is None else np.asarray(wy, dtype=np.float64)
    n, m = len(x), len(y)
    metric = plan.geometry.metric
    ones = plan.ones()
    if metric in ("dot", "cosine"):
        given.plan = given.plan + Field.product(np.hstack([-wx, -x]), np.hstack([y, wy]))
        forward, backward = plan.apply(ones, wy, wx)
        given.x, given.y = -forward, -backward
        return
    # <wx_i - wy_j, x_i - y_j>
    left = np.column_stack([(wx * x).sum(axis=1), np.ones(n), -wx, -x])
    right = np.column_stack([np.ones(m), (wy * y).sum(axis=1), y, wy])
    V, U = np.column_stack([np.ones(m), wy]), np.column_stack([np.ones(n), wx])
    if metric == "sqeuclidean":
        given.plan = given.plan + Field.product(2 * left, right)
        forward, backward = plan.apply(ones, V, U)
        given.x = 2 * (wx * forward[:, :1] - forward[:, 1:])
        given.y = 2 * (wy * backward[:, :1] - backward[:, 1:])
        return
    given.plan = given.plan + Field.product(left, right, -1)
    forward, backward = plan.apply(ones, V, U, -1)
    bent = Field.product(left, right, -3).masked(plan.rows, plan.columns)
    V, U = np.column_stack([np.ones(m), y]), np.column_stack([np.ones(n), x])
    along, back = plan.apply(bent, V, U)
    given.x = wx * forward[:, :1] - forward[:, 1:] - (x * along[:, :1] - along[:, 1:])
    given.y = wy * backward[:, :1] - backward[:, 1:] - (y * back[:, :1] - back[:, 1:])


def _second_weights(result: OTResult, given: Cotangents, side: int, w: Vector) -> None:
    own = _Side(result, side)
    reg, weight = result.reg, own.weight
    positive = weight > 0
    if w[~positive].any():
        raise ValueError("gradients of gradients are not offered at points of weight 0")
    per = np.zeros_like(w)
    per[positive] = w[positive] / weight[positive]
    slope, log = w.copy(), np.zeros_like(w)
    log[positive] = np.log(weight[positive])
    kl = result.reg_type == "kl"
    other = float((result._b if side == 0 else result._a).sum())
    own_extra: Any = 0.0
    if not kl:  # level = potential + reg log weight
        own_extra = reg * per
        given.reg += float(w @ log)
    if own.relaxed is not None:
        soft = own.soft
        with np.errstate(over="ignore"):
            pull = np.exp(-own.level[soft] / own.rho[soft])
        slope[soft] *= pull * (1 + reg / own.rho[soft] if kl else 1.0)
        if not kl:
            own_extra = reg * per
            own_extra[soft] *= pull
            given.reg += float((w[soft] * (pull - 1)) @ log[soft])
        else:
            given.reg += float(w @ (other - own.ratio))
            bounded = positive & ~soft
            push = np.where(bounded, per, 0.0)
            n, m = result.shape
            size = m if side == 0 else n
            factors = (-reg * push, np.ones(size)) if side == 0 else (np.ones(size), -reg * push)
            given.plan = given.plan + Field.product(*factors)
            own_extra = reg * push * own.ratio
    elif kl:
        given.reg += float(w.sum()) * (other - 1)
    mass = reg * float(w.sum()) if kl else 0.0
    if side == 0:
        given.f = slope if given.f is None else given.f + slope
        given.a, given.b = given.a + own_extra, given.b + mass
    else:
        given.g = slope if given.g is None else given.g + slope
        given.b, given.a = given.b + own_extra, given.a + mass
