"""What PUPPI asks of an event (Bertolini, Harris, Low and Tran, arXiv:1407.6013): sums over neighbours, and weights."""

import math

import numpy as np

from hepimg.kernels.arrays import Array, Floats, frozen, frozen_offsets
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi
MAX_ROWS = 4096
"""Of the tiles along rapidity, whatever the range."""

SMALLEST = np.nextafter(0.0, 1.0)
"""Squared distance: what lies in the same place is no neighbour."""


def neighbour_sums(
    targets: tuple[Array, Array, Array],
    sources: tuple[Array, Array, Array, Array],
    *,
    radius: float = 0.3,
    min_distance: float = 0.02,
    exponent: float = 1.0,
) -> Floats:
    """Sum of ``(pT_j / dR_ij)^exponent`` over the sources j around each target i.

    Args:
        targets: offsets by event (n_events + 1,), rapidity and azimuth (n_targets,).
        sources: offsets by event (n_events + 1,), rapidity, azimuth and transverse momentum (n_sources,).
        radius: largest distance of a source.
        min_distance: smallest distance; it keeps a particle from being its own neighbour.
        exponent: of pT / dR.

    Returns:
        Shape (n_targets,).
    """
    offsets, y, phi = targets
    source_offsets, source_y, source_phi, source_pt = sources
    sums = np.zeros(len(y))
    fields = [frozen(field, np.float64) for field in (y, _wrapped(phi), source_y, _wrapped(source_phi), source_pt)]
    limits = float(radius), float(min_distance), float(exponent)
    over_rows(
        _neighbour_sums,
        len(offsets) - 1,
        frozen_offsets(offsets),
        frozen_offsets(source_offsets),
        *fields,
        *limits,
        sums,
    )
    return sums


def _wrapped(phi: Array) -> Floats:
    """Azimuths from 0 to 2 pi; the remainder is slow, and hardly ever needed."""
    angles = np.asarray(phi, np.float64)
    once = np.where(angles < 0, angles + TWO_PI, angles)
    return once if ((once >= 0) & (once < TWO_PI)).all() else np.asarray(angles % TWO_PI)


def chi_squared_weights(deviation: Array) -> Floats:
    """The probability of a chi squared (one degree of freedom) below ``deviation^2``; 0 for negative deviations."""
    weights = np.zeros(len(deviation))
    _chi_squared_weights(frozen(deviation, np.float64), weights)
    return weights


@compiled
def _chi_squared_weights(deviation: Array, weights: Array) -> None:
    for i in range(len(deviation)):
        if deviation[i] > 0:
            weights[i] = math.erf(deviation[i] / math.sqrt(2.0))


@compiled
def _neighbour_sums(
    first: int,
    last: int,
    offsets: Array,
    source_offsets: Array,
    y: Array,
    phi: Array,
    source_y: Array,
    source_phi: Array,
    source_pt: Array,
    radius: float,
    min_distance: float,
    exponent: float,
    sums: Array,
) -> None:
    columns = max(int(TWO_PI / radius), 1)
    lower, upper = max(min_distance * min_distance, SMALLEST), radius * radius
    for event in range(first, last):
        start, stop = source_offsets[event], source_offsets[event + 1]
        if start == stop:
            continue
        bottom, top = source_y[start:stop].min(), source_y[start:stop].max()
        rows = min(int((top - bottom) / radius), MAX_ROWS) + 1
        height = max((top - bottom) / rows, radius)
        starts, order = _tiles(source_y[start:stop], source_phi[start:stop], bottom, height, rows, columns)
        # neighbours lie side by side in memory
        near_y, near_phi, near_pt = np.empty(stop - start), np.empty(stop - start), np.empty(stop - start)
        for j in range(stop - start):
            k = start + order[j]
            near_y[j], near_phi[j], near_pt[j] = source_y[k], source_phi[k], source_pt[k]
        squares, pt, gap = np.empty(stop - start), np.empty(stop - start), np.empty(stop - start)
        for i in range(offsets[event], offsets[event + 1]):
            row = math.floor(min(max((y[i] - bottom) / height, -2.0), rows + 1.0))
            column = min(int(phi[i] / TWO_PI * columns), columns - 1)
            # away from the seam the three tiles of a row lie side by side
            pieces, tiles = (1, 3) if 0 < column < columns - 1 else (min(3, columns), 1)
            n = 0
            for near_row in range(max(row - 1, 0), min(row + 2, rows)):
                for k in range(pieces):
                    tile = near_row * columns + (column - 1 + k) % columns
                    here = slice(starts[tile], starts[tile + tiles])
                    n = _within(
                        y[i], phi[i], near_y[here], near_phi[here], near_pt[here], lower, upper, squares, pt, gap, n
                    )
            sums[i] = _sum_of_terms(pt[:n], gap[:n], exponent)


@compiled
def _within(
    y: float,
    phi: float,
    near_y: Array,
    near_phi: Array,
    near_pt: Array,
    lower: float,
    upper: float,
    squares: Array,
    pt: Array,
    gap: Array,
    n: int,
) -> int:
    """Write pT and squared distance of the sources within reach behind the first ``n``; how many there are then.

    ``squares`` is room to work in.  No loop has a branch: the first is made in vector registers, and which sources are
    within reach cannot be predicted.
    """
    for j in range(len(near_y)):
        dphi = abs(phi - near_phi[j])
        other = TWO_PI - dphi
        dphi = dphi if dphi < other else other
        dy = y - near_y[j]
        squares[j] = dy * dy + dphi * dphi
    count = np.uint64(n)  # without a sign: it is not looked at for numbers from the end
    for j in range(len(near_y)):
        pt[count], gap[count] = near_pt[j], squares[j]
        count += np.uint64((lower <= squares[j]) & (squares[j] <= upper))
    return int(count)


@compiled
def _sum_of_terms(pt: Array, gap: Array, exponent: float) -> float:
    """Sum of the terms, made in vector registers, then added in the order of the sources; ``pt`` is overwritten."""
    if exponent == 1:
        for j in range(len(pt)):
            pt[j] /= math.sqrt(gap[j])
    elif exponent == 2:
        for j in range(len(pt)):
            pt[j] = pt[j] * pt[j] / gap[j]
    else:
        for j in range(len(pt)):
            pt[j] = (pt[j] / math.sqrt(gap[j])) ** exponent
    total = 0.0
    for j in range(len(pt)):
        total += pt[j]
    return total


@compiled
def _tiles(y: Array, phi: Array, bottom: float, height: float, rows: int, columns: int) -> tuple[Array, Array]:
    """Particles ordered by tile (a counting sort): where each tile starts, shape (n_tiles + 1,), and the order (n,)."""
    n = len(y)
    tiles, starts = np.empty(n, dtype=np.int64), np.zeros(rows * columns + 1, dtype=np.int64)
    for i in range(n):
        row = min(int((y[i] - bottom) / height), rows - 1)
        tiles[i] = row * columns + min(int(phi[i] / TWO_PI * columns), columns - 1)
        starts[tiles[i] + 1] += 1
    for tile in range(rows * columns):
        starts[tile + 1] += starts[tile]
    free, order = starts[:-1].copy(), np.empty(n, dtype=np.int64)
    for i in range(n):
        order[free[tiles[i]]] = i
        free[tiles[i]] += 1
    return starts, order
