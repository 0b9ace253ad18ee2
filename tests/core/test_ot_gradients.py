"""Derivatives of solutions: against central differences of solves from scratch, and against POT."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning

STEP = 1e-5  # of the central differences; their error is about its square, and rounding over it
POINTS = ("sqeuclidean", "euclidean", "cosine", "dot")
KINDS = {
    "balanced": {},
    "entropy": {"reg_type": "entropy"},
    "kl": {"unbalanced": 0.7},
    "kl vector": {"unbalanced": (np.linspace(0.3, 2.0, 7), np.linspace(2.0, 0.4, 6))},
    "semi-relaxed": {"unbalanced": (None, 0.5)},
    "mixed": {"unbalanced": (np.array([np.inf, 0.5, np.inf, 1, 2, 0.3, 1]), 1.5)},
    "kl entropy": {"unbalanced": (0.7, 1.1), "reg_type": "entropy"},
    "tv": {"unbalanced": (0.35, 0.3), "unbalanced_type": "tv"},
    "tv entropy": {"unbalanced": (0.35, 0.3), "unbalanced_type": "tv", "reg_type": "entropy"},
    "partial": {"mass": 0.6},
    "partial entropy": {"mass": 0.6, "reg_type": "entropy"},
}
UNEQUAL = set(KINDS) - {"balanced", "entropy"}


def problem(kind, metric="sqeuclidean", seed=0):
    """Inputs of a small problem, as a dictionary, and the function from them to a result."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(7, 2)), rng.normal(size=(6, 2)) + 0.5
    a, b = rng.uniform(0.5, 1.5, 7), rng.uniform(0.5, 1.5, 6)
    a, b = a / a.sum(), b / b.sum() * (1.2 if kind in UNEQUAL and kind != "semi-relaxed" else 1.0)
    reg = 0.3 if metric == "cosine" else 0.5
    values = {"a": a, "b": b, "reg": reg}
    if metric == "dense":
        values["C"] = rng.random((7, 6))
    else:
        values |= {"X": X, "Y": Y}

    def solve(v):
        options = {"tol": 1e-13, "max_iter": 100_000, **KINDS[kind]}
        with warnings.catch_warnings():  # the rounding floor may be above 1e-13
            warnings.simplefilter("ignore", ConvergenceWarning)
            if metric == "dense":
                return ot.solve(v["C"], v["a"], v["b"], reg=v["reg"], **options)
            return ot.solve_sample(v["X"], v["Y"], v["a"], v["b"], reg=v["reg"], metric=metric, **options)

    return values, solve


def directions(values, balanced, seed=1):
    """One direction for each input; those of the weights keep equal totals equal."""
    rng = np.random.default_rng(seed)
    for name, x in values.items():
        d = rng.normal(size=np.shape(x))
        if balanced and name in ("a", "b"):
            d = d - d.mean()
        yield name, d


def moved(values, name, d, by):
    return {**values, name: values[name] + by * d}


def slope(function, values, name, d, step=STEP):
    """Central difference of fourth order."""
    at = [function(moved(values, name, d, k * step)) for k in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)


def check(function, gradients, values, balanced, tol=2e-7):
    for name, d in directions(values, balanced):
        wanted = slope(function, values, name, d)
        got = float(np.sum(gradients[name] * d))
        assert got == pytest.approx(wanted, rel=tol, abs=tol), name


@pytest.mark.parametrize("metric", [*POINTS, "dense"])
@pytest.mark.parametrize("kind", KINDS)
def test_value(kind, metric):
    values, solve = problem(kind, metric)
    result = solve(values)
    gradients = {"a": result.grad_a, "b": result.grad_b, "reg": result.grad_reg}
    if metric == "dense":
        gradients["C"] = result.grad_C
    else:
        gradients |= {"X": result.grad_X, "Y": result.grad_Y}
    check(lambda v: solve(v).value, gradients, values, kind not in UNEQUAL, 1e-7)


