"""Moves of active cells, and maps of their values.

Every move gives each active cell a target cell or none; content that leaves the grid is dropped, content that meets in
one cell is added.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, row_of_entry
from hepimg.kernels.place import Images, place

Shape = tuple[int, int]


def crop(offsets: Array, cells: Array, values: Array, shape: Shape, first: Shape, size: Shape) -> Images:
    """The window of ``size`` cells whose corner is the cell ``first`` (row, column), as images of shape ``size``."""
    rows, columns = cells // shape[1] - first[0], cells % shape[1] - first[1]
    return place(offsets, _targets(rows, columns, size), values, size[0] * size[1])


def translate_cells(offsets: Array, cells: Array, values: Array, shape: Shape, shifts: Array) -> Images:
    """Shift each image by whole cells: ``shifts`` (n_images, 2), rows and columns.  Nothing wraps."""
    shift = np.asarray(shifts)[row_of_entry(offsets)]
    targets = _targets(cells // shape[1] + shift[:, 0], cells % shape[1] + shift[:, 1], shape)
    return place(offsets, targets, values, shape[0] * shape[1])


def flip_cells(offsets: Array, cells: Array, values: Array, shape: Shape, flips: Array) -> Images:
    """Mirror images: ``flips`` (n_images, 2), True to reverse the order of rows, of columns."""
    flip = np.asarray(flips, dtype=bool)[row_of_entry(offsets)]
    rows, columns = cells // shape[1], cells % shape[1]
    rows = np.where(flip[:, 0], shape[0] - 1 - rows, rows)
    columns = np.where(flip[:, 1], shape[1] - 1 - columns, columns)
    return place(offsets, _targets(rows, columns, shape), values, shape[0] * shape[1])


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
    row_of = row_of_entry(offsets)
    cosine, sine = np.cos(angles)[row_of], np.sin(angles)[row_of]
    u = cells // shape[1] - 0.5 * (shape[0] - 1)
    v = (cells % shape[1] - 0.5 * (shape[1] - 1)) * aspect
    rows = np.rint(cosine * u - sine * v + 0.5 * (shape[0] - 1)).astype(np.int64)
    columns = np.rint((sine * u + cosine * v) / aspect + 0.5 * (shape[1] - 1)).astype(np.int64)
    return place(offsets, _targets(rows, columns, shape), values, shape[0] * shape[1])


def normalise(offsets: Array, values: Array, by: Literal["sum", "max", "l2"]) -> NDArray[np.float32]:
    """Divide each channel of each image by its sum, its largest absolute value or its Euclidean norm.

    Images where the divisor is zero stay as they are.
    """
    n_images, n_channels = len(offsets) - 1, values.shape[1]
    row_of = row_of_entry(offsets)
    divisor = np.zeros((n_images, n_channels))
    if by == "max":
        np.maximum.at(divisor, row_of, np.abs(values))
    else:
        content = values.astype(np.float64) ** (2 if by == "l2" else 1)
        for channel in range(n_channels):
            divisor[:, channel] = np.bincount(row_of, weights=content[:, channel], minlength=n_images)
        if by == "l2":
            divisor = np.sqrt(divisor)
    divisor[divisor == 0] = 1
    normalised: NDArray[np.float32] = (values / divisor[row_of]).astype(np.float32)
    return normalised


def power(values: Array, exponent: float) -> NDArray[np.float32]:
    """Raise values to a positive power, keeping their sign."""
    raised: NDArray[np.float32] = (np.sign(values) * np.abs(values) ** exponent).astype(np.float32)
    return raised


def _targets(rows: Array, columns: Array, shape: Shape) -> Array:
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.where(inside, rows * shape[1] + columns, -1)
