"""Bounds, sampling and the split into scales: functions of arrays, networks and a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing._optional import need
from lapwing.multiscale import make_map

__all__ = [
    "Rows",
    "Scales",
    "bound_terms",
    "cascade_bound",
    "default_gamma_min",
    "importance_bound",
    "mse_of_scale",
    "noise_error",
    "prior_terms",
    "reconstruction",
    "sample_latent",
    "step_cost",
    "vdm_bound",
]

Doubles = NDArray[np.float64]
Tensor = Any  # torch.Tensor
Network = Callable[..., Tensor]  # (z, gamma, condition, label) -> noise
LN2 = math.log(2.0)
#: Half-width, in standard deviations, of the window of grey values that a reconstruction looks at.
_WINDOW = 8.0


def torch_module() -> Any:
    """The module torch."""
    return need("torch", extra="torch", purpose="PCDM")


def default_gamma_min(vocab_size: int) -> float:
    """The start of the schedule at which the noise is 0.41 grey steps: -11.5 for 256 grey values."""
    return -11.5 + 2.0 * math.log(256.0 / vocab_size)


# --- from images to scales ----------------------------------------------------------------------------


@dataclass
class Rows:
    """Some images as a model sees them, in torch tensors.

    Attributes
    ----------
    bands : list
        Of the scales, the coarsest first: (n, channels, h, w).
    conditions : list
        The coarse image of each scale, without noise; None for the first.
    lattices : list of (tensor, int, int)
        Integers to be told from the latents, and the range of them: the pixels; or one entry a scale.
    """

    bands: list[Tensor]
    conditions: list[Tensor | None]
    lattices: list[tuple[Tensor, int, int]]

    def __len__(self) -> int:
        return len(self.bands[0])


class Scales:
    """The hierarchy of a model for images of one shape.

    Parameters
    ----------
    hierarchy : {"wavelet", "laplacian", "integer"}
        The latents of "laplacian" are kept in the wavelet bands, an orthonormal basis of what its details
        can be.
    wavelet : str
    n_scales, vocab_size : int
    shape : tuple of int
        Channels, height, width.
    """

    def __init__(
        self, hierarchy: str, wavelet: str, n_scales: int, vocab_size: int, shape: tuple[int, int, int]
    ) -> None:
        self.integer = hierarchy == "integer"
        self.vocab_size, self.shape = vocab_size, shape
        self.n_scales, self.levels = n_scales, n_scales - 1
        kind = "integer" if self.integer else "wavelet"
        self.map = make_map(kind, wavelet, self.levels)
        self._one = make_map(kind, wavelet, 1)
        self.shapes: list[tuple[int, ...]] = self.map.band_shapes(shape)
        self.dims = [math.prod(s) for s in self.shapes]
        self.n_dims = math.prod(shape)
        self.ranges = self._ranges() if self.integer else [(0, vocab_size - 1)]

    def _ranges(self) -> list[tuple[int, int]]:
        low, out = (0, self.vocab_size - 1), []
        for _ in range(self.levels):
            rows = _integer_range(*low, str(self._one.wavelet))
            low, *high = [r for part in rows for r in _integer_range(*part, str(self._one.wavelet))]
            out.append((min(r[0] for r in high), max(r[1] for r in high)))
        return [low, *out[::-1]]

    def encode(self, x: Any) -> Any:
        """Grey values as numbers in -1..1."""
        return (2.0 * x + 1.0) / self.vocab_size - 1.0

    def _encode_scale(self, k: Any, s: int) -> Any:
        """Integers of a scale as numbers: the coarsest as grey values, differences around 0."""
        return self.encode(k) if s == 0 else (2.0 / self.vocab_size) * k

    def on_lattice(self, latent: Any, s: int) -> Any:
        """Undo the encoding: where numbers stand among the integers of a scale."""
        half = self.vocab_size / 2.0
        return (latent + 1.0) * half - 0.5 if s == 0 or not self.integer else latent * half

    def split(self, x: NDArray[Any]) -> tuple[list[Doubles], list[Doubles | None], list[NDArray[np.int64]]]:
        """Integer images (n, C, H, W) to bands, clean conditions, and integers, all of them NumPy arrays."""
        ints = np.ascontiguousarray(x, dtype=np.int64)
        current: Any = ints if self.integer else self.encode(ints.astype(np.float64))
        details: list[Any] = []
        coarse: list[Any] = []
        for _ in range(self.levels):
            current, high = self._one.forward(current)
            details.append(high)
            coarse.append(current)
        raw = [current, *details[::-1]]
        conditions: list[Any] = [None, *coarse[::-1]]
        if not self.integer:
            return raw, conditions, [ints]
        bands = [self._encode_scale(np.asarray(k, np.float64), s) for s, k in enumerate(raw)]
        seen = [None if c is None else self.encode(np.asarray(c, np.float64)) for c in conditions]
        return bands, seen, [np.asarray(k, np.int64) for k in raw]

    def rows(self, x: NDArray[Any], device: Any, dtype: Any) -> Rows:
        """Integer images (n, C, H, W) as tensors."""
        torch = torch_module()
        bands, conditions, ints = self.split(x)

        def tensor(a: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(a)).to(device=device, dtype=dtype)

        lattices = [
            (torch.from_numpy(k).to(device), *self.ranges[s]) for s, k in enumerate(ints)
        ]  # fmt: skip
        return Rows(
            [tensor(b) for b in bands], [None if c is None else tensor(c) for c in conditions], lattices
        )

    def coarse(self, latents: Sequence[Any]) -> Any:
        """The image, at the resolution of its details, that the first scales give."""
        return make_map("wavelet", self.map.wavelet, len(latents) - 1).inverse(list(latents))

    def coarse_integers(self, ks: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The same of integers."""
        image: NDArray[Any] = make_map("integer", self.map.wavelet, len(ks) - 1).inverse(list(ks))
        return image


