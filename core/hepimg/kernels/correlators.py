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
from hepimg.kernels.power import raise_to
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi
BLOCK = 8
"""Numbers in the widest vector register."""


def two_point(offsets: Array, pt: Array, y: Array, phi: Array, beta: float) -> Floats:
    """The two-point correlator e2 of each jet, shape (n_jets,); 0 where the sum of pT is zero."""
    return _correlators(offsets, pt, y, phi, beta, three=False)[:, 0]


def three_point(offsets: Array, pt: Array, y: Array, phi: Array, beta: float) -> Floats:
    """The correlators e2, e3 and 2e3 of each jet, shape (n_jets, 3); zeros where the sum of pT is zero.

    The time grows with the third power of the number of particles.
    """
    return _correlators(offsets, pt, y, phi, beta, three=True)


def _correlators(offsets: Array, pt: Array, y: Array, phi: Array, beta: float, three: bool) -> Floats:
    if not beta > 0:
        raise ValueError(f"the power of the distance must be positive, not {beta}")
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
    # without changing the order of the additions.  Indices are unsigned: of a signed one the compiler must think that
    # it may count from the end, and then it makes no vectors.
    room = (longest + BLOCK - 1) // BLOCK * BLOCK
    z, dy, dphi, inner = np.empty(room), np.empty(room), np.empty(room), np.empty((3, room))
    powers, scratch = np.empty(BLOCK * room), np.empty(BLOCK * room)
    power_bits, scratch_bits = powers.view(np.uint64), scratch.view(np.uint64)
    distances = np.empty((longest if three else 0, room))
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        total = 0.0
        for i in range(n):
            total += pt[start + i]
        if total <= 0:
            continue
        # particles without pT fill up the last block
        filled = (n + BLOCK - 1) // BLOCK * BLOCK
        z[n:filled] = dy[n:filled] = dphi[n:filled] = 0.0
        for i in range(n):
            z[i] = pt[start + i] / total
            dy[i] = y[start + i]
            turns = (phi[start + i] - phi[start]) / TWO_PI
            dphi[i] = phi[start + i] - phi[start] - TWO_PI * math.floor(turns + 0.5)
        inner[:, :filled] = 0.0
        for block in range(0, filled, BLOCK):
            _distances(block, filled, dy, dphi, beta, powers, power_bits, scratch, scratch_bits)
            for i in range(block, min(block + BLOCK, n)):
                row = np.uint64((i - block) * (filled - block))
                # pairs within one block come twice
                for j in range(np.uint64(BLOCK)):
                    inner[0, np.uint64(block) + j] += 0.5 * z[i] * powers[row + j]
                for j in range(np.uint64(BLOCK), np.uint64(filled - block)):
                    inner[0, np.uint64(block) + j] += z[i] * powers[row + j]
                if three:
                    for j in range(np.uint64(filled - block)):
                        distances[i, np.uint64(block) + j] = powers[row + j]
        if three:
            _add_triples(n, z, distances, inner)
        for j in range(n):
            for order in range(3):
                sums[jet, order] += z[j] * inner[order, j]


@compiled
def _distances(
    block: int,
    filled: int,
    y: Array,
    phi: Array,
    beta: float,
    powers: Array,
    power_bits: Array,
    scratch: Array,
    scratch_bits: Array,
) -> None:
    """dR^beta from each particle of a block to the particles ``block:filled``, row after row.

    The rows of a block have one length, and the power is taken of all of them in one long loop.
    """
    length = np.uint64(filled - block)
    for i in range(BLOCK):
        row = np.uint64(i) * length
        for j in range(length):
            dphi = abs(phi[block + i] - phi[np.uint64(block) + j])
            dphi = min(dphi, TWO_PI - dphi)
            dy = y[block + i] - y[np.uint64(block) + j]
            powers[row + j] = dy * dy + dphi * dphi
    n = BLOCK * (filled - block)
    if beta == 1:
        for j in range(n):
            powers[j] = math.sqrt(powers[j])
    elif beta == 0.5:
        for j in range(n):
            powers[j] = math.sqrt(math.sqrt(powers[j]))
    elif beta != 2:
        raise_to(0.5 * beta, n, powers, power_bits, scratch, scratch_bits)


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
