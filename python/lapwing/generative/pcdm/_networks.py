"""The networks: what predicts the noise of one scale, and the schedule of the noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lapwing.multiscale import HierarchicalMap, make_map

__all__ = ["ScaleNetwork", "Schedule", "multiply_adds"]

_MOST_ATTENTION = 64  # positions


def _groups(width: int) -> int:
    """At most 32, of at least 4 channels: of one, the norm would take away the embedding of the noise."""
    return math.gcd(32, max(1, width // 4)) if width % 4 == 0 else 1


def _zero(module: Any) -> Any:
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


class _Dropout(nn.Module):
    """Dropout that draws from the generator that `ScaleNetwork` was given for the step."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0.0 or self.generator is None:
            return x
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1.0 - self.rate)


class _Block(nn.Module):
    """Group norm, swish, convolution, twice, with the embedding of the noise added between."""

    def __init__(self, wide_in: int, width: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_groups(wide_in), wide_in)
        self.conv1 = nn.Conv2d(wide_in, width, 3, padding=1)
        self.embed = nn.Linear(embedding, width, bias=False)
        nn.init.zeros_(self.embed.weight)
        self.norm2 = nn.GroupNorm(_groups(width), width)
        self.dropout = _Dropout(dropout)
        self.conv2 = _zero(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Identity() if wide_in == width else nn.Conv2d(wide_in, width, 1)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.embed(embedding)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return torch.as_tensor(self.shortcut(x) + h)


class _Attention(nn.Module):
    """Self-attention over all positions, one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_groups(width), width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = _zero(nn.Conv2d(width, width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3, c, h * w).unbind(1)
        weights = torch.softmax(q.mT @ k / math.sqrt(c), dim=-1)
        return torch.as_tensor(x + self.out((v @ weights.mT).reshape(n, c, h, w)))


class _Core(nn.Module):
    """The network of VDM: no down-sampling, blocks with skips around a middle with attention."""

    def __init__(
        self, channels_in: int, channels_out: int, width: int, depth: int, dropout: float, n_classes: int,
        attention: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        wide = 4 * width
        self.width = width
        self.embed1 = nn.Linear(width, wide)
        self.embed2 = nn.Linear(wide, wide)
        self.classes = nn.Embedding(n_classes, width) if n_classes else None
        self.first = nn.Conv2d(channels_in, width, 3, padding=1)
        self.down = nn.ModuleList([_Block(width, width, wide, dropout) for _ in range(depth)])
        self.middle = nn.ModuleList([_Block(width, width, wide, dropout) for _ in range(2)])
        self.attention = _Attention(width) if attention else None
        self.up = nn.ModuleList([_Block(2 * width, width, wide, dropout) for _ in range(depth + 1)])
        self.norm = nn.GroupNorm(_groups(width), width)
        self.last = _zero(nn.Conv2d(width, channels_out, 3, padding=1))

    def forward(self, x: torch.Tensor, time: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        half = self.width // 2
        powers = torch.arange(half, device=x.device, dtype=torch.float64) / max(half - 1, 1)
        angles = 1000.0 * time.double()[:, None] * torch.exp(-math.log(10000.0) * powers)
        embedding = torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype)
        if self.width % 2:
            embedding = F.pad(embedding, (0, 1))
        if self.classes is not None:
            assert label is not None
            embedding = embedding + self.classes(label)
        embedding = F.silu(self.embed2(F.silu(self.embed1(embedding))))
        h = self.first(x)
        skips = [h]
        for block in self.down:
            h = block(h, embedding)
            skips.append(h)
        h = self.middle[0](h, embedding)
        if self.attention is not None:
            h = self.attention(h)
        h = self.middle[1](h, embedding)
        for block in self.up:
            h = block(torch.cat([h, skips.pop()], 1), embedding)
        return torch.as_tensor(self.last(F.silu(self.norm(h))))


class ScaleNetwork(nn.Module):
    """Predicts the noise in the latent of one scale.

    Parameters
    ----------
    channels : int
        Of the latent.
    channels_condition : int
        Of the coarse image that the scale is conditioned on; 0: none.
    size : tuple of int
        Height and width of the latent.
    kind : {"default", "vdm"}
        "default": with s the training standard deviation of a channel and v the variance of the noise, the
        latent is divided by ``tot = (1 - v) s^2 + v``'s root, and the network is added to the best linear
        prediction, ``sqrt(v) z / tot``, times what that leaves, ``sqrt(1 - v) s / sqrt(tot)``. "vdm": the
        network is added to the latent.
    width, depth : int
        Channels, and blocks before the middle.
    gamma_min, gamma_max : float
        Ends of the schedule, for the embedding of the noise.
    band_std : sequence of float
        Of each channel of the latent.
    condition_std : float
        Of the coarse image.
    dropout : float, default=0.0
    n_classes : int, default=0
        0: no labels.
    fourier : sequence of int, default=()
        Frequencies k of the features ``sin, cos(2 pi 2^k u)``, u being the image that latent and coarse image
        give (for "vdm" the latent).
    full_size : bool, default=False
        Show the network the details as an image of twice the size (the Laplacian pyramid), not as bands.
    wavelet : str, default="haar"
        That splits an image into coarse image and bands.
    levels : int, default=0
        Splits between the image and what this scale and the coarser ones give together.
    """

    def __init__(
        self,
        channels: int,
        channels_condition: int,
        size: tuple[int, int],
        *,
        kind: str,
        width: int,
        depth: int,
        gamma_min: float,
        gamma_max: float,
        band_std: Sequence[float],
        condition_std: float,
        dropout: float = 0.0,
        n_classes: int = 0,
        fourier: Sequence[int] = (),
        full_size: bool = False,
        wavelet: str = "haar",
        levels: int = 0,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.gamma_min, self.gamma_max = float(gamma_min), float(gamma_max)
        self.fourier = tuple(int(k) for k in fourier)
        self.levels = levels
        self.has_condition = channels_condition > 0
        self._map: HierarchicalMap | None = make_map("wavelet", wavelet, 1) if self.has_condition else None
        self._full = full_size
        self.register_buffer("band_std", torch.as_tensor(band_std, dtype=torch.float64)[None, :, None, None])
        self.register_buffer("condition_std", torch.as_tensor(float(condition_std), dtype=torch.float64))
        shown = channels // 3 if self._full else channels
        height, wide = (2 * size[0], 2 * size[1]) if self._full else size
        extra = 0
        if self.fourier:
            bands = self.has_condition and not self._full and kind == "default"
            extra = 2 * len(self.fourier) * (4 * channels // 3 if bands else shown)
        self.core = _Core(
            shown + channels_condition + extra, shown, width, depth, dropout, n_classes,
            kind == "vdm" or height * wide <= _MOST_ATTENTION,
        )  # fmt: skip

    def set_dropout(self, generator: torch.Generator | None) -> None:
        """Draw dropout from this generator; None: there is none."""
        for module in self.modules():
            if isinstance(module, _Dropout):
                module.generator = generator

    def _synthesis(self, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        assert self._map is not None
        return torch.as_tensor(self._map.inverse([low, high]))

    def _image(self, z: torch.Tensor, alpha: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """The image, in pixels, that the latent stands for; 4 pixels as channels where it is of bands."""
        if condition is None:
            return z / alpha / 2.0**self.levels
        whole = self._synthesis(condition, (z / alpha).to(z.dtype)) / 2.0**self.levels
        return whole if self._full else F.pixel_unshuffle(whole, 2)

    def forward(
        self,
        z: torch.Tensor,
        gamma: torch.Tensor,
        condition: torch.Tensor | None = None,
        label: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict the noise.

        Parameters
        ----------
        z : tensor of shape (n, channels, h, w)
            ``sqrt(1 - v) b + sqrt(v) eps``, where ``v = sigmoid(gamma)``.
        gamma : tensor of shape (n,), float64
        condition : tensor of shape (n, channels_condition, h, w) or None
        label : tensor of int of shape (n,) or None

        Returns
        -------
        tensor of the shape of `z`
        """
        v = torch.sigmoid(gamma)[:, None, None, None]
        std = torch.as_tensor(self.band_std)
        time = (gamma - self.gamma_min) / (self.gamma_max - self.gamma_min)
        total = torch.sigmoid(-gamma)[:, None, None, None] * std**2 + v
        shown = z if self.kind == "vdm" else z * total.rsqrt().to(z.dtype)
        parts = []
        if self._full:
            low = torch.zeros_like(z[:, : z.shape[1] // 3])
            shown = self._synthesis(low, shown)
        parts.append(shown)
        if condition is not None:
            seen = condition / torch.as_tensor(self.condition_std).to(z.dtype)
            if self._full:
                zero = torch.zeros_like(z)
                seen = self._synthesis(seen, zero)
            parts.append(seen)
        if self.fourier:
            alpha = torch.sigmoid(-gamma).sqrt()[:, None, None, None]
            u = shown if self.kind == "vdm" else self._image(z, alpha, condition)
            for k in self.fourier:
                angle = (2.0 * math.pi * 2.0**k) * u.double()
                parts += [angle.sin().to(z.dtype), angle.cos().to(z.dtype)]
        out = self.core(torch.cat(parts, 1), time, label)
        if self._full:
            assert self._map is not None
            out = self._map.forward(out)[1]
        if self.kind == "vdm":
            return torch.as_tensor(z + out)
        linear = (v.sqrt() / total).to(z.dtype)
        left = (torch.sigmoid(-gamma)[:, None, None, None].sqrt() * std * total.rsqrt()).to(z.dtype)
        return torch.as_tensor(linear * z + left * out)


class Schedule(nn.Module):
    """The schedule ``gamma(t)``: linear, with ends that may be learnt, or monotone with a learnt interior.

    Parameters
    ----------
    gamma_min, gamma_max : float
        Where it begins.
    kind : {"fixed", "endpoints", "monotone"}, default="fixed"
    features : int, default=1024
        Of the monotone network ``l1(t) + l3(sigmoid(l2(l1(t))))`` with positive weights.
    """

    def __init__(self, gamma_min: float, gamma_max: float, kind: str = "fixed", features: int = 1024) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("start", torch.tensor([gamma_min, gamma_max - gamma_min], dtype=torch.float64))
        # Learnt as changes of what it begins with, so that the decay of weights does not move the ends.
        self.change = nn.Parameter(torch.zeros(2, dtype=torch.float64), requires_grad=kind != "fixed")
        if kind == "monotone":
            draw = torch.Generator().manual_seed(0)
            self.w1 = nn.Parameter(torch.zeros((), dtype=torch.float64))
            self.w2 = nn.Parameter(torch.randn(features, generator=draw, dtype=torch.float64) * 0.1)
            self.b2 = nn.Parameter(torch.randn(features, generator=draw, dtype=torch.float64))
            self.w3 = nn.Parameter(torch.full((features,), -5.0, dtype=torch.float64))

    @property
    def interior(self) -> list[nn.Parameter]:
        """The parameters that change the shape between the ends."""
        return [self.w1, self.w2, self.b2, self.w3] if self.kind == "monotone" else []

    def _raw(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the network: value and derivative."""
        slope, w2, w3 = F.softplus(self.w1), F.softplus(self.w2), F.softplus(self.w3)
        inner = torch.sigmoid(w2 * (t[..., None] - 0.5) * 8.0 + self.b2)
        value = slope * t + (w3 * inner).sum(-1)
        derivative = slope + (w3 * inner * (1 - inner) * w2 * 8.0).sum(-1)
        return value, derivative

    def forward(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The schedule and its derivative at times `t` in 0..1, both in float64."""
        t = t.double()
        start = torch.as_tensor(self.start)
        low, span = start[0] + self.change[0], start[1] * torch.exp(self.change[1])
        if self.kind != "monotone":
            return low + span * t, span.expand_as(t)
        ends, _ = self._raw(torch.tensor([0.0, 1.0], dtype=torch.float64, device=t.device))
        value, derivative = self._raw(t)
        rise = ends[1] - ends[0]
        return low + span * (value - ends[0]) / rise, span * derivative / rise


def multiply_adds(network: ScaleNetwork, size: tuple[int, int]) -> int:
    """Multiply-adds of a network for one latent of this size: convolutions, matrices, attention."""
    total = 0

    def count(module: Any, _: Any, out: Any) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += out[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()
        else:
            n, c = out.shape[2] * out.shape[3], out.shape[1]
            total += 2 * n * n * c

    hook: Callable[..., Any] = count
    counted = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear, _Attention))]
    handles = [m.register_forward_hook(hook) for m in counted]
    std = torch.as_tensor(network.band_std)
    p = next(network.parameters())
    z = torch.zeros(1, std.shape[1], *size, device=p.device, dtype=p.dtype)
    c = torch.zeros(1, std.shape[1] // 3, *size, device=p.device, dtype=p.dtype)
    label = torch.zeros(1, dtype=torch.int64, device=p.device) if network.core.classes is not None else None
    training = network.training
    network.eval()
    with torch.no_grad():
        network(z, torch.zeros(1, dtype=torch.float64), c if network.has_condition else None, label)
    network.train(training)
    for handle in handles:
        handle.remove()
    return total
