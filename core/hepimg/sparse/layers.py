"""Layers on sparse tensors that neither convolve nor normalise: per site, pooling, pruning."""

from typing import Literal

import torch
from torch import Tensor, nn

from hepimg.sparse.reduce import max_over, spread, sum_over
from hepimg.sparse.rules import Geometry, Pair, RuleCache
from hepimg.sparse.support import support_from_keys
from hepimg.sparse.tensor import SparseTensor

Reduction = Literal["sum", "mean", "max"]


class PerSite(nn.Module):
    """Apply an ordinary module to the features of each site: ``PerSite(nn.Linear(9, 32))``, ``PerSite(nn.ReLU())``.

    The module maps (n_sites, C) to (n_sites, D): linear layers, activations, dropout, layer norm, or a sequence.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """The same sites with new features."""
        return tensor.replace(self.module(tensor.features))


class Pool2d(nn.Module):
    """Pooling onto every position that an input site reaches.

    Args:
        reduction: ``sum``; ``mean``, the sum over the kernel's area, inactive cells counting as 0, as
            ``torch.nn.AvgPool2d``; or ``max``, over active sites only.
        kernel: size, one number or (rows, columns).
        stride: the kernel's size by default.
        padding: cells added around the image; repeated from the other side on periodic axes.
    """

    def __init__(
        self, reduction: Reduction, kernel: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        super().__init__()
        _check_reduction(reduction)
        sizes = (kernel, kernel if stride is None else stride, padding)
        self.reduction = reduction
        self.geometry = Geometry(*((size, size) if isinstance(size, int) else size for size in sizes))

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """(n_sites, C) -> (n_reached, C) on the coarser sites."""
        coarser = tensor.cache.coarser(self.geometry)
        rules = tensor.cache.rules(self.geometry, coarser.support)
        items = spread(tensor.features, rules.inputs)
        if self.reduction == "max":
            return SparseTensor.on(coarser, max_over(items, rules.outputs))
        total = sum_over(items, rules.outputs)
        return SparseTensor.on(coarser, total / self.geometry.taps if self.reduction == "mean" else total)

    def extra_repr(self) -> str:  # noqa: D102
        return f"{self.reduction!r}, kernel={self.geometry.kernel}, stride={self.geometry.stride}"


class GlobalPool(nn.Module):
    """One vector per image: sum, mean or maximum over its sites; zero for an image without sites."""

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        _check_reduction(reduction)
        self.reduction = reduction

    def forward(self, tensor: SparseTensor) -> Tensor:
        """(n_sites, C) -> (batch_size, C)."""
        if self.reduction == "max":
            return max_over(tensor.features, tensor.support.images)
        total = sum_over(tensor.features, tensor.support.images)
        if self.reduction == "sum":
            return total
        return total / tensor.offsets.diff().clamp(min=1).to(total.dtype)[:, None]

    def extra_repr(self) -> str:  # noqa: D102
        return repr(self.reduction)


class Prune(nn.Module):
    """Keep some sites and forget the others."""

    def forward(self, tensor: SparseTensor, keep: Tensor) -> SparseTensor:
        """Keep the sites where ``keep``, (n_sites,) bool, is true.

        Raises:
            ValueError: ``keep`` is not (n_sites,) bool.
        """
        if keep.shape != (len(tensor),) or keep.dtype != torch.bool:
            raise ValueError(f"keep must be ({len(tensor)},) bool, not {tuple(keep.shape)} {keep.dtype}")
        support = support_from_keys(tensor.support.keys[keep], tensor.batch_size, tensor.shape, tensor.periodic)
        return SparseTensor.on(RuleCache(support), tensor.features[keep])


def _check_reduction(reduction: str) -> None:
    if reduction not in ("sum", "mean", "max"):
        raise ValueError(f"no reduction {reduction!r}; there are sum, mean, max")
