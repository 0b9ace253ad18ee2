"""Arrays of Dask: a level goes block by block, with as many samples of others as the filters reach."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend
from lapwing.multiscale._dwt import _analyse as analyse_block
from lapwing.multiscale._dwt import _synthesise as synthesise_block
from lapwing.multiscale._dwt import as_array, at_once, band_keys, check_bands, check_length
from lapwing.multiscale._wavelet import Wavelet

__all__ = ["is_lazy", "wavedecn", "waverecn"]

Array = NDArray[Any]
Lazy = Any  # dask.array.Array


def is_lazy(x: Any) -> bool:
    """Whether it is an array of Dask."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(x, dask.Array)


def _module() -> Any:
    return sys.modules["dask.array"]


def _kept(x: Lazy, name: str) -> Lazy:
    """`x` in the dtype that results have."""
    if any(math.isnan(n) for n in x.shape):
        raise ValueError(f"{name} has blocks of unknown size; call compute_chunk_sizes() first")
    if x.size == 0:
        raise ValueError(f"{name} is empty: its shape is {x.shape}")
    return x.astype(as_array(np.zeros(1, x.dtype), name).dtype)


def _blocks(x: Lazy, axis: int, least: int, even: bool) -> tuple[Lazy, list[int]]:
    """`x` with blocks along an axis that are long enough, and (if asked) begin at even places; their ends."""
    n = x.shape[axis]
    ends = [0]
    for end in np.cumsum(x.chunks[axis])[:-1].tolist():
        if end - ends[-1] >= least and n - end >= least and not (even and end % 2):
            ends.append(end)
    ends.append(n)
    return x.rechunk({axis: tuple(b - a for a, b in pairwise(ends))}), ends


def _place(axis: int, first: int, last: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(first, last),)


def _cut(x: Lazy, axis: int, first: int, last: int) -> Lazy:
    """Entries first, ..., last - 1 of a ring."""
    n = x.shape[axis]
    parts = [x[_place(axis, max(first, 0), min(last, n))]]
    if first < 0:
        parts.insert(0, x[_place(axis, n + first, n)])
    if last > n:
        parts.append(x[_place(axis, 0, last - n)])
    whole = parts[0] if len(parts) == 1 else _module().concatenate(parts, axis)
    return whole.rechunk({axis: -1})


def _mapped(function: Any, x: Lazy, axis: int, count: int, *settings: Any, new: bool) -> Lazy:
    chunks = list(x.chunks)
    chunks[axis] = (count,)
    made = ((2,), *chunks) if new else tuple(chunks)
    meta = np.empty((0,) * len(made), x.dtype)
    return x.map_blocks(
        function,
        axis,
        count,
        *settings,
        dtype=x.dtype,
        chunks=made,
        meta=meta,
        **({"new_axis": 0} if new else {}),
    )


def _taken(x: Array, axis: int, first: int, count: int) -> Array:
    part: Array = x[_place(axis, first, first + count)]
    return part


def _split_block(
    x: Array, axis: int, count: int, wavelet: Wavelet, mode: str, skip: int, threads: int
) -> Array:
    bands = analyse_block(x, axis, wavelet, mode, threads)
    return np.stack([_taken(band, axis, skip, count) for band in bands])


