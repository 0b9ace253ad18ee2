"""One level of analysis and synthesis, along one axis or several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.multiscale._wavelet import Wavelet, as_mode, as_wavelet, for_axes

__all__ = ["as_array", "check_axes", "check_length", "dwt", "dwt2", "dwtn", "idwt", "idwt2", "idwtn"]

Array = NDArray[Any]


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether numbers have 16 bits: arithmetic is in float32, with one rounding at the end of a level."""
    return dtype == np.float16 or dtype.name == "bfloat16"


def as_array(x: Any, name: str, check_finite: bool = False) -> Array:
    """`x` as an array of floating point or complex numbers; integers become float64.

    Raises
    ------
    TypeError
        `x` holds no numbers.
    ValueError
        `x` has no dimension, or an axis without entries; or an entry that is not finite, if `check_finite`.
    ImportError
        `x` lives on a GPU.
    """
    if hasattr(x, "__cuda_array_interface__"):
        _backend.extension("cuda", name)
    array = np.asarray(x)
    half = is_half(array.dtype)
    if array.dtype.kind == "b":
        raise TypeError(f"{name} is boolean; pass {name}.astype(np.uint8)")
    if array.dtype.kind not in "fciu" and not half:
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got a single number")
    if array.size == 0:
        empty = array.shape.index(0)
        raise ValueError(f"{name} is empty along axis {empty}: its shape is {array.shape}")
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if check_finite:
        _validate.check_finite(array, name)
    if half:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    kept = {"f": np.float32, "F": np.complex64}.get(
        array.dtype.newbyteorder("=").char, np.complex128 if array.dtype.kind == "c" else np.float64
    )
    return array.astype(kept, copy=False)


def check_axes(axes: Any, ndim: int, *, distinct: bool = True) -> tuple[int, ...]:
    """Axes as numbers from 0 on.

    Raises
    ------
    ValueError
        An axis is not there, or comes twice.
    """
    out = []
    given = (axes,) if isinstance(axes, (int, np.integer)) else axes
    for axis in range(ndim) if given is None else given:
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(f"axes must be integers, got {axis!r}")
        if not -ndim <= axis < ndim:
            raise ValueError(f"axis {axis} is not there: the array has {ndim}")
        out.append(int(axis) % ndim)
    if distinct and len(set(out)) < len(out):
        raise ValueError(f"axes must differ from each other, got {tuple(out)}")
    return tuple(out)


def _real(x: Array) -> Array:
    """What the core works on: float32 for 16 bits, and complex numbers as pairs along a last axis."""
    if x.dtype.char in "fd":
        return x
    if x.dtype.kind == "c":
        return x[..., None].view(x.real.dtype)
    return x.astype(np.float32) if is_half(x.dtype) else x


