"""Trees as flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate

__all__ = ["Layout", "Tree"]

Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]


class Layout(NamedTuple):
    """Leaves in depth-first order: those below node i are ``order[first[i]:last[i]]``."""

    order: Ints
    first: Ints
    last: Ints


class Tree:
    """A tree as flat arrays: for each node its parent and the length of the edge to it.

    Nodes 0 to m - 1 are the leaves, in the order of `names`; inner nodes follow in post-order, the root last.
    The children of a node are ordered by the smallest leaf below them. A tree is not changed after it was
    made.

    Parameters
    ----------
    parent : int array of shape (n_nodes,)
        Parent of each node, -1 for the root. The nodes without children must be 0 to m - 1; the others may
        come in any order and are renumbered.
    length : float array of shape (n_nodes,) or None, default=None
        Length of the edge to the parent, NaN where it is not known; None: not known anywhere. That of the
        root has no meaning.
    names : sequence of str or None, default=None
        Names of the leaves, all different; None: "0", "1", ...
    support : float array of shape (n_nodes,) or None, default=None
        Support of the edge to the parent, NaN where there is none.
    labels : mapping from int to str or None, default=None
        Names of inner nodes.

    Attributes
    ----------
    parent : int32 array of shape (n_nodes,)
    length, support : float64 array of shape (n_nodes,)
    names : tuple of str
    labels : dict
    n_leaves, n_nodes : int

    Raises
    ------
    ValueError
        The arrays do not describe a tree, or names are repeated.

    Examples
    --------
    >>> from lapwing.trees import Tree
    >>> tree = Tree([4, 4, 5, 5, 5, -1], names=["a", "b", "c", "d"])
    >>> tree.newick()
    '((a,b),c,d);'
    >>> tree.n_leaves, tree.parent.tolist()
    (4, [4, 4, 5, 5, 5, -1])
    """

    parent: Ints
    length: Doubles
    support: Doubles
    names: tuple[str, ...]
    labels: dict[int, str]

    def __init__(
        self,
        parent: Any,
        length: Any = None,
        names: Sequence[str] | None = None,
        *,
        support: Any = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        up = np.asarray(parent)
        if up.ndim != 1 or up.size == 0 or up.dtype.kind not in "iu":
            raise ValueError(f"parent must be a vector of integers, got shape {up.shape}, dtype {up.dtype}")
        n = len(up)
        up = up.astype(np.int64)
        wrong = np.flatnonzero((up < -1) | (up >= n) | (up == np.arange(n)))
        if wrong.size:
            raise ValueError(f"parent[{wrong[0]}] is {up[wrong[0]]}, which is no other node")
        if (up == -1).sum() != 1:
            raise ValueError(f"parent must be -1 for one node, the root, but is for {(up == -1).sum()}")
        leaf = np.ones(n, dtype=bool)
        leaf[up[up >= 0]] = False
        m = int(leaf.sum())
        if not leaf[:m].all():
            raise ValueError(
                f"the leaves must be nodes 0 to {m - 1}, but node {int(np.argmin(leaf[:m]))} has children"
            )
        order = _topological(up)
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        # leaves where they are, inner nodes so that each comes before its parent
        above = up[order]
        above = np.where(above >= 0, place[above], -1)
        index = _postorder(above, m)  # new order, in terms of the topological one
        source = order[index]
        new = np.empty(n, dtype=np.int64)
        new[source] = np.arange(n)
        target = up[source]
        self._set(
            np.where(target >= 0, new[target], -1).astype(np.int32),
            _edge_values(length, n, "length")[source],
            _leaf_names(names, m),
            _edge_values(support, n, "support")[source],
            {int(new[int(i)]): str(text) for i, text in (labels or {}).items()},
        )

    def _set(
        self, parent: Ints, length: Doubles, names: tuple[str, ...], support: Doubles, labels: dict[int, str]
    ) -> None:
        for array in (parent, length, support):
            array.setflags(write=False)
        self.parent, self.length, self.support = parent, length, support
        self.names, self.labels = names, labels

    @classmethod
    def _made(
        cls,
        parent: Ints,
        length: Doubles,
        names: Sequence[str],
        support: Doubles | None = None,
        labels: dict[int, str] | None = None,
    ) -> Tree:
        """Make a tree from arrays that are known to be in the order of the class."""
        tree = cls.__new__(cls)
        if support is None:
            support = np.full(len(parent), np.nan)
        tree._set(parent, length, tuple(names), support, labels or {})
        return tree

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.names)

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.parent)

    def __repr__(self) -> str:
        return f"<Tree: {self.n_leaves} leaves, {self.n_nodes} nodes>"

    def __eq__(self, other: object) -> bool:
        """Whether leaves, names, nodes, lengths and labels are the same (not: whether the topology is)."""
        if not isinstance(other, Tree):
            return NotImplemented
        return (
            self.names == other.names
            and np.array_equal(self.parent, other.parent)
            and np.array_equal(self.length[:-1], other.length[:-1], equal_nan=True)
            and np.array_equal(self.support[:-1], other.support[:-1], equal_nan=True)
            and self.labels == other.labels
        )

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def layout(self) -> Layout:
        """Leaves in depth-first order, and for each node which of them are below it."""
        return _layout(self.parent, self.n_leaves)

    @cached_property
    def degrees(self) -> Ints:
        """Number of children of each node."""
        return np.bincount(self.parent[:-1], minlength=self.n_nodes).astype(np.int32)

    def children(self) -> list[list[int]]:
        """Children of each node, in their order."""
        below: list[list[int]] = [[] for _ in range(self.n_nodes)]
        up = self.parent.tolist()
        for i in np.argsort(self.layout.first[:-1], kind="stable").tolist():
            below[up[i]].append(i)
        return below

    @property
    def rooted(self) -> bool:
        """Whether the root has two children; a tree whose root has more is displayed without a root."""
        return int(self.degrees[-1]) == 2

    @property
    def binary(self) -> bool:
        """Whether every inner node joins three edges (the root of a rooted tree: two)."""
        inner = self.degrees[self.n_leaves : -1]
        top = int(self.degrees[-1])
        return bool((inner == 2).all()) and (top in (2, 3) or self.n_leaves == 1)

    def newick(
        self, *, precision: int = 10, lengths: bool = True, support: bool = True, rooted_marker: bool = False
    ) -> str:
        """Write the tree in Newick format.

        Parameters
        ----------
        precision : int, default=10
            Significant digits of the lengths.
        lengths, support : bool, default=True
            Whether to write them, where they are known.
        rooted_marker : bool, default=False
            Begin with ``[&R]`` or ``[&U]``.

        Returns
        -------
        str
            One line, with ``;`` and without a line break.
        """
        from lapwing.phylo._newick import format_newick

        return format_newick(self, precision, lengths, support, rooted_marker)

    def depths(self) -> Doubles:
        """Distance of each node from the root; edges of unknown length count as 0."""
        length = np.nan_to_num(self.length).tolist()
        up = self.parent.tolist()
        depth = [0.0] * self.n_nodes
        for i in range(self.n_nodes - 2, -1, -1):
            depth[i] = depth[up[i]] + length[i]
        return np.array(depth)

    def path_lengths(self) -> Doubles:
        """Distances between all leaves along the tree; edges of unknown length count as 0.

        Returns
        -------
        float64 array of shape (n_leaves, n_leaves)
        """
        order, first, last = self.layout
        length = np.nan_to_num(self.length)
        m = self.n_leaves
        D = np.zeros((m, m))  # in depth-first order
        below: list[list[int]] = self.children()
        height = np.zeros(m)  # of each leaf above the node that is worked on
        for i in range(self.n_nodes):
            a, b = first[i], last[i]
            kids = below[i]
            for c in kids[1:]:  # with all children before it
                split, stop = first[c], last[c]
                block = height[a:split, None] + height[None, split:stop]
                D[a:split, split:stop] = block
                D[split:stop, a:split] = block.T
            if i < self.n_nodes - 1:
                height[a:b] += length[i]
        out = np.empty_like(D)
        out[np.ix_(order, order)] = D
        return out

    def unrooted(self) -> Tree:
        """The same tree without a root: one whose root has two children is displayed at one of them.

        Nodes with one child are taken out, their edges joined.
        """
        return _rebuild(self, None)

    def rerooted(self, node: int, fraction: float = 0.5) -> Tree:
        """The tree with its root on the edge above a node.

        Parameters
        ----------
        node : int
            The edge from this node to its parent.
        fraction : float, default=0.5
            The part of its length that goes to the side of `node`.

        Returns
        -------
        Tree
            Its root has two children. The edge's support goes to both halves.

        Raises
        ------
        ValueError
            `node` is the root or no node; `fraction` is not between 0 and 1.
        """
        node = _validate.check_integer(node, "node", 0, self.n_nodes - 2)
        fraction = _validate.check_number(fraction, "fraction")
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
        return _rebuild(self, (node, fraction))

    def root(self, how: str = "midpoint", outgroup: Iterable[str] | None = None) -> Tree:
        """Root the tree.

        Parameters
        ----------
        how : {"midpoint", "min_var", "outgroup"}, default="midpoint"
            "midpoint": in the middle of the longest path between leaves. "min_var": at the point that makes
            the variance of the leaves' distances from the root least. "outgroup": on the edge between
            `outgroup` and the rest.
        outgroup : iterable of str or None, default=None
            Names of leaves that one edge separates from all others.

        Returns
        -------
        Tree

        Raises
        ------
        ValueError
            `outgroup` names leaves that are not there, or no edge separates it from the rest.

        References
        ----------
        Uyen Mai, Erfan Sayyari, Siavash Mirarab, "Minimum variance rooting of phylogenetic trees and
        implications for species tree reconstruction", 2017 ("min_var").

        Examples
        --------
        >>> from lapwing.trees import read_newick
        >>> read_newick("(a:1,b:1,(c:1,d:3):1);").root("midpoint").newick()
        '(((a:1,b:1):1,c:1):0.5,d:2.5);'
        """
        from lapwing.phylo import _rooting

        return _rooting.root(self, how, outgroup)

    def pruned(self, names: Iterable[str]) -> Tree:
        """The tree of some of the leaves; nodes that are left with one child are taken out.

        Parameters
        ----------
        names : iterable of str
            The leaves to keep, which stay in their order.

        Returns
        -------
        Tree

        Raises
        ------
        ValueError
            A name is not in the tree, or none is left.
        """
        wanted = set(names)
        unknown = sorted(wanted - set(self.names))
        if unknown:
            raise ValueError(f"names has leaves that the tree does not have: {', '.join(unknown[:5])}")
        if not wanted:
            raise ValueError("names is empty: a tree needs at least one leaf")
        return _prune(self, np.array([name in wanted for name in self.names]))

    def with_names(self, names: Sequence[str]) -> Tree:
        """The same tree with other names of its leaves."""
        return Tree._made(
            self.parent, self.length, _leaf_names(names, self.n_leaves), self.support, self.labels
        )

    def with_lengths(self, length: Any) -> Tree:
        """The same tree with other lengths (None: without)."""
        values = _edge_values(length, self.n_nodes, "length").copy()
        return Tree._made(self.parent, values, self.names, self.support, self.labels)

    def with_support(self, support: Any) -> Tree:
        """The same tree with other values of support (None: without)."""
        values = _edge_values(support, self.n_nodes, "support").copy()
        return Tree._made(self.parent, self.length, self.names, values, self.labels)

    def reordered(self, names: Sequence[str]) -> Tree:
        """The same tree with its leaves in another order, which numbers the nodes."""
        names = _leaf_names(names, self.n_leaves)
        place = {name: i for i, name in enumerate(names)}
        if set(place) != set(self.names):
            raise ValueError("names must be the names of the tree's leaves")
        m, n = self.n_leaves, self.n_nodes
        new = np.arange(n)
        new[:m] = [place[name] for name in self.names]
        parent, length, support = np.empty(n, dtype=np.int64), np.empty(n), np.empty(n)
        parent[new], length[new], support[new] = self.parent, self.length, self.support
        return Tree(parent, length, names, support=support, labels=self.labels)

    def splits(self) -> list[tuple[str, ...]]:
        """Sides of the edges between inner nodes, that without the first leaf: sorted names.

        Returns
        -------
        list of tuple of str
            Each split once. Takes memory for all names of all of them: meant for trees of moderate size.
        """
        order, first, last = self.layout
        m = self.n_leaves
        found = set()
        for i in range(self.n_nodes - 1):
            inside: NDArray[Any] = order[first[i] : last[i]]
            if not 2 <= len(inside) <= m - 2:
                continue
            if (inside == 0).any():
                mask = np.ones(m, dtype=bool)
                mask[inside] = False
                inside = np.flatnonzero(mask)
            found.add(tuple(sorted(self.names[j] for j in inside)))
        return sorted(found)


def _edge_values(values: Any, n: int, name: str) -> Doubles:
    if values is None:
        return np.full(n, np.nan)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one number for each node, got {array.shape}")
    if np.isinf(array).any():
        raise ValueError(f"{name}[{int(np.argmax(np.isinf(array)))}] is infinite")
    return array


def _leaf_names(names: Sequence[str] | None, m: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(i) for i in range(m))
    if isinstance(names, str):
        raise TypeError("names must be a sequence of strings, got one string")
    out = tuple(str(name) for name in names)
    if len(out) != m:
        raise ValueError(f"names must be {m}, one for each leaf, got {len(out)}")
    if len(set(out)) < m:
        seen: set[str] = set()
        twice = next(name for name in out if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"names must be different, but {twice!r} comes twice")
    return out


def _topological(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order in which every node comes before its parent; that of the nodes if it is one."""
    n = len(parent)
    if parent[-1] == -1 and (parent[:-1] > np.arange(n - 1)).all():
        return np.arange(n)
    up = parent.tolist()
    left = np.bincount(parent[parent >= 0], minlength=n).tolist()
    order = [i for i in range(n) if left[i] == 0]
    for i in order:
        p = up[i]
        if p >= 0:
            left[p] -= 1
            if left[p] == 0:
                order.append(p)
    if len(order) < n:
        raise ValueError(f"parent has a cycle through node {next(i for i in range(n) if left[i] > 0)}")
    return np.array(order)


