"""Hyperbolic diffusion embedding and distance as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from lapwing import _caller, _graphs, _validate, graph
from lapwing.exceptions import DisconnectedGraphWarning
from lapwing.graph import _similarity
from lapwing.linalg import laplacian_eigs

__all__ = ["HyperbolicDiffusion"]

Floats = NDArray[np.float64]
#: Smallest eigenvalue of the walk whose powers are taken.
LEAST = 1e-6
#: Numbers in a block of half-density rows.
BLOCK = 2**24


class HyperbolicDiffusion(BaseEstimator):  # type: ignore[misc]
    """Hyperbolic diffusion distance: the hierarchy of a dataset from its diffusion at dyadic times.

    With the diffusion operator ``A_t`` and its half-densities ``φ_k(i) = sqrt(A_{2^-k}[i, :])``,

        ``d(i, j) = sum_{k=0}^{K} 2 arcsinh(2^(1 - k a) |φ_k(i) - φ_k(j)|)``,  a = `exponent`:

    a sum of distances in K + 1 half-spaces of Poincaré, in the k-th of which i is the point φ_k(i) at height
    ``2^(k a - 2)``. It approximates the distance in the tree that the data are the leaves (or nodes) of.

    Parameters
    ----------
    n_scales : int, default=4
        K >= 0, the finest scale. 3 or 4 for graphs, up to 13 for data.
    exponent : float, default=0.5
        a, in (0, 1).
    affinity : {"gaussian", "laplace", "precomputed"}, default="gaussian"
        "gaussian", "laplace": ``exp(-r² / (2 σ²))`` or ``exp(-r / σ)`` between all pairs of points, their
        density taken out; A_t is the power t of the random walk (eigenvalues below 1e-6 count as 1e-6).
        "precomputed": `X` holds the weights of a graph, a dense or sparse matrix or a networkx or igraph
        graph; ``A_t = exp(-t L)``.
    metric : {"euclidean", "cosine"}, default="euclidean"
        The distance r.
    bandwidth : float or "median", default="median"
        σ; "median": of all distances.
    normalization : {None, "rw"}, default=None
        The Laplacian L of a graph: ``D - W`` or ``I - D^-1 W``. (The rows of the heat kernel of the symmetric
        one do not sum to 1, and their roots are no half-densities.)
    n_eigenpairs : int or None, default=None
        Eigenpairs that A_t is made of, the trivial ones included; None: all, which takes time n³ and 8 n²
        bytes.

    Attributes
    ----------
    eigenvalues_ : float64 array
        Of the random walk (falling), or of the graph Laplacian (rising).
    heights_ : float64 array of shape (n_scales + 1,)
        Of the half-spaces.
    affinity_matrix_ : array or csr_array of shape (n, n)
        The weights.
    n_features_in_ : int
        Number p of columns of `X`.
    feature_names_in_ : array of shape (p,)
        Names of the columns, where `X` has names that are all strings.

    References
    ----------
    Ya-Wei Eileen Lin, Ronald Coifman, Gal Mishne, Ronen Talmon, "Hyperbolic Diffusion Embedding and Distance
    for Hierarchical Representation Learning", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import HyperbolicDiffusion
    >>> W = np.zeros((7, 7))
    >>> for child in range(1, 7):  # a binary tree
    ...     W[child, (child - 1) // 2] = W[(child - 1) // 2, child] = 1
    >>> D = HyperbolicDiffusion(affinity="precomputed").fit(W).distances()
    >>> bool(D[3, 4] < D[3, 5])  # siblings are nearer than cousins
    True
    """

    def __init__(
        self,
        n_scales: int = 4,
        *,
        exponent: float = 0.5,
        affinity: str = "gaussian",
        metric: str = "euclidean",
        bandwidth: float | str = "median",
        normalization: str | None = None,
        n_eigenpairs: int | None = None,
    ) -> None:
        self.n_scales = n_scales
        self.exponent = exponent
        self.affinity = affinity
        self.metric = metric
        self.bandwidth = bandwidth
        self.normalization = normalization
        self.n_eigenpairs = n_eigenpairs

    def fit(self, X: Any, y: Any = None) -> HyperbolicDiffusion:
        """Decompose the diffusion operator of `X`.

        Parameters
        ----------
        X : array of shape (n, n_features), or weights of shape (n, n)
            See `affinity`.
        y : ignored

        Returns
        -------
        HyperbolicDiffusion
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
            The graph has more than one component: points of different ones are as far apart as can be.
        """
        scales = _validate.check_integer(self.n_scales, "n_scales", 0)
        if not 0 < _validate.check_positive(self.exponent, "exponent") < 1:
            raise ValueError(f"exponent must be between 0 and 1, got {self.exponent}")
        _validate.check_choice(self.affinity, "affinity", ("gaussian", "laplace", "precomputed"))
        _validate.check_choice(self.metric, "metric", ("euclidean", "cosine"))
        _validate.check_choice(self.normalization, "normalization", (None, "rw"))
        if isinstance(self.bandwidth, str):
            _validate.check_choice(self.bandwidth, "bandwidth", ("median",))
        else:
            _validate.check_positive(self.bandwidth, "bandwidth")
        if self.n_eigenpairs is not None:
            _validate.check_integer(self.n_eigenpairs, "n_eigenpairs", 1)
        if self.affinity == "precomputed":
            self._fit_graph(X)
        else:
            self._fit_points(X)
        self.heights_ = 2.0 ** (np.arange(scales + 1) * self.exponent - 2.0)
        return self

    def _fit_graph(self, X: Any) -> None:
        if _graphs.is_graph(X):
            read = _graphs.as_graph(X, "X")
            self.n_features_in_ = read.n
        else:
            read = _graphs.as_graph(_validate.check_samples(self, X, accept_sparse=["csr"]), "X")
        W = read.matrix()
        parts = len(graph.components(W)[1])
        whole = self.n_eigenpairs is None or self.n_eigenpairs >= read.n
        if whole:
            _validate.check_memory(24.0 * read.n**2, "all eigenpairs", "give n_eigenpairs")
        k = read.n - parts if whole else min(max(1, int(self.n_eigenpairs or 1) - parts), read.n - parts)
        result = laplacian_eigs(
            W, k, normalization=self.normalization, drop_null=False, method="dense" if whole else "auto"
        )
        self.eigenvalues_, self._right = result.values, result.vectors.T
        self._left = result.vectors
        if self.normalization == "rw":  # exp(-t L) = Z exp(-t λ) Zᵀ D
            degrees = np.asarray(W.sum(axis=1)).ravel()
            self._right = self._right * np.where(degrees > 0, degrees, 1.0)
        self.affinity_matrix_: Any = W

    def _fit_points(self, X: Any) -> None:
        from scipy.linalg import eigh
        from threadpoolctl import threadpool_limits

        X = _validate.check_samples(self, X, ensure_min_samples=2, dtype=[np.float64, np.float32])
        n = len(X)
        _validate.check_memory(32.0 * n * n, "the kernel of all pairs", "take fewer points")
        if self.metric == "cosine":
            length = np.linalg.norm(X, axis=1)
            if not length.all():
                raise ValueError(f"the cosine needs a direction, but row {int(np.argmin(length))} of X is 0")
            unit = X / length[:, None]
            r = 0.5 * _similarity.squared_distances(unit, unit)  # 1 - cos, without cancellation
        else:
            r = np.sqrt(_similarity.squared_distances(X, X))
        sigma = self.bandwidth
        if isinstance(sigma, str):
            positive = r[r > 0]
            sigma = float(np.median(positive)) if positive.size else 1.0
        K = np.exp(-r / sigma) if self.affinity == "laplace" else np.exp(-0.5 * (r / sigma) ** 2)
        self.affinity_matrix_ = K
        if K.min() == 0 and len(graph.components(K)[1]) > 1:
            warnings.warn(
                "the weights have several components", DisconnectedGraphWarning, stacklevel=_caller.level()
            )
        q = K.sum(axis=1)
        A = K / np.multiply.outer(q, q)
        root = np.sqrt(A.sum(axis=1))
        A /= np.multiply.outer(root, root)
        k = n if self.n_eigenpairs is None else min(self.n_eigenpairs, n)
        with threadpool_limits(1, user_api="blas"):  # the same bits for any number of threads
            if k < n:
                values, U = eigh(A, subset_by_index=(n - k, n - 1), check_finite=False)
            else:
                values, U = eigh(A, driver="evd", check_finite=False)
        self.eigenvalues_ = values[::-1]
        U = U[:, ::-1]
        self._left, self._right = U / root[:, None], (U * root[:, None]).T

    def densities(self, scale: int, rows: Any = None) -> Floats:
        """Half-densities φ of one scale: the coordinates in its half-space.

        Parameters
        ----------
        scale : int
            k, between 0 and `n_scales`.
        rows : int array or None, default=None
            Of these points; None: of all.

        Returns
        -------
        float64 array of shape (len(rows), n)
            ``sqrt(A_{2^-k}[rows, :])``, entries below 0 (rounding, truncation) as 0.
        """
        from sklearn.utils.validation import check_is_fitted
        from threadpoolctl import threadpool_limits

        check_is_fitted(self, "heights_")
        k = _validate.check_integer(scale, "scale", 0, len(self.heights_) - 1)
        chosen = self._rows(rows, "rows")
        t = 2.0**-k
        if self.affinity == "precomputed":
            powers = np.exp(-t * self.eigenvalues_)
        else:
            powers = np.maximum(self.eigenvalues_, LEAST) ** t
        with threadpool_limits(1, user_api="blas"):
            A = (self._left[chosen] * powers) @ self._right
        return np.asarray(np.sqrt(np.maximum(A, 0.0)))

    def distances(self, rows: Any = None, columns: Any = None) -> Floats:
        """Hyperbolic diffusion distances.

        Parameters
        ----------
        rows, columns : int array or None, default=None
            Between these points; None: all.

        Returns
        -------
        float64 array of shape (len(rows), len(columns))

        Raises
        ------
        MemoryError
            The result does not fit into half of the machine's memory.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "heights_")
        these, those = self._rows(rows, "rows"), self._rows(columns, "columns")
        n = len(self._left)
        _validate.check_memory(
            8.0 * len(these) * len(those), "the distances", "ask for some rows and columns"
        )
        total = np.zeros((len(these), len(those)))
        step = max(1, BLOCK // n)
        for k, height in enumerate(self.heights_):
            for lo in range(0, len(these), step):
                phi = self.densities(k, these[lo : lo + step])
                for left in range(0, len(those), step):
                    psi = self.densities(k, those[left : left + step])
                    far = np.sqrt(_similarity.squared_distances(phi, psi))
                    total[lo : lo + step, left : left + step] += 2.0 * np.arcsinh(far / (2.0 * height))
        return total

    def _rows(self, rows: Any, name: str) -> NDArray[np.intp]:
        n = len(self._left)
        if rows is None:
            return np.arange(n)
        chosen = np.asarray(rows)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise TypeError(f"{name} must be a 1-D array of integers, got {rows!r}")
        if chosen.size and (chosen.min() < 0 or chosen.max() >= n):
            raise ValueError(f"{name} must be between 0 and {n - 1}")
        return chosen.astype(np.intp)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.sparse = self.affinity == "precomputed"
        return tags
