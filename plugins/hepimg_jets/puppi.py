"""The step ``puppi``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hepimg.components import Field
from hepimg.particles import HARD_VERTEX
from hepimg_jets.mitigation import Floats, Mitigation, Tracks

if TYPE_CHECKING:
    from hepimg.sample import Ragged

Mask = NDArray[np.bool_]


class Puppi(Mitigation):
    """Weigh particles by pileup per particle identification (Bertolini, Harris, Low and Tran, arXiv:1407.6013).

    Tracks of vertex 0 stay, those of other vertices go.  Every other particle is judged by its neighbours,
    ``alpha_i = log sum_j (pT_j / dR_ij)^exponent``: in the tracker over the tracks j of vertex 0, beyond it over all
    particles.  Median and left-sided RMS of the same alpha for the pileup tracks of the event (those that have
    neighbours) turn it into ``chi = (alpha - median) / RMS``; the weight is the probability of a chi squared below
    chi^2, and 0 below the median.  Where no pileup track has a neighbour, their median is minus infinity: particles
    with a neighbour weigh 1, those without, as pileup is there, 0.  An event without pileup tracks stays as it is.
    Beyond the tracker the median and RMS are those of the pileup tracks too: no correction for the rapidity is made.
    """

    name: ClassVar[str] = "puppi"

    tracks: Tracks | None = Field(
        Tracks(), description="charged particles whose vertex is known, {abs_eta: 2.5, pt: 0.5}; needed"
    )
    radius: float = Field(0.3, gt=0, le=3, description="largest distance of a neighbour, in (rapidity, azimuth)")
    min_distance: float = Field(0.02, ge=0, description="smallest distance of a neighbour")
    exponent: float = Field(1.0, gt=0, description="of pT / dR: 1 as in the paper, 2 as CMS does")
    min_weight: float = Field(0.1, ge=0, le=1, description="particles of a smaller weight go")
    min_pt: tuple[float, float] = Field(
        (0.1, 0.007),
        description="[a, b]: particles go whose weighted pT is below a + b n GeV, where n vertices of pileup have "
        "tracks; the paper's numbers for the region of the tracker",
    )

    @model_validator(mode="after")
    def _check(self) -> Puppi:
        if self.tracks is None:
            raise ValueError("tracks are what pileup is known by: they cannot be null")
        return self

    def weights(self, particles: Ragged) -> tuple[Floats, Floats]:
        """The weight of each particle."""
        tracks = self.tracks or Tracks()
        central = tracks.central(particles)
        known = tracks.charged(particles) & central
        hard = known & (particles["vertex"] == HARD_VERTEX)
        pileup = known & ~hard
        weights = hard.astype(np.float64)
        for judged, sources in ((central & ~known, hard), (~central, np.ones_like(hard))):
            weights[judged] = self._judge(particles, judged, pileup, sources)
        n_vertices = np.repeat(_count_vertices(particles, pileup), particles.counts)
        soft = weights * particles["pt"] < self.min_pt[0] + self.min_pt[1] * n_vertices
        weights[~known & (n_vertices > 0) & (soft | (weights < self.min_weight))] = 0.0
        return weights, weights

    def _judge(self, particles: Ragged, judged: Mask, pileup: Mask, sources: Mask) -> Floats:
        """(n_judged,) weights before the cuts."""
        from hepimg.kernels.puppi import chi_squared_weights

        targets = judged | pileup
        alphas = self._alphas(particles, targets, sources)
        these, reference = alphas.where(judged[targets]), alphas.where(pileup[targets])
        events = [reference["alpha"][a:b] for a, b in pairwise(reference.offsets)]
        centre, width = (np.repeat(values, these.counts) for values in _median_and_left_rms(events))
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = these["alpha"] - centre  # NaN, not above 0, where both are minus infinity
            deviation = np.where(rise > 0, rise / width, 0.0)
        return np.where(np.isnan(centre), 1.0, chi_squared_weights(deviation))

    def _alphas(self, particles: Ragged, targets: Mask, sources: Mask) -> Ragged:
        """The field ``alpha`` of the targets: minus infinity without neighbours."""
        from hepimg.kernels.puppi import neighbour_sums
        from hepimg.sample import Ragged

        places = Ragged(particles.offsets, {name: particles[name] for name in ("y", "phi")})
        around, near = places.where(targets), places.with_fields(pt=particles["pt"]).where(sources)
        sums = neighbour_sums(
            (around.offsets, around["y"], around["phi"]),
            (near.offsets, near["y"], near["phi"], near["pt"]),
            radius=self.radius,
            min_distance=self.min_distance,
            exponent=self.exponent,
        )
        with np.errstate(divide="ignore"):
            return Ragged(around.offsets, {"alpha": np.log(sums)})


def _count_vertices(particles: Ragged, tracks: Mask) -> NDArray[np.int64]:
    """(n_events,) how many vertices the tracks of each event come from."""
    numbers, vertex = np.unique(particles["vertex"][tracks], return_inverse=True)
    event = np.repeat(np.arange(len(particles)), particles.counts)[tracks]
    span = max(len(numbers), 1)
    return np.bincount(np.unique(event * span + vertex) // span, minlength=len(particles))


def _median_and_left_rms(alphas: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(n_events,) median of the finite values, and root mean square of what lies below it.

    The median is minus infinity where no value is finite, NaN where there are no values.
    """
    centre, width = np.zeros(len(alphas)), np.zeros(len(alphas))
    for event, values in enumerate(alphas):
        finite = values[np.isfinite(values)]
        centre[event] = -np.inf if len(values) else np.nan
        if len(finite):
            centre[event] = np.median(finite)
            below = finite[finite < centre[event]] - centre[event]
            width[event] = np.sqrt(np.mean(below**2)) if len(below) else 0.0
    return centre, width
