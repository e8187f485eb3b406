"""The task ``sparse_autoencoder``: an autoencoder that sees active cells only, with a likelihood as its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import ConfigDict, PositiveInt

from hepimg.components import Column, Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.expansion import ExpansionFit, ExpansionOptions
from hepimg.expansion.options import Order
from hepimg.expansion.single import check_energies, single_cells, stages_of
from hepimg.weights import mean_weight

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg_autoencoder.sparse import Batch, SparseCoder

AT_ONCE = 512
"""Images that are judged at a time."""


class SparseNetwork(ExpansionOptions):
    """An encoder, and the expansion that decodes."""

    latent: int = Field(8, ge=1, description="numbers in the bottleneck, besides the total energy")
    widths: tuple[PositiveInt, ...] = Field(
        (24, 32, 48), min_length=1, description="channels of each level of the encoder, each of half the resolution"
    )
    channels: int = Field(24, ge=1, description="features of each site of the decoder")
    blocks: tuple[PositiveInt, ...] = Field(
        (1,), min_length=1, description="residual blocks of each stage; the last number also for all further ones"
    )
    kernel: int = Field(3, ge=1, description="size of the decoder's convolutions, odd")
    order: tuple[Order, ...] = Field(
        ("none",),
        min_length=1,
        description="how the sites of each stage are decided, as in super_resolution; none: by the bottleneck alone",
    )


class SparseAutoencoder(Task):
    """Copies images through a bottleneck, cell by active cell; the loss is the likelihood of the image given its code.

    Nothing is asked of empty regions.  The loss is a logarithm, grows with the number of cells as others do, and may be
    negative, since shares have a density: a part of the task ``anomaly`` with ``log: false``.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "sparse_autoencoder"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)
    prediction_options: ClassVar[tuple[str, ...]] = ("images",)

    image: str = Field("image", description="image to copy, of 2, 4, 8 ... cells along both axes; its first channel")
    threshold: float = Field(0.0, ge=0, description="least energy of an active cell (GeV), as threshold left it")
    images: bool = Field(False, description="predict an image drawn from the code and the total energy too")
    network: SparseNetwork = Field(SparseNetwork(), description="the network")
    training: ExpansionFit = Field(ExpansionFit(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """The loss, the numbers of the bottleneck, and the image drawn from them.

        Raises:
            ValueError: the image does not shrink to one cell by halving.
        """
        image = ports.get(self.image)
        if not isinstance(image, Image) or image.grid is None:
            raise ValueError(f"{self.image} is no image on a known grid")
        stages_of(image.grid)
        copied = (replace(image, name="image", channels=image.channels[:1]),) if self.images else ()
        return (Column("loss"), Column("latent"), *copied)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Train the network.

        Raises:
            DataError: no rows, negative weights, cells below the threshold, or a loss that is not finite.
        """
        from hepimg.training.loop import NO_ROWS, fit
        from hepimg.training.state import state_of

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        mean, stages = mean_weight(train, valid), stages_of(train.load([self.image], 1).image(self.image).grid)

        def prepare(sample: Sample) -> Batch:
            from hepimg_autoencoder.sparse import Batch

            images = sample.image(self.image)
            check_energies(images, self.image, self.threshold)
            return Batch.of(images, stages, sample.column("weight") / mean)

        return state_of(
            fit(lambda: self._build(stages), lambda one, batch: one(batch), train, valid, self.training, run, prepare)
        )

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``loss`` (n_rows,), -ln of the likelihood; ``latent`` (n_rows, numbers), from -1 to 1; ``image``.

        Raises:
            DataError: cells below the threshold, or the state is of another network.
        """
        import torch

        from hepimg.expansion.pyramid import Pyramid
        from hepimg.images import SparseImages
        from hepimg.training.state import load_state

        images = sample.image(self.image)
        check_energies(images, self.image, self.threshold)
        stages, rows = stages_of(images.grid), sample.column("row")
        network = self._build(stages)
        load_state(network, state)
        network.to(run.device).eval()
        losses, codes, copies = [], [], []
        with torch.no_grad():
            for first in range(0, max(len(images), 1), AT_ONCE):
                some = slice(first, first + AT_ONCE)
                pyramid = Pyramid.of(images[some], stages).to(run.device)
                latent = network.encode(pyramid)
                losses.append(network.losses(pyramid, latent).cpu().numpy())
                codes.append(latent.cpu().numpy())
                if self.images:
                    single = single_cells(images[some])
                    copies.append(network.expansion.sample(single, images.grid, rows[some], run.seed, 0, latent))
        copied = {"image": SparseImages.concatenate(copies)} if self.images else {}
        return {"loss": np.concatenate(losses), "latent": np.concatenate(codes), **copied}

    def _build(self, stages: int) -> SparseCoder:
        from hepimg.expansion.shares import Bounds
        from hepimg_autoencoder.sparse import SparseCoder

        return SparseCoder(stages, bounds=Bounds(self.threshold, math.inf), **dict(self.network))