def _layout(parent: NDArray[Any], m: int) -> Layout:
    """Depth-first order, children by their smallest leaves; nodes come before their parents."""
    n = len(parent)
    if n == 1:
        return Layout(*(np.array([i], dtype=np.int32) for i in (0, 0, 1)))
    above = parent[:-1]
    # of the leaves right below each inner node, then of all
    smallest = np.full(n, n, dtype=np.int64)
    smallest[:m] = np.arange(m)
    np.minimum.at(smallest, above[:m], np.arange(m))
    counts = np.bincount(above[:m], minlength=n)
    counts[:m] = 1
    up, least, size = above[m:].tolist(), smallest[m:].tolist(), counts[m:].tolist()
    for i, p in enumerate(up):
        p -= m
        size[p] += size[i]
        if least[i] < least[p]:
            least[p] = least[i]
    smallest[m:], counts[m:] = least, size
    # leaves below earlier siblings
    by_parent = np.argsort(above.astype(np.int64) * n + smallest[:-1])
    earlier = np.cumsum(counts[by_parent]) - counts[by_parent]
    group = above[by_parent]
    start = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    earlier -= np.repeat(earlier[start], np.diff(np.r_[start, n - 1]))
    offset = np.zeros(n, dtype=np.int64)
    offset[by_parent] = earlier
    first = offset[m:].tolist()
    for i in range(n - m - 2, -1, -1):
        first[i] += first[up[i] - m]
    offset[m:] = first
    offset[:m] += offset[above[:m]]
    begin = offset.astype(np.int32)
    order = np.empty(m, dtype=np.int32)
    order[begin[:m]] = np.arange(m, dtype=np.int32)
    return Layout(order, begin, (begin + counts).astype(np.int32))


