"""The step ``translate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Grid
from hepimg_preprocess.move import Move, draw

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.particles import Particles
    from hepimg.sample import Sample


class Translate(Move):
    """Shift each jet in (y, phi), phi wrapped, or each image by whole cells; what leaves an image is lost."""

    name: ClassVar[str] = "translate"

    by: tuple[float, float] = Field(description="shift along y and phi (radians); of an image: in rows and columns")
    random: bool = Field(True, description="draw the shift between -by and by for each jet; false: exactly by")

    @property
    def is_random(self) -> bool:
        """Whether the shift is drawn."""
        return self.random

    def check_grid(self, grid: Grid) -> None:
        """Cells must be of one size, and none the neighbour of one on the other side."""
        if not (grid.rows.is_regular and grid.columns.is_regular):
            raise ValueError(f"an image with cells of several sizes cannot be shifted: {grid}")
        if any(grid.periodic):
            raise ValueError(f"an image that closes on itself cannot be shifted: {grid}; shift its particles")

    def motion(self, seen: Particles, sample: Sample, seed: int | None) -> NDArray[np.float64]:
        """(n_rows, 2) shifts."""
        if not self.random:
            return np.tile(np.array(self.by), (len(sample), 1))
        numbers = np.stack([draw(sample, seed, name) for name in ("shift y", "shift phi")], axis=1)
        return np.asarray((2 * numbers - 1) * np.array(self.by))

    def move_particles(
        self, offsets: NDArray[np.int64], y: NDArray[Any], phi: NDArray[Any], motion: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) shifted y and phi."""
        from hepimg.kernels.particle_transform import translate

        return translate(offsets, y, phi, -motion[:, 0], -motion[:, 1])

    def move_cells(self, images: SparseImages, motion: NDArray[Any]) -> SparseImages:
        """Images shifted by the nearest whole number of cells."""
        from hepimg.images import SparseImages
        from hepimg.kernels.image_transform import translate_cells

        shifts = np.rint(motion).astype(np.int64)
        moved = translate_cells(images.offsets, images.cells, images.values, images.grid.shape, shifts)
        return SparseImages(images.grid, images.channels, *moved)
