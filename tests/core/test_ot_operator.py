"""Kernels as operators: against the matrix, inside the eigensolvers, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lapwing import linalg, ot


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_those_of_the_matrix(metric, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(130, 4)).astype(dtype), rng.normal(size=(90, 4)).astype(dtype)
    u, v = rng.uniform(0, 2, 130), rng.uniform(0, 2, 90)
    u[3] = 0
    K = ot.kernel_operator(X, Y, reg=0.7, u=u, v=v, metric=metric)
    M = u[:, None] * np.exp(-cdist(X, Y, metric) / 0.7) * v
    V, U = rng.normal(size=(90, 5)), rng.normal(size=(130, 5))
    tol = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(K @ V, M @ V, rtol=tol, atol=tol * np.abs(M).sum())
    np.testing.assert_allclose(K.T @ U, M.T @ U, rtol=tol, atol=tol * np.abs(M).sum())
    np.testing.assert_allclose(K @ V[:, 0], M @ V[:, 0], rtol=tol, atol=tol * np.abs(M).sum())


def test_leading_eigenpairs_of_a_normalised_gaussian_kernel():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 3))
    M = np.exp(-cdist(X, X, "sqeuclidean") / 0.5)
    u = 1 / np.sqrt(M.sum(axis=1))
    found = linalg.eigsh(ot.kernel_operator(X, reg=0.5, u=u), 6, which="LA")
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(u[:, None] * M * u)[:-7:-1], atol=1e-8)
    assert found.values[0] == pytest.approx(1)


def test_singular_triplets_of_a_plan():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(200, 2)), rng.normal(size=(150, 2))
    result = ot.solve_sample(X, Y, reg=0.5, tol=1e-10)
    f, g = result.potentials
    P = ot.kernel_operator(X, Y, reg=0.5, u=np.exp(f / 0.5) / 200, v=np.exp(g / 0.5) / 150)
    np.testing.assert_allclose(P @ np.eye(150), result.plan, atol=1e-14)
    s = linalg.svds(P, 4)[1]
    np.testing.assert_allclose(s, np.linalg.svd(result.plan)[1][:4], rtol=1e-8)


def test_threads_do_not_change_a_bit():
    X = np.random.default_rng(3).normal(size=(3000, 3))
    V = np.random.default_rng(4).normal(size=(3000, 4))
    one, two = (ot.kernel_operator(X, reg=0.1, n_jobs=k) @ V for k in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"reg": 0.0}, "reg must be > 0"),
        ({"u": -np.ones(5)}, "u must not be negative"),
        ({"v": np.ones(4)}, r"v must have shape \(5,\)"),
        ({"Y": np.ones((5, 3))}, "same number of columns"),
        ({"metric": "l1"}, "metric must be one of"),
    ],
)
def test_bad_input(change, text):
    with pytest.raises(ValueError, match=text):
        ot.kernel_operator(np.ones((5, 2)), **{"reg": 1.0, **change})
