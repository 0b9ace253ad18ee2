"""Reading aligned sequences from files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing._optional import need

__all__ = ["Alignment", "read_alignment"]

FORMATS = ("fasta", "phylip", "nexus")
_SUFFIXES = {
    ".fa": "fasta", ".fas": "fasta", ".fasta": "fasta", ".fna": "fasta", ".faa": "fasta", ".afa": "fasta",
    ".phy": "phylip", ".phylip": "phylip", ".nex": "nexus", ".nexus": "nexus", ".nxs": "nexus",
}  # fmt: skip


@dataclass(frozen=True)
class Alignment:
    """Aligned sequences.

    Attributes
    ----------
    names : tuple of str
        The sequences' names.
    sequences : tuple of str
        All of the same length.
    """

    names: tuple[str, ...]
    sequences: tuple[str, ...]

    @property
    def n_sites(self) -> int:
        """Number of columns."""
        return len(self.sequences[0])

    def matrix(self) -> NDArray[np.str_]:
        """Single characters, sequences in rows."""
        points = np.frombuffer("".join(self.sequences).encode("utf-32-le"), dtype="<u4")
        return points.reshape(len(self.names), -1).view("<U1").reshape(len(self.names), -1)


def read_alignment(path: Any, *, format: str | None = None) -> Alignment:
    """Read aligned sequences.

    Parameters
    ----------
    path : path
        The file.
    format : {"fasta", "phylip", "nexus"} or None, default=None
        None: told by the suffix, or else by how the file begins.

    Returns
    -------
    Alignment

    Raises
    ------
    ValueError
        The file is not in this format, sequences have different lengths, or names are repeated; the message
        names the file and the sequence.
    OSError
        The file cannot be read.
    ImportError
        NEXUS needs dendropy.

    Notes
    -----
    PHYLIP may be sequential or interleaved; names end at the first blank, or, in the strict form, after ten
    characters.
    """
    file = Path(path)
    if format is not None and format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))} or None, got {format!r}")
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file")
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # comments of old files
        text = data.decode("latin-1")
    if not text.strip():
        raise ValueError(f"{file}: the file is empty")
    kind = format or _SUFFIXES.get(file.suffix.lower()) or _guess(text)
    if kind is None:
        raise ValueError(f"{file}: neither FASTA, PHYLIP nor NEXUS (the format can be given)")
    reader = {"fasta": _fasta, "phylip": _phylip, "nexus": _nexus}[kind]
    try:
        pairs = reader(text)
        return _checked(pairs)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _guess(text: str) -> str | None:
    start = text.lstrip()
    if start.startswith(">"):
        return "fasta"
    if start[:6].upper() == "#NEXUS":
        return "nexus"
    head = start.split(None, 2)
    return "phylip" if len(head) > 2 and head[0].isdigit() and head[1].isdigit() else None


def _checked(pairs: Iterable[tuple[str, str]]) -> Alignment:
    names, sequences = zip(*pairs, strict=True)
    seen: set[str] = set()
    for name in names:
        if not name:
            raise ValueError("a sequence has no name")
        if name in seen:
            raise ValueError(f"the sequence {name!r} comes twice")
        seen.add(name)
    n = len(sequences[0])
    if n == 0:
        raise ValueError(f"the sequence {names[0]!r} is empty")
    for name, sequence in zip(names, sequences, strict=True):
        if len(sequence) != n:
            raise ValueError(
                f"the sequences must be aligned, but {name!r} has {len(sequence)} sites and {names[0]!r} {n}"
            )
    return Alignment(names, sequences)


def _fasta(text: str) -> list[tuple[str, str]]:
    start = text.find(">")
    if start < 0 or text[:start].strip():
        raise ValueError("FASTA begins with '>'")
    out = []
    for record in text[start + 1 :].split("\n>"):
        name, _, body = record.partition("\n")
        out.append((name.strip(), "".join(body.split())))
    return out


def _phylip(text: str) -> list[tuple[str, str]]:
    lines = text.splitlines()
    while lines and not lines[0].strip():
        lines.pop(0)
    head = lines[0].split() if lines else []
    if len(head) < 2 or not (head[0].isdigit() and head[1].isdigit()):
        raise ValueError("PHYLIP begins with the number of sequences and of sites")
    m, n = int(head[0]), int(head[1])
    if m < 1 or n < 1:
        raise ValueError(f"PHYLIP: {m} sequences of {n} sites")
    body = [line for line in lines[1:] if line.strip()]
    problems = []
    for strict in (False, True):
        for layout in (_sequential, _interleaved):
            try:
                pairs = layout(body, m, n, strict)
            except ValueError as error:
                problems.append(str(error))
                continue
            if len({name for name, _ in pairs}) == m:
                return pairs
            problems.append("names are repeated")
    raise ValueError(f"PHYLIP: {problems[0]}")


def _named(line: str, strict: bool) -> tuple[str, str]:
    if strict:
        return line[:10].strip(), "".join(line[10:].split())
    parts = line.split()
    return parts[0], "".join(parts[1:])


def _sequential(body: list[str], m: int, n: int, strict: bool) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    at = 0
    while at < len(body):
        name, sequence = _named(body[at], strict)
        at += 1
        while len(sequence) < n and at < len(body):
            sequence += "".join(body[at].split())
            at += 1
        if len(sequence) != n:
            raise ValueError(f"the sequence {name!r} has {len(sequence)} sites, not {n}")
        out.append((name, sequence))
    if len(out) != m:
        raise ValueError(f"there are {len(out)} sequences, not {m}")
    return out


def _interleaved(body: list[str], m: int, n: int, strict: bool) -> list[tuple[str, str]]:
    if len(body) % m:
        raise ValueError(f"{len(body)} lines for {m} sequences")
    out = [_named(line, strict) for line in body[:m]]
    pieces = [[sequence] for _, sequence in out]
    for i, line in enumerate(body[m:]):
        words = line.split()
        # later blocks may repeat the names
        pieces[i % m].append("".join(words[1:] if len(words) > 1 and words[0] == out[i % m][0] else words))
    joined = [(name, "".join(piece)) for (name, _), piece in zip(out, pieces, strict=True)]
    for name, sequence in joined:
        if len(sequence) != n:
            raise ValueError(f"the sequence {name!r} has {len(sequence)} sites, not {n}")
    return joined


def _nexus(text: str) -> list[tuple[str, str]]:
    dendropy = need("dendropy", purpose="reading NEXUS")
    kinds = {
        "dna": dendropy.DnaCharacterMatrix, "rna": dendropy.RnaCharacterMatrix,
        "nucleotide": dendropy.DnaCharacterMatrix, "protein": dendropy.ProteinCharacterMatrix,
        "standard": dendropy.StandardCharacterMatrix,
    }  # fmt: skip
    import re

    found = re.search(r"datatype\s*=\s*(\w+)", text, re.IGNORECASE)
    kind = found[1].lower() if found else "standard"
    if kind not in kinds:
        raise ValueError(f"NEXUS: datatype {kind!r} is none of {', '.join(kinds)}")
    try:
        data = kinds[kind].get(data=text, schema="nexus", preserve_underscores=True)
    except Exception as error:  # its errors have no common base
        raise ValueError(f"NEXUS: {' '.join(str(error).split())}") from error
    if not len(data):
        raise ValueError("NEXUS: there is no character matrix")
    return [(taxon.label, data[taxon].symbols_as_string()) for taxon in data]
