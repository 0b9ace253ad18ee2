"""The four metrics, matrix-free, against the same problem with SciPy's cost matrix."""

from __future__ import annotations

import numpy as np
import pytest

from lapwing import _backend, ot


@pytest.mark.parametrize("metric", ot.METRICS)
@pytest.mark.parametrize("d", [1, 2, 3, 8, 9, 17, 50])
@pytest.mark.parametrize(("n", "m"), [(3, 2), (65, 70), (128, 33)])
def test_points_are_the_dense_problem(oracle, metric, d, n, m):
    X, Y = oracle.clouds(d, n, m, d)
    a, b = oracle.weights(1, n), oracle.weights(2, m)
    C = oracle.cost(X, Y, metric)
    reg = 0.2 * float(np.median(np.abs(C))) + 0.01
    options = {"reg": reg, "tol": 1e-11, "max_iter": 50_000}
    points = ot.solve_sample(X, Y, a, b, metric=metric, **options)
    dense = ot.solve(C, a, b, **options)
    assert points.metric == metric
    assert dense.metric == "dense"
    np.testing.assert_allclose(points.plan, dense.plan, atol=1e-10)
    assert points.value == pytest.approx(dense.value, rel=1e-9, abs=1e-10)
    assert points.value_linear == pytest.approx(dense.value_linear, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("metric", ot.METRICS)
@pytest.mark.parametrize("d", [1, 2, 30, 200])
def test_bounds_of_the_costs_of_points(oracle, metric, d):
    X, Y = oracle.clouds(d, 60, 45, d)
    X, Y = X + 5, Y * np.linspace(0.1, 3, d)
    low, high = _backend.extension().ot_range(X, Y, metric, 1)
    C = oracle.cost(X, Y, metric)
    assert low <= C.min()
    assert high >= C.max()
    if metric == "sqeuclidean":  # near in one dimension and in many: no more than a box and spheres give
        both = np.concatenate([X, Y])
        centre = (both.min(0) + both.max(0)) / 2
        spheres = sum(np.linalg.norm(z - centre, axis=1).max() for z in (X, Y)) ** 2
        assert high == pytest.approx(min((np.ptp(both, 0) ** 2).sum(), spheres))


@pytest.mark.parametrize("metric", ot.METRICS)
@pytest.mark.parametrize(("dtype", "rel"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_quantiles(oracle, metric, dtype, rel):
    X, Y = oracle.clouds(3, 61, 40, 6, dtype)
    C = oracle.cost(X, Y, metric)
    size = np.abs(C).max()
    for q in (0, 0.1, 0.5, 0.77, 1):
        value = ot.cost_quantile(X, Y, q, metric=metric)
        assert value == pytest.approx(np.quantile(C, q), abs=rel * size)
        assert ot.cost_quantile(C.astype(dtype), q=q) == pytest.approx(np.quantile(C, q), abs=rel * size)


def test_quantiles_of_special_matrices():
    assert ot.cost_quantile(np.array([[3.0]])) == 3.0
    assert ot.cost_quantile(np.array([[1.0, 1.0], [1.0, 1.0]]), q=0.3) == 1.0
    assert ot.cost_quantile(np.array([[-5.0, 0.0, 7.0]]), q=0.5) == 0.0
    assert ot.cost_quantile(np.array([[0.0, 1.0, 2.0, np.inf]]), q=0.5) == 1.5
    assert ot.cost_quantile(np.array([[0.0, 1.0, 2.0, 3.0]]), q=1 / 3) == 1.0  # the rank is rounded once
    assert ot.cost_quantile(np.array([[0.0, 1.0, 2.0, np.inf]]), q=1) == np.inf
    wide = np.array([[1e-300, 1e-10, 1.0, 1e10, 1e300]])
    assert ot.cost_quantile(wide, q=0.25) == pytest.approx(1e-10)


@pytest.mark.parametrize("metric", ["dense", *ot.METRICS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_c_transform(oracle, metric, dtype):
    X, Y = oracle.clouds(4, 90, 77, 3, dtype)
    psi = np.random.default_rng(5).normal(size=77)
    if metric == "dense":
        C = oracle.cost(X, Y).astype(dtype)
        values, index = ot.c_transform(C, None, psi)
    else:
        C = oracle.cost(X, Y, metric)
        values, index = ot.c_transform(X, Y, psi, metric=metric)
    gap = C - psi
    tol = 20 * float(np.finfo(dtype).eps) * np.abs(gap).max()
    np.testing.assert_allclose(values, gap.min(axis=1), atol=tol)
    # the index is a minimiser, up to ties within rounding
    np.testing.assert_allclose(gap[np.arange(90), index], gap.min(axis=1), atol=2 * tol)


def test_c_transform_is_the_limit_of_the_softmin(oracle):
    X, Y = oracle.clouds(6, 30, 20, 2)
    result = ot.solve_sample(X, Y, reg=0.5)
    f, g = result.potentials
    values, _ = ot.c_transform(X, Y, g)
    # min <= softmin + reg log(1/b_max) and softmin <= min + reg log m, with b = 1/m
    assert (f >= values - 1e-9).all()
    assert (f <= values + 0.5 * np.log(20) + 1e-5).all()


def test_c_transform_ties_and_forbidden_pairs():
    C = np.array([[1.0, 1.0, 1.0], [np.inf, np.inf, np.inf], [np.inf, 2.0, 3.0]])
    values, index = ot.c_transform(C, None, np.zeros(3))
    np.testing.assert_array_equal(values, [1.0, np.inf, 2.0])
    np.testing.assert_array_equal(index, [0, -1, 1])


def test_euclidean_of_near_points(oracle):
    """Distances near 0 keep their digits, in low and in high dimension."""
    for d in (2, 40):
        rng = np.random.default_rng(d)
        X = rng.normal(size=(50, d))
        Y = X + 1e-9 * rng.normal(size=(50, d))
        for metric in ("sqeuclidean", "euclidean"):
            C = oracle.cost(X, Y, metric)
            values, index = ot.c_transform(X, Y, np.zeros(50), metric=metric)
            np.testing.assert_array_equal(index, np.arange(50))
            if metric == "euclidean" and d <= 16:
                np.testing.assert_allclose(values, C.min(axis=1), rtol=1e-5)


def test_cosine_ignores_lengths(oracle):
    X, Y = oracle.clouds(7, 20, 30, 4)
    rng = np.random.default_rng(8)
    scaled = ot.solve_sample(
        X * rng.uniform(1e-3, 1e3, (20, 1)),
        Y * rng.uniform(1e-3, 1e3, (30, 1)),
        reg=0.1,
        metric="cosine",
        tol=1e-11,
    )
    plain = ot.solve_sample(X, Y, reg=0.1, metric="cosine", tol=1e-11)
    np.testing.assert_allclose(scaled.plan, plain.plan, atol=1e-11)


def test_duplicates_and_identical_clouds():
    X = np.zeros((7, 3))
    for metric in ("sqeuclidean", "euclidean", "dot"):
        result = ot.solve_sample(X, X[:4], reg=0.5, metric=metric)
        np.testing.assert_allclose(result.plan, 1 / 28, rtol=1e-13)
        assert result.converged
