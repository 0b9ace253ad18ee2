"""The installed package and the wheel: what they hold, what importing costs, whether the stub is true."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import lapwing

HEAVY = ("anndata", "matplotlib", "pandas", "scipy", "sklearn", "torch", "tqdm")


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy() -> None:
    loaded = python("-c", "import sys, lapwing; print(*sorted(sys.modules))").split()
    assert "lapwing._core" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_public_names_are_spelt_once() -> None:
    assert len(set(lapwing.__all__)) == len(lapwing.__all__)
    assert lapwing.__all__ == sorted(lapwing.__all__)


def test_version_stands_in_one_place(root: Path) -> None:
    header = (root / "cpp/include/lapwing/version.hpp").read_text()
    (version,) = re.findall(r'#define LAPWING_VERSION "(.+)"', header)
    assert lapwing.__version__ == version
    assert importlib.metadata.version("lapwing") == version
    parts = [int(x) for x in re.findall(r"#define LAPWING_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)]
    assert parts == [int(x) for x in version.split(".")]
    assert f"version: {version}" in (root / "CITATION.cff").read_text()
    assert f"## [{version}]" in (root / "CHANGELOG.md").read_text()


def test_stub_is_up_to_date(root: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "_core.pyi"
    python("-m", "nanobind.stubgen", "-q", "-m", "lapwing._core", "-o", str(fresh))
    committed = root / "python/lapwing/_core.pyi"
    assert committed.read_text() == fresh.read_text(), (
        "python/lapwing/_core.pyi is out of date: python -m nanobind.stubgen -m lapwing._core "
        "-o python/lapwing/_core.pyi"
    )


def test_wheel_is_one_for_every_python(wheel: Path) -> None:
    _, version, interpreter, abi, _ = wheel.name.removesuffix(".whl").split("-")
    assert (version, interpreter, abi) == (lapwing.__version__, "cp310", "abi3")


def test_wheel_size(wheel: Path) -> None:
    assert wheel.stat().st_size < 5_000_000


def test_wheel_contents(wheel: Path, root: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [n for n in names if Path(n).suffix in {".cpp", ".cu", ".inl", ".o", ".pyc"}] == []
    assert [
        n for n in names if not n.startswith(("lapwing/", f"lapwing-{lapwing.__version__}.dist-info/"))
    ] == []
    assert [n for n in names if n.endswith(".so")] == ["lapwing/_core.abi3.so"]
    headers = {p.relative_to(root / "cpp/include").as_posix() for p in (root / "cpp/include").rglob("*.hpp")}
    assert headers == {n.removeprefix("lapwing/include/") for n in names if n.endswith(".hpp")}
    for name in (
        "lapwing/__init__.py",
        "lapwing/_core.pyi",
        "lapwing/py.typed",
        "lapwing/lib/liblapwing.a",
        "lapwing/lib/cmake/lapwing/lapwing-config.cmake",
        "lapwing/lib/cmake/lapwing/lapwing-config-version.cmake",
        "lapwing/lib/cmake/lapwing/lapwing-targets.cmake",
        "lapwing/lib/pkgconfig/lapwing.pc",
        f"lapwing-{lapwing.__version__}.dist-info/licenses/LICENSE",
        f"lapwing-{lapwing.__version__}.dist-info/entry_points.txt",
    ):
        assert name in names


def test_wheel_names_no_place_of_the_build(wheel: Path, root: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        if name.endswith((".cmake", ".pc", ".py", ".pyi", ".hpp")):
            assert str(root).encode() not in archive.read(name), name


def test_every_source_file_is_in_the_wheel(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {p.relative_to(root / "python").as_posix() for p in (root / "python/lapwing").rglob("*.py")}
    assert sources <= names
