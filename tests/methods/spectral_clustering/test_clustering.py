"""Spectral clustering on data that k-means cannot part, and its report of gaps."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from lapwing import SpectralClustering, graph


def rings(n=150, seed=0):
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 2 * np.pi, 3 * n)
    radius = np.repeat([1.0, 2.0, 3.0], n) + 0.05 * rng.normal(size=3 * n)
    return np.column_stack([radius * np.cos(t), radius * np.sin(t)]), np.repeat([0, 1, 2], n)


def blocks(sizes=(40, 30, 30), inside=0.5, between=0.02, seed=0):
    """A random graph with dense blocks, connected."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    p = np.where(truth[:, None] == truth, inside, between)
    W = np.triu(rng.uniform(size=p.shape) < p, 1).astype(float)
    return W + W.T, truth


@pytest.mark.parametrize("assign", ["kmeans", "cluster_qr"])
@pytest.mark.parametrize("normalization", ["sym", "rw"])
def test_blocks_of_a_random_graph(assign, normalization):
    W, truth = blocks()
    model = SpectralClustering(
        3, affinity="precomputed", assign_labels=assign, normalization=normalization, random_state=0
    ).fit(W)
    assert adjusted_rand_score(truth, model.labels_) == 1.0
    assert model.n_clusters_suggested_ == 3
    assert model.n_components_graph_ == 1
    expected = np.linalg.eigvalsh(graph.laplacian(W).toarray())[:7]
    np.testing.assert_allclose(model.eigenvalues_, expected, atol=1e-12)
    gaps = (expected[1:] - expected[:-1]) / expected[1:]
    np.testing.assert_allclose(model.eigengaps_, gaps, atol=1e-10)


@pytest.mark.parametrize("assign", ["kmeans", "cluster_qr"])
@pytest.mark.parametrize("options", [{"n_neighbors": 10}, {"affinity": "rbf", "gamma": 20.0}])
def test_rings(assign, options):
    X, truth = rings()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rings may be components of their own
        model = SpectralClustering(3, assign_labels=assign, random_state=0, **options).fit(X)
    assert adjusted_rand_score(truth, model.labels_) > 0.99
    assert model.eigengaps_[2] > 0.9  # the neighbours' graph hangs together by so little that 2 does as well


def test_components_are_clusters():
    W = sparse.block_diag([np.ones((6, 6)), np.ones((4, 4)), np.ones((5, 5)), np.zeros((1, 1))]).tocsr()
    for assign in ("kmeans", "cluster_qr"):
        with pytest.warns(UserWarning, match="4 connected"):
            model = SpectralClustering(4, affinity="precomputed", assign_labels=assign, random_state=0).fit(W)
        truth = np.repeat([0, 1, 2, 3], [6, 4, 5, 1])
        assert adjusted_rand_score(truth, model.labels_) == 1.0
        assert model.n_clusters_suggested_ == model.n_components_graph_ == 4
        np.testing.assert_array_equal(model.eigenvalues_[:4], 0.0)


def test_rows_that_are_clustered():
    W, _ = blocks()
    model = SpectralClustering(3, affinity="precomputed", random_state=0).fit(W)
    np.testing.assert_allclose(np.linalg.norm(model.embedding_, axis=1), 1.0)
    walk = SpectralClustering(3, affinity="precomputed", normalization="rw", random_state=0).fit(W)
    P = W / W.sum(axis=1)[:, None]
    np.testing.assert_allclose(P @ walk.embedding_, walk.embedding_ * (1 - walk.eigenvalues_[:3]), atol=1e-8)
    more = SpectralClustering(3, n_components=5, affinity="precomputed", random_state=0).fit(W)
    assert more.embedding_.shape == (100, 5)
    assert len(more.eigenvalues_) == 9
    other = SpectralClustering(3, n_components=5, affinity="precomputed", assign_labels="cluster_qr").fit(W)
    assert other.embedding_.shape == (100, 3)


def test_kinds_of_weights_agree():
    networkx = pytest.importorskip("networkx")
    G = networkx.karate_club_graph()
    W = networkx.to_scipy_sparse_array(G, dtype=float)
    found = [
        SpectralClustering(2, affinity="precomputed", random_state=0).fit_predict(K)
        for K in (W, W.toarray(), G)
    ]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    clubs = [G.nodes[v]["club"] for v in G]
    assert adjusted_rand_score(clubs, found[0]) > 0.7


def test_as_many_clusters_as_points():
    X = np.random.default_rng(0).normal(size=(6, 2))
    assert len(np.unique(SpectralClustering(6, random_state=0).fit_predict(X))) == 6
    assert np.ptp(SpectralClustering(1, random_state=0).fit_predict(X)) == 0


@pytest.mark.parametrize("assign", ["kmeans", "cluster_qr"])
def test_threads_do_not_change_a_bit(assign):
    X, _ = rings(600)
    found = [
        SpectralClustering(3, n_neighbors=30, assign_labels=assign, random_state=0, n_jobs=j).fit(X)
        for j in (1, 2, 4)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.labels_, found[0].labels_)
        np.testing.assert_array_equal(other.embedding_, found[0].embedding_)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters"),
        ({"n_clusters": 2.0}, TypeError, "n_clusters"),
        ({"n_clusters": 31}, ValueError, "at most 30"),
        ({"n_components": 0}, ValueError, "n_components"),
        ({"assign_labels": "discretize"}, ValueError, "assign_labels"),
        ({"normalization": "none"}, ValueError, "normalization"),
        ({"affinity": "linear"}, ValueError, "affinity"),
        ({"n_init": 0}, ValueError, "n_init"),
        ({"gamma": -1.0}, ValueError, "gamma"),
        ({"n_neighbors": 30}, ValueError, "n_neighbors"),
        ({"eigen_solver": "amg"}, ValueError, "eigen_solver"),
        ({"kernel": "box"}, ValueError, "kernel"),
    ],
)
def test_bad_input(options, error, message):
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(error, match=message):
        SpectralClustering(**{"n_clusters": 2, **options}).fit(X)


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
@pytest.mark.parametrize("assign", ["kmeans", "cluster_qr"])
def test_scikit_learn_checks(assign):
    model = SpectralClustering(2, assign_labels=assign, n_init=2, random_state=0)
    assert clone(model).get_params() == model.get_params()
    results = check_estimator(model, on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 30
