"""SparseCoder: active cells to a few numbers, and the likelihood of the cells given those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepimg.expansion.course import Course
from hepimg.expansion.network import KNOWN, Expansion, describe
from hepimg.expansion.pyramid import Pyramid
from hepimg.images import SparseImages
from hepimg.sparse import SparseClassifier, SparseResNet


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step of training learns from.

    Attributes:
        pyramid: the images, pooled down to one cell.
        weight: (n_images,) float32, how much each counts.
    """

    pyramid: Pyramid
    weight: Tensor

    @classmethod
    def of(cls, images: SparseImages, stages: int, weight: NDArray[Any]) -> Batch:
        """Pool the images."""
        return cls(Pyramid.of(images, stages), torch.from_numpy(weight.astype(np.float32)))

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(self.pyramid.to(device), self.weight.to(device))


class SparseCoder(nn.Module):
    """A strided submanifold network names a few numbers of each image; an expansion from one cell is told these.

    The loss is the negative logarithm of the likelihood of the image given its total energy and these numbers: which
    children of each cell are active, and how its energy is shared among them.

    Args:
        stages: doublings from one cell to the image.
        latent: how many numbers.
        widths: channels of each level of the encoder, every level of half the resolution of the one before.
        expansion: options of :class:`hepimg.expansion.network.Expansion`.
    """

    def __init__(self, stages: int, latent: int, widths: Sequence[int], **expansion: Any) -> None:
        super().__init__()
        backbone = SparseResNet(KNOWN, widths, [1] * len(widths), dropout=0.0)
        self.encoder = SparseClassifier(backbone, latent, dropout=0.0)
        self.expansion = Expansion(stages, conditions=latent, **expansion)

    def encode(self, pyramid: Pyramid) -> Tensor:
        """(n_images, latent) numbers between -1 and 1."""
        finest = pyramid.levels[-1]
        numbers: Tensor = self.encoder(describe(finest, None, Course.of(finest)))
        return numbers.tanh()

    def forward(self, batch: Batch) -> Tensor:
        """The mean loss of the images, times their weights."""
        loss: Tensor = self.expansion(batch.pyramid, batch.weight, self.encode(batch.pyramid))
        return loss

    def losses(self, pyramid: Pyramid, latent: Tensor) -> Tensor:
        """(n_images,) float64 negative logarithm of the likelihood of each image, all cells counting alike."""
        total = pyramid.levels[0].energy.new_zeros(pyramid.levels[0].support.batch_size)
        for course, nll in self.expansion.nll(pyramid, latent):
            total = total.index_add(0, course.image, nll.sum(1).double())
        return total
