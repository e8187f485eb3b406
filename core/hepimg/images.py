"""SparseImages: a batch of images as lists of active cells, in one canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepimg.errors import DataError
from hepimg.grid import Grid
from hepimg.rows import Rows, offsets_of, take_rows

if TYPE_CHECKING:
    import awkward as ak

    from hepimg.particles import Particles


@dataclass(frozen=True)
class Channel:
    """What a value means: a name, a unit, whether it may be negative.

    Where it is a mean over what is in a cell, ``weight`` names the channel by which that mean is weighted; pooling then
    takes the weighted mean.
    """

    name: str
    unit: str = ""
    signed: bool = False
    weight: str = ""

    def __post_init__(self) -> None:
        if self.name == "cell":
            raise DataError("a channel is called 'cell'", needed="another name: files call the number of a cell so")


PT = Channel("pt", "GeV")


@dataclass(frozen=True, eq=False)
class SparseImages:
    """A batch of images on one grid, as lists of active cells (compressed rows).

    Args:
        grid: the cells.
        channels: meaning of the columns of ``values``.
        offsets: (n_images + 1,) int64; image ``i`` owns the entries ``offsets[i]:offsets[i + 1]``.
        cells: (n_active,) int32 cell numbers, ascending and unique within an image.
        values: (n_active, n_channels) float32; no stored cell has all channels zero.

    Raises:
        DataError: an invariant is broken; the message names the image.
    """

    grid: Grid
    channels: tuple[Channel, ...]
    offsets: NDArray[np.int64]
    cells: NDArray[np.int32]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        for name, dtype in (("offsets", np.int64), ("cells", np.int32), ("values", np.float32)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))
        self._check()

    def _check(self) -> None:
        offsets, cells, values = self.offsets, self.cells, self.values
        if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or np.any(np.diff(offsets) < 0):
            raise DataError("offsets of images do not ascend from 0", needed="(n_images + 1,) ascending from 0")
        if cells.shape != (offsets[-1],) or values.shape != (offsets[-1], len(self.channels)):
            raise DataError(
                f"cells {cells.shape} and values {values.shape} do not fit",
                needed=f"({offsets[-1]},) and ({offsets[-1]}, {len(self.channels)})",
            )
        if not len(cells):
            return
        self._refuse((cells < 0) | (cells >= self.grid.size), f"a cell number outside 0 ... {self.grid.size - 1}")
        ascends = np.empty(len(cells), bool)
        ascends[0], ascends[1:] = True, cells[1:] > cells[:-1]
        ascends[offsets[:-1][np.diff(offsets) > 0]] = True
        self._refuse(~ascends, "cells that are not sorted and unique")
        self._refuse(~np.isfinite(values).all(axis=1), "a value that is not finite")
        unsigned = [k for k, channel in enumerate(self.channels) if not channel.signed]
        self._refuse((values[:, unsigned] < 0).any(axis=1), "a negative value in an unsigned channel")
        self._refuse(~values.any(axis=1), "a stored cell whose channels are all zero")

    def _refuse(self, bad: Any, what: str) -> None:
        if bad.any():
            entry = int(np.argmax(bad))
            image = int(np.searchsorted(self.offsets, entry, side="right")) - 1
            raise DataError(
                f"image {image} has {what} (cell {self.cells[entry]}, values {self.values[entry].tolist()})"
            )

    @classmethod
    def empty(cls, n_images: int, grid: Grid, channels: Sequence[Channel] = (PT,)) -> SparseImages:
        """``n_images`` images without an active cell."""
        return cls(
            grid,
            tuple(channels),
            _zeros(np.int64, n_images + 1),
            _zeros(np.int32, 0),
            _zeros(np.float32, 0, len(channels)),
        )

    @classmethod
    def from_dense(cls, images: ArrayLike, grid: Grid, channels: Sequence[Channel] = (PT,)) -> SparseImages:
        """Keep the non-zero cells of (n_images, rows, columns) or (n_images, n_channels, rows, columns) arrays."""
        dense = np.asarray(images, dtype=np.float32)
        if dense.ndim == 3:
            dense = dense[:, None]
        if dense.ndim != 4 or dense.shape[1:] != (len(channels), *grid.shape):
            raise DataError(
                f"an array of shape {dense.shape}",
                needed=f"(n_images, {len(channels)}, {grid.shape[0]}, {grid.shape[1]})",
            )
        flat = dense.reshape(len(dense), len(channels), grid.size)
        image, cell = np.nonzero(flat.any(axis=1))
        counts = np.bincount(image, minlength=len(dense))
        return cls(grid, tuple(channels), offsets_of(counts), cell.astype(np.int32), flat[image, :, cell])

    @classmethod
    def concatenate(cls, batches: Sequence[SparseImages]) -> SparseImages:
        """One batch after another; all on one grid with the same channels."""
        first = batches[0]
        for other in batches[1:]:
            if other.grid != first.grid or other.channels != first.channels:
                raise DataError(
                    f"images of {other.grid}, {other.channels} cannot follow images of {first.grid}, {first.channels}"
                )
        counts = np.concatenate([batch.counts for batch in batches])
        cells = np.concatenate([batch.cells for batch in batches])
        return cls(
            first.grid, first.channels, offsets_of(counts), cells, np.concatenate([batch.values for batch in batches])
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: Rows) -> SparseImages:
        """The images of a number, slice, mask or list of numbers, always as a batch."""
        offsets, entries = take_rows(self.offsets, rows)
        return SparseImages(self.grid, self.channels, offsets, self.cells[entries], self.values[entries])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseImages):
            return NotImplemented
        return (self.grid, self.channels) == (other.grid, other.channels) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("offsets", "cells", "values")
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_images,) active cells of each image."""
        return np.diff(self.offsets)

    @property
    def occupancy(self) -> float:
        """The mean fraction of active cells."""
        return float(self.counts.mean() / self.grid.size) if len(self) else 0.0

    def channel(self, name: str) -> NDArray[np.float32]:
        """(n_active,) values of one channel."""
        names = [channel.name for channel in self.channels]
        if name not in names:
            raise DataError(f"no channel {name!r}", needed=f"one of {', '.join(names)}")
        return self.values[:, names.index(name)]

    def sum(self) -> NDArray[np.float64]:
        """(n_images, n_channels) sums over the cells, in double precision."""
        totals = np.zeros((len(self), len(self.channels)))
        filled = self.counts > 0
        if filled.any():
            totals[filled] = np.add.reduceat(self.values.astype(np.float64), self.offsets[:-1][filled], axis=0)
        return totals

    def mean_image(self, weights: ArrayLike | None = None) -> NDArray[np.float64]:
        """(n_channels, rows, columns) mean over the images, by (n_images,) weights if given; zero over none."""
        weights = np.ones(len(self)) if weights is None else np.asarray(weights, np.float64)
        values = self.values * np.repeat(weights, self.counts)[:, None]
        totals = [np.bincount(self.cells, values[:, k], self.grid.size) for k in range(len(self.channels))]
        return np.reshape(totals, (len(self.channels), *self.grid.shape)) / (weights.sum() or 1.0)

    def patch_image(self, factor: int) -> NDArray[np.float64]:
        """(factor, factor) mean occupancy of each position inside blocks of ``factor`` x ``factor`` cells.

        Raises:
            ValueError: the blocks do not tile the grid.
        """
        from hepimg.kernels.pool import patch_image

        return patch_image(self.offsets, self.cells, self.grid.shape, (factor, factor))

    def particles(self, channel: str = "pt") -> Particles:
        """The active cells as massless particles at their centres, with y = eta."""
        from hepimg.particles import Particles

        eta, phi = self.grid.centres(self.cells)
        return Particles(self.offsets, self.channel(channel), eta, phi, None)

    def dense(self) -> NDArray[np.float32]:
        """(n_images, n_channels, rows, columns) with the zeros written out."""
        images = np.zeros((len(self), len(self.channels), self.grid.size), np.float32)
        images[np.repeat(np.arange(len(self)), self.counts), :, self.cells] = self.values
        return images.reshape(len(self), len(self.channels), *self.grid.shape)

    def to_awkward(self) -> ak.Array:
        """Images x active cells, each a record of ``cell`` and the channels."""
        import awkward as ak

        fields = {"cell": self.cells} | {channel.name: self.values[:, k] for k, channel in enumerate(self.channels)}
        return ak.unflatten(ak.zip(fields), self.counts)

    @classmethod
    def from_awkward(cls, array: ak.Array, grid: Grid, channels: Sequence[Channel] = (PT,)) -> SparseImages:
        """The inverse of :meth:`to_awkward`."""
        import awkward as ak

        counts = ak.to_numpy(ak.num(array, axis=1))
        fields = [cast("NDArray[Any]", ak.to_numpy(ak.flatten(array[channel.name]))) for channel in channels]
        return cls(
            grid, tuple(channels), offsets_of(counts), ak.to_numpy(ak.flatten(array["cell"])), np.stack(fields, axis=1)
        )

    def __repr__(self) -> str:
        channels = ", ".join(f"{c.name} [{c.unit}]" if c.unit else c.name for c in self.channels)
        return f"SparseImages({len(self)} images, {self.grid}, channels {channels}, {self.occupancy:.2%} active)"

    def _repr_html_(self) -> str:
        """The first few images, drawn; what a notebook shows."""
        from hepimg.figures import draw_images

        return f"<p>{self!r}</p>{draw_images(self[:4])}"


def _zeros(dtype: type[Any], *shape: int) -> NDArray[Any]:
    return np.zeros(shape, dtype)
