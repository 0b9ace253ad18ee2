"""Nearest neighbours."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lapwing import _backend, _caller, _optional, _threads, _validate
from lapwing._array import Floats

__all__ = ["KNNGraph", "knn_graph"]

METRICS = ("euclidean", "cosine")
METHODS = ("auto", "exact", "pynndescent", "hnswlib", "faiss")
#: Points up to which the exact search is taken without looking for an approximate one: about where those
#: begin to be faster (1e5 x 50, one thread: 9 s, NN-descent 9 s, HNSW 26 s).
EXACT_POINTS = 100_000
#: Rows on which an approximate graph is compared with the exact one.
RECALL_ROWS = 1000
LOW_RECALL = 0.9


class KNNGraph(csr_array):  # type: ignore[misc]  # SciPy has no types
    """Distances to the nearest neighbours, in compressed rows.

    A ``scipy.sparse.csr_array`` of shape (n, n) with the same number of entries in every row, in the order of
    (distance, index). Distances of 0 (duplicates) are stored entries.

    Attributes
    ----------
    recall_ : float
        Share of the true neighbours that it has: 1 for an exact search, else an estimate from 1000 random
        rows.
    method_ : str
        The search that was used.
    """

    recall_: float = 1.0
    method_: str = "exact"


def knn_graph(
    X: Any,
    n_neighbors: int = 15,
    *,
    metric: str = "euclidean",
    method: str = "auto",
    target_recall: float = 0.99,
    include_self: bool = False,
    n_jobs: int | None = None,
    random_state: int | None = 0,
) -> KNNGraph:
    """Graph of the nearest neighbours of each point.

    Parameters
    ----------
    X : array of shape (n, d)
        Points in rows.
    n_neighbors : int, default=15
        Neighbours of each point, at most n - 1.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Cosine: 1 less the cosine of the angle.
    method : {"auto", "exact", "pynndescent", "hnswlib", "faiss"}, default="auto"
        exact: a k-d tree up to 8 dimensions, all pairs above; the result does not depend on the number of
        threads. The others are approximate searches by the packages of these names. auto: exact up to 8
        dimensions or 100 000 points; above, pynndescent, hnswlib or faiss if one is installed and its recall
        reaches `target_recall`, else exact.
    target_recall : float, default=0.99
        Least recall of an approximate search that ``method="auto"`` accepts.
    include_self : bool, default=False
        Each point is the first of its own `n_neighbors`.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use.
    random_state : int, numpy generator or None, default=0
        For approximate searches and the choice of the rows that measure their recall.

    Returns
    -------
    KNNGraph of shape (n, n)
        Distances, in the float type of `X`.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    ImportError
        The package that `method` names is not installed.

    Warns
    -----
    UserWarning
        The recall of an approximate search that was asked for is below 0.9.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import knn_graph
    >>> knn_graph(np.array([[0.0], [1.0], [3.0]]), 1).indices.tolist()
    [1, 0, 1]
    """
    threads = _threads.resolve(n_jobs)
    seed = _validate.check_seed(random_state)
    points = _validate.check_points(X, "X")
    _validate.check_choice(metric, "metric", METRICS)
    how = _validate.check_choice(method, "method", METHODS)
    target = _validate.check_positive(target_recall, "target_recall")
    n = len(points)
    k = _validate.check_integer(n_neighbors, "n_neighbors", 1, n if include_self else n - 1)
    others = k - 1 if include_self else k
    _check_directions(points, metric)
    recall = 1.0
    if how == "auto":
        how, index, value, recall = _automatic(points, others, metric, target, threads, seed)
    elif how == "exact":
        index, value = exact(points, points, others, metric, same=True, threads=threads)
    else:
        index, value = _approximate(how, points, others, metric, threads, seed)
        recall = _recall(points, index, value, metric, threads, seed)
        if recall < LOW_RECALL:
            warnings.warn(
                f"{how} found only {recall:.1%} of the neighbours (estimated on {min(n, RECALL_ROWS)} rows); "
                "method='exact' finds all of them",
                UserWarning,
                stacklevel=_caller.level(),
            )
    if include_self:
        index = np.hstack([np.arange(n, dtype=np.int32)[:, None], index])
        value = np.hstack([np.zeros((n, 1)), value])
    graph = KNNGraph(
        (value.astype(points.dtype, copy=False).ravel(), index.ravel(), np.arange(0, n * k + 1, k)),
        shape=(n, n),
    )
    graph.recall_, graph.method_ = recall, how
    return graph


def exact(
    queries: Floats, points: Floats, k: int, metric: str, *, same: bool, threads: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Indices and distances of the `k` nearest points of each query, by (distance, index)."""
    index = np.empty((len(queries), k), dtype=np.int32)
    value = np.empty((len(queries), k))
    if k:
        _backend.extension().knn(queries, points, same, metric, "auto", index, value, threads)
    return index, value


