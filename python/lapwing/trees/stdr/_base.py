"""Methods that solve the parts: the ones of the core, external programs, callables."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing.phylo import Tree, bionj, nj, quartet_tree, read_newick, snj, upgma
from lapwing.phylo._join import MOST_QUARTET_LEAVES
from lapwing.phylo._matrix import Reals

__all__ = ["EXTERNAL", "OWN", "external", "from_matrix"]

Ints = NDArray[np.int32]
OWN = ("nj", "bionj", "snj", "upgma", "quartet_exact")
EXTERNAL = ("fasttree", "iqtree", "raxml-ng")
_PROGRAMS = {
    "fasttree": ("FastTree", "fasttree", "FastTreeDbl", "VeryFastTree"),
    "iqtree": ("iqtree2", "iqtree", "iqtree3"),
    "raxml-ng": ("raxml-ng",),
}
#: Programs for maximum likelihood need this many leaves.
LEAST = 4


def from_matrix(
    method: str, S: Reals, D: Reals, names: tuple[str, ...], cap: float | None, n_jobs: int
) -> Callable[[Ints], Tree]:
    """A method of the core for parts of S and D; distances are cut off at `cap`."""
    top = np.inf if cap is None else cap

    def solve(leaves: Ints) -> Tree:
        labels = [names[i] for i in leaves.tolist()]
        if len(leaves) == 1:
            return Tree([-1], None, labels)
        block = np.ix_(leaves, leaves)
        if method == "snj":
            return snj(S[block], labels, n_jobs=n_jobs)
        if method == "quartet_exact" and len(leaves) <= MOST_QUARTET_LEAVES:  # more: a run that was stopped
            return quartet_tree(S[block], labels, n_jobs=n_jobs)
        if method == "upgma":
            return upgma(np.minimum(D[block], top), labels)
        return (bionj if method == "bionj" else nj)(np.minimum(D[block], top), labels, n_jobs=n_jobs)

    return solve


def find_program(method: str) -> str:
    """The path of an external program."""
    for name in _PROGRAMS[method]:
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError(
        f"base={method!r} needs the program {' or '.join(_PROGRAMS[method])} on PATH, and it is not there"
    )


def external(
    method: str,
    letters: NDArray[Any],
    n_states: int,
    fallback: Callable[[Ints], Tree],
    names: tuple[str, ...],
    seed: int,
) -> Callable[[Ints], Tree]:
    """A maximum likelihood program, given the sequences of a part in a file.

    Parameters
    ----------
    method : str
        One of `EXTERNAL`.
    letters : uint8 array of shape (m, n)
        Characters of the alignment.
    n_states : int
        4: nucleotides, 20: protein.
    fallback : callable
        For parts of fewer than 4 leaves.
    names : tuple of str
        Names of the leaves.
    seed : int
        For the program.
    """
    program = find_program(method)

    def solve(leaves: Ints) -> Tree:
        if len(leaves) < LEAST:
            return fallback(leaves)
        with tempfile.TemporaryDirectory(prefix="lapwing-") as folder:
            file = Path(folder) / "part.fasta"
            with file.open("wb") as stream:
                for i in leaves.tolist():  # numbers for names: nothing to quote, nothing repeated
                    stream.write(b">L%d\n" % i + letters[i].tobytes() + b"\n")
            text = _run(method, program, Path(folder), file, n_states, seed)
        tree = read_newick(text)
        return tree.with_names([names[int(name[1:])] for name in tree.names]).unrooted()

    return solve


def _run(method: str, program: str, folder: Path, file: Path, n_states: int, seed: int) -> str:
    dna = n_states == 4
    out = folder / "part.treefile"
    if method == "fasttree":
        command = [program, "-quiet", "-nosupport", "-seed", str(seed), *(["-nt"] if dna else []), str(file)]
    elif method == "iqtree":
        command = [
            program, "-s", str(file), "-m", "HKY" if dna else "LG", "-fast", "-nt", "1", "-keep-ident",
            "-redo", "-quiet", "-seed", str(seed), "-pre", str(folder / "part"),
        ]  # fmt: skip
    else:
        command = [
            program, "--search1", "--msa", str(file), "--model", "HKY" if dna else "LG", "--threads", "1",
            "--seed", str(seed), "--prefix", str(folder / "part"), "--redo", "--force", "msa_allgaps",
        ]  # fmt: skip
        out = folder / "part.raxml.bestTree"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, stdin=subprocess.DEVNULL
    )
    text = done.stdout if method == "fasttree" else out.read_text() if out.is_file() else ""
    if done.returncode != 0 or not text.strip():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise RuntimeError(f"{Path(program).name} failed with status {done.returncode}: {' / '.join(said)}")
    return text
