"""The discriminator of LAGAN: is an image true, and of which class?"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hepimg_generation.lagan.generator import SLOPE
from hepimg_generation.lagan.locally_connected import LocallyConnected2d
from hepimg_generation.lagan.minibatch import MinibatchDiscrimination


class LaganDiscriminator(nn.Module):
    """A convolution, three locally connected layers, and what they find, beside how alike the batch is.

    Args:
        shape: rows and columns of the image, at least 5 along each axis.
        classes: how many.
        convolution: channels of the convolution.
        local: channels of the locally connected layers.
        kernels: of the minibatch discrimination.
        width: of each kernel.
        dropout: chance that a number is left out.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        classes: int,
        convolution: int,
        local: int,
        kernels: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, convolution, 5, padding=2), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]
        channels = convolution
        for kernel, stride in ((5, 2), (5, 1), (3, 2)):
            layer = LocallyConnected2d(channels, local, shape, kernel, stride=stride, padding=kernel // 2, slope=SLOPE)
            layers += [layer, nn.LeakyReLU(SLOPE), nn.BatchNorm2d(local), nn.Dropout(dropout)]
            channels, shape = local, layer.shape
        self.layers = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten())
        features = local * math.prod(size // 2 for size in shape)
        self.batch = MinibatchDiscrimination(features, kernels, width)
        self.truth = nn.Linear(features + kernels, 1)
        self.classes = nn.Linear(features + kernels, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1, rows, columns) -> (batch,) logits, positive for true; (batch, classes) logits."""
        features = self.layers(images)
        features = torch.cat([features, self.batch(features)], 1)
        return self.truth(features).squeeze(1), self.classes(features)
