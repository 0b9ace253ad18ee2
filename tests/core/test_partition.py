"""Partitions: optimal cuts in closed form, brute force, properties, balance, threads, bad input."""

from __future__ import annotations

import itertools
import os
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from lapwing import graph
from lapwing.exceptions import (
    ConvergenceError,
    ConvergenceWarning,
    DisconnectedGraphWarning,
    InfeasibleBalanceWarning,
)


def path(n):
    return sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1]).tocsr()


def grid(*shape):
    W = sp.csr_array((1, 1))
    for n in shape:
        W = sp.kron(W, sp.eye_array(n)) + sp.kron(sp.eye_array(W.shape[0]), path(n))
    return sp.csr_array(W)


def delaunay(n, seed=0):
    p = np.random.default_rng(seed).random((n, 2))
    t = Delaunay(p).simplices
    e = np.unique(np.sort(np.vstack([t[:, [0, 1]], t[:, [1, 2]], t[:, [0, 2]]]), axis=1), axis=0)
    W = sp.csr_array((np.ones(len(e)), (e[:, 0], e[:, 1])), (n, n))
    return sp.csr_array(W + W.T)


def random_graph(seed, n, p=0.4, weighted=False):
    """Connected: a random tree and more edges."""
    rng = np.random.default_rng(seed)
    W = np.triu(rng.random((n, n)) < p, 1).astype(float)
    for i in range(1, n):
        W[rng.integers(0, i), i] = 1.0
    if weighted:
        W *= rng.gamma(1.0, size=(n, n)) + 0.01
    return W + W.T


def roach(k):
    """Two paths of 2k nodes, rungs between their second halves: 2 is best, the Fiedler vector cuts k."""
    G = nx.Graph()
    nx.add_path(G, range(2 * k))
    nx.add_path(G, range(2 * k, 4 * k))
    G.add_edges_from((i, 2 * k + i) for i in range(k, 2 * k))
    return nx.to_scipy_sparse_array(G, nodelist=range(4 * k), dtype=float)


def cut_of(W, labels):
    W = sp.coo_array(W)
    return float(W.data[labels[W.row] != labels[W.col]].sum()) / 2


def best_bisection(W, limit):
    n = len(W)
    best = np.inf
    for side in itertools.product((0, 1), repeat=n - 1):
        x = np.array((0, *side))
        if max(x.sum(), n - x.sum()) <= limit and 0 < x.sum() < n:
            best = min(best, W[np.ix_(x == 0, x == 1)].sum())
    return best


# ---- known optima ------------------------------------------------------------------------------------


@pytest.mark.parametrize("refine", ["fm", "flow", "multilevel"])
@pytest.mark.parametrize(
    ("W", "best"),
    [
        (path(1000), 1),
        (grid(40, 30), 30),
        (grid(24, 24), 24),
        (grid(10, 10, 10), 100),
        (nx.to_scipy_sparse_array(nx.hypercube_graph(7)), 64),
        (np.ones((20, 20)), 100),
        (nx.to_scipy_sparse_array(nx.petersen_graph()), 5),
        (nx.to_scipy_sparse_array(nx.barbell_graph(30, 0)), 1),
        (nx.to_scipy_sparse_array(nx.cycle_graph(501)), 2),
        (nx.to_scipy_sparse_array(nx.grid_2d_graph(16, 9, periodic=True)), 18),
        (np.kron([[1.0, 0.25], [0.25, 1.0]], np.ones((12, 12))), 36),
    ],
    ids=[
        "path",
        "grid",
        "square",
        "cube",
        "Q7",
        "complete",
        "petersen",
        "barbell",
        "cycle",
        "torus",
        "blocks",
    ],
)
def test_optimal_bisections(W, best, refine):
    labels, info = graph.partition(W, 2, imbalance=0.01, refine=refine, n_trials=4)
    assert info.feasible
    assert info.imbalance <= 0.01
    assert info.cut == cut_of(W, labels)
    # Moves alone may stay at a worse cut of a large grid.
    assert info.cut == best if refine != "fm" or W.shape[0] < 200 else info.cut <= 1.3 * best


@pytest.mark.parametrize("k", [10, 40])
def test_roach_needs_more_than_the_second_vector(k):
    W = roach(k)
    for method in ("spectral", "multilevel"):
        labels, info = graph.partition(W, 2, method=method, imbalance=0.0)
        assert info.cut == 2.0, method
        assert np.bincount(labels).tolist() == [2 * k, 2 * k]


