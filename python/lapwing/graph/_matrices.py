"""Sparse matrices of graphs: symmetric weights, components, Laplacians."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from lapwing import _backend, _graphs, _validate

__all__ = ["components", "laplacian", "symmetrize"]

RULES = ("max", "min", "mean", "fuzzy")


def symmetrize(W: Any, rule: str = "max") -> csr_array:
    """Make the weights of a directed graph symmetric, to the last bit.

    Parameters
    ----------
    W : sparse matrix or array, or dense array, of shape (n, n)
        Weights, finite.
    rule : {"max", "min", "mean", "fuzzy"}, default="max"
        What ``w_ij`` and ``w_ji`` become: the larger one (an edge where either is one), the smaller one
        (where both are), their mean, or ``w_ij + w_ji - w_ij w_ji``.

    Returns
    -------
    csr_array of shape (n, n)
        float64, without explicit zeros.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import symmetrize
    >>> symmetrize(np.array([[0.0, 2.0], [1.0, 0.0]]), "mean").toarray().tolist()
    [[0.0, 1.5], [1.5, 0.0]]
    """
    _validate.check_choice(rule, "rule", RULES)
    A = W if issparse(W) else csr_array(_validate.check_points(W, "W"))
    A = csr_array(A, dtype=np.float64, copy=True)
    if A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ValueError(f"W must be square and not empty, got shape {A.shape}")
    A.sum_duplicates()
    _validate.check_finite(A.data, "W")
    offsets, indices, values = _backend.extension().symmetrize(
        A.indptr.astype(np.int64), A.indices.astype(np.int32), A.data, rule
    )
    return _csr(offsets, indices, values)


def _csr(offsets: NDArray[np.int64], indices: NDArray[np.int32], values: NDArray[np.float64]) -> csr_array:
    n = len(offsets) - 1
    small = offsets.astype(np.int32) if offsets[-1] < 2**31 else offsets
    return csr_array((values, indices, small), shape=(n, n))


def components(W: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Connected components of an undirected graph.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n); an edge is a weight above 0.

    Returns
    -------
    labels : int32 array of shape (n,)
        Component of each node; 0 is the largest, equal ones come in the order of their first nodes.
    sizes : int64 array
        Number of nodes of each component, falling.

    Raises
    ------
    ValueError, TypeError
        `W` does not hold the weights of an undirected graph.
    """
    labels, sizes = _backend.extension().components(*_graphs.as_graph(W).csr)
    return labels, sizes


def laplacian(
    W: Any, normalization: str | None = "sym", *, self_loops: bool = False, return_diag: bool = False
) -> csr_array | tuple[csr_array, NDArray[np.float64]]:
    """Laplacian of a graph as a sparse matrix, for export; lapwing's own solvers take the weights.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n).
    normalization : {"sym", "rw", None}, default="sym"
        ``I - D^-1/2 W D^-1/2``, ``I - D^-1 W``, or ``D - W``. The row of an isolated node is 0.
    self_loops : bool, default=False
        Count the diagonal of `W` in the degrees (and in W). It cancels in ``D - W``.
    return_diag : bool, default=False
        Return what the rows were scaled with as well: the square roots of the degrees ("sym"), the degrees
        ("rw"), or the diagonal of the Laplacian (None).

    Returns
    -------
    csr_array of shape (n, n), or that and an array of shape (n,)

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import laplacian
    >>> laplacian(np.array([[0.0, 2.0], [2.0, 0.0]]), None).toarray().tolist()
    [[2.0, -2.0], [-2.0, 2.0]]
    """
    form = _validate.check_choice(normalization, "normalization", ("sym", "rw", None))
    graph = _graphs.as_graph(W)
    A = graph.matrix()
    loops = graph.loops if self_loops and graph.loops is not None else np.zeros(graph.n)
    degrees = A.sum(axis=1) + loops
    from scipy.sparse import diags_array

    if form is None:
        L, diagonal = diags_array(degrees - loops) - A, degrees - loops
    else:
        occupied = degrees > 0
        inverse = np.divide(1.0, degrees, out=np.zeros(graph.n), where=occupied)
        walk = A + diags_array(loops)
        one = diags_array(occupied.astype(float))
        if form == "rw":
            L, diagonal = one - diags_array(inverse) @ walk, degrees
        else:
            root = np.sqrt(inverse)
            L, diagonal = one - diags_array(root) @ walk @ diags_array(root), np.sqrt(degrees)
    L = csr_array(L)
    L.sort_indices()
    return (L, diagonal) if return_diag else L
