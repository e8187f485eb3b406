"""The source ``hepmc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Collection, Column, Field, Port
from hepimg.errors import DataError
from hepimg_files.conventions import PARTICLE_UNITS
from hepimg_files.source import FileSource

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample
    from hepimg_files.hepmc.event import Fields

NEUTRINOS = (12, 14, 16)
PARTON_UNITS = PARTICLE_UNITS | {"pdg_id": ""}
VISIBLE_UNITS = PARTON_UNITS | {"charge": "e"}


class HepMC(FileSource):
    """Events of HepMC3 ASCII files, plain or compressed (gz, zst): visible final particles of ``|eta| < 10``.

    ``partons`` are the resonances and outgoing partons of the hard process where the file has Pythia 8's status codes,
    22 and 23; else it is empty.  Momenta are converted to GeV from the unit that each event names; an event's weight is
    its first, or 1.  Charges follow from the PDG numbers.

    Compressed text cannot be entered in the middle: each chunk unpacks what stands before it. For files of many
    gigabytes take zst or plain text rather than gz, or several files.
    """

    name: ClassVar[str] = "hepmc"
    libraries: ClassVar[tuple[str, ...]] = ("pyhepmc",)
    batch: ClassVar[int] = 100
    suffixes: ClassVar[tuple[str, ...]] = tuple(
        f".{name}{packed}" for name in ("hepmc", "hepmc3") for packed in ("", ".gz", ".zst")
    )

    chunk: int = Field(1000, gt=0, description="events of a file that are read at a time and make one shard")
    invisible: tuple[int, ...] = Field(
        (),
        description="PDG numbers of what leaves no trace besides neutrinos, such as 1000022; each stands for its "
        "antiparticle too",
    )

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether the file begins as HepMC ASCII does."""
        from hepimg_files.hepmc.stream import looks_like_hepmc

        return looks_like_hepmc(path)

    def writes(self) -> Sequence[Port]:
        """What each event comes with."""
        return (
            Column("event"),
            Column("weight"),
            Collection("particles", VISIBLE_UNITS),
            Collection("partons", PARTON_UNITS),
        )

    def count(self, path: Path) -> int:
        """The events of a file."""
        from hepimg_files.hepmc.stream import count_events

        return count_events(path)

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The events ``first:last`` of a file.

        Raises:
            DataError: one is damaged; it says which.
        """
        from hepimg.sample import Sample
        from hepimg_files.hepmc.event import read_event
        from hepimg_files.hepmc.stream import event_texts

        invisible = {*NEUTRINOS, *map(abs, self.invisible)}
        events = []
        for number, text in enumerate(event_texts(path, first, last), first):
            try:
                events.append(read_event(text, invisible))
            except DataError as error:
                where = f"{path}, event {number}"
                raise DataError(error.found, where=where, needed=error.needed, fix=error.fix) from error
        columns = {"event": first + np.arange(len(events)), "weight": np.array([event.weight for event in events])}
        particles = _joined([event.particles for event in events], VISIBLE_UNITS)
        return Sample(columns, {"particles": particles, "partons": _joined([e.partons for e in events], PARTON_UNITS)})


def _joined(events: Sequence[Fields], units: dict[str, str]) -> Ragged:
    """The entries of all events, one after another."""
    from hepimg.rows import offsets_of
    from hepimg.sample import Ragged

    offsets = offsets_of(np.array([len(event["pt"]) for event in events], np.int64))
    fields = {name: np.concatenate([event[name] for event in events]) for name in units}
    return Ragged(offsets, fields, {name: unit for name, unit in units.items() if unit})
