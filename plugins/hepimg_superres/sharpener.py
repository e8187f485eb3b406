"""The network of ``super_resolution``: the expansion and, where it is needed, the correction before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepimg.expansion.network import Expansion
from hepimg.expansion.pyramid import Pyramid
from hepimg.expansion.shares import Bounds
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg_superres.correction import SAME, Correction, LowCells


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step of training learns from.

    Attributes:
        pyramid: the high images, pooled.
        cells: the low images, and what the high ones have of them.
        weight: (n_images,) float32, how much each image counts; 1 in the mean over all of the training.
    """

    pyramid: Pyramid
    cells: LowCells
    weight: Tensor

    @classmethod
    def of(cls, high: SparseImages, low: SparseImages, stages: int, weight: NDArray[Any]) -> Batch:
        """Pool the high images, and compare the low ones with them."""
        pyramid = Pyramid.of(high, stages)
        return cls(pyramid, LowCells.of(low, pyramid.levels[0]), torch.from_numpy(weight.astype(np.float32)))

    @property
    def is_pooled(self) -> bool:
        """Whether the low images are the high ones, pooled."""
        pooled = self.pyramid.levels[0]
        return len(self.cells.kind) == len(pooled.energy) and bool((self.cells.kind == SAME).all())

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(self.pyramid.to(device), self.cells.to(device), self.weight.to(device))


class Sharpener(nn.Module):
    """High images given low ones.

    Args:
        stages: doublings of the resolution.
        bounds: of the energy of an active high cell.
        correct: whether low energies are corrected first.
        network: options of :class:`hepimg.expansion.Expansion`.
    """

    def __init__(self, stages: int, bounds: Bounds, correct: bool, **network: Any) -> None:
        super().__init__()
        self.expansion = Expansion(stages, bounds=bounds, **network)
        self.correction: Correction | None = None
        if correct:
            self.correction = Correction(network["channels"], kernel=network["kernel"], threshold=bounds.threshold)

    def forward(self, batch: Batch) -> Tensor:
        """The loss: the mean over images of the negative log-likelihoods, times their weights."""
        loss: Tensor = self.expansion(batch.pyramid, batch.weight)
        return loss if self.correction is None else loss + self.correction(batch.cells, batch.weight)

    def sample(self, low: SparseImages, grid: Grid, rows: NDArray[np.int64], seed: int, draw: int) -> SparseImages:
        """High images on ``grid``; arguments as in :meth:`hepimg.expansion.Expansion.sample`."""
        if self.correction is not None:
            low = self.correction.sample(low, rows, seed, draw)
        return self.expansion.sample(low, grid, rows, seed, draw)
