"""The source ``jetclass``: the JetClass data set of particle-level jets in ROOT files."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Collection, Column, Port, RowKind
from hepimg.errors import DataError
from hepimg_files.conventions import PARTICLE_UNITS, from_cartesian, jet_columns, place_in
from hepimg_files.tables.entries import replace_momenta, require_sound
from hepimg_files.tables.source import RESERVED, TableSource, jet_ports, jet_units

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample
    from hepimg_files.tables.table import Array, Table

CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")

CARTESIAN = ("px", "py", "pz", "energy")

PDG_IDS = {"ChargedHadron": 211, "NeutralHadron": 130, "Photon": 22, "Electron": -11, "Muon": -13}
"""What a particle of each kind is called, times its charge where it has one (the electron is 11, of charge -1)."""

TRACK = {"d0": "d0val", "d0_error": "d0err", "dz": "dzval", "dz_error": "dzerr"}

UNITS = {**PARTICLE_UNITS, "charge": "e", "pdg_id": "", **dict.fromkeys(TRACK, "mm")}

SUM_TOLERANCE = 0.02
"""The median jet pT against the sum of its particles: they agree to rounding where both are in one unit."""


class JetClass(TableSource):
    """Jets of the JetClass data set (H. Qu, C. Li, S. Qian, arXiv:2202.03772; Zenodo 6619768), tree ``tree``.

    Momenta are in GeV.  The columns pt, eta, y, phi, mass are those of the sum of the particles, which is checked
    against the file's jet_pt; the labels ``label_QCD`` ... ``label_Tbl`` are columns 0 or 1; the file's own
    ``jet_sdmass``, ``jet_tau1`` ... come with ``columns: {sdmass: jet_sdmass}``.  Constituents carry their charge, kind
    (211, 130, 22, 11, 13 with the sign of an antiparticle) and impact parameters in mm.
    """

    name: ClassVar[str] = "jetclass"
    libraries: ClassVar[tuple[str, ...]] = ("uproot",)
    rows_out: ClassVar[RowKind] = "jet"
    suffixes: ClassVar[tuple[str, ...]] = (".root",)
    reserved: ClassVar[Set[str]] = RESERVED | {f"label_{name}" for name in CLASSES}

    @classmethod
    def looks_alike(cls, path: Path) -> bool:
        """Whether there is a tree ``tree`` with particles and labels."""
        from hepimg_files.tables.root import open_root, trees_of

        if "tree" not in trees_of(path):
            return False
        with open_root(path, "tree") as table:
            return {"part_px", "part_energy", "label_QCD", "jet_pt"} <= {*table.names}

    def writes(self) -> Sequence[Port]:
        """Jets with labels and constituents."""
        labels = [Column(f"label_{name}") for name in CLASSES]
        return (*self.promised_columns(), *jet_ports(), *labels, Collection("constituents", UNITS))

    def opened(self, path: Path) -> AbstractContextManager[Table]:
        """The tree ``tree``."""
        from hepimg_files.tables.root import open_root

        return open_root(path, "tree")

    def read(self, path: Path, first: int, last: int) -> Sample:
        """The jets ``first:last``.

        Raises:
            DataError: a branch is missing, a jet has no label or several, or its particles do not add up to it.
        """
        from hepimg.sample import Sample

        with self.opened(path) as table:
            constituents = _constituents(table, first, last)
            columns = self.event_columns(table, first, last)
            columns |= jet_columns(constituents.offsets, constituents.fields)
            columns |= _labels(table, first, last)
            _check_sums(columns["pt"], table.columns(["jet_pt"], first, last)["jet_pt"], path)
        return Sample(columns, {"constituents": constituents}, units=jet_units())


def _constituents(table: Table, first: int, last: int) -> Ragged:
    fields = {name: f"part_{name}" for name in (*CARTESIAN, "charge")}
    fields |= {name: f"part_{branch}" for name, branch in TRACK.items()}
    fields |= {kind: f"part_is{kind}" for kind in PDG_IDS}
    raw = table.ragged(fields, first, last)
    require_sound(raw, "constituents", table.path, first)
    px, py, pz, energy = (raw[name] for name in CARTESIAN)
    momenta = from_cartesian(px, py, pz, energy, place_in(raw.offsets, first, "constituents"))
    charge = raw["charge"].astype(np.float32)
    sign = np.where(charge < 0, -1, 1)
    pdg_id = sum(raw[kind].astype(np.int32) * number for kind, number in PDG_IDS.items()) * sign
    others = {name: raw[name].astype(np.float32) for name in TRACK}
    units = {name: unit for name, unit in UNITS.items() if unit}
    kept = type(raw)(raw.offsets, {"charge": charge, "pdg_id": np.asarray(pdg_id, np.int32), **others}, units)
    return replace_momenta(kept, momenta)


def _labels(table: Table, first: int, last: int) -> dict[str, Array]:
    found = table.columns([f"label_{name}" for name in CLASSES], first, last)
    labels = {name: values.astype(np.int8) for name, values in found.items()}
    total = sum(values.astype(np.int64) for values in labels.values())
    wrong = np.flatnonzero(total != 1)
    if len(wrong):
        raise DataError(
            f"jet {first + wrong[0]} has {np.asarray(total)[wrong[0]]} labels", where=str(table.path), needed="one"
        )
    return labels


def _check_sums(summed: Array, given: Array, path: Path) -> None:
    """The particles add up to the jet, so that both are in one unit and no column is exchanged."""
    usable = (given > 0) & (summed > 0)
    if not usable.any():
        return
    ratio = float(np.median(summed[usable] / given[usable]))
    if not abs(ratio - 1) < SUM_TOLERANCE:
        raise DataError(
            f"the particles add up to {ratio:.4g} of jet_pt (median)",
            where=str(path),
            needed="part_px, part_py, part_pz, part_energy and jet_pt in GeV",
        )
