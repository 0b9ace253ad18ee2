"""Kernels of points as linear operators, never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lapwing import _threads, _validate
from lapwing._array import Array
from lapwing.ot import _geometry
from lapwing.ot._result import _Block, _log

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

__all__ = ["kernel_operator"]


def kernel_operator(
    X: Array,
    Y: Array | None = None,
    *,
    reg: float,
    u: Array | None = None,
    v: Array | None = None,
    metric: str = "sqeuclidean",
    n_jobs: int | None = None,
) -> LinearOperator:
    r"""The matrix :math:`u_i \exp(-c(x_i, y_j)/\varepsilon)\, v_j` as an operator.

    Each application to a block of vectors is one pass over the pairs; nothing of size n m is stored. With
    :func:`lapwing.linalg.eigsh` and :func:`lapwing.linalg.svds` it gives the leading eigenpairs of a Gaussian
    kernel and the singular triplets of a plan of any number of points.

    Parameters
    ----------
    X : array of shape (n, d)
        Points of the rows. If all points are float32 the pairs are computed in float32, else in float64.
    Y : array of shape (m, d), optional
        Points of the columns. None: those of the rows; the operator is then symmetric if `v` is not given.
    reg : float
        The bandwidth ε > 0, in units of the cost: for a Gaussian of width σ, 2σ².
    u : array of shape (n,), optional
        Factors of the rows, at least 0. None: 1.
    v : array of shape (m,), optional
        Factors of the columns, at least 0. None: `u` if `Y` is None, else 1.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        The cost c of a pair; see `solve_sample`.
    n_jobs : int or None
        Number of threads; the products have the same bits for any.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator of shape (n, m)

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import linalg, ot
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> K = ot.kernel_operator(X, reg=1.0)
    >>> values = linalg.eigsh(K, 3, which="LA").values
    >>> dense = np.exp(-((X[:, None] - X) ** 2).sum(-1))
    >>> bool(np.allclose(values, np.linalg.eigvalsh(dense)[:-4:-1]))
    True
    """
    from scipy.sparse.linalg import LinearOperator

    threads = _threads.resolve(n_jobs)
    width = _validate.check_positive(reg, "reg")
    geometry = _geometry.points(X, X if Y is None else Y, metric, names=("X", "X" if Y is None else "Y"))
    left = _log_factors(u, geometry.n, "u")
    right = left if Y is None and v is None else _log_factors(v, geometry.m, "v")

    def product(x: Array, name: str, transpose: bool) -> Array:
        block = _Block(x, geometry.n if transpose else geometry.m, name, geometry)
        return block.like(
            geometry.apply(width, left, right, block.values, transpose=transpose, threads=threads)
        )

    def forward(x: Array) -> Array:
        return product(x, "V", False)

    def backward(x: Array) -> Array:
        return product(x, "U", True)

    return LinearOperator(
        dtype=geometry.dtype,
        shape=(geometry.n, geometry.m),
        matvec=forward,
        rmatvec=backward,
        matmat=forward,
        rmatmat=backward,
    )


def _log_factors(factors: Array | None, n: int, name: str) -> _geometry.Vector:
    if factors is None:
        return np.zeros(n)
    return _log(_validate.check_weights(factors, n, name))
