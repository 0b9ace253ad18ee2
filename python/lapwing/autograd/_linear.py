"""Stationary transforms, lifting and pyramids for tensors: one operator for all linear maps among them.

A map is a function of arrays and its transpose; the gradient of one is the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lapwing import _threads, _validate
from lapwing.autograd import _multiscale as wavelets
from lapwing.multiscale import _lifting as lifting
from lapwing.multiscale import _pyramid as images
from lapwing.multiscale import _swt as stationary
from lapwing.multiscale._dwt import band_keys, check_bands, check_two

__all__ = ["FUNCTIONS"]


# ---- maps of arrays ----------------------------------------------------------------------------------------
# f(arrays, axes, the largest sizes along axes, options, transposed): a list of arrays. Coefficients are plain
# lists, with all their bands in order.


def _named(flat: Sequence[Any], axes: Sequence[int], trimmed: bool) -> list[Any]:
    keys = band_keys(len(axes))[int(trimmed) :]
    levels = [
        dict(zip(keys, flat[i : i + len(keys)], strict=True))
        for i in range(int(trimmed), len(flat), len(keys))
    ]
    return [flat[0], *levels] if trimmed else levels


def _flat(coeffs: Sequence[Any]) -> list[Any]:
    return [x for c in coeffs for x in ([c[k] for k in sorted(c)] if isinstance(c, dict) else [c])]


def _positive(axes: Sequence[int], ndim: int) -> list[int]:
    return [a % ndim for a in axes]


def _swt(arrays: Sequence[Any], axes: Sequence[int], sizes: Any, o: Any, transposed: bool) -> list[Any]:
    banks, threads = wavelets._wavelets(o["wavelets"]), o["threads"]
    where = _positive(axes, arrays[0].ndim)
    if transposed:
        coeffs = _named(arrays, axes, o["trimmed"])
        return [stationary.swtn_adjoint(coeffs, banks, where, o["start"], o["trimmed"], o["scale"], threads)]
    coeffs = stationary.swtn_levels(
        arrays[0], banks, where, o["start"], o["count"], o["trimmed"], o["scale"], threads
    )
    return _flat(coeffs)


def _iswt(arrays: Sequence[Any], axes: Sequence[int], sizes: Any, o: Any, transposed: bool) -> list[Any]:
    banks, threads = wavelets._wavelets(o["wavelets"]), o["threads"]
    where = _positive(axes, arrays[0].ndim)
    if transposed:
        return _flat(
            stationary.iswtn_adjoint(arrays[0], banks, where, o["count"], o["trimmed"], o["scale"], threads)
        )
    coeffs = _named(arrays, axes, o["trimmed"])
    return [stationary.iswtn_levels(coeffs, banks, where, o["trimmed"], o["scale"], threads)]


def _lwt(arrays: Sequence[Any], axes: Sequence[int], sizes: Any, o: Any, transposed: bool) -> list[Any]:
    if transposed:
        coeffs = _named(arrays, axes, True)
        return [lifting.ilwt_float(coeffs, o["scheme"], axes, o["threads"], transposed=True)]
    return _flat(lifting.lwt_float(arrays[0], o["scheme"], o["count"], axes, o["threads"]))


def _ilwt(arrays: Sequence[Any], axes: Sequence[int], sizes: Any, o: Any, transposed: bool) -> list[Any]:
    if transposed:
        return _flat(
            lifting.lwt_float(arrays[0], o["scheme"], o["count"], axes, o["threads"], transposed=True)
        )
    return [lifting.ilwt_float(_named(arrays, axes, True), o["scheme"], axes, o["threads"])]


def _pyramid(arrays: Sequence[Any], axes: Sequence[int], sizes: Any, o: Any, transposed: bool) -> list[Any]:
    return images.level_with_adjoint(
        arrays, axes, sizes, o["what"], o["a"], o["border"], o["threads"], transposed
    )


_MAPS: dict[str, Callable[..., list[Any]]] = {
    "swt": _swt, "iswt": _iswt, "lwt": _lwt, "ilwt": _ilwt, "pyramid": _pyramid,
}  # fmt: skip


# ---- the operator ------------------------------------------------------------------------------------------


@torch.library.custom_op("lapwing::linear_map", mutates_args=())
def linear_map(
    tensors: Sequence[Tensor],
    name: str,
    options: str,
    transposed: bool,
    axes: Sequence[int],
    sizes_in: Sequence[int],
    sizes_out: Sequence[int],
) -> list[Tensor]:
    """A map, or its transpose; sizes are those along axes of all tensors that it is of and that it makes."""
    finest = [max(column) for column in zip(*wavelets._rows([*sizes_in, *sizes_out], len(axes)), strict=True)]
    out = _MAPS[name]([wavelets._array_of(t) for t in tensors], axes, finest, json.loads(options), transposed)
    return [wavelets._tensor_of(x, tensors[0].dtype) for x in out]


@linear_map.register_fake
def _(
    tensors: Sequence[Tensor],
    name: str,
    options: str,
    transposed: bool,
    axes: Sequence[int],
    sizes_in: Sequence[int],
    sizes_out: Sequence[int],
) -> list[Tensor]:
    first = tensors[0]
    rows = wavelets._rows(sizes_in if transposed else sizes_out, len(axes))
    return [first.new_empty(wavelets._replaced(first.shape, axes, row)) for row in rows]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.name, ctx.options, ctx.transposed, ctx.axes, ctx.sizes_in, ctx.sizes_out = inputs


def _backward(ctx: Any, grads: Any) -> Any:
    back = linear_map(
        list(grads), ctx.name, ctx.options, not ctx.transposed, ctx.axes, ctx.sizes_in, ctx.sizes_out
    )
    return back, None, None, None, None, None, None


def _vmap(info: Any, in_dims: Any, tensors: Sequence[Tensor], *settings: Any) -> Any:
    dims = in_dims[0]
    dims = dims if isinstance(dims, (list, tuple)) else [dims] * len(tensors)
    moved = [wavelets._in_front(t, d, info.batch_size) for t, d in zip(tensors, dims, strict=True)]
    out = linear_map(moved, *settings)
    return out, [0] * len(out)


linear_map.register_autograd(_backward, setup_context=_setup)
linear_map.register_vmap(_vmap)


def _apply(
    name: str, tensors: Sequence[Tensor], options: str, axes: Sequence[int], sizes_in: Any, sizes_out: Any
) -> list[Tensor]:
    flat_in, flat_out = [n for row in sizes_in for n in row], [n for row in sizes_out for n in row]
    out: list[Tensor] = linear_map(list(tensors), name, options, False, list(axes), flat_in, flat_out)
    return out


def _sizes(x: Tensor, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(x.shape[a] for a in axes)


def _from_0(axes: Sequence[int], x: Tensor) -> tuple[int, ...]:
    return tuple(a + x.dim() for a in axes)


def _same_dtype(tensors: Sequence[Tensor]) -> list[Tensor]:
    dtype = tensors[0].dtype
    for t in tensors:
        dtype = torch.promote_types(dtype, t.dtype)
    return [t.to(dtype) for t in tensors]


# These look at nothing but settings: a program that is compiled takes what they say as it is.


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _swt_settings(
    axes: tuple[int, ...], sizes: tuple[int, ...], texts: str, level: Any, start_level: Any, trimmed: bool,
    norm: bool, jobs: Any,
) -> tuple[str, int]:  # fmt: skip
    lengths = dict(zip(axes, sizes, strict=True))
    count, start = stationary.check_levels(lengths, axes, level, start_level)
    scale = 2**-0.5 if stationary.scaled(norm, wavelets._wavelets(texts)) else 1.0
    options = {
        "wavelets": texts, "start": start, "count": count, "trimmed": trimmed, "scale": scale,
        "threads": _threads.resolve(jobs),
    }  # fmt: skip
    return json.dumps(options), count


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _lwt_settings(
    sizes: tuple[int, ...], axes: tuple[int, ...], scheme: Any, level: Any, jobs: Any
) -> tuple[str, int]:
    name = lifting.check_scheme(scheme, False)
    count = lifting.shear_levels(sizes, axes, name, level)
    return json.dumps({"scheme": name, "count": count, "threads": _threads.resolve(jobs)}), count


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _pyramid_settings(what: str, a: Any, border: Any, jobs: Any) -> str:
    options = {
        "what": what,
        "a": images.check_a(a, np.dtype(np.float64)),
        "border": _validate.check_choice(border, "border", images.BORDERS),
        "threads": _threads.resolve(jobs),
    }
    return json.dumps(options)


# ---- the functions of lapwing.multiscale, for tensors ------------------------------------------------------


def swtn(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0, axes: Any = None,
    trim_approx: bool = False, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.swtn`."""
    x = wavelets._floating(data, "data", check_finite)
    texts, _, where = wavelets._settings(wavelet, "periodization", axes, x.dim())
    trimmed, sizes = bool(trim_approx), _sizes(x, where)
    settings = texts, level, start_level, trimmed, bool(norm), n_jobs
    options, count = _swt_settings(_from_0(where, x), sizes, *settings)
    if not count:
        return [x.clone()] if trimmed else []
    bands = 2 ** len(where)
    made = 1 + count * (bands - 1) if trimmed else count * bands
    flat = _apply("swt", [x], options, where, [sizes], [sizes] * made)
    return _named(flat, where, trimmed)


