"""Sums over the particles of a jet."""

import math

import numpy as np

from hepimg.kernels.arrays import Array, Floats, common_float, frozen, frozen_offsets
from hepimg.kernels.threads import LIGHT_ROWS, compiled, over_rows

TWO_PI = 2 * math.pi


def four_momentum(offsets: Array, pt: Array, y: Array, phi: Array, mass: Array | None = None) -> Floats:
    """E, px, py, pz of each jet: the sum over its particles in double precision, shape (n_jets, 4), in units of pT.

    Args:
        offsets: particles of each jet, shape (n_jets + 1,).
        pt: transverse momentum, shape (n_particles,).
        y: rapidity (for massless particles the pseudorapidity), shape (n_particles,).
        phi: azimuth in radians, shape (n_particles,).
        mass: mass in units of pT, shape (n_particles,); None for massless particles.
    """
    offsets = frozen_offsets(offsets)
    masses = np.zeros(len(pt)) if mass is None else mass
    sums = np.zeros((len(offsets) - 1, 4))
    fields = (frozen(field, np.float64) for field in (pt, y, phi, masses))
    over_rows(_four_momentum, len(sums), offsets, *fields, sums, least=LIGHT_ROWS)
    return sums


def transverse_momentum(momentum: Array) -> Floats:
    """Transverse part of four-momenta (n, 4)."""
    transverse: Floats = np.hypot(momentum[:, 1], momentum[:, 2])
    return transverse


def invariant_mass(momentum: Array) -> Floats:
    """Mass of four-momenta (n, 4): sqrt(max(0, E^2 - p^2))."""
    energy, px, py, pz = momentum.T
    # (E - pz)(E + pz) loses fewer digits than E^2 - pz^2
    square = (energy - pz) * (energy + pz) - px * px - py * py
    mass: Floats = np.sqrt(np.maximum(square, 0))
    return mass


def azimuth(momentum: Array) -> Floats:
    """Azimuth of four-momenta (n, 4), in (-pi, pi]; 0 for momenta along the beam."""
    phi: Floats = np.arctan2(momentum[:, 2], momentum[:, 1])
    return phi


def rapidity(momentum: Array) -> Floats:
    """Rapidity of four-momenta (n, 4); 0 for momenta that are zero."""
    energy, pz = momentum[:, 0], momentum[:, 3]
    transverse_mass_squared = transverse_momentum(momentum) ** 2 + invariant_mass(momentum) ** 2
    safe = transverse_mass_squared > 0
    # log((E + |pz|) / mT): no difference of near-equal numbers
    ratio = np.where(safe, (energy + np.abs(pz)) / np.sqrt(np.where(safe, transverse_mass_squared, 1)), 1)
    y: Floats = np.copysign(np.log(ratio), pz)
    return y


def pseudorapidity(momentum: Array) -> Floats:
    """Pseudorapidity of four-momenta (n, 4); 0 for momenta without transverse part."""
    transverse = transverse_momentum(momentum)
    eta: Floats = np.arcsinh(momentum[:, 3] / np.where(transverse > 0, transverse, np.inf))
    return eta


def girth(offsets: Array, pt: Array, y: Array, phi: Array, axis_y: Array, axis_phi: Array) -> Floats:
    """pT-weighted mean distance in the (y, phi) plane from an axis, shape (n_jets,), in radians.

    Also called width or w_pf: ``sum pT dR(i, axis) / sum pT``; 0 where the sum of pT is zero.
    """
    offsets = frozen_offsets(offsets)
    sums = np.zeros(len(offsets) - 1)
    fields = (frozen(field, np.float64) for field in (pt, y, phi, axis_y, axis_phi))
    over_rows(_girth, len(sums), offsets, *fields, sums, least=LIGHT_ROWS)
    return ratio(sums, total(offsets, pt))


def jet_charge(offsets: Array, pt: Array, charge: Array, kappa: float = 0.5) -> Floats:
    """``sum Q_i pT_i^kappa / (sum pT)^kappa`` (Field and Feynman 1978), in units of e; 0 for jets without pT."""
    weighted = charge * pt.astype(np.float64) ** kappa
    return ratio(total(offsets, weighted), total(offsets, pt) ** kappa)


def total(offsets: Array, values: Array) -> Floats:
    """Sum of ``values`` (n_particles,) over each jet in double precision, shape (n_jets,)."""
    offsets = frozen_offsets(offsets)
    sums = np.zeros(len(offsets) - 1)
    over_rows(_total, len(sums), offsets, frozen(values, common_float(values)), sums, least=LIGHT_ROWS)
    return sums


def nth_hardest(offsets: Array, pt: Array, n: int) -> Floats:
    """The pT of the ``n``-th hardest particle (1: the hardest) of each jet (n_jets,); 0 where there are fewer."""
    if n < 1:
        raise ValueError(f"particles are counted from 1, not {n}")
    offsets = frozen_offsets(offsets)
    found = np.zeros(len(offsets) - 1)
    over_rows(_nth_hardest, len(found), offsets, frozen(pt, np.float64), n, found, least=LIGHT_ROWS)
    return found


def ratio(numerator: Floats, denominator: Array) -> Floats:
    """``numerator / denominator``, and 0 where the denominator is not positive."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)


@compiled
def _total(first: int, last: int, offsets: Array, values: Array, sums: Array) -> None:
    for jet in range(first, last):
        for i in range(offsets[jet], offsets[jet + 1]):
            sums[jet] += values[i]


@compiled
def _girth(
    first: int, last: int, offsets: Array, pt: Array, y: Array, phi: Array, axis_y: Array, axis_phi: Array, sums: Array
) -> None:
    for jet in range(first, last):
        for i in range(offsets[jet], offsets[jet + 1]):
            dphi = phi[i] - axis_phi[jet]
            dphi -= TWO_PI * np.rint(dphi / TWO_PI)
            dy = y[i] - axis_y[jet]
            sums[jet] += pt[i] * math.sqrt(dy * dy + dphi * dphi)


@compiled
def _four_momentum(
    first: int, last: int, offsets: Array, pt: Array, y: Array, phi: Array, mass: Array, sums: Array
) -> None:
    for jet in range(first, last):
        for i in range(offsets[jet], offsets[jet + 1]):
            transverse_mass = math.sqrt(pt[i] * pt[i] + mass[i] * mass[i])
            sums[jet, 0] += transverse_mass * math.cosh(y[i])
            sums[jet, 1] += pt[i] * math.cos(phi[i])
            sums[jet, 2] += pt[i] * math.sin(phi[i])
            sums[jet, 3] += transverse_mass * math.sinh(y[i])


@compiled
def _nth_hardest(first: int, last: int, offsets: Array, pt: Array, n: int, found: Array) -> None:
    top = np.zeros(n)
    for jet in range(first, last):
        top[:] = 0
        for i in range(offsets[jet], offsets[jet + 1]):
            if pt[i] <= top[n - 1]:
                continue
            place = n - 1
            while place > 0 and top[place - 1] < pt[i]:
                top[place] = top[place - 1]
                place -= 1
            top[place] = pt[i]
        found[jet] = top[n - 1]
