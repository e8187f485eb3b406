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

LOWER = 1e-3
"""Part of a width by which a lattice point may be farther than the next and still be taken."""


class Center(Step):
    """Move each jet to the origin of (y, phi), phi wrapped: a boost along the beam and a rotation about it.

    pT, masses and the distances between particles stay as they are.
    """

    name: ClassVar[str] = "center"

    collection: str = Field("constituents", description="particles to move")
    on: Literal["centroid", "hardest", "axis"] = Field(
        "centroid",
        description="what comes to lie at the origin: the pT-weighted mean, the hardest particle, or the jet axis "
        "(the columns y and phi)",
    )
    snap: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None,
        description="move along y and phi by whole multiples of these widths, the centroid of cells so wide to within "
        "half a cell: they divide a jet as they did before, and nothing tells how it is spread inside them",
    )

    @model_validator(mode="after")
    def _check(self) -> Center:
        if self.snap is not None and self.on != "centroid":
            raise ValueError(f"snap goes with on: centroid; on: {self.on} would tell more of the jet than its cells do")
        return self

    def reads(self) -> Sequence[Port]:
        """Particles, and the jet axis where it is the origin."""
        particles = Collection(self.collection, {"pt": "GeV", "y": "", "phi": "rad"})
        return (particles, Column("y"), Column("phi", "rad")) if self.on == "axis" else (particles,)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The same particles, moved."""
        return (collection_port(ports, self.collection),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The centred sample."""
        from hepimg.kernels.particle_transform import centroid, hardest, translate

        particles = sample.collection(self.collection)
        offsets, y, phi = particles.offsets, particles["y"], particles["phi"]
        if self.on == "axis":
            origin = sample.column("y"), sample.column("phi")
        elif self.on == "hardest":
            origin = hardest(offsets, particles["pt"], y, phi)
        else:
            origin = centroid(offsets, particles["pt"], y, phi)
        if self.snap is None:
            y, phi = translate(offsets, y, phi, *origin)
        else:
            # Into the frame of the lattice, where phi is not wrapped; then to what the cells alone know of the middle.
            y, phi = translate(offsets, y, phi, *_nearest(self.snap, origin))
            cells = [(np.floor(x / width) + 0.5) * width for x, width in zip((y, phi), self.snap, strict=True)]
            y, phi = translate(offsets, y, phi, *_nearest(self.snap, centroid(offsets, particles["pt"], *cells)))
        return sample.with_collection(self.collection, particles.with_fields(y=y, phi=phi))


def _nearest(widths: tuple[float, float], point: tuple[NDArray[Any], NDArray[Any]]) -> list[NDArray[Any]]:
    """The point of the lattice nearest to a point, as y and phi.

    Where two are equally near (for a jet of one cell, whatever rounding says) it is the lower.
    """
    return [np.rint(x / width - LOWER) * width for x, width in zip(point, widths, strict=True)]
