"""The Fiedler vector: closed forms, peers, several copies, weights of nodes, components, operators."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import aslinearoperator, eigsh

from lapwing import graph
from lapwing.exceptions import ConvergenceError, ConvergenceWarning, DisconnectedGraphWarning


def path(n):
    return sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1]).tocsr()


def product(*graphs):
    W = sp.csr_array((1, 1))
    for G in graphs:
        W = sp.kron(W, sp.eye_array(G.shape[0])) + sp.kron(sp.eye_array(W.shape[0]), G)
    return W.tocsr()


def nxa(G):
    return nx.to_scipy_sparse_array(G, dtype=float)


def laplacian(W):
    W = W.toarray() if sp.issparse(W) else np.asarray(W, float)
    return np.diag(W.sum(0)) - W


def random_graph(seed, n, p=0.3):
    rng = np.random.default_rng(seed)
    W = np.triu((rng.random((n, n)) < p) * rng.gamma(1.0, size=(n, n)), 1)
    for i in range(1, n):
        W[rng.integers(0, i), i] = rng.gamma(1.0) + 0.1
    return W + W.T


CLOSED = [
    ("path", path(50), 4 * np.sin(np.pi / 100) ** 2, 1),
    ("cycle", nxa(nx.cycle_graph(31)), 2 - 2 * np.cos(2 * np.pi / 31), 2),
    ("grid", product(path(20), path(13)), 4 * np.sin(np.pi / 40) ** 2, 1),
    ("square", product(path(12), path(12)), 4 * np.sin(np.pi / 24) ** 2, 2),
    ("cube", product(path(6), path(6), path(6)), 4 * np.sin(np.pi / 12) ** 2, 3),
    ("torus", product(nxa(nx.cycle_graph(14)), nxa(nx.cycle_graph(9))), 2 - 2 * np.cos(2 * np.pi / 14), 2),
    ("Q6", nxa(nx.hypercube_graph(6)), 2.0, 6),
    ("complete", np.ones((15, 15)), 15.0, 14),
    ("star", nxa(nx.star_graph(11)), 1.0, 10),
    ("bipartite", nxa(nx.complete_bipartite_graph(4, 7)), 4.0, 6),
    ("even bipartite", nxa(nx.complete_bipartite_graph(5, 5)), 5.0, 8),
    ("two cliques", nxa(nx.barbell_graph(9, 0)), (11 - np.sqrt(121 - 8)) / 2, 1),
    ("petersen", nxa(nx.petersen_graph()), 2.0, 5),
    ("pair", np.array([[0.0, 3.0], [3.0, 0.0]]), 6.0, 1),
    ("two blocks", np.kron([[0.7, 0.1], [0.1, 0.7]], np.ones((11, 11))), 2 * 11 * 0.1, 1),
]


@pytest.mark.parametrize(("name", "W", "value", "copies"), CLOSED, ids=[c[0] for c in CLOSED])
def test_closed_forms(name, W, value, copies):
    found, v, info = graph.fiedler_vector(W)
    assert found == pytest.approx(value, rel=1e-10)
    assert info.multiplicity == copies
    assert info.converged
    assert info.n_components == 1
    L = laplacian(W)
    assert np.linalg.norm(L @ v - value * v) <= 1e-8 * np.abs(L).sum(0).max()
    assert np.linalg.norm(v) == pytest.approx(1.0)
    assert abs(v.sum()) < 1e-9
    assert v[np.argmax(np.abs(v) >= np.abs(v).max() * (1 - 1e-6))] > 0
    values, vectors = np.linalg.eigh(L)
    if copies == 1:
        assert abs(v @ vectors[:, 1]) == pytest.approx(1.0)
    else:  # the projection of the fixed vector
        space = vectors[:, np.abs(values - value) < 1e-8 * max(1.0, value)]
        z = space @ (space.T @ np.cos(1 + 2.399963 * np.arange(len(v))))
        assert abs(v @ z) == pytest.approx(np.linalg.norm(z), rel=1e-8)
    beyond = values[1 + copies :]
    if len(beyond):
        assert info.next_value == pytest.approx(beyond[0], rel=1e-8)
    else:
        assert np.isnan(info.next_value)


def test_path_vector_is_a_cosine():
    n = 40
    v = graph.fiedler_vector(path(n)).vector
    expected = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    np.testing.assert_allclose(v, expected / np.linalg.norm(expected), atol=1e-10)
    assert graph.fiedler_vector(path(5)).vector[2] == 0.0  # the middle of the path, exactly


@pytest.mark.parametrize("n", [20_000, 1_000_000])
def test_tiny_eigenvalues(n):
    found, v, info = graph.fiedler_vector(path(n))
    assert found == pytest.approx(4 * np.sin(np.pi / (2 * n)) ** 2, rel=1e-6, abs=0)
    expected = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    assert abs(v @ expected) / np.linalg.norm(expected) >= 1 - 1e-6
    assert info.converged


@pytest.mark.parametrize("form", ["sym", "rw"])
def test_normalized_closed_forms(form):
    for W, value in [
        (path(30), 1 - np.cos(np.pi / 29)),
        (nxa(nx.cycle_graph(20)), 1 - np.cos(2 * np.pi / 20)),
        (nxa(nx.hypercube_graph(5)), 2 / 5),
        (np.ones((9, 9)), 9 / 8),
        (nxa(nx.star_graph(8)), 1.0),
    ]:
        found, v, _ = graph.fiedler_vector(W, normalization=form)
        assert found == pytest.approx(value, rel=1e-10)
        W = W.toarray() if sp.issparse(W) else W - np.eye(9)
        d = W.sum(0)
        if form == "rw":
            assert v @ d == pytest.approx(0.0, abs=1e-9)
            assert v @ (d * v) == pytest.approx(1.0)
            np.testing.assert_allclose(np.diag(d) @ v - W @ v, value * d * v, atol=1e-8)
        else:
            assert v @ np.sqrt(d) == pytest.approx(0.0, abs=1e-9)


@given(st.integers(0, 10**6), st.integers(3, 30))
def test_agrees_with_dense_algebra(seed, n):
    W = random_graph(seed, n)
    L = laplacian(W)
    values, vectors = np.linalg.eigh(L)
    found, v, info = graph.fiedler_vector(W)
    assert found == pytest.approx(values[1], rel=1e-8)
    if n > 2 and values[2] - values[1] > 1e-3 * values[1]:
        assert abs(v @ vectors[:, 1]) == pytest.approx(1.0, abs=1e-6)
        assert info.next_value == pytest.approx(values[2], rel=1e-6)
    scaled = graph.fiedler_vector(8.0 * W)
    assert scaled.value == pytest.approx(8.0 * found)
    # Fiedler's theorem: the nodes with v >= 0 hang together, and those with v <= 0.
    for side in (v >= -1e-9, v <= 1e-9):
        inner = W[np.ix_(side, side)]
        assert connected_components(inner)[0] == 1


def test_agrees_with_networkx():
    for G in (nx.karate_club_graph(), nx.random_regular_graph(3, 40, seed=1), nx.balanced_tree(2, 5)):
        value = graph.fiedler_vector(G).value
        assert value == pytest.approx(nx.algebraic_connectivity(G, method="tracemin_lu"), rel=1e-7)
    G = nx.karate_club_graph()
    for _, _, data in G.edges(data=True):
        data.pop("weight")
    value, v, _ = graph.fiedler_vector(G)
    assert value == pytest.approx(0.4685252267, rel=1e-9)
    assert sorted(np.bincount((v > 0).astype(int)).tolist()) == [15, 19]


def test_karate_club():
    """Zachary's club: the split that happened, but for two members, or one where ties have weights."""
    G = nx.karate_club_graph()
    happened = np.array([G.nodes[i]["club"] == "Officer" for i in G])
    plain = nx.to_scipy_sparse_array(G, weight=None, dtype=float)
    for W, value, agree in ((plain, 0.4685252267, 32), (G, 1.1871073020, 33)):
        found, v, _ = graph.fiedler_vector(W)
        assert found == pytest.approx(value, abs=1e-10)
        same = ((v > 0) == happened).sum()
        assert max(same, 34 - same) == agree
    side = (graph.fiedler_vector(plain).vector > 0).astype(int)
    assert sorted(np.bincount(side).tolist()) == [15, 19]
    assert graph.cut_metrics(plain, side).cut == 10