def _check_directions(points: Floats, metric: str) -> None:
    if metric == "cosine":
        zero = ~points.any(axis=1)
        if zero.any():
            raise ValueError(f"the cosine needs a direction, but row {int(np.argmax(zero))} of X is 0")


def _automatic(
    points: Floats, k: int, metric: str, target: float, threads: int, seed: int
) -> tuple[str, NDArray[np.int32], NDArray[np.float64], float]:
    if len(points) > EXACT_POINTS and (points.shape[1] > 8 or metric != "euclidean"):
        for name in METHODS[2:]:
            if importlib.util.find_spec(name) is None:
                continue
            index, value = _approximate(name, points, k, metric, threads, seed)
            recall = _recall(points, index, value, metric, threads, seed)
            if recall >= target:
                return name, index, value, recall
            break
    index, value = exact(points, points, k, metric, same=True, threads=threads)
    return "exact", index, value, 1.0


def _recall(
    points: Floats, index: NDArray[np.int32], value: NDArray[np.float64], metric: str, threads: int, seed: int
) -> float:
    """Share of the entries that are no farther than the true last neighbour, on some random rows."""
    n, k = index.shape
    rows = np.sort(np.random.default_rng(seed).choice(n, min(n, RECALL_ROWS), replace=False))
    _, truth = exact(points[rows], points, k + 1, metric, same=False, threads=threads)  # each finds itself
    limit = truth[:, -1:] * (1.0 + 1e-6) + 1e-12 * np.abs(truth).max()
    return float(np.mean(value[rows] <= limit))


def _approximate(
    name: str, points: Floats, k: int, metric: str, threads: int, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    package: Any = _optional.need(name, extra="knn", purpose=f"knn_graph(method={name!r})")
    threads = threads or _threads.effective()  # 0, for all, means something else to each of the packages
    data = np.ascontiguousarray(points, dtype=np.float32)
    ask = min(k + 1, len(points))  # most searches find the point itself
    if name == "pynndescent":
        tree = package.NNDescent(
            data, n_neighbors=ask, metric=metric, random_state=seed % 2**31, n_jobs=threads
        )
        index, _ = tree.neighbor_graph
    elif name == "hnswlib":
        search = package.Index(space="cosine" if metric == "cosine" else "l2", dim=data.shape[1])
        search.init_index(len(data), ef_construction=200, M=16, random_seed=seed % 2**31)
        search.set_num_threads(threads)
        search.add_items(data)
        search.set_ef(max(64, 4 * ask))
        index, _ = search.knn_query(data, k=ask)
    else:
        if metric == "cosine":
            data = data / np.linalg.norm(data, axis=1, keepdims=True)
        package.omp_set_num_threads(threads)
        search = package.IndexHNSWFlat(data.shape[1], 16)
        search.hnsw.efConstruction = 100
        search.hnsw.efSearch = max(64, 4 * ask)
        search.add(data)
        _, index = search.search(data, ask)
    return _exact_order(points, np.asarray(index), k, metric)


def _exact_order(
    points: Floats, found: NDArray[Any], k: int, metric: str
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Distances in float64, the point itself taken out, rows sorted by (distance, index)."""
    n = len(points)
    index = np.empty((n, k), dtype=np.int32)
    value = np.empty((n, k))
    step = max(1, 2**22 // max(1, found.shape[1] * points.shape[1]))
    for lo in range(0, n, step):
        near = found[lo : lo + step]
        here = points[lo : lo + step].astype(np.float64)[:, None]
        there = points[np.maximum(near, 0)].astype(np.float64)
        if metric == "cosine":
            product = (here * there).sum(axis=2)
            distance = 1.0 - product / np.sqrt((here**2).sum(axis=2) * (there**2).sum(axis=2))
        else:
            distance = np.sqrt(((here - there) ** 2).sum(axis=2))
        own = np.arange(lo, lo + len(near))[:, None]
        distance = np.where((near == own) | (near < 0), np.inf, np.maximum(distance, 0.0))
        order = np.lexsort((near, distance), axis=1)[:, :k]
        index[lo : lo + step] = np.take_along_axis(near, order, axis=1)
        value[lo : lo + step] = np.take_along_axis(distance, order, axis=1)
    return index, value
