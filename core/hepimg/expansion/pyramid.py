"""Pyramid: a batch of images at several resolutions, each cell knowing its four children."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hepimg.images import SparseImages
from hepimg.sparse.support import Support, support_from_keys

CHILDREN = 4
"""Children of a cell, in row-major order."""


@dataclass(frozen=True, eq=False)
class Level:
    """The active cells of one resolution.

    Attributes:
        support: where they are.
        energy: (n_sites,) float64.
        slots: (n_sites,) int64: each site is the child ``slots % 4`` of the site ``slots // 4`` one level coarser;
            empty at the coarsest level.
        children: (n_sites, 4) float64, energies of the children; 0 where a child is empty.  Empty at the finest level.
    """

    support: Support
    energy: Tensor
    slots: Tensor
    children: Tensor

    @property
    def parents(self) -> Tensor:
        """(n_sites,) int64, the site one level coarser that each site came from."""
        return torch.div(self.slots, CHILDREN, rounding_mode="floor")

    def to(self, device: torch.device | str) -> "Level":
        """The same on another device."""
        return Level(self.support.to(device), self.energy.to(device), self.slots.to(device), self.children.to(device))


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A batch of images pooled again and again by 2 x 2 cells: ``levels`` from the coarsest to the finest."""

    levels: tuple[Level, ...]

    @classmethod
    def of(cls, images: SparseImages, stages: int) -> "Pyramid":
        """Pool images ``stages`` times; their first channel is the energy.

        Raises:
            ValueError: the grid cannot be halved so often.
        """
        rows, columns = images.grid.shape
        if rows % 2**stages or columns % 2**stages:
            raise ValueError(f"{images.grid} cannot be halved {stages} times")
        level = bottom(images)
        levels = [level]
        for _ in range(stages):
            fine, level = pooled(level)
            levels[-1:] = [fine, level]
        return cls(tuple(reversed(levels)))

    def to(self, device: torch.device | str) -> "Pyramid":
        """The same on another device."""
        return Pyramid(tuple(level.to(device) for level in self.levels))


def bottom(images: SparseImages) -> Level:
    """The active cells of images, without parents or children."""
    offsets, cells = (torch.from_numpy(np.array(array)) for array in (images.offsets, images.cells))
    rows, columns = images.grid.shape
    wraps_rows, wraps_columns = images.grid.periodic
    support = Support(offsets, cells, (rows, columns), (wraps_rows, wraps_columns))
    energy = torch.from_numpy(images.values[:, 0].astype(np.float64))
    return Level(support, energy, torch.zeros(0, dtype=torch.int64), torch.zeros(0, CHILDREN, dtype=torch.float64))


def pooled(fine: Level) -> tuple[Level, Level]:
    """A level that now knows its parents, and the level of these parents."""
    support = fine.support
    shape = support.shape[0] // 2, support.shape[1] // 2
    image, row, column = support.sites.long().unbind(1)
    parents, parent = torch.unique((image * shape[0] + row // 2) * shape[1] + column // 2, return_inverse=True)
    slots = parent * CHILDREN + row % 2 * 2 + column % 2
    children = fine.energy.new_zeros(len(parents) * CHILDREN).index_copy(0, slots, fine.energy).view(-1, CHILDREN)
    coarse = support_from_keys(parents, support.batch_size, shape, support.periodic)
    return replace(fine, slots=slots), Level(coarse, children.sum(1), slots[:0], children)


def born(parents: Support, children: Tensor) -> Level:
    """The level of the children that have energy.

    Args:
        parents: sites.
        children: (n_sites, 4) energies.
    """
    image, row, column = parents.sites.long()[:, :, None].unbind(1)
    rows, columns = 2 * parents.shape[0], 2 * parents.shape[1]
    child = torch.arange(CHILDREN, device=children.device)
    keys = (image * rows + 2 * row + child // 2) * columns + 2 * column + child % 2
    slots = (children > 0).flatten().nonzero().squeeze(1)
    keys, order = keys.flatten()[slots].sort()
    slots = slots[order]
    support = support_from_keys(keys, parents.batch_size, (rows, columns), parents.periodic)
    return Level(support, children.flatten()[slots], slots, children[:0])
