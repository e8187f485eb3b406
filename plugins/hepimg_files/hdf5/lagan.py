"""The jet images of LAGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Column, Field, Grid, Image, Port, RowKind
from hepimg.errors import DataError
from hepimg.images import PT, SparseImages
from hepimg.sample import Sample
from hepimg_files.conventions import rapidity
from hepimg_files.hdf5.file import Hdf5, Hdf5Source

SIZE = 25

COLUMNS = {
    "jet_pt": ("pt", "GeV"),
    "jet_eta": ("eta", ""),
    "jet_phi": ("phi", "rad"),
    "jet_mass": ("mass", "GeV"),
    "jet_delta_R": ("delta_r", ""),
    **{name: (name, "") for name in ("tau_1", "tau_2", "tau_3", "tau_21", "tau_32")},
}
"""Dataset -> column and unit."""

SUM_OVER_PT = (0.5, 2.0)
"""The median sum of the pixels over the jet's pT lies between: it exceeds the pT of the sum by some per cent."""


class Lagan(Hdf5Source):
    """Jet images of 25 x 25 pixels (de Oliveira, Paganini, Nachman, arXiv:1701.05927; Mendeley 4r4v785rgx).

    Datasets ``image`` (n, 25, 25), ``signal`` (1: W, 0: QCD), ``jet_pt, jet_eta, jet_phi, jet_mass, jet_delta_R, tau_1,
    tau_2, tau_3, tau_21, tau_32``.  The image shows pT (GeV) in cells of 0.1 around the jet's axis; it was rotated and
    flipped when it was made, so that its eta and phi are the turned ones.  In the file, phi falls with the row and eta
    grows with the column, as in the authors' code; here eta is the row and both grow.  The rotation's cubic
    interpolation leaves tiny and negative pixels: ``threshold`` drops them, as the authors do.
    """

    name: ClassVar[str] = "lagan"
    rows_out: ClassVar[RowKind] = "jet"

    threshold: float = Field(1e-3, ge=0, description="GeV; pixels below are set to zero")

    @property
    def grid(self) -> Grid:
        """The pixels."""
        return Grid.square(1.25, SIZE)

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether it has ``image``, ``jet_pt``."""
        return "image" in file and "jet_pt" in file

    def writes(self) -> Sequence[Port]:
        """The image, the label, and what is known of the jet."""
        columns = [Column(name, unit) for name, unit in COLUMNS.values()]
        return [*columns, Column("y"), Column("signal"), Image("image", self.grid, (PT,))]

    def names(self, file: Hdf5) -> Sequence[str]:
        """All that the layout has."""
        return ["image", "signal", *COLUMNS]

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        dense = file.numbers("image", first, last, (SIZE, SIZE))
        columns: dict[str, NDArray[Any]] = {
            "event": np.arange(first, last),
            "weight": np.ones(last - first, np.float32),
            "signal": _labels(file.numbers("signal", first, last), first),
        }
        for dataset, (name, _) in COLUMNS.items():
            columns[name] = file.numbers(dataset, first, last).astype(np.float32)
        columns["y"] = rapidity(columns["pt"], columns["eta"], columns["mass"]).astype(np.float32)
        seen = np.where(dense >= self.threshold, dense, 0)[:, ::-1].transpose(0, 2, 1)
        _check_sums(seen, columns["pt"])
        images = SparseImages.from_dense(seen, self.grid)
        return Sample(columns, images={"image": images}, units={name: unit for name, unit in COLUMNS.values() if unit})


def _labels(signal: NDArray[Any], first: int) -> NDArray[np.int8]:
    wrong = ~np.isin(signal, (0, 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"signal = {signal[row]:g} in row {first + row}", needed="0 or 1")
    return signal.astype(np.int8)


def _check_sums(images: NDArray[Any], pt: NDArray[Any]) -> None:
    """The pixels are pT in GeV, not normalised.

    Raises:
        DataError: their median sum is far from the jets' pT.
    """
    if not len(pt):
        return
    ratio = float(np.median(images.sum(axis=(1, 2), dtype=np.float64) / np.maximum(pt, 1e-9)))
    if not SUM_OVER_PT[0] <= ratio <= SUM_OVER_PT[1]:
        raise DataError(
            f"the pixels of a median image sum to {ratio:.3g} times its jet_pt",
            needed="pixels of pT in GeV",
            fix="These look normalised, or in another unit than jet_pt.",
        )
