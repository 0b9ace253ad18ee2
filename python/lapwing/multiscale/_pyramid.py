"""Gaussian and Laplacian pyramids of images, with the arithmetic of OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _threads, _validate
from lapwing.multiscale._adjoint import gather, scatter
from lapwing.multiscale._dwt import _as, _real, as_array, check_axes
from lapwing.multiscale._wavelet import Wavelet

__all__ = ["gaussian_pyramid", "laplacian_pyramid", "laplacian_reconstruct", "pyr_down", "pyr_up"]

Array = NDArray[Any]
_INTEGERS = (np.uint8, np.uint16, np.int16)
BORDERS = ("opencv", "symmetric")


def _image(x: Any, name: str, check_finite: bool = False) -> Array:
    if hasattr(x, "__cuda_array_interface__"):
        _backend.extension("cuda", name)
    array = np.asarray(x)
    dtype = array.dtype.newbyteorder("=")
    if dtype in _INTEGERS and array.ndim and array.size:
        return array.astype(dtype, copy=False)
    return as_array(array, name, check_finite)


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

    def empty(
        self, like: Array, sizes: Sequence[int], dtype: np.dtype[Any], out: Array | None = None
    ) -> tuple[Array, Array]:
        """An array with those sizes along the axes, and its view in four dimensions.

        It is `out`, where that is dense enough and of the dtype.
        """
        if out is not None and out.dtype == dtype and np.shares_memory(view := self.view(out), out):
            return out, view
        shape = [like.shape[a] for a in self.order]
        at = self.order.index(self.axes[0])
        shape[at : at + len(sizes)] = sizes
        dense = np.empty(shape, dtype)
        rows, columns = sizes if len(sizes) == 2 else (1, sizes[0])
        return dense.transpose(np.argsort(self.order)), dense.reshape(-1, rows, columns, self.channels)


def coarser(sizes: Sequence[int]) -> list[int]:
    """Sizes of the next image of a pyramid."""
    return [(n + 1) // 2 for n in sizes]


def check_a(a: Any, dtype: np.dtype[Any]) -> float:
    """The middle weight of the kernel, checked."""
    value = _validate.check_number(a, "a")
    if not np.isfinite(value):
        raise ValueError(f"a must be finite, got {value}")
    if dtype.kind in "iu" and value != 0.375:
        raise ValueError(f"a must be 0.375 for images of {dtype}, got {value}")
    return value


def pyr_down(
    x: Any,
    a: float = 0.375,
    *,
    axes: Sequence[int] = (-2, -1),
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Array:
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
    check_finite, n_jobs
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
    image = _image(x, "x", check_finite)
    layout = _Layout(image, axes)
    value = check_a(a, image.dtype)
    return _down(image, layout, value, _threads.resolve(n_jobs))


def _down(image: Array, layout: _Layout, a: float, threads: int) -> Array:
    real = _real(image)
    out, view = layout.empty(real, coarser([real.shape[i] for i in layout.axes]), real.dtype)
    _backend.extension().pyramid_down(layout.view(real), a, view, threads, None)
    return _as(np.ascontiguousarray(out) if image.dtype.kind == "c" else out, image.dtype)


def pyr_up(
    x: Any, shape: Sequence[int] | None = None, border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
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
    check_finite, n_jobs
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
    image = _image(x, "x", check_finite)
    layout = _Layout(image, axes)
    how = str(_validate.check_choice(border, "border", BORDERS))
    now = [image.shape[a] for a in layout.axes]
    sizes = [2 * n for n in now] if shape is None else [int(n) for n in shape]
    if coarser(sizes) != now:
        raise ValueError(f"shape must be 2 n - 1 or 2 n for sizes {tuple(now)}, got {tuple(sizes)}")
    return _up(image, layout, sizes, how, _threads.resolve(n_jobs))


def _up(image: Array, layout: _Layout, sizes: Sequence[int], border: str, threads: int) -> Array:
    real = _real(image)
    out, view = layout.empty(real, sizes, real.dtype)
    _backend.extension().pyramid_up(layout.view(real), border, view, threads, None)
    return _as(np.ascontiguousarray(out) if image.dtype.kind == "c" else out, image.dtype)


def _down_bank(a: float) -> Wavelet:
    """The bank whose low band, in mode "reflect" and from its second entry on, is what `pyr_down` gives."""
    outer = 0.25 - a / 2
    lo = [0.0, outer, 0.25, a, 0.25, outer]
    return Wavelet("pyramid", (lo, [0.0] * 6, lo, [0.0] * 6))


# of synthesis, in mode "zero", from an image with one more entry on either side
_UP = [0.125, 0.5, 0.75, 0.5, 0.125, 0.0]


def _down_adjoint(g: Array, sizes: Sequence[int], a: float, axes: Sequence[int], threads: int) -> Array:
    """The transpose of `pyr_down` for images of these sizes along axes."""
    bank = _down_bank(a)
    for axis, n in zip(axes, sizes, strict=True):
        if n == 1:
            continue
        width = [(0, 0)] * g.ndim
        width[axis] = (1, (n + 5) // 2 - 1 - g.shape[axis])
        low = np.pad(g, width)
        g = gather(low, np.zeros_like(low), n, axis, bank, "reflect", threads)
    return g


def _up_adjoint(y: Array, border: str, axes: Sequence[int], threads: int) -> Array:
    """The transpose of `pyr_up`."""
    bank = Wavelet("pyramid", (_UP, [0.0] * 6, _UP, [0.0] * 6))
    for axis in axes:
        if y.shape[axis] % 2:
            width = [(0, 0)] * y.ndim
            width[axis] = (0, 1)
            y = np.pad(y, width)
        n = y.shape[axis] // 2
        wide = np.moveaxis(scatter(y, axis, bank, "zero", threads)[0], axis, 0)
        g = wide[1:-1].copy()
        g[min(1, n - 1) if border == "opencv" else 0] += wide[0]
        g[-1] += wide[-1]
        y = np.moveaxis(g, 0, axis)
    return y


def level_with_adjoint(
    arrays: Sequence[Array], axes: Sequence[int], sizes: Sequence[int], what: str, a: float, border: str,
    threads: int, transposed: bool,
) -> list[Array]:  # fmt: skip
    """A level of a pyramid as a linear map, or its transpose.

    Parameters
    ----------
    arrays : list of array
        "down": an image. "up": a coarser one. "split": an image, of which the coarser one and what it lacks
        are made. "join": these two. Transposed: what the map makes.
    axes : sequence of int
    sizes : sequence of int
        Of the finer image along axes.
    what : {"down", "up", "split", "join"}
    a, border, threads
        As for `laplacian_pyramid`.
    transposed : bool

    Returns
    -------
    list of array
    """
    first = arrays[0]
    where = check_axes(axes, first.ndim)
    if not transposed:
        layout = _Layout(first, where)
        if what == "down":
            return [_down(first, layout, a, threads)]
        if what == "up":
            return [_up(first, layout, sizes, border, threads)]
        if what == "split":
            return list(_split(first, layout, a, border, threads))
        return [_join(first, arrays[1], where, border, threads)]
    if what == "down":
        return [_down_adjoint(first, sizes, a, where, threads)]
    if what == "up":
        return [_up_adjoint(first, border, where, threads)]
    if what == "split":
        low, detail = arrays
        rest = low - _up_adjoint(detail, border, where, threads)
        return [detail + _down_adjoint(rest, sizes, a, where, threads)]
    return [_up_adjoint(first, border, where, threads), first]


def gaussian_pyramid(
    x: Any,
    levels: int,
    a: float = 0.375,
    *,
    axes: Sequence[int] = (-2, -1),
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> list[Array]:
    """An image and its coarser versions, each by `pyr_down` from the one before.

    Parameters
    ----------
    x, a, axes, check_finite, n_jobs
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
    image = _image(x, "x", check_finite)
    layout = _Layout(image, axes)
    value = check_a(a, image.dtype)
    count = _validate.check_integer(levels, "levels", 0)
    threads = _threads.resolve(n_jobs)
    out = [image]
    for _ in range(count):
        out.append(_down(out[-1], layout, value, threads))
    return out