def _as(x: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "c":
        return x.view(dtype)[..., 0]
    return x.astype(dtype, copy=False)


def check_length(n: int, mode: str, axis: int) -> None:
    """Raise ``ValueError`` if a signal is too short to be mirrored."""
    if n == 1 and mode in ("reflect", "antireflect"):
        raise ValueError(f"mode {mode!r} needs at least two samples, and axis {axis} has one")


def synthesis_length(m: int, wavelet: Wavelet, mode: str, axis: int) -> int:
    """Samples that `m` coefficients in each band along an axis come to."""
    count: int = _backend.extension().idwt_length(m, wavelet.rec_len, mode)
    if count < 1:
        raise ValueError(
            f"{m} coefficients along axis {axis} are too few for filters of {wavelet.rec_len} "
            f"in mode {mode!r}"
        )
    return count


def _analyse(x: Array, axis: int, wavelet: Wavelet, mode: str, threads: int) -> tuple[Array, Array]:
    core = _backend.extension()
    n = x.shape[axis]
    check_length(n, mode, axis)
    real = _real(x)
    shape = list(real.shape)
    shape[axis] = core.dwt_length(n, wavelet.dec_len, mode)
    low, high = np.empty(shape, real.dtype), np.empty(shape, real.dtype)
    core.dwt(real, axis, wavelet.filter_bank, mode, low, high, threads, None)
    return _as(low, x.dtype), _as(high, x.dtype)


def _synthesise(
    low: Array | None, high: Array | None, axis: int, wavelet: Wavelet, mode: str, threads: int
) -> Array:
    given = low if low is not None else high
    assert given is not None
    if low is None or high is None:
        zeros = np.zeros_like(given)
        low, high = (zeros if low is None else low), (zeros if high is None else high)
    dtype = np.result_type(low, high)
    a, d = _real(low.astype(dtype, copy=False)), _real(high.astype(dtype, copy=False))
    shape = list(a.shape)
    shape[axis] = synthesis_length(low.shape[axis], wavelet, mode, axis)
    y = np.empty(shape, a.dtype)
    _backend.extension().idwt(a, d, axis, wavelet.filter_bank, mode, y, threads, None)
    return _as(y, dtype)


def dwt(
    data: Any,
    wavelet: Any,
    mode: str = "symmetric",
    axis: int = -1,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> tuple[Array, Array]:
    """One level of a discrete wavelet transform along one axis.

    Parameters
    ----------
    data : array
        Real or complex; of any shape and strides. float16, float32, float64, complex64 and complex128 are
        kept, and bfloat16 (of the package ml_dtypes), with arithmetic in float32 for 16 bits; integers become
        float64.
    wavelet : str or Wavelet
        See `wavelist`.
    mode : str, default="symmetric"
        How the signal goes on beyond its ends: one of `MODES`, or PyWavelets' short name for it. With
        "periodization" each band has half as many entries as `data`, rounded up; otherwise, for n samples
        and filters of length F, ``(n + F - 1) // 2``.
    axis : int, default=-1
    check_finite : bool, default=False
        Raise where an entry is NaN or infinite. Otherwise such entries spread to the coefficients that see
        them, and to no others.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    cA, cD : array
        Approximation and detail.

    Raises
    ------
    ValueError
        The wavelet, the mode or the axis is not there, or `data` is empty or too short for the mode, or not
        finite with `check_finite`.
    TypeError
        `data` holds no numbers.
    ImportError
        `data` lives on a GPU.

    References
    ----------
    Stéphane Mallat, "A Theory for Multiresolution Signal Decomposition", 1989.

    Examples
    --------
    >>> from lapwing.multiscale import dwt
    >>> low, high = dwt([1.0, 3.0, 2.0, 2.0], "haar")
    >>> (low / 2**0.5).round(6).tolist(), (high / 2**0.5).round(6).tolist()
    ([2.0, 2.0], [-1.0, 0.0])
    """
    x = as_array(data, "data", check_finite)
    (where,) = check_axes((axis,), x.ndim)
    return _analyse(x, where, as_wavelet(wavelet), as_mode(mode), _threads.resolve(n_jobs))


def idwt(
    cA: Any,
    cD: Any,
    wavelet: Any,
    mode: str = "symmetric",
    axis: int = -1,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Array:
    """Undo `dwt`.

    Parameters
    ----------
    cA, cD : array or None
        Approximation and detail, of one shape; None: zeros.
    wavelet, mode, axis, check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    array
        For filters of length F and m coefficients ``2 m - F + 2`` samples, with "periodization" ``2 m``: one
        more than there were if their number was odd.

    Raises
    ------
    ValueError
        Both are None, or their shapes differ, or an argument of `dwt` is wrong.
    TypeError
        They hold no numbers.

    Examples
    --------
    >>> from lapwing.multiscale import dwt, idwt
    >>> idwt(*dwt([1.0, 3.0, 2.0, 2.0], "db2"), "db2").round(6).tolist()
    [1.0, 3.0, 2.0, 2.0]
    """
    if cA is None and cD is None:
        raise ValueError("one of cA and cD must be given")
    low = None if cA is None else as_array(cA, "cA", check_finite)
    high = None if cD is None else as_array(cD, "cD", check_finite)
    if low is not None and high is not None and low.shape != high.shape:
        raise ValueError(f"cA and cD must have one shape, got {low.shape} and {high.shape}")
    given = low if low is not None else high
    assert given is not None
    (where,) = check_axes((axis,), given.ndim)
    return _synthesise(low, high, where, as_wavelet(wavelet), as_mode(mode), _threads.resolve(n_jobs))


def dwtn(
    data: Any, wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] | None = None,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> dict[str, Array]:  # fmt: skip
    """One level of a separable transform along several axes.

    Parameters
    ----------
    data : array
        As for `dwt`.
    wavelet, mode : as for `dwt`, or a sequence of them
        One for all axes, or one for each.
    axes : sequence of int or None, default=None
        None: all. The others are a batch. An axis that comes twice is transformed twice.
    check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    dict
        Bands by a letter for each axis, in the order of `axes`: "a" for low, "d" for high.

    Raises
    ------
    ValueError, TypeError
        As for `dwt`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import dwtn
    >>> sorted(dwtn(np.ones((4, 6)), "haar"))
    ['aa', 'ad', 'da', 'dd']
    """
    x = as_array(data, "data", check_finite)
    where = check_axes(axes, x.ndim, distinct=False)
    wavelets, modes = for_axes(wavelet, mode, len(where))
    return analyse(x, where, wavelets, modes, _threads.resolve(n_jobs))


def band_keys(count: int) -> list[str]:
    """Keys of the bands of so many axes, in order; the approximation stands first."""
    return ["".join(letters) for letters in product("ad", repeat=count)]


def at_once(axes: Sequence[int]) -> bool:
    """Whether the core takes both axes, and all levels, at once; an axis may come twice."""
    return len(axes) == 2 and axes[0] != axes[1]


def analyse(
    x: Array, axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str], threads: int
) -> dict[str, Array]:
    """`dwtn`, its arguments checked."""
    if at_once(axes):
        low, levels = analyse_levels(x, axes, wavelets, modes, 1, threads)
        return {"aa": low, **levels[0]}
    bands = {"": x}
    for axis, wavelet, mode in zip(axes, wavelets, modes, strict=True):
        split = {}
        for key, band in bands.items():
            split[key + "a"], split[key + "d"] = _analyse(band, axis, wavelet, mode, threads)
        bands = split
    return bands


_DETAILS = ("da", "ad", "dd")  # of two axes, in the order of the core


def analyse_levels(
    x: Array,
    axes: Sequence[int],
    wavelets: Sequence[Wavelet],
    modes: Sequence[str],
    count: int,
    threads: int,
    out: tuple[Array, list[dict[str, Array]]] | None = None,
) -> tuple[Array, list[dict[str, Array]]]:
    """The approximation after `count` levels along `axes`, and the details of each level, the finest first.

    They are put into `out` if that is given.
    """
    if at_once(axes) and not is_half(x.dtype):
        if out is None:
            out = _empty_levels(x, axes, wavelets, modes, count)
        low, levels = out
        details = [[_real(bands[key]) for key in _DETAILS] for bands in levels]
        settings = [w.filter_bank for w in wavelets], list(modes)
        _backend.extension().wavedec2(_real(x), axes, *settings, details, _real(low), threads, None)
        return out
    levels = []
    for _ in range(count):
        if at_once(axes):
            halves = analyse_levels(x.astype(np.float32), axes, wavelets, modes, 1, threads)
            bands = {"aa": halves[0], **halves[1][0]}
            bands = {key: band.astype(x.dtype) for key, band in bands.items()}
        else:
            bands = analyse(x, axes, wavelets, modes, threads)
        x = bands.pop("a" * len(axes))
        levels.append(bands)
    if out is None:
        return x, levels
    out[0][...] = x
    for bands, places in zip(levels, out[1], strict=True):
        for key, place in places.items():
            place[...] = bands[key]
    return out


def _empty_levels(
    x: Array, axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str], count: int
) -> tuple[Array, list[dict[str, Array]]]:
    shapes = level_shapes(x.shape, axes, wavelets, modes, count)
    details = [{key: np.empty(shape, x.dtype) for key in _DETAILS} for shape in shapes]
    return np.empty(shapes[-1], x.dtype), details


def level_shapes(
    shape: Sequence[int], axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str], count: int
) -> list[tuple[int, ...]]:
    """Shapes of the bands of each level, the finest first."""
    core = _backend.extension()
    shapes = []
    now = list(shape)
    for _ in range(count):
        for axis, wavelet, mode in zip(axes, wavelets, modes, strict=True):
            check_length(now[axis], mode, axis)
            now[axis] = core.dwt_length(now[axis], wavelet.dec_len, mode)
        shapes.append(tuple(now))
    return shapes


