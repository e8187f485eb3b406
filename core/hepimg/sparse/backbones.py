"""Networks made of sparse layers."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from hepimg.sparse.conv import InverseConv2d, SparseConv2d, SubmanifoldConv2d
from hepimg.sparse.layers import GlobalPool, PerSite
from hepimg.sparse.norm import BatchNorm, LayerNorm
from hepimg.sparse.tensor import SparseTensor

ACTIVE_NEIGHBOURS = 3.0
"""Mean number of active cells under a 3x3 kernel in jet images (2.6 at 40x40, 5.7 at 5x5): a convolution's true fan."""

ACTIVE_CHILDREN = 1.5
"""Mean number of active cells under a 2x2 kernel of stride 2."""

SUM_SCALE = 16.0
"""Sites per jet, roughly: brings the sum over an image near the size of its maximum."""


class ResidualBlock(nn.Module):
    """Two submanifold convolutions added to the identity, each after norm and ReLU (He et al., arXiv:1603.05027).

    Args:
        channels: features per site.
        kernel: size of the convolutions, odd.
        dropout: after the second norm.
        norm: its kind.
    """

    def __init__(
        self, channels: int, kernel: int = 3, dropout: float = 0.0, norm: type[BatchNorm | LayerNorm] = BatchNorm
    ) -> None:
        super().__init__()
        self.norm = norm(channels, relu=True)
        self.layers = nn.Sequential(
            he(SubmanifoldConv2d(channels, channels, kernel, bias=False), ACTIVE_NEIGHBOURS),
            norm(channels, relu=True, dropout=dropout),
        )
        # Small at first, so that a deep stack begins near the identity.
        self.last = he(SubmanifoldConv2d(channels, channels, kernel, bias=False), ACTIVE_NEIGHBOURS, scale=0.3)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """(n_sites, channels) -> the same sites and channels."""
        normalised, identity = self.norm.beside(tensor)
        residual: SparseTensor = self.last(self.layers(normalised), onto=identity.features)
        return residual


class Halve(SparseConv2d):
    """2x2 convolution of stride 2.  An odd axis is padded by one cell, so that no cell is left out."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2, stride=2, bias=False)

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """(n_sites, in_channels) -> (n_reached, out_channels) on a grid of half the size, rounded up."""
        rows, columns = tensor.shape
        return self._convolve(tensor, replace(self.geometry, padding=(rows % 2, columns % 2)))


class Double(InverseConv2d):
    """The way back of :class:`Halve`, onto the sites that it started from."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2, stride=2, bias=False)

    def forward(self, tensor: SparseTensor, onto: SparseTensor) -> SparseTensor:
        """(n_coarse, in_channels) -> (n_sites of ``onto``, out_channels) on the sites of ``onto``."""
        rows, columns = onto.shape
        return self._convolve(tensor, onto, replace(self.geometry, padding=(rows % 2, columns % 2)))


class SparseResNet(nn.Module):
    """Residual submanifold network: a vector of features per image.

    A stem on each site; on every level some residual blocks; a 2x2 convolution of stride 2 between levels; at the end
    the sum (divided by 16) and the maximum over the sites of each image.

    Args:
        in_channels: features per site.
        widths: channels of each level.
        blocks: residual blocks of each level.
        kernel: odd size of the submanifold convolutions.
        dropout: inside the residual blocks.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int] = (32, 48, 64),
        blocks: Sequence[int] = (1, 1, 1),
        kernel: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(blocks):
            raise ValueError(f"one number of blocks for each width is needed, not {list(widths)} and {list(blocks)}")
        stem = nn.Sequential(nn.Linear(in_channels, widths[0]), nn.ReLU(), nn.Linear(widths[0], widths[0]))
        layers: list[nn.Module] = [PerSite(stem)]
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if level:
                layers.append(he(Halve(widths[level - 1], width), ACTIVE_CHILDREN))
            layers += [ResidualBlock(width, kernel, dropout) for _ in range(count)]
        self.layers = nn.Sequential(*layers, BatchNorm(widths[-1], relu=True))
        self.sum, self.max = GlobalPool("sum"), GlobalPool("max")
        self.out_features = 2 * widths[-1]

    def forward(self, tensor: SparseTensor) -> Tensor:
        """(n_sites, in_channels) -> (batch_size, out_features)."""
        tensor = self.layers(tensor)
        return torch.cat([self.sum(tensor) / SUM_SCALE, self.max(tensor)], dim=1)


class SparseClassifier(nn.Module):
    """A backbone and a small perceptron on its features: one logit (or ``outputs`` of them) per image."""

    def __init__(self, backbone: SparseResNet, outputs: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(
            nn.BatchNorm1d(backbone.out_features),
            nn.Linear(backbone.out_features, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, outputs),
        )

    def forward(self, tensor: SparseTensor) -> Tensor:
        """(n_sites, in_channels) -> (batch_size, outputs)."""
        logits: Tensor = self.head(self.backbone(tensor))
        return logits


def he(layer: SubmanifoldConv2d | SparseConv2d, fan: float, scale: float = 1.0) -> nn.Module:
    """The layer, its normal weights such that they keep the variance: of the inputs that are active on average."""
    nn.init.normal_(layer.weight, std=scale * math.sqrt(2 / (layer.in_channels * fan)))
    return layer
