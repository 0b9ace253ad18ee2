"""Embeddings of one dataset or of several in common coordinates."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lapwing.embedding._anndata import embed_anndata
    from lapwing.embedding.diffusion import DiffusionMaps
    from lapwing.embedding.eot_eigenmaps import EOTEigenmaps, EOTEigenmapsResult, eot_eigenmaps_anndata
    from lapwing.embedding.heat_geodesic import HeatGeodesic
    from lapwing.embedding.hyperbolic import HyperbolicDiffusion
    from lapwing.embedding.spectral import SpectralEmbedding, spectral_init

# The function `eot_eigenmaps` is `lapwing.eot_eigenmaps`: here its name is that of its folder.
__all__ = [
    "DiffusionMaps",
    "EOTEigenmaps",
    "EOTEigenmapsResult",
    "HeatGeodesic",
    "HyperbolicDiffusion",
    "SpectralEmbedding",
    "embed_anndata",
    "eot_eigenmaps_anndata",
    "spectral_init",
]

_HOME = {
    "DiffusionMaps": "diffusion",
    "EOTEigenmaps": "eot_eigenmaps",
    "EOTEigenmapsResult": "eot_eigenmaps",
    "HeatGeodesic": "heat_geodesic",
    "HyperbolicDiffusion": "hyperbolic",
    "SpectralEmbedding": "spectral",
    "embed_anndata": "_anndata",
    "eot_eigenmaps_anndata": "eot_eigenmaps",
    "spectral_init": "spectral",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.embedding.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
