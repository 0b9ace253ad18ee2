"""Clusters of eigenvalues, and one choice among the many bases of their eigenspaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["canonical_basis", "clusters", "separations"]

TIE = 1e-6  # relative: entries and leverage scores this close count as equal, and the first one is taken


def clusters(values: NDArray[np.float64], width: float) -> list[slice]:
    """Runs of rising eigenvalues, each at most `width` from first to last.

    Vectors of one run may be mixed at will: their residuals grow by less than `width`.
    """
    groups: list[slice] = []
    first = 0
    for i in range(1, len(values) + 1):
        if i == len(values) or values[i] - values[first] > width:
            groups.append(slice(first, i))
            first = i
    return groups


def separations(values: NDArray[np.float64], groups: list[slice]) -> NDArray[np.float64]:
    """Distance of each eigenvalue to the nearest one of another cluster; inf where there is no other."""
    gap = np.full(len(values), np.inf)
    for group in groups:
        if group.start > 0:
            gap[group] = values[group] - values[group.start - 1]
        if group.stop < len(values):
            gap[group] = np.minimum(gap[group], values[group.stop] - values[group])
    return gap


def _first_largest(x: NDArray[np.float64]) -> int:
    return int(np.argmax(x >= x.max() * (1.0 - TIE)))


def canonical_basis(vectors: NDArray[np.float64], groups: list[slice]) -> None:
    """Rotate the basis of every cluster, in place, to one that does not depend on how it was found.

    Pivot rows are picked by their leverage, which no rotation changes; the rows of the pivots are made lower
    triangular with a positive diagonal. A single vector: its entry of largest magnitude becomes positive.
    """
    for group in groups:
        V = vectors[:, group]
        m = V.shape[1]
        if m == 1:
            if V[_first_largest(np.abs(V[:, 0])), 0] < 0.0:
                vectors[:, group] = -V
            continue
        leverage = np.einsum("ij,ij->i", V, V)
        found: list[NDArray[np.float64]] = []
        rows: list[int] = []
        for _ in range(m):
            row = _first_largest(leverage)
            q = V[row].copy()
            for _twice in range(2):
                for other in found:
                    q -= (q @ other) * other
            length = np.linalg.norm(q)
            if length == 0.0:  # fewer independent rows than columns: not an orthonormal basis
                return
            q /= length
            found.append(q)
            rows.append(row)
            leverage = np.maximum(leverage - (V @ q) ** 2, 0.0)
        vectors[:, group] = V @ np.stack(found, axis=1)
