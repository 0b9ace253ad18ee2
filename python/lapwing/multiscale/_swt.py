"""The stationary (undecimated) transform: every band has as many entries as the data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _threads, _validate
from lapwing.multiscale._dwt import (
    _as,
    _real,
    as_array,
    as_bands,
    check_axes,
    check_bands,
    check_two,
    two_bands,
)
from lapwing.multiscale._wavelet import Wavelet, for_axes

__all__ = ["iswt", "iswt2", "iswtn", "swt", "swt2", "swt_max_level", "swtn"]

Array = NDArray[Any]


def swt_max_level(input_len: int) -> int:
    """How many levels of a stationary transform a length allows: it must be a multiple of ``2**level``.

    Parameters
    ----------
    input_len : int
        Samples.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        `input_len` is less than 1.

    Warns
    -----
    UserWarning
        `input_len` is odd: there is no level.

    Examples
    --------
    >>> from lapwing.multiscale import swt_max_level
    >>> swt_max_level(48)
    4
    """
    level = _most(_validate.check_integer(input_len, "input_len", 1))
    if level == 0:
        warnings.warn(
            f"input_len {input_len} is odd: it has no level", UserWarning, stacklevel=_caller.level()
        )
    return level


def _most(n: int) -> int:
    return (n & -n).bit_length() - 1


def check_levels(
    shape: Sequence[int] | dict[int, int], axes: Sequence[int], level: Any, start_level: Any
) -> tuple[int, int]:
    """How many levels there will be, and from which on."""
    start = _validate.check_integer(start_level, "start_level", 0)
    most = min((_most(shape[axis]) for axis in axes), default=0)
    if level is None:
        count = max(most - start, 1)  # none at all is an error below
    else:
        count = _validate.check_integer(level, "level", 0)
    multiple = 2 ** (start + count)
    for axis in axes:
        n = shape[axis]
        if count and n % multiple:
            deep = f"{count} levels" + (f" from level {start} on" if start else "")
            raise ValueError(
                f"the length along axis {axis} must be a multiple of {multiple} for {deep}, got {n}; "
                f"the next one is {-(-n // multiple) * multiple}"
            )
    return count, start


def scaled(norm: Any, wavelets: Sequence[Wavelet]) -> bool:
    """Whether filters are divided by the square root of 2."""
    if norm and not all(w.orthogonal for w in wavelets):
        warnings.warn(
            "norm=True keeps the energy only where the wavelet is orthogonal",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return bool(norm)


def _split(
    x: Array, axes: Sequence[int], wavelets: Sequence[Wavelet], step: int, scale: float, threads: int
) -> dict[str, Array]:
    core = _backend.extension()
    bands = {"": _real(x)}
    for axis, wavelet in zip(axes, wavelets, strict=True):
        split = {}
        for key, band in bands.items():
            low, high = np.empty(band.shape, band.dtype), np.empty(band.shape, band.dtype)
            core.swt(band, axis, wavelet.filter_bank, step, scale, low, high, threads, None)
            split[key + "a"], split[key + "d"] = low, high
        bands = split
    return {key: _as(band, x.dtype) for key, band in bands.items()}


def _join(
    bands: dict[str, Array],
    axes: Sequence[int],
    wavelets: Sequence[Wavelet],
    step: int,
    scale: float,
    threads: int,
) -> Array:
    core = _backend.extension()
    dtype = np.result_type(*bands.values())
    level: dict[str, Array | None] = {
        key: _real(band.astype(dtype, copy=False)) for key, band in bands.items()
    }
    for place in range(len(axes) - 1, -1, -1):
        joined: dict[str, Array | None] = {}
        for letters in product("ad", repeat=place):
            key = "".join(letters)
            low, high = level.get(key + "a"), level.get(key + "d")
            given = low if low is not None else high
            joined[key] = None
            if given is None:
                continue
            y = np.empty(given.shape, given.dtype)
            core.iswt(
                np.zeros_like(given) if low is None else low,
                np.zeros_like(given) if high is None else high,
                axes[place],
                wavelets[place].filter_bank,
                step,
                scale,
                y,
                threads,
                None,
            )
            joined[key] = y
        level = joined
    whole = level[""]
    assert whole is not None
    return _as(whole, dtype)


def _reversed(wavelet: Wavelet, synthesis: bool) -> Wavelet:
    """The bank whose synthesis filters are the analysis filters of a wavelet backwards, or the other way."""
    if synthesis:
        lo, hi = wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]
    else:
        lo, hi = wavelet.rec_lo[::-1], wavelet.rec_hi[::-1]
    return Wavelet("reversed", (lo, hi, lo, hi))


def swtn_adjoint(
    coeffs: Sequence[Any], wavelets: Sequence[Wavelet], axes: Sequence[int], start: int, trimmed: bool,
    scale: float, threads: int,
) -> Array:  # fmt: skip
    """The transpose of `swtn` with these settings; no band is missing."""
    low = "a" * len(axes)
    back = [_reversed(w, True) for w in wavelets]
    levels = coeffs[1:] if trimmed else coeffs
    x = coeffs[0] if trimmed else None
    for number, given in zip(range(start + len(levels) - 1, start - 1, -1), levels, strict=True):
        bands = dict(given)
        if x is not None:
            bands[low] = x if low not in bands else bands[low] + x
        x = _join(bands, axes, back, 2**number, 2 * scale, threads)
    assert x is not None
    whole: Array = x
    return whole


def iswtn_adjoint(
    y: Array, wavelets: Sequence[Wavelet], axes: Sequence[int], count: int, trimmed: bool, scale: float,
    threads: int,
) -> list[Any]:  # fmt: skip
    """The transpose of `iswtn`: coefficients as from `swtn`, with zeros where approximations do not count."""
    low = "a" * len(axes)
    back = [_reversed(w, False) for w in wavelets]
    out: list[Any] = []
    for number in range(count):
        bands = _split(y, axes, back, 2**number, scale / 2, threads)
        y = bands.pop(low)
        out.append(bands)
    if trimmed:
        return [y, *out[::-1]]
    for number, bands in enumerate(out):
        bands[low] = y if number == count - 1 else np.zeros_like(y)
    return out[::-1]


def swtn(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0,
    axes: Sequence[int] | None = None, trim_approx: bool = False, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Stationary transform along several axes, periodic: every band has the shape of the data.

    Parameters
    ----------
    data : array
        As for `dwt`; the lengths along `axes` must be multiples of ``2**(start_level + level)``.
    wavelet : as for `dwt`, or a sequence of them
        One for all axes, or one for each.
    level : int or None, default=None
        None: as many as the lengths allow.
    start_level : int, default=0
        Levels that were made before: taps are ``2**start_level`` samples apart in the first one.
    axes : sequence of int or None, default=None
        None: all. The others are a batch.
    trim_approx : bool, default=False
        Keep the approximation of the last level only.
    norm : bool, default=False
        Divide filters by the square root of 2: with an orthogonal wavelet and `trim_approx` the coefficients
        have the energy of the data.
    check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    list
        A dictionary of bands for each level, the coarsest first; see `dwtn` for the keys. With `trim_approx`
        as from `wavedecn`.

    Raises
    ------
    ValueError
        A length is not such a multiple (the message names the axis, its length and the next valid one), or an
        argument of `dwt` is wrong.
    TypeError
        `data` holds no numbers.

    Warns
    -----
    UserWarning
        `norm` with a wavelet that is not orthogonal.

    References
    ----------
    Guy P. Nason, Bernard W. Silverman, "The Stationary Wavelet Transform and some Statistical Applications",
    1995.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import swtn
    >>> coeffs = swtn(np.ones((8, 4)), "haar", level=2, trim_approx=True)
    >>> coeffs[0].shape, sorted(coeffs[1])
    ((8, 4), ['ad', 'da', 'dd'])
    """
    x = as_array(data, "data", check_finite)
    where = check_axes(axes, x.ndim)
    wavelets, _ = for_axes(wavelet, "periodization", len(where))
    count, start = check_levels(x.shape, where, level, start_level)
    scale = 2**-0.5 if scaled(norm, wavelets) else 1.0
    return swtn_levels(x, wavelets, where, start, count, trim_approx, scale, _threads.resolve(n_jobs))


