"""The step ``cluster``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Column, Field, Port, Ports, RowKind, Step
from hepimg_jets.columns import KINEMATICS, given
from hepimg_jets.finding import Algorithm, Jets, find_jets, momenta
from hepimg_jets.matching import Match, nearest_partons, truth_columns

if TYPE_CHECKING:
    from hepimg.sample import Ragged, Sample

TRUTH_UNITS = {"truth_pdg_id": "", "truth_dr": "", "truth_pt": "GeV"}


class Cluster(Step):
    """Cluster particles into jets with FastJet: every selected jet becomes a row, with its constituents."""

    name: ClassVar[str] = "cluster"
    libraries: ClassVar[tuple[str, ...]] = ("fastjet",)
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "jet"

    particles: str = Field("particles", description="collection to cluster, with pt, y, phi; without mass: massless")
    algorithm: Algorithm = Field("antikt", description="anti-kt, Cambridge/Aachen or kt; always with the E-scheme")
    radius: float = Field(0.8, gt=0, le=3, description="jet radius R, in (rapidity, azimuth)")
    pt: tuple[float, float | None] = Field(
        (20.0, None), description="transverse momentum of a jet, [min, max] in GeV; max may be null"
    )
    abs_eta: float = Field(2.5, gt=0, description="largest |pseudorapidity| of a jet")
    particles_abs_eta: float = Field(5.0, gt=0, description="largest |pseudorapidity| of a particle")
    min_constituents: int = Field(1, ge=1, description="fewest constituents of a jet")
    jets: int | Literal["all", "leading"] = Field(
        "all",
        description="all: every jet of an event; leading: its hardest jet; a number: that many of its hardest jets. "
        "Jets beyond abs_eta do not count; a leading jet outside the pT window is not replaced by the next",
    )
    match: Match | None = Field(
        None, description="keep only jets near a parton, {pdg_id: [6], dr: 0.8}; adds truth_pdg_id, truth_dr, truth_pt"
    )

    @model_validator(mode="after")
    def _check(self) -> Cluster:
        low, high = self.pt
        if low <= 0 or (high is not None and high <= low):
            raise ValueError(f"pt must be [min, max] with 0 < min < max, found {list(self.pt)}")
        if self.jets not in ("all", "leading") and int(self.jets) < 1:
            raise ValueError(f"jets must be all, leading, or a positive number, found {self.jets}")
        return self

    def reads(self) -> Sequence[Port]:
        """Particles, and partons where they are matched."""
        particles = Collection(self.particles, {"pt": "GeV", "y": "", "phi": "rad"})
        if self.match is None:
            return (particles,)
        return particles, Collection("partons", {"pt": "GeV", "y": "", "phi": "rad", "pdg_id": ""})

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Jets with the columns of their event, and constituents with all fields of the particles."""
        particles = ports[self.particles]
        if not isinstance(particles, Collection):
            raise ValueError(f"{self.particles} is no collection")
        units = {"jet": ""} | KINEMATICS | ({} if self.match is None else TRUTH_UNITS)
        of_event = [port for port in ports.values() if isinstance(port, Column) and port.name not in units]
        columns = [Column(name, unit) for name, unit in units.items()]
        return (*of_event, *columns, Collection("constituents", dict(particles.fields)))

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The jets of all events.

        Raises:
            DataError: a particle is not finite, or absurd.
        """
        from hepimg.checks import check_sample

        check_sample(sample.select([self.particles]), "cluster")  # FastJet takes the interpreter down at a NaN
        particles = sample.collection(self.particles)
        numbers, offsets, momentum = self._accepted(particles)
        pt = particles["pt"][numbers].astype(np.float64)
        jets = find_jets(offsets, momentum, pt, self.algorithm, self.radius, self.pt[0])
        rank, keep = self._select(jets)
        truth: Mapping[str, NDArray[Any]] = {}
        if self.match is not None:
            partons = sample.collection("partons")
            chosen, distance = nearest_partons(jets.event, jets.y, jets.phi, partons, self.match.pdg_id)
            keep &= distance < self.match.dr
            truth = truth_columns(partons, chosen[keep], distance[keep])
        constituents = _constituents(jets, keep, particles, numbers)
        return _rows_of(sample, jets, keep, rank, truth, constituents)

    def _accepted(self, particles: Ragged) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Numbers of the particles inside the acceptance, their offsets by event, their momenta.

        Particles without transverse momentum, such as the padding of fixed-size arrays, are left out.
        """
        pt, y, phi = (particles[name].astype(np.float64) for name in ("pt", "y", "phi"))
        mass = np.maximum(particles["mass"].astype(np.float64), 0) if "mass" in particles else np.zeros(len(pt))
        momentum = momenta(pt, y, phi, mass)
        accepted = np.abs(momentum[:, 2]) < np.sinh(self.particles_abs_eta) * pt
        before = np.concatenate([[0], np.cumsum(accepted)])
        return np.flatnonzero(accepted), before[particles.offsets], momentum[accepted]

    def _select(self, jets: Jets) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rank of each jet among those of its event inside ``abs_eta``, and which jets are kept."""
        central = np.abs(jets.eta) < self.abs_eta
        before: NDArray[np.int64] = np.cumsum(central) - central
        rank: NDArray[np.int64] = before - before[np.searchsorted(jets.event, jets.event)]
        keep = central & (jets.pt >= self.pt[0]) & (np.diff(jets.offsets) >= self.min_constituents)
        if self.pt[1] is not None:
            keep &= jets.pt < self.pt[1]
        if self.jets != "all":
            keep &= rank < (1 if self.jets == "leading" else self.jets)
        return rank, keep


def _constituents(jets: Jets, keep: NDArray[np.bool_], particles: Ragged, numbers: NDArray[np.int64]) -> Ragged:
    """The particles of the kept jets, with all their fields."""
    from hepimg.sample import Ragged

    members = Ragged(jets.offsets, {"particle": jets.particles}).take(keep)
    entries = numbers[members["particle"]]
    return Ragged(
        members.offsets, {name: values[entries] for name, values in particles.fields.items()}, particles.units
    )


def _rows_of(
    sample: Sample,
    jets: Jets,
    keep: NDArray[np.bool_],
    rank: NDArray[np.int64],
    truth: Mapping[str, NDArray[Any]],
    constituents: Ragged,
) -> Sample:
    """The kept jets with the columns of their event."""
    from hepimg.sample import Sample

    event = jets.event[keep]
    columns = {name: values[event] for name, values in sample.columns.items()}
    columns["jet"] = rank[keep].astype(np.int32)
    columns |= {name: getattr(jets, name)[keep].astype(np.float32) for name in KINEMATICS} | dict(truth)
    own = given(KINEMATICS | (TRUTH_UNITS if truth else {}))
    return Sample(columns, {"constituents": constituents}, units={**sample.units, **own})
