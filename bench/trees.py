"""Simulated alignments for the benchmarks of trees, the methods that compete, and what was published of them.

A method gets the alignment and returns a tree, which is judged by its Robinson-Foulds distance from the true
one over 2 m - 6. Its time is processor time, that of the programs it starts included.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Tree, rate of the sequences (HKY85, kappa 2).
MODELS: dict[str, float] = {"coalescent": 0.4, "birth-death": 0.05, "caterpillar": 0.05, "balanced": 0.1}
REPLICATES = 5

#: Mean normalised distances of "Spectral Top-Down Recovery of Latent Tree Models", 2021, five runs each, read
#: from the figures of the authors' code; a row: model, leaves, sites, largest part.
PAPER: dict[tuple[str, int, int, int], dict[str, float]] = {}


def _published(model: str, m: int, tau: int, sites: list[int], **figures: list[float]) -> None:
    for i, n in enumerate(sites):
        PAPER[model, m, n, tau] = {name: values[i] for name, values in figures.items()}


_published(
    "coalescent", 2000, 128, [2000, 3000, 4000, 5000, 6000, 7000, 8000],
    stdr_nj=[.425, .322, .259, .230, .209, .199, .171], nj=[.593, .439, .511, .332, .263, .305, .321],
    stdr_snj=[.324, .275, .248, .213, .206, .185, .178], snj=[.410, .355, .346, .329, .302, .306, .263],
    stdr_ml=[.363, .284, .232, .193, .168, .158, .148], ml=[.348, .262, .231, .204, .176, .164, .141],
)  # fmt: skip
_published(
    "birth-death", 2048, 256, [800, 1000, 1200, 1400, 1600],
    stdr_nj=[.102, .087, .075, .069, .064], nj=[.180, .137, .108, .099, .083],
    stdr_snj=[.151, .122, .108, .106, .101], snj=[.142, .129, .115, .107, .116],
    stdr_ml=[.055, .044, .036, .043, .035], ml=[.054, .038, .029, .028, .028],
)  # fmt: skip
_published(
    "caterpillar", 512, 64, [400, 600, 800, 1000, 1200],
    stdr_nj=[.082, .061, .051, .042, .026], nj=[.952, .983, .987, .944, .986],
    stdr_snj=[.005, .001, .000, .000, .000], snj=[.032, .003, .001, .000, .000],
    stdr_ml=[.000, .000, .000, .000, .000], ml=[.758, .738, .805, .752, .822],
)  # fmt: skip
for _tau, _snj, _ml, _f1 in (
    (32, .0028, .0023, .9988), (64, .0028, .0027, .9986), (128, .0023, .0019, .9989),
    (256, .0020, .0017, .9977), (512, .0013, .0015, .9773),
):  # fmt: skip
    # of STDR + NJ there is only an F1 that counts all edges: 1 - F1 of 4 m - 6 edges is this many of 2 m - 6
    PAPER["balanced", 2048, 1000, _tau] = {
        "stdr_nj": (1 - _f1) * (4 * 2048 - 6) / (2 * (2048 - 3)), "stdr_snj": _snj, "stdr_ml": _ml,
    }  # fmt: skip


def simulate(model: str, m: int, n: int, seed: int) -> tuple[Any, Any]:
    """A tree and the states of its leaves."""
    from lapwing import trees

    rng = np.random.default_rng(seed)
    tree = {
        "coalescent": lambda: trees.kingman(m, random_state=rng),
        "birth-death": lambda: trees.birth_death(m, random_state=rng),
        "caterpillar": lambda: trees.caterpillar(m),
        "balanced": lambda: trees.balanced(m),
    }[model]()
    return tree, trees.simulate_sequences(tree, n, model="hky85", rate=MODELS[model], random_state=rng)


# -- methods ------------------------------------------------------------------------------------------------


def _alone(kind: str, similarity: str) -> Callable[..., Any]:
    def solve(X: Any, names: Any, tau: int, threads: int) -> Any:
        from lapwing import trees

        S, _ = trees.similarity_matrix(X, similarity, n_jobs=threads)
        if kind == "snj":
            return trees.snj(S, names, n_jobs=threads)
        D = trees.distance_matrix(S, n_jobs=threads)
        return trees.nj(D, names, n_jobs=threads, overwrite=True)

    return solve


def _recovered(
    base: str, similarity: str = "jc69", part: int | None = None, dense_limit: int = 30_000, **options: Any
) -> Callable[..., Any]:
    def solve(X: Any, names: Any, tau: int, threads: int) -> Any:
        from lapwing.trees import STDR

        model = STDR(
            tau=part or tau, base=base, similarity=similarity, n_jobs=threads, random_state=0,
            dense_limit=dense_limit, **{"branch_lengths": None, **options},
        )  # fmt: skip
        return model.fit(X, names=names).tree_

    return solve


def _program(*arguments: str, out: str | None = None) -> Callable[..., Any]:
    """A program on a FASTA file; its tree is in `out`, or what it says."""

    def solve(X: Any, names: Any, tau: int, threads: int) -> Any:
        from lapwing.trees import read_newick

        letters = np.frombuffer(b"ACGT", dtype=np.uint8)[X]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "x.fasta"
            with file.open("wb") as stream:
                for name, row in zip(names, letters, strict=True):
                    stream.write(b">" + name.encode() + b"\n" + row.tobytes() + b"\n")
            done = subprocess.run(
                [*arguments, str(file)], capture_output=True, text=True, check=True, cwd=folder,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            return read_newick((Path(folder) / out).read_text() if out else done.stdout)

    return solve


_FASTTREE = ("fasttree", "-quiet", "-nosupport", "-seed", "1", "-nt")
_IQTREE = (
    "iqtree2",
    "-m",
    "HKY",
    "-fast",
    "-nt",
    "1",
    "-keep-ident",
    "-quiet",
    "-seed",
    "1",
    "-pre",
    "x",
    "-s",
)

#: Name in the tables: key among the published figures, what must be installed, and the method.
METHODS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "STDR + NJ": ("stdr_nj", "", _recovered("nj")),
    "NJ": ("nj", "", _alone("nj", "jc69")),
    "STDR + NJ, tn93": ("stdr_nj", "", _recovered("nj", "tn93")),
    "NJ, tn93": ("nj", "", _alone("nj", "tn93")),
    "STDR + SNJ": ("stdr_snj", "", _recovered("snj")),
    "SNJ": ("snj", "", _alone("snj", "jc69")),
    "STDR + IQ-TREE -fast": ("stdr_ml", "iqtree2", _recovered("iqtree")),
    "STDR + FastTree": ("stdr_ml", "fasttree", _recovered("fasttree")),
    "STDR(64) + NJ": ("", "", _recovered("nj", part=64)),
    # with lengths, as somebody would call it
    "STDR()": ("", "", _recovered("nj", part=64, dense_limit=10_000, branch_lengths="ols")),
    "STDR(), all pairs": ("", "", _recovered("nj", part=64, branch_lengths="ols")),
    "STDR(), all pairs in float32": (
        "", "", _recovered("nj", part=64, branch_lengths="ols", dtype="float32")
    ),
    "STDR(12) + quartets": ("", "", _recovered("quartet_exact", part=12)),
    "STDR(12) + NJ": ("", "", _recovered("nj", part=12)),
    "FastTree": ("ml", "fasttree", _program(*_FASTTREE)),
    "IQ-TREE -fast": ("ml", "iqtree2", _program(*_IQTREE, out="x.treefile")),
    "STDR(128) + FastTree": ("", "fasttree", _recovered("fasttree", part=128)),
    "STDR(128) + IQ-TREE -fast": ("", "iqtree2", _recovered("iqtree", part=128)),
}  # fmt: skip


def installed(needs: str) -> bool:
    return not needs or shutil.which(needs) is not None or importlib.util.find_spec(needs) is not None


def _used() -> float:
    return sum(
        x.ru_utime + x.ru_stime
        for x in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def prepare_recovery(
    model: str, m: int, n: int, tau: int, method: str, seeds: list[int], threads: int
) -> Callable[[], dict[str, Any]]:
    """From the array to a tree, once for each seed."""
    from lapwing.trees import robinson_foulds

    solve = METHODS[method][2]
    warnings.simplefilter("ignore")
    _, tiny = simulate(model, 16, 200, 0)
    solve(tiny, [str(i) for i in range(16)], 8, threads)  # imports and starts what a first call does

    def again() -> dict[str, Any]:
        wrong, seconds, wall = [], [], []
        for seed in seeds:
            tree, X = simulate(model, m, n, seed)
            start, used = time.perf_counter(), _used()
            found = solve(X, tree.names, tau, threads)
            found.newick()
            seconds.append(_used() - used)
            wall.append(time.perf_counter() - start)
            wrong.append(float(robinson_foulds(found, tree, normalized=True)))
        return {"seconds": float(np.mean(seconds)), "wall": float(np.mean(wall)), "wrong": wrong}

    return again


# -- neighbour joining --------------------------------------------------------------------------------------


def _join_ours(D: Any, threads: int) -> Callable[[], Any]:
    """With the memory of the matrix as scratch."""
    from lapwing.trees import nj

    return lambda: nj(D, overwrite=True, n_jobs=threads)


def _join_anjl(D: Any, threads: int) -> Callable[[], Any]:
    import anjl
    import numba

    numba.set_num_threads(threads)
    return lambda: anjl.dynamic_nj(D, copy=False, parallel=threads > 1)


JOINERS: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "lapwing": ("", "float64", _join_ours),
    "anjl dynamic": ("anjl", "float32", _join_anjl),
}


def prepare_join(model: str, m: int, method: str, threads: int) -> Callable[[], dict[str, Any]]:
    """Joining alone, from a matrix in the type and form that the method works in, and may overwrite."""
    from lapwing import trees

    _, X = simulate(model, m, 1000, 1000 + m)
    S, _ = trees.similarity_matrix(X, n_jobs=threads)
    D = trees.distance_matrix(S, n_jobs=threads)
    del S
    if method == "anjl dynamic":  # the form in which it takes the least memory
        from scipy.spatial.distance import squareform

        D = squareform(D, checks=False)
    kept = D.astype(JOINERS[method][1], copy=False)
    work = np.zeros_like(kept)
    run = JOINERS[method][2](work, threads)
    work[:] = kept
    run()  # compiles

    def again() -> dict[str, Any]:
        work[:] = kept
        start = time.perf_counter()
        run()
        return {"seconds": time.perf_counter() - start, "matrix": work.nbytes}

    return again
