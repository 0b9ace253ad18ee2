"""Pyramids, integer lifting and stationary transforms of lapwing and of others, as the workers run them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.transforms import Run, timed

LEVELS = 5


def picture(n: int, dtype: str) -> np.ndarray[Any, Any]:
    """Something smooth with noise, from 0 to 255."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 20, n)
    x = 128 + 60 * np.sin(t)[:, None] * np.cos(1.7 * t) + rng.normal(size=(n, n)) * 15
    x = x.clip(0, 255)
    return x.astype(dtype) if dtype.startswith("f") else x.round().astype(dtype)


def lapwing_pyramid(x: Any, what: str, threads: int, reuse: bool = False) -> Run:
    """With `reuse` results go into memory that is there."""
    from lapwing import multiscale as ms

    if reuse and what == "laplacian":
        out = ms.laplacian_pyramid(x, LEVELS)
        return lambda: ms.laplacian_pyramid(x, LEVELS, n_jobs=threads, out=out)
    if reuse and what == "reconstruct":
        whole, levels = np.empty_like(x), ms.laplacian_pyramid(x, LEVELS)
        return lambda: [ms.laplacian_reconstruct(levels, n_jobs=threads, out=whole)]

    if what == "gaussian":
        return lambda: ms.gaussian_pyramid(x, LEVELS, n_jobs=threads)
    if what == "laplacian":
        return lambda: ms.laplacian_pyramid(x, LEVELS, n_jobs=threads)
    if what == "up":
        small = ms.pyr_down(x)
        return lambda: [ms.pyr_up(small, n_jobs=threads)]
    details = ms.laplacian_pyramid(x, LEVELS)
    return lambda: [ms.laplacian_reconstruct(details, n_jobs=threads)]


def opencv_pyramid(x: Any, what: str, threads: int, reuse: bool = False) -> Run:
    """With `reuse` results, and what is between them, go into memory that is there."""
    import cv2

    cv2.setNumThreads(threads)
    kind = cv2.CV_16S if x.dtype == np.uint8 else -1
    kept: dict[Any, Any] = {}

    def place(name: Any) -> Any:
        return kept.get(name) if reuse else None

    def keep(name: Any, made: Any) -> Any:
        kept[name] = made
        return made

    def gaussian() -> Any:
        out = [x]
        for _ in range(LEVELS):
            out.append(cv2.pyrDown(out[-1]))
        return out

    def laplacian() -> Any:
        out, fine = [], x
        for i in range(LEVELS):
            coarse = keep((0, i), cv2.pyrDown(fine, place((0, i))))
            up = keep((1, i), cv2.pyrUp(coarse, place((1, i)), dstsize=fine.shape[::-1]))
            out.append(keep((2, i), cv2.subtract(fine, up, place((2, i)), dtype=kind)))
            fine = coarse
        return [*out, fine]

    if what == "gaussian":
        return gaussian
    if what == "laplacian":
        return laplacian
    if what == "up":
        small = cv2.pyrDown(x)
        return lambda: [cv2.pyrUp(small)]
    details = laplacian()

    def rebuilt() -> Any:
        image = details[-1]
        for i, d in enumerate(details[-2::-1]):
            up = keep((3, i), cv2.pyrUp(image, place((3, i)), dstsize=d.shape[::-1]))
            whole = cv2.CV_8U if x.dtype == np.uint8 else -1
            image = keep((4, i), cv2.add(d, up, place((4, i)), dtype=whole))
        return [image]

    return rebuilt


PYRAMIDS: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), lapwing_pyramid),
    "OpenCV": (("cv2",), opencv_pyramid),
}
#: The same into memory that is there.
REUSED = ("lapwing, out", "OpenCV, dst")


def prepare_pyramid(n: int, dtype: str, what: str, peer: str, threads: int) -> Any:
    x = picture(n, dtype)
    run = PYRAMIDS[peer.split(",")[0]][1](x, what, threads, peer in REUSED)
    right = lapwing_pyramid(x.astype(np.float64) if dtype.startswith("f") else x, what, 1)()
    pairs = zip(run(), right, strict=True)
    error = max(float(abs(a.astype(np.float64) - b).max()) for a, b in pairs) / 255
    return timed(run, error)


#: what is lifted: dtype, result, number of arithmetic
LIFTED = {
    "uint8 to int16": ("uint8", None),
    "int16 to int16": ("int16", "int16"),
    "int32 to int32": ("int32", "int32"),
    "float32, bior2.2": ("float32", None),
}


def prepare_lifting(n: int, kind: str, direction: str, threads: int) -> Any:
    """5/3 of integers, and of floating point numbers with the same filters."""
    from lapwing import multiscale as ms

    dtype, result = LIFTED[kind]
    x = picture(n, dtype)
    if dtype == "float32":
        coeffs = ms.wavedec2(x, "bior2.2", "periodization", LEVELS)
        run: Run = lambda: ms.wavedec2(x, "bior2.2", "periodization", LEVELS, n_jobs=threads)  # noqa: E731
        back: Run = lambda: ms.waverec2(coeffs, "bior2.2", "periodization", n_jobs=threads)  # noqa: E731
    else:
        coeffs = ms.lwt(x, "legall53", LEVELS, dtype=result)
        run = lambda: ms.lwt(x, "legall53", LEVELS, dtype=result, n_jobs=threads)  # noqa: E731
        back = lambda: ms.ilwt(coeffs, "legall53", n_jobs=threads)  # noqa: E731
    error = float(abs(back().astype(np.float64) - x).max()) / 255
    return timed(run if direction == "forward" else back, error)


def prepare_stationary(n: int, wavelet: str, direction: str, peer: str, threads: int) -> Any:
    import pywt

    from lapwing import multiscale as ms

    x = picture(n, "float32")
    exact = pywt.swt2(x.astype(np.float64), wavelet, 3)
    module: Any = ms if peer == "lapwing" else pywt
    more = {"n_jobs": threads} if peer == "lapwing" else {}
    coeffs = module.swt2(x, wavelet, 3, **more)
    run: Run = lambda: module.swt2(x, wavelet, 3, **more)  # noqa: E731
    if direction == "inverse":
        run = lambda: module.iswt2(coeffs, wavelet, **more)  # noqa: E731
        error = float(abs(run() - x).max()) / 255
    else:
        error = float(abs(coeffs[0][0] - exact[0][0]).max() / abs(exact[0][0]).max())
    return timed(run, error)