TWENTY = {
    **{f"weights {s}": random_graph(s, 60 + 20 * s, 0.05) for s in range(6)},
    **{f"regular {d}": nxa(nx.random_regular_graph(d, 120, seed=d)) for d in (3, 4, 7)},
    **{f"small world {s}": nxa(nx.connected_watts_strogatz_graph(150, 6, 0.1, seed=s)) for s in range(4)},
    **{f"preferential {m}": nxa(nx.barabasi_albert_graph(200, m, seed=m)) for m in (2, 5)},
    "tree": nxa(nx.random_labeled_tree(100, seed=1)),
    "binary tree": nxa(nx.balanced_tree(2, 6)),
    "lollipop": nxa(nx.lollipop_graph(15, 40)),
    "grid": product(path(17), path(11)),
    "karate": nxa(nx.karate_club_graph()),
}


@pytest.mark.parametrize("name", TWENTY)
def test_agrees_with_shift_invert_and_networkx(name):
    W = sp.csr_array(TWENTY[name])
    L = sp.csc_array(laplacian(W))
    shift = 1e-3 * L.diagonal().max()
    values, vectors = eigsh((L + shift * sp.eye_array(L.shape[0])).tocsc(), 3, sigma=0.0, tol=0)
    order = np.argsort(values)
    values, vectors = values[order] - shift, vectors[:, order]
    found, v, info = graph.fiedler_vector(W)
    # the shift costs a few digits of a small eigenvalue
    assert found == pytest.approx(values[1], rel=1e-8, abs=1e-13 * info.norm)
    other = nx.algebraic_connectivity(nx.from_scipy_sparse_array(W), method="tracemin_lu", tol=1e-12)
    assert found == pytest.approx(other, rel=1e-8)
    assert len(TWENTY) == 20
    if values[2] - values[1] > 1e-3 * values[1]:
        assert info.multiplicity == 1
        assert abs(v @ vectors[:, 1]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint64, bool, np.float32])
