"""Groups of nodes and of points."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lapwing.cluster._fiedler import FiedlerPartition
    from lapwing.cluster._spectral import SpectralClustering

__all__ = ["FiedlerPartition", "SpectralClustering"]

_HOME = {"FiedlerPartition": "_fiedler", "SpectralClustering": "_spectral"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.cluster.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
