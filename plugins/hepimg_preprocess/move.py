"""What steps that move a jet's content have in common: they act on particles or on the cells of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Field, Grid, Image, Port, Ports, Step
from hepimg_preprocess.ports import collection_port, image_port

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.particles import Particles
    from hepimg.sample import Sample

CONSTITUENTS = "constituents"

ROUNDING = 1e-9
"""Part of the width of a grid that counts as none."""


class Move(Step):
    """Moves particles (``collection``) or active cells (``image``)."""

    collection: str | None = Field(
        None, description="particles to move; default: constituents, where no image is given"
    )
    image: str | None = Field(
        None, description="image whose cells to move, by whole cells; moving the particles first loses nothing"
    )
    also: list[str] = Field(
        [], description="further collections that move alike, such as the same jets at another resolution"
    )

    @model_validator(mode="after")
    def _check_target(self) -> Move:
        if self.image is not None and (self.collection is not None or self.also):
            raise ValueError("give collections or an image, not both")
        if len(set(self._collections)) < len(self._collections):
            raise ValueError(f"a collection is named twice, and would move twice: {self._collections}")
        return self

    @property
    def _collections(self) -> list[str]:
        return [self.collection or CONSTITUENTS, *self.also]

    def reads(self) -> Sequence[Port]:
        """The particles or the image."""
        if self.image is not None:
            return (Image(self.image),)
        first, *others = self._collections
        place = {"y": "", "phi": "rad"}
        return [Collection(first, {"pt": "GeV", **place}), *(Collection(name, place) for name in others)]

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The same, replaced."""
        if self.image is None:
            return [collection_port(ports, name) for name in self._collections]
        port, grid = image_port(ports, self.image)
        self.check_grid(grid)
        means = [channel.name for channel in port.channels if channel.weight]
        if means:
            raise ValueError(f"cells move, the means {', '.join(means)} in them would not; move the particles instead")
        return (port,)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The moved sample; a random step without a seed rests."""
        if self.is_random and seed is None:
            return sample
        if self.image is not None:
            images = sample.image(self.image)
            motion = self.motion(as_particles(images), sample, seed)
            return sample.with_images(**{self.image: self.move_cells(images, motion)})
        first = sample.collection(self._collections[0])
        motion = self.motion(first.particles(), sample, seed)
        for name in self._collections:
            particles = sample.collection(name)
            y, phi = self.move_particles(particles.offsets, particles["y"], particles["phi"], motion)
            sample = sample.with_collection(name, particles.with_fields(y=y, phi=phi))
        return sample

    def check_grid(self, grid: Grid) -> None:
        """Raise ValueError where the cells of a grid cannot be moved so."""
        raise NotImplementedError

    def motion(self, seen: Particles, sample: Sample, seed: int | None) -> NDArray[Any]:
        """(n_rows, ...) how each row moves, as its particles or cells, or a draw, tell."""
        raise NotImplementedError

    def move_particles(
        self, offsets: NDArray[np.int64], y: NDArray[Any], phi: NDArray[Any], motion: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) new y and phi of all particles."""
        raise NotImplementedError

    def move_cells(self, images: SparseImages, motion: NDArray[Any]) -> SparseImages:
        """The images with their cells moved."""
        raise NotImplementedError


def draw(sample: Sample, seed: int | None, what: str) -> NDArray[np.float64]:
    """(n_rows,) random numbers in [0, 1) that depend on the row, the seed and ``what`` is drawn."""
    from hepimg.random import uniform

    return uniform(sample.column("row"), seed or 0, what)


def as_particles(images: SparseImages) -> Particles:
    """Active cells as particles: pT from the first channel, y and phi from the middle of the grid."""
    from hepimg.particles import Particles

    grid = images.grid
    places = []
    for axis, centre in zip((grid.rows, grid.columns), grid.centres(images.cells), strict=True):
        place = centre - (axis.edges[0] + axis.edges[-1]) / 2
        # The middle cell of an odd number lies on neither side, whatever rounding says.
        places.append(np.where(np.abs(place) < ROUNDING * (axis.edges[-1] - axis.edges[0]), 0.0, place))
    return Particles(images.offsets, images.values[:, 0], *places)