def _postorder(parent: NDArray[Any], m: int) -> NDArray[np.int64]:
    """Leaves, then inner nodes in post-order; the nodes come before their parents, the m leaves first."""
    _, first, last = _layout(parent, m)
    inner = np.arange(m, len(parent))
    return np.concatenate([np.arange(m), inner[np.lexsort((inner, -first[inner], last[inner]))]])


def _add(x: float, y: float) -> float:
    return x if y != y else y if x != x else x + y  # NaN: not known


def _rebuild(tree: Tree, where: tuple[int, float] | None) -> Tree:
    """Without nodes of degree two; rooted on an edge, or not at all."""
    n, m = tree.n_nodes, tree.n_leaves
    up, length, support = tree.parent.tolist(), tree.length.tolist(), tree.support.tolist()
    root = n - 1
    new = [*up, -1]
    size, strength = [*length, np.nan], [*support, np.nan]
    if where is not None:
        node, fraction = where
        # the path from the edge to the old root turns round
        top = n
        above = up[node]
        whole, strong = size[node], strength[node]
        new[node], size[node] = top, whole * fraction
        carried, strength_carried, target = whole * (1 - fraction), strong, top
        while above >= 0:
            nxt, kept, kept_strength = up[above], size[above], strength[above]
            new[above], size[above], strength[above] = target, carried, strength_carried
            target, above = above, nxt
            carried, strength_carried = kept, kept_strength
        root = top
    else:
        new.pop()
        size.pop()
        strength.pop()
    total = len(new)
    degree = [0] * total
    for p in new:
        if p >= 0:
            degree[p] += 1
    gone = [False] * total
    only = {p: i for i, p in enumerate(new) if p >= 0 and degree[p] == 1}
    order = sorted(range(total), key=_heights(new).__getitem__, reverse=True)
    while root in only:  # a root with one child
        gone[root] = True
        root = only[root]
        new[root] = -1
    for i in order:  # nodes with one child, from the root down
        while not gone[i] and new[i] in only:
            p = new[i]
            size[i] = _add(size[i], size[p])
            strength[i] = strength[i] if strength[i] == strength[i] else strength[p]
            new[i] = new[p]
            gone[p] = True
    if where is None and degree[root] == 2 and m > 2:
        # the last of its children that is no leaf takes the place of the root
        kids = [i for i, p in enumerate(new) if p == root and not gone[i]]
        keep = max(i for i in kids if degree[i] > 0)
        other = kids[0] if kids[1] == keep else kids[1]
        size[other] = _add(size[other], size[keep])
        strength[other] = strength[other] if strength[other] == strength[other] else strength[keep]
        new[other] = keep
        new[keep] = -1
        gone[root] = True
    kept_nodes = [i for i in range(total) if not gone[i]]
    place = {i: k for k, i in enumerate(kept_nodes)}
    labels = {place[i]: text for i, text in tree.labels.items() if i in place}
    parent = np.array([place[new[i]] if new[i] >= 0 else -1 for i in kept_nodes])
    return Tree(
        parent,
        np.array([size[i] for i in kept_nodes]),
        tree.names,
        support=np.array([strength[i] for i in kept_nodes]),
        labels=labels,
    )


