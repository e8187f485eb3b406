"""Randomly damaged HDF5 files end in data or in a DataError: no crash of libhdf5, no hang, no other exception.

``HEPIMG_FUZZ_CASES`` is the number of cases of each layout.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_hdf5_layouts import SOURCES

CASES = int(os.environ.get("HEPIMG_FUZZ_CASES", "30"))


@pytest.mark.parametrize("layout", SOURCES)
def test_random_damage(layout: str, tmp_path: Path) -> None:
    script, faults, first = Path(__file__).with_name("hdf5_fuzz.py"), [], 0
    paths = os.pathsep.join(path for path in sys.path if path)
    while first < CASES:
        command = [sys.executable, str(script), str(tmp_path), layout, str(first), str(CASES)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
        lines = done.stdout.splitlines()
        faults += [line for line in lines if not line.isdigit()]
        reached = max((int(line) for line in lines if line.isdigit()), default=first)
        if done.returncode:
            faults.append(f"case {reached}: the process ended with {done.returncode}: {done.stderr[-500:]}")
        first = reached + 1
    assert not faults, "\n".join(faults)
