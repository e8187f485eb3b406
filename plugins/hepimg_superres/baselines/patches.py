"""How cells of training images are divided among the smaller ones they consist of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from hepimg.errors import DataError
from hepimg.weights import check_equal_weights
from hepimg_superres.baselines.blocks import Cells, Floats, Integers, neighbours

if TYPE_CHECKING:
    from hepimg.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Patches:
    """Cells of training images and how they are divided.

    Args:
        row: (n,) the row of the data that each cell is from.
        energy: (n,) energy of each cell, in the unit of the channel.
        total: (n,) energy of its image.
        around: (n, 8) energies of the neighbours.
        fractions: (n, factor^2) shares of the cells that it consists of, in row-major order.
    """

    row: Integers
    energy: Floats
    total: Floats
    around: Floats
    fractions: Floats

    def __getitem__(self, chosen: Integers) -> Patches:
        return Patches(*(getattr(self, field.name)[chosen] for field in fields(self)))


def patches(train: Dataset, image: str, pooled: int, factor: int, limit: int, seed: int) -> Patches:
    """Cells of ``factor`` x ``factor`` cells in images that are pooled by ``pooled`` first.

    Args:
        train: rows to learn from; random steps rest.
        image: fine image; its first channel is the energy.
        pooled: cells along each axis that are taken together before.
        factor: cells along each axis of a patch.
        limit: how many patches; where there are more, a random choice that does not depend on the order of the rows.
        seed: of that choice.

    Raises:
        DataError: no training image has an active cell, or the rows have different weights.
    """
    from hepimg.random import entries_of, uniform

    check_equal_weights(train)
    kept: Patches | None = None
    keys = np.zeros(0)
    for _, sample in train.samples():
        images = sample.image(image)
        fine, _ = Cells.of(images).gathered(pooled)
        cells, fractions = fine.gathered(factor)
        row = sample.column("row")[cells.image]
        new = uniform(entries_of(row, cells.numbers), seed, "patches", pooled)
        some = Patches(row, cells.energy, images.sum()[cells.image, 0], neighbours(cells), fractions)
        both = some if kept is None else _together(kept, some)
        keys = np.concatenate([keys, new])
        first = np.argsort(keys, kind="stable")[:limit]
        kept, keys = both[first], keys[first]
    if kept is None or not len(keys):
        raise DataError(f"no active cell in the images {image} to train on", fix="Look at the steps that fill them.")
    return kept


def _together(some: Patches, others: Patches) -> Patches:
    both = ((getattr(some, field.name), getattr(others, field.name)) for field in fields(Patches))
    return Patches(*map(np.concatenate, both))
