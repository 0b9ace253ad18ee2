"""The estimator: exact trees from exact similarities for every base, the rules of scikit-learn, bad input."""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.estimator_checks import check_estimator

import lapwing
from lapwing.exceptions import DisconnectedSimilarityWarning
from lapwing.phylo import Tree, edge_lengths, nj, read_newick
from lapwing.trees import (
    STDR,
    balanced,
    birth_death,
    caterpillar,
    distance_matrix,
    kingman,
    partition_correct,
    population_similarity,
    robinson_foulds,
    similarity_matrix,
    simulate_gaussian,
    simulate_sequences,
)
from lapwing.trees.stdr import plot_fiedler

settings.register_profile("stdr", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("stdr")


def exact(model: Any, m: int, seed: int) -> Tree:
    if model is balanced:
        tree = balanced(2 ** int(np.log2(m)))
    else:
        tree = caterpillar(m) if model is caterpillar else model(m, random_state=seed)
    return tree.with_lengths(np.random.default_rng(seed).uniform(0.05, 1.0, tree.n_nodes))


@given(
    st.integers(2, 120), st.integers(0, 10**6),
    st.sampled_from([kingman, birth_death, caterpillar, balanced]), st.sampled_from([3, 4, 10, 32]),
    st.sampled_from(["nj", "bionj", "snj", "quartet_exact"]),
)  # fmt: skip
def test_exact_similarities_give_the_tree(m: int, seed: int, model: Any, tau: int, base: str) -> None:
    tau = min(tau, 10) if base == "quartet_exact" else tau
    tree = exact(model, m, seed)
    m = tree.n_leaves
    S = population_similarity(tree, 0.3)
    found = STDR(tau=tau, base=base, similarity="precomputed", eig_tol=1e-9).fit(S, names=tree.names)
    assert robinson_foulds(found.tree_, tree) == 0
    assert np.abs(found.tree_.path_lengths() - 0.3 * tree.path_lengths()).max() < 1e-8
    for split in found.partition_tree_:
        inside = np.zeros(m, dtype=bool)
        inside[np.r_[split.one, split.two]] = True
        below = tree.pruned([tree.names[i] for i in np.flatnonzero(inside)])
        mask = [i in set(split.one.tolist()) for i in np.flatnonzero(inside).tolist()]
        assert partition_correct(below, mask)


@pytest.mark.parametrize(
    ("tree", "scale"),
    [
        *((birth_death(150, random_state=seed), 0.05) for seed in range(3)),
        *((kingman(100, random_state=seed), 1.0) for seed in range(3)),
        (balanced(128), 0.1),
    ],
)
def test_upgma_recovers_clocks(tree: Tree, scale: float) -> None:
    S = population_similarity(tree, scale)
    found = STDR(tau=16, base="upgma", similarity="precomputed", eig_tol=1e-9).fit(S, names=tree.names)
    assert robinson_foulds(found.tree_, tree) == 0


def test_a_cut_for_almost_every_leaf() -> None:
    """The depth of the recursion is that of the cuts, not of Python's stack."""
    m = 150
    length = np.full(2 * m - 1, 0.05)
    length[:m] = 0.02 * np.arange(1, m + 1)  # the outermost leaf is the farthest
    tree = caterpillar(m).with_lengths(length)
    S = population_similarity(tree)
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 80)
        found = STDR(tau=3, similarity="precomputed", eig_tol=1e-9).fit(S, names=tree.names)
    finally:
        sys.setrecursionlimit(limit)
    assert sum(min(len(s.one), len(s.two)) == 1 for s in found.partition_tree_) > 120
    assert robinson_foulds(found.tree_, tree) == 0


