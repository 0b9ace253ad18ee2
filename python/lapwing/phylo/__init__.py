"""Trees from alignments and distances: similarities, neighbour joining and its relatives, Newick."""

from __future__ import annotations

from lapwing.phylo._join import bionj, nj, quartet_tree, snj, upgma
from lapwing.phylo._merge import (
    balanced_nni,
    edge_lengths,
    fiedler_cut,
    merge_trees,
    spectral_root_edge,
)
from lapwing.phylo._newick import read_newick, write_newick
from lapwing.phylo._similarity import (
    SimilarityInfo,
    SimilarityOperator,
    distance_matrix,
    similarity_matrix,
    similarity_operator,
)
from lapwing.phylo._tree import Layout, Tree

__all__ = [
    "Layout",
    "SimilarityInfo",
    "SimilarityOperator",
    "Tree",
    "balanced_nni",
    "bionj",
    "distance_matrix",
    "edge_lengths",
    "fiedler_cut",
    "merge_trees",
    "nj",
    "quartet_tree",
    "read_newick",
    "similarity_matrix",
    "similarity_operator",
    "snj",
    "spectral_root_edge",
    "upgma",
    "write_newick",
]
