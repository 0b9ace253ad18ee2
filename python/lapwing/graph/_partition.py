"""Partitions of graphs: two parts or many, balanced or by what the graph suggests."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _graphs, _threads, _validate
from lapwing._graphs import Graph
from lapwing._progress import Callback, Progress
from lapwing.exceptions import ConvergenceError, DisconnectedGraphWarning, InfeasibleBalanceWarning
from lapwing.graph._cuts import (
    OBJECTIVES,
    CutMetrics,
    check_labels,
    degrees_of,
    metrics_of,
    node_weights,
    sweep,
    whole,
)
from lapwing.linalg import laplacian_eigs

__all__ = ["PartitionInfo", "PartitionTree", "bisect", "partition", "refine_flow", "refine_fm"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]
REFINE = (None, "fm", "flow", "multilevel")
ROUNDING = ("sweep", "median", "sign", "gap", "kmeans")
IMBALANCE = 0.03
#: Connected components up to which all sums of their weights are looked at.
MOST_ITEMS = 10_000


class PartitionTree(NamedTuple):
    """The bisections one after the other: a node for each set of nodes that was looked at, the root first.

    `left` and `right` are the rows of the two halves, -1 where a set was not split; `value` is the Fiedler
    value of the set, `cut` and `objective` are those of its best bisection, NaN where none was sought.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    size: NDArray[np.int64]
    value: Floats
    cut: Floats
    objective: Floats


@dataclass(frozen=True)
class PartitionInfo:
    """A partition's certificate.

    Attributes
    ----------
    cut, imbalance : float
        Weight of the edges between the parts, and the largest weight of a part over what it should be, less
        1 (`CutMetrics`; with `target_fractions` each part has its own).
    feasible : bool
        Whether every part is within its limit.
    metrics : CutMetrics
        All measures.
    method, refine : str
        What was used.
    n_components : int
        Connected components of the graph.
    fiedler_value, next_value, residual : float
        Second and third eigenvalue of the Laplacian that was used, and ``‖L v - λ v‖ / ‖L‖`` of the vector of
        the second; NaN where no eigenvector was computed. 0 for a graph that is not connected.
    lower_bound : float
        No cut between two parts of these weights is below it; from the eigenvalue, less its residual. 0 where
        there is none.
    conductance_bounds : (float, float)
        Cheeger's: the conductance of the best cut lies between ``λ / 2`` and ``sqrt(2 λ)``; (0, inf) where no
        normalised eigenvalue was computed.
    converged : bool
        False: stopped by the callback, or the eigenvector is not as accurate as asked.
    tree : PartitionTree or None
        Of a partition made by one bisection after the other.
    seconds : dict
        Time of each stage.
    n_negative : int
        Edges of negative weight in the graph as it was given.
    """

    cut: float
    imbalance: float
    feasible: bool
    metrics: CutMetrics
    method: str
    refine: str | None
    n_components: int
    fiedler_value: float = np.nan
    residual: float = np.nan
    lower_bound: float = 0.0
    conductance_bounds: tuple[float, float] = (0.0, np.inf)
    converged: bool = True
    tree: PartitionTree | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    next_value: float = np.nan
    n_negative: int = 0


class _Modes(NamedTuple):
    """A few eigenvectors of one graph, fit for cutting along them."""

    values: Floats
    vectors: Floats
    residual: float
    norm: float
    converged: bool


