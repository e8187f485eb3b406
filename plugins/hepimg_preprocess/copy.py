"""The step ``copy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from hepimg.components import Collection, Field, Image, Port, Ports, Step
from hepimg_preprocess.ports import collection_port, image_port

if TYPE_CHECKING:
    from hepimg.sample import Sample


class Copy(Step):
    """Keep a collection or an image under a second name, while later steps change one of the two."""

    name: ClassVar[str] = "copy"

    collection: str | None = Field(None, description="collection to copy")
    image: str | None = Field(None, description="image to copy")
    into: str = Field(description="name of the copy")

    @model_validator(mode="after")
    def _check(self) -> Copy:
        if (self.collection is None) == (self.image is None):
            raise ValueError("give a collection or an image")
        return self

    def reads(self) -> Sequence[Port]:
        """What is copied."""
        return (Collection(self.collection),) if self.collection is not None else (Image(str(self.image)),)

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
        if self.collection is not None:
            return sample.with_collection(self.into, sample.collection(self.collection))
        return sample.with_images(**{self.into: sample.image(str(self.image))})
