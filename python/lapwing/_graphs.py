"""From whatever holds a weighted graph to the arrays that the core reads, with every check on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _backend

__all__ = ["Graph", "as_graph", "is_graph"]

_DIRECTED = "{name} is a directed graph; pass lapwing.graph.symmetrize of its matrix, or {name}.{method}()"
NEGATIVE = ("raise", "clip", "abs", "signed")
ASYMMETRY = {np.dtype(np.float32): 1e-6}  # of the largest weight; anything else: 1e-10


class Graph(NamedTuple):
    """An undirected weighted graph: compressed rows, symmetric to the last bit, no zeros and no diagonal."""

    offsets: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]
    loops: NDArray[np.float64] | None  # the diagonal, if any of it differs from 0
    negatives: int = 0  # edges that had a negative weight

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.offsets) - 1

    @property
    def csr(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """What the core's functions take first."""
        return self.offsets, self.indices, self.values

    @property
    def sources(self) -> NDArray[np.intp]:
        """Row of each entry."""
        return np.repeat(np.arange(self.n), np.diff(self.offsets))

    @property
    def degrees(self) -> NDArray[np.float64]:
        """Sums of the rows."""
        return np.asarray(self.matrix() @ np.ones(self.n))

    def matrix(self) -> Any:
        """The weights as a SciPy CSR array."""
        from scipy.sparse import csr_array

        return csr_array((self.values, self.indices, self.offsets), shape=(self.n, self.n))


def _is_networkx(W: Any) -> bool:
    return hasattr(W, "adj") and hasattr(W, "nodes") and hasattr(W, "is_directed")


def _is_igraph(W: Any) -> bool:
    return hasattr(W, "get_adjacency_sparse")


def is_graph(W: Any) -> bool:
    """Whether `W` is a networkx or igraph graph."""
    return _is_networkx(W) or _is_igraph(W)


def _to_sparse(W: Any, name: str) -> Any:
    """W as a SciPy CSR array in canonical form, and its dtype as it came. It may share its memory with W."""
    from scipy import sparse

    if _is_networkx(W):
        if W.is_directed():
            raise TypeError(_DIRECTED.format(name=name, method="to_undirected"))
        import networkx

        W = networkx.to_scipy_sparse_array(W, dtype=np.float64)
    elif _is_igraph(W):
        if W.is_directed():
            raise TypeError(_DIRECTED.format(name=name, method="as_undirected"))
        W = W.get_adjacency_sparse(attribute="weight" if "weight" in W.es.attributes() else None)
    if not sparse.issparse(W):
        dense = _array.real(W, name)
        if dense.ndim != 2:
            raise ValueError(f"{name} must be 2-D, got shape {dense.shape}")
        return sparse.csr_array(dense), dense.dtype
    if W.dtype.kind == "c":
        raise TypeError(f"{name} is complex ({W.dtype}); a real matrix is needed")
    if W.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {W.dtype}")
    dtype = W.dtype
    A = sparse.csr_array(W, dtype=np.float64)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()  # sorts the columns of each row as well
    return A, dtype


def _place(A: Any, entry: int) -> tuple[int, int]:
    row = int(np.searchsorted(A.indptr, entry, side="right")) - 1
    return row, int(A.indices[entry])


def _check_values(A: Any, name: str, negative: str) -> int:
    bad = ~np.isfinite(A.data)
    if bad.any():
        first = int(np.argmax(bad))
        what = "NaN" if np.isnan(A.data[first]) else "an infinite value"
        count = int(bad.sum()) - 1
        more = f" and {count} more that {'is' if count == 1 else 'are'} not finite" if count else ""
        raise ValueError(f"{name} contains {what} at {_place(A, first)}{more}")
    below = A.data < 0
    if not below.any():
        return 0
    if negative == "raise":
        first = int(np.argmax(below))
        raise ValueError(f"{name} must not be negative, but it is {A.data[first]:g} at {_place(A, first)}")
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    count = int((below & (rows < A.indices)).sum())
    if negative == "clip":
        A.data = np.where(below, 0.0, A.data)
    elif negative == "abs":
        A.data = np.abs(A.data)
    return count


def as_graph(W: Any, name: str = "W", negative: str = "raise") -> Graph:
    """Read the weights of an undirected graph.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0, of shape (n, n). Integers and booleans become float64.
    name : str
        The argument, for the messages.
    negative : {"raise", "clip", "abs", "signed"}
        What to do with negative weights: refuse them, take them for 0 or for their magnitudes, or keep them.

    Raises
    ------
    ValueError
        `W` is empty, not square, not symmetric (beyond 1e-10 of its largest entry, 1e-6 for float32), or has
        a negative, infinite or NaN entry; the message says where.
    TypeError
        `W` is complex, holds no numbers, or is a directed graph.
    """
    A, dtype = _to_sparse(W, name)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} must be square, got shape {A.shape}")
    if A.shape[0] == 0:
        raise ValueError(f"{name} is an empty graph")
    negatives = _check_values(A, name, negative)
    diagonal = A.diagonal()
    loops: NDArray[np.float64] | None = diagonal if diagonal.any() else None
    if loops is not None or not A.data.all():
        A = A.copy()
        if loops is not None:
            A.setdiag(0.0)
        A.eliminate_zeros()
    csr = _arrays(A)
    if not _backend.extension().is_symmetric(*csr):
        csr = _arrays(_symmetric(A, ASYMMETRY.get(np.dtype(dtype), 1e-10), name))
    return Graph(*csr, loops, negatives)


def _arrays(A: Any) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    return (
        np.ascontiguousarray(A.indptr, dtype=np.int64),
        np.ascontiguousarray(A.indices, dtype=np.int32),
        np.ascontiguousarray(A.data, dtype=np.float64),
    )


def _symmetric(A: Any, tolerance: float, name: str) -> Any:
    """The mean of `A` and its transpose, where these differ by rounding only."""
    T = A.T.tocsr()
    T.sort_indices()
    difference = abs(A - T)
    worst = float(difference.data.max(initial=0.0))
    if worst > tolerance * float(np.abs(A.data).max(initial=0.0)):
        row, column = _place(difference, int(np.argmax(difference.data)))
        raise ValueError(
            f"{name} must be symmetric, but {name}[{row}, {column}] and {name}[{column}, {row}] differ by "
            f"{worst:g}"
        )
    A = ((A + T) * 0.5).tocsr()  # both triangles from the same sums, so that they agree to the last bit
    A.sort_indices()
    return A
