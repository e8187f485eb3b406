"""Which particles of a jet survive grooming: soft drop and trimming."""

import math

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, Floats
from hepimg.kernels.reclustering import recluster, with_momentum
from hepimg.kernels.threads import compiled, over_rows


def soft_drop(
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array | None = None,
    *,
    z_cut: float = 0.1,
    beta: float = 0.0,
    r0: float = 0.8,
) -> tuple[NDArray[np.bool_], Floats]:
    """Undo a Cambridge/Aachen clustering until ``z > z_cut (dR / R0)^beta``, following the harder branch.

    z = min(pT_1, pT_2) / (pT_1 + pT_2) (Larkoski, Marzani, Soyez and Thaler, arXiv:1402.2657, eq. 1.1).  With beta = 0
    this is the modified mass drop (Dasgupta, Fregoso, Marzani and Salam, arXiv:1307.0007) without a cut on the mass.

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity, shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        mass: mass in units of pT, shape (n_particles,); None for massless particles.
        z_cut: smallest share of the softer branch, at dR = R0.
        beta: power of the distance.
        r0: the distance that ``z_cut`` belongs to.

    Returns:
        Which particles are left, shape (n_particles,), and z, dR and mu of the splitting where it stopped, shape
        (n_jets, 3); mu is the mass of the heavier branch over the mass of both.  Where no splitting passes, the last
        particle is left, and the three are 0.
    """
    some, offsets, particles = with_momentum(offsets, pt, y, phi, mass)
    left, splittings = np.zeros(len(particles[0]), bool), np.zeros((len(offsets) - 1, 3))
    over_rows(_soft_drop, len(splittings), offsets, *particles, float(z_cut), float(beta), float(r0), left, splittings)
    return _among_all(some, left), splittings


def trim(
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array | None = None,
    *,
    radius: float = 0.3,
    fraction: float = 0.05,
    by_pt: bool = True,
) -> NDArray[np.bool_]:
    """Cluster each jet into subjets and drop the soft ones (Krohn, Thaler and Wang, arXiv:0912.1342).

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity, shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        mass: mass in units of pT, shape (n_particles,); None for massless particles.
        radius: of the subjets.
        fraction: subjets with a smaller share of the jet's transverse momentum are dropped.
        by_pt: kt subjets, as in the paper; otherwise Cambridge/Aachen.

    Returns:
        Which particles are left, shape (n_particles,).
    """
    some, offsets, particles = with_momentum(offsets, pt, y, phi, mass)
    left = np.zeros(len(particles[0]), bool)
    over_rows(_trim, len(offsets) - 1, offsets, *particles, float(radius), float(fraction), bool(by_pt), left)
    return _among_all(some, left)


def _among_all(some: NDArray[np.bool_], left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    keep = some.copy()
    keep[some] = left
    return keep


@compiled
def _soft_drop(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array,
    z_cut: float,
    beta: float,
    r0: float,
    left: Array,
    splittings: Array,
) -> None:
    for jet in range(first, last):
        a, b = offsets[jet], offsets[jet + 1]
        if a == b:
            continue
        nodes, parents, children, momenta, opening = recluster(False, math.inf, y[a:b], phi[a:b], pt[a:b], mass[a:b])
        node = nodes - 1
        while children[node, 0] >= 0:
            one, two = children[node, 0], children[node, 1]
            pt_one, pt_two = _pt(one, momenta), _pt(two, momenta)
            distance, z = math.sqrt(opening[node]), min(pt_one, pt_two) / (pt_one + pt_two)
            if z > z_cut * (distance / r0) ** beta:
                splittings[jet, 0], splittings[jet, 1] = z, distance
                both = _mass(node, momenta)
                if both > 0:
                    splittings[jet, 2] = max(_mass(one, momenta), _mass(two, momenta)) / both
                break
            node = one if pt_one >= pt_two else two
        alive = np.zeros(nodes, dtype=np.bool_)
        alive[node] = True
        for below in range(node - 1, -1, -1):
            alive[below] = parents[below] >= 0 and alive[parents[below]]
        for i in range(b - a):
            left[a + i] = alive[i]


@compiled
def _trim(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array,
    radius: float,
    fraction: float,
    by_pt: bool,
    left: Array,
) -> None:
    for jet in range(first, last):
        a, b = offsets[jet], offsets[jet + 1]
        if a == b:
            continue
        nodes, parents, _, momenta, _ = recluster(by_pt, radius, y[a:b], phi[a:b], pt[a:b], mass[a:b])
        px, py = 0.0, 0.0
        for i in range(b - a):
            px, py = px + momenta[i, 1], py + momenta[i, 2]
        threshold = fraction * math.sqrt(px * px + py * py)
        alive = np.zeros(nodes, dtype=np.bool_)
        for node in range(nodes - 1, -1, -1):
            alive[node] = alive[parents[node]] if parents[node] >= 0 else _pt(node, momenta) >= threshold
        for i in range(b - a):
            left[a + i] = alive[i]


@compiled
def _pt(node: int, momenta: Array) -> float:
    px, py = momenta[node, 1], momenta[node, 2]
    return math.sqrt(px * px + py * py)


@compiled
def _mass(node: int, momenta: Array) -> float:
    energy, px, py, pz = momenta[node, 0], momenta[node, 1], momenta[node, 2], momenta[node, 3]
    return math.sqrt(max((energy - pz) * (energy + pz) - px * px - py * py, 0.0))
