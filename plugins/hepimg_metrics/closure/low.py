"""Generated images against the low-resolution image that they were made from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Estimate
from hepimg.grid import Grid
from hepimg.images import SparseImages
from hepimg_metrics.closure.cells import Factors
from hepimg_metrics.closure.jets import Floats, Jets, known, quotient
from hepimg_metrics.scatter import fraction

EXACT = 1e-6
"""Relative difference up to which a cell is reproduced: sums in single precision differ by some 1e-7."""


def factors_between(high: Grid, low: Grid) -> Factors | None:
    """How many cells of the high-resolution grid lie in one of low resolution, along rows and columns.

    Returns:
        None where one grid is not the other, pooled.
    """
    rows, columns = (max(1, a // b) for a, b in zip(high.shape, low.shape, strict=True))
    return (rows, columns) if high.pooled((rows, columns)) == low else None


def pooled(images: SparseImages, factors: Factors) -> SparseImages:
    """The images on the low-resolution grid: sums over its cells."""
    from hepimg.kernels.pool import pool

    grid = images.grid
    coarse = pool(images.offsets, images.cells, images.values, grid.shape, factors)
    return SparseImages(grid.pooled(factors), images.channels, *coarse)


def agreement(images: SparseImages, low: SparseImages, jets: Jets) -> dict[str, Estimate]:
    """How well pooled images agree with the low-resolution image of the same jets.

    Returns:
        ``pool_error``, the largest relative difference of a cell that is active at low resolution (without an error:
        it is an extreme); ``pool_exact``, the fraction of jets without a difference above 1e-6 in any cell;
        ``under_empty``, the energy in cells that are empty at low resolution, as a fraction of all energy there, and
        ``energy_under_empty``, the same for each jet, in the unit of the image.
    """
    keys, low_keys = _keys(images), _keys(low)
    energy, low_energy = images.values[:, 0].astype(np.float64), low.values[:, 0].astype(np.float64)
    found = np.zeros(len(low_keys))
    _, here, there = np.intersect1d(keys, low_keys, assume_unique=True, return_indices=True)
    found[there] = energy[here]
    is_outside = np.ones(len(keys), bool)
    is_outside[here] = False
    relative = np.abs(quotient(found - low_energy, low_energy))
    wrong = _per_image(low, ~(relative <= EXACT)) + _per_image(images, is_outside)
    outside, total = _per_image(images, energy * is_outside), _per_image(low, low_energy)
    unit = low.channels[0].unit
    numbers = {
        "pool_exact": fraction(wrong == 0, jets.every[0]),
        "under_empty": jets.ratio(outside, total),
        "energy_under_empty": jets.estimate(quotient(jets.every @ outside, jets.every.sum(axis=1)), unit),
    }
    if np.isfinite(relative).any():
        numbers["pool_error"] = Estimate(float(np.nanmax(relative)), None, len(jets))
    return known(numbers)


def _keys(images: SparseImages) -> NDArray[np.int64]:
    """(n_active,) a number for each active cell of each image, ascending."""
    return np.repeat(np.arange(len(images)), images.counts) * images.grid.size + images.cells


def _per_image(images: SparseImages, values: NDArray[np.float64] | NDArray[np.bool_]) -> Floats:
    row = np.repeat(np.arange(len(images)), images.counts)
    return np.asarray(np.bincount(row, values, len(images)), np.float64)
