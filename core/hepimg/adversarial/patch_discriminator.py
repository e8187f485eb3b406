"""Markovian discriminators: one judgement for each patch of an image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from hepimg.adversarial.layers import Layers, leaky


class PatchDiscriminator(nn.Module):
    """Blocks of two 3x3 convolutions, the second of stride 2, with leaky ReLU and no norm (arXiv:1609.04802, 4.4.2).

    Cut off before any fully connected layer, so that each number that comes out has seen one patch only.  Norms over
    the batch would spoil the gradient penalty, which is for each image (arXiv:1704.00028).

    Args:
        layers: dense or sparse.
        filters: channels of the first block; they double with each.
        blocks: each halves the resolution.
    """

    def __init__(self, layers: Layers, filters: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.layers = layers
        widths = [1, *(filters << block for block in range(blocks))]
        self.convolutions = nn.ModuleList(
            layers.convolution(inputs, width, stride=stride)
            for before, width in pairwise(widths)
            for inputs, stride in ((before, 1), (width, 2))
        )
        self.last = layers.convolution(widths[-1], 1)

    def forward(self, images: Tensor, active: Tensor | None = None) -> Tensor:
        """(batch, 1, rows, columns) -> (n_patches,) logits: positive where a patch looks true.

        Patches of all images together; sparse layers judge only patches with an active cell (of those in ``active``,
        bool of the same shape, if it is given).
        """
        maps = self.layers.maps(images, active)
        for convolution in self.convolutions:
            maps = leaky(convolution(maps))
        maps = self.last(maps)
        return maps.flatten() if isinstance(maps, Tensor) else maps.features.squeeze(1)


class Averaged(nn.Module):
    """Several discriminators of one structure: the mean of what they say."""

    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor, active: Tensor | None = None) -> Tensor:
        """As each of them."""
        return torch.stack([member(images, active) for member in self.members]).mean(0)
