"""What data must be before anything is computed from them: finite, of positive energy, with believable coordinates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg.sample import Sample

LIMITS = {"y": 25.0, "eta": 25.0, "phi": 10.0, "pt": 1e6, "energy": 1e7}
"""The largest believable absolute values: pT and energy in GeV, angles in radians (|phi| beyond 10 means degrees)."""

NOT_NEGATIVE = ("pt", "energy", "mass")

MASS_ROUNDING = -0.1
"""GeV; four-vectors in single precision give a slightly negative mass to fast massless particles."""


def check_sample(sample: Sample, where: str = "") -> Sample:
    """The sample, if all its numbers are believable.

    Raises:
        DataError: a NaN, an infinity, a negative energy, or an absurd coordinate; the message names the first.
    """
    for name, values in sample.columns.items():
        _check(name, values, partial(_row, sample), where)
    for collection, ragged in sample.collections.items():
        for name, values in ragged.fields.items():
            _check(name, values, partial(_entry, sample, collection), where)
    return sample


def _row(sample: Sample, row: int) -> str:
    return f"row {row} (event {sample.column('event')[row]})"


def _entry(sample: Sample, collection: str, entry: int) -> str:
    offsets = sample.collection(collection).offsets
    row = int(np.searchsorted(offsets, entry, side="right")) - 1
    return f"{_row(sample, row)}, {collection}[{entry - offsets[row]}]"


def _check(name: str, values: NDArray[Any], place: Callable[[int], str], where: str) -> None:
    if values.dtype.kind != "f":
        return
    limit = LIMITS.get(name, np.inf)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(values) <= limit) | ~np.isfinite(values)
        if name in NOT_NEGATIVE:
            bad |= values < (MASS_ROUNDING if name == "mass" else 0.0)
    if not bad.any():
        return
    entry = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
    value = float(values[entry].flat[0] if values.ndim > 1 else values[entry])
    rules = (
        ["finite"]
        + ["not negative"] * (name in NOT_NEGATIVE)
        + [f"at most {limit:g} in size"] * bool(np.isfinite(limit))
    )
    raise DataError(
        f"{name} = {value:g}",
        where=", ".join(part for part in (where, place(entry)) if part),
        needed=", ".join(rules) + ("; pT, energy and mass in GeV, angles in radians" if name in LIMITS else ""),
        fix="Correct or drop these entries where the data are made.",
    )