def test_numbers_of_other_types(kind):
    W = random_graph(4, 20, 0.2) > 0
    expected = graph.fiedler_vector(W.astype(float))
    for shown in (W.astype(kind), sp.csr_array(W).astype(kind) if kind is not np.float16 else W.astype(kind)):
        found = graph.fiedler_vector(shown)
        assert found.value == expected.value
        assert (found.vector == expected.vector).all()


def test_zeros_and_duplicates_of_sparse_matrices():
    W = path(6).tocoo()
    row, column = np.r_[W.row, W.row, 0, 5], np.r_[W.col, W.col, 5, 0]
    spoiled = sp.coo_array((np.r_[W.data / 4, 3 * W.data / 4, 0, 0], (row, column)), shape=(6, 6))
    expected = graph.fiedler_vector(W)
    found = graph.fiedler_vector(spoiled)  # the edge from 0 to 5 weighs nothing
    assert found.value == expected.value
    assert (found.vector == expected.vector).all()
    assert graph.partition(spoiled, 2)[1].cut == 1.0


def test_igraph_and_directed_graphs():
    igraph = pytest.importorskip("igraph")
    ring = igraph.Graph.Ring(8, circular=False)
    assert graph.fiedler_vector(ring).value == graph.fiedler_vector(path(8)).value
    assert graph.partition(ring, 2)[0].tolist() == [0] * 4 + [1] * 4
    for directed in (igraph.Graph([(0, 1)], directed=True), nx.DiGraph([(0, 1)])):
        with pytest.raises(TypeError, match=r"directed graph; pass lapwing\.graph\.symmetrize"):
            graph.fiedler_vector(directed)


def test_weights_of_nodes():
    for seed in range(4):
        W = random_graph(seed, 25)
        m = np.random.default_rng(seed).gamma(1.0, size=25) + 0.05
        values, vectors = eigh(laplacian(W), np.diag(m))
        found, v, info = graph.fiedler_vector(W, node_weight=m, n_vectors=2)
        np.testing.assert_allclose(found, values[1:3], rtol=1e-7)
        assert v[:, 0] @ (m * v[:, 0]) == pytest.approx(1.0)
        assert abs(v[:, 0] @ (m * vectors[:, 1])) == pytest.approx(1.0, abs=1e-6)
        assert info.converged
    m[:5] = 0.0  # massless nodes follow their neighbours
    found, v, _ = graph.fiedler_vector(W, node_weight=m)
    L = laplacian(W)
    np.testing.assert_allclose(L @ v, found * m * v, atol=1e-7 * np.abs(L).max())


