"""From particles to images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, common_float, frozen, frozen_offsets
from hepimg.kernels.axis import Axis, axis_arguments, cell_of
from hepimg.kernels.place import Images, place
from hepimg.kernels.threads import compiled, over_rows


def pixelate(
    offsets: Array,
    y: Array,
    phi: Array,
    weights: Array,
    rows: Axis,
    columns: Axis,
    *,
    mean: Sequence[bool] | None = None,
) -> Images:
    """Sum the weights of the particles in each cell.

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        y: coordinate along the rows, shape (n_particles,).
        phi: coordinate along the columns, shape (n_particles,).
        weights: one column per channel, shape (n_particles, n_channels): pT, ones (a count), ...
        rows: axis of ``y``.
        columns: axis of ``phi``.
        mean: for each channel, True where not the sum is wanted but the mean of the column over the particles of the
            cell, weighted by channel 0.  Channel 0 itself is a sum.

    Returns:
        Images with cells ``row * n_columns + column``.  Particles outside the grid are dropped, never clamped; cells
        whose channels are all zero are left out.
    """
    averaged = np.zeros(weights.shape[1], dtype=bool) if mean is None else np.array(mean, dtype=bool)
    if averaged[0]:
        raise ValueError("channel 0 weighs the mean of the others; it is a sum itself")
    if averaged.any():
        weights = np.where(averaged, weights * weights[:, :1], weights)
    n_cells = (len(rows.edges) - 1) * (len(columns.edges) - 1)
    starts, cells, values = place(offsets, find_cells(offsets, y, phi, rows, columns), weights, n_cells)
    if averaged.any():
        total = np.where(values[:, :1] == 0, 1, values[:, :1])
        values = np.where(averaged, values / total, values)
    return starts, cells, values


def find_cells(offsets: Array, y: Array, phi: Array, rows: Axis, columns: Axis) -> NDArray[np.int32]:
    """The cell ``row * n_columns + column`` of each particle, shape (n_particles,); -1 outside the grid."""
    offsets = frozen_offsets(offsets)
    dtype = common_float(y, phi)
    cells = np.empty(len(y), dtype=np.int32)
    over_rows(
        _find_cells,
        len(offsets) - 1,
        offsets,
        frozen(y, dtype),
        frozen(phi, dtype),
        axis_arguments(rows),
        axis_arguments(columns),
        cells,
    )
    return cells


@compiled
def _find_cells(
    first: int,
    last: int,
    offsets: Array,
    y: Array,
    phi: Array,
    rows: tuple[Array, float, float, float, float],
    columns: tuple[Array, float, float, float, float],
    cells: Array,
) -> None:
    row_edges, row_low, row_high, row_density, row_period = rows
    edges, low, high, density, period = columns
    n_columns = len(edges) - 1
    for particle in range(offsets[first], offsets[last]):
        row = cell_of(float(y[particle]), row_edges, row_low, row_high, row_density, row_period)
        column = cell_of(float(phi[particle]), edges, low, high, density, period)
        cells[particle] = row * n_columns + column if row >= 0 and column >= 0 else -1
