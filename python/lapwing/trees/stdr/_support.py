"""Support of a tree's edges by other trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lapwing.phylo import Tree
from lapwing.trees.distances import split_keys

__all__ = ["split_support"]


def split_support(tree: Tree, others: Sequence[Tree]) -> NDArray[np.float64]:
    """The part of other trees on the same leaves that have the split of each edge; NaN at leaves."""
    count: Counter[bytes] = Counter()
    for other in others:
        aligned = other if other.names == tree.names else other.reordered(tree.names)
        keys, inner = split_keys(aligned)
        count.update({key.tobytes() for key in keys[inner]})
    keys, inner = split_keys(tree)
    support = np.full(tree.n_nodes, np.nan)
    for i in np.flatnonzero(inner).tolist():
        support[i] = count[keys[i].tobytes()] / max(1, len(others))
    return support
