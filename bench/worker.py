"""The process in which one solver works on one problem: threads pinned before anything is imported.

``Worker`` is the parent's end. Commands go over a pipe; a run that outlives its time cap is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from bench.problems import Spec

ROOT = Path(__file__).resolve().parent.parent


class CappedError(Exception):
    """The time cap ran out."""


class FailedError(Exception):
    """The solver raised, or its process died."""


def pinned_environment(threads: int, cache: str) -> dict[str, str]:
    environment = dict(os.environ)
    for name in ("OMP", "MKL", "RAYON", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS"):
        environment[f"{name}_NUM_THREADS"] = str(threads)
    environment["JAX_PLATFORMS"] = "cpu"
    environment["KEOPS_CACHE_FOLDER"] = cache
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    return environment


class Worker:
    """Parent's end: one solver, one problem, one process."""

    def __init__(self, peer: str, spec: Spec, threads: int, *, timeout: float = 600) -> None:
        self._start(threads, "open", peer, spec, threads, timeout=timeout)

    @classmethod
    def function(cls, module: str, name: str, *arguments: Any, timeout: float = 600) -> Worker:
        """A worker that holds what ``module.name(*arguments)`` returns and runs it on the command "again"."""
        worker = cls.__new__(cls)
        worker._start(arguments[-1], "hold", module, name, *arguments, timeout=timeout)
        return worker

    def _start(self, threads: int, command: str, *arguments: Any, timeout: float) -> None:
        self.connection, child = Pipe()
        # KeOps cannot read what a process that was killed half wrote, and every worker ends by being killed.
        self.cache = tempfile.mkdtemp(prefix="lapwing-bench-keops-")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", str(child.fileno())],
            pass_fds=(child.fileno(),),
            env=pinned_environment(threads, self.cache),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        child.close()
        try:
            self.call(command, *arguments, timeout=timeout)
        except BaseException:
            self.close()
            raise

    def call(self, command: str, *arguments: Any, timeout: float) -> Any:
        try:
            self.connection.send((command, *arguments))
            if not self.connection.poll(timeout):
                raise CappedError(f"> {timeout:g} s")
            ok, value = self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            code = self.process.wait()
            raise FailedError(f"process ended with {code}") from None
        if not ok:
            raise FailedError(value)
        return value

    def close(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reset_peak() -> int | None:
    """Forget the process's peak so far; its resident bytes now. None where the system cannot."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what was freed and kept would hide the next peak
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return status_bytes("VmRSS")


def status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def peak_bytes() -> int:
    # The usual ru_maxrss cannot be reset: a peak of the imports would hide the solver's.
    try:
        return status_bytes("VmHWM")
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def pin(threads: int) -> None:
    """Keep to that many cores: the only limit that every library obeys."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))


class Session:
    """Child's end."""

    def hold(self, module: str, name: str, *arguments: Any) -> None:
        pin(arguments[-1])
        self.held = getattr(importlib.import_module(module), name)(*arguments)

    def again(self) -> dict[str, Any]:
        base = reset_peak()
        base = peak_bytes() if base is None else base
        found = self.held()
        return {"memory": max(0, peak_bytes() - base), **found}

    def open(self, name: str, spec: Spec, threads: int) -> None:
        pin(threads)
        from bench import peers, problems

        self.problems = problems
        cls = peers.PEERS[name]
        # Loads libraries and starts thread pools, so that neither is in a time or a peak.
        warm = cls(threads)
        warm.load(spec.tiny().load())
        if cls.solves:
            tol = 8 if cls.searched else 1e-3
            warm.prepare(tol)
            warm.answer(warm.solve(tol))
        if cls.iterates:
            warm.prepare_iterate(2)
            warm.answer(warm.iterate(2))
        self.problem = spec.load()
        self.peer = cls(threads)
        self.peer.load(self.problem)

    def _timed(self, function: Any, argument: float) -> dict[str, float]:
        self.raw = None
        base = reset_peak()
        base = peak_bytes() if base is None else base
        start = time.perf_counter()
        self.raw = function(argument)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "memory": max(0, peak_bytes() - base)}

    def prepare(self, tol: float) -> None:
        self.peer.prepare(tol)

    def solve(self, tol: float) -> dict[str, float]:
        return self._timed(self.peer.solve, tol)

    def prepare_iterate(self, k: int) -> None:
        self.peer.prepare_iterate(k)

    def iterate(self, k: int) -> dict[str, float]:
        return self._timed(self.peer.iterate, k)

    def error(self) -> tuple[float, int]:
        answer = self.peer.answer(self.raw)
        return self.problems.marginal_error(self.problem, answer), answer.iterations


def main() -> None:
    connection, session = Connection(int(sys.argv[1])), Session()
    while True:
        try:
            command, *arguments = connection.recv()
        except EOFError:
            return
        try:
            reply = True, getattr(session, command)(*arguments)
        except Exception as error:
            traceback.print_exc()
            reply = False, f"{type(error).__name__}: {error}".splitlines()[0][:200]
        connection.send(reply)


if __name__ == "__main__":
    main()
