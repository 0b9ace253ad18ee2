"""Newick format, without recursion: caterpillars of any depth, a million leaves in seconds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing.phylo._tree import Tree

__all__ = ["format_newick", "read_newick", "write_newick"]

# What stands before a bracket, a comma or the end: a label and a length, both optional.
_HEAD = (
    r"\s*(?:'((?:[^']|'')*)'|([^\s()\[\]':;,]+(?:[ \t]+[^\s()\[\]':;,]+)*))?"
    r"\s*(?::\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*)?"
)
_TOKEN = re.compile(_HEAD + r"([(),;])")
_BEFORE = re.compile(_HEAD)
_QUOTED_OR_COMMENT = re.compile(r"'(?:[^']|'')*'|\[[^\]]*\]?")
_PLAIN = re.compile(r"[^\s()\[\]{}':;,]+")


def read_newick(source: Any) -> Tree:
    """Read a tree in Newick format.

    Parameters
    ----------
    source : str or path
        The text itself (it contains a bracket or ends in ``;``), or a file.

    Returns
    -------
    Tree
        Leaves in the order of the text. Labels of inner nodes that are numbers are their support, others are
        kept as labels; underscores and inner blanks are kept as they are; comments in square brackets are
        skipped.

    Raises
    ------
    ValueError
        The text is no tree; the message gives the position of the character where that shows.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> from lapwing.trees import read_newick
    >>> tree = read_newick("((a:0.1,'b c':0.2)95:0.3,d,e);")
    >>> tree.names, tree.support[4], tree.length.tolist()
    (('a', 'b c', 'd', 'e'), np.float64(95.0), [0.1, 0.2, nan, nan, 0.3, nan])
    """
    if isinstance(source, str) and ("(" in source or source.rstrip().endswith(";") or not source.strip()):
        return _parse(source)
    return _parse(Path(source).read_text(encoding="utf-8-sig"))


def write_newick(tree: Tree, path: Any, **options: Any) -> None:
    """Write a tree to a file in Newick format.

    Parameters
    ----------
    tree : Tree
        The tree.
    path : path
        The file.
    **options
        Those of `Tree.newick`.
    """
    Path(path).write_text(tree.newick(**options) + "\n", encoding="utf-8")


def _blank_comments(text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        piece = match[0]
        if piece[0] == "'":
            return piece
        if not piece.endswith("]"):
            raise ValueError(f"Newick: the comment that begins at character {match.start()} does not end")
        return " " * len(piece)  # positions stay those of the text

    return _QUOTED_OR_COMMENT.sub(blank, text) if "[" in text else text


def _parse(original: str) -> Tree:
    text = _blank_comments(original)
    if not text.strip():
        raise ValueError("Newick: the text is empty")
    names: list[str] = []
    lengths: list[float] = []  # of leaves
    inner_lengths: list[float] = []
    supports: list[float] = []
    labels: dict[int, str] = {}
    parents: list[int] = []  # of leaves: the number of an inner node
    inner_parents: list[int] = []
    opened: list[list[int]] = []  # children of the nodes that are open; inner node k is written -k - 1
    top: list[int] = []
    current = top
    position, previous = 0, ","
    nan = float("nan")
    match = _TOKEN.match
    while True:
        token = match(text, position)
        if token is None:
            raise ValueError(_complaint(text, position))
        quoted, plain, length, mark = token.groups()
        name = plain if quoted is None else quoted.replace("''", "'")
        if mark == "(":
            if name is not None or length is not None or previous == ")":
                raise ValueError(f"Newick: '(' at character {token.end() - 1} must follow '(' or ','")
            opened.append(current)
            current = []
        else:
            if previous == ")":  # the label and length of the node that was just closed
                if length is not None:
                    inner_lengths[-1] = float(length)
                if name is not None:
                    try:
                        if quoted is not None:
                            raise ValueError
                        supports[-1] = float(name)
                    except ValueError:
                        labels[len(supports) - 1] = name
            elif name is None:
                if not (mark == ";" and previous == "," and not top and not names):
                    raise ValueError(f"Newick: a leaf without a name before character {token.end() - 1}")
                raise ValueError("Newick: the tree is empty")
            else:
                current.append(len(names))
                names.append(name)
                lengths.append(nan if length is None else float(length))
                parents.append(-1)
            if mark == ")":
                if not opened:
                    raise ValueError(f"Newick: ')' at character {token.end() - 1} closes nothing")
                k = len(supports)
                for child in current:
                    if child >= 0:
                        parents[child] = k
                    else:
                        inner_parents[-child - 1] = k
                current = opened.pop()
                current.append(-k - 1)
                inner_lengths.append(nan)
                inner_parents.append(-1)
                supports.append(nan)
            elif mark == ";":
                position = token.end()
                break
            elif not opened:
                raise ValueError(f"Newick: ',' at character {token.end() - 1} is outside of all brackets")
        previous = mark
        position = token.end()
    if opened:
        raise ValueError(
            f"Newick: {len(opened)} brackets are not closed before ';' at character {position - 1}"
        )
    rest = text[position:].strip()
    if rest:
        raise ValueError(
            f"Newick: something follows ';' at character {position + text[position:].index(rest[0])}"
        )
    m = len(names)
    if len(set(names)) < m:
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        first = original.index(twice)
        raise ValueError(
            f"Newick: the leaf {twice!r} comes twice, the second time after character {first + len(twice)}"
        )
    inner = np.array(parents + inner_parents, dtype=np.int64)
    return Tree._made(
        np.where(inner >= 0, inner + m, -1).astype(np.int32),
        np.array(lengths + inner_lengths),
        names,
        np.array([nan] * m + supports),
        {m + k: label for k, label in labels.items()},
    )


def _complaint(text: str, position: int) -> str:
    """What is wrong where no token was found."""
    rest = text[position:]
    start = position + len(rest) - len(rest.lstrip())
    if start >= len(text):
        return f"Newick: ';' is missing at the end, character {len(text)}"
    if not re.search(r"[(),;]", text[start:]):
        return f"Newick: ';' is missing after character {start}"
    found = _BEFORE.match(text, position)
    at = start if found is None else max(start, found.end())
    return f"Newick: cannot read {text[at : at + 10]!r} at character {at}"


def _label(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def _labels(names: tuple[str, ...]) -> list[str]:
    if all(names) and _PLAIN.fullmatch("_".join(names)):
        return list(names)
    return [_label(name) for name in names]


def _texts(values: NDArray[np.float64], form: str) -> list[str]:
    """Of the numbers that are known; nothing for the others."""
    known = ~np.isnan(values)
    if known.all():
        return list(map(form.format, values.tolist()))
    out = np.full(len(values), "", dtype=object)
    out[known] = list(map(form.format, values[known].tolist()))
    return list(out)


def format_newick(tree: Tree, precision: int, lengths: bool, support: bool, rooted_marker: bool) -> str:
    n, m = tree.n_nodes, tree.n_leaves
    order, first, last = tree.layout
    number = f"{{:.{precision}g}}"
    # Inner nodes are in post-order, as their brackets are closed: each after the leaves that are no later
    # than its last one. Of two leaves in succession a comma is before the second, then brackets open.
    closed = np.cumsum(np.bincount(last[m:], minlength=m + 1))[:m]
    sequence = np.empty(n, dtype=np.int64)
    sequence[np.arange(m) + closed] = order
    sequence[np.arange(n - m) + last[m:]] = np.arange(m, n)
    counts, which = np.unique(np.bincount(first[m:], minlength=m)[first[:m]], return_inverse=True)
    before = np.full(n, ")", dtype=object)
    before[:m] = np.array(["," + "(" * count for count in counts.tolist()], dtype=object)[which]
    before[order[0]] = before[order[0]][1:]
    names = _labels(tree.names)
    names += _texts(tree.support[m:], number) if support else [""] * (n - m)
    for i, text in tree.labels.items():
        if i >= m:  # digits without quotes would be read as support
            names[i] = f"'{text}'" if re.fullmatch(r"[-+.\d].*", _label(text)) else _label(text)
    pieces = [""] * (3 * n)
    pieces[::3] = before[sequence]
    pieces[1::3] = np.array(names, dtype=object)[sequence]
    if lengths:
        after = np.array([*_texts(tree.length[:-1], ":" + number), ""], dtype=object)
        pieces[2::3] = after[sequence]
    marker = ("[&R] " if tree.rooted else "[&U] ") if rooted_marker else ""
    return marker + "".join(pieces) + ";"
