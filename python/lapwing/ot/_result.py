"""What a solve returns: potentials, certificate, and the plan as an operator."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _caller, _threads, _validate
from lapwing._array import Array, Kind
from lapwing._progress import Callback, Progress
from lapwing.ot import _geometry, _gradients
from lapwing.ot._geometry import Geometry, Stats, Vector
from lapwing.ot._gradients import OTGradients
from lapwing.ot._relaxed import Relaxation

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

__all__ = ["HistoryEntry", "OTResult", "SingularTriplets"]

TOP_MOST = 64  # entries per row that the core keeps at once
BLOCK_ENTRIES = 2**20  # of the plan that a threshold looks at together
DENSE_ENTRIES = 2**18  # up to this size LAPACK finds singular vectors faster than a block method


class HistoryEntry(NamedTuple):
    """One step of a solve.

    Attributes
    ----------
    reg : float
        Regularisation of the level, in units of the cost.
    error : float
        Marginal error seen in this step.
    kind : str
        What the step was: ``"sweep"`` (plain), ``"anderson"`` or ``"sor"`` (from an extrapolated start),
        ``"rejected"`` (an extrapolation that made things worse and was taken back), or ``"newton"`` (a
        round of Newton's method; its error is that of the entries that it saw).
    """

    reg: float
    error: float
    kind: str


class SingularTriplets(NamedTuple):
    """Leading singular triplets of the normalised plan, the constant pair left out.

    Attributes
    ----------
    U : float64 array of shape (n, k)
        Left singular vectors in columns, of unit length.
    s : float64 array of shape (k,)
        Singular values, descending.
    V : float64 array of shape (m, k)
        Right singular vectors in columns, of unit length.
    residuals : float64 array of shape (k,)
        ``max(‖W v - s u‖, ‖Wᵀ u - s v‖)`` of each triplet.
    """

    U: Array
    s: Array
    V: Array
    residuals: Array


class OTResult:
    """Solution of an entropic transport problem; made by `solve` and `solve_sample`.

    Everything that would take a pass over all pairs is computed when it is first asked for, and nothing of
    size n m is stored unless `plan` is asked for. The result refers to the caller's cost matrix or points:
    changing them afterwards changes what is computed later.

    Attributes
    ----------
    potentials : (f, g), arrays of shape (n,) and (m,)
        In units of the cost, with ``sum(a*f) == sum(b*g)``. Points of weight 0 have the potential that the
        other side assigns to them (+inf if every pair of theirs is forbidden).
    weights : (a, b), arrays of shape (n,) and (m,)
        The weights used; `b` scaled to the total of `a`.
    value : float
        ⟨C, P⟩ + ε KL(P ‖ a bᵀ), from the potentials: ⟨a, f⟩ + ⟨b, g⟩ + ε (M² - M) with M the total mass. With
        ``reg_type="entropy"`` the entropy is Σ P (log P - 1); of an unbalanced problem the penalties are part
        of it, and it is the value of the plan.
    gap : float
        Primal minus dual value of these potentials.
    value_linear : float
        ⟨C, P⟩ of the plan of these potentials.
    reg, cost_scale : float
        Regularisation ε in units of the cost, and the statistic it includes (1 without `reg_scale`).
    marginal_error : float
        (‖P1 - a‖₁ + ‖Pᵀ1 - b‖₁) / M of the plan of these potentials, measured. Of an unbalanced problem: over
        the marginals that are fixed. Of a partial one: what P1 and Pᵀ1 have above a and b, and the
        difference of the mass, over the mass.
    marginal_a, marginal_b : arrays of shape (n,) and (m,)
        P1 and Pᵀ1.
    converged : bool
        Whether `marginal_error` reached `tol`.
    status : str
        Why the run ended.
    tol : float
        The tolerance that was asked for.
    n_sweeps : int
        Sweeps over all pairs; 0 for the closed form of one point against many.
    n_newton : int
        Newton's steps, each on the entries that carry mass.
    reason : str
        What was chosen at the regularisation that was asked for, and why.
    history : list of HistoryEntry
        (reg, error, kind) of every step.
    plan : array of shape (n, m)
        The plan itself, made on first access and kept.
    grad_X, grad_Y, grad_C, grad_a, grad_b : arrays
        Gradients of `value` for the points or the cost, and the weights; computed on every access. `vjp` has
        those of everything else.
    grad_reg, grad_mass : float
        Derivatives of `value` for ε and for the mass of a partial problem.
    operator : scipy.sparse.linalg.LinearOperator of shape (n, m)
        The plan without the matrix.
    shape : (int, int)
        (n, m).
    n_jobs : int or None
        Threads for the methods; that of the solve, and may be set.

    Notes
    -----
    Arrays come back as the kind of the arrays that were given (NumPy, torch) and in the float type of the
    cost.
    """

    def __init__(
        self,
        *,
        geometry: Geometry,
        kind: Kind,
        a: Vector,
        b: Vector,
        f: Vector,
        g: Vector,
        reg: float,
        cost_scale: float,
        tol: float,
        marginal_error: float,
        reg_type: str,
        relaxed: Relaxation | None,
        converged: bool,
        status: str,
        n_sweeps: int,
        n_newton: int,
        reason: str,
        history: list[HistoryEntry],
        n_jobs: int | None,
        max_plan_bytes: int,
    ) -> None:
        self._geometry = geometry
        self._kind = kind
        self._a, self._b, self._f, self._g = a, b, f, g
        self.reg = reg
        self.cost_scale = cost_scale
        self.tol = tol
        self._marginal_error = marginal_error
        self.reg_type = reg_type
        self._relaxed = relaxed
        self.converged = converged
        self.status = status
        self.n_sweeps = n_sweeps
        self.n_newton = n_newton
        self.reason = reason
        self.history = history
        self.n_jobs = n_jobs
        self.max_plan_bytes = max_plan_bytes

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"OTResult(n={n}, m={m}, reg={self.reg:.6g}, value={self.value:.6g}, converged={self.converged}, "
            f"marginal_error={self.marginal_error:.2e}, n_sweeps={self.n_sweeps})"
        )

    # -- numbers and vectors ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        return self._geometry.n, self._geometry.m

    @property
    def metric(self) -> str:
        """The metric of `solve_sample`, or ``"dense"``."""
        return self._geometry.metric

    @cached_property
    def marginal_error(self) -> float:
        if self._relaxed is None:
            return self._marginal_error
        return self._relaxed.violation(self._stats, self._a, self._b)

    @property
    def potentials(self) -> tuple[Array, Array]:
        if self.reg_type == "kl":
            return self._out(self._f), self._out(self._g)
        with np.errstate(divide="ignore"):  # the factor of a point of weight 0 is 0
            return (
                self._out(self._f + self.reg * np.log(self._a)),
                self._out(self._g + self.reg * np.log(self._b)),
            )

    @property
    def weights(self) -> tuple[Array, Array]:
        return self._out(self._a), self._out(self._b)

    @cached_property
    def value(self) -> float:
        if self._relaxed is not None:
            return self._primal(self._relaxed)
        mass = float(self._a.sum())
        dual = _dot(self._a, self._f) + _dot(self._b, self._g)
        if self.reg_type == "kl":
            return dual + self.reg * (mass**2 - mass)
        return dual + self.reg * (_entropy(self._a) + _entropy(self._b) - mass)

    @cached_property
    def gap(self) -> float:
        """Primal minus dual value of these potentials: a bound on what `value` is above the optimum.

        The plan must be feasible for that: up to `marginal_error`.
        """
        r = self._relaxed or Relaxation.none(*self.shape)
        f, g = self._f, self._g
        if not r.product:
            f, g = _plus_log(f, self._a, self.reg), _plus_log(g, self._b, self.reg)
        return self._primal(r) - r.dual(self._stats, self._a, self._b, f, g, self.reg)

    def _primal(self, r: Relaxation) -> float:
        entropy = r.entropy(self._stats, self._a, self._b)
        return self._stats.linear + self.reg * entropy + r.penalties(self._stats, self._a, self._b)

    @property
    def value_linear(self) -> float:
        return self._stats.linear

    @property
    def marginal_a(self) -> Array:
        return self._out(self._stats.rows)

    @property
    def marginal_b(self) -> Array:
        return self._out(self._stats.columns)

    @cached_property
    def _stats(self) -> Stats:
        return self._geometry.stats(self.reg, self._u, self._v, threads=self._threads)

    # Log-scalings: P_ij = exp(u_i + v_j - C_ij/reg).

    @cached_property
    def _u(self) -> Vector:
        return _log_scaling(self._f, self._a, self.reg)

    @cached_property
    def _v(self) -> Vector:
        return _log_scaling(self._g, self._b, self.reg)

    @cached_property
    def _u_conditional(self) -> Vector:
        """Log-scalings for rows up to a factor, so that rows of weight 0 have a distribution too."""
        return _log_scaling(self._f, np.where(self._a > 0, self._a, np.isfinite(self._f)), self.reg)

    @cached_property
    def _v_conditional(self) -> Vector:
        return _log_scaling(self._g, np.where(self._b > 0, self._b, np.isfinite(self._g)), self.reg)

    @property
    def _threads(self) -> int:
        return _threads.resolve(self.n_jobs)

    def _out(self, x: NDArray[Any]) -> Array:
        return _array.wrap(x.astype(self._geometry.dtype), self._kind)

    # -- the plan as an operator --------------------------------------------------------------------------

    def apply(self, V: Array) -> Array:
        """``P @ V`` in one pass over the pairs.

        Parameters
        ----------
        V : array of shape (m,) or (m, k)

        Returns
        -------
        array of shape (n,) or (n, k)
            Accumulated in float64; float32 if both the cost and `V` are.
        """
        return self._apply(V, transpose=False)

    def apply_T(self, U: Array) -> Array:
        """``P.T @ U`` in one pass over the pairs.

        Parameters
        ----------
        U : array of shape (n,) or (n, k)

        Returns
        -------
        array of shape (m,) or (m, k)
            Accumulated in float64; float32 if both the cost and `U` are.
        """
        return self._apply(U, transpose=True)

    def _apply(self, x: Array, *, transpose: bool) -> Array:
        block = _Block(x, self.shape[0 if transpose else 1], "U" if transpose else "V", self._geometry)
        return block.like(
            self._geometry.apply(
                self.reg, self._u, self._v, block.values, transpose=transpose, threads=self._threads
            )
        )

    @property
    def operator(self) -> LinearOperator:
        from scipy.sparse.linalg import LinearOperator

        return LinearOperator(
            dtype=self._geometry.dtype,
            shape=self.shape,
            matvec=self.apply,
            rmatvec=self.apply_T,
            matmat=self.apply,
            rmatmat=self.apply_T,
        )

    def normal_operator(self, w: Array | None = None) -> LinearOperator:
        """``P.T @ diag(w) @ P`` as an operator; one pass over the pairs for each application.

        Parameters
        ----------
        w : array of shape (n,), optional
            Weights of the rows; None: all 1.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator of shape (m, m)
        """
        from scipy.sparse.linalg import LinearOperator

        n, m = self.shape
        weights = np.ones(n) if w is None else _validate.check_vector(w, n, "w")

        def apply(x: Array) -> Array:
            block = _Block(x, m, "V", self._geometry)
            return block.like(
                self._geometry.normal(
                    self.reg, self._u, self._v, weights, block.values, threads=self._threads
                )
            )

        return LinearOperator(
            dtype=self._geometry.dtype, shape=(m, m), matvec=apply, rmatvec=apply, matmat=apply, rmatmat=apply
        )

    # -- entries of the plan ------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Array:
        return self._make_plan()

    def _make_plan(self) -> Array:
        n, m = self.shape
        self._check_bytes(
            n * m * self._geometry.dtype.itemsize, f"the plan ({n} x {m} {self._geometry.dtype})"
        )
        rows = m if self._geometry.swapped else n
        plan = self._geometry.plan(self.reg, self._u, self._v, 0, rows, threads=self._threads)
        return _array.wrap(plan.T if self._geometry.swapped else plan, self._kind)

    def _check_bytes(self, size: int, what: str) -> None:
        if size > self.max_plan_bytes:
            raise MemoryError(
                f"{what} takes {_size(size)}, above max_plan_bytes = {_size(self.max_plan_bytes)}; use "
                "operator, apply or sparse_plan, or raise max_plan_bytes"
            )

    def sparse_plan(self, threshold: float | None = None, k: int | None = None) -> csr_array:
        """The large entries of the plan; everything else is left out.

        Parameters
        ----------
        threshold : float, optional
            Keep the entries above this, at least 0. Takes one pass over the pairs in blocks.
        k : int, optional
            Keep the k largest entries of each row, at most 64 (the first ones of equal entries). Entries
            that are exactly 0 are not stored. Exactly one of `threshold` and `k` must be given.

        Returns
        -------
        scipy.sparse.csr_array of shape (n, m)
            In the float type of the cost, column indices sorted.

        Raises
        ------
        ValueError
            Neither or both were given, or the one that was is out of range.
        MemoryError
            More entries pass the threshold than fit into `max_plan_bytes`.
        """
        if (threshold is None) == (k is None):
            raise ValueError("give exactly one of threshold and k")
        if threshold is not None:
            return self._above(_validate.check_positive(threshold, "threshold", zero=True))
        from scipy.sparse import csr_array

        n, m = self.shape
        count = _validate.check_integer(k, "k", 1, min(m, TOP_MOST))
        index, value = self._geometry.top(self.reg, self._u, self._v, count, threads=self._threads)
        row = np.repeat(np.arange(n), count).reshape(n, count)
        keep = (value > 0) & (index >= 0)
        entries = value[keep].astype(self._geometry.dtype)
        plan = csr_array((entries, (row[keep], index[keep])), shape=(n, m))
        plan.sort_indices()
        return plan

    def _above(self, threshold: float) -> csr_array:
        from scipy.sparse import csr_array

        dtype = self._geometry.dtype
        shape = self.shape[::-1] if self._geometry.swapped else self.shape
        rows, columns, entries = [], [], []
        size, step = 0, max(1, BLOCK_ENTRIES // shape[1])
        for start in range(0, shape[0], step):
            stop = min(start + step, shape[0])
            block = self._geometry.plan(self.reg, self._u, self._v, start, stop, threads=self._threads)
            i, j = np.nonzero(block > threshold)
            size += i.size * (dtype.itemsize + 8)
            self._check_bytes(size, f"the part of the plan above {threshold:g}")
            rows.append((i + start).astype(np.int32 if shape[0] < 2**31 else np.int64))
            columns.append(j.astype(np.int32 if shape[1] < 2**31 else np.int64))
            entries.append(block[i, j])
        row, column = np.concatenate(rows), np.concatenate(columns)
        index = (column, row) if self._geometry.swapped else (row, column)
        plan = csr_array((np.concatenate(entries), index), shape=self.shape)
        plan.sort_indices()
        return plan

    def argmax(self, axis: int = 1) -> Array:
        """The partner that gets the most mass.

        Parameters
        ----------
        axis : {1, 0}
            1: for each row the column; 0: for each column the row. The first one of equal entries.

        Returns
        -------
        int64 array of shape (n,) or (m,)
            Points of weight 0 get the partner that they would have; -1 if every pair of theirs is forbidden.
        """
        if axis not in (0, 1):
            raise ValueError(f"axis must be 0 or 1, got {axis!r}")
        transpose = axis == 0
        u = self._u if transpose else self._u_conditional
        v = self._v_conditional if transpose else self._v
        index, _ = self._geometry.argmax(self.reg, u, v, transpose=transpose, threads=self._threads)
        index[np.isneginf(v if transpose else u)] = -1
        return _array.wrap(index, self._kind)

    def sample(self, n: int | None = None, random_state: int | None = 0) -> tuple[Array, Array]:
        """Draw pairs of points from the plan, as for flow matching; never stores the plan.

        Parameters
        ----------
        n : int, optional
            Number of pairs, drawn with probability ``P_ij / sum(P)``. None: a partner for each row, drawn
            with probability ``P_ij / sum_j P_ij``.
        random_state : int, numpy generator or None
            The result has the same bits for any number of threads.

        Returns
        -------
        rows, columns : int64 arrays of shape (n,)
            ``X[rows]`` goes to ``Y[columns]``. Without `n` the rows are 0, 1, ...; those whose pairs are
            all forbidden have the column -1.

        References
        ----------
        A. Tong, K. Fatras, N. Malkin, G. Huguet, Y. Zhang, J. Rector-Brooks, G. Wolf, Y. Bengio, "Improving
        and generalizing flow-based generative models with minibatch optimal transport", 2024.
        """
        generator = np.random.default_rng(_validate.check_seed(random_state))
        if n is None:
            rows = np.arange(self.shape[0])
            u = self._u_conditional
        else:
            count = _validate.check_integer(n, "n", 1)
            upto = np.cumsum(np.maximum(self._stats.rows, 0))
            if not upto[-1] > 0:
                raise ValueError("the plan has no mass to draw from")
            found = np.searchsorted(upto, generator.random(count) * upto[-1], side="right")
            rows = np.minimum(found, np.flatnonzero(np.diff(upto, prepend=0.0))[-1])
            u = self._u
        columns = self._geometry.sample(
            self.reg, u, self._v, rows.astype(np.int64), generator.random(rows.size), threads=self._threads
        )
        return _array.wrap(rows.astype(np.int64), self._kind), _array.wrap(columns, self._kind)

    # -- maps between the sides ---------------------------------------------------------------------------

    def barycentric_projection(self, Y: Array | None = None) -> Array:
        """For each row the mean of the points that its mass goes to: ``(P @ Y) / (P @ 1)``.

        Parameters
        ----------
        Y : array of shape (m, k) or (m,), optional
            What to average; None: the points of the second side (not for a result of `solve`, which has
            none).

        Returns
        -------
        array of shape (n, k) or (n,)
            Rows of weight 0 are projected too; NaN if every pair of theirs is forbidden.
        """
        if Y is None:
            if self._geometry.y is None:
                raise ValueError("a result of solve(C) has no points of its own; pass Y, of shape (m, k)")
            Y = _array.wrap(self._geometry.y, self._kind)
        block = _Block(Y, self.shape[1], "Y", self._geometry)
        # The column of ones has the sums that divide: the rows then average to rounding, converged or not.
        values = np.column_stack([block.values, np.ones(self.shape[1])])
        out = self._geometry.apply(self.reg, self._u_conditional, self._v, values, threads=self._threads)
        with np.errstate(invalid="ignore"):
            return block.like(out[:, :-1] / out[:, -1:])

    def extend_f(self, X_new: Array) -> Array:
        """Potential of new points of the first side: ``-ε log Σ_j b_j exp((g_j - c(x, y_j))/ε)``.

        Parameters
        ----------
        X_new : array of shape (r, d)
            New points; for a result of `solve` their costs to the m columns, of shape (r, m).

        Returns
        -------
        array of shape (r,)
            In units of the cost. At the points of the solve it is f up to the marginal error.
        """
        return self._out(self._f_at(self._new_rows(X_new, "X_new")))

    def extend_g(self, Y_new: Array) -> Array:
        """Potential of new points of the second side; see `extend_f`.

        Parameters
        ----------
        Y_new : array of shape (r, d)
            New points; for a result of `solve` the costs of the n rows to them, of shape (n, r).

        Returns
        -------
        array of shape (r,)
            In units of the cost.
        """
        return self._out(self._g_at(self._new_columns(Y_new, "Y_new")))

    def entropic_map(self, X_new: Array) -> Array:
        """Image of new points under the entropic map: the mean of the second side given each point.

        ``T(x) = Σ_j w_j(x) y_j`` with ``w(x) = softmax_j(log b_j + (g_j - c(x, y_j))/ε)``. At the points of
        the solve it equals `barycentric_projection`.

        Parameters
        ----------
        X_new : array of shape (r, d)
            New points of the first side.

        Returns
        -------
        array of shape (r, d)

        References
        ----------
        A.-A. Pooladian, J. Niles-Weed, "Entropic estimation of optimal transport maps", 2021.
        """
        if self._geometry.y is None:
            raise ValueError("a result of solve(C) has no points to map to; use transition(C_new, Y)")
        return self.transition(X_new, _array.wrap(self._geometry.y, self._kind))

    def transition(self, X_new: Array, V: Array) -> Array:
        """Average `V` over the partners of new points: ``softmax_j(log b_j + (g_j - c(x, y_j))/ε) @ V``.

        Parameters
        ----------
        X_new : array of shape (r, d)
            New points of the first side; for a result of `solve` their costs to the m columns, of shape (r,
            m).
        V : array of shape (m,) or (m, k)
            What to average.

        Returns
        -------
        array of shape (r,) or (r, k)
            Accumulated in float64; float32 if both the cost and `V` are. NaN where every pair is forbidden.
        """
        part = self._new_rows(X_new, "X_new")
        block = _Block(V, self.shape[1], "V", self._geometry)
        f = self._f_at(part)
        u = _log_scaling(f, np.isfinite(f).astype(np.float64), self.reg)
        out = part.apply(self.reg, u, self._v, block.values, threads=self._threads)
        out[~np.isfinite(f)] = np.nan
        return block.like(out)

    def transition_T(self, Y_new: Array, U: Array) -> Array:
        """Average `U` over the partners of new points of the second side; see `transition`.

        Parameters
        ----------
        Y_new : array of shape (r, d)
            New points; for a result of `solve` the costs of the n rows to them, of shape (n, r).
        U : array of shape (n,) or (n, k)
            What to average.

        Returns
        -------
        array of shape (r,) or (r, k)
        """
        part = self._new_columns(Y_new, "Y_new")
        block = _Block(U, self.shape[0], "U", self._geometry)
        g = self._g_at(part)
        v = _log_scaling(g, np.isfinite(g).astype(np.float64), self.reg)
        out = part.apply(self.reg, self._u, v, block.values, transpose=True, threads=self._threads)
        out[~np.isfinite(g)] = np.nan
        return block.like(out)

    def _f_at(self, part: Geometry) -> Vector:
        return part.softmin(self.reg * self._v, self.reg, threads=self._threads)

    def _g_at(self, part: Geometry) -> Vector:
        return part.softmin(self.reg * self._u, self.reg, transpose=True, threads=self._threads)

    def _new_rows(self, x: Array, name: str) -> Geometry:
        own = self._geometry
        if own.y is not None:
            return _geometry.points(_cast(x, name, own), own.y, own.metric, names=(name, "Y"))
        part = _geometry.dense(_cast(x, name, own), name, threads=self._threads)
        if part.m != own.m:
            raise ValueError(
                f"{name} must have shape (r, {own.m}), costs to the {own.m} columns, got {(part.n, part.m)}"
            )
        return part

    def _new_columns(self, y: Array, name: str) -> Geometry:
        own = self._geometry
        if own.y is not None:
            return _geometry.points(own.x, _cast(y, name, own), own.metric, names=("X", name))
        part = _geometry.dense(_cast(y, name, own), name, threads=self._threads)
        if part.n != own.n:
            raise ValueError(
                f"{name} must have shape ({own.n}, r), costs of the {own.n} rows, got {(part.n, part.m)}"
            )
        return part

    def _potentials_for(self, geometry: Geometry) -> tuple[Vector, Vector]:
        """Start for another problem: these potentials, or their extension if the sizes differ."""
        if self.shape == (geometry.n, geometry.m):
            return self._f.copy(), self._g.copy()
        own = self._geometry
        if own.y is None or geometry.y is None or own.metric != geometry.metric:
            raise ValueError(
                f"init is the result of a problem of shape {self.shape} and this one has shape "
                f"{(geometry.n, geometry.m)}: it can be extended only between point clouds of one metric"
            )
        rows = self._new_rows(geometry.x, "X")
        columns = self._new_columns(geometry.y, "Y")
        return self._f_at(rows), self._g_at(columns)

    # -- derivatives --------------------------------------------------------------------------------------

    @property
    def grad_X(self) -> Array:
        """Gradient of `value` for the points of the first side, by the envelope theorem: shape (n, d).

        One pass over the pairs, as for `grad_Y`. Exact for the potentials of the solution; those of a run
        that stopped at `marginal_error` leave an error of that order.
        """
        return self._out(_gradients.envelope_points(self, y=False)[0])

    @property
    def grad_Y(self) -> Array:
        """Gradient of `value` for the points of the second side: shape (m, d)."""
        return self._out(_gradients.envelope_points(self, x=False)[1])

    @property
    def grad_C(self) -> Array:
        """Gradient of `value` for the cost: the plan."""
        return self.plan

    @property
    def grad_a(self) -> Array:
        """Gradient of `value` for the weights of the first side: shape (n,).

        Of a balanced problem the potential f (and a constant): only changes of the weights that keep both
        totals equal have a meaning there.
        """
        return self._out(_gradients.envelope_weights(self, 0))

    @property
    def grad_b(self) -> Array:
        """Gradient of `value` for the weights of the second side: shape (m,); see `grad_a`."""
        return self._out(_gradients.envelope_weights(self, 1))

    @property
    def grad_reg(self) -> float:
        """Derivative of `value` for ε: the entropy term."""
        return _gradients.envelope_reg(self)

    @property
    def grad_mass(self) -> float:
        """Derivative of `value` for the mass of a partial problem; 0 of any other."""
        return self._relaxed.shift if self._relaxed is not None else 0.0

    def vjp(
        self,
        G: Array | None = None,
        *,
        potentials: tuple[Array | None, Array | None] | None = None,
        apply: tuple[Array, Array] | None = None,
        apply_T: tuple[Array, Array] | None = None,
        projection: Array | tuple[Array, Array] | None = None,
        value_linear: float | None = None,
        tol: float | None = None,
        max_iter: int = 1000,
    ) -> OTGradients:
        r"""Gradients of a function of the solution for all that the solution was made from.

        By implicit differentiation of the equations of the marginals (also of unbalanced and partial
        problems), not through the iterations. It takes one linear system, solved by conjugate gradients with
        one pass over the pairs an iteration, and no array of size n m unless `G` is one. The function L is
        given by its derivatives; what is given together is added up.

        Parameters
        ----------
        G : array of shape (n, m), optional
            ∂L/∂P.
        potentials : (qf, qg), optional
            ∂L/∂f and ∂L/∂g, of shapes (n,) and (m,), for `potentials` as they are returned; either may be
            None.
        apply : (V, W), optional
            ∂L/∂(P V) = W, with V of shape (m, k) or (m,) and W of shape (n, k) or (n,).
        apply_T : (U, W), optional
            ∂L/∂(Pᵀ U) = W, with U of shape (n, k) or (n,) and W of shape (m, k) or (m,).
        projection : W or (Y, W), optional
            ∂L/∂T = W for ``T = barycentric_projection()``, or ``barycentric_projection(Y)``.
        value_linear : float, optional
            ∂L/∂⟨C, P⟩.
        tol : float, optional
            Residual of the linear system at which to stop, relative to its right side. Default 1e-6; 1e-4 in
            float32.
        max_iter : int
            Largest number of iterations.

        Returns
        -------
        OTGradients
            For the points, the cost, the weights and ε, with the residual.

        Raises
        ------
        ValueError, TypeError
            An argument is not as described; potentials of a problem that does not determine them.

        Warns
        -----
        ConvergenceWarning
            The residual did not reach `tol`.

        Notes
        -----
        The answer is the derivative at the exact solution up to the order of ``marginal_error`` and of the
        residual. With r and c the marginals, :math:`G' = P \circ G`, :math:`q_1 = G' 1`, :math:`q_2 = G'^\top
        1`, a balanced problem has :math:`S w = q_2 - P^\top (q_1 / r)` with :math:`S = \mathrm{diag}(c) -
        P^\top \mathrm{diag}(1/r) P`, :math:`u = (q_1 - P w)/r`, and :math:`\partial L/\partial C = -(G' - P
        \circ (u 1^\top + 1 w^\top))/\varepsilon`, :math:`\partial L/\partial a = u`, :math:`\partial
        L/\partial b = w`. Penalties add to the diagonals; points whose potential is at a bound leave the
        system.

        References
        ----------
        M. Eisenberger, A. Toker, L. Leal-Taixé, F. Bernard, D. Cremers, "A unified framework for implicit
        Sinkhorn differentiation", 2022.

        Examples
        --------
        >>> import numpy as np
        >>> from lapwing import ot
        >>> C = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> result = ot.solve(C, reg=1.0)
        >>> G = np.array([[1.0, 0.0], [0.0, 0.0]])  # L = P[0, 0]
        >>> np.round(result.vjp(G).C, 6)
        array([[-0.049153,  0.049153],
               [ 0.049153, -0.049153]])
        """
        return _gradients.vjp(self, G, potentials, apply, apply_T, projection, value_linear, tol, max_iter)

    # -- singular vectors ---------------------------------------------------------------------------------

    def singular_triplets(
        self,
        k: int,
        *,
        block: int | None = None,
        tol: float | None = None,
        max_apply: int = 300,
        random_state: int | None = 0,
        callback: Callback | None = None,
    ) -> SingularTriplets:
        """Leading singular triplets of ``W = diag(a)^-1/2 P diag(b)^-1/2``, without the first.

        The first pair of W is known: singular value 1 with vectors √a and √b (of unit length). It is
        projected out, and the next k are found by a block method that needs only products with the plan.
        Small problems are solved by LAPACK unless `block` is given.

        Parameters
        ----------
        k : int
            Number of triplets, at most min(n, m) - 1 (counting points of positive weight).
        block : int, optional
            Number of vectors in a block, at least k; None: ``min(k + 8, 32)``, but at least k.
        tol : float, optional
            Largest residual of a triplet, relative to the largest singular value found. Default 1e-6; 1e-4
            for float32.
        max_apply : int
            Largest number of products of W and its transpose with a block.
        random_state : int, numpy generator or None
            Seed of the start block.
        callback : callable, optional
            Called with the progress after each product; returning True stops.

        Returns
        -------
        SingularTriplets
            (U, s, V, residuals) in float64. Rows of points of weight 0 are 0. Signs are arbitrary but
            reproducible.

        Raises
        ------
        ValueError
            `k` is larger than the rank permits, or another number is out of range.

        Warns
        -----
        ConvergenceWarning
            A residual is above `tol`.
        """
        rank = min(int(np.count_nonzero(self._a)), int(np.count_nonzero(self._b))) - 1
        if rank < 1:
            raise ValueError(
                "the plan has one point of positive weight on a side: it has no further singular vectors"
            )
        count = _validate.check_integer(k, "k", 1, rank)
        given = block is not None
        block = (
            _validate.check_integer(block, "block", count, rank)
            if given
            else min(max(min(count + 8, 32), count), rank)
        )
        tol = (1e-4 if self._geometry.dtype == np.float32 else 1e-6) if tol is None else (
            _validate.check_positive(tol, "tol")
        )  # fmt: skip
        limit = _validate.check_integer(max_apply, "max_apply", 1)
        seed = _validate.check_seed(random_state)

        half_a, half_b = np.sqrt(self._a), np.sqrt(self._b)
        u = _log_scaling(self._f, half_a, self.reg)
        v = _log_scaling(self._g, half_b, self.reg)
        left, right = half_a / np.linalg.norm(half_a), half_b / np.linalg.norm(half_b)
        with Progress(callback, unit=" products", reg=self.reg) as progress:
            n, m = self.shape
            if not given and (n * m <= DENSE_ENTRIES or (rank < 3 * block and n * m <= 64 * DENSE_ENTRIES)):
                triplets, converged = self._dense_triplets(u, v, left, right, count), True
            else:
                *found, _, converged = self._geometry.svds(
                    self.reg, u, v, left, right, count, block, tol, limit, seed,
                    threads=self._threads, hook=progress.hook,
                )  # fmt: skip
                triplets = found
        if not converged:
            from lapwing.exceptions import ConvergenceWarning

            warnings.warn(
                f"singular triplets: largest residual {np.max(triplets[3]):.2e} is above tol = {tol:g} "
                f"after at most {limit} products",
                ConvergenceWarning,
                stacklevel=_caller.level(),
            )
        return SingularTriplets(*(_array.wrap(np.ascontiguousarray(x), self._kind) for x in triplets))

    def _dense_triplets(self, u: Vector, v: Vector, left: Vector, right: Vector, k: int) -> list[Any]:
        from scipy.linalg import svd
        from threadpoolctl import threadpool_limits

        geometry = self._geometry
        rows = geometry.m if geometry.swapped else geometry.n
        W = geometry.plan(self.reg, u, v, 0, rows, threads=self._threads).astype(np.float64)
        W = (W.T if geometry.swapped else W)[np.ix_(self._a > 0, self._b > 0)]
        left, right = left[self._a > 0], right[self._b > 0]
        # Not just W - left right^T: the plan of unconverged potentials misses its marginals.
        W = W - np.outer(left, left @ W)
        W = W - np.outer(W @ right, right)
        with threadpool_limits(1, user_api="blas"):  # the same bits whatever the number of threads
            U, s, Vt = svd(W, full_matrices=False)
            U, s, V = U[:, :k], s[:k], Vt[:k].T
            residuals = np.maximum(
                np.linalg.norm(W @ V - U * s, axis=0), np.linalg.norm(W.T @ U - V * s, axis=0)
            )
        whole_u, whole_v = np.zeros((geometry.n, k)), np.zeros((geometry.m, k))
        whole_u[self._a > 0], whole_v[self._b > 0] = U, V
        return [whole_u, s, whole_v, residuals]


class _Block:
    """One vector or a block of columns, and how to give the answer back."""

    def __init__(self, x: Array, size: int, name: str, geometry: Geometry) -> None:
        array = _array.real(x, name)
        if array.ndim not in (1, 2) or array.shape[0] != size:
            raise ValueError(f"{name} must have shape ({size},) or ({size}, k), got {array.shape}")
        self._vector = array.ndim == 1
        self._dtype = np.result_type(array.dtype, geometry.dtype)
        self._kind = _array.kind_of(x)
        columns = array[:, None] if self._vector else array
        self.values: Vector = np.ascontiguousarray(columns, dtype=np.float64)

    def like(self, out: Vector) -> Array:
        out = out[:, 0] if self._vector else out
        return _array.wrap(np.ascontiguousarray(out, dtype=self._dtype), self._kind)


def _cast(x: Array, name: str, geometry: Geometry) -> NDArray[Any]:
    """New points join the float type of the solve."""
    return _validate.check_matrix(x, name).astype(geometry.dtype, copy=False)


def _log_scaling(potential: Vector, weight: NDArray[Any], reg: float) -> Vector:
    out = np.full(potential.shape, -np.inf)
    positive = (weight > 0) & np.isfinite(potential)  # infinite: every pair is forbidden
    out[positive] = potential[positive] / reg + np.log(weight[positive])
    return out


def _log(weight: Vector) -> Vector:
    out = np.full(weight.shape, -np.inf)
    np.log(weight, out=out, where=weight > 0)
    return out


def _plus_log(potential: Vector, weight: Vector, reg: float) -> Vector:
    positive = weight > 0
    out: Vector = potential.copy()
    out[positive] += reg * np.log(weight[positive])
    return out


def _entropy(weight: Vector) -> float:
    return _dot(weight, _log(weight))


def _dot(weights: Vector, potential: Vector) -> float:
    positive = weights > 0  # a potential may be infinite where the weight is 0
    return float(weights[positive] @ potential[positive])


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