@pytest.mark.filterwarnings("ignore::lapwing.exceptions.DisconnectedSimilarityWarning")
def test_similarities_that_underflow() -> None:
    """exp(-1200) is no number of double precision, exp(-720) one without all of its digits: both are 0."""
    tree = balanced(16)
    D = tree.path_lengths() * 150
    D = np.where(D == 900, 720.0, D)
    tiny = np.finfo(float).tiny
    with np.errstate(under="ignore"):
        S = np.exp(-D)
    assert ((S > 0) & (tiny > S)).any()
    given = S.copy()
    for model in (
        STDR(tau=4, similarity="precomputed_distance").fit(D, names=tree.names),
        STDR(tau=4, similarity="precomputed").fit(given, names=tree.names),
        STDR(tau=4, similarity="precomputed", alpha=2.0).fit(np.exp(-D / 2), names=tree.names),
    ):
        found = model.similarity_
        assert (found[found > 0] >= tiny).all()
        assert (found == 0).sum() == (D >= 720).sum() > 0
        assert model.diagnostics_["saturated"] == (found == 0).sum() // 2
    assert np.array_equal(given, S)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_better_than_joining_alone(seed: int) -> None:
    tree = caterpillar(192)
    X = simulate_sequences(tree, 800, model="hky85", rate=0.05, random_state=seed)
    model = STDR(tau=24).fit(X, names=tree.names)
    D = -np.log(np.where(model.similarity_ > 0, model.similarity_, 1))
    D[model.similarity_ == 0] = D.max()
    alone = robinson_foulds(nj(D, tree.names), tree, normalized=True)
    assert robinson_foulds(model.tree_, tree, normalized=True) < 0.1 < 0.5 * alone


def test_both_kinds_of_merges() -> None:
    """Both are exact for exact similarities; on data the shorter trees are the better ones."""
    tree = exact(kingman, 100, 3)
    S = population_similarity(tree, 0.3)
    for merge in ("spectral", "balanced"):
        model = STDR(tau=8, similarity="precomputed", merge=merge, eig_tol=1e-9).fit(S, names=tree.names)
        assert robinson_foulds(model.tree_, tree) == 0
        assert model.diagnostics_["moved"] == 0
    wrong = {"spectral": 0.0, "balanced": 0.0}
    for seed in range(3):
        tree = birth_death(300, random_state=seed)
        X = simulate_sequences(tree, 800, model="hky85", rate=0.05, random_state=seed)
        for merge in wrong:
            model = STDR(tau=16, merge=merge, polish=False).fit(X, names=tree.names)
            wrong[merge] += robinson_foulds(model.tree_, tree, normalized=True) / 3
            assert (model.diagnostics_["moved"] > 0) == (merge == "balanced")
    assert wrong["balanced"] < 0.9 * wrong["spectral"]


def test_interchanges_better_the_tree() -> None:
    wrong = {True: 0.0, False: 0.0}
    for seed in range(3):
        tree = birth_death(300, random_state=seed)
        X = simulate_sequences(tree, 800, model="hky85", rate=0.05, random_state=seed)
        for polish in wrong:
            model = STDR(tau=16, polish=polish).fit(X, names=tree.names)
            wrong[polish] += robinson_foulds(model.tree_, tree, normalized=True) / 3
            assert (model.diagnostics_["interchanges"] > 0) == polish
    assert wrong[True] < 0.95 * wrong[False]

    def base(S: Any, X: Any, names: Any, seed: int) -> Tree:
        return nj(distance_matrix(S), names)

    assert STDR(tau=16, base=base).fit(X).diagnostics_["interchanges"] == 0  # it may know better
    assert STDR(tau=16, base=base, polish=True).fit(X).diagnostics_["interchanges"] > 0


@pytest.mark.parametrize("model", [kingman, birth_death, caterpillar])
def test_more_leaves_than_a_matrix_has_room_for(model: Any) -> None:
    m = 500
    tree = caterpillar(m) if model is caterpillar else model(m, random_state=1)
    X = simulate_sequences(tree, 2000, rate=0.4 if model is kingman else 0.05, random_state=2)
    whole = STDR(tau=32).fit(X, names=tree.names)
    model_ = STDR(tau=32, dense_limit=150, random_state=0).fit(X, names=tree.names)
    assert model_.similarity_ is None
    assert model_.similarity_info_.resolved == whole.similarity_info_.resolved
    assert sorted(model_.tree_.names) == sorted(tree.names)
    # few merges are different, and none of them by much
    wrong = [robinson_foulds(x.tree_, tree, normalized=True) for x in (whole, model_)]
    assert wrong[1] <= wrong[0] + 0.03
    near = whole.tree_.path_lengths() < 0.5
    apart = np.abs(model_.tree_.path_lengths() - whole.tree_.path_lengths())[near]
    assert np.median(apart) < 0.02
    assert len(model_.partition_tree_) == model_.labels_.max()
    assert np.bincount(model_.labels_).max() <= 32
    for split in model_.partition_tree_:
        assert not set(split.one.tolist()) & set(split.two.tolist())
    assert {len(s.one) + len(s.two) for s in model_.partition_tree_} >= {m}
    again = STDR(tau=32, dense_limit=150, random_state=0, n_jobs=1).fit(X, names=tree.names)
    assert again.newick_ == model_.newick_
    assert set(model_.diagnostics_["seconds"]) == set(whole.diagnostics_["seconds"])


