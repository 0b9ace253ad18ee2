"""What kind of array an argument is, and back again: nobody else knows torch or CuPy.

Kernels see C-contiguous NumPy arrays of float32 or float64. Everything that is not float32 becomes float64.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend

__all__ = ["Array", "Floats", "Kind", "contiguous", "kind_of", "real", "takes_tensors", "wrap"]

Array: TypeAlias = Any  # an array of the caller's kind: NumPy or torch
Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Kind = Literal["numpy", "torch"]


def _torch_tensor(x: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def kind_of(*arrays: object) -> Kind:
    """Return the kind in which results go back: ``"torch"`` if the first array that is given is a tensor."""
    first = next((x for x in arrays if x is not None), None)
    return "torch" if _torch_tensor(first) else "numpy"


def wrap(x: NDArray[Any], kind: Kind) -> Array:
    """Give `x` back as the caller's kind of array, sharing memory."""
    return sys.modules["torch"].from_numpy(x) if kind == "torch" else x


def _host(x: object, name: str) -> NDArray[Any]:
    """Return `x` as a NumPy array of whatever dtype, without a copy where possible."""
    if _torch_tensor(x):
        return _from_torch(x, name)
    if hasattr(x, "__cuda_array_interface__"):
        _backend.extension("cuda", name)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError(f"{name} has masked entries; fill them, or leave the rows out")
    if hasattr(x, "tocsr") and hasattr(x, "nnz"):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array ({name}.toarray())")
    try:
        return np.asarray(x)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} cannot be made an array: {error}") from error


def _from_torch(x: Any, name: str) -> NDArray[Any]:
    torch = sys.modules["torch"]
    if x.requires_grad:
        if torch.is_grad_enabled():
            raise TypeError(
                f"{name} requires grad, and there are no gradients for it here; pass {name}.detach()"
            )
        x = x.detach()
    if x.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor; pass a dense one ({name}.to_dense())")
    if x.device.type != "cpu":
        _backend.extension("cuda", name)
    if x.dtype not in (torch.float32, torch.float64) and not x.is_complex():
        x = x.to(torch.float64)  # also the types that NumPy lacks, such as bfloat16
    array: NDArray[Any] = x.numpy()
    return array


def real(x: object, name: str) -> Floats:
    """Return `x` as a NumPy array of float32 (if it is) or float64 (anything else), copied only if need be.

    Raises
    ------
    TypeError
        `x` is complex, is not numeric, is sparse or masked, or is a tensor that requires grad.
    ImportError
        `x` lives on a GPU.
    """
    array = _host(x, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} is complex ({array.dtype}); a real array is needed")
    if array.dtype.kind not in "fiub":
        if array.dtype.kind != "O":
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold real numbers, got objects: {error}") from error
    single = array.dtype.newbyteorder("=") == np.float32
    floats: Floats = array.astype(np.float32 if single else np.float64, copy=False)
    return floats


def contiguous(x: Floats, dtype: np.dtype[Any] | type | None = None) -> Floats:
    """Return `x` C-contiguous, aligned and of `dtype`, copied only if it is not so already."""
    array: Floats = np.require(x, dtype=dtype, requirements=["C", "A"])
    return array


Function = TypeVar("Function", bound=Callable[..., Any])

#: Calls a function of arrays with tensors: ``(name, function, arguments, named arguments)``. The package sets
#: it to what fetches lapwing.autograd, which puts its own in its place.
call_with_tensors: Callable[..., Any] | None = None


def _has_tensor(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_has_tensor(v) for v in x)
    if isinstance(x, dict):
        return any(_has_tensor(v) for v in x.values())
    return _torch_tensor(x)


def _requires_grad(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_requires_grad(v) for v in x)
    if isinstance(x, dict):
        return any(_requires_grad(v) for v in x.values())
    return _torch_tensor(x) and bool(x.requires_grad) and bool(sys.modules["torch"].is_grad_enabled())


def takes_tensors(function: Function, module: str, *, gradients: bool = False) -> Function:
    """Let a function of NumPy arrays take PyTorch tensors as well, and give tensors back, with gradients.

    `module` is where the result is found by its name. `gradients`: it takes tensors by itself unless they
    require grad.
    """
    wanted = _requires_grad if gradients else _has_tensor

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if call_with_tensors is not None and (wanted(args) or wanted(kwargs)):
            return call_with_tensors(function.__name__, function, args, kwargs)
        return function(*args, **kwargs)

    call.__module__ = module
    return call  # type: ignore[return-value]
