"""Packages that are not always there: one error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["need"]


def need(module: str, *, extra: str = "", package: str = "", purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it, or which package it is in.

    Parameters
    ----------
    module : str
        Name to import, for example ``"matplotlib.pyplot"``.
    extra : str
        The extra of lapwing that installs it; "": none does.
    package : str
        What to install where no extra does; "": what is imported.
    purpose : str
        What it is needed for, as the subject of the message: ``"the plot of an embedding"``.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the package is there and is broken itself: its own message says more
        install = f'"lapwing[{extra}]"' if extra else package or top
        raise ImportError(f"{purpose} needs {top}: pip install {install}", name=top) from error