def laplacian_pyramid(
    x: Any, levels: int, a: float = 0.375, border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), out: list[Array] | None = None, check_finite: bool = False,
    n_jobs: int | None = None,
) -> list[Array]:  # fmt: skip
    """What each level of a Gaussian pyramid has beyond the next one enlarged, and the coarsest image.

    Parameters
    ----------
    x, a, axes, check_finite, n_jobs
        As for `pyr_down`.
    levels : int
        How many details.
    border : {"opencv", "symmetric"}, default="opencv"
        As for `pyr_up`.
    out : list of array or None, default=None
        Where to put them: large images that are made again and again need no fresh memory then.

    Returns
    -------
    list of array
        Details from fine to coarse, then the coarsest image. Details of uint8 are int16, those of uint16 and
        int16 int32, so that nothing is lost.

    Raises
    ------
    ValueError, TypeError
        As for `pyr_down` and `pyr_up`; `levels` is negative; `out` has another shape or dtype, or overlaps
        `x`.

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
    image = _image(x, "x", check_finite)
    layout = _Layout(image, axes)
    value = check_a(a, image.dtype)
    how = str(_validate.check_choice(border, "border", BORDERS))
    count = _validate.check_integer(levels, "levels", 0)
    threads = _threads.resolve(n_jobs)
    places = _places(out, image, layout.axes, count)
    made: list[Array] = []
    for number in range(count):
        last = places[-1] if number == count - 1 else None
        image, detail = _split(image, layout, value, how, threads, last, places[number])
        made.append(detail)
    made.append(image if count else image.copy())
    return [_put(x, place) for x, place in zip(made, places, strict=True)]


def _places(out: Any, image: Array, axes: Sequence[int], count: int) -> list[Array | None]:
    """Where the levels of a pyramid go, checked; None: new arrays."""
    if out is None:
        return [None] * (count + 1)
    if not isinstance(out, (list, tuple)) or len(out) != count + 1:
        raise ValueError(f"out must be a list of {count + 1} arrays")
    shape = list(image.shape)
    kept = image.dtype if image.dtype.kind not in "iu" else _detail_dtype(image.dtype)
    for number, place in enumerate(out):
        _check_place(place, f"out[{number}]", shape, image.dtype if number == count else kept, [image])
        for axis in axes:
            shape[axis] = (shape[axis] + 1) // 2
    return list(out)


def _check_place(
    place: Any, name: str, shape: Sequence[int], dtype: np.dtype[Any], sources: Sequence[Array]
) -> None:
    if not isinstance(place, np.ndarray):
        raise TypeError(f"{name} must be an array, got {type(place).__name__}")
    if list(place.shape) != list(shape):
        raise ValueError(f"{name} has shape {place.shape}, and {tuple(shape)} is needed")
    if place.dtype != dtype:
        raise TypeError(f"{name} has dtype {place.dtype}, and {dtype} is needed")
    if not place.flags.writeable:
        raise ValueError(f"{name} is read-only")
    if any(np.may_share_memory(place, x) and np.shares_memory(place, x) for x in sources):
        raise ValueError(f"{name} overlaps what is transformed")


def _put(x: Array, place: Array | None) -> Array:
    """`x` where it belongs."""
    if place is None or place is x:
        return x
    place[...] = x
    return place


def _split(
    image: Array, layout: _Layout, a: float, border: str, threads: int,
    low_out: Array | None = None, detail_out: Array | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """The coarser image, and what it lacks; in given places where these will do."""
    real = _real(image)
    sizes = [real.shape[i] for i in layout.axes]
    low, low_view = layout.empty(real, coarser(sizes), real.dtype, low_out)
    detail, detail_view = layout.empty(real, sizes, _detail_dtype(real.dtype), detail_out)
    _backend.extension().pyramid_split(layout.view(real), a, border, low_view, detail_view, threads, None)
    if image.dtype.kind == "c":
        low, detail = np.ascontiguousarray(low), np.ascontiguousarray(detail)
    return _as(low, image.dtype), _as(detail, detail.dtype if image.dtype.kind in "iu" else image.dtype)


def laplacian_reconstruct(
    pyramid: Sequence[Any], border: str = "opencv",
    *, axes: Sequence[int] = (-2, -1), out: Array | None = None, check_finite: bool = False,
    n_jobs: int | None = None,
) -> Array:  # fmt: skip
    """Undo `laplacian_pyramid`.

    Parameters
    ----------
    pyramid : list of array
        As from `laplacian_pyramid`. The last one tells the dtype of the result; integers are cut to its
        range.
    border, axes, check_finite, n_jobs
        As for `laplacian_pyramid`.
    out : array or None, default=None
        Where to put the result.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        The pyramid is empty, or the shapes of its levels do not go together; `out` has another shape, or
        overlaps `pyramid`.
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
    how = str(_validate.check_choice(border, "border", BORDERS))
    threads = _threads.resolve(n_jobs)
    image = _image(pyramid[-1], f"pyramid[{len(pyramid) - 1}]", check_finite)
    axes = check_axes(axes, image.ndim)
    whole = image.dtype.kind in "iu"
    wanted = _detail_dtype(image.dtype)
    for number in range(len(pyramid) - 2, -1, -1):
        name = f"pyramid[{number}]"
        detail = np.asarray(pyramid[number])
        if not whole:
            detail = as_array(detail, name, check_finite)
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
        detail = detail.astype(wanted, copy=False) if whole else detail
        if out is not None and number == 0:
            _check_place(out, "out", detail.shape, image.dtype, [image, detail])
        image = _join(image, detail, axes, how, threads, None if number else out)
    if len(pyramid) > 1:
        return _put(image, out)
    if out is not None:
        _check_place(out, "out", image.shape, image.dtype, [image])
    return _put(image.copy(), out)


def _join(
    image: Array, detail: Array, axes: Sequence[int], border: str, threads: int, out: Array | None = None
) -> Array:
    """Undo `_split`."""
    layout = _Layout(detail, axes)
    real, low = layout.view(_real(detail)), _real(image)
    whole, view = layout.empty(low, [detail.shape[a] for a in axes], low.dtype, out)
    _backend.extension().pyramid_join(layout.view(low), real, border, view, threads, None)
    return _as(np.ascontiguousarray(whole) if image.dtype.kind == "c" else whole, image.dtype)
