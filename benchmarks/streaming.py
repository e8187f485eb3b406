"""Memory of ``hepimg data`` while it streams a file larger than memory should hold.

    python benchmarks/streaming.py --gigabytes 5

writes a plain HDF5 file of invented jets, lets ``hepimg data`` make shards of it, and prints the largest memory of all
its processes together: resident (pages shared between processes counted in each) and proportional (counted once).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

JETS = 20_000
"""Jets that are invented once and written again and again."""

SLOTS = 128

YAML = """\
title: streaming
data: {{source: {{source: hdf5, files: {file}}}, steps: []}}
samples: {{jets: {{}}}}
"""


def write_jets(path: Path, gigabytes: float) -> int:
    """Write (n, 128, 4) float32 constituents until the file has its size; the number of jets."""
    import h5py

    rng = np.random.default_rng(1)
    n = rng.integers(20, SLOTS + 1, JETS)
    constituents = np.stack(
        [rng.exponential(10, (JETS, SLOTS)), *(rng.normal(0, 0.3, (2, JETS, SLOTS))), np.zeros((JETS, SLOTS))], axis=2
    ).astype(np.float32)
    constituents[np.arange(SLOTS) >= n[:, None]] = 0
    blocks = max(1, round(gigabytes * 1e9 / constituents.nbytes))
    with h5py.File(path, "w") as file:
        kept = file.create_dataset(
            "constituents", (blocks * JETS, SLOTS, 4), np.float32, chunks=(1000, SLOTS, 4)
        )  # fmt: skip
        kept.attrs["columns"] = "pt,eta,phi,mass"
        file["n"] = np.tile(n.astype(np.int32), blocks)
        for block in range(blocks):
            kept[block * JETS : (block + 1) * JETS] = constituents
    return blocks * JETS


def memory_of(process: int) -> tuple[int, int]:
    """Resident and proportional bytes of a process and its descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        except OSError:
            continue
    resident = proportional = 0
    queue = [process]
    while queue:
        here = queue.pop()
        queue += parents.get(here, [])
        try:
            lines = Path(f"/proc/{here}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
        resident, proportional = resident + sizes["Rss:"], proportional + sizes["Pss:"]
    return resident, proportional


def main() -> None:
    """Write, stream, watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the file and the shards are written; twice its size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        folder = Path(scratch)
        jets = write_jets(folder / "jets.h5", arguments.gigabytes)
        size = (folder / "jets.h5").stat().st_size
        (folder / "streaming.yaml").write_text(YAML.format(file=folder / "jets.h5"))
        command = [sys.executable, "-c", "from hepimg.cli import main; main()", "data", str(folder / "streaming.yaml")]
        started = time.perf_counter()
        environment = os.environ | {"HEPIMG_CACHE": str(folder / "cache")}
        resident = proportional = 0
        running = subprocess.Popen([*command, "--jobs", str(arguments.jobs)], env=environment)
        while running.poll() is None:
            now = memory_of(running.pid)
            resident, proportional = max(resident, now[0]), max(proportional, now[1])
            time.sleep(0.1)
        seconds = time.perf_counter() - started
    print(f"exit code {running.returncode}; {jets} jets, {size / 1e9:.2f} GB in {seconds:.0f} s")
    print(f"largest memory: {resident / 1e6:.0f} MB resident, {proportional / 1e6:.0f} MB proportional")


if __name__ == "__main__":
    main()
