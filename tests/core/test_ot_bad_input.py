"""Every bad input gets its error, before any work; every odd but good one is accepted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from lapwing import ConvergenceWarning, InfeasibleError, ot

C = np.arange(12.0).reshape(3, 4)
X, Y = np.arange(6.0).reshape(3, 2), np.arange(8.0).reshape(4, 2)
A, B = np.full(3, 1 / 3), np.full(4, 1 / 4)


def with_entry(x, index, value):
    out = np.array(x, dtype=np.result_type(x, np.float32))
    out[index] = value
    return out


NUMBERS = [
    ({"reg": 0}, ValueError, r"reg must be > 0, got 0; .*c_transform"),
    ({"reg": 0.0}, ValueError, r"reg must be > 0, got 0; .*c_transform"),
    ({"reg": -1}, ValueError, r"reg must be > 0, got -1$"),
    ({"reg": np.nan}, ValueError, r"reg must be > 0, got nan$"),
    ({"reg": np.inf}, ValueError, r"reg must be finite, got inf"),
    ({"reg": "0.1"}, TypeError, r"reg must be a number, got '0.1'"),
    ({"reg": None}, TypeError, r"reg must be a number, got None"),
    ({"reg": True}, TypeError, r"reg must be a number, got True"),
    ({"reg": 1 + 2j}, TypeError, r"reg must be a number"),
    ({"reg": np.ones(2)}, TypeError, r"reg must be a number"),
    (
        {"reg": 1.1e308, "reg_scale": "max"},
        ValueError,
        r"reg = (inf|.*e\+308) is too large: its inverse underflows float64",
    ),
    ({"reg": 1e-320}, ValueError, r"reg = .* is too small"),
    (
        {"reg_scale": "variance"},
        ValueError,
        r"reg_scale must be one of None, 'median', 'mean', 'max', got 'variance'",
    ),
    ({"reg_scale": 2.0}, ValueError, r"reg_scale must be one of"),
    ({"tol": 0}, ValueError, r"tol must be > 0, got 0"),
    ({"tol": -1e-3}, ValueError, r"tol must be > 0, got -0.001"),
    ({"tol": np.nan}, ValueError, r"tol must be > 0, got nan"),
    ({"tol": "small"}, TypeError, r"tol must be a number"),
    ({"max_iter": 0}, ValueError, r"max_iter must be >= 1, got 0"),
    ({"max_iter": 2.5}, TypeError, r"max_iter must be an integer, got 2.5"),
    (
        {"acceleration": "none"},
        ValueError,
        r"acceleration must be one of None, 'anderson', 'sor', got 'none'",
    ),
    ({"schedule": "slow"}, ValueError, r"schedule must be one of 'auto', None, got 'slow'"),
    ({"schedule": []}, ValueError, r"schedule must be a sequence of numbers, got shape \(0,\)"),
    ({"schedule": [[4, 1]]}, ValueError, r"schedule must be a sequence of numbers, got shape \(1, 2\)"),
    ({"schedule": [1, 4]}, ValueError, r"schedule must be positive and decrease, got \[1.0, 4.0\]"),
    ({"schedule": [4, 2]}, ValueError, r"schedule must end at reg = 1, got 2"),
    ({"schedule": [np.inf, 1]}, ValueError, r"schedule must be finite, but schedule\[0\] is inf"),
    ({"n_jobs": 0}, ValueError, r"n_jobs must be None, -1 or a positive number of threads, got 0"),
    ({"n_jobs": -2}, ValueError, r"n_jobs must be None, -1 or a positive number of threads, got -2"),
    ({"n_jobs": 1.0}, TypeError, r"n_jobs must be None or an integer, got 1.0"),
    ({"random_state": -1}, ValueError, r"random_state must be between 0 and"),
    ({"random_state": "seed"}, TypeError, r"random_state must be None, an integer or a NumPy generator"),
    ({"callback": 3}, TypeError, r"callback must be callable or None, got int"),
    ({"verbose": "yes"}, TypeError, r"verbose must be an integer, got 'yes'"),
    ({"max_plan_bytes": -1}, ValueError, r"max_plan_bytes must be >= 0, got -1"),
    ({"init": 3}, TypeError, r"init must be a pair \(f, g\) or an OTResult, got int"),
    ({"init": (np.zeros(3), np.zeros(3))}, ValueError, r"init\[1\] must have shape \(4,\), got \(3,\)"),
    (
        {"init": (np.full(3, np.nan), np.zeros(4))},
        ValueError,
        r"init\[0\] must be finite, but init\[0\]\[0\] is nan",
    ),
]

WEIGHTS = [
    ({"a": [1, 2, -3.0]}, ValueError, r"a must not be negative, but a\[2\] is -3.0"),
    ({"a": np.zeros(3)}, ValueError, r"a has no positive weight: all 3 are zero"),
    ({"b": [0.5, np.nan, 0.25, 0.25]}, ValueError, r"b must be finite, but b\[1\] is nan"),
    ({"b": [0.5, np.inf, 0.25, 0.25]}, ValueError, r"b must be finite, but b\[1\] is inf"),
    ({"a": np.ones(4)}, ValueError, r"a must have shape \(3,\), got \(4,\)"),
    ({"b": np.ones((4, 1))}, ValueError, r"b must have shape \(4,\), got \(4, 1\)"),
    ({"a": A, "b": 2 * B}, ValueError, r"sum\(a\) = 1 and sum\(b\) = 2; normalise"),
    ({"a": A, "b": B * (1 + 1e-5)}, ValueError, r"a and b must have the same total"),
    ({"a": np.ones(3) * 1e308, "b": B}, ValueError, r"the sum of a overflows"),
    ({"a": 1j * A}, TypeError, r"a is complex"),
    ({"a": ["x", "y", "z"]}, TypeError, r"a must hold real numbers, got dtype"),
]

COSTS = [
    (np.zeros(3), ValueError, r"C must be 2-D, got shape \(3,\)"),
    (np.zeros((2, 2, 2)), ValueError, r"C must be 2-D, got shape \(2, 2, 2\)"),
    (np.zeros((0, 4)), ValueError, r"C is empty: its shape is \(0, 4\)"),
    (np.zeros((4, 0)), ValueError, r"C is empty: its shape is \(4, 0\)"),
    (with_entry(C, (1, 2), np.nan), ValueError, r"C must not contain NaN or -inf, but C\[1, 2\] is nan"),
    (with_entry(C, (2, 3), -np.inf), ValueError, r"C must not contain NaN or -inf, but C\[2, 3\] is -inf"),
    (np.asfortranarray(with_entry(C, (2, 1), np.nan)), ValueError, r"but C\[2, 1\] is nan"),
    (with_entry(C, (1, slice(None)), np.inf), InfeasibleError, r"row 1 of the cost has positive weight"),
    (with_entry(C, (slice(None), 2), np.inf), InfeasibleError, r"column 2 of the cost has positive weight"),
    (np.asfortranarray(with_entry(C, (slice(None), 2), np.inf)), InfeasibleError, r"column 2 of the cost"),
    (np.full((1, 1), np.inf), InfeasibleError, r"row 0 of the cost"),
    (C * 1j, TypeError, r"C is complex \(complex128\)"),
    (C.astype(str), TypeError, r"C must hold real numbers, got dtype <U"),
    (np.array([[1, "x"], [2, 3]], object), TypeError, r"C must hold real numbers, got objects"),
    (np.array([[1, None], [2, 3]]), ValueError, r"C must not contain NaN or -inf, but C\[0, 1\] is nan"),
    ([[1, 2], [3]], ValueError, r"C cannot be made an array"),
    (None, (TypeError, ValueError), r"C must"),
    (np.ma.masked_greater(C, 4), TypeError, r"C has masked entries"),
    (
        np.full((2, 2), "2020-01-01", dtype="datetime64[D]"),
        TypeError,
        r"C must hold real numbers, got dtype datetime64",
    ),
]

POINTS = [
    (X[:, :1], Y, {}, ValueError, r"same number of columns, got shapes \(3, 1\) and \(4, 2\)"),
    (X[0], Y, {}, ValueError, r"X must be 2-D, got shape \(2,\)"),
    (X, Y[:0], {}, ValueError, r"Y is empty: its shape is \(0, 2\)"),
    (X[:, :0], Y[:, :0], {}, ValueError, r"X is empty: its shape is \(3, 0\)"),
    (with_entry(X, (2, 1), np.nan), Y, {}, ValueError, r"X must be finite, but X\[2, 1\] is nan"),
    (X, with_entry(Y, (3, 0), np.inf), {}, ValueError, r"Y must be finite, but Y\[3, 0\] is inf"),
    (X, with_entry(Y, (3, 0), -np.inf), {}, ValueError, r"Y must be finite, but Y\[3, 0\] is -inf"),
    (X, Y, {"metric": "manhattan"}, ValueError, r"metric must be one of 'sqeuclidean', .*got 'manhattan'"),
    (X, Y, {"metric": None}, ValueError, r"metric must be one of"),
    (
        with_entry(X, 1, 0),
        Y + 1,
        {"metric": "cosine"},
        ValueError,
        r"X\[0\] is a zero vector|X\[1\] is a zero vector",
    ),
    (
        X + 1,
        with_entry(Y, 3, 0),
        {"metric": "cosine"},
        ValueError,
        r"Y\[0\] is a zero vector|Y\[3\] is a zero vector",
    ),
    (X * 1e200, Y, {}, ValueError, r"X has entries up to 5e\+200, whose squares overflow float64"),
    ((X * 1e20).astype(np.float32), Y.astype(np.float32), {}, ValueError, r"whose squares overflow float32"),
    (X * 1j, Y, {}, TypeError, r"X is complex"),
    (
        X,
        Y,
        {"reg_scale": "median", "metric": "dot"},
        ValueError,
        r"reg_scale='median' needs a positive statistic",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), NUMBERS)
def test_options(options, error, message):
    for solve, data in ((ot.solve, (C,)), (ot.solve_sample, (X, Y))):
        with pytest.raises(error, match=message):
            solve(*data, **{"reg": 1.0, **options})


@pytest.mark.parametrize(("options", "error", "message"), WEIGHTS)
def test_weights(options, error, message):
    for solve, data in ((ot.solve, (C,)), (ot.solve_sample, (X, Y))):
        with pytest.raises(error, match=message):
            solve(*data, reg=1.0, **options)


@pytest.mark.parametrize(("cost", "error", "message"), COSTS)
def test_costs(cost, error, message):
    with pytest.raises(error, match=message):
        ot.solve(cost, reg=1.0)


@pytest.mark.parametrize(("x", "y", "options", "error", "message"), POINTS)
def test_points(x, y, options, error, message):
    with pytest.raises(error, match=message):
        ot.solve_sample(x, y, reg=1.0, **options)


def test_sparse_points_are_refused():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"X is a sparse matrix; pass a dense array \(X.toarray\(\)\)"):
        ot.solve_sample(csr_array(X), Y, reg=1.0)


def test_a_row_whose_partners_have_no_weight():
    cost = np.array([[0.0, np.inf, np.inf], [0.0, 1.0, 2.0]])
    with pytest.raises(InfeasibleError, match="row 0 of the cost"):
        ot.solve(cost, b=[0, 0.5, 0.5], reg=1.0)
    # the row itself without weight is no obstacle
    result = ot.solve(cost, a=[0, 1], b=[0, 0.5, 0.5], reg=1.0)
    np.testing.assert_allclose(result.plan, [[0, 0, 0], [0, 0.5, 0.5]], atol=1e-15)
    assert result.potentials[0][0] == np.inf
    np.testing.assert_array_equal(result.argmax(), [-1, 1])
    with pytest.raises(InfeasibleError, match="column 4 of the cost"):
        ot.solve(with_entry(np.zeros((3, 5)), (slice(0, 2), 4), np.inf), a=[0.5, 0.5, 0], reg=1.0)


def test_positional_options_are_refused():
    with pytest.raises(TypeError, match="positional"):
        ot.solve(C, A, B, 1.0)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"q": -0.1}, ValueError, r"q must be between 0 and 1, got -0.1"),
    ({"q": 1.5}, ValueError, r"q must be between 0 and 1, got 1.5"),
    ({"q": np.nan}, ValueError, r"q must be a number, got nan"),
    ({"q": [0.5]}, TypeError, r"q must be a number"),
    ({"n_samples": -1}, ValueError, r"n_samples must be >= 0, got -1"),
    ({"n_samples": 1.5}, TypeError, r"n_samples must be an integer"),
    ({"metric": "l1"}, ValueError, r"metric must be one of"),
    ({"n_jobs": 0}, ValueError, r"n_jobs must be"),
])  # fmt: skip
def test_cost_quantile(options, error, message):
    with pytest.raises(error, match=message):
        ot.cost_quantile(X, Y, **options)


def test_c_transform():
    with pytest.raises(ValueError, match=r"psi must have shape \(4,\), got \(3,\)"):
        ot.c_transform(X, Y, np.zeros(3))
    with pytest.raises(ValueError, match=r"psi must be finite, but psi\[2\] is nan"):
        ot.c_transform(X, Y, [0, 0, np.nan, 0])
    with pytest.raises(ValueError, match=r"X must not contain NaN or -inf, but X\[1, 2\] is nan"):
        ot.c_transform(with_entry(C, (1, 2), np.nan), None, np.zeros(4))


RESULT = [
    (lambda r: r.apply(np.ones(3)), ValueError, r"V must have shape \(4,\) or \(4, k\), got \(3,\)"),
    (lambda r: r.apply(np.ones((4, 2, 1))), ValueError, r"V must have shape"),
    (lambda r: r.apply_T(np.ones(4)), ValueError, r"U must have shape \(3,\) or \(3, k\), got \(4,\)"),
    (lambda r: r.apply(1j * np.ones(4)), TypeError, r"V is complex"),
    (lambda r: r.normal_operator(np.ones(4)), ValueError, r"w must have shape \(3,\), got \(4,\)"),
    (lambda r: r.normal_operator([1, np.nan, 1]), ValueError, r"w must be finite"),
    (lambda r: r.sparse_plan(), ValueError, r"exactly one of threshold and k"),
    (lambda r: r.sparse_plan(0.1, 2), ValueError, r"exactly one of threshold and k"),
    (lambda r: r.sparse_plan(k=0), ValueError, r"k must be between 1 and 4, got 0"),
    (lambda r: r.sparse_plan(k=5), ValueError, r"k must be between 1 and 4, got 5"),
    (lambda r: r.sparse_plan(threshold=-1), ValueError, r"threshold must be >= 0, got -1"),
    (lambda r: r.argmax(axis=2), ValueError, r"axis must be 0 or 1, got 2"),
    (lambda r: r.barycentric_projection(np.ones((3, 2))), ValueError, r"Y must have shape \(4,\) or"),
    (lambda r: r.extend_f(np.ones((5, 3))), ValueError, r"X_new and Y must have the same number of columns"),
    (lambda r: r.extend_f(np.full((5, 2), np.nan)), ValueError, r"but X_new\[0, 0\] is nan"),
    (lambda r: r.extend_g(np.ones(2)), ValueError, r"Y_new must be 2-D, got shape \(2,\)"),
    (lambda r: r.transition(X, np.ones(3)), ValueError, r"V must have shape"),
    (lambda r: r.singular_triplets(0), ValueError, r"k must be between 1 and 2, got 0"),
    (lambda r: r.singular_triplets(3), ValueError, r"k must be between 1 and 2, got 3"),
    (lambda r: r.singular_triplets(2, block=1), ValueError, r"block must be between 2 and 2, got 1"),
    (lambda r: r.singular_triplets(2, tol=0), ValueError, r"tol must be > 0, got 0"),
    (lambda r: r.singular_triplets(2, max_apply=0), ValueError, r"max_apply must be >= 1, got 0"),
    (lambda r: r.singular_triplets(2, callback=1), TypeError, r"callback must be callable"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), RESULT)
def test_results(call, error, message):
    with pytest.raises(error, match=message):
        call(ot.solve_sample(X, Y, reg=10.0))


def test_results_of_a_matrix():
    result = ot.solve(C, reg=1.0)
    with pytest.raises(ValueError, match="has no points of its own; pass Y"):
        result.barycentric_projection()
    with pytest.raises(ValueError, match="has no points to map to"):
        result.entropic_map(X)
    with pytest.raises(
        ValueError, match=r"X_new must have shape \(r, 4\), costs to the 4 columns, got \(2, 3\)"
    ):
        result.extend_f(np.ones((2, 3)))
    with pytest.raises(
        ValueError, match=r"Y_new must have shape \(3, r\), costs of the 3 rows, got \(2, 3\)"
    ):
        result.extend_g(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"init is the result of a problem of shape \(3, 4\)"):
        ot.solve(C[:2], reg=1.0, init=result)
    one = ot.solve(np.ones((1, 3)), reg=1.0)
    with pytest.raises(ValueError, match="no further singular vectors"):
        one.singular_triplets(1)


def test_memory_limit():
    result = ot.solve_sample(X, Y, reg=10.0, max_plan_bytes=95)
    message = r"the plan \(3 x 4 float64\) takes 96 B, above max_plan_bytes = 95 B"
    with pytest.raises(MemoryError, match=message):
        _ = result.plan
    with pytest.raises(MemoryError, match="the part of the plan above 0 takes 192 B"):
        result.sparse_plan(threshold=0)
    result.max_plan_bytes = 96
    assert result.plan.shape == (3, 4)
    big = ot.solve_sample(np.zeros((20_000, 1)), np.zeros((20_000, 1)), reg=1.0)
    with pytest.raises(
        MemoryError, match=r"20000 x 20000 float64\) takes 2.98 GiB, above max_plan_bytes = 2 GiB"
    ):
        _ = big.plan


def test_nothing_is_touched():
    """Read-only arguments work, and no argument is written to."""
    cost, a, b, f, g = C.copy(), A.copy(), B.copy(), np.zeros(3), np.zeros(4)
    for x in (cost, a, b, f, g):
        x.flags.writeable = False
    result = ot.solve(cost, a, b, reg=2.0, init=(f, g))
    again = ot.solve(cost, a, b, reg=2.0, init=result)
    np.testing.assert_array_equal(f, 0)
    np.testing.assert_allclose(result.plan, again.plan, atol=1e-6)
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    first = ot.solve_sample(x, y, reg=10.0)
    first.extend_f(x), first.extend_g(y), first.singular_triplets(1)
    out = first.apply(np.ones(4))
    out[:] = 3  # and what comes back belongs to the caller
    assert not (first.apply(np.ones(4)) == 3).any()
    first.potentials[0][:] = 7
    assert not (first.potentials[0] == 7).any()


@pytest.mark.parametrize("make", [
    lambda x: np.asfortranarray(x),
    lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    lambda x: np.flip(np.ascontiguousarray(np.flip(x))),
    lambda x: np.broadcast_to(x, (2, *x.shape))[1],
    lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    lambda x: x.astype(">f8"),
    lambda x: x.tolist(),
    lambda x: x.astype(object),
    lambda x: np.ma.masked_array(x),
    lambda x: x.astype(np.int64),
])  # fmt: skip
def test_layouts(make):
    """Strides, alignment, byte order, lists: the same answer."""
    expected = ot.solve(C, A, B, reg=2.0).plan
    np.testing.assert_allclose(ot.solve(make(C), A, B, reg=2.0).plan, expected, atol=1e-7)
    expected = ot.solve_sample(X, Y, reg=10.0).plan
    np.testing.assert_allclose(ot.solve_sample(make(X), make(Y), reg=10.0).plan, expected, rtol=1e-13)


def test_weights_of_other_types():
    plan = ot.solve(C, [1, 1, 1], [0.75] * 4, reg=2.0).plan
    for a in (np.ones(3, np.int8), np.ones(6)[::2], np.ones(3, np.float32)):
        np.testing.assert_allclose(ot.solve(C, a, reg=2.0).plan, plan, atol=1e-12)
    # float32 weights have totals that agree to 1e-4 only; the rest is scaled away
    result = ot.solve(C, np.full(3, 1 / 3, np.float32), B * (1 + 5e-5), reg=2.0)
    a, b = result.weights
    assert b.sum() == pytest.approx(a.sum(), rel=1e-14)
    np.testing.assert_allclose(result.plan.sum(), a.sum(), rtol=1e-6)


def test_not_converged_warns():
    x = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.warns(
        ConvergenceWarning, match=r"marginal error .* is above tol = 1e-09 after 3 sweeps at reg = 0.01"
    ) as seen:
        result = ot.solve_sample(x, x[:40] + 1, reg=0.01, max_iter=3, tol=1e-9)
    assert seen[0].filename == __file__
    assert not result.converged
    assert result.n_sweeps == 3
    a, b = result.marginal_a, result.marginal_b
    error = np.abs(a - 1 / 50).sum() + np.abs(b - 1 / 40).sum()
    assert error == pytest.approx(result.marginal_error, rel=1e-9)


def test_callback_sees_the_run():
    seen = []
    result = ot.solve_sample(X, Y, reg=1.0, callback=seen.append)
    assert len(seen) >= result.n_sweeps > 0
    assert all(isinstance(s.stage, str) for s in seen)
    iterations = [s.iteration for s in seen]
    assert iterations == sorted(iterations)
    assert iterations[-1] == result.n_sweeps
    assert all(s.reg == 1.0 and s.elapsed >= 0 for s in seen)
    assert [s.elapsed for s in seen] == sorted(s.elapsed for s in seen)
    assert seen[-1].error <= 1e-6


@pytest.mark.parametrize("schedule", ["auto", None])
def test_callback_stops_without_a_warning(schedule):
    x = np.random.default_rng(0).normal(size=(50, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ot.solve_sample(
            x,
            x[:40] + 1,
            reg=0.1,
            tol=1e-12,
            schedule=schedule,
            callback=lambda info: info.iteration >= 4,
        )
    assert not result.converged
    assert result.status == "stopped"
    assert 4 <= result.n_sweeps <= 5
    assert np.isfinite(result.potentials[0]).all()
    error = np.abs(result.marginal_a - 1 / 50).sum() + np.abs(result.marginal_b - 1 / 40).sum()
    assert error == pytest.approx(result.marginal_error, rel=1e-9)


def test_only_true_stops():
    x = np.random.default_rng(0).normal(size=(50, 2))
    result = ot.solve_sample(x, x[:40] + 1, reg=1.0, callback=lambda info: info.error)
    assert result.converged


class Special(Exception):
    pass


def test_exception_of_a_callback_comes_out_unchanged():
    x = np.random.default_rng(0).normal(size=(50, 2))
    error = Special("mine")

    def fail(info):
        if info.iteration == 2:
            raise error

    with pytest.raises(Special) as seen:
        ot.solve_sample(x, x[:40] + 1, reg=0.01, callback=fail)
    assert seen.value is error
    assert ot.solve_sample(x, x[:40] + 1, reg=1.0).converged  # and the next call is well


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("work", [
    "ot.solve_sample(X, Y, reg=1e-3, tol=1e-15, max_iter=10**6, n_jobs=n_jobs)",
    "ot.solve(C, reg=1e-4, tol=1e-15, max_iter=10**7, n_jobs=n_jobs)",
    "[result.apply(V) for _ in range(10**6)]",
    "ot.solve_sample(X, Y, reg=1e-3, tol=1e-15, max_iter=10**6, n_jobs=n_jobs, callback=lambda info: None)",
])  # fmt: skip
def test_ctrl_c(work, n_jobs):
    """Work of many minutes ends within half a second of SIGINT, in one of three tries at least."""
    program = textwrap.dedent(f"""
        import os
        import signal
        import threading
        import time
        import numpy as np
        from lapwing import ot
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background jobs of a shell
        n_jobs = {n_jobs}
        rng = np.random.default_rng(0)
        X, Y = rng.normal(size=(8_000, 30)), rng.normal(size=(8_000, 30))
        C, V = rng.random((2000, 2000)), rng.normal(size=(8_000, 30))
        if "result" in {work!r}:
            result = ot.solve_sample(X, Y, reg=1e3, tol=0.5, n_jobs=n_jobs)

        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        sent, took = [], []
        while len(took) < 3 and not (took and took[-1] <= 0.5):
            threading.Timer(0.3, interrupt).start()  # well into the work
            try:
                {work}
            except KeyboardInterrupt:
                took.append(time.monotonic() - sent[-1])
        print("interrupted" if min(took) <= 0.5 else took, flush=True)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
