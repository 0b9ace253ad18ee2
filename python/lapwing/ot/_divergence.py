"""The Sinkhorn divergence: transport cost without its entropic bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lapwing._array import Array
from lapwing.ot._result import OTResult
from lapwing.ot._solve import solve_sample

__all__ = ["SinkhornDivergence", "sinkhorn_divergence"]


@dataclass(frozen=True)
class SinkhornDivergence:
    """The three solves behind a divergence.

    Attributes
    ----------
    cross, self_x, self_y : OTResult
        Between the two sides, and of each with itself.
    value : float
        ``cross - self_x / 2 - self_y / 2 + ε/2 (Σa - Σb)²``.
    grad_X, grad_Y, grad_a, grad_b : arrays
        Gradients of `value` for the points and the weights; see `OTResult.grad_X` and `OTResult.grad_a`.
    """

    cross: OTResult
    self_x: OTResult
    self_y: OTResult

    @cached_property
    def value(self) -> float:
        a, b = (float(w.sum()) for w in self.cross.weights)
        own = 0.5 * self.self_x.value + 0.5 * self.self_y.value
        return self.cross.value - own + 0.5 * self.cross.reg * (a - b) ** 2

    @property
    def converged(self) -> bool:
        return self.cross.converged and self.self_x.converged and self.self_y.converged

    @property
    def grad_X(self) -> Array:
        return self.cross.grad_X - 0.5 * (self.self_x.grad_X + self.self_x.grad_Y)

    @property
    def grad_Y(self) -> Array:
        return self.cross.grad_Y - 0.5 * (self.self_y.grad_X + self.self_y.grad_Y)

    @property
    def grad_a(self) -> Array:
        return self.cross.grad_a - 0.5 * (self.self_x.grad_a + self.self_x.grad_b) + self._excess

    @property
    def grad_b(self) -> Array:
        return self.cross.grad_b - 0.5 * (self.self_y.grad_a + self.self_y.grad_b) - self._excess

    @property
    def _excess(self) -> float:
        a, b = (float(w.sum()) for w in self.cross.weights)
        return self.cross.reg * (a - b)


def sinkhorn_divergence(
    X: Array, Y: Array, a: Array | None = None, b: Array | None = None, *, reg: float, **options: Any
) -> SinkhornDivergence:
    """Entropic transport cost less those of each side with itself; 0 exactly for equal weighted points.

    Parameters
    ----------
    X, Y : arrays of shape (n, d) and (m, d)
        Points of the two sides.
    a, b : arrays of shape (n,) and (m,), optional
        Their weights; see `solve_sample`.
    reg : float
        Regularisation ε > 0.
    **options
        Everything else that `solve_sample` takes (`metric`, `unbalanced`, `tol`, ...). `reg_scale` is
        resolved for the two sides and used for all three problems; `init` and `mass` are refused.

    Returns
    -------
    SinkhornDivergence
        ``.value`` and the three results. Where a tensor of PyTorch requires grad, ``.value`` is one that
        carries gradients.

    Raises
    ------
    ValueError, TypeError
        As `solve_sample`.

    References
    ----------
    J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé, G. Peyré, "Interpolating between optimal
    transport and MMD using Sinkhorn divergences", 2019.
    T. Séjourné, J. Feydy, F.-X. Vialard, A. Trouvé, G. Peyré, "Sinkhorn divergences for unbalanced optimal
    transport", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> X = np.array([[0.0], [1.0]])
    >>> round(ot.sinkhorn_divergence(X, X + 3, reg=1.0).value, 6)
    9.0
    """
    return SinkhornDivergence(*three_solves(solve_sample, X, Y, a, b, reg, options))


def three_solves(
    solve: Callable[..., Any], X: Array, Y: Array, a: Array | None, b: Array | None, reg: Any,
    options: dict[str, Any],
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Between the two sides, and of each with itself, by `solve_sample` or what stands for it."""
    for name in ("init", "mass"):
        if options.pop(name, None) is not None:
            raise ValueError(f"{name} has no meaning for a divergence")
    unbalanced = options.pop("unbalanced", None)
    pair = unbalanced if isinstance(unbalanced, (tuple, list)) else (unbalanced, unbalanced)
    cross = solve(X, Y, a, b, reg=reg, unbalanced=unbalanced, **options)
    own = {**options, "reg": reg * cross.cost_scale, "reg_scale": None}
    if isinstance(own.get("schedule"), (list, tuple)):
        own["schedule"] = [s * cross.cost_scale for s in own["schedule"][:-1]] + [cross.reg]
    a, b = cross.weights
    return (
        cross,
        solve(X, X, a, a, unbalanced=None if pair[0] is None else (pair[0], pair[0]), **own),
        solve(Y, Y, b, b, unbalanced=None if pair[1] is None else (pair[1], pair[1]), **own),
    )
