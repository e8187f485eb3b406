"""Randomly damaged files end in rows or in a DataError that names the file: no crash, no hang, no other exception.

``HEPIMG_FUZZ_CASES`` is the number of cases of each reader.  A thousand take 15 minutes; this prints what came
of them::

    HEPIMG_FUZZ_CASES=1000 HEPIMG_TEST_DATA=... pytest tests/files/test_fuzz.py -rP
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from root_layouts import write_jetclass, write_nano, write_plain_parquet
from test_hdf5_layouts import SOURCES

from hepimg.export.parquet import write_parquet
from hepimg.export.root import write_root
from rows import make_sample

CASES = int(os.environ.get("HEPIMG_FUZZ_CASES", "12"))

TABLE_CASES = max(CASES, 30)
"""From 30 on some damaged tables must still give rows, so that refusing everything is no way to pass."""

EXTERNAL_CASES = CASES if CASES >= 1000 else max(3, CASES // 10)
"""Of the larger real files, which take longer."""


@pytest.mark.parametrize("layout", SOURCES)
def test_hdf5(layout: str) -> None:
    fuzz("hdf5_fuzz.py", layout, cases=CASES)


@pytest.mark.parametrize("kind", ["jetclass", "nanoaod_jets", "root", "parquet", "plain_parquet"])
def test_tables(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{'parquet' if 'parquet' in kind else 'root'}"
    if kind == "jetclass":
        write_jetclass(path, 8)
    elif kind == "nanoaod_jets":
        write_nano(path, 8)
    elif kind == "plain_parquet":
        write_plain_parquet(path, 8)
    else:
        (write_root if kind == "root" else write_parquet)(path, lambda: iter([make_sample(8), make_sample(4)]))
    fuzz("table_fuzz.py", path, kind, cases=TABLE_CASES)


@pytest.mark.parametrize(("name", "kind"), [("delphes.root", "delphes_jets"), ("pfnano_rntuple.root", "nanoaod_jets")])
def test_real_tables(external: Path, name: str, kind: str) -> None:
    fuzz("table_fuzz.py", external / "files" / name, kind, cases=EXTERNAL_CASES)


def test_hepmc() -> None:
    fuzz("hepmc_fuzz.py", cases=CASES)


def fuzz(script: str, *arguments: str | Path, cases: int) -> None:
    """Run a script in a process of its own, which sets itself limits of time and memory."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments), str(cases)]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.startswith(f"{cases} cases, "), done.stdout
    assert not done.stderr
    print(script, *arguments, done.stdout)  # noqa: T201
