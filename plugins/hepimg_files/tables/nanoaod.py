"""The sources ``nanoaod`` and ``nanoaod_jets``: CMS NanoAOD with particle-flow candidates (PFNano)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hepimg.components import Collection, Column, Port, RowKind
from hepimg.errors import DataError
from hepimg_files.conventions import PARTICLE_UNITS, jet_columns
from hepimg_files.tables.entries import grouped, require_sound, with_momenta
from hepimg_files.tables.source import TableSource, jet_ports, jet_units

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample
    from hepimg_files.tables.table import Array, Table

UNITS = {**PARTICLE_UNITS, "charge": "e", "pdg_id": ""}

FIELDS = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "mass", "charge": "charge", "pdg_id": "pdgId"}

PUPPI = "PFCands_puppiWeight"

PUPPI_WEIGHTS = "true: multiply the four-momentum of each candidate by its PUPPI weight and leave out those of weight 0"

SUM_TOLERANCE = 0.02
"""The median jet pT before corrections against the sum of its candidates: they agree to the stored digits."""

NO_JET = -1
"""The index in a link of a candidate to a jet that was not kept."""


class _NanoAOD(TableSource):
    """What events and jets of NanoAOD share."""

    libraries: ClassVar[tuple[str, ...]] = ("uproot", "pyarrow")
    batch: ClassVar[int] = 100
    suffixes: ClassVar[tuple[str, ...]] = (".root", ".parquet")
    _signs: ClassVar[tuple[str, ...]] = ("PFCands_pt", "PFCands_pdgId")

    chunk: int = Field(1_000, gt=0, description="events that are read at a time and make one shard")

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether there are candidates (and their links to jets, in a source of jets)."""
        from hepimg_files.tables.root import trees_of

        if not _is_parquet(path) and "Events" not in trees_of(path):
            return False
        with _open_events(path) as table:
            return {*cls._signs} <= {*table.names}

    def opened(self, path: Path) -> AbstractContextManager[Table]:
        """The tree ``Events``, a TTree or an RNTuple, or a Parquet file of its branches."""
        return _open_events(path)

    def count(self, path: Path) -> int:
        """The events of a file.

        Raises:
            DataError: it holds no candidates.
        """
        with self.opened(path) as table:
            _require_candidates(table)
            return table.check_entries()

    def candidates(self, table: Table, puppi: bool, first: int, last: int) -> tuple[Ragged, NDArray[np.bool_]]:
        """All candidates of the events, their four-momenta times the PUPPI weights; which of these are not zero."""
        from hepimg.sample import Ragged

        _require_candidates(table)
        fields = {name: f"PFCands_{branch}" for name, branch in FIELDS.items()}
        if puppi:
            fields["puppi"] = PUPPI
        raw = table.ragged(fields, first, last)
        require_sound(raw, "PFCands", table.path, first)
        weight = raw.fields.get("puppi", np.ones(len(raw["pt"])))
        kept = Ragged(
            raw.offsets,
            {name: raw[name] for name in ("pt", "eta", "phi", "mass")}
            | {"charge": raw["charge"].astype(np.float32), "pdg_id": raw["pdg_id"].astype(np.int32)},
            {"charge": "e"},
        )
        return with_momenta(kept, weight.astype(np.float64)), np.asarray(weight != 0)


