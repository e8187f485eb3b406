"""The generator of LAGAN: noise and a class become an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hepimg_generation.lagan.locally_connected import LocallyConnected2d

SLOPE = 0.3
"""Of all leaky ReLUs, as in the published code."""


class LaganGenerator(nn.Module):
    """A dense layer, a convolution, three locally connected layers; twice between them the resolution doubles.

    The noise is multiplied by a vector for the class.  From 7 x 7 cells come 28 x 28, of which the last two layers,
    without padding, leave 25 x 25; other numbers of cells n come from (n + 3) / 4, rounded up, and what is too much is
    cut off before these layers.

    Args:
        shape: rows and columns of the image.
        classes: how many.
        latent: length of the noise.
        dense: channels of the dense layer.
        convolution: channels of the convolution.
        local: channels of the locally connected layers.
    """

    def __init__(
        self, shape: tuple[int, int], classes: int, latent: int, dense: int, convolution: int, local: int
    ) -> None:
        super().__init__()
        rows, columns = (math.ceil((cells + 3) / 4) for cells in shape)
        self.latent, self.before = latent, (shape[0] + 3, shape[1] + 3)
        self.embedding = nn.Linear(classes, latent, bias=False)  # of a class that is one, others zero: an embedding
        self.dense = nn.Sequential(
            nn.Linear(latent, dense * rows * columns),
            nn.Unflatten(1, (dense, rows, columns)),
            nn.Conv2d(dense, convolution, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm2d(convolution),
            nn.Upsample(scale_factor=2),
            LocallyConnected2d(convolution, local, (2 * rows, 2 * columns), 5, padding=2, slope=SLOPE),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm2d(local),
            nn.Upsample(scale_factor=2),
        )
        self.local = nn.Sequential(
            LocallyConnected2d(local, local, self.before, 3, slope=SLOPE),
            nn.LeakyReLU(SLOPE),
            LocallyConnected2d(local, 1, (self.before[0] - 2, self.before[1] - 2), 2, bias=False),
            nn.ReLU(),
        )

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        """(batch, latent) noise and (batch, classes) of zeros and a one -> (batch, 1, rows, columns), not negative."""
        maps = self.dense(noise * self.embedding(classes))
        image: Tensor = self.local(maps[:, :, : self.before[0], : self.before[1]])
        return image

    def draw(self, classes: Tensor) -> Tensor:
        """Images of the classes, their noise from torch's global generator of random numbers."""
        noise = torch.randn(len(classes), self.latent, device=classes.device)
        image: Tensor = self(noise, classes)
        return image
