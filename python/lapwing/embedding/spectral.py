"""Laplacian eigenmaps as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from lapwing import _graphs, _validate, graph
from lapwing.graph import _similarity
from lapwing.linalg import laplacian_eigs

__all__ = ["SpectralEmbedding", "spectral_init"]

#: Eigenvalues of the random walk at most this large do not carry a coordinate to new points.
LEAST_WALK = 1e-3


class SpectralEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Laplacian eigenmaps: the smallest non-trivial solutions of ``L f = λ D f`` on a graph of neighbours.

    The names are those of ``sklearn.manifold.SpectralEmbedding``. `transform`, the eigenvalues with their
    residuals, and disconnected graphs come on top; every copy of a repeated eigenvalue is found.

    Parameters
    ----------
    n_components : int, default=2
        Dimension of the embedding.
    affinity : str or callable, default="nearest_neighbors"
        "nearest_neighbors": weights by `kernel` on the graph of the `n_neighbors` nearest points. "rbf":
        ``exp(-gamma r²)`` between all pairs (n² numbers are stored). "precomputed": `X` holds the weights, a
        dense or sparse matrix or a networkx or igraph graph. "precomputed_nearest_neighbors": `X` is a sparse
        matrix of distances to neighbours. A callable: from `X` to the weights.
    gamma : float or None, default=None
        For "rbf"; None: one over the number of features.
    random_state : int, RandomState or None, default=None
        Of the eigensolver's start and of approximate neighbours.
    eigen_solver : str or None, default=None
        The `method` of `lapwing.linalg.laplacian_eigs`; None: "auto", but "lanczos" for a dense matrix of
        more than 1500 rows.
    eigen_tol : float or "auto", default="auto"
        Largest residual of an eigenpair, relative to the norm of the Laplacian (2); "auto": 1e-8.
    n_neighbors : int or None, default=None
        For "nearest_neighbors"; None: 15, or n - 1 where there are fewer points.
    kernel : str, default="selftuning"
        The kernel of `lapwing.graph.affinity` for the two affinities of neighbours.
    components : {"all", "largest"}, default="all"
        A graph of c > 1 connected components has no embedding in common coordinates. "all": the first c
        coordinates tell the components apart, each not 0 on one of them, the largest first. "largest": only
        the largest component is embedded, the others get NaN.
    commute : bool, default=False
        Divide each coordinate by the square root of its eigenvalue: squared distances then add up to commute
        times over the sum of all degrees. (Coordinates that tell components apart stay as they are.)
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    embedding_ : float64 array of shape (n, n_components)
        Coordinates f, with ``fᵀ D f = 1`` before `commute`.
    eigenvalues_ : float64 array of shape (n_components,)
        Eigenvalues λ, rising; 0 for coordinates that tell components apart.
    residuals_ : float64 array of shape (n_components,)
        Residual of each eigenpair, relative to the norm of the Laplacian.
    affinity_matrix_ : sparse array or array of shape (n, n)
        The weights.
    n_components_graph_ : int
        Number of connected components.
    n_neighbors_ : int
        Neighbours of each point, for "nearest_neighbors".
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    Notes
    -----
    An isolated point is a component of its own. The diagonal of the weights has no effect.

    References
    ----------
    Mikhail Belkin, Partha Niyogi, "Laplacian Eigenmaps for Dimensionality Reduction and Data Representation",
    2003.

    Yoshua Bengio, Jean-François Paiement, Pascal Vincent, Olivier Delalleau, Nicolas Le Roux, Marie Ouimet,
    "Out-of-Sample Extensions for LLE, Isomap, MDS, Eigenmaps, and Spectral Clustering", 2004 (`transform`).

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import SpectralEmbedding
    >>> angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    >>> circle = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> model = SpectralEmbedding(2, n_neighbors=6, random_state=0)
    >>> Y = model.fit_transform(circle)
    >>> Y.shape, bool(np.ptp(np.linalg.norm(Y, axis=1)) < 1e-6)  # a circle again
    ((200, 2), True)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        affinity: str | Callable[[Any], Any] = "nearest_neighbors",
        gamma: float | None = None,
        random_state: Any = None,
        eigen_solver: str | None = None,
        eigen_tol: float | str = "auto",
        n_neighbors: int | None = None,
        kernel: str = "selftuning",
        components: str = "all",
        commute: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.affinity = affinity
        self.gamma = gamma
        self.random_state = random_state
        self.eigen_solver = eigen_solver
        self.eigen_tol = eigen_tol
        self.n_neighbors = n_neighbors
        self.kernel = kernel
        self.components = components
        self.commute = commute
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> SpectralEmbedding:
        """Embed `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights or distances of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        SpectralEmbedding
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            `X` or a parameter is not as described.
        MemoryError
            ``affinity="rbf"``: all pairs do not fit into half of the machine's memory.

        Warns
        -----
        DisconnectedGraphWarning
            With ``components="all"``, the graph has more than one component.
        ConvergenceWarning
            An eigenpair stopped before its tolerance; see `residuals_`.
        """
        similarity = _similarity.Similarity(
            self.affinity, gamma=self.gamma, n_neighbors=self.n_neighbors, kernel=self.kernel,
            n_jobs=self.n_jobs,
        )  # fmt: skip
        _validate.check_choice(self.components, "components", ("all", "largest"))
        wanted = _validate.check_integer(self.n_components, "n_components", 1)
        _similarity.eigen_options(self.eigen_solver, self.eigen_tol, None)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if _graphs.is_graph(X) and self.affinity == "precomputed":
            W = similarity.fit(X, seed)
            self.n_features_in_ = W.shape[0]
        else:
            sparse = ["csr"] if self.affinity in _similarity.PAIRWISE or callable(self.affinity) else False
            X = _validate.check_samples(
                self, X, accept_sparse=sparse, ensure_min_samples=2, dtype=[np.float64, np.float32]
            )
            W = similarity.fit(X, seed)
        labels, sizes = graph.components(W)
        if self.components == "largest" and len(sizes) > 1:
            members = np.flatnonzero(labels == 0)
            part = self._embed(_similarity.submatrix(W, members), 1, wanted, seed)
            self.embedding_ = np.full((W.shape[0], wanted), np.nan)
            self.embedding_[members] = part
        else:
            self.embedding_ = self._embed(W, len(sizes), wanted, seed)
        self.affinity_matrix_ = W
        self.n_components_graph_ = len(sizes)
        self._similarity = similarity
        if similarity.n_neighbors is not None and self.affinity == "nearest_neighbors":
            self.n_neighbors_ = similarity.n_neighbors
        return self

    def _embed(self, W: Any, n_parts: int, wanted: int, seed: int) -> NDArray[np.float64]:
        apart = n_parts if n_parts > 1 else 0  # coordinates that tell components apart
        n, room = W.shape[0], W.shape[0] - n_parts
        if room == 0:
            raise ValueError("the graph of X has no edges: every point is its own component")
        if wanted > room + apart:
            raise ValueError(
                f"n_components must be at most {room + apart} for a graph of {n} points, got {wanted}"
            )
        with nullcontext() if wanted > apart else _similarity.further_pairs():
            result = laplacian_eigs(
                W, max(wanted - apart, 1), normalization="rw", drop_null=apart == 0, random_state=seed,
                n_jobs=self.n_jobs, **_similarity.eigen_options(self.eigen_solver, self.eigen_tol, W),
            )  # fmt: skip
        self.eigenvalues_ = result.values[:wanted]
        self.residuals_ = result.residuals[:wanted]
        Y = np.ascontiguousarray(result.vectors[:, :wanted])
        if self.commute:
            Y[:, apart:] /= np.sqrt(self.eigenvalues_[apart:])
        return Y

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float64]:
        """Embed `X` and return `embedding_`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights or distances of shape (n, n)
        y : ignored

        Returns
        -------
        float64 array of shape (n, n_components)
        """
        return self.fit(X).embedding_

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Coordinates of new points by Nyström's formula ``f(x) = sum_j p(x, j) f_j / (1 - λ)``.

        p(x, ·) are the weights to the points of the fit, with the scales of the fit, over their sum. Points
        of the fit get their own coordinates.

        Parameters
        ----------
        X : array of shape (m, n_features)
            New points.

        Returns
        -------
        float64 array of shape (m, n_components)
            NaN for a point without weight to the (largest component of the) points of the fit.

        Raises
        ------
        ValueError
            The affinity was precomputed or a callable, or an eigenvalue is within 0.001 of 1: its coordinate
            is not determined outside the points of the fit.
        """
        check_is_fitted(self, "embedding_")
        if self._similarity.points is None:
            raise ValueError("transform needs affinity='nearest_neighbors' or 'rbf'")
        X = _validate.check_samples(self, X, reset=False, dtype=[np.float64, np.float32])
        walk = 1.0 - self.eigenvalues_
        lost = np.flatnonzero(np.abs(walk) < LEAST_WALK)
        if lost.size:
            raise ValueError(
                f"coordinate {lost[0]} cannot be extended: its eigenvalue {self.eigenvalues_[lost[0]]:.6g} "
                "is too close to 1; take fewer components"
            )
        weights = self._similarity.rows(X)
        embedded = np.isfinite(self.embedding_[:, 0])
        if not embedded.all():
            weights = weights[:, np.flatnonzero(embedded)]
        total = np.asarray(weights.sum(axis=1)).ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            Y: NDArray[np.float64] = np.asarray(weights @ self.embedding_[embedded]) / total[:, None] / walk
        Y[total == 0] = np.nan
        return Y

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        pairwise = self.affinity in _similarity.PAIRWISE
        tags.input_tags.pairwise = pairwise
        tags.input_tags.sparse = pairwise
        return tags


def spectral_init(
    X: Any,
    n_components: int = 2,
    *,
    method: str = "umap",
    n_neighbors: int = 15,
    tol: float = 1e-4,
    random_state: int | None = 0,
    n_jobs: int | None = None,
) -> NDArray[np.float64]:
    """Coordinates to start t-SNE or UMAP from: the first Laplacian eigenmaps, scaled as these methods expect.

    Parameters
    ----------
    X : array of shape (n, n_features), or weights
        Points, whose graph of neighbours has self-tuning weights; or the weights themselves, a sparse matrix
        of shape (n, n) or a networkx or igraph graph.
    n_components : int, default=2
        Dimension of the layout.
    method : {"umap", "tsne"}, default="umap"
        "umap": the largest coordinate is 10. "tsne": the first coordinate has a standard deviation of 1e-4.
    n_neighbors : int, default=15
        For points; n - 1 where there are fewer.
    tol : float, default=1e-4
        Largest residual of an eigenpair; a start needs no more.
    random_state : int, numpy generator or None, default=0
        Of the eigensolver, and of the places of points in components too small for eigenvectors.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use.

    Returns
    -------
    float64 array of shape (n, n_components)
        No two connected components overlap: they stand side by side along the first coordinate, the largest
        first, each as wide as the square root of its share of the points.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Dmitry Kobak, George Linderman, "Initialization is critical for preserving global data structure in both
    t-SNE and UMAP", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.embedding import spectral_init
    >>> angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    >>> Y = spectral_init(np.column_stack([np.cos(angle), np.sin(angle)]))
    >>> Y.shape, float(abs(Y).max())
    ((200, 2), 10.0)
    """
    wanted = _validate.check_integer(n_components, "n_components", 1)
    _validate.check_choice(method, "method", ("umap", "tsne"))
    neighbors = _validate.check_integer(n_neighbors, "n_neighbors", 1)
    tol = _validate.check_positive(tol, "tol")
    seed = _validate.check_seed(random_state)
    if _graphs.is_graph(X) or issparse(X):
        A = _graphs.as_graph(X, "X").matrix()
    else:
        points = _validate.check_points(X, "X")
        if len(points) < 2:
            raise ValueError("X must have at least 2 points")
        A = graph.affinity(
            points, n_neighbors=min(neighbors, len(points) - 1), n_jobs=n_jobs, random_state=seed
        )
    labels, sizes = graph.components(A)
    rng = np.random.default_rng(seed)
    Y = np.empty((A.shape[0], wanted))
    edge = 0.0  # where the components placed so far end
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.cumsum(sizes)[:-1]):
        if len(members) > wanted + 1:
            with _similarity.further_pairs():
                result = laplacian_eigs(
                    A[members][:, members],
                    wanted,
                    normalization="rw",
                    tol=tol,
                    random_state=seed,
                    n_jobs=n_jobs,
                )
            part = result.vectors
        else:
            part = rng.normal(size=(len(members), wanted))
        part = part - part.mean(axis=0)
        radius = np.sqrt(len(members) / len(labels))
        part *= radius / max(float(np.abs(part).max()), np.finfo(np.float64).tiny)
        part[:, 0] += edge + radius
        edge += 2.2 * radius
        Y[members] = part
    Y -= Y.mean(axis=0)
    if method == "tsne":
        return np.asarray(Y * (1e-4 / max(float(Y[:, 0].std()), np.finfo(np.float64).tiny)))
    return np.asarray(Y * (10.0 / np.abs(Y).max()))
