"""The step ``center``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from hepimg.components import Collection, Column, Field, Port, Ports, Step
from hepimg_preprocess.ports import collection_port

if TYPE_CHECKING:
    from hepimg.sample import Sample


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
        description="move along y and phi by the nearest whole multiple of these widths only: cells that wide divide a "
        "jet as they did before, wherever its middle is",
    )

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
        if self.snap is not None:
            origin = _snapped(origin[0], self.snap[0]), _snapped(origin[1], self.snap[1])
        y, phi = translate(offsets, y, phi, *origin)
        return sample.with_collection(self.collection, particles.with_fields(y=y, phi=phi))


def _snapped(origin: NDArray[Any], width: float) -> NDArray[Any]:
    return np.rint(origin / width) * width
