"""Trees of other packages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing._optional import need
from lapwing.phylo import Tree, read_newick

__all__ = ["from_object", "to_linkage", "to_object"]

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
    text = tree.newick(precision=17)
    if kind == "dendropy":
        dendropy = need("dendropy", purpose="a dendropy tree")
        return dendropy.Tree.get(
            data=text, schema="newick", preserve_underscores=True,
            rooting="force-rooted" if tree.rooted else "force-unrooted",
        )  # fmt: skip
    if kind == "skbio":
        return need("skbio", package="scikit-bio", purpose="a scikit-bio tree").TreeNode.read(
            [text], format="newick", convert_underscores=False
        )
    if kind == "treeswift":
        return need("treeswift", purpose="a treeswift tree").read_tree_newick(text)
    if kind == "ete":
        ete = need("ete3", purpose="an ete tree")
        return ete.Tree(text, format=0 if not tree.labels else 1, quoted_node_names=True)
    graph = need("networkx", purpose="a networkx graph").DiGraph()
    for i in range(tree.n_nodes):
        graph.add_node(i, **({"name": tree.names[i]} if i < tree.n_leaves else {}))
    for i, p in enumerate(tree.parent[:-1].tolist()):
        known = not np.isnan(tree.length[i])
        graph.add_edge(p, i, **({"length": float(tree.length[i])} if known else {}))
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
    if home == "dendropy":
        text = tree.as_string(
            schema="newick", unquoted_underscores=True, suppress_rooting=True, suppress_annotations=True,
            suppress_leaf_node_labels=False,
        )  # fmt: skip
        return read_newick(text)
    if home == "skbio":
        return read_newick(str(tree))
    if home == "treeswift":
        return read_newick(tree.newick())
    if home in ("ete3", "ete4"):
        return read_newick(tree.write(format=0, quoted_node_names=True))
    if home == "networkx":
        return _from_graph(tree)
    raise TypeError(
        f"tree must be of dendropy, ete, networkx, scikit-bio or treeswift, got {type(tree).__name__}"
    )


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
