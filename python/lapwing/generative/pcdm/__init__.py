"""PCDM: cascaded diffusion models whose likelihood has a bound that is one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._algorithm import cascade_bound, vdm_bound
    from ._estimator import PCDM, VDM
    from ._plots import plot_bits, plot_images, plot_scales, plot_training

__all__ = [
    "PCDM",
    "VDM",
    "cascade_bound",
    "plot_bits",
    "plot_images",
    "plot_scales",
    "plot_training",
    "vdm_bound",
]

_HOME = {
    "PCDM": "_estimator",
    "VDM": "_estimator",
    "cascade_bound": "_algorithm",
    "vdm_bound": "_algorithm",
    **dict.fromkeys((name for name in __all__ if name.startswith("plot_")), "_plots"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.generative.pcdm.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
