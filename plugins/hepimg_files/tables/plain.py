"""PlainSource: ROOT or Parquet files of no fixed layout, hepimg's own exports among them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, PrivateAttr, field_validator

from hepimg.components import Collection, Port
from hepimg.errors import DataError
from hepimg_files.conventions import IN_GEV, PARTICLE_UNITS, Unit
from hepimg_files.hdf5.padded import spelled
from hepimg_files.source import reading
from hepimg_files.tables.source import TableSource, jet_ports, jet_units

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample
    from hepimg_files.tables.table import Table

COORDINATES = (("px", "py", "pz", "energy"), ("pt", "eta", "phi"), ("pt", "y", "phi"))
"""The ways in which momenta are given; in the last two a mass may be added."""

MOMENTUM = {"px", "py", "pz", "energy", "pt", "mass"}
"""What the option ``unit`` is the unit of."""

COORDINATE = {*MOMENTUM, "eta", "y", "phi"}
"""The fields that become a momentum."""

SHOWN = 30
"""Branches that are listed where none was named."""


class PlainSource(TableSource):
    """Rows of a file of any layout: its branches are named in the options, or described by hepimg inside the file."""

    collection: ClassVar[str] = "constituents"

    fields: dict[str, str] = Field(
        {},
        description="jagged branches of the particles: px, py, pz, E, or pt, eta (or y), phi and mass (without: "
        "massless), and whatever else: name -> branch, such as {pt: part_pt, eta: part_eta, phi: part_phi}. Leave it "
        "out for files that hepimg wrote: they say themselves what they hold",
    )
    unit: Unit = Field("GeV", description="unit of momenta, energies and masses in the file")

    _ports: dict[Path, Mapping[str, Port]] = PrivateAttr(default_factory=dict)

    @field_validator("fields")
    @classmethod
    def _give_momenta(cls, fields: dict[str, str]) -> dict[str, str]:
        named = {spelled(name) if spelled(name) in COORDINATE else name: branch for name, branch in fields.items()}
        ways = [way for way in COORDINATES if set(way) <= set(named)]
        if fields and (len(ways) != 1 or len(named) < len(fields)):
            raise ValueError(f"give px, py, pz, E, or pt, phi and either eta or y, once; found {', '.join(fields)}")
        return named

    @abstractmethod
    def opened(self, path: Path) -> AbstractContextManager[Table]:
        """The table of a file."""

    @abstractmethod
    def is_described(self, path: Path) -> bool:
        """Whether hepimg wrote the file."""

    @abstractmethod
    def read_described(self, path: Path, first: int, last: int) -> Sample:
        """Rows of a file that hepimg wrote."""

    def writes(self) -> Sequence[Port]:
        """What the options name, or what the first file says."""
        if self.fields:
            units = {**PARTICLE_UNITS, **dict.fromkeys(self._others(), "")}
            jets = jet_ports() if self.rows_out == "jet" else ()
            return (*self.promised_columns(), *jets, Collection(self.collection, units))
        return [*self._held(self.first_file()).values()]

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The rows ``first:last``.

        Raises:
            DataError: a branch is missing, the file does not say what it holds, or holds something else than the first.
        """
        if not self.fields:
            self._require_alike(path)
            return self._own(path, first, last)
        from hepimg.sample import Sample
        from hepimg_files.conventions import jet_columns

        with self.opened(path) as table:
            particles = self._particles(table, first, last)
            columns = self.event_columns(table, first, last)
        if self.rows_out == "jet":
            columns |= jet_columns(particles.offsets, particles.fields)
        return Sample(columns, {self.collection: particles}, units=jet_units() if self.rows_out == "jet" else {})

    def _held(self, path: Path) -> Mapping[str, Port]:
        """What a file that hepimg wrote says that it holds."""
        from hepimg.flow import ports_of

        if path not in self._ports:
            with reading(path):
                self._ports[path] = ports_of(self._own(path, 0, 0))
        return self._ports[path]

    def _require_alike(self, path: Path) -> None:
        """Raise where a file holds something else than the first one."""
        first = self.first_file()
        here, there = self._held(path), self._held(first)
        said = {
            "lacks": [name for name in there if name not in here],
            "has besides": [name for name in here if name not in there],
            "has otherwise": [name for name in there if here.get(name, there[name]) != there[name]],
        }
        found = [f"{verb} {', '.join(names)}" for verb, names in said.items() if names]
        if found:
            raise DataError("; ".join(found), where=str(path), needed=f"what {first} holds, alike")

    def _own(self, path: Path, first: int, last: int) -> Sample:
        """A file that hepimg wrote."""
        if not self.is_described(path):
            with self.opened(path) as table:
                names = sorted(table.names)
            some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            raise DataError(
                f"not written by hepimg, so its branches must be named; it has {some}",
                where=str(path),
                needed="the option fields, such as {pt: part_pt, eta: part_eta, phi: part_phi}",
            )
        if self.columns or self.weight is not None:
            raise DataError(
                "written by hepimg: it says itself what it holds", where=str(path), fix="Leave out columns and weight."
            )
        return self.read_described(path, first, last)

    def keeps_events(self, path: Path) -> bool:
        """Whether hepimg wrote the file."""
        return not self.fields and self.is_described(path)

    def _others(self) -> list[str]:
        return [name for name in self.fields if name not in COORDINATE]

    def _particles(self, table: Table, first: int, last: int) -> Ragged:
        from hepimg_files.conventions import from_cartesian, place_in, wrapped
        from hepimg_files.tables.entries import replace_momenta, require_sound, with_momenta

        raw = table.ragged(self.fields, first, last)
        require_sound(raw, self.collection, table.path, first)
        scale = IN_GEV[self.unit]
        if "px" in raw:
            px, py, pz, energy = (raw[name] * scale for name in COORDINATES[0])
            place = place_in(raw.offsets, first, self.collection)
            return replace_momenta(raw, from_cartesian(px, py, pz, energy, place))
        if "eta" in raw:
            return with_momenta(raw, scale)
        mass = raw["mass"] * scale if "mass" in raw else np.zeros(len(raw["pt"]))
        return replace_momenta(raw, {"pt": raw["pt"] * scale, "y": raw["y"], "phi": wrapped(raw["phi"]), "mass": mass})


def holds_events(description: Mapping[str, Any]) -> bool:
    """Whether a description by hepimg is one of events: they have particles, jets have constituents."""
    collections = description["collections"]
    return "particles" in collections and "constituents" not in collections
