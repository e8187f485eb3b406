"""The step ``rotate``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Grid
from hepimg_preprocess.move import Move, draw

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.particles import Particles
    from hepimg.sample import Sample


class Rotate(Move):
    """Rotate each jet about the origin of (y, phi), or each image about its middle; center first.

    pT and the distances to the origin stay as they are; masses change a little, since the plane stands for a cylinder.
    """

    name: ClassVar[str] = "rotate"

    angle: float | Literal["random", "quarter", "principal_axis", "second"] = Field(
        "random",
        description="degrees from y towards phi; or random, uniform over the circle; or quarter: a random number of "
        "quarter turns, under which square cells stay whole; or principal_axis: the longer "
        "axis of the pT pattern (first channel of an image) comes to lie along y, its harder far side at positive y; "
        "or second: the second hardest particle (subjet, cell) comes to lie at positive y, seen from the hardest",
    )

    @property
    def is_random(self) -> bool:
        """Whether the angle is drawn."""
        return self.angle in ("random", "quarter")

    def check_grid(self, grid: Grid) -> None:
        """Cells must be of one size, and none the neighbour of one on the other side."""
        if not (grid.rows.is_regular and grid.columns.is_regular):
            raise ValueError(f"an image with cells of several sizes cannot be rotated: {grid}")
        if any(grid.periodic):
            raise ValueError(f"an image that closes on itself cannot be rotated: {grid}")

    def motion(self, seen: Particles, sample: Sample, seed: int | None) -> NDArray[np.float64]:
        """(n_rows,) angles in radians."""
        from hepimg.kernels.particle_transform import principal_angle, second_angle

        if self.angle == "random":
            return 2 * math.pi * draw(sample, seed, "angle")
        if self.angle == "quarter":
            return math.pi / 2 * np.floor(4 * draw(sample, seed, "angle"))
        if self.angle == "principal_axis":
            return -principal_angle(seen.offsets, seen.pt, seen.y, seen.phi)
        if self.angle == "second":
            return -second_angle(seen.offsets, seen.pt, seen.y, seen.phi)
        return np.full(len(sample), math.radians(self.angle))

    def move_particles(
        self, offsets: NDArray[np.int64], y: NDArray[Any], phi: NDArray[Any], motion: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) rotated y and phi."""
        from hepimg.kernels.particle_transform import rotate

        return rotate(offsets, y, phi, motion)

    def move_cells(self, images: SparseImages, motion: NDArray[Any]) -> SparseImages:
        """Images whose cells landed on the nearest cell."""
        from hepimg.images import SparseImages
        from hepimg.kernels.image_transform import rotate_cells

        grid = images.grid
        height, width = ((axis.edges[-1] - axis.edges[0]) / axis.size for axis in (grid.rows, grid.columns))
        rotated = rotate_cells(images.offsets, images.cells, images.values, grid.shape, motion, width / height)
        return SparseImages(grid, images.channels, *rotated)
