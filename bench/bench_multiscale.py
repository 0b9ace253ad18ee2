"""Wavelet transforms beside other packages."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bench import transforms
from bench.graphs import installed
from bench.harness import Record, Records, Settings
from bench.worker import CappedError, FailedError, Worker

ACCURACY = 5e-6  # of float32 beside float64, relative to the largest coefficient


@pytest.mark.parametrize("direction", ["forward", "inverse"])
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4", "db4"])
@pytest.mark.parametrize("image", transforms.IMAGES)
@pytest.mark.parametrize("threads", [1, 2])
def test_transform(
    benchmark: Any,
    image: str,
    wavelet: str,
    direction: str,
    threads: int,
    settings: Settings,
    records: Records,
) -> None:
    """All packages by turns, so that what the machine does besides hits all of them."""
    shape, levels = transforms.IMAGES[image]
    benchmark.group = f"{image} {wavelet} {direction}, {threads} threads"
    found = {}
    with contextlib.ExitStack() as stack:
        for peer, (needs, _) in transforms.TRANSFORMS.items():
            if not installed(needs):
                continue
            record = Record(
                "transform", peer, shape[-1], levels, threads, "float32", f"{image}, {wavelet}, {direction}"
            )
            records.append(record)
            arguments = ("bench.transforms", "prepare_transform", image, wavelet, direction, peer, threads)
            try:
                found[peer] = stack.enter_context(Worker.function(*arguments)), record, []
            except (CappedError, FailedError) as error:
                record.note = str(error)

        def once() -> None:
            for worker, _, runs in found.values():
                runs.append(worker.call("again", timeout=settings.cap))

        benchmark.pedantic(once, rounds=settings.rounds)
    for _, record, runs in found.values():
        record.take(runs)
        record.error = runs[0]["error"]
        assert record.error is None or record.error < ACCURACY, f"{record.peer} is off by {record.error}"
    records.save()
