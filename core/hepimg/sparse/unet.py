"""SparseUNet: features of every site that know of ever larger surroundings."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from hepimg.sparse.backbones import ACTIVE_CHILDREN, Double, Halve, ResidualBlock, he
from hepimg.sparse.layers import PerSite
from hepimg.sparse.norm import BatchNorm
from hepimg.sparse.tensor import SparseTensor


class SparseUNet(nn.Module):
    """Residual blocks on ever coarser grids, and back with skips (Ronneberger et al., arXiv:1505.04597).

    Sites are never added: on the way back each level has the sites that it had on the way down.

    Args:
        widths: channels of each level; the first are those of the input and of the output.
        blocks: residual blocks of each level, on the way down and on the way back; the last level has them once.
        kernel: odd size of the submanifold convolutions.
        dropout: inside the residual blocks.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], kernel: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        if not widths or len(widths) != len(blocks):
            raise ValueError(f"one number of blocks for each width is needed, not {list(widths)} and {list(blocks)}")

        def level(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*[ResidualBlock(width, kernel, dropout) for _ in range(count)])

        self.down = nn.ModuleList([level(*each) for each in zip(widths, blocks, strict=True)])
        self.back = nn.ModuleList([level(*each) for each in zip(widths[:-1], blocks[:-1], strict=True)])
        self.halve = nn.ModuleList(
            [nn.Sequential(BatchNorm(a, relu=True), he(Halve(a, b), ACTIVE_CHILDREN)) for a, b in pairwise(widths)]
        )
        self.upward = nn.ModuleList([Double(b, a) for a, b in pairwise(widths)])
        self.norm = nn.ModuleList([BatchNorm(b, relu=True) for b in widths[1:]])
        self.mix = nn.ModuleList([PerSite(nn.Linear(2 * a, a)) for a in widths[:-1]])

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """(n_sites, widths[0]) -> the same sites and channels."""
        skips = [self.down[0](tensor)]
        for halve, level in zip(self.halve, list(self.down)[1:], strict=True):
            skips.append(level(halve(skips[-1])))
        found: SparseTensor = skips.pop()
        for number in reversed(range(len(skips))):
            skip = skips[number]
            up = self.upward[number](self.norm[number](found), skip)
            found = self.mix[number](skip.replace(torch.cat([skip.features, up.features], dim=1)))
            found = self.back[number](found)
        return found
