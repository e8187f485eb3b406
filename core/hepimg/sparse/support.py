"""Where features live: the sites of a batch of images, and lists of pairs grouped by the site they belong to."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hepimg.kernels.groups import group_by_counting
from hepimg.sparse import pairing


@dataclass(frozen=True, eq=False)
class Grouping:
    """A site for each of ``n`` items, and the way back: the items of each site.

    Attributes:
        index: (n,) int32, the site of each item.
        n_sites: number of sites, those without an item included.
    """

    index: Tensor
    n_sites: int

    @cached_property
    def _items(self) -> tuple[Tensor, Tensor]:
        if self.index.is_cuda:
            return pairing.group_by_sort(self.index, self.n_sites)
        starts, order = group_by_counting(self.index.numpy(), self.n_sites)
        return torch.from_numpy(starts), torch.from_numpy(order)

    @property
    def starts(self) -> Tensor:
        """(n_sites + 1,) int32: site ``s`` owns the items ``order[starts[s]:starts[s + 1]]``."""
        return self._items[0]

    @property
    def order(self) -> Tensor:
        """(n,) int32: the items, sorted by site; those of one site keep their order."""
        return self._items[1]


@dataclass(frozen=True, eq=False)
class Support:
    """The active cells of a batch of images, without features.  Never changed, so that many tensors can share it.

    Attributes:
        offsets: (batch_size + 1,) int64; image ``b`` owns the sites ``offsets[b]:offsets[b + 1]``.
        cells: (n_sites,) int32, row * columns + column, rising within an image.
        shape: rows and columns of an image.
        periodic: whether rows and columns wrap.
    """

    offsets: Tensor
    cells: Tensor
    shape: tuple[int, int]
    periodic: tuple[bool, bool]

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return len(self.offsets) - 1

    @property
    def device(self) -> torch.device:
        """Where the sites are stored."""
        return self.cells.device

    @cached_property
    def images(self) -> Grouping:
        """The image of each site."""
        numbers = torch.arange(self.batch_size, dtype=torch.int32, device=self.device)
        counts = self.offsets.diff()
        return Grouping(torch.repeat_interleave(numbers, counts, output_size=len(self.cells)), self.batch_size)

    @cached_property
    def keys(self) -> Tensor:
        """(n_sites,) int64: image * rows * columns + cell; unique and rising."""
        return self.images.index.long() * (self.shape[0] * self.shape[1]) + self.cells

    @cached_property
    def sites(self) -> Tensor:
        """(n_sites, 3) int32: image, row, column."""
        row = torch.div(self.cells, self.shape[1], rounding_mode="floor")
        return torch.stack([self.images.index, row, self.cells - row * self.shape[1]], dim=1)

    def to(self, device: torch.device | str) -> "Support":
        """The same sites on another device."""
        return Support(self.offsets.to(device), self.cells.to(device), self.shape, self.periodic)

    def __len__(self) -> int:
        return len(self.cells)


def support_from_keys(keys: Tensor, batch_size: int, shape: tuple[int, int], periodic: tuple[bool, bool]) -> Support:
    """Sites from their sorted, unique :attr:`Support.keys`."""
    area = shape[0] * shape[1]
    edges = torch.arange(batch_size + 1, device=keys.device) * area
    return Support(torch.searchsorted(keys, edges), (keys % area).to(torch.int32), shape, periodic)
