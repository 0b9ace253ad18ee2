"""Diffusion spectral entropy: exact values, figures of the specification, the stochastic estimate."""

import numpy as np
import pytest

from lapwing.metrics import diffusion_spectral_entropy as dse
from lapwing.metrics import diffusion_spectral_mutual_information as dsmi


def clusters(c, each=30, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(c), each)
    return 1e4 * labels[:, None] + 0.01 * rng.normal(size=(c * each, 3)), labels


def gaussians(k, n=500, seed=0):
    """k-dimensional standard Gaussians in 20 dimensions."""
    X = np.zeros((n, 20))
    X[:, :k] = np.random.default_rng(seed).normal(size=(n, k))
    return X


@pytest.mark.parametrize("c", [2, 4, 8])
def test_tight_clusters(c):
    X, labels = clusters(c)
    assert dse(X) == pytest.approx(np.log2(c), abs=2e-4)
    assert dsmi(X, labels) == pytest.approx(np.log2(c), abs=4e-4)
    assert dsmi(X, np.zeros(len(X))) == pytest.approx(0.0, abs=1e-12)


def test_gaussians_of_growing_dimension():
    # Figures of the specification, from one sample; over samples the first varies by 0.1.
    found = [np.mean([dse(gaussians(k, seed=s), sigma=1.0) for s in range(3)]) for k in (1, 2, 4, 8, 16)]
    np.testing.assert_allclose(found, [1.99, 3.84, 6.41, 8.44, 8.96], atol=0.15)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("t", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_by_its_definition(t, alpha):
    X = gaussians(3, 60)
    G = np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / 2)
    q = G.sum(axis=1)
    G = G / np.outer(q, q) ** alpha
    P = G / G.sum(axis=1)[:, None]
    mu = np.abs(np.linalg.eigvals(P).real) ** t
    p = mu / mu.sum()
    expected = -(p[p > 0] * np.log2(p[p > 0])).sum()
    # the square root of eigenvalues at rounding level is not small
    assert dse(X, sigma=1.0, t=t, alpha=alpha) == pytest.approx(expected, abs=1e-9 if t >= 1 else 1e-4)


@pytest.mark.parametrize(("alpha", "t"), [(0.0, 1.0), (1.0, 1.0), (0.0, 2.0)])
def test_stochastic_estimate(alpha, t):
    X = gaussians(4, 400)
    exact = dse(X, sigma=1.0, alpha=alpha, t=t)
    value, error = dse(X, sigma=1.0, alpha=alpha, t=t, method="lanczos", return_error=True)
    assert 0 < error < 0.1
    assert abs(value - exact) < 4 * error  # for this seed; 64 probes
    assert dse(X, sigma=1.0, return_error=True)[1] == 0.0
    more = [dse(X, sigma=1.0, alpha=alpha, t=t, method="lanczos", random_state=s) for s in range(12)]
    assert 0.3 * error < np.std(more) < 3 * error  # it is a standard error
    assert abs(np.mean(more) - exact) < 2.5 * error


def test_groups_of_probes(monkeypatch):
    from lapwing.metrics import _entropy

    X = gaussians(3, 200)
    whole = dse(X, sigma=1.0, method="lanczos", return_error=True)
    monkeypatch.setattr(_entropy, "BASIS", 200 * 30 * 7)
    monkeypatch.setattr(_entropy, "TILE", 5000)
    parts = dse(X, sigma=1.0, method="lanczos", return_error=True)
    np.testing.assert_allclose(parts, whole, rtol=1e-9)


def test_estimate_of_clusters_and_few_points():
    X, _ = clusters(4)
    value, error = dse(X, method="lanczos", n_probes=256, return_error=True)
    assert abs(value - 2.0) < 4 * error + 1e-3
    assert dse(X[:1]) == 0.0
    assert dse(X[:1], method="lanczos") == pytest.approx(0.0, abs=1e-12)
    assert dse(np.zeros((5, 2))) == pytest.approx(0.0, abs=1e-10)


def test_threads_do_not_change_a_bit():
    from threadpoolctl import threadpool_limits

    X = gaussians(5, 300)
    for method in ("exact", "lanczos"):
        found = set()
        for n in (1, 2, 4):
            with threadpool_limits(n):
                found.add(dse(X, sigma=1.0, method=method))
        assert len(found) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigma": 0.0}, ValueError, "sigma"),
        ({"t": 0.0}, ValueError, "t must be"),
        ({"alpha": np.nan}, ValueError, "alpha"),
        ({"method": "fast"}, ValueError, "method"),
        ({"n_steps": 0}, ValueError, "n_steps"),
        ({"n_probes": 1}, ValueError, "n_probes"),
        ({"random_state": -1}, ValueError, "random_state"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        dse(gaussians(2, 20), **options)
    with pytest.raises(ValueError, match="X must be finite"):
        dse(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match=r"labels must have shape \(20,\)"):
        dsmi(gaussians(2, 20), np.zeros(19))
