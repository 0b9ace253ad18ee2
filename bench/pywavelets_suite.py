"""Run PyWavelets' own tests against lapwing.multiscale: ``python -m bench.pywavelets_suite``.

pip puts a release of PyWavelets, whose package holds its tests, into a temporary folder; a package named
``pywt`` that stands for lapwing.multiscale goes before it, and pytest runs the files. Nothing of it is kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

RELEASE = "PyWavelets==1.9.0"
FILES = ("dwt_idwt", "multidim", "multilevel", "swt", "modes", "wavelet", "perfect_reconstruction")

#: Tests that are left out, and why.
_CONTINUOUS = "continuous wavelets, which lapwing does not have"
_PRIVATE = "a private module of PyWavelets"
DESELECTED = {
    "test_dwt_idwt.py::test_error_on_continuous_wavelet": _CONTINUOUS,
    "test_multidim.py::test_error_on_continuous_wavelet": _CONTINUOUS,
    "test_multilevel.py::test_error_on_continuous_wavelet": _CONTINUOUS,
    "test_swt.py::test_error_on_continuous_wavelet": _CONTINUOUS,
    "test_multidim.py::test_per_axis_wavelets_and_modes": _PRIVATE,
    "test_multilevel.py::test_per_axis_wavelets_and_modes": _PRIVATE,
    "test_swt.py::test_swtn_axes": _PRIVATE,
    "test_modes.py::test_available_modes": "the numbers of modes in PyWavelets' C code",
    "test_multilevel.py::test_waverecn_invalid_coeffs": (
        "a band that is None is an error there and zeros here"
    ),
    "test_swt.py::test_iswtn_errors": "shapes that differ are a RuntimeError there and a ValueError here",
    "test_wavelet.py::test_custom_wavelet": (
        "whether a bank is orthogonal is said by its user there, told by its numbers here"
    ),
}

SHIM = '''
"""lapwing.multiscale under the name of PyWavelets."""
import functools
import sys
import types

import numpy as np

from lapwing import multiscale as _ms


def _single(x):
    """PyWavelets makes float32 of float16; lapwing keeps it."""
    if isinstance(x, np.ndarray) and x.dtype == np.float16:
        return x.astype(np.float32)
    if isinstance(x, list):
        return [_single(v) for v in x]
    if isinstance(x, tuple):
        return tuple(_single(v) for v in x)
    return {k: _single(v) for k, v in x.items()} if isinstance(x, dict) else x


def _wrap(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*_single(list(args)), **_single(kwargs))

    return call


for _name in _ms.__all__:
    _value = getattr(_ms, _name)
    globals()[_name] = _wrap(_value) if isinstance(_value, types.FunctionType) else _value


class Modes:
    modes = ["zero", "constant", "symmetric", "periodic", "smooth", "periodization", "reflect",
             "antisymmetric", "antireflect"]

    @staticmethod
    def from_object(mode):
        from lapwing.multiscale._wavelet import as_mode

        return Modes.modes.index(as_mode(mode))


def DiscreteContinuousWavelet(name, filter_bank=None):
    return _ms.Wavelet(name, filter_bank)


def dwt_coeff_len(data_len, filter_len, mode):
    from lapwing import _backend

    return _backend.extension().dwt_length(data_len, getattr(filter_len, "dec_len", filter_len), mode)


def dwtn_max_level(shape, wavelet, axes=None):
    axes = range(len(shape)) if axes is None else np.atleast_1d(axes)
    wavelets = wavelet if isinstance(wavelet, (list, tuple)) else [wavelet] * len(axes)
    return min(_ms.dwt_max_level(shape[a], w) for a, w in zip(axes, wavelets))


if hasattr(_ms, "pack"):
    coeffs_to_array, array_to_coeffs = _wrap(_ms.pack), _wrap(_ms.unpack)


def _module(name, **members):
    module = types.ModuleType("pywt." + name)
    module.__dict__.update(members)
    sys.modules["pywt." + name] = module
    return module


_dwt = _module("_dwt", dwt_max_level=_ms.dwt_max_level)
_extensions = _module("_extensions")
_extensions._swt = _module("_extensions._swt", swt_axis=None)
'''

#: ``--deselect`` would also leave out tests whose names go on.
CONFTEST = """
def pytest_collection_modifyitems(config, items):
    out = [item for item in items if item.nodeid.split("[")[0] in LEFT_OUT]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]
"""


def main() -> int:
    """Run the files; the exit status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", action="store_true", help="also the tests that PyWavelets marks as slow")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "release")]
        if (
            shutil.which("pip")
            and subprocess.run([sys.executable, "-m", "pip", "-V"], capture_output=True).returncode
        ):
            pip = ["pip", "--python", sys.executable, *pip[3:]]
        subprocess.run([*pip, RELEASE], check=True)
        tests, shim = folder / "tests", folder / "shim"
        tests.mkdir()
        (shim / "pywt").mkdir(parents=True)
        (shim / "pywt" / "__init__.py").write_text(textwrap.dedent(SHIM))
        for file in FILES:
            shutil.copy(folder / "release" / "pywt" / "tests" / f"test_{file}.py", tests)
        (tests / "conftest.py").write_text(f"LEFT_OUT = {sorted(DESELECTED)!r}\n{CONFTEST}")
        (tests / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *given.pytest]
        if not given.slow:
            command += ["-m", "not slow"]
        print(f"{RELEASE}: {len(DESELECTED)} tests are left out")
        for test, why in DESELECTED.items():
            print(f"  {test}: {why}")
        path = os.pathsep.join(filter(None, [str(shim), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            command, cwd=tests, env={**os.environ, "PYTHONPATH": path}, check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
