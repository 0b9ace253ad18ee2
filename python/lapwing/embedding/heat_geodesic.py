"""Heat geodesic embedding as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_random_state

from lapwing import _caller, _graphs, _validate, graph
from lapwing.exceptions import ConvergenceWarning, DisconnectedGraphWarning
from lapwing.graph import _affinity, _similarity
from lapwing.linalg import laplacian_eigs

__all__ = ["HeatGeodesic", "chebyshev_heat", "knee", "smacof"]

Floats = NDArray[np.float64]
#: Heat below this is not told from 0.
FLOOR = 1e-16
#: Points up to which the heat kernel is taken from all eigenpairs.
EXACT_POINTS = 3000
#: Points up to which every point is a landmark.
LANDMARK_POINTS = 5000
#: Times that are tried by ``t="auto"``.
TIMES = np.geomspace(0.05, 50.0, 10)


class HeatGeodesic(ClassNamePrefixFeaturesOutMixin, BaseEstimator):  # type: ignore[misc]
    """Heat geodesic embedding: distances along a manifold from how heat spreads over a graph of its points.

    With the heat kernel ``H_t = exp(-t L)`` of the normalised Laplacian of the graph, Varadhan's formula
    makes

        ``d_t(i, j)² = max(0, -4 t log H_ij + ρ 4 t log((H_ii + H_jj) / 2))``

    a squared geodesic distance; ρ is the part of the volume regularisation. Metric multidimensional scaling
    then finds coordinates with these distances.

    Parameters
    ----------
    n_components : int, default=2
        Number of coordinates.
    t : float, sequence of float or "auto", default="auto"
        Diffusion time > 0, in units of the normalised Laplacian: too short a time does not reach (a warning
        says so), too long a one forgets the geometry. Several times: the mean of their distances with weights
        ``1 - t / sum(t)``. "auto": the knee of the entropy of the heat kernel among ten times from 0.05 to
        50, doubled until heat above 1e-16 reaches half of the pairs.
    volume : float, default=0
        ρ in [0, 1].
    scale_factor : float, default=1
        Distances are raised to this power.
    local_k : int, default=5
        The graph's weights are ``(exp(-(r/s_i)^40) + exp(-(r/s_j)^40)) / 2``, s the distance to the neighbour
        of this rank.
    affinity : {"points", "precomputed"}, default="points"
        "precomputed": `X` holds the weights, a dense or sparse matrix or a networkx or igraph graph.
    method : {"auto", "exact", "chebyshev", "truncated"}, default="auto"
        How the heat kernel is computed. "exact": from all eigenpairs. "chebyshev": columns of the landmarks
        by a Chebyshev series of as many terms as 1e-12 takes. "truncated": from `n_eigenpairs` eigenpairs,
        the diagonal corrected for the others by their mean; for long times. "auto": exact up to 3000 points,
        then chebyshev.
    n_eigenpairs : int, default=100
        For "truncated".
    n_landmarks : int or None, default=None
        Points whose distances to all others are computed, chosen at random; the others are placed by
        triangulation (landmark multidimensional scaling). None: all up to 5000 points, 2000 above.
    mds : {"smacof", "classical"}, default="smacof"
        "classical": from the eigenvectors of the centred squared distances. "smacof": from there by
        majorisation of the stress.
    max_iter : int, default=300
        Most steps of "smacof".
    tol : float, default=1e-4
        Relative change of the stress at which it stops.
    random_state : int, RandomState or None, default=None
        Of the landmarks, the eigensolver's start and approximate neighbours.
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    embedding_ : float64 array of shape (n, n_components)
        Coordinates.
    distances_ : float64 array of shape (n_landmarks, n)
        Heat geodesic distances from the landmarks.
    landmarks_ : int array of shape (n_landmarks,)
        Their rows in `X`.
    t_ : float64 array
        The times that were used.
    stress_ : float
        Root of the summed squared errors of the distances between landmarks over the summed squares of the
        distances.
    n_iter_ : int
        Steps of "smacof".
    affinity_matrix_ : csr_array of shape (n, n)
        The weights.
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    Notes
    -----
    Heat below 1e-16 cannot be told from 0: such pairs get the distance of 1e-16. Nothing reaches another
    component of the graph, and a warning says that there is one.

    References
    ----------
    Guillaume Huguet, Alexander Tong, Edward De Brouwer, Yanlei Zhang, Guy Wolf, Ian Adelstein, Smita
    Krishnaswamy, "A Heat Diffusion Perspective on Geodesic Preserving Dimensionality Reduction", 2023.

    Vin de Silva, Joshua Tenenbaum, "Sparse multidimensional scaling using landmark points", 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import HeatGeodesic
    >>> t = np.linspace(0, 3, 80)
    >>> spiral = np.column_stack([(1 + t) * np.cos(2 * t), (1 + t) * np.sin(2 * t)])
    >>> Y = HeatGeodesic(1, t=50.0, random_state=0).fit_transform(spiral)
    >>> bool(np.all(np.diff(Y[:, 0]) > 0) or np.all(np.diff(Y[:, 0]) < 0))  # unrolled
    True
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        t: float | Sequence[float] | str = "auto",
        volume: float = 0.0,
        scale_factor: float = 1.0,
        local_k: int = 5,
        affinity: str = "points",
        method: str = "auto",
        n_eigenpairs: int = 100,
        n_landmarks: int | None = None,
        mds: str = "smacof",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.t = t
        self.volume = volume
        self.scale_factor = scale_factor
        self.local_k = local_k
        self.affinity = affinity
        self.method = method
        self.n_eigenpairs = n_eigenpairs
        self.n_landmarks = n_landmarks
        self.mds = mds
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> HeatGeodesic:
        """Embed `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        HeatGeodesic
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            `X` or a parameter is not as described.
        MemoryError
            The matrices do not fit into half of the machine's memory.

        Warns
        -----
        DisconnectedGraphWarning
            The graph has more than one component.
        UserWarning
            More than half of the heat is below 1e-16: the time is too short for this graph.
        ConvergenceWarning
            "smacof" stopped at `max_iter`.
        """
        wanted = self._check_parameters()
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        W = self._weights(X, seed)
        n = W.shape[0]
        if wanted > n - 1:
            raise ValueError(f"n_components must be at most {n - 1} for {n} points, got {wanted}")
        chosen = self.n_landmarks
        if chosen is None:
            chosen = n if n <= LANDMARK_POINTS else 2000
        if not wanted < chosen <= n:
            raise ValueError(f"n_landmarks must be between {wanted + 1} and {n}, got {chosen}")
        self.landmarks_ = np.sort(random.choice(n, chosen, replace=False)) if chosen < n else np.arange(n)
        parts = len(graph.components(W)[1])
        if parts > 1:
            warnings.warn(
                f"the graph has {parts} connected components, and no heat flows between them: their "
                "distances mean nothing",
                DisconnectedGraphWarning,
                stacklevel=_caller.level(),
            )
        if self._route(n) == "exact":
            _validate.check_memory(32.0 * n * n, "method='exact'", "method='chebyshev' takes less")
        _validate.check_memory(32.0 * n * chosen, "the distances", "take fewer landmarks (n_landmarks)")
        heat = _Heat(W, self._route(n), self.n_eigenpairs, seed, self.n_jobs)
        self.t_ = self._times(heat)
        self.distances_ = self._distances(heat)
        self.embedding_ = self._scale(wanted)
        self.affinity_matrix_ = W
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

    def _check_parameters(self) -> int:
        wanted = _validate.check_integer(self.n_components, "n_components", 1)
        if isinstance(self.t, str):
            _validate.check_choice(self.t, "t", ("auto",))
        else:
            times = np.atleast_1d(np.asarray(self.t, dtype=np.float64))
            if times.ndim != 1 or not times.size:
                raise ValueError(f"t must be a number or a sequence of numbers, got {self.t!r}")
            for time in times:
                _validate.check_positive(float(time), "t")
        if _validate.check_positive(self.volume, "volume", zero=True) > 1:
            raise ValueError(f"volume must be between 0 and 1, got {self.volume}")
        _validate.check_positive(self.scale_factor, "scale_factor")
        _validate.check_integer(self.local_k, "local_k", 1)
        _validate.check_choice(self.affinity, "affinity", ("points", "precomputed"))
        _validate.check_choice(self.method, "method", ("auto", "exact", "chebyshev", "truncated"))
        _validate.check_integer(self.n_eigenpairs, "n_eigenpairs", 1)
        if self.n_landmarks is not None:
            _validate.check_integer(self.n_landmarks, "n_landmarks", 2)
        _validate.check_choice(self.mds, "mds", ("smacof", "classical"))
        _validate.check_integer(self.max_iter, "max_iter", 1)
        _validate.check_positive(self.tol, "tol")
        return wanted

    def _weights(self, X: Any, seed: int) -> csr_array:
        if self.affinity == "precomputed":
            if _graphs.is_graph(X):
                read = _graphs.as_graph(X, "X")
                self.n_features_in_ = read.n
            else:
                read = _graphs.as_graph(_validate.check_samples(self, X, accept_sparse=["csr"]), "X")
            return read.matrix()
        X = _validate.check_samples(self, X, ensure_min_samples=2, dtype=[np.float64, np.float32])
        n = len(X)
        if self.local_k > n - 1:
            raise ValueError(f"local_k must be at most {n - 1} for {n} points, got {self.local_k}")
        # Weights vanish beyond 1.06 times the local scale: in few dimensions well within thrice as many.
        neighbors = graph.knn_graph(
            np.ascontiguousarray(X), min(3 * self.local_k, n - 1), n_jobs=self.n_jobs, random_state=seed
        )
        return _affinity.weigh(neighbors, "alpha_decay", "median", self.local_k, "max")[0]

    def _route(self, n: int) -> str:
        if self.method != "auto":
            return self.method
        return "exact" if n <= EXACT_POINTS else "chebyshev"

    def _times(self, heat: _Heat) -> Floats:
        if not isinstance(self.t, str):
            return np.atleast_1d(np.asarray(self.t, dtype=np.float64))
        some = self.landmarks_[:: max(1, len(self.landmarks_) // 500)]
        entropies = []
        for time in TIMES:
            H = np.maximum(heat.columns(some, float(time)), FLOOR)
            entropies.append(float(-(H * np.log(H)).sum()))
        found = float(TIMES[knee(TIMES, np.array(entropies))])
        for _ in range(16):  # of several components more than half may stay cold for ever
            if (heat.columns(some, found) > FLOOR).mean() >= 0.5:
                break
            found *= 2.0
        return np.array([found])

    def _distances(self, heat: _Heat) -> Floats:
        times = self.t_
        weights = 1.0 - times / times.sum() if len(times) > 1 else np.ones(1)
        total = np.zeros((len(self.landmarks_), heat.n))
        lost = 0
        for time, weight in zip(times, weights / weights.sum(), strict=True):
            H = heat.columns(self.landmarks_, float(time)).T
            lost = max(lost, int((FLOOR >= H).sum()))
            squares = np.log(np.maximum(H, FLOOR, out=H), out=H)
            squares *= -4.0 * time
            if self.volume:
                diagonal = np.maximum(heat.diagonal(float(time)), FLOOR)
                middle = 0.5 * (diagonal[self.landmarks_, None] + diagonal)
                squares += self.volume * 4.0 * time * np.log(middle)
            total += weight * np.sqrt(np.maximum(squares, 0.0))
        if lost > 0.5 * total.size:
            warnings.warn(
                f"{lost / total.size:.0%} of the heat is below {FLOOR:g}: t = {times.max():g} is too short "
                "for this graph",
                UserWarning,
                stacklevel=_caller.level(),
            )
        total[np.arange(len(self.landmarks_)), self.landmarks_] = 0.0
        return np.asarray(total**self.scale_factor)

    def _scale(self, wanted: int) -> Floats:
        from threadpoolctl import threadpool_limits

        D = self.distances_[:, self.landmarks_]
        D = 0.5 * (D + D.T)
        with threadpool_limits(1, user_api="blas"):  # the same bits for any number of threads
            Z, place = _classical(D, wanted)
            self.n_iter_ = 0
            if self.mds == "smacof":
                Z, self.n_iter_, done = smacof(D, Z, self.max_iter, self.tol)
                if not done:
                    warnings.warn(
                        f"smacof stopped after {self.max_iter} steps",
                        ConvergenceWarning,
                        stacklevel=_caller.level(),
                    )
            self.stress_ = _stress(D, Z)
            if len(Z) == self.distances_.shape[1]:
                return Z
            # Triangulation gives classical coordinates; an affine map takes the landmarks' to those wanted.
            Y = place(self.distances_)
            A = np.column_stack([Y[self.landmarks_], np.ones(len(Z))])
            B = np.linalg.lstsq(A, Z, rcond=None)[0]
            Y = np.column_stack([Y, np.ones(len(Y))]) @ B
            Y[self.landmarks_] = Z
            return np.asarray(Y)

    @property
    def _n_features_out(self) -> int:
        return int(self.embedding_.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.sparse = self.affinity == "precomputed"
        return tags


class _Heat:
    """Columns and diagonal of ``exp(-t L)`` for the normalised Laplacian of a graph."""

    def __init__(self, W: csr_array, route: str, pairs: int, seed: int, n_jobs: int | None) -> None:
        self.n, self.route = W.shape[0], route
        degrees = np.asarray(W.sum(axis=1)).ravel()
        root = np.sqrt(np.where(degrees > 0, degrees, 1.0))
        rows = np.repeat(np.arange(self.n), np.diff(W.indptr))
        self.S = csr_array((W.data / root[rows] / root[W.indices], W.indices, W.indptr), shape=W.shape)
        self.occupied = degrees > 0
        if route == "chebyshev":
            return
        with _similarity.further_pairs():
            warnings.simplefilter("ignore", DisconnectedGraphWarning)  # was told of
            room = self.n - len(graph.components(W)[1])
            k = room if route == "exact" else min(pairs, room)
            pairs_found = laplacian_eigs(
                W, k, drop_null=False, method="dense" if route == "exact" else "auto",
                random_state=seed, n_jobs=n_jobs,
            )  # fmt: skip
        self.values, self.vectors = pairs_found.values, pairs_found.vectors
        left = self.n - len(self.values)
        self.rest = (float(self.occupied.sum()) - self.values.sum()) / left if left else 0.0

    def columns(self, which: NDArray[np.intp], t: float) -> Floats:
        """``H[:, which]``."""
        if self.route == "chebyshev":
            E = np.zeros((self.n, len(which)))
            E[which, np.arange(len(which))] = 1.0
            return chebyshev_heat(self.S, self.occupied, E, t)
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            H = self.vectors @ (np.exp(-t * self.values)[:, None] * self.vectors[which].T)
        if self.rest:
            left = np.maximum(1.0 - (self.vectors[which] ** 2).sum(axis=1), 0.0)
            H[which, np.arange(len(which))] += left * np.exp(-t * self.rest)
        return np.asarray(H)

    def diagonal(self, t: float) -> Floats:
        """``diag(H)``."""
        if self.route != "chebyshev":
            squares = self.vectors**2
            corrected = np.maximum(1.0 - squares.sum(axis=1), 0.0) * np.exp(-t * self.rest)
            return np.asarray((squares * np.exp(-t * self.values)).sum(axis=1) + corrected * (self.rest > 0))
        found = np.empty(self.n)
        for lo in range(0, self.n, 256):  # |H_{t/2} e_i|²
            which = np.arange(lo, min(lo + 256, self.n))
            found[which] = (self.columns(which, t / 2.0) ** 2).sum(axis=0)
        return found


def chebyshev_heat(S: csr_array, occupied: NDArray[np.bool_], B: Floats, t: float) -> Floats:
    """``exp(-t (I - S)) B`` for a matrix S with spectrum in [-1, 1], to 1e-12.

    ``exp(t S) = I_0(t) + 2 sum_m I_m(t) T_m(S)`` with the modified Bessel functions I_m; ``e^-t I_m(t)``
    falls faster than any power once m passes the square root of t.
    """
    from scipy.special import ive

    terms = 16
    while ive(terms, t) > 1e-15 or terms < np.sqrt(t):
        terms *= 2
    coefficients = 2.0 * ive(np.arange(terms + 1), t)
    coefficients[0] /= 2.0
    last = int(np.flatnonzero(coefficients > 1e-15).max(initial=0))
    before, now = B, S @ B
    out = coefficients[0] * before
    if last:
        out += coefficients[1] * now
    for m in range(2, last + 1):
        before, now = now, 2.0 * (S @ now) - before
        out += coefficients[m] * now
    out[~occupied] = B[~occupied]  # a node without edges keeps its heat
    return np.asarray(out)


def knee(x: Floats, y: Floats) -> int:
    """Index where a rising concave curve is farthest above its chord (Kneedle, 2011)."""
    span = np.ptp(y)
    if span == 0:
        return 0
    return int(np.argmax((y - y.min()) / span - (x - x[0]) / (x[-1] - x[0])))


def _classical(D: Floats, k: int) -> tuple[Floats, Any]:
    """Classical scaling of distances, and a function that places further points by theirs (columns)."""
    from scipy.linalg import eigh

    squares = D**2
    mean = squares.mean(axis=0)
    B = -0.5 * (squares - mean - mean[:, None] + mean.mean())
    values, vectors = eigh(B, subset_by_index=(len(D) - k, len(D) - 1), check_finite=False)
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(k)] < 0, -1.0, 1.0)
    root = np.sqrt(np.maximum(values, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros(k), where=root > 0)

    def place(rows: Floats) -> Floats:
        return np.asarray(-0.5 * ((rows**2).T - mean) @ (vectors * inverse))

    return np.ascontiguousarray(vectors * root), place


def smacof(D: Floats, Z: Floats, max_iter: int, tol: float) -> tuple[Floats, int, bool]:
    """Lower the stress ``sum (D_ij - |z_i - z_j|)²`` by majorisation, from `Z`; whether it came to rest."""
    from scipy.spatial.distance import cdist

    n, norm = len(Z), float((D**2).sum())
    before = np.inf
    for step in range(max_iter):
        found = cdist(Z, Z)
        stress = float(((D - found) ** 2).sum())
        if before - stress <= tol * stress or stress <= 1e-20 * norm:
            return Z, step, True
        before = stress
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(found > 0, D / found, 0.0)
        Z = (ratio.sum(axis=1)[:, None] * Z - ratio @ Z) / n
    return Z, max_iter, False


def _stress(D: Floats, Z: Floats) -> float:
    from scipy.spatial.distance import cdist

    return float(np.sqrt(((D - cdist(Z, Z)) ** 2).sum() / max((D**2).sum(), np.finfo(float).tiny)))