def _integer_range(low: int, high: int, scheme: str) -> list[tuple[int, int]]:
    """Bounds of approximation and detail of integers in low..high."""
    w = high - low
    if scheme == "s":
        return [(low, high), (-w, w)]
    if scheme == "cdf26":
        return [(low, high), (-w + (2 - w) // 4, w + (w + 2) // 4)]
    if scheme == "97m":
        detail = (low - (18 * high - 2 * low + 8) // 16, high - (18 * low - 2 * high + 8) // 16)
    else:
        detail = (-w, w)
    return [(low + (2 * detail[0] + 2) // 4, high + (2 * detail[1] + 2) // 4), detail]


# --- the terms of the bound ---------------------------------------------------------------------------


def noise_error(
    network: Network,
    band: Tensor,
    condition: Tensor | None,
    gamma: Tensor,
    gamma0: Tensor | float | None,
    draw: Any,
    label: Tensor | None = None,
) -> Tensor:
    """Squared error of the predicted noise, entry by entry.

    Parameters
    ----------
    network : callable
    band : tensor of shape (n, channels, h, w)
    condition : tensor or None
        The coarse image without noise.
    gamma : tensor of shape (n,), float64
    gamma0 : tensor, float or None
        Start of the schedule: the condition gets noise of variance ``exp(gamma0)``, the law of the image
        rebuilt from the latents of the coarser scales, since these are orthonormal. None: no noise.
    draw : torch.Generator
    label : tensor or None

    Returns
    -------
    tensor of the shape of `band`
    """
    torch = torch_module()
    eps = torch.randn(band.shape, generator=draw, device=band.device, dtype=band.dtype)
    view = (-1, 1, 1, 1)
    alpha = torch.sigmoid(-gamma).sqrt().to(band.dtype).reshape(view)
    sigma = torch.sigmoid(gamma).sqrt().to(band.dtype).reshape(view)
    z = alpha * band + sigma * eps
    if condition is not None and gamma0 is not None:
        scale = torch.exp(0.5 * torch.as_tensor(gamma0, dtype=torch.float64, device=band.device))
        noise = torch.randn(condition.shape, generator=draw, device=band.device, dtype=band.dtype)
        condition = condition + scale.to(band.dtype) * noise
    return (eps - network(z, gamma, condition, label)) ** 2


def prior_terms(band: Tensor, gamma1: Tensor | float) -> Tensor:
    """``KL(N(alpha_1 b, sigma_1^2) || N(0, 1))`` of each sample, in nats."""
    torch = torch_module()
    g = torch.as_tensor(gamma1, dtype=torch.float64, device=band.device)
    rest = torch.sigmoid(-g)  # 1 - v, and v - ln v - 1 = softplus(-g) - rest
    per_entry = torch.nn.functional.softplus(-g) - rest
    return 0.5 * (rest * band.double().square() + per_entry).flatten(1).sum(1)


def reconstruction(k: Tensor, eps: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """``-log p(k | z_0)`` of each sample: integers seen with Gaussian noise, over the integers of a range.

    Parameters
    ----------
    k : tensor of int of shape (n, ...)
    eps : tensor of the same shape
        White noise.
    scale : 0-d tensor, float64
        Its standard deviation in steps of the integers.
    low, high : int
        The range.
    """
    torch = torch_module()
    exact = k.double()
    seen = exact + scale * eps.double()
    half = min(math.ceil(_WINDOW * float(scale.detach())) + 1, high - low + 1)
    around = torch.arange(-half, half + 1, device=k.device, dtype=torch.float64)
    candidates = seen.detach().round().clamp(low, high)[..., None] + around
    inside = (candidates >= low) & (candidates <= high)
    precision = 0.5 / scale.square()
    logits = -(candidates - seen[..., None]).square() * precision
    logits = torch.where(inside, logits, -torch.inf)
    own = -(exact - seen).square() * precision
    return (torch.logsumexp(logits, -1) - own).flatten(1).sum(1)


def step_cost(error: Tensor, growth: Tensor, mse: Tensor | None) -> Tensor:
    """Relative entropy, in nats, of one reverse step, entry by entry.

    Parameters
    ----------
    error : tensor of shape (n, channels, h, w)
        ``(eps - epshat)^2``.
    growth : tensor of shape (n,)
        ``expm1(gamma_t - gamma_s)``.
    mse : tensor of shape (n, channels) or None
        Expected errors, by which the variance of the step is calibrated; None: the variance of the posterior.
    """
    a = growth.to(error.dtype).reshape(-1, 1, 1, 1)
    if mse is None:
        return 0.5 * a * error
    am = a * mse.to(error.dtype)[:, :, None, None]
    return 0.5 * (am.log1p() + (1.0 + a * error) / (1.0 + am) - 1.0)


def _generator(device: Any, *parts: Any) -> Any:
    from lapwing.nn.fit import generator

    return generator(device, *parts)


def bound_terms(
    rows: Rows,
    networks: Sequence[Network],
    gamma: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    vocab_size: int | None,
    noisy: bool = True,
    n_t: int = 64,
    timesteps: int | None = None,
    mse: Sequence[Callable[[Doubles], Doubles]] | None = None,
    labels: Tensor | None = None,
    seed: Any = 0,
) -> tuple[Doubles, Doubles]:
    """Monte-Carlo estimate of the bound on ``-log P(x)``, in nats, term by term.

    Parameters
    ----------
    rows : Rows
    networks : sequence of callable
        One a scale: (z, gamma, condition, label) to the predicted noise.
    gamma : callable
        Times in 0..1 to the schedule and its derivative.
    vocab_size : int or None
        Number of grey values; None: there is no reconstruction.
    noisy : bool, default=True
        Whether conditions are the noisy latents.
    n_t : int, default=64
        Times a sample and scale, stratified.
    timesteps : int or None, default=None
        None: continuous time. Else so many steps; all of them, if they are at most `n_t`.
    mse : sequence of callable or None, default=None
        One a scale, times to expected errors of each channel: the variances of the steps are calibrated.
    labels : tensor or None
    seed : default=0

    Returns
    -------
    terms : ndarray of shape (n, S + 1) or (n, S)
        Of the scales (prior and diffusion), then reconstruction of the pixels; where every scale has
        integers of its own, its reconstruction counts there, and there is no last column.
    variances : ndarray of the same shape
        Of these estimates.
    """
    torch = torch_module()
    n, device = len(rows), rows.bands[0].device
    count = len(rows.bands)
    own = len(rows.lattices) == count and not noisy
    out = np.zeros((n, count + (0 if own or not rows.lattices else 1)))
    variance = np.zeros_like(out)
    ends = gamma(torch.tensor([0.0, 1.0], dtype=torch.float64, device=device))[0]
    with torch.no_grad():
        for s, (band, condition) in enumerate(zip(rows.bands, rows.conditions, strict=True)):
            out[:, s] = prior_terms(band, ends[1]).cpu().numpy()
            values = _diffusion(
                networks[s], band, condition, gamma, ends[0] if noisy else None, n_t, timesteps,
                None if mse is None else mse[s], labels, (seed, s),
            )  # fmt: skip
            out[:, s] += values.mean(0)
            variance[:, s] = _stratified_variance(values)
        draws = max(1, min(n_t, 16))
        for i, (k, low, high) in enumerate(rows.lattices):
            assert vocab_size is not None
            scale = torch.exp(0.5 * ends[0]) * (vocab_size / 2.0)
            draw = _generator(device, seed, "reconstruction", i)
            each = np.stack(
                [
                    reconstruction(k, _normal(k.shape, draw, device), scale, low, high).cpu().numpy()
                    for _ in range(draws)
                ]
            )
            where = i if own else count
            out[:, where] += each.mean(0)
            if draws > 1:
                variance[:, where] += each.var(0, ddof=1) / draws
    return out, variance


def _stratified_variance(values: Doubles) -> Doubles:
    """Variance of the mean of one draw a stratum, from the differences of neighbours."""
    n = len(values)
    if n < 2:
        return np.zeros(values.shape[1])
    variance: Doubles = np.square(np.diff(values, axis=0)).sum(0) / (2.0 * n * (n - 1))
    return variance


def _normal(shape: Any, draw: Any, device: Any) -> Tensor:
    torch = torch_module()
    return torch.randn(shape, generator=draw, device=device, dtype=torch.float64)


def _diffusion(
    network: Network,
    band: Tensor,
    condition: Tensor | None,
    gamma: Callable[[Tensor], tuple[Tensor, Tensor]],
    gamma0: Tensor | None,
    n_t: int,
    timesteps: int | None,
    mse: Callable[[Doubles], Doubles] | None,
    labels: Tensor | None,
    seed: Any,
) -> Doubles:
    """Estimates of the diffusion term, one a row: (number of times, n)."""
    torch = torch_module()
    n, device = len(band), band.device
    every = timesteps is not None and timesteps <= n_t
    times = int(timesteps) if every and timesteps is not None else n_t
    values = np.empty((times, n))
    for j in range(times):
        draw = _generator(device, seed, j)
        u = torch.rand(n, generator=draw, device=device, dtype=torch.float64)
        t = (j + u) / times
        if timesteps is None:
            g, slope = gamma(t)
            error = noise_error(network, band, condition, g, gamma0, draw, labels)
            value = 0.5 * slope * error.double().flatten(1).sum(1)
        else:
            i = torch.full_like(t, j + 1) if every else (t * timesteps).floor() + 1
            after, before = gamma(i / timesteps)[0], gamma((i - 1) / timesteps)[0]
            error = noise_error(network, band, condition, after, gamma0, draw, labels).double()
            expected = None
            if mse is not None:
                expected = torch.from_numpy(mse((i / timesteps).cpu().numpy())).to(device)
            cost = step_cost(error, torch.expm1(after - before), expected)
            value = timesteps * cost.flatten(1).sum(1)
        values[j] = value.cpu().numpy()
    return values


def cascade_bound(
    bands: Sequence[Any],
    networks: Sequence[Network],
    *,
    gamma_min: float = -11.5,
    gamma_max: float = 5.0,
    vocab_size: int | None = 256,
    wavelet: Any = "haar",
    n_t: int = 64,
    timesteps: int | None = None,
    return_std: bool = False,
    seed: int = 0,
) -> Any:
    """The strict bound on ``-log P(x)`` of a cascade of denoisers on wavelet scales, in nats.

    Every scale is conditioned on the noisy latents of the coarser ones, which is what makes the sum a bound.

    Parameters
    ----------
    bands : sequence of array or tensor
        Scales of images, the coarsest first, as from `lapwing.multiscale.make_map` of kind "wavelet"; images
        are grey values v encoded as ``(2 v + 1) / vocab_size - 1``.
    networks : sequence of callable
        One a scale: ``network(z, gamma, condition, label)`` predicts the noise in ``z = sqrt(1 - v) b +
        sqrt(v) eps``, where ``v = sigmoid(gamma)``, from tensors of shapes (n, channels, h, w), (n,) and (n,
        C, h, w); the condition is None for the first scale, and the label None.
    gamma_min, gamma_max : float, default=-11.5, 5.0
        Ends of the schedule, which is linear (the interior does not matter in continuous time).
    vocab_size : int or None, default=256
        Number of grey values; None: the bands hold continuous values, and there is no reconstruction.
    wavelet : str or Wavelet, default="haar"
    n_t : int, default=64
        Times a sample and scale, stratified.
    timesteps : int or None, default=None
        None: continuous time; else the discrete-time bound with so many steps.
    return_std : bool, default=False
        Also return standard errors of the Monte-Carlo estimates.
    seed : int, default=0

    Returns
    -------
    bounds : ndarray of shape (n, S + 1)
        Terms of the scales and, last, of the reconstruction (0 without `vocab_size`): their sum is the bound.
    std : ndarray of the same shape
        With `return_std`.

    Raises
    ------
    ValueError
        Numbers of bands and networks differ, shapes do not fit, or an argument is out of range.
    ImportError
        torch is not installed.

    References
    ----------
    Diederik Kingma, Tim Salimans, Ben Poole, Jonathan Ho, "Variational Diffusion Models", 2021.

    Henry Li, Ronen Basri, Yuval Kluger, "Likelihood Training of Cascaded Diffusion Models via Hierarchical
    Volume-preserving Maps", 2024.
    """
    torch = torch_module()
    if len(bands) != len(networks):
        raise ValueError(
            f"there must be one network a scale, got {len(bands)} scales, {len(networks)} networks"
        )
    if not bands:
        raise ValueError("bands must hold at least one scale")
    _validate.check_integer(n_t, "n_t", 1)
    if timesteps is not None:
        _validate.check_integer(timesteps, "timesteps", 1)
    if not gamma_min < gamma_max:
        raise ValueError(f"gamma_min must be below gamma_max, got {gamma_min} and {gamma_max}")
    tensors = [torch.as_tensor(b) for b in bands]
    tensors = [b if b.is_floating_point() else b.double() for b in tensors]
    conditions: list[Tensor | None] = [None]
    conditions += [make_map("wavelet", wavelet, s - 1).inverse(tensors[:s]) for s in range(1, len(tensors))]
    lattices = []
    if vocab_size is not None:
        size = _validate.check_integer(vocab_size, "vocab_size", 2)
        image = make_map("wavelet", wavelet, len(tensors) - 1).inverse(tensors)
        place = (image.double() + 1.0) * (size / 2.0) - 0.5
        k = place.round().long()
        if bool(((place - k).abs() > 0.01).any()):
            raise ValueError(f"bands do not stand for {size} grey values; vocab_size=None for other images")
        if bool((k < 0).any()) or bool((k >= size).any()):
            raise ValueError(f"bands stand for grey values outside 0..{size - 1}")
        lattices = [(k, 0, size - 1)]

    def gamma(t: Tensor) -> tuple[Tensor, Tensor]:
        slope = gamma_max - gamma_min
        return gamma_min + slope * t, torch.full_like(t, slope)

    terms, variances = bound_terms(
        Rows(tensors, conditions, lattices), networks, gamma, vocab_size=vocab_size, n_t=n_t,
        timesteps=timesteps, seed=seed,
    )  # fmt: skip
    if vocab_size is None:
        terms, variances = (np.pad(a, ((0, 0), (0, 1))) for a in (terms, variances))
    return (terms, np.sqrt(variances)) if return_std else terms


def vdm_bound(images: Any, network: Network, **options: Any) -> Any:
    """The bound of one denoiser on whole images: `cascade_bound` with one scale.

    Parameters
    ----------
    images : array or tensor of shape (n, C, H, W)
        Encoded grey values.
    network : callable
    **options
        Those of `cascade_bound`.

    Returns
    -------
    ndarray of shape (n, 2)
        Diffusion with prior, and reconstruction.

    Raises
    ------
    ValueError, ImportError
        As for `cascade_bound`.
    """
    return cascade_bound([images], [network], **options)


# --- calibration --------------------------------------------------------------------------------------


def mse_of_scale(
    network: Network,
    band: Tensor,
    condition: Tensor | None,
    gamma: Callable[[Tensor], tuple[Tensor, Tensor]],
    times: Doubles,
    noisy: bool,
    labels: Tensor | None,
    seed: Any,
) -> Doubles:
    """Mean squared errors of the predicted noise by time and channel: (number of times, channels)."""
    torch = torch_module()
    device = band.device
    out = np.empty((len(times), band.shape[1]))
    with torch.no_grad():
        gamma0 = gamma(torch.zeros(1, dtype=torch.float64, device=device))[0][0] if noisy else None
        for j, t in enumerate(times):
            g = gamma(torch.full((len(band),), float(t), dtype=torch.float64, device=device))[0]
            error = noise_error(network, band, condition, g, gamma0, _generator(device, seed, j), labels)
            out[j] = error.double().mean((0, 2, 3)).cpu().numpy()
    return out


# --- sampling -----------------------------------------------------------------------------------------


def sample_latent(
    network: Network,
    shape: Sequence[int],
    gammas: Sequence[float],
    condition: Tensor | None,
    label: Tensor | None,
    draw: Any,
    method: str,
    device: Any,
    dtype: Any,
) -> Tensor:
    """Draw ``z_0`` of one scale.

    Parameters
    ----------
    network : callable
    shape : sequence of int
    gammas : sequence of float
        The schedule at the steps, from 0 to 1.
    condition, label : tensor or None
    draw : torch.Generator
    method : {"ancestral", "ode"}
        Reverse steps of the chain, or the flow of the same marginals, by steps that are exact where the
        predicted noise is constant.

    Returns
    -------
    tensor
    """
    torch = torch_module()
    z = torch.randn(tuple(shape), generator=draw, device=device, dtype=dtype)
    with torch.no_grad():
        for i in range(len(gammas) - 1, 0, -1):
            t, s = gammas[i], gammas[i - 1]
            g = torch.full((shape[0],), t, dtype=torch.float64, device=device)
            eps = network(z, g, condition, label)
            (alpha_t, sigma_t), (alpha_s, sigma_s) = _alpha_sigma(t), _alpha_sigma(s)
            if method == "ode":
                z = (alpha_s / alpha_t) * (z - sigma_t * eps) + sigma_s * eps
                continue
            c = math.expm1(s - t)
            z = (alpha_s / alpha_t) * (z + c * sigma_t * eps)
            z = z + math.sqrt(-c) * sigma_s * torch.randn(z.shape, generator=draw, device=device, dtype=dtype)
    return z


def _alpha_sigma(gamma: float) -> tuple[float, float]:
    """Both from the logistic function: ``1 - alpha^2`` would lose the small ones."""
    if gamma >= 0:
        e = math.exp(-gamma)
        return math.sqrt(e / (1.0 + e)), math.sqrt(1.0 / (1.0 + e))
    e = math.exp(gamma)
    return math.sqrt(1.0 / (1.0 + e)), math.sqrt(e / (1.0 + e))


# --- the bound with several samples -------------------------------------------------------------------


def importance_bound(
    rows: Rows,
    scales: Scales,
    networks: Sequence[Network],
    gammas: Sequence[float],
    mse: Sequence[Doubles] | None,
    *,
    noisy: bool,
    labels: Tensor | None,
    n_importance: int,
    seed: Any,
) -> Doubles:
    """``-log mean exp`` of the weights of whole trajectories in discrete time, in nats: (n,).

    Parameters
    ----------
    rows : Rows
    scales : Scales
    networks : sequence of callable
    gammas : sequence of float
        The schedule at the steps 0..T.
    mse : sequence of ndarray of shape (T + 1, channels) or None
        Expected errors; None: variances are not calibrated.
    noisy : bool
    labels : tensor or None
    n_importance : int
    seed
    """
    torch = torch_module()
    n, device = len(rows), rows.bands[0].device
    weights = np.empty((n_importance, n))
    T = len(gammas) - 1
    alpha0, sigma0 = _alpha_sigma(gammas[0])
    for r in range(n_importance):
        draw = _generator(device, seed, "trajectory", r)
        total = torch.zeros(n, dtype=torch.float64, device=device)
        starts, noises = [], []
        for band in rows.bands:
            eps = torch.randn(band.shape, generator=draw, device=device, dtype=torch.float64)
            starts.append(alpha0 * band.double() + sigma0 * eps)
            noises.append(eps)
            # minus log q(z_0 | x); the constants of the normal densities cancel over the chain
            total += (0.5 * eps.square() + math.log(sigma0)).flatten(1).sum(1)
        total -= _told(rows, scales, starts, alpha0, gammas[0], noisy)
        for s, network in enumerate(networks):
            condition = rows.conditions[s]
            if condition is not None and noisy:
                condition = scales.coarse([z / alpha0 for z in starts[:s]]).to(condition.dtype)
            z = starts[s]
            for i in range(1, T + 1):
                before, after = gammas[i - 1], gammas[i]
                (a0, s0), (a1, s1) = _alpha_sigma(before), _alpha_sigma(after)
                c = -math.expm1(before - after)
                eps = torch.randn(z.shape, generator=draw, device=device, dtype=torch.float64)
                later = (a1 / a0) * z + s1 * math.sqrt(c) * eps
                g = torch.full((n,), after, dtype=torch.float64, device=device)
                with torch.no_grad():
                    predicted = network(later.to(rows.bands[s].dtype), g, condition, labels).double()
                mean = (a0 / a1) * (later - c * s1 * predicted)
                var = torch.full((1, z.shape[1], 1, 1), c * s0 * s0, dtype=torch.float64, device=device)
                if mse is not None:
                    m = torch.from_numpy(mse[s][i]).to(device)[None, :, None, None]
                    var = var * (1.0 + math.expm1(after - before) * m)
                gain = 0.5 * eps.square() + math.log(s1 * math.sqrt(c))
                cost = 0.5 * (z - mean).square() / var + 0.5 * var.log()
                total += (gain - cost).flatten(1).sum(1)
                z = later
            total -= 0.5 * z.square().flatten(1).sum(1)
        weights[r] = total.cpu().numpy()
    most = weights.max(0)
    bound: Doubles = -(most + np.log(np.exp(weights - most).mean(0)))
    return bound


def _told(
    rows: Rows, scales: Scales, starts: Sequence[Tensor], alpha0: float, gamma0: float, noisy: bool
) -> Tensor:
    """``-log p(x | z_0)``, with the latents that were drawn."""
    torch = torch_module()
    scale = torch.tensor(math.exp(0.5 * gamma0) * scales.vocab_size / 2.0, dtype=torch.float64)
    clean = [z / alpha0 for z in starts]
    latents = [scales.map.inverse(clean)] if not scales.integer else clean
    total: Tensor = 0.0
    for s, (latent, (k, low, high)) in enumerate(zip(latents, rows.lattices, strict=True)):
        eps = (scales.on_lattice(latent, s) - k.double()) / scale
        total = total + reconstruction(k, eps, scale.to(k.device), low, high)
    return total
