"""Many problems at once against one by one; divergences and barycentres against POT and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning

pot = pytest.importorskip("ot")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_is_a_loop(dtype):
    rng = np.random.default_rng(0)
    C = rng.uniform(size=(7, 20, 15)).astype(dtype)
    a, b = rng.dirichlet(np.ones(20), 7), rng.dirichlet(np.ones(15), 7)
    batch = ot.solve_batch(C, a, b, reg=0.05)
    assert len(batch) == 7
    assert batch.converged.all()
    for k, one in enumerate(batch):
        alone = ot.solve(C[k], a[k], b[k], reg=0.05)
        assert alone.potentials[0].tobytes() == one.potentials[0].tobytes()
        np.testing.assert_array_equal(batch.plan[k], alone.plan)
        assert batch.value[k] == pytest.approx(alone.value, rel=1e-6)
        assert batch.marginal_error[k] == alone.marginal_error


def test_points_of_different_numbers():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(5, 12, 3)), rng.normal(size=(5, 9, 3))
    lengths = np.array([[12, 9], [3, 9], [12, 1], [7, 4], [1, 1]])
    X[1, 3:] = np.nan  # not looked at
    batch = ot.solve_batch((X, Y), reg=0.5, lengths=lengths, tol=1e-10)
    for k, (n, m) in enumerate(lengths):
        alone = ot.solve_sample(X[k, :n], Y[k, :m], reg=0.5, tol=1e-10)
        np.testing.assert_allclose(batch.plan[k, :n, :m], alone.plan, atol=1e-9)
        assert (batch.plan[k, n:] == 0).all()
        assert np.isnan(batch.potentials[0][k, n:]).all()


def test_threads_do_not_change_a_bit():
    C = np.random.default_rng(2).uniform(size=(30, 40, 40))
    one, two = (ot.solve_batch(C, reg=0.01, n_jobs=k) for k in (1, 2))
    assert one.potentials[0].tobytes() == two.potentials[0].tobytes()


def test_it_says_how_many_did_not_converge():
    C = np.random.default_rng(3).uniform(size=(4, 10, 10))
    with pytest.warns(ConvergenceWarning, match="4 of 4 problems"):
        batch = ot.solve_batch(C, reg=0.001, tol=1e-12, max_iter=2)
    assert not batch.converged.any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"C": np.ones((3, 3))}, "C must be 3-D"),
        ({"C": np.full((2, 3, 3), np.nan)}, r"C must be finite, but C\[0, 0, 0\] is nan"),
        ({"a": np.ones((2, 4))}, r"a must have shape \(2, 3\)"),
        ({"a": -np.ones((2, 3))}, r"a must be positive and finite, but a\[0, 0\]"),
        ({"a": np.ones((2, 3)), "b": 2 * np.ones((2, 3))}, "must have the same total"),
        ({"lengths": np.zeros((2, 2), int)}, r"lengths\[0, 0\] must be between 1 and 3, got 0"),
        ({"reg": 0.0}, "reg must be > 0"),
        ({"C": (np.ones((2, 3, 2)), np.ones((2, 3, 4)))}, "as many problems and columns"),
    ],
)
def test_bad_batches(change, text):
    with pytest.raises(ValueError, match=text):
        ot.solve_batch(**{"C": np.ones((2, 3, 3)), "reg": 1.0, **change})


RELAXED = {
    "both": {"unbalanced": 0.7},
    "one side": {"unbalanced": (0.5, None)},
    "every point": {"unbalanced": (np.linspace(0.2, 2, 12), 1.0)},
    "total variation": {"unbalanced": 0.3, "unbalanced_type": "tv"},
    "partial": {"mass": 0.4},
    "entropy": {"unbalanced": 0.7, "reg_type": "entropy"},
    "partial, entropy": {"mass": 0.4, "reg_type": "entropy"},
    "balanced, entropy": {"reg_type": "entropy"},
}
ANSWERS = ("value", "value_linear", "gap", "marginal_error", "converged", "n_sweeps", "n_newton")


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("name", RELAXED)
def test_a_batch_of_other_marginals_is_a_loop(name, points):
    rng = np.random.default_rng(5)
    options = {"reg": 0.1, "tol": 1e-9} | RELAXED[name]
    lengths = np.array([[12, 9], [5, 9], [12, 3], [6, 4]])
    a, b = rng.uniform(0.5, 1, (4, 12)), rng.uniform(0.5, 1, (4, 9))
    for z, sizes in ((a, lengths[:, 0]), (b, lengths[:, 1])):
        z[np.arange(z.shape[1]) >= sizes[:, None]] = 0
        z /= z.sum(axis=1, keepdims=True)
    b *= 1.0 if name == "balanced, entropy" else 1.5
    C = rng.uniform(size=(4, 12, 9))
    X, Y = rng.normal(size=(4, 12, 3)), rng.normal(size=(4, 9, 3))
    batch = ot.solve_batch((X, Y) if points else C, a, b, lengths=lengths, **options)
    assert batch.converged.all()
    for k, (n, m) in enumerate(lengths):
        own = dict(options)
        if isinstance(own.get("unbalanced"), tuple) and not isinstance(own["unbalanced"][0], float):
            own["unbalanced"] = (own["unbalanced"][0][:n], own["unbalanced"][1])
        weights = a[k, :n], b[k, :m]
        if points:
            alone = ot.solve_sample(X[k, :n], Y[k, :m], *weights, **own)
        else:
            alone = ot.solve(C[k, :n, :m], *weights, **own)
        one = batch[k]
        np.testing.assert_allclose(batch.plan[k, :n, :m], alone.plan, atol=1e-8)
        np.testing.assert_allclose(one.plan, alone.plan, atol=1e-8)
        for side, size in enumerate((n, m)):
            np.testing.assert_allclose(batch.potentials[side][k, :size], alone.potentials[side], atol=1e-6)
            assert np.isnan(batch.potentials[side][k, size:]).all()
        assert batch.value[k] == pytest.approx(alone.value, rel=1e-7)
        for answer in ANSWERS:
            assert getattr(batch, answer)[k] == pytest.approx(getattr(one, answer), rel=1e-9, abs=1e-15)
        for answer in ("marginal_a", "marginal_b", "grad_a", "grad_b"):
            row, expected = getattr(batch, answer)[k], getattr(alone, answer)
            np.testing.assert_allclose(row[: expected.size], expected, atol=1e-6)
            assert (row[expected.size :] == 0).all()
        if points:
            np.testing.assert_allclose(batch.grad_X[k, :n], alone.grad_X, atol=1e-6)


@pytest.mark.parametrize("name", ["both", "partial", "entropy", "balanced, entropy"])
def test_a_batch_starts_where_another_ended(name):
    rng = np.random.default_rng(6)
    C = rng.uniform(size=(5, 14, 11))
    options = {"reg": 0.02, "tol": 1e-6} | RELAXED[name]
    first = ot.solve_batch(C, **options)
    for init in (first, first.potentials):
        again = ot.solve_batch(C, init=init, **options)
        assert (again.n_sweeps <= 2).all()
        np.testing.assert_allclose(again.plan, first.plan, atol=1e-6)
    assert first.n_sweeps.min() > 2


def test_threads_do_not_change_a_bit_of_other_marginals():
    C = np.random.default_rng(2).uniform(size=(30, 20, 20))
    one, two = (ot.solve_batch(C, reg=0.05, unbalanced=1.0, n_jobs=k) for k in (1, 2))
    assert one.potentials[0].tobytes() == two.potentials[0].tobytes()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"mass": 1.5}, ValueError, "mass = 1.5 is above the smaller total of the weights of problem 0, 1"),
        ({"mass": 0.5, "unbalanced": 1.0}, ValueError, "unbalanced and mass exclude each other"),
        ({"unbalanced": np.ones(4)}, ValueError, r"unbalanced must be a number or have shape \(3,\)"),
        ({"unbalanced_type": "l2"}, ValueError, "unbalanced_type"),
        ({"reg_type": "l2"}, ValueError, "reg_type"),
        ({"init": "gaussian"}, TypeError, "init must be a pair"),
        ({"init": (np.ones((2, 3)), np.ones((2, 4)))}, ValueError, r"init\[1\] must have shape \(2, 3\)"),
        ({"init": (np.ones((2, 3)), np.full((2, 3), np.inf))}, ValueError, r"init\[1\] must be finite"),
    ],
)
def test_bad_relaxed_batches(change, error, text):
    with pytest.raises(error, match=text):
        ot.solve_batch(**{"C": np.ones((2, 3, 3)), "reg": 1.0, **change})


def test_a_relaxed_batch_that_is_cut_short():
    C = np.random.default_rng(3).uniform(size=(4, 10, 10))
    with pytest.warns(ConvergenceWarning, match="4 of 4 problems .* relative change of the potentials"):
        ot.solve_batch(C, reg=0.001, unbalanced=10.0, tol=1e-12, max_iter=2)


def test_divergence():
    rng = np.random.default_rng(4)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2)) + 1
    a, b = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30))
    found = ot.sinkhorn_divergence(X, Y, a, b, reg=0.3, tol=1e-11)
    assert found.converged
    cost = lambda P, Q, p, q: ot.solve(cdist(P, Q, "sqeuclidean"), p, q, reg=0.3, tol=1e-11).value  # noqa: E731
    expected = cost(X, Y, a, b) - cost(X, X, a, a) / 2 - cost(Y, Y, b, b) / 2
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert ot.sinkhorn_divergence(X, X, a, a, reg=0.3).value == pytest.approx(0, abs=1e-9)
    shifted = ot.sinkhorn_divergence(X, X + np.array([3.0, 4.0]), a, a, reg=0.3, tol=1e-11)
    assert shifted.value == pytest.approx(25, rel=1e-9)  # a translation costs its square, whatever reg


def test_unbalanced_divergence_of_a_measure_with_itself():
    rng = np.random.default_rng(5)
    X, a = rng.normal(size=(30, 2)), rng.uniform(size=30)
    assert ot.sinkhorn_divergence(X, X, a, a, reg=0.3, unbalanced=1.0, tol=1e-11).value == pytest.approx(
        0, abs=1e-8
    )
    more = ot.sinkhorn_divergence(X, X, a, 2 * a, reg=0.3, unbalanced=1.0, tol=1e-11)
    assert more.value > 0.01


def histograms():
    t = np.linspace(0, 1, 60)[:, None]
    A = np.stack([np.exp(-((t[:, 0] - c) ** 2) / (2 * w**2)) for c, w in ((0.25, 0.06), (0.7, 0.1))], axis=1)
    return t, A / A.sum(axis=0)


@pytest.mark.parametrize("weights", [None, [0.2, 0.8]])
def test_barycenter(weights):
    t, A = histograms()
    C = cdist(t, t, "sqeuclidean")
    ours = ot.barycenter(A, C, weights=weights, reg=0.002, tol=1e-11)
    theirs = pot.bregman.barycenter(
        A, C, 0.002, weights=None if weights is None else np.array(weights), method="sinkhorn_log",
        stopThr=1e-13, numItermax=100_000,
    )  # fmt: skip
    assert ours.converged
    np.testing.assert_allclose(ours.weights, theirs, atol=1e-8)
    by_points = ot.barycenter(A, t, t, weights=weights, reg=0.002, tol=1e-11)
    np.testing.assert_allclose(by_points.weights, ours.weights, atol=1e-9)


def test_debiased_barycenter():
    t, A = histograms()
    C = cdist(t, t, "sqeuclidean")
    ours = ot.barycenter(A, C, reg=0.002, debias=True, tol=1e-10, max_iter=100_000)
    theirs = pot.bregman.barycenter_debiased(
        A, C, 0.002, method="sinkhorn_log", stopThr=1e-12, numItermax=100_000
    )

    def objective(p):
        a = [np.ascontiguousarray(A[:, k]) for k in range(2)]
        p = p / p.sum()
        own = ot.solve(C, p, p, reg=0.002, tol=1e-10).value
        return sum(ot.solve(C, w, p, reg=0.002, tol=1e-10).value for w in a) / 2 - own / 2

    assert objective(ours.weights) <= objective(theirs) + 1e-8
    blurred = ot.barycenter(A, C, reg=0.002)
    assert ours.weights.max() > blurred.weights.max()


def test_barycenter_threads_zero_entries_and_errors():
    t, A = histograms()
    A[:10, 0] = 0
    A /= A.sum(axis=0)
    one, two = (ot.barycenter(A, t, t, reg=0.01, n_jobs=k) for k in (1, 2))
    assert one.weights.tobytes() == two.weights.tobytes()
    with pytest.raises(ValueError, match="every column of A must sum to 1"):
        ot.barycenter(2 * A, t, t, reg=0.01)
    with pytest.raises(ValueError, match="A must have 60 rows"):
        ot.barycenter(A[1:], t, t, reg=0.01)
    with pytest.raises(ValueError, match="debias needs the cost of one set"):
        ot.barycenter(A, t, t[:-1], reg=0.01, debias=True)
    with pytest.warns(ConvergenceWarning):
        ot.barycenter(A, t, t, reg=0.001, tol=1e-12, max_iter=3)
