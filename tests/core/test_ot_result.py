"""The result: the plan as an operator, its entries, maps between the sides, singular vectors."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from lapwing import ConvergenceWarning, ot


@pytest.fixture(params=["points", "dense", "fortran", "zeros", "float32"])
def problem(request, oracle):
    """A result, its cost, its plan in float64, and the relative accuracy to expect."""
    dtype = np.float32 if request.param == "float32" else np.float64
    X, Y = oracle.clouds(0, 90, 75, 3, dtype)
    a, b = oracle.weights(1, 90), oracle.weights(2, 75)
    if request.param == "zeros":
        a[::7] = b[::5] = 0
        a, b = a / a.sum(), b / b.sum()
    C = oracle.cost(X, Y)
    options = {"reg": 0.8, "tol": 1e-5 if dtype == np.float32 else 1e-9}
    if request.param in ("dense", "fortran"):
        result = ot.solve(np.array(C, order="F" if request.param == "fortran" else "C"), a, b, **options)
    else:
        result = ot.solve_sample(X, Y, a, b, **options)
    return result, C, a, b, 1e-4 if dtype == np.float32 else 1e-10


def test_plan_and_potentials(problem, oracle):
    result, C, a, b, rel = problem
    P = oracle.dense_plan(C, a, b, *result.potentials, result.reg)
    np.testing.assert_allclose(result.plan, P, rtol=rel)
    assert result.plan is result.plan
    assert result.shape == P.shape
    for mine, given in zip(result.weights, (a, b), strict=True):
        np.testing.assert_allclose(mine, given, rtol=1e-6)


def test_sums(problem):
    result, C, a, b, rel = problem
    P = np.asarray(result.plan, np.float64)
    np.testing.assert_allclose(result.marginal_a, P.sum(1), rtol=rel)
    np.testing.assert_allclose(result.marginal_b, P.sum(0), rtol=rel)
    assert result.value_linear == pytest.approx((C * P).sum(), rel=rel)
    error = np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum()
    assert result.marginal_error == pytest.approx(error, abs=rel)
    positive = P > 0
    product = np.outer(a, b)[positive]
    kl = (P[positive] * np.log(P[positive] / product) - P[positive]).sum() + 1
    # the dual value differs from the primal one by the potentials times what the marginals miss
    assert result.value == pytest.approx((C * P).sum() + result.reg * kl, abs=10 * (rel + result.tol))


@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 20])
def test_apply(problem, k):
    result, _, _, _, rel = problem
    P = np.asarray(result.plan, np.float64)
    rng = np.random.default_rng(3)
    V, U = rng.normal(size=(75, k)), rng.normal(size=(90, k))
    np.testing.assert_allclose(result.apply(V), P @ V, atol=rel * np.abs(P @ np.abs(V)).max())
    np.testing.assert_allclose(result.apply_T(U), P.T @ U, atol=rel * np.abs(P.T @ np.abs(U)).max())
    np.testing.assert_allclose(result.apply(V[:, 0]), P @ V[:, 0], atol=rel)
    assert result.apply(V[:, 0]).shape == (90,)
    assert result.apply(V[:, :0]).shape == (90, 0)
    np.testing.assert_array_equal(result.apply(np.asfortranarray(V)), result.apply(V))
    w = rng.random(90)
    normal = result.normal_operator(w)
    expected = P.T @ (w[:, None] * (P @ V))
    np.testing.assert_allclose(normal @ V, expected, atol=rel * np.abs(expected).max())
    np.testing.assert_allclose(normal.T @ V, expected, atol=rel * np.abs(expected).max())
    np.testing.assert_allclose(
        result.normal_operator() @ V[:, 0], P.T @ (P @ V[:, 0]), atol=rel * np.abs(P.T @ P @ V).max()
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("n", "m", "d"), [(4000, 700, 20), (130, 9000, 20), (70, 9000, 3), (5000, 20, 3)])
def test_apply_in_several_tiles(oracle, n, m, d, dense, dtype):
    """More rows than a band of the plan's tiles, more columns than a tile, and the other way round."""
    X, Y = oracle.clouds(5, n, m, d, dtype)
    C = oracle.cost(X, Y).astype(dtype)
    reg = float(np.median(C))

    def solve(n_jobs):
        options = {"reg": reg, "tol": 1e-3, "n_jobs": n_jobs}
        return ot.solve(C, **options) if dense else ot.solve_sample(X, Y, **options)

    result = solve(None)
    P = np.asarray(result.plan, np.float64)
    rng = np.random.default_rng(3)
    V, U, w = rng.normal(size=(m, 5)), rng.normal(size=(n, 3)), rng.random(n)
    rel = 1e-4 if dtype == np.float32 else 1e-10
    for found, expected in (
        (result.apply(V), P @ V),
        (result.apply_T(U), P.T @ U),
        (result.normal_operator(w) @ V, P.T @ (w[:, None] * (P @ V))),
    ):
        np.testing.assert_allclose(found, expected, atol=rel * np.abs(expected).max())
    for n_jobs in (1, 4):
        other = solve(n_jobs)
        np.testing.assert_array_equal(other.apply(V), result.apply(V))
        np.testing.assert_array_equal(other.apply_T(U), result.apply_T(U))
        np.testing.assert_array_equal(other.normal_operator(w) @ V, result.normal_operator(w) @ V)


