"""Several levels: the approximation is split again and again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lapwing import _caller, _threads, _validate
from lapwing.multiscale import _dask
from lapwing.multiscale._dwt import (
    analyse_levels,
    as_array,
    as_bands,
    at_once,
    check_axes,
    check_bands,
    check_two,
    level_shapes,
    synthesis_shape,
    synthesise,
    synthesise_levels,
    two_bands,
)
from lapwing.multiscale._wavelet import Wavelet, dwt_max_level, for_axes

__all__ = ["wavedec", "wavedec2", "wavedecn", "waverec", "waverec2", "waverecn"]

Array = NDArray[Any]


def level_count(
    shape: Sequence[int], axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str], level: Any
) -> int:
    """How many levels there will be."""
    most = min(dwt_max_level(shape[axis], w) for axis, w in zip(axes, wavelets, strict=True)) if axes else 0
    if level is None:
        return most
    count = _validate.check_integer(level, "level", 0)
    if count > most and any(mode != "periodization" for mode in modes):
        warnings.warn(
            f"level {count} is more than {most}: all coefficients of the last ones see the boundary",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return count


def wavedecn(
    data: Any, wavelet: Any, mode: Any = "symmetric", level: int | None = None,
    axes: Sequence[int] | None = None,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Several levels of a separable transform along several axes.

    Parameters
    ----------
    data : array
        As for `dwt`. An array of Dask gives arrays of Dask (for `wavedec` and `wavedec2` as well), with the
        same numbers: blocks are transformed one by one, each with as many samples of its neighbours as the
        filters reach. Blocks along `axes` should be long, and multiples of ``2**level``; others are joined.
    wavelet, mode : as for `dwt`, or a sequence of them
        One for all axes, or one for each.
    level : int or None, default=None
        None: `dwt_max_level` of the shortest axis. 0: `data` itself.
    axes : sequence of int or None, default=None
        None: all. The others are a batch.
    check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    list
        The approximation of the last level, then the details of each as a dictionary, the coarsest first; see
        `dwtn` for the keys.

    Raises
    ------
    ValueError, TypeError
        As for `dwt`; `level` is negative.

    Warns
    -----
    UserWarning
        `level` is more than `dwt_max_level`, but for "periodization".

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import wavedecn
    >>> coeffs = wavedecn(np.ones((16, 16)), "haar", level=2)
    >>> coeffs[0].shape, sorted(coeffs[1]), coeffs[2]["ad"].shape
    ((4, 4), ['ad', 'da', 'dd'], (8, 8))
    """
    lazy = _dask.is_lazy(data)
    if lazy and check_finite:
        raise ValueError("check_finite would compute data, which is an array of Dask; check its blocks")
    x = data if lazy else as_array(data, "data", check_finite)
    where = check_axes(axes, x.ndim)
    wavelets, modes = for_axes(wavelet, mode, len(where))
    count = level_count(x.shape, where, wavelets, modes, level)
    threads = _threads.resolve(n_jobs)
    if lazy:
        return _dask.wavedecn(x, where, wavelets, modes, count, threads or 1)
    if count == 0:
        return [x.copy()]
    low, levels = analyse_levels(x, where, wavelets, modes, count, threads)
    return [low, *levels[::-1]]


