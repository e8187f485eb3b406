"""What tasks that clean jet images of pileup have in common: the images they read, the one they predict, the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import ConfigDict

from hepimg.components import Field, Grid, Image, Options, Port, Ports, Task
from hepimg.errors import DataError

if TYPE_CHECKING:
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

ROUNDING = 1e-4
"""Relative difference of transverse momenta that counts as none."""


class LossOptions(Options):
    """How far what is predicted of a jet is from the truth: a mean over all cells of the neutral grid.

    With the predicted p, the true t and the measured m of a cell, GeV: ``log`` is ln((p + offset) / (t + offset))^2, as
    in the paper, whose best answer lies below the mean of t; ``squared`` is ((p - t) / (m + offset))^2, whose best
    answer is the mean, so that jets get their momentum on the average; ``absolute`` is |p - t| / (m + offset), whose
    best answer is the median.
    """

    cells: Literal["log", "squared", "absolute"] = Field("log", description="of each cell")
    offset: float = Field(10.0, gt=0, description="cells of less pT than this matter less, GeV")
    total: float = Field(
        0.0, ge=0, description="weight of the square of the relative error of the jet's neutral pT, beside the cells"
    )


class PileupTask(Task):
    """Predicts the neutral transverse momentum of the hard scatter, cell by cell."""

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    charged_hard: str = Field("charged_hard", description="image of the tracks of the hard scatter")
    charged_pileup: str = Field("charged_pileup", description="image of the tracks of pileup, on the same grid")
    neutral: str = Field("neutral", description="image of what is neutral, on a coarser grid: all of it, as measured")
    truth: str = Field("neutral_hard", description="image of what of it is hard scatter, on the same coarser grid")
    loss: LossOptions = Field(LossOptions(), description="what is made small")

    @property
    def images(self) -> tuple[str, str, str, str]:
        """The names of the images: tracks of the hard scatter, tracks of pileup, neutral, truth."""
        return self.charged_hard, self.charged_pileup, self.neutral, self.truth

    def reads(self) -> Sequence[Port]:
        """The four images."""
        return tuple(map(Image, self.images))

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The image ``neutral``: what is left of the neutral one.

        Raises:
            ValueError: the grids do not fit together, or not to the network.
        """
        found = [ports.get(name) for name in self.images]
        grids = [port.grid for port in found if isinstance(port, Image) and port.grid is not None]
        if len(grids) < len(found):
            raise ValueError(f"{', '.join(self.images)} must be images on known grids")
        self.check_halvings(halvings_of(grids))
        neutral = ports[self.neutral]
        assert isinstance(neutral, Image)
        return (Image("neutral", neutral.grid, neutral.channels[:1]),)

    def check_halvings(self, halvings: int) -> None:
        """Raise ValueError where the network does not halve the grid of the tracks as often as it takes."""
        raise NotImplementedError

    def seen(self, sample: Sample) -> list[SparseImages]:
        """The four images of these rows.

        Raises:
            DataError: their grids do not fit together, or not to the network.
        """
        images = [sample.image(name) for name in self.images]
        try:
            self.check_halvings(halvings_of([one.grid for one in images]))
        except ValueError as error:
            raise DataError(str(error), where=f"task {self.name}") from error
        return images

    def known(self, neutral: SparseImages, truth: SparseImages) -> np.ndarray:
        """(n_active,) true pT of the active cells of the neutral images, GeV.

        Raises:
            DataError: more than what was measured is true.
        """
        places, size = [], neutral.grid.size
        for images in (neutral, truth):
            places.append(np.repeat(np.arange(len(images)), images.counts) * size + images.cells)
        there, wanted = places
        at = np.minimum(np.searchsorted(there, wanted), max(len(there) - 1, 0))
        hard = np.zeros(len(there), np.float32)
        lost = there[at] != wanted if len(there) else np.ones(len(wanted), bool)
        hard[at[~lost]] = truth.values[~lost, 0]
        if lost.any() or (hard > neutral.values[:, 0] * (1 + ROUNDING)).any():
            raise DataError(
                f"cells of {self.truth} hold more than those of {self.neutral}",
                where=f"task {self.name}",
                needed="the truth to be a part of what was measured",
                fix="Make both images of the same particles, the truth with pt: hard_pt.",
            )
        return hard


def halvings_of(grids: Sequence[Grid]) -> int:
    """How often the grid of the tracks is to be halved to give that of the neutral images.

    Args:
        grids: of the tracks of the hard scatter and of pileup, of the neutral image and of its truth.

    Raises:
        ValueError: it never does, the grids of a pair differ, or one goes round the circle.
    """
    hard, pileup, neutral, truth = grids
    if hard != pileup or neutral != truth:
        raise ValueError(
            f"tracks of hard scatter and pileup need one grid, found {hard} and {pileup}; "
            f"what is neutral and its truth need one grid, found {neutral} and {truth}"
        )
    if any(hard.periodic):
        raise ValueError(f"{hard} goes round the circle: needed are windows around jets")
    factor = hard.rows.size // neutral.rows.size
    if factor < 1 or factor & (factor - 1) or hard.shape != tuple(factor * size for size in neutral.shape):
        raise ValueError(f"{hard} is not {neutral} with cells divided by 1, 2, 4 ... along both axes")
    if hard.pooled(factor) != neutral:
        raise ValueError(f"{hard} and {neutral} do not cover the same window")
    return factor.bit_length() - 1
