"""Costs from a callable or a file; starts in closed form; float32 before float64."""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import pytest

from lapwing import ot
from lapwing.exceptions import InfeasibleError
from lapwing.ot import _tiles


class Rows:
    def __init__(self, C):
        self.C, self.asked = C, []

    def __call__(self, i, j):
        self.asked.append((i, j))
        return self.C[i:j]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", [None, 20_000.0])
def test_a_callable_is_its_matrix(oracle, dtype, memory):
    C = oracle.cost(*oracle.clouds(0, 120, 70, 2)).astype(dtype)
    rows = Rows(C)
    options = {"reg": 0.1, "reg_scale": "median", "max_memory": memory}
    found = ot.solve(rows, shape=(120, 70), **options)
    whole = ot.solve(C, **options)
    assert found.potentials[0].tobytes() == whole.potentials[0].tobytes()
    assert found.plan.tobytes() == whole.plan.tobytes()
    np.testing.assert_array_equal(found.argmax(axis=0), whole.argmax(axis=0))
    # once, in order
    assert [i for i, _ in rows.asked] == [0, *[j for _, j in rows.asked[:-1]]]
    assert rows.asked[-1][1] == 120
    assert (len(rows.asked) > 1) == (memory is not None)
    mapped = found._geometry.x
    while mapped.base is not None and not isinstance(mapped, np.memmap):
        mapped = mapped.base
    assert isinstance(mapped, (np.memmap,)) == (memory is not None)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_is_not_loaded(oracle, tmp_path, order):
    C = oracle.cost(*oracle.clouds(1, 60, 50, 2))
    file = np.memmap(tmp_path / "cost", dtype=np.float64, mode="w+", shape=C.shape, order=order)
    file[:] = C
    file.flush()
    read = np.memmap(tmp_path / "cost", dtype=np.float64, mode="r", shape=C.shape, order=order)
    found = ot.solve(read, reg=0.1)
    assert np.shares_memory(found._geometry.x, read)
    np.testing.assert_allclose(found.plan, ot.solve(C, reg=0.1).plan, atol=1e-7)


