"""Export: the samples of an analysis as files for other tools, one file each, written shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from hepimg.components import Progress, Step
from hepimg.dataset import Dataset, Part
from hepimg.orders import StoredSample
from hepimg.sample import Sample
from hepimg.shards import read_shard

Format = Literal["parquet", "hdf5", "root"]

SUFFIXES: Mapping[Format, str] = {"parquet": ".parquet", "hdf5": ".h5", "root": ".root"}

OWN = ("sample", "row")
"""Columns that a dataset adds for its own use."""

Shards = Callable[[], Iterator[Sample]]
"""Gives the rows of a sample, shard by shard, as often as it is called."""


def export_samples(
    stored: Mapping[str, StoredSample],
    form: Format,
    folder: Path,
    progress: Progress,
    preprocess: tuple[Step, ...] = (),
) -> list[Path]:
    """Write each sample to ``<folder>/<sample>.<suffix>``; the paths.

    Args:
        stored: the samples on disk.
        form: of the files.
        folder: for the files.
        progress: a bar over the shards.
        preprocess: jet steps that are run first; random ones rest.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    write = writer(form)
    written = []
    for name, sample in stored.items():
        path = folder / f"{name}{SUFFIXES[form]}"
        progress.start(f"export {name}", None, "rows")
        write(path, partial(_shards, sample, preprocess, progress))
        progress.stop()
        written.append(path)
    return written


def writer(form: Format) -> Callable[[Path, Shards], None]:
    """What writes a file of this form."""
    if form == "parquet":
        from hepimg.export.parquet import write_parquet

        return write_parquet
    if form == "hdf5":
        from hepimg.export.hdf5 import write_hdf5

        return write_hdf5
    from hepimg.export.root import write_root

    return write_root


def _shards(stored: StoredSample, preprocess: tuple[Step, ...], progress: Progress) -> Iterator[Sample]:
    first = 0
    for path, rows in stored.shards:
        if preprocess:
            part = Part(0, path, first, np.arange(rows))
            ((_, sample),) = Dataset((part,), (stored.name,), preprocess).samples()
            sample = replace(sample, classes=(), columns={k: v for k, v in sample.columns.items() if k not in OWN})
        else:
            sample = read_shard(path)[:rows]
        first += rows
        yield sample
        progress.advance(rows)
