"""Features of signals and images."""

from __future__ import annotations

from lapwing.signal._wavelet import WaveletTransformer

__all__ = ["WaveletTransformer"]
