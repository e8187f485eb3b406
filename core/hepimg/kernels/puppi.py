"""What PUPPI asks of an event (Bertolini, Harris, Low and Tran, arXiv:1407.6013): sums over neighbours, and weights."""

import math

import numpy as np

from hepimg.kernels.arrays import Array, Floats, frozen, frozen_offsets
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi
MAX_ROWS = 4096
"""Of the tiles along rapidity, whatever the range."""


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
    fields = [
        frozen(field, np.float64)
        for field in (
            y, np.asarray(phi, np.float64) % TWO_PI, source_y, np.asarray(source_phi, np.float64) % TWO_PI, source_pt
        )
    ]  # fmt: skip
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
    lower, upper = min_distance * min_distance, radius * radius
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
        for i in range(offsets[event], offsets[event + 1]):
            row = math.floor(min(max((y[i] - bottom) / height, -2.0), rows + 1.0))
            column = min(int(phi[i] / TWO_PI * columns), columns - 1)
            for near_row in range(max(row - 1, 0), min(row + 2, rows)):
                for k in range(min(3, columns)):
                    tile = near_row * columns + (column - 1 + k) % columns
                    for j in range(starts[tile], starts[tile + 1]):
                        dphi = abs(phi[i] - near_phi[j])
                        dphi = min(dphi, TWO_PI - dphi)
                        dy = y[i] - near_y[j]
                        gap = dy * dy + dphi * dphi
                        if lower <= gap <= upper and gap > 0:
                            sums[i] += _term(near_pt[j], gap, exponent)


@compiled
def _term(pt: float, gap: float, exponent: float) -> float:
    if exponent == 1:
        return pt / math.sqrt(gap)
    return pt * pt / gap if exponent == 2 else (pt / math.sqrt(gap)) ** exponent


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
