"""The cells of a detector, which the steps ``calorimeter`` and ``pairs`` share, and how they are filled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from hepimg.components import Axis, Grid

if TYPE_CHECKING:
    from hepimg.kernels.place import Images
    from hepimg.sample import Ragged

DETECTOR = Grid.model_validate({"eta": (-3.0, 3.0), "phi": (-math.pi, math.pi), "shape": (480, 512)})
"""0.0125 in pseudorapidity by 2 pi / 512 = 0.01227 in azimuth: 0.0125 does not divide the circle.

It ends at 3.0, for a jet of radius 0.8 at |eta| < 2 reaches to 2.8.
"""


def _check(grid: Grid) -> Grid:
    if (grid.rows.name, grid.columns.name) != ("eta", "phi") or not grid.columns.is_periodic:
        raise ValueError(f"cells of a detector lie in eta and phi, over the whole circle; found {grid}")
    return grid


DetectorGrid = Annotated[Grid, AfterValidator(_check)]
"""Rows in pseudorapidity, columns over the whole circle in azimuth."""

GRID_HELP = (
    "cells: rows in pseudorapidity, columns in azimuth over the whole circle, such as "
    "{eta: [-3, 3], phi: [-3.141592653589793, 3.141592653589793], shape: [480, 512]}, the default: cells of 0.0125 "
    "by 2 pi / 512 = 0.01227, for 0.0125 does not divide the circle"
)


def fill(offsets: NDArray[np.int64], eta: NDArray[Any], phi: NDArray[Any], content: NDArray[Any], grid: Grid) -> Images:
    """Add up in each cell what falls into it, event by event.

    Args:
        offsets: (n_events + 1,) entries of each event.
        eta: (n_entries,) pseudorapidity; what is not on the grid, NaN included, is dropped.
        phi: (n_entries,) azimuth, rad; it is wrapped.
        content: (n_entries,) or (n_entries, n_sums), what is added up.
        grid: the cells.

    Returns:
        Offsets (n_events + 1,), cells (n_active,), ascending in each event, and sums (n_active, n_sums).
    """
    from hepimg.kernels.axis import Axis
    from hepimg.kernels.pixelate import pixelate

    rows = Axis(grid.rows.all_edges, grid.rows.is_regular)
    columns = Axis(grid.columns.all_edges, grid.columns.is_regular, 2 * math.pi)
    return pixelate(offsets, eta, phi, content if content.ndim == 2 else content[:, np.newaxis], rows, columns)


def on_corners(particles: Ragged, grid: Grid) -> NDArray[np.bool_]:
    """(n_entries,) which lie, within single precision, on a corner of the cells of an evenly spaced grid.

    Rounding decides into which of four cells they fall.  Particles hardly ever lie there (one in ten million for cells
    of 0.0125), centres of coarser cells do: those of 2 x 2 cells, 4 x 4 ...  Entries without transverse momentum, such
    as padding, do not count.
    """

    def on_edges(values: NDArray[Any], axis: Axis) -> NDArray[np.bool_]:
        width = (axis.edges[-1] - axis.edges[0]) / axis.size
        place = (values.astype(np.float64) - axis.edges[0]) / width
        rounding = np.spacing(np.float32(max(map(abs, axis.edges)))) / width
        return np.asarray((np.abs(place - np.round(place)) <= rounding) & (place > 0.5) & (place < axis.size - 0.5))

    cornered = on_edges(particles["y"], grid.rows) & on_edges(particles["phi"], grid.columns)
    return cornered & (particles["pt"] > 0)
