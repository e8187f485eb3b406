"""The step ``select``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import model_validator

from hepimg.components import Column, Field, Port, Ports, Step
from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.sample import Sample


class Select(Step):
    """Keep the jets whose column lies in a range; it belongs to ``data.steps``, and ``rows`` counts what is kept."""

    name: ClassVar[str] = "select"
    drops_rows: ClassVar[bool] = True

    column: str = Field(description="column of the jets, such as mass or trimmed_mass")
    range: tuple[float | None, float | None] = Field(
        description="[min, max), in the unit of the column; null: no bound"
    )

    @model_validator(mode="after")
    def _check(self) -> Select:
        low, high = self.range
        if low is None and high is None:
            raise ValueError("give a bound: range: [60, 100], [60, null] or [null, 100]")
        if low is not None and high is not None and not low < high:
            raise ValueError(f"range must be [min, max] with min < max, found {[low, high]}")
        return self

    def reads(self) -> Sequence[Port]:
        """The column."""
        return (Column(self.column),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Nothing: what is there stays, for fewer jets."""
        return ()

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The jets that are kept.

        Raises:
            DataError: the column has several numbers for each jet.
        """
        values = sample.column(self.column)
        if values.ndim != 1:
            raise DataError(f"the column {self.column} has several numbers for each jet", where="select", needed="one")
        low, high = self.range
        keep = np.ones(len(sample), bool)
        if low is not None:
            keep &= values >= low
        if high is not None:
            keep &= values < high
        return sample[np.flatnonzero(keep)]
