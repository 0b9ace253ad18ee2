"""How many threads a call may use, and threadpoolctl's view of lapwing's own threads."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from numbers import Integral
from types import ModuleType
from typing import Any

from lapwing import _core

__all__ = ["effective", "resolve"]


def resolve(n_jobs: int | None) -> int:
    """Translate `n_jobs` for the core, where 0 means every core that the process may use.

    Parameters
    ----------
    n_jobs : int or None
        None or -1: every core, after the limits of threadpoolctl, ``OMP_NUM_THREADS``, the processor
        affinity and the container's quota. A positive number is obeyed as given.

    Raises
    ------
    TypeError, ValueError
        `n_jobs` is not an integer, is 0, or is negative and not -1.
    """
    if n_jobs is None:
        return 0
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be None or an integer, got {n_jobs!r}")
    if n_jobs == -1:
        return 0
    if not 0 < n_jobs < 2**15:
        raise ValueError(f"n_jobs must be None, -1 or a positive number of threads, got {n_jobs}")
    return int(n_jobs)


def effective(n_jobs: int | None = None) -> int:
    """Return the number of threads that a call with this `n_jobs` uses."""
    return resolve(n_jobs) or int(_core.get_num_threads())


def _register(threadpoolctl: ModuleType) -> None:
    """Let ``threadpoolctl.threadpool_limits`` and ``threadpool_info`` reach lapwing's threads."""
    controller: Any = threadpoolctl.LibController

    class LapwingController(controller):  # type: ignore[misc]
        user_api = "lapwing"
        internal_api = "lapwing"
        filename_prefixes = ("_core",)
        check_symbols = ("lapwing_get_num_threads", "lapwing_set_num_threads")

        def get_num_threads(self) -> int:
            return int(self.dynlib.lapwing_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.lapwing_set_num_threads(num_threads)

        def get_version(self) -> str:
            return str(_core.build_info()["version"])

        def set_additional_attributes(self) -> None:
            pass

    threadpoolctl.register(LapwingController)


class _RegisterOnImport(MetaPathFinder):
    """Waits for somebody to import threadpoolctl.

    lapwing must be known to threadpoolctl before the first limit is set, and importing lapwing must not
    import threadpoolctl: so the import itself is the moment.
    """

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != "threadpoolctl":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _watch_threadpoolctl() -> None:
    module = sys.modules.get("threadpoolctl")
    if module is not None:
        _register(module)
    else:
        sys.meta_path.insert(0, _RegisterOnImport())
