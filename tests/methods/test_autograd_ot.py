"""Optimal transport for PyTorch: gradcheck of every output and input, double backward, doors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning

torch = pytest.importorskip("torch")

METRICS = ("sqeuclidean", "euclidean", "cosine", "dot")
VARIANTS = {
    "balanced": {},
    "entropy": {"reg_type": "entropy"},
    "kl": {"unbalanced": (0.8, 1.3)},
    "kl entropy": {"unbalanced": (0.8, 1.3), "reg_type": "entropy"},
    "tv": {"unbalanced": 0.3, "unbalanced_type": "tv"},
    "partial": {"mass": 0.6},
    "partial entropy": {"mass": 0.6, "reg_type": "entropy"},
    "semi-relaxed": {"unbalanced": (None, 0.5)},
}


def leaf(x, dtype=torch.float64):
    return torch.tensor(np.asarray(x), dtype=dtype, requires_grad=True)


def inputs(seed=0, n=5, m=4):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.5
    return [leaf(z) for z in (X, Y, rng.normal(size=n) / 4, rng.normal(size=m) / 4, 0.5)]


def solve(X, Y, p, q, reg, metric="sqeuclidean", **options):
    """Weights as a model has them, so that every step of a finite difference is a problem."""
    a, b = torch.softmax(p, 0), torch.softmax(q, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the floor may be above the tolerance
        if metric == "dense":
            C = torch.sin(X[:, :1] + Y[:, 1]) + Y[:, 0] ** 2
            result = ot.solve(C, a, b, reg=reg, tol=1e-13, max_iter=100_000, **options)
        else:
            result = ot.solve_sample(
                X, Y, a, b, reg=reg, metric=metric, tol=1e-13, max_iter=100_000, **options
            )
    result.gradient_tol = 1e-12
    return result


OUTPUTS = {
    "value": lambda r: r.value,
    "value_linear": lambda r: r.value_linear,
    "f": lambda r: r.potentials[0],
    "potentials": lambda r: r.potentials,
    "plan": lambda r: r.plan,
    "apply": lambda r: r.apply(torch.linspace(0, 1, 8, dtype=torch.float64).reshape(4, 2)),
    "apply_T": lambda r: r.apply_T(torch.linspace(0, 1, 5, dtype=torch.float64)),
    "projection": lambda r: r.barycentric_projection(),
    "marginals": lambda r: (r.marginal_a, r.marginal_b),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("metric", [*METRICS, "dense"])
def test_gradcheck(metric, output):
    if metric == "dense" and output == "projection":
        return
    function = OUTPUTS[output]
    assert torch.autograd.gradcheck(
        lambda *z: function(solve(*z, metric=metric)), inputs(), eps=1e-5, atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "balanced"])
def test_gradcheck_variants(variant, output):
    function = OUTPUTS[output]
    assert torch.autograd.gradcheck(
        lambda *z: function(solve(*z, **VARIANTS[variant])), inputs(), eps=1e-5, atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("metric", [*METRICS, "dense"])
def test_value_twice(metric):
    *points, reg = inputs()
    assert torch.autograd.gradgradcheck(
        lambda *z: solve(*z, reg.detach(), metric=metric).value, points, eps=1e-5, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "balanced"])
def test_value_twice_variants(variant):
    *points, reg = inputs()
    assert torch.autograd.gradgradcheck(
        lambda *z: solve(*z, reg.detach(), **VARIANTS[variant]).value,
        points, eps=1e-5, atol=1e-5, rtol=1e-4,
    )  # fmt: skip


def test_value_twice_through_the_regularisation():
    X, Y, p, q, reg = inputs()
    (slope,) = torch.autograd.grad(solve(X, Y, p, q, reg).value, X, create_graph=True)
    (mixed,) = torch.autograd.grad(slope.square().sum(), reg)
    h = 1e-5
    at = []
    for by in (-h, h):
        (one,) = torch.autograd.grad(solve(X, Y, p, q, reg.detach() + by).value, X)
        at.append(one.square().sum())
    assert mixed.item() == pytest.approx(((at[1] - at[0]) / (2 * h)).item(), rel=1e-5)
    (by_reg,) = torch.autograd.grad(solve(X, Y, p, q, reg).value, reg, create_graph=True)
    with pytest.raises(RuntimeError, match="reg has no gradient of its own"):
        by_reg.backward()


def test_the_rest_once():
    result = solve(*inputs())
    loss = result.barycentric_projection().square().sum()
    X = result._ends.points
    (slope,) = torch.autograd.grad(loss, X, create_graph=True)
    with pytest.raises(RuntimeError, match="projection can be differentiated no further"):
        slope.sum().backward()
    (slope,) = torch.autograd.grad(result.value_linear, X, create_graph=True)  # whose gradient is constant
    with pytest.raises(RuntimeError, match="value_linear can be differentiated no further"):
        slope.sum().backward()
    (slope,) = torch.autograd.grad(result.value, X, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), X, create_graph=True)
    with pytest.raises(RuntimeError, match="the gradient of the value can be differentiated no"):
        bend.sum().backward()


def test_what_is_applied_to():
    X, Y, p, q, reg = inputs()
    result = solve(X, Y, p, q, reg)
    V = leaf(np.arange(8.0).reshape(4, 2))
    U = leaf(np.arange(5.0))
    for name, x in (("apply", V), ("apply_T", U), ("barycentric_projection", V)):
        assert torch.autograd.gradcheck(getattr(result, name), x)
    plain = ot.solve_sample(X.detach(), Y.detach(), reg=0.5)
    assert not plain.apply(V.detach()).requires_grad
    weights = solve(X.detach(), Y.detach(), p, q, 0.5)  # of V alone where nothing else needs them
    out = torch.autograd.grad(weights.apply(V).sum(), V)[0]
    np.testing.assert_allclose(out, weights.detach().apply_T(torch.ones(5, 2, dtype=torch.float64)))


def test_everything_is_what_arrays_give():
    X, Y, *_ = inputs()
    tensors = ot.solve_sample(X, Y, reg=0.5)
    arrays = ot.solve_sample(X.detach().numpy(), Y.detach().numpy(), reg=0.5)
    assert tensors.value.item() == arrays.value
    for name in ("plan", "marginal_a", "marginal_b", "grad_X", "grad_Y", "grad_a"):
        one = getattr(tensors, name)
        assert isinstance(one, torch.Tensor)
        np.testing.assert_allclose(one.detach().numpy(), getattr(arrays, name), rtol=1e-12)
    np.testing.assert_array_equal(tensors.potentials[0].detach(), arrays.potentials[0])
    np.testing.assert_allclose(tensors.operator @ np.ones(4), arrays.marginal_a)
    np.testing.assert_allclose(tensors.normal_operator() @ np.ones(4), arrays.plan.T @ arrays.marginal_a)
    assert (tensors.argmax().numpy() == arrays.argmax()).all()
    assert isinstance(tensors, ot.OTResult)
    assert "value=" in repr(tensors)
    assert ot.solve_sample(X, Y, reg=0.4, init=tensors).converged
    assert ot.solve_sample(X, Y, reg=0.5, init=tensors.potentials).n_sweeps <= 2
    for call in ("extend_f", "extend_g", "entropic_map"):
        with pytest.raises(TypeError, match=r"gives no gradients; call it on result.detach\(\)"):
            getattr(tensors, call)(X)
    with pytest.raises(TypeError, match="gives no gradients"):
        tensors.singular_triplets(1)
    assert tensors.detach().entropic_map(X.detach()).shape == (5, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_types(dtype):
    X, Y = (z.detach().to(dtype).requires_grad_() for z in inputs()[:2])
    result = ot.solve_sample(X, Y, reg=0.5)
    wanted = torch.float32 if dtype == torch.float32 else torch.float64
    for out in (result.value, result.plan, result.potentials[1], result.barycentric_projection()):
        assert out.dtype in (wanted, dtype)
        X.grad = None
        out.float().square().sum().backward(retain_graph=True)
        assert X.grad.dtype == dtype
        assert X.grad.isfinite().all()


def test_float32_is_near_float64():
    exact, single = [], []
    for dtype, grads in ((torch.float64, exact), (torch.float32, single)):
        X, Y = (z.detach().to(dtype).requires_grad_() for z in inputs()[:2])
        result = ot.solve_sample(X, Y, reg=0.5)
        loss = result.value + result.barycentric_projection().square().sum()
        grads += torch.autograd.grad(loss, (X, Y))
    for one, two in zip(exact, single, strict=True):
        torch.testing.assert_close(one.float(), two, rtol=2e-3, atol=2e-3)


def test_only_weights_or_only_cost():
    rng = np.random.default_rng(0)
    C = rng.random((5, 4))
    p = leaf(rng.normal(size=5))
    a = torch.softmax(p, 0)
    result = ot.solve(C, a, reg=0.5, tol=1e-12)  # b is uniform
    assert result.value.requires_grad
    assert torch.autograd.gradcheck(
        lambda z: ot.solve(C, torch.softmax(z, 0), reg=0.5, tol=1e-12).value, p, eps=1e-5, atol=1e-7
    )
    assert torch.autograd.gradcheck(
        lambda z: ot.solve(torch.tensor(C), None, z.exp(), reg=0.5, tol=1e-12).value,
        leaf(np.linspace(0, 1, 4)), eps=1e-5, atol=1e-7,
    )  # fmt: skip
    assert torch.autograd.gradcheck(
        lambda z: ot.solve(z, reg=0.5, tol=1e-12).value, leaf(C), eps=1e-5, atol=1e-7
    )
    turned = leaf(C.T.copy())
    assert torch.autograd.gradcheck(
        lambda z: ot.solve(z.T, reg=0.5, tol=1e-12).plan, turned, eps=1e-5, atol=1e-6
    )


def test_weights_of_a_sparse_cost():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    C = csr_array(np.where(rng.random((5, 4)) < 0.7, rng.random((5, 4)), 0) + np.eye(5, 4))
    V = torch.linspace(0, 1, 4, dtype=torch.float64)
    with pytest.raises(TypeError, match="the plan of a sparse cost gives no gradients"):
        _ = ot.solve(C, leaf(np.full(5, 0.2)), reg=0.5, unbalanced=1.0).plan

    def solve(p, q, reg):
        result = ot.solve_sparse(C, p.exp(), q.exp(), reg=reg, unbalanced=1.0, tol=1e-12)
        result.gradient_tol = 1e-12
        return result

    leaves = leaf(rng.normal(size=5)), leaf(rng.normal(size=4)), leaf(0.5)
    for function in (lambda r: r.value, lambda r: r.apply(V), lambda r: r.potentials):
        assert torch.autograd.gradcheck(
            lambda *z, f=function: f(solve(*z)), leaves, eps=1e-5, atol=1e-6, rtol=1e-5
        )


def test_weights_that_are_scaled():
    """A difference of the totals below the tolerance is removed, and the gradient knows it."""
    a, b = torch.full((3,), 1 / 3, dtype=torch.float64), leaf(np.array([0.2, 0.3, 0.5]))
    C = torch.rand(3, 3, dtype=torch.float64)
    (grad,) = torch.autograd.grad(ot.solve(C, a, b, reg=0.5, tol=1e-12).value, b)
    assert (grad @ b.detach()).item() == pytest.approx(0, abs=1e-9)  # a factor of b changes nothing


@pytest.mark.parametrize("metric", METRICS)
def test_divergence(metric):
    X, Y, p, q, _ = inputs()

    def divergence(X, Y, p, q):
        return ot.sinkhorn_divergence(
            X, Y, torch.softmax(p, 0), torch.softmax(q, 0), reg=0.5, metric=metric, tol=1e-12
        ).value

    assert torch.autograd.gradcheck(divergence, (X, Y, p, q), eps=1e-5, atol=1e-6, rtol=1e-5)
    result = ot.sinkhorn_divergence(X, Y, reg=0.5, metric=metric, tol=1e-12)
    (slope,) = torch.autograd.grad(result.value, X)
    np.testing.assert_allclose(slope, result.grad_X, atol=1e-8)


def test_divergence_options():
    X, Y, p, q, reg = inputs()
    assert torch.autograd.gradcheck(
        lambda X, Y, p, q, reg: ot.sinkhorn_divergence(
            X, Y, p.exp(), q.exp(), reg=reg, unbalanced=(0.8, 1.2), tol=1e-12
        ).value,
        (X, Y, p, q, reg), eps=1e-5, atol=1e-6, rtol=1e-5,
    )  # fmt: skip
    assert torch.autograd.gradgradcheck(
        lambda X: ot.sinkhorn_divergence(X, Y.detach(), reg=0.5, tol=1e-12).value, X, eps=1e-5, atol=1e-5
    )
    scaled = ot.sinkhorn_divergence(X, Y, reg=reg, reg_scale="mean")
    assert scaled.self_x.reg == pytest.approx(scaled.cross.reg)
    scaled.value.backward()
    assert reg.grad.isfinite()


def test_pot_agrees():
    pot = pytest.importorskip("ot")
    X, Y, p, q, _ = (z.detach() for z in inputs())
    a, b = torch.softmax(p, 0), torch.softmax(q, 0)
    W = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(5, 4)
    grads = []
    for ours in (True, False):
        C = torch.cdist(X, Y).square().requires_grad_()
        if ours:
            result = ot.solve(C, a, b, reg=0.5, tol=1e-13)
            result.gradient_tol = 1e-12
            plan = result.plan
        else:
            plan = pot.sinkhorn(a, b, C, 0.5, method="sinkhorn_log", numItermax=5000, stopThr=1e-14)
        grads.append(torch.autograd.grad((W * plan).sum(), C)[0])
    torch.testing.assert_close(*grads, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("metric", [*METRICS, "dense"])
def test_batch(metric):
    rng = np.random.default_rng(0)
    X, Y = leaf(rng.normal(size=(2, 3, 2))), leaf(rng.normal(size=(2, 2, 2)))
    p, q = leaf(rng.normal(size=(2, 3)) / 4), leaf(rng.normal(size=(2, 2)) / 4)

    def solve(X, Y, p, q):
        a, b = torch.softmax(p, 1), torch.softmax(q, 1)
        if metric == "dense":
            return ot.solve_batch(torch.sin(X[..., :1] + Y[:, None, :, 1]), a, b, reg=0.5, tol=1e-12)
        return ot.solve_batch((X, Y), a, b, reg=0.5, metric=metric, tol=1e-12)

    batch = solve(X, Y, p, q)
    assert batch.value.shape == (2,)
    assert torch.autograd.gradcheck(lambda *z: solve(*z).value, (X, Y, p, q), eps=1e-5, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(batch.value, torch.stack([r.value for r in batch]))
    if metric == "sqeuclidean":  # what goes through single results is checked there for the others
        for function in (lambda r: r.plan, lambda r: r.potentials):
            assert torch.autograd.gradcheck(
                lambda *z, f=function: f(solve(*z)), (X, Y, p, q), eps=1e-5, atol=1e-5, rtol=1e-4
            )
    if metric == "cosine":
        assert torch.autograd.gradgradcheck(
            lambda X: solve(X, Y.detach(), p.detach(), q.detach())[1].value, X, eps=1e-5, atol=1e-5, rtol=1e-4
        )
    if metric != "dense":
        assert batch[1].barycentric_projection().shape == (3, 2)
    np.testing.assert_array_equal(batch.detach().plan, batch.plan.detach())
    with pytest.raises(RuntimeError, match="the value of a batch can be differentiated no further"):
        torch.autograd.grad(batch.value.sum(), X, create_graph=True)[0].sum().backward()


@pytest.mark.parametrize(
    "options", [{"unbalanced": 1.0}, {"mass": 0.5}, {"unbalanced": 0.7, "reg_type": "entropy"}]
)
def test_batch_of_other_marginals(options):
    rng = np.random.default_rng(0)
    X, Y = leaf(rng.normal(size=(2, 3, 2))), leaf(rng.normal(size=(2, 2, 2)))
    p, q = leaf(rng.normal(size=(2, 3)) / 4), leaf(rng.normal(size=(2, 2)) / 4)

    def solve(X, Y, p, q):
        return ot.solve_batch((X, Y), torch.exp(p) / 3, torch.exp(q) / 2, reg=0.5, tol=1e-12, **options)

    for function in (
        lambda r: r.value,
        lambda r: r.value_linear,
        lambda r: r.marginal_a,
        lambda r: r.marginal_b,
    ):
        assert torch.autograd.gradcheck(
            lambda *z, f=function: f(solve(*z)), (X, Y, p, q), eps=1e-5, atol=1e-5, rtol=1e-4
        )
    batch = solve(X, Y, p, q)
    torch.testing.assert_close(batch.value, torch.stack([r.value for r in batch]))
    np.testing.assert_allclose(batch.detach().value_linear, batch.value_linear.detach())


def test_batch_of_different_sizes():
    rng = np.random.default_rng(0)
    X, Y = leaf(rng.normal(size=(3, 5, 2))), leaf(rng.normal(size=(3, 4, 2)))
    lengths = np.array([[5, 4], [3, 4], [2, 1]])
    batch = ot.solve_batch((X, Y), reg=0.5, lengths=lengths)
    (slope,) = torch.autograd.grad(batch.value.sum(), X, retain_graph=True)
    assert not slope[1, 3:].any()
    assert not slope[2, 2:].any()
    assert batch.plan.shape == (3, 5, 4)
    assert batch.potentials[0].isnan().sum() == 5


def test_a_map_is_learnt():
    """Gradient descent on the divergence moves the points onto others."""
    rng = np.random.default_rng(0)
    Y = torch.tensor(rng.normal(size=(40, 2)))
    X = leaf(rng.normal(size=(40, 2)) + 3)
    start = ot.sinkhorn_divergence(X, Y, reg=0.1).value.item()
    for _ in range(30):
        value = ot.sinkhorn_divergence(X, Y, reg=0.1).value
        (slope,) = torch.autograd.grad(value, X)
        X = (X - 10 * slope).detach().requires_grad_()
    assert value.item() < 0.02 * start


def test_what_is_refused():
    X, Y, p, _, reg = inputs()
    with pytest.raises(TypeError, match="tol requires grad"):
        ot.solve_sample(X, Y, reg=0.5, tol=leaf(1e-3))
    with pytest.raises(TypeError, match="unbalanced requires grad"):
        ot.solve_sample(X, Y, reg=0.5, unbalanced=leaf(1.0))
    with pytest.raises(ValueError, match="a and b must have the same total"):
        ot.solve_sample(X, Y, p.exp(), reg=0.5, b=torch.ones(4))
    with pytest.raises(ValueError, match="reg must be > 0"):
        ot.solve_sample(X, Y, reg=-reg)
    with pytest.raises(ValueError, match="no points of its own"):
        ot.solve(leaf(np.ones((2, 2))), reg=1.0).barycentric_projection()
    with pytest.raises(ImportError, match="X lives on a GPU"):
        ot.solve_sample(torch.empty(3, 2, device="meta", requires_grad=True), Y, reg=1.0)
    with pytest.raises(TypeError, match="X requires grad"):
        ot.cost_quantile(X, Y)


def test_a_system_that_does_not_converge_says_so():
    X, Y, *_ = inputs()
    result = ot.solve_sample(X, Y, reg=0.05)
    result.gradient_max_iter = 1
    with pytest.warns(ConvergenceWarning, match="implicit differentiation"):
        result.plan.square().sum().backward()
    assert X.grad.isfinite().all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("linear", [False, True])
def test_monge_gap(metric, linear):
    rng = np.random.default_rng(5)
    X, T = leaf(rng.normal(size=(6, 2))), leaf(rng.normal(size=(6, 2)))

    def value(X, T):
        gap = ot.monge_gap(X, T, reg=0.5, metric=metric, linear=linear, tol=1e-13, max_iter=100_000)
        gap.result.gradient_tol = 1e-12
        return gap.value

    assert torch.autograd.gradcheck(value, (X, T), atol=1e-6)
    plain = ot.monge_gap(X.detach(), T.detach(), reg=0.5, metric=metric, linear=linear, tol=1e-13)
    assert value(X, T).item() == pytest.approx(plain.value, abs=1e-9)
    value(X, T).backward()
    np.testing.assert_allclose(T.grad, plain.grad_T, atol=1e-5)
