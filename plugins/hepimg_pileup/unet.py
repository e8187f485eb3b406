"""SparseCleaner: tracks and neutral cells, each on their own grid, to the part of each neutral cell that is hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepimg.images import SparseImages
from hepimg.sparse import BatchNorm, GlobalPool, PerSite, ResidualBlock, SparseTensor, SparseUNet, join
from hepimg.sparse.backbones import ACTIVE_CHILDREN, SUM_SCALE, Halve, he
from hepimg.sparse.reduce import spread

PER_CHANNEL = 3
"""Features of each transverse momentum."""

OF_PLACE = 3
"""Features of each position."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Jets as the network sees them.

    Attributes:
        charged: pT of the tracks of the hard scatter and of pileup in each fine cell that has any, GeV.
        neutral: measured neutral pT of each coarse cell, GeV.
        columns: (n_jets, n_columns), what is known of each jet besides.
        hard: (n_neutral, 1) true neutral pT, GeV; not known in prediction.
        weight: (n_jets,) how much each counts.
    """

    charged: SparseTensor
    neutral: SparseTensor
    columns: Tensor
    hard: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls,
        images: Sequence[SparseImages],
        columns: NDArray[Any],
        hard: NDArray[Any] | None = None,
        weight: NDArray[Any] | None = None,
    ) -> Batch:
        """Images of the tracks of the hard scatter, of pileup, and of what is neutral, as tensors."""
        one, two, neutral = (
            SparseTensor.from_images(image, torch.from_numpy(np.ascontiguousarray(image.values[:, :1])))
            for image in images
        )
        hard = np.zeros(len(neutral)) if hard is None else hard
        weight = np.ones(neutral.batch_size) if weight is None else weight
        rest = [torch.from_numpy(array.astype(np.float32)) for array in (columns, hard[:, None], weight)]
        return cls(join([one, two])[0], neutral, *rest)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        tensors = (getattr(self, name).to(device) for name in self.__dataclass_fields__)
        return Batch(*tensors)


class SparseCleaner(nn.Module):
    """From the tracks' cells, halved until they are as large as the neutral ones, and these, to a part of each.

    On the union of both a vector is pooled over the jet, joined with its columns, and handed back to every site: how
    much pileup there is belongs to the event.  A U-Net over ever larger cells follows, and a sigmoid at neutral sites.

    Args:
        halvings: from the tracks' grid to the neutral one.
        columns: (n_columns,) mean and standard deviation of what is known of each jet besides.
        charged: channels of each grid on which tracks are seen, one more than ``halvings``.
        widths: channels of each level of the U-Net.
        blocks: residual blocks of each level of the U-Net.
        kernel: odd size of the submanifold convolutions.
        dropout: inside the residual blocks.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        halvings: int,
        columns: tuple[NDArray[Any], NDArray[Any]],
        *,
        charged: Sequence[int],
        widths: Sequence[int],
        blocks: Sequence[int],
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        width = widths[0]
        for name, values in zip(("mean", "deviation"), columns, strict=True):
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))
        layers: list[nn.Module] = [PerSite(_perceptron(2 * PER_CHANNEL + OF_PLACE, charged[0], charged[0]))]
        for level in range(halvings):
            layers += [ResidualBlock(charged[level], kernel, dropout), BatchNorm(charged[level], relu=True)]
            layers.append(he(Halve(charged[level], charged[level + 1]), ACTIVE_CHILDREN))
        self.tracks = nn.Sequential(*layers)
        self.towers = PerSite(_perceptron(PER_CHANNEL + OF_PLACE + 1, width, width))
        self.mix = nn.Sequential(
            PerSite(nn.Linear(charged[halvings] + width, width)), ResidualBlock(width, kernel, dropout)
        )
        self.pools = nn.ModuleList([GlobalPool("sum"), GlobalPool("mean")])
        self.context = _perceptron(2 * width + len(columns[0]), width, width)
        self.unet = SparseUNet(widths, blocks, kernel, dropout)
        self.norm = BatchNorm(width, relu=True)
        self.head = _perceptron(width, width, 1)

    def forward(self, batch: Batch) -> Tensor:
        """(n_neutral, 1) predicted neutral pT of the hard scatter, GeV: between 0 and what was measured."""
        neutral = batch.neutral
        known = torch.cat([_describe(neutral), torch.ones_like(neutral.features)], dim=1)
        tracks = self.tracks(batch.charged.replace(_describe(batch.charged)))
        both, (_, here) = join([tracks, self.towers(neutral.replace(known))])
        both = self.mix(both)
        summed, averaged = (pool(both) for pool in self.pools)
        columns = (batch.columns - self.mean) / self.deviation
        context = self.context(torch.cat([summed / SUM_SCALE, averaged, columns], dim=1))
        both = self.norm(self.unet(both.replace(both.features + spread(context, both.support.images))))
        part: Tensor = self.head(both.features.index_select(0, here))
        return neutral.features * part.sigmoid()


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _describe(tensor: SparseTensor) -> Tensor:
    """(n_sites, features) of order one: of the transverse momenta in GeV, and of the place in the window."""
    pt = tensor.features
    rows, columns = tensor.shape
    _, row, column = tensor.sites.to(pt.dtype).unbind(1)
    y, phi = (2 * row + 1) / rows - 1, (2 * column + 1) / columns - 1
    place = torch.stack([y, phi, torch.hypot(y, phi)], dim=1)
    return torch.cat([pt.log1p(), pt.sqrt() / 2, pt / 10, place], dim=1)
