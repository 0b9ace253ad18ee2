"""README and docstrings as doctests; nothing in the tree that belongs to one machine."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
from pathlib import Path

import pytest

import lapwing

from .conftest import ROOT

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    """All modules of the package, except the extension and the command."""
    found = [m.name for m in pkgutil.walk_packages(lapwing.__path__, "lapwing.")]
    return ["lapwing", *(m for m in found if not m.endswith(("._core", ".__main__")))]


@pytest.mark.parametrize("name", modules())
def test_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.failed == 0


def examples(page: Path) -> doctest.DocTest:
    """All `>>>` examples in the fenced blocks of a page, as one session."""
    text = page.read_text(encoding="utf-8")
    # What is not in a block is blanked, so that line numbers in a report are those of the page.
    kept = [""] * text.count("\n")
    for block in re.finditer(r"^```(?:python|pycon)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        first = text[: block.start(1)].count("\n")
        lines = block[1].splitlines()
        kept[first : first + len(lines)] = lines
    return doctest.DocTestParser().get_doctest("\n".join(kept), {}, page.name, str(page), 0)


PAGES = ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("name", PAGES)
def test_pages_run(name: str) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(examples(ROOT / name), out=report.append)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/coming_from_ot.md", "docs/eot_eigenmaps.md", "docs/sinkhorn.md"]
)
def test_page_has_examples(name: str) -> None:
    assert len(examples(ROOT / name).examples) > 4


def test_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "./run demo" in text
    assert "./run test" in text
    # CI runs the same command, not one like it.
    assert re.search(r"^stage .* \./run test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_readme_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text()):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def tracked() -> list[Path]:
    """Text files under version control, or all of an unpacked archive."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [n for n in done.stdout.split("\0") if n] if done.returncode == 0 else []
    paths = [ROOT / n for n in names] or [p for p in ROOT.rglob("*") if ".venv" not in p.parts]
    binary = {".png", ".npy", ".npz", ".gz", ".h5ad"}
    return [p for p in paths if p.is_file() and p.suffix not in binary]


# Split, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.$}/-])/(?:work|root|home|Users|mnt)" + r"/\w"),
    "a switch that must not be used": re.compile(r"-(?:ffast-" + r"math|march=" + r"native)\b"),
    "unfinished work": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
    "a promise that is not kept": re.compile(r"\bNotImplemented" + r"Error\b"),
}
# Where each may stand all the same.
EXCEPTIONS = {
    "a switch that must not be used": (
        "CMakeLists.txt",  # LAPWING_NATIVE: off by default, for experiments
        "cmake/isa.cmake",  # the comment that forbids them
        "bench/ceilings/",  # measures this machine, is not installed
    ),
    "a promise that is not kept": ("bench/",),  # a peer that lacks one of the jobs
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_tree_is_free_of(what: str) -> None:
    files = tracked()
    assert len(files) > 40
    found = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(EXCEPTIONS.get(what, ())):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "see /ho" + "me/user/x"),
        ("a switch that must not be used", "cxx -march=" + "native"),
        ("unfinished work", "# TO" + "DO later"),
        ("a promise that is not kept", "raise NotImplemented" + "Error"),
    ],
)
def test_forbidden_words_are_found(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)
