"""EOT eigenmaps: joint embedding of two datasets from the singular vectors of their transport plan."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._anndata import eot_eigenmaps_anndata
    from ._estimator import EOTEigenmaps, EOTEigenmapsResult, eot_eigenmaps
    from ._plots import plot_convergence, plot_embedding, plot_joint_embedding, plot_singular_values

__all__ = [
    "EOTEigenmaps",
    "EOTEigenmapsResult",
    "eot_eigenmaps",
    "eot_eigenmaps_anndata",
    "plot_convergence",
    "plot_embedding",
    "plot_joint_embedding",
    "plot_singular_values",
]

_HOME = {
    "EOTEigenmaps": "_estimator",
    "EOTEigenmapsResult": "_estimator",
    "eot_eigenmaps": "_estimator",
    "eot_eigenmaps_anndata": "_anndata",
    **dict.fromkeys((name for name in __all__ if name.startswith("plot_")), "_plots"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.embedding.eot_eigenmaps.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
