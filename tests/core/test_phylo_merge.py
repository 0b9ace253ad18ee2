"""Cuts and merges against exact trees, closed forms and direct evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import _core
from lapwing.phylo import (
    Tree,
    balanced_nni,
    distance_matrix,
    fiedler_cut,
    merge_trees,
    read_newick,
    spectral_root_edge,
)
from lapwing.phylo._merge import as_part
from lapwing.phylo._similarity import sites_of
from lapwing.trees import (
    balanced,
    birth_death,
    caterpillar,
    kingman,
    partition_correct,
    population_similarity,
    robinson_foulds,
    simulate_sequences,
)
from lapwing.trees.stdr._large import near_lengths


def exact(model: Any, m: int, seed: int) -> Tree:
    tree = caterpillar(m) if model is caterpillar else model(m, random_state=seed)
    return tree.with_lengths(np.random.default_rng(seed).uniform(0.02, 1.2, tree.n_nodes))


@given(st.integers(4, 120), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_the_cut_is_an_edge(m: int, seed: int, model: Any) -> None:
    """Theorem 4.2, where the smallest entries of the vector are above what rounding leaves of it."""
    tree = exact(model, m, seed)
    S = population_similarity(tree, 1.0 if m <= 30 else 0.2)
    assert partition_correct(tree, fiedler_cut(S, tol=1e-9).side)


@pytest.mark.parametrize("levels", [2, 3, 5, 7, 8])
def test_spectrum_of_the_balanced_tree(levels: int) -> None:
    m, delta = 2**levels, 0.8
    S = population_similarity(balanced(m), -np.log(delta))
    cut = fiedler_cut(S, tol=1e-10)
    assert cut.lambda2 == pytest.approx((2 * delta**2) ** levels, rel=1e-9)
    k = levels - 1
    third = 2**k * delta ** (2 * k) + sum(2 ** (j - 1) * delta ** (2 * j) for j in range(k + 1, levels + 1))
    assert cut.lambda3 == pytest.approx(third, rel=1e-7)
    assert cut.vector is not None
    assert np.allclose(np.abs(cut.vector), 1 / np.sqrt(m), atol=1e-7)
    assert cut.side.tolist() in (
        [False] * (m // 2) + [True] * (m // 2),
        [True] * (m // 2) + [False] * (m // 2),
    )
    assert cut.sigma2 <= 1e-7 * cut.sigma1


@pytest.mark.parametrize("m", [100, 200, 300, 400])
def test_eigenvalues_far_below_the_norm(m: int) -> None:
    """Leaves farther and farther away: iterations do not reach a small residual, relative to the norm."""
    tree = caterpillar(m)
    length = np.full(tree.n_nodes, 0.05)
    length[:m] = 0.02 * np.arange(1, m + 1)
    tree = tree.with_lengths(length)
    S = population_similarity(tree)
    values = np.linalg.eigvalsh(np.diag(S.sum(axis=1)) - S)
    cut = fiedler_cut(S)
    assert partition_correct(tree, cut.side)
    assert cut.sigma2 <= 1e-7 * cut.sigma1
    assert cut.residual <= 1e-6
    # to the square of the residual, or to rounding of what all have been computed from
    norm = 2 * S.sum(axis=1).max()
    assert [cut.lambda2, cut.lambda3] == pytest.approx(values[1:3], rel=1e-4, abs=1e-14 * norm)
    assert np.array_equal(cut.side, fiedler_cut(S, n_jobs=1).side)


@pytest.mark.parametrize("levels", [2, 4, 6])
def test_all_eigenvalues_of_the_balanced_tree(levels: int) -> None:
    m, delta = 2**levels, 0.7
    S = population_similarity(balanced(m), -np.log(delta))
    expected = [0.0]
    for k in range(1, levels + 1):
        value = 2**k * delta ** (2 * k) + sum(
            2 ** (j - 1) * delta ** (2 * j) for j in range(k + 1, levels + 1)
        )
        expected += [value] * 2 ** (levels - k)
    found = np.linalg.eigvalsh(np.diag(S.sum(axis=1)) - S)
    assert np.allclose(found, sorted(expected), atol=1e-12 * m)
    cut = fiedler_cut(S, tol=1e-10)
    assert [cut.lambda2, cut.lambda3] == pytest.approx(sorted(expected)[1:3], rel=1e-7)


@given(st.integers(4, 60), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_edges_have_rank_one(m: int, seed: int, model: Any) -> None:
    """Lemma 3.1, and nothing else has: not the sides of an edge with two leaves that changed places."""
    tree = exact(model, m, seed)
    S = population_similarity(tree, 0.3)
    order, first, last = tree.layout
    for e in range(tree.n_nodes - 1):
        side = np.zeros(m, dtype=bool)
        side[order[first[e] : last[e]]] = True
        if not 2 <= side.sum() <= m - 2:
            continue
        values = np.linalg.svd(S[np.ix_(side, ~side)], compute_uv=False)
        assert values[1] < 1e-12 * values[0]
        side[[np.argmax(side), np.argmin(side)]] ^= True
        if not partition_correct(tree, side):
            values = np.linalg.svd(S[np.ix_(side, ~side)], compute_uv=False)
            assert values[1] > 1e-9 * values[0]


@pytest.mark.parametrize("q", [2, 10, 40, 100])
def test_two_blocks(q: int) -> None:
    a, b = 0.6, 0.1
    S = np.full((2 * q, 2 * q), b)
    S[:q, :q] = S[q:, q:] = a
    np.fill_diagonal(S, 1.0)
    cut = fiedler_cut(S, tol=1e-10)
    assert cut.lambda2 == pytest.approx(2 * q * b, rel=1e-9)
    assert cut.lambda3 == pytest.approx(q * (a + b), rel=1e-7)
    assert cut.sigma1 == pytest.approx(q * b, rel=1e-9)
    assert sorted(np.flatnonzero(cut.side)) in ([*range(q)], [*range(q, 2 * q)])


@pytest.mark.parametrize("size", [4, 16, 64])
def test_three_equal_clades(size: int) -> None:
    """A double eigenvalue: a vector may vanish on a whole clade, which stays together."""
    clade = balanced(size).with_lengths(np.full(2 * size - 1, 0.2))
    parent = np.full(3 * (2 * size - 1) + 1, -1)
    inner = size - 1
    for c in range(3):
        own = clade.parent.astype(int)
        place = np.r_[np.arange(size) + c * size, np.arange(inner) + 3 * size + c * inner]
        parent[place] = np.where(own >= 0, place[own], len(parent) - 1)
    tree = Tree(parent, np.full(len(parent), 0.2))
    cut = fiedler_cut(population_similarity(tree), tol=1e-10)
    assert cut.lambda3 == pytest.approx(cut.lambda2, rel=1e-6)
    assert partition_correct(tree, cut.side)
    assert min(cut.side.sum(), (~cut.side).sum()) == size


def test_pieces_without_similarity() -> None:
    S = np.eye(7)
    S[:4, :4] = 0.5
    S[5:, 5:] = 0.3
    np.fill_diagonal(S, 1)
    cut = fiedler_cut(S)
    assert cut.kind == "component"
    assert np.flatnonzero(cut.side).tolist() == [0, 1, 2, 3]


def test_small_sides_are_avoided() -> None:
    S = population_similarity(caterpillar(40, edge=0.3))
    for least in (1, 5, 12, 20):
        side = fiedler_cut(S, min_split=least).side
        assert min(side.sum(), (~side).sum()) >= least
    flat = np.full((10, 10), 0.5)
    np.fill_diagonal(flat, 1)
    side = fiedler_cut(flat, min_split=5).side  # all cuts are alike
    assert side.sum() == 5


@pytest.mark.parametrize("m", [60, 300])
def test_cuts_do_not_depend_on_threads(m: int) -> None:
    tree = kingman(m, random_state=2)
    noise = np.random.default_rng(0).normal(size=(m, m)) * 0.02
    S = np.clip(population_similarity(tree) + noise + noise.T, 0, 1)
    np.fill_diagonal(S, 1)
    for normalization in (None, "rw"):
        one = fiedler_cut(S, normalization=normalization, n_jobs=1)
        for n_jobs in (2, 4):
            other = fiedler_cut(S, normalization=normalization, n_jobs=n_jobs)
            assert np.array_equal(one.side, other.side)
            assert one.vector is not None
            assert other.vector is not None
            assert np.array_equal(one.vector, other.vector)
            assert one[1:7] == other[1:7]


@pytest.mark.parametrize("m", [40, 150])
def test_fiedler_pairs_are_those_of_numpy(m: int) -> None:
    tree = birth_death(m, random_state=1)
    S = population_similarity(tree, 0.1)
    d = S.sum(axis=1)
    values, vectors = np.linalg.eigh(np.diag(d) - S)
    cut = fiedler_cut(S, tol=1e-11)
    assert [cut.lambda2, cut.lambda3] == pytest.approx(values[1:3], rel=1e-8)
    assert abs(cut.vector @ vectors[:, 1]) == pytest.approx(1, abs=1e-8)
    walk = fiedler_cut(S, tol=1e-11, normalization="rw")
    root = np.sqrt(d)
    values = np.linalg.eigvalsh(np.eye(m) - S / root[:, None] / root[None, :])
    assert [walk.lambda2, walk.lambda3] == pytest.approx(values[1:3], rel=1e-8)
    block = S[np.ix_(cut.side, ~cut.side)]
    sigma = np.linalg.svd(block, compute_uv=False)
    assert cut.sigma1 == pytest.approx(sigma[0], rel=1e-9)


def direct_scores(S: np.ndarray, tree: Tree, u: np.ndarray) -> np.ndarray:
    order, first, last = tree.layout
    out = np.ones(tree.n_nodes)
    for e in range(tree.n_nodes - 1):
        A = order[first[e] : last[e]]
        B = np.setdiff1d(np.arange(tree.n_leaves), A)
        M, w = S[np.ix_(A, B)], np.outer(u[A], u[B])
        F = (M**2).sum()
        if F == 0 or (w**2).sum() == 0:
            continue
        alpha = (M * w).sum() / (w**2).sum()
        out[e] = ((M - alpha * w) ** 2).sum() / F
    return out


def insertion_lengths(tree: Tree, D: np.ndarray, delta: np.ndarray, cap: float, threads: int) -> np.ndarray:
    """For the edge above each node of the tree, in its own numbering."""
    part = as_part(tree, np.arange(tree.n_leaves, dtype=np.int32))
    found = np.empty(tree.n_nodes)
    _core.phylo_insertion_lengths(D, part.rows, part.parent, delta[part.rows], cap, found, threads)
    out = found.copy()
    out[part.rows] = found[: tree.n_leaves]
    return out


def with_leaf(tree: Tree, node: int) -> np.ndarray:
    """Parents of the tree with a further leaf, the last, on the edge above a node."""
    m, n = tree.n_leaves, tree.n_nodes
    place = np.r_[np.arange(m), np.arange(m + 1, n + 1)]  # of the old nodes; then what parts the edge
    parent = np.full(n + 2, -1)
    up = tree.parent.astype(int)
    parent[place] = np.where(up >= 0, place[up], -1)
    parent[n + 1] = parent[place[node]]
    parent[place[node]] = parent[m] = n + 1
    return parent


def balanced_length(parent: np.ndarray, D: np.ndarray) -> float:
    """Pauplin's formula: every pair counts 2^(1 - edges between them)."""
    m = len(D)
    chains = []
    for i in range(m):
        chain = [i]
        while parent[chain[-1]] >= 0:
            chain.append(int(parent[chain[-1]]))
        chains.append(chain)
    root = chains[0][-1]
    two = (parent == root).sum() == 2
    total = 0.0
    for i in range(m):
        for j in range(i):
            common = next(x for x in chains[i] if x in set(chains[j]))
            edges = chains[i].index(common) + chains[j].index(common) - (two and common == root)
            total += D[i, j] * 2.0 ** (1 - edges)
    return total


