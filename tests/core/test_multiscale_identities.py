"""All wavelets, modes and lengths against their definition, and what transforms of numbers must keep."""

import inspect
import zlib

import numpy as np
import pytest

from lapwing import multiscale as ms

from .test_multiscale import sample
from .test_multiscale_lifting import SCHEMES, lifted_level

MARGIN = 160  # of the extended signal, more than the 76 taps of db38 reach at any length here
# PyWavelets' own tables of these are off by up to 1.5e-11
ROUNDED = ("sym", "bior4.4", "bior5.5", "bior6.8", "rbio4.4", "rbio5.5", "rbio6.8")


def extended(x, mode):
    """The signal from -MARGIN on, in float64."""
    if mode == "periodization":
        x, mode = (np.append(x, x[-1]) if len(x) % 2 else x), "periodic"
    return np.array([sample(x, i, mode) for i in range(-MARGIN, len(x) + MARGIN)], np.float64)


def scale_of(whole, taps):
    """The largest sample that filters reach."""
    return abs(whole[MARGIN - taps : len(whole) - MARGIN + taps]).max()


def defined(whole, f, mode, count):
    first = len(f) // 2 if mode == "periodization" else 1
    return np.convolve(whole, f)[MARGIN + first :: 2][:count]


@pytest.mark.parametrize("mode", ms.MODES)
def test_every_wavelet_and_length(mode):
    """Bounds of 1e-12 and, in float32, 1e-6 of the largest sample, of those beyond the ends too."""
    wavelets = [ms.Wavelet(name) for name in ms.wavelist()]
    rng = np.random.default_rng(0)
    for n in range(2 if "reflect" in mode else 1, 71):
        x = rng.normal(size=n).astype(np.float32)
        whole = extended(x.astype(np.float64), mode)
        wide = x.astype(np.float64)
        for w in wavelets:
            scale = scale_of(whole, w.dec_len)
            bands = ms.dwt(wide, w, mode, n_jobs=1)
            single = ms.dwt(x, w, mode, n_jobs=1)
            for band, other, f in zip(bands, single, (w.dec_lo, w.dec_hi), strict=True):
                right = defined(whole, f, mode, len(band))
                assert abs(band - right).max() <= 1e-12 * scale, (w.name, n)
                assert abs(other - right).max() <= 1e-6 * scale, (w.name, n)


@pytest.mark.parametrize("mode", ms.MODES)
def test_pywavelets(mode):
    """The same but for 1e-12, and for what the taps of symlets and factored banks differ from its tables."""
    pywt = pytest.importorskip("pywt")
    rng = np.random.default_rng(0)
    for name in ms.wavelist():
        w, other = ms.Wavelet(name), pywt.Wavelet(name)
        apart = [abs(np.subtract(f, g)) for f, g in zip(w.filter_bank, other.filter_bank, strict=True)]
        assert max(a.max() for a in apart) <= (2e-11 if name.startswith(ROUNDED) else 1e-14), name
        for n in (*range(2, 12), 25, 70):
            x = rng.normal(size=(3, n, 2))[::-1, :, 1]
            for axis in (0, 1):
                largest = max(scale_of(extended(line, mode), w.dec_len) for line in np.moveaxis(x, axis, 1))
                theirs = pywt.dwt(x, name, mode, axis)
                for a, b, d in zip(ms.dwt(x, name, mode, axis), theirs, apart, strict=False):
                    assert abs(a - b).max() <= (1e-12 + 1.01 * d.sum()) * largest, (name, n, axis)
                back = ms.idwt(*theirs, name, mode, axis) - pywt.idwt(*theirs, name, mode, axis)
                largest = max(abs(b).max() for b in theirs)
                assert abs(back).max() <= (1e-12 + 1.01 * sum(d.sum() for d in apart[2:])) * largest, name


@pytest.mark.parametrize("mode", ms.MODES)
def test_reconstruction_of_every_wavelet(mode):
    """To 1e-12 and, in float32, 5e-7 (filters of more than 40 taps: 1e-6) of the largest sample seen."""
    rng = np.random.default_rng(0)
    for n in (2, 7, 16, 33, 70):
        x = rng.normal(size=n)
        whole = extended(x, mode)
        for name in ms.wavelist():
            taps = ms.Wavelet(name).dec_len
            scale = scale_of(whole, taps)
            for dtype, bound in ((np.float64, 1e-12), (np.float32, 5e-7 if taps <= 40 else 1e-6)):
                y = x.astype(dtype)
                back = ms.idwt(*ms.dwt(y, name, mode), name, mode)[:n]
                assert abs(back - y).max() <= bound * scale, (name, n, dtype)


