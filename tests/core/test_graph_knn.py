"""Nearest neighbours against all pairs in float64; weights; matrices of graphs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import cdist

from lapwing import graph
from lapwing.graph._knn import exact


def truth(X, k, metric="euclidean"):
    D = cdist(X, X, metric).astype(np.float64)
    np.fill_diagonal(D, np.inf)
    order = np.lexsort((np.broadcast_to(np.arange(len(X)), D.shape), D), axis=1)[:, :k]
    return order, np.take_along_axis(D, order, axis=1)


def data(name, rng):
    if name == "random":
        return rng.normal(size=(700, 20))
    if name == "low":
        return rng.normal(size=(2500, 3))
    if name == "line":
        return np.outer(np.arange(2200.0), np.ones(2))
    if name == "integer grid":
        return np.stack(np.meshgrid(*[np.arange(7.0)] * 4), axis=-1).reshape(-1, 4)
    if name == "wide integer grid":
        return np.hstack([rng.integers(0, 3, (600, 12)).astype(float)])
    if name == "duplicates":
        return np.repeat(rng.normal(size=(60, 15)), 20, axis=0)
    if name == "far from the origin":
        return rng.normal(size=(500, 10)) + 1e6
    if name == "near duplicates":
        return np.repeat(rng.normal(size=(40, 12)), 15, axis=0) + 1e-9 * rng.normal(size=(600, 12))
    if name == "tiny":
        return 1e-200 * rng.normal(size=(300, 12))
    return 1e200 * rng.normal(size=(300, 3))


NAMES = ("random", "low", "line", "integer grid", "wide integer grid", "duplicates", "far from the origin",
         "near duplicates", "tiny", "huge")  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_exact_neighbours(name, dtype):
    if dtype == np.float32 and name in ("tiny", "huge"):
        pytest.skip("out of the range of float32")
    X = data(name, np.random.default_rng(0)).astype(dtype)
    k = 11
    found = graph.knn_graph(X, k)
    index, value = found.indices.reshape(-1, k), found.data.reshape(-1, k)
    scale = 2.0 ** np.ceil(np.log2(np.abs(X.astype(np.float64)).max()))  # dividing by it rounds nothing
    order, distances = truth(X.astype(np.float64) / scale, k)
    np.testing.assert_allclose(
        value / scale, distances, rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-300
    )
    if name in (
        "random",
        "low",
        "line",
        "integer grid",
        "wide integer grid",
    ):  # SciPy's sums are exact here too
        np.testing.assert_array_equal(index, order)
    assert (index != np.arange(len(X))[:, None]).all()
    assert (np.diff(value, axis=1) >= 0).all()


@pytest.mark.parametrize("d", [3, 20])
def test_other_queries(d):
    rng = np.random.default_rng(1)
    X, Q = rng.normal(size=(2300, d)), rng.normal(size=(321, d))
    index, value = exact(Q, X, 6, "euclidean", same=False, threads=2)
    D = cdist(Q, X)
    order = np.argsort(D, axis=1)[:, :6]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(value, np.take_along_axis(D, order, axis=1), rtol=1e-12)


def test_cosine():
    X = np.random.default_rng(2).normal(size=(800, 6)) * np.random.default_rng(3).uniform(0.1, 10, (800, 1))
    found = graph.knn_graph(X, 5, metric="cosine")
    order, distances = truth(X, 5, "cosine")
    np.testing.assert_array_equal(found.indices.reshape(-1, 5), order)
    np.testing.assert_allclose(found.data.reshape(-1, 5), distances, atol=1e-14)


def many(name, rng):
    """Enough points for boxes around those that are near each other."""
    n = 9001
    if name == "clusters":
        return rng.normal(size=(n, 30)) + 40 * rng.normal(size=(25, 30))[rng.integers(0, 25, n)]
    if name == "sheet with noise":
        return rng.uniform(size=(n, 2)) @ rng.normal(size=(2, 25)) + 0.01 * rng.normal(size=(n, 25))
    if name == "one direction":
        return np.outer(rng.normal(size=n) ** 3, np.ones(10))
    if name == "duplicates":
        return rng.integers(0, 2, (n, 11)).astype(float)
    if name == "one far away":
        return np.vstack([rng.normal(size=(n - 1, 12)), np.full((1, 12), 1e5)])
    return rng.normal(size=(n, 9))


MANY = ("clusters", "sheet with noise", "one direction", "duplicates", "one far away", "nothing to see")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("name", MANY)
def test_many_points(name, metric):
    rng = np.random.default_rng(6)
    X = many(name, rng)
    if metric == "cosine":
        X = X[(X != 0).any(axis=1)]
    k, some = 10, rng.choice(len(X), 400, replace=False)
    one, two = (graph.knn_graph(X, k, metric=metric, n_jobs=n) for n in (1, 2))
    assert one.indices.tobytes() == two.indices.tobytes()
    assert one.data.tobytes() == two.data.tobytes()
    index, value = one.indices.reshape(-1, k), one.data.reshape(-1, k)
    scale = np.abs(X).max() if metric == "euclidean" else 1.0
    D = cdist(X[some], X, metric)
    D[np.arange(len(some)), some] = np.inf
    np.testing.assert_allclose(value[some], np.sort(D, axis=1)[:, :k], atol=1e-13 * scale, rtol=1e-12)
    np.testing.assert_allclose(
        value[some], np.take_along_axis(D, index[some], axis=1), atol=1e-13 * scale, rtol=1e-12
    )
    # the distance as the core has it decides, then the index
    again = exact(X[some], X, k + 1, metric, same=False, threads=2)
    with_self = [[j for j in row if j != i][:k] for row, i in zip(again[0], some, strict=True)]
    if name != "duplicates":
        np.testing.assert_array_equal(index[some], with_self)


@pytest.mark.parametrize("name", MANY)
def test_many_queries(name):
    rng = np.random.default_rng(7)
    X, Q = many(name, rng), many(name, rng)
    for threads in (1, 2):
        index, value = exact(Q, X, 7, "euclidean", same=False, threads=threads)
        D = cdist(Q[::40], X)
        atol = 1e-13 * np.abs(X).max()
        np.testing.assert_allclose(value[::40], np.sort(D, axis=1)[:, :7], atol=atol, rtol=1e-12)
        np.testing.assert_allclose(
            value[::40], np.take_along_axis(D, index[::40], axis=1), atol=atol, rtol=1e-12
        )


@pytest.mark.parametrize("name", MANY)
def test_many_points_within_a_radius(name):
    X = many(name, np.random.default_rng(8))
    D = cdist(X[::45], X)
    radius = float(np.quantile(D[D > 0], 0.01))
    found = graph.radius_graph(X, radius)
    rows = found[::45].toarray()
    inside = (radius >= D) & (D > 0)
    sure = (np.abs(D - radius) > 1e-12 * np.abs(X).max()) & (D > 0)
    np.testing.assert_array_equal((rows > 0)[sure], inside[sure])


@pytest.mark.parametrize("d", [2, 30])
def test_bits_do_not_depend_on_threads(d):
    X = np.random.default_rng(4).integers(0, 4, (3000, d)).astype(np.float32)
    one = graph.knn_graph(X, 9, n_jobs=1)
    for n_jobs in (2, 3):
        other = graph.knn_graph(X, 9, n_jobs=n_jobs)
        np.testing.assert_array_equal(one.indices, other.indices)
        assert one.data.tobytes() == other.data.tobytes()


def test_include_self():
    X = np.random.default_rng(5).normal(size=(50, 4))
    found = graph.knn_graph(X, 3, include_self=True)
    np.testing.assert_array_equal(found.indices.reshape(-1, 3)[:, 0], np.arange(50))
    np.testing.assert_array_equal(found.data.reshape(-1, 3)[:, 0], 0.0)
    np.testing.assert_array_equal(
        found.indices.reshape(-1, 3)[:, 1:], graph.knn_graph(X, 2).indices.reshape(-1, 2)
    )
    assert found.recall_ == 1.0


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be between 1 and 9, got 0"),
        ({"n_neighbors": 10}, ValueError, "n_neighbors must be between 1 and 9, got 10"),
        ({"metric": "manhattan"}, ValueError, "metric must be one of 'euclidean', 'cosine'"),
        ({"method": "annoy"}, ValueError, "method must be one of 'auto', 'exact'"),
        ({"X": np.zeros((0, 3))}, ValueError, "X is empty"),
        ({"X": np.full((10, 3), np.nan)}, ValueError, r"X must be finite, but X\[0, 0\] is nan"),
        ({"X": np.zeros((10, 3)), "metric": "cosine"}, ValueError, "row 0 of X is 0"),
        ({"X": np.zeros(10)}, ValueError, "X must be 2-D"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"X": np.random.default_rng(0).normal(size=(10, 3)), "n_neighbors": 3, **change}
    with pytest.raises(error, match=text):
        graph.knn_graph(**arguments)


@pytest.mark.parametrize(
    "kernel", ["binary", "gaussian", "selftuning", "adaptive", "alpha_decay", "umap", "laplace"]
)
def test_affinities_are_symmetric_weights(kernel):
    X = np.random.default_rng(6).normal(size=(300, 5))
    X[:30] = X[0]  # more duplicates than neighbours
    W = graph.affinity(X, kernel, n_neighbors=10)
    assert (W.data > 0).all()
    assert (W.data <= 1.0 + 1e-12).all()
    assert abs(W - W.T).max() == 0.0
    assert not W.diagonal().any()
    assert np.isfinite(W.data).all()


def test_affinity_formulas():
    X = np.random.default_rng(7).normal(size=(40, 3))
    k = 8
    G = graph.knn_graph(X, k)
    D = cdist(X, X)
    near = np.zeros((40, 40), bool)
    near[np.repeat(np.arange(40), k), G.indices] = True
    s = np.sort(D, axis=1)
    union = near | near.T
    self_tuned = np.where(union, np.exp(-(D**2) / (s[:, 7][:, None] * s[:, 7])), 0)
    np.testing.assert_allclose(graph.affinity(G).toarray(), self_tuned, rtol=1e-10)
    np.testing.assert_allclose(
        graph.affinity(G, "gaussian", bandwidth=0.7, symmetrize="min").toarray(),
        np.where(near & near.T, np.exp(-(D**2) / (2 * 0.49)), 0), rtol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(
        graph.affinity(G, "laplace").toarray(),
        np.where(union, np.exp(-D / np.median(s[:, k])), 0),
        rtol=1e-10,
    )
    W = graph.affinity(G, "gaussian", bandwidth=1.0)
    d = W.sum(axis=1)
    np.testing.assert_allclose(
        graph.affinity(G, "gaussian", bandwidth=1.0, alpha=1.0).toarray(),
        W.toarray() / np.outer(d, d),
        rtol=1e-12,
    )
    P = graph.affinity(G, "umap", symmetrize="max")
    assert P.shape == (40, 40)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_dimension_from_distances(dimension):
    X = np.random.default_rng(8).uniform(size=(1500, dimension))
    D = cdist(X, X)
    _, found = graph.bandwidth_bgh(D[~np.eye(1500, dtype=bool)].reshape(1500, -1))
    assert found == pytest.approx(dimension, abs=0.35 * dimension)


def test_symmetrize_and_components():
    A = sp.random_array((60, 60), density=0.03, rng=np.random.default_rng(9)).tocsr()
    dense = A.toarray()
    for rule, expected in (
        ("max", np.maximum(dense, dense.T)),
        ("min", np.minimum(dense, dense.T)),
        ("mean", (dense + dense.T) / 2),
        ("fuzzy", dense + dense.T - dense * dense.T),
    ):
        S = graph.symmetrize(A, rule)
        np.testing.assert_allclose(S.toarray(), expected, rtol=1e-15)
        assert abs(S - S.T).max() == 0.0
    W = graph.symmetrize(A)
    labels, sizes = graph.components(W)
    count, other = sp.csgraph.connected_components(W, directed=False)
    assert len(sizes) == count
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_array_equal(np.bincount(labels), sizes)
    assert len(np.unique(np.stack([labels, other]), axis=1).T) == count


def test_laplacians():
    W = np.array([[0, 2, 0, 0], [2, 1, 3, 0], [0, 3, 0, 0], [0, 0, 0, 0]], float)
    d = np.array([2.0, 5.0, 3.0, 0.0])
    off = W - np.diag(np.diag(W))
    np.testing.assert_array_equal(graph.laplacian(W, None).toarray(), np.diag(d) - off)
    L, root = graph.laplacian(W, return_diag=True)
    np.testing.assert_array_equal(root, np.sqrt(d))
    expected = np.eye(4) - off / np.sqrt(np.outer(d, d) + (np.outer(d, d) == 0))
    expected[3, 3] = 0.0
    np.testing.assert_allclose(L.toarray(), expected, atol=1e-15)
    np.testing.assert_allclose(
        graph.laplacian(W, "rw", self_loops=True).toarray()[1], [-2 / 6, 5 / 6, -3 / 6, 0]
    )


@pytest.mark.filterwarnings("ignore:pynndescent found only")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("method", ["pynndescent", "hnswlib", "faiss"])
def test_approximate_searches_say_their_recall(method, metric):
    pytest.importorskip(method)
    X = np.random.default_rng(0).normal(size=(3000, 24)).astype(np.float32)
    k = 10
    found = graph.knn_graph(X, k, method=method, metric=metric)
    assert found.method_ == method
    order, distances = truth(X.astype(np.float64), k, metric)
    index, value = found.indices.reshape(-1, k), found.data.reshape(-1, k)
    recall = np.mean([len(np.intersect1d(a, b)) for a, b in zip(index, order, strict=True)]) / k
    assert recall > 0.85
    assert abs(found.recall_ - recall) < 0.05
    assert (np.diff(value, axis=1) >= 0).all()
    right = index == order
    np.testing.assert_allclose(value[right], distances[right], rtol=1e-5, atol=1e-6)


def test_auto_takes_an_approximate_search_only_if_it_finds_enough():
    pytest.importorskip("faiss")
    X = np.random.default_rng(1).normal(size=(100_001, 10)).astype(np.float32)
    loose = graph.knn_graph(X, 3, target_recall=0.5)
    assert loose.method_ != "exact"
    assert 0.5 <= loose.recall_ <= 1
    assert graph.knn_graph(X, 3, target_recall=1.0).recall_ == 1.0