def test_operator(problem):
    result, _, _, _, rel = problem
    from scipy.sparse.linalg import LinearOperator

    P, op = np.asarray(result.plan, np.float64), result.operator
    assert isinstance(op, LinearOperator)
    assert op.shape == P.shape
    rng = np.random.default_rng(4)
    v, u = rng.normal(size=75), rng.normal(size=90)
    np.testing.assert_allclose(op @ v, P @ v, atol=rel)
    np.testing.assert_allclose(op.T @ u, P.T @ u, atol=rel)
    np.testing.assert_allclose(op.H @ u, P.T @ u, atol=rel)
    assert u @ (op @ v) == pytest.approx((op.T @ u) @ v, abs=rel)


def test_sparse_plan(problem):
    result, *_ = problem
    P = result.plan
    level = float(np.quantile(P, 0.9))
    above = result.sparse_plan(threshold=level)
    np.testing.assert_array_equal(above.toarray(), np.where(level < P, P, 0))
    assert above.has_sorted_indices
    assert above.dtype == P.dtype
    everything = result.sparse_plan(threshold=0)
    np.testing.assert_array_equal(everything.toarray(), P)
    assert everything.nnz == np.count_nonzero(P)
    for k in (1, 5, 64):
        top = result.sparse_plan(k=k)
        assert (np.diff(top.indptr) == np.minimum(k, (P > 0).sum(axis=1))).all()
        smallest = np.sort(P, axis=1)[:, -k]
        dense = top.toarray()
        np.testing.assert_allclose(
            dense[dense > 0], P[dense > 0], rtol=1e-6 if P.dtype == np.float32 else 1e-13
        )
        assert (P[dense == 0] <= np.broadcast_to(smallest[:, None], P.shape)[dense == 0]).all()


def test_argmax(problem):
    result, C, a, b, _ = problem
    P = result.plan
    rows, columns = result.argmax(), result.argmax(axis=0)
    assert rows.dtype == columns.dtype == np.int64
    np.testing.assert_array_equal(rows[a > 0], P.argmax(axis=1)[a > 0])
    np.testing.assert_array_equal(columns[b > 0], P.argmax(axis=0)[b > 0])
    # points without weight: the partner that they would have
    _, g = result.potentials
    score = np.where(b > 0, np.log(np.maximum(b, 1e-300)) + (g - C) / result.reg, -np.inf)
    np.testing.assert_array_equal(rows[a == 0], score.argmax(axis=1)[a == 0])


def test_barycentric_projection(problem, oracle):
    result, _, a, _b, rel = problem
    Y = np.random.default_rng(5).normal(size=(75, 4))
    P = np.asarray(result.plan, np.float64)
    projected = result.barycentric_projection(Y)
    rows = a > 0
    np.testing.assert_allclose(projected[rows], (P @ Y)[rows] / P.sum(1)[rows, None], atol=10 * rel)
    assert np.isfinite(projected).all()
    np.testing.assert_allclose(result.barycentric_projection(np.ones(75)), 1, rtol=1e-6)


def test_extension_reproduces_training(problem, oracle):
    result, C, _a, b, rel = problem
    f, g = result.potentials
    new_rows, new_columns = C.astype(f.dtype), C.astype(f.dtype)
    if result.metric != "dense":
        new_rows, new_columns = oracle.clouds(0, 90, 75, 3, f.dtype)
    slack = result.reg * 100 * (result.tol + rel)
    np.testing.assert_allclose(result.extend_f(new_rows), f, atol=slack)
    np.testing.assert_allclose(result.extend_g(new_columns), g, atol=slack)
    V, U = np.random.default_rng(6).normal(size=(75, 3)), np.random.default_rng(7).normal(size=(90, 3))
    np.testing.assert_allclose(
        result.transition(new_rows, V), result.barycentric_projection(V), atol=100 * rel
    )
    np.testing.assert_allclose(result.transition(new_rows[:4], np.ones(75)), 1, rtol=100 * rel)
    weight = np.asarray(result.plan, np.float64)
    weight = weight[:, b > 0] / weight.sum(0)[b > 0]
    back = result.transition_T(new_columns, U)
    np.testing.assert_allclose(back[b > 0], weight.T @ U, atol=100 * rel)
    if result.metric != "dense":
        np.testing.assert_allclose(
            result.entropic_map(new_rows), result.barycentric_projection(), atol=100 * rel
        )


