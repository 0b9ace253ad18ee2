"""Clusters by bisections: data with known clusters, scikit-learn's rules, bad input."""

from __future__ import annotations

import warnings

import networkx as nx
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from lapwing import FiedlerPartition, graph


def blocks(sizes=(60, 30, 20, 10), inside=0.6, between=0.01, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    p = np.where(truth[:, None] == truth, inside, between)
    W = np.triu(rng.uniform(size=p.shape) < p, 1).astype(float)
    return W + W.T, truth


@pytest.mark.parametrize("objective", ["ncut", "ratio", "conductance"])
def test_blocks_of_unequal_size(objective):
    W, truth = blocks()
    model = FiedlerPartition(4, objective=objective, affinity="precomputed", random_state=0).fit(W)
    assert adjusted_rand_score(truth, model.labels_) == 1.0
    tree = model.tree_
    assert tree.size[0] == 120
    inner = np.flatnonzero(tree.left >= 0)
    assert len(inner) == 3
    assert (tree.size[inner] == tree.size[tree.left[inner]] + tree.size[tree.right[inner]]).all()
    leaves = np.flatnonzero(tree.left < 0)
    assert sorted(tree.size[leaves].tolist()) == [10, 20, 30, 60]
    assert tree.value[0] == pytest.approx(model.eigenvalues_[0], rel=1e-6)
    dense = np.linalg.eigvalsh(graph.laplacian(W).toarray())
    np.testing.assert_allclose(model.eigenvalues_, dense[1:3], rtol=1e-6)
    assert model.converged_
    assert model.cut_ == model.metrics_.cut


def test_balanced_parts():
    W, _ = blocks((50, 50, 50, 50))
    model = FiedlerPartition(4, objective="cut", affinity="precomputed", imbalance=0.0).fit(W)
    assert np.bincount(model.labels_).tolist() == [50, 50, 50, 50]
    assert model.tree_ is None


def test_rings_of_points():
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 2 * np.pi, 300)
    radius = np.repeat([1.0, 3.0], 150) + 0.05 * rng.normal(size=300)
    X = np.column_stack([radius * np.cos(t), radius * np.sin(t)])
    truth = np.repeat([0, 1], 150)
    for options in ({"n_neighbors": 10}, {"affinity": "rbf", "gamma": 10.0}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rings may be components of their own
            model = FiedlerPartition(2, random_state=0, **options).fit(X)
        assert adjusted_rand_score(truth, model.labels_) == 1.0


def test_smallest_cluster():
    W, _ = blocks((60, 55, 3), inside=0.8)
    free = FiedlerPartition(2, affinity="precomputed", objective="conductance").fit(W)
    bounded = clone(free).set_params(min_cluster_size=20).fit(W)
    assert np.bincount(bounded.labels_).min() >= 20
    assert free.metrics_.conductance <= bounded.metrics_.conductance
    with pytest.raises(ValueError, match="n_parts=5 parts of at least min_size=50"):
        clone(free).set_params(min_cluster_size=50, n_clusters=5).fit(W)


def test_graph_objects_and_bad_input():
    G = nx.barbell_graph(6, 0)
    model = FiedlerPartition(2, affinity="precomputed").fit(G)
    assert model.cut_ == 1.0
    assert model.n_features_in_ == 12
    with pytest.raises(ValueError, match="n_clusters must be at most 12"):
        FiedlerPartition(13, affinity="precomputed").fit(G)
    for change, text in [
        ({"n_clusters": 0}, "n_clusters must be >= 1"),
        ({"min_cluster_size": 0}, "min_cluster_size must be >= 1"),
        ({"objective": "size"}, "objective must be one of"),
        ({"refine": "all"}, "refine must be one of"),
        ({"affinity": "cosine"}, "affinity must be one of"),
        ({"tol": 0.0}, "tol must be > 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            FiedlerPartition(**{"affinity": "precomputed", **change}).fit(G)


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_rules():
    check_estimator(FiedlerPartition(random_state=0))
