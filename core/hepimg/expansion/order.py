"""Orders in which the sites of a stage are decided, another one for each image and draw."""

from typing import Literal

import torch
from torch import Tensor

from hepimg.sparse.support import Support

Order = Literal["sites", "colours", "none"]
"""``sites``: one after the other; ``colours``: in four groups, by the parities of row and column; ``none``: at once."""

COLOURS = 4


def groups_of(order: Order, support: Support) -> Tensor:
    """(n_sites,) int64: sites of one image and group are decided at once."""
    if order == "sites":
        return support.cells.long()
    _, row, column = support.sites.long().unbind(1)
    return row % 2 * 2 + column % 2


def n_groups(order: Order, support: Support) -> int:
    """How many groups an image may have."""
    return support.shape[0] * support.shape[1] if order == "sites" else COLOURS


def ranks_of(support: Support, numbers: Tensor) -> Tensor:
    """(n_sites,) int64, when each site is decided: from 0, without gaps in an image.

    Args:
        support: sites.
        numbers: (n_sites,) float64 random numbers in [0, 1), the same for sites that are decided at once.
    """
    image = support.images.index.long()
    keys, position = torch.unique(image + numbers, return_inverse=True)
    starts = torch.searchsorted(keys, torch.arange(support.batch_size, dtype=keys.dtype, device=keys.device))
    ranks: Tensor = position - starts[image]
    return ranks