def test_what_needs_all_pairs() -> None:
    _, X = data()
    for options, words in (
        ({"merge": "spectral"}, "merge='spectral' needs the similarities of all pairs"),
        ({"branch_lengths": "nnls"}, "branch_lengths='nnls' needs"),
        (
            {"similarity": "tn93", "similarity_params": {"frequencies": "pooled"}},
            "frequencies='pooled' needs",
        ),
        ({"dense_limit": 3}, "dense_limit must be >= 16"),
    ):
        with pytest.raises(ValueError, match=words):
            STDR(**{"dense_limit": 50, **options}).fit(X)
    many = np.zeros((200_000, 2), dtype=np.int8)
    many[0] = 1
    with pytest.raises(MemoryError, match=r"640 GB, more than .* lower dense_limit"):
        STDR(dense_limit=10**6).fit(many)
    gaps = X.copy()
    gaps[3, 250:] = -1
    gaps[80, :250] = -1
    with pytest.raises(ValueError, match=r"joint sites, the first \(3, 80\)"):
        STDR(dense_limit=89).fit(gaps)
    saturate = {"on_no_overlap": "saturate"}
    model = STDR(dense_limit=50, tau=16, branch_lengths=None, similarity_params=saturate, n_bootstrap=2,
                 random_state=0).fit(gaps)  # fmt: skip
    assert model.support_ is not None
    assert np.nanmax(model.support_) == 1
    with pytest.raises(ValueError, match="keeps no similarities"):
        plot_fiedler(model)


def data(m: int = 90, n: int = 500) -> tuple[Tree, np.ndarray]:
    tree = birth_death(m, random_state=1)
    return tree, simulate_sequences(tree, n, rate=0.08, random_state=2)


def test_attributes() -> None:
    tree, X = data()
    model = STDR(tau=20, n_bootstrap=3, random_state=0)
    labels = model.fit_predict(X)
    assert model.names_in_ == tuple(map(str, range(90)))
    assert model.n_features_in_ == 500
    assert np.array_equal(labels, model.labels_)
    assert np.bincount(labels).max() <= 20
    assert len(model.partition_tree_) == labels.max()
    assert read_newick(model.newick_).n_leaves == 90
    assert model.similarity_.shape == (90, 90)
    found = model.diagnostics_
    assert found["margins"].shape == found["scores"].shape == (labels.max(), 2)
    assert set(found["seconds"]) == {
        "similarity", "partition", "distances", "base", "merge", "polish", "lengths",
    }  # fmt: skip
    assert model.support_ is not None
    assert np.isnan(model.support_[:90]).all()
    inner = model.support_[90:-1]
    assert ((inner >= 0) & (inner <= 1)).all()
    assert inner.max() == 1
    again = read_newick(model.newick_).reordered(tree.names)
    assert np.allclose(again.support[90:-1], inner)


