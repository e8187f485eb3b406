"""Energy correlation functions of two and three particles.

Larkoski, Salam, Thaler, arXiv:1305.0007; Moult, Necib, Thaler, arXiv:1609.07483.

With z = pT / sum pT and dR the distance in the (y, phi) plane,

- e2 = sum_{i<j} z_i z_j dR_ij^beta, also written C_beta;
- e3 = sum_{i<j<k} z_i z_j z_k (dR_ij dR_ik dR_jk)^beta;
- 2e3 = the same sum over the product of the two smallest of the three distances.
"""

import math

import numpy as np

from hepimg.kernels.arrays import Array, Floats, frozen, frozen_offsets, longest_row
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi


def two_point(offsets: Array, pt: Array, y: Array, phi: Array, beta: float) -> Floats:
    """The two-point correlator e2 of each jet, shape (n_jets,); 0 where the sum of pT is zero."""
    return _correlators(offsets, pt, y, phi, beta, three=False)[:, 0]


def three_point(offsets: Array, pt: Array, y: Array, phi: Array, beta: float) -> Floats:
    """The correlators e2, e3 and 2e3 of each jet, shape (n_jets, 3); zeros where the sum of pT is zero.

    The time grows with the third power of the number of particles.
    """
    return _correlators(offsets, pt, y, phi, beta, three=True)


def _correlators(offsets: Array, pt: Array, y: Array, phi: Array, beta: float, three: bool) -> Floats:
    offsets = frozen_offsets(offsets)
    sums = np.zeros((len(offsets) - 1, 3))
    fields = (frozen(field, np.float64) for field in (pt, y, phi))
    over_rows(_correlate, len(sums), offsets, *fields, float(beta), three, longest_row(offsets), sums)
    return sums


@compiled
def _correlate(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    beta: float,
    three: bool,
    longest: int,
    sums: Array,
) -> None:
    # Every inner loop writes into an array instead of one sum: only so may the compiler use vector instructions
    # without changing the order of the additions.
    z, dy, dphi, inner = np.empty(longest), np.empty(longest), np.empty(longest), np.empty((3, longest))
    distances = np.empty((longest if three else 1, longest))
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        total = 0.0
        for i in range(n):
            total += pt[start + i]
        if total <= 0:
            continue
        for i in range(n):
            z[i] = pt[start + i] / total
            dy[i] = y[start + i]
            turns = (phi[start + i] - phi[start]) / TWO_PI
            dphi[i] = phi[start + i] - phi[start] - TWO_PI * math.floor(turns + 0.5)
        inner[:, :n] = 0.0
        for i in range(n):
            row = distances[i if three else 0]
            _distances(i, n, dy, dphi, beta, row)
            for j in range(i + 1, n):
                inner[0, j] += z[i] * row[j]
        if three:
            _add_triples(n, z, distances, inner)
        for j in range(n):
            for order in range(3):
                sums[jet, order] += z[j] * inner[order, j]


@compiled
def _distances(i: int, n: int, y: Array, phi: Array, beta: float, row: Array) -> None:
    """dR^beta from particle i to every later one."""
    for j in range(i + 1, n):
        dphi = abs(phi[i] - phi[j])
        dphi = min(dphi, TWO_PI - dphi)
        dy = y[i] - y[j]
        row[j] = dy * dy + dphi * dphi
    if beta == 1:
        for j in range(i + 1, n):
            row[j] = math.sqrt(row[j])
    elif beta == 0.5:
        for j in range(i + 1, n):
            row[j] = math.sqrt(math.sqrt(row[j]))
    elif beta != 2:
        for j in range(i + 1, n):
            # half the time of a power, and as exact for distances between 1e-10 and 10
            row[j] = math.exp(0.5 * beta * math.log(row[j])) if row[j] > 0 else 0.0


@compiled
def _add_triples(n: int, z: Array, distances: Array, inner: Array) -> None:
    for i in range(n):
        from_i = distances[i]
        for j in range(i + 1, n):
            from_j, weight, side = distances[j], z[i] * z[j], from_i[j]
            for k in range(j + 1, n):
                opposite = from_i[k] * from_j[k]
                inner[1, k] += weight * side * opposite
                inner[2, k] += weight * min(opposite, side * from_i[k], side * from_j[k])
