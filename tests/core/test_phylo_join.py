"""Neighbour joining and its relatives against plain loops, additive matrices and other implementations."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from lapwing import _core
from lapwing.phylo import Tree, bionj, nj, quartet_tree, read_newick, similarity_matrix, snj, upgma
from lapwing.trees import (
    balanced,
    birth_death,
    caterpillar,
    kingman,
    population_similarity,
    robinson_foulds,
    simulate_sequences,
)


def random_distances(seed: int, m: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "additive":
        return kingman(m, random_state=seed).path_lengths()
    if kind == "noisy":
        D = birth_death(m, random_state=seed).path_lengths() * np.exp(0.2 * rng.normal(size=(m, m)))
    elif kind == "ties":
        D = rng.integers(1, 4, (m, m)).astype(float)
    elif kind == "saturated":
        D = np.minimum(
            kingman(m, random_state=seed).path_lengths() * np.exp(0.1 * rng.normal(size=(m, m))), 0.7
        )
    elif kind == "zeros":
        D = np.where(rng.random((m, m)) < 0.7, 0.0, rng.random((m, m)))
    else:  # far from any metric
        D = rng.random((m, m)) ** 8 * 1e6
    D = np.triu(D, 1)
    return np.asarray(D + D.T)


def replay(D: np.ndarray, parent: np.ndarray, length: np.ndarray) -> None:
    """Every join is of a pair of least criterion, and has the lengths of the definition: in long double."""
    m = len(D)
    W = D.astype(np.longdouble)
    active = list(range(m))
    place = {i: i for i in range(m)}  # node -> row of W
    for node in range(m, 2 * m - 3):
        k = len(active)
        rows = [place[x] for x in active]
        B = W[np.ix_(rows, rows)]
        r = B.sum(axis=1)
        Q = (k - 2) * B - r[:, None] - r[None, :]
        np.fill_diagonal(Q, np.inf)
        a, b = (active.index(x) for x in np.flatnonzero(parent == node).tolist())
        # the core's sums are rounded: a unit for each of the m steps
        assert Q[a, b] <= Q.min() + 1e-15 * m * np.abs(B).max() * k
        la = B[a, b] / 2 + (r[a] - r[b]) / (2 * (k - 2))
        tolerance = 1e-13 * m * float(np.abs(B).max())
        assert abs(length[active[a]] - la) <= tolerance
        assert abs(length[active[b]] - (B[a, b] - la)) <= tolerance
        new = (W[rows[a]] + W[rows[b]] - W[rows[a], rows[b]]) / 2
        W[rows[a]], W[:, rows[a]] = new, new
        W[rows[a], rows[a]] = 0
        place[node] = rows[a]
        gone = {active[a], active[b]}
        active = [x for x in active if x not in gone] + [node]
    assert sorted(np.flatnonzero(parent == 2 * m - 3).tolist()) == sorted(active)


@pytest.mark.parametrize("kind", ["additive", "noisy", "ties", "saturated", "zeros", "wild"])
@pytest.mark.parametrize("m", [4, 5, 17, 90])
def test_every_join_is_of_the_least_criterion(kind: str, m: int) -> None:
    D = random_distances(m, m, kind)
    parent, length, _ = _core.phylo_join(D, "nj", False, 1)
    replay(D, parent, length)


@given(st.integers(4, 24), st.integers(0, 10**6), st.sampled_from(["noisy", "ties", "zeros", "wild"]))
def test_joins_of_random_matrices(m: int, seed: int, kind: str) -> None:
    D = random_distances(seed, m, kind)
    parent, length, _ = _core.phylo_join(D, "nj", False, 1)
    replay(D, parent, length)


def test_ties_go_to_the_smallest_leaves() -> None:
    D = 1.0 - np.eye(6)
    assert nj(D).newick(lengths=False) == "((((0,1),2),3),4,5);"


def test_a_large_matrix_is_searched_in_small_part() -> None:
    """The bound prunes: else a million rows would be looked at (and the test of bits would take minutes)."""
    m = 700
    D = random_distances(1, m, "noisy")
    parent, length, scanned = _core.phylo_join(D, "nj", True, 1)
    assert scanned < 0.1 * m * m / 2
    for threads in (2, 4):
        again = _core.phylo_join(D, "nj", True, threads)
        assert np.array_equal(parent, again[0])
        assert np.array_equal(length, again[1])


@pytest.mark.parametrize("method", ["nj", "bionj"])
def test_threads_and_memory_do_not_change_a_bit(method: str) -> None:
    D = random_distances(3, 4500, "saturated") if method == "nj" else random_distances(3, 300, "noisy")
    one = _core.phylo_join(D, method, True, 1)
    two = _core.phylo_join(D, method, True, 3)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    if method == "nj":
        own = D.copy()
        three = _core.phylo_join_in_place(own, True, 2)
        assert np.array_equal(one[0], three[0])
        assert np.array_equal(one[1], three[1])


@given(st.integers(2, 40), st.integers(0, 10**6), st.sampled_from([nj, bionj]))
def test_additive_matrices_give_the_tree(m: int, seed: int, method: Any) -> None:
    tree = birth_death(m, random_state=seed)
    D = tree.path_lengths()
    found = method(D, tree.names)
    assert robinson_foulds(found, tree) == 0
    assert np.abs(found.path_lengths() - D).max() <= 1e-10 * D.max()


def plain_bionj(D: np.ndarray) -> list[tuple[frozenset[int], ...]]:
    """Clusters in the order of joining, straight from the definition."""
    W, V = D.astype(np.longdouble), D.astype(np.longdouble)
    clusters = [frozenset([i]) for i in range(len(D))]
    out = []
    while len(clusters) > 3:
        k = len(clusters)
        r = W.sum(axis=1)
        Q = (k - 2) * W - r[:, None] - r[None, :]
        np.fill_diagonal(Q, np.inf)
        i, j = np.unravel_index(np.argmin(Q), Q.shape)
        others = [c for c in range(k) if c not in (i, j)]
        lam = np.longdouble(0.5)
        if V[i, j] > 0:
            lam = 0.5 + sum(V[j, c] - V[i, c] for c in others) / (2 * (k - 2) * V[i, j])
        lam = min(max(lam, np.longdouble(0)), np.longdouble(1))
        li = W[i, j] / 2 + (r[i] - r[j]) / (2 * (k - 2))
        lj = W[i, j] - li
        new_w = lam * (W[i] - li) + (1 - lam) * (W[j] - lj)
        new_v = lam * V[i] + (1 - lam) * V[j] - lam * (1 - lam) * V[i, j]
        union = clusters[i] | clusters[j]
        out.append((union,))
        keep = [*others]
        W, V = (
            np.block([[M[np.ix_(keep, keep)], n[keep][:, None]], [n[keep][None, :], np.zeros((1, 1))]])
            for M, n in ((W, new_w), (V, new_v))
        )
        clusters = [clusters[c] for c in keep] + [union]
    return out


@pytest.mark.parametrize("seed", range(6))
def test_bionj_is_its_definition(seed: int) -> None:
    D = random_distances(seed, 30, "noisy")
    parent = [-1] * 57
    number = {frozenset([i]): i for i in range(30)}
    for step, (union,) in enumerate(plain_bionj(D)):
        for part in [p for p in number if p < union and parent[number[p]] == -1]:
            parent[number[part]] = 30 + step
        number[union] = 30 + step
    parent = [57 if p == -1 else p for p in parent] + [-1]
    expected = Tree(np.array(parent))
    assert robinson_foulds(bionj(D), expected) == 0


@pytest.mark.parametrize("seed", range(5))
def test_nj_agrees_with_scikit_bio(seed: int) -> None:
    skbio = pytest.importorskip("skbio")
    from lapwing.trees import from_object

    D = random_distances(seed, 60, "noisy")
    names = [f"t{i}" for i in range(60)]
    other = skbio.tree.nj(skbio.DistanceMatrix(D, names), neg_as_zero=False)
    ours = nj(D, names, negative="keep")
    other = from_object(other)
    assert robinson_foulds(ours, other) == 0
    assert np.abs(ours.path_lengths() - other.reordered(names).path_lengths()).max() < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_nj_agrees_with_quicktree(seed: int, tmp_path: Path) -> None:
    program = shutil.which("quicktree")
    if program is None:
        pytest.skip("quicktree is not installed")
    D = random_distances(seed, 60, "noisy")
    D *= 10 / D.max()  # it reads and writes five decimals
    D = np.round(D, 5)
    rows = [f"t{i} " + " ".join(f"{x:.5f}" for x in row) for i, row in enumerate(D)]
    (tmp_path / "d.phy").write_text(f"{len(D)}\n" + "\n".join(rows) + "\n")
    text = subprocess.run(
        [program, "-in", "m", "-out", "t", str(tmp_path / "d.phy")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    other = read_newick("".join(text.split()))
    assert robinson_foulds(nj(D, [f"t{i}" for i in range(60)]), other) == 0  # its lengths are clipped


def test_negative_lengths() -> None:
    D = random_distances(0, 40, "wild")
    kept, clipped = nj(D, negative="keep"), nj(D)
    assert (kept.length[:-1] < 0).any()
    assert (clipped.length[:-1] >= 0).all()
    assert robinson_foulds(kept, clipped) == 0
    with pytest.raises(ValueError, match="negative must be one of"):
        nj(D, negative="zero")


@pytest.mark.parametrize("method", [nj, bionj, snj])
def test_two_and_three_leaves(method: Any) -> None:
    D = np.array([[0, 3.0], [3.0, 0]])
    X = np.exp(-D) if method is snj else D
    assert method(X, ["a", "b"]).newick(lengths=False) == "(a,b);"
    if method is not snj:
        assert method(X, ["a", "b"]).path_lengths()[0, 1] == 3.0
    D = np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0.0]])
    X = np.exp(-D) if method is snj else D
    tree = method(X, ["a", "b", "c"])
    assert tree.newick(lengths=False) == "(a,b,c);"
    if method is not snj:
        assert np.allclose(tree.path_lengths(), D)


@pytest.mark.parametrize("method", [nj, bionj, upgma])
def test_bad_distances(method: Any) -> None:
    D = random_distances(0, 6, "noisy")
    bad = D.copy()
    bad[2, 3] = bad[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"D must be finite, but 2 entries are not, the first D\[2, 3\]"):
        method(bad)
    bad = D.copy()
    bad[2, 3] += 1
    with pytest.raises(ValueError, match="D must be symmetric, but D"):
        method(bad)
    bad = D.copy()
    bad[2, 3] = bad[3, 2] = -1
    with pytest.raises(ValueError, match="D must not be negative"):
        method(bad)
    with pytest.raises(ValueError, match="did you pass a similarity matrix"):
        method(np.exp(-D))
    with pytest.raises(ValueError, match="D must be square"):
        method(D[:4])
    with pytest.raises(ValueError, match="need at least 2 leaves, got 1"):
        method(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="names must be 6"):
        method(D, ["a", "b"])
    with pytest.raises(ValueError, match="'a' comes twice"):
        method(D, ["a", "b", "c", "d", "e", "a"])


def test_condensed_float32_and_overwrite() -> None:
    D = random_distances(0, 20, "noisy")
    tree = nj(D)
    assert nj(squareform(D)) == tree
    assert robinson_foulds(nj(D.astype(np.float32)), tree) == 0
    with pytest.raises(ValueError, match="overwrite=True needs D"):
        nj(D.astype(np.float32), overwrite=True)
    assert nj(D.copy(), overwrite=True) == tree
    before = D.copy()
    nj(D)
    assert np.array_equal(D, before)
    with pytest.raises(ValueError, match="no condensed distance matrix"):
        nj(np.ones(7))


def test_large_sums_are_an_error() -> None:
    D = np.full((5, 5), 1e308)
    np.fill_diagonal(D, 0)
    with pytest.raises(ValueError, match="too large"):
        nj(D)


def test_upgma_is_average_linkage() -> None:
    D = random_distances(4, 25, "noisy")
    tree = upgma(D)
    assert tree.rooted
    expected = squareform(cophenet(linkage(squareform(D, checks=False), "average")))
    assert np.allclose(tree.path_lengths(), expected, atol=1e-12)


CRITERIA = {
    "sv2": lambda x: x[1],
    "residual": lambda x: np.sqrt((x[1:] ** 2).sum()),
    "quartets": lambda x: ((x**2).sum() ** 2 - (x**4).sum()) / (x**2).sum(),
}


def plain_snj(S: np.ndarray, criterion: str = "sv2") -> list[frozenset[int]]:
    """Straight from the definition, with full singular value decompositions."""
    m = len(S)
    clusters = [frozenset([i]) for i in range(m)]
    out = []
    scores: dict[frozenset[int], float] = {}
    while len(clusters) > 3:
        best = None
        for i, a in enumerate(clusters):
            for b in clusters[i + 1 :]:
                union = a | b
                if union not in scores:
                    A = sorted(union)
                    B = [x for x in range(m) if x not in union]
                    values = np.linalg.svd(S[np.ix_(A, B)], compute_uv=False)
                    scores[union] = float(CRITERIA[criterion](values)) if len(values) > 1 else 0.0
                key = (scores[union], *sorted((min(a), min(b))))
                if best is None or key < best[0]:
                    best = (key, a, b)
        assert best is not None
        _, a, b = best
        clusters = [c for c in clusters if c not in (a, b)] + [a | b]
        out.append(a | b)
    return out


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", [kingman, birth_death])
def test_snj_is_its_definition(model: Any, seed: int, criterion: str) -> None:
    m = 26
    tree = model(m, random_state=seed)
    rng = np.random.default_rng(seed)
    S = population_similarity(tree, 0.7 if model is kingman else 0.1)
    noise = 0.02 * rng.normal(size=(m, m))
    S = np.clip(S + noise + noise.T, 0.001, 1)
    np.fill_diagonal(S, 1)
    joined = plain_snj(S, criterion)
    found = snj(S, criterion=criterion)
    whole = set(range(m))
    sides = {frozenset(x) for c in joined for x in (c, whole - c)}
    for split in found.splits():
        assert frozenset(map(int, split)) in sides


@pytest.mark.parametrize("criterion", CRITERIA)
def test_snj_joins_large_parts_without_their_scores(criterion: str) -> None:
    """The bound from above decides some joins of more than 48 leaves, and none otherwise than the scores."""
    m = 100
    X = simulate_sequences(caterpillar(m), 400, model="hky85", rate=0.05, random_state=0)
    S, _ = similarity_matrix(X)
    joined = plain_snj(S, criterion)
    whole = set(range(m))
    sides = {frozenset(x) for c in joined for x in (c, whole - c)}
    assert all(frozenset(map(int, split)) in sides for split in snj(S, criterion=criterion).splits())
    _, _, scored = _core.phylo_spectral_join(S, criterion, 1)
    assert scored < m - 3 or criterion != "sv2"


@given(st.integers(4, 40), st.integers(0, 10**6))
def test_exact_similarities_give_the_tree(m: int, seed: int) -> None:
    tree = birth_death(m, random_state=seed)
    # scores of right joins are 0 up to 1e-8 of the largest singular value; lengths far above that
    rng = np.random.default_rng(seed)
    tree = tree.with_lengths(rng.uniform(0.1, 0.8, tree.n_nodes))
    assert robinson_foulds(snj(population_similarity(tree), tree.names), tree) == 0


@pytest.mark.parametrize("model", ["caterpillar", "balanced", "kingman"])
def test_snj_of_large_parts_and_threads(model: str) -> None:
    m = 256
    tree = {
        "caterpillar": caterpillar(m, edge=0.05),
        "balanced": balanced(m, edge=0.1),
        "kingman": kingman(m, random_state=5),
    }[model]
    S = population_similarity(tree)
    one = _core.phylo_spectral_join(S, "sv2", 1)
    for threads in (2, 4):
        assert np.array_equal(one[0], _core.phylo_spectral_join(S, "sv2", threads)[0])
    if model != "kingman":  # its shortest edges are below what the scores resolve
        assert robinson_foulds(snj(S, tree.names), tree) == 0


def test_bad_similarities() -> None:
    S = population_similarity(kingman(6))
    with pytest.raises(ValueError, match="did you pass a distance matrix"):
        snj(-np.log(S))
    bad = S.copy()
    bad[1, 2] = bad[2, 1] = 1.5
    with pytest.raises(ValueError, match=r"S must not be above 1, but S\[1, 2\]"):
        snj(bad)
    bad[1, 2] = bad[2, 1] = np.inf
    with pytest.raises(ValueError, match="S must be finite, but 2 entries"):
        snj(bad)


def displayed(tree: Tree) -> Any:
    """The pairing of every four leaves, from the numbers of edges between them."""
    D = tree.with_lengths(np.ones(tree.n_nodes)).path_lengths()
    for quartet in itertools.combinations(range(tree.n_leaves), 4):
        a, b, c, d = quartet
        pairings = [(a, b, c, d), (a, c, b, d), (a, d, b, c)]
        near = [D[w, x] + D[y, z] for w, x, y, z in pairings]
        yield pairings[int(np.argmin(near))]


def worth(tree: Tree, S: np.ndarray) -> float:
    return sum(
        S[a, b] * S[c, d] - max(S[a, c] * S[b, d], S[a, d] * S[b, c]) for a, b, c, d in displayed(tree)
    )


def every_tree(m: int) -> Any:
    """All binary trees on m leaves without a root, a leaf hung on every edge in turn."""

    def hang(x: Any, leaf: int) -> Any:
        yield (x, leaf)
        if isinstance(x, tuple):
            for side in range(2):
                for y in hang(x[side], leaf):
                    yield (y, x[1]) if side == 0 else (x[0], y)

    shapes: list[Any] = [(0, 1, 2)]
    for leaf in range(3, m):
        shapes = [
            (*shape[:i], y, *shape[i + 1 :])
            for shape in shapes
            for i in range(3)
            for y in hang(shape[i], leaf)
        ]
    for shape in shapes:
        yield read_newick(str(shape).replace(" ", "") + ";").reordered([str(i) for i in range(m)])


@pytest.mark.parametrize("m", [4, 5, 6])
def test_no_tree_fits_the_quartets_better(m: int) -> None:
    names = [str(i) for i in range(m)]
    trees = list(every_tree(m))
    assert len(trees) == {4: 3, 5: 15, 6: 105}[m]
    for seed in range(4):
        S = np.random.default_rng(seed).random((m, m)) ** 2
        S = np.maximum(S, S.T)
        np.fill_diagonal(S, 1)
        found = quartet_tree(S, names)
        assert worth(found, S) == pytest.approx(max(worth(t, S) for t in trees), abs=1e-12)


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_quartets_of_exact_similarities(m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree = birth_death(m, random_state=seed)
    tree = tree.with_lengths(rng.uniform(0.02, 1.2, tree.n_nodes))
    S = population_similarity(tree)
    found = quartet_tree(S, tree.names)
    assert robinson_foulds(found, tree) == 0
    assert found.length is None or np.isnan(found.length[:-1]).all()
    one, two = (_core.phylo_quartet_tree(S, threads)[0] for threads in (1, 3))
    assert np.array_equal(one, two)


def test_too_many_quartets() -> None:
    assert quartet_tree(population_similarity(kingman(16, random_state=1))).n_leaves == 16
    with pytest.raises(ValueError, match=r"S must have at most 16 rows.*got 17"):
        quartet_tree(population_similarity(kingman(17)))
    with pytest.raises(ValueError, match="did you pass a distance matrix"):
        quartet_tree(np.ones((4, 4)) - np.eye(4))
