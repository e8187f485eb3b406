"""Batch normalisation of float32 features, with ReLU and dropout in the same pass.

    y = drop(relu(x * scale + shift)),   scale = weight / sqrt(variance + eps),   shift = bias - mean * scale

where drop sets a number to zero with some probability and enlarges what is left, so that the mean stays.  Each is a
sweep over memory; done one by one they cost as much as the convolutions between them.  Sums over rows are taken in
blocks of fixed size that are added up in order, so that they do not depend on the number of threads.
"""

import math

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array
from hepimg.kernels.team import share
from hepimg.kernels.threads import compiled

BLOCK = 128
"""Rows of a block: with 64 channels it stays in the nearest cache for the second look."""

Float64 = NDArray[np.float64]


@compiled
def column_moments(team: Array, x: Array) -> tuple[Float64, Float64]:
    """Mean and sum of squared deviations from it of each column of x (n, C), n > 0.

    By blocks, put together as in Chan, Golub and LeVeque, The American Statistician 37 (1983) 242.
    """
    n_blocks = (len(x) + BLOCK - 1) // BLOCK
    moments = np.empty((n_blocks, 2, x.shape[1]), np.float32)
    share(team, _block_moments, n_blocks, (x, moments))
    mean, square = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for block in range(n_blocks):
        before, added = block * BLOCK, min(BLOCK, len(x) - block * BLOCK)
        for c in range(x.shape[1]):
            step = moments[block, 0, c] - mean[c]
            mean[c] += step * added / (before + added)
            square[c] += moments[block, 1, c] + step * step * before * added / (before + added)
    return mean, square


@compiled
def _block_moments(first: int, last: int, x: Array, moments: Array) -> None:
    for block in range(first, last):
        rows = x[block * BLOCK : (block + 1) * BLOCK]
        mean, square = moments[block, 0], moments[block, 1]
        for c in range(rows.shape[1]):
            mean[c] = square[c] = 0
        for r in range(len(rows)):
            for c in range(rows.shape[1]):
                mean[c] += rows[r, c]
        for c in range(rows.shape[1]):
            mean[c] /= np.float32(len(rows))
        for r in range(len(rows)):
            for c in range(rows.shape[1]):
                square[c] += (rows[r, c] - mean[c]) * (rows[r, c] - mean[c])


@compiled
def normalise(
    team: Array,
    x: Array,
    weight: Array,
    bias: Array,
    moments: tuple[Array, Array],
    eps: float,
    relu: bool,
    drop: float,
    seed: int,
    y: Array,
) -> None:
    """Write y, see above.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        x: (n, C).
        weight: (C,) float32.
        bias: (C,) float32.
        moments: mean and variance, (C,) float64 each.
        eps: added to the variance.
        relu: whether negative numbers become zero.
        drop: probability with which a number becomes zero, below 1; the others are divided by ``1 - drop``.
        seed: of the random numbers, which depend on it and on the place in y only.
        y: (n, C), written.
    """
    factors = np.empty((2, x.shape[1]), np.float32)
    for c in range(x.shape[1]):
        scale = weight[c] / math.sqrt(moments[1][c] + eps)
        factors[0, c], factors[1, c] = scale, bias[c] - moments[0][c] * scale
    least = np.float32(0 if relu else -math.inf)
    share(team, _normalise, len(x), (x, factors, least, drop, np.uint64(seed), y))


@compiled
def _normalise(first: int, last: int, x: Array, factors: Array, least: float, drop: float, seed: int, y: Array) -> None:
    kept = np.float32(1 / (1 - drop))
    threshold = np.uint64(drop * 2.0**32)
    for r in range(first, last):
        for c in range(x.shape[1]):
            y[r, c] = max(x[r, c] * factors[0, c] + factors[1, c], least)
        if threshold:
            start = seed + np.uint64(r * x.shape[1])
            for c in range(x.shape[1]):
                y[r, c] = y[r, c] * kept if _bits(start + np.uint64(c)) >= threshold else np.float32(0)


@compiled
def _bits(number: np.uint64) -> np.uint64:
    """32 bits that look random: the mixing of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = number * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z >> np.uint64(32)


@compiled
def normalise_gradient(
    team: Array,
    g: Array,
    x: Array,
    y: Array,
    weight: Array,
    moments: tuple[Array, Array],
    eps: float,
    of_batch: bool,
    gated: bool,
    drop: float,
    onto: Array,
    grad_x: Array,
    grad_affine: Array,
) -> None:
    """The gradient of :func:`normalise`.

    Args:
        team: :func:`hepimg.kernels.team.team_of`.
        g: (n, C), the gradient of y.
        x: (n, C).
        y: (n, C); where it is zero, ReLU or dropout have closed the way.
        weight: (C,) float32.
        moments: mean and variance, (C,) float64 each.
        eps: added to the variance.
        of_batch: whether the moments are those of x, or constants.
        gated: whether there is any ReLU or dropout.
        drop: probability of dropout.
        onto: (n, C), added to the gradient of x; or without any row.
        grad_x: (n, C), written.
        grad_affine: (2, C), the gradients of weight and bias, written.
    """
    n, channels = x.shape
    n_blocks = (n + BLOCK - 1) // BLOCK
    parts = np.empty((n_blocks, 2, channels), np.float32)
    mean = moments[0].astype(np.float32)
    share(team, _block_gradients, n_blocks, (g, x, y, mean, gated, parts))
    kept = 1 / (1 - drop)
    factors = np.zeros((4, channels), np.float32)
    for c in range(channels):
        plain = weighted = 0.0
        for block in range(n_blocks):
            plain += kept * parts[block, 0, c]
            weighted += kept * parts[block, 1, c]
        inverse = 1 / math.sqrt(moments[1][c] + eps)
        grad_affine[0, c], grad_affine[1, c] = weighted * inverse, plain
        scale = weight[c] * inverse
        factors[0, c], factors[1, c] = scale * kept, mean[c]
        if of_batch:
            factors[2, c], factors[3, c] = -scale * weighted * inverse * inverse / n, -scale * plain / n
    share(team, _spread, n, (g, x, y, gated, factors, onto, grad_x))


@compiled
def _block_gradients(
    first: int, last: int, g: Array, x: Array, y: Array, mean: Array, gated: bool, parts: Array
) -> None:
    """Sums over the rows of a block of h and of h * (x - mean); h is the gradient that ReLU and dropout let pass."""
    for block in range(first, last):
        plain, weighted = parts[block, 0], parts[block, 1]
        for c in range(x.shape[1]):
            plain[c] = weighted[c] = 0
        for r in range(block * BLOCK, min((block + 1) * BLOCK, len(x))):
            for c in range(x.shape[1]):
                h = np.float32(0) if gated and y[r, c] == 0 else g[r, c]
                plain[c] += h
                weighted[c] += h * (x[r, c] - mean[c])


@compiled
def _spread(
    first: int, last: int, g: Array, x: Array, y: Array, gated: bool, factors: Array, onto: Array, grad_x: Array
) -> None:
    for r in range(first, last):
        for c in range(x.shape[1]):
            h = np.float32(0) if gated and y[r, c] == 0 else g[r, c]
            grad_x[r, c] = h * factors[0, c] + (x[r, c] - factors[1, c]) * factors[2, c] + factors[3, c]
        if len(onto):
            for c in range(x.shape[1]):
                grad_x[r, c] += onto[r, c]
