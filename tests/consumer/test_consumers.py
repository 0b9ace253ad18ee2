"""Builds and runs other projects against the installed headers, archive, CMake and pkg-config files."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import lapwing

pytestmark = pytest.mark.consumer

ROOT = Path(__file__).parents[2]
COMPILER = os.environ.get("CXX") or "c++"


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name: str) -> str:
    """A program of this environment, else of the system; without it there is nothing to test."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} was not found")
    return found


def build(source: Path, folder: Path, *options: str) -> Path:
    cmake = tool("cmake")
    run(cmake, "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options)
    run(cmake, "--build", folder, "--parallel", "2")
    return folder


def test_cmake_program(tmp_path: Path) -> None:
    folder = build(ROOT / "examples/cpp_consumer", tmp_path, f"-Dlapwing_DIR={lapwing.get_cmake_dir()}")
    out = run(folder / "cpp_consumer", env={"OMP_NUM_THREADS": "2"})
    assert "2 threads" in out
    assert "transport cost" in out
    assert out.count("singular value") == 4
    # C++ and Python are one library: the same problem gives the same number.
    circle = [np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (600, 400)]
    x, y = (r * np.c_[np.cos(t), np.sin(t)] for r, t in zip((1.0, 1.5), circle, strict=True))
    expected = lapwing.ot.solve_sample(x, y, reg=0.05, tol=1e-9).value_linear
    assert float(out.split("transport cost ")[1].split(",")[0]) == pytest.approx(expected, abs=2e-6)
    line = dict(row.rsplit(" ", 1) for row in out.splitlines() if " " in row)

    def agrees(name, value):
        assert float(line[name]) == pytest.approx(value, abs=2e-6), name

    ot = lapwing.ot
    result = ot.solve_sample(x, y, reg=0.05, tol=1e-9)
    agrees("divergence", ot.sinkhorn_divergence(x, y, reg=0.05, tol=1e-9).value)
    agrees("image of (0.9, 0)", result.entropic_map(np.array([[0.9, 0.0]]))[0, 0])
    turned = np.stack([-x[:, 1], x[:, 0]], axis=1)
    agrees("Monge gap", ot.monge_gap(x, turned, reg=0.05, linear=True, tol=1e-9).value)
    free = ot.barycenter_free_support([x, y], support=x[:30], reg=0.05, tol=1e-6, plan_tol=1e-9)
    agrees("free barycentre", free.value)
    pictures = np.zeros((16, 16, 2))
    pictures[:8, :8, 0] = pictures[8:, 8:, 1] = 1 / 64
    axis = np.arange(16) / 15
    middle = ot.barycenter(pictures, grid=(axis, axis), reg=0.01, tol=1e-8).weights[8, 8]
    agrees("barycentre of pictures: in the middle", middle)
    costs = ((x[:, None] - [[1, 0], [-1, 1], [-1, -1]]) ** 2).sum(axis=2)
    agrees("progressive objective", ot.progressive_partial(costs, 0.5, tol=1e-9).objective)
    agrees("semi-dual", np.mean(costs.min(axis=1) + 0.5 / len(x)))


def test_cmake_program_by_prefix(tmp_path: Path) -> None:
    """The folder that holds the package is a CMake prefix."""
    prefix = Path(lapwing.get_cmake_dir()).parents[3]
    build(ROOT / "examples/cpp_consumer", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    cache = (tmp_path / "CMakeCache.txt").read_text()
    assert f"lapwing_DIR:PATH={lapwing.get_cmake_dir()}" in cache


def test_cmake_version_is_checked(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        "find_package(lapwing 99.0 CONFIG REQUIRED)\n"
    )
    done = subprocess.run(
        [tool("cmake"), "-S", tmp_path, "-B", tmp_path / "b", f"-Dlapwing_DIR={lapwing.get_cmake_dir()}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "99.0" in done.stderr


def test_pkg_config_program(tmp_path: Path) -> None:
    pkg_config = tool("pkg-config")
    folder = Path(lapwing.get_cmake_dir()).parents[1] / "pkgconfig"
    env = {"PKG_CONFIG_PATH": str(folder)}
    assert run(pkg_config, "--modversion", "lapwing", env=env).strip() == lapwing.__version__
    flags = shlex.split(run(pkg_config, "--cflags", "--libs", "lapwing", env=env))
    # libraries come after the file that uses them
    run(
        tool(COMPILER),
        Path(__file__).parent / "pkg_config/main.cpp",
        "-O1",
        "-o",
        tmp_path / "program",
        *flags,
    )
    assert f"lapwing {lapwing.__version__}, converged" in run(tmp_path / "program")


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory):
    """The pybind11 extension, built by pip as its author would, in a folder of its own."""
    pytest.importorskip("pybind11", reason="pip install lapwing[test]")
    pytest.importorskip("scikit_build_core", reason="pip install lapwing[test]")
    source = tmp_path_factory.mktemp("source") / "pybind11_consumer"
    shutil.copytree(ROOT / "examples/pybind11_consumer", source)
    target = tmp_path_factory.mktemp("site")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = ("--quiet", "--no-build-isolation", "--no-deps", "--target", target)
    run(sys.executable, "-m", "pip", "install", *options, source, env={"PATH": path})
    sys.path.insert(0, str(target))
    try:
        yield __import__("pybind11_consumer")
    finally:
        sys.path.remove(str(target))


def test_extension_agrees_with_python(extension) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(70, 3)) + 0.5
    f, g, converged, error = extension.potentials(x, y, 0.5)
    assert converged
    assert error <= 1e-9
    ours = lapwing.ot.solve_sample(x, y, reg=0.5, tol=1e-9)
    # both have marginals right to 1e-9; the potentials then agree to about that times reg / smallest weight
    np.testing.assert_allclose(f, ours.potentials[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(g, ours.potentials[1], rtol=0, atol=1e-6)


def test_extension_in_single_precision_and_bad_input(extension) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 2)).astype("f4"), rng.normal(size=(30, 2)).astype("f4")
    f, g, converged, _ = extension.potentials(x, y, 0.5)
    assert converged
    exact = extension.potentials(x.astype("f8"), y.astype("f8"), 0.5)
    np.testing.assert_allclose(f, exact[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(g, exact[1], rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="same number of columns"):
        extension.potentials(np.ones((3, 2)), np.ones((3, 4)), 0.5)
    with pytest.raises(ValueError, match="threads must be >= 0"):
        extension.potentials(np.ones((3, 2)), np.ones((3, 2)), 0.5, threads=-3)


@pytest.fixture(scope="module")
def cuda_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with its CUDA part, built for one target and installed to a prefix."""
    tool("nvcc")
    cmake = tool("cmake")
    version = tuple(int(part) for part in run(cmake, "--version").split()[2].split(".")[:2])
    if version < (3, 31):
        pytest.skip(f"the CUDA part needs CMake >= 3.31, this is {version} (pip install cmake)")
    prefix, folder = tmp_path_factory.mktemp("prefix"), tmp_path_factory.mktemp("cuda")
    eigen = Path(sysconfig.get_path("purelib")) / "cmeel.prefix"
    build(
        ROOT,
        folder,
        "-DLAPWING_CUDA=ON",
        "-DCMAKE_CUDA_ARCHITECTURES=90",
        f"-DCMAKE_PREFIX_PATH={eigen}",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
    )
    run(cmake, "--install", folder, "--component", "devel")
    return prefix


def test_cuda_program(cuda_prefix: Path, tmp_path: Path) -> None:
    folder = build(ROOT / "tests/consumer/cuda", tmp_path, f"-DCMAKE_PREFIX_PATH={cuda_prefix}")
    out = run(folder / "cuda_consumer")
    assert "error: softmin: " in out or "largest difference from the CPU" in out


def test_cuda_component_is_refused_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        "find_package(lapwing CONFIG REQUIRED COMPONENTS cuda)\n"
    )
    done = subprocess.run(
        [tool("cmake"), "-S", tmp_path, "-B", tmp_path / "b", f"-Dlapwing_DIR={lapwing.get_cmake_dir()}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "was built without CUDA" in " ".join(done.stderr.split())
