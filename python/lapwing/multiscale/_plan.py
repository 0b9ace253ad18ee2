"""Transforms of one shape, planned once."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads
from lapwing.multiscale._adjoint import wavedecn_adjoint
from lapwing.multiscale._dwt import analyse_levels, at_once, check_axes, is_half, synthesise_levels
from lapwing.multiscale._levels import waverecn
from lapwing.multiscale._pack import wavedecn_shapes
from lapwing.multiscale._wavelet import for_axes

__all__ = ["WaveletPlan"]

Array = NDArray[Any]


def _taken_by(call: Callable[[], Any]) -> int:
    """Most memory of the core and of arrays that a call takes at a time."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        core = _backend.extension().scratch_of(call)
        return int(core) + tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


class WaveletPlan:
    """A multilevel transform of arrays of one shape and dtype, into one array.

    With "periodization" and lengths that halve evenly the array of coefficients has the shape of the data,
    with the approximation in its first corner, as from `pack`. Otherwise it has one axis: the approximation,
    then the bands, the coarsest first.

    Parameters
    ----------
    shape : sequence of int
        Of the data.
    dtype : dtype
        float16, bfloat16, float32, float64, complex64 or complex128.
    wavelet, mode, level, axes, n_jobs
        As for `wavedecn`.

    Attributes
    ----------
    shape, dtype, axes, level
        Of the data and the transform.
    coeffs_shape : tuple of int
        Of the array of coefficients.
    workspace_bytes : int
        Most memory that `forward` or `inverse` takes for a while, besides argument and result. It is measured
        on zeros when it is first asked for; with several threads it differs a little from call to call.

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
    >>> import numpy as np
    >>> from lapwing.multiscale import WaveletPlan
    >>> plan = WaveletPlan((64, 64), np.float32, "db2", "periodization", level=3)
    >>> x = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    >>> coeffs = plan.forward(x)
    >>> coeffs.shape, plan.bands(coeffs)[0].shape
    ((64, 64), (8, 8))
    >>> bool(np.allclose(plan.inverse(coeffs), x, atol=1e-5))
    True
    """

    def __init__(
        self, shape: Sequence[int], dtype: Any, wavelet: Any, mode: Any = "symmetric",
        level: int | None = None, axes: Sequence[int] | None = None, *, n_jobs: int | None = None,
    ) -> None:  # fmt: skip
        self.dtype = np.dtype(dtype)
        if self.dtype.char not in "efdFD" and not is_half(self.dtype):
            raise TypeError(f"dtype must be of floating point or complex numbers, got {self.dtype}")
        layout = wavedecn_shapes(shape, wavelet, mode, level, axes)
        self.shape = tuple(int(n) for n in shape)
        self.axes = check_axes(axes, len(self.shape))
        self.level = len(layout) - 1
        self._wavelets, self._modes = for_axes(wavelet, mode, len(self.axes))
        self._n_jobs, self._threads = n_jobs, _threads.resolve(n_jobs)
        self._layout = layout
        sizes = [layout[0], *(s for bands in layout[1:] for s in bands.values())]
        count = sum(math.prod(s) for s in sizes)
        whole = all(self.shape[a] % 2**self.level == 0 for a in self.axes)
        self._packed = not self.level or (whole and all(m == "periodization" for m in self._modes))
        self.coeffs_shape = self.shape if self._packed else (count,)
        self._places = self._packed_places() if self._packed else []
        self._workspace: int | None = None

    def _packed_places(self) -> list[dict[str, tuple[slice, ...]]]:
        """Where the bands of each entry of the layout are in a packed array."""
        out = []
        for number, entry in enumerate(self._layout):
            bands = {}
            for key, size in (entry if number else {"a" * len(self.axes): entry}).items():
                place = [slice(None)] * len(self.shape)
                for letter, axis in zip(key, self.axes, strict=True):
                    n = size[axis]
                    place[axis] = slice(n, 2 * n) if letter == "d" else slice(n)
                bands[key] = tuple(place)
            out.append(bands)
        return out

    @property
    def workspace_bytes(self) -> int:
        """Most memory that a transform takes for a while, besides argument and result."""
        if self._workspace is None:
            x, coeffs = np.zeros(self.shape, self.dtype), np.zeros(self.coeffs_shape, self.dtype)
            there = _taken_by(lambda: self.forward(x, coeffs))
            self._workspace = max(there, _taken_by(lambda: self.inverse(coeffs, x)))
        return self._workspace

    def bands(self, coeffs: Any) -> list[Any]:
        """Views of an array of coefficients, in the form that `wavedecn` gives."""
        packed = self._check(coeffs, self.coeffs_shape, "coeffs")
        if self._packed:
            low, *levels = [{k: packed[p] for k, p in places.items()} for places in self._places]
            return [low["a" * len(self.axes)], *levels]
        out: list[Any] = []
        at = 0
        for number, entry in enumerate(self._layout):
            bands = {}
            for key, size in (entry if number else {"a" * len(self.axes): entry}).items():
                end = at + math.prod(size)
                bands[key] = packed[at:end].reshape(size)
                at = end
            out.append(bands if number else bands["a" * len(self.axes)])
        return out

    def forward(self, x: Any, out: Array | None = None) -> Array:
        """The coefficients of `x`.

        Parameters
        ----------
        x : array
            Of the shape and dtype of the plan.
        out : array or None, default=None
            Where to put them, of `coeffs_shape`; it may be `x` itself.

        Returns
        -------
        array of shape coeffs_shape

        Raises
        ------
        ValueError
            `x` or `out` has another shape, or they overlap in part.
        TypeError
            `x` or `out` has another dtype.
        """
        data = self._check(x, self.shape, "x")
        data, to = self._target(data, out, self.coeffs_shape)
        low, *levels = self.bands(to)
        if self.level:
            analyse_levels(
                data, self.axes, self._wavelets, self._modes, self.level, self._threads, (low, levels[::-1])
            )
        else:
            low[...] = data
        return to

    def inverse(self, coeffs: Any, out: Array | None = None) -> Array:
        """What has these coefficients.

        Parameters
        ----------
        coeffs : array of shape coeffs_shape
        out : array or None, default=None
            Where to put it, of the shape of the plan; it may be `coeffs` itself.

        Returns
        -------
        array of the plan's shape

        Raises
        ------
        ValueError, TypeError
            As for `forward`.
        """
        given = self._check(coeffs, self.coeffs_shape, "coeffs")
        given, to = self._target(given, out, self.shape)
        low, *levels = self.bands(given)
        if not self.level:
            to[...] = low
        elif at_once(self.axes):
            sizes = [next(iter(bands.values())).shape for bands in levels]
            synthesise_levels(
                low, levels[::-1], sizes[::-1], self.axes, self._wavelets, self._modes, self.shape,
                self._threads, to,
            )  # fmt: skip
        else:
            to[...] = waverecn(
                [low, *levels], self._wavelets, self._modes, self.axes, shape=self.shape, n_jobs=self._n_jobs
            )
        return to

    def adjoint(self, coeffs: Any, out: Array | None = None) -> Array:
        """The transpose of `forward`, taken as a matrix, times coefficients.

        Parameters
        ----------
        coeffs : array of shape coeffs_shape
        out : array or None, default=None
            As for `inverse`.

        Returns
        -------
        array of the plan's shape

        Raises
        ------
        ValueError, TypeError
            As for `forward`.
        """
        if self._packed and all(w.orthogonal for w in self._wavelets):
            return self.inverse(coeffs, out)
        given = self._check(coeffs, self.coeffs_shape, "coeffs")
        given, to = self._target(given, out, self.shape)
        to[...] = wavedecn_adjoint(
            self.bands(given), self._wavelets, self._modes, self.axes, shape=self.shape, n_jobs=self._n_jobs
        )
        return to

    def _check(self, array: Any, shape: tuple[int, ...], name: str) -> Array:
        given = np.asarray(array)
        if given.shape != shape:
            raise ValueError(f"{name} has shape {given.shape}, and the plan is for {shape}")
        if given.dtype != self.dtype:
            raise TypeError(f"{name} has dtype {given.dtype}, and the plan is for {self.dtype}")
        return given

    def _target(self, source: Array, out: Array | None, shape: tuple[int, ...]) -> tuple[Array, Array]:
        if out is None:
            return source, np.empty(shape, self.dtype)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be an array, got {type(out).__name__}")
        to = self._check(out, shape, "out")
        if not to.flags.writeable:
            raise ValueError("out is read-only")
        if np.shares_memory(source, to):
            same = source.shape == to.shape and source.strides == to.strides
            if not (same and source.__array_interface__["data"] == to.__array_interface__["data"]):
                raise ValueError("out overlaps what is transformed, without being the same")
            source = source.copy()
        return source, to