def _heights(parent: list[int]) -> list[int]:
    """Number of edges to the farthest leaf below, for any numbering."""
    array = np.array(parent)
    height = [0] * len(parent)
    for i in _topological(array).tolist():
        p = parent[i]
        if p >= 0 and height[p] <= height[i]:
            height[p] = height[i] + 1
    return height


def _prune(tree: Tree, keep: NDArray[np.bool_]) -> Tree:
    n = tree.n_nodes
    up = tree.parent.tolist()
    alive = [*keep.tolist(), *([False] * (n - tree.n_leaves))]
    for i in range(n - 1):
        if alive[i]:
            alive[up[i]] = True
    degree = [0] * n
    for i in range(n - 1):
        if alive[i]:
            degree[up[i]] += 1
    length, support = tree.length.tolist(), tree.support.tolist()
    root = n - 1
    below: list[int] = [-1] * n  # the only living child
    for i in range(n - 1):
        if alive[i] and degree[up[i]] == 1:
            below[up[i]] = i
    while degree[root] == 1:
        alive[root] = False
        root = below[root]
    up[root] = -1
    for i in range(n - 1, -1, -1):  # parents first: chains of single children are joined from above
        if not alive[i] or i == root:
            continue
        p = up[i]
        if p >= 0 and degree[p] == 1:
            length[i] = _add(length[i], length[p])
            support[i] = support[i] if support[i] == support[i] else support[p]
            up[i] = up[p]
            alive[p] = False
    nodes = [i for i in range(n) if alive[i]]
    place = {i: k for k, i in enumerate(nodes)}
    return Tree(
        np.array([place[up[i]] if up[i] >= 0 else -1 for i in nodes]),
        np.array([length[i] for i in nodes]),
        [name for name, kept in zip(tree.names, keep, strict=True) if kept],
        support=np.array([support[i] for i in nodes]),
        labels={place[i]: text for i, text in tree.labels.items() if i in place},
    )
