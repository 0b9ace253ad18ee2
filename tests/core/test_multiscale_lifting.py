"""Lifting against the formulas of its schemes, written out sample by sample."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import multiscale as ms

SCHEMES = ["s", "legall53", "cdf26", "97m"]


def lifted(x, scheme):
    """Low and high of one line of Python integers."""
    n = len(x)
    m, h = (n + 1) // 2, n // 2
    if n == 1:
        return list(x), []

    def X(i):  # whole-sample symmetric
        j = i % (2 * n - 2)
        return x[j] if j < n else x[2 * n - 2 - j]

    def D(k):  # the detail at an odd place, mirrored
        j = (2 * k + 1) % (2 * n - 2)
        return d[((j if j < n else 2 * n - 2 - j) - 1) // 2]

    if scheme in ("s", "cdf26"):
        d = [x[2 * k + 1] - x[2 * k] for k in range(h)]
        s = [x[2 * k] + d[k] // 2 for k in range(h)] + ([x[-1]] if n % 2 else [])
        if scheme == "cdf26":
            d = [d[k] + (s[max(k - 1, 0)] - s[min(k + 1, m - 1)] + 2) // 4 for k in range(h)]
        return s, d
    if scheme == "legall53":
        d = [x[2 * k + 1] - (X(2 * k) + X(2 * k + 2)) // 2 for k in range(h)]
    else:
        d = [
            x[2 * k + 1] - (9 * (X(2 * k) + X(2 * k + 2)) - (X(2 * k - 2) + X(2 * k + 4)) + 8) // 16
            for k in range(h)
        ]
    return [x[2 * k] + (D(k - 1) + D(k) + 2) // 4 for k in range(m)], d


def lifted_along(x, scheme, axis):
    moved = np.moveaxis(x, axis, -1)
    pairs = [lifted([int(v) for v in line], scheme) for line in moved.reshape(-1, moved.shape[-1])]
    out = []
    for which in (0, 1):
        n = (x.shape[axis] + 1 - which) // 2
        band = np.array([p[which] for p in pairs], dtype=object).reshape(*moved.shape[:-1], n)
        out.append(np.moveaxis(band, -1, axis))
    return out


def lifted_level(x, scheme, axes):
    bands = {"": x}
    for axis in reversed(axes):
        split = {}
        for key, band in bands.items():
            split["a" + key], split["d" + key] = lifted_along(band, scheme, axis)
        bands = split
    return bands


def check(coeffs, x, scheme, levels, axes):
    x = x.astype(object)
    for bands in reversed(coeffs[1:]):
        wanted = lifted_level(x, scheme, axes)
        x = wanted.pop("a" * len(axes))
        assert sorted(bands) == sorted(wanted)
        for key, band in bands.items():
            np.testing.assert_array_equal(band.astype(object), wanted[key])
    np.testing.assert_array_equal(coeffs[0].astype(object), x)
    assert len(coeffs) == levels + 1


def test_worked_example():
    for scheme, low, high in (
        ("s", [3, 5, 3], [4, 6]),
        ("cdf26", [3, 5, 3], [4, 6]),
        ("legall53", [3, 5, 6], [4, 6]),
        ("97m", [3, 4, 6], [4, 5]),
    ):
        coeffs = ms.lwt([1, 5, 2, 8, 3], scheme, 1)
        assert (coeffs[0].tolist(), coeffs[1]["d"].tolist()) == (low, high)
        assert coeffs[0].dtype == np.int64


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_of_every_length(scheme):
    rng = np.random.default_rng(0)
    for n in [*range(1, 40), 63, 64, 65, 127, 130, 200, 257]:
        x = rng.integers(-1000, 1000, n)
        coeffs = ms.lwt(x, scheme, 1)
        check(coeffs, x, scheme, 1, (0,))
        np.testing.assert_array_equal(ms.ilwt(coeffs, scheme), x)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bijection_of_short_tuples(scheme):
    x = np.array(list(product(range(-2, 3), repeat=5)))
    coeffs = ms.lwt(x, scheme, 2, axes=(1,))
    np.testing.assert_array_equal(ms.ilwt(coeffs, scheme, axes=(1,)), x)
    rows = np.concatenate([coeffs[0], coeffs[1]["d"], coeffs[2]["d"]], axis=1)
    assert len(np.unique(rows, axis=0)) == len(x)


@given(
    st.lists(st.integers(1, 21), min_size=1, max_size=4),
    st.sampled_from(SCHEMES),
    st.integers(0, 3),
    st.data(),
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64]),
)
def test_any_shape_and_axes(shape, scheme, levels, data, dtype):
    axes = tuple(
        data.draw(st.permutations(range(len(shape))))[: data.draw(st.integers(1, min(3, len(shape))))]
    )
    rng = np.random.default_rng(0)
    top = 2**40 if dtype is np.int64 else np.iinfo(dtype).max
    low = -top if np.iinfo(dtype).min else 0
    x = rng.integers(low, top, shape, dtype=dtype, endpoint=True)
    order = data.draw(st.permutations(range(len(shape))))
    x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))  # any memory order
    coeffs = ms.lwt(x, scheme, levels, axes)
    check(coeffs, x, scheme, levels, axes)
    back = ms.ilwt(coeffs, scheme, axes, dtype=dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, x)
    plain = [
        c.copy() if i == 0 else {k: np.asfortranarray(b) for k, b in c.items()} for i, c in enumerate(coeffs)
    ]
    np.testing.assert_array_equal(ms.ilwt(plain, scheme, axes), x)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_extremes_do_not_overflow(scheme, dtype):
    kind = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    for shape in ((64,), (33, 40)):
        for _ in range(4):
            x = np.where(rng.integers(0, 2, shape), kind.max, kind.min).astype(dtype)
            coeffs = ms.lwt(x, scheme, 3)
            check(coeffs, x, scheme, 3, tuple(range(x.ndim)))
            np.testing.assert_array_equal(ms.ilwt(coeffs, scheme), x)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_worst_case_is_that(scheme):
    """The largest coefficients that there can be are reached, but for rounding, and stay within the bound."""
    from lapwing.multiscale._lifting import _forward_bounds, _gains

    n, levels = 45, 3
    low, high = _gains(scheme, n, levels)
    bound, _ = _forward_bounds(scheme, (n,), levels, 1000)
    best = 0
    for level in range(1, levels + 1):
        # the rows of the linear transform, from large unit vectors
        big = np.eye(n, dtype=np.int64) << 40
        coeffs = ms.lwt(big, scheme, level, axes=(1,))
        for rows, gain in ((coeffs[0], low[level]), (coeffs[1]["d"], high[level])):
            weights = rows / 2.0**40
            assert abs(weights).sum(axis=0).max() == pytest.approx(gain, rel=1e-9)
            for row in weights.T:
                x = np.where(row > 0, 1000, -1000).astype(np.int64)
                out = ms.lwt(x, scheme, level)
                best = max(best, abs(out[0]).max(), abs(out[1]["d"]).max())
    assert 1000 * max(*low, *high) - 20 <= best <= bound


def test_long_lines_have_the_gains_of_shorter_ones():
    from lapwing.multiscale._lifting import _gains

    for scheme in SCHEMES:
        near = _gains(scheme, 300, 3)
        np.testing.assert_allclose(np.array(_gains(scheme, 4 * 2**9 + 300, 3)), np.array(near), rtol=1e-12)
        deep, shallow = _gains(scheme, 4096, 8), _gains(scheme, 4096, 6)
        assert deep[0][:7] == shallow[0]
        assert all(g > 0 for g in deep[0])


def test_words():
    image = np.zeros((64, 64), np.uint8)
    assert ms.lwt(image, "legall53", 5)[0].dtype == np.int16
    assert ms.lwt(image, "97m", 2)[0].dtype == np.int16
    assert ms.lwt(image.astype(np.int16), "legall53", 5)[0].dtype == np.int32
    assert ms.lwt(image.astype(np.int32), "legall53", 5)[0].dtype == np.int64
    twelve = np.random.default_rng(0).integers(0, 4096, (40, 40)).astype(np.int16)
    coeffs = ms.lwt(twelve, "legall53", 3, dtype=np.int16)
    assert coeffs[0].dtype == np.int16
    check(coeffs, twelve, "legall53", 3, (0, 1))
    np.testing.assert_array_equal(ms.ilwt(coeffs), twelve)
    with pytest.raises(ValueError, match=r"dtype int16 cannot hold the coefficients.*use int32"):
        ms.lwt(np.full((40, 40), 30000, np.int16), "legall53", 3, dtype=np.int16)
    with pytest.raises(ValueError, match="more than 64 bits"):
        ms.lwt(np.full(40, 2**62), "legall53", 3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shift_and_result_dtype(scheme):
    x = np.random.default_rng(0).integers(0, 256, (2, 37, 70)).astype(np.uint8)
    shifted = ms.lwt(x, scheme, 2, (1, 2), shift=128)
    wanted = ms.lwt(x.astype(np.int16) - 128, scheme, 2, (1, 2))
    np.testing.assert_array_equal(shifted[0], wanted[0])
    for a, b in zip(shifted[1:], wanted[1:], strict=True):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
    np.testing.assert_array_equal(ms.ilwt(shifted, scheme, (1, 2), shift=128, dtype=np.uint8), x)
    shifted[0][...] += 300
    with pytest.raises(ValueError, match="dtype uint8 cannot hold the samples"):
        ms.ilwt(shifted, scheme, (1, 2), shift=128, dtype=np.uint8)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_threads_and_strips(scheme):
    x = np.random.default_rng(0).integers(-500, 500, (3, 301, 77)).astype(np.int32)
    one = ms.lwt(x, scheme, 3, (1, 2), n_jobs=1)
    check(
        [c[:1] if i == 0 else {k: b[:1] for k, b in c.items()} for i, c in enumerate(one)],
        x[:1],
        scheme,
        3,
        (1, 2),
    )
    for threads in (2, 4, 7):
        other = ms.lwt(x, scheme, 3, (1, 2), n_jobs=threads)
        np.testing.assert_array_equal(one[0], other[0])
        for a, b in zip(one[1:], other[1:], strict=True):
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])
        np.testing.assert_array_equal(ms.ilwt(other, scheme, (1, 2), n_jobs=threads), x)
    columns = ms.lwt(x, scheme, 2, (1,))
    check(columns, x, scheme, 2, (1,))
    flipped = x[::-1, ::-1, ::-2]
    check(ms.lwt(flipped, scheme, 1, (2, 1)), flipped, scheme, 1, (2, 1))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_are_widened_for_what_is_met_on_the_way(scheme):
    """Numbers are seen while they are transformed: words that turn out too narrow are given up."""
    for top in (3000, 9000, 15000, 21000, 32000):
        x = np.random.default_rng(top).choice(np.array([-top, top], np.int16), (67, 70))
        wide = ms.lwt(x.astype(np.int64), scheme, 2)
        try:
            coeffs = ms.lwt(x, scheme, 2, dtype=np.int16)
        except ValueError as error:
            assert "cannot hold" in str(error)  # noqa: PT017
            continue
        for a, b in zip(every(coeffs), every(wide), strict=True):
            assert a.dtype == np.int16
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ms.ilwt(coeffs, scheme), x)
    # coefficients of 16 bits whose samples need more
    large = [
        np.full((5, 6), 30000, np.int16),
        {k: np.full((5, 6), 30000, np.int16) for k in ("ad", "da", "dd")},
    ]
    right = ms.ilwt([large[0].astype(np.int64), {k: b.astype(np.int64) for k, b in large[1].items()}], scheme)
    assert abs(right).max() > 32767
    np.testing.assert_array_equal(ms.ilwt(large, scheme, dtype=np.int64), right)


def every(coeffs):
    return [coeffs[0], *(band for bands in coeffs[1:] for _, band in sorted(bands.items()))]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_large_results_go_past_the_caches(scheme, dtype):
    """They come out as those of pieces that do not: columns of rows."""
    x = np.random.default_rng(0).integers(-50, 50, (2051, 2103)).astype(dtype)
    coeffs = ms.lwt(x, scheme, 1, dtype=dtype)
    rows = [ms.lwt(x[i : i + 100], scheme, 1, (1,), dtype=dtype) for i in range(0, len(x), 100)]
    bands = {"a": np.concatenate([r[0] for r in rows]), "d": np.concatenate([r[1]["d"] for r in rows])}
    for key, band in bands.items():
        for j in range(0, band.shape[1], 100):
            low, high = ms.lwt(band[:, j : j + 100], scheme, 1, (0,), dtype=dtype)
            whole = coeffs[0] if key == "a" else coeffs[1]["ad"]
            np.testing.assert_array_equal(whole[:, j : j + 100], low)
            np.testing.assert_array_equal(coeffs[1]["d" + key][:, j : j + 100], high["d"])
    np.testing.assert_array_equal(ms.ilwt(coeffs, scheme), x)
    for threads in (2, 7):
        for a, b in zip(every(coeffs), every(ms.lwt(x, scheme, 1, dtype=dtype, n_jobs=threads)), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ms.ilwt(coeffs, scheme, n_jobs=threads), x)
    one = ms.lwt(x, scheme, 1, (1,), dtype=dtype)
    for band, right in zip((one[0], one[1]["d"]), bands.values(), strict=True):
        np.testing.assert_array_equal(band, right)
    np.testing.assert_array_equal(ms.ilwt(one, scheme, (1,)), x)


def test_missing_bands_are_zeros():
    coeffs = ms.lwt(np.random.default_rng(0).integers(0, 99, (12, 14)), "legall53", 2)
    zero = [
        coeffs[0],
        {k: np.zeros_like(b) for k, b in coeffs[1].items()},
        {**coeffs[2], "dd": coeffs[2]["dd"] * 0},
    ]
    gone = [coeffs[0], None, {"da": coeffs[2]["da"], "ad": coeffs[2]["ad"], "dd": None}]
    np.testing.assert_array_equal(ms.ilwt(gone), ms.ilwt(zero))


# ---- floating point ----------------------------------------------------------------------------------------

SHEARS = {"haar": "haar", "5/3": "bior2.2", "9/7": "bior4.4", "db2": "db2", "bior1.3": "bior1.3"}


@pytest.mark.parametrize("scheme", SHEARS)
def test_shears_are_the_wavelet_but_for_a_factor(scheme):
    x = np.random.default_rng(0).normal(size=32)
    low, bands = ms.lwt(x, scheme, 1, reversible=False)
    factors = []
    for mine, right in zip((low, bands["d"]), ms.dwt(x, SHEARS[scheme], "periodization"), strict=True):
        factor = (mine @ right) / (mine @ mine)
        np.testing.assert_allclose(mine * factor, right, rtol=0, atol=1e-13)
        factors.append(factor)
    assert abs(factors[0] * factors[1]) == pytest.approx(1, rel=1e-13)  # the determinant


@pytest.mark.parametrize("scheme", SHEARS)
def test_volume_is_kept(scheme):
    x = np.eye(64).reshape(64, 8, 8)
    coeffs = ms.lwt(x, scheme, 2, (1, 2), reversible=False)
    bands = [coeffs[0], *(b for level in coeffs[1:] for b in level.values())]
    sign, logarithm = np.linalg.slogdet(np.concatenate([b.reshape(64, -1) for b in bands], axis=1))
    assert abs(sign) == 1
    assert abs(logarithm) < 1e-12


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(sorted(SHEARS)),
    st.sampled_from([np.float16, np.float32, np.float64, np.complex64, np.complex128]),
)
def test_shears_go_back(shape, levels, scheme, dtype):
    x = np.random.default_rng(0).normal(size=[n * 2**levels for n in shape]).astype(dtype)
    coeffs = ms.lwt(x, scheme, levels, reversible=False)
    back = ms.ilwt(coeffs, scheme, reversible=False)
    assert back.dtype == dtype
    tolerance = {np.float16: 0.1, np.float32: 1e-4, np.complex64: 1e-4}.get(dtype, 1e-12)
    assert abs(back - x).max() < tolerance


def test_shears_have_the_same_bits():
    x = np.random.default_rng(0).normal(size=(5, 48, 70)).astype(np.float32)
    one = ms.lwt(x, "9/7", 1, (1, 2), reversible=False, n_jobs=1)
    for threads in (2, 4):
        other = ms.lwt(x, "9/7", 1, (1, 2), reversible=False, n_jobs=threads)
        for key in one[1]:
            np.testing.assert_array_equal(one[1][key], other[1][key])
    turned = ms.lwt(np.asfortranarray(x), "9/7", 1, (1, 2), reversible=False)
    np.testing.assert_array_equal(one[0], turned[0])
    np.testing.assert_array_equal(one[0][3], ms.lwt(x[3], "9/7", 1, reversible=False)[0])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.lwt(np.ones(8), "legall53"), TypeError, "x must hold integers, got dtype float64"),
        (lambda: ms.lwt(np.ones(8, bool)), TypeError, "astype"),
        (lambda: ms.lwt([1, 2], "haar"), ValueError, "scheme must be one of 's', 'legall53'"),
        (
            lambda: ms.lwt([1.0, 2], "s", reversible=False),
            ValueError,
            "reversible=False must be one of 'haar'",
        ),
        (lambda: ms.lwt(3), ValueError, "at least one axis"),
        (lambda: ms.lwt(np.ones((2, 0), int)), ValueError, "empty along axis 1"),
        (lambda: ms.lwt([1, 2], level=-1), ValueError, "level"),
        (lambda: ms.lwt([1, 2], level=1.5), TypeError, "level"),
        (lambda: ms.lwt([1, 2], axes=(1,)), ValueError, "axis 1 is not there"),
        (lambda: ms.lwt([1, 2], dtype=np.uint8), ValueError, "dtype must be int16, int32 or int64"),
        (lambda: ms.lwt([1, 2], shift=0.5), TypeError, "shift"),
        (lambda: ms.lwt([1.0, 2], "haar", 1, reversible=False, shift=1), ValueError, "shift are for"),
        (
            lambda: ms.lwt(np.ones((4, 6)), "haar", 2, reversible=False),
            ValueError,
            "axis 1 must be a multiple of 4 for 2 levels, got 6; the next one is 8",
        ),
        (lambda: ms.ilwt([]), ValueError, "approximation"),
        (lambda: ms.ilwt([None]), ValueError, "approximation"),
        (lambda: ms.ilwt([np.ones(4, int), {"x": np.ones(4, int)}]), ValueError, "key 'x'"),
        (lambda: ms.ilwt([np.ones(4, int), {"d": np.ones(6, int)}]), ValueError, "does not go with"),
        (lambda: ms.ilwt([np.ones(4), {"d": np.ones(4)}]), TypeError, "integers"),
        (lambda: ms.ilwt([np.ones(4, int)], dtype=float), TypeError, "dtype must be an integer"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
