"""Bits-back coding of images with a cascade: the chains of latents through one stack of bits.

A stack of asymmetric numeral systems gives bits where a symbol is popped and takes them where one is pushed.
A link of images is coded as ::

    pop z_0 ~ q(z_0 | x);  push x | z_0
    for every scale, the finest first (its condition, the coarser z_0, is known):
        for i = 1..T:  pop z_i ~ q(z_i | z_{i-1});  push z_{i-1} with p(z_{i-1} | z_i, condition)
        push z_T with N(0, 1)

and decoded by the same steps backwards. The bits that the first link takes off the stack are those of the
first few images, which are predicted from their neighbouring pixels alone: some bits more than by the
networks, but fewer than they would waste. Links grow with what lies on the stack.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing._optional import need
from lapwing.exceptions import DecodeError

from ._algorithm import Scales, _alpha_sigma

__all__ = ["Chain", "Header", "compress_images", "decompress_images", "read_header"]

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

MAGIC = b"lapwPCDM"
VERSION = 1
#: Images that the networks see at once, and most images in a link.
BATCH = 256
MOST_IN_LINK = 4096
#: A standard deviation has at least so many steps of the latents' grid.
_FINENESS = 12.0
#: Half-width of the window of a Gaussian in standard deviations; what lies beyond is escaped from.
_WINDOW = 7
#: Means are rounded to so many places between two steps of the grid.
_CLASSES = 16
#: Weight of the escape among 2^30.
_ESCAPE = 64.0
_NODES = 256  # of the table of the normal distribution function, per standard deviation
_SPAN = 8


class _Exhausted(Exception):
    """The stack held fewer bits than were popped."""


@lru_cache(maxsize=1)
def normal_table() -> Ints:
    """``round(2^30 Phi(j / 256))`` for j = -2048..2048: integers, so that all machines agree."""
    return np.array(
        [
            round(2**30 * 0.5 * math.erfc(-j / _NODES / math.sqrt(2.0)))
            for j in range(-_SPAN * _NODES, _SPAN * _NODES + 1)
        ],
        dtype=np.int64,
    )


def gaussian_weights(sd64: int, width: int) -> Ints:
    """Integer weights of offsets -width..width from a rounded mean, a row for each place of the mean.

    Parameters
    ----------
    sd64 : int
        Standard deviation in 1/64 of a step.
    width : int

    Returns
    -------
    ndarray of shape (16, 2 * width + 1)
        Differences of the distribution function at ``offset +- 1/2 - f``, where f = -15/32, -13/32, ...,
        15/32.
    """
    table = normal_table()
    edges = 32 * np.arange(-width, width + 2, dtype=np.int64) - 16  # in 1/32 of a step
    means = 2 * np.arange(_CLASSES, dtype=np.int64) + 1 - _CLASSES
    fixed = (2 * _NODES * 1024) * (edges[None, :] - means[:, None]) // sd64  # nodes, times 1024
    fixed = np.clip(fixed + _SPAN * _NODES * 1024, 0, (len(table) - 1) * 1024 - 1)
    node, rest = fixed >> 10, fixed & 1023
    below = table[node]
    weights: Ints = np.diff(below + ((table[node + 1] - below) * rest >> 10), axis=1)
    return weights


class Stack:
    """The stack of bits, with Gaussians on grids and windows of grey values as its symbols."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._stream = need("constriction", extra="torch", purpose="compression").stream
        self._coder = self._stream.stack.AnsCoder(np.ascontiguousarray(words, dtype=np.uint32))
        self._models: dict[tuple[int, bool], tuple[int, list[Any]]] = {}
        self._rows = self._stream.model.Categorical(perfect=False)
        self.lowest = self.height

    @property
    def height(self) -> int:
        """Number of words."""
        return int(self._coder.num_words())

    def words(self) -> NDArray[np.uint32]:
        """A copy of all that lies on the stack."""
        return np.array(self._coder.get_compressed(), dtype=np.uint32)

    def _popped(self) -> None:
        self.lowest = min(self.lowest, self.height)
        if self.height < 4:
            raise _Exhausted

    # --- Gaussians --------------------------------------------------------------------------------

    def _gaussian(self, sd: float, escape: bool) -> tuple[int, list[Any]]:
        sd64 = max(1, round(64.0 * sd))
        if (sd64, escape) not in self._models:
            width = math.ceil(_WINDOW * sd64 / 64) + 1
            weights = gaussian_weights(sd64, width).astype(np.float64)
            if escape:
                weights = np.pad(weights, ((0, 0), (0, 1)), constant_values=_ESCAPE)
            if len(self._models) > 1000:
                self._models.clear()
            model = self._stream.model.Categorical
            self._models[sd64, escape] = (width, [model(row, perfect=False) for row in weights])
        return self._models[sd64, escape]

    @staticmethod
    def _classes(mean: Doubles) -> tuple[Ints, NDArray[np.intp], Ints]:
        base = np.floor(mean + 0.5)
        place = np.clip(((mean - base + 0.5) * _CLASSES).astype(np.int64), 0, _CLASSES - 1)
        order = np.argsort(place, kind="stable")
        ends = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=_CLASSES))])
        return base.astype(np.int64), order, ends

    def pop_gaussian(self, mean: Doubles, sd: float, escape: bool) -> Ints:
        """Integers with probabilities of a Gaussian, in the shape of the means."""
        width, models = self._gaussian(sd, escape)
        base, order, ends = self._classes(mean.ravel())
        offsets = np.empty(mean.size, dtype=np.int64)
        for c in range(_CLASSES):
            some = order[ends[c] : ends[c + 1]]
            if some.size:
                symbols = np.asarray(self._coder.decode(models[c], some.size), dtype=np.int64) - width
                if escape:
                    for i in np.flatnonzero(symbols > width):
                        symbols[i] = self._pop_far(width)
                offsets[some] = symbols
        self._popped()
        return (base + offsets).reshape(mean.shape)

    def push_gaussian(self, k: Ints, mean: Doubles, sd: float, escape: bool) -> None:
        """Undo `pop_gaussian`."""
        width, models = self._gaussian(sd, escape)
        base, order, ends = self._classes(mean.ravel())
        offsets = k.ravel() - base
        far = np.abs(offsets) > width
        if not escape and far.any():
            raise DecodeError("a latent lies beyond what can have been drawn: the file is damaged")
        symbols = np.where(far, 2 * width + 1, offsets + width).astype(np.int32)
        for c in range(_CLASSES - 1, -1, -1):
            some = order[ends[c] : ends[c + 1]]
            if some.size:
                for i in some[far[some]][::-1]:
                    self._push_far(int(offsets[i]), width)
                self._coder.encode_reverse(symbols[some], models[c])

    def pop_uniform(self, size: int) -> int:
        """One of so many numbers, all alike."""
        value = int(self._coder.decode(self._stream.model.Uniform(size)))
        self._popped()
        return value

    def push_uniform(self, value: int, size: int) -> None:
        """Undo `pop_uniform`."""
        self._coder.encode_reverse(value, self._stream.model.Uniform(size))

    def _pop_far(self, width: int) -> int:
        """An offset beyond the window: length, sign, then the bits by sixteens."""
        length, negative = self.pop_uniform(49), self.pop_uniform(2)
        value = 0
        for shift in range(0, length, 16):
            value |= self.pop_uniform(2 ** min(16, length - shift)) << shift
        return (-1 if negative else 1) * (value + width + 1)

    def _push_far(self, offset: int, width: int) -> None:
        value = abs(offset) - width - 1
        length = value.bit_length()
        if length > 48:
            raise OverflowError("a latent is too far from its prediction to be coded")
        for shift in range(16 * ((length - 1) // 16), -1, -16) if length else ():
            bits = min(16, length - shift)
            self.push_uniform((value >> shift) & (2**bits - 1), 2**bits)
        self.push_uniform(int(offset < 0), 2)
        self.push_uniform(length, 49)

    # --- grey values ------------------------------------------------------------------------------

    @staticmethod
    def _windows(place: Doubles, sd: float, low: int, high: int) -> tuple[Ints, NDArray[np.float32]]:
        """Where the window of each value begins, and its probabilities with the escape last."""
        half = min(math.ceil(8.0 * sd) + 1, high - low + 1)
        base = np.clip(np.floor(place + 0.5), low, high).astype(np.int64) - half
        values = base[:, None] + np.arange(2 * half + 1)
        squares = np.where((values < low) | (values > high), np.inf, (values - place[:, None]) ** 2)
        squares -= squares.min(1, keepdims=True)
        weights = np.exp(-0.5 * squares / (sd * sd))
        weights = np.round(weights * (2.0**20 / weights.sum(1, keepdims=True)))
        return base, np.pad(weights, ((0, 0), (0, 1)), constant_values=1.0).astype(np.float32)

    def _chunks(self, count: int, sd: float) -> list[slice]:
        size = max(1, 2**22 // (2 * math.ceil(8.0 * sd) + 4))
        return [slice(i, min(i + size, count)) for i in range(0, count, size)]

    def pop_values(self, place: Doubles, sd: float, low: int, high: int) -> Ints:
        """Integers in low..high, seen at `place` with noise."""
        flat = place.ravel()
        out = np.empty(flat.size, dtype=np.int64)
        for part in self._chunks(flat.size, sd):
            base, weights = self._windows(flat[part], sd, low, high)
            symbols = np.asarray(self._coder.decode(self._rows, weights), dtype=np.int64)
            values = base + symbols
            for i in np.flatnonzero(symbols == weights.shape[1] - 1):
                values[i] = low + self.pop_uniform(max(2, high - low + 1))
            out[part] = values
        self._popped()
        if out.min() < low or out.max() > high:
            raise DecodeError("a grey value lies outside its range: the file is damaged")
        return out.reshape(place.shape)

    def push_values(self, k: Ints, place: Doubles, sd: float, low: int, high: int) -> None:
        """Undo `pop_values`."""
        flat, values = place.ravel(), k.ravel()
        for part in self._chunks(flat.size, sd)[::-1]:
            base, weights = self._windows(flat[part], sd, low, high)
            symbols = values[part] - base
            last = weights.shape[1] - 1
            inside = (symbols >= 0) & (symbols < last)
            inside &= weights[np.arange(len(symbols)), np.clip(symbols, 0, last)] > 0
            for i in np.flatnonzero(~inside)[::-1]:
                self.push_uniform(int(values[part][i]) - low, max(2, high - low + 1))
            self._coder.encode_reverse(np.where(inside, symbols, last).astype(np.int32), self._rows, weights)


def push_plain(stack: Stack, x: Ints, vocab_size: int) -> None:
    """Push images (n, C, H, W), each pixel given those above and to the left."""
    for image in x.reshape(-1, *x.shape[2:])[::-1]:
        for place in range(image.size - 1, 0, -1):
            i, j = divmod(place, image.shape[1])
            mean, sd = _predicted(image, i, j, vocab_size)
            stack.push_gaussian(image[i, j : j + 1], np.array([mean]), sd, True)
        stack.push_uniform(int(image[0, 0]), vocab_size)


def pop_plain(stack: Stack, shape: Sequence[int], vocab_size: int) -> Ints:
    """Undo `push_plain`."""
    x = np.zeros(shape, dtype=np.int64)
    for image in x.reshape(-1, *shape[2:]):
        image[0, 0] = stack.pop_uniform(vocab_size)
        for place in range(1, image.size):
            i, j = divmod(place, image.shape[1])
            mean, sd = _predicted(image, i, j, vocab_size)
            image[i, j] = stack.pop_gaussian(np.array([mean]), sd, True)[0]
    return x


def _predicted(image: Ints, i: int, j: int, vocab_size: int) -> tuple[float, float]:
    """A pixel from those before it: the median of what three of them foretell, wider where these differ."""
    least = max(0.5, vocab_size / 128)
    if i == 0 or j == 0:
        return float(image[i, j - 1] if i == 0 else image[i - 1, j]), 4 * least
    left, above, corner = int(image[i, j - 1]), int(image[i - 1, j]), int(image[i - 1, j - 1])
    mean = sorted((left, above, left + above - corner))[1]
    unrest = abs(left - corner) + abs(above - corner)
    return float(mean), least + 0.25 * (2 ** min(unrest.bit_length(), 11) - 1)


class Chain:
    """The Markov chain of a fitted model in discrete time, and how its links are coded.

    Parameters
    ----------
    scales : Scales
    predict : callable
        (scale, z, gamma, condition, labels) to the predicted noise; float64 NumPy arrays in and out.
    gammas : sequence of float
        The schedule at the steps 0..T.
    mse : sequence of ndarray of shape (T + 1, channels)
        Expected errors by which the variances are calibrated.
    noisy : bool
        Whether conditions are the noisy latents.
    exponents : sequence of sequence of int or None, default=None
        Of the grids of the latents by scale and step; None: they are computed.
    """

    def __init__(
        self,
        scales: Scales,
        predict: Callable[..., Doubles],
        gammas: Sequence[float],
        mse: Sequence[Doubles],
        noisy: bool,
        exponents: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.scales, self.noisy, self._predict = scales, noisy, predict
        self.gammas = [float(g) for g in gammas]
        self.steps = len(gammas) - 1
        pairs = [_alpha_sigma(g) for g in self.gammas]
        self.alpha, self.sigma = [p[0] for p in pairs], [p[1] for p in pairs]
        # kept[i] = 1 - exp(gamma_{i-1} - gamma_i)
        self.kept = [0.0, *(-math.expm1(a - b) for a, b in zip(self.gammas, self.gammas[1:], strict=False))]
        self.forward_sd = [
            self.sigma[0], *(self.sigma[i] * math.sqrt(self.kept[i]) for i in range(1, self.steps + 1))
        ]  # fmt: skip
        self.reverse_sd: list[list[Doubles]] = []
        for table in mse:
            sds = [
                self.sigma[i - 1]
                * np.sqrt(self.kept[i] * (1.0 + math.expm1(self.gammas[i] - self.gammas[i - 1]) * table[i]))
                for i in range(1, self.steps + 1)
            ]
            self.reverse_sd.append([*sds, np.ones(table.shape[1])])
        self.exponents = (
            [
                [
                    math.floor(math.log2(min(q, float(p.min())) / _FINENESS))
                    for q, p in zip(self.forward_sd, reverse, strict=True)
                ]
                for reverse in self.reverse_sd
            ]
            if exponents is None
            else [[int(e) for e in row] for row in exponents]
        )
        self.noise = math.exp(0.5 * self.gammas[0]) * scales.vocab_size / 2.0  # in grey steps

    def bits_to_begin(self) -> float:
        """What an image needs on the stack before it gives anything back, at most."""
        each = [
            dims * max(math.log2(self.forward_sd[i] / 2.0 ** row[i] * 4.1328) for i in (0, 1))
            for dims, row in zip(self.scales.dims, self.exponents, strict=True)
        ]
        return (sum(each) if self.noisy else 0.0) + 2 * max(each)

    # --- symbols ----------------------------------------------------------------------------------

    def _pop(self, stack: Stack, mean: Doubles, sd: Any, s: int, i: int, escape: bool) -> Doubles:
        step = 2.0 ** self.exponents[s][i]
        if np.ndim(sd) == 0:
            k = stack.pop_gaussian(mean / step, float(sd) / step, escape)
        else:
            channels = range(mean.shape[1])
            k = np.stack(
                [stack.pop_gaussian(mean[:, c] / step, float(sd[c]) / step, escape) for c in channels], 1
            )
        return k.astype(np.float64) * step

    def _push(self, stack: Stack, z: Doubles, mean: Doubles, sd: Any, s: int, i: int, escape: bool) -> None:
        step = 2.0 ** self.exponents[s][i]
        k = np.rint(z / step).astype(np.int64)
        if np.ndim(sd) == 0:
            stack.push_gaussian(k, mean / step, float(sd) / step, escape)
            return
        for c in range(z.shape[1] - 1, -1, -1):
            stack.push_gaussian(k[:, c], mean[:, c] / step, float(sd[c]) / step, escape)

    def _reverse_mean(
        self, z: Doubles, s: int, i: int, condition: Doubles | None, labels: Any
    ) -> Doubles:  # fmt: skip
        eps = self._predict(s, z, self.gammas[i], condition, labels)
        ratio = self.alpha[i - 1] / self.alpha[i]
        mean: Doubles = ratio * (z - (self.kept[i] * self.sigma[i]) * eps)
        return mean

    def _condition(self, starts: Sequence[Doubles]) -> Doubles:
        coarse: Doubles = self.scales.coarse([z / self.alpha[0] for z in starts])
        return coarse

    def _image_place(self, starts: Sequence[Doubles]) -> Doubles:
        place: Doubles = self.scales.on_lattice(
            self.scales.map.inverse([z / self.alpha[0] for z in starts]), 0
        )
        return place

    # --- one scale --------------------------------------------------------------------------------

    def _encode_scale(self, stack: Stack, z: Doubles, s: int, condition: Doubles | None, labels: Any) -> None:
        for i in range(1, self.steps + 1):
            mean = (self.alpha[i] / self.alpha[i - 1]) * z
            later = self._pop(stack, mean, self.forward_sd[i], s, i, False)
            back = self._reverse_mean(later, s, i, condition, labels)
            self._push(stack, z, back, self.reverse_sd[s][i - 1], s, i - 1, True)
            z = later
        self._push(stack, z, np.zeros_like(z), 1.0, s, self.steps, True)

    def _decode_scale(self, stack: Stack, n: int, s: int, condition: Doubles | None, labels: Any) -> Doubles:
        z = self._pop(stack, np.zeros((n, *self.scales.shapes[s])), 1.0, s, self.steps, True)
        for i in range(self.steps, 0, -1):
            back = self._reverse_mean(z, s, i, condition, labels)
            before = self._pop(stack, back, self.reverse_sd[s][i - 1], s, i - 1, True)
            mean = (self.alpha[i] / self.alpha[i - 1]) * before
            self._push(stack, z, mean, self.forward_sd[i], s, i, False)
            z = before
        return z

    # --- one link ---------------------------------------------------------------------------------

    def encode(self, stack: Stack, x: Ints, labels: Any) -> None:
        """Push the images `x` (n, C, H, W)."""
        bands, conditions, ints = self.scales.split(x)
        count = self.scales.n_scales
        if self.noisy:
            starts = [
                self._pop(stack, self.alpha[0] * bands[s], self.sigma[0], s, 0, False) for s in range(count)
            ]
            stack.push_values(ints[0], self._image_place(starts), self.noise, *self.scales.ranges[0])
            for s in range(count - 1, -1, -1):
                condition = self._condition(starts[:s]) if s else None
                self._encode_scale(stack, starts[s], s, condition, labels)
            return
        for s in range(count - 1, -1, -1):
            z = self._pop(stack, self.alpha[0] * bands[s], self.sigma[0], s, 0, False)
            place = self.scales.on_lattice(z / self.alpha[0], s)
            stack.push_values(ints[s], place, self.noise, *self.scales.ranges[s])
            self._encode_scale(stack, z, s, conditions[s], labels)

    def decode(self, stack: Stack, n: int, labels: Any) -> Ints:
        """Pop n images."""
        count = self.scales.n_scales
        if self.noisy:
            starts: list[Doubles] = []
            for s in range(count):
                condition = self._condition(starts) if s else None
                starts.append(self._decode_scale(stack, n, s, condition, labels))
            x = stack.pop_values(self._image_place(starts), self.noise, *self.scales.ranges[0])
            bands = self.scales.split(x)[0]
            for s in range(count - 1, -1, -1):
                self._push(stack, starts[s], self.alpha[0] * bands[s], self.sigma[0], s, 0, False)
            return x
        ks: list[Ints] = []
        for s in range(count):
            condition = self.scales.encode(self.scales.coarse_integers(ks).astype(np.float64)) if s else None
            z = self._decode_scale(stack, n, s, condition, labels)
            place = self.scales.on_lattice(z / self.alpha[0], s)
            k = stack.pop_values(place, self.noise, *self.scales.ranges[s])
            band = self.scales._encode_scale(k.astype(np.float64), s)
            self._push(stack, z, self.alpha[0] * band, self.sigma[0], s, 0, False)
            ks.append(k)
        return self.scales.coarse_integers(ks)


# --- the file -----------------------------------------------------------------------------------------

Header = dict[str, Any]
_FIXED = struct.Struct("<8sHII")  # magic, version, length of the header, checksum of these and the header
#: What every header says, so that it need not be said in full. Part of the format.
_WORDS = (
    b'{"batch":256,"count":1000,"device":"cpu","dtype":"float32","grid":[[-14,3,-13,4,-12,5,-11,6,-10,7,-9,8,-8,9,'
    b'-7,10,-6,11,-5,12,-4,1]],"labels":false,"links":[1,1,2,3,4,6,8,12,17,24],"model":0,"payload":[10,1],"pixels":10,'
    b'"plain":3,"prefix":[16,0],"seed":0,"shape":[1,16,16],"steps":50,"threads":1,"torch":"2.13.0+cpu"}'
)


def _pixels_checksum(x: Ints) -> int:
    return zlib.crc32(np.ascontiguousarray(x, dtype="<i4").tobytes())


def _prefix(seed: int, count: int) -> NDArray[np.uint32]:
    words = np.random.Generator(np.random.Philox(key=seed)).integers(0, 2**32, count, dtype=np.uint32)
    words[-1] |= 1 << 31  # the coder drops zeros at the end
    return words


def compress_images(chain: Chain, x: Ints, labels: Any, header: Header, seed: int = 0) -> bytes:
    """Code images to a file.

    Parameters
    ----------
    chain : Chain
    x : ndarray of int of shape (n, C, H, W)
    labels : ndarray of shape (n,) or None
    header : dict
        What else the header shall say: what decoding must agree in.
    seed : int
        Of the bits that the stack begins with.
    """
    need_bits = chain.bits_to_begin()
    words = 16
    for _ in range(16):
        try:
            return _compress(chain, x, labels, header, seed, words, need_bits)
        except _Exhausted:  # noqa: PERF203 - it hardly ever happens
            words *= 2
    raise RuntimeError("the stack of bits ran empty: the model predicts these images too badly to code them")


def _compress(
    chain: Chain, x: Ints, labels: Any, header: Header, seed: int, words: int, need_bits: float
) -> bytes:
    stack = Stack(_prefix(seed, words))
    vocab_size, done = chain.scales.vocab_size, 0
    while done < len(x) and (stack.height - 8) * 32 < 1.15 * need_bits:
        push_plain(stack, x[done : done + 1], vocab_size)
        done += 1
    plain, links, checksums = done, [], []
    if plain:
        checksums.append(_pixels_checksum(x[:plain]))
    while done < len(x):
        affordable = int((stack.height - 8) * 32 / (1.1 * need_bits))
        n = max(1, min(affordable, len(x) - done, MOST_IN_LINK))
        part = slice(done, done + n)
        chain.encode(stack, x[part], None if labels is None else labels[part])
        links.append(n)
        checksums.append(_pixels_checksum(x[part]))
        done += n
    final = stack.words()
    kept = max(0, min(stack.lowest - 4, words))  # below, the stack still is what the generator gave
    while kept and not np.array_equal(final[:kept], _prefix(seed, words)[:kept]):
        kept -= 1
    payload = np.ascontiguousarray(final[kept:], dtype="<u4").tobytes()
    about = {
        **header,
        "count": len(x),
        "shape": list(chain.scales.shape),
        "steps": chain.steps,
        "plain": plain,
        "links": links,
        "pixels": checksums,
        "grid": chain.exponents,
        "seed": seed,
        "prefix": [words, kept],
        "payload": [len(payload), zlib.crc32(payload)],
    }
    return write_header(about) + payload


def write_header(about: Header) -> bytes:
    """All that comes before the payload.

    The hash of the model and the checksums of pixels stand behind the rest as they are, and rows of the grid
    are pairs of a number and how often it comes.
    """
    short, tail = dict(about), b""
    if isinstance(about.get("model"), str) and len(about["model"]) == 32:
        short["model"], tail = 0, bytes.fromhex(about["model"])
    if isinstance(about.get("pixels"), list):
        short["pixels"] = len(about["pixels"])
        tail += np.array(about["pixels"], dtype="<u4").tobytes()
    if isinstance(about.get("grid"), list):
        short["grid"] = [
            [n for value, same in groupby(row) for n in (value, len(list(same)))] for row in about["grid"]
        ]
    deflate = zlib.compressobj(9, wbits=-15, zdict=_WORDS)
    text = json.dumps(short, separators=(",", ":"), sort_keys=True).encode()
    body = deflate.compress(text) + deflate.flush() + tail
    start = _FIXED.pack(MAGIC, VERSION, len(body), 0)
    return _FIXED.pack(MAGIC, VERSION, len(body), zlib.crc32(start + body)) + body


def read_header(data: bytes) -> tuple[Header, bytes]:
    """The header and the payload of a file, both checked against their checksums.

    Raises
    ------
    DecodeError
        The file is foreign, of another version, truncated or damaged.
    """
    if len(data) < _FIXED.size or data[: len(MAGIC)] != MAGIC:
        raise DecodeError("this is no file of compressed images of lapwing's PCDM")
    magic, version, length, checksum = _FIXED.unpack_from(data)
    if version != VERSION:
        raise DecodeError(f"the file has format version {version}, and this lapwing reads {VERSION}")
    body = data[_FIXED.size : _FIXED.size + length]
    if len(body) < length:
        raise DecodeError("the file is truncated within its header")
    if zlib.crc32(_FIXED.pack(magic, version, length, 0) + body) != checksum:
        raise DecodeError("the header is damaged: its checksum does not match")
    try:
        inflate = zlib.decompressobj(wbits=-15, zdict=_WORDS)
        header = json.loads(inflate.decompress(body, 2**24))
        _restore(header, inflate.unused_data)
        size, expected = (int(v) for v in header["payload"])
        counts, plain = [int(n) for n in header["links"]], int(header["plain"])
        small = all(1 <= n <= MOST_IN_LINK for n in counts) and plain >= 0
        if sum(counts) + plain != header["count"] or not small:
            raise ValueError("its links do not add up")
        if len(header["pixels"]) != len(counts) + (plain > 0):
            raise ValueError("it has not one checksum a link")
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DecodeError(f"the header cannot be read: {error}") from error
    payload = data[_FIXED.size + length :]
    if len(payload) != size:
        what = "truncated" if len(payload) < size else "too long"
        raise DecodeError(f"the file is {what}: its payload has {len(payload)} bytes instead of {size}")
    if zlib.crc32(payload) != expected:
        raise DecodeError("the payload is damaged: its checksum does not match")
    if size % 4:
        raise DecodeError("the payload is no whole number of words")
    return header, payload


def _restore(header: Header, tail: bytes) -> None:
    """Undo what `write_header` does to make the header short."""
    if header["model"] == 0:
        header["model"], tail = tail[:16].hex(), tail[16:]
    if len(tail) != 4 * header["pixels"]:
        raise ValueError("it does not end where it says")
    header["pixels"] = np.frombuffer(tail, dtype="<u4").tolist()
    rows = [[int(n) for n in row] for row in header["grid"]]
    if any(sum(row[1::2]) > 2**21 or min(row[1::2], default=1) < 1 for row in rows):
        raise ValueError("its grids are too long")
    header["grid"] = [
        [value for value, count in zip(row[::2], row[1::2], strict=True) for _ in range(count)]
        for row in rows
    ]


def decompress_images(chain: Chain, header: Header, payload: bytes, labels: Any) -> Ints:
    """Decode the images of a file whose header was read and found to be of this model.

    Raises
    ------
    DecodeError
        Something comes out that was not coded.
    """
    try:
        words, kept = (int(v) for v in header["prefix"])
        if not 0 <= kept <= words <= 2**24:
            raise ValueError("its prefix is impossible")
        prefix = _prefix(int(header["seed"]), words)
        stack = Stack(np.concatenate([prefix[:kept], np.frombuffer(payload, "<u4").astype(np.uint32)]))
        plain = int(header["plain"])
        counts = [*([plain] if plain else []), *(int(n) for n in header["links"])]
        ends = np.cumsum(counts)
        parts: list[Ints] = []
        for n, end, checksum in zip(counts[::-1], ends[::-1], header["pixels"][::-1], strict=True):
            if end == plain:
                ones = [pop_plain(stack, (1, *chain.scales.shape), chain.scales.vocab_size) for _ in range(n)]
                x = np.concatenate(ones[::-1])
            else:
                some = None if labels is None else labels[end - n : end]
                x = chain.decode(stack, n, some)
            if _pixels_checksum(x) != checksum:
                raise DecodeError(
                    f"images {end - n} to {end - 1} decode to other pixels than were coded: the file is "
                    "damaged, or the networks compute differently here than where it was written"
                )
            parts.append(x)
        if not np.array_equal(stack.words(), prefix):
            raise DecodeError("bits are left over after the last image: the file is damaged")
    except DecodeError:
        raise
    except (
        _Exhausted, ValueError, KeyError, TypeError, IndexError, ArithmeticError, MemoryError,
    ) as error:  # fmt: skip
        raise DecodeError(f"the file cannot be decoded: {error or type(error).__name__}") from error
    return np.concatenate(parts[::-1])
