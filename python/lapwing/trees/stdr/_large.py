"""Recovery of more leaves than a matrix of all pairs has room for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend
from lapwing.phylo import Tree
from lapwing.phylo._merge import Part, as_part, join_at, middle_edge, part_tree, root_at
from lapwing.phylo._similarity import Sites
from lapwing.trees.stdr._algorithm import Recovery, checked_part

__all__ = ["near_lengths", "recover_large"]

Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]
LANDMARKS = 4096  # leaves that are cut in place of all
NEAR = 1024  # leaves of a tree that stand for it in a merge
CHUNK = 4096  # leaves whose similarities to the others are in memory at a time

#: Cuts a matrix of similarities into parts of at most so many leaves.
Cutter = Callable[[Any, int], tuple[Recovery, list[Ints | None]]]


def recover_large(
    sites: Sites,
    names: tuple[str, ...],
    limit: int,
    cut: Cutter,
    solve: Callable[[list[Ints]], Iterable[Recovery]],
    *,
    cap: float,
    seed: int,
) -> Recovery:
    """Recover the tree of more than `limit` leaves.

    Landmarks drawn at random are cut into parts; every other leaf goes to the part of the landmark that it is
    the most similar to. Parts of at most `limit` leaves are solved with all of their similarities. Two trees
    are merged at the edges with which they are the shortest: the similarities to the new edge come from the
    leaves that are the nearest to it, distances within a tree are computed where they are needed.

    Parameters
    ----------
    sites : Sites
        The sequences.
    names : tuple of str
        Names of the leaves.
    limit : int
        Most leaves of a part that is solved.
    cut, solve : callable
        Cut landmarks; solve parts, given their leaves, in order.
    cap : float
        The largest distance that counts in merges.
    seed : int
        Of the landmarks.

    Returns
    -------
    Recovery
    """
    m = len(names)
    rng = np.random.default_rng(seed)
    result = Recovery(Tree([-1]), np.zeros(m, dtype=np.intp))
    result.seconds = dict.fromkeys(("similarity", "partition", "distances", "base", "merge", "polish"), 0.0)
    work: list[Ints | None] = [np.arange(m, dtype=np.int32)]
    plan: list[Ints | None] = []
    start = time.perf_counter()
    while work:
        leaves = work.pop()
        if leaves is not None and len(leaves) > limit:
            work += reversed(_landmark_plan(sites, leaves, limit, cut, rng, result))
        else:
            plan.append(leaves)
    result.seconds["partition"] += time.perf_counter() - start
    following = iter(solve([leaves for leaves in plan if leaves is not None]))
    stack: list[Part] = []
    for step in plan:
        if step is not None:
            found = next(following)
            stack.append(checked_part(found.tree, step, names))
            _add(result, found, step)
            continue
        start = time.perf_counter()
        second, first = stack.pop(), stack.pop()
        stack.append(_merge(sites, first, second, cap, rng, result))
        result.seconds["merge"] += time.perf_counter() - start
    result.tree = part_tree(stack[0], names)
    return result


def _landmark_plan(
    sites: Sites, leaves: Ints, limit: int, cut: Cutter, rng: np.random.Generator, result: Recovery
) -> list[Ints | None]:
    """What is to be done in place of these leaves: parts, and None for a merge."""
    count = min(LANDMARKS, limit, len(leaves))
    chosen = np.sort(rng.choice(len(leaves), count, replace=False))
    landmarks = leaves[chosen]
    S, saturated = sites.matrix(landmarks)
    result.saturated += saturated
    # parts of half the size: where landmarks are rare, more leaves than expected may come
    most = max(3, min(count - 1, int(0.5 * limit * count / len(leaves))))
    found, plan = cut(S, most)
    part = found.labels[_nearest(sites, leaves, chosen)]
    members = [leaves[part == p] for p in range(found.parts)]
    for split in found.splits:
        one, two = (
            np.sort(np.concatenate([members[p] for p in np.unique(found.labels[side])]))
            for side in (split.one, split.two)
        )
        result.splits.append(dataclasses.replace(split, one=one, two=two))
    _count(result, found)
    following = iter(members)
    return [None if step is None else next(following) for step in plan]


def _nearest(sites: Sites, leaves: Ints, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The landmark (its number) that each leaf is the most similar to; a landmark is its own."""
    out = np.empty(len(leaves), dtype=np.intp)
    for rows, K in _rows(sites, leaves, leaves[chosen]):
        out[rows] = K.argmax(axis=1)
    out[chosen] = np.arange(len(chosen))
    return out


