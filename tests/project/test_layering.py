"""No import and no include goes up or sideways: the rules of the architecture, read off the sources.

From below: the door of the Python package, the kernel rooms (each may use those before it), the shared
blocks, the subject rooms (which know nothing of one another), and the top. In C++: views and context, the
rooms in order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

# ---- Python ------------------------------------------------------------------------------------------

DOOR = {
    "_array", "_backend", "_caller", "_core", "_cuda", "_graphs", "_optional", "_progress", "_threads",
    "_validate", "exceptions",
}  # fmt: skip
KERNEL_ROOMS = ["multiscale", "linalg", "ot", "graph", "phylo", "averaging"]
SHARED = {"autograd", "datasets", "gates", "metrics", "nn", "plots"}
SUBJECTS = {
    "cluster", "embedding", "feature_selection", "generative", "optim", "outliers", "signal", "tabular",
    "trees",
}  # fmt: skip
TOP = {"__init__", "__main__"}
EXTENSION_USERS = {"__init__", "_backend", "_threads"}  # everyone else asks _backend
TORCH_ROOMS = {"autograd", "gates", "nn"}  # elsewhere torch is imported inside a function


def imports(source: str, package: str) -> Iterator[tuple[str, bool]]:
    """Every module that `source` imports, with whether that happens when it is itself imported."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def at_import(node: ast.AST) -> bool:
        while node in parents:
            node = parents[node]
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                return False
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                return False
        return True

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, at_import(node)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                stem = package.split(".")[: -(node.level - 1) or None]
                base = ".".join([*stem, *([base] if base else [])])
            yield base, at_import(node)
            for alias in node.names:
                yield f"{base}.{alias.name}", at_import(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.JoinedStr):
                name = name.values[0]
            if isinstance(name, ast.Constant):
                yield str(name.value).rstrip("."), at_import(node)


def python_violations(path: PurePosixPath, source: str) -> list[str]:
    """What the file `path`, relative to python/lapwing, may not import."""
    room = path.parts[0].removesuffix(".py")
    package = ".".join(["lapwing", *path.parent.parts])
    if room in TOP:
        allowed = DOOR | set(KERNEL_ROOMS) | SHARED | SUBJECTS
    elif room in DOOR:
        allowed = DOOR
    elif room in KERNEL_ROOMS:
        allowed = DOOR | set(KERNEL_ROOMS[: KERNEL_ROOMS.index(room) + 1])
    elif room in SHARED:
        allowed = DOOR | set(KERNEL_ROOMS) | {room}
    elif room in SUBJECTS:
        allowed = DOOR | set(KERNEL_ROOMS) | SHARED | {room}
    else:
        return [f"{path}: {room} has no place in the architecture"]
    if room not in EXTENSION_USERS:
        allowed = allowed - {"_core", "_cuda"}

    wrong = []
    may_load_torch = room in TORCH_ROOMS or path.name == "_networks.py"
    known = DOOR | set(KERNEL_ROOMS) | SHARED | SUBJECTS
    for module, early in imports(source, package):
        name, *rest = module.split(".")
        if name == "lapwing" and rest and rest[0] in known and rest[0] not in allowed:
            wrong.append(f"{path}: {room} imports lapwing.{rest[0]}")
        elif name == "sklearn" and room in KERNEL_ROOMS:
            wrong.append(f"{path}: the kernel room {room} imports scikit-learn")
        elif name == "torch" and (room in KERNEL_ROOMS or (early and not may_load_torch)):
            wrong.append(f"{path}: {room} imports torch" + " when it is imported" * early)
    return wrong


