"""The steps of EOT eigenmaps as functions of arrays.

Symbols follow the paper: ``P`` is the plan between the rows of X (weights a, length m) and of Y (weights b,
length n), ``W = diag(a)^-1/2 P diag(b)^-1/2`` its normalised form, ``sigma_k, u_k, v_k`` the singular
triplets of W; the first is always ``1, sqrt(a), sqrt(b)``, and "non-trivial" means all others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lapwing import _caller, ot
from lapwing.exceptions import DisconnectedSimilarityWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32] | NDArray[np.float64]
    Float64 = NDArray[np.float64]

__all__ = [
    "Triplets",
    "center",
    "count_components",
    "density",
    "density_bandwidth_lepski",
    "density_bandwidth_neighbors",
    "density_weights",
    "drop_and_warn",
    "extend",
    "gaussian_density",
    "median_bandwidth",
    "mutual_neighbor_bandwidth",
    "orient",
    "project",
    "row_space",
    "singular_triplets",
    "smallest_usable",
    "triplets_until",
    "varying_columns",
]

#: A plan that is small enough for a dense singular value decomposition. At 1,000 x 1,000 and 15 components
#: that takes 4 times as long as the block method (0.7 and 0.2 s), at 2,000 x 2,000 already 9 times (6.6 and
#: 0.7 s).
DENSE_SIDE = 1000
DENSE_SIZE = 2**24
#: Leading singular values that the rules "reference" and "gap" look at, the trivial one included.
RULE_VALUES = 80


class Triplets(NamedTuple):
    """Non-trivial singular triplets of the normalised plan, in decreasing order."""

    left: Float64  # (m, k), orthonormal columns
    values: Float64  # (k,)
    right: Float64  # (n, k), orthonormal columns
    residuals: Float64  # (k,), max(|W v - sigma u|, |W' u - sigma v|)
    converged: bool


# --- preparation ----------------------------------------------------------------------------------


def center(X: Floats) -> tuple[Floats, Floats]:
    """Return the column means of X, in its own dtype, and X less them."""
    # The mean is rounded to the dtype of X before it is subtracted: any common translation of the rows
    # leaves the plan unchanged, so only the consistency between fit and transform matters.
    mean = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    return mean, X - mean


def varying_columns(X: Floats, Y: Floats) -> NDArray[np.bool_]:
    """Columns in which some row of X or of Y differs from 0 (constant columns are 0 after centring)."""
    varying = np.zeros(X.shape[1], dtype=bool)
    for Z in (X, Y):
        for lo in range(0, len(Z), 4096):
            varying |= (Z[lo : lo + 4096] != 0).any(axis=0)
    return varying


def _row_factor(X: Floats, Y: Floats) -> Float64:
    """The factor R of a QR decomposition of the stacked rows, one block of rows after the other."""
    from scipy.linalg import qr

    p = X.shape[1]
    R = np.zeros((0, p))
    for Z in (X, Y):
        for lo in range(0, len(Z), 4096):
            stacked = np.vstack([R, Z[lo : lo + 4096]])
            R = qr(stacked, mode="r", check_finite=False)[0][: min(stacked.shape[0], p)]
    return np.asarray(R, dtype=np.float64)


def row_space(X: Floats, Y: Floats, tol: float) -> Float64 | None:
    """An orthonormal basis (p, d) of a space that holds all rows of X and Y, where that shortens them.

    Rows times basis have the distances of the rows: the part of a row outside the space is shorter than
    `tol` times the median row. Returns None where it would not pay: up to 256 columns, or less than a fifth
    of them saved.
    """
    from scipy.linalg import qr
    from threadpoolctl import threadpool_limits

    rows, p = len(X) + len(Y), X.shape[1]
    with threadpool_limits(1, user_api="blas"):
        if p > rows:  # the rows span at most as many dimensions as there are rows
            stacked = np.vstack([X, Y]).astype(np.float64, copy=False)
            return np.asarray(qr(stacked.T, mode="economic", check_finite=False)[0], dtype=np.float64)
        # Finding the rank costs about rows * p^2, each of the sweeps that follow m * n * p.
        if p <= 256 or rows * p > len(X) * len(Y):
            return None
        # Pivoted QR of R' orders the directions; what is left after d of them bounds the rest of every row.
        basis, rest, _ = qr(_row_factor(X, Y).T, mode="economic", pivoting=True, check_finite=False)
        squares = np.concatenate([np.einsum("ij,ij->i", Z, Z, dtype=np.float64) for Z in (X, Y)])
        left = np.cumsum((rest**2).sum(axis=1)[::-1])[::-1]  # left[d]: all directions from d on
        d = max(1, int(np.count_nonzero(left > tol**2 * np.median(squares))))
        return np.ascontiguousarray(basis[:, :d]) if d <= 0.8 * p else None


def project(X: Floats, basis: Float64) -> Floats:
    """Rows times basis, in float64, rounded to the dtype of X."""
    from threadpoolctl import threadpool_limits

    out = np.empty((len(X), basis.shape[1]), dtype=X.dtype)
    with threadpool_limits(1, user_api="blas"):
        for lo in range(0, len(X), 4096):
            out[lo : lo + 4096] = X[lo : lo + 4096].astype(np.float64, copy=False) @ basis
    return out


# --- bandwidth ------------------------------------------------------------------------------------


def median_bandwidth(X: Floats, Y: Floats, *, seed: int, n_jobs: int | None) -> float:
    """The squared median of the distances between rows of X and rows of Y.

    Exact up to 2^26 pairs, above from 2^22 random ones (relative error about 0.1 %).
    """
    median = ot.cost_quantile(X, Y, 0.5, metric="euclidean", random_state=seed, n_jobs=n_jobs)
    return float(median) ** 2


def _mutual_pairs(plan: Any, transposed: Any, k: int) -> int:
    """Number of pairs (i, j) with j among the k largest of row i and i among the k largest of column j."""
    rows, columns = (p.sparse_plan(k=k).astype(bool).astype(np.int64) for p in (plan, transposed))
    return int(rows.multiply(columns.T).sum())


def mutual_neighbor_bandwidth(
    solve: Callable[[float], tuple[Any, Any]],
    unit: float,
    k: int,
    *,
    low: float,
    high: float,
    evaluations: int,
    width: float,
) -> float:
    """The bandwidth whose plan has most mutual k-nearest pairs, by golden-section search.

    Parameters
    ----------
    solve : callable
        From a bandwidth to the plan and its transpose.
    unit : float
        What `low`, `high` and `width` are multiples of.
    k : int
        Size of a neighbourhood.
    low, high : float
        Range of the search.
    evaluations : int
        Most plans that are computed.
    width : float
        The search ends when its interval is shorter.
    """
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    seen: dict[float, int] = {}

    def count(x: float) -> int:
        if x not in seen:
            seen[x] = _mutual_pairs(*solve(x * unit), k)
        return seen[x]

    left, right = high - golden * (high - low), low + golden * (high - low)
    while high - low >= width and len(seen) < evaluations:
        if count(left) >= count(right):
            high, right = right, left
            left = high - golden * (high - low)
        else:
            low, left = left, right
            right = low + golden * (high - low)
    # The smallest of the best: the sharper plan where the counts do not tell.
    return float(unit * min(x for x in seen if seen[x] == max(seen.values())))


# --- density --------------------------------------------------------------------------------------


def _squared_distances(A: Float64, B: Float64) -> Float64:
    D = np.einsum("ij,ij->i", A, A)[:, None] + np.einsum("ij,ij->i", B, B)[None] - 2.0 * (A @ B.T)
    return np.asarray(np.maximum(D, 0.0, out=D))


def gaussian_density(X: Floats, h: float) -> Float64:
    """Leave-one-out kernel density of the rows of X, divided by its mean.

    ``q_i = (1/(m-1)) sum_{j != i} exp(-|x_i - x_j|^2 / h)``; returns ``q / mean(q)``.
    """
    from threadpoolctl import threadpool_limits

    Z = np.asarray(X, dtype=np.float64)
    m = len(Z)
    q = np.empty(m)
    step = max(1, 2**22 // m)
    with threadpool_limits(1, user_api="blas"):
        for lo in range(0, m, step):
            block = np.exp(_squared_distances(Z[lo : lo + step], Z) / -h)
            rows = np.arange(len(block))
            block[rows, lo + rows] = 0.0
            q[lo : lo + step] = block.sum(axis=1) / (m - 1)
    mean = q.mean()
    if mean == 0.0:
        raise ValueError(f"density_bandwidth {h:g} is too small: the estimated density is 0 at every sample")
    return np.asarray(q / mean)


def density_bandwidth_neighbors(X: Floats, neighbor: int, n_jobs: int | None) -> float:
    """Twice the squared median distance to the `neighbor`-th nearest other row."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(neighbor, len(X) - 1), n_jobs=n_jobs).fit(X)
    return float(2.0 * np.median(index.kneighbors()[0][:, -1]) ** 2)


