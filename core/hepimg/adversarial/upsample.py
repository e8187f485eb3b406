"""Stages of twice the resolution: pixel shuffle, or transposed convolution."""

from __future__ import annotations

from typing import Literal

from torch import nn

from hepimg.adversarial.layers import Layers, Maps, leaky

StageName = Literal["ps", "tc"]


class Upsampling(nn.Module):
    """Twice as many cells along both axes, then leaky ReLU.

    Args:
        layers: dense or sparse.
        filters: channels, which stay.
        how: ``ps``: a convolution to four times the channels, which are shuffled onto four cells (arXiv:1609.05158);
            ``tc``: transposed convolution.
        bias: whether convolutions have one.
    """

    def __init__(self, layers: Layers, filters: int, how: StageName, *, bias: bool = True) -> None:
        super().__init__()
        if how == "ps":
            self.finer: nn.Module = nn.Sequential(layers.convolution(filters, 4 * filters, bias=bias), layers.shuffle())
        else:
            self.finer = layers.transposed(filters, filters, bias=bias)

    def forward(self, maps: Maps) -> Maps:
        """(batch, filters, rows, columns) -> (batch, filters, 2 rows, 2 columns), or the same on sites."""
        return leaky(self.finer(maps))
