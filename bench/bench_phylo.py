"""Trees from alignments: splits that are wrong, beside what was published and other programs, and times."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from bench import trees
from bench.harness import Record, Records, Settings, several
from bench.worker import CappedError, FailedError, Worker

FAST = ("STDR + NJ", "NJ", "STDR + NJ, tn93", "NJ, tn93", "STDR + SNJ", "SNJ")
FIRST_SEED = 100
BUILD = 1800.0  # seconds that making a problem may take; not part of any time


@pytest.mark.parametrize("method", [*FAST, "STDR + IQ-TREE -fast"])
@pytest.mark.parametrize(("model", "m", "n", "tau"), trees.PAPER)
def test_recovery(
    benchmark: Any, model: str, m: int, n: int, tau: int, method: str, settings: Settings, records: Records
) -> None:
    """The tables of the paper: five data sets a row, one thread."""
    key, needs, _ = trees.METHODS[method]
    if not trees.installed(needs):
        pytest.skip("not installed")
    if key not in trees.PAPER[model, m, n, tau] and model == "balanced":
        pytest.skip("does not depend on the largest part")
    benchmark.group = f"recovery: {model}, {m} leaves, {n} sites, parts of {tau}"
    record = Record("recovery", method, m, n, float(tau), "float64", model)
    seeds = list(range(FIRST_SEED, FIRST_SEED + trees.REPLICATES))
    with Worker.function("bench.trees", "prepare_recovery", model, m, n, tau, method, seeds, 1) as worker:
        benchmark.pedantic(lambda: record.extra.update(worker.call("again", timeout=BUILD)), rounds=1)
    record.seconds, record.rounds = record.extra.pop("seconds"), len(seeds)
    record.error = statistics.fmean(record.extra["wrong"])
    record.extra["paper"] = trees.PAPER[model, m, n, tau].get(key)
    records.append(record)


@pytest.mark.parametrize(
    "method",
    ["NJ", "STDR(64) + NJ", "SNJ", "FastTree", "IQ-TREE -fast", "STDR(128) + FastTree",
     "STDR(128) + IQ-TREE -fast"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("model", "m", "n"),
    [
        ("coalescent", 512, 2000),
        ("birth-death", 512, 1000),
        ("caterpillar", 512, 800),
        pytest.param("coalescent", 2048, 2000, marks=pytest.mark.full),
        pytest.param("birth-death", 2048, 1000, marks=pytest.mark.full),
        pytest.param("caterpillar", 2048, 800, marks=pytest.mark.full),
        pytest.param("coalescent", 2000, 8000, marks=pytest.mark.full),
    ],
)
def test_programs(
    benchmark: Any, model: str, m: int, n: int, method: str, settings: Settings, records: Records
) -> None:
    """Beside maximum likelihood programs: one data set a row, one thread, from the array to Newick."""
    if not trees.installed(trees.METHODS[method][1]):
        pytest.skip("not installed")
    benchmark.group = f"programs: {model}, {m} leaves, {n} sites"
    record = Record("programs", method, m, n, 0.0, "float64", model)
    records.append(record)
    arguments = ("bench.trees", "prepare_recovery", model, m, n, 64, method, [1000 + m], 1)
    try:
        with Worker.function(*arguments, timeout=BUILD) as worker:
            first = worker.call("again", timeout=20 * settings.cap)
            runs = several(benchmark, worker, settings, first)
    except (CappedError, FailedError) as error:
        record.note = str(error)
        benchmark.pedantic(lambda: None, rounds=1)
    else:
        record.take(runs)
        record.error = first["wrong"][0]
        record.extra["wall"] = statistics.median(run["wall"] for run in runs)
    records.save()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", trees.JOINERS)
@pytest.mark.parametrize(
    ("model", "m"),
    [("coalescent", 2000), ("birth-death", 2000), pytest.param("coalescent", 10_000, marks=pytest.mark.full),
     pytest.param("birth-death", 10_000, marks=pytest.mark.full)],
)  # fmt: skip
def test_joining(
    benchmark: Any, model: str, m: int, method: str, threads: int, settings: Settings, records: Records
) -> None:
    """Neighbour joining alone; after compilation."""
    needs, dtype, _ = trees.JOINERS[method]
    if not trees.installed(needs):
        pytest.skip("not installed")
    benchmark.group = f"joining: {model}, {m} leaves, {threads} threads"
    record = Record("joining", method, m, threads, 0.0, dtype, model)
    with Worker.function("bench.trees", "prepare_join", model, m, method, threads, timeout=BUILD) as worker:
        first = worker.call("again", timeout=settings.cap)
        runs = several(benchmark, worker, settings, first)
    record.take(runs)
    record.extra["matrix"] = first["matrix"]
    records.append(record)


@pytest.mark.full
@pytest.mark.parametrize("method", ["STDR()", "STDR(), all pairs", "STDR(), all pairs in float32", "SNJ"])
@pytest.mark.parametrize("m", [2000, 5000, 20_000])
def test_scale(benchmark: Any, m: int, method: str, settings: Settings, records: Records) -> None:
    """From the array to the Newick text, all threads; wall time."""
    if (method == "SNJ" and m > 5000) or (method == "STDR(), all pairs" and m > 10_000):
        pytest.skip("needs more memory than there may be")
    benchmark.group = f"scale: {m} leaves"
    record = Record("scale", method, m, 1000, 0.0, "float64", "birth-death")
    arguments = ("bench.trees", "prepare_recovery", "birth-death", m, 1000, 64, method, [1], settings.threads)
    with Worker.function(*arguments, timeout=BUILD) as worker:
        found = {}
        benchmark.pedantic(lambda: found.update(worker.call("again", timeout=BUILD)), rounds=1)
    record.seconds, record.rounds, record.error = found["wall"], 1, found["wrong"][0]
    record.memory = found["memory"]
    records.append(record)
