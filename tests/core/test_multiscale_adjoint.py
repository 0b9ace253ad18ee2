"""Transposes: the matrix of each transform, and sums of products on both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing import multiscale as ms

WAVELETS = ["haar", "db2", "db9", "sym4", "coif2", "bior2.2", "bior3.9", "rbio6.8"]


@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("name", WAVELETS)
def test_analysis_is_transposed(name, mode):
    for n in (*range(1, 14), 30):
        if n == 1 and "reflect" in mode:
            continue
        low, high = ms.dwt(np.eye(n), name, mode, axis=0)
        m = len(low)
        both = ms.dwt_adjoint(np.eye(2 * m)[:m], np.eye(2 * m)[m:], name, mode, axis=0, n=n)
        wanted = np.concatenate([low, high]).T
        np.testing.assert_allclose(both, wanted, rtol=0, atol=1e-13 * max(1, abs(wanted).max()))


@pytest.mark.parametrize("mode", ["zero", "periodization"])
@pytest.mark.parametrize("name", WAVELETS)
def test_synthesis_is_transposed(name, mode):
    taps = ms.Wavelet(name).rec_len
    for m in (1, 2, 3, 5, 12):
        if mode == "zero" and 2 * m - taps + 2 < 1:
            continue
        zero = np.zeros((m, m))
        one = np.concatenate(
            [ms.idwt(np.eye(m), zero, name, mode, 0), ms.idwt(zero, np.eye(m), name, mode, 0)], 1
        )
        low, high = ms.idwt_adjoint(np.eye(len(one)), name, mode, axis=0)
        np.testing.assert_allclose(np.concatenate([low, high]), one.T, rtol=0, atol=1e-13)


def dot(a, b):
    total = np.vdot(a[0], b[0])
    for p, q in zip(a[1:], b[1:], strict=True):
        total += sum(np.vdot(p[key], q[key]) for key in p)
    return total


def random_like(coeffs, rng):
    out = [rng.normal(size=coeffs[0].shape)]
    out += [{key: rng.normal(size=band.shape) for key, band in bands.items()} for bands in coeffs[1:]]
    return out


@given(
    st.lists(st.integers(2, 17), min_size=1, max_size=3),
    st.sampled_from(ms.wavelist()),
    st.sampled_from(ms.MODES),
    st.integers(0, 2),
    st.data(),
)
@pytest.mark.filterwarnings("ignore:level")
def test_levels(shape, name, mode, level, data):
    axes = tuple(data.draw(st.permutations(range(len(shape))))[: data.draw(st.integers(1, len(shape)))])
    if "reflect" in mode:  # what is left of a level must be long enough as well
        level = min(level, 1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    coeffs = ms.wavedecn(x, name, mode, level, axes)
    y = random_like(coeffs, rng)
    back = ms.wavedecn_adjoint(y, name, mode, axes, shape=shape)
    size = np.sqrt(dot(y, y)) * np.linalg.norm(x) + np.sqrt(dot(coeffs, coeffs) * dot(y, y))
    assert abs(dot(coeffs, y) - np.vdot(x, back)) < 1e-11 * size
    shapes = [next(iter(bands.values())).shape for bands in coeffs[1:]]
    whole = ms.waverecn(y, name, mode, axes, shape=shape)
    z = rng.normal(size=shape)
    turned = ms.waverecn_adjoint(z, name, mode, axes, shapes=shapes)
    if not shapes:
        np.testing.assert_array_equal(turned[0], z)
        return
    size = np.linalg.norm(whole) * np.linalg.norm(z) + np.sqrt(dot(turned, turned) * dot(y, y))
    assert abs(np.vdot(whole, z) - dot(y, turned)) < 1e-11 * size


def test_orthogonal_adjoint_is_the_inverse():
    x = np.random.default_rng(0).normal(size=(16, 24))
    coeffs = ms.wavedecn(x, "db3", "periodization", 3)
    back = ms.wavedecn_adjoint(coeffs, "db3", "periodization", shape=x.shape)
    np.testing.assert_allclose(back, ms.waverecn(coeffs, "db3", "periodization"), atol=1e-13)


def test_same_bits_strides_and_dtypes():
    rng = np.random.default_rng(0)
    low, high = rng.normal(size=(2, 5, 40, 33)).astype(np.float32)
    n = 75
    one = ms.dwt_adjoint(low, high, "db3", "smooth", 1, n=n, n_jobs=1)
    assert one.dtype == np.float32
    two = ms.idwt_adjoint(one[:, :74], "db3", axis=1, n_jobs=1)
    for threads in (2, 4, 7):
        np.testing.assert_array_equal(one, ms.dwt_adjoint(low, high, "db3", "smooth", 1, n=n, n_jobs=threads))
        for a, b in zip(two, ms.idwt_adjoint(one[:, :74], "db3", axis=1, n_jobs=threads), strict=True):
            np.testing.assert_array_equal(a, b)
    turned = ms.dwt_adjoint(np.asfortranarray(low), high[..., ::-1][..., ::-1], "db3", "smooth", 1, n=n)
    np.testing.assert_array_equal(one, turned)
    np.testing.assert_array_equal(one[2], ms.dwt_adjoint(low[2], high[2], "db3", "smooth", 0, n=n))
    z = low + 1j * high
    both = ms.dwt_adjoint(z, z, "db3", axis=1, n=n)
    np.testing.assert_array_equal(both.real, ms.dwt_adjoint(low, low, "db3", axis=1, n=n))
    np.testing.assert_array_equal(both.imag, ms.dwt_adjoint(high, high, "db3", axis=1, n=n))


def test_missing_bands_are_zeros():
    rng = np.random.default_rng(0)
    shapes = [(5, 5), (8, 8)]
    y = random_like(ms.waverecn_adjoint(rng.normal(size=(14, 14)), "db2", shapes=shapes), rng)
    some = [None, None, {"dd": y[2]["dd"]}]
    full = [y[0] * 0, {k: b * 0 for k, b in y[1].items()}, {k: b * (k == "dd") for k, b in y[2].items()}]
    np.testing.assert_array_equal(
        ms.wavedecn_adjoint(some, "db2", shape=(14, 14)), ms.wavedecn_adjoint(full, "db2", shape=(14, 14))
    )
    assert not ms.wavedecn_adjoint([None, None], "db2", shape=(14, 14)).any()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ms.dwt_adjoint(np.ones(4), np.ones(5), "db2", n=6), ValueError, "one shape"),
        (
            lambda: ms.dwt_adjoint(np.ones(4), np.ones(4), "db2", n=9),
            ValueError,
            "must have 6 entries along axis 0",
        ),
        (lambda: ms.dwt_adjoint(np.ones(2), np.ones(2), "db2", "reflect", n=1), ValueError, "at least two"),
        (lambda: ms.idwt_adjoint(np.ones(5), "db2"), ValueError, "even length along axis 0"),
        (lambda: ms.wavedecn_adjoint([], "db2", shape=(4,)), ValueError, "approximation"),
        (lambda: ms.wavedecn_adjoint([np.ones(3)], "db2", shape=(4,)), ValueError, r"coeffs\[0\] has shape"),
        (
            lambda: ms.wavedecn_adjoint([np.ones(3), {"d": np.ones(4)}], "db2", shape=(4,)),
            ValueError,
            r"coeffs\[1\]\['d'\] has shape",
        ),
        (lambda: ms.waverecn_adjoint(np.ones(5), "db2", shapes=[(9,)]), ValueError, "do not give back"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
