"""Wavelet transforms of arrays, in the signatures of PyWavelets."""

from __future__ import annotations

from lapwing.multiscale._dwt import dwt, dwt2, dwtn, idwt, idwt2, idwtn
from lapwing.multiscale._levels import wavedec, wavedec2, wavedecn, waverec, waverec2, waverecn
from lapwing.multiscale._pack import (
    pack,
    ravel_coeffs,
    unpack,
    unravel_coeffs,
    wavedecn_shapes,
    wavedecn_size,
)
from lapwing.multiscale._plan import WaveletPlan
from lapwing.multiscale._wavelet import MODES, Wavelet, dwt_max_level, wavelist

__all__ = [
    "MODES",
    "Wavelet",
    "WaveletPlan",
    "dwt",
    "dwt2",
    "dwt_max_level",
    "dwtn",
    "idwt",
    "idwt2",
    "idwtn",
    "pack",
    "ravel_coeffs",
    "unpack",
    "unravel_coeffs",
    "wavedec",
    "wavedec2",
    "wavedecn",
    "wavedecn_shapes",
    "wavedecn_size",
    "wavelist",
    "waverec",
    "waverec2",
    "waverecn",
]
