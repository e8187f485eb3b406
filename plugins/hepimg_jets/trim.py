"""The step ``trim``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field
from hepimg_jets.grooming import Groom

if TYPE_CHECKING:
    from hepimg.sample import Ragged


class Trim(Groom):
    """Remove soft subjets (Krohn, Thaler and Wang, arXiv:0912.1342).

    The constituents are clustered into subjets, and those with too small a share of the jet's pT are dropped.  Adds the
    collection ``trimmed`` and columns ``trimmed_pt``, ``_eta``, ``_y``, ``_phi``, ``_mass`` of what is left.
    """

    name: ClassVar[str] = "trim"

    radius: float = Field(0.3, gt=0, description="radius of the subjets, in (rapidity, azimuth)")
    fraction: float = Field(0.05, ge=0, lt=1, description="smallest share of the jet's pT that a subjet must have")
    algorithm: Literal["kt", "cambridge"] = Field("kt", description="how subjets are found: kt (the paper) or C/A")
    into: str = Field(
        "trimmed", description="collection of what is left (constituents: they are replaced); its columns start so"
    )

    def groom(self, particles: Ragged) -> tuple[NDArray[np.bool_], Mapping[str, NDArray[Any]]]:
        """What trimming leaves."""
        from hepimg.kernels.grooming import trim

        pt, y, phi, mass = (particles.fields.get(name) for name in ("pt", "y", "phi", "mass"))
        options = {"radius": self.radius, "fraction": self.fraction, "by_pt": self.algorithm == "kt"}
        return trim(particles.offsets, pt, y, phi, mass, **options), {}  # type: ignore[arg-type]