def test_planted_blocks():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2, 3], 150)
    P = np.where(truth[:, None] == truth, 0.15, 0.01)
    W = np.triu(rng.random(P.shape) < P, 1).astype(float)
    W = W + W.T
    labels, info = graph.partition(W, 4, imbalance=0.0)
    assert info.cut == cut_of(W, truth)
    assert len(set(zip(truth, labels, strict=True))) == 4
    labels, info = graph.partition(W, 4, objective="ncut")
    assert len(set(zip(truth, labels, strict=True))) == 4
    assert info.tree.size[0] == 600
    assert (info.tree.left >= 0).sum() == 3


def test_small_bisections_are_optimal():
    misses = 0
    for seed in range(40):
        n = 8 + seed % 5
        W = random_graph(seed, n, 0.35, weighted=seed % 2 == 1)
        limit = int(1.1 * np.ceil(n / 2) * (1 + 1e-12))
        _, info = graph.partition(W, 2, imbalance=0.1, n_trials=8)
        best = best_bisection(W, limit)
        assert info.cut >= best - 1e-9
        misses += info.cut > best * (1 + 1e-9)
    assert misses <= 2  # the specification asks for 95 %


def test_cut_is_no_worse_than_published_tools():
    """A mesh like 4elt, made here: METIS' best of ten seeds is 188, KaHIP's 179."""
    W = delaunay(10_000, 7)
    _, info = graph.partition(W, 2)
    _, moves = graph.partition(W, 2, refine="fm")
    assert info.cut <= 185
    assert moves.cut <= 215
    _, many = graph.partition(W, 16)
    _, coarse = graph.partition(W, 16, refine="fm")
    assert many.cut <= coarse.cut