def _rows(sites: Sites, leaves: Ints, columns: Ints) -> Iterator[tuple[slice, Doubles]]:
    for start in range(0, len(leaves), CHUNK):
        rows = slice(start, min(start + CHUNK, len(leaves)))
        yield rows, sites.between(leaves[rows], columns)


def _merge(
    sites: Sites, one: Part, two: Part, cap: float, rng: np.random.Generator, result: Recovery
) -> Part:
    found = _toward(sites, one.rows, two.rows, rng)
    parts = (one, two)
    if found is None:
        result.blind_merges += 1
        edges = [middle_edge(part) if len(part.rows) > 1 else 0 for part in parts]
    else:
        edges = [_best_edge(sites, part, x, cap) for part, x in zip(parts, found, strict=True)]
    return join_at(root_at(one, edges[0]), root_at(two, edges[1]))


def _toward(sites: Sites, one: Ints, two: Ints, rng: np.random.Generator) -> tuple[Doubles, Doubles] | None:
    """Similarities of two trees' leaves to the edge between them, up to factors; None: there are none."""
    few = [side[np.sort(rng.choice(len(side), min(NEAR, len(side)), replace=False))] for side in (one, two)]
    S = sites.between(*few)
    u, v = (np.empty(len(x)) for x in few)
    rows, columns = (np.arange(len(x), dtype=np.int32) for x in few)
    if _backend.extension().phylo_leading_pair(S, rows, columns, u, v, sites.threads) == 0:
        return None

    def toward(side: Ints, others: Ints, weights: Doubles) -> Doubles:
        out = np.empty(len(side))
        for chunk, K in _rows(sites, side, others):
            out[chunk] = K @ weights
        return out

    first, second = toward(one, few[1], v), toward(two, few[0], u)
    # once more, from the leaves that are the nearest to the edge
    near, far = (np.sort(np.argsort(-x, kind="stable")[:NEAR]) for x in (first, second))
    return toward(one, two[far], second[far]), toward(two, one[near], first[near])


def _best_edge(sites: Sites, part: Part, u: Doubles, cap: float) -> int:
    if len(part.rows) <= 2:
        return 0
    delta = np.full(len(u), np.inf)
    np.log(u.max() / np.where(u > 0, u, 1.0), out=delta, where=u > 0)
    excess = np.empty(len(part.parent))
    _backend.extension().phylo_insertion_lengths(
        sites.codes, sites.options, part.rows, part.parent, delta, cap, excess, sites.threads
    )
    return int(np.argmin(excess[:-1]))


def _add(result: Recovery, found: Recovery, leaves: Ints) -> None:
    """What was found of a part, in the numbers of all leaves."""
    result.labels[leaves] = found.labels + result.parts
    result.parts += found.parts
    result.splits += [
        dataclasses.replace(split, one=leaves[split.one], two=leaves[split.two]) for split in found.splits
    ]
    result.margins += found.margins
    result.scores += found.scores
    for key, value in found.seconds.items():
        result.seconds[key] += value
    _count(result, found)


def _count(result: Recovery, found: Recovery) -> None:
    """What happened on the way."""
    for key in (
        "disconnected",
        "blind_merges",
        "moved",
        "interchanges",
        "unconverged",
        "fallbacks",
        "saturated",
    ):
        setattr(result, key, getattr(result, key) + getattr(found, key))
    result.stopped = result.stopped or found.stopped


def near_lengths(sites: Sites, tree: Tree, cap: float, clip: bool) -> Tree:
    """The tree with lengths of its edges, from distances of leaves that are near to them."""
    part = as_part(tree, np.arange(tree.n_leaves, dtype=np.int32))
    found = np.empty(tree.n_nodes)
    _backend.extension().phylo_balanced_lengths(
        sites.codes, sites.options, part.rows, part.parent, cap, found, sites.threads
    )
    length = found.copy()
    length[part.rows] = found[: tree.n_leaves]
    return tree.with_lengths(np.maximum(length, 0.0) if clip else length)
