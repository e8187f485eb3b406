"""Move the cells of images, and add up what meets: pooling, cropping, translation, reflection and rotation at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hepimg.kernels.arrays import Array, common_float, frozen, frozen_offsets, longest_row
from hepimg.kernels.place import Images, add_up, collect, mark, pack
from hepimg.kernels.threads import LIGHT_ROWS, compiled, over_rows

Shape = tuple[int, int]


class Affine(NamedTuple):
    """Where the cells go: to the cell nearest to ``matrix @ (cell - middle) + target``, in rows and columns.

    Attributes:
        matrix: ``(a, b, c, d)``: rows ``a u + b v``, columns ``c u + d v``; each a number, or one for each image.
        target: row and column of what is at ``middle``, each a number, or one for each image.
        middle: row and column.
        aspect: width of a column divided by width of a row; v is measured in widths of a row.
    """

    matrix: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]
    target: tuple[ArrayLike, ArrayLike]
    middle: tuple[float, float] = (0.0, 0.0)
    aspect: float = 1.0


def move(
    offsets: Array,
    cells: Array,
    values: Array,
    shape: Shape,
    to: Affine,
    new_shape: Shape,
    block_sizes: Array | None = None,
) -> Images:
    """Move each cell to another; what leaves the grid is dropped, what meets in one cell is added.

    Args:
        offsets: active cells of each image, shape (n_images + 1,).
        cells: active cells, ``row * n_columns + column``, shape (n_active,).
        values: their content, shape (n_active, n_channels).
        shape: rows and columns.
        to: where the cells go.
        new_shape: rows and columns of the result.
        block_sizes: None, or for each new cell the number of old cells that come to it, shape (n_new_cells,).  Then the
            largest value is taken instead of the sum, and cells that are not stored count as zero.

    Returns:
        Images with cells sorted and unique in each row.  Cells whose channels are all zero are left out.
    """
    offsets = frozen_offsets(offsets)
    values = frozen(values, common_float(values))
    affine = np.empty((len(offsets) - 1, 6))
    for column, number in enumerate((*to.matrix, *to.target)):
        affine[:, column] = number
    new_cells = np.empty(len(cells), dtype=np.int32)
    contents = np.empty(values.shape, dtype=np.float32)
    begins, counts = np.empty((2, len(affine)), dtype=np.int64)
    over_rows(
        _move_cells,
        len(affine),
        offsets,
        frozen(cells, np.int32),
        values,
        (float(shape[1]), *map(float, to.middle), float(to.aspect)),
        frozen(affine, np.float64),
        new_shape,
        frozen(np.zeros(0) if block_sizes is None else block_sizes, np.int64),
        longest_row(offsets),
        begins,
        counts,
        new_cells,
        contents,
        least=LIGHT_ROWS,
    )
    return pack(begins, counts, new_cells, contents)


@compiled
def _move_cells(
    first: int,
    last: int,
    offsets: Array,
    cells: Array,
    values: Array,
    geometry: tuple[float, float, float, float],
    affine: Array,
    new_shape: Shape,
    block_sizes: Array,
    longest: int,
    begins: Array,
    counts: Array,
    new_cells: Array,
    contents: Array,
) -> None:
    n_columns, middle_row, middle_column, aspect = geometry
    n_new_rows, n_new_columns = new_shape
    n_new_cells = n_new_rows * n_new_columns
    n_words = (n_new_cells + 63) // 64
    words, groups = np.zeros(n_words, dtype=np.uint64), np.zeros((n_words + 63) // 64, dtype=np.uint64)
    table, hits = np.empty((n_new_cells, values.shape[1])), np.zeros(len(block_sizes), dtype=np.int64)
    targets = np.empty(longest, dtype=np.int32)
    out = offsets[first]
    for image in range(first, last):
        start, stop = offsets[image], offsets[image + 1]
        own_cells, own_values, own_targets = cells[start:stop], values[start:stop], targets[: stop - start]
        a, b, c, d, row_shift, column_shift = affine[image]
        # In floating point throughout, and without branches: so the compiler uses vector instructions.
        for k in range(len(own_cells)):
            cell = float(own_cells[k])
            row = np.floor((cell + 0.5) / n_columns)
            u, v = row - middle_row, (cell - row * n_columns - middle_column) * aspect
            new_row = np.rint(a * u + b * v + row_shift)
            new_column = np.rint((c * u + d * v) / aspect + column_shift)
            inside = (new_row >= 0) & (new_row < n_new_rows) & (new_column >= 0) & (new_column < n_new_columns)
            own_targets[k] = np.int32(new_row * n_new_columns + new_column if inside else -1.0)
        if len(block_sizes) > 0:
            _take_largest(own_targets, own_values, block_sizes, hits, table, words, groups)
        else:
            add_up(own_targets, own_values, table, words, groups)
        begins[image] = out
        out = collect(out, table, words, groups, new_cells, contents)
        counts[image] = out - begins[image]


@compiled
def _take_largest(
    targets: Array,
    values: Array,
    block_sizes: Array,
    hits: Array,
    table: Array,
    words: Array,
    groups: Array,
) -> None:
    """As :func:`add_up`, with the largest value in place of the sum.  ``hits`` is zero before and after."""
    for k in range(len(targets)):
        cell = targets[k]
        if cell < 0:
            continue
        fresh = mark(cell, words, groups)
        hits[cell] += 1
        # channel 0 by itself, as in add_up
        before, value = table[cell, 0], np.float64(values[k, 0])
        table[cell, 0] = before if (not fresh) & (before > value) else value
        for channel in range(1, values.shape[1]):
            before, value = table[cell, channel], np.float64(values[k, channel])
            table[cell, channel] = before if (not fresh) & (before > value) else value
    for k in range(len(targets)):
        cell = targets[k]
        if cell < 0 or hits[cell] == 0:
            continue
        if hits[cell] < block_sizes[cell]:
            for channel in range(values.shape[1]):
                table[cell, channel] = max(table[cell, channel], 0.0)
        hits[cell] = 0
