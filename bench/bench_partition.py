"""Balanced cuts and Fiedler vectors beside other programs: cut and time over seeds."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from bench import partitions
from bench.graphs import installed
from bench.harness import Record, Records, Settings
from bench.worker import CappedError, FailedError, Worker

BUILD = 1800.0  # seconds that making a graph may take; not part of any time
LARGE = ("grid 1000 x 1000", "Delaunay, 1 000 000")
MANY = ("4elt", "delaunay_n15", "rgg_n_2_15", "geometric, 30 000", "Delaunay, 100 000")
ROWS = [
    *(pytest.param(g, 2, marks=pytest.mark.full if g in LARGE else ()) for g in partitions.GRAPHS),
    *(pytest.param(g, k) for k in (8, 64) for g in MANY),
    pytest.param("preferential, 50 000", 16, marks=pytest.mark.full),
]


def needs_file(graph: str) -> None:
    if graph in partitions.FILES and partitions.folder() is None:
        pytest.skip("LAPWING_BENCH_GRAPHS names no folder of graphs")


@pytest.mark.parametrize("partitioner", partitions.PARTITIONERS)
@pytest.mark.parametrize(("graph", "k"), ROWS)
def test_partition(
    benchmark: Any, graph: str, k: int, partitioner: str, settings: Settings, records: Records
) -> None:
    needs_file(graph)
    needs, seeds, most_parts, most_nodes, _ = partitions.PARTITIONERS[partitioner]
    if not installed(needs):
        pytest.skip("not installed")
    if k > most_parts or partitions.SIZES[graph] > most_nodes:
        pytest.skip("not for so many parts or nodes")
    benchmark.group = f"{k} parts: {graph}"
    record = Record("partition", partitioner, 0, k, 0.0, "float64", graph, partitions.IMBALANCE)
    records.append(record)
    arguments = (
        "bench.partitions", "prepare_partition", graph, k, partitioner, seeds, settings.cap / 2,
        settings.threads,
    )  # fmt: skip
    try:
        with Worker.function(*arguments, timeout=BUILD) as worker:
            found = worker.call("again", timeout=2 * settings.cap)
    except (CappedError, FailedError) as error:
        record.note = str(error)
    else:
        record.n = found["nodes"]
        record.seconds, record.rounds = statistics.median(found["times"]), len(found["times"])
        record.memory = found["memory"]
        record.extra = {name: found[name] for name in ("cuts", "imbalance", "edges")}
    benchmark.pedantic(lambda: None, rounds=1)
    records.save()


@pytest.mark.parametrize("method", partitions.FIEDLER)
@pytest.mark.parametrize("graph", ["Delaunay, 30 000", "Delaunay, 100 000"])
def test_fiedler(benchmark: Any, graph: str, method: str, settings: Settings, records: Records) -> None:
    needs, _ = partitions.FIEDLER[method]
    if not installed(needs):
        pytest.skip("not installed")
    benchmark.group = f"Fiedler vector: {graph}"
    record = Record("fiedler", method, 0, 0, 0.0, "float64", graph)
    records.append(record)
    rounds = settings.rounds if method == "lapwing" else 1
    try:
        arguments = ("bench.partitions", "prepare_fiedler", graph, method, settings.threads)
        with Worker.function(*arguments, timeout=BUILD) as worker:
            runs = [worker.call("again", timeout=settings.cap) for _ in range(rounds)]
    except (CappedError, FailedError) as error:
        record.note = str(error)
    else:
        record.n = runs[0]["nodes"]
        record.take(runs)
        record.error = runs[0]["angle"]
    benchmark.pedantic(lambda: None, rounds=1)
    records.save()
