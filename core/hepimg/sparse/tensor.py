"""SparseTensor: features on the active sites of a batch of images."""

from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from hepimg.sparse.rules import RuleCache
from hepimg.sparse.support import Support, support_from_keys

if TYPE_CHECKING:
    from hepimg.images import SparseImages


class SparseTensor:
    """Features on the active sites of a batch of images, and the rules that layers have made for these sites.

    Args:
        features: (n_sites, channels), floating point.
        sites: (n_sites, 3) int32 or int64: image, row, column; sorted by image, then row, then column; unique.
        shape: rows and columns of an image.
        batch_size: number of images, empty ones included.
        periodic: whether rows and columns wrap, as phi does.

    Raises:
        ValueError: the arrays do not fit together, or sites lie outside, repeat or are not sorted.
    """

    def __init__(
        self,
        features: Tensor,
        sites: Tensor,
        shape: tuple[int, int],
        batch_size: int,
        periodic: tuple[bool, bool] = (False, False),
    ) -> None:
        _check(features, sites, shape, batch_size)
        image, row, column = sites.long().unbind(1)
        keys = (image * shape[0] + row) * shape[1] + column
        falls = (keys.diff() <= 0).nonzero()
        if len(falls):
            at = int(falls[0]) + 1
            raise ValueError(
                f"sites must be unique and sorted by image, row, column; site {at} is {sites[at].tolist()} "
                f"after {sites[at - 1].tolist()}"
            )
        self.features = features
        self.cache = RuleCache(support_from_keys(keys, batch_size, shape, periodic))

    @classmethod
    def on(cls, cache: RuleCache, features: Tensor) -> "SparseTensor":
        """Features on known sites, unchecked: for layers."""
        tensor = cls.__new__(cls)
        tensor.features = features
        tensor.cache = cache
        return tensor

    @classmethod
    def from_images(cls, images: "SparseImages", features: Tensor | None = None) -> "SparseTensor":
        """The active cells of images, with their values or with ``features`` (n_active, channels) made from them."""
        if features is None:
            features = _as_tensor(images.values)
        cells = _as_tensor(images.cells)
        if features.ndim != 2 or len(features) != len(cells):
            raise ValueError(f"the images have {len(cells)} active cells, but features are {tuple(features.shape)}")
        rows, columns = images.grid.shape
        wraps_rows, wraps_columns = images.grid.periodic
        support = Support(_as_tensor(images.offsets), cells, (rows, columns), (wraps_rows, wraps_columns))
        return cls.on(RuleCache(support.to(features.device)), features)

    def replace(self, features: Tensor) -> "SparseTensor":
        """Other features on the same sites; rules stay shared.

        Raises:
            ValueError: ``features`` is not (n_sites, channels).
        """
        if features.ndim != 2 or len(features) != len(self):
            raise ValueError(f"the tensor has {len(self)} sites, but the new features are {tuple(features.shape)}")
        return SparseTensor.on(self.cache, features)

    def to(self, device: torch.device | str) -> "SparseTensor":
        """The same tensor on another device; rules are made anew there."""
        if torch.device(device) == self.features.device:
            return self
        return SparseTensor.on(RuleCache(self.support.to(device)), self.features.to(device))

    def dense(self) -> Tensor:
        """(batch_size, channels, rows, columns), zero where there is no site.  Differentiable."""
        rows, columns = self.shape
        flat = self.features.new_zeros(self.batch_size * rows * columns, self.channels)
        flat = flat.index_copy(0, self.support.keys, self.features)
        return flat.view(self.batch_size, rows, columns, self.channels).permute(0, 3, 1, 2)

    @property
    def support(self) -> Support:
        """The sites, without features."""
        return self.cache.support

    @property
    def sites(self) -> Tensor:
        """(n_sites, 3) int32: image, row, column."""
        return self.support.sites

    @property
    def offsets(self) -> Tensor:
        """(batch_size + 1,) int64: image ``b`` owns the sites ``offsets[b]:offsets[b + 1]``."""
        return self.support.offsets

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return self.support.shape

    @property
    def periodic(self) -> tuple[bool, bool]:
        """Whether rows and columns wrap."""
        return self.support.periodic

    @property
    def batch_size(self) -> int:
        """Number of images, empty ones included."""
        return self.support.batch_size

    @property
    def channels(self) -> int:
        """Number of features per site."""
        return self.features.shape[1]

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        return (
            f"SparseTensor({self.batch_size} images of {self.shape[0]} x {self.shape[1]}, {len(self)} sites, "
            f"{self.channels} channels, {self.features.dtype}, {self.features.device})"
        )


def _as_tensor(array: NDArray[Any]) -> Tensor:
    """The same memory, or a copy of it if it is read-only (a memory-mapped shard), which torch does not know."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _check(features: Tensor, sites: Tensor, shape: tuple[int, int], batch_size: int) -> None:
    if features.ndim != 2 or not features.is_floating_point():
        raise ValueError(f"features must be (n_sites, channels) floats, not {tuple(features.shape)} {features.dtype}")
    if sites.ndim != 2 or sites.shape[1] != 3 or sites.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"sites must be (n_sites, 3) int32 or int64, not {tuple(sites.shape)} {sites.dtype}")
    if len(features) != len(sites):
        raise ValueError(f"{len(sites)} sites, but features for {len(features)}")
    if features.device != sites.device:
        raise ValueError(f"sites are on {sites.device}, features on {features.device}; both must be on one device")
    if min(shape) < 1 or batch_size < 0:
        raise ValueError(f"shape must be positive and batch_size at least 0, not {shape} and {batch_size}")
    if shape[0] * shape[1] > torch.iinfo(torch.int32).max:
        raise ValueError(f"images of {shape} cells are too large: cells are numbered by 32 bits")
    limit = torch.tensor([batch_size, *shape], device=sites.device)
    outside = ((sites < 0) | (sites >= limit)).any(1).nonzero()
    if len(outside):
        at = int(outside[0])
        raise ValueError(f"site {at} is {sites[at].tolist()}: outside {batch_size} images of {shape} cells")
