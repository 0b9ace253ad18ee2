"""Eigenpairs and singular triplets of operators that are known by their products."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _backend, _caller, _threads, _validate
from lapwing._progress import Callback, Progress, time_limited
from lapwing.exceptions import ConvergenceError, ConvergenceWarning
from lapwing.linalg import _canonical
from lapwing.linalg._result import EigenResult

__all__ = ["eigsh", "svds"]

Rows = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def eigsh(
    A: Any,
    k: int = 6,
    which: str = "SA",
    *,
    tol: float = 1e-8,
    norm_bound: float | None = None,
    null: Any = None,
    width: int = 4,
    max_products: int = 20_000,
    verify: bool = True,
    canonical: bool = True,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    time_limit: float | None = None,
    verbose: int = 0,
    on_fail: str = "warn",
) -> EigenResult:
    """Eigenpairs at one end of the spectrum of a symmetric matrix or operator, from its products alone.

    Block Lanczos with full reorthogonalisation and thick restart. For the Laplacian of a graph
    `laplacian_eigs` is better: it knows the null space and has preconditioners.

    Parameters
    ----------
    A : array, sparse matrix, LinearOperator, or any object with ``shape`` and ``matmat`` (or ``@``)
        Symmetric, of shape (n, n); products with it are all that is used. It is applied to float64 blocks of
        shape (n, width), and is not checked for symmetry.
    k : int, default=6
        Number of eigenpairs.
    which : {"SA", "LA"}, default="SA"
        The algebraically smallest ones, rising, or the largest, falling.
    tol : float, default=1e-8
        Largest residual ``‖A v - λ v‖ / ‖A‖``.
    norm_bound : float or None, default=None
        A bound on the norm of A, for the residuals; None: estimated by a few products.
    null : array of shape (n, j) or None, default=None
        Orthonormal eigenvectors that are known, to be left out.
    width : int, default=4
        Vectors that A is applied to at once. Where products are made on the fly a wide block may cost hardly
        more than a narrow one.
    max_products : int, default=20000
        Most products with single vectors.
    verify : bool, default=True
        A block narrower than k may miss copies of an eigenvalue: look for more pairs among what is orthogonal
        to those found, until there is none.
    canonical : bool, default=True
        Choose signs, and the basis of equal eigenvalues, independently of how they were found.
    random_state : int, numpy generator or None, default=0
        Of the start.
    n_jobs : int or None
        Number of threads of lapwing's own part; what A does is its own affair.
    callback, time_limit, verbose, on_fail
        As in `laplacian_eigs`.

    Returns
    -------
    EigenResult
        With ``null_dim`` the number of columns of `null`, and ``labels`` None.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or a product is not finite.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    ConvergenceWarning
        The tolerance was not reached; the result carries the residuals.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.linalg import eigsh
    >>> eigsh(np.diag(np.arange(100.0)), 3, "LA").values.round(6).tolist()
    [99.0, 98.0, 97.0]
    """
    threads = _threads.resolve(n_jobs)
    seed = _validate.check_seed(random_state)
    largest = _validate.check_choice(which, "which", ("SA", "LA")) == "LA"
    tol = _validate.check_positive(tol, "tol")
    norm = 0.0 if norm_bound is None else _validate.check_positive(norm_bound, "norm_bound")
    width = _validate.check_integer(width, "width", 1)
    most = _validate.check_integer(max_products, "max_products", 1)
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    limit = None if time_limit is None else _validate.check_positive(time_limit, "time_limit")
    rows, cols = _shape(A)
    if rows != cols:
        raise ValueError(f"A must be square, got shape {(rows, cols)}")
    known = None
    if null is not None:
        known = np.array(_validate.check_points(null, "null"), dtype=np.float64, order="C")
        if len(known) != rows:
            raise ValueError(f"null must have {rows} rows, got shape {known.shape}")
    fixed = 0 if known is None else known.shape[1]
    k = _validate.check_integer(k, "k", 1, rows - fixed)
    start = time.perf_counter()
    vectors = np.empty((rows, k))
    with Progress(time_limited(callback, limit), verbose) as progress:
        found = _backend.extension().eigs(
            _products(A, "A"), rows, known, k, largest, tol, norm, width, most, verify, seed, vectors,
            threads, progress.hook,
        )  # fmt: skip
    values, residuals, norm = found["values"], found["residuals"], found["norm"]
    groups = _canonical.clusters(-values if largest else values, 0.1 * tol * norm)
    gaps = _canonical.separations(-values if largest else values, groups)
    with np.errstate(divide="ignore"):
        errors = np.minimum(residuals * norm / gaps, 1.0)
    if canonical:
        _canonical.canonical_basis(vectors, groups)
    result = EigenResult(
        values=values, vectors=vectors, residuals=residuals, vector_errors=errors, null_dim=fixed,
        labels=None, converged=bool(found["converged"]),
        info={
            "method": "lanczos", "reason": "products alone", "products": found["products"], "norm": norm,
            "seconds": time.perf_counter() - start, "verified": verify or width >= k,
            "stopped": found["stopped"], "rounds": found["rounds"],
        },
    )  # fmt: skip
    if not result.converged:
        message = (
            f"{int((residuals <= tol).sum())} of {k} eigenpairs reached tol = {tol:g} in {found['products']} "
            f"products; the largest residual is {residuals.max(initial=0.0):.1e}"
        )
        if on_fail == "raise":
            raise ConvergenceError(message)
        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())
    return result


def svds(
    A: Any,
    k: int = 6,
    *,
    tol: float = 1e-6,
    max_products: int = 300,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    time_limit: float | None = None,
    verbose: int = 0,
    on_fail: str = "warn",
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Leading singular triplets of a matrix or operator.

    Block Lanczos on ``Aᵀ A`` with thick restart; the values and the left vectors come from A itself.

    Parameters
    ----------
    A : array, sparse matrix, LinearOperator, or any object with ``shape``, ``matmat`` and ``rmatmat``
        Of shape (m, n).
    k : int, default=6
        Number of triplets, at most the smaller side.
    tol : float, default=1e-6
        Largest residual ``max(‖A v - σ u‖, ‖Aᵀ u - σ v‖)`` relative to the largest singular value.
    max_products : int, default=300
        Most applications of ``Aᵀ A`` to a block.
    random_state, n_jobs, callback, time_limit, verbose, on_fail
        As in `eigsh`.

    Returns
    -------
    U : float64 array of shape (m, k)
    s : float64 array of shape (k,)
        Falling.
    Vt : float64 array of shape (k, n)

    Raises
    ------
    ValueError, TypeError
        An argument is not as described, or a product is not finite.
    ConvergenceError
        With ``on_fail="raise"``.

    Warns
    -----
    ConvergenceWarning
        The tolerance was not reached.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.linalg import svds
    >>> U, s, Vt = svds(np.diag([3.0, 1.0, 2.0, 0.5]), 2)
    >>> s.round(6).tolist()
    [3.0, 2.0]
    """
    threads = _threads.resolve(n_jobs)
    seed = _validate.check_seed(random_state)
    tol = _validate.check_positive(tol, "tol")
    most = _validate.check_integer(max_products, "max_products", 1)
    _validate.check_choice(on_fail, "on_fail", ("warn", "raise"))
    limit = None if time_limit is None else _validate.check_positive(time_limit, "time_limit")
    rows, cols = _shape(A)
    k = _validate.check_integer(k, "k", 1, min(rows, cols))
    u, v = np.empty((k, rows)), np.empty((k, cols))
    with Progress(time_limited(callback, limit), verbose) as progress:
        values, residuals, products, converged = _backend.extension().svds(
            _products(A, "A"), _products(A, "A", transposed=True), rows, cols, k, tol, most, seed, u, v,
            threads, progress.hook,
        )  # fmt: skip
    if not converged:
        message = (
            f"the largest residual of the singular triplets is {residuals.max(initial=0.0):.1e} after "
            f"{products} applications, above tol = {tol:g}"
        )
        if on_fail == "raise":
            raise ConvergenceError(message)
        warnings.warn(message, ConvergenceWarning, stacklevel=_caller.level())
    return u.T, values, v


def _shape(A: Any) -> tuple[int, int]:
    if not hasattr(A, "shape"):
        A = np.asarray(A)
    if len(A.shape) != 2 or 0 in A.shape:
        raise ValueError(f"A must be 2-D and not empty, got shape {tuple(A.shape)}")
    if np.dtype(getattr(A, "dtype", None) or np.float64).kind == "c":
        raise TypeError(f"A is complex ({A.dtype}); a real one is needed")
    return int(A.shape[0]), int(A.shape[1])


def _products(A: Any, name: str, *, transposed: bool = False) -> Rows:
    """What the core calls: from vectors in rows to their images in rows."""
    if not hasattr(A, "shape"):
        A = np.asarray(A, dtype=np.float64)
    apply = getattr(A, "rmatmat" if transposed else "matmat", None)
    if apply is None:
        B = A.T if transposed else A

        def apply(X: Any) -> Any:
            return B @ X

    def rows(x: NDArray[np.float64]) -> NDArray[np.float64]:
        image = np.ascontiguousarray(np.asarray(apply(x.T)).T, dtype=np.float64)
        if not np.isfinite(image).all():
            raise ValueError(f"a product with {name} is not finite")
        return image

    return rows