@pytest.mark.parametrize("name", [n for n in ms.wavelist() if ms.Wavelet(n).orthogonal])
def test_energy_is_kept(name):
    x = np.random.default_rng(0).normal(size=(24, 40))
    coeffs = ms.wavedec2(x, name, "periodization", 3)
    energy = (coeffs[0] ** 2).sum() + sum((b**2).sum() for bands in coeffs[1:] for b in bands)
    assert energy == pytest.approx((x**2).sum(), rel=1e-13)


@pytest.mark.parametrize("n", range(1, 39))
def test_details_of_polynomials_vanish(n):
    """Of degrees below N, but for the ends."""
    t = np.linspace(-1, 1, 400)
    for degree in {0, n // 2, n - 1}:
        x = t**degree
        high = ms.dwt(x, f"db{n}", "zero")[1][n : -n or None]
        assert len(high) >= 100
        assert abs(high).max() <= 1e-9 * abs(x).max()
    assert abs(ms.dwt(t**n, f"db{n}", "zero")[1][n : -n or None]).max() > 0


@pytest.mark.parametrize("name", ["haar", "db4", "sym9", "coif5", "bior4.4", "bior2.6", "rbio3.1"])
@pytest.mark.parametrize("mode", ["periodization", "symmetric", "constant", "reflect"])
@pytest.mark.filterwarnings("ignore:level")
def test_constants_double_with_each_level(name, mode):
    for level in (1, 2, 3):
        low, *details = ms.wavedec2(np.full((64, 128), 0.75), name, mode, level)
        np.testing.assert_allclose(low, 0.75 * 2**level, rtol=1e-12)
        assert max(abs(b).max() for bands in details for b in bands) < 1e-12


def seen(n, w, mode):
    """Which coefficients see which samples, directly or beyond the ends."""
    used = np.stack([abs(extended(unit, mode)) for unit in np.eye(n)], 1)
    count = len(ms.dwt(np.ones(n), w, mode)[0])
    return np.concatenate(
        [
            np.stack([defined(column, abs(np.array(f)), mode, count) > 0 for column in used.T], 1)
            for f in (w.dec_lo, w.dec_hi)
        ]
    )


@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("name", ["haar", "db3", "sym5", "coif1", "rbio3.1"])
def test_nan_reaches_what_sees_it_and_nothing_else(name, mode):
    for n in (6, 15):
        reached = seen(n, ms.Wavelet(name), mode)
        assert n == 6 or not reached.all()
        for i in range(n):
            x = np.ones(n)
            x[i] = np.nan
            got = np.concatenate(ms.dwt(x, name, mode))
            np.testing.assert_array_equal(np.isnan(got), reached[:, i])
            for j in (0, n // 2, n - 1):
                image = np.ones((n, n), np.float32)
                image[i, j] = np.inf
                with np.errstate(invalid="ignore"):
                    bands = ms.dwtn(image, name, mode)
                whole = np.block([[bands["aa"], bands["ad"]], [bands["da"], bands["dd"]]])
                np.testing.assert_array_equal(~np.isfinite(whole), np.outer(reached[:, i], reached[:, j]))


# ---- names ---------------------------------------------------------------------------------------------

PYWAVELETS = {
    "dwt": "data, wavelet, mode='symmetric', axis=-1",
    "idwt": "cA, cD, wavelet, mode='symmetric', axis=-1",
    "dwt2": "data, wavelet, mode='symmetric', axes=(-2, -1)",
    "idwt2": "coeffs, wavelet, mode='symmetric', axes=(-2, -1)",
    "dwtn": "data, wavelet, mode='symmetric', axes=None",
    "idwtn": "coeffs, wavelet, mode='symmetric', axes=None",
    "wavedec": "data, wavelet, mode='symmetric', level=None, axis=-1",
    "waverec": "coeffs, wavelet, mode='symmetric', axis=-1",
    "wavedec2": "data, wavelet, mode='symmetric', level=None, axes=(-2, -1)",
    "waverec2": "coeffs, wavelet, mode='symmetric', axes=(-2, -1)",
    "wavedecn": "data, wavelet, mode='symmetric', level=None, axes=None",
    "waverecn": "coeffs, wavelet, mode='symmetric', axes=None",
    "swt": "data, wavelet, level=None, start_level=0, axis=-1, trim_approx=False, norm=False",
    "iswt": "coeffs, wavelet, norm=False, axis=-1",
    "swt2": "data, wavelet, level, start_level=0, axes=(-2, -1), trim_approx=False, norm=False",
    "iswt2": "coeffs, wavelet, norm=False, axes=(-2, -1)",
    "swtn": "data, wavelet, level, start_level=0, axes=None, trim_approx=False, norm=False",
    "iswtn": "coeffs, wavelet, axes=None, norm=False",
    "fswavedecn": "data, wavelet, mode='symmetric', levels=None, axes=None",
    "fswaverecn": "fswavedecn_result",
    "wavelist": "family=None, kind='all'",
    "dwt_max_level": "data_len, filter_len",
    "swt_max_level": "input_len",
    "Wavelet": "name, filter_bank=None",
    "pad": "x, pad_widths, mode",
    "ravel_coeffs": "coeffs, axes=None",
    "unravel_coeffs": "arr, coeff_slices, coeff_shapes, output_format='wavedecn'",
    "pack": "coeffs, padding=0, axes=None",
    "unpack": "arr, coeff_slices, output_format='wavedecn'",
    "wavedecn_size": "shapes",
    "wavedecn_shapes": "shape, wavelet, mode='symmetric', level=None, axes=None",
}


@pytest.mark.parametrize("name", PYWAVELETS)
def test_parameters_are_those_of_pywavelets(name):
    """Names, order and defaults; what lapwing adds is given by keyword, and a default may stand for none."""
    parameters = inspect.signature(getattr(ms, name)).parameters.values()
    mine = [p.replace(annotation=p.empty) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    theirs = list(inspect.signature(eval(f"lambda {PYWAVELETS[name]}: None")).parameters.values())
    for a, b in zip(mine, theirs, strict=True):
        assert a.name == b.name
        assert a.default == b.default or (b.default is b.empty and a.default is None)


def test_the_reversed_bank():
    w = ms.Wavelet("bior2.4")
    bank = ([1.0, 2], [3.0, 4], [5.0, 6], [7.0, 8])
    assert ms.Wavelet("mine", bank).inverse_filter_bank == ([6, 5], [8, 7], [2, 1], [4, 3])
    low, high = np.random.default_rng(0).normal(size=(2, 9))
    transposed = ms.Wavelet("transposed", w.inverse_filter_bank)
    np.testing.assert_allclose(
        ms.idwt(low, high, transposed, "periodization"),
        ms.dwt_adjoint(low, high, w, "periodization", n=18), atol=1e-12,
    )  # fmt: skip


# ---- integers ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photographs():
    from sklearn.datasets import load_sample_images

    return [np.ascontiguousarray(image) for image in load_sample_images().images]


#: CRC-32 of all coefficients of the two photographs, three levels
SUMS = {"s": 2320094510, "legall53": 666112848, "cdf26": 2439229104, "97m": 1005458678}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_photographs_are_lifted_and_come_back(scheme, photographs):
    total = 0
    for image in photographs:
        coeffs = ms.lwt(image, scheme, 3, axes=(0, 1))
        back = ms.ilwt(coeffs, scheme, axes=(0, 1), dtype=np.uint8)
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, image)
        for band in [coeffs[0], *(b for bands in coeffs[1:] for _, b in sorted(bands.items()))]:
            total = zlib.crc32(np.ascontiguousarray(band).astype("<i4").tobytes(), total)
    corner = photographs[0][:33, :46, 1]
    wanted = lifted_level(corner.astype(object), scheme, (0, 1))
    low, bands = ms.lwt(corner, scheme, 1)
    for key, band in {"aa": low, **bands}.items():
        np.testing.assert_array_equal(band.astype(object), wanted[key])
    assert total == SUMS[scheme]
