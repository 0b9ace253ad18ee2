"""Graphs from data: neighbours, affinities, Laplacians."""

from __future__ import annotations

from lapwing.graph._affinity import affinity, bandwidth_bgh
from lapwing.graph._knn import KNNGraph, knn_graph
from lapwing.graph._matrices import components, laplacian, symmetrize

__all__ = [
    "KNNGraph",
    "affinity",
    "bandwidth_bgh",
    "components",
    "knn_graph",
    "laplacian",
    "symmetrize",
]
