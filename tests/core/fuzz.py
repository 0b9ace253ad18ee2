"""Calls of the core's functions with arrays that do and do not fit together.

``python fuzz.py PREFIX FIRST LAST FILE``: every call must return or raise an ordinary exception. What is
called last is in FILE, so that a crash or a hang names itself.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import lapwing
from lapwing import _core

FINE = (ValueError, TypeError, IndexError, RuntimeError, MemoryError, OverflowError, ArithmeticError)
WORDS = {
    "metric": [
        "sqeuclidean",
        "euclidean",
        "cosine",
        "dot",
        "dense",
        "hollow sqeuclidean",
        "hollow dense",
        "none",
    ],
    "acceleration": ["none", "anderson", "sor", "fast"],
    "method": ["auto", "sinkhorn", "newton", "direct"],
}
# what the length of each dimension is: n rows, m columns, d coordinates, k vectors, q pairs, c problems
SHAPES = {
    "X": "nd", "Y": "md", "x": "nd", "y": "md", "a": "n", "b": "m", "f": "n", "g": "m", "u": "n", "v": "m",
    "h": "m", "rho_a": "n", "rho_b": "m", "row_sums": "n", "log_scaling": "n", "V": "mk", "U": "nk",
    "forward": "nk", "backward": "mk", "row_sum": "n", "col_sum": "m", "rows": "n", "columns": "m",
    "index": "nk", "value": "nk", "log_p": "m", "left": "nk", "right": "mk", "w": "n", "own_x": "md",
    "own_y": "md", "indices": "q", "values": "q", "entries": "q", "histograms": "cm", "shares": "c",
    "alpha": "n", "gradient": "n", "support": "mk", "parts": "mk",
}  # fmt: skip
COMMON = ["nm", "nk", "n", "m", "mk", "q"]


def overloads(prefix: str) -> list[tuple[str, list[tuple[str, ast.expr]]]]:
    """Name, and the names and annotations of the parameters, of every function of the stub."""
    tree = ast.parse((Path(lapwing.__file__).parent / "_core.pyi").read_text())
    return [
        (node.name, [(p.arg, p.annotation) for p in node.args.args if p.annotation is not None])
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(prefix)
    ]


class Maker:
    """Arguments of one call. `wild`: how often something does not fit."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.wild = self.rng.choice([0.0, 0.0, 0.1, 0.5])
        self.size = {c: int(self.rng.choice([1, 2, 3, 5, 17, 40])) for c in "nmdk"}
        self.size["c"] = 3
        density = self.rng.random((self.size["n"], self.size["m"])) < 0.6
        density[:, 0] = density[0] = True
        self.rows, self.indices = np.nonzero(density)
        self.size["q"] = self.rows.size
        self.metric = str(self.rng.choice(WORDS["metric"][:-1]))
        if "hollow" in self.metric:
            self.size["m"] = self.size["n"]

    def odd(self) -> bool:
        return bool(self.rng.random() < self.wild)

    def array(self, name: str, dtype: str, ndim: int, writable: bool) -> Any:
        if "offsets" in name and not self.odd():
            return np.concatenate([[0], np.cumsum(np.bincount(self.rows, minlength=self.size["n"]))])
        if name == "indices" and not self.odd():
            return self.indices.astype(dtype)
        letters = SHAPES.get(name, "")
        if name in ("left", "right") and ndim == 1:
            letters = letters[0]
        if name == "out" and ndim == 3:
            letters = "nm"
        if len(letters) == ndim - 1:  # a stack of problems
            letters = "c" + letters
        if len(letters) != ndim:
            letters = "".join(self.rng.choice([c for c in COMMON if len(c) == ndim] or ["nmk"[:ndim]]))
        if name in "XxY" and self.metric.endswith("dense"):
            letters = letters[:-1] + "m"
        shape = [int(self.rng.choice([0, 1, 2, 7, 64])) if self.odd() else self.size[c] for c in letters]
        if dtype.startswith(("int", "uint")):
            high = 70 if self.odd() else max(self.size["n"], 1)
            z = self.rng.integers(-1 if self.odd() else 0, high, shape).astype(dtype)
        else:
            z = self.rng.random(shape).astype(dtype)
            if name in ("X", "Y", "f", "g", "h", "V", "U"):
                z = self.rng.normal(size=shape).astype(dtype)
            if self.odd() and z.size:
                z.flat[self.rng.integers(z.size)] = self.rng.choice(
                    [np.nan, np.inf, -np.inf, 0, -1, 1e30, 1e-30]
                )
        if name in ("left", "right") and ndim == 1 and not self.odd() and z.size:
            z /= np.linalg.norm(z)
        if name in ("a", "b", "histograms") and not self.odd() and z.size:
            z += 0.1
            with np.errstate(invalid="ignore"):
                z /= z.sum(axis=-1, keepdims=True)
        if self.odd():
            z = np.asfortranarray(z)
        if self.odd():
            with np.errstate(invalid="ignore"):
                z = z.astype(self.rng.choice(["float32", "float64", "int32"]))
        if self.odd():
            z.setflags(write=False)
        return z

    def value(self, name: str, annotation: ast.expr) -> Any:
        text = ast.unparse(annotation)
        if isinstance(annotation, ast.BinOp):  # optional
            absent = self.metric.endswith("dense") if name in ("Y", "y") else bool(self.rng.random() < 0.5)
            if absent != self.odd():
                return None
            return self.value(name, annotation.left)
        if text.startswith("Annotated"):
            kind = text.split("numpy.")[1].split("]")[0]
            inside = text.split("shape=(")[1].split(")")[0]
            return self.array(name, kind, inside.count("None"), "writable=False" not in text)
        if text.startswith("Sequence[tuple"):
            parts = annotation.slice.slice.elts  # type: ignore[attr-defined]
            return [
                tuple(self.value(key, part) for key, part in zip(("X", "Y", "a"), parts, strict=False))
                for _ in range(2)
            ]
        if text.startswith("Sequence[Annotated"):  # the axes of a grid of m points
            return [self.array("b", "float64", 1, True), np.zeros(1 + self.odd())]
        if text == "Sequence[float]":
            if name == "schedule":
                odd = [[], [0.1, 1.0], [0.0], [float("nan")]]
                return odd[self.rng.integers(4)] if self.odd() else [2.0, 0.5]
            return list(self.rng.random(2))
        if text == "Sequence[int]":
            return [self.size[{"rows": "n", "cols": "m"}.get(name, "n")] + self.odd()] * (3 + self.odd())
        if text == "str":
            if name == "metric" and not self.odd():
                return self.metric
            words = WORDS.get(name, ["none"])
            return words[-1] if self.odd() else str(self.rng.choice(words[:-1] or words))
        if text == "bool":
            return bool(self.rng.random() < 0.5)
        if text == "int":
            if name in ("i0", "start") and not self.odd():
                return 0
            if name in ("k", "power") and not self.odd():
                return self.size["k"] if name == "k" else 1
            if name == "threads":
                return int(self.rng.choice([1, 2]))
            return (
                int(self.rng.choice([-1, 0, 1, 2, 5, 100])) if self.odd() else int(self.rng.choice([1, 2, 5]))
            )
        if text == "float":
            if name == "mass" and not self.odd():
                return 0.0
            return float(self.rng.choice([0, -1, 1e-300, 1e300, np.inf, np.nan])) if self.odd() else 0.5
        return None


def returns(function: str, seed: int, arguments: list[Any], log: TextIO) -> bool:
    """Whether the call returned; which one it is stands in the log before it is made."""
    log.seek(0)
    log.write(f"{function} {seed}\n".ljust(80))
    log.flush()
    try:
        getattr(_core, function)(*arguments)
    except FINE as error:
        if isinstance(error, (ValueError, TypeError)) and not str(error):
            raise AssertionError(f"{function}, seed {seed}: an error without a text") from error
        return False
    return True


def main() -> None:
    prefix, first, last, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    functions = overloads(prefix)
    returned = dict.fromkeys((name for name, _ in functions), 0)
    with file.open("w") as log:
        for seed in range(first, last):
            for name, parameters in functions:
                maker = Maker(seed)
                arguments = [maker.value(*parameter) for parameter in parameters]
                returned[name] += returns(name, seed, arguments, log)
    never = [name for name, count in returned.items() if count == 0]
    print("never returned:", *never)


if __name__ == "__main__":
    main()
