"""What a Delphes tree holds, as collections: calorimeter towers, energy flow, tracks, generated particles, partons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.sample import Ragged
from hepimg_files.conventions import PARTICLE_UNITS
from hepimg_files.tables.entries import has_direction, joined, require_sound, rows_of, with_momenta
from hepimg_files.tables.root import UNIQUE_ID, RootTable
from hepimg_files.tables.table import Array

Objects = Literal["eflow", "towers", "tracks", "gen"]
"""Which objects of an event are its particles."""

OBJECTS = (
    "eflow: EFlowTrack, EFlowPhoton and EFlowNeutralHadron, with charge and pdg_id; towers: Tower, massless, with e_em "
    "and e_had; tracks: Track; gen: visible final particles of the generator"
)

KINDS: tuple[Objects, ...] = get_args(Objects)

IDENTIFIED = {**PARTICLE_UNITS, "charge": "e", "pdg_id": ""}

TOWERS = {**PARTICLE_UNITS, "e_em": "GeV", "e_had": "GeV"}

PARTONS = {**PARTICLE_UNITS, "pdg_id": ""}

FINAL, RESONANCE, OUTGOING = 1, 22, 23
"""Status of generated particles: final; in the hard process of Pythia, a resonance, an outgoing parton."""

NEUTRINOS = (12, 14, 16)

MAX_ABS_ETA = 10.0
"""Generated particles nearer to the beam are left out, as those of the source pythia are: no detector sees them."""

UNMEASURED = "Entries without a momentum are left out, and counted, with drop_invalid: true."


def units_of(objects: Objects) -> Mapping[str, str]:
    """The fields of a collection."""
    return TOWERS if objects == "towers" else IDENTIFIED


def read_objects(
    table: RootTable, objects: Objects, first: int, last: int, drop_invalid: bool
) -> tuple[Ragged, NDArray[np.int64], NDArray[np.bool_]]:
    """Particles of the events ``first:last``.

    Returns:
        The collection with pt, y, phi, mass ...; (n_entries,) the number by which a TRefArray refers to each;
        (n_entries,) which have a direction, the others being still there, at rest.

    Raises:
        DataError: an entry has an absurd pseudorapidity, and they are not to be dropped.
    """
    if objects == "gen":
        raw = _generated(table, first, last)
    elif objects == "eflow":
        tracks = _tracks(table, "EFlowTrack", first, last)
        neutral = [_neutral(table, *kind, first, last) for kind in (("EFlowPhoton", 22), ("EFlowNeutralHadron", 130))]
        raw = joined([tracks, *neutral])
    else:
        raw = _tracks(table, "Track", first, last) if objects == "tracks" else _towers(table, first, last)
    sound = has_direction(raw["eta"])
    if drop_invalid:
        raw = raw.with_fields(eta=np.where(sound, raw["eta"], 0), pt=np.where(sound, raw["pt"], 0))
    require_sound(raw, objects, table.path, first, fix=UNMEASURED)
    particles = with_momenta(raw)
    identifiers = raw["unique_id"].astype(np.int64) & UNIQUE_ID
    fields = {name: particles[name] for name in units_of(objects)}
    units = {name: unit for name, unit in units_of(objects).items() if unit}
    return Ragged(particles.offsets, fields, units), identifiers, sound


def _tracks(table: RootTable, branch: str, first: int, last: int) -> Ragged:
    names = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass", "charge": "Charge", "pdg_id": "PID"}
    raw = _read(table, branch, names, first, last)
    return raw.with_fields(charge=raw["charge"].astype(np.float32), pdg_id=raw["pdg_id"].astype(np.int32))


def _neutral(table: RootTable, branch: str, pdg_id: int, first: int, last: int) -> Ragged:
    """Photons or neutral hadrons: calorimeter deposits that no track explains, massless."""
    raw = _read(table, branch, {"pt": "ET", "eta": "Eta", "phi": "Phi"}, first, last)
    n = len(raw["pt"])
    zero = np.zeros(n, np.float32)
    return raw.with_fields(mass=zero, charge=zero, pdg_id=np.full(n, pdg_id, np.int32))


def _towers(table: RootTable, first: int, last: int) -> Ragged:
    names = {"pt": "ET", "eta": "Eta", "phi": "Phi", "e_em": "Eem", "e_had": "Ehad"}
    return _read(table, "Tower", names, first, last)


def _generated(table: RootTable, first: int, last: int) -> Ragged:
    """Visible final particles."""
    names = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass", "charge": "Charge", "pdg_id": "PID"}
    raw = _read(table, "Particle", {**names, "status": "Status"}, first, last)
    central = np.abs(raw["eta"]) <= MAX_ABS_ETA
    keep = (raw["status"] == FINAL) & central & ~np.isin(np.abs(raw["pdg_id"]), NEUTRINOS)
    kept = raw.where(keep)
    return kept.with_fields(charge=kept["charge"].astype(np.float32), pdg_id=kept["pdg_id"].astype(np.int32))


def _read(table: RootTable, branch: str, names: Mapping[str, str], first: int, last: int) -> Ragged:
    fields = {name: f"{branch}.{leaf}" for name, leaf in names.items()}
    return table.ragged({**fields, "unique_id": f"{branch}.fUniqueID"}, first, last)


def read_partons(table: RootTable, first: int, last: int) -> Ragged:
    """Resonances as they decay and outgoing partons of Pythia's hard process; other generators mark none.

    A resonance recoils against the shower, and the record holds a copy of it for every recoil: the last one is taken.
    """
    names = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass", "pdg_id": "PID", "status": "Status"}
    raw = _read(table, "Particle", {**names, "one": "D1", "other": "D2"}, first, last)
    kind = np.abs(raw["status"])
    numbers = np.flatnonzero((kind == RESONANCE) | (kind == OUTGOING))
    latest = _last_copies(raw, numbers, table)
    order = np.argsort(rows_of(raw)[latest], kind="stable")
    picked = latest[order]
    fields: dict[str, Array] = {name: raw[name][picked] for name in ("pt", "eta", "phi", "mass", "pdg_id")}
    counts = np.bincount(rows_of(raw)[picked], minlength=len(raw))
    partons = Ragged(np.concatenate([[0], np.cumsum(counts)]), fields)
    partons = partons.where(has_direction(partons["eta"]))
    partons = with_momenta(partons)
    return partons.with_fields(pdg_id=partons["pdg_id"].astype(np.int32))


def _last_copies(raw: Ragged, numbers: NDArray[np.int64], table: RootTable) -> NDArray[np.int64]:
    """Follow resonances to the only daughter of their own kind, as long as there is one."""
    ids, start, stop = raw["pdg_id"], raw.offsets[:-1][rows_of(raw)], raw.offsets[1:][rows_of(raw)]
    latest = numbers.copy()
    moving = np.flatnonzero(np.abs(raw["status"][latest]) == RESONANCE)
    while len(moving):
        here = latest[moving]
        one, other = (start[here] + raw[name][here] for name in ("one", "other"))
        if np.any((one >= stop[here]) | (other >= stop[here])):
            raise DataError("a daughter outside its event", where=str(table.path), needed="D1, D2 within Particle")
        same_one = (one > here) & (ids[one] == ids[here])
        same_other = (other > here) & (other != one) & (ids[other] == ids[here])
        copied = same_one != same_other
        moving = moving[copied]
        latest[moving] = np.where(same_one, one, other)[copied]
    return latest
