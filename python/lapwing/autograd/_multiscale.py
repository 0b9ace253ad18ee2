"""Wavelet transforms as operators of PyTorch: each is linear, and its gradient is another of them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lapwing import _backend, _threads, _validate, multiscale
from lapwing.multiscale import Wavelet
from lapwing.multiscale import _adjoint as plain
from lapwing.multiscale._dwt import check_two, two_bands
from lapwing.multiscale._levels import level_count
from lapwing.multiscale._wavelet import as_mode, as_wavelet

__all__ = ["call"]

_KEPT = (torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128)


# ---- tensors and arrays ------------------------------------------------------------------------------------


def _array_of(x: Tensor) -> Any:
    """Memory is shared; bfloat16, which NumPy lacks, becomes float32."""
    x = x.detach().resolve_conj().resolve_neg()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _tensor_of(x: Any, dtype: torch.dtype) -> Tensor:
    """A tensor with memory of its own: outputs of an operator may not share any."""
    owned = np.ascontiguousarray(x)
    if owned.base is not None:
        owned = owned.copy()
    return torch.from_numpy(owned).to(dtype)


# ---- settings as text, which operators take ---------------------------------------------------------------


def _encode_wavelet(wavelet: Any) -> str:
    bank = as_wavelet(wavelet)
    named = bank.name.lower()
    if named in multiscale.wavelist() and Wavelet(named).filter_bank == bank.filter_bank:
        return named
    return json.dumps([[x.hex() for x in f] for f in bank.filter_bank])


def _spread(value: Any, count: int, name: str, encode: Callable[[Any], str]) -> str:
    if isinstance(value, (list, tuple)):
        if len(value) not in (1, count):
            raise ValueError(f"{name} must be one or {count} of them, one for each axis, got {len(value)}")
        value = list(value) * (count if len(value) == 1 else 1)
        return "|".join(encode(v) for v in value)
    return "|".join([encode(value)] * count)


@lru_cache(maxsize=256)
def _wavelets(text: str) -> tuple[Wavelet, ...]:
    def one(name: str) -> Wavelet:
        if name.startswith("["):
            return Wavelet("user", [[float.fromhex(x) for x in f] for f in json.loads(name)])
        return Wavelet(name)

    return tuple(one(name) for name in text.split("|")) if text else ()


def _modes(text: str) -> tuple[str, ...]:
    return tuple(text.split("|")) if text else ()


def _jobs(threads: int) -> int | None:
    return threads or None


def _lengths(wavelets: str) -> list[int]:
    return [w.dec_len for w in _wavelets(wavelets)]


# ---- operators ---------------------------------------------------------------------------------------------
# Axes are negative, so that a batch in front changes nothing. Coefficients are plain lists: the
# approximation, then the details of each level in the order of their keys, the coarsest first. `sizes` are
# those along axes.


def _replaced(shape: Sequence[Any], axes: Sequence[int], sizes: Sequence[Any]) -> list[Any]:
    out = list(shape)
    for axis, n in zip(axes, sizes, strict=True):
        out[axis] = n
    return out


def _joined(
    function: Any,
    coeffs: Sequence[Tensor],
    wavelets: str,
    modes: str,
    axes: Sequence[int],
    sizes: Sequence[int],
    threads: int,
) -> Tensor:
    """What `function` makes of coefficients: an array of those sizes."""
    named = plain.named_coefficients([_array_of(c) for c in coeffs], len(axes))
    shape = _replaced(coeffs[0].shape, axes, sizes)
    x = function(
        named, list(_wavelets(wavelets)), list(_modes(modes)), axes, shape=shape, n_jobs=_jobs(threads)
    )
    return _tensor_of(x, coeffs[0].dtype)


@torch.library.custom_op("lapwing::wavedecn", mutates_args=())
def wavedecn_op(
    x: Tensor, wavelets: str, modes: str, level: int, axes: Sequence[int], threads: int
) -> list[Tensor]:
    """`lapwing.multiscale.wavedecn`."""
    coeffs = plain_wavedecn(_array_of(x), _wavelets(wavelets), _modes(modes), level, axes, threads)
    return [_tensor_of(c, x.dtype) for c in plain.flat_coefficients(coeffs, len(axes))]


@torch.library.custom_op("lapwing::wavedecn_adjoint", mutates_args=())
def wavedecn_adjoint_op(
    coeffs: Sequence[Tensor],
    wavelets: str,
    modes: str,
    axes: Sequence[int],
    sizes: Sequence[int],
    threads: int,
) -> Tensor:
    """Its transpose, for arrays of those sizes."""
    return _joined(multiscale.wavedecn_adjoint, coeffs, wavelets, modes, axes, sizes, threads)


@torch.library.custom_op("lapwing::waverecn", mutates_args=())
def waverecn_op(
    coeffs: Sequence[Tensor],
    wavelets: str,
    modes: str,
    axes: Sequence[int],
    sizes: Sequence[int],
    threads: int,
) -> Tensor:
    """`lapwing.multiscale.waverecn`, to those sizes."""
    return _joined(multiscale.waverecn, coeffs, wavelets, modes, axes, sizes, threads)


@torch.library.custom_op("lapwing::waverecn_adjoint", mutates_args=())
def waverecn_adjoint_op(
    y: Tensor,
    wavelets: str,
    modes: str,
    axes: Sequence[int],
    band_sizes: Sequence[int],
    threads: int,
) -> list[Tensor]:
    """Its transpose: `band_sizes` are those of the bands of all levels, the coarsest first."""
    shapes = [_replaced(y.shape, axes, s) for s in _rows(band_sizes, len(axes))]
    coeffs = multiscale.waverecn_adjoint(
        _array_of(y),
        list(_wavelets(wavelets)),
        list(_modes(modes)),
        axes,
        shapes=shapes,
        n_jobs=_jobs(threads),
    )
    return [_tensor_of(c, y.dtype) for c in plain.flat_coefficients(coeffs, len(axes))]


def _rows(flat: Sequence[Any], width: int) -> list[list[Any]]:
    return [list(flat[i : i + width]) for i in range(0, len(flat), width)]


def plain_wavedecn(
    x: Any, wavelets: Sequence[Wavelet], modes: Sequence[str], level: int, axes: Any, threads: int
) -> Any:
    """`wavedecn` without its warning: the caller has had it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return multiscale.wavedecn(x, list(wavelets), list(modes), level, axes, n_jobs=_jobs(threads))


