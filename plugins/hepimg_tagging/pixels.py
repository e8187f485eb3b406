"""What a tagger is told of each active cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.grid import Axis, Grid
from hepimg.images import SparseImages
from hepimg.options import Options

SPREAD = 3.2
"""Size of the position features at the edge of the grid: with cells over [-0.8, 0.8], 4 times the coordinate."""


class PixelFeatures(Options):
    """Features of active cells, each of order 1.

    With z = pT / ``scale``: 10 z, log(z + 1e-6) / 2 + 2.5, 4 sqrt(z); position along both axes and distance from the
    centre of the grid; with a channel ``count``, (count - 1) / 2; with channels of the mean position in a cell, these
    are the position, and 3 times their distances from the cell's centre, in cells, are two more features.  The
    factors bring each feature to order 1.

    Args:
        grid: of the images.
        count: whether there is a channel ``count``.
        positions: names of the channels with the pT-weighted mean position in the cell along rows and columns, or none.
        scale: the mean sum of pT of an image, in the unit of ``pt``.
    """

    grid: Grid
    count: bool
    positions: tuple[str, ...]
    scale: float

    @classmethod
    def measured(cls, images: SparseImages) -> PixelFeatures:
        """The features that the channels of these images allow, scaled by these images.

        Raises:
            DataError: every image is empty, or a channel of positions holds something else.
        """
        names = [channel.name for channel in images.channels]
        totals = images.channel("pt")[None, :].sum(dtype=np.float64) / max((images.counts > 0).sum(), 1)
        if not totals > 0:
            raise DataError("all images are empty", fix="Look at the grid, and at centering before pixelate.")
        wanted = tuple(_coordinate(axis) for axis in (images.grid.rows, images.grid.columns))
        positions = wanted if set(wanted) <= set(names) else ()
        features = cls(grid=images.grid, count="count" in names, positions=positions, scale=float(totals))
        offsets = np.abs([offset for _, offset in features._along_axes(images)])
        if np.median(offsets, axis=1).max() > 0.5:
            raise DataError(
                f"the channels {' and '.join(positions)} are not mean positions inside the cells",
                fix="Make them with the step pixelate, or leave these channels out.",
            )
        return features

    @property
    def size(self) -> int:
        """The number of features."""
        return 6 + self.count + len(self.positions)

    def of(self, images: SparseImages) -> NDArray[np.float32]:
        """(n_active, size) features of the active cells.

        Raises:
            DataError: another grid, or a channel is missing.
        """
        if images.grid != self.grid:
            raise DataError(f"images on {images.grid}", needed=f"{self.grid}, on which the network was trained")
        names = [channel.name for channel in images.channels]
        missing = {"pt", *self.positions, *(("count",) if self.count else ())} - set(names)
        if missing:
            raise DataError(
                f"images without the channel {', '.join(sorted(missing))}; they have {', '.join(names)}",
                needed="the channels with which the network was trained",
            )
        z = np.maximum(images.channel("pt"), 0) / np.float32(self.scale)
        columns = [10 * z, np.log(z + np.float32(1e-6)) / 2 + 2.5, 4 * np.sqrt(z)]
        if self.count:
            columns.append((images.channel("count") - 1) / 2)
        (row, row_offset), (column, column_offset) = self._along_axes(images)
        columns += [row, column, np.hypot(row, column)]
        if self.positions:
            columns += [3 * row_offset, 3 * column_offset]
        return np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")

    def _along_axes(self, images: SparseImages) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For rows and columns: (n_active,) position, SPREAD at the edge of the grid; offset in the cell, in cells."""
        indices = np.divmod(images.cells, images.grid.columns.size)
        for number, (axis, index) in enumerate(zip((images.grid.rows, images.grid.columns), indices, strict=True)):
            low, high = axis.edges[0], axis.edges[-1]
            position = axis.centres.astype(np.float32)[index]
            offset = np.zeros_like(position)
            if self.positions:
                distance = images.channel(self.positions[number]) - position
                if axis.is_angle:
                    distance -= np.float32(2 * np.pi) * np.round(distance / np.float32(2 * np.pi))
                position = position + distance
                offset = distance / np.diff(axis.all_edges).astype(np.float32)[index]
            yield (position - np.float32((low + high) / 2)) * np.float32(2 * SPREAD / (high - low)), offset


def _coordinate(axis: Axis) -> str:
    """The channel that pixelate makes of positions along an axis."""
    return "y" if axis.name == "eta" else axis.name
