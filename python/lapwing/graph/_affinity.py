"""From distances to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from lapwing import _backend, _validate
from lapwing.graph._knn import knn_graph
from lapwing.graph._matrices import RULES, _csr

__all__ = ["affinity", "bandwidth_bgh"]

KERNELS = ("binary", "gaussian", "selftuning", "adaptive", "alpha_decay", "umap", "cosine", "laplace")
DECAY = 40.0  # exponent of "alpha_decay"
DECAY_NEIGHBOR = 5
DECAY_CUT = 1e-4
EXPONENTS = np.arange(-40.0, 41.0)  # of 2, tried by bandwidth_bgh

Vector = NDArray[np.float64]


def affinity(
    graph_or_X: Any,
    kernel: str = "selftuning",
    *,
    bandwidth: str | float = "median",
    local_k: int = 7,
    symmetrize: str | None = None,
    alpha: float = 0.0,
    n_neighbors: int = 15,
    metric: str = "euclidean",
    n_jobs: int | None = None,
    random_state: int | None = 0,
) -> csr_array:
    """Symmetric weights from distances to neighbours.

    Parameters
    ----------
    graph_or_X : sparse matrix of shape (n, n), or array of shape (n, d)
        Distances to the neighbours of each point (stored zeros are duplicates), such as `knn_graph` returns;
        or points, whose `n_neighbors` nearest neighbours are then looked up.
    kernel : str, default="selftuning"
        With r the distance, s_i the distance of i to its `local_k`-th neighbour:

        - "binary": 1
        - "gaussian": ``exp(-r² / (2 σ²))``
        - "laplace": ``exp(-r / σ)``
        - "selftuning": ``exp(-r² / (s_i s_j))`` (Zelnik-Manor and Perona, Self-tuning
          spectral clustering, 2004)
        - "adaptive": ``exp(-r² / (4 ε ρ_i ρ_j))`` with ρ the inverse square root of a density estimate (Berry
          and Harlim, Variable bandwidth diffusion kernels, 2016)
        - "alpha_decay": ``(exp(-(r/s_i)^40) + exp(-(r/s_j)^40)) / 2``, s to the 5th neighbour, weights below
          1e-4 left out (Moon et al., Visualizing structure and transitions in high-dimensional biological
          data, 2019)
        - "umap": ``exp(-max(0, r - ρ_i) / σ_i)``, ρ_i the nearest distance, σ_i such that a row sums to
          log2(k), joined as ``p + q - p q`` (McInnes, Healy and Melville, UMAP, 2018)
        - "cosine": ``max(0, 1 - r)`` for cosine distances
    bandwidth : {"median", "bgh"} or float, default="median"
        σ of "gaussian" and "laplace" (the median distance to the last neighbour), or ε of "adaptive". "bgh":
        the rule of `bandwidth_bgh`, for "gaussian" and "adaptive" (which uses no other rule).
    local_k : int, default=7
        Neighbour whose distance is the local scale; the last one where there are fewer.
    symmetrize : {"max", "min", "mean", "fuzzy"} or None, default=None
        How the weights of the two directions become one. None: "fuzzy" for "umap", else "max".
    alpha : float, default=0
        Afterwards divide by the degrees: ``w_ij / (d_i d_j)^alpha``. 1 removes the density of the points
        (Coifman and Lafon, Diffusion maps, 2006).
    n_neighbors, metric, n_jobs, random_state
        As in `knn_graph`, for points.

    Returns
    -------
    csr_array of shape (n, n)
        float64, symmetric to the last bit, without explicit zeros.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import affinity
    >>> affinity(np.array([[0.0], [1.0], [3.0]]), "binary", n_neighbors=1).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    _validate.check_choice(kernel, "kernel", KERNELS)
    if not isinstance(bandwidth, str):
        bandwidth = _validate.check_positive(bandwidth, "bandwidth")
    elif bandwidth not in ("median", "bgh"):
        raise ValueError(f"bandwidth must be 'median', 'bgh' or a number, got {bandwidth!r}")
    local_k = _validate.check_integer(local_k, "local_k", 1)
    rule = symmetrize if symmetrize is not None else "fuzzy" if kernel == "umap" else "max"
    _validate.check_choice(rule, "symmetrize", RULES)
    power = _validate.check_number(alpha, "alpha")
    if issparse(graph_or_X):
        graph = _distances(graph_or_X)
    else:
        graph = knn_graph(graph_or_X, n_neighbors, metric=metric, n_jobs=n_jobs, random_state=random_state)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    r = graph.data.astype(np.float64)
    with np.errstate(under="ignore"):
        weights = _weights(kernel, r, rows, graph, bandwidth, local_k)
    A = csr_array((weights, graph.indices, graph.indptr), shape=graph.shape)
    A.sum_duplicates()
    W = _csr(
        *_backend.extension().symmetrize(A.indptr.astype(np.int64), A.indices.astype(np.int32), A.data, rule)
    )
    return _density_normalized(W, power) if power else W


