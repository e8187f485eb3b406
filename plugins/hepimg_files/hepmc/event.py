"""One event of HepMC3 ASCII: its text is checked, read by HepMC3, and turned into arrays.

HepMC3's reader takes the interpreter down at some damaged lines (a vertex of particles that are not there), allocates
whatever the first line claims, and silently skips what it does not understand.  So it sees only lines that are whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.errors import DataError
from hepimg_files.hepmc.charges import charges_of
from hepimg_files.hepmc.stream import END, START

Fields = dict[str, NDArray[Any]]

MAX_ABS_ETA = 10.0
"""Particles nearer to the beam are left out: no detector sees them, and their rapidity has no bound."""

FINAL, RESONANCE, OUTGOING = 1, 22, 23
"""Status of a final particle (HepMC3); of a resonance and an outgoing parton of the hard process (Pythia 8)."""

MASS_SHELL = 1e-3
"""By how much, relative and in GeV, an energy may differ from that of the given mass: files are rounded."""

_NUMBER = rb" [-+]?\d++(?:\.\d*+)?(?:[eE][-+]?\d{1,3})?"
_HEAD = re.compile(
    rb"E -?\d++ (\d{1,9}) (\d{1,9})(?: @%b{4})?\nU (GEV|MEV) (?:MM|CM)\n(?:W%b*+ ?\n)?" % (2 * (b"(?:%b)" % _NUMBER,))
)
_PARTICLE = rb"P \d{1,9} -?\d{1,9} -?\d{1,10}(?:%b){5} \d{1,9}\n" % _NUMBER
_VERTEX = rb"V -\d{1,9} -?\d{1,9} \[(?:\d{1,9}(?:,\d{1,9})*+)?\](?: @(?:%b){4})?\n" % _NUMBER
_ENTRIES = re.compile(b"(?:%b|%b)*+" % (_PARTICLE, _VERTEX))
_ORIGINS, _INCOMING = re.compile(rb"(?m)^P (\d+) (-?\d+) "), re.compile(rb"(?m)^V -(\d+) \S+ \[([\d,]*)\]")


@dataclass(frozen=True)
class Event:
    """What is kept of an event: its weight, and the fields of its particles and partons."""

    weight: float
    particles: Fields
    partons: Fields


def read_event(text: bytes, invisible: Collection[int]) -> Event:
    """An event from its lines.

    Args:
        text: from the line ``E`` up to the next.
        invisible: positive PDG numbers of particles to leave out.

    Raises:
        DataError: a line is damaged, lines are missing, or numbers contradict each other.
    """
    import pyhepmc

    lines = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"A "))
    n_vertices, n_particles, in_gev = _check_lines(lines)
    _check_graph(lines, n_vertices, n_particles)
    pyhepmc.Setup.print_errors, pyhepmc.Setup.debug_level = False, 0  # what is wrong is said once, by our own error
    event = pyhepmc.GenEvent()
    stream = BytesIO(b"HepMC::Version 3.00.00\n" + START + b"\n" + lines + END + b"\n")
    reader = pyhepmc.io.ReaderAscii(pyhepmc.io.pyiostream(stream))
    if not reader.read_event(event) or len(event.numpy.particles.id) != n_particles:
        raise DataError("HepMC3 does not take it", needed="a whole event")
    entries = _entries(event, in_gev)
    weights = event.weights
    final = _fields(entries, _visible(entries, invisible))
    final["charge"] = charges_of(final["pdg_id"])
    return Event(float(weights[0]) if len(weights) else 1.0, final, _fields(entries, _partons(event, entries)))


def _check_lines(lines: bytes) -> tuple[int, int, float]:
    """Every line is whole: how many vertices and particles are announced, and what turns momenta into GeV.

    Raises:
        DataError: a line is not.
    """
    head = _HEAD.match(lines)
    if head is None:
        raise DataError(
            f"an event begins with {lines[:60]!r}", needed="lines 'E number vertices particles' and 'U GEV|MEV MM|CM'"
        )
    entries = _ENTRIES.match(lines, head.end())
    end = entries.end() if entries else head.end()
    if end < len(lines):
        line = lines[end:].partition(b"\n")[0]
        raise DataError(f"no line of HepMC3: {line[:80]!r}", needed="a particle (P) or a vertex (V), finite numbers")
    return int(head[1]), int(head[2]), 1.0 if head[3] == b"GEV" else 1e-3


def _check_graph(lines: bytes, n_vertices: int, n_particles: int) -> None:
    """Particles and vertices are those that are announced, and refer to each other.

    Raises:
        DataError: they do not.
    """
    particle, origin = _integers(column for line in _ORIGINS.findall(lines) for column in line).reshape(-1, 2).T
    if len(particle) != n_particles:
        raise DataError(f"{len(particle)} particles, where {n_particles} are announced", needed="a whole event")
    vertices = _INCOMING.findall(lines)
    vertex = _integers(number for number, _ in vertices)
    incoming = _integers(b",".join(numbers for _, numbers in vertices if numbers).replace(b",", b" ").split())
    holds = (
        np.array_equal(particle, 1 + np.arange(n_particles)),
        (origin < particle).all(),  # a positive one is the mother, a negative one the vertex
        np.array_equal(np.unique(-origin[origin < 0]), np.sort(vertex)),
        ((vertex >= 1) & (vertex <= n_vertices)).all(),
        ((incoming >= 1) & (incoming <= n_particles)).all(),
        not np.isin(origin[origin > 0], incoming).any(),  # a mother's decay has no line of its own, or has one
        n_vertices == len(np.unique(origin[origin != 0])),  # each is named where its first particle leaves it
    )
    if not all(holds):
        raise DataError("particles and vertices refer to what is not there", needed="a whole event")


def _integers(texts: Iterable[bytes]) -> NDArray[np.int64]:
    return np.array([*texts], np.bytes_).astype(np.int64)


def _entries(event: Any, in_gev: float) -> Fields:
    """All particles of the event; momenta and masses in GeV."""
    given = event.numpy.particles
    entries = {name: getattr(given, name) for name in ("pid", "status")}
    momenta = {name: in_gev * getattr(given, name) for name in ("px", "py", "pz", "e", "generated_mass")}
    wrong = ~np.isfinite([*momenta.values()]).all(axis=0)
    if wrong.any():
        raise DataError(f"particle {1 + int(np.argmax(wrong))} has a momentum that is not finite")
    return entries | momenta


def _visible(entries: Fields, invisible: Collection[int]) -> NDArray[np.int64]:
    """Numbers of the visible final particles away from the beam.

    Raises:
        DataError: energy, momentum and mass of one contradict each other.
    """
    px, py, pz, energy, mass = (entries[name] for name in ("px", "py", "pz", "e", "generated_mass"))
    seen = (entries["status"] == FINAL) & ~np.isin(np.abs(entries["pid"]), [*invisible])
    chosen = np.flatnonzero(seen & (np.abs(pz) < math.sinh(MAX_ABS_ETA) * np.hypot(px, py)))
    expected = np.sqrt(px**2 + py**2 + pz**2 + np.maximum(mass, 0) ** 2)[chosen]
    wrong = np.abs(energy[chosen] - expected) > MASS_SHELL * (1 + expected)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            f"particle {1 + chosen[k]}: E = {energy[chosen[k]]:g}, but sqrt(p^2 + m^2) = {expected[k]:g} GeV",
            needed="momenta and masses in the unit of the line U",
        )
    return chosen


def _partons(event: Any, entries: Fields) -> NDArray[np.int64]:
    """Numbers of the hard process's resonances, as they decay, and of its outgoing partons, as it made them."""
    kind = np.abs(entries["status"])
    chosen = np.flatnonzero((kind == RESONANCE) | (kind == OUTGOING))
    if (kind == RESONANCE).any():
        particles = event.particles
        chosen = np.array([_last_copy(particles[k]) if kind[k] == RESONANCE else k for k in chosen.tolist()], np.int64)
    return chosen


def _last_copy(particle: Any) -> int:
    """Follow a resonance through its recoils: the only daughter of the same kind, as long as there is one."""
    while particle.end_vertex:
        later = [each for each in particle.end_vertex.particles_out if each.pid == particle.pid]
        if len(later) != 1 or later[0].id <= particle.id:
            break
        particle = later[0]
    return int(particle.id) - 1


def _fields(entries: Fields, chosen: NDArray[np.int64]) -> Fields:
    """pt, y, phi, mass, pdg_id of some entries."""
    px, py, pz, mass = (entries[name][chosen] for name in ("px", "py", "pz", "generated_mass"))
    pt, mass = np.hypot(px, py), np.maximum(mass, 0)
    transverse = np.hypot(pt, mass)
    y = np.arcsinh(pz / np.where(transverse > 0, transverse, 1))
    kinematics = {"pt": pt, "y": y, "phi": np.arctan2(py, px), "mass": mass}
    fields: Fields = {name: values.astype(np.float32) for name, values in kinematics.items()}
    return fields | {"pdg_id": entries["pid"][chosen].astype(np.int32)}
