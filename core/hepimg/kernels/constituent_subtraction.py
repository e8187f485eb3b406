"""Constituent subtraction (Berta, Spousta, Miller and Leitner, arXiv:1403.3108) of whole events (arXiv:1905.03470)."""

import math

import numpy as np

from hepimg.kernels.arrays import Array, Floats, frozen, frozen_offsets
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi


def fractions_left(
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    density: Array,
    *,
    abs_y: float = 4.0,
    ghost_area: float = 0.01,
    max_distance: float = 0.3,
    alpha: float = 1.0,
) -> Floats:
    """The share of its transverse momentum that each particle keeps when ghosts have taken the background from it.

    Ghosts on a regular grid carry ``density`` times their area.  Pairs of a particle and a ghost are taken by growing
    ``pT^alpha dR^2``: the one with less transverse momentum loses all of it, the other as much.  As in fastjet-contrib.

    Args:
        offsets: particles of each event, shape (n_events + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity, shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        density: of the background in each event, transverse momentum per unit of rapidity and azimuth, (n_events,).
        abs_y: ghosts lie at smaller absolute rapidities.
        ghost_area: rounded so that whole ghosts fit.
        max_distance: largest dR of a pair.
        alpha: the larger, the more the soft particles are preferred.

    Returns:
        Shape (n_particles,), from 0 to 1; 1 beyond the reach of the ghosts, and in events without background.
    """
    offsets = frozen_offsets(offsets)
    turned = np.asarray(phi, np.float64) % TWO_PI
    shape = max(round(2 * abs_y / math.sqrt(ghost_area)), 1), max(round(TWO_PI / math.sqrt(ghost_area)), 1)
    left = np.ones(len(pt))
    fields = (frozen(field, np.float64) for field in (pt, y, turned, density))
    over_rows(
        _subtract, len(offsets) - 1, offsets, *fields, float(abs_y), *shape, float(max_distance), float(alpha), left
    )
    return left


@compiled
def _subtract(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    density: Array,
    abs_y: float,
    rows: int,
    columns: int,
    max_distance: float,
    alpha: float,
    left: Array,
) -> None:
    ghosts = np.empty((rows, columns))
    size_y, size_phi = 2 * abs_y / rows, TWO_PI / columns
    for event in range(first, last):
        if density[event] <= 0:
            continue
        ghosts[:] = density[event] * size_y * size_phi
        start, stop = offsets[event], offsets[event + 1]
        n = stop - start
        # a heap of particles, ordered by the measure to the nearest ghost that has something left: only that pair can
        # be the next one of its particle, so that the millions of pairs need neither be stored nor sorted
        keys, heap, target, size = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), 0
        factor = pt[start:stop] ** alpha
        for i in range(n):
            if pt[start + i] <= 0:
                continue
            gap, ghost = _nearest_ghost(y[start + i], phi[start + i], ghosts, abs_y, max_distance)
            if ghost >= 0:
                target[i], keys[size], heap[size] = ghost, factor[i] * gap, i
                size += 1
        for slot in range(size // 2 - 1, -1, -1):
            _sink(slot, size, keys, heap)
        remaining = pt[start:stop].copy()
        while size > 0:
            i = heap[0]
            row, column = divmod(target[i], columns)
            if ghosts[row, column] <= 0:
                pass  # another particle came first
            elif remaining[i] <= ghosts[row, column]:
                ghosts[row, column] -= remaining[i]
                remaining[i] = 0.0
            else:
                remaining[i] -= ghosts[row, column]
                ghosts[row, column] = 0.0
            ghost, gap = -1, 0.0
            if remaining[i] > 0:
                gap, ghost = _nearest_ghost(y[start + i], phi[start + i], ghosts, abs_y, max_distance)
            if ghost >= 0:
                target[i], keys[0] = ghost, factor[i] * gap
            else:
                size -= 1
                keys[0], heap[0] = keys[size], heap[size]
            _sink(0, size, keys, heap)
        for i in range(n):
            if pt[start + i] > 0:
                left[start + i] = remaining[i] / pt[start + i]


@compiled
def _nearest_ghost(y: float, phi: float, ghosts: Array, abs_y: float, max_distance: float) -> tuple[float, int]:
    """The squared distance to, and number of, the nearest ghost with something left; infinite and -1 if there is none.

    Ghosts lie in the middle of their cells.
    """
    rows, columns = ghosts.shape
    size_y, size_phi = 2 * abs_y / rows, TWO_PI / columns
    best, ghost, limit = math.inf, -1, max_distance * max_distance
    row_first = max(math.floor((y - max_distance + abs_y) / size_y - 0.5), 0)
    row_last = min(math.ceil((y + max_distance + abs_y) / size_y - 0.5), rows - 1)
    column_first = math.floor((phi - max_distance) / size_phi - 0.5)
    column_last = min(math.ceil((phi + max_distance) / size_phi - 0.5), column_first + columns - 1)
    for row in range(row_first, row_last + 1):
        dy = (row + 0.5) * size_y - abs_y - y
        rest = dy * dy
        if rest > limit or rest >= best:
            continue
        for column in range(column_first, column_last + 1):
            dphi = (column + 0.5) * size_phi - phi
            gap = rest + dphi * dphi
            if gap <= limit and gap < best and ghosts[row, column % columns] > 0:
                best, ghost = gap, row * columns + column % columns
    return best, ghost


@compiled
def _sink(slot: int, size: int, keys: Array, heap: Array) -> None:
    """Let an entry sink to its place; the smallest key is on top, the smaller particle number where keys are equal."""
    if slot >= size:
        return
    key, particle = keys[slot], heap[slot]
    while True:
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and _before(child + 1, keys[child], heap[child], keys, heap):
            child += 1
        if not _before(child, key, particle, keys, heap):
            break
        keys[slot], heap[slot] = keys[child], heap[child]
        slot = child
    keys[slot], heap[slot] = key, particle


@compiled
def _before(slot: int, key: float, particle: int, keys: Array, heap: Array) -> bool:
    return bool(keys[slot] < key or (keys[slot] == key and heap[slot] < particle))
