"""Padded arrays of constituents as ragged collections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.checks import LIMITS
from hepimg.errors import DataError
from hepimg.rows import offsets_of
from hepimg.sample import Ragged
from hepimg_files.conventions import IN_GEV, PARTICLE_UNITS, Unit, from_cartesian, from_eta, place_in, wrapped

MOMENTA = ("px", "py", "pz", "energy")

SPELLINGS = {"e": "energy"}
"""Other names of a coordinate in an option or an attribute, in lower case: of HDF5, ROOT and Parquet alike."""


def spelled(name: str) -> str:
    """The one name of a coordinate that goes by several, in lower case.

    >>> spelled("E"), spelled("Energy"), spelled("Px")
    ('energy', 'energy', 'px')
    """
    return SPELLINGS.get(name.lower(), name.lower())


def check_counts(name: str, counts: NDArray[Any], maximum: int, first: int) -> NDArray[np.int64]:
    """Numbers of entries as (n_rows,) int64.

    Raises:
        DataError: they are not whole, negative, or larger than what the padded array holds.
    """
    if counts.dtype.kind not in "iu":
        raise DataError(f"{name} holds {counts.dtype}", needed="whole numbers (int32)")
    wrong = (counts < 0) | (counts > maximum)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{name} = {counts[row]} in row {first + row}", needed=f"0 ... {maximum}, the padded length")
    return counts.astype(np.int64)


def entries_within(padded: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
    """The first ``counts[i]`` entries of each row of (n_rows, maximum, ...), row after row."""
    return np.asarray(padded[np.arange(padded.shape[1]) < counts[:, None]])


def find_entries(padded: NDArray[Any], fields: Sequence[str]) -> NDArray[np.bool_]:
    """(n_rows, maximum) which entries of a padded array without counts are particles: those that have a momentum.

    The others, with pt = 0, or px = py = pz = E = 0, are padding, wherever they stand.

    Args:
        padded: (n_rows, maximum, n_fields)
        fields: their names, pt or px, py, pz, E among them.
    """
    names = [spelled(field) for field in fields]
    used = MOMENTA if set(MOMENTA) <= set(names) else ("pt",)
    return np.asarray((padded[..., [names.index(name) for name in used]] != 0).any(axis=-1))


def particles_of(
    counts: NDArray[np.int64],
    columns: Mapping[str, NDArray[Any]],
    unit: Unit,
    units: Mapping[str, str],
    first: int,
) -> Ragged:
    """Particles from columns of pt, eta (or y), phi, mass, or of px, py, pz, E, in ``unit``.

    Args:
        counts: (n_rows,) particles of each row.
        columns: name -> (n_entries,); a mass that is not given is 0; others are kept as they are.
        unit: of momenta, energies and masses.
        units: of the other columns.
        first: number of the first row in the file, for messages.

    Returns:
        pt, y, phi, mass as float32 in GeV and radians, then the others.

    Raises:
        DataError: a column is missing, eta is absurd, phi is in degrees, or a four-vector is none.
    """
    scale, offsets = IN_GEV[unit], offsets_of(counts)
    place = place_in(offsets, first, "particles")
    known = {spelled(name): name for name in columns}
    if len(known) < len(columns):
        raise DataError(f"one column twice among {', '.join(columns)}", needed="E or energy, not both")
    values = {lower: np.asarray(columns[name]) for lower, name in known.items()}
    if set(MOMENTA) <= set(values):
        used: tuple[str, ...] = MOMENTA
        px, py, pz, energy = (values[name].astype(np.float64) * scale for name in MOMENTA)
        kinematics = from_cartesian(px, py, pz, energy, place)
    else:
        rapidity = "y" if "y" in values else "eta"
        used = ("pt", rapidity, "phi", "mass")
        for name in used[:3]:
            if name not in values:
                raise DataError(f"no column {name} among {', '.join(columns)}", needed="pt, eta, phi or px, py, pz, E")
        pt, phi = values["pt"].astype(np.float64) * scale, values["phi"]
        mass = np.asarray(values.get("mass", np.zeros(len(pt))), np.float64) * scale
        if rapidity == "eta":
            _check_eta(values["eta"], place)
            kinematics = from_eta(pt, values["eta"], phi, mass)
        else:
            kinematics = {"pt": pt, "y": values["y"], "phi": wrapped(phi), "mass": np.maximum(mass, 0)}
    rest = {name: columns[name] for lower, name in known.items() if lower not in used}
    fields = {name: np.asarray(kinematics[name], np.float32) for name in PARTICLE_UNITS} | rest
    kept = {name: units[name] for name in rest if units.get(name)}
    return Ragged(offsets, fields, PARTICLE_UNITS | kept)


def _check_eta(eta: NDArray[Any], place: Callable[[int], str]) -> None:
    """Pseudorapidities are told as they stand in the file, before sinh makes infinities of them."""
    wrong = ~(np.abs(eta) <= LIMITS["eta"])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(f"{place(k)}: eta = {eta[k]:g}", needed=f"|eta| up to {LIMITS['eta']:g}")
