"""The Fiedler vector: the second eigenvector of a graph Laplacian."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _graphs, _threads, _validate
from lapwing._graphs import Graph
from lapwing._progress import Callback, Progress
from lapwing.exceptions import ConvergenceError, DisconnectedGraphWarning
from lapwing.linalg import _canonical, eigsh, laplacian_eigs
from lapwing.linalg._approx import ApproxCholesky
from lapwing.linalg._laplacian import DENSE_NODES, METHODS, memory_limit

__all__ = ["FiedlerInfo", "FiedlerResult", "fiedler_vector"]

Floats = NDArray[np.float64]
#: Eigenvalues this close, relative to the smallest, are taken for copies of it.
COPIES = 1e-6
#: Estimated error of the vector that ``accuracy="relative"`` accepts.
VECTOR_ERROR = 1e-3
#: The error that is aimed at: the eigenvalue is then right to about its square.
AIM = 1e-4
#: Copies of the smallest eigenvalue that are looked for.
MOST_COPIES = 64
#: More nodes than this, and at least this share of all pairs: products with all of them are the way.
DENSE_SIZE, DENSE_SHARE = 1500, 0.1


@dataclass(frozen=True)
class FiedlerInfo:
    """How a Fiedler vector came about, and how far it can be trusted.

    Attributes
    ----------
    next_value : float
        The smallest eigenvalue that is larger than those returned and not a copy of them; NaN if there is
        none, or if it was not computed.
    multiplicity : int
        Copies of the smallest eigenvalue beyond the null space that were found.
    residual : float
        ``‖A v - λ v‖ / ‖A‖``, the largest of the vectors returned.
    vector_error : float
        Estimated sine of the angle between the vector and the eigenspace.
    zero_tolerance : float
        Entries of at most this size count as 0 in a cut: the vector has no digits below.
    norm : float
        Bound on the norm of the Laplacian.
    n_components : int
        Connected components of the graph.
    component : int array or None
        With ``disconnected="largest"``: the nodes that have an entry, the others being 0.
    method, reason : str
        What was used, and why.
    iterations, products : int
        Of the eigensolver.
    seconds : float
        Time spent.
    converged : bool
        Whether the vector is as accurate as was asked.
    n_negative : int
        Edges of negative weight in the graph as it was given.
    """

    next_value: float
    multiplicity: int
    residual: float
    vector_error: float
    zero_tolerance: float
    norm: float
    n_components: int
    component: NDArray[np.intp] | None
    method: str
    reason: str
    iterations: int
    products: int
    seconds: float
    converged: bool
    n_negative: int = 0


class FiedlerResult(NamedTuple):
    """What `fiedler_vector` returns: eigenvalue, vector, and how they came about."""

    value: Any  # float; an array for n_vectors > 1
    vector: Floats  # (n,), or (n, n_vectors)
    info: FiedlerInfo


class _Found(NamedTuple):
    """Pairs from one of the solvers, before a choice among equal ones."""

    values: Floats
    vectors: Floats
    residuals: Floats
    errors: Floats
    norm: float
    method: str
    reason: str
    iterations: int
    products: int
    converged: bool


def fiedler_vector(
    A: Any,
    *,
    normalization: str | None = None,
    node_weight: Any = None,
    degree: Any = None,
    tol: float = 1e-6,
    accuracy: str = "relative",
    method: str = "auto",
    n_vectors: int = 1,
    v0: Any = None,
    disconnected: str = "warn",
    negative: str = "raise",
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    on_fail: str = "warn",
) -> FiedlerResult:
    """Second smallest eigenpair of a graph Laplacian, and the next ones.

    Parameters
    ----------
    A : sparse matrix or array, dense array, networkx or igraph graph, dask array, or LinearOperator
        Symmetric weights >= 0 of shape (n, n), n >= 2. A diagonal (self loops) has no effect. A dense array
        of float32 stays as it is; sums are made in float64. An operator must come with `degree`. Of a dask
        array, which stays where it is, products alone are taken; it must be connected, as an operator must.
    normalization : {None, "sym", "rw"}, default=None
        ``D - A``; ``I - D^-1/2 A D^-1/2``; or the random walk's ``I - D^-1 A``, with ``vᵀ D v = 1``.
    node_weight : array of shape (n,) or None, default=None
        Weights m >= 0 of the nodes: the pair of ``(D - A) v = λ diag(m) v``, with ``vᵀ diag(m) v = 1``. Only
        for ``normalization=None``.
    degree : array of shape (n,) or None, default=None
        For an operator: the sums of the rows of its matrix.
    tol : float, default=1e-6
        Largest residual ``‖A v - λ v‖ / ‖A‖``.
    accuracy : {"relative", "residual"}, default="relative"
        "relative": also the vector must be right, to an estimated error of 1e-3 or better. A small residual
        alone does not say so where λ is tiny or the next eigenvalue is near.
    method : {"auto", "dense", "approxchol", "cholesky", "chebyshev", "lanczos"}, default="auto"
        As in `lapwing.linalg.laplacian_eigs`.
    n_vectors : int, default=1
        Number of vectors.
    v0 : array of shape (n,) or (n, j), or None, default=None
        Vectors to start from, such as those of a similar graph, where the method can use them.
    disconnected : {"warn", "raise", "largest"}, default="warn"
        A graph of several components has the eigenvalue 0 more than once. "warn": return 0 and a vector that
        is constant on the component of node 0 and on the rest. "raise": ValueError. "largest": the vector of
        the largest component, 0 elsewhere.
    negative : {"raise", "clip", "abs", "signed"}, default="raise"
        What negative weights mean. "raise": ValueError. "clip", "abs": they are taken for 0, or for their
        magnitudes. "signed": the smallest pairs of the signed Laplacian ``diag(|A| 1) - A``. It is positive
        semidefinite and has no null vector unless the nodes fall into two factions, with positive weights
        inside and negative ones between them; the signs of the vector are the factions then. A graph without
        negative weights is treated as always.
    random_state : int, numpy generator or None, default=0
        Of the start and of the preconditioner.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.
    callback : callable or None
        Called after every iteration of the eigensolver; returning True stops it.
    verbose : int, default=0
        Above 0: a progress bar.
    on_fail : {"warn", "raise"}, default="warn"
        What to do when the accuracy is not reached.

    Returns
    -------
    value : float
        The eigenvalue; for `n_vectors` > 1 an array of shape (n_vectors,).
    vector : float64 array of shape (n,)
        The vector, its entry of largest magnitude positive; for `n_vectors` > 1 of shape (n, n_vectors).
    info : FiedlerInfo

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    DisconnectedGraphWarning
        The graph has more than one component.
    ConvergenceWarning
        The accuracy was not reached; `info` carries what was.

    Notes
    -----
    Where the eigenvalue has several copies (cycles, square grids, complete graphs), the vector is the
    projection of ``z_i = cos(1 + 2.399963 i)`` onto their eigenspace, which does not depend on how it was
    found.

    References
    ----------
    Miroslav Fiedler, "Algebraic connectivity of graphs", 1973; "A property of eigenvectors of nonnegative
    symmetric matrices and its application to graph theory", 1975.

    Jérôme Kunegis, Stephan Schmidt, Andreas Lommatzsch, Jürgen Lerner, Ernesto De Luca, Sahin Albayrak,
    "Spectral Analysis of Signed Graphs for Clustering, Prediction and Visualization", 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.graph import fiedler_vector
    >>> path = np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1)
    >>> value, vector, info = fiedler_vector(path)
    >>> round(value, 6), vector.round(3).tolist()
    (0.381966, [0.602, 0.372, 0.0, -0.372, -0.602])
    """
    start = time.perf_counter()
    form = _validate.check_choice(normalization, "normalization", (None, "sym", "rw"))
    tol = _validate.check_positive(tol, "tol")
    relative = _validate.check_choice(accuracy, "accuracy", ("relative", "residual")) == "relative"
    _validate.check_choice(method, "method", METHODS)
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    _validate.check_choice(disconnected, "disconnected", ("warn", "raise", "largest"))
    _validate.check_choice(negative, "negative", _graphs.NEGATIVE)
    _threads.resolve(n_jobs)
    options = {
        "random_state": _validate.check_seed(random_state), "n_jobs": n_jobs,
        "callback": callback, "verbose": verbose,
    }  # fmt: skip
    if node_weight is not None and form is not None:
        raise ValueError("node_weight goes with normalization=None: the others have the degrees for weights")
    if hasattr(A, "__dask_graph__"):
        if degree is not None:
            raise ValueError("degree goes with an operator: the degrees of a dask array are its own")
        A, degree = _from_dask(A)
    if _is_operator(A):
        if negative != "raise":
            raise ValueError("negative is not offered for operators and dask arrays")
        return _of_operator(A, degree, form, node_weight, n_vectors, tol, on_fail, start, options)
    if degree is not None:
        raise ValueError("degree goes with an operator: the degrees of a matrix are its own")
    if node_weight is None and v0 is None and method in ("auto", "lanczos"):
        dense = _clean_dense(A, _threads.resolve(n_jobs))
        if dense is not None:
            k = _validate.check_integer(n_vectors, "n_vectors", 1, len(dense.degrees) - 1)
            why = "a dense graph" if method == "auto" else "as asked for"
            find = _OperatorFinder(dense.matmat, dense.degrees, form, tol, relative, why, options)
            return _of_products(find, k, on_fail, start)
    graph = _graphs.as_graph(A, "A", negative)
    n = graph.n
    if n < 2:
        raise ValueError(f"A needs at least 2 nodes, got {n}")
    mass = None if node_weight is None else _validate.check_weights(node_weight, n, "node_weight")
    k = _validate.check_integer(n_vectors, "n_vectors", 1, n - 1)
    if negative == "signed" and graph.negatives:
        if mass is not None or method != "auto" or v0 is not None:
            raise ValueError("node_weight, method and v0 are not offered for signed graphs")
        return _of_signed(graph, form, k, tol, disconnected, on_fail, start, options)
    labels, sizes = _backend.extension().components(*graph.csr)
    if len(sizes) > 1 and disconnected != "largest":
        return _disconnected(graph, labels, sizes, form, mass, k, disconnected, start)
    keep: NDArray[np.intp] | None = None
    part = graph
    if len(sizes) > 1:
        keep = np.flatnonzero(labels == 0)
        if len(keep) <= k:
            raise ValueError(
                f"n_vectors must be less than the {len(keep)} nodes of the largest component, got {k}"
            )
        part = _graphs.as_graph(graph.matrix()[keep][:, keep], "A")
        mass = None if mass is None else mass[keep]
        if mass is not None and not mass.any():
            raise ValueError("node_weight is 0 on all of the largest component")
        _tell_disconnected(sizes, "the vector is that of the largest")
    first = _start_vectors(v0, n, keep)
    value, vector, found, copies = _pick(
        _Finder(part, form, mass, tol, relative, method, first, options), k, part.n - 1
    )
    info = replace(
        _info(found, k, copies, keep, len(sizes), start, relative, tol), n_negative=graph.negatives
    )
    if keep is not None:
        whole = np.zeros((n, k))
        whole[keep] = vector
        vector = whole
    return _finish(value, vector, info, k, on_fail)


class _Finder:
    """The smallest so many pairs of one graph."""

    def __init__(
        self,
        graph: Graph,
        form: str | None,
        mass: Floats | None,
        tol: float,
        relative: bool,
        method: str,
        start: Floats | None,
        options: dict[str, Any],
    ) -> None:
        self.graph, self.n, self.form, self.mass, self.tol = graph, graph.n, form, mass, tol
        self.relative, self.method, self.start, self.options = relative, method, start, options
        if form == "rw":
            self.mass = graph.degrees

    def __call__(self, k: int, wanted: int, start: Floats | None = None) -> _Found:
        """`k` pairs, the first `wanted` of them to the accuracy that was asked for."""
        if self.form is None and self.mass is not None:
            return _weighted(self.graph, self.mass, k, self.tol, self.options)
        start = start if start is not None else self.start
        method = self.method
        if method == "auto" and _dense(self.graph):
            method = "lanczos"  # a factor of such a matrix would be full
        small = method == "auto" and self.graph.n <= DENSE_NODES
        if self.relative and not small and method in ("auto", "approxchol", "cholesky"):
            found = self._by_angle(k, wanted, method, start)
            if found.method == "chebyshev" and not _trusted(found, wanted):
                found = self._by_angle(k, wanted, "approxchol", found.vectors)
            return found
        found = self._by_residual(k, method, self.tol, start)
        if self.relative and method == "chebyshev" and not _trusted(found, wanted):
            found = self._by_residual(k, method, min(1e-12, self.tol), found.vectors)
        elif self.relative and small and not _trusted(found, wanted):
            # A dense matrix holds differences: weights of many magnitudes need sums of edges.
            found = self._by_angle(k, wanted, "approxchol", None)
        return found

    def _by_angle(self, k: int, wanted: int, method: str, start: Floats | None) -> _Found:
        """Iterate until the vector itself is right, as the residual seen through a factor tells."""
        options = self.options
        vectors = np.empty((self.graph.n, k))
        form = "none" if self.form is None else "symmetric"
        root = np.sqrt(self.graph.degrees)[:, None] if self.form == "rw" else np.ones(1)
        start = None if start is None or method == "cholesky" else np.ascontiguousarray(start * root)
        threads = _threads.resolve(options["n_jobs"])
        with Progress(options["callback"], options["verbose"]) as progress:
            r = _backend.extension().laplacian_eigs(
                *self.graph.csr, k, method, form, -1, self.tol, 0.0, 2, 200, memory_limit(), True,
                options["random_state"], vectors, threads, progress.hook, start, AIM, wanted,
            )  # fmt: skip
        values, residuals, norm = r["values"], r["residuals"], float(r["norm"])
        errors = r["angles"]
        if not len(errors):  # products alone tell no more than the residual
            gaps = _canonical.separations(values, _canonical.clusters(values, COPIES * float(values[0])))
            errors = np.minimum(residuals * norm / gaps, 1.0)
        vectors /= root
        reason = r["reason"] if self.method == "auto" else "as asked for"
        return _Found(
            values[:k], vectors, residuals[:k], errors[:k], norm, r["method"], reason, int(r["outer"]),
            int(r["products"]), bool(r["converged"]),
        )  # fmt: skip

    def _by_residual(self, k: int, method: str, tol: float, start: Floats | None) -> _Found:
        if method not in ("auto", "approxchol", "chebyshev"):
            start = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = laplacian_eigs(
                self.graph.matrix(), k, normalization=self.form, method=method, tol=tol, X0=start,
                canonical=False, **self.options,
            )  # fmt: skip
        return _Found(
            r.values, r.vectors, r.residuals, r.vector_errors, float(r.info["norm"]), r.info["method"],
            r.info["reason"], int(r.info["iterations"]), int(r.info["products"]), r.converged,
        )  # fmt: skip


def _trusted(found: _Found, wanted: int) -> bool:
    # A residual says nothing about an eigenvalue that is no larger.
    floor = 1e-3 * found.values[:wanted] / found.norm
    return bool(
        found.converged
        and (found.errors[:wanted] <= VECTOR_ERROR).all()
        and (found.residuals[:wanted] <= floor).all()
    )


def _dense(graph: Graph) -> bool:
    return graph.n > DENSE_SIZE and len(graph.values) > DENSE_SHARE * graph.n**2


def _is_operator(A: Any) -> bool:
    return hasattr(A, "matmat") and not hasattr(A, "tocsr") and not isinstance(A, np.ndarray)


class _DaskWeights:
    """A graph as a dask array; its diagonal does not count."""

    def __init__(self, A: Any, diagonal: Floats) -> None:
        self.A, self.diagonal, self.shape = A, diagonal, A.shape

    def matmat(self, x: Floats) -> Floats:
        return np.asarray((self.A @ x).compute(), dtype=np.float64) - self.diagonal[:, None] * x


def _from_dask(A: Any) -> tuple[_DaskWeights, Floats]:
    """The weights as an operator, and its degrees; one pass over the array checks it."""
    from lapwing._optional import need

    dask = need("dask", extra="dask", purpose="a graph in a dask array")
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"A must be square, got shape {A.shape}")
    if A.dtype.kind not in "fiub":
        raise TypeError(f"A must hold real numbers, got dtype {A.dtype}")
    single = A.dtype == np.float32
    A = A.astype(np.float64)
    finite, least, most, unlike, sums, diagonal = dask.compute(
        np.isfinite(A).all(), A.min(), abs(A).max(), abs(A - A.T).max(), A.sum(axis=1), np.diagonal(A)
    )
    if not finite:
        raise ValueError("A must be finite, but it has entries that are NaN or infinite")
    if least < 0:
        raise ValueError(f"A must not be negative, but its least entry is {least:g}")
    if unlike > (1e-6 if single else 1e-10) * most:
        raise ValueError(f"A must be symmetric, but it differs from its transpose by {unlike:g}")
    diagonal = np.asarray(diagonal)
    return _DaskWeights(A, diagonal), np.asarray(sums - diagonal)


def _start_vectors(v0: Any, n: int, keep: NDArray[np.intp] | None) -> Floats | None:
    if v0 is None:
        return None
    start = np.asarray(v0, dtype=np.float64)
    if start.ndim == 1:
        start = start[:, None]
    start = np.array(_validate.check_points(start, "v0"), dtype=np.float64, order="C")
    if len(start) != n:
        raise ValueError(f"v0 must have {n} entries, got shape {np.shape(v0)}")
    return start if keep is None else np.ascontiguousarray(start[keep])


def _weighted(graph: Graph, mass: Floats, k: int, tol: float, options: dict[str, Any]) -> _Found:
    """Pairs of ``L v = λ M v`` from the largest of ``M^1/2 L⁺ M^1/2``; M may vanish at nodes."""
    root, total = np.sqrt(mass), float(mass.sum())
    support = int((mass > 0).sum())
    if k >= support:
        raise ValueError(f"node_weight must be positive at more than {k} nodes, got {support}")
    solver = ApproxCholesky(graph.matrix(), random_state=options["random_state"], n_jobs=options["n_jobs"])
    accuracy = 1e-12

    def solve(x: Floats) -> Floats:
        b = root[:, None] * x
        b = b - mass[:, None] * (b.sum(axis=0) / total)
        y = solver.solve(b, tol=accuracy)
        return np.asarray(y - (mass @ y) / total)  # orthogonal to the constant under M

    class Inverse:
        shape = (graph.n, graph.n)

        def matmat(self, x: Floats) -> Floats:
            return root[:, None] * solve(np.asarray(x))

    null = (root / np.sqrt(total))[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = eigsh(Inverse(), k, "LA", tol=min(tol, 1e-9), null=null, canonical=False, **options)
    values = 1.0 / r.values
    vectors = solve(r.vectors)
    vectors /= np.sqrt((mass[:, None] * vectors**2).sum(axis=0))
    W = graph.matrix()
    degrees = graph.degrees
    scale = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    image = degrees[:, None] * vectors - W @ vectors
    values = (vectors * image).sum(axis=0)
    norm = float((2 * degrees * scale**2).max())
    rest = image - mass[:, None] * vectors * values
    residuals = np.linalg.norm(rest * np.where(scale > 0, scale, 1.0)[:, None], axis=0) / norm
    groups = _canonical.clusters(values, COPIES * float(values[0]))
    gaps = _canonical.separations(values, groups)
    errors = np.minimum(residuals * norm / gaps, 1.0)
    return _Found(
        values, vectors, residuals, errors, norm, "inverse", "eigenvalues weighted by nodes", 0,
        int(r.info["products"]), r.converged,
    )  # fmt: skip


def _fixed(n: int) -> Floats:
    return np.asarray(np.cos(1.0 + 2.399963 * np.arange(n)))


def _pick(
    find: _Finder | _SignedFinder | _OperatorFinder, k: int, room: int
) -> tuple[Floats, Floats, _Found, int]:
    """The pairs wanted, the choice among copies of the smallest one independent of how they were found."""
    mass = find.mass
    z = _fixed(find.n)
    known = min(k + 1, room)
    start: Floats | None = None
    while True:
        found = find(known, k, start)
        near = COPIES * float(found.values[0]) + 64 * np.finfo(float).eps * found.norm
        copies = int((found.values - found.values[0] <= near).sum())
        if copies < known or known == room or known >= MOST_COPIES:
            break
        known = min(4 * known, room, MOST_COPIES)
        if known == MOST_COPIES < room:
            start = z[:, None]  # so that its projection is there, however many copies there are
    vectors = found.vectors[:, :known].copy()
    weigh = np.ones(len(z)) if mass is None else mass
    if copies > 1:
        c = vectors[:, :copies].T @ (weigh * z)
        if np.linalg.norm(c) > 0:
            vectors[:, :copies] = vectors[:, :copies] @ _first_column(c / np.linalg.norm(c))
    groups = [slice(i, i + 1) for i in range(copies)]
    rest = _canonical.clusters(found.values[copies:], COPIES * float(found.values[0]))
    groups += [slice(copies + g.start, copies + g.stop) for g in rest]
    if copies > 2 and k > 1:
        groups = [slice(0, 1), slice(1, copies), *groups[copies:]]
    _canonical.canonical_basis(vectors, [g for g in groups if g.start < k])
    noise = 64 * np.finfo(float).eps * np.sqrt(len(vectors))
    vectors[np.abs(vectors) <= noise * np.abs(vectors).max(axis=0)] = 0.0
    return found.values[:k], np.ascontiguousarray(vectors[:, :k]), found, copies


def _first_column(c: Floats) -> Floats:
    """An orthogonal matrix whose first column is the unit vector `c`: a reflection."""
    e = np.zeros_like(c)
    e[0] = 1.0
    u = c - e if c[0] < 0 else c + e
    u /= np.linalg.norm(u)
    H = np.eye(len(c)) - 2.0 * np.outer(u, u)
    return H if c[0] < 0 else -H


def _info(
    found: _Found,
    k: int,
    copies: int,
    keep: NDArray[np.intp] | None,
    components: int,
    start: float,
    relative: bool,
    tol: float,
) -> FiedlerInfo:
    beyond = found.values[max(k, copies) :]
    residual = float(found.residuals[:k].max())
    error = float(found.errors[:k].max())
    fine = found.converged or residual <= tol
    return FiedlerInfo(
        next_value=float(beyond[0]) if len(beyond) else np.nan,
        multiplicity=copies,
        residual=residual,
        vector_error=error,
        zero_tolerance=max(64 * np.finfo(float).eps * float(np.sqrt(len(found.vectors))), error),
        norm=found.norm,
        n_components=components,
        component=keep,
        method=found.method,
        reason=found.reason,
        iterations=found.iterations,
        products=found.products,
        seconds=time.perf_counter() - start,
        converged=bool(fine and (not relative or error <= VECTOR_ERROR)),
    )


def _finish(value: Floats, vector: Floats, info: FiedlerInfo, k: int, on_fail: str) -> FiedlerResult:
    if not info.converged:
        message = (
            f"the Fiedler vector stopped at a residual of {info.residual:.1e} and an estimated error of "
            f"{info.vector_error:.1e}"
        )
        if on_fail == "raise":
            raise ConvergenceError(message)
        from lapwing.exceptions import ConvergenceWarning

        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())
    if k == 1:
        return FiedlerResult(float(value[0]), vector[:, 0].copy(), info)
    return FiedlerResult(value, vector, info)


def _tell_disconnected(sizes: NDArray[np.int64], what: str) -> None:
    largest = ", ".join(str(int(s)) for s in sizes[:3])
    warnings.warn(
        f"the graph has {len(sizes)} connected components (the largest have {largest} nodes): {what}",
        DisconnectedGraphWarning,
        stacklevel=_caller.level(),
    )


def _disconnected(
    graph: Graph,
    labels: NDArray[np.int32],
    sizes: NDArray[np.int64],
    form: str | None,
    mass: Floats | None,
    k: int,
    rule: str,
    start: float,
) -> FiedlerResult:
    """The component of node 0 against the rest, at the eigenvalue 0."""
    if rule == "raise":
        raise ValueError(f"A is not connected: it has {len(sizes)} components")
    if k > 1:
        raise ValueError(
            "n_vectors > 1 needs a connected graph: pass disconnected='largest', or see laplacian_eigs"
        )
    _tell_disconnected(sizes, "the second eigenvalue is 0")
    degrees = graph.degrees
    weigh = np.ones(graph.n) if form is None and mass is None else degrees if mass is None else mass
    here = labels == labels[0]
    inside, outside = float(weigh[here].sum()), float(weigh[~here].sum())
    if inside > 0 and outside > 0:
        x = np.where(here, 1.0 / inside, -1.0 / outside)
        x /= np.sqrt(1.0 / inside + 1.0 / outside)
    else:  # no weight on one side: its own indicator is orthogonal already
        x = (here if inside == 0 else ~here).astype(float)
        x /= np.linalg.norm(x)
    if form == "sym":
        x = x * np.sqrt(np.where(weigh > 0, weigh, 1.0))
    vector = x[:, None].copy()
    _canonical.canonical_basis(vector, [slice(0, 1)])
    info = FiedlerInfo(
        next_value=np.nan, multiplicity=len(sizes) - 1, residual=0.0, vector_error=0.0,
        zero_tolerance=64 * np.finfo(float).eps * float(np.sqrt(graph.n)),
        norm=2.0 if form is not None else 2.0 * float(degrees.max()), n_components=len(sizes), component=None,
        method="components", reason="the graph is not connected", iterations=0, products=0,
        seconds=time.perf_counter() - start, converged=True,
    )  # fmt: skip
    return FiedlerResult(0.0, vector[:, 0].copy(), info)


class _SignedFinder:
    """The smallest so many pairs of a signed Laplacian."""

    def __init__(self, graph: Graph, form: str | None, tol: float, options: dict[str, Any]) -> None:
        self.graph, self.n, self.tol, self.options = graph, graph.n, tol, options
        self.degrees = np.bincount(graph.sources, weights=np.abs(graph.values), minlength=graph.n)
        self.mass = self.degrees if form == "rw" else None
        self.root = np.ones(graph.n)
        if form is not None:
            self.root = np.sqrt(np.where(self.degrees > 0, self.degrees, 1.0))
        self.norm = 2.0 if form is not None else 2.0 * float(self.degrees.max())

    def __call__(self, k: int, wanted: int, start: Floats | None = None) -> _Found:
        n, W, d, root = self.graph.n, self.graph.matrix(), self.degrees, self.root
        if n <= DENSE_NODES:
            from scipy.linalg import eigh

            A = -W.toarray()
            A[np.diag_indices(n)] = d
            A = A / root / root[:, None]
            values, vectors = eigh(A)
            residuals = np.linalg.norm(A @ vectors - vectors * values, axis=0) / self.norm
            method, reason, products, converged = "dense", "a small graph", 0, True
        else:

            class Laplacian:
                shape = (n, n)

                def matmat(self, x: Floats) -> Floats:
                    y = x / root[:, None]
                    return np.asarray((d[:, None] * y - W @ y) / root[:, None])

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                r = eigsh(Laplacian(), k, "SA", tol=self.tol, norm_bound=self.norm, canonical=False,
                          **self.options)  # fmt: skip
            values, vectors, residuals, products = r.values, r.vectors, r.residuals, int(r.info["products"])
            method, reason, converged = (
                "lanczos",
                "a signed graph has no factor without differences",
                r.converged,
            )
        groups = _canonical.clusters(values, COPIES * max(float(values[0]), 0.0) + 64e-16 * self.norm)
        errors = np.minimum(residuals * self.norm / _canonical.separations(values, groups), 1.0)
        if self.mass is not None:
            vectors = vectors / root[:, None]
        return _Found(
            np.maximum(values[:k], 0.0), vectors[:, :k], residuals[:k], errors[:k], self.norm, method, reason,
            0, products, converged,
        )  # fmt: skip


def _of_signed(
    graph: Graph,
    form: str | None,
    k: int,
    tol: float,
    disconnected: str,
    on_fail: str,
    start: float,
    options: dict[str, Any],
) -> FiedlerResult:
    _, sizes = _backend.extension().components(*graph.csr)
    if len(sizes) > 1:
        if disconnected != "warn":
            raise ValueError(f"A is not connected: it has {len(sizes)} components; pass them one by one")
        _tell_disconnected(sizes, "the vectors are those of the whole")
    value, vector, found, copies = _pick(_SignedFinder(graph, form, tol, options), k, graph.n)
    info = replace(_info(found, k, copies, None, len(sizes), start, False, tol), n_negative=graph.negatives)
    return _finish(value, vector, info, k, on_fail)


def _of_operator(
    A: Any,
    degree: Any,
    form: str | None,
    node_weight: Any,
    n_vectors: int,
    tol: float,
    on_fail: str,
    start: float,
    options: dict[str, Any],
) -> FiedlerResult:
    """From products with the weights alone."""
    n = int(A.shape[0])
    if A.shape != (n, n):
        raise ValueError(f"A must be square, got shape {A.shape}")
    if n < 2:
        raise ValueError(f"A needs at least 2 nodes, got {n}")
    if degree is None:
        raise ValueError("an operator A needs degree, the sums of its rows")
    if node_weight is not None:
        raise ValueError("node_weight is not offered for operators and dask arrays")
    d = _validate.check_weights(degree, n, "degree")
    if form is not None and not (d > 0).all():
        raise ValueError(f"degree must be > 0, got {d.min():g} at {int(np.argmin(d))}")
    k = _validate.check_integer(n_vectors, "n_vectors", 1, n - 1)
    find = _OperatorFinder(A.matmat, d, form, tol, False, "products are all there is", options)
    return _of_products(find, k, on_fail, start)


class _OperatorFinder:
    """The smallest so many pairs from products with the weights."""

    def __init__(
        self,
        products: Callable[[Floats], Any],
        degrees: Floats,
        form: str | None,
        tol: float,
        relative: bool,
        reason: str,
        options: dict[str, Any],
    ) -> None:
        self.products, self.degrees, self.n = products, degrees, len(degrees)
        self.mass = degrees if form == "rw" else None
        self.root = np.sqrt(degrees) if form is not None else np.ones(self.n)
        self.norm = 2.0 if form is not None else 2.0 * float(degrees.max())
        self.tol, self.relative, self.reason, self.options = tol, relative, reason, options

    def __call__(self, k: int, wanted: int, start: Floats | None = None) -> _Found:
        found = self._to(self.tol, k)
        if self.relative and not _trusted(found, wanted):
            found = self._to(min(1e-12, self.tol), k)
        return found

    def _to(self, tol: float, k: int) -> _Found:
        n, d, root, products = self.n, self.degrees[:, None], self.root[:, None], self.products

        class Laplacian:
            shape = (n, n)

            def matmat(self, x: Floats) -> Floats:
                y = x / root
                return np.asarray((d * y - products(y)) / root)

        null = root / np.linalg.norm(root)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = eigsh(Laplacian(), k, "SA", tol=tol, norm_bound=self.norm, null=null, canonical=False,
                      **self.options)  # fmt: skip
        vectors = r.vectors / root if self.mass is not None else r.vectors
        return _Found(
            np.maximum(r.values, 0.0), vectors, r.residuals, r.vector_errors, self.norm, "lanczos",
            self.reason, 0, int(r.info["products"]), r.converged,
        )  # fmt: skip


def _of_products(find: _OperatorFinder, k: int, on_fail: str, start: float) -> FiedlerResult:
    value, vector, found, copies = _pick(find, k, find.n - 1)
    return _finish(
        value, vector, _info(found, k, copies, None, 1, start, find.relative, find.tol), k, on_fail
    )


class _DenseWeights:
    """A graph as a dense array that stays where it is; its diagonal does not count."""

    def __init__(self, A: Any, threads: int) -> None:
        self.A, self.threads = A, threads
        self.diagonal = np.diagonal(A).astype(np.float64)
        self.degrees = self.matmat(np.ones((len(A), 1)))[:, 0]

    def matmat(self, x: Floats) -> Floats:
        out = np.empty((x.shape[1], len(self.A)))
        _backend.extension().dense_times(self.A, np.ascontiguousarray(x.T), out, self.threads)
        return np.asarray(out.T - self.diagonal[:, None] * x)


def _clean_dense(A: Any, threads: int) -> _DenseWeights | None:
    """A dense array that needs no mending and has many entries: symmetric, of one component, not small."""
    if not (isinstance(A, np.ndarray) and A.ndim == 2 and A.shape[0] == A.shape[1] > DENSE_SIZE):
        return None
    if A.dtype not in (np.float64, np.float32) or isinstance(A, np.ma.MaskedArray):
        return None
    A = np.ascontiguousarray(A)
    facts = _backend.extension().phylo_inspect(A, threads)
    if facts["bad"] or facts["asymmetry"] or facts["low"] < 0:
        return None
    if np.count_nonzero(A) < DENSE_SHARE * A.size:
        return None
    left = np.ones(len(A), bool)
    left[0] = False
    reached = [0]
    while reached and left.any():
        fresh = np.flatnonzero(left & (A[reached.pop()] > 0))
        left[fresh] = False
        reached += fresh.tolist()
    return None if left.any() else _DenseWeights(A, threads)
