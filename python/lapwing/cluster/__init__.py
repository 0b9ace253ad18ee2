"""Groups of nodes and of points."""

from __future__ import annotations

from lapwing.cluster._spectral import SpectralClustering

__all__ = ["SpectralClustering"]