def test_python_imports_go_down(root: Path) -> None:
    base = root / "python" / "lapwing"
    files = sorted(base.rglob("*.py"))
    assert len(files) > 10
    wrong = [v for f in files for v in python_violations(PurePosixPath(f.relative_to(base)), f.read_text())]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ot/_solve.py", "from lapwing.embedding import EOTEigenmaps"),
        ("ot/_solve.py", "from lapwing import graph"),
        ("ot/_solve.py", "from lapwing import _core"),
        ("ot/_solve.py", "import lapwing._core as core"),
        ("ot/_solve.py", "from .._core import ot_solve"),
        ("ot/_solve.py", "def f():\n    import sklearn.utils"),
        ("ot/_solve.py", "def f():\n    import torch"),
        ("_array.py", "from lapwing import ot"),
        ("_array.py", "import torch"),
        ("metrics/_a.py", "from lapwing.datasets import make"),
        ("plots.py", "from lapwing import embedding"),
        ("embedding/a/_b.py", "from ...cluster import SpectralClustering"),
        ("embedding/a/_b.py", "import importlib\nimportlib.import_module('lapwing.cluster')"),
        ("embedding/a/_b.py", "import importlib\nimportlib.import_module(f'lapwing.trees.{name}')"),
        ("embedding/a/_b.py", "from torch import nn"),
        ("misc.py", "import os"),
    ],
)
def test_python_rule_catches(path: str, source: str) -> None:
    assert python_violations(PurePosixPath(path), source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "ot/_solve.py",
            "from lapwing import _backend, linalg\nfrom lapwing.ot import _cost\nfrom . import _cost",
        ),
        (
            "embedding/a/_b.py",
            "from lapwing import ot, plots\nfrom . import _c\nfrom ..x import y\nimport sklearn",
        ),
        ("_array.py", "def f():\n    import torch"),
        ("outliers/prae/_networks.py", "import torch"),
        ("__init__.py", "from lapwing import _core, embedding"),
    ],
)
def test_python_rule_permits(path: str, source: str) -> None:
    assert python_violations(PurePosixPath(path), source) == []


# ---- C++ ---------------------------------------------------------------------------------------------

