"""The step ``pairs``: the same jets at several resolutions, clustered separately at each.

The recipe of the jet super-resolution papers: P. Baldi, L. Blecher, A. Butter et al., arXiv:2012.11944.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Collection, Column, Field, Port, Ports, RowKind, Step
from hepimg.errors import DataError
from hepimg_jets.cells import DETECTOR, GRID_HELP, DetectorGrid, fill, on_corners
from hepimg_jets.columns import KINEMATICS, given, prefixed
from hepimg_jets.finding import Algorithm
from hepimg_jets.levels import Level, find_level, nearest

if TYPE_CHECKING:
    from hepimg.sample import Sample

FRAME = {"frame_eta": "", "frame_phi": "rad"}
CELLS = {"pt": "GeV", "y": "", "phi": "rad", "mass": "GeV"}

Numbers = NDArray[np.int64]

MAX_CORNERED = 3
"""Particles on corners of cells that chance may put there, in a batch; centres of merged cells all lie there."""


class Pairs(Step):
    """The hardest jets of each event at several resolutions: the same jets, clustered separately at each.

    The particles of the whole event are filled into the cells of a grid, transverse momentum added up.  Blocks of 2 x 2
    cells, 4 x 4 ... are added up to coarser cells, and at each resolution FastJet clusters the cells of the event,
    massless particles at their centres.  A jet becomes a row if it passes the selection at full resolution, and at
    every other the nearest of the hardest jets passes too and lies within ``dr``: so all resolutions hold the same
    jets.  Nothing else is known to a coarse jet of the fine one.

    ``constituents`` are the cells at full resolution, ``lr2``, ``lr4`` ... the coarse ones.  Their y and phi are
    measured from one origin, the corner of the coarsest cells that is nearest to the axis of the *coarsest* jet, at
    (``frame_eta``, ``frame_phi``): so the cells of all resolutions nest, and where a cell lies in its block tells
    nothing (an origin at the hardest fine cell would).  Images: ``pixelate`` over whole coarsest cells around zero,
    such as eta [-1, 1] and phi [-0.9817477, 0.9817477] (160 x 2 pi / 512) with shape [160, 160], and [80, 80] for lr2.
    """

    name: ClassVar[str] = "pairs"
    libraries: ClassVar[tuple[str, ...]] = ("fastjet",)
    rows_in: ClassVar[RowKind] = "event"
    rows_out: ClassVar[RowKind] = "jet"

    particles: str = Field(
        "cells", description="collection with pt, y (of a cell: eta) and phi: cells of this grid, or particles"
    )
    grid: DetectorGrid = Field(DETECTOR, description=GRID_HELP + "; evenly spaced")
    factors: tuple[int, ...] = Field(
        (2, 4, 8, 16),
        min_length=1,
        description="cells of the grid, along each axis, that become one at each lower resolution, ascending; each "
        "divides the grid and the last of them",
    )
    algorithm: Algorithm = Field("antikt", description="anti-kt, Cambridge/Aachen or kt; always with the E-scheme")
    radius: float = Field(0.8, gt=0, le=3, description="jet radius R, in (rapidity, azimuth)")
    pt: tuple[float, float | None] = Field(
        (550.0, 650.0), description="transverse momentum of a jet at every resolution, [min, max] in GeV; max or null"
    )
    abs_eta: float = Field(2.0, gt=0, description="largest |pseudorapidity| of a jet at every resolution")
    dr: float = Field(0.1, gt=0, description="largest distance of a coarse jet to the fine one, in (rapidity, azimuth)")
    min_constituents: int = Field(15, ge=1, description="fewest cells of a jet at full resolution")
    jets: int = Field(1, ge=1, description="how many of the hardest jets of an event are looked at, before any cut")

    @model_validator(mode="after")
    def _check(self) -> Pairs:
        low, high = self.pt
        if low <= 0 or (high is not None and high <= low):
            raise ValueError(f"pt must be [min, max] with 0 < min < max, found {list(self.pt)}")
        factors = self.factors
        if min(factors) < 2 or list(factors) != sorted(set(factors)) or any(factors[-1] % each for each in factors):
            raise ValueError(f"factors ascend from 2 and divide the last of them, found {list(factors)}")
        if any(size % factors[-1] for size in self.grid.shape):
            raise ValueError(f"factor {factors[-1]} does not divide the grid of {self.grid.shape} cells")
        if not (self.grid.rows.is_regular and self.grid.columns.is_regular):
            raise ValueError("cells must be evenly spaced, so that images at all resolutions have common edges")
        return self

    def reads(self) -> Sequence[Port]:
        """The particles."""
        return (Collection(self.particles, {"pt": "GeV", "y": "", "phi": "rad"}),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """Jets at full resolution with the columns of their event, those at each other, and the cells of all."""
        units = {"jet": ""} | self._units()
        of_event = [port for port in ports.values() if isinstance(port, Column) and port.name not in units]
        collections = [Collection(name, CELLS) for name in ("constituents", *map(_name, self.factors))]
        return [*of_event, *(Column(name, unit) for name, unit in units.items()), *collections]

    def _units(self) -> dict[str, str]:
        units = KINEMATICS | FRAME
        for factor in self.factors:
            units |= prefixed(_name(factor), KINEMATICS | {"dr": ""})
        return units

    def apply(self, sample: Sample, seed: int | None) -> Sample:
        """The jets of all events.

        Raises:
            DataError: a particle is not finite, or absurd; or they are cells with centres on corners of the grid.
        """
        from hepimg.checks import check_sample

        check_sample(sample.select([self.particles]), "pairs")  # FastJet takes the interpreter down at a NaN
        self._require_inside_cells(sample)
        levels = self._find(sample)
        chosen, rank, distances = self._match(levels)
        return self._rows(sample, levels, chosen, rank, distances)

    def _require_inside_cells(self, sample: Sample) -> None:
        cornered = int(on_corners(sample.collection(self.particles), self.grid).sum())
        if cornered > MAX_CORNERED:
            raise DataError(
                f"{cornered} of {self.particles} lie on corners of the grid, so that rounding would choose their cells",
                where="step pairs",
                needed="cells of this grid, or particles",
                fix="In calorimeter, use the same grid and an odd merge (1: no merging).",
            )

    def _find(self, sample: Sample) -> dict[int, Level]:
        """Cells and jets of all events at each resolution; factor 1 is the full one."""
        from hepimg.kernels.pool import pool

        particles, shape = sample.collection(self.particles), self.grid.shape
        fine = fill(particles.offsets, particles["y"], particles["phi"], particles["pt"], self.grid)
        options = self.algorithm, self.radius, self.pt[0]
        return {1: find_level(self.grid, 1, fine, *options)} | {
            factor: find_level(self.grid, factor, pool(*fine, shape, (factor, factor)), *options)
            for factor in self.factors
        }

    def _match(self, levels: Mapping[int, Level]) -> tuple[dict[int, Numbers], Numbers, dict[int, NDArray[Any]]]:
        """Numbers of the jets of each row at each resolution, their rank at the full one, distances from it."""
        fine = levels[1].jets
        number, rank = levels[1].hardest(self.jets)
        enough = np.diff(fine.offsets)[number] >= self.min_constituents
        keep = enough & self._passes(levels[1], number)
        chosen, distances = {1: number}, {}
        for factor in self.factors:
            chosen[factor], distances[factor] = nearest(fine, number, levels[factor], self.jets)
            keep &= distances[factor] < self.dr
            keep[keep] &= self._passes(levels[factor], chosen[factor][keep])
        distances = {factor: distance[keep] for factor, distance in distances.items()}
        return {factor: numbers[keep] for factor, numbers in chosen.items()}, rank[keep], distances

    def _passes(self, level: Level, number: Numbers) -> NDArray[np.bool_]:
        """Whether jets are inside the windows of pT and pseudorapidity."""
        pt, eta = level.jets.pt[number], level.jets.eta[number]
        high = np.inf if self.pt[1] is None else self.pt[1]
        return np.asarray((pt >= self.pt[0]) & (pt < high) & (np.abs(eta) < self.abs_eta))

    def _rows(
        self,
        sample: Sample,
        levels: Mapping[int, Level],
        chosen: Mapping[int, Numbers],
        rank: Numbers,
        distances: Mapping[int, NDArray[Any]],
    ) -> Sample:
        from hepimg.sample import Sample

        coarsest = self.factors[-1]
        corner = levels[coarsest].corners(chosen[coarsest])
        event = levels[1].jets.event[chosen[1]]
        columns: dict[str, NDArray[Any]] = {name: values[event] for name, values in sample.columns.items()}
        columns["jet"] = rank.astype(np.int32)
        found = dict(zip(FRAME, levels[1].position(*corner), strict=True))
        for factor, level in levels.items():
            prefix = "" if factor == 1 else f"{_name(factor)}_"
            found |= {prefix + name: getattr(level.jets, name)[chosen[factor]] for name in KINEMATICS}
        found |= {f"{_name(factor)}_dr": distance for factor, distance in distances.items()}
        columns |= {name: found[name].astype(np.float32) for name in self._units()}
        collections = {_name(factor): level.constituents(chosen[factor], *corner) for factor, level in levels.items()}
        return Sample(columns, collections, units={**sample.units, **given(self._units())})


def _name(factor: int) -> str:
    """The collection at one resolution."""
    return "constituents" if factor == 1 else f"lr{factor}"
