"""Events at one resolution: their cells, the jets clustered on them, and where these lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Axis, Grid
from hepimg.sample import Ragged
from hepimg_jets.finding import Algorithm, Jets, find_jets, momenta

if TYPE_CHECKING:
    from hepimg.kernels.place import Images

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV"}


@dataclass(frozen=True)
class Level:
    """A batch of events at one resolution.

    Args:
        grid: the cells at full resolution.
        factor: how many of them, along each axis, are one cell here.
        cells: (n_cells,) numbers of the active cells on the grid of this resolution.
        pt: (n_cells,) their transverse momentum, GeV.
        jets: clustered on these cells.
    """

    grid: Grid
    factor: int
    cells: NDArray[np.int32]
    pt: NDArray[np.float32]
    jets: Jets

    def hardest(self, most: int) -> tuple[Numbers, Numbers]:
        """Numbers of the ``most`` hardest jets of each event, and their rank within it from 0."""
        event = self.jets.event
        rank = np.arange(len(event)) - np.searchsorted(event, event)
        number = np.flatnonzero(rank < most)
        return number, rank[number]

    def corners(self, number: Numbers) -> tuple[Numbers, Numbers]:
        """Row and column, at full resolution, of the corner of cells nearest to the axis of each of (n,) jets."""
        axes, coordinates = (self.grid.rows, self.grid.columns), (self.jets.y[number], self.jets.phi[number])
        row, column = (
            self.factor * np.round((x - axis.edges[0]) / (self.factor * _width(axis))).astype(np.int64)
            for axis, x in zip(axes, coordinates, strict=True)
        )
        return row, column % self.grid.shape[1]

    def position(self, row: Numbers, column: Numbers) -> tuple[Floats, Floats]:
        """Pseudorapidity and azimuth, in (-pi, pi], of corners."""
        eta, phi = (
            axis.edges[0] + _width(axis) * k for axis, k in ((self.grid.rows, row), (self.grid.columns, column))
        )
        return np.asarray(eta), np.asarray(np.pi - np.remainder(np.pi - phi, 2 * np.pi))

    def constituents(self, number: Numbers, row: Numbers, column: Numbers) -> Ragged:
        """The cells of (n,) jets, by falling pT, with y and phi from the corner of each."""
        members = Ragged(self.jets.offsets, {"entry": self.jets.particles}).take(number)
        entries, jet = members["entry"], np.repeat(np.arange(len(number)), members.counts)
        here = np.divmod(self.cells[entries], self.grid.shape[1] // self.factor)
        circle = self.grid.shape[1]
        # in cells at full resolution these are whole or half numbers: nothing is rounded before the last product
        rows = (here[0] + 0.5) * self.factor - row[jet]
        columns = np.remainder((here[1] + 0.5) * self.factor - column[jet] + circle / 2, circle) - circle / 2
        y, phi = rows * _width(self.grid.rows), columns * _width(self.grid.columns)
        fields = {"pt": self.pt[entries], "y": y, "phi": phi, "mass": np.zeros(len(y))}
        return Ragged(members.offsets, {name: np.asarray(x, np.float32) for name, x in fields.items()}, UNITS)


def find_level(grid: Grid, factor: int, images: Images, algorithm: Algorithm, radius: float, min_pt: float) -> Level:
    """Cluster the cells of each event.

    Args:
        grid: the cells at full resolution.
        factor: how many of them are one cell here.
        images: offsets, cells and pT (n_cells, 1) of the events at this resolution.
        algorithm: of FastJet.
        radius: of the jets.
        min_pt: softer jets are left out, GeV.
    """
    offsets, cells, values = images
    eta, phi = grid.pooled(factor).centres(cells)
    pt = values[:, 0].astype(np.float64)
    momentum = momenta(pt, eta, phi, np.zeros(len(pt)))
    return Level(grid, factor, cells, values[:, 0], find_jets(offsets, momentum, pt, algorithm, radius, min_pt))


def nearest(jets: Jets, number: Numbers, level: Level, most: int) -> tuple[Numbers, Floats]:
    """For each of some jets the nearest among the hardest jets of its event at another resolution.

    Args:
        jets: at one resolution.
        number: (n,) which of them.
        level: the same events at the other.
        most: how many of the hardest jets of an event are candidates.

    Returns:
        (n,) numbers of the jets there, any where an event has none; (n,) distances sqrt(dy^2 + dphi^2), infinite there.
    """
    event = jets.event[number]
    first, last = np.searchsorted(level.jets.event, event), np.searchsorted(level.jets.event, event, side="right")
    candidates = first[:, None] + np.arange(most)
    exists = candidates < last[:, None]
    # one more jet, which no event has, so that every number is one of a jet
    y, phi = (np.append(values, 0.0)[np.where(exists, candidates, -1)] for values in (level.jets.y, level.jets.phi))
    dphi = np.remainder(phi - jets.phi[number][:, None] + np.pi, 2 * np.pi) - np.pi
    distance = np.where(exists, np.hypot(y - jets.y[number][:, None], dphi), np.inf)
    best = np.argmin(distance, axis=1)
    return first + best, distance[np.arange(len(number)), best]


def _width(axis: Axis) -> float:
    return (axis.edges[-1] - axis.edges[0]) / axis.size
