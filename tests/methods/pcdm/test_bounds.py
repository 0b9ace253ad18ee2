"""The bound is one: by enumeration of all images, by Gaussians in closed form, against one scale."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from lapwing.generative.pcdm import _algorithm as algorithm
from lapwing.generative.pcdm import cascade_bound, vdm_bound
from lapwing.multiscale import make_map

LN2 = math.log(2.0)
LEVELS = 4
#: Noise in grey steps as with -13.3 and 256 grey values.
GAMMA_MIN = -13.3 + 2.0 * math.log(256 / LEVELS)
GAMMA_MAX = 5.0
REPEATS = 10  # of the population, each with noise of its own


# ---- all images of 2 x 2 pixels with 4 grey values -----------------------------------------------------


def all_images() -> tuple[np.ndarray, np.ndarray]:
    """The 256 images, encoded, and probabilities under which neighbours are alike and some are preferred."""
    x = np.array(list(itertools.product(range(LEVELS), repeat=4))).reshape(-1, 1, 2, 2)
    rng = np.random.default_rng(7)
    rough = np.abs(np.diff(x, axis=2)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=3)).sum((1, 2, 3))
    p = np.exp(-0.7 * rough + 0.8 * rng.normal(size=len(x)))
    return (2 * x + 1) / LEVELS - 1, p / p.sum()


def repeated(x: torch.Tensor) -> torch.Tensor:
    return x.repeat(REPEATS, 1, 1, 1)


def exact_denoiser(targets: torch.Tensor, p: torch.Tensor, seen: torch.Tensor | None, variance: float):
    """The posterior mean over a finite population, given the latent and the condition."""

    def network(z, gamma, condition, label):
        v = torch.sigmoid(gamma)[:, None]
        alpha, sigma = torch.sigmoid(-gamma).sqrt()[:, None], v.sqrt()
        flat, values = z.flatten(1), targets.flatten(1)
        log = p.log() - (flat[:, None] - alpha[:, :, None] * values).square().sum(2) / (2 * v)
        if seen is not None:
            log = log - (condition.flatten(1)[:, None] - seen.flatten(1)).square().sum(2) / (2 * variance)
        mean = torch.softmax(log, 1) @ values
        return ((flat - alpha * mean) / sigma).reshape(z.shape)

    return network


@pytest.fixture(scope="module")
def population():
    images, p = all_images()
    entropy = float(-(p * np.log(p)).sum() / (4 * LN2))
    return torch.from_numpy(images), torch.from_numpy(p), entropy


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def expectation(terms: np.ndarray, std: np.ndarray, p: torch.Tensor) -> tuple[float, float]:
    """Mean over the population and its standard error, in bits per dimension."""
    weights = np.tile(p.numpy(), REPEATS) / REPEATS
    mean = float(weights @ terms.sum(1))
    error = math.sqrt(float((weights**2) @ (std**2).sum(1)))
    return mean / (4 * LN2), error / (4 * LN2)


OPTIONS = {
    "gamma_min": GAMMA_MIN,
    "gamma_max": GAMMA_MAX,
    "vocab_size": LEVELS,
    "n_t": 150,
    "return_std": True,
}


def cascade_of(population, *, clean: bool = False):
    images, p, _ = population
    bands = make_map("wavelet", "haar", 1).forward(images)
    # what is known of the coarse scale: its noisy latent, or (no bound) the scale itself
    variance = 1e-8 if clean else math.exp(GAMMA_MIN)
    networks = [exact_denoiser(bands[0], p, None, 1.0), exact_denoiser(bands[1], p, bands[0], variance)]
    return [repeated(b) for b in bands], networks


def test_one_scale_is_a_bound(population):
    images, p, entropy = population
    network = exact_denoiser(images, p, None, 1.0)
    value, error = expectation(*vdm_bound(repeated(images), network, **OPTIONS), p)
    assert error < 0.012
    assert entropy - 4 * error < value < entropy + 4 * error + 0.01


def test_the_cascade_on_noisy_scales_is_the_same_bound(population):
    images, p, entropy = population
    bands, networks = cascade_of(population)
    value, error = expectation(*cascade_bound(bands, networks, **OPTIONS), p)
    single, other = expectation(
        *vdm_bound(repeated(images), exact_denoiser(images, p, None, 1.0), **OPTIONS), p
    )
    assert entropy - 4 * error < value < entropy + 4 * error + 0.01
    assert abs(value - single) < 4 * math.hypot(error, other) + 5e-4


def test_the_cascade_on_clean_scales_is_none(population):
    """What must not be done: it comes out far below the entropy."""
    _, p, entropy = population
    bands, networks = cascade_of(population, clean=True)
    images = make_map("wavelet", "haar", 1).inverse(bands)
    grey = ((images + 1) * LEVELS / 2 - 0.5).round().long()
    rows = algorithm.Rows(bands, [None, bands[0]], [(grey, 0, LEVELS - 1)])

    def gamma(t):
        return GAMMA_MIN + (GAMMA_MAX - GAMMA_MIN) * t, torch.full_like(t, GAMMA_MAX - GAMMA_MIN)

    terms, variances = algorithm.bound_terms(rows, networks, gamma, vocab_size=LEVELS, noisy=False, n_t=150)
    value, error = expectation(terms, np.sqrt(variances), p)
    assert value < entropy - 0.03 - 4 * error


def test_integers_are_a_bound(population):
    """Every scale on its own lattice, given the exact coarser integers."""
    images, p, entropy = population
    x = ((images.numpy() + 1) * LEVELS / 2 - 0.5).round().astype(np.int64)
    scales = algorithm.Scales("integer", "s", 2, LEVELS, (1, 2, 2))
    rows = scales.rows(np.tile(x, (REPEATS, 1, 1, 1)), "cpu", torch.float64)
    first, second, coarse = rows.bands[0][:256], rows.bands[1][:256], rows.conditions[1][:256]
    networks = [exact_denoiser(first, p, None, 1.0), exact_denoiser(second, p, coarse, 1e-8)]

    def gamma(t):
        return GAMMA_MIN + (GAMMA_MAX - GAMMA_MIN) * t, torch.full_like(t, GAMMA_MAX - GAMMA_MIN)

    terms, variances = algorithm.bound_terms(rows, networks, gamma, vocab_size=LEVELS, noisy=False, n_t=150)
    assert terms.shape == (256 * REPEATS, 2)
    value, error = expectation(terms, np.sqrt(variances), p)
    assert entropy - 4 * error < value < entropy + 4 * error + 0.03


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_only_the_ends_of_gamma_count(population, power):
    """What lies between them changes the spread of the estimate, and not what is estimated."""
    images, p, _ = population
    rows = algorithm.Rows([repeated(images)], [None], [])
    network = exact_denoiser(images, p, None, 1.0)

    def curved(t):
        span = GAMMA_MAX - GAMMA_MIN
        u = (0.9 * t.clamp(min=1e-12) ** power) + 0.1 * t
        return GAMMA_MIN + span * u, span * (0.9 * power * t.clamp(min=1e-12) ** (power - 1) + 0.1)

    def straight(t):
        return GAMMA_MIN + (GAMMA_MAX - GAMMA_MIN) * t, torch.full_like(t, GAMMA_MAX - GAMMA_MIN)

    (value, error), (other, spread) = (
        expectation(terms, np.sqrt(variances), p)
        for terms, variances in (
            algorithm.bound_terms(rows, [network], g, vocab_size=None, n_t=150) for g in (straight, curved)
        )
    )
    assert max(error, spread) < 0.03
    assert abs(value - other) < 4 * math.hypot(error, spread)


def test_discrete_time_comes_down_to_continuous_time(population):
    images, p, entropy = population
    network = exact_denoiser(images, p, None, 1.0)
    values = []
    for steps in (5, 20, 100):
        options = OPTIONS | {"n_t": 100, "timesteps": steps}
        value, error = expectation(*vdm_bound(repeated(images), network, **options), p)
        assert value > entropy - 4 * error
        values.append(value)
    assert values[0] > values[1] > values[2]


# ---- Gaussians -----------------------------------------------------------------------------------------


def autoregressive(n: int = 8, rho: float = 0.95, sd: float = 0.5) -> np.ndarray:
    one = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return sd * sd * np.kron(one, one)


def diffusion(C: np.ndarray, low: float, high: float) -> float:
    """The diffusion term of N(0, C) with the exact denoiser, in nats."""
    one = np.eye(len(C))
    return 0.5 * (
        np.linalg.slogdet(one + C * math.exp(-low))[1] - np.linalg.slogdet(one + C * math.exp(-high))[1]
    )


def by_scale(C: np.ndarray, low: float) -> list[np.ndarray]:
    """Covariances of the two Haar scales, of the second given the noisy first."""
    h = make_map("wavelet", "haar", 1)
    J = np.concatenate([z.reshape(64, -1) for z in h.forward(np.eye(64).reshape(64, 1, 8, 8))], 1).T
    A = J @ C @ J.T
    first, cross = A[:16, :16], A[16:, :16]
    return [first, A[16:, 16:] - cross @ np.linalg.solve(first + math.exp(low) * np.eye(16), cross.T)]


@pytest.mark.parametrize(
    ("low", "high", "single", "cascade"),
    [(-13.3, 5.0, 5.655523, 5.655536), (-11.5, 12.0, 4.365362, 4.365362)],
)
def test_the_closed_form_of_gaussians(low, high, single, cascade):
    C = autoregressive()
    unit = 64 * LN2
    assert diffusion(C, low, high) / unit == pytest.approx(single, abs=1e-6)
    assert sum(diffusion(S, low, high) for S in by_scale(C, low)) / unit == pytest.approx(cascade, abs=1e-6)


def test_the_estimate_agrees_with_the_closed_form():
    low, high = -11.5, 5.0
    C = autoregressive()
    rng = np.random.default_rng(0)
    x = (np.linalg.cholesky(C) @ rng.normal(size=(64, 400))).T.reshape(-1, 1, 8, 8)
    h = make_map("wavelet", "haar", 1)
    bands = h.forward(x)
    J = np.concatenate([z.reshape(64, -1) for z in h.forward(np.eye(64).reshape(64, 1, 8, 8))], 1).T
    A = J @ C @ J.T
    gain = np.linalg.solve(A[:16, :16] + math.exp(low) * np.eye(16), A[:16, 16:])  # of the condition

    def linear(S: np.ndarray, gain: np.ndarray | None):
        values, vectors = (torch.from_numpy(a) for a in np.linalg.eigh(S))

        def network(z, gamma, condition, label):
            alpha, v = torch.sigmoid(-gamma).sqrt()[:, None], torch.sigmoid(gamma)[:, None]
            flat = z.double().flatten(1)
            mean = 0.0 if gain is None else condition.double().flatten(1) @ torch.from_numpy(gain)
            left = (flat - alpha * mean) @ vectors
            eps = (left * v.sqrt() / (alpha**2 * values + v)) @ vectors.T
            return eps.reshape(z.shape)

        return network

    covariances = by_scale(C, low)
    networks = [linear(covariances[0], None), linear(covariances[1], gain)]
    terms, std = cascade_bound(
        bands, networks, gamma_min=low, gamma_max=high, vocab_size=None, n_t=64, return_std=True
    )
    for s in range(2):
        prior = algorithm.prior_terms(torch.from_numpy(bands[s]), high).numpy()
        expected = diffusion(covariances[s], low, high)
        estimate = (terms[:, s] - prior).mean()
        error = (terms[:, s] - prior).std() / math.sqrt(len(x))
        assert abs(estimate - expected) < 4 * error
        assert error < 0.01 * expected
    assert (std[:, :2] > 0).all()


# ---- terms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "scale"), [(0, 255, 0.41), (0, 16, 0.05), (-30, 70, 3.0), (0, 1, 0.4), (0, 65535, 7.0)]
)
def test_reconstruction_is_a_softmax_over_the_range(low, high, scale):
    torch.manual_seed(0)
    k = torch.randint(low, high + 1, (5, 1, 4, 4))
    eps = torch.randn(k.shape, dtype=torch.float64)
    got = algorithm.reconstruction(k, eps, torch.tensor(scale, dtype=torch.float64), low, high)
    seen = k + scale * eps
    values = torch.arange(low, high + 1, dtype=torch.float64)
    logits = -(values - seen[..., None]).square() / (2 * scale**2)
    own = torch.gather(torch.log_softmax(logits, -1), -1, (k - low)[..., None])
    assert torch.allclose(got, -own.flatten(1).sum(1), rtol=1e-9, atol=1e-12)


def test_prior_and_step_costs():
    b = torch.tensor([[[[0.3, -1.2]]]], dtype=torch.float64)
    v = 1 / (1 + math.exp(-5.0))
    expected = 0.5 * sum((1 - v) * f * f + v - math.log(v) - 1 for f in (0.3, -1.2))
    assert float(algorithm.prior_terms(b, 5.0)) == pytest.approx(expected, rel=1e-9)
    error, a = torch.tensor([[[[0.7]]]], dtype=torch.float64), torch.tensor([0.2], dtype=torch.float64)
    assert float(algorithm.step_cost(error, a, None)) == pytest.approx(0.5 * 0.2 * 0.7)
    m = torch.tensor([[0.7]], dtype=torch.float64)
    assert float(algorithm.step_cost(error, a, m)) == pytest.approx(0.5 * math.log1p(0.2 * 0.7))
    # the relative entropy of two Gaussians, written out
    m = torch.tensor([[0.3]], dtype=torch.float64)
    ratio, shift = 1 + 0.2 * 0.3, 0.2 * 0.7
    expected = 0.5 * (math.log(ratio) + (1 + shift) / ratio - 1)
    assert float(algorithm.step_cost(error, a, m)) == pytest.approx(expected)


def test_small_noise_does_not_cancel():
    alpha, sigma = algorithm._alpha_sigma(-40.0)
    assert sigma == pytest.approx(math.exp(-20.0), rel=1e-12)
    assert alpha == 1.0
    for gamma in (-13.3, 0.0, 7.0):
        alpha, sigma = algorithm._alpha_sigma(gamma)
        assert alpha**2 + sigma**2 == pytest.approx(1.0, rel=1e-14)
        assert 2 * math.log(sigma / alpha) == pytest.approx(gamma, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda b: cascade_bound(b, []), "one network a scale"),
        (lambda b: cascade_bound([], []), "at least one scale"),
        (lambda b: cascade_bound(b, [None, None], gamma_min=1.0, gamma_max=0.0), "gamma_min must be below"),
        (lambda b: cascade_bound(b, [None, None], n_t=0), "n_t must be >= 1"),
        (lambda b: cascade_bound(b, [None, None]), "do not stand for 256 grey values"),
    ],
)
def test_bad_input_of_the_bound(call, words):
    bands = make_map("wavelet", "haar", 1).forward(np.full((1, 1, 2, 2), 0.1234))
    with pytest.raises(ValueError, match=words):
        call(bands)
