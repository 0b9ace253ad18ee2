"""Hyperbolic diffusion distances against their formula, and against the metric of a tree."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm
from scipy.sparse.csgraph import shortest_path
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator

from lapwing import DiffusionMaps, DisconnectedGraphWarning, HyperbolicDiffusion


def binary_tree(n=127):
    W = np.zeros((n, n))
    for child in range(1, n):
        W[child, (child - 1) // 2] = W[(child - 1) // 2, child] = 1
    return W


def mean_average_precision(D, W):
    """How well the neighbours of each node are its nearest points."""
    scores = []
    for i, row in enumerate(D):
        neighbors = np.flatnonzero(W[i])
        others = np.arange(len(D)) != i
        for b in neighbors:
            within = others & (row <= row[b])
            scores.append((within[neighbors].sum() / within.sum(), i))
    scores, nodes = np.array(scores).T
    return np.mean([scores[nodes == i].mean() for i in np.unique(nodes)])


def by_hand(operators, exponent=0.5):
    total = 0.0
    for k, A in enumerate(operators):
        phi = np.sqrt(np.maximum(A, 0))
        far = np.linalg.norm(phi[:, None] - phi, axis=2)
        total = total + 2 * np.arcsinh(2 ** (1 - k * exponent) * far)
    return total


@pytest.mark.parametrize("normalization", [None, "rw"])
@pytest.mark.parametrize("exponent", [0.5, 0.3])
def test_distances_of_a_graph(normalization, exponent):
    W = binary_tree(31) * np.add.outer(np.arange(31) % 3, np.arange(31) % 3 + 1.0)
    W = np.maximum(W, W.T)
    d = W.sum(axis=1)
    L = np.diag(d) - W
    if normalization == "rw":
        L /= d[:, None]
    expected = by_hand([expm(-L * 2.0**-k) for k in range(4)], exponent)
    model = HyperbolicDiffusion(3, affinity="precomputed", normalization=normalization, exponent=exponent)
    # roots of entries at rounding level: sqrt(1e-16 · 31)
    np.testing.assert_allclose(model.fit(W).distances(), expected, atol=1e-6)
    np.testing.assert_allclose(model.heights_, 2.0 ** (np.arange(4) * exponent - 2))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kernel", ["gaussian", "laplace"])
def test_distances_of_points(metric, kernel):
    X = np.random.default_rng(0).normal(size=(40, 3))
    if metric == "cosine":
        U = X / np.linalg.norm(X, axis=1)[:, None]
        r = 1 - U @ U.T
    else:
        r = np.linalg.norm(X[:, None] - X, axis=2)
    K = np.exp(-r / 0.8) if kernel == "laplace" else np.exp(-(r**2) / (2 * 0.8**2))
    q = K.sum(axis=1)
    A = K / np.outer(q, q)
    d = A.sum(axis=1)
    mu, U = np.linalg.eigh(A / np.sqrt(np.outer(d, d)))
    operators = [
        (U / np.sqrt(d)[:, None]) @ np.diag(np.maximum(mu, 1e-6) ** 2.0**-k) @ (U * np.sqrt(d)[:, None]).T
        for k in range(5)
    ]
    model = HyperbolicDiffusion(4, affinity=kernel, metric=metric, bandwidth=0.8).fit(X)
    np.testing.assert_allclose(model.distances(), by_hand(operators), atol=1e-6)
    phi = model.densities(0)
    np.testing.assert_allclose((phi**2).sum(axis=1), 1.0, atol=2e-3)  # rows of the walk, clipped at 0


def test_metric_and_blocks(monkeypatch):
    from lapwing.embedding import hyperbolic

    model = HyperbolicDiffusion(2, affinity="precomputed").fit(binary_tree(31))
    D = model.distances()
    np.testing.assert_allclose(D, D.T, atol=1e-12)
    np.testing.assert_array_equal(np.diag(D), 0.0)
    assert (D[:, None] <= D[:, :, None] + D[None] + 1e-9).all()
    monkeypatch.setattr(hyperbolic, "BLOCK", 100)
    np.testing.assert_allclose(model.distances(), D, atol=1e-9)
    np.testing.assert_allclose(model.distances([3, 7], [1, 2, 30]), D[np.ix_([3, 7], [1, 2, 30])], atol=1e-9)
    some = model.densities(1, [5])
    np.testing.assert_allclose(some, model.densities(1)[[5]], atol=1e-12)


@pytest.mark.parametrize("scales", [1, 4])
@pytest.mark.parametrize("normalization", [None, "rw"])
def test_complete_binary_tree(scales, normalization):
    # The specification's figures: mean average precision 1.000, Spearman 0.993; a diffusion map with 10
    # coordinates: 0.44 and 0.65.
    W = binary_tree()
    T = shortest_path(W, unweighted=True)
    upper = np.triu_indices(127, 1)
    model = HyperbolicDiffusion(scales, affinity="precomputed", normalization=normalization).fit(W)
    D = model.distances()
    assert mean_average_precision(D, W) == 1.0
    assert spearmanr(D[upper], T[upper])[0] > 0.99
    Y = DiffusionMaps(10, affinity="precomputed").fit_transform(W)
    E = np.linalg.norm(Y[:, None] - Y, axis=2)
    assert mean_average_precision(E, W) < 0.5
    assert spearmanr(E[upper], T[upper])[0] < 0.7


def test_truncation():
    W = binary_tree(63)
    whole = HyperbolicDiffusion(0, affinity="precomputed").fit(W)
    part = HyperbolicDiffusion(0, affinity="precomputed", n_eigenpairs=50).fit(W)
    assert part.eigenvalues_.shape == (50,)
    np.testing.assert_allclose(part.eigenvalues_, whole.eigenvalues_[:50], atol=1e-10)
    a, b = whole.distances().ravel(), part.distances().ravel()
    assert np.corrcoef(a, b)[0, 1] > 0.99
    X = np.random.default_rng(0).normal(size=(60, 2))
    smooth = HyperbolicDiffusion(0, bandwidth=2.0).fit(X)
    few = HyperbolicDiffusion(0, bandwidth=2.0, n_eigenpairs=20).fit(X)
    np.testing.assert_allclose(few.distances(), smooth.distances(), atol=1e-2)


def test_kinds_of_weights_and_components():
    networkx = pytest.importorskip("networkx")
    G = networkx.karate_club_graph()
    W = networkx.to_scipy_sparse_array(G, dtype=float)
    found = [HyperbolicDiffusion(2, affinity="precomputed").fit(K).distances() for K in (W, W.toarray(), G)]
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    np.testing.assert_array_equal(found[2], found[0])
    with pytest.warns(DisconnectedGraphWarning):
        model = HyperbolicDiffusion(1, affinity="precomputed").fit(sparse.block_diag([W, W]))
    D = model.distances()
    top = 2 * np.arcsinh(2 * np.sqrt(2)) + 2 * np.arcsinh(2**0.5 * np.sqrt(2))
    np.testing.assert_allclose(D[:34, 34:], top, rtol=1e-6)


def test_threads_do_not_change_a_bit():
    from threadpoolctl import threadpool_limits

    X = np.random.default_rng(0).normal(size=(200, 3))
    found = []
    for n in (1, 2, 4):
        with threadpool_limits(n):
            found.append(HyperbolicDiffusion(3).fit(X).distances())
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({"n_scales": -1}, None, ValueError, "n_scales"),
        ({"exponent": 1.0}, None, ValueError, "exponent"),
        ({"exponent": 0.0}, None, ValueError, "exponent"),
        ({"affinity": "rbf"}, None, ValueError, "affinity"),
        ({"metric": "cityblock"}, None, ValueError, "metric"),
        ({"bandwidth": 0.0}, None, ValueError, "bandwidth"),
        ({"bandwidth": "mean"}, None, ValueError, "bandwidth"),
        ({"normalization": "sym"}, None, ValueError, "normalization"),
        ({"n_eigenpairs": 0}, None, ValueError, "n_eigenpairs"),
        ({"metric": "cosine"}, np.array([[1.0, 0], [0, 0]]), ValueError, "row 1 of X is 0"),
        ({"affinity": "precomputed"}, np.array([[0.0, 1], [2, 0]]), ValueError, "symmetric"),
    ],
)
def test_bad_input(options, X, error, message):
    X = np.random.default_rng(0).normal(size=(20, 2)) if X is None else X
    with pytest.raises(error, match=message):
        HyperbolicDiffusion(**options).fit(X)


def test_bad_rows():
    model = HyperbolicDiffusion(1, affinity="precomputed").fit(binary_tree(7))
    with pytest.raises(ValueError, match="rows must be between 0 and 6"):
        model.distances([7])
    with pytest.raises(TypeError, match="columns"):
        model.distances(None, [0.5])
    with pytest.raises(ValueError, match="scale must be between 0 and 1"):
        model.densities(2)


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
def test_scikit_learn_checks():
    results = check_estimator(HyperbolicDiffusion(1), on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 25
