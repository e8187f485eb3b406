"""The jets of JetNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Collection, Column, Port, RowKind
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg_files.conventions import JET_UNITS, MAX_PHI, PARTICLE_UNITS, rapidity
from hepimg_files.hdf5.file import Hdf5, Hdf5Source
from hepimg_files.hdf5.padded import particles_of

SUM_OF_PTREL = (0.2, 1.5)
"""The median sum of a jet's ptrel lies between: 30 particles carry most of its pT, and never much more than all."""


class JetNet(Hdf5Source):
    """Jets of JetNet (Kansal et al., arXiv:2106.11535; Zenodo 6975118 for 30 particles, 6975117 for 150).

    ``particle_features`` (n, 30 or 150, 4) are etarel, phirel, ptrel, mask; ``jet_features`` (n, 4) are pt, eta, mass,
    num_particles, after a type if there are five.  Constituents get pt = ptrel pt(jet) and y = etarel + eta(jet), and
    are massless.  The azimuth of the jet was not stored: it is put at phi = 0.  The columns pt, eta and mass are the
    stored ones, of all particles of the jet, of which the file keeps the hardest 30 or 150.
    """

    name: ClassVar[str] = "jetnet"
    rows_out: ClassVar[RowKind] = "jet"

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether it has ``particle_features``."""
        return "particle_features" in file

    def writes(self) -> Sequence[Port]:
        """Jets and their constituents; ``type`` where the first file has it."""
        from hepimg_files.hdf5.file import open_hdf5
        from hepimg_files.source import reading

        path = self.first_file()
        with reading(path), open_hdf5(path) as file:
            width = _width(file)
        columns = [Column(name, unit) for name, unit in JET_UNITS.items()]
        columns += [Column("num_particles")] + [Column("type")] * (width == 5)
        return [*columns, Collection("constituents", PARTICLE_UNITS)]

    def names(self, file: Hdf5) -> Sequence[str]:
        """Particles and jets."""
        _width(file)
        return ["particle_features", "jet_features"]

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        features = file.numbers("particle_features", first, last, (None, 4)).astype(np.float64)
        jets = file.numbers("jet_features", first, last, (_width(file),)).astype(np.float64)
        pt, eta, mass, number = jets[:, -4:].T
        is_there = _mask(features[..., 3], first)
        row = np.nonzero(is_there)[0]
        eta_rel, phi_rel, pt_rel = features[is_there][:, :3].T
        _check_relative(phi_rel, np.asarray(np.bincount(row, pt_rel, len(jets)), np.float64))
        given = {"pt": pt_rel * pt[row], "y": eta_rel + eta[row], "phi": phi_rel}
        columns: dict[str, NDArray[Any]] = {
            "event": np.arange(first, last),
            "weight": np.ones(last - first, np.float32),
            "pt": pt.astype(np.float32),
            "eta": eta.astype(np.float32),
            "y": rapidity(pt, eta, mass).astype(np.float32),
            "phi": np.zeros(len(jets), np.float32),
            "mass": mass.astype(np.float32),
            "num_particles": number.astype(np.int32),
        }
        if jets.shape[1] == 5:
            columns["type"] = jets[:, 0].astype(np.int8)
        constituents = particles_of(is_there.sum(axis=1), given, "GeV", {}, first)
        return Sample(columns, {"constituents": constituents}, units=JET_UNITS)


def _width(file: Hdf5) -> int:
    """How many features a jet has: 4, or 5 with its type."""
    shape = file.dataset("jet_features").shape
    if len(shape) != 2 or shape[1] not in (4, 5):
        raise DataError(f"jet_features has shape {shape}", needed="(n, 4) or, with a type, (n, 5)")
    return int(shape[1])


def _mask(mask: NDArray[np.float64], first: int) -> NDArray[np.bool_]:
    wrong = (mask != 0) & (mask != 1)
    if wrong.any():
        row = int(np.argmax(wrong.any(axis=1)))
        raise DataError(
            f"a mask of {mask[row][wrong[row]][0]:g} in row {first + row}",
            needed="0 or 1, the last feature of a particle",
            fix="Features that were normalised for training must be undone.",
        )
    return np.asarray(mask == 1)


def _check_relative(phi_rel: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    """The features are relative to the jet, in radians."""
    if len(phi_rel) and float(np.abs(phi_rel).max()) > MAX_PHI:
        raise DataError(f"|phirel| = {np.abs(phi_rel).max():g}", needed="an azimuth in radians")
    if len(sums) and not SUM_OF_PTREL[0] <= float(np.median(sums)) <= SUM_OF_PTREL[1]:
        raise DataError(
            f"the ptrel of a median jet sum to {np.median(sums):g}",
            needed="momenta relative to the jet's, in the order etarel, phirel, ptrel, mask",
        )
