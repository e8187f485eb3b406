"""The steps ``normalise`` and ``power``: the same cells with other values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Image, Port, Ports, Step
from hepimg_preprocess.ports import image_port

if TYPE_CHECKING:
    from hepimg.images import Channel, SparseImages
    from hepimg.sample import Sample


class ValueMap(Step):
    """Maps the values of some channels of an image, in place of the image."""

    image: str = Field("image", description="image whose values change")
    channels: tuple[str, ...] = Field(("pt",), min_length=1, description="channels whose values change; others stay")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The image, its changed channels with other units."""
        port, _ = image_port(ports, self.image)
        unknown = set(self.channels) - {channel.name for channel in port.channels}
        if port.channels and unknown:
            raise ValueError(f"{self.image} has no channel {', '.join(sorted(unknown))}")
        return (replace(port, channels=self._described(port.channels)),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the image changed; cells whose values became too small for float32 are no longer active."""
        from hepimg.images import SparseImages

        images = sample.image(self.image)
        changed = [channel.name in self.channels for channel in images.channels]
        values = np.where(changed, self.mapped(images), images.values)
        active = values.any(axis=1)
        offsets = np.concatenate([[0], np.cumsum(active)])[images.offsets]
        channels = self._described(images.channels)
        images = SparseImages(images.grid, channels, offsets, images.cells[active], values[active])
        return sample.with_images(**{self.image: images})

    def _described(self, channels: Sequence[Channel]) -> tuple[Channel, ...]:
        return tuple(replace(c, unit=self.unit(c.unit)) if c.name in self.channels else c for c in channels)

    def unit(self, unit: str) -> str:
        """The unit of a changed channel."""
        raise NotImplementedError

    def mapped(self, images: SparseImages) -> NDArray[Any]:
        """(n_active, n_channels) values, mapped."""
        raise NotImplementedError


class Normalise(ValueMap):
    """Divide each image by its sum, its largest absolute value, or its Euclidean norm, channel by channel."""

    name: ClassVar[str] = "normalise"

    how: Literal["sum", "max", "l2"] = Field("sum", description="what becomes 1; an image where it is 0 stays as it is")

    def unit(self, unit: str) -> str:
        """None."""
        return ""

    def mapped(self, images: SparseImages) -> NDArray[Any]:
        """(n_active, n_channels) values divided."""
        from hepimg.kernels.image_transform import normalise

        return normalise(images.offsets, images.values, self.how)


class Power(ValueMap):
    """Raise each value to a power; the sign is kept."""

    name: ClassVar[str] = "power"

    exponent: float = Field(gt=0, description="exponent")

    def unit(self, unit: str) -> str:
        """The unit to that power."""
        return f"({unit})^{self.exponent:g}" if unit and self.exponent != 1 else unit

    def mapped(self, images: SparseImages) -> NDArray[Any]:
        """(n_active, n_channels) values raised."""
        from hepimg.kernels.image_transform import power

        return power(images.values, self.exponent)
