"""Compile every kernel before it is needed, so that compilation can overlap with other work."""

import numpy as np

from hepimg.kernels import (
    constituent_subtraction,
    convolution,
    correlators,
    grooming,
    groups,
    image_transform,
    moments,
    norm,
    pairs,
    particle_transform,
    pool,
    puppi,
    subjets,
    subjettiness,
)
from hepimg.kernels.axis import Axis
from hepimg.kernels.pixelate import pixelate
from hepimg.kernels.team import team_of
from hepimg.kernels.tile import LANES


def compile_kernels() -> None:
    """Call each kernel once on a tiny batch, in the dtypes the pipeline uses.

    Machine code found on disk is loaded instead (see NUMBA_CACHE_DIR); then this takes a fraction of a second.
    """
    offsets = np.array([0, 3], dtype=np.int64)
    axis = Axis(np.linspace(-1, 1, 5), regular=True)
    for dtype in (np.float32, np.float64):
        pt, y, phi = np.ones(3, dtype), np.linspace(-0.5, 0.5, 3, dtype=dtype), np.zeros(3, dtype)
        images = pixelate(offsets, y, phi, pt[:, np.newaxis], axis, axis)
        particle_transform.translate(offsets, y, phi, np.zeros(1), np.zeros(1))
        moments.total(offsets, pt)
    pool.pool(*images, (4, 4), (2, 2), "max")
    image_transform.normalise(images[0], images[2], "sum")
    particle_transform.centroid(offsets, pt, y, phi)
    particle_transform.second_angle(offsets, pt, y, phi)
    moments.four_momentum(offsets, pt, y, phi)
    moments.girth(offsets, pt, y, phi, np.zeros(1), np.zeros(1))
    moments.nth_hardest(offsets, pt, 1)
    correlators.two_point(offsets, pt, y, phi, 1.0)
    subjettiness.subjettiness(offsets, pt, y, phi)
    grooming.soft_drop(offsets, pt, y, phi)
    grooming.trim(offsets, pt, y, phi)
    subjets.find_subjets(offsets, pt, y, phi)
    constituent_subtraction.fractions_left(offsets, pt, y, phi, np.ones(1))
    puppi.neighbour_sums((offsets, y, phi), (offsets, y, phi, pt))
    puppi.chi_squared_weights(pt)


def compile_network_kernels() -> None:
    """The same for what sparse networks call."""
    team, cells = team_of(1), (np.array([0, 1]), np.zeros(1, np.int32))
    reach = np.zeros((1, 1), np.uint64), np.zeros((1, 1), np.uint64)
    inputs, outputs, edges = pairs.find_pairs(team, cells[0], cells, 1, cells, (1, 1), reach, reach, (1, 1), 1)
    pairs.find_reached(team, cells, 1, (1, 1), reach, reach)
    starts, order = groups.group_by_counting(inputs, 1)
    x, y, row = np.ones((1, LANES), np.float32), np.empty((2, LANES), np.float32), np.ones(LANES, np.float32)
    kernel = np.ones((1, LANES, LANES), np.float32)
    groups.find_largest(team, x, starts, order, np.empty((1, LANES), np.int64))
    convolution.convolve(team, x, kernel, inputs, outputs, edges, cells[0], 0, x[:0], y)
    convolution.add_outer(
        team, x, x, inputs, outputs, edges, 0, np.empty((convolution.GROUPS, *kernel.shape), np.float32)
    )
    of_batch = norm.column_moments(team, x)
    norm.normalise(team, x, row, row, of_batch, 1.0, True, 0.1, 1, y[:1])
    norm.normalise_gradient(team, x, x, y[:1], row, of_batch, 1.0, True, True, 0.1, x[:0], x.copy(), y)
