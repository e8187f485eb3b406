"""The task ``lagan``: dense jet images drawn by an adversarial network with locally connected layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, PositiveFloat

from hepimg.components import Field, Image, Port, Ports, Predictions, Run, State, Task
from hepimg.errors import DataError
from hepimg.weights import check_equal_weights
from hepimg_generation.classes import classes_in, one_hot, split_classes, with_classes
from hepimg_generation.lagan.options import LaganFit, LaganLosses, LaganNetworks

if TYPE_CHECKING:
    from hepimg.dataset import Dataset
    from hepimg.sample import Sample
    from hepimg_generation.lagan.game import Batch

AT_ONCE = 512
"""Images that are drawn at a time."""

LEAST = 5
"""Cells along each axis: with fewer, nothing is left after the discriminator has halved them three times."""


class Lagan(Task):
    """The location-aware GAN of L. de Oliveira, M. Paganini and B. Nachman (arXiv:1701.05927).

    As in their paper and code: both networks, the class that multiplies the noise, energies in units of 100 GeV, Adam
    with 2e-4 and beta_1 = 0.5, batches of 100, no gradient penalty, and the wrong answers that both sides learn.

    Not as there: with each batch both sides take one step (there two of each, the discriminator's on true and on
    generated images by turns); generated images have the classes of the batch's rows (there random ones); the kept
    generator is that of the evaluation with the smallest distances to validation rows (there an epoch is chosen by
    hand); initial weights and norms are torch's.
    """

    # A task has a method fit, so the option of that name is another field's alias.
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: ClassVar[str] = "lagan"
    libraries: ClassVar[tuple[str, ...]] = ("lightning",)
    only_learned: ClassVar[bool] = True
    needs_validation: ClassVar[bool] = True

    image: str = Field("image", description="image to learn, with one channel; published: 25 x 25 cells")
    scale: PositiveFloat = Field(100.0, description="what cells are divided by before the networks, GeV")
    threshold: float = Field(0.0, ge=0, description="GeV; below it, a cell of a generated image is empty")
    networks: LaganNetworks = Field(LaganNetworks(), description="sizes of generator and discriminator")
    losses: LaganLosses = Field(LaganLosses(), description="weights of the losses, and wrong answers")
    training: LaganFit = Field(LaganFit(), alias="fit", description="how it is trained")

    def reads(self) -> Sequence[Port]:
        """The image."""
        return (Image(self.image),)

    def writes(self, ports: Ports) -> Sequence[Port]:
        """A generated image.

        Raises:
            ValueError: the image is too small, or has not one unsigned channel.
        """
        image = ports.get(self.image)
        if not isinstance(image, Image) or image.grid is None:
            raise ValueError(f"{self.image} is no image on a known grid")
        _check_shape(self.image, image.grid.shape)
        if image.channels and (len(image.channels) > 1 or image.channels[0].signed):
            raise ValueError(f"{self.image} needs one channel that is never negative, as pt; found {image.channels}")
        return (replace(image, name="image"),)

    def fit(self, train: Dataset, valid: Dataset, run: Run) -> State:
        """Play the game.

        Raises:
            DataError: no rows, rows of different weights, an image that is too small, or a loss that is not finite.
        """
        from hepimg.adversarial.game import play
        from hepimg.training.loop import NO_ROWS
        from hepimg.training.state import state_of
        from hepimg_generation.lagan.game import LaganGame

        if not len(train):
            raise DataError("no rows to train on", fix=NO_ROWS)
        check_equal_weights(train, valid)
        classes, shape = classes_in(train), train.load([self.image], 1).image(self.image).grid.shape
        try:
            _check_shape(self.image, shape)
        except ValueError as error:
            raise DataError(str(error), where=self.name) from error

        def build() -> LaganGame:
            return LaganGame(self.networks, self.losses, self.image, shape, classes, self.scale, self.threshold)

        def prepare(sample: Sample) -> Batch:
            import torch

            images = torch.from_numpy(sample.image(self.image).dense() / np.float32(self.scale))
            return images, torch.from_numpy(one_hot(sample, classes, self.name))

        return with_classes(classes, state_of(play(build, train, valid, self.training, run, prepare)))

    def predict(self, state: State, sample: Sample, run: Run) -> Predictions:
        """``image``: for each row another jet of its class, in GeV.

        Raises:
            DataError: a row is of a class that was not learned, or the state is of another network.
        """
        import torch

        from hepimg.images import SparseImages
        from hepimg.training.state import load_state
        from hepimg_generation.lagan.game import as_images

        classes, weights = split_classes(state)
        images, asked = sample.image(self.image), one_hot(sample, classes, self.name)
        generator = self.networks.build_generator(images.grid.shape, len(classes))
        load_state(generator, weights)
        generator.to(run.device).eval()
        noise = _noise(sample.column("row"), self.networks.latent, run.seed)
        drawn = [SparseImages.empty(0, images.grid, images.channels)]
        with torch.no_grad():
            for first in range(0, len(sample), AT_ONCE):
                rows = slice(first, first + AT_ONCE)
                given = (torch.from_numpy(array[rows]).to(run.device) for array in (noise, asked))
                made = generator(*given) * self.scale
                drawn.append(as_images(made, self.threshold, images.grid, images.channels))
        return {"image": SparseImages.concatenate(drawn)}


def _noise(rows: NDArray[np.int64], width: int, seed: int) -> NDArray[np.float32]:
    """(n_rows, width) normal float32, which belong to the rows."""
    from hepimg.random import entries_of, normal

    entries = entries_of(np.repeat(rows, width), np.tile(np.arange(width), len(rows)))
    return normal(entries, seed, "noise").reshape(len(rows), width).astype(np.float32)


def _check_shape(name: str, shape: tuple[int, int]) -> None:
    """Raise ValueError where an image has too few cells for the discriminator."""
    if min(shape) < LEAST:
        raise ValueError(f"{name} has {shape[0]} x {shape[1]} cells; lagan needs at least {LEAST} along each axis")
