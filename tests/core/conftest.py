"""Problems and independent answers for the tests of the kernel rooms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# derandomize: the same examples in every run, so that no test fails by luck.
settings.register_profile(
    "lapwing", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lapwing")


def cost(X: Any, Y: Any, metric: str = "sqeuclidean") -> np.ndarray:
    """All costs in float64, by SciPy (by NumPy for the inner product)."""
    from scipy.spatial.distance import cdist

    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    return -X @ Y.T if metric == "dot" else cdist(X, Y, metric)


def clouds(seed: int, n: int, m: int, d: int, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1 / np.sqrt(d)
    return X.astype(dtype), Y.astype(dtype)


def weights(seed: int, n: int, total: float = 1.0) -> np.ndarray:
    w = np.random.default_rng(seed).gamma(1.0, size=n) + 0.05
    return w * (total / w.sum())


def dense_plan(C: Any, a: Any, b: Any, f: Any, g: Any, reg: float) -> np.ndarray:
    """The plan of potentials, in float64, straight from its definition."""
    C, a, b, f, g = (np.asarray(x, np.float64) for x in (C, a, b, f, g))
    with np.errstate(divide="ignore", invalid="ignore"):
        P = np.exp((f[:, None] + g[None, :] - C) / reg + np.log(a)[:, None] + np.log(b)[None, :])
    P[a == 0] = 0
    P[:, b == 0] = 0
    return P


def sinkhorn(
    C: Any, a: Any, b: Any, reg: float, n_iter: int = 5000, dtype: Any = np.longdouble
) -> np.ndarray:
    """Textbook log-domain Sinkhorn in long double: the plan."""
    C, a, b = (np.asarray(x).astype(dtype) for x in (C, a, b))
    b *= a.sum() / b.sum()  # else the potentials drift for ever by the difference
    reg = dtype(reg)
    g = np.zeros(C.shape[1], dtype)

    def softmin(Z: np.ndarray, axis: int) -> np.ndarray:
        top = Z.max(axis=axis, keepdims=True)
        return -(top + np.log(np.exp(Z - top).sum(axis=axis, keepdims=True))).squeeze(axis)

    for _ in range(n_iter):
        f = softmin((g[None, :] - C) / reg + np.log(b)[None, :], 1) * reg
        before, g = g, softmin((f[:, None] - C) / reg + np.log(a)[:, None], 0) * reg
        if np.abs(g - before).max() <= 64 * np.finfo(dtype).eps * (reg + np.abs(g).max()):
            break
    return np.exp((f[:, None] + g[None, :] - C) / reg) * a[:, None] * b[None, :]


def error_of(P: Any, a: Any, b: Any) -> float:
    """Marginal error as the package defines it."""
    P = np.asarray(P, np.float64)
    return float((np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum()) / np.sum(a))


@pytest.fixture(scope="session")
def oracle() -> SimpleNamespace:
    return SimpleNamespace(
        cost=cost, clouds=clouds, weights=weights, dense_plan=dense_plan, sinkhorn=sinkhorn, error_of=error_of
    )