def _split(x: Lazy, axis: int, wavelet: Wavelet, mode: str, threads: int) -> tuple[Lazy, Lazy]:
    n, taps = x.shape[axis], wavelet.dec_len
    check_length(n, mode, axis)
    total = _backend.extension().dwt_length(n, taps, mode)
    if mode == "periodization" and n % 2:
        x = _module().concatenate([x, x[_place(axis, n - 1, n)]], axis)
        n += 1
    x, ends = _blocks(x, axis, max(taps, 2), True)
    whole = len(ends) == 2
    bands = []
    for first, last in pairwise(ends):
        # the places that the coefficients of the block look at, and how many of the results come before them
        begin, end, how = first, last, mode
        if not whole and mode == "periodization":
            begin, end, how = first - (taps // 2 - 1), last + taps // 2 - 1, "zero"
        elif not whole and mode == "periodic":
            begin, end, how = first - (taps - 2), last + (taps - 1 if last == n else 0), "zero"
        elif first > 0:
            begin = first - (taps - 2)
        skip = 0 if begin == first else (taps - 2) // 2
        count = total - first // 2 if last == n else (last - first) // 2
        both = _mapped(
            _split_block, _cut(x, axis, begin, end), axis, count, wavelet, how, skip, threads, new=True
        )
        bands.append((both[0], both[1]))
    low, high = (_module().concatenate(parts, axis) for parts in zip(*bands, strict=True))
    return low, high


def wavedecn(
    data: Lazy, axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str], count: int,
    threads: int,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.wavedecn` of an array of Dask, its arguments checked."""
    x = _kept(data, "data")
    out: list[Any] = []
    for _ in range(count):
        bands = {"": x}
        for axis, wavelet, mode in zip(axes, wavelets, modes, strict=True):
            split = {}
            for key, band in bands.items():
                split[key + "a"], split[key + "d"] = _split(band, axis, wavelet, mode, threads)
            bands = split
        x = bands.pop("a" * len(axes))
        out.append(bands)
    return [x, *out[::-1]]


def _join_block(
    x: Array, axis: int, count: int, wavelet: Wavelet, mode: str, skip: int, threads: int
) -> Array:
    return _taken(synthesise_block(x[0], x[1], axis - 1, wavelet, mode, threads)[None], axis, skip, count)


def _join(low: Lazy, high: Lazy, axis: int, wavelet: Wavelet, mode: str, threads: int) -> Lazy:
    dask, taps = _module(), wavelet.rec_len
    both = dask.stack([low, high.rechunk(low.chunks)]).rechunk({0: 2})
    axis += 1
    both, ends = _blocks(both, axis, max(taps, 2), False)
    parts = []
    for first, last in pairwise(ends):
        begin, end, how, skip = first, last, mode, 0
        if len(ends) > 2 and mode == "periodization":
            begin, end, how = first - taps // 4, last + taps // 4, "zero"
            skip = 2 * (taps // 4) - taps // 2 + 1
        elif mode != "periodization" and last < both.shape[axis]:
            end = last + (taps - 2) // 2
        count = 2 * (last - first)
        if mode != "periodization" and last == both.shape[axis]:
            count -= taps - 2
        some = _cut(both, axis, begin, end)
        chunks = list(some.chunks)
        chunks[0], chunks[axis] = (1,), (count,)
        meta = np.empty((0,) * some.ndim, some.dtype)
        parts.append(
            some.map_blocks(
                _join_block, axis, count, wavelet, how, skip, threads, dtype=some.dtype, chunks=tuple(chunks),
                meta=meta,
            )[0]
        )  # fmt: skip
    return dask.concatenate(parts, axis - 1)


def waverecn(
    coeffs: Sequence[Any], axes: Sequence[int], wavelets: Sequence[Wavelet], modes: Sequence[str],
    shape: Sequence[int] | None, threads: int,
) -> Lazy:  # fmt: skip
    """`lapwing.multiscale.waverecn` of arrays of Dask."""
    dask = _module()
    keys = band_keys(len(axes))
    levels = [{k: b for k, b in ({} if c is None else c).items() if b is not None} for c in coeffs[1:]]
    if coeffs[0] is None or not all(levels):
        raise ValueError("coefficients of Dask need an approximation, and a band in each level")
    dtype = np.result_type(*(b for bands in levels for b in bands.values()), coeffs[0])
    x = _kept(coeffs[0].astype(dtype), "coeffs[0]")
    if not levels:
        return x if shape is None else _trimmed(x, shape, axes, "the result")
    finer: list[Any] = [next(iter(bands.values())).shape for bands in levels[1:]]
    for number, (bands, size) in enumerate(zip(levels, [*finer, shape], strict=True), 1):
        check_bands(bands, len(axes), f"coeffs[{number}]")
        one = next(iter(bands.values()))
        level = {
            k: bands[k].astype(dtype) if k in bands else dask.zeros_like(one, dtype=dtype) for k in keys[1:]
        }
        level[keys[0]] = _trimmed(x, one.shape, axes, f"the approximation at coeffs[{number}]")
        # the order of the core, which takes two axes at once and others one by one
        for place in (0, 1) if at_once(axes) else range(len(axes) - 1, -1, -1):
            at = 0 if at_once(axes) else place
            level = {
                key: _join(
                    level[key[:at] + "a" + key[at:]],
                    level[key[:at] + "d" + key[at:]],
                    axes[place],
                    wavelets[place],
                    modes[place],
                    threads,
                )
                for key in dict.fromkeys(k[:at] + k[at + 1 :] for k in level)
            }
        x = level[""] if size is None else _trimmed(level[""], size, axes, "the result")
    return x


def _trimmed(x: Lazy, shape: Sequence[int], axes: Sequence[int], what: str) -> Lazy:
    """`x` without the last sample along axes where it has one too many."""
    wanted = tuple(shape)
    if len(wanted) != x.ndim or any(
        n != m and not (axis in axes and n == m + 1)
        for axis, (n, m) in enumerate(zip(x.shape, wanted, strict=True))
    ):
        raise ValueError(f"{what} has shape {x.shape}, and {wanted} is needed")
    return x[tuple(slice(n) for n in wanted)]
