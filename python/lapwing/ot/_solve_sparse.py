"""The door for sparse costs."""

from __future__ import annotations

from typing import Any

from lapwing._array import Array
from lapwing.ot import _sparse
from lapwing.ot._solve import solve
from lapwing.ot._sparse import SparseOTResult

__all__ = ["solve_sparse"]


def solve_sparse(
    C: Any, a: Array | None = None, b: Array | None = None, *, reg: float, **options: Any
) -> SparseOTResult:
    """Entropic optimal transport where only some pairs may be used.

    Time and memory go with the number of stored pairs; nothing of size n m is made.

    Parameters
    ----------
    C : scipy.sparse CSR, CSC or COO matrix of shape (n, m)
        Costs of the pairs that may be used: a stored 0 is a cost of 0, and what is not stored is forbidden
        (as is a stored ``+inf``). float32 is computed in float32, everything else in float64. Entries may
        come in any order, each once.
    a, b : arrays of shape (n,) and (m,), optional
        Weights; see `solve`.
    reg : float
        Regularisation ε > 0.
    **options
        Everything else that `solve` takes: `unbalanced`, `mass`, `method`, `init`, ... `reg_scale` is the
        statistic of the stored costs.

    Returns
    -------
    SparseOTResult
        As `OTResult`; `plan` and `grad_C` are sparse matrices with the pattern of `C`. ``status`` is
        ``"stalled (pattern probably infeasible)"`` where the potentials drift apart while the error stays:
        then probably no plan on the pattern has these weights.

    Raises
    ------
    TypeError
        `C` is not a sparse matrix of one of these formats.
    ValueError
        NaN or -inf, an entry that is stored twice, a shape that does not fit; see `solve`.
    InfeasibleError
        A row or column of positive weight has no entry; or the pattern falls into components, one of which
        has different weights on its two sides (its row and both weights are named).

    Warns
    -----
    ConvergenceWarning
        The marginal error did not reach `tol`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from lapwing import ot
    >>> C = csr_array(([0.0, 1.0, 1.0, 0.0, 0.5], ([0, 0, 1, 1, 2], [0, 1, 0, 1, 1])), shape=(3, 2))
    >>> result = ot.solve_sparse(C, reg=0.5, tol=1e-9)
    >>> np.round(result.plan.toarray(), 6)
    array([[0.327722, 0.005611],
           [0.172278, 0.161055],
           [0.      , 0.333333]])
    """
    _sparse.check_sparse(C)
    result: Any = solve(C, a, b, reg=reg, **options)
    return result  # type: ignore[no-any-return]
