"""Checks of square matrices of similarities and distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _validate

__all__ = [
    "DTYPES",
    "Reals",
    "check_distances",
    "check_dtype",
    "check_names",
    "check_similarities",
    "without_subnormals",
]

Reals: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
DTYPES = ("float64", "float32")


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the type of the numbers in large matrices: float64 or float32."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be 'float64' or 'float32', got {dtype!r}") from error
    if dtype is None or found.name not in DTYPES:
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    return found


def _square(A: Any, name: str, dtype: Any) -> tuple[Any, dict[str, Any]]:
    array = np.asarray(_validate.check_matrix(A, name), dtype=dtype)
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be square, got shape {array.shape}")
    if len(array) < 2:
        raise ValueError(f"{name}: need at least 2 leaves, got {len(array)}")
    out: Any = np.ascontiguousarray(array)
    facts: dict[str, Any] = _backend.extension().phylo_inspect(out, 0)
    if facts["bad"]:
        first = facts["first_bad"]
        raise ValueError(
            f"{name} must be finite, but {facts['bad']} entries are not, the first {name}"
            f"{_validate.position(first, out.shape)} = {out.flat[first]}"
        )
    worst = facts["asymmetry"]
    single = getattr(A, "dtype", None) == np.float32
    if worst > (1e-6 if single else 1e-10) * max(abs(facts["low"]), abs(facts["high"])):
        raise ValueError(
            f"{name} must be symmetric, but {name}{_validate.position(facts['where_asymmetric'], out.shape)} "
            f"differs from its mirror image by {worst:.3g}"
        )
    if worst > 0:
        out = (out + out.T) / 2
    return out, facts


def check_distances(D: Any, name: str = "D", dtype: Any = np.float64) -> Any:
    """Return `D` as symmetric distances, finite, not negative; a condensed vector is spread out."""
    if getattr(D, "ndim", None) == 1 and len(D) > 0:
        from scipy.spatial.distance import squareform

        try:
            D = squareform(np.asarray(D, dtype=np.float64), checks=False)
        except ValueError as error:
            raise ValueError(f"{name} of length {len(D)} is no condensed distance matrix") from error
    out, facts = _square(D, name, dtype)
    if facts["low"] < 0:
        place = _validate.position(facts["where_low"], out.shape)
        raise ValueError(f"{name} must not be negative, but {name}{place} is {facts['low']:g}")
    diagonal = np.diagonal(out)
    if diagonal.any():
        i = int(np.argmax(diagonal != 0))
        raise ValueError(
            f"the diagonal of {name} must be 0, but {name}[{i}, {i}] is {out[i, i]:g}; "
            "did you pass a similarity matrix?"
        )
    return out


def check_similarities(S: Any, name: str = "S", dtype: Any = np.float64) -> tuple[Any, int]:
    """Return `S` as symmetric similarities in [0, 1] with diagonal 1, and how many were negative."""
    out, facts = _square(S, name, dtype)
    off = np.abs(np.diagonal(out) - 1)
    if off.max() > 1e-6:
        i = int(off.argmax())
        raise ValueError(
            f"the diagonal of {name} must be 1, but {name}[{i}, {i}] is {out[i, i]:g}; "
            "did you pass a distance matrix?"
        )
    top = facts["high"]
    if top > 1 + 1e-6:
        place = _validate.position(facts["where_high"], out.shape)
        raise ValueError(
            f"{name} must not be above 1, but {name}{place} is {top:g}; did you pass a distance matrix?"
        )
    negative = int(facts["negative"]) // 2
    if negative or top > 1 or off.any():
        out = np.clip(out, 0.0, 1.0)
        np.fill_diagonal(out, 1.0)
    return without_subnormals(out), negative


def without_subnormals(S: Any) -> Any:
    """Similarities too small for all digits made 0, as saturated ones are; a copy where there are any."""
    tiny, out = np.finfo(S.dtype).tiny, S
    for start in range(0, len(S), 512):
        rows = out[start : start + 512]
        small = (rows > 0) & (rows < tiny)
        if small.any():
            out = S.copy() if out is S else out
            out[start : start + 512][small] = 0
    return out


def check_names(names: Sequence[str] | None, m: int, name: str = "names") -> tuple[str, ...]:
    """Return the names of m leaves, all different; None: their numbers."""
    from lapwing.phylo._tree import _leaf_names

    if names is None:
        return tuple(str(i) for i in range(m))
    try:
        return _leaf_names(names, m)
    except ValueError as error:
        raise ValueError(str(error).replace("names", name, 1)) from None
