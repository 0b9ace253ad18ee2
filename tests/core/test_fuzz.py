"""The core's functions, given arrays that do and do not fit, return or raise; they never crash or hang."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def _run(script, tmp_path, *arguments):
    """What a script prints that ends well."""
    path, last = Path(__file__).with_name(script), tmp_path / "last"
    command = [sys.executable, "-X", "faulthandler", str(path), *arguments, str(last)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"after {last.read_text()}: {run.stderr}"
    return run.stdout


def test_no_call_crashes(tmp_path):
    # or the arguments are too wild to reach anything
    assert _run("fuzz.py", tmp_path, "ot_", "0", "120") == "never returned:\n"


def test_no_multiscale_call_crashes_or_writes_beside_its_arrays(tmp_path):
    assert _run("fuzz_multiscale.py", tmp_path, "0", "1000") == "seldom returned or refused:\n"
