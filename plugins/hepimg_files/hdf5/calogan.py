"""The showers of CaloGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from hepimg.components import Axis, Column, Grid, Image, Port, RowKind
from hepimg.sample import Sample
from hepimg_files.hdf5.file import Hdf5, Hdf5Source
from hepimg_files.hdf5.showers import ENERGY, shower_sample

HALF_WIDTH = 240.0
"""mm; each layer is 480 mm wide."""


def _grid(rows: int, columns: int) -> Grid:
    edges = (-HALF_WIDTH, HALF_WIDTH)
    return Grid(
        rows=Axis(name="phi_position", edges=edges, bins=rows, unit="mm"),
        columns=Axis(name="eta_position", edges=edges, bins=columns, unit="mm"),
    )


GRIDS: Mapping[str, Grid] = {"layer_0": _grid(3, 96), "layer_1": _grid(12, 12), "layer_2": _grid(12, 6)}
"""Cells of 160 x 5, 40 x 40 and 40 x 80 mm^2 (phi x eta)."""


class CaloGan(Hdf5Source):
    """Showers in the three layers of CaloGAN's calorimeter (Paganini, de Oliveira, Nachman; Mendeley pvn3xc3wy5).

    Datasets ``layer_0`` (n, 3, 96), ``layer_1`` (n, 12, 12), ``layer_2`` (n, 12, 6) in MeV and ``energy`` (n, 1) of the
    incident particle in GeV.  A row is a shower: the column ``energy`` and the images ``layer_0``, ``layer_1``,
    ``layer_2``, all in GeV.  Their axes are positions along phi (rows) and eta (columns) in mm from the centre.
    """

    name: ClassVar[str] = "calogan"
    rows_out: ClassVar[RowKind] = "jet"

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether it has ``layer_0``, ``layer_1``, ``layer_2``, ``energy``."""
        return all(name in file for name in ("layer_0", "layer_1", "layer_2", "energy"))

    def writes(self) -> Sequence[Port]:
        """The energy and the three layers."""
        return [Column("energy", "GeV"), *(Image(name, grid, (ENERGY,)) for name, grid in GRIDS.items())]

    def names(self, file: Hdf5) -> Sequence[str]:
        """Layers and energy."""
        return ["energy", *GRIDS]

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        energy = file.numbers("energy", first, last, (1,))[:, 0].astype(np.float64)
        layers = {
            name: (file.numbers(name, first, last, grid.shape).astype(np.float64) * 1e-3, grid)
            for name, grid in GRIDS.items()
        }
        return shower_sample(first, layers, energy, "energy")
