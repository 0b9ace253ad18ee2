"""Laplacian scores and graph random features against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import expm

from lapwing import graph
from lapwing.graph import _scores
from lapwing.graph._features import modulation


def random_graph(n, seed=0, p=0.3):
    rng = np.random.default_rng(seed)
    W = np.triu(rng.uniform(0.1, 2.0, (n, n)) * (rng.uniform(size=(n, n)) < p), 1)
    return W + W.T


def scores_by_hand(X, W):
    W = W - np.diag(np.diag(W))
    d = W.sum(axis=1)
    F = X - (d @ X) / d.sum()
    L = np.diag(d) - W
    return np.einsum("ij,ij->j", F, L @ F) / np.einsum("ij,ij->j", F, d[:, None] * F)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, sparse.coo_matrix])
def test_laplacian_score(convert, monkeypatch):
    rng = np.random.default_rng(0)
    W, X = random_graph(30), rng.normal(size=(30, 7))
    X[X < -1] = 0
    expected = scores_by_hand(X, W)
    np.testing.assert_allclose(graph.laplacian_score(convert(X), convert(W)), expected, rtol=1e-12)
    monkeypatch.setattr(_scores, "BLOCK", 64)  # features and edges in many blocks
    np.testing.assert_allclose(graph.laplacian_score(convert(X), W + np.eye(30)), expected, rtol=1e-12)


@given(st.integers(2, 12), st.integers(0, 1000), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_laplacian_score_is_between_0_and_2_and_free_of_scale(n, seed, shift, factor):
    W = random_graph(n, seed, 0.9) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    f = np.random.default_rng(seed).normal(size=(n, 1))
    score = graph.laplacian_score(f, W)
    assert 0 <= score[0] <= 2 + 1e-12
    # the shift rounds the feature itself, to 1e-16 of |shift| / |factor · f|
    np.testing.assert_allclose(
        graph.laplacian_score(factor * f + shift, 3 * W), score, rtol=1e-6 if factor > 0.1 else 1e-4
    )


def test_eigenvectors_have_their_eigenvalues_as_scores():
    from lapwing.linalg import laplacian_eigs

    W = random_graph(40)
    pairs = laplacian_eigs(W, 5, normalization="rw")
    np.testing.assert_allclose(graph.laplacian_score(pairs.vectors, W), pairs.values, rtol=1e-10)


def test_constant_features_and_large_offsets():
    W = random_graph(20)
    X = np.column_stack([np.full(20, 0.1), np.arange(20.0), 1e9 + np.arange(20.0)])
    with pytest.warns(UserWarning, match="1 of 3 features are constant, the first is 0"):
        scores = graph.laplacian_score(X, W)
    assert np.isnan(scores[0])
    assert scores[1] == scores[2]


@pytest.mark.parametrize(
    ("X", "W", "error", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 4)), ValueError, "as many rows"),
        (np.full((3, 2), np.nan), np.ones((3, 3)), ValueError, "X must be finite"),
        (sparse.csr_array(np.full((3, 2), np.inf)), np.ones((3, 3)), ValueError, "X must be finite"),
        (np.ones((3, 2)), np.zeros((3, 3)), ValueError, "no edges"),
        (np.ones((3, 2)) * 1j, np.ones((3, 3)), TypeError, "X"),
        (np.ones((3, 2)), np.array([[0, 1, 0], [2, 0, 0], [0, 0, 0]]), ValueError, "symmetric"),
    ],
)
def test_score_bad_input(X, W, error, message):
    with pytest.raises(error, match=message):
        graph.laplacian_score(X, W)


# ---- random features ---------------------------------------------------------------------------------


def test_modulation_convolved_with_itself():
    for alpha in (1.0 / np.cumprod(np.r_[1.0, np.arange(1, 12)]), np.ones(12), np.arange(1.0, 13.0)):
        f = modulation(alpha)
        np.testing.assert_allclose(np.convolve(f, f)[:12], alpha, rtol=1e-12)
    f = modulation(1.0 / np.cumprod(np.r_[1.0, np.arange(1, 8)]))
    np.testing.assert_allclose(f, [0.5**i / np.prod(np.arange(1.0, i + 1)) for i in range(8)])
    np.testing.assert_allclose(modulation(np.arange(1.0, 9.0)), np.ones(8))
    np.testing.assert_allclose(modulation(np.array([1.0, 2, 1, 0, 0])), [1, 1, 0, 0, 0])


def normalized(W, scale):
    d = W.sum(axis=1)
    d[d == 0] = 1
    return scale * W / np.sqrt(np.outer(d, d))


KERNELS = {
    "exp": expm,
    "inverse": lambda U: np.linalg.inv(np.eye(len(U)) - U),
    "inverse_square": lambda U: np.linalg.matrix_power(np.linalg.inv(np.eye(len(U)) - U), 2),
    "two_step": lambda U: np.linalg.matrix_power(np.eye(len(U)) + U, 2),
}


def karate():
    networkx = pytest.importorskip("networkx")
    return networkx.to_numpy_array(networkx.karate_club_graph(), weight=None)


@pytest.mark.parametrize(
    ("kernel", "figures"),
    [("exp", [0.165, 0.083, 0.042, 0.021]), ("inverse_square", [0.333, 0.170, 0.085, 0.042])],
)
def test_errors_on_the_karate_club(kernel, figures):
    # Figures of the specification, for 4, 16, 64 and 256 walkers. The mean over ten seeds is within 15 %.
    W = karate()
    K = KERNELS[kernel](normalized(W, 0.5))
    for walks, figure in zip((4, 16, 64, 256), figures, strict=True):
        errors = []
        for seed in range(10):
            first, second = graph.graph_random_features(W, kernel, n_walks=walks, random_state=seed)
            errors.append(np.linalg.norm((first @ second.T).toarray() - K) / np.linalg.norm(K))
        assert np.mean(errors) == pytest.approx(figure, rel=0.15)


@pytest.mark.parametrize("kernel", [*KERNELS, [2.0, 0.5, 0.25], lambda r: 0.5**r])
def test_unbiased_for_any_weights(kernel):
    W = random_graph(12, 3, 0.4)
    U = normalized(W, 0.4)
    if isinstance(kernel, str):
        K = KERNELS[kernel](U)
    elif callable(kernel):
        K = np.linalg.inv(np.eye(12) - 0.5 * U)
    else:
        K = 2 * np.eye(12) + 0.5 * U + 0.25 * U @ U
    first, second = graph.graph_random_features(W, kernel, regularizer=0.4, n_walks=40_000)
    # entries of the estimate have a standard deviation of about 0.005: five of them
    np.testing.assert_allclose((first @ second.T).toarray(), K, atol=0.025)


def test_features_are_reproducible_and_local(monkeypatch):
    W = sparse.block_diag([random_graph(10), random_graph(8, 1), np.zeros((1, 1))])
    first, second = graph.graph_random_features(W, n_walks=10, random_state=3)
    again, _ = graph.graph_random_features(W, n_walks=10, random_state=3)
    np.testing.assert_array_equal(first.toarray(), again.toarray())
    assert (first != second).nnz > 0
    assert not first.toarray()[:10, 10:].any()  # walks stay in their component
    np.testing.assert_allclose(first.toarray()[18], np.r_[np.zeros(18), 1.0])  # exp(0) of an isolated node
    other, _ = graph.graph_random_features(W, n_walks=10, random_state=4)
    assert (first != other).nnz > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel": "log"}, ValueError, "kernel"),
        ({"kernel": [0.0, 1.0]}, ValueError, "positive first coefficient"),
        ({"kernel": []}, ValueError, "kernel"),
        ({"kernel": [1.0, np.nan]}, ValueError, "kernel must be finite"),
        ({"kernel": "inverse", "regularizer": 1.0}, ValueError, "regularizer < 1"),
        ({"regularizer": 0.0}, ValueError, "regularizer"),
        ({"n_walks": 0}, ValueError, "n_walks"),
        ({"halt": 1.0}, ValueError, "halt"),
        ({"halt": 0.0}, ValueError, "halt"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)
def test_features_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        graph.graph_random_features(random_graph(5), **options)
