"""Bodies: from what is known of the sites of a level to features of each."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from hepimg.sparse.backbones import ResidualBlock
from hepimg.sparse.conv import InverseConv2d, SubmanifoldConv2d
from hepimg.sparse.norm import LayerNorm
from hepimg.sparse.reduce import spread, sum_over
from hepimg.sparse.tensor import SparseTensor

State = Any
"""What a body leaves for that of the next stage."""

SITES = 20.0
"""Active cells of a jet, roughly: brings a sum over them to the size of one."""


class Body(Protocol):
    """What a stage needs."""

    def __call__(self, known: SparseTensor, coarser: State | None) -> tuple[Tensor, State]:
        """(n_sites, channels) features of the sites of ``known``, and what the next stage is to have."""


class SparseBody(nn.Module):
    """Residual submanifold blocks on the active cells, and a context of the whole image.

    The first stage looks around with a convolution, those after it expand the features of the stage before: each child
    has a matrix of its own.

    Args:
        inputs: what is known of each site.
        channels: features per site.
        blocks: residual blocks.
        kernel: size of their convolutions, odd.
        first: whether this is the coarsest stage.
    """

    def __init__(self, inputs: int, channels: int, blocks: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.look: nn.Module = SubmanifoldConv2d(inputs, channels, 5) if first else nn.Linear(inputs, channels)
        self.expand = None if first else InverseConv2d(channels, channels, 2, stride=2, bias=False)
        self.blocks = nn.ModuleList([ResidualBlock(channels, kernel, norm=LayerNorm) for _ in range(blocks)])
        self.say, self.hear = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.norm = LayerNorm(channels, relu=True)

    def forward(self, known: SparseTensor, coarser: SparseTensor | None) -> tuple[Tensor, SparseTensor]:
        """See :class:`Body`."""
        if self.expand is None or coarser is None:
            tensor = self.look(known)
        else:
            tensor = known.replace(self.expand(coarser, known).features + self.look(known.features))
        for number, block in enumerate(self.blocks):
            tensor = block(tensor)
            if number == 0:
                tensor = self._in_context(tensor)
        tensor = self.norm(tensor)
        return tensor.features, tensor

    def _in_context(self, tensor: SparseTensor) -> SparseTensor:
        """Add to each site what all sites of its image say together."""
        images = tensor.support.images
        total = sum_over(torch.relu(self.say(tensor.features)), images) / SITES
        return tensor.replace(tensor.features + spread(self.hear(total), images))


class DenseBody(nn.Module):
    """The same with torch's convolutions over all cells, empty ones included: what a sparse body is measured against.

    Active cells alone speak to all others, as there; cells at the edge see zeros beyond it, also where a grid wraps.
    Arguments as there.
    """

    def __init__(self, inputs: int, channels: int, blocks: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.look = nn.Conv2d(inputs, channels, 5 if first else 1, padding="same")
        self.expand = None if first else nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
        self.blocks = nn.ModuleList([_DenseBlock(channels, kernel) for _ in range(blocks)])
        self.say, self.hear = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.norm = _DenseNorm(channels)

    def forward(self, known: SparseTensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """See :class:`Body`."""
        x = self.look(known.dense())
        if self.expand is not None and coarser is not None:
            x = x + self.expand(coarser)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number == 0:
                x = x + self.hear(self._total(x, known))[:, :, None, None]
        x = functional.relu(self.norm(x))
        return x.permute(0, 2, 3, 1).flatten(0, 2)[known.support.keys], x

    def _total(self, x: Tensor, known: SparseTensor) -> Tensor:
        """(n_images, channels) what the active cells of each image say."""
        support = known.support
        said = torch.relu(self.say(x.permute(0, 2, 3, 1).flatten(0, 2)[support.keys]))
        return sum_over(said, support.images) / SITES


class _DenseNorm(nn.LayerNorm):
    """Normalisation of each cell over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _DenseBlock(nn.Module):
    """Two convolutions added to the identity, each after norm and ReLU."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, kernel, padding="same", bias=False) for _ in range(2)]
        for layer, scale in zip(convolutions, (1.0, 0.3), strict=True):  # as the sparse block's
            nn.init.normal_(layer.weight, std=scale * math.sqrt(2 / (channels * kernel**2)))
        first, last = convolutions
        self.layers = nn.Sequential(_DenseNorm(channels), nn.ReLU(), first, _DenseNorm(channels), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = x + self.layers(x)
        return residual
