"""The one progress bar, and the protocol of `callback`."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np

__all__ = ["Callback", "Progress", "ProgressInfo", "time_limited"]


class ProgressInfo(SimpleNamespace):
    """What a callback gets: where a long computation stands.

    Attributes
    ----------
    stage : str
        Which part of the computation reports.
    iteration : int
        Number of iterations (sweeps, applications) of this stage so far.
    error : float
        The error that the stage drives to its tolerance, in the unit of that tolerance.
    elapsed : float
        Seconds since the call began.
    reg : float
        For transport problems: the regularisation, in units of the cost.
    """

    stage: str
    iteration: int
    error: float
    elapsed: float


Callback = Callable[[ProgressInfo], Any]


def time_limited(callback: Callback | None, seconds: float | None) -> Callback | None:
    """`callback`, which also stops the run after so many seconds; None: no limit."""
    if seconds is None:
        return callback

    def stop(info: ProgressInfo) -> bool:
        answer = callback(info) if callback is not None else False
        return info.elapsed >= seconds or answer is True

    return stop


class Progress:
    """Hands the reports of a kernel to the user's callback and to a progress bar.

    Use it as a context manager and pass `hook` to the extension.

    Parameters
    ----------
    callback : callable or None
        Called with a `ProgressInfo` after every iteration. Returning True (nothing else) stops the run
        gracefully; an exception comes out of the call unchanged.
    verbose : int
        Above 0: a bar on standard error, once the run has taken `delay` seconds.
    unit : str
        Name of one iteration in the bar.
    delay : float
        Seconds before the bar appears.
    **extra
        Further attributes of every `ProgressInfo`.

    Raises
    ------
    TypeError
        `callback` cannot be called or `verbose` is not a number.
    """

    def __init__(
        self,
        callback: Callback | None,
        verbose: int = 0,
        *,
        unit: str = "it",
        delay: float = 1.0,
        **extra: Any,
    ) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, got {type(callback).__name__}")
        if not isinstance(verbose, (int, np.integer, np.bool_)):
            raise TypeError(f"verbose must be an integer, got {verbose!r}")
        self._callback = callback
        self._verbose = int(verbose)
        self._unit = unit
        self._delay = delay
        self._extra = extra
        self._start = time.monotonic()
        self._bar: Any = None

    @property
    def hook(self) -> Callable[[str, int, float], bool] | None:
        """What the extension calls; None when nobody listens, so that the core does not enter Python."""
        return self._report if self._callback is not None or self._verbose > 0 else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _report(self, stage: str, iteration: int, error: float) -> bool:
        elapsed = time.monotonic() - self._start
        if self._verbose > 0 and elapsed >= self._delay:
            self._show(stage, iteration, error)
        if self._callback is None:
            return False
        info = ProgressInfo(stage=stage, iteration=iteration, error=error, elapsed=elapsed, **self._extra)
        answer = self._callback(info)
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    def _show(self, stage: str, iteration: int, error: float) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(desc=stage, unit=self._unit)
        elif iteration < self._bar.n:
            self._bar.reset()
        self._bar.set_description(stage, refresh=False)
        self._bar.set_postfix_str(f"error {error:.1e}", refresh=False)
        self._bar.update(iteration - self._bar.n)
