"""The step ``constituent_subtraction``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from hepimg.components import Field
from hepimg_jets.mitigation import Floats, Mitigation
from hepimg_jets.tiles import Tiles, density

if TYPE_CHECKING:
    from hepimg.sample import Ragged


class ConstituentSubtraction(Mitigation):
    """Subtract the background particle by particle (Berta, Spousta, Miller, Leitner, arXiv:1403.3108, 1905.03470).

    Ghosts on a fine grid in (y, phi) carry the median pT density of the event (rho, over coarse tiles); pairs of a
    particle and a ghost, by growing ``pT^alpha dR^2``, cancel until nothing is left within ``max_distance``.
    """

    name: ClassVar[str] = "constituent_subtraction"

    abs_y: float = Field(4.0, gt=0, description="ghosts and tiles cover |rapidity| up to this; particles beyond go")
    size: float = Field(0.5, gt=0, le=3, description="width of a tile of the median, in y and phi")
    ghost_area: float = Field(0.01, ge=1e-4, le=1, description="area of a ghost; smaller is finer, and slower")
    max_distance: float = Field(0.3, gt=0, le=3, description="largest distance of a particle and a ghost")
    alpha: float = Field(1.0, ge=0, description="power of pT; larger: soft particles lose more")
    max_pt: float | None = Field(None, gt=0, description="harder particles stay as they are, GeV; null: none does")
    masses: Literal["zero", "scale"] = Field(
        "zero", description="of corrected particles: set to zero, the default of fastjet-contrib, or scaled with pT"
    )

    def weights(self, particles: Ragged) -> tuple[Floats, Floats]:
        """The share that each particle keeps."""
        return self.beside_tracks(particles, self._fractions)

    def _fractions(self, particles: Ragged) -> tuple[Floats, Floats]:
        from hepimg.kernels.constituent_subtraction import fractions_left

        pt, y = particles["pt"].astype(np.float64), particles["y"].astype(np.float64)
        inside = np.abs(y) <= self.abs_y
        corrected = inside if self.max_pt is None else inside & (pt < self.max_pt)
        left = fractions_left(
            particles.offsets,
            np.where(corrected, pt, 0.0),  # ghosts pass by particles of no transverse momentum
            y,
            particles["phi"],
            density(particles, pt, Tiles(self.abs_y, self.size)),
            abs_y=self.abs_y,
            ghost_area=self.ghost_area,
            max_distance=self.max_distance,
            alpha=self.alpha,
        )
        left = np.where(corrected, left, np.where(inside, 1.0, 0.0))
        return left, np.where(corrected, 0.0, left) if self.masses == "zero" else left
