"""Entropic transport against closed forms, wider arithmetic, exact transport and POT."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lapwing import ConvergenceWarning, ot


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ratio", [1e-6, 0.1, 1.0, 5.0, 20.0])
def test_two_by_two(ratio, dtype):
    reg = 0.7
    c = ratio * reg
    result = ot.solve(np.array([[0, c], [c, 0]], dtype), reg=reg, tol=1e-6)
    same, other = 1 / (2 * (1 + np.exp(-ratio))), 1 / (2 * (1 + np.exp(ratio)))
    # a few roundings of the exponent (at most 20 log2 e) and of the exponential
    np.testing.assert_allclose(result.plan, [[same, other], [other, same]], rtol=100 * np.finfo(dtype).eps)


def test_two_by_two_with_weights():
    """p = P_11 solves p (1 - a - b + p) / ((a - p)(b - p)) = exp(-(C11 + C22 - C12 - C21)/reg)."""
    a, b, reg = 0.3, 0.8, 0.5
    C = np.array([[0.3, 1.1], [0.2, 2.0]])
    result = ot.solve(C, [a, 1 - a], [b, 1 - b], reg=reg, tol=1e-13)
    p = result.plan[0, 0]
    odds = p * (1 - a - b + p) / ((a - p) * (b - p))
    assert odds == pytest.approx(np.exp(-(C[0, 0] + C[1, 1] - C[0, 1] - C[1, 0]) / reg), rel=1e-10)


def test_large_reg_gives_the_product_plan(oracle):
    X, Y = oracle.clouds(0, 60, 50, 3)
    a, b = oracle.weights(1, 60), oracle.weights(2, 50)
    C = oracle.cost(X, Y)
    reg = 1e8 * C.max()
    product = np.outer(a, b)
    for result in (ot.solve(C, a, b, reg=reg), ot.solve_sample(X, Y, a, b, reg=reg)):
        # |exponent| <= range / reg = 1e-8 after the update
        np.testing.assert_allclose(result.plan, product, rtol=4e-8)
        assert result.value == pytest.approx((product * C).sum(), rel=1e-6)


def test_constant_cost_gives_the_product_plan_at_once(oracle):
    a, b = oracle.weights(1, 13), oracle.weights(2, 9)
    result = ot.solve(np.full((13, 9), 3.25), a, b, reg=0.01)
    np.testing.assert_allclose(result.plan, np.outer(a, b), rtol=1e-12)
    assert result.n_sweeps <= 2
    assert result.value == pytest.approx(3.25, rel=1e-14)


def _gaussian_value(m1, m2, A, B, reg):
    """H. Janati, B. Muzellec, G. Peyré, M. Cuturi, "Entropic optimal transport between unbalanced Gaussian
    measures has a closed form", 2020; one dimension, cost |x - y|²."""
    s = reg / 2
    D = np.sqrt(4 * A * B + s**2)
    return (m1 - m2) ** 2 + A + B - D + s * (1 - np.log(2 * s)) + s * np.log(D + s)


@pytest.mark.parametrize("reg", [0.5, 2.0])
def test_gaussians(reg):
    m1, m2, A, B = -0.5, 0.75, 0.6, 1.3
    x = np.linspace(-9, 9, 601)
    a, b = (np.exp(-((x - m) ** 2) / (2 * s)) for m, s in ((m1, A), (m2, B)))
    a, b = a / a.sum(), b / b.sum()
    result = ot.solve_sample(x[:, None], x[:, None], a, b, reg=reg, tol=1e-11)
    assert result.value == pytest.approx(_gaussian_value(m1, m2, A, B, reg), rel=1e-9)
    # The conditional mean of a Gaussian coupling is linear, with slope Cov(x, y) / A.
    slope = (np.sqrt(4 * A * B + (reg / 2) ** 2) - reg / 2) / (2 * A)
    new = np.array([[-1.0], [0.1], [2.0]])
    np.testing.assert_allclose(result.entropic_map(new), m2 + slope * (new - m1), atol=1e-8)