def test_many_vectors():
    W = random_graph(3, 40)
    values, vectors = np.linalg.eigh(laplacian(W))
    found, v, _ = graph.fiedler_vector(W, n_vectors=5)
    np.testing.assert_allclose(found, values[1:6], rtol=1e-8)
    np.testing.assert_allclose(np.abs((v * vectors[:, 1:6]).sum(0)), 1.0, atol=1e-6)
    W = nxa(nx.hypercube_graph(4))
    found, v, info = graph.fiedler_vector(W, n_vectors=3)
    np.testing.assert_allclose(found, 2.0)
    np.testing.assert_allclose(v.T @ v, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(v[:, 0], graph.fiedler_vector(W).vector, atol=1e-8)
    assert info.multiplicity == 4


def test_methods_agree():
    W = product(path(45), path(40))
    for form in (None, "sym", "rw"):
        vectors = [
            graph.fiedler_vector(W, normalization=form, method=m, tol=1e-10).vector
            for m in ("dense", "approxchol", "cholesky", "chebyshev", "lanczos")
        ]
        for v in vectors[1:]:
            np.testing.assert_allclose(v, vectors[0], atol=1e-4 * np.abs(v).max())


def test_components():
    W = sp.block_diag([path(3), path(5), np.zeros((1, 1))]).tocsr()
    with pytest.warns(DisconnectedGraphWarning, match="3 connected components"):
        value, v, info = graph.fiedler_vector(W)
    assert value == 0.0
    assert info.n_components == 3
    assert info.multiplicity == 2
    assert len(np.unique(v[:3])) == 1
    assert len(np.unique(v[3:])) == 1
    assert v.sum() == pytest.approx(0.0, abs=1e-12)
    for form in ("rw", "sym"):
        with pytest.warns(DisconnectedGraphWarning):
            assert np.isfinite(graph.fiedler_vector(W, normalization=form).vector).all()
    with pytest.raises(ValueError, match="A is not connected: it has 3 components"):
        graph.fiedler_vector(W, disconnected="raise")
    with pytest.warns(DisconnectedGraphWarning, match="largest"):
        value, v, info = graph.fiedler_vector(W, disconnected="largest")
    assert value == pytest.approx(4 * np.sin(np.pi / 10) ** 2)
    assert info.component.tolist() == [3, 4, 5, 6, 7]
    assert (v[[0, 1, 2, 8]] == 0).all()


def test_operator_and_dense_similarity():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 3))
    X[:200, 0] += 4.0
    S = np.exp(-((X[:, None] - X[None]) ** 2).sum(-1) / 4)
    np.fill_diagonal(S, 0.0)
    for form in (None, "rw", "sym"):
        value, v, _ = graph.fiedler_vector(S, normalization=form, tol=1e-9)
        other, w, info = graph.fiedler_vector(
            aslinearoperator(S), degree=S.sum(0), normalization=form, tol=1e-9
        )
        assert other == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(w, v, atol=1e-4 * np.abs(v).max())
        assert info.converged
    labels = graph.bisect(S)  # one in forty of each cloud lies in the other half
    assert (labels[:200] == labels[0]).mean() > 0.94
    assert (labels[200:] == labels[0]).mean() < 0.06


def test_same_bits_for_any_number_of_threads():
    W = product(path(60), path(50))
    runs = [graph.fiedler_vector(W, n_jobs=t) for t in (1, 2, 4)]
    assert all(r.value == runs[0].value for r in runs)
    assert all((r.vector == runs[0].vector).all() for r in runs)


def test_stopping():
    W = product(path(60), path(50))
    with pytest.warns(ConvergenceWarning, match="stopped at a residual"):
        _, v, info = graph.fiedler_vector(W, method="approxchol", tol=1e-14, callback=lambda info: True)
    assert not info.converged
    assert np.isfinite(v).all()
    with pytest.raises(ConvergenceError, match="stopped"):
        graph.fiedler_vector(W, method="approxchol", tol=1e-14, callback=lambda info: True, on_fail="raise")


@pytest.mark.parametrize("form", [None, "sym", "rw"])
@pytest.mark.parametrize("shape", [(40, 39), (56, 28)])  # the next eigenvalue is 2 % away, or far
def test_the_error_of_the_vector_is_what_it_is_said_to_be(form, shape):
    W = product(path(shape[0]), path(shape[1]))
    W.data *= np.random.default_rng(0).gamma(20.0, size=len(W.data)) / 20.0
    W = sp.csr_array(W.maximum(W.T))
    d = np.asarray(W.sum(axis=1)).ravel()
    s = np.ones(len(d)) if form is None else 1 / np.sqrt(d)
    L = (np.diag(d) - W.toarray()) * s * s[:, None]
    values, vectors = eigh(L, subset_by_index=(1, 3))
    for method in ("auto", "cholesky", "approxchol"):
        found = graph.fiedler_vector(W, normalization=form, method=method)
        v = found.vector if form != "rw" else found.vector * np.sqrt(d)
        angle = np.linalg.norm(v - vectors[:, 0] * (vectors[:, 0] @ v)) / np.linalg.norm(v)
        assert found.info.converged
        assert found.info.vector_error <= 1e-3
        # The factor is within a small multiple of the inverse; LAPACK's vectors have some 1e-11 of their own.
        assert angle <= 2 * found.info.vector_error + 1e-10
        np.testing.assert_allclose(found.value, values[0], rtol=1e-7)
        np.testing.assert_allclose(found.info.next_value, values[1], rtol=1e-3)