def _distances(graph: Any) -> csr_array:
    A = csr_array(graph, dtype=np.float64)
    if A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ValueError(f"graph_or_X must be square and not empty, got shape {A.shape}")
    _validate.check_finite(A.data, "graph_or_X")
    if (A.data < 0).any():
        raise ValueError("graph_or_X holds distances, which must not be negative")
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    keep = rows != A.indices  # a point is no neighbour of itself
    indptr = np.r_[0, np.cumsum(np.bincount(rows[keep], minlength=A.shape[0]))]
    return csr_array((A.data[keep], A.indices[keep], indptr), shape=A.shape)


def _nth_distance(graph: csr_array, r: Vector, nth: int) -> Vector:
    """Distance of each point to its `nth` neighbour (the last one where there are fewer; 0 without any)."""
    counts = np.diff(graph.indptr)
    if len(counts) and (counts == counts[0]).all() and counts[0] > 0:
        block = np.sort(r.reshape(len(counts), -1), axis=1)
        return np.asarray(block[:, min(nth, block.shape[1]) - 1])
    scale = np.zeros(len(counts))
    for i in np.flatnonzero(counts):
        row = np.sort(r[graph.indptr[i] : graph.indptr[i + 1]])
        scale[i] = row[min(nth, len(row)) - 1]
    return scale


def _local_scale(graph: csr_array, r: Vector, nth: int) -> Vector:
    """`_nth_distance`, but never 0: with many duplicates the smallest positive scale among the neighbours."""
    scale = _nth_distance(graph, r, nth)
    for i in np.flatnonzero(scale == 0.0):
        near = scale[graph.indices[graph.indptr[i] : graph.indptr[i + 1]]]
        near = np.r_[
            near[near > 0],
            r[graph.indptr[i] : graph.indptr[i + 1]][r[graph.indptr[i] : graph.indptr[i + 1]] > 0],
        ]
        scale[i] = near.min() if near.size else 1.0
    return scale


def _median(graph: csr_array, r: Vector) -> float:
    last = _nth_distance(graph, r, r.size or 1)
    positive = last[last > 0]
    return float(np.median(positive)) if positive.size else 1.0


def _weights(
    kernel: str, r: Vector, rows: NDArray[np.intp], graph: csr_array, bandwidth: str | float, local_k: int
) -> Vector:
    columns = graph.indices
    if kernel == "binary":
        return np.ones_like(r)
    if kernel == "cosine":
        return np.maximum(0.0, 1.0 - r)
    if kernel == "selftuning":
        s: Vector = _local_scale(graph, r, local_k)
        scaled: Vector = (r / s[rows]) * (r / s[columns])
        return np.exp(-scaled)
    if kernel == "alpha_decay":
        s = _local_scale(graph, r, DECAY_NEIGHBOR)
        w = 0.5 * np.exp(-((r / s[rows]) ** DECAY)) + 0.5 * np.exp(-((r / s[columns]) ** DECAY))
        return np.where(w < DECAY_CUT, 0.0, w)
    if kernel == "umap":
        return _umap(r, graph)
    if kernel == "adaptive":
        return _adaptive(r, rows, graph, bandwidth, local_k)
    if bandwidth == "bgh":
        if kernel == "laplace":
            raise ValueError("bandwidth='bgh' is for kernel='gaussian' or 'adaptive'")
        return np.exp(-(r**2) / (4.0 * _bgh(r, graph.shape[0])[0]))
    sigma = _median(graph, r) if bandwidth == "median" else float(bandwidth)
    return np.exp(-r / sigma) if kernel == "laplace" else np.exp(-((r / sigma) ** 2) / 2.0)


