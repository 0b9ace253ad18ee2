"""Progressive partial transport: pseudo-labels for clustering when clusters differ in size."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from lapwing import _array, _caller, _validate
from lapwing._array import Array
from lapwing._progress import Callback
from lapwing.ot._result import OTResult
from lapwing.ot._solve import solve

__all__ = ["PartialLabels", "mass_schedule", "progressive_partial"]


class PartialLabels(NamedTuple):
    """Soft labels of the points that were moved.

    Attributes
    ----------
    labels : array of shape (N, K)
        Row i sums to the share of point i that was labelled, between 0 and 1.
    result : OTResult
        The last solve, of shape (N, K + 1); its last column holds the mass that stays unlabelled.
    objective : float
        What was minimised, the semantic term included.
    converged : bool
    n_outer : int
        Solves; more than one only with `semantic`.
    """

    labels: Array
    result: OTResult
    objective: float
    converged: bool
    n_outer: int


def mass_schedule(progress: float, start: float = 0.1) -> float:
    """Share of the mass to label when `progress` (0 to 1) of the training is over.

    ``start + (1 - start) exp(-5 (1 - progress)²)``: few points at first, all at the end.

    Parameters
    ----------
    progress : float
        Between 0 and 1.
    start : float
        Above 0, at most 1.

    Returns
    -------
    float

    Examples
    --------
    >>> from lapwing import ot
    >>> ot.mass_schedule(1.0), round(ot.mass_schedule(0.0), 3)
    (1.0, 0.106)
    """
    t = _validate.check_number(progress, "progress")
    if not 0 <= t <= 1:
        raise ValueError(f"progress must be between 0 and 1, got {t:g}")
    first = _validate.check_positive(start, "start")
    if first > 1:
        raise ValueError(f"start must be at most 1, got {first:g}")
    return float(first + (1 - first) * np.exp(-5 * (1 - t) ** 2))


def progressive_partial(
    C: Array,
    rho: float,
    *,
    gamma: float = 1.0,
    reg: float = 0.1,
    prior: Array | None = None,
    semantic: Any = None,
    lam: float | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    max_outer: int = 100,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> PartialLabels:
    r"""Label the share `rho` of N points with K clusters, whose sizes need not be equal.

    Minimises :math:`\langle C, Q\rangle + \gamma\,\mathrm{KL}(Q^\top 1 \,\|\, \rho\pi) - \varepsilon H(Q)`
    over :math:`Q \ge 0` with :math:`Q 1 \le 1/N` and total mass :math:`\rho`, as one solve with a further
    column that takes the rest of the mass at no cost.

    Parameters
    ----------
    C : array of shape (N, K)
        Cost of a label, usually ``-log softmax(logits)``.
    rho : float
        Share of the mass that is labelled, above 0 and at most 1; see `mass_schedule`.
    gamma : float
        Penalty for missing the prior sizes, > 0.
    reg : float
        Regularisation ε > 0 (of ``Σ Q (log Q - 1)``).
    prior : array of shape (K,), optional
        Sizes of the clusters, at least 0; made to sum to 1. They belong to no particular column: the largest
        goes to the column that gets the most mass when there is no prior, and so on. None: equal sizes.
    semantic : array or sparse matrix of shape (N, N), optional
        Affinity S of the points, at least 0: the term ``-lam <S, Q Qᵀ>`` is added, by solving with the cost
        ``C - lam (S + Sᵀ) Q`` until the objective stays.
    lam : float, optional
        Weight of that term. None: ``1000 (1 - rho)``.
    tol : float
        For the relative change of the potentials, and of the objective with `semantic`.
    max_iter, max_outer : int
        Largest number of sweeps in a solve, and of solves.
    n_jobs, callback
        As for `solve`.

    Returns
    -------
    PartialLabels

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    ConvergenceWarning
        `max_iter` or `max_outer` was reached.

    References
    ----------
    C. Zhang, H. Ren, X. He, "P²OT: progressive partial optimal transport for deep imbalanced clustering",
    2024; "SP²OT: semantic-regularized progressive partial optimal transport for imbalanced clustering", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> logits = np.array([[4.0, 0.0], [3.0, 0.0], [0.0, 0.2], [0.0, 5.0]])
    >>> C = -np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    >>> Q = ot.progressive_partial(C, 0.5).labels
    >>> int(Q.sum(axis=1).argmin())  # the point that is least sure is labelled least
    2
    """
    kind = _array.kind_of(C)
    costs = _validate.check_points(C, "C")
    n, k = costs.shape
    share = _validate.check_positive(rho, "rho")
    if share > 1:
        raise ValueError(f"rho must be at most 1, got {share:g}")
    penalty = _validate.check_positive(gamma, "gamma")
    level = _validate.check_positive(reg, "reg")
    tolerance = _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_outer, "max_outer", 1)
    weight = 1000 * (1 - share) if lam is None else _validate.check_positive(lam, "lam", zero=True)
    S = None if semantic is None else _affinity(semantic, n)
    sizes = np.full(k, 1 / k)
    given = None if prior is None else _validate.check_weights(prior, k, "prior")

    def one(cost: Any, sizes: Any, start: OTResult | None) -> OTResult:
        a = np.full(n, 1 / n)
        b = np.append(share * sizes, 1 - share)
        return solve(
            np.column_stack([cost, np.zeros(n, dtype=cost.dtype)]), a, b, reg=level, reg_type="entropy",
            unbalanced=(None, np.append(np.full(k, penalty), np.inf)), tol=tolerance, max_iter=max_iter,
            init=start, n_jobs=n_jobs, callback=callback,
        )  # fmt: skip

    if given is not None and k > 1:
        mass = np.asarray(one(costs, sizes, None).marginal_b)[:k]
        sizes = np.empty(k)
        sizes[np.argsort(-mass, kind="stable")] = np.sort(given)[::-1] / given.sum()
    result = one(costs, sizes, None)
    if S is None or weight == 0:
        labels = np.asarray(result.plan)[:, :k] * n
        return PartialLabels(_array.wrap(labels, kind), result, result.value, result.converged, 1)
    Q = np.asarray(result.plan)[:, :k].astype(np.float64)
    objective = result.value - weight * float(np.sum(Q * (S @ Q)))
    outer, settled = 1, False
    while outer < most and not settled:
        linear = weight * ((S + S.T) @ Q)
        result = one((costs - linear).astype(costs.dtype), sizes, result)
        Q = np.asarray(result.plan)[:, :k].astype(np.float64)
        # the value holds <C - linear, Q>
        now = result.value + float(np.sum(linear * Q)) - weight * float(np.sum(Q * (S @ Q)))
        settled = abs(now - objective) <= tolerance * max(1.0, abs(now))
        objective = now
        outer += 1
    if not settled:
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(
            f"the objective of the semantic term still changes after max_outer = {most} solves",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return PartialLabels(
        _array.wrap(np.asarray(result.plan)[:, :k] * n, kind), result, objective,
        settled and result.converged, outer,
    )  # fmt: skip


def _affinity(semantic: Any, n: int) -> Any:
    """S as it is multiplied with: a float64 matrix, dense or sparse."""
    if hasattr(semantic, "tocsr"):
        S = semantic.tocsr().astype(np.float64)
        entries = S.data
    else:
        S = _validate.check_points(semantic, "semantic").astype(np.float64)
        entries = S
    if S.shape != (n, n):
        raise ValueError(f"semantic must have shape ({n}, {n}), got {S.shape}")
    if entries.size and not (np.isfinite(entries).all() and entries.min() >= 0):
        raise ValueError("semantic must be finite and not negative")
    return S
