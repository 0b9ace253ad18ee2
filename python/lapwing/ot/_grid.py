"""Squared distances on a product grid, one axis at a time: n^(1 + 1/D) operations instead of n²."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lapwing import _array, _validate
from lapwing._array import Array
from lapwing._progress import Progress
from lapwing.ot import _geometry
from lapwing.ot._geometry import Geometry, Vector

__all__ = ["Grid", "barycenter"]

LEVEL_ITERATIONS = 20  # at a regularisation that is passed through
LEVEL_ERROR = 0.05


@dataclass(frozen=True)
class Grid:
    """The cost of a grid with itself: of each axis with itself."""

    axes: list[Geometry]

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
            column = np.ascontiguousarray(t[:, None], dtype=np.float64)
            axes.append(_geometry.points(column, column, "sqeuclidean"))
        return cls(axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.n for axis in self.axes)

    @property
    def range(self) -> float:
        return float(sum(np.ptp(axis.x) ** 2 for axis in self.axes))

    def softmax(self, h: Vector, reg: float, threads: int) -> Vector:
        """``reg log sum_i exp((h_i - C_ij) / reg)``; h has any axes before those of the grid."""
        for k, axis in enumerate(self.axes):
            at = k - len(self.axes)
            lines = np.ascontiguousarray(np.moveaxis(h, at, -1))
            flat = axis.softmin_lines(lines.reshape(-1, axis.n), reg, threads=threads)
            h = np.moveaxis(-flat.reshape(lines.shape), -1, at)
        return h


def barycenter(
    grid: Grid, histograms: Vector, shares: Vector, schedule: list[float], debias: bool, tol: float,
    max_iter: int, threads: int, progress: Progress,
) -> tuple[Vector, bool, bool, int, float]:  # fmt: skip
    """The iteration of cpp/src/ot/barycenter.cpp for histograms of shape (K, ...).

    Returns log p, converged, stopped, the number of iterations and the error.
    """
    with np.errstate(divide="ignore"):
        log_a = np.log(histograms)
    wide = shares.reshape(-1, *[1] * len(grid.axes))
    G = np.zeros_like(log_a)  # any start must have a weighted mean of 0
    d = np.zeros(grid.shape)
    log_p, iterations, error, converged, stopped = d, 0, np.inf, False, False
    for reg in schedule:
        last = reg == schedule[-1]
        here = 0
        while True:
            L = grid.softmax(reg * log_a - grid.softmax(G, reg, threads), reg, threads)
            log_p = np.sum(wide * L, axis=0) / reg + (d if debias else 0)
            missed = np.abs(np.exp((G + L) / reg) - np.exp(log_p))
            error = float(shares @ missed.reshape(shares.size, -1).sum(axis=1))
            iterations += 1
            here += 1
            G = reg * log_p - L
            if debias:
                d = 0.5 * (d + log_p - grid.softmax(reg * d, reg, threads) / reg)
            hook = progress.hook
            stopped = hook is not None and hook("barycenter", iterations, error)
            converged = last and error <= tol
            if converged or stopped or iterations >= max_iter:
                return log_p, converged, stopped, iterations, error
            if not last and (error <= LEVEL_ERROR or here >= LEVEL_ITERATIONS):
                break
    return log_p, converged, stopped, iterations, error
