"""The tagger's network as it would be written with dense layers: the same widths and blocks on full images."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class MaskedBlock(nn.Module):
    """Two masked 3x3 convolutions added to the identity, each after norm and ReLU."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.convolutions = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in self.norms])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, C, rows, columns) -> the same, zero where ``mask`` is."""
        first, second = self.convolutions
        hidden = first(self.norms[0](x).relu() * mask) * mask
        hidden = second(self.dropout(self.norms[1](hidden).relu()) * mask) * mask
        return torch.add(x, hidden)


class MaskedClassifier(nn.Module):
    """Dense counterpart of ``SparseClassifier(SparseResNet(in_channels))``; one logit per image of 4k x 4k cells.

    The mask keeps inactive cells at zero, as submanifold convolutions do.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...] = (32, 48, 64), dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, widths[0], 1), nn.ReLU(), nn.Conv2d(widths[0], widths[0], 1))
        self.halves = nn.ModuleList([nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairwise(widths)])
        self.blocks = nn.ModuleList([MaskedBlock(width, dropout) for width in widths])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * widths[-1]), nn.Linear(2 * widths[-1], 128), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, in_channels, rows, columns), (n, 1, rows, columns) -> (n, 1)."""
        x = self.blocks[0](self.stem(x) * mask, mask)
        for half, block in zip(self.halves, self.blocks[1:], strict=False):
            mask = nn.functional.max_pool2d(mask, 2)
            x = block(half(x) * mask, mask)
        x = self.norm(x).relu() * mask
        logits: Tensor = self.head(torch.cat([x.sum((2, 3)) / 16, x.amax((2, 3))], dim=1))
        return logits