def iswtn(
    coeffs: Sequence[Any], wavelet: Any, axes: Any = None, norm: bool = False,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.iswtn`."""
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least one level")
    trimmed = not isinstance(coeffs[0], dict)
    x = None if not trimmed or coeffs[0] is None else wavelets._floating(coeffs[0], "coeffs[0]", check_finite)
    levels = [
        {
            k: wavelets._floating(b, f"coeffs[{i}][{k!r}]", check_finite)
            for k, b in ({} if c is None else c).items()
            if b is not None
        }
        for i, c in enumerate(coeffs[1:] if trimmed else coeffs, int(trimmed))
    ]
    first = x if x is not None else next((b for bands in levels for b in bands.values()), None)
    if first is None:
        raise ValueError("all of coeffs is None: there is nothing to tell the shape")
    texts, _, where = wavelets._settings(wavelet, "periodization", axes, first.dim())
    sizes = _sizes(first, where)
    for i, bands in enumerate(levels, int(trimmed)):
        check_bands(bands, len(where), f"coeffs[{i}]")
        if bands and (shape := tuple(next(iter(bands.values())).shape)) != tuple(first.shape):
            raise ValueError(f"coeffs[{i}] has bands of shape {shape}, and {tuple(first.shape)} is needed")
    settings = texts, len(levels), 0, trimmed, False, n_jobs
    options, _ = _swt_settings(_from_0(where, first), sizes, *settings)
    if norm:
        options = _with_scale(options, 2**0.5)
    if not levels:
        return first.clone()
    keys = band_keys(len(where))
    flat = [] if not trimmed else [torch.zeros_like(first) if x is None else x]
    for bands in levels:
        flat += [bands[k] if k in bands else torch.zeros_like(first) for k in keys[int(trimmed) :]]
    flat = _same_dtype(flat)
    return _apply("iswt", flat, options, where, [sizes] * len(flat), [sizes])[0]


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _with_scale(options: str, scale: float) -> str:
    return json.dumps({**json.loads(options), "scale": scale})


def swt(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0, axis: int = -1,
    trim_approx: bool = False, norm: bool = False, **settings: Any,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.swt`."""
    coeffs = swtn(data, wavelet, level, start_level, (axis,), trim_approx, norm, **settings)
    return stationary.in_pairs(coeffs, trim_approx)


def iswt(coeffs: Any, wavelet: Any, norm: bool = False, axis: int = -1, **settings: Any) -> Any:
    """`lapwing.multiscale.iswt`."""
    return iswtn(stationary.from_pairs(coeffs), wavelet, (axis,), norm, **settings)


def swt2(
    data: Any, wavelet: Any, level: int | None = None, start_level: int = 0, axes: Any = (-2, -1),
    trim_approx: bool = False, norm: bool = False, **settings: Any,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.swt2`."""
    check_two(axes)
    coeffs = swtn(data, wavelet, level, start_level, axes, trim_approx, norm, **settings)
    return stationary.in_fours(coeffs, trim_approx)


def iswt2(coeffs: Any, wavelet: Any, norm: bool = False, axes: Any = (-2, -1), **settings: Any) -> Any:
    """`lapwing.multiscale.iswt2`."""
    check_two(axes)
    return iswtn(stationary.from_fours(coeffs), wavelet, axes, norm, **settings)


def _halved(sizes: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Sizes of the bands of all levels, the coarsest first."""
    return [tuple(n >> number for n in sizes) for number in range(count, 0, -1)]


def lwt(
    x: Any, scheme: str = "legall53", level: int | None = None, axes: Any = None, reversible: bool = True,
    *, check_finite: bool = False, n_jobs: int | None = None, **settings: Any,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.lwt`."""
    if reversible or settings:
        plain: list[Any] = _plainly(
            "lwt", (x, scheme, level, axes, reversible), {**settings, "n_jobs": n_jobs}
        )
        return plain
    data = wavelets._floating(x, "x", check_finite)
    where = wavelets._negative(axes, data.dim())
    sizes = _sizes(data, where)
    options, count = _lwt_settings(sizes, _from_0(where, data), scheme, level, n_jobs)
    if not count or not where:
        return [data.clone(), *({} for _ in range(count))]
    bands = 2 ** len(where) - 1
    halves = _halved(sizes, count)
    made = [halves[0], *(h for h in halves for _ in range(bands))]
    return _named(_apply("lwt", [data], options, where, [sizes], made), where, True)


def ilwt(
    coeffs: Sequence[Any], scheme: str = "legall53", axes: Any = None, reversible: bool = True,
    *, check_finite: bool = False, n_jobs: int | None = None, **settings: Any,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.ilwt`."""
    if reversible or settings:
        return _plainly("ilwt", (coeffs, scheme, axes, reversible), {**settings, "n_jobs": n_jobs})
    if len(coeffs) < 1 or coeffs[0] is None:
        raise ValueError("coeffs must hold an approximation")
    low = wavelets._floating(coeffs[0], "coeffs[0]", check_finite)
    where = wavelets._negative(axes, low.dim())
    keys = band_keys(len(where))[1:]
    flat, shape = [low], list(low.shape)
    for number, given in enumerate(coeffs[1:], 1):
        bands = {} if given is None else given
        for key in bands:
            if key not in keys:
                raise ValueError(f"coeffs[{number}] has the key {key!r}; keys are {', '.join(keys)}")
        for key in keys:
            band = bands.get(key)
            if band is None:
                flat.append(low.new_zeros(shape))
                continue
            flat.append(wavelets._floating(band, f"coeffs[{number}][{key!r}]", check_finite))
            if list(flat[-1].shape) != shape:
                raise ValueError(
                    f"coeffs[{number}][{key!r}] has shape {tuple(flat[-1].shape)}, and {tuple(shape)} is "
                    "needed"
                )
        for axis in where:
            shape[axis] *= 2
    count, sizes = len(coeffs) - 1, tuple(shape[a] for a in where)
    options, _ = _lwt_settings(sizes, _from_0(where, low), scheme, count, n_jobs)
    if not count or not where:
        return low.clone()
    flat = _same_dtype(flat)
    return _apply("ilwt", flat, options, where, [_sizes(t, where) for t in flat], [sizes])[0]


def _plainly(name: str, args: Any, kwargs: Any) -> Any:
    """A function of arrays that gives no gradients."""
    return wavelets.without_gradients(name, getattr(lifting, name), args, kwargs)


def _is_image(x: Any) -> bool:
    """Whether it is of numbers that pyramids keep as integers."""
    x = x if isinstance(x, Tensor) else torch.as_tensor(x)
    return not (x.is_floating_point() or x.is_complex())


def _image_axes(axes: Any, ndim: int) -> list[int]:
    where = wavelets._negative(axes, ndim)
    if len(where) not in (1, 2):
        raise ValueError(f"axes must be one or two, got {len(where)}")
    return where


def _coarser(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple((n + 1) // 2 for n in sizes)


def pyr_down(
    x: Any, a: float = 0.375,
    *, axes: Any = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.pyr_down`."""
    return gaussian_pyramid(x, 1, a, axes=axes, check_finite=check_finite, n_jobs=n_jobs)[1]


def gaussian_pyramid(
    x: Any, levels: int, a: float = 0.375,
    *, axes: Any = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.gaussian_pyramid`."""
    if _is_image(x):
        out: list[Any] = wavelets.without_gradients(
            "gaussian_pyramid", images.gaussian_pyramid, (x, levels, a), {"axes": axes, "n_jobs": n_jobs}
        )
        return out
    out = [wavelets._floating(x, "x", check_finite)]
    where = _image_axes(axes, out[0].dim())
    options = _pyramid_settings("down", a, "opencv", n_jobs)
    for _ in range(_validate.check_integer(levels, "levels", 0)):
        sizes = _sizes(out[-1], where)
        out += _apply("pyramid", out[-1:], options, where, [sizes], [_coarser(sizes)])
    return out


def pyr_up(
    x: Any, shape: Any = None, border: str = "opencv",
    *, axes: Any = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.pyr_up`."""
    if _is_image(x):
        return wavelets.without_gradients(
            "pyr_up", images.pyr_up, (x, shape, border), {"axes": axes, "n_jobs": n_jobs}
        )
    image = wavelets._floating(x, "x", check_finite)
    where = _image_axes(axes, image.dim())
    options = _pyramid_settings("up", 0.375, border, n_jobs)
    now = _sizes(image, where)
    sizes = tuple(2 * n for n in now) if shape is None else tuple(int(n) for n in shape)
    if _coarser(sizes) != now:
        raise ValueError(f"shape must be 2 n - 1 or 2 n for sizes {now}, got {sizes}")
    return _apply("pyramid", [image], options, where, [now], [sizes])[0]


def laplacian_pyramid(
    x: Any, levels: int, a: float = 0.375, border: str = "opencv",
    *, axes: Any = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.laplacian_pyramid`."""
    if _is_image(x):
        out: list[Any] = wavelets.without_gradients(
            "laplacian_pyramid", images.laplacian_pyramid, (x, levels, a, border),
            {"axes": axes, "n_jobs": n_jobs},
        )  # fmt: skip
        return out
    image = wavelets._floating(x, "x", check_finite)
    where = _image_axes(axes, image.dim())
    options = _pyramid_settings("split", a, border, n_jobs)
    count = _validate.check_integer(levels, "levels", 0)
    out = []
    for _ in range(count):
        sizes = _sizes(image, where)
        image, detail = _apply("pyramid", [image], options, where, [sizes], [_coarser(sizes), sizes])
        out.append(detail)
    return [*out, image if count else image.clone()]


def laplacian_reconstruct(
    pyramid: Sequence[Any], border: str = "opencv",
    *, axes: Any = (-2, -1), check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.laplacian_reconstruct`."""
    if len(pyramid) < 1:
        raise ValueError("pyramid must hold at least the coarsest image")
    if _is_image(pyramid[-1]):
        return wavelets.without_gradients(
            "laplacian_reconstruct", images.laplacian_reconstruct, (pyramid, border),
            {"axes": axes, "n_jobs": n_jobs},
        )  # fmt: skip
    last = len(pyramid) - 1
    image = wavelets._floating(pyramid[last], f"pyramid[{last}]", check_finite)
    where = _image_axes(axes, image.dim())
    options = _pyramid_settings("join", 0.375, border, n_jobs)
    for number in range(last - 1, -1, -1):
        detail = wavelets._floating(pyramid[number], f"pyramid[{number}]", check_finite)
        sizes = _sizes(detail, where) if detail.dim() == image.dim() else ()
        if _coarser(sizes) != _sizes(image, where) or list(detail.shape) != wavelets._replaced(
            image.shape, where, sizes
        ):
            raise ValueError(
                f"pyramid[{number}] has shape {tuple(detail.shape)}, which does not go with "
                f"{tuple(image.shape)} above it"
            )
        low, high = _same_dtype([image, detail])
        (image,) = _apply("pyramid", [low, high], options, where, [_sizes(low, where), sizes], [sizes])
    return image if last else image.clone()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        swt, swt2, swtn, iswt, iswt2, iswtn, lwt, ilwt, pyr_down, pyr_up, gaussian_pyramid, laplacian_pyramid,
        laplacian_reconstruct,
    )
}  # fmt: skip
