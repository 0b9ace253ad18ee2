"""One measurement: a solver, a problem, a question. What comes out is a `Record`."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import peers
from bench.problems import Spec
from bench.worker import CappedError, FailedError, Worker

# Of the tolerance. Potentials returned in float32 are rounded, however exact the solution was.
SLACK = {"float32": 1.5, "float64": 1.05}
COMPILE = 600.0  # seconds that loading or compiling may take; not part of any time
ROUND_SECONDS = 0.5  # a round of iterations lasts about this long


@dataclass(frozen=True)
class Settings:
    threads: int = 2
    cap: float = 60.0  # seconds for one solve
    rounds: int = 5


@dataclass
class Record:
    """One cell of a table. `seconds` is the median, of a full iteration or of a solve, or None."""

    group: str
    peer: str
    n: int
    d: int
    ratio: float
    dtype: str
    form: str
    tol: float | None = None
    seconds: float | None = None
    rounds: int = 0
    iterations: int | None = None
    error: float | None = None
    memory: int | None = None
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, group: str, peer: str, spec: Spec, tol: float | None = None) -> Record:
        return cls(group, peer, spec.n, spec.d, spec.ratio, spec.dtype, spec.form, tol)

    def take(self, runs: list[dict[str, Any]]) -> None:
        """The median time and the largest peak of several runs."""
        self.seconds, self.rounds = statistics.median(run["seconds"] for run in runs), len(runs)
        self.memory = max(run["memory"] for run in runs)


class Records(list[Record]):
    """All records of a run, kept in a file as they come: a run of an hour may be cut short."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self.path = path

    def append(self, record: Record) -> None:
        super().append(record)
        self.save()

    def save(self) -> None:
        if self.path is not None:
            self.path.write_text(json.dumps([dataclasses.asdict(r) for r in self], indent=1))

    def hopeless(self, new: Record) -> Record | None:
        """A record of the same solver that ran into the cap on a problem no harder than this one."""
        for old in self:
            same = all(getattr(old, k) == getattr(new, k) for k in ("peer", "d", "dtype", "form"))
            easier = old.n <= new.n and old.ratio >= new.ratio and (old.tol or 0) >= (new.tol or 0)
            if same and easier and old.group == new.group and old.note.startswith(">"):
                return old
        return None


def time_iterations(benchmark: Any, record: Record, spec: Spec, settings: Settings) -> None:
    """Seconds per full iteration: the slope between two iteration counts, so that set-up and start cancel."""
    with Worker(record.peer, spec, settings.threads, timeout=COMPILE) as worker:

        def run(k: int) -> tuple[float, int]:
            measured = worker.call("iterate", k, timeout=settings.cap)
            record.memory = max(record.memory or 0, measured["memory"])
            return measured["seconds"], k

        step = peers.PEERS[record.peer].multiple
        few, more = (2, 6) if step == 1 else (step, 2 * step)
        for k in (few, more):
            worker.call("prepare_iterate", k, timeout=COMPILE)
            run(k)  # once for what a first call costs
        one = max((run(more)[0] - run(few)[0]) / (more - few), 1e-6)
        many = few + step * math.ceil(min(max(math.ceil(ROUND_SECONDS / one), more - few), 500) / step)
        worker.call("prepare_iterate", many, timeout=COMPILE)
        run(many)
        # A solver may stop at its rounding floor before `many`: divide by what it did.
        record.error, done = worker.call("error", timeout=COMPILE)
        if done <= few:
            raise FailedError(f"stopped after {done} iterations")
        long: list[float] = []
        short: list[float] = []
        benchmark.pedantic(
            lambda: long.append(run(many)[0]),
            setup=lambda: short.append(run(few)[0]),
            rounds=settings.rounds,
        )
        slopes = [(x - y) / (done - few) for x, y in zip(long, short, strict=True)]
        record.seconds, record.extra["best"] = statistics.median(slopes), min(slopes)
        record.iterations, record.rounds = done, settings.rounds