def test_small_reg_approaches_exact_transport(oracle):
    from scipy.optimize import linear_sum_assignment

    X, Y = oracle.clouds(3, 40, 40, 2)
    C = oracle.cost(X, Y)
    exact = C[linear_sum_assignment(C)].sum() / 40
    reg = 5e-3 * float(np.median(C))
    result = ot.solve_sample(X, Y, reg=reg, max_iter=100_000)
    # 0 <= <C, P> - W <= reg log n; the marginal error allows a little less
    assert -1e-6 * C.max() <= result.value_linear - exact <= reg * np.log(40)


def test_one_dimension_sorts(oracle):
    rng = np.random.default_rng(5)
    x, y = rng.permutation(np.arange(25.0)), rng.permutation(np.arange(25.0)) + 0.2
    result = ot.solve_sample(x[:, None], y[:, None], reg=0.2, max_iter=100_000)
    assert result.converged
    np.testing.assert_array_equal(x, np.floor(y[result.argmax()]))
    np.testing.assert_array_equal(np.floor(y), x[result.argmax(axis=0)])
    # a swap of neighbours costs 2: each has probability exp(-1/reg) = exp(-5)
    assert result.value_linear == pytest.approx(0.04, abs=4 * np.exp(-5))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("ratio", [0.02, 0.3, 10.0])
def test_long_double(oracle, ratio, scale):
    X, Y = oracle.clouds(7, 6, 9, 2)
    a, b = oracle.weights(8, 6), oracle.weights(9, 9)
    C = oracle.cost(X, Y) * scale
    reg = ratio * float(np.median(C))
    result = ot.solve(C, a, b, reg=reg, tol=1e-13, max_iter=200_000)
    expected = oracle.sinkhorn(C, a, b, reg, n_iter=100_000).astype(np.float64)
    # tol bounds the marginals; at these regularisations the plan follows within a factor of about 100
    np.testing.assert_allclose(result.plan, expected, rtol=1e-9, atol=1e-12)


