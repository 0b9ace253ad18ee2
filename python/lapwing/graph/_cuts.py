"""Cuts: what a partition costs, and the best cut along a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _graphs, _threads, _validate
from lapwing._graphs import Graph

__all__ = ["CutMetrics", "SweepCut", "cut_metrics", "sweep_cut"]

Floats = NDArray[np.float64]
OBJECTIVES = ("cut", "ratio", "ncut", "conductance")


@dataclass(frozen=True)
class CutMetrics:
    """What a partition costs.

    Attributes
    ----------
    n_parts : int
        Number k of parts.
    cut : float
        Weight of the edges between different parts.
    ratio_cut, ncut : float
        Sums over the parts of the weight of the edges that leave it, over the weight of its nodes, or over
        its volume.
    conductance : float
        Largest of (weight of the edges that leave a part) / (the smaller of the volumes inside and outside).
    imbalance : float
        Largest weight of a part over what it should be, less 1: W / k, rounded up where all weights are whole
        numbers.
    part_weights, volumes, boundary_weights : float64 arrays of shape (k,)
        Of each part: the weight of its nodes, the sum of their degrees, and the weight of the edges that
        leave it.
    pieces : int array of shape (k,)
        Connected pieces of each part.
    boundary_size : int
        Nodes with a neighbour in another part.
    """

    n_parts: int
    cut: float
    ratio_cut: float
    ncut: float
    conductance: float
    imbalance: float
    part_weights: Floats
    volumes: Floats
    boundary_weights: Floats
    pieces: NDArray[np.int64]
    boundary_size: int


class SweepCut(NamedTuple):
    """The best cut along a vector."""

    mask: NDArray[np.bool_]  # True: the side of the small entries
    value: float
    profile: Floats  # the objective of the n - 1 prefixes, in the order of the entries


def degrees_of(graph: Graph, self_loops: bool) -> Floats:
    """Degrees, with the diagonal counted once if asked for."""
    d = graph.degrees
    return d + graph.loops if self_loops and graph.loops is not None else d


def node_weights(node_weight: Any, n: int) -> Floats:
    """Weights of the nodes, 1 by default."""
    return np.ones(n) if node_weight is None else _validate.check_weights(node_weight, n, "node_weight")


def check_labels(labels: Any, n: int, name: str = "labels") -> NDArray[np.int32]:
    """Labels of n nodes as int32, none negative."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), got {array.shape}")
    if array.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integers, got dtype {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= n):
        bad = int(np.flatnonzero((array < 0) | (array >= n))[0])
        raise ValueError(f"{name} must be between 0 and {n - 1}, but {name}[{bad}] is {array[bad]}")
    return np.ascontiguousarray(array, dtype=np.int32)


def whole(weights: Floats) -> bool:
    """Whether all weights are whole numbers."""
    return bool((np.floor(weights) == weights).all())


def fair_share(weights: Floats, k: int) -> float:
    """What each of k parts should weigh, as the imbalance counts it."""
    total = float(weights.sum())
    return float(np.ceil(total / k)) if whole(weights) else total / k


def cut_metrics(A: Any, labels: Any, *, node_weight: Any = None, self_loops: bool = False) -> CutMetrics:
    """Cut, ratio cut, normalised cut, conductance and balance of a partition.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n).
    labels : int array of shape (n,)
        Part of each node, 0 to k - 1. A part that no node has counts as empty.
    node_weight : array of shape (n,) or None, default=None
        Weights >= 0 of the nodes; None: 1 each.
    self_loops : bool, default=False
        Count the diagonal of `A` once in the volumes.

    Returns
    -------
    CutMetrics

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import cut_metrics
    >>> path = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)
    >>> m = cut_metrics(path, [0, 0, 1, 1])
    >>> m.cut, m.ratio_cut, round(m.ncut, 3), m.imbalance
    (1.0, 1.0, 0.667, 0.0)
    """
    graph = _graphs.as_graph(A, "A")
    part = check_labels(labels, graph.n)
    weights = node_weights(node_weight, graph.n)
    return metrics_of(graph, part, weights, degrees_of(graph, self_loops))


