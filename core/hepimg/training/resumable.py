"""What every training needs to go on after an interrupt as if nothing had happened: seeds by step, a log, no strays."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence

import torch

from hepimg.components import Run
from hepimg.random import derive_seed
from hepimg.store import writing

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"


def seed_from(run: Run, *key: int | str) -> None:
    """Let all of torch's random numbers that follow derive from the seed of the run and the key."""
    seed = derive_seed(run.seed, *key)
    # torch.manual_seed asks every kind of accelerator each time, which takes half a millisecond.
    torch.default_generator.manual_seed(seed)
    if run.device == "cuda":
        torch.cuda.manual_seed(seed)


def write_log(run: Run, rows: Sequence[Mapping[str, float]]) -> None:
    """Write ``log.csv``, a copy of what the checkpoint knows."""
    with writing(run.folder / LOG) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def remove_strays(run: Run) -> None:
    """Remove what a process left that was killed while it wrote."""
    for stray in run.folder.glob(".*.tmp"):
        stray.unlink()