def test_value_for_the_mass():
    values, solve = problem("partial")
    at = [
        ot.solve_sample(
            values["X"], values["Y"], values["a"], values["b"], reg=0.5, mass=0.6 + h, tol=1e-13
        ).value
        for h in (-1e-4, 1e-4)
    ]
    result = solve(values)
    assert result.grad_mass == pytest.approx((at[1] - at[0]) / 2e-4, rel=1e-6)
    assert solve(problem("balanced")[0]).grad_mass != 0  # same options: partial
    assert ot.solve(np.ones((2, 2)), reg=1.0).grad_mass == 0


def outputs(n=7, m=6, d=2):
    """Functions of a result, and the cotangents that say the same to vjp."""
    rng = np.random.default_rng(5)
    G, W, WT, V, U = (rng.normal(size=s) for s in ((n, m), (n, 3), (m, 3), (m, 3), (n, 3)))
    T, qf, qg = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=m)
    return {
        "plan": (lambda r: np.sum(G * r.plan), {"G": G}),
        "apply": (lambda r: np.sum(W * r.apply(V)), {"apply": (V, W)}),
        "apply vector": (lambda r: np.sum(W[:, 0] * r.apply(V[:, 0])), {"apply": (V[:, 0], W[:, 0])}),
        "apply_T": (lambda r: np.sum(WT * r.apply_T(U)), {"apply_T": (U, WT)}),
        "projection": (lambda r: np.sum(T * r.barycentric_projection()), {"projection": T}),
        "projection of": (
            lambda r: np.sum(W * r.barycentric_projection(V)), {"projection": (V, W)}
        ),
        "value_linear": (lambda r: 2 * r.value_linear, {"value_linear": 2.0}),
        "potentials": (
            lambda r: np.sum(qf * r.potentials[0]) + np.sum(qg * r.potentials[1]), {"potentials": (qf, qg)}
        ),
        "f": (lambda r: np.sum(qf * r.potentials[0]), {"potentials": (qf, None)}),
    }  # fmt: skip


@pytest.mark.parametrize("metric", [*POINTS, "dense"])
@pytest.mark.parametrize("output", outputs())
def test_implicit_balanced(output, metric):
    if metric == "dense" and output == "projection":
        pytest.skip("no points to project")
    _check_implicit("balanced", metric, output)


@pytest.mark.parametrize("output", outputs())
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "balanced"])
def test_implicit_variants(output, kind):
    _check_implicit(kind, "sqeuclidean", output)


def _check_implicit(kind, metric, output):
    function, cotangent = outputs()[output]
    values, solve = problem(kind, metric)
    found = solve(values).vjp(**cotangent, tol=1e-12)
    assert found.converged
    assert found.residual <= 2e-12
    gradients = {"a": found.a, "b": found.b, "reg": found.reg}
    if metric == "dense":
        gradients["C"] = found.C
    else:
        gradients |= {"X": found.X, "Y": found.Y}
    check(lambda v: function(solve(v)), gradients, values, kind not in UNEQUAL, 1e-6)


def test_mass_implicit():
    values, _ = problem("partial")
    G = np.random.default_rng(5).normal(size=(7, 6))

    def solve(mass):
        return ot.solve_sample(
            values["X"], values["Y"], values["a"], values["b"], reg=0.5, mass=mass, tol=1e-13
        )

    at = [np.sum(G * solve(0.6 + h).plan) for h in (-1e-4, 1e-4)]
    assert solve(0.6).vjp(G, tol=1e-12).mass == pytest.approx((at[1] - at[0]) / 2e-4, rel=1e-5)


def test_cotangents_are_added_up():
    values, solve = problem("balanced")
    result = solve(values)
    parts = [c for name, (_, c) in outputs().items() if name in ("plan", "apply", "value_linear", "f")]
    together = result.vjp(**{k: v for p in parts for k, v in p.items()}, tol=1e-13)
    single = [result.vjp(**p, tol=1e-13) for p in parts]
    for name in ("X", "Y", "C", "a", "b", "reg"):
        total = sum(np.asarray(getattr(s, name)) for s in single)
        np.testing.assert_allclose(getattr(together, name), total, rtol=1e-9, atol=1e-9)


