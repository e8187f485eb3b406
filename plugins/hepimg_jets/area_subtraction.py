"""The step ``area_subtraction``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from hepimg.components import Column, Field, Port, Ports, Step
from hepimg_jets.columns import KINEMATICS, given, prefixed, require_new

if TYPE_CHECKING:
    from hepimg.sample import Sample


class AreaSubtraction(Step):
    """Subtract density times area from the momentum of each jet (Cacciari and Salam, arXiv:0707.1378).

    The area is that of a circle of the jet radius, which hard anti-kt jets have: no ghosts are clustered.  Needs the
    columns ``rho`` and ``rho_m`` of the step ``background``.  The whole four-vector is subtracted, with the area as a
    four-vector and ``rho_m`` in energy and pz (Soyez et al., arXiv:1211.2811), from the jet's columns; constituents
    stay.  Writes ``subtracted_pt``, ``_eta``, ``_y``, ``_phi``, ``_mass``; where the background is more than the jet,
    pT and mass are 0, and where the mass squared becomes negative, the mass is 0; the direction then stays.
    """

    name: ClassVar[str] = "area_subtraction"

    radius: float = Field(
        0.8,
        gt=0,
        le=2,
        description="radius that the jets were clustered with: jets do not know it, so a wrong one "
        "is not noticed; cluster with radius: 0.4 needs 0.4 here too",
    )
    into: str = Field(
        "subtracted", description="what the columns of the corrected jets start with; none of them may be there already"
    )

    def reads(self) -> Sequence[Port]:
        """The jet, and the density of its event."""
        columns = {**KINEMATICS, "rho": "GeV", "rho_m": "GeV"}
        return tuple(Column(name, unit) for name, unit in columns.items() if name != "eta")

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The corrected jet.

        Raises:
            ValueError: one of its columns is there already.
        """
        units = prefixed(self.into, KINEMATICS)
        require_new(units, ports, self.into)
        return tuple(Column(name, unit) for name, unit in units.items())

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The jets with their corrected momenta."""
        pt, y, phi, mass, rho, rho_m = (
            sample.column(name).astype(np.float64) for name in ("pt", "y", "phi", "mass", "rho", "rho_m")
        )
        transverse, longitudinal = circle(self.radius)
        # the circle's four-vector points where the jet does: only pT and mT = sqrt(pT^2 + m^2) change
        left_pt = np.maximum(pt - rho * transverse, 0.0)
        left_mt = np.hypot(pt, mass) - (rho + rho_m) * longitudinal
        left_mass = np.sqrt(np.maximum(left_mt, left_pt) ** 2 - left_pt**2) * (left_pt > 0)
        slope = np.divide(np.hypot(left_pt, left_mass), left_pt, out=np.ones(len(pt)), where=left_pt > 0)
        columns = {"pt": left_pt, "eta": np.arcsinh(slope * np.sinh(y)), "y": y, "phi": phi, "mass": left_mass}
        named = {f"{self.into}_{name}": values.astype(np.float32) for name, values in columns.items()}
        return sample.with_columns(given(prefixed(self.into, KINEMATICS)), **named)


def circle(radius: float) -> tuple[float, float]:
    """Transverse and longitudinal part of the area of a circle in (y, phi) as a four-vector, at y = 0.

    The integrals of cos phi and of cosh y over it: 2 pi R J1(R) and 2 pi R I1(R), by series of the Bessel functions.
    """
    terms = [(radius / 2) ** (2 * k) / (math.factorial(k) * math.factorial(k + 1)) for k in range(20)]
    area = math.pi * radius**2
    return area * sum((-1) ** k * term for k, term in enumerate(terms)), area * sum(terms)
