"""Latent trees: STDR, neighbour joining, tree metrics, simulated trees and sequences."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lapwing.phylo import (
    Tree,
    balanced_nni,
    bionj,
    distance_matrix,
    edge_lengths,
    fiedler_cut,
    merge_trees,
    nj,
    quartet_tree,
    read_newick,
    similarity_matrix,
    similarity_operator,
    snj,
    spectral_root_edge,
    upgma,
    write_newick,
)

if TYPE_CHECKING:
    from lapwing.trees.alignments import Alignment, read_alignment
    from lapwing.trees.convert import from_object, to_linkage, to_object
    from lapwing.trees.distances import (
        branch_score,
        partition_correct,
        quartet_distance,
        robinson_foulds,
        split_precision_recall,
        weighted_rf,
    )
    from lapwing.trees.simulate import (
        balanced,
        birth_death,
        caterpillar,
        kingman,
        population_similarity,
        simulate_gaussian,
        simulate_sequences,
        simulate_tree,
    )
    from lapwing.trees.stdr import STDR

_HOME = {
    "Alignment": "alignments",
    "STDR": "stdr",
    "balanced": "simulate",
    "birth_death": "simulate",
    "branch_score": "distances",
    "caterpillar": "simulate",
    "from_object": "convert",
    "kingman": "simulate",
    "partition_correct": "distances",
    "population_similarity": "simulate",
    "quartet_distance": "distances",
    "read_alignment": "alignments",
    "robinson_foulds": "distances",
    "simulate_gaussian": "simulate",
    "simulate_sequences": "simulate",
    "simulate_tree": "simulate",
    "split_precision_recall": "distances",
    "to_linkage": "convert",
    "to_object": "convert",
    "weighted_rf": "distances",
}

__all__ = [
    "STDR",
    "Alignment",
    "Tree",
    "balanced",
    "balanced_nni",
    "bionj",
    "birth_death",
    "branch_score",
    "caterpillar",
    "distance_matrix",
    "edge_lengths",
    "fiedler_cut",
    "from_object",
    "kingman",
    "merge_trees",
    "nj",
    "partition_correct",
    "population_similarity",
    "quartet_distance",
    "quartet_tree",
    "read_alignment",
    "read_newick",
    "robinson_foulds",
    "similarity_matrix",
    "similarity_operator",
    "simulate_gaussian",
    "simulate_sequences",
    "simulate_tree",
    "snj",
    "spectral_root_edge",
    "split_precision_recall",
    "to_linkage",
    "to_object",
    "upgma",
    "weighted_rf",
    "write_newick",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.trees.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
