"""Entropic optimal transport: the plan between two weighted point sets, with a measured marginal error.

The plan is kept as two potentials and applied without being stored; `OTResult` says what can be had from it.
"""

from __future__ import annotations

from lapwing._array import takes_tensors
from lapwing.ot._barycenter import Barycenter, barycenter
from lapwing.ot._batch import OTResultBatch, solve_batch
from lapwing.ot._cost import METRICS, c_transform, cost_quantile
from lapwing.ot._divergence import SinkhornDivergence, sinkhorn_divergence
from lapwing.ot._doubly import DoublyStochasticResult, doubly_stochastic
from lapwing.ot._gradients import OTGradients
from lapwing.ot._operator import kernel_operator
from lapwing.ot._result import HistoryEntry, OTResult, SingularTriplets
from lapwing.ot._solve import solve, solve_sample
from lapwing.ot._solve_sparse import solve_sparse
from lapwing.ot._sparse import SparseOTResult

__all__ = [
    "METRICS",
    "Barycenter",
    "DoublyStochasticResult",
    "HistoryEntry",
    "OTGradients",
    "OTResult",
    "OTResultBatch",
    "SingularTriplets",
    "SinkhornDivergence",
    "SparseOTResult",
    "barycenter",
    "c_transform",
    "cost_quantile",
    "doubly_stochastic",
    "kernel_operator",
    "sinkhorn_divergence",
    "solve",
    "solve_batch",
    "solve_sample",
    "solve_sparse",
]

for _name in ("sinkhorn_divergence", "solve", "solve_batch", "solve_sample", "solve_sparse"):
    globals()[_name] = takes_tensors(globals()[_name], __name__, gradients=True)
