"""What sources of ROOT and Parquet files share: a table to read, further columns, weights, checked directions."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hepimg.components import Column
from hepimg.errors import DataError
from hepimg_files.conventions import JET_UNITS
from hepimg_files.source import FileSource

if TYPE_CHECKING:
    from hepimg_files.tables.table import Table

Array = NDArray[Any]

RESERVED = {"event", "weight", "jet", "row", "sample", *JET_UNITS}
"""Columns that have a meaning of their own."""


class TableSource(FileSource):
    """Rows of a file of named branches."""

    reserved: ClassVar[Set[str]] = RESERVED
    """Columns that ``columns`` cannot replace."""

    columns: dict[str, str] = Field(
        {},
        description="further columns: name -> branch with one number for each row, such as {tau1: FatJet_tau1}; in a "
        "source of jets, a branch with one number for each event goes to all its jets. Units stay those of the file",
    )
    weight: str | None = Field(
        None, description="branch with the weight of each event, such as genWeight; null: every row has the weight 1"
    )

    @field_validator("columns")
    @classmethod
    def _have_names(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"a column's name is made of letters, digits and _, found {name!r}")
            if name in cls.reserved:
                raise ValueError(f"the column {name} has a meaning of its own: take another name")
        return columns

    @abstractmethod
    def opened(self, path: Path) -> AbstractContextManager[Table]:
        """The table of a file."""

    def count(self, path: Path) -> int:
        """The entries of a file."""
        with self.opened(path) as table:
            return table.check_entries()

    def promised_columns(self) -> list[Column]:
        """The columns that do not depend on the layout."""
        return [Column("event"), Column("weight"), *(Column(name) for name in self.columns)]

    def event_columns(self, table: Table, first: int, last: int) -> dict[str, Array]:
        """Event, weight and further columns of rows that are the entries of the file."""
        columns = table.columns(list(self.columns.values()), first, last)
        return {
            "event": np.arange(first, last, dtype=np.int64),
            "weight": self.event_weights(table, first, last),
            **{name: columns[branch] for name, branch in self.columns.items()},
        }

    def jet_columns(self, table: Table, offsets: NDArray[np.int64], first: int, last: int) -> dict[str, Array]:
        """Event, weight, number within the event, and further columns, of rows that are the jets of the entries.

        Args:
            table: the file.
            offsets: (last - first + 1,) which jets belong to which entry.
            first: entry.
            last: entry, not included.

        Raises:
            DataError: a further column has neither a number for each jet nor one for each event.
        """
        entry = np.repeat(np.arange(last - first), np.diff(offsets))
        columns: dict[str, Array] = {
            "event": first + entry,
            "weight": self.event_weights(table, first, last)[entry],
            "jet": (np.arange(len(entry)) - offsets[entry]).astype(np.int32),
        }
        table.require(self.columns.values())
        branches = table.read(self.columns.values(), first, last) if self.columns else {}
        for name, branch in self.columns.items():
            found = branches[branch]
            if found.offsets is not None and not np.array_equal(found.offsets, offsets):
                raise DataError(
                    f"{branch!r} holds lists of other lengths than the jets",
                    where=str(table.path),
                    needed="a number for each jet, or for each event",
                )
            columns[name] = found.values if found.offsets is not None else found.values[entry]
        return columns

    def event_weights(self, table: Table, first: int, last: int) -> Array:
        """(last - first,) weights of the entries."""
        if self.weight is None:
            return np.ones(last - first, np.float32)
        weights = table.columns([self.weight], first, last)[self.weight]
        return weights if weights.dtype.kind == "f" else weights.astype(np.float64)


def jet_ports() -> Sequence[Column]:
    """The columns that every jet has."""
    return [Column(name, unit) for name, unit in JET_UNITS.items()]


def jet_units() -> dict[str, str]:
    """Their units."""
    return {name: unit for name, unit in JET_UNITS.items() if unit}
