"""The fully separable transform: all levels along one axis, then all along the next."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise, product
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _caller
from lapwing.multiscale._dwt import as_array, check_axes
from lapwing.multiscale._levels import wavedec, waverec
from lapwing.multiscale._wavelet import Wavelet, for_axes

__all__ = ["FswavedecnResult", "fswavedecn", "fswaverecn"]

Array = NDArray[Any]


class FswavedecnResult:
    """What `fswavedecn` gives: bands, by their level along each axis, in one array.

    ``result[levels]`` is the band of these levels, one along each axis: 0 for the approximation, 1 for the
    coarsest details, and so on. Bands are views, and can be assigned to.

    Parameters
    ----------
    coeffs : array
        All bands.
    coeff_slices : list of list of slice
        Where the bands of each level are along each axis that was transformed.
    wavelets : list of Wavelet
    modes : list of str
    axes : sequence of int
        The axes that were transformed.

    Attributes
    ----------
    coeffs : array
        It can be replaced by one of the same shape.
    coeff_slices, wavelets, modes, axes
        As given.
    levels : list of int
        Levels along each axis.
    ndim, ndim_transform : int
        Axes, and those that were transformed.
    wavelet_names : list of str
    approx : array
        The band that is low along all axes.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import fswavedecn
    >>> result = fswavedecn(np.ones((8, 16)), "haar", levels=(1, 2))
    >>> result.levels, result[1, 2].shape, result.approx.shape
    ([1, 2], (4, 8), (4, 4))
    """

    def __init__(
        self, coeffs: Array, coeff_slices: Sequence[Sequence[slice]], wavelets: Sequence[Wavelet],
        modes: Sequence[str], axes: Sequence[int],
    ) -> None:  # fmt: skip
        self._coeffs = coeffs
        self.coeff_slices = [list(s) for s in coeff_slices]
        self.wavelets, self.modes, self.axes = list(wavelets), list(modes), tuple(axes)

    @property
    def coeffs(self) -> Array:
        """All bands."""
        return self._coeffs

    @coeffs.setter
    def coeffs(self, value: Array) -> None:
        if value.shape != self._coeffs.shape:
            raise ValueError(f"coeffs must have shape {self._coeffs.shape}, got {value.shape}")
        self._coeffs = value

    @property
    def levels(self) -> list[int]:
        """Levels along each axis."""
        return [len(s) - 1 for s in self.coeff_slices]

    @property
    def ndim(self) -> int:
        """Axes."""
        return self._coeffs.ndim

    @property
    def ndim_transform(self) -> int:
        """Axes that were transformed."""
        return len(self.axes)

    @property
    def wavelet_names(self) -> list[str]:
        """Names of the wavelets."""
        return [w.name for w in self.wavelets]

    @property
    def approx(self) -> Array:
        """The band that is low along all axes."""
        return self[(0,) * len(self.axes)]

    @approx.setter
    def approx(self, value: Array) -> None:
        self[(0,) * len(self.axes)] = value

    def _place(self, levels: Any) -> tuple[slice, ...]:
        numbers = tuple(levels) if isinstance(levels, (tuple, list)) else (levels,)
        if len(numbers) != len(self.axes):
            raise ValueError(f"levels must be {len(self.axes)}, one for each axis, got {levels!r}")
        place = [slice(None)] * self.ndim
        for number, most, axis, slices in zip(
            numbers, self.levels, self.axes, self.coeff_slices, strict=True
        ):
            if not isinstance(number, Integral) or not 0 <= int(number) <= most:
                raise ValueError(
                    f"the level along axis {axis} must be an integer in 0..{most}, got {number!r}"
                )
            place[axis] = slices[int(number)]
        return tuple(place)

    def __getitem__(self, levels: Any) -> Array:
        """The band of these levels."""
        band: Array = self._coeffs[self._place(levels)]
        return band

    def __setitem__(self, levels: Any, value: Array) -> None:
        """Replace the band of these levels."""
        band = self[levels]
        if band.shape != np.shape(value):
            raise ValueError(f"the band has shape {band.shape}, got {np.shape(value)}")
        if np.asarray(value).dtype != band.dtype:
            warnings.warn(
                f"the band has dtype {band.dtype}: {np.asarray(value).dtype} is converted",
                UserWarning,
                stacklevel=_caller.level(),
            )
        band[...] = value

    def detail_keys(self) -> list[tuple[int, ...]]:
        """Levels of all bands but the approximation."""
        return [k for k in product(*(range(n + 1) for n in self.levels)) if any(k)]


def fswavedecn(
    data: Any, wavelet: Any, mode: Any = "symmetric", levels: Any = None, axes: Sequence[int] | None = None,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> FswavedecnResult:  # fmt: skip
    """The fully separable transform: all levels along one axis, then along the next.

    Parameters
    ----------
    data, wavelet, mode, axes, check_finite, n_jobs
        As for `wavedecn`.
    levels : int, sequence of int or None, default=None
        Along each axis. None: `dwt_max_level` of each.

    Returns
    -------
    FswavedecnResult

    Raises
    ------
    ValueError, TypeError
        As for `wavedecn`; there are more or fewer levels than axes.

    Warns
    -----
    UserWarning
        As for `wavedecn`.

    References
    ----------
    Vladan Velisavljevic, Baltasar Beferull-Lozano, Martin Vetterli, Pier Luigi Dragotti, "Directionlets:
    Anisotropic Multidirectional Representation With Separable Filtering", 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import fswavedecn, fswaverecn
    >>> x = np.random.default_rng(0).random((8, 32))
    >>> bool(np.allclose(fswaverecn(fswavedecn(x, "db2", "periodization")), x))
    True
    """
    coeffs = as_array(data, "data", check_finite)
    where = check_axes(axes, coeffs.ndim)
    wavelets, modes = for_axes(wavelet, mode, len(where))
    counts = [levels] * len(where) if levels is None or np.ndim(levels) == 0 else list(levels)
    if len(counts) != len(where):
        raise ValueError(f"levels must be one or {len(where)} of them, one for each axis, got {len(counts)}")
    slices = []
    for axis, count, one, how in zip(where, counts, wavelets, modes, strict=True):
        bands = wavedec(coeffs, one, how, count, axis, n_jobs=n_jobs)
        ends = np.cumsum([0, *(band.shape[axis] for band in bands)]).tolist()
        slices.append([slice(a, b) for a, b in pairwise(ends)])
        coeffs = np.concatenate(bands, axis=axis)
    return FswavedecnResult(coeffs, slices, wavelets, modes, where)


def fswaverecn(fswavedecn_result: FswavedecnResult, *, n_jobs: int | None = None) -> Array:
    """Undo `fswavedecn`.

    Parameters
    ----------
    fswavedecn_result : FswavedecnResult
    n_jobs : int or None
        As for `dwt`.

    Returns
    -------
    array
        An axis of odd length comes back one longer.

    Raises
    ------
    TypeError
        It is something else.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import fswavedecn, fswaverecn
    >>> result = fswavedecn(np.ones((8, 16)), "haar", levels=(1, 2))
    >>> result[1, 2][...] = 0.0
    >>> fswaverecn(result).shape
    (8, 16)
    """
    if not isinstance(fswavedecn_result, FswavedecnResult):
        raise TypeError(
            f"fswavedecn_result must come from fswavedecn, got {type(fswavedecn_result).__name__}"
        )
    given = fswavedecn_result
    whole = given.coeffs
    for axis, one, how, slices in zip(
        given.axes[::-1], given.wavelets[::-1], given.modes[::-1], given.coeff_slices[::-1], strict=True
    ):
        bands = [whole[(slice(None),) * axis + (s,)] for s in slices]
        whole = waverec(bands, one, how, axis, n_jobs=n_jobs)
    return whole
