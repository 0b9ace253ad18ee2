"""Laplacian systems."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _array, _backend, _caller, _graphs, _threads, _validate
from lapwing._array import Array
from lapwing._progress import Callback, Progress

__all__ = ["ApproxCholesky"]


class ApproxCholesky:
    """Approximate Cholesky factorisation of a graph Laplacian ``L = D - W``, for systems ``L x = b``.

    Kyng and Sachdeva, *Approximate Gaussian elimination for Laplacians: fast, sparse, and simple*, 2016; Gao,
    Kyng and Spielman, *Robust and practical solution of Laplacian equations by approximate elimination*,
    2023.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n), of any spread. A diagonal has no effect.
    split : int, default=2
        Parallel edges that each edge is cut into, 1 to 8: more of them make the factor denser and better.
    random_state : int, numpy generator or None, default=0
        Of the sampling.
    n_jobs : int or None
        Number of threads; None or -1: every core that the process may use. The factor does not depend on it.

    Attributes
    ----------
    nnz : int
        Entries of the factor below its diagonal.
    residuals_ : float64 array
        Of the last `solve`: ``‖b - L x‖ / ‖b‖`` of every column, recomputed from x.
    n_iter_ : int
        Of the last `solve`.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.linalg import ApproxCholesky
    >>> W = np.diag(np.ones(2), 1) + np.diag(np.ones(2), -1)
    >>> ApproxCholesky(W).solve(np.array([1.0, 0.0, -1.0])).round(6).tolist()
    [1.0, 0.0, -1.0]
    """

    def __init__(
        self, W: Any, split: int = 2, random_state: int | None = 0, *, n_jobs: int | None = None
    ) -> None:
        self.n_jobs = n_jobs
        split = _validate.check_integer(split, "split", 1, 8)
        seed = _validate.check_seed(random_state)
        threads = _threads.resolve(n_jobs)
        graph = _graphs.as_graph(W)
        if not graph.values.size:
            raise ValueError("W has no edges: every node is its own component")
        self.shape = (graph.n, graph.n)
        self._solver = _backend.extension().LaplacianSolver(*graph.csr, split, seed, threads)
        self.nnz: int = self._solver.factor_nonzeros
        self.residuals_: NDArray[np.float64] = np.empty(0)
        self.n_iter_ = 0

    def solve(
        self,
        B: Array,
        tol: float = 1e-8,
        *,
        max_iter: int = 500,
        callback: Callback | None = None,
        verbose: int = 0,
    ) -> Array:
        """Solve ``L x = b`` by conjugate gradients, all columns of `B` at once.

        Parameters
        ----------
        B : array of shape (n,) or (n, m)
            Right-hand sides. Only the part that sums to 0 over every connected component is in the range of
            L; the rest is left out.
        tol : float, default=1e-8
            Largest residual relative to that part of b.
        max_iter : int, default=500
            Most iterations.
        callback : callable or None
            Called after every iteration; returning True stops the run.
        verbose : int, default=0
            Above 0: a progress bar.

        Returns
        -------
        array of the shape and kind of `B`
            float64; its mean over every component is 0.

        Raises
        ------
        ValueError, TypeError
            An argument is not as described.

        Warns
        -----
        ConvergenceWarning
            The tolerance was not reached; `residuals_` tells what was.
        """
        tol = _validate.check_positive(tol, "tol")
        max_iter = _validate.check_integer(max_iter, "max_iter", 1)
        kind = _array.kind_of(B)
        b = _array.contiguous(_array.real(B, "B"), np.float64)
        n = self.shape[0]
        if b.ndim not in (1, 2) or b.shape[0] != n:
            raise ValueError(f"B must have shape ({n},) or ({n}, m), got {b.shape}")
        _validate.check_finite(b, "B")
        block = b.reshape(n, -1)
        x = np.zeros_like(block)
        converged = True
        self.residuals_, self.n_iter_ = np.zeros(block.shape[1]), 0
        if block.shape[1]:
            with Progress(callback, verbose) as progress:
                self.residuals_, self.n_iter_, converged = self._solver.solve(
                    block, tol, max_iter, x, _threads.resolve(self.n_jobs), progress.hook
                )
        if not converged:
            from lapwing.exceptions import ConvergenceWarning

            warnings.warn(
                f"the largest residual is {self.residuals_.max():.1e} after {self.n_iter_} iterations, above "
                f"tol = {tol:g}",
                ConvergenceWarning,
                stacklevel=_caller.level(),
            )
        return _array.wrap(x.reshape(b.shape), kind)
