"""The task ``pumml``: the published dense network against pileup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveInt, field_validator

from hepimg.components import Field, Options, Predictions, Run, State
from hepimg.errors import DataError
from hepimg.training.options import FitOptions
from hepimg.weights import mean_weight
from hepimg_pileup.task import PileupTask

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

AT_ONCE = 1024
"""Images that are written out at a time in prediction."""


class Convolutions(Options):
    """Convolutions of stride two and ReLU, from the grid of the tracks to the neutral one."""

    filters: tuple[PositiveInt, ...] = Field(
        (10, 10), min_length=1, description="of each convolution, which halves the image; the paper: [10, 10]"
    )
    kernel: int = Field(6, ge=2, description="size of the convolutions, even; the paper: 6")

    @field_validator("kernel")
    @classmethod
    def _even(cls, kernel: int) -> int:
        if kernel % 2:
            raise ValueError(f"kernel must be even, so that the image is halved, found {kernel}")
        return kernel


class PummlFit(FitOptions):
    """The paper's batches and rate, without decay; the rate goes through one cycle."""

    epochs: int = Field(default=25, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=50, ge=2, description="rows of a step")
    learning_rate: float = Field(default=1e-3, gt=0, description="largest learning rate of the cycle")
    weight_decay: float = Field(default=0.0, ge=0, description="decay of kernels")
    clip: float | None = Field(default=None, gt=0, description="largest norm of the gradient; null: any")


class Pumml(PileupTask):
    """PUMML (Komiske, Metodiev, Nachman and Schwartz, arXiv:1707.08600): pileup mitigation on images.

    Three channels - tracks of the hard scatter, tracks of pileup, everything neutral repeated on the finer cells - go
    through two convolutions of stride two to the neutral hard scatter: 4711 parameters with 36 x 36 and 9 x 9 cells.
    Unlike the paper's, its learning rate goes through one cycle, and weights are averaged, as those of all tasks.
    """

    name: ClassVar[str] = "pumml"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)

    network: Convolutions = Field(Convolutions(), description="the network")
    training: PummlFit = Field(PummlFit(), alias="fit", description="how it is trained")

    def check_halvings(self, halvings: int) -> None:
        """Each convolution halves the grid once."""
        if len(self.network.filters) != halvings:
            raise ValueError(
                f"the grid of the tracks is to be halved {halvings} times, network.filters has "
                f"{len(self.network.filters)} convolutions of stride two"
            )

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, images that do not fit together, or a loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg.training.state import state_of

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        mean = mean_weight(train, valid)

        def prepare(sample: Sample) -> tuple[Tensor, ...]:
            import torch

            *seen, neutral, truth = self.seen(sample)
            self.known(neutral, truth)
            weight = torch.from_numpy((sample.column("weight") / mean).astype(np.float32))
            return _charged(seen), _dense(neutral), _dense(truth), weight

        return state_of(fit(self._build, self._loss, train, valid, self.training, run, prepare))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``neutral``: images of the neutral hard scatter, GeV.

        Raises:
            DataError: images that do not fit together, or the state is of another network.
        """
        import torch

        from hepimg.images import SparseImages
        from hepimg.training.state import load_state

        *charged, neutral, _ = self.seen(sample)
        network = self._build()
        load_state(network, state)
        network.to(run.device).eval()
        found = []
        with torch.no_grad():
            for start in range(0, max(len(sample), 1), AT_ONCE):
                some = slice(start, start + AT_ONCE)
                inputs = _charged([images[some] for images in charged]), _dense(neutral[some])
                found.append(network(*(tensor.to(run.device) for tensor in inputs)).cpu().numpy())
        return {"neutral": SparseImages.from_dense(np.concatenate(found), neutral.grid, neutral.channels[:1])}

    def _loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        from hepimg_pileup.losses import cell_losses, jet_losses

        charged, neutral, truth, weight = batch
        cells = network(charged, neutral), truth, neutral
        of_cells = cell_losses(self.loss, *cells).sum((1, 2, 3))
        predicted, true, measured = (tensor.sum((1, 2, 3)) for tensor in cells)
        losses = jet_losses(self.loss, of_cells, (predicted, true, measured), neutral[0].numel())
        return (weight * losses).mean()

    def _build(self) -> nn.Module:
        from hepimg_pileup.convolutional import ConvolutionalNetwork

        return ConvolutionalNetwork(self.network.filters, self.network.kernel)


def _dense(images: SparseImages) -> Tensor:
    """(n, 1, rows, columns) of the first channel."""
    import torch

    return torch.from_numpy(images.dense()[:, :1])


def _charged(images: Sequence[SparseImages]) -> Tensor:
    """(n, 2, rows, columns)."""
    import torch

    return torch.cat([_dense(one) for one in images], dim=1)
