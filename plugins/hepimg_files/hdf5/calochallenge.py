"""The showers of the Fast Calorimeter Simulation Challenge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from pydantic import PrivateAttr

from hepimg.components import Axis, Column, Field, Grid, Image, Port, RowKind
from hepimg.errors import DataError, did_you_mean
from hepimg.sample import Sample
from hepimg.store import content_key
from hepimg_files.hdf5.file import Hdf5, Hdf5Source
from hepimg_files.hdf5.showers import ENERGY, shower_sample
from hepimg_files.source import reading

MAX_BINNING = 2**20
"""Bytes; the largest published binning has 10 kB."""


class CaloChallenge(Hdf5Source):
    """Showers of the Fast Calorimeter Simulation Challenge 2022 (Zenodo 6234054, 6366270, 6366323).

    Datasets ``incident_energies`` (n, 1) and ``showers`` (n, voxels), both in MeV; the voxels run over radius, then
    angle, then layer, as the binning's XML tells.  A row is a shower: the column ``energy`` and one image
    ``layer_<id>`` for each layer that has cells, all in GeV.  Rows of an image are the angle alpha around the shower's
    axis, here called ``phi`` since it closes on itself, from -pi to pi; columns are the radius ``r`` in mm.
    """

    name: ClassVar[str] = "calochallenge"
    rows_out: ClassVar[RowKind] = "jet"

    binning: str = Field(description="path of the binning XML that was published with the files")
    particle: str = Field(description="name of the particle in the binning: photon, pion, electron")
    chunk: int = Field(1000, gt=0, description="showers that are read at a time and make one shard")

    _grids: dict[str, Grid] = PrivateAttr(default_factory=dict)

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The cells of each layer that has any, in the order of the voxels.

        Raises:
            DataError: the binning cannot be read, or does not know the particle.
        """
        if not self._grids:
            path = Path(self.binning).expanduser()
            with reading(path):
                self._grids.update(read_binning(path, self.particle))
        return self._grids

    @classmethod
    def belongs(cls, file: Hdf5) -> bool:
        """Whether it has ``incident_energies``, ``showers``."""
        return "incident_energies" in file and "showers" in file

    def writes(self) -> Sequence[Port]:
        """The energy and the layers."""
        return [Column("energy", "GeV"), *(Image(name, grid, (ENERGY,)) for name, grid in self.grids.items())]

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """Chunks of all files; another binning makes other rows."""
        cells = content_key(**{name: grid.model_dump(mode="json") for name, grid in self.grids.items()})
        return [{**part, "cells": cells} for part in super().parts()]

    def names(self, file: Hdf5) -> Sequence[str]:
        """Energies and showers."""
        return ["incident_energies", "showers"]

    def read_rows(self, file: Hdf5, first: int, last: int) -> Sample:
        """The rows of the entries ``first:last``."""
        sizes = [grid.size for grid in self.grids.values()]
        shape = file.dataset("showers").shape
        if shape[1:] != (sum(sizes),):
            raise DataError(
                f"showers has shape {shape}, the binning of {self.particle} has {sum(sizes)} voxels",
                needed=f"(n, {sum(sizes)})",
                fix=f"Give the binning that belongs to the file; here it is {self.binning}.",
            )
        energy = file.numbers("incident_energies", first, last, (1,))[:, 0].astype(np.float64) * 1e-3
        showers = file.numbers("showers", first, last, (None,))
        pieces = np.split(showers, np.cumsum(sizes)[:-1], axis=1)
        layers = {
            name: ((piece * 1e-3).reshape(len(piece), *grid.shape), grid)
            for (name, grid), piece in zip(self.grids.items(), pieces, strict=True)
        }
        return shower_sample(first, layers, energy, "incident_energies")


def read_binning(path: Path, particle: str) -> dict[str, Grid]:
    """The cells of each layer of a binning XML: alpha (called phi) by radius; layers without cells are left out.

    Raises:
        DataError: it is too long, declares entities, is no XML, or lacks the particle or a number.
    """
    with path.open("rb") as file:
        text = file.read(MAX_BINNING + 1)
    if len(text) > MAX_BINNING or b"<!DOCTYPE" in text or b"<!ENTITY" in text or b"\0" in text:
        raise DataError("too long, or with entities", where=str(path), needed=f"XML of at most {MAX_BINNING} bytes")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"no XML ({error})", where=str(path), needed="a binning of the challenge") from error
    bins = {str(element.get("name")): element for element in root if element.get("name")}
    if particle not in bins:
        raise DataError(f"no particle {particle!r}", where=str(path), needed=did_you_mean(particle, bins))
    grids: dict[str, Grid] = {}
    for layer in bins[particle]:
        number = str(layer.get("id"))
        try:
            edges = tuple(float(edge) for edge in str(layer.get("r_edges")).split(","))
            angles = int(str(layer.get("n_bin_alpha")))
            if len(edges) > 1 and angles > 0 and f"layer_{int(number)}" not in grids:
                grids[f"layer_{int(number)}"] = _grid(edges, angles)
            elif len(edges) > 1:
                raise ValueError("no angles, or an id that was there before")
        except ValueError as error:
            said = " ".join(str(error).split())[:200]
            raise DataError(
                f"layer {number}: {said}", where=str(path), needed="id, ascending r_edges, n_bin_alpha"
            ) from error
    if not grids:
        raise DataError(f"no layer of {particle} has cells", where=str(path))
    return grids


def _grid(edges: tuple[float, ...], angles: int) -> Grid:
    return Grid(
        rows=Axis(name="phi", edges=(-math.pi, math.pi), bins=angles, unit="rad"),
        columns=Axis(name="r", edges=edges, unit="mm"),
    )
