"""Columns of jets, which the steps that make, groom and correct them share; and that none replaces another's unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hepimg.components import Ports

KINEMATICS = {"pt": "GeV", "eta": "", "y": "", "phi": "rad", "mass": "GeV"}
"""The columns of a jet's momentum, and their units."""


def prefixed(start: str, units: Mapping[str, str]) -> dict[str, str]:
    """The columns ``<start>_<name>`` and their units."""
    return {f"{start}_{name}": unit for name, unit in units.items()}


def given(units: Mapping[str, str]) -> dict[str, str]:
    """The units of the columns that have one, as a sample keeps them."""
    return {name: unit for name, unit in units.items() if unit}


def require_new(names: Iterable[str], ports: Ports, into: str) -> None:
    """Raise where a step with this option ``into`` would replace what is there.

    Raises:
        ValueError: names what is there.
    """
    there = [name for name in names if name in ports]
    if there:
        raise ValueError(f"into: {into} would replace {', '.join(there)}, already there; choose another name")
