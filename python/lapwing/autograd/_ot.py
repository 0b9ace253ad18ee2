"""Optimal transport with gradients for PyTorch: the value by the envelope theorem, the rest implicitly.

Neither follows the iterations, and nothing is kept for the way back but the inputs and the two potentials.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lapwing import _array
from lapwing.ot import _batch, _divergence, _gradients, _monge, _solve, _sparse
from lapwing.ot._batch import OTResultBatch
from lapwing.ot._divergence import SinkhornDivergence
from lapwing.ot._monge import MongeGap
from lapwing.ot._result import OTResult

__all__ = ["FUNCTIONS", "TensorMongeGap", "TensorOTResult", "TensorOTResultBatch", "TensorSinkhornDivergence"]


@dataclass(frozen=True)
class _Ends:
    """What gradients flow to: None for what has none.

    `x`, `y`: the points in float64 (of length 1 for the cosine), or `x` the cost; `a`, `b` as the problem has
    them; `reg` in units of the cost; `points`: the second side as it was given.
    """

    x: Tensor | None
    y: Tensor | None
    a: Tensor
    b: Tensor
    reg: Tensor | None
    points: Tensor | None

    def inputs(self) -> tuple[Any, ...]:
        return self.x, self.y, self.a, self.b, self.reg


def _tensor(x: Any, like: Tensor) -> Tensor:
    """An array as a tensor of the type of another one."""
    return torch.from_numpy(np.ascontiguousarray(x)).to(like.dtype)


def _numpy(x: Tensor | None) -> Any:
    return None if x is None else _array.real(x.detach(), "the gradient")


class _Once(torch.autograd.Function):
    """Hands gradients on, and refuses to be differentiated: `depends` is what they were made from.

    torch's own once_differentiable lets a derivative vanish without a word where the gradient that came in is
    a constant.
    """

    @staticmethod
    def forward(ctx: Any, what: str, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.what = what
        return tuple(z.clone() for z in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(f"{ctx.what} can be differentiated no further")


def _once(what: str, gradients: Sequence[Any], depends: Sequence[Any]) -> tuple[Any, ...]:
    if not torch.is_grad_enabled():  # no graph of the gradients is wanted
        return tuple(gradients)
    there = [z for z in gradients if z is not None]
    others = [z for z in depends if isinstance(z, Tensor)]
    guarded = iter(_Once.apply(what, len(there), *there, *others))  # type: ignore[no-untyped-call]
    return tuple(None if z is None else next(guarded) for z in gradients)


# ---- functions of torch ------------------------------------------------------------------------------------


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, result: OTResult, x: Any, y: Any, a: Any, b: Any, reg: Any, tol: Any) -> Tensor:
        ctx.result, ctx.tol = result, tol
        ctx.save_for_backward(x, y, a, b, reg)
        return torch.tensor(result.value, dtype=_dtype(result))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        needs = ctx.needs_input_grad[1:6]
        slopes = _Slope.apply(ctx.result, needs, ctx.tol, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return (
            None,
            *(None if s is None else s * grads[0].to(s.dtype) for s in slopes),
            None,
        )


class _Slope(torch.autograd.Function):
    """The gradients of the value, with gradients of their own."""

    @staticmethod
    def forward(
        ctx: Any, result: OTResult, needs: Sequence[bool], tol: Any, x: Any, y: Any, a: Any, b: Any, reg: Any
    ) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.result, ctx.tol = result, tol
        ctx.save_for_backward(x, y, a, b, reg)
        first: Any = None
        other: Any = None
        if result._geometry.y is None:
            first = result._make_plan().to(x.dtype) if needs[0] else None
        elif needs[0] or needs[1]:
            found = _gradients.envelope_points(result, needs[0], needs[1], unit=True)
            first, other = (None if z is None else _tensor(z, w) for z, w in zip(found, (x, y), strict=True))
        return (
            first,
            other,
            _tensor(_gradients.envelope_weights(result, 0), a) if needs[2] else None,
            _tensor(_gradients.envelope_weights(result, 1), b) if needs[3] else None,
            torch.tensor(result.grad_reg, dtype=reg.dtype) if needs[4] else None,
        )

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        wx, wy, wa, wb, wreg = grads
        if wreg is not None:
            raise RuntimeError("the derivative of the value for reg has no gradient of its own")
        dense = ctx.result._geometry.y is None
        out = _gradients.second(
            ctx.result, None if dense else _numpy(wx), _numpy(wy), _numpy(wx) if dense else None,
            _numpy(wa), _numpy(wb), *ctx.tol,
        )  # fmt: skip
        found = _to_inputs(out, ctx.needs_input_grad[3:8], ctx.saved_tensors)
        return None, None, None, *_once("the gradient of the value", found, [*ctx.saved_tensors, *grads])


class _Answer(torch.autograd.Function):
    """What `ask(result, V)` gives, one tensor or two."""

    @staticmethod
    def forward(
        ctx: Any, result: OTResult, kind: str, tol: Any, x: Any, y: Any, a: Any, b: Any, reg: Any, V: Any
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.result, ctx.kind, ctx.tol = result, kind, tol
        ctx.save_for_backward(x, y, a, b, reg, V)
        plain = None if V is None else V.detach()
        if kind == "potentials":
            return result.potentials
        if kind == "plan":
            return result._make_plan()  # not the one that the result keeps
        if kind == "value_linear":
            return torch.tensor(result.value_linear, dtype=_dtype(result))
        if kind == "projection":
            return result.barycentric_projection(plain)
        return result.apply(plain) if kind == "apply" else result.apply_T(plain)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        *inputs, V = ctx.saved_tensors
        needs = ctx.needs_input_grad[3:8]
        if all(g is None for g in grads):
            return (None,) * 9
        weight = _numpy(grads[0])
        ask: dict[str, Callable[[], dict[str, Any]]] = {
            "potentials": lambda: {"potentials": tuple(_numpy(g) for g in grads)},
            "plan": lambda: {"G": weight},
            "value_linear": lambda: {"value_linear": float(weight)},
            "projection": lambda: {"projection": (_numpy(V), weight)},
            "apply": lambda: {"apply": (_numpy(V), weight)},
            "apply_T": lambda: {"apply_T": (_numpy(V), weight)},
        }
        given = ask[ctx.kind]()
        tol, most = ctx.tol
        depends = [*ctx.saved_tensors, *grads]
        if not any(needs) and ctx.kind != "projection":  # of V alone: the plan is as it is
            back = ctx.result.apply_T if ctx.kind == "apply" else ctx.result.apply
            return (None,) * 8 + _once(ctx.kind, [back(grads[0].detach()).to(V.dtype)], depends)
        out = ctx.result.vjp(**given, tol=tol, max_iter=most)
        direct = out.U if ctx.kind == "apply_T" else out.V
        own = None if V is None or not ctx.needs_input_grad[8] else torch.as_tensor(direct).to(V.dtype)
        return None, None, None, *_once(ctx.kind, [*_to_inputs(out, needs, inputs), own], depends)


def _to_inputs(out: Any, needs: Sequence[bool], inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    x, y, a, b, reg = inputs
    first: Any = None
    other: Any = None
    if out._plan.geometry.y is None:
        first = torch.as_tensor(out.C).to(x.dtype) if needs[0] else None
    elif needs[0] or needs[1]:
        first, other = out.points(needs[0], needs[1], unit=True)
        first, other = (None if z is None else _tensor(z, w) for z, w in ((first, x), (other, y)))
    return (
        first,
        other,
        _tensor(out._a, a) if needs[2] else None,
        _tensor(out._b, b) if needs[3] else None,
        torch.tensor(out.reg, dtype=reg.dtype) if needs[4] else None,
    )


def _dtype(result: OTResult) -> torch.dtype:
    return torch.float32 if result._geometry.dtype == np.float32 else torch.float64


# ---- results -----------------------------------------------------------------------------------------------


class TensorOTResult(OTResult):
    """An `OTResult` whose answers carry gradients; `solve` and `solve_sample` give it where they are needed.

    Gradients reach the points or the cost, the weights, `reg`, and what `apply`, `apply_T` and
    `barycentric_projection` are given. `value` takes one pass over the pairs on the way back (by the envelope
    theorem), and may be differentiated twice; everything else takes a linear system (see `OTResult.vjp`), and
    may be differentiated once. What a regularisation was scaled by (`cost_scale`) counts as a constant.

    Attributes
    ----------
    value, value_linear : tensors without dimensions
    potentials, weights : pairs of tensors
    marginal_a, marginal_b, plan : tensors
    gradient_tol : float or None
        Residual of the linear systems at which to stop; None: as in `vjp`.
    gradient_max_iter : int
        Largest number of their iterations.
    """

    _plain: OTResult
    _ends: _Ends
    gradient_tol: float | None
    gradient_max_iter: int

    @classmethod
    def of(cls, plain: OTResult, ends: _Ends) -> TensorOTResult:
        self = object.__new__(cls)
        plain._kind = "torch"
        self.__dict__.update(plain.__dict__)
        self._plain, self._ends = plain, ends
        self.gradient_tol, self.gradient_max_iter = None, 1000
        return self

    def detach(self) -> OTResult:
        """The same without gradients."""
        return self._plain

    @property
    def _limits(self) -> tuple[float | None, int]:
        return self.gradient_tol, self.gradient_max_iter

    def _answer(self, kind: str, V: Tensor | None = None) -> Any:
        return _Answer.apply(self._plain, kind, self._limits, *self._ends.inputs(), V)  # type: ignore[no-untyped-call]

    @property
    def value(self) -> Tensor:  # type: ignore[override]
        return _Value.apply(self._plain, *self._ends.inputs(), self._limits)  # type: ignore[no-any-return, no-untyped-call]

    @property
    def value_linear(self) -> Tensor:  # type: ignore[override]
        return self._answer("value_linear")  # type: ignore[no-any-return]

    @property
    def potentials(self) -> tuple[Tensor, Tensor]:
        f, g = self._answer("potentials")
        return f, g

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        dtype = _dtype(self)
        return self._ends.a.to(dtype), self._ends.b.to(dtype)

    @property
    def marginal_a(self) -> Tensor:
        return self.apply(torch.ones(self.shape[1], dtype=_dtype(self)))

    @property
    def marginal_b(self) -> Tensor:
        return self.apply_T(torch.ones(self.shape[0], dtype=_dtype(self)))

    @property
    def plan(self) -> Tensor:
        if self.metric == "sparse":
            raise TypeError("the plan of a sparse cost gives no gradients; take it from result.detach()")
        return self._answer("plan")  # type: ignore[no-any-return]

    def apply(self, V: Any) -> Tensor:
        return self._answer("apply", _as_tensor(V))  # type: ignore[no-any-return]

    def apply_T(self, U: Any) -> Tensor:
        return self._answer("apply_T", _as_tensor(U))  # type: ignore[no-any-return]

    def barycentric_projection(self, Y: Any = None) -> Tensor:
        if Y is None:
            if self._geometry.y is None:
                raise ValueError("a result of solve(C) has no points of its own; pass Y, of shape (m, k)")
            Y = self._ends.points
        return self._answer("projection", _as_tensor(Y))  # type: ignore[no-any-return]

    # Operators of SciPy take and give arrays.

    @property
    def operator(self) -> Any:
        return self._plain.operator

    def normal_operator(self, w: Any = None) -> Any:
        return self._plain.normal_operator(w)

    def _refuse(self, name: str) -> TypeError:
        return TypeError(f"{name} gives no gradients; call it on result.detach()")

    def extend_f(self, X_new: Any) -> Any:
        raise self._refuse("extend_f")

    def extend_g(self, Y_new: Any) -> Any:
        raise self._refuse("extend_g")

    def entropic_map(self, X_new: Any) -> Any:
        raise self._refuse("entropic_map")

    def transition(self, X_new: Any, V: Any) -> Any:
        raise self._refuse("transition")

    def transition_T(self, Y_new: Any, U: Any) -> Any:
        raise self._refuse("transition_T")

    def singular_triplets(self, k: int, **options: Any) -> Any:
        raise self._refuse("singular_triplets")


def _as_tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x if x.is_floating_point() else x.to(torch.float64)
    return torch.from_numpy(np.ascontiguousarray(_array.real(x, "V")))


class TensorSinkhornDivergence(SinkhornDivergence):
    """A `SinkhornDivergence` whose `value` is a tensor that carries gradients, twice if needed."""

    @property
    def value(self) -> Tensor:  # type: ignore[override]
        a, b = self.cross.weights
        own = 0.5 * self.self_x.value + 0.5 * self.self_y.value
        excess: Tensor = self.cross.value - own + 0.5 * _reg_of(self.cross) * (a.sum() - b.sum()) ** 2
        return excess


class TensorMongeGap(MongeGap):
    """A `MongeGap` whose `value` and `cost` are tensors that carry gradients."""


def _reg_of(result: Any) -> Any:
    given = result._ends.reg
    return result.reg if given is None else given.to(_dtype(result))


class TensorOTResultBatch(OTResultBatch):
    """An `OTResultBatch` whose answers carry gradients; ``batch[k]`` is a `TensorOTResult`.

    `value` may be differentiated once; those of ``batch[k]`` twice.
    """

    _plain: OTResultBatch
    _given: tuple[Tensor | None, Tensor | None, Tensor, Tensor]

    @classmethod
    def of(cls, plain: OTResultBatch, given: tuple[Any, Any, Tensor, Tensor]) -> TensorOTResultBatch:
        self = object.__new__(cls)
        plain._kind = "torch"
        self.__dict__.update(plain.__dict__)
        self._plain, self._given = plain, given
        return self

    def detach(self) -> OTResultBatch:
        """The same without gradients."""
        return self._plain

    @property
    def value(self) -> Tensor:  # type: ignore[override]
        return _BatchValue.apply(self._plain, *self._given)  # type: ignore[no-any-return, no-untyped-call]

    def __getitem__(self, k: int) -> TensorOTResult:
        plain = self._plain[k]
        x, y, a, b = self._given
        n, m = (int(s) for s in self._lengths[k])
        cosine = self._metric == "cosine" and self._y is not None
        if self._y is None:
            first, other, points = (None if x is None else x[k, :n, :m]), None, None
        else:
            first, other = (
                _points_of(z, None if z is None else z[k, :size], cosine) for z, size in ((x, n), (y, m))
            )
            points = torch.from_numpy(self._y[k, :m]) if y is None else y[k, :m]
        return TensorOTResult.of(plain, _Ends(first, other, a[k, :n], b[k, :m], None, points))

    @property
    def potentials(self) -> tuple[Tensor, Tensor]:
        f, g = zip(*(result.potentials for result in self), strict=True)
        n, m = self._f.shape[1], self._g.shape[1]
        return (
            torch.stack([_padded(z, (n,), float("nan")) for z in f]),
            torch.stack([_padded(z, (m,), float("nan")) for z in g]),
        )

    @property
    def value_linear(self) -> Tensor:  # type: ignore[override]
        return torch.stack([self[k].value_linear for k in range(len(self))])

    @property
    def marginal_a(self) -> Tensor:
        return torch.stack([_padded(result.marginal_a, self._f.shape[1:], 0.0) for result in self])

    @property
    def marginal_b(self) -> Tensor:
        return torch.stack([_padded(result.marginal_b, self._g.shape[1:], 0.0) for result in self])

    @property
    def plan(self) -> Tensor:
        shape = self._f.shape[1], self._g.shape[1]
        return torch.stack([_padded(result.plan, shape, 0.0) for result in self])


def _padded(x: Any, shape: tuple[int, ...], value: float) -> Tensor:
    gaps: list[int] = []
    for size, wanted in zip(reversed(x.shape), reversed(shape), strict=True):
        gaps += [0, wanted - size]
    return torch.nn.functional.pad(x, gaps, value=value)


class _BatchValue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, batch: OTResultBatch, x: Any, y: Any, a: Any, b: Any) -> Tensor:
        ctx.batch = batch
        ctx.save_for_backward(x, y, a, b)
        single = batch._x.dtype == np.float32
        return torch.from_numpy(batch.value).to(torch.float32 if single else torch.float64)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        batch, needs = ctx.batch, ctx.needs_input_grad
        x, y, a, b = ctx.saved_tensors
        out: list[Any] = []
        for needed, like, name in (
            (needs[1], x, "grad_C" if batch._y is None else "grad_X"), (needs[2], y, "grad_Y"),
            (needs[3], a, "grad_a"), (needs[4], b, "grad_b"),
        ):  # fmt: skip
            if not needed:
                out.append(None)
                continue
            slope = torch.as_tensor(getattr(batch, name)).to(like.dtype)
            out.append(slope * grads[0].to(like.dtype).reshape(-1, *[1] * (slope.dim() - 1)))
        return None, *_once("the value of a batch", out, [x, y, a, b, *grads])


# ---- doors -------------------------------------------------------------------------------------------------


def _without_gradients(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(_without_gradients(v) for v in x)
    return x.detach() if isinstance(x, Tensor) else x


def _points_of(given: Any, x: Any, unit: bool) -> Tensor | None:
    if not isinstance(given, Tensor):
        return None
    points: Tensor = x.to(torch.float64)
    return points / points.norm(dim=1, keepdim=True) if unit else points


def _arguments(function: Callable[..., Any], names: Sequence[str], args: Any, kwargs: Any) -> dict[str, Any]:
    bound = inspect.signature(function).bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        # a start does not change what is found
        if name in (*names, "init", "options"):
            continue
        if isinstance(value, Tensor) and value.requires_grad:
            raise TypeError(f"{name} requires grad, and there are no gradients for it; pass {name}.detach()")
    return dict(bound.arguments)


def _weights(a: Any, b: Any, n: int, m: int, equal: bool) -> tuple[Tensor, Tensor]:
    """The weights of the problem, as `solve` makes them."""
    first, second = (
        None
        if w is None
        else torch.as_tensor(w if isinstance(w, Tensor) else np.asarray(w)).to(torch.float64)
        for w in (a, b)
    )
    total = torch.ones((), dtype=torch.float64)
    if first is not None:
        total = first.sum()
    elif second is not None:
        total = second.sum()
    if first is None:
        first = (total / n).expand(n)
    if second is None:
        second = (total / m).expand(m)
    elif equal:
        second = second * (total / second.sum())
    return first, second


def _finish(plain: OTResult, given: dict[str, Any]) -> TensorOTResult:
    n, m = plain.shape
    unit = plain.metric == "cosine"
    x: Any = given.get("C")
    y = points = None
    if plain._geometry.y is None:
        x = x if isinstance(x, Tensor) else None
    else:
        x = _points_of(given["X"], given["X"], unit)
        y = _points_of(given["Y"], given["Y"], unit)
        points = given["Y"] if isinstance(given["Y"], Tensor) else torch.from_numpy(plain._geometry.y)
    reg = given["reg"]
    reg = reg.to(torch.float64) * plain.cost_scale if isinstance(reg, Tensor) else None
    a, b = _weights(given.get("a"), given.get("b"), n, m, equal=plain._relaxed is None)
    return TensorOTResult.of(plain, _Ends(x, y, a, b, reg, points))


def solve(*args: Any, **kwargs: Any) -> TensorOTResult:
    """`lapwing.ot.solve`."""
    given = _arguments(_solve.solve, ("C", "a", "b", "reg"), args, kwargs)
    return _finish(_solve.solve(**{k: _without_gradients(v) for k, v in given.items()}), given)


def solve_sparse(C: Any, *args: Any, **kwargs: Any) -> TensorOTResult:
    """`lapwing.ot.solve_sparse`; gradients are those of weights and reg."""
    _sparse.check_sparse(C)
    return solve(C, *args, **kwargs)


def solve_sample(*args: Any, **kwargs: Any) -> TensorOTResult:
    """`lapwing.ot.solve_sample`."""
    given = _arguments(_solve.solve_sample, ("X", "Y", "a", "b", "reg"), args, kwargs)
    return _finish(_solve.solve_sample(**{k: _without_gradients(v) for k, v in given.items()}), given)


def sinkhorn_divergence(
    X: Any, Y: Any, a: Any = None, b: Any = None, *, reg: Any, **options: Any
) -> TensorSinkhornDivergence:
    """`lapwing.ot.sinkhorn_divergence`."""
    return TensorSinkhornDivergence(*_divergence.three_solves(solve_sample, X, Y, a, b, reg, options))


def solve_batch(*args: Any, **kwargs: Any) -> TensorOTResultBatch:
    """`lapwing.ot.solve_batch`."""
    given = _arguments(_batch.solve_batch, ("C", "a", "b"), args, kwargs)
    plain = _batch.solve_batch(**{k: _without_gradients(v) for k, v in given.items()})
    C = given["C"]
    x, y = C if plain._y is not None else (C, None)
    sides = []
    for name, made, side in (("a", plain._a, 0), ("b", plain._b, 1)):
        w = given.get(name)
        if not isinstance(w, Tensor):
            sides.append(torch.from_numpy(made))
            continue
        inside = torch.from_numpy(np.arange(made.shape[1]) < plain._lengths[:, side : side + 1])
        sides.append(torch.where(inside, w.to(torch.float64), 0.0))
    first, second = sides
    if plain._relaxed is None and any(isinstance(given.get(name), Tensor) for name in ("a", "b")):
        second = second * (first.sum(dim=1) / second.sum(dim=1))[:, None]
    ends = [z if isinstance(z, Tensor) else None for z in (x, y)]
    return TensorOTResultBatch.of(plain, (ends[0], ends[1], first, second))


def monge_gap(
    X: Any,
    T: Any,
    a: Any = None,
    *,
    reg: Any,
    metric: str = "sqeuclidean",
    linear: bool = False,
    **options: Any,
) -> TensorMongeGap:
    _monge.check(tuple(X.shape), tuple(T.shape), options)
    result = solve_sample(X, T, a, a, reg=reg, metric=metric, **options)
    x, y = (torch.as_tensor(z).to(torch.float64) for z in (X, T))
    if metric == "sqeuclidean":
        costs = torch.square(x - y).sum(dim=1)
    elif metric == "euclidean":
        costs = torch.linalg.vector_norm(x - y, dim=1)
    elif metric == "cosine":
        costs = 1 - torch.nn.functional.cosine_similarity(x, y, dim=1, eps=0.0)
    else:
        costs = -(x * y).sum(dim=1)
    cost: Any = (result.weights[0].to(torch.float64) @ costs).to(_dtype(result))
    return TensorMongeGap(cost, result, bool(linear))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (monge_gap, sinkhorn_divergence, solve, solve_batch, solve_sample, solve_sparse)
}
