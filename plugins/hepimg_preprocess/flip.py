"""The step ``flip``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Axis, Field, Grid
from hepimg_preprocess.move import Move, as_particles, draw

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.sample import Ragged, Sample


class Flip(Move):
    """Mirror each jet about the origin of (y, phi), or each image about its middle; center first."""

    name: ClassVar[str] = "flip"

    axis: Literal["random", "eta", "phi", "both", "harder"] = Field(
        "random",
        description="coordinate whose sign changes: eta (rows of an image), phi (columns), both; random: each of the "
        "two for half of the jets; harder: each where its negative half has more pT (first channel of an image)",
    )

    @property
    def is_random(self) -> bool:
        """Whether the coordinates are drawn."""
        return self.axis == "random"

    def check_grid(self, grid: Grid) -> None:
        """Cells must be their own mirror image."""
        for axis in (grid.rows, grid.columns):
            if not _is_symmetric(axis):
                raise ValueError(f"the cells along {axis.name} are not symmetric, so that an image cannot be mirrored")

    def move_particles(self, particles: Ragged, sample: Sample, seed: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) mirrored y and phi."""
        from hepimg.kernels.particle_transform import flip

        offsets, y, phi = particles.offsets, particles["y"], particles["phi"]
        return flip(offsets, y, phi, self._flips(offsets, particles["pt"], y, phi, sample, seed))

    def move_cells(self, images: SparseImages, sample: Sample, seed: int | None) -> SparseImages:
        """Images with the order of their rows or columns reversed."""
        from hepimg.images import SparseImages
        from hepimg.kernels.image_transform import flip_cells

        grid, offsets = images.grid, images.offsets
        flips = self._flips(offsets, *as_particles(images), sample, seed)
        return SparseImages(grid, images.channels, *flip_cells(offsets, images.cells, images.values, grid.shape, flips))

    def _flips(
        self,
        offsets: NDArray[np.int64],
        pt: NDArray[Any],
        y: NDArray[Any],
        phi: NDArray[Any],
        sample: Sample,
        seed: int | None,
    ) -> NDArray[np.bool_]:
        """(n_rows, 2) whether y and phi change sign."""
        if self.axis == "random":
            return np.stack([draw(sample, seed, name) < 0.5 for name in ("flip eta", "flip phi")], axis=1)
        if self.axis == "harder":
            from hepimg.kernels.moments import total

            sides = [total(offsets, np.sign(coordinate) * pt.astype(np.float64)) for coordinate in (y, phi)]
            return np.stack(sides, axis=1) < 0
        return np.tile([self.axis != "phi", self.axis != "eta"], (len(sample), 1))


def _is_symmetric(axis: Axis) -> bool:
    widths = np.diff(axis.all_edges)
    return bool(np.allclose(widths, widths[::-1]))
