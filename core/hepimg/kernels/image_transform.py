"""Moves of active cells, and maps of their values.

Every move gives each active cell a target cell or none; content that leaves the grid is dropped, content that meets in
one cell is added.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, common_float, frozen, frozen_offsets
from hepimg.kernels.move import Affine, Shape, move
from hepimg.kernels.place import Images
from hepimg.kernels.threads import LIGHT_ROWS, compiled, over_rows

IDENTITY = 1, 0, 0, 1
NORMS = "sum", "l2", "max"
SUM, L2 = 0, 1


def crop(offsets: Array, cells: Array, values: Array, shape: Shape, first: Shape, size: Shape) -> Images:
    """The window of ``size`` cells whose corner is the cell ``first`` (row, column), as images of shape ``size``."""
    return move(offsets, cells, values, shape, Affine(IDENTITY, (-first[0], -first[1])), size)


def translate_cells(offsets: Array, cells: Array, values: Array, shape: Shape, shifts: Array) -> Images:
    """Shift each image by whole cells: ``shifts`` (n_images, 2), rows and columns.  Nothing wraps."""
    down, across = np.asarray(shifts).T
    return move(offsets, cells, values, shape, Affine(IDENTITY, (down, across)), shape)


def flip_cells(offsets: Array, cells: Array, values: Array, shape: Shape, flips: Array) -> Images:
    """Mirror images: ``flips`` (n_images, 2), True to reverse the order of rows, of columns."""
    down, across = np.asarray(flips, dtype=bool).T
    senses = np.where(down, -1, 1), 0, 0, np.where(across, -1, 1)
    corners = np.where(down, shape[0] - 1, 0), np.where(across, shape[1] - 1, 0)
    return move(offsets, cells, values, shape, Affine(senses, corners), shape)


def rotate_cells(
    offsets: Array, cells: Array, values: Array, shape: Shape, angles: Array, aspect: float = 1.0
) -> Images:
    """Rotate each image about its middle, moving the content of a cell to the cell where its centre lands.

    The sum of an image is conserved but for what leaves the grid; cells that land together are added, so the number of
    active cells may drop.  A rotation of the particles before pixelation loses neither.

    Args:
        offsets: active cells of each image, shape (n_images + 1,).
        cells: active cells, shape (n_active,).
        values: their content, shape (n_active, n_channels).
        shape: rows and columns.
        angles: radians, from the direction of growing rows towards growing columns, shape (n_images,).
        aspect: width of a column divided by width of a row.
    """
    cosine, sine = np.cos(angles), np.sin(angles)
    middle = 0.5 * (shape[0] - 1), 0.5 * (shape[1] - 1)
    return move(offsets, cells, values, shape, Affine((cosine, -sine, sine, cosine), middle, middle, aspect), shape)


def normalise(offsets: Array, values: Array, by: Literal["sum", "max", "l2"]) -> NDArray[np.float32]:
    """Divide each channel of each image by its sum, its largest absolute value or its Euclidean norm.

    Images where the divisor is zero stay as they are.
    """
    values = frozen(values, common_float(values))
    normalised = np.empty(values.shape, dtype=np.float32)
    over_rows(
        _normalise, len(offsets) - 1, frozen_offsets(offsets), values, NORMS.index(by), normalised, least=LIGHT_ROWS
    )
    return normalised


def power(values: Array, exponent: float) -> NDArray[np.float32]:
    """Raise values to a positive power, keeping their sign."""
    raised: NDArray[np.float32] = (np.sign(values) * np.abs(values) ** exponent).astype(np.float32)
    return raised


@compiled
def _normalise(first: int, last: int, offsets: Array, values: Array, norm: int, normalised: Array) -> None:
    for image in range(first, last):
        for channel in range(values.shape[1]):
            divisor = 0.0
            for i in range(offsets[image], offsets[image + 1]):
                value = np.float64(values[i, channel])
                if norm == SUM:
                    divisor += value
                elif norm == L2:
                    divisor += value * value
                else:
                    divisor = max(divisor, abs(value))
            if norm == L2:
                divisor = math.sqrt(divisor)
            if divisor == 0:
                divisor = 1.0
            for i in range(offsets[image], offsets[image + 1]):
                normalised[i, channel] = values[i, channel] / divisor
