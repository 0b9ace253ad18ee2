"""Imports, threads, configuration, arrays of other packages, the progress bar."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import lapwing
from lapwing import _array, _optional, _progress, _threads, _validate, ot

C = np.arange(12.0).reshape(3, 4)
X, Y = np.arange(6.0).reshape(3, 2), np.arange(8.0).reshape(4, 2)


def run(program, **environment):
    """Run a program in a fresh interpreter; what it prints as JSON."""
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "LAPWING_ISA")} | environment
    out = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


# -- imports ---------------------------------------------------------------------------------------

HEAVY = ("scipy", "sklearn", "torch", "matplotlib", "tqdm", "threadpoolctl", "anndata", "pandas", "cupy")
LOADED = (
    f"import json, sys; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r}))))"
)


@pytest.mark.parametrize(
    "program",
    [
        "import lapwing",
        "import lapwing; lapwing.ot",
        "import lapwing; lapwing.InfeasibleError; dir(lapwing); lapwing.__version__",
        "from lapwing import ot; r = ot.solve([[0, 1], [1, 0.0]], reg=1.0); r.plan, r.value, r.value_linear",
        "from lapwing import ot; ot.solve_sample([[0, 1], [1, 0.0]], [[0, 1.0]], reg=1, reg_scale='median')",
    ],
)
def test_import_loads_numpy_and_the_extension_only(program):
    assert run(f"{program}\n{LOADED}") == []


def test_public_names_exist():
    for name in lapwing.__all__:
        assert getattr(lapwing, name) is not None
        assert name in dir(lapwing)
    for name in ot.__all__:
        assert hasattr(ot, name)
    from lapwing import exceptions

    for name in exceptions.__all__:
        assert getattr(lapwing, name) is getattr(exceptions, name)
    with pytest.raises(AttributeError, match="module 'lapwing' has no attribute 'nothing'"):
        _ = lapwing.nothing
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = exceptions.nothing


def test_version_is_that_of_the_core():
    from lapwing import _core

    assert lapwing.__version__ == _core.build_info()["version"] == _core.__version__


def test_exceptions():
    from sklearn.exceptions import ConvergenceWarning

    assert issubclass(lapwing.ConvergenceWarning, ConvergenceWarning)
    assert issubclass(lapwing.InfeasibleError, ValueError)
    assert issubclass(lapwing.CudaError, (lapwing.LapwingError, RuntimeError))
    assert pickle.loads(pickle.dumps(lapwing.ConvergenceWarning("x"))).args == ("x",)
    program = """
import sys, json
sys.modules["sklearn"] = None  # as if it were not installed
import lapwing
print(json.dumps([c.__name__ for c in lapwing.ConvergenceWarning.__mro__[:2]]))
"""
    assert run(program) == ["ConvergenceWarning", "UserWarning"]


def test_optional_packages():
    assert _optional.need("json", extra="x", purpose="y") is json
    with pytest.raises(ImportError, match=r'the plot needs nosuchpackage: pip install "lapwing\[plot\]"'):
        _optional.need("nosuchpackage.sub", extra="plot", purpose="the plot")


# -- configuration ---------------------------------------------------------------------------------


def test_show_config(capsys):
    lapwing.show_config()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["lapwing"] == lapwing.__version__
    assert lines["simd"].startswith(lapwing.get_isa())
    assert lines["threads"] == str(_threads.effective())
    assert set(lines) == {"lapwing", "simd", "threads", "cuda", "compiler", "eigen", "extension"}


def test_paths():
    include = Path(lapwing.get_include())
    assert (include / "lapwing" / "lapwing.hpp").is_file()
    cmake = Path(lapwing.get_cmake_dir())
    assert (cmake / "lapwing-config.cmake").is_file()


def test_isa():
    best = lapwing.get_isa()
    lowest = "neon" if best == "neon" else "baseline"
    try:
        lapwing.set_isa(lowest)
        assert lapwing.get_isa() == lowest
        plain = ot.solve(C, reg=2.0, tol=1e-12).plan
    finally:
        lapwing.set_isa(None)
    assert lapwing.get_isa() == best
    np.testing.assert_allclose(ot.solve(C, reg=2.0, tol=1e-12).plan, plain, rtol=1e-11)
    with pytest.raises(ValueError, match=r"name must be .*'sse9'"):
        lapwing.set_isa("sse9")
    assert run("import json, lapwing; print(json.dumps(lapwing.get_isa()))", LAPWING_ISA=best) == best


# -- threads ---------------------------------------------------------------------------------------


def test_n_jobs():
    assert _threads.resolve(None) == _threads.resolve(-1) == 0
    assert [_threads.resolve(k) for k in (1, 2, np.int64(5), 300)] == [1, 2, 5, 300]
    for bad in (0, -2, -100, 2**20):
        with pytest.raises(ValueError, match="n_jobs must be None, -1 or a positive number of threads"):
            _threads.resolve(bad)
    for bad in (1.5, "2", True, [1]):
        with pytest.raises(TypeError, match="n_jobs must be None or an integer"):
            _threads.resolve(bad)


EFFECTIVE = (
    "import json; from lapwing._threads import effective; print(json.dumps([effective(), effective(3)]))"
)


def test_threads_follow_the_environment():
    assert run(EFFECTIVE, OMP_NUM_THREADS="1") == [1, 3]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= run(EFFECTIVE)[0] <= cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processor affinity is a Linux matter")
def test_threads_follow_the_affinity():
    first = min(os.sched_getaffinity(0))
    assert run(f"import os; os.sched_setaffinity(0, [{first}])\n{EFFECTIVE}") == [1, 3]


@pytest.mark.parametrize(("first", "second"), [("lapwing", "threadpoolctl"), ("threadpoolctl", "lapwing")])
def test_threadpoolctl(first, second):
    """Limits act whichever of the two is imported first, and only while they last."""
    program = f"""
