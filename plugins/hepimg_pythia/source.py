"""The source ``pythia``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import PrivateAttr, field_validator, model_validator

from hepimg.components import Collection, Column, Field, Port, Shard, Source
from hepimg.errors import DataError
from hepimg_pythia.events import PARTICLE_UNITS, PARTON_UNITS, Record, Species, weights_of
from hepimg_pythia.generator import SHOWER_SCALES, start
from hepimg_pythia.processes import PROCESSES, ProcessName

if TYPE_CHECKING:
    from hepimg.sample import Sample

BATCH = 100
"""Events per call of ``nextBatch``; a shard's events do not depend on it."""

LINE = re.compile(r"\s*[\w+-]+:\S+?\s*[=\s]\s*\S.*")
PICOBARN_PER_MILLIBARN = 1e9


class Pythia(Source):
    """Proton collisions by Pythia 8: final particles without neutrinos, and the partons of the hard process."""

    name: ClassVar[str] = "pythia"
    libraries: ClassVar[tuple[str, ...]] = ("pythia8mc",)

    process: ProcessName | None = Field(
        None,
        description="process by name: " + " ".join(f"{name}: {p.description}" for name, p in PROCESSES.items()),
    )
    settings: tuple[str, ...] = Field(
        (), description="further lines for Pythia, such as 'Tune:pp = 14'; they win over those of the other options"
    )
    pt_hat: tuple[float, float | None] | None = Field(
        None,
        description="transverse momentum of the hard process, [min, max] in GeV; max may be null. Leave room on both "
        "sides of the jets' own window",
    )
    energy: float = Field(13_000.0, gt=0, description="centre-of-mass energy, GeV")
    shower: Literal["default", "vincia"] = Field("default", description="parton shower: Pythia's default, or Vincia")
    isr_scale: float = Field(
        1.0, ge=0.5, le=2, description="factor on the renormalisation scale mu_R of initial-state radiation"
    )
    fsr_scale: float = Field(
        1.0, ge=0.5, le=2, description="factor on the renormalisation scale mu_R of final-state radiation"
    )
    mpi: bool = Field(True, description="multiparton interactions (the underlying event)")
    hadronisation: bool = Field(True, description="hadrons and their decays; false: the partons after the shower")

    _facts: dict[str, float | str] = PrivateAttr(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _have_the_form_of_settings(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        for line in settings:
            if not LINE.fullmatch(line):
                raise ValueError(f"{line!r} is no line of Pythia's, such as 'TimeShower:alphaSvalue = 0.13'")
            if line.strip().lower().startswith("random:"):
                raise ValueError(f"{line!r}: random numbers belong to the shard; change the analysis' seed instead")
        return settings

    @model_validator(mode="after")
    def _check(self) -> Pythia:
        if self.process is None and not self.settings:
            raise ValueError("give a process, or settings that choose one")
        if self.pt_hat is not None:
            low, high = self.pt_hat
            if low < 0 or (high is not None and high <= low):
                raise ValueError(f"pt_hat must be [min, max] with 0 <= min < max, found {list(self.pt_hat)}")
        return self

    def writes(self) -> Sequence[Port]:
        """What each event comes with."""
        return (
            Column("event"),
            Column("weight"),
            Collection("particles", PARTICLE_UNITS),
            Collection("partons", PARTON_UNITS),
        )

    def lines(self) -> list[str]:
        """What Pythia is told, but for the seed and the scales."""
        lines = [f"Beams:eCM = {self.energy}"]
        if self.process is not None:
            lines += PROCESSES[self.process].lines
        if self.pt_hat is not None:
            low, high = self.pt_hat
            lines += [f"PhaseSpace:pTHatMin = {low}", f"PhaseSpace:pTHatMax = {-1.0 if high is None else high}"]
        if self.shower == "vincia":
            lines.append("PartonShowers:model = 2")
        if not self.mpi:
            lines.append("PartonLevel:MPI = off")
        if not self.hadronisation:
            lines.append("HadronLevel:all = off")
        return [*lines, *self.settings]

    def scales(self) -> list[tuple[str, float]]:
        """Settings and the factor on their default: Pythia scales mu_R^2, the options scale mu_R."""
        factors = {"isr": self.isr_scale**2, "fsr": self.fsr_scale**2}
        return [
            (setting, factor)
            for kind, factor in factors.items()
            if factor != 1
            for setting in SHOWER_SCALES[kind][self.shower]
        ]

    def batches(self, shard: Shard) -> Iterator[Sample]:
        """Events without an end, :data:`BATCH` at a time; those that Pythia gives up on are left out.

        Raises:
            DataError: Pythia refuses a setting, stops making events, or weighs events in a way that it does not report.
        """
        pythia = start(self.lines(), self.scales(), shard.seed)
        species, made = Species.of(pythia), 0
        settings = "; ".join([*self.lines(), *(f"{setting} * {factor:g}" for setting, factor in self.scales())])
        while True:
            events = pythia.nextBatch(BATCH)
            if not len(events):
                raise DataError(f"Pythia gave up on {BATCH} events in a row", where="source pythia")
            weights = self._weights(pythia, events)
            number = (shard.index << 32) + made + np.arange(len(events))
            made += len(events)
            self._facts.update(_facts_of(pythia, made), settings=settings)
            yield _sample_of(Record.of(events), species, number, weights)

    def _weights(self, pythia: Any, events: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The weights, once it is sure that they are all there is: ``nextBatch`` reports some kinds of weight only."""
        weights = weights_of(events)
        told = pythia.infoPython().weight()
        if len(events) == BATCH and not np.isclose(told, weights[-1], rtol=1e-6):
            raise DataError(
                f"Pythia weighs an event by {told:.6g}, but reports {weights[-1]:g} with the batch",
                where="source pythia",
                needed="settings that give unweighted events",
                fix="Remove the line that biases the selection (PhaseSpace:bias2Selection ...); use slices of pt_hat.",
            )
        return weights

    def facts(self) -> Mapping[str, float | str]:
        """Cross-section and its statistical error in pb, events made, Pythia's version and settings."""
        return dict(self._facts)


def _sample_of(record: Record, species: Species, number: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> Sample:
    from hepimg.sample import Sample

    return Sample(
        {"event": number.astype(np.int64), "weight": weights},
        {"particles": record.particles(species), "partons": record.partons()},
    )


def _facts_of(pythia: Any, made: int) -> dict[str, float | str]:
    info = pythia.infoPython()
    return {
        "cross_section_pb": info.sigmaGen() * PICOBARN_PER_MILLIBARN,
        "cross_section_pb_error": info.sigmaErr() * PICOBARN_PER_MILLIBARN,
        "events": made,
        "pythia": f"{pythia.settings.parm('Pythia:versionNumber'):.3f}",
    }
