"""Residual in residual dense blocks: what the generator of ESRGAN (arXiv:1809.00219) is made of."""

from __future__ import annotations

from torch import Tensor, nn

from hepimg.adversarial.layers import Layers, Maps, join, leaky, on_features

CONVOLUTIONS = 5
"""In a dense block."""

BLOCKS = 3
"""Dense blocks in an RRDB."""


class DenseResidualBlock(nn.Module):
    """Five convolutions, each of everything before it; the last, times ``beta``, is added to the input."""

    def __init__(self, layers: Layers, filters: int, beta: float, *, bias: bool = True) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            layers.convolution(number * filters, filters, bias=bias) for number in range(1, CONVOLUTIONS + 1)
        )
        self.beta = beta

    def forward(self, maps: Maps) -> Maps:
        """Maps of ``filters`` channels -> the same shape."""
        seen = [maps]
        for convolution in self.convolutions[:-1]:
            seen.append(leaky(convolution(join(*seen))))
        return _added(maps, self.convolutions[-1](join(*seen)), self.beta)


class RRDB(nn.Module):
    """Three dense residual blocks; what comes out, times ``beta``, is added to the input.

    Args:
        layers: dense or sparse.
        filters: channels, and new channels of each convolution.
        beta: residual scale, of the dense blocks and of the whole.
        bias: whether convolutions have one.
    """

    def __init__(self, layers: Layers, filters: int, beta: float, *, bias: bool = True) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseResidualBlock(layers, filters, beta, bias=bias) for _ in range(BLOCKS)))
        self.beta = beta

    def forward(self, maps: Maps) -> Maps:
        """Maps of ``filters`` channels -> the same shape."""
        return _added(maps, self.blocks(maps), self.beta)


def _added(maps: Maps, change: Maps, beta: float) -> Maps:
    def add(a: Tensor, b: Tensor) -> Tensor:
        return a.add(b, alpha=beta)

    return on_features(add, maps, change)
