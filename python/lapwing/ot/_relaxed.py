"""Marginals that need not be met: what the two sides pay for missing their weights, or a fixed mass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lapwing import _array, _validate
from lapwing.ot._geometry import Stats, Vector

__all__ = ["Relaxation", "check"]

PENALTIES = ("kl", "tv")
REFERENCES = ("kl", "entropy")


@dataclass(frozen=True)
class Relaxation:
    """Penalties of every point (+inf: its weight is met exactly), or the mass that is moved.

    `product`: the entropy is relative to the product of the weights. `shift`: of the potentials, the
    multiplier of the mass.
    """

    rho_a: Vector
    rho_b: Vector
    clip: bool
    mass: float
    product: bool
    shift: float = 0.0

    @classmethod
    def none(cls, n: int, m: int) -> Relaxation:
        """The balanced problem: both weights are met exactly."""
        return cls(np.full(n, np.inf), np.full(m, np.inf), False, 0.0, True)

    def take(self, rows: Any, columns: Any) -> tuple[Vector, Vector]:
        return (
            self.rho_a if rows is None else np.ascontiguousarray(self.rho_a[rows]),
            self.rho_b if columns is None else np.ascontiguousarray(self.rho_b[columns]),
        )

    def entropy(self, stats: Stats, a: Vector, b: Vector) -> float:
        """KL(P | a b^T), or sum P (log P - 1)."""
        if not self.product:
            return stats.plogp - stats.mass
        moved = _weighted_log(stats.rows, a) + _weighted_log(stats.columns, b)
        return stats.plogp - moved - stats.mass + float(a.sum() * b.sum())

    def penalties(self, stats: Stats, a: Vector, b: Vector) -> float:
        total = 0.0
        for rho, marginal, weight in ((self.rho_a, stats.rows, a), (self.rho_b, stats.columns, b)):
            soft = np.isfinite(rho)
            if self.clip:
                cost = np.abs(marginal[soft] - weight[soft])
            else:
                cost = _kl(marginal[soft], weight[soft])
            total += float(rho[soft] @ cost)
        return total

    def dual(self, stats: Stats, a: Vector, b: Vector, f: Vector, g: Vector, reg: float) -> float:
        g = g - self.shift
        total = self.shift * self.mass
        for rho, weight, potential in ((self.rho_a, a, f), (self.rho_b, b, g)):
            w, r, p = weight[weight > 0], rho[weight > 0], potential[weight > 0]
            # points without a partner have an infinite potential
            p = np.minimum(p, 0) if self.mass > 0 else np.minimum(p, r) if self.clip else p
            linear = np.isinf(r) | self.clip
            total += float(w[linear] @ p[linear])
            w, r, p = w[~linear], r[~linear], p[~linear]
            total -= float((r * w) @ np.expm1(-p / r))
        reference = float(a.sum() * b.sum()) if self.product else 0.0
        return total - reg * (stats.mass - reference)

    def violation(self, stats: Stats, a: Vector, b: Vector) -> float:
        """How far the plan is from what it must meet exactly, over its mass."""
        if self.mass > 0:
            over = np.maximum(stats.rows - a, 0).sum() + np.maximum(stats.columns - b, 0).sum()
            return float(over + abs(stats.mass - self.mass)) / self.mass
        hard_a, hard_b = np.isinf(self.rho_a), np.isinf(self.rho_b)
        missed = np.abs(stats.rows - a)[hard_a].sum() + np.abs(stats.columns - b)[hard_b].sum()
        return float(missed) / stats.mass if stats.mass > 0 else np.inf if missed > 0 else 0.0


def _weighted_log(marginal: Vector, weight: Vector) -> float:
    positive = weight > 0
    return float(marginal[positive] @ np.log(weight[positive]))


def _kl(p: Vector, q: Vector) -> Vector:
    out = q - p
    positive = p > 0
    out[positive] += p[positive] * np.log(p[positive] / q[positive])
    return out


def check(
    unbalanced: Any, unbalanced_type: Any, mass: Any, reg_type: Any, n: int, m: int
) -> Relaxation | None:
    """Return what was asked for; None: the balanced problem."""
    kind = _validate.check_choice(unbalanced_type, "unbalanced_type", PENALTIES)
    product = _validate.check_choice(reg_type, "reg_type", REFERENCES) == "kl"
    amount = None if mass is None else _validate.check_positive(mass, "mass")
    if amount is not None and unbalanced is not None:
        raise ValueError("unbalanced and mass exclude each other")
    if amount is not None:
        return replace(Relaxation.none(n, m), mass=amount, product=product)
    if unbalanced is None:
        return None
    pair = unbalanced if isinstance(unbalanced, (tuple, list)) else (unbalanced, unbalanced)
    if len(pair) != 2:
        raise ValueError(f"unbalanced must be a penalty or a pair of them, got {len(pair)} values")
    first = _rho(pair[0], n, "unbalanced[0]" if pair is unbalanced else "unbalanced")
    second = _rho(pair[1], m, "unbalanced[1]" if pair is unbalanced else "unbalanced")
    if np.isinf(first).all() and np.isinf(second).all():
        return None
    return Relaxation(first, second, kind == "tv", 0.0, product)


def _rho(value: Any, n: int, name: str) -> Vector:
    if value is None:
        return np.full(n, np.inf)
    if np.ndim(value) == 0:
        number = _validate.check_number(value, name)
        if not number > 0:
            raise ValueError(f"{name} must be > 0, got {number:g}")
        return np.full(n, number)
    array = _array.real(value, name).astype(np.float64)
    if array.shape != (n,):
        raise ValueError(f"{name} must be a number or have shape ({n},), got shape {array.shape}")
    wrong = np.flatnonzero(~(array > 0))
    if wrong.size:
        raise ValueError(f"{name} must be > 0, but {name}[{int(wrong[0])}] is {array[wrong[0]]}")
    return np.ascontiguousarray(array)
