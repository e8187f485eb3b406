"""The step ``threshold``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Field, Image, Port, Ports, Step
from hepimg_preprocess.ports import image_port

if TYPE_CHECKING:
    from hepimg.sample import Sample


class Threshold(Step):
    """Drop the cells of an image that hold too little; the others stay as they are, with all their channels."""

    name: ClassVar[str] = "threshold"

    image: str = Field("image", description="image whose cells are dropped, in its place")
    minimum: float = Field(description="least value of a cell that stays, in the unit of the channel")
    channel: str | None = Field(None, description="channel that is compared; default: the first")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The image, with fewer cells."""
        port, _ = image_port(ports, self.image)
        if port.channels and self.channel not in (None, *(channel.name for channel in port.channels)):
            raise ValueError(f"{self.image} has no channel {self.channel}")
        return (port,)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the image thinned out."""
        from hepimg.images import SparseImages

        images = sample.image(self.image)
        names = [channel.name for channel in images.channels]
        stays = images.values[:, names.index(self.channel) if self.channel else 0] >= np.float32(self.minimum)
        offsets = np.concatenate([[0], np.cumsum(stays)])[images.offsets]
        thinned = SparseImages(images.grid, images.channels, offsets, images.cells[stays], images.values[stays])
        return sample.with_images(**{self.image: thinned})
