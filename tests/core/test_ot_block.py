"""Sweeps of blocks of rows, put together, against the updates of the whole and against solve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from lapwing import ot
from lapwing.exceptions import InfeasibleError


def problem(seed=0, n=45, m=32, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)), *map(rng.dirichlet, (np.ones(n), np.ones(m)))


def merged(answers, reg):
    return -reg * np.logaddexp.reduce([-s.g / reg for s in answers])


def sweep(X, Y, g, a, b, cuts, **options):
    blocks = np.split(np.arange(len(a)), cuts)
    answers = [ot.sweep_block(X[i], Y, g, a[i], b, **options) for i in blocks]
    return np.concatenate([s.f for s in answers]), merged(answers, options["reg"])


@pytest.mark.parametrize("cuts", [[], [20], [1, 2, 30]])
@pytest.mark.parametrize("metric", [None, *ot.METRICS])
def test_blocks_are_the_two_updates(metric, cuts):
    X, Y, a, b = problem()
    C = {
        "sqeuclidean": cdist(X, Y, "sqeuclidean"), "euclidean": cdist(X, Y), "cosine": cdist(X, Y, "cosine"),
        "dot": -X @ Y.T,
    }.get(metric, cdist(X, Y))  # fmt: skip
    reg, g = 0.01, np.random.default_rng(1).normal(size=len(b))
    f_want = -reg * logsumexp((g - C) / reg, b=b, axis=1)
    g_want = -reg * logsumexp((f_want[:, None] - C) / reg, b=a[:, None], axis=0)
    given = (C, None) if metric is None else (X, Y)
    options = {"reg": reg} if metric is None else {"reg": reg, "metric": metric}
    f, g_new = sweep(*given, g, a, b, cuts, **options)
    np.testing.assert_allclose(f, f_want, atol=1e-12)
    np.testing.assert_allclose(g_new, g_want, atol=1e-12)


def test_iterated_they_solve_the_problem_and_say_how_well():
    X, Y, a, b = problem()
    reg, g = 0.3, np.zeros(len(b))
    for _ in range(300):
        old = g
        f, g = sweep(X, Y, g, a, b, [10, 30], reg=reg)
        plan = a[:, None] * b * np.exp((f[:, None] + old - cdist(X, Y, "sqeuclidean")) / reg)
        error = b @ np.abs(np.expm1((old - g) / reg))
        assert error == pytest.approx(np.abs(plan.sum(axis=0) - b).sum(), rel=1e-6, abs=1e-14)
    assert error < 1e-11
    alone = ot.solve_sample(X, Y, a, b, reg=reg, tol=1e-12)
    np.testing.assert_allclose(plan, alone.plan, atol=1e-11)
    whole = ot.solve_sample(X, Y, a, b, reg=reg, init=(f, g), tol=1e-10)
    assert whole.converged
    assert whole.n_sweeps <= 2


def test_small_regularisation_from_a_far_start():
    X, Y, a, b = problem()
    f, g = sweep(X, Y, np.linspace(-1e4, 1e4, len(b)), a, b, [7], reg=1e-4)
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()


def test_weights_of_zero_and_forbidden_pairs():
    X, Y, a, b = problem()
    a[3:8] = 0
    b[5] = 0
    C = cdist(X, Y)
    C[:20, 2] = np.inf
    C[4] = np.inf  # a row without weight needs no partner
    g = np.zeros(len(b))
    first = ot.sweep_block(C[:20], None, g, a[:20], b, reg=0.1)
    assert first.g[2] == np.inf
    assert first.f[4] == np.inf
    empty = ot.sweep_block(C[3:8], None, g, a[3:8], b, reg=0.1)
    assert (empty.g == np.inf).all()
    keep, columns = np.flatnonzero(a), np.flatnonzero(b)
    f, new = sweep(C, None, g, a, b, [3, 8, 20], reg=0.1)
    f_want = -0.1 * logsumexp(-C[np.ix_(keep, columns)] / 0.1, b=b[columns], axis=1)
    np.testing.assert_allclose(f[keep], f_want, atol=1e-12)
    want = -0.1 * logsumexp((f_want[:, None] - C[keep]) / 0.1, b=a[keep, None], axis=0)
    np.testing.assert_allclose(new, want, atol=1e-12)
    with pytest.raises(InfeasibleError, match="row 1 of the block"):
        ot.sweep_block(np.array([[1.0, 2.0], [np.inf, np.inf]]), None, g[:2], a[:2], b[:2], reg=0.1)


def test_tensors_float32_and_threads():
    torch = pytest.importorskip("torch")
    X, Y, a, b = problem()
    g = np.zeros(len(b))
    answer = ot.sweep_block(*(torch.from_numpy(z) for z in (X, Y, g, a, b)), reg=0.1)
    plain = ot.sweep_block(X, Y, g, a, b, reg=0.1, n_jobs=1)
    assert answer.f.numpy().tobytes() == plain.f.tobytes()
    assert answer.g.numpy().tobytes() == plain.g.tobytes()
    single = ot.sweep_block(X.astype(np.float32), Y.astype(np.float32), g, a, b, reg=0.1)
    np.testing.assert_allclose(single.g, plain.g, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"g": np.zeros(3)}, r"g must have shape \(32,\)"),
        ({"g": np.full(32, np.nan)}, "g must"),
        ({"a": np.full(45, -1.0)}, r"a must be at least 0, but a\[0\] is -1"),
        ({"a": np.ones(4)}, r"a must have shape \(45,\)"),
        ({"b": np.zeros(32)}, "b has no positive weight"),
        ({"reg": 0.0}, "reg must be > 0"),
        ({"metric": "l1"}, "metric must be"),
        ({"X": np.zeros((45, 2))}, "X and Y must have the same number of columns"),
    ],
)
def test_bad_input(change, text):
    X, Y, a, b = problem()
    given = {"X": X, "Y": Y, "g": np.zeros(32), "a": a, "b": b, "reg": 0.1} | change
    with pytest.raises(ValueError, match=text):
        ot.sweep_block(**given)
