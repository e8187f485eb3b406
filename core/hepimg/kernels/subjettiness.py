"""N-subjettiness (Thaler and Van Tilburg, arXiv:1011.2268 and arXiv:1108.2701).

tau_N = sum_i pT_i min_k dR(i, axis k)^beta, divided by R0^beta sum pT where normalised.
"""

import math

import numpy as np

from hepimg.kernels import SUBJETTINESS_AXES
from hepimg.kernels.arrays import Array, Floats, frozen, frozen_offsets, longest_row
from hepimg.kernels.clustering import MAX_AXES, kt_axes
from hepimg.kernels.threads import compiled, over_rows

TWO_PI = 2 * math.pi
MAX_ITERATIONS = 1000
"""The minimisation ends after so many steps at the latest, as in fastjet-contrib."""


def subjettiness(
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array | None = None,
    *,
    axes: str = "onepass_kt",
    beta: float = 1.0,
    r0: float | None = None,
    accuracy: float = 1e-4,
) -> Floats:
    """tau_1 to tau_4 of each jet, from one clustering.

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity, shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        mass: mass in units of pT, shape (n_particles,); None for massless particles.
        axes: pseudojets of exclusive kt clustering (``kt``), the same with winner-take-all recombination (``wta_kt``),
            or either as the start of a local minimisation of tau_N (``onepass_...``).
        beta: power of the distance.
        r0: jet radius of the normalisation; None leaves tau unnormalised, in units of pT.
        accuracy: the minimisation ends when the axes move by no more than this on average, in radians.  FastJet's
            Python njettiness uses 1e-4; the values printed with fastjet-contrib's examples come out with 1e-5.

    Returns:
        Shape (n_jets, 4).  tau_N is 0 for jets of N particles or fewer.
    """
    if axes not in SUBJETTINESS_AXES:
        raise ValueError(f"axes {axes!r} are not known; there are {', '.join(SUBJETTINESS_AXES)}")
    offsets = frozen_offsets(offsets)
    masses = np.zeros(len(pt)) if mass is None else mass
    turned = np.asarray(phi, dtype=np.float64) % TWO_PI
    taus = np.zeros((len(offsets) - 1, MAX_AXES))
    fields = (frozen(field, np.float64) for field in (pt, y, turned, masses))
    winner_takes_all, minimise = "wta" in axes, axes.startswith("onepass")
    over_rows(
        _subjettiness,
        len(taus),
        offsets,
        *fields,
        winner_takes_all,
        minimise,
        float(beta),
        float(accuracy),
        longest_row(offsets),
        taus,
    )
    if r0 is not None:
        scale = r0**beta * np.bincount(np.repeat(np.arange(len(taus)), np.diff(offsets)), pt, len(taus))
        taus /= np.where(scale > 0, scale, 1)[:, np.newaxis]
    return taus


@compiled
def _subjettiness(
    first: int,
    last: int,
    offsets: Array,
    pt: Array,
    y: Array,
    phi: Array,
    mass: Array,
    winner_takes_all: bool,
    minimise: bool,
    beta: float,
    accuracy: float,
    longest: int,
    taus: Array,
) -> None:
    axes = np.empty((MAX_AXES, MAX_AXES, 2))
    # squared distance to the nearest axis, its number, and the way there
    nearest = np.empty((4, longest))
    for jet in range(first, last):
        start, stop = offsets[jet], offsets[jet + 1]
        n = stop - start
        if n < 2:
            continue
        jet_pt, jet_y, jet_phi = pt[start:stop], y[start:stop], phi[start:stop]
        kt_axes(winner_takes_all, n, jet_y, jet_phi, jet_pt, mass[start:stop], axes)
        for n_axes in range(1, min(MAX_AXES, n - 1) + 1):
            own = axes[n_axes - 1]
            if minimise:
                _minimise(n_axes, own, jet_pt, jet_y, jet_phi, beta, accuracy, nearest)
            _assign(n_axes, own, jet_y, jet_phi, nearest)
            tau = 0.0
            for i in range(n):
                tau += jet_pt[i] * _power(nearest[0, i], beta)
            taus[jet, n_axes - 1] = tau


@compiled
def _power(square: float, beta: float) -> float:
    if beta == 1:
        return math.sqrt(square)
    return square if beta == 2 else square ** (0.5 * beta)


@compiled
def _assign(n_axes: int, axes: Array, y: Array, phi: Array, nearest: Array) -> None:
    # No branches: the compiler turns the loop over particles into vector instructions.
    n = len(y)
    nearest[0, :n] = math.inf
    for k in range(n_axes):
        axis_y, axis_phi = axes[k, 0], axes[k, 1]
        for i in range(n):
            dy, dphi = y[i] - axis_y, phi[i] - axis_phi
            dphi = dphi - TWO_PI if dphi > math.pi else dphi
            dphi = dphi + TWO_PI if dphi < -math.pi else dphi
            square = dy * dy + dphi * dphi
            closer = square < nearest[0, i]
            nearest[0, i] = square if closer else nearest[0, i]
            nearest[1, i] = k if closer else nearest[1, i]
            nearest[2, i] = dy if closer else nearest[2, i]
            nearest[3, i] = dphi if closer else nearest[3, i]


@compiled
def _minimise(
    n_axes: int, axes: Array, pt: Array, y: Array, phi: Array, beta: float, accuracy: float, nearest: Array
) -> None:
    """Move each axis to the mean of its particles, weighted by pT dR^(beta - 2), until the axes rest.

    A fixed point is a stationary point of tau_N (Lloyd's and Weiszfeld's iteration, arXiv:1108.2701 section 4).
    """
    n = len(pt)
    sums = np.empty((3, n_axes))
    weights = np.empty(n)
    for _ in range(MAX_ITERATIONS):
        _assign(n_axes, axes, y, phi, nearest)
        for i in range(n):
            # the constant keeps the weight finite where a particle lies on its axis
            weights[i] = accuracy * accuracy + nearest[0, i]
        if beta == 1:
            for i in range(n):
                weights[i] = pt[i] / math.sqrt(weights[i])
        else:
            for i in range(n):
                weights[i] = pt[i] if beta == 2 else pt[i] * weights[i] ** (0.5 * beta - 1)
        sums[:] = 0.0
        for i in range(n):
            k = int(nearest[1, i])
            sums[0, k] += weights[i]
            sums[1, k] += weights[i] * nearest[2, i]
            sums[2, k] += weights[i] * nearest[3, i]
        moved = 0.0
        for k in range(n_axes):
            if sums[0, k] > 0:
                dy, dphi = sums[1, k] / sums[0, k], sums[2, k] / sums[0, k]
                axes[k, 0] += dy
                axes[k, 1] = (axes[k, 1] + dphi) % TWO_PI
                moved += math.sqrt(dy * dy + dphi * dphi)
        if moved / n_axes <= accuracy:
            break
