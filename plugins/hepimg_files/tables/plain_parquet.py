"""The sources ``parquet`` and ``parquet_events``: any columns, and what ``hepimg data --export parquet`` wrote."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from hepimg.components import RowKind
from hepimg_files.tables.plain import PlainSource, holds_events

if TYPE_CHECKING:
    from hepimg.sample import Sample
    from hepimg_files.tables.parquet import ParquetTable


class Parquet(PlainSource):
    """Jets of a Parquet file of any layout, one row a jet, with lists for its constituents.

    What ``hepimg data --export parquet`` wrote needs no option but ``files``.  Else name the columns, such as
    ``fields: {pt: part_pt, eta: part_eta, phi: part_phi}``, or ``{pt: parts.pt, ...}`` in lists of records; pt, eta, y,
    phi, mass of a jet are those of the sum.
    """

    name: ClassVar[str] = "parquet"
    libraries: ClassVar[tuple[str, ...]] = ("pyarrow",)
    rows_out: ClassVar[RowKind] = "jet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether hepimg wrote it, with rows of this kind; of other files, they might be jets."""
        from hepimg_files.tables.parquet import open_parquet

        with open_parquet(path) as table:
            described = table.description is not None and holds_events(json.loads(table.description))
            return described == (cls.rows_out == "event")

    def opened(self, path: Path) -> AbstractContextManager[ParquetTable]:
        """The file."""
        from hepimg_files.tables.parquet import open_parquet

        return open_parquet(path)

    def is_described(self, path: Path) -> bool:
        """Whether hepimg wrote the file."""
        with self.opened(path) as table:
            return table.description is not None

    def read_described(self, path: Path, first: int, last: int) -> Sample:
        """Rows of a file that hepimg wrote."""
        from hepimg.shards import from_arrow

        with self.opened(path) as table:
            return from_arrow(table.rows(first, last), where=str(path))


class ParquetEvents(Parquet):
    """Events of a Parquet file of any layout, one row an event, with lists for its particles.

    What ``hepimg data --export parquet`` wrote needs no option but ``files``.  Else name the columns, such as
    ``fields: {px: px, py: py, pz: pz, E: e}``; they make the collection ``particles``.
    """

    name: ClassVar[str] = "parquet_events"
    rows_out: ClassVar[RowKind] = "event"
    batch: ClassVar[int] = 100
    collection: ClassVar[str] = "particles"

    chunk: int = Field(1_000, gt=0, description="events that are read at a time and make one shard")
