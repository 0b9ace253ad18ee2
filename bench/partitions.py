"""Graphs and partitioners for the benchmarks of balanced cuts, and methods for the Fiedler vector.

A partitioner is a function that is given the graph once (conversion to its own arrays, not timed) and returns
what is timed, a function of the number of parts and the seed. Cut and balance are recomputed here, from the
labels.

The environment variable LAPWING_BENCH_GRAPHS names a folder of METIS files (4elt.graph, delaunay_n15.graph,
rgg_n_2_15_s0.graph); without it those rows are left out.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from bench.graphs import _path, _product

IMBALANCE = 0.03


def folder() -> Path | None:
    name = os.environ.get("LAPWING_BENCH_GRAPHS")
    return Path(name) if name else None


def _from_pairs(pairs: Any, n: int) -> Any:
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    A = sp.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return (A + A.T).tocsr()


def _giant(A: Any) -> Any:
    from lapwing import graph

    labels, _ = graph.components(A)
    keep = np.flatnonzero(labels == 0)
    return A[keep][:, keep]


def delaunay(n: int, seed: int) -> Any:
    from scipy.spatial import Delaunay

    t = Delaunay(np.random.default_rng(seed).random((n, 2))).simplices
    return _from_pairs(np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [0, 2]]]), n)


def geometric(n: int, seed: int) -> Any:
    from scipy.spatial import cKDTree

    X = np.random.default_rng(seed).random((n, 2))
    radius = 0.55 * np.sqrt(np.log(n) / n)
    return _giant(_from_pairs(cKDTree(X).query_pairs(radius, output_type="ndarray"), n))


def planted(n: int, inside: float, across: float) -> Any:
    rng, half, pairs = np.random.default_rng(0), n // 2, []
    for first in (0, half):
        m = rng.binomial(half * (half - 1) // 2, inside)
        pairs.append(rng.integers(0, half, (m, 2)) + first)
    m = rng.binomial(half * half, across)
    pairs.append(np.stack([rng.integers(0, half, m), rng.integers(0, half, m) + half], axis=1))
    return _giant(_from_pairs(np.concatenate(pairs), n))


def preferential(n: int, m: int) -> Any:
    import networkx as nx

    return nx.to_scipy_sparse_array(nx.barabasi_albert_graph(n, m, seed=0), dtype=np.float64)


def _file(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from lapwing import graph

        place = folder()
        assert place is not None
        return _giant(sp.csr_array(graph.read_graph(place / f"{name}.graph").weights))

    return read


#: name: the graph
GRAPHS: dict[str, Callable[[], Any]] = {
    "grid 100 x 150": lambda: _product(_path(100), _path(150)),
    "4elt": _file("4elt"),
    "delaunay_n15": _file("delaunay_n15"),
    "rgg_n_2_15": _file("rgg_n_2_15_s0"),
    "Delaunay, 30 000": lambda: delaunay(30_000, 61),
    "geometric, 30 000": lambda: geometric(30_000, 62),
    "Delaunay, 100 000": lambda: delaunay(100_000, 0),
    "grid 60 x 60 x 62": lambda: _product(_path(60), _path(60), _path(62)),
    "planted, 20 000": lambda: planted(20_000, 0.002, 0.0006),
    "preferential, 50 000": lambda: preferential(50_000, 4),
    "grid 1000 x 1000": lambda: _product(_path(1000), _path(1000)),
    "Delaunay, 1 000 000": lambda: delaunay(1_000_000, 1),
}
FILES = ("4elt", "delaunay_n15", "rgg_n_2_15")
#: nodes, about
SIZES = dict(
    zip(
        GRAPHS,
        (15_000, 15_606, 32_768, 32_759, 30_000, 30_000, 100_000, 223_200, 20_000, 50_000, 10**6, 10**6),
        strict=True,
    )
)


# -- partitioners -------------------------------------------------------------------------------------------


def _lapwing(refine: str) -> Any:
    def prepare(A: Any, threads: int) -> Any:
        from lapwing import graph

        def run(k: int, seed: int) -> Any:
            return graph.partition(
                A,
                k,
                imbalance=IMBALANCE,
                method="multilevel",
                refine=refine,
                random_state=seed,
                n_jobs=threads,
            )[0]

        return run

    return prepare


def _metis(A: Any, threads: int) -> Any:
    import pymetis

    adjacency = pymetis.CSRAdjacency(adj_starts=A.indptr, adjacent=A.indices)

    def run(k: int, seed: int) -> Any:
        options = pymetis.Options(ufactor=round(1000 * IMBALANCE), seed=seed)
        return np.array(pymetis.part_graph(k, adjacency=adjacency, recursive=False, options=options)[1])

    return run


def _mtkahypar(A: Any, threads: int) -> Any:
    import mtkahypar

    library = mtkahypar.initialize(threads)
    upper = sp.triu(A, 1).tocoo()
    edges = list(zip(upper.row.tolist(), upper.col.tolist(), strict=True))
    ones = [1] * A.shape[0]
    context = library.context_from_preset(mtkahypar.PresetType.QUALITY)
    context.logging = False
    G = library.create_graph(context, A.shape[0], len(edges), edges, ones, [1] * len(edges))

    def run(k: int, seed: int) -> Any:
        mtkahypar.set_seed(seed)
        context.set_partitioning_parameters(k, IMBALANCE, mtkahypar.Objective.CUT)
        return np.array(G.partition(context).get_partition())

    return run


def _kahip(A: Any, threads: int) -> Any:
    import kahip

    lists = [1] * A.shape[0], A.indptr.tolist(), [1] * A.nnz, A.indices.tolist()
    strong = 2

    def run(k: int, seed: int) -> Any:
        return np.array(kahip.kaffpa(*lists, k, IMBALANCE, True, seed, strong)[1])

    return run


def _networkx(A: Any, threads: int) -> Any:
    import networkx as nx

    G = nx.from_scipy_sparse_array(A)

    def run(k: int, seed: int) -> Any:  # two parts: the median of the Fiedler vector
        v = nx.fiedler_vector(G, method="tracemin_lu", seed=seed)
        labels = np.zeros(len(v), np.int32)
        labels[np.argsort(v, kind="stable")[len(v) // 2 :]] = 1
        return labels

    return run


def _sklearn(A: Any, threads: int) -> Any:
    from sklearn.cluster import spectral_clustering

    W = sp.csr_matrix(A)

    def run(k: int, seed: int) -> Any:
        return spectral_clustering(
            W, n_clusters=k, eigen_solver="amg", assign_labels="cluster_qr", random_state=seed
        )

    return run


#: name: what must be installed, the seeds, the most parts, the most nodes, and the partitioner
PARTITIONERS: dict[str, tuple[tuple[str, ...], int, int, int, Any]] = {
    "lapwing": ((), 3, 64, 10**9, _lapwing("flow")),
    "lapwing, fm": ((), 3, 64, 10**9, _lapwing("fm")),
    "METIS": (("pymetis",), 10, 64, 10**9, _metis),
    "Mt-KaHyPar": (("mtkahypar",), 3, 64, 10**9, _mtkahypar),
    "KaHIP strong": (("kahip",), 3, 64, 250_000, _kahip),
    "networkx": (("networkx",), 1, 2, 50_000, _networkx),
    "scikit-learn": (("sklearn", "pyamg"), 1, 64, 150_000, _sklearn),
}


def prepare_partition(graph: str, k: int, partitioner: str, seeds: int, budget: float, threads: int) -> Any:
    """What the worker runs: every seed once, as far as a budget of seconds goes."""
    A = sp.csr_array(GRAPHS[graph]())
    A.sort_indices()
    n = A.shape[0]
    source = np.repeat(np.arange(n), np.diff(A.indptr))
    run = PARTITIONERS[partitioner][4](A, threads)

    def again() -> dict[str, Any]:
        cuts, times, worst = [], [], 0.0
        for seed in range(seeds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                start = time.perf_counter()
                labels = run(k, seed)
                times.append(time.perf_counter() - start)
            cuts.append(float(A.data[labels[source] != labels[A.indices]].sum() / 2))
            heaviest = np.bincount(labels, minlength=k).max()
            worst = max(worst, float(heaviest / np.ceil(n / k) - 1))
            if sum(times) > budget:
                break
        return {"cuts": cuts, "times": times, "imbalance": worst, "nodes": n, "edges": A.nnz // 2}

    return again


# -- the Fiedler vector -------------------------------------------------------------------------------------


def _fiedler_lapwing(A: Any, threads: int) -> Any:
    from lapwing import graph

    return lambda: graph.fiedler_vector(A, n_jobs=threads).vector


def _fiedler_networkx(method: str) -> Any:
    def prepare(A: Any, threads: int) -> Any:
        import networkx as nx

        G = nx.from_scipy_sparse_array(A)
        return lambda: nx.fiedler_vector(G, method=method, seed=0)

    return prepare


FIEDLER: dict[str, tuple[tuple[str, ...], Any]] = {
    "lapwing": ((), _fiedler_lapwing),
    **{
        f"networkx, {method}": (("networkx",), _fiedler_networkx(method))
        for method in ("tracemin_lu", "tracemin_pcg", "lanczos", "lobpcg")
    },
}


def prepare_fiedler(graph: str, method: str, threads: int) -> Any:
    """What the worker runs; the angle is to a vector from an exact factorisation."""
    from lapwing.linalg import laplacian_eigs

    A = sp.csr_array(GRAPHS[graph]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = laplacian_eigs(A, 2, normalization=None, method="cholesky", tol=1e-13).vectors[:, 0]
    run = FIEDLER[method][1](A, threads)

    def again() -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            v = run()
            seconds = time.perf_counter() - start
        v = v / np.linalg.norm(v)
        return {
            "seconds": seconds,
            "angle": float(np.linalg.norm(v - exact * (exact @ v))),
            "nodes": A.shape[0],
        }

    return again
