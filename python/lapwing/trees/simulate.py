"""Simulated trees, sequences and real observations on trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing.phylo import Tree

__all__ = [
    "balanced",
    "birth_death",
    "caterpillar",
    "kingman",
    "population_similarity",
    "simulate_gaussian",
    "simulate_sequences",
    "simulate_tree",
]

Doubles = NDArray[np.float64]


def _generator(random_state: Any) -> np.random.Generator:
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(_validate.check_seed(random_state))


def kingman(m: int, *, random_state: Any = 0) -> Tree:
    """Kingman's coalescent: a rooted tree with all leaves at the same distance from the root.

    With k lineages left, two of them join after a waiting time of mean ``2 / (k (k - 1))``.

    Parameters
    ----------
    m : int
        Number of leaves, >= 2.
    random_state : int, numpy generator or None, default=0
        Seed.

    Returns
    -------
    Tree

    Examples
    --------
    >>> from lapwing.trees import kingman
    >>> kingman(5).n_nodes
    9
    """
    m = _validate.check_integer(m, "m", 2)
    rng = _generator(random_state)
    parent = np.full(2 * m - 1, -1)
    time = np.zeros(2 * m - 1)
    lineages = list(range(m))
    now = 0.0
    for node in range(m, 2 * m - 1):
        k = len(lineages)
        now += rng.exponential(2 / (k * (k - 1)))
        i, j = rng.choice(k, 2, replace=False).tolist()
        parent[[lineages[i], lineages[j]]] = node
        time[node] = now
        for x in sorted((i, j), reverse=True):
            del lineages[x]
        lineages.append(node)
    return Tree(parent, np.where(parent >= 0, time[parent] - time, 0.0))


def birth_death(m: int, *, birth: float = 0.5, death: float = 0.0, random_state: Any = 0) -> Tree:
    """Birth and death process until there are m living tips: a rooted tree.

    Every tip splits in two at rate `birth` and dies at rate `death`; one more waiting time follows the last
    split. If all die out the process begins anew.

    Parameters
    ----------
    m : int
        Number of leaves, >= 2.
    birth : float, default=0.5
        Rate of splits, > 0.
    death : float, default=0.0
        Rate of deaths, below `birth`.
    random_state : int, numpy generator or None, default=0
        Seed.

    Returns
    -------
    Tree
        The tree of the living tips, all at the same distance from its root.

    Examples
    --------
    >>> from lapwing.trees import birth_death
    >>> birth_death(6).n_leaves
    6
    """
    m = _validate.check_integer(m, "m", 2)
    birth = _validate.check_positive(birth, "birth")
    death = _validate.check_positive(death, "death", zero=True)
    if death >= birth:
        raise ValueError(f"death must be below birth, got {death} and {birth}")
    rng = _generator(random_state)
    while True:
        # nodes are numbered as they are made; the first split is node 0
        above, start = [-1, 0, 0], [0.0, 0.0, 0.0]
        split_at: dict[int, float] = {0: 0.0}
        tips = [1, 2]
        now = 0.0
        while 0 < len(tips) < m:
            now += rng.exponential(1 / ((birth + death) * len(tips)))
            at = int(rng.integers(len(tips)))
            if death > 0 and rng.random() < death / (birth + death):
                del tips[at]
                continue
            node = tips[at]
            split_at[node] = now
            above += [node, node]
            start += [now, now]
            tips[at] = len(above) - 2
            tips.append(len(above) - 1)
        if tips:
            break
    now += rng.exponential(1 / ((birth + death) * m))
    # leaves in the order of the tips; splits by falling time, the root last
    inner = sorted(split_at, key=lambda i: -split_at[i])
    place = {node: i for i, node in enumerate([*tips, *inner])}
    dead = set(range(len(above))) - set(place)
    count = len(place)
    parent = np.full(count + len(dead), -1)
    length = np.zeros(len(parent))
    for node, i in place.items():
        if above[node] >= 0:
            parent[i] = place[above[node]]
            length[i] = split_at.get(node, now) - start[node]
    if not dead:
        return Tree(parent[:count], length[:count])
    # With dead tips as further leaves, which are then taken out.
    number = {node: m + i for i, node in enumerate(sorted(dead))}
    shift = {**{t: i for i, t in enumerate(tips)}, **number}
    shift |= {node: m + len(dead) + i for i, node in enumerate(inner)}
    up, size = np.full(len(above), -1), np.zeros(len(above))
    for node, i in shift.items():
        if above[node] >= 0:
            up[i] = shift[above[node]]
            size[i] = split_at.get(node, now) - start[node]
    tree = Tree(up, size)
    return tree.pruned(tree.names[:m])


def caterpillar(m: int, *, edge: float = 1.0) -> Tree:
    """The least balanced tree: each inner node has a leaf, all edges are equally long.

    Parameters
    ----------
    m : int
        Number of leaves, >= 2.
    edge : float, default=1.0
        Length of every edge.

    Returns
    -------
    Tree
        Rooted: leaf 0 and leaf 1 are the deepest pair.

    Examples
    --------
    >>> from lapwing.trees import caterpillar
    >>> caterpillar(4).newick(lengths=False)
    '(((0,1),2),3);'
    """
    m = _validate.check_integer(m, "m", 2)
    edge = _validate.check_positive(edge, "edge", zero=True)
    inner = np.arange(m, 2 * m - 1)
    parent = np.r_[m, inner, inner[1:], -1]
    return Tree(parent, np.r_[np.full(2 * m - 2, edge), 0.0])


def balanced(m: int, *, edge: float = 1.0) -> Tree:
    """The most balanced tree on a power of two leaves, all edges equally long.

    Parameters
    ----------
    m : int
        Number of leaves: 2, 4, 8, ...
    edge : float, default=1.0
        Length of every edge.

    Returns
    -------
    Tree
        Rooted.

    Examples
    --------
    >>> from lapwing.trees import balanced
    >>> balanced(4).newick(lengths=False)
    '((0,1),(2,3));'
    """
    m = _validate.check_integer(m, "m", 2)
    edge = _validate.check_positive(edge, "edge", zero=True)
    if m & (m - 1):
        raise ValueError(f"m must be a power of two, got {m}")
    # node i of a heap whose leaves are the last m places, turned round
    heap = np.arange(1, 2 * m)
    number = np.where(heap >= m, heap - m, m + (m - 1) - heap)
    up = np.where(heap > 1, m + (m - 1) - heap // 2, -1)
    parent = np.empty(2 * m - 1, dtype=np.int64)
    parent[number] = up
    return Tree(parent, np.r_[np.full(2 * m - 2, edge), 0.0])


_TREES: dict[str, Callable[..., Tree]] = {
    "kingman": kingman,
    "birth_death": birth_death,
    "caterpillar": caterpillar,
    "balanced": balanced,
}


def simulate_tree(model: str, m: int, **options: Any) -> Tree:
    """Make a tree of a model.

    Parameters
    ----------
    model : {"kingman", "birth_death", "caterpillar", "balanced"}
        See the functions of these names.
    m : int
        Number of leaves.
    **options
        Those of the function.

    Returns
    -------
    Tree

    Examples
    --------
    >>> from lapwing.trees import simulate_tree
    >>> simulate_tree("balanced", 8).n_leaves
    8
    """
    _validate.check_choice(model, "model", tuple(_TREES))
    return _TREES[model](m, **options)


def _rates(model: str, k: int, kappa: float, pi: Doubles, kappas: Any, exchange: Any) -> Doubles:
    """Rate matrix with one expected substitution a unit of length."""
    if model == "jc69":
        R = np.ones((k, k))
    elif model in ("k80", "hky85"):
        R = np.ones((4, 4))
        for x, y in ((0, 2), (1, 3)):
            R[x, y] = R[y, x] = kappa
    elif model == "tn93":
        R = np.ones((4, 4))
        R[0, 2] = R[2, 0] = kappas[0]
        R[1, 3] = R[3, 1] = kappas[1]
    else:
        R = np.zeros((4, 4))
        R[np.triu_indices(4, 1)] = exchange
        R += R.T
    Q = R * pi[None, :]
    np.fill_diagonal(Q, 0.0)
    np.fill_diagonal(Q, -Q.sum(axis=1))
    return np.asarray(Q / -(pi @ np.diagonal(Q)))


def _downwards(tree: Tree) -> list[int]:
    """Nodes but the root, parents first: inner nodes by depth, then leaves from the last to the first."""
    m, n = tree.n_leaves, tree.n_nodes
    inner = np.arange(m, n - 1)
    order = inner[np.lexsort((-inner, tree.depths()[inner]))]
    return [*order.tolist(), *range(m - 1, -1, -1)][: n - 1]


def simulate_sequences(
    tree: Tree,
    n: int,
    *,
    model: str = "jc69",
    n_states: int = 4,
    kappa: float = 2.0,
    kappas: tuple[float, float] = (2.0, 2.0),
    exchange: Any = None,
    frequencies: Any = None,
    rate: float = 1.0,
    gamma: float | None = None,
    invariant: float = 0.0,
    random_state: Any = 0,
) -> NDArray[np.int8]:
    """Sequences at the leaves of a tree: a Markov chain along its edges, sites independent.

    Parameters
    ----------
    tree : Tree
        With the lengths of all edges; the root's state is drawn from the stationary law.
    n : int
        Number of sites.
    model : {"jc69", "k80", "hky85", "tn93", "gtr"}, default="jc69"
        "jc69" for any number of states, the others for A, C, G, T.
    n_states : int, default=4
        For "jc69": 2 to 64.
    kappa : float, default=2.0
        For "k80" and "hky85": rate of transitions over that of transversions.
    kappas : tuple of float, default=(2.0, 2.0)
        For "tn93": the same for A-G and for C-T.
    exchange : sequence of 6 floats or None, default=None
        For "gtr": exchange rates of AC, AG, AT, CG, CT, GT; None: all 1.
    frequencies : sequence of float or None, default=None
        Stationary law, summing to 1; None: uniform. Uniform for "jc69" and "k80".
    rate : float, default=1.0
        Expected substitutions per site and unit of length.
    gamma : float or None, default=None
        Shape of a gamma distribution of the sites' rates, of mean 1; None: all alike.
    invariant : float, default=0.0
        Part of the sites that never change, in [0, 1).
    random_state : int, numpy generator or None, default=0
        Seed.

    Returns
    -------
    int8 array of shape (n_leaves, n)
        States 0 to k - 1; for DNA in the order A, C, G, T.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> from lapwing.trees import kingman, simulate_sequences
    >>> simulate_sequences(kingman(6), 100, model="hky85", rate=0.4).shape
    (6, 100)
    """
    n = _validate.check_integer(n, "n", 1)
    _validate.check_choice(model, "model", ("jc69", "k80", "hky85", "tn93", "gtr"))
    k = _validate.check_integer(n_states, "n_states", 2, 64)
    if model != "jc69" and k != 4:
        raise ValueError(f"model {model!r} is for 4 states, got n_states={k}")
    kappa = _validate.check_positive(kappa, "kappa")
    rate = _validate.check_positive(rate, "rate", zero=True)
    if gamma is not None:
        gamma = _validate.check_positive(gamma, "gamma")
    invariant = _validate.check_positive(invariant, "invariant", zero=True)
    if invariant >= 1:
        raise ValueError(f"invariant must be below 1, got {invariant}")
    pi = np.full(k, 1 / k)
    if frequencies is not None:
        if model in ("jc69", "k80"):
            raise ValueError(f"model {model!r} has uniform frequencies")
        pi = _validate.check_weights(frequencies, k, "frequencies")
        if abs(pi.sum() - 1) > 1e-9:
            raise ValueError(f"frequencies must sum to 1, got {pi.sum():g}")
        pi = pi / pi.sum()
    if exchange is not None:
        exchange = _validate.check_weights(exchange, 6, "exchange")
    if np.isnan(tree.length[:-1]).any() or (tree.length[:-1] < 0).any():
        raise ValueError("tree must have lengths >= 0 on all edges")
    rng = _generator(random_state)
    Q = _rates(model, k, kappa, pi, kappas, np.ones(6) if exchange is None else exchange)
    # Q is similar to a symmetric matrix
    root = np.sqrt(np.where(pi > 0, pi, 1.0))
    values, W = np.linalg.eigh(root[:, None] * Q / root[None, :])
    left, right = W / root[:, None], W.T * root[None, :]
    speed = None
    states = np.empty((tree.n_nodes, n), dtype=np.int8)
    states[-1] = rng.choice(k, n, p=pi)
    if gamma is not None:
        speed = rng.gamma(gamma, 1 / gamma, n)
    if invariant > 0:
        speed = (np.ones(n) if speed is None else speed) * (rng.random(n) >= invariant)
    for i in _downwards(tree):
        t = tree.length[i] * rate
        above = states[tree.parent[i]]
        draws = rng.random(n)
        if speed is None:
            P = np.clip((left * np.exp(values * t)) @ right, 0.0, None)
            total = np.cumsum(P / P.sum(axis=1, keepdims=True), axis=1)[:, :-1]
            states[i] = (total[above] < draws[:, None]).sum(axis=1)
        else:
            P = np.clip((left[above] * np.exp(np.outer(speed * t, values))) @ right, 0.0, None)
            total = np.cumsum(P / P.sum(axis=1, keepdims=True), axis=1)[:, :-1]
            states[i] = (total < draws[:, None]).sum(axis=1)
    return states[: tree.n_leaves]


def simulate_gaussian(tree: Tree, n: int, *, rate: float = 1.0, random_state: Any = 0) -> Doubles:
    """Real observations at the leaves of a Gaussian tree: the correlation of two nodes is exp(-rate path).

    Parameters
    ----------
    tree : Tree
        With the lengths of all edges.
    n : int
        Number of observations.
    rate : float, default=1.0
        Factor of the lengths.
    random_state : int, numpy generator or None, default=0
        Seed.

    Returns
    -------
    float64 array of shape (n_leaves, n)
        Mean 0, variance 1.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> from lapwing.trees import balanced, simulate_gaussian
    >>> simulate_gaussian(balanced(4), 10).shape
    (4, 10)
    """
    n = _validate.check_integer(n, "n", 1)
    rate = _validate.check_positive(rate, "rate", zero=True)
    if np.isnan(tree.length[:-1]).any() or (tree.length[:-1] < 0).any():
        raise ValueError("tree must have lengths >= 0 on all edges")
    rng = _generator(random_state)
    x = np.empty((tree.n_nodes, n))
    x[-1] = rng.normal(size=n)
    rho = np.exp(-tree.length * rate)
    for i in _downwards(tree):
        x[i] = rho[i] * x[tree.parent[i]] + np.sqrt(max(0.0, 1 - rho[i] ** 2)) * rng.normal(size=n)
    return x[: tree.n_leaves]


def population_similarity(tree: Tree, c: float = 1.0) -> Doubles:
    """Exact similarities ``exp(-c path length)`` of the leaves of a tree.

    Parameters
    ----------
    tree : Tree
        With the lengths of all edges.
    c : float, default=1.0
        Scale: k for the k-state Jukes-Cantor model, times the rate.

    Returns
    -------
    float64 array of shape (n_leaves, n_leaves)

    Examples
    --------
    >>> from lapwing.trees import balanced, population_similarity
    >>> population_similarity(balanced(2), 0.5).round(4).tolist()
    [[1.0, 0.3679], [0.3679, 1.0]]
    """
    c = _validate.check_positive(c, "c")
    if np.isnan(tree.length[:-1]).any():
        raise ValueError("tree must have the lengths of all edges")
    return np.asarray(np.exp(-c * tree.path_lengths()))