def idwtn(
    coeffs: dict[str, Any], wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] | None = None,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `dwtn`.

    Parameters
    ----------
    coeffs : dict
        Bands by key, as from `dwtn`; bands that are None or missing are zeros.
    wavelet, mode, axes, check_finite, n_jobs
        As for `dwtn`.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        There is no band, a key is wrong, or the shapes of bands differ.
    TypeError
        A band holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import dwtn, idwtn
    >>> x = np.arange(24.0).reshape(4, 6)
    >>> bool(np.allclose(idwtn(dwtn(x, "db2"), "db2"), x))
    True
    """
    bands = as_bands(coeffs, "coeffs", check_finite)
    if not bands:
        raise ValueError("coeffs has no band")
    where = check_axes(axes, next(iter(bands.values())).ndim, distinct=False)
    check_bands(bands, len(where), "coeffs")
    wavelets, modes = for_axes(wavelet, mode, len(where))
    return synthesise(bands, where, wavelets, modes, _threads.resolve(n_jobs))


def as_bands(coeffs: dict[str, Any], name: str, check_finite: bool = False) -> dict[str, Array]:
    """The bands that are given, as arrays."""
    if not isinstance(coeffs, dict):
        raise ValueError(
            f"Unexpected detail coefficient type {type(coeffs).__name__} at {name}; it must be a dictionary"
        )
    given = {key: band for key, band in coeffs.items() if band is not None}
    return {key: as_array(band, f"{name}[{key!r}]", check_finite) for key, band in given.items()}


def check_bands(bands: dict[str, Any], count: int, name: str) -> None:
    """Raise ``ValueError`` unless keys are letters for so many axes, and the bands have one shape."""
    for key, band in bands.items():
        if len(key) != count or set(key) - {"a", "d"}:
            raise ValueError(f"{name} has the key {key!r}; keys are {count} letters 'a' or 'd'")
        first = next(iter(bands.values()))
        if band.shape != first.shape:
            raise ValueError(f"{name}[{key!r}] has shape {band.shape}, and another band {first.shape}")


def synthesise(
    bands: dict[str, Array],
    axes: Sequence[int],
    wavelets: Sequence[Wavelet],
    modes: Sequence[str],
    threads: int,
) -> Array:
    """`idwtn`, its arguments checked."""
    level: dict[str, Array | None] = dict(bands)
    if at_once(axes):
        low = level.pop("aa", None)
        size = next(iter(bands.values())).shape
        shape = synthesis_shape(size, axes, wavelets, modes)
        return synthesise_levels(low, [level], [size], axes, wavelets, modes, shape, threads)
    for place in range(len(axes) - 1, -1, -1):  # backwards, because an axis may come twice
        joined: dict[str, Array | None] = {}
        for letters in product("ad", repeat=place):
            key = "".join(letters)
            a, d = level.get(key + "a"), level.get(key + "d")
            joined[key] = (
                None
                if a is None and d is None
                else _synthesise(a, d, axes[place], wavelets[place], modes[place], threads)
            )
        level = joined
    whole = level[""]
    assert whole is not None
    return whole


def synthesis_shape(
    size: Sequence[int], axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str]
) -> tuple[int, ...]:
    """Shape of what bands of one shape come to."""
    out = list(size)
    for axis, wavelet, mode in zip(axes, wavelets, modes, strict=True):
        out[axis] = synthesis_length(out[axis], wavelet, mode, axis)
    return tuple(out)


def synthesise_levels(
    low: Array | None,
    levels: Sequence[dict[str, Any]],
    sizes: Sequence[Sequence[int]],
    axes: Sequence[int],
    wavelets: Sequence[Wavelet],
    modes: Sequence[str],
    shape: Sequence[int],
    threads: int,
    out: Array | None = None,
) -> Array:
    """Undo `analyse_levels` along two axes; the finest level stands first, and a band that is None is zeros.

    What a level comes to may be one longer along the axes than the bands of the next one, or than `shape`.
    It is put into `out` if that is given.
    """
    given = [band for level in levels for band in level.values() if band is not None]
    dtype = np.result_type(*given, *([] if low is None else [low]))
    if is_half(dtype):
        for number in range(len(levels) - 1, -1, -1):
            size = sizes[number - 1] if number else shape
            level = {k: None if b is None else b.astype(np.float32) for k, b in levels[number].items()}
            wide = None if low is None else low.astype(np.float32)
            last = synthesise_levels(
                wide, [level], sizes[number : number + 1], axes, wavelets, modes, size, threads
            )
            low = last.astype(dtype)
        assert low is not None
        if out is None:
            return low
        out[...] = low
        return out

    def band(array: Array | None, size: Sequence[int]) -> Array:
        return _real(np.zeros(size, dtype) if array is None else array.astype(dtype, copy=False))

    details = [
        [band(level.get(key), size) for key in _DETAILS] for level, size in zip(levels, sizes, strict=True)
    ]
    y = np.empty(shape, dtype) if out is None else out
    settings = [w.filter_bank for w in wavelets], list(modes)
    _backend.extension().waverec2(band(low, sizes[-1]), details, axes, *settings, _real(y), threads, None)
    return y


def dwt2(
    data: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Sequence[int] = (-2, -1),
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> tuple[Array, tuple[Array, Array, Array]]:
    """One level of a separable transform along two axes.

    Parameters
    ----------
    data : array of at least two axes
        As for `dwt`.
    wavelet, mode : as for `dwt`, or two of them
    axes : two int, default=(-2, -1)
    check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    cA : array
    (cH, cV, cD) : tuple of array
        High along the first of the axes, along the second, along both.

    Raises
    ------
    ValueError, TypeError
        As for `dwt`; or there are not two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import dwt2
    >>> cA, (cH, cV, cD) = dwt2(np.ones((4, 4)), "haar")
    >>> cA.round(6).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    check_two(axes)
    bands = dwtn(data, wavelet, mode, axes, check_finite=check_finite, n_jobs=n_jobs)
    return bands["aa"], (bands["da"], bands["ad"], bands["dd"])