def waverecn(
    coeffs: Sequence[Any], wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] | None = None,
    *, shape: Sequence[int] | None = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `wavedecn`.

    Parameters
    ----------
    coeffs : list
        As from `wavedecn`. Bands that are None or missing are zeros; of arrays of Dask each level must have
        one.
    wavelet, mode, axes, check_finite, n_jobs
        As for `wavedecn`.
    shape : sequence of int or None, default=None
        Of the array to give back. An axis of odd length comes back one longer without it.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `idwtn`; the message names the level. Or `shape` is not what comes out, but for one sample more
        along transformed axes.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import wavedecn, waverecn
    >>> x = np.random.default_rng(0).random((9, 11))
    >>> back = waverecn(wavedecn(x, "db2", level=1), "db2", shape=x.shape)
    >>> back.shape, bool(np.allclose(back, x))
    ((9, 11), True)
    """
    _check_list(coeffs)
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least an approximation")
    threads = _threads.resolve(n_jobs)
    if _dask.is_lazy(coeffs[0]):
        where = check_axes(axes, coeffs[0].ndim)
        wavelets, modes = for_axes(wavelet, mode, len(where))
        lazy: Array = _dask.waverecn(coeffs, where, wavelets, modes, shape, threads or 1)
        return lazy
    x = None if coeffs[0] is None else as_array(coeffs[0], "coeffs[0]", check_finite)
    levels = [
        as_bands({} if given is None else given, f"coeffs[{number}]", check_finite)
        for number, given in enumerate(coeffs[1:], 1)
    ]
    shapes = [next((band.shape for band in bands.values()), None) for bands in levels]
    known = [s for s in (None if x is None else x.shape, *shapes) if s is not None]
    if not known:
        raise ValueError("all of coeffs is None: there is nothing to tell the shape")
    where = check_axes(axes, len(known[0]))
    wavelets, modes = for_axes(wavelet, mode, len(where))
    # What comes before levels without any band or approximation is 0.
    skipped = 0
    while x is None and not levels[skipped]:
        skipped += 1
    levels = levels[skipped:]
    # A level without a band has the size that the next one would come from.
    finer = None if shape is None else tuple(shape)
    for number in range(len(shapes) - 1, skipped - 1, -1):
        if shapes[number] is None and finer is not None:
            shapes[number] = level_shapes(finer, where, wavelets, modes, 1)[0]
        finer = shapes[number]
    now = None if x is None else x.shape
    sizes: list[tuple[int, ...]] = []
    for number, bands in enumerate(levels, 1 + skipped):
        size = shapes[number - 1] or now
        assert size is not None
        if "a" * len(where) in bands:
            raise ValueError(
                f"coeffs[{number}] has the key {'a' * len(where)!r}, which is for the approximation"
            )
        check_bands(bands, len(where), f"coeffs[{number}]")
        if now is not None:
            _check_cut(now, size, where, f"the approximation at coeffs[{number}]")
        now = synthesis_shape(size, where, wavelets, modes)
        sizes.append(size)
    assert now is not None
    final = now if shape is None else tuple(shape)
    _check_cut(now, final, where, "the result")
    if not levels:
        assert x is not None
        whole: Array = x[_within(final)].copy()
        return whole
    x = None if x is None else x[_within(sizes[0])]
    if at_once(where):
        return synthesise_levels(x, levels[::-1], sizes[::-1], where, wavelets, modes, final, threads)
    for bands, size in zip(levels, [*sizes[1:], final], strict=True):
        if x is not None:
            bands["a" * len(where)] = x
        x = synthesise(bands, where, wavelets, modes, threads)[_within(size)]
    assert x is not None
    return x


def _check_cut(have: Sequence[int], wanted: Sequence[int], axes: Sequence[int], what: str) -> None:
    """Raise ``ValueError`` unless cutting a sample along transformed axes makes `have` what is `wanted`."""
    if len(wanted) != len(have) or any(
        n != m and not (axis in axes and n == m + 1)
        for axis, (n, m) in enumerate(zip(have, wanted, strict=True))
    ):
        raise ValueError(f"{what} has shape {tuple(have)}, and {tuple(wanted)} is needed")


def _within(shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(n) for n in shape)


def _check_list(coeffs: Any) -> None:
    if not isinstance(coeffs, (list, tuple)):
        raise ValueError(f"coeffs must be a list, got {type(coeffs).__name__}")


def wavedec(
    data: Any, wavelet: Any, mode: str = "symmetric", level: int | None = None, axis: int = -1,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Array]:  # fmt: skip
    """Several levels of a discrete wavelet transform along one axis.

    Parameters
    ----------
    data, wavelet, mode, axis, check_finite, n_jobs
        As for `dwt`.
    level : int or None, default=None
        None: `dwt_max_level`. 0: `data` itself.

    Returns
    -------
    list of array
        ``[cA_L, cD_L, ..., cD_1]``: the approximation of the last level, then the details, the
        coarsest first.

    Raises
    ------
    ValueError, TypeError
        As for `dwt`; `level` is negative.

    Warns
    -----
    UserWarning
        `level` is more than `dwt_max_level`, but for "periodization".

    Examples
    --------
    >>> from lapwing.multiscale import wavedec
    >>> [len(c) for c in wavedec(range(64), "db2", "periodization")]
    [4, 4, 8, 16, 32]
    """
    coeffs = wavedecn(data, wavelet, mode, level, (axis,), check_finite=check_finite, n_jobs=n_jobs)
    return [coeffs[0], *(bands["d"] for bands in coeffs[1:])]


def waverec(
    coeffs: Sequence[Any], wavelet: Any, mode: str = "symmetric", axis: int = -1,
    *, shape: Sequence[int] | None = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `wavedec`.

    Parameters
    ----------
    coeffs : list of array
        As from `wavedec`; None: zeros.
    wavelet, mode, axis, check_finite, n_jobs
        As for `dwt`.
    shape : sequence of int or None, default=None
        As for `waverecn`.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `waverecn`.

    Examples
    --------
    >>> from lapwing.multiscale import wavedec, waverec
    >>> waverec(wavedec([1.0, 5.0, 2.0, 8.0], "haar"), "haar").round(6).tolist()
    [1.0, 5.0, 2.0, 8.0]
    """
    _check_list(coeffs)
    for number, band in enumerate(coeffs[1:], 1):
        if isinstance(band, dict):
            raise ValueError(
                f"Unexpected detail coefficient type dict at coeffs[{number}]; it must be an array"
            )
    details = [None if c is None else {"d": c} for c in coeffs[1:]]
    return waverecn(
        [*coeffs[:1], *details], wavelet, mode, (axis,), shape=shape, check_finite=check_finite, n_jobs=n_jobs
    )


