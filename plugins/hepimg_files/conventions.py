"""Units and four-vector conventions of files: converted where they are known, checked where they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.sample import Sample

Floats = NDArray[np.float64]

Unit = Literal["GeV", "MeV", "TeV"]

IN_GEV: Mapping[Unit, float] = {"GeV": 1.0, "MeV": 1e-3, "TeV": 1e3}
"""What a momentum, an energy or a mass is multiplied by."""

PARTICLE_UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV"}
"""The fields that every collection of particles has."""

JET_UNITS = {"pt": "GeV", "eta": "", "y": "", "phi": "rad", "mass": "GeV"}
"""The columns that every jet has."""

JET_PT = (1.0, 50_000.0)
"""GeV; the median jet of a file lies between: no collider was ever planned for harder ones."""

MAX_PHI = 2 * np.pi + 0.01
"""Azimuth is given in (-pi, pi] or [0, 2 pi); more means degrees."""


def from_eta(pt: NDArray[Any], eta: NDArray[Any], phi: NDArray[Any], mass: NDArray[Any]) -> dict[str, Floats]:
    """pt, y, phi, mass of particles whose pseudorapidity is given; phi in (-pi, pi].

    Slightly negative masses, the rounding of single precision, become 0.
    """
    pt, mass = np.asarray(pt, np.float64), np.maximum(np.asarray(mass, np.float64), 0)
    return {"pt": pt, "y": rapidity(pt, eta, mass), "phi": wrapped(phi), "mass": mass}


def rapidity(pt: NDArray[Any], eta: NDArray[Any], mass: NDArray[Any]) -> Floats:
    """Rapidity from pT, pseudorapidity and mass (pT and mass in one unit); 0 for what is at rest."""
    pt = np.asarray(pt, np.float64)
    return _asinh(pt * np.sinh(np.asarray(eta, np.float64)), np.hypot(pt, mass))


def pseudorapidity(pt: NDArray[Any], y: NDArray[Any], mass: NDArray[Any]) -> Floats:
    """Pseudorapidity from pT, rapidity and mass (pT and mass in one unit); 0 where there is no pT."""
    pt = np.asarray(pt, np.float64)
    return _asinh(np.hypot(pt, mass) * np.sinh(np.asarray(y, np.float64)), pt)


def from_cartesian(
    px: NDArray[Any], py: NDArray[Any], pz: NDArray[Any], energy: NDArray[Any], place: Callable[[int], str]
) -> dict[str, Floats]:
    """pt, y, phi, mass of four-vectors; the mass of a space-like one within rounding is 0.

    Args:
        px: (n,), as the others, in the unit of the energy.
        py: (n,)
        pz: (n,)
        energy: (n,)
        place: says where the k-th four-vector stands in its file.

    Raises:
        DataError: an energy is smaller than the momentum by more than single precision explains.
    """
    px, py, pz, energy = (np.asarray(values, np.float64) for values in (px, py, pz, energy))
    momentum = np.sqrt(px**2 + py**2 + pz**2)
    wrong = energy < momentum * (1 - 1e-4) - 1e-3
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            f"{place(k)}: E = {energy[k]:g} is smaller than |p| = {momentum[k]:g}",
            needed="four-vectors (E, px, py, pz) in one unit",
            fix="Are two columns exchanged?",
        )
    pt = np.hypot(px, py)
    mass = np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0))
    return {"pt": pt, "y": _asinh(pz, np.hypot(pt, mass)), "phi": np.arctan2(py, px), "mass": mass}


def place_in(offsets: NDArray[np.int64], first: int, what: str) -> Callable[[int], str]:
    """Says where the k-th entry of a collection stands: its row in the file, and its number in the row.

    Args:
        offsets: (n_rows + 1,) entries of each row.
        first: number of the first row in the file.
        what: name of the collection.
    """

    def place(k: int) -> str:
        row = int(np.searchsorted(offsets, k, side="right")) - 1
        return f"entry {first + row}, {what}[{k - offsets[row]}]"

    return place


def jet_columns(offsets: NDArray[np.int64], particles: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """pt, eta, y, phi, mass of the sum of the particles of each row; an empty row is all zeros."""
    from hepimg.kernels import moments

    momentum = moments.four_momentum(offsets, *(particles[name] for name in PARTICLE_UNITS))
    sums = {
        "pt": moments.transverse_momentum(momentum),
        "eta": moments.pseudorapidity(momentum),
        "y": moments.rapidity(momentum),
        "phi": moments.azimuth(momentum),
        "mass": moments.invariant_mass(momentum),
    }
    return {name: values.astype(np.float32) for name, values in sums.items()}


def wrapped(phi: NDArray[Any]) -> Floats:
    """Angles in (-pi, pi]; those that are there already keep every digit.

    Raises:
        DataError: one is too large to be an azimuth in radians.
    """
    phi = np.asarray(phi, np.float64)
    if len(phi) and float(np.abs(phi).max()) > MAX_PHI:
        raise DataError(f"|phi| = {np.abs(phi).max():g}", needed="an azimuth in radians")
    outside = (phi > np.pi) | (phi <= -np.pi)
    return np.where(outside, np.pi - np.remainder(np.pi - phi, 2 * np.pi), phi)


def check_units(sample: Sample, rows_are_jets: bool, where: str) -> None:
    """Jets have a believable pT.

    Raises:
        DataError: MeV or TeV were found.
    """
    if not rows_are_jets or "pt" not in sample.columns or not np.any(sample.column("pt")):
        return
    median = float(np.median(sample.column("pt")[sample.column("pt") > 0]))  # a jet without constituents has none
    if not JET_PT[0] <= median <= JET_PT[1]:
        looks = "MeV" if median > JET_PT[1] else "TeV, or momenta relative to the jet's"
        raise DataError(
            f"a median jet pT of {median:g} GeV: these look like {looks}",
            where=where,
            needed="momenta in GeV",
            fix="Give the unit of the file (unit: MeV) where the layout has that option, or convert the file.",
        )


def _asinh(longitudinal: Floats, transverse: Floats) -> Floats:
    """asinh(pz / mT) is the rapidity, asinh(pz / pT) the pseudorapidity; 0 where nothing is transverse."""
    safe = np.where(transverse > 0, transverse, 1.0)
    return np.asarray(np.where(transverse > 0, np.arcsinh(longitudinal / safe), 0.0))
