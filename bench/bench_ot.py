"""Optimal transport: lapwing and its peers on the same problems, at the same marginal error.

Seconds per full iteration; seconds from the arrays to a marginal error, with the peak of memory; sweeps and
seconds of lapwing's own methods; small regularisations; batches; variants; how the cost grows, and a large
problem. ``pytest bench/bench_ot.py`` or ``python -m bench``.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench import graphs, harness, peers, variants
from bench.harness import Record, Records, Settings
from bench.problems import DIMENSIONS, RATIOS, SIZES, Form, Spec
from bench.worker import CappedError, FailedError, Worker


def _mark(n: int, ratio: float, tol: float = 1e-6) -> Any:
    return () if (n, ratio, tol) == (SIZES[0], RATIOS[0], 1e-6) else pytest.mark.full


def _names(form: Form, attribute: str) -> list[str]:
    return [
        name
        for name, peer in peers.PEERS.items()
        if form in peer.forms and getattr(peer, attribute) and peer.everywhere
    ]


# Easier problems first: a solver that ran into the cap is not sent into harder ones.
ITERATION_CELLS = [
    pytest.param(form, n, d, dtype, name, marks=_mark(n, RATIOS[0]))
    for form, dimensions in (("dense", (2,)), ("cloud", DIMENSIONS))
    for d in dimensions
    for dtype in ("float32", "float64")
    for n in SIZES
    for name in _names(form, "iterates")  # type: ignore[arg-type]
    if dtype in peers.PEERS[name].dtypes
]
# At eps = 0.005 median the cost over eps has lost the digits for 1e-6 in float32.
QUESTIONS = (
    ("float32", 1e-6, RATIOS[:1]),
    ("float32", 1e-4, RATIOS[1:]),
    ("float64", 1e-6, RATIOS),
    ("float64", 1e-9, RATIOS),
)
SOLVE_CELLS = [
    pytest.param(form, n, d, ratio, dtype, tol, name, marks=_mark(n, ratio, tol))
    for form in ("dense", "cloud")
    for dtype, tol, ratios in QUESTIONS
    for d in DIMENSIONS
    for ratio in ratios
    for n in SIZES
    for name in _names(form, "solves")  # type: ignore[arg-type]
    if dtype in peers.PEERS[name].dtypes and d <= peers.PEERS[name].dimensions
]


def _run(
    kind: Any, group: str, benchmark: Any, spec: Spec, peer: str, tol: float | None, settings: Settings,
    records: Records,
) -> None:  # fmt: skip
    record = Record.of(group, peer, spec, tol)
    benchmark.group = f"{group}: {spec.form} n={spec.n} d={spec.d} eps={spec.ratio} median {spec.dtype}"
    benchmark.name = peer
    note = harness.measure(kind, benchmark, record, spec, settings, records)
    benchmark.extra_info.update({k: v for k, v in vars(record).items() if isinstance(v, (int, float, str))})
    if note.startswith("failed") and peer == "lapwing":
        pytest.fail(f"lapwing: {note}")
    if note:
        pytest.skip(f"{peer}: {note}, error {record.error}")


@pytest.mark.parametrize(("form", "n", "d", "dtype", "peer"), ITERATION_CELLS)
def test_iteration(
    benchmark: Any, form: Form, n: int, d: int, dtype: str, peer: str, settings: Settings, records: Records
) -> None:
    spec = Spec.make(n, d, RATIOS[0], dtype, form)
    _run(harness.time_iterations, "iteration", benchmark, spec, peer, None, settings, records)


@pytest.mark.parametrize(("form", "n", "d", "ratio", "dtype", "tol", "peer"), SOLVE_CELLS)
def test_solve(
    benchmark: Any, form: Form, n: int, d: int, ratio: float, dtype: str, tol: float, peer: str,
    settings: Settings, records: Records,
) -> None:  # fmt: skip
    spec = Spec.make(n, d, ratio, dtype, form)
    _run(harness.time_to_error, "solve", benchmark, spec, peer, tol, settings, records)


@pytest.mark.full
@pytest.mark.parametrize("peer", ["lapwing", "prototype", "GeomLoss online (KeOps)"])
def test_matrix_free(benchmark: Any, peer: str, settings: Settings, records: Records) -> None:
    """Sizes at which a stored matrix is out of the question for most: time and memory per iteration."""
    spec = Spec.make(20000, 50, RATIOS[0], "float32", "cloud")
    _run(harness.time_iterations, "matrix-free", benchmark, spec, peer, None, settings, records)


OWN = ("lapwing", "lapwing, anderson", "lapwing, plain")


@pytest.mark.parametrize("peer", OWN)
@pytest.mark.parametrize("tol", [1e-6, 1e-9])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("n", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.full)])
def test_sweeps(
    benchmark: Any, n: int, d: int, ratio: float, tol: float, peer: str, settings: Settings, records: Records
) -> None:
    """Lapwing's methods beside one another, and what one sweep costs."""
    spec = Spec.make(n, d, ratio, "float64", "cloud")
    _run(harness.time_to_error, "sweeps", benchmark, spec, peer, tol, settings, records)
    if peer == OWN[0]:
        records[-1].extra["sweep"] = harness.sweep_seconds(spec, settings)
        records.save()


