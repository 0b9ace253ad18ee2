"""Gaussian and Laplacian pyramids of images, with the arithmetic of OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.multiscale._dwt import _as, _real, as_array, check_axes

__all__ = ["gaussian_pyramid", "laplacian_pyramid", "laplacian_reconstruct", "pyr_down", "pyr_up"]

Array = NDArray[Any]
_INTEGERS = (np.uint8, np.uint16, np.int16)
_BORDERS = ("opencv", "symmetric")


def _image(x: Any, name: str) -> Array:
    array = np.asarray(x)
    dtype = array.dtype.newbyteorder("=")
    if dtype in _INTEGERS and array.ndim and array.size:
        return array.astype(dtype, copy=False)
    return as_array(array, name)


def _detail_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Of differences of two images of `dtype`, without loss."""
    if dtype.kind in "iu":
        return np.dtype(np.int16 if dtype.itemsize == 1 else np.int32)
    return dtype


class _Layout:
    """Images as planes x rows x columns x channels, the last two dense, and back."""

    def __init__(self, x: Array, axes: Any) -> None:
        self.dtype = x.dtype
        real = _real(x)
        where = check_axes(axes, x.ndim)
        if len(where) not in (1, 2):
            raise ValueError(f"axes must be one or two, got {len(where)}")
        self.axes = where
        columns = where[-1]
        others = [a for a in range(real.ndim) if a not in where]
        after = [a for a in others if abs(real.strides[a]) < abs(real.strides[columns])]
        order = [*(a for a in others if a not in after), *where, *after]
        channels = int(np.prod([real.shape[a] for a in after], dtype=np.int64))
        step = real.itemsize
        for axis in (*reversed(after), columns):
            if real.strides[axis] != step and real.shape[axis] > 1:  # such an image is copied
                order, after, channels = [*others, *where], [], 1
                break
            step *= real.shape[axis]
        self.order, self.after, self.channels = order, after, channels

    def view(self, x: Array) -> Array:
        """In four dimensions; copied if columns and channels are not dense."""
        shape = [x.shape[a] for a in self.axes]
        rows, columns = shape if len(shape) == 2 else (1, shape[0])
        x = x.transpose(self.order).reshape(-1, rows, columns, self.channels)
        dense = (columns == 1 or x.strides[2] == self.channels * x.itemsize) and (
            self.channels == 1 or x.strides[3] == x.itemsize
        )
        return x if dense else np.ascontiguousarray(x)

    def empty(self, like: Array, sizes: Sequence[int], dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """An array with those sizes along the axes, and its view in four dimensions."""
        shape = [like.shape[a] for a in self.order]
        at = self.order.index(self.axes[0])
        shape[at : at + len(sizes)] = sizes
        dense = np.empty(shape, dtype)
        rows, columns = sizes if len(sizes) == 2 else (1, sizes[0])
        return dense.transpose(np.argsort(self.order)), dense.reshape(-1, rows, columns, self.channels)


def _coarser(sizes: Sequence[int]) -> list[int]:
    return [(n + 1) // 2 for n in sizes]


def _check_a(a: Any, dtype: np.dtype[Any]) -> float:
    value = _validate.check_number(a, "a")
    if not np.isfinite(value):
        raise ValueError(f"a must be finite, got {value}")
    if dtype.kind in "iu" and value != 0.375:
        raise ValueError(f"a must be 0.375 for images of {dtype}, got {value}")
    return value


def pyr_down(x: Any, a: float = 0.375, *, axes: Sequence[int] = (-2, -1), n_jobs: int | None = None) -> Array:
    """Smooth an image and keep every second row and column.

    Parameters
    ----------
    x : array
        Real or complex, of any shape and strides. uint8, uint16, int16, float16, float32, float64, complex64
        and complex128 are kept (arithmetic is exact for integers, with one rounding, and in float32 for
        float16); other integers become float64.
    a : float, default=0.375
        The kernel is ``[1/4 - a/2, 1/4, a, 1/4, 1/4 - a/2]``: 0.375 is binomial, as in OpenCV, and the only
        one for integers; 0.4 is Burt and Adelson's.
    axes : one or two int, default=(-2, -1)
        The others are a batch.
    n_jobs : int or None
        As for `dwt`.

    Returns
    -------
    array
        ``(n + 1) // 2`` entries along each of `axes`.

    Raises
    ------
    ValueError
        There are more than two axes, an axis is not there or empty, or `a` is not for the dtype.
    TypeError
        `x` holds no numbers, or is boolean.

    Notes
    -----
    The image is mirrored about its first and last sample.

    References
    ----------
    Peter J. Burt, Edward H. Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import pyr_down
    >>> pyr_down(np.array([[0, 16, 32, 48]] * 2, np.uint8)).tolist()
    [[12, 30]]
    """
    image = _image(x, "x")
    layout = _Layout(image, axes)
    value = _check_a(a, image.dtype)
    return _down(image, layout, value, _threads.resolve(n_jobs))


def _down(image: Array, layout: _Layout, a: float, threads: int) -> Array:
    real = _real(image)
    out, view = layout.empty(real, _coarser([real.shape[i] for i in layout.axes]), real.dtype)
    _backend.extension().pyramid_down(layout.view(real), a, view, threads, None)
    return _as(np.ascontiguousarray(out) if image.dtype.kind == "c" else out, image.dtype)


def pyr_up(
    x: Any, shape: Sequence[int] | None = None, border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Enlarge an image to twice as many rows and columns, smoothly.

    Parameters
    ----------
    x : array
        As for `pyr_down`.
    shape : sequence of int or None, default=None
        Sizes along `axes`, each ``2 n - 1`` or ``2 n``. None: ``2 n``.
    border : {"opencv", "symmetric"}, default="opencv"
        How `x` goes on: mirrored about its first sample and with its last one repeated, as OpenCV has it; or
        with both repeated.
    axes : one or two int, default=(-2, -1)
    n_jobs : int or None
        As for `dwt`.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        `shape` does not go with `x`, there is no such border, or an argument of `pyr_down` is wrong.
    TypeError
        As for `pyr_down`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import pyr_up
    >>> pyr_up(np.array([8.0, 16.0]), axes=(0,)).tolist()
    [10.0, 12.0, 15.0, 16.0]
    """
    image = _image(x, "x")
    layout = _Layout(image, axes)
    how = str(_validate.check_choice(border, "border", _BORDERS))
    now = [image.shape[a] for a in layout.axes]
    sizes = [2 * n for n in now] if shape is None else [int(n) for n in shape]
    if _coarser(sizes) != now:
        raise ValueError(f"shape must be 2 n - 1 or 2 n for sizes {tuple(now)}, got {tuple(sizes)}")
    return _up(image, layout, sizes, how, _threads.resolve(n_jobs))


def _up(image: Array, layout: _Layout, sizes: Sequence[int], border: str, threads: int) -> Array:
    real = _real(image)
    out, view = layout.empty(real, sizes, real.dtype)
    _backend.extension().pyramid_up(layout.view(real), border, view, threads, None)
    return _as(np.ascontiguousarray(out) if image.dtype.kind == "c" else out, image.dtype)


def gaussian_pyramid(
    x: Any, levels: int, a: float = 0.375, *, axes: Sequence[int] = (-2, -1), n_jobs: int | None = None
) -> list[Array]:
    """An image and its coarser versions, each by `pyr_down` from the one before.

    Parameters
    ----------
    x, a, axes, n_jobs
        As for `pyr_down`.
    levels : int
        How many coarser versions.

    Returns
    -------
    list of array
        ``levels + 1`` of them; the first is `x`, not copied if it is an array of a dtype that is kept.

    Raises
    ------
    ValueError, TypeError
        As for `pyr_down`; `levels` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import gaussian_pyramid
    >>> [g.shape for g in gaussian_pyramid(np.ones((9, 6)), 3)]
    [(9, 6), (5, 3), (3, 2), (2, 1)]
    """
    image = _image(x, "x")
    layout = _Layout(image, axes)
    value = _check_a(a, image.dtype)
    count = _validate.check_integer(levels, "levels", 0)
    threads = _threads.resolve(n_jobs)
    out = [image]
    for _ in range(count):
        out.append(_down(out[-1], layout, value, threads))
    return out


def laplacian_pyramid(
    x: Any, levels: int, a: float = 0.375, border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), n_jobs: int | None = None,
) -> list[Array]:  # fmt: skip
    """What each level of a Gaussian pyramid has beyond the next one enlarged, and the coarsest image.

    Parameters
    ----------
    x, a, axes, n_jobs
        As for `pyr_down`.
    levels : int
        How many details.
    border : {"opencv", "symmetric"}, default="opencv"
        As for `pyr_up`.

    Returns
    -------
    list of array
        Details from fine to coarse, then the coarsest image. Details of uint8 are int16, those of uint16 and
        int16 int32, so that nothing is lost.

    Raises
    ------
    ValueError, TypeError
        As for `pyr_down` and `pyr_up`; `levels` is negative.

    Notes
    -----
    The enlarged image is never in memory: a level is one pass over the image.

    References
    ----------
    Peter J. Burt, Edward H. Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import laplacian_pyramid, laplacian_reconstruct
    >>> image = np.random.default_rng(0).integers(0, 256, (33, 20)).astype(np.uint8)
    >>> details = laplacian_pyramid(image, 3)
    >>> details[0].dtype, bool((laplacian_reconstruct(details) == image).all())
    (dtype('int16'), True)
    """
    image = _image(x, "x")
    layout = _Layout(image, axes)
    value = _check_a(a, image.dtype)
    how = str(_validate.check_choice(border, "border", _BORDERS))
    count = _validate.check_integer(levels, "levels", 0)
    threads = _threads.resolve(n_jobs)
    core = _backend.extension()
    out: list[Array] = []
    dense = image.dtype.kind == "c"
    for _ in range(count):
        real = _real(image)
        sizes = [real.shape[i] for i in layout.axes]
        low, low_view = layout.empty(real, _coarser(sizes), real.dtype)
        detail, detail_view = layout.empty(real, sizes, _detail_dtype(real.dtype))
        core.pyramid_split(layout.view(real), value, how, low_view, detail_view, threads, None)
        kept = image.dtype if image.dtype.kind not in "iu" else detail.dtype
        out.append(_as(np.ascontiguousarray(detail) if dense else detail, kept))
        image = _as(np.ascontiguousarray(low) if dense else low, image.dtype)
    out.append(image if count else image.copy())
    return out


def laplacian_reconstruct(
    pyramid: Sequence[Any], border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `laplacian_pyramid`.

    Parameters
    ----------
    pyramid : list of array
        As from `laplacian_pyramid`. The last one tells the dtype of the result; integers are cut to its
        range.
    border, axes, n_jobs
        As for `laplacian_pyramid`.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        The pyramid is empty, or the shapes of its levels do not go together.
    TypeError
        A level holds no numbers, or a detail has not the dtype that goes with the coarsest image.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import laplacian_pyramid, laplacian_reconstruct
    >>> x = np.arange(35.0).reshape(5, 7)
    >>> bool(np.allclose(laplacian_reconstruct(laplacian_pyramid(x, 2)), x))
    True
    """
    if len(pyramid) < 1:
        raise ValueError("pyramid must hold at least the coarsest image")
    how = str(_validate.check_choice(border, "border", _BORDERS))
    threads = _threads.resolve(n_jobs)
    image = _image(pyramid[-1], f"pyramid[{len(pyramid) - 1}]")
    axes = check_axes(axes, image.ndim)
    whole = image.dtype.kind in "iu"
    wanted = _detail_dtype(image.dtype)
    for number in range(len(pyramid) - 2, -1, -1):
        name = f"pyramid[{number}]"
        detail = np.asarray(pyramid[number])
        if not whole:
            detail = as_array(detail, name)
        elif detail.dtype.kind not in "iu" or not np.can_cast(detail.dtype, wanted):
            raise TypeError(f"{name} must hold {wanted}, got {detail.dtype}")
        shape = list(image.shape)
        if detail.ndim == image.ndim:
            for axis in axes:
                shape[axis] = detail.shape[axis]
        if list(detail.shape) != shape or any((shape[a] + 1) // 2 != image.shape[a] for a in axes):
            raise ValueError(
                f"{name} has shape {detail.shape}, which does not go with {image.shape} above it"
            )
        if not whole:
            dtype = np.result_type(image, detail)
            image, detail = image.astype(dtype, copy=False), detail.astype(dtype, copy=False)
        layout = _Layout(detail.astype(wanted, copy=False) if whole else detail, axes)
        real, low = layout.view(_real(detail.astype(wanted, copy=False) if whole else detail)), _real(image)
        out, view = layout.empty(low, [detail.shape[a] for a in axes], low.dtype)
        _backend.extension().pyramid_join(layout.view(low), real, how, view, threads, None)
        image = _as(np.ascontiguousarray(out) if image.dtype.kind == "c" else out, image.dtype)
    return image if len(pyramid) > 1 else image.copy()
