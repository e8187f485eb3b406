"""DenseAutoencoder: images with their zeros written out, to a few numbers and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class DenseAutoencoder(nn.Module):
    """Fully connected layers around a bottleneck, between convolutions with pooling and their mirror image.

    Without convolutions this is the autoencoder of Lastow (Lund, 2021); with them one like that of Farina, Nakai
    and Shih (arXiv:1808.08992).  The last layer is linear: cells may come out negative.

    Args:
        channels: of the image.
        shape: rows and columns of the image.
        convolutions: channels of each convolution, from the image inwards.
        layers: widths of the fully connected layers; the narrowest, or of several the one nearest the middle, is the
            bottleneck.
        slope: of the leaky ReLU.
    """

    def __init__(
        self, channels: int, shape: tuple[int, int], convolutions: Sequence[int], layers: Sequence[int], slope: float
    ) -> None:
        super().__init__()
        self.shape = (channels, *shape)
        depths, sizes = [channels, *convolutions], [shape]
        for _ in convolutions:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        self.inner = (depths[-1], *sizes[-1])
        widths = [math.prod(self.inner), *layers, math.prod(self.inner)]
        middle = min(range(1, len(widths) - 1), key=lambda k: (widths[k], abs(2 * k - len(widths) + 1)))
        linear = [nn.Linear(a, b) for a, b in pairwise(widths)]
        activation = nn.LeakyReLU(slope)
        down, up = list[nn.Module](), list[nn.Module]()
        for (a, b), size in zip(pairwise(depths), sizes, strict=False):
            down += [nn.Conv2d(a, b, 3, padding=1), activation, nn.MaxPool2d(2, ceil_mode=True)]
            up = [activation, nn.Upsample(size), nn.Conv2d(b, a, 3, padding=1), *up]
        encoder = [part for layer in linear[:middle] for part in (layer, activation)]
        decoder = [part for layer in linear[middle:-1] for part in (layer, activation)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), *encoder)
        self.decoder = nn.Sequential(*decoder, linear[-1], nn.Unflatten(1, self.inner), *up)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(n, channels, rows, columns) images to the same, and the (n, width) numbers of the bottleneck."""
        latent = self.encoder(images)
        return self.decoder(latent), latent


def squared_errors(images: Tensor, decoded: Tensor, blur: float = 0.0) -> Tensor:
    """(n,) mean over cells and channels of the squared difference, with ``blur`` of the blurred images.

    Args:
        images: (n, channels, rows, columns).
        decoded: the same.
        blur: standard deviation of the Gaussian that both are folded with, in cells.
    """
    difference = decoded - images
    if blur > 0:
        reach = math.ceil(3 * blur)
        at = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        weights = (-((at / blur) ** 2) / 2).exp()
        weights = weights / weights.sum()
        channels = images.shape[1]
        for kernel in (weights[:, None], weights[None, :]):
            difference = nn.functional.conv2d(
                difference, kernel.expand(channels, 1, -1, -1), padding="same", groups=channels
            )
    return difference.square().mean((1, 2, 3))
