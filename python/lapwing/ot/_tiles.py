"""Costs that are too many for memory: asked for in tiles of rows, once, and kept where there is room."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from lapwing import _array, _validate
from lapwing._array import Floats

__all__ = ["collect"]

TILE_BYTES = 2**26


def collect(cost: Callable[[int, int], Any], shape: Any, max_memory: float) -> Floats:
    """Ask `cost` for all rows, in order. Above `max_memory` bytes they go to a temporary file."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise ValueError(f"a callable C needs shape=(n, m), got {shape!r}")
    n, m = (_validate.check_integer(s, f"shape[{k}]", 1) for k, s in enumerate(shape))
    # No tile above an eighth of what is allowed: the caller makes temporaries of its own.
    rows = int(min(n, max(1, min(TILE_BYTES, max_memory / 8) // (8 * m))))
    out: Floats | None = None
    for i in range(0, n, rows):
        stop = min(i + rows, n)
        name = f"C({i}, {stop})"
        tile = _validate.check_matrix(cost(i, stop), name)
        if tile.shape != (stop - i, m):
            raise ValueError(f"{name} must have shape ({stop - i}, {m}), got {tile.shape}")
        if out is None:
            out = _room((n, m), tile.dtype, max_memory)
        elif out.dtype == np.float32 and tile.dtype == np.float64:
            raise TypeError(f"{name} is float64, but the rows before it were float32")
        out[i:stop] = tile
    assert out is not None
    return out


def _room(shape: tuple[int, int], dtype: np.dtype[Any], max_memory: float) -> Floats:
    size = shape[0] * shape[1] * dtype.itemsize
    if size <= max_memory:
        return np.empty(shape, dtype=dtype)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise MemoryError(
            f"the costs take {size / 1e9:.3g} GB, above max_memory = {max_memory / 1e9:.3g} GB, and {folder} "
            f"has {free / 1e9:.3g} GB; set TMPDIR to a folder with room"
        )
    with tempfile.TemporaryFile() as file:  # without a name; it is gone with the last who maps it
        return _array.contiguous(np.memmap(file, dtype=dtype, mode="w+", shape=shape))
