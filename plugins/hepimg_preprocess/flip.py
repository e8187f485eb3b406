"""The step ``flip``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Grid
from hepimg_preprocess.move import Move, draw

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.particles import Particles
    from hepimg.sample import Sample


Mirrored = Literal["random", "eta", "phi", "both", "harder", "harder_eta", "harder_phi", "far", "far_eta", "far_phi"]


class Flip(Move):
    """Mirror each jet about the origin of (y, phi), or each image about its middle; center first."""

    name: ClassVar[str] = "flip"

    axis: Mirrored = Field(
        "random",
        description="coordinate whose sign changes: eta (rows of an image), phi (columns), both; random: each of the "
        "two for half of the jets; harder: each where its negative half has more pT (first channel of an image); far: "
        "each where its negative half reaches farther (third moment of pT); harder_eta, harder_phi, far_eta, far_phi: "
        "one of them where it does",
    )

    @property
    def is_random(self) -> bool:
        """Whether the coordinates are drawn."""
        return self.axis == "random"

    def check_grid(self, grid: Grid) -> None:
        """Cells must be their own mirror image."""
        for axis in (grid.rows, grid.columns):
            if not axis.is_symmetric:
                raise ValueError(f"the cells along {axis.name} are not symmetric, so that an image cannot be mirrored")

    def motion(self, seen: Particles, sample: Sample, seed: int | None) -> NDArray[np.bool_]:
        """(n_rows, 2) whether y and phi change sign."""
        if self.axis == "random":
            return np.stack([draw(sample, seed, name) < 0.5 for name in ("flip eta", "flip phi")], axis=1)
        if self.axis.startswith(("harder", "far")):
            from hepimg.kernels.moments import total

            of_side = np.sign if self.axis.startswith("harder") else _cube
            pt = seen.pt.astype(np.float64)
            sides = [
                total(seen.offsets, of_side(coordinate.astype(np.float64)) * pt) for coordinate in (seen.y, seen.phi)
            ]
            asked = [not self.axis.endswith(f"_{other}") for other in ("phi", "eta")]
            return np.asarray((np.stack(sides, axis=1) < 0) & asked)
        return np.tile([self.axis != "phi", self.axis != "eta"], (len(sample), 1))

    def move_particles(
        self, offsets: NDArray[np.int64], y: NDArray[Any], phi: NDArray[Any], motion: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) mirrored y and phi."""
        from hepimg.kernels.particle_transform import flip

        return flip(offsets, y, phi, motion)

    def move_cells(self, images: SparseImages, motion: NDArray[Any]) -> SparseImages:
        """Images with the order of their rows or columns reversed."""
        from hepimg.images import SparseImages
        from hepimg.kernels.image_transform import flip_cells

        flipped = flip_cells(images.offsets, images.cells, images.values, images.grid.shape, motion)
        return SparseImages(images.grid, images.channels, *flipped)


def _cube(coordinate: NDArray[np.float64]) -> NDArray[np.float64]:
    return coordinate**3