def test_what_was_averaged():
    values, solve = problem("kl")
    result = solve(values)
    rng = np.random.default_rng(3)
    V, W, U, WT = (rng.normal(size=s) for s in ((6, 2), (7, 2), (7, 2), (6, 2)))
    np.testing.assert_allclose(result.vjp(apply=(V, W)).V, result.plan.T @ W, atol=1e-14)
    np.testing.assert_allclose(result.vjp(apply_T=(U, WT)).U, result.plan @ WT, atol=1e-14)
    shares = result.plan / result.plan.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.vjp(projection=(V, W)).V, shares.T @ W, atol=1e-14)


@pytest.mark.parametrize("kind", ["balanced", "kl", "tv", "partial"])
@pytest.mark.parametrize("metric", ["sqeuclidean", "dense"])
def test_weights_of_zero(kind, metric):
    """The gradient at a weight of 0 is that of the first mass there."""
    values, solve = problem(kind, metric)
    a, b = values["a"].copy(), values["b"].copy()
    a[2], b[4] = 0, 0
    values |= {"a": a / a.sum(), "b": b / b.sum() * (1.2 if kind != "balanced" else 1)}
    result = solve(values)
    d = np.zeros(7)
    d[2], d[0] = 1, -1 if kind == "balanced" else 0
    e = np.zeros(6)
    e[4], e[0] = 1, -1 if kind == "balanced" else 0
    G = np.random.default_rng(4).normal(size=(7, 6))
    found = result.vjp(G, tol=1e-12)
    for name, way, gradient, implicit in (("a", d, result.grad_a, found.a), ("b", e, result.grad_b, found.b)):
        for function, slopes, tol in (
            (lambda r: r.value, gradient, 1e-5), (lambda r: np.sum(G * r.plan), implicit, 1e-5),
        ):  # fmt: skip
            h = 1e-6  # one-sided: second order forwards
            at = [function(solve(moved(values, name, way, k * h))) for k in (0, 1, 2)]
            wanted = (-3 * at[0] + 4 * at[1] - at[2]) / (2 * h)
            assert float(slopes @ way) == pytest.approx(wanted, rel=tol, abs=tol)
    # potentials and projections of points of weight 0
    q = np.zeros(7)
    q[2] = 1.0
    for cotangent, function in (
        ({"potentials": (q, None)}, lambda r: r.potentials[0][2]),
        ({"projection": (G[:6, :3], np.outer(q, np.ones(3)))},
         lambda r: r.barycentric_projection(G[:6, :3])[2].sum()),
    ):  # fmt: skip
        if kind == "tv" and "potentials" in cotangent:
            continue
        out = result.vjp(**cotangent, tol=1e-12)
        gradients = {name: getattr(out, name) for name in values}
        for name, way in directions(values, balanced=kind == "balanced"):
            if name in ("a", "b"):
                way = np.where(values[name] > 0, way, 0)
                way = np.where(values[name] > 0, way - way.sum() / (way.size - 1) * (kind == "balanced"), 0)
            wanted = slope(lambda v, f=function: f(solve(v)), values, name, way)
            assert float(np.sum(gradients[name] * way)) == pytest.approx(wanted, rel=1e-5, abs=1e-6), name


