"""Small HepMC3 ASCII files, written line by line after the format's description (A. Buckley et al., 1912.08005)."""

from __future__ import annotations

import gzip
import math
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

HEADER = "HepMC::Version 3.02.05\nHepMC::Asciiv3-START_EVENT_LISTING\nW nominal\nT Toy\\|1\\|\n"
FOOTER = "HepMC::Asciiv3-END_EVENT_LISTING\n"

Entry = tuple[int, int, float, float, float, float, int]
"""Origin (0, a mother, or minus a vertex), PDG number, px, py, pz, mass, status."""


def event_text(
    number: int,
    entries: Sequence[Entry],
    vertices: Mapping[int, Sequence[int]],
    unit: str | None = "GEV",
    weights: Sequence[float] = (1.0,),
) -> str:
    """The lines of one event; ``vertices``: number (positive) -> the particles that enter."""
    origins = {origin for origin, *_ in entries if origin}
    lines = [f"E {number} {len(origins)} {len(entries)}"]
    lines += [f"U {unit} MM"] * (unit is not None)
    lines += [" ".join(["W", *(f"{weight:.16e}" for weight in weights)])] * bool(weights)
    lines += ["A 0 alphaQCD 0.118", "A 1 flow1 101"]
    written: set[int] = set()
    for k, (origin, pdg_id, px, py, pz, mass, status) in enumerate(entries, 1):
        if origin < 0 and -origin not in written:
            written.add(-origin)
            lines.append(f"V {origin} 0 [{','.join(map(str, vertices[-origin]))}] @ 0 0 1.5e-12 1e-12")
        energy = math.sqrt(px**2 + py**2 + pz**2 + mass**2)
        momentum = " ".join(f"{value:.16e}" for value in (px, py, pz, energy, mass))
        lines.append(f"P {k} {origin} {pdg_id} {momentum} {status}")
    return "\n".join(lines) + "\n"


def toy_event(number: int, unit: str | None = "GEV", weights: Sequence[float] = (1.0,), hadrons: int = 5) -> str:
    """A Z that recoils once and decays to electrons, beside a gluon that becomes hadrons, a neutrino, a remnant."""
    rng = np.random.default_rng(number)
    scale = 1000.0 if unit == "MEV" else 1.0
    x, y, z = scale * rng.normal(0, 20, (3, 4 + hadrons))
    mass = {name: scale * value for name, value in {"p": 0.938, "Z": 91.19, "pi": 0.13957}.items()}
    entries: list[Entry] = [
        (0, 2212, 0.0, 0.0, 6500 * scale, mass["p"], 4),
        (0, 2212, 0.0, 0.0, -6500 * scale, mass["p"], 4),
        (-1, 23, x[0], y[0], z[0], mass["Z"], 22),
        (-1, 21, -x[0], -y[0], -z[0], 0.0, 23),
        (3, 23, x[1], y[1], z[1], mass["Z"], 44),
        (5, 11, x[2], y[2], z[2], 0.000511 * scale, 1),
        (5, -11, x[3], y[3], z[3], 0.000511 * scale, 1),
        *((4, (211, -211, 111)[k % 3], x[4 + k], y[4 + k], z[4 + k], mass["pi"], 1) for k in range(hadrons)),
        (4, -14, scale, scale, scale, 0.0, 1),
        (4, 2112, 1e-3 * scale, 0.0, 3000 * scale, mass["p"], 1),
    ]
    return event_text(number, entries, {1: (1, 2)}, unit, weights)


def hepmc_text(events: int) -> str:
    """A whole file of toy events."""
    return HEADER + "".join(toy_event(number) for number in range(events)) + FOOTER


def write_hepmc(path: Path, text: str | bytes) -> Path:
    """The text in a file, compressed as its name says."""
    data = text.encode() if isinstance(text, str) else text
    if path.suffix == ".gz":
        data = gzip.compress(data)
    if path.suffix == ".zst":
        data = zstandard().compress(data)
    path.write_bytes(data)
    return path


def zstandard() -> ModuleType:
    """The module for zst files."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
