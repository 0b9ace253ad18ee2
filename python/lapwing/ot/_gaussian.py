"""Potentials between two normal distributions, in closed form: a start for clouds that resemble them."""

from __future__ import annotations

import numpy as np

from lapwing._array import Floats
from lapwing.ot._geometry import Geometry, Vector

__all__ = ["potentials"]


def potentials(geometry: Geometry, a: Vector, b: Vector, reg: float) -> tuple[Vector, Vector]:
    """Quadratic potentials for ``|x - y|²`` between the normal distributions with the moments of the clouds.

    With covariances A, B and s = reg/2, the optimal coupling has the cross-covariance ``C = (A^½ (4 A^½ B A^½
    + s² I)^½ A^-½ - s I) / 2`` (Janati, Muzellec, Peyré, Cuturi, 2020). The precision matrix of a coupling
    ``exp((f + g - c)/reg) da db`` then fixes f and g.
    """
    assert geometry.y is not None
    s = 0.5 * reg
    (x, mean_x, A), (y, mean_y, B) = (_moments(z, w) for z, w in ((geometry.x, a), (geometry.y, b)))
    # What has no spread in some direction is given a little: A must have an inverse.
    tiny = 1e-10 * (np.trace(A) + np.trace(B)) / A.shape[0] + np.finfo(np.float64).tiny
    A, B = A + tiny * np.eye(A.shape[0]), B + tiny * np.eye(B.shape[0])
    values, vectors = np.linalg.eigh(A)
    half, inverse = (vectors * values**p @ vectors.T for p in (0.5, -0.5))
    inner, basis = np.linalg.eigh(4 * half @ B @ half + s**2 * np.eye(A.shape[0]))
    D = basis * np.sqrt(np.maximum(inner, 0)) @ basis.T
    C = 0.5 * (half @ D @ inverse - s * np.eye(A.shape[0]))
    U = (B - C.T @ np.linalg.solve(A, C)) / s
    V = (A - C @ np.linalg.solve(B, C.T)) / s
    shift = mean_x - mean_y
    f = np.einsum("ij,ij->i", x - x @ U, x) + 2 * x @ shift
    g = np.einsum("ij,ij->i", y - y @ V, y) - 2 * y @ shift
    return f + shift @ shift, g


def _moments(points: Floats, weights: Vector) -> tuple[Vector, Vector, Vector]:
    z = points.astype(np.float64)
    share = weights / weights.sum()
    mean = share @ z
    z = z - mean
    return z, mean, (share[:, None] * z).T @ z