def test_forbidden_pairs():
    rng = np.random.default_rng(0)
    C = rng.random((7, 6))
    C[rng.random((7, 6)) < 0.3] = np.inf
    C[np.arange(6), np.arange(6)] = 0.5
    C[6, 0] = C[0, 1] = 0.4
    G, D = rng.normal(size=(7, 6)), rng.normal(size=(7, 6))
    D[np.isinf(C)] = 0

    def solve(C):
        return ot.solve(C, reg=0.5, tol=1e-13)

    found = solve(C).vjp(G, tol=1e-12)
    h = 1e-5
    wanted = (np.sum(G * solve(C + h * D).plan) - np.sum(G * solve(C - h * D).plan)) / (2 * h)
    assert np.sum(found.C * D) == pytest.approx(wanted, rel=1e-6)
    assert (found.C[np.isinf(C)] == 0).all()
    assert np.isfinite(found.reg)


@pytest.mark.parametrize("metric", POINTS)
def test_divergence(metric):
    values, _ = problem("balanced", metric)
    values.pop("reg")

    def solve(v):
        return ot.sinkhorn_divergence(**v, reg=0.4, metric=metric, tol=1e-12)

    result = solve(values)
    gradients = {k: getattr(result, f"grad_{k}") for k in values}
    check(lambda v: solve(v).value, gradients, values, balanced=True, tol=1e-6)


def test_divergence_unbalanced():
    values, _ = problem("kl")
    values.pop("reg")

    def solve(v):
        return ot.sinkhorn_divergence(**v, reg=0.4, unbalanced=1.0, tol=1e-12)

    result = solve(values)
    check(lambda v: solve(v).value, {k: getattr(result, f"grad_{k}") for k in values}, values, False, 1e-6)


def test_gradient_of_a_divergence_vanishes_at_equal_points():
    X = np.random.default_rng(0).normal(size=(30, 3))
    result = ot.sinkhorn_divergence(X, X, reg=0.5, tol=1e-11)
    assert np.abs(result.grad_X).max() < 1e-9


@pytest.mark.parametrize("metric", [*POINTS, "dense"])
def test_batch_is_the_single_ones(metric):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 8, 3)), rng.normal(size=(5, 6, 3))
    a, b = rng.uniform(0.5, 1, (5, 8)), rng.uniform(0.5, 1, (5, 6))
    b *= (a.sum(1) / b.sum(1))[:, None]
    lengths = np.array([[8, 6], [5, 6], [8, 2], [3, 3], [8, 6]])
    for k, (n, m) in enumerate(lengths):
        b[k, :m] *= a[k, :n].sum() / b[k, :m].sum()
    C = rng.random((5, 8, 6)) if metric == "dense" else (X, Y)
    options = {} if metric == "dense" else {"metric": metric}
    batch = ot.solve_batch(C, a, b, reg=0.5, lengths=lengths, tol=1e-10, **options)
    names = ("C", "a", "b") if metric == "dense" else ("X", "Y", "a", "b")
    for name in names:
        whole = getattr(batch, f"grad_{name}")
        assert np.isfinite(whole).all()
        for k, (n, m) in enumerate(lengths):
            one = np.asarray(getattr(batch[k], f"grad_{name}"))
            size = {"X": n, "a": n, "Y": m, "b": m, "C": n}[name]
            part = whole[k, :size, :m] if name == "C" else whole[k, :size]
            np.testing.assert_allclose(part, one, atol=1e-12)
            assert not whole[k, size:].any()
    if metric == "dense":
        with pytest.raises(ValueError, match="no points"):
            _ = batch.grad_X


