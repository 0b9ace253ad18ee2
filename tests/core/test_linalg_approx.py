"""Laplacian systems: exact solutions, trees, spread weights, components, threads, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from lapwing.exceptions import ConvergenceWarning
from lapwing.linalg import ApproxCholesky


def random_graph(n, degree, decades, rng):
    m = n * degree // 2
    i, j = rng.integers(n, size=m), rng.integers(n, size=m)
    w = 10.0 ** rng.uniform(-decades, decades, m)
    A = sp.coo_array((w, (i, j)), (n, n)).tocsr()
    A.setdiag(0.0)
    A.eliminate_zeros()
    return (A + A.T).tocsr()


def laplacian(W):
    return sp.diags_array(W.sum(axis=1)) - W


@pytest.mark.parametrize("decades", [0, 3, 6])
@pytest.mark.parametrize("split", [1, 2, 3])
def test_solves_to_the_tolerance(decades, split):
    rng = np.random.default_rng(0)
    W = random_graph(3000, 5, decades, rng)
    solver = ApproxCholesky(W, split)
    L = laplacian(W)
    B = L @ rng.normal(size=(3000, 4))
    X = solver.solve(B, tol=1e-9)
    residual = np.linalg.norm(L @ X - B, axis=0) / np.linalg.norm(B, axis=0)
    assert residual.max() <= 1.05e-9
    np.testing.assert_allclose(residual, solver.residuals_, atol=1e-12)
    assert solver.n_iter_ < 60
    _, labels = sp.csgraph.connected_components(W)
    assert np.abs(np.bincount(labels, weights=X[:, 0]) / np.bincount(labels)).max() <= 1e-9 * np.abs(X).max()


def test_iterations_do_not_grow():
    counts = []
    for n in (30, 100, 300):
        W = sp.kronsum(*[sp.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1])] * 2).tocsr()
        W = sp.csr_array(W)
        solver = ApproxCholesky(W)
        b = np.random.default_rng(1).normal(size=n * n)
        solver.solve(b - b.mean())
        counts.append(solver.n_iter_)
    assert max(counts) <= 40, counts


def test_tree_takes_one_step():
    n = 5000
    rng = np.random.default_rng(2)
    child = np.arange(1, n)
    parent = (rng.random(n - 1) * child).astype(int)
    w = 10.0 ** rng.uniform(-2, 2, n - 1)
    W = sp.coo_array((np.r_[w, w], (np.r_[child, parent], np.r_[parent, child])), (n, n)).tocsr()
    solver = ApproxCholesky(W)
    assert solver.nnz == n - 1
    b = rng.normal(size=n)
    solver.solve(b - b.mean(), tol=1e-6)
    assert solver.n_iter_ <= 3


def test_expected_factor_is_the_laplacian():
    """On a 5-clique: the mean over seeds of what the factor inverts."""
    n = 5
    W = np.array([[0, 3, 5, 1, 2], [3, 0, 4, 2, 1], [5, 4, 0, 6, 1], [1, 2, 6, 0, 3], [2, 1, 1, 3, 0]], float)
    basis = np.eye(n) - 1 / n
    total, square, seeds = np.zeros((n, n)), np.zeros((n, n)), 3000
    for seed in range(seeds):
        solver = ApproxCholesky(W, random_state=seed)
        M = solver._solver.apply(basis)
        factor = np.linalg.pinv((M + M.T) / 2, rcond=1e-6)
        total += factor
        square += factor**2
    mean = total / seeds
    error = np.sqrt(np.maximum(square / seeds - mean**2, 0) / seeds)
    assert (np.abs(mean - laplacian(sp.csr_array(W)).toarray()) <= 4 * error + 1e-6).all()


def test_components_and_isolated_nodes():
    W = sp.block_diag([random_graph(200, 6, 0, np.random.default_rng(3)), sp.csr_array((3, 3))]).tocsr()
    solver = ApproxCholesky(W)
    b = np.random.default_rng(4).normal(size=203)
    x = solver.solve(b)
    _, labels = sp.csgraph.connected_components(W)
    inside = b - (np.bincount(labels, weights=b) / np.bincount(labels))[labels]
    np.testing.assert_allclose(laplacian(W) @ x, inside, atol=1e-7)
    np.testing.assert_array_equal(x[200:], 0.0)


def test_bits_do_not_depend_on_threads():
    W = random_graph(40_000, 4, 1, np.random.default_rng(5))
    b = np.random.default_rng(6).normal(size=(40_000, 3))
    answers = [ApproxCholesky(W, n_jobs=j).solve(b, tol=1e-3).tobytes() for j in (1, 2, 4)]
    assert answers[0] == answers[1] == answers[2]


def test_bad_input():
    W = np.array([[0, 1.0], [1.0, 0]])
    with pytest.raises(ValueError, match="split must be between 1 and 8, got 0"):
        ApproxCholesky(W, 0)
    with pytest.raises(ValueError, match="W has no edges"):
        ApproxCholesky(np.zeros((3, 3)))
    solver = ApproxCholesky(W)
    with pytest.raises(ValueError, match=r"B must have shape \(2,\) or \(2, m\), got \(3,\)"):
        solver.solve(np.ones(3))
    with pytest.raises(ValueError, match=r"B must be finite, but B\[1\] is nan"):
        solver.solve(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="tol must be > 0"):
        solver.solve(np.ones(2), tol=0)
    with pytest.raises(ValueError, match="max_iter must be >= 1"):
        solver.solve(np.ones(2), max_iter=0)
    np.testing.assert_array_equal(solver.solve(np.ones(2)), 0.0)
    assert solver.solve(np.ones((2, 0))).shape == (2, 0)


def test_not_converged_is_said():
    W = random_graph(2000, 4, 2, np.random.default_rng(7))
    with pytest.warns(ConvergenceWarning, match="after 1 iterations"):
        ApproxCholesky(W).solve(np.random.default_rng(8).normal(size=2000), tol=1e-12, max_iter=1)
