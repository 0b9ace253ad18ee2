"""Padding, the fully separable transform, checks of numbers, sixteen bits, scratch memory."""

import numpy as np
import pytest

from lapwing import multiscale as ms

from .test_multiscale import sample


@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_pad_is_what_transforms_see(n, mode):
    x = np.random.default_rng(n).normal(size=n)
    if n == 1 and mode in ("reflect", "antireflect"):
        with pytest.raises(ValueError, match="at least two samples"):
            ms.pad(x, 3, mode)
        return
    seen, how = (np.append(x, x[-1]), "periodic") if mode == "periodization" and n % 2 else (x, mode)
    how = "periodic" if how == "periodization" else how
    wanted = [sample(seen, i, how) for i in range(-9, len(seen) + 11)]
    np.testing.assert_allclose(ms.pad(x, (9, 11), mode), wanted, rtol=0, atol=1e-12)


def test_pad_of_several_axes():
    x = np.arange(12).reshape(3, 4)
    for mode in ms.MODES:
        out = ms.pad(x, [(2, 1), (0, 3)], mode)
        assert out.dtype == x.dtype
        rows = np.apply_along_axis(ms.pad, 0, x, pad_widths=[(2, 1)], mode=mode)
        np.testing.assert_array_equal(
            out, np.apply_along_axis(ms.pad, 1, rows, pad_widths=[(0, 3)], mode=mode)
        )
    np.testing.assert_array_equal(ms.pad(x, 0, "zero"), x)
    np.testing.assert_array_equal(ms.pad(x, 1, "sym"), np.pad(x, 1, "symmetric"))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.pad([1, 2], -1, "zero"), ValueError, "must not be negative"),
        (lambda: ms.pad([1, 2], (1, 1, 1), "zero"), ValueError, "broadcast"),
        (lambda: ms.pad([1, 2], 1, "mirror"), ValueError, "unknown mode"),
        (lambda: ms.pad(["a"], 1, "zero"), TypeError, "must hold numbers"),
        (lambda: ms.pad([], 1, "zero"), ValueError, "empty along axis 0"),
        (
            lambda: ms.fswavedecn(np.ones((4, 4)), "haar", levels=(1, 1, 1)),
            ValueError,
            "levels must be one or 2",
        ),
        (lambda: ms.fswavedecn(np.ones((4, 4)), "haar", axes=(0, 3)), ValueError, "axis 3 is not there"),
        (lambda: ms.fswaverecn([1]), TypeError, "must come from fswavedecn"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("mode", ["symmetric", "periodization"])
def test_fully_separable(mode):
    x = np.random.default_rng(0).normal(size=(16, 5, 24))
    result = ms.fswavedecn(x, "db2", mode, levels=(2, 1), axes=(0, 2))
    assert result.levels == [2, 1]
    assert result.detail_keys() == [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    rows = ms.wavedec(x, "db2", mode, 2, axis=0)
    for i, row in enumerate(rows):
        for j, band in enumerate(ms.wavedec(row, "db2", mode, 1, axis=2)):
            np.testing.assert_array_equal(result[i, j], band)
    np.testing.assert_allclose(ms.fswaverecn(result), x, rtol=0, atol=1e-12)


def test_bands_of_the_fully_separable_transform():
    result = ms.fswavedecn(np.ones((8, 8)), ["haar", "db2"], ["zero", "periodization"])
    assert result.wavelet_names == ["haar", "db2"]
    assert result.modes == ["zero", "periodization"]
    assert (result.ndim, result.ndim_transform, result.axes) == (2, 2, (0, 1))
    result[1, 0] = np.full(result[1, 0].shape, 7.0)
    assert (result.coeffs[result.coeff_slices[0][1], result.coeff_slices[1][0]] == 7).all()
    result.approx = np.zeros(result.approx.shape)
    assert (result[0, 0] == 0).all()
    with pytest.warns(UserWarning, match="float32 is converted"):
        result[1, 0] = np.zeros(result[1, 0].shape, np.float32)
    with pytest.raises(ValueError, match="the band has shape"):
        result[1, 0] = np.zeros(3)
    with pytest.raises(ValueError, match="coeffs must have shape"):
        result.coeffs = np.zeros(3)
    for wrong in ((0,), (0, 9), (0, -1), (0, 0.5)):
        with pytest.raises(ValueError, match="level"):
            result[wrong]
    result.coeffs = np.zeros_like(result.coeffs)
    assert (ms.fswaverecn(result) == 0).all()


x1 = np.array([1.0, 2.0, np.nan, 4.0])
x2 = np.ones((4, 4))
x2[1, 2] = np.inf
FINITE = [
    lambda **o: ms.dwt(x1, "haar", **o),
    lambda **o: ms.idwt(x1, None, "haar", **o),
    lambda **o: ms.idwt(None, x1, "haar", **o),
    lambda **o: ms.dwt2(x2, "haar", **o),
    lambda **o: ms.idwt2((None, (x2, None, None)), "haar", **o),
    lambda **o: ms.dwtn(x2, "haar", **o),
    lambda **o: ms.idwtn({"ad": x2}, "haar", **o),
    lambda **o: ms.wavedec(x1, "haar", **o),
    lambda **o: ms.waverec([np.ones(4), x1], "haar", **o),
    lambda **o: ms.wavedec2(x2, "haar", **o),
    lambda **o: ms.waverec2([x2, (x2, x2, x2)], "haar", **o),
    lambda **o: ms.wavedecn(x2, "haar", **o),
    lambda **o: ms.waverecn([x2], "haar", **o),
    lambda **o: ms.fswavedecn(x2, "haar", **o),
    lambda **o: ms.swt(x1, "haar", 1, **o),
    lambda **o: ms.iswt([(x1, x1)], "haar", **o),
    lambda **o: ms.swt2(x2, "haar", 1, **o),
    lambda **o: ms.iswt2([(x2, (x2, x2, x2))], "haar", **o),
    lambda **o: ms.swtn(x2, "haar", 1, **o),
    lambda **o: ms.iswtn([{"aa": x2}], "haar", **o),
    lambda **o: ms.lwt(x2, "haar", 1, None, False, **o),
    lambda **o: ms.ilwt([x2], "haar", None, False, **o),
    lambda **o: ms.pyr_down(x2, **o),
    lambda **o: ms.pyr_up(x2, **o),
    lambda **o: ms.gaussian_pyramid(x2, 1, **o),
    lambda **o: ms.laplacian_pyramid(x2, 1, **o),
    lambda **o: ms.laplacian_reconstruct([x2, np.ones((2, 2))], **o),
    lambda **o: ms.laplacian_reconstruct([np.ones((8, 8)), x2], **o),
]


@pytest.mark.parametrize("call", FINITE)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_numbers_that_are_not_finite(call):
    call()
    with pytest.raises(ValueError, match=r"must be finite, but .*(\[2\] is nan|\[1, 2\] is inf)"):
        call(check_finite=True)


class OnDevice:
    """Stands for an array of a GPU."""

    __cuda_array_interface__ = {}  # noqa: RUF012 - as such arrays have it


@pytest.mark.parametrize(
    "call", [lambda x: ms.dwt(x, "haar"), lambda x: ms.swt(x, "haar"), lambda x: ms.pyr_down(x)]
)
def test_arrays_of_a_device(call):
    with pytest.raises(ImportError, match="lives on a GPU"):
        call(OnDevice())


def test_bfloat16():
    dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = np.random.default_rng(0).normal(size=(16, 24)).astype(dtype)
    wide = x.astype(np.float32)
    for name, mode in (("db2", "symmetric"), ("haar", "periodization")):
        low, details = ms.dwt2(x, name, mode)
        assert low.dtype == dtype
        right, others = ms.dwt2(wide, name, mode)
        np.testing.assert_array_equal(low, right.astype(dtype))  # one rounding
        np.testing.assert_array_equal(details[1], others[1].astype(dtype))
        coeffs = ms.wavedec2(x, name, mode, level=2)
        np.testing.assert_array_equal(coeffs[0], ms.dwt2(low, name, mode)[0])  # one a level
        back = ms.waverec2(coeffs, name, mode)
        assert back.dtype == dtype
        assert abs(back.astype(float) - x.astype(float)).max() < 0.1
        cA, cD = ms.dwt(x, name, mode, axis=0)
        assert ms.idwt(cA, cD, name, mode, axis=0).dtype == dtype
    assert ms.swt(x, "db2", 2)[0][0].dtype == dtype
    assert ms.laplacian_pyramid(x, 2)[0].dtype == dtype
    assert ms.lwt(x, "5/3", 1, None, False)[0].dtype == dtype
    plan = ms.WaveletPlan(x.shape, dtype, "db2", "periodization", 2)
    coeffs = plan.forward(x)
    assert coeffs.dtype == dtype
    assert abs(plan.inverse(coeffs).astype(float) - x.astype(float)).max() < 0.1


@pytest.mark.parametrize(
    ("shape", "mode", "axes", "dtype"),
    [
        ((1024, 1024), "periodization", None, np.float32), ((64, 3, 32, 32), "symmetric", (2, 3), np.float64),
        ((1000,), "zero", None, np.float64), ((8, 16, 32), "periodization", None, np.float32),
        ((64, 64), "periodization", None, np.float16),
    ],
)  # fmt: skip
def test_scratch_memory_of_a_plan(shape, mode, axes, dtype):
    plan = ms.WaveletPlan(shape, dtype, "db2", mode, 2, axes, n_jobs=1)
    taken = plan.workspace_bytes
    assert isinstance(taken, int)
    assert 0 < taken == plan.workspace_bytes
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    assert taken < 8 * size + 2**20
    if shape == (1024, 1024):  # some rows, and the approximation between the levels
        assert taken < size


def test_scratch_memory_is_counted_only_meanwhile():
    from lapwing import _core

    x = np.ones((64, 64))
    outer = _core.scratch_of(lambda: [ms.dwt2(x, "db2"), _core.scratch_of(lambda: ms.dwt2(x, "db2"))])
    inner = _core.scratch_of(lambda: ms.dwt2(x, "db2"))
    assert outer == inner > 0
    assert _core.scratch_of(lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        _core.scratch_of(lambda: 1 / 0)
    assert _core.scratch_of(lambda: None) == 0
