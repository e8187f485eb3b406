"""The task ``pileup_unet``: a sparse network against pileup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from hepimg.components import Column, Field, Options, Port, Predictions, Run, State
from hepimg.errors import DataError
from hepimg.training.options import FitOptions
from hepimg.weights import mean_weight
from hepimg_pileup.task import LossOptions, PileupTask, halvings_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg_pileup.unet import Batch, SparseCleaner

FIRST_ROWS = 4096
"""Rows on which mean and deviation of the columns are measured."""

AT_ONCE = 1024
"""Images that are judged at a time."""


class UNetOptions(Options):
    """A way down for tracks, and a U-Net that tracks and neutral cells share."""

    charged: tuple[PositiveInt, ...] = Field(
        (12, 16, 24),
        min_length=1,
        description="channels of each grid on which tracks are seen, from theirs down to the neutral one",
    )
    widths: tuple[PositiveInt, ...] = Field(
        (24, 32, 48), min_length=1, description="channels of each level of the U-Net"
    )
    blocks: tuple[PositiveInt, ...] = Field((1, 1, 1), description="residual blocks of each level, down and back")
    kernel: int = Field(3, ge=1, description="size of the convolutions, odd")
    dropout: float = Field(0.0, ge=0, lt=1, description="fraction of features dropped in training")

    @model_validator(mode="after")
    def _check(self) -> UNetOptions:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"one number of blocks for each width is needed, found {self.widths} and {self.blocks}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        return self


class UNetLoss(LossOptions):
    """As of all cleaners, but the mean is asked for."""

    cells: Literal["log", "squared", "absolute"] = Field("squared", description="of each cell; log is that of pumml")


class UNetFit(FitOptions):
    """As of all networks, but for the length."""

    epochs: int = Field(default=12, ge=1, description="passes over the training rows")


class PileupUNet(PileupTask):
    """Says of each active neutral cell which part of it is hard scatter, from the active cells around it.

    Tracks are seen where they are, on their own grid; sparse convolutions of stride two bring them to the neutral one.
    What is predicted lies between nothing and what was measured, and empty cells stay empty.
    """

    name: ClassVar[str] = "pileup_unet"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    columns: tuple[str, ...] = Field(
        (), description="columns that the network is told of each jet, such as n_pileup or rho; of any unit and size"
    )
    loss: UNetLoss = Field(UNetLoss(), description="what is made small")
    network: UNetOptions = Field(UNetOptions(), description="the network")
    training: UNetFit = Field(UNetFit(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The four images, and the columns."""
        return (*super().reads(), *map(Column, self.columns))

    def check_halvings(self, halvings: int) -> None:
        """Tracks are seen on each grid between theirs and the neutral one."""
        if len(self.network.charged) != halvings + 1:
            raise ValueError(
                f"tracks are seen on {halvings + 1} grids, down to the neutral one: network.charged needs as many "
                f"numbers, found {len(self.network.charged)}"
            )

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, images that do not fit, a column or loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg.training.state import state_of

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        mean = mean_weight(train, valid)
        first = next(train.batches(FIRST_ROWS, run.seed, 0))
        values, images = self._values(first), self.seen(first)
        deviation = values.std(axis=0)
        moments = values.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        halvings = halvings_of([one.grid for one in images])

        def prepare(sample: Sample) -> Batch:
            from hepimg_pileup.unet import Batch

            *seen, truth = self.seen(sample)
            hard = self.known(seen[-1], truth)
            return Batch.of(seen, self._values(sample), hard, sample.column("weight") / mean)

        return state_of(
            fit(lambda: self._build(halvings, moments), self._loss, train, valid, self.training, run, prepare)
        )

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``neutral``: images of the neutral hard scatter, GeV.

        Raises:
            DataError: images that do not fit together, or the state is of another network.
        """
        import torch

        from hepimg.images import SparseImages
        from hepimg.training.state import load_state
        from hepimg_pileup.unet import Batch

        *seen, truth = self.seen(sample)
        neutral, columns = seen[-1], self._values(sample)
        halvings = halvings_of([one.grid for one in (*seen, truth)])
        network = self._build(halvings, (np.zeros(len(self.columns)), np.ones(len(self.columns))))
        load_state(network, state)
        network.to(run.device).eval()
        found = []
        with torch.no_grad():
            for start in range(0, max(len(sample), 1), AT_ONCE):
                some = slice(start, start + AT_ONCE)
                batch = Batch.of([images[some] for images in seen], columns[some]).to(run.device)
                found.append(network(batch).cpu().numpy())
        values = np.concatenate(found)
        left = values[:, 0] > 0  # a part may be too small for a number
        offsets = np.concatenate([[0], np.cumsum(left)])[neutral.offsets]
        cleaned = SparseImages(neutral.grid, neutral.channels[:1], offsets, neutral.cells[left], values[left])
        return {"neutral": cleaned}

    def _loss(self, network: nn.Module, batch: Batch) -> Tensor:
        from hepimg.sparse.reduce import sum_over
        from hepimg_pileup.losses import cell_losses, jet_losses

        neutral = batch.neutral
        cells = network(batch), batch.hard, neutral.features
        images = neutral.support.images
        of_cells = sum_over(cell_losses(self.loss, *cells), images)[:, 0]
        predicted, true, measured = (sum_over(values, images)[:, 0] for values in cells)
        rows, columns = neutral.shape
        losses = jet_losses(self.loss, of_cells, (predicted, true, measured), rows * columns)
        return (batch.weight * losses).mean()

    def _values(self, sample: Sample) -> NDArray[np.float64]:
        """(n_rows, n_columns) what is known of each jet besides.

        Raises:
            DataError: a column has several numbers for each row, or one that is not finite.
        """
        values = np.zeros((len(sample), len(self.columns)))
        for number, name in enumerate(self.columns):
            column = sample.column(name)
            if column.ndim != 1 or not np.isfinite(column).all():
                raise DataError(f"{name} is not one finite number for each row", where=f"task {self.name}")
            values[:, number] = column
        return values

    def _build(self, halvings: int, columns: tuple[NDArray[Any], NDArray[Any]]) -> SparseCleaner:
        from hepimg_pileup.unet import SparseCleaner

        return SparseCleaner(halvings, columns, **dict(self.network))
