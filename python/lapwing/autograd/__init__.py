"""Gradients of the core's functions for PyTorch.

Functions of `lapwing.multiscale` that get a tensor, and those of `lapwing.ot` that get one that requires
grad, call this room by themselves; there is nothing here that needs to be called.
"""

from __future__ import annotations

from lapwing import _array
from lapwing.autograd import _linear, _multiscale, _ot
from lapwing.autograd._multiscale import call
from lapwing.autograd._ot import TensorMongeGap, TensorOTResult, TensorOTResultBatch, TensorSinkhornDivergence

__all__ = ["TensorMongeGap", "TensorOTResult", "TensorOTResultBatch", "TensorSinkhornDivergence", "call"]

_multiscale.FUNCTIONS.update(_linear.FUNCTIONS)
_multiscale.FUNCTIONS.update(_ot.FUNCTIONS)
_array.call_with_tensors = call