SMALL = [
    pytest.param(form, n, d, name, marks=() if (n, d) == (2000, 2) else pytest.mark.full)
    for form in ("dense", "cloud")
    for d in DIMENSIONS
    for n in (2000, 4000)
    for name in _names(form, "solves")  # type: ignore[arg-type]
    if "float64" in peers.PEERS[name].dtypes and d <= peers.PEERS[name].dimensions
]


@pytest.mark.parametrize(("form", "n", "d", "peer"), SMALL)
def test_small(
    benchmark: Any, form: Form, n: int, d: int, peer: str, settings: Settings, records: Records
) -> None:
    spec = Spec.make(n, d, 1e-4, "float64", form)
    _run(harness.time_to_error, "small", benchmark, spec, peer, 1e-9, settings, records)


@pytest.mark.parametrize("peer", _names("dense", "solves"))
def test_assignment(benchmark: Any, peer: str, settings: Settings, records: Records) -> None:
    spec = Spec.assignment(500, 1 / 1200)
    _run(harness.time_to_error, "small", benchmark, spec, peer, 1e-12, settings, records)


def _held(
    benchmark: Any, record: Record, arguments: tuple[Any, ...], settings: Settings, gate: float | None
) -> bool:
    """Run a prepared function in a worker; whether its error passes the gate."""
    with Worker.function(*arguments, timeout=harness.COMPILE) as worker:
        first = worker.call("again", timeout=settings.cap)
        record.error, record.note = first["error"], "reached"
        if gate is not None and not first["error"] <= gate:
            return False
        record.take(harness.several(benchmark, worker, settings, first))
        record.note = ""
        return True


@pytest.mark.parametrize("solver", variants.BATCHES)
@pytest.mark.parametrize(("count", "size"), [(1000, 64)])
def test_batch(
    benchmark: Any, count: int, size: int, solver: str, settings: Settings, records: Records
) -> None:
    if not graphs.installed(variants.BATCHES[solver][0]):
        pytest.skip("not installed")
    benchmark.group = f"batch: {count} problems {size} x {size}, 20 iterations, float32"
    record = Record("batch", solver, size, count, RATIOS[0], "float32", "dense", iterations=20)
    arguments = ("bench.variants", "prepare_batch", count, size, solver, 20, settings.threads)
    try:
        _held(benchmark, record, arguments, settings, None)
    except (CappedError, FailedError) as error:
        record.note = str(error)
    records.append(record)
    if record.note:
        pytest.skip(record.note)


@pytest.mark.parametrize(
    ("case", "n", "d", "solver"),
    [
        pytest.param(case, n, d, solver, marks=() if n <= 1024 else pytest.mark.full)
        for case, n, d in (
            ("unbalanced", 1000, 2), ("unbalanced", 4000, 2), ("partial", 1000, 2), ("barycentre", 1024, 2),
            ("divergence", 1000, 3), ("divergence", 4000, 3),
        )
        for solver in variants.CASES[case].solvers
    ],
)  # fmt: skip
def test_variant(
    benchmark: Any, case: str, n: int, d: int, solver: str, settings: Settings, records: Records
) -> None:
    if not variants.available(case, solver):
        pytest.skip("not installed")
    chosen = variants.CASES[case]
    benchmark.group = f"{chosen.title}: n = {n}, d = {d}"
    record = Record("variants", solver, n, d, 0.0, "float64", case, chosen.gate)
    for setting in chosen.solvers[solver].ladder:
        record.extra["setting"] = setting
        arguments = ("bench.variants", "prepare_variant", case, n, d, solver, setting, settings.threads)
        try:
            if _held(benchmark, record, arguments, settings, chosen.gate):
                break
        except (CappedError, FailedError) as error:
            record.note = str(error)
            break
    records.append(record)
    if record.note:
        pytest.skip(f"{record.note}, error {record.error}")


@pytest.mark.parametrize("d", [2])
@pytest.mark.parametrize("n", [2000, 5000, 10_000, pytest.param(20_000, marks=pytest.mark.full),
                               pytest.param(50_000, marks=pytest.mark.full)])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cost(benchmark: Any, dtype: str, n: int, d: int, settings: Settings, records: Records) -> None:
    """How the time grows with the number of points."""
    spec = Spec.make(n, d, RATIOS[0], dtype, "cloud")
    tol = 1e-5 if dtype == "float32" else 1e-6
    _run(harness.time_to_error, "cost", benchmark, spec, "lapwing", tol, settings, records)


@pytest.mark.large
def test_large(benchmark: Any, settings: Settings, records: Records) -> None:
    spec = Spec.make(200_000, 3, 0.01, "float32", "cloud")
    longer = Settings(settings.threads, 1200.0, 1)
    _run(harness.time_to_error, "large", benchmark, spec, "lapwing", 1e-3, longer, records)
