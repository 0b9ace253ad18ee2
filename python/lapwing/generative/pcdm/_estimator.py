"""PCDM as an estimator: images in, a density, codes, samples and scores of outliers out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from lapwing import _caller, _threads, _validate
from lapwing._progress import Callback
from lapwing.exceptions import DecodeError
from lapwing.multiscale import make_map

from . import _algorithm as algorithm
from ._algorithm import LN2, Rows, Scales
from ._data import Images, source

__all__ = ["PCDM", "VDM"]

Doubles = NDArray[np.float64]
_HIERARCHIES = ("wavelet", "laplacian", "integer")
_FORMAT = 1
_CHUNK = 512  # images that are scored at once
_BINS = 64  # of the histogram of times
_MSE_TIMES = 65
#: Parameters that tell how a fit goes on or what it tells meanwhile, not what comes out.
_CIRCUMSTANCE = ("callback", "checkpoint", "device", "n_jobs", "verbose")


class PCDM(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Cascaded diffusion over the scales of images: densities, lossless codes, samples, scores of outliers.

    An image is split into scales by a map that preserves volume (`lapwing.multiscale.HierarchicalMap`), and a
    diffusion model learns each scale given the coarser ones. The loss is a bound on ``-log P(x)`` of the
    whole, a true one: every scale is conditioned on the noisy latents of the coarser scales, ``z_0``, and the
    grey values are told from all latents together; or (``hierarchy="integer"``) the scales are integers, and
    the coarser ones are given exactly.

        ``L(x) = -log p(x | z_0) + sum over scales of [KL(q(z_1 | x) || N(0, I)) + 1/2 E gamma'(t) |eps -
        epshat|^2]``

    Bits per dimension are ``L / (D ln 2)``.

    Parameters
    ----------
    hierarchy : {"wavelet", "laplacian", "integer"}, default="wavelet"
        "laplacian": the networks see the details of a level as an image of its full size, and predict in the
        space of such details (the orthonormal Laplacian pyramid). "integer": reversible integer wavelets.
    wavelet : str, default="haar"
        An orthogonal one; for "integer" one of "s" (or "haar"), "legall53", "cdf26", "97m".
    n_scales : int, default=2
        Decompositions plus 1. Sides must be multiples of ``2**(n_scales - 1)``. 1: a plain variational
        diffusion model.
    conditioning : {"noisy", "clean"}, default="noisy"
        What the finer scales see of the coarser ones. "clean" is for ``hierarchy="integer"``, which needs it:
        with other hierarchies the sum would not be a bound.
    vocab_size : int, default=256
        Number of grey values.
    network : {"default", "vdm"}, default="default"
        "vdm": the network of the released program, without preconditioning.
    width : int, default=64
        Channels of the networks, at least 4.
    width_detail : int or None, default=None
        Of those of the details; None: `width`.
    depth : int, default=2
        Residual blocks before the middle of a network; there is one more behind it.
    dropout : float, default=0.0
    fourier : sequence of int, default=()
        Fourier features ``sin, cos(2 pi 2^k u)`` of the image that the latents stand for; (6, 7) with 256
        grey values lets the networks see the lattice of these where `gamma_min` is low.
    gamma_min : float or None, default=None
        Start of the schedule: minus the log signal-to-noise ratio. None: -11.5 for 256 grey values (noise of
        0.41 grey steps, below which reconstruction pays for all), -13.3 with `fourier`, and the same noise in
        grey steps for other numbers of them.
    gamma_max : float, default=5.0
        End of the schedule.
    gamma : {"fixed", "endpoints", "monotone"}, default="fixed"
        Linear; with ends that minimise the bound; or with an interior that minimises the variance of the
        loss as well.
    timesteps : int or None, default=None
        Train the discrete-time bound with so many steps; None: continuous time.
    n_steps : int, default=10000
        Of the training.
    batch_size : int, default=64
    learning_rate : float, default=2e-3
    lr_schedule : {"cosine", "constant"}, default="cosine"
    warmup : int, default=100
        Steps over which the rate grows first.
    weight_decay : float, default=0.01
    ema_decay : float, default=0.9999
        Of the moving average of the parameters, which is what is kept. It is faster in the beginning.
    time_sampling : {"stratified", "importance"}, default="stratified"
        "importance": times where the loss was large are drawn more often, with weights.
    patience : int or None, default=None
        Stop after so many validations (every 500 steps, or 20 in all) without a better one; needs `X_val`.
    checkpoint : path or None, default=None
        A folder, in which the training leaves its state every two minutes and when it stops. A fit with the
        same parameters and data goes on from there, and ends as if it had not been interrupted, bit for bit.
    callback : callable or None, default=None
        Called with a progress record after each step; returning True stops the training.
    image_shape : sequence of int or None, default=None
        (H, W) or (C, H, W), for `X` of two axes.
    device : str or None, default=None
        Of torch, for the networks; None: "cpu".
    dtype : {"float32", "float64"}, default="float32"
    random_state : int, RandomState, Generator or None, default=None
    n_jobs : int or None, default=None
        Threads of torch; None: as many as torch uses already, but 1 in `compress`: decoding takes as many.
    verbose : int, default=0
        Above 0: a progress bar.

    Attributes
    ----------
    networks_ : list of torch.nn.Module
        One a scale, the coarsest first, with the averaged parameters.
    schedule_ : torch.nn.Module
        Times to the schedule and its derivative.
    gamma_ : tuple of float
        Ends of the schedule.
    bands_std_ : list of ndarray
        Standard deviations of the channels of each scale.
    mse_times_, mse_table_ : ndarray of shape (65,), list of ndarray of shape (65, channels)
        Expected squared errors of the predicted noise, which calibrate the variances in discrete time.
    train_bits_mean_, train_bits_std_ : float
        Mean and standard deviation of bits per dimension of (at most 512) training images.
    train_scale_mean_, train_scale_cov_ : ndarray
        Mean and covariance of the terms of the bound of these, in bits per dimension.
    history_ : list of dict
        Losses over the training in bits per dimension, by scale.
    n_steps_ : int
        Steps done.
    classes_ : ndarray or None
        Labels, if there were any.
    n_features_in_ : int
    image_shape_ : tuple of int
        (C, H, W).

    Notes
    -----
    Results are the same for a `random_state` on one machine at one number of threads and one batch size.
    `X` may be a memory map, an array of Dask, a dataset or a stream; batches are read from it as they are
    needed. What is not drawn from all of it (statistics before and after the training) comes, of a stream,
    from its first 4096 images. The data are integers, so that
    scikit-learn's generic checks of estimators, which pass real numbers, do not apply.

    References
    ----------
    Henry Li, Ronen Basri, Yuval Kluger, "Likelihood Training of Cascaded Diffusion Models via Hierarchical
    Volume-preserving Maps", 2024.

    Diederik Kingma, Tim Salimans, Ben Poole, Jonathan Ho, "Variational Diffusion Models", 2021.

    Friso Kingma, Pieter Abbeel, Jonathan Ho, "Bit-Swap: Recursive Bits-Back Coding for Lossless Compression
    with Hierarchical Latent Variables", 2019 (`compress`).

    Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Balaji Lakshminarayanan, "Detecting Out-of-Distribution
    Inputs to Deep Generative Models Using Typicality", 2019 (`ood_score`).
    """

    image_shape_: tuple[int, int, int]
    classes_: NDArray[Any] | None
    schedule_: Any
    _scales: Scales
    _layout: str

    def __init__(
        self,
        hierarchy: str = "wavelet",
        *,
        wavelet: str = "haar",
        n_scales: int = 2,
        conditioning: str = "noisy",
        vocab_size: int = 256,
        network: str = "default",
        width: int = 64,
        width_detail: int | None = None,
        depth: int = 2,
        dropout: float = 0.0,
        fourier: Sequence[int] = (),
        gamma_min: float | None = None,
        gamma_max: float = 5.0,
        gamma: str = "fixed",
        timesteps: int | None = None,
        n_steps: int = 10000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        lr_schedule: str = "cosine",
        warmup: int = 100,
        weight_decay: float = 0.01,
        ema_decay: float = 0.9999,
        time_sampling: str = "stratified",
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        callback: Callback | None = None,
        image_shape: Sequence[int] | None = None,
        device: str | None = None,
        dtype: str = "float32",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.hierarchy = hierarchy
        self.wavelet = wavelet
        self.n_scales = n_scales
        self.conditioning = conditioning
        self.vocab_size = vocab_size
        self.network = network
        self.width = width
        self.width_detail = width_detail
        self.depth = depth
        self.dropout = dropout
        self.fourier = fourier
        self.gamma_min = gamma_min
        self.gamma_max = gamma_max
        self.gamma = gamma
        self.timesteps = timesteps
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.ema_decay = ema_decay
        self.time_sampling = time_sampling
        self.patience = patience
        self.checkpoint = checkpoint
        self.callback = callback
        self.image_shape = image_shape
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True  # images of integers
        return tags

    # --- training ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, X_val: Any = None, *, channels_last: bool = False) -> PCDM:
        """Train on images.

        Parameters
        ----------
        X : array or tensor of int of shape (n, C, H, W), (n, H, W, C), (n, H, W) or (n, H * W)
            Grey values in 0..vocab_size - 1, at least two images. (n, H, W, C) with `channels_last`; rows
            with `image_shape`. Or what need not be in memory: an array of Dask of such a shape, whose blocks
            along the first axis are read one by one, in another order in each epoch; a dataset with a length
            (as torch's), whose items are images or tuples that begin with one; or an iterable of batches (as
            torch's DataLoader), arrays of such a shape or tuples that begin with one, which is read from the
            start again when it ends. The grey values of datasets and streams are checked as they are read.
        y : array of shape (n,) or None, default=None
            Labels, which the networks are given; None for a stream.
        X_val : array or None, default=None
            Images that tell when to stop, and are scored in the history.
        channels_last : bool, default=False

        Returns
        -------
        PCDM
            The estimator itself.

        Raises
        ------
        TypeError
            `X` does not hold integers; a parameter is of the wrong type.
        ValueError
            Grey values out of range or NaN, fewer than two images, sides that cannot be halved so often, a
            parameter out of range, or a checkpoint of another fit.
        FloatingPointError
            The loss is not finite: scale, time and step are named, and the networks are the averages of
            before.
        ImportError
            torch is not installed.

        Warns
        -----
        UserWarning
            A band is constant.
        """
        torch = algorithm.torch_module()
        self._check_parameters()
        x = source(X, partial(self._read, channels_last=channels_last))
        if len(x) < 2:
            raise ValueError(f"X must hold at least 2 images, got {len(x)}")
        if y is not None and x.endless:
            raise ValueError("y must be None where X is a stream")
        labels = self._fit_labels(y, len(x))
        validation = None if X_val is None else self._read(X_val, name="X_val")
        if self.patience is not None and validation is None:
            raise ValueError("patience needs X_val, images that tell when to stop")
        if validation is not None and labels is not None:
            raise ValueError("X_val cannot be used with labels")
        seed = _validate.check_seed(self.random_state)
        self.n_features_in_ = math.prod(self.image_shape_)
        self._build(x, seed)
        from lapwing.nn.fit import Trainer

        learnt = self.gamma != "fixed"
        modules = {f"scale {s + 1}": net for s, net in enumerate(self.networks_)}
        if learnt:
            modules["schedule"] = self.schedule_
        times = _Times(self._scales.n_scales, self.time_sampling)
        interior: list[Any] = []

        def loss(batch: Any) -> dict[str, Any]:
            some = None if labels is None else torch.from_numpy(labels[batch.indices]).to(self._device())
            return self._losses(x, some, batch, times, interior)

        def replace_interior(_: Any) -> None:
            for p, g in zip(self.schedule_.interior, interior, strict=True):
                p.grad = g
            interior.clear()

        every = max(1, min(500, self.n_steps // 20))
        trainer = Trainer(
            modules, loss, x.epoch(self.batch_size), self.n_steps, self.batch_size, self.learning_rate,
            schedule=self.lr_schedule, warmup=self.warmup, weight_decay=self.weight_decay,
            ema_decay=self.ema_decay, seed=seed,
            validate=None if validation is None else lambda: self._validation(validation, seed),
            validate_every=every, patience=self.patience, checkpoint=self.checkpoint,
            identity=None if self.checkpoint is None else self._identity(x, labels, validation),
            extra=times, after_backward=replace_interior if self.gamma == "monotone" else None,
            callback=self.callback, verbose=self.verbose, blocks=x.blocks,
        )  # fmt: skip
        with self._threads():
            for net in self.networks_:
                net.train()
            try:
                trainer.run()
            finally:
                self._ready()
            self.history_, self.n_steps_ = trainer.history, trainer.step
            self._summarise(x, labels, seed)
        return self

    def _check_parameters(self) -> None:
        _validate.check_choice(self.hierarchy, "hierarchy", _HIERARCHIES)
        _validate.check_choice(self.conditioning, "conditioning", ("noisy", "clean"))
        if (self.hierarchy == "integer") != (self.conditioning == "clean"):
            raise ValueError(
                "conditioning='clean' and hierarchy='integer' go together: given clean scales of another "
                f"hierarchy the sum is no bound; got {self.conditioning!r} and {self.hierarchy!r}"
            )
        _validate.check_integer(self.n_scales, "n_scales", 1)
        make_map("integer" if self.hierarchy == "integer" else "wavelet", self.wavelet, self.n_scales - 1)
        _validate.check_integer(self.vocab_size, "vocab_size", 2, 2**16)
        _validate.check_choice(self.network, "network", ("default", "vdm"))
        _validate.check_integer(self.width, "width", 4)
        if self.width_detail is not None:
            _validate.check_integer(self.width_detail, "width_detail", 4)
        _validate.check_integer(self.depth, "depth", 1)
        if not 0.0 <= _validate.check_number(self.dropout, "dropout") < 1.0:
            raise ValueError(f"dropout must be in 0..1, 1 excluded, got {self.dropout}")
        for k in self.fourier:
            _validate.check_integer(k, "fourier", 0, 20)
        low, high = self._gamma_ends()
        if not low < high:
            raise ValueError(f"gamma_min must be below gamma_max, got {low:g} and {high:g}")
        _validate.check_choice(self.gamma, "gamma", ("fixed", "endpoints", "monotone"))
        if self.timesteps is not None:
            _validate.check_integer(self.timesteps, "timesteps", 1)
        _validate.check_integer(self.n_steps, "n_steps", 1)
        _validate.check_integer(self.batch_size, "batch_size", 1)
        _validate.check_positive(self.learning_rate, "learning_rate")
        _validate.check_choice(self.lr_schedule, "lr_schedule", ("cosine", "constant"))
        _validate.check_integer(self.warmup, "warmup", 0)
        _validate.check_positive(self.weight_decay, "weight_decay", zero=True)
        if not 0.0 <= _validate.check_number(self.ema_decay, "ema_decay") < 1.0:
            raise ValueError(f"ema_decay must be in 0..1, 1 excluded, got {self.ema_decay}")
        _validate.check_choice(self.time_sampling, "time_sampling", ("stratified", "importance"))
        if self.patience is not None:
            _validate.check_integer(self.patience, "patience", 0)
        _validate.check_choice(self.dtype, "dtype", ("float32", "float64"))
        _threads.resolve(self.n_jobs)
        algorithm.torch_module().device(self.device or "cpu")

    def _gamma_ends(self) -> tuple[float, float]:
        high = _validate.check_number(self.gamma_max, "gamma_max")
        if self.gamma_min is not None:
            return _validate.check_number(self.gamma_min, "gamma_min"), high
        return algorithm.default_gamma_min(self.vocab_size) - (1.8 if len(self.fourier) else 0.0), high

    def _fit_labels(self, y: Any, n: int) -> NDArray[np.int64] | None:
        if y is None:
            self.classes_ = None
            return None
        values = np.asarray(y)
        if values.shape != (n,):
            raise ValueError(f"y must have shape ({n},), got {values.shape}")
        self.classes_, codes = np.unique(values, return_inverse=True)
        return np.asarray(codes, dtype=np.int64)

    def _labels(self, y: Any, n: int) -> NDArray[np.int64] | None:
        if (y is None) != (self.classes_ is None):
            raise ValueError(
                "the model was fitted with labels: pass y"
                if y is None
                else "the model was fitted without labels: y must be None"
            )
        if y is None or self.classes_ is None:
            return None
        values = np.asarray(y)
        if values.ndim == 0:
            values = np.full(n, values)
        if values.shape != (n,):
            raise ValueError(f"y must have shape ({n},), got {values.shape}")
        codes = np.searchsorted(self.classes_, values).clip(0, len(self.classes_) - 1)
        unknown = np.flatnonzero(self.classes_[codes] != values)
        if unknown.size:
            raise ValueError(
                f"y[{unknown[0]}] is {values[unknown[0]]!r}, which was not among the labels of fit"
            )
        return np.asarray(codes, dtype=np.int64)

    def _build(self, x: Images, seed: int) -> None:
        """Scales, their standard deviations, and untrained networks."""
        self._set_scales()
        rng = np.random.default_rng([seed, 1])
        some = np.sort(rng.choice(len(x), min(len(x), 4096), replace=False))
        bands, conditions, _ = self._scales.split(x[some])
        step = 2.0 / self.vocab_size
        stds = [band.std((0, 2, 3)) for band in bands]
        if any((std < step).any() for std in stds):
            constant = [s + 1 for s, std in enumerate(stds) if (std < 1e-9).any()]
            if constant:
                warnings.warn(
                    f"scale {constant[0]} has a band that is constant: its standard deviation is taken as "
                    "one grey step",
                    UserWarning,
                    stacklevel=_caller.level(),
                )
        self.bands_std_ = [np.maximum(std, step) for std in stds]
        self._condition_std = [0.0 if c is None else max(float(c.std()), step) for c in conditions]
        self._make_networks(seed)

    def _set_scales(self) -> None:
        self._scales = Scales(self.hierarchy, self.wavelet, self.n_scales, self.vocab_size, self.image_shape_)

    def _make_networks(self, seed: int) -> None:
        torch = algorithm.torch_module()
        from lapwing.nn.fit import seed_of

        from ._networks import ScaleNetwork, Schedule

        low, high = self._gamma_ends()
        dtype = getattr(torch, self.dtype)
        self.networks_: list[Any] = []
        for s, shape in enumerate(self._scales.shapes):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed_of(seed, "network", s))
                net = ScaleNetwork(
                    shape[0], self.image_shape_[0] if s else 0, (shape[1], shape[2]), kind=self.network,
                    width=self.width if s == 0 or self.width_detail is None else self.width_detail,
                    depth=self.depth, gamma_min=low, gamma_max=high, band_std=self.bands_std_[s],
                    condition_std=self._condition_std[s] or 1.0, dropout=self.dropout,
                    n_classes=0 if self.classes_ is None else len(self.classes_), fourier=self.fourier,
                    full_size=self.hierarchy == "laplacian" and s > 0,
                    wavelet="haar" if self.hierarchy == "integer" else self.wavelet,
                    levels=self._scales.levels - s,
                )  # fmt: skip
            net.core.to(dtype)
            self.networks_.append(net.to(self._device()))
        self.schedule_ = Schedule(low, high, self.gamma).to(self._device())

    def _device(self) -> Any:
        return algorithm.torch_module().device(self.device or "cpu")

    def _rows(self, x: NDArray[Any]) -> Rows:
        return self._scales.rows(x, self._device(), getattr(algorithm.torch_module(), self.dtype))

    @property
    def _noisy(self) -> bool:
        return self.conditioning == "noisy"

    def _losses(
        self, x: Images, labels: Any, batch: Any, times: _Times, interior: list[Any]
    ) -> dict[str, Any]:
        torch = algorithm.torch_module()
        rows = self._rows(x.batch(batch.step, batch.indices))
        device, n = self._device(), len(rows)
        per_bit = 1.0 / (self._scales.n_dims * LN2)
        ends = self.schedule_(torch.tensor([0.0, 1.0], dtype=torch.float64, device=device))[0]
        out: dict[str, Any] = {}
        spread = None
        for s, net in enumerate(self.networks_):
            draw = batch.generator(device, s)
            if self.dropout:
                net.set_dropout(batch.generator(device, s, "dropout"))
            u = (torch.rand(1, generator=draw, device=device, dtype=torch.float64)
                 + torch.randperm(n, generator=draw, device=device) / n) % 1.0  # fmt: skip
            t, weight = times.draw(u.cpu().numpy(), s)
            if self.timesteps is None:
                g, factor = self.schedule_(torch.from_numpy(t).to(device))
            else:
                i = np.minimum(np.floor(t * self.timesteps), self.timesteps - 1)
                g = self.schedule_(torch.from_numpy((i + 1) / self.timesteps).to(device))[0]
                before = self.schedule_(torch.from_numpy(i / self.timesteps).to(device))[0]
                factor = self.timesteps * torch.expm1(g - before)
            error = algorithm.noise_error(
                net, rows.bands[s], rows.conditions[s], g, ends[0] if self._noisy else None, draw, labels
            )
            each = (0.5 * per_bit) * factor * error.double().flatten(1).sum(1)
            values = each.detach().cpu().numpy()
            if not np.isfinite(values).all():
                bad = int(np.argmin(np.isfinite(values)))
                raise FloatingPointError(
                    f"the loss of scale {s + 1} is not finite at time {t[bad]:.3f} (bin "
                    f"{int(t[bad] * _BINS)} of {_BINS}), step {batch.step}"
                )
            times.note(values, t, s)
            weighted = each * torch.from_numpy(weight).to(device)
            out[f"scale {s + 1}"] = weighted.mean()
            if self.gamma == "monotone":
                spread = weighted.square().mean() + (0.0 if spread is None else spread)
        if self.gamma == "monotone":
            interior[:] = torch.autograd.grad(spread, self.schedule_.interior, retain_graph=True)
        if self.gamma != "fixed":
            draw = batch.generator(device, "reconstruction")
            scale = torch.exp(0.5 * ends[0]) * (self.vocab_size / 2.0)
            rec = 0.0
            for k, low, high in rows.lattices:
                eps = torch.randn(k.shape, generator=draw, device=device, dtype=torch.float64)
                rec = rec + algorithm.reconstruction(k, eps, scale, low, high).mean()
            out["reconstruction"] = rec * per_bit
            out["prior"] = per_bit * sum(algorithm.prior_terms(b, ends[1]).mean() for b in rows.bands)
        return out

    def _identity(self, x: Images, labels: Any, validation: Any) -> dict[str, Any]:
        def fingerprint(a: Any) -> str:
            return "" if a is None else Images(a).fingerprint()

        chosen = {k: v for k, v in self._plain_parameters().items() if k not in _CIRCUMSTANCE}
        if self.lr_schedule == "constant":
            del chosen["n_steps"]
        return {**chosen, "X": x.fingerprint(), "y": fingerprint(labels), "X_val": fingerprint(validation)}

    def _plain_parameters(self) -> dict[str, Any]:
        """The parameters as JSON can hold them."""
        plain = dict(self.get_params(deep=False))
        plain["callback"] = None
        plain["checkpoint"] = None
        plain["random_state"] = (
            None if not isinstance(self.random_state, (int, np.integer)) else int(self.random_state)
        )
        for name in ("fourier", "image_shape"):
            plain[name] = None if plain[name] is None else [int(v) for v in plain[name]]
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in plain.items()}
        converted: dict[str, Any] = json.loads(json.dumps(plain))
        return converted

    def _validation(self, x: NDArray[Any], seed: int) -> float:
        for net in self.networks_:
            net.eval()
        terms, _ = self._terms(x, None, n_t=8, seed=(seed, "validation"))
        for net in self.networks_:
            net.train()
        return float(terms.sum(1).mean() / (self._scales.n_dims * LN2))

    def _ready(self) -> None:
        torch = algorithm.torch_module()
        for net in self.networks_:
            net.eval()
            net.set_dropout(None)
            net.requires_grad_(False)
        self.schedule_.requires_grad_(False)
        ends = self.schedule_(torch.tensor([0.0, 1.0], dtype=torch.float64, device=self._device()))[0]
        self.gamma_ = (float(ends[0]), float(ends[1]))

    def _summarise(self, x: Images, labels: Any, seed: int) -> None:
        """The tables and moments that come after the training."""
        rng = np.random.default_rng([seed, 2])
        some = np.sort(rng.choice(len(x), min(len(x), 512), replace=False))
        images = x[some]
        codes = None if labels is None else labels[some]
        self.mse_times_ = np.linspace(0.0, 1.0, _MSE_TIMES)
        rows = self._rows(images)
        self.mse_table_ = [
            algorithm.mse_of_scale(
                net, rows.bands[s], rows.conditions[s], self.schedule_, self.mse_times_, self._noisy,
                self._tensor(codes), (seed, "mse", s),
            )
            for s, net in enumerate(self.networks_)
        ]  # fmt: skip
        terms, _ = self._terms(images, codes, n_t=32, seed=(seed, "training"))
        bits = terms / (self._scales.n_dims * LN2)
        self.train_bits_mean_ = float(bits.sum(1).mean())
        self.train_bits_std_ = float(bits.sum(1).std(ddof=1))
        self.train_scale_mean_ = bits.mean(0)
        self.train_scale_cov_ = np.atleast_2d(np.cov(bits, rowvar=False))

    def _tensor(self, labels: NDArray[np.int64] | None) -> Any:
        if labels is None:
            return None
        return algorithm.torch_module().from_numpy(labels).to(self._device())

    @contextlib.contextmanager
    def _threads(self, threads: int | None = None) -> Iterator[int]:
        """So many threads of torch; None: `n_jobs`."""
        torch = algorithm.torch_module()
        before = torch.get_num_threads()
        wanted = (
            threads
            if threads is not None
            else before
            if self.n_jobs is None
            else _threads.effective(self.n_jobs)
        )
        torch.set_num_threads(wanted)
        try:
            yield wanted
        finally:
            torch.set_num_threads(before)

    # --- input ------------------------------------------------------------------------------------

    def _read(
        self, X: Any, *, channels_last: bool | None = None, reset: bool = False, name: str = "X"
    ) -> NDArray[Any]:
        """Images as (n, C, H, W), checked."""
        if hasattr(X, "detach"):
            X = X.detach().cpu().numpy()
        x = X if isinstance(X, np.ndarray) else np.asarray(X)
        hint = f"{name} expects integer grey values 0..{self.vocab_size - 1}; pass vocab_size or quantize"
        if x.dtype.kind == "f" and np.isnan(x).any():
            raise ValueError(
                f"{name} has NaN at {_validate.position(int(np.argmax(np.isnan(x))), x.shape)}; {hint}"
            )
        if x.dtype.kind not in "iu":
            raise TypeError(f"{hint}; got dtype {x.dtype}")
        if x.size == 0:
            raise ValueError(f"{name} is empty: its shape is {x.shape}")
        if channels_last is None:
            channels_last = self._layout == "channels_last"
        layout = {4: "channels_last" if channels_last else "channels_first", 3: "plain", 2: "rows"}.get(
            x.ndim
        )
        if layout is None:
            raise ValueError(f"{name} must have shape (n, C, H, W), (n, H, W) or (n, H * W), got {x.shape}")
        x = self._as_images(x, layout, name)
        if reset:
            self._check_sides(x.shape[1:])
            self._layout = layout
            channels, height, width = (int(n) for n in x.shape[1:])
            self.image_shape_ = (channels, height, width)
        elif tuple(x.shape[1:]) != self.image_shape_:
            raise ValueError(f"{name} holds images of shape {x.shape[1:]}, and the model was fitted to "
                             f"{self.image_shape_}")  # fmt: skip
        for i in range(0, len(x), 65536):
            part = x[i : i + 65536]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= self.vocab_size:
                raise ValueError(
                    f"{name} must hold grey values 0..{self.vocab_size - 1}, got values from {low} to {high}"
                )
        return x

    def _as_images(self, x: NDArray[Any], layout: str, name: str) -> NDArray[Any]:
        if layout == "channels_last":
            return np.moveaxis(x, -1, 1)
        if layout == "plain":
            return x[:, None]
        if layout == "rows":
            if self.image_shape is None:
                raise ValueError(
                    f"{name} has rows of {x.shape[1]} values: image_shape must say what they show"
                )
            shape = tuple(int(n) for n in self.image_shape)
            shape = (1, *shape) if len(shape) == 2 else shape
            if len(shape) != 3 or math.prod(shape) != x.shape[1]:
                raise ValueError(
                    f"image_shape {tuple(self.image_shape)} does not make rows of {x.shape[1]} values"
                )
            return x.reshape(len(x), *shape)
        return x

    def _check_sides(self, shape: Sequence[int]) -> None:
        unit = 2 ** (self.n_scales - 1)
        for side, n in zip(("height", "width"), shape[1:], strict=True):
            if n // unit < 2 and self.n_scales > 1:
                raise ValueError(
                    f"n_scales={self.n_scales} is too deep: the {side} {n} would become {n / unit:g}"
                )
            if n % unit:
                raise ValueError(
                    f"the {side} of the images is {n}, and must be a multiple of {unit} for "
                    f"n_scales={self.n_scales}; numpy.pad(mode='reflect') makes them larger, "
                    "which changes the likelihood"
                )

    def _images_out(self, x: NDArray[Any]) -> NDArray[Any]:
        """Images in the layout of those of `fit`."""
        small = np.uint8 if self.vocab_size <= 256 else np.uint16
        x = x.astype(small)
        if self._layout == "channels_last":
            return np.moveaxis(x, 1, -1)
        if self._layout == "plain":
            return x[:, 0]
        return x.reshape(len(x), -1) if self._layout == "rows" else x

    # --- likelihood -------------------------------------------------------------------------------

    def _terms(
        self, x: NDArray[Any], labels: Any, *, n_t: int, seed: Any, timesteps: int | None = None,
        calibrated: bool = True,
    ) -> tuple[Doubles, Doubles]:  # fmt: skip
        mse = None
        if timesteps is not None and calibrated:
            mse = [lambda t, s=s: self._mse(s, t) for s in range(self._scales.n_scales)]
        parts = []
        for i in range(0, len(x), _CHUNK):
            part = slice(i, i + _CHUNK)
            parts.append(
                algorithm.bound_terms(
                    self._rows(np.asarray(x[part])), self.networks_, self.schedule_,
                    vocab_size=self.vocab_size, noisy=self._noisy, n_t=n_t, timesteps=timesteps, mse=mse,
                    labels=self._tensor(None if labels is None else labels[part]), seed=(seed, i),
                )
            )  # fmt: skip
        terms, variances = zip(*parts, strict=True)
        return np.concatenate(terms), np.concatenate(variances)

    def _mse(self, s: int, t: Any) -> Doubles:
        """Expected errors at times, by channel."""
        table = self.mse_table_[s]
        return np.stack([np.interp(t, self.mse_times_, table[:, c]) for c in range(table.shape[1])], -1)

    def _evaluate(
        self, X: Any, y: Any, n_t: int, timesteps: int | None, calibrated: bool
    ) -> tuple[Doubles, Doubles]:
        check_is_fitted(self, "networks_")
        _validate.check_integer(n_t, "n_t", 1)
        if timesteps is not None:
            _validate.check_integer(timesteps, "timesteps", 1)
        x = self._read(X)
        labels = self._labels(y, len(x))
        with self._threads():
            return self._terms(x, labels, n_t=n_t, seed="score", timesteps=timesteps, calibrated=calibrated)

    def score_samples(
        self, X: Any, y: Any = None, *, n_t: int = 64, timesteps: int | None = None, return_std: bool = False
    ) -> Any:
        """The bound on log P of each image, in nats.

        Parameters
        ----------
        X : array as for `fit`
        y : array or None
            Labels, where the model has them.
        n_t : int, default=64
            Times a sample and scale, stratified.
        timesteps : int or None, default=None
            Of the discrete-time bound; None: continuous time.
        return_std : bool, default=False
            Also return standard errors of the Monte-Carlo estimates.

        Returns
        -------
        ndarray of shape (n,), or two of them
            At most log P(x) in expectation.

        Raises
        ------
        ValueError, TypeError
            As for `fit`; or images of another shape.
        sklearn.exceptions.NotFittedError
            There was no `fit`.
        """
        terms, variances = self._evaluate(X, y, n_t, timesteps, True)
        value = -terms.sum(1)
        return (value, np.sqrt(variances.sum(1))) if return_std else value

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`: what a grid search maximises.

        Parameters
        ----------
        X, y
            As for `score_samples`.

        Returns
        -------
        float
        """
        return float(self.score_samples(X, y).mean())

    def bits_per_dim(
        self, X: Any, per_scale: bool = False, timesteps: int | None = None, return_std: bool = False,
        *, y: Any = None, n_t: int = 64, calibrated: bool = True, n_importance: int | None = None,
    ) -> Any:  # fmt: skip
        """The bound on ``-log2 P`` in bits per dimension, mean over images.

        Parameters
        ----------
        X : array as for `fit`
        per_scale : bool, default=False
            Return the terms: of the scales, the coarsest first, then of the reconstruction of the pixels (for
            integers it belongs to the scales).
        timesteps : int or None, default=None
            Of the discrete-time bound; None: continuous time.
        return_std : bool, default=False
            Also return the standard error over images, Monte-Carlo error included.
        y : array or None
            Labels, where the model has them.
        n_t : int, default=64
            As for `score_samples`.
        calibrated : bool, default=True
            In discrete time, use the variances that fit the errors of the networks.
        n_importance : int or None, default=None
            A tighter bound from so many trajectories of the chain of `timesteps` steps, each of which costs
            as many network calls as steps.

        Returns
        -------
        float or ndarray, or two of them

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `score_samples`; `n_importance` without `timesteps` or with `per_scale`.
        """
        unit = 1.0 / LN2
        if n_importance is not None:
            check_is_fitted(self, "networks_")
            _validate.check_integer(n_importance, "n_importance", 1)
            if timesteps is None or per_scale:
                raise ValueError("n_importance needs timesteps, and has no terms by scale")
            bound = self._importance(X, y, timesteps, n_importance, calibrated)[:, None]
        else:
            bound, _ = self._evaluate(X, y, n_t, timesteps, calibrated)
        bits = bound * unit / self._scales.n_dims
        values = bits if per_scale else bits.sum(1, keepdims=True)
        mean, std = (
            values.mean(0),
            values.std(0, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None,
        )
        if std is None:
            std = np.full(values.shape[1], np.nan)
        if not per_scale:
            mean, std = float(mean[0]), float(std[0])
        return (mean, std) if return_std else mean

    def _importance(self, X: Any, y: Any, timesteps: int, k: int, calibrated: bool) -> Doubles:
        x = self._read(X)
        labels = self._labels(y, len(x))
        gammas = self._gammas(timesteps)
        mse = [self._mse(s, np.linspace(0, 1, timesteps + 1)) for s in range(self._scales.n_scales)]
        parts = []
        with self._threads():
            for i in range(0, len(x), _CHUNK):
                part = slice(i, i + _CHUNK)
                parts.append(
                    algorithm.importance_bound(
                        self._rows(x[part]), self._scales, self.networks_, gammas,
                        mse if calibrated else None, noisy=self._noisy,
                        labels=self._tensor(None if labels is None else labels[part]),
                        n_importance=k, seed=("importance", i),
                    )
                )  # fmt: skip
        return np.concatenate(parts)

    def _gammas(self, timesteps: int) -> list[float]:
        """The schedule at the steps 0..T."""
        torch = algorithm.torch_module()
        with torch.no_grad():
            t = torch.linspace(0.0, 1.0, timesteps + 1, dtype=torch.float64, device=self._device())
            return [float(g) for g in self.schedule_(t)[0].cpu()]

    # --- outliers ---------------------------------------------------------------------------------

    def ood_score(
        self, X: Any, method: str = "typicality", group: int = 1, *, y: Any = None, n_t: int = 64
    ) -> Doubles:
        """How unlike the training images these are: larger is stranger.

        Parameters
        ----------
        X : array as for `fit`
        method : {"typicality", "nll", "scale_typicality"}, default="typicality"
            Distance of the bits per dimension from their mean in training; these bits; or the Mahalanobis
            distance of the terms of the bound from their mean in training.
        group : int, default=1
            Score so many images together, by their mean: the rows of `X` in order, the last ones that make no
            group left out.
        y : array or None
            Labels, where the model has them.
        n_t : int, default=64
            As for `score_samples`.

        Returns
        -------
        ndarray of shape (n // group,)

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `score_samples`; `group` is less than 1 or more than there are images.
        """
        _validate.check_choice(method, "method", ("typicality", "nll", "scale_typicality"))
        m = _validate.check_integer(group, "group", 1)
        terms, _ = self._evaluate(X, y, n_t, None, True)
        if m > len(terms):
            raise ValueError(f"group must be at most the number of images, {len(terms)}, got {m}")
        count = len(terms) // m
        bits = terms[: count * m].reshape(count, m, -1).mean(1) / (self._scales.n_dims * LN2)
        if method == "nll":
            return np.asarray(bits.sum(1))
        if method == "typicality":
            return np.asarray(np.abs(bits.sum(1) - self.train_bits_mean_))
        away = bits - self.train_scale_mean_
        inverse = np.linalg.pinv(self.train_scale_cov_, hermitian=True)
        squares: Doubles = np.einsum("ni,ij,nj->n", away, inverse, away)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))

    # --- samples ----------------------------------------------------------------------------------

    def sample(
        self,
        n: int = 1,
        timesteps: int = 1000,
        method: str = "ancestral",
        *,
        y: Any = None,
        random_state: Any = 0,
    ) -> NDArray[Any]:
        """Draw images.

        Parameters
        ----------
        n : int, default=1
        timesteps : int, default=1000
            Steps a scale.
        method : {"ancestral", "ode"}, default="ancestral"
            The reverse chain, or the flow with the same marginals, which needs fewer steps.
        y : label, array of shape (n,) or None
            Labels, where the model has them.
        random_state : int, RandomState, Generator or None, default=0

        Returns
        -------
        ndarray
            In the layout of `X` of `fit`.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            An argument is out of range, or there was no `fit`.
        """
        check_is_fitted(self, "networks_")
        count = _validate.check_integer(n, "n", 1)
        return self._draw(count, timesteps, method, y, random_state, [])

    def super_resolve(
        self,
        coarse: Any,
        timesteps: int = 1000,
        method: str = "ancestral",
        *,
        y: Any = None,
        random_state: Any = 0,
    ) -> NDArray[Any]:
        """Draw images whose coarse version is given.

        Parameters
        ----------
        coarse : array of shape (n, C, H / 2^k, W / 2^k), or the same in the layout of `X` of `fit`
            Grey values, which need not be integers: for "haar" means of blocks of ``2^k x 2^k`` pixels. k is
            at most ``n_scales - 1``.
        timesteps, method, y, random_state
            As for `sample`.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            The shape is that of no scale; values are not finite.
        TypeError, sklearn.exceptions.NotFittedError
            As for `sample`.
        """
        check_is_fitted(self, "networks_")
        given = np.asarray(coarse.detach().cpu() if hasattr(coarse, "detach") else coarse, dtype=np.float64)
        _validate.check_finite(given, "coarse")
        if self._layout == "channels_last" and given.ndim == 4:
            given = np.moveaxis(given, -1, 1)
        elif given.ndim == 3 and self.image_shape_[0] == 1:
            given = given[:, None]
        _, height, width = self.image_shape_
        sizes = {(height >> k, width >> k): k for k in range(1, self._scales.levels + 1)}
        if given.ndim != 4 or given.shape[1] != self.image_shape_[0] or given.shape[2:] not in sizes:
            raise ValueError(
                f"coarse must hold images of {self.image_shape_[0]} channels of one of the sizes "
                f"{sorted(sizes)}, got shape {np.shape(coarse)}"
            )
        k = sizes[given.shape[2], given.shape[3]]
        s = self._scales.n_scales - k  # the first scale that is drawn
        torch = algorithm.torch_module()
        if self._scales.integer:
            ints = np.rint(given).astype(np.int64)
            known = list(make_map("integer", self._scales.map.wavelet, s - 1).forward(ints))
        else:
            low = self._scales.encode(given) * 2.0**k
            seed = _validate.check_seed(random_state)
            noise = np.random.default_rng([seed, 3]).standard_normal(low.shape)
            low = low + math.exp(0.5 * self.gamma_[0]) * noise
            known = [torch.from_numpy(b) for b in make_map("wavelet", self.wavelet, s - 1).forward(low)]
        return self._draw(len(given), timesteps, method, y, random_state, known)

    def _draw(
        self, n: int, timesteps: int, method: str, y: Any, random_state: Any, known: list[Any]
    ) -> NDArray[Any]:
        torch = algorithm.torch_module()
        from lapwing.nn.fit import generator

        _validate.check_choice(method, "method", ("ancestral", "ode"))
        gammas = self._gammas(_validate.check_integer(timesteps, "timesteps", 1))
        labels = self._labels(y, n)
        seed = _validate.check_seed(random_state)
        device, dtype = self._device(), getattr(torch, self.dtype)
        alpha0 = algorithm._alpha_sigma(gammas[0])[0]
        scales = self._scales
        out = []
        with self._threads():
            for i in range(0, n, _CHUNK):
                part = slice(i, min(i + _CHUNK, n))
                size = part.stop - i
                code = self._tensor(None if labels is None else labels[part])
                found = [b[part] for b in known]
                for s in range(len(known), scales.n_scales):
                    condition = None
                    if s and scales.integer:
                        seen = scales.encode(scales.coarse_integers(found).astype(np.float64))
                        condition = torch.from_numpy(seen).to(device=device, dtype=dtype)
                    elif s:
                        condition = scales.coarse(found).to(device=device, dtype=dtype)
                    z = algorithm.sample_latent(
                        self.networks_[s], (size, *scales.shapes[s]), gammas, condition, code,
                        generator(device, seed, "sample", i, s), method, device, dtype,
                    )  # fmt: skip
                    latent = z.double().cpu() / alpha0
                    if scales.integer:
                        low, high = scales.ranges[s]
                        found.append(
                            np.clip(np.rint(scales.on_lattice(latent.numpy(), s)), low, high).astype(np.int64)
                        )
                    else:
                        found.append(latent)
                if scales.integer:
                    image = scales.map.inverse(found)
                else:
                    image = np.rint(scales.on_lattice(scales.map.inverse(found).numpy(), 0))
                out.append(np.clip(image, 0, self.vocab_size - 1).astype(np.int64))
        return self._images_out(np.concatenate(out))

    # --- scales -----------------------------------------------------------------------------------

    def _hierarchy(self) -> Any:
        return make_map(self.hierarchy, self.wavelet, self.n_scales - 1)

    def transform(self, X: Any) -> list[NDArray[Any]]:
        """The scales of images.

        Parameters
        ----------
        X : array as for `fit`

        Returns
        -------
        list of ndarray of shape (n, channels, h, w)
            The coarsest first; of grey values encoded as ``(2 v + 1) / vocab_size - 1``, or integers with
            ``hierarchy="integer"``.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `score_samples`.
        """
        check_is_fitted(self, "networks_")
        x = self._read(X).astype(np.int64)
        bands: list[NDArray[Any]] = self._hierarchy().forward(
            x if self._scales.integer else self._scales.encode(x)
        )
        return bands

    def inverse_transform(self, bands: Sequence[Any]) -> NDArray[Any]:
        """Images from their scales: undoes `transform`, and rounds to grey values.

        Parameters
        ----------
        bands : list of ndarray

        Returns
        -------
        ndarray
            In the layout of `X` of `fit`.

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            Shapes do not fit, or there was no `fit`.
        """
        check_is_fitted(self, "networks_")
        image = self._hierarchy().inverse(bands)
        if not self._scales.integer:
            image = np.rint(self._scales.on_lattice(image, 0))
        return self._images_out(np.clip(image, 0, self.vocab_size - 1))

    # --- codes ------------------------------------------------------------------------------------

    def _chain(self, timesteps: int, exponents: Any = None) -> Any:
        torch = algorithm.torch_module()
        from ._coding import BATCH, Chain

        device, dtype = self._device(), getattr(torch, self.dtype)

        def predict(s: int, z: Doubles, gamma: float, condition: Doubles | None, labels: Any) -> Doubles:
            out = np.empty(z.shape)
            for i in range(0, len(z), BATCH):
                part = slice(i, i + BATCH)
                some = torch.from_numpy(z[part]).to(device=device, dtype=dtype)
                seen = None
                if condition is not None:
                    seen = torch.from_numpy(np.ascontiguousarray(condition[part])).to(
                        device=device, dtype=dtype
                    )
                g = torch.full((len(some),), gamma, dtype=torch.float64, device=device)
                code = self._tensor(None if labels is None else labels[part])
                with torch.no_grad():
                    out[part] = self.networks_[s](some, g, seen, code).double().cpu().numpy()
            return out

        times = np.linspace(0.0, 1.0, timesteps + 1)
        mse = [np.maximum(self._mse(s, times), 0.0) for s in range(self._scales.n_scales)]
        return Chain(self._scales, predict, self._gammas(timesteps), mse, self._noisy, exponents)

    def compress(self, X: Any, *, y: Any = None, timesteps: int | None = None) -> bytes:
        """Code images without loss.

        Parameters
        ----------
        X : array as for `fit`
        y : array or None
            Labels, where the model has them. They are not in the file.
        timesteps : int or None, default=None
            Steps of the chain: more give fewer bits, and take longer. None: the parameter `timesteps`, else
            100.

        Returns
        -------
        bytes
            Which `decompress` of this model turns back, with the same kind of device and numbers of threads.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `score_samples`.
        ImportError
            constriction is not installed.
        """
        from ._coding import compress_images

        check_is_fitted(self, "networks_")
        steps = timesteps if timesteps is not None else self.timesteps if self.timesteps is not None else 100
        _validate.check_integer(steps, "timesteps", 1)
        x = self._read(X)
        labels = self._labels(y, len(x))
        # A decoder must use as many, whatever machine it is on; and the steps are small: several threads
        # mostly wait for each other, which takes long on a busy machine.
        with self._threads(1 if self.n_jobs is None else None) as threads:
            chain = self._chain(steps)
            header = {**self._header(), "threads": threads}
            return compress_images(chain, np.asarray(x, dtype=np.int64), labels, header)

    def _header(self) -> dict[str, Any]:
        from ._coding import BATCH

        torch = algorithm.torch_module()
        return {
            "model": self.model_hash(), "device": self._device().type, "torch": torch.__version__,
            "batch": BATCH, "dtype": self.dtype, "labels": self.classes_ is not None,
        }  # fmt: skip

    def decompress(self, data: bytes, *, y: Any = None) -> NDArray[Any]:
        """Decode what `compress` wrote.

        Parameters
        ----------
        data : bytes
        y : array or None
            The labels that `compress` was given.

        Returns
        -------
        ndarray
            The images, in the layout of `X` of `fit`.

        Raises
        ------
        DecodeError
            The file is foreign, truncated, damaged, or of another model, device or version. Wrong pixels are
            never returned: every link's are compared with a checksum.
        TypeError
            `data` is not bytes.
        sklearn.exceptions.NotFittedError
            There was no `fit`.
        ImportError
            constriction is not installed.
        """
        from ._coding import decompress_images, read_header

        check_is_fitted(self, "networks_")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes, got {type(data).__name__}")
        header, payload = read_header(bytes(data))
        mine = self._header()
        for name, what in (
            ("model", "by another model"), ("device", "on another kind of device"),
            ("dtype", "in another precision"), ("batch", "with other batches"),
            ("labels", "by a model with other labels"),
        ):  # fmt: skip
            if header.get(name) != mine[name]:
                raise DecodeError(
                    f"the file was written {what}: {header.get(name)!r}, here it is {mine[name]!r}"
                )
        try:
            steps, threads, count = int(header["steps"]), int(header["threads"]), int(header["count"])
            grid = [[int(e) for e in row] for row in header["grid"]]
            fits = (
                1 <= steps <= 10**6 and 1 <= threads <= 4096 and header["shape"] == list(self.image_shape_)
                and len(grid) == self.n_scales and all(len(row) == steps + 1 for row in grid)
                and all(-100 <= e <= 20 for row in grid for e in row)
            )  # fmt: skip
            if not fits:
                raise ValueError("numbers of steps, threads or grids are impossible")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DecodeError(f"the header makes no sense: {error}") from error
        labels = self._labels(y, count)
        with self._threads(threads):
            chain = self._chain(steps, grid)
            try:
                x = decompress_images(chain, header, payload, labels)
            except DecodeError as error:
                if header.get("torch") != mine["torch"]:
                    raise DecodeError(
                        f"{error} (written with torch {header.get('torch')}, here it is {mine['torch']})"
                    ) from error
                raise
        return self._images_out(x)

    # --- files ------------------------------------------------------------------------------------

    def _arrays(self) -> dict[str, Any]:
        from lapwing.nn.fit import module_arrays

        arrays: dict[str, Any] = {"mse_times": self.mse_times_}
        for s, net in enumerate(self.networks_):
            arrays |= module_arrays(net, f"network/{s}/")
            arrays[f"mse/{s}"] = self.mse_table_[s]
            arrays[f"std/{s}"] = self.bands_std_[s]
        arrays |= module_arrays(self.schedule_, "schedule/")
        return arrays

    def model_hash(self) -> str:
        """A name of the fitted model that no other has: 32 hexadecimal digits.

        Returns
        -------
        str

        Raises
        ------
        sklearn.exceptions.NotFittedError
            There was no `fit`.
        """
        check_is_fitted(self, "networks_")
        chosen = (
            "hierarchy", "wavelet", "n_scales", "conditioning", "vocab_size", "network", "width",
            "width_detail", "depth", "fourier", "gamma", "dtype",
        )  # fmt: skip
        digest = hashlib.sha256(
            json.dumps([{k: self._plain_parameters()[k] for k in chosen}, self.image_shape_]).encode()
        )
        for name, array in sorted(self._arrays().items()):
            digest.update(name.encode() + repr((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a file, without pickle.

        Parameters
        ----------
        path : path
            The file, in the format of safetensors.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            There was no `fit`.
        OSError
            It cannot be written.
        """
        from lapwing.nn.fit import write_arrays

        check_is_fitted(self, "networks_")
        about = {
            "format": _FORMAT,
            "kind": "PCDM",
            "parameters": self._plain_parameters(),
            "image_shape": list(self.image_shape_),
            "layout": self._layout,
            "condition_std": self._condition_std,
            "classes": None if self.classes_ is None else self.classes_.tolist(),
            "history": self.history_,
            "n_steps": self.n_steps_,
            "train_bits": [self.train_bits_mean_, self.train_bits_std_],
        }
        arrays = self._arrays() | {"train/mean": self.train_scale_mean_, "train/cov": self.train_scale_cov_}
        write_arrays(path, arrays, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | None = None) -> PCDM:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path
        device : str or None, default=None
            Of torch, for the networks.

        Returns
        -------
        PCDM

        Raises
        ------
        ValueError
            The file is damaged, or holds something else.
        OSError
            It cannot be read.
        """
        from lapwing.nn.fit import load_module, read_arrays

        arrays, about = read_arrays(Path(path))
        if about.get("kind") != "PCDM" or about.get("format") != _FORMAT:
            raise ValueError(f"{path} holds no PCDM of format {_FORMAT}")
        parameters = dict(about["parameters"])
        parameters["fourier"] = tuple(parameters["fourier"])
        if parameters["image_shape"] is not None:
            parameters["image_shape"] = tuple(parameters["image_shape"])
        parameters["device"] = device
        model = PCDM(**parameters)
        channels, height, width = about["image_shape"]
        model.image_shape_ = (channels, height, width)
        model.n_features_in_ = math.prod(model.image_shape_)
        model._layout = about["layout"]
        model.classes_ = None if about["classes"] is None else np.array(about["classes"])
        model._condition_std = about["condition_std"]
        try:
            model.bands_std_ = [arrays[f"std/{s}"] for s in range(model.n_scales)]
            model.mse_times_ = arrays["mse_times"]
            model.mse_table_ = [arrays[f"mse/{s}"] for s in range(model.n_scales)]
            model.train_scale_mean_, model.train_scale_cov_ = arrays["train/mean"], arrays["train/cov"]
        except KeyError as error:
            raise ValueError(f"{path} lacks the array {error}") from error
        model._set_scales()
        model._make_networks(0)
        for s, net in enumerate(model.networks_):
            load_module(net, arrays, f"network/{s}/")
        load_module(model.schedule_, arrays, "schedule/")
        model._ready()
        model.history_, model.n_steps_ = about["history"], about["n_steps"]
        model.train_bits_mean_, model.train_bits_std_ = about["train_bits"]
        return model


def VDM(**parameters: Any) -> PCDM:
    """A variational diffusion model: `PCDM` with one scale.

    Parameters
    ----------
    **parameters
        Those of `PCDM`, without `n_scales`.

    Returns
    -------
    PCDM

    Raises
    ------
    TypeError
        `n_scales` is given, or something that is no parameter.

    Examples
    --------
    >>> from lapwing.generative import VDM
    >>> VDM(width=32).n_scales
    1
    """
    if "n_scales" in parameters:
        raise TypeError("VDM has one scale: n_scales is no parameter")
    return PCDM(n_scales=1, **parameters)


class _Times:
    """Draws times: evenly, or more of them where the loss was large."""

    def __init__(self, n_scales: int, kind: str) -> None:
        self.importance = kind == "importance"
        self.mean = np.zeros((n_scales, _BINS))
        self.seen = np.zeros((n_scales, _BINS))

    def draw(self, u: Doubles, s: int) -> tuple[Doubles, Doubles]:
        """Times and their weights from even numbers in 0..1."""
        if not self.importance or self.seen[s].min() < 10:
            return u, np.ones_like(u)
        share = self.mean[s] / max(self.mean[s].sum(), 1e-300)
        density = 0.9 * share + 0.1 / _BINS
        density /= density.sum()
        ends = np.concatenate([[0.0], np.cumsum(density)])
        ends[-1] = 1.0
        place = np.clip(np.searchsorted(ends, u, side="right") - 1, 0, _BINS - 1)
        t = (place + np.clip((u - ends[place]) / density[place], 0.0, 1.0 - 1e-12)) / _BINS
        return t, 1.0 / (density[place] * _BINS)

    def note(self, values: Doubles, t: Doubles, s: int) -> None:
        """Remember losses, before weights, at times."""
        if not self.importance:
            return
        place = np.clip((t * _BINS).astype(np.int64), 0, _BINS - 1)
        for b, value in zip(place, values, strict=True):
            self.seen[s, b] += 1
            rate = max(0.02, 1.0 / self.seen[s, b])
            self.mean[s, b] += rate * (value - self.mean[s, b])

    def state(self) -> dict[str, Doubles]:
        """For the checkpoint."""
        return {"mean": self.mean, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Undo `state`."""
        self.mean, self.seen = np.array(state["mean"]), np.array(state["seen"])