@dataclass(frozen=True)
class _Problem:
    """One graph with its weights, and how the work is done."""

    graph: Graph
    weights: Floats
    degrees: Floats
    seed: int
    n_jobs: int | None
    threads: int
    tol: float
    callback: Callback | None
    verbose: int

    @property
    def total(self) -> float:
        return float(self.weights.sum())

    @cached_property
    def components(self) -> tuple[Labels, NDArray[np.int64]]:
        """Component of each node, the largest first, and their sizes."""
        part, sizes = _backend.extension().components(*self.graph.csr)
        return part, sizes

    def part(self, nodes: NDArray[np.intp]) -> _Problem:
        """The sub-graph of some nodes, which keep their degrees."""
        W = self.graph.matrix()[nodes][:, nodes]
        inner = _graphs.as_graph(W, "A")
        return _Problem(
            inner, self.weights[nodes], self.degrees[nodes], self.seed, self.n_jobs, self.threads, self.tol,
            self.callback, self.verbose,
        )  # fmt: skip

    def limits(self, targets: Floats, imbalance: float) -> Floats:
        """Largest weights of parts that should have these."""
        shares = np.ceil(targets * (1 - 1e-12)) if whole(self.weights) else targets
        return np.asarray(shares * ((1.0 + imbalance) * (1.0 + 1e-12)))

    def modes(self, k: int, normalization: str | None) -> _Modes:
        """The k smallest non-trivial eigenvectors (fewer of a small graph); the graph is connected."""
        k = min(k, self.graph.n - 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = laplacian_eigs(
                self.graph.matrix(), k, normalization=normalization, tol=self.tol, random_state=self.seed,
                n_jobs=self.n_jobs, callback=self.callback, verbose=self.verbose,
            )  # fmt: skip
        return _Modes(r.values, r.vectors, float(r.residuals[0]), float(r.info["norm"]), r.converged)

    def call(
        self,
        function: str,
        labels: Labels,
        targets: Floats,
        limits: Floats,
        refine: str | None,
        *,
        objective: str = "cut",
        trials: int = 1,
        directions: Floats | None = None,
    ) -> dict[str, Any]:
        """One of the core's two entries; `labels` are filled or improved."""
        with Progress(self.callback, self.verbose) as progress:
            found: dict[str, Any] = getattr(_backend.extension(), function)(
                *self.graph.csr, self.weights, targets.tolist(), limits.tolist(), refine or "none", objective,
                self.degrees, trials, self.seed, directions, labels, self.threads, progress.hook,
            )  # fmt: skip
        return found


def _problem(
    A: Any,
    node_weight: Any,
    self_loops: bool,
    tol: float,
    random_state: Any,
    n_jobs: int | None,
    callback: Callback | None,
    verbose: int,
    negative: str = "raise",
) -> _Problem:
    threads = _threads.resolve(n_jobs)
    seed = _validate.check_seed(random_state)
    tol = _validate.check_positive(tol, "tol")
    Progress(callback, verbose)
    if negative == "signed":
        raise ValueError(
            "negative='signed' is for fiedler_vector: a cut has no meaning with negative weights"
        )
    _validate.check_choice(negative, "negative", _graphs.NEGATIVE)
    graph = _graphs.as_graph(A, "A", negative)
    weights = node_weights(node_weight, graph.n)
    return _Problem(
        graph, weights, degrees_of(graph, self_loops), seed, n_jobs, threads, tol, callback, verbose
    )


def _by_first_node(labels: Labels) -> Labels:
    """The same parts, numbered in the order of their first nodes."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return np.asarray(rank[inverse], dtype=np.int32)


# ---- from a vector to two sides ----------------------------------------------------------------------


def _zeros(v: Floats, error: float) -> NDArray[np.bool_]:
    threshold = max(64 * np.finfo(float).eps * np.sqrt(len(v)), error)
    return np.asarray(np.abs(v) <= threshold * np.abs(v).max(initial=0.0))


def _lighter(mask: NDArray[np.bool_], rest: NDArray[np.bool_], weights: Floats) -> NDArray[np.bool_]:
    """`mask` with the nodes of `rest` on the side of less weight."""
    inside, outside = weights[mask].sum(), weights[~mask & ~rest].sum()
    return mask | rest if inside <= outside else mask & ~rest


def _order(v: Floats) -> NDArray[np.intp]:
    unit = 1e-12 * np.abs(v).max(initial=0.0)
    key = np.round(v / unit) if unit > 0 else v
    return np.lexsort((np.arange(len(v)), key))


def _prefix(order: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
    mask = np.zeros(len(order), bool)
    mask[order[:size]] = True
    return mask


def _round(
    p: _Problem, v: Floats, rounding: str, objective: str, fraction: float, low: float, high: float
) -> NDArray[np.bool_]:
    """Two sides from a vector; True is the side of the small entries."""
    n = p.graph.n
    if rounding == "sweep":
        return sweep(p.graph, v, objective, p.weights, p.degrees, low, high, p.threads).mask
    if rounding == "sign":
        zero = _zeros(v, 0.0)
        return _lighter((v < 0) & ~zero, zero, p.weights)
    order = _order(v)
    sums = np.cumsum(p.weights[order])[:-1]
    if rounding == "median":
        return _prefix(order, int(np.argmin(np.abs(sums - fraction * p.total))) + 1)
    allowed = (sums >= low) & (sums <= high)
    if not allowed.any():
        allowed = np.ones(n - 1, bool)
    x = v[order]
    if rounding == "gap":
        return _prefix(order, int(np.argmax(np.where(allowed, np.diff(x), -1.0))) + 1)
    m = np.arange(1, n)  # the exact optimum of k-means: what both sides explain is largest
    left = np.cumsum(x - x.mean())[:-1]
    explained = left**2 * (1.0 / m + 1.0 / (n - m))
    return _prefix(order, int(np.argmax(np.where(allowed, explained, -1.0))) + 1)


# ---- graphs of several components --------------------------------------------------------------------


def _subset(weights: Floats, low: float, high: float) -> NDArray[np.bool_] | None:
    """Some of the items with a sum between the bounds, near their middle; None: there are none."""
    total = float(weights.sum())
    scale = 1.0 if whole(weights) and total <= 2e5 else 1e5 / total
    units = np.round(weights * scale).astype(np.int64)
    size = int(units.sum())
    reach = np.zeros(size + 1, bool)
    reach[0] = True
    last = np.full(size + 1, -1, np.int32)  # the item that first made the sum
    for i in np.argsort(-units, kind="stable"):
        u = int(units[i])
        if u == 0:
            continue
        fresh = np.flatnonzero(reach[: size + 1 - u] & ~reach[u:]) + u
        last[fresh] = i
        reach[fresh] = True
        if len(fresh) == 0 and reach.all():
            break
    sums = np.flatnonzero(reach)
    for s in sums[np.argsort(np.abs(sums - scale * (low + high) / 2), kind="stable")][:64]:
        chosen, at = np.zeros(len(weights), bool), int(s)
        while at > 0:
            chosen[last[at]] = True
            at -= int(units[last[at]])
        if low <= float(weights[chosen].sum()) <= high:
            return chosen
    return None


class _Pieces(NamedTuple):
    """Components put on two sides; `nodes` are those of the one that must be cut, if any."""

    labels: Labels
    nodes: NDArray[np.intp]
    targets: Floats


def _place(p: _Problem, targets: Floats, limits: Floats) -> _Pieces | None:
    """Whole components on two sides, one of them to be split at most; None: it does not work out."""
    part, sizes = p.components
    c = len(sizes)
    weight = np.bincount(part, weights=p.weights, minlength=c).astype(np.float64)
    nobody = np.empty(0, np.intp)
    slack = 1e-12 * p.total
    if c <= MOST_ITEMS:
        chosen = _subset(weight, p.total - limits[1] - slack, limits[0] + slack)
        if chosen is not None and 0 < chosen.sum() < c:
            return _Pieces(np.where(chosen[part], 0, 1).astype(np.int32), nobody, targets)
    order = np.argsort(-weight, kind="stable")
    straddles, side, filled = -1, np.full(c, -1), np.zeros(2)
    for i in order:
        s = int(np.argmin(filled / targets))
        if filled[s] + weight[i] <= limits[s] + slack:
            side[i] = s
            filled[s] += weight[i]
        elif straddles < 0:
            straddles = int(i)
        else:
            return None
    if straddles < 0:
        return _Pieces(side[part].astype(np.int32), nobody, targets) if (filled > 0).all() else None
    rest = targets - filled
    nodes = np.flatnonzero(part == straddles)
    if (rest <= 0).any() or len(nodes) < 2:
        return None
    side[straddles] = 0
    return _Pieces(side[part].astype(np.int32), nodes, rest)


def _pack(p: _Problem, targets: Floats, limits: Floats) -> Labels | None:
    """Whole components in k parts, the heaviest first; None: they do not fit."""
    part, sizes = p.components
    k = len(targets)
    if len(sizes) < k:
        return None
    weight = np.bincount(part, weights=p.weights, minlength=len(sizes))
    if weight.max() > limits.max():
        return None
    import heapq

    side = np.empty(len(sizes), np.int32)
    heap = [(0.0, j) for j in range(k)]
    filled = np.zeros(k)
    for i in np.argsort(-weight, kind="stable"):
        _, j = heapq.heappop(heap)
        if filled[j] + weight[i] > limits[j]:
            return None
        side[i] = j
        filled[j] += weight[i]
        heapq.heappush(heap, (filled[j] / targets[j], j))
    return side[part] if (filled > 0).all() else None


# ---- two parts ---------------------------------------------------------------------------------------


def bisect(
    A: Any,
    *,
    method: str = "spectral",
    objective: str = "ncut",
    rounding: str = "sweep",
    imbalance: float | None = None,
    fraction: float = 0.5,
    min_fraction: float = 0.0,
    node_weight: Any = None,
    normalization: str | None = "rw",
    refine: str | None = "fm",
    n_trials: int = 1,
    self_loops: bool = False,
    negative: str = "raise",
    tol: float = 1e-5,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    return_info: bool = False,
) -> Any:
    """Split a graph in two.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n), n >= 2.
    method : {"spectral", "multilevel"}, default="spectral"
        "spectral": cut along the Fiedler vector and, for the cut, along the next two vectors and mixtures of
        them. "multilevel": on coarser and coarser graphs, with the eigenvectors of the coarsest; for
        ``objective="cut"``.
    objective : {"ncut", "cut", "ratio", "conductance"}, default="ncut"
        What is made small, as in `sweep_cut`.
    rounding : {"sweep", "median", "sign", "gap", "kmeans"}, default="sweep"
        How the Fiedler vector is cut. "sweep": at the best value of the objective. "median": where the weight
        is `fraction`. "sign": at 0, nodes that count as 0 on the lighter side. "gap": at the largest gap.
        "kmeans": where the two sides vary least.
    imbalance : float or None, default=None
        Each side weighs at most (1 + imbalance) times its share (rounded up where all weights are whole
        numbers). None: 0.03 for ``objective="cut"``, no bound for the others.
    fraction : float, default=0.5
        Share of the weight on the first side.
    min_fraction : float, default=0.0
        Without an imbalance: least share of the weight on each side.
    node_weight : array of shape (n,) or None, default=None
        Weights >= 0 of the nodes; None: 1 each.
    normalization : {"rw", "sym", None}, default="rw"
        The Laplacian whose vector is taken ("rw" and "sym" are the same here). None goes astray where nodes
        of small degree stand apart.
    refine : {"fm", "flow", "multilevel"} or None, default="fm"
        "fm": moves of single nodes, by the objective. For the cut also "flow": minimum cuts around the
        boundary; "multilevel": both on coarser graphs that keep the cut.
    n_trials : int, default=1
        For "multilevel": independent runs, of which the best is kept.
    self_loops : bool, default=False
        Count the diagonal of `A` once in the volumes.
    negative : {"raise", "clip", "abs"}, default="raise"
        What negative weights mean: ValueError, 0, or their magnitudes.
    tol : float, default=1e-5
        Largest residual of the eigenvectors.
    random_state : int, numpy generator or None, default=0
        Of the eigensolver's start and the coarse graphs.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.
    callback : callable or None
        Called with ``stage``, ``iteration`` and ``error``; returning True stops the run.
    verbose : int, default=0
        Above 0: a progress bar.
    return_info : bool, default=False
        Return a certificate as well.

    Returns
    -------
    labels : int32 array of shape (n,)
        0 and 1; node 0 is in part 0 (with a `fraction` other than 1/2: part 0 is the one with that share).
    info : PartitionInfo
        With `return_info`.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    DisconnectedGraphWarning
        The graph has more than one component: they are kept whole as far as the balance allows.
    InfeasibleBalanceWarning
        No such balance was found.
    ConvergenceWarning
        The eigenvector stopped before its tolerance.

    References
    ----------
    Alex Pothen, Horst Simon, Kang-Pu Liou, "Partitioning Sparse Matrices with Eigenvectors of Graphs", 1990.
    Lars Hagen, Andrew Kahng, "New Spectral Methods for Ratio Cut Partitioning and Clustering", 1992.
    Bruce Hendrickson, Robert Leland, "A Multilevel Algorithm for Partitioning Graphs", 1995.

    Examples
    --------
    >>> import networkx as nx
    >>> from lapwing.graph import bisect
    >>> bisect(nx.barbell_graph(4, 0)).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    how = _validate.check_choice(method, "method", ("spectral", "multilevel"))
    goal = _validate.check_choice(objective, "objective", OBJECTIVES)
    _validate.check_choice(rounding, "rounding", ROUNDING)
    form = _validate.check_choice(normalization, "normalization", ("rw", "sym", None))
    better = _validate.check_choice(refine, "refine", REFINE)
    trials = _validate.check_integer(n_trials, "n_trials", 1)
    share = _validate.check_positive(fraction, "fraction")
    if share >= 1.0:
        raise ValueError(f"fraction must be less than 1, got {share:g}")
    low = _validate.check_positive(min_fraction, "min_fraction", zero=True)
    if low > 0.5:
        raise ValueError(f"min_fraction must be at most 0.5, got {low:g}")
    if goal != "cut" and (how == "multilevel" or better in ("flow", "multilevel")):
        raise ValueError(
            f"method={how!r}, refine={better!r} make the cut small; objective={goal!r} takes "
            "method='spectral' with refine='fm' or None"
        )
    if imbalance is None and goal == "cut":
        imbalance = IMBALANCE
    if imbalance is not None:
        imbalance = _validate.check_positive(imbalance, "imbalance", zero=True)
        if low > 0:
            raise ValueError("pass imbalance or min_fraction, not both")
    p = _problem(A, node_weight, self_loops, tol, random_state, n_jobs, callback, verbose, negative)
    if p.graph.n < 2:
        raise ValueError(f"A needs at least 2 nodes, got {p.graph.n}")
    labels, info = _bisect(p, how, goal, rounding, imbalance, share, low, form, better, trials)
    if share == 0.5:
        labels, info = _in_order(p, labels, np.full(2, p.total / 2), info)
    _warn(p, info)
    return (labels, info) if return_info else labels


