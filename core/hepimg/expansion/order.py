"""Orders in which the sites of a stage are decided: the hardest first."""

import torch
from torch import Tensor

from hepimg.expansion.options import Order
from hepimg.sparse.support import Support


def ranks_of(order: Order, support: Support, energy: Tensor) -> Tensor:
    """(n_sites,) int64, when each site is decided: from 0, without gaps in an image.

    One order is as good as another (random ones gave the same likelihood); this one draws no random numbers.

    Args:
        order: which sites are decided at once; of these groups, that with the largest energy comes first.
        support: sites.
        energy: (n_sites,) float64.
    """
    image = support.images.index.long()
    if order == "none":
        return torch.zeros_like(image)
    if order == "sites":
        group, groups = support.cells.long(), support.shape[0] * support.shape[1]
    else:
        _, row, column = support.sites.long().unbind(1)
        group, groups = row % 2 * 2 + column % 2, 4
    keys, of_site = torch.unique(image * groups + group, return_inverse=True)
    owner = keys // groups
    total = energy.new_zeros(len(keys)).index_add(0, of_site, energy)
    falling = torch.argsort(total, descending=True, stable=True)
    falling = falling[torch.argsort(owner[falling], stable=True)]
    rank = torch.empty_like(keys)
    rank[falling] = torch.arange(len(keys), device=keys.device)
    first = torch.searchsorted(owner, torch.arange(support.batch_size, device=keys.device))
    ranks: Tensor = (rank - first[owner])[of_site]
    return ranks
