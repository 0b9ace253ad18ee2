"""Graphs in files: METIS, Matrix Market, lists of edges, NumPy."""

from __future__ import annotations

import gzip
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, issparse

from lapwing import _caller

__all__ = ["GraphFile", "read_graph"]

METIS = (".graph", ".metis", ".chaco")
EDGES = (".edges", ".edgelist", ".el", ".txt", ".csv", ".tsv")
OTHERS = (".mtx", ".npz", ".npy")
FORMATS = ("metis", "edges", "mtx", "npz", "npy")


class GraphFile(NamedTuple):
    """A graph as a file holds it."""

    weights: csr_array  # (n, n)
    node_weight: NDArray[np.float64] | None  # (n,), where the file has them
    names: list[str] | None  # of the nodes, where they are no numbers


def read_graph(path: str | Path, *, format: str | None = None, key: str | None = None) -> GraphFile:
    """Read an undirected graph; the suffix of the file tells its format.

    Parameters
    ----------
    path : str or path
        .graph, .metis or .chaco: METIS. .mtx: Matrix Market. .edges, .edgelist, .el, .txt, .csv or .tsv: a
        list of edges, two nodes a line and perhaps a weight. .npz: a SciPy sparse matrix, or arrays. .npy: a
        dense matrix. The first three may end in .gz.
    format : {"metis", "mtx", "edges", "npz", "npy"} or None, default=None
        The format; None: by the suffix.
    key : str or None, default=None
        The array to take from an .npz file that holds several.

    Returns
    -------
    weights : csr_array of shape (n, n)
        float64.
    node_weight : float64 array of shape (n,) or None
        Weights of the nodes (METIS).
    names : list of str or None
        Names of the nodes, where a list of edges has any that is no whole number, in the order in which they
        come up.

    Raises
    ------
    ValueError
        The file does not hold a graph; the message says in which line.
    OSError
        It cannot be read.

    Warns
    -----
    UserWarning
        The number of edges is not the one that the file states, or no edge of a list has node 0.

    Notes
    -----
    In a list of edges whole numbers are the nodes themselves, from 0 on; an edge in both directions counts
    once, the same direction twice adds up; lines that begin with ``#`` or ``%`` are comments. A Matrix Market
    file or a matrix without symmetry is read as it is.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    suffixes = [s.lower() for s in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    kind = format
    if kind is None:
        if suffix in METIS:
            kind = "metis"
        elif suffix in EDGES:
            kind = "edges"
        elif suffix in OTHERS:
            kind = suffix[1:]
        else:
            known = ", ".join((*METIS, *OTHERS, *EDGES))
            raise ValueError(f"{path}: unknown format {suffix or '(no suffix)'!r}; one of {known} is needed")
    elif kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))} or None, got {format!r}")
    if kind in ("npz", "npy"):
        return _arrays(path, kind, key)
    if key is not None:
        raise ValueError(f"key names an array of an .npz file, {path} is none")
    if kind == "mtx":
        return _matrix_market(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if packed else data).decode("utf-8")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file: {error}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file") from None
    return _metis(path, text) if kind == "metis" else _edges(path, text, suffix)


# ---- METIS -------------------------------------------------------------------------------------------


def _numbers(path: Path, lines: list[tuple[int, str]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All numbers of the lines, and how many each has."""
    words = [line.split() for _, line in lines]
    counts = np.array([len(w) for w in words], dtype=np.int64)
    try:
        return np.array([x for w in words for x in w], dtype=np.float64), counts
    except ValueError:
        number, word = next(
            (number, x) for (number, _), w in zip(lines, words, strict=True) for x in w if not _is_number(x)
        )
        raise ValueError(f"{path}, line {number}: {word!r} is no number") from None


