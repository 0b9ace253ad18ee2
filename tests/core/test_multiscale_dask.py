"""Arrays of Dask: the same numbers as of one array, to the last bit, whatever the blocks."""

import numpy as np
import pytest

from lapwing import multiscale as ms

da = pytest.importorskip("dask.array")


def flat(coeffs):
    return [coeffs[0], *(bands[k] for bands in coeffs[1:] for k in sorted(bands))]


CASES = [
    ((96,), (32,), None, 2),
    ((97,), (16,), None, 2),
    ((64, 5), (16, 2), (0,), 2),
    ((40, 48), (20, 16), None, 2),
    ((3, 33, 50), (1, 16, 50), (1, 2), 1),
    ((30, 30), ((5, 25), (13, 7, 10)), None, 2),  # blocks that are not even
    ((8, 9), (2, 3), None, 1),  # blocks that are shorter than filters
    ((20,), (7,), None, 0),
]


@pytest.mark.filterwarnings("ignore:level")
@pytest.mark.parametrize("mode", ms.MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4", "db4"])
@pytest.mark.parametrize(("shape", "chunks", "axes", "level"), CASES)
def test_the_same_bits(shape, chunks, axes, level, wavelet, mode):
    x = np.random.default_rng(0).normal(size=shape)
    right = ms.wavedecn(x, wavelet, mode, level, axes)
    lazy = ms.wavedecn(da.from_array(x, chunks=chunks), wavelet, mode, level, axes)
    for a, b in zip(flat(lazy), flat(right), strict=True):
        assert isinstance(a, da.Array)
        assert a.shape == b.shape
        np.testing.assert_array_equal(a.compute(scheduler="synchronous"), b)
    back = ms.waverecn(lazy, wavelet, mode, axes, shape=shape)
    np.testing.assert_array_equal(
        back.compute(scheduler="synchronous"), ms.waverecn(right, wavelet, mode, axes, shape=shape)
    )


def test_blocks_stay():
    x = da.random.default_rng(0).normal(size=(512, 64), chunks=(128, 64)).astype(np.float32)
    low, *details = ms.wavedec2(x, "db2", "periodization", 2)
    assert low.chunks == ((32, 32, 32, 32), (16,))
    assert low.dtype == np.float32
    assert details[1][0].chunks == ((64, 64, 64, 64), (32,))
    a, d = ms.wavedec(x, "haar", "periodization", 1, axis=0)
    np.testing.assert_array_equal(d.compute(), ms.wavedec(x.compute(), "haar", "periodization", 1, axis=0)[1])
    back = ms.waverec([a, d], "haar", "periodization", axis=0)
    assert back.chunks == x.chunks
    np.testing.assert_allclose(back.compute(), x.compute(), atol=1e-5)


def test_integers_and_missing_bands():
    x = np.arange(48).reshape(4, 12)
    low, details = ms.wavedecn(da.from_array(x, chunks=(4, 6)), "db2", "zero", 1, (1,))
    assert low.dtype == np.float64
    wanted = ms.waverecn([low.compute(), {"d": np.zeros(low.shape)}], "db2", "zero", (1,))
    np.testing.assert_array_equal(ms.waverecn([low, {"d": 0 * low}], "db2", "zero", (1,)).compute(), wanted)
    with pytest.raises(ValueError, match="a band in each level"):
        ms.waverecn([low, {}], "db2", "zero", (1,))
    with pytest.raises(ValueError, match="the approximation"):
        ms.waverecn([low, {"d": details["d"][:, :3]}], "db2", "zero", (1,))


def test_refused():
    x = da.ones((8, 8), chunks=4)
    with pytest.raises(ValueError, match="array of Dask; check its blocks"):
        ms.wavedecn(x, "haar", level=1, check_finite=True)
    with pytest.raises(ValueError, match="blocks of unknown size"):
        ms.wavedecn(x[x[:, 0] > 0], "haar", level=1, axes=(1,))
    with pytest.raises(ValueError, match="at least two samples"):
        ms.wavedecn(da.ones((1, 8), chunks=4), "haar", "reflect", 1)