BASE_HEADERS = {"context", "error", "operator", "version", "view"}
CPP_ROOMS = ["sparse", "multiscale", "linalg", "ot", "graph", "partition", "phylo"]
LATE_HEADERS = {"averaging"}
EIGEN_USERS = {"linalg/cholesky.cpp", "linalg/small_eigen.cpp"}
FOREIGN = re.compile(r"^(nanobind/|pybind11/|Python\.h|Eigen/|cuda|cub/|thrust/|unsupported/)")
INTRINSICS = re.compile(r"^(\w+intrin|arm_neon)\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)


def includes(source: str) -> list[tuple[str, bool]]:
    """Every file that `source` includes, with whether it stands in quotes."""
    return [(angle or quoted, bool(quoted)) for angle, quoted in INCLUDE.findall(source)]


def rooms_up_to(room: str) -> set[str]:
    """A room and those left of it."""
    return set(CPP_ROOMS[: CPP_ROOMS.index(room) + 1])


def resolve(path: PurePosixPath, name: str) -> PurePosixPath:
    """A quoted include, from the root of the sources: relative to the file, or to cpp/src."""
    parts: list[str] = []
    for part in (path.parent / name).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def cpp_violations(path: PurePosixPath, source: str) -> list[str]:
    """What the file `path`, relative to the root, may not include."""
    wrong: list[str] = []
    text = str(path)
    public = text.startswith("cpp/include/")
    kernels = text.startswith("cpp/src/kernels/")
    inner = text.removeprefix("cpp/src/")
    room = path.stem if public else PurePosixPath(inner).parts[0].removesuffix(".cpp")

    headers = set(BASE_HEADERS)
    if room in CPP_ROOMS:
        headers |= rooms_up_to(room)
    elif room in LATE_HEADERS:
        headers |= set(CPP_ROOMS) | {room}
    elif room in {"lapwing", "bindings"} or not text.startswith("cpp/"):
        headers |= set(CPP_ROOMS) | LATE_HEADERS | {"lapwing"}

    for name, quoted in includes(source):
        if kernels and path.suffix == ".inl":
            if name != "math.inl" and not INTRINSICS.match(name):
                wrong.append(f"{path}: a kernel file includes {name}")
            continue
        if name.startswith("lapwing/cuda/"):
            if not text.startswith(("cuda/", "python/bindings/cuda")):
                wrong.append(f"{path} includes {name}")
        elif name.startswith("lapwing/"):
            if PurePosixPath(name).stem not in headers:
                wrong.append(f"{path} includes {name}")
        elif FOREIGN.match(name):
            fine = (
                (name.startswith("Eigen/") and inner in EIGEN_USERS)
                or (name.startswith("nanobind/") and text.startswith("python/bindings/"))
                or (text.startswith("cuda/src/") and re.match(r"cuda|cub/|thrust/", name) is not None)
            )
            if not fine:
                wrong.append(f"{path} includes {name}")
        elif quoted and text.startswith("cpp/src/"):
            target = resolve(path, name)
            if "cpp/src" not in str(target) or len(target.parts) < 3:
                target = PurePosixPath("cpp/src", name)
            first = target.parts[2].removesuffix(".hpp")
            if first == "kernels" and not (kernels or target.name == "table.hpp"):
                wrong.append(f"{path} includes {name}: rooms see the kernels through their table")
            elif first in CPP_ROOMS and (room not in CPP_ROOMS or first not in rooms_up_to(room)):
                wrong.append(f"{path} includes {name}")
        elif quoted and text.startswith("cuda/") and "kernels" in name:
            wrong.append(f"{path} includes {name}: the CUDA part has kernels of its own")
        elif quoted and text.startswith("python/bindings/") and "/" in name:
            wrong.append(f"{path} includes {name}: bindings see public headers only")
    return wrong


def cpp_files(root: Path) -> list[Path]:
    """All C++ and CUDA sources that the rules speak of."""
    found: list[Path] = []
    for top in ("cpp", "cuda", "python/bindings"):
        for suffix in ("hpp", "cpp", "inl", "cu", "cuh"):
            found += (root / top).rglob(f"*.{suffix}")
    return sorted(found)


def test_includes_go_down(root: Path) -> None:
    files = cpp_files(root)
    assert len(files) > 20
    wrong = [v for f in files for v in cpp_violations(PurePosixPath(f.relative_to(root)), f.read_text())]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("cpp/src/kernels/ot.inl", "#include <vector>"),
        ("cpp/src/kernels/ot.inl", "#include <cmath>"),
        ("cpp/src/kernels/ot.inl", "#include <lapwing/context.hpp>"),
        ("cpp/src/linalg/lanczos.cpp", "#include <lapwing/ot.hpp>"),
        ("cpp/src/linalg/lanczos.cpp", '#include "../ot/driver.hpp"'),
        ("cpp/src/linalg/lanczos.cpp", "#include <Eigen/Dense>"),
        ("cpp/src/ot/solve.cpp", '#include "../kernels/ot.inl"'),
        ("cpp/src/ot/solve.cpp", "#include <nanobind/nanobind.h>"),
        ("cpp/src/ot/solve.cpp", "#include <cuda_runtime.h>"),
        ("cpp/src/context.cpp", "#include <lapwing/ot.hpp>"),
        ("cpp/src/pool.cpp", '#include "ot/driver.hpp"'),
        ("cpp/include/lapwing/linalg.hpp", "#include <lapwing/ot.hpp>"),
        ("cpp/include/lapwing/ot.hpp", "#include <Eigen/Core>"),
        ("cpp/include/lapwing/view.hpp", "#include <Python.h>"),
        ("cuda/src/ot.cu", '#include "../../cpp/src/kernels/table.hpp"'),
        ("python/bindings/ot.cpp", '#include "../../cpp/src/ot/driver.hpp"'),
        ("python/bindings/ot.cpp", "#include <Eigen/Dense>"),
    ],
)
def test_include_rule_catches(path: str, line: str) -> None:
    assert cpp_violations(PurePosixPath(path), line)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("cpp/src/kernels/ot.inl", '#include "math.inl"'),
        ("cpp/src/kernels/math.inl", "#include <immintrin.h>"),
        ("cpp/src/ot/solve.cpp", "#include <lapwing/linalg.hpp>\n#include <vector>"),
        (
            "cpp/src/ot/solve.cpp",
            '#include "driver.hpp"\n#include "../kernels/table.hpp"\n#include "../linalg/tall.hpp"',
        ),
        ("cpp/src/linalg/small_eigen.cpp", "#include <Eigen/SVD>"),
        ("cpp/include/lapwing/lapwing.hpp", "#include <lapwing/ot.hpp>"),
        ("cuda/src/ot.cu", '#include <cuda_runtime.h>\n#include "../../cpp/src/ot/driver.hpp"'),
        (
            "python/bindings/ot.cpp",
            '#include <nanobind/ndarray.h>\n#include "convert.hpp"\n#include <lapwing/ot.hpp>',
        ),
    ],
)
def test_include_rule_permits(path: str, line: str) -> None:
    assert cpp_violations(PurePosixPath(path), line) == []
