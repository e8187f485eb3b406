"""What steps that groom jets have in common: some constituents are left, and a jet is what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Collection, Column, Field, Port, Ports, Step
from hepimg_jets.columns import KINEMATICS, given, prefixed, require_new

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample


class Groom(Step):
    """Keeps some constituents of each jet, with all their fields, in the collection ``into``.

    Their sum goes to the columns ``<into>_pt``, ``_eta``, ``_y``, ``_phi`` and ``_mass``, in the coordinates of the
    constituents; all are 0 where nothing is left.  Only distances in (y, phi) matter, so ``center`` may stand before
    or after; mass and eta of moved constituents are those of the boosted jet.
    """

    collection: str = Field("constituents", description="particles of the jet, with pt, y, phi; without mass: massless")
    into: str

    def facts(self) -> Mapping[str, str]:
        """Further columns and their units."""
        return {}

    def groom(self, particles: Ragged) -> tuple[NDArray[np.bool_], Mapping[str, NDArray[Any]]]:
        """(n_particles,) which of them are left, and the columns of :meth:`facts`."""
        raise NotImplementedError

    def reads(self) -> Sequence[Port]:
        """Constituents."""
        return (Collection(self.collection, {"pt": "GeV", "y": "", "phi": "rad"}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The constituents that are left, their sum, and what is known of the grooming.

        Raises:
            ValueError: a column, or another collection than the one it grooms, is there already.
        """
        port = ports.get(self.collection)
        if not isinstance(port, Collection):
            raise ValueError(f"{self.collection} is no collection")
        units = self._units()
        require_new([*units, *({self.into} - {self.collection})], ports, self.into)
        columns = [Column(name, unit) for name, unit in units.items()]
        return (Collection(self.into, dict(port.fields)), *columns)

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The groomed jets beside the ungroomed ones."""
        particles = sample.collection(self.collection)
        keep, facts = self.groom(particles)
        left = particles.where(keep)
        columns = {**_sums(left), **facts}
        named = {f"{self.into}_{name}": values.astype(np.float32) for name, values in columns.items()}
        return sample.with_collection(self.into, left).with_columns(given(self._units()), **named)

    def _units(self) -> dict[str, str]:
        return prefixed(self.into, {**KINEMATICS, **self.facts()})


def _sums(particles: Ragged) -> dict[str, NDArray[np.float64]]:
    from hepimg.kernels import moments

    fields = (particles.fields.get(name) for name in ("pt", "y", "phi", "mass"))
    total = moments.four_momentum(particles.offsets, *fields)  # type: ignore[arg-type]
    return {
        "pt": moments.transverse_momentum(total),
        "eta": moments.pseudorapidity(total),
        "y": moments.rapidity(total),
        "phi": moments.azimuth(total),
        "mass": moments.invariant_mass(total),
    }
