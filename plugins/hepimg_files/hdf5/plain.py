"""Plain HDF5: padded constituents, and whatever stands beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from hepimg.components import Collection, Column, Field, Grid, Image, Port, RowKind
from hepimg.errors import DataError
from hepimg.images import Channel, SparseImages
from hepimg.rows import offsets_of
from hepimg.sample import Ragged, Sample
from hepimg_files.conventions import IN_GEV, JET_UNITS, PARTICLE_UNITS, Unit, jet_columns, pseudorapidity, rapidity
from hepimg_files.hdf5.contents import Content, describe, leader
from hepimg_files.hdf5.file import Hdf5, Hdf5Source, open_hdf5
from hepimg_files.hdf5.padded import MOMENTA, check_counts, entries_within, find_entries, particles_of, spelled
from hepimg_files.source import reading

OTHER_LAYOUTS = ("table", "image", "particle_features", "showers", "layer_0")
"""What the files of the other sources of HDF5 have."""


class PlainHdf5(Hdf5Source):
    """Padded arrays: ``constituents`` (n, maximum, k), ``n`` (n,), and columns; also what hepimg exports.

    The attribute ``columns`` of ``constituents``, a text such as ``pt,eta,phi,mass``, names its k columns: pt, eta or
    y, phi (radians), perhaps mass, or px, py, pz, E; others (``charge`` ...) are kept.  Entries from ``n[i]`` on are
    ignored; without a dataset ``n``, those with pt = 0 (or px = py = pz = E = 0) are.  A jet is the sum of its
    constituents, except for what stands in the file as a column: any further dataset (n,), with its attribute ``unit``.
    Further datasets (n, maximum, k) with ``columns`` and a partner ``n_<name>`` (which particles may lack) are
    collections.  Rows that share a whole number in the dataset ``event`` are of one event.
    """

    name: ClassVar[str] = "hdf5"
    rows_out: ClassVar[RowKind] = "jet"
    collection: ClassVar[str] = "constituents"

    constituents: str = Field(
        "constituents", description="dataset that becomes the collection constituents (of events: particles)"
    )
    columns: tuple[str, ...] = Field((), description="names of its columns, where the attribute columns is missing")
    unit: Unit = Field("GeV", description="unit of momenta, energies and masses: GeV, MeV or TeV")

    _contents: dict[Path, Content] = PrivateAttr(default_factory=dict)

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether hepimg wrote it, with rows of this kind; what is of no other layout might be jets."""
        from hepimg.export.hdf5 import LAYOUT

        if file.text("", "layout") != LAYOUT:
            return cls.rows_out == "jet" and not any(name in file for name in OTHER_LAYOUTS)
        holds_events = "particles" in file and "constituents" not in file
        return holds_events == (cls.rows_out == "event")

    def writes(self) -> Sequence[Port]:
        """What the first file holds."""
        path = self.first_file()
        with reading(path), open_hdf5(path) as file:
            content = self._content(path, file)
        columns = {**content.columns, **self._summed(content)}
        ports: list[Port] = [Column(name, unit) for name, unit in columns.items() if name != "weight"]
        for name, padded in content.collections.items():
            fields = {key: padded.units.get(key, "") for key in padded.fields}
            if padded.is_particles and not content.is_ours:
                used = {*PARTICLE_UNITS, "eta", *MOMENTA}
                fields = PARTICLE_UNITS | {key: unit for key, unit in fields.items() if spelled(key) not in used}
            ports.append(Collection(self._collection(content, name), fields))
        return [*ports, *(Image(name, grid, channels) for name, (grid, channels) in content.images.items())]

    def keeps_events(self, path: Path) -> bool:
        """Whether hepimg wrote the file."""
        from hepimg.export.hdf5 import LAYOUT

        with open_hdf5(path) as file:
            return file.text("", "layout") == LAYOUT

    def names(self, file: Hdf5) -> Sequence[str]:
        """All columns and collections."""
        content = describe(file, self.constituents, self.columns)
        counts = [padded.counts for padded in content.collections.values() if padded.counts is not None]
        return [leader(file, self.constituents, content.is_ours), *content.columns, *content.collections, *counts]

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``.

        Raises:
            DataError: the file holds something else than the first file.
        """
        expected = self.first_file()
        for other in dict.fromkeys((expected, path)):
            with reading(other), open_hdf5(other) as file:
                self._content(other, file)
        for kind in ("columns", "collections", "images"):
            here, there = (getattr(self._contents[other], kind) for other in (path, expected))
            if here != there:
                needed = f"{', '.join(there) or 'none'}, alike, as in {expected}"
                raise DataError(f"{kind}: {', '.join(here) or 'none'}", where=str(path), needed=needed)
        return super().read(path, first, last)

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        content = describe(file, self.constituents, self.columns)
        columns = {name: self._column(file, content, name, first, last) for name in content.columns}
        collections = {
            self._collection(content, name): self._read_padded(file, content, name, first, last)
            for name in content.collections
        }
        summed = self._summed(content)
        if summed:
            jets = jet_columns(collections["constituents"].offsets, collections["constituents"].fields)
            columns |= {name: jets[name] for name in summed}
            columns |= _direction(columns, summed)
        columns["event"] = _event_numbers(file, first, last)
        columns.setdefault("weight", np.ones(last - first, np.float32))
        images = {name: _read_images(file, name, *content.images[name], first, last) for name in content.images}
        units = {name: unit for name, unit in {**content.columns, **summed}.items() if unit}
        return Sample(columns, collections, images, units)

    def _collection(self, content: Content, dataset: str) -> str:
        if content.is_ours or dataset != self.constituents:
            return dataset
        return self.collection

    def _content(self, path: Path, file: Hdf5) -> Content:
        if path not in self._contents:
            self._contents[path] = describe(file, self.constituents, self.columns)
        return self._contents[path]

    def _summed(self, content: Content) -> dict[str, str]:
        """The columns of jets that are the sums of the constituents."""
        if content.is_ours or self.rows_out == "event" or self.constituents not in content.collections:
            return {}
        return {name: unit for name, unit in JET_UNITS.items() if name not in content.columns}

    def _column(self, file: Hdf5, content: Content, name: str, first: int, last: int) -> NDArray[Any]:
        values = file.rows(name, first, last, (None,) * (len(file.dataset(name).shape) - 1))
        stated = file.text(name, "unit") or (self.unit if JET_UNITS.get(name) == "GeV" else "")
        if content.is_ours or IN_GEV.get(stated, 1.0) == 1.0:  # type: ignore[call-overload]
            return values
        return np.asarray(values * IN_GEV[stated])  # type: ignore[index]

    def _read_padded(self, file: Hdf5, content: Content, name: str, first: int, last: int) -> Ragged:
        described = content.collections[name]
        padded = file.rows(name, first, last, (None, len(described.fields)))
        if described.counts is None:
            is_there = find_entries(padded, described.fields)
            counts, entries = is_there.sum(axis=1), padded[is_there]
        else:
            counts = check_counts(described.counts, file.rows(described.counts, first, last), padded.shape[1], first)
            entries = entries_within(padded, counts)
        fields = dict(zip(described.fields, entries.T, strict=True))
        for key, dtype in zip(described.fields, described.dtypes, strict=False):
            fields[key] = _as_type(f"{name}.{key}", fields[key], dtype)
        if described.is_particles and not content.is_ours:
            return particles_of(counts, fields, self.unit, described.units, first)
        return Ragged(offsets_of(counts), fields, {key: unit for key, unit in described.units.items() if unit})


class Hdf5Events(PlainHdf5):
    """Padded arrays with one row an event; its particles stand in the dataset named by ``constituents``.

    What ``hepimg data --export hdf5`` wrote needs no option but ``files``.
    """

    name: ClassVar[str] = "hdf5_events"
    rows_out: ClassVar[RowKind] = "event"
    batch: ClassVar[int] = 100
    collection: ClassVar[str] = "particles"

    chunk: int = Field(1_000, gt=0, description="events that are read at a time and make one shard")


def _direction(columns: Mapping[str, NDArray[Any]], summed: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """The y of a jet from what is stored of it, or its eta: the constituents may be fewer, or relative to the jet."""
    pt, mass = columns["pt"], columns["mass"]
    if "y" in summed and "eta" not in summed:
        return {"y": rapidity(pt, columns["eta"], mass).astype(np.float32)}
    if "eta" in summed and "y" not in summed:
        return {"eta": pseudorapidity(pt, columns["y"], mass).astype(np.float32)}
    return {}


def _as_type(name: str, values: NDArray[Any], dtype: str) -> NDArray[Any]:
    typed = values.astype(dtype)
    if typed.dtype.kind != "f" and (typed != values).any():
        raise DataError(f"{name} holds numbers that are no {dtype}", needed="what its attribute dtypes says")
    return typed


def _event_numbers(file: Hdf5, first: int, last: int) -> NDArray[np.int64]:
    """(n,) numbers of the rows' events in the file, which are those of the entries where events are not known."""
    if "event" in file and file.holds_numbers("event"):
        numbers = file.rows("event", first, last)
        if numbers.dtype.kind in "iu":
            return numbers.astype(np.int64)
    return np.arange(first, last)


def _read_images(
    file: Hdf5, name: str, grid: Grid, channels: tuple[Channel, ...], first: int, last: int
) -> SparseImages:
    group = f"images/{name}"
    offsets = file.rows(f"{group}/offsets", first, last + 1)
    if offsets.dtype.kind not in "iu" or offsets[0] < 0 or (offsets[1:] < offsets[:-1]).any():
        raise DataError(f"{group}/offsets do not ascend", needed="whole numbers that ascend")
    start, stop = int(offsets[0]), int(offsets[-1])
    cells = file.rows(f"{group}/cells", start, stop)
    if cells.dtype != np.int32:
        raise DataError(f"{group}/cells holds {cells.dtype}", needed="int32")
    return SparseImages(
        grid, channels, offsets - start, cells, file.rows(f"{group}/values", start, stop, (len(channels),))
    )
