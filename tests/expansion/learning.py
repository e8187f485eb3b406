"""A short training of an Expansion."""

import torch

from hepimg.expansion.network import Expansion
from hepimg.expansion.pyramid import Pyramid
from hepimg.images import SparseImages


def learn(net: Expansion, images: SparseImages, steps: int) -> None:
    """Train on all images of one doubling at once, each counting alike."""
    optimizer = torch.optim.Adam(net.train().parameters(), 1e-2)
    pyramid = Pyramid.of(images, 1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(pyramid, torch.ones(len(images))).backward()
        optimizer.step()
    net.eval()
