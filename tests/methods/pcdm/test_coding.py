"""Codes: lossless, as long as the bound says, and never wrong pixels."""

from __future__ import annotations

import math
import struct
import zlib

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapwing.exceptions import DecodeError
from lapwing.generative import PCDM, VDM
from lapwing.generative.pcdm import _coding as coding

from .conftest import SMALL

STEPS = 10


@pytest.fixture(scope="module")
def file(model, digits):
    X = digits[1][:40]
    return X, model.compress(X, timesteps=STEPS)


# ---- the stack -----------------------------------------------------------------------------------------


def test_the_normal_table_is_the_same_everywhere():
    """No entry is so near to a half that an error of the last bits of erfc could turn it."""
    table = coding.normal_table()
    assert (np.diff(table) >= 0).all()
    assert np.array_equal(table + table[::-1], np.full(len(table), 2**30))
    with mpmath.workdps(30):
        for j in range(0, 2 * 2048 + 1, 1):
            exact = 2**30 * mpmath.ncdf(mpmath.mpf(j - 2048) / 256)
            assert table[j] == int(mpmath.nint(exact))
            assert abs(exact - mpmath.floor(exact) - 0.5) > 1e-6 or j == 2048


def test_weights_are_differences_of_the_normal_distribution():
    from scipy.stats import norm

    for sd64 in (64 * 12, 64 * 20 + 17, 64 * 150):
        width = math.ceil(7 * sd64 / 64) + 1
        weights = coding.gaussian_weights(sd64, width) / 2**30
        k = np.arange(-width, width + 1)
        for c, row in enumerate(weights):
            f = (2 * c - 15) / 32
            exact = norm.cdf((k + 0.5 - f) * 64 / sd64) - norm.cdf((k - 0.5 - f) * 64 / sd64)
            assert np.abs(row - exact).max() < 2e-6  # of the interpolation
            big = exact > 1e-12
            assert (exact[big] * np.log(exact[big] / np.maximum(row[big], 2.0**-24))).sum() < 1e-4


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6), st.floats(1.0, 300.0), st.booleans(), st.integers(1, 200),
    st.sampled_from([0.0, 3.0, 12.0, 1e6]),
)  # fmt: skip
def test_gaussians_go_on_and_off_the_stack(seed, sd, escape, n, far):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n) * 1000
    stack = coding.Stack(coding._prefix(seed, 3000))
    before = stack.words()
    k = stack.pop_gaussian(mean, sd, escape)
    stack.push_gaussian(k, mean, sd, escape)
    assert np.array_equal(stack.words(), before)
    if escape:
        own = np.rint(mean + far * sd * rng.normal(size=n)).astype(np.int64)
        stack.push_gaussian(own, mean, sd, True)
        assert np.array_equal(stack.pop_gaussian(mean, sd, True), own)
        assert np.array_equal(stack.words(), before)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6), st.floats(0.05, 20.0), st.sampled_from([(0, 255), (0, 16), (-40, 7), (0, 65535)])
)
def test_grey_values_go_on_and_off_the_stack(seed, sd, limits):
    rng = np.random.default_rng(seed)
    low, high = limits
    k = rng.integers(low, high + 1, 100)
    place = k + sd * rng.standard_normal(100) * rng.choice([1.0, 30.0], 100)
    stack = coding.Stack(coding._prefix(seed, 100))
    before = stack.words()
    stack.push_values(k, place, sd, low, high)
    assert np.array_equal(stack.pop_values(place, sd, low, high), k)
    assert np.array_equal(stack.words(), before)


# ---- whole files ---------------------------------------------------------------------------------------


def test_the_file_says_how_many_threads_decode_it(file, model):
    """One, unless somebody asks for more."""
    X = file[0][:4]
    asked = model.n_jobs
    try:
        for n_jobs, threads in ((None, 1), (2, 2)):
            model.set_params(n_jobs=n_jobs)
            data = model.compress(X, timesteps=STEPS)
            assert coding.read_header(data)[0]["threads"] == threads
            assert np.array_equal(model.decompress(data), X)
    finally:
        model.set_params(n_jobs=asked)


def test_round_trip(file, model):
    X, data = file
    back = model.decompress(data)
    assert back.dtype == np.uint8
    assert np.array_equal(back, X)
    assert np.array_equal(model.decompress(bytearray(data)), X)
    assert model.compress(X, timesteps=STEPS) == data


