"""Wavelet coefficients of rows as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from lapwing import _validate
from lapwing.multiscale import wavedecn, waverecn

__all__ = ["WaveletTransformer"]


class WaveletTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Wavelet coefficients of rows that are signals or flattened images.

    Parameters
    ----------
    wavelet : str or Wavelet, default="db2"
        See `lapwing.multiscale.wavelist`.
    mode : str, default="periodization"
        See `lapwing.multiscale.dwt`. With "periodization" and even lengths there are as many coefficients as
        features, and the transform is orthogonal if the wavelet is.
    level : int or None, default=None
        None: `lapwing.multiscale.dwt_max_level` of the shortest axis.
    shape : sequence of int or None, default=None
        Of the image that a row is, in C order. None: a row is a signal.
    axes : sequence of int or None, default=None
        Axes of `shape` that are transformed; None: all. ``shape=(3, 32, 32), axes=(1, 2)`` leaves colours
        alone.
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Attributes
    ----------
    level_ : int
        Levels.
    shape_ : tuple of int
        Of a row.
    band_names_ : list of str
        Bands in the order of the output: a letter for each axis ("a" low, "d" high) and the level.
    band_shapes_ : list of tuple of int
        Their shapes.
    n_features_in_ : int
        Features of `X`.
    feature_names_in_ : array of str
        Names of the columns, where `X` has names that are all strings.

    References
    ----------
    Stéphane Mallat, "A Theory for Multiresolution Signal Decomposition", 1989.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from lapwing import WaveletTransformer
    >>> X = load_digits().data
    >>> model = WaveletTransformer("haar", level=2, shape=(8, 8))
    >>> coefficients = model.fit_transform(X)
    >>> coefficients.shape, model.get_feature_names_out()[[0, 4, 63]].tolist()
    ((1797, 64), ['aa2_0_0', 'ad2_0_0', 'dd1_3_3'])
    >>> bool(abs(model.inverse_transform(coefficients) - X).max() < 1e-12)
    True
    """

    def __init__(
        self,
        wavelet: Any = "db2",
        mode: str = "periodization",
        level: int | None = None,
        shape: Sequence[int] | None = None,
        *,
        axes: Sequence[int] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.wavelet = wavelet
        self.mode = mode
        self.level = level
        self.shape = shape
        self.axes = axes
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> WaveletTransformer:
        """Check the settings against the number of features.

        Parameters
        ----------
        X : array of shape (n, n_features)
            Rows.
        y : ignored

        Returns
        -------
        WaveletTransformer
            The estimator itself.

        Raises
        ------
        ValueError
            `shape` has not as many entries as a row, an axis or the wavelet is not there.
        """
        X = _validate.check_samples(self, X, dtype=[np.float64, np.float32])
        self._set_shape(X.shape[1])
        coeffs = self._coefficients(X[:1])
        self.level_ = len(coeffs) - 1
        first = coeffs[0]
        letters = len(self._axes())
        self.band_names_ = ["a" * letters + str(self.level_)] if self.level_ else ["x"]
        self.band_shapes_ = [first.shape[1:]]
        for number, bands in zip(range(self.level_, 0, -1), coeffs[1:], strict=True):
            for key in sorted(bands):
                self.band_names_.append(key + str(number))
                self.band_shapes_.append(bands[key].shape[1:])
        return self

    def _set_shape(self, n: int) -> None:
        shape = (n,) if self.shape is None else tuple(self.shape)
        for size in shape:
            _validate.check_integer(size, "shape", 1)
        if int(np.prod(shape, dtype=np.int64)) != n:
            raise ValueError(f"shape {shape} has {int(np.prod(shape))} entries, and X has {n} features")
        self.shape_ = shape

    def _axes(self) -> tuple[int, ...]:
        """Among those of rows in their shape."""
        ndim = len(self.shape_)
        given = range(ndim) if self.axes is None else self.axes
        for axis in given:
            if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
                raise TypeError(f"axes must be integers, got {axis!r}")
            if not -ndim <= axis < ndim:
                raise ValueError(f"axis {axis} is not there: a row has {ndim}")
        return tuple(1 + int(axis) % ndim for axis in given)

    def _coefficients(self, X: NDArray[Any]) -> list[Any]:
        return wavedecn(
            X.reshape(-1, *self.shape_), self.wavelet, self.mode, self.level, self._axes(), n_jobs=self.n_jobs
        )

    def transform(self, X: Any) -> NDArray[Any]:
        """Coefficients of each row, band after band, the coarsest first.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        array of shape (n, n_coefficients)
            float32 if `X` is, otherwise float64.
        """
        check_is_fitted(self)
        X = _validate.check_samples(self, X, reset=False, dtype=[np.float64, np.float32])
        coeffs = self._coefficients(X)
        bands = [coeffs[0], *(level[key] for level in coeffs[1:] for key in sorted(level))]
        return np.concatenate([band.reshape(len(X), -1) for band in bands], axis=1)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Rows from their coefficients.

        Parameters
        ----------
        X : array of shape (n, n_coefficients)
            As from `transform`.

        Returns
        -------
        array of shape (n, n_features)

        Raises
        ------
        ValueError
            `X` has not as many columns as there are coefficients.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32])
        sizes = [int(np.prod(shape)) for shape in self.band_shapes_]
        if X.shape[1] != sum(sizes):
            raise ValueError(f"X has {X.shape[1]} columns, and there are {sum(sizes)} coefficients")
        parts = np.split(X, np.cumsum(sizes)[:-1], axis=1)
        bands = [p.reshape(len(X), *shape) for p, shape in zip(parts, self.band_shapes_, strict=True)]
        keys = [name.rstrip("0123456789") for name in self.band_names_]
        count = (len(bands) - 1) // self.level_ if self.level_ else 0
        coeffs: list[Any] = [bands[0]]
        for number in range(self.level_):
            at = 1 + number * count
            coeffs.append(dict(zip(keys[at : at + count], bands[at : at + count], strict=True)))
        whole = waverecn(
            coeffs, self.wavelet, self.mode, self._axes(), shape=(len(X), *self.shape_), n_jobs=self.n_jobs
        )
        return whole.reshape(len(X), -1)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name of each coefficient: its band and its place there.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        array of str of shape (n_coefficients,)
        """
        check_is_fitted(self)
        names = []
        for band, shape in zip(self.band_names_, self.band_shapes_, strict=True):
            places = (np.unravel_index(i, shape) for i in range(int(np.prod(shape))))
            names += ["_".join([band, *(str(int(i)) for i in place)]) for place in places]
        return np.asarray(names, dtype=object)
