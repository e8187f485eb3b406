"""What networks on images are made of, in two kinds: computed on all cells, or on active cells only.

Networks are written once, over a kind.  Both kinds have the same weights, by the same names; where every cell is
active, they give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from hepimg.sparse import InverseConv2d, SparseConv2d, SparseTensor, SubmanifoldConv2d
from hepimg.sparse.conv import children
from hepimg.sparse.rules import Geometry, RuleCache
from hepimg.sparse.support import support_from_keys

Maps = Tensor | SparseTensor
"""Feature maps: (batch, channels, rows, columns), or (n_sites, channels) on the sites of a sparse tensor."""

SLOPE = 0.2
"""Of the leaky ReLU on its negative side."""


class Layers(Protocol):
    """A kind of layers."""

    def maps(self, images: Tensor, active: Tensor | None = None) -> Maps:
        """(batch, 1, rows, columns) images as feature maps of one channel.  Differentiable.

        ``active``, bool of the same shape, says which cells sparse maps have; by default, those that are not zero.
        """

    def images(self, maps: Maps) -> Tensor:
        """(batch, channels, rows, columns): feature maps as images.  Differentiable."""

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
        """3x3, padded, of stride 1 or 2."""

    def transposed(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        """Transposed convolution onto twice as many cells along both axes: 4x4, so that neighbours overlap."""

    def shuffle(self) -> nn.Module:
        """Four channels become one on twice as many cells along both axes (arXiv:1609.05158)."""


class DenseLayers:
    """Torch's own layers, on all cells; channels last in memory, which is up to a quarter faster on the CPU."""

    def maps(self, images: Tensor, active: Tensor | None = None) -> Tensor:
        """The same."""
        return images

    def images(self, maps: Maps) -> Tensor:
        """The same."""
        assert isinstance(maps, Tensor)
        return maps

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
        """See :class:`Layers`."""
        return _channels_last(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias))

    def transposed(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        """See :class:`Layers`."""
        return _channels_last(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias))

    def shuffle(self) -> nn.Module:
        """See :class:`Layers`."""
        return nn.PixelShuffle(2)


class SparseLayers:
    """Layers on active cells.

    At stride 1 the sites stay; at stride 2 every cell that one reaches is active; going finer, all four children are.
    """

    def maps(self, images: Tensor, active: Tensor | None = None) -> SparseTensor:
        """The active cells."""
        batch, _, rows, columns = images.shape
        flat = images.flatten()
        keys = (flat.detach() if active is None else active.flatten()).nonzero().squeeze(1)
        support = support_from_keys(keys, batch, (rows, columns), (False, False))
        return SparseTensor.on(RuleCache(support), flat.index_select(0, keys)[:, None])

    def images(self, maps: Maps) -> Tensor:
        """Zero where there is no site."""
        assert isinstance(maps, SparseTensor)
        return maps.dense()

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
        """See :class:`Layers`."""
        if stride == 1:
            return SubmanifoldConv2d(inputs, outputs, 3, bias=bias)
        return SparseConv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)

    def transposed(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        """See :class:`Layers`."""
        return _OntoChildren(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def shuffle(self) -> nn.Module:
        """See :class:`Layers`."""
        return _SparseShuffle()


def on_features(function: Callable[..., Tensor], *maps: Maps) -> Maps:
    """Apply a function that treats cells alike to the features of maps over the same cells; channels are axis 1."""
    first = maps[0]
    if isinstance(first, SparseTensor):
        return first.replace(function(*(other.features for other in maps if isinstance(other, SparseTensor))))
    return function(*maps)


def join(*maps: Maps) -> Maps:
    """All channels of several maps."""
    return on_features(lambda *features: torch.cat(features, 1), *maps)


def leaky(maps: Maps) -> Maps:
    """Leaky ReLU."""
    return on_features(lambda features: nn.functional.leaky_relu(features, SLOPE), maps)


def _channels_last(module: nn.Module) -> nn.Module:
    return cast(nn.Module, cast(Any, module).to(memory_format=torch.channels_last))  # not among its typed overloads


class _OntoChildren(InverseConv2d):
    """Transposed convolution, read at the four children of each site."""

    def forward(self, tensor: SparseTensor) -> SparseTensor:  # type: ignore[override]
        cache = RuleCache(children(tensor.support, 2))
        return super().forward(tensor, SparseTensor.on(cache, tensor.features.new_empty(len(cache.support), 0)))


class _SparseShuffle(nn.Module):
    """(n_sites, 4 C) -> (4 n_sites, C): channel 4 c + k of a site is channel c of its child k."""

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        cache = RuleCache(children(tensor.support, 2))
        rules = cache.rules(Geometry((2, 2), (2, 2)), tensor.support)
        number = torch.repeat_interleave(torch.arange(4), torch.tensor(rules.counts)).to(tensor.features.device)
        source = torch.empty(len(cache.support), dtype=torch.int64, device=tensor.features.device)
        source[rules.inputs.index.long()] = rules.outputs.index.long() * 4 + number
        channels = tensor.channels // 4
        features = tensor.features.view(len(tensor), channels, 4).transpose(1, 2).reshape(-1, channels)
        return SparseTensor.on(cache, features.index_select(0, source))