def idwt2(
    coeffs: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Sequence[int] = (-2, -1),
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Array:
    """Undo `dwt2`.

    Parameters
    ----------
    coeffs : tuple
        ``(cA, (cH, cV, cD))``; a band that is None is zeros.
    wavelet, mode, axes, check_finite, n_jobs
        As for `dwt2`.

    Returns
    -------
    array

    Raises
    ------
    ValueError, TypeError
        As for `idwtn`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import dwt2, idwt2
    >>> x = np.arange(16.0).reshape(4, 4)
    >>> bool(np.allclose(idwt2(dwt2(x, "db3"), "db3"), x))
    True
    """
    check_two(axes)
    if len(coeffs) != 2:
        raise ValueError(f"coeffs must be (cA, (cH, cV, cD)), got {len(coeffs)} entries")
    low, details = coeffs
    return idwtn(
        two_bands(low, details, "coeffs[1]"), wavelet, mode, axes, check_finite=check_finite, n_jobs=n_jobs
    )


def check_two(axes: Sequence[int]) -> None:
    """Raise ``ValueError`` if there are not two axes."""
    if len(axes) != 2:
        raise ValueError(f"axes must be two, got {len(axes)}")


def two_bands(low: Any, details: Any, name: str) -> dict[str, Any]:
    """Bands by key from PyWavelets' tuples."""
    if details is None:
        details = (None, None, None)
    if not isinstance(details, (tuple, list)):
        raise ValueError(
            f"Unexpected detail coefficient type {type(details).__name__} at {name}; it must hold three bands"
        )
    if len(details) != 3:
        raise ValueError(f"{name} must hold three bands, got {len(details)}")
    return {"aa": low, "da": details[0], "ad": details[1], "dd": details[2]}
