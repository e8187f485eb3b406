"""The step ``background``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Collection, Column, Field, Port, Ports, RowKind, Step
from hepimg_jets.tiles import Tiles, density

if TYPE_CHECKING:
    from hepimg.sample import Sample


class Background(Step):
    """Estimate the background of each event: the median over tiles in (y, phi) of the density of pT, ``rho``.

    As FastJet's GridMedianBackgroundEstimator (Cacciari and Salam, arXiv:0707.1378).  ``rho_m`` is the density of
    ``mT - pT`` (Soyez et al., arXiv:1211.2811): what the masses of the particles add to the energy.
    """

    name: ClassVar[str] = "background"
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "event"

    particles: str = Field("particles", description="collection, with pt, y, phi; without mass: massless")
    abs_y: float = Field(4.0, gt=0, description="tiles cover |rapidity| up to this")
    size: float = Field(0.55, gt=0, le=3, description="width of a tile in y and phi, rounded so that whole tiles fit")

    def reads(self) -> Sequence[Port]:
        """Particles."""
        return (Collection(self.particles, {"pt": "GeV", "y": "", "phi": "rad"}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Densities per unit of rapidity and azimuth."""
        return (Column("rho", "GeV"), Column("rho_m", "GeV"))

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The events with their densities.

        Raises:
            DataError: a particle is not finite, or absurd.
        """
        from hepimg.checks import check_sample

        check_sample(sample.select([self.particles]), self.name)
        particles, tiles = sample.collection(self.particles), Tiles(self.abs_y, self.size)
        pt = particles["pt"].astype(np.float64)
        mass = particles["mass"].astype(np.float64) if "mass" in particles else np.zeros(len(pt))
        found = {"rho": density(particles, pt, tiles), "rho_m": density(particles, np.hypot(pt, mass) - pt, tiles)}
        columns = {name: values.astype(np.float32) for name, values in found.items()}
        return sample.with_columns(dict.fromkeys(columns, "GeV"), **columns)
