"""Product grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lapwing import _array, _validate
from lapwing._array import Array
from lapwing.ot._geometry import Vector

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Points at every combination of coordinates."""

    axes: list[Vector]

    @classmethod
    def check(cls, grid: Sequence[Array]) -> Grid:
        if not isinstance(grid, (list, tuple)) or not grid:
            raise ValueError("grid must be a sequence of the coordinates along each axis")
        axes = []
        for k, axis in enumerate(grid):
            t = _array.real(axis, f"grid[{k}]")
            if t.ndim != 1 or t.size == 0:
                raise ValueError(f"grid[{k}] must be 1-D and not empty, got shape {t.shape}")
            _validate.check_finite(t, f"grid[{k}]")
            axes.append(np.ascontiguousarray(t, dtype=np.float64))
        return cls(axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def range(self) -> float:
        """Of the squared distances."""
        return float(sum(np.ptp(axis) ** 2 for axis in self.axes))
