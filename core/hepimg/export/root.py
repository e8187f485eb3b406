"""ROOT: a TTree ``rows`` with a branch for each column, and jagged branches for collections and images.

A TObjString ``hepimg`` holds JSON: what :func:`hepimg.shards.to_arrow` says of units, grids and channels, and under
``branches`` which branch holds what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.export.alike import require_alike
from hepimg.sample import Sample
from hepimg.shards import to_arrow
from hepimg.store import writing

TREE = "rows"


def write_root(path: Path, shards: Callable[[], Iterator[Sample]]) -> None:
    """Write samples of the same columns into one tree, one after another; never more than one is in memory.

    Raises:
        DataError: there is none, they differ, a column has a type that ROOT does not know, or the disk is full.
    """
    import uproot

    with writing(path) as temporary, uproot.recreate(temporary) as file:
        tree = None
        for sample in shards():
            if tree is None:
                layout = _Layout(sample)
                tree = file.mktree(
                    TREE, layout.types(sample), counter_name=layout.counter, field_name=layout.branch_of_field
                )
                file["hepimg"] = json.dumps(layout.description(sample))
            require_alike(to_arrow(sample[:0]).schema, layout.schema, path)
            if len(sample):
                tree.extend(layout.arrays(sample))
        if tree is None:
            raise DataError("no rows to write", where=str(path))


class _Layout:
    """Which branch holds what: names of hepimg are free, names of branches are not, and must differ."""

    def __init__(self, sample: Sample) -> None:
        self.schema = to_arrow(sample[:0]).schema
        self.taken: set[str] = set()
        self.columns = {name: self._free(name) for name in sample.columns}
        self.outer = {name: self._free(name) for name in (*sample.collections, *sample.images)}
        self.counters = {branch: self._free(f"n{branch}") for branch in self.outer.values()}
        self.fields: dict[tuple[str, str], str] = {}
        for name in self.outer:
            for field in _fields(sample, name)[1]:
                branch = self._free(f"{self.outer[name]}_{field.removeprefix('channel ')}")
                self.fields[self.outer[name], field] = branch

    def _free(self, name: str) -> str:
        """A name for a branch that no other has."""
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        number, free = 1, base
        while free in self.taken:
            number, free = number + 1, f"{base}_{number + 1}"
        self.taken.add(free)
        return free

    def counter(self, outer: str) -> str:
        return self.counters[outer]

    def branch_of_field(self, outer: str, inner: str) -> str:
        return inner if outer == "" else self.fields[outer, inner]

    def arrays(self, sample: Sample) -> dict[str, Any]:
        """Branch -> what ``extend`` takes."""
        arrays: dict[str, Any] = {self.columns[name]: values for name, values in sample.columns.items()}
        return arrays | {branch: _jagged(*_fields(sample, name)) for name, branch in self.outer.items()}

    def types(self, sample: Sample) -> dict[str, Any]:
        """Branch -> what ``mktree`` takes.

        Raises:
            DataError: ROOT has no such type.
        """
        types: dict[str, Any] = {}
        for name, branch in self.columns.items():
            values = sample.column(name)
            if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8 or values.dtype == np.float16:
                raise DataError(f"column {name} holds {values.dtype}", needed="a number that ROOT knows")
            types[branch] = np.dtype((values.dtype, values.shape[1:]))
        return types | {branch: _jagged(*_fields(sample, name)).type.content for name, branch in self.outer.items()}

    def description(self, sample: Sample) -> dict[str, Any]:
        """What a reader needs besides the branches."""
        described: dict[str, Any] = json.loads(self.schema.metadata[b"hepimg"])
        inner = {
            name: {field: self.fields[self.outer[name], field] for field in _fields(sample, name)[1]}
            for name in self.outer
        }
        described["branches"] = {
            "columns": self.columns,
            "collections": {name: inner[name] for name in sample.collections},
            "images": {name: inner[name] for name in sample.images},
        }
        return described


def _fields(sample: Sample, name: str) -> tuple[NDArray[np.int64], Mapping[str, NDArray[Any]]]:
    """Offsets and fields of a collection, or of images: ``cell``, and ``channel NAME`` for each channel."""
    if name in sample.collections:
        ragged = sample.collections[name]
        return ragged.offsets, ragged.fields
    images = sample.images[name]
    channels = {f"channel {channel.name}": images.values[:, k] for k, channel in enumerate(images.channels)}
    return images.offsets, {"cell": images.cells, **channels}


def _jagged(offsets: NDArray[np.int64], fields: Mapping[str, NDArray[Any]]) -> Any:
    import awkward as ak

    contents = [ak.contents.NumpyArray(np.ascontiguousarray(values)) for values in fields.values()]
    records = ak.contents.RecordArray(contents, list(fields), length=int(offsets[-1]))
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))
