"""The step ``towers``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Collection, Field, Grid, Port, Ports, RowKind, Step
from hepimg.particles import HARD_VERTEX
from hepimg_jets.calorimeter import PASSING, energies
from hepimg_jets.cells import DetectorGrid, fill
from hepimg_jets.columns import given, require_new
from hepimg_jets.mitigation import Tracks

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample

UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "charge": "e", "vertex": "", "hard_pt": "GeV"}

NO_VERTEX = -1
"""The vertex of a tower, which no track points from."""

TOWERS = Grid.model_validate({"eta": (-2.5, 2.5), "phi": (-math.pi, math.pi), "shape": (50, 64)})
"""0.1 in pseudorapidity by 2 pi / 64 = 0.098 in azimuth, as far out as there are tracks."""


class Towers(Step):
    """See the particles of each event as a detector does: tracks as they are, all else summed into towers.

    A tower is a massless particle at its centre, pt = E / cosh(eta), of charge 0 and vertex -1.  ``hard_pt`` is the
    truth: the part of pt that came from vertex 0.  Nothing is smeared, and there is no magnetic field: a charged
    particle that is no track reaches its tower.  Muons that are no tracks and neutrinos leave nothing, where the
    particles have a pdg_id.
    """

    name: ClassVar[str] = "towers"
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    particles: str = Field(
        "particles", description="collection to measure, with pt, y, phi, charge, vertex; without mass: massless"
    )
    into: str | None = Field(
        None,
        description="collection of tracks and towers: pt, y, phi, mass, charge, vertex, hard_pt; default: it replaces "
        "the particles",
    )
    tracks: Tracks = Field(Tracks(), description="charged particles that are measured one by one, with their vertex")
    grid: DetectorGrid = Field(
        TOWERS,
        description="towers: rows in pseudorapidity, columns in azimuth over the whole circle; the default covers "
        "|eta| < 2.5 with towers of 0.1 by 2 pi / 64 = 0.098",
    )

    def reads(self) -> Sequence[Port]:
        """Particles that know their vertex."""
        return (Collection(self.particles, {"pt": "GeV", "y": "", "phi": "rad", "charge": "e", "vertex": ""}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Tracks and towers.

        Raises:
            ValueError: another collection of the name ``into`` is there already.
        """
        into = self.into or self.particles
        require_new({into} - {self.particles}, ports, into)
        return (Collection(into, UNITS),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The events with their tracks, then their towers.

        Raises:
            DataError: a particle is not finite, or absurd.
        """
        from hepimg.checks import check_sample
        from hepimg.rows import offsets_of
        from hepimg.sample import Ragged

        check_sample(sample.select([self.particles]), self.name)
        particles = sample.collection(self.particles)
        known = self.tracks.known(particles)
        parts = [_tracks(particles.where(known)), self._towers(particles.where(~known & _reaches(particles)))]
        row = np.concatenate([np.repeat(np.arange(len(sample)), part.counts) for part in parts])
        order = np.argsort(row, kind="stable")  # tracks and towers of one event together
        fields = {name: np.concatenate([part[name] for part in parts])[order] for name in UNITS}
        offsets = offsets_of(np.bincount(row, minlength=len(sample)))
        return sample.with_collection(self.into or self.particles, Ragged(offsets, fields, given(UNITS)))

    def _towers(self, particles: Ragged) -> Ragged:
        from hepimg.sample import Ragged

        energy, eta = energies(particles)
        both = np.stack([energy, np.where(particles["vertex"] == HARD_VERTEX, energy, 0.0)], axis=1)
        offsets, cells, sums = fill(particles.offsets, eta, particles["phi"], both, self.grid)
        y, phi = self.grid.centres(cells)
        pt, hard_pt = sums.T / np.cosh(y)
        nothing = np.zeros(len(y))
        named = {"pt": pt, "y": y, "phi": phi, "mass": nothing, "charge": nothing, "hard_pt": hard_pt}
        fields: dict[str, NDArray[Any]] = {name: values.astype(np.float32) for name, values in named.items()}
        return Ragged(offsets, fields | {"vertex": np.full(len(y), NO_VERTEX, np.int16)})


def _tracks(particles: Ragged) -> Ragged:
    from hepimg.sample import Ragged

    pt = particles["pt"]
    mass = particles["mass"] if "mass" in particles else np.zeros(len(pt))
    hard_pt = np.where(particles["vertex"] == HARD_VERTEX, pt, 0.0)
    named = {name: particles[name] for name in ("pt", "y", "phi", "charge")} | {"mass": mass, "hard_pt": hard_pt}
    fields: dict[str, NDArray[Any]] = {name: values.astype(np.float32) for name, values in named.items()}
    return Ragged(particles.offsets, fields | {"vertex": particles["vertex"].astype(np.int16)})


def _reaches(particles: Ragged) -> NDArray[np.bool_]:
    """(n_particles,) which of them a tower stops."""
    if "pdg_id" not in particles:
        return np.ones(len(particles["pt"]), bool)
    return np.asarray(~np.isin(np.abs(particles["pdg_id"]), PASSING))