def _bisect(
    p: _Problem,
    method: str,
    objective: str,
    rounding: str,
    imbalance: float | None,
    fraction: float,
    min_fraction: float,
    form: str | None,
    refine: str | None,
    trials: int,
) -> tuple[Labels, PartitionInfo]:
    targets = np.array([fraction, 1.0 - fraction]) * p.total
    if imbalance is None:
        limits = np.full(2, (1.0 - min_fraction) * p.total)
    else:
        limits = p.limits(targets, imbalance)
    return _two(p, method, objective, rounding, targets, limits, form, refine, trials, imbalance is not None)


def _two(
    p: _Problem,
    method: str,
    objective: str,
    rounding: str,
    targets: Floats,
    limits: Floats,
    form: str | None,
    refine: str | None,
    trials: int,
    balanced: bool,
) -> tuple[Labels, PartitionInfo]:
    begin = time.perf_counter()
    part, sizes = p.components
    labels: Labels = np.zeros(p.graph.n, np.int32)
    if len(sizes) > 1:
        if not balanced:
            labels = _whole_components(p, part, objective)
            return labels, _certificate(p, labels, targets, limits, "components", refine, begin, 0.0, None)
        pieces = _place(p, targets, limits)
        if pieces is not None:
            labels = pieces.labels
            if len(pieces.nodes):
                inner = p.part(pieces.nodes)
                outside = np.ones(p.graph.n, bool)
                outside[pieces.nodes] = False
                room = limits - np.bincount(labels[outside], weights=p.weights[outside], minlength=2)
                labels[pieces.nodes], _ = _two(
                    inner, method, objective, rounding, pieces.targets, room, form, refine, trials, True
                )
            return labels, _certificate(p, labels, targets, limits, method, refine, begin, 0.0, None)
        method = "multilevel"  # sees components as they come
    if method == "multilevel":
        found = p.call("partition", labels, targets, limits, refine, trials=trials)
        if targets[0] == targets[1] and limits[0] == limits[1]:  # either may be the first
            labels = _by_first_node(labels)
        return labels, _certificate(
            p, labels, targets, limits, method, refine, begin, np.nan, None, bool(found["stopped"])
        )
    many = objective == "cut" and refine is not None and rounding == "sweep"
    modes = p.modes(3 if many else 2, form)
    eigen = time.perf_counter() - begin
    x = np.ascontiguousarray(modes.vectors[:, : 3 if many else 1])
    if form == "sym":
        root = np.sqrt(p.graph.degrees)
        x = x / np.where(root > 0, root, 1.0)[:, None]
    low, high = float(p.total - limits[1]), float(limits[0])
    mask = _round(p, x[:, 0], rounding, objective, float(targets[0] / p.total), low, high)
    labels[~mask] = 1
    stopped = False
    if many:
        found = p.call("partition", labels, targets, limits, refine, directions=x)
        stopped = bool(found["stopped"])
    elif refine is not None:
        found = p.call("partition_refine", labels, targets, limits, refine, objective=objective)
        stopped = bool(found["stopped"])
    info = _certificate(
        p, labels, targets, limits, "spectral", refine, begin, float(modes.values[0]), (modes, form), stopped
    )
    info.seconds["eigenvectors"] = eigen
    return labels, info


