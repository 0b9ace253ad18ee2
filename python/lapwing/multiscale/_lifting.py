"""Lifting: reversible integer transforms of any length, and floating point ones that keep volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.multiscale._dwt import _as, _real, as_array, band_keys, check_axes, check_bands
from lapwing.multiscale._wavelet import dwt_max_level

__all__ = ["ilwt", "lwt"]

Array = NDArray[Any]

#: Reversible schemes, with the length of their filters.
_SCHEMES = {"s": 2, "legall53": 6, "cdf26": 6, "97m": 10}
#: Floating point ones.
_SHEARS = {"haar": 2, "5/3": 6, "9/7": 10, "db2": 4, "bior1.3": 6}
_WORDS = tuple(np.dtype(t) for t in (np.int16, np.int32, np.int64))
_RETURNED = 1 << 25  # bytes of an array that a usual allocator gives back at once when it is freed
_EXACT_LEVELS = 6  # whose worst case is computed; what is deeper is bounded by products


# ---- the worst case ----------------------------------------------------------------------------------------


def _mirror(j: Array, n: int, odd: bool) -> Array:
    """Which even (or odd) sample of n > 1 stands for one beyond the ends."""
    place = (2 * j + int(odd)) % (2 * n - 2)
    return np.where(place < n, place, 2 * n - 2 - place) // 2


def _linear(scheme: str, x: Array) -> tuple[Array, Array]:
    """A level of `scheme` along the first axis without its rounding."""
    n = len(x)
    s, d = x[0::2].copy(), x[1::2].copy()
    if n < 2:
        return s, d
    k, j = np.arange(len(s)), np.arange(len(d))

    def even(i: Array) -> Array:
        out: Array = s[_mirror(i, n, False)]
        return out

    def odd(i: Array) -> Array:
        out: Array = d[_mirror(i, n, True)]
        return out

    if scheme in ("s", "cdf26"):
        d -= s[: len(d)]
        s[: len(d)] += d / 2
        if scheme == "cdf26":
            d += (s[np.maximum(j - 1, 0)] - s[np.minimum(j + 1, len(s) - 1)]) / 4
    else:
        if scheme == "legall53":
            d -= (even(j) + even(j + 1)) / 2
        else:
            d -= (9 * (even(j) + even(j + 1)) - (even(j - 1) + even(j + 2))) / 16
        s += (odd(k - 1) + odd(k)) / 4
    return s, d


@lru_cache(maxsize=256)
def _gains(scheme: str, n: int, levels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How much larger than the samples of a line of n low and high of each level can be, 1 for level 0."""
    exact = min(levels, _EXACT_LEVELS)
    shorter = 16 << exact  # both ends and something between them, halved to the same odd lengths
    x = np.eye(n if n <= shorter else shorter + n % (1 << exact))
    low, high = [1.0], [1.0]
    for _ in range(exact):
        x, d = _linear(scheme, x)
        low.append(float(abs(x).sum(axis=1).max()))
        high.append(float(abs(d).sum(axis=1).max()) if len(d) else 0.0)
    if levels > exact:
        more = _gains(scheme, -(-n // (1 << exact)), levels - exact)
        base = low[-1]
        low += [base * g for g in more[0][1:]]
        high += [base * g for g in more[1][1:]]
    return tuple(low), tuple(high)


def _forward_bounds(scheme: str, lengths: Sequence[int], levels: int, largest: int) -> tuple[float, float]:
    """How large coefficients and what is met on the way to them can be."""
    gains = [_gains(scheme, n, levels) for n in lengths]
    result = float(largest)
    most = float(largest)
    error = 0.0  # by which rounding can have moved the approximation

    def seen(bound: float, low: float, high: float) -> float:
        if scheme == "97m":
            return max(20 * bound + 8, 2 * high + 2)
        return max(2 * bound, (2 * low + 2) if scheme == "cdf26" else 2 * high + 2)

    for level in range(1, levels + 1):
        # along the last axis first; bands by what they are along the axes that are done
        bands = {"": (1.0, error)}
        for axis in range(len(lengths) - 1, -1, -1):
            low, high = gains[axis]
            split = {}
            for key, (gain, rounding) in bands.items():
                others = float(np.prod([gains[a][0][level - 1] for a in range(axis)]))
                whole = largest * gain * others * low[level - 1] + rounding
                # a level of this axis alone adds at most so much to what rounding did before
                one = _gains(scheme, -(-lengths[axis] // (1 << (level - 1))), 1)
                parts = []
                for letter, g, step in (("a", low[level], one[0][1]), ("d", high[level], one[1][1])):
                    rounded = step * rounding + 2
                    split[letter + key] = (gain * g, rounded)
                    parts.append(largest * gain * others * g + rounded)
                most = max(most, seen(whole, *parts), *parts)
            bands = split
        for gain, rounding in bands.values():
            result = max(result, largest * gain + rounding)
        error = bands["a" * len(lengths)][1]
    return result, most


def _backward_bounds(scheme: str, axes: int, largest: Sequence[dict[str, float]]) -> tuple[float, float]:
    """The same for samples, from the largest coefficients of each level, the coarsest first."""
    low = "a" * axes
    x = largest[0][low]
    most = x
    for bands in largest:
        level = {**bands, low: x}
        most = max(most, *level.values())
        for _ in range(axes):
            joined = {}
            for key in {k[1:] for k in level}:
                s, d = level.get("a" + key, 0.0), level.get("d" + key, 0.0)
                if scheme == "cdf26":
                    most = max(most, 2 * s + 2)
                    d += s / 2 + 1
                even = s + d / 2 + 1
                odd = d + (1.25 * even + 2 if scheme == "97m" else even + 1)
                most = max(most, 2 * d + 2, 20 * even + 8 if scheme == "97m" else 2 * even)
                joined[key] = max(even, odd)
                most = max(most, even, odd)
            level = joined
        x = level[""]
    return x, most


def _word(bound: float, what: str) -> np.dtype[Any]:
    for word in _WORDS:
        if bound <= np.iinfo(word).max:
            return word
    raise ValueError(f"{what} could reach {bound:.4g}, more than 64 bits hold")


def _magnitude(seen: Sequence[int], shift: int = 0) -> int:
    """Of the absolute values of numbers of that range, less shift."""
    least, largest = seen
    return 0 if least > largest else max(abs(largest - shift), abs(least - shift))


def _largest(x: Array, shift: int) -> int:
    """Of the absolute values of x - shift."""
    if not x.size:
        return 0
    # by pieces, so that what the largest one was looked for in is in cache when the least one is
    step = max(1, (1 << 18) * len(x) // x.size)
    largest = least = int(x.flat[0])
    for i in range(0, len(x), step):
        part = x[i : i + step]
        largest, least = max(largest, int(part.max())), min(least, int(part.min()))
    return max(abs(largest - shift), abs(least - shift))


# ---- integers ----------------------------------------------------------------------------------------------


def _integers(x: Any, name: str) -> Array:
    array = np.asarray(x)
    if array.dtype.kind == "b":
        raise TypeError(f"{name} is boolean; pass {name}.astype(np.uint8)")
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold integers, got dtype {array.dtype}; round it, or pass reversible=False"
        )
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got a single number")
    if array.size == 0:
        raise ValueError(f"{name} is empty along axis {array.shape.index(0)}: its shape is {array.shape}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _memory_order(ndim: int, last: int) -> tuple[int, ...]:
    return (*(a for a in range(ndim) if a != last), last)


def _empty(shape: Sequence[int], last: int, dtype: np.dtype[Any]) -> Array:
    """An array whose axis `last` has unit stride."""
    order = _memory_order(len(shape), last)
    out: Array = np.empty([shape[a] for a in order], dtype).transpose(np.argsort(order))
    return out


def _across(x: Array, axes: Sequence[int]) -> tuple[str, int, int]:
    """Which axes of x go first, the one of the rows and the one across."""
    if len(axes) > 1:
        return "both", axes[-2], axes[-1]
    axis = axes[0]
    if x.ndim == 1:
        return "across", 0, 0
    others = [a for a in range(x.ndim) if a != axis]
    nearest = min(others, key=lambda a: (abs(x.strides[a]), -a))
    if abs(x.strides[axis]) <= abs(x.strides[nearest]) or x.shape[nearest] == 1:
        return "across", max(others, key=lambda a: abs(x.strides[a])), axis
    return "along", axis, nearest


def _halves(shape: Sequence[int], axes: Sequence[int], key: str) -> list[int]:
    out = list(shape)
    for axis, letter in zip(axes, key, strict=True):
        out[axis] = (out[axis] + 1) // 2 if letter == "a" else out[axis] // 2
    return out


def _lift_level(
    x: Array, axes: Sequence[int], scheme: str, shift: int, out: dict[str, Array], threads: int
) -> Sequence[int]:
    """One level into the bands of `out`, whose axis across has unit stride; the range of x."""
    core = _backend.extension()
    how, along, across = _across(x, axes)
    first = axes[-2:] if how == "both" else axes[-1:]
    rest = axes[: -len(first)]
    last = across if rest else -1
    keys = band_keys(len(first))
    word = next(iter(out.values())).dtype
    bands = {k: _empty(_halves(x.shape, first, k), last, word) if rest else out[k] for k in keys}
    seen: Sequence[int] = core.lift(
        x, along, across, how, scheme, shift, [bands[k] for k in keys], threads, None
    )
    for place in range(len(rest) - 1, -1, -1):
        axis = rest[place]
        split = {}
        for key, band in bands.items():
            two = []
            for letter in "ad":
                full = letter + key
                split[full] = (
                    out[full] if place == 0 else _empty(_halves(band.shape, (axis,), letter), last, word)
                )
                two.append(split[full])
            core.lift(band, axis, across, "along", scheme, 0, two, threads, None)
        bands = split
    return seen


def _unlift_level(
    bands: dict[str, Array], axes: Sequence[int], shape: Sequence[int], scheme: str, shift: int, threads: int
) -> tuple[Array, dict[str, Sequence[int]]]:
    """What has these bands, and their ranges."""
    core = _backend.extension()
    word = next(iter(bands.values())).dtype
    how, along, across = _across(next(iter(bands.values())), axes)
    level = bands
    seen: dict[str, Sequence[int]] = {}
    for place in range(len(axes) - (2 if how == "both" else 1)):
        axis = axes[place]
        joined = {}
        for key in sorted({k[1:] for k in level}):
            two = ["a" + key, "d" + key]
            target = list(level[two[0]].shape)
            target[axis] = shape[axis]
            y = _empty(target, across, word)
            ranges = core.unlift([level[k] for k in two], axis, across, "along", scheme, 0, y, threads, None)
            if place == 0:
                seen.update(zip(two, ranges, strict=True))
            joined[key] = y
        level = joined
    x = _empty(shape, across, word)
    keys = sorted(level)
    ranges = core.unlift([level[k] for k in keys], along, across, how, scheme, shift, x, threads, None)
    return x, seen or dict(zip(keys, ranges, strict=True))


def _check_level(shape: Sequence[int], axes: Sequence[int], taps: int, level: Any) -> int:
    if level is None:
        return min((dwt_max_level(shape[axis], taps) for axis in axes), default=0)
    return _validate.check_integer(level, "level", 0)


def _lwt_integer(
    data: Any, scheme: str, level: Any, axes: Any, dtype: Any, shift: Any, threads: int
) -> list[Any]:
    x = _integers(data, "x")
    where = check_axes(axes, x.ndim)
    count = _check_level(x.shape, where, _SCHEMES[scheme], level) if where else 0
    centre = _validate.check_integer(shift, "shift", -(2**31), 2**31 - 1)
    wanted = None if dtype is None else np.dtype(dtype)
    if wanted is not None and wanted not in _WORDS:
        raise ValueError(f"dtype must be int16, int32 or int64, got {wanted}")
    lengths = [x.shape[axis] for axis in where]
    kind = np.iinfo(x.dtype)
    bound = max(abs(kind.max - centre), abs(kind.min - centre))
    result, most = _forward_bounds(scheme, lengths, count, bound)
    kept = _WORDS[-1] if wanted is None and x.dtype.itemsize == 8 else wanted
    made: list[dict[str, Array]] | None = None
    if kept is not None and result > np.iinfo(kept).max:  # the data may be smaller
        if count and x.dtype == kept:  # which is seen on the way
            made, seen = _lift_levels(x, where, scheme, centre, count, kept, threads)
            largest = _magnitude(seen, centre)
        else:
            largest = _largest(x, centre)
        result, most = _forward_bounds(scheme, lengths, count, largest)
    if wanted is not None and result > np.iinfo(wanted).max:
        raise ValueError(
            f"dtype {wanted} cannot hold the coefficients, which could reach {result:.6g}; "
            f"use {_word(result, 'coefficients')}"
        )
    word = _word(most, "what is met on the way to the coefficients")
    if kept is None:
        kept = _word(result, "coefficients")
    word = max(word, kept, key=lambda t: t.itemsize)
    if not count:
        return [(x.astype(word) - word.type(centre)).astype(kept, copy=False)]
    if made is None or word != kept:
        made, _ = _lift_levels(x, where, scheme, centre, count, word, threads)
    low = "a" * len(where)
    out: list[Any] = [made[-1].pop(low).astype(kept, order="K", copy=False)]
    out.extend(
        {key: band.astype(kept, order="K", copy=False) for key, band in bands.items()}
        for bands in reversed(made)
    )
    return out


def _lift_levels(
    x: Array, axes: Sequence[int], scheme: str, shift: int, count: int, word: np.dtype[Any], threads: int
) -> tuple[list[dict[str, Array]], Sequence[int]]:
    """The bands of each level, the finest first, in that word, and the range of x."""
    if x.dtype not in (word, np.dtype(np.uint8)):
        x = x.astype(word)
    across = _across(x, axes)[2]
    low = "a" * len(axes)
    made = _empty_bands(x.shape, axes, across, word, count)
    seen: Sequence[int] = (0, 0)
    for number, bands in enumerate(made):
        if number < count - 1:  # the next level must not read where it writes
            bands[low] = _empty(_halves(x.shape, axes, low), across, word)
        here = _lift_level(x, axes, scheme, 0 if number else shift, bands, threads)
        if number == 0:
            seen = here
        x = bands[low]
        if number < count - 1:
            del bands[low]
    return made, seen


def _places(shape: Sequence[int], axes: Sequence[int], levels: int) -> list[dict[str, tuple[slice, ...]]]:
    """Where the bands of each level are in one array of that shape: high after low, low split again."""
    out = []
    now = list(shape)
    for _ in range(levels):
        level = {}
        for key in band_keys(len(axes)):
            part = [slice(n) for n in now]
            for axis, letter in zip(axes, key, strict=True):
                half = (now[axis] + 1) // 2
                part[axis] = slice(half) if letter == "a" else slice(half, now[axis])
            level[key] = tuple(part)
        out.append(level)
        now = _halves(now, axes, "a" * len(axes))
    return out


def _empty_bands(
    shape: Sequence[int], axes: Sequence[int], across: int, word: np.dtype[Any], levels: int
) -> list[dict[str, Array]]:
    """Arrays for the details of each level, and for the last approximation.

    All in one array; but one of more than 32 MiB is fresh memory every time: then the finest are apart.
    """
    out: list[dict[str, Array]] = []
    now = list(shape)
    low = "a" * len(axes)
    while len(out) < levels and math.prod(now) * word.itemsize >= _RETURNED:
        sizes = {key: _halves(now, axes, key) for key in band_keys(len(axes)) if key != low}
        counts = [math.prod(size) for size in sizes.values()]
        if sum(counts) * word.itemsize < _RETURNED:
            whole = np.empty(sum(counts), word)
            parts = np.split(whole, np.cumsum(counts)[:-1])
            order = _memory_order(len(now), across)
            out.append(
                {
                    key: part.reshape([size[a] for a in order]).transpose(np.argsort(order))
                    for part, (key, size) in zip(parts, sizes.items(), strict=True)
                }
            )
        else:
            out.append({key: _empty(size, across, word) for key, size in sizes.items()})
        now = _halves(now, axes, low)
    packed = _empty(now, across, word)
    places = _places(now, axes, levels - len(out))
    if not places:
        out[-1][low] = packed
    for number, place in enumerate(places, 1):
        out.append({key: packed[p] for key, p in place.items() if key != low or number == len(places)})
    return out


def _band_shape(
    bands: dict[str, Array], finer: dict[str, Array], axes: Sequence[int], low: Sequence[int], name: str
) -> list[int]:
    """The shape of what the bands of a level are of, whose approximation has the shape `low`.

    An axis without high bands has twice as many entries, or one less if those of the next `finer` level say
    so.
    """
    shape = list(low)
    for place, axis in enumerate(axes):
        high = {b.shape[axis] for key, b in bands.items() if key[place] == "d"}
        seen = {b.shape[axis] for key, b in finer.items() if key[place] == "a"}
        shape[axis] += high.pop() if len(high) == 1 else low[axis] if not high else -1
        if not bands and 2 * low[axis] - 1 in seen:
            shape[axis] -= 1
    for key, band in bands.items():
        wanted = _halves(shape, axes, key)
        if list(band.shape) != wanted or any(shape[a] - low[a] not in (low[a], low[a] - 1) for a in axes):
            raise ValueError(
                f"{name}[{key!r}] has shape {band.shape}, which does not go with an approximation of shape "
                f"{tuple(low)}"
            )
    return shape


def _coefficients(coeffs: Sequence[Any], convert: Any) -> tuple[Array, list[dict[str, Array]]]:
    if len(coeffs) < 1 or coeffs[0] is None:
        raise ValueError("coeffs must hold an approximation")
    x = convert(coeffs[0], "coeffs[0]")
    levels = []
    for number, given in enumerate(coeffs[1:], 1):
        bands = {}
        for key, band in ({} if given is None else given).items():
            if band is not None:
                empty = np.asarray(band).size == 0
                bands[key] = np.asarray(band) if empty else convert(band, f"coeffs[{number}][{key!r}]")
        levels.append(bands)
    return x, levels


def _check_keys(bands: dict[str, Array], count: int, name: str) -> None:
    for key in bands:
        if len(key) != count or set(key) - {"a", "d"} or key == "a" * count:
            raise ValueError(
                f"{name} has the key {key!r}; keys are {count} letters 'a' or 'd', not all of them 'a'"
            )


def _ilwt_integer(
    coeffs: Sequence[Any], scheme: str, axes: Any, dtype: Any, shift: Any, threads: int
) -> Array:
    x, levels = _coefficients(coeffs, _integers)
    where = check_axes(axes, x.ndim)
    centre = _validate.check_integer(shift, "shift", -(2**31), 2**31 - 1)
    low = "a" * len(where)
    shapes = []
    shape = list(x.shape)
    for number, bands in enumerate(levels, 1):
        _check_keys(bands, len(where), f"coeffs[{number}]")
    for number, bands in enumerate(levels, 1):
        finer = levels[number] if number < len(levels) else {}
        shape = _band_shape(bands, finer, where, shape, f"coeffs[{number}]")
        shapes.append(shape)
    kept = np.result_type(x, *(b for bands in levels for b in bands.values()))
    if kept not in _WORDS:
        kept = (
            np.dtype(np.int16)
            if kept.itemsize == 1
            else np.dtype(np.int32 if kept == np.uint16 else np.int64)
        )
    given = [x, *(b for bands in levels for b in bands.values())]
    made: Array | None = None
    if levels and all(np.can_cast(b.dtype, kept) for b in given):  # how large they are is seen on the way
        made, largest = _unlift_levels(x, levels, where, shapes, scheme, centre, kept, threads)
        most = largest[0][low]
    else:
        largest = [{key: float(_largest(b, 0)) for key, b in bands.items()} for bands in levels]
        most = float(_largest(x, 0))
    result = most
    if levels:
        largest[0][low] = most
        result, most = _backward_bounds(scheme, len(where), largest)
    word = max(
        _word(most + abs(centre), "what is met on the way to the samples"), kept, key=lambda t: t.itemsize
    )
    if levels and (made is None or word != kept):
        made, _ = _unlift_levels(x, levels, where, shapes, scheme, centre, word, threads)
    x = x.astype(word, copy=False) if made is None else made
    if not levels:
        x = x + word.type(centre)
    target = kept if dtype is None else np.dtype(dtype)
    if target == x.dtype:
        return x
    if target.kind not in "iu":
        raise TypeError(f"dtype must be an integer, got {target}")
    kind = np.iinfo(target)
    if x.size and (result + abs(centre) > kind.max or kind.min == 0):
        least, greatest = int(x.min()), int(x.max())
        if least < kind.min or greatest > kind.max:
            raise ValueError(f"dtype {target} cannot hold the samples, which go from {least} to {greatest}")
    return x.astype(target)


def _unlift_levels(
    x: Array, levels: Sequence[dict[str, Array]], axes: Sequence[int], shapes: Sequence[Sequence[int]],
    scheme: str, shift: int, word: np.dtype[Any], threads: int,
) -> tuple[Array, list[dict[str, float]]]:  # fmt: skip
    """What has these coefficients, and how large those of each level are that there are, in that word."""
    low = "a" * len(axes)
    x = x.astype(word, copy=False)
    largest = []
    for number, (bands, full) in enumerate(zip(levels, shapes, strict=True)):
        level = {key: b.astype(word, copy=False) for key, b in bands.items()}
        level[low] = x
        for key in band_keys(len(axes)):
            if key not in level:
                level[key] = np.zeros(_halves(full, axes, key), word)
        last = number == len(levels) - 1
        x, seen = _unlift_level(level, axes, full, scheme, shift if last else 0, threads)
        kept = [*bands, low] if number == 0 else bands
        largest.append({key: float(_magnitude(seen[key])) for key in kept})
    return x, largest


# ---- floating point ----------------------------------------------------------------------------------------


def shear_levels(sizes: Sequence[int], axes: Sequence[int], scheme: str, level: Any) -> int:
    """How many levels there will be for lengths along axes."""
    count = _check_level(sizes, range(len(sizes)), _SHEARS[scheme], level)
    for axis, n in zip(axes, sizes, strict=True):
        multiple = 2**count
        if n % multiple:
            raise ValueError(
                f"the length along axis {axis} must be a multiple of {multiple} for {count} levels, got {n}; "
                f"the next one is {-(-n // multiple) * multiple}"
            )
    return count


def lwt_float(
    x: Array, scheme: str, level: Any, axes: Any, threads: int, transposed: bool = False
) -> list[Any]:
    """`lwt` of floating point numbers; transposed, the transpose of `ilwt_float`."""
    where = check_axes(axes, x.ndim)
    count = shear_levels([x.shape[axis] for axis in where], where, scheme, level)
    core = _backend.extension()
    dtype = x.dtype
    low = "a" * len(where)
    out: list[Any] = []
    now = _real(x)
    for _ in range(count):
        bands = {"": now}
        for axis in where:
            split = {}
            for key, band in bands.items():
                half = list(band.shape)
                half[axis] //= 2
                s, d = np.empty(half, band.dtype), np.empty(half, band.dtype)
                core.shear(band, axis, scheme, s, d, transposed, threads, None)
                split[key + "a"], split[key + "d"] = s, d
            bands = split
        now = bands.pop(low)
        out.append({key: _as(band, dtype) for key, band in bands.items()})
    out.append(_as(now, dtype) if count else x.copy())
    return out[::-1]


def ilwt_float(
    coeffs: Sequence[Any],
    scheme: str,
    axes: Any,
    threads: int,
    check_finite: bool = False,
    transposed: bool = False,
) -> Array:
    """`ilwt` of floating point numbers; transposed, the transpose of `lwt_float`."""
    x, levels = _coefficients(coeffs, partial(as_array, check_finite=check_finite))
    where = check_axes(axes, x.ndim)
    core = _backend.extension()
    low = "a" * len(where)
    dtype = np.result_type(x, *(b for bands in levels for b in bands.values()))
    if not levels:
        same: Array = x.copy()
        return same
    now = _real(x.astype(dtype, copy=False))
    for number, bands in enumerate(levels, 1):
        _check_keys(bands, len(where), f"coeffs[{number}]")
        given = {key: _real(band.astype(dtype, copy=False)) for key, band in bands.items()}
        given[low] = now
        check_bands(given, len(where), f"coeffs[{number}]")
        level: dict[str, Array] = given
        for place in range(len(where) - 1, -1, -1):
            joined = {}
            for letters in product("ad", repeat=place):
                key = "".join(letters)
                s, d = level.get(key + "a"), level.get(key + "d")
                one = s if s is not None else d
                if one is None:
                    continue
                full = list(one.shape)
                full[where[place]] *= 2
                y = np.empty(full, one.dtype)
                core.unshear(
                    np.zeros_like(one) if s is None else s,
                    np.zeros_like(one) if d is None else d,
                    where[place],
                    scheme,
                    y,
                    transposed,
                    threads,
                    None,
                )
                joined[key] = y
            level = joined
        now = level[""]
    return _as(now, dtype)


# ---- the public face ---------------------------------------------------------------------------------------


def check_scheme(scheme: Any, reversible: Any) -> str:
    """The name of a scheme, checked."""
    names = _SCHEMES if reversible else _SHEARS
    return str(
        _validate.check_choice(
            scheme, "scheme" if reversible else "scheme with reversible=False", tuple(names)
        )
    )


def lwt(
    x: Any, scheme: str = "legall53", level: int | None = None, axes: Sequence[int] | None = None,
    reversible: bool = True,
    *, dtype: Any = None, shift: int = 0, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """Wavelet transform by lifting: of integers, without loss, or of floating point numbers, without scaling.

    Parameters
    ----------
    x : array
        Integers of any kind, shape and strides, of any length; with ``reversible=False`` real or complex, as
        for `dwt`, with lengths along `axes` that are multiples of ``2**level``.
    scheme : str, default="legall53"
        Reversible: "s" (Haar with a rounded mean), "legall53" (the 5/3 of JPEG 2000), "cdf26" (2/6) and "97m"
        (the 9/7-M of Adams and Kossentini). Otherwise "haar", "5/3", "9/7", "db2" and "bior1.3": steps of
        these wavelets with periodic ends.
    level : int or None, default=None
        None: `dwt_max_level` of the shortest axis for filters of that length. 0: `x` itself.
    axes : sequence of int or None, default=None
        None: all. The others are a batch. Integers are lifted along the last of them first.
    reversible : bool, default=True
    dtype : {int16, int32, int64} or None, default=None
        Of the result. None: the smallest one that holds the coefficients of all `x` of this dtype (int64 for
        64 bits). A smaller one is taken if the values of this `x` allow it.
    shift : int, default=0
        Taken from `x` first; 128 centres images of 8 bits.
    check_finite, n_jobs
        As for `dwt`.

    Returns
    -------
    list
        As from `wavedecn`: the approximation of the last level, then dictionaries of details, the coarsest
        first. Of n samples low gets ``(n + 1) // 2`` entries and high ``n // 2``; the bands of integers lie
        in one array of the shape of `x`, high after low.

    Raises
    ------
    TypeError
        `x` is not of integers, and `reversible`; or is boolean.
    ValueError
        There is no such scheme; `dtype` cannot hold the coefficients, or 64 bits what is met on the way to
        them; a length is no multiple of ``2**level`` (``reversible=False``), or an axis is empty.

    Notes
    -----
    The words of integers are chosen so that nothing overflows in the worst case, which is computed from the
    scheme, the lengths and the level. The floating point steps are shears: the determinant is 1, and
    the coefficients are those of the wavelet but for one factor a band.

    References
    ----------
    A. R. Calderbank, Ingrid Daubechies, Wim Sweldens, Boon-Lock Yeo, "Wavelet Transforms That Map Integers
    to Integers", 1998. Michael D. Adams, Faouzi Kossentini, "Reversible Integer-to-Integer Wavelet
    Transforms for Image Compression: Performance Evaluation and Analysis", 2000.

    Examples
    --------
    >>> from lapwing.multiscale import ilwt, lwt
    >>> low, bands = lwt([1, 5, 2, 8, 3], level=1)
    >>> low.tolist(), bands["d"].tolist()
    ([3, 5, 6], [4, 6])
    >>> ilwt([low, bands]).tolist()
    [1, 5, 2, 8, 3]
    """
    name = check_scheme(scheme, reversible)
    threads = _threads.resolve(n_jobs)
    if reversible:
        return _lwt_integer(x, name, level, axes, dtype, shift, threads)
    if dtype is not None or shift != 0:
        raise ValueError("dtype and shift are for reversible=True")
    return lwt_float(as_array(x, "x", check_finite), name, level, axes, threads)


def ilwt(
    coeffs: Sequence[Any], scheme: str = "legall53", axes: Sequence[int] | None = None,
    reversible: bool = True,
    *, dtype: Any = None, shift: int = 0, check_finite: bool = False, n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `lwt`.

    Parameters
    ----------
    coeffs : list
        As from `lwt`; bands that are None or missing are zeros.
    scheme, axes, reversible, shift, check_finite, n_jobs
        As for `lwt`.
    dtype : integer dtype or None, default=None
        Of the result. None: that of the coefficients.

    Returns
    -------
    array

    Raises
    ------
    TypeError, ValueError
        As for `lwt`; shapes do not go together, a key is wrong, or `dtype` cannot hold the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import ilwt, lwt
    >>> image = np.random.default_rng(0).integers(0, 256, (37, 53)).astype(np.uint8)
    >>> coeffs = lwt(image, "97m", level=3, shift=128)
    >>> back = ilwt(coeffs, "97m", shift=128, dtype=np.uint8)
    >>> bool((back == image).all())
    True
    """
    name = check_scheme(scheme, reversible)
    threads = _threads.resolve(n_jobs)
    if reversible:
        return _ilwt_integer(coeffs, name, axes, dtype, shift, threads)
    if dtype is not None or shift != 0:
        raise ValueError("dtype and shift are for reversible=True")
    return ilwt_float(coeffs, name, axes, threads, check_finite)
