"""Particles of a batch of jets, from constituents or from pixels: what kernels and observables take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.rows import Rows, take_rows

Floats = NDArray[np.floating[Any]]

HARD_VERTEX = 0
"""The field ``vertex`` of particles of the hard scatter; others are of pileup."""


@dataclass(frozen=True)
class Particles:
    """Particles of ``n_jets`` jets, jet after jet.

    A pixel of a jet image is a massless particle whose y (equal to its eta) and phi are those of the cell's centre.

    Attributes:
        offsets: jet ``j`` owns the particles ``offsets[j]:offsets[j + 1]``; shape (n_jets + 1,), int64, from 0 to
            n_particles.
        pt: transverse momentum in GeV, shape (n_particles,), as all further fields.
        y: rapidity.
        phi: azimuth in radians.
        mass: mass in GeV; None for massless particles.
        charge: electric charge in units of e; None where it is not known.
    """

    offsets: NDArray[np.int64]
    pt: Floats
    y: Floats
    phi: Floats
    mass: Floats | None = None
    charge: Floats | None = None

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            ValueError: offsets are empty or do not end at the number of particles, or lengths differ.
        """
        if self.offsets.ndim != 1 or len(self.offsets) == 0 or self.offsets[0] != 0:
            raise ValueError("offsets of particles must be one-dimensional and start with 0")
        for field in fields(self)[1:]:
            values = getattr(self, field.name)
            if values is not None and values.shape != (self.offsets[-1],):
                raise ValueError(f"{field.name} has shape {values.shape}, the offsets ask for ({self.offsets[-1]},)")

    @classmethod
    def together(cls, parts: Sequence[Particles]) -> Particles:
        """The particles of several parts of the same jets; the charge is known where all parts know it.

        Raises:
            ValueError: the parts have different numbers of jets, or there are none.
        """
        if len({len(part) for part in parts}) != 1:
            raise ValueError(f"parts of {[len(part) for part in parts]} jets are not of the same jets")
        if len(parts) == 1:
            return parts[0]
        row = np.concatenate([np.repeat(np.arange(len(part)), part.counts) for part in parts])
        order = np.argsort(row, kind="stable")
        pt, y, phi = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("pt", "y", "phi"))
        masses = [np.zeros(len(part.pt)) if part.mass is None else part.mass for part in parts]
        charges = [part.charge for part in parts if part.charge is not None]
        charge = np.concatenate(charges)[order] if len(charges) == len(parts) else None
        offsets = np.sum([part.offsets for part in parts], axis=0)
        return cls(offsets, pt, y, phi, np.concatenate(masses)[order], charge)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Particles in each jet, shape (n_jets,)."""
        return np.diff(self.offsets)

    def __getitem__(self, rows: Rows) -> Particles:
        """The jets of a number, slice, mask or list of numbers."""
        offsets, entries = take_rows(self.offsets, rows)
        mass = None if self.mass is None else self.mass[entries]
        charge = None if self.charge is None else self.charge[entries]
        return Particles(offsets, self.pt[entries], self.y[entries], self.phi[entries], mass, charge)
