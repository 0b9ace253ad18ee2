"""Calls of the core's multiscale functions with arrays that do and do not fit together.

``python fuzz_multiscale.py FIRST LAST FILE``: every call must return or raise an ordinary exception with a
text, and must leave alone what lies around the arrays it writes to. What is called last is in FILE.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import returns

from lapwing import _core, multiscale

NAMES = (
    "dwt", "idwt", "dwt_adjoint", "idwt_adjoint", "wavedec2", "waverec2", "swt", "iswt", "shear", "unshear",
    "lift", "unlift", "pyramid_down", "pyramid_up", "pyramid_split", "pyramid_join",
)  # fmt: skip
FENCE = 64  # entries on each side


class Maker:
    """Arguments of one call, some of which do not fit."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.wild = self.rng.choice([0.0, 0.03, 0.15])
        self.strided = True
        self.fences: list[tuple[np.ndarray, np.ndarray]] = []

    def odd(self) -> bool:
        return bool(self.rng.random() < self.wild)

    def pick(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def array(self, shape: tuple[int, ...], dtype: Any, out: bool = False) -> np.ndarray:
        sizes = list(shape)
        if self.odd() and sizes:
            i = int(self.rng.integers(len(sizes)))
            sizes[i] = self.pick(0, 1, max(sizes[i] - 1, 0), sizes[i] + 1, 2 * sizes[i])
        if self.odd():
            sizes = self.pick(sizes[:-1], [*sizes, 2])
        if self.odd():
            dtype = self.pick(np.float32, np.float64, np.int16, np.uint8)
        buffer = np.zeros(int(np.prod(sizes)) + 2 * FENCE, dtype)
        buffer[:] = self.rng.integers(0, 100, buffer.size)
        inside = buffer[FENCE : buffer.size - FENCE].reshape(sizes, order=self.order())
        if out:
            fence = np.concatenate([buffer[:FENCE], buffer[-FENCE:]])
            self.fences.append((buffer, fence))
            if self.odd():
                inside = (
                    inside[self.pick(np.s_[::-1], np.s_[..., None], np.s_[:1])] if inside.ndim else inside
                )
        elif self.odd():
            inside.setflags(write=False)
        return inside

    def order(self) -> str:
        return self.pick("C", "F") if self.strided or self.odd() else "C"

    def untouched(self) -> bool:
        return all(
            np.array_equal(np.concatenate([buffer[:FENCE], buffer[-FENCE:]]), fence)
            for buffer, fence in self.fences
        )

    def filters(self) -> list[list[float]]:
        bank = list(multiscale.Wavelet(self.pick("haar", "db2", "db9", "bior2.2", "db38")).filter_bank)
        if self.odd():
            bank = self.pick(
                bank[:3], [bank[0][:-1], *bank[1:]], [f[:-1] for f in bank], [[]] * 4, [*bank, []]
            )
        return bank

    def mode(self) -> str:
        return "mirror" if self.odd() else self.pick(*multiscale.MODES)

    def axis(self, axis: int) -> int:
        return self.pick(-1, 0, 3, 10**6) if self.odd() else axis

    def arguments(self, name: str) -> list[Any]:
        shape = tuple(int(n) for n in self.rng.choice([1, 2, 3, 5, 8, 16, 33, 70], self.pick(1, 2, 2, 3)))
        axis, rest = int(self.rng.integers(len(shape))), [self.pick(1, 2), None]
        real = self.pick(np.float32, np.float64)

        def along(n: int, of: tuple[int, ...] = shape, where: int = axis) -> tuple[int, ...]:
            return (*of[:where], n, *of[where + 1 :])

        def new(s: tuple[int, ...], out: bool = False) -> np.ndarray:
            return self.array(s, real, out)

        if name in ("dwt", "idwt", "dwt_adjoint", "idwt_adjoint", "wavedec2", "waverec2"):
            bank, mode = self.filters(), self.mode()
            taps = max(len(bank[0]), 2)
            known = mode if mode in multiscale.MODES else "zero"
            if name in ("dwt", "dwt_adjoint"):
                half = along(_core.dwt_length(shape[axis], taps + taps % 2, known))
                at = self.axis(axis)
                if name == "dwt":
                    return [new(shape), at, bank, mode, new(half, True), new(half, True), *rest]
                return [new(half), new(half), at, bank, mode, new(shape, True), *rest]
            if name in ("idwt", "idwt_adjoint"):
                n = max(2 * shape[axis] - (0 if known == "periodization" else taps - 2), 0)
                at = self.axis(axis)
                if name == "idwt":
                    return [new(shape), new(shape), at, bank, mode, new(along(n), True), *rest]
                return [new(along(n)), at, bank, mode, new(shape, True), new(shape, True), *rest]
            shape = (*shape, 6, 9)[:3] if len(shape) < 2 else shape
            a, b = (int(i) for i in self.rng.permutation(len(shape))[:2])
            sizes, levels, back = shape, [], name == "waverec2"
            for _ in range(self.pick(1, 2, 3)):
                for i in (a, b):
                    sizes = along(_core.dwt_length(sizes[i], taps + taps % 2, known), sizes, i)
                levels.append([new(sizes, not back) for _ in range(self.pick(2, 4) if self.odd() else 3)])
            axes, banks, modes = [self.axis(a), self.axis(b)], [bank, bank], [mode, mode]
            if back:
                return [new(sizes), levels, axes, banks, modes, new(shape, True), *rest]
            return [new(shape), axes, banks, modes, levels, new(sizes, True), *rest]
        if name in ("swt", "iswt"):
            step = self.pick(0, -1, 10**9) if self.odd() else self.pick(1, 2, 4)
            bank, scale, at = self.filters(), self.pick(1.0, 0.5, np.nan), self.axis(axis)
            if name == "swt":
                return [new(shape), at, bank, step, scale, new(shape, True), new(shape, True), *rest]
            return [new(shape), new(shape), at, bank, step, scale, new(shape, True), *rest]
        if name in ("shear", "unshear"):
            scheme = "none" if self.odd() else self.pick("haar", "5/3", "9/7", "db2", "bior1.3")
            shape, half, turned = along(2 * shape[axis]), along(shape[axis]), bool(self.pick(0, 1))
            if name == "shear":
                return [new(shape), self.axis(axis), scheme, new(half, True), new(half, True), turned, *rest]
            return [new(half), new(half), self.axis(axis), scheme, new(shape, True), turned, *rest]
        self.strided = False
        if name in ("lift", "unlift"):
            scheme = "none" if self.odd() else self.pick("s", "legall53", "cdf26", "97m")
            word, last = self.pick(np.int16, np.int32, np.int64), len(shape) - 1
            how = self.pick("both", "along", "across") if last else "across"
            lifted = {"both": (last - 1, last), "along": (0,), "across": (last,)}[how]
            sizes = [shape]
            for i in lifted:
                sizes = [along(n, s, i) for s in sizes for n in ((s[i] + 1) // 2, s[i] // 2)]
            bands = [self.array(s, word, name == "lift") for s in sizes]
            if self.odd():
                bands = self.pick(bands[:-1], [], bands * 2)
            first = last - 1 if how == "both" else 0
            where = [self.axis(first), self.axis(last), "none" if self.odd() else how]
            shift = int(self.pick(0, 128, -7))
            if name == "lift":
                return [self.array(shape, word), *where, scheme, shift, bands, *rest]
            return [bands, *where, scheme, shift, self.array(shape, word, True), *rest]
        shape = (*shape, 7, 4, 2, 1)[:4]
        kind = self.pick(np.uint8, np.int16, np.uint16, np.float32, np.float64)
        wide = {np.uint8: np.int16, np.uint16: np.int32, np.int16: np.int32}.get(kind, kind)
        low = (shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2, shape[3])
        border = "none" if self.odd() else self.pick("opencv", "symmetric")
        a = 0.375 if not self.odd() else self.pick(0.4, np.nan, 1e300)
        if name == "pyramid_down":
            return [self.array(shape, kind), a, self.array(low, kind, True), *rest]
        if name == "pyramid_up":
            return [self.array(low, kind), border, self.array(shape, kind, True), *rest]
        if name == "pyramid_split":
            below = self.array(low, kind, True)
            return [self.array(shape, kind), a, border, below, self.array(shape, wide, True), *rest]
        return [self.array(low, kind), self.array(shape, wide), border, self.array(shape, kind, True), *rest]


def main() -> None:
    first, last, file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    returned = dict.fromkeys(NAMES, 0)
    with file.open("w") as log, np.errstate(all="ignore"):
        for seed in range(first, last):
            for name in NAMES:
                maker = Maker(seed)
                returned[name] += returns(name, seed, maker.arguments(name), log)
                assert maker.untouched(), f"{name}, seed {seed}: wrote beside its arrays"
    calls = last - first
    rare = [name for name in NAMES if 20 * min(returned[name], calls - returned[name]) < calls]
    print("seldom returned or refused:", *rare)


if __name__ == "__main__":
    main()
