"""The core's functions, given arrays that do and do not fit, return or raise; they never crash or hang."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("prefix", ["ot_"])
def test_no_call_crashes(prefix, tmp_path):
    script, last = Path(__file__).with_name("fuzz.py"), tmp_path / "last"
    command = [sys.executable, "-X", "faulthandler", str(script), prefix, "0", "120", str(last)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"after {last.read_text()}: {run.stderr}"
    assert run.stdout == "never returned:\n", run.stdout  # or the arguments are too wild to reach anything


def test_no_multiscale_call_crashes_or_writes_beside_its_arrays(tmp_path):
    script, last = Path(__file__).with_name("fuzz_multiscale.py"), tmp_path / "last"
    command = [sys.executable, "-X", "faulthandler", str(script), "0", "1000", str(last)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"after {last.read_text()}: {run.stderr}"
    assert run.stdout == "seldom returned or refused:\n", run.stdout
