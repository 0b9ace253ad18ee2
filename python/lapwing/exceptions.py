"""Every exception and warning that lapwing raises and that Python does not already have.

Bad input raises the built-in ``ValueError``, ``TypeError`` or ``MemoryError``, before any work is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "ConvergenceError",
    "ConvergenceWarning",
    "CudaError",
    "DecodeError",
    "DisconnectedGraphWarning",
    "DisconnectedSimilarityWarning",
    "InfeasibleBalanceWarning",
    "InfeasibleError",
    "LapwingError",
]


class LapwingError(Exception):
    """Base of lapwing's own exceptions that have no better built-in."""


class InfeasibleError(ValueError):
    """No plan, scaling or partition meets these constraints; the message names the row, component or node."""


class DecodeError(LapwingError, ValueError):
    """A compressed file is damaged, foreign, or was written by another model."""


class CudaError(LapwingError, RuntimeError):
    """A kernel launch or a copy failed on the GPU."""


class ConvergenceError(LapwingError, RuntimeError):
    """A run asked to fail (``on_fail="raise"``) stopped before its tolerance."""


class DisconnectedGraphWarning(UserWarning):
    """A graph has more than one connected component."""


class DisconnectedSimilarityWarning(UserWarning):
    """A similarity matrix falls into more than one connected component."""


class InfeasibleBalanceWarning(UserWarning):
    """The requested balance cannot be reached; the best achievable one was returned."""


if TYPE_CHECKING:

    class ConvergenceWarning(UserWarning):
        """A run stopped before its tolerance; the result carries the error that it reached."""


def _convergence_warning() -> type[Warning]:
    """Make the class on first use: its base lives in scikit-learn, which must not be imported before."""
    try:
        from sklearn.exceptions import ConvergenceWarning as base
    except ImportError:
        base = UserWarning
    namespace = {
        "__module__": __name__,
        "__doc__": "A run stopped before its tolerance; the result carries the error that it reached.",
    }
    return type("ConvergenceWarning", (base,), namespace)


def __getattr__(name: str) -> Any:
    if name == "ConvergenceWarning":
        return globals().setdefault(name, _convergence_warning())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
