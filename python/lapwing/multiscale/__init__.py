"""Wavelet transforms of arrays, in the signatures of PyWavelets."""

from __future__ import annotations

from lapwing.multiscale._dwt import dwt, dwt2, dwtn, idwt, idwt2, idwtn
from lapwing.multiscale._emd import wavelet_emd
from lapwing.multiscale._levels import wavedec, wavedec2, wavedecn, waverec, waverec2, waverecn
from lapwing.multiscale._maps import HierarchicalMap, make_map
from lapwing.multiscale._wavelet import MODES, Wavelet, dwt_max_level, wavelist

__all__ = [
    "MODES",
    "HierarchicalMap",
    "Wavelet",
    "dwt",
    "dwt2",
    "dwt_max_level",
    "dwtn",
    "idwt",
    "idwt2",
    "idwtn",
    "make_map",
    "wavedec",
    "wavedec2",
    "wavedecn",
    "wavelet_emd",
    "wavelist",
    "waverec",
    "waverec2",
    "waverecn",
]
