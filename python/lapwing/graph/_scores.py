"""How smooth functions are on a graph."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, issparse

from lapwing import _caller, _graphs, _validate

__all__ = ["laplacian_score"]

#: Numbers in a block of differences along edges.
BLOCK = 2**20


def laplacian_score(X: Any, W: Any) -> NDArray[np.float64]:
    """Laplacian score of every feature: how much it differs along the edges of a graph.

    ``f̃ᵀ L f̃ / f̃ᵀ D f̃`` with ``f̃`` the feature less its mean under the degrees. Smaller is smoother:
    between 0 and 2. Numerator and denominator are sums of squared differences, so that nothing cancels.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, p)
        Features in columns.
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n). A diagonal has no effect.

    Returns
    -------
    float64 array of shape (p,)
        NaN for a feature that is constant (on the nodes that have edges).

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or the graph has no edges.

    Warns
    -----
    UserWarning
        Features are constant.

    References
    ----------
    Xiaofei He, Deng Cai, Partha Niyogi, "Laplacian Score for Feature Selection", 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import laplacian_score
    >>> path = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)
    >>> smooth, rough = np.arange(6.0), np.array([0.0, 1, 0, 1, 0, 1])
    >>> laplacian_score(np.column_stack([smooth, rough]), path).round(2).tolist()
    [0.22, 2.0]
    """
    graph = _graphs.as_graph(W)
    if issparse(X):
        columns = csc_array(X)
        if columns.dtype.kind not in "fiub":
            raise TypeError(f"X must hold real numbers, got dtype {columns.dtype}")
        columns = csc_array(columns, dtype=np.float64)
        _validate.check_finite(columns.data, "X")
    else:
        columns = _validate.check_points(X, "X")
    n, p = columns.shape
    if n != graph.n:
        raise ValueError(f"X and W must have as many rows, got {n} and {graph.n}")
    source = graph.sources
    once = source < graph.indices  # each edge in one direction
    source, target, weights = source[once], graph.indices[once], graph.values[once]
    if not len(weights):
        raise ValueError("W has no edges")
    degrees = np.bincount(source, weights, n) + np.bincount(target, weights, n)
    scores = np.empty(p)
    width = max(1, BLOCK // n)
    for lo in range(0, p, width):
        block = columns[:, lo : lo + width]
        F = np.asarray(block.toarray() if issparse(block) else block, dtype=np.float64)
        F = F - F[int(np.argmax(degrees))]  # far from 0 the mean would lose digits
        F = F - (degrees @ F) / degrees.sum()
        spread = (degrees[:, None] * F**2).sum(axis=0)
        rough = np.zeros(F.shape[1])
        step = max(1, BLOCK // F.shape[1])
        for at in range(0, len(weights), step):
            e = slice(at, at + step)
            rough += (weights[e, None] * (F[source[e]] - F[target[e]]) ** 2).sum(axis=0)
        constant = np.ptp(F[degrees > 0], axis=0) == 0
        scores[lo : lo + width] = np.where(constant, np.nan, rough / np.where(spread > 0, spread, 1.0))
    flat = np.flatnonzero(np.isnan(scores))
    if flat.size:
        warnings.warn(
            f"{flat.size} of {p} features are constant, the first is {flat[0]}: their score is NaN",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return scores