@given(st.integers(3, 7), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_insertion_lengths_are_those_of_pauplin(m: int, seed: int, model: Any) -> None:
    """Up to seven leaves nothing is deeper than the averages go: any distances, not only those of trees."""
    tree = exact(model, m, seed)
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        tree = tree.unrooted()
    D = rng.random((m + 1, m + 1)) * 3
    D = np.triu(D, 1) + np.triu(D, 1).T
    cap = 2.0 if rng.random() < 0.5 else 10.0
    found = insertion_lengths(tree, D[:m, :m].copy(), D[:m, m].copy(), cap, 1)
    nodes = range(tree.n_nodes - 1)
    expected = np.array([balanced_length(with_leaf(tree, e), np.minimum(D, cap)) for e in nodes])
    assert np.allclose(found[:-1], expected - expected.min(), atol=1e-12)


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet"])
@pytest.mark.parametrize("m", [2, 3, 6, 7, 60])
def test_distances_made_where_they_are_needed(m: int, model: str) -> None:
    """Insertions and lengths from sequences: as from their matrix; lengths add up to Pauplin's."""
    tree = birth_death(m, random_state=m)
    sites = sites_of(simulate_sequences(tree, 900, rate=0.1, random_state=m), model)
    D = distance_matrix(sites.matrix()[0])
    cap = float(np.median(D)) + 0.1
    delta = np.random.default_rng(m).random(m)
    for shown in (tree, tree.unrooted()) if m > 2 else (tree,):
        part = as_part(shown, np.arange(m, dtype=np.int32))
        expected, found, one = (np.empty(shown.n_nodes) for _ in range(3))
        _core.phylo_insertion_lengths(D, part.rows, part.parent, delta[part.rows], cap, expected, 1)
        for threads, out in ((2, found), (1, one)):
            _core.phylo_insertion_lengths(
                sites.codes, sites.options, part.rows, part.parent, delta[part.rows], cap, out, threads
            )
        assert np.allclose(found, expected, atol=1e-13)  # logarithms of the kernel and of libm
        assert np.array_equal(found, one)
        lengths = near_lengths(sites, shown, cap, clip=False)
        if m <= 7:
            total = balanced_length(shown.parent.astype(int), np.minimum(D, cap))
            assert lengths.length[:-1].sum() == pytest.approx(total, rel=1e-12)
        assert (near_lengths(sites, shown, cap, clip=True).length >= 0).all()


def test_lengths_from_what_is_near_are_those_of_the_tree() -> None:
    tree = birth_death(80, random_state=3)
    rate = 0.03
    sites = sites_of(simulate_sequences(tree, 60_000, rate=rate, random_state=4), "jc69")
    found = near_lengths(sites, tree.unrooted(), np.inf, clip=False)
    # 60 000 sites: a distance of 0.3 has a standard error of 0.003
    assert np.abs(found.length / 4 - rate * tree.unrooted().length)[:-1].max() < 0.01


@given(st.integers(4, 150), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_a_leaf_taken_out_is_put_back(m: int, seed: int, model: Any) -> None:
    """Distances of a tree: 0 on the right edge alone, also where only the nearest leaves are looked at."""
    tree = exact(model, m, seed).unrooted()
    D = tree.path_lengths()
    x = int(np.random.default_rng(seed).integers(m))
    kept = [i for i in range(m) if i != x]
    rest = tree.pruned([tree.names[i] for i in kept]).unrooted().reordered([tree.names[i] for i in kept])
    shift = 7.0  # only differences count
    found = insertion_lengths(rest, D[np.ix_(kept, kept)], D[kept, x] + shift, np.inf, 2)
    joined = merge_trees(
        rest, Tree([-1], None, [tree.names[x]]), np.exp(-D), names=tree.names, merge="balanced"
    )
    assert robinson_foulds(joined, tree) == 0
    assert found[:-1].min() == 0
    assert (found[:-1] > 1e-6).sum() == rest.n_nodes - 2  # one edge alone
    one = insertion_lengths(rest, D[np.ix_(kept, kept)], D[kept, x] + shift, np.inf, 1)
    assert np.array_equal(one, found)


@given(st.integers(3, 60), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_scores_are_the_residuals_of_the_fit(m: int, seed: int, model: Any) -> None:
    tree = exact(model, m, seed)
    rng = np.random.default_rng(seed)
    S = rng.random((m, m)) ** 3
    S = (S + S.T) / 2
    u = rng.random(m)
    u[rng.random(m) < 0.2] = 0
    if rng.random() < 0.3:
        S[S < 0.2] = 0
    part = as_part(tree, np.arange(m, dtype=np.int32))
    score = np.empty(tree.n_nodes)
    _core.phylo_edge_scores(S, part.rows, part.parent, u[part.rows], score, 2)
    expected = direct_scores(S, tree, u)
    expected[:m] = expected[part.rows]
    assert np.allclose(score, expected, atol=1e-12)
    one = np.empty(tree.n_nodes)
    _core.phylo_edge_scores(S, part.rows, part.parent, 8 * u[part.rows], one, 1)
    assert np.array_equal(score, one)  # the scale of u does not count
    _core.phylo_edge_scores(S, part.rows, part.parent, u[part.rows], one, 1)
    assert np.array_equal(score, one)


@pytest.mark.parametrize("shape", [(1, 5), (7, 1), (30, 200), (150, 90)])
def test_leading_pair(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    S = rng.random((sum(shape), sum(shape)))
    rows = rng.permutation(sum(shape)).astype(np.int32)
    rows, cols = rows[: shape[0]], rows[shape[0] :]
    u, v = np.empty(len(rows)), np.empty(len(cols))
    sigma = _core.phylo_leading_pair(S, rows, cols, u, v, 2)
    left, values, right = np.linalg.svd(S[np.ix_(rows, cols)])
    assert sigma == pytest.approx(values[0], rel=1e-10)
    assert np.allclose(u, np.abs(left[:, 0]), atol=1e-5)
    assert np.allclose(v, np.abs(right[0]), atol=1e-5)
    assert _core.phylo_leading_pair(0 * S, rows, cols, u, v, 1) == 0
    assert not u.any()


@given(st.integers(4, 60), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_merging_two_sides_of_an_edge(m: int, seed: int, model: Any) -> None:
    """Theorem 4.5: with exact similarities the subtrees go back to where they were."""
    tree = exact(model, m, seed)
    S = population_similarity(tree, 0.3)
    rng = np.random.default_rng(seed)
    node = int(rng.integers(tree.n_nodes - 1))
    order, first, last = tree.layout
    inside = {tree.names[i] for i in order[first[node] : last[node]]}
    if len(inside) == m:
        return
    one = tree.pruned(inside)
    two = tree.pruned(set(tree.names) - inside)
    merged = merge_trees(one, two.unrooted() if two.n_leaves > 2 else two, S, names=tree.names)
    assert merged.names == tree.names
    assert robinson_foulds(merged, tree) == 0
    assert merged.rooted


def test_ties_go_to_the_most_balanced_edge() -> None:
    """All similarities are equal: every edge fits as well."""
    for text, inside in (
        ("(((a,b),(c,d)),(e,f),(g,h));", {"a", "b", "c", "d"}),
        ("((((a,b),c),d),e,f);", {"a", "b", "c"}),
        ("((a,b),(c,d),(e,f));", {"a", "b"}),  # three alike: that of the smallest leaf
        ("(a,b,c);", {"a"}),
    ):
        tree = read_newick(text)
        m = tree.n_leaves
        node, scores = spectral_root_edge(tree, np.ones((m, m)), np.ones((m, 3)))
        assert np.abs(scores[:-1] ** 2).max() < 1e-12
        order, first, last = tree.layout
        side = {tree.names[i] for i in order[first[node] : last[node]]}
        assert inside in (side, set(tree.names) - side), text


def root_sides(tree: Tree) -> set[frozenset[str]]:
    order, first, last = tree.layout
    return {frozenset(tree.names[i] for i in order[first[c] : last[c]]) for c in tree.children()[-1]}


@given(st.integers(4, 40), st.integers(0, 10**6))
def test_spectral_rooting(m: int, seed: int) -> None:
    full = exact(birth_death, m, seed)
    S = population_similarity(full, 0.3)
    out = [full.names[0], full.names[1]] if m > 5 else [full.names[0]]
    rest = [name for name in full.names if name not in out]
    if len(out) == 2 and not partition_correct(full, [name in out for name in full.names]):
        return
    inside, outside = ([full.names.index(name) for name in part] for part in (rest, out))
    tree = full.pruned(rest).unrooted() if len(rest) > 2 else full.pruned(rest)
    node, scores = spectral_root_edge(tree, S[np.ix_(inside, inside)], S[np.ix_(inside, outside)])
    rooted = full.root("outgroup", outgroup=out)
    expected = rooted.pruned(rest)
    again = tree.rerooted(node)
    assert root_sides(again) == root_sides(expected)
    assert np.isnan(scores[-1])


def test_bad_merges() -> None:
    tree = kingman(8)
    S = population_similarity(tree)
    one, two = tree.pruned(tree.names[:4]), tree.pruned(tree.names[4:])
    with pytest.raises(ValueError, match="leaves in common: 3"):
        merge_trees(tree.pruned(tree.names[:4]), tree.pruned(tree.names[3:]), S, names=tree.names)
    with pytest.raises(ValueError, match="S has 8 rows, but there are 7 names"):
        merge_trees(one, two, S, names=tree.names[:7])
    with pytest.raises(ValueError, match="no row for the leaves 7 of T2"):
        merge_trees(one, two, S, names=[*tree.names[:7], "x"])
    blocks = S.copy()
    blocks[:4, 4:] = blocks[4:, :4] = 0
    with pytest.raises(ValueError, match="nothing tells where they belong"):
        merge_trees(one, two, blocks, names=tree.names)
    with pytest.raises(ValueError, match="S_in and S_cross must have 4 rows"):
        spectral_root_edge(one, S, S[:, :2])
    with pytest.raises(ValueError, match="must not be negative"):
        spectral_root_edge(one, S[:4, :4], -S[:4, 4:])
    with pytest.raises(ValueError, match="min_split must be between 1 and 4"):
        fiedler_cut(S, min_split=5)
    with pytest.raises(ValueError, match="num_gaps must be between"):
        fiedler_cut(S, num_gaps=-1)
    assert read_newick("(a,b);").rooted


@pytest.mark.parametrize("m", [50, 150, 330])
def test_single_precision(m: int) -> None:
    """The same as from the rounded numbers in double: only the storage differs."""
    tree = kingman(m, random_state=3)
    noise = np.random.default_rng(1).normal(size=(m, m)) * 0.01
    S = np.clip(population_similarity(tree) + noise + noise.T, 0, 1)
    np.fill_diagonal(S, 1)
    single = S.astype(np.float32)
    wide = single.astype(np.float64)
    everyone = np.arange(m, dtype=np.int32)
    runs = []
    for matrix, threads in ((wide, 1), (single, 1), (single, 3)):
        side, vector = np.empty(m, dtype=np.uint8), np.empty(m)
        facts = _core.phylo_cut(matrix, everyone, 1, 1, False, 1e-6, side, vector, threads)
        rows, cols = (np.flatnonzero(side == s).astype(np.int32) for s in (0, 1))
        u, v = np.empty(len(rows)), np.empty(len(cols))
        sigma = _core.phylo_leading_pair(matrix, rows, cols, u, v, threads)
        part = as_part(tree.unrooted(), everyone)
        score, excess, length = (np.empty(len(part.parent)) for _ in range(3))
        weights = np.random.default_rng(0).random(m)
        _core.phylo_edge_scores(matrix, part.rows, part.parent, weights, score, threads)
        D = -np.log(np.maximum(matrix, 1e-3)).astype(matrix.dtype)
        if matrix is wide:
            D = D.astype(np.float32).astype(np.float64)
        _core.phylo_insertion_lengths(D, part.rows, part.parent, weights, 2.0, excess, threads)
        _core.phylo_lengths(D, part.rows, part.parent, length, threads)
        runs.append((facts, side, vector, sigma, u, v, score, excess, length))
    for other in runs[1:]:
        assert other[0] == runs[0][0]
        assert other[3] == runs[0][3]
        for a, b in zip(runs[0][1:], other[1:], strict=True):
            assert np.allclose(a, b, rtol=1e-6, atol=1e-7)
    for a, b in zip(runs[1][1:], runs[2][1:], strict=True):
        assert np.array_equal(a, b)


def subtree_means(tree: Tree, D: np.ndarray) -> Any:
    """Between any two directed edges that look away from each other: straight from the definition."""
    n, m = tree.n_nodes, tree.n_leaves
    near: list[list[int]] = [[] for _ in range(n)]
    for i, p in enumerate(tree.parent.tolist()):
        if p >= 0:
            near[i].append(p)
            near[p].append(i)

    def mean(v: int, x: int, w: int, y: int) -> float:
        if x >= m:
            return float(np.mean([mean(x, z, w, y) for z in near[x] if z != v]))
        return float(np.mean([mean(y, z, v, x) for z in near[y] if z != w])) if y >= m else float(D[x, y])

    return near, mean


@pytest.mark.parametrize("m", [5, 9, 20])
@pytest.mark.parametrize("seed", range(4))
def test_no_interchange_makes_the_tree_shorter(m: int, seed: int) -> None:
    """All of them, where nothing is deeper than five nodes; and it was needed."""
    rng = np.random.default_rng(seed)
    D = birth_death(m, random_state=seed).path_lengths() * np.exp(0.3 * rng.normal(size=(m, m)))
    D = np.triu(D, 1) + np.triu(D, 1).T
    start = birth_death(m, random_state=seed + 50).unrooted()
    found = balanced_nni(start, D)
    assert robinson_foulds(found, start) > 0
    near, mean = subtree_means(found, D)
    deep = 0
    for v in range(m, found.n_nodes):
        for x in near[v]:
            if x < max(m, v):
                continue
            (a, b), (c, e) = ([y for y in near[w] if y not in (v, x)] for w in (v, x))
            now = mean(v, a, v, b) + mean(x, c, x, e)
            for p, q in ((c, e), (e, c)):
                deep += now > (mean(v, a, x, p) + mean(v, b, x, q)) * (1 + 1e-9)
    assert deep == 0 or m == 20
    assert deep <= 1


@given(st.integers(2, 150), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_interchanges_lead_back_to_the_tree(m: int, seed: int, model: Any) -> None:
    """From a tree with leaves out of place; the tree of the distances itself stays."""
    tree = exact(model, m, seed)
    D = tree.path_lengths()
    assert robinson_foulds(balanced_nni(tree, D), tree) == 0
    for kind in (np.float32, np.float64):
        parent = tree.unrooted().parent.astype(np.int32) if m > 2 else tree.parent.astype(np.int32)
        kept = parent.copy()
        assert _core.phylo_interchange(D.astype(kind), np.inf, parent, 9, 2) == 0
        assert np.array_equal(kept, parent)
    if m < 4:
        return
    names = list(tree.names)
    for i in range(0, m - 1, 9):  # neighbours change their names
        names[i], names[i + 1] = names[i + 1], names[i]
    wrong = tree.with_names(names).reordered(tree.names)
    runs = [balanced_nni(wrong, D, n_jobs=j) for j in (1, 3)]
    assert runs[0] == runs[1]
    assert robinson_foulds(runs[0], tree) <= robinson_foulds(wrong, tree)


@pytest.mark.parametrize("model", ["jc69", "logdet"])
def test_interchanges_from_sequences(model: str) -> None:
    tree = birth_death(80, random_state=1).unrooted()
    sites = sites_of(simulate_sequences(tree, 600, rate=0.1, random_state=2), model)
    D = distance_matrix(sites.matrix()[0])
    start = kingman(80, random_state=3).unrooted().parent.astype(np.int32)
    runs = []
    for threads in (1, 3):
        parent = start.copy()
        count = _core.phylo_interchange(sites.codes, sites.options, 2.0, parent, 50, threads)
        runs.append((count, parent.tolist()))
    assert runs[0] == runs[1]
    parent = start.copy()
    assert _core.phylo_interchange(D, 2.0, parent, 50, 1) == runs[0][0]
    assert parent.tolist() == runs[0][1]
    one = start.copy()
    assert 0 < _core.phylo_interchange(D, 2.0, one, 1, 1) < runs[0][0]  # a sweep is not enough
    with pytest.raises(ValueError, match="D has 80 rows, but the tree has 5 leaves"):
        balanced_nni(kingman(5), D)
    with pytest.raises(ValueError, match="cap must be > 0"):
        balanced_nni(tree, D, cap=0)
    with pytest.raises(ValueError, match="later inner node"):
        _core.phylo_interchange(D, 2.0, np.zeros_like(start), 50, 1)
