"""The task ``superres_baseline``: what super-resolution has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hepimg.components import Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg_superres.resolutions import doublings, draw_names, drawn_images, resolutions

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg_superres.baselines.blocks import Cells


class SuperresBaseline(Task):
    """Super-resolution without a model: each coarse cell is divided by itself, by a simple rule.

    The energy of every coarse cell is kept to single precision, and nothing appears where there was none.
    """

    name: ClassVar[str] = "superres_baseline"
    prediction_options: ClassVar[tuple[str, ...]] = ("threshold", "draws")

    high: str = Field("hr", description="image at high resolution, to learn from; its first channel is the energy")
    low: str = Field("lr", description="image at low resolution, to sharpen: the high one pooled by 2, 4, 8 ...")
    how: Literal["uniform", "marginal", "nearest"] = Field(
        "marginal",
        description="how a cell is divided. uniform: equally; marginal: by stages of two, each cell as a random "
        "training cell of about its energy; nearest: as the one nearest in log E, log E of its neighbours, E / E(jet)",
    )
    threshold: float = Field(
        0.0,
        ge=0,
        description="marginal, nearest: least energy of an active cell (GeV), as the step threshold left it; what "
        "would get less goes to the others",
    )
    bins: int = Field(16, ge=1, description="marginal: quantile bins of the logarithm of a cell's energy")
    patches: int = Field(
        50_000, ge=1, description="marginal, nearest: training cells that are remembered (marginal: for each stage)"
    )
    draws: int = Field(
        1, ge=1, description="images for each row: image, draw2 ...; nearest: by the nearest patch, the next ..."
    )

    def reads(self) -> Sequence[Port]:
        """Both images."""
        return Image(self.high), Image(self.low)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The fine images.

        Raises:
            ValueError: the grid of one is not that of the other, pooled.
        """
        high, _ = resolutions(ports, self.high, self.low)
        return drawn_images(high, self.draws)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Remember how training cells are divided.

        Raises:
            DataError: no training image has an active cell.
        """
        from hepimg_superres.baselines.marginal import fit_marginal
        from hepimg_superres.baselines.nearest import fit_nearest
        from hepimg_superres.baselines.patches import patches

        one = train.load([self.high, self.low], limit=1)
        factor = 1 << doublings(one.image(self.high).grid, one.image(self.low).grid)
        state = {"factor": np.array([factor])}
        if self.how == "marginal":
            pooled = [factor >> stage for stage in range(1, factor.bit_length())]
            stages = [patches(train, self.high, fine, 2, self.patches, run.seed) for fine in pooled]
            return state | dict(fit_marginal(stages, self.bins))
        if self.how == "nearest":
            return state | dict(fit_nearest(patches(train, self.high, 1, factor, self.patches, run.seed)))
        return state

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``, ``draw2`` ...: fine images, with the grid and the channel of ``high``.

        Raises:
            DataError: the grids are others than in training.
        """
        from hepimg_superres.baselines.blocks import Cells

        high, low, factor = sample.image(self.high), sample.image(self.low), int(state["factor"][0])
        if high.grid.pooled(factor) != low.grid:
            raise DataError(
                f"{self.high} is of {high.grid}, {self.low} of {low.grid}",
                needed=f"{factor} times as many cells along each axis, as in training",
            )
        fine = self._divided(state, Cells.of(low), sample.column("row"), factor, run.seed)
        images = [cells.images(len(sample), high.grid, high.channels[:1]) for cells in fine]
        return dict(zip(draw_names(self.draws), images, strict=True))

    def _divided(self, state: State, coarse: Cells, rows: NDArray[np.int64], factor: int, seed: int) -> list[Cells]:
        """The fine cells of each draw."""
        from hepimg_superres.baselines.marginal import sample_marginal
        from hepimg_superres.baselines.nearest import nearest_shares

        if self.how == "marginal":
            return [
                sample_marginal(state, coarse, rows, self.threshold, (seed, "marginal", draw))
                for draw in range(self.draws)
            ]
        if self.how == "nearest":
            shares = nearest_shares(state, coarse, rows, self.draws)
            return [coarse.divided(shares[:, draw], factor, self.threshold) for draw in range(self.draws)]
        return [coarse.divided(np.ones((len(coarse), factor**2)), factor)] * self.draws
