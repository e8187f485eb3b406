"""The step ``center``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, model_validator

from hepimg.components import Collection, Column, Field, Port, Ports, Step
from hepimg_preprocess.ports import collection_port

if TYPE_CHECKING:
    from hepimg.sample import Sample

Points = tuple[NDArray[Any], NDArray[Any]]

LOWER = 1e-3
"""Part of a width by which a lattice point may be farther than the next and still be taken."""


class Center(Step):
    """Move each jet to the origin of (y, phi), phi wrapped: a boost along the beam and a rotation about it.

    pT, masses and the distances between particles stay as they are.
    """

    name: ClassVar[str] = "center"

    collection: str = Field("constituents", description="particles to move")
    on: Literal["centroid", "hardest", "axis", "cell"] = Field(
        "centroid",
        description="what comes to lie at the origin: the pT-weighted mean, the hardest particle, the jet axis (the "
        "columns y and phi), or the centre of the cell that holds the mean, for images of an odd number of cells",
    )
    also: list[str] = Field([], description="further collections that move alike")
    snap: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None,
        description="move along y and phi by whole multiples of these widths, the centroid of cells so wide to within "
        "half a cell: they divide a jet as they did before, and nothing tells how it is spread inside them; with on: "
        "cell by half a width more, for it is these cells",
    )

    @model_validator(mode="after")
    def _check(self) -> Center:
        if self.on == "cell" and self.snap is None:
            raise ValueError("on: cell needs snap, the widths of the cells")
        if self.snap is not None and self.on not in ("centroid", "cell"):
            raise ValueError(f"snap goes with on: centroid; on: {self.on} would tell more of the jet than its cells do")
        if len({self.collection, *self.also}) <= len(self.also):
            raise ValueError(f"a collection is named twice, and would move twice: {[self.collection, *self.also]}")
        return self

    def reads(self) -> Sequence[Port]:
        """Particles, and the jet axis where it is the origin."""
        particles = Collection(self.collection, {"pt": "GeV", "y": "", "phi": "rad"})
        others = [Collection(name, {"y": "", "phi": "rad"}) for name in self.also]
        axis = (Column("y"), Column("phi", "rad")) if self.on == "axis" else ()
        return (particles, *others, *axis)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The same particles, moved."""
        return [collection_port(ports, name) for name in (self.collection, *self.also)]

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The centred sample."""
        from hepimg.kernels.particle_transform import translate

        origins = self._origins(sample)
        for name in (self.collection, *self.also):
            particles = sample.collection(name)
            y, phi = particles["y"], particles["phi"]
            for origin in origins:
                y, phi = translate(particles.offsets, y, phi, *origin)
            sample = sample.with_collection(name, particles.with_fields(y=y, phi=phi))
        return sample

    def _origins(self, sample: Sample) -> list[Points]:
        """(n_rows,) y and phi of what comes to lie at (0, 0); with ``snap`` two moves, one after the other."""
        from hepimg.kernels.particle_transform import centroid, hardest, translate

        if self.on == "axis":
            return [(sample.column("y"), sample.column("phi"))]
        particles = sample.collection(self.collection)
        offsets, pt, y, phi = particles.offsets, particles["pt"], particles["y"], particles["phi"]
        if self.on == "hardest":
            return [hardest(offsets, pt, y, phi)]
        middle = centroid(offsets, pt, y, phi)
        if self.snap is None:
            return [middle]
        # Into the frame of the lattice, where phi is not wrapped; then to what the cells alone know of the middle.
        first = _nearest(self.snap, middle)
        places = zip(translate(offsets, y, phi, *first), self.snap, strict=True)
        cells = [(np.floor(x / width) + 0.5) * width for x, width in places]
        middle = centroid(offsets, pt, *cells)
        return [first, _nearest(self.snap, middle) if self.on == "centroid" else _holding(self.snap, middle)]


def _nearest(widths: tuple[float, float], point: Points) -> Points:
    """The point of the lattice nearest to a point, as y and phi.

    Where two are equally near (for a jet of one cell, whatever rounding says) it is the lower.
    """
    y, phi = (np.rint(x / width - LOWER) * width for x, width in zip(point, widths, strict=True))
    return y, phi


def _holding(widths: tuple[float, float], point: Points) -> Points:
    """The centre of the cell that holds a point, as y and phi; of two that share an edge, the upper one."""
    y, phi = ((np.floor(x / width + LOWER) + 0.5) * width for x, width in zip(point, widths, strict=True))
    return y, phi
