"""How much two trees differ. Trees are taken without their roots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing.phylo import Tree

__all__ = [
    "branch_score",
    "partition_correct",
    "quartet_distance",
    "robinson_foulds",
    "split_keys",
    "split_precision_recall",
    "weighted_rf",
]

Keys = NDArray[np.uint64]
#: Two words a leaf: the chance that two different splits of trees with a million leaves look alike is 1e-26.
KEY = [("high", np.uint64), ("low", np.uint64)]


def _align(T: Tree, U: Tree, prune: bool) -> tuple[Tree, Tree]:
    if T.names != U.names:
        one, two = set(T.names), set(U.names)
        if one != two:
            if not prune:
                only = [f"{x!r} (only in T)" for x in sorted(one - two)]
                only += [f"{x!r} (only in U)" for x in sorted(two - one)]
                raise ValueError(
                    f"T and U have different leaves: {', '.join(only[:5])}"
                    + (f" and {len(only) - 5} more" if len(only) > 5 else "")
                    + "; prune=True compares those in common"
                )
            common = one & two
            if not common:
                raise ValueError("T and U have no leaf in common")
            T, U = T.pruned(common), U.pruned(common)
        if T.names != U.names:
            U = U.reordered(T.names)
    return T, U


def split_keys(tree: Tree) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A key for the split of each edge, from the node below it, and whether the split is not trivial.

    The key is the exclusive or of random words of the leaves on the side without leaf 0.
    """
    m = tree.n_leaves
    words = np.random.default_rng(0x7EE5).integers(0, 2**64, (m, 2), dtype=np.uint64)
    order, first, last = tree.layout
    running = np.zeros((m + 1, 2), dtype=np.uint64)
    np.bitwise_xor.accumulate(words[order], axis=0, out=running[1:])
    below = running[last[:-1]] ^ running[first[:-1]]
    position = int(np.flatnonzero(order == 0)[0])
    with_zero = (first[:-1] <= position) & (position < last[:-1])
    below[with_zero] ^= running[m]
    size = (last - first)[:-1]
    keys: NDArray[Any] = np.ascontiguousarray(below).view(KEY).ravel()
    return keys, (size >= 2) & (size <= m - 2)


