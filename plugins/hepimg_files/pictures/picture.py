"""Pictures as images of jets: what the sources of pictures have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepimg.grid import Grid
from hepimg.images import Channel, SparseImages
from hepimg.sample import Sample

BRIGHTNESS = Channel("pt")
"""How bright a pixel is, called as jets call it, so that all that reads jets reads pictures; without a unit."""


def picture_grid(rows: int, columns: int) -> Grid:
    """Pixels over [-1, 1] in x (to the right) and in y (upwards), x being the first axis, as eta is for jets."""
    return Grid.model_validate({"x": [-1, 1], "y": [-1, 1], "shape": [columns, rows]})


def picture_sample(name: str, pictures: NDArray[np.generic], columns: dict[str, NDArray[np.generic]]) -> Sample:
    """Rows with a picture each.

    Args:
        name: of the image.
        pictures: (n, rows, columns) brightness, the first row at the top.
        columns: of the sample.
    """
    upright = pictures[:, ::-1].transpose(0, 2, 1)
    images = SparseImages.from_dense(upright, picture_grid(*pictures.shape[1:]), (BRIGHTNESS,))
    return Sample(columns, images={name: images})
