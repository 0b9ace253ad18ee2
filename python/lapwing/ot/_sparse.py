"""Transport over stored pairs: the cost as a sparse matrix, and the plan on its pattern."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _backend, _validate
from lapwing.exceptions import InfeasibleError
from lapwing.ot._geometry import Extent, Hook, Stats, Vector
from lapwing.ot._result import OTResult

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparseGeometry", "SparseOTResult", "check_masses", "check_sparse", "is_sparse", "pairs"]

FORMATS = ("csr", "csc", "coo")


def is_sparse(x: object) -> bool:
    """Whether `x` is a matrix of scipy.sparse."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def check_sparse(C: object) -> None:
    if not is_sparse(C):
        raise TypeError(
            f"C must be a scipy.sparse matrix, got {type(C).__name__}; dense costs are solved by solve"
        )


def pairs(C: Any, name: str = "C") -> SparseGeometry:
    """Check a sparse cost: entries stored once, finite or +inf (which are left out)."""
    kind = getattr(C, "format", None)
    if kind not in FORMATS:
        raise TypeError(f"{name} must be a CSR, CSC or COO matrix, got {kind!r}; pass {name}.tocsr()")
    if C.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got shape {C.shape}")
    n, m = (int(s) for s in C.shape)
    if n == 0 or m == 0:
        raise ValueError(f"{name} is empty: its shape is {(n, m)}")
    if max(n, m) >= 2**31:
        raise ValueError(f"{name} must have fewer than 2^31 rows and columns, got shape {(n, m)}")
    try:
        entries = C.tocoo()
    except ValueError as error:  # indices that point nowhere
        raise ValueError(f"{name} is not a good sparse matrix: {error}") from error
    values = _array.real(entries.data, name)
    row, column = (np.asarray(z, dtype=np.int64) for z in (entries.row, entries.col))
    for index, size, what in ((row, n, "row"), (column, m, "column")):
        outside = (index < 0) | (index >= size)
        if outside.any():
            raise ValueError(f"{name} has an entry in {what} {index[np.argmax(outside)]} of {size}")
    bad = np.isnan(values) | np.isneginf(values)
    if bad.any():
        k = int(np.argmax(bad))
        raise ValueError(
            f"{name} must not contain NaN or -inf, but {name}[{row[k]}, {column[k]}] is {values[k]}"
        )
    keep = np.isfinite(values)
    if not keep.all():
        row, column, values = row[keep], column[keep], values[keep]
    key = row * m + column
    if not (np.diff(key) > 0).all():
        order = np.argsort(key, kind="stable")
        row, column, values, key = row[order], column[order], values[order], key[order]
        twice = np.flatnonzero(np.diff(key) == 0)
        if twice.size:
            k = int(twice[0])
            raise ValueError(
                f"{name} has two entries at [{row[k]}, {column[k]}]; sum_duplicates() adds them up"
            )
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=n), out=offsets[1:])
    return SparseGeometry(offsets, column.astype(np.int32), np.ascontiguousarray(values), m)


