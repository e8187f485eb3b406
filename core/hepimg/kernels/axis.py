"""One axis of a grid as kernels see it, and the cell that holds a coordinate."""

import math
from typing import NamedTuple

import numpy as np

from hepimg.kernels.arrays import Array, Floats, frozen
from hepimg.kernels.threads import compiled

FULL_CIRCLE = 1 - 1e-9
"""An axis that covers this part of its period covers all of it: its edges are rounded."""

CLEAR = 1e-3
"""Farther than this part of a cell from its edges, rounding cannot decide for another cell."""


class Axis(NamedTuple):
    """Bins along one coordinate.

    Attributes:
        edges: n + 1 increasing edges, float64; cell i covers ``edges[i] <= x < edges[i + 1]``.
        regular: cells of equal width, found by arithmetic instead of search.
        period: 0, or the period (2 pi for an azimuth): coordinates are first wrapped to within half of it from the
            middle of the axis.
    """

    edges: Floats
    regular: bool
    period: float = 0.0


def axis_arguments(axis: Axis) -> tuple[Array, float, float, float, float]:
    """What :func:`cell_of` needs of an axis: edges, first and last edge, cells per unit (0: irregular), period."""
    edges = frozen(axis.edges, np.float64)
    low, high = float(edges[0]), float(edges[-1])
    density = (len(edges) - 1) / (high - low) if axis.regular else 0.0
    return edges, low, high, density, float(axis.period)


@compiled
def cell_of(x: float, edges: Array, low: float, high: float, density: float, period: float) -> int:
    """The cell of an :class:`Axis` that holds ``x``; -1 for outside and for NaN.

    The outermost upper edge is outside.  An axis over its full period has no outside.
    """
    n_cells = len(edges) - 1
    if not (low <= x < high):
        if period == 0 or not math.isfinite(x):
            return -1
        x -= period * math.floor((x - 0.5 * (low + high)) / period + 0.5)
        if high - low >= FULL_CIRCLE * period:
            x = min(max(x, low), high)
            if x == high:
                return n_cells - 1
        elif not (low <= x < high):
            return -1
    if density > 0:
        cell = min(int((x - low) * density), n_cells - 1)
        # the product is rounded: what decides is the edge
        return cell - int(x < edges[cell]) + int(x >= edges[cell + 1])
    below, above = 0, n_cells
    while above - below > 1:
        middle = (below + above) // 2
        if x < edges[middle]:
            above = middle
        else:
            below = middle
    return below


@compiled
def is_clear(x: float, place: float, low: float, high: float) -> bool:
    """Whether ``x`` lies on the axis and so well inside a cell that ``int(place)`` is the answer of :func:`cell_of`.

    ``place = (x - low) * density``: an irregular axis has no density, and is never clear.
    """
    below = np.floor(place)
    return bool((x >= low) & (x < high) & (place > below + CLEAR) & (place < below + (1 - CLEAR)))
