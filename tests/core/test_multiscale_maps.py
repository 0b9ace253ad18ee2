"""Maps that preserve volume, by their matrices; and the wavelet distance beside exact transport."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lapwing.multiscale import HierarchicalMap, Wavelet, make_map, wavedec2, wavelet_emd

FLOAT = [
    ("wavelet", "haar"), ("wavelet", "db2"), ("wavelet", "db4"), ("wavelet", "coif2"), ("laplacian", "haar"),
    ("laplacian", "db3"), ("lifting", "haar"), ("lifting", "bior2.2"), ("lifting", "bior4.4"),
]  # fmt: skip
INTEGER = ["s", "legall53", "cdf26", "97m"]


def matrix(h: HierarchicalMap, side: int) -> np.ndarray:
    """The Jacobian: one column a pixel."""
    units = np.eye(side * side).reshape(-1, 1, side, side)
    return np.concatenate([z.reshape(side * side, -1) for z in h.forward(units)], axis=1).T


@pytest.mark.parametrize(("kind", "wavelet"), FLOAT)
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_volume_is_preserved(kind, wavelet, levels):
    h = make_map(kind, wavelet, levels)
    J = matrix(h, 16)
    assert (J.shape[0] == J.shape[1]) == (h.is_square or levels == 0)
    sign, logdet = np.linalg.slogdet(J.T @ J)
    assert sign == 1
    assert abs(0.5 * logdet - h.logabsdet) < 1e-12
    isometry = np.abs(J.T @ J - np.eye(256)).max()
    assert (isometry < 1e-13) == (h.is_isometry or levels == 0)
    if h.is_square and levels:
        assert abs(np.linalg.slogdet(J)[1]) < 1e-12


@pytest.mark.parametrize(("kind", "wavelet"), FLOAT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_adjoint_and_shapes(kind, wavelet, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8, 16)).astype(dtype)
    tol = 1e-12 if dtype == np.float64 else 3e-6
    h = make_map(kind, wavelet, 2)
    zs = h.forward(x)
    assert [z.shape for z in zs] == h.band_shapes(x.shape)
    assert {z.dtype for z in zs} == {np.dtype(dtype)}
    assert np.abs(h.inverse(zs) - x).max() < tol
    r = [rng.normal(size=z.shape).astype(dtype) for z in zs]
    left = sum(float((a * b).sum(dtype=np.float64)) for a, b in zip(zs, r, strict=True))
    assert abs(left - float((x * h.adjoint(r)).sum(dtype=np.float64))) < 100 * tol
    # the first scales alone are the others set to zero
    part = h.partial_inverse(zs[:2])
    assert np.abs(part - h.inverse([*zs[:2], np.zeros_like(zs[2])])).max() < tol
    assert h.partial_inverse(zs[:1]).shape == x.shape


@pytest.mark.parametrize(("kind", "wavelet"), FLOAT)
def test_tensors_and_gradients(kind, wavelet):
    torch.manual_seed(0)
    h = make_map(kind, wavelet, 2)
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    plain = h.forward(x)
    arrays = h.forward(x.numpy())
    assert all(isinstance(z, torch.Tensor) for z in plain)
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(plain, arrays, strict=True))
    leaf = x.clone().requires_grad_(True)
    zs = h.forward(leaf)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(zs, plain, strict=True))
    r = [torch.randn_like(z) for z in zs]
    (gradient,) = torch.autograd.grad(sum((a * b).sum() for a, b in zip(zs, r, strict=True)), leaf)
    assert torch.allclose(gradient, h.adjoint(r), atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda *z: h.inverse(list(z)), [z.clone().requires_grad_(True) for z in r]
    )
    half = h.forward(x.half())
    assert half[0].dtype == torch.float16


def test_band_major_layout():
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    coarse, details = make_map("wavelet", "db2", 1).forward(x)
    expected = wavedec2(x, "db2", "periodization", 1)
    assert np.array_equal(coarse, expected[0])
    for i, band in enumerate(expected[1]):  # da, ad, dd
        assert np.array_equal(details[:, 3 * i : 3 * i + 3], band)


def test_laplacian_details_are_what_the_coarse_image_lacks():
    x = np.random.default_rng(0).normal(size=(1, 1, 8, 8))
    coarse, details = make_map("laplacian", "haar", 1).forward(x)
    blocks = x.reshape(1, 1, 4, 2, 4, 2).mean((3, 5))
    assert np.allclose(coarse, 2 * blocks)
    assert np.allclose(details, x - np.kron(blocks, np.ones((2, 2))))
    h = make_map("laplacian", "db2", 2)
    r = [np.random.default_rng(1).normal(size=z.shape) for z in h.forward(x)]
    once = h.project(r)
    assert all(np.allclose(a, b) for a, b in zip(h.forward(h.adjoint(r)), once, strict=True))
    assert all(np.allclose(a, b) for a, b in zip(h.project(once), once, strict=True))


@pytest.mark.parametrize("scheme", INTEGER)
@pytest.mark.parametrize("levels", [1, 2])
def test_integers_come_back(scheme, levels):
    rng = np.random.default_rng(0)
    h = make_map("integer", scheme, levels)
    for dtype, high in ((np.uint8, 256), (np.int64, 65536)):
        x = rng.integers(0, high, size=(3, 2, 8, 12)).astype(dtype)
        zs = h.forward(x)
        assert [z.shape for z in zs] == h.band_shapes(x.shape)
        assert all(z.dtype.kind == "i" for z in zs)
        assert np.array_equal(h.inverse(zs), x)
    t = torch.from_numpy(x)
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(h.forward(t), zs, strict=True))
    assert torch.equal(h.inverse(h.forward(t)).to(t.dtype), t)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.sampled_from(FLOAT), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6)
)  # fmt: skip
def test_round_trip_of_any_shape(pair, levels, a, b, seed):
    kind, wavelet = pair
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, a * 2**levels, b * 2**levels))  # no batch axis
    h = make_map(kind, wavelet, levels)
    strided = np.asfortranarray(x)[:, ::-1]
    assert np.abs(h.inverse(h.forward(strided)) - strided).max() < 1e-11


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: make_map("pyramid"), ValueError, "'wavelet', 'laplacian', 'lifting', 'integer'"),
        (lambda: make_map("wavelet", "bior2.2"), ValueError, r"not orthogonal.*\|W W' - I\| is 0\.[0-9]+"),
        (lambda: make_map("laplacian", "bior4.4"), ValueError, "not orthogonal"),
        (lambda: make_map("wavelet", "db99"), ValueError, "unknown wavelet"),
        (lambda: make_map("lifting", "db2"), ValueError, "wavelet must be one of 'haar'"),
        (lambda: make_map("integer", "db2"), ValueError, "wavelet must be one of"),
        (lambda: make_map("wavelet", levels=-1), ValueError, "levels must be >= 0"),
        (lambda: make_map("wavelet", levels=1.5), TypeError, "levels must be an integer"),
        (lambda: make_map("wavelet", levels=3).forward(np.ones((1, 1, 8, 12))), ValueError,
         "axis 3 has length 12.*multiple of 8 for 3 levels.*mode='symmetric'"),
        (lambda: make_map("wavelet").forward(np.ones((8, 8))), ValueError, r"shape \(..., C, H, W\)"),
        (lambda: make_map("wavelet").forward(np.ones((1, 8, 8), dtype=bool)), TypeError, "boolean"),
        (lambda: make_map("wavelet").forward(np.ones((1, 8, 8), dtype=complex)), TypeError, "real numbers"),
        (lambda: make_map("integer").forward(np.ones((1, 8, 8))), TypeError, "integers for the integer map"),
        (lambda: make_map("integer").adjoint([np.ones((1, 4, 4), int)]), ValueError, "not linear"),
        (lambda: make_map("lifting").project([np.ones((1, 4, 4))]), ValueError, "no isometry"),
        (lambda: make_map("wavelet").inverse([np.ones((1, 4, 4))]), ValueError, "2 scales, got 1"),
        (lambda: make_map("wavelet").partial_inverse([]), ValueError, "1 to 2 scales"),
        (lambda: make_map("wavelet").inverse([np.ones((1, 4, 4)), np.ones((1, 4, 4))]), ValueError,
         r"zs\[1\] must have shape \(3, 4, 4\), got \(1, 4, 4\)"),
    ],
)  # fmt: skip
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_bank_of_ones_own_is_judged_by_its_numbers():
    exact = Wavelet("db2")
    good = Wavelet("mine", exact.filter_bank)
    assert make_map("wavelet", good, 1).is_isometry
    bent = [list(f) for f in exact.filter_bank]
    bent[0][0] += 1e-8
    with pytest.raises(ValueError, match="'mine' is not orthogonal"):
        make_map("wavelet", Wavelet("mine", bent))


# ---- the distance --------------------------------------------------------------------------------------


def blobs(rng: np.random.Generator, side: int = 16) -> np.ndarray:
    i, j = np.mgrid[:side, :side]
    out = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        a, b = rng.uniform(0, side, 2)
        out += rng.uniform(0.3, 1.0) * np.exp(
            -((i - a) ** 2 + (j - b) ** 2) / (2 * rng.uniform(0.8, 3.0) ** 2)
        )
    return out / out.sum()


def test_it_goes_with_exact_transport():
    rng = np.random.default_rng(0)
    places = np.stack(np.mgrid[:16, :16], -1).reshape(-1, 2).astype(float)
    cost = ot.dist(places, metric="euclidean")
    pairs = [(blobs(rng), blobs(rng)) for _ in range(150)]
    exact = np.array([ot.emd2(u.ravel(), v.ravel(), cost) for u, v in pairs])
    quick = np.array([wavelet_emd(u, v) for u, v in pairs])
    plain = np.array([np.linalg.norm(u - v) for u, v in pairs])
    assert np.corrcoef(exact, quick)[0, 1] >= 0.80  # of the specification
    assert np.corrcoef(exact, quick)[0, 1] > np.corrcoef(exact, plain)[0, 1] + 0.1


def test_its_definition():
    rng = np.random.default_rng(0)
    u, v = rng.random((2, 8, 8))
    v *= u.sum() / v.sum()
    coeffs = wavedec2(u - v, "haar", "periodization", 3)
    expected = sum(
        2.0 ** (level * (0.7 + 1)) * sum(np.abs(b).sum() for b in coeffs[4 - level]) for level in (1, 2, 3)
    )
    assert np.isclose(wavelet_emd(u, v, s=0.7), expected)
    assert wavelet_emd(u, u) == 0.0
    assert np.isclose(wavelet_emd(u, v), wavelet_emd(v, u))
    assert np.isclose(wavelet_emd(3 * u, v, normalize=True), wavelet_emd(u / u.sum(), v / v.sum()))
    line = np.zeros((2, 64))
    line[0, 10] = line[1, 11] = 1.0
    assert wavelet_emd(*line) > 0


def test_shifts_make_it_tell_less_of_the_grid():
    def ratio(shifts: int) -> float:
        values = []
        for i in range(4, 12):
            u, v = np.zeros((2, 16))
            u[i] = v[i + 1] = 1.0
            values.append(wavelet_emd(u, v, shifts=shifts))
        return max(values) / min(values)

    assert ratio(16) < 1.0 + 1e-9 < ratio(4) < ratio(1)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((np.ones(4), np.ones(8)), {}, ValueError, "one shape"),
        ((np.ones(4), 2 * np.ones(4)), {}, ValueError, "one sum.*normalize=True"),
        ((np.zeros(4), np.zeros(4)), {"normalize": True}, ValueError, "sums to 0"),
        ((np.array([1.0, np.nan]), np.ones(2)), {}, ValueError, "u must be finite"),
        ((np.ones(4), np.ones(4)), {"shifts": 0}, ValueError, "shifts must be >= 1"),
        ((np.ones(4), np.ones(4)), {"s": -1.0}, ValueError, "s must be > 0"),
        ((np.ones(4), np.ones(4)), {"wavelet": "x"}, ValueError, "unknown wavelet"),
        ((np.ones(4, dtype=complex), np.ones(4)), {}, TypeError, "u is complex"),
        ((np.ones(()), np.ones(())), {}, ValueError, "at least one"),
    ],
)  # fmt: skip
def test_bad_distances(arguments, options, error, words):
    with pytest.raises(error, match=words):
        wavelet_emd(*arguments, **options)
