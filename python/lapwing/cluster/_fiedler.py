"""Clusters by one bisection after the other, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from lapwing import _graphs, _validate, graph
from lapwing.graph import _similarity

__all__ = ["FiedlerPartition"]

Floats = NDArray[np.float64]


class FiedlerPartition(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Clusters of a graph by bisections along Fiedler vectors, or balanced parts of small cut.

    With an `objective` other than "cut" the graph is split again and again, each time the part whose best
    sweep cut has the smallest objective: no part needs to be as large as another. With "cut" all parts have
    the same weight, to within `imbalance`.

    Parameters
    ----------
    n_clusters : int, default=2
        Number of clusters.
    objective : {"ncut", "ratio", "conductance", "cut"}, default="ncut"
        What is made small; see `lapwing.graph.sweep_cut`.
    affinity : str or callable, default="nearest_neighbors"
        "nearest_neighbors", "rbf", "precomputed", "precomputed_nearest_neighbors" or a callable, as in
        `SpectralEmbedding`.
    n_neighbors : int or None, default=None
        For "nearest_neighbors"; None: 15, or n - 1 where there are fewer points.
    gamma : float or None, default=1.0
        For "rbf".
    kernel : str, default="selftuning"
        The kernel of `lapwing.graph.affinity` for the two affinities of neighbours.
    min_cluster_size : int, default=1
        Fewest points of a cluster; not for "cut".
    imbalance : float, default=0.03
        For "cut": the largest cluster is at most so much larger than their mean.
    refine : {"flow", "fm", "multilevel"} or None, default="flow"
        As in `lapwing.graph.partition`.
    tol : float, default=1e-5
        Largest residual of an eigenvector, relative to the norm of the Laplacian.
    random_state : int, RandomState or None, default=None
        Of the eigensolver's start, coarse graphs and approximate neighbours.
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    labels_ : int32 array of shape (n,)
        Cluster of each point, numbered in the order of their first points.
    fiedler_vector_ : float64 array of shape (n,)
        Second eigenvector of the random walk's Laplacian of the whole graph.
    eigenvalues_ : float64 array of shape (2,)
        Its eigenvalue and the next larger one (NaN where there is none).
    cut_, ncut_ : float
        Weight of the edges between clusters, and the normalised cut.
    metrics_ : CutMetrics
        All measures of the clusters.
    tree_ : PartitionTree or None
        The bisections; None for "cut".
    converged_ : bool
        Whether every eigenvector reached `tol`.
    n_iter_ : int
        Iterations of the eigensolver for `fiedler_vector_`.
    affinity_matrix_ : sparse array or array of shape (n, n)
        The weights.
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    References
    ----------
    Miroslav Fiedler, "Algebraic connectivity of graphs", 1973.

    Jianbo Shi, Jitendra Malik, "Normalized Cuts and Image Segmentation", 2000.

    Examples
    --------
    >>> import networkx as nx
    >>> from lapwing import FiedlerPartition
    >>> model = FiedlerPartition(2, affinity="precomputed").fit(nx.barbell_graph(4, 0))
    >>> model.labels_.tolist(), model.cut_
    ([0, 0, 0, 0, 1, 1, 1, 1], 1.0)
    """

    def __init__(
        self,
        n_clusters: int = 2,
        *,
        objective: str = "ncut",
        affinity: str | Callable[[Any], Any] = "nearest_neighbors",
        n_neighbors: int | None = None,
        gamma: float | None = 1.0,
        kernel: str = "selftuning",
        min_cluster_size: int = 1,
        imbalance: float = 0.03,
        refine: str | None = "flow",
        tol: float = 1e-5,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.objective = objective
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.gamma = gamma
        self.kernel = kernel
        self.min_cluster_size = min_cluster_size
        self.imbalance = imbalance
        self.refine = refine
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> FiedlerPartition:
        """Cluster `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights or distances of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        FiedlerPartition
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            `X` or a parameter is not as described.

        Warns
        -----
        DisconnectedGraphWarning
            The graph has more than one component.
        ConvergenceWarning
            An eigenvector stopped before its tolerance.
        """
        similarity = _similarity.Similarity(
            self.affinity, gamma=self.gamma, n_neighbors=self.n_neighbors, kernel=self.kernel,
            n_jobs=self.n_jobs,
        )  # fmt: skip
        _validate.check_integer(self.n_clusters, "n_clusters", 1)
        _validate.check_integer(self.min_cluster_size, "min_cluster_size", 1)
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
        n = W.shape[0]
        if self.n_clusters > n:
            raise ValueError(f"n_clusters must be at most {n}, the number of points, got {self.n_clusters}")
        balanced = self.objective == "cut"
        self.labels_, info = graph.partition(
            W, self.n_clusters, objective=self.objective, imbalance=self.imbalance if balanced else None,
            min_size=self.min_cluster_size, refine=self.refine, tol=self.tol, random_state=seed,
            n_jobs=self.n_jobs,
        )  # fmt: skip
        value, self.fiedler_vector_, found = graph.fiedler_vector(
            W, normalization="rw", tol=self.tol, accuracy="residual", random_state=seed, n_jobs=self.n_jobs
        )
        self.eigenvalues_ = np.array([value, found.next_value])
        self.metrics_, self.tree_ = info.metrics, info.tree
        self.cut_, self.ncut_ = info.metrics.cut, info.metrics.ncut
        self.converged_ = info.converged and found.converged
        self.n_iter_ = max(found.iterations, 1)
        self.affinity_matrix_ = W
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.sparse = self.affinity in _similarity.PAIRWISE
        return tags
