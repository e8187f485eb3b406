"""From particles to images."""

from collections.abc import Sequence

import numpy as np

from hepimg.kernels.arrays import Array, common_float, frozen, frozen_offsets, longest_row
from hepimg.kernels.axis import Axis, axis_arguments, cell_of, is_clear
from hepimg.kernels.place import Images, add_up, collect, pack
from hepimg.kernels.threads import LIGHT_ROWS, compiled, over_rows


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
    offsets = frozen_offsets(offsets)
    dtype = common_float(y, phi, weights)
    cells = np.empty(len(weights), dtype=np.int32)
    contents = np.empty(weights.shape, dtype=np.float32)
    begins, counts = np.empty((2, len(offsets) - 1), dtype=np.int64)
    over_rows(
        _pixelate,
        len(counts),
        offsets,
        *(frozen(field, dtype) for field in (y, phi, weights)),
        axis_arguments(rows),
        axis_arguments(columns),
        longest_row(offsets),
        begins,
        counts,
        cells,
        contents,
        least=LIGHT_ROWS,
    )
    starts, cells, values = pack(begins, counts, cells, contents)
    if averaged.any():
        total = np.where(values[:, :1] == 0, 1, values[:, :1])
        values = np.where(averaged, values / total, values)
    return starts, cells, values


@compiled
def _pixelate(
    first: int,
    last: int,
    offsets: Array,
    y: Array,
    phi: Array,
    weights: Array,
    rows: tuple[Array, float, float, float, float],
    columns: tuple[Array, float, float, float, float],
    longest: int,
    begins: Array,
    counts: Array,
    cells: Array,
    contents: Array,
) -> None:
    row_edges, row_low, row_high, row_density, row_period = rows
    edges, low, high, density, period = columns
    n_columns = len(edges) - 1
    n_cells = n_columns * (len(row_edges) - 1)
    n_words = (n_cells + 63) // 64
    table = np.empty((n_cells, weights.shape[1]))
    words, groups = np.zeros(n_words, dtype=np.uint64), np.zeros((n_words + 63) // 64, dtype=np.uint64)
    targets = np.empty(longest, dtype=np.int32)
    out = offsets[first]
    for jet in range(first, last):
        start, stop = offsets[jet], offsets[jet + 1]
        own_y, own_phi, own_targets = y[start:stop], phi[start:stop], targets[: stop - start]
        for i in range(len(own_y)):
            u, v = np.float64(own_y[i]), np.float64(own_phi[i])
            row_place, place = (u - row_low) * row_density, (v - low) * density
            if is_clear(u, row_place, row_low, row_high) & is_clear(v, place, low, high):
                own_targets[i] = int(row_place) * n_columns + int(place)
                continue
            row = cell_of(u, row_edges, row_low, row_high, row_density, row_period)
            column = cell_of(v, edges, low, high, density, period)
            own_targets[i] = row * n_columns + column if row >= 0 and column >= 0 else -1
        begins[jet] = out
        add_up(own_targets, weights[start:stop], table, words, groups)
        out = collect(out, table, words, groups, cells, contents)
        counts[jet] = out - begins[jet]
