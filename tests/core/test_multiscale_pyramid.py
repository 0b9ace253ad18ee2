"""Pyramids against their definition, and against OpenCV where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import multiscale as ms

INTEGERS = [np.uint8, np.uint16, np.int16]


def narrowed(x, axis, weights):
    """16 times the smoothed and halved array, mirrored about its end samples."""
    x = np.moveaxis(x, axis, 0)
    n = len(x)
    out = []
    for i in range((n + 1) // 2):
        total = 0
        for w, t in zip(weights, range(-2, 3), strict=True):
            j = (2 * i + t) % (2 * n - 2) if n > 1 else 0
            total = total + w * x[j if j < n else 2 * n - 2 - j]
        out.append(total)
    return np.moveaxis(np.array(out), 0, axis)


def widened(x, axis, m, border):
    """8 times the array enlarged to m entries."""
    x = np.moveaxis(x, axis, 0)
    n = len(x)

    def v(i):
        if i < 0:
            return x[min(1, n - 1)] if border == "opencv" else x[0]
        return x[min(i, n - 1)]

    out = [
        v(q // 2 - 1) + 6 * v(q // 2) + v(q // 2 + 1) if q % 2 == 0 else 4 * (v(q // 2) + v(q // 2 + 1))
        for q in range(m)
    ]
    return np.moveaxis(np.array(out), 0, axis)


def down(x, axes=(-2, -1), a=0.375):
    whole = x.dtype.kind in "iu"
    weights = [1, 4, 6, 4, 1] if whole else [4 - 8 * a, 4, 16 * a, 4, 4 - 8 * a]
    wide = x.astype(np.int64 if whole else np.float64)
    for axis in axes:
        wide = narrowed(wide, axis, weights)
    bits = 4 * len(axes)
    return (wide + (1 << (bits - 1))) >> bits if whole else wide / 2**bits


def up(x, sizes, axes=(-2, -1), border="opencv"):
    whole = x.dtype.kind in "iu"
    wide = x.astype(np.int64 if whole else np.float64)
    for axis, m in zip(axes, sizes, strict=True):
        wide = widened(wide, axis, m, border)
    bits = 3 * len(axes)
    return (wide + (1 << (bits - 1))) >> bits if whole else wide / 2**bits


def random(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        kind = np.iinfo(dtype)
        return rng.integers(kind.min, kind.max, shape, dtype=dtype, endpoint=True)
    return rng.normal(size=shape).astype(dtype)


SHAPES = [(1, 1), (1, 7), (2, 2), (3, 5), (8, 1), (17, 33), (40, 70), (65, 131)]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_are_exact(shape, dtype):
    x = random(shape, dtype)
    low = ms.pyr_down(x)
    assert low.dtype == dtype
    np.testing.assert_array_equal(low, down(x))
    for border in ("opencv", "symmetric"):
        for sizes in {
            tuple(2 * n for n in shape),
            tuple(2 * n - 1 for n in shape),
            (2 * shape[0], 2 * shape[1] - 1),
        }:
            np.testing.assert_array_equal(ms.pyr_up(x, sizes, border), up(x, sizes, border=border))
    extreme = np.where(
        np.random.default_rng(1).integers(0, 2, shape), np.iinfo(dtype).max, np.iinfo(dtype).min
    )
    np.testing.assert_array_equal(ms.pyr_down(extreme.astype(dtype)), down(extreme.astype(dtype)))
    np.testing.assert_array_equal(
        ms.pyr_up(extreme.astype(dtype)), up(extreme.astype(dtype), [2 * n for n in shape])
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", SHAPES)
def test_floating_point(shape, dtype):
    # every weight is exact, so that an entry is off by the roundings of ten sums, and of float16 by one more
    x = random(shape, np.float64).astype(dtype)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * random(shape, np.float64, 1).astype(dtype)
    real = np.dtype(dtype).type(0).real.dtype
    tolerance = (0.6 if dtype is np.float16 else 6) * np.finfo(real).eps * max(1, abs(x).max())
    for part in (np.real, np.imag) if np.dtype(dtype).kind == "c" else (np.real,):
        for a in (0.375, 0.4):
            np.testing.assert_allclose(part(ms.pyr_down(x, a)), down(part(x), a=a), rtol=0, atol=tolerance)
        sizes = (2 * shape[0] - 1, 2 * shape[1])
        for border in ("opencv", "symmetric"):
            np.testing.assert_allclose(
                part(ms.pyr_up(x, sizes, border)), up(part(x), sizes, border=border), rtol=0, atol=tolerance
            )
    assert ms.pyr_down(x).dtype == dtype


@given(
    st.lists(st.integers(1, 19), min_size=1, max_size=4),
    st.integers(0, 4),
    st.sampled_from([*INTEGERS, np.float32, np.float64, np.complex64, np.float16]),
    st.sampled_from(["opencv", "symmetric"]),
    st.data(),
)
def test_laplacian_goes_back(shape, levels, dtype, border, data):
    axes = tuple(
        data.draw(st.permutations(range(len(shape))))[: data.draw(st.integers(1, min(2, len(shape))))]
    )
    x = random(shape, dtype) if dtype is not np.complex64 else random(shape, np.float32).astype(np.complex64)
    order = data.draw(st.permutations(range(len(shape))))
    x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    pyramid = ms.laplacian_pyramid(x, levels, border=border, axes=axes)
    assert len(pyramid) == levels + 1
    gaussian = ms.gaussian_pyramid(x, levels, axes=axes)
    np.testing.assert_array_equal(pyramid[-1], gaussian[-1])
    for level in range(levels):  # to the last bit what the two steps give
        fine, coarse = gaussian[level], gaussian[level + 1]
        large = ms.pyr_up(coarse, [fine.shape[a] for a in axes], border, axes=axes)
        wide = pyramid[level].dtype
        if np.dtype(dtype).kind in "iu":
            np.testing.assert_array_equal(pyramid[level], fine.astype(wide) - large.astype(wide))
    back = ms.laplacian_reconstruct(pyramid, border, axes=axes)
    assert back.dtype == x.dtype
    if np.dtype(dtype).kind in "iu":
        np.testing.assert_array_equal(back, x)
    else:
        # a difference and a sum a level, each of half an ulp of at most twice the largest entry
        unit = np.finfo(np.dtype(dtype).type(0).real.dtype).eps
        assert abs(back - x).max() <= 2 * max(levels, 1) * unit * max(1, abs(x).max())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_bits_do_not_depend_on_threads_strides_or_batch(dtype):
    x = random((3, 301, 267), dtype)
    low = ms.pyr_down(x, n_jobs=1)
    details = ms.laplacian_pyramid(x, 3, n_jobs=1)
    back = ms.laplacian_reconstruct(details, n_jobs=1)
    for threads in (2, 4, 7):
        np.testing.assert_array_equal(low, ms.pyr_down(x, n_jobs=threads))
        for a, b in zip(details, ms.laplacian_pyramid(x, 3, n_jobs=threads), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(back, ms.laplacian_reconstruct(details, n_jobs=threads))
    for i in range(3):
        np.testing.assert_array_equal(low[i], ms.pyr_down(x[i]))
        np.testing.assert_array_equal(details[0][i], ms.laplacian_pyramid(x[i], 1)[0])
    last = np.ascontiguousarray(x.transpose(1, 2, 0))  # channels last
    np.testing.assert_array_equal(low, ms.pyr_down(last, axes=(0, 1)).transpose(2, 0, 1))
    for a, b in zip(details, ms.laplacian_pyramid(last, 3, axes=(0, 1)), strict=True):
        np.testing.assert_array_equal(a, b.transpose(2, 0, 1))
    rebuilt = ms.laplacian_reconstruct([d.transpose(1, 2, 0) for d in details], axes=(0, 1))
    np.testing.assert_array_equal(back, rebuilt.transpose(2, 0, 1))
    for view in (x[:, ::-1, ::-1], x[::-1, ::2, ::3], np.asfortranarray(x)):
        np.testing.assert_array_equal(ms.pyr_down(view), ms.pyr_down(view.copy("C")))
        np.testing.assert_array_equal(ms.pyr_up(view), ms.pyr_up(view.copy("C")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_large_details_go_past_the_caches(dtype):
    x = random((2111, 4001), dtype)
    for threads in (1, 2):
        detail, low = ms.laplacian_pyramid(x, 1, n_jobs=threads)
        np.testing.assert_array_equal(low, ms.pyr_down(x))
        large = ms.pyr_up(low, x.shape)
        np.testing.assert_array_equal(detail, x.astype(detail.dtype) - large.astype(detail.dtype))
        right = up(low, x.shape)
        np.testing.assert_allclose(large, right, rtol=0, atol=0 if low.dtype.kind == "u" else 1e-6)
        back = ms.laplacian_reconstruct([detail, low], n_jobs=threads)
        np.testing.assert_array_equal(back, (large.astype(detail.dtype) + detail).astype(dtype))


def test_one_axis_and_promotion():
    x = random((5, 30), np.uint8)
    np.testing.assert_array_equal(ms.pyr_down(x, axes=(1,)), down(x, (1,)))
    np.testing.assert_array_equal(ms.pyr_down(x, axes=(0,)), down(x, (0,)))
    np.testing.assert_array_equal(ms.pyr_up(x, axes=(0,)), up(x, (10,), (0,)))
    assert ms.pyr_down(x.astype(np.int32)).dtype == np.float64
    pyramid = ms.gaussian_pyramid(x, 0)
    assert pyramid[0] is x
    (only,) = ms.laplacian_pyramid(x, 0)
    assert only is not x
    np.testing.assert_array_equal(only, x)


def test_changed_details_are_cut_to_the_range():
    pyramid = ms.laplacian_pyramid(random((20, 20), np.uint8), 1)
    pyramid[0][...] = 400
    np.testing.assert_array_equal(ms.laplacian_reconstruct(pyramid), 255)
    pyramid[0][...] = -400
    np.testing.assert_array_equal(ms.laplacian_reconstruct(pyramid), 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_opencv(dtype):
    cv2 = pytest.importorskip("cv2")
    for shape in ((2, 3), (9, 8), (64, 65), (101, 200)):
        x = random(shape, dtype)
        low, large = cv2.pyrDown(x), cv2.pyrUp(x)
        odd = cv2.pyrUp(x, dstsize=(2 * shape[1] - 1, 2 * shape[0] - 1))
        tolerance = 0 if np.dtype(dtype).kind in "iu" else 4 * np.finfo(dtype).eps * abs(x).max()
        np.testing.assert_allclose(ms.pyr_down(x), low, rtol=0, atol=tolerance)
        np.testing.assert_allclose(ms.pyr_up(x), large, rtol=0, atol=tolerance)
        np.testing.assert_allclose(ms.pyr_up(x, [2 * n - 1 for n in shape]), odd, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.pyr_down(np.ones((4, 4)), axes=(0, 1, 0)), ValueError, "differ"),
        (lambda: ms.pyr_down(np.ones((4, 4, 4)), axes=(0, 1, 2)), ValueError, "axes must be one or two"),
        (lambda: ms.pyr_down(np.ones(4)), ValueError, "axis -2 is not there"),
        (lambda: ms.pyr_down(np.ones((4, 0), np.uint8)), ValueError, "empty along axis 1"),
        (lambda: ms.pyr_down(np.ones((4, 4), bool)), TypeError, "astype"),
        (
            lambda: ms.pyr_down(np.ones((4, 4), np.uint8), 0.4),
            ValueError,
            "a must be 0.375 for images of uint8",
        ),
        (lambda: ms.pyr_down(np.ones((4, 4)), np.nan), ValueError, "a must be a number"),
        (lambda: ms.pyr_up(np.ones((4, 4)), (8, 9)), ValueError, "shape must be 2 n - 1 or 2 n"),
        (lambda: ms.pyr_up(np.ones((4, 4)), border="zero"), ValueError, "border must be one of"),
        (lambda: ms.gaussian_pyramid(np.ones((4, 4)), -1), ValueError, "levels"),
        (lambda: ms.laplacian_pyramid(np.ones((4, 4)), 1.0), TypeError, "levels"),
        (lambda: ms.laplacian_reconstruct([]), ValueError, "coarsest image"),
        (
            lambda: ms.laplacian_reconstruct([np.ones((4, 4)), np.ones((3, 2))]),
            ValueError,
            r"pyramid\[0\] has shape",
        ),
        (
            lambda: ms.laplacian_reconstruct([np.ones((4, 4), np.int32), np.ones((2, 2), np.uint8)]),
            TypeError,
            r"pyramid\[0\] must hold int16, got int32",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, np.float16, np.complex64])
@pytest.mark.parametrize(("shape", "axes"), [((33, 40), (-2, -1)), ((2, 16, 9, 3), (1, 2)), ((7, 5), (0,))])
def test_out(shape, axes, dtype):
    rng = np.random.default_rng(0)
    x = (rng.random(shape) * 255).astype(dtype)
    right = ms.laplacian_pyramid(x, 2, axes=axes)
    for order in "CF":
        out = [np.zeros(r.shape, r.dtype, order=order) for r in right]
        made = ms.laplacian_pyramid(x, 2, axes=axes, out=out)
        for m, o, r in zip(made, out, right, strict=True):
            assert m is o
            np.testing.assert_array_equal(m, r)
        whole = np.zeros(shape, dtype, order=order)
        back = ms.laplacian_reconstruct(out, axes=axes, out=whole)
        assert back is whole
        np.testing.assert_array_equal(back, ms.laplacian_reconstruct(right, axes=axes))
    assert ms.laplacian_pyramid(x, 0, axes=axes, out=[whole])[0] is whole
    np.testing.assert_array_equal(whole, x)
    other = np.zeros(shape, dtype)
    assert ms.laplacian_reconstruct([x], axes=axes, out=other) is other


def test_out_that_will_not_do():
    x = np.ones((8, 8), np.float32)
    good = ms.laplacian_pyramid(x, 1)
    for out, error, text in (
        ([good[0]], ValueError, "list of 2 arrays"),
        (good[0], ValueError, "list of 2 arrays"),
        ([good[0], np.ones((4, 5), np.float32)], ValueError, r"out\[1\] has shape"),
        ([good[0].astype(float), good[1]], TypeError, r"out\[0\] has dtype float64"),
        ([[1], good[1]], TypeError, r"out\[0\] must be an array"),
        ([x, good[1]], ValueError, "overlaps"),
    ):
        with pytest.raises(error, match=text):
            ms.laplacian_pyramid(x, 1, out=out)
    good[0].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ms.laplacian_pyramid(x, 1, out=good)
    with pytest.raises(ValueError, match="overlaps"):
        ms.laplacian_reconstruct([x, good[1]], out=x)
    with pytest.raises(ValueError, match="out has shape"):
        ms.laplacian_reconstruct([x, good[1]], out=np.ones((4, 4), np.float32))
