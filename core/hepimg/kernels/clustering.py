"""Exclusive kt clustering (Catani et al. 1993; Ellis and Soper 1993) of the particles of one jet.

Pseudojets i and j merge in the order of ``min(pT_i^2, pT_j^2) dR_ij^2``.  The pair with the smallest measure is always
a pseudojet and its nearest neighbour in the plane (Cacciari and Salam, hep-ph/0512210), so each pseudojet keeps its
nearest neighbour and a merging costs one pass: the whole takes a time of order n^2.
"""

import math

import numpy as np

from hepimg.kernels.arrays import Array
from hepimg.kernels.threads import compiled

TWO_PI = 2 * math.pi
MAX_AXES = 4
MAX_RAPIDITY = 1e5
"""Stands for the rapidity of a momentum along the beam."""


@compiled
def kt_axes(winner_takes_all: bool, n: int, y: Array, phi: Array, pt: Array, mass: Array, axes: Array) -> None:
    """Cluster one jet and note the pseudojets whenever one to four of them are left.

    Args:
        winner_takes_all: a merged pseudojet keeps the direction of the harder one, and the sum of pT (Larkoski, Neill,
            Thaler, arXiv:1401.2158); otherwise four-momenta are added (E-scheme).
        n: number of particles.
        y: rapidity, shape (n,).
        phi: azimuth in [0, 2 pi), shape (n,).
        pt: transverse momentum, shape (n,).
        mass: mass, shape (n,).
        axes: filled with y and phi of pseudojet k when m are left at ``axes[m - 1, k]``, shape (4, 4, 2).
    """
    place_y, place_phi, momenta, hardness = y.copy(), phi.copy(), np.empty((n, 4)), pt * pt
    for i in range(n):
        if winner_takes_all:
            momenta[i, 0] = pt[i]
            continue
        half_mt, boost = 0.5 * math.sqrt(pt[i] * pt[i] + mass[i] * mass[i]), math.exp(y[i])
        momenta[i, 0] = half_mt * (boost + 1 / boost)
        momenta[i, 1] = pt[i] * math.cos(phi[i])
        momenta[i, 2] = pt[i] * math.sin(phi[i])
        momenta[i, 3] = half_mt * (boost - 1 / boost)
    nearest = np.empty(n, dtype=np.int64)
    gaps, measures, row = np.empty(n), np.empty(n), np.empty(n)
    measure_bits, row_bits = measures.view(np.int64), row.view(np.int64)
    for i in range(n):
        find_nearest(i, n, place_y, place_phi, row, row_bits, nearest, gaps)
    for i in range(n):
        measures[i] = gaps[i] * min(hardness[i], hardness[nearest[i]])
    left = n
    while left > 0:
        if left <= MAX_AXES:
            for k in range(left):
                axes[left - 1, k, 0] = place_y[k]
                axes[left - 1, k, 1] = place_phi[k]
        if left == 1:
            break
        best = find_smallest(measure_bits, left)
        kept, gone = min(best, nearest[best]), max(best, nearest[best])
        if winner_takes_all:
            _merge_to_harder(kept, gone, place_y, place_phi, momenta, hardness)
        else:
            add_momenta(kept, gone, place_y, place_phi, momenta, hardness)
        left -= 1
        # the last pseudojet moves into the gap
        place_y[gone], place_phi[gone], hardness[gone] = place_y[left], place_phi[left], hardness[left]
        gaps[gone], nearest[gone], measures[gone] = gaps[left], nearest[left], measures[left]
        for component in range(4):
            momenta[gone, component] = momenta[left, component]
        _update_nearest(kept, gone, left, place_y, place_phi, hardness, row, row_bits, nearest, gaps, measures)


@compiled
def find_smallest(bits: Array, n: int) -> int:
    """The first position of the smallest of ``n`` numbers >= 0, given as the int64 view of their array.

    Such numbers and their bits have the same order, and the compiler turns a minimum of integers into vector
    instructions; a minimum of floats it must take one by one, for the sake of NaN.  No branch leaves the loops: in
    this place a wrong guess of the processor costs more than the comparisons.
    """
    smallest = bits[0]
    for i in range(1, n):
        smallest = min(smallest, bits[i])
    position = n
    for i in range(n):
        position = min(position, i if bits[i] == smallest else n)
    return position


@compiled
def find_nearest(
    i: int, n: int, place_y: Array, place_phi: Array, row: Array, row_bits: Array, nearest: Array, gaps: Array
) -> None:
    """The nearest neighbour of ``i``; ``row`` receives all squared distances."""
    y, phi = place_y[i], place_phi[i]
    for j in range(n):
        dphi = abs(place_phi[j] - phi)
        dphi = min(dphi, TWO_PI - dphi)
        dy = place_y[j] - y
        row[j] = dy * dy + dphi * dphi
    row[i] = math.inf
    # as in find_smallest, which the compiler does not vectorise when it is called from here
    smallest = row_bits[0]
    for j in range(1, n):
        smallest = min(smallest, row_bits[j])
    position = n
    for j in range(n):
        position = min(position, j if row_bits[j] == smallest else n)
    nearest[i], gaps[i] = position, row[position]


@compiled
def _update_nearest(
    kept: int,
    gone: int,
    left: int,
    place_y: Array,
    place_phi: Array,
    hardness: Array,
    row: Array,
    row_bits: Array,
    nearest: Array,
    gaps: Array,
    measures: Array,
) -> None:
    """Mend the neighbours after ``kept`` has absorbed ``gone``, and number ``left`` has moved to ``gone``."""
    for i in range(left):
        neighbour = nearest[i]
        if i != kept and neighbour in (kept, gone):
            find_nearest(i, left, place_y, place_phi, row, row_bits, nearest, gaps)
            measures[i] = gaps[i] * min(hardness[i], hardness[nearest[i]])
        elif neighbour == left:
            nearest[i] = gone
    find_nearest(kept, left, place_y, place_phi, row, row_bits, nearest, gaps)
    measures[kept] = gaps[kept] * min(hardness[kept], hardness[nearest[kept]])
    for i in range(left):
        if row[i] < gaps[i]:
            nearest[i], gaps[i] = kept, row[i]
            measures[i] = row[i] * min(hardness[i], hardness[kept])


@compiled
def _merge_to_harder(kept: int, gone: int, place_y: Array, place_phi: Array, momenta: Array, hardness: Array) -> None:
    if hardness[gone] > hardness[kept]:
        place_y[kept], place_phi[kept] = place_y[gone], place_phi[gone]
    momenta[kept, 0] += momenta[gone, 0]
    hardness[kept] = momenta[kept, 0] * momenta[kept, 0]


@compiled
def add_momenta(kept: int, gone: int, place_y: Array, place_phi: Array, momenta: Array, hardness: Array) -> None:
    """Merge by the E-scheme: four-momenta add up, and ``kept`` moves to where their sum points."""
    for component in range(4):
        momenta[kept, component] += momenta[gone, component]
    energy, px, py, pz = momenta[kept, 0], momenta[kept, 1], momenta[kept, 2], momenta[kept, 3]
    pt_squared = px * px + py * py
    hardness[kept] = pt_squared
    phi = math.atan2(py, px)
    place_phi[kept] = phi + TWO_PI if phi < 0 else phi
    if pt_squared == 0:
        place_y[kept] = math.copysign(MAX_RAPIDITY, pz)
        return
    mass_squared = max((energy + pz) * (energy - pz) - pt_squared, 0.0)
    along = energy + abs(pz)
    y = -0.5 * math.log((pt_squared + mass_squared) / (along * along))
    place_y[kept] = math.copysign(y, pz)
