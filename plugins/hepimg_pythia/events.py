"""From Pythia's Awkward arrays to rows: visible final particles, and the partons of the hard process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.sample import Ragged

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV"}
PARTICLE_UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "pdg_id": "", "charge": "e"}
PARTON_UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "pdg_id": ""}

MAX_ABS_ETA = 10.0
"""Particles nearer to the beam are left out: no detector sees them, and their rapidity has no bound."""

RESONANCE, OUTGOING = 22, 23
"""Status of an entry of the hard process (negative once it has decayed or branched): a resonance, a final parton."""


@dataclass(frozen=True)
class Species:
    """What kinds of particle there are.

    Args:
        ids: (n,) positive PDG numbers, ascending.
        charges: (n,) in units of e, of the particle (the antiparticle has the opposite one).
        visible: (n,) false for neutrinos and whatever else leaves no trace.
    """

    ids: NDArray[np.int64]
    charges: NDArray[np.float32]
    visible: Mask

    @classmethod
    def of(cls, pythia: Any) -> Species:
        """The table of a running Pythia."""
        data, ids = pythia.particleData, [1]  # the d quark; nextId(0) is 0
        while following := data.nextId(ids[-1]):
            ids.append(following)
        charges = [data.charge(number) for number in ids]
        visible = [data.isVisible(number) for number in ids]
        return cls(np.array(ids), np.array(charges, np.float32), np.array(visible))


@dataclass(frozen=True)
class Record:
    """Event records of a batch, one after another.

    Args:
        offsets: (n_events + 1,) int64.
        entries: name as in Pythia (id, status, daughter1, daughter2, m) or px, py, pz -> (n_entries,) array.
    """

    offsets: NDArray[np.int64]
    entries: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, events: Any) -> Record:
        """The records in what ``Pythia.nextBatch`` returns, without a copy."""
        ragged = events.layout.content("prt")
        content, momenta = ragged.content, ragged.content.content("p")
        entries = {name: content.content(name).data for name in ("id", "status", "daughter1", "daughter2", "m")}
        entries |= {name: momenta.content(name).data for name in ("px", "py", "pz")}
        return cls(np.asarray(ragged.offsets), entries)

    def particles(self, species: Species) -> Ragged:
        """Visible final particles."""
        final = np.flatnonzero(self.entries["status"] > 0)
        ids = self.entries["id"][final]
        kind = np.searchsorted(species.ids, np.abs(ids))
        pt = np.hypot(self.entries["px"][final], self.entries["py"][final])
        central = np.abs(self.entries["pz"][final]) < math.sinh(MAX_ABS_ETA) * pt
        keep = species.visible[kind] & central
        charge = (species.charges[kind] * np.sign(ids))[keep].astype(np.float32)
        ragged = self._select(final[keep])
        return ragged.with_fields({"charge": "e"}, charge=charge)

    def partons(self) -> Ragged:
        """Resonances (t, W, Z, H ...) as they decay, and the final partons as the hard process made them.

        A resonance recoils against the shower: the record holds a copy of it for every recoil, and what flies into its
        jet is the last one.  A quark or gluon loses its identity in the shower: of it the first is taken.
        """
        kind = np.abs(self.entries["status"])
        chosen = np.flatnonzero((kind == RESONANCE) | (kind == OUTGOING))
        return self._select(self._last_copies(chosen))

    def _last_copies(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Follow resonances to their last copy: the only daughter of the same kind, as long as there is one."""
        ids, latest = self.entries["id"], chosen.copy()
        first = self.offsets[np.searchsorted(self.offsets, chosen, side="right") - 1]
        moving = np.flatnonzero(np.abs(self.entries["status"][chosen]) == RESONANCE)
        while len(moving):
            here = latest[moving]
            one, other = (first[moving] + self.entries[name][here] for name in ("daughter1", "daughter2"))
            same_one = (one > here) & (ids[one] == ids[here])
            same_other = (other > here) & (other != one) & (ids[other] == ids[here])
            copied = same_one != same_other
            moving = moving[copied]
            latest[moving] = np.where(same_one, one, other)[copied]
        return latest

    def _select(self, chosen: NDArray[np.int64]) -> Ragged:
        """Entries by number, grouped by event, with the fields that every collection has."""
        event = np.searchsorted(self.offsets, chosen, side="right") - 1
        counts = np.bincount(event, minlength=len(self.offsets) - 1)
        px, py, pz, mass = (self.entries[name][chosen] for name in ("px", "py", "pz", "m"))
        mass = np.maximum(mass, 0)
        pt2 = px**2 + py**2
        kinematics = {
            "pt": np.sqrt(pt2),
            "y": np.arcsinh(pz / np.sqrt(pt2 + mass**2)),
            "phi": np.arctan2(py, px),
            "mass": mass,
        }
        fields: dict[str, NDArray[Any]] = {name: values.astype(np.float32) for name, values in kinematics.items()}
        fields["pdg_id"] = self.entries["id"][chosen].astype(np.int32)
        return Ragged(np.concatenate([[0], np.cumsum(counts)]), fields, UNITS)


def weights_of(events: Any) -> Floats:
    """(n_events,) nominal weights: the first of each event's list, 1 where the list is empty."""
    ragged = events.layout.content("info").content("weights")
    offsets, values = np.asarray(ragged.offsets), ragged.content.data
    weights = np.ones(len(offsets) - 1)
    given = np.diff(offsets) > 0
    weights[given] = values[offsets[:-1][given]]
    return weights
