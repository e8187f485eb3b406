"""The kernel distance between two samples: the squared maximum mean discrepancy, without bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 2000
"""Rows of a batch: the kernel takes the square of this number of floats."""

LEAST = 2
"""Rows of a batch: of one, there is no pair."""


def discrepancy(first: Floats, second: Floats, weights_1: Floats, weights_2: Floats, *, paired: bool = False) -> float:
    """MMD^2 = <k(x, x')> + <k(y, y')> - 2 <k(x, y)> with k(x, y) = (x y / d + 1)^4, over pairs of different rows.

    The kernel is that of R. Kansal et al., arXiv:2211.10295; the estimate that of A. Gretton et al., JMLR 13 (2012)
    723, which can be negative.

    Args:
        first: (n, d) features x.
        second: (m, d) features y.
        weights_1: (n,) weights of x.
        weights_2: (m,) weights of y.
        paired: whether row i of both is of one jet: what they have in common is no likeness of the samples, so these
            pairs are left out, too.
    """
    within = _pairs(first, weights_1) + _pairs(second, weights_2)
    across, of_all = weights_1 @ _kernel(first, second) @ weights_2, weights_1.sum() * weights_2.sum()
    if paired:
        own = weights_1 * weights_2
        across -= own @ (np.sum(first * second, axis=1) / first.shape[1] + 1) ** 4
        of_all -= own.sum()
    return float(within - 2 * across / of_all)


def median(
    first: Sequence[tuple[Floats, Floats]], second: Sequence[tuple[Floats, Floats]], *, paired: bool = False
) -> tuple[float, float] | None:
    """The median discrepancy of several batches, and its error: 1.25 / sqrt(batches) of half the central 68 %.

    Args:
        first: features and weights of each batch of one sample.
        second: the same of the other.
        paired: whether rows of both are of the same jets, in one order.

    Returns:
        None where there are not two batches.
    """
    found = [
        discrepancy(x[:MOST], y[:MOST], wx[:MOST], wy[:MOST], paired=paired)
        for (x, wx), (y, wy) in zip(first, second, strict=True)
        if min(len(x), len(y)) >= LEAST
    ]
    if len(found) < 2:
        return None
    low, middle, high = np.quantile(found, [0.16, 0.5, 0.84])
    return float(middle), float(np.sqrt(np.pi / 2 / len(found)) * (high - low) / 2)


def _kernel(first: Floats, second: Floats) -> Floats:
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 4)


def _pairs(values: Floats, weights: Floats) -> float:
    """The weighted mean of the kernel over pairs of different rows."""
    own = (np.sum(values**2, axis=1) / values.shape[1] + 1) ** 4
    squares = weights**2
    total = weights @ _kernel(values, values) @ weights - squares @ own
    return float(total / (weights.sum() ** 2 - squares.sum()))