def _whole_components(p: _Problem, part: Labels, objective: str) -> Labels:
    """Every cut between components costs nothing: as even as they allow."""
    weigh = p.weights if objective in ("cut", "ratio") else np.maximum(p.degrees, 0.0)
    weight = np.bincount(part, weights=weigh)
    if not weight.any():
        weight = np.bincount(part).astype(float)
    filled, side = np.zeros(2), np.zeros(len(weight), np.int32)
    for i in np.argsort(-weight, kind="stable"):
        side[i] = int(filled[1] < filled[0])
        filled[side[i]] += weight[i]
    if side.min() == side.max():
        side[-1] = 1 - side[0]
    return side[part]


# ---- certificates ------------------------------------------------------------------------------------


def _certificate(
    p: _Problem,
    labels: Labels,
    targets: Floats,
    limits: Floats,
    method: str,
    refine: str | None,
    begin: float,
    value: float,
    modes: tuple[_Modes, str | None] | None,
    stopped: bool = False,
    tree: PartitionTree | None = None,
) -> PartitionInfo:
    metrics = metrics_of(p.graph, labels, p.weights, p.degrees)
    weights = np.zeros(len(limits))
    weights[: len(metrics.part_weights)] = metrics.part_weights
    bound, cheeger, residual, converged = 0.0, (0.0, np.inf), np.nan, True
    if modes is not None:
        m, form = modes
        sure = max(value - m.residual * m.norm, 0.0)
        residual, converged = m.residual, m.converged
        if form is None:  # cut / w(A) + cut / w(B) >= λ, for nodes of weight 1
            sizes = np.bincount(labels, minlength=2).astype(float)
            bound = sure * float(sizes[0] * sizes[1]) / p.graph.n
        else:
            cheeger = (sure / 2.0, float(np.sqrt(2.0 * value)))
            volumes = np.bincount(labels, weights=p.graph.degrees, minlength=2)
            bound = sure * float(volumes[0] * volumes[1]) / float(volumes.sum())
    return PartitionInfo(
        cut=metrics.cut,
        imbalance=_imbalance(p, weights, targets),
        feasible=bool((weights <= limits * (1 + 1e-9)).all()),
        metrics=metrics,
        method=method,
        refine=refine,
        n_components=len(p.components[1]),
        fiedler_value=value,
        residual=residual,
        lower_bound=bound,
        conductance_bounds=cheeger,
        converged=converged and not stopped,
        tree=tree,
        seconds={"all": time.perf_counter() - begin},
        next_value=float(modes[0].values[1]) if modes is not None and len(modes[0].values) > 1 else np.nan,
        n_negative=p.graph.negatives,
    )


