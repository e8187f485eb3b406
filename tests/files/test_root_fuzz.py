"""Randomly damaged files end in a clear error: never a crash, a hang, or another exception."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from root_layouts import write_jetclass, write_nano, write_plain_parquet

from hepimg.export.parquet import write_parquet
from hepimg.export.root import write_root
from rows import make_sample

CASES = int(os.environ.get("HEPIMG_FUZZ_CASES", "30"))


@pytest.mark.parametrize("kind", ["jetclass", "nanoaod_jets", "root", "parquet", "plain_parquet"])
def test_damaged_files_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{'parquet' if 'parquet' in kind else 'root'}"
    if kind == "jetclass":
        write_jetclass(path, 8)
    elif kind == "nanoaod_jets":
        write_nano(path, 8)
    elif kind == "plain_parquet":
        write_plain_parquet(path, 8)
    else:
        (write_root if kind == "root" else write_parquet)(path, lambda: iter([make_sample(8), make_sample(4)]))
    fuzz(path, kind, CASES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("delphes.root", "delphes_jets"), ("pfnano_rntuple.root", "nanoaod_jets")],
)
def test_damaged_real_files_are_refused(external: Path, name: str, kind: str) -> None:
    fuzz(external / "files" / name, kind, max(3, CASES // 10))


def fuzz(path: Path, kind: str, cases: int) -> None:
    script = Path(__file__).with_name("table_fuzz.py")
    command = [sys.executable, str(script), str(path), kind, str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 10 * cases, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{cases} cases")