import json
import {first}
import {second}
from lapwing import _threads
seen = [_threads.effective()]
with threadpoolctl.threadpool_limits(1):
    seen.append(_threads.effective())
    seen.append(_threads.effective(2))
seen.append(_threads.effective())
info = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "lapwing"]
print(json.dumps([seen, len(info), info[0]["num_threads"], info[0]["version"]]))
"""
    seen, count, threads, version = run(program, OMP_NUM_THREADS="2")
    assert seen == [2, 1, 2, 2]
    assert (count, threads, version) == (1, 2, lapwing.__version__)


# -- arrays ----------------------------------------------------------------------------------------


def test_torch_in_torch_out():
    torch = pytest.importorskip("torch")
    expected = ot.solve_sample(X, Y, reg=10.0)
    for dtype in (torch.float64, torch.float32):
        result = ot.solve_sample(torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype), reg=10.0)
        f, g = result.potentials
        outputs = [f, g, *result.weights, result.plan, result.marginal_a, result.barycentric_projection()]
        outputs += [result.extend_f(torch.tensor(X, dtype=dtype)), result.apply(torch.ones(4, dtype=dtype))]
        for out in outputs:
            assert isinstance(out, torch.Tensor)
            assert out.dtype == dtype
        assert result.argmax().dtype == torch.int64
        np.testing.assert_allclose(result.plan.numpy(), expected.plan, rtol=1e-3)
        U, s, _, _ = result.singular_triplets(2)
        assert isinstance(U, torch.Tensor)
        assert s.dtype == torch.float64
    values, index = ot.c_transform(torch.tensor(C), None, torch.zeros(4))
    assert isinstance(values, torch.Tensor)
    assert isinstance(index, torch.Tensor)
    assert isinstance(ot.solve(torch.arange(12).reshape(3, 4), reg=1.0).plan, torch.Tensor)  # integers
    half = torch.tensor(C, dtype=torch.bfloat16)
    assert ot.solve(half, reg=1.0).potentials[0].dtype == torch.float64
    turned = torch.tensor(C.T.copy()).T  # Fortran order
    np.testing.assert_allclose(ot.solve(turned, reg=1.0).plan.numpy(), ot.solve(C, reg=1.0).plan, atol=1e-6)


def test_torch_memory_is_shared():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    assert np.shares_memory(_array.real(x, "x"), x.numpy())
    y = np.zeros(3)
    assert np.shares_memory(_array.wrap(y, "torch").numpy(), y)


def test_torch_tensors_that_are_refused():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    with pytest.raises(TypeError, match=r"X requires grad, .*pass X.detach\(\)"):
        ot.c_transform(x, Y, np.zeros(len(Y)))
    with pytest.raises(TypeError, match=r"mass requires grad, .*pass mass.detach\(\)"):
        ot.solve(C, reg=1.0, mass=torch.tensor(0.5, requires_grad=True))
    with torch.no_grad():
        assert not isinstance(ot.solve_sample(x, Y, reg=10.0).value, torch.Tensor)
    assert ot.solve_sample(x.detach(), Y, reg=10.0).converged
    with pytest.raises(TypeError, match="C is complex"):
        ot.solve(torch.tensor(C + 0j), reg=1.0)
    with pytest.raises(TypeError, match="C is a sparse tensor"):
        ot.solve(torch.tensor(C).to_sparse(), reg=1.0)
    with pytest.raises(ImportError, match="C lives on a GPU"):
        ot.solve(torch.empty(3, 4, device="meta"), reg=1.0)


def test_arrays_on_a_gpu():
    class OnGPU:
        """As much of a CuPy array as is looked at."""

        @property
        def __cuda_array_interface__(self):
            return {"shape": (3, 4), "typestr": "<f8", "data": (0, False), "version": 3}

    for call in (lambda: ot.solve(OnGPU(), reg=1.0), lambda: ot.solve_sample(X, OnGPU(), reg=1.0)):
        with pytest.raises(
            ImportError, match="lives on a GPU, and the CUDA plug-in of lapwing is not installed"
        ):
            call()


def test_arrays_of_other_packages():
    class Lazy:
        """Anything with __array__, as pandas and JAX have it."""

        def __array__(self, dtype=None, copy=None):
            return C.astype(dtype or C.dtype)

    expected = ot.solve(C, reg=1.0).plan
    np.testing.assert_array_equal(ot.solve(Lazy(), reg=1.0).plan, expected)


def test_memory_maps(tmp_path):
    np.save(tmp_path / "c.npy", C)
    mapped = np.load(tmp_path / "c.npy", mmap_mode="r")
    result = ot.solve(mapped, reg=1.0)
    assert type(result.plan) is np.ndarray
    np.testing.assert_array_equal(result.plan, ot.solve(C, reg=1.0).plan)


def test_good_arrays_are_not_copied():
    for dtype in (np.float32, np.float64):
        x = np.zeros((4, 3), dtype)
        assert np.shares_memory(_array.contiguous(_array.real(x, "x")), x)
        assert np.shares_memory(_validate.check_points(x, "x"), x)
    fortran = np.asfortranarray(np.random.default_rng(0).random((6, 5)))
    result = ot.solve(fortran, reg=1.0)
    assert np.shares_memory(result._geometry.x, fortran)


def test_seeds():
    assert _validate.check_seed(7) == 7
    assert _validate.check_seed(np.int64(7)) == 7
    first, second = (_validate.check_seed(np.random.default_rng(0)) for _ in range(2))
    assert first == second
    assert 0 <= _validate.check_seed(np.random.RandomState(0)) < 2**63
    assert _validate.check_seed(None) != _validate.check_seed(None)


# -- progress --------------------------------------------------------------------------------------


def test_nobody_listens():
    assert _progress.Progress(None).hook is None
    assert _progress.Progress(None, verbose=1).hook is not None


def test_progress_bar(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with _progress.Progress(None, verbose=1, unit=" sweeps", delay=0.0) as progress:
        for k in range(3):
            assert progress.hook("sinkhorn", k + 1, 10.0**-k) is False
        assert progress.hook("another", 1, 1.0) is False  # a second stage starts to count again
    assert "sinkhorn" in stream.getvalue()
    assert "sweeps" in stream.getvalue()
    with _progress.Progress(None, verbose=1) as progress:  # a short run shows nothing
        before = stream.getvalue()
        progress.hook("sinkhorn", 1, 1.0)
    assert stream.getvalue() == before


def test_callback_protocol():
    seen = []
    with _progress.Progress(seen.append, reg=0.5) as progress:
        assert progress.hook("stage", 3, 0.25) is False
    (info,) = seen
    assert (info.stage, info.iteration, info.error, info.reg) == ("stage", 3, 0.25, 0.5)
    assert info.elapsed >= 0
    for answer, stop in (
        (True, True),
        (np.True_, True),
        (False, False),
        (None, False),
        (1, False),
        ("yes", False),
    ):
        hook = _progress.Progress(lambda info, answer=answer: answer).hook
        assert hook("stage", 1, 1.0) is stop


def test_no_warnings_on_a_good_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ot.solve_sample(X, Y, reg=1.0, verbose=1)
        _ = result.plan, result.value_linear, result.operator @ np.ones(4), result.singular_triplets(1)
    assert result.converged


# -- warnings --------------------------------------------------------------------------------------

COSTS = np.random.default_rng(0).random((20, 20))
SHORT = {"reg": 1e-3, "max_iter": 1, "schedule": None}


def _tensors(*arrays, grad):
    torch = pytest.importorskip("torch")
    return [torch.tensor(x, requires_grad=grad) for x in arrays]


def _estimator(x):
    return lapwing.EOTEigenmaps(n_components=2, max_iter=1).fit(x, x[::-1] + 1)


WARNING = {
    "arrays": lambda: ot.solve(COSTS, **SHORT),
    "points": lambda: ot.solve_sample(COSTS, 1 - COSTS, **SHORT),
    "tensors": lambda: ot.solve(*_tensors(COSTS, grad=False), **SHORT),
    "gradients": lambda: ot.solve(*_tensors(COSTS, grad=True), **SHORT),
    "batch": lambda: ot.solve_batch(COSTS[None], **SHORT),
    "batch of tensors": lambda: ot.solve_batch(*_tensors(COSTS[None], grad=True), **SHORT),
    "divergence": lambda: ot.sinkhorn_divergence(COSTS, 1 - COSTS, **SHORT),
    "divergence of tensors": lambda: ot.sinkhorn_divergence(*_tensors(COSTS, 1 - COSTS, grad=True), **SHORT),
    "barycentre": lambda: ot.barycenter(COSTS / COSTS.sum(axis=0), COSTS, reg=1e-3, max_iter=1),
    "scaling": lambda: ot.doubly_stochastic(np.exp(-20 * (COSTS + COSTS.T)), max_iter=1),
    "implicit": lambda: ot.solve(COSTS, reg=0.1).vjp(COSTS, max_iter=1),
    "estimator": lambda: _estimator(COSTS),
}


@pytest.mark.parametrize("name", WARNING)
def test_a_warning_points_at_the_line_of_the_caller(name):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        WARNING[name]()
    assert seen
    assert {w.filename for w in seen} == {__file__}
