"""Signals that go on beyond their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing.multiscale._dwt import check_length
from lapwing.multiscale._wavelet import as_mode

__all__ = ["pad"]

Array = NDArray[Any]


def pad(x: Any, pad_widths: Any, mode: str) -> Array:
    """Let an array go on beyond its ends, as the transforms see it.

    Parameters
    ----------
    x : array
        Its dtype is kept.
    pad_widths : int or sequence
        Entries before and after, along each axis, in the forms that `numpy.pad` takes.
    mode : str
        One of `MODES`. With "periodization" an axis of odd length first gets its last entry once more.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        A width is negative or there are too many, there is no such mode, or an axis is too short for it.
    TypeError
        `x` holds no numbers.

    Examples
    --------
    >>> from lapwing.multiscale import pad
    >>> pad([1, 2, 3], (2, 3), "antisymmetric").tolist()
    [-2, -1, 1, 2, 3, -3, -2, -1]
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"x must hold numbers, got dtype {array.dtype}")
    how = as_mode(mode)
    widths = np.round(np.array(pad_widths)).astype(np.intp)
    if widths.min(initial=0) < 0:
        raise ValueError(f"pad_widths must not be negative, got {pad_widths}")
    for axis, (before, after) in enumerate(np.broadcast_to(widths, (array.ndim, 2)).tolist()):
        if array.shape[axis] == 0:
            raise ValueError(f"x is empty along axis {axis}: its shape is {array.shape}")
        check_length(array.shape[axis], how, axis)
        array = np.moveaxis(_extended(np.moveaxis(array, axis, 0), before, after, how), 0, axis)
    return np.ascontiguousarray(array)


def _extended(x: Array, before: int, after: int, mode: str) -> Array:
    """`x` along its first axis."""
    if mode == "periodization" and len(x) % 2:
        x = np.concatenate([x, x[-1:]])
    n = len(x)
    i = np.arange(-before, n + after)
    column = i.reshape(-1, *[1] * (x.ndim - 1))
    if mode in ("periodic", "periodization"):
        return x[i % n]
    if mode in ("zero", "constant"):
        out = x[np.clip(i, 0, n - 1)]
        if mode == "zero":
            out[:before] = 0
            out[before + n :] = 0
        return out
    if mode in ("symmetric", "antisymmetric"):
        j = i % (2 * n)
        out = x[np.where(j < n, j, 2 * n - 1 - j)]
        return np.where(column % (2 * n) < n, out, -out) if mode == "antisymmetric" else out
    if mode == "smooth":
        second = min(1, n - 1)
        left = x[0] + column[:before] * (x[second] - x[0])
        right = x[-1] + (column[before + n :] - (n - 1)) * (x[-1] - x[-1 - second])
        return np.concatenate([left, x, right]).astype(x.dtype, copy=False)
    turns, j = np.divmod(i, 2 * n - 2)
    mirrored = x[np.where(j < n, j, 2 * n - 2 - j)]
    if mode == "reflect":
        return mirrored
    back = (j >= n).reshape(column.shape)
    rise = 2 * turns.reshape(column.shape) * (x[-1] - x[0])
    odd: Array = rise + np.where(back, 2 * x[-1] - mirrored, mirrored)
    return odd.astype(x.dtype, copy=False)
