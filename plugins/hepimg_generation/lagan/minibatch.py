"""Minibatch discrimination: how alike the images of a batch are, for a discriminator to notice."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """o_k(x_i) = sum over j of exp(-|M_k x_i - M_k x_j|_1) (arXiv:1606.03498, section 3.2), j = i included.

    Args:
        features: of an image.
        kernels: k, numbers that come out.
        width: rows of each matrix M_k.
    """

    def __init__(self, features: int, kernels: int, width: int) -> None:
        super().__init__()
        self.kernels, self.width = kernels, width
        self.project = nn.Linear(features, kernels * width)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) -> (batch, kernels)."""
        seen = self.project(features).view(len(features), self.kernels, self.width).transpose(0, 1).contiguous()
        # (kernels, batch, batch); at distance 0, where there is no derivative, cdist's is 0
        distances = torch.cdist(seen, seen, p=1)
        return torch.exp(-distances).sum(2).transpose(0, 1)
