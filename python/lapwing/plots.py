"""Matplotlib helpers that the plots of all methods share.

Nothing here opens a window: the functions draw into the axes that they get, or into a new figure of pyplot,
which falls back to a file-only back end where there is no display.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing._optional import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["draw_graph", "new_axes", "new_figure", "save_figure", "scatter_groups"]


def new_figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (4.5, 4.0)
) -> tuple[Figure, Any]:
    """Make a figure with a grid of axes.

    Parameters
    ----------
    rows, columns : int, default=1
        The grid.
    size : tuple of float, default=(4.5, 4.0)
        Width and height of one panel in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, of shape (rows, columns)

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    """
    pyplot = need("matplotlib.pyplot", extra="plot", purpose="a plot")
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, layout="constrained"
    )
    return figure, axes


def new_axes(ax: Axes | None = None) -> Axes:
    """Return `ax`, or the axes of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into.

    Returns
    -------
    matplotlib.axes.Axes
    """
    return new_figure()[1][0, 0] if ax is None else ax


def save_figure(figure: Figure, path: Any, *, dpi: float = 150) -> None:
    """Write a figure to a file and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or path
        The file; its suffix chooses the format.
    dpi : float, default=150
        Dots per inch.
    """
    pyplot = need("matplotlib.pyplot", extra="plot", purpose="a plot")
    try:
        figure.savefig(path, dpi=dpi)
    finally:
        pyplot.close(figure)


def scatter_groups(
    ax: Axes,
    points: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    title: str | None = None,
    point_size: float | None = None,
    legend: bool = True,
    random_state: int = 0,
) -> Axes:
    """Draw points in the plane, one colour for each group.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    points : array_like of shape (n, 2)
        The points.
    groups : array_like of shape (n,) or None, default=None
        The group of each point. Groups get the colours of a qualitative palette in sorted order; numbers
        with more than 20 different values, a continuous one.
    title : str or None, default=None
        Title of the panel.
    point_size : float or None, default=None
        Marker area in points^2; None: from the number of points.
    legend : bool, default=True
        Whether to name the groups beside the panel.
    random_state : int, default=0
        Seed of the order of drawing: shuffled, so that no group covers the others.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (n, 2), got {points.shape}")
    size = float(np.clip(12000.0 / max(len(points), 1), 1.0, 20.0)) if point_size is None else point_size
    order = np.random.default_rng(random_state).permutation(len(points))
    style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.75, "rasterized": len(points) > 20000}
    if groups is None:
        ax.scatter(points[:, 0], points[:, 1], color="0.3", **style)
    else:
        labels = np.asarray(groups)
        if labels.shape != (len(points),):
            raise ValueError(f"groups must have shape ({len(points)},), got {labels.shape}")
        x, y = points[order].T
        names, codes = np.unique(labels, return_inverse=True)
        if len(names) > 20 and labels.dtype.kind in "iuf":
            shown = ax.scatter(x, y, c=labels[order], cmap="viridis", **style)
            if legend:
                ax.figure.colorbar(shown, ax=ax, shrink=0.8)
        else:
            palette = colormaps["tab10" if len(names) <= 10 else "tab20"]
            colors = np.array([palette(k % palette.N) for k in range(len(names))])
            ax.scatter(x, y, c=colors[codes[order]], **style)
            if legend:
                handles = [
                    Line2D([], [], marker="o", linestyle="", markersize=5, color=color, label=str(name))
                    for name, color in zip(names, colors, strict=True)
                ]
                ax.legend(
                    handles=handles,
                    loc="upper left",
                    bbox_to_anchor=(1.0, 1.0),
                    frameon=False,
                    fontsize="small",
                )
    ax.set_xticks([])
    ax.set_yticks([])
    if title is not None:
        ax.set_title(title)
    return ax


def draw_graph(
    ax: Axes,
    W: Any,
    points: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    title: str | None = None,
    point_size: float | None = None,
) -> Axes:
    """Draw a graph in the plane: edges within a group in its colour, those between groups black.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    W : sparse array of shape (n, n)
        The edges; their weights do not matter.
    points : array_like of shape (n, 2)
        Where the nodes are.
    groups : array_like of int of shape (n,) or None, default=None
        The group of each node.
    title : str or None, default=None
        Title of the panel.
    point_size : float or None, default=None
        Marker area in points^2; None: from the number of nodes.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`.
    """
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    points = np.asarray(points, dtype=np.float64)
    n = W.shape[0]
    if points.shape != (n, 2):
        raise ValueError(f"points must have shape ({n}, 2), got {points.shape}")
    labels = np.zeros(n, dtype=int) if groups is None else np.asarray(groups, dtype=int)
    if labels.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), got {labels.shape}")
    entries = W.tocoo()
    once = entries.row < entries.col
    source, target = entries.row[once], entries.col[once]
    parts = int(labels.max(initial=0)) + 1
    palette = colormaps["tab10" if parts <= 10 else "tab20"]
    colors = np.array([palette(k % palette.N) for k in range(parts)])
    size = float(np.clip(9000.0 / max(n, 1), 0.1, 20.0)) if point_size is None else point_size
    width = float(np.clip(40.0 / np.sqrt(max(n, 1)), 0.1, 1.0))
    across = labels[source] != labels[target]
    many = len(source) > 20000
    for some, color, wide, order in (
        (~across, colors[labels[source[~across]]], width, 1),
        (across, "black", max(2.0 * width, 0.7), 3),
    ):
        segments = np.stack([points[source[some]], points[target[some]]], axis=1)
        ax.add_collection(
            LineCollection(
                list(segments), colors=color, linewidths=wide, alpha=0.5 if order == 1 else 1.0, zorder=order,
                rasterized=many,
            )
        )  # fmt: skip
    ax.scatter(points[:, 0], points[:, 1], s=size, c=colors[labels], linewidths=0, zorder=2, rasterized=many)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    if title is not None:
        ax.set_title(title)
    return ax
