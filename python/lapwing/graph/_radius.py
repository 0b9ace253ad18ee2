"""All neighbours within a radius, and edges between the parts of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from lapwing import _backend, _graphs, _threads, _validate
from lapwing._array import Floats
from lapwing.graph._knn import METRICS, _check_directions, exact

__all__ = ["connect", "radius_graph"]

#: Rows from which the radius of a MemoryError is estimated, and the neighbours that it would give.
SAMPLE_ROWS, SUGGESTED = 200, 100


def radius_graph(
    X: Any,
    radius: float,
    *,
    metric: str = "euclidean",
    max_memory: float | None = None,
    n_jobs: int | None = None,
) -> csr_array:
    """Graph of all pairs of points within a radius of each other.

    Parameters
    ----------
    X : array of shape (n, d)
        Points in rows.
    radius : float
        Largest distance, >= 0; pairs at exactly this distance count.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Cosine: 1 less the cosine of the angle.
    max_memory : float or None, default=None
        Bytes that the graph may take; None: half of the machine's memory.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    csr_array of shape (n, n)
        Distances in float64, symmetric to the last bit, columns rising, without the diagonal. Distances of 0
        (duplicates) are stored entries.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    MemoryError
        There are too many pairs; the message names the radius that would give 100 neighbours on average.

    Notes
    -----
    A k-d tree up to 8 dimensions; above, all pairs by tiles in single precision, whatever is near the radius
    decided in double precision. Neighbours are counted first and stored in a second pass.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import radius_graph
    >>> radius_graph(np.array([[0.0], [1.0], [3.0]]), 1.5).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    threads = _threads.resolve(n_jobs)
    points = _validate.check_points(X, "X")
    reach = _validate.check_positive(radius, "radius", zero=True)
    _validate.check_choice(metric, "metric", METRICS)
    if max_memory is not None:
        max_memory = _validate.check_positive(max_memory, "max_memory")
    _check_directions(points, metric)
    n = len(points)
    counts = np.empty(n, dtype=np.int64)
    core = _backend.extension()
    core.radius_counts(points, reach, metric, "auto", counts, threads)
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    total = int(offsets[-1])
    try:
        _validate.check_memory(12.0 * total, f"a graph of {total} neighbours", "", max_memory)
    except MemoryError as error:
        raise MemoryError(
            f"{str(error).removesuffix('; ')}; radius={_suggestion(points, metric):.4g} would give "
            f"{min(SUGGESTED, n - 1)} neighbours on average"
        ) from None
    indices = np.empty(total, dtype=np.int32)
    values = np.empty(total)
    core.radius_fill(points, reach, metric, "auto", offsets, indices, values, threads)
    small = offsets.astype(np.int32) if total < 2**31 else offsets
    return csr_array((values, indices, small), shape=(n, n))


def _suggestion(points: Floats, metric: str) -> float:
    """The radius within which the pairs of some rows have 100 neighbours on average."""
    from scipy.spatial.distance import cdist

    n = len(points)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE_ROWS)).astype(np.intp))
    wanted = min(SUGGESTED, n - 1)
    kept: NDArray[np.float64] = np.empty(0)
    for i in rows:  # the nearest of all these rows together are within the farthest of each row's shortlist
        r = np.delete(cdist(points[[i]], points, metric)[0], i)
        kept = np.concatenate([kept, r])
        most = wanted * len(rows)
        if len(kept) > 4 * most:
            kept = np.partition(kept, most)[: most + 1]
    place = min(wanted * len(rows), len(kept)) - 1
    return float(np.partition(kept, place)[place])


def connect(
    W: Any, X: Any, *, metric: str = "euclidean", weight: float | None = None, n_jobs: int | None = None
) -> csr_array:
    """Join the connected components of a graph of points by the shortest edges that do.

    Adds c - 1 edges to a graph of c components: a minimal spanning tree of the components, whose distance is
    that of their nearest points.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n).
    X : array of shape (n, d)
        The points.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Cosine: 1 less the cosine of the angle.
    weight : float or None, default=None
        Weight of the new edges; None: the smallest weight of `W` (1 if it has no edges).
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    csr_array of shape (n, n)
        The weights with the new edges. A diagonal of `W` is left out.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import affinity, components, connect
    >>> X = np.array([[0.0], [1.0], [7.0], [9.0]])
    >>> W = connect(affinity(X, "binary", n_neighbors=1), X)
    >>> W.toarray().astype(int).tolist()
    [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    """
    threads = _threads.resolve(n_jobs)
    points = _validate.check_points(X, "X")
    _validate.check_choice(metric, "metric", METRICS)
    _check_directions(points, metric)
    graph = _graphs.as_graph(W)
    if len(points) != graph.n:
        raise ValueError(f"W and X must have as many rows, got {graph.n} and {len(points)}")
    if weight is None:
        weight = float(graph.values.min()) if len(graph.values) else 1.0
    weight = _validate.check_positive(weight, "weight")
    labels, sizes = _backend.extension().components(*graph.csr)
    edges: list[tuple[int, int]] = []
    # Borůvka: every component but the largest names its shortest edge to another one; those are all in the
    # tree (ties go to the lowest rows), and the rest is joined in the next round.
    while len(sizes) > 1:
        found = []
        for part in range(1, len(sizes)):
            inside, outside = np.flatnonzero(labels == part), np.flatnonzero(labels != part)
            index, r = exact(points[inside], points[outside], 1, metric, same=False, threads=threads)
            other = outside[index[:, 0]]
            low, high = np.minimum(inside, other), np.maximum(inside, other)
            best = np.lexsort((high, low, r[:, 0]))[0]
            found.append((float(r[best, 0]), int(low[best]), int(high[best])))
        for _, i, j in sorted(set(found)):
            a, b = labels[i], labels[j]
            if a != b:
                labels[labels == max(a, b)] = min(a, b)
                edges.append((i, j))
        codes, sizes = np.unique(labels, return_counts=True)
        order = np.argsort(-sizes, kind="stable")
        rank = np.empty(len(codes), dtype=labels.dtype)
        rank[order] = np.arange(len(codes))
        labels = rank[np.searchsorted(codes, labels)]
        sizes = sizes[order]
    A = graph.matrix()
    if edges:
        i, j = np.array(edges).T
        new = coo_array((np.full(2 * len(i), weight), (np.r_[i, j], np.r_[j, i])), shape=(graph.n, graph.n))
        A = csr_array(A + new.tocsr())
        A.sort_indices()
    return A
