"""Eigenpairs of graph Laplacians."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _graphs, _threads, _validate
from lapwing._graphs import Graph
from lapwing._progress import Callback, Progress, time_limited
from lapwing.exceptions import ConvergenceError, ConvergenceWarning, DisconnectedGraphWarning
from lapwing.linalg import _canonical
from lapwing.linalg._result import EigenResult

__all__ = ["METHODS", "count_below", "laplacian_eigs"]

METHODS = ("auto", "dense", "approxchol", "cholesky", "chebyshev", "lanczos")
#: Nodes (isolated ones aside) up to which all eigenpairs are computed at once.
DENSE_NODES = 1500


def laplacian_eigs(
    W: Any,
    k: int = 6,
    *,
    normalization: str | None = "sym",
    drop_null: bool = True,
    method: str = "auto",
    tol: float = 1e-8,
    accuracy: str = "residual",
    tol_vec: float = 1e-7,
    X0: Any = None,
    verify: bool = True,
    certify: bool = False,
    canonical: bool = True,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    max_memory: float | None = None,
    callback: Callback | None = None,
    time_limit: float | None = None,
    verbose: int = 0,
    on_fail: str = "warn",
) -> EigenResult:
    """Smallest eigenpairs of a graph Laplacian beyond its null space.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n). A diagonal (self loops) has no effect.
    k : int, default=6
        Number of non-trivial pairs: at most n less the number of connected components.
    normalization : {"sym", "rw", None}, default="sym"
        ``I - D^-1/2 W D^-1/2``; the random walk's ``I - D^-1 W``, with its right eigenvectors z scaled to
        ``zᵀ D z = 1``; or ``D - W``. An isolated node has a zero row in each of them.
    drop_null : bool, default=True
        Leave the null space out. False: one vector for each connected component comes first, the largest
        component before the others.
    method : {"auto", "dense", "approxchol", "cholesky", "chebyshev", "lanczos"}, default="auto"
        dense: LAPACK on the whole matrix. approxchol: block Davidson with an approximate Cholesky factor as
        its preconditioner. cholesky: block Lanczos on the pseudo-inverse, from an exact sparse factorisation.
        chebyshev: block Davidson by Chebyshev polynomials of the Laplacian. lanczos: block Lanczos on the
        Laplacian itself.
        Auto: dense up to 1500 nodes, or where k is more than an eighth of them; else cholesky or approxchol,
        whichever a model of their costs says is faster, where the graph is laid out as in a plane, chebyshev
        where it is an expander, and approxchol in between. ``info["reason"]`` says what decided.
    tol : float, default=1e-8
        Largest residual ``‖A v - λ v‖ / ‖A‖``, where ``‖A‖`` is a bound on the norm (2 for "sym").
    accuracy : {"residual", "relative"}, default="residual"
        "relative": also the residual times an approximate inverse must be at most `tol_vec`, so that vectors
        of eigenvalues far below `tol` are right as well (long paths, nearly disconnected graphs). Needs a
        method with a factorisation: approxchol or cholesky, which auto then chooses between.
    tol_vec : float, default=1e-7
        For ``accuracy="relative"``.
    X0 : array of shape (n, j) or None, default=None
        Vectors to start from, such as those of a similar graph, for approxchol and chebyshev; what is missing
        to the width of the block is random, what is beyond it is left out.
    verify : bool, default=True
        For the Lanczos methods, whose narrow blocks may miss copies of an eigenvalue: look for more pairs
        among what is orthogonal to those found, until there is none.
    certify : bool, default=False
        Count the eigenvalues below the last ones found, by an exact factorisation that knows nothing of how
        they were found (Sylvester's law of inertia), and say in ``info["certified"]`` whether there are as
        many as were found: True, False, or None where it could not be told, which a warning explains.
    canonical : bool, default=True
        Choose the signs of the vectors, and the basis of equal eigenvalues, independently of how they were
        found.
    random_state : int, numpy generator or None, default=0
        Of the start and of the preconditioner.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.
    max_memory : float or None
        Bytes that an exact factorisation (``method="cholesky"``, `certify`) may take; None: half of the
        machine's memory.
    callback : callable or None
        Called after every iteration with ``stage``, ``iteration``, ``error`` (the largest residual) and
        ``elapsed``; returning True stops the run, which returns what it has.
    time_limit : float or None
        Seconds after which the run stops, as if the callback had said so.
    verbose : int, default=0
        Above 0: a progress bar.
    on_fail : {"warn", "raise"}, default="warn"
        What to do when the tolerance is not reached.

    Returns
    -------
    EigenResult

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    MemoryError
        The exact factorisation would take more than `max_memory`; nothing was allocated.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    DisconnectedGraphWarning
        The graph has more than one component.
    ConvergenceWarning
        The tolerance was not reached; the result carries the residuals. Or `certify` counted more eigenvalues
        than were found.
    UserWarning
        A vector is poorly determined, k cuts through a group of equal eigenvalues, or `certify` could not
        tell.

    Notes
    -----
    The null space is known exactly (one vector for each component) and takes no part in the iteration. The
    products are taken in edge form, ``sum_j w_ij (x_i - x_j)``, in which nothing cancels.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.linalg import laplacian_eigs
    >>> path = np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1)
    >>> laplacian_eigs(path, 2, normalization=None).values.round(6).tolist()
    [0.381966, 1.381966]
    """
    threads = _threads.resolve(n_jobs)
    seed = _validate.check_seed(random_state)
    form = _validate.check_choice(normalization, "normalization", ("sym", "rw", None))
    how = _validate.check_choice(method, "method", METHODS)
    tol = _validate.check_positive(tol, "tol")
    relative = _validate.check_choice(accuracy, "accuracy", ("residual", "relative")) == "relative"
    tol_vec = _validate.check_positive(tol_vec, "tol_vec")
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    limit = None if time_limit is None else _validate.check_positive(time_limit, "time_limit")
    memory = memory_limit() if max_memory is None else _validate.check_positive(max_memory, "max_memory")
    graph = _graphs.as_graph(W)
    start = time.perf_counter()
    labels, sizes = _backend.extension().components(*graph.csr)
    room = graph.n - len(sizes)
    if room == 0:
        raise ValueError("W has no edges: every node is its own component")
    k = _validate.check_integer(k, "k", 1, room)
    if len(sizes) > 1:
        largest = ", ".join(str(int(s)) for s in sizes[:3])
        warnings.warn(
            f"the graph has {len(sizes)} connected components (the largest have {largest} nodes): its null "
            "space has as many dimensions",
            DisconnectedGraphWarning,
            stacklevel=_caller.level(),
        )
    active = int(sizes[sizes > 1].sum())
    if relative and how in ("dense", "chebyshev", "lanczos"):
        raise ValueError(f"accuracy='relative' needs a method with a factorisation, got method={how!r}")
    how, reason = _choose(how, active, k, relative)
    degrees = graph.degrees
    start_vectors = _start(X0, graph.n, degrees if form == "rw" else None)
    with Progress(time_limited(callback, limit), verbose) as progress:
        if how == "dense":
            found = _dense(graph, labels, sizes, k, form is not None)
        else:
            vectors = np.empty((graph.n, k))
            found = _backend.extension().laplacian_eigs(
                *graph.csr, k, how, "none" if form is None else "symmetric", -1, tol,
                tol_vec if relative else 0.0, 2, 200, memory, verify, seed, vectors, threads, progress.hook,
                start_vectors,
            )  # fmt: skip
            found["vectors"] = vectors
            how, reason = found["method"], reason or found["reason"]
    result = _result(found, graph, labels, k, tol, form is not None, canonical)
    result.info.update(
        method=how, reason=reason, seconds=time.perf_counter() - start,
        verified=how not in ("cholesky", "lanczos") or verify,
        iterations=found["outer"], products=found["products"], corrections=found["corrections"],
        norm=found["norm"], component_sizes=sizes,
    )  # fmt: skip
    _tell(result, tol, relative, on_fail)
    if certify:
        result.info.update(_certify(result, graph, form is not None, memory, threads))
    if form == "rw":
        scale = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
        result.vectors[...] *= scale[:, None]
    return result if drop_null else _with_null(result, degrees, form)


def count_below(
    W: Any,
    sigma: float,
    *,
    normalization: str | None = "sym",
    n_jobs: int | None = None,
    max_memory: float | None = None,
) -> int:
    """How many eigenvalues of a graph Laplacian lie below a value, those of its null space included.

    By the signs of the pivots of an exact sparse factorisation of ``L - sigma M`` (Sylvester's law of
    inertia): no eigenvalue is computed.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n). A diagonal has no effect.
    sigma : float
        Above 0.
    normalization : {"sym", "rw", None}, default="sym"
        As for `laplacian_eigs`; "sym" and "rw" have the same eigenvalues.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.
    max_memory : float or None
        Bytes that the factor may take; None: half of the machine's memory.

    Returns
    -------
    int

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    MemoryError
        The factor would take more than `max_memory`; nothing was allocated.

    Warns
    -----
    UserWarning
        An eigenvalue may be so near to sigma that rounding decides on which side it is.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.linalg import count_below
    >>> path = np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1)
    >>> count_below(path, 1.0, normalization=None)  # 0 and 0.38
    2
    """
    threads = _threads.resolve(n_jobs)
    form = _validate.check_choice(normalization, "normalization", ("sym", "rw", None))
    sigma = _validate.check_positive(sigma, "sigma")
    memory = memory_limit() if max_memory is None else _validate.check_positive(max_memory, "max_memory")
    graph = _graphs.as_graph(W)
    if not len(graph.values):
        return graph.n
    count, error = _backend.extension().count_below(
        *graph.csr, "none" if form is None else "symmetric", sigma, memory, threads
    )
    if not error < 1e-6 * sigma:
        warnings.warn(
            f"the count is that of eigenvalues that differ by up to {error:.1e}",
            UserWarning,
            stacklevel=_caller.level(),
        )
    return int(count)


def memory_limit() -> float:
    """Half of the machine's memory, in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2.0
    except (AttributeError, ValueError, OSError):
        return 8e9


