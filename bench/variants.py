"""Variants of the transport problem beside other packages, and batches of small problems.

A case is a problem, a yardstick that is recomputed in float64 from what a solver returned, and the solvers,
each with a ladder of settings from loose to tight: the first that passes the yardstick is timed.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.graphs import installed
from bench.problems import clouds, median_cost, squared_distances

MANY = 1_000_000  # iterations; the time cap ends a run before that
TIGHT = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)

Prepare = Callable[[Any, float, int], Callable[[], Any]]


@dataclass(frozen=True)
class Solver:
    needs: tuple[str, ...]
    ladder: tuple[float, ...]
    prepare: Prepare  # problem, setting, threads -> what is timed


@dataclass(frozen=True)
class Case:
    title: str
    gate: float
    measure: str  # what the error is
    build: Callable[[int, int], Any]
    error: Callable[[Any, Any], float]
    solvers: dict[str, Solver]


@dataclass(frozen=True)
class Clouds:
    X: Any
    Y: Any
    a: Any
    b: Any
    C: Any
    eps: float
    extra: float = 0.0

    @classmethod
    def make(cls, n: int, d: int, extra: float = 0.0, total: float = 1.0) -> Clouds:
        """The problem of `problems`, eps = 0.05 median; the second side of another total, if asked."""
        X, Y = clouds(n, d)
        a, b = np.full(n, 1 / n), np.full(n, total / n)
        median = median_cost(n, d)
        return cls(X, Y, a, b, squared_distances(X, Y), 0.05 * median, extra * median)


def _quiet(function: Callable[[], Any]) -> Callable[[], Any]:
    """Without warnings of a loose setting and without what some of them print."""

    def run() -> Any:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return function()

    return run


def _jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


# -- unbalanced ---------------------------------------------------------------------------------------------


def _unbalanced_error(p: Clouds, plan: Any) -> float:
    """How far the plan is from the one that the conditions of optimality make of its own marginals."""
    P = np.asarray(plan, dtype=np.float64)
    rows, columns = P.sum(1), P.sum(0)
    share = -p.extra / p.eps
    with np.errstate(divide="ignore"):
        u = np.log(p.a) + share * np.log(rows / p.a)
        v = np.log(p.b) + share * np.log(columns / p.b)
    Q = np.exp(u[:, None] + v[None, :] - p.C / p.eps)
    return float(np.abs(P - Q).sum() / rows.sum())


def _unbalanced_lapwing(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    from lapwing import ot

    return lambda: (
        ot.solve(p.C, p.a, p.b, reg=p.eps, unbalanced=p.extra, tol=tol, max_iter=MANY, n_jobs=threads).plan
    )


def _unbalanced_pot(method: str) -> Prepare:
    def prepare(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
        import ot

        return lambda: ot.unbalanced.sinkhorn_unbalanced(
            p.a, p.b, p.C, p.eps, p.extra, method=method, stopThr=tol, numItermax=MANY
        )

    return prepare


def _unbalanced_ott(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    jax = _jax()
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    solver = sinkhorn.Sinkhorn(threshold=tol, max_iterations=MANY, recenter_potentials=True)
    tau = p.extra / (p.extra + p.eps)
    # its entropy is that of the plan alone: the reference of the others goes into the cost
    costs = p.C - p.eps * (np.log(p.a)[:, None] + np.log(p.b))

    def solve(C: Any, a: Any, b: Any) -> Any:
        geom = geometry.Geometry(cost_matrix=C, epsilon=p.eps)
        return solver(linear_problem.LinearProblem(geom, a, b, tau_a=tau, tau_b=tau)).matrix

    arrays = [jax.numpy.asarray(x) for x in (costs, p.a, p.b)]
    compiled = jax.jit(solve).lower(*arrays).compile()
    return lambda: jax.block_until_ready(compiled(*arrays))


# -- partial ------------------------------------------------------------------------------------------------


def _partial_lapwing(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    from lapwing import ot

    return lambda: (
        ot.solve(
            p.C, p.a, p.b, reg=p.eps, mass=0.6, reg_type="entropy", tol=tol, max_iter=MANY, n_jobs=threads
        ).plan
    )


def _partial_pot(method: str) -> Prepare:
    def prepare(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
        import ot

        return lambda: ot.partial.entropic_partial_wasserstein(
            p.a, p.b, p.C, p.eps, m=0.6, method=method, stopThr=tol, numItermax=MANY
        )

    return prepare


def _partial_error(p: Clouds, plan: Any) -> float:
    """From the plan that a far tighter solve gives, which a gap of 0 between primal and dual certifies."""
    from lapwing import ot

    best = ot.solve(p.C, p.a, p.b, reg=p.eps, mass=0.6, reg_type="entropy", tol=1e-12, max_iter=MANY)
    assert abs(best.gap) < 1e-9 * p.eps, best.gap
    assert best.marginal_error < 1e-9, best.marginal_error
    return float(np.abs(np.asarray(plan) - best.plan).sum() / 0.6)


# -- barycentre ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histograms:
    A: Any  # one a column, over the pixels of a square image
    points: Any
    C: Any
    eps: float
    weights: Any


def _histograms(n: int, d: int) -> Histograms:
    side = int(np.sqrt(n))
    t = np.linspace(0, 1, side)
    points = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
    rng = np.random.default_rng(0)
    images = []
    for _ in range(4):
        centres, widths = rng.uniform(0.2, 0.8, (3, 2)), rng.uniform(0.04, 0.1, 3)
        image = sum(
            np.exp(-((points - c) ** 2).sum(1) / (2 * w**2)) for c, w in zip(centres, widths, strict=True)
        )
        images.append((image + 1e-4) / (image + 1e-4).sum())
    C = squared_distances(points, points)
    C = (C + C.T) / 2
    return Histograms(np.column_stack(images), points, C, 0.02 * float(np.median(C)), np.full(4, 0.25))


def _barycenter_lapwing(p: Histograms, tol: float, threads: int) -> Callable[[], Any]:
    from lapwing import ot

    return lambda: (
        ot.barycenter(p.A, p.C, weights=p.weights, reg=p.eps, tol=tol, max_iter=MANY, n_jobs=threads).weights
    )


def _barycenter_lapwing_on_grid(p: Histograms, tol: float, threads: int) -> Callable[[], Any]:
    from lapwing import ot

    side = int(np.sqrt(len(p.A)))
    axis = np.linspace(0, 1, side)
    images = p.A.reshape(side, side, -1)
    return lambda: ot.barycenter(
        images, grid=(axis, axis), weights=p.weights, reg=p.eps, tol=tol, max_iter=MANY, n_jobs=threads
    ).weights.ravel()


def _barycenter_pot(method: str) -> Prepare:
    def prepare(p: Histograms, tol: float, threads: int) -> Callable[[], Any]:
        import ot

        return lambda: ot.barycenter(
            p.A, p.C, p.eps, weights=p.weights, method=method, stopThr=tol, numItermax=MANY
        )

    return prepare


def _barycenter_pot_convolution(method: str) -> Prepare:
    """Its cost is that of pixels at equal distances in [0, 1]: ours."""

    def prepare(p: Histograms, tol: float, threads: int) -> Callable[[], Any]:
        import ot

        side = int(np.sqrt(len(p.points)))
        images = np.ascontiguousarray(p.A.T.reshape(-1, side, side))
        return lambda: ot.bregman.convolutional_barycenter2d(
            images, p.eps, weights=p.weights, method=method, stopThr=tol, numItermax=MANY
        )

    return prepare


def _barycenter_error(p: Histograms, weights: Any) -> float:
    from lapwing import ot

    best = ot.barycenter(p.A, p.C, weights=p.weights, reg=p.eps, tol=1e-11, max_iter=MANY)
    assert best.converged, best.error
    found = np.asarray(weights, dtype=np.float64).ravel()
    return float(np.abs(found / found.sum() - best.weights).sum())


# -- divergence ---------------------------------------------------------------------------------------------


def _divergence_lapwing(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    from lapwing import ot

    return lambda: (
        ot.sinkhorn_divergence(p.X, p.Y, p.a, p.b, reg=p.eps, tol=tol, max_iter=MANY, n_jobs=threads).value
    )


def _divergence_pot(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    import ot

    return lambda: ot.solve_sample(p.X, p.Y, p.a, p.b, reg=p.eps, debias=True, tol=tol, max_iter=MANY).value


def _divergence_ott(p: Clouds, tol: float, threads: int) -> Callable[[], Any]:
    jax = _jax()
    from ott.tools import sinkhorn_divergence

    def solve(X: Any, Y: Any, a: Any, b: Any) -> Any:
        options = {"threshold": tol, "max_iterations": MANY}
        return sinkhorn_divergence.sinkdiv(X, Y, epsilon=p.eps, a=a, b=b, solve_kwargs=options)[0]

    arrays = [jax.numpy.asarray(x) for x in (p.X, p.Y, p.a, p.b)]
    compiled = jax.jit(solve).lower(*arrays).compile()
    return lambda: jax.block_until_ready(compiled(*arrays))


def _divergence_geomloss(backend: str) -> Prepare:
    def prepare(p: Clouds, scaling: float, threads: int) -> Callable[[], Any]:
        import torch
        from geomloss import SamplesLoss

        torch.set_num_threads(threads)
        loss = SamplesLoss(
            "sinkhorn", p=2, blur=float(np.sqrt(p.eps / 2)), scaling=scaling, backend=backend, truncate=25
        )
        a, X, b, Y = (torch.from_numpy(x) for x in (p.a, p.X, p.b, p.Y))
        return lambda: 2 * float(loss(a, X, b, Y))

    return prepare


def _divergence_error(p: Clouds, value: Any) -> float:
    from lapwing import ot

    best = ot.sinkhorn_divergence(p.X, p.Y, p.a, p.b, reg=p.eps, tol=1e-11, max_iter=MANY)
    assert best.converged
    return abs(float(value) - best.value) / best.value


SCALINGS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
POT, OTT = ("ot",), ("ott",)

CASES: dict[str, Case] = {
    "unbalanced": Case(
        "unbalanced, KL, ρ = median, second side 1.5 times as heavy",
        1e-6,
        "L1 distance of the plan to what its marginals imply, over its mass",
        lambda n, d: Clouds.make(n, d, extra=1.0, total=1.5),
        _unbalanced_error,
        {
            "lapwing": Solver((), TIGHT, _unbalanced_lapwing),
            "POT sinkhorn": Solver(POT, TIGHT, _unbalanced_pot("sinkhorn")),
            "POT sinkhorn_stabilized": Solver(POT, TIGHT, _unbalanced_pot("sinkhorn_stabilized")),
            "POT translation invariant": Solver(
                POT, TIGHT, _unbalanced_pot("sinkhorn_translation_invariant")
            ),
            "OTT-JAX": Solver(OTT, TIGHT, _unbalanced_ott),
        },
    ),
    "partial": Case(
        "partial, mass 0.6",
        1e-6,
        "L1 distance to the optimal plan, over the mass",
        lambda n, d: Clouds.make(n, d),
        _partial_error,
        {
            "lapwing": Solver((), TIGHT, _partial_lapwing),
            "POT sinkhorn": Solver(POT, TIGHT, _partial_pot("sinkhorn")),
            "POT sinkhorn_log": Solver(POT, TIGHT, _partial_pot("sinkhorn_log")),
        },
    ),
    "barycentre": Case(
        "barycentre of 4 images",
        1e-6,
        "L1 distance to the barycentre",
        _histograms,
        _barycenter_error,
        {
            "lapwing": Solver((), TIGHT, _barycenter_lapwing),
            "lapwing, on the grid": Solver((), TIGHT, _barycenter_lapwing_on_grid),
            "POT sinkhorn": Solver(POT, TIGHT, _barycenter_pot("sinkhorn")),
            "POT sinkhorn_log": Solver(POT, TIGHT, _barycenter_pot("sinkhorn_log")),
            "POT convolutional": Solver(POT, TIGHT, _barycenter_pot_convolution("sinkhorn")),
            "POT convolutional, log": Solver(POT, TIGHT, _barycenter_pot_convolution("sinkhorn_log")),
        },
    ),
    "divergence": Case(
        "Sinkhorn divergence",
        1e-4,
        "relative error of the value",
        lambda n, d: Clouds.make(n, d),
        _divergence_error,
        {
            "lapwing": Solver((), (1e-1, 1e-2, *TIGHT), _divergence_lapwing),
            "POT": Solver(POT, (1e-1, 1e-2, *TIGHT), _divergence_pot),
            "OTT-JAX": Solver(OTT, (1e-1, 1e-2, *TIGHT), _divergence_ott),
            "GeomLoss tensorized": Solver(("geomloss",), SCALINGS, _divergence_geomloss("tensorized")),
            "GeomLoss online (KeOps)": Solver(
                ("geomloss", "pykeops"), SCALINGS, _divergence_geomloss("online")
            ),
            "GeomLoss multiscale (KeOps)": Solver(
                ("geomloss", "pykeops"), SCALINGS, _divergence_geomloss("multiscale")
            ),
        },
    ),
}


def _timed(run: Callable[[], Any], error: Callable[[Any], float]) -> Callable[[], dict[str, float]]:
    """What the worker calls: time `run`, and measure what the first call returned."""
    found: list[float] = []

    def again() -> dict[str, float]:
        start = time.perf_counter()
        answer = run()
        seconds = time.perf_counter() - start
        if not found:
            found.append(error(answer))
        return {"seconds": seconds, "error": found[0]}

    return again


def prepare_variant(case: str, n: int, d: int, solver: str, setting: float, threads: int) -> Any:
    chosen = CASES[case]
    problem, small = chosen.build(n, d), chosen.build(64, d)
    # Loads the libraries and starts their threads; what is compiled for a size is compiled in `prepare`.
    _quiet(chosen.solvers[solver].prepare(small, chosen.solvers[solver].ladder[0], threads))()
    run = _quiet(chosen.solvers[solver].prepare(problem, setting, threads))
    return _timed(run, _quiet_error(chosen, problem))


def _quiet_error(case: Case, problem: Any) -> Callable[[Any], float]:
    def error(answer: Any) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.error(problem, answer)

    return error


# -- batches ------------------------------------------------------------------------------------------------


def _batch_lapwing(plans: bool) -> Any:
    def prepare(C: Any, eps: float, iterations: int, threads: int) -> Callable[[], Any]:
        from lapwing import ot

        def run() -> Any:
            found = ot.solve_batch(
                C, reg=eps, method="sinkhorn", acceleration=None, schedule=None, tol=1e-30,
                max_iter=iterations, n_jobs=threads,
            )  # fmt: skip
            return found.plan if plans else found

        return run

    return prepare


def _batch_pot(C: Any, eps: float, iterations: int, threads: int) -> Callable[[], Any]:
    from ot.batch import solve_batch

    return lambda: solve_batch(C, eps, max_iter=iterations, tol=0.0, grad="detach").plan


def _batch_pot_torch(C: Any, eps: float, iterations: int, threads: int) -> Callable[[], Any]:
    import torch
    from ot.batch import solve_batch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(C)
    return lambda: solve_batch(tensor, eps, max_iter=iterations, tol=0.0, grad="detach").plan


def _batch_pot_loop(method: str) -> Any:
    def prepare(C: Any, eps: float, iterations: int, threads: int) -> Callable[[], Any]:
        import ot

        n, m = C.shape[1:]
        a, b = np.full(n, 1 / n, C.dtype), np.full(m, 1 / m, C.dtype)
        return lambda: [
            ot.sinkhorn(a, b, c, eps, method=method, numItermax=iterations, stopThr=0.0, warn=False)
            for c in C
        ]

    return prepare


def _batch_torch(C: Any, eps: float, iterations: int, threads: int) -> Callable[[], Any]:
    """What one writes by hand: all problems at once, in logarithms."""
    import torch

    torch.set_num_threads(threads)
    costs = torch.from_numpy(C)
    count, n, m = C.shape

    def run() -> Any:
        K = costs * (-1 / eps)
        u, v = torch.zeros(count, n, 1), torch.zeros(count, 1, m)
        for _ in range(iterations):
            u = -np.log(n) - torch.logsumexp(K + v, 2, keepdim=True)
            v = -np.log(m) - torch.logsumexp(K + u, 1, keepdim=True)
        return torch.exp(K + u + v)

    return run


BATCHES: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), _batch_lapwing(False)),
    "lapwing, with the plans": ((), _batch_lapwing(True)),
    "POT solve_batch": (POT, _batch_pot),
    "POT solve_batch, torch": (("ot", "torch"), _batch_pot_torch),
    "POT sinkhorn_log, a loop": (POT, _batch_pot_loop("sinkhorn_log")),
    "POT sinkhorn, a loop": (POT, _batch_pot_loop("sinkhorn")),
    "PyTorch, log domain": (("torch",), _batch_torch),
}


def prepare_batch(count: int, n: int, solver: str, iterations: int, threads: int) -> Any:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(count, n, 2)), rng.normal(size=(count, n, 2)) + 1 / np.sqrt(2)
    C = np.stack([squared_distances(x, y) for x, y in zip(X, Y, strict=True)]).astype(np.float32)
    eps = 0.05 * float(np.median(C))
    prepare = BATCHES[solver][1]
    _quiet(prepare(C[:4], eps, iterations, threads))()

    def error(answer: Any) -> float:
        """The mean marginal error of the problems: iterations are equal, so it should be."""
        plans = np.stack([np.asarray(p) for p in getattr(answer, "plan", answer)]).astype(np.float64)
        rows, columns = np.abs(plans.sum(2) - 1 / n), np.abs(plans.sum(1) - 1 / n)
        return float((rows.sum(1) + columns.sum(1)).mean())

    return _timed(_quiet(prepare(C, eps, iterations, threads)), error)


def available(case: str, solver: str) -> bool:
    return installed(CASES[case].solvers[solver].needs)
