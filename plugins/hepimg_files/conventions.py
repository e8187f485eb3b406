"""Units and four-vector conventions of files: converted where they are known, checked where they are not."""

from __future__ import annotations

from collections.abc import Mapping
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
    pz = pt * np.sinh(np.asarray(eta, np.float64))
    return {"pt": pt, "y": _rapidity(pz, np.hypot(pt, mass)), "phi": wrapped(phi), "mass": mass}


def from_cartesian(
    px: NDArray[Any], py: NDArray[Any], pz: NDArray[Any], energy: NDArray[Any], where: str = ""
) -> dict[str, Floats]:
    """pt, y, phi, mass of four-vectors; the mass of a space-like one within rounding is 0.

    Raises:
        DataError: an energy is smaller than the momentum by more than single precision explains.
    """
    px, py, pz, energy = (np.asarray(values, np.float64) for values in (px, py, pz, energy))
    momentum = np.sqrt(px**2 + py**2 + pz**2)
    wrong = energy < momentum * (1 - 1e-4) - 1e-3
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            f"entry {k}: E = {energy[k]:g} is smaller than |p| = {momentum[k]:g}",
            where=where,
            needed="four-vectors (E, px, py, pz) in one unit",
            fix="Are two columns exchanged?",
        )
    pt = np.hypot(px, py)
    mass = np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0))
    return {"pt": pt, "y": _rapidity(pz, np.hypot(pt, mass)), "phi": np.arctan2(py, px), "mass": mass}


def jet_columns(offsets: NDArray[np.int64], particles: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """pt, eta, y, phi, mass of the sum of the particles of each row; an empty row is all zeros."""
    pt, y, phi, mass = (np.asarray(particles[name], np.float64) for name in ("pt", "y", "phi", "mass"))
    transverse_mass = np.hypot(pt, mass)
    terms = (pt * np.cos(phi), pt * np.sin(phi), transverse_mass * np.sinh(y), transverse_mass * np.cosh(y))
    px, py, pz, energy = (_sums(offsets, values) for values in terms)
    sums, total = {"pt": np.hypot(px, py), "phi": np.arctan2(py, px)}, np.sqrt(px**2 + py**2 + pz**2)
    sums["mass"] = np.sqrt(np.maximum((energy - total) * (energy + total), 0))
    sums["eta"] = _rapidity(pz, sums["pt"])
    sums["y"] = _rapidity(pz, np.hypot(sums["pt"], sums["mass"]))
    return {name: sums[name].astype(np.float32) for name in JET_UNITS}


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


def _rapidity(pz: Floats, transverse_mass: Floats) -> Floats:
    """asinh(pz / mT); 0 for a particle at rest."""
    safe = np.where(transverse_mass > 0, transverse_mass, 1.0)
    return np.asarray(np.where(transverse_mass > 0, np.arcsinh(pz / safe), 0.0))


def _sums(offsets: NDArray[np.int64], values: Floats) -> Floats:
    """(n_rows,) sum of the entries of each row."""
    row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.asarray(np.bincount(row, weights=values, minlength=len(offsets) - 1))
