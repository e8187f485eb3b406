"""Coarser images, and what stands where inside their blocks."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.place import Images, place


def pool(
    offsets: Array,
    cells: Array,
    values: Array,
    shape: tuple[int, int],
    factors: tuple[int, int],
    how: Literal["sum", "mean", "max"] = "sum",
) -> Images:
    """Merge blocks of cells.

    Args:
        offsets: active cells of each image, shape (n_images + 1,).
        cells: active cells, ``row * n_columns + column``, shape (n_active,).
        values: their content, shape (n_active, n_channels).
        shape: rows and columns.
        factors: rows and columns of a block, any positive integers.
        how: the sum, the mean or the largest value over all cells of a block; cells that are not stored count as zero.

    Returns:
        Images on the grid of :func:`pooled_shape`.  Where a factor does not divide the number of cells, the last block
        is partial: its mean is over the cells that it has.
    """
    n_rows, n_columns = shape
    if min(factors) < 1:
        raise ValueError(f"a block needs at least one row and one column, not {factors}")
    coarse_rows, coarse_columns = pooled_shape(shape, factors)
    targets = cells // n_columns // factors[0] * coarse_columns + cells % n_columns // factors[1]
    heights = np.minimum(factors[0], n_rows - factors[0] * np.arange(coarse_rows))
    widths = np.minimum(factors[1], n_columns - factors[1] * np.arange(coarse_columns))
    block_sizes = np.outer(heights, widths).ravel()
    if how == "mean":
        values = values / block_sizes[targets][:, np.newaxis]
    return place(offsets, targets, values, len(block_sizes), block_sizes if how == "max" else None)


def pooled_shape(shape: tuple[int, int], factors: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns after merging blocks of ``factors`` cells, partial blocks included."""
    return -(-shape[0] // factors[0]), -(-shape[1] // factors[1])


def patch_image(offsets: Array, cells: Array, shape: tuple[int, int], factors: tuple[int, int]) -> NDArray[np.float64]:
    """How often each position inside a block of cells is active: the average ``factors``-sized patch of the images.

    Args:
        offsets: active cells of each image, shape (n_images + 1,).
        cells: active cells, shape (n_active,).
        shape: rows and columns, multiples of ``factors``.
        factors: rows and columns of a block.

    Returns:
        Mean occupancy per image and block, shape ``factors``, between 0 and 1.
    """
    if shape[0] % factors[0] or shape[1] % factors[1]:
        raise ValueError(f"blocks of {factors} do not tile an image of {shape}")
    position = cells // shape[1] % factors[0] * factors[1] + cells % shape[1] % factors[1]
    n_blocks = (shape[0] // factors[0]) * (shape[1] // factors[1]) * max(len(offsets) - 1, 1)
    return np.bincount(position, minlength=factors[0] * factors[1]).reshape(factors) / n_blocks