def _imbalance(p: _Problem, weights: Floats, targets: Floats) -> float:
    shares = np.ceil(targets * (1 - 1e-12)) if whole(p.weights) else targets
    return float((weights / shares).max() - 1.0)


def _describe(p: _Problem, labels: Labels, targets: Floats, info: PartitionInfo) -> PartitionInfo:
    """The same certificate after parts were renumbered or changed a little."""
    from dataclasses import replace

    metrics = metrics_of(p.graph, labels, p.weights, p.degrees)
    weights = np.zeros(len(targets))
    weights[: len(metrics.part_weights)] = metrics.part_weights
    return replace(info, metrics=metrics, cut=metrics.cut, imbalance=_imbalance(p, weights, targets))


def _in_order(
    p: _Problem, labels: Labels, targets: Floats, info: PartitionInfo
) -> tuple[Labels, PartitionInfo]:
    """Parts in the order of their first nodes, where they are not, and a certificate that knows it."""
    ordered = _by_first_node(labels)
    return (labels, info) if (ordered == labels).all() else (ordered, _describe(p, ordered, targets, info))


def _warn(p: _Problem, info: PartitionInfo, on_fail: str = "warn") -> None:
    if info.n_components > 1:
        warnings.warn(
            f"the graph has {info.n_components} connected components",
            DisconnectedGraphWarning,
            stacklevel=_caller.level(),
        )
    if not info.feasible:
        heaviest = float(p.weights.max())
        warnings.warn(
            f"no partition within the imbalance was found: the heaviest part is {info.imbalance:.3g} above "
            f"its share (the heaviest node weighs {heaviest:g} of {p.total:g})",
            InfeasibleBalanceWarning,
            stacklevel=_caller.level(),
        )
    if not info.converged:
        message = "the partition stopped early"
        if np.isfinite(info.residual) and info.residual > p.tol:
            message += f": the Fiedler vector has a residual of {info.residual:.1e}"
        if on_fail == "raise":
            raise ConvergenceError(message)
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())


# ---- any number of parts -----------------------------------------------------------------------------


