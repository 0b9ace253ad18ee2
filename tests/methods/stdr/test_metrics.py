"""Distances between trees against other packages and brute force."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing.trees import (
    Tree,
    branch_score,
    kingman,
    partition_correct,
    quartet_distance,
    read_newick,
    robinson_foulds,
    split_precision_recall,
    to_object,
    weighted_rf,
)


def some_tree(seed: int, m: int, *, loose: bool = False) -> Tree:
    tree = kingman(m, random_state=seed)
    rng = np.random.default_rng(seed)
    if loose and m > 4:  # some inner edges contracted
        gone = [i for i in range(m, tree.n_nodes - 1) if rng.random() < 0.3]
        up = tree.parent.tolist()
        while any(p in gone for p in up):
            up = [up[p] if p in gone else p for p in up]
        kept = [i for i in range(tree.n_nodes) if i not in gone]
        place = {i: k for k, i in enumerate(kept)} | {-1: -1}
        tree = Tree([place[up[i]] for i in kept], tree.length[kept], tree.names)
    return tree


@given(st.integers(4, 30), st.integers(0, 10**6))
def test_robinson_foulds_is_a_metric(m: int, seed: int) -> None:
    A, B, C = (some_tree(seed + i, m, loose=i == 1) for i in range(3))
    assert robinson_foulds(A, A) == 0
    assert robinson_foulds(A, B) == robinson_foulds(B, A)
    assert robinson_foulds(A, C) <= robinson_foulds(A, B) + robinson_foulds(B, C)
    one, two = set(A.splits()), set(B.splits())
    assert robinson_foulds(A, B) == len(one ^ two)
    precision, recall = split_precision_recall(B, A)
    assert precision == (len(one & two) / len(two) if two else 1.0)
    assert recall == (len(one & two) / len(one) if one else 1.0)
    assert (robinson_foulds(A, B) == 0) == (one == two)
    total = robinson_foulds(A, C, normalized=True)
    assert total == robinson_foulds(A, C) / (2 * m - 6)


@pytest.mark.parametrize("seed", range(4))
def test_dendropy_agrees(seed: int) -> None:
    dendropy = pytest.importorskip("dendropy")
    from dendropy.calculate import treecompare

    names = dendropy.TaxonNamespace()
    pair = [some_tree(seed + 10 * i, 25, loose=bool(i)) for i in range(2)]
    others = [
        dendropy.Tree.get(data=t.unrooted().newick(precision=17), schema="newick", taxon_namespace=names,
                          rooting="force-unrooted")
        for t in pair
    ]  # fmt: skip
    assert robinson_foulds(*pair) == treecompare.symmetric_difference(*others)
    assert weighted_rf(*pair) == pytest.approx(treecompare.weighted_robinson_foulds_distance(*others))
    assert branch_score(*pair) == pytest.approx(treecompare.euclidean_distance(*others))


def test_scikit_bio_agrees() -> None:
    pytest.importorskip("skbio")
    A, B = (some_tree(i, 30).unrooted() for i in (1, 2))
    # its own splits of unrooted trees
    assert robinson_foulds(A, B) == to_object(A, "skbio").compare_rfd(to_object(B, "skbio"), rooted=False)


def test_roots_and_orders_do_not_count() -> None:
    tree = some_tree(3, 20)
    for other in (tree.unrooted(), tree.rerooted(7), tree.reordered(tree.names[::-1])):
        assert robinson_foulds(tree, other) == 0
        assert weighted_rf(tree, other) == pytest.approx(0, abs=1e-12)


def test_different_leaves() -> None:
    A, B = read_newick("((a,b),(c,d),e);"), read_newick("((a,b),(c,d),x);")
    with pytest.raises(ValueError, match=r"'e' \(only in T\), 'x' \(only in U\)"):
        robinson_foulds(A, B)
    assert robinson_foulds(A, B, prune=True) == 0
    with pytest.raises(ValueError, match="no leaf in common"):
        robinson_foulds(A, read_newick("(p,q,r);"), prune=True)
    many = read_newick("(" + ",".join(f"n{i}" for i in range(9)) + ");")
    with pytest.raises(ValueError, match="and 9 more"):
        weighted_rf(A, many)


def plain_quartet(tree: Tree, q: tuple[int, ...]) -> frozenset[frozenset[int]] | None:
    """By the four point condition on numbers of edges."""
    G = nx.Graph((i, p) for i, p in enumerate(tree.parent[:-1].tolist()))
    d = {x: nx.single_source_shortest_path_length(G, x) for x in q}
    a, b, c, e = q
    sums = {
        frozenset([frozenset([a, b]), frozenset([c, e])]): d[a][b] + d[c][e],
        frozenset([frozenset([a, c]), frozenset([b, e])]): d[a][c] + d[b][e],
        frozenset([frozenset([a, e]), frozenset([b, c])]): d[a][e] + d[b][c],
    }
    least = min(sums.values())
    found = [x for x, s in sums.items() if s == least]
    return found[0] if len(found) == 1 else None


@pytest.mark.parametrize("seed", range(4))
def test_quartets(seed: int) -> None:
    A, B = some_tree(seed, 11, loose=True), some_tree(seed + 50, 11, loose=True)
    differ = [plain_quartet(A, q) != plain_quartet(B, q) for q in combinations(range(11), 4)]
    assert quartet_distance(A, B) == (np.mean(differ), 0.0)
    sampled, error = quartet_distance(A, B, n_samples=300)
    assert 0 < error < 0.03
    assert abs(sampled - np.mean(differ)) < 5 * error


def test_more_about_quartets() -> None:
    A = some_tree(0, 200)
    assert quartet_distance(A, A.rerooted(3)) == (0.0, 0.0)
    assert quartet_distance(A, some_tree(1, 200), random_state=4) == quartet_distance(
        A, some_tree(1, 200), random_state=4
    )
    with pytest.raises(ValueError, match="at least 4 leaves, got 3"):
        quartet_distance(read_newick("(a,b,c);"), read_newick("(a,b,c);"))


def test_partition_correct() -> None:
    tree = read_newick("((a,b),(c,d),e);")
    assert partition_correct(tree, [0, 0, 1, 1, 0])
    assert partition_correct(tree, [1, 1, 0, 0, 1])
    assert not partition_correct(tree, [1, 0, 1, 0, 0])
    assert partition_correct(tree, [1, 0, 0, 1, 0], names=["c", "a", "b", "d", "e"])
    bad: list[tuple[Any, str]] = [([1, 1], "shape"), ([0] * 5, "both sides")]
    for mask, words in bad:
        with pytest.raises(ValueError, match=words):
            partition_correct(tree, mask)
