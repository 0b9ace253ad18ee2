"""Gradients of the core's transforms for PyTorch.

Functions of `lapwing.multiscale` that get a tensor call this room by themselves; there is nothing here that
needs to be called.
"""

from __future__ import annotations

from lapwing import _array
from lapwing.autograd import _linear, _multiscale
from lapwing.autograd._multiscale import call

__all__ = ["call"]

_multiscale.FUNCTIONS.update(_linear.FUNCTIONS)
_array.call_with_tensors = call
