"""Types: float32 stays, everything else becomes float64, and float32 agrees with float64."""

from __future__ import annotations

import numpy as np
import pytest

from lapwing import ConvergenceWarning, ot


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32, np.float32),
        (">f4", np.float32),
        (np.float64, np.float64),
        (">f8", np.float64),
        (np.float16, np.float64),
        (np.longdouble, np.float64),
        (np.int64, np.float64),
        (np.uint8, np.float64),
        (np.bool_, np.float64),
    ],
)
def test_dtypes(given, expected):
    C = np.array([[0, 1, 2], [1, 0, 1]]).astype(given)
    X = np.array([[0, 1], [1, 0], [1, 1]]).astype(given)
    for result in (ot.solve(C, reg=1.0), ot.solve_sample(X, X[:2], reg=1.0)):
        for x in (*result.potentials, *result.weights, result.marginal_a, result.marginal_b, result.plan):
            assert x.dtype == expected
            assert x.dtype.isnative
        assert result.operator.dtype == expected
        assert result.sparse_plan(k=1).dtype == expected
        vector = np.ones(result.shape[1], np.float32)
        assert result.apply(vector).dtype == expected
        assert result.apply(vector.astype(np.float64)).dtype == np.float64
    values, index = ot.c_transform(C, None, np.zeros(3))
    assert (values.dtype, index.dtype) == (expected, np.int64)


def test_mixed_clouds_are_float64(oracle):
    X, Y = oracle.clouds(0, 20, 30, 3)
    mixed = ot.solve_sample(X.astype(np.float32), Y, reg=1.0)
    assert mixed.potentials[0].dtype == np.float64
    same = ot.solve_sample(X.astype(np.float32).astype(np.float64), Y, reg=1.0)
    np.testing.assert_array_equal(mixed.potentials[0], same.potentials[0])


@pytest.mark.parametrize("metric", ["dense", *ot.METRICS])
@pytest.mark.parametrize("d", [2, 50])
def test_agrees_with_float64(oracle, metric, d):
    X, Y = oracle.clouds(1, 300, 250, d)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    if metric == "dense":
        C = oracle.cost(X, Y).astype(np.float32)
        solve, args, scale = ot.solve, (C,), float(np.median(C))
    else:
        solve, args = lambda *p, **o: ot.solve_sample(*p, metric=metric, **o), (X, Y)
        scale = float(np.median(np.abs(oracle.cost(X, Y, metric))))
    single = solve(*args, reg=0.1 * scale)
    double = solve(*(x.astype(np.float64) for x in args), reg=0.1 * scale, tol=1e-10)
    assert single.converged
    assert single.marginal_error <= 1e-5
    # Two plans whose marginals differ by 1e-5; rounding of the exponents of about 1e-5 on top.
    assert np.abs(single.plan - double.plan).sum() <= 2e-3
    assert single.value == pytest.approx(double.value, rel=1e-4, abs=1e-5 * scale)
    assert single.value_linear == pytest.approx(double.value_linear, rel=1e-4, abs=1e-4 * scale)
    np.testing.assert_allclose(single.marginal_a, 1 / 300, rtol=1e-2)
    assert np.mean(single.argmax() == double.argmax()) > 0.97  # near ties may fall either way


def test_the_rounding_floor_is_declared(oracle):
    """A tolerance below what the type can reach ends at the floor, not at max_iter."""
    X, Y = oracle.clouds(2, 200, 200, 2, np.float32)
    with pytest.warns(ConvergenceWarning, match="rounding floor"):
        result = ot.solve_sample(X, Y, reg=0.3, reg_scale="median", tol=1e-12)
    assert not result.converged
    assert result.status.startswith("rounding floor")
    assert result.n_sweeps < 1000
    assert result.marginal_error < 5e-6


def test_six_digits_are_reached(oracle):
    X, Y = oracle.clouds(3, 500, 400, 3, np.float32)
    result = ot.solve_sample(X, Y, reg=0.3, reg_scale="median", tol=1.5e-6)
    assert result.converged
    f, g = (p.astype(np.float64) for p in result.potentials)
    P = oracle.dense_plan(oracle.cost(X, Y), np.full(500, 1 / 500), np.full(400, 1 / 400), f, g, result.reg)
    # potentials rounded to float32 lose about 1e-6 of the marginals (a few times the unit roundoff)
    assert oracle.error_of(P, np.full(500, 1 / 500), np.full(400, 1 / 400)) < 6e-6


def test_costs_with_a_large_offset(oracle):
    """A float32 cost of 1e4 + something: the offset is exact, and must not eat the digits of the rest."""
    rng = np.random.default_rng(4)
    small = rng.integers(0, 64, size=(60, 50)).astype(np.float32) / 64
    plain = ot.solve(small, reg=0.5, tol=1e-5)
    with pytest.warns(ConvergenceWarning, match="rounding floor"):
        offset = ot.solve(small + np.float32(8192), reg=0.5, tol=1e-5)
    assert np.abs(plain.plan - offset.plan).sum() < 0.02  # exponents of 16384 hold 1e-3 in float32


def test_clouds_far_from_the_origin(oracle):
    X, Y = oracle.clouds(5, 80, 70, 20)
    near = ot.solve_sample(X, Y, reg=5.0, tol=1e-10)
    far = ot.solve_sample(X + 1e5, Y + 1e5, reg=5.0, tol=1e-10)
    # the points themselves are rounded to 1e5 * 1e-16
    np.testing.assert_allclose(far.plan, near.plan, atol=1e-11, rtol=1e-7)