def _splits(tree: Tree, *, trivial: bool) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Sorted keys of a tree's splits and the lengths of their edges.

    Lengths of edges that make the same split are added; NaN counts as 0.
    """
    keys, inner = split_keys(tree)
    _, first, last = tree.layout
    kept = (last - first)[:-1] < tree.n_leaves if trivial else inner
    unique, inverse = np.unique(keys[kept], return_inverse=True)
    lengths = np.zeros(len(unique))
    np.add.at(lengths, inverse, np.nan_to_num(tree.length[:-1][kept]))
    return unique, lengths


def _count_splits(T: Tree, U: Tree, prune: bool) -> tuple[int, int, int]:
    """Splits of the one, of the other and of both, those of single leaves left out."""
    T, U = _align(T, U, prune)
    one, two = _splits(T, trivial=False)[0], _splits(U, trivial=False)[0]
    return len(one), len(two), len(np.intersect1d(one, two, assume_unique=True))


def robinson_foulds(T: Tree, U: Tree, *, normalized: bool = False, prune: bool = False) -> float:
    """Robinson-Foulds distance: the number of splits of the leaves that only one of the trees has.

    Parameters
    ----------
    T, U : Tree
        Trees on the same leaves; their roots do not count.
    normalized : bool, default=False
        Divide by the number of splits of both (for binary trees ``2 m - 6``); 0 if there are none.
    prune : bool, default=False
        Compare the trees of the leaves that both have.

    Returns
    -------
    float
        A whole number unless `normalized`. Splits that every tree has (one leaf against the rest) do not
        count.

    Raises
    ------
    ValueError
        The leaves differ, and not `prune`.

    References
    ----------
    D. F. Robinson, L. R. Foulds, "Comparison of phylogenetic trees", 1981.

    Examples
    --------
    >>> from lapwing.trees import read_newick, robinson_foulds
    >>> robinson_foulds(read_newick("((a,b),(c,d),e);"), read_newick("((a,c),(b,d),e);"))
    4.0
    """
    one, two, common = _count_splits(T, U, prune)
    total = one + two
    distance = float(total - 2 * common)
    return distance / total if normalized and total else distance


def split_precision_recall(T: Tree, truth: Tree, *, prune: bool = False) -> tuple[float, float]:
    """Which part of a tree's splits is true, and which part of the true ones it has.

    Parameters
    ----------
    T, truth : Tree
        Trees on the same leaves.
    prune : bool, default=False
        Compare the trees of the leaves that both have.

    Returns
    -------
    precision, recall : float
        1 where there are no splits.

    Raises
    ------
    ValueError
        The leaves differ, and not `prune`.

    Examples
    --------
    >>> from lapwing.trees import read_newick, split_precision_recall
    >>> split_precision_recall(read_newick("((a,b),c,d,e);"), read_newick("((a,b),(c,d),e);"))
    (1.0, 0.5)
    """
    one, two, common = _count_splits(T, truth, prune)
    return (common / one if one else 1.0, common / two if two else 1.0)


def _length_differences(T: Tree, U: Tree, prune: bool) -> NDArray[np.float64]:
    T, U = _align(T, U, prune)
    (one, x), (two, y) = _splits(T, trivial=True), _splits(U, trivial=True)
    everything = np.union1d(one, two)
    difference = np.zeros(len(everything))
    difference[np.searchsorted(everything, one)] += x
    difference[np.searchsorted(everything, two)] -= y
    return difference


def weighted_rf(T: Tree, U: Tree, *, prune: bool = False) -> float:
    """Sum over all splits of the difference of their edges' lengths, 0 where a tree does not have the split.

    Parameters
    ----------
    T, U : Tree
        Trees on the same leaves; unknown lengths count as 0. Edges to leaves count.
    prune : bool, default=False
        Compare the trees of the leaves that both have.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        The leaves differ, and not `prune`.

    References
    ----------
    D. F. Robinson, L. R. Foulds, "Comparison of weighted labelled trees", 1979.

    Examples
    --------
    >>> from lapwing.trees import read_newick, weighted_rf
    >>> weighted_rf(read_newick("((a:1,b:1):2,c:1,d:1);"), read_newick("((a:1,c:1):2,b:1,d:1);"))
    4.0
    """
    return float(np.abs(_length_differences(T, U, prune)).sum())


def branch_score(T: Tree, U: Tree, *, prune: bool = False) -> float:
    """Root of the sum of squares of what `weighted_rf` sums (Kuhner and Felsenstein).

    Parameters
    ----------
    T, U, prune
        As in `weighted_rf`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        The leaves differ, and not `prune`.

    References
    ----------
    Mary Kuhner, Joseph Felsenstein, "A simulation comparison of phylogeny algorithms under equal and unequal
    evolutionary rates", 1994.

    Examples
    --------
    >>> from lapwing.trees import branch_score, read_newick
    >>> branch_score(read_newick("((a:1,b:1):3,c:1,d:1);"), read_newick("((a:1,c:1):4,b:1,d:1);"))
    5.0
    """
    return float(np.sqrt((_length_differences(T, U, prune) ** 2).sum()))


class _Ancestors:
    """Depths of the last common ancestors of pairs of leaves, by a table of minima over ranges."""

    def __init__(self, tree: Tree) -> None:
        # Between leaves that follow one another in depth-first order stands one node: their last common
        # ancestor.
        order, first, _ = tree.layout
        m = tree.n_leaves
        self.position = np.empty(m, dtype=np.int64)
        self.position[order] = np.arange(m)
        between = np.full(max(m - 1, 1), tree.n_nodes - 1, dtype=np.int64)
        level = [0] * tree.n_nodes
        up = tree.parent.tolist()
        for i in range(tree.n_nodes - 2, -1, -1):
            level[i] = level[up[i]] + 1
        start = first.tolist()
        for i in range(tree.n_nodes - 1):  # the gap before a child that is not its parent's first
            p = up[i]
            if start[i] > start[p]:
                between[start[i] - 1] = p
        depth = np.array(level)
        self.tables = [depth[between]]
        width = 1
        while 2 * width <= m - 1:
            table = self.tables[-1]
            self.tables.append(np.minimum(table[:-width], table[width:]))
            width *= 2

    def depth(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of edges between the root and the last common ancestor."""
        x, y = self.position[a], self.position[b]
        lo, hi = np.minimum(x, y), np.maximum(x, y)
        power = np.frexp((hi - lo).astype(np.float64))[1] - 1
        out = np.empty(len(lo), dtype=np.int64)
        for p in np.unique(power).tolist():
            at = power == p
            table = self.tables[p]
            out[at] = np.minimum(table[lo[at]], table[hi[at] - (1 << p)])
        return out


