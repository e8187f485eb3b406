"""Electric charges from PDG numbers, for files that do not give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ELEMENTARY = np.zeros(100, np.int64)
"""Thirds of e, by PDG number: quarks, charged leptons, W, W', H+; all others are neutral."""
ELEMENTARY[[1, 3, 5, 7]], ELEMENTARY[[2, 4, 6, 8]] = -1, 2
ELEMENTARY[[11, 13, 15, 17]], ELEMENTARY[[24, 34, 37]] = -3, 3

SUPERPARTNERS = 1_000_000
"""The last six digits of a superpartner's number (1... and 2...) are its partner's."""

NUCLEI = 1_000_000_000
"""Numbers of nuclei are 10LZZZAAAI."""


def charges_of(pdg_id: NDArray[Any]) -> NDArray[np.float32]:
    """Charges in units of e, by the Particle Data Group's Monte Carlo numbering scheme (Review of Particle Physics).

    A hadron's or diquark's number ends in the digits of its quarks and of its spin: a baryon's and a diquark's charge
    is the sum over the quarks.  A meson is a quark and an antiquark; of the two, the one of up type is the quark.
    Superpartners are charged as their partners, a nucleus has its Z; R-hadrons and hidden sectors are not known here.

    Args:
        pdg_id: (n,) integers; a negative number is the antiparticle.

    Returns:
        (n,) float32.
    """
    kind = np.abs(np.asarray(pdg_id, np.int64))
    kind = np.where((kind >= SUPERPARTNERS) & (kind < 3 * SUPERPARTNERS), kind % SUPERPARTNERS, kind)
    q3, q2, q1 = (kind // 10**place % 10 for place in (1, 2, 3))
    baryon = sum(ELEMENTARY[quark] for quark in (q1, q2, q3))
    meson = np.where(q2 % 2 == 0, 1, -1) * (ELEMENTARY[q2] - ELEMENTARY[q3])
    thirds = np.where(q1 == 0, meson, baryon)
    thirds = np.where(kind < len(ELEMENTARY), ELEMENTARY[np.minimum(kind, len(ELEMENTARY) - 1)], thirds)
    thirds = np.where(kind >= NUCLEI, 3 * (kind // 10_000 % 1000), thirds)
    return np.asarray(np.sign(pdg_id) * thirds / 3, np.float32)
