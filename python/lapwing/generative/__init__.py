"""Generative models with a likelihood."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lapwing.generative.pcdm import PCDM, VDM

__all__ = ["PCDM", "VDM"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = getattr(importlib.import_module("lapwing.generative.pcdm"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
