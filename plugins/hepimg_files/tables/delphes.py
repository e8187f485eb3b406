"""The sources ``delphes`` and ``delphes_jets``: events of the fast detector simulation Delphes, and their jets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from hepimg.components import Collection, Column, Port, RowKind, Shard
from hepimg.errors import DataError
from hepimg_files.conventions import PARTICLE_UNITS, jet_columns
from hepimg_files.tables.delphes_objects import KINDS, OBJECTS, Objects, read_objects, read_partons, units_of
from hepimg_files.tables.entries import grouped, rows_of
from hepimg_files.tables.source import TableSource, jet_ports, jet_units

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample
    from hepimg_files.tables.root import RootTable


class _Delphes(TableSource):
    """What events and jets of Delphes share."""

    libraries: ClassVar[tuple[str, ...]] = ("uproot",)
    batch: ClassVar[int] = 100
    suffixes: ClassVar[tuple[str, ...]] = (".root",)
    _sign: ClassVar[str] = "EFlowTrack.PT"

    chunk: int = Field(1_000, gt=0, description="events that are read at a time and make one shard")
    drop_invalid: bool = Field(
        False,
        description="leave out entries without a direction (Delphes writes PT = 0, Eta = 999.9 for a track that has no "
        "transverse momentum) and count them in the shard's facts, rather than stop at the first",
    )

    _dropped: int = PrivateAttr(0)

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether there is a tree ``Delphes`` with what is read by default."""
        from hepimg_files.tables.root import open_root, trees_of

        if "Delphes" not in trees_of(path):
            return False
        with open_root(path, "Delphes") as table:
            return cls._sign in table.names

    @classmethod
    def recognise(cls, path: Path) -> Mapping[str, Any] | None:
        """The file; what has no direction is left out of what is shown."""
        found = super().recognise(path)
        return None if found is None else {**found, "drop_invalid": True}

    def opened(self, path: Path) -> AbstractContextManager[RootTable]:
        """The tree ``Delphes``."""
        from hepimg_files.tables.root import open_root

        return open_root(path, "Delphes")

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """The rows of one chunk."""
        self._dropped = 0
        yield from super().batches(shard)

    def facts(self) -> Mapping[str, float | str]:
        """What all files have, and how many entries were left out."""
        return {**super().facts(), **({"invalid_dropped": self._dropped} if self.drop_invalid else {})}

    def objects(
        self, table: RootTable, objects: Objects, first: int, last: int
    ) -> tuple[Ragged, NDArray[np.int64], NDArray[np.bool_]]:
        """A collection of the events, the number by which references name each entry, and which entries stay."""
        particles, identifiers, sound = read_objects(table, objects, first, last, self.drop_invalid)
        self._dropped += int(np.sum(~sound))
        return particles, identifiers, sound


class Delphes(_Delphes):
    """Events of a Delphes tree: collection ``particles`` in GeV, and ``partons`` of the hard process.

    Partons are the resonances (t, W, Z, H ...) as they decay, and the outgoing partons, by Pythia's status codes.
    Other generators mark them otherwise: then there are none.
    """

    name: ClassVar[str] = "delphes"
    rows_out: ClassVar[RowKind] = "event"

    particles: Objects = Field("eflow", description=OBJECTS)
    partons: bool = Field(True, description="read the partons; false: for files whose branch Particle was left out")

    def writes(self) -> Sequence[Port]:
        """Events with particles and partons."""
        partons = [Collection("partons", {**PARTICLE_UNITS, "pdg_id": ""})] if self.partons else []
        return (*self.promised_columns(), Collection("particles", units_of(self.particles)), *partons)

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The events ``first:last``."""
        from hepimg.sample import Sample

        with self.opened(path) as table:
            particles, _, sound = self.objects(table, self.particles, first, last)
            particles = particles.where(sound)
            partons = {"partons": read_partons(table, first, last)} if self.partons else {}
            return Sample(self.event_columns(table, first, last), {"particles": particles, **partons})


class DelphesJets(_Delphes):
    """Jets of a Delphes tree with the constituents they refer to.

    The columns pt, eta, y, phi, mass are those of the sum of the constituents; Delphes' own values come as further
    columns: ``columns: {pt_delphes: Jet.PT, flavor: Jet.Flavor}``.
    """

    name: ClassVar[str] = "delphes_jets"
    rows_out: ClassVar[RowKind] = "jet"
    _sign: ClassVar[str] = "Jet.Constituents"

    jets: str = Field("Jet", description="branch of the jets: Jet, FatJet, GenJet, CaloJet08 ...")
    constituents: Objects = Field("eflow", description=f"what these jets are made of. {OBJECTS}")

    def writes(self) -> Sequence[Port]:
        """Jets with their constituents."""
        collection = Collection("constituents", units_of(self.constituents))
        return (*self.promised_columns(), Column("jet"), *jet_ports(), collection)

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The jets of the events ``first:last``.

        Raises:
            DataError: the jets refer to other objects.
        """
        from hepimg.sample import Sample

        with self.opened(path) as table:
            jets, elements = table.references(f"{self.jets}.Constituents", first, last)
            assert jets.offsets is not None
            event = np.repeat(np.arange(last - first), np.diff(jets.offsets))
            particles, identifiers, sound = self.objects(table, self.constituents, first, last)
            jet = np.repeat(np.arange(len(event)), jets.values)
            particle = _resolve(event[jet], elements.values, particles, identifiers)
            if np.any(particle < 0):
                raise self._other_objects(table, event[jet], elements.values, first, last)
            kept = sound[particle]
            constituents = grouped(jet[kept], particle[kept], len(event), particles)
            columns = self.jet_columns(table, jets.offsets, first, last)
            columns |= jet_columns(constituents.offsets, constituents.fields)
        return Sample(columns, {"constituents": constituents}, units=jet_units())

    def _other_objects(
        self, table: RootTable, event: NDArray[np.int64], references: NDArray[np.int64], first: int, last: int
    ) -> DataError:
        """The error that says what the jets are made of."""
        shares = {}
        for kind in KINDS:
            particles, identifiers, _ = read_objects(table, kind, first, last, drop_invalid=True)
            shares[kind] = float((_resolve(event, references, particles, identifiers) >= 0).mean())
        best = max(KINDS, key=lambda kind: shares[kind])
        return DataError(
            f"{1 - shares[self.constituents]:.1%} of the constituents of {self.jets} are no {self.constituents}",
            where=str(table.path),
            fix=f"{shares[best]:.1%} of them are {best}: constituents: {best}" if shares[best] else "",
        )


def _resolve(
    event: NDArray[np.int64], references: NDArray[np.int64], particles: Ragged, identifiers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n_references,) number of the particle with the same identifier in the same event; -1 where there is none."""
    if not len(identifiers):
        return np.full(len(references), -1)
    known = (rows_of(particles) << 32) | identifiers
    wanted = (event << 32) | references
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    particle = order[place]
    return np.where(known[particle] == wanted, particle, -1)
