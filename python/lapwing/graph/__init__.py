"""Graphs from data: neighbours, affinities, Laplacians; and partitions of graphs."""

from __future__ import annotations

from lapwing.graph._affinity import affinity, bandwidth_bgh
from lapwing.graph._cuts import CutMetrics, SweepCut, cut_metrics, sweep_cut
from lapwing.graph._features import graph_random_features
from lapwing.graph._fiedler import FiedlerInfo, FiedlerResult, fiedler_vector
from lapwing.graph._files import GraphFile, read_graph
from lapwing.graph._knn import KNNGraph, knn_graph
from lapwing.graph._matrices import components, laplacian, symmetrize
from lapwing.graph._partition import PartitionInfo, PartitionTree, bisect, partition, refine_flow, refine_fm
from lapwing.graph._radius import connect, radius_graph
from lapwing.graph._scores import laplacian_score
from lapwing.ot import doubly_stochastic

__all__ = [
    "CutMetrics",
    "FiedlerInfo",
    "FiedlerResult",
    "GraphFile",
    "KNNGraph",
    "PartitionInfo",
    "PartitionTree",
    "SweepCut",
    "affinity",
    "bandwidth_bgh",
    "bisect",
    "components",
    "connect",
    "cut_metrics",
    "doubly_stochastic",
    "fiedler_vector",
    "graph_random_features",
    "knn_graph",
    "laplacian",
    "laplacian_score",
    "partition",
    "radius_graph",
    "read_graph",
    "refine_flow",
    "refine_fm",
    "sweep_cut",
    "symmetrize",
]
