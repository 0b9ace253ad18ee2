"""The stationary transform against its definition, its decimated relative and PyWavelets' rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import multiscale as ms

WAVELETS = ["haar", "db2", "db7", "sym5", "coif1", "bior2.2", "bior4.4", "rbio3.1"]


def defined(x, f, step):
    """One band, index by index."""
    n, F = len(x), len(f)
    return np.array([sum(f[j] * x[(k + step * (F // 2 - j)) % n] for j in range(F)) for k in range(n)])


@pytest.mark.parametrize("name", WAVELETS)
def test_analysis_is_as_defined(name):
    wavelet = ms.Wavelet(name)
    for n, levels in ((2, 1), (4, 2), (24, 3), (64, 4)):
        x = np.random.default_rng(n).normal(size=n)
        coeffs = ms.swt(x, name, levels)
        low = x
        for level in range(levels):
            step = 2**level
            wanted = defined(low, wavelet.dec_lo, step), defined(low, wavelet.dec_hi, step)
            for band, right in zip(coeffs[levels - 1 - level], wanted, strict=True):
                np.testing.assert_allclose(band, right, rtol=0, atol=1e-12 * 4**levels)
            low = wanted[0]


@pytest.mark.parametrize("name", WAVELETS)
def test_synthesis_is_the_mean_of_both_phases(name):
    rng = np.random.default_rng(1)
    for n in (2, 8, 40):
        low, high = rng.normal(size=(2, n))
        even = ms.idwt(low[::2], high[::2], name, "periodization")
        odd = np.roll(ms.idwt(low[1::2], high[1::2], name, "periodization"), 1)
        np.testing.assert_allclose(ms.iswt([(low, high)], name), (even + odd) / 2, rtol=0, atol=1e-12)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(ms.wavelist()),
    st.booleans(),
    st.booleans(),
    st.sampled_from([np.float32, np.float64, np.complex128]),
)
@pytest.mark.filterwarnings("ignore:norm=True")
def test_round_trip(shape, levels, name, trim, norm, dtype):
    shape = [n * 2**levels for n in shape]
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    if dtype is np.complex128:
        x = x + 1j * rng.normal(size=shape)
    coeffs = ms.swtn(x, name, levels, trim_approx=trim, norm=norm)
    assert len(coeffs) == levels + trim
    if not coeffs:
        return
    back = ms.iswtn(coeffs, name, norm=norm)
    assert back.dtype == x.dtype
    assert abs(back - x).max() < (2e-4 if dtype is np.float32 else 1e-9)


def test_norm_keeps_energy_and_its_inverse_is_the_transpose():
    x = np.random.default_rng(0).normal(size=(16, 32))
    coeffs = ms.swt2(x, "db3", 3, trim_approx=True, norm=True)
    energy = sum((c**2).sum() for c in [coeffs[0], *(b for bands in coeffs[1:] for b in bands)])
    assert energy == pytest.approx((x**2).sum(), rel=1e-13)
    one = np.concatenate(ms.swt(np.eye(16), "db3", 1, axis=0, norm=True)[0])
    low, high = np.random.default_rng(1).normal(size=(2, 16))
    back = ms.iswt([(low, high)], "db3", norm=True)
    np.testing.assert_allclose(back, one.T @ np.concatenate([low, high]), atol=1e-13)


def test_one_two_and_n_axes_agree():
    x = np.random.default_rng(0).normal(size=(3, 16, 8))
    low, details = ms.swt2(x, "sym3", 2)[0]
    bands = ms.swtn(x, "sym3", 2, axes=(1, 2))[0]
    np.testing.assert_array_equal(low, bands["aa"])
    for band, key in zip(details, ("da", "ad", "dd"), strict=True):
        np.testing.assert_array_equal(band, bands[key])
    rows = ms.swt(x, "sym3", 1, axis=1)[0]
    np.testing.assert_array_equal(
        ms.swt(rows[1], "sym3", 1, axis=2)[0][0], ms.swtn(x, "sym3", 1, axes=(1, 2))[0]["da"]
    )
    mixed = ms.swtn(x, ["haar", "db2"], 1, axes=(2, 1))
    np.testing.assert_allclose(ms.iswtn(mixed, ["haar", "db2"], axes=(2, 1)), x, atol=1e-13)
    for trim in (False, True):
        coeffs = ms.swt2(x, "db2", 2, trim_approx=trim)
        np.testing.assert_allclose(ms.iswt2(coeffs, "db2"), x, atol=1e-12)
        line = ms.swt(x, "db2", 3, axis=1, trim_approx=trim)
        np.testing.assert_allclose(ms.iswt(line, "db2", axis=1), x, atol=1e-12)


def test_start_level_goes_on():
    x = np.random.default_rng(0).normal(size=32)
    whole = ms.swt(x, "db2", 3)
    first = ms.swt(x, "db2", 1)
    rest = ms.swt(first[0][0], "db2", 2, start_level=1)
    for a, b in zip(rest, whole[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(ms.swt(x, "db2")) == 5
    assert len(ms.swt(x, "db2", start_level=2)) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits(dtype):
    x = np.random.default_rng(0).normal(size=(5, 48, 67)).astype(dtype)
    one = ms.swt(x, "db5", 3, axis=1, n_jobs=1)
    line = ms.swt(np.ascontiguousarray(x.transpose(0, 2, 1)), "db5", 3, n_jobs=1)  # unit stride
    for a, b in zip(one, line, strict=True):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_array_equal(p, q.transpose(0, 2, 1))
    for threads in (2, 4, 7):
        for a, b in zip(one, ms.swt(x, "db5", 3, axis=1, n_jobs=threads), strict=True):
            np.testing.assert_array_equal(a, b)
    for i in (0, 4):
        for a, b in zip(one, ms.swt(x[i], "db5", 3, axis=0), strict=True):
            np.testing.assert_array_equal(np.asarray(a)[:, i], b)
    flipped = np.asfortranarray(x[::-1, ::-1, ::2])
    for a, b in zip(
        ms.swt(flipped, "db5", 2, axis=1), ms.swt(flipped.copy("C"), "db5", 2, axis=1), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    back = ms.iswt(one, "db5", axis=1, n_jobs=1)
    for threads in (2, 4):
        np.testing.assert_array_equal(back, ms.iswt(one, "db5", axis=1, n_jobs=threads))
    np.testing.assert_array_equal(back, ms.iswt(line, "db5").transpose(0, 2, 1))
    long = np.random.default_rng(1).normal(size=1 << 15).astype(dtype)  # in pieces
    folded = ms.swt(long.reshape(1, -1), "db2", 1, axis=1, n_jobs=1)[0]
    for a, b in zip(folded, ms.swt(np.stack([long, long], 1), "db2", 1, axis=0)[0], strict=True):
        np.testing.assert_array_equal(a[0], b[:, 0])


def test_dtypes_and_missing_bands():
    x = np.arange(16)
    assert ms.swt(x, "db2", 1)[0][0].dtype == np.float64
    for dtype in (np.float16, np.float32, np.complex64):
        coeffs = ms.swt(x.astype(dtype), "db2", 2)
        assert all(c.dtype == dtype for pair in coeffs for c in pair)
        assert ms.iswt(coeffs, "db2").dtype == dtype
    z = np.random.default_rng(0).normal(size=(2, 16))
    both = ms.swt(z[0] + 1j * z[1], "sym3", 1)[0][0]
    np.testing.assert_array_equal(both.real, ms.swt(z[0], "sym3", 1)[0][0])
    np.testing.assert_array_equal(both.imag, ms.swt(z[1], "sym3", 1)[0][0])
    (low, high), zero = ms.swt(z[0], "db2", 1)[0], np.zeros(16)
    np.testing.assert_array_equal(ms.iswt([(low, None)], "db2"), ms.iswt([(low, zero)], "db2"))
    np.testing.assert_array_equal(ms.iswt([None, high], "db2"), ms.iswt([(zero, high)], "db2"))


def test_filters_longer_than_the_signal_are_folded():
    x = np.random.default_rng(0).normal(size=8)
    for name in ("db38", "coif5"):
        wavelet = ms.Wavelet(name)
        low, high = ms.swt(x, name, 3)[0]
        approximation = x
        for step in (1, 2):
            approximation = defined(approximation, wavelet.dec_lo, step)
        np.testing.assert_allclose(low, defined(approximation, wavelet.dec_lo, 4), atol=1e-11)
        np.testing.assert_allclose(high, defined(approximation, wavelet.dec_hi, 4), atol=1e-11)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: ms.swt(np.ones((3, 20)), "db2", 3),
            ValueError,
            r"axis 1 must be a multiple of 8 for 3 levels, got 20; the next one is 24",
        ),
        (lambda: ms.swt(np.ones(20), "db2", 1, 2), ValueError, "multiple of 8 for 1 levels from level 2 on"),
        (lambda: ms.swt(np.ones(7), "db2"), ValueError, "axis 0 must be a multiple of 2 .*next one is 8"),
        (lambda: ms.swt(np.ones(8), "db2", -1), ValueError, "level"),
        (lambda: ms.swt(np.ones(8), "db2", 1.0), TypeError, "level"),
        (lambda: ms.swt(np.ones(8), "db2", 1, -1), ValueError, "start_level"),
        (lambda: ms.swt(np.ones(8), "no", 1), ValueError, "unknown wavelet"),
        (lambda: ms.swt(np.ones(8), "db2", 1, axis=1), ValueError, "axis 1 is not there"),
        (lambda: ms.swt(np.ones(8, bool), "db2", 1), TypeError, "astype"),
        (lambda: ms.swt2(np.ones(8), "db2", 1), ValueError, "axis -2 is not there"),
        (lambda: ms.swt2(np.ones((8, 8)), "db2", 1, axes=(0,)), ValueError, "axes must be two"),
        (lambda: ms.swtn(np.ones((8, 0)), "db2", 1), ValueError, "empty along axis 1"),
        (lambda: ms.iswt([], "db2"), ValueError, "at least one level"),
        (lambda: ms.iswt([(np.ones(8),)], "db2"), ValueError, r"coeffs\[0\] must be \(cA, cD\)"),
        (lambda: ms.iswt([(np.ones(8), np.ones(6))], "db2"), ValueError, r"coeffs\[0\]\['d'\] has shape"),
        (lambda: ms.iswt([np.ones(8), np.ones(6)], "db2"), ValueError, r"coeffs\[1\] has bands of shape"),
        (lambda: ms.iswt([(np.ones(6), np.ones(6))] * 2, "db2"), ValueError, "multiple of 4"),
        (lambda: ms.iswtn([None, None], "db2"), ValueError, "all of coeffs is None"),
        (lambda: ms.iswtn([{"x": np.ones(8)}], "db2"), ValueError, "key 'x'"),
        (lambda: ms.swt_max_level(0), ValueError, "input_len"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_warnings():
    with pytest.warns(UserWarning, match="odd"):
        assert ms.swt_max_level(11) == 0
    assert [ms.swt_max_level(n) for n in (2, 12, 16, 48)] == [1, 2, 4, 4]
    with pytest.warns(UserWarning, match="orthogonal"):
        ms.swt(np.ones(8), "bior2.2", 1, norm=True)


@pytest.mark.parametrize("name", ["haar", "db4", "bior2.2", "db20"])
@pytest.mark.parametrize("shape", [(64, 100), (32, 700), (3, 48, 256), (256, 64, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lines_side_by_side_have_the_same_bits(name, shape, dtype):
    """As they lie, and one after the other."""
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    axis = len(shape) - 2
    levels = ms.swt_max_level(shape[axis])
    turned = np.ascontiguousarray(np.swapaxes(x, axis, -1))
    lying = ms.swt(x, name, levels, axis=axis, n_jobs=1)
    for pair, other in zip(lying, ms.swt(turned, name, levels), strict=True):
        for a, b in zip(pair, other, strict=True):
            np.testing.assert_array_equal(a, np.swapaxes(b, axis, -1))
    back = ms.iswt(lying, name, axis=axis, n_jobs=1)
    np.testing.assert_array_equal(back, np.swapaxes(ms.iswt(ms.swt(turned, name, levels), name), axis, -1))
    for jobs in (2, 4):
        np.testing.assert_array_equal(ms.swt(x, name, levels, axis=axis, n_jobs=jobs)[0][1], lying[0][1])
        np.testing.assert_array_equal(ms.iswt(lying, name, axis=axis, n_jobs=jobs), back)
    # strides that are not those of the results
    for view in (x[::-1], np.repeat(x, 2, axis=axis)[(*[slice(None)] * axis, slice(None, None, 2))]):
        same = ms.swt(view.copy(), name, 1, axis=axis)
        np.testing.assert_array_equal(ms.swt(view, name, 1, axis=axis)[0][1], same[0][1])
