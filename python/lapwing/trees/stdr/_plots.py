"""Plots of trees and of a fitted `STDR`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing import plots
from lapwing.phylo import Tree, fiedler_cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ._estimator import STDR

__all__ = ["plot_fiedler", "plot_partition", "plot_tree"]

#: Leaves up to which names are written.
NAMED = 80


def _positions(tree: Tree, use_lengths: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of the nodes: along the depth, and across in depth-first order."""
    order, _, _ = tree.layout
    n, m = tree.n_nodes, tree.n_leaves
    up = tree.parent.tolist()
    if use_lengths:
        x = tree.depths()
    else:  # leaves in one line
        height = [0] * n
        for i in range(n - 1):
            height[up[i]] = max(height[up[i]], height[i] + 1)
        x = float(height[-1]) - np.array(height, dtype=np.float64)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    y = np.zeros(n)
    y[order] = np.arange(m)
    for i in range(n):
        if i >= m:
            y[i] = (low[i] + high[i]) / 2
        if i < n - 1:
            low[up[i]], high[up[i]] = min(low[up[i]], y[i]), max(high[up[i]], y[i])
    return x, y


def plot_tree(
    tree: Tree,
    ax: Axes | None = None,
    *,
    groups: ArrayLike | None = None,
    use_lengths: bool | None = None,
    names: bool | None = None,
    support: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw a tree from the left to the right.

    Parameters
    ----------
    tree : Tree
        The tree.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: new ones.
    groups : array_like of shape (n_leaves,) or None, default=None
        Groups of the leaves: an edge below which all leaves are in one group gets its colour.
    use_lengths : bool or None, default=None
        Whether edges are as long as they are; None: where all lengths are known.
    names : bool or None, default=None
        Whether to write the names of the leaves; None: up to 80 of them.
    support : bool, default=True
        Whether to write the support of edges, where it is known.
    title : str or None, default=None
        Title.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        `groups` has another number of entries.
    ImportError
        matplotlib is not installed.
    """
    ax = plots.new_axes(ax)
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    m, n = tree.n_leaves, tree.n_nodes
    if use_lengths is None:
        use_lengths = not bool(np.isnan(tree.length[:-1]).any()) and n > 1
    x, y = _positions(tree, use_lengths)
    colors: list[Any] = ["0.25"] * n
    if groups is not None:
        labels = np.asarray(groups)
        if labels.shape != (m,):
            raise ValueError(f"groups must have shape ({m},), got {labels.shape}")
        values, code = np.unique(labels, return_inverse=True)
        palette = colormaps["tab10" if len(values) <= 10 else "tab20"]
        own = [*code.tolist(), *([-2] * (n - m))]  # -2: not seen yet, -1: several
        for i, p in enumerate(tree.parent[:-1].tolist()):
            own[p] = own[i] if own[p] in (-2, own[i]) else -1
        colors = [palette(g % palette.N) if g >= 0 else "0.25" for g in own]
    lines, shades = [], []
    for i, p in enumerate(tree.parent[:-1].tolist()):
        lines.append([(x[p], y[p]), (x[p], y[i]), (x[i], y[i])])
        shades.append(colors[i])
    ax.add_collection(LineCollection(lines, colors=shades, linewidths=1.2 if m <= 200 else 0.5))
    span = float(x.max()) or 1.0
    if names if names is not None else m <= NAMED:
        size = float(np.clip(500.0 / max(m, 1), 3.0, 9.0))
        for i, name in enumerate(tree.names):
            ax.annotate(name, (x[i], y[i]), (3, 0), textcoords="offset points", va="center", fontsize=size,
                        color=colors[i])  # fmt: skip
        span *= 1.35
    if support and m <= NAMED:
        for i in range(m, n - 1):
            if not np.isnan(tree.support[i]):
                ax.annotate(f"{tree.support[i]:.2g}", (x[i], y[i]), (-2, 2), textcoords="offset points",
                            ha="right", fontsize=6, color="0.4")  # fmt: skip
    ax.set_xlim(-0.02 * span, 1.02 * span)
    ax.set_ylim(m - 0.3, -0.7)
    ax.set_yticks([])
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    if use_lengths:
        ax.set_xlabel("length")
    else:
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
    if title is not None:
        ax.set_title(title)
    return ax


def plot_partition(model: STDR, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw the tree of a fitted `STDR`, its parts in colours.

    Parameters
    ----------
    model : STDR
        The fitted estimator.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: new ones.
    **options
        Those of `plot_tree`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "tree_")
    return plot_tree(model.tree_, ax, groups=model.labels_, **options)


def plot_fiedler(model: STDR, ax: Axes | None = None, *, split: int = 0) -> Axes:
    """Draw the sorted Fiedler vector of one of the cuts of a fitted `STDR`, the two sides in colours.

    Parameters
    ----------
    model : STDR
        The fitted estimator.
    ax : matplotlib.axes.Axes or None, default=None
        Axes to draw into; None: new ones.
    split : int, default=0
        Which of ``model.partition_tree_``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        There is no such cut, or the model keeps no similarities.
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model, "tree_")
    if not 0 <= split < len(model.partition_tree_):
        raise ValueError(f"split must be below {len(model.partition_tree_)}, the number of cuts, got {split}")
    if model.similarity_ is None:
        raise ValueError("the model keeps no similarities: it has more leaves than its dense_limit")
    ax = plots.new_axes(ax)
    cut = model.partition_tree_[split]
    leaves = np.sort(np.r_[cut.one, cut.two])
    found = fiedler_cut(
        model.similarity_[np.ix_(leaves, leaves)], num_gaps=model.num_gaps,
        normalization=model.normalization, tol=model.eig_tol, n_jobs=model.n_jobs,
    )  # fmt: skip
    assert found.vector is not None
    side = np.isin(leaves, cut.two)
    order = np.argsort(found.vector, kind="stable")
    for which, color in ((False, "tab:blue"), (True, "tab:orange")):
        at = np.flatnonzero(side[order] == which)
        label = f"{len(at)} {'leaf' if len(at) == 1 else 'leaves'}"
        ax.plot(at, found.vector[order][at], ".", color=color, label=label)
    ax.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
    ax.set(
        xlabel="leaf, sorted", ylabel="Fiedler vector",
        title=f"σ₂ / σ₁ between the sides {cut.sigma2 / cut.sigma1 if cut.sigma1 else 0.0:.2g}",
    )  # fmt: skip
    ax.legend(frameon=False)
    return ax
