"""One adapter per solver. Each runs in a process of its own with its threads pinned before any import.

An adapter is given the arrays once (`load`, not timed: conversion to the library's own arrays), then compiles
what it compiles (`prepare`, not timed), then solves (`solve`, timed). `iterate` makes k full iterations (a
row and a column update each, or what the library calls one) without acceleration or stopping.

How tolerances translate. The common yardstick is `problems.marginal_error`: L1, both sides. A solver that
stops on another norm is given the matching threshold, and a tighter one if its answer fails the yardstick
(`tighten`); one without a stopping rule is given the smallest number of iterations that passes.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from bench.problems import Answer, Form, Problem

MANY = 1_000_000  # iterations; the time cap ends a run before that


class Peer:
    """Base of the adapters."""

    name: ClassVar[str]
    package: ClassVar[str]
    forms: ClassVar[tuple[Form, ...]] = ("dense", "cloud")
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
    tighten: ClassVar[tuple[float, ...]] = (1.0, 0.5, 0.2)
    searched: ClassVar[bool] = False  # no stopping rule: the harness looks for the number of iterations
    solves: ClassVar[bool] = True
    iterates: ClassVar[bool] = True
    multiple: ClassVar[int] = 1  # iterations come in multiples of this
    everywhere: ClassVar[bool] = True  # False: only in groups that name it
    dimensions: ClassVar[int] = 10**9  # at most

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @classmethod
    def version(cls) -> str:
        return importlib.metadata.version(cls.package)

    def load(self, problem: Problem) -> None:
        self.problem = problem

    def prepare(self, tol: float) -> None:
        """Compile for `solve`."""

    def prepare_iterate(self, k: int) -> None:
        """Compile for `iterate`."""

    def solve(self, tol: float) -> Any:
        raise NotImplementedError(f"{self.name} has no timed solve")

    def iterate(self, k: int) -> Any:
        raise NotImplementedError(f"{self.name} has no plain iteration")

    def answer(self, raw: Any) -> Answer:
        """Turn what `solve` or `iterate` returned into an answer; not timed."""
        raise NotImplementedError

    def _potentials(self, iterations: int, f: Any, g: Any, *, weighted: bool) -> Answer:
        p = self.problem
        u, v = np.asarray(f, dtype=np.float64) / p.eps, np.asarray(g, dtype=np.float64) / p.eps
        if not weighted:
            u, v = u + np.log(p.a.astype(np.float64)), v + np.log(p.b.astype(np.float64))
        return Answer(iterations, u, v)


# -- lapwing ------------------------------------------------------------------------------------------------


class Lapwing(Peer):
    name = "lapwing"
    package = "lapwing"

    def _call(self, **options: Any) -> Any:
        from lapwing import ot

        p = self.problem
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if p.C is not None:
                return ot.solve(p.C, p.a, p.b, reg=p.eps, n_jobs=self.threads, **options)
            return ot.solve_sample(p.X, p.Y, p.a, p.b, reg=p.eps, n_jobs=self.threads, **options)

    def solve(self, tol: float) -> Any:
        return self._call(tol=tol, max_iter=MANY, **self.options)

    def iterate(self, k: int) -> Any:
        return self._call(tol=1e-300, max_iter=k, schedule=None, acceleration=None)

    def answer(self, raw: Any) -> Answer:
        return self._potentials(raw.n_sweeps, *raw.potentials, weighted=False)

    options: ClassVar[dict[str, Any]] = {}


class LapwingAnderson(Lapwing):
    name = "lapwing, anderson"
    everywhere = False
    iterates = False
    options: ClassVar[dict[str, Any]] = {"method": "sinkhorn"}


class LapwingPlain(Lapwing):
    """After the same ε-scaling."""

    name = "lapwing, plain"
    everywhere = False
    iterates = False
    options: ClassVar[dict[str, Any]] = {"method": "sinkhorn", "acceleration": None}


class Prototype(Peer):
    """The plain reference program, if LAPWING_BENCH_FLOOR names its library: what a sweep can cost here."""

    name = "prototype"
    package = ""
    solves = False

    @classmethod
    def version(cls) -> str:
        return "-"

    @staticmethod
    def path() -> str | None:
        return os.environ.get("LAPWING_BENCH_FLOOR")

    def load(self, problem: Problem) -> None:
        super().load(problem)
        path = self.path()
        assert path is not None
        library = ctypes.CDLL(os.path.abspath(path))
        library.set_threads(self.threads)
        self._solve = library.solve32 if problem.spec.dtype == "float32" else library.solve64
        self._solve.restype = ctypes.c_int64
        pointer = ctypes.c_void_p
        self._solve.argtypes = [
            ctypes.c_int, ctypes.c_int64, ctypes.c_int64, pointer, pointer, pointer, ctypes.c_int,
            ctypes.c_double, pointer, pointer, pointer, pointer, ctypes.c_int64, ctypes.c_double, pointer,
            ctypes.c_int,
        ]  # fmt: skip

    def iterate(self, k: int) -> Any:
        p = self.problem
        mode = 0 if p.C is not None else 1 if p.spec.d <= 8 else 2
        f, g = np.zeros_like(p.a), np.zeros_like(p.b)
        arrays = [None if x is None else x.ctypes.data for x in (p.C, p.X, p.Y)]
        weights = [x.ctypes.data for x in (p.a, p.b, f, g)]
        self._solve(mode, len(f), len(g), *arrays, p.spec.d, p.eps, *weights, k, 0.0, None, 0)
        return k, f, g

    def answer(self, raw: Any) -> Answer:
        k, f, g = raw  # log2 of the scalings, weights included
        return Answer(k, f.astype(np.float64) * np.log(2), g.astype(np.float64) * np.log(2))


# -- POT ----------------------------------------------------------------------------------------------------


class PotLog(Peer):
    name = "POT sinkhorn_log"
    package = "POT"
    function = "sinkhorn_log"

    def _call(self, k: int, stop: float) -> Any:
        import ot

        p = self.problem
        C = ot.dist(p.X, p.Y) if p.C is None else p.C
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = getattr(ot.bregman, self.function)
            return function(p.a, p.b, C, p.eps, numItermax=k, stopThr=stop, log=True, warn=False)

    def solve(self, tol: float) -> Any:
        # It stops on the L2 norm of one marginal; sqrt(n) times that bounds the L1 norm, not tightly: 1.2.
        return self._call(MANY, 1.2 * tol / np.sqrt(len(self.problem.a)))

    def iterate(self, k: int) -> Any:
        return self._call(k, 0.0)

    def answer(self, raw: Any) -> Answer:
        _, log = raw
        return Answer(int(log["niter"]) + 1, log["log_u"], log["log_v"])


class PotKernel(PotLog):
    name = "POT sinkhorn"
    function = "sinkhorn_knopp"

    def answer(self, raw: Any) -> Answer:
        _, log = raw
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = np.log(log["u"].astype(np.float64)), np.log(log["v"].astype(np.float64))
        return Answer(int(log["niter"]) + 1, u, v)


class PotStabilized(PotLog):
    name = "POT sinkhorn_stabilized"
    function = "sinkhorn_stabilized"

    def answer(self, raw: Any) -> Answer:
        _, log = raw
        return Answer(int(log["n_iter"]), log["logu"], log["logv"])


# -- OTT-JAX ------------------------------------------------------------------------------------------------


class Ott(Peer):
    """Compiled beforehand. float64 needs jax_enable_x64, under which its momentum refuses float32."""

    name = "OTT-JAX"
    package = "ott-jax"
    multiple = 10  # between two looks at the error

    def load(self, problem: Problem) -> None:
        super().load(problem)
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", problem.spec.dtype == "float64")
        arrays = (problem.C,) if problem.C is not None else (problem.X, problem.Y)
        self.arrays = tuple(jax.numpy.asarray(x) for x in (*arrays, problem.a, problem.b))
        self.compiled: dict[Any, Callable[..., Any]] = {}

    def options(self) -> dict[str, Any]:
        return {}

    def _compile(self, key: Any, **options: Any) -> None:
        if key in self.compiled:
            return
        import jax
        from ott.geometry import geometry, pointcloud
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn

        solver = sinkhorn.Sinkhorn(**options)
        eps = self.problem.eps

        def run(*arrays: Any) -> Any:
            *points, a, b = arrays
            if len(points) == 1:
                geom = geometry.Geometry(cost_matrix=points[0], epsilon=eps)
            else:
                geom = pointcloud.PointCloud(*points, epsilon=eps)
            out = solver(linear_problem.LinearProblem(geom, a, b))
            return out.f, out.g, out.n_iters

        self.compiled[key] = jax.jit(run).lower(*self.arrays).compile()

    def prepare(self, tol: float) -> None:
        self._compile(("solve", tol), threshold=tol, max_iterations=MANY, **self.options())

    def prepare_iterate(self, k: int) -> None:
        self._compile(("iterate", k), threshold=0.0, min_iterations=k, max_iterations=k, **self.options())

    def solve(self, tol: float) -> Any:
        import jax

        return jax.block_until_ready(self.compiled["solve", tol](*self.arrays))

    def iterate(self, k: int) -> Any:
        import jax

        return jax.block_until_ready(self.compiled["iterate", k](*self.arrays))

    def answer(self, raw: Any) -> Answer:
        f, g, iterations = raw
        return self._potentials(int(iterations), f, g, weighted=True)


class OttKernel(Ott):
    """Its scaling (kernel) mode: cheaper iterations, no protection against underflow."""

    name = "OTT-JAX kernel"

    def options(self) -> dict[str, Any]:
        return {"lse_mode": False}


class OttMomentum(Ott):
    """Its adaptive momentum, after Lehmann and others, from the first iteration at which it can start."""

    name = "OTT-JAX momentum"
    iterates = False

    def options(self) -> dict[str, Any]:
        from ott.solvers.linear import acceleration

        return {"momentum": acceleration.Momentum(start=20)}


class OttAnderson(Ott):
    """Its Anderson acceleration; with its default ridge (1e-2) it takes nearly twice the iterations."""

    name = "OTT-JAX Anderson"
    iterates = False

    def options(self) -> dict[str, Any]:
        from ott.solvers.linear import acceleration

        ridge = 1e-8 if self.problem.spec.dtype == "float64" else 1e-5
        return {"anderson": acceleration.AndersonAcceleration(memory=5, ridge_identity=ridge)}


# -- GeomLoss -----------------------------------------------------------------------------------------------


class GeomLoss(Peer):
    """Dense ("tensorized"). No stopping rule: a fixed schedule, then as many iterations as it takes."""

    name = "GeomLoss tensorized"
    package = "geomloss"
    searched = True
    lazy = False

    def load(self, problem: Problem) -> None:
        super().load(problem)
        import torch

        torch.set_num_threads(self.threads)
        self.X, self.Y, self.a, self.b = (
            torch.from_numpy(x) for x in (problem.X, problem.Y, problem.a, problem.b)
        )
        self.C = None if problem.C is None else torch.from_numpy(problem.C)

    def _call(self, k: int, scaling: float) -> Any:
        from geomloss.ot import _abstract_solvers as loops
        from geomloss.ot._implementations import matrix, sample

        p = self.problem
        kind = "lazy" if self.lazy else "dense"
        C = self.C if self.C is not None else sample.squared_distances(self.X, self.Y, matrix_type=kind)
        if self.lazy:
            transposed = sample.squared_distances(self.Y, self.X, matrix_type=kind)
            softmin = sample.softmin_sample
            log_a, log_b, f0 = self.a.log(), self.b.log(), 0
        else:
            transposed, softmin = C.T[None], matrix.softmin_dense
            C, log_a, log_b, f0 = C[None], self.a.log()[None], self.b.log()[None], (0, slice(None))
        span = float(loops.max_diameter(self.X, self.Y)) ** 2
        found = loops.sinkhorn_loop(
            softmin=softmin,
            log_a_list=[log_a],
            log_b_list=[log_b],
            C_list=[sample.CostMatrices(xy=C, yx=transposed, xx=None, yy=None)],
            descent=loops.annealing_parameters(maxmin_cost=span, eps=p.eps, n_iter=k, scaling=scaling),
            debias=False,
            last_extrapolation=True,
        )
        select = (lambda x: x) if f0 == 0 else (lambda x: x[f0])
        return k, select(found.f_ba), select(found.g_ab)

    def solve(self, tol: float) -> Any:
        return self._call(int(tol), 0.25)  # searched: the harness passes the number of iterations

    def iterate(self, k: int) -> Any:
        return self._call(k, 1.0)

    def answer(self, raw: Any) -> Answer:
        k, f, g = raw
        return self._potentials(k, f.numpy(), g.numpy(), weighted=False)


class GeomLossOnline(GeomLoss):
    """Matrix-free through KeOps, whose kernels are compiled by a first call."""

    name = "GeomLoss online (KeOps)"
    forms = ("cloud",)
    lazy = True

    def load(self, problem: Problem) -> None:
        super().load(problem)
        import pykeops

        pykeops.set_verbose(False)

    def prepare(self, tol: float) -> None:
        self._warm()

    def prepare_iterate(self, k: int) -> None:
        self._warm()

    def _warm(self) -> None:
        X, Y, a, b = self.X, self.Y, self.a, self.b
        self.X, self.Y = X[:64], Y[:64]
        self.a = self.b = a[:64] / a[:64].sum()
        self._call(2, 0.25)
        self.X, self.Y, self.a, self.b = X, Y, a, b


class GeomLossMultiscale(GeomLossOnline):
    """Its two scales: coarse clusters first, then block-sparse, leaving out blocks of terms below exp(-25).

    With its own schedule alone it makes one iteration at the regularisation asked for; here it may make more.
    """

    name = "GeomLoss multiscale (KeOps)"
    iterates = False
    dimensions = 3
    truncate = 25

    def _call(self, k: int, scaling: float) -> Any:
        from geomloss._legacy import sinkhorn_samples as legacy
        from geomloss.ot import _abstract_solvers as loops

        eps = self.problem.eps / 2  # of half the squared distance
        span = float(loops.max_diameter(self.X, self.Y))
        schedule = [max(span**2 * 0.25**i, eps) for i in range(max(k, 2))]
        original = legacy.scaling_parameters
        legacy.scaling_parameters = lambda *_: (span, eps, schedule, None)
        try:
            f, g = legacy.sinkhorn_multiscale(
                self.a, self.X, self.b, self.Y, truncate=self.truncate, debias=False, potentials=True
            )
        finally:
            legacy.scaling_parameters = original
        return k, 2 * f, 2 * g


# -- RegOT --------------------------------------------------------------------------------------------------


class RegOt(Peer):
    """Block coordinate descent is plain Sinkhorn. float64 only; the matrix in column order, given so."""

    name = "RegOT bcd"
    package = "regot"
    dtypes = ("float64",)
    tighten = (1.0, 0.3, 0.1, 0.03)
    function = "sinkhorn_bcd"

    def load(self, problem: Problem) -> None:
        super().load(problem)
        self.C = None if problem.C is None else np.asfortranarray(problem.C)

    def _call(self, k: int, tol: float) -> Any:
        import regot

        p = self.problem
        C = np.asfortranarray(p.cost()) if self.C is None else self.C
        return getattr(regot, self.function)(C, p.a, p.b, p.eps, tol=tol, max_iter=k)

    def solve(self, tol: float) -> Any:
        return self._call(MANY, tol)

    def iterate(self, k: int) -> Any:
        return self._call(k, 0.0)

    def answer(self, raw: Any) -> Answer:
        return Answer(int(raw.niter), plan=np.asarray(raw.plan))


class RegOtNewton(RegOt):
    """Its safe and sparse Newton method."""

    name = "RegOT ssns"
    function = "sinkhorn_ssns"
    iterates = False


class RegOtSplr(RegOt):
    """Its sparse-plus-low-rank quasi-Newton method."""

    name = "RegOT splr"
    function = "sinkhorn_splr"
    iterates = False


PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Lapwing, LapwingAnderson, LapwingPlain, Prototype, PotLog, PotKernel, PotStabilized, Ott, OttKernel,
        OttMomentum, OttAnderson, GeomLoss, GeomLossOnline, GeomLossMultiscale, RegOt, RegOtNewton, RegOtSplr,
    )
}  # fmt: skip


def available(name: str) -> bool:
    """Whether the peer's package is installed (the prototype: whether its path is set)."""
    if name == Prototype.name:
        return Prototype.path() is not None
    try:
        PEERS[name].version()
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
