"""Wavelet transforms, pyramids, integer lifting and stationary transforms beside other packages."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bench import pyramids, transforms
from bench.graphs import installed
from bench.harness import Record, Records, Settings
from bench.worker import CappedError, FailedError, Worker


def by_turns(
    benchmark: Any, jobs: dict[str, tuple[Record, tuple[Any, ...]]], settings: Settings, records: Records,
    accuracy: float,
) -> None:  # fmt: skip
    """All of them in every round, so that what the machine does besides hits all of them."""
    found = []
    with contextlib.ExitStack() as stack:
        for record, arguments in jobs.values():
            records.append(record)
            try:
                found.append((stack.enter_context(Worker.function(*arguments)), record, []))
            except (CappedError, FailedError) as error:
                record.note = str(error)

        def once() -> None:
            for worker, _, runs in found:
                runs.append(worker.call("again", timeout=settings.cap))

        benchmark.pedantic(once, rounds=settings.rounds)
    for _, record, runs in found:
        record.take(runs)
        record.error = runs[0]["error"]
        assert record.error is None or record.error <= accuracy, f"{record.peer} is off by {record.error}"
    records.save()


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4", "db4"])
@pytest.mark.parametrize("image", transforms.IMAGES)
@pytest.mark.parametrize("threads", [1, 2])
def test_transform(
    benchmark: Any, image: str, wavelet: str, direction: str, threads: int, settings: Settings,
    records: Records,
) -> None:  # fmt: skip
    shape, levels = transforms.IMAGES[image]
    benchmark.group = f"{image} {wavelet} {direction}, {threads} threads"
    jobs = {
        peer: (
            Record(
                "transform", peer, shape[-1], levels, threads, "float32", f"{image}, {wavelet}, {direction}"
            ),
            ("bench.transforms", "prepare_transform", image, wavelet, direction, peer, threads),
        )
        for peer, (needs, _) in transforms.TRANSFORMS.items()
        if installed(needs)
    }
    by_turns(benchmark, jobs, settings, records, 5e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("what", ["gaussian", "laplacian", "up", "reconstruct"])
def test_pyramid(
    benchmark: Any, what: str, dtype: str, threads: int, settings: Settings, records: Records
) -> None:
    benchmark.group = f"{what} pyramid, {dtype}, {threads} threads"
    jobs = {
        peer: (
            Record("pyramid", peer, 4096, pyramids.LEVELS, threads, dtype, what),
            ("bench.pyramids", "prepare_pyramid", 4096, dtype, what, peer, threads),
        )
        for peer in (*pyramids.PYRAMIDS, *(pyramids.REUSED if what in ("laplacian", "reconstruct") else ()))
        if installed(pyramids.PYRAMIDS[peer.split(",")[0]][0])
    }
    by_turns(benchmark, jobs, settings, records, 0.0 if dtype == "uint8" else 2e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_lifting(benchmark: Any, direction: str, threads: int, settings: Settings, records: Records) -> None:
    benchmark.group = f"5/3 {direction}, {threads} threads"
    jobs = {
        kind: (
            Record("lifting", kind, 4096, pyramids.LEVELS, threads, dtype, direction),
            ("bench.pyramids", "prepare_lifting", 4096, kind, direction, threads),
        )
        for kind, (dtype, _) in pyramids.LIFTED.items()
    }
    by_turns(benchmark, jobs, settings, records, 2e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("wavelet", ["haar", "db4"])
def test_stationary(
    benchmark: Any, wavelet: str, direction: str, threads: int, settings: Settings, records: Records
) -> None:
    if not installed(("pywt",)):
        pytest.skip("PyWavelets is not installed")
    benchmark.group = f"stationary {wavelet} {direction}, {threads} threads"
    jobs = {
        peer: (
            Record("stationary", peer, 1024, 3, threads, "float32", f"{wavelet}, {direction}"),
            ("bench.pyramids", "prepare_stationary", 1024, wavelet, direction, peer, threads),
        )
        for peer in ("lapwing", "PyWavelets")
    }
    by_turns(benchmark, jobs, settings, records, 2e-6)
