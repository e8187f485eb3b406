"""The task ``autoencoder``: a dense network that learns to copy ordinary jet images through a bottleneck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict, PositiveFloat

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.training.options import FitOptions
from hepimg.weights import mean_weight
from hepimg_autoencoder.network import Network
from hepimg_autoencoder.units import common_unit, squared

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hepimg.dataset import Dataset
    from hepimg.images import SparseImages
    from hepimg.sample import Sample

FIRST_ROWS = 1024
"""Rows on which the scale of the cells is measured."""

AT_ONCE = 1024
"""Images that are written out at a time in prediction."""

SCALE = "scale"
"""Entry of the state: what cells are divided by."""


class Autoencoder(Task):
    """Copies images through a bottleneck; the loss is the mean squared error over all cells.

    A large loss may mean an anomaly.  It may not: the loss grows with how much there is to copy, so that a simple jet
    unlike all others is copied well (Lastow, Lund 2021; Batson et al., arXiv:2102.08380).  The task ``anomaly`` makes
    scores of it that know that.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "autoencoder"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)
    prediction_options: ClassVar[tuple[str, ...]] = ("blur", "images")

    image: str = Field("image", description="image to copy")
    scale: PositiveFloat | None = Field(
        None, description="what cells are divided by before the network; null: their root mean square"
    )
    blur: PositiveFloat = Field(1.0, description="standard deviation of the Gaussian of blurred_loss, in cells")
    images: bool = Field(False, description="predict the copied images too: as many numbers as there are cells")
    network: Network = Field(Network(), description="the network")
    training: FitOptions = Field(FitOptions(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The losses, the bottleneck, the copied image.

        Raises:
            ValueError: the image has more poolings than cells.
        """
        image = ports.get(self.image)
        square = squared(common_unit(image))
        columns = [Column("loss", square), Column("blurred_loss", square), Column("latent")]
        if not isinstance(image, Image) or image.grid is None:
            return columns
        if 2 ** len(self.network.convolutions) > min(image.grid.shape):
            raise ValueError(f"{self.image} has {image.grid.shape} cells: too few for so many poolings by two")
        channels = tuple(replace(channel, signed=True) for channel in image.channels)
        return [*columns, Image("image", image.grid, channels)] if self.images else columns

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, only empty images, or a loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg.training.state import state_of
        from hepimg_autoencoder.dense import squared_errors

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        first = next(train.batches(FIRST_ROWS, run.seed, 0)).image(self.image)
        scale = self.scale or _root_mean_square(first)
        mean = mean_weight(train, valid)

        def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
            import torch

            weight = torch.from_numpy((sample.column("weight") / mean).astype(np.float32))
            return _dense(sample.image(self.image), scale), weight

        def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
            images, weight = batch
            return (weight * squared_errors(images, network(images)[0])).mean()

        network = fit(
            lambda: self.network.build(len(first.channels), first.grid.shape),
            loss,
            train,
            valid,
            self.training,
            run,
            prepare,
        )
        return {SCALE: np.array([scale]), **state_of(network)}

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``loss`` and ``blurred_loss`` (n_rows,), squares of the image's unit; ``latent`` (n_rows, width); ``image``.

        Raises:
            DataError: the state is of another network.
        """
        import torch

        from hepimg.images import SparseImages
        from hepimg.training.state import load_state
        from hepimg_autoencoder.dense import squared_errors

        images = sample.image(self.image)
        scale = float(state[SCALE][0])
        network = self.network.build(len(images.channels), images.grid.shape)
        load_state(network, {name: array for name, array in state.items() if name != SCALE})
        network.to(run.device).eval()
        found: dict[str, list[Tensor]] = {"loss": [], "blurred_loss": [], "latent": [], "image": []}
        with torch.no_grad():
            for start in range(0, max(len(images), 1), AT_ONCE):
                dense = _dense(images[start : start + AT_ONCE], scale).to(run.device)
                decoded, latent = network(dense)
                found["loss"].append(squared_errors(dense, decoded) * scale**2)
                found["blurred_loss"].append(squared_errors(dense, decoded, self.blur) * scale**2)
                found["latent"].append(latent)
                found["image"].append(decoded * scale if self.images else decoded[:0])
        whole = {name: torch.cat(parts).cpu().numpy() for name, parts in found.items()}
        copied = whole.pop("image")
        if not self.images:
            return whole
        channels = [replace(channel, signed=True) for channel in images.channels]
        return {**whole, "image": SparseImages.from_dense(copied, images.grid, channels)}


def _dense(images: SparseImages, scale: float) -> Tensor:
    """(n, channels, rows, columns) cells over the scale."""
    import torch

    return torch.from_numpy(images.dense() / np.float32(scale))


def _root_mean_square(images: SparseImages) -> float:
    """Of all cells, active or not.

    Raises:
        DataError: all images are empty.
    """
    square = float(np.square(images.values, dtype=np.float64).sum())
    if square == 0:
        raise DataError("all images are empty", fix="Look at the steps that make them.")
    return math.sqrt(square / (len(images) * len(images.channels) * images.grid.size))
