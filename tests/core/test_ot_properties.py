"""Invariants, on problems that hypothesis makes up (the same ones in every run)."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lapwing import ConvergenceWarning, ot

SIZES = st.integers(1, 70)
SEEDS = st.integers(0, 2**32 - 1)


def _solve(C, a, b, **options):
    """Solve with a small budget; the claims below hold whether or not it is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ot.solve(C, a, b, max_iter=200, **options)


def _problem(seed, n, m, zeros, forbidden, dtype, oracle):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5
    C = oracle.cost(X, Y).astype(dtype)
    a, b = rng.gamma(1.0, size=n) + 0.01, rng.gamma(1.0, size=m) + 0.01
    if zeros:
        a[rng.random(n) < 0.3] = 0
        b[rng.random(m) < 0.3] = 0
        a[rng.integers(n)] = b[rng.integers(m)] = 1.0
    if forbidden and n > 2 and m > 2:
        block = rng.random((n, m)) < 0.2
        block[:, np.argmax(b)] = False  # the product plan of what is left is feasible enough
        block[np.argmax(a)] = False
        C[block] = np.inf
    return C, a / a.sum(), b / b.sum()


@given(
    SEEDS, SIZES, SIZES, st.booleans(), st.booleans(), st.sampled_from([np.float32, np.float64]),
    st.floats(-6, 6),
)  # fmt: skip
@example(0, 70, 70, True, True, np.float32, -6.0)
@example(0, 1, 70, True, False, np.float64, 6.0)
@settings(max_examples=300)
def test_what_is_reported_holds(oracle, seed, n, m, zeros, forbidden, dtype, exponent):
    C, a, b = _problem(seed, n, m, zeros, forbidden, dtype, oracle)
    reg = 10.0**exponent * float(np.median(C[np.isfinite(C)]) + 1e-3)
    result = _solve(C, a, b, reg=reg)
    f, g = result.potentials
    assert f.dtype == g.dtype == dtype
    finite_row = np.isfinite(C[:, b > 0]).any(axis=1)
    finite_column = np.isfinite(C[a > 0]).any(axis=0)
    assert np.isfinite(f[finite_row]).all()
    assert np.isfinite(g[finite_column]).all()
    plan = result.plan
    assert plan.shape == (n, m)
    assert (plan >= 0).all()
    assert not plan[a == 0].any()
    assert not plan[:, b == 0].any()
    assert not plan[np.isinf(C)].any()
    # The measured error of the plan is the reported one, up to the rounding of the exponents.
    finite = C[np.isfinite(C)].astype(np.float64)
    u = float(np.finfo(dtype).eps)
    slack = 16 * u * (1 + np.abs(finite).max() / reg)
    error = (np.abs(result.marginal_a - a).sum() + np.abs(result.marginal_b - b).sum()) / a.sum()
    assert error <= result.marginal_error + slack
    assert oracle.error_of(plan, a, b) <= result.marginal_error + slack
    if dtype == np.float64:
        P = oracle.dense_plan(C, a, b, f, g, reg)
        assert oracle.error_of(P, a, b) <= result.marginal_error + slack
    assert result.converged == (result.marginal_error <= result.tol)


@given(SEEDS, st.integers(2, 70), st.integers(2, 70), st.floats(-1.3, 1))
@settings(max_examples=50)
def test_permutations(oracle, seed, n, m, exponent):
    C, a, b = _problem(seed, n, m, False, False, np.float64, oracle)
    rng = np.random.default_rng(seed)
    p, q = rng.permutation(n), rng.permutation(m)
    reg = 10.0**exponent * float(np.median(C))
    options = {"reg": reg, "tol": 1e-11, "max_iter": 20_000}
    plan = ot.solve(C, a, b, **options).plan
    shuffled = ot.solve(np.ascontiguousarray(C[p][:, q]), a[p], b[q], **options).plan
    np.testing.assert_allclose(shuffled, plan[p][:, q], atol=2e-10)


@given(SEEDS, st.integers(2, 70), st.integers(2, 70), st.floats(-3, 3))
@settings(max_examples=50)
def test_translation_and_shifts_of_the_cost(oracle, seed, n, m, size):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    options = {"reg": 1.5, "tol": 1e-11, "max_iter": 20_000}
    result = ot.solve_sample(X, Y, **options)
    moved = ot.solve_sample(X, Y + size * rng.normal(size=3), **options)
    np.testing.assert_allclose(moved.plan, result.plan, atol=2e-10)
    C = oracle.cost(X, Y)
    r, c = size * rng.normal(size=(n, 1)), size * rng.normal(size=m)
    shifted = ot.solve(C + r + c, **options)
    np.testing.assert_allclose(shifted.plan, result.plan, atol=2e-10)


