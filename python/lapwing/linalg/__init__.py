"""Eigenpairs of graph Laplacians, and Laplacian systems, with their accuracy."""

from __future__ import annotations

from lapwing.linalg._approx import ApproxCholesky
from lapwing.linalg._laplacian import count_below, laplacian_eigs
from lapwing.linalg._operators import eigsh, svds
from lapwing.linalg._result import EigenResult

__all__ = ["ApproxCholesky", "EigenResult", "count_below", "eigsh", "laplacian_eigs", "svds"]
