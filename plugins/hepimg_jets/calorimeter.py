"""The step ``calorimeter``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Field, Options, Port, Ports, RowKind, Step
from hepimg.random import entries_of, normal
from hepimg_jets.cells import DETECTOR, GRID_HELP, DetectorGrid, fill
from hepimg_jets.columns import given, require_new

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample

Floats = NDArray[np.float64]

UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV", "energy": "GeV"}

SHOWERING = (11, 22, 111)
"""Electrons, photons and neutral pions: they leave their energy in the electromagnetic layer."""

PASSING = (12, 13, 14, 16)
"""Neutrinos and muons: they leave nothing."""


class Layer(Options):
    """What a layer does to the energy of a cell: sigma(E) / E = stochastic / sqrt(E) (+) noise / E (+) constant."""

    stochastic: float = Field(0.0, ge=0, description="stochastic term of the resolution, GeV^(1/2)")
    noise: float = Field(0.0, ge=0, description="noise term, GeV; only cells that were hit have noise")
    constant: float = Field(0.0, ge=0, description="constant term")
    threshold: float = Field(0.0, ge=0, description="least energy of a cell after smearing, GeV; less is left out")
    significance: float = Field(
        0.0, ge=0, description="least energy of a cell after smearing, in units of its sigma(E); less is left out"
    )
    merge: int = Field(
        1,
        ge=1,
        description="cells of the grid, along each axis, that this layer reads out as one, at its centre; an even "
        "number puts that on corners of the cells of pairs, if its grid is the same, and pairs refuses them",
    )

    @property
    def smears(self) -> bool:
        """Whether it changes an energy at random."""
        return max(self.stochastic, self.noise, self.constant) > 0

    def sigma(self, energy: Floats) -> Floats:
        """(n,) width of the Gaussian for (n,) energies, GeV."""
        squares = self.stochastic**2 * energy + self.noise**2 + self.constant**2 * energy**2
        return np.asarray(np.sqrt(squares))


class Calorimeter(Step):
    """Measure the particles of each event in the cells of a calorimeter.

    The energies of all particles in a cell add up; the sum is smeared by a Gaussian, once per cell, and never becomes
    negative.  A cell is a massless particle at its centre, pt = E / cosh(eta).  Simplifications: there is no magnetic
    field, every particle arrives where its momentum points; showers have no width; empty cells have no noise.
    Muons and neutrinos leave nothing, where the particles have a pdg_id.
    """

    name: ClassVar[str] = "calorimeter"
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    particles: str = Field("particles", description="collection to measure, with pt, y, phi; without mass: massless")
    into: str = Field("cells", description="collection of the cells: pt, y, phi, mass (0), energy, and layer if two")
    grid: DetectorGrid = Field(DETECTOR, description=GRID_HELP)
    electromagnetic: Layer = Field(
        Layer(), description="the layer of photons, electrons and neutral pions; without hadronic: of all particles"
    )
    hadronic: Layer | None = Field(
        None,
        description="a second layer, of all other particles, whose cells stand beside those of the first: layer is 0 "
        "(electromagnetic) or 1; needs pdg_id. null: one layer",
    )

    @model_validator(mode="after")
    def _check(self) -> Calorimeter:
        for layer in self._layers:
            if self.grid.shape[0] % layer.merge or self.grid.shape[1] % layer.merge:
                raise ValueError(f"merge: {layer.merge} does not divide the grid of {self.grid.shape} cells")
        return self

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return (self.electromagnetic,) if self.hadronic is None else (self.electromagnetic, self.hadronic)

    @property
    def is_random(self) -> bool:
        """Whether a layer smears."""
        return any(layer.smears for layer in self._layers)

    def reads(self) -> Sequence[Port]:
        """Particles, and what they are where there are two layers."""
        kinds = {} if self.hadronic is None else {"pdg_id": ""}
        return (Collection(self.particles, {"pt": "GeV", "y": "", "phi": "rad", **kinds}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The cells.

        Raises:
            ValueError: another collection of the name ``into`` is there already.
        """
        require_new({self.into} - {self.particles}, ports, self.into)
        return (Collection(self.into, UNITS if self.hadronic is None else UNITS | {"layer": ""}),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The events with their cells.

        Raises:
            DataError: a particle is not finite, or absurd.
        """
        from hepimg.checks import check_sample
        from hepimg.rows import offsets_of
        from hepimg.sample import Ragged

        check_sample(sample.select([self.particles]), "calorimeter")
        particles = sample.collection(self.particles)
        energy, eta = energies(particles)
        hits = [
            self._measure(number, sample.column("event"), particles, np.where(here, energy, 0), eta, seed)
            for number, here in enumerate(self._reached(particles))
        ]
        row = np.concatenate([rows for rows, _ in hits])
        order = np.argsort(row, kind="stable")  # the layers of one event together
        fields = {name: np.concatenate([fields[name] for _, fields in hits])[order] for name in hits[0][1]}
        offsets = offsets_of(np.bincount(row, minlength=len(sample)))
        return sample.with_collection(self.into, Ragged(offsets, fields, given(UNITS)))

    def _reached(self, particles: Ragged) -> Sequence[NDArray[np.bool_]]:
        """For each layer (n_particles,): which particles it stops."""
        kind = np.abs(particles["pdg_id"]) if "pdg_id" in particles else np.zeros(len(particles["pt"]), np.int32)
        stopped, showering = ~np.isin(kind, PASSING), np.isin(kind, SHOWERING)
        return [stopped] if self.hadronic is None else [showering, stopped & ~showering]

    def _measure(
        self, number: int, event: NDArray[np.int64], particles: Ragged, energy: Floats, eta: Floats, seed: int | None
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Row and fields of the cells of one layer."""
        layer = self._layers[number]
        grid = self.grid.pooled(layer.merge)
        offsets, cells, sums = fill(particles.offsets, eta, particles["phi"], energy, grid)
        row, measured = np.repeat(np.arange(len(event)), np.diff(offsets)), sums[:, 0].astype(np.float64)
        if layer.smears and seed is not None:
            draw = normal(entries_of(event[row], cells), seed, number)
            measured = np.maximum(measured + layer.sigma(measured) * draw, 0)
        keep = (measured > 0) & (measured >= layer.threshold)
        keep &= measured >= layer.significance * layer.sigma(measured)
        measured, (y, phi) = measured[keep], grid.centres(cells[keep])
        named = {"pt": measured / np.cosh(y), "y": y, "phi": phi, "mass": np.zeros(len(y)), "energy": measured}
        fields: dict[str, NDArray[Any]] = {name: values.astype(np.float32) for name, values in named.items()}
        if self.hadronic is not None:
            fields["layer"] = np.full(len(y), number, np.int8)
        return row[keep], fields


def energies(particles: Ragged) -> tuple[Floats, Floats]:
    """(n,) energies in GeV and (n,) pseudorapidities; NaN for entries without transverse momentum, such as padding."""
    pt, y = particles["pt"].astype(np.float64), particles["y"].astype(np.float64)
    mass = np.maximum(particles["mass"].astype(np.float64), 0) if "mass" in particles else np.zeros(len(pt))
    transverse = np.hypot(pt, mass)
    slope = np.divide(transverse * np.sinh(y), pt, out=np.full(len(pt), np.nan), where=pt > 0)
    return transverse * np.cosh(y), np.arcsinh(slope)