def time_to_error(benchmark: Any, record: Record, spec: Spec, settings: Settings) -> None:
    """Seconds from the arrays to an answer whose recomputed marginal error is at most `record.tol`."""
    assert record.tol is not None
    peer = peers.PEERS[record.peer]
    with Worker(record.peer, spec, settings.threads, timeout=COMPILE) as worker:
        once = math.inf

        def attempt(argument: float) -> float:
            nonlocal once
            worker.call("prepare", argument, timeout=COMPILE)
            measured = worker.call("solve", argument, timeout=settings.cap)
            record.error, record.iterations = worker.call("error", timeout=COMPILE)
            record.memory = measured["memory"]  # of the last attempt; an earlier one leaves nothing behind
            once = float(measured["seconds"])
            return once

        argument = (
            _search(attempt, record, 4 * settings.cap)
            if peer.searched
            else _tighten(attempt, record, peer.tighten)
        )
        if argument is None:
            record.note = "reached"
            return
        if once > settings.cap / 4:  # that one will do
            benchmark.pedantic(lambda: None, rounds=1)
            record.seconds, record.rounds = once, 1
            return
        once = worker.call("solve", argument, timeout=settings.cap)["seconds"]
        rounds = max(1, min(settings.rounds, int(settings.cap / 4 / max(once, 1e-9))))
        seconds: list[float] = []
        benchmark.pedantic(
            lambda: seconds.append(worker.call("solve", argument, timeout=2 * settings.cap)["seconds"]),
            rounds=rounds,
        )
        record.seconds, record.rounds = statistics.median(seconds), rounds


def sweep_seconds(spec: Spec, settings: Settings) -> float:
    """Seconds of one of lapwing's sweeps over all pairs of the problem: the slope between two counts."""
    with Worker("lapwing", spec, settings.threads, timeout=COMPILE) as worker:

        def run(k: int) -> float:
            return float(worker.call("iterate", k, timeout=settings.cap)["seconds"])

        run(4)
        one = max((run(12) - run(4)) / 8, 1e-5)
        many = 4 + min(max(8, math.ceil(ROUND_SECONDS / one)), 500)
        run(many)
        _, done = worker.call("error", timeout=COMPILE)  # it may stop before, at its rounding floor
        if done <= 4:
            raise FailedError(f"stopped after {done} iterations")
        return statistics.median((run(many) - run(4)) / (done - 4) for _ in range(settings.rounds))


def several(
    benchmark: Any, worker: Worker, settings: Settings, first: dict[str, Any]
) -> list[dict[str, Any]]:
    """More rounds of what took a known time, and the first where there are none."""
    runs: list[dict[str, Any]] = []
    rounds = max(1, min(settings.rounds, int(settings.cap / 2 / max(first["seconds"], 1e-9))))
    if first["seconds"] > settings.cap / 4:
        benchmark.pedantic(lambda: None, rounds=1)  # that one will do
        return [first]
    benchmark.pedantic(lambda: runs.append(worker.call("again", timeout=2 * settings.cap)), rounds=rounds)
    return runs


def _passes(record: Record) -> bool:
    assert record.error is not None
    assert record.tol is not None
    return record.error <= SLACK[record.dtype] * record.tol  # False for NaN


def _tighten(attempt: Any, record: Record, factors: tuple[float, ...]) -> float | None:
    assert record.tol is not None
    for factor in factors:
        attempt(record.tol * factor)
        if _passes(record):
            return record.tol * factor
    return None


def _search(attempt: Any, record: Record, budget: float) -> float | None:
    """The smallest number of iterations (to 5 %, or as near as `budget` seconds get) that passes."""
    low, high = 0, 16
    best = math.inf
    while True:
        budget -= attempt(high)
        if _passes(record):
            break
        assert record.error is not None
        if not record.error < 0.9 * best:  # at its rounding floor, or NaN
            return None
        best, low, high = record.error, high, 2 * high
    while high - low > max(1, high // 20) and budget > 0:
        middle = (low + high) // 2
        budget -= attempt(middle)
        low, high = (low, middle) if _passes(record) else (middle, high)
    attempt(high)
    return float(high)


def measure(
    kind: Any, benchmark: Any, record: Record, spec: Spec, settings: Settings, records: Records
) -> str:
    """Run `kind` and keep its record whatever happens; the reason for there being no time, or ''."""
    easier = records.hopeless(record)
    if easier is not None:
        record.note = easier.note
        record.extra["because"] = f"n={easier.n}, ratio={easier.ratio}, tol={easier.tol}"
    else:
        try:
            kind(benchmark, record, spec, settings)
        except CappedError as error:
            record.note = str(error)
        except FailedError as error:
            record.note = f"failed: {error}"
    records.append(record)
    return record.note