def _quartets(tree: Tree, q: NDArray[np.int64]) -> NDArray[np.int64]:
    """How a tree resolves quartets: 0 for ab|cd, 1 for ac|bd, 2 for ad|bc, -1 for none."""
    ancestors = _Ancestors(tree)
    pairs = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    depth = np.array([
        np.maximum(ancestors.depth(q[:, a], q[:, b]), ancestors.depth(q[:, c], q[:, d]))
        for (a, b), (c, d) in pairs
    ])  # fmt: skip
    best = depth.argmax(axis=0)
    second = np.sort(depth, axis=0)[1]
    return np.where(depth.max(axis=0) > second, best, -1)


def quartet_distance(
    T: Tree, U: Tree, *, n_samples: int = 10_000, random_state: Any = 0, prune: bool = False
) -> tuple[float, float]:
    """Part of the quartets of leaves that two trees resolve differently, from a sample of them.

    Parameters
    ----------
    T, U : Tree
        Trees on the same leaves, 4 or more.
    n_samples : int, default=10000
        Number of quartets drawn; all of them are taken where there are no more.
    random_state : int, numpy generator or None, default=0
        Seed.
    prune : bool, default=False
        Compare the trees of the leaves that both have.

    Returns
    -------
    distance : float
    standard_error : float
        0 if all quartets were taken.

    Raises
    ------
    ValueError, TypeError
        The leaves differ, and not `prune`, or there are fewer than 4.

    References
    ----------
    George Estabrook, F. R. McMorris, Christopher Meacham, "Comparison of undirected phylogenetic trees based
    on subtrees of four evolutionary units", 1985.

    Examples
    --------
    >>> from lapwing.trees import quartet_distance, read_newick
    >>> quartet_distance(read_newick("((a,b),(c,d),e);"), read_newick("((a,c),(b,d),e);"))
    (1.0, 0.0)
    """
    from itertools import combinations
    from math import comb

    T, U = _align(T, U, prune)
    samples = _validate.check_integer(n_samples, "n_samples", 1)
    m = T.n_leaves
    if m < 4:
        raise ValueError(f"quartets need at least 4 leaves, got {m}")
    if comb(m, 4) <= samples:
        q = np.array(list(combinations(range(m), 4)), dtype=np.int64)
        return float((_quartets(T, q) != _quartets(U, q)).mean()), 0.0
    rng = np.random.default_rng(_validate.check_seed(random_state))
    q = np.empty((0, 4), dtype=np.int64)
    while len(q) < samples:
        draw = np.sort(rng.integers(0, m, (2 * samples, 4)), axis=1)
        q = np.concatenate([q, draw[(np.diff(draw, axis=1) > 0).all(axis=1)]])[:samples]
    distance = float((_quartets(T, q) != _quartets(U, q)).mean())
    return distance, float(np.sqrt(distance * (1 - distance) / samples))


def partition_correct(T: Tree, mask: Any, names: Iterable[str] | None = None) -> bool:
    """Whether an edge of the tree separates some leaves from all others.

    Parameters
    ----------
    T : Tree
        The tree.
    mask : bool array of shape (n_leaves,)
        The leaves on one side, neither none nor all.
    names : iterable of str or None, default=None
        The leaf of each entry of `mask`; None: the tree's order.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        `mask` is not as described.

    Examples
    --------
    >>> from lapwing.trees import partition_correct, read_newick
    >>> tree = read_newick("((a,b),c,d);")
    >>> partition_correct(tree, [True, True, False, False])
    True
    >>> partition_correct(tree, [True, False, True, False])
    False
    """
    side = np.asarray(mask, dtype=bool)
    if side.shape != (T.n_leaves,):
        raise ValueError(f"mask must have shape ({T.n_leaves},), got {side.shape}")
    if names is not None:
        given = list(names)
        if sorted(given) != sorted(T.names):
            raise ValueError("names must be the names of the tree's leaves")
        place = {name: i for i, name in enumerate(given)}
        side = side[[place[name] for name in T.names]]
    if side.all() or not side.any():
        raise ValueError("mask must have leaves on both sides")
    order, first, last = T.layout
    total = np.r_[0, np.cumsum(side[order])]
    inside, size = (total[last] - total[first])[:-1], (last - first)[:-1]
    return bool((((inside == size) & (size == side.sum())) | ((inside == 0) & (size == (~side).sum()))).any())
