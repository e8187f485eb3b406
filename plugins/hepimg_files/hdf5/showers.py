"""Showers of calorimeters: images of deposited energy, one for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Grid
from hepimg.errors import DataError
from hepimg.images import Channel, SparseImages
from hepimg.sample import Sample

ENERGY = Channel("energy", "GeV")

DEPOSITED_FRACTION = (0.02, 20.0)
"""The median deposited over incident energy lies between; MeV taken for GeV is off by a thousand."""


def shower_sample(
    first: int, layers: Mapping[str, tuple[NDArray[Any], Grid]], energy: NDArray[Any], where: str
) -> Sample:
    """Showers as a sample.

    Args:
        first: number of the first shower in its file.
        layers: name -> (n, rows, columns) deposited energies in GeV and the cells.
        energy: (n,) energies of the incident particles in GeV.
        where: what the file calls the energies.

    Returns:
        The column ``energy`` and an image of each layer.

    Raises:
        DataError: an incident energy is not positive, or the deposits are in another unit.
    """
    if (energy <= 0).any():
        row = int(np.argmax(energy <= 0))
        raise DataError(f"{where} = {energy[row]:g} in row {first + row}", needed="a positive energy")
    images = {name: SparseImages.from_dense(dense, grid, (ENERGY,)) for name, (dense, grid) in layers.items()}
    if len(energy):
        deposited = np.sum([image.sum()[:, 0] for image in images.values()], axis=0)
        fraction = float(np.median(deposited / energy))
        if not DEPOSITED_FRACTION[0] <= fraction <= DEPOSITED_FRACTION[1]:
            raise DataError(
                f"a median shower deposits {fraction:.3g} times its {where}",
                needed="energies in the published units",
                fix="Are they in MeV where GeV are meant, or the other way round?",
            )
    columns: dict[str, NDArray[Any]] = {
        "event": first + np.arange(len(energy)),
        "weight": np.ones(len(energy), np.float32),
        "energy": energy.astype(np.float32),
    }
    return Sample(columns, images=images, units={"energy": "GeV"})
