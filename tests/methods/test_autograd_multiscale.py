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


def test_functions_without_gradients():
    x = torch.rand(16, 16)
    low = ms.pyr_down(x)
    assert isinstance(low, torch.Tensor)
    np.testing.assert_array_equal(low.numpy(), ms.pyr_down(x.numpy()))
    coeffs = ms.swt2(x, "haar", 1)
    assert isinstance(coeffs[0][1][2], torch.Tensor)
    with pytest.raises(TypeError, match="pyr_down gives no gradients"):
        ms.pyr_down(x.requires_grad_())


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
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call(torch.randn(8))
