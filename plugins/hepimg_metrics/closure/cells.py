"""What stands where: the patch image, and pairs of neighbouring active cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate
from hepimg.images import SparseImages
from hepimg_metrics.closure.jets import Floats, Jets, Seen, known, quotient

Factors = tuple[int, int]
"""Rows and columns of high-resolution cells in one of low resolution."""


@dataclass(frozen=True)
class Patch:
    """The patch image: what all patches of the images hold together, each patch being one low-resolution cell.

    Args:
        total: (1 + replicas, positions) sum over the jets for each position in the patch, by each set of weights.
        factors: rows and columns of positions.
    """

    total: Floats
    factors: Factors

    @classmethod
    def of(cls, seen: Seen, jets: Jets, factors: Factors, content: str) -> Patch:
        """Sum up ``content``: the ``occupancy`` of each position, or its ``energy``."""
        row, column = np.divmod(seen.images.cells, seen.images.grid.columns.size)
        size = factors[0] * factors[1]
        position = row % factors[0] * factors[1] + column % factors[1]
        place = _image_of_entries(seen.images) * size + position
        weights = seen.energy if content == "energy" else None
        per_jet = np.bincount(place, weights, len(jets) * size).reshape(len(jets), size)
        return cls(jets.every @ per_jet, factors)

    def over_mean(self, truth: Patch) -> Floats:
        """(rows, columns) the patch image over the mean position of the truth; zero where the truth is empty."""
        return np.nan_to_num(quotient(self.total[0], truth.total[0].mean())).reshape(self.factors)

    def numbers(self, truth: Patch, jets: Jets, name: str) -> dict[str, Estimate]:
        """Extremes over the positions of generated over true content, and how far it is from one.

        ``<name>_max``, ``<name>_min``, ``<name>_deviation`` (of the position where it is largest) and ``<name>_rms``
        (of the deviation over all positions).  Of many positions the extreme one is off by a few errors by chance.
        """
        ratio = quotient(self.total, truth.total)
        ratio = ratio[:, np.isfinite(ratio[0])]
        if not ratio.size:
            return {}
        deviation = np.abs(ratio - 1)
        worst = int(np.argmax(deviation[0]))
        return known(
            {
                f"{name}_max": jets.estimate(ratio[:, int(np.argmax(ratio[0]))]),
                f"{name}_min": jets.estimate(ratio[:, int(np.argmin(ratio[0]))]),
                # the error of the ratio: where the deviation is small, its sign changes from replica to replica
                f"{name}_deviation": jets.estimate(np.sign(ratio[0, worst] - 1) * (ratio[:, worst] - 1)),
                f"{name}_rms": jets.estimate(np.sqrt(np.mean(deviation**2, axis=1))),
            }
        )


def neighbours(images: SparseImages, factors: Factors) -> tuple[Floats, Floats]:
    """Pairs of active cells that touch along an edge, (n_images,) within one patch and across the border of two."""
    rows, columns = images.grid.shape
    image, cells = _image_of_entries(images), images.cells.astype(np.int64)
    keys = image * images.grid.size + cells
    row, column = np.divmod(cells, columns)
    periodic = images.grid.periodic
    inside, across = np.zeros(len(images)), np.zeros(len(images))
    for axis, (place, size) in enumerate(((row, rows), (column, columns))):
        beyond = place + 1 == size
        step = np.where(beyond, 1 - size, 1) * (columns if axis == 0 else 1)
        active = _contains(keys, keys + step) & (~beyond | periodic[axis])
        is_border = (place + 1) % factors[axis] == 0
        inside += np.bincount(image, active & ~is_border, len(images))
        across += np.bincount(image, active & is_border, len(images))
    return inside, across


def _contains(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the wanted numbers are among the ascending keys."""
    if not len(keys):
        return np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.asarray(keys[place] == wanted)


def _image_of_entries(images: SparseImages) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(images)), images.counts)
