"""Spectral cuts of a set of leaves, merges of subtrees, lengths of edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.phylo._matrix import Reals, check_distances, check_similarities
from lapwing.phylo._similarity import Sites, distances_of
from lapwing.phylo._tree import Tree, _layout

__all__ = [
    "MERGES",
    "Cut",
    "Part",
    "as_part",
    "balanced_nni",
    "cut_leaves",
    "edge_lengths",
    "fiedler_cut",
    "fit_lengths",
    "join_at",
    "merge_parts",
    "merge_trees",
    "middle_edge",
    "part_tree",
    "root_at",
    "shortened",
    "spectral_root_edge",
]

Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]
TIE = 1e-12  # of scores
SAME = 1e-9  # of lengths of trees
SWEEPS = 100  # of interchanges, at most; a few are needed
MERGES = ("balanced", "spectral")


class Cut(NamedTuple):
    """A set of leaves in two.

    Attributes
    ----------
    side : bool array
        True on one side.
    kind : str
        "sign", "gap" (of the Fiedler vector), "component" (no similarity between the sides) or "median" (no
        other cut leaves enough on both sides).
    lambda2, lambda3 : float
        Eigenvalues of the Laplacian.
    sigma1, sigma2 : float
        Largest singular values of the block between the sides: ``sigma2 / sigma1`` is 0 for an edge of the
        tree.
    residual : float
        Of the eigenvector, relative to the norm of the Laplacian.
    vector : float64 array or None
        The Fiedler vector.
    """

    side: NDArray[np.bool_]
    kind: str
    lambda2: float
    lambda3: float
    sigma1: float
    sigma2: float
    residual: float
    vector: Doubles | None


def cut_leaves(
    S: Reals,
    leaves: Ints,
    *,
    num_gaps: int,
    min_split: int,
    normalization: str | None,
    tol: float,
    threads: int,
    vector: bool = False,
) -> Cut:
    """Cut some of the leaves in two; nothing is checked."""
    side = np.empty(len(leaves), dtype=np.uint8)
    v = np.empty(len(leaves)) if vector else None
    found = _backend.extension().phylo_cut(
        S, leaves, num_gaps, min_split, normalization == "rw", tol, side, v, threads
    )
    return Cut(
        side.astype(bool), found["kind"], found["lambda2"], found["lambda3"], found["sigma1"],
        found["sigma2"], found["residual"], v,
    )  # fmt: skip


def fiedler_cut(
    S: Any,
    *,
    num_gaps: int = 1,
    min_split: int = 1,
    normalization: str | None = None,
    tol: float = 1e-6,
    n_jobs: int | None = None,
) -> Cut:
    """Cut leaves in two at an edge of their tree, by the Fiedler vector of their similarities.

    For exact similarities on any binary tree the signs of the Fiedler vector are the sides of an edge.
    Candidates are the signs and the largest gaps between sorted entries; the one is taken whose block of
    similarities between the sides has the least second singular value.

    Parameters
    ----------
    S : array of shape (m, m)
        Similarities in [0, 1], symmetric, diagonal 1; m >= 2.
    num_gaps : int, default=1
        Number of gaps, 0 to 20.
    min_split : int, default=1
        Least number of leaves on a side.
    normalization : {None, "rw"}, default=None
        The Laplacian ``D - S``, or the random walk's ``I - D^-1 S``.
    tol : float, default=1e-6
        Residual of the eigenvector, relative to the norm of the Laplacian.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Cut

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Yariv Aizenbud, Ariel Jaffe, Meng Wang, Amber Hu, Noah Amsel, Boaz Nadler, Joseph Chang, Yuval Kluger,
    "Spectral Top-Down Recovery of Latent Tree Models", 2021, theorem 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import fiedler_cut
    >>> D = np.array([[0, 3, 7, 8], [3, 0, 6, 7], [7, 6, 0, 3], [8, 7, 3, 0.0]])
    >>> fiedler_cut(np.exp(-D / 5)).side.tolist()
    [False, False, True, True]
    """
    threads = _threads.resolve(n_jobs)
    similarities, _ = check_similarities(S)
    m = len(similarities)
    num_gaps = _validate.check_integer(num_gaps, "num_gaps", 0, 20)
    min_split = _validate.check_integer(min_split, "min_split", 1, m // 2)
    _validate.check_choice(normalization, "normalization", (None, "rw"))
    tol = _validate.check_positive(tol, "tol")
    return cut_leaves(
        similarities, np.arange(m, dtype=np.int32), num_gaps=num_gaps, min_split=min_split,
        normalization=normalization, tol=tol, threads=threads, vector=True,
    )  # fmt: skip


class Part(NamedTuple):
    """A tree on some rows of a matrix: leaf i, counted in depth-first order, is row ``rows[i]``."""

    parent: Ints
    rows: Ints


class Merge(NamedTuple):
    """How sure a merge is: best scores, how much worse the next edges were; edges that others took over."""

    scores: tuple[float, float]
    margins: tuple[float, float]
    moved: int


def as_part(tree: Tree, rows: Ints) -> Part:
    """The tree with its leaves in depth-first order; rows: those of its leaves."""
    order = tree.layout.order
    place = np.empty(tree.n_leaves, dtype=np.int32)
    place[order] = np.arange(tree.n_leaves)
    parent = tree.parent.copy()
    parent[: tree.n_leaves] = tree.parent[order]
    return Part(parent, rows[order])


def part_tree(part: Part, names: Sequence[str]) -> Tree:
    """The tree with its leaves in the order of their rows, without a root; names: of all rows."""
    m = len(part.rows)
    rank = np.argsort(part.rows, kind="stable")
    parent = part.parent.copy()
    parent[:m] = part.parent[rank]
    return Tree(parent, None, [names[i] for i in part.rows[rank].tolist()]).unrooted()


def root_at(part: Part, node: int) -> Part:
    """Rooted on the edge above `node`, with a root of two children."""
    m, n = len(part.rows), len(part.parent)
    if n == 1 or (part.parent[node] == n - 1 and (part.parent == n - 1).sum() == 2):
        return part
    _, first, last = _layout(part.parent, m)
    parent = part.parent.astype(np.int64)
    path = [node]
    while part.parent[path[-1]] >= 0:
        path.append(int(part.parent[path[-1]]))
    root = path[-1]
    size = (last - first).astype(np.int64)
    if (part.parent == root).sum() == 2:  # it goes: its other child takes the place at the end of the path
        other = next(i for i in np.flatnonzero(part.parent == root).tolist() if i != path[-2])
        path.pop()
        parent[other] = path[-1]
        new_root = root
    else:
        new_root = n
        parent = np.append(parent, -1)
        size = np.append(size, m)
    # the nodes on the path look the other way
    inside = size[path].copy()
    parent[path[0]] = new_root
    target = new_root
    for i, x in enumerate(path[1:], 1):
        parent[x] = target
        size[x] = m - inside[i - 1]
        target = x
    parent[new_root] = -1
    size[new_root] = m
    # Depth-first order of the leaves: the old one, begun behind the edge.
    turn = np.roll(np.arange(m), -int(last[node]))
    inner = np.arange(m, len(parent))
    order = np.r_[turn, inner[np.argsort(size[inner], kind="stable")]]
    new = np.empty(len(parent), dtype=np.int64)
    new[order] = np.arange(len(parent))
    up = parent[order]
    return Part(np.where(up >= 0, new[up], -1).astype(np.int32), part.rows[turn])


def _best_edge(S: Reals, part: Part, u: Doubles, threads: int) -> tuple[int, float, float]:
    """The edge (the node below it), its score and the margin to the next best."""
    n, m = len(part.parent), len(part.rows)
    if m <= 2:
        return 0, 0.0, np.inf
    square = np.empty(n)
    _backend.extension().phylo_edge_scores(S, part.rows, part.parent, u, square, threads)
    valid = np.ones(n, dtype=bool)
    valid[-1] = False
    top = np.flatnonzero(part.parent == n - 1)
    if len(top) == 2:  # the two are one edge
        valid[top[1]] = False
    edges = np.flatnonzero(valid)
    values = square[edges]
    ties = edges[values <= values.min() + TIE]
    best = int(ties[0])
    if len(ties) > 1:
        _, first, last = _layout(part.parent, m)
        below = (last - first)[ties]
        smaller = np.minimum(below, m - below)
        ties = ties[smaller == smaller.max()]
        best = int(min(ties, key=lambda e: (int(part.rows[first[e] : last[e]].min()), int(e))))
    score = float(np.sqrt(square[best]))
    others = square[edges[edges != best]]
    margin = float(np.sqrt(others.min()) - score) if len(others) else np.inf
    return best, score, max(margin, 0.0)


def _settled(D: Reals, part: Part, u: Doubles, cap: float, edge: int, threads: int) -> int:
    """The edge with which the tree is the shortest if a leaf of similarities `u` hangs on it."""
    if len(part.rows) <= 2:
        return edge
    delta = np.full(len(u), np.inf)
    np.log(u.max() / np.where(u > 0, u, 1.0), out=delta, where=u > 0)
    excess = np.empty(len(part.parent))
    _backend.extension().phylo_insertion_lengths(D, part.rows, part.parent, delta, cap, excess, threads)
    return edge if excess[edge] <= SAME else int(np.argmin(excess[:-1]))


def middle_edge(part: Part) -> int:
    """The edge whose smaller side is the largest."""
    m = len(part.rows)
    _, first, last = _layout(part.parent, m)
    below = (last - first)[:-1]
    return int(np.argmax(np.minimum(below, m - below)))


def join_at(one: Part, two: Part) -> Part:
    """A new root above the roots of both."""
    m1, m2 = len(one.rows), len(two.rows)
    n1, n2 = len(one.parent), len(two.parent)
    m, n = m1 + m2, n1 + n2 + 1

    def place(count: int, m_own: int, leaf: int, inner: int) -> NDArray[np.int64]:
        return np.concatenate([np.arange(m_own) + leaf, np.arange(count - m_own) + inner])

    p1, p2 = place(n1, m1, 0, m), place(n2, m2, m1, m + n1 - m1)
    parent = np.full(n, -1, dtype=np.int32)
    parent[p1] = np.where(one.parent >= 0, p1[one.parent], n - 1)
    parent[p2] = np.where(two.parent >= 0, p2[two.parent], n - 1)
    return Part(parent, np.r_[one.rows, two.rows].astype(np.int32))


def merge_parts(
    S: Reals, D: Reals | None, one: Part, two: Part, cap: float, threads: int
) -> tuple[Part, Merge | None]:
    """Join two trees at the edges where the other one belongs; None: no similarity tells where.

    The spectral score tells the edges. With distances D (at most `cap`) another edge takes the place of one
    if the tree is shorter with it.
    """
    u, v = np.empty(len(one.rows)), np.empty(len(two.rows))
    sigma = _backend.extension().phylo_leading_pair(S, one.rows, two.rows, u, v, threads)
    if sigma == 0:
        return join_at(root_at(one, middle_edge(one)) if len(one.rows) > 1 else one,
                        root_at(two, middle_edge(two)) if len(two.rows) > 1 else two), None  # fmt: skip
    at1, score1, margin1 = _best_edge(S, one, u, threads)
    at2, score2, margin2 = _best_edge(S, two, v, threads)
    moved = 0
    if D is not None:
        found = _settled(D, one, u, cap, at1, threads), _settled(D, two, v, cap, at2, threads)
        moved = (found[0] != at1) + (found[1] != at2)
        at1, at2 = found
    joined = join_at(root_at(one, at1), root_at(two, at2))
    return joined, Merge((score1, score2), (margin1, margin2), moved)


def _rows_of(tree: Tree, names: Sequence[str], what: str) -> Ints:
    place = {name: i for i, name in enumerate(names)}
    missing = [name for name in tree.names if name not in place]
    if missing:
        raise ValueError(f"names has no row for the leaves {', '.join(missing[:5])} of {what}")
    return np.array([place[name] for name in tree.names], dtype=np.int32)


def merge_trees(
    T1: Tree,
    T2: Tree,
    S: Any,
    names: Sequence[str] | None = None,
    *,
    merge: str = "balanced",
    n_jobs: int | None = None,
) -> Tree:
    """Join two unrooted trees on different leaves by a new edge, placed by the similarities between them.

    The leading singular vector u of the similarities to the other tree's leaves is, up to a factor, that to
    the new edge. "spectral": of each tree the edge is taken whose two sides are the best explained, as one
    block of rank one, by u. "balanced": the edge with which the tree is the shortest, in the sense of
    balanced minimum evolution, if a leaf at the distances ``-log u`` hangs on it; the spectral one if it is
    one of several.

    Parameters
    ----------
    T1, T2 : Tree
        Trees without a common leaf.
    S : array of shape (m, m)
        Similarities of the leaves of both.
    names : sequence of str or None, default=None
        The leaf of each row of `S`; None: those of `T1`, then those of `T2`.
    merge : {"balanced", "spectral"}, default="balanced"
        What tells the edges. Both are exact for exact similarities.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        Rooted on the new edge, without lengths (see `edge_lengths`); leaves in the order of `names`.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or there is no similarity between the two trees.

    References
    ----------
    Yariv Aizenbud, Ariel Jaffe, Meng Wang, Amber Hu, Noah Amsel, Boaz Nadler, Joseph Chang, Yuval Kluger,
    "Spectral Top-Down Recovery of Latent Tree Models", 2021, equation (8).

    Richard Desper, Olivier Gascuel, "Fast and accurate phylogeny reconstruction algorithms based on the
    minimum-evolution principle", 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import merge_trees, read_newick
    >>> tree = read_newick("((a:1,b:1):1,(c:1,d:1):1,e:1);")
    >>> S = np.exp(-tree.path_lengths() / 5)
    >>> one, two = read_newick("(a,b,e);"), read_newick("(c,d);")
    >>> merge_trees(one, two, S, names=tree.names).unrooted().newick()
    '(((a,b),e),c,d);'
    """
    threads = _threads.resolve(n_jobs)
    _validate.check_choice(merge, "merge", MERGES)
    similarities, _ = check_similarities(S)
    everyone = (*T1.names, *T2.names) if names is None else tuple(names)
    if len(everyone) != len(similarities):
        raise ValueError(f"S has {len(similarities)} rows, but there are {len(everyone)} names")
    common = sorted(set(T1.names) & set(T2.names))
    if common:
        raise ValueError(f"T1 and T2 have leaves in common: {', '.join(common[:5])}")
    parts = [as_part(_suppressed(t), _rows_of(t, everyone, w)) for t, w in ((T1, "T1"), (T2, "T2"))]
    D = distances_of(similarities, threads) if merge == "balanced" else None
    joined, how = merge_parts(similarities, D, parts[0], parts[1], np.inf, threads)
    if how is None:
        raise ValueError("S is 0 between the leaves of T1 and those of T2: nothing tells where they belong")
    m = len(joined.rows)
    rank = np.argsort(joined.rows, kind="stable")
    parent = joined.parent.copy()
    parent[:m] = joined.parent[rank]
    return Tree(parent, None, [everyone[i] for i in joined.rows[rank].tolist()])


def _suppressed(tree: Tree) -> Tree:
    return tree.unrooted() if tree.n_leaves > 2 else tree


def spectral_root_edge(
    tree: Tree, S_in: Any, S_cross: Any, *, n_jobs: int | None = None
) -> tuple[int, Doubles]:
    """Find the edge of a tree where an outgroup belongs, by its similarities to the leaves.

    Parameters
    ----------
    tree : Tree
        A tree, taken without its root.
    S_in : array of shape (m, m)
        Similarities of its leaves, in their order.
    S_cross : array of shape (m, k)
        Similarities of its leaves to k others, the outgroup.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    node : int
        The edge above this node of `tree`: ``tree.rerooted(node)`` puts the root there.
    scores : float64 array of shape (n_nodes,)
        For the edge above every node, how badly the outgroup fits there: 0 to 1; NaN at the root.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or the outgroup has no similarity to any leaf.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import read_newick, spectral_root_edge
    >>> full = read_newick("((a:1,b:1):1,(c:1,d:1):1,out:2);")
    >>> S = np.exp(-full.path_lengths() / 5)
    >>> tree = read_newick("((a,b),c,d);")
    >>> node, _ = spectral_root_edge(tree, S[:4, :4], S[:4, 4:])
    >>> tree.rerooted(node).newick()
    '((a,b),(c,d));'
    """
    threads = _threads.resolve(n_jobs)
    similarities, _ = check_similarities(S_in, "S_in")
    cross = np.asarray(_validate.check_points(S_cross, "S_cross"), dtype=np.float64)
    m = tree.n_leaves
    if len(similarities) != m or len(cross) != m:
        raise ValueError(
            f"S_in and S_cross must have {m} rows, one for each leaf, got {len(similarities)} and "
            f"{len(cross)}"
        )
    if (cross < 0).any():
        raise ValueError("S_cross must not be negative")
    u, v = np.empty(m), np.empty(cross.shape[1])
    rows, cols = np.arange(m, dtype=np.int32), np.arange(cross.shape[1], dtype=np.int32)
    core = _backend.extension()
    if core.phylo_leading_pair(cross, rows, cols, u, v, threads) == 0:
        raise ValueError("S_cross is 0: nothing tells where the outgroup belongs")
    part = as_part(tree, rows)
    square = np.empty(tree.n_nodes)
    core.phylo_edge_scores(similarities, part.rows, part.parent, u[part.rows], square, threads)
    # back to the numbering of the tree: inner nodes are the same, leaves were put in order
    scores = square.copy()
    scores[part.rows] = square[:m]
    scores = np.sqrt(scores)
    scores[-1] = np.nan
    if m <= 2:
        return 0, scores
    best, _, _ = _best_edge(similarities, part, u[part.rows], threads)
    return int(part.rows[best]) if best < m else best, scores


def shortened(tree: Tree, D: Any, cap: float, threads: int) -> tuple[Tree, int]:
    """`balanced_nni` of what was checked; D: distances, or `Sites` to compute them from."""
    parent = np.array(tree.parent, dtype=np.int32)
    source = (D.codes, D.options) if isinstance(D, Sites) else (D,)
    count = _backend.extension().phylo_interchange(*source, cap, parent, SWEEPS, threads)
    return (Tree(parent, None, tree.names) if count else tree), int(count)


def balanced_nni(tree: Tree, D: Any, *, cap: float | None = None, n_jobs: int | None = None) -> Tree:
    """Interchange subtrees until no interchange makes the tree shorter, by balanced minimum evolution.

    Around every inner edge with the subtrees A, B on one side and C, E on the other, B and C or B and E
    change places if ``D_AC + D_BE`` (``D_AE + D_BC``) is less than ``D_AB + D_CE``. Distances between
    subtrees are averages in which every node shares its weight out equally; below five nodes the nearest leaf
    stands for all, so that a sweep over the tree takes time in proportion to its leaves.

    Parameters
    ----------
    tree : Tree
        The topology; its root does not count.
    D : array of shape (m, m), or condensed of length m (m - 1) / 2
        Distances between its leaves, in their order.
    cap : float or None, default=None
        Distances beyond are made that long, such as ``info.resolved`` of `similarity_matrix`; None: none.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        Without a root and without lengths (see `edge_lengths`). On the distances of a binary tree that tree
        is left as it is.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Richard Desper, Olivier Gascuel, "Fast and accurate phylogeny reconstruction algorithms based on the
    minimum-evolution principle", 2002.

    Examples
    --------
    >>> from lapwing.trees import balanced_nni, read_newick
    >>> tree = read_newick("((a:1,b:2):3,c:4,(d:5,e:1):2);")
    >>> wrong = read_newick("((a,c),b,(d,e));")
    >>> balanced_nni(wrong.reordered(tree.names), tree.path_lengths()).newick()
    '((a,b),c,(d,e));'
    """
    threads = _threads.resolve(n_jobs)
    top = np.inf if cap is None else _validate.check_positive(cap, "cap")
    distances = check_distances(D)
    if len(distances) != tree.n_leaves:
        raise ValueError(f"D has {len(distances)} rows, but the tree has {tree.n_leaves} leaves")
    plain = _suppressed(tree)
    return shortened(Tree(plain.parent, None, plain.names), distances, top, threads)[0]


def edge_lengths(
    tree: Tree, D: Any, *, method: str = "ols", negative: str = "clip", n_jobs: int | None = None
) -> Tree:
    """Lengths of a tree's edges that fit given distances best, in the sense of least squares.

    Parameters
    ----------
    tree : Tree
        The topology.
    D : array of shape (m, m), or condensed of length m (m - 1) / 2
        Distances between its leaves, in their order.
    method : {"ols", "nnls"}, default="ols"
        "ols": least squares, in O(m^2) for a binary tree. "nnls": the same with lengths >= 0, by projected
        coordinate descent on the normal equations (O(m^2) memory).
    negative : {"clip", "keep"}, default="clip"
        For "ols": lengths below 0 become 0, or are kept.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        The same tree with lengths. If its root has two children, their edges are one, and each has half of
        it.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Andrey Rzhetsky, Masatoshi Nei, "Theoretical foundation of the minimum-evolution method of phylogenetic
    inference", 1993.

    Examples
    --------
    >>> from lapwing.trees import edge_lengths, read_newick
    >>> tree = read_newick("((a:1,b:2):3,c:4,d:5);")
    >>> edge_lengths(read_newick("((a,b),c,d);"), tree.path_lengths()).newick()
    '((a:1,b:2):3,c:4,d:5);'
    """
    threads = _threads.resolve(n_jobs)
    _validate.check_choice(method, "method", ("ols", "nnls"))
    _validate.check_choice(negative, "negative", ("clip", "keep"))
    distances = check_distances(D)
    if len(distances) != tree.n_leaves:
        raise ValueError(f"D has {len(distances)} rows, but the tree has {tree.n_leaves} leaves")
    return fit_lengths(tree, distances, method, negative == "clip", threads)


def fit_lengths(tree: Tree, distances: Reals, method: str, clip: bool, threads: int) -> Tree:
    """The same for distances that were checked."""
    if tree.binary:
        part = as_part(tree, np.arange(tree.n_leaves, dtype=np.int32))
        found = np.empty(tree.n_nodes)
        _backend.extension().phylo_lengths(distances, part.rows, part.parent, found, threads)
        length = found.copy()
        length[part.rows] = found[: tree.n_leaves]
    else:
        length = _normal_lengths(tree, distances)
    if method == "nnls" and (length < 0).any():
        length = _descend(tree, distances, length)
    if clip or method == "nnls":
        length = np.maximum(length, 0.0)
    length[-1] = 0.0
    return tree.with_lengths(length)


def _normal_equations(tree: Tree, D: Reals) -> tuple[Doubles, Doubles]:
    """Pairs of leaves that two edges separate both, and sums of the distances that each edge separates."""
    order, first, last = tree.layout
    n, m = tree.n_nodes, tree.n_leaves
    size = (last - first).astype(np.float64)[:-1]
    a, b = first[:-1], last[:-1]
    inside = (a[:, None] >= a[None, :]) & (b[:, None] <= b[None, :])  # row below column
    N = size[:, None] * size[None, :]
    N[inside] = (size[:, None] * (m - size[None, :]))[inside]
    N[inside.T] = (size[None, :] * (m - size[:, None]))[inside.T]
    cumulative = np.zeros((m + 1, m + 1))
    cumulative[1:, 1:] = D[np.ix_(order, order)].cumsum(0, dtype=np.float64).cumsum(1)
    below = cumulative[b, b] - cumulative[a, b] - cumulative[b, a] + cumulative[a, a]
    rows = cumulative[b, m] - cumulative[a, m]
    assert len(N) == n - 1
    return N, rows - below


def _normal_lengths(tree: Tree, D: Reals) -> Doubles:
    """Least squares for any tree: O(n^3)."""
    N, rhs = _normal_equations(tree, D)
    # Edges that separate the same pairs (at a root with two children) share what is found.
    length = np.linalg.lstsq(N, rhs, rcond=1e-12)[0]
    return np.append(length, 0.0)


def _descend(tree: Tree, D: Reals, start: Doubles) -> Doubles:
    """Coordinate descent with lengths >= 0."""
    N, rhs = _normal_equations(tree, D)
    x = np.maximum(start[:-1], 0.0)
    gradient = N @ x - rhs
    diagonal = np.diagonal(N)
    scale = max(float(x.max()), 1e-300)
    for _ in range(1000):
        largest = 0.0
        for e in range(len(x)):
            step = max(-float(x[e]), -float(gradient[e] / diagonal[e]))
            if step != 0.0:
                x[e] += step
                gradient += step * N[e]
                largest = max(largest, abs(step))
        if largest <= 1e-12 * scale:
            break
    return np.append(x, 0.0)
