"""The sources ``root`` and ``root_events``: trees of any layout, and what ``hepimg data --export root`` wrote."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from hepimg.components import RowKind
from hepimg.errors import DataError
from hepimg_files.tables.plain import PlainSource, holds_events

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.sample import Sample
    from hepimg_files.tables.root import RootTable


class Root(PlainSource):
    """Jets of a TTree or an RNTuple of any layout, one entry a jet, with jagged branches for its constituents.

    What ``hepimg data --export root`` wrote needs no option but ``files``.  Else name the branches, such as
    ``fields: {pt: part_pt, eta: part_eta, phi: part_phi}``, or ``{pt: part.pt, ...}`` in records of an RNTuple;
    pt, eta, y, phi, mass of a jet are those of the sum.
    """

    name: ClassVar[str] = "root"
    libraries: ClassVar[tuple[str, ...]] = ("uproot",)
    rows_out: ClassVar[RowKind] = "jet"
    suffixes: ClassVar[tuple[str, ...]] = (".root",)

    tree: str | None = Field(
        None, description="the tree, with the folders it stands in; null: the only one of the file"
    )

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether hepimg wrote it, with rows of this kind; of other files, they might be jets."""
        described = _description(path)
        return (described is not None and holds_events(described)) == (cls.rows_out == "event")

    def opened(self, path: Path) -> AbstractContextManager[RootTable]:
        """The tree."""
        from hepimg_files.tables.root import open_root

        return open_root(path, self.tree)

    def is_described(self, path: Path) -> bool:
        """Whether hepimg wrote the file."""
        return _description(path) is not None

    def read_described(self, path: Path, first: int, last: int) -> Sample:
        """Rows of a file that hepimg wrote."""
        described = _description(path)
        assert described is not None
        with self.opened(path) as table:
            return _read_own(table, described, first, last)


class RootEvents(Root):
    """Events of a TTree or an RNTuple of any layout, one entry an event, with jagged branches for its particles.

    What ``hepimg data --export root`` wrote needs no option but ``files``.  Else name the branches, such as
    ``fields: {px: px, py: py, pz: pz, E: e}``; they make the collection ``particles``.
    """

    name: ClassVar[str] = "root_events"
    rows_out: ClassVar[RowKind] = "event"
    batch: ClassVar[int] = 100
    collection: ClassVar[str] = "particles"

    chunk: int = Field(1_000, gt=0, description="events that are read at a time and make one shard")


def _description(path: Path) -> dict[str, Any] | None:
    """What :mod:`hepimg.export.root` wrote of units, collections, images, and of the branches that hold them."""
    status = path.stat()
    return _parsed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _parsed(path: Path, size: int, modified: int) -> dict[str, Any] | None:
    from hepimg_files.tables.root import read_text

    text = read_text(path, "hepimg")
    if text is None:
        return None
    described = json.loads(text)
    if not isinstance(described, dict) or "branches" not in described:
        raise DataError("hepimg's description of this file is damaged", where=str(path))
    return described


def _read_own(table: RootTable, described: dict[str, Any], first: int, last: int) -> Sample:
    from dataclasses import replace

    from hepimg.sample import Sample

    branches = described["branches"]
    names = branches["columns"]
    values = table.columns(list(names.values()), first, last)
    collections = {
        name: replace(table.ragged(fields, first, last), units=described["collections"][name])
        for name, fields in branches["collections"].items()
    }
    images = {
        name: _images(table, described["images"][name], fields, first, last)
        for name, fields in branches["images"].items()
    }
    columns = {name: values[branch] for name, branch in names.items()}
    return Sample(columns, collections, images, described["units"], tuple(described["classes"]))


def _images(table: RootTable, described: dict[str, Any], fields: dict[str, str], first: int, last: int) -> SparseImages:
    from hepimg.grid import Grid
    from hepimg.images import Channel, SparseImages

    channels = tuple(Channel(*channel) for channel in described["channels"])
    ragged = table.ragged(fields, first, last)
    values = np.stack([ragged[f"channel {channel.name}"] for channel in channels], axis=1)
    return SparseImages(Grid.model_validate(described["grid"]), channels, ragged.offsets, ragged["cell"], values)
