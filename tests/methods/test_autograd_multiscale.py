"""Wavelet transforms of tensors: values, gradients of gradients, vmap, compiled programs."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lapwing import multiscale as ms  # noqa: E402

MODES = ["symmetric", "smooth", "antireflect", "periodization", "zero", "antisymmetric"]


def tensors(coeffs):
    """All tensors or arrays of nested coefficients, in order."""
    if isinstance(coeffs, (list, tuple)):
        return [t for c in coeffs for t in tensors(c)]
    if isinstance(coeffs, dict):
        return [t for key in sorted(coeffs) for t in tensors(coeffs[key])]
    return [coeffs]


CASES = [
    ("dwt", (9,), {}),
    ("dwt", (4, 3), {"axis": 0}),
    ("dwt2", (4, 5), {}),
    ("dwtn", (3, 2, 4), {"axes": (0, 2)}),
    ("wavedec", (2, 9), {"level": 2}),
    ("wavedec2", (6, 5), {"level": 2}),
    ("wavedecn", (2, 3, 2), {"level": 1}),
    ("wavedecn", (5, 8), {"level": 0}),
]


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_values_are_those_of_arrays(name, shape, options, mode):
    x = np.random.default_rng(0).normal(size=shape)
    function, inverse = (
        getattr(ms, name),
        getattr(ms, name.replace("wavedec", "waverec").replace("dwt", "idwt")),
    )
    right = function(x, "db2", mode, **options)
    mine = function(torch.from_numpy(x), "db2", mode, **options)
    for a, b in zip(tensors(mine), tensors(right), strict=True):
        assert isinstance(a, torch.Tensor)
        np.testing.assert_array_equal(a.numpy(), b)
    axes = {key: value for key, value in options.items() if key != "level"}
    back = inverse(*mine, "db2", mode, **axes) if name == "dwt" else inverse(mine, "db2", mode, **axes)
    whole = inverse(*right, "db2", mode, **axes) if name == "dwt" else inverse(right, "db2", mode, **axes)
    np.testing.assert_array_equal(back.numpy(), whole)


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_gradients(name, shape, options, mode):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    function = getattr(ms, name)

    def flat(t):
        return tuple(tensors(function(t, "bior2.2", mode, **options)))

    assert torch.autograd.gradcheck(flat, (x,))
    # the squares of coefficients that extrapolate are large
    assert torch.autograd.gradgradcheck(lambda t: tuple(b**2 for b in flat(t)), (x,), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("mode", ["symmetric", "periodization"])
def test_gradients_of_synthesis(mode):
    torch.manual_seed(0)
    x = torch.randn((5, 6), dtype=torch.float64)
    coeffs = ms.wavedec2(x, "db2", mode, level=1)
    leaves = [t.clone().requires_grad_() for t in tensors(coeffs)]

    def back(low, *details):
        return ms.waverec2([low, details], "db2", mode, shape=(5, 6))

    assert torch.autograd.gradcheck(back, leaves)
    assert torch.autograd.gradgradcheck(lambda *t: back(*t) ** 3, leaves)
    part = [leaves[0], (None, leaves[2], None)]
    assert torch.autograd.gradcheck(
        lambda a, v: ms.waverec2([a, (None, v, None)], "db2", mode), (part[0], part[1][1])
    )


def test_complex_and_other_dtypes():
    z = torch.randn(12, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: ms.dwt(t, "db2"), (z,))
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.complex64):
        x = torch.randn(8, 16).to(dtype).requires_grad_()
        low, high = ms.dwt(x, "db2", "periodization")
        assert low.dtype == dtype
        (low.abs().sum() + high.abs().sum()).backward()
        assert x.grad.dtype == dtype
        assert ms.idwt(low, high, "db2", "periodization").dtype == dtype
    assert ms.dwt(torch.arange(8), "db2")[0].dtype == torch.float64
    with pytest.raises(TypeError, match="boolean"):
        ms.dwt(torch.ones(8, dtype=torch.bool), "db2")


def test_orthogonal_gradient_is_the_inverse():
    x = torch.randn(16, 24, dtype=torch.float64, requires_grad=True)
    coeffs = ms.wavedec2(x, "db3", "periodization", level=2)
    (sum((t**2).sum() for t in tensors(coeffs)) / 2).backward()
    torch.testing.assert_close(x.grad, x.detach(), rtol=0, atol=1e-12)


def test_vmap():
    x = torch.randn(3, 4, 6, 8, dtype=torch.float64)
    for dim in (0, 1, 3):
        some = torch.func.vmap(lambda t: ms.dwt2(t, "db2")[1][0], in_dims=dim)(x)
        for i in range(x.shape[dim]):
            torch.testing.assert_close(some[i], ms.dwt2(x.select(dim, i), "db2")[1][0], rtol=0, atol=0)
    coeffs = ms.dwt2(x, "db2")
    back = torch.func.vmap(lambda a: ms.idwt2((a, (coeffs[1][0][0], None, None)), "db2"))(coeffs[0])
    torch.testing.assert_close(back[2], ms.idwt2((coeffs[0][2], (coeffs[1][0][0], None, None)), "db2"))


def test_compiled_without_graph_breaks():
    def loss(x):
        coeffs = ms.wavedec2(x, "bior2.2", "periodization", level=2)
        shrunk = [coeffs[0], *(tuple(torch.nn.functional.softshrink(b, 0.1) for b in d) for d in coeffs[1:])]
        return (ms.waverec2(shrunk, "bior2.2", "periodization") ** 2).sum()

    x = torch.randn(2, 16, 24, dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(loss(x), x)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
        value = compiled(x)
        (mine,) = torch.autograd.grad(value, x)
    torch.testing.assert_close(value, loss(x))
    torch.testing.assert_close(mine, right)


def test_operators_pass_their_own_checks():
    from lapwing.autograd import _multiscale as ops

    x = torch.randn(3, 12, 10, dtype=torch.float64, requires_grad=True)
    tests = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(
        ops.wavedecn_op, (x, "db2|haar", "symmetric|periodization", 1, [-2, -1], 0), test_utils=tests
    )
    coeffs = [t.detach().requires_grad_() for t in ops.wavedecn_op(x, "db2", "zero", 2, [-1], 1)]
    torch.library.opcheck(ops.wavedecn_adjoint_op, (coeffs, "db2", "zero", [-1], [10], 1), test_utils=tests)
    torch.library.opcheck(ops.waverecn_op, (coeffs, "db2", "zero", [-1], [10], 1), test_utils=tests)
    sizes = [t.shape[-1] for t in coeffs[1:]]
    torch.library.opcheck(ops.waverecn_adjoint_op, (x, "db2", "zero", [-1], sizes, 1), test_utils=tests)


def test_a_bank_of_ones_own():
    mine = ms.Wavelet("mine", ms.Wavelet("db3").filter_bank)
    x = torch.randn(20, dtype=torch.float64)
    torch.testing.assert_close(ms.dwt(x, mine)[1], ms.dwt(x, "db3")[1], rtol=0, atol=0)


LINEAR = [
    ("swt", (2, 8), {"level": 2}),
    ("swt", (8, 3), {"level": 1, "axis": 0, "trim_approx": True, "norm": True}),
    ("swt2", (4, 8), {"level": 2}),
    ("swt2", (4, 4), {"level": 1, "trim_approx": True}),
    ("swtn", (4, 3, 8), {"level": 2, "axes": (0, 2), "start_level": 0}),
    ("swtn", (16,), {"level": 2, "start_level": 1}),
]


@pytest.mark.parametrize("wavelet", ["db3", "bior2.2"])
@pytest.mark.parametrize(("name", "shape", "options"), LINEAR)
@pytest.mark.filterwarnings("ignore:norm=True")
def test_stationary_transforms(name, shape, options, wavelet):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    function, inverse = getattr(ms, name), getattr(ms, "i" + name)
    right = function(x.detach().numpy(), wavelet, **options)
    mine = function(x, wavelet, **options)
    for a, b in zip(tensors(mine), tensors(right), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b)
    assert torch.autograd.gradcheck(lambda t: tuple(tensors(function(t, wavelet, **options))), (x,))
    assert torch.autograd.gradgradcheck(
        lambda t: tuple(b**2 for b in tensors(function(t, wavelet, **options))), (x,)
    )
    if options.get("start_level"):
        return
    back = {k: v for k, v in options.items() if k in ("axis", "axes", "norm")}
    np.testing.assert_array_equal(
        inverse(mine, wavelet, **back).detach().numpy(), inverse(right, wavelet, **back)
    )
    structure = iter(tensors(mine))
    leaves = [t.detach().requires_grad_() for t in structure]

    def rebuilt(*flat):
        flat = iter(flat)

        def same(c):
            if isinstance(c, dict):
                return {k: next(flat) for k in sorted(c)}
            return type(c)(same(v) for v in c) if isinstance(c, (list, tuple)) else next(flat)

        return inverse(same(mine), wavelet, **back)

    assert torch.autograd.gradcheck(rebuilt, leaves)
    assert torch.autograd.gradgradcheck(lambda *t: rebuilt(*t) ** 2, leaves)


@pytest.mark.parametrize("scheme", ["haar", "5/3", "9/7", "db2", "bior1.3"])
@pytest.mark.parametrize(
    ("shape", "axes", "level"), [((8,), None, 2), ((4, 3, 8), (0, 2), 2), ((4, 4), (1,), 0)]
)
def test_lifting(scheme, shape, axes, level):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    right = ms.lwt(x.detach().numpy(), scheme, level, axes, False)
    mine = ms.lwt(x, scheme, level, axes, False)
    for a, b in zip(tensors(mine), tensors(right), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b)
    back = ms.ilwt(mine, scheme, axes, False)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)

    def flat(t):
        return tuple(tensors(ms.lwt(t, scheme, level, axes, False)))

    assert torch.autograd.gradcheck(flat, (x,))
    assert torch.autograd.gradgradcheck(lambda t: tuple(b**2 for b in flat(t)), (x,))
    keys = [sorted(c) if isinstance(c, dict) else None for c in mine]

    def rebuilt(*t):
        t = iter(t)
        return ms.ilwt(
            [next(t) if k is None else {name: next(t) for name in k} for k in keys], scheme, axes, False
        )

    leaves = [t.detach().requires_grad_() for t in tensors(mine)]
    assert torch.autograd.gradcheck(rebuilt, leaves)
    assert torch.autograd.gradgradcheck(lambda *t: rebuilt(*t) ** 2, leaves)


PYRAMIDS = [
    (lambda x, **o: [ms.pyr_down(x, 0.4, **o)], {}),
    (lambda x, **o: ms.gaussian_pyramid(x, 2, **o)[1:], {}),
    (lambda x, **o: [ms.pyr_up(x, border="symmetric", **o)], {}),
    (lambda x, **o: [ms.pyr_up(x, [2 * n - 1 for n in x.shape[-2:]], **o)], {"axes": (-2, -1)}),
    (lambda x, **o: ms.laplacian_pyramid(x, 2, **o), {}),
    (lambda x, **o: ms.laplacian_pyramid(x, 1, 0.4, "symmetric", **o), {}),
    (lambda x, **o: [ms.laplacian_reconstruct([x, x[..., ::2, ::2]], **o)], {}),
    (lambda x, **o: [ms.laplacian_reconstruct([x, x[..., ::2, ::2]], "symmetric", **o)], {}),
    (lambda x, **o: [ms.pyr_down(x, **o)], {"axes": (0,)}),
    (lambda x, **o: [ms.pyr_up(x, **o)], {"axes": (0,)}),
]


@pytest.mark.parametrize("shape", [(5, 6), (1, 4), (2, 1), (3, 3), (2, 7, 2)])
@pytest.mark.parametrize(("function", "options"), PYRAMIDS)
def test_pyramids(function, options, shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    right = function(x.detach().numpy(), **options)
    for a, b in zip(function(x, **options), right, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b)
    assert torch.autograd.gradcheck(lambda t: tuple(function(t, **options)), (x,))
    assert torch.autograd.gradgradcheck(lambda t: tuple(b**2 for b in function(t, **options)), (x,))


def test_linear_maps_in_vmap_and_compiled():
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    for function in (
        lambda t: ms.swt2(t, "db2", 1)[0][1][1], lambda t: ms.laplacian_pyramid(t, 1)[0], ms.pyr_up,
        lambda t: ms.lwt(t, "5/3", 1, (-2, -1), False)[1]["da"],
    ):  # fmt: skip
        some = torch.func.vmap(function, in_dims=1)(x)
        for i in range(4):
            torch.testing.assert_close(some[i], function(x[:, i]), rtol=0, atol=0)

    def loss(t):
        details = ms.laplacian_pyramid(t, 2)
        coeffs = ms.swt2(ms.laplacian_reconstruct(details), "db2", 2, trim_approx=True)
        return (ms.iswt2(coeffs, "db2") ** 4).sum() + ms.lwt(t, "9/7", 1, (-1,), False)[0].abs().sum()

    x = torch.randn(2, 8, 12, dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(loss(x), x)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = torch.compile(loss, backend="aot_eager", fullgraph=True)(x)
        (mine,) = torch.autograd.grad(value, x)
    torch.testing.assert_close(value, loss(x))
    torch.testing.assert_close(mine, right)


def test_the_linear_operator_passes_its_own_checks():
    import json

    from lapwing.autograd import _linear

    x = torch.randn(3, 8, 6, dtype=torch.float64, requires_grad=True)
    options = json.dumps({"what": "split", "a": 0.375, "border": "opencv", "threads": 1})
    torch.library.opcheck(
        _linear.linear_map, ([x], "pyramid", options, False, [-2, -1], [8, 6], [4, 3, 8, 6]),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
def test_dtypes_of_linear_maps(dtype):
    x = torch.randn(8, 8).to(dtype).requires_grad_()
    for function in (
        lambda t: ms.swt2(t, "db2", 1), lambda t: ms.lwt(t, "5/3", 1, None, False),
        lambda t: ms.laplacian_pyramid(t, 1), ms.pyr_up,
    ):  # fmt: skip
        out = tensors(function(x))
        assert {t.dtype for t in out} == {dtype}
        (grad,) = torch.autograd.grad(sum(t.abs().sum() for t in out), x)
        assert grad.dtype == dtype
        assert bool(torch.isfinite(grad.abs()).all())


def test_functions_without_gradients():
    x = torch.arange(64).reshape(8, 8).to(torch.uint8)
    low = ms.pyr_down(x)
    assert low.dtype == torch.uint8
    np.testing.assert_array_equal(low.numpy(), ms.pyr_down(x.numpy()))
    coeffs = ms.lwt(x, level=1)
    np.testing.assert_array_equal(ms.ilwt(coeffs).numpy(), x.numpy())
    y = torch.rand(8, 8)
    assert float(ms.wavelet_emd(y, y.T)) >= 0
    with pytest.raises(TypeError, match="wavelet_emd gives no gradients"):
        ms.wavelet_emd(y.requires_grad_(), y.T)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: ms.dwt(x, "no"), ValueError, "unknown wavelet 'no'"),
        (lambda x: ms.dwt(x, "db2", "mirror"), ValueError, "unknown mode"),
        (lambda x: ms.dwt(x, "db2", axis=3), ValueError, "axis 3 is not there"),
        (lambda x: ms.dwt(x[:1], "db2", "reflect"), ValueError, "at least two samples"),
        (lambda x: ms.dwt(x[:0], "db2"), ValueError, "empty along axis 0"),
        (lambda x: ms.dwt2(x, "db2", axes=(0,)), ValueError, "axes must be two"),
        (lambda x: ms.idwt(x, x[:3], "db2"), ValueError, "one shape"),
        (lambda x: ms.waverec([x, x[:3]], "db2"), ValueError, r"coeffs\[1\] has shape"),
        (lambda x: ms.waverecn([x, {"x": x}], "db2"), ValueError, "key 'x'"),
        (lambda x: ms.waverec([x, x], "db2", shape=(3,)), ValueError, "the result has shape"),
        (lambda x: ms.wavedec(x, "db2", level=-1), ValueError, "level"),
        (
            lambda x: ms.dwt(x / 0, "db2", check_finite=True),
            ValueError,
            r"data must be finite, but data\[0\]",
        ),
        (lambda x: ms.swt(x[:6], "db2", 2), ValueError, "multiple of 4"),
        (lambda x: ms.swt(x / 0, "db2", 1, check_finite=True), ValueError, "data must be finite"),
        (lambda x: ms.iswt([(x, x[:4])], "db2"), ValueError, "shape"),
        (lambda x: ms.iswt([], "db2"), ValueError, "at least one level"),
        (lambda x: ms.lwt(x, "no", reversible=False), ValueError, "scheme"),
        (lambda x: ms.lwt(x), TypeError, "must hold integers"),
        (lambda x: ms.ilwt([x, {"d": x[:3]}], "haar", reversible=False), ValueError, "is needed"),
        (lambda x: ms.ilwt([x, {"z": x}], "haar", reversible=False), ValueError, "key 'z'"),
        (lambda x: ms.pyr_down(x, 0.4, axes=(2,)), ValueError, "axis 2 is not there"),
        (lambda x: ms.pyr_up(x, (3,), axes=(0,)), ValueError, "shape must be"),
        (lambda x: ms.pyr_up(x, border="no", axes=(0,)), ValueError, "border"),
        (lambda x: ms.laplacian_pyramid(x, -1, axes=(0,)), ValueError, "levels"),
        (lambda x: ms.laplacian_reconstruct([x, x], axes=(0,)), ValueError, "does not go with"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call(torch.randn(8))