# ---- shapes ------------------------------------------------------------------------------------------------


def _band_sizes(sizes: Sequence[Any], wavelets: str, modes: str, level: int) -> list[list[Any]]:
    """Of all levels, the coarsest first."""
    return plain.level_sizes(sizes, _lengths(wavelets), _modes(modes), level)[:0:-1]


def _empty_coefficients(x: Tensor, axes: Sequence[int], sizes: list[list[Any]]) -> list[Tensor]:
    if not sizes:
        return [torch.empty_like(x, memory_format=torch.contiguous_format)]
    count = 2 ** len(axes) - 1
    shapes = [sizes[0], *(s for s in sizes for _ in range(count))]
    return [x.new_empty(_replaced(x.shape, axes, s)) for s in shapes]


@wavedecn_op.register_fake
def _(x: Tensor, wavelets: str, modes: str, level: int, axes: Sequence[int], threads: int) -> list[Tensor]:
    return _empty_coefficients(x, axes, _band_sizes([x.shape[a] for a in axes], wavelets, modes, level))


@waverecn_adjoint_op.register_fake
def _(
    y: Tensor, wavelets: str, modes: str, axes: Sequence[int], band_sizes: Sequence[int], threads: int
) -> list[Tensor]:
    return _empty_coefficients(y, axes, _rows(band_sizes, len(axes)))


@wavedecn_adjoint_op.register_fake
@waverecn_op.register_fake
def _(
    coeffs: Sequence[Tensor],
    wavelets: str,
    modes: str,
    axes: Sequence[int],
    sizes: Sequence[int],
    threads: int,
) -> Tensor:
    return coeffs[0].new_empty(_replaced(coeffs[0].shape, axes, sizes))


# ---- gradients ---------------------------------------------------------------------------------------------