def partition(
    A: Any,
    n_parts: int | None = None,
    *,
    method: str = "auto",
    objective: str = "cut",
    imbalance: float | None = None,
    node_weight: Any = None,
    target_fractions: Any = None,
    refine: str | None = "flow",
    contiguous: bool = False,
    n_trials: int = 1,
    normalization: str | None = "rw",
    min_size: int = 1,
    max_leaf_size: int | None = None,
    min_gap: float = 0.0,
    self_loops: bool = False,
    negative: str = "raise",
    tol: float = 1e-5,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    on_fail: str = "warn",
) -> tuple[Labels, PartitionInfo]:
    """Divide a graph into parts of bounded weight with few edges between them.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n).
    n_parts : int or None, default=None
        Number of parts, 1 to n. None, for other objectives than the cut: as many as `max_leaf_size` and
        `min_gap` lead to.
    method : {"auto", "multilevel", "spectral"}, default="auto"
        "multilevel": a coarser and coarser graph, the coarsest divided by its eigenvectors and by growing
        parts, refined on the way back. "spectral": bisections along eigenvectors of the whole graph. "auto":
        "multilevel" for the cut, "spectral" for the other objectives.
    objective : {"cut", "ncut", "ratio", "conductance"}, default="cut"
        "cut": the weight of the edges between the parts, which are balanced. Others: one bisection after the
        other (`bisect`), each time of the part whose bisection has the smallest objective.
    imbalance : float or None, default=None
        For the cut: each part weighs at most (1 + imbalance) times its share of the weight (rounded up where
        all weights are whole numbers); None: 0.03. Not for the others.
    node_weight : array of shape (n,) or None, default=None
        Weights >= 0 of the nodes; None: 1 each.
    target_fractions : array of shape (n_parts,) or None, default=None
        For the cut: share of the weight of each part, > 0; scaled to the sum 1. None: equal.
    refine : {"flow", "fm", "multilevel"} or None, default="flow"
        "fm": moves of single nodes. "flow": also minimum cuts between neighbouring parts. "multilevel": both,
        in several rounds on coarser graphs that keep the partition. For other objectives than the cut,
        "flow" and "fm" are the same: moves by the objective.
    contiguous : bool, default=False
        For the cut: pieces of a part other than its heaviest are given, as far as the balance allows, to the
        part that they share most edges with. ``info.metrics.pieces`` tells how many are left.
    n_trials : int, default=1
        Independent runs, of which the best is kept.
    normalization : {"rw", "sym", None}, default="rw"
        For "spectral", as in `bisect`.
    min_size : int, default=1
        For other objectives than the cut: parts of fewer than twice as many nodes are not split, and none of
        fewer comes out.
    max_leaf_size : int or None, default=None
        For other objectives than the cut: parts of at most so many nodes are not split, and without `n_parts`
        all others are, as far as `min_size` and `min_gap` allow.
    min_gap : float, default=0.0
        For other objectives than the cut: a part is split only if the third eigenvalue of its Laplacian is
        above the second by so much. A small gap means that its nodes fall into more than two groups, or into
        none.
    self_loops : bool, default=False
        Count the diagonal of `A` once in the volumes.
    negative : {"raise", "clip", "abs"}, default="raise"
        What negative weights mean: ValueError, 0, or their magnitudes.
    tol, random_state, n_jobs, callback, verbose
        As in `bisect`.
    on_fail : {"warn", "raise"}, default="warn"
        What to do when an eigenvector stops before its tolerance, or the callback stops the run.

    Returns
    -------
    labels : int32 array of shape (n,)
        0 to n_parts - 1 in the order of the first nodes; with `target_fractions` in the order of those.
    info : PartitionInfo

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or parts of `min_size` nodes cannot be split any further.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    DisconnectedGraphWarning, InfeasibleBalanceWarning, ConvergenceWarning
        As in `bisect`.

    References
    ----------
    Stephen Barnard, Horst Simon, "Fast multilevel implementation of recursive spectral bisection for
    partitioning unstructured problems", 1994.

    George Karypis, Vipin Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning Irregular
    Graphs", 1998.

    Peter Sanders, Christian Schulz, "Engineering Multilevel Graph Partitioning Algorithms", 2011.

    Examples
    --------
    >>> import networkx as nx
    >>> from lapwing.graph import partition
    >>> labels, info = partition(nx.grid_2d_graph(8, 8), 4)
    >>> info.cut, info.imbalance, info.metrics.part_weights.tolist()
    (16.0, 0.0, [16.0, 16.0, 16.0, 16.0])
    """
    how = _validate.check_choice(method, "method", ("auto", "multilevel", "spectral"))
    goal = _validate.check_choice(objective, "objective", OBJECTIVES)
    better = _validate.check_choice(refine, "refine", REFINE)
    form = _validate.check_choice(normalization, "normalization", ("rw", "sym", None))
    trials = _validate.check_integer(n_trials, "n_trials", 1)
    least = _validate.check_integer(min_size, "min_size", 1)
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    if goal != "cut":
        if how == "multilevel" or imbalance is not None or target_fractions is not None:
            raise ValueError(
                "method='multilevel', imbalance and target_fractions go with objective='cut', "
                f"got objective={goal!r}"
            )
        if contiguous:
            raise ValueError("contiguous goes with objective='cut': the others move no pieces")
    elif least > 1 or max_leaf_size is not None or min_gap != 0.0:
        raise ValueError(
            "min_size, max_leaf_size and min_gap go with the objectives other than the cut, whose parts are "
            "balanced"
        )
    leaf = None if max_leaf_size is None else _validate.check_integer(max_leaf_size, "max_leaf_size", 1)
    gap = _validate.check_positive(min_gap, "min_gap", zero=True)
    if n_parts is None and (goal == "cut" or (leaf is None and gap == 0.0)):
        raise ValueError("n_parts is needed, or for an objective other than the cut max_leaf_size or min_gap")
    allowed = _validate.check_positive(IMBALANCE if imbalance is None else imbalance, "imbalance", zero=True)
    p = _problem(A, node_weight, self_loops, tol, random_state, n_jobs, callback, verbose, negative)
    k = p.graph.n if n_parts is None else _validate.check_integer(n_parts, "n_parts", 1, p.graph.n)
    fractions = np.full(k, 1.0 / k)
    if target_fractions is not None:
        fractions = _validate.check_weights(target_fractions, k, "target_fractions")
        if not (fractions > 0).all():
            raise ValueError(f"target_fractions must be > 0, got {fractions.min():g}")
        fractions = fractions / fractions.sum()
    targets = fractions * p.total
    if k == 1:
        labels: Labels = np.zeros(p.graph.n, np.int32)
        info = _certificate(p, labels, targets, p.limits(targets, allowed), "none", None, time.perf_counter(),
                            np.nan, None)  # fmt: skip
    elif goal != "cut":
        stop = _Stop(least, leaf, gap, n_parts is None)
        labels, info = _divide(p, k, goal, form, None if better is None else "fm", stop)
        targets = np.full(info.metrics.n_parts, p.total / info.metrics.n_parts)
    elif how == "spectral":
        labels, info = _recursive(p, targets, allowed, form, better, trials)
    else:
        labels, info = _multilevel(p, targets, allowed, better, trials)
    if contiguous and _joined(p, labels, p.limits(targets, allowed)):
        info = _describe(p, labels, targets, info)
    if target_fractions is None:
        labels, info = _in_order(p, labels, targets, info)
    _warn(p, info, on_fail)
    return labels, info


class _Stop(NamedTuple):
    """When a set of nodes is not split any further."""

    min_size: int
    max_leaf_size: int | None
    min_gap: float
    open_end: bool  # no number of parts was asked for


