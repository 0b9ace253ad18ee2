"""The scikit-learn estimator of EOT eigenmaps and its functional form."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from lapwing import _array, _caller, _threads, _validate, ot
from lapwing._progress import Callback, Progress, ProgressInfo

from . import _algorithm as algorithm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from lapwing.ot import OTResult

    Floats = NDArray[np.float32] | NDArray[np.float64]
    Rule = int | float | str
    Bandwidth = float | str | Callable[..., float]

__all__ = ["EOTEigenmaps", "EOTEigenmapsResult", "eot_eigenmaps"]

_BANDWIDTHS = ("median-centered", "median", "mknn")
_COMPONENT_RULES = ("gap", "reference")
_DENSITY_RULES = ("lepski", "neighbors")


@dataclass(frozen=True)
class EOTEigenmapsResult:
    """What `eot_eigenmaps` returns: the attributes of a fitted `EOTEigenmaps`, without the underscore."""

    embedding_x: Any
    embedding_y: Any
    singular_values: NDArray[np.float64]
    svd_residuals: NDArray[np.float64]
    bandwidth: float
    potentials: tuple[Any, Any]
    plan: OTResult
    n_sweeps: int
    marginal_error: float
    converged: bool
    estimator: EOTEigenmaps


class EOTEigenmaps(  # type: ignore[call-arg]
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
    auto_wrap_output_keys=None,
):
    """Joint embedding of two datasets from the singular vectors of their entropic transport plan.

    Two datasets measure the same features under different conditions: they share a latent structure, but
    each has its own shift, distortion, nuisance directions and noise. The entropic optimal transport plan P
    between them, with cost ``||x_i - y_j||^2``, regularisation `bandwidth` and uniform marginals, depends
    on the shared geometry only; its singular triplets ``sigma_k, u_k, v_k`` after normalisation, ``W =
    diag(a)^-1/2 P diag(b)^-1/2``, give the coordinates

        ``Phi_ik = sigma_k^t u_k(i) / sqrt(a_i)``,  ``Psi_jk = sigma_k^t v_k(j) / sqrt(b_j)``,  k = 2, 3,
        ...

    (uniform weights: ``1/sqrt(a) = sqrt(m)``; the first, constant pair is left out). Coordinates have mean
    0 and mean square ``sigma_k^(2t)`` on either side, whatever the sizes.

    No pairs of samples need to be known; the features must be the same. Time grows with m * n * p, memory
    with (m + n) * p: the plan is never stored, except for small problems (at most 1,000 rows on the smaller
    side and 2^24 pairs), which go through a dense decomposition.

    Parameters
    ----------
    n_components : int, float, "gap" or "reference", default=15
        Number r of coordinates. A float x in (0, 1) keeps all with ``sigma_k >= x * sigma_2``; "gap" cuts
        at the largest ratio of neighbouring singular values among the first 80; "reference" is the rule of
        the authors' program (the last ratio above 1.02 among the first 80, which tends to keep too many).
        Components whose singular value is below 1e-6 (float32: 1e-5) are dropped with a warning.
    bandwidth : float, "median-centered", "median", "mknn" or callable, default="median-centered"
        Regularisation of the plan, in units of squared distance. "median-centered": the squared median of
        the distances ``||x_i - y_j||`` after centring either dataset, so that a translation changes
        nothing. "median": the same without centring, as in the authors' program; a large shift then smooths
        the plan. Both are exact up to 2^26 pairs, above from 2^22 random ones (relative error about 0.1 %).
        "mknn": the value between 0.01 and 2 times the median that gives most pairs which are among each
        other's 50 strongest partners (fewer where a dataset has less than 200 samples: a quarter of them);
        costs up to 20 plans. A callable gets X and Y (arrays in the working precision, not centred) and
        returns a number. A smaller bandwidth follows finer structure and needs more sweeps.
    diffusion_time : float, default=0
        The exponent t >= 0: 0 weighs all coordinates alike (Laplacian eigenmaps), 1, 2, ... are steps of
        the random walk X -> Y -> X ... (diffusion maps).
    density_discount : float, default=0.0
        theta in [0, 1]: weight the samples by their estimated density to the power -theta, so that
        differences in sampling density (class proportions) do not force wrong matches. 0: uniform weights.
    density_bandwidth : "lepski", "neighbors" or float, default="lepski"
        Bandwidth h of the density estimate ``sum_j exp(-||x_i - x_j||^2 / h)`` in each dataset, used when
        `density_discount` > 0 and `fit` gets no densities. "lepski": chosen by the bootstrap on at most
        2,000 samples; "neighbors": twice the squared median distance to the 10th neighbour. The estimate
        takes time m^2 * p.
    tol : float or None, default=None
        Marginal error (L1, both sides, relative to the mass) at which the plan is accepted; None: 1e-8,
        float32 1e-6.
    max_iter : int, default=10000
        Most sweeps for the plan.
    svd_tol : float or None, default=None
        Residual, relative to sigma_2, at which the singular vectors are accepted; None: 1e-6, float32 1e-4.
        Dense decompositions are exact.
    block_size : int or None, default=None
        Vectors in a block of the matrix-free singular value decomposition, at least r; None: min(r + 8,
        32), at least r.
    callback : callable or None, default=None
        Called with an object that has `stage`, `iteration`, `error`, `elapsed` (seconds) and `reg` after
        every sweep and every application; returning True stops the stage, and the fit goes on with what
        there is and ``converged_ = False``.
    verbose : int, default=0
        Above 0: a progress bar on standard error for work that takes longer than a second.
    centering : bool, default=True
        Subtract each dataset's column means. It changes nothing in exact arithmetic at a fixed bandwidth
        and keeps rounding small.
    random_state : int, RandomState or None, default=None
        For the sampled median, the start of the singular value decomposition and the bootstrap.
    n_jobs : int or None, default=None
        Threads; None or -1: all that the process may use. The result does not depend on it.
    dtype : {None, "float32", "float64"}, default=None
        Working precision. None: float32 if both datasets are, else float64.

    Attributes
    ----------
    embedding_x_, embedding_y_ : array of shape (m, r) and (n, r)
        The coordinates, in the working precision; torch tensors if X is one.
    singular_values_ : ndarray of shape (r + 1,), float64
        Singular values of the normalised plan, the trivial 1 first.
    svd_residuals_ : ndarray of shape (r,), float64
        ``max(||W v_k - sigma_k u_k||, ||W' u_k - sigma_k v_k||)`` of each kept component.
    n_components_ : int
        Number of coordinates r.
    bandwidth_ : float
        The regularisation that was used.
    weights_ : tuple of ndarray of shape (m,) and (n,)
        The marginals a and b, uniform unless `density_discount` > 0.
    plan_ : lapwing.ot.OTResult
        The plan between the (centred) datasets, as an operator.
    potentials_ : tuple of array
        Its dual potentials f (m,) and g (n,), in units of squared distance.
    n_sweeps_, n_iter_ : int
        Sweeps over all pairs that the plan took; scikit-learn's name for the same.
    marginal_error_ : float
        Marginal error of the plan.
    converged_ : bool
        Whether plan and singular vectors reached their tolerances.
    x_mean_, y_mean_ : ndarray of shape (p,)
        What was subtracted (zeros without centring).
    n_features_in_ : int
        Number p of features.
    feature_names_in_ : ndarray of shape (p,)
        Names of the features, where X has names that are all strings.

    Notes
    -----
    SciPy sparse matrices and arrays are accepted and turned into dense arrays of the working precision (the
    transport kernels read dense rows): memory (m + n) * p numbers. Rows of zeros should be removed before.

    Where neighbouring singular values are equal (circles, tori), only the span of their coordinates is
    determined.

    References
    ----------
    Boris Landa, Yuval Kluger, Rong Ma, "Entropic Optimal Transport Eigenmaps for Nonlinear Alignment and
    Joint Embedding of High-Dimensional Datasets", 2024.

    Keyi Li, Yuval Kluger, Boris Landa, "Density-Reweighted Entropic Optimal Transport: Decoupling Geometry
    from Sampling Density", 2026 (`density_discount`).

    Examples
    --------
    >>> from lapwing import EOTEigenmaps
    >>> from lapwing.datasets import make_torus_pair
    >>> pair = make_torus_pair(100, n_features=20, random_state=0)
    >>> model = EOTEigenmaps(n_components=3, random_state=0)
    >>> phi, psi = model.fit_transform(pair.X, pair.Y)
    >>> phi.shape, psi.shape, model.converged_
    ((100, 3), (100, 3), True)
    >>> bool(abs(model.transform(pair.X) - phi).max() < 1e-5)
    True
    """

    def __init__(
        self,
        n_components: Rule = 15,
        *,
        bandwidth: Bandwidth = "median-centered",
        diffusion_time: float = 0,
        density_discount: float = 0.0,
        density_bandwidth: float | str = "lepski",
        tol: float | None = None,
        max_iter: int = 10000,
        svd_tol: float | None = None,
        block_size: int | None = None,
        callback: Callback | None = None,
        verbose: int = 0,
        centering: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        dtype: Any = None,
    ) -> None:
        self.n_components = n_components
        self.bandwidth = bandwidth
        self.diffusion_time = diffusion_time
        self.density_discount = density_discount
        self.density_bandwidth = density_bandwidth
        self.tol = tol
        self.max_iter = max_iter
        self.svd_tol = svd_tol
        self.block_size = block_size
        self.callback = callback
        self.verbose = verbose
        self.centering = centering
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.dtype = dtype

    # --- public -----------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        density_x: ArrayLike | None = None,
        density_y: ArrayLike | None = None,
    ) -> EOTEigenmaps:
        """Embed both datasets.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (m, p)
            First dataset, rows are samples; m >= 3.
        Y : array_like or sparse matrix of shape (n, p)
            Second dataset, the same features in the same order; n >= 3.
        density_x, density_y : array_like of shape (m,) and (n,), or None
            Sampling densities at the samples, up to a factor, > 0; used with `density_discount` in place of
            an estimate.

        Returns
        -------
        EOTEigenmaps
            The estimator itself.

        Raises
        ------
        ValueError
            For datasets that are not 2-D, not finite, shorter than three rows or of different width; for
            ``n_components >= min(m, n)``; for parameters out of range; when the median distance is 0; when
            the plan is constant up to rounding.
        TypeError
            For AnnData (see `eot_eigenmaps_anndata`) and parameters of the wrong type.

        Warns
        -----
        ConvergenceWarning
            Plan or singular vectors stopped before their tolerance.
        DisconnectedSimilarityWarning
            Non-trivial singular values of 1: the bandwidth is so small that groups exchange no mass.
        UserWarning
            Components were dropped.
        """
        kind = _array.kind_of(X, Y)
        x, y = self._read_pair(X, Y)
        self._check_parameters(len(x), len(y))
        densities = [
            None if d is None else _positive_vector(d, len(z), name)
            for d, z, name in ((density_x, x, "density_x"), (density_y, y, "density_y"))
        ]
        rng = check_random_state(self.random_state)
        seeds = [int(s) for s in rng.randint(np.iinfo(np.int32).max, size=4)]

        self._dtype = x.dtype
        raw = (x, y)
        if self.centering:
            self.x_mean_, x = algorithm.center(x)
            self.y_mean_, y = algorithm.center(y)
        else:
            self.x_mean_, self.y_mean_ = np.zeros((2, x.shape[1]), dtype=x.dtype)
            x, y = x.copy(), y.copy()  # the fitted estimator must not change with the caller's arrays
        x, y = self._shorten(x, y)

        self.weights_ = self._choose_weights((x, y), densities, seeds[2:])
        tol = self.tol if self.tol is not None else (1e-8 if self._dtype == np.float64 else 1e-6)
        self.bandwidth_ = self._choose_bandwidth(raw, (x, y), tol, seeds[0])
        with Progress(self.callback, self.verbose, unit=" sweeps", reg=self.bandwidth_) as progress:
            report = _forward(progress)
            # At the median or above, the kernel is so flat that lowering the regularisation in steps only
            # costs sweeps.
            flat = isinstance(self.bandwidth, str) and self.bandwidth != "mknn"
            self.plan_ = ot.solve_sample(
                x,
                y,
                *self.weights_,
                reg=self.bandwidth_,
                tol=tol,
                max_iter=self.max_iter,
                schedule=None if flat else "auto",
                n_jobs=self.n_jobs,
                callback=report,
            )
            triplets = self._decompose(seeds[1], report)
        self._set_embedding(triplets, kind)
        return self

    def fit_transform(self, X: ArrayLike, Y: ArrayLike, **fit_params: Any) -> tuple[Any, Any]:
        """Embed both datasets and return the coordinates.

        Parameters
        ----------
        X, Y : array_like or sparse matrix of shape (m, p) and (n, p)
            The datasets.
        **fit_params
            `density_x`, `density_y` of `fit`.

        Returns
        -------
        embedding_x, embedding_y : array of shape (m, r) and (n, r)
            The coordinates of the rows of X and Y.
        """
        self.fit(X, Y, **fit_params)
        return self.embedding_x_, self.embedding_y_

    def transform(self, X_new: ArrayLike | None = None, Y_new: ArrayLike | None = None) -> Any:
        """Embed new samples of either dataset.

        A new x is sent to the fitted Y as if it took part in the plan: with weights ``A_j`` proportional to
        ``b_j exp((g_j - ||x - y_j||^2)/bandwidth)``, its coordinates are ``sigma_k^(t-1) sum_j A_j
        v_k(j)/sqrt(b_j)``; a new y likewise is sent to the fitted X. Rows seen in `fit` get their
        coordinates again, up to the marginal error.

        Parameters
        ----------
        X_new : array_like or sparse matrix of shape (m', p), or None
            New samples measured like X.
        Y_new : array_like or sparse matrix of shape (n', p), or None
            New samples measured like Y.

        Returns
        -------
        array of shape (m', r), array of shape (n', r), or both as a tuple
            What belongs to the arguments that were given.

        Raises
        ------
        ValueError
            For arrays of another width or not finite, or when both are None.
        """
        check_is_fitted(self, "plan_")
        if X_new is None and Y_new is None:
            raise ValueError("transform needs X_new, Y_new or both")
        out = []
        for Z, name, side in ((X_new, "X_new", "x"), (Y_new, "Y_new", "y")):
            if Z is not None:
                out.append(_array.wrap(self._extend(self._read(Z, name), side), _array.kind_of(Z)))
        return tuple(out) if len(out) == 2 else out[0]

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True  # the second dataset
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # --- input ------------------------------------------------------------------------------------

    def _read(self, Z: Any, name: str, *, features_of_fit: bool = True) -> Floats:
        """Validate one dataset and return it dense, C-contiguous, in its own or the fitted precision."""
        if hasattr(Z, "obsm") and hasattr(Z, "var_names"):
            raise TypeError(f"{name} is an AnnData object; use lapwing.embedding.eot_eigenmaps_anndata")
        tabular = Z
        if _array.kind_of(Z) == "torch" or hasattr(Z, "__cuda_array_interface__"):
            Z = _array.real(Z, name)
        with config_context(assume_finite=True):  # our own check names the entry
            Z = check_array(
                Z,
                accept_sparse="csr",
                dtype=[np.float64, np.float32],
                order="C",
                input_name=name,
                estimator=self,
            )
        if sparse.issparse(Z):
            _check_finite(Z.data, name, lambda i: _sparse_position(Z, i))
            Z = Z.toarray(order="C")
        else:
            _check_finite(Z, name, lambda i: _validate.position(i, Z.shape))
        if features_of_fit:
            if Z.shape[1] != self.n_features_in_ and name == "Y_new":
                raise ValueError(
                    f"Y_new must have {self.n_features_in_} columns as in fit, got shape {Z.shape}"
                )
            _check_features(self, tabular, reset=False)
            Z = Z.astype(self._dtype, copy=False)
        return np.asarray(Z)

    def _read_pair(self, X: Any, Y: Any) -> tuple[Floats, Floats]:
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        if dtype not in (None, np.float32, np.float64):
            raise ValueError(f"dtype must be None, 'float32' or 'float64', got {self.dtype!r}")
        x, y = (self._read(Z, name, features_of_fit=False) for Z, name in ((X, "X"), (Y, "Y")))
        if x.shape[1] != y.shape[1]:
            raise ValueError(
                f"X and Y must have the same number of columns (features), got shapes {x.shape} and {y.shape}"
            )
        for Z, name in ((x, "X"), (y, "Y")):
            if len(Z) < 3:
                raise ValueError(
                    f"{name} must have at least 3 samples (rows), got n_samples = {len(Z)}: shape {Z.shape}"
                )
        _check_features(self, X, reset=True)
        _check_features(self, Y, reset=False)
        if dtype is None:
            dtype = np.dtype(np.float32 if x.dtype == y.dtype == np.float32 else np.float64)
        return x.astype(dtype, copy=False), y.astype(dtype, copy=False)

    def _check_parameters(self, m: int, n: int) -> None:
        _check_components(self.n_components, m, n)
        if not callable(self.bandwidth):
            if isinstance(self.bandwidth, str):
                _validate.check_choice(self.bandwidth, "bandwidth", _BANDWIDTHS)
            else:
                _validate.check_positive(self.bandwidth, "bandwidth")
        _validate.check_positive(self.diffusion_time, "diffusion_time", zero=True)
        if _validate.check_positive(self.density_discount, "density_discount", zero=True) > 1:
            raise ValueError(f"density_discount must be between 0 and 1, got {self.density_discount}")
        if isinstance(self.density_bandwidth, str):
            _validate.check_choice(self.density_bandwidth, "density_bandwidth", _DENSITY_RULES)
        else:
            _validate.check_positive(self.density_bandwidth, "density_bandwidth")
        for name in ("tol", "svd_tol"):
            if getattr(self, name) is not None:
                _validate.check_positive(getattr(self, name), name)
        _validate.check_integer(self.max_iter, "max_iter", 1)
        if self.block_size is not None:
            wanted = int(self.n_components) if isinstance(self.n_components, Integral) else 1
            _validate.check_integer(self.block_size, "block_size", wanted)
        _threads.resolve(self.n_jobs)
        Progress(self.callback, self.verbose)  # checks both
        if not isinstance(self.centering, (bool, np.bool_)):
            raise TypeError(f"centering must be True or False, got {self.centering!r}")

    # --- steps ------------------------------------------------------------------------------------

    def _shorten(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Leave out what has no part in the distances: constant columns, directions without data."""
        self._varying, self._basis = None, None
        varying = algorithm.varying_columns(x, y)
        if varying.any() and not varying.all():
            self._varying = varying
            x, y = _columns(x, varying), _columns(y, varying)
        self._basis = algorithm.row_space(x, y, tol=1e-7 if self._dtype == np.float64 else 1e-4)
        if self._basis is not None:
            x, y = algorithm.project(x, self._basis), algorithm.project(y, self._basis)
        return x, y

    def _choose_weights(
        self, work: Any, densities: list[NDArray[np.float64] | None], seeds: list[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        theta = float(self.density_discount)
        weights = []
        for Z, known, seed, name in zip(work, densities, seeds, ("X", "Y"), strict=True):
            if theta == 0.0:
                weights.append(np.full(len(Z), 1.0 / len(Z)))
                continue
            if known is None:
                known = algorithm.density(Z, self.density_bandwidth, seed=seed, n_jobs=self.n_jobs)
            weights.append(algorithm.density_weights(known, theta, name))
        return weights[0], weights[1]

    def _choose_bandwidth(self, raw: Any, work: Any, tol: float, seed: int) -> float:
        rule = self.bandwidth
        if callable(rule):
            return _validate.check_positive(rule(*raw), "the value that bandwidth(X, Y) returned")
        if not isinstance(rule, str):
            return float(rule)
        if rule == "median":
            data = raw
        elif self.centering:
            data = work
        else:
            data = tuple(algorithm.center(z)[1] for z in work)
        median = algorithm.median_bandwidth(*data, seed=seed, n_jobs=self.n_jobs)
        if median == 0.0:
            raise ValueError("median cross-distance is 0; pass bandwidth")
        if not np.isfinite(median):
            raise ValueError("the squared distances overflow; scale X and Y down")
        if rule != "mknn":
            return median

        def solve(reg: float) -> tuple[OTResult, OTResult]:
            loose = max(tol, 1e-4)  # only the order of the entries matters
            options: dict[str, Any] = {
                "reg": reg,
                "tol": loose,
                "max_iter": self.max_iter,
                "n_jobs": self.n_jobs,
            }
            (x, y), (a, b) = work, self.weights_
            plan = ot.solve_sample(x, y, a, b, verbose=self.verbose, **options)
            return plan, ot.solve_sample(y, x, b, a, init=plan.potentials[::-1], **options)

        neighbors = max(1, min(50, len(raw[0]) // 4, len(raw[1]) // 4))
        return algorithm.mutual_neighbor_bandwidth(
            solve, median, neighbors, low=0.01, high=2.0, evaluations=20, width=0.1
        )

    def _decompose(self, seed: int, report: Callback | None) -> algorithm.Triplets:
        smaller = min(len(w) for w in self.weights_)

        def compute(k: int) -> algorithm.Triplets:
            return algorithm.singular_triplets(
                self.plan_,
                self.weights_,
                k,
                method="auto",
                block=self.block_size,
                tol=self.svd_tol
                if self.svd_tol is not None
                else (1e-6 if self._dtype == np.float64 else 1e-4),
                seed=seed,
                callback=report,
            )

        rule = self.n_components
        if isinstance(rule, str):
            return compute(_rule_values(smaller) - 1)
        if isinstance(rule, Integral):
            return compute(int(rule))
        return algorithm.triplets_until(compute, float(rule), smaller - 1)

    def _set_embedding(self, triplets: algorithm.Triplets, kind: Any) -> None:
        dtype = self._dtype
        values = np.concatenate([[1.0], triplets.values])
        rule = self.n_components
        # Values that the iteration or the rounding leaves undetermined must not look like a gap.
        floor = 1e-8 if dtype == np.float64 else 1e-5
        r = algorithm.count_components(
            values, float(rule) if not isinstance(rule, (str, Integral)) else rule, floor
        )
        r = algorithm.drop_and_warn(triplets.values, r, dtype, self.bandwidth_, self.plan_.converged)
        self.n_components_ = r
        self.singular_values_ = values[: r + 1]
        self.svd_residuals_ = triplets.residuals[:r]
        a, b = self.weights_
        left = triplets.left[:, :r] / np.sqrt(a)[:, None]
        right = triplets.right[:, :r] / np.sqrt(b)[:, None]
        sign = algorithm.orient(left, right)
        # Kept at t = 0 in float64: the extension divides by small singular values.
        self._left, self._right = left * sign, right * sign
        scale = self.singular_values_[1:] ** float(self.diffusion_time)
        self.embedding_x_ = _array.wrap((self._left * scale).astype(dtype), kind)
        self.embedding_y_ = _array.wrap((self._right * scale).astype(dtype), kind)
        self.potentials_ = self.plan_.potentials
        self.n_sweeps_ = self.n_iter_ = int(self.plan_.n_sweeps)
        self.marginal_error_ = float(self.plan_.marginal_error)
        self.converged_ = bool(self.plan_.converged and triplets.converged)

    def _extend(self, Z: Floats, side: str) -> Floats:
        Z = Z - (self.x_mean_ if side == "x" else self.y_mean_)
        if self._varying is not None:
            # The dropped columns are 0 on the other side: they change every distance of a row alike.
            Z = _columns(Z, self._varying)
        if self._basis is not None:
            Z = algorithm.project(Z, self._basis)
        other = self._right if side == "x" else self._left
        values = self.singular_values_[1:]
        out = algorithm.extend(self.plan_, Z, other, values, float(self.diffusion_time), side)
        return np.asarray(out.astype(self._dtype))


def eot_eigenmaps(
    X: ArrayLike,
    Y: ArrayLike,
    n_components: Rule = 15,
    *,
    density_x: ArrayLike | None = None,
    density_y: ArrayLike | None = None,
    **params: Any,
) -> EOTEigenmapsResult:
    """Embed two datasets jointly: the functional form of `EOTEigenmaps`.

    Parameters
    ----------
    X, Y : array_like or sparse matrix of shape (m, p) and (n, p)
        The datasets, rows are samples.
    n_components : int, float, "gap" or "reference", default=15
        Number of coordinates, as in `EOTEigenmaps`.
    density_x, density_y : array_like of shape (m,) and (n,), or None
        Known sampling densities, as in `EOTEigenmaps.fit`.
    **params
        All other parameters of `EOTEigenmaps`.

    Returns
    -------
    EOTEigenmapsResult
        With `embedding_x` (m, r), `embedding_y` (n, r), `singular_values` (r + 1,), `bandwidth`, the plan
        and its certificate, and the fitted `estimator`.

    Raises
    ------
    ValueError, TypeError
        As `EOTEigenmaps.fit`.

    References
    ----------
    Boris Landa, Yuval Kluger, Rong Ma, "Entropic Optimal Transport Eigenmaps for Nonlinear Alignment and
    Joint Embedding of High-Dimensional Datasets", 2024.

    Examples
    --------
    >>> from lapwing import eot_eigenmaps
    >>> from lapwing.datasets import make_torus_pair
    >>> pair = make_torus_pair(100, n_features=20, random_state=0)
    >>> eot_eigenmaps(pair.X, pair.Y, 3, random_state=0).embedding_x.shape
    (100, 3)
    """
    model = EOTEigenmaps(n_components, **params).fit(X, Y, density_x=density_x, density_y=density_y)
    return EOTEigenmapsResult(
        embedding_x=model.embedding_x_,
        embedding_y=model.embedding_y_,
        singular_values=model.singular_values_,
        svd_residuals=model.svd_residuals_,
        bandwidth=model.bandwidth_,
        potentials=model.potentials_,
        plan=model.plan_,
        n_sweeps=model.n_sweeps_,
        marginal_error=model.marginal_error_,
        converged=model.converged_,
        estimator=model,
    )


# --- helpers --------------------------------------------------------------------------------------


def _rule_values(smaller: int) -> int:
    """Singular values that a rule looks at, the trivial one included."""
    return min(algorithm.RULE_VALUES, smaller - 1)


def _check_components(rule: Any, m: int, n: int) -> None:
    smaller = min(m, n)
    if isinstance(rule, str):
        if rule not in _COMPONENT_RULES:
            raise ValueError(
                f"n_components must be an integer, a float in (0, 1), 'gap' or 'reference', got {rule!r}"
            )
        if smaller < 4:
            raise ValueError(
                f"n_components={rule!r} needs at least 4 samples on either side, got {m} and {n}"
            )
        if rule == "reference" and _rule_values(smaller) < algorithm.RULE_VALUES:
            warnings.warn(
                f"n_components='reference' looks at {_rule_values(smaller)} singular values instead of "
                f"{algorithm.RULE_VALUES}, because there are only {m} and {n} samples",
                UserWarning,
                stacklevel=_caller.level(),
            )
    elif isinstance(rule, Integral) and not isinstance(rule, bool):
        rule = int(rule)
        if rule < 1:
            raise ValueError(f"n_components must be at least 1, got {rule}")
        if rule >= smaller:
            raise ValueError(
                f"n_components must be smaller than the number of samples on either side, got {rule} with "
                f"{m} rows in X and {n} in Y"
            )
    elif isinstance(rule, Real) and not isinstance(rule, bool):
        if not 0 < float(rule) < 1:
            raise ValueError(f"n_components as a float must be between 0 and 1, got {rule}")
    else:
        raise TypeError(
            f"n_components must be an integer, a float in (0, 1), 'gap' or 'reference', got {rule!r}"
        )


def _check_finite(values: NDArray[Any], name: str, position: Callable[[int], str]) -> None:
    for lo in range(0, values.shape[0], 4096):
        finite = np.isfinite(values[lo : lo + 4096])
        if not finite.all():
            first = int(np.argmin(finite)) + lo * (values[0].size if values.ndim > 1 else 1)
            value = values.flat[first]
            raise ValueError(
                f"{name} contains {'NaN' if np.isnan(value) else 'infinity'}: {name}{position(first)}"
            )


def _columns(Z: Any, kept: NDArray[np.bool_]) -> Floats:
    out: Floats = np.ascontiguousarray(Z[:, kept])
    return out


def _sparse_position(Z: Any, entry: int) -> str:
    row = int(np.searchsorted(Z.indptr, entry, side="right")) - 1
    return f"[{row}, {int(Z.indices[entry])}]"


def _positive_vector(value: ArrayLike, n: int, name: str) -> NDArray[np.float64]:
    vector = _validate.check_vector(value, n, name)
    bad = np.flatnonzero(vector <= 0)
    if len(bad):
        raise ValueError(f"{name} must be > 0, but {name}[{bad[0]}] is {vector[bad[0]]}")
    return vector


def _check_features(estimator: Any, Z: Any, *, reset: bool) -> None:
    """Record or compare the number and the names of the features."""
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        estimator._check_feature_names(Z, reset=reset)
        estimator._check_n_features(Z, reset=reset)
    else:
        validate_data(estimator, Z, reset=reset, skip_check_array=True)


def _forward(progress: Progress) -> Callback | None:
    """A callback for the transport functions that hands their reports to one bar and to the user."""
    hook = progress.hook
    if hook is None:
        return None

    def report(info: ProgressInfo) -> bool:
        return hook(info.stage, info.iteration, info.error)

    return report
