"""Graphs from data: neighbours, affinities, Laplacians."""

from __future__ import annotations

from lapwing.graph._affinity import affinity, bandwidth_bgh
from lapwing.graph._features import graph_random_features
from lapwing.graph._knn import KNNGraph, knn_graph
from lapwing.graph._matrices import components, laplacian, symmetrize
from lapwing.graph._radius import connect, radius_graph
from lapwing.graph._scores import laplacian_score
from lapwing.ot import doubly_stochastic

__all__ = [
    "KNNGraph",
    "affinity",
    "bandwidth_bgh",
    "components",
    "connect",
    "doubly_stochastic",
    "graph_random_features",
    "knn_graph",
    "laplacian",
    "laplacian_score",
    "radius_graph",
    "symmetrize",
]