def _adaptive(
    r: Vector, rows: NDArray[np.intp], graph: csr_array, bandwidth: str | float, local_k: int
) -> Vector:
    s: Vector = _local_scale(graph, r, local_k)
    scaled = (r / s[rows]) * (r / s[graph.indices])
    # Density up to a factor: a kernel sum with the local scales over the volume of its ball; in units in
    # which the scales are about 1 the dimension of the data sets how fast that volume grows.
    eps, dimension = _bgh(np.sqrt(scaled), len(s))
    kernel = np.exp(-scaled / (4.0 * eps))
    q = (1.0 + np.bincount(rows, weights=kernel, minlength=len(s))) / (s / np.median(s)) ** dimension
    rho = (q / np.median(q)) ** -0.5
    distance: Vector = r / np.sqrt(rho[rows] * rho[graph.indices])
    eps = _bgh(distance, len(s))[0] if isinstance(bandwidth, str) else bandwidth
    weights: Vector = np.exp(-(distance**2) / (4.0 * eps))
    return weights


def bandwidth_bgh(distances: Any) -> tuple[float, float]:
    """Bandwidth and intrinsic dimension from distances to neighbours.

    ε maximises ``d log T / d log ε`` over powers of 2, with ``T(ε) = n + sum exp(-r² / (4 ε))`` over the
    distances (n for those of each point to itself); the dimension is twice that maximum. (Berry, Giannakis
    and Harlim, Nonparametric forecasting of low-dimensional dynamical systems, 2015; Berry and Harlim,
    Variable bandwidth diffusion kernels, 2016.)

    Parameters
    ----------
    distances : sparse matrix of shape (n, n), or array of shape (n, k)
        From each point (row) to others. At least one is positive.

    Returns
    -------
    epsilon : float
        In squared units of distance.
    dimension : float

    Raises
    ------
    ValueError
        No distance is positive, one is not finite, or the array is not 2-D.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import bandwidth_bgh, knn_graph
    >>> line = np.linspace(0, 1, 400)[:, None]
    >>> round(bandwidth_bgh(knn_graph(line, 100))[1], 1)
    1.0
    """
    if issparse(distances):
        r, n = np.asarray(distances.data, dtype=np.float64), distances.shape[0]
    else:
        matrix = _validate.check_points(distances, "distances")
        r, n = matrix.astype(np.float64).ravel(), len(matrix)
    _validate.check_finite(r, "distances")
    if not (r > 0).any():
        raise ValueError("distances must have a positive entry")
    return _bgh(r, n)


def _bgh(r: Vector, n: int) -> tuple[float, float]:
    positive = r[r > 0]
    if not positive.size:  # duplicates alone
        return 1.0, 1.0
    unit = float(np.median(positive)) ** 2
    squares = r**2 / unit
    logs = np.log([n + np.exp(-squares / (4.0 * 2.0**e)).sum() for e in EXPONENTS])
    slope = np.diff(logs) / np.log(2.0)
    best = int(np.argmax(slope))
    return float(unit * 2.0 ** (EXPONENTS[best] + 0.5)), float(2.0 * slope[best])


def _umap(r: Vector, graph: csr_array) -> Vector:
    counts = np.diff(graph.indptr)
    w = np.empty_like(r)
    for size in np.unique(counts[counts > 0]):  # rows of one length at a time
        who = np.flatnonzero(counts == size)
        at = graph.indptr[who][:, None] + np.arange(size)
        d = r[at]
        positive = np.where(d > 0, d, np.inf).min(axis=1)
        rho = np.where(np.isfinite(positive), positive, 0.0)
        excess = np.maximum(0.0, d - rho[:, None])
        target = np.log2(max(size, 2))
        low, high = np.zeros(len(who)), np.full(len(who), np.inf)
        sigma = np.ones(len(who))
        for _ in range(64):
            total = np.exp(-excess / sigma[:, None]).sum(axis=1)
            above = total > target
            high, low = np.where(above, sigma, high), np.where(above, low, sigma)
            sigma = np.where(np.isinf(high), 2.0 * sigma, (low + high) / 2.0)
        floor = 1e-3 * np.where(rho > 0, d.mean(axis=1), r.mean() if r.mean() > 0 else 1.0)
        w[at] = np.exp(-excess / np.maximum(sigma, floor)[:, None])
    return w


def _density_normalized(W: csr_array, alpha: float) -> csr_array:
    degrees = W.sum(axis=1)
    scale = np.divide(1.0, degrees**alpha, out=np.zeros_like(degrees), where=degrees > 0)
    rows = np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))
    # The product of the two factors first: it is the same number for (i, j) and (j, i).
    return csr_array((W.data * (scale[rows] * scale[W.indices]), W.indices, W.indptr), shape=W.shape)