def signed_graph(n, seed, form=None):
    """Random signs on a grid, and the dense signed Laplacian."""
    rng = np.random.default_rng(seed)
    W = nx.to_numpy_array(nx.grid_2d_graph(n, n)) * rng.gamma(1.0, size=(n * n, n * n))
    W = np.triu(W * rng.choice([-1.0, 1.0], size=W.shape), 1)
    W = W + W.T
    d = np.abs(W).sum(axis=1)
    L = np.diag(d) - W
    return W, d, L if form is None else L / np.sqrt(np.outer(d, d))


@pytest.mark.parametrize("form", [None, "sym", "rw"])
def test_signed_laplacian(form):
    W, d, L = signed_graph(8, 1, form)
    values, vectors = np.linalg.eigh(L)
    found = graph.fiedler_vector(W, normalization=form, negative="signed")
    assert found.info.n_negative == (W < 0).sum() // 2
    np.testing.assert_allclose(found.value, values[0], rtol=1e-10)
    v = vectors[:, 0] if form != "rw" else vectors[:, 0] / np.sqrt(d)
    np.testing.assert_allclose(np.abs(found.vector), np.abs(v), atol=1e-8)
    # Changing the side of some nodes changes the signs of their edges and entries, and nothing else.
    s = np.where(np.arange(len(W)) % 3 == 0, -1.0, 1.0)
    turned = graph.fiedler_vector(W * np.outer(s, s), normalization=form, negative="signed")
    np.testing.assert_allclose(turned.value, found.value, rtol=1e-10)
    np.testing.assert_allclose(np.abs(turned.vector), np.abs(found.vector), atol=1e-8)


@pytest.mark.parametrize("n", [12, 45])  # dense, and by products
def test_two_factions_have_the_eigenvalue_zero(n):
    W, _, _ = signed_graph(n, 2)
    s = np.where(np.random.default_rng(3).random(n * n) < 0.5, -1.0, 1.0)
    W = np.abs(W) * np.outer(s, s)
    value, v, info = graph.fiedler_vector(sp.csr_array(W), negative="signed", tol=1e-9)
    assert value < 1e-9 * info.norm
    assert (np.sign(v) == s * np.sign(v[0]) * s[0]).all()


def test_negative_weights():
    W = path(10).toarray()
    W[0, 1] = W[1, 0] = -1.0
    with pytest.raises(ValueError, match="must not be negative"):
        graph.fiedler_vector(W)
    assert graph.fiedler_vector(W, negative="abs").value == graph.fiedler_vector(path(10)).value
    with pytest.warns(DisconnectedGraphWarning):
        assert graph.fiedler_vector(W, negative="clip").value == 0.0
    plain = graph.fiedler_vector(path(10), negative="signed")  # nothing is negative
    assert plain.value == graph.fiedler_vector(path(10)).value


def test_bad_arguments():
    W = path(10)
    for change, error, text in [
        ({"n_vectors": 10}, ValueError, "n_vectors must be between 1 and 9"),
        ({"n_vectors": 0}, ValueError, "n_vectors"),
        ({"tol": 0.0}, ValueError, "tol must be > 0"),
        ({"accuracy": "high"}, ValueError, "accuracy must be one of"),
        ({"method": "amg"}, ValueError, "method must be one of"),
        ({"normalization": "left"}, ValueError, "normalization must be one of"),
        ({"disconnected": "no"}, ValueError, "disconnected must be one of"),
        ({"node_weight": np.ones(10), "normalization": "rw"}, ValueError, "node_weight goes with"),
        ({"node_weight": np.ones(3)}, ValueError, r"node_weight must have shape \(10,\)"),
        ({"degree": np.ones(10)}, ValueError, "degree goes with an operator"),
        ({"negative": "drop"}, ValueError, "negative must be one of"),
        ({"v0": np.ones(3)}, ValueError, "v0 must have 10 entries"),
        ({"callback": 1}, TypeError, "callback must be callable"),
    ]:
        with pytest.raises(error, match=text):
            graph.fiedler_vector(W, **change)
    with pytest.raises(ValueError, match="at least 2 nodes, got 1"):
        graph.fiedler_vector(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="an operator A needs degree"):
        graph.fiedler_vector(aslinearoperator(W))


