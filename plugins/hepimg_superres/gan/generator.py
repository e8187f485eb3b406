"""The generator of jet images: ESRGAN's (arXiv:1809.00219), with either kind of upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from hepimg.adversarial.layers import SLOPE, Layers, Maps, leaky, on_features
from hepimg.adversarial.rrdb import RRDB
from hepimg.adversarial.upsample import StageName, Upsampling

SPREAD = 0.3
"""First fine power images, as a fraction of the coarse ones: (1 / 64)^0.3, at x8."""

LEAK = 0.1
"""Of the gradient of the last ReLU where it is closed."""


class Generator(nn.Module):
    """From coarse power images to fine ones; without noise, as published.

    A convolution; blocks, with a convolution, added to it; stages of upsampling; blocks after it, if any; two
    convolutions, and ReLU.  Sparse layers make the children of active cells only.

    The input is divided by the factor of upsampling f and the output multiplied by it, so that both are of order 1 and
    the output is in the input's unit: pooled, it can be compared with the input.  (The thesis's own words on this, "the
    LR image is divided by a factor 1/f", leave it open.)

    Args:
        layers: dense or sparse.
        blocks: RRDBs.
        filters: channels.
        beta: residual scale.
        upsampling: its stages.
        after: RRDBs after upsampling.
        bias: whether convolutions have one.
    """

    def __init__(
        self,
        layers: Layers,
        blocks: int,
        filters: int,
        beta: float,
        upsampling: Sequence[StageName],
        *,
        after: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.scale = float(1 << len(upsampling))
        self.first = layers.convolution(1, filters, bias=bias)
        self.blocks = nn.Sequential(
            *(RRDB(layers, filters, beta, bias=bias) for _ in range(blocks)),
            layers.convolution(filters, filters, bias=bias),
        )
        self.upsampling = nn.Sequential(*(Upsampling(layers, filters, how, bias=bias) for how in upsampling))
        self.after = nn.Sequential(*(RRDB(layers, filters, beta, bias=bias) for _ in range(after)))
        self.penultimate = layers.convolution(filters, filters, bias=bias)
        self.last = layers.convolution(filters, 1, bias=bias)
        _keep_variance(self)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, rows, columns) power images -> (batch, 1, f rows, f columns) power images, not negative."""
        maps: Maps = self.first(self.layers.maps(images / self.scale))
        maps = on_features(Tensor.add, maps, self.blocks(maps))
        maps = self.after(self.upsampling(maps))
        maps = self.last(leaky(self.penultimate(maps)))
        return self.scale * self.layers.images(on_features(_reviving_relu, maps))


def _keep_variance(generator: Generator) -> None:
    """He's initial weights (arXiv:1502.01852), and a last layer that spreads energy over about f^2 cells.

    With torch's own, which shrink at each layer, the first fine image is blank, and stays so for a thousand batches.
    """
    for module in generator.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter):
            # (out, in, 3, 3); or (in, out, 4, 4), transposed: each fine cell is reached by 4 of the 16.
            is_transposed = weight.shape[2] == 4
            cells, channels = (4, weight.shape[0]) if is_transposed else (9, weight.shape[1])
            nn.init.normal_(weight, std=math.sqrt(2 / ((1 + SLOPE**2) * cells * channels)))
    with torch.no_grad():
        for parameter in generator.last.parameters():
            parameter.mul_(SPREAD)


def _reviving_relu(x: Tensor) -> Tensor:
    """ReLU whose gradient leaks where it is closed.

    Most cells are empty, and L1 drives the network there; with no gradient left, none would ever come back.
    """
    open_ = leaky_relu(x, LEAK)
    return open_ + (x.relu() - open_).detach()
