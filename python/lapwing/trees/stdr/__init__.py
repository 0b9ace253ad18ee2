"""STDR: spectral top-down recovery of latent trees."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._estimator import STDR
    from ._plots import plot_fiedler, plot_partition, plot_tree

__all__ = ["STDR", "plot_fiedler", "plot_partition", "plot_tree"]

_HOME = {"STDR": "_estimator", "plot_fiedler": "_plots", "plot_partition": "_plots", "plot_tree": "_plots"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.trees.stdr.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
