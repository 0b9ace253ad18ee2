"""What an eigensolver returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EigenResult"]


@dataclass(frozen=True)
class EigenResult:
    """Eigenpairs and how accurate they are.

    Attributes
    ----------
    values : float64 array of shape (k,)
        Eigenvalues, rising.
    vectors : float64 array of shape (n, k)
        Orthonormal eigenvectors in columns.
    residuals : float64 array of shape (k,)
        ``‖A v - λ v‖ / ‖A‖`` of each pair, recomputed from the vectors.
    vector_errors : float64 array of shape (k,)
        Estimated sine of the angle between each vector and the eigenspace of its cluster of eigenvalues: the
        residual over the distance to the nearest other cluster that was computed, at most 1.
    null_dim : int
        Dimension of the null space: the number of connected components of a graph.
    labels : int32 array of shape (n,), or None
        Component of each node; 0 is the largest. None for operators.
    converged : bool
        Whether every pair reached the tolerance.
    info : dict
        How the result came about: ``method``, ``reason``, ``iterations``, ``products``, ``corrections``,
        ``seconds``, ``norm``, ``verified``, ``cut_cluster``; with ``certify`` also ``certified``, ``counted``
        (eigenvalues, the null space included) and ``counted_below``.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vector_errors: NDArray[np.float64]
    null_dim: int
    labels: NDArray[np.int32] | None
    converged: bool
    info: dict[str, Any] = field(default_factory=dict)
