"""The step ``softkiller``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Field
from hepimg_jets.mitigation import Floats, Mitigation
from hepimg_jets.tiles import Tiles

if TYPE_CHECKING:
    from hepimg.sample import Ragged


class SoftKiller(Mitigation):
    """Remove soft particles by SoftKiller (Cacciari, Soyez and Salam, arXiv:1407.0408).

    In each event the cut on pT is the median, over tiles in (y, phi), of the hardest particle of each tile: it leaves
    half of the tiles empty.  With an even number of tiles it is the upper of the middle two, as in fastjet-contrib.
    Particles beyond the tiles are cut too.
    """

    name: ClassVar[str] = "softkiller"

    abs_y: float = Field(5.0, gt=0, description="tiles cover |rapidity| up to this; 2.5 with tracks, say")
    size: float = Field(0.4, gt=0, le=3, description="width of a tile in y and phi, rounded so that whole tiles fit")

    def weights(self, particles: Ragged) -> tuple[Floats, Floats]:
        """1 above the cut, else 0."""
        return self.beside_tracks(particles, self._above_cut)

    def cut(self, particles: Ragged) -> Floats:
        """(n_events,) the largest transverse momentum that is removed, GeV."""
        hardest = Tiles(self.abs_y, self.size).largest(particles, particles["pt"].astype(np.float64))
        middle = hardest.shape[1] // 2
        return np.asarray(np.partition(hardest, middle, axis=1)[:, middle])

    def _above_cut(self, particles: Ragged) -> tuple[Floats, Floats]:
        above = (particles["pt"] > np.repeat(self.cut(particles), particles.counts)).astype(np.float64)
        return above, above
