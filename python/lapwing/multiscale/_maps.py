"""Maps between an image and its scales that preserve volume."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _validate
from lapwing.multiscale._dwt import dwt, dwt2, idwt2
from lapwing.multiscale._lifting import ilwt, lwt
from lapwing.multiscale._wavelet import Wavelet, as_wavelet

__all__ = ["HierarchicalMap", "make_map"]

KINDS = ("wavelet", "laplacian", "lifting", "integer")
#: Integer schemes, with the names that wavelets of the same filters have.
SCHEMES = {"haar": "s", "s": "s", "legall53": "legall53", "cdf26": "cdf26", "97m": "97m"}
#: How far the matrix of a wavelet may be from orthogonal.
_EXACT = 1e-10

# A step of lifting adds coefficient * (sum of shifted neighbours) of one half of the samples to the other.
Step = tuple[str, float, tuple[int, ...]]
_A, _B, _C, _D = -1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971
LIFTING: dict[str, tuple[Step, ...]] = {
    "haar": (("d", -1.0, (0,)), ("s", 0.5, (0,))),
    "bior2.2": (("d", -0.5, (0, 1)), ("s", 0.25, (-1, 0))),
    "bior4.4": (("d", _A, (0, 1)), ("s", _B, (-1, 0)), ("d", _C, (0, 1)), ("s", _D, (-1, 0))),
}


def make_map(kind: str, wavelet: Any = "haar", levels: int = 1) -> HierarchicalMap:
    """Make a `HierarchicalMap`.

    Parameters
    ----------
    kind : {"wavelet", "laplacian", "lifting", "integer"}
    wavelet : str or Wavelet, default="haar"
    levels : int, default=1
        As for `HierarchicalMap`.

    Returns
    -------
    HierarchicalMap

    Raises
    ------
    ValueError, TypeError
        As for `HierarchicalMap`.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import make_map
    >>> x = np.random.default_rng(0).random((2, 3, 8, 8))
    >>> h = make_map("wavelet", levels=2)
    >>> [z.shape for z in h.forward(x)]
    [(2, 3, 2, 2), (2, 9, 2, 2), (2, 9, 4, 4)]
    >>> bool(np.allclose(h.inverse(h.forward(x)), x)), h.logabsdet
    (True, 0.0)
    """
    return HierarchicalMap(kind, wavelet, levels)


class HierarchicalMap:
    """An image as its scales, the coarsest first, by a map that preserves volume.

    A density p of the image and the density q of its scales are then equal, ``log p(x) = log q(h(x))``: the
    Jacobian J has ``det(J' J) = 1``.

    ========== ================================================ ========= ======
    kind       scales                                           isometry  square
    ========== ================================================ ========= ======
    wavelet    approximation; three bands of details a level    yes       yes
    laplacian  coarse image; what is missing, at full size      yes       no
    lifting    as for wavelet, by unscaled lifting steps        no        yes
    integer    as for lifting, integers to integers             no        yes
    ========== ================================================ ========= ======

    Arrays are images in batches, ``(..., C, H, W)``: NumPy arrays, or torch tensors, which come back as
    tensors. With floats they are differentiated where the tensor requires grad.

    Parameters
    ----------
    kind : {"wavelet", "laplacian", "lifting", "integer"}
        "laplacian" is the pyramid whose coarse image is ``c = D x`` with the orthogonal low-pass filter of
        the wavelet, and whose detail is ``(I - D' D) x``: it has more entries than the image, and lies in a
        subspace. Pyramids with other filters do not preserve volume, and there is no kind for them.
    wavelet : str or Wavelet, default="haar"
        For "wavelet" and "laplacian" an orthogonal one; for "lifting" "haar", "bior2.2" (5/3) or "bior4.4"
        (9/7), without the scaling of the bands; for "integer" one of the schemes "s" (or "haar"), "legall53",
        "cdf26" and "97m".
    levels : int, default=1
        Number of times that the coarse image is split; there is one scale more.

    Attributes
    ----------
    kind : str
    wavelet : Wavelet or str
    levels, n_scales : int
    is_isometry, is_square : bool
        Whether ``J' J = I``, and whether the scales have as many entries as the image.
    logabsdet : float
        ``log det(J' J) / 2``, which is 0 for all kinds.

    Raises
    ------
    ValueError
        There is no such kind, wavelet or scheme; the wavelet is not orthogonal to 1e-10 and must be; `levels`
        is negative.
    TypeError
        `levels` is not an integer.

    References
    ----------
    Henry Li, Ronen Basri, Yuval Kluger, "Likelihood Training of Cascaded Diffusion Models via Hierarchical
    Volume-preserving Maps", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.multiscale import HierarchicalMap
    >>> x = np.arange(16).reshape(1, 1, 4, 4)
    >>> coarse, details = HierarchicalMap("lifting").forward(x)
    >>> coarse[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """

    def __init__(self, kind: str, wavelet: Any = "haar", levels: int = 1) -> None:
        self.kind = str(_validate.check_choice(kind, "kind", KINDS))
        self.levels = _validate.check_integer(levels, "levels", 0)
        self.n_scales = self.levels + 1
        self.is_isometry = kind in ("wavelet", "laplacian")
        self.is_square = kind != "laplacian"
        self.logabsdet = 0.0
        self.wavelet: Any
        if kind == "integer":
            self.wavelet = SCHEMES[_validate.check_choice(wavelet, "wavelet", tuple(SCHEMES))]
        elif kind == "lifting":
            name = wavelet.name if isinstance(wavelet, Wavelet) else wavelet
            self.wavelet = _validate.check_choice(
                "haar" if name == "db1" else name, "wavelet", tuple(LIFTING)
            )
        else:
            self.wavelet = as_wavelet(wavelet)
            _check_orthogonal(self.wavelet)

    def __repr__(self) -> str:
        """Kind, wavelet and levels."""
        name = self.wavelet.name if isinstance(self.wavelet, Wavelet) else self.wavelet
        return f"HierarchicalMap({self.kind!r}, {name!r}, levels={self.levels})"

    # --- shapes -----------------------------------------------------------------------------------

    def band_shapes(self, input_shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Shapes of the scales of an image.

        Parameters
        ----------
        input_shape : sequence of int
            ``(..., C, H, W)``.

        Returns
        -------
        list of tuple of int
            The coarsest first.

        Raises
        ------
        ValueError
            The map does not take arrays of this shape.
        """
        *batch, channels, height, width = self._check_shape(tuple(input_shape))
        details = []
        for _ in range(self.levels):
            if self.kind == "laplacian":
                details.append((*batch, channels, height, width))
            height, width = height // 2, width // 2
            if self.kind != "laplacian":
                details.append((*batch, 3 * channels, height, width))
        return [(*batch, channels, height, width), *details[::-1]]

    def _check_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 3:
            raise ValueError(f"x must have shape (..., C, H, W), got {shape}")
        unit = 2**self.levels
        for axis in (-2, -1):
            if shape[axis] % unit or shape[axis] == 0:
                raise ValueError(
                    f"axis {len(shape) + axis} has length {shape[axis]}, and must be a multiple of {unit} "
                    f"for {self.levels} levels of a map that preserves volume: pad the array, or use "
                    "wavedec2 with mode='symmetric'"
                )
        return shape

    # --- public -----------------------------------------------------------------------------------

    def forward(self, x: Any) -> list[Any]:
        """Split an image into its scales.

        Parameters
        ----------
        x : array or tensor of shape (..., C, H, W)
            Sides are multiples of ``2**levels``. Integers become float64, but for the kind "integer", which
            takes nothing else.

        Returns
        -------
        list
            ``[z_1, ..., z_S]``, the coarsest first. Details of a level have shape (..., 3 C, h, w): for all
            channels those high along H, along W, along both; for "laplacian" (..., C, 2 h, 2 w).

        Raises
        ------
        ValueError
            The shape is not such.
        TypeError
            `x` holds no numbers, or the kind is "integer" and it holds no integers.
        """
        x = self._read(x, "x")
        self._check_shape(tuple(x.shape))
        details = []
        for _ in range(self.levels):
            x, high = self._split(x)
            details.append(high)
        return [x if self.levels else _copy(x), *details[::-1]]

    def inverse(self, zs: Sequence[Any]) -> Any:
        """Put an image together from all its scales.

        Parameters
        ----------
        zs : list of array or tensor
            As from `forward`.

        Returns
        -------
        array or tensor of shape (..., C, H, W)

        Raises
        ------
        ValueError
            There are more or fewer scales, or their shapes do not fit.
        TypeError
            They hold no numbers.
        """
        if len(zs) != self.n_scales:
            raise ValueError(f"zs must hold {self.n_scales} scales, got {len(zs)}")
        return self.partial_inverse(zs)

    def partial_inverse(self, zs: Sequence[Any]) -> Any:
        """The image of the first scales, the others being zero.

        Parameters
        ----------
        zs : list of array or tensor
            ``[z_1, ..., z_s]``, at least one.

        Returns
        -------
        array or tensor of shape (..., C, H, W)

        Raises
        ------
        ValueError
            There is none or there are too many, or their shapes do not fit.
        TypeError
            They hold no numbers.
        """
        if not 1 <= len(zs) <= self.n_scales:
            raise ValueError(f"zs must hold 1 to {self.n_scales} scales, got {len(zs)}")
        return self._join_all(zs, self._join)

    def adjoint(self, zs: Sequence[Any]) -> Any:
        """The transpose of `forward`, which is its inverse for the kind "wavelet".

        Parameters
        ----------
        zs : list of array or tensor
            All scales, in the shapes of those of `forward`.

        Returns
        -------
        array or tensor of shape (..., C, H, W)

        Raises
        ------
        ValueError
            The kind is "integer", which is not linear, or as for `inverse`.
        """
        if self.kind == "integer":
            raise ValueError("the integer map rounds, so it is not linear and has no adjoint")
        if len(zs) != self.n_scales:
            raise ValueError(f"zs must hold {self.n_scales} scales, got {len(zs)}")
        return self._join_all(zs, self._transpose)

    def project(self, zs: Sequence[Any]) -> list[Any]:
        """The nearest point in the range of the map, for isometries: what is not an image's detail goes.

        Parameters
        ----------
        zs : list of array or tensor
            All scales.

        Returns
        -------
        list of array or tensor
            ``J J' z``: `zs` itself, but for "laplacian".

        Raises
        ------
        ValueError
            The map is no isometry, or as for `inverse`.
        """
        if not self.is_isometry:
            raise ValueError(f"the {self.kind} map is no isometry, and projects by none of its own means")
        if len(zs) != self.n_scales:
            raise ValueError(f"zs must hold {self.n_scales} scales, got {len(zs)}")
        out = [self._read(z, f"zs[{i}]") for i, z in enumerate(zs)]
        if self.kind == "laplacian":
            for i in range(1, self.n_scales):
                coarse, bands = _analyse(out[i], self.wavelet)
                out[i] = _synthesise(0 * coarse, bands, self.wavelet)
        return out

    # --- one level --------------------------------------------------------------------------------

    def _read(self, x: Any, name: str) -> Any:
        kind = _array.kind_of(x)
        array: Any = x if kind == "torch" else np.asarray(x)
        what = array.dtype.kind if kind == "numpy" else _torch_kind(array)
        if what == "b":
            raise TypeError(f"{name} is boolean; pass {name}.astype(np.uint8)")
        if what not in "fiu":
            raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
        if self.kind == "integer":
            if what == "f":
                raise TypeError(f"{name} must hold integers for the integer map, got dtype {array.dtype}")
            return array
        if what != "f":
            return array.astype(np.float64) if kind == "numpy" else array.double()
        return array

    def _join_all(self, zs: Sequence[Any], join: Callable[[Any, Any], Any]) -> Any:
        x = self._read(zs[0], "zs[0]")
        if x.ndim < 3:
            raise ValueError(f"zs[0] must have shape (..., C, h, w), got {tuple(x.shape)}")
        for i in range(1, self.n_scales):
            *batch, channels, height, width = x.shape
            if self.kind == "laplacian":
                wanted = (*batch, channels, 2 * height, 2 * width)
            else:
                wanted = (*batch, 3 * channels, height, width)
            if i < len(zs):
                high = self._read(zs[i], f"zs[{i}]")
                if tuple(high.shape) != wanted:
                    raise ValueError(f"zs[{i}] must have shape {wanted}, got {tuple(high.shape)}")
            else:
                high = x.new_zeros(wanted) if _array.kind_of(x) == "torch" else np.zeros(wanted, x.dtype)
            x = join(x, high)
        return x if self.levels else _copy(x)

    def _split(self, x: Any) -> tuple[Any, Any]:
        if self.kind == "wavelet":
            return _analyse(x, self.wavelet)
        if self.kind == "laplacian":
            coarse, bands = _analyse(x, self.wavelet)
            return coarse, _synthesise(0 * coarse, bands, self.wavelet)
        if self.kind == "lifting":
            low, high = _lift(x, -1, LIFTING[self.wavelet])
            (ll, dl), (lh, dh) = (_lift(v, -2, LIFTING[self.wavelet]) for v in (low, high))
            return ll, _band_major([dl, lh, dh])
        return _split_integers(x, self.wavelet)

    def _join(self, low: Any, high: Any) -> Any:
        if self.kind == "wavelet":
            return _synthesise(low, high, self.wavelet)
        if self.kind == "laplacian":
            return _synthesise(low, None, self.wavelet) + high
        if self.kind == "lifting":
            dl, lh, dh = _three_bands(high)
            steps = LIFTING[self.wavelet]
            return _unlift(_unlift(low, dl, -2, steps), _unlift(lh, dh, -2, steps), -1, steps)
        return _join_integers(low, high, self.wavelet)

    def _transpose(self, low: Any, high: Any) -> Any:
        if self.kind == "wavelet":
            return _synthesise(low, high, self.wavelet)
        if self.kind == "laplacian":
            _, bands = _analyse(high, self.wavelet)
            return _synthesise(low, bands, self.wavelet)
        dl, lh, dh = _three_bands(high)
        steps = LIFTING[self.wavelet]
        return _lift_transpose(
            _lift_transpose(low, dl, -2, steps), _lift_transpose(lh, dh, -2, steps), -1, steps
        )


# --- arrays of both kinds -----------------------------------------------------------------------------


def _torch_kind(x: Any) -> str:
    """NumPy's letter for the kind of a tensor's dtype."""
    if x.dtype.is_complex:
        return "c"
    if x.dtype.is_floating_point:
        return "f"
    return "b" if str(x.dtype) == "torch.bool" else "i"


def _copy(x: Any) -> Any:
    return x.clone() if _array.kind_of(x) == "torch" else x.copy()


def _stack(arrays: Sequence[Any], axis: int) -> Any:
    if _array.kind_of(arrays[0]) == "torch":
        return sys.modules["torch"].stack(list(arrays), axis)
    return np.stack(arrays, axis)


def _band_major(bands: Sequence[Any]) -> Any:
    """Three arrays (..., C, h, w) as one (..., 3 C, h, w)."""
    whole = _stack(bands, -4)
    return whole.reshape((*whole.shape[:-4], -1, *whole.shape[-2:]))


def _three_bands(high: Any) -> list[Any]:
    channels = high.shape[-3] // 3
    return [high[..., i * channels : (i + 1) * channels, :, :] for i in range(3)]


# --- orthogonal wavelets ------------------------------------------------------------------------------


def _check_orthogonal(wavelet: Wavelet) -> None:
    low, high = _halves(wavelet, 2 * len(wavelet))
    W = np.concatenate([low, high])
    error = float(np.abs(W @ W.T - np.eye(len(W))).max())
    if not error <= _EXACT:
        raise ValueError(
            f"wavelet {wavelet.name!r} is not orthogonal, so it does not preserve volume: |W W' - I| is "
            f"{error:.2g}, and must be at most {_EXACT:g}"
        )


def _halves(wavelet: Wavelet, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two halves of the matrix that splits signals of length n."""
    low, high = dwt(np.eye(n), wavelet, "periodization", axis=0, n_jobs=1)
    return low, high


@lru_cache(maxsize=64)
def _cached_halves(bank: tuple[tuple[float, ...], ...], n: int) -> tuple[Any, Any]:
    return _halves(Wavelet("bank", bank), n)


def _matrices(like: Any, wavelet: Wavelet) -> Callable[[int], tuple[Any, Any]]:
    bank = tuple(tuple(f) for f in wavelet.filter_bank)

    def of(n: int) -> tuple[Any, Any]:
        low, high = _cached_halves(bank, n)
        return like.new_tensor(low), like.new_tensor(high)

    return of


def _by_matrices(x: Any) -> bool:
    """Whether `x` is a tensor that the kernels do not take: on a device, or with a gradient to follow."""
    return _array.kind_of(x) == "torch" and (x.requires_grad or x.device.type != "cpu" or x.itemsize < 4)


def _analyse(x: Any, wavelet: Wavelet) -> tuple[Any, Any]:
    """One level; details in band-major layout, da, ad, dd."""
    if _by_matrices(x):
        of = _matrices(x, wavelet)
        (a, b), (c, d) = of(x.shape[-2]), of(x.shape[-1])
        low, high = a @ x, b @ x
        bands = [high @ c.mT, low @ d.mT, high @ d.mT]
        return low @ c.mT, _band_major(bands)
    if _array.kind_of(x) == "torch":
        coarse, bands = _analyse(x.numpy(), wavelet)
        return _array.wrap(coarse, "torch"), _array.wrap(bands, "torch")
    approximation, details = dwt2(x, wavelet, "periodization")
    return approximation, _band_major(details)


def _synthesise(low: Any, high: Any | None, wavelet: Wavelet) -> Any:
    """Undo `_analyse`; details that are None are zero."""
    if _by_matrices(low) or (high is not None and _by_matrices(high)):
        of = _matrices(low, wavelet)
        (a, b), (c, d) = of(2 * low.shape[-2]), of(2 * low.shape[-1])
        if high is None:
            return a.mT @ low @ c
        da, ad, dd = _three_bands(high)
        return a.mT @ (low @ c + ad @ d) + b.mT @ (da @ c + dd @ d)
    if _array.kind_of(low) == "torch":
        return _array.wrap(_synthesise(low.numpy(), None if high is None else high.numpy(), wavelet), "torch")
    return idwt2((low, None if high is None else _three_bands(high)), wavelet, "periodization")


# --- lifting ------------------------------------------------------------------------------------------


def _take(x: Any, index: NDArray[np.int64] | slice, axis: int) -> Any:
    return x[(..., index, slice(None))] if axis == -2 else x[(..., index)]


def _shifted(x: Any, shifts: tuple[int, ...], axis: int, sign: int = 1) -> Any:
    """The sum of ``x[k + shift]`` along an axis, which is a ring."""
    k = np.arange(x.shape[axis])
    terms = [x if s == 0 else _take(x, (k + sign * s) % len(k), axis) for s in shifts]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _lift(x: Any, axis: int, steps: Sequence[Step]) -> tuple[Any, Any]:
    halves = {"s": _take(x, slice(0, None, 2), axis), "d": _take(x, slice(1, None, 2), axis)}
    for target, coefficient, shifts in steps:
        source = "s" if target == "d" else "d"
        halves[target] = halves[target] + coefficient * _shifted(halves[source], shifts, axis)
    return halves["s"], halves["d"]


def _unlift(s: Any, d: Any, axis: int, steps: Sequence[Step]) -> Any:
    halves = {"s": s, "d": d}
    for target, coefficient, shifts in reversed(steps):
        source = "s" if target == "d" else "d"
        halves[target] = halves[target] - coefficient * _shifted(halves[source], shifts, axis)
    return _interleave(halves["s"], halves["d"], axis)


def _lift_transpose(s: Any, d: Any, axis: int, steps: Sequence[Step]) -> Any:
    halves = {"s": s, "d": d}
    for target, coefficient, shifts in reversed(steps):
        source = "s" if target == "d" else "d"
        halves[source] = halves[source] + coefficient * _shifted(halves[target], shifts, axis, -1)
    return _interleave(halves["s"], halves["d"], axis)


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    whole = _stack([even, odd], axis if axis == -1 else -2)  # along -2: (..., h, 2, w)
    shape = list(even.shape)
    shape[axis] *= 2
    return whole.reshape(shape)


# --- integers -----------------------------------------------------------------------------------------


def _split_integers(x: Any, scheme: str) -> tuple[Any, Any]:
    if _array.kind_of(x) == "torch":
        low, high = _split_integers(x.numpy(), scheme)
        return _array.wrap(low, "torch"), _array.wrap(high, "torch")
    low, bands = lwt(x, scheme, level=1, axes=(-2, -1))
    return low, _band_major([bands["da"], bands["ad"], bands["dd"]])


def _join_integers(low: Any, high: Any, scheme: str) -> Any:
    if _array.kind_of(low) == "torch":
        return _array.wrap(_join_integers(low.numpy(), high.numpy(), scheme), "torch")
    da, ad, dd = _three_bands(high)
    return ilwt([low, {"da": da, "ad": ad, "dd": dd}], scheme, axes=(-2, -1))
