"""Doubly stochastic scaling: row sums, exact small cases, kernels that have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from lapwing import ConvergenceError, InfeasibleError, graph, ot
from lapwing.ot import doubly_stochastic


def kernel(n, d=3, width=1.0, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, d))
    return np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / width)


def check(K, result, r=1.0, tol=1e-8, zero_diagonal=True):
    W = result.matrix.toarray() if sparse.issparse(result.matrix) else result.matrix
    K = K.toarray() if sparse.issparse(K) else np.array(K)
    if zero_diagonal:
        np.fill_diagonal(K, 0.0)
    assert result.converged
    assert np.abs(W.sum(axis=1) / r - 1).max() <= tol * 1.01
    assert result.error <= tol
    np.testing.assert_array_equal(W, W.T)
    np.testing.assert_allclose(W, result.scaling[:, None] * K * result.scaling, rtol=1e-9)


@pytest.mark.parametrize("zero_diagonal", [True, False])
@pytest.mark.parametrize("width", [0.05, 1.0, 100.0])
def test_gaussian_kernels(zero_diagonal, width):
    K = kernel(40, width=width)
    result = doubly_stochastic(K, zero_diagonal=zero_diagonal)
    check(K, result, zero_diagonal=zero_diagonal)
    if not zero_diagonal:
        result = doubly_stochastic(K, zero_diagonal=False, tol=1e-13)
        check(K, result, tol=1e-13, zero_diagonal=False)
    if width == 1.0:
        assert result.n_iter < 60  # the fixed point alone takes hundreds


def test_against_the_plain_fixed_point():
    K = kernel(30)
    np.fill_diagonal(K, 0)
    u = np.ones(30)
    for _ in range(20000):
        u = np.sqrt(u / (K @ u))
    np.testing.assert_allclose(doubly_stochastic(K, tol=1e-12).scaling, u, rtol=1e-9)


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.coo_matrix, sparse.csc_array])
def test_sparse_kernels(convert):
    K = graph.affinity(np.random.default_rng(1).normal(size=(300, 3)), n_neighbors=10)
    result = graph.doubly_stochastic(convert(K))
    assert sparse.issparse(result.matrix)
    check(K, result)
    np.testing.assert_allclose(result.matrix.toarray(), doubly_stochastic(K.toarray()).matrix, rtol=1e-6)
    L = graph.laplacian(result.matrix).toarray()
    np.testing.assert_allclose(L, np.eye(300) - result.matrix.toarray(), atol=1e-7)  # all degrees are one


def test_graph_objects_and_lists():
    networkx = pytest.importorskip("networkx")
    ring = networkx.cycle_graph(5)
    result = doubly_stochastic(ring)
    assert sparse.issparse(result.matrix)
    np.testing.assert_allclose(result.matrix.toarray(), networkx.to_numpy_array(ring) / 2, atol=1e-9)
    assert isinstance(doubly_stochastic([[0, 2], [2, 0]]).matrix, np.ndarray)


@pytest.mark.parametrize("scale", [1e-250, 1e-8, 1e8, 1e250])
def test_scale_of_the_kernel_does_not_matter(scale):
    K = kernel(25)
    first, second = doubly_stochastic(K), doubly_stochastic(scale * K)
    np.testing.assert_allclose(second.matrix, first.matrix, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(second.log_scaling, first.log_scaling - 0.5 * np.log(scale), atol=1e-6)


def test_hundreds_of_decades():
    x = np.linspace(0, 26, 60)
    K = np.exp(-((x[:, None] - x) ** 2))  # down to 1e-293
    check(K, doubly_stochastic(K))


@given(st.integers(3, 15), st.integers(0, 10_000), st.floats(0.1, 10.0))
def test_any_row_sums(n, seed, spread):
    rng = np.random.default_rng(seed)
    K = kernel(n, width=5.0, seed=seed)
    r = 1.0 + spread * rng.uniform(size=n)
    if r.max() > 0.9 * (r.sum() - r.max()):
        r[:] = np.minimum(r, 1.5)
    check(K, doubly_stochastic(K, r), r)
    check(K, doubly_stochastic(K, r, zero_diagonal=False), r, zero_diagonal=False)


def test_two_points():
    result = doubly_stochastic(np.array([[5.0, 0.25], [0.25, 7.0]]))
    np.testing.assert_allclose(result.matrix, [[0, 1], [1, 0]], atol=1e-9)
    np.testing.assert_allclose(result.scaling, [2.0, 2.0], rtol=1e-8)  # the balanced one
    one = doubly_stochastic(np.array([[4.0]]), zero_diagonal=False)
    np.testing.assert_allclose(one.scaling, [0.5])


def test_bipartite_kernels():
    B = np.random.default_rng(0).uniform(0.1, 1, (4, 4))
    K = np.block([[np.zeros((4, 4)), B], [B.T, np.zeros((4, 4))]])
    check(K, doubly_stochastic(K))
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = [1.0, 2.0, 3.0]
    check(star, doubly_stochastic(star, [3.0, 1.0, 1.0, 1.0]), [3.0, 1.0, 1.0, 1.0])
    with pytest.raises(InfeasibleError, match=r"row 0 is in a bipartite component.*2 and 3"):
        doubly_stochastic(star, [2.0, 1.0, 1.0, 1.0])


def test_kernels_without_a_scaling():
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 1.0
    with pytest.raises(InfeasibleError, match="star"):
        doubly_stochastic(star)
    with pytest.raises(InfeasibleError, match="row 0 of K has no positive entry"):
        doubly_stochastic(np.array([[1.0]]))
    with pytest.raises(InfeasibleError, match="row 2 of K has no"):
        doubly_stochastic(np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    with pytest.raises(InfeasibleError, match="row 1 is to sum to 5"):
        doubly_stochastic(np.ones((3, 3)), [1.0, 5.0, 1.0])
    # Support, but not total: the limit of the iteration has a 0 in place of K[0, 0].
    with pytest.raises(InfeasibleError, match=r"entry \(0, 0\) of K lies on no permutation"):
        doubly_stochastic(np.array([[1.0, 1.0], [1.0, 0.0]]), zero_diagonal=False)
    # A path of three edges: its middle edge is on no perfect matching.
    path = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)
    with pytest.raises(InfeasibleError, match=r"entry \(1, 2\)"):
        doubly_stochastic(path)
    # With given sums only the run can tell: nodes 0 and 1 have one neighbour, which cannot serve both.
    K = np.array([[0.0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1]])
    with pytest.raises(InfeasibleError, match="no scaling seems to exist"):
        doubly_stochastic(K, [1.0, 1.0, 1.5, 1.0], zero_diagonal=False)


def test_support_against_all_permutations():
    from itertools import permutations

    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(150):
        n = int(rng.integers(2, 6))
        K = np.triu(rng.uniform(size=(n, n)) < 0.5).astype(float)
        K = np.maximum(K, K.T)
        covered = np.zeros((n, n), dtype=bool)
        for p in permutations(range(n)):
            if all(K[i, p[i]] for i in range(n)):
                covered[np.arange(n), p] = True
        exists = bool(covered.any() and (covered >= (K > 0)).all())
        seen.add(exists)
        if exists:
            check(K, doubly_stochastic(K, zero_diagonal=False), zero_diagonal=False)
        else:
            with pytest.raises(InfeasibleError):
                doubly_stochastic(K, zero_diagonal=False)
    assert seen == {True, False}


def test_not_enough_iterations():
    K = kernel(30)
    with pytest.warns(UserWarning, match="in 2 iterations, not tol"):
        result = doubly_stochastic(K, max_iter=2)
    assert not result.converged
    assert result.error > 1e-8
    with pytest.raises(ConvergenceError):
        doubly_stochastic(K, max_iter=2, on_fail="raise")


def test_noise_of_different_strength():
    # The case for the zero diagonal: with noise in many dimensions, stronger in one half of the points,
    # scaled weights stay those of the clean data; those of the plain random walk do not.
    rng = np.random.default_rng(0)
    n, p = 100, 2000
    X = np.zeros((n, p))
    X[:, :2] = rng.normal(size=(n, 2))
    strength = np.where(np.arange(n) < 50, 0.02, 0.06)
    Y = X + strength[:, None] * rng.normal(size=(n, p))
    clean, noisy = (np.exp(-((Z[:, None] - Z) ** 2).sum(axis=2) / 2.0) for Z in (X, Y))
    target = doubly_stochastic(clean).matrix
    scaled = np.abs(doubly_stochastic(noisy).matrix - target).sum() / target.sum()
    walk = noisy / noisy.sum(axis=1)[:, None]
    plain = clean / clean.sum(axis=1)[:, None]
    assert scaled < 0.1
    assert np.abs(walk - plain).sum() / plain.sum() > 4 * scaled


@pytest.mark.parametrize(
    ("K", "options", "error", "message"),
    [
        (np.array([[1.0, 2], [3, 1]]), {}, ValueError, "symmetric"),
        (-np.ones((2, 2)), {}, ValueError, "K must not be negative"),
        (np.full((2, 2), np.nan), {}, ValueError, "K contains NaN"),
        (np.ones((2, 3)), {}, ValueError, "K must be square"),
        (np.ones((3, 3)) * 1j, {}, TypeError, "K"),
        (np.ones((3, 3)), {"tol": 0.0}, ValueError, "tol"),
        (np.ones((3, 3)), {"max_iter": 0}, ValueError, "max_iter"),
        (np.ones((3, 3)), {"on_fail": "ignore"}, ValueError, "on_fail"),
        (np.ones((3, 3)), {"row_sums": [1.0, 1.0]}, ValueError, "row_sums must have shape"),
        (np.ones((3, 3)), {"row_sums": [1.0, 0.0, 1.0]}, ValueError, r"row_sums\[1\] is 0"),
    ],
)
def test_bad_input(K, options, error, message):
    with pytest.raises(error, match=message):
        ot.doubly_stochastic(K, **options)


# -- points, without a matrix ---------------------------------------------------------------------------


@pytest.mark.parametrize("zero_diagonal", [True, False])
@pytest.mark.parametrize(("d", "reg"), [(3, 0.05), (3, 1.0), (3, 100.0), (30, 1.0), (30, 30.0)])
def test_points_are_their_kernel(zero_diagonal, d, reg):
    X = np.random.default_rng(0).normal(size=(70, d))
    C = ((X[:, None] - X) ** 2).sum(axis=2)
    result = doubly_stochastic(X, reg=reg, zero_diagonal=zero_diagonal, tol=1e-10)
    assert result.converged
    logs = result.log_scaling[:, None] + result.log_scaling - C / reg
    if zero_diagonal:
        np.fill_diagonal(logs, -np.inf)
    W = np.exp(logs)
    np.testing.assert_allclose(W.sum(axis=1), 1, atol=2e-10)
    V = np.random.default_rng(1).normal(size=(70, 3))
    np.testing.assert_allclose(result.matrix @ V, W @ V, atol=1e-9)
    np.testing.assert_allclose(result.matrix.rmatvec(V[:, 0]), W @ V[:, 0], atol=1e-9)
    if reg >= 1.0 and d == 3:
        stored = doubly_stochastic(np.exp(-C / reg), zero_diagonal=zero_diagonal, tol=1e-10)
        np.testing.assert_allclose(result.log_scaling, stored.log_scaling, atol=1e-7)


def test_points_with_row_sums_duplicates_and_metrics():
    X = np.random.default_rng(2).normal(size=(50, 4))
    X[10] = X[11]
    r = np.random.default_rng(3).random(50) + 0.1
    for metric in ot.METRICS:
        result = doubly_stochastic(X, r, reg=0.7, metric=metric)
        np.testing.assert_allclose(result.matrix @ np.ones(50), r, rtol=1e-8)
    answers = {doubly_stochastic(X, r, reg=0.7, n_jobs=j).log_scaling.tobytes() for j in (1, 2, 4)}
    assert len(answers) == 1


def test_points_that_have_no_scaling():
    with pytest.raises(InfeasibleError, match="one point"):
        doubly_stochastic(np.zeros((1, 2)), reg=1.0)
    with pytest.raises(InfeasibleError, match="row 0 is to sum to 3"):
        doubly_stochastic(np.zeros((3, 2)), [3.0, 1.0, 1.0], reg=1.0)
    two = doubly_stochastic(np.array([[0.0], [2.0]]), reg=1.0)
    np.testing.assert_allclose(two.matrix @ np.eye(2), [[0, 1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(two.log_scaling, [2, 2], atol=1e-8)  # the balanced one
    with pytest.raises(ValueError, match="reg must be > 0"):
        doubly_stochastic(np.zeros((3, 2)), reg=-1.0)
    with pytest.raises(ValueError, match="K must be finite"):
        doubly_stochastic(np.array([[np.nan], [1.0]]), reg=1.0)
    alone = doubly_stochastic(np.array([[5.0]]), reg=1.0, zero_diagonal=False)
    assert alone.converged