def _levels_of(count: int, axes: Sequence[int]) -> int:
    return (count - 1) // (2 ** len(axes) - 1) if axes else 0


def _level_sizes(coeffs: Sequence[Tensor], axes: Sequence[int]) -> list[Any]:
    """The sizes of the bands of all levels, one after another."""
    step = 2 ** len(axes) - 1
    return [c.shape[a] for c in coeffs[1::step] for a in axes]


def _setup_analysis(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.wavelets, ctx.modes, _, ctx.axes, ctx.threads = inputs
    ctx.sizes = [x.shape[a] for a in ctx.axes]


def _backward_analysis(ctx: Any, grads: Any) -> Any:
    x = wavedecn_adjoint_op(list(grads), ctx.wavelets, ctx.modes, ctx.axes, ctx.sizes, ctx.threads)
    return x, None, None, None, None, None


def _setup_joining(ctx: Any, inputs: Any, output: Any) -> None:
    coeffs, ctx.wavelets, ctx.modes, ctx.axes, _, ctx.threads = inputs
    ctx.level = _levels_of(len(coeffs), ctx.axes)
    ctx.band_sizes = _level_sizes(coeffs, ctx.axes)


def _backward_analysis_adjoint(ctx: Any, grad: Tensor) -> Any:
    x = wavedecn_op(grad, ctx.wavelets, ctx.modes, ctx.level, ctx.axes, ctx.threads)
    return x, None, None, None, None, None


def _backward_synthesis(ctx: Any, grad: Tensor) -> Any:
    coeffs = waverecn_adjoint_op(grad, ctx.wavelets, ctx.modes, ctx.axes, ctx.band_sizes, ctx.threads)
    return coeffs, None, None, None, None, None


def _setup_synthesis_adjoint(ctx: Any, inputs: Any, output: Any) -> None:
    y, ctx.wavelets, ctx.modes, ctx.axes, _, ctx.threads = inputs
    ctx.sizes = [y.shape[a] for a in ctx.axes]


def _backward_synthesis_adjoint(ctx: Any, grads: Any) -> Any:
    y = waverecn_op(list(grads), ctx.wavelets, ctx.modes, ctx.axes, ctx.sizes, ctx.threads)
    return y, None, None, None, None, None


wavedecn_op.register_autograd(_backward_analysis, setup_context=_setup_analysis)
wavedecn_adjoint_op.register_autograd(_backward_analysis_adjoint, setup_context=_setup_joining)
waverecn_op.register_autograd(_backward_synthesis, setup_context=_setup_joining)
waverecn_adjoint_op.register_autograd(_backward_synthesis_adjoint, setup_context=_setup_synthesis_adjoint)


# ---- vmap: a batch goes in front ---------------------------------------------------------------------------


def _in_front(x: Tensor, dim: int | None, size: int) -> Tensor:
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def _vmap_one(op: Any) -> Any:
    def rule(info: Any, in_dims: Any, x: Tensor, *settings: Any) -> Any:
        out = op(_in_front(x, in_dims[0], info.batch_size), *settings)
        return out, [0] * len(out)

    return rule


def _vmap_list(op: Any) -> Any:
    def rule(info: Any, in_dims: Any, coeffs: Sequence[Tensor], *settings: Any) -> Any:
        dims = in_dims[0]
        dims = dims if isinstance(dims, (list, tuple)) else [dims] * len(coeffs)
        moved = [_in_front(c, d, info.batch_size) for c, d in zip(coeffs, dims, strict=True)]
        return op(moved, *settings), 0

    return rule


wavedecn_op.register_vmap(_vmap_one(wavedecn_op))
waverecn_adjoint_op.register_vmap(_vmap_one(waverecn_adjoint_op))
wavedecn_adjoint_op.register_vmap(_vmap_list(wavedecn_adjoint_op))
waverecn_op.register_vmap(_vmap_list(waverecn_op))


# ---- the functions of lapwing.multiscale, for tensors ------------------------------------------------------


def _floating(x: Any, name: str, check_finite: bool = False) -> Tensor:
    """As the functions of arrays take it: integers become float64."""
    if not isinstance(x, Tensor):
        x = torch.as_tensor(x)
    if x.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor; pass a dense one ({name}.to_dense())")
    if x.device.type != "cpu":
        _backend.extension("cuda", name)
    if x.dtype == torch.bool:
        raise TypeError(f"{name} is boolean; pass {name}.to(torch.uint8)")
    if x.dim() == 0:
        raise ValueError(f"{name} must have at least one axis, got a single number")
    for axis, n in enumerate(x.shape):
        if n == 0:
            raise ValueError(f"{name} is empty along axis {axis}: its shape is {tuple(x.shape)}")
    if check_finite and not bool(torch.isfinite(x).all()):
        _validate.check_finite(_array_of(x), name)
    kept: Tensor = x if x.dtype in _KEPT or x.dtype == torch.bfloat16 else x.to(torch.float64)
    return kept


def _negative(axes: Any, ndim: int) -> list[int]:
    out = []
    given = (axes,) if isinstance(axes, (int, np.integer)) else axes
    for axis in range(ndim) if given is None else given:
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(f"axes must be integers, got {axis!r}")
        if not -ndim <= axis < ndim:
            raise ValueError(f"axis {axis} is not there: the array has {ndim}")
        out.append(int(axis) % ndim - ndim)
    if len(set(out)) < len(out):
        raise ValueError(f"axes must differ from each other, got {tuple(a + ndim for a in out)}")
    return out


# These look at nothing but settings: a program that is compiled takes what they say as it is.


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _texts(wavelet: Any, mode: Any, count: int) -> tuple[str, str]:
    return (
        _spread(wavelet, count, "wavelet", _encode_wavelet),
        _spread(mode, count, "mode", as_mode),
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _count_levels(sizes: tuple[int, ...], wavelets: str, modes: str, level: int | None) -> int:
    return level_count(sizes, range(len(sizes)), _wavelets(wavelets), _modes(modes), level)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _joined_sizes(sizes: tuple[int, ...], wavelets: str, modes: str) -> tuple[int, ...]:
    each = zip(sizes, _wavelets(wavelets), _modes(modes), strict=True)
    return tuple(plain.samples(n, w, how) for n, w, how in each)


def _settings(wavelet: Any, mode: Any, axes: Any, ndim: int) -> tuple[str, str, list[int]]:
    where = _negative(axes, ndim)
    wavelets, modes = _texts(wavelet, mode, len(where))
    return wavelets, modes, where


def wavedecn(
    data: Any, wavelet: Any, mode: Any = "symmetric", level: int | None = None, axes: Any = None,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> list[Any]:  # fmt: skip
    """`lapwing.multiscale.wavedecn`."""
    x = _floating(data, "data", check_finite)
    wavelets, modes, where = _settings(wavelet, mode, axes, x.dim())
    count = _count_levels(tuple(x.shape[a] for a in where), wavelets, modes, level)
    flat = wavedecn_op(x, wavelets, modes, count, where, _threads.resolve(n_jobs))
    return plain.named_coefficients(flat, len(where))


def waverecn(
    coeffs: Sequence[Any], wavelet: Any, mode: Any = "symmetric", axes: Any = None,
    *, shape: Sequence[int] | None = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.waverecn`."""
    if len(coeffs) < 1:
        raise ValueError("coeffs must hold at least an approximation")
    levels: list[dict[str, Tensor]] = []
    for number, given in enumerate(coeffs[1:], 1):
        bands = {} if given is None else given
        levels.append(
            {
                k: _floating(b, f"coeffs[{number}][{k!r}]", check_finite)
                for k, b in bands.items()
                if b is not None
            }
        )
    x = None if coeffs[0] is None else _floating(coeffs[0], "coeffs[0]", check_finite)
    first = x if x is not None else next((b for bands in levels for b in bands.values()), None)
    if first is None:
        raise ValueError("all of coeffs is None: there is nothing to tell the shape")
    wavelets, modes, where = _settings(wavelet, mode, axes, first.dim())
    keys = plain.detail_keys(len(where))
    dtype = first.dtype
    for bands in levels:
        for band in bands.values():
            dtype = torch.promote_types(dtype, band.dtype)
    # From the coarsest level on, so that a level without bands has the sizes of what was made.
    flat: list[Tensor] = []
    now = None if x is None else list(x.shape)
    for number, bands in enumerate(levels, 1):
        for key, band in bands.items():
            if key not in keys:
                raise ValueError(
                    f"coeffs[{number}] has the key {key!r}; keys are {len(where)} letters 'a' or 'd', not "
                    "all of them 'a'"
                )
            if list(band.shape) != list(next(iter(bands.values())).shape):
                raise ValueError(
                    f"coeffs[{number}][{key!r}] has shape {tuple(band.shape)}, unlike the others"
                )
        if bands:
            wanted = list(next(iter(bands.values())).shape)
        elif now is not None:
            wanted = now
        else:
            continue
        if now is None:
            flat = [first.new_zeros(wanted, dtype=dtype)]
        elif not flat and x is not None:
            flat = [x.to(dtype)]
        if number > 1 or x is not None:
            _check_cut(now, wanted, where, number)
        flat += [
            bands[key].to(dtype) if key in bands else first.new_zeros(wanted, dtype=dtype) for key in keys
        ]
        now = _joined_shape(wanted, where, wavelets, modes)
    if not flat:
        assert x is not None
        flat, now = [x], list(x.shape)
    assert now is not None
    sizes = [now[a] for a in where]
    if shape is not None:
        _check_cut(now, list(shape), where, None)
        sizes = [shape[a] for a in where]
    if len(flat) == 1:
        return flat[0].clone()
    return waverecn_op(flat, wavelets, modes, where, sizes, _threads.resolve(n_jobs))


def _joined_shape(shape: list[int], axes: Sequence[int], wavelets: str, modes: str) -> list[int]:
    sizes = _joined_sizes(tuple(shape[a] for a in axes), wavelets, modes)
    for axis, n in zip(axes, sizes, strict=True):
        if n < 1:
            raise ValueError(f"{shape[axis]} coefficients along axis {axis} are too few for such filters")
    return _replaced(shape, axes, sizes)


def _check_cut(now: list[int] | None, wanted: list[int], axes: Sequence[int], number: int | None) -> None:
    """Raise unless an array of the shape `now` is `wanted`, or one longer along some axes."""
    if now is None:
        return
    cut = [a + len(now) for a in axes]
    if len(now) != len(wanted) or any(
        n != w and not (a in cut and n == w + 1) for a, (n, w) in enumerate(zip(now, wanted, strict=True))
    ):
        what = "the result" if number is None else f"the approximation at coeffs[{number}]"
        raise ValueError(f"{what} has shape {tuple(now)}, and {tuple(wanted)} is needed")


def dwtn(
    data: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Any = None,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.dwtn`."""
    x = _floating(data, "data", check_finite)
    wavelets, modes, where = _settings(wavelet, mode, axes, x.dim())
    flat = wavedecn_op(x, wavelets, modes, 1, where, _threads.resolve(n_jobs))
    return dict(zip(["a" * len(where), *plain.detail_keys(len(where))], flat, strict=True))


def idwtn(
    coeffs: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Any = None,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.idwtn`."""
    bands = {k: b for k, b in coeffs.items() if b is not None}
    if not bands:
        raise ValueError("coeffs has no band")
    low = "a" * len(next(iter(bands)))
    x = bands.pop(low, None)
    return waverecn([x, bands], wavelet, mode, axes, check_finite=check_finite, n_jobs=n_jobs)


def dwt(
    data: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axis: int = -1,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.dwt`."""
    bands = dwtn(data, wavelet, mode, (axis,), check_finite=check_finite, n_jobs=n_jobs)
    return bands["a"], bands["d"]


def idwt(
    cA: Any,
    cD: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axis: int = -1,
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.idwt`."""
    if cA is not None and cD is not None and tuple(cA.shape) != tuple(cD.shape):
        raise ValueError(f"cA and cD must have one shape, got {tuple(cA.shape)} and {tuple(cD.shape)}")
    return waverecn([cA, {"d": cD}], wavelet, mode, (axis,), check_finite=check_finite, n_jobs=n_jobs)


def dwt2(
    data: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Any = (-2, -1),
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.dwt2`."""
    check_two(axes)
    bands = dwtn(data, wavelet, mode, axes, check_finite=check_finite, n_jobs=n_jobs)
    return bands["aa"], (bands["da"], bands["ad"], bands["dd"])


def idwt2(
    coeffs: Any,
    wavelet: Any,
    mode: Any = "symmetric",
    axes: Any = (-2, -1),
    *,
    check_finite: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """`lapwing.multiscale.idwt2`."""
    check_two(axes)
    if len(coeffs) != 2:
        raise ValueError(f"coeffs must be (cA, (cH, cV, cD)), got {len(coeffs)} entries")
    return idwtn(
        two_bands(coeffs[0], coeffs[1], "coeffs[1]"),
        wavelet,
        mode,
        axes,
        check_finite=check_finite,
        n_jobs=n_jobs,
    )


def wavedec(
    data: Any, wavelet: Any, mode: Any = "symmetric", level: int | None = None, axis: int = -1,
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.wavedec`."""
    coeffs = wavedecn(data, wavelet, mode, level, (axis,), check_finite=check_finite, n_jobs=n_jobs)
    return [coeffs[0], *(bands["d"] for bands in coeffs[1:])]


def waverec(
    coeffs: Any, wavelet: Any, mode: Any = "symmetric", axis: int = -1,
    *, shape: Any = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.waverec`."""
    details = [None if c is None else {"d": c} for c in coeffs[1:]]
    return waverecn(
        [*coeffs[:1], *details], wavelet, mode, (axis,), shape=shape, check_finite=check_finite, n_jobs=n_jobs
    )


def wavedec2(
    data: Any, wavelet: Any, mode: Any = "symmetric", level: int | None = None, axes: Any = (-2, -1),
    *, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.wavedec2`."""
    check_two(axes)
    coeffs = wavedecn(data, wavelet, mode, level, axes, check_finite=check_finite, n_jobs=n_jobs)
    return [coeffs[0], *((b["da"], b["ad"], b["dd"]) for b in coeffs[1:])]


def waverec2(
    coeffs: Any, wavelet: Any, mode: Any = "symmetric", axes: Any = (-2, -1),
    *, shape: Any = None, check_finite: bool = False, n_jobs: int | None = None,
) -> Any:  # fmt: skip
    """`lapwing.multiscale.waverec2`."""
    check_two(axes)
    levels = []
    for number, details in enumerate(coeffs[1:], 1):
        bands = two_bands(None, details, f"coeffs[{number}]")
        levels.append({k: b for k, b in bands.items() if k != "aa"})
    return waverecn(
        [*coeffs[:1], *levels], wavelet, mode, axes, shape=shape, check_finite=check_finite, n_jobs=n_jobs
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        dwt, dwt2, dwtn, idwt, idwt2, idwtn, wavedec, wavedec2, wavedecn, waverec, waverec2, waverecn,
    )
}  # fmt: skip


def _map(x: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(_map(v, change) for v in x)
    if isinstance(x, dict):
        return {k: _map(v, change) for k, v in x.items()}
    return change(x)


def call(name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function of arrays with tensors among its arguments.

    Parameters
    ----------
    name : str
        Of the function.
    function : callable
        The function of arrays, for names that have no operator.
    args, kwargs : tuple, dict
        Its arguments.

    Returns
    -------
    Tensor, or lists, tuples and dictionaries of them

    Raises
    ------
    TypeError
        A tensor requires grad, and the function gives no gradients.
    """
    known = FUNCTIONS.get(name)
    if known is not None:
        return known(*args, **kwargs)
    return without_gradients(name, function, args, kwargs)


def without_gradients(name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function of arrays that has no operator with tensors."""

    def in_array(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if x.requires_grad and torch.is_grad_enabled():
            raise TypeError(f"{name} gives no gradients; pass the tensor without them (x.detach())")
        if x.device.type != "cpu":
            _backend.extension("cuda", name)
        return _array_of(x)

    out = function(*_map(args, in_array), **_map(kwargs, in_array))
    return _map(out, lambda x: torch.from_numpy(x) if isinstance(x, np.ndarray) else x)