class NanoAOD(_NanoAOD):
    """Events of CMS NanoAOD with particle-flow candidates: collection ``particles``, momenta in GeV.

    Reads the tree ``Events`` as a TTree or an RNTuple, and Parquet files with the same branches.
    """

    name: ClassVar[str] = "nanoaod"
    rows_out: ClassVar[RowKind] = "event"

    puppi: bool = Field(True, description=f"{PUPPI_WEIGHTS}; false: candidates as they are")

    def writes(self) -> Sequence[Port]:
        """Events with their candidates."""
        return (*self.promised_columns(), Collection("particles", UNITS))

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The events ``first:last``."""
        from hepimg.sample import Sample

        with self.opened(path) as table:
            particles, keep = self.candidates(table, self.puppi, first, last)
            return Sample(self.event_columns(table, first, last), {"particles": particles.where(keep)})


class NanoAODJets(_NanoAOD):
    """Jets of CMS NanoAOD with the particle-flow candidates they are made of.

    The columns pt, eta, y, phi, mass are those of the sum of the candidates, before any energy correction; CMS's own
    values come as further columns: ``columns: {tau1: FatJet_tau1, msoftdrop: FatJet_msoftdrop}``.
    """

    name: ClassVar[str] = "nanoaod_jets"
    rows_out: ClassVar[RowKind] = "jet"
    _signs: ClassVar[tuple[str, ...]] = ("PFCands_pt", "PFCands_pdgId", "FatJetPFCands_jetIdx")

    jets: Literal["FatJet", "Jet"] = Field(
        "FatJet", description="FatJet: anti-kt R = 0.8 of PUPPI candidates; Jet: anti-kt R = 0.4"
    )
    puppi: bool | None = Field(
        None,
        description=f"{PUPPI_WEIGHTS}; false: candidates as they are; null: as the jets of Run 2 were made, FatJet "
        "with the weights, Jet (charged-hadron subtraction) without. The jets of Run 3 are made with them: "
        "Jet needs true",
    )

    def writes(self) -> Sequence[Port]:
        """Jets with their candidates."""
        return (*self.promised_columns(), Column("jet"), *jet_ports(), Collection("constituents", UNITS))

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The jets of the events ``first:last``.

        Raises:
            DataError: a link of a candidate to its jet points outside the event, or the candidates do not add up to
                the jets.
        """
        from hepimg.sample import Sample

        with self.opened(path) as table:
            puppi = self.jets == "FatJet" if self.puppi is None else self.puppi
            particles, keep = self.candidates(table, puppi, first, last)
            jets = table.ragged({"pt": f"{self.jets}_pt"}, first, last).offsets
            prefix = f"{self.jets}PFCands"
            links = table.ragged({"jet": f"{prefix}_jetIdx", "particle": f"{prefix}_pFCandsIdx"}, first, last)
            links = links.where(links["jet"] != NO_JET)
            jet = _numbered(links, "jet", jets, path, first)
            particle = _numbered(links, "particle", particles.offsets, path, first)
            kept = keep[particle]
            constituents = grouped(jet[kept], particle[kept], int(jets[-1]), particles)
            columns = self.jet_columns(table, jets, first, last)
            columns |= jet_columns(constituents.offsets, constituents.fields)
            self._check_sums(table, columns["pt"], puppi, first, last)
        return Sample(columns, {"constituents": constituents}, units=jet_units())

    def _check_sums(self, table: Table, summed: Array, puppi: bool, first: int, last: int) -> None:
        """The candidates add up to the jets before energy corrections, where the file tells these."""
        names = {"pt": f"{self.jets}_pt", "raw_factor": f"{self.jets}_rawFactor"}
        if names["raw_factor"] not in table.names:
            return
        jets = table.ragged(names, first, last)
        given = jets["pt"] * (1 - jets["raw_factor"])
        usable = (given > 0) & (summed > 0)
        if not usable.any():
            return
        ratio = float(np.median(summed[usable] / given[usable]))
        if not abs(ratio - 1) < SUM_TOLERANCE:
            raise DataError(
                f"with puppi: {str(puppi).lower()}, the candidates add up to {ratio:.4g} of {self.jets}_pt "
                f"(1 - {self.jets}_rawFactor) (median)",
                where=f"{table.path}, entries {first} to {last}",
                needed="the candidates that the jets were made of",
                fix=f"Try puppi: {str(not puppi).lower()}.",
            )


def _numbered(links: Ragged, field: str, offsets: NDArray[np.int64], path: Path, first: int) -> NDArray[np.int64]:
    """Numbers within events as numbers within the chunk."""
    event = np.repeat(np.arange(len(links)), links.counts)
    number = links[field].astype(np.int64)
    wrong = (number < 0) | (number >= np.diff(offsets)[event])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            f"a link to {field} {number[k]} of {np.diff(offsets)[event[k]]}", where=f"{path}, event {first + event[k]}"
        )
    return np.asarray(offsets[event] + number)


def _open_events(path: Path) -> AbstractContextManager[Table]:
    from hepimg_files.tables.parquet import open_parquet
    from hepimg_files.tables.root import open_root

    return open_parquet(path) if _is_parquet(path) else open_root(path, "Events")


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".parquet" or file.read(4) == b"PAR1"


def _require_candidates(table: Table) -> None:
    if "PFCands_pt" not in table.names:
        kinds = sorted({name.removesuffix("_pt") for name in table.names if name.endswith("_pt")})
        raise DataError(
            f"no particle-flow candidates (PFCands_pt); there are {', '.join(kinds) or 'no objects with a pt'}",
            where=str(table.path),
            needed="NanoAOD made with its candidates (PFNano)",
        )
