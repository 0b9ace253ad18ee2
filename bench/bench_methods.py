"""Whole methods, from arrays to result: EOT eigenmaps."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from bench.harness import Record, Records, Settings
from bench.worker import Worker

LIMIT = 3600.0
N_COMPONENTS = 15


def two_datasets(n: int, d: int, dtype: str) -> tuple[Any, Any]:
    """Two noisy samples of one torus, turned into d dimensions; the second one shifted."""
    rng = np.random.default_rng(0)
    frame, _ = np.linalg.qr(rng.normal(size=(d, 3)))
    shift = rng.normal(size=d)
    sets = []
    for offset in (0.0, 1.0):
        s, t = rng.uniform(0, 2 * np.pi, size=(2, n))
        radius = 2 + 0.8 * np.cos(t)
        torus = np.stack([radius * np.cos(s), radius * np.sin(s), 0.8 * np.sin(t)], axis=1)
        data = torus @ frame.T + 0.1 * rng.normal(size=(n, d)) + offset * shift
        sets.append(np.ascontiguousarray(data, dtype=dtype))
    return sets[0], sets[1]


def prepare_eigenmaps(n: int, d: int, dtype: str, threads: int) -> Any:
    """What the worker runs: build the data, warm up, and return the function to time."""
    import lapwing

    X, Y = two_datasets(n, d, dtype)

    def fit(X: Any, Y: Any) -> dict[str, Any]:
        start = time.perf_counter()
        model = lapwing.EOTEigenmaps(n_components=N_COMPONENTS, random_state=0, n_jobs=threads).fit(X, Y)
        return {
            "seconds": time.perf_counter() - start,
            "converged": bool(model.converged_),
            "marginal_error": float(model.marginal_error_),
            "residual": float(np.max(model.svd_residuals_) / model.singular_values_[1]),
            "sweeps": int(model.n_sweeps_),
            "bandwidth": float(model.bandwidth_),
            "singular_values": [float(s) for s in model.singular_values_],
        }

    fit(X[:200], Y[:200])
    return lambda: fit(X, Y)


@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        pytest.param(2000, "float64"),
        pytest.param(10000, "float64", marks=pytest.mark.full),
        pytest.param(10000, "float32", marks=pytest.mark.full),
        pytest.param(100000, "float32", marks=pytest.mark.large),
    ],
)
def test_eot_eigenmaps(benchmark: Any, n: int, dtype: str, settings: Settings, records: Records) -> None:
    d = 50
    benchmark.group = f"EOT eigenmaps: 2 x {n} x {d}, {N_COMPONENTS} components, {dtype}"
    record = Record("methods", "lapwing", n, d, 0.0, dtype, "EOTEigenmaps")
    runs: list[dict[str, Any]] = []
    with Worker.function("bench.bench_methods", "prepare_eigenmaps", n, d, dtype, settings.threads) as worker:
        rounds = 1 if n > 10000 else min(3, settings.rounds)
        benchmark.pedantic(lambda: runs.append(worker.call("again", timeout=LIMIT)), rounds=rounds)
    record.take(runs)
    record.error = runs[-1]["residual"]
    record.iterations = runs[-1]["sweeps"]
    record.extra = {k: v for k, v in runs[-1].items() if k not in ("seconds", "memory")}
    records.append(record)
    benchmark.extra_info.update(record.extra, memory=record.memory)
