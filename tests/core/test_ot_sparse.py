"""Costs of some pairs: against dense costs with +inf, on every solver, with bad input."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix, dia_array

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning, InfeasibleError

N, M = 40, 31


def pattern(seed, n=N, m=M, density=0.3):
    """A dense cost with +inf, on a pattern that holds the product of two weights' support nowhere whole."""
    rng = np.random.default_rng(seed)
    C = rng.random((n, m))
    C[rng.random((n, m)) > density] = np.inf
    return C


def feasible(seed, n=N, m=M, density=0.3):
    """Weights that are the sums of a plan on the pattern, so that there is one."""
    C = pattern(seed, n, m, density)
    C[np.arange(n), np.arange(n) % m] = 0.5
    C[np.arange(m) % n, np.arange(m)] = 0.25
    P = np.random.default_rng(seed + 1).gamma(0.5, size=(n, m)) + 0.05
    P[np.isinf(C)] = 0
    P /= P.sum()
    return C, P.sum(1), P.sum(0)


def sparse(C, kind=csr_array):
    i, j = np.nonzero(np.isfinite(C))
    return kind(coo_array((C[i, j], (i, j)), shape=C.shape))


def dense(result):
    return result.plan.toarray()


@pytest.mark.parametrize(
    "options",
    [
        {"acceleration": None},
        {"method": "sinkhorn"},
        {"acceleration": "sor"},
        {"method": "newton"},
        {},
        {"schedule": None},
        {"reg": 0.01},
        {"reg": 0.002, "method": "newton"},
        {"reg": 30.0},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_a_dense_cost_with_inf(options, dtype):
    C, a, b = feasible(0)
    C = C.astype(dtype)
    options = {"reg": 0.2, "max_iter": 100_000, **options}
    if dtype == np.float64:
        options["tol"] = 1e-10
    one, two = ot.solve(C, a, b, **options), ot.solve_sparse(sparse(C), a, b, **options)
    assert two.converged
    assert two.marginal_error <= two.tol
    tol = 3e-4 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(dense(two), one.plan, atol=tol * one.plan.max())
    assert dense(two).dtype == dtype
    assert two.value == pytest.approx(one.value, rel=tol, abs=tol)
    assert two.value_linear == pytest.approx(one.value_linear, rel=tol, abs=tol)
    error = np.abs(dense(two).sum(1) - a).sum() + np.abs(dense(two).sum(0) - b).sum()
    assert error <= 1.5 * two.tol + 1e-7 * (dtype == np.float32)
    assert {h.kind for h in two.history} >= {"sweep"}
    if options.get("method") == "newton":
        assert two.n_newton > 0


@pytest.mark.parametrize(
    "options",
    [
        {"unbalanced": 0.5},
        {"unbalanced": (None, 0.5)},
        {"unbalanced": (0.4, 0.7), "reg_type": "entropy"},
        {"unbalanced": 0.3, "unbalanced_type": "tv"},
        {"mass": 0.5},
        {"mass": 0.5, "reg_type": "entropy"},
    ],
)
def test_variants(options):
    C, a, b = feasible(1)
    b = b if options.get("unbalanced") == (None, 0.5) else 1.2 * b
    one = ot.solve(C, a, b, reg=0.1, tol=1e-11, max_iter=100_000, **options)
    two = ot.solve(sparse(C), a, b, reg=0.1, tol=1e-11, max_iter=100_000, **options)
    np.testing.assert_allclose(dense(two), one.plan, atol=1e-9)
    assert two.value == pytest.approx(one.value, rel=1e-8)
    assert two.gap == pytest.approx(one.gap, abs=1e-8)


def test_a_full_pattern_is_the_dense_problem():
    rng = np.random.default_rng(0)
    C = rng.random((30, 20))
    C[3, 4] = 0.0  # a stored zero is a cost
    full = csr_array((C.ravel(), np.tile(np.arange(20), 30), np.arange(0, 601, 20)), shape=(30, 20))
    for options in ({}, {"reg_scale": "median"}, {"reg_scale": "mean"}, {"reg_scale": "max"}):
        one = ot.solve(C, reg=0.1, tol=1e-12, **options)
        two = ot.solve_sparse(full, reg=0.1, tol=1e-12, **options)
        assert two.reg == pytest.approx(one.reg, rel=1e-12)
        np.testing.assert_allclose(dense(two), one.plan, atol=1e-13)
        np.testing.assert_allclose(two.potentials[0], one.potentials[0], atol=1e-9)


def test_all_that_a_result_answers():
    C, a, b = feasible(2)
    a[3] = b[5] = 0
    P = np.where(np.isfinite(C), np.outer(a, b), 0)
    a, b = P.sum(1) / P.sum(), P.sum(0) / P.sum()
    one, two = (ot.solve(c, a, b, reg=0.2, tol=1e-11) for c in (C, sparse(C)))
    rng = np.random.default_rng(0)
    V, U, w = rng.normal(size=(M, 3)), rng.normal(size=(N, 2)), rng.random(N)
    same = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(two.apply(V), one.apply(V), **same)
    np.testing.assert_allclose(two.apply_T(U[:, 0]), one.apply_T(U[:, 0]), **same)
    np.testing.assert_allclose(two.operator @ V, one.operator @ V, **same)
    np.testing.assert_allclose(two.normal_operator(w) @ V, one.normal_operator(w) @ V, **same)
    np.testing.assert_allclose(two.marginal_a, one.marginal_a, **same)
    np.testing.assert_allclose(two.marginal_b, one.marginal_b, **same)
    for f, g in zip(two.potentials, one.potentials, strict=True):
        np.testing.assert_allclose(f, g, **same)
    np.testing.assert_array_equal(two.argmax(), one.argmax())
    np.testing.assert_array_equal(two.argmax(axis=0), one.argmax(axis=0))
    np.testing.assert_allclose(two.barycentric_projection(V), one.barycentric_projection(V), **same)
    for options in ({"threshold": 0.002}, {"k": 3}):
        np.testing.assert_allclose(
            two.sparse_plan(**options).toarray(), one.sparse_plan(**options).toarray(), **same
        )
    np.testing.assert_allclose(two.extend_f(C[:4] + 0.1), one.extend_f(C[:4] + 0.1), **same)
    np.testing.assert_allclose(two.singular_triplets(3).s, one.singular_triplets(3).s, rtol=1e-6)
    assert isinstance(two.plan, csr_array)
    assert two.plan.nnz == np.isfinite(C).sum()
    assert (two.shape, two.metric) == ((N, M), "sparse")
    assert two.grad_C is two.plan


def test_a_plan_may_be_changed():
    C, a, b = feasible(9)
    result = ot.solve(sparse(C), a, b, reg=0.2)
    before = result.apply(np.ones(M))
    result.plan.data[::2] = 0
    result.plan.eliminate_zeros()
    np.testing.assert_array_equal(result.apply(np.ones(M)), before)


def test_gradients():
    C, a, b = feasible(3, 9, 7, 0.6)
    S = sparse(C)
    G, D = (np.random.default_rng(k).normal(size=(9, 7)) for k in (0, 1))
    W = np.random.default_rng(2).normal(size=(9, 2))

    def solve(by=0.0):
        values = S.data + by * sparse_like(S, D)
        return ot.solve(csr_array((values, S.indices, S.indptr), shape=S.shape), a, b, reg=0.3, tol=1e-13)

    result = solve()
    h = 1e-5
    stored, V = sparse(np.where(np.isfinite(C), G, np.inf)), np.eye(7)[:, :2]
    for function, found in (
        (lambda r: r.value, result.grad_C),
        (lambda r: np.sum(G * dense(r)), result.vjp(G, tol=1e-12).C),
        (lambda r: np.sum(G * dense(r)), result.vjp(stored, tol=1e-12).C),
        (lambda r: np.sum(W * r.apply(V)), result.vjp(apply=(V, W), tol=1e-12).C),
        (lambda r: r.value_linear, result.vjp(value_linear=1.0, tol=1e-12).C),
    ):
        assert isinstance(found, csr_array)
        wanted = (function(solve(h)) - function(solve(-h))) / (2 * h)
        assert float(found.multiply(csr_array(D)).sum()) == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    up, down = (ot.solve(S, a, b, reg=0.3 + s * h, tol=1e-13, max_iter=100_000).value_linear for s in (1, -1))
    assert result.vjp(value_linear=1.0, tol=1e-12).reg == pytest.approx((up - down) / (2 * h), rel=1e-6)
    with pytest.raises(ValueError, match="shape of the plan"):
        result.vjp(np.ones((2, 2)))


def sparse_like(S, D):
    rows = np.repeat(np.arange(S.shape[0]), np.diff(S.indptr))
    return D[rows, S.indices]


@pytest.mark.parametrize("kind", [csr_array, csc_array, coo_array, csr_matrix])
def test_formats(kind):
    C, a, b = feasible(4)
    one = ot.solve_sparse(sparse(C), a, b, reg=0.2)
    np.testing.assert_array_equal(dense(ot.solve(sparse(C, kind), a, b, reg=0.2)), dense(one))


def test_order_and_index_type():
    C, a, b = feasible(5)
    S = sparse(C)
    one = dense(ot.solve(S, a, b, reg=0.2))
    wide = csr_array((S.data, S.indices.astype(np.int64), S.indptr.astype(np.int64)), shape=S.shape)
    wide.indices = wide.indices.astype(np.int64)
    np.testing.assert_array_equal(dense(ot.solve(wide, a, b, reg=0.2)), one)
    mixed = S.copy()  # each row backwards
    for i in range(N):
        part = slice(S.indptr[i], S.indptr[i + 1])
        mixed.indices[part], mixed.data[part] = S.indices[part][::-1], S.data[part][::-1]
    mixed.has_sorted_indices = False
    before = mixed.indices.copy()
    np.testing.assert_array_equal(dense(ot.solve(mixed, a, b, reg=0.2)), one)
    np.testing.assert_array_equal(mixed.indices, before)  # the caller's matrix is left alone
    infinite = csr_array(np.where(np.isfinite(C), C, 1.0))
    infinite.data[np.isinf(C).ravel()] = np.inf
    np.testing.assert_array_equal(dense(ot.solve(infinite, a, b, reg=0.2)), one)
    whole = csr_array((np.ones(4, int), ([0, 0, 1, 1], [0, 1, 0, 1])))
    assert ot.solve(whole, reg=1.0).plan.dtype == np.float64


@pytest.mark.parametrize(
    "options", [{}, {"method": "newton", "reg": 0.01}, {"unbalanced": 0.3}, {"mass": 0.4}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_do_not_change_a_bit(dtype, options):
    C, a, b = feasible(6, 900, 700, 0.02)
    answers = []
    for n_jobs in (1, 2, 4):
        result = ot.solve(sparse(C.astype(dtype)), a, b, n_jobs=n_jobs, **{"reg": 0.1, **options})
        answers.append((result.plan.data.tobytes(), repr(result.history), result.value))
    assert answers[0] == answers[1] == answers[2]


def test_warm_start_and_history():
    C, a, b = feasible(7)
    S = sparse(C)
    first = ot.solve(S, a, b, reg=0.1, tol=1e-9)
    assert first.history[-1].reg == pytest.approx(0.1)
    assert ot.solve(S, a, b, reg=0.1, tol=1e-8, init=first).n_sweeps <= 2
    assert ot.solve(S, a, b, reg=0.1, tol=1e-8, init=first.potentials).n_sweeps <= 2
    seen = []
    ot.solve(S, a, b, reg=0.1, callback=seen.append)
    assert seen[0].stage == "sinkhorn"


def test_weights_of_zero():
    C, a, b = feasible(8)
    C[3] = np.inf  # no entry, and no weight
    P = np.where(np.isfinite(C), np.outer(a, b), 0)
    a, b = P.sum(1) / P.sum(), P.sum(0) / P.sum()
    one, two = (ot.solve(c, a, b, reg=0.2, tol=1e-11) for c in (C, sparse(C)))
    np.testing.assert_allclose(dense(two), one.plan, atol=1e-9)
    assert two.potentials[0][3] == np.inf
    assert two.argmax()[3] == -1


def test_one_row_or_column():
    row = csr_array(np.array([[0.5, 1.0, 2.0]]))
    np.testing.assert_allclose(dense(ot.solve(row, reg=0.3)), np.full((1, 3), 1 / 3))
    np.testing.assert_allclose(dense(ot.solve(row.T, reg=0.3)), np.full((3, 1), 1 / 3))


def test_rows_without_entries():
    C = np.array([[0.0, 1.0], [np.inf, np.inf], [1.0, 0.0]])
    with pytest.raises(InfeasibleError, match="row 1 of the cost has positive weight"):
        ot.solve(sparse(C), reg=1.0)
    with pytest.raises(InfeasibleError, match="column 1 of the cost has positive weight"):
        ot.solve(sparse(np.array([[0.0, np.inf], [1.0, np.inf]])), reg=1.0)
    with pytest.raises(InfeasibleError, match="row 0 of the cost"):
        ot.solve(csr_array((2, 2)), reg=1.0)
    soft = ot.solve(sparse(C), reg=1.0, unbalanced=1.0)  # may be left out
    assert soft.converged
    assert dense(soft)[1].sum() == 0


def test_components_whose_masses_differ():
    C = np.full((5, 4), np.inf)
    C[:2, :2] = 0.3
    C[2:, 2:] = 0.7
    a = np.array([0.2, 0.3, 0.1, 0.1, 0.3])
    good = ot.solve(sparse(C), a, np.array([0.25, 0.25, 0.2, 0.3]), reg=0.5)
    assert good.converged
    with pytest.raises(
        InfeasibleError,
        match=r"into 2 components, and that of row 0 \(2 rows, 2 columns\) has weights 0.5 in a and 0.4 in b",
    ):
        ot.solve(sparse(C), a, np.array([0.2, 0.2, 0.3, 0.3]), reg=0.5)
    with pytest.raises(InfeasibleError, match=r"that of row 1 "):  # a row without weight keeps its number
        ot.solve(sparse(C), np.array([0, 0.5, 0.1, 0.1, 0.3]), np.array([0.5, 0, 0.2, 0.4]) / 1.1, reg=0.5)
    assert ot.solve(sparse(C), a, np.array([0.2, 0.2, 0.3, 0.3]), reg=0.5, unbalanced=2.0).converged


@pytest.mark.parametrize("options", [{}, {"acceleration": None}, {"method": "newton"}])
def test_a_pattern_without_a_plan(options):
    """Connected, but two rows share one column that is too small for them."""
    C = np.full((3, 3), np.inf)
    C[0, 0] = C[1, 0] = C[2, 0] = C[2, 1] = C[2, 2] = 0.5
    with pytest.warns(ConvergenceWarning):
        result = ot.solve(sparse(C), reg=0.5, **options)
    assert not result.converged
    assert result.marginal_error > 0.1
    assert np.isfinite(result.potentials[0]).all()
    if not options.get("method"):
        assert result.status == "stalled (pattern probably infeasible)"
        assert result.n_sweeps < 2000


BAD = [
    (lambda S: S.toarray(), TypeError, "C must be a scipy.sparse matrix, got ndarray"),
    (lambda S: dia_array(S), TypeError, r"C must be a CSR, CSC or COO matrix, got 'dia'; pass C.tocsr\(\)"),
    (lambda S: changed(S, 2, np.nan), ValueError, r"C must not contain NaN or -inf, but C\[0, 2\] is nan"),
    (lambda S: changed(S, 3, -np.inf), ValueError, r"but C\[1, 0\] is -inf"),
    (lambda S: S.astype(complex), TypeError, "C is complex"),
    (lambda S: coo_array(([1.0, 2], ([1, 1], [2, 2])), shape=(3, 3)), ValueError, r"two entries at \[1, 2\]"),
    (lambda S: csr_array((0, 3)), ValueError, r"C is empty"),
]  # fmt: skip


def changed(S, k, value):
    S = S.copy()
    S.data[k] = value
    return S


@pytest.mark.parametrize(("change", "error", "text"), BAD)
def test_bad_input(change, error, text):
    S = csr_array(np.arange(1.0, 10).reshape(3, 3))
    with pytest.raises(error, match=text):
        ot.solve_sparse(change(S), reg=1.0)


def test_indices_outside():
    S = csr_array(np.ones((3, 3)))
    S.indices[4] = 7
    with pytest.raises(ValueError, match=r"C is not a good sparse matrix: .*7"):
        ot.solve_sparse(S, reg=1.0)
    loose = coo_array(np.ones((3, 3)))
    loose.coords = (loose.coords[0], np.full(9, 5))
    with pytest.raises(ValueError, match="C has an entry in column 5 of 3"):
        ot.solve_sparse(loose, reg=1.0)
    with pytest.raises(ValueError, match="a must have shape"):
        ot.solve_sparse(csr_array(np.ones((3, 3))), np.ones(4), reg=1.0)


def test_nothing_of_the_size_of_all_pairs():
    rng = np.random.default_rng(0)
    n = 20_000
    row, column = np.repeat(np.arange(n), 5), (np.repeat(np.arange(n), 5) + np.tile([0, 1, 2, 7, 90], n)) % n
    S = csr_array((rng.random(5 * n), (row, column)), shape=(n, n))
    tracemalloc.start()
    result = ot.solve_sparse(S, reg=0.2, tol=1e-4)
    found = result.vjp(apply=(np.ones(n), rng.random(n)), tol=1e-2)
    _ = result.plan, result.value_linear, result.argmax(), found.C, result.sparse_plan(threshold=0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.converged
    assert peak < 0.05 * 8 * n**2


@given(
    st.integers(1, 14), st.integers(1, 14), st.floats(0.1, 1), st.floats(-2, 1), st.integers(0, 10_000),
    st.sampled_from(["auto", "newton", "sinkhorn"]), st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_any_pattern(n, m, density, log_reg, seed, method, dtype):
    C, a, b = feasible(seed, n, m, density)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ot.solve(sparse(C.astype(dtype)), a, b, reg=10.0**log_reg, method=method, max_iter=100_000)
    assert result.converged
    P = dense(result).astype(np.float64)
    assert (P[np.isinf(C)] == 0).all()
    error = np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum()
    assert error <= result.marginal_error + (1e-6 if dtype == np.float32 else 1e-12)
    f, g = result.potentials
    i, j = np.nonzero(np.isfinite(C))
    wanted = a[i] * b[j] * np.exp((f[i].astype(float) + g[j] - C[i, j]) / result.reg)
    np.testing.assert_allclose(
        P[i, j], wanted, rtol=1e-2 if dtype == np.float32 else 1e-9, atol=1e-6 * P.max()
    )


def test_samples_and_mixed_precision():
    rng = np.random.default_rng(0)
    mask = rng.random((40, 30)) < 0.3
    mask[np.arange(40), np.arange(40) % 30] = True
    dense = np.where(mask, rng.random((40, 30)), np.inf)
    C = csr_array((dense[mask], np.nonzero(mask)), shape=mask.shape)
    plain, whole = ot.solve_sparse(C, reg=0.1, unbalanced=1.0), ot.solve(dense, reg=0.1, unbalanced=1.0)
    rows, columns = plain.sample(100_000, random_state=1)
    assert mask[rows, columns].all()
    seen = np.zeros(mask.shape)
    np.add.at(seen, (rows, columns), 1e-5)
    P = whole.plan / whole.plan.sum()
    assert np.abs(seen - P).max() < 5 * np.sqrt(P.max() * 1e-5)
    partner = plain.sample()[1]
    assert mask[np.arange(40), partner].all()
    mixed = ot.solve_sparse(C, reg=0.1, unbalanced=1.0, precision="mixed", tol=1e-10)
    np.testing.assert_allclose(mixed.plan.toarray(), whole.plan, atol=1e-6)
