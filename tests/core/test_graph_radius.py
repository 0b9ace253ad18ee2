"""Radius graphs against all distances; joining components against a minimal spanning tree."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from lapwing import _core, graph


def data(name, dtype=np.float64):
    rng = np.random.default_rng(0)
    made = {
        "low": lambda: rng.normal(size=(700, 3)),
        "few": lambda: rng.normal(size=(40, 2)),
        "high": lambda: rng.normal(size=(600, 20)),
        "far from the origin": lambda: rng.normal(size=(300, 10)) + 1e4,
        "duplicates": lambda: np.repeat(rng.normal(size=(30, 12)), 10, axis=0),
        "low duplicates": lambda: np.repeat(rng.normal(size=(60, 2)), 10, axis=0),
        "clusters apart": lambda: np.repeat(1e6 * np.eye(12), 20, axis=0) + rng.normal(size=(240, 12)),
        "one point": lambda: rng.normal(size=(1, 4)),
    }
    return made[name]().astype(dtype)


NAMES = (
    "low", "few", "high", "far from the origin", "duplicates", "low duplicates", "clusters apart",
    "one point",
)  # fmt: skip


def check(X, radius, metric="euclidean"):
    found = graph.radius_graph(X, radius, metric=metric)
    D = cdist(X.astype(float), X.astype(float), metric)
    inside = radius >= D
    np.fill_diagonal(inside, False)
    rows = np.repeat(np.arange(len(X)), np.diff(found.indptr))
    pattern = np.zeros_like(inside)
    pattern[rows, found.indices] = True
    sure = np.abs(D - radius) > 1e-9 * max(radius, np.abs(X).max() if metric == "euclidean" else 1)
    np.testing.assert_array_equal(pattern[sure], inside[sure])
    np.testing.assert_allclose(found.data, D[rows, found.indices], rtol=1e-9, atol=1e-9 * np.abs(X).max())
    assert (found.data <= radius).all()
    dense = found.toarray()
    np.testing.assert_array_equal(dense, dense.T)
    np.testing.assert_array_equal(pattern, pattern.T)
    assert not pattern.diagonal().any()
    assert all(
        (np.diff(found.indices[a:b]) > 0).all() for a, b in zip(found.indptr, found.indptr[1:], strict=False)
    )
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quantile", [0.02, 0.3])
def test_all_pairs_within(name, dtype, quantile):
    X = data(name, dtype)
    radius = np.quantile(cdist(X, X), quantile) if len(X) > 1 else 1.0
    check(X, radius)


@pytest.mark.parametrize("d", [3, 15])
def test_cosine(d):
    X = np.random.default_rng(1).normal(size=(300, d))
    assert check(X, 0.4, "cosine").nnz > 0


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e150])
@pytest.mark.parametrize("d", [2, 12])
def test_extremes_of_scale(scale, d):
    X = np.random.default_rng(2).normal(size=(600, d))
    one, other = graph.radius_graph(X, 1.5), graph.radius_graph(scale * X, scale * 1.5)
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_allclose(other.data / scale, one.data, rtol=1e-12)
    assert graph.radius_graph(X, 1e300).nnz == 600 * 599
    assert graph.radius_graph(X, 0.0).nnz == 0


def test_border_counts():
    grid = np.stack(np.meshgrid(*[np.arange(9.0)] * 3), axis=-1).reshape(-1, 3)
    assert graph.radius_graph(grid, 1.0).nnz == 6 * 9 * 9 * 8
    corners = graph.radius_graph(grid, np.sqrt(3.0))
    assert np.diff(corners.indptr).max() == 26
    wide = np.hstack([grid, np.zeros((729, 7))])  # all pairs instead of the tree
    np.testing.assert_array_equal(graph.radius_graph(wide, np.sqrt(3.0)).indices, corners.indices)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 1000), st.floats(0, 20))
def test_integer_points(n, d, seed, radius):
    X = np.random.default_rng(seed).integers(-4, 5, (n, d)).astype(float)
    D = cdist(X, X)
    inside = radius >= D
    np.fill_diagonal(inside, False)
    found = graph.radius_graph(X, radius)
    assert np.diff(found.indptr).tolist() == inside.sum(axis=1).tolist()
    np.testing.assert_array_equal(found.indices, np.nonzero(inside)[1])
    np.testing.assert_array_equal(found.data, D[inside])


@pytest.mark.parametrize("d", [3, 20])
def test_threads_and_methods(d):
    X = np.random.default_rng(3).normal(size=(900, d))
    radius = float(np.quantile(cdist(X, X), 0.05))
    found = [graph.radius_graph(X, radius, n_jobs=j) for j in (1, 2, 4)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.indices, found[0].indices)
        np.testing.assert_array_equal(other.data, found[0].data)
    counts = {}
    for method in ("all_pairs", "tree") if d <= 8 else ("all_pairs",):
        counts[method] = np.empty(900, dtype=np.int64)
        _core.radius_counts(X, radius, "euclidean", method, counts[method], 1)
        np.testing.assert_array_equal(counts[method], np.diff(found[0].indptr))


def test_affinity_of_a_radius_graph():
    X = np.random.default_rng(4).normal(size=(200, 2))
    W = graph.affinity(graph.radius_graph(X, 0.8), "gaussian", bandwidth=0.5)
    D = cdist(X, X)
    K = np.where(D <= 0.8, np.exp(-(D**2) / 0.5), 0.0)
    np.fill_diagonal(K, 0)
    np.testing.assert_allclose(W.toarray(), K, atol=1e-12)


def test_memory_guard_names_a_radius():
    X = np.random.default_rng(5).normal(size=(3000, 2))
    with pytest.raises(MemoryError, match="would give 100 neighbours on average") as caught:
        graph.radius_graph(X, 5.0, max_memory=1e6)
    radius = float(re.search(r"radius=([\d.]+)", str(caught.value))[1])
    assert graph.radius_graph(X, radius).nnz / 3000 == pytest.approx(100, rel=0.15)  # from 200 rows
    with pytest.raises(MemoryError, match="would give 19 neighbours"):
        graph.radius_graph(X[:20], 50.0, max_memory=10.0)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (np.ones((3, 2)), {"radius": -1.0}, ValueError, "radius"),
        (np.ones((3, 2)), {"radius": np.nan}, ValueError, "radius"),
        (np.ones((3, 2)), {"radius": np.inf}, ValueError, "radius"),
        (np.ones((3, 2)), {"radius": 1.0, "metric": "l1"}, ValueError, "metric"),
        (np.zeros((3, 2)), {"radius": 1.0, "metric": "cosine"}, ValueError, "direction"),
        (np.ones((3, 2)), {"radius": 1.0, "max_memory": 0.0}, ValueError, "max_memory"),
        (np.ones((3, 2)), {"radius": 1.0, "n_jobs": 0}, ValueError, "n_jobs"),
        (np.full((3, 2), np.nan), {"radius": 1.0}, ValueError, "X must be finite"),
        (np.ones(3), {"radius": 1.0}, ValueError, "X must be 2-D"),
        (np.ones((0, 2)), {"radius": 1.0}, ValueError, "X is empty"),
    ],
)
def test_bad_input(X, options, error, message):
    with pytest.raises(error, match=message):
        graph.radius_graph(X, **options)


# ---- joining components ------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("seed", range(6))
def test_connect_by_a_minimal_spanning_tree(seed, metric):
    rng = np.random.default_rng(seed)
    c = int(rng.integers(2, 9))
    X = np.repeat(10 * rng.normal(size=(c, 3)), rng.integers(4, 12, c), axis=0)
    X = X + 0.1 * rng.normal(size=X.shape)
    W = graph.affinity(X, "gaussian", n_neighbors=2)
    labels, sizes = graph.components(W)
    joined = graph.connect(W, X, metric=metric)
    assert len(graph.components(joined)[1]) == 1
    added = (joined - W).tocoo()
    added.eliminate_zeros()
    assert added.nnz == 2 * (len(sizes) - 1)
    np.testing.assert_allclose(added.data, W.data.min())
    np.testing.assert_array_equal(joined.toarray(), joined.toarray().T)
    D = cdist(X, X, metric)
    between = [
        [D[np.ix_(labels == a, labels == b)].min() for b in range(len(sizes))] for a in range(len(sizes))
    ]
    assert D[added.row, added.col].sum() / 2 == pytest.approx(minimum_spanning_tree(between).sum())
    again = graph.connect(W, X, metric=metric, n_jobs=2)
    np.testing.assert_array_equal(again.toarray(), joined.toarray())


def test_connect_ties_and_isolated_nodes():
    X = np.arange(6.0)[:, None]
    path = graph.connect(np.zeros((6, 6)), X)  # every distance is a tie
    np.testing.assert_array_equal(path.toarray(), np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1))
    same = graph.connect(np.zeros((5, 5)), np.ones((5, 2)), weight=0.5)
    assert len(graph.components(same)[1]) == 1
    assert same.nnz == 8
    whole = graph.affinity(np.random.default_rng(0).normal(size=(20, 2)), n_neighbors=6)
    np.testing.assert_array_equal(graph.connect(whole, np.ones((20, 2))).toarray(), whole.toarray())


@pytest.mark.parametrize(
    ("W", "X", "options", "message"),
    [
        (np.zeros((3, 3)), np.ones((4, 2)), {}, "as many rows"),
        (np.zeros((3, 3)), np.ones((3, 2)), {"weight": 0.0}, "weight"),
        (np.zeros((3, 3)), np.ones((3, 2)), {"metric": "l1"}, "metric"),
        (np.zeros((3, 3)), np.full((3, 2), np.inf), {}, "X must be finite"),
        (np.array([[0.0, 1], [2, 0]]), np.ones((2, 2)), {}, "symmetric"),
    ],
)
def test_connect_bad_input(W, X, options, message):
    with pytest.raises(ValueError, match=message):
        graph.connect(W, X, **options)
