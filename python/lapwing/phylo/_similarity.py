"""Similarities of aligned sequences and of other observations at the leaves of a tree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _threads, _validate
from lapwing.phylo._matrix import Reals, check_dtype, check_similarities

__all__ = [
    "MISSING",
    "MODELS",
    "Encoded",
    "SimilarityInfo",
    "SimilarityOperator",
    "Sites",
    "check_encoded",
    "distance_matrix",
    "distances_of",
    "encode",
    "similarity_matrix",
    "similarity_operator",
    "sites_of",
    "warn_saturated",
]

MODELS = ("jc69", "tn93", "logdet", "correlation", "gaussian_det")
MISSING = 255
DNA, PROTEIN = "ACGT", "ARNDCQEGHILKMFPSTWYV"
#: Characters that stand for a site that was not observed, or not wholly.
DNA_UNKNOWN, PROTEIN_UNKNOWN, OTHER_UNKNOWN = "RYKMSWBDHVNX-?.", "XBZJUO*-?.", "-?."
MOST_STATES = 64
#: Similarities that an operator holds at a time.
TILE_ENTRIES = 1 << 24

Codes = NDArray[np.uint8]
Doubles = NDArray[np.float64]


class Encoded(NamedTuple):
    """Aligned characters as codes, 255 where missing; the number of states; unknown characters."""

    codes: Codes
    n_states: int
    unknown: int


@dataclass(frozen=True)
class SimilarityInfo:
    """What is known about a similarity matrix.

    Attributes
    ----------
    model : str
        How it was made.
    n_states : int or None
        Number of states of the characters.
    scale : float or None
        c in ``S = exp(-c alpha d)``, d the expected substitutions per site; None: the model has no such unit.
    alpha : float
        The power that the similarities were raised to.
    saturated : int
        Pairs without similarity: the estimate is 0 or less, or there is no joint site.
    unknown : int
        Characters that are none of the alphabet and were left out.
    resolved : float or None
        The distance -log S at which the standard error of S reaches S itself, for k states and n sites about
        ``(k - 1) / 2 log(n / (k - 1))``: what lies beyond is noise. None: not known.
    """

    model: str
    n_states: int | None
    scale: float | None
    alpha: float
    saturated: int
    unknown: int = 0
    resolved: float | None = None


def _alphabet(used: str, n_states: int | None) -> tuple[str, str]:
    """The states and the characters for missing ones, from the characters that occur."""
    if n_states == 4 or (n_states is None and set(used) <= set(DNA + "U" + DNA_UNKNOWN)):
        return DNA, DNA_UNKNOWN
    if n_states == 20 or (n_states is None and set(used) <= set(PROTEIN + PROTEIN_UNKNOWN)):
        return PROTEIN, PROTEIN_UNKNOWN
    states = "".join(sorted(set(used) - set(OTHER_UNKNOWN)))
    if set(states) <= {"0", "1"}:
        states = "01"
    return states, OTHER_UNKNOWN


def _letters(X: Any) -> NDArray[np.uint32] | None:
    """Code points of single characters in a matrix, or None if `X` holds something else."""
    if isinstance(X, (list, tuple)) and X and all(isinstance(row, (str, bytes)) for row in X):
        rows = [row.decode("latin-1") if isinstance(row, bytes) else row for row in X]
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            i = next(i for i, row in enumerate(rows) if len(row) != len(rows[0]))
            raise ValueError(
                f"the sequences must be aligned, but X[{i}] has {len(rows[i])} sites and X[0] {len(rows[0])}"
            )
        if lengths == {0}:
            raise ValueError(f"X is empty: {len(rows)} sequences without sites")
        points = np.frombuffer("".join(rows).encode("utf-32-le"), dtype="<u4")
        return points.reshape(len(rows), -1)
    array = np.asarray(X)
    if array.dtype.kind == "O" and array.ndim == 2 and all(isinstance(x, str) for x in array.flat):
        array = array.astype(np.str_)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "latin-1")
    if array.dtype.kind != "U":
        return None
    if array.ndim == 1:
        return _letters(array.tolist())
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"X must be a matrix of single characters, got shape {array.shape}")
    if array.dtype.itemsize != 4:
        raise ValueError(f"X must hold single characters, but some are longer ({array.dtype})")
    return np.ascontiguousarray(array).view("<u4").reshape(array.shape)


def encode(X: Any, n_states: int | None = None, missing: Any = None) -> Encoded:
    """Turn aligned characters into codes.

    Parameters
    ----------
    X : sequence of str, array of single characters, or array of integers
        Leaves in rows, sites in columns. Letters may be of either case. DNA (also RNA) and protein are told
        by the letters that occur; anything else is numbered in sorted order. Integers are states 0 to k - 1.
    n_states : int or None, default=None
        Number of states k; for letters 4 means DNA and 20 protein. None: 4 or 20 for those, 2 for characters
        0 and 1, for integers the least of 2, 4 and the largest plus one that holds them all, else the number
        of different characters.
    missing : int, str or None, default=None
        A further value for sites that were not observed. Always so: -1 (integers); ``- ? .`` and the
        ambiguity codes (letters).

    Returns
    -------
    Encoded
        Its `unknown` counts characters that belong to no alphabet, which are taken for missing.

    Raises
    ------
    ValueError, TypeError
        `X` is not as described, or more than half of it is unknown.
    """
    if n_states is not None:
        n_states = _validate.check_integer(n_states, "n_states", 2, MOST_STATES)
    points = _letters(X)
    if points is None:
        return _encode_integers(X, n_states, missing)
    if missing is not None and not (isinstance(missing, str) and len(missing) == 1):
        raise TypeError(f"missing must be a single character for letters, got {missing!r}")
    often = np.bincount(points.ravel())
    values = np.flatnonzero(often)
    upper = [chr(v).upper() for v in values.tolist()]
    extra = "" if missing is None else missing.upper()
    states, gaps = _alphabet("".join(c for c in upper if c not in extra), n_states)
    if n_states is not None and n_states > len(states) and states not in (DNA, PROTEIN):
        pass  # states that do not occur
    elif n_states is not None and len(states) > n_states:
        raise ValueError(f"n_states is {n_states}, but X has {len(states)} states: {states[:30]}")
    if len(states) > MOST_STATES:
        raise ValueError(f"X has {len(states)} states, more than {MOST_STATES}")
    code = {c: i for i, c in enumerate(states)}
    if states == DNA:
        code["U"] = code["T"]
    known = set(gaps) | set(extra)
    table = np.full(len(often), MISSING, dtype=np.uint8)
    table[values] = [MISSING if c in extra else code.get(c, MISSING) for c in upper]
    foreign = np.array([c not in code and c not in known for c in upper])
    unknown = int(often[values[foreign]].sum())
    if 2 * unknown > points.size:
        shown = "".join(c for c, f in zip(upper, foreign, strict=True) if f)[:20]
        raise ValueError(f"more than half of X are unknown characters ({shown})")
    return Encoded(table[points], n_states or max(2, len(states)), unknown)


def _encode_integers(X: Any, n_states: int | None, missing: Any) -> Encoded:
    array = np.asarray(X)
    if array.ndim != 2:
        raise ValueError(f"X must be 2-D, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"X is empty: its shape is {array.shape}")
    if array.dtype.kind == "f":
        rounded = np.where(np.isnan(array), -1, array)
        if not np.isfinite(rounded).all():
            raise ValueError("X has infinite entries")
        if (rounded != np.floor(rounded)).any():
            raise TypeError(
                "X holds real numbers, this model needs states; real observations have the models "
                "'correlation' and 'gaussian_det'"
            )
        array = rounded.astype(np.int64)
    elif array.dtype.kind == "b":
        array = array.astype(np.int8)
    elif array.dtype.kind not in "iu":
        raise TypeError(f"X must hold characters or integers, got dtype {array.dtype}")
    if missing is not None:
        value = _validate.check_integer(missing, "missing", -(2**31), 2**31)
        array = np.where(array == value, -1, array.astype(np.int64))
    low, top = int(array.min()), int(array.max()) + 1
    if low < -1:
        where = _validate.position(int(np.argmax(array < -1)), array.shape)
        raise ValueError(f"X must hold states >= 0 (or -1: missing), but X{where} is {array[array < -1][0]}")
    k = n_states if n_states is not None else 2 if top <= 2 else 4 if top <= 4 else top
    if top > k:
        raise ValueError(f"X has the state {top - 1}, but n_states is {k}")
    if k > MOST_STATES:
        raise ValueError(f"X has {k} states, more than {MOST_STATES}")
    codes = np.array(array, dtype=np.uint8, order="C")  # -1 becomes 255
    return Encoded(codes, k, 0)


def check_encoded(encoded: Encoded) -> Encoded:
    """Return the codes of two leaves or more with something in every row and with variation."""
    codes = encoded.codes
    if len(codes) < 2:
        raise ValueError(f"X: need at least 2 leaves, got {len(codes)}")
    empty = np.flatnonzero((codes == MISSING).all(axis=1))
    if empty.size:
        shown = ", ".join(map(str, empty[:5].tolist())) + (", ..." if empty.size > 5 else "")
        raise ValueError(f"X has rows in which all sites are missing: {shown}")
    first = codes.flat[int(np.argmax(codes != MISSING))]
    if not ((codes != first) & (codes != MISSING)).any():
        raise ValueError("X has no variation: all sites are in the same state")
    return encoded


def similarity_matrix(
    X: Any,
    model: str | Callable[[Any], Any] = "jc69",
    *,
    n_states: int | None = None,
    missing: Any = None,
    alpha: float = 1.0,
    gamma: float | None = None,
    frequencies: str = "pair",
    pseudocount: float = 0.0,
    min_overlap: int = 1,
    on_no_overlap: str = "raise",
    rates: Any = None,
    dtype: Any = "float64",
    n_jobs: int | None = None,
) -> tuple[Reals, SimilarityInfo]:
    """Similarities that multiply along the paths of the tree that the observations come from.

    Parameters
    ----------
    X : sequence of str, array of single characters or of integers, shape (m, n)
        Aligned sequences: leaves in rows, sites in columns; integers are states, -1 a missing one. For
        "correlation" real numbers of shape (m, n), for "gaussian_det" (m, n, r) with r numbers an
        observation.
    model : {"jc69", "tn93", "logdet", "correlation", "gaussian_det"} or callable, default="jc69"
        "jc69": equal rates between k states, ``S = (1 - p k / (k - 1))^(k - 1)`` for the fraction p of sites
        that differ. "tn93": Tamura and Nei's distance d, ``S = exp(-4 d)``, for DNA with unequal composition
        and rates (of which HKY85 is a case). "logdet": ``det C / sqrt(prod f_i prod f_j)`` for the joint
        frequencies C of the pair: no assumption on rates and composition. "correlation": ``|corr|``.
        "gaussian_det": ``|det C_ij| / sqrt(det C_ii det C_jj)`` for covariances. A callable gets X and
        returns the matrix.
    n_states : int or None, default=None
        Number k of states; None: 4 for DNA, 20 for protein, 2 for characters 0 and 1, else as many as occur
        (integers: 2, 4 or the largest plus one).
    missing : int, str or None, default=None
        A further value for missing sites; see Notes.
    alpha : float, default=1.0
        Power that S is raised to.
    gamma : float or None, default=None
        Shape of a gamma distribution of the sites' rates, mean 1, for "jc69" and "tn93"; None: equal rates.
    frequencies : {"pair", "pooled"}, default="pair"
        For "tn93": the composition of the two sequences of a pair, or that of the whole alignment.
    pseudocount : float, default=0.0
        For "logdet": added to every entry of the joint counts.
    min_overlap : int, default=1
        Sites that both of a pair must have.
    on_no_overlap : {"raise", "saturate"}, default="raise"
        If a pair has fewer: an error, or S = 0.
    rates : array of shape (k, k) or None, default=None
        For "logdet": the matrix Q of the substitution rates, rows of sum 0, if it is known. The determinant
        of ``exp(Q t)`` is ``exp(t trace Q)``: with Q scaled to one expected substitution per unit of t that
        gives lengths in substitutions.
    dtype : {"float64", "float32"}, default="float64"
        Of `S`. Every similarity is computed in float64 and rounded once.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    S : float64 or float32 array of shape (m, m)
        Symmetric to the last bit, in [0, 1], diagonal 1; 0 for saturated pairs.
    info : SimilarityInfo
        Among others the scale c of ``S = exp(-c alpha d)``.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described; a row is missing altogether, or constant; pairs have no joint sites.

    Warns
    -----
    UserWarning
        There are unknown characters, or more than half of the pairs are saturated.

    Notes
    -----
    A pair is saturated, and S = 0, where the argument of a logarithm is not above 0, or lower than it would
    be
    for less than half a site that differs: the data do not tell it from 0.

    Sites that are missing in one of a pair are left out for this pair: -1, NaN, the letters ``- ? .`` and
    ambiguity codes (N, R, Y ... in DNA; X, B, Z ... in protein). Counts are exact.

    References
    ----------
    Yariv Aizenbud, Ariel Jaffe, Meng Wang, Amber Hu, Noah Amsel, Boaz Nadler, Joseph Chang, Yuval Kluger,
    "Spectral Top-Down Recovery of Latent Tree Models", 2021.

    Koichiro Tamura, Masatoshi Nei, "Estimation of the number of nucleotide substitutions in the control
    region of mitochondrial DNA in humans and chimpanzees", 1993.

    James Lake, "Reconstructing evolutionary trees from DNA and protein sequences: paralinear distances",
    1994.

    Examples
    --------
    >>> from lapwing.trees import similarity_matrix
    >>> S, info = similarity_matrix(["ACGTACGT", "ACGTACGA", "ACGAACGA"])
    >>> S.round(4).tolist()
    [[1.0, 0.5787, 0.2963], [0.5787, 1.0, 0.5787], [0.2963, 0.5787, 1.0]]
    >>> info.scale
    4.0
    """
    threads = _threads.resolve(n_jobs)
    real = check_dtype(dtype)
    if rates is not None and model != "logdet":
        raise ValueError(f"rates are for 'logdet', not for {model!r}")
    if callable(model):
        S, _ = check_similarities(model(X), "the result of model", real)
        return S, SimilarityInfo("callable", None, None, 1.0, int((S == 0).sum()) // 2)
    _validate.check_choice(model, "model", MODELS)
    if model in ("correlation", "gaussian_det"):
        alpha = _validate.check_positive(alpha, "alpha")
        if gamma is not None:
            raise ValueError(f"gamma is for 'jc69' and 'tn93', not for {model!r}")
        S = (_gaussian(X, model, threads) ** alpha).astype(real, copy=False)
        resolved = _resolved(2, float(np.shape(X)[1]), alpha, 0.0)
        return S, SimilarityInfo(model, None, 1.0, alpha, int((S == 0).sum()) // 2, resolved=resolved)
    sites = sites_of(
        X, model, n_states=n_states, missing=missing, alpha=alpha, gamma=gamma, frequencies=frequencies,
        pseudocount=pseudocount, min_overlap=min_overlap, on_no_overlap=on_no_overlap, rates=rates,
        n_jobs=n_jobs,
    )  # fmt: skip
    m = len(sites.codes)
    what = f"the similarity matrix of {m} leaves"
    _validate.check_memory(float(real.itemsize) * m * m, what, "take fewer leaves")
    S, saturated = sites.matrix(dtype=real)
    warn_saturated(saturated, m * (m - 1) // 2)
    return S, sites.info(saturated)


def warn_saturated(saturated: int, pairs: int) -> None:
    """Say so if more than half of the pairs have no similarity."""
    if saturated > pairs / 2:
        warnings.warn(
            f"similarities are saturated: {saturated / pairs:.0%} of the pairs have none",
            UserWarning,
            stacklevel=_caller.level(),
        )


@dataclass(frozen=True)
class Sites:
    """Encoded sequences and the model of their similarities, which are computed where they are needed."""

    encoded: Encoded
    model: str
    alpha: float
    gamma: float
    frequencies: str
    pseudocount: float
    overlap: int
    saturate: bool
    threads: int
    scale: float | None
    numbers: NDArray[np.int32] | None = None  # of the rows, where they are a part of more

    @property
    def codes(self) -> Codes:
        """The states, leaves in rows."""
        return self.encoded.codes

    @property
    def options(self) -> tuple[Any, ...]:
        """The core's description of the model."""
        name = "jc" if self.model == "jc69" else self.model
        pooled = self.frequencies == "pooled"
        k = self.encoded.n_states
        return name, k, self.alpha, self.gamma, pooled, self.pseudocount, self.overlap

    def part(self, rows: NDArray[np.int32]) -> Sites:
        """Some of the sequences alone."""
        return replace(self, encoded=Encoded(self.codes[rows], self.encoded.n_states, 0), numbers=rows)

    def matrix(self, rows: Any = None, dtype: Any = np.float64) -> tuple[Any, int]:
        """Similarities of some leaves (None: all) to each other, and the number of saturated pairs."""
        codes = self.codes if rows is None else self.codes[rows]
        return self._fill(codes, 0, np.empty((len(codes), len(codes)), dtype), rows)

    def between(self, rows: Any, columns: Any) -> Doubles:
        """Similarities of some leaves to others."""
        both = np.concatenate([columns, rows])
        S: Doubles = np.empty((len(rows), len(columns)))
        self._fill(self.codes[both], len(columns), S, both)
        return S

    def _fill(self, codes: Codes, split: int, S: Any, rows: Any) -> tuple[Any, int]:
        core = _backend.extension()
        saturated, apart, i, j = core.phylo_similarity(codes, self.options, split, S, self.threads)
        if apart and not self.saturate:
            for numbers in (rows, self.numbers):
                i, j = (i, j) if numbers is None else (int(numbers[i]), int(numbers[j]))
            i, j = sorted((i, j))
            raise ValueError(
                f"{apart} pairs of leaves have fewer than {self.overlap} joint sites, the first ({i}, {j}); "
                "on_no_overlap='saturate' takes them for unrelated"
            )
        return S, saturated + apart

    def info(self, saturated: int) -> SimilarityInfo:
        """What is known about the similarities."""
        codes, k, unknown = self.encoded
        present = float((codes != MISSING).mean())
        resolved = _resolved(k, present * present * codes.shape[1], self.alpha, self.gamma)
        return SimilarityInfo(self.model, k, self.scale, self.alpha, saturated, unknown, resolved)


