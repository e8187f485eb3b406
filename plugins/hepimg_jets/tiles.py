"""A grid of tiles over rapidity and azimuth, and what lies in them: the median of an event's tiles is its background.

M. Cacciari, G. P. Salam, G. Soyez, FastJet user manual, Eur. Phys. J. C72 (2012) 1896, section 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hepimg.sample import Ragged

Floats = NDArray[np.float64]

OUTSIDE = -1


@dataclass(frozen=True)
class Tiles:
    """Tiles of equal size, as FastJet lays them: the size is rounded so that whole tiles fit.

    Args:
        abs_y: the grid covers -abs_y to abs_y.
        size: wanted width of a tile in rapidity and in azimuth.
    """

    abs_y: float
    size: float

    @property
    def shape(self) -> tuple[int, int]:
        """Tiles along rapidity and azimuth."""
        return max(int(2 * self.abs_y / self.size + 0.5), 1), max(int(2 * math.pi / self.size + 0.5), 1)

    @property
    def area(self) -> float:
        """Of one tile."""
        rows, columns = self.shape
        return 2 * self.abs_y / rows * 2 * math.pi / columns

    def numbers(self, particles: Ragged) -> NDArray[np.int64]:
        """(n_particles,) the tile of each particle, :data:`OUTSIDE` where it is beyond the grid."""
        rows, columns = self.shape
        y, phi = particles["y"].astype(np.float64), particles["phi"].astype(np.float64)
        row = np.floor((y + self.abs_y) * (rows / (2 * self.abs_y))).astype(np.int64)
        column = np.floor(phi * (columns / (2 * math.pi))).astype(np.int64) % columns
        return np.where((row >= 0) & (row < rows), row * columns + column, OUTSIDE)

    def sums(self, particles: Ragged, values: NDArray[Any]) -> Floats:
        """(n_rows, n_tiles) sum of the particles' values in each tile."""
        inside, place, shape = self._places(particles)
        return np.asarray(np.bincount(place, values[inside], math.prod(shape)), np.float64).reshape(shape)

    def largest(self, particles: Ragged, values: NDArray[Any]) -> Floats:
        """(n_rows, n_tiles) the largest of the particles' values in each tile; 0 where there is none."""
        inside, place, shape = self._places(particles)
        found = np.zeros(shape)
        np.maximum.at(found.reshape(-1), place, values[inside])
        return found

    def _places(self, particles: Ragged) -> tuple[NDArray[np.bool_], NDArray[np.int64], tuple[int, int]]:
        """Which particles are on the grid, their places among the tiles of all rows, and how many (rows, tiles)."""
        tiles, each = self.numbers(particles), math.prod(self.shape)
        inside = tiles != OUTSIDE
        row = np.repeat(np.arange(len(particles)), particles.counts)
        return inside, (row * each + tiles)[inside], (len(particles), each)


def density(particles: Ragged, values: NDArray[Any], tiles: Tiles) -> Floats:
    """(n_rows,) median over the tiles of the sum of ``values``, per unit area: rho, where ``values`` are pT."""
    return np.asarray(np.median(tiles.sums(particles, values.astype(np.float64)), axis=1) / tiles.area)
