"""The step ``soft_drop``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field
from hepimg_jets.grooming import Groom

if TYPE_CHECKING:
    from hepimg.sample import Ragged


class SoftDrop(Groom):
    """Remove soft, wide-angle constituents by soft drop (Larkoski, Marzani, Soyez and Thaler, arXiv:1402.2657).

    A Cambridge/Aachen clustering is undone, along the branch of larger pT, until a splitting passes
    ``z > z_cut (dR / r0)^beta``, with z the pT of the softer branch over the sum of both.  ``beta: 0`` is the modified
    mass drop.  Adds the collection ``groomed``, columns ``groomed_pt``, ``_eta``, ``_y``, ``_phi``, ``_mass`` of what
    is left, and ``_zg``, ``_rg``, ``_mu`` (the heavier branch's mass over that of both) of that splitting.  A jet
    without one keeps its last constituent, and zg, rg and mu are 0.
    """

    name: ClassVar[str] = "soft_drop"

    z_cut: float = Field(0.1, gt=0, lt=0.5, description="smallest share z of the softer branch, at dR = r0")
    beta: float = Field(0.0, description="power of dR / r0; 0: modified mass drop, larger: fewer constituents go")
    r0: float = Field(0.8, gt=0, description="distance that z_cut belongs to, usually the jet radius")
    into: str = Field(
        "groomed", description="collection of what is left (constituents: they are replaced); its columns start so"
    )

    def facts(self) -> Mapping[str, str]:
        """The splitting where it stopped."""
        return {"zg": "", "rg": "", "mu": ""}

    def groom(self, particles: Ragged) -> tuple[NDArray[np.bool_], Mapping[str, NDArray[Any]]]:
        """What soft drop leaves, and the splitting where it stopped."""
        from hepimg.kernels.grooming import soft_drop

        fields = (particles.fields.get(name) for name in ("pt", "y", "phi", "mass"))
        options = {"z_cut": self.z_cut, "beta": self.beta, "r0": self.r0}
        keep, splittings = soft_drop(particles.offsets, *fields, **options)  # type: ignore[arg-type]
        return keep, dict(zip(self.facts(), splittings.T, strict=True))