def test_mpmath():
    """Three by three in 40 digits."""
    from mpmath import exp, log, matrix, mp, mpf

    C = [[0.5, 1.25, 2.0], [1.5, 0.25, 0.75], [3.0, 1.0, 0.125]]
    a, b, reg = [0.25, 0.5, 0.25], [0.125, 0.5, 0.375], 0.25
    with mp.workdps(40):
        K = matrix(3, 3)
        for i in range(3):
            for j in range(3):
                K[i, j] = exp(-mpf(C[i][j]) / mpf(reg))
        u, v = [mpf(1)] * 3, [mpf(1)] * 3
        for _ in range(2000):
            u = [mpf(a[i]) / sum(K[i, j] * v[j] for j in range(3)) for i in range(3)]
            v = [mpf(b[j]) / sum(K[i, j] * u[i] for i in range(3)) for j in range(3)]
        P = [[float(u[i] * K[i, j] * v[j]) for j in range(3)] for i in range(3)]
        f = [float(mpf(reg) * log(u[i] / mpf(a[i]))) for i in range(3)]
        g = [float(mpf(reg) * log(v[j] / mpf(b[j]))) for j in range(3)]
    result = ot.solve(np.array(C), a, b, reg=reg, tol=1e-14, schedule=None)
    np.testing.assert_allclose(result.plan, P, rtol=1e-11)
    shift = (np.dot(a, f) - np.dot(b, g)) / 2  # the gauge: both sides contribute the same
    np.testing.assert_allclose(result.potentials[0], np.array(f) - shift, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(result.potentials[1], np.array(g) + shift, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_pot(oracle, ratio):
    pot = pytest.importorskip("ot")
    X, Y = oracle.clouds(11, 80, 100, 5)
    a, b = oracle.weights(12, 80), oracle.weights(13, 100)
    C = oracle.cost(X, Y)
    reg = ratio * float(np.median(C))
    theirs = pot.sinkhorn(a, b, C, reg, method="sinkhorn_log", stopThr=1e-13, numItermax=50_000)
    for result in (
        ot.solve(C, a, b, reg=reg, tol=1e-12, max_iter=100_000),
        ot.solve_sample(X, Y, a, b, reg=reg, tol=1e-12, max_iter=100_000),
    ):
        np.testing.assert_allclose(result.plan, theirs, atol=1e-11)


@pytest.mark.parametrize("total", [1.0, 3.5, 1e-3])
def test_primal_is_dual(oracle, total):
    X, Y = oracle.clouds(14, 30, 20, 3)
    a, b = oracle.weights(15, 30, total), oracle.weights(16, 20, total)
    result = ot.solve_sample(X, Y, a, b, reg=0.8, tol=1e-13)
    P, C, product = result.plan, oracle.cost(X, Y), np.outer(a, b)
    kl = (P * np.log(P / product) - P + product).sum()
    assert result.value_linear == pytest.approx((C * P).sum(), rel=1e-12)
    assert result.value == pytest.approx((C * P).sum() + 0.8 * kl, rel=1e-11)
    f, g = result.potentials
    assert a @ f == pytest.approx(b @ g, rel=1e-10)
    # the other convention, as the notes of solve tell it
    entropy = (C * P).sum() + 0.8 * (P * (np.log(P) - 1)).sum()
    shift = 0.8 * ((a * np.log(a)).sum() + (b * np.log(b)).sum() - total**2)
    assert result.value + shift == pytest.approx(entropy, rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (7, 1)])
def test_one_point_against_many(oracle, n, m, dtype):
    X, Y = oracle.clouds(17, n, m, 3, dtype)
    a, b = oracle.weights(18, n, 2.5), oracle.weights(19, m, 2.5)
    C = oracle.cost(X, Y)
    eps = float(np.finfo(dtype).eps)
    for result in (
        ot.solve_sample(X, Y, a, b, reg=0.3),
        ot.solve(C.astype(dtype), a, b, reg=0.3),
        ot.solve(np.asfortranarray(C.astype(dtype)), a, b, reg=0.3),
    ):
        assert (result.n_sweeps, result.converged, result.history) == (0, True, [])
        np.testing.assert_allclose(result.plan, np.outer(a, b) / 2.5, rtol=200 * eps)
        assert result.value_linear == pytest.approx((C * np.outer(a, b)).sum() / 2.5, rel=200 * eps)
        f, g = result.potentials
        assert a @ f == pytest.approx(b @ g, rel=100 * eps)
        assert result.marginal_error <= 100 * eps


def test_asymptotic_rate_is_the_square_of_the_second_singular_value(oracle):
    X, Y = oracle.clouds(20, 60, 60, 2)
    reg = 0.3 * float(np.median(oracle.cost(X, Y)))
    result = ot.solve_sample(X, Y, reg=reg, tol=1e-12, acceleration=None, schedule=None)
    errors = [h.error for h in result.history if 1e-10 < h.error < 1e-5]
    rates = np.divide(errors[1:], errors[:-1])
    second = result.singular_triplets(1).s[0]
    assert rates[-1] == pytest.approx(second**2, rel=0.02)


@pytest.mark.parametrize("acceleration", ["anderson", "sor", None])
@pytest.mark.parametrize("schedule", ["auto", None, [4.0, 1.0, 0.25]])
def test_every_route_leads_to_the_same_plan(oracle, acceleration, schedule):
    X, Y = oracle.clouds(21, 50, 40, 4)
    expected = oracle.sinkhorn(oracle.cost(X, Y), np.full(50, 1 / 50), np.full(40, 1 / 40), 0.25, 20_000)
    result = ot.solve_sample(
        X, Y, reg=0.25, acceleration=acceleration, schedule=schedule, tol=1e-11, max_iter=50_000
    )
    assert result.converged
    np.testing.assert_allclose(result.plan, expected.astype(np.float64), atol=1e-11)


@pytest.mark.parametrize("relaxed", [{}, {"unbalanced": 3.0}, {"mass": 0.4}])
def test_scaling_where_reg_is_small_alone(relaxed):
    C = np.random.default_rng(0).uniform(size=(30, 20))
    spread = float(C.max() - C.min())
    for reg, first in ((spread / 99, spread / 99), (spread / 101, spread)):
        result = ot.solve(C, reg=reg, tol=1e-9, max_iter=50_000, **relaxed)
        levels = list(dict.fromkeys(entry.reg for entry in result.history))
        assert levels[0] == pytest.approx(first)
        assert levels[-1] == reg
        np.testing.assert_allclose(levels[:-1], [first / 4**k for k in range(len(levels) - 1)])
        direct = ot.solve(C, reg=reg, tol=1e-9, max_iter=50_000, schedule=None, **relaxed)
        np.testing.assert_allclose(result.plan, direct.plan, atol=1e-8)


def test_anderson_needs_fewer_sweeps(oracle):
    X, Y = oracle.clouds(22, 200, 200, 2)
    options = {"reg": 0.05, "reg_scale": "median", "tol": 1e-9, "max_iter": 20_000}
    plain = ot.solve_sample(X, Y, acceleration=None, **options)
    fast = ot.solve_sample(X, Y, acceleration="anderson", **options)
    assert plain.converged
    assert fast.converged
    assert fast.n_sweeps < plain.n_sweeps / 2


def test_warm_start(oracle):
    X, Y = oracle.clouds(23, 120, 100, 3)
    first = ot.solve_sample(X, Y, reg=0.1, tol=1e-9)
    again = ot.solve_sample(X, Y, reg=0.1, tol=1e-9, init=first)
    pair = ot.solve_sample(X, Y, reg=0.1, tol=1e-9, init=first.potentials)
    assert max(again.n_sweeps, pair.n_sweeps) <= 2 < first.n_sweeps
    np.testing.assert_allclose(again.plan, first.plan, atol=1e-10)
    # a result of other points is extended to these
    half = ot.solve_sample(X[:60], Y[:50], reg=0.1, tol=1e-9)
    start = ot.solve_sample(X, Y, reg=0.1, tol=1e-9, init=half)
    np.testing.assert_allclose(start.plan, first.plan, atol=1e-9)
    cold = ot.solve_sample(X, Y, reg=0.1, tol=1e-9, schedule=None)
    assert start.history[0].error < cold.history[0].error


def test_reg_scale(oracle):
    X, Y = oracle.clouds(24, 33, 20, 3)
    for metric in ("sqeuclidean", "euclidean", "cosine"):
        C = oracle.cost(X, Y, metric)
        for name, value in (("median", np.median(C)), ("mean", C.mean()), ("max", C.max())):
            for result in (
                ot.solve_sample(X, Y, reg=0.5, reg_scale=name, metric=metric),
                ot.solve(C, reg=0.5, reg_scale=name),
            ):
                assert result.cost_scale == pytest.approx(value, rel=1e-12)
                assert result.reg == pytest.approx(0.5 * value, rel=1e-12)
    C[3, 4] = C[0, 0] = np.inf  # forbidden pairs have no part in the statistics
    finite = C[np.isfinite(C)]
    assert ot.solve(C, reg=1.0, reg_scale="median").reg == pytest.approx(np.median(finite), rel=1e-12)
    assert ot.solve(C, reg=1.0, reg_scale="mean").reg == pytest.approx(finite.mean(), rel=1e-12)


def test_sampled_statistics(oracle, monkeypatch):
    monkeypatch.setattr("lapwing.ot._cost.EXACT_PAIRS", 2**22)
    X, Y = oracle.clouds(25, 2500, 2000, 4)  # 5e6 pairs
    C = oracle.cost(X, Y)
    # 2^22 pairs: the rank of the sampled median is off by 2.5e-4 (one standard deviation); four of them
    low, high = np.quantile(C, [0.499, 0.501])
    sampled = ot.cost_quantile(X, Y, random_state=3)
    assert low < sampled < high
    assert sampled == ot.cost_quantile(X, Y, random_state=3)
    assert sampled != ot.cost_quantile(X, Y, random_state=4)
    assert ot.cost_quantile(X, Y, n_samples=0) == pytest.approx(np.median(C), rel=1e-12)


def test_reg_over_twelve_decades(oracle):
    """The schedule carries any regularisation; what is reported holds."""
    X, Y = oracle.clouds(26, 25, 30, 2)
    C = oracle.cost(X, Y)
    for exponent in range(-6, 7):
        reg = float(np.median(C)) * 10.0**exponent
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 300 sweeps are too few for the smallest
            result = ot.solve(C, reg=reg, max_iter=300)
        f, g = result.potentials
        assert np.isfinite(f).all()
        assert np.isfinite(g).all()
        P = oracle.dense_plan(C, np.full(25, 1 / 25), np.full(30, 1 / 30), f, g, reg)
        # rounding of the exponents: u * C / reg
        slack = 1e-14 + 1e-15 * C.max() / reg
        assert (
            abs(oracle.error_of(P, np.full(25, 1 / 25), np.full(30, 1 / 30)) - result.marginal_error) <= slack
        )
