"""Sums and maxima of items by site (sites by image, pairs by output site), twice differentiable on any device."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from hepimg.kernels.groups import find_largest
from hepimg.sparse.compiled import current_team
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
        return sum_over(items, grouping)
    if items.is_cuda:
        winners = _winners_by_scatter(items.detach(), grouping)
    else:
        winners = torch.empty(grouping.n_sites, items.shape[1], dtype=torch.int64)
        values = items.detach().contiguous()
        values = values if values.dtype == torch.float64 else values.float()
        find_largest(current_team(), values.numpy(), grouping.starts.numpy(), grouping.order.numpy(), winners.numpy())
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


def _winners_by_scatter(values: Tensor, grouping: Grouping) -> Tensor:
    """What :func:`hepimg.kernels.groups.find_largest` writes, with torch's scatter; for CUDA."""
    shape = (grouping.n_sites, values.shape[1])
    index = grouping.index.long()[:, None].expand_as(values)
    best = values.new_full(shape, -torch.inf).scatter_reduce(0, index, values, "amax")
    items = torch.arange(len(values), device=values.device)[:, None].expand_as(values)
    items = torch.where((values == best[grouping.index.long()]) | values.isnan(), items, len(values))
    winners = torch.full(shape, len(values), device=values.device).scatter_reduce(0, index, items, "amin")
    return torch.where(winners == len(values), -1, winners)