def _joined(p: _Problem, labels: Labels, limits: Floats) -> bool:
    """Gives small pieces of parts to their neighbours, in place; whether any moved."""
    from scipy.sparse import csr_array

    source, target = p.graph.sources, p.graph.indices
    weights = np.bincount(labels, weights=p.weights, minlength=len(limits))
    moved = False
    for _ in range(len(limits)):
        inside = labels[source] == labels[target]
        inner = csr_array((p.graph.values[inside], (source[inside], target[inside])), shape=(p.graph.n,) * 2)
        piece, sizes = _backend.extension().components(*_graphs.as_graph(inner).csr)
        count = len(sizes)
        weight = np.bincount(piece, weights=p.weights, minlength=count)
        owner = np.empty(count, np.int64)
        owner[piece] = labels
        order = np.lexsort((np.arange(count), -weight, owner))
        main = order[np.concatenate([[True], np.diff(owner[order]) > 0])]
        minor = np.setdiff1d(np.arange(count), main)
        shared = csr_array(
            (p.graph.values[~inside], (piece[source[~inside]], labels[target[~inside]])),
            shape=(count, len(limits)),
        )
        shared.sum_duplicates()
        any_now = False
        for i in minor[np.argsort(weight[minor], kind="stable")]:
            row = slice(shared.indptr[i], shared.indptr[i + 1])
            parts, edges = shared.indices[row], shared.data[row]
            room = weights[parts] + weight[i] <= limits[parts] * (1 + 1e-12)
            if not room.any():
                continue
            best = int(parts[np.argmax(np.where(room, edges, -1.0))])
            labels[piece == i] = best
            weights[owner[i]] -= weight[i]
            weights[best] += weight[i]
            any_now = moved = True
        if not any_now:
            break
    return moved


def _multilevel(
    p: _Problem, targets: Floats, imbalance: float, refine: str | None, trials: int
) -> tuple[Labels, PartitionInfo]:
    limits = p.limits(targets, imbalance)
    if len(targets) == 2:
        return _two(p, "multilevel", "cut", "sweep", targets, limits, "rw", refine, trials, True)
    begin = time.perf_counter()
    labels = _pack(p, targets, limits)
    if labels is not None:
        return labels, _certificate(p, labels, targets, limits, "components", refine, begin, np.nan, None)
    labels = np.zeros(p.graph.n, np.int32)
    found = p.call("partition", labels, targets, limits, refine, trials=trials)
    if (targets == targets[0]).all():
        labels = _by_first_node(labels)
    return labels, _certificate(
        p, labels, targets, limits, "multilevel", refine, begin, np.nan, None, bool(found["stopped"])
    )


def _recursive(
    p: _Problem, targets: Floats, imbalance: float, form: str | None, refine: str | None, trials: int
) -> tuple[Labels, PartitionInfo]:
    """Bisection upon bisection along eigenvectors, then all parts together."""
    begin = time.perf_counter()
    limits = p.limits(targets, imbalance)
    labels = np.zeros(p.graph.n, np.int32)
    first: PartitionInfo | None = None

    def split(q: _Problem, nodes: NDArray[np.intp], lo: int, hi: int) -> None:
        nonlocal first
        if hi - lo == 1:
            labels[nodes] = lo
            return
        middle = (lo + hi + 1) // 2
        sides = np.array([targets[lo:middle].sum(), targets[middle:hi].sum()])
        sides *= q.total / sides.sum()
        allowed = np.array([limits[lo:middle].sum(), limits[middle:hi].sum()])
        room = max(limits[lo:hi].sum() / max(q.total, 1e-300), 1.0) ** (1.0 / np.ceil(np.log2(hi - lo)))
        if len(nodes) <= hi - lo:  # nothing to choose
            side = (np.arange(len(nodes)) >= middle - lo).astype(np.int32)
        else:
            side, info = _two(
                q,
                "spectral",
                "cut",
                "sweep",
                sides,
                np.minimum(sides * room, allowed),
                form,
                refine,
                trials,
                True,
            )
            first = info if first is None else first
        for s, (a, b) in enumerate(((lo, middle), (middle, hi))):
            mine = np.flatnonzero(side == s)
            if len(mine):
                split(q.part(mine), nodes[mine], a, b)

    split(p, np.arange(p.graph.n), 0, len(targets))
    stopped = False
    if refine is not None and len(targets) > 2:
        stopped = bool(p.call("partition_refine", labels, targets, limits, refine)["stopped"])
    done = _certificate(p, labels, targets, limits, "spectral", refine, begin, np.nan, None, stopped)
    if first is not None and len(targets) == 2:
        from dataclasses import replace

        done = replace(
            done, fiedler_value=first.fiedler_value, next_value=first.next_value, residual=first.residual,
            lower_bound=first.lower_bound,
            conductance_bounds=first.conductance_bounds, converged=done.converged and first.converged,
        )  # fmt: skip
    return labels, done


