"""The benchmark problems of optimal transport, and the yardstick that every answer is measured with.

Two Gaussian clouds at distance 1: ``X ~ N(0, I)``, ``Y ~ N(1/sqrt(d), I)``, n points each, uniform weights,
squared Euclidean cost, eps = ratio x median cost, seed 1000 d + n with X drawn first. And a random
assignment: costs uniform in [0, 1], uniform weights (d = 0).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Form = Literal["dense", "cloud"]

SIZES = (1000, 4000, 10000)
DIMENSIONS = (2, 50)
RATIOS = (0.05, 0.005)
BLOCK = 2**22  # entries of the plan that the yardstick holds at a time
EVERY = 2**29  # entries up to which it looks at all of them; above, at SAMPLE rows and as many columns
SAMPLE = 500
MEDIAN = 10_000  # points from which the median of the costs is taken


def clouds(n: int, d: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(1000 * d + n)
    X = rng.normal(size=(n, d))
    return X, rng.normal(size=(n, d)) + 1 / np.sqrt(d)


def squared_distances(X: Array, Y: Array) -> Array:
    C = X @ Y.T
    C *= -2
    C += (X**2).sum(1)[:, None]
    C += (Y**2).sum(1)[None, :]
    return np.maximum(C, 0, out=C)


@lru_cache
def median_cost(n: int, d: int) -> float:
    """The median; above MEDIAN points of as many of them, since all pairs would not fit into memory."""
    X, Y = (z[:MEDIAN] for z in clouds(n, d))
    return float(np.median(squared_distances(X, Y), overwrite_input=True))


@dataclass(frozen=True)
class Spec:
    """What names a problem; travels to the process that solves it."""

    n: int
    d: int
    ratio: float
    dtype: str
    form: Form
    eps: float

    @classmethod
    def make(cls, n: int, d: int, ratio: float, dtype: str, form: Form) -> Spec:
        # An exact median over more pairs than this says nothing more about the speed.
        median = median_cost(n, d) if n <= 10000 else median_cost(4000, d)
        return cls(n, d, ratio, dtype, form, ratio * median)

    @classmethod
    def assignment(cls, n: int, eps: float) -> Spec:
        return cls(n, 0, 2 * eps, "float64", "dense", eps)  # the median is 1/2

    def load(self) -> Problem:
        C = None
        if self.d == 0:
            X = Y = np.empty((self.n, 0))
            C = np.random.default_rng(0).random((self.n, self.n))
        else:
            X, Y = clouds(self.n, self.d)
        if self.form == "dense" and C is None:
            C = np.ascontiguousarray(squared_distances(X, Y), dtype=self.dtype)
        a = np.full(self.n, 1 / self.n, dtype=self.dtype)
        return Problem(self, X.astype(self.dtype), Y.astype(self.dtype), a, a.copy(), C)

    def tiny(self) -> Spec:
        """The same kind of problem, small: to load libraries and warm up with."""
        return dataclasses.replace(self, n=64)


@dataclass(frozen=True)
class Problem:
    """Arrays of a problem, in its dtype. C is None when the points are the input."""

    spec: Spec
    X: Array
    Y: Array
    a: Array
    b: Array
    C: Array | None

    @property
    def eps(self) -> float:
        return self.spec.eps

    def cost(self) -> Array:
        """The cost matrix, for a solver that needs one; a part of its time when the points are the input."""
        return squared_distances(self.X, self.Y) if self.C is None else self.C


@dataclass(frozen=True)
class Answer:
    """What a solver returned: log-scalings with P = exp(log_u + log_v - C / eps), or the plan itself."""

    iterations: int
    log_u: Array | None = None
    log_v: Array | None = None
    plan: Array | None = None


def marginal_error(problem: Problem, answer: Answer) -> float:
    """``(|P1 - a| + |P'1 - b|) / M`` (L1), in float64, from the answer and the arrays that were given.

    Of very large problems, an estimate from random rows and columns.
    """
    n, m = len(problem.a), len(problem.b)
    a, b = problem.a.astype(np.float64), problem.b.astype(np.float64)
    a, b = a / a.sum(), b / b.sum()  # rounding of the weights to float32 is not the solver's error
    if n * m > EVERY:
        rng = np.random.default_rng(0)
        i, j = (np.sort(rng.choice(size, SAMPLE, replace=False)) for size in (n, m))
        rows = np.concatenate([_plan(problem, answer, [k], slice(None)).sum(1) for k in i])
        columns = np.concatenate([_plan(problem, answer, slice(None), [k]).sum(0) for k in j])
        return float(n * np.abs(rows - a[i]).mean() + m * np.abs(columns - b[j]).mean())
    rows, columns = np.empty(n), np.zeros(m)
    step = max(1, BLOCK // m)
    for lo in range(0, n, step):
        block = slice(lo, min(n, lo + step))
        P = _plan(problem, answer, block, slice(None))
        rows[block] = P.sum(1)
        columns += P.sum(0)
    return float(np.abs(rows - a).sum() + np.abs(columns - b).sum())


def _plan(problem: Problem, answer: Answer, i: Any, j: Any) -> Array:
    """The entries [i, j] of the plan."""
    if answer.plan is not None:
        return np.asarray(answer.plan[i][:, j], dtype=np.float64)
    assert answer.log_u is not None
    assert answer.log_v is not None
    if problem.C is None:
        P = squared_distances(problem.X[i].astype(np.float64), problem.Y[j].astype(np.float64))
    else:
        P = problem.C[i][:, j].astype(np.float64)
    P *= -1 / problem.eps
    P += np.asarray(answer.log_u[i], dtype=np.float64)[:, None]
    P += np.asarray(answer.log_v[j], dtype=np.float64)[None, :]
    return np.exp(P, out=P)
