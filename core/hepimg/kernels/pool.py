"""Coarser images, and what stands where inside their blocks."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.move import Affine, move
from hepimg.kernels.place import Images


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
    if min(factors) < 1:
        raise ValueError(f"a block needs at least one row and one column, not {factors}")
    coarse = pooled_shape(shape, factors)
    # the centre of cell i, i + 1/2, lies in block b where b <= (i + 1/2) / factor < b + 1
    down, across = (1 / factor for factor in factors)
    blocks = Affine(matrix=(down, 0, 0, across), target=(0.5 * down - 0.5, 0.5 * across - 0.5))
    if how == "max":
        return move(offsets, cells, values, shape, blocks, coarse, _block_sizes(shape, factors))
    starts, pooled, contents = move(offsets, cells, values, shape, blocks, coarse)
    if how == "mean":
        contents /= _block_sizes(shape, factors)[pooled][:, np.newaxis]
    return starts, pooled, contents


def pooled_shape(shape: tuple[int, int], factors: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns after merging blocks of ``factors`` cells, partial blocks included."""
    return -(-shape[0] // factors[0]), -(-shape[1] // factors[1])


def _block_sizes(shape: tuple[int, int], factors: tuple[int, int]) -> NDArray[np.int64]:
    """How many cells each block has, shape (n_blocks,)."""
    blocks = zip(shape, factors, pooled_shape(shape, factors), strict=True)
    heights, widths = (np.minimum(factor, n - factor * np.arange(n_blocks)) for n, factor, n_blocks in blocks)
    return np.outer(heights, widths).ravel()


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