def _divide(
    p: _Problem, k: int, objective: str, form: str | None, refine: str | None, stop: _Stop
) -> tuple[Labels, PartitionInfo]:
    """One bisection after the other, the one with the smallest objective first."""
    begin = time.perf_counter()
    min_size = stop.min_size
    rows: list[list[float]] = []
    halves: dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
    leaves: dict[int, NDArray[np.intp]] = {}
    first: PartitionInfo | None = None
    converged = True

    def look(nodes: NDArray[np.intp]) -> int:
        nonlocal first, converged
        row = len(rows)
        rows.append([-1, -1, len(nodes), np.nan, np.nan, np.nan])
        leaves[row] = nodes
        if len(nodes) < 2 * min_size or len(nodes) < 2:
            return row
        if stop.max_leaf_size is not None and len(nodes) <= stop.max_leaf_size:
            return row
        q = p.part(nodes)
        if not q.weights.any():
            return row
        fraction = min(min_size / len(nodes), 0.5) if min_size > 1 else 0.0
        side, info = _bisect(q, "spectral", objective, "sweep", None, 0.5, fraction, form, refine, 1)
        counts = np.bincount(side, minlength=2)
        if counts.min() < min_size:
            return row
        gap = info.next_value - info.fiedler_value if info.n_components == 1 else np.inf
        if stop.min_gap > 0 and not gap >= stop.min_gap:
            return row  # also where there is no third eigenvalue
        m = info.metrics
        value = {"ncut": m.ncut, "ratio": m.ratio_cut, "conductance": m.conductance}[objective]
        rows[row][3:] = [info.fiedler_value, info.cut, value]
        halves[row] = (nodes[side == 0], nodes[side == 1])
        first = info if first is None else first
        converged = converged and info.converged
        return row

    look(np.arange(p.graph.n))
    while len(leaves) < k:
        ready = [row for row in leaves if row in halves]
        if not ready and (stop.open_end or stop.max_leaf_size is not None or stop.min_gap > 0):
            break
        if not ready:
            raise ValueError(
                f"n_parts={k} parts of at least min_size={min_size} nodes were not found: the splits ended "
                f"at {len(leaves)} parts"
            )
        row = min(ready, key=lambda r: (rows[r][5], r))
        del leaves[row]
        for side, nodes in enumerate(halves.pop(row)):
            rows[row][side] = look(nodes)
    labels = np.empty(p.graph.n, np.int32)
    for part, nodes in enumerate(leaves.values()):
        labels[nodes] = part
    table = np.array(rows)
    tree = PartitionTree(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype(np.int64), table[:, 3],
        table[:, 4], table[:, 5],
    )  # fmt: skip
    k = len(leaves)
    targets = np.full(k, p.total / k)
    info = _certificate(
        p, labels, targets, np.full(k, np.inf), "spectral", refine, begin, np.nan, None, not converged, tree
    )
    if first is not None:
        from dataclasses import replace

        info = replace(
            info, fiedler_value=first.fiedler_value, next_value=first.next_value, residual=first.residual,
            conductance_bounds=first.conductance_bounds,
            lower_bound=first.lower_bound if k == 2 else 0.0,
        )  # fmt: skip
    return labels, info


# ---- refinement alone --------------------------------------------------------------------------------


def _refine(
    A: Any,
    labels: Any,
    imbalance: float,
    how: str,
    node_weight: Any,
    target_fractions: Any,
    random_state: Any,
    n_jobs: int | None,
    callback: Callback | None,
    verbose: int,
) -> Labels:
    allowed = _validate.check_positive(imbalance, "imbalance", zero=True)
    p = _problem(A, node_weight, False, 1e-5, random_state, n_jobs, callback, verbose)
    mine: Labels = check_labels(labels, p.graph.n).copy()
    k = int(mine.max()) + 1
    if target_fractions is None:
        fractions = np.full(k, 1.0 / k)
    else:
        fractions = _validate.check_weights(
            target_fractions, len(np.atleast_1d(target_fractions)), "target_fractions"
        )
        if len(fractions) < k or not (fractions > 0).all():
            raise ValueError(f"target_fractions must hold {k} numbers > 0, got {fractions.tolist()}")
        fractions = fractions / fractions.sum()
    targets = fractions * p.total
    limits = p.limits(targets, allowed)
    found = p.call("partition_refine", mine, targets, limits, how)
    if not found["feasible"]:
        weights = np.bincount(mine, weights=p.weights, minlength=len(targets))
        warnings.warn(
            f"no partition within the imbalance was found: a part weighs {weights.max():g}",
            InfeasibleBalanceWarning,
            stacklevel=_caller.level(),
        )
    return mine


def refine_fm(
    A: Any,
    labels: Any,
    *,
    imbalance: float = IMBALANCE,
    node_weight: Any = None,
    target_fractions: Any = None,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> Labels:
    """Improve the cut of a partition by moves of single nodes.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n).
    labels : int array of shape (n,)
        Part of each node, 0 to k - 1.
    imbalance : float, default=0.03
        Each part weighs at most (1 + imbalance) times its share (rounded up where all weights are whole
        numbers). Parts that weigh more are mended first.
    node_weight : array of shape (n,) or None, default=None
        Weights >= 0 of the nodes; None: 1 each.
    target_fractions : array of shape (k,) or None, default=None
        Share of the weight of each part; None: equal.
    random_state, n_jobs, callback, verbose
        As in `bisect`.

    Returns
    -------
    int32 array of shape (n,)
        The parts keep their numbers. The cut of a partition within the imbalance never gets worse.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    InfeasibleBalanceWarning
        No such balance was found.

    References
    ----------
    Charles Fiduccia, Robert Mattheyses, "A Linear-Time Heuristic for Improving Network Partitions", 1982.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import refine_fm
    >>> path = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)
    >>> refine_fm(path, [0, 1, 0, 1, 0, 1]).tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    True
    """
    return _refine(
        A, labels, imbalance, "fm", node_weight, target_fractions, random_state, n_jobs, callback, verbose
    )


def refine_flow(
    A: Any,
    labels: Any,
    *,
    imbalance: float = IMBALANCE,
    node_weight: Any = None,
    target_fractions: Any = None,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> Labels:
    """Improve the cut of a partition by moves of single nodes and by minimum cuts around its boundaries.

    Parameters
    ----------
    A, labels, imbalance, node_weight, target_fractions, random_state, n_jobs, callback, verbose
        As in `refine_fm`.

    Returns
    -------
    int32 array of shape (n,)
        The parts keep their numbers. The cut of a partition within the imbalance never gets worse.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Warns
    -----
    InfeasibleBalanceWarning
        No such balance was found.

    References
    ----------
    Peter Sanders, Christian Schulz, "Engineering Multilevel Graph Partitioning Algorithms", 2011.

    Michael Hamann, Ben Strasser, "Graph Bisection with Pareto-Optimization", 2016.
    """
    return _refine(
        A, labels, imbalance, "flow", node_weight, target_fractions, random_state, n_jobs, callback, verbose
    )
