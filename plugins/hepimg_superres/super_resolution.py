"""The task ``super_resolution``: sparse maximum likelihood in stages of a factor two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, PositiveFloat, model_validator

from hepimg.components import Field, Grid, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.expansion import ExpansionFit, ExpansionOptions
from hepimg.expansion.single import check_energies
from hepimg.weights import mean_weight
from hepimg_superres.resolutions import doublings, draw_names, drawn_images, resolutions

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample
    from hepimg_superres.sharpener import Batch, Sharpener

ROWS_AT_ONCE = 512


class Network(ExpansionOptions):
    """The network of all stages."""

    dense: bool = Field(False, description="blocks convolve over all cells, empty ones too: slow, for comparison")


class SuperResolution(Task):
    """Sharpens jet images: each active cell becomes smaller ones, drawn from what they may have been.

    In stages of a factor two every site says which of its four children are active and how its energy is shared;
    trained by maximum likelihood on pooled true images.  Pooling what it predicts gives back the low image (with
    ``correct``, the corrected one), empty regions stay empty, and other draws are other possible truths.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "super_resolution"
    version: ClassVar[int] = 3
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)
    prediction_options: ClassVar[tuple[str, ...]] = ("draws",)

    high: str = Field("hr", description="image at high resolution, to learn from; its first channel is the energy")
    low: str = Field("lr", description="image at low resolution, to sharpen; on the grid of the high one, pooled")
    correct: bool = Field(
        False,
        description="false: the low image is the high one, pooled (by the step pool); true: it was made on its own "
        "(by the step pairs), and its energies are first corrected to those of the high one, as a network learns them",
    )
    threshold: float = Field(
        0.0, ge=0, description="least energy of an active cell of the high image (GeV), as the step threshold left it"
    )
    ceiling: PositiveFloat | None = Field(
        None, description="largest energy of a cell of the high image, where they saturate; null: they do not"
    )
    draws: int = Field(1, ge=1, description="draws of each jet: image, draw2, draw3 ...")
    network: Network = Field(Network(), description="the network")
    training: ExpansionFit = Field(ExpansionFit(), alias="fit", description="how it is trained")

    @model_validator(mode="after")
    def _check(self) -> SuperResolution:
        if self.ceiling is not None and self.ceiling < 2 * self.threshold:
            raise ValueError("between ceiling and twice the threshold, an energy could be that of no number of cells")
        return self

    def reads(self) -> Sequence[Port]:
        """The image at both resolutions."""
        return Image(self.high), Image(self.low)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The sharpened images.

        Raises:
            ValueError: the grid of one is not that of the other, halved.
        """
        high, _ = resolutions(ports, self.high, self.low)
        return drawn_images(high, self.draws)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, cells out of bounds, a low image that is not what ``correct`` says, or
                a loss that is not finite.
        """
        from hepimg.training.loop import fit
        from hepimg.training.state import state_of

        def prepare(sample: Sample) -> Batch:
            from hepimg_superres.sharpener import Batch

            high, low = sample.image(self.high), sample.image(self.low)
            check_energies(high, self.high, self.threshold, self.ceiling)
            batch = Batch.of(high, low, doublings(high.grid, low.grid), sample.column("weight") / mean)
            if not self.correct:
                self._check_pooled(batch)
            return batch

        mean = mean_weight(train, valid)
        first = next(train.batches(self.training.batch_size, run.seed, 0), None)
        stages = 1 if first is None else doublings(first.image(self.high).grid, first.image(self.low).grid)
        network = fit(
            lambda: self._build(stages), lambda one, batch: one(batch), train, valid, self.training, run, prepare
        )
        return state_of(network)

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``, ``draw2`` ...: images at high resolution.

        Raises:
            DataError: the state is of another network.
        """
        from hepimg.training.state import load_state

        grid, low = sample.image(self.high).grid, sample.image(self.low)
        network = self._build(doublings(grid, low.grid))
        load_state(network, state)
        network.to(run.device).eval()
        return {
            name: _sample(network, low, grid, sample.column("row"), run.seed, draw)
            for draw, name in enumerate(draw_names(self.draws))
        }

    def _build(self, stages: int) -> Sharpener:
        from hepimg.expansion.shares import Bounds
        from hepimg_superres.sharpener import Sharpener

        bounds = Bounds(self.threshold, self.ceiling or math.inf)
        return Sharpener(stages, bounds, self.correct, **dict(self.network))

    def _check_pooled(self, batch: Batch) -> None:
        if not batch.is_pooled:
            raise DataError(
                f"{self.low} is not {self.high}, pooled",
                needed=f"the step pool from {self.high}, after every step that changes it",
                fix="Where the low image was made on its own, set correct: true.",
            )


def _sample(
    network: Sharpener, low: SparseImages, grid: Grid, rows: NDArray[np.int64], seed: int, draw: int
) -> SparseImages:
    """A draw for each low image, some at a time."""
    from hepimg.images import SparseImages

    firsts = range(0, max(len(low), 1), ROWS_AT_ONCE)
    parts = [slice(first, first + ROWS_AT_ONCE) for first in firsts]
    return SparseImages.concatenate([network.sample(low[part], grid, rows[part], seed, draw) for part in parts])
