"""Eigenpairs of graph Laplacians: exact spectra, dense algebra, properties, threads, bad input."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components

from lapwing.exceptions import ConvergenceError, ConvergenceWarning, DisconnectedGraphWarning
from lapwing.linalg import laplacian_eigs

METHODS = ("dense", "approxchol", "cholesky", "chebyshev", "lanczos")


def path(n):
    return sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1]).tocsr()


def cycle(n):
    W = path(n).tolil()
    W[0, n - 1] = W[n - 1, 0] = 1.0
    return W.tocsr()


def product(*graphs):
    """Cartesian product: the spectrum of D - W is every sum of eigenvalues."""
    W = sp.csr_array((1, 1))
    for G in graphs:
        W = sp.kron(W, sp.eye_array(G.shape[0])) + sp.kron(sp.eye_array(W.shape[0]), G)
    return W.tocsr()


def hypercube(d):
    return product(*[path(2)] * d)


def complete(n):
    return sp.csr_array(np.ones((n, n)) - np.eye(n))


def star(n):
    return sp.csr_array((np.ones(n - 1), (np.zeros(n - 1, int), np.arange(1, n))), (n, n)).maximum(
        sp.csr_array((np.ones(n - 1), (np.arange(1, n), np.zeros(n - 1, int))), (n, n))
    )


def bipartite(m, n):
    W = np.zeros((m + n, m + n))
    W[:m, m:] = W[m:, :m] = 1.0
    return sp.csr_array(W)


def path_values(n):
    return 4.0 * np.sin(np.pi * np.arange(n) / (2.0 * n)) ** 2


def cycle_values(n):
    return np.sort(4.0 * np.sin(np.pi * np.arange(n) / n) ** 2)


def sums(*spectra):
    return np.sort([sum(x) for x in itertools.product(*spectra)])


def tree(depth):
    n = 2**depth - 1
    child = np.arange(1, n)
    parent = (child - 1) // 2
    ones = np.ones(n - 1)
    return sp.csr_array((np.r_[ones, ones], (np.r_[child, parent], np.r_[parent, child])), (n, n))


EXACT = {  # name: (graph, spectrum of D - W, every node's degree if they are equal)
    "path": (path(300), path_values(300), None),
    "cycle": (cycle(301), cycle_values(301), 2),
    "grid": (product(path(20), path(31)), sums(path_values(20), path_values(31)), None),
    "torus 2-D": (product(cycle(24), cycle(24)), sums(cycle_values(24), cycle_values(24)), 4),
    "torus 3-D": (product(*[cycle(9)] * 3), sums(*[cycle_values(9)] * 3), 6),
    "complete": (complete(60), np.r_[0.0, np.full(59, 60.0)], 59),
    "star": (star(400), np.r_[0.0, np.ones(398), 400.0], None),
    "bipartite": (bipartite(30, 50), np.sort(np.r_[0.0, np.full(49, 30.0), np.full(29, 50.0), 80.0]), None),
    "hypercube": (hypercube(9), np.repeat(2.0 * np.arange(10), [1, 9, 36, 84, 126, 126, 84, 36, 9, 1]), 9),
}


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        return laplacian_eigs(*args, **options)


def check_pairs(W, result, normalization, tol=1e-8):
    """Residuals, orthonormality and null space, from the dense matrix."""
    A = W.toarray() if sp.issparse(W) else np.asarray(W, float)
    np.fill_diagonal(A, 0.0)
    d = A.sum(1)
    L = np.diag(d) - A
    s = np.sqrt(d) if normalization else np.ones(len(d))
    inverse = np.divide(1.0, s, out=np.zeros_like(s), where=s > 0)
    if normalization:
        L = inverse[:, None] * L * inverse
    V = result.vectors
    residual = np.linalg.norm(L @ V - V * result.values, axis=0) / result.info["norm"]
    assert residual.max() <= 1.01 * tol + 1e-14
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-12 * np.sqrt(len(d)) + 1e-13)
    for c in range(result.null_dim):
        assert np.abs((s * (result.labels == c)) @ V).max() <= 1e-10 * np.linalg.norm(s)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("k", [1, 5, 10, 15])
def test_exact_spectra(name, k, method):
    W, values, degree = EXACT[name]
    result = quiet(W, k, normalization=None, method=method)
    np.testing.assert_allclose(result.values, values[1 : k + 1], atol=1e-12 * values[-1], rtol=1e-10)
    check_pairs(W, result, None)
    if degree is not None:
        scaled = quiet(W, k, method=method)
        np.testing.assert_allclose(scaled.values, values[1 : k + 1] / degree, atol=1e-12, rtol=1e-10)
        check_pairs(W, scaled, "sym")


@pytest.mark.parametrize("method", METHODS)
def test_disjoint_cycles(method):
    W = sp.block_diag([cycle(30)] * 20).tocsr()
    with pytest.warns(DisconnectedGraphWarning, match="20 connected components"):
        result = laplacian_eigs(W, 10, method=method)
    assert result.null_dim == 20
    np.testing.assert_allclose(result.values, cycle_values(30)[1] / 2, rtol=1e-9)
    check_pairs(W, result, "sym")


def random_graph(rng):
    n = int(rng.integers(2, 120))
    density = rng.choice([0.02, 0.1, 0.5])
    A = np.triu(rng.random((n, n)) < density, 1) * rng.choice([1.0, 0.0]) + 0.0
    A = np.where(A > 0, rng.random((n, n)) if rng.random() < 0.7 else 1.0, 0.0)
    if rng.random() < 0.3:
        A = np.where(A > 0, 10.0 ** rng.uniform(-6, 6, (n, n)), 0.0)
    A = np.triu(A, 1)
    if not A.any():
        A[0, -1] = 1.0
    return A + A.T


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_against_dense_algebra(seed):
    """Disconnected, weighted over up to twelve decades, with isolated nodes."""
    rng = np.random.default_rng(seed)
    W = random_graph(rng)
    d = W.sum(1)
    for normalization in (None, "sym"):
        s = np.where(d > 0, np.sqrt(d), 1.0) if normalization else np.ones(len(d))
        values = eigh((np.diag(d) - W) / s[:, None] / s, eigvals_only=True)
        spread = W.max() / W[W > 0].min()
        for method in METHODS:
            if (
                method in ("lanczos", "chebyshev") and spread > 1e6
            ):  # they say that they do not converge, and they are right
                continue
            top = len(d) - int(quiet(W, 1, normalization=normalization, method=method).null_dim)
            k = int(rng.integers(1, min(top, 12) + 1))
            result = quiet(W, k, normalization=normalization, method=method)
            c = result.null_dim
            np.testing.assert_allclose(
                result.values, values[c : c + k], atol=1e-9 * max(values[-1], 1e-300), rtol=1e-6
            )
            check_pairs(W, result, normalization)


def test_methods_agree_up_to_the_basis():
    W = product(cycle(20), path(30))
    one, *others = (quiet(W, 12, method=method, tol=1e-11) for method in METHODS)
    for other in others:
        np.testing.assert_allclose(one.values, other.values, rtol=1e-10)
        np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize("method", ["approxchol", "cholesky", "chebyshev", "lanczos"])
def test_bits_do_not_depend_on_threads(method, n_jobs):
    W = product(cycle(60), path(80))  # several chunks of every loop
    one, other = (quiet(W, 9, method=method, n_jobs=j) for j in (1, n_jobs))
    assert one.values.tobytes() == other.values.tobytes()
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.residuals.tobytes() == other.residuals.tobytes()


def test_relative_accuracy():
    """Eigenvalues that a residual relative to the norm cannot see."""
    n = 20_000
    result = quiet(path(n), 5, normalization=None, accuracy="relative", tol_vec=1e-7)
    np.testing.assert_allclose(result.values, path_values(n)[1:6], rtol=1e-9)
    two = sp.block_diag([complete(40), complete(40)]).tolil()
    two[0, 79] = two[79, 0] = 1e-10
    for method in ("auto", "approxchol", "cholesky"):
        result = quiet(two.tocsr(), 1, normalization=None, accuracy="relative", method=method)
        # (x - y) with the bridge on both sides: 2e-10 e e^T added to the Laplacian of one half
        assert result.values[0] == pytest.approx(1e-10 / 20, rel=1e-9)


@given(st.integers(2, 25), st.integers(0, 1000), st.floats(0.1, 0.9))
def test_relative_accuracy_of_small_graphs(n, seed, density):
    rng = np.random.default_rng(seed)
    W = np.triu((rng.random((n, n)) < density) * 10.0 ** rng.uniform(-3, 3, size=(n, n)), 1)
    W += W.T
    d = W.sum(axis=1)
    values, c = np.linalg.eigvalsh(np.diag(d) - W), connected_components(W)[0]
    if c == n:
        return
    k = int(rng.integers(1, n - c + 1))
    result = quiet(W, k, normalization=None, accuracy="relative")
    assert result.converged
    np.testing.assert_allclose(result.values, values[c : c + k], rtol=1e-9, atol=1e-13 * values[-1])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8, 1e-100, 1e100])
def test_scale(scale):
    W = product(cycle(40), path(50))
    one = quiet(W, 4, method="approxchol")
    other = quiet(W * scale, 4, method="approxchol")
    np.testing.assert_allclose(other.values, one.values, rtol=1e-9)
    plain = quiet(W * scale, 4, normalization=None, method="approxchol")
    np.testing.assert_allclose(plain.values, scale * sums(cycle_values(40), path_values(50))[1:5], rtol=1e-8)


def test_null_vectors_on_request():
    W = sp.block_diag([path(4), path(3), sp.csr_array((1, 1))]).tocsr()
    for form in ("sym", "rw", None):
        result = quiet(W, 2, drop_null=False, normalization=form)
        assert result.vectors.shape == (8, 5)
        assert result.null_dim == 3
        np.testing.assert_array_equal(result.values[:3], 0.0)
        d = W.sum(1)
        weight = np.where(d > 0, d, 1.0) if form == "rw" else np.ones(8)
        np.testing.assert_allclose(
            result.vectors.T @ (weight[:, None] * result.vectors), np.eye(5), atol=1e-12
        )


def test_random_walk_vectors():
    W = product(path(5), path(7))
    result = quiet(W, 4, normalization="rw")
    P = W.toarray() / W.sum(1)[:, None]
    np.testing.assert_allclose(P @ result.vectors, result.vectors * (1.0 - result.values), atol=1e-8)


def test_kinds_of_input():
    W = np.zeros((5, 5))
    W[0, 1] = W[1, 0] = W[1, 2] = W[2, 1] = W[2, 3] = W[3, 2] = W[3, 4] = W[4, 3] = 2.0
    expected = quiet(W, 2).values
    for other in (
        sp.csr_matrix(W),
        sp.csc_array(W),
        sp.coo_array(W),
        W.astype(np.float32),
        W.astype(int),
        W > 0,
    ):
        np.testing.assert_allclose(quiet(other, 2).values, expected, rtol=1e-12)
    with_loops = W + np.diag([1.0, 0.0, 5.0, 0.0, 0.0])
    np.testing.assert_allclose(quiet(with_loops, 2).values, expected, rtol=1e-12)
    nx = pytest.importorskip("networkx")
    np.testing.assert_allclose(quiet(nx.from_numpy_array(W), 2).values, expected, rtol=1e-12)


BAD = [
    (lambda W: W.__setitem__((1, 2), np.nan) or W, ValueError, r"W contains NaN at \(1, 2\)"),
    (lambda W: W.__setitem__((3, 0), np.inf) or W, ValueError, r"W contains an infinite value at \(3, 0\)"),
    (
        lambda W: W.__setitem__((0, 1), -1.0) or W,
        ValueError,
        r"W must not be negative, but it is -1 at \(0, 1\)",
    ),
    (lambda W: W[:, :3], ValueError, r"W must be square, got shape \(4, 3\)"),
    (lambda W: W[:0, :0], ValueError, "W is an empty graph"),
    (lambda W: np.zeros((4, 4)), ValueError, "W has no edges: every node is its own component"),
    (
        lambda W: W + np.eye(4, k=1),
        ValueError,
        r"W must be symmetric, but W\[0, 1\] and W\[1, 0\] differ by 1",
    ),
    (lambda W: W.astype(complex), TypeError, "W is complex"),
    (lambda W: sp.csr_array(W.astype(complex)), TypeError, "W is complex"),
    (lambda W: W[0], ValueError, r"W must be 2-D, got shape \(4,\)"),
    (lambda W: np.array([["a"]]), TypeError, "W must hold real numbers"),
]


@pytest.mark.parametrize(("spoil", "error", "text"), BAD)
def test_bad_graphs(spoil, error, text):
    W = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]], float)
    with pytest.raises(error, match=text):
        laplacian_eigs(spoil(W), 1)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"k": 0}, ValueError, "k must be between 1 and 3, got 0"),
        ({"k": 4}, ValueError, "k must be between 1 and 3, got 4"),
        ({"k": 1.5}, TypeError, "k must be an integer"),
        ({"normalization": "left"}, ValueError, "normalization must be one of 'sym', 'rw', None"),
        ({"accuracy": "relative", "method": "chebyshev"}, ValueError, "needs a method with a factorisation"),
        ({"X0": np.ones((3, 2))}, ValueError, r"X0 must have 4 rows, got shape \(3, 2\)"),
        ({"X0": np.full((4, 2), np.nan)}, ValueError, r"X0 must be finite, but X0\[0, 0\] is nan"),
        ({"method": "lobpcg"}, ValueError, "method must be one of 'auto'"),
        ({"tol": 0.0}, ValueError, "tol must be > 0"),
        ({"accuracy": "high"}, ValueError, "accuracy must be one of"),
        ({"tol_vec": -1.0}, ValueError, "tol_vec must be > 0"),
        ({"max_memory": 0}, ValueError, "max_memory must be > 0"),
        ({"time_limit": 0}, ValueError, "time_limit must be > 0"),
        ({"on_fail": "ignore"}, ValueError, "on_fail must be one of"),
        ({"random_state": "x"}, TypeError, "random_state"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
    ],
)
def test_bad_options(options, error, text):
    W = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]], float)
    with pytest.raises(error, match=text):
        laplacian_eigs(W, **{"k": 1, **options})


@pytest.mark.parametrize("method", ["approxchol", "cholesky", "chebyshev"])
def test_stopping_early_keeps_what_there_is(method):
    W = product(cycle(60), path(80))
    seen = []
    with pytest.warns(ConvergenceWarning, match="eigenpairs reached tol"):
        result = laplacian_eigs(
            W, 5, method=method, callback=lambda info: seen.append(info) or info.iteration == 2
        )
    assert len(seen) == 2
    assert not result.converged
    assert result.info["stopped"]
    check_pairs(W, result, "sym", tol=1.0)
    with pytest.raises(ConvergenceError):
        laplacian_eigs(W, 5, callback=lambda info: True, on_fail="raise")
    with pytest.warns(ConvergenceWarning):
        laplacian_eigs(W, 5, tol=1e-13, time_limit=1e-9)


def clusters(count, size, link):
    """A chain of random graphs."""
    i, j = np.random.default_rng(0).integers(size, size=(2, 7 * size))
    one = sp.coo_array((np.ones(len(i)), (i, j)), shape=(size, size)) + sp.eye_array(size, k=1)
    chain = sp.block_diag([one + one.T] * count, format="lil")
    for at in range(size, count * size, size):
        chain[at, at - 1] = chain[at - 1, at] = link
    return chain.tocsr()


def test_values_that_rounding_hides_behind_the_smallest():
    W = clusters(10, 300, 1e-6)  # 9 eigenvalues below 1e-8, and three of the bulk
    result = quiet(W, 12, method="cholesky")
    assert result.converged
    check_pairs(W, result, "sym")


def test_auto_goes_by_the_structure():
    plane = quiet(product(path(50), path(60)), 4)
    assert (plane.info["method"], "as in a plane" in plane.info["reason"]) == ("cholesky", True)
    small = quiet(product(path(50), path(60)), 4, max_memory=1e3)
    assert (small.info["method"], "more memory" in small.info["reason"]) == ("approxchol", True)
    np.testing.assert_allclose(small.values, plane.values, rtol=1e-9)
    rng = np.random.default_rng(0)
    i, j = rng.integers(3000, size=(2, 20000))
    random = sp.coo_array((np.ones(len(i)), (i, j)), shape=(3000, 3000)).tocsr()
    expander = quiet(random + random.T, 4)
    assert (expander.info["method"], "expander" in expander.info["reason"]) == ("chebyshev", True)
    # What looks like one and is none: the iteration goes on with the other method, from where it stood.
    slow = quiet(clusters(10, 2000, 0.1), 4)
    assert (slow.info["method"], "went on" in slow.info["reason"]) == ("approxchol", True)
    assert slow.converged
    assert quiet(product(cycle(40), cycle(40), cycle(40)), 4).info["method"] == "approxchol"
    assert quiet(product(path(50), path(60)), 4, accuracy="relative").converged


@pytest.mark.parametrize("method", ["approxchol", "chebyshev"])
@pytest.mark.parametrize("normalization", ["sym", "rw", None])
def test_warm_start(method, normalization):
    W = product(path(40), path(50)) + product(path(40), path(50)).multiply(0.3)
    first = quiet(W, 5, method=method, normalization=normalization, tol=1e-10)
    again = quiet(W, 5, method=method, normalization=normalization, X0=first.vectors)
    assert again.info["iterations"] <= 2
    np.testing.assert_allclose(again.values, first.values, rtol=1e-7)
    wide = quiet(W, 2, method=method, normalization=normalization, X0=first.vectors)
    np.testing.assert_allclose(wide.values, first.values[:2], rtol=1e-7)


def test_memory_is_asked_for_beforehand():
    W = product(cycle(60), path(80))
    with pytest.raises(
        MemoryError, match=r"the exact factorisation needs about .* GB, more than the limit of"
    ):
        laplacian_eigs(W, 5, method="cholesky", max_memory=1e5)


def test_arguments_are_left_alone():
    W = product(path(5), path(6)).toarray()
    W.setflags(write=False)
    before = W.copy()
    laplacian_eigs(W, 2)
    laplacian_eigs(sp.csr_array(W), 2)
    np.testing.assert_array_equal(W, before)