def metrics_of(graph: Graph, part: NDArray[np.int32], weights: Floats, degrees: Floats) -> CutMetrics:
    """`cut_metrics` of arguments that were checked."""
    k = int(part.max()) + 1
    found = _backend.extension().cut_measures(*graph.csr, weights, degrees, part, k)
    cut, boundary = float(found[0]), int(found[5])
    part_weights, volumes, leaving = (np.array(x, dtype=np.float64) for x in found[1:4])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(leaving > 0, leaving / part_weights, 0.0)
        normalized = np.where(leaving > 0, leaving / volumes, 0.0)
        conduct = np.where(leaving > 0, leaving / np.minimum(volumes, degrees.sum() - volumes), 0.0)
    return CutMetrics(
        n_parts=k,
        cut=cut,
        ratio_cut=float(ratios.sum()),
        ncut=float(normalized.sum()),
        conductance=float(conduct.max()),
        imbalance=float(part_weights.max() / fair_share(weights, k) - 1.0),
        part_weights=part_weights,
        volumes=volumes,
        boundary_weights=leaving,
        pieces=np.array(found[4], dtype=np.int64),
        boundary_size=boundary,
    )


def sweep_cut(
    A: Any,
    v: Any,
    *,
    objective: str = "conductance",
    node_weight: Any = None,
    min_fraction: float = 0.0,
    self_loops: bool = False,
    n_jobs: int | None = None,
) -> SweepCut:
    """The best of the cuts that put the nodes with the smallest entries of a vector on one side.

    All ``n - 1`` of them are tried, in O(m + n log n). Nodes of equal entries (to 1e-12 of the largest
    magnitude) stay together unless `min_fraction` leaves no other cut. Of cuts of the same value the most
    balanced one is taken, then the one of the smallest side.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n), n >= 2.
    v : array of shape (n,)
        The vector, such as a Fiedler vector. (One of the symmetric Laplacian: divided by the roots of the
        degrees first.)
    objective : {"cut", "ratio", "ncut", "conductance"}, default="conductance"
        With ``cut`` the weight of the edges across, w the weights of the sides and vol their volumes:
        ``cut``; ``cut / w(A) + cut / w(B)``; ``cut / vol(A) + cut / vol(B)``; ``cut / min(vol(A), vol(B))``.
    node_weight : array of shape (n,) or None, default=None
        Weights >= 0 of the nodes; None: 1 each.
    min_fraction : float, default=0.0
        Least share of the weight on each side, at most 1/2.
    self_loops : bool, default=False
        Count the diagonal of `A` once in the volumes.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    mask : bool array of shape (n,)
        True on the side of the small entries.
    value : float
        The objective.
    profile : float64 array of shape (n - 1,)
        The objective of every prefix of the nodes by their entries; inf where a side is empty of weight.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Milena Mihail, "Conductance and convergence of Markov chains", 1989: for a v orthogonal to the degrees the
    conductance found is at most ``sqrt(2 vᵀ L v / vᵀ D v)``.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import sweep_cut
    >>> path = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)
    >>> mask, value, profile = sweep_cut(path, np.arange(6.0), objective="ratio")
    >>> mask.tolist(), round(value, 3), profile.round(3).tolist()
    ([True, True, True, False, False, False], 0.667, [1.2, 0.75, 0.667, 0.75, 1.2])
    """
    threads = _threads.resolve(n_jobs)
    goal = _validate.check_choice(objective, "objective", OBJECTIVES)
    low = _validate.check_positive(min_fraction, "min_fraction", zero=True)
    if low > 0.5:
        raise ValueError(f"min_fraction must be at most 0.5, got {low:g}")
    graph = _graphs.as_graph(A, "A")
    if graph.n < 2:
        raise ValueError(f"A needs at least 2 nodes, got {graph.n}")
    vector = _validate.check_vector(v, graph.n, "v")
    weights = node_weights(node_weight, graph.n)
    total = float(weights.sum())
    return sweep(
        graph, vector, goal, weights, degrees_of(graph, self_loops), low * total, (1.0 - low) * total, threads
    )


def sweep(
    graph: Graph,
    v: Floats,
    objective: str,
    weights: Floats,
    degrees: Floats,
    low: float,
    high: float,
    threads: int,
) -> SweepCut:
    """`sweep_cut` of arguments that were checked."""
    order = np.empty(graph.n, np.int32)
    profile = np.empty(graph.n - 1)
    size, value, _, _ = _backend.extension().sweep(
        *graph.csr, np.ascontiguousarray(v), weights, degrees, objective, low, high, order, profile, threads
    )
    mask = np.zeros(graph.n, bool)
    mask[order[:size]] = True
    return SweepCut(mask, float(value), profile)
