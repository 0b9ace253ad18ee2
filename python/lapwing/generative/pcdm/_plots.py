"""Pictures of images, their scales, and a fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing import plots
from lapwing.multiscale import make_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ._estimator import PCDM

__all__ = ["plot_bits", "plot_images", "plot_scales", "plot_training"]


def _shown(image: Any, vocab_size: int) -> Any:
    """An image (C, H, W) as imshow takes it, grey values from 0 to 1."""
    x = np.asarray(image, dtype=np.float64) / (vocab_size - 1)
    return np.clip(x[0] if len(x) == 1 else np.moveaxis(x[:3], 0, -1), 0.0, 1.0)


def plot_scales(image: Any, n_scales: int = 3, *, wavelet: str = "haar", vocab_size: int = 256) -> Figure:
    """Draw an image and its wavelet scales: the coarse image, and the details of each level as grey pictures.

    Parameters
    ----------
    image : array of shape (H, W) or (C, H, W)
        Grey values; sides are multiples of ``2**(n_scales - 1)``.
    n_scales : int, default=3
        At least 2.
    wavelet : str, default="haar"
    vocab_size : int, default=256

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        The shape or `n_scales` does not fit.
    """
    x = np.asarray(image, dtype=np.float64)
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or n_scales < 2:
        raise ValueError(
            f"image must have shape (H, W) or (C, H, W), n_scales be at least 2, got {x.shape}, {n_scales}"
        )
    levels = n_scales - 1
    bands = make_map("wavelet", wavelet, levels).forward(x)
    channels = len(x)
    height = 3.2 * x.shape[1] / x.shape[2] + 0.35  # with room for the titles
    figure, axes = plots.new_figure(1, n_scales + 1, size=(3.2, height))
    axes = axes[0]
    axes[0].imshow(_shown(x, vocab_size), cmap="gray", vmin=0, vmax=1)
    axes[0].set_title("image")
    axes[1].imshow(_shown(bands[0] / 2.0**levels, vocab_size), cmap="gray", vmin=0, vmax=1)
    axes[1].set_title(f"scale 1: coarse, {bands[0].shape[-2]} x {bands[0].shape[-1]}")
    for s in range(1, n_scales):
        da, ad, dd = (bands[s][i * channels : (i + 1) * channels].mean(0) for i in range(3))
        blank = np.full_like(dd, np.nan)
        tile = np.block([[blank, ad], [da, dd]])
        most = float(np.percentile(np.abs(bands[s]), 99)) or 1.0
        axes[s + 1].imshow(tile, cmap="gray", vmin=-most, vmax=most)
        axes[s + 1].set_title(f"scale {s + 1}: details, 3 x {dd.shape[0]} x {dd.shape[1]}")
    for ax in axes:
        ax.set_axis_off()
    return figure


def plot_images(
    images: Any, *, columns: int = 8, vocab_size: int = 256, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw images in a grid.

    Parameters
    ----------
    images : array of shape (n, H, W) or (n, C, H, W)
    columns : int, default=8
    vocab_size : int, default=256
    title : str or None, default=None
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        The shape is not such.
    """
    x = np.asarray(images)
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim != 4 or not len(x):
        raise ValueError(f"images must have shape (n, H, W) or (n, C, H, W), got {np.shape(images)}")
    ax = plots.new_axes(ax)
    tiles = [_shown(image, vocab_size) for image in x]
    height, width = tiles[0].shape[:2]
    gap = max(1, width // 16)
    rows = -(-len(tiles) // columns)
    sheet = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles[0].shape[2:]))
    for i, tile in enumerate(tiles):
        r, c = divmod(i, columns)
        sheet[
            r * (height + gap) : r * (height + gap) + height, c * (width + gap) : c * (width + gap) + width
        ] = tile
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    if title is not None:
        ax.set_title(title)
    return ax


def plot_bits(model: PCDM, X: Any, *, y: Any = None, n_t: int = 64, ax: Axes | None = None) -> Axes:
    """Draw the bits per dimension of each term of the bound, with standard errors.

    Parameters
    ----------
    model : PCDM
        A fitted estimator.
    X : array
        Images.
    y : array or None, default=None
        Labels, where the model has them.
    n_t : int, default=64
        As for `PCDM.bits_per_dim`.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = plots.new_axes(ax)
    mean, std = model.bits_per_dim(X, per_scale=True, return_std=True, y=y, n_t=n_t)
    names = [f"scale {s + 1}" for s in range(model.n_scales)]
    if len(mean) > len(names):
        names.append("pixels")
    ax.bar(names, mean, yerr=std, capsize=3, color="0.6")
    for i, value in enumerate(mean):
        ax.annotate(
            f"{value:.3f}", (i, value), ha="center", va="bottom", xytext=(0, 4), textcoords="offset points"
        )
    ax.set_ylabel("bits per dimension")
    ax.set_title(f"bound: {mean.sum():.3f} bits per dimension")
    return ax


def plot_training(model: PCDM, *, ax: Axes | None = None) -> Axes:
    """Draw the losses over the training.

    Parameters
    ----------
    model : PCDM
        A fitted estimator.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "networks_")
    ax = plots.new_axes(ax)
    names = [k for k in model.history_[0] if k not in ("step", "learning_rate", "validation")]
    steps = [entry["step"] for entry in model.history_]
    for name in names:
        ax.semilogy(steps, [entry[name] for entry in model.history_], label=name)
    checked = [(entry["step"], entry["validation"]) for entry in model.history_ if "validation" in entry]
    if checked:
        ax.semilogy(*zip(*checked, strict=True), "k.-", label="validation, whole bound")
    ax.set_xlabel("step")
    ax.set_ylabel("bits per dimension")
    ax.legend(frameon=False)
    return ax
