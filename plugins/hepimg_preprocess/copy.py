"""The step ``copy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import model_validator

from hepimg.components import Collection, Field, Image, Port, Ports, Step
from hepimg_preprocess.choice import Choice
from hepimg_preprocess.ports import collection_port, image_port

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample


class Copy(Step):
    """Keep a collection or an image under a second name, while later steps change one of the two.

    Of a collection, the copy may hold some of the particles only (``where``), and scale each to another transverse
    momentum that is known of it (``pt``): what a method against pileup leaves of it, or what of it was hard.
    """

    name: ClassVar[str] = "copy"

    collection: str | None = Field(None, description="collection to copy")
    image: str | None = Field(None, description="image to copy")
    into: str = Field(description="name of the copy")
    where: Choice = Field(
        Choice(), description="which particles are copied, such as {charge: charged, vertex: hard}; default: all"
    )
    pt: str | None = Field(
        None,
        description="field that becomes pt of the copies, such as puppi_pt; masses are scaled by the same factor, "
        "and particles of which nothing is left are not copied; null: pt itself",
    )

    @model_validator(mode="after")
    def _check(self) -> Copy:
        if (self.collection is None) == (self.image is None):
            raise ValueError("give a collection or an image")
        if self.image is not None and (self.pt is not None or self.where.fields):
            raise ValueError("where and pt are of particles: give a collection")
        return self

    def reads(self) -> Sequence[Port]:
        """What is copied."""
        if self.collection is None:
            return (Image(str(self.image)),)
        pt = {} if self.pt is None else {"pt": "GeV", self.pt: "GeV"}
        return (Collection(self.collection, {**self.where.fields, **pt}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The copy.

        Raises:
            ValueError: there is something of its name.
        """
        if self.into in ports:
            raise ValueError(f"into: {self.into} is already there; choose another name")
        if self.collection is not None:
            return (replace(collection_port(ports, self.collection), name=self.into),)
        return (replace(image_port(ports, str(self.image))[0], name=self.into),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the copy; nothing is written twice, as no step changes what it is given."""
        if self.collection is None:
            return sample.with_images(**{self.into: sample.image(str(self.image))})
        particles = sample.collection(self.collection)
        if self.where.fields:
            particles = particles.where(self.where.of(particles))
        return sample.with_collection(self.into, particles if self.pt is None else _scaled(particles, self.pt))


def _scaled(particles: Ragged, field: str) -> Ragged:
    """The particles of which something is left, with the transverse momentum that ``field`` says."""
    left = particles.where(particles[field] > 0)
    pt = left[field].astype(left["pt"].dtype)
    if "mass" not in left:
        return left.with_fields(pt=pt)
    factor = np.divide(pt, left["pt"], out=np.ones_like(pt), where=left["pt"] > 0)
    return left.with_fields(pt=pt, mass=left["mass"] * factor)
