"""Coefficients of several levels in one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate
from lapwing.multiscale._dwt import as_array, band_keys, check_axes, level_shapes, two_bands
from lapwing.multiscale._levels import level_count
from lapwing.multiscale._wavelet import for_axes

__all__ = ["pack", "ravel_coeffs", "unpack", "unravel_coeffs", "wavedecn_shapes", "wavedecn_size"]

Array = NDArray[Any]
_FORMATS = ("wavedec", "wavedec2", "wavedecn", "swt", "swt2", "swtn")


def _by_key(coeffs: Sequence[Any]) -> list[Any]:
    """The coefficients as from `wavedecn`, whichever of the three functions they are from; none missing."""
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least an approximation")
    if coeffs[0] is None:
        raise ValueError("coeffs[0], the approximation, must not be None")
    out: list[Any] = [as_array(coeffs[0], "coeffs[0]")]
    for number, level in enumerate(coeffs[1:], 1):
        name = f"coeffs[{number}]"
        if isinstance(level, dict):
            bands = level
        elif isinstance(level, (tuple, list)) and len(level) == 3:
            bands = two_bands(None, level, name)
            del bands["aa"]
        else:
            bands = {"d": level}
        missing = [key for key, band in bands.items() if band is None]
        if missing or not bands:
            raise ValueError(f"{name} lacks a band; put zeros in its place")
        out.append({key: as_array(band, f"{name}[{key!r}]") for key, band in bands.items()})
    return out


def _formatted(coeffs: list[Any], output_format: str) -> list[Any]:
    if output_format in ("wavedecn", "swtn"):
        return coeffs
    if output_format in ("wavedec", "swt"):
        return [coeffs[0], *(bands["d"] for bands in coeffs[1:])]
    return [coeffs[0], *((bands["da"], bands["ad"], bands["dd"]) for bands in coeffs[1:])]


def _axes_of(coeffs: list[Any], axes: Any) -> tuple[int, ...]:
    ndim = coeffs[0].ndim
    where = check_axes(axes, ndim)
    for number, bands in enumerate(coeffs[1:], 1):
        for key, band in bands.items():
            if len(key) != len(where) or set(key) - {"a", "d"}:
                raise ValueError(
                    f"coeffs[{number}] has the key {key!r}; keys are {len(where)} letters 'a' or 'd'"
                )
            if band.ndim != ndim:
                raise ValueError(f"coeffs[{number}][{key!r}] has {band.ndim} axes, and coeffs[0] has {ndim}")
    return where


def pack(
    coeffs: Sequence[Any], padding: float | None = 0, axes: Sequence[int] | None = None
) -> tuple[Array, list[Any]]:
    """All coefficients side by side in one array, the approximation in its first corner.

    PyWavelets calls it ``coeffs_to_array``.

    Parameters
    ----------
    coeffs : list
        From `wavedec`, `wavedec2` or `wavedecn`.
    padding : float or None, default=0
        What stands where no coefficient does. None: there must be no such place, as with "periodization" and
        lengths that halve evenly.
    axes : sequence of int or None, default=None
        The axes that were transformed; None: all.

    Returns
    -------
    array
    slices : list
        Where the approximation is, and for each level a dictionary of where its bands are.

    Raises
    ------
    ValueError
        A band is missing or does not fit, or there are gaps and `padding` is None.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import pack, unpack, wavedec2
    >>> x = np.arange(64.0).reshape(8, 8)
    >>> packed, slices = pack(wavedec2(x, "haar", "periodization", level=2))
    >>> packed.shape, slices[2]["da"]
    ((8, 8), (slice(4, 8, None), slice(0, 4, None)))
    """
    given = _by_key(coeffs)
    where = _axes_of(given, axes)
    low = given[0]
    now = list(low.shape)
    slices: list[Any] = [tuple(slice(n) for n in now)]
    count = low.size
    for number, bands in enumerate(given[1:], 1):
        places = {}
        ahead = list(now)
        for key, band in bands.items():
            place = []
            for axis, n in enumerate(band.shape):
                letter = key[where.index(axis)] if axis in where else "a"
                start = now[axis] if letter == "d" else 0
                if axis not in where and n != now[axis]:
                    raise ValueError(
                        f"coeffs[{number}][{key!r}] has {n} entries along axis {axis}, and {now[axis]} are "
                        "needed"
                    )
                place.append(slice(start, start + n))
                ahead[axis] = max(ahead[axis], start + n)
            places[key] = tuple(place)
            count += band.size
        now = ahead
        slices.append(places)
    full = count == math.prod(now)
    if padding is None and not full:
        raise ValueError("the bands leave gaps; padding must say what to put there")
    dtype = np.result_type(*(b for bands in given[1:] for b in bands.values()), low)
    out = np.empty(now, dtype) if full else np.full(now, padding, dtype)
    out[slices[0]] = low
    for bands, places in zip(given[1:], slices[1:], strict=True):
        for key, band in bands.items():
            out[places[key]] = band
    return out, slices


def unpack(arr: Any, coeff_slices: Sequence[Any], output_format: str = "wavedecn") -> list[Any]:
    """Undo `pack`. PyWavelets calls it ``array_to_coeffs``.

    Parameters
    ----------
    arr : array
    coeff_slices : list
        As from `pack`.
    output_format : {"wavedec", "wavedec2", "wavedecn", "swt", "swt2", "swtn"}, default="wavedecn"
        The function whose coefficients these are; of the stationary ones with ``trim_approx=True``.

    Returns
    -------
    list
        Views of `arr`.

    Raises
    ------
    ValueError
        `coeff_slices` is empty or `output_format` is something else.

    Examples
    --------
    >>> from lapwing.multiscale import pack, unpack, wavedec, waverec
    >>> packed, slices = pack(wavedec([1.0, 5.0, 2.0, 8.0], "haar"))
    >>> waverec(unpack(packed, slices, "wavedec"), "haar").round(6).tolist()
    [1.0, 5.0, 2.0, 8.0]
    """
    _validate.check_choice(output_format, "output_format", _FORMATS)
    if len(coeff_slices) < 1:
        raise ValueError("coeff_slices must hold at least the place of an approximation")
    packed = np.asarray(arr)
    coeffs: list[Any] = [packed[coeff_slices[0]]]
    coeffs.extend({key: packed[place] for key, place in level.items()} for level in coeff_slices[1:])
    return _formatted(coeffs, output_format)


def ravel_coeffs(
    coeffs: Sequence[Any], axes: Sequence[int] | None = None
) -> tuple[Array, list[Any], list[Any]]:
    """All coefficients one after the other.

    Parameters
    ----------
    coeffs, axes
        As for `pack`.

    Returns
    -------
    array of shape (size,)
    slices, shapes : list
        Where each band is, and its shape.

    Raises
    ------
    ValueError
        A band is missing, or is not of the axes.

    Examples
    --------
    >>> from lapwing.multiscale import ravel_coeffs, wavedec
    >>> ravel_coeffs(wavedec([1.0, 5.0, 2.0, 8.0], "haar"))[2]
    [(1,), {'d': (1,)}, {'d': (2,)}]
    """
    given = _by_key(coeffs)
    _axes_of(given, axes)
    parts = [given[0].ravel()]
    end = parts[0].size
    slices: list[Any] = [slice(end)]
    shapes: list[Any] = [given[0].shape]
    for bands in given[1:]:
        slices.append({})
        shapes.append({})
        for key, band in bands.items():
            slices[-1][key], shapes[-1][key] = slice(end, end + band.size), band.shape
            end += band.size
            parts.append(band.ravel())
    return np.concatenate(parts), slices, shapes


def unravel_coeffs(
    arr: Any, coeff_slices: Sequence[Any], coeff_shapes: Sequence[Any], output_format: str = "wavedecn"
) -> list[Any]:
    """Undo `ravel_coeffs`.

    Parameters
    ----------
    arr : array of shape (size,)
    coeff_slices, coeff_shapes : list
        As from `ravel_coeffs`.
    output_format : {"wavedec", "wavedec2", "wavedecn", "swt", "swt2", "swtn"}, default="wavedecn"
        The function whose coefficients these are; of the stationary ones with ``trim_approx=True``.

    Returns
    -------
    list
        Views of `arr`.

    Raises
    ------
    ValueError
        `coeff_slices` and `coeff_shapes` do not go together, or `output_format` is something else.

    Examples
    --------
    >>> from lapwing.multiscale import ravel_coeffs, unravel_coeffs, wavedec
    >>> flat = ravel_coeffs(wavedec([1.0, 5.0, 2.0, 8.0], "haar"))
    >>> len(unravel_coeffs(*flat, "wavedec"))
    3
    """
    _validate.check_choice(output_format, "output_format", _FORMATS)
    if len(coeff_slices) != len(coeff_shapes) or len(coeff_slices) < 1:
        raise ValueError(
            "coeff_slices and coeff_shapes must be of the same levels, got "
            f"{len(coeff_slices)} and {len(coeff_shapes)}"
        )
    flat = np.asarray(arr)
    coeffs: list[Any] = [flat[coeff_slices[0]].reshape(coeff_shapes[0])]
    for places, sizes in zip(coeff_slices[1:], coeff_shapes[1:], strict=True):
        coeffs.append({key: flat[place].reshape(sizes[key]) for key, place in places.items()})
    return _formatted(coeffs, output_format)


def wavedecn_shapes(
    shape: Sequence[int], wavelet: Any, mode: Any = "symmetric", level: int | None = None,
    axes: Sequence[int] | None = None,
) -> list[Any]:  # fmt: skip
    """The shapes of what `wavedecn` gives for an array of a shape.

    Parameters
    ----------
    shape : sequence of int
    wavelet, mode, level, axes
        As for `wavedecn`.

    Returns
    -------
    list
        The shape of the approximation, then for each level a dictionary of shapes.

    Raises
    ------
    ValueError, TypeError
        As for `wavedecn`.

    Warns
    -----
    UserWarning
        As for `wavedecn`.

    Examples
    --------
    >>> from lapwing.multiscale import wavedecn_shapes
    >>> wavedecn_shapes((20, 12), "db2", level=1)[0]
    (11, 7)
    """
    sizes = tuple(_validate.check_integer(n, "shape", 1) for n in shape)
    where = check_axes(axes, len(sizes))
    wavelets, modes = for_axes(wavelet, mode, len(where))
    count = level_count(sizes, where, wavelets, modes, level)
    found = level_shapes(sizes, where, wavelets, modes, count)
    keys = band_keys(len(where))[1:]
    return [found[-1] if found else sizes, *(dict.fromkeys(keys, s) for s in found[::-1])]


def wavedecn_size(shapes: Sequence[Any]) -> int:
    """How many coefficients there are.

    Parameters
    ----------
    shapes : list
        From `wavedecn_shapes`, or coefficients as from `wavedec`, `wavedec2` or `wavedecn`.

    Returns
    -------
    int

    Examples
    --------
    >>> from lapwing.multiscale import wavedecn_shapes, wavedecn_size
    >>> wavedecn_size(wavedecn_shapes((16, 16), "haar", "periodization"))
    256
    """

    def size(entry: Any) -> int:
        if entry is None:
            return 0
        if isinstance(entry, dict):
            return sum(size(value) for value in entry.values())
        if isinstance(entry, np.ndarray):
            return int(entry.size)
        if all(isinstance(n, (int, np.integer)) for n in entry):
            return math.prod(int(n) for n in entry)
        return sum(size(value) for value in entry)

    return sum(size(entry) for entry in shapes)
