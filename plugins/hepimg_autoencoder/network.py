"""Network: the size of a dense autoencoder, as an option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt

from hepimg.components import Field, Options

if TYPE_CHECKING:
    from hepimg_autoencoder.dense import DenseAutoencoder


class Network(Options):
    """Cells to a few numbers and back: convolutions with pooling, if any, then fully connected layers."""

    convolutions: tuple[PositiveInt, ...] = Field(
        (), description="channels of 3 x 3 convolutions, each followed by maximum pooling of 2 x 2; mirrored at the end"
    )
    layers: tuple[PositiveInt, ...] = Field(
        (300, 100, 300),
        min_length=1,
        description="widths of the fully connected layers; the narrowest is the bottleneck",
    )
    slope: NonNegativeFloat = Field(0.01, description="of the leaky ReLU at negative values; 0: ReLU")

    def build(self, channels: int, shape: tuple[int, int]) -> DenseAutoencoder:
        """The network for images of ``channels`` channels, its weights from torch's global generator."""
        from hepimg_autoencoder.dense import DenseAutoencoder

        return DenseAutoencoder(channels, shape, self.convolutions, self.layers, self.slope)
