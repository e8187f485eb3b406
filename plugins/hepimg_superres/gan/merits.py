"""Figures of merit by which the game is stopped early: distances between true and generated images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hepimg.images import SparseImages
from hepimg.kernels.moments import nth_hardest
from hepimg.kernels.pool import pool
from hepimg_superres.gan.options import Merit

RANKS = (1, 2, 3, 4, 5, 7, 10, 20, 30)
"""Of the pixels whose spectra are compared."""


def figures_of_merit(
    names: Sequence[Merit], truth: SparseImages, generated: SparseImages, low: SparseImages
) -> Mapping[str, float]:
    """The named figures of merit; 0 is perfect, 1 is bad.

    Args:
        names: which.
        truth: fine images.
        generated: fine images of the same rows.
        low: coarse images of the same rows.
    """
    factor = truth.grid.shape[0] // low.grid.shape[0]

    def merit(name: Merit) -> float:
        if name == "patch":
            return patch_distance(truth, generated, factor)
        if name == "lr_spectra":
            return spectra_distance(low, _pooled(generated, low, factor))
        return spectra_distance(truth, generated)

    return {name: merit(name) for name in names}


def spectra_distance(truth: SparseImages, generated: SparseImages) -> float:
    """Mean over the n-th hardest pixels of W1 between their spectra, each in units of the true one's deviation.

    Where the true pixel is the same in all images, in units of its energy; where they have none, of one GeV.
    """
    distances = []
    for rank in RANKS:
        true, made = (np.sort(nth_hardest(some.offsets, some.values[:, 0], rank)) for some in (truth, generated))
        distances.append(np.abs(true - made).mean() / (true.std() or true.mean() or 1.0))
    return float(np.mean(distances))


def patch_distance(truth: SparseImages, generated: SparseImages, factor: int) -> float:
    """Root mean square difference of the patch images, in units of the true one's mean."""
    true, made = (images.patch_image(factor) for images in (truth, generated))
    return float(np.sqrt(np.mean((made - true) ** 2)) / (true.mean() or 1.0))


def _pooled(fine: SparseImages, like: SparseImages, factor: int) -> SparseImages:
    pooled = pool(fine.offsets, fine.cells, fine.values, fine.grid.shape, (factor, factor))
    return SparseImages(like.grid, like.channels, *pooled)
