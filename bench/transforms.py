"""Wavelet transforms and pyramids of lapwing and of others, as the workers run them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], Any]
MODE = "periodization"
#: name: shape, levels
IMAGES = {"image": ((4096, 4096), 5), "batch": ((256, 3, 32, 32), 2)}
_NDWT = {"haar": "Daubechies1", "db2": "Daubechies2", "db4": "Daubechies4", "bior4.4": "CDF9_7"}


def picture(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _packed(coeffs: list[Any]) -> Any:
    """PyWavelets' coefficients of lengths that halve evenly, in one array."""
    from lapwing.multiscale import pack

    return pack(coeffs, None, axes=None if coeffs[0].ndim == 2 else (-2, -1))[0]


# Each gives (the transform, its inverse, what makes a packed array of the result); both are to be timed.
def lapwing(x: Any, wavelet: str, levels: int, threads: int) -> tuple[Run, Run, Any]:
    from lapwing.multiscale import wavedec2, waverec2

    coeffs = wavedec2(x, wavelet, MODE, levels)
    return (
        lambda: wavedec2(x, wavelet, MODE, levels, n_jobs=threads),
        lambda: waverec2(coeffs, wavelet, MODE, n_jobs=threads),
        _packed,
    )


def lapwing_plan(x: Any, wavelet: str, levels: int, threads: int) -> tuple[Run, Run, Any]:
    from lapwing.multiscale import WaveletPlan

    plan = WaveletPlan(x.shape, x.dtype, wavelet, MODE, levels, (-2, -1), n_jobs=threads)
    out, back = np.zeros_like(x), np.zeros_like(x)
    coeffs = plan.forward(x)
    return lambda: plan.forward(x, out=out), lambda: plan.inverse(coeffs, out=back), lambda packed: packed


def pywavelets(x: Any, wavelet: str, levels: int, threads: int) -> tuple[Run, Run, Any]:
    import pywt

    coeffs = pywt.wavedec2(x, wavelet, MODE, levels)
    return (
        lambda: pywt.wavedec2(x, wavelet, MODE, levels),
        lambda: pywt.waverec2(coeffs, wavelet, MODE),
        _packed,
    )


def ndwt(x: Any, wavelet: str, levels: int, threads: int) -> tuple[Run, Run, Any]:
    import ndwt as package

    which = getattr(package.Wavelet, _NDWT[wavelet])
    out, back = np.zeros_like(x), np.zeros_like(x)
    axes = [x.ndim - 2, x.ndim - 1]
    coeffs = package.dwt_per(which, x, axes=axes, level=levels).copy()
    return (
        lambda: package.dwt_per(which, x, axes=axes, level=levels, out=out),
        lambda: package.idwt_per(which, coeffs, axes=axes, level=levels, out=back),
        lambda packed: packed,
    )


def ptwt(x: Any, wavelet: str, levels: int, threads: int) -> tuple[Run, Run, Any]:
    """Its boundary is "periodic": some more coefficients, so that they are not compared."""
    import ptwt as package
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(x)
    with torch.no_grad():
        coeffs = package.wavedec2(tensor, wavelet, mode="periodic", level=levels)

    def forward() -> Any:
        with torch.no_grad():
            return package.wavedec2(tensor, wavelet, mode="periodic", level=levels)

    def inverse() -> Any:
        with torch.no_grad():
            return package.waverec2(coeffs, wavelet)

    return forward, inverse, None


#: modules that it needs, how it is made
TRANSFORMS: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), lapwing),
    "lapwing, WaveletPlan with out": ((), lapwing_plan),
    "PyWavelets": (("pywt",), pywavelets),
    "ndwt": (("ndwt",), ndwt),
    "ptwt": (("ptwt", "torch"), ptwt),
}


def prepare_transform(image: str, wavelet: str, direction: str, peer: str, threads: int) -> Any:
    """What the worker runs, and how far the result is from float64's."""
    shape, levels = IMAGES[image]
    x = picture(shape, "float32")
    forward, inverse, packed = TRANSFORMS[peer][1](x, wavelet, levels, threads)
    run = forward if direction == "forward" else inverse
    result = run()
    error = None
    if direction == "inverse":
        back = np.asarray(result)[..., : shape[-2], : shape[-1]]
        error = float(abs(back - x).max() / abs(x).max())
    elif packed is not None:
        import pywt

        exact = _packed(pywt.wavedec2(x.astype(np.float64), wavelet, MODE, levels))
        error = float(abs(packed(result) - exact).max() / abs(exact).max())

    return timed(run, error)


def timed(run: Run, error: float | None) -> Callable[[], dict[str, Any]]:
    """The median of a few runs."""

    def again() -> dict[str, Any]:
        seconds = []
        until = time.perf_counter() + 0.25
        while len(seconds) < 3 or (time.perf_counter() < until and len(seconds) < 200):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return {"seconds": statistics.median(seconds), "error": error, "memory": 0}

    return again
