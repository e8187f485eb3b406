"""The history of a clustering: which pseudojets of one jet merge, in which order (FastJet's inclusive algorithms).

Cambridge/Aachen (Dokshitzer, Leder, Moretti and Webber, hep-ph/9707323; Wobisch and Wengler, hep-ph/9907280) merges
the nearest two; kt (Ellis and Soper, hep-ph/9305266) the two of smallest ``min(pT_i^2, pT_j^2) dR_ij^2``.  Either stops
where a pseudojet has no neighbour within the radius.  Four-momenta are added (E-scheme).
"""

import math

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, frozen, frozen_offsets
from hepimg.kernels.clustering import add_momenta, find_nearest, find_smallest
from hepimg.kernels.threads import compiled


def with_momentum(
    offsets: Array, pt: Array, y: Array, phi: Array, mass: Array | None
) -> tuple[NDArray[np.bool_], Array, list[Array]]:
    """Which particles have transverse momentum, and their offsets, pT, y, phi and mass.

    Others, such as the padding of fixed-size arrays, have no direction to cluster.
    """
    some = np.asarray(pt) > 0
    fields = pt, y, np.asarray(phi, np.float64) % (2 * math.pi), np.zeros(len(pt)) if mass is None else mass
    before = np.concatenate([[0], np.cumsum(some)])
    return some, frozen_offsets(before[offsets]), [frozen(field[some], np.float64) for field in fields]


@compiled
def recluster(
    by_pt: bool, radius: float, y: Array, phi: Array, pt: Array, mass: Array
) -> tuple[int, Array, Array, Array, Array]:
    """Cluster the ``n`` particles of one jet; all have transverse momentum.

    Args:
        by_pt: kt; otherwise Cambridge/Aachen.
        radius: pseudojets further apart do not merge; may be infinite.
        y: rapidity, shape (n,).
        phi: azimuth in [0, 2 pi), shape (n,).
        pt: transverse momentum, shape (n,).
        mass: mass, shape (n,).

    Returns:
        The number of nodes (the particles, then what merged, in that order), and of each of them: the node it merges
        into, -1 for none; the two nodes it is made of, -1 for particles, shape (2n, 2); E, px, py, pz, shape (2n, 4);
        the squared distance of the two.
    """
    n = len(y)
    parents, children = -np.ones(2 * n, dtype=np.int64), -np.ones((2 * n, 2), dtype=np.int64)
    momenta, opening = np.empty((2 * n, 4)), np.zeros(2 * n)
    _four_momenta(y, phi, pt, mass, momenta)
    # what is not merged yet, in slots 0 to left - 1
    node, place_y, place_phi, current = np.arange(n), y.copy(), phi.copy(), momenta.copy()
    weights = np.ones(n)
    for i in range(n if by_pt else 0):
        weights[i] = pt[i] * pt[i]
    limit = radius * radius
    nearest, gaps, measures, row = np.empty(n, dtype=np.int64), np.empty(n), np.empty(n), np.empty(n)
    row_bits, measure_bits = row.view(np.int64), measures.view(np.int64)
    for i in range(n):
        find_nearest(i, n, place_y, place_phi, row, row_bits, nearest, gaps)
    for i in range(n):
        measures[i] = _measure(i, limit, gaps, nearest, weights)
    nodes, left = n, n
    while left > 1:
        best = find_smallest(measure_bits, left)
        if gaps[best] >= limit:
            # a jet of its own; whoever had it as neighbour is as lonely, and need not know that it is gone
            left -= 1
            _move(left, best, node, place_y, place_phi, current, weights, nearest, gaps, measures)
            for i in range(left):
                if nearest[i] == left:
                    nearest[i] = best
            continue
        kept, gone = min(best, nearest[best]), max(best, nearest[best])
        opening[nodes] = gaps[best]
        children[nodes, 0], children[nodes, 1] = node[kept], node[gone]
        parents[node[kept]] = parents[node[gone]] = nodes
        add_momenta(kept, gone, place_y, place_phi, current, weights)
        if not by_pt:
            weights[kept] = 1.0
        node[kept] = nodes
        for component in range(4):
            momenta[nodes, component] = current[kept, component]
        nodes, left = nodes + 1, left - 1
        _move(left, gone, node, place_y, place_phi, current, weights, nearest, gaps, measures)
        for i in range(left):
            if i != kept and gaps[i] < limit and nearest[i] in (kept, gone):
                find_nearest(i, left, place_y, place_phi, row, row_bits, nearest, gaps)
                measures[i] = _measure(i, limit, gaps, nearest, weights)
            elif nearest[i] == left:
                nearest[i] = gone
        find_nearest(kept, left, place_y, place_phi, row, row_bits, nearest, gaps)
        measures[kept] = _measure(kept, limit, gaps, nearest, weights)
        for i in range(left):
            if row[i] < gaps[i]:
                nearest[i], gaps[i] = kept, row[i]
                measures[i] = _measure(i, limit, gaps, nearest, weights)
    return nodes, parents, children, momenta, opening


@compiled
def _measure(i: int, limit: float, gaps: Array, nearest: Array, weights: Array) -> float:
    """The smaller of the distances to the nearest pseudojet and to the beam."""
    if gaps[i] >= limit:
        return float(limit * weights[i])
    return float(gaps[i] * min(weights[i], weights[nearest[i]]))


@compiled
def _move(
    last: int,
    slot: int,
    node: Array,
    place_y: Array,
    place_phi: Array,
    current: Array,
    weights: Array,
    nearest: Array,
    gaps: Array,
    measures: Array,
) -> None:
    """Put the last pseudojet into a slot that became free."""
    node[slot], place_y[slot], place_phi[slot], weights[slot] = (
        node[last],
        place_y[last],
        place_phi[last],
        weights[last],
    )
    nearest[slot], gaps[slot], measures[slot] = nearest[last], gaps[last], measures[last]
    for component in range(4):
        current[slot, component] = current[last, component]


@compiled
def _four_momenta(y: Array, phi: Array, pt: Array, mass: Array, momenta: Array) -> None:
    for i in range(len(y)):
        transverse_mass = math.sqrt(pt[i] * pt[i] + mass[i] * mass[i])
        momenta[i, 0] = transverse_mass * math.cosh(y[i])
        momenta[i, 1] = pt[i] * math.cos(phi[i])
        momenta[i, 2] = pt[i] * math.sin(phi[i])
        momenta[i, 3] = transverse_mass * math.sinh(y[i])
