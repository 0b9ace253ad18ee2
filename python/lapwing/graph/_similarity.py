"""The weights that the estimators take: scikit-learn's affinities, and their rows for new points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from lapwing import _graphs, _threads, _validate
from lapwing.graph import _affinity
from lapwing.graph._knn import exact, knn_graph
from lapwing.linalg._laplacian import METHODS

__all__ = [
    "AFFINITIES",
    "PAIRWISE",
    "Similarity",
    "eigen_options",
    "further_pairs",
    "squared_distances",
    "submatrix",
]

PAIRWISE = ("precomputed", "precomputed_nearest_neighbors")
AFFINITIES = ("nearest_neighbors", "rbf", *PAIRWISE)


@contextmanager
def further_pairs() -> Iterator[None]:
    """For calls of `laplacian_eigs` whose last vectors nobody looks at: these may be arbitrary."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="eigenvalue .* is one of a group", category=UserWarning)
        yield


def squared_distances(X: NDArray[Any], Y: NDArray[Any]) -> NDArray[np.float64]:
    """All of them, as sums of squared differences: symmetric to the last bit, 0 for equal points."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(X, Y, "sqeuclidean"))


class Similarity:
    """From samples to weights.

    Parameters
    ----------
    affinity : str or callable
        One of `AFFINITIES`, or a function from the samples to the weights.
    gamma : float or None
        Of "rbf"; None: one over the number of features.
    n_neighbors : int or None
        Of "nearest_neighbors"; None: 15, or n - 1 where that is less.
    kernel : str
        Of the two affinities of neighbours: those of `lapwing.graph.affinity`.
    n_jobs : int or None
        Threads.
    bandwidth : "median", "bgh" or float, default="median"
        Of `kernel`, for "nearest_neighbors".
    loops : bool, default=False
        Whether each point is its own neighbour, for "rbf".
    """

    def __init__(
        self,
        affinity: str | Callable[[Any], Any],
        *,
        gamma: float | None,
        n_neighbors: int | None,
        kernel: str,
        n_jobs: int | None,
        bandwidth: str | float = "median",
        loops: bool = False,
    ) -> None:
        if not callable(affinity):
            _validate.check_choice(affinity, "affinity", AFFINITIES)
        _affinity.check_kernel(kernel, bandwidth)
        if gamma is not None:
            gamma = _validate.check_positive(gamma, "gamma")
        if n_neighbors is not None:
            _validate.check_integer(n_neighbors, "n_neighbors", 1)
        _threads.resolve(n_jobs)
        self.affinity, self.gamma, self.n_neighbors = affinity, gamma, n_neighbors
        self.kernel, self.n_jobs = kernel, n_jobs
        self.bandwidth, self.loops = bandwidth, loops
        self.points: NDArray[Any] | None = None

    def fit(self, X: Any, seed: int) -> Any:
        """Weights between the samples `X`: a sparse array, or a dense one for "rbf" and where X is dense."""
        if callable(self.affinity):
            weights = self.affinity(X)
        elif self.affinity == "precomputed":
            weights = X
        elif self.affinity == "precomputed_nearest_neighbors":
            if not issparse(X):
                raise TypeError("affinity='precomputed_nearest_neighbors' needs a sparse matrix of distances")
            weights = _affinity.affinity(X, self.kernel)
        elif self.affinity == "rbf":
            _validate.check_memory(24.0 * len(X) ** 2, "affinity='rbf'", "use nearest neighbours")
            self.points = X
            self.gamma = self.gamma if self.gamma is not None else 1.0 / X.shape[1]
            weights = np.exp(-self.gamma * squared_distances(X, X))
        else:
            weights = self._neighbors(X, seed)
        if _graphs.is_graph(weights):
            weights = _graphs.as_graph(weights, "X").matrix()
        self.matrix = csr_array(weights) if issparse(weights) else np.asarray(weights)
        return self.matrix

    def _neighbors(self, X: Any, seed: int) -> csr_array:
        n = len(X)
        if self.n_neighbors is None:
            self.n_neighbors = min(15, n - 1)
        _validate.check_integer(self.n_neighbors, "n_neighbors", 1, n - 1)
        self.points = np.ascontiguousarray(X)
        graph = knn_graph(
            self.points, self.n_neighbors, metric=self._metric, n_jobs=self.n_jobs, random_state=seed
        )
        rule = "fuzzy" if self.kernel == "umap" else "max"
        weights, self.scales = _affinity.weigh(graph, self.kernel, self.bandwidth, None, rule)
        return weights

    @property
    def _metric(self) -> str:
        return "cosine" if self.kernel == "cosine" else "euclidean"

    def rows(self, X: NDArray[Any]) -> csr_array:
        """Weights of new points to those of the fit, of shape (m, n).

        A point that is one of the fit gets that one's row; any other the weights to its nearest neighbours
        (for "rbf": to all).
        """
        if self.points is None:
            raise ValueError("new points need affinity='nearest_neighbors' or 'rbf'")
        if self.affinity == "rbf":
            squares = squared_distances(X, self.points)
            assert self.gamma is not None
            weights = csr_array(np.exp(-self.gamma * squares))
            nearest = squares.argmin(axis=1)
            same = squares[np.arange(len(X)), nearest] == 0
        else:
            assert self.n_neighbors is not None
            k, n = self.n_neighbors, len(self.points)
            index, r = exact(
                np.ascontiguousarray(X, dtype=self.points.dtype), self.points, k, self._metric,
                same=False, threads=_threads.resolve(self.n_jobs),
            )  # fmt: skip
            values = self.scales.extend(r, index)
            offsets = np.arange(0, len(X) * k + 1, k)
            weights = csr_array((values.ravel(), index.ravel(), offsets), shape=(len(X), n))
            nearest, same = index[:, 0], r[:, 0] == 0
        if not same.any() or self.loops:
            return weights
        own = csr_array(self.matrix[nearest[same]])
        own = own - _diagonal_of(own, nearest[same])
        alone = np.flatnonzero(np.asarray(own.sum(axis=1)).ravel() == 0)
        # A component of its own: its random walk stays where it is.
        own += csr_array((np.ones(len(alone)), (alone, nearest[same][alone])), shape=own.shape)
        keep = np.flatnonzero(~same)
        order = np.argsort(np.r_[keep, np.flatnonzero(same)], kind="stable")
        from scipy.sparse import vstack

        return csr_array(vstack([weights[keep], own], format="csr")[order])


def _diagonal_of(rows: csr_array, at: NDArray[Any]) -> csr_array:
    """Only the entries ``(i, at[i])``: those of points with themselves."""
    where = np.arange(len(at))
    return csr_array((np.asarray(rows[where, at]).ravel(), (where, at)), shape=rows.shape)


def submatrix(W: Any, members: NDArray[np.intp]) -> Any:
    """Rows and columns `members` of a dense or sparse matrix."""
    return W[members][:, members] if issparse(W) else W[np.ix_(members, members)]


def eigen_options(eigen_solver: str | None, eigen_tol: float | str, W: Any) -> dict[str, Any]:
    """Arguments of `laplacian_eigs` from the names of scikit-learn; `W` None: only check them."""
    if eigen_solver is not None:
        _validate.check_choice(eigen_solver, "eigen_solver", METHODS)
    if isinstance(eigen_tol, str):
        _validate.check_choice(eigen_tol, "eigen_tol", ("auto",))
        tol = 1e-8
    else:
        tol = _validate.check_positive(eigen_tol, "eigen_tol")
    # A complete graph has nothing to factorise, and its spectrum falls fast.
    full = W is not None and not issparse(W) and W.shape[0] > 1500
    return {"method": eigen_solver or ("lanczos" if full else "auto"), "tol": tol}
