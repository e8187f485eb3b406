"""Images of a single cell, from which jets grow, and what the cells of an image must be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hepimg.errors import DataError
from hepimg.grid import Grid

if TYPE_CHECKING:
    from hepimg.images import SparseImages

ROUNDING = 1e-5
"""Relative difference of energies that counts as none."""


def stages_of(grid: Grid) -> int:
    """How often one cell is to be doubled to give the grid.

    Raises:
        ValueError: it never does.
    """
    rows, columns = grid.shape
    if rows != columns or rows < 2 or rows & (rows - 1):
        raise ValueError(f"{grid} does not grow from one cell: needed are 2, 4, 8 ... cells along both axes")
    return rows.bit_length() - 1


def single_cells(images: SparseImages) -> SparseImages:
    """Images of one cell with the same total of the first channel; empty ones stay empty."""
    from hepimg.images import SparseImages

    total = images.sum()[:, :1].astype(np.float32)
    filled = images.counts > 0
    offsets = np.concatenate([[0], np.cumsum(filled)])
    grid = images.grid.pooled(images.grid.shape[0])
    return SparseImages(grid, images.channels[:1], offsets, np.zeros(int(filled.sum()), np.int32), total[filled])


def check_energies(images: SparseImages, name: str, threshold: float, ceiling: float | None = None) -> None:
    """Raise DataError where an active cell of the image called ``name`` is not positive, or beyond the bounds."""
    least, most = float(images.values[:, 0].min(initial=math.inf)), float(images.values[:, 0].max(initial=0.0))
    if not least > 0:
        raise DataError(f"an active cell of {name} with {least:g}", needed="positive energies")
    if least < threshold * (1 - ROUNDING):
        raise DataError(
            f"an active cell of {name} with {least:g}, below the threshold of {threshold:g}",
            fix=f"Put the step threshold after the one that makes {name}, or lower the option threshold.",
        )
    if ceiling is not None and most > ceiling * (1 + ROUNDING):
        raise DataError(
            f"an active cell of {name} with {most:g}, above the ceiling of {ceiling:g}",
            fix="Raise the option ceiling, or leave it out.",
        )