def test_lengths_and_units() -> None:
    tree, X = data(40, 20_000)
    model = STDR(tau=12).fit(X, names=tree.names)
    assert robinson_foulds(model.tree_, tree) <= 2
    # 20 000 sites: lengths are right to about a percent
    assert (
        np.abs(model.tree_.path_lengths() / (0.08 * tree.path_lengths() + np.eye(40)) - 1 + np.eye(40)).max()
        < 0.2
    )
    raw = STDR(tau=12, units="similarity").fit(X).tree_
    assert np.allclose(raw.length[:-1], 4 * model.tree_.length[:-1])
    none = STDR(tau=12, branch_lengths=None).fit(X).tree_
    assert np.isnan(none.length[:-1]).all()
    assert ":" not in none.newick()
    D = -np.log(model.similarity_) / 4
    expected = edge_lengths(none, D, negative="keep")
    assert np.allclose(STDR(tau=12, negative="keep").fit(X).tree_.length, expected.length)
    assert (STDR(tau=12, branch_lengths="nnls").fit(X).tree_.length >= 0).all()


def test_roots() -> None:
    _, X = data(40, 2000)
    assert not STDR().fit(X).tree_.rooted
    middle = STDR(root="midpoint").fit(X).tree_
    assert middle.rooted
    depth = middle.depths()[:40]
    assert np.isclose(depth.max(), middle.path_lengths().max() / 2)
    assert STDR(root="min_var").fit(X).tree_.rooted
    out = STDR(root=["3"]).fit(X).tree_
    assert 3 in out.children()[-1]
    with pytest.raises(ValueError, match="not in the tree"):
        STDR(root=["nobody"]).fit(X)


@pytest.mark.parametrize("base", ["nj", "bionj", "snj", "upgma", "quartet_exact"])
def test_threads_do_not_change_a_bit(base: str) -> None:
    _, X = data(150, 300)
    tau = 10 if base == "quartet_exact" else 16
    one = STDR(tau=tau, base=base, n_jobs=1).fit(X)
    for n_jobs in (2, 4):
        other = STDR(tau=tau, base=base, n_jobs=n_jobs).fit(X)
        assert one.newick_ == other.newick_
        assert np.array_equal(one.similarity_, other.similarity_)
        assert np.array_equal(one.tree_.length, other.tree_.length)


def test_order_of_leaves_does_not_matter() -> None:
    tree, X = data(80, 1000)
    order = np.random.default_rng(0).permutation(80)
    one = STDR(tau=10).fit(X, names=tree.names).tree_
    other = STDR(tau=10).fit(X[order], names=[tree.names[i] for i in order]).tree_
    assert robinson_foulds(one, other) == 0
    assert np.allclose(one.path_lengths(), other.reordered(one.names).path_lengths())


def test_kinds_of_input() -> None:
    tree, X = data(30, 400)
    expected = STDR().fit(X).newick_
    letters = np.array(list("ACGT"))[X]
    assert STDR().fit(letters).newick_ == expected
    assert STDR().fit(["".join(row) for row in letters]).newick_ == expected
    assert STDR().fit(X.astype(float)).newick_ == expected
    S = STDR().fit(X).similarity_
    unit = STDR(units="similarity").fit(X).tree_
    assert STDR(similarity="precomputed").fit(S).tree_ == unit
    D = np.where(S > 0, -np.log(np.where(S > 0, S, 1)), 0)
    if (S > 0).all():
        assert robinson_foulds(STDR(similarity="precomputed_distance").fit(D).tree_, unit) == 0
    assert (
        robinson_foulds(STDR(similarity=lambda X: lapwing.trees.similarity_matrix(X)[0]).fit(X).tree_, unit)
        == 0
    )
    real = simulate_gaussian(tree, 20_000, rate=0.05)
    found = STDR(similarity="correlation", tau=8).fit(real)
    assert robinson_foulds(found.tree_, tree) <= 4
    for model in ("tn93", "logdet"):
        assert STDR(similarity=model).fit(X).tree_.n_leaves == 30


def test_missing_sites_and_identical_rows() -> None:
    tree, X = data(60, 3000)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, -1, X)
    gaps[7] = gaps[3]
    model = STDR(tau=12).fit(gaps)
    others = [str(i) for i in range(60) if i != 7]
    assert robinson_foulds(model.tree_.pruned(others), tree.pruned(others), normalized=True) < 0.2
    assert model.tree_.path_lengths()[3, 7] == pytest.approx(0, abs=1e-3)


