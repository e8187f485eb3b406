"""Which particles of a collection are meant: by charge, by vertex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Options
from hepimg.particles import HARD_VERTEX

if TYPE_CHECKING:
    from hepimg.sample import Ragged


class Choice(Options):
    """Particles of some charge, from some vertex; what is null does not matter."""

    charge: Literal["charged", "neutral"] | None = Field(None, description="charged: charge is not 0; neutral: it is 0")
    vertex: Literal["hard", "pileup"] | None = Field(
        None, description="hard: vertex is 0; pileup: it is another one, or not known (-1, of towers)"
    )

    @property
    def fields(self) -> dict[str, str]:
        """The fields that are asked, and their units."""
        asked = {"charge": ("e", self.charge), "vertex": ("", self.vertex)}
        return {name: unit for name, (unit, answer) in asked.items() if answer is not None}

    def of(self, particles: Ragged) -> NDArray[np.bool_]:
        """(n_particles,) which of them are meant."""
        meant = np.ones(int(particles.offsets[-1]), bool)
        if self.charge is not None:
            meant &= (particles["charge"] != 0) == (self.charge == "charged")
        if self.vertex is not None:
            meant &= (particles["vertex"] == HARD_VERTEX) == (self.vertex == "hard")
        return meant