def test_new_points_by_definition(oracle):
    X, Y = oracle.clouds(8, 40, 30, 2)
    a, b = oracle.weights(9, 40), oracle.weights(10, 30)
    result = ot.solve_sample(X, Y, a, b, reg=0.4, tol=1e-11)
    f, g = result.potentials
    new = np.random.default_rng(11).normal(size=(13, 2))
    K = b * np.exp((g - oracle.cost(new, Y)) / 0.4)
    np.testing.assert_allclose(result.extend_f(new), -0.4 * np.log(K.sum(1)), atol=1e-11)
    np.testing.assert_allclose(result.entropic_map(new), (K @ Y) / K.sum(1)[:, None], atol=1e-11)
    L = a * np.exp((f - oracle.cost(new, X)) / 0.4)
    np.testing.assert_allclose(result.extend_g(new), -0.4 * np.log(L.sum(1)), atol=1e-11)
    np.testing.assert_allclose(result.transition_T(new, X), (L @ X) / L.sum(1)[:, None], atol=1e-11)
    far = np.full((1, 2), 1e3)  # where every exponential of the definition underflows
    assert np.isfinite(result.extend_f(far)).all()
    np.testing.assert_allclose(result.transition(far, np.ones(30)), 1, rtol=1e-9)


def test_forbidden_new_points(oracle):
    C = oracle.cost(*oracle.clouds(12, 10, 8, 2))
    result = ot.solve(C, reg=1.0)
    new = np.vstack([C[:1], np.full((1, 8), np.inf)])
    assert result.extend_f(new)[1] == np.inf
    out = result.transition(new, np.ones(8))
    assert out[0] == pytest.approx(1)
    assert np.isnan(out[1])


def _normalised(result):
    a, b = (np.asarray(w, np.float64) for w in result.weights)
    P = np.asarray(result.plan, np.float64)[a > 0][:, b > 0]
    return P / np.sqrt(np.outer(a[a > 0], b[b > 0]))


def test_singular_triplets(problem):
    """LAPACK inside, for a problem of this size."""
    result, _, a, b, rel = problem
    U, s, V, residuals = result.singular_triplets(6)
    values = np.linalg.svd(_normalised(result), compute_uv=False)
    assert values[0] == pytest.approx(1, abs=10 * rel)
    np.testing.assert_allclose(s, values[1:7], atol=10 * rel)
    assert U.dtype == s.dtype == V.dtype == np.float64
    assert not U[a == 0].any()
    assert not V[b == 0].any()
    _check_triplets(result, U, s, V, residuals, 1e-6 if result.plan.dtype == np.float32 else 1e-12)


def _check_triplets(result, U, s, V, residuals, tol):
    a, b = (np.asarray(w, np.float64) for w in result.weights)
    W = _normalised(result)
    k = s.size
    assert (np.diff(s) <= 0).all()
    np.testing.assert_allclose(U.T @ U, np.eye(k), atol=1e-9 + 10 * tol)
    np.testing.assert_allclose(V.T @ V, np.eye(k), atol=1e-9 + 10 * tol)
    # orthogonal to the known pair
    np.testing.assert_allclose(np.sqrt(a) @ U, 0, atol=1e-9 + tol)
    np.testing.assert_allclose(np.sqrt(b) @ V, 0, atol=1e-9 + tol)
    u, v = U[a > 0], V[b > 0]
    left, right = np.sqrt(a[a > 0] / a.sum()), np.sqrt(b[b > 0] / b.sum())
    W = W - np.outer(left, left @ W)
    W = W - np.outer(W @ right, right)
    measured = np.maximum(np.linalg.norm(W @ v - u * s, axis=0), np.linalg.norm(W.T @ u - v * s, axis=0))
    assert measured.max() <= tol * s[0] + 1e-13
    np.testing.assert_allclose(residuals, measured, atol=1e-12 + 0.5 * tol * s[0])


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize(("n", "m"), [(600, 500), (500, 600)])
def test_singular_triplets_by_blocks(oracle, n, m, metric):
    X, Y = oracle.clouds(13, n, m, 3)
    a, b = oracle.weights(14, n), oracle.weights(15, m)
    result = ot.solve_sample(X, Y, a, b, reg=0.1, reg_scale="median", metric=metric, tol=1e-10)
    U, s, V, residuals = result.singular_triplets(9, tol=1e-9, random_state=1)
    expected = np.linalg.svd(_normalised(result), compute_uv=False)[1:10]
    np.testing.assert_allclose(s, expected, rtol=1e-9)
    _check_triplets(result, U, s, V, residuals, 1e-9)
    again = result.singular_triplets(9, tol=1e-9, random_state=1)
    np.testing.assert_array_equal(U, again.U)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_singular_triplets_with_close_values(oracle, k):
    """Small regularisation: the spectrum is flat, and the values crowd."""
    X, Y = oracle.clouds(16, 300, 280, 5)
    result = ot.solve_sample(X, Y, reg=0.05, reg_scale="median", tol=1e-9)
    U, s, V, residuals = result.singular_triplets(k, block=max(k, 12), tol=1e-8)
    expected = np.linalg.svd(_normalised(result), compute_uv=False)[1 : k + 1]
    np.testing.assert_allclose(s, expected, rtol=1e-9)
    _check_triplets(result, U, s, V, residuals, 1e-8)


