"""The steps ``pool`` and ``crop``: the same image on another grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from hepimg.components import Field, Grid, Image, Port, Ports, Step
from hepimg_preprocess.ports import image_port

if TYPE_CHECKING:
    from hepimg.sample import Sample

Pair = tuple[int, int]


class Pool(Step):
    """Take blocks of cells together; where a factor does not divide the grid, the last block is narrower.

    With ``sum``, a channel that is a weighted mean becomes the weighted mean over the block.
    """

    name: ClassVar[str] = "pool"

    image: str = Field("image", description="image to pool")
    factor: int | Pair = Field(description="cells that become one, along each axis: a number, or [rows, columns]")
    into: str = Field("image", description="name of the pooled image")
    how: Literal["sum", "max", "mean"] = Field("sum", description="sum, largest or mean value of all cells of a block")

    @field_validator("factor")
    @classmethod
    def _is_positive(cls, factor: int | Pair) -> int | Pair:
        if min(_pair(factor)) < 1:
            raise ValueError(f"factor must be positive, found {factor}")
        return factor

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The pooled image."""
        port, grid = image_port(ports, self.image)
        if any(factor > cells for factor, cells in zip(_pair(self.factor), grid.shape, strict=True)):
            raise ValueError(f"factor {self.factor} is larger than the grid of {self.image}: {grid}")
        means = [channel.name for channel in port.channels if channel.weight]
        if self.how != "sum" and means:
            raise ValueError(f"how: {self.how} has no meaning for the weighted means {', '.join(means)}; take the sum")
        return (Image(self.into, grid.pooled(self.factor), port.channels),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the pooled image."""
        from hepimg.images import SparseImages
        from hepimg.kernels.pool import pool

        fine = sample.image(self.image)
        names = [channel.name for channel in fine.channels]
        means = [(k, names.index(channel.weight)) for k, channel in enumerate(fine.channels) if channel.weight]
        values = fine.values.copy()
        for mean, weight in means:
            values[:, mean] *= fine.values[:, weight]
        offsets, cells, pooled = pool(fine.offsets, fine.cells, values, fine.grid.shape, _pair(self.factor), self.how)
        for mean, weight in means:
            np.divide(pooled[:, mean], pooled[:, weight], out=pooled[:, mean], where=pooled[:, weight] > 0)
        image = SparseImages(fine.grid.pooled(self.factor), fine.channels, offsets, cells, pooled)
        return sample.with_images(**{self.into: image})


class Crop(Step):
    """Keep a window of cells."""

    name: ClassVar[str] = "crop"

    image: str = Field("image", description="image to crop")
    rows: Pair = Field(description="first row kept, and the row after the last")
    columns: Pair = Field(description="first column kept, and the column after the last")
    into: str = Field("image", description="name of the cropped image")

    @field_validator("rows", "columns")
    @classmethod
    def _is_a_range(cls, cells: Pair) -> Pair:
        if not 0 <= cells[0] < cells[1]:
            raise ValueError(f"a range of cells is [first, end] with 0 <= first < end, found {list(cells)}")
        return cells

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The cropped image."""
        port, grid = image_port(ports, self.image)
        return (Image(self.into, self._cropped(grid), port.channels),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the cropped image."""
        from hepimg.images import SparseImages
        from hepimg.kernels.image_transform import crop

        whole = sample.image(self.image)
        grid = self._cropped(whole.grid)
        corner = self.rows[0], self.columns[0]
        window = crop(whole.offsets, whole.cells, whole.values, whole.grid.shape, corner, grid.shape)
        return sample.with_images(**{self.into: SparseImages(grid, whole.channels, *window)})

    def _cropped(self, grid: Grid) -> Grid:
        if self.rows[1] > grid.shape[0] or self.columns[1] > grid.shape[1]:
            raise ValueError(f"rows {list(self.rows)} and columns {list(self.columns)} are not all on {grid}")
        return grid.cropped(self.rows, self.columns)


def _pair(factor: int | Pair) -> Pair:
    return (factor, factor) if isinstance(factor, int) else factor