@pytest.mark.parametrize("metric", POINTS)
def test_float32(metric):
    values, _ = problem("balanced", metric)
    small = {k: np.float32(v) for k, v in values.items() if k != "reg"}
    exact = ot.solve_sample(**values, metric=metric, tol=1e-12)
    single = ot.solve_sample(**small, reg=values["reg"], metric=metric)
    W = np.random.default_rng(0).normal(size=(7, 2))
    for name in ("grad_X", "grad_Y", "grad_a", "grad_b"):
        assert getattr(single, name).dtype == np.float32
        np.testing.assert_allclose(getattr(single, name), getattr(exact, name), atol=3e-5)
    one, two = single.vjp(projection=W), exact.vjp(projection=W, tol=1e-12)
    for name in ("X", "Y", "a", "b"):
        assert getattr(one, name).dtype == np.float32
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=2e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", POINTS)
def test_larger_than_a_tile(metric, dtype):
    """Sums over many tiles and threads: against the matrix."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(700, 9)).astype(dtype), rng.normal(size=(611, 9)).astype(dtype)
    reg = 0.1 if metric == "cosine" else 2.0
    result = ot.solve_sample(X, Y, reg=reg, metric=metric)
    P = np.asarray(result.plan, np.float64)
    x, y = X.astype(np.float64), Y.astype(np.float64)
    if metric in ("sqeuclidean", "euclidean"):
        D = x[:, None] - y
        D = 2 * D if metric == "sqeuclidean" else D / np.linalg.norm(D, axis=2, keepdims=True)
        wanted = (P[:, :, None] * D).sum(1)
    elif metric == "dot":
        wanted = -P @ y
    else:
        nx, ny = np.linalg.norm(x, axis=1, keepdims=True), np.linalg.norm(y, axis=1, keepdims=True)
        wanted = -P @ (y / ny)
        wanted = (wanted - (wanted * x).sum(1, keepdims=True) * x / nx**2) / nx
    tol = 2e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(result.grad_X, wanted, atol=tol * np.abs(wanted).max())
    low = result.vjp(apply=(Y, X), tol=1e-5 if dtype == np.float32 else 1e-9)
    full = result.vjp(x @ y.T, tol=1e-5 if dtype == np.float32 else 1e-9)
    scale = np.abs(full.X).max()
    np.testing.assert_allclose(low.X, full.X, atol=20 * tol * scale)
    np.testing.assert_allclose(low.C, full.C, atol=20 * tol * np.abs(full.C).max())


def test_fortran_order():
    values, solve = problem("partial", "dense")
    turned = {**values, "C": np.asfortranarray(values["C"])}
    G = np.random.default_rng(0).normal(size=(7, 6))
    one, two = solve(values), solve(turned)
    assert two._geometry.swapped
    np.testing.assert_allclose(one.grad_a, two.grad_a, atol=1e-9)
    assert one.grad_mass == pytest.approx(two.grad_mass)
    for cotangent in ({"G": G}, {"apply": (np.eye(6)[:, :2], G[:, :2])}, {"value_linear": 1.0}):
        first, second = one.vjp(**cotangent, tol=1e-12), two.vjp(**cotangent, tol=1e-12)
        for name in ("C", "a", "b", "reg", "mass"):
            np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("metric", [*POINTS, "dense"])
def test_threads_do_not_change_a_bit(metric):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(700, 5)), rng.normal(size=(611, 5))
    W = rng.normal(size=(700, 5))
    answers = []
    for n_jobs in (1, 2, 4):
        if metric == "dense":
            result = ot.solve(((X[:, None] - Y) ** 2).sum(-1), reg=3.0, n_jobs=n_jobs)
            found = result.vjp(X @ Y.T)
            answers.append([result.grad_a, found.C, found.a, found.b])
            continue
        result = ot.solve_sample(X, Y, reg=3.0, metric=metric, n_jobs=n_jobs)
        found = result.vjp(projection=W)
        dense = result.vjp(X @ Y.T)
        answers.append([result.grad_X, result.grad_Y, found.X, found.Y, found.a, found.b, dense.X])
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            assert one.tobytes() == two.tobytes()


def test_nothing_of_the_size_of_the_plan():
    import tracemalloc

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3000, 3)), rng.normal(size=(3000, 3))
    result = ot.solve_sample(X, Y, reg=1.0, tol=1e-3)
    tracemalloc.start()
    found = result.vjp(projection=X, tol=1e-2)
    _ = result.grad_X, found.X, found.Y, found.a, found.reg
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.1 * 8 * 3000**2


def test_pot_agrees():
    pot = pytest.importorskip("ot")
    torch = pytest.importorskip("torch")
    values, _ = problem("balanced", "dense")
    C = torch.tensor(values["C"], requires_grad=True)
    a, b = torch.tensor(values["a"]), torch.tensor(values["b"])
    reg = values["reg"]
    G = np.random.default_rng(0).normal(size=(7, 6))
    plan = pot.sinkhorn(a, b, C, reg, method="sinkhorn_log", numItermax=5000, stopThr=1e-14)
    (torch.tensor(G) * plan).sum().backward()
    result = ot.solve(values["C"], values["a"], values["b"], reg=reg, tol=1e-13)
    np.testing.assert_allclose(result.vjp(G, tol=1e-12).C, C.grad.numpy(), atol=1e-9)


def test_not_converged():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    result = ot.solve_sample(X, X + 0.3, reg=0.05, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"implicit differentiation: residual .* after 3 iterations"):
        found = result.vjp(projection=X, max_iter=3)
    assert not found.converged
    assert found.n_iter == 3
    assert found.residual > 1e-6
    with pytest.warns(ConvergenceWarning, match="residual"):  # below what rounding allows
        result.vjp(projection=X, tol=1e-300)


def test_functions_that_do_not_depend_on_the_plan():
    """Row sums are given: their gradient is that of the weights, and 0 for the rest."""
    values, solve = problem("balanced")
    w = np.arange(7.0)
    found = solve(values).vjp(apply=(np.ones(6), w))
    assert found.converged
    np.testing.assert_allclose(found.a - found.a[0], w, atol=1e-8)
    np.testing.assert_allclose(found.X, 0, atol=1e-8)
    np.testing.assert_allclose(found.b - found.b[0], 0, atol=1e-8)


BAD = [
    ({}, ValueError, "give at least one of G"),
    ({"G": np.ones((7, 7))}, ValueError, r"G must have the shape of the plan, \(7, 6\)"),
    ({"G": np.full((7, 6), np.nan)}, ValueError, r"G must be finite"),
    ({"G": np.ones((7, 6), complex)}, TypeError, "G is complex"),
    ({"potentials": np.ones(7)}, TypeError, "potentials must be a pair"),
    ({"potentials": (np.ones(6), None)}, ValueError, r"potentials\[0\] must have shape \(7,\)"),
    ({"apply": np.ones(7)}, TypeError, "apply must be a pair"),
    ({"apply": (np.ones(7), np.ones(7))}, ValueError, r"apply\[0\] must have shape \(6,\)"),
    ({"apply": (np.ones((6, 2)), np.ones(7))}, ValueError, "as many columns"),
    ({"apply_T": (np.ones(7), np.ones(7))}, ValueError, r"apply_T\[1\] must have shape \(6,\)"),
    ({"projection": np.ones((7, 3))}, ValueError, r"projection must have shape \(7, 2\)"),
    ({"value_linear": "x"}, TypeError, "value_linear must be a number"),
    ({"value_linear": 1.0, "tol": 0.0}, ValueError, "tol must be > 0"),
    ({"value_linear": 1.0, "max_iter": 0}, ValueError, "max_iter must be"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), BAD)
def test_bad_input(arguments, error, text):
    values, solve = problem("balanced")
    with pytest.raises(error, match=text):
        solve(values).vjp(**arguments)


def test_what_is_not_there():
    result = ot.solve(np.ones((3, 2)), reg=1.0)
    for name in ("grad_X", "grad_Y"):
        with pytest.raises(ValueError, match="no points"):
            getattr(result, name)
    with pytest.raises(ValueError, match="no points"):
        _ = result.vjp(value_linear=1.0).X
    with pytest.raises(ValueError, match="no points of its own"):
        result.vjp(projection=np.ones((3, 2)))
    free = ot.solve(np.ones((3, 2)), reg=1.0, unbalanced=50.0, unbalanced_type="tv")
    with pytest.raises(ValueError, match="not unique"):
        free.vjp(potentials=(np.ones(3), None))


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.floats(-1, 1.5), st.sampled_from(POINTS),
    st.integers(0, 1000),
)  # fmt: skip
def test_identities(n, m, d, log_reg, metric, seed):
    """What holds for any problem: invariances show as sums of gradients that vanish."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    reg = 10.0**log_reg * (0.3 if metric == "cosine" else 1.0)
    result = ot.solve_sample(X, Y, reg=reg, metric=metric, tol=1e-9, max_iter=100_000)
    G = rng.normal(size=(n, m))
    found = result.vjp(G, tol=1e-9, max_iter=5000)
    size = np.abs(result.plan * G).max() / reg
    # C + u 1^T + 1 w^T has the same plan
    np.testing.assert_allclose(found.C.sum(axis=1), 0, atol=1e-5 * size)
    np.testing.assert_allclose(found.C.sum(axis=0), 0, atol=1e-5 * size)
    # (s C, s reg) as well
    C = {
        "sqeuclidean": ((X[:, None] - Y) ** 2).sum(-1),
        "euclidean": np.sqrt(((X[:, None] - Y) ** 2).sum(-1)),
        "dot": -X @ Y.T,
        "cosine": 1 - X @ Y.T / np.linalg.norm(X, axis=1)[:, None] / np.linalg.norm(Y, axis=1),
    }[metric]
    scale = n * m * size * (1 + np.abs(C).max())
    assert np.sum(found.C * C) + reg * found.reg == pytest.approx(0, abs=1e-5 * scale)
    # a translation of both clouds moves no distance, a scaling no direction
    if metric in ("sqeuclidean", "euclidean"):
        both = np.asarray(result.grad_X).sum(0) + np.asarray(result.grad_Y).sum(0)
        np.testing.assert_allclose(both, 0, atol=1e-9 * (1 + np.abs(result.grad_X).max()) * (n + m))
    if metric == "cosine":
        np.testing.assert_allclose((found.X * X).sum(1), 0, atol=1e-9 * (1 + np.abs(found.X).max()))


