"""From distances to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from lapwing import _backend, _validate
from lapwing.graph._knn import knn_graph
from lapwing.graph._matrices import RULES, _csr

__all__ = ["Scales", "affinity", "bandwidth_bgh", "check_kernel", "density_normalized", "weigh"]

KERNELS = ("binary", "gaussian", "selftuning", "adaptive", "alpha_decay", "umap", "cosine", "laplace")
DECAY = 40.0  # exponent of "alpha_decay"
LOCAL = ("selftuning", "adaptive", "alpha_decay")  # kernels with a scale for each point
LOCAL_K = {"alpha_decay": 5}  # anything else: 7
DECAY_CUT = 1e-4
EXPONENTS = np.arange(-40.0, 41.0)  # of 2, tried by bandwidth_bgh

Vector = NDArray[np.float64]


def affinity(
    graph_or_X: Any,
    kernel: str = "selftuning",
    *,
    bandwidth: str | float = "median",
    local_k: int | None = None,
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
        - "alpha_decay": ``(exp(-(r/s_i)^40) + exp(-(r/s_j)^40)) / 2``, weights below 1e-4 left out (Moon et
          al., Visualizing structure and transitions in high-dimensional biological data, 2019)
        - "umap": ``exp(-max(0, r - ρ_i) / σ_i)``, ρ_i the nearest distance, σ_i such that a row sums to
          log2(k), joined as ``p + q - p q`` (McInnes, Healy and Melville, UMAP, 2018)
        - "cosine": ``max(0, 1 - r)`` for cosine distances
    bandwidth : {"median", "bgh"} or float, default="median"
        σ of "gaussian" and "laplace" (the median distance to the last neighbour), or ε of "adaptive". "bgh":
        the rule of `bandwidth_bgh`, for "gaussian" and "adaptive" (which uses no other rule).
    local_k : int or None, default=None
        Neighbour whose distance is the local scale; the last one where there are fewer. None: 7, for
        "alpha_decay" 5.
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
    check_kernel(kernel, bandwidth, local_k)
    rule = symmetrize if symmetrize is not None else "fuzzy" if kernel == "umap" else "max"
    _validate.check_choice(rule, "symmetrize", RULES)
    power = _validate.check_number(alpha, "alpha")
    if issparse(graph_or_X):
        graph = _distances(graph_or_X)
    else:
        graph = knn_graph(graph_or_X, n_neighbors, metric=metric, n_jobs=n_jobs, random_state=random_state)
    W, _ = weigh(graph, kernel, bandwidth, local_k, rule)
    return density_normalized(W, power) if power else W


def check_kernel(kernel: str, bandwidth: str | float = "median", local_k: int | None = None) -> None:
    """Raise for a kernel, bandwidth or neighbour that `affinity` does not take."""
    _validate.check_choice(kernel, "kernel", KERNELS)
    if not isinstance(bandwidth, str):
        _validate.check_positive(bandwidth, "bandwidth")
    elif bandwidth not in ("median", "bgh"):
        raise ValueError(f"bandwidth must be 'median', 'bgh' or a number, got {bandwidth!r}")
    elif bandwidth == "bgh" and kernel == "laplace":
        raise ValueError("bandwidth='bgh' is for kernel='gaussian' or 'adaptive'")
    if local_k is not None:
        _validate.check_integer(local_k, "local_k", 1)


def weigh(
    graph: csr_array, kernel: str, bandwidth: str | float, local_k: int | None, rule: str
) -> tuple[csr_array, Scales]:
    """Symmetric weights of a graph of distances, and the scales that they were made with."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    r = graph.data.astype(np.float64)
    with np.errstate(under="ignore"):
        scales = Scales(kernel, graph, r, rows, bandwidth, local_k)
        if kernel == "umap":
            weights = _umap(r, graph)
        else:
            weights = scales.weights(r, scales.local[rows], scales.local[graph.indices])
    A = csr_array((weights, graph.indices, graph.indptr), shape=graph.shape)
    A.sum_duplicates()
    found = _backend.extension().symmetrize(
        A.indptr.astype(np.int64), A.indices.astype(np.int32), A.data, rule
    )
    return _csr(*found), scales


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