DATA = Path(os.environ.get("LAPWING_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "graphs"


@pytest.mark.parametrize(("name", "cut"), [("4elt", 137), ("delaunay_n15", 326), ("rgg_n_2_15_s0", 192)])
def test_cuts_of_known_meshes(name, cut):
    """Of KaHIP strong 137, 320 and 191; of METIS' best of 20 seeds 139, 336 and 232."""
    path = DATA / f"{name}.graph"
    if not path.is_file():
        pytest.skip(f"{path} is not there (LAPWING_DATA names its folder)")
    W = graph.read_graph(path).weights
    part, _ = graph.components(W)
    W = W[part == 0][:, part == 0]
    labels, info = graph.partition(W, 2)
    assert info.feasible
    assert info.cut == cut_of(W, labels) <= cut


@pytest.mark.parametrize(
    ("make", "cut"),
    [
        (lambda: grid(100, 150), 100),
        (lambda: delaunay(100_000), 545),
        (lambda: grid(60, 60, 62), 3600),
    ],
    ids=["grid", "Delaunay", "cube"],
)
def test_cuts_of_large_meshes(make, cut):
    W = make()
    labels, info = graph.partition(W, 2)
    assert info.feasible
    assert info.cut == cut_of(W, labels) <= cut


def test_planted_halves_of_a_large_graph():
    """20 000 nodes, degrees about 26: the halves are found where plain L would tell nodes of small degree."""
    rng, half = np.random.default_rng(0), 10_000
    ends = [rng.integers(0, half, (rng.binomial(half * (half - 1) // 2, 0.002), 2)) + s for s in (0, half)]
    count = rng.binomial(half * half, 0.0006)
    ends.append(np.stack([rng.integers(0, half, count), rng.integers(0, half, count) + half], axis=1))
    i, j = np.concatenate(ends).T
    W = sp.csr_array((np.ones(len(i)), (i, j)), (2 * half, 2 * half))
    W = (W + W.T - sp.diags_array(2 * W.diagonal()) > 0).astype(float).tocsr()
    part, _ = graph.components(W)
    W, truth = W[part == 0][:, part == 0], np.repeat([0, 1], half)[part == 0]
    labels, info = graph.partition(W, 2)
    assert info.feasible
    assert info.cut <= cut_of(W, truth)
    agree = (labels == truth).mean()
    assert max(agree, 1 - agree) > 0.99  # some nodes have more neighbours in the other half
    walk = graph.bisect(W, normalization="rw", refine=None, rounding="median", objective="cut")
    assert cut_of(W, walk) < 1.01 * cut_of(W, truth)


# ---- balance -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 5, 8, 13])
@pytest.mark.parametrize("imbalance", [0.0, 0.03, 0.2])
def test_balance_is_kept(k, imbalance):
    W = delaunay(700, 1)
    labels, info = graph.partition(W, k, imbalance=imbalance)
    weights = np.bincount(labels, minlength=k)
    assert weights.max() <= (1 + imbalance) * np.ceil(700 / k) * (1 + 1e-12)
    assert weights.min() > 0
    assert info.feasible
    assert info.imbalance == pytest.approx(weights.max() / np.ceil(700 / k) - 1)
    assert info.cut == cut_of(W, labels)


def test_node_weights_and_fractions():
    W = delaunay(600, 2)
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 20, 600).astype(float)
    fractions = np.array([0.5, 0.2, 0.2, 0.1])
    labels, info = graph.partition(W, 4, node_weight=weight, target_fractions=fractions, imbalance=0.05)
    got = np.bincount(labels, weights=weight)
    assert (got <= 1.05 * np.ceil(fractions * weight.sum()) * (1 + 1e-9)).all()
    assert info.feasible
    weight = rng.gamma(2.0, size=600)
    labels, info = graph.partition(W, 3, node_weight=weight, imbalance=0.05)
    got = np.bincount(labels, weights=weight)
    assert (got <= 1.05 * weight.sum() / 3 * (1 + 1e-9)).all()
    weight = np.where(np.arange(600) < 60, 1.0, 0.0)  # most nodes weigh nothing
    labels, info = graph.partition(W, 2, node_weight=weight, imbalance=0.0)
    assert np.bincount(labels, weights=weight).tolist() == [30.0, 30.0]


def test_a_node_that_is_too_heavy():
    weight = np.ones(50)
    weight[7] = 100.0
    with pytest.warns(InfeasibleBalanceWarning, match="heaviest node weighs 100 of 149"):
        labels, info = graph.partition(path(50), 2, node_weight=weight)
    assert not info.feasible
    assert np.bincount(labels, weights=weight).max() <= 101.0


def test_parts_of_one_node_each():
    for n in (2, 3, 7, 20):
        labels, info = graph.partition(path(n), n, imbalance=0.0)
        assert labels.tolist() == list(range(n))
        assert info.cut == n - 1
    labels, info = graph.partition(path(9), 1)
    assert labels.tolist() == [0] * 9
    assert info.cut == 0.0
    assert graph.partition(np.zeros((1, 1)), 1)[0].tolist() == [0]


# ---- components --------------------------------------------------------------------------------------


def test_components_are_kept_whole():
    W = sp.block_diag([np.ones((6, 6)), np.ones((5, 5)), np.ones((4, 4)), np.ones((3, 3))]).tocsr()
    with pytest.warns(DisconnectedGraphWarning, match="4 connected components"):
        labels, info = graph.partition(W, 2, imbalance=0.0)
    assert info.cut == 0.0
    assert np.bincount(labels).tolist() == [9, 9]  # 6 + 3 and 5 + 4
    with pytest.warns(DisconnectedGraphWarning):
        _, info = graph.partition(W, 4, imbalance=0.4)
    assert info.cut == 0.0


def test_only_one_component_is_split():
    W = sp.block_diag([grid(20, 10), path(20)]).tocsr()
    with pytest.warns(DisconnectedGraphWarning):
        labels, info = graph.partition(W, 2, imbalance=0.0)
    assert info.cut == 10.0
    assert np.bincount(labels).tolist() == [110, 110]
    assert len(set(labels[200:])) == 1


@pytest.mark.parametrize("n", [3000, 100_000])  # all sums of weights are looked at, or the heaviest go first
def test_isolated_nodes_and_a_clique(n):
    W = sp.block_diag([np.ones((20, 20)), sp.csr_array((n, n))]).tocsr()
    with pytest.warns(DisconnectedGraphWarning):
        labels, info = graph.partition(W, 2, imbalance=0.0)
    assert info.cut == 0.0
    assert np.bincount(labels).tolist() == [n // 2 + 10, n // 2 + 10]
    with pytest.warns(DisconnectedGraphWarning):
        labels, info = graph.partition(W, 8, imbalance=0.0)
    assert info.cut == 0.0
    with pytest.warns(DisconnectedGraphWarning):
        labels, info = graph.partition(sp.csr_array((10, 10)), 3)
    assert np.bincount(labels).max() <= 4
    with pytest.warns(DisconnectedGraphWarning):
        mask = graph.bisect(sp.csr_array((5, 5)))
    assert set(mask.tolist()) == {0, 1}


@pytest.mark.parametrize("objective", ["ncut", "ratio", "conductance"])
def test_clusters_are_unions_of_components(objective):
    W = sp.block_diag([grid(3, 4), path(5), np.ones((6, 6)), path(4)]).tocsr()
    part, _ = graph.components(W)
    for k in (2, 3, 4):
        with pytest.warns(DisconnectedGraphWarning, match="4 connected components"):
            labels, info = graph.partition(W, k, objective=objective)
        assert info.cut == 0.0
        assert np.unique(labels).size == k
        assert all(np.unique(labels[part == c]).size == 1 for c in range(4))


# ---- properties --------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(4, 40), st.integers(2, 5), st.booleans())
def test_results_are_partitions(seed, n, k, weighted):
    W = random_graph(seed, n, 0.2, weighted)
    k = min(k, n)
    labels, info = graph.partition(W, k, imbalance=0.1)
    assert labels.dtype == np.int32
    assert labels[0] == 0
    assert info.cut == pytest.approx(cut_of(W, labels))
    assert np.bincount(labels, minlength=k).max() <= 1.1 * np.ceil(n / k) * (1 + 1e-12)
    again, _ = graph.partition(W, k, imbalance=0.1)
    assert (labels == again).all()
    scaled, _ = graph.partition(W * 4.0, k, imbalance=0.1)
    assert (labels == scaled).all()
    loops, _ = graph.partition(W + np.diag(np.arange(n)), k, imbalance=0.1)
    assert (labels == loops).all()


@given(st.integers(0, 10**6), st.integers(4, 40), st.integers(2, 4), st.booleans())
def test_refinement_never_worsens(seed, n, k, weighted):
    W = random_graph(seed, n, 0.2, weighted)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    before = cut_of(W, labels)
    for refine in (graph.refine_fm, graph.refine_flow):
        after = refine(W, labels, imbalance=0.05)
        assert cut_of(W, after) <= before * (1 + 1e-12)
        assert np.bincount(after, minlength=k).max() <= 1.05 * np.ceil(n / k) * (1 + 1e-12)


@given(st.integers(0, 10**6), st.integers(6, 30))
def test_refinement_mends_the_balance(seed, n):
    W = random_graph(seed, n, 0.3)
    for k in (2, 3):
        labels = np.zeros(n, int)
        labels[: k - 1] = np.arange(1, k)
        after = graph.refine_fm(W, labels, imbalance=0.0)
        assert np.bincount(after, minlength=k).max() <= np.ceil(n / k)


@given(st.integers(0, 10**6), st.integers(4, 25))
def test_bounds_of_the_certificate(seed, n):
    W = random_graph(seed, n, 0.3, weighted=True)
    _, info = graph.bisect(W, return_info=True)
    m = info.metrics
    lam = np.linalg.eigvalsh(graph.laplacian(W).toarray())[1]
    assert info.fiedler_value == pytest.approx(lam, rel=1e-6, abs=1e-12)
    assert m.ncut >= lam * (1 - 1e-9)
    assert info.conductance_bounds[0] * (1 - 1e-9) <= m.conductance
    assert info.lower_bound <= info.cut * (1 + 1e-9)
    swept = graph.sweep_cut(W, graph.fiedler_vector(W, normalization="rw").vector)
    assert swept.value <= np.sqrt(2 * lam) * (1 + 1e-9)
    plain, info = graph.bisect(
        W, normalization=None, objective="ratio", return_info=True, rounding="sweep", refine=None
    )
    second = np.linalg.eigvalsh(np.diag(W.sum(0)) - W)[1]
    assert info.metrics.ratio_cut >= second * (1 - 1e-9)
    assert info.lower_bound <= info.cut * (1 + 1e-9)
    assert set(plain.tolist()) == {0, 1}


@pytest.mark.parametrize("objective", ["ncut", "ratio", "conductance"])
def test_moves_by_the_objective(objective):
    """Refinement by an objective never raises that objective."""
    name = {"ncut": "ncut", "ratio": "ratio_cut", "conductance": "conductance"}[objective]
    for seed in range(10):
        W = random_graph(seed, 60, 0.06, weighted=True)
        plain = graph.bisect(W, objective=objective, refine=None)
        better = graph.bisect(W, objective=objective, refine="fm")
        before = getattr(graph.cut_metrics(W, plain), name)
        assert getattr(graph.cut_metrics(W, better), name) <= before * (1 + 1e-12)


def test_permuted_graph_has_the_same_cut():
    W = delaunay(2000, 5)
    order = np.random.default_rng(1).permutation(2000)
    cuts = [graph.partition(A, 2)[1].cut for A in (W, W[order][:, order])]
    assert max(cuts) <= 1.05 * min(cuts)


@given(st.integers(0, 10**6), st.integers(4, 30), st.sampled_from(["sweep", "median", "gap", "kmeans"]))
def test_labels_follow_the_nodes(seed, n, rounding):
    """Weights without ties: the same sides whatever the order of the nodes."""
    W = random_graph(seed, n, 0.3, weighted=True)
    order = np.random.default_rng(seed).permutation(n)
    one, info = graph.bisect(W, rounding=rounding, refine=None, tol=1e-12, return_info=True)
    if info.next_value - info.fiedler_value < 1e-3 * info.fiedler_value:
        return
    other = graph.bisect(W[np.ix_(order, order)], rounding=rounding, refine=None, tol=1e-12)
    back = np.empty(n, int)
    back[order] = other
    if rounding == "median" and n % 2:  # the middle node is on either side
        assert min((back != one).sum(), (back == one).sum()) <= 1
    else:
        assert (back == one).all() or (back != one).all()


@pytest.mark.parametrize("k", [2, 7])
@pytest.mark.parametrize("refine", ["fm", "flow", "multilevel"])
def test_same_bits_for_any_number_of_threads(k, refine):
    W = delaunay(1500, 3)
    for imbalance in (0.0, 0.03):
        runs = [
            graph.partition(W, k, refine=refine, imbalance=imbalance, n_trials=3, n_jobs=t)[0]
            for t in (1, 2, 8)
        ]
        assert (runs[0] == runs[1]).all()
        assert (runs[0] == runs[2]).all()
    for make in (sp.csc_array, sp.coo_array, lambda A: A.toarray()):
        assert (graph.partition(make(W), k, refine=refine, n_trials=3)[0] == runs[0]).all()


@pytest.mark.parametrize("method", ["multilevel", "spectral"])
def test_what_changes_nothing(method):
    W = delaunay(700, 6)
    labels, info = graph.partition(W, 3, method=method)
    scaled, other = graph.partition(8.0 * W, 3, method=method)
    assert (scaled == labels).all()
    assert other.cut == 8.0 * info.cut
    loops, other = graph.partition(W + sp.diags_array(np.arange(700.0)), 3, method=method)
    assert (loops == labels).all()
    assert other.cut == info.cut


def test_isolated_nodes_cost_nothing():
    W = delaunay(600, 7)
    before = graph.partition(W, 2, imbalance=0.1)[1].cut
    with pytest.warns(DisconnectedGraphWarning, match="31 connected"):
        labels, info = graph.partition(sp.block_diag([W, sp.csr_array((30, 30))]), 2, imbalance=0.1)
    assert info.feasible
    assert info.cut == cut_of(W, labels[:600]) <= 1.05 * before  # they leave more room, if anything


def test_spectral_method_with_many_parts():
    W = delaunay(2000, 4)
    labels, info = graph.partition(W, 6, method="spectral")
    assert info.feasible
    assert info.method == "spectral"
    assert info.cut <= 1.15 * graph.partition(W, 6)[1].cut
    assert np.unique(labels).size == 6


@pytest.mark.parametrize("rounding", ["sweep", "median", "sign", "gap", "kmeans"])
def test_rounding(rounding):
    W = nx.to_scipy_sparse_array(nx.barbell_graph(12, 4), dtype=float)
    labels = graph.bisect(W, rounding=rounding, refine=None)
    assert cut_of(W, labels) == 1.0
    assert labels[0] == 0
    if rounding == "median":
        assert np.bincount(labels).tolist() == [14, 14]


def test_zeros_of_the_vector_stay_together():
    """The middle of a path and what hangs on it are 0: they go where there is less weight."""
    W = sp.lil_array((12, 12))
    chain = [(i, i + 1) for i in range(8)] + [(4, 9), (9, 10), (10, 11)]
    for i, j in chain:
        W[i, j] = W[j, i] = 1.0
    v = graph.fiedler_vector(W, normalization="rw").vector
    zero = [4, 9, 10, 11]
    assert np.abs(v[zero]).max() < 1e-12
    for heavy, light in (([0, 1, 2, 3], [5, 6, 7, 8]), ([5, 6, 7, 8], [0, 1, 2, 3])):
        weight = np.ones(12)
        weight[heavy] = 3.0
        labels = graph.bisect(W, rounding="sign", refine=None, node_weight=weight)
        assert np.unique(labels[zero + light]).size == 1
        assert np.unique(labels[heavy]).size == 1
        assert labels[heavy[0]] != labels[light[0]]


@pytest.mark.filterwarnings("ignore:no partition within the imbalance")
@given(st.integers(0, 10**6), st.integers(5, 40), st.floats(0.1, 0.9), st.floats(0.0, 0.4))
def test_median_and_gap_are_their_definitions(seed, n, fraction, least):
    W = random_graph(seed, n, 0.2, weighted=True)
    weight = np.random.default_rng(seed).gamma(2.0, size=n)
    value, v, info = graph.fiedler_vector(W, normalization="rw", tol=1e-12)
    if not info.next_value > (1 + 1e-3) * value or info.multiplicity > 1:
        return  # a star has many vectors
    key = np.round(v / (1e-12 * np.abs(v).max()))  # leaves of one node have equal entries
    order, back = (np.lexsort((np.arange(n), k)) for k in (key, -key))
    sums = np.cumsum(weight[order])[:-1] / weight.sum()
    labels = graph.bisect(
        W, rounding="median", refine=None, objective="cut", imbalance=10.0, fraction=fraction, tol=1e-12,
        node_weight=weight,
    )  # fmt: skip
    if abs(fraction - 0.5) > 1e-9:  # else the part of node 0 is the first
        chosen = []
        for along in (order, back):  # the sign means nothing
            heavy = np.cumsum(weight[along])[:-1] / weight.sum()
            chosen.append(sorted(along[: np.argmin(np.abs(heavy - fraction)) + 1].tolist()))
        assert np.flatnonzero(labels == 0).tolist() in chosen
    labels = graph.bisect(W, rounding="gap", refine=None, min_fraction=least, tol=1e-12, node_weight=weight)
    allowed = np.minimum(sums, 1 - sums) >= least
    if allowed.any():
        size = np.argmax(np.where(allowed, np.diff(v[order]), -1)) + 1
        assert {frozenset(np.flatnonzero(labels == s).tolist()) for s in (0, 1)} == {
            frozenset(order[:size].tolist()), frozenset(order[size:].tolist())
        }  # fmt: skip


def test_kmeans_rounding_is_exact():
    for seed in range(5):
        W = random_graph(seed, 30, 0.1, weighted=True)
        v = graph.fiedler_vector(W, normalization="rw").vector
        labels = graph.bisect(W, rounding="kmeans", refine=None, tol=1e-10)
        order = np.sort(v)
        best = min(order[:m].var() * m + order[m:].var() * (30 - m) for m in range(1, 30))
        got = sum(v[labels == s].var() * (labels == s).sum() for s in (0, 1))
        assert got == pytest.approx(best, rel=1e-6)


def test_hard_weights():
    rng = np.random.default_rng(0)
    W = delaunay(400, 6)
    upper = sp.triu(W).tocoo()
    upper.data = 10.0 ** rng.uniform(-12, 12, len(upper.data))
    W = sp.csr_array(upper + upper.T)
    labels, info = graph.partition(W, 4)
    assert info.feasible
    assert info.cut == pytest.approx(cut_of(W, labels))
    G = nx.barbell_graph(20, 0)
    G.edges[19, 20]["weight"] = 1e-14  # hardly connected: the bridge is the cut
    labels, info = graph.partition(G, 2, imbalance=0.0)
    assert info.cut == 1e-14
    star = nx.star_graph(2000)
    labels, info = graph.partition(star, 2, imbalance=0.0)
    assert np.bincount(labels).tolist() == [1001, 1000]
    assert info.cut == 1000.0
    hub = sp.lil_array(path(1000))
    hub[0, 1:] = hub[1:, 0] = 1.0
    assert graph.partition(hub.tocsr(), 2)[1].feasible


def test_hubs_and_expanders():
    """No band to flow in, and hubs whose neighbours nobody should look at again and again."""
    for G in (nx.barabasi_albert_graph(2500, 4, seed=1), nx.random_regular_graph(6, 2500, seed=1)):
        n = G.number_of_nodes()
        for k in (2, 16):
            labels, info = graph.partition(G, k)
            assert info.feasible
            random = np.random.default_rng(0).permutation(np.arange(n) % k)
            assert info.cut < 0.75 * graph.cut_metrics(G, random).cut
            assert np.unique(labels).size == k


def test_callback_stops_and_counts():
    W = delaunay(2000, 8)
    seen = []

    def note(info):
        seen.append((info.stage, info.iteration, info.error))
        return len(seen) >= 1

    with pytest.warns(ConvergenceWarning, match="stopped early"):
        labels, info = graph.partition(W, 2, refine="multilevel", callback=note)
    assert len(seen) == 1
    assert not info.converged
    assert info.feasible
    assert seen[0][2] == pytest.approx(info.cut)

    def fail(info):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        graph.partition(W, 2, callback=fail)
    with pytest.raises(ConvergenceError, match="stopped early"):
        graph.partition(W, 2, callback=lambda info: True, on_fail="raise")
    assert np.bincount(labels).min() > 900


# ---- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"n_parts": 0}, ValueError, "n_parts must be between 1 and 10, got 0"),
        ({"n_parts": 11}, ValueError, "n_parts must be between 1 and 10, got 11"),
        ({"n_parts": 2.0}, TypeError, "n_parts must be an integer"),
        ({"imbalance": -0.1}, ValueError, "imbalance must be >= 0"),
        ({"imbalance": np.nan}, ValueError, "imbalance must be"),
        ({"refine": "best"}, ValueError, "refine must be one of"),
        ({"method": "metis"}, ValueError, "method must be one of"),
        ({"objective": "modularity"}, ValueError, "objective must be one of"),
        ({"objective": "ncut", "imbalance": 0.1}, ValueError, "go with objective='cut'"),
        ({"objective": "ncut", "method": "multilevel"}, ValueError, "go with objective='cut'"),
        ({"n_trials": 0}, ValueError, "n_trials must be >= 1"),
        ({"node_weight": np.ones(9)}, ValueError, r"node_weight must have shape \(10,\)"),
        ({"node_weight": np.zeros(10)}, ValueError, "node_weight has no positive weight"),
        ({"node_weight": -np.ones(10)}, ValueError, "node_weight must not be negative"),
        ({"node_weight": np.full(10, np.nan)}, ValueError, "node_weight must be finite"),
        ({"target_fractions": [1.0]}, ValueError, r"target_fractions must have shape \(2,\)"),
        ({"target_fractions": [1.0, 0.0]}, ValueError, "target_fractions must be > 0"),
        ({"random_state": -1}, ValueError, "random_state"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"callback": 3}, TypeError, "callback must be callable"),
        ({"min_size": 3}, ValueError, "min_size, max_leaf_size and min_gap go with"),
        ({"objective": "ncut", "n_parts": 4, "min_size": 3}, ValueError, "n_parts=4 parts of at least"),
        ({"n_parts": None}, ValueError, "n_parts is needed"),
        ({"n_parts": None, "objective": "ncut"}, ValueError, "n_parts is needed"),
        ({"max_leaf_size": 3}, ValueError, "min_size, max_leaf_size and min_gap go with"),
        ({"objective": "ncut", "max_leaf_size": 0}, ValueError, "max_leaf_size must be >= 1"),
        ({"objective": "ncut", "min_gap": -1.0}, ValueError, "min_gap must be >= 0"),
        ({"objective": "ncut", "contiguous": True}, ValueError, "contiguous goes with"),
        ({"negative": "signed"}, ValueError, "negative='signed' is for fiedler_vector"),
        ({"negative": "drop"}, ValueError, "negative must be one of"),
    ],
)
def test_bad_arguments(change, error, text):
    arguments = {"n_parts": 2, **change}
    with pytest.raises(error, match=text):
        graph.partition(path(10), arguments.pop("n_parts"), **arguments)


@pytest.mark.parametrize(
    ("W", "text"),
    [
        (np.ones((3, 2)), "square"),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), r"must be symmetric.*A\[0, 1\]"),
        (np.array([[0.0, -1.0], [-1.0, 0.0]]), "must not be negative"),
        (np.array([[0.0, np.nan], [np.nan, 0.0]]), r"NaN at \(0, 1\) and 1 more that is not finite"),
        (np.diag([1.0, 2.0, np.inf]), r"infinite value at \(2, 2\)$"),
        (np.zeros((0, 0)), "empty"),
        (nx.DiGraph([(0, 1)]), "directed"),
    ],
)
@pytest.mark.parametrize("function", ["bisect", "partition", "fiedler_vector", "cut_metrics", "sweep_cut"])
def test_bad_graphs(function, W, text):
    n = W.number_of_nodes() if hasattr(W, "nodes") else W.shape[0]
    more = {"partition": (2,), "cut_metrics": (np.zeros(n, int),), "sweep_cut": (np.zeros(n),)}
    with pytest.raises(TypeError if text == "directed" else ValueError, match=text):
        getattr(graph, function)(W, *more.get(function, ()))


@pytest.mark.parametrize(("refine", "worst"), [("fm", 1.4), ("flow", 1.2)])
def test_exact_balance_costs_little(refine, worst):
    W = delaunay(3000)
    for k in (2, 8, 30):
        loose = graph.partition(W, k, refine="flow")[1]
        labels, info = graph.partition(W, k, refine=refine, imbalance=0.0)
        sizes = np.bincount(labels, minlength=k)
        assert sizes.max() == -(-3000 // k)
        assert info.feasible
        assert info.cut == cut_of(W, labels) <= worst * loose.cut


def test_contiguous_parts():
    W = delaunay(400)
    scattered = contiguous = 0
    for seed in range(4):
        for joined in (False, True):
            labels, info = graph.partition(
                W, 40, refine=None, imbalance=0.5, random_state=seed, contiguous=joined
            )
            assert info.feasible
            assert info.cut == cut_of(W, labels)
            for part in range(40):
                inside = W[labels == part][:, labels == part]
                assert info.metrics.pieces[part] == sp.csgraph.connected_components(inside)[0]
            if joined:
                contiguous += int(info.metrics.pieces.sum()) - 40
            else:
                scattered += int(info.metrics.pieces.sum()) - 40
    assert scattered > 0
    assert contiguous == 0


def test_contiguous_keeps_the_balance():
    # A path whose middle is heavy: the piece at its end fits nowhere.
    labels, info = graph.partition(path(7), 3, imbalance=0.0, contiguous=True)
    assert np.bincount(labels).max() == 3
    assert info.feasible


def test_leaves_of_bounded_size():
    W = delaunay(500)
    labels, info = graph.partition(W, objective="ncut", max_leaf_size=60)
    sizes = np.bincount(labels)
    assert sizes.max() <= 60
    tree = info.tree
    leaves = tree.left < 0
    assert sorted(tree.size[leaves]) == sorted(sizes)
    assert (tree.size[~leaves] > 60).all()
    assert (tree.size[tree.left[~leaves]] + tree.size[tree.right[~leaves]] == tree.size[~leaves]).all()
    few, _ = graph.partition(W, 3, objective="ncut", max_leaf_size=60)  # the number is a bound as well
    assert few.max() == 2


def test_sets_without_a_gap_stay_whole():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 120)
    P = np.where(truth[:, None] == truth, 0.3, 0.01)
    W = np.triu(rng.random(P.shape) < P, 1).astype(float)
    labels, info = graph.partition(W + W.T, objective="ncut", min_gap=0.2)
    assert (labels == truth).all()
    assert info.next_value - info.fiedler_value >= 0.2
    whole, _ = graph.partition(W + W.T, objective="ncut", min_gap=1.9)
    assert not whole.any()


def test_negative_weights_clipped_or_not():
    W = delaunay(200).tolil()
    W[0, 150] = W[150, 0] = -3.0
    W[5, 9] = W[9, 5] = -0.5
    W = sp.csr_array(W)
    for rule, same in (("clip", W.maximum(0)), ("abs", abs(W))):
        labels, info = graph.partition(W, 2, negative=rule)
        expected, _ = graph.partition(same, 2)
        assert info.n_negative == 2
        assert (labels == expected).all()
        assert (graph.bisect(W, negative=rule) == graph.bisect(same)).all()


def test_bad_bisections():
    for change, text in [
        ({"fraction": 1.0}, "fraction must be less than 1"),
        ({"fraction": 0.0}, "fraction must be > 0"),
        ({"min_fraction": 0.6}, "min_fraction must be at most 0.5"),
        ({"min_fraction": 0.1, "imbalance": 0.1}, "not both"),
        ({"refine": "flow"}, "make the cut small"),
        ({"rounding": "none"}, "rounding must be one of"),
        ({"normalization": "left"}, "normalization must be one of"),
    ]:
        with pytest.raises(ValueError, match=text):
            graph.bisect(path(10), **change)
    with pytest.raises(ValueError, match="at least 2 nodes"):
        graph.bisect(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="labels must be between 0 and 9"):
        graph.refine_fm(path(10), np.full(10, 10))
    with pytest.raises(TypeError, match="labels must hold integers"):
        graph.refine_flow(path(10), np.zeros(10))
    with pytest.raises(ValueError, match=r"labels must have shape \(10,\)"):
        graph.cut_metrics(path(10), [0, 1])


def test_fraction_and_balance_of_bisect():
    W = grid(30, 10)
    labels = graph.bisect(W, objective="cut", fraction=0.2, imbalance=0.0)
    assert np.bincount(labels).tolist() == [60, 240]
    assert cut_of(W, labels) == 10.0
    for objective in ("ncut", "ratio", "conductance", "cut"):
        labels = graph.bisect(W, objective=objective, imbalance=0.0)
        assert np.bincount(labels).tolist() == [150, 150]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = graph.bisect(W, min_fraction=0.3)
    assert np.bincount(labels).min() >= 90


@pytest.mark.parametrize("negative", ["clip", "abs"])
def test_the_matrix_given_is_left_as_it_is(negative):
    W = delaunay(100).tolil()
    W[0, 50] = W[50, 0] = -3.0
    W[7, 7] = 2.0
    W = sp.csr_array(W)
    before = W.copy()
    graph.partition(W, 2, negative=negative)
    assert (W.indptr == before.indptr).all()
    assert (W.indices == before.indices).all()
    assert (W.data == before.data).all()
