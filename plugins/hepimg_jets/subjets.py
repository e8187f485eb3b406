"""The step ``subjets``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from hepimg.components import Collection, Field, Port, Ports, Step
from hepimg_jets.columns import given, require_new

if TYPE_CHECKING:
    from hepimg.sample import Sample

UNITS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV"}


class Subjets(Step):
    """Cluster the constituents of each jet into subjets, the hardest first.

    They tell other steps where to put a jet: center the hardest at the origin, rotate the second to one side.
    """

    name: ClassVar[str] = "subjets"

    collection: str = Field("constituents", description="particles of the jet, with pt, y, phi; without mass: massless")
    radius: float = Field(0.3, gt=0, description="radius of the subjets, in (rapidity, azimuth)")
    algorithm: Literal["kt", "cambridge"] = Field("kt", description="how subjets are found: kt or Cambridge/Aachen")
    into: str = Field("subjets", description="collection of the subjets, with pt, y, phi and mass")

    def reads(self) -> Sequence[Port]:
        """Constituents."""
        return (Collection(self.collection, {"pt": "GeV", "y": "", "phi": "rad"}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The subjets.

        Raises:
            ValueError: there is something of their name.
        """
        require_new([self.into], ports, self.into)
        return (Collection(self.into, UNITS),)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The jets with their subjets."""
        from hepimg.kernels import moments
        from hepimg.kernels.subjets import find_subjets
        from hepimg.sample import Ragged

        jets = sample.collection(self.collection)
        pt, y, phi, mass = (jets.fields.get(name) for name in ("pt", "y", "phi", "mass"))
        by_pt = self.algorithm == "kt"
        offsets, total = find_subjets(jets.offsets, pt, y, phi, mass, radius=self.radius, by_pt=by_pt)  # type: ignore[arg-type]
        fields = {
            "pt": moments.transverse_momentum(total),
            "y": moments.rapidity(total),
            "phi": moments.azimuth(total),
            "mass": moments.invariant_mass(total),
        }
        fields = {name: values.astype(np.float32) for name, values in fields.items()}
        return sample.with_collection(self.into, Ragged(offsets, fields, given(UNITS)))