def wavedec2(
    data: Any, wavelet: Any, mode: Any = "symmetric", level: int | None = None,
    axes: Sequence[int] = (-2, -1),
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Several levels of a separable transform along two axes.

    Parameters
    ----------
    data, wavelet, mode, level, check_finite, n_jobs
        As for `wavedecn`.
    axes : two int, default=(-2, -1)

    Returns
    -------
    list
        ``[cA_L, (cH_L, cV_L, cD_L), ..., (cH_1, cV_1, cD_1)]``; see `dwt2`.

    Raises
    ------
    ValueError, TypeError
        As for `wavedecn`; or there are not two axes.

    Warns
    -----
    UserWarning
        As for `wavedecn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import wavedec2
    >>> coeffs = wavedec2(np.ones((8, 8)), "haar", level=2)
    >>> coeffs[0].round(6).tolist(), len(coeffs[1])
    ([[4.0, 4.0], [4.0, 4.0]], 3)
    """
    check_two(axes)
    coeffs = wavedecn(data, wavelet, mode, level, axes, check_finite=check_finite, n_jobs=n_jobs)
    return [coeffs[0], *((bands["da"], bands["ad"], bands["dd"]) for bands in coeffs[1:])]


def waverec2(
    coeffs: Sequence[Any], wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] = (-2, -1),
    *, shape: Sequence[int] | None = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `wavedec2`.

    Parameters
    ----------
    coeffs : list
        As from `wavedec2`; bands that are None are zeros.
    wavelet, mode, axes, check_finite, n_jobs
        As for `wavedec2`.
    shape : sequence of int or None, default=None
        As for `waverecn`.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `waverecn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import wavedec2, waverec2
    >>> x = np.arange(64.0).reshape(8, 8)
    >>> bool(np.allclose(waverec2(wavedec2(x, "bior4.4"), "bior4.4"), x))
    True
    """
    check_two(axes)
    _check_list(coeffs)
    levels = []
    for number, details in enumerate(coeffs[1:], 1):
        bands = two_bands(None, details, f"coeffs[{number}]")
        del bands["aa"]
        levels.append(bands)
    return waverecn(
        [*coeffs[:1], *levels], wavelet, mode, axes, shape=shape, check_finite=check_finite, n_jobs=n_jobs
    )
