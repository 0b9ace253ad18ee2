"""Plots of a fitted `EOTEigenmaps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from ._estimator import EOTEigenmaps

__all__ = ["layout", "plot_convergence", "plot_embedding", "plot_joint_embedding", "plot_singular_values"]


def layout(
    points: ArrayLike, *, method: str = "tsne", components: tuple[int, int] = (0, 1), random_state: int = 0
) -> NDArray[np.float64]:
    """Two coordinates to draw an embedding in.

    Parameters
    ----------
    points : array_like of shape (n, r)
        The embedding.
    method : {"tsne", "components"}, default="tsne"
        "tsne": scikit-learn's t-SNE of all r coordinates, which shows groups that two of them hide
        (distances between far groups mean nothing in it); "components": two of the coordinates as they are.
    components : tuple of int, default=(0, 1)
        Which two, counted from 0; the second may be missing when r = 1.
    random_state : int, default=0
        Seed of t-SNE.

    Returns
    -------
    ndarray of shape (n, 2)
    """
    Z = np.asarray(points, dtype=np.float64)
    if method == "components" or Z.shape[1] <= 2:
        i, j = components if Z.shape[1] > 1 else (0, 0)
        if not (0 <= i < Z.shape[1] and 0 <= j < Z.shape[1]):
            raise ValueError(f"components must be between 0 and {Z.shape[1] - 1}, got {components}")
        return np.column_stack([Z[:, i], Z[:, j] if Z.shape[1] > 1 else np.zeros(len(Z))])
    if method != "tsne":
        raise ValueError(f"method must be 'tsne' or 'components', got {method!r}")
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # One unit of length for all coordinates together: t-SNE adapts to each neighbourhood anyway.
    Z = Z / max(float(Z.std()), np.finfo(np.float64).tiny)
    model = TSNE(perplexity=min(20.0, max(1.0, (len(Z) - 1) / 4.0)), random_state=random_state, n_jobs=1)
    # Half the usual iterations are enough for a picture. scikit-learn 1.5 renamed the parameter.
    model.set_params(**{"max_iter" if "max_iter" in model.get_params() else "n_iter": 500})
    with threadpool_limits(
        1
    ):  # its many small parallel loops crawl when the cores are busy with something else
        return np.asarray(model.fit_transform(Z), dtype=np.float64)


def _stacked(model: EOTEigenmaps) -> tuple[NDArray[np.float64], NDArray[Any]]:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "embedding_x_")
    pair = [np.asarray(Z, dtype=np.float64) for Z in (model.embedding_x_, model.embedding_y_)]
    return np.vstack(pair), np.repeat(["X", "Y"], [len(Z) for Z in pair])


def _labels(labels_x: ArrayLike | None, labels_y: ArrayLike | None, m: int, n: int) -> NDArray[Any] | None:
    if labels_x is None and labels_y is None:
        return None
    parts = []
    for labels, size, name in ((labels_x, m, "labels_x"), (labels_y, n, "labels_y")):
        part = np.full(size, "unknown") if labels is None else np.asarray(labels)
        if part.shape != (size,):
            raise ValueError(f"{name} must have shape ({size},), got {part.shape}")
        parts.append(part)
    return np.concatenate(parts)


def plot_embedding(
    model: EOTEigenmaps,
    *,
    labels_x: ArrayLike | None = None,
    labels_y: ArrayLike | None = None,
    components: tuple[int, int] = (0, 1),
    ax: Axes | None = None,
) -> Axes:
    """Draw two coordinates of both datasets together, coloured by dataset or by label.

    Parameters
    ----------
    model : EOTEigenmaps
        A fitted estimator.
    labels_x, labels_y : array_like of shape (m,) and (n,), or None
        Labels to colour by; without any, the colour tells the dataset.
    components : tuple of int, default=(0, 1)
        The two coordinates, counted from 0.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    points, datasets = _stacked(model)
    groups = _labels(labels_x, labels_y, len(model.embedding_x_), len(model.embedding_y_))
    ax = plots.new_axes(ax)
    plots.scatter_groups(
        ax, layout(points, method="components", components=components), datasets if groups is None else groups
    )
    ax.set_xlabel(f"coordinate {components[0] + 1}")
    ax.set_ylabel(f"coordinate {components[1] + 1}")
    return ax


def plot_joint_embedding(
    model: EOTEigenmaps,
    *,
    labels_x: ArrayLike | None = None,
    labels_y: ArrayLike | None = None,
    method: str = "tsne",
    random_state: int = 0,
    title: str | None = None,
) -> Figure:
    """Draw the joint embedding twice: coloured by dataset and, where there are labels, by label.

    Parameters
    ----------
    model : EOTEigenmaps
        A fitted estimator.
    labels_x, labels_y : array_like of shape (m,) and (n,), or None
        Labels of the samples.
    method : {"tsne", "components"}, default="tsne"
        How to get two coordinates out of r: t-SNE of all of them, or the first two.
    random_state : int, default=0
        Seed of t-SNE.
    title : str or None, default=None
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    points, datasets = _stacked(model)
    groups = _labels(labels_x, labels_y, len(model.embedding_x_), len(model.embedding_y_))
    panels = [("by dataset", datasets)] + ([("by label", groups)] if groups is not None else [])
    figure, axes = plots.new_figure(1, len(panels))
    plane = layout(points, method=method, random_state=random_state)
    for ax, (name, colors) in zip(axes[0], panels, strict=True):
        plots.scatter_groups(ax, plane, colors, title=name)
    if title is not None:
        figure.suptitle(title)
    return figure


def plot_singular_values(model: EOTEigenmaps, *, ax: Axes | None = None) -> Axes:
    """Draw the non-trivial singular values of the plan.

    Parameters
    ----------
    model : EOTEigenmaps
        A fitted estimator.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "singular_values_")
    ax = plots.new_axes(ax)
    values = model.singular_values_[1:]
    ax.semilogy(np.arange(1, len(values) + 1), values, "o-", markersize=4)
    ax.set_xlabel("coordinate")
    ax.set_ylabel("singular value of the plan")
    ax.locator_params(axis="x", integer=True)
    return ax


def plot_convergence(model: EOTEigenmaps, *, ax: Axes | None = None) -> Axes:
    """Draw the marginal error of the plan over the sweeps.

    Parameters
    ----------
    model : EOTEigenmaps
        A fitted estimator.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "plan_")
    ax = plots.new_axes(ax)
    levels = [entry[0] for entry in model.plan_.history]
    errors = np.array([entry[1] for entry in model.plan_.history], dtype=np.float64)
    sweeps = np.arange(1, len(errors) + 1)
    drawn = np.isfinite(errors) & (errors > 0)
    ax.semilogy(sweeps[drawn], errors[drawn], "o-", markersize=3)
    for k in range(1, len(levels)):
        if levels[k] != levels[k - 1]:
            ax.axvline(k + 0.5, color="0.8", linewidth=0.8)  # the regularisation was lowered here
    ax.set_xlabel("sweep")
    ax.set_ylabel("marginal error")
    ax.locator_params(axis="x", integer=True)
    return ax
