"""Where the images of a training come from: memory, blocks of Dask, a dataset by items, or a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Images", "source"]

Array = NDArray[Any]
Read = Callable[[Any], Array]  # checks some images, and brings them to (n, C, H, W)

_HELD = 4096  # images of a stream that tables and moments are made from


class Images:
    """Images in memory (or in a memory map), by number.

    Parameters
    ----------
    x : ndarray of shape (n, C, H, W)

    Attributes
    ----------
    blocks : list of int or None
        Lengths of parts that are read at once, if there are such parts.
    endless : bool
        Whether they are drawn from a stream, and not by number.
    """

    blocks: list[int] | None = None
    endless = False

    def __init__(self, x: Array) -> None:
        self._x = x

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, indices: Any) -> Array:
        """Some images."""
        return np.asarray(self._x[indices])

    def epoch(self, batch_size: int) -> int:
        """How many images an epoch has."""
        return len(self)

    def batch(self, step: int, indices: Any) -> Array:
        """The images of a step of the training."""
        return self[indices]

    def fingerprint(self) -> str:
        """What tells these images from others."""
        digest = hashlib.sha256(repr((self._x.shape, str(self._x.dtype))).encode())
        for i in range(0, len(self._x), 4096):
            digest.update(np.ascontiguousarray(self._x[i : i + 4096]).tobytes())
        return digest.hexdigest()

    def _fingerprint_of(self, some: Array, what: str) -> str:
        digest = hashlib.sha256(repr((what, len(self), some.shape, str(some.dtype))).encode())
        digest.update(np.ascontiguousarray(some).tobytes())
        return digest.hexdigest()


class _Blocks(Images):
    """An array of Dask, whose blocks along the first axis are computed one by one."""

    def __init__(self, x: Any, read: Read) -> None:
        self._lazy, self._read = x, read
        self.blocks = [int(n) for n in x.chunks[0]]
        self._ends = np.cumsum([0, *self.blocks])
        self._held: dict[int, Array] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _block(self, number: int) -> Array:
        if number not in self._held:
            if len(self._held) > 1:  # a batch may lie across two
                del self._held[next(iter(self._held))]
            first, last = self._ends[number], self._ends[number + 1]
            self._held[number] = self._read(self._lazy[first:last].compute())
        return self._held[number]

    def __getitem__(self, indices: Any) -> Array:
        """Some images."""
        places = np.arange(len(self))[indices]
        blocks = np.searchsorted(self._ends, places, side="right") - 1
        parts, order = [], []
        for number in dict.fromkeys(blocks.tolist()):
            mine = np.flatnonzero(blocks == number)
            parts.append(self._block(number)[places[mine] - self._ends[number]])
            order.append(mine)
        out: Array = np.concatenate(parts)[np.argsort(np.concatenate(order))]
        return out

    def fingerprint(self) -> str:
        """What tells these images from others: the first block and the shape of all."""
        return self._fingerprint_of(self._block(0), "blocks")


class _Items(Images):
    """A dataset with a length, item by item."""

    def __init__(self, dataset: Any, read: Read) -> None:
        self._dataset, self._read = dataset, read

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, indices: Any) -> Array:
        """Some images."""
        places = np.arange(len(self))[indices]
        return self._read(np.stack([_image(self._dataset[int(i)]) for i in places]))

    def fingerprint(self) -> str:
        """What tells these images from others: some of them, and how many there are."""
        return self._fingerprint_of(self[:256], "items")


class _Stream(Images):
    """Batches of images one after another; by number there are only the first ones."""

    endless = True

    def __init__(self, batches: Iterable[Any], read: Read) -> None:
        self._batches, self._read = batches, read
        self._again = iter(batches)
        self._once = self._again is batches
        self._size = 0
        self._taken = 0  # images that went into steps
        self._waiting: list[Array] = []  # read, but not taken yet
        first: list[Array] = []
        while sum(map(len, first)) < _HELD and (some := next(self._again, None)) is not None:
            first.append(read(_image(some)))
        if not first:
            raise ValueError("X is a stream without a batch")
        self._waiting = list(first)
        self._held = np.concatenate(first)[:_HELD]

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, indices: Any) -> Array:
        """Some of the first images."""
        return np.asarray(self._held[indices])

    def epoch(self, batch_size: int) -> int:
        """A batch: what comes is taken as it comes."""
        self._size = batch_size
        return batch_size

    def batch(self, step: int, indices: Any) -> Array:
        """The images of a step: those that come after the steps before."""
        if step * self._size < self._taken:
            raise RuntimeError(f"the stream is beyond step {step}")
        while self._taken < step * self._size:  # a training that goes on from its checkpoint
            self._take(min(4096, step * self._size - self._taken), step)
        return self._take(self._size, step)

    def _take(self, count: int, step: int) -> Array:
        while sum(map(len, self._waiting)) < count:
            self._waiting.append(self._next(step))
        whole = np.concatenate(self._waiting)
        self._waiting = [whole[count:]] if len(whole) > count else []
        self._taken += count
        return whole[:count]

    def _next(self, step: int) -> Array:
        some = next(self._again, None)
        if some is None:
            if self._once:
                raise ValueError(
                    f"X, a stream that can be read once, ended at step {step}; pass one that is longer, or "
                    "an iterable that can be read again"
                )
            self._again = iter(self._batches)
            some = next(self._again, None)
            if some is None:
                raise ValueError(f"X, a stream, gave nothing when it was read again at step {step}")
        return self._read(_image(some))

    def fingerprint(self) -> str:
        """What tells these images from others: the first ones."""
        return self._fingerprint_of(self._held, "stream")


def _image(item: Any) -> Array:
    """What an item holds; of a tuple (image, label, ...) the first."""
    if isinstance(item, (tuple, list)):
        item = item[0]
    return np.asarray(item.detach().cpu() if hasattr(item, "detach") else item)


def source(X: Any, read: Callable[..., Array]) -> Images:
    """The images of `X`.

    Parameters
    ----------
    X : array, tensor, array of Dask, dataset or iterable of batches
    read : callable
        read(images, reset=) checks images and brings them to (n, C, H, W); with reset it is told which shape
        and layout all of them have.

    Raises
    ------
    ValueError, TypeError
        As `read` does; there is nothing.
    """
    if hasattr(X, "dask") and hasattr(X, "chunks"):
        if len(X) == 0:
            raise ValueError(f"X is empty: its shape is {X.shape}")
        read(X[:1].compute(), reset=True)
        return _Blocks(X, read)
    if hasattr(X, "__array__") or hasattr(X, "detach") or isinstance(X, (list, tuple)):
        return Images(read(X, reset=True))
    if hasattr(X, "__getitem__") and hasattr(X, "__len__"):
        if len(X) == 0:
            raise ValueError("X is a dataset without items")
        read(_image(X[0])[None], reset=True)
        return _Items(X, read)
    if isinstance(X, Iterable):
        return _Stream(X, _first_resets(read))
    return Images(read(X, reset=True))


def _first_resets(read: Callable[..., Array]) -> Read:
    calls: Iterator[bool] = iter([True])
    return lambda images: read(images, reset=next(calls, False))
