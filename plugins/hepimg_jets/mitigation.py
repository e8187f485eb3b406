"""What steps that remove pileup from events have in common: each particle gets a weight, those of weight 0 go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Field, Options, Port, Ports, RowKind, Step
from hepimg.particles import HARD_VERTEX
from hepimg_jets.columns import require_new

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample

Floats = NDArray[np.float64]


class Tracks(Options):
    """Charged particles whose vertex is known; that of the hard scatter is number 0."""

    abs_eta: float = Field(2.5, gt=0, description="largest |pseudorapidity| of a track")
    pt: float = Field(0.5, ge=0, description="smallest transverse momentum of a track, GeV")

    def known(self, particles: Ragged) -> NDArray[np.bool_]:
        """(n_particles,) which of them are tracks."""
        return self.charged(particles) & self.central(particles)

    def charged(self, particles: Ragged) -> NDArray[np.bool_]:
        """(n_particles,) which of them the tracker sees where they fly through it."""
        return np.asarray((particles["charge"] != 0) & (particles["pt"] >= self.pt))

    def central(self, particles: Ragged) -> NDArray[np.bool_]:
        """(n_particles,) which of them fly through the tracker."""
        pt, y = particles["pt"].astype(np.float64), particles["y"].astype(np.float64)
        mass = particles["mass"].astype(np.float64) if "mass" in particles else 0.0
        # |sinh eta| = mT |sinh y| / pT
        return np.asarray(np.hypot(pt, mass) * np.abs(np.sinh(y)) < np.sinh(self.abs_eta) * pt)


class Mitigation(Step):
    """Scales the four-momentum of each particle, or says in a field what it would leave; the rest stays."""

    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    particles: str = Field("particles", description="collection to clean, with pt, y, phi; without mass: massless")
    into: str | None = Field(None, description="collection for what is left; default: it replaces the particles")
    field: str | None = Field(
        None,
        description="new field of the particles that says what is left of the pt of each, GeV; then nothing else "
        "changes, masses neither, and no particle goes, so that several methods judge the same jets; null: particles "
        "are scaled",
    )
    tracks: Tracks | None = Field(
        None,
        description="charged particles whose vertex is known, {abs_eta: 2.5, pt: 0.5}: those of vertex 0 stay as they "
        "are, those of other vertices go, and the method acts on the rest; null: it acts on all alike",
    )

    @model_validator(mode="after")
    def _check_target(self) -> Mitigation:
        if self.field is not None and self.into is not None:
            raise ValueError("field leaves the particles where they are: give into or field, not both")
        return self

    def reads(self) -> Sequence[Port]:
        """Particles, with charge and vertex where tracks are known."""
        fields = {"pt": "GeV", "y": "", "phi": "rad"} | ({} if self.tracks is None else {"charge": "e", "vertex": ""})
        return (Collection(self.particles, fields),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The particles that are left, with all fields; or all of them with the new one.

        Raises:
            ValueError: another collection of the name ``into``, or a field of the name ``field``, is there already.
        """
        port = ports.get(self.particles)
        if not isinstance(port, Collection):
            raise ValueError(f"{self.particles} is no collection")
        if self.field is not None:
            if self.field in port.fields:
                raise ValueError(f"field: {self.particles} have a field {self.field} already; choose another name")
            return (Collection(self.particles, {**port.fields, self.field: "GeV"}),)
        into = self.into or self.particles
        require_new({into} - {self.particles}, ports, into)
        return (Collection(into, dict(port.fields)),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The cleaned events.

        Raises:
            DataError: a particle is not finite, or absurd.
        """
        from hepimg.checks import check_sample

        check_sample(sample.select([self.particles]), self.name)  # kernels find places in memory from coordinates
        particles = sample.collection(self.particles)
        weights, mass_weights = self.weights(particles)
        if self.field is not None:
            left_pt = (particles["pt"] * weights).astype(particles["pt"].dtype)
            marked = particles.with_fields({self.field: "GeV"}, **{self.field: left_pt})
            return sample.with_collection(self.particles, marked)
        names = [name for name in ("pt", "mass") if name in particles]
        scale = {"pt": weights, "mass": mass_weights}
        scaled = {name: (particles[name] * scale[name]).astype(particles[name].dtype) for name in names}
        left = particles.with_fields(**scaled).where(scaled["pt"] > 0)
        return sample.with_collection(self.into or self.particles, left)

    def weights(self, particles: Ragged) -> tuple[Floats, Floats]:
        """(n_particles,) what each particle's transverse momentum, and its mass, are multiplied by."""
        raise NotImplementedError

    def beside_tracks(
        self, particles: Ragged, method: Callable[[Ragged], tuple[Floats, Floats]]
    ) -> tuple[Floats, Floats]:
        """Weights 1 and 0 for tracks of the hard scatter and of pileup, those of a method for all other particles."""
        if self.tracks is None:
            return method(particles)
        known = self.tracks.known(particles)
        weights = np.where(known & (particles["vertex"] == HARD_VERTEX), 1.0, 0.0)
        mass_weights = weights.copy()
        weights[~known], mass_weights[~known] = method(particles.where(~known))
        return weights, mass_weights
