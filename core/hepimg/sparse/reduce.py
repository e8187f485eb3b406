"""Sums and maxima of items by site (sites by image, pairs by output site), twice differentiable on any device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from hepimg.kernels.threads import compiled
from hepimg.sparse.support import Grouping


def sum_items(items: Tensor, grouping: Grouping) -> Tensor:
    """(n_items, C) -> (n_sites, C): the sum of the items of each site, by itself not differentiable."""
    if len(items) == 0 or grouping.n_sites == 0:
        return items.new_zeros(grouping.n_sites, items.shape[1])
    # embedding_bag is torch's gather-and-sum: vectorised, threaded over sites, in fixed order.
    return torch.embedding_bag(items.contiguous(), grouping.order, grouping.starts, mode=0, include_last_offset=True)[0]


def sum_over(items: Tensor, grouping: Grouping) -> Tensor:
    """(n_items, C) -> (n_sites, C): the sum of the items of each site; 0 where there are none."""
    result: Tensor = _Sum.apply(items, grouping)  # type: ignore[no-untyped-call]
    return result


def spread(values: Tensor, grouping: Grouping) -> Tensor:
    """(n_sites, C) -> (n_items, C): each item gets the value of its site."""
    result: Tensor = _Spread.apply(values, grouping)  # type: ignore[no-untyped-call]
    return result


def max_over(items: Tensor, grouping: Grouping) -> Tensor:
    """(n_items, C) -> (n_sites, C): the largest item of each site; 0 where there are none.

    The gradient goes to the first of equal items.
    """
    if len(items) == 0:
        return items.new_zeros(grouping.n_sites, items.shape[1])
    if items.is_cuda:
        winners = _winners_by_scatter(items.detach(), grouping)
    else:
        values = items.detach().contiguous().numpy()
        winners = torch.from_numpy(_winners(values, grouping.starts.numpy(), grouping.order.numpy()))
    return torch.where(winners < 0, 0, items.gather(0, winners.clamp(min=0)))


class _Sum(Function):
    @staticmethod
    def forward(ctx: Any, items: Tensor, grouping: Grouping) -> Tensor:
        ctx.grouping = grouping
        return sum_items(items, grouping)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return spread(gradient, ctx.grouping), None


class _Spread(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, grouping: Grouping) -> Tensor:
        ctx.grouping = grouping
        return values.index_select(0, grouping.index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return sum_over(gradient, ctx.grouping), None


@compiled
def _winners(values: NDArray[np.floating], starts: NDArray[np.int32], order: NDArray[np.int32]) -> NDArray[np.int64]:
    """(n_sites, C): the first item with the largest value, -1 for a site without items."""
    channels = values.shape[1]
    winners = np.full((len(starts) - 1, channels), -1, np.int64)
    for site in range(len(starts) - 1):
        for place in range(starts[site], starts[site + 1]):
            item = order[place]
            for channel in range(channels):
                best = winners[site, channel]
                if best < 0 or values[item, channel] > values[best, channel]:
                    winners[site, channel] = item
    return winners


def _winners_by_scatter(values: Tensor, grouping: Grouping) -> Tensor:
    """What :func:`_winners` gives, with torch's scatter; for CUDA."""
    shape = (grouping.n_sites, values.shape[1])
    index = grouping.index.long()[:, None].expand_as(values)
    best = values.new_full(shape, -torch.inf).scatter_reduce(0, index, values, "amax")
    items = torch.arange(len(values), device=values.device)[:, None].expand_as(values)
    items = torch.where(values == best[grouping.index.long()], items, len(values))
    winners = torch.full(shape, len(values), device=values.device).scatter_reduce(0, index, items, "amin")
    return torch.where(winners == len(values), -1, winners)
