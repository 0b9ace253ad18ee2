"""Trees of other packages."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing._optional import need
from lapwing.phylo import Tree

__all__ = ["from_object", "to_linkage", "to_object"]

_MODULES = {
    "dendropy": ("dendropy", ""),
    "ete": ("ete3", ""),
    "skbio": ("skbio", "scikit-bio"),
    "treeswift": ("treeswift", ""),
}
KINDS = ("dendropy", "ete", "networkx", "skbio", "treeswift")


def to_object(tree: Tree, kind: str) -> Any:
    """Hand a tree to another package.

    Parameters
    ----------
    tree : Tree
        The tree.
    kind : {"dendropy", "ete", "networkx", "skbio", "treeswift"}
        A ``dendropy.Tree``, ``ete3.Tree``, ``skbio.TreeNode`` or ``treeswift.Tree`` with names, lengths and
        support; or a ``networkx.DiGraph`` of node numbers from the root, with `name` at the leaves and
        `length` at the edges.

    Returns
    -------
    object

    Raises
    ------
    ImportError
        The package is not installed.

    Examples
    --------
    >>> from lapwing.trees import read_newick, to_object
    >>> graph = to_object(read_newick("((a:1,b:2):3,c:4,d:5);"), "networkx")
    >>> graph.edges[4, 1]["length"], graph.nodes[1]["name"]
    (2.0, 'b')
    """
    _validate.check_choice(kind, "kind", KINDS)
    if kind == "networkx":
        return _to_graph(tree)
    module = need(_MODULES[kind][0], package=_MODULES[kind][1], purpose=f"a tree of {kind}")
    below = tree.children()
    nodes: list[Any] = []
    for i in range(tree.n_nodes):
        leaf = i < tree.n_leaves
        name = tree.names[i] if leaf else tree.labels.get(i)
        length, support = _known(tree.length[i]), _known(tree.support[i])
        if i == tree.n_nodes - 1:
            length = None
        kids = [nodes[j] for j in below[i]]
        nodes.append(_made(module, kind, name, length, support, kids, leaf))
    root = nodes[-1]
    if kind == "treeswift":
        out = module.Tree()
        out.root = root
        return out
    if kind == "dendropy":
        names = module.TaxonNamespace()
        out = module.Tree(seed_node=root, taxon_namespace=names)
        for node in out.leaf_node_iter():
            names.add_taxon(node.taxon)
        out.is_rooted = tree.rooted
        return out
    return root


def _known(x: float) -> float | None:
    return None if np.isnan(x) else float(x)


def _made(
    module: Any,
    kind: str,
    name: str | None,
    length: float | None,
    support: float | None,
    kids: list[Any],
    leaf: bool,
) -> Any:
    """One node of another package."""
    if kind == "ete":
        node = module.Tree()
        node.name = name or ""
        node.dist = 0.0 if length is None else length
        if support is not None:
            node.support = support
        for child in kids:
            node.add_child(child)
    elif kind == "skbio":
        node = module.TreeNode(name=name, length=length, support=support)
        node.extend(kids)
    elif kind == "treeswift":
        label = name if name is not None or support is None else f"{support:.17g}"
        node = module.Node(label=label, edge_length=length)
        for child in kids:
            node.add_child(child)
    else:
        node = module.Node(edge_length=length)
        if leaf:
            node.taxon = module.Taxon(label=name)
        else:
            node.label = name if name is not None or support is None else f"{support:.17g}"
        for child in kids:
            node.add_child(child)
    return node


def _to_graph(tree: Tree) -> Any:
    graph = need("networkx", purpose="a networkx graph").DiGraph()
    for i in range(tree.n_nodes):
        graph.add_node(i, **({"name": tree.names[i]} if i < tree.n_leaves else {}))
    for i, p in enumerate(tree.parent[:-1].tolist()):
        length = _known(tree.length[i])
        graph.add_edge(p, i, **({} if length is None else {"length": length}))
    return graph


def from_object(tree: Any) -> Tree:
    """Take over a tree of another package.

    Parameters
    ----------
    tree : dendropy.Tree, ete3.Tree, skbio.TreeNode, treeswift.Tree or networkx.DiGraph
        A graph has edges from the root on; `length` of its edges and `name` of its leaves are used.

    Returns
    -------
    Tree

    Raises
    ------
    TypeError
        It is none of these.
    ValueError
        It is not a tree, or its leaves are not named differently.

    Examples
    --------
    >>> import networkx as nx
    >>> from lapwing.trees import from_object
    >>> from_object(nx.DiGraph([("r", "a"), ("r", "b"), ("r", "c")])).newick()
    '(a,b,c);'
    """
    home = type(tree).__module__.split(".")[0]
    if home == "networkx":
        return _from_graph(tree)
    if home not in ("dendropy", "ete3", "ete4", "skbio", "treeswift"):
        raise TypeError(
            f"tree must be of dendropy, ete, networkx, scikit-bio or treeswift, got {type(tree).__name__}"
        )
    root = {"dendropy": "seed_node", "treeswift": "root"}.get(home)
    return _from_nodes(tree if root is None else getattr(tree, root), home)


def _from_nodes(root: Any, home: str) -> Tree:
    order, above = [root], [-1]  # parents first
    for at, node in enumerate(order):
        kids = node.child_nodes() if home in ("dendropy", "treeswift") else node.children
        order += kids
        above += [at] * len(kids)
    degree = np.bincount(np.array(above[1:], dtype=np.int64), minlength=len(order))
    leaves = np.flatnonzero(degree == 0)
    number = np.empty(len(order), dtype=np.int64)
    number[leaves] = np.arange(len(leaves))
    number[degree > 0] = np.arange(len(leaves), len(order))
    parent = np.full(len(order), -1)
    length, support = np.full(len(order), np.nan), np.full(len(order), np.nan)
    names, labels = [""] * len(leaves), {}
    for node, up, i in zip(order, above, number.tolist(), strict=True):
        parent[i] = number[up] if up >= 0 else -1
        name, size, strength = _read(node, home)
        if up >= 0 and size is not None:
            length[i] = size
        if i < len(leaves):
            names[i] = "" if name is None else str(name)
            continue
        if strength is None and name is not None:
            with suppress(ValueError):
                strength, name = float(name), None
        if up >= 0 and strength is not None:
            support[i] = strength
        if name:
            labels[i] = str(name)
    return Tree(parent, length, names, support=support, labels=labels)


def _read(node: Any, home: str) -> tuple[Any, Any, Any]:
    """Name, length and support of a node of another package."""
    if home == "dendropy":
        return node.taxon.label if node.taxon is not None else node.label, node.edge_length, None
    if home == "treeswift":
        return node.label, node.edge_length, None
    if home == "skbio":
        return node.name, node.length, node.support
    return node.name, node.dist, node.support if node.children else None


def _from_graph(graph: Any) -> Tree:
    if not graph.is_directed():
        raise ValueError("the graph must be directed, from the root to the leaves")
    roots = [v for v in graph if graph.in_degree(v) == 0]
    if len(roots) != 1 or any(graph.in_degree(v) > 1 for v in graph):
        raise ValueError(f"the graph is no tree: {len(roots)} nodes have no parent, others have several")
    leaves = [v for v in graph if graph.out_degree(v) == 0]
    number = {v: i for i, v in enumerate([*leaves, *(v for v in graph if graph.out_degree(v) > 0)])}
    parent = np.full(len(number), -1)
    length = np.full(len(number), np.nan)
    for u, v, data in graph.edges(data=True):
        parent[number[v]] = number[u]
        length[number[v]] = data.get("length", np.nan)
    names = [str(graph.nodes[v].get("name", v)) for v in leaves]
    return Tree(parent, length, names)


def to_linkage(tree: Tree) -> NDArray[np.float64]:
    """Write a rooted binary tree as SciPy's linkage matrix.

    Parameters
    ----------
    tree : Tree
        Binary, with a root of two children. Where a length is not known it counts as 0.

    Returns
    -------
    float64 array of shape (n_leaves - 1, 4)
        For each inner node its two children, twice its height (the largest distance to a leaf below, raised
        to that of any node before it in the table), and the number of leaves. Rows in the order of height.

    Raises
    ------
    ValueError
        The tree is not binary or has no root.

    Examples
    --------
    >>> from lapwing.trees import read_newick, to_linkage
    >>> to_linkage(read_newick("((a:1,b:1):2,c:3);")).tolist()
    [[0.0, 1.0, 2.0, 2.0], [2.0, 3.0, 6.0, 3.0]]
    """
    m, n = tree.n_leaves, tree.n_nodes
    if m < 2 or not (tree.binary and tree.rooted):
        raise ValueError("tree must be binary with a root of two children; see Tree.root")
    length = np.nan_to_num(tree.length)
    height = np.zeros(n)
    for i in range(n - 1):
        p = tree.parent[i]
        height[p] = max(height[p], height[i] + length[i])
    order = sorted(range(m, n), key=lambda i: (height[i], i))
    number = {i: i for i in range(m)} | {node: m + k for k, node in enumerate(order)}
    children = tree.children()
    _, first, last = tree.layout
    rows = [
        [*sorted(number[c] for c in children[i]), 2 * height[i], float(last[i] - first[i])] for i in order
    ]
    return np.array(rows, dtype=np.float64)
