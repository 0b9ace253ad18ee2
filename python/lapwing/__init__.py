"""lapwing: entropic optimal transport, graph Laplacians and joint embeddings, with a C++ core.

Names are loaded when they are first used; ``import lapwing`` itself loads NumPy and the extension only.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapwing import _array, _core, _threads

if TYPE_CHECKING:
    from lapwing import (
        autograd,
        cluster,
        datasets,
        embedding,
        exceptions,
        generative,
        graph,
        linalg,
        metrics,
        multiscale,
        nn,
        ot,
        phylo,
        plots,
        signal,
        trees,
    )
    from lapwing.cluster import FiedlerPartition, SpectralClustering
    from lapwing.embedding import (
        DiffusionMaps,
        EOTEigenmaps,
        EOTEigenmapsResult,
        HeatGeodesic,
        HyperbolicDiffusion,
        SpectralEmbedding,
    )
    from lapwing.embedding.eot_eigenmaps import eot_eigenmaps
    from lapwing.exceptions import (
        ConvergenceError,
        ConvergenceWarning,
        CudaError,
        DecodeError,
        DisconnectedGraphWarning,
        DisconnectedSimilarityWarning,
        InfeasibleBalanceWarning,
        InfeasibleError,
        LapwingError,
    )
    from lapwing.generative import PCDM
    from lapwing.signal import WaveletTransformer
    from lapwing.trees import STDR

__all__ = [  # noqa: RUF022 - as sorted() has them
    "ConvergenceError",
    "ConvergenceWarning",
    "CudaError",
    "DecodeError",
    "DiffusionMaps",
    "DisconnectedGraphWarning",
    "DisconnectedSimilarityWarning",
    "EOTEigenmaps",
    "EOTEigenmapsResult",
    "FiedlerPartition",
    "HeatGeodesic",
    "HyperbolicDiffusion",
    "InfeasibleBalanceWarning",
    "InfeasibleError",
    "LapwingError",
    "PCDM",
    "STDR",
    "SpectralClustering",
    "SpectralEmbedding",
    "WaveletTransformer",
    "__version__",
    "autograd",
    "cluster",
    "datasets",
    "embedding",
    "eot_eigenmaps",
    "exceptions",
    "generative",
    "get_cmake_dir",
    "get_include",
    "get_isa",
    "graph",
    "linalg",
    "metrics",
    "multiscale",
    "nn",
    "ot",
    "phylo",
    "plots",
    "set_isa",
    "show_config",
    "signal",
    "trees",
]

__version__: str = _core.build_info()["version"]

_MODULES = frozenset(
    {
        "autograd",
        "cluster",
        "datasets",
        "embedding",
        "exceptions",
        "generative",
        "graph",
        "linalg",
        "metrics",
        "multiscale",
        "nn",
        "ot",
        "phylo",
        "plots",
        "signal",
        "trees",
    }
)
_HOME = {
    "DiffusionMaps": "embedding",
    "EOTEigenmaps": "embedding",
    "EOTEigenmapsResult": "embedding",
    "FiedlerPartition": "cluster",
    "HeatGeodesic": "embedding",
    "HyperbolicDiffusion": "embedding",
    "PCDM": "generative",
    "STDR": "trees",
    "SpectralClustering": "cluster",
    "SpectralEmbedding": "embedding",
    "WaveletTransformer": "signal",
    "eot_eigenmaps": "embedding.eot_eigenmaps",
    **dict.fromkeys((name for name in __all__ if name.endswith(("Error", "Warning"))), "exceptions"),
}

_threads._watch_threadpoolctl()


def _call_with_tensors(*call: Any) -> Any:
    """The first call of a function of arrays with tensors: gradients come from a room above the door."""
    importlib.import_module("lapwing.autograd")
    return _array.call_with_tensors(*call)  # type: ignore[misc]


_array.call_with_tensors = _call_with_tensors


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"lapwing.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(f"lapwing.{_HOME[name]}"), name)
        globals()[name] = value  # the next look-up does not come here
        return value
    raise AttributeError(f"module 'lapwing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _installed(*parts: str) -> str:
    # Beside the extension, which an editable installation keeps elsewhere than the Python files.
    folder = Path(_core.__file__).parent.joinpath(*parts)
    if not folder.is_dir():
        raise FileNotFoundError(f"this installation of lapwing has no {folder}")
    return str(folder)


def get_include() -> str:
    """Return the folder with the C++ headers (``#include <lapwing/lapwing.hpp>``).

    Raises
    ------
    FileNotFoundError
        The headers are not installed.
    """
    return _installed("include")


def get_cmake_dir() -> str:
    """Return the folder with ``lapwing-config.cmake``, for ``-Dlapwing_DIR=`` or ``CMAKE_PREFIX_PATH``.

    Raises
    ------
    FileNotFoundError
        The CMake package is not installed.
    """
    return _installed("lib", "cmake", "lapwing")


def get_isa() -> str:
    """Return the instruction set in use: ``"baseline"``, ``"avx2"``, ``"avx512"`` or ``"neon"``."""
    return str(_core.get_isa())


def set_isa(name: str | None) -> None:
    """Force an instruction set for the whole process; a tool for tests and benchmarks.

    Parameters
    ----------
    name : str or None
        One of the levels that `show_config` lists; None goes back to the best that the processor has.

    Raises
    ------
    ValueError
        This build or this processor does not have the level.
    """
    _core.set_isa(name)


def show_config() -> None:
    """Print version, instruction set, threads, CUDA, compiler and Eigen version.

    Examples
    --------
    >>> import lapwing
    >>> lapwing.show_config()  # doctest: +ELLIPSIS
    lapwing      ...
    """
    info = _core.build_info()
    lines = {
        "lapwing": info["version"],
        "simd": f"{_core.get_isa()} (built: {', '.join(info['isa'])}; best here: {_core.best_isa()})",
        "threads": _threads.effective(),
        "cuda": "yes" if info["cuda"] else "not built",
        "compiler": info["compiler"],
        "eigen": info["eigen"],
        "extension": _core.__file__,
    }
    for key, value in lines.items():
        print(f"{key:<12} {value}")
