"""Wavelets: four filters and what can be said of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _validate

__all__ = ["MODES", "Wavelet", "as_mode", "as_wavelet", "dwt_max_level", "for_axes", "wavelist"]

#: How a signal goes on beyond its ends.
MODES = (
    "zero", "constant", "symmetric", "periodic", "smooth", "periodization", "reflect", "antisymmetric",
    "antireflect",
)  # fmt: skip
_SHORT = {
    "zpd": "zero", "cpd": "constant", "sym": "symmetric", "ppd": "periodic", "sp1": "smooth",
    "per": "periodization",
    "symw": "reflect", "asym": "antisymmetric", "asymw": "antireflect",
}  # fmt: skip
_FAMILIES = {
    "haar": "Haar", "db": "Daubechies", "sym": "Symlets", "coif": "Coiflets", "bior": "Biorthogonal",
    "rbio": "Reverse biorthogonal",
}  # fmt: skip
_SYMMETRY = {
    "haar": "asymmetric", "db": "asymmetric", "sym": "near symmetric", "coif": "near symmetric",
    "bior": "symmetric", "rbio": "symmetric",
}  # fmt: skip
#: How far from exact a bank may be and still count as orthogonal or as perfectly reconstructing.
_EXACT = 1e-10


def as_mode(mode: Any) -> str:
    """The name of a boundary in full.

    Raises
    ------
    ValueError
        There is none of that name; the message lists the nearest ones.
    TypeError
        `mode` is no string.
    """
    if not isinstance(mode, (str, int)):
        raise TypeError(f"mode must be a string, got {mode!r}")
    name = _SHORT.get(mode, mode) if isinstance(mode, str) else None
    if name not in MODES:
        near = difflib.get_close_matches(str(mode), [*MODES, *_SHORT], n=3, cutoff=0.0)
        raise ValueError(f"unknown mode {mode!r}; the nearest are {', '.join(near)}")
    return str(name)


@lru_cache
def _names() -> tuple[str, ...]:
    return tuple(_backend.extension().wavelet_names())


@lru_cache
def _stored(name: str) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(f) for f in _backend.extension().wavelet_filters(name))


class Wavelet:
    """A bank of four filters of one even length.

    Parameters
    ----------
    name : str
        One of `wavelist`, in any case; or any name for a bank of one's own.
    filter_bank : sequence of four sequences of float or None, default=None
        ``(dec_lo, dec_hi, rec_lo, rec_hi)``. None: the bank of that name.

    Attributes
    ----------
    name : str
    dec_lo, dec_hi, rec_lo, rec_hi : list of float
        Low-pass and high-pass filters of analysis and synthesis.
    dec_len, rec_len : int
        Their length.
    orthogonal, biorthogonal : bool
        Whether the bank reconstructs exactly by its transpose, or at all, told by its numbers to 1e-10.
    family_name, short_family_name : str
    symmetry : str
        "symmetric", "near symmetric" or "asymmetric"; "unknown" for a bank of one's own.
    vanishing_moments_psi, vanishing_moments_phi : int
        Of the wavelet, and of the scaling function where that is made for; 0 where it is not known.

    Raises
    ------
    ValueError
        There is no wavelet of that name, or the filters are not four of one even length.

    References
    ----------
    Ingrid Daubechies, "Ten Lectures on Wavelets", 1992.

    Examples
    --------
    >>> from lapwing.multiscale import Wavelet
    >>> [round(x, 4) for x in Wavelet("db2").rec_lo]
    [0.483, 0.8365, 0.2241, -0.1294]
    >>> Wavelet("bior2.2").orthogonal
    False
    """

    def __init__(self, name: str, filter_bank: Any = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {name!r}")
        if filter_bank is None:
            name = name.lower()
            if name not in _names():
                near = difflib.get_close_matches(name, _names(), n=3, cutoff=0.0)
                raise ValueError(f"unknown wavelet {name!r}; the nearest are {', '.join(near)}")
            filters = _stored(name)
        else:
            if len(filter_bank) != 4:
                raise ValueError(f"filter_bank must hold four filters, got {len(filter_bank)}")
            filters = tuple(tuple(float(x) for x in f) for f in filter_bank)
            length = len(filters[0])
            if length < 2 or length % 2 or any(len(f) != length for f in filters):
                raise ValueError(
                    f"filter_bank must hold filters of one even length, got {[len(f) for f in filters]}"
                )
            if not np.isfinite(filters).all():
                raise ValueError("filter_bank must be finite")
        self.name = name
        self._filters = filters
        stem = name.rstrip("0123456789.") if filter_bank is None else ""
        self.short_family_name = stem
        self.family_name = _FAMILIES.get(stem, "")

    @property
    def filter_bank(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """The four filters."""
        return self.dec_lo, self.dec_hi, self.rec_lo, self.rec_hi

    @property
    def inverse_filter_bank(self) -> tuple[list[float], list[float], list[float], list[float]]:
        """The filters reversed, those of the synthesis first: the bank of the transposes."""
        return self.rec_lo[::-1], self.rec_hi[::-1], self.dec_lo[::-1], self.dec_hi[::-1]

    @property
    def dec_lo(self) -> list[float]:
        """Low-pass filter of the analysis."""
        return list(self._filters[0])

    @property
    def dec_hi(self) -> list[float]:
        """High-pass filter of the analysis."""
        return list(self._filters[1])

    @property
    def rec_lo(self) -> list[float]:
        """Low-pass filter of the synthesis."""
        return list(self._filters[2])

    @property
    def rec_hi(self) -> list[float]:
        """High-pass filter of the synthesis."""
        return list(self._filters[3])

    @property
    def dec_len(self) -> int:
        """Length of the filters of the analysis."""
        return len(self._filters[0])

    @property
    def rec_len(self) -> int:
        """Length of the filters of the synthesis."""
        return len(self._filters[2])

    @property
    def orthogonal(self) -> bool:
        """Whether the synthesis is the transpose of the analysis."""
        lo, hi, rec_lo, rec_hi = (np.array(f) for f in self._filters)
        return self.biorthogonal and bool(
            np.abs(lo[::-1] - rec_lo).max() < _EXACT and np.abs(hi[::-1] - rec_hi).max() < _EXACT
        )

    @property
    def biorthogonal(self) -> bool:
        """Whether the synthesis undoes the analysis."""
        lo, hi, rec_lo, rec_hi = (np.array(f) for f in self._filters)
        signs = (-1.0) ** np.arange(len(lo))
        straight = np.convolve(lo, rec_lo) + np.convolve(hi, rec_hi)
        aliased = np.convolve(lo * signs, rec_lo) + np.convolve(hi * signs, rec_hi)
        straight[len(lo) - 1] -= 2.0
        return bool(max(np.abs(straight).max(), np.abs(aliased).max()) < 4 * _EXACT)

    @property
    def symmetry(self) -> str:
        """How symmetric the family is."""
        return _SYMMETRY.get(self.short_family_name, "unknown")

    @property
    def vanishing_moments_psi(self) -> int:
        """Vanishing moments of the wavelet."""
        return self._moments()[0]

    @property
    def vanishing_moments_phi(self) -> int:
        """Vanishing moments of the scaling function."""
        return self._moments()[1]

    def _moments(self) -> tuple[int, int]:
        stem = self.short_family_name
        if not stem:
            return 0, 0
        numbers = [int(n) for n in self.name[len(stem) :].split(".") if n] or [1]
        if stem == "coif":
            return 2 * numbers[0], 2 * numbers[0] - 1
        return numbers[0], numbers[1] if len(numbers) > 1 else 0

    def wavefun(self, level: int = 8) -> tuple[NDArray[np.float64], ...]:
        """Scaling function and wavelet, drawn by `level` steps of refinement with the filters as they are.

        Parameters
        ----------
        level : int, default=8
            Points are ``2**-level`` apart.

        Returns
        -------
        phi, psi, x : array
            If the wavelet is orthogonal: values, and where they are.
        phi_d, psi_d, phi_r, psi_r, x : array
            Otherwise: those of analysis, then those of synthesis.

        Raises
        ------
        ValueError
            `level` is less than 1.

        Examples
        --------
        >>> from lapwing.multiscale import Wavelet
        >>> phi, psi, x = Wavelet("haar").wavefun(1)
        >>> psi.round(6).tolist(), x.tolist()
        ([0.0, 1.0, -1.0, 0.0], [0.0, 0.5, 1.0, 1.5])
        """
        steps = _validate.check_integer(level, "level", 1)
        scale = 2**steps
        lo, hi, rec_lo, rec_hi = (np.array(f) for f in self._filters)

        def refined(low: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
            out = first
            for _ in range(steps - 1):
                spread = np.zeros(2 * len(out) - 1)
                spread[::2] = out
                out = np.convolve(spread, low)
            return out * 2 ** (steps / 2)

        pairs = [(rec_lo, rec_lo), (rec_lo, rec_hi)]
        if not self.orthogonal:
            pairs = [(lo[::-1], lo[::-1]), (lo[::-1], hi[::-1]), *pairs]
        drawn = [refined(low, first) for low, first in pairs]
        count = (len(lo) - 1) * scale + (1 if self.orthogonal else 0)
        count = max(count, len(drawn[0]) + 2)
        values = [np.pad(v, (1, count - len(v) - 1)) for v in drawn]
        return (*values, np.arange(count) / scale)

    def __len__(self) -> int:
        """Length of the filters."""
        return self.dec_len

    def __str__(self) -> str:
        """What there is to say, line by line."""
        lines = {
            "Family name": self.family_name,
            "Short name": self.short_family_name,
            "Filters length": self.dec_len,
            "Orthogonal": self.orthogonal,
            "Biorthogonal": self.biorthogonal,
            "Symmetry": self.symmetry,
        }
        return "\n".join([f"Wavelet {self.name}", *(f"  {k + ':':<16}{v}" for k, v in lines.items())])

    def __repr__(self) -> str:
        """Name and length."""
        return f"Wavelet({self.name!r}, length {self.dec_len})"


def as_wavelet(wavelet: Any) -> Wavelet:
    """A `Wavelet` as it is, a name, or anything with the four filters as attributes."""
    if isinstance(wavelet, Wavelet):
        return wavelet
    if isinstance(wavelet, str):
        return Wavelet(wavelet)
    bank = getattr(wavelet, "filter_bank", None)
    if bank is None:
        raise TypeError(f"wavelet must be a name or a Wavelet, got {wavelet!r}")
    return Wavelet(str(getattr(wavelet, "name", "user")), bank() if callable(bank) else bank)


def wavelist(family: str | None = None, kind: str = "all") -> list[str]:
    """Names of the wavelets that there are.

    Parameters
    ----------
    family : {"haar", "db", "sym", "coif", "bior", "rbio"} or None, default=None
        None: of all families.
    kind : {"all", "discrete"}, default="all"
        All of them are discrete.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        There is no such family or kind.

    Examples
    --------
    >>> from lapwing.multiscale import wavelist
    >>> wavelist("coif")
    ['coif1', 'coif2', 'coif3', 'coif4', 'coif5']
    """
    _validate.check_choice(kind, "kind", ("all", "discrete"))
    if family is not None:
        _validate.check_choice(family, "family", tuple(_FAMILIES))
    return [n for n in _names() if family is None or n.rstrip("0123456789.") == family]


def dwt_max_level(data_len: int, filter_len: int | str | Wavelet) -> int:
    """The deepest level at which some coefficient does not see the boundary.

    Parameters
    ----------
    data_len : int
        Samples.
    filter_len : int, str or Wavelet
        Length of the filters, or the wavelet that has them.

    Returns
    -------
    int
        ``floor(log2(data_len / (filter_len - 1)))``, at least 0.

    Raises
    ------
    ValueError
        `filter_len` is less than 2, or `data_len` less than 1.

    Examples
    --------
    >>> from lapwing.multiscale import dwt_max_level
    >>> dwt_max_level(1000, "db4")
    7
    """
    n = _validate.check_integer(data_len, "data_len", 0)
    if isinstance(filter_len, (str, Wavelet)) or hasattr(filter_len, "filter_bank"):
        taps = as_wavelet(filter_len).dec_len
    else:
        taps = _validate.check_integer(filter_len, "filter_len", 2)
    level = 0
    while (taps - 1) << (level + 1) <= n:
        level += 1
    return level


def for_axes(wavelet: Any, mode: Any, count: int) -> tuple[list[Wavelet], list[str]]:
    """A wavelet and a mode for each of so many axes, from one for all of them or a sequence."""
    return _spread(wavelet, count, as_wavelet, "wavelet"), _spread(mode, count, as_mode, "mode")


def _spread(value: Any, count: int, convert: Any, name: str) -> list[Any]:
    if isinstance(value, Sequence) and not isinstance(value, (str, Wavelet)):
        if len(value) not in (1, count):
            raise ValueError(f"{name} must be one or {count} of them, one for each axis, got {len(value)}")
        return [convert(v) for v in value] * (count if len(value) == 1 else 1)
    return [convert(value)] * count