class SparseGeometry:
    """The costs of some pairs of n rows and m columns; no other pair may be used.

    It answers what `Geometry` does. The plan is held on the pattern, so that nothing has n m entries.
    """

    metric = "sparse"
    swapped = False
    y = None

    def __init__(
        self, offsets: NDArray[np.int64], indices: NDArray[np.int32], values: NDArray[Any], m: int
    ) -> None:
        self.offsets, self.indices, self.values = offsets, indices, values
        self.n, self.m = offsets.size - 1, m
        self._last: tuple[float, Vector, Vector, Vector] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def x(self) -> csr_array:
        return self.matrix(self.values)

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """The row of each entry."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.offsets))

    @cached_property
    def by_column(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """The entries in the order of columns, and where each column starts among them."""
        order = np.argsort(self.indices, kind="stable")
        starts = np.zeros(self.m + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.indices, minlength=self.m), out=starts[1:])
        return order, starts

    def matrix(self, values: NDArray[Any], *, copy: bool = False) -> csr_array:
        """A matrix of the pattern; a copy for users, who may change it in place."""
        from scipy.sparse import csr_array

        return csr_array((values, self.indices, self.offsets), shape=(self.n, self.m), copy=copy)

    def take(self, rows: Any, columns: Any) -> SparseGeometry:
        if rows is None and columns is None:
            return self
        keep = np.ones(self.values.size, dtype=bool)
        index = [np.arange(self.n), np.arange(self.m)]
        sizes = [self.n, self.m]
        for side, (chosen, at) in enumerate(((rows, self.rows), (columns, self.indices))):
            if chosen is None:
                continue
            place = np.full(sizes[side], -1)
            place[chosen] = np.arange(len(chosen))
            index[side], sizes[side] = place, len(chosen)
            keep &= place[at] >= 0
        row, column = index[0][self.rows[keep]], index[1][self.indices[keep]]
        order = np.lexsort((column, row))
        offsets = np.zeros(sizes[0] + 1, dtype=np.int64)
        np.cumsum(np.bincount(row, minlength=sizes[0]), out=offsets[1:])
        return SparseGeometry(
            offsets, column[order].astype(np.int32), np.ascontiguousarray(self.values[keep][order]), sizes[1]
        )

    def single(self) -> SparseGeometry:
        """Return the costs in float32."""
        return SparseGeometry(self.offsets, self.indices, self.values.astype(np.float32), self.m)

    def extent(self, threads: int) -> Extent:
        del threads
        if self.values.size == 0:
            return Extent(np.inf, -np.inf, True)
        return Extent(float(self.values.min()), float(self.values.max()), self.values.size < self.n * self.m)

    def statistic(self, which: str) -> float:
        """Median, mean or maximum of the stored costs."""
        if self.values.size == 0:
            return np.nan
        values = self.values.astype(np.float64)
        if which == "median":
            return float(np.median(values))
        return float(values.mean() if which == "mean" else values.max())

    def solve(
        self, a: Vector, b: Vector, f: Vector, g: Vector, *options: Any, threads: int, hook: Hook
    ) -> dict[str, Any]:
        report: dict[str, Any] = _backend.extension().ot_solve_sparse(
            self.offsets, self.indices, self.values, a, b, f, g, *options, threads, hook
        )
        return report

    def solve_relaxed(
        self, a: Vector, b: Vector, f: Vector, g: Vector, rho_a: Vector, rho_b: Vector, *options: Any,
        threads: int, hook: Hook,
    ) -> dict[str, Any]:  # fmt: skip
        report: dict[str, Any] = _backend.extension().ot_solve_sparse_relaxed(
            self.offsets, self.indices, self.values, a, b, f, g, rho_a, rho_b, *options, threads, hook
        )
        return report

    def softmin(
        self, h: Vector, reg: float, *, transpose: bool = False, threads: int = 0, hook: Hook = None
    ) -> Vector:
        del threads, hook
        own, other = (self.indices, self.rows) if transpose else (self.rows, self.indices)
        scale = reg if reg > 0 else 1.0
        exponent = (h[other] - self.values.astype(np.float64)) / scale
        size = self.m if transpose else self.n
        top = np.full(size, -np.inf)
        np.maximum.at(top, own, exponent)
        if reg == 0:
            return -top
        finite = np.isfinite(top)
        with np.errstate(invalid="ignore"):
            terms = np.where(finite[own], np.exp(exponent - top[own]), 0.0)
        sums = np.bincount(own, terms, minlength=size)
        out = -reg * top
        out[finite] -= reg * np.log(sums[finite])
        return out

    # -- the plan on the pattern ---------------------------------------------------------------------------

    def entries(self, reg: float, u: Vector, v: Vector) -> Vector:
        """The plan's, in the order of the costs; the last ones that were asked for are kept."""
        last = self._last
        if last is not None and last[0] == reg and last[1] is u and last[2] is v:
            return last[3]
        plan: Vector = np.exp(u[self.rows] + v[self.indices] - self.values.astype(np.float64) / reg)
        self._last = reg, u, v, plan
        return plan

    def apply(
        self, reg: float, u: Vector, v: Vector, block: Vector, *, transpose: bool = False, threads: int = 0,
        hook: Hook = None,
    ) -> Vector:  # fmt: skip
        del threads, hook
        plan = self.matrix(self.entries(reg, u, v))
        out: Vector = (plan.T if transpose else plan) @ block
        return out

    def normal(
        self, reg: float, u: Vector, v: Vector, w: Vector, block: Vector, *, threads: int = 0,
        hook: Hook = None,
    ) -> Vector:  # fmt: skip
        return self.apply(reg, u, v, w[:, None] * self.apply(reg, u, v, block), transpose=True)

    def solve_marginals(
        self, reg: float, u: Vector, v: Vector, equations: tuple[Any, ...], tol: float, max_iter: int,
        s: Vector, t: Vector, *, threads: int = 0,
    ) -> tuple[bool, int, float, float]:  # fmt: skip
        del threads
        out: tuple[bool, int, float, float] = _backend.extension().ot_solve_marginals_stored(
            self.offsets, self.indices, self.entries(reg, u, v), float(np.finfo(self.dtype).eps), *equations,
            tol, max_iter, s, t,
        )  # fmt: skip
        return out

    def weighted(
        self, reg: float, u: Vector, v: Vector, power: int, left: Vector, right: Vector, V: Vector, U: Vector,
        *, threads: int = 0, hook: Hook = None,
    ) -> tuple[Vector, Vector]:  # fmt: skip
        del threads, hook
        weights = self.entries(reg, u, v) * self.products(left, right)
        return self.apply_weights(self.times_costs(weights, power), V, U)

    def apply_weights(self, weights: Vector, V: Vector, U: Vector) -> tuple[Vector, Vector]:
        matrix = self.matrix(weights)
        return matrix @ V, matrix.T @ U

    def products(self, left: Vector, right: Vector) -> Vector:
        """(left @ right.T) on the pattern."""
        out = np.zeros(self.values.size)
        for k in range(left.shape[1]):
            out += left[self.rows, k] * right[self.indices, k]
        return out

    def aligned(self, G: Any, name: str) -> Vector:
        """The entries of a matrix, dense or sparse, on the pattern."""
        if tuple(G.shape) != (self.n, self.m):
            raise ValueError(f"{name} must have the shape of the plan, {(self.n, self.m)}, got {G.shape}")
        found = (G.tocsr() if is_sparse(G) else np.asarray(G))[self.rows, self.indices]
        values = _array.real(np.asarray(found).ravel(), name).astype(np.float64)
        _validate.check_finite(values, name)
        return values

    def times_costs(self, weights: Vector, power: int) -> Vector:
        return weights * self.values.astype(np.float64) ** power if power else weights

    def stats(self, reg: float, u: Vector, v: Vector, *, threads: int = 0, hook: Hook = None) -> Stats:
        del threads, hook
        plan = self.entries(reg, u, v)
        costs = self.values.astype(np.float64)
        with np.errstate(invalid="ignore"):
            logs = np.where(plan > 0, u[self.rows] + v[self.indices] - costs / reg, 0.0)
        return Stats(
            float(plan.sum()),
            float(plan @ costs),
            float(plan @ logs),
            np.bincount(self.rows, plan, minlength=self.n).astype(np.float64),
            np.bincount(self.indices, plan, minlength=self.m).astype(np.float64),
        )

    def plan(self, reg: float, u: Vector, v: Vector, start: int, stop: int, *, threads: int = 0) -> Any:
        """Rows of the plan as a dense array."""
        del threads
        rows = self.matrix(self.entries(reg, u, v)).astype(self.dtype)[start:stop]
        return rows.toarray()

    def sample(
        self, reg: float, u: Vector, v: Vector, rows: NDArray[np.int64], uniform: Vector, *, threads: int = 0
    ) -> NDArray[np.int64]:
        """A column of each of `rows`, as `Geometry.sample`."""
        del threads
        plan = self.entries(reg, u, v)
        total = np.bincount(self.rows, plan, minlength=self.n)
        share = plan / np.where(total > 0, total, 1.0)[self.rows]
        upto = np.cumsum(share)
        first = self.offsets[rows]
        before = np.where(first > 0, upto[np.maximum(first - 1, 0)], 0.0)
        at = np.searchsorted(upto, before + uniform, side="right")
        used = np.flatnonzero(share > 0)  # rounding may lead past the last entry that is one
        last = used[np.searchsorted(used, self.offsets[rows + 1], side="left") - 1] if used.size else first
        out: NDArray[np.int64] = self.indices[np.clip(at, first, last)].astype(np.int64)
        out[total[rows] <= 0] = -1
        return out

    def argmax(
        self, reg: float, u: Vector, v: Vector, *, transpose: bool = False, threads: int = 0
    ) -> tuple[NDArray[np.int64], Vector]:
        index, value = self._top(reg, u, v, 1, transpose)
        return np.ascontiguousarray(index[:, 0]), np.ascontiguousarray(value[:, 0])

    def top(
        self, reg: float, u: Vector, v: Vector, k: int, *, threads: int = 0
    ) -> tuple[NDArray[np.int64], Vector]:
        return self._top(reg, u, v, k, False)

    def _top(
        self, reg: float, u: Vector, v: Vector, k: int, transpose: bool
    ) -> tuple[NDArray[np.int64], Vector]:
        """The largest entries of every row (or column), the first ones of equal entries; -1 where none is."""
        own, other = (self.indices, self.rows) if transpose else (self.rows, self.indices)
        # by exponents: entries may all underflow
        exponent = u[self.rows] + v[self.indices] - self.values.astype(np.float64) / reg
        order = np.lexsort((other, -exponent, own))
        size = self.m if transpose else self.n
        starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(own, minlength=size), out=starts[1:])
        place = np.arange(order.size) - starts[own[order]]
        keep = place < k
        index, value = np.full((size, k), -1, dtype=np.int64), np.zeros((size, k))
        index[own[order][keep], place[keep]] = other[order][keep]
        value[own[order][keep], place[keep]] = np.exp(exponent[order][keep])
        return index, value

    def svds(
        self, reg: float, u: Vector, v: Vector, left: Vector, right: Vector, k: int, block: int, tol: float,
        limit: int, seed: int, *, threads: int, hook: Hook,
    ) -> tuple[Any, ...]:  # fmt: skip
        from scipy.sparse.linalg import LinearOperator

        from lapwing import linalg

        del block, hook
        plan = self.matrix(self.entries(reg, u, v))
        sides = left[:, None], right[:, None]

        def product(x: Vector, transpose: bool) -> Vector:
            own, other = sides if transpose else sides[::-1]
            x = x.reshape(x.shape[0], -1)
            x = (plan.T if transpose else plan) @ (x - own @ (own.T @ x))
            out: Vector = x - other @ (other.T @ x)
            return out

        operator = LinearOperator(
            dtype=np.float64, shape=(self.n, self.m), matvec=lambda x: product(x, False)[:, 0],
            rmatvec=lambda x: product(x, True)[:, 0], matmat=lambda x: product(x, False),
            rmatmat=lambda x: product(x, True),
        )  # fmt: skip
        found = linalg.svds(operator, k, tol=tol, max_products=limit, random_state=seed, n_jobs=threads)
        U, s, V = found[0], found[1], found[2].T
        residuals = np.maximum(
            np.linalg.norm(product(V, False) - U * s, axis=0),
            np.linalg.norm(product(U, True) - V * s, axis=0),
        )
        return U, s, V, residuals, limit, bool(residuals.max() <= tol * s[0])


