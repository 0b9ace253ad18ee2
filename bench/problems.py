"""The benchmark problems of optimal transport, and the yardstick that every answer is measured with.

Two Gaussian clouds at distance 1: ``X ~ N(0, I)``, ``Y ~ N(1/sqrt(d), I)``, n points each, uniform weights,
squared Euclidean cost, eps = ratio x median cost, seed 1000 d + n with X drawn first.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Form = Literal["dense", "cloud"]

SIZES = (1000, 4000, 10000)
DIMENSIONS = (2, 50)
RATIOS = (0.05, 0.005)
BLOCK = 2**22  # entries of the plan that the yardstick holds at a time


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
    return float(np.median(squared_distances(*clouds(n, d)), overwrite_input=True))


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

    def load(self) -> Problem:
        X, Y = clouds(self.n, self.d)
        C = None
        if self.form == "dense":
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
    """``(|P1 - a| + |P'1 - b|) / M`` (L1), in float64, from the answer and the arrays that were given."""
    n, m = len(problem.a), len(problem.b)
    a, b = problem.a.astype(np.float64), problem.b.astype(np.float64)
    a, b = a / a.sum(), b / b.sum()  # rounding of the weights to float32 is not the solver's error
    rows, columns = np.empty(n), np.zeros(m)
    X, Y = problem.X.astype(np.float64), problem.Y.astype(np.float64)
    step = max(1, BLOCK // m)
    for lo in range(0, n, step):
        block = slice(lo, min(n, lo + step))
        if answer.plan is not None:
            P = np.asarray(answer.plan[block], dtype=np.float64)
        else:
            assert answer.log_u is not None
            assert answer.log_v is not None
            C = squared_distances(X[block], Y) if problem.C is None else problem.C[block].astype(np.float64)
            P = C * (-1 / problem.eps)
            P += np.asarray(answer.log_u[block], dtype=np.float64)[:, None]
            P += np.asarray(answer.log_v, dtype=np.float64)[None, :]
            np.exp(P, out=P)
        rows[block] = P.sum(1)
        columns += P.sum(0)
    return float(np.abs(rows - a).sum() + np.abs(columns - b).sum())
