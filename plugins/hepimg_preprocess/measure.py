"""The step ``measure``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from hepimg.components import Column, Field, Image, Port, Ports, Step
from hepimg.errors import DataError
from hepimg.observables import ObservableName, compute, parse
from hepimg.observables.ports import particles_for
from hepimg_preprocess.ports import image_port

if TYPE_CHECKING:
    from hepimg.sample import Sample

CONSTITUENTS = "constituents"


class Measure(Step):
    """Compute observables of each jet and keep them as columns, for tasks and metrics that read columns."""

    name: ClassVar[str] = "measure"

    names: tuple[ObservableName, ...] = Field(
        min_length=1, description="observables, such as mass, tau21[axes=wta_kt]; the columns are called so"
    )
    collection: str | None = Field(None, description="particles to measure; default: constituents, without an image")
    image: str | None = Field(None, description="image whose active cells (channel pt) to measure")
    prefix: str = Field("", description="put before the names of the columns: image_ makes image_mass")

    @model_validator(mode="after")
    def _check(self) -> Measure:
        if self.image is not None and self.collection is not None:
            raise ValueError("give a collection or an image, not both")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"an observable stands twice in {list(self.names)}")
        return self

    def reads(self) -> Sequence[Port]:
        """The particles or the image."""
        if self.image is not None:
            return (Image(self.image),)
        return (particles_for(self.names, self.collection or CONSTITUENTS),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """A column for each observable.

        Raises:
            ValueError: a column is there already, the image has no channel pt, or its unit is not the observable's.
        """
        if self.image is not None:
            port, _ = image_port(ports, self.image)
            if port.channels and "pt" not in [channel.name for channel in port.channels]:
                raise ValueError(f"measure needs an image with a channel pt; {self.image} has none")
            unit = next((channel.unit for channel in port.channels if channel.name == "pt"), "GeV")
            wrong = [name for name in self.names if parse(name).unit == "GeV" != unit]
            if wrong:
                raise ValueError(f"{self.image} is not in GeV: measure {', '.join(wrong)} before its values change")
        columns = [Column(self.prefix + name, parse(name).unit) for name in self.names]
        there = [column.name for column in columns if column.name in ports]
        if there:
            raise ValueError(f"{', '.join(there)}: already there; give a prefix")
        return columns

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The sample with the observables.

        Raises:
            DataError: the charge is asked for and not known.
        """
        if self.image is not None:
            particles = sample.image(self.image).particles()
        else:
            particles = sample.collection(self.collection or CONSTITUENTS).particles()
        try:
            found = compute(self.names, particles)
        except ValueError as error:
            raise DataError(str(error), where="step measure") from error
        units = {self.prefix + name: parse(name).unit for name in self.names if parse(name).unit}
        return sample.with_columns(units, **{self.prefix + name: values for name, values in found.items()})