def _choose(method: str, active: int, k: int, relative: bool) -> tuple[str, str]:
    if method != "auto":
        return method, "as asked for"
    if relative:  # a dense matrix holds differences
        return "auto", ""
    if active <= DENSE_NODES:
        return "dense", f"{active} nodes with edges are at most {DENSE_NODES}"
    if 8 * k >= active and active <= 20000:
        return "dense", f"{k} pairs are more than an eighth of {active}"
    return "auto", ""


def _start(X0: Any, n: int, degrees: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    if X0 is None:
        return None
    start = np.array(_validate.check_points(X0, "X0"), dtype=np.float64, order="C")
    if start.shape[0] != n:
        raise ValueError(f"X0 must have {n} rows, got shape {start.shape}")
    return start if degrees is None else start * np.sqrt(degrees)[:, None]


def _dense(
    graph: Graph, labels: NDArray[np.int32], sizes: NDArray[np.int64], k: int, normalized: bool
) -> dict[str, Any]:
    """All at once by LAPACK, the null space moved to the other end of the spectrum."""
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    keep = np.flatnonzero(sizes[labels] > 1)
    n = len(keep)
    place = np.full(graph.n, -1)
    place[keep] = np.arange(n)
    rows = graph.sources
    degrees = graph.degrees[keep]
    A = np.zeros((n, n))
    A[place[rows], place[graph.indices]] = -graph.values
    scale = np.sqrt(degrees) if normalized else np.ones(n)
    A[np.diag_indices(n)] = degrees
    A /= scale[:, None]
    A /= scale
    norm = 2.0 if normalized else min(2.0 * degrees.max(), float((degrees[:, None] + degrees)[A != 0].max()))
    parts = labels[keep]
    lengths = np.sqrt(np.bincount(parts, weights=scale**2))
    null = scale / lengths[parts]  # of each component, a unit vector
    for part in range(int(parts.max()) + 1):
        members = np.flatnonzero(parts == part)
        A[np.ix_(members, members)] += 2.0 * norm * np.outer(null[members], null[members])
    some = min(n - int(parts.max()) - 1, k + max(2, k // 4))  # the next ones tell how far away they are
    with threadpool_limits(1, user_api="blas"):
        if some <= n // 10:
            values, inner = eigh(A, subset_by_index=(0, some - 1), driver="evr", check_finite=False)
        else:
            values, inner = eigh(A, driver="evd", check_finite=False)
            values, inner = values[:some], inner[:, :some]
    z = inner / scale[:, None]
    for part in range(int(parts.max()) + 1):
        members = np.flatnonzero(parts == part)
        z[members] -= (scale[members] ** 2 @ z[members]) / lengths[part] ** 2
    inner = z * scale[:, None]
    source, target = place[rows], place[graph.indices]
    image = np.zeros_like(z)
    np.add.at(image, source, graph.values[:, None] * (z[source] - z[target]))
    image /= scale[:, None]
    vectors = np.zeros((graph.n, k))
    vectors[keep] = inner[:, :k]
    return {
        "values": np.maximum(values, 0.0), "vectors": vectors, "norm": norm, "outer": 1, "products": 0,
        "residuals": np.linalg.norm(image - inner * values, axis=0) / norm, "corrections": 0,
        "converged": True, "stopped": False,
    }  # fmt: skip


def _result(
    found: dict[str, Any],
    graph: Graph,
    labels: NDArray[np.int32],
    k: int,
    tol: float,
    normalized: bool,
    canonical: bool,
) -> EigenResult:
    values, norm, vectors = found["values"], found["norm"], found["vectors"]
    residuals = found["residuals"][:k]
    # As wide as can be mixed without the residuals passing the tolerance.
    groups = _canonical.clusters(values, 0.1 * tol * norm)
    gaps = _canonical.separations(values, groups)
    with np.errstate(divide="ignore"):
        errors = np.minimum(found["residuals"] * norm / gaps, 1.0)[:k]
    if canonical:
        wanted = [slice(g.start, min(g.stop, k)) for g in groups if g.start < k]
        _canonical.canonical_basis(vectors, wanted)
        for group in wanted:
            if group.stop - group.start > 1:
                residuals[group] = _residuals(graph, vectors[:, group], values[group], normalized) / norm
    return EigenResult(
        values=values[:k],
        vectors=vectors,
        residuals=residuals,
        vector_errors=errors,
        null_dim=int(labels.max()) + 1,
        labels=labels,
        converged=bool(found["converged"]),
        info={"cut_cluster": any(g.start < k < g.stop for g in groups), "stopped": bool(found["stopped"])},
    )


def _residuals(
    graph: Graph, vectors: NDArray[np.float64], values: NDArray[np.float64], normalized: bool
) -> NDArray[np.float64]:
    W = graph.matrix()
    degrees = graph.degrees
    z = vectors
    inverse = None
    if normalized:
        inverse = np.divide(1.0, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)[:, None]
        z = vectors * inverse
    image = degrees[:, None] * z - W @ z
    if inverse is not None:
        image *= inverse
    return np.asarray(np.linalg.norm(image - vectors * values, axis=0))


def _tell(result: EigenResult, tol: float, relative: bool, on_fail: str) -> None:
    if not result.converged:
        message = (
            f"{int((result.residuals <= tol).sum())} of {len(result.values)} eigenpairs reached "
            f"tol = {tol:g} in {result.info['iterations']} iterations; "
            f"the largest residual is {result.residuals.max():.1e}"
        )
        if on_fail == "raise":
            raise ConvergenceError(message)
        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())
        return
    worst = int(np.argmax(result.vector_errors))
    if not relative and result.vector_errors[worst] > 1e-2:
        warnings.warn(
            f"eigenvector {worst} is determined to about {result.vector_errors[worst]:.0e} only; pass "
            "accuracy='relative'",
            UserWarning,
            stacklevel=_caller.level(),
        )
    if result.info["cut_cluster"]:
        warnings.warn(
            f"eigenvalue {len(result.values)} is one of a group of equal ones that goes on beyond k: the "
            "last vectors are an arbitrary part of their eigenspace",
            UserWarning,
            stacklevel=_caller.level(),
        )


def _certify(
    result: EigenResult, graph: Graph, normalized: bool, memory: float, threads: int
) -> dict[str, Any]:
    """Whether there are as many eigenvalues below the last group of equal ones as were found there.

    Nothing is asked about the last group itself: what is not below it is not smaller either.
    """
    values, k, norm = result.values, len(result.values), result.info["norm"]
    if not result.converged:
        return {"certified": False}
    # The gap nearest to the end that rounding and the residuals leave no doubt about.
    last, sigma, gap = 0, float(values[0]) / 2.0, float(values[0]) / 2.0
    for i in range(k - 1, 0, -1):
        width = float(values[i] - values[i - 1])
        if width > max(1e-3 * values[i], 1e-13 * norm, 10.0 * result.residuals[i - 1] * norm):
            last, sigma, gap = i, float(values[i - 1]) + width / 2.0, width / 2.0
            break
    expected = result.null_dim + last
    try:
        count, error = _backend.extension().count_below(
            *graph.csr, "symmetric" if normalized else "none", sigma, memory, threads
        )
    except MemoryError:
        warnings.warn(
            f"certify=True: the factorisation would take more than {memory / 1e9:.3g} GB (max_memory)",
            UserWarning,
            stacklevel=_caller.level(),
        )
        return {"certified": None}
    found: dict[str, Any] = {"counted_below": sigma, "counted": int(count)}
    if not error < gap / 4.0:
        warnings.warn(
            f"certify=True: the factorisation at {sigma:.3g} is too inaccurate ({error:.1e}) to tell",
            UserWarning,
            stacklevel=_caller.level(),
        )
        return {"certified": None, **found}
    if count != expected:
        warnings.warn(
            f"there are {count} eigenvalues below {sigma:.3g}, of which {expected} were found",
            ConvergenceWarning,
            stacklevel=_caller.level(),
        )
    return {"certified": bool(count == expected), **found}


def _with_null(result: EigenResult, degrees: NDArray[np.float64], form: str | None) -> EigenResult:
    c = result.null_dim
    weight = degrees if form is not None else np.ones_like(degrees)
    weight = np.where(weight > 0, weight, 1.0)  # an isolated node: its unit vector
    labels = result.labels
    assert labels is not None
    total = np.bincount(labels, weights=weight)
    entry = np.ones_like(weight) if form == "rw" else np.sqrt(weight)
    null = np.zeros((len(degrees), c))
    null[np.arange(len(degrees)), labels] = entry / np.sqrt(total[labels])
    zeros = np.zeros(c)
    return EigenResult(
        values=np.concatenate([zeros, result.values]),
        vectors=np.hstack([null, result.vectors]),
        residuals=np.concatenate([zeros, result.residuals]),
        vector_errors=np.concatenate([zeros, result.vector_errors]),
        null_dim=c,
        labels=result.labels,
        converged=result.converged,
        info=result.info,
    )
