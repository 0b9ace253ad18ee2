"""Blocks of the methods that train networks; needs the extra ``torch``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lapwing.nn.fit import Batch, Trainer, load_module, module_arrays, read_arrays, write_arrays

__all__ = ["Batch", "Trainer", "load_module", "module_arrays", "read_arrays", "write_arrays"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = getattr(importlib.import_module("lapwing.nn.fit"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
