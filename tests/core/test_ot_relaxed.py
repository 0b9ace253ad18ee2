"""Unbalanced and partial transport: POT, optimality conditions, primal against dual, limits, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning, InfeasibleError

pot = pytest.importorskip("ot")


def problem(n=40, m=30, seed=0, mass=(1.0, 1.3)):
    rng = np.random.default_rng(seed)
    C = cdist(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5, "sqeuclidean")
    return C, mass[0] * rng.dirichlet(np.ones(n)), mass[1] * rng.dirichlet(np.ones(m))


@pytest.mark.parametrize("reg_type", ["kl", "entropy"])
@pytest.mark.parametrize("rho", [0.3, 5.0])
def test_pot_unbalanced(rho, reg_type):
    C, a, b = problem()
    ours = ot.solve(C, a, b, reg=0.2, unbalanced=rho, reg_type=reg_type, tol=1e-13)
    theirs = pot.unbalanced.sinkhorn_unbalanced(
        a, b, C, 0.2, rho, reg_type=reg_type, numItermax=200_000, stopThr=1e-15
    )
    np.testing.assert_allclose(ours.plan, theirs, atol=1e-11)
    assert abs(ours.gap) < 1e-10


def test_optimality_of_kl():
    C, a, b = problem()
    rho_a, rho_b = 0.7, 2.0
    result = ot.solve(C, a, b, reg=0.1, unbalanced=(rho_a, rho_b), tol=1e-13)
    f, g = result.potentials
    np.testing.assert_allclose(result.marginal_a, a * np.exp(-f / rho_a), rtol=1e-10)
    np.testing.assert_allclose(result.marginal_b, b * np.exp(-g / rho_b), rtol=1e-10)
    assert result.converged
    assert abs(result.gap) < 1e-10


def test_vector_penalties_and_one_fixed_side():
    C, a, b = problem()
    rho = np.linspace(0.1, 3, 30)
    rho[::5] = np.inf
    result = ot.solve(C, a, b, reg=0.1, unbalanced=(0.5, rho), tol=1e-12)
    f, g = result.potentials
    np.testing.assert_allclose(result.marginal_a, a * np.exp(-f / 0.5), rtol=1e-9)
    np.testing.assert_allclose(result.marginal_b, b * np.exp(-g / rho), rtol=1e-9)
    assert result.marginal_error < 1e-10
    semi = ot.solve(C, a, b, reg=0.1, unbalanced=(None, 0.5), tol=1e-12)
    np.testing.assert_allclose(semi.marginal_a, a, rtol=1e-10)
    assert abs(semi.gap) < 1e-10


def test_a_strong_penalty_is_the_balanced_problem():
    C, a, b = problem(mass=(1, 1))
    hard = ot.solve(C, a, b, reg=0.1, tol=1e-12)
    soft = ot.solve(C, a, b, reg=0.1, unbalanced=1e7, tol=1e-13)
    np.testing.assert_allclose(soft.plan, hard.plan, atol=1e-7)
    assert soft.n_sweeps < 200  # the translation makes it as fast


@pytest.mark.parametrize("reg_type", ["kl", "entropy"])
def test_total_variation(reg_type):
    C, a, b = problem(seed=3)
    result = ot.solve(C, a, b, reg=0.05, unbalanced=0.6, unbalanced_type="tv", reg_type=reg_type, tol=1e-13)
    assert abs(result.gap) < 1e-10
    P = result.plan
    # no feasible change of one entry is better
    value = primal(P, C, a, b, 0.05, reg_type, tv=0.6)
    assert value == pytest.approx(result.value, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(200):
        Q = P.copy()
        Q[rng.integers(40), rng.integers(30)] *= rng.choice([0.99, 1.01])
        assert primal(Q, C, a, b, 0.05, reg_type, tv=0.6) >= value - 1e-14


def primal(P, C, a, b, reg, reg_type, tv):
    entropy = (P * np.log(P)).sum() - P.sum()
    if reg_type == "kl":
        entropy += a.sum() * b.sum() - (P * np.log(np.outer(a, b))).sum()
    return (P * C).sum() + reg * entropy + tv * (np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum())


@pytest.mark.parametrize("mass", [0.05, 0.4, 0.9])
def test_partial(mass):
    C, a, b = problem(seed=4)
    result = ot.solve(C, a, b, reg=0.05, mass=mass, tol=1e-13)
    assert result.converged
    assert result.marginal_error < 1e-10
    assert result.plan.sum() == pytest.approx(mass, rel=1e-10)
    assert (result.marginal_a <= a * (1 + 1e-9)).all()
    assert (result.marginal_b <= b * (1 + 1e-9)).all()
    assert abs(result.gap) < 1e-10


def test_partial_beside_pot():
    C, a, b = problem(seed=5)
    ours = ot.solve(C, a, b, reg=0.1, mass=0.6, reg_type="entropy", tol=1e-12)
    theirs = pot.partial.entropic_partial_wasserstein(a, b, C, 0.1, m=0.6, numItermax=100_000, stopThr=1e-14)
    np.testing.assert_allclose(ours.plan, theirs, atol=1e-8)


def test_all_the_mass_is_the_balanced_problem():
    C, a, b = problem(mass=(1, 1))
    hard = ot.solve(C, a, b, reg=0.2, tol=1e-12)
    with_mass = ot.solve(C, a, b, reg=0.2, mass=1.0, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(with_mass.plan, hard.plan, atol=1e-7)


def test_entropy_changes_value_and_potentials_not_the_plan():
    C, a, b = problem(mass=(1, 1))
    kl, entropy = (ot.solve(C, a, b, reg=0.2, reg_type=t, tol=1e-13) for t in ("kl", "entropy"))
    np.testing.assert_allclose(kl.plan, entropy.plan, atol=1e-14)
    P = entropy.plan
    assert entropy.value == pytest.approx((P * C).sum() + 0.2 * (P * (np.log(P) - 1)).sum(), rel=1e-10)
    f, g = entropy.potentials
    np.testing.assert_allclose(P, np.exp((f[:, None] + g - C) / 0.2), rtol=1e-9)
    u = pot.bregman.sinkhorn_log(a, b, C, 0.2, stopThr=1e-14, numItermax=100_000)
    np.testing.assert_allclose(P, u, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 25), m=st.integers(1, 25), rho=st.floats(0.01, 100), reg=st.floats(0.01, 10),
    seed=st.integers(0, 2**31), kind=st.sampled_from(["kl", "tv", "mass"]), single=st.booleans(),
)  # fmt: skip
def test_primal_is_dual(n, m, rho, reg, seed, kind, single):
    C, a, b = problem(n, m, seed, mass=(1.0, 2.0))
    C = C.astype(np.float32 if single else np.float64)
    how = {"mass": 0.7} if kind == "mass" else {"unbalanced": rho, "unbalanced_type": kind}
    result = ot.solve(C, a, b, reg=reg, tol=1e-5 if single else 1e-10, max_iter=50_000, **how)
    size = abs(result.value) + reg + rho
    assert result.gap > -1e-5 * size
    assert result.gap < (1e-3 if single else 1e-6) * size


def test_threads_and_layout():
    C, a, b = problem(300, 200)
    for how in ({"unbalanced": 1.0}, {"unbalanced": 1.0, "unbalanced_type": "tv"}, {"mass": 0.5}):
        one, two = (ot.solve(C, a, b, reg=0.1, n_jobs=k, **how) for k in (1, 2))
        assert one.potentials[0].tobytes() == two.potentials[0].tobytes()
        fortran = ot.solve(np.asfortranarray(C), a, b, reg=0.1, tol=1e-10, **how)
        direct = ot.solve(C, a, b, reg=0.1, tol=1e-10, **how)
        np.testing.assert_allclose(fortran.plan, direct.plan, atol=1e-8)
        assert abs(fortran.gap) < 1e-6
        assert abs(direct.gap) < 1e-6


def test_weights_of_zero_and_forbidden_rows():
    C, a, b = problem()
    a[3] = 0
    C[5] = np.inf
    result = ot.solve(C, a, b, reg=0.2, unbalanced=1.0, tol=1e-12)
    assert result.plan[3].sum() == 0
    assert result.plan[5].sum() == 0
    assert abs(result.gap) < 1e-9
    with pytest.raises(InfeasibleError, match="row 5 "):
        ot.solve(C, a, b, reg=0.2, unbalanced=(None, 1.0))


def test_points():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 3)), rng.normal(size=(40, 3))
    a, b = rng.uniform(size=50), rng.uniform(size=40)
    by_points = ot.solve_sample(X, Y, a, b, reg=0.3, unbalanced=1.0, tol=1e-12)
    by_cost = ot.solve(cdist(X, Y, "sqeuclidean"), a, b, reg=0.3, unbalanced=1.0, tol=1e-12)
    np.testing.assert_allclose(by_points.plan, by_cost.plan, atol=1e-11)
    again = ot.solve_sample(X, Y, a, b, reg=0.3, unbalanced=1.0, tol=1e-12, init=by_points)
    assert again.n_sweeps < by_points.n_sweeps


def test_it_warns_when_it_is_cut_short():
    C, a, b = problem()
    with pytest.warns(ConvergenceWarning, match="relative change"):
        ot.solve(C, a, b, reg=0.01, unbalanced=1.0, tol=1e-12, max_iter=3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"unbalanced": 0}, "unbalanced must be > 0, got 0"),
        ({"unbalanced": (1.0, -1.0)}, r"unbalanced\[1\] must be > 0, got -1"),
        ({"unbalanced": (1.0, 1.0, 1.0)}, "unbalanced must be a penalty or a pair of them, got 3"),
        ({"unbalanced": np.ones(3)}, r"unbalanced must be a number or have shape \(40,\), got shape \(3,\)"),
        ({"mass": 0.0}, "mass must be > 0, got 0"),
        ({"mass": 5.0}, "mass = 5 is above the smaller total of the weights, 1"),
        ({"mass": 0.5, "unbalanced": 1.0}, "exclude each other"),
        ({"unbalanced": 1.0, "unbalanced_type": "l2"}, "unbalanced_type must be one of 'kl', 'tv'"),
        ({"reg_type": "l2"}, "reg_type must be one of 'kl', 'entropy'"),
    ],
)
def test_bad_input(change, text):
    C, a, b = problem()
    with pytest.raises(ValueError, match=text):
        ot.solve(C, a, b, reg=0.1, **change)
