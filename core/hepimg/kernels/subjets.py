"""The subjets of each jet."""

import numpy as np
from numpy.typing import NDArray

from hepimg.kernels.arrays import Array, Floats
from hepimg.kernels.reclustering import recluster, with_momentum
from hepimg.kernels.threads import compiled, over_rows


def find_subjets(
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array | None = None,
    *,
    radius: float = 0.3,
    by_pt: bool = True,
) -> tuple[NDArray[np.int64], Floats]:
    """Cluster each jet anew, with a smaller radius (FastJet's inclusive algorithms).

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity, shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        mass: mass in units of pT, shape (n_particles,); None for massless particles.
        radius: of the subjets.
        by_pt: kt subjets; otherwise Cambridge/Aachen.

    Returns:
        Subjets of each jet, shape (n_jets + 1,), and their E, px, py and pz in units of pT, shape (n_subjets, 4), the
        hardest of a jet first.
    """
    _, inside, particles = with_momentum(offsets, pt, y, phi, mass)
    n_jets = len(inside) - 1
    found, counts = np.empty((len(particles[0]), 4)), np.zeros(n_jets, np.int64)
    over_rows(_find_subjets, n_jets, inside, *particles, float(radius), bool(by_pt), found, counts)
    jet = np.repeat(np.arange(n_jets), np.diff(inside))
    found = found[np.arange(len(found)) - inside[jet] < counts[jet]]
    order = np.lexsort((-np.hypot(found[:, 1], found[:, 2]), np.repeat(np.arange(n_jets), counts)))
    return np.concatenate([[0], np.cumsum(counts)]), found[order]


@compiled
def _find_subjets(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array,
    radius: float,
    by_pt: bool,
    found: Array,
    counts: Array,
) -> None:
    for jet in range(first, last):
        a, b = offsets[jet], offsets[jet + 1]
        if a == b:
            continue
        nodes, parents, _, momenta, _ = recluster(by_pt, radius, y[a:b], phi[a:b], pt[a:b], mass[a:b])
        n = 0
        for node in range(nodes):
            if parents[node] < 0:
                found[a + n] = momenta[node]
                n += 1
        counts[jet] = n
