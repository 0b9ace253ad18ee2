"""Newton's method on the entries that carry mass: certificates recomputed here, hard plans, what stops it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning


def error_of(C, a, b, result):
    f, g = result.potentials
    logs = (f[:, None] + g[None, :] - C) / result.reg + np.log(a)[:, None] + np.log(b)[None, :]
    rows, columns = np.exp(logsumexp(logs, axis=1)), np.exp(logsumexp(logs, axis=0))
    return (np.abs(rows - a).sum() + np.abs(columns - b).sum()) / a.sum()


def uniform(n):
    return np.full(n, 1 / n)


def clouds(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 1 / np.sqrt(d)


@pytest.mark.parametrize("d", [2, 50])
@pytest.mark.parametrize("ratio", [5e-3, 1e-3, 1e-4])
def test_small_regularisation(d, ratio):
    X, Y = clouds(400, d)
    result = ot.solve_sample(X, Y, reg=ratio, reg_scale="median", tol=1e-9)
    assert result.converged
    assert result.n_newton > 0
    assert "Newton" in result.reason
    assert "newton" in {h.kind for h in result.history}
    C = cdist(X, Y, "sqeuclidean")
    assert error_of(C, uniform(400), uniform(400), result) <= 2e-9
    assert abs(result.gap) <= 1e-8 * result.value
    assert result.n_sweeps <= 60


@pytest.mark.parametrize("reg", [0.02, 0.1])
def test_the_plan_of_plain_sweeps(reg):
    rng = np.random.default_rng(1)
    C = rng.uniform(size=(90, 70))
    a, b = rng.dirichlet(np.ones(90)), rng.dirichlet(np.ones(70))
    plain = ot.solve(C, a, b, reg=reg, method="sinkhorn", acceleration=None, tol=1e-12, max_iter=100_000)
    newton = ot.solve(C, a, b, reg=reg, method="newton", tol=1e-12)
    assert newton.n_newton > 0
    assert newton.n_sweeps < plain.n_sweeps
    np.testing.assert_allclose(newton.plan, plain.plan, rtol=0, atol=1e-12)
    np.testing.assert_allclose(newton.potentials[0], plain.potentials[0], atol=1e-9)


def hard(name):
    rng = np.random.default_rng(2)
    if name == "random assignment":
        C = rng.uniform(size=(300, 300))
        return C, uniform(300), uniform(300), 1 / 1200
    if name == "rectangular, random weights":
        X, Y = rng.normal(size=(150, 3)), rng.normal(size=(200, 3))
        C = cdist(X, Y, "sqeuclidean")
        return C, rng.dirichlet(np.ones(150)), rng.dirichlet(np.ones(200)), 1e-4 * np.median(C)
    if name == "very unequal weights":
        X, Y = rng.normal(size=(150, 3)), rng.normal(size=(120, 3))
        C = cdist(X, Y, "sqeuclidean")
        a, b = rng.dirichlet(np.full(150, 0.05)) + 1e-12, rng.dirichlet(np.full(120, 0.05)) + 1e-12
        return C, a / a.sum(), b / b.sum(), 1e-3 * np.median(C)
    if name == "two clusters far apart, unequal masses":
        X = np.vstack([rng.normal(size=(60, 2)), rng.normal(size=(40, 2)) + 50])
        Y = np.vstack([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 50])
        C = cdist(X, Y, "sqeuclidean")
        return C, uniform(100), uniform(100), 1e-3 * np.median(C)
    if name == "two clusters far apart, equal masses":
        X = np.vstack([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 50])
        Y = np.vstack([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 50])
        C = cdist(X, Y, "sqeuclidean")
        return C, uniform(100), uniform(100), 1e-4 * np.median(C)
    if name == "one outlier":
        X, Y = rng.normal(size=(120, 2)), rng.normal(size=(120, 2))
        X[0] += 1e3
        C = cdist(X, Y, "sqeuclidean")
        return C, uniform(120), uniform(120), 1e-3 * np.median(C)
    if name == "identical clouds":
        X = rng.normal(size=(200, 3))
        C = cdist(X, X, "sqeuclidean")
        return C, uniform(200), uniform(200), 1e-3 * np.median(C)
    if name == "histograms":
        t = np.linspace(0, 1, 200)
        a, b = np.exp(-((t - 0.3) ** 2) / 0.01) + 1e-4, np.exp(-((t - 0.6) ** 2) / 0.02) + 1e-4
        return cdist(t[:, None], t[:, None], "sqeuclidean"), a / a.sum(), b / b.sum(), 1e-4
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), -1).reshape(-1, 2)
    a, b = rng.dirichlet(np.ones(100)), rng.dirichlet(np.ones(100))
    return cdist(grid, grid, "cityblock") / 18, a, b, 1e-3


HARD = ("random assignment", "rectangular, random weights", "very unequal weights",
        "two clusters far apart, unequal masses", "two clusters far apart, equal masses", "one outlier",
        "identical clouds", "histograms", "grid, L1")  # fmt: skip


@pytest.mark.parametrize("method", ["auto", "newton"])
@pytest.mark.parametrize("name", HARD)
def test_hard_plans(name, method):
    C, a, b, reg = hard(name)
    result = ot.solve(C, a, b, reg=reg, tol=1e-9, method=method)
    assert result.converged
    assert error_of(C, a, b, result) <= 2e-9
    assert result.n_sweeps <= 150


@pytest.mark.parametrize("name", ["random assignment", "rectangular, random weights", "one outlier"])
def test_bits_do_not_depend_on_threads(name):
    C, a, b, reg = hard(name)
    one, *others = (ot.solve(C, a, b, reg=reg, tol=1e-9, method="newton", n_jobs=k) for k in (1, 2, 4))
    for other in others:
        assert one.potentials[0].tobytes() == other.potentials[0].tobytes()
        assert one.potentials[1].tobytes() == other.potentials[1].tobytes()
        assert one.history == other.history


def test_single_precision():
    X, Y = (z.astype(np.float32) for z in clouds(500, 3))
    result = ot.solve_sample(X, Y, reg=5e-3, reg_scale="median", method="newton", tol=1e-4)
    assert result.converged
    assert result.n_newton > 0
    C = cdist(X.astype(float), Y.astype(float), "sqeuclidean")
    assert error_of(C, uniform(500), uniform(500), result) <= 5e-4  # the costs were rounded to single


def test_no_memory_means_sweeps():
    X, Y = clouds(200, 2)
    with pytest.warns(ConvergenceWarning):
        result = ot.solve_sample(X, Y, reg=1e-3, reg_scale="median", max_memory=0, max_iter=50)
    assert result.n_newton == 0
    assert "too many" in result.reason


def test_dense_plans_are_left_to_sweeps():
    X, Y = clouds(600, 2)
    result = ot.solve_sample(X, Y, reg=0.5, reg_scale="median", tol=1e-10)
    assert result.converged
    assert result.n_newton == 0


def test_swapped_cost():
    C, a, b, reg = hard("rectangular, random weights")
    one = ot.solve(C, a, b, reg=reg, tol=1e-11, method="newton")
    other = ot.solve(np.asfortranarray(C), a, b, reg=reg, tol=1e-11, method="newton")
    np.testing.assert_allclose(one.plan, other.plan, atol=1e-10)


def test_an_unattainable_tolerance_ends_with_its_certificate():
    t = np.linspace(0, 1, 150)
    a, b = np.exp(-((t - 0.3) ** 2) / 0.01) + 1e-4, np.exp(-((t - 0.6) ** 2) / 0.02) + 1e-4
    C = cdist(t[:, None], t[:, None], "sqeuclidean")
    a, b = a / a.sum(), b / b.sum()
    with pytest.warns(ConvergenceWarning):
        result = ot.solve(C, a, b, reg=1e-6, tol=1e-13, max_iter=200)
    assert not result.converged
    assert result.marginal_error == pytest.approx(error_of(C, a, b, result), rel=1e-3, abs=1e-13)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "exact"}, "method must be one of 'auto', 'sinkhorn', 'newton', got 'exact'"),
        ({"max_memory": -1}, "max_memory must be >= 0, got -1"),
    ],
)
def test_bad_input(change, text):
    with pytest.raises(ValueError, match=text):
        ot.solve(np.ones((3, 3)), reg=1.0, **change)