@pytest.mark.parametrize("form", [None, "rw", "sym"])
def test_weights_in_a_dask_array(form):
    dask_array = pytest.importorskip("dask.array")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 3))
    X[:200, 0] += 2.0
    S = np.exp(-((X[:, None] - X[None]) ** 2).sum(-1) / 4)  # with a diagonal, which has no effect
    value, v, _ = graph.fiedler_vector(S, normalization=form, tol=1e-9)
    other, w, info = graph.fiedler_vector(
        dask_array.from_array(S, chunks=(150, 400)), normalization=form, tol=1e-9
    )
    assert info.converged
    assert other == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(w, v, atol=1e-4 * np.abs(v).max())
    if form is not None:
        return
    bad = S.copy()
    bad[3, 5] += 0.1
    for change, words in (
        (bad, "A must be symmetric, but it differs from its transpose by 0.1"),
        (-S, "A must not be negative"),
        (np.where(S[3, 5] == S, np.nan, S), "A must be finite"),
        (S[:10], "A must be square"),
    ):
        with pytest.raises(ValueError, match=words):
            graph.fiedler_vector(dask_array.from_array(change, chunks=150))
    with pytest.raises(ValueError, match="degree goes with an operator"):
        graph.fiedler_vector(dask_array.from_array(S), degree=np.ones(400))


@pytest.mark.parametrize("form", [None, "rw", "sym"])
def test_dense_arrays_of_both_precisions(form):
    n = 1700
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 3))
    X[: n // 2, 0] += 2.0
    S = np.exp(-((X[:, None] - X[None]) ** 2).sum(-1) / 4)  # with a diagonal, which has no effect
    value, v, info = graph.fiedler_vector(S, normalization=form)
    assert info.converged
    W = S - np.diag(np.diagonal(S))
    d = W.sum(axis=1)
    if form is None:
        values, vectors = eigh(np.diag(d) - W, subset_by_index=[1, 2])
    else:
        values, vectors = eigh(np.eye(n) - W / np.sqrt(d) / np.sqrt(d)[:, None], subset_by_index=[1, 2])
    w = vectors[:, 0] / np.sqrt(d) if form == "rw" else vectors[:, 0]
    assert value == pytest.approx(values[0], rel=1e-6)
    assert info.next_value == pytest.approx(values[1], rel=1e-3)
    assert abs(v @ w) / np.linalg.norm(v) / np.linalg.norm(w) == pytest.approx(1, abs=1e-6)
    if form == "rw":
        assert (v**2 @ d) == pytest.approx(1)
    single = S.astype(np.float32)
    other, u, _ = graph.fiedler_vector(single, normalization=form)
    assert other == pytest.approx(value, rel=1e-5)
    assert np.abs(u - v).max() < 1e-3 * np.abs(v).max()
    again = graph.fiedler_vector(single, normalization=form, n_jobs=1)
    assert again.value == other
    assert (again.vector == u).all()
    # what is not clean goes the way of other matrices, and fares as well
    spoiled = S.copy()
    spoiled[5, 7] *= 1 + 1e-13
    assert graph.fiedler_vector(spoiled, normalization=form).value == pytest.approx(value, rel=1e-9)


def test_dense_graphs_of_equal_weights():
    n = 1600
    value, v, info = graph.fiedler_vector(np.ones((n, n), dtype=np.float32))
    assert value == pytest.approx(n)
    # as many copies as are looked for are found; the vector is one of their space whatever the threads
    assert info.multiplicity >= 2
    assert v.sum() == pytest.approx(0, abs=1e-9)
    assert (graph.fiedler_vector(np.ones((n, n), dtype=np.float32), n_jobs=1).vector == v).all()
    blocks = np.zeros((n, n))
    blocks[: n // 2, : n // 2] = blocks[n // 2 :, n // 2 :] = 1
    with pytest.warns(DisconnectedGraphWarning):
        assert graph.fiedler_vector(blocks).value == 0
    blocks[3, 4] = blocks[4, 3] = -1
    with pytest.raises(ValueError, match=r"A must not be negative, but it is -1 at \(3, 4\)"):
        graph.fiedler_vector(blocks)