def test_all_rows_identical_but_one() -> None:
    X = np.zeros((80, 50), dtype=int)
    X[5, :9] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = STDR(tau=8, n_states=4).fit(X).tree_
    assert tree.n_leaves == 80
    assert tree.binary


@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_smallest_trees(m: int) -> None:
    X = np.array([[0, 1, 2, 3, 0, 0], [0, 1, 2, 3, 1, 0], [0, 1, 2, 0, 1, 0], [0, 1, 1, 0, 1, 0]])[:m]
    tree = STDR(tau=3).fit(X).tree_
    assert tree.n_leaves == m
    if m == 4:
        assert robinson_foulds(tree, read_newick("((0,1),(2,3));")) == 0


def test_disconnected_similarities() -> None:
    S = np.zeros((60, 60))
    one, two = kingman(40, random_state=1), kingman(20, random_state=2)
    S[:40, :40] = population_similarity(one)
    S[40:, 40:] = population_similarity(two)
    with pytest.warns(DisconnectedSimilarityWarning, match="1 parts"):
        model = STDR(tau=8, similarity="precomputed").fit(S)
    assert robinson_foulds(model.tree_.pruned([str(i) for i in range(40)]), one) == 0
    assert model.partition_tree_[0].kind == "component"
    assert model.diagnostics_["blind_merges"] == 1


def test_own_base() -> None:
    tree, X = data(70, 600)
    seen = []

    def base(S: np.ndarray, rows: np.ndarray, names: list[str], random_state: int) -> Tree:
        assert S.shape == (len(names), len(names))
        assert np.array_equal(rows, X[[int(x) for x in names]])
        assert isinstance(random_state, int)
        seen.append(len(names))
        D = -np.log(np.maximum(S, 1e-9))
        return nj(D[::-1, ::-1].copy(), names[::-1]).root("midpoint")

    model = STDR(tau=16, base=base, random_state=0).fit(X)
    assert sum(seen) <= 70
    assert max(seen) <= 16
    assert robinson_foulds(model.tree_, tree, normalized=True) < 0.4

    with pytest.raises(ValueError, match="base returned a tree whose leaves are not those"):
        STDR(tau=16, base=lambda S, X, names, seed: kingman(len(names) + 1)).fit(X)
    with pytest.raises(TypeError, match="base must return a Tree, got str"):
        STDR(tau=16, base=lambda S, X, names, seed: "(a,b);").fit(X)
    star = STDR(
        tau=16, base=lambda S, X, names, seed: Tree([len(names)] * len(names) + [-1], names=names)
    ).fit(X)
    assert not star.tree_.binary
    assert np.isfinite(star.tree_.length[:-1]).all()


def test_progress_and_stopping() -> None:
    _, X = data()
    infos: list[Any] = []
    STDR(tau=10, callback=infos.append).fit(X)
    stages = [i.stage for i in infos]
    assert stages == sorted(stages, key=["partition", "base", "merge"].index)
    parts = stages.count("base")
    assert stages.count("partition") == parts == stages.count("merge") + 1
    assert infos[parts - 1].iteration == infos[2 * parts - 1].iteration == 90
    assert infos[0].n_leaves == 90
    model = STDR(tau=10, callback=lambda info: True).fit(X)
    assert model.diagnostics_["stopped"]
    assert len(model.partition_tree_) < parts - 1
    assert model.tree_.n_leaves == 90
    # pieces that are too large for it are solved by neighbour joining
    model = STDR(tau=10, base="quartet_exact", callback=lambda info: True).fit(X)
    assert model.diagnostics_["stopped"]
    assert np.bincount(model.labels_).max() > 16

    def fail(info: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        STDR(tau=10, callback=fail).fit(X)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau": 2}, "tau must be >= 3"),
        ({"min_split": 0}, "min_split must be >= 1"),
        ({"min_split": 50}, "min_split must be at most 45"),
        ({"num_gaps": -1}, "num_gaps must be between 0 and 20"),
        ({"alpha": 0}, "alpha must be > 0"),
        ({"base": "ml"}, "base must be one of"),
        ({"similarity": "hamming"}, "similarity must be one of"),
        ({"normalization": "sym"}, "normalization must be one of"),
        ({"merge": "angle"}, "merge must be one of"),
        ({"polish": "nni"}, "polish must be 'auto', True or False"),
        ({"eig_tol": 0.0}, "eig_tol must be > 0"),
        ({"branch_lengths": "ml"}, "branch_lengths must be one of"),
        ({"negative": "zero"}, "negative must be one of"),
        ({"units": "years"}, "units must be one of"),
        ({"root": "best"}, "root must be None"),
        ({"n_bootstrap": -1}, "n_bootstrap must be >= 0"),
        ({"similarity_params": {"beta": 1}}, "unknown names: beta"),
        ({"similarity": "precomputed"}, "X must be square"),
        ({"similarity": "precomputed", "n_bootstrap": 2}, "n_bootstrap needs observations"),
        ({"similarity": "correlation", "base": "fasttree"}, "needs sequences"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"dtype": "float16"}, "dtype must be 'float64' or 'float32'"),
        ({"base": "quartet_exact"}, "parts of at most 16 leaves, got tau=64"),
    ],
)
def test_bad_parameters(options: dict[str, Any], words: str) -> None:
    _, X = data()
    with pytest.raises(ValueError, match=words):
        STDR(**options).fit(X)


