"""Wavelet transforms against their definition, written out index by index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapwing import multiscale as ms

WAVELETS = [
    "haar",
    "db2",
    "db5",
    "db20",
    "sym4",
    "coif2",
    "bior2.2",
    "bior4.4",
    "bior3.9",
    "rbio1.3",
    "rbio6.8",
]


def sample(x, i, mode):
    """The extended signal at any integer."""
    n = len(x)
    if 0 <= i < n:
        return x[i]
    if mode == "zero":
        return 0.0
    if mode == "constant":
        return x[0] if i < 0 else x[-1]
    if mode == "periodic":
        return x[i % n]
    if mode in ("symmetric", "antisymmetric"):
        j = i % (2 * n)
        return x[j] if j < n else (1 if mode == "symmetric" else -1) * x[2 * n - 1 - j]
    if mode == "smooth":
        if n == 1:
            return x[0]
        return x[0] + i * (x[1] - x[0]) if i < 0 else x[-1] + (i - n + 1) * (x[-1] - x[-2])
    j = i % (2 * n - 2)
    if mode == "reflect":
        return x[j] if j < n else x[2 * n - 2 - j]
    rounds = i // (2 * n - 2)
    return 2 * rounds * (x[-1] - x[0]) + (x[j] if j < n else 2 * x[-1] - x[2 * n - 2 - j])


def analysed(x, f, mode):
    if mode == "periodization":
        x = np.append(x, x[-1]) if len(x) % 2 else x
        n = len(x)
        return [sum(f[j] * x[(2 * k + len(f) // 2 - j) % n] for j in range(len(f))) for k in range(n // 2)]
    count = (len(x) + len(f) - 1) // 2
    return [sum(f[j] * sample(x, 2 * k + 1 - j, mode) for j in range(len(f))) for k in range(count)]


@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("name", WAVELETS)
def test_analysis_is_as_defined(name, mode):
    wavelet = ms.Wavelet(name)
    for n in [*range(1, 12), 17, 33, 70]:
        if n == 1 and "reflect" in mode:
            continue
        x = np.random.default_rng(n).normal(size=n)
        low, high = ms.dwt(x, name, mode)
        scale = 1e-12 * max(1.0, n * wavelet.dec_len) * abs(x).max()
        np.testing.assert_allclose(low, analysed(x, wavelet.dec_lo, mode), rtol=0, atol=scale)
        np.testing.assert_allclose(high, analysed(x, wavelet.dec_hi, mode), rtol=0, atol=scale)


@pytest.mark.parametrize("name", WAVELETS)
def test_synthesis_is_as_defined(name):
    wavelet = ms.Wavelet(name)
    lo, hi, F = wavelet.rec_lo, wavelet.rec_hi, wavelet.rec_len
    rng = np.random.default_rng(0)
    for m in (1, 2, 3, 8, 21):
        a, d = rng.normal(size=(2, m))
        wrapped = np.zeros(2 * m)
        straight = np.zeros(max(2 * m - F + 2, 0))
        for k in range(m):
            for j in range(F):
                value = a[k] * lo[j] + d[k] * hi[j]
                wrapped[(2 * k + j - F // 2 + 1) % (2 * m)] += value
                if 0 <= 2 * k + j - F + 2 < len(straight):
                    straight[2 * k + j - F + 2] += value
        np.testing.assert_allclose(ms.idwt(a, d, name, "periodization"), wrapped, rtol=0, atol=1e-11)
        if len(straight):
            np.testing.assert_allclose(ms.idwt(a, d, name, "zero"), straight, rtol=0, atol=1e-11)
        else:
            with pytest.raises(ValueError, match="too few for filters"):
                ms.idwt(a, d, name, "zero")


def test_every_bank_reconstructs():
    names = ms.wavelist()
    assert len(names) == len(set(names)) == 1 + 38 + 19 + 5 + 15 + 15
    for name in names:
        wavelet = ms.Wavelet(name)
        assert wavelet.biorthogonal, name
        plain = name.startswith(("haar", "db", "sym", "coif")) or name in ("bior1.1", "rbio1.1")
        assert wavelet.orthogonal == plain, name
        assert sum(wavelet.rec_lo) == pytest.approx(2**0.5, abs=1e-14)
        assert abs(sum(wavelet.dec_hi)) < 1e-13


@pytest.mark.parametrize("n", [2, 5, 12, 19, 38])
def test_vanishing_moments(n):
    k = np.arange(2 * n) / (2 * n)
    hi = np.array(ms.Wavelet(f"db{n}").dec_hi)
    for power in range(min(n, 8)):
        assert abs((hi * k**power).sum()) < 1e-10


@pytest.mark.parametrize("name", ["haar", "db2", "db4", "db10", "sym8", "coif2"])
def test_orthogonal_for_every_even_length(name):
    for n in range(2, 33, 2):
        W = np.concatenate(ms.dwt(np.eye(n), name, "periodization", axis=0))
        assert abs(W @ W.T - np.eye(n)).max() < 1e-14 * 40


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 23), min_size=1, max_size=3),
    st.sampled_from(ms.wavelist()),
    st.sampled_from(ms.MODES),
    st.integers(0, 3),
    st.sampled_from([np.float32, np.float64, np.complex128]),
)
@pytest.mark.filterwarnings("ignore:level")
def test_reconstruction(shape, name, mode, level, dtype):
    if min(shape) == 1 and "reflect" in mode:
        return
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    if dtype is np.complex128:
        x = x + 1j * rng.normal(size=shape)
    if "reflect" in mode:  # what is left of a level must be long enough as well
        level = min(level, 1)
    back = ms.waverecn(ms.wavedecn(x, name, mode, level), name, mode, shape=shape)
    assert back.dtype == x.dtype
    assert abs(back - x).max() < (1e-4 if dtype is np.float32 else 1e-9)


def test_levels_of_one_and_two_axes():
    x = np.random.default_rng(0).normal(size=(3, 48, 40))
    coeffs = ms.wavedec2(x, "db2", "periodization", 3)
    assert coeffs[0].shape == (3, 6, 5)
    low, (h, v, d) = ms.dwt2(x, "db2", "periodization")
    np.testing.assert_array_equal(h, coeffs[-1][0])
    rows = ms.dwt(x, "db2", "periodization", axis=1)
    np.testing.assert_array_equal(v, ms.dwt(rows[0], "db2", "periodization", axis=2)[1])
    np.testing.assert_array_equal(d, coeffs[-1][2])
    np.testing.assert_allclose(ms.idwt2((low, (h, v, d)), "db2", "periodization"), x, atol=1e-13)
    np.testing.assert_allclose(ms.waverec2(coeffs, "db2", "periodization"), x, atol=1e-13)
    energy = sum((c**2).sum() for c in [coeffs[0], *(b for bands in coeffs[1:] for b in bands)])
    assert energy == pytest.approx((x**2).sum(), rel=1e-13)
    line = ms.wavedec(x, "sym4", level=2, axis=1)
    np.testing.assert_allclose(ms.waverec(line, "sym4", axis=1), x, atol=1e-12)


def test_missing_bands_are_zeros():
    x = np.random.default_rng(0).normal(size=(16, 16))
    low, (h, v, _) = ms.dwt2(x, "db2", "periodization")
    zero = np.zeros_like(low)
    np.testing.assert_array_equal(
        ms.idwt2((low, (None, v, None)), "db2", "periodization"),
        ms.idwt2((low, (zero, v, zero)), "db2", "periodization"),
    )
    np.testing.assert_array_equal(
        ms.waverec2([None, (h, None, None)], "db2", "periodization"),
        ms.idwt2((zero, (h, zero, zero)), "db2", "periodization"),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits(dtype):
    x = np.random.default_rng(0).normal(size=(5, 37, 70)).astype(dtype)
    for axis in (1, 2):
        one = ms.dwt(x, "db4", "reflect", axis, n_jobs=1)
        for threads in (2, 4, 7):
            for a, b in zip(one, ms.dwt(x, "db4", "reflect", axis, n_jobs=threads), strict=True):
                np.testing.assert_array_equal(a, b)
        for i in range(5):
            for a, b in zip(one, ms.dwt(x[i], "db4", "reflect", axis - 1), strict=True):
                np.testing.assert_array_equal(a[i], b)
        flipped = np.asfortranarray(x[::-1, :, ::2])
        for a, b in zip(
            ms.dwt(flipped, "db4", axis=axis), ms.dwt(flipped.copy("C"), "db4", axis=axis), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        back = ms.idwt(*one, "db4", "reflect", axis, n_jobs=1)
        np.testing.assert_array_equal(back, ms.idwt(*one, "db4", "reflect", axis, n_jobs=3))


def test_dtypes():
    x = np.arange(16)
    assert ms.dwt(x, "db2")[0].dtype == np.float64
    for dtype in (np.float16, np.float32, np.complex64, np.complex128):
        low, high = ms.dwt(x.astype(dtype), "db2")
        assert low.dtype == dtype
        assert ms.idwt(low, high, "db2").dtype == dtype
    z = np.random.default_rng(0).normal(size=(2, 16))
    both = ms.dwt(z[0] + 1j * z[1], "sym3")[0]
    np.testing.assert_array_equal(both.real, ms.dwt(z[0], "sym3")[0])
    np.testing.assert_array_equal(both.imag, ms.dwt(z[1], "sym3")[0])
    frozen = x.astype(float)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(ms.dwt(frozen, "db2")[0], ms.dwt(x, "db2")[0])


def test_nan_stays_where_it_is():
    x = np.ones(64)
    x[20] = np.nan
    low, _ = ms.dwt(x, "db2")
    assert np.flatnonzero(np.isnan(low)).tolist() == [10, 11]


def test_a_bank_of_ones_own():
    mine = ms.Wavelet("mine", ms.Wavelet("db3").filter_bank)
    assert mine.orthogonal
    x = np.random.default_rng(0).normal(size=20)
    np.testing.assert_array_equal(ms.dwt(x, mine)[1], ms.dwt(x, "db3")[1])
    bent = ms.Wavelet("bent", ([1, 2], [1, 1], [1, 1], [1, -1]))
    assert not bent.biorthogonal
    assert len(bent) == 2


def test_what_is_known_of_a_wavelet():
    known = [("haar", "asymmetric", 1, 0), ("db4", "asymmetric", 4, 0), ("sym5", "near symmetric", 5, 0)]
    known += [
        ("coif2", "near symmetric", 4, 3),
        ("bior1.3", "symmetric", 1, 3),
        ("rbio6.8", "symmetric", 6, 8),
    ]
    for name, symmetry, psi, phi in known:
        w = ms.Wavelet(name)
        assert (w.symmetry, w.vanishing_moments_psi, w.vanishing_moments_phi) == (symmetry, psi, phi)
        assert f"Wavelet {name}" in str(w)
    mine = ms.Wavelet("mine", ms.Wavelet("db3").filter_bank)
    assert (mine.symmetry, mine.vanishing_moments_psi) == ("unknown", 0)


@pytest.mark.parametrize("name", ["haar", "db3", "sym4", "bior2.4", "rbio3.1"])
def test_scaling_function_refines_itself(name):
    w = ms.Wavelet(name)
    level = 7
    *functions, x = w.wavefun(level)
    assert len(functions) == (2 if w.orthogonal else 4)
    pairs = [(functions[-2], functions[-1], w.rec_lo, w.rec_hi)]
    if not w.orthogonal:
        pairs.append((functions[0], functions[1], w.dec_lo[::-1], w.dec_hi[::-1]))
    coarser = w.wavefun(level - 1)
    for place, (phi, psi, low, high) in zip((-3, 0), pairs, strict=False):
        assert len(phi) == len(psi) == len(x)
        assert phi.sum() / 2**level == pytest.approx(1, abs=1e-9)
        # f(t) = sqrt 2 sum h_k phi(2 t - k), phi one step less refined, and drawn one point later
        for f, h in ((phi, low), (psi, high)):
            made = np.zeros(len(phi) + 2 ** (level + 3))
            before = coarser[place][1:]
            for k, tap in enumerate(h):
                made[1 + k * 2 ** (level - 1) :][: len(before)] += 2**0.5 * tap * before
            np.testing.assert_allclose(f, made[: len(f)], atol=1e-10)


def test_an_axis_that_comes_twice():
    x = np.random.default_rng(0).normal(size=(3, 8))
    bands = ms.dwtn(x, "haar", axes=(1, -1))
    low, high = ms.dwt(x, "haar")
    np.testing.assert_array_equal(bands["ad"], ms.dwt(low, "haar")[1])
    np.testing.assert_array_equal(bands["da"], ms.dwt(high, "haar")[0])
    np.testing.assert_allclose(ms.idwtn(bands, "haar", axes=(1, 1)), x, atol=1e-14)
    with pytest.raises(ValueError, match="differ"):
        ms.wavedecn(x, "haar", axes=(0, 0))
    np.testing.assert_array_equal(ms.wavedecn(x, "haar", axes=1)[0], ms.wavedec(x, "haar")[0])


def test_levels():
    assert ms.dwt_max_level(1000, 2) == 9
    assert ms.dwt_max_level(1000, "db2") == 8
    assert ms.dwt_max_level(3, 8) == 0
    with pytest.warns(UserWarning, match="level 5 is more than 3"):
        ms.wavedec(np.ones(32), "db2", level=5)
    x = np.arange(5.0)
    (same,) = ms.wavedec(x, "db2", level=0)
    assert same is not x
    np.testing.assert_array_equal(same, x)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.dwt([1.0, 2], "db99"), ValueError, "unknown wavelet 'db99'; the nearest are db9"),
        (lambda: ms.dwt([1.0, 2], 3), TypeError, "wavelet must be a name"),
        (lambda: ms.dwt([1.0, 2], "db2", "mirror"), ValueError, "unknown mode 'mirror'"),
        (lambda: ms.dwt([1.0], "db2", "reflect"), ValueError, "needs at least two samples"),
        (lambda: ms.dwt(1.0, "db2"), ValueError, "at least one axis"),
        (lambda: ms.dwt(np.ones((3, 0)), "db2"), ValueError, "empty along axis 1"),
        (lambda: ms.dwt(np.ones(4, bool), "db2"), TypeError, "astype"),
        (lambda: ms.dwt(["a"], "db2"), TypeError, "must hold numbers"),
        (lambda: ms.dwt([1.0, 2], "db2", axis=1), ValueError, "axis 1 is not there"),
        (lambda: ms.dwt2(np.ones((4, 4)), "db2", axes=(0,)), ValueError, "axes must be two"),
        (lambda: ms.dwtn(np.ones((4, 4)), ["db2"] * 3), ValueError, "one or 2 of them"),
        (lambda: ms.wavedec(np.ones(8), "db2", level=-1), ValueError, "level"),
        (lambda: ms.wavedec(np.ones(8), "db2", level=1.5), TypeError, "level"),
        (lambda: ms.idwt(None, None, "db2"), ValueError, "one of cA and cD"),
        (lambda: ms.idwt(np.ones(4), np.ones(5), "db2"), ValueError, "one shape"),
        (lambda: ms.idwtn({"aa": np.ones((4, 4)), "x": np.ones((4, 4))}, "db2"), ValueError, "key 'x'"),
        (lambda: ms.idwtn({}, "db2"), ValueError, "no band"),
        (lambda: ms.waverec([np.ones(9), np.ones(4)], "db2"), ValueError, r"coeffs\[1\] has shape \(9,\)"),
        (lambda: ms.waverec([], "db2"), ValueError, "at least an approximation"),
        (lambda: ms.waverec([None, None], "db2"), ValueError, "all of coeffs is None"),
        (lambda: ms.dwt([1.0, 2], "db2", None), TypeError, "mode must be a string"),
        (lambda: ms.waverec(np.ones(8), "db2"), ValueError, "coeffs must be a list, got ndarray"),
        (
            lambda: ms.waverecn([np.ones(4), np.ones(4)], "db2"),
            ValueError,
            "Unexpected detail coefficient type",
        ),
        (
            lambda: ms.waverec2([np.ones((4, 4)), {"ad": 1}], "db2"),
            ValueError,
            "Unexpected detail coefficient type dict",
        ),
        (lambda: ms.Wavelet("haar").wavefun(0), ValueError, "level"),
        (lambda: ms.Wavelet("x", ([1], [1], [1], [1])), ValueError, "one even length"),
        (lambda: ms.Wavelet("x", ([1, np.nan],) * 4), ValueError, "finite"),
        (lambda: ms.wavelist("morlet"), ValueError, "family"),
    ],
)  # fmt: skip
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def one_axis_at_a_time(x, wavelet, mode, axes, level):
    """The finest level first, and the approximation at the end."""
    levels = []
    for _ in range(level):
        low, high = ms.dwt(x, wavelet, mode, axes[0])
        x, ad = ms.dwt(low, wavelet, mode, axes[1])
        da, dd = ms.dwt(high, wavelet, mode, axes[1])
        levels.append((da, ad, dd))
    return [*levels, x]


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("name", ["haar", "db2", "db3", "bior4.4", "rbio2.2", "db9"])
def test_two_axes_are_one_after_the_other_to_the_last_bit(name, mode):
    rng = np.random.default_rng(0)
    for shape in [(2, 2), (3, 8), (8, 5), (17, 40), (33, 64), (5, 2, 12)]:
        x = rng.normal(size=shape).astype(np.float32)
        got = ms.wavedec2(x, name, mode, level=1)
        (da, ad, dd), low = one_axis_at_a_time(x, name, mode, (-2, -1), 1)
        for band, expected in zip((got[0], *got[1]), (low, da, ad, dd), strict=True):
            assert band.tobytes() == expected.tobytes()
        joined = [ms.idwt(low, da, name, mode, -2), ms.idwt(ad, dd, name, mode, -2)]
        assert ms.waverec2(got, name, mode).tobytes() == ms.idwt(*joined, name, mode, -1).tobytes()


@pytest.mark.parametrize("name", ["haar", "db4"])
def test_batches_are_shared_out_among_threads(name):
    x = np.random.default_rng(2).normal(size=(1100, 33, 32)).astype(np.float32)
    one = ms.wavedec2(x, name, "symmetric", 2, n_jobs=1)
    alone = ms.wavedec2(x[1000], name, "symmetric", 2, n_jobs=1)
    back = ms.waverec2(one, name, "symmetric", n_jobs=1)
    for threads in (2, 7):
        many = ms.wavedec2(x, name, "symmetric", 2, n_jobs=threads)
        assert many[0].tobytes() == one[0].tobytes()
        assert many[0][1000].tobytes() == alone[0].tobytes()
        for level in (1, 2):
            for a, b, c in zip(many[level], one[level], alone[level], strict=True):
                assert a.tobytes() == b.tobytes()
                assert a[1000].tobytes() == c.tobytes()
        assert ms.waverec2(one, name, "symmetric", n_jobs=threads).tobytes() == back.tobytes()
    np.testing.assert_allclose(back[:, :33], x, rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["haar", "db2", "bior4.4"])
@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
@pytest.mark.parametrize("shape", [(40, 36), (257, 301), (1500, 1601)])
def test_levels_of_small_and_large_planes(name, mode, shape, dtype):
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    got = ms.wavedec2(x, name, mode, level=3, n_jobs=1)
    *levels, low = one_axis_at_a_time(x, name, mode, (-2, -1), 3)
    expected = [low, *levels[::-1]]
    assert got[0].tobytes() == expected[0].tobytes()
    for bands, wanted in zip(got[1:], expected[1:], strict=True):
        for band, other in zip(bands, wanted, strict=True):
            assert band.tobytes() == other.tobytes()
    back = ms.waverec2(got, name, mode, shape=shape, n_jobs=1)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, x, rtol=0, atol=(2e-6 if dtype == np.float32 else 1e-11) * abs(x).max())
    for threads in (2, 4, 7):
        again = ms.wavedec2(x, name, mode, level=3, n_jobs=threads)
        assert again[0].tobytes() == got[0].tobytes()
        assert again[3][2].tobytes() == got[3][2].tobytes()
        assert ms.waverec2(got, name, mode, shape=shape, n_jobs=threads).tobytes() == back.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["haar", "db4"])
def test_beyond_the_caches(name):
    """Bands that go past the caches, where lines do not begin at a multiple of anything."""
    x = np.random.default_rng(2).normal(size=(1602, 1606)).astype(np.float64)
    got = ms.wavedec2(x, name, "symmetric", level=2)
    *levels, low = one_axis_at_a_time(x, name, "symmetric", (-2, -1), 2)
    assert got[0].tobytes() == low.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(got[2], levels[0], strict=True))
    np.testing.assert_allclose(ms.waverec2(got, name, "symmetric"), x, rtol=0, atol=1e-11)


@given(
    st.integers(1, 20), st.integers(1, 20), st.sampled_from(["haar", "db2", "bior2.2", "db6"]),
    st.sampled_from(ms.MODES), st.sampled_from(ms.MODES), st.permutations(range(4)),
    st.lists(st.booleans(), min_size=4, max_size=4), st.sampled_from([np.float32, np.float64, np.complex64]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_strides_and_two_modes(h, w, name, first, second, order, turned, dtype):
    if (h == 1 and "reflect" in first) or (w == 1 and "reflect" in second):
        return
    rng = np.random.default_rng(h * 20 + w)
    plain = rng.normal(size=(2, h, 3, w)).astype(dtype)
    if dtype == np.complex64:
        plain = plain + 1j * rng.normal(size=plain.shape).astype(np.float32)
    step = tuple(slice(None, None, -1 if t else 1) for t in turned)
    x = plain[step].transpose(order).copy().transpose(np.argsort(order))[step]
    assert np.array_equal(x, plain)
    axes, modes = (1, 3), (first, second)
    bands, again = (ms.dwtn(v, name, modes, axes) for v in (plain, x))
    assert all(bands[key].tobytes() == again[key].tobytes() for key in bands)
    back = ms.idwtn(bands, name, modes, axes)[:, :h, :, :w]
    np.testing.assert_allclose(back, plain, rtol=0, atol=5e-6 * abs(plain).max() + 1e-30)
    spread = {key: np.repeat(band, 2, axis=3)[..., ::2] for key, band in bands.items()}
    assert ms.idwtn(spread, name, modes, axes)[:, :h, :, :w].tobytes() == back.tobytes()


def test_missing_bands_of_several_levels():
    x = np.random.default_rng(3).normal(size=(37, 50))
    coeffs = ms.wavedec2(x, "db2", level=3)
    zeros = [np.zeros_like(coeffs[0]), *coeffs[1:]]
    zeros[2] = tuple(np.zeros_like(b) for b in coeffs[2])
    expected = ms.waverec2(zeros, "db2", shape=x.shape)
    assert np.array_equal(ms.waverec2([None, coeffs[1], None, coeffs[3]], "db2", shape=x.shape), expected)
    with pytest.raises(ValueError, match=r"the approximation at coeffs\[2\] has shape"):
        ms.waverec2([coeffs[0], coeffs[1], coeffs[1]], "db2")
    with pytest.raises(ValueError, match="the result has shape"):
        ms.waverec2(coeffs, "db2", shape=(37, 40))


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize(
    ("shape", "mode", "axes", "level", "packed"),
    [
        ((16, 24), "periodization", None, 3, True),
        ((3, 16, 24, 2), "periodization", (1, 2), 2, True),
        ((16, 24, 8), "periodization", None, 2, True),
        ((40,), "periodization", None, 3, True),
        ((18, 24), "periodization", None, 3, False),
        ((19, 24), "symmetric", None, 2, False),
        ((5, 19, 7), "reflect", None, 1, False),
        ((4, 4), "zero", None, 0, True),
    ],
)
def test_plans(shape, mode, axes, level, packed, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    plan = ms.WaveletPlan(shape, dtype, "db2", mode, level, axes)
    coeffs = plan.forward(x)
    expected = ms.wavedecn(x, "db2", mode, level, axes)
    assert coeffs.shape == plan.coeffs_shape
    if mode == "periodization":
        assert (coeffs.shape == shape) == packed
    got = plan.bands(coeffs)
    assert got[0].tobytes() == expected[0].tobytes()
    for bands, others in zip(got[1:], expected[1:], strict=True):
        assert bands.keys() == others.keys()
        assert all(bands[key].tobytes() == others[key].tobytes() for key in bands)
    if packed and level:
        assert ms.pack(expected, None, axes)[0].tobytes() == coeffs.tobytes()
    tol = {np.float16: 2e-2, np.float32: 1e-5, np.complex64: 1e-5, np.float64: 1e-12}[dtype]
    back = plan.inverse(coeffs)
    np.testing.assert_allclose(back, x, rtol=0, atol=tol)
    out = np.empty_like(x)
    assert plan.inverse(coeffs, out=out) is out
    assert out.tobytes() == back.tobytes()
    if np.dtype(dtype).itemsize >= 8:  # <W x, y> = <x, W^T y>
        y = rng.normal(size=coeffs.shape).astype(dtype)
        np.testing.assert_allclose(np.vdot(coeffs, y), np.vdot(x, plan.adjoint(y)), rtol=1e-4)
    if packed:  # in place
        same = x.copy()
        assert plan.forward(same, out=same) is same
        assert same.tobytes() == coeffs.tobytes()
        with pytest.raises(ValueError, match="out overlaps what is transformed"):
            plan.forward(same, out=same[::-1])


def test_plans_refuse():
    plan = ms.WaveletPlan((8, 8), np.float32, "haar", "periodization", 1)
    x = np.zeros((8, 8), np.float32)
    with pytest.raises(ValueError, match=r"x has shape \(8, 7\), and the plan is for \(8, 8\)"):
        plan.forward(x[:, :7])
    with pytest.raises(TypeError, match="x has dtype float64, and the plan is for float32"):
        plan.forward(x.astype(float))
    fixed = np.zeros_like(x)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        plan.forward(x, out=fixed)
    with pytest.raises(TypeError, match="dtype must be of floating point"):
        ms.WaveletPlan((8, 8), np.int32, "haar")


def test_packing():
    x = np.random.default_rng(0).normal(size=(21, 34))
    for name, coeffs, rec in (
        ("wavedec2", ms.wavedec2(x, "db3", level=2), ms.waverec2),
        ("wavedecn", ms.wavedecn(x, "db3", level=2), ms.waverecn),
    ):
        packed, slices = ms.pack(coeffs, padding=7)
        assert (packed == 7).any()
        flat = ms.ravel_coeffs(coeffs)
        assert (
            flat[0].size
            == ms.wavedecn_size(coeffs)
            == ms.wavedecn_size(ms.wavedecn_shapes((21, 34), "db3", level=2))
        )
        expected = rec(coeffs, "db3", shape=x.shape)
        assert np.array_equal(rec(ms.unpack(packed, slices, name), "db3", shape=x.shape), expected)
        assert np.array_equal(rec(ms.unravel_coeffs(*flat, name), "db3", shape=x.shape), expected)
        with pytest.raises(ValueError, match="the bands leave gaps"):
            ms.pack(coeffs, padding=None)
    line = ms.wavedec(x, "db2", "periodization", axis=1, level=1)
    packed, slices = ms.pack(line, None, axes=[1])
    assert packed.shape == x.shape
    assert np.array_equal(ms.unpack(packed, slices, "wavedec")[1], line[1])
    with pytest.raises(ValueError, match=r"coeffs\[1\] lacks a band"):
        ms.pack([x, (x, None, x)])
