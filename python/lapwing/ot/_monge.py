"""The Monge gap: how far a map is from being optimal between what goes in and what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from lapwing._array import Array
from lapwing.ot._couplings import gradients_of_pairs
from lapwing.ot._result import OTResult
from lapwing.ot._solve import solve_sample

__all__ = ["MongeGap", "check", "monge_gap"]


class MongeGap:
    """The gap of a map, with the transport problem behind it.

    Attributes
    ----------
    value : float
        Mean cost of the map less what moving the same mass costs at best.
    cost : float
        Mean cost of the map, ``Σ a_i c(x_i, T(x_i))``.
    result : OTResult
        Transport from the points to their images.
    linear : bool
        Whether ⟨C, P⟩ was taken off, or the value with its entropy.
    grad_T : array of shape (n, d)
        Gradient of `value` for the images of the points; computed on access.
    converged : bool
    """

    def __init__(self, cost: float, result: OTResult, linear: bool) -> None:
        self.cost, self.result, self.linear = cost, result, linear

    @property
    def value(self) -> float:
        return self.cost - (self.result.value_linear if self.linear else self.result.value)

    @property
    def converged(self) -> bool:
        return self.result.converged

    @property
    def grad_T(self) -> Array:
        geometry, weights = self.result._geometry, self.result._a
        own = weights[:, None] * gradients_of_pairs(geometry)
        if self.linear:
            moved = self.result.vjp(value_linear=1.0).Y
        else:
            moved = self.result.grad_Y
        return self.result._out(own - np.asarray(moved, dtype=np.float64))

    def __repr__(self) -> str:
        return f"MongeGap(value={self.value:.6g}, cost={self.cost:.6g}, converged={self.converged})"


def monge_gap(
    X: Array,
    T: Array,
    a: Array | None = None,
    *,
    reg: float,
    metric: str = "sqeuclidean",
    linear: bool = False,
    **options: Any,
) -> MongeGap:
    r"""How much cheaper the images of a map could be reached than by the map itself.

    :math:`\sum_i a_i c(x_i, T(x_i)) - \mathrm{OT}_\varepsilon(\sum_i a_i \delta_{x_i}, \sum_i a_i
    \delta_{T(x_i)})`: 0 for an optimal map in the limit of small ε, and a penalty that makes a map that is
    fitted to data an optimal one.

    Parameters
    ----------
    X : array of shape (n, d)
        Points.
    T : array of shape (n, d)
        Their images under the map.
    a : array of shape (n,), optional
        Weights of the points, of total 1; None: equal.
    reg : float
        Regularisation ε > 0.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost c.
    linear : bool
        Take ⟨C, P⟩ off. Otherwise the regularised value is, which exceeds it by up to ``ε log n``, so that
        the gap may be below 0; its gradient needs no linear system.
    **options
        Everything else that `solve_sample` takes for a balanced problem (`reg_scale`, `tol`, `init`, ...).

    Returns
    -------
    MongeGap
        For tensors that require grad, ``value`` carries gradients.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    T. Uscidda, M. Cuturi, "The Monge gap: a regularizer to learn all transport maps", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import ot
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> shift = ot.monge_gap(X, X + 1.0, reg=0.05, linear=True)
    >>> turned = ot.monge_gap(X, -X, reg=0.05, linear=True)
    >>> bool(shift.value < 0.05 < 1.0 < turned.value)
    True
    """
    check(np.shape(X), np.shape(T), options)
    result = solve_sample(X, T, a, a, reg=reg, metric=metric, **options)
    index = np.arange(result.shape[0])
    cost = float(result._a @ result._geometry.costs_of_pairs(index, index))
    return MongeGap(cost, result, bool(linear))


def check(points: tuple[int, ...], images: tuple[int, ...], options: dict[str, Any]) -> None:
    """Refuse what makes no gap."""
    for name in ("unbalanced", "mass"):
        if options.get(name) is not None:
            raise ValueError(f"{name} has no meaning for the Monge gap")
    if options.get("reg_type", "kl") != "kl":
        raise ValueError("the Monge gap is defined with reg_type='kl'")
    if tuple(points) != tuple(images):
        raise ValueError(f"X and T must have the same shape, got {tuple(points)} and {tuple(images)}")
