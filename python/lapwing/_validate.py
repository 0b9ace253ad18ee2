"""The checks of arguments, with the exact words of their errors. Every check runs before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _array
from lapwing._array import Floats

__all__ = [
    "check_choice",
    "check_columns",
    "check_finite",
    "check_integer",
    "check_matrix",
    "check_memory",
    "check_number",
    "check_outputs",
    "check_points",
    "check_positive",
    "check_samples",
    "check_seed",
    "check_vector",
    "check_weights",
    "position",
]


def position(flat: int, shape: tuple[int, ...]) -> str:
    """Write the index of an entry the way it is typed: ``[3, 0]``."""
    return "[" + ", ".join(str(int(i)) for i in np.unravel_index(flat, shape)) + "]"


def check_finite(x: Floats, name: str) -> None:
    """Raise ``ValueError`` naming the first entry of `x` that is NaN or infinite."""
    finite = np.isfinite(x)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite, but {name}{position(first, x.shape)} is {x.flat[first]}")


def check_matrix(x: object, name: str) -> Floats:
    """Return `x` as a 2-D array of float32 or float64 with at least one row and one column.

    Neither made contiguous nor checked for NaN: `check_points` does both.

    Raises
    ------
    ValueError
        `x` is not 2-D or is empty.
    TypeError
        `x` cannot be taken as an array of real numbers.
    """
    array = _array.real(x, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return array


def check_points(x: object, name: str) -> Floats:
    """Return the points `x` (rows) as a C-contiguous, finite 2-D array of float32 or float64."""
    array = _array.contiguous(check_matrix(x, name))
    check_finite(array, name)
    return array


def check_columns(x: Floats, y: Floats, x_name: str = "X", y_name: str = "Y") -> None:
    """Raise ``ValueError`` unless both matrices have the same number of columns."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{x_name} and {y_name} must have the same number of columns, got shapes {x.shape} and {y.shape}"
        )


def check_vector(x: object, n: int, name: str, *, finite: bool = True) -> NDArray[np.float64]:
    """Return `x` as a contiguous float64 vector of length `n`."""
    array = _array.real(x, name)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), got {array.shape}")
    if finite:
        check_finite(array, name)
    out: NDArray[np.float64] = np.ascontiguousarray(array, dtype=np.float64)
    return out


def check_weights(x: object, n: int, name: str) -> NDArray[np.float64]:
    """Return `x` as weights: float64, length `n`, finite, none negative, not all zero."""
    weights = check_vector(x, n, name)
    negative = np.flatnonzero(weights < 0)
    if negative.size:
        i = int(negative[0])
        raise ValueError(f"{name} must not be negative, but {name}[{i}] is {weights[i]}")
    if not weights.any():
        raise ValueError(f"{name} has no positive weight: all {n} are zero")
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not np.isfinite(total):
        raise ValueError(f"the sum of {name} overflows: {total}")
    return weights


def check_memory(needed: float, what: str, hint: str, max_memory: float | None = None) -> None:
    """Raise ``MemoryError`` if `what` takes more bytes than `max_memory` (None: half of the machine's)."""
    if max_memory is None:
        try:
            max_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2.0
        except (AttributeError, ValueError, OSError):
            max_memory = 8e9
    if needed > max_memory:
        raise MemoryError(
            f"{what} would take {needed / 1e9:.3g} GB, more than the {max_memory / 1e9:.3g} GB allowed; "
            f"{hint}"
        )


def check_number(x: object, name: str) -> float:
    """Return `x` as a float that is not NaN."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, Real):
        scalar = getattr(x, "ndim", None) == 0 and hasattr(x, "item")  # 0-d arrays and tensors
        item: object = x.item() if scalar else None  # type: ignore[attr-defined]
        if isinstance(item, bool) or not isinstance(item, Real):
            raise TypeError(f"{name} must be a number, got {x!r}")
        x = item
    value = float(x)
    if np.isnan(value):
        raise ValueError(f"{name} must be a number, got nan")
    return value


def check_positive(x: object, name: str, *, zero: bool = False, hint: str = "") -> float:
    """Return `x` as a finite float above 0 (or at least 0, with `zero`)."""
    bound = ">= 0" if zero else "> 0"
    try:
        value = check_number(x, name)
    except ValueError:
        value = np.nan
    if not (value > 0 or (zero and value == 0)):
        raise ValueError(f"{name} must be {bound}, got {value:g}{hint}")
    if value == np.inf:
        raise ValueError(f"{name} must be finite, got inf")
    return value


def check_integer(x: object, name: str, low: int, high: int | None = None) -> int:
    """Return `x` as an int between `low` and `high`, both included."""
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, Integral):
        raise TypeError(f"{name} must be an integer, got {x!r}")
    value = int(x)
    if value < low or (high is not None and value > high):
        expected = f">= {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {expected}, got {value}")
    return value


def check_choice(x: object, name: str, choices: Sequence[Any]) -> Any:
    """Return `x` if it is one of `choices` (strings and None)."""
    if (x is None or isinstance(x, str)) and x in choices:
        return x
    raise ValueError(f"{name} must be one of {', '.join(repr(c) for c in choices)}, got {x!r}")


def check_outputs(inputs: Iterable[Any], outputs: Iterable[Any]) -> None:
    """Refuse to write over a file that is read, or a folder."""
    read = {Path(path).resolve(): path for path in inputs}
    for path in outputs:
        if Path(path).is_dir():
            raise IsADirectoryError(f"--out: {path} is a folder, where a file is to be written")
        if Path(path).resolve() in read:
            raise ValueError(
                f"--out: {path} would be written over {read[Path(path).resolve()]}, which is read"
            )


def check_samples(estimator: Any, X: Any, *, reset: bool = True, **options: Any) -> Any:
    """Return `X` as scikit-learn's own checks let it pass, and note the features that `estimator` saw.

    `options` are those of ``sklearn.utils.validation.check_array``.
    """
    if type(X).__name__ == "AnnData":
        raise TypeError("X is an AnnData object: see lapwing.embedding.embed_anndata")
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        return estimator._validate_data(X, reset=reset, **options)
    return validate_data(estimator, X, reset=reset, **options)


def check_seed(random_state: object) -> int:
    """Return a seed for the counter-based generators of the core.

    Parameters
    ----------
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        An integer is used as it is; a generator is asked for one number; None asks the system.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**63))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**63, dtype=np.int64))
    if isinstance(random_state, bool) or not isinstance(random_state, Integral):
        raise TypeError(f"random_state must be None, an integer or a NumPy generator, got {random_state!r}")
    return check_integer(random_state, "random_state", 0, 2**63 - 1)
