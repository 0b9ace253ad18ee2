"""Trees from distances or similarities by joining clusters: NJ, BIONJ, spectral NJ, UPGMA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lapwing import _backend, _threads, _validate
from lapwing.phylo._matrix import check_distances, check_names, check_similarities
from lapwing.phylo._tree import Tree

__all__ = ["MOST_QUARTET_LEAVES", "bionj", "nj", "quartet_tree", "snj", "upgma"]

NEGATIVE = ("clip", "keep")
CRITERIA = ("sv2", "residual", "quartets")
MOST_QUARTET_LEAVES = 16


def nj(
    D: Any,
    names: Sequence[str] | None = None,
    *,
    negative: str = "clip",
    overwrite: bool = False,
    n_jobs: int | None = None,
) -> Tree:
    """Neighbour joining: the unrooted tree of a distance matrix, exactly, without searching most of it.

    Joins the pair with the least ``(k - 2) D_ij - r_i - r_j``, r the row sums over the k clusters that are
    left. A tree whose path lengths are `D` is recovered with its lengths.

    Parameters
    ----------
    D : array of shape (m, m), or condensed of length m (m - 1) / 2
        Distances >= 0, symmetric, diagonal 0; m >= 2.
    names : sequence of str or None, default=None
        Names of the leaves; None: "0", "1", ...
    negative : {"clip", "keep"}, default="clip"
        Lengths below 0: made 0, the surplus moved to the sibling's edge; or kept.
    overwrite : bool, default=False
        Use the memory of `D`, a C-contiguous float64 array, as scratch: what it holds afterwards is of no
        use. Else half as much memory again is taken.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        The root joins three subtrees (m = 2: two). Of pairs with equal criteria the one that holds the
        smallest leaf is joined, then the one whose other side has the smallest leaf.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Naruya Saitou, Masatoshi Nei, "The neighbor-joining method: a new method for reconstructing phylogenetic
    trees", 1987.

    James Studier, Karl Keppler, "A note on the neighbor-joining algorithm of Saitou and Nei", 1988.

    Philip Clausen, "Scaling neighbor joining to one million taxa with dynamic and heuristic neighbor
    joining", 2023 (keeping the least of every row; the bound here holds for any matrix).

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import nj
    >>> D = np.array([[0, 3, 7, 8], [3, 0, 6, 7], [7, 6, 0, 3], [8, 7, 3, 0.0]])
    >>> nj(D, ["a", "b", "c", "d"]).newick()
    '((a:2,b:1):4,c:1,d:2);'
    """
    threads = _threads.resolve(n_jobs)
    _validate.check_choice(negative, "negative", NEGATIVE)
    if overwrite and not (
        isinstance(D, np.ndarray) and D.dtype == np.float64 and D.flags.c_contiguous and D.flags.writeable
    ):
        raise ValueError("overwrite=True needs D to be a writeable C-contiguous array of float64")
    distances = check_distances(D)
    labels = check_names(names, len(distances))
    core = _backend.extension()
    clip = negative == "clip"
    if overwrite:
        parent, length, _ = core.phylo_join_in_place(distances, clip, threads)
    else:
        parent, length, _ = core.phylo_join(distances, "nj", clip, threads)
    return Tree(parent, length, labels)


def bionj(
    D: Any, names: Sequence[str] | None = None, *, negative: str = "clip", n_jobs: int | None = None
) -> Tree:
    """BIONJ: neighbour joining that weighs the two joined clusters by the variances of their distances.

    Parameters
    ----------
    D, names, negative, n_jobs
        As in `nj`. Variances begin as the distances.

    Returns
    -------
    Tree

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Olivier Gascuel, "BIONJ: an improved version of the NJ algorithm based on a simple model of sequence
    data", 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import bionj
    >>> D = np.array([[0, 3, 7, 8], [3, 0, 6, 7], [7, 6, 0, 3], [8, 7, 3, 0.0]])
    >>> bionj(D, ["a", "b", "c", "d"]).newick()
    '((a:2,b:1):4,c:1,d:2);'
    """
    threads = _threads.resolve(n_jobs)
    _validate.check_choice(negative, "negative", NEGATIVE)
    distances = check_distances(D)
    labels = check_names(names, len(distances))
    parent, length, _ = _backend.extension().phylo_join(distances, "bionj", negative == "clip", threads)
    return Tree(parent, length, labels)


def snj(
    S: Any,
    names: Sequence[str] | None = None,
    *,
    criterion: str = "sv2",
    n_jobs: int | None = None,
) -> Tree:
    """Spectral neighbour joining: the unrooted tree of a similarity matrix.

    Joins the two clusters whose union A has the least second singular value of ``S(A, rest)``, which is 0 for
    the sides of the edges of the tree if S is exact.

    Parameters
    ----------
    S : array of shape (m, m)
        Similarities in [0, 1], symmetric, diagonal 1, that multiply along the paths of a tree; m >= 2.
    names : sequence of str or None, default=None
        Names of the leaves; None: "0", "1", ...
    criterion : {"sv2", "residual", "quartets"}, default="sv2"
        Of the singular values of ``S(A, rest)`` the second; the root of the sum of the squares of all but the
        first; or, of their squares, twice the sum of the products of pairs over the sum.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        Without lengths (see `edge_lengths`). Of equal scores the pair is taken that holds the smallest leaf,
        then the one whose other side has the smallest leaf.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Notes
    -----
    Memory for four more matrices of the size of `S`. A score is computed only when a lower bound of it, that
    of two rows, is the least of all: about once a join, and less often for large clusters, of which a bound
    from above tells ("quartets": not) that no other pair has less.

    References
    ----------
    Ariel Jaffe, Noah Amsel, Yariv Aizenbud, Boaz Nadler, Joseph Chang, Yuval Kluger, "Spectral neighbor
    joining
    for reconstruction of latent tree models", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import read_newick, robinson_foulds, snj
    >>> D = np.array([[0, 3, 7, 8], [3, 0, 6, 7], [7, 6, 0, 3], [8, 7, 3, 0.0]])
    >>> tree = snj(np.exp(-D / 5), ["a", "b", "c", "d"])
    >>> robinson_foulds(tree, read_newick("((a,b),c,d);"))
    0.0
    """
    threads = _threads.resolve(n_jobs)
    _validate.check_choice(criterion, "criterion", CRITERIA)
    similarities, _ = check_similarities(S)
    labels = check_names(names, len(similarities))
    parent, _, _ = _backend.extension().phylo_spectral_join(similarities, criterion, threads)
    return Tree(parent, None, labels)


def quartet_tree(S: Any, names: Sequence[str] | None = None, *, n_jobs: int | None = None) -> Tree:
    """The unrooted tree of few leaves that fits all of their quartets best, found among all binary trees.

    A quartet ``ab | cd`` of the tree counts by how much ``S_ab S_cd`` is above the larger of ``S_ac S_bd``
    and ``S_ad S_bc``; on exact similarities these two are equal and below. The sum is the largest over all
    trees.

    Parameters
    ----------
    S : array of shape (m, m)
        Similarities in [0, 1], symmetric, diagonal 1, that multiply along the paths of a tree; 2 <= m <= 16.
    names : sequence of str or None, default=None
        Names of the leaves; None: "0", "1", ...
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    Tree
        Without lengths (see `edge_lengths`). Of equal trees the one that was found first.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Notes
    -----
    Dynamic programming over the sets of leaves: time grows as 3^m, memory as 2^m m^2.

    References
    ----------
    Amir Ben-Dor, Benny Chor, Dan Graur, Ron Ophir, Dan Pelleg, "Constructing phylogenies from quartets:
    elucidation of eutherian superordinal relationships", 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import quartet_tree
    >>> D = np.array([[0, 3, 7, 8], [3, 0, 6, 7], [7, 6, 0, 3], [8, 7, 3, 0.0]])
    >>> quartet_tree(np.exp(-D / 5), ["a", "b", "c", "d"]).newick()
    '(a,b,(c,d));'
    """
    threads = _threads.resolve(n_jobs)
    similarities, _ = check_similarities(S)
    m = len(similarities)
    if m > MOST_QUARTET_LEAVES:
        raise ValueError(f"S must have at most {MOST_QUARTET_LEAVES} rows: time grows as 3^m; got {m}")
    labels = check_names(names, m)
    parent, _, _ = _backend.extension().phylo_quartet_tree(similarities, threads)
    return Tree(parent, None, labels)


def upgma(D: Any, names: Sequence[str] | None = None) -> Tree:
    """UPGMA: average linkage, a rooted tree whose leaves are all equally far from the root.

    Parameters
    ----------
    D : array of shape (m, m), or condensed of length m (m - 1) / 2
        Distances >= 0, symmetric, diagonal 0; m >= 2.
    names : sequence of str or None, default=None
        Names of the leaves; None: "0", "1", ...

    Returns
    -------
    Tree
        Rooted; each node's height is half the average distance of its two sides.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Robert Sokal, Charles Michener, "A statistical method for evaluating systematic relationships", 1958.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import upgma
    >>> upgma(np.array([[0, 2, 6], [2, 0, 6], [6, 6, 0.0]]), ["a", "b", "c"]).newick()
    '((a:1,b:1):2,c:3);'
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    distances = check_distances(D)
    m = len(distances)
    labels = check_names(names, m)
    Z = linkage(squareform(distances, checks=False), "average")
    parent = np.full(2 * m - 1, -1)
    height = np.zeros(2 * m - 1)
    pairs = Z[:, :2].astype(np.intp)
    parent[pairs] = np.arange(m, 2 * m - 1)[:, None]
    height[m:] = Z[:, 2] / 2
    length = np.maximum(height[parent] - height, 0.0)
    length[-1] = 0.0
    return Tree(parent, length, labels)