class Scales:
    """What a kernel takes from a graph of distances: enough to weigh the edges of further points as well.

    `unit` is σ of "gaussian" and "laplace" or ε of "adaptive"; `local` the scale of each point (1 where the
    kernel has none).
    """

    def __init__(
        self,
        kernel: str,
        graph: csr_array,
        r: Vector,
        rows: NDArray[np.intp],
        bandwidth: str | float,
        local_k: int | None,
    ) -> None:
        n = graph.shape[0]
        self.kernel = kernel
        self.local_k = local_k if local_k is not None else LOCAL_K.get(kernel, 7)
        self.unit = 1.0
        self.local: Vector = np.ones(n)
        if kernel in LOCAL:
            self.local = _local_scale(graph, r, self.local_k)
        if kernel == "adaptive":
            self._learn_density(graph, r, rows, bandwidth)
        elif kernel in ("gaussian", "laplace"):
            if bandwidth == "bgh":
                self.unit = float(np.sqrt(2.0 * _bgh(r, n)[0]))  # exp(-r² / (4 ε))
            else:
                self.unit = _median(graph, r) if bandwidth == "median" else float(bandwidth)

    def weights(self, r: Vector, own: Vector, other: Vector) -> Vector:
        """Weights of distances `r` between points with the scales `own` and `other`."""
        if self.kernel == "binary":
            return np.ones_like(r)
        if self.kernel == "cosine":
            return np.maximum(0.0, 1.0 - r)
        if self.kernel == "alpha_decay":
            w = 0.5 * np.exp(-((r / own) ** DECAY)) + 0.5 * np.exp(-((r / other) ** DECAY))
            return np.where(w < DECAY_CUT, 0.0, w)
        if self.kernel == "laplace":
            return np.exp(-r / self.unit)
        if self.kernel == "gaussian":
            return np.exp(-((r / self.unit) ** 2) / 2.0)
        scaled: Vector = (r / own) * (r / other)
        return np.exp(-scaled) if self.kernel == "selftuning" else np.exp(-scaled / (4.0 * self.unit))

    def extend(self, r: Vector, index: NDArray[Any]) -> Vector:
        """Weights of new points (rows of `r`, rising) to the points `index` of the graph."""
        with np.errstate(under="ignore"):
            if self.kernel == "umap":
                m, k = r.shape
                offsets = np.arange(0, m * k + 1, k)
                return _umap(r.ravel(), csr_array((r.ravel(), index.ravel(), offsets))).reshape(m, k)
            own = np.ones((len(r), 1))
            if self.kernel in LOCAL:
                scale = r[:, [min(self.local_k, r.shape[1]) - 1]]
                nearest = self._scale[index] if self.kernel == "adaptive" else self.local[index]
                own = np.where(scale > 0, scale, nearest.min(axis=1, keepdims=True))
            if self.kernel == "adaptive":
                near = np.exp(-(r / own) * (r / self._scale[index]) / (4.0 * self._eps))
                own = (self._density(near.sum(axis=1, keepdims=True), own) / self._middle) ** -0.5
            return self.weights(r, own, self.local[index])

    def _learn_density(
        self, graph: csr_array, r: Vector, rows: NDArray[np.intp], bandwidth: str | float
    ) -> None:
        # Density up to a factor: a kernel sum with the local scales over the volume of its ball; in units in
        # which the scales are about 1 the dimension of the data sets how fast that volume grows.
        n = graph.shape[0]
        self._scale, self._typical = self.local, float(np.median(self.local))
        scaled = (r / self._scale[rows]) * (r / self._scale[graph.indices])
        self._eps, self._dimension = _bgh(np.sqrt(scaled), n)
        near: Any = np.bincount(rows, weights=np.exp(-scaled / (4.0 * self._eps)), minlength=n)
        q = self._density(near, self._scale)
        self._middle = float(np.median(q))
        self.local = (q / self._middle) ** -0.5
        distance = r / np.sqrt(self.local[rows] * self.local[graph.indices])
        self.unit = _bgh(distance, n)[0] if isinstance(bandwidth, str) else float(bandwidth)

    def _density(self, near: Vector, scale: Vector) -> Vector:
        return np.asarray((1.0 + near) / (scale / self._typical) ** self._dimension)


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


def density_normalized(W: csr_array, alpha: float) -> csr_array:
    degrees = W.sum(axis=1)
    scale = np.divide(1.0, degrees**alpha, out=np.zeros_like(degrees), where=degrees > 0)
    rows = np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))
    # The product of the two factors first: it is the same number for (i, j) and (j, i).
    return csr_array((W.data * (scale[rows] * scale[W.indices]), W.indices, W.indptr), shape=W.shape)
