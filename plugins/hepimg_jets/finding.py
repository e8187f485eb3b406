"""Jets of a batch of events by FastJet, without a loop over events or particles in Python.

M. Cacciari, G. P. Salam, G. Soyez, FastJet user manual, Eur. Phys. J. C72 (2012) 1896.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Algorithm = Literal["antikt", "cambridge", "kt"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Jets:
    """Jets of a batch of events: event by event, by falling pT within each.

    Args:
        event: (n_jets,) row of the event.
        momentum: (n_jets, 4) px, py, pz, E in GeV.
        offsets: (n_jets + 1,) constituents of each jet.
        particles: (n_constituents,) number of the particle in the batch, by falling pT within a jet.
    """

    event: NDArray[np.int64]
    momentum: Floats
    offsets: NDArray[np.int64]
    particles: NDArray[np.int64]

    @property
    def pt(self) -> Floats:
        """(n_jets,) transverse momentum, GeV."""
        return np.asarray(np.hypot(self.momentum[:, 0], self.momentum[:, 1]))

    @property
    def phi(self) -> Floats:
        """(n_jets,) azimuth in (-pi, pi]."""
        return np.asarray(np.arctan2(self.momentum[:, 1], self.momentum[:, 0]))

    @property
    def eta(self) -> Floats:
        """(n_jets,) pseudorapidity."""
        return np.asarray(np.arcsinh(self.momentum[:, 2] / self.pt))

    @property
    def mass(self) -> Floats:
        """(n_jets,) invariant mass, GeV; 0 where rounding makes its square negative."""
        _, _, pz, energy = self.momentum.T
        return np.asarray(np.sqrt(np.maximum((energy - pz) * (energy + pz) - self.pt**2, 0)))

    @property
    def y(self) -> Floats:
        """(n_jets,) rapidity."""
        return np.asarray(np.arcsinh(self.momentum[:, 2] / np.hypot(self.pt, self.mass)))


def momenta(pt: Floats, y: Floats, phi: Floats, mass: Floats) -> Floats:
    """(n, 4) px, py, pz, E from transverse momentum, rapidity, azimuth and mass."""
    transverse_mass = np.hypot(pt, mass)
    components = pt * np.cos(phi), pt * np.sin(phi), transverse_mass * np.sinh(y), transverse_mass * np.cosh(y)
    return np.stack(components, axis=1)


def find_jets(
    offsets: NDArray[np.int64], momentum: Floats, pt: Floats, algorithm: Algorithm, radius: float, min_pt: float
) -> Jets:
    """Cluster each event by itself, with the E-scheme.

    Args:
        offsets: (n_events + 1,) particles of each event.
        momentum: (n_particles, 4) px, py, pz, E in GeV: finite, or FastJet takes the interpreter down.
        pt: (n_particles,) transverse momentum, GeV; constituents are ordered by it.
        algorithm: anti-kt, Cambridge/Aachen or kt.
        radius: the jet radius, in (rapidity, azimuth).
        min_pt: softer jets are left out, GeV.
    """
    import awkward as ak
    import fastjet
    from fastjet._swig import ClusterSequence  # the class of FastJet itself; the public one hides its static methods

    ClusterSequence.set_fastjet_banner_stream(None)  # or the banner breaks into a progress bar; README.md cites FastJet
    columns = [ak.contents.NumpyArray(np.ascontiguousarray(column)) for column in momentum.T]
    records = ak.contents.RecordArray(columns, ["px", "py", "pz", "E"])
    events = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))
    definition = fastjet.JetDefinition(getattr(fastjet, f"{algorithm}_algorithm"), radius)
    sequence = fastjet.ClusterSequence(events, definition)
    jets, members = sequence.inclusive_jets(min_pt).layout, sequence.constituent_index(min_pt).layout
    found = np.stack([np.asarray(jets.content.content(name).data) for name in ("px", "py", "pz", "E")], axis=1)
    event = np.repeat(np.arange(len(offsets) - 1), np.diff(np.asarray(jets.offsets)))
    starts = np.asarray(members.content.offsets)
    particles = np.asarray(members.content.content.data)[: starts[-1]]  # FastJet leaves room behind the last one
    return _ordered(offsets, pt, event, found, starts, particles.astype(np.int64))


def _ordered(
    offsets: NDArray[np.int64],
    pt: Floats,
    event: NDArray[np.int64],
    momentum: Floats,
    starts: NDArray[np.int64],
    particles: NDArray[np.int64],
) -> Jets:
    """Jets and their constituents by falling pT; constituents numbered within the batch."""
    order = np.lexsort((-np.hypot(momentum[:, 0], momentum[:, 1]), event))
    rank = np.argsort(order)
    counts = np.diff(starts)
    particles = particles + np.repeat(offsets[event], counts)
    particles = particles[np.lexsort((-pt[particles], np.repeat(rank, counts)))]
    return Jets(event[order], momentum[order], np.concatenate([[0], np.cumsum(counts[order])]), particles)
