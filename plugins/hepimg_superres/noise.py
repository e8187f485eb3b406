"""The source ``noise``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from hepimg.components import Collection, Column, Field, Port, RowKind, Shard, Source

if TYPE_CHECKING:
    from hepimg.sample import Sample

HalfTurn = Annotated[NonNegativeFloat, Field(le=math.pi)]

BATCH = 500
"""Jets made at a time; a shard's jets do not depend on it."""

PARTICLES = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV"}

JETS = {"pt": "GeV", "eta": "", "y": "", "phi": "rad", "mass": "GeV"}


class Noise(Source):
    """Jets that are no jets: massless particles anywhere in a window, or none at all.

    A model that has learned jets shows here what it makes up: what it gives for a blank image, and for single pixels
    that belong to nothing.
    """

    name: ClassVar[str] = "noise"
    rows_out: ClassVar[RowKind] = "jet"

    particles: int = Field(150, ge=0, description="particles of each jet; 0: blank jets")
    sigma: float = Field(1.0, gt=0, description="GeV; pT is |x|, x being normal with this standard deviation")
    window: tuple[NonNegativeFloat, HalfTurn] = Field(
        (1.0, 1.0), description="particles lie within this distance of the origin, uniformly in y and in phi (radians)"
    )

    def writes(self) -> Sequence[Port]:
        """Jets with constituents."""
        columns = {"event": "", "weight": "", **JETS}
        return [*(Column(name, unit) for name, unit in columns.items()), Collection("constituents", PARTICLES)]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Jets without an end."""
        for first in count(0, BATCH):
            yield self._jets(np.arange(first, first + BATCH), shard)

    def _jets(self, numbers: NDArray[np.int64], shard: Shard) -> Sample:
        """The jets of these numbers in a shard, each with random numbers of its own."""
        from hepimg.kernels import moments
        from hepimg.random import entries_of, normal, uniform
        from hepimg.sample import Ragged, Sample

        which = np.repeat(numbers, self.particles)
        entries = entries_of(which, np.tile(np.arange(self.particles), len(numbers)))
        y, phi = (
            (2 * uniform(entries, shard.seed, name) - 1) * width
            for name, width in zip(("y", "phi"), self.window, strict=True)
        )
        pt = self.sigma * np.abs(normal(entries, shard.seed, "pt"))
        fields = {"pt": pt, "y": y, "phi": phi, "mass": np.zeros(len(pt))}
        fields = {name: values.astype(np.float32) for name, values in fields.items()}
        offsets = np.arange(len(numbers) + 1) * self.particles
        momentum = moments.four_momentum(offsets, *(fields[name] for name in PARTICLES))
        jets = {
            "pt": moments.transverse_momentum(momentum),
            "eta": moments.pseudorapidity(momentum),
            "y": moments.rapidity(momentum),
            "phi": moments.azimuth(momentum),
            "mass": moments.invariant_mass(momentum),
        }
        columns: dict[str, NDArray[Any]] = {
            "event": (shard.index << 32) + numbers,
            "weight": np.ones(len(numbers), np.float32),
        }
        jet_units, units = ({k: unit for k, unit in every.items() if unit} for every in (JETS, PARTICLES))
        return Sample(
            columns | {name: values.astype(np.float32) for name, values in jets.items()},
            {"constituents": Ragged(offsets, fields, units)},
            units=jet_units,
        )
