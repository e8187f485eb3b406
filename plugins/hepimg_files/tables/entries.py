"""Entries of ragged collections: grouped, joined; directions checked, momenta converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.checks import LIMITS
from hepimg.errors import DataError
from hepimg.rows import offsets_of
from hepimg.sample import Ragged
from hepimg_files.conventions import MAX_PHI, PARTICLE_UNITS, from_eta, place_in

Array = NDArray[Any]

SOUND = {
    "eta": (LIMITS["eta"], f"|eta| up to {LIMITS['eta']:g}"),
    "phi": (MAX_PHI, "an azimuth in radians"),
    **dict.fromkeys(("pt", "mass", "px", "py", "pz", "energy"), (np.finfo(np.float32).max, "finite numbers")),
}
"""The largest size of each coordinate, and what is said beyond it."""


def grouped(row: NDArray[np.int64], entry: NDArray[np.int64], n_rows: int, particles: Ragged) -> Ragged:
    """A collection of ``n_rows`` rows from pairs of a row and an entry; within a row in the order of the pairs."""
    entries = entry[np.argsort(row, kind="stable")]
    fields = {name: values[entries] for name, values in particles.fields.items()}
    return replace(particles, offsets=offsets_of(np.bincount(row, minlength=n_rows)), fields=fields)


def joined(parts: Sequence[Ragged]) -> Ragged:
    """Collections of the same rows and fields as one: in each row the entries of the first, of the second ..."""
    row = np.concatenate([rows_of(part) for part in parts])
    fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].fields}
    entries = np.arange(len(row))
    return grouped(row, entries, len(parts[0]), Ragged(np.array([0, len(row)]), fields, parts[0].units))


def rows_of(ragged: Ragged) -> NDArray[np.int64]:
    """(n_entries,) the row of each entry."""
    return np.repeat(np.arange(len(ragged)), ragged.counts)


def has_direction(eta: Array) -> NDArray[np.bool_]:
    """(n,) whether pseudorapidities can be turned into momenta: finite, and not absurd."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(eta) <= LIMITS["eta"])


def require_sound(particles: Ragged, what: str, path: Path, first: int, fix: str = "") -> None:
    """Raise where a momentum is not finite, a pseudorapidity absurd, or an azimuth beyond a turn.

    It must come before any conversion: sinh of an absurd pseudorapidity overflows, and FastJet crashes at the result;
    and an azimuth in degrees, once wrapped, looks like any other.

    Raises:
        DataError: names the file, the entry of the file, and the entry of the list.
    """
    for name, values in particles.fields.items():
        if name not in SOUND:
            continue
        limit, needed = SOUND[name]
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(values) <= limit)
        if not bad.any():
            continue
        k = int(np.argmax(bad))
        beside = f" with pt = {particles['pt'][k]:g}" if name == "eta" and "pt" in particles else ""
        raise DataError(
            f"{name} = {values[k]:g}{beside}",
            where=f"{path}, {place_in(particles.offsets, first, what)(k)}",
            needed=needed,
            fix=fix if name == "eta" else "",
        )


def with_momenta(particles: Ragged, scale: float | Array = 1.0) -> Ragged:
    """The particles with pt, y, phi and mass in GeV instead of pt, eta, phi and mass (massless where it is not given).

    Args:
        particles: other fields stay.
        scale: what pt and mass are multiplied by, one number or (n_entries,).
    """
    pt = particles["pt"].astype(np.float64) * scale
    mass = particles["mass"].astype(np.float64) * scale if "mass" in particles else np.zeros(len(pt))
    return replace_momenta(particles, from_eta(pt, particles["eta"], particles["phi"], mass))


def replace_momenta(particles: Ragged, momenta: Mapping[str, Array]) -> Ragged:
    """The particles with these momenta in single precision, in place of whatever coordinates they had."""
    gone = {"pt", "eta", "y", "phi", "mass", "px", "py", "pz", "energy"}
    others = {name: values for name, values in particles.fields.items() if name not in gone}
    fields = {name: momenta[name].astype(np.float32) for name in PARTICLE_UNITS}
    units = {name: unit for name, unit in PARTICLE_UNITS.items() if unit}
    return replace(particles, fields={**fields, **others}, units={**particles.units, **units})
