"""eigsh and svds: against LAPACK, on operators, with copies of eigenvalues, and bad input."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from lapwing.exceptions import ConvergenceError, ConvergenceWarning
from lapwing.linalg import eigsh, svds


def symmetric(n, seed=0):
    A = np.random.default_rng(seed).normal(size=(n, n))
    return (A + A.T) / 2


@pytest.mark.parametrize("which", ["SA", "LA"])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (5, 5), (40, 7), (300, 12)])
def test_against_lapack(n, k, which):
    A = symmetric(n)
    truth = np.linalg.eigvalsh(A)
    truth = truth[:k] if which == "SA" else truth[::-1][:k]
    result = eigsh(A, k, which)
    assert result.converged
    scale = np.abs(np.linalg.eigvalsh(A)).max()
    np.testing.assert_allclose(result.values, truth, atol=1e-8 * scale)
    V = result.vectors
    np.testing.assert_allclose(V.T @ V, np.eye(k), atol=1e-12 * n)
    assert np.linalg.norm(A @ V - V * result.values, axis=0).max() <= 1.01e-8 * scale * 1.2
    assert result.labels is None


def test_copies_beyond_the_block_are_found():
    values = np.r_[np.zeros(9), np.ones(6), np.linspace(2, 3, 200)]
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(len(values), len(values))))
    A = (Q * values) @ Q.T
    result = eigsh(A, 12, width=2)
    np.testing.assert_allclose(result.values, values[:12], atol=1e-8)
    assert result.info["verified"]
    assert result.info["rounds"] > 1


@pytest.mark.parametrize("n", [150, 200, 230, 256])
def test_two_eigenvalues_and_nothing_else(n):
    """The block is invariant after two steps: what is left of its image is rounding, not a direction."""
    S = np.kron(np.array([[0.6, 0.1], [0.1, 0.6]]), np.ones((n // 2, n // 2)))
    np.fill_diagonal(S, 1.0)
    d = S.sum(axis=1)
    A = LinearOperator(
        (n, n), matvec=lambda x: d * x - S @ x, matmat=lambda X: d[:, None] * X - S @ X, dtype=float
    )
    for seed in range(4):
        result = eigsh(
            A,
            2,
            null=np.full((n, 1), n**-0.5),
            verify=False,
            norm_bound=2 * d.max(),
            tol=1e-10,
            random_state=seed,
        )
        assert result.converged
        # 0.1 n, and 0.35 n the other n - 2 times
        assert result.values == pytest.approx([0.1 * n, 0.35 * n], rel=1e-9)


def test_known_vectors_are_left_out():
    A = symmetric(60)
    values, vectors = np.linalg.eigh(A)
    result = eigsh(A, 3, null=vectors[:, [0, 2]], norm_bound=np.abs(values).max())
    np.testing.assert_allclose(result.values, values[[1, 3, 4]], atol=1e-7)
    assert result.null_dim == 2
    with pytest.raises(ValueError, match="must be orthonormal"):
        eigsh(A, 3, null=np.ones((60, 1)))
    with pytest.raises(ValueError, match=r"null must have 60 rows, got shape \(5, 1\)"):
        eigsh(A, 3, null=np.ones((5, 1)))


class OnTheFly:
    """A Gaussian kernel, never stored."""

    def __init__(self, X):
        self.X, self.shape, self.widths = X, (len(X), len(X)), set()

    def matmat(self, V):
        self.widths.add(V.shape[1])
        out = np.empty_like(V)
        for i, x in enumerate(self.X):
            out[i] = np.exp(-((self.X - x) ** 2).sum(1)) @ V
        return out


def test_operators():
    X = np.random.default_rng(2).normal(size=(120, 2))
    op = OnTheFly(X)
    K = op.matmat(np.eye(120))
    op.widths.clear()
    truth = np.linalg.eigvalsh(K)[::-1][:5]
    np.testing.assert_allclose(eigsh(op, 5, "LA", width=8).values, truth, rtol=1e-7)
    assert max(op.widths) == 8
    for A in (K, sp.csr_array(K), sp.csc_matrix(K), aslinearoperator(K), K.astype(np.float32), K.tolist()):
        np.testing.assert_allclose(eigsh(A, 5, "LA").values, truth, rtol=1e-5)


@pytest.mark.parametrize("n_jobs", [2, 4])
def test_threads_do_not_change_a_bit(n_jobs):
    A = sp.diags_array([np.arange(9000.0), np.ones(8999), np.ones(8999)], offsets=[0, 1, -1]).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = (eigsh(A, 3, "LA", max_products=400, n_jobs=j) for j in (1, n_jobs))
        u, v = (svds(A[:, :5000], 3, max_products=8, n_jobs=j) for j in (1, n_jobs))
    np.testing.assert_array_equal(one.vectors, other.vectors)
    for x, y in zip(u, v, strict=True):
        np.testing.assert_array_equal(x, y)


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 100))
def test_singular_triplets(m, n, seed):
    A = np.random.default_rng(seed).normal(size=(m, n))
    k = min(m, n, 3)
    U, s, Vt = svds(A, k, tol=1e-9)
    np.testing.assert_allclose(s, np.linalg.svd(A, compute_uv=False)[:k], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(U.T @ U, np.eye(k), atol=1e-8)
    np.testing.assert_allclose(A @ Vt.T, U * s, atol=1e-7 * s[0])
    np.testing.assert_allclose(A.T @ U, Vt.T * s, atol=1e-7 * s[0])


def test_singular_triplets_of_operators():
    A = sp.random_array((80, 50), density=0.2, rng=3)
    truth = np.linalg.svd(A.toarray(), compute_uv=False)[:4]
    for B in (A.tocsr(), aslinearoperator(A), A.toarray()):
        np.testing.assert_allclose(svds(B, 4, tol=1e-9)[1], truth, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.ones((3, 4)), 1), ValueError, r"A must be square, got shape \(3, 4\)"),
        ((np.ones(3), 1), ValueError, "A must be 2-D"),
        ((np.ones((0, 0)), 1), ValueError, "not empty"),
        ((np.eye(3) * 1j, 1), TypeError, "A is complex"),
        ((np.eye(3), 0), ValueError, "k must be between 1 and 3, got 0"),
        ((np.eye(3), 4), ValueError, "k must be between 1 and 3, got 4"),
        ((np.eye(3), 1, "LM"), ValueError, "which must be one of 'SA', 'LA'"),
        ((np.full((3, 3), np.nan), 1), ValueError, "a product with A is not finite"),
        ((LinearOperator((3, 3), matvec=lambda x: 1 / 0, dtype=float), 1), ZeroDivisionError, "division"),
    ],
)
def test_bad_input(arguments, error, text):
    with pytest.raises(error, match=text):
        eigsh(*arguments)


def test_stopping_early():
    A = sp.diags_array(np.linspace(0, 1, 5000) ** 2)
    with pytest.warns(ConvergenceWarning, match="eigenpairs reached tol"):
        result = eigsh(A, 4, max_products=60)
    assert not result.converged
    assert result.residuals.max() < 1.0
    with pytest.raises(ConvergenceError):
        eigsh(A, 4, max_products=60, on_fail="raise")
    with pytest.warns(ConvergenceWarning):
        assert eigsh(A, 4, callback=lambda info: True).info["stopped"]
    with pytest.warns(ConvergenceWarning, match="singular triplets"):
        svds(A, 4, max_products=1, tol=1e-12)
    with pytest.raises(ConvergenceError):
        svds(A, 4, max_products=1, tol=1e-12, on_fail="raise")
