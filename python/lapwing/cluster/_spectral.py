"""Spectral clustering as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from lapwing import _graphs, _validate, graph
from lapwing.graph import _similarity
from lapwing.linalg import laplacian_eigs

__all__ = ["SpectralClustering"]

Floats = NDArray[np.float64]
#: Eigenvalues beyond `n_clusters` that the report of gaps looks at.
FURTHER = 4


class SpectralClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Clusters from the eigenvectors of the smallest eigenvalues of a graph Laplacian.

    The names are those of ``sklearn.cluster.SpectralClustering``; the default graph is that of the nearest
    neighbours. The eigenvalues tell how many clusters the graph suggests: reported, not imposed.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    eigen_solver : str or None, default=None
        The `method` of `lapwing.linalg.laplacian_eigs`; None: "auto", but "lanczos" for a dense matrix of
        more than 1500 rows.
    n_components : int or None, default=None
        Number of eigenvectors, the trivial one (one for each connected component) included; None:
        `n_clusters`.
    random_state : int, RandomState or None, default=None
        Of k-means, the eigensolver's start and approximate neighbours.
    n_init : int, default=10
        Starts of k-means++; the best one is kept.
    gamma : float or None, default=1.0
        For "rbf".
    affinity : str or callable, default="nearest_neighbors"
        "nearest_neighbors", "rbf", "precomputed", "precomputed_nearest_neighbors" or a callable, as in
        `SpectralEmbedding`.
    n_neighbors : int or None, default=None
        For "nearest_neighbors"; None: 15, or n - 1 where there are fewer points.
    eigen_tol : float or "auto", default="auto"
        Largest residual of an eigenpair, relative to the norm of the Laplacian (2); "auto": 1e-8.
    assign_labels : {"kmeans", "cluster_qr"}, default="kmeans"
        "kmeans": k-means++ on the rows. "cluster_qr": by pivoted QR of the rows, without a start or a
        parameter; always of `n_clusters` eigenvectors, whatever `n_components` is.
    normalization : {"sym", "rw"}, default="sym"
        "sym": eigenvectors of ``I - D^-1/2 W D^-1/2``, each row scaled to length 1 (Ng, Jordan and Weiss).
        "rw": those of ``I - D^-1 W`` as they are (Shi and Malik). Of no effect on "cluster_qr", which takes
        "sym" without scaling.
    kernel : str, default="selftuning"
        The kernel of `lapwing.graph.affinity` for the two affinities of neighbours.
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    labels_ : int array of shape (n,)
        Cluster of each point.
    embedding_ : float64 array of shape (n, n_components)
        The rows that were clustered.
    eigenvalues_ : float64 array
        The smallest eigenvalues, rising, a 0 for each connected component first; up to 4 more than
        `n_components`.
    eigengaps_ : float64 array, one shorter
        ``(λ_{i+1} - λ_i) / λ_{i+1}``, counted from i = 1: entry i - 1 speaks for i clusters. 0 where both are
        0.
    n_clusters_suggested_ : int
        The i >= 2 of the largest gap.
    residuals_ : float64 array
        Residual of each eigenpair, relative to the norm of the Laplacian.
    affinity_matrix_ : sparse array or array of shape (n, n)
        The weights.
    n_components_graph_ : int
        Number of connected components.
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    References
    ----------
    Andrew Ng, Michael Jordan, Yair Weiss, "On Spectral Clustering: Analysis and an Algorithm", 2001.

    Jianbo Shi, Jitendra Malik, "Normalized Cuts and Image Segmentation", 2000.

    Anil Damle, Victor Minden, Lexing Ying, "Simple, direct and efficient multi-way spectral clustering", 2019
    ("cluster_qr").

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import SpectralClustering
    >>> t = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    >>> ring = np.column_stack([np.cos(t), np.sin(t)])
    >>> model = SpectralClustering(2, affinity="rbf", gamma=20.0, assign_labels="cluster_qr")
    >>> labels = model.fit_predict(np.vstack([ring, 2 * ring]))
    >>> sorted(np.unique(labels[:100])) != sorted(np.unique(labels[100:])), model.n_clusters_suggested_
    (True, 2)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        eigen_solver: str | None = None,
        n_components: int | None = None,
        random_state: Any = None,
        n_init: int = 10,
        gamma: float | None = 1.0,
        affinity: str | Callable[[Any], Any] = "nearest_neighbors",
        n_neighbors: int | None = None,
        eigen_tol: float | str = "auto",
        assign_labels: str = "kmeans",
        normalization: str = "sym",
        kernel: str = "selftuning",
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.eigen_solver = eigen_solver
        self.n_components = n_components
        self.random_state = random_state
        self.n_init = n_init
        self.gamma = gamma
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.eigen_tol = eigen_tol
        self.assign_labels = assign_labels
        self.normalization = normalization
        self.kernel = kernel
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> SpectralClustering:
        """Cluster `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights or distances of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        SpectralClustering
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
            The graph has more than one component.
        ConvergenceWarning
            An eigenpair stopped before its tolerance; see `residuals_`.
        """
        similarity = _similarity.Similarity(
            self.affinity, gamma=self.gamma, n_neighbors=self.n_neighbors, kernel=self.kernel,
            n_jobs=self.n_jobs,
        )  # fmt: skip
        wanted = self._check_parameters()
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        if _graphs.is_graph(X) and self.affinity == "precomputed":
            W = similarity.fit(X, seed)
            self.n_features_in_ = W.shape[0]
        else:
            sparse = ["csr"] if self.affinity in _similarity.PAIRWISE or callable(self.affinity) else False
            X = _validate.check_samples(
                self, X, accept_sparse=sparse, ensure_min_samples=2, dtype=[np.float64, np.float32]
            )
            W = similarity.fit(X, seed)
        n, parts = W.shape[0], len(graph.components(W)[1])
        if max(wanted, self.n_clusters) > n:
            raise ValueError(
                f"n_clusters and n_components must be at most {n}, the number of points, got "
                f"{self.n_clusters} and {wanted}"
            )
        with _similarity.further_pairs():
            result = laplacian_eigs(
                W, min(max(wanted - parts, 0) + FURTHER, n - parts), normalization="sym", drop_null=False,
                random_state=seed, n_jobs=self.n_jobs,
                **_similarity.eigen_options(self.eigen_solver, self.eigen_tol, W),
            )  # fmt: skip
        shown = min(len(result.values), wanted + FURTHER)
        self.eigenvalues_, self.residuals_ = result.values[:shown], result.residuals[:shown]
        self.eigengaps_, self.n_clusters_suggested_ = _gaps(self.eigenvalues_)
        V = np.ascontiguousarray(result.vectors[:, :wanted])
        if self.assign_labels == "cluster_qr":
            self.embedding_, self.labels_ = V, _cluster_qr(V)
        else:
            self.embedding_ = self._scale(V, W)
            self.labels_ = self._kmeans(random)
        self.affinity_matrix_, self.n_components_graph_ = W, parts
        return self

    def _check_parameters(self) -> int:
        clusters = _validate.check_integer(self.n_clusters, "n_clusters", 1)
        _validate.check_integer(self.n_init, "n_init", 1)
        rule = _validate.check_choice(self.assign_labels, "assign_labels", ("kmeans", "cluster_qr"))
        _validate.check_choice(self.normalization, "normalization", ("sym", "rw"))
        _similarity.eigen_options(self.eigen_solver, self.eigen_tol, None)
        if self.n_components is None:
            return clusters
        wanted = _validate.check_integer(self.n_components, "n_components", 1)
        return clusters if rule == "cluster_qr" else wanted

    def _scale(self, V: Floats, W: Any) -> Floats:
        if self.normalization == "sym":
            length = np.linalg.norm(V, axis=1)
            return np.asarray(V / np.where(length > 0, length, 1.0)[:, None])
        degrees = np.asarray(W.sum(axis=1)).ravel() - np.asarray(W.diagonal())
        return np.asarray(V / np.sqrt(np.where(degrees > 0, degrees, 1.0))[:, None])

    def _kmeans(self, random: Any) -> NDArray[np.int32]:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        model = KMeans(self.n_clusters, n_init=self.n_init, random_state=random)
        with threadpool_limits(1):  # its sums depend on the number of threads
            return np.asarray(model.fit(self.embedding_).labels_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.sparse = self.affinity in _similarity.PAIRWISE
        return tags


def _gaps(values: Floats) -> tuple[Floats, int]:
    upper = values[1:]
    gaps = np.divide(upper - values[:-1], upper, out=np.zeros(len(upper)), where=upper > 0)
    return gaps, 2 + int(np.argmax(gaps[1:])) if len(gaps) > 1 else 1


def _cluster_qr(V: Floats) -> NDArray[np.int32]:
    """Rows near one another in angle: pivots of a QR factorisation, then the nearest rotation."""
    from scipy.linalg import polar, qr
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        pivots = qr(V.T, mode="r", pivoting=True)[1][: V.shape[1]]
        rotation = polar(V[pivots].T)[0]
        return np.asarray(np.abs(V @ rotation).argmax(axis=1), dtype=np.int32)
