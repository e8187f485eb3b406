"""Compile every kernel before it is needed, so that compilation can overlap with other work."""

import numpy as np

from hepimg.kernels import (
    constituent_subtraction,
    correlators,
    grooming,
    moments,
    particle_transform,
    pool,
    puppi,
    subjettiness,
)
from hepimg.kernels.axis import Axis
from hepimg.kernels.pixelate import pixelate


def compile_kernels() -> None:
    """Call each kernel once on a tiny batch, in the dtypes the pipeline uses.

    Machine code found on disk is loaded instead (see NUMBA_CACHE_DIR); then this takes a fraction of a second.
    """
    offsets = np.array([0, 3], dtype=np.int64)
    axis = Axis(np.linspace(-1, 1, 5), regular=True)
    for dtype in (np.float32, np.float64):
        pt, y, phi = np.ones(3, dtype), np.linspace(-0.5, 0.5, 3, dtype=dtype), np.zeros(3, dtype)
        images = pixelate(offsets, y, phi, pt[:, np.newaxis], axis, axis)
    pool.pool(*images, (4, 4), (2, 2), "max")
    particle_transform.centroid(offsets, pt, y, phi)
    moments.four_momentum(offsets, pt, y, phi)
    moments.nth_hardest(offsets, pt, 1)
    correlators.two_point(offsets, pt, y, phi, 1.0)
    subjettiness.subjettiness(offsets, pt, y, phi)
    grooming.soft_drop(offsets, pt, y, phi)
    grooming.trim(offsets, pt, y, phi)
    constituent_subtraction.fractions_left(offsets, pt, y, phi, np.ones(1))
    puppi.neighbour_sums((offsets, y, phi), (offsets, y, phi, pt))
    puppi.chi_squared_weights(pt)
