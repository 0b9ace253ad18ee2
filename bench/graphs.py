"""Graphs and clouds of points for the benchmarks of neighbours and eigenpairs, and the solvers that compete.

A solver is a function that is given the problem once (conversion to its own arrays, not timed) and returns
what is timed. Its answer is judged by residuals recomputed here, in float64, from the vectors it returns.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sla

K = 10
TOLERANCES = (1e-8, 1e-9, 1e-10)  # the next is tried where the residual of the one before is above 1e-8


def _path(m: int, closed: bool = False) -> Any:
    A = sp.diags_array([np.ones(m - 1)] * 2, offsets=[-1, 1], shape=(m, m)).tolil()
    if closed:
        A[0, m - 1] = A[m - 1, 0] = 1.0
    return A.tocsr()


def _product(*parts: Any) -> Any:
    """Cartesian product of graphs: grids and tori."""
    total = parts[0]
    for part in parts[1:]:
        total = sp.kron(total, sp.eye_array(part.shape[0])) + sp.kron(sp.eye_array(total.shape[0]), part)
    return total.tocsr()


def mixture(n: int, d: int) -> Any:
    rng = np.random.default_rng(0)
    centres = 1.5 * rng.normal(size=(10, d))
    return centres[rng.integers(10, size=n)] + rng.normal(size=(n, d))


def noisy_torus(n: int, d: int) -> Any:
    """A torus turned into d dimensions, with noise in all of them; float32."""
    rng = np.random.default_rng(0)
    s, t = rng.uniform(0, 2 * np.pi, size=(2, n))
    radius = 2 + 0.8 * np.cos(t)
    frame, _ = np.linalg.qr(rng.normal(size=(d, 3)))
    X = np.stack([radius * np.cos(s), radius * np.sin(s), 0.8 * np.sin(t)], axis=1) @ frame.T
    return (X + 0.1 * rng.normal(size=(n, d))).astype(np.float32)


def swiss_roll(n: int) -> Any:
    rng = np.random.default_rng(0)
    t, h = 1.5 * np.pi * (1 + 2 * rng.random(n)), 21 * rng.random(n)
    return np.column_stack([t * np.cos(t), h, t * np.sin(t)])


def geometric(n: int) -> Any:
    """Points of the unit square, 20 neighbours on average, the largest component."""
    from lapwing import graph

    X = np.random.default_rng(0).random((n, 2))
    A = graph.radius_graph(X, float(np.sqrt(20 / (np.pi * n))))
    A.data[:] = 1.0
    labels, _ = graph.components(A)
    keep = np.flatnonzero(labels == 0)
    return A[keep][:, keep]


def _neighbours(X: Any) -> Any:
    from lapwing import graph

    return graph.affinity(graph.knn_graph(X, 15, method="exact"))


GRAPHS: dict[str, Callable[[int], Any]] = {
    "grid": lambda n: _product(_path(round(n**0.5)), _path(round(n**0.5))),
    "torus, 3-D": lambda n: _product(*[_path(round(n ** (1 / 3)), closed=True)] * 3),
    "neighbours, swiss roll": lambda n: _neighbours(swiss_roll(n)),
    "neighbours, mixture in 20-D": lambda n: _neighbours(mixture(n, 20)),
    "random geometric, 2-D": geometric,
    "torus, 2-D": lambda n: _product(*[_path(round(n**0.5), closed=True)] * 2),
    "cycle": lambda n: _path(n, closed=True),
    "hypercube": lambda n: _product(*[_path(2)] * round(np.log2(n))),
    "complete bipartite": lambda n: sp.kron([[0.0, 1.0], [1.0, 0.0]], np.ones((n // 2, n // 2))).tocsr(),
}


def _torus_values(n: int, d: int) -> Any:
    m = round(n ** (1 / d))
    one = np.sort(2 * np.sin(np.pi * np.arange(m) / m) ** 2 / d)[: 2 * K]
    total = np.zeros(1)
    for _ in range(d):
        total = np.sort(np.add.outer(total, one).ravel())[: 2 * K]
    return total


#: name of a graph with repeated eigenvalues: the first of its normalised Laplacian, 0 among them
SPECTRA: dict[str, Callable[[int], Any]] = {
    "hypercube": lambda n: np.repeat([0.0, 2 / np.log2(n)], [1, round(np.log2(n))]),
    "torus, 3-D": lambda n: _torus_values(n, 3),
    "torus, 2-D": lambda n: _torus_values(n, 2),
    "cycle": lambda n: _torus_values(n, 1),
    "complete bipartite": lambda n: np.repeat([0.0, 1.0], [1, n - 2]),
}


def wrong(graph: str, n: int, values: list[float]) -> int:
    """How many of the wanted eigenvalues are not among `values`, copies counted."""
    expected, found = SPECTRA[graph](n)[1 : K + 1], list(values)
    missing = 0
    for value in expected:
        near = [x for x in found if abs(x - value) < 1e-7]
        missing += not near
        if near:
            found.remove(near[0])
    return missing


def normalised(W: Any) -> tuple[Any, Any]:
    """I - D^-1/2 W D^-1/2 and its null vector."""
    d = np.asarray(W.sum(axis=1)).ravel()
    s = sp.diags_array(1 / np.sqrt(d))
    return (sp.eye_array(W.shape[0]) - s @ W @ s).tocsr(), np.sqrt(d) / np.sqrt(d.sum())


# -- eigenpairs ---------------------------------------------------------------------------------------------


def _lapwing(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
    from lapwing.linalg import laplacian_eigs

    def run() -> Any:
        result = laplacian_eigs(W, K, tol=tol, n_jobs=threads)
        return result.values, result.vectors, f"{result.info['method']}: {result.info['reason']}"

    return run


def _arpack(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
    A = (2 * sp.eye_array(L.shape[0]) - L).tocsr()  # the small end is the large one of this: the fast mode

    def run() -> Any:
        values, vectors = sla.eigsh(A, K + 1, which="LA", tol=tol, v0=np.ones(len(null)))
        return 2 - values[::-1][1:], vectors[:, ::-1][:, 1:], ""

    return run


def _shift_invert(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
    def run() -> Any:
        sigma = -1e-5
        A = (L - sigma * sp.eye_array(L.shape[0])).tocsc()
        # SciPy's own sigma= takes the default order of columns, which is many times slower.
        lu = sla.splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        inverse = sla.LinearOperator(A.shape, lu.solve, dtype=np.float64)
        values, vectors = sla.eigsh(L, K + 1, sigma=sigma, OPinv=inverse, tol=0, v0=np.ones(len(null)))
        order = np.argsort(values)[1:]
        return values[order], vectors[:, order], ""

    return run


def _lobpcg(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
    import pyamg

    def run() -> Any:
        A = (L + 1e-8 * sp.eye_array(L.shape[0])).tocsr()
        levels = pyamg.smoothed_aggregation_solver(A, B=null[:, None].copy())
        X = np.random.default_rng(0).normal(size=(len(null), K + 2))
        values, vectors = sla.lobpcg(
            L, X, M=levels.aspreconditioner(), Y=null[:, None], tol=2 * tol, maxiter=500, largest=False
        )
        order = np.argsort(values)[:K]
        return values[order], vectors[:, order], ""

    return run


def _primme(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
    import primme

    def run() -> Any:
        values, vectors = primme.eigsh(L, K + 1, which="SA", tol=tol)
        order = np.argsort(values)[1:]
        return values[order], vectors[:, order], ""

    return run


def _sklearn(solver: str) -> Any:
    def prepare(W: Any, L: Any, null: Any, tol: float, threads: int) -> Any:
        from sklearn.manifold import spectral_embedding

        def run() -> Any:
            Y = spectral_embedding(
                W, n_components=K + 1, eigen_solver=solver, eigen_tol=tol, drop_first=False, random_state=0
            )
            vectors = Y[:, 1:] * null[:, None]  # it divides by the square roots of the degrees
            vectors /= np.linalg.norm(vectors, axis=0)
            values = np.einsum("ij,ij->j", vectors, L @ vectors)
            order = np.argsort(values)
            return values[order], vectors[:, order], ""

        return run

    return prepare


#: name: what must be installed, and the solver
EIGENSOLVERS: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), _lapwing),
    "SciPy ARPACK on 2 - L": ((), _arpack),
    "SciPy shift-invert (MMD)": ((), _shift_invert),
    "LOBPCG + pyamg": (("pyamg",), _lobpcg),
    "PRIMME": (("primme",), _primme),
    "scikit-learn, arpack": ((), _sklearn("arpack")),
    "scikit-learn, amg": (("pyamg",), _sklearn("amg")),
}


def installed(modules: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(name) for name in modules)


def prepare_eigenpairs(graph: str, n: int, solver: str, tol: float, threads: int) -> Any:
    """What the worker runs: build the graph and return the function to time."""
    W = sp.csr_matrix(GRAPHS[graph](n))
    L, null = normalised(W)
    run = EIGENSOLVERS[solver][1](W, L, null, tol, threads)

    def again() -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            values, vectors, how = run()
            seconds = time.perf_counter() - start
        residual = np.linalg.norm(L @ vectors - vectors * values, axis=0).max() / 2
        return {"seconds": seconds, "residual": float(residual), "values": [float(v) for v in values],
                "how": how, "edges": int(W.nnz // 2)}  # fmt: skip

    return again


# -- an embedding, from points ------------------------------------------------------------------------------


def _embedding_lapwing(X: Any, threads: int) -> Any:
    from lapwing import SpectralEmbedding

    return SpectralEmbedding(K, n_neighbors=NEIGHBORS, random_state=0, n_jobs=threads)


def _embedding_sklearn(solver: str) -> Any:
    def prepare(X: Any, threads: int) -> Any:
        from sklearn.manifold import SpectralEmbedding

        return SpectralEmbedding(
            K, affinity="nearest_neighbors", n_neighbors=NEIGHBORS, eigen_solver=solver, random_state=0,
            n_jobs=threads,
        )  # fmt: skip

    return prepare


EMBEDDINGS: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), _embedding_lapwing),
    "scikit-learn, arpack": ((), _embedding_sklearn("arpack")),
    "scikit-learn, lobpcg": ((), _embedding_sklearn("lobpcg")),
    "scikit-learn, amg": (("pyamg",), _embedding_sklearn("amg")),
}


def prepare_embedding(n: int, d: int, method: str, threads: int) -> Any:
    X = noisy_torus(n, d)

    def again() -> dict[str, Any]:
        model = EMBEDDINGS[method][1](X, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            Y = model.fit_transform(X)
            seconds = time.perf_counter() - start
        L, null = normalised(sp.csr_matrix(model.affinity_matrix_))  # each by its own weights
        vectors = Y * null[:, None]
        vectors /= np.linalg.norm(vectors, axis=0)
        values = np.einsum("ij,ij->j", vectors, L @ vectors)
        residual = np.linalg.norm(L @ vectors - vectors * values, axis=0).max() / 2
        return {"seconds": seconds, "residual": float(residual)}

    return again


# -- neighbours ---------------------------------------------------------------------------------------------

NEIGHBORS = 15


def cloud(n: int, d: int, dtype: str) -> Any:
    rng = np.random.default_rng(0)
    if d <= 8:
        return rng.random((n, d)).astype(dtype)
    return (rng.normal(size=(10, d))[rng.integers(10, size=n)] + rng.normal(size=(n, d))).astype(dtype)


def _knn_lapwing(X: Any, threads: int) -> Any:
    from lapwing import graph

    return lambda: graph.knn_graph(X, NEIGHBORS, method="exact", n_jobs=threads).indices.reshape(len(X), -1)


def _knn_sklearn(module: str) -> Any:
    def prepare(X: Any, threads: int) -> Any:
        search = importlib.import_module(module).NearestNeighbors(
            n_neighbors=NEIGHBORS, algorithm="kd_tree" if X.shape[1] <= 8 else "brute", n_jobs=threads
        )
        return lambda: search.fit(X).kneighbors(return_distance=False)

    return prepare


def _knn_faiss(X: Any, threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)

    def run() -> Any:
        index = faiss.IndexFlatL2(X.shape[1])
        index.add(X)
        return index.search(X, NEIGHBORS + 1)[1][:, 1:]

    return run


def _knn_scipy(X: Any, threads: int) -> Any:
    from scipy.spatial import cKDTree

    return lambda: cKDTree(X).query(X, NEIGHBORS + 1, workers=threads)[1][:, 1:]


#: name: what must be installed, the largest dimension that it is for, and the search
SEARCHES: dict[str, tuple[tuple[str, ...], int, Any]] = {
    "lapwing": ((), 10**9, _knn_lapwing),
    "scikit-learn-intelex": (("sklearnex",), 10**9, _knn_sklearn("sklearnex.neighbors")),
    "faiss flat": (("faiss",), 10**9, _knn_faiss),
    "scikit-learn": ((), 10**9, _knn_sklearn("sklearn.neighbors")),
    "SciPy cKDTree": ((), 8, _knn_scipy),
}


def prepare_neighbors(n: int, d: int, dtype: str, search: str, threads: int) -> Any:
    X = np.ascontiguousarray(cloud(n, d, dtype))
    run = SEARCHES[search][2](X, threads)
    rows = np.random.default_rng(1).choice(n, size=min(n, 200), replace=False)
    wide = X.astype(np.float64)
    truth = []
    for i in rows:
        distance = ((wide - wide[i]) ** 2).sum(axis=1)
        distance[i] = np.inf
        truth.append(np.argpartition(distance, NEIGHBORS)[:NEIGHBORS])

    def again() -> dict[str, Any]:
        start = time.perf_counter()
        index = run()
        seconds = time.perf_counter() - start
        recall = np.mean([len(np.intersect1d(t, index[i])) for t, i in zip(truth, rows, strict=True)])
        return {"seconds": seconds, "recall": float(recall) / NEIGHBORS}

    return again
