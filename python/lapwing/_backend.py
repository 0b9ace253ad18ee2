"""From an array's device to the extension module that computes there."""

from __future__ import annotations

from types import ModuleType

from lapwing import _core

__all__ = ["extension"]


def extension(device: str = "cpu", name: str = "the array") -> ModuleType:
    """Return the extension for arrays on `device`.

    Parameters
    ----------
    device : str
        ``"cpu"``, or ``"cuda"`` for memory of a GPU.
    name : str
        The argument, for the message.

    Raises
    ------
    ImportError
        The array lives on a GPU, for which this build has no extension.
    """
    if device == "cpu":
        return _core
    raise ImportError(
        f"{name} lives on a GPU, and the CUDA plug-in of lapwing is not installed; "
        "copy the array to the host first (cupy.asnumpy(...) or tensor.cpu())"
    )
