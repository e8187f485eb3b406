"""The network of PUMML: convolutions of stride two on images with their zeros written out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

CHANNELS = 3
"""Tracks of the hard scatter, tracks of pileup, everything neutral."""


class ConvolutionalNetwork(nn.Module):
    """Each convolution halves the image; a last one, of one cell, makes a transverse momentum, which is not negative.

    Weights are drawn as He et al. do (uniformly, arXiv:1502.01852), biases begin at zero.

    Args:
        filters: of each convolution.
        kernel: its size, even; the image is padded by (kernel - 2) / 2 zeros, so that its size is halved.
    """

    def __init__(self, filters: Sequence[int], kernel: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([CHANNELS, *filters]):
            layers += [nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 2) // 2), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters[-1], 1, 1), nn.ReLU())
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        # A last filter of negative weights would answer zero to everything, and never learn.
        last = self.layers[-2]
        assert isinstance(last, nn.Conv2d)
        with torch.no_grad():
            last.weight.abs_()

    def forward(self, charged: Tensor, neutral: Tensor) -> Tensor:
        """What of the neutral pT is hard scatter.

        Args:
            charged: (n, 2, rows, columns), GeV.
            neutral: (n, 1, coarse rows, coarse columns), GeV; every fine cell is told that of its coarse one.

        Returns:
            (n, 1, coarse rows, coarse columns), GeV.
        """
        factor = charged.shape[2] // neutral.shape[2]
        finer = neutral.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        found: Tensor = self.layers(torch.cat([charged, finer], dim=1))
        return found
