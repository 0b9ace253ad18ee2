"""Pairs drawn from plans, exact assignments, noise, weights; labels by partial transport; sparse plans."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning, InfeasibleError


@pytest.mark.parametrize("layout", ["points", "C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_follow_the_plan(oracle, layout, dtype):
    X, Y = oracle.clouds(0, 6, 9, 2, dtype)
    a = oracle.weights(1, 6)
    a[2] = 0
    a /= a.sum()
    if layout == "points":
        result = ot.solve_sample(X, Y, a, reg=0.5)
    else:
        result = ot.solve(np.array(oracle.cost(X, Y), dtype, order=layout), a, reg=0.5)
    n = 200_000
    rows, columns = result.sample(n, random_state=3)
    count = np.zeros((6, 9))
    np.add.at(count, (rows, columns), 1)
    P = result.plan.astype(np.float64)
    used = P > 0
    assert not count[~used].any()
    assert stats.chisquare(count[used], n * P[used] / P[used].sum()).pvalue > 1e-3

    drawn = np.stack([result.sample(random_state=k)[1] for k in range(4000)])
    conditional = P / P.sum(axis=1, keepdims=True).clip(1e-300)
    conditional[2] = np.exp(-oracle.cost(X, Y)[2] / 0.5 + result.potentials[1].astype(np.float64) / 0.5)
    conditional[2] /= conditional[2].sum()  # a row of weight 0 has partners all the same
    for i in range(6):
        seen = np.bincount(drawn[:, i], minlength=9)
        assert stats.chisquare(seen, 4000 * conditional[i]).pvalue > 1e-3


def test_samples_never_use_a_forbidden_pair_and_have_the_same_bits(oracle):
    C = oracle.cost(*oracle.clouds(1, 300, 200, 2))
    C[np.random.default_rng(0).random(C.shape) < 0.7] = np.inf
    C[np.arange(200), np.arange(200)] = 1.0
    C[200:, 0] = 1.0
    result = ot.solve(C, reg=0.2, unbalanced=1.0)
    answers = []
    for n_jobs in (1, 2, 4):
        result.n_jobs = n_jobs
        rows, columns = result.sample(5000)
        assert np.isfinite(C[rows, columns]).all()
        answers.append((rows.tobytes(), columns.tobytes(), result.sample()[1].tobytes()))
    assert len(set(answers)) == 1


def test_sample_of_an_empty_row_and_errors():
    C = np.array([[0.0, 1.0], [np.inf, np.inf]])
    result = ot.solve(C, np.array([1.0, 0.0]), reg=1.0)
    assert result.sample()[1].tolist()[1] == -1
    assert set(result.sample(50)[0].tolist()) == {0}
    with pytest.raises(ValueError, match="n must be >= 1"):
        result.sample(0)
    with pytest.raises(TypeError, match="random_state"):
        result.sample(3, random_state="x")


@pytest.mark.parametrize("metric", ot.METRICS)
@pytest.mark.parametrize("shape", [(5, 5), (4, 6), (6, 4)])
def test_assignment_is_the_best_of_all(oracle, metric, shape):
    X, Y = oracle.clouds(2, *shape, 3)
    C = oracle.cost(X, Y, metric)
    found = ot.assign(X, Y, metric=metric)
    n, m = shape
    few, many = min(shape), max(shape)
    costs = C if n <= m else C.T
    best = min(costs[np.arange(few), list(p)].sum() for p in permutations(range(many), few))
    assert found.cost == pytest.approx(best, abs=1e-12)
    paired = found.index >= 0
    assert paired.sum() == few
    assert len(set(found.index[paired].tolist())) == few
    assert C[np.flatnonzero(paired), found.index[paired]].sum() == pytest.approx(best, abs=1e-12)
    assert ot.assign(C).cost == pytest.approx(best, abs=1e-12)


def test_assignment_with_forbidden_pairs():
    C = np.array([[0.0, np.inf], [0.0, 5.0]])
    assert ot.assign(C).index.tolist() == [0, 1]
    with pytest.raises(ValueError, match="forbids every way"):
        ot.assign(np.array([[0.0, np.inf], [0.0, np.inf]]))
    with pytest.raises(MemoryError, match="cost matrix"):
        ot.assign(np.zeros((100, 100)), max_memory=1000)


def test_the_entropic_plan_tends_to_the_assignment(oracle):
    X, Y = oracle.clouds(3, 60, 60, 2)
    found = ot.assign(X, Y)
    result = ot.solve_sample(X, Y, reg=1e-3, tol=1e-9)
    assert (result.argmax() == found.index).mean() > 0.9
    assert result.value_linear * 60 == pytest.approx(found.cost, rel=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearest_noise(dtype):
    X = np.random.default_rng(7).normal(size=(500, 3, 4)).astype(dtype) * 2
    near, one = ot.nearest_noise(X, 8), ot.nearest_noise(X, 1)
    assert near.shape == X.shape
    assert near.dtype == dtype
    # the first draw of the eight is the one of the other call: never further
    gap = ((near - X) ** 2).sum(axis=(1, 2)) - ((one - X) ** 2).sum(axis=(1, 2))
    assert (gap <= 0).all()
    assert (gap < 0).mean() == pytest.approx(7 / 8, abs=0.06)  # the first is the nearest once in eight times
    assert stats.kstest(one.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_array_equal(near, ot.nearest_noise(X, 8))
    with pytest.raises(ValueError, match="k must be >= 1"):
        ot.nearest_noise(X, 0)
    with pytest.raises(ValueError, match="X must be finite"):
        ot.nearest_noise(np.array([[np.nan]]))


@pytest.mark.parametrize("metric", ot.METRICS)
def test_gibbs_weights(oracle, metric):
    X, Y = oracle.clouds(4, 40, 40, 3)
    costs = np.diag(oracle.cost(X, Y, metric))
    plain = ot.gibbs_weights(X, Y, reg=0.7, metric=metric, normalize=None)
    np.testing.assert_allclose(plain, np.exp(-costs / 0.7), rtol=1e-12)
    for name, total in (("mean", 40.0), ("sum", 1.0)):
        scaled = ot.gibbs_weights(X, Y, reg=0.7, metric=metric, normalize=name)
        np.testing.assert_allclose(scaled, plain * total / plain.sum(), rtol=1e-12)
    result = ot.solve_sample(X, Y, reg=0.7, metric=metric, tol=1e-12)
    order = np.random.default_rng(1).permutation(40)
    exact = ot.gibbs_weights(X, Y[order], potentials=result, normalize=None)
    np.testing.assert_allclose(exact, 1600 * result.plan[np.arange(40), order], rtol=1e-8)
    # weights of all pairs have the mean 1 on either side: the tilt is gone
    i, j = np.divmod(np.arange(1600), 40)
    all_pairs = ot.gibbs_weights(X[i], Y[j], potentials=result, normalize=None).reshape(40, 40)
    np.testing.assert_allclose(all_pairs.mean(axis=0), 1, rtol=1e-8)


def test_gibbs_weights_do_not_underflow_and_say_what_is_wrong():
    X, Y = np.zeros((2, 1)), np.array([[100.0], [101.0]])
    weights = ot.gibbs_weights(X, Y, reg=1.0)
    np.testing.assert_allclose(weights, [2, 2 * np.exp(-201)])
    with pytest.raises(ValueError, match="give reg, or potentials"):
        ot.gibbs_weights(X, Y)
    with pytest.raises(ValueError, match="as many rows"):
        ot.gibbs_weights(X, Y[:1], reg=1.0)
    result = ot.solve_sample(X, Y, reg=1.0)
    with pytest.raises(ValueError, match="leave it out"):
        ot.gibbs_weights(X, Y, reg=1.0, potentials=result)
    with pytest.raises(TypeError, match="solve_sample"):
        ot.gibbs_weights(X, Y, potentials=ot.solve(np.zeros((2, 2)), reg=1.0))


# -- labels ---------------------------------------------------------------------------------------------


def _scaling(C, rho, gamma, reg, sizes, n_iter=20_000):
    """The published iteration, in the plain kernel domain."""
    n, k = C.shape
    K = np.exp(-np.column_stack([C, np.zeros(n)]) / reg)
    beta = np.append(rho * sizes, 1 - rho)
    power = np.append(np.full(k, gamma / (gamma + reg)), 1.0)
    v = np.ones(k + 1)
    for _ in range(n_iter):
        u = (1 / n) / (K @ v)
        v = (beta / (K.T @ u)) ** power
    return (u[:, None] * K * v)[:, :k] * n


def _costs(seed, n=50, k=4):
    logits = np.random.default_rng(seed).normal(size=(n, k)) * 2
    logits -= logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits


@pytest.mark.parametrize("rho", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_labels_against_the_published_iteration(rho, gamma):
    C = _costs(0)
    found = ot.progressive_partial(C, rho, gamma=gamma, tol=1e-12)
    assert found.converged
    np.testing.assert_allclose(found.labels, _scaling(C, rho, gamma, 0.1, np.full(4, 0.25)), atol=1e-7)
    assert found.labels.sum() == pytest.approx(50 * rho, rel=1e-6)
    assert (found.labels.sum(axis=1) <= 1 + 1e-6).all()


def test_the_largest_prior_goes_to_the_largest_cluster():
    C = _costs(1)
    C[:, 2] -= 1.5
    prior = np.array([0.1, 0.6, 0.1, 0.2])
    found = ot.progressive_partial(C, 0.7, prior=prior, tol=1e-12)
    free = _scaling(C, 0.7, 1.0, 0.1, np.full(4, 0.25)).sum(axis=0)
    sizes = np.empty(4)
    sizes[np.argsort(-free)] = [0.6, 0.2, 0.1, 0.1]
    assert sizes[2] == 0.6
    np.testing.assert_allclose(found.labels, _scaling(C, 0.7, 1.0, 0.1, sizes), atol=1e-7)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_the_semantic_term(convert):
    C = _costs(2, 30, 3)
    rng = np.random.default_rng(0)
    S = rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    found = ot.progressive_partial(C, 0.5, semantic=convert(S), lam=2.0, tol=1e-10)
    Q = _scaling(C, 0.5, 1.0, 0.1, np.full(3, 1 / 3)) / 30
    for _ in range(60):
        Q = _scaling(C - 2.0 * (S + S.T) @ Q, 0.5, 1.0, 0.1, np.full(3, 1 / 3), 3000) / 30
    np.testing.assert_allclose(found.labels, 30 * Q, atol=1e-5)
    assert found.n_outer > 2
    with pytest.warns(ConvergenceWarning, match="semantic"):
        ot.progressive_partial(C, 0.5, semantic=convert(S), lam=2.0, tol=1e-12, max_outer=2)


def test_labels_refuse_bad_input():
    C = _costs(3, 5, 2)
    for wrong, match in (
        ({"rho": 0.0}, "rho must be > 0"), ({"rho": 1.5}, "rho must be at most 1"),
        ({"rho": 0.5, "gamma": -1}, "gamma"), ({"rho": 0.5, "prior": [1, 2, 3]}, "prior must have shape"),
        ({"rho": 0.5, "semantic": np.zeros((2, 2))}, "semantic must have shape"),
        ({"rho": 0.5, "semantic": -np.ones((5, 5))}, "not negative"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            ot.progressive_partial(C, **wrong)
    assert ot.mass_schedule(1.0, 0.3) == 1.0
    assert ot.mass_schedule(0.0, 0.3) == pytest.approx(0.3 + 0.7 * np.exp(-5))
    with pytest.raises(ValueError, match="progress"):
        ot.mass_schedule(1.1)


# -- at most k entries a column -------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["points", "C", "F"])
def test_without_a_limit_it_is_quadratic_regularisation(oracle, layout):
    pot = pytest.importorskip("ot")
    X, Y = oracle.clouds(5, 30, 20, 2)
    a, b = oracle.weights(6, 30), oracle.weights(7, 20)
    C = oracle.cost(X, Y)
    expected = pot.smooth.smooth_ot_semi_dual(a, b, C, 3.0, reg_type="l2", stopThr=1e-12, numItermax=5000)
    arguments = {"C": X, "Y": Y} if layout == "points" else {"C": np.array(C, order=layout)}
    for k in (30, 100):
        found = ot.sparsity_constrained(a=a, b=b, k=k, reg=3.0, **arguments)
        assert found.converged
        np.testing.assert_allclose(found.plan.toarray(), expected, atol=1e-6)
        assert found.value == pytest.approx(found.dual, rel=1e-6)


@pytest.mark.parametrize("k", [2, 4, 70])
def test_few_entries_a_column(oracle, k):
    X, Y = oracle.clouds(8, 90, 50, 2)
    a, b = oracle.weights(9, 90), oracle.weights(10, 50)
    b[7] = 0
    b /= b.sum()
    with pytest.warns(ConvergenceWarning, match="row sums") if k < 70 else _nothing():
        found = ot.sparsity_constrained(X, a, b, Y=Y, k=k, reg=20.0)
    P = found.plan.toarray()
    assert ((P > 0).sum(axis=0) <= k).all()
    np.testing.assert_allclose(P.sum(axis=0), b, atol=1e-12)
    C = oracle.cost(X, Y)
    assert found.value == pytest.approx((P * C).sum() + 10 * (P**2).sum(), rel=1e-9)
    assert found.row_error == pytest.approx(np.abs(P.sum(axis=1) - a).sum(), abs=1e-12)
    # no worse than what the semi-dual says at the same potential, entry by entry
    alpha = found.potential
    for j in (0, 20):
        x = np.sort(alpha - C[:, j])[::-1][:k]
        tau = max((np.cumsum(x) - 20.0 * b[j]) / np.arange(1, k + 1))
        np.testing.assert_allclose(np.sort(P[:, j])[::-1][:k], np.maximum(x - tau, 0) / 20, atol=1e-9)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def test_rounding_moves_the_mass_within_the_entries():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(20, 2))
    with pytest.warns(ConvergenceWarning):
        loose = ot.sparsity_constrained(X, Y=Y, k=4, reg=50.0)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tight = ot.sparsity_constrained(X, Y=Y, k=4, reg=50.0, round=True)
    assert tight.row_error < loose.row_error / 3
    P = tight.plan.toarray()
    assert ((P > 0).sum(axis=0) <= 4).all()
    np.testing.assert_allclose(P.sum(axis=0), 1 / 20, atol=1e-9)


def test_sparsity_same_bits_and_errors(oracle):
    X, Y = oracle.clouds(11, 200, 150, 3)
    plans = [ot.sparsity_constrained(X, Y=Y, k=30, reg=50.0, tol=1e-4, n_jobs=j).plan for j in (1, 2, 4)]
    assert len({p.data.tobytes() + p.indices.tobytes() for p in plans}) == 1
    with pytest.raises(InfeasibleError, match="reach fewer"):
        ot.sparsity_constrained(np.zeros((5, 2)), k=2, reg=1.0)
    with pytest.raises(ValueError, match="k must be >= 1"):
        ot.sparsity_constrained(np.zeros((2, 2)), k=0, reg=1.0)
    with pytest.raises(ValueError, match="finite"):
        ot.sparsity_constrained(np.array([[0.0, np.inf], [1, 2]]), k=2, reg=1.0)
    stopped = []
    with pytest.warns(ConvergenceWarning):
        ot.sparsity_constrained(
            X, Y=Y, k=3, reg=50.0, callback=lambda info: stopped.append(info.iteration) or len(stopped) == 3
        )
    assert stopped == [1, 2, 3]


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.integers(0, 100))
def test_columns_are_always_exact(n, m, k, seed):
    if k * m < n:
        return
    rng = np.random.default_rng(seed)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = ot.sparsity_constrained(rng.normal(size=(n, m)), k=k, reg=10.0 ** rng.integers(-3, 3))
    P = found.plan.toarray()
    np.testing.assert_allclose(P.sum(axis=0), 1 / m, rtol=1e-9)
    assert ((P > 0).sum(axis=0) <= k).all()
    assert (P >= 0).all()
    assert found.dual <= found.value + 1e-6 * (1 + abs(found.value)) or found.row_error > 1e-6


# -- the Monge gap ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ot.METRICS)
@pytest.mark.parametrize("linear", [False, True])
def test_monge_gap(oracle, metric, linear):
    X, T = oracle.clouds(12, 40, 40, 3)
    a = oracle.weights(13, 40)
    options = {"reg": 0.4, "metric": metric, "linear": linear, "tol": 1e-12}
    gap = ot.monge_gap(X, T, a, **options)
    plan = ot.solve_sample(X, T, a, a, reg=0.4, metric=metric, tol=1e-12)
    direct = a @ np.diag(oracle.cost(X, T, metric))
    assert gap.value == pytest.approx(direct - (plan.value_linear if linear else plan.value), abs=1e-10)
    step = np.random.default_rng(0).normal(size=T.shape)
    ends = [ot.monge_gap(X, T + h * step, a, **options).value for h in (1e-5, -1e-5)]
    assert np.sum(gap.grad_T * step) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_monge_gap_of_an_optimal_map_vanishes():
    X = np.random.default_rng(0).normal(size=(300, 2))
    T = X @ np.array([[2.0, 0.3], [0.3, 1.0]])  # the gradient of a convex function
    values = [ot.monge_gap(X, T, reg=e, linear=True, tol=1e-9).value for e in (1.0, 0.1, 0.01, 0.001)]
    assert values == sorted(values)  # from below: the plan is not yet the map
    assert -1e-3 < values[-1] < 1e-9
    assert ot.monge_gap(X, -T, reg=0.01, linear=True).value > 1
    for wrong, match in (
        ({"mass": 0.5}, "mass"),
        ({"unbalanced": 1.0}, "unbalanced"),
        ({"reg_type": "entropy"}, "kl"),
    ):
        with pytest.raises(ValueError, match=match):
            ot.monge_gap(X, T, reg=1.0, **wrong)
    with pytest.raises(ValueError, match="same shape"):
        ot.monge_gap(X, T[:-1], reg=1.0)