def test_bad_data() -> None:
    with pytest.raises(ValueError, match="need at least 2 leaves"):
        STDR().fit(["ACGT"])
    with pytest.raises(ValueError, match="names must be 2"):
        STDR().fit(["ACGT", "ACGA"], names=["a"])
    with pytest.raises(TypeError, match="sparse input is not supported"):
        STDR(similarity="precomputed").fit(sparse.eye_array(5).tocsr())
    with pytest.raises(ValueError, match="'a' comes twice"):
        STDR().fit(["ACGT", "ACGA"], names=["a", "a"])
    S = population_similarity(balanced(8))
    S[0, 1] = S[1, 0] = -0.1
    with pytest.warns(UserWarning, match="1 similarities are negative"):
        STDR(similarity="precomputed").fit(S)
    with pytest.raises(ValueError, match="did you pass a distance matrix"):
        STDR(similarity="precomputed").fit(-np.log(population_similarity(balanced(8))))
    S = population_similarity(balanced(8))
    D = -np.log(S)
    mirror = "X must be symmetric, but X\\[2, 5\\] differs"
    for matrix, kind, i, j, value, words in (
        (S, "precomputed", 2, 5, S[2, 5] + 0.125, mirror + " from its mirror image by 0.125"),
        (S, "precomputed", 3, 3, 0.9, r"the diagonal of X must be 1, but X\[3, 3\] is 0.9"),
        (S, "precomputed", 4, 4, np.nan, r"X must be finite, but 1 entries are not, the first X\[4, 4\]"),
        (D, "precomputed_distance", 2, 5, D[2, 5] + 0.125, mirror),
        (D, "precomputed_distance", 3, 3, 0.9, r"the diagonal of X must be 0, but X\[3, 3\] is 0.9"),
        (D, "precomputed_distance", 3, 3, np.inf, "X must be finite, but 1 entries are not"),
    ):
        bad = matrix.copy()
        bad[i, j] = value
        with pytest.raises(ValueError, match=words):
            STDR(similarity=kind).fit(bad)
    D[1, 6] = D[6, 1] = -1
    with pytest.raises(ValueError, match=r"X must not be negative, but X\[1, 6\] is -1"):
        STDR(similarity="precomputed_distance").fit(D)
    S[1, 6] = S[6, 1] = 1.01
    with pytest.raises(ValueError, match=r"X must not be above 1, but X\[1, 6\]"):
        STDR(similarity="precomputed").fit(S)
    flat = np.full((40, 40), 0.5)
    np.fill_diagonal(flat, 1)
    flat[0, 1:] = flat[1:, 0] = 0.4
    with pytest.raises(ValueError, match="no cut of a part of 40 leaves has min_split=20"):
        STDR(similarity="precomputed", min_split=20, tau=10, strict=True).fit(flat)


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="needs the program raxml-ng on PATH"):
        STDR(base="raxml-ng").fit(data()[1])


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
def test_scikit_learn_checks() -> None:
    """With a similarity that takes the real numbers of the checks; the models of sequences do not."""
    results = check_estimator(STDR(tau=20, similarity=rbf_kernel, random_state=0), on_fail=None, on_skip=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    # a single leaf is refused in the words of the other errors about leaves, not in those of the check
    assert failed == {"check_fit2d_1sample"}
    assert sum(r["status"] == "passed" for r in results) > 30


def test_rules_of_scikit_learn() -> None:
    model = STDR(tau=12, base="snj")
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(tau=9).tau == 9
    import pickle

    _, X = data(40)
    model.fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert again.newick_ == model.newick_
    assert again.tree_ == model.tree_
    assert lapwing.STDR is STDR


@pytest.mark.parametrize("similarity", ["jc69", "precomputed", "precomputed_distance"])
def test_single_precision(similarity: str) -> None:
    tree, X = data(150, 2000)
    shown: Any = X
    if similarity != "jc69":
        shown = similarity_matrix(X)[0]
        shown = shown if similarity == "precomputed" else distance_matrix(shown)
    double = STDR(tau=16, similarity=similarity).fit(shown, names=tree.names)
    for kind in (shown, shown.astype(np.float32)) if similarity != "jc69" else (shown,):
        single = STDR(tau=16, similarity=similarity, dtype="float32").fit(kind, names=tree.names)
        assert single.similarity_.dtype == np.float32
        assert robinson_foulds(single.tree_, double.tree_) == 0
        assert np.allclose(single.tree_.path_lengths(), double.tree_.path_lengths(), atol=1e-5)
    for lengths in ("nnls", None):
        STDR(tau=16, similarity=similarity, dtype="float32", branch_lengths=lengths).fit(shown)
    one = STDR(tau=16, similarity=similarity, dtype="float32", n_jobs=1).fit(shown, names=tree.names)
    assert one.newick_ == single.newick_
    few = STDR(tau=16, dtype="float32", dense_limit=60, random_state=0).fit(X, names=tree.names)
    assert robinson_foulds(few.tree_, double.tree_, normalized=True) < 0.1


@given(st.integers(4, 80), st.integers(0, 10**6), st.sampled_from([kingman, birth_death, caterpillar]))
def test_exact_similarities_in_single_precision(m: int, seed: int, model: Any) -> None:
    """Cuts stay edges, and short parts are right, where similarities have seven digits."""
    tree = exact(model, m, seed)
    S = population_similarity(tree, 0.2)
    found = STDR(tau=10, similarity="precomputed", dtype="float32").fit(S, names=tree.names)
    for split in found.partition_tree_:
        inside = np.zeros(m, dtype=bool)
        inside[np.r_[split.one, split.two]] = True
        below = tree.pruned([tree.names[i] for i in np.flatnonzero(inside)])
        mask = [i in set(split.one.tolist()) for i in np.flatnonzero(inside).tolist()]
        assert partition_correct(below, mask)
    assert robinson_foulds(found.tree_, tree) == 0


def test_dask_arrays() -> None:
    """From memory that is elsewhere: the same trees."""
    dask_array = pytest.importorskip("dask.array")
    tree, X = data(120, 400)
    S, _ = similarity_matrix(X)
    for shown, options in (
        (X, {"tau": 16}),
        (X, {"tau": 16, "dense_limit": 40, "random_state": 0}),
        (S, {"tau": 16, "similarity": "precomputed"}),
    ):
        here = STDR(**options).fit(shown, names=tree.names)
        there = STDR(**options).fit(dask_array.from_array(shown, chunks=50), names=tree.names)
        assert there.newick_ == here.newick_
        assert there.n_features_in_ == here.n_features_in_
    # parts of the work are sent to other processes
    import dask

    with dask.config.set(scheduler="processes", num_workers=2):
        apart = STDR(tau=16, dense_limit=40, random_state=0).fit(
            dask_array.from_array(X, chunks=50), names=tree.names
        )
    assert apart.newick_ == STDR(tau=16, dense_limit=40, random_state=0).fit(X, names=tree.names).newick_
