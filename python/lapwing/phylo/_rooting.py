"""Where the root of a tree goes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing.phylo._tree import Tree

__all__ = ["root"]

Doubles = NDArray[np.float64]


def root(tree: Tree, how: str, outgroup: Iterable[str] | None) -> Tree:
    _validate.check_choice(how, "how", ("midpoint", "min_var", "outgroup"))
    if (outgroup is not None) != (how == "outgroup"):
        raise ValueError(f"outgroup goes with how='outgroup', got how={how!r} and outgroup={outgroup!r}")
    if tree.n_leaves == 1:
        return tree
    if how == "outgroup":
        assert outgroup is not None
        return _by_outgroup(tree.unrooted(), outgroup)
    if np.isnan(tree.length[:-1]).any():
        raise ValueError(f"how={how!r} needs the lengths of all edges")
    if tree.n_leaves > 2:
        tree = tree.unrooted()
    if (tree.length[:-1] < 0).any():
        raise ValueError(f"how={how!r} needs lengths that are not negative")
    node, fraction = (_midpoint if how == "midpoint" else _least_variance)(tree)
    return tree.rerooted(node, fraction)


def _by_outgroup(tree: Tree, outgroup: Iterable[str]) -> Tree:
    if isinstance(outgroup, str):
        raise TypeError("outgroup must be a collection of names, got one string")
    wanted = set(outgroup)
    unknown = sorted(wanted - set(tree.names))
    if unknown:
        raise ValueError(f"outgroup has names that are not in the tree: {', '.join(unknown[:5])}")
    m = tree.n_leaves
    if not 0 < len(wanted) < m:
        raise ValueError(f"outgroup must name some of the leaves and not all, got {len(wanted)} of {m}")
    order, first, last = tree.layout
    chosen = np.array([name in wanted for name in tree.names])
    total = np.r_[0, np.cumsum(chosen[order])]
    inside = (total[last] - total[first])[:-1]
    size = (last - first)[:-1]
    whole = (inside == size) & (inside == len(wanted))
    rest = (inside == 0) & (size == m - len(wanted))
    found = np.flatnonzero(whole | rest)
    if not found.size:
        raise ValueError("no edge of the tree separates outgroup from the other leaves")
    return tree.rerooted(int(found[0]))


def _distances_from(tree: Tree, start: int) -> list[float]:
    up, length = tree.parent.tolist(), tree.length.tolist()
    away: list[Any] = [None] * tree.n_nodes
    node, so_far = start, 0.0
    while node >= 0:
        away[node] = so_far
        so_far += length[node]
        node = up[node]
    for i in range(tree.n_nodes - 1, -1, -1):
        if away[i] is None:
            away[i] = away[up[i]] + length[i]
    return away


def _farthest(tree: Tree, away: list[float]) -> int:
    top = max(away[: tree.n_leaves])
    ends = [i for i in range(tree.n_leaves) if away[i] >= top * (1 - 1e-14)]
    return min(ends, key=lambda i: tree.names[i])


def _midpoint(tree: Tree) -> tuple[int, float]:
    start = min(range(tree.n_leaves), key=lambda i: tree.names[i])
    one = _farthest(tree, _distances_from(tree, start))
    away = _distances_from(tree, one)
    other = _farthest(tree, away)
    half = away[other] / 2
    up, length = tree.parent.tolist(), tree.length.tolist()
    above, node = set(), one
    while node >= 0:
        above.add(node)
        node = up[node]
    meet = other
    while meet not in above:
        meet = up[meet]
    node, so_far = (one if half <= away[meet] else other), 0.0
    while so_far + length[node] < half and up[node] != meet:
        so_far += length[node]
        node = up[node]
    return node, min(1.0, max(0.0, (half - so_far) / length[node])) if length[node] > 0 else 0.5


def _least_variance(tree: Tree) -> tuple[int, float]:
    n, m = tree.n_nodes, tree.n_leaves
    up, length = tree.parent.tolist(), tree.length.tolist()
    count = [1.0] * m + [0.0] * (n - m)
    one, two = [0.0] * n, [0.0] * n  # sums of the distances to the leaves below, and of their squares
    for i in range(n - 1):
        p, x = up[i], length[i]
        count[p] += count[i]
        one[p] += one[i] + count[i] * x
        two[p] += two[i] + 2 * x * one[i] + count[i] * x * x
    out_one, out_two = [0.0] * n, [0.0] * n  # from the parent to the leaves that are not below
    all_one, all_two = [0.0] * n, [0.0] * n  # from the node to all leaves
    all_one[-1], all_two[-1] = one[-1], two[-1]
    for i in range(n - 2, -1, -1):
        p, x = up[i], length[i]
        out_one[i] = all_one[p] - (one[i] + count[i] * x)
        out_two[i] = all_two[p] - (two[i] + 2 * x * one[i] + count[i] * x * x)
        rest = m - count[i]
        all_one[i] = one[i] + out_one[i] + rest * x
        all_two[i] = two[i] + out_two[i] + 2 * x * out_one[i] + rest * x * x
    a, b = np.array(count)[:-1], m - np.array(count)[:-1]
    sa, sb = np.array(one)[:-1], np.array(out_one)[:-1]
    qa, qb = np.array(two)[:-1], np.array(out_two)[:-1]
    L = tree.length[:-1]
    # d/dx of the variance of {a_j + x} and {b_j + L - x}
    x = np.clip(m / (4 * a * b) * (sb - sa + b * L + (a - b) / m * (sa + sb + b * L)), 0, L)
    total = sa + sb + a * x + b * (L - x)
    square = qa + 2 * x * sa + a * x * x + qb + 2 * (L - x) * sb + b * (L - x) ** 2
    variance: Doubles = square / m - (total / m) ** 2
    best = int(np.argmin(variance))
    return best, float(x[best] / L[best]) if L[best] > 0 else 0.5
