"""Entropic optimal transport: the plan between two weighted point sets, with a measured marginal error.

The plan is kept as two potentials and applied without being stored; `OTResult` says what can be had from it.
"""

from __future__ import annotations

from lapwing._array import takes_tensors
from lapwing.ot._barycenter import Barycenter, barycenter
from lapwing.ot._batch import OTResultBatch, solve_batch
from lapwing.ot._block import BlockSweep, sweep_block
from lapwing.ot._cost import METRICS, c_transform, cost_quantile
from lapwing.ot._couplings import Assignment, assign, gibbs_weights, nearest_noise
from lapwing.ot._divergence import SinkhornDivergence, sinkhorn_divergence
from lapwing.ot._doubly import DoublyStochasticResult, doubly_stochastic
from lapwing.ot._free_support import FreeBarycenter, barycenter_free_support
from lapwing.ot._gradients import OTGradients
from lapwing.ot._monge import MongeGap, monge_gap
from lapwing.ot._operator import kernel_operator
from lapwing.ot._progressive import PartialLabels, mass_schedule, progressive_partial
from lapwing.ot._result import HistoryEntry, OTResult, SingularTriplets
from lapwing.ot._solve import solve, solve_sample
from lapwing.ot._solve_sparse import solve_sparse
from lapwing.ot._sparse import SparseOTResult
from lapwing.ot._sparsity import SparsePlan, sparsity_constrained

__all__ = [
    "METRICS",
    "Assignment",
    "Barycenter",
    "BlockSweep",
    "DoublyStochasticResult",
    "FreeBarycenter",
    "HistoryEntry",
    "MongeGap",
    "OTGradients",
    "OTResult",
    "OTResultBatch",
    "PartialLabels",
    "SingularTriplets",
    "SinkhornDivergence",
    "SparseOTResult",
    "SparsePlan",
    "assign",
    "barycenter",
    "barycenter_free_support",
    "c_transform",
    "cost_quantile",
    "doubly_stochastic",
    "gibbs_weights",
    "kernel_operator",
    "mass_schedule",
    "monge_gap",
    "nearest_noise",
    "progressive_partial",
    "sinkhorn_divergence",
    "solve",
    "solve_batch",
    "solve_sample",
    "solve_sparse",
    "sparsity_constrained",
    "sweep_block",
]

for _name in (
    "monge_gap",
    "sinkhorn_divergence",
    "solve",
    "solve_batch",
    "solve_sample",
    "solve_sparse",
):
    globals()[_name] = takes_tensors(globals()[_name], __name__, gradients=True)
