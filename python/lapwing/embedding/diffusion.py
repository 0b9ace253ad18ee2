"""Diffusion maps as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from lapwing import _caller, _graphs, _validate, graph
from lapwing.exceptions import DisconnectedGraphWarning
from lapwing.graph import _similarity
from lapwing.graph._affinity import density_normalized
from lapwing.linalg import _canonical, laplacian_eigs

__all__ = ["DiffusionMaps"]

Floats = NDArray[np.float64]
#: Points from which the bandwidth is found when all pairs are used.
BANDWIDTH_ROWS = 500


class DiffusionMaps(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Diffusion maps: coordinates in which distances are those of a random walk after some time.

    With kernel weights ``k(x, y) = exp(-|x - y|² / ε)``, the density ``q(x) = sum_y k(x, y)`` is taken out,
    ``k(x, y) / (q(x) q(y))^α``, and rows are divided by their sums to the random walk P. Its eigenpairs
    ``P ψ_l = μ_l ψ_l``, largest μ first and the constant one left out, give the coordinates
    ``μ_l^t ψ_l(x)``. Their squared distances are ``sum_z (P^t(x, z) - P^t(y, z))² / π(z)`` with the
    stationary distribution π, if all of them are kept.

    Parameters
    ----------
    n_components : int, default=2
        Number of coordinates.
    diffusion_time : float or "inf-sum", default=1
        The time t >= 0. "inf-sum": the sum over all t = 1, 2, ..., weights ``μ / (1 - μ)``.
    alpha : float, default=1
        0: the density of the points enters (the graph Laplacian); 1/2: Fokker-Planck; 1: it does not
        (Laplace-Beltrami).
    epsilon : float, "bgh" or "median", default="bgh"
        ε, in units of squared distance. "bgh": four times the one of `lapwing.graph.bandwidth_bgh`. "median":
        twice the squared median distance to the last neighbour ("all": of all distances).
    n_neighbors : int, "all" or None, default=None
        Weights to this many nearest neighbours, in either direction, and none of a point to itself; None: 64,
        or n - 1 where there are fewer points. "all": between all pairs (n² numbers), points with themselves
        included.
    affinity : {"gaussian", "precomputed"}, default="gaussian"
        "precomputed": `X` holds the weights k, a dense matrix (whose diagonal counts), a sparse matrix or a
        networkx or igraph graph (whose diagonal does not).
    components : {"all", "largest"}, default="all"
        For a graph of c > 1 connected components. "all": the first c - 1 coordinates, of eigenvalue 1, tell
        them apart. "largest": only the largest is embedded, the others get NaN.
    abs_power : bool, default=False
        Use ``|μ|^t``: for negative eigenvalues and times that are no integers.
    delta : float, default=1e-3
        `transform` refuses coordinates with ``|μ| < delta``: Nyström's formula divides by μ.
    eigen_solver : str or None, default=None
        The `method` of `lapwing.linalg.laplacian_eigs`, for sparse weights; None: "auto". Dense weights are
        decomposed by LAPACK.
    eigen_tol : float or "auto", default="auto"
        Largest residual of an eigenpair; "auto": 1e-8.
    random_state : int, RandomState or None, default=None
        Of the eigensolver's start and of approximate neighbours.
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    embedding_ : float64 array of shape (n, n_components)
        ``μ_l^t ψ_l``.
    eigenvectors_ : float64 array of shape (n, n_components)
        ψ, with mean square 1 under the stationary distribution.
    eigenvalues_ : float64 array of shape (n_components,)
        μ, falling.
    eigenvalues_generator_ : float64 array of shape (n_components,)
        ``-4 log(μ) / ε``: with α = 1 those of the Laplace-Beltrami operator, as ε goes to 0 and n grows. NaN
        where μ <= 0, and for precomputed weights.
    residuals_ : float64 array of shape (n_components,)
        Residual of each eigenpair.
    stationary_ : float64 array of shape (n,)
        The stationary distribution.
    epsilon_ : float
        ε; NaN for precomputed weights.
    affinity_matrix_ : sparse array or array of shape (n, n)
        The weights k, before the density is taken out.
    n_components_graph_ : int
        Number of connected components.
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    References
    ----------
    Ronald Coifman, Stéphane Lafon, "Diffusion maps", 2006; "Geometric harmonics: A novel tool for multiscale
    out-of-sample extension of empirical functions", 2006 (`transform`).

    Tyrus Berry, John Harlim, "Variable bandwidth diffusion kernels", 2016 (`epsilon`).

    Laleh Haghverdi, Maren Büttner, F. Alexander Wolf, Florian Buettner, Fabian Theis, "Diffusion pseudotime
    robustly reconstructs lineage branching", 2016 ("inf-sum").

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import DiffusionMaps
    >>> angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    >>> circle = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> model = DiffusionMaps(4, epsilon=0.02, n_neighbors="all").fit(circle)
    >>> model.eigenvalues_generator_.round(1)  # of the circle: 1, 1, 4, 4
    array([1., 1., 4., 4.])
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        diffusion_time: float | str = 1,
        alpha: float = 1.0,
        epsilon: float | str = "bgh",
        n_neighbors: int | str | None = None,
        affinity: str = "gaussian",
        components: str = "all",
        abs_power: bool = False,
        delta: float = 1e-3,
        eigen_solver: str | None = None,
        eigen_tol: float | str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.diffusion_time = diffusion_time
        self.alpha = alpha
        self.epsilon = epsilon
        self.n_neighbors = n_neighbors
        self.affinity = affinity
        self.components = components
        self.abs_power = abs_power
        self.delta = delta
        self.eigen_solver = eigen_solver
        self.eigen_tol = eigen_tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> DiffusionMaps:
        """Embed `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        DiffusionMaps
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            `X` or a parameter is not as described; a negative eigenvalue has no power t; or "inf-sum" meets
            several components.
        MemoryError
            All pairs do not fit into half of the machine's memory.

        Warns
        -----
        DisconnectedGraphWarning
            With ``components="all"``, the graph has more than one component.
        ConvergenceWarning
            An eigenpair stopped before its tolerance; see `residuals_`.
        """
        wanted, alpha = self._check_parameters()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        K = self._weights(X, seed)
        n = K.shape[0]
        labels, sizes = _parts(K)
        members = np.arange(n)
        if self.components == "largest" and len(sizes) > 1:
            members = np.flatnonzero(labels == 0)
            labels, part = np.zeros(len(members), dtype=labels.dtype), _similarity.submatrix(K, members)
        else:
            part = K
        walk = self._decompose(part, labels, wanted, alpha, seed)
        self.eigenvalues_, self.residuals_ = walk.values, walk.residuals
        with np.errstate(invalid="ignore", divide="ignore"):
            generator = -4.0 * np.log(walk.values) / self.epsilon_
        self.eigenvalues_generator_ = np.where(walk.values > 0, generator, np.nan)
        powers = self._powers(walk.values)
        self.eigenvectors_ = np.full((n, wanted), np.nan)
        self.eigenvectors_[members] = walk.vectors
        self.embedding_ = self.eigenvectors_ * powers
        self.stationary_ = np.zeros(n)
        self.stationary_[members] = walk.degrees / walk.degrees.sum()
        self.affinity_matrix_, self.n_components_graph_ = K, len(sizes)
        self._members, self._powers_, self._discount = members, powers, walk.density**-alpha
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Floats:
        """Embed `X` and return `embedding_`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights of shape (n, n)
        y : ignored

        Returns
        -------
        float64 array of shape (n, n_components)
        """
        return self.fit(X).embedding_

    def transform(self, X: Any) -> Floats:
        """Coordinates of new points by Nyström's formula ``ψ(x) = sum_j p(x, j) ψ_j / μ``.

        p(x, ·) are the weights to the points of the fit (to the nearest ones, unless all pairs are used) over
        ``q_j^α`` and over their sum. Points of the fit get their own coordinates.

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
            The weights were precomputed, or an eigenvalue is below `delta` in magnitude.
        """
        check_is_fitted(self, "embedding_")
        if self.affinity == "precomputed":
            raise ValueError("transform needs affinity='gaussian'")
        delta = _validate.check_positive(self.delta, "delta")
        X = _validate.check_samples(self, X, reset=False, dtype=[np.float64, np.float32])
        lost = np.flatnonzero(np.abs(self.eigenvalues_) < delta)
        if lost.size:
            raise ValueError(
                f"coordinate {lost[0]} cannot be extended: its eigenvalue {self.eigenvalues_[lost[0]]:.2e} "
                f"is below delta = {delta:g}; take fewer components or a larger epsilon"
            )
        weights = self._similarity.rows(X)[:, self._members]
        rows = np.repeat(np.arange(len(X)), np.diff(weights.indptr))
        weights.data *= self._discount[weights.indices]
        total = np.bincount(rows, weights=weights.data, minlength=len(X))
        with np.errstate(invalid="ignore", divide="ignore"):
            psi = np.asarray(weights @ self.eigenvectors_[self._members]) / total[:, None] / self.eigenvalues_
        psi[total == 0] = np.nan
        return np.asarray(psi * self._powers_)

    def _check_parameters(self) -> tuple[int, float]:
        _validate.check_choice(self.affinity, "affinity", ("gaussian", "precomputed"))
        _validate.check_choice(self.components, "components", ("all", "largest"))
        if isinstance(self.diffusion_time, str):
            _validate.check_choice(self.diffusion_time, "diffusion_time", ("inf-sum",))
        else:
            _validate.check_positive(self.diffusion_time, "diffusion_time", zero=True)
        if isinstance(self.epsilon, str):
            _validate.check_choice(self.epsilon, "epsilon", ("bgh", "median"))
        else:
            _validate.check_positive(self.epsilon, "epsilon")
        if isinstance(self.n_neighbors, str):
            _validate.check_choice(self.n_neighbors, "n_neighbors", ("all",))
        elif self.n_neighbors is not None:
            _validate.check_integer(self.n_neighbors, "n_neighbors", 1)
        _validate.check_positive(self.delta, "delta")
        _similarity.eigen_options(self.eigen_solver, self.eigen_tol, None)
        wanted = _validate.check_integer(self.n_components, "n_components", 1)
        return wanted, _validate.check_number(self.alpha, "alpha")

    def _weights(self, X: Any, seed: int) -> Any:
        if self.affinity == "precomputed":
            self.epsilon_ = float("nan")
            similarity = _similarity.Similarity(
                "precomputed", gamma=None, n_neighbors=None, kernel="binary", n_jobs=self.n_jobs
            )
            if _graphs.is_graph(X):
                K = similarity.fit(X, seed)
                self.n_features_in_ = K.shape[0]
                return K
            K = similarity.fit(_validate.check_samples(self, X, accept_sparse=["csr"]), seed)
            read = _graphs.as_graph(K, "X")
            if not issparse(K):
                return np.asarray((K + K.T) / 2.0, dtype=np.float64)
            return read.matrix()
        X = _validate.check_samples(self, X, ensure_min_samples=2, dtype=[np.float64, np.float32])
        n = len(X)
        if self.n_neighbors == "all":
            _validate.check_memory(32.0 * n * n, "n_neighbors='all'", "use nearest neighbours")
            self.epsilon_ = _bandwidth(X, self.epsilon)
            self._similarity = _similarity.Similarity(
                "rbf", gamma=1.0 / self.epsilon_, n_neighbors=None, kernel="gaussian", n_jobs=self.n_jobs,
                loops=True,
            )  # fmt: skip
            return self._similarity.fit(X, seed)
        k = int(self.n_neighbors) if self.n_neighbors is not None else min(64, n - 1)
        sigma = self.epsilon if isinstance(self.epsilon, str) else float(np.sqrt(self.epsilon / 2.0))
        self._similarity = _similarity.Similarity(
            "nearest_neighbors", gamma=None, n_neighbors=k, kernel="gaussian", n_jobs=self.n_jobs,
            bandwidth=sigma,
        )  # fmt: skip
        K = self._similarity.fit(X, seed)
        self.epsilon_ = 2.0 * self._similarity.scales.unit**2
        return K

    def _decompose(self, K: Any, labels: NDArray[np.int32], wanted: int, alpha: float, seed: int) -> _Walk:
        parts, n = int(labels.max()) + 1, K.shape[0]
        density = np.asarray(K.sum(axis=1), dtype=np.float64).ravel()
        if (density == 0).any():
            raise ValueError(
                f"point {int(np.argmin(density))} has no neighbour of positive weight; "
                "components='largest' leaves it out"
            )
        if wanted > n - 1:
            raise ValueError(f"n_components must be at most {n - 1} for {n} points, got {wanted}")
        if parts > 1 and self.diffusion_time == "inf-sum":
            raise ValueError(
                f"diffusion_time='inf-sum' needs a connected graph, this one has {parts} components; "
                "components='largest' embeds the largest"
            )
        inner = max(0, wanted - (parts - 1))  # beyond the coordinates that tell components apart
        options = _similarity.eigen_options(self.eigen_solver, self.eigen_tol, K)
        if issparse(K):
            A = density_normalized(K, alpha) if alpha else K
            degrees = np.asarray(A.sum(axis=1)).ravel()
            with nullcontext() if inner else _similarity.further_pairs():
                result = laplacian_eigs(
                    A, max(inner, 1), normalization="rw", random_state=seed, n_jobs=self.n_jobs, **options
                )
            values, z = 1.0 - result.values[:inner], result.vectors[:, :inner]
            residuals = 2.0 * result.residuals[:inner]
        else:
            scale = density**-alpha
            A = K * np.multiply.outer(scale, scale)
            degrees = A.sum(axis=1)
            values, z, residuals = _dense(A, degrees, labels, inner)
            if parts > 1:
                warnings.warn(
                    f"the weights have {parts} connected components",
                    DisconnectedGraphWarning,
                    stacklevel=_caller.level(),
                )
        if parts > 1:
            apart = _apart(degrees, labels)[:, :wanted]
            values = np.r_[np.ones(apart.shape[1]), values]
            residuals = np.r_[np.zeros(apart.shape[1]), residuals]
            z = np.hstack([apart, z])
        return _Walk(values, z * np.sqrt(degrees.sum()), residuals, degrees, density)

    def _powers(self, values: Floats) -> Floats:
        base = np.abs(values) if self.abs_power else values
        if isinstance(self.diffusion_time, str):
            return np.asarray(base / (1.0 - base))
        t = float(self.diffusion_time)
        negative = np.flatnonzero(base < 0)
        if negative.size and not t.is_integer():
            raise ValueError(
                f"eigenvalue {negative[0]} is {base[negative[0]]:.3g}: it has no power diffusion_time = {t:g}"
                "; take fewer components, or abs_power=True"
            )
        return np.asarray(base**t)

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.sparse = self.affinity == "precomputed"
        return tags


class _Walk(NamedTuple):
    """Eigenpairs of a random walk, what its stationary distribution is made of, and the density q."""

    values: Floats
    vectors: Floats
    residuals: Floats
    degrees: Floats
    density: Floats


def _bandwidth(X: NDArray[Any], rule: float | str) -> float:
    if not isinstance(rule, str):
        return float(rule)
    some = np.unique(np.linspace(0, len(X) - 1, min(len(X), BANDWIDTH_ROWS)).astype(np.intp))
    squares = _similarity.squared_distances(X[some], X)
    if not squares.any():
        return 1.0  # the same point n times
    if rule == "median":
        return 2.0 * float(np.median(squares[squares > 0]))
    return 4.0 * graph.bandwidth_bgh(np.sqrt(squares))[0]


def _parts(K: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    if not issparse(K) and K.min() > 0:
        return np.zeros(len(K), dtype=np.int32), np.array([len(K)])
    return graph.components(K)


def _apart(degrees: Floats, labels: NDArray[np.int32]) -> Floats:
    """Functions constant on each component, orthonormal under the degrees and orthogonal to constants."""
    volumes = np.bincount(labels, weights=degrees)
    u = np.sqrt(volumes / volumes.sum())
    w = u.copy()
    w[0] += 1.0
    reflection = np.eye(len(u)) - 2.0 * np.outer(w, w) / (w @ w)  # takes the first axis to -u
    return np.asarray((reflection[:, 1:] / np.sqrt(volumes)[:, None])[labels])


def _dense(A: Floats, degrees: Floats, labels: NDArray[np.int32], k: int) -> tuple[Floats, Floats, Floats]:
    """The k largest eigenvalues of the walk below those of its components, by LAPACK on one thread."""
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    n, root = len(degrees), np.sqrt(degrees)
    if k == 0:
        return np.empty(0), np.empty((n, 0)), np.empty(0)
    S = A / np.multiply.outer(root, root)
    null = root / np.sqrt(np.bincount(labels, weights=degrees))[labels]
    B = S.copy()
    for part in range(int(labels.max()) + 1):  # their eigenvalue 1 becomes -2: below all others
        own = np.flatnonzero(labels == part)
        B[np.ix_(own, own)] -= 3.0 * np.outer(null[own], null[own])
    some = min(k + 2, n - int(labels.max()) - 1)
    with threadpool_limits(1, user_api="blas"):
        if some <= n // 10:
            values, vectors = eigh(B, subset_by_index=(n - some, n - 1), driver="evr", check_finite=False)
        else:
            values, vectors = eigh(B, driver="evd", check_finite=False)
        values, vectors = values[::-1][:some], np.ascontiguousarray(vectors[:, ::-1][:, :some])
        groups = _canonical.clusters(1.0 - values, 1e-9)
        _canonical.canonical_basis(vectors, [g for g in groups if g.start < k])
        residuals = np.linalg.norm(S @ vectors - vectors * values, axis=0)
    return values[:k], vectors[:, :k] / root[:, None], residuals[:k]
