"""The step ``pixelate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Axis, Collection, Field, Grid, Image, Options, Port, Ports, Step
from hepimg_preprocess.ports import collection_port

if TYPE_CHECKING:
    from hepimg.images import Channel
    from hepimg.kernels.axis import Axis as KernelAxis
    from hepimg.sample import Ragged, Sample

UNSIGNED = {"pt", "mass", "energy"}
"""Fields that are never negative; a channel made of others may be."""


class PixelChannel(Options):
    """A channel of an image: the sum, or the pT-weighted mean, of a field over the particles of a cell.

    A name alone is short for: ``pt``, the sum of pt; ``count``, the number of particles; any other, the pT-weighted
    mean of the field of that name.
    """

    name: str = Field(description="name of the channel")
    field: str | None = Field(None, description="field of the particles; null: the number 1")
    how: Literal["sum", "mean"] = Field("sum", description="sum, or mean weighted by pT, over the particles of a cell")
    weight: str | None = Field(None, description="field that multiplies each term of a sum")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value == "count":
            return {"name": value}
        return {"name": value, "field": value, "how": "sum" if value == "pt" else "mean"}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Both forms, for editors."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    @model_validator(mode="after")
    def _check(self) -> PixelChannel:
        if self.how == "mean" and self.field is None:
            raise ValueError(f"channel {self.name}: a mean needs a field")
        if self.how == "mean" and self.weight is not None:
            raise ValueError(f"channel {self.name}: a mean is weighted by pt; leave out weight, or take the sum")
        return self

    @property
    def factors(self) -> tuple[str, ...]:
        """The fields whose product is added up."""
        return tuple(field for field in (self.field, self.weight) if field is not None)

    def described(self, units: Mapping[str, str]) -> Channel:
        """Name, unit and sign, given the units of the fields."""
        from hepimg.images import Channel

        unit = " ".join(units[field] for field in self.factors if units.get(field))
        weight = "pt" if self.how == "mean" else ""
        return Channel(self.name, unit, signed=not set(self.factors) <= UNSIGNED, weight=weight)

    def values(self, particles: Ragged) -> NDArray[Any]:
        """(n_particles,) what each particle contributes."""
        values: NDArray[Any] = np.ones(len(particles["pt"]), np.float32)
        for field in self.factors:
            values = values * particles[field]
        return values


class Pixelate(Step):
    """Fill the particles of each jet into the cells of a grid; particles outside are dropped, phi is wrapped."""

    name: ClassVar[str] = "pixelate"

    grid: Grid = Field(
        description="cells, such as {eta: [-1, 1], phi: [-1, 1], shape: [40, 40]}; eta reads the field y"
    )
    collection: str = Field("constituents", description="particles")
    into: str = Field("image", description="name of the image")
    channels: tuple[PixelChannel, ...] = Field(
        (PixelChannel.model_validate("pt"),),
        min_length=1,
        description="channels: pt, count, a field (its pT-weighted mean), or {name, field, how: sum or mean, weight}, "
        "such as {name: charge_pt, field: charge, weight: pt}",
    )

    @model_validator(mode="after")
    def _check(self) -> Pixelate:
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError(f"two channels have one name: {names}")
        if any(channel.how == "mean" for channel in self.channels) and self.channels[0].factors != ("pt",):
            raise ValueError("a mean is weighted by pt, which must be the first channel")
        return self

    def reads(self) -> Sequence[Port]:
        """The particles' coordinates, pt, and the fields in the channels."""
        fields = ["pt", *map(_coordinate, (self.grid.rows, self.grid.columns))]
        fields += [field for channel in self.channels for field in channel.factors]
        return (Collection(self.collection, dict.fromkeys(fields, "")),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The image."""
        units = collection_port(ports, self.collection).fields
        return (Image(self.into, self.grid, tuple(channel.described(units) for channel in self.channels)),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the image."""
        from hepimg.images import SparseImages
        from hepimg.kernels.pixelate import pixelate

        particles, rows, columns = sample.collection(self.collection), self.grid.rows, self.grid.columns
        images = pixelate(
            particles.offsets,
            particles[_coordinate(rows)],
            particles[_coordinate(columns)],
            np.stack([channel.values(particles) for channel in self.channels], axis=1),
            _kernel_axis(rows),
            _kernel_axis(columns),
            mean=[channel.how == "mean" for channel in self.channels],
        )
        channels = tuple(channel.described(particles.units) for channel in self.channels)
        return sample.with_images(**{self.into: SparseImages(self.grid, channels, *images)})


def _coordinate(axis: Axis) -> str:
    """The field that an axis shows: cells are massless, so that eta and y are one."""
    return "y" if axis.name == "eta" else axis.name


def _kernel_axis(axis: Axis) -> KernelAxis:
    from hepimg.kernels.axis import Axis as KernelAxis

    return KernelAxis(axis.all_edges, axis.is_regular, 2 * np.pi if axis.is_angle else 0.0)