def _metis(path: Path, text: str) -> GraphFile:
    # A blank line is a node without neighbours; comments may stand anywhere.
    lines = [(i, s) for i, s in enumerate(text.splitlines(), 1) if not s.lstrip().startswith("%")]
    while lines and not lines[0][1].strip():
        lines.pop(0)
    if not lines:
        raise ValueError(f"{path}: the file is empty")
    number, first = lines.pop(0)
    head = first.split()
    if not 2 <= len(head) <= 4 or not all(w.isdigit() for w in head):
        raise ValueError(
            f"{path}, line {number}: the first line of a METIS file is 'nodes edges [format [constraints]]', "
            f"got {first.strip()!r}"
        )
    n, stated = int(head[0]), int(head[1])
    code = head[2].zfill(3) if len(head) > 2 else "000"
    if len(code) > 3 or set(code) - {"0", "1"}:
        raise ValueError(f"{path}, line {number}: unknown format {head[2]!r}; digits 0 and 1 are expected")
    sized, weighted, valued = (c == "1" for c in code)
    constraints = int(head[3]) if len(head) > 3 else 1
    if constraints > 1:
        raise ValueError(f"{path}, line {number}: {constraints} weights for each node; only one is supported")
    while len(lines) > n and not lines[-1][1].strip():
        lines.pop()
    if len(lines) != n:
        raise ValueError(f"{path}: {n} nodes are stated, but {len(lines)} lines follow the first")
    values, counts = _numbers(path, lines)
    ahead = int(sized) + int(weighted and constraints == 1)
    step = 2 if valued else 1
    bad = np.flatnonzero((counts < ahead) | ((counts - ahead) % step != 0))
    if bad.size:
        line = lines[int(bad[0])][0]
        raise ValueError(f"{path}, line {line}: {counts[bad[0]]} numbers do not fit the format {code}")
    ends = np.cumsum(counts)
    starts = ends - counts
    node_weight = None
    if weighted and constraints == 1:
        node_weight = values[starts + int(sized)]
    place = np.arange(len(values)) - np.repeat(starts, counts)
    row = np.repeat(np.arange(n), counts)
    is_node = (place >= ahead) & ((place - ahead) % step == 0)
    source, target = row[is_node], values[is_node]
    wrong = np.flatnonzero((target < 1) | (target > n) | (target != np.floor(target)))
    if wrong.size:
        line = lines[int(source[wrong[0]])][0]
        raise ValueError(f"{path}, line {line}: nodes are numbered from 1 to {n}, got {target[wrong[0]]:g}")
    weight = values[(place >= ahead) & ((place - ahead) % step == 1)] if valued else np.ones(len(source))
    W = csr_array(coo_array((weight, (source, target.astype(np.int64) - 1)), shape=(n, n)))
    if len(source) != 2 * stated:
        warnings.warn(
            f"{path}: {stated} edges are stated, but there are {len(source) / 2:g}",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return GraphFile(W, node_weight, None)


# ---- lists of edges ----------------------------------------------------------------------------------


def _edges(path: Path, text: str, suffix: str) -> GraphFile:
    rows: list[list[str]] = []
    where: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#%":
            continue
        if suffix == ".csv":
            words = [w.strip() for w in stripped.split(",")]
        elif suffix == ".tsv":
            words = [w.strip() for w in line.split("\t")]
        else:
            words = stripped.replace(",", " ").split()
        if len(words) not in (2, 3) or not (words[0] and words[1]):
            raise ValueError(
                f"{path}, line {number}: an edge is two nodes and perhaps a weight, got {stripped!r}"
            )
        rows.append(words)
        where.append(number)
    if rows and _is_heading(rows):
        rows.pop(0)
        where.pop(0)
    if not rows:
        raise ValueError(f"{path}: the file holds no edges")
    weight = np.ones(len(rows))
    for i, r in enumerate(rows):
        if len(r) == 3:
            if not _is_number(r[2]):
                raise ValueError(f"{path}, line {where[i]}: the weight {r[2]!r} is no number")
            weight[i] = float(r[2])
    names: list[str] | None = None
    if _numbered(rows):
        ends = np.array([[int(r[0]), int(r[1])] for r in rows], dtype=np.int64)
        n = int(ends.max()) + 1
        if ends.min() > 0:
            warnings.warn(
                f"{path}: nodes are numbered from 0, and no edge has node 0: it stands alone", UserWarning,
                stacklevel=_caller.level(),
            )  # fmt: skip
        if n > 100 * len(rows) + 1000:
            raise ValueError(
                f"{path}: node {n - 1} in a list of {len(rows)} edges: nodes are numbered from 0 without gaps"
            )
    else:
        code: dict[str, int] = {}
        ends = np.array([[code.setdefault(x, len(code)) for x in r[:2]] for r in rows], dtype=np.int64)
        n, names = len(code), list(code)
    W = csr_array(coo_array((weight, (ends[:, 0], ends[:, 1])), shape=(n, n)))
    return GraphFile(csr_array(W.maximum(W.T)) if (weight >= 0).all() else W, None, names)


def _numbered(rows: list[list[str]]) -> bool:
    """Whether all ends of some edges are whole numbers."""
    return bool(rows) and all(r[0].isdigit() and r[1].isdigit() for r in rows)


def _is_heading(rows: list[list[str]]) -> bool:
    """Whether the first line names the columns."""
    first = rows[0]
    return not _is_number(first[2]) if len(first) == 3 else not first[0].isdigit() and _numbered(rows[1:])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---- matrices ----------------------------------------------------------------------------------------


def _square(path: Path, A: Any) -> GraphFile:
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"{path}: a graph is a square matrix, got shape {A.shape}")
    if A.dtype.kind not in "fiub":
        raise ValueError(f"{path}: the weights must be real numbers, got dtype {A.dtype}")
    return GraphFile(csr_array(A, dtype=np.float64), None, None)


def _matrix_market(path: Path) -> GraphFile:
    from scipy.io import mmread

    try:
        A = mmread(path)
    except OSError:
        raise
    except Exception as error:  # many kinds, by the version of SciPy
        raise ValueError(f"{path}: not a Matrix Market file: {error}") from error
    return _square(path, A if issparse(A) else np.asarray(A))


def _arrays(path: Path, kind: str, key: str | None) -> GraphFile:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        why = "" if "allow_pickle" in str(error) else f": {error}"  # its advice is not for here
        raise ValueError(f"{path}: not a .{kind} file of numbers{why}") from error
    if kind == "npy" or isinstance(loaded, np.ndarray):
        return _square(path, loaded)
    with loaded:
        names = list(loaded.files)
        if key is None and {"format", "shape", "data"} <= set(names):
            from scipy.sparse import load_npz

            return _square(path, load_npz(path))
        if key is None and len(names) != 1:
            raise ValueError(f"{path}: holds the arrays {', '.join(names)}; key says which to take")
        if key is not None and key not in names:
            raise ValueError(f"{path}: no array {key!r}, only {', '.join(names)}")
        return _square(path, loaded[key or names[0]])
