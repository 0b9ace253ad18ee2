"""Eigenpairs of graph Laplacians beside other solvers, and how the cost grows; exact nearest neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from bench import graphs
from bench.harness import Record, Records, Settings, several
from bench.worker import CappedError, FailedError, Worker

ACCURACY = 1e-8  # residual over the norm of the Laplacian
ROWS = [
    pytest.param("grid", 90_000),
    pytest.param("neighbours, swiss roll", 100_000),
    pytest.param("neighbours, mixture in 20-D", 100_000),
    pytest.param("torus, 3-D", 125_000),
    pytest.param("grid", 1_000_000, marks=pytest.mark.full),
    pytest.param("torus, 3-D", 1_000_000, marks=pytest.mark.full),
    pytest.param("random geometric, 2-D", 1_000_000, marks=pytest.mark.full),
]
BUILD = 1800.0  # seconds that building a graph may take; not part of any time


@pytest.mark.parametrize("solver", graphs.EIGENSOLVERS)
@pytest.mark.parametrize(("graph", "n"), ROWS)
def test_eigenpairs(
    benchmark: Any, graph: str, n: int, solver: str, settings: Settings, records: Records
) -> None:
    if not graphs.installed(graphs.EIGENSOLVERS[solver][0]):
        pytest.skip("not installed")
    benchmark.group = f"{graphs.K} eigenpairs: {graph}, {n} nodes"
    record = Record("eigenpairs", solver, n, 0, 0.0, "float64", graph, ACCURACY)
    records.append(record)
    easier = [
        r for r in records if r.group == record.group and r.peer == solver and r.form == graph and r.n < n
    ]
    if any(r.note.startswith(">") for r in easier):
        record.note = f"> {settings.cap:g} s"
        pytest.skip("ran into the cap on a smaller graph")
    for tol in graphs.TOLERANCES:
        arguments = ("bench.graphs", "prepare_eigenpairs", graph, n, solver, tol, settings.threads)
        try:
            with Worker.function(*arguments, timeout=BUILD) as worker:
                first = worker.call("again", timeout=settings.cap)
                record.error, record.note = first["residual"], "reached"
                if first["residual"] > ACCURACY:
                    continue
                runs = several(benchmark, worker, settings, first)
        except (CappedError, FailedError) as error:
            record.note = str(error)
            benchmark.pedantic(lambda: None, rounds=1)
            break
        record.note = ""
        record.take(runs)
        record.extra = {k: first[k] for k in ("values", "how", "edges")}
        break
    records.save()


@pytest.mark.parametrize("solver", graphs.EIGENSOLVERS)
@pytest.mark.parametrize(
    ("graph", "n"),
    [("hypercube", 4096), ("torus, 3-D", 13_824), ("torus, 2-D", 14_400), ("cycle", 3000),
     ("complete bipartite", 1000)],
)  # fmt: skip
def test_copies(
    benchmark: Any, graph: str, n: int, solver: str, settings: Settings, records: Records
) -> None:
    """Which of them find every copy of a repeated eigenvalue."""
    if not graphs.installed(graphs.EIGENSOLVERS[solver][0]):
        pytest.skip("not installed")
    benchmark.group = f"copies: {graph}, {n} nodes"
    record = Record("copies", solver, n, 0, 0.0, "float64", graph, ACCURACY)
    records.append(record)
    arguments = ("bench.graphs", "prepare_eigenpairs", graph, n, solver, ACCURACY, settings.threads)
    try:
        with Worker.function(*arguments, timeout=BUILD) as worker:
            found = worker.call("again", timeout=settings.cap)
    except (CappedError, FailedError) as error:
        record.note = str(error)
    else:
        record.seconds, record.rounds, record.error = found["seconds"], 1, found["residual"]
        record.extra = {"wrong": graphs.wrong(graph, n, found["values"])}
    benchmark.pedantic(lambda: None, rounds=1)
    records.save()


@pytest.mark.parametrize("method", graphs.EMBEDDINGS)
@pytest.mark.parametrize(
    ("n", "d"), [pytest.param(20_000, 50), pytest.param(100_000, 50, marks=pytest.mark.full)]
)
def test_embedding(benchmark: Any, n: int, d: int, method: str, settings: Settings, records: Records) -> None:
    if not graphs.installed(graphs.EMBEDDINGS[method][0]):
        pytest.skip("not installed")
    benchmark.group = f"SpectralEmbedding: {n} x {d}"
    record = Record("embedding", method, n, d, 0.0, "float64", "SpectralEmbedding")
    records.append(record)
    try:
        arguments = ("bench.graphs", "prepare_embedding", n, d, method, settings.threads)
        with Worker.function(*arguments, timeout=BUILD) as worker:
            first = worker.call("again", timeout=4 * settings.cap)
            runs = several(benchmark, worker, settings, first)
    except (CappedError, FailedError) as error:
        record.note = str(error)
        benchmark.pedantic(lambda: None, rounds=1)
    else:
        record.take(runs)
        record.error = first["residual"]
    records.save()


@pytest.mark.full
@pytest.mark.parametrize("graph", ["grid", "neighbours, swiss roll"])
@pytest.mark.parametrize("n", [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000])
def test_growth(benchmark: Any, graph: str, n: int, settings: Settings, records: Records) -> None:
    benchmark.group = f"growth: {graph}"
    record = Record("growth", "lapwing", n, 0, 0.0, "float64", graph, ACCURACY)
    arguments = ("bench.graphs", "prepare_eigenpairs", graph, n, "lapwing", ACCURACY, settings.threads)
    with Worker.function(*arguments, timeout=BUILD) as worker:
        first = worker.call("again", timeout=BUILD)
        runs = several(benchmark, worker, settings, first)
    record.take(runs)
    record.error = first["residual"]
    record.extra = {k: first[k] for k in ("how", "edges")}
    records.append(record)


@pytest.mark.parametrize("search", graphs.SEARCHES)
@pytest.mark.parametrize(
    ("n", "d", "dtype"),
    [
        pytest.param(20_000, 50, "float32"),
        pytest.param(100_000, 3, "float64"),
        pytest.param(100_000, 50, "float32", marks=pytest.mark.full),
    ],
)
def test_neighbors(
    benchmark: Any, n: int, d: int, dtype: str, search: str, settings: Settings, records: Records
) -> None:
    needs, most, _ = graphs.SEARCHES[search]
    if d > most or not graphs.installed(needs):
        pytest.skip("not installed, or not for this dimension")
    benchmark.group = f"{graphs.NEIGHBORS} nearest neighbours: {n} x {d}, {dtype}"
    record = Record("neighbours", search, n, d, 0.0, dtype, "exact")
    records.append(record)
    try:
        arguments = ("bench.graphs", "prepare_neighbors", n, d, dtype, search, settings.threads)
        with Worker.function(*arguments, timeout=BUILD) as worker:
            first = worker.call("again", timeout=settings.cap)
            runs = several(benchmark, worker, settings, first)
    except (CappedError, FailedError) as error:
        record.note = str(error)
        benchmark.pedantic(lambda: None, rounds=1)
    else:
        record.take(runs)
        record.error = 1 - first["recall"]
    records.save()
