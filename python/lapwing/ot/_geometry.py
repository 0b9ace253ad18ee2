"""A cost, dense or from points, in the shape in which the core wants it.

A dense cost in Fortran order is handed over as its transpose, with the roles of rows and columns swapped, so
that it is never copied. All that differs then is in this file: everybody else speaks of `n` rows and `m`
columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _backend, _validate
from lapwing._array import Floats

__all__ = ["METRICS", "Geometry", "Stats", "Vector", "dense", "points", "squares"]

METRICS = ("sqeuclidean", "euclidean", "cosine", "dot")

Vector = NDArray[np.float64]
Hook = Any  # the hook of a lapwing._progress.Progress


class Stats(NamedTuple):
    """Sums over a plan: mass, ⟨C, P⟩, Σ P log P, row sums, column sums."""

    mass: float
    linear: float
    plogp: float
    rows: Vector
    columns: Vector


class Extent(NamedTuple):
    """Bounds of the finite costs, and whether some cost is +inf."""

    low: float
    high: float
    forbidden: bool


@dataclass(frozen=True)
class Geometry:
    """The cost between n rows and m columns.

    `x` is the cost matrix itself (``metric="dense"``) or the n points; `y` the m points. `swapped`: `x` is
    the transpose of the cost. `hollow`: the pairs (i, i) are forbidden.
    """

    x: Floats
    y: Floats | None
    metric: str
    swapped: bool = False
    scanned: Extent | None = field(default=None, repr=False)
    hollow: bool = False

    @property
    def n(self) -> int:
        return int(self.x.shape[1 if self.swapped else 0])

    @property
    def m(self) -> int:
        if self.y is not None:
            return int(self.y.shape[0])
        return int(self.x.shape[0 if self.swapped else 1])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.x.dtype

    @property
    def _key(self) -> tuple[Floats, Floats | None, str]:
        return self.x, self.y, f"hollow {self.metric}" if self.hollow else self.metric

    def take(self, rows: NDArray[np.intp] | None, columns: NDArray[np.intp] | None) -> Geometry:
        """Return the cost of some rows and columns (None: all of them), copied."""
        if rows is None and columns is None:
            return self
        if self.y is not None:
            x = self.x if rows is None else self.x[rows]
            return replace(self, x=x, y=self.y if columns is None else self.y[columns])
        first, second = (columns, rows) if self.swapped else (rows, columns)
        x = self.x if first is None else self.x[first]
        x = x if second is None else np.ascontiguousarray(x[:, second])
        return replace(self, x=x, scanned=None)

    def costs(self, rows: slice = slice(None), columns: slice = slice(None)) -> Vector:
        """The costs of some rows and columns, in float64."""
        if self.y is None:
            x = self.x.T if self.swapped else self.x
            return np.asarray(x[rows, columns], dtype=np.float64)
        a, b = self.x[rows].astype(np.float64), self.y[columns].astype(np.float64)
        if self.metric == "dot":
            return np.asarray(-(a @ b.T))
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(a, b, self.metric))

    def costs_of_pairs(self, rows: NDArray[Any], columns: NDArray[Any]) -> Vector:
        """The costs of some pairs, in float64."""
        if self.y is None:
            x = self.x.T if self.swapped else self.x
            return np.asarray(x[rows, columns], dtype=np.float64)
        out = np.empty(rows.size)
        step = max(1, 2**20 // max(self.x.shape[1], 1))
        for i in range(0, rows.size, step):
            a = self.x[rows[i : i + step]].astype(np.float64)
            b = self.y[columns[i : i + step]].astype(np.float64)
            if self.metric in ("sqeuclidean", "euclidean"):
                cost = squares(a, b)
                cost = np.sqrt(cost) if self.metric == "euclidean" else cost
            else:
                cost = -np.einsum("ij,ij->i", a, b)
                if self.metric == "cosine":
                    cost = 1 + cost / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
            out[i : i + step] = cost
        return out

    def single(self) -> Geometry:
        """Return the cost in float32."""
        y = None if self.y is None else self.y.astype(np.float32)
        return replace(self, x=self.x.astype(np.float32), y=y, scanned=None)

    def extent(self, threads: int) -> Extent:
        """Bounds of the cost: exact over the finite entries of a dense cost, cheap for points."""
        if self.scanned is not None:
            return self.scanned
        if self.y is None:
            low, high, forbidden, _ = _backend.extension().ot_scan(self.x, threads)
            return Extent(low, high, forbidden > 0)
        low, high = _backend.extension().ot_range(self.x, self.y, self.metric, threads)
        return Extent(low, high, False)

    def solve(
        self, a: Vector, b: Vector, f: Vector, g: Vector, *options: Any, threads: int, hook: Hook
    ) -> dict[str, Any]:
        if self.swapped:
            a, b, f, g = b, a, g, f
        report: dict[str, Any] = _backend.extension().ot_solve(
            *self._key, a, b, f, g, *options, threads, hook
        )
        return report

    def solve_relaxed(
        self, a: Vector, b: Vector, f: Vector, g: Vector, rho_a: Vector, rho_b: Vector, *options: Any,
        threads: int, hook: Hook,
    ) -> dict[str, Any]:  # fmt: skip
        if self.swapped:
            a, b, f, g, rho_a, rho_b = b, a, g, f, rho_b, rho_a
        report: dict[str, Any] = _backend.extension().ot_solve_relaxed(
            *self._key, a, b, f, g, rho_a, rho_b, *options, threads, hook
        )
        if self.swapped:  # the multiplier of the mass belongs to our g, which is the core's f
            g -= report["shift"]
            f += report["shift"]
        return report

    def softmin(
        self, h: Vector, reg: float, *, transpose: bool = False, threads: int = 0, hook: Hook = None
    ) -> Vector:
        """-reg log sum_j exp((h_j - C_ij)/reg) for each row i (each column j with `transpose`)."""
        out = np.empty(self.m if transpose else self.n)
        _backend.extension().ot_softmin(*self._key, h, reg, out, transpose != self.swapped, threads, hook)
        return out

    def c_transform(self, h: Vector, *, threads: int) -> tuple[Vector, NDArray[np.int64]]:
        out, index = np.empty(self.n), np.empty(self.n, dtype=np.int64)
        _backend.extension().ot_ctransform(*self._key, h, out, index, self.swapped, threads)
        return out, index

    def apply(
        self,
        reg: float,
        u: Vector,
        v: Vector,
        block: Vector,
        *,
        transpose: bool = False,
        threads: int = 0,
        hook: Hook = None,
    ) -> Vector:
        """P @ block, or P.T @ block."""
        out = np.empty((self.m if transpose else self.n, block.shape[1]))
        if self.swapped:
            u, v, transpose = v, u, not transpose
        _backend.extension().ot_apply(*self._key, reg, u, v, block, out, transpose, threads, hook)
        return out

    def normal(
        self,
        reg: float,
        u: Vector,
        v: Vector,
        w: Vector,
        block: Vector,
        *,
        threads: int = 0,
        hook: Hook = None,
    ) -> Vector:
        """P.T @ (w * (P @ block))."""
        if self.swapped:  # the core's one-sweep form goes the other way round
            image = self.apply(reg, u, v, block, threads=threads, hook=hook)
            return self.apply(reg, u, v, w[:, None] * image, transpose=True, threads=threads, hook=hook)
        out = np.empty_like(block)
        _backend.extension().ot_normal(*self._key, reg, u, v, w, block, out, threads, hook)
        return out

    def weighted(
        self, reg: float, u: Vector, v: Vector, power: int, left: Vector, right: Vector, V: Vector, U: Vector,
        *, threads: int = 0, hook: Hook = None,
    ) -> tuple[Vector, Vector]:  # fmt: skip
        """W @ V and W.T @ U in one sweep, W_ij = P_ij C_ij^power (left @ right.T)_ij.

        W_ij is 0 where P_ij is, and for a negative power where C_ij is.
        """
        forward, backward = np.empty((self.n, V.shape[1])), np.empty((self.m, U.shape[1]))
        V, U = np.ascontiguousarray(V, dtype=np.float64), np.ascontiguousarray(U, dtype=np.float64)
        factors: list[Any] = [None, None]  # a factor of 1 costs as much as any other
        if not (left.shape[1] == 1 and (left == 1).all() and (right == 1).all()):
            factors = [np.ascontiguousarray(z, dtype=np.float64) for z in (left, right)]
        options = (threads, hook)
        if self.swapped:
            _backend.extension().ot_weighted(
                *self._key, reg, v, u, power, *factors[::-1], U, V, backward, forward, *options
            )
        else:
            _backend.extension().ot_weighted(
                *self._key, reg, u, v, power, *factors, V, U, forward, backward, *options
            )
        return forward, backward

    def stats(self, reg: float, u: Vector, v: Vector, *, threads: int = 0, hook: Hook = None) -> Stats:
        rows, columns = np.empty(self.n), np.empty(self.m)
        if self.swapped:
            sums = _backend.extension().ot_stats(*self._key, reg, v, u, columns, rows, threads, hook)
        else:
            sums = _backend.extension().ot_stats(*self._key, reg, u, v, rows, columns, threads, hook)
        mass, linear, plogp = sums
        return Stats(mass, linear, plogp, rows, columns)

    def solve_marginals(
        self, reg: float, u: Vector, v: Vector, equations: tuple[Any, ...], tol: float, max_iter: int,
        s: Vector, t: Vector, *, threads: int = 0,
    ) -> tuple[bool, int, float, float]:  # fmt: skip
        """Write s and t, the solution of the equations of implicit differentiation."""
        if self.swapped:
            u, v = v, u
        out: tuple[bool, int, float, float] = _backend.extension().ot_solve_marginals(
            *self._key, reg, u, v, *equations, self.swapped, tol, max_iter, s, t, threads
        )
        return out

    def doubly_stochastic(
        self, reg: float, r: Vector, tol: float, most: int, delta: Vector, *, threads: int = 0
    ) -> tuple[bool, int, float]:
        """Symmetric scaling of the kernel to the row sums r: log d is written to `delta`."""
        out: tuple[bool, int, float] = _backend.extension().ot_doubly_stochastic(
            *self._key, reg, r, tol, most, delta, threads
        )
        return out

    def plan(self, reg: float, u: Vector, v: Vector, start: int, stop: int, *, threads: int = 0) -> Floats:
        """Rows `start` to `stop` of P; of P.T when swapped."""
        if self.swapped:
            u, v = v, u
        out = np.empty((stop - start, v.size), dtype=self.dtype)
        _backend.extension().ot_plan(*self._key, reg, u, v, start, out, threads)
        return out

    def argmax(
        self, reg: float, u: Vector, v: Vector, *, transpose: bool = False, threads: int = 0
    ) -> tuple[NDArray[np.int64], Vector]:
        size = self.m if transpose else self.n
        index, value = np.empty(size, dtype=np.int64), np.empty(size)
        if self.swapped:
            u, v, transpose = v, u, not transpose
        _backend.extension().ot_argmax(*self._key, reg, u, v, index, value, transpose, threads)
        return index, value

    def top(
        self, reg: float, u: Vector, v: Vector, k: int, *, transpose: bool = False, threads: int = 0
    ) -> tuple[NDArray[np.int64], Vector]:
        size = self.m if transpose else self.n
        index, value = np.empty((size, k), dtype=np.int64), np.empty((size, k))
        if self.swapped:
            u, v, transpose = v, u, not transpose
        _backend.extension().ot_topk(*self._key, reg, u, v, k, index, value, transpose, threads)
        return index, value

    def sparse_semi_dual(
        self, a: Vector, b: Vector, k: int, reg: float, alpha: Vector, *, threads: int = 0
    ) -> tuple[float, Vector, NDArray[np.int64], Vector]:
        """Value and gradient, and the k rows and entries of each column."""
        gradient = np.empty(self.n)
        index, entries = np.empty((self.m, k), dtype=np.int64), np.empty((self.m, k))
        value = _backend.extension().ot_sparse_semi_dual(
            *self._key, a, b, reg, alpha, gradient, index, entries, self.swapped, threads
        )
        return value, gradient, index, entries

    def sample(
        self, reg: float, u: Vector, v: Vector, rows: NDArray[np.int64], uniform: Vector, *, threads: int = 0
    ) -> NDArray[np.int64]:
        """Draw a column of each of `rows` (which may repeat) with a number in [0, 1) for each."""
        order = np.argsort(rows, kind="stable")
        distinct, first = np.unique(rows[order], return_index=True)
        drawn = np.empty(rows.size, dtype=np.int64)
        if self.swapped:
            u, v = v, u
        _backend.extension().ot_sample(
            *self._key, reg, u, v, distinct, np.append(first, rows.size), uniform[order], drawn,
            self.swapped, threads,
        )  # fmt: skip
        out = np.empty_like(drawn)
        out[order] = drawn
        return out

    def quantile(self, q: float, n_samples: int, seed: int, *, threads: int = 0) -> float:
        return float(_backend.extension().ot_quantile(*self._key, q, n_samples, seed, threads))

    def svds(
        self,
        reg: float,
        u: Vector,
        v: Vector,
        left: Vector,
        right: Vector,
        *options: Any,
        threads: int,
        hook: Hook,
    ) -> tuple[Any, ...]:
        if self.swapped:
            u, v, left, right = v, u, right, left
        found = _backend.extension().ot_svds(*self._key, reg, u, v, left, right, *options, threads, hook)
        return (found[2], found[1], found[0], *found[3:]) if self.swapped else tuple(found)


def squares(x: Floats, y: Floats) -> NDArray[Any]:
    """Squared distance of each row of `x` to that of `y`."""
    difference = x - y
    return np.asarray(np.einsum("ij,ij->i", difference, difference))


def dense(c: object, name: str = "C", *, threads: int = 0) -> Geometry:
    """Check a cost matrix and wrap it. +inf is allowed, NaN and -inf are not."""
    matrix = _validate.check_matrix(c, name)
    swapped = matrix.flags.f_contiguous and not matrix.flags.c_contiguous
    x = _array.contiguous(matrix.T if swapped else matrix)
    low, high, forbidden, bad = _backend.extension().ot_scan(x, threads)
    if bad >= 0:
        i, j = np.unravel_index(bad, x.shape)
        at = f"[{j}, {i}]" if swapped else f"[{i}, {j}]"
        raise ValueError(f"{name} must not contain NaN or -inf, but {name}{at} is {x[i, j]}")
    return Geometry(x, None, "dense", swapped, Extent(low, high, forbidden > 0))


def points(x: object, y: object, metric: str, *, names: tuple[str, str] = ("X", "Y")) -> Geometry:
    """Check two point clouds and wrap them: same columns, same dtype, finite costs."""
    _validate.check_choice(metric, "metric", METRICS)
    first, second = _validate.check_points(x, names[0]), _validate.check_points(y, names[1])
    _validate.check_columns(first, second, *names)
    dtype = np.result_type(first, second)
    first, second = _array.contiguous(first, dtype), _array.contiguous(second, dtype)
    for z, name in ((first, names[0]), (second, names[1])):
        _check_norms(z, name, metric)
    return Geometry(first, second, metric)


def _check_norms(z: Floats, name: str, metric: str) -> None:
    if metric == "cosine":
        zero = np.flatnonzero(~z.any(axis=1))
        if zero.size:
            raise ValueError(f"{name}[{int(zero[0])}] is a zero vector, which has no cosine distance")
    largest = float(np.abs(z).max())
    # Squared distances of two clouds are below 4 d max² of either; keep them a factor 4 away from overflow.
    if largest > np.sqrt(np.finfo(z.dtype).max / (16 * z.shape[1])):
        raise ValueError(
            f"{name} has entries up to {largest:.3g}, whose squares overflow {z.dtype}; rescale the points"
        )
