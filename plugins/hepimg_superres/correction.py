"""Correction of low-resolution cells where both resolutions were clustered on their own.

A cell of the low image may belong to the jet only in part once the jet is clustered from small cells.  What the high
image, pooled, has of it is: all, nothing, or another energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hepimg.expansion.bodies import SparseBody
from hepimg.expansion.course import Course
from hepimg.expansion.heads import HIDDEN, LogisticMixture, choose
from hepimg.expansion.network import KNOWN, describe
from hepimg.expansion.pyramid import Level, bottom
from hepimg.expansion.shares import LEAST
from hepimg.images import SparseImages
from hepimg.random import entries_of, uniform
from hepimg.rows import offsets_of

SAME, NONE, OTHER = range(3)
"""What the high image has of the energy of a low cell."""

ROUNDING = 1e-5
"""Relative difference of two energies that are the same."""


@dataclass(frozen=True, eq=False)
class LowCells:
    """The cells of low images, and what the high ones have of each.

    Attributes:
        level: the cells.
        kind: (n_cells,) int64: ``SAME``, ``NONE`` or ``OTHER``.
        ratio: (n_cells,) logarithm of the high energy over the low one; 0 where there is none.
    """

    level: Level
    kind: Tensor
    ratio: Tensor

    @classmethod
    def of(cls, low: SparseImages, pooled: Level) -> LowCells:
        """Compare low images with the pooled high ones; cells that are empty at low resolution are not seen."""
        level = bottom(low)
        # One cell more than there can be, so that there is always one to compare with.
        keys = torch.cat([pooled.support.keys, torch.tensor([torch.iinfo(torch.int64).max])])
        place = torch.searchsorted(keys, level.support.keys)
        there = keys[place] == level.support.keys
        energy = torch.cat([pooled.energy, pooled.energy.new_zeros(1)])[place] * there
        is_same = (energy / level.energy - 1).abs() < ROUNDING
        kind = torch.where(is_same, SAME, torch.where(there, OTHER, NONE))
        return cls(level, kind, torch.where(kind == OTHER, (energy.clamp(min=LEAST) / level.energy).log(), 0.0))

    def to(self, device: torch.device | str) -> LowCells:
        """The same on another device."""
        return LowCells(self.level.to(device), self.kind.to(device), self.ratio.to(device))


class Correction(nn.Module):
    """The likelihood of the pooled high cells given the low ones, cell by cell, and draws from it.

    Args:
        channels: features per cell.
        blocks: residual blocks.
        kernel: size of the convolutions, odd.
        threshold: least energy of an active high cell, and so of a corrected one.
    """

    def __init__(self, channels: int, blocks: int = 2, kernel: int = 5, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold
        self.body = SparseBody(KNOWN, channels, blocks, kernel, first=True)
        self.kind = nn.Linear(channels, 3)
        self.ratio = LogisticMixture(nn.Sequential(nn.Linear(channels, HIDDEN), nn.ReLU(inplace=True)))

    def forward(self, cells: LowCells, weight: Tensor) -> Tensor:
        """The mean over images of the negative log-likelihood, times their (n_images,) float32 weights."""
        features, weights = self._features(cells.level), weight[cells.level.support.images.index]
        kind = functional.cross_entropy(self.kind(features), cells.kind, reduction="none")
        changed = (cells.kind == OTHER).nonzero().squeeze(1)
        ratio = self.ratio.nll(features[changed], cells.ratio[changed].to(features.dtype))
        loss: Tensor = ((kind * weights).sum() + (ratio * weights[changed]).sum()) / len(weight)
        return loss

    @torch.no_grad()
    def sample(self, low: SparseImages, rows: NDArray[np.int64], seed: int, draw: int) -> SparseImages:
        """Low images as the high ones, pooled, may have been.

        Args:
            low: images.
            rows: (n_images,) identifiers: the random numbers belong to (seed, row, cell, draw).
            seed: of the task.
            draw: number of the draw.
        """
        level, image = bottom(low), np.repeat(np.arange(len(low)), low.counts)
        device = next(self.parameters()).device
        entries = entries_of(rows[image], low.cells)
        numbers = np.stack([uniform(entries, seed, draw, "correction", k) for k in range(3)], 1)
        factor = self._factors(level.to(device), torch.from_numpy(numbers).to(device)).cpu().numpy()
        energy = (factor * low.values[:, 0]).astype(np.float32)
        kept = energy > 0
        energy = np.maximum(energy, np.float32(self.threshold))
        offsets = offsets_of(np.bincount(image[kept], minlength=len(low)))
        return SparseImages(low.grid, low.channels[:1], offsets, low.cells[kept], energy[kept][:, None])

    def _factors(self, level: Level, numbers: Tensor) -> Tensor:
        """(n_cells,) what the energy of each cell is multiplied by, from (n_cells, 3) uniform random numbers."""
        features = self._features(level)
        kind = choose(torch.log_softmax(self.kind(features), 1), numbers[:, 0])
        ratio = self.ratio.sample(features, numbers[:, 1:]).exp()
        return torch.where(kind == OTHER, ratio, (kind == SAME).double())

    def _features(self, level: Level) -> Tensor:
        features: Tensor = self.body(describe(level, None, Course.of(level)), None)[0]
        return features
