"""Eigenvalues counted by the inertia of a factorisation: dense algebra, closed forms, certificates."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigh

from lapwing import _backend
from lapwing.exceptions import ConvergenceWarning
from lapwing.linalg import count_below, laplacian_eigs


def cycle(n):
    rows = np.arange(n)
    W = sp.coo_array((np.ones(n), (rows, (rows + 1) % n)), shape=(n, n)).tocsr()
    return W + W.T


def torus(m):
    ring, one = cycle(m), sp.eye_array(m)
    return (sp.kron(ring, one) + sp.kron(one, ring)).tocsr()


def spectrum(W, normalization):
    W = W.toarray()
    degrees = W.sum(axis=1)
    L = np.diag(degrees) - W
    if normalization is None:
        return np.linalg.eigvalsh(L)
    keep = degrees > 0  # a zero row for each isolated node
    values = eigh(L[np.ix_(keep, keep)], np.diag(degrees[keep]), eigvals_only=True)
    return np.sort(np.r_[np.zeros((~keep).sum()), values])


@given(
    n=st.integers(2, 40), seed=st.integers(0, 2**31), density=st.floats(0.05, 0.9), decades=st.floats(0, 6)
)
def test_counts_of_random_graphs(n, seed, density, decades):
    rng = np.random.default_rng(seed)
    upper = np.triu((rng.random((n, n)) < density) * 10 ** (decades * rng.random((n, n))), 1)
    W = sp.csr_array(upper + upper.T)
    for normalization in ("sym", None):
        values = spectrum(W, normalization)
        top = values[-1] if values[-1] > 0 else 1.0
        # in the middle of gaps that rounding of the dense solver cannot close
        wide = np.flatnonzero(np.diff(values) > 1e-6 * top)
        for i in wide[:: max(1, len(wide) // 5)]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                assert count_below(W, values[i : i + 2].mean(), normalization=normalization) == i + 1
        assert count_below(W, 3.0 * top, normalization=normalization) == n


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e100])
def test_counts_of_a_torus_at_any_scale(scale):
    m = 40
    one = 4 * np.sin(np.pi * np.arange(m) / m) ** 2
    values = np.sort(np.add.outer(one, one).ravel())
    for sigma in (0.01, 0.03, 0.5, 3.3, 7.9):
        expected = int((values < sigma).sum())
        assert count_below(torus(m) * scale, sigma * scale, normalization=None) == expected
        assert count_below(torus(m) * scale, sigma / 4) == expected


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    W = torus(60)
    D = sp.diags_array(rng.random(3600) + 0.5)
    W = D @ W @ D
    W = (W + W.T).tocsr()
    W.sort_indices()
    arrays = (W.indptr.astype(np.int64), W.indices.astype(np.int32), W.data)
    found = {_backend.extension().count_below(*arrays, "symmetric", 0.3, 1e9, n) for n in (1, 2, 4)}
    assert len(found) == 1
    assert next(iter(found))[1] < 1e-10  # and the factors stand for the matrix


@pytest.mark.parametrize("method", ["dense", "approxchol", "cholesky", "chebyshev", "lanczos"])
@pytest.mark.parametrize("k", [3, 4, 8, 10])
def test_certified(method, k):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # k cuts a group of equal values
        result = laplacian_eigs(torus(30), k, method=method, certify=True)
    assert result.info["certified"] is True
    assert result.info["counted"] in (1, 5, 9)  # before a group: 1, and groups of four
    assert result.info["counted_below"] < result.values[-1]


def test_certified_with_components_and_isolated_nodes():
    W = sp.block_diag([torus(12), cycle(9), sp.csr_array((3, 3)), cycle(5)]).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for normalization in ("sym", "rw", None):
            result = laplacian_eigs(W, 7, normalization=normalization, certify=True)
            assert result.info["certified"] is True
            assert result.info["counted"] >= 6  # the null space


def test_what_is_missing_is_told(monkeypatch):
    """A set without one of its members is not certified."""
    core = _backend.extension()
    real = core.laplacian_eigs

    class Forgetful:
        def __getattr__(self, name):
            return getattr(core, name)

        def laplacian_eigs(self, *arguments):
            vectors = arguments[14]
            n, k = vectors.shape
            more = np.empty((n, k + 1))
            changed = list(arguments)
            changed[3], changed[14] = k + 1, more
            found = real(*changed)
            vectors[...] = np.delete(more, 1, axis=1)
            for name in ("values", "residuals"):
                found[name] = np.delete(found[name], 1)
            return found

    monkeypatch.setattr(_backend, "extension", Forgetful)
    W = torus(30)
    W[0, 1] = W[1, 0] = 1.5  # no equal values
    with pytest.warns(
        ConvergenceWarning, match=r"there are \d+ eigenvalues below .*, of which \d+ were found"
    ):
        result = laplacian_eigs(W, 8, method="approxchol", certify=True)
    assert result.info["certified"] is False


def test_without_memory_there_is_no_certificate():
    with pytest.warns(UserWarning, match="certify=True: the factorisation would take more than 1e-06 GB"):
        result = laplacian_eigs(torus(50), 4, method="approxchol", certify=True, max_memory=1e3)
    assert result.converged
    assert result.info["certified"] is None
    with pytest.raises(MemoryError, match="the exact factorisation needs about"):
        count_below(torus(50), 0.1, max_memory=1e3)


def test_bad_input():
    with pytest.raises(ValueError, match="sigma must be > 0, got 0"):
        count_below(cycle(5), 0.0)
    with pytest.raises(ValueError, match="sigma must be finite"):
        count_below(cycle(5), np.inf)
    with pytest.raises(ValueError, match="normalization must be"):
        count_below(cycle(5), 1.0, normalization="none")
    with pytest.raises(ValueError, match="W must be symmetric"):
        count_below(np.array([[0.0, 1.0], [0.5, 0.0]]), 1.0)
    assert count_below(np.zeros((4, 4)), 1.0) == 4  # no edges: all eigenvalues are 0