@given(SEEDS, st.integers(2, 40), st.integers(2, 40), st.floats(-9, 9))
@settings(max_examples=50)
def test_scale_of_the_cost(oracle, seed, n, m, exponent):
    C, a, b = _problem(seed, n, m, False, False, np.float64, oracle)
    scale = 10.0**exponent
    plain = ot.solve(C, a, b, reg=1.0, tol=1e-11, max_iter=20_000)
    scaled = ot.solve(scale * C, a, b, reg=scale, tol=1e-11, max_iter=20_000)
    np.testing.assert_allclose(scaled.plan, plain.plan, atol=2e-10)
    np.testing.assert_allclose(scaled.value, scale * plain.value, rtol=1e-9, atol=1e-10 * scale)


@given(SEEDS, st.integers(2, 50), st.integers(2, 50), st.floats(-3, 3))
@settings(max_examples=50)
def test_mass_and_transpose(oracle, seed, n, m, exponent):
    C, a, b = _problem(seed, n, m, True, False, np.float64, oracle)
    mass = 10.0**exponent
    options = {"reg": 1.0, "tol": 1e-11, "max_iter": 20_000}
    plain = ot.solve(C, a, b, **options)
    heavy = ot.solve(C, mass * a, mass * b, **options)
    np.testing.assert_allclose(heavy.plan, mass * plain.plan, atol=2e-10 * mass)
    turned = ot.solve(np.ascontiguousarray(C.T), b, a, **options)
    np.testing.assert_allclose(turned.plan.T, plain.plan, atol=2e-10)


@given(SEEDS, st.integers(2, 30))
@settings(max_examples=15)
def test_symmetric_problem_and_duplicates(oracle, seed, n):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    same = ot.solve_sample(X, X, reg=1.0, tol=1e-11, max_iter=20_000)
    np.testing.assert_allclose(same.plan, same.plan.T, atol=2e-10)
    # a point given twice with half its weight each is the point
    doubled = ot.solve_sample(np.vstack([X, X[:1]]), X, _halved(n), None, reg=1.0, tol=1e-11, max_iter=20_000)
    merged = doubled.plan[:-1].copy()
    merged[0] += doubled.plan[-1]
    np.testing.assert_allclose(merged, same.plan, atol=2e-10)


def _halved(n):
    w = np.full(n + 1, 1 / n)
    w[0] = w[-1] = 0.5 / n
    return w


@given(SEEDS, st.integers(3, 60), st.integers(3, 60))
@settings(max_examples=50)
def test_zero_weights_are_the_smaller_problem(oracle, seed, n, m):
    C, a, b = _problem(seed, n, m, True, False, np.float64, oracle)
    options = {"reg": 1.0, "tol": 1e-11, "max_iter": 20_000}
    whole = ot.solve(C, a, b, **options)
    rows, columns = a > 0, b > 0
    part = ot.solve(np.ascontiguousarray(C[rows][:, columns]), a[rows], b[columns], **options)
    np.testing.assert_allclose(whole.plan[rows][:, columns], part.plan, atol=2e-10)
    # the potentials of the rest are the softmin over the other side
    f, g = whole.potentials
    P = np.exp((g[columns] - C[~rows][:, columns]) / 1.0) @ b[columns]
    np.testing.assert_allclose(f[~rows], -np.log(P), rtol=1e-9, atol=1e-10)
    Q = a[rows] @ np.exp(f[rows, None] - C[rows][:, ~columns])
    np.testing.assert_allclose(g[~columns], -np.log(Q), rtol=1e-9, atol=1e-10)


STEPS = st.sampled_from([1, 2, 3, -1, -2])
TYPES = st.sampled_from([np.float32, np.float64, ">f4", ">f8", np.float16, np.int16])


@given(SEEDS, st.integers(1, 40), st.integers(1, 40), STEPS, STEPS, st.booleans(), TYPES, st.booleans())
@settings(max_examples=100)
def test_strides_and_types(oracle, seed, n, m, step, other, fortran, kind, points):
    """Any view of any type is the contiguous copy of what it holds."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, 3 if points else m)) * 9 + (0 if points else 40)
    second = rng.normal(size=(m, 3)) * 9

    def view(x):
        big = np.zeros((abs(step) * x.shape[0], abs(other) * x.shape[1]), kind, order="F" if fortran else "C")
        out = big[::step, ::other][: x.shape[0], : x.shape[1]]
        out[:] = x
        return out

    def copy(x):
        return np.ascontiguousarray(x, np.float32 if x.dtype.newbyteorder("=") == np.float32 else np.float64)

    a = np.repeat(rng.dirichlet(np.ones(n)), 2)[::2]
    if points:
        given, plain = (view(first), view(second)), (copy(view(first)), copy(view(second)))
        solve = ot.solve_sample
    else:
        given, plain = (view(first),), (copy(view(first)),)
        solve = ot.solve
    results = [solve(*z, a, reg=20.0, tol=1e-4) for z in (given, plain)]
    assert results[0].potentials[0].dtype == results[1].potentials[0].dtype
    if results[0]._geometry.swapped:  # Fortran order is solved with the sides swapped
        assert np.abs(results[0].plan - results[1].plan).sum() < 1e-3
    else:
        assert results[0].plan.tobytes() == results[1].plan.tobytes()
