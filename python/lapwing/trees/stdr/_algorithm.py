"""Top-down recovery of a tree: cut the leaves in two, solve the parts, merge the subtrees."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing.phylo import Tree
from lapwing.phylo._matrix import Reals
from lapwing.phylo._merge import Cut, Part, as_part, cut_leaves, merge_parts, part_tree

__all__ = ["Recovery", "Split", "assemble", "checked_part", "partition"]

Ints = NDArray[np.int32]
#: Solves the leaves with these numbers; names go along for those who write files.
Base = Callable[[Ints], Tree]


@dataclass(frozen=True)
class Split:
    """One cut of the recursion.

    Attributes
    ----------
    one, two : int32 array
        The leaves of the two sides.
    lambda2, lambda3 : float
        Eigenvalues of the Laplacian of the similarities.
    sigma2, sigma1 : float
        Singular values of the block between the sides; their ratio is 0 for an edge of the tree.
    kind : str
        "sign", "gap", "component" or "median": how the cut was found.
    """

    one: Ints
    two: Ints
    lambda2: float
    lambda3: float
    sigma2: float
    sigma1: float
    kind: str


@dataclass
class Recovery:
    """What was found."""

    tree: Tree
    labels: NDArray[np.intp]
    splits: list[Split] = field(default_factory=list)
    margins: list[tuple[float, float]] = field(default_factory=list)
    scores: list[tuple[float, float]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    disconnected: int = 0
    blind_merges: int = 0
    moved: int = 0
    interchanges: int = 0
    unconverged: int = 0
    fallbacks: int = 0
    saturated: int = 0
    parts: int = 0
    stopped: bool = False


def partition(
    S: Reals,
    *,
    tau: int,
    num_gaps: int,
    min_split: int,
    normalization: str | None,
    eig_tol: float,
    strict: bool,
    threads: int,
    report: Callable[[str, int, float], Any] | None = None,
) -> tuple[Recovery, list[Ints | None]]:
    """Cut the leaves in two until every part is small.

    Parameters
    ----------
    S : float64 or float32 array of shape (m, m)
        Similarities.
    tau : int
        Most leaves of a part.
    num_gaps, min_split, normalization, eig_tol
        Of the cuts.
    strict : bool
        Raise where no cut leaves `min_split` leaves on both sides.
    threads : int
        For the core.
    report : callable or None
        Called with "partition", the number of leaves in parts that are small, and 0.0; a true answer stops
        the cutting.

    Returns
    -------
    result : Recovery
        Without a tree.
    plan : list of int32 array or None
        What is to be done with the parts: solve the next one, or (None) merge the last two trees.
    """
    m = len(S)
    result = Recovery(Tree([-1]), np.zeros(m, dtype=np.intp))
    start = time.perf_counter()
    work: list[Ints | None] = [np.arange(m, dtype=np.int32)]  # in place of recursion
    plan: list[Ints | None] = []
    settled = 0
    while work:
        leaves = work.pop()
        if leaves is None or len(leaves) <= max(tau, 3):
            plan.append(leaves)
            if leaves is not None:
                settled += len(leaves)
                if report is not None and report("partition", settled, 0.0):
                    tau, result.stopped = m, True  # what is left is not cut any more
            continue
        cut = cut_leaves(
            S, leaves, num_gaps=num_gaps, min_split=min(min_split, len(leaves) // 2),
            normalization=normalization, tol=eig_tol, threads=threads,
        )  # fmt: skip
        one, two = leaves[~cut.side], leaves[cut.side]
        _count(result, cut, eig_tol, strict, len(leaves), min_split)
        result.splits.append(Split(one, two, cut.lambda2, cut.lambda3, cut.sigma2, cut.sigma1, cut.kind))
        work += [None, two, one]  # the first side comes first
    parts = [leaves for leaves in plan if leaves is not None]
    for number, leaves in enumerate(parts):
        result.labels[leaves] = number
    result.parts = len(parts)
    result.seconds["partition"] = time.perf_counter() - start
    return result, plan


def assemble(
    result: Recovery,
    plan: list[Ints | None],
    S: Reals,
    D: Reals | None,
    names: tuple[str, ...],
    base: Base,
    *,
    cap: float,
    threads: int,
    workers: int = 1,
    report: Callable[[str, int, float], Any] | None = None,
) -> Recovery:
    """Solve the parts and merge the subtrees.

    Parameters
    ----------
    result, plan
        From `partition`.
    S : float64 or float32 array of shape (m, m)
        Similarities.
    D : array like S, or None
        Distances, for merges by the length of the tree; None: merges by the spectral score alone.
    names : tuple of str
        Names of the leaves.
    base : callable
        Gets the numbers of the leaves of a part (rising) and returns an unrooted tree on their names.
    cap : float
        The largest distance that counts in merges.
    threads : int
        For the core.
    workers : int
        Parts that `base` solves at the same time.
    report : callable or None
        Called with "base" and the number of leaves solved, or "merge" and the number of merges, and 0.0.

    Returns
    -------
    Recovery
        The same, completed.
    """
    start = time.perf_counter()
    parts = [leaves for leaves in plan if leaves is not None]
    solved: list[Part] = []
    done = 0
    with ThreadPoolExecutor(workers) if workers > 1 else nullcontext() as pool:
        trees = pool.map(base, parts) if pool is not None else map(base, parts)
        for leaves, tree in zip(parts, trees, strict=True):
            solved.append(checked_part(tree, leaves, names))
            done += len(leaves)
            if report is not None:
                report("base", done, 0.0)
    result.seconds["base"] = time.perf_counter() - start

    start = time.perf_counter()
    stack: list[Part] = []
    following = iter(solved)
    for step in plan:
        if step is not None:
            stack.append(next(following))
            continue
        second, first = stack.pop(), stack.pop()
        joined, how = merge_parts(S, D, first, second, cap, threads)
        stack.append(joined)
        if how is None:
            result.blind_merges += 1
        else:
            result.margins.append(how.margins)
            result.scores.append(how.scores)
            result.moved += how.moved
        if report is not None:
            report("merge", len(result.margins) + result.blind_merges, 0.0)
    result.seconds["merge"] = time.perf_counter() - start
    result.tree = part_tree(stack[0], names)
    return result


def _count(result: Recovery, cut: Cut, eig_tol: float, strict: bool, size: int, min_split: int) -> None:
    if cut.kind == "component":
        result.disconnected += 1
    elif cut.residual > eig_tol:
        result.unconverged += 1
    if cut.kind == "median":
        if strict:
            raise ValueError(
                f"no cut of a part of {size} leaves has min_split={min_split} of them on both sides"
            )
        result.fallbacks += 1


def checked_part(tree: Tree, leaves: Ints, names: tuple[str, ...]) -> Part:
    """The tree of a base method as a part; its leaves may come in any order."""
    if not isinstance(tree, Tree):
        raise TypeError(f"base must return a Tree, got {type(tree).__name__}")
    place = {names[i]: i for i in leaves.tolist()}
    wrong = sorted(set(tree.names) ^ set(place))
    if wrong:
        raise ValueError(
            f"base returned a tree whose leaves are not those it was given: {', '.join(wrong[:5])} differ"
        )
    if tree.n_leaves > 2:
        tree = tree.unrooted()
    return as_part(tree, np.array([place[name] for name in tree.names], dtype=np.int32))
