"""Where in the user's program a warning belongs."""

from __future__ import annotations

import sys

__all__ = ["level"]

#: Ours, and packages whose wrappers stand between a user and our functions (autograd, scikit-learn's `fit`).
INSIDE = {"lapwing", "torch", "sklearn"}


def level() -> int:
    """Return the ``stacklevel`` with which a warning of the caller points at the line that called lapwing.

    However many functions are between: tensors, batches and estimators take other ways than arrays.
    """
    frame, count = sys._getframe(1), 1
    while str(frame.f_globals.get("__name__")).partition(".")[0] in INSIDE and frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count