@pytest.mark.parametrize(
    "parameters",
    [
        {"hierarchy": "laplacian", "wavelet": "db2"},
        {"n_scales": 3, "gamma": "monotone", "fourier": (3,)},
        pytest.param({"n_scales": 1}, marks=pytest.mark.slow),
        pytest.param({"network": "vdm", "fourier": (2, 3)}, marks=pytest.mark.slow),
        pytest.param({"dtype": "float64", "dropout": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_round_trip_of_other_models(digits, parameters):
    model = PCDM(**{**SMALL, "n_steps": 5, **parameters}).fit(digits[0][:200])
    X = digits[1][:9]
    assert np.array_equal(model.decompress(model.compress(X, timesteps=5)), X)


def test_round_trip_of_integers(integers, digits):
    X = digits[1][:60]
    assert np.array_equal(integers.decompress(integers.compress(X, timesteps=STEPS)), X)


def test_round_trip_of_what_the_model_never_saw(model):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.integers(0, 17, (5, 8, 8)), np.zeros((2, 8, 8)), np.full((2, 8, 8), 16)])
    X = X.astype(np.uint8)
    assert np.array_equal(model.decompress(model.compress(X, timesteps=3)), X)


def test_round_trip_of_colours_with_labels():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    X = (rng.integers(0, 60, (60, 8, 4, 3)) + 100 * y[:, None, None, None]).astype(np.uint8)
    model = PCDM(**{**SMALL, "vocab_size": 256, "n_steps": 30}).fit(X, y, channels_last=True)
    data = model.compress(X[:7], y=y[:7], timesteps=4)
    assert np.array_equal(model.decompress(data, y=y[:7]), X[:7])
    with pytest.raises(DecodeError):
        model.decompress(data, y=1 - y[:7])
    with pytest.raises(ValueError, match="fitted with labels: pass y"):
        model.compress(X[:7])


def test_the_code_is_as_long_as_the_bound(model, digits):
    X = digits[1]
    steps = 20
    bound = model.bits_per_dim(X, timesteps=steps)
    plain = model.bits_per_dim(X, timesteps=steps, calibrated=False)
    data = model.compress(X, timesteps=steps)
    header, payload = coding.read_header(data)
    assert abs(8 * len(payload) / X.size - bound) < 0.015 * bound  # 297 small images
    assert len(data) - bound * X.size / 8 < 400  # bytes, of the header and for the first images
    assert len(data) - len(payload) < 150 + 4 * len(header["pixels"])
    assert bound < plain - 0.3
    assert header["links"][0] == 1
    assert max(header["links"]) > 30
    assert np.array_equal(model.decompress(data), X)


def test_more_steps_are_shorter(model, digits):
    X = digits[1][:40]
    sizes = [len(model.compress(X, timesteps=t)) for t in (2, 5, 20)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("vocab_size", [2, 17, 256, 4096])
def test_images_from_their_neighbours(vocab_size):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 3, 12)
    smooth = (np.sin(t)[:, None] * np.cos(t) + 1) / 2.01 * vocab_size
    images = [
        np.stack([smooth, smooth[::-1]])[None], rng.integers(0, vocab_size, (1, 2, 12, 12)),
        np.zeros((1, 2, 1, 1)), np.full((1, 2, 3, 7), vocab_size - 1),
    ]  # fmt: skip
    for x in images:
        x = x.astype(np.int64)
        stack = coding.Stack(coding._prefix(0, 20))
        coding.push_plain(stack, x, vocab_size)
        bits = 32 * (stack.height - 20) / x.size
        np.testing.assert_array_equal(coding.pop_plain(stack, x.shape, vocab_size), x)
        np.testing.assert_array_equal(stack.words(), coding._prefix(0, 20))
    assert bits < np.log2(vocab_size) + 2  # of what is constant, the worst: the first row and column


# ---- damage --------------------------------------------------------------------------------------------


def refused(model, data: bytes, X: np.ndarray) -> bool:
    """Whether the file was refused; if not, its pixels must be right."""
    try:
        back = model.decompress(data)
    except DecodeError:
        return True
    assert np.array_equal(back, X), "wrong pixels"
    return False


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
    raw = bytearray(data)
    kind = rng.integers(6)
    i = int(rng.integers(len(raw)))
    if kind == 0:
        raw[i] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        raw[i] = int(rng.integers(256))
    elif kind == 2:
        del raw[i:]
    elif kind == 3:
        del raw[i : i + int(rng.integers(1, 9))]
    elif kind == 4:
        raw[i:i] = rng.bytes(int(rng.integers(1, 9)))
    else:
        j = int(rng.integers(len(raw)))
        n = int(rng.integers(1, 17))
        raw[i : i + n], raw[j : j + n] = raw[j : j + n], raw[i : i + n]
    return bytes(raw)


def test_ten_thousand_mutations(file, model):
    X, data = file
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(10_000):
        changed = mutate(rng, data)
        if changed != data:
            passed += not refused(model, changed, X)
    assert passed == 0


def parts(data: bytes) -> tuple[dict, bytes]:
    _, _, length, _ = coding._FIXED.unpack_from(data)
    start = coding._FIXED.size
    return coding.read_header(data)[0], data[start + length :]


def assemble(header: dict, payload: bytes, *, repair: bool = True) -> bytes:
    if repair:
        header = {**header, "payload": [len(payload), zlib.crc32(payload)]}
    return coding.write_header(header) + payload


def test_mutations_with_right_checksums(file, model):
    """Somebody repairs the checksums of the file: then the pixels' tell."""
    X, data = file
    header, payload = parts(data)
    assert np.array_equal(model.decompress(assemble(header, payload)), X)
    rng = np.random.default_rng(1)
    for _ in range(25):
        raw = bytearray(payload)
        i = int(rng.integers(len(raw)))
        raw[i] ^= 1 << int(rng.integers(8))
        assert refused(model, assemble(header, bytes(raw)), X)
    for cut in (4, 8, len(payload) // 2 // 4 * 4, len(payload)):
        assert refused(model, assemble(header, payload[:-cut]), X)
        assert refused(model, assemble(header, payload + payload[:cut]), X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 41), ("count", "x"), ("shape", [1, 16, 4]), ("shape", None), ("steps", STEPS + 1),
        ("steps", 0),
        ("steps", 1e300), ("links", [40]), ("links", [-1, 41]), ("links", []), ("links", "ab"),
        ("links", [10**9]), ("pixels", []), ("pixels", [0]), ("grid", []), ("grid", [[0], [0]]), ("seed", -1),
        ("seed", "x"), ("prefix", [10, 20]), ("prefix", [10**9, 0]), ("prefix", None), ("threads", 0),
        ("threads", 10**9), ("payload", [1, 2]), ("payload", None), ("model", "0" * 32), ("device", "cuda"),
        ("dtype", "float64"), ("batch", 3), ("labels", True),
    ],
)  # fmt: skip
def test_headers_that_lie(file, model, name, value):
    X, data = file
    header, payload = parts(data)
    repair = name != "payload"
    assert refused(model, assemble({**header, name: value}, payload, repair=repair), X)
    del header[name]
    if repair:
        assert refused(model, assemble(header, payload), X)


def test_grids_and_links_that_lie_a_little(file, model):
    X, data = file
    header, payload = parts(data)
    grid = [list(row) for row in header["grid"]]
    grid[1][3] += 1
    assert refused(model, assemble({**header, "grid": grid}, payload), X)
    grid[1][3] -= 99
    assert refused(model, assemble({**header, "grid": grid}, payload), X)
    links = list(header["links"])
    links[-1] -= 1
    links[-2] += 1
    assert refused(model, assemble({**header, "links": links}, payload), X)
    assert refused(model, assemble({**header, "plain": header["plain"] - 1, "count": 39}, payload), X)
    refused(model, assemble({**header, "seed": 5}, payload), X)  # right pixels, if it was not touched


def test_foreign_files(model, file):
    _, data = file
    for foreign in (b"", b"x", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000), data[:10], coding.MAGIC):
        with pytest.raises(DecodeError, match="no file of compressed images"):
            model.decompress(foreign)
    newer = bytearray(data)
    struct.pack_into("<H", newer, 8, 9)
    with pytest.raises(DecodeError, match="format version 9"):
        model.decompress(bytes(newer))
    with pytest.raises(TypeError, match="data must be bytes, got str"):
        model.decompress("text")
    bomb = zlib.compress(bytes(10**8))
    start = coding._FIXED.pack(coding.MAGIC, coding.VERSION, len(bomb), 0)
    packed = coding._FIXED.pack(coding.MAGIC, coding.VERSION, len(bomb), zlib.crc32(start + bomb)) + bomb
    with pytest.raises(DecodeError, match="header cannot be read"):
        model.decompress(packed)


def test_another_model_refuses(model, file, digits):
    _, data = file
    other = PCDM(n_scales=2, **{**SMALL, "n_steps": 5}).fit(digits[0][:100])
    with pytest.raises(DecodeError, match="written by another model"):
        other.decompress(data)
    flat = VDM(**{**SMALL, "n_steps": 5}).fit(digits[0][:100])
    with pytest.raises(DecodeError, match="written by another model"):
        flat.decompress(data)


def test_networks_that_compute_differently_are_noticed(model, file, monkeypatch):
    """The same model by its hash, but whose kernels round otherwise."""
    _, data = file
    first = model.networks_[1].forward

    def nearly(*arguments):
        return first(*arguments) * (1 + 1e-3)

    monkeypatch.setattr(model.networks_[1], "forward", nearly)
    with pytest.raises(DecodeError, match=r"compute differently|cannot be decoded|damaged"):
        model.decompress(data)