def test_singular_triplets_of_a_circle():
    """Equispaced points on two circles: σ_k = I_k(2/ε)/I_0(2/ε), each twice."""
    from scipy.special import ive

    t = np.arange(60) * 2 * np.pi / 60
    X = np.column_stack([np.cos(t), np.sin(t)])
    Y = np.column_stack([np.cos(t + 0.3), np.sin(t + 0.3)])
    for reg in (0.5, 2.0):
        result = ot.solve_sample(X, Y, reg=reg, tol=1e-13)
        expected = np.repeat(ive([1, 2, 3], 2 / reg) / ive(0, 2 / reg), 2)
        np.testing.assert_allclose(result.singular_triplets(6).s, expected, rtol=1e-12)
        np.testing.assert_allclose(result.singular_triplets(6, block=10, tol=1e-11).s, expected, rtol=1e-11)


def test_all_singular_triplets(oracle):
    X, Y = oracle.clouds(17, 12, 9, 2)
    result = ot.solve_sample(X, Y, reg=1.0, tol=1e-12)
    expected = np.linalg.svd(_normalised(result), compute_uv=False)[1:]
    np.testing.assert_allclose(result.singular_triplets(8).s, expected, atol=1e-12)
    np.testing.assert_allclose(result.singular_triplets(8, block=8).s, expected, atol=1e-9)


def test_singular_triplets_that_do_not_converge(oracle):
    X, Y = oracle.clouds(18, 400, 300, 6)
    result = ot.solve_sample(X, Y, reg=0.02, reg_scale="median", tol=1e-6, max_iter=50_000)
    with pytest.warns(ConvergenceWarning, match="singular triplets: largest residual"):
        triplets = result.singular_triplets(10, block=10, tol=1e-12, max_apply=2)
    assert triplets.residuals.max() > 1e-12


def test_result_pickles_and_prints(problem):
    result, *_ = problem
    _ = result.value
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.plan, result.plan)
    assert again.value == result.value
    text = repr(result)
    assert text.startswith("OTResult(n=90, m=75, reg=0.8, value=")
    assert "converged=True" in text


def test_history(oracle):
    X, Y = oracle.clouds(19, 50, 60, 2)
    result = ot.solve_sample(X, Y, reg=0.05, schedule=[5.0, 0.5, 0.05])
    assert [*dict.fromkeys(h.reg for h in result.history)] == [5.0, 0.5, 0.05]
    assert {h.kind for h in result.history} <= {"sweep", "anderson", "sor", "rejected", "newton"}
    assert all(np.isfinite(h.error) for h in result.history)
    assert len(result.history) >= result.n_sweeps


def test_threads_can_be_set(oracle):
    X, Y = oracle.clouds(20, 30, 20, 2)
    result = ot.solve_sample(X, Y, reg=1.0, n_jobs=1)
    assert result.n_jobs == 1
    before = result.apply(np.ones(20))
    result.n_jobs = 2
    np.testing.assert_array_equal(result.apply(np.ones(20)), before)
    result.n_jobs = 0
    with pytest.raises(ValueError, match="n_jobs must be"):
        result.apply(np.ones(20))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_nothing_of_size_n_times_m_is_stored():
    """4000 x 4000 in float64 would be 122 MiB; all of this may grow the process by half of that."""
    program = textwrap.dedent("""
        import resource
        import numpy as np
        from lapwing import ot
        import scipy.sparse.linalg
        rng = np.random.default_rng(0)
        X, Y, V = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)), rng.normal(size=(4000, 8))
        ot.solve_sample(X[:9], Y[:9], reg=1.0).operator
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = ot.solve_sample(X, Y, reg=1.0, reg_scale="median", n_jobs=2)
        result.value, result.value_linear, result.operator @ V[:, 0], result.normal_operator() @ V
        result.argmax(), result.argmax(0), result.barycentric_projection(), result.sparse_plan(k=3)
        result.sparse_plan(threshold=1e-4), result.extend_g(Y), result.transition(X, V)
        result.singular_triplets(3), ot.c_transform(X, Y, V[:, 0]), ot.cost_quantile(X, Y, n_samples=0)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert int(out.stdout) < 61, out.stdout