@given(
    st.integers(2, 15), st.integers(2, 15), st.floats(-1.3, 1), st.integers(0, 1000),
    st.sampled_from([np.float32, np.float64]), st.sampled_from("CF"),
)  # fmt: skip
def test_against_the_equations_solved_densely(n, m, log_reg, seed, dtype, order):
    """The adjoint equations of both sides at once, by LAPACK."""
    rng = np.random.default_rng(seed)
    C = np.asarray(rng.random((n, m)), dtype=dtype, order=order)
    a, b = rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, m)
    reg, single = 10.0**log_reg, dtype == np.float32
    result = ot.solve(C, a / a.sum(), b / b.sum(), reg=reg, tol=1e-5 if single else 1e-10, max_iter=100_000)
    P = np.asarray(result.plan, np.float64)
    G, q = rng.normal(size=(n, m)), rng.normal(size=n)
    with warnings.catch_warnings():  # in float32 rounding may stop it above
        warnings.simplefilter("ignore" if single else "error", ConvergenceWarning)
        found = result.vjp(G, potentials=(q - q.mean(), None), tol=1e-5 if single else 1e-9, max_iter=3000)
    bent = P * G
    lean = (q - q.mean()).sum() / 2
    right = np.concatenate([bent.sum(1) + reg * (q - q.mean() - lean), bent.sum(0)])
    J = np.block([[np.diag(P.sum(1)), P], [P.T, np.diag(P.sum(0))]])
    w = np.linalg.lstsq(J, right, rcond=1e-10)[0]
    wanted = (-bent + P * (w[:n, None] + w[None, n:])) / reg
    size = np.abs(P * (np.abs(G) + np.abs(w[:n, None]) + np.abs(w[None, n:]))).max() / reg
    np.testing.assert_allclose(found.C, wanted, atol=(2e-2 if single else 1e-6) * size)
