"""The top-tagging reference sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Collection, Column, Field, Port, RowKind
from hepimg.errors import DataError
from hepimg.sample import Sample
from hepimg_files.conventions import JET_UNITS, PARTICLE_UNITS, from_cartesian, jet_columns
from hepimg_files.hdf5.file import Hdf5, Hdf5Source, check_finite
from hepimg_files.hdf5.padded import particles_of

TRUTH_UNITS = {"truth_pt": "GeV", "truth_y": "", "truth_phi": "rad", "truth_mass": "GeV"}


class TopTagging(Hdf5Source):
    """Jets of the top-tagging reference sample (Kasieczka, Plehn, Thompson, Russel; Zenodo 2603256).

    A pandas table of ``E_0, PX_0, PY_0, PZ_0 ... PZ_199, truthE, truthPX, truthPY, truthPZ`` (GeV) and ``ttv,
    is_signal_new``, in the format "table" or "fixed".  Columns are taken in this published order; the pickled names of
    pandas are never loaded.  The jet is the sum of its constituents; ``is_signal`` is 1 for top jets, whose parton is
    ``truth_*`` (0 for QCD jets); ``ttv`` tells training (0), test (1) and validation (2) apart.  In single precision,
    massless constituents come with masses up to some ten MeV.
    """

    name: ClassVar[str] = "top_tagging"
    rows_out: ClassVar[RowKind] = "jet"

    key: str = Field("table", description="the key under which pandas stored the table")

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether it has ``table``."""
        return "table" in file

    def writes(self) -> Sequence[Port]:
        """Jets, their constituents, label and truth."""
        columns = [Column(name, unit) for name, unit in (JET_UNITS | TRUTH_UNITS).items()]
        return [*columns, Column("is_signal"), Column("ttv"), Collection("constituents", PARTICLE_UNITS)]

    def names(self, file: Hdf5) -> Sequence[str]:
        """The table, or the two blocks of the format "fixed"."""
        if self._is_table(file):
            return [f"{self.key}/table"]
        return [f"{self.key}/block0_values", f"{self.key}/block1_values"]

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        values, labels = self._blocks(file, first, last)
        check_finite(f"{self.key} (E, px, py, pz)", values, first)
        four = values[:, :-4].reshape(len(values), -1, 4)
        is_there = four.any(axis=2)
        e, px, py, pz = four[is_there].T
        given = {"px": px, "py": py, "pz": pz, "e": e}
        constituents = particles_of(is_there.sum(axis=1), given, "GeV", {}, first)
        columns: dict[str, NDArray[Any]] = {
            "event": np.arange(first, last),
            "weight": np.ones(last - first, np.float32),
            **jet_columns(constituents.offsets, constituents.fields),
            **{name: labels[:, k].astype(np.int8) for k, name in enumerate(("ttv", "is_signal"))},
        }
        e, px, py, pz = values[:, -4:].T
        for name, value in from_cartesian(px, py, pz, e, lambda k: f"entry {first + k}, truth").items():
            columns[f"truth_{name}"] = value.astype(np.float32)
        return Sample(columns, {"constituents": constituents}, units=JET_UNITS | TRUTH_UNITS)

    def _is_table(self, file: Hdf5) -> bool:
        if self.key not in file:
            file.dataset(self.key)  # raises with the near names
        return not file.is_group(self.key) or "block0_values" not in file.members(self.key)

    def _blocks(self, file: Hdf5, first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The (n, 4 k + 4) momenta and the (n, 2) labels."""
        if self._is_table(file):
            table = file.rows(f"{self.key}/table", first, last)
            blocks = [table[name] for name in table.dtype.names or () if name.startswith("values_block")]
        else:
            blocks = [file.rows(name, first, last, (None,)) for name in self.names(file)]
        floats = [block for block in blocks if block.dtype.kind == "f" and block.ndim == 2]
        labels = [block for block in blocks if block.dtype.kind in "iu" and block.ndim == 2]
        widths = [block.shape[1] for block in (*floats, *labels)]
        if (len(floats), len(labels)) != (1, 1) or widths[0] < 8 or widths[0] % 4 or widths[1] != 2:
            raise DataError(
                f"blocks of {widths} columns",
                needed="804 of momenta (200 constituents, truth) and 2 of whole numbers (ttv, is_signal_new)",
            )
        if not np.isin(labels[0], (0, 1, 2)).all():
            raise DataError("labels beyond 0, 1, 2", needed="ttv (0, 1, 2) and is_signal_new (0, 1)")
        return floats[0], labels[0]