class SimilarityOperator:
    """The matrix of similarities as its products, which compute it tile by tile and keep nothing.

    Attributes
    ----------
    shape : (int, int)
        (m, m) for m sequences.
    dtype : dtype
        float64.
    info : SimilarityInfo
        What is known about the similarities; saturated pairs are not counted (0).
    """

    def __init__(self, sites: Sites) -> None:
        m = len(sites.codes)
        self.shape, self.dtype, self.info = (m, m), np.dtype(np.float64), sites.info(0)
        self._sites = sites

    @cached_property
    def degree(self) -> Doubles:
        """Sums of the rows."""
        return self.matvec(np.ones(self.shape[0]))

    def matmat(self, x: Any) -> Doubles:
        """Multiply the matrix with the columns of `x`, of shape (m, k)."""
        m = self.shape[0]
        block = np.ascontiguousarray(np.asarray(x, dtype=np.float64).T)
        if block.ndim != 2 or block.shape[1] != m:
            raise ValueError(f"x must have {m} rows, got shape {np.shape(x)}")
        out = np.empty((m, len(block)))
        everyone = np.arange(m)
        height = max(1, TILE_ENTRIES // m)
        for start in range(0, m, height):
            rows = everyone[start : start + height]
            part = np.empty((len(block), len(rows)))
            K = self._sites.between(rows, everyone)
            _backend.extension().dense_times(K, block, part, self._sites.threads)
            out[rows] = part.T
        return out

    def matvec(self, x: Any) -> Doubles:
        """Multiply the matrix with a vector."""
        return np.asarray(self.matmat(np.reshape(x, (-1, 1)))[:, 0])

    def __matmul__(self, x: Any) -> Doubles:
        return self.matvec(x) if np.ndim(x) == 1 else self.matmat(x)


def similarity_operator(
    X: Any,
    model: str = "jc69",
    *,
    n_states: int | None = None,
    missing: Any = None,
    alpha: float = 1.0,
    gamma: float | None = None,
    frequencies: str = "pair",
    pseudocount: float = 0.0,
    min_overlap: int = 1,
    on_no_overlap: str = "raise",
    rates: Any = None,
    n_jobs: int | None = None,
) -> SimilarityOperator:
    """Similarities of sequences as an operator, for more of them than a matrix has room for.

    Parameters
    ----------
    X, n_states, missing, alpha, gamma, pseudocount, min_overlap, on_no_overlap, rates, n_jobs
        As in `similarity_matrix`.
    model : {"jc69", "tn93", "logdet"}, default="jc69"
        As in `similarity_matrix`.
    frequencies : {"pair"}, default="pair"
        "pooled" is not offered: a tile does not see the whole alignment.

    Returns
    -------
    SimilarityOperator
        With `matmat`, `matvec`, `@` and `degree`: ``graph.fiedler_vector(S, degree=S.degree)`` cuts the
        leaves of a tree without a matrix. A product takes the time of computing all similarities once.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described. Pairs without joint sites are found by the first product.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.trees import similarity_matrix, similarity_operator
    >>> X = ["ACGTACGT", "ACGTACGA", "ACGAACGA"]
    >>> S, _ = similarity_matrix(X)
    >>> bool(np.allclose(similarity_operator(X) @ np.ones(3), S.sum(axis=1)))
    True
    """
    _validate.check_choice(model, "model", ("jc69", "tn93", "logdet"))
    _validate.check_choice(frequencies, "frequencies", ("pair",))
    sites = sites_of(
        X, model, n_states=n_states, missing=missing, alpha=alpha, gamma=gamma, pseudocount=pseudocount,
        min_overlap=min_overlap, on_no_overlap=on_no_overlap, rates=rates, n_jobs=n_jobs,
    )  # fmt: skip
    return SimilarityOperator(sites)


def sites_of(
    X: Any,
    model: str,
    *,
    n_states: int | None = None,
    missing: Any = None,
    alpha: float = 1.0,
    gamma: float | None = None,
    frequencies: str = "pair",
    pseudocount: float = 0.0,
    min_overlap: int = 1,
    on_no_overlap: str = "raise",
    rates: Any = None,
    n_jobs: int | None = None,
) -> Sites:
    """Check and encode sequences; arguments as in `similarity_matrix`."""
    alpha = _validate.check_positive(alpha, "alpha")
    shape = 0.0 if gamma is None else _validate.check_positive(gamma, "gamma")
    if shape and model not in ("jc69", "tn93"):
        raise ValueError(f"gamma is for 'jc69' and 'tn93', not for {model!r}")
    _validate.check_choice(frequencies, "frequencies", ("pair", "pooled"))
    pseudocount = _validate.check_positive(pseudocount, "pseudocount", zero=True)
    overlap = _validate.check_integer(min_overlap, "min_overlap", 1)
    _validate.check_choice(on_no_overlap, "on_no_overlap", ("raise", "saturate"))
    if model == "tn93" and n_states not in (None, 4):
        raise ValueError(f"model 'tn93' is for 4 states, got n_states={n_states}")
    if not isinstance(X, Encoded):  # those were checked, or drawn from what was
        X = check_encoded(encode(X, 4 if model == "tn93" else n_states, missing))
    if X.unknown:
        warnings.warn(
            f"{X.unknown} unknown characters are taken for missing sites",
            UserWarning,
            stacklevel=_caller.level(),
        )
    saturate, threads = on_no_overlap == "saturate", _threads.resolve(n_jobs)
    k = X.n_states
    scale = {"jc69": float(k), "tn93": 4.0}.get(model) if rates is None else _scale_of(rates, k, model)
    return Sites(X, model, alpha, shape, frequencies, pseudocount, overlap, saturate, threads, scale)


def _scale_of(rates: Any, k: int, model: str) -> float:
    """``-trace Q``, by which the logarithm of a determinant falls in one unit of time."""
    if model != "logdet":
        raise ValueError(f"rates are for 'logdet', not for {model!r}")
    Q = np.asarray(_validate.check_points(rates, "rates"), dtype=np.float64)
    if Q.shape != (k, k):
        raise ValueError(f"rates must have shape ({k}, {k}) for {k} states, got {Q.shape}")
    off = Q - np.diag(np.diagonal(Q))
    if (off < 0).any() or (np.abs(Q.sum(axis=1)) > 1e-8 * np.abs(Q).max()).any() or not off.any():
        raise ValueError("rates must not be negative off the diagonal, not all 0, and its rows must sum to 0")
    return float(-np.trace(Q))


def _resolved(k: int, n: float, alpha: float, gamma: float) -> float | None:
    """-log S where the relative error of ``S = b^(k - 1)`` is 1.

    b = 1 - p k / (k - 1) has variance ``(1 - b) (1 + (k - 1) b) / (n (k - 1))``, and ``k - 1`` times its
    relative error is that of S: a quadratic equation.
    """
    square, linear = n + (k - 1) ** 2, (k - 1) * (k - 2)
    b = (linear + np.sqrt(linear**2 + 4 * square * (k - 1))) / (2 * square)
    if b >= 1:
        return None
    depth = gamma * (b ** (-1 / gamma) - 1) if gamma else -np.log(b)
    return float((k - 1) * alpha * depth)


def _gaussian(X: Any, model: str, threads: int) -> Doubles:
    array = np.asarray(X, dtype=np.float64)
    wanted = 2 if model == "correlation" else 3
    if model == "gaussian_det" and array.ndim == 2:
        array = array[:, :, None]
        wanted = 3
    if array.ndim != wanted or array.size == 0:
        raise ValueError(f"X must be {wanted}-D and not empty for {model!r}, got shape {array.shape}")
    if not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        raise ValueError(
            f"X must be finite, but {int(bad.sum())} entries are not, the first X"
            f"{_validate.position(int(np.argmax(bad)), array.shape)}"
        )
    m, n = array.shape[:2]
    if m < 2:
        raise ValueError(f"X: need at least 2 leaves, got {m}")
    if n < 2:
        raise ValueError(f"X: need at least 2 observations of each leaf, got {n}")
    centred = array - array.mean(axis=1, keepdims=True)
    r = 1 if array.ndim == 2 else array.shape[2]
    flat = centred.reshape(m, n, r).transpose(0, 2, 1).reshape(m * r, n)
    size = np.sqrt((flat * flat).mean(axis=1))
    flat_size = np.abs(array.reshape(m, n, r).transpose(0, 2, 1).reshape(m * r, n)).max(axis=1)
    constant = np.unique(np.flatnonzero(size <= 1e-14 * flat_size) // r)
    if constant.size:
        raise ValueError(f"X has constant rows: {', '.join(map(str, constant[:5].tolist()))}")
    flat = np.ascontiguousarray(flat / size[:, None])
    C = np.empty((m * r, m * r))
    _backend.extension().phylo_gram(flat, C, threads)
    C /= n
    if r == 1:
        S = np.abs(C)
    else:
        blocks = C.reshape(m, r, m, r).transpose(0, 2, 1, 3)
        det = np.abs(np.linalg.det(blocks))
        own = np.sqrt(np.diagonal(det))
        if (own <= 1e-12).any():
            raise ValueError(f"the covariance of leaf {int(np.argmin(own))} is singular")
        S = det / (own[:, None] * own[None, :])
        S = np.maximum(S, S.T)
    S = np.minimum(S, 1.0)
    np.fill_diagonal(S, 1.0)
    return np.asarray(S)


def distance_matrix(
    S: Any, *, scale: float = 1.0, cap: float | None = None, n_jobs: int | None = None
) -> Doubles:
    """Distances ``-log(S) / scale``; pairs without similarity get the largest finite distance.

    Parameters
    ----------
    S : array of shape (m, m)
        Similarities in [0, 1], symmetric, diagonal 1.
    scale : float, default=1.0
        ``info.scale * info.alpha`` of `similarity_matrix` gives expected substitutions per site.
    cap : float or None, default=None
        Largest ``-log(S)``, such as ``info.resolved``: distances beyond are made that long. For joining
        methods.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.

    Returns
    -------
    float64 array of shape (m, m)

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> from lapwing.trees import distance_matrix
    >>> distance_matrix([[1, 0.5], [0.5, 1]]).round(4).tolist()
    [[0.0, 0.6931], [0.6931, 0.0]]
    """
    threads = _threads.resolve(n_jobs)
    scale = _validate.check_positive(scale, "scale")
    if cap is not None:
        cap = _validate.check_positive(cap, "cap")
    similarities, _ = check_similarities(S)
    D: Doubles = distances_of(similarities, threads)
    if cap is not None:
        np.minimum(D, cap, out=D)
    if scale != 1:
        D /= scale
    return D


def distances_of(S: Any, threads: int) -> Any:
    """``-log(S)`` of similarities that were checked, in their type."""
    D = np.empty_like(S)
    _backend.extension().phylo_distances(S, D, threads)
    return D