def density_bandwidth_lepski(
    X: Floats, *, seed: int, n_bandwidths: int, n_bootstrap: int, max_samples: int, level: float
) -> float:
    """Largest kernel bandwidth whose bias does not stand out of the bootstrap noise (Lepski's rule).

    On at most `max_samples` random rows. The candidates are ``h = 2 s^2`` with s geometric from 1e-2 to 1
    times the root-mean-square distance of the rows to their mean. h_j is accepted when for every h_i < h_j
    the summed change ``sum_p |f_j(p) - f_i(p)|`` of the normalised density is at most the sum of its
    bootstrap `level` quantiles.
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    Z = np.asarray(X, dtype=np.float64)
    if len(Z) > max_samples:
        Z = Z[np.sort(rng.choice(len(Z), max_samples, replace=False))]
    m = len(Z)
    Z = Z - Z.mean(axis=0)
    scale = float(np.mean(np.einsum("ij,ij->i", Z, Z)))
    if scale == 0.0:
        raise ValueError("density_bandwidth='lepski' needs samples that are not all equal")
    grid = 2.0 * scale * np.geomspace(1e-2, 1.0, n_bandwidths) ** 2
    # How often each row occurs in each bootstrap resample, as columns; the first column is the data itself.
    draws = rng.multinomial(m, np.full(m, 1.0 / m), size=n_bootstrap)
    counts = np.column_stack([np.ones(m), draws.T])
    with threadpool_limits(1, user_api="blas"):
        D = _squared_distances(Z, Z)
        np.fill_diagonal(D, np.inf)
        usable = []
        for h in grid:
            q = np.exp(D / -h) @ counts / (m - 1)
            mean = q[:, 0].mean()
            if mean > 0.0:
                usable.append((float(h), q / mean))
    if not usable:
        raise ValueError("density_bandwidth='lepski' found no usable bandwidth; pass a number")
    best = usable[0][0]
    for j, (h, f) in enumerate(usable):
        if all(_change_is_noise(sharper, f, level) for _, sharper in usable[:j]):
            best = h
    return best


def _change_is_noise(fi: Float64, fj: Float64, level: float) -> bool:
    change = fj - fi
    noise = np.sort(np.abs(change[:, 1:] - change[:, :1]), axis=1)
    # The smallest order statistic that at least `level` of the resamples do not exceed.
    rank = int(np.ceil(level * noise.shape[1])) - 1
    return bool(np.abs(change[:, 0]).sum() <= noise[:, rank].sum())


def density(X: Floats, rule: str | float, *, seed: int, n_jobs: int | None) -> Float64:
    """Estimated sampling density at the rows of X, up to a factor."""
    if rule == "lepski":
        h = density_bandwidth_lepski(
            X, seed=seed, n_bandwidths=50, n_bootstrap=20, max_samples=2000, level=0.95
        )
    elif rule == "neighbors":
        h = density_bandwidth_neighbors(X, 10, n_jobs)
        if h == 0.0:
            raise ValueError("density_bandwidth='neighbors' is 0: too many samples are equal; pass a number")
    else:
        h = float(rule)
    return gaussian_density(X, h)


def density_weights(f: Float64, theta: float, name: str) -> Float64:
    """Weights proportional to ``f^-theta``, of sum 1, so that dense regions do not count more."""
    floor = 1e-6 * float(f.mean())
    isolated = int(np.count_nonzero(f < floor))
    if isolated:
        warnings.warn(
            f"the estimated density is next to 0 at {isolated} of the {len(f)} samples of {name}; it is "
            "raised to 1e-6 of its mean there, so that they do not take all the mass. A larger "
            "density_bandwidth avoids this.",
            UserWarning,
            stacklevel=_caller.level(),
        )
    weights = np.maximum(f, floor) ** -theta
    return np.asarray(weights / weights.sum())


# --- spectrum -------------------------------------------------------------------------------------


def _dense_triplets(plan: Any, weights: tuple[Float64, Float64], k: int) -> Triplets:
    from scipy.linalg import svd
    from threadpoolctl import threadpool_limits

    a, b = (np.sqrt(w) for w in weights)
    W = np.asarray(plan.plan, dtype=np.float64)
    W = W / a[:, None]
    W /= b
    with threadpool_limits(1, user_api="blas"):
        # The complement of the known pair: exact also for a plan whose scaling has not fully converged.
        W -= np.outer(a / (a @ a), a @ W)
        W -= np.outer(W @ b, b / (b @ b))
        left, values, right = svd(W, full_matrices=False, check_finite=False, lapack_driver="gesdd")
        left, values, right = left[:, :k], values[:k], right[:k].T
        residuals = np.maximum(
            np.linalg.norm(W @ right - left * values, axis=0),
            np.linalg.norm(W.T @ left - right * values, axis=0),
        )
    return Triplets(np.ascontiguousarray(left), values, np.ascontiguousarray(right), residuals, True)


def _block_triplets(
    plan: Any, k: int, *, block: int | None, tol: float, seed: int, callback: Callable[..., Any] | None
) -> Triplets:
    found = plan.singular_triplets(
        k, block=block, tol=tol, max_apply=300, random_state=seed, callback=callback
    )
    left, values, right, residuals = (np.asarray(z, dtype=np.float64) for z in found)
    return Triplets(left, values, right, residuals, bool(residuals.max() <= tol * values[0]))


def singular_triplets(
    plan: Any,
    weights: tuple[Float64, Float64],
    k: int,
    *,
    method: str,
    block: int | None,
    tol: float,
    seed: int,
    callback: Callable[..., Any] | None,
) -> Triplets:
    """The k leading non-trivial singular triplets of the plan normalised by its weights.

    `method` is "dense" (the plan in memory, LAPACK), "block" (matrix-free, until the residuals are at most
    `tol` times the leading value) or "auto": dense for at most 1,000 rows on the smaller side and 2^24
    pairs.
    """
    m, n = len(weights[0]), len(weights[1])
    if method == "auto":
        method = "dense" if min(m, n) <= DENSE_SIDE and m * n <= DENSE_SIZE else "block"
    if method == "dense":
        return _dense_triplets(plan, weights, k)
    return _block_triplets(plan, k, block=block, tol=tol, seed=seed, callback=callback)


def triplets_until(compute: Callable[[int], Triplets], share: float, most: int) -> Triplets:
    """All triplets with ``sigma_k >= share * sigma_2``; asks for twice as many until the last is smaller."""
    k = min(32, most)
    while True:
        triplets = compute(k)
        if k == most or triplets.values[-1] < share * triplets.values[0]:
            return triplets
        k = min(2 * k, most)


def smallest_usable(dtype: np.dtype[Any]) -> float:
    """Singular values below this are lost in the rounding of the plan."""
    return 1e-6 if dtype == np.float64 else 1e-5


def count_components(values: Float64, rule: int | float | str, floor: float) -> int:
    """Number of coordinates that a rule keeps, from the singular values (the trivial 1 first).

    "reference" is the rule of the authors' program, ``max{k: d_k / d_{k+1} > 1.02}``, trivial value
    counted; "gap" the place of the largest ratio between non-trivial neighbours of which the smaller
    exceeds `floor`; a float keeps all values of at least that share of the second.
    """
    if rule == "reference":
        with np.errstate(divide="ignore", invalid="ignore"):
            above = np.flatnonzero(values[:-1] > 1.02 * values[1:])
        if len(above) == 0:
            raise ValueError(
                "n_components='reference' finds no two neighbouring singular values that differ by more than "
                "2 %; pass a number"
            )
        return int(above[-1]) + 1
    if rule == "gap":
        usable = values[1:][values[1:] > floor]
        if len(usable) < 2:
            return 1
        return int(np.argmax(usable[:-1] / usable[1:])) + 1
    if isinstance(rule, float):
        return int(np.count_nonzero(values[1:] >= rule * values[1]))
    return int(rule)


def drop_and_warn(
    values: Float64, wanted: int, dtype: np.dtype[Any], bandwidth: float, converged: bool
) -> int:
    """How many of the `wanted` non-trivial values carry something; warns or raises if none or few do."""
    floor = smallest_usable(dtype)
    if values[0] < floor:
        raise ValueError(
            "nothing to embed: the plan is constant up to rounding (its second singular value is "
            f"{values[0]:.1e}); pass a bandwidth smaller than {bandwidth:g}"
        )
    if dtype == np.float32 and values[0] < 1e-4:
        warnings.warn(
            f"the second singular value of the plan is only {values[0]:.1e}, close to the rounding of "
            f"float32; use float64, or a bandwidth smaller than {bandwidth:g}",
            UserWarning,
            stacklevel=_caller.level(),
        )
    indicators = int(np.count_nonzero(values > 1.0 - 1e-8))
    if indicators and converged:  # an unconverged plan can have values above 1 without meaning anything by it
        warnings.warn(
            f"{indicators} non-trivial singular values of the plan are within 1e-8 of 1: at bandwidth "
            f"{bandwidth:g} the samples fall into groups that exchange no mass, and those coordinates only "
            "tell the groups apart; a larger bandwidth connects them",
            DisconnectedSimilarityWarning,
            stacklevel=_caller.level(),
        )
    left = int(np.count_nonzero(values[:wanted] >= floor))
    if left < wanted:
        warnings.warn(
            f"only {left} of the {wanted} components have a singular value above {floor:g}; the others are "
            "lost in rounding and were dropped",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return left


def orient(left: Float64, right: Float64) -> Float64:
    """One sign for each component: the entry of largest magnitude on the two sides becomes positive."""
    columns = np.arange(left.shape[1])
    best = np.stack([Z[np.argmax(np.abs(Z), axis=0), columns] for Z in (left, right)])
    return np.where(best[np.argmax(np.abs(best), axis=0), columns] < 0.0, -1.0, 1.0)


def extend(plan: Any, Z: Floats, other: Float64, values: Float64, time: float, side: str) -> Float64:
    """Coordinates of new rows of one side: ``sigma^(t-1) A(z, .) psi``.

    psi are the coordinates of the other side at t = 0, A the softmax that the plan gives a new row.
    """
    moved = plan.transition(Z, other) if side == "x" else plan.transition_T(Z, other)
    return np.asarray(np.asarray(moved, dtype=np.float64) * values ** (time - 1.0))
