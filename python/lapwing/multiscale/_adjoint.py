"""Transposes of the transforms: what gradients are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.multiscale._dwt import _as, _real, as_array, as_bands, band_keys, check_axes, check_bands
from lapwing.multiscale._wavelet import Wavelet, as_mode, as_wavelet, for_axes

__all__ = ["dwt_adjoint", "idwt_adjoint", "wavedecn_adjoint", "waverecn_adjoint"]

Array = NDArray[Any]


def samples(m: int, wavelet: Wavelet, mode: str) -> int:
    """How many samples m coefficients give back."""
    return 2 * m if mode == "periodization" else 2 * m - wavelet.rec_len + 2


def gather(low: Array, high: Array, n: int, axis: int, wavelet: Wavelet, mode: str, threads: int) -> Array:
    """The transpose of one level of analysis of n samples."""
    dtype = np.result_type(low, high)
    a, d = _real(low.astype(dtype, copy=False)), _real(high.astype(dtype, copy=False))
    shape = list(a.shape)
    shape[axis] = n
    x = np.empty(shape, a.dtype)
    _backend.extension().dwt_adjoint(a, d, axis, wavelet.filter_bank, mode, x, threads, None)
    return _as(x, dtype)


def scatter(y: Array, axis: int, wavelet: Wavelet, mode: str, threads: int) -> tuple[Array, Array]:
    """The transpose of one level of synthesis."""
    real = _real(y)
    shape = list(real.shape)
    n = shape[axis]
    shape[axis] = n // 2 if mode == "periodization" else (n + wavelet.rec_len - 2) // 2
    low, high = np.empty(shape, real.dtype), np.empty(shape, real.dtype)
    _backend.extension().idwt_adjoint(real, axis, wavelet.filter_bank, mode, low, high, threads, None)
    return _as(low, y.dtype), _as(high, y.dtype)


def dwt_adjoint(
    cA: Any, cD: Any, wavelet: Any, mode: str = "symmetric", axis: int = -1,
    *, n: int, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """The transpose of `dwt`, taken as a matrix.

    Parameters
    ----------
    cA, cD : array
        Of one shape; as many along `axis` as `dwt` makes of `n` samples.
    wavelet, mode, axis, n_jobs
        As for `dwt`.
    n : int
        Samples along `axis`.

    Returns
    -------
    array
        `x` with ``sum(x * y) == sum(cA * dwt(y)[0]) + sum(cD * dwt(y)[1])`` for every `y`.

    Raises
    ------
    ValueError
        Shapes differ or do not go with `n`, or an argument of `dwt` is wrong.
    TypeError
        They hold no numbers.

    Examples
    --------
    >>> from lapwing.multiscale import dwt_adjoint
    >>> dwt_adjoint([1.0, 0.0], [0.0, 0.0], "haar", n=4).round(4).tolist()
    [0.7071, 0.7071, 0.0, 0.0]
    """
    low, high = as_array(cA, "cA"), as_array(cD, "cD")
    if low.shape != high.shape:
        raise ValueError(f"cA and cD must have one shape, got {low.shape} and {high.shape}")
    (where,) = check_axes((axis,), low.ndim)
    bank, how = as_wavelet(wavelet), as_mode(mode)
    count = _validate.check_integer(n, "n", 1)
    if count == 1 and how in ("reflect", "antireflect"):
        raise ValueError(f"mode {how!r} needs at least two samples, and n is 1")
    made = _backend.extension().dwt_length(count, bank.dec_len, how)
    if low.shape[where] != made:
        raise ValueError(
            f"cA must have {made} entries along axis {where} for n = {count}, got {low.shape[where]}"
        )
    return gather(low, high, count, where, bank, how, _threads.resolve(n_jobs))


def idwt_adjoint(
    y: Any, wavelet: Any, mode: str = "symmetric", axis: int = -1, *, n_jobs: int | None = None
) -> tuple[Array, Array]:
    """The transpose of `idwt`, taken as a matrix.

    Parameters
    ----------
    y : array
        Of an even length along `axis`, as from `idwt`.
    wavelet, mode, axis, n_jobs
        As for `dwt`.

    Returns
    -------
    cA, cD : array
        With ``sum(cA * a) + sum(cD * d) == sum(y * idwt(a, d))`` for all `a` and `d`.

    Raises
    ------
    ValueError
        The length is odd, or an argument of `dwt` is wrong.
    TypeError
        `y` holds no numbers.

    Examples
    --------
    >>> from lapwing.multiscale import idwt_adjoint
    >>> idwt_adjoint([1.0, 0.0, 0.0, 0.0], "haar")[0].round(4).tolist()
    [0.7071, 0.0]
    """
    x = as_array(y, "y")
    (where,) = check_axes((axis,), x.ndim)
    if x.shape[where] % 2:
        raise ValueError(f"y must have an even length along axis {where}, got {x.shape[where]}")
    return scatter(x, where, as_wavelet(wavelet), as_mode(mode), _threads.resolve(n_jobs))


def wavedecn_adjoint(
    coeffs: Sequence[Any], wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] | None = None,
    *, shape: Sequence[int], n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """The transpose of `wavedecn`, taken as a matrix.

    Parameters
    ----------
    coeffs : list
        As from `wavedecn`; bands that are None or missing are zeros.
    wavelet, mode, axes, n_jobs
        As for `wavedecn`.
    shape : sequence of int
        Of the array that such coefficients are of.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        The shapes of bands do not go with `shape`, a key is wrong, or an argument of `dwt` is wrong.
    TypeError
        A band holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import wavedecn, wavedecn_adjoint
    >>> x, y = np.random.default_rng(0).random((2, 20))
    >>> coeffs = wavedecn(y, "db2", level=1)
    >>> back = wavedecn_adjoint(coeffs, "db2", shape=(20,))
    >>> other = wavedecn(x, "db2", level=1)
    >>> both = (coeffs[0] * other[0]).sum() + (coeffs[1]["d"] * other[1]["d"]).sum()
    >>> bool(np.isclose(both, (x * back).sum()))
    True
    """
    whole = tuple(_validate.check_integer(n, "shape", 1) for n in shape)
    where = check_axes(axes, len(whole))
    wavelets, modes = for_axes(wavelet, mode, len(where))
    threads = _threads.resolve(n_jobs)
    core = _backend.extension()
    sizes = [list(whole)]
    for _ in coeffs[1:]:
        now = list(sizes[-1])
        for axis, w, how in zip(where, wavelets, modes, strict=True):
            now[axis] = core.dwt_length(now[axis], w.dec_len, how)
        sizes.append(now)
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least an approximation")
    x = None if coeffs[0] is None else as_array(coeffs[0], "coeffs[0]")
    if x is not None and list(x.shape) != sizes[-1]:
        raise ValueError(f"coeffs[0] has shape {x.shape}, and {tuple(sizes[-1])} is needed")
    low = "a" * len(where)
    for number, given in enumerate(coeffs[1:], 1):
        bands: dict[str, Array | None] = dict(as_bands({} if given is None else given, f"coeffs[{number}]"))
        named = {k: b for k, b in bands.items() if b is not None}
        check_bands(named, len(where), f"coeffs[{number}]")
        wanted = sizes[len(coeffs) - number]
        for key, band in named.items():
            if list(band.shape) != wanted:
                raise ValueError(
                    f"coeffs[{number}][{key!r}] has shape {band.shape}, and {tuple(wanted)} is needed"
                )
        bands[low] = x
        for place in range(len(where) - 1, -1, -1):
            joined: dict[str, Array | None] = {}
            for letters in product("ad", repeat=place):
                key = "".join(letters)
                a, d = bands.get(key + "a"), bands.get(key + "d")
                one = a if a is not None else d
                joined[key] = None
                if one is not None:
                    a, d = (np.zeros_like(one) if b is None else b for b in (a, d))
                    n = sizes[len(coeffs) - number - 1][where[place]]
                    joined[key] = gather(a, d, n, where[place], wavelets[place], modes[place], threads)
            bands = joined
        x = bands[""]
    if x is None:
        return np.zeros(whole)
    return x.copy() if len(coeffs) == 1 else x


def waverecn_adjoint(
    y: Any, wavelet: Any, mode: Any = "symmetric", axes: Sequence[int] | None = None,
    *, shapes: Sequence[Sequence[int]], n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """The transpose of `waverecn`, taken as a matrix.

    Parameters
    ----------
    y : array
        Of the shape that `waverecn` gives back (with `shape` or without).
    wavelet, mode, axes, n_jobs
        As for `waverecn`.
    shapes : sequence of sequence of int
        The shape of the bands of each level, the coarsest first.

    Returns
    -------
    list
        As from `wavedecn`.

    Raises
    ------
    ValueError
        `shapes` do not go with `y`, or an argument of `dwt` is wrong.
    TypeError
        `y` holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import waverecn_adjoint
    >>> coeffs = waverecn_adjoint(np.ones((4, 4)), "haar", shapes=[(1, 1), (2, 2)])
    >>> coeffs[0].round(6).tolist()
    [[4.0]]
    """
    x = as_array(y, "y")
    where = check_axes(axes, x.ndim)
    wavelets, modes = for_axes(wavelet, mode, len(where))
    threads = _threads.resolve(n_jobs)
    low = "a" * len(where)
    out: list[Any] = []
    for number in range(len(shapes) - 1, -1, -1):
        wanted = tuple(shapes[number])
        full = list(wanted)
        for axis, w, how in zip(where, wavelets, modes, strict=True):
            full[axis] = samples(wanted[axis], w, how)
        fits = len(wanted) == x.ndim and all(
            0 <= f - n <= (1 if axis in where else 0)
            for axis, (f, n) in enumerate(zip(full, x.shape, strict=True))
        )
        if not fits:
            raise ValueError(f"bands of shape {wanted} do not give back an array of shape {x.shape}")
        if full != list(x.shape):  # what was cut off does not count
            x = np.pad(x, [(0, f - n) for f, n in zip(full, x.shape, strict=True)])
        bands = {"": x}
        for axis, w, how in zip(where, wavelets, modes, strict=True):
            split = {}
            for key, band in bands.items():
                split[key + "a"], split[key + "d"] = scatter(band, axis, w, how, threads)
            bands = split
        x = bands.pop(low)
        out.append(bands)
    out.append(x if shapes else x.copy())
    return out[::-1]


def level_sizes(
    sizes: Sequence[int], lengths: Sequence[int], modes: Sequence[str], levels: int
) -> list[list[int]]:
    """Sizes along the transformed axes before each level and after the last, filters having these lengths."""
    out = [list(sizes)]
    for _ in range(levels):
        each = zip(out[-1], lengths, modes, strict=True)
        now = [(n + 1) // 2 if how == "periodization" else (n + taps - 1) // 2 for n, taps, how in each]
        out.append(now)
    return out


def named_coefficients(flat: Sequence[Any], count: int) -> list[Any]:
    """Coefficients as from `wavedecn` of a plain list: the approximation, then bands in the order of keys."""
    keys = detail_keys(count)
    starts = range(1, len(flat), len(keys))
    return [flat[0], *(dict(zip(keys, flat[i : i + len(keys)], strict=True)) for i in starts)]


def flat_coefficients(coeffs: Sequence[Mapping[str, Any] | Any], count: int) -> list[Any]:
    """The inverse of `named_coefficients`."""
    return [coeffs[0], *(bands[key] for bands in coeffs[1:] for key in detail_keys(count))]


def detail_keys(count: int) -> list[str]:
    """Keys of the details of so many axes, in order."""
    return band_keys(count)[1:]