def swtn_levels(
    x: Array, wavelets: Sequence[Wavelet], axes: Sequence[int], start: int, count: int, trimmed: bool,
    scale: float, threads: int,
) -> list[Any]:  # fmt: skip
    """`swtn`, its arguments checked."""
    low = "a" * len(axes)
    out: list[Any] = []
    for number in range(start, start + count):
        bands = _split(x, axes, wavelets, 2**number, scale, threads)
        x = bands.pop(low) if trimmed else bands[low]
        out.append(bands)
    if trimmed:
        out.append(x if count else x.copy())
    return out[::-1]


def iswtn(
    coeffs: Sequence[Any], wavelet: Any, axes: Sequence[int] | None = None, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `swtn`: the mean of what all shifts reconstruct.

    Parameters
    ----------
    coeffs : list
        As from `swtn`, with `trim_approx` or without. Bands that are None or missing are zeros.
    wavelet, axes, norm, check_finite, n_jobs
        As for `swtn`.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        There is no level, a key is wrong, shapes differ, or lengths are no multiples of ``2**level``.
    TypeError
        A band holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import iswtn, swtn
    >>> x = np.random.default_rng(0).random((8, 16))
    >>> bool(np.allclose(iswtn(swtn(x, "db2", level=2), "db2"), x))
    True
    """
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least one level")
    trimmed = not isinstance(coeffs[0], dict)
    levels = coeffs[1:] if trimmed else coeffs
    given = [
        as_bands({} if c is None else c, f"coeffs[{i}]", check_finite)
        for i, c in enumerate(levels, int(trimmed))
    ]
    x = None if not trimmed or coeffs[0] is None else as_array(coeffs[0], "coeffs[0]", check_finite)
    first = x if x is not None else next((b for bands in given for b in bands.values()), None)
    if first is None:
        raise ValueError("all of coeffs is None: there is nothing to tell the shape")
    where = check_axes(axes, first.ndim)
    wavelets, _ = for_axes(wavelet, "periodization", len(where))
    check_levels(first.shape, where, len(levels), 0)
    low = "a" * len(where)
    for number, bands in enumerate(given):
        name = f"coeffs[{number + int(trimmed)}]"
        check_bands(bands, len(where), name)
        if bands and (shape := next(iter(bands.values())).shape) != first.shape:
            raise ValueError(f"{name} has bands of shape {shape}, and {first.shape} is needed")
        if x is not None or number > 0 or trimmed:  # the approximation of a finer level is not looked at
            bands.pop(low, None)
    scale = 2**0.5 if norm else 1.0
    levels = [x, *given] if trimmed else given
    whole = iswtn_levels(levels, wavelets, where, trimmed, scale, _threads.resolve(n_jobs))
    return whole.copy() if whole is first else whole


def iswtn_levels(
    coeffs: Sequence[Any], wavelets: Sequence[Wavelet], axes: Sequence[int], trimmed: bool, scale: float,
    threads: int,
) -> Array:  # fmt: skip
    """`iswtn`, its arguments checked; an approximation that is None is zeros."""
    low = "a" * len(axes)
    x = coeffs[0] if trimmed else None
    levels = coeffs[1:] if trimmed else coeffs
    for number, given in enumerate(levels):
        bands = dict(given)
        if x is not None:
            bands[low] = x
        if bands:
            x = _join(bands, axes, wavelets, 2 ** (len(levels) - 1 - number), scale, threads)
    assert x is not None
    whole: Array = x
    return whole


def swt(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0, axis: int = -1,
    trim_approx: bool = False, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Stationary transform along one axis.

    Parameters
    ----------
    data, wavelet, level, start_level, trim_approx, norm, check_finite, n_jobs
        As for `swtn`.
    axis : int, default=-1

    Returns
    -------
    list
        ``[(cA_L, cD_L), ..., (cA_1, cD_1)]``, the coarsest first; with `trim_approx`
        ``[cA_L, cD_L, ..., cD_1]``.

    Raises
    ------
    ValueError, TypeError
        As for `swtn`.

    Warns
    -----
    UserWarning
        As for `swtn`.

    Examples
    --------
    >>> from lapwing.multiscale import swt
    >>> [(low, high)] = swt([1.0, 3.0, 2.0, 2.0], "haar", level=1)
    >>> (low / 2**0.5).round(6).tolist()
    [2.0, 2.5, 2.0, 1.5]
    """
    coeffs = swtn(
        data,
        wavelet,
        level,
        start_level,
        (axis,),
        trim_approx,
        norm,
        check_finite=check_finite,
        n_jobs=n_jobs,
    )
    return in_pairs(coeffs, trim_approx)


def in_pairs(coeffs: list[Any], trimmed: bool) -> list[Any]:
    """What `swt` gives, from what `swtn` does."""
    if trimmed:
        return [coeffs[0], *(bands["d"] for bands in coeffs[1:])]
    return [(bands["a"], bands["d"]) for bands in coeffs]


def iswt(
    coeffs: Sequence[Any],
    wavelet: Any,
    norm: bool = False,
    axis: int = -1,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Array:
    """Undo `swt`.

    Parameters
    ----------
    coeffs : list
        As from `swt`, with `trim_approx` or without.
    wavelet, norm, axis, check_finite, n_jobs
        As for `swt`.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `iswtn`.

    Examples
    --------
    >>> from lapwing.multiscale import iswt, swt
    >>> iswt(swt([1.0, 3.0, 2.0, 2.0], "db2", level=2), "db2").round(6).tolist()
    [1.0, 3.0, 2.0, 2.0]
    """
    return iswtn(from_pairs(coeffs), wavelet, (axis,), norm, check_finite=check_finite, n_jobs=n_jobs)


def from_pairs(coeffs: Sequence[Any]) -> list[Any]:
    """Undo `in_pairs`."""
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least one level")
    if not isinstance(coeffs[0], (tuple, list)):
        return [coeffs[0], *({"d": c} for c in coeffs[1:])]
    levels: list[Any] = []
    for number, pair in enumerate(coeffs):
        if len(pair) != 2:
            raise ValueError(f"coeffs[{number}] must be (cA, cD), got {len(pair)} entries")
        levels.append({"a": pair[0], "d": pair[1]})
    return levels


def swt2(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0, axes: Sequence[int] = (-2, -1),
    trim_approx: bool = False, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Stationary transform along two axes.

    Parameters
    ----------
    data, wavelet, level, start_level, trim_approx, norm, check_finite, n_jobs
        As for `swtn`.
    axes : two int, default=(-2, -1)

    Returns
    -------
    list
        ``[(cA_L, (cH_L, cV_L, cD_L)), ..., (cA_1, (cH_1, cV_1, cD_1))]``; with `trim_approx` as from
        `wavedec2`.

    Raises
    ------
    ValueError, TypeError
        As for `swtn`; or there are not two axes.

    Warns
    -----
    UserWarning
        As for `swtn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import swt2
    >>> [(cA, (cH, cV, cD))] = swt2(np.ones((4, 4)), "haar", level=1)
    >>> cA.round(6).tolist()[0], float(abs(cD).max().round(12))
    ([2.0, 2.0, 2.0, 2.0], 0.0)
    """
    check_two(axes)
    coeffs = swtn(
        data, wavelet, level, start_level, axes, trim_approx, norm, check_finite=check_finite, n_jobs=n_jobs
    )
    return in_fours(coeffs, trim_approx)


def in_fours(coeffs: list[Any], trimmed: bool) -> list[Any]:
    """What `swt2` gives, from what `swtn` does."""
    details = [(b["da"], b["ad"], b["dd"]) for b in coeffs[int(trimmed) :]]
    if trimmed:
        return [coeffs[0], *details]
    return [(b["aa"], d) for b, d in zip(coeffs, details, strict=True)]


def iswt2(
    coeffs: Sequence[Any], wavelet: Any, norm: bool = False, axes: Sequence[int] = (-2, -1),
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `swt2`.

    Parameters
    ----------
    coeffs : list
        As from `swt2`, with `trim_approx` or without; bands that are None are zeros.
    wavelet, norm, axes, check_finite, n_jobs
        As for `swt2`.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `iswtn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import iswt2, swt2
    >>> x = np.arange(64.0).reshape(8, 8)
    >>> bool(np.allclose(iswt2(swt2(x, "db2", 1, norm=True), "db2", norm=True), x))
    True
    """
    check_two(axes)
    return iswtn(from_fours(coeffs), wavelet, axes, norm, check_finite=check_finite, n_jobs=n_jobs)


def from_fours(coeffs: Sequence[Any]) -> list[Any]:
    """Undo `in_fours`."""
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least one level")
    if not isinstance(coeffs[0], (tuple, list)):
        return [coeffs[0], *(two_bands(None, d, f"coeffs[{i}]") for i, d in enumerate(coeffs[1:], 1))]
    levels: list[Any] = []
    for number, level in enumerate(coeffs):
        if len(level) != 2:
            raise ValueError(f"coeffs[{number}] must be (cA, (cH, cV, cD)), got {len(level)} entries")
        levels.append(two_bands(level[0], level[1], f"coeffs[{number}][1]"))
    return levels
