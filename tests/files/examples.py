"""A small file for every source of files, as its layout is published: for the contract checks and the documentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hdf5_layouts as hdf5
import hepmc_layouts as hepmc
import idx_layouts as idx
import root_layouts as root

from hepimg.export import Format, writer
from hepimg.sample import Sample
from hepimg.testing import toy_jets

ROWS = 40

WRITERS: Mapping[str, Callable[[Path], Any]] = {
    "top_tagging": lambda path: hdf5.write_top_tagging(path, ROWS),
    "lagan": lambda path: hdf5.write_lagan(path, ROWS),
    "jetnet": lambda path: hdf5.write_jetnet(path, ROWS),
    "hdf5": lambda path: hdf5.write_plain(path, ROWS),
    "hdf5_events": lambda path: export(path, "hdf5", toy_events()),
    "calogan": lambda path: hdf5.write_calogan(path, ROWS),
    "jetclass": lambda path: root.write_jetclass(path, ROWS),
    "nanoaod": lambda path: root.write_nano(path, ROWS),
    "nanoaod_jets": lambda path: root.write_nano(path, ROWS),
    "root": lambda path: export(path, "root", toy_jets(ROWS)),
    "root_events": lambda path: export(path, "root", toy_events()),
    "parquet": lambda path: export(path, "parquet", toy_jets(ROWS)),
    "parquet_events": lambda path: export(path, "parquet", toy_events()),
    "hepmc": lambda path: hepmc.write_hepmc(path, hepmc.hepmc_text(ROWS)),
    "idx": lambda path: idx.write_images(path, idx.pictures(ROWS)),
}

FOREIGN: Mapping[str, Callable[[Path], Any]] = {
    "root": lambda path: root.write_jetclass(path, ROWS),
    "parquet": lambda path: root.write_plain_parquet(path, ROWS),
}
"""Files that hepimg did not write, where options name their branches."""

EXTERNAL: Mapping[str, str] = {"delphes": "files/delphes.root", "delphes_jets": "files/delphes.root"}
"""Layouts that cannot be written here: the file of the external test data."""


def toy_events(seed: int = 1) -> Sample:
    """Events of some particles."""
    jets = toy_jets(ROWS, seed=seed)
    columns = {name: jets.column(name) for name in ("event", "weight")}
    return Sample(columns, {"particles": jets.collection("constituents")})


def export(path: Path, form: Format, sample: Sample) -> None:
    """What ``hepimg data --export`` writes."""
    writer(form)(path, lambda: iter([sample]))


def write_example(options: Mapping[str, Any], folder: Path, external: Path | None) -> bool:
    """Write the files that a source's options name into a folder; False where one is of the external test data.

    Args:
        options: with ``source`` and, where it reads files, ``files``, as in an analysis file.
        folder: where the files go.
        external: the external test data, where they are.
    """
    source, names = options["source"], options.get("files", ())
    for name in [names] if isinstance(names, str) else names:
        path = folder / name.replace("*", "1")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "labels" in options:
            idx.write_labels(folder / options["labels"], idx.labels(ROWS))
        if source in EXTERNAL:
            if external is None:
                return False
            shutil.copy(external / EXTERNAL[source], path)
        elif source == "calochallenge":
            hdf5.write_calochallenge(path, folder / options["binning"], ROWS)
        else:
            (FOREIGN if "fields" in options else WRITERS)[source](path)
    return True