class SparseOTResult(OTResult):
    """An `OTResult` of a sparse cost: `plan` is a scipy.sparse.csr_array with the pattern of the cost."""

    _geometry: Any

    def _make_plan(self) -> csr_array:
        g = self._geometry
        return g.matrix(g.entries(self.reg, self._u, self._v).astype(g.dtype), copy=True)

    def _above(self, threshold: float) -> csr_array:
        from scipy.sparse import csr_array

        plan = self.plan
        keep = plan.data > threshold
        index = self._geometry.rows[keep], self._geometry.indices[keep]
        return csr_array((plan.data[keep], index), shape=self.shape)


def check_masses(part: SparseGeometry, a: Vector, b: Vector, rows: Any) -> None:
    """Every connected part of the pattern must have the same weight on both sides (spec 6.7)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = part.n, part.m
    graph = coo_array(
        (np.ones(part.values.size, dtype=np.int8), (part.rows, part.indices + n)), shape=(n + m, n + m)
    )
    count, label = connected_components(graph, directed=False)
    if count == 1:
        return
    left, right = np.bincount(label[:n], a, minlength=count), np.bincount(label[n:], b, minlength=count)
    slack = 1e-6 if part.dtype == np.float32 else 1e-9
    apart = np.abs(left - right) > slack * np.maximum(left, right)
    if apart.any():
        k = int(np.argmax(apart))
        first = int(np.argmax(label[:n] == k))
        name = first if rows is None else int(rows[first])
        size = int((label[:n] == k).sum()), int((label[n:] == k).sum())
        raise InfeasibleError(
            f"the pattern of the cost falls into {count} components, and that of row {name} ({size[0]} rows, "
            f"{size[1]} columns) has weights {left[k]:.9g} in a and {right[k]:.9g} in b; they must be equal"
        )
