"""Wavelet transforms of arrays, in the signatures of PyWavelets; lifting of integers; pyramids."""

from __future__ import annotations

from inspect import isfunction

from lapwing._array import takes_tensors
from lapwing.multiscale._adjoint import dwt_adjoint, idwt_adjoint, wavedecn_adjoint, waverecn_adjoint
from lapwing.multiscale._dwt import dwt, dwt2, dwtn, idwt, idwt2, idwtn
from lapwing.multiscale._emd import wavelet_emd
from lapwing.multiscale._fully import FswavedecnResult, fswavedecn, fswaverecn
from lapwing.multiscale._levels import wavedec, wavedec2, wavedecn, waverec, waverec2, waverecn
from lapwing.multiscale._lifting import ilwt, lwt
from lapwing.multiscale._maps import HierarchicalMap, make_map
from lapwing.multiscale._pack import (
    pack,
    ravel_coeffs,
    unpack,
    unravel_coeffs,
    wavedecn_shapes,
    wavedecn_size,
)
from lapwing.multiscale._pad import pad
from lapwing.multiscale._plan import WaveletPlan
from lapwing.multiscale._pyramid import (
    gaussian_pyramid,
    laplacian_pyramid,
    laplacian_reconstruct,
    pyr_down,
    pyr_up,
)
from lapwing.multiscale._swt import iswt, iswt2, iswtn, swt, swt2, swt_max_level, swtn
from lapwing.multiscale._wavelet import MODES, Wavelet, dwt_max_level, wavelist

__all__ = [
    "MODES",
    "FswavedecnResult",
    "HierarchicalMap",
    "Wavelet",
    "WaveletPlan",
    "dwt",
    "dwt2",
    "dwt_adjoint",
    "dwt_max_level",
    "dwtn",
    "fswavedecn",
    "fswaverecn",
    "gaussian_pyramid",
    "idwt",
    "idwt2",
    "idwt_adjoint",
    "idwtn",
    "ilwt",
    "iswt",
    "iswt2",
    "iswtn",
    "laplacian_pyramid",
    "laplacian_reconstruct",
    "lwt",
    "make_map",
    "pack",
    "pad",
    "pyr_down",
    "pyr_up",
    "ravel_coeffs",
    "swt",
    "swt2",
    "swt_max_level",
    "swtn",
    "unpack",
    "unravel_coeffs",
    "wavedec",
    "wavedec2",
    "wavedecn",
    "wavedecn_adjoint",
    "wavedecn_shapes",
    "wavedecn_size",
    "wavelet_emd",
    "wavelist",
    "waverec",
    "waverec2",
    "waverecn",
    "waverecn_adjoint",
]

for _name in __all__:  # here, so that the rooms call the functions themselves
    if isfunction(globals()[_name]):
        globals()[_name] = takes_tensors(globals()[_name], __name__)
