"""Cells and the blocks they tile: from the cells of fine images to those of coarse ones, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hepimg.grid import Grid
    from hepimg.images import Channel, SparseImages

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Active cells of some images, in any order.

    Args:
        image: (n,) which image each belongs to.
        row: (n,) its row in the grid.
        column: (n,) its column.
        energy: (n,) what it holds, positive; in the unit of the channel.
        shape: rows and columns of the grid.
    """

    image: Integers
    row: Integers
    column: Integers
    energy: Floats
    shape: tuple[int, int]

    @classmethod
    def of(cls, images: SparseImages) -> Cells:
        """The cells with a positive first channel."""
        active = images.values[:, 0] > 0
        row, column = np.divmod(images.cells[active].astype(np.int64), images.grid.shape[1])
        image = np.repeat(np.arange(len(images)), images.counts)[active]
        return cls(image, row, column, images.values[active, 0].astype(np.float64), images.grid.shape)

    def __len__(self) -> int:
        return len(self.energy)

    @property
    def numbers(self) -> Integers:
        """(n,) numbers of the cells in their grid."""
        return self.row * self.shape[1] + self.column

    def gathered(self, factor: int) -> tuple[Cells, Floats]:
        """The cells of blocks of ``factor`` x ``factor`` taken together, and how each block was divided.

        Returns:
            ``n_blocks`` cells, by image and number, and (n_blocks, factor^2) fractions of their energy in row-major
            order.
        """
        shape = self.shape[0] // factor, self.shape[1] // factor
        row, rest_row = np.divmod(self.row, factor)
        column, rest_column = np.divmod(self.column, factor)
        blocks, block = np.unique((self.image * shape[0] + row) * shape[1] + column, return_inverse=True)
        entry = (block * factor + rest_row) * factor + rest_column
        energies = np.bincount(entry, self.energy, len(blocks) * factor**2).reshape(-1, factor**2)
        energy = energies.sum(axis=1)
        image, number = np.divmod(blocks, shape[0] * shape[1])
        return Cells(image, *np.divmod(number, shape[1]), energy, shape), energies / energy[:, None]

    def divided(self, fractions: Floats, factor: int, threshold: float = 0.0) -> Cells:
        """The inverse: ``factor`` x ``factor`` cells for each, without those whose fraction is 0.

        Args:
            fractions: (n, factor^2) shares of the energy; they are scaled to a sum of 1 first.
            factor: cells that one becomes along each axis.
            threshold: cells that would get less get nothing, in favour of the others; the largest stays in any case.
        """
        if threshold > 0:
            energies = fractions * (self.energy / fractions.sum(axis=1))[:, None]
            largest = np.arange(fractions.shape[1]) == fractions.argmax(axis=1)[:, None]
            fractions = np.where((energies >= threshold) | largest, fractions, 0.0)
        parent, child = np.nonzero(fractions)
        energy = self.energy[parent] * (fractions[parent, child] / fractions.sum(axis=1)[parent])
        row, column = np.divmod(child, factor)
        shape = self.shape[0] * factor, self.shape[1] * factor
        return Cells(
            self.image[parent], self.row[parent] * factor + row, self.column[parent] * factor + column, energy, shape
        )

    def images(self, n_images: int, grid: Grid, channels: Sequence[Channel]) -> SparseImages:
        """The cells as images; those too small for single precision are left out."""
        from hepimg.images import SparseImages
        from hepimg.rows import offsets_of

        energy = self.energy.astype(np.float32)
        order = np.lexsort((self.numbers, self.image))
        order = order[energy[order] > 0]
        offsets = offsets_of(np.bincount(self.image[order], minlength=n_images))
        return SparseImages(grid, tuple(channels), offsets, self.numbers[order].astype(np.int32), energy[order, None])


def neighbours(cells: Cells) -> Floats:
    """(n, 8) energies of the cells around each, 0 where there is none, as beyond the edge of any grid."""
    rows, columns = (
        size + 2 for size in cells.shape
    )  # a margin, so that the last cell of a row has no right neighbour
    key = (cells.image * rows + cells.row + 1) * columns + cells.column + 1
    order = np.argsort(key)
    known, energy = np.append(key[order], -1), np.append(cells.energy[order], 0.0)  # -1: no cell
    around = [-columns - 1, -columns, -columns + 1, -1, 1, columns - 1, columns, columns + 1]
    wanted = key[:, None] + np.array(around)
    place = np.searchsorted(known[:-1], wanted)
    return np.asarray(np.where(known[place] == wanted, energy[place], 0.0))
