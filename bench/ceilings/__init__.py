"""The ceilings of this machine: a small program, built for it, measures what no code can exceed by much."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

FLAGS = ("-std=c++20", "-O3", "-march=native", "-pthread")
SIZES = (4, 16, 64, 256)  # megabytes read


class CompilerError(RuntimeError):
    """No C++ compiler, or it refused."""


@lru_cache
def measure(threads: int) -> dict[str, float]:
    """Rates per second by that many threads: fma_*, exp2_* (elements), read_<megabytes>, copy* (bytes)."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if not compiler:
        raise CompilerError("the ceilings need a C++ compiler: install g++ or set CXX")
    source = Path(__file__).parent / "ceilings.cpp"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "ceilings"
        built = subprocess.run(
            [*compiler.split(), *FLAGS, str(source), "-o", str(program)],
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            raise CompilerError(f"{compiler} failed on {source.name}:\n{built.stderr}")
        out = subprocess.run([str(program), str(threads)], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out))


def least_seconds(n: int, m: int, d: int, dtype: str, form: str, rates: dict[str, float]) -> float:
    """An estimate of the least time of a full Sinkhorn iteration.

    The larger of the time to read what is stored and the time of the arithmetic: per pair one exponential
    (with its sum), and multiply-adds for the exponent, the potentials' sum and the column sum; a cloud adds
    2 d of them up to d = 8 (differences) and d above (products).
    """
    pairs = float(n) * m
    size = 4 if dtype == "float32" else 8
    work = 3 + (0 if form == "dense" else 2 * d if d <= 8 else d)
    arithmetic = pairs * (1 / rates[f"exp2_{dtype}"] + work / rates[f"fma_{dtype}"])
    if form != "dense":
        return arithmetic
    stored = pairs * size
    nearest = min(SIZES, key=lambda megabytes: abs(megabytes - stored / 2**20))
    return max(arithmetic, stored / rates[f"read_{nearest}"])