def test_bad_callables():
    for function, shape, match in (
        (lambda i, j: np.zeros((j - i, 3)), None, "needs shape"),
        (lambda i, j: np.zeros((j - i, 3)), (4,), "needs shape"),
        (lambda i, j: np.zeros((j - i, 3)), (0, 3), "shape.0. must be >= 1"),
        (lambda i, j: np.zeros((j - i, 2)), (4, 3), r"C\(0, 4\) must have shape \(4, 3\)"),
        (lambda i, j: np.full((j - i, 3), np.nan), (4, 3), "NaN"),
    ):
        with pytest.raises(ValueError, match=match):
            ot.solve(function, reg=1.0, shape=shape)
    with pytest.raises(ValueError, match="goes with a callable"):
        ot.solve(np.zeros((2, 2)), reg=1.0, shape=(2, 2))
    with pytest.raises(TypeError, match="were float32"):
        ot.solve(
            lambda i, j: np.zeros((j - i, 2), np.float32 if i == 0 else np.float64), reg=1.0, shape=(50, 2),
            max_memory=800,
        )  # fmt: skip
    with pytest.raises(InfeasibleError, match="row 1"):
        ot.solve(
            lambda i, j: np.where(np.arange(i, j) == 1, np.inf, 0.0)[:, None] + np.zeros(2),
            reg=1.0,
            shape=(3, 2),
        )
    with pytest.raises(ZeroDivisionError):
        ot.solve(lambda i, j: 1 // 0, reg=1.0, shape=(3, 2))


def test_no_room_on_the_disk(monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(_tiles.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(MemoryError, match="TMPDIR"):
        ot.solve(lambda i, j: np.zeros((j - i, 100)), reg=1.0, shape=(100, 100), max_memory=1000)


def test_costs_on_disk_do_not_count_as_memory():
    """A limit on the anonymous memory of a process, below the size of the costs, is kept."""
    program = """
import resource, numpy as np
from lapwing import ot
x = np.linspace(0, 1, 3000)
ot.solve(np.zeros((4, 4)), reg=1.0, n_jobs=1)  # everything that is loaded is loaded
used = int(open('/proc/self/status').read().split('VmData:')[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 30 * 2**20,) * 2)
result = ot.solve(
    lambda i, j: (x[i:j, None] - x) ** 2, reg=0.05, shape=(3000, 3000), max_memory=2**23, method="sinkhorn",
    n_jobs=1,
)
print(result.converged)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("the limit is Linux's")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "True", done.stderr


def test_the_gaussian_start_is_exact_for_gaussians():
    t = np.linspace(-15, 15, 900)[:, None]
    a, b = np.exp(-0.5 * (t[:, 0] + 1) ** 2), np.exp(-0.5 * ((t[:, 0] - 0.5) / 1.7) ** 2)
    a, b = a / a.sum(), b / b.sum()
    found = ot.solve_sample(t, t, a, b, reg=0.6, init="gaussian", tol=1e-9)
    assert found.history[0].error < 1e-9
    assert found.n_sweeps <= 2
    plain = ot.solve_sample(t, t, a, b, reg=0.6, tol=1e-9)
    np.testing.assert_allclose(found.plan, plain.plan, atol=1e-10)


@pytest.mark.parametrize("d", [1, 3, 40])
def test_the_gaussian_start_saves_sweeps(oracle, d):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(800, d)) @ rng.normal(size=(d, d)), rng.normal(size=(700, d)) + 1
    options = {"reg": 0.05, "reg_scale": "median", "tol": 1e-8}
    found, plain = ot.solve_sample(X, Y, init="gaussian", **options), ot.solve_sample(X, Y, **options)
    np.testing.assert_allclose(found.plan, plain.plan, atol=1e-9)
    assert found.n_sweeps <= plain.n_sweeps
    with pytest.raises(ValueError, match="init must be one of 'gaussian'"):
        ot.solve_sample(X, Y, reg=1.0, init="normal")
    with pytest.raises(ValueError, match="needs points and the metric"):
        ot.solve_sample(X, Y, reg=1.0, init="gaussian", metric="euclidean")
    with pytest.raises(ValueError, match="needs points"):
        ot.solve(np.zeros((2, 2)), reg=1.0, init="gaussian")
    flat = np.zeros((20, 3))
    flat[:, 0] = np.arange(20)  # no spread along two axes
    assert ot.solve_sample(flat, flat + 1, reg=1.0, init="gaussian").converged


def test_a_start_in_the_other_convention(oracle):
    X, Y = oracle.clouds(3, 50, 40, 2)
    a, b = oracle.weights(4, 50), oracle.weights(5, 40)
    for options in ({}, {"unbalanced": 2.0}, {"mass": 0.5}):
        first = ot.solve_sample(X, Y, a, b, reg=0.3, reg_type="entropy", tol=1e-10, **options)
        for init in (first, first.potentials):
            again = ot.solve_sample(X, Y, a, b, reg=0.3, reg_type="entropy", tol=1e-8, init=init, **options)
            assert again.n_sweeps <= 2 < first.n_sweeps
            np.testing.assert_allclose(again.plan, first.plan, atol=1e-7)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("options", [{}, {"unbalanced": 1.0}, {"mass": 0.6}, {"method": "sinkhorn"}])
def test_mixed_precision(oracle, dense, options):
    X, Y = oracle.clouds(6, 400, 300, 3)
    data = (oracle.cost(X, Y),) if dense else (X, Y)
    solve = ot.solve if dense else ot.solve_sample
    options = {"reg": 0.05, "reg_scale": "median", "tol": 1e-9, **options}
    mixed, plain = solve(*data, precision="mixed", **options), solve(*data, **options)
    assert mixed.converged
    assert mixed.potentials[0].dtype == np.float64
    np.testing.assert_allclose(mixed.plan, plain.plan, atol=1e-9)
    assert len(mixed.history) >= mixed.n_sweeps
    bits = [solve(*data, precision="mixed", n_jobs=j, **options).potentials[0].tobytes() for j in (1, 2, 4)]
    assert len(set(bits)) == 1


def test_mixed_precision_refuses_what_float32_does_not_hold():
    X = np.array([[0.0], [1e25]])
    with pytest.raises(ValueError, match="float32 holds"):
        ot.solve_sample(X, X, reg=1e49, precision="mixed")
    with pytest.raises(ValueError, match="precision must be one of"):
        ot.solve_sample(X, X, reg=1e49, precision="half")
    short = ot.solve_sample(X / 1e25, X / 1e25 + 0.3, reg=0.1, precision="mixed")
    assert short.converged


def test_memory_is_bounded_for_points():
    """Sanity of the out-of-core promise: 20 000 x 20 000 pairs, a few megabytes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 2)).astype(np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ot.solve_sample(X, X + 1, reg=1.0, reg_scale="median", max_iter=3, tol=1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
